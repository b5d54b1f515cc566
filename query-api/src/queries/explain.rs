//! What makes a cell of a report (semantics 10.9): its facts with their messages, and the cell
//! recomputed from that list alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use huicun_engine::access::Scope;
use huicun_engine::jobs::period::Names;
use huicun_engine::metrics::Measure;
use huicun_engine::metrics::catalogue::{self, Metric};
use huicun_engine::metrics::cell::Fold;
use huicun_engine::metrics::report::{CellOf, Explained, Inputs, Report as Kind, explain as open};
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::sink::{Behind, Fact, Kept, Part};
use huicun_engine::metrics::tables::FromTables;
use huicun_engine::tables;
use huicun_semantics::conversation::conversations_of;
use huicun_semantics::counted::is_counted;
use huicun_semantics::role::Role;
use serde::Serialize;
use serde_json::Value;

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use super::reports::{ReportParams, ask};
use crate::answer::{Column, ColumnKind, Table};

/// Which cell.
#[derive(Clone, Default)]
pub struct ExplainParams {
    /// The question of the report.
    pub report: ReportParams,
    /// The metric.
    pub metric: String,
    /// The id of the row; the totals row if missing.
    pub unit: Option<String>,
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
    #[schema(value_type = Object)]
    pub numerator: Option<f64>,
    /// What it adds below the line, where there is one.
    #[schema(value_type = Object)]
    pub denominator: Option<f64>,
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
    /// The cell, recomputed from the facts alone.
    #[schema(value_type = Object)]
    pub value: Value,
    /// The facts in the order in which they are added.
    pub items: Vec<FactItem>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
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
    let asked = ask(kind, archive, &params.report).await?;
    let name = std::slice::from_ref(&params.metric);
    let metric = catalogue::pick(kind, &asked.settings, name)?
        .pop()
        .ok_or_else(|| not_found("metric", &params.metric))?;
    let skip = match params.cursor.as_deref().map(Place::of_token).transpose()? {
        Some(place) => usize::try_from(place.first).map_err(|_| Place::unknown())?,
        None => 0,
    };
    let cell = CellOf {
        unit: params.unit.clone(),
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
        let unit = params.unit.as_deref().unwrap_or("total");
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
    let items = page
        .iter()
        .zip(messages)
        .map(|(shown, ids)| item(archive, shown, ids, &opened))
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
        unit: params.unit.clone(),
        name: opened.unit.name.clone(),
        period: opened.period.clone(),
        value: opened.value.to_json(),
        items,
        total: total as u64,
        next,
        as_of: archive.as_of(facts.messages_version, &facts.directory),
    })
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
        let (numerator, denominator) = match below {
            Some(below) if below == part.measure && above != below => (None, Some(amount)),
            _ => (Some(amount), None),
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
                });
            }
        }
    }
    shown
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
        Fold::Millis(_) | Fold::MeanOfMeans(_) | Fold::Percentile(..) | Fold::Within(..) => true,
        Fold::MeanMillis(above, _) => part.measure == above,
        _ => false,
    };
    let whole = match &part.amount {
        Kept::Whole(n) | Kept::Keyed(_, n) | Kept::Value(n) | Kept::Word(_, n) => *n as f64,
        Kept::Fraction(fraction) => *fraction,
    };
    if is_duration { whole / 1000.0 } else { whole }
}

fn item(
    archive: &Archive,
    shown: &Shown<'_>,
    message_ids: Vec<String>,
    opened: &Explained,
) -> FactItem {
    let zone = archive.zone();
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

/// The messages behind each fact of a page: one read of `messages` over their times.
async fn messages_behind(
    archive: &Archive,
    page: &[Shown<'_>],
    names: &Names,
) -> Result<Vec<Vec<String>>, QuestionError> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
    for fact in page.iter().map(|s| s.fact) {
        let needs = matches!(fact.behind, Behind::All | Behind::OfSpeaker | Behind::Ends);
        if let (true, Some(conversation), Some(at_ms)) = (needs, fact.conversation, fact.at_ms) {
            wanted.insert(names.name(conversation));
            first_ms = first_ms.min(at_ms);
            last_ms = last_ms.max(fact.until_ms.unwrap_or(at_ms));
        }
    }
    let messages = if wanted.is_empty() {
        BTreeMap::new()
    } else {
        read(archive, &wanted, (first_ms, last_ms)).await?
    };
    let of = |shown: &Shown<'_>| behind(shown.fact, &messages, names);
    Ok(page.iter().map(of).collect())
}

fn behind(fact: &Fact, messages: &BTreeMap<String, Vec<Message>>, names: &Names) -> Vec<String> {
    if fact.behind == Behind::Named {
        return fact.id.iter().map(|id| names.name(*id).into()).collect();
    }
    let (Some(conversation), Some(at_ms)) = (fact.conversation, fact.at_ms) else {
        return Vec::new();
    };
    let until_ms = fact.until_ms.unwrap_or(at_ms);
    let Some(all) = messages.get(names.name(conversation)) else {
        return Vec::new();
    };
    let from = all.partition_point(|m| m.at_ms < at_ms);
    let to = all.partition_point(|m| m.at_ms <= until_ms);
    let within = &all[from..to.max(from)];
    let who = fact.people.first().map(|id| names.name(*id));
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
        Behind::Nothing | Behind::Named => Vec::new(),
    }
}

