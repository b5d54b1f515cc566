//! The portrait of a group (群画像, semantics 10.6, manual 4.2.3).
//!
//! Who sees what: a group is visible to whom messages of it are: somebody in scope ever spoke or
//! received there, or was a member in the period. Numbers are then those of the whole group;
//! keywords come from the messages that are visible, tags from employees in scope, and of the
//! employees among its members only those in scope have a row.

use chrono::Days;
use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_engine::directory::groups::Group;
use huicun_engine::jobs::Facts;
use huicun_engine::jobs::derive::said::said;
use huicun_engine::jobs::texts::{RoomMessage, texts_of_room};
use huicun_engine::metrics::keywords::Keywords;
use huicun_engine::metrics::portrait::{
    Portrait, PortraitDay, PortraitMember, Spoken, portrait as draw,
};
use huicun_semantics::counted::is_counted;
use huicun_semantics::role::Role;
use huicun_semantics::time::{Period, Zone};
use serde::Serialize;

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::wanted::Wanted;

/// Keywords that are told.
const KEYWORDS_MAX: usize = 100;
/// Days of a portrait at most: each is a row.
const DAYS_MAX: i64 = 3700;

/// Which parts of a portrait are wanted: reading texts takes most of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Texts {
    /// With keywords.
    #[default]
    Read,
    /// Without.
    Leave,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct PortraitParams {
    /// The group.
    pub id: String,
    /// First day.
    pub from: Option<String>,
    /// Last day; today if missing.
    pub to: Option<String>,
    /// Whether texts are read.
    pub texts: Texts,
}

/// One day of a group.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct DayItem {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Employees' messages.
    pub employee_messages: u64,
    /// Customers' messages.
    pub customer_messages: u64,
    /// How often a customer joined.
    pub customers_joined: u64,
    /// How often a customer left.
    pub customers_left: u64,
    /// Customers who were members at the day's end, or are now.
    pub customers_present: u64,
}

/// A word in customers' texts. No `Debug`: it is what they said.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct KeywordItem {
    /// The word.
    pub word: String,
    /// How often it stands there.
    pub count: u64,
}

/// A tag.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct TagItem {
    /// The tag.
    pub tag: String,
    /// Customers among the members who have it.
    pub customers: u64,
}

/// A member, or somebody who left. No `Debug`: it holds names.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct MemberItem {
    /// The userid or external_userid.
    pub member_id: String,
    /// His name.
    pub name: Option<String>,
    /// `employee`, `customer` or `robot`.
    pub role: String,
    /// A customer's tags.
    pub tags: Vec<String>,
    /// His last message in the group up to the end, RFC 3339 in the company's zone.
    pub last_contact_at: Option<String>,
    /// How he came in, WeCom's number: 1 invited, 2 invited by link, 3 by QR code.
    pub join_scene: Option<i32>,
    /// Who invited him.
    pub invitor: Option<String>,
    /// When he joined.
    pub joined_at: String,
    /// When he left; null of a member.
    pub left_at: Option<String>,
    /// His messages on the last day: today, where the period reaches up to today.
    pub messages_last_day: u64,
}

/// A group and all parts of its portrait.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct PortraitItem {
    /// The group.
    pub chat_id: String,
    /// Its name.
    pub name: Option<String>,
    /// Its owner at the end.
    pub owner: Option<String>,
    /// Its responsible employee at the end.
    pub responsible: Option<String>,
    /// When it was made, RFC 3339 in the company's zone.
    pub created_at: Option<String>,
    /// When it was dismissed.
    pub dismissed_at: Option<String>,
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Members at the end.
    pub members_total: usize,
    /// Customers among them.
    pub customers_total: usize,
    /// Day by day, up to today.
    pub days: Vec<DayItem>,
    /// Words of customers' texts in the period, the most frequent first, at most 100.
    pub keywords: Vec<KeywordItem>,
    /// Tags of customers who are members at the end.
    pub tags: Vec<TagItem>,
    /// Members at the end, by id; employees out of the caller's scope are left out.
    pub members: Vec<MemberItem>,
    /// Those who were members and left by the end, by id; likewise.
    pub left: Vec<MemberItem>,
}

