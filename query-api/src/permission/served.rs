//! An archive in a folder of its own, behind the router that the server has.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, header};
use huicun_engine::access::{Function, Grant, Role};
use huicun_engine::archive::Home;
use huicun_engine::audit::AuditLog;
use huicun_engine::directory::store;
use huicun_engine::media::catalogue::Catalogue;
use huicun_engine::media::store::Store;
use huicun_engine::state::State;
use huicun_engine::state::tokens::NewToken;
use huicun_indexer::ingest::import::import;
use huicun_indexer::ingest::media::MediaSettings;
use huicun_indexer::ingest::media::follow::MediaFollower;
use huicun_semantics::time::Zone;
use serde_json::Value;
use tower::Service;

use super::company::{AT_MS, Company, RULES, Said};
use crate::http::server::{Api, router};
use crate::queries::Archive;
use crate::queries::media::MediaAccess;

/// What came back, with what differs from request to request taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Everything that left, as text.
    pub fn bytes(&self) -> String {
        format!("{:?}\n{}", self.headers, self.body)
    }

    /// Without `as_of`, which is the archive's and not the caller's, and the `ETag` made of it.
    pub fn without_stamp(&self) -> Self {
        let mut json = self.json();
        let body = match json.as_object_mut() {
            Some(object) => {
                object.remove("as_of");
                json.to_string()
            }
            None => self.body.clone(),
        };
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "etag");
        Self {
            status: self.status,
            headers,
            body,
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub body: String,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: String::new(),
        }
    }

    pub fn sql(statement: &str) -> Self {
        Self {
            method: Method::POST,
            path: "/v1/sql".into(),
            body: serde_json::json!({ "sql": statement }).to_string(),
        }
    }
}

pub struct Served {
    _folder: tempfile::TempDir,
    state: State,
    router: Router,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Writes rows of directory tables.
async fn feed(home: &Home, folder: &Path, tables: &[(&'static str, Vec<Value>)]) {
    let write = |(table, rows): &(&str, Vec<Value>)| {
        let path = folder.join(format!("{table}.ndjson"));
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    let paths: Vec<_> = tables.iter().map(write).collect();
    let feeds = store::read_all(&paths).unwrap();
    store::import(home, feeds).await.unwrap();
}

/// A data directory with a company's directory and rules, and no message.
pub async fn base(company: &Company, skipped: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&folder.path().join("home")).unwrap();
    let kept = company
        .tables
        .iter()
        .filter(|(name, _)| !skipped.contains(name));
    let tables: Vec<_> = kept.cloned().collect();
    feed(&home, folder.path(), &tables).await;
    let state = State::open(&home.state()).unwrap();
    state.apply_rules(RULES, AT_MS).unwrap();
    folder
}

impl Served {
    /// A copy of a data directory, with more rows of the directory and these messages.
    pub async fn new(
        base: &Path,
        tables: &[(&'static str, Vec<Value>)],
        said: impl Iterator<Item = &Said>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        copy(&base.join("home"), &root);
        let home = Home::open(&root).unwrap();
        feed(&home, folder.path(), tables).await;
        let lines: String = said.map(Said::line).collect();
        let file = folder.path().join("messages.ndjson");
        std::fs::write(&file, lines).unwrap();
        let zone = Zone::default();
        import(&home, &[file], "corp", zone, AT_MS, &mut |_| {})
            .await
            .unwrap();
        let catalogue = Arc::new(Catalogue::open(&home).unwrap());
        let store = Store::open_or_create(&home.media()).unwrap();
        let mut media = MediaFollower::new(&home, catalogue, store).unwrap();
        media.catch_up(AT_MS).await.unwrap();
        let state = State::open(&home.state()).unwrap();
        let (_, rules) = state.rules().unwrap();
        let archive = Archive::open(home.clone(), rules).unwrap();
        archive.catch_up().await.unwrap();
        let api = Api {
            archive,
            media: MediaAccess::new(&home, MediaSettings::default()),
            state: State::open(&home.state()).unwrap(),
            jwt: None,
            audit: AuditLog::open(&home.audit()).unwrap(),
            session_token: None,
            pulls: Vec::new(),
            callbacks: Vec::new(),
            exports: tokio::sync::Notify::new(),
            is_pull_unexpected: true,
            maintenance: None,
        };
        Self {
            _folder: folder,
            state,
            router: router(Arc::new(api)),
        }
    }

    /// A token that opens these functions for a scope.
    pub fn token(&self, functions: &[Function], scope: &str, employee: Option<&str>) -> String {
        let grant = Grant {
            roles: vec![Role {
                functions: functions.iter().copied().collect(),
                scope: scope.parse().unwrap(),
            }],
            employee: employee.map(String::from),
        };
        let new = NewToken {
            name: "t",
            grant: &grant,
            expires_at_ms: None,
        };
        self.state.create_token(new, AT_MS).unwrap().1
    }

    pub async fn ask(&self, token: &str, ask: &Ask) -> Answer {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(&ask.path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(ask.body.clone()))
            .unwrap();
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        request.extensions_mut().insert(ConnectInfo(here));
        let answer = self.router.clone().call(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let headers = parts
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "content-length"].contains(&name.as_str()));
        let mut headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string()))
            .collect();
        headers.sort();
        Answer {
            status: parts.status.as_u16(),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

/// Percent-encodes a value of a path or a query.
pub fn encoded(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| match keep(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
