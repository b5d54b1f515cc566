//! What makes a cell of a report (semantics 10.9): its facts with their messages, and the cell
//! recomputed from that list alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use huicun_engine::access::Scope;
use huicun_engine::jobs::behaviours::is_about;
use huicun_engine::jobs::period::Names;
use huicun_engine::metrics::Measure;
use huicun_engine::metrics::catalogue::{self, Metric};
use huicun_engine::metrics::cell::Fold;
use huicun_engine::metrics::report::{CellOf, Explained, Inputs, Report as Kind, explain as open};
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::sink::{Behind, Fact, Kept, Part};
use huicun_engine::metrics::tables::FromTables;
use huicun_engine::metrics::unit::Per;
use huicun_engine::tables;
use huicun_semantics::conversation::conversations_of;
use huicun_semantics::counted::is_counted;
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use super::reports::{ReportParams, ask, column_of, per};
use crate::answer::{Column, ColumnKind, Table};

/// Which cell.
#[derive(Clone, Default)]
pub struct ExplainParams {
    /// The question of the report.
    pub report: ReportParams,
    /// The metric.
    pub metric: String,
    /// What the row is about, and its id; the totals row if missing.
    pub unit: Option<(Per, String)>,
    /// The label of the slice, with `by`; the first if missing.
    pub slice: Option<String>,
    /// Facts of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One fact of a cell.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FactItem {
    /// `dialogue`, `reply`, `messages`, `timeout`, `wait`, `call`, `relation`, ...
    pub kind: String,
    /// When it happened or began, RFC 3339 in the company's zone.
    pub at: Option<String>,
    /// When it ended.
    pub until: Option<String>,
    /// The room id, or `a|b`.
    pub conversation: Option<String>,
    /// Whom it concerns.
    pub people: Vec<String>,
    /// Its own id, if it has one.
    pub id: Option<String>,
    /// What it adds above the line; durations in seconds. A thing that is counted once may come
    /// several times: then it adds 0 from the second time on.
    pub numerator: Option<f64>,
    /// What it adds below the line, where there is one.
    pub denominator: Option<f64>,
    /// How long it took, where the metric asks whether that was in time: the numerator is then 1
    /// or 0.
    pub seconds: Option<f64>,
    /// The messages behind it, in order.
    pub message_ids: Vec<String>,
}

/// A cell with the facts behind it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The report.
    pub report: String,
    /// The metric's key.
    pub metric: String,
    /// What it counts.
    pub definition: String,
    /// The same in Chinese.
    pub definition_zh: String,
    /// The row's id; null of the totals row.
    pub unit: Option<String>,
    /// The row's name.
    pub name: Option<String>,
    /// The slice's label.
    pub period: Option<String>,
    /// The days of the cell, both included: first and last, YYYY-MM-DD.
    pub days: [String; 2],
    /// The cell, recomputed from the facts alone.
    pub value: Value,
    /// The facts in the order in which they are added.
    pub items: Vec<FactItem>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
    /// What the numerators are, for people.
    #[serde(skip)]
    pub numerators: ColumnKind,
    /// What the cell is, for people.
    #[serde(skip)]
    pub value_kind: ColumnKind,
}