/// A portrait and what it says of itself.
pub struct PortraitAnswer {
    /// The portrait.
    pub item: PortraitItem,
    /// The days that it covers.
    pub period: Period,
    /// From which versions.
    pub as_of: AsOf,
}

/// Draws the portrait of one group.
///
/// # Errors
/// [`QuestionError::NotFound`] for a group that neither the directory nor the messages show to have
/// a customer, and for one outside the scope.
pub async fn portrait(
    scope: &Scope,
    archive: &Archive,
    params: &PortraitParams,
) -> Result<PortraitAnswer, QuestionError> {
    archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let facts = archive.facts().await?;
    let (zone, now_ms) = (archive.zone(), now_ms());
    let period = period(archive, params, &facts, now_ms)?;
    let (start_ms, end_ms) = (period.start_ms(zone), period.end_ms(zone));
    let as_of_ms = (end_ms - 1).min(now_ms);
    let wanted = Wanted::new(scope, &facts, &[], &[]).await?;
    let room = params.id.as_str();
    let is_visible =
        is_external(&facts, room).await? && wanted.sees_room(room, (start_ms, end_ms.min(now_ms)));
    if !is_visible {
        return Err(QuestionError::NotFound {
            what: "group with customers",
            id: room.into(),
        });
    }
    let mut batches = Vec::new();
    for days in facts.snapshot.months_of_activity(zone.day_of(as_of_ms)) {
        let month = facts.snapshot.activity(days).await?;
        batches.extend(
            month
                .iter()
                .map(|batch| of_room(batch, room))
                .collect::<Result<Vec<_>, _>>()?,
        );
    }
    let spoken = batches.iter().flat_map(|batch| said(batch, as_of_ms));
    let spoken = spoken.map(|said| Spoken {
        day: zone.day_of(said.first_ms()),
        speaker: said.speaker,
        side: said.side,
        n: said.at_us.len() as u64,
        last_ms: said.last_ms(),
    });
    let directory = &facts.directory;
    let drawn = draw(scope, directory, room, period, zone, now_ms, spoken);
    let words = match params.texts {
        Texts::Read => words(archive, &wanted, directory, room, (start_ms, as_of_ms)).await?,
        Texts::Leave => Vec::new(),
    };
    let instants = (Some(start_ms), Some(end_ms));
    let as_of = archive
        .as_of_period(scope, facts.messages_version, directory, instants)
        .await;
    Ok(PortraitAnswer {
        item: item(directory, room, period, as_of_ms, zone, drawn, words),
        period,
        as_of,
    })
}

/// The period that is asked for: a missing end is today, a missing beginning so many days before
/// the end that they are `group_activity.window_days`.
fn period(
    archive: &Archive,
    params: &PortraitParams,
    facts: &Facts,
    now_ms: i64,
) -> Result<Period, QuestionError> {
    let given = archive.period(params.from.as_deref(), params.to.as_deref(), facts)?;
    let to = match params.to {
        Some(_) => given.to,
        None => archive.zone().day_of(now_ms),
    };
    let before = facts.rules.group_activity.window_days.saturating_sub(1);
    let from = match params.from {
        Some(_) => given.from,
        None => to
            .checked_sub_days(Days::new(u64::from(before)))
            .unwrap_or(to),
    };
    let period = Period {
        from,
        to: to.max(from),
    };
    let n_days = (period.to - period.from).num_days() + 1;
    if n_days > DAYS_MAX {
        return Err(QuestionError::Parameter(format!(
            "the period has {n_days} days; a portrait covers at most {DAYS_MAX}"
        )));
    }
    Ok(period)
}

async fn is_external(facts: &Facts, room: &str) -> Result<bool, QuestionError> {
    if facts.directory.rooms_with_customers.contains(room) {
        return Ok(true);
    }
    let by_messages = facts.snapshot.external_rooms().await?;
    Ok(by_messages.iter().any(|known| known == room))
}