/// The counted messages of some conversations between two instants, both included, in order.
async fn read(
    archive: &Archive,
    wanted: &BTreeSet<&str>,
    (first_ms, last_ms): (i64, i64),
) -> Result<BTreeMap<String, Vec<Message>>, QuestionError> {
    let directory = archive.directory().await?;
    let opened = tables::open(archive.home()).await?;
    let ctx = opened.session().await?;
    let at = |ms: i64| {
        let us = ms.saturating_mul(1000);
        lit(ScalarValue::TimestampMicrosecond(
            Some(us),
            Some("UTC".into()),
        ))
    };
    let failed = |e| QuestionError::Facts(huicun_engine::jobs::derive::DeriveError::Read(e));
    let frame = ctx
        .table("messages")
        .await
        .and_then(|t| t.filter(col("status").eq(lit("ok"))))
        .and_then(|t| t.filter(col("msgtime").between(at(first_ms), at(last_ms))))
        .and_then(|t| {
            t.select_columns(&[
                "seq", "msgid", "action", "msgtype", "msgtime", "from_id", "to_ids", "room_id",
            ])
        })
        .map_err(failed)?;
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    let mut found: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        let text = |name: &str| -> Result<StringArray, QuestionError> {
            let column = batch
                .column_by_name(name)
                .ok_or(QuestionError::Interrupted)?;
            let cast = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)
                .map_err(|e| failed(e.into()))?;
            Ok(cast.as_string::<i32>().clone())
        };
        let number = |name: &str| batch.column_by_name(name).ok_or(QuestionError::Interrupted);
        let (msgid, action, kind) = (text("msgid")?, text("action")?, text("msgtype")?);
        let (from, room) = (text("from_id")?, text("room_id")?);
        let micros =
            arrow::datatypes::DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let time =
            arrow::compute::cast(number("msgtime")?, &micros).map_err(|e| failed(e.into()))?;
        let time = time.as_primitive::<TimestampMicrosecondType>();
        let seq = arrow::compute::cast(number("seq")?, &arrow::datatypes::DataType::Int64)
            .map_err(|e| failed(e.into()))?;
        let seq = seq.as_primitive::<Int64Type>();
        let to_ids = number("to_ids")?.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let role = directory.role(from.value(row));
            if role == Role::Robot || !is_counted(action.value(row), kind.value(row), role) {
                continue;
            }
            let to = arrow::compute::cast(&to_ids.value(row), &arrow::datatypes::DataType::Utf8)
                .map_err(|e| failed(e.into()))?;
            let to: Vec<&str> = to.as_string::<i32>().iter().flatten().collect();
            let room = if room.is_valid(row) {
                room.value(row)
            } else {
                ""
            };
            for conversation in conversations_of(from.value(row), &to, room) {
                if wanted.contains(conversation.as_str()) {
                    found.entry(conversation).or_default().push(Message {
                        at_ms: time.value(row) / 1000,
                        seq: seq.value(row),
                        msgid: msgid.value(row).to_owned(),
                        from: from.value(row).to_owned(),
                    });
                }
            }
        }
    }
    for messages in found.values_mut() {
        messages.sort_by(|a, b| (a.at_ms, a.seq, &a.msgid).cmp(&(b.at_ms, b.seq, &b.msgid)));
    }
    Ok(found)
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
            kind("numerator", "分子", "Numerator", ColumnKind::Number),
            kind("denominator", "分母", "Denominator", ColumnKind::Number),
            kind("message_ids", "消息", "Messages", ColumnKind::TextList),
        ];
        let rows = self.items.iter().map(|item| {
            columns
                .iter()
                .map(|column| {
                    let item = serde_json::to_value(item).unwrap_or_default();
                    item.get(&column.key).cloned().unwrap_or_default()
                })
                .collect()
        });
        Table {
            rows: rows.collect(),
            columns,
        }
    }
}
