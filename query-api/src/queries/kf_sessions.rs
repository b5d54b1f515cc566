//! Sessions of WeChat customer service (微信客服会话, manual 12.2), from the directory table
//! `kf_messages`: the list, and the messages of one.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use datafusion::prelude::{DataFrame, col, lit};
use futures::TryStreamExt;
use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_engine::tables;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use crate::answer::{Column, ColumnKind, Table};

/// What is asked of the list.
#[derive(Debug, Clone, Default)]
pub struct KfSessionParams {
    /// First day on which a session started.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// Received by one of these employees, by id or name.
    pub servicers: Vec<String>,
    /// Of one of these customers, by id or name.
    pub customers: Vec<String>,
    /// With one of these ids.
    pub sessions: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct KfSessionItem {
    /// WeCom's id of the session (会话 ID).
    pub session_id: String,
    /// The customer.
    pub external_userid: String,
    /// The customer's name.
    pub customer_name: Option<String>,
    /// Who received him (接待人员), in the order of ids.
    pub servicers: Vec<String>,
    /// Their names, in the same order; ids where the directory has none.
    pub servicer_names: Vec<String>,
    /// The account (客服帐号).
    pub open_kfid: Option<String>,
    /// From where he came (场景).
    pub scene: Option<String>,
    /// Its first message, RFC 3339 in the company's zone.
    pub started_at: String,
    /// Its last message.
    pub ended_at: String,
    /// From the first message to the last.
    pub duration_seconds: f64,
    /// Messages of the customer.
    pub customer_messages: u64,
    /// Messages of those who received him.
    pub servicer_messages: u64,
}

/// A page of sessions, the latest first.
pub struct KfSessionPage {
    /// The sessions.
    pub items: Vec<KfSessionItem>,
    /// Exact number of all.
    pub total: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// One message of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct KfMessageItem {
    /// WeCom's id of the message.
    pub msgid: String,
    /// When, RFC 3339 in the company's zone.
    pub at: String,
    /// `customer` or `servicer`.
    pub from_role: String,
    /// The customer, or who received him.
    pub from: Option<String>,
    /// WeCom's type.
    #[serde(rename = "type")]
    pub msgtype: String,
    /// The text.
    pub text: Option<String>,
}

/// The messages of one session, as they were said.
pub struct KfMessages {
    /// All of them.
    pub items: Vec<KfMessageItem>,
    /// From which versions.
    pub as_of: AsOf,
}

/// A session while its messages are read.
struct Session {
    customer: String,
    servicers: BTreeSet<String>,
    open_kfid: Option<String>,
    scene: Option<String>,
    first_ms: i64,
    last_ms: i64,
    n_customer: u64,
    n_servicer: u64,
}

impl Session {
    /// Whether the caller may see it: who received the customer is in his scope. A session that
    /// nobody received is for those who see everything.
    fn is_visible(&self, scope: &Scope) -> bool {
        scope.is_all() || self.servicers.iter().any(|id| scope.sees_employee(id))
    }
}

/// Lists sessions that started in a period, the latest first.
///
/// # Errors
/// Wrong parameters, a table that cannot be read.
pub async fn kf_sessions(
    scope: &Scope,
    archive: &Archive,
    params: &KfSessionParams,
) -> Result<KfSessionPage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let directory = archive.directory().await?;
    let mut frame = kf_messages(archive).await?;
    if !params.sessions.is_empty() {
        let ids = params.sessions.iter().map(lit).collect();
        frame = frame
            .filter(col("session_id").in_list(ids, false))
            .map_err(unread)?;
    }
    let sessions = read_sessions(frame).await?;
    let is_asked = |session: &Session| {
        let called = |id: &str, asked: &[String]| {
            asked.is_empty()
                || asked.iter().any(|one| one == id)
                || directory
                    .name(id)
                    .is_some_and(|name| asked.iter().any(|one| one == name))
        };
        session.is_visible(scope)
            && from_ms.is_none_or(|from| session.first_ms >= from)
            && to_ms.is_none_or(|to| session.first_ms < to)
            && called(&session.customer, &params.customers)
            && (params.servicers.is_empty()
                || session
                    .servicers
                    .iter()
                    .any(|id| called(id, &params.servicers)))
    };
    let mut found: Vec<(String, Session)> = sessions
        .into_iter()
        .filter(|(_, session)| is_asked(session))
        .collect();
    let total = found.len() as u64;
    found.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    if let Some(place) = &after {
        let place = (Reverse(place.first), place.text.as_str());
        found.retain(|one| key(one) > place);
    }
    let has_more = params.limit > 0 && found.len() > params.limit;
    if has_more {
        found.truncate(params.limit);
    }
    let next = found.last().filter(|_| has_more).map(|(id, session)| {
        Place {
            first: session.first_ms,
            second: 0,
            text: id.clone(),
        }
        .to_token()
    });
    let zone = archive.zone();
    let item = |(id, session): (String, Session)| KfSessionItem {
        session_id: id,
        customer_name: directory.name(&session.customer).map(String::from),
        external_userid: session.customer,
        servicer_names: session
            .servicers
            .iter()
            .map(|id| directory.name(id).unwrap_or(id).to_owned())
            .collect(),
        servicers: session.servicers.into_iter().collect(),
        open_kfid: session.open_kfid,
        scene: session.scene,
        started_at: zone.rfc3339_ms(session.first_ms),
        ended_at: zone.rfc3339_ms(session.last_ms),
        duration_seconds: (session.last_ms - session.first_ms) as f64 / 1000.0,
        customer_messages: session.n_customer,
        servicer_messages: session.n_servicer,
    };
    Ok(KfSessionPage {
        items: found.into_iter().map(item).collect(),
        total,
        next,
        as_of: as_of(archive, &directory).await?,
    })
}