/// The rows of one room: years of activity of all others would not fit.
fn of_room(
    batch: &arrow::array::RecordBatch,
    room: &str,
) -> Result<arrow::array::RecordBatch, QuestionError> {
    use huicun_engine::jobs::derive::DeriveError;
    let conversation = huicun_engine::jobs::derive::columns::text(batch, "conversation");
    let is_it = arrow::array::BooleanArray::from_unary(conversation, |known| known == room);
    arrow::compute::filter_record_batch(batch, &is_it)
        .map_err(|error| QuestionError::Facts(DeriveError::Rows(error)))
}

/// The keywords of what customers wrote in visible messages from one instant to another.
async fn words(
    archive: &Archive,
    wanted: &Wanted<'_>,
    directory: &Directory,
    room: &str,
    stretch: (i64, i64),
) -> Result<Vec<(String, u64)>, QuestionError> {
    // Words are cut by a thread of its own while the next texts are read.
    let (texts, given) = std::sync::mpsc::channel::<Vec<String>>();
    let cutting = tokio::task::spawn_blocking(move || {
        let mut keywords = Keywords::default();
        for text in given.iter().flatten() {
            keywords.add(&text);
        }
        keywords.top(KEYWORDS_MAX)
    });
    let is_wanted = |message: RoomMessage<'_>| {
        let role = directory.role(message.from);
        role == Role::Customer
            && message.msgtype == "text"
            && is_counted(message.action, message.msgtype, role)
            && wanted.sees(room, message.at_ms, &[])
    };
    let take = move |batch| {
        // The other end is gone only when cutting has failed, which is told below.
        let _ = texts.send(batch);
    };
    texts_of_room(archive.home(), room, stretch, is_wanted, take).await?;
    cutting.await.map_err(|_| QuestionError::Interrupted)
}

fn item(
    directory: &Directory,
    room: &str,
    period: Period,
    as_of_ms: i64,
    zone: Zone,
    drawn: Portrait,
    words: Vec<(String, u64)>,
) -> PortraitItem {
    let number = directory.ids.get(room);
    let group: Option<&Group> = number.and_then(|number| directory.groups.get(number));
    let instant = |ms: Option<i64>| ms.map(|ms| zone.rfc3339_ms(ms));
    let members = |members: Vec<PortraitMember>| -> Vec<MemberItem> {
        let members = members.into_iter();
        members.map(|member| member_item(member, zone)).collect()
    };
    let word = |(word, count)| KeywordItem { word, count };
    let mut tags: Vec<TagItem> = drawn
        .tags
        .into_iter()
        .map(|(tag, customers)| TagItem { tag, customers })
        .collect();
    // Stable, so that tags with as many customers stay in their order.
    tags.sort_by_key(|tag| std::cmp::Reverse(tag.customers));
    PortraitItem {
        chat_id: room.into(),
        name: group.and_then(|group| group.name.as_deref().map(String::from)),
        owner: directory.owner_at(room, as_of_ms).map(String::from),
        responsible: directory.responsible_at(room, as_of_ms).map(String::from),
        created_at: instant(group.and_then(|group| group.created_ms)),
        dismissed_at: instant(group.and_then(|group| group.dismissed_ms)),
        from: period.from.to_string(),
        to: period.to.to_string(),
        members_total: drawn.n_members,
        customers_total: drawn.n_customers,
        days: drawn.days.iter().map(day_item).collect(),
        keywords: words.into_iter().map(word).collect(),
        tags,
        members: members(drawn.members),
        left: members(drawn.left),
    }
}

fn day_item(day: &PortraitDay) -> DayItem {
    DayItem {
        day: day.day.to_string(),
        employee_messages: day.n_employee,
        customer_messages: day.n_customer,
        customers_joined: day.n_joined,
        customers_left: day.n_left,
        customers_present: day.n_present,
    }
}

fn member_item(member: PortraitMember, zone: Zone) -> MemberItem {
    let instant = |ms: Option<i64>| ms.map(|ms| zone.rfc3339_ms(ms));
    MemberItem {
        member_id: member.id,
        name: member.name,
        role: member.role.as_str().into(),
        tags: member.tags,
        last_contact_at: instant(member.last_contact_ms),
        join_scene: member.join_scene,
        invitor: member.invitor,
        joined_at: zone.rfc3339_ms(member.joined_ms),
        left_at: instant(member.left_ms),
        messages_last_day: member.n_last_day,
    }
}
