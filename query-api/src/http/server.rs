//! The server: routes, layers and limits around them, and how it listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use huicun_engine::audit::AuditLog;
use huicun_engine::metrics::settings::Settings;
use huicun_engine::state::State as Kept;
use huicun_indexer::ingest::callback::Callback;
use huicun_indexer::ingest::status::Watched;
use huicun_indexer::maintenance::MaintenanceStatus;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::described::{completed, with_metrics};
use super::jwt::JwtDoor;
use super::problem::{self, Problem};
use super::{
    audit, auth, caching, callback, connections, docs_page, exports, health, kf, media, metrics,
    people, reports, reviews, routes, rules, search, searches, tokens,
};
use crate::queries::Archive;
use crate::queries::media::MediaAccess;

/// Bytes of a request body: a directory table of some 100,000 rows.
const BODY_BYTES_MAX: usize = 64 << 20;
/// The longest answer time.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(120);

/// How long running requests may go on after the server was asked to end: `docker stop` kills
/// after 10 s, and a pull in the same process has to close the index before that.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// What the routes share.
pub struct Api {
    /// The archive that is asked.
    pub archive: Archive,
    /// The files of messages.
    pub media: MediaAccess,
    /// Tokens.
    pub state: Kept,
    /// Whose JWTs open it, if any.
    pub jwt: Option<JwtDoor>,
    /// Where every question is recorded before its answer leaves.
    pub audit: AuditLog,
    /// SHA-256 of the one-time token of a server without configured tokens.
    pub session_token: Option<[u8; 32]>,
    /// The pulls in this process, one a company.
    pub pulls: Vec<Watched>,
    /// Who listens to WeCom's callbacks.
    pub callbacks: Vec<Callback>,
    /// Wakes whoever makes exports.
    pub exports: tokio::sync::Notify,
    /// Whether nobody is to pull into this archive: a copy for reading.
    pub is_pull_unexpected: bool,
    /// The background work of this process, if it does any.
    pub maintenance: Option<Arc<MaintenanceStatus>>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "huicun 会存",
        description = "The archive of a company's WeCom chats: search, dialogues, figures.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&BearerToken),
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Every route with its description.
fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(search::search))
        .routes(routes!(search::search_counts))
        .routes(routes!(search::conversations))
        .routes(routes!(searches::list_searches, searches::save_search))
        .routes(routes!(
            searches::get_search,
            searches::change_search,
            searches::delete_search
        ))
        .routes(routes!(routes::conversation_messages))
        .routes(routes!(routes::dialogues))
        .routes(routes!(routes::timeouts))
        .routes(routes!(people::contacts))
        .routes(routes!(people::group_portrait))
        .routes(routes!(reports::report_employees))
        .routes(routes!(reports::report_departments))
        .routes(routes!(reports::report_guides))
        .routes(routes!(reports::report_stores))
        .routes(routes!(reports::report_customers))
        .routes(routes!(reports::report_groups))
        .routes(routes!(reports::explain))
        .routes(routes!(reports::metrics))
        .routes(routes!(routes::behaviours))
        .routes(routes!(reviews::reviews, reviews::review))
        .routes(routes!(reviews::backtest))
        .routes(routes!(reviews::rescan))
        .routes(routes!(rules::get_rules, rules::put_rules))
        .routes(routes!(rules::diff_rules))
        .routes(routes!(rules::rules_history))
        .routes(routes!(rules::rules_of_version))
        .routes(routes!(reports::ranking))
        .routes(routes!(routes::ledger))
        .routes(routes!(routes::sql))
        .routes(routes!(routes::put_directory))
        .routes(routes!(callback::wecom_check, callback::wecom_note))
        .routes(routes!(media::list_media))
        .routes(routes!(media::get_media))
        .routes(routes!(exports::list_exports, exports::create_export))
        .routes(routes!(exports::get_export))
        .routes(routes!(exports::cancel_export))
        .routes(routes!(exports::get_export_file))
        .routes(routes!(kf::kf_sessions))
        .routes(routes!(kf::kf_session_messages))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(audit::audit))
}

/// The OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}