/// The messages of one session, in order of time, then id.
///
/// # Errors
/// [`QuestionError::NotFound`] for a session that does not exist and for one outside the scope.
pub async fn kf_messages_of(
    scope: &Scope,
    archive: &Archive,
    id: &str,
) -> Result<KfMessages, QuestionError> {
    let directory = archive.directory().await?;
    let one = |frame: DataFrame| frame.filter(col("session_id").eq(lit(id))).map_err(unread);
    let sessions = read_sessions(one(kf_messages(archive).await?)?).await?;
    if !sessions.values().any(|session| session.is_visible(scope)) {
        return Err(QuestionError::NotFound {
            what: "session",
            id: id.into(),
        });
    }
    let columns = [
        "time",
        "msgid",
        "from_role",
        "external_userid",
        "servicer_userid",
        "msgtype",
        "text",
    ];
    let frame = one(kf_messages(archive).await?)?
        .select_columns(&columns)
        .and_then(|frame| {
            frame.sort(vec![
                col("time").sort(true, true),
                col("msgid").sort(true, true),
            ])
        })
        .map_err(unread)?;
    let zone = archive.zone();
    let mut items = Vec::new();
    for batch in frame.collect().await.map_err(unread)? {
        let at = instants(&batch, "time")?;
        let text = |name: &str| strings(&batch, name);
        let (msgid, role, msgtype) = (text("msgid")?, text("from_role")?, text("msgtype")?);
        let (customer, servicer) = (text("external_userid")?, text("servicer_userid")?);
        let body = text("text")?;
        for row in 0..batch.num_rows() {
            let value =
                |array: &StringArray| (!array.is_null(row)).then(|| array.value(row).to_owned());
            let from = match role.value(row) {
                "customer" => value(&customer),
                _ => value(&servicer),
            };
            items.push(KfMessageItem {
                msgid: msgid.value(row).into(),
                at: zone.rfc3339_ms(at.as_primitive::<TimestampMillisecondType>().value(row)),
                from_role: role.value(row).into(),
                from,
                msgtype: msgtype.value(row).into(),
                text: value(&body),
            });
        }
    }
    Ok(KfMessages {
        items,
        as_of: as_of(archive, &directory).await?,
    })
}

fn key((id, session): &(String, Session)) -> (Reverse<i64>, &str) {
    (Reverse(session.first_ms), id)
}

async fn as_of(archive: &Archive, directory: &Directory) -> Result<AsOf, QuestionError> {
    let tables = tables::open(archive.home()).await?;
    Ok(archive.as_of(tables.messages_version(), directory))
}

async fn kf_messages(archive: &Archive) -> Result<DataFrame, QuestionError> {
    let session = tables::open(archive.home()).await?.session().await?;
    session.table("kf_messages").await.map_err(unread)
}

fn unread(error: datafusion::error::DataFusionError) -> QuestionError {
    QuestionError::Sql(error.into())
}