/// Explains one cell.
pub async fn explain(
    scope: &Scope,
    kind: Kind,
    archive: &Archive,
    params: &ExplainParams,
) -> Result<Explanation, QuestionError> {
    // The name is checked before anything is computed.
    let settings = Settings::of(&archive.rules()?);
    catalogue::pick(kind, &settings, std::slice::from_ref(&params.metric))?;
    unit_fits(kind, params)?;
    let asked = ask(kind, archive, &params.report).await?;
    let name = std::slice::from_ref(&params.metric);
    let metric = catalogue::pick(kind, &asked.settings, name)?
        .pop()
        .ok_or_else(|| not_found("metric", &params.metric))?;
    let skip = match params.cursor.as_deref().map(Place::of_token).transpose()? {
        Some(place) => usize::try_from(place.first).map_err(|_| Place::unknown())?,
        None => 0,
    };
    let unit = params.unit.as_ref().map(|(_, id)| id.clone());
    let cell = CellOf {
        unit: unit.clone(),
        slice: params.slice.clone(),
    };
    let facts = Arc::clone(&asked.facts);
    let (asker, wanted) = (scope.clone(), metric.clone());
    let confirmed = super::behaviours::confirmed(archive, &asked.facts).await?;
    let zone = asked.settings.zone;
    let opened = tokio::task::spawn_blocking(move || {
        let inputs = Inputs {
            directory: &asked.facts.directory,
            settings: &asked.settings,
            source: &FromTables {
                facts: &asked.facts,
                now_ms: asked.question.now_ms,
                confirmed,
                zone,
            },
            progress: &|_, _| {},
        };
        open(
            kind,
            asked.per,
            &asker,
            &asked.question,
            &wanted,
            &cell,
            &inputs,
        )
    })
    .await
    .map_err(|_| QuestionError::Interrupted)??;
    let opened = opened.ok_or_else(|| {
        let slice = params.slice.iter().map(|s| format!(" in {s}"));
        let unit = unit.as_deref().unwrap_or("total");
        not_found("row", &format!("{unit}{}", slice.collect::<String>()))
    })?;
    let found = merged(&metric, &opened.parts);
    let total = found.len();
    let limit = if params.limit == 0 {
        usize::MAX
    } else {
        params.limit
    };
    let page: Vec<Shown<'_>> = found.into_iter().skip(skip).take(limit).collect();
    let end = skip + page.len();
    let messages = messages_behind(archive, &page, &opened.names).await?;
    let instants = (
        Some(opened.days.start_ms(zone)),
        Some(opened.days.end_ms(zone)),
    );
    let as_of = archive
        .as_of_period(scope, facts.messages_version, &facts.directory, instants)
        .await;
    let items = page
        .iter()
        .zip(messages)
        .map(|(shown, ids)| item(zone, shown, ids, &opened))
        .collect();
    let next = (end < total && limit != usize::MAX).then(|| {
        let place = Place {
            first: end as i64,
            second: 0,
            text: String::new(),
        };
        place.to_token()
    });
    Ok(Explanation {
        report: kind.to_string(),
        metric: metric.json_key(),
        definition: metric.definition.clone(),
        definition_zh: metric.definition_zh.clone(),
        unit,
        name: opened.unit.name.clone(),
        period: opened.period.clone(),
        days: [opened.days.from, opened.days.to].map(|day| day.format("%Y-%m-%d").to_string()),
        numerators: match is_duration(metric.fold) {
            true => ColumnKind::Seconds,
            false => ColumnKind::Number,
        },
        value_kind: column_of(&metric).kind,
        value: opened.value.to_json(),
        items,
        total: total as u64,
        next,
        as_of,
    })
}

/// Refuses a row of another kind: `4` may be a department and a store.
fn unit_fits(kind: Kind, params: &ExplainParams) -> Result<(), QuestionError> {
    let rows = per(kind, params.report.per.as_deref())?;
    let word = |per| match per {
        Per::Employee => "employee",
        Per::Department => "department",
        Per::Store => "store",
        Per::Group => "group",
        Per::Company => "company",
    };
    let wrong = params.unit.as_ref().filter(|(named, _)| *named != rows);
    let Some((named, _)) = wrong else {
        return Ok(());
    };
    let expected = match rows {
        Per::Company => "none: its only row is the company's".to_owned(),
        rows => format!("`{}`", word(rows)),
    };
    Err(QuestionError::Parameter(format!(
        "`{}` names no row of report {kind}: expected {expected}",
        word(*named),
    )))
}

fn not_found(what: &'static str, id: &str) -> QuestionError {
    QuestionError::NotFound {
        what,
        id: id.to_owned(),
    }
}

/// A fact with what it adds above and below the line.
struct Shown<'a> {
    fact: &'a Fact,
    numerator: Option<f64>,
    denominator: Option<f64>,
    seconds: Option<f64>,
}

