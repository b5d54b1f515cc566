//! The completeness ledger (账本): per source what is in the archive, what is not, and why.
//!
//! A question of operators and auditors: it names sources, seqs and reasons of the whole company, so
//! it needs the scope `all`.

use std::collections::BTreeMap;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::archive::ledger::{Ledger, Missing, Parking, SourceLedger, Why};
use huicun_engine::archive::messages;
use huicun_engine::state::lost_media::LostMedia;
use huicun_engine::state::pulls::{Outage, PullRecord, Silence, WINDOW_MS};
use huicun_semantics::time::Zone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::page::Place;
use crate::answer::{Column, ColumnKind, Table};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct LedgerParams {
    /// Only these sources.
    pub sources: Vec<String>,
    /// Only these kinds of entry.
    pub kinds: Vec<String>,
    /// Only what touches the time from this day on; summaries always.
    pub from: Option<String>,
    /// Up to this day.
    pub to: Option<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// The kinds of entries, in the order in which they are listed.
pub const KINDS: [&str; 5] = ["summary", "gap", "quarantined", "media_lost", "outage"];

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LedgerItem {
    /// The corp, or the name given to an import.
    pub source: String,
    /// `summary`, `gap`, `quarantined`, `media_lost` or `outage`.
    pub kind: String,
    /// First seq.
    pub seq_from: Option<i64>,
    /// Last seq.
    pub seq_to: Option<i64>,
    /// Rows of a source; missing seqs of a gap; records; files.
    pub n: Option<u64>,
    /// From when: the earlier of the neighbouring messages' times. RFC 3339 in the company's zone.
    pub from: Option<String>,
    /// Until when; null while it lasts, or where nothing follows.
    pub to: Option<String>,
    /// One stable word.
    pub reason: String,
    /// What else there is to say.
    pub detail: Option<String>,
    /// The cursor, in a summary.
    pub cursor: Option<i64>,
    /// Records that came, in a summary.
    pub delivered: Option<u64>,
    /// Readable messages.
    pub archived: Option<u64>,
    /// Records in the quarantine today.
    pub quarantined: Option<u64>,
    /// Records that were there already.
    pub deduplicated: Option<u64>,
    /// Whether delivered is archived + quarantined + deduplicated, and the table holds just that.
    pub balanced: Option<bool>,
}

/// A page of the ledger.
pub struct LedgerPage {
    /// The entries, by source and kind.
    pub items: Vec<LedgerItem>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// An entry with its instants, for filters and order.
struct Entry {
    item: LedgerItem,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

/// Lists the ledger.
pub async fn ledger(
    scope: &Scope,
    archive: &Archive,
    params: &LedgerParams,
) -> Result<LedgerPage, QuestionError> {
    if !scope.is_all() {
        return Err(QuestionError::Forbidden(
            "the ledger needs a caller whose scope is `all`",
        ));
    }
    if let Some(unknown) = params.kinds.iter().find(|k| !KINDS.contains(&k.as_str())) {
        return Err(QuestionError::Parameter(format!(
            "`{unknown}` is no kind of entry; expected {}",
            KINDS.join(", ")
        )));
    }
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let (ledger, silences) = archive.ledger_and_pulls().await?;
    let cursors = cursors(archive, &ledger).await?;
    let mut entries = Vec::new();
    for (source, page) in &ledger.sources {
        let cursor = cursors.get(source).copied();
        entries.push(summary(source, page, cursor, ledger.n_unread, &silences));
        entries.extend(holes_in_seqs(source, page, &silences));
    }
    entries.extend(silences.entries(now_ms()));
    entries.extend(archive.lost_media()?.iter().map(lost));
    let mut placed: Vec<(Place, LedgerItem)> = entries
        .into_iter()
        .filter(|e| params.sources.is_empty() || params.sources.contains(&e.item.source))
        .filter(|e| params.kinds.is_empty() || params.kinds.contains(&e.item.kind))
        .filter(|e| e.item.kind == "summary" || touches(e.from_ms, e.to_ms, from_ms, to_ms))
        .map(|e| e.placed(archive.zone()))
        .collect();
    placed.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    let mut rest = placed.into_iter().filter(|(place, _)| {
        after
            .as_ref()
            .is_none_or(|after| order(place) > order(after))
    });
    let limit = if params.limit == 0 {
        usize::MAX
    } else {
        params.limit
    };
    let page: Vec<(Place, LedgerItem)> = rest.by_ref().take(limit).collect();
    let next = match (page.last(), rest.next()) {
        (Some((place, _)), Some(_)) => Some(place.to_token()),
        _ => None,
    };
    let directory = archive.directory().await?;
    Ok(LedgerPage {
        items: page.into_iter().map(|(_, item)| item).collect(),
        next,
        as_of: archive.as_of(ledger.version, &directory),
    })
}

/// Whether a stretch of time, open where an end is missing, touches `[from, to)`.
pub(super) fn touches(
    begins: Option<i64>,
    ends: Option<i64>,
    from: Option<i64>,
    to: Option<i64>,
) -> bool {
    let begins_in_time = begins.zip(to).is_none_or(|(begins, to)| begins < to);
    let ends_in_time = ends.zip(from).is_none_or(|(ends, from)| ends >= from);
    begins_in_time && ends_in_time
}

fn order(place: &Place) -> (&str, i64, i64) {
    (place.text.as_str(), place.first, place.second)
}

impl Entry {
    fn placed(self, zone: Zone) -> (Place, LedgerItem) {
        let mut item = self.item;
        item.from = self.from_ms.map(|ms| zone.rfc3339_ms(ms));
        item.to = self.to_ms.map(|ms| zone.rfc3339_ms(ms));
        let rank = KINDS.iter().position(|kind| *kind == item.kind);
        let place = Place {
            first: 0,
            second: item.seq_from.or(self.from_ms).unwrap_or(0),
            // Ordered first: source, then kind.
            text: format!("{}\0{}\0", item.source, rank.unwrap_or(KINDS.len())),
        };
        // Reasons tell entries apart that begin at the same place.
        let first = fnv(&item.reason, item.detail.as_deref().unwrap_or_default());
        (
            Place {
                first: place.second,
                second: first,
                ..place
            },
            item,
        )
    }
}

/// A number that tells two reasons apart; nothing more.
fn fnv(reason: &str, detail: &str) -> i64 {
    let bytes = reason.bytes().chain(detail.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 1) as i64
}

async fn cursors(
    archive: &Archive,
    ledger: &Ledger,
) -> Result<BTreeMap<String, i64>, QuestionError> {
    let mut found = BTreeMap::new();
    let Some(table) = messages::open(archive.home()).await? else {
        return Ok(found);
    };
    for source in ledger.sources.keys() {
        if let Some(cursor) = table.transaction(source).await? {
            found.insert(source.clone(), cursor);
        }
    }
    Ok(found)
}

fn summary(
    source: &str,
    page: &SourceLedger,
    cursor: Option<i64>,
    n_unread: u64,
    silences: &Silences,
) -> Entry {
    let imbalance = page.imbalance();
    let detail = match (&imbalance, n_unread) {
        (imbalance, n) if n > 0 => Some(format!(
            "the account of {n} commits is lost, their log entries are gone{}",
            imbalance
                .as_ref()
                .map(|text| format!("; {text}"))
                .unwrap_or_default()
        )),
        (Some(text), _) => Some(text.clone()),
        (None, _) => silences.answered(source),
    };
    let times = page.rows.times_ms;
    let seqs = page.seqs();
    let account = &page.account;
    Entry {
        from_ms: times.map(|(first, _)| first),
        to_ms: times.map(|(_, last)| last),
        item: LedgerItem {
            source: source.into(),
            kind: "summary".into(),
            seq_from: seqs.map(|(first, _)| first),
            seq_to: seqs.map(|(_, last)| last),
            n: Some(page.rows.n_readable + page.rows.n_quarantined),
            reason: if imbalance.is_none() {
                "balanced"
            } else {
                "unbalanced"
            }
            .into(),
            detail,
            cursor,
            delivered: Some(account.delivered),
            archived: Some(account.archived),
            quarantined: Some(account.quarantined),
            deduplicated: Some(account.deduplicated),
            balanced: Some(imbalance.is_none()),
            ..LedgerItem::default()
        },
    }
}

/// The word for a gap: one in which a silence was longer than WeCom keeps messages has its cause.
fn gap_reason(source: &str, missing: &Missing, silences: &Silences) -> &'static str {
    let is_explained = silences.outages.iter().any(|outage| {
        outage.source == source
            && outage.to_ms - outage.from_ms >= WINDOW_MS
            && touches(
                missing.from_ms,
                missing.to_ms,
                Some(outage.from_ms),
                Some(outage.to_ms),
            )
    });
    if is_explained {
        "past_window"
    } else {
        "not_delivered"
    }
}

fn holes_in_seqs(source: &str, page: &SourceLedger, silences: &Silences) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut parked: BTreeMap<Parking, (Option<i64>, Option<i64>)> = BTreeMap::new();
    for missing in &page.missing {
        let reason = match &missing.why {
            Why::Deduplicated => "deduplicated",
            Why::NotDelivered => gap_reason(source, missing, silences),
            Why::Quarantined(parking) => {
                let times = parked
                    .entry(parking.clone())
                    .or_insert((missing.from_ms, missing.to_ms));
                // An open end stays open.
                times.0 = times.0.zip(missing.from_ms).map(|(a, b)| a.min(b));
                times.1 = times.1.zip(missing.to_ms).map(|(a, b)| a.max(b));
                continue;
            }
        };
        found.push(Entry {
            from_ms: missing.from_ms,
            to_ms: missing.to_ms,
            item: LedgerItem {
                source: source.into(),
                kind: "gap".into(),
                seq_from: Some(missing.seqs.0),
                seq_to: Some(missing.seqs.1),
                n: Some(missing.n),
                reason: reason.into(),
                ..LedgerItem::default()
            },
        });
    }
    for (parking, n, seqs) in page.rows.parked() {
        let (from_ms, to_ms) = parked.get(parking).copied().unwrap_or_default();
        let version = parking.publickey_ver;
        found.push(Entry {
            from_ms,
            to_ms,
            item: LedgerItem {
                source: source.into(),
                kind: "quarantined".into(),
                seq_from: seqs.map(|(first, _)| first),
                seq_to: seqs.map(|(_, last)| last),
                n: Some(n),
                reason: parking.reason.clone(),
                detail: version.map(|version| format!("publickey_ver {version}")),
                ..LedgerItem::default()
            },
        });
    }
    found
}

fn lost(media: &LostMedia) -> Entry {
    Entry {
        from_ms: media.times_ms.map(|(first, _)| first),
        to_ms: media.times_ms.map(|(_, last)| last),
        item: LedgerItem {
            source: media.source.clone(),
            kind: "media_lost".into(),
            n: Some(media.n),
            reason: media.reason.clone(),
            ..LedgerItem::default()
        },
    }
}

/// The times without a pull, ended and lasting.
#[derive(Debug, Clone, Default)]
pub struct Silences {
    /// What is known of each pull.
    pub pulls: Vec<PullRecord>,
    /// Silences that ended.
    pub outages: Vec<Outage>,
}

impl Silences {
    /// `(source, from, to, how grave)` of each; `to` is none while it lasts.
    pub fn all(&self, now_ms: i64) -> Vec<(&str, i64, Option<i64>, Silence)> {
        let ended = self.outages.iter().map(|outage| {
            let length = outage.to_ms - outage.from_ms;
            let grade = Silence::of_ms(length);
            (
                outage.source.as_str(),
                outage.from_ms,
                Some(outage.to_ms),
                grade,
            )
        });
        let lasting = self.pulls.iter().filter_map(|pull| {
            let from = pull.answered_at_ms?;
            let grade = Silence::of_ms(now_ms - from);
            (grade > Silence::Short).then_some((pull.source.as_str(), from, None, grade))
        });
        ended.chain(lasting).collect()
    }

    fn entries(&self, now_ms: i64) -> Vec<Entry> {
        let entry = |(source, from, to, grade): (&str, i64, Option<i64>, Silence)| {
            let hours = (to.unwrap_or(now_ms) - from) as f64 / 3_600_000.0;
            let left = (WINDOW_MS as f64 / 3_600_000.0 - hours).max(0.0);
            let detail = match (to, grade) {
                (_, Silence::PastWindow) => {
                    format!("{hours:.1} hours; what is older than 5 days is lost at WeCom")
                }
                (None, _) => {
                    format!("{hours:.1} hours so far; {left:.1} until WeCom drops messages")
                }
                (Some(_), _) => format!("{hours:.1} hours; nothing was lost, WeCom keeps 5 days"),
            };
            Entry {
                from_ms: Some(from),
                to_ms: to,
                item: LedgerItem {
                    source: source.into(),
                    kind: "outage".into(),
                    reason: grade.as_str().into(),
                    detail: Some(detail),
                    ..LedgerItem::default()
                },
            }
        };
        self.all(now_ms).into_iter().map(entry).collect()
    }

    fn answered(&self, source: &str) -> Option<String> {
        let pull = self.pulls.iter().find(|pull| pull.source == source)?;
        let failure = pull.standing_failure()?;
        Some(format!("the last call failed: {}", failure.code))
    }
}

impl Archive {
    /// The ledger of the newest version, and the record of pulls.
    pub async fn ledger_and_pulls(&self) -> Result<(Arc<Ledger>, Silences), QuestionError> {
        Ok((self.ledger().await?, self.silences()?))
    }

    /// The times without a pull.
    pub fn silences(&self) -> Result<Silences, QuestionError> {
        let state = self.state()?;
        Ok(Silences {
            pulls: state.pulls()?,
            outages: state.outages()?,
        })
    }
}

impl LedgerPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let column = Column::new;
        let columns = vec![
            column("source", "来源", "Source", ColumnKind::Text),
            column("kind", "类别", "Kind", ColumnKind::Text),
            column("seq_from", "起始序号", "First seq", ColumnKind::Integer),
            column("seq_to", "结束序号", "Last seq", ColumnKind::Integer),
            column("n", "数量", "Number", ColumnKind::Integer),
            column("from", "开始时间", "From", ColumnKind::Instant),
            column("to", "结束时间", "To", ColumnKind::Instant),
            column("reason", "原因", "Reason", ColumnKind::Text),
            column("detail", "说明", "Detail", ColumnKind::Text),
            column("cursor", "游标", "Cursor", ColumnKind::Integer),
            column("delivered", "已交付", "Delivered", ColumnKind::Integer),
            column("archived", "已存档", "Archived", ColumnKind::Integer),
            column("quarantined", "已隔离", "Quarantined", ColumnKind::Integer),
            column(
                "deduplicated",
                "已去重",
                "Deduplicated",
                ColumnKind::Integer,
            ),
            column("balanced", "账目相符", "Balanced", ColumnKind::Boolean),
        ];
        let rows = self.items.into_iter().map(row).collect();
        Table { columns, rows }
    }
}

fn row(item: LedgerItem) -> Vec<Value> {
    vec![
        json!(item.source),
        json!(item.kind),
        json!(item.seq_from),
        json!(item.seq_to),
        json!(item.n),
        json!(item.from),
        json!(item.to),
        json!(item.reason),
        json!(item.detail),
        json!(item.cursor),
        json!(item.delivered),
        json!(item.archived),
        json!(item.quarantined),
        json!(item.deduplicated),
        json!(item.balanced),
    ]
}