async fn read_sessions(frame: DataFrame) -> Result<HashMap<String, Session>, QuestionError> {
    const COLUMNS: [&str; 7] = [
        "session_id",
        "time",
        "from_role",
        "external_userid",
        "servicer_userid",
        "open_kfid",
        "scene",
    ];
    let frame = frame.select_columns(&COLUMNS).map_err(unread)?;
    let mut batches = frame.execute_stream().await.map_err(unread)?;
    let mut sessions: HashMap<String, Session> = HashMap::new();
    while let Some(batch) = batches.try_next().await.map_err(unread)? {
        let at = instants(&batch, "time")?;
        let at = at.as_primitive::<TimestampMillisecondType>();
        let text = |name: &str| strings(&batch, name);
        let (id, role) = (text("session_id")?, text("from_role")?);
        let (customer, servicer) = (text("external_userid")?, text("servicer_userid")?);
        let (account, scene) = (text("open_kfid")?, text("scene")?);
        for row in 0..batch.num_rows() {
            let at_ms = at.value(row);
            let value =
                |array: &StringArray| (!array.is_null(row)).then(|| array.value(row).to_owned());
            let session = match sessions.get_mut(id.value(row)) {
                Some(session) => session,
                None => sessions
                    .entry(id.value(row).to_owned())
                    .or_insert_with(|| Session {
                        customer: customer.value(row).to_owned(),
                        servicers: BTreeSet::new(),
                        open_kfid: None,
                        scene: None,
                        first_ms: at_ms,
                        last_ms: at_ms,
                        n_customer: 0,
                        n_servicer: 0,
                    }),
            };
            // What several messages say differently is said by the first of them.
            let is_first = at_ms < session.first_ms;
            session.first_ms = session.first_ms.min(at_ms);
            session.last_ms = session.last_ms.max(at_ms);
            for (known, said) in [
                (&mut session.open_kfid, value(&account)),
                (&mut session.scene, value(&scene)),
            ] {
                if known.is_none() || is_first && said.is_some() {
                    *known = said;
                }
            }
            if let Some(servicer) = value(&servicer).filter(|id| !id.is_empty())
                && !session.servicers.contains(&servicer)
            {
                session.servicers.insert(servicer);
            }
            match role.value(row) {
                "customer" => session.n_customer += 1,
                _ => session.n_servicer += 1,
            }
        }
    }
    Ok(sessions)
}

fn strings(batch: &RecordBatch, name: &str) -> Result<StringArray, QuestionError> {
    Ok(cast(batch, name, &DataType::Utf8)?.as_string().clone())
}

fn instants(batch: &RecordBatch, name: &str) -> Result<ArrayRef, QuestionError> {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    cast(batch, name, &utc)
}

fn cast(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, QuestionError> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        unread(datafusion::error::DataFusionError::Internal(format!(
            "column `{name}` was selected but is missing"
        )))
    })?;
    arrow::compute::cast(column, kind).map_err(|error| unread(error.into()))
}

impl KfSessionPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let columns = vec![
            Column::new("session_id", "会话 ID", "Session", ColumnKind::Text),
            Column::new("external_userid", "客户 ID", "Customer", ColumnKind::Text),
            Column::new(
                "customer_name",
                "客户名称",
                "Customer name",
                ColumnKind::Text,
            ),
            Column::new("servicers", "客服 ID", "Received by", ColumnKind::TextList),
            Column::new("servicer_names", "客服名称", "Names", ColumnKind::TextList),
            Column::new("open_kfid", "客服帐号", "Account", ColumnKind::Text),
            Column::new("scene", "场景", "Scene", ColumnKind::Text),
            Column::new("started_at", "会话开始时间", "Started", ColumnKind::Instant),
            Column::new("ended_at", "会话结束时间", "Ended", ColumnKind::Instant),
            Column::new(
                "duration_seconds",
                "会话持续时间",
                "Duration",
                ColumnKind::Seconds,
            ),
            Column::new(
                "customer_messages",
                "客户消息数",
                "From customer",
                ColumnKind::Integer,
            ),
            Column::new(
                "servicer_messages",
                "客服消息数",
                "From staff",
                ColumnKind::Integer,
            ),
        ];
        let row = |item: KfSessionItem| -> Vec<Value> {
            vec![
                json!(item.session_id),
                json!(item.external_userid),
                json!(item.customer_name),
                json!(item.servicers),
                json!(item.servicer_names),
                json!(item.open_kfid),
                json!(item.scene),
                json!(item.started_at),
                json!(item.ended_at),
                json!(item.duration_seconds),
                json!(item.customer_messages),
                json!(item.servicer_messages),
            ]
        };
        Table {
            columns,
            rows: self.items.into_iter().map(row).collect(),
        }
    }
}

impl KfMessages {
    /// The messages as columns and rows.
    pub fn into_table(self) -> Table {
        let columns = vec![
            Column::new("msgid", "消息 ID", "Message", ColumnKind::Text),
            Column::new("at", "时间", "Sent", ColumnKind::Instant),
            Column::new("from_role", "发送方", "Side", ColumnKind::Text),
            Column::new("from", "发送人", "From", ColumnKind::Text),
            Column::new("type", "消息类型", "Type", ColumnKind::Text),
            Column::new("text", "内容", "Text", ColumnKind::Text),
        ];
        let row = |item: KfMessageItem| -> Vec<Value> {
            vec![
                json!(item.msgid),
                json!(item.at),
                json!(item.from_role),
                json!(item.from),
                json!(item.msgtype),
                json!(item.text),
            ]
        };
        Table {
            columns,
            rows: self.items.into_iter().map(row).collect(),
        }
    }
}
