//! Behaviours (敏感行为, semantics 8): one row for each, with what its review says now.

use std::collections::BTreeSet;

use huicun_engine::access::Scope;
use huicun_engine::jobs::behaviours::{self, BehaviourRow, Behaviours, Position};
use huicun_engine::rules::BehaviourKind;
use huicun_engine::state::behaviours::{Review, Reviewed, Verdict};
use huicun_engine::state::rule_versions::RuleVersion;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::page::Place;
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

/// Lists the behaviours of a period.
pub async fn behaviours(
    scope: &Scope,
    archive: &Archive,
    params: &BehaviourParams,
) -> Result<BehaviourPage, QuestionError> {
    check(params)?;
    let versions = archive.state()?.rule_versions()?;
    list(scope, archive, params, &versions).await
}

/// What a rules file would have found in a period; changes nothing. Needs `all`.
pub async fn backtest(
    scope: &Scope,
    archive: &Archive,
    params: &BehaviourParams,
    file: &str,
) -> Result<BehaviourPage, QuestionError> {
    if !scope.is_all() {
        return Err(QuestionError::Forbidden(
            "testing rules needs a caller whose scope is `all`",
        ));
    }
    check(params)?;
    let (_, current) = archive.state()?.rules()?;
    let rules = current
        .replaced_by(file)
        .map_err(|e| QuestionError::Parameter(format!("rules: {e}")))?;
    // As if they had always been in force.
    let version = RuleVersion {
        version: 0,
        applied_ms: i64::MIN,
        applied_by: None,
        rules,
    };
    list(scope, archive, params, &[version]).await
}

/// Reviews a behaviour that the caller may see; again at any time.
pub async fn review(
    scope: &Scope,
    archive: &Archive,
    id: &str,
    review: &Review,
) -> Result<(), QuestionError> {
    let all = behaviours(scope, archive, &BehaviourParams::default()).await?;
    let Some(item) = all.items.into_iter().find(|item| item.behaviour_id == id) else {
        return Err(QuestionError::NotFound {
            what: "behaviour",
            id: id.into(),
        });
    };
    let reviewed = Reviewed {
        id: item.behaviour_id,
        trigger: item.trigger,
        at_ms: item.at_ms,
    };
    Ok(archive.state()?.review_behaviour(&reviewed, review)?)
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

async fn list(
    scope: &Scope,
    archive: &Archive,
    params: &BehaviourParams,
    versions: &[RuleVersion],
) -> Result<BehaviourPage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let (state, directory) = (archive.state()?, archive.directory().await?);
    let rescans = state.rescans()?;
    // A loss that nobody noted enters now.
    state.note_losses(&behaviours::losses_of(&directory), now_ms())?;
    let (losses, reviews) = (state.losses()?, state.behaviour_reviews()?);
    let known = Behaviours::new(&directory, versions, &rescans, archive.zone());
    let mut rows = behaviours::read(archive.home(), &known, (from_ms, to_ms)).await?;
    known.of_relations(&losses, &mut rows);
    rows.retain(|row| {
        from_ms.is_none_or(|from| row.at_ms >= from) && to_ms.is_none_or(|to| row.at_ms < to)
    });
    rows.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    rows.dedup_by(|a, b| a.id == b.id);
    let (mut items, mut next, mut last) = (Vec::new(), None, None);
    for row in rows {
        let place = Place {
            first: row.at_ms,
            second: 0,
            text: row.id.clone(),
        };
        let is_past = after
            .as_ref()
            .is_some_and(|after| (row.at_ms, &row.id) <= (after.first, &after.text));
        let review = reviews.get(&row.id).and_then(|all| all.last());
        if is_past || !is_visible(scope, &row) || !is_wanted(params, &row, review) {
            continue;
        }
        if params.limit != 0 && items.len() == params.limit {
            next = last.as_ref().map(Place::to_token);
            break;
        }
        last = Some(place);
        items.push(item(archive, row, review));
    }
    let messages_version = huicun_engine::archive::messages::open(archive.home())
        .await?
        .map_or(0, |table| table.version());
    Ok(BehaviourPage {
        items,
        next,
        as_of: archive.as_of(messages_version, &directory),
    })
}

fn is_visible(scope: &Scope, row: &BehaviourRow) -> bool {
    scope.is_all() || row.employees.iter().any(|id| scope.sees_employee(id))
}

fn is_wanted(params: &BehaviourParams, row: &BehaviourRow, review: Option<&Review>) -> bool {
    let any = |wanted: &[String], of: &dyn Fn(&String) -> bool| {
        wanted.is_empty() || wanted.iter().any(of)
    };
    any(&params.employees, &|id| row.employees.contains(id))
        && any(&params.kinds, &|kind| kind == row.kind.as_str())
        && any(&params.rules, &|rule| row.rules.contains(rule))
        && any(&params.reviews, &|word| word == word_of(review))
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
