//! `huicun serve` and `huicun run`: the HTTP API, alone or beside the pull.

use std::path::Path;
use std::sync::Arc;

use huicun_engine::archive::Home;
use huicun_engine::audit::AuditLog;
use huicun_engine::rules::Rules;
use huicun_engine::state::{State, tokens};
use huicun_indexer::ingest::callback::Callback;
use huicun_indexer::ingest::companies::Companies;
use huicun_indexer::ingest::config::JwtSettings;
use huicun_indexer::ingest::pull::{Stop, Until};
use huicun_indexer::ingest::sink::Sink;
use huicun_indexer::ingest::status::Watched;
use huicun_indexer::maintenance::{MaintenanceStatus, keep_in_order};
use huicun_query_api::http::export_worker::make_exports;
use huicun_query_api::http::jwt::JwtDoor;
use huicun_query_api::http::{Api, Listening, listen};
use huicun_query_api::queries::Archive;
use huicun_query_api::queries::media::MediaAccess;

use super::pull::{failures, worker_command};
use super::{media, read_config};
use crate::arguments::ServeArguments;
use crate::failure::Failure;
use crate::signals;

pub async fn serve(data: &Path, config: &Path, options: &ServeArguments) -> Result<(), Failure> {
    let home = Home::open(data)?;
    let media = media::access(&home, config)?;
    let door = Door::open(&home, config, options).await?;
    let beside = Beside::Nothing {
        is_pull_unexpected: options.without_pull,
    };
    door.answer(home, media, beside, Stop::default()).await
}

pub async fn run(data: &Path, config: &Path, options: &ServeArguments) -> Result<(), Failure> {
    let path = config;
    let (config, corps) = read_config(path, &[])?;
    let stop = Stop::default();
    let companies = Companies::new(corps.clone(), &config.pull, &worker_command()?, data, &stop);
    // Everything that can be refused is, before anything begins.
    let prepared = companies.prepare()?;
    let home = Home::open_or_create(data)?;
    let door = Door::open(&home, path, options).await?;
    companies.record_in(&Arc::new(State::open(&home.state())?));
    let sink = Sink::open(&home, "huicun run", door.rules.zone()?).await?;
    let maintenance = Arc::new(MaintenanceStatus::default());
    let (zone, shown) = (door.rules.zone()?, Arc::clone(&maintenance));
    tokio::spawn(keep_in_order(home.clone(), zone, shown, stop.clone()));
    let beside = Beside::Pulls {
        watched: companies.watched(),
        callbacks: companies.callbacks(),
        maintenance,
    };
    let fetching = media::in_background(&home, &config, corps, &stop, companies.watched())?;
    let pulled_into = home.clone();
    // A pull that ends by itself ends the server too: a service that only looks alive is worse.
    let pulling = tokio::spawn(async move {
        let until = Until::Stopped;
        companies.run(prepared, &pulled_into, sink, until).await
    });
    let access = media::access(&home, path)?;
    let answered = door.answer(home, access, beside, stop.clone()).await;
    stop.stop();
    let pulled = pulling
        .await
        .map_err(|e| Failure::failed(format!("the pull stopped unexpectedly: {e}")))?;
    media::ended(fetching).await;
    failures(pulled)?;
    answered
}

/// What runs in the same process.
enum Beside {
    Nothing {
        /// Nobody is to pull into this archive: a copy for reading.
        is_pull_unexpected: bool,
    },
    Pulls {
        watched: Vec<Watched>,
        callbacks: Vec<Callback>,
        maintenance: Arc<MaintenanceStatus>,
    },
}

/// Where a server will answer, and who may enter.
struct Door {
    state: State,
    audit: AuditLog,
    jwt: Option<JwtDoor>,
    rules: Rules,
    /// The token of this run, where none is configured.
    one_time: Option<String>,
    listening: Listening,
}