/// The parts by fact: what one fact adds above and below the line stands in one row.
fn merged<'a>(metric: &Metric, parts: &'a [Part]) -> Vec<Shown<'a>> {
    let measures = metric.fold.measures();
    let (above, below) = (measures[0], measures.get(1).copied());
    let mut shown: Vec<Shown<'a>> = Vec::new();
    let mut last_of: HashMap<Key<'a>, usize> = HashMap::new();
    let mut counted: HashSet<(Measure, u64)> = HashSet::new();
    for part in parts {
        // What is counted once adds nothing where it comes again, so that the listed amounts add
        // up to the cell.
        let is_again = match &part.amount {
            Kept::Keyed(key, _) => !counted.insert((part.measure, *key)),
            _ => false,
        };
        let amount = if is_again {
            0.0
        } else {
            amount(metric.fold, part)
        };
        let (numerator, denominator, seconds) = match (metric.fold, below) {
            (Fold::Within(_, minutes), _) => {
                let is_in_time = amount <= f64::from(minutes) * 60.0;
                (
                    Some(f64::from(u8::from(is_in_time))),
                    Some(1.0),
                    Some(amount),
                )
            }
            (_, Some(below)) if below == part.measure && above != below => {
                (None, Some(amount), None)
            }
            _ => (Some(amount), None, None),
        };
        let key = key_of(&part.fact);
        let open = last_of.get(&key).copied().filter(|at| {
            let there = &shown[*at];
            (numerator.is_none() || there.numerator.is_none())
                && (denominator.is_none() || there.denominator.is_none())
        });
        match open {
            Some(at) => {
                shown[at].numerator = shown[at].numerator.or(numerator);
                shown[at].denominator = shown[at].denominator.or(denominator);
            }
            None => {
                last_of.insert(key, shown.len());
                shown.push(Shown {
                    fact: &part.fact,
                    numerator,
                    denominator,
                    seconds,
                });
            }
        }
    }
    shown
}

/// Whether what stands above the line is a duration.
fn is_duration(fold: Fold) -> bool {
    matches!(
        fold,
        Fold::Millis(_) | Fold::MeanMillis(..) | Fold::MeanOfMeans(_) | Fold::Percentile(..)
    )
}

type Key<'a> = (
    u8,
    Option<i64>,
    Option<i64>,
    Option<u32>,
    Option<u32>,
    &'a [u32],
);

fn key_of(fact: &Fact) -> Key<'_> {
    (
        fact.kind as u8,
        fact.at_ms,
        fact.until_ms,
        fact.conversation,
        fact.id,
        &fact.people,
    )
}

/// What a part adds; durations in seconds.
fn amount(fold: Fold, part: &Part) -> f64 {
    let is_duration = match fold {
        Fold::MeanMillis(above, _) => part.measure == above,
        Fold::Within(..) => true,
        fold => is_duration(fold),
    };
    let whole = match &part.amount {
        Kept::Whole(n) | Kept::Keyed(_, n) | Kept::Value(n) | Kept::Word(_, n) => *n as f64,
        Kept::Fraction(fraction) => *fraction,
    };
    if is_duration { whole / 1000.0 } else { whole }
}

fn item(zone: Zone, shown: &Shown<'_>, message_ids: Vec<String>, opened: &Explained) -> FactItem {
    let name = |id: u32| opened.names.name(id).to_owned();
    let fact = shown.fact;
    let mut people: Vec<String> = Vec::new();
    for id in &fact.people {
        let person = name(*id);
        if !people.contains(&person) {
            people.push(person);
        }
    }
    FactItem {
        kind: fact.kind.as_str().into(),
        at: fact.at_ms.map(|ms| zone.rfc3339_ms(ms)),
        until: fact.until_ms.map(|ms| zone.rfc3339_ms(ms)),
        conversation: fact.conversation.map(name),
        people,
        id: fact.id.map(name),
        numerator: shown.numerator,
        denominator: shown.denominator,
        seconds: shown.seconds,
        message_ids,
    }
}

/// A message as it stands behind facts.
struct Message {
    at_ms: i64,
    seq: i64,
    msgid: String,
    from: String,
}

/// Which messages are looked for.
#[derive(Default)]
struct Wanted<'a> {
    /// Whole conversations.
    conversations: BTreeSet<&'a str>,
    /// Who may speak in the pairs among them: other rows need no look at their receivers.
    people: BTreeSet<&'a str>,
    /// Single messages by sender and time.
    causes: BTreeSet<(&'a str, i64)>,
    first_ms: i64,
    last_ms: i64,
}