/// All routes and layers.
pub fn router(api: Arc<Api>) -> Router {
    let (v1, document) = described().split_for_parts();
    let document = serde_json::to_value(document).unwrap_or_default();
    let description = Description(Arc::new(completed(document)));
    let request_id = HeaderName::from_static("x-request-id");
    let with_token = from_fn_with_state(Arc::clone(&api), auth::admit);
    let recorded = from_fn_with_state(Arc::clone(&api), audit::recorded);
    v1.route("/openapi.json", get(openapi))
        .route("/docs", get(docs))
        .route("/docs/style.css", get(docs_style))
        .fallback(unknown_route)
        .with_state(api)
        .layer(axum::Extension(description))
        // Inside of the compression: it counts the rows of an answer.
        .layer(recorded)
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(with_token)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            REQUEST_TIME_MAX,
        ))
        .layer(CatchPanicLayer::new())
        .layer(map_response(problem::dress))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        // Path and query stay out of the log: they hold what was searched for.
        .layer(TraceLayer::new_for_http().make_span_with(
            |request: &Request| tracing::info_span!("request", method = %request.method()),
        ))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .layer(map_request(with_fit_request_id))
}

/// Characters of a request's id that a caller may give.
const REQUEST_ID_CHARACTERS_MAX: usize = 128;

/// Takes a request's id away where it is none that a log should have: a fresh one is made then.
async fn with_fit_request_id(mut request: Request) -> Request {
    let id = request.headers().get("x-request-id");
    let is_fit = |id: &HeaderValue| {
        let id = id.as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        (1..=REQUEST_ID_CHARACTERS_MAX).contains(&id.len()) && id.iter().all(is_plain)
    };
    if !id.is_some_and(is_fit) {
        request.headers_mut().remove("x-request-id");
    }
    request
}

/// The OpenAPI document but for the keys of metrics.
#[derive(Clone)]
struct Description(Arc<serde_json::Value>);

impl Description {
    /// With the metrics that the rules in force give.
    fn now(&self, api: &Api) -> Result<serde_json::Value, Problem> {
        let settings = Settings::of(&api.archive.rules()?);
        Ok(with_metrics(self.0.as_ref().clone(), &settings))
    }
}

type Opened = (
    axum::extract::State<Arc<Api>>,
    axum::Extension<Description>,
    HeaderMap,
);

/// The description, with the metrics that the rules in force give.
async fn openapi((State(api), Extension(described), headers): Opened) -> Result<Response, Problem> {
    let text = described.now(&api)?.to_string();
    Ok(public("application/json", text, &headers))
}

/// The description as a page.
async fn docs((State(api), Extension(described), headers): Opened) -> Result<Response, Problem> {
    let page = docs_page::page(&described.now(&api)?);
    let mut response = public("text/html; charset=utf-8", page, &headers);
    let policy = HeaderValue::from_static(docs_page::POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

async fn docs_style(headers: HeaderMap) -> Response {
    public("text/css; charset=utf-8", docs_page::STYLE.into(), &headers)
}

/// What everybody gets alike, and may keep as long as its tag is the same.
fn public(kind: &'static str, text: String, asking: &HeaderMap) -> Response {
    let tag = caching::strong_tag_of(text.as_bytes());
    let kept = [
        (header::CACHE_CONTROL, "no-cache".to_string()),
        (header::ETAG, tag.clone()),
    ];
    match caching::is_known(asking, &tag) {
        true => (StatusCode::NOT_MODIFIED, kept).into_response(),
        false => (kept, [(header::CONTENT_TYPE, kind)], text).into_response(),
    }
}

async fn unknown_route() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        "there is no such route; /openapi.json lists them",
    )
}

/// A bound socket, not yet answering.
pub struct Listening {
    listener: tokio::net::TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Binds the address.
pub async fn listen(address: SocketAddr) -> std::io::Result<Listening> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// Answers until `stop` is done, then lets running requests end, for [`FAREWELL_MAX`] at most:
    /// a connection on which nothing comes would else keep the server for ever.
    pub async fn serve(
        self,
        api: Arc<Api>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (asked, was_asked) = tokio::sync::oneshot::channel();
        let serving = connections::serve(self.listener, router(api), async move {
            stop.await;
            // Nobody listens any more when the server has ended by itself.
            let _ = asked.send(());
        });
        let farewell = async {
            if was_asked.await.is_err() {
                return std::future::pending().await;
            }
            tokio::time::sleep(FAREWELL_MAX).await;
        };
        tokio::select! {
            () = serving => Ok(()),
            () = farewell => Ok(()),
        }
    }
}