impl Door {
    async fn open(home: &Home, config: &Path, options: &ServeArguments) -> Result<Self, Failure> {
        let jwt = jwt_door(config)?;
        let state = State::open(&home.state())?;
        let (_, rules) = state.rules()?;
        let now = chrono::Utc::now().timestamp_millis();
        let has_tokens = state
            .tokens()?
            .iter()
            .any(|t| t.revoked_at_ms.is_none() && t.expires_at_ms.is_none_or(|at| at > now));
        let has_tokens = has_tokens || jwt.is_some();
        if !has_tokens && !options.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "refusing to listen on {} without any API token",
                options.listen
            ))
            .hint("make one first: huicun token create --name NAME"));
        }
        let listening = listen(options.listen).await.map_err(|e| {
            Failure::failed(format!("cannot listen on {}: {e}", options.listen))
                .hint("choose another address with --listen; port 0 picks a free one")
        })?;
        let audit = AuditLog::open(&home.audit()).map_err(|e| {
            Failure::failed(format!("cannot open the audit log: {e}"))
                .hint("without it nothing is answered; huicun verify tells whether it is damaged")
        })?;
        Ok(Self {
            state,
            audit,
            jwt,
            rules,
            one_time: (!has_tokens).then(tokens::new_secret),
            listening,
        })
    }

    async fn answer(
        self,
        home: Home,
        media: MediaAccess,
        beside: Beside,
        stop: Stop,
    ) -> Result<(), Failure> {
        let archive = Archive::open(home, self.rules)?;
        archive.catch_up().await?;
        // A long first reading of all rows is no answer's business.
        archive.ledger().await?;
        let (pulls, callbacks, is_pull_unexpected, maintenance) = match beside {
            Beside::Nothing { is_pull_unexpected } => {
                (Vec::new(), Vec::new(), is_pull_unexpected, None)
            }
            Beside::Pulls {
                watched,
                callbacks,
                maintenance,
            } => (watched, callbacks, false, Some(maintenance)),
        };
        let is_alone = pulls.is_empty();
        let api = Arc::new(Api {
            archive,
            media,
            state: self.state,
            audit: self.audit,
            jwt: self.jwt,
            session_token: self.one_time.as_deref().map(tokens::hash),
            pulls,
            callbacks,
            exports: tokio::sync::Notify::new(),
            is_pull_unexpected,
            maintenance,
        });
        let on_signal = stop.clone();
        signals::on_stop(move || on_signal.stop());
        if let Some(keys) = api.jwt.as_ref().map(JwtDoor::keys) {
            tokio::spawn(async move { keys.follow().await });
        }
        tokio::spawn(make_exports(Arc::clone(&api), stop.clone()));
        if is_alone {
            tokio::spawn(keep_up(Arc::clone(&api), stop.clone()));
        }
        println!("http://{}", self.listening.address);
        if let Some(token) = self.one_time {
            println!("token for this run: {token}");
        }
        Ok(self.listening.serve(api, stop.stopped()).await?)
    }
}

/// Who may come with a JWT, as the configuration says, if it does.
fn jwt_door(config: &Path) -> Result<Option<JwtDoor>, Failure> {
    let failed = |why| Failure::failed(format!("configuration `{}`: {why}", config.display()));
    let Some(settings) = JwtSettings::read_alone(config).map_err(failed)? else {
        return Ok(None);
    };
    JwtDoor::open(&settings).map(Some).map_err(failed)
}

/// How often a server without a pull looks whether somebody left the index behind.
const KEEP_UP_EVERY: std::time::Duration = std::time::Duration::from_secs(15);

/// Brings the index forward after an import in another process that was killed half-way; one that
/// still runs does it itself.
async fn keep_up(api: Arc<Api>, stop: Stop) {
    while !stop.is_stopped() {
        tokio::time::sleep(KEEP_UP_EVERY).await;
        if let Err(error) = api.archive.catch_up().await {
            tracing::warn!(%error, "the search index could not be brought forward");
        }
    }
}
