//! The worker that makes queued exports, one at a time, in one process of those that share a data
//! directory. What was running when a process ended is begun again; a file has its name only when it
//! is whole and on disk.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use huicun_engine::archive::fsync_store::sync_directory;
use huicun_engine::audit::{Entry, Phase};
use huicun_engine::state::State;
use huicun_engine::state::exports::{Export, Made};
use huicun_indexer::ingest::pull::Stop;

use super::server::Api;
use crate::exports::{Asker, Doors, Errand, ExportError, ExportRequest, Format, identity_of, make};
use crate::queries::QuestionError;
use crate::queries::archive::now_ms;

/// How often it looks for jobs that another process has queued.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it looks whether the process that makes exports has ended.
const LOCK_EVERY: Duration = Duration::from_secs(2);
/// How often files that were kept long enough are deleted.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How often progress is written down; a cancel is noticed as soon.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How often a job is begun anew because the directory or a scope changed meanwhile.
const CHANGES_MAX: usize = 5;
/// How often a job is begun that ends its process each time.
const ATTEMPTS_MAX: u32 = 5;

/// The file of a finished job.
pub(super) fn file_of(folder: &Path, job: &Export) -> PathBuf {
    let ending = Format::named(&job.format).map_or("bin", Format::ending);
    folder.join(format!("{}.{ending}", job.id))
}

/// Makes exports until asked to end.
pub async fn make_exports(api: Arc<Api>, stop: Stop) {
    while !stop.is_stopped() {
        let held = api.archive.home().lock_exports("huicun (exports)");
        let Ok(_lock) = held else {
            pause(&stop, LOCK_EVERY).await;
            continue;
        };
        if let Err(error) = work(&api, &stop).await {
            tracing::error!(%error, "exports cannot be made; it is tried again");
            pause(&stop, LOCK_EVERY).await;
        }
    }
}

async fn pause(stop: &Stop, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.stopped() => {}
    }
}

async fn work(api: &Arc<Api>, stop: &Stop) -> Result<(), QuestionError> {
    let state = api.archive.state()?;
    state.requeue_exports()?;
    let mut tidied: Option<Instant> = None;
    while !stop.is_stopped() {
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidy(&state, &api.archive.home().exports())?;
            tidied = Some(Instant::now());
        }
        let Some(job) = state.begin_export(now_ms())? else {
            tokio::select! {
                () = api.exports.notified() => {}
                () = pause(stop, LOOK_EVERY) => {}
            }
            continue;
        };
        let (api, state, stop) = (Arc::clone(api), Arc::clone(&state), stop.clone());
        let id = job.id.clone();
        let runtime = tokio::runtime::Handle::current();
        // On a thread of its own: it writes files.
        let worked = tokio::task::spawn_blocking({
            let state = Arc::clone(&state);
            move || runtime.block_on(run(&api, &state, &stop, job))
        });
        match worked.await {
            Ok(outcome) => outcome?,
            Err(panic) => {
                tracing::error!(%panic, export = id, "an export has panicked");
                let told = "the export failed; the server's log has the cause";
                state.fail_export(&id, "internal", told, now_ms())?;
            }
        }
    }
    Ok(())
}

/// Deletes files whose jobs are gone, were cancelled or have expired, and what a kill left behind.
fn tidy(state: &State, folder: &Path) -> Result<(), QuestionError> {
    let kept = state.expire_exports(now_ms())?;
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((id, ending)) = name.split_once('.').filter(|(id, _)| is_id(id)) else {
            continue;
        };
        let is_kept = ending != "part" && kept.iter().any(|known| known == id);
        if !is_kept && let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(%error, "the file of an export cannot be deleted");
        }
    }
    Ok(())
}

/// Whether a file can be of a job; what somebody else has put there stays.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn run(api: &Api, state: &Arc<State>, stop: &Stop, job: Export) -> Result<(), QuestionError> {
    let folder = api.archive.home().exports();
    let part = folder.join(format!("{}.part", job.id));
    let outcome = attempt(api, state, stop, &job, &folder, &part).await;
    let _ = fs::remove_file(&part);
    match outcome {
        Ok(()) | Err(ExportError::Cancelled) => {}
        Err(ExportError::Stopped) => {
            state.put_back_export(&job.id)?;
        }
        Err(error) => {
            let (reason, told) = (error.reason(), error.told());
            tracing::warn!(%error, export = job.id, reason, "an export has failed");
            state.fail_export(&job.id, reason, &told, now_ms())?;
        }
    }
    Ok(())
}

async fn attempt(
    api: &Api,
    state: &Arc<State>,
    stop: &Stop,
    job: &Export,
    folder: &Path,
    part: &Path,
) -> Result<(), ExportError> {
    if job.n_attempts > ATTEMPTS_MAX {
        let told = format!("it was begun {ATTEMPTS_MAX} times and each time its process ended");
        state.fail_export(&job.id, "gave_up", &told, now_ms())?;
        return Ok(());
    }
    let request: ExportRequest = serde_json::from_str(&job.request)
        .map_err(|_| QuestionError::Parameter("the request is of another version".into()))?;
    api.archive.follow_rules()?;
    let plan = request.plan(&api.archive)?;
    let errand = Errand {
        archive: &api.archive,
        media: &api.media,
        asker: Asker::Owner {
            owner: job.owner.clone(),
            state: Arc::clone(state),
            doors: Doors {
                has_one_time: api.session_token.is_some(),
                jwt_roles: api.jwt.as_ref().map(super::jwt::JwtDoor::known_roles),
            },
        },
        plan: &plan,
        as_of: job.messages_version,
        spare: folder.to_path_buf(),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    api.archive.catch_up().await?;
    let mut told: Option<Instant> = None;
    let mut tell = |n_done: u64, n_total: Option<u64>| {
        if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return Ok(());
        }
        told = Some(Instant::now());
        if stop.is_stopped() {
            return Err(ExportError::Stopped);
        }
        errand.asker.check()?;
        match state.export_progress(&job.id, n_done, n_total)? {
            true => Ok(()),
            false => Err(ExportError::Cancelled),
        }
    };
    let mut n_changes = 0;
    let made = loop {
        let mut file = private(part)?;
        match make(&errand, &mut file, &mut tell).await {
            Err(ExportError::Changed) if n_changes < CHANGES_MAX => n_changes += 1,
            other => break other?,
        }
    };
    // What was read is on record before anybody can fetch it.
    let recorded = api.audit.record(entry(job, &made)).await;
    recorded.map_err(|_| ExportError::AuditUnavailable)?;
    let file = file_of(folder, job);
    fs::rename(part, &file)?;
    sync_directory(folder)?;
    if !state.finish_export(&job.id, &made, now_ms())? {
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// An empty file for this account alone.
fn private(path: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// What the audit log is told of a finished job: whose name it was made in, of what, and what.
fn entry(job: &Export, made: &Made) -> Entry {
    Entry {
        at_ms: now_ms(),
        phase: Phase::Answered,
        caller: identity_of(&job.owner),
        employee: job.owner.employee.clone(),
        peer: None,
        request_id: None,
        function: huicun_engine::access::Function::Exports.as_str().into(),
        method: "job".into(),
        route: format!("export {}", job.what),
        path: Some(format!("/v1/exports/{}", job.id)),
        query: Some(job.request.clone()),
        body: Some(format!("sha256 {} of {} bytes", made.sha256, made.n_bytes)),
        status: None,
        code: None,
        n_rows: Some(made.n_rows),
    }
}
