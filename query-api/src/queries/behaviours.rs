//! Behaviours (敏感行为, semantics 8): one row for each, with what its review says now.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_engine::jobs::Facts;
use huicun_engine::jobs::behaviours::{self, BehaviourRow, Behaviours, Position};
use huicun_engine::rules::BehaviourKind;
use huicun_engine::state::behaviours::{LostRelation, Review, Reviewed, Verdict};
use huicun_engine::state::rule_versions::RuleVersion;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use super::wanted::Wanted;
use crate::answer::{Column, ColumnKind, Table};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct BehaviourParams {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// In a conversation of one of these employees.
    pub employees: Vec<String>,
    /// In a conversation of an employee who was then in one of these departments or below.
    pub departments: Vec<String>,
    /// Of these kinds.
    pub kinds: Vec<String>,
    /// Hit by one of these rules.
    pub rules: Vec<String>,
    /// With these reviews: `unreviewed`, `confirmed`, `false_alarm`.
    pub reviews: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One behaviour in a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BehaviourItem {
    /// `red_packet`, `card`, `sensitive_word` or `friend_deleted`.
    pub kind: String,
    /// The message; null for a deleted friend.
    pub msgid: Option<String>,
    /// When, RFC 3339 in the company's zone.
    pub at: String,
    /// The same, UTC milliseconds.
    #[serde(skip)]
    pub at_ms: i64,
    /// Who did it.
    pub trigger: String,
    /// The room id, or `a|b`.
    pub conversation: String,
    /// Word rules that were hit.
    pub rules: Vec<String>,
    /// Words that were hit.
    pub words: Vec<String>,
    /// `unreviewed`, `confirmed` or `false_alarm`.
    pub review: String,
    /// Stable and unique.
    pub behaviour_id: String,
    /// `employee` or `customer`: the side of who did it.
    pub side: String,
    /// Each word with its rule and `[start, end)` in Unicode scalar values of the text.
    #[schema(value_type = Vec<Object>)]
    pub positions: Vec<Position>,
    /// Who reviewed it last.
    pub reviewer: Option<String>,
    /// When it was reviewed last.
    pub reviewed_at: Option<String>,
    /// The remark of that review.
    pub remark: Option<String>,
}

/// A page of behaviours.
pub struct BehaviourPage {
    /// The behaviours, by time.
    pub items: Vec<BehaviourItem>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// What a rules file would have found.
pub struct Backtest {
    /// The behaviours.
    pub page: BehaviourPage,
    /// What of the file is allowed but most likely not meant.
    pub warnings: Vec<String>,
}

/// Lists the behaviours of a period.
pub async fn behaviours(
    scope: &Scope,
    archive: &Archive,
    params: &BehaviourParams,
) -> Result<BehaviourPage, QuestionError> {
    check(params)?;
    let instants = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let facts = archive.facts().await?;
    let zone = archive.zone();
    // Rows are in order within a day, and days in order.
    let from_ms = after.as_ref().map_or(instants.0, |place| Some(place.first));
    let from_day = from_ms.map(|ms| zone.day_of(ms));
    let to_day = instants.1.map(|ms| zone.day_of(ms - 1));
    let is_wanted_day = |day: NaiveDate| {
        from_day.is_none_or(|from| day >= from) && to_day.is_none_or(|to| day <= to)
    };
    let rows = facts.snapshot.behaviours(is_wanted_day).await?;
    let visible = Wanted::new(scope, &facts, &[], &[]).await?;
    let filter = Filter::new(params, &facts.directory, instants);
    let is_kept = |row: &BehaviourRow| {
        filter.keeps(row) && visible.keeps(&row.conversation, row.at_ms, &row.employees)
    };
    let (items, next) = page(archive, params, after.as_ref(), rows, is_kept)?;
    let as_of = archive
        .as_of_period(scope, facts.messages_version, &facts.directory, instants)
        .await;
    Ok(BehaviourPage { items, next, as_of })
}

/// What a rules file would have found in a period, as if it had always been in force; writes
/// nothing. Needs `all`.
pub async fn backtest(
    scope: &Scope,
    archive: &Archive,
    params: &BehaviourParams,
    file: &str,
) -> Result<Backtest, QuestionError> {
    if !scope.is_all() {
        return Err(QuestionError::Forbidden(
            "testing rules needs a caller whose scope is `all`",
        ));
    }
    check(params)?;
    let instants = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let (_, current) = archive.state()?.rules()?;
    let rules = current
        .replaced_by(file)
        .map_err(|e| QuestionError::Parameter(format!("rules: {e}")))?;
    let directory = archive.directory().await?;
    let warnings = rules.warnings(
        |id| directory.employees.contains_key(id),
        |id| directory.departments.contains_key(id),
    );
    let version = RuleVersion {
        version: 0,
        applied_ms: i64::MIN,
        applied_by: None,
        rules,
    };
    // Which loss was seen when does not matter to rules that were always in force.
    let losses = behaviours::losses_of(&directory).into_iter();
    let losses: Vec<LostRelation> = losses
        .map(|(userid, external_userid, added_ms)| LostRelation {
            userid,
            external_userid,
            added_ms,
            entered_ms: 0,
        })
        .collect();
    let known = Behaviours::new(
        &directory,
        std::slice::from_ref(&version),
        &[],
        archive.zone(),
    );
    let mut rows = behaviours::read(archive.home(), &known, instants).await?;
    known.of_relations(&losses, &mut rows);
    rows.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    rows.dedup_by(|a, b| a.id == b.id);
    let filter = Filter::new(params, &directory, instants);
    let (items, next) = page(archive, params, None, rows, |row| filter.keeps(row))?;
    let messages_version = huicun_engine::archive::messages::open(archive.home())
        .await?
        .map_or(0, |table| table.version());
    let as_of = archive
        .as_of_period(scope, messages_version, &directory, instants)
        .await;
    let page = BehaviourPage { items, next, as_of };
    Ok(Backtest { page, warnings })
}

/// Reviews a behaviour that the caller may see; again at any time.
pub async fn review(
    scope: &Scope,
    archive: &Archive,
    id: &str,
    review: &Review,
) -> Result<(), QuestionError> {
    let row = one(scope, archive, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let reviewed = Reviewed {
        id: row.id,
        trigger: row.trigger,
        at_ms: row.at_ms,
    };
    Ok(archive.state()?.review_behaviour(&reviewed, review)?)
}

/// The reviews of a behaviour that the caller may see, the oldest first.
pub async fn reviews(
    scope: &Scope,
    archive: &Archive,
    id: &str,
) -> Result<Vec<Review>, QuestionError> {
    let reviews = archive.state()?.reviews_of(id)?;
    // What was reviewed once stays told, also where rules or directory no longer make it one.
    if scope.is_all() && !reviews.is_empty() {
        return Ok(reviews);
    }
    match one(scope, archive, id).await? {
        Some(_) => Ok(reviews),
        None => Err(not_found(id)),
    }
}

/// The behaviours that are reviewed as confirmed (违规属实), of all times, by time.
pub(super) async fn confirmed(
    archive: &Archive,
    facts: &Facts,
) -> Result<Vec<Reviewed>, QuestionError> {
    let confirmed = archive.state()?.confirmed_behaviours()?;
    let zone = archive.zone();
    let days: BTreeSet<NaiveDate> = confirmed.iter().map(|b| zone.day_of(b.at_ms)).collect();
    let ids: BTreeSet<&str> = confirmed.iter().map(|b| b.id.as_str()).collect();
    let rows = facts.snapshot.behaviours_of(&ids, &days).await?;
    let mut found: Vec<Reviewed> = rows
        .into_values()
        .map(|row| Reviewed {
            id: row.id,
            trigger: row.trigger,
            at_ms: row.at_ms,
        })
        .collect();
    found.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    Ok(found)
}

/// A behaviour, if there is one with that id that the caller may see.
async fn one(
    scope: &Scope,
    archive: &Archive,
    id: &str,
) -> Result<Option<BehaviourRow>, QuestionError> {
    let facts = archive.facts().await?;
    let ids = BTreeSet::from([id]);
    let mut found = facts.snapshot.behaviours_of(&ids, &BTreeSet::new()).await?;
    let visible = Wanted::new(scope, &facts, &[], &[]).await?;
    let is_visible =
        |row: &BehaviourRow| visible.keeps(&row.conversation, row.at_ms, &row.employees);
    Ok(found.remove(id).filter(is_visible))
}

fn not_found(id: &str) -> QuestionError {
    QuestionError::NotFound {
        what: "behaviour",
        id: id.into(),
    }
}

/// What of a question needs no review.
struct Filter<'a> {
    params: &'a BehaviourParams,
    directory: &'a Directory,
    departments: BTreeSet<String>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

impl<'a> Filter<'a> {
    fn new(
        params: &'a BehaviourParams,
        directory: &'a Directory,
        (from_ms, to_ms): (Option<i64>, Option<i64>),
    ) -> Self {
        let named = params.departments.iter();
        Self {
            params,
            directory,
            departments: named
                .flat_map(|id| directory.departments_below(id))
                .collect(),
            from_ms,
            to_ms,
        }
    }

    fn keeps(&self, row: &BehaviourRow) -> bool {
        let any = |wanted: &[String], of: &dyn Fn(&String) -> bool| {
            wanted.is_empty() || wanted.iter().any(of)
        };
        let was_in = |id: &String| self.directory.was_in(id, &self.departments, row.at_ms);
        self.from_ms.is_none_or(|from| row.at_ms >= from)
            && self.to_ms.is_none_or(|to| row.at_ms < to)
            && any(&self.params.employees, &|id| row.employees.contains(id))
            && (self.params.departments.is_empty() || row.employees.iter().any(was_in))
            && any(&self.params.kinds, &|kind| kind == row.kind.as_str())
            && any(&self.params.rules, &|rule| row.rules.contains(rule))
    }
}

fn check(params: &BehaviourParams) -> Result<(), QuestionError> {
    for kind in &params.kinds {
        if BehaviourKind::parse(kind).is_none() {
            return Err(QuestionError::Parameter(format!(
                "unknown kind `{kind}`; expected `red_packet`, `card`, `sensitive_word` or \
                 `friend_deleted`"
            )));
        }
    }
    for word in &params.reviews {
        if word != "unreviewed" && Verdict::parse(word).is_none() {
            return Err(QuestionError::Parameter(format!(
                "unknown review `{word}`; expected `unreviewed`, `confirmed` or `false_alarm`"
            )));
        }
    }
    Ok(())
}

/// The rows of a page, which are given by time, then id; and where the next one begins.
fn page(
    archive: &Archive,
    params: &BehaviourParams,
    after: Option<&Place>,
    rows: Vec<BehaviourRow>,
    is_kept: impl Fn(&BehaviourRow) -> bool,
) -> Result<(Vec<BehaviourItem>, Option<String>), QuestionError> {
    let reviews: HashMap<String, Vec<Review>> = archive.state()?.behaviour_reviews()?;
    let (mut items, mut last) = (Vec::new(), None);
    for row in rows {
        let is_past = after.is_some_and(|after| (row.at_ms, &row.id) <= (after.first, &after.text));
        let review = reviews.get(&row.id).and_then(|all| all.last());
        let word = word_of(review);
        let is_of_review = params.reviews.is_empty() || params.reviews.iter().any(|r| r == word);
        if is_past || !is_of_review || !is_kept(&row) {
            continue;
        }
        if params.limit != 0 && items.len() == params.limit {
            return Ok((items, last.as_ref().map(Place::to_token)));
        }
        last = Some(Place {
            first: row.at_ms,
            second: 0,
            text: row.id.clone(),
        });
        items.push(item(archive, row, review));
    }
    Ok((items, None))
}

fn word_of(review: Option<&Review>) -> &'static str {
    review.map_or("unreviewed", |review| review.verdict.as_str())
}

fn item(archive: &Archive, row: BehaviourRow, review: Option<&Review>) -> BehaviourItem {
    let zone = archive.zone();
    BehaviourItem {
        kind: row.kind.as_str().into(),
        msgid: row.msgid,
        at: zone.rfc3339_ms(row.at_ms),
        at_ms: row.at_ms,
        trigger: row.trigger,
        conversation: row.conversation,
        rules: row.rules,
        words: row.words,
        review: word_of(review).into(),
        behaviour_id: row.id,
        side: row.side.as_str().into(),
        positions: row.positions,
        reviewer: review.map(|review| review.reviewer.clone()),
        reviewed_at: review.map(|review| zone.rfc3339_ms(review.at_ms)),
        remark: review.and_then(|review| review.remark.clone()),
    }
}

impl BehaviourPage {
    /// How often each rule was hit: once a behaviour.
    pub fn hits_by_rule(&self) -> Table {
        let rules: BTreeSet<&String> = self.items.iter().flat_map(|item| &item.rules).collect();
        let count = |rule: &String, review: &str| {
            let of = |item: &&BehaviourItem| {
                item.rules.contains(rule) && (review.is_empty() || item.review == review)
            };
            json!(self.items.iter().filter(of).count())
        };
        let rows = rules
            .into_iter()
            .map(|rule| {
                vec![
                    json!(rule),
                    count(rule, ""),
                    count(rule, "confirmed"),
                    count(rule, "false_alarm"),
                ]
            })
            .collect();
        let column = Column::new;
        let columns = vec![
            column("rule", "规则", "Rule", ColumnKind::Text),
            column("hits", "命中数", "Hits", ColumnKind::Integer),
            column("confirmed", "违规属实", "Confirmed", ColumnKind::Integer),
            column("false_alarms", "误报", "False alarms", ColumnKind::Integer),
        ];
        Table { columns, rows }
    }

    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let column = Column::new;
        let columns = vec![
            column("kind", "行为", "Kind", ColumnKind::Text),
            column("msgid", "消息 ID", "Message", ColumnKind::Text),
            column("at", "触发时间", "At", ColumnKind::Instant),
            column("trigger", "触发人", "Trigger", ColumnKind::Text),
            column("conversation", "会话", "Conversation", ColumnKind::Text),
            column("rules", "命中规则", "Rules", ColumnKind::TextList),
            column("words", "命中词", "Words", ColumnKind::TextList),
            column("review", "审核", "Review", ColumnKind::Text),
            column("behaviour_id", "行为 ID", "Behaviour", ColumnKind::Text),
            column("side", "触发方", "Side", ColumnKind::Text),
            column("positions", "位置", "Positions", ColumnKind::Json),
            column("reviewer", "审核人", "Reviewer", ColumnKind::Text),
            column("reviewed_at", "审核时间", "Reviewed", ColumnKind::Instant),
            column("remark", "备注", "Remark", ColumnKind::Text),
        ];
        let rows = self.items.into_iter().map(row_of).collect();
        Table { columns, rows }
    }
}

fn row_of(item: BehaviourItem) -> Vec<Value> {
    vec![
        json!(item.kind),
        json!(item.msgid),
        json!(item.at),
        json!(item.trigger),
        json!(item.conversation),
        json!(item.rules),
        json!(item.words),
        json!(item.review),
        json!(item.behaviour_id),
        json!(item.side),
        json!(item.positions),
        json!(item.reviewer),
        json!(item.reviewed_at),
        json!(item.remark),
    ]
}