impl<'a> Wanted<'a> {
    fn behind(page: &[Shown<'_>], names: &'a Names) -> Self {
        let mut wanted = Self {
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            ..Self::default()
        };
        for fact in page.iter().map(|shown| shown.fact) {
            let Some(at_ms) = fact.at_ms else {
                continue;
            };
            match (fact.behind, fact.conversation) {
                (Behind::All | Behind::OfSpeaker | Behind::Ends, Some(conversation)) => {
                    let id = names.name(conversation);
                    wanted.conversations.insert(id);
                    // An id with a bar in it may stand on either side of each.
                    for (at, _) in id.match_indices('|') {
                        wanted.people.extend([&id[..at], &id[at + 1..]]);
                    }
                }
                (Behind::Cause, _) => {
                    let who = fact.people.first();
                    wanted.causes.extend(who.map(|id| (names.name(*id), at_ms)));
                }
                _ => continue,
            }
            wanted.first_ms = wanted.first_ms.min(at_ms);
            wanted.last_ms = wanted.last_ms.max(fact.until_ms.unwrap_or(at_ms));
        }
        wanted
    }

    fn is_nothing(&self) -> bool {
        self.first_ms > self.last_ms
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    conversations: BTreeMap<String, Vec<Message>>,
    /// By sender and time.
    causes: BTreeMap<(String, i64), Vec<String>>,
}

/// The messages behind each fact of a page: one read of `messages` over their times.
async fn messages_behind(
    archive: &Archive,
    page: &[Shown<'_>],
    names: &Names,
) -> Result<Vec<Vec<String>>, QuestionError> {
    let wanted = Wanted::behind(page, names);
    let found = match wanted.is_nothing() {
        true => Found::default(),
        false => read(archive, &wanted).await?,
    };
    let of = |shown: &Shown<'_>| behind(shown.fact, &found, names);
    Ok(page.iter().map(of).collect())
}

fn behind(fact: &Fact, found: &Found, names: &Names) -> Vec<String> {
    if fact.behind == Behind::Named {
        return fact.id.iter().map(|id| names.name(*id).into()).collect();
    }
    let Some(at_ms) = fact.at_ms else {
        return Vec::new();
    };
    let who = fact.people.first().map(|id| names.name(*id));
    if let (Behind::Cause, Some(who), Some(id)) = (fact.behind, who, fact.id) {
        let sent = found.causes.get(&(who.to_owned(), at_ms));
        let is_about = |msgid: &&String| is_about(names.name(id), msgid);
        return sent
            .into_iter()
            .flatten()
            .filter(is_about)
            .cloned()
            .collect();
    }
    let all = fact
        .conversation
        .and_then(|id| found.conversations.get(names.name(id)));
    let Some(all) = all else {
        return Vec::new();
    };
    let until_ms = fact.until_ms.unwrap_or(at_ms);
    let from = all.partition_point(|m| m.at_ms < at_ms);
    let to = all.partition_point(|m| m.at_ms <= until_ms);
    let within = &all[from..to.max(from)];
    let id_of = |m: &Message| m.msgid.clone();
    match fact.behind {
        Behind::All => within.iter().map(id_of).collect(),
        Behind::OfSpeaker => {
            let own = within.iter().filter(|m| Some(m.from.as_str()) == who);
            own.map(id_of).collect()
        }
        Behind::Ends => {
            let is_own = |m: &&Message| Some(m.from.as_str()) == who;
            let asked = within.iter().find(|m| m.at_ms == at_ms && !is_own(m));
            let answered = within.iter().find(|m| m.at_ms == until_ms && is_own(m));
            asked.into_iter().chain(answered).map(id_of).collect()
        }
        Behind::Nothing | Behind::Named | Behind::Cause => Vec::new(),
    }
}

fn failed(error: impl Into<DataFusionError>) -> QuestionError {
    QuestionError::Facts(huicun_engine::jobs::derive::DeriveError::Read(error.into()))
}

/// The rows in whose files and times the wanted messages lie, with the columns that are looked at.
async fn rows(
    archive: &Archive,
    (first_ms, last_ms): (i64, i64),
) -> Result<SendableRecordBatchStream, QuestionError> {
    let ctx = tables::open(archive.home()).await?.session().await?;
    let at = |ms: i64| {
        let us = Some(ms.saturating_mul(1000));
        lit(ScalarValue::TimestampMicrosecond(us, Some("UTC".into())))
    };
    // A file's day is that of the zone in force when it was written: at most one beside UTC's.
    let day = |ms: i64, beside: i32| {
        let day = i32::try_from(ms.div_euclid(86_400_000)).unwrap_or(0);
        lit(ScalarValue::Date32(Some(day.saturating_add(beside))))
    };
    let frame = ctx.table("messages").await.map_err(failed)?;
    frame
        .filter(col("day").between(day(first_ms, -1), day(last_ms, 1)))
        .and_then(|t| t.filter(col("status").eq(lit("ok"))))
        .and_then(|t| t.filter(col("msgtime").between(at(first_ms), at(last_ms))))
        .and_then(|t| {
            t.select_columns(&[
                "seq", "msgid", "action", "msgtype", "msgtime", "from_id", "to_ids", "room_id",
            ])
        })
        .map_err(failed)?
        .execute_stream()
        .await
        .map_err(failed)
}

/// The wanted messages: counted ones of conversations, in order, and single ones of any kind.
async fn read(archive: &Archive, wanted: &Wanted<'_>) -> Result<Found, QuestionError> {
    let directory = archive.directory().await?;
    let mut stream = rows(archive, (wanted.first_ms, wanted.last_ms)).await?;
    let mut found = Found::default();
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        let column = |name: &str| batch.column_by_name(name).ok_or(QuestionError::Interrupted);
        let text = |name: &str| -> Result<StringArray, QuestionError> {
            let cast = cast(column(name)?, &DataType::Utf8).map_err(failed)?;
            Ok(cast.as_string::<i32>().clone())
        };
        let (msgid, action, kind) = (text("msgid")?, text("action")?, text("msgtype")?);
        let (from, room) = (text("from_id")?, text("room_id")?);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let time = cast(column("msgtime")?, &micros).map_err(failed)?;
        let time = time.as_primitive::<TimestampMicrosecondType>();
        let seq = cast(column("seq")?, &DataType::Int64).map_err(failed)?;
        let seq = seq.as_primitive::<Int64Type>();
        let lists = column("to_ids")?.as_list::<i32>();
        let receivers = cast(lists.values(), &DataType::Utf8).map_err(failed)?;
        let receivers = receivers.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let (sender, at_ms) = (from.value(row), time.value(row) / 1000);
            if wanted.causes.contains(&(sender, at_ms)) {
                let key = (sender.to_owned(), at_ms);
                let sent = found.causes.entry(key).or_default();
                sent.push(msgid.value(row).to_owned());
            }
            let room = match room.is_valid(row) {
                true => room.value(row),
                false => "",
            };
            let may_be_wanted = match room {
                "" => wanted.people.contains(sender),
                room => wanted.conversations.contains(room),
            };
            let role = directory.role(sender);
            if !may_be_wanted
                || role == Role::Robot
                || !is_counted(action.value(row), kind.value(row), role)
            {
                continue;
            }
            let offsets = lists.value_offsets();
            let to = offsets[row] as usize..offsets[row + 1] as usize;
            let to = to.filter(|at| receivers.is_valid(*at));
            let to: Vec<&str> = to.map(|at| receivers.value(at)).collect();
            for conversation in conversations_of(sender, &to, room) {
                if wanted.conversations.contains(conversation.as_str()) {
                    let messages = found.conversations.entry(conversation).or_default();
                    messages.push(Message {
                        at_ms,
                        seq: seq.value(row),
                        msgid: msgid.value(row).to_owned(),
                        from: sender.to_owned(),
                    });
                }
            }
        }
    }
    for messages in found.conversations.values_mut() {
        messages.sort_by(|a, b| (a.at_ms, a.seq, &a.msgid).cmp(&(b.at_ms, b.seq, &b.msgid)));
    }
    Ok(found)
}

impl FactItem {
    /// The cells of its row, in the order of the columns of [`Explanation::table`].
    fn cells(&self) -> Vec<Value> {
        let text = |text: &Option<String>| json!(text);
        vec![
            json!(self.kind),
            text(&self.at),
            text(&self.until),
            text(&self.conversation),
            json!(self.people),
            text(&self.id),
            json!(self.numerator),
            json!(self.denominator),
            json!(self.seconds),
            json!(self.message_ids),
        ]
    }
}

impl Explanation {
    /// The facts as a table.
    pub fn table(&self) -> Table {
        let text = |key: &str, zh: &str, en: &str| Column::new(key, zh, en, ColumnKind::Text);
        let kind = |key: &str, zh: &str, en: &str, kind| Column::new(key, zh, en, kind);
        let columns = vec![
            text("kind", "事实", "Fact"),
            kind("at", "时间", "At", ColumnKind::Instant),
            kind("until", "至", "Until", ColumnKind::Instant),
            text("conversation", "会话", "Conversation"),
            kind("people", "人员", "People", ColumnKind::TextList),
            text("id", "编号", "Id"),
            kind("numerator", "分子", "Numerator", self.numerators),
            kind("denominator", "分母", "Denominator", ColumnKind::Number),
            kind("seconds", "用时", "Took", ColumnKind::Seconds),
            kind("message_ids", "消息", "Messages", ColumnKind::TextList),
        ];
        Table {
            rows: self.items.iter().map(FactItem::cells).collect(),
            columns,
        }
    }
}
