//! The audit log (审计日志): who asked what. For callers who may see everything only: an entry
//! tells what somebody searched for, about anybody.

use huicun_engine::access::{Function, Scope};
use huicun_engine::archive::seal::hex;
use huicun_engine::audit::{Filter, Recorded, head, list};
use serde::Serialize;
use serde_json::Value;

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use crate::answer::{Column, ColumnKind, Table};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct AuditParams {
    /// From this day on.
    pub from: Option<String>,
    /// Up to this day.
    pub to: Option<String>,
    /// Of callers with this id, name or employee.
    pub callers: Vec<String>,
    /// Names of functions.
    pub functions: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AuditItem {
    /// Its number, without gaps.
    pub id: i64,
    /// When, RFC 3339 in the company's zone.
    pub at: String,
    /// `asked` (before a change, or at the command line), `answered` or `abandoned`.
    pub phase: String,
    /// `token`, `one_time`, `jwt` or `local`.
    pub caller_kind: String,
    /// The token's id, the subject of the JWT, or the account's number.
    pub caller_id: String,
    /// The token's name, or the account's.
    pub caller_name: String,
    /// The employee for whom he acted.
    pub employee: Option<String>,
    /// From which address.
    pub peer: Option<String>,
    /// The function, such as `messages.search`.
    pub function: String,
    /// The HTTP method, or `cli`.
    pub method: String,
    /// The route, or the command.
    pub route: String,
    /// The path with its ids.
    pub path: Option<String>,
    /// The parameters as a JSON array of pairs, or the command's arguments.
    pub query: Option<String>,
    /// What was sent; of directory rows and long bodies the SHA-256.
    pub body: Option<String>,
    /// The HTTP status.
    pub status: Option<i64>,
    /// The code of the problem.
    pub code: Option<String>,
    /// Rows of the answer.
    pub n_rows: Option<i64>,
    /// The request's id.
    pub request_id: Option<String>,
    /// SHA-256 over this entry and the hash of the one before.
    pub hash: String,
}

/// A page of entries.
pub struct AuditPage {
    /// The entries, newest first.
    pub items: Vec<AuditItem>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Number and hash of the newest entry, as `number:hash`.
    pub head: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Lists the audit log.
///
/// # Errors
/// [`QuestionError::Forbidden`] without the scope `all`.
pub fn audit(
    scope: &Scope,
    archive: &Archive,
    params: &AuditParams,
) -> Result<AuditPage, QuestionError> {
    if !scope.is_all() {
        return Err(QuestionError::Forbidden(
            "the audit log needs a caller whose scope is `all`",
        ));
    }
    for name in &params.functions {
        let known = name.parse::<Function>();
        known.map_err(|e| QuestionError::Parameter(e.to_string()))?;
    }
    let cursor = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let filter = Filter {
        from_ms,
        to_ms,
        callers: params.callers.clone(),
        functions: params.functions.clone(),
        before: cursor.map(|place| place.first),
        // One more tells whether there is a next page.
        limit: params.limit.saturating_add(usize::from(params.limit > 0)),
    };
    let path = archive.home().audit();
    let mut found = list(&path, &filter)?;
    let has_more = params.limit > 0 && found.len() > params.limit;
    if has_more {
        found.truncate(params.limit);
    }
    let next = found.last().filter(|_| has_more).map(|last| {
        Place {
            first: last.id,
            second: 0,
            text: String::new(),
        }
        .to_token()
    });
    let at = |ms: i64| archive.zone().rfc3339_ms(ms);
    Ok(AuditPage {
        items: found.into_iter().map(|entry| item(entry, at)).collect(),
        next,
        head: head(&path)?.map(|(id, hash)| format!("{id}:{}", hex(&hash))),
        as_of: archive.as_of_now(),
    })
}

fn item(entry: Recorded, at: impl Fn(i64) -> String) -> AuditItem {
    AuditItem {
        at: at(entry.at_ms),
        hash: hex(&entry.hash),
        id: entry.id,
        phase: entry.phase,
        caller_kind: entry.caller_kind,
        caller_id: entry.caller_id,
        caller_name: entry.caller_name,
        employee: entry.employee,
        peer: entry.peer,
        function: entry.function,
        method: entry.method,
        route: entry.route,
        path: entry.path,
        query: entry.query,
        body: entry.body,
        status: entry.status,
        code: entry.code,
        n_rows: entry.n_rows,
        request_id: entry.request_id,
    }
}

const COLUMNS: [(&str, &str, &str, ColumnKind); 19] = [
    ("id", "编号", "Id", ColumnKind::Integer),
    ("at", "时间", "At", ColumnKind::Instant),
    ("phase", "阶段", "Phase", ColumnKind::Text),
    ("caller_kind", "调用方类型", "Caller kind", ColumnKind::Text),
    ("caller_id", "调用方 ID", "Caller id", ColumnKind::Text),
    ("caller_name", "调用方", "Caller", ColumnKind::Text),
    ("employee", "代表员工", "Employee", ColumnKind::Text),
    ("peer", "来源地址", "Peer", ColumnKind::Text),
    ("function", "功能", "Function", ColumnKind::Text),
    ("method", "方法", "Method", ColumnKind::Text),
    ("route", "接口", "Route", ColumnKind::Text),
    ("path", "路径", "Path", ColumnKind::Text),
    ("query", "参数", "Query", ColumnKind::Text),
    ("body", "正文", "Body", ColumnKind::Text),
    ("status", "状态码", "Status", ColumnKind::Integer),
    ("code", "错误码", "Code", ColumnKind::Text),
    ("n_rows", "行数", "Rows", ColumnKind::Integer),
    ("request_id", "请求 ID", "Request id", ColumnKind::Text),
    ("hash", "哈希", "Hash", ColumnKind::Text),
];

impl AuditPage {
    /// As rows.
    pub fn into_table(self) -> Table {
        let columns = COLUMNS.map(|(key, zh, en, kind)| Column::new(key, zh, en, kind));
        let rows = self.items.iter().map(|item| {
            let mut values = serde_json::to_value(item).unwrap_or_default();
            let take = |key| values.get_mut(key).map_or(Value::Null, Value::take);
            COLUMNS.iter().map(|(key, ..)| *key).map(take).collect()
        });
        Table {
            rows: rows.collect(),
            columns: columns.into(),
        }
    }
}
