//! The derivation (派生): messages, directory and rules in; dialogues, activity, calls, timers,
//! timeouts, conversations and behaviours out, as tables that reports and lists read.
//!
//! Promised:
//! - what is brought forward step by step is what is derived from nothing, row by row;
//! - only conversations that a change touches are derived anew, from the last point before which
//!   nothing can have changed ([`world::Restart`]);
//! - all tables change together, in one step, or not at all ([`store`]);
//! - nothing depends on the clock: what will time out if nobody answers is there already;
//! - memory is that of one stretch of messages ([`STRETCH_ROWS`]) and of the names of people and
//!   conversations, however many years there are.

pub mod columns;
mod conversation;
mod incoming;
pub mod load;
mod message;
mod output;
mod read;
mod recorded;
mod rule;
pub mod said;
pub mod schema;
pub mod sighting;
mod spill;
pub mod sql;
pub mod store;
mod timeouts;
mod touch;
pub mod watched;
mod work;
mod world;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::archive::{Home, HomeError, TableError};
use crate::directory::Directory;
use crate::rules::Rules;
use crate::state::{State, StateError};
use crate::tables;

use rule::Compiled;
pub use store::WatchedBy;
use store::{MadeFrom, Manifest};
use watched::Inputs;

/// Messages that are worked on at a time.
pub const STRETCH_ROWS: u64 = 500_000;
/// How long one derivation waits for another.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Why nothing was derived. What was in force stays so.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The messages could not be read.
    #[error("cannot read the messages: {0}")]
    Read(#[from] datafusion::error::DataFusionError),
    /// Rows could not be put together.
    #[error("cannot put rows together: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// The state could not be read, or losses not be noted in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The rules name a zone that is none.
    #[error(transparent)]
    Zone(#[from] huicun_semantics::time::UnknownZone),
    /// It was asked to stop.
    #[error("stopped; the figures stay as they were, and the next time begins where they are")]
    Stopped,
    /// Anything else.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl DeriveError {
    fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

/// How far a derivation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Messages read.
    pub n_done: u64,
    /// Messages to read, an estimate.
    pub n_all: u64,
    /// Whether everything is derived anew.
    pub is_rebuild: bool,
}

/// Who watches a derivation.
pub struct Watch<'a> {
    /// Is told how far it is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Whether it shall stop.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
    /// Messages that are worked on at a time, [`STRETCH_ROWS`] usually.
    pub stretch_rows: u64,
}

impl Watch<'_> {
    /// Nobody.
    pub const NOBODY: Watch<'static> = Watch {
        progress: &|_| {},
        is_stopped: &|| false,
        stretch_rows: STRETCH_ROWS,
    };

    fn check(&self) -> Result<(), DeriveError> {
        if (self.is_stopped)() {
            return Err(DeriveError::Stopped);
        }
        Ok(())
    }
}

/// What a derivation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Derivation {
    /// Whether everything was derived anew.
    pub is_rebuild: bool,
    /// Conversations that were derived anew, whole or from their restart.
    pub n_conversations: u64,
    /// Messages that were read for it.
    pub n_messages: u64,
    /// Messages that were scanned for behaviours.
    pub n_scanned: u64,
}

/// Brings the derived tables up to the newest messages, directory and `rules`. Computes for long:
/// call it where that holds up nobody else.
///
/// # Errors
/// What was in force stays so.
pub async fn bring_forward(
    home: &Home,
    rules: &Rules,
    watch: &Watch<'_>,
) -> Result<(Manifest, Derivation), DeriveError> {
    let (manifest, done, _) = derive(home, rules, watch, false).await?;
    Ok((manifest, done))
}

/// As [`bring_forward`], with the directory that the tables were derived from.
///
/// # Errors
/// What was in force stays so.
pub async fn bring_forward_with_directory(
    home: &Home,
    rules: &Rules,
    watch: &Watch<'_>,
) -> Result<(Manifest, Directory), DeriveError> {
    let (manifest, _, directory) = derive(home, rules, watch, false).await?;
    Ok((manifest, directory))
}

/// Derives everything anew, whatever is there.
///
/// # Errors
/// What was in force stays so.
pub async fn rebuild(
    home: &Home,
    rules: &Rules,
    watch: &Watch<'_>,
) -> Result<(Manifest, Derivation), DeriveError> {
    let (manifest, done, _) = derive(home, rules, watch, true).await?;
    Ok((manifest, done))
}

/// Whether the tables in force were made from the newest messages, directory, `rules` and what the
/// state says of behaviours.
pub async fn is_current(
    home: &Home,
    rules: &Rules,
    state: &State,
) -> Result<Option<Manifest>, DeriveError> {
    let Some(manifest) = Manifest::read(home) else {
        return Ok(None);
    };
    let messages = crate::archive::messages::identity(home).await?;
    let (messages_id, messages_version) = messages.unwrap_or_default();
    let newest = MadeFrom {
        messages_id,
        messages_version,
        directory: versions_of(crate::directory::store::versions(home)),
        watched: WatchedBy::of(state)?,
        ..hashes(rules)?
    };
    Ok((manifest.made_from == newest).then_some(manifest))
}

async fn derive(
    home: &Home,
    rules: &Rules,
    watch: &Watch<'_>,
    is_forced: bool,
) -> Result<(Manifest, Derivation, Directory), DeriveError> {
    let patient = home.clone();
    let lock = move || patient.lock_derive("huicun (deriving figures)", PATIENCE);
    let _lock = tokio::task::spawn_blocking(lock)
        .await
        .map_err(DeriveError::other)??;
    let (tables, directory) =
        futures::try_join!(tables::open_messages(home), Directory::load(home))?;
    let state = State::open(&home.state())?;
    let known = Manifest::read(home).filter(|_| !is_forced);
    let directory_versions = versions_of(directory.versions.clone());
    let is_of = |versions: &BTreeMap<String, u64>| versions.get("relations").copied();
    let noted = known
        .as_ref()
        .map(|known| is_of(&known.made_from.directory));
    if noted != Some(is_of(&directory_versions)) {
        watched::note_losses(&state, &directory)?;
    }
    let made_from = MadeFrom {
        messages_id: tables
            .messages
            .as_ref()
            .map_or(String::new(), |t| t.id().into()),
        messages_version: tables.messages_version(),
        directory: directory_versions,
        watched: WatchedBy::of(&state)?,
        ..hashes(rules)?
    };
    if let Some(known) = &known
        && known.made_from == made_from
    {
        return Ok((known.clone(), Derivation::default(), directory));
    }
    let work = work::Work {
        home,
        rules,
        compiled: Compiled::new(rules)?,
        directory: &directory,
        tables: &tables,
        ctx: tables.session().await?,
        watch,
        watched: Inputs::read(&state)?,
    };
    drop(state);
    let step = known.filter(|known| is_step(&known.made_from, &made_from));
    let stepped = match step {
        Some(known) => touch::step(&work, known, made_from.clone()).await?,
        None => None,
    };
    let (manifest, done) = match stepped {
        Some(done) => done,
        None => work.rebuild(made_from).await?,
    };
    Ok((manifest, done, directory))
}

/// Whether one state can be reached from another step by step.
fn is_step(before: &MadeFrom, after: &MadeFrom) -> bool {
    before.messages_id == after.messages_id
        && before.messages_version <= after.messages_version
        && before.conversation_rules == after.conversation_rules
}

fn versions_of(versions: Vec<(&'static str, u64)>) -> BTreeMap<String, u64> {
    versions
        .into_iter()
        .map(|(table, version)| (table.to_string(), version))
        .collect()
}

/// What of the rules derived tables follow.
fn hashes(rules: &Rules) -> Result<MadeFrom, DeriveError> {
    let all: toml::Table = toml::from_str(&rules.to_toml()).map_err(DeriveError::other)?;
    let hash = |keys: &[&str], without: &[&str]| {
        let mut part = toml::Table::new();
        for key in keys {
            if let Some(value) = all.get(*key) {
                let mut value = value.clone();
                if let Some(table) = value.as_table_mut() {
                    table.retain(|key, _| !without.contains(&key));
                }
                part.insert((*key).to_string(), value);
            }
        }
        crate::archive::seal::sha256(part.to_string().as_bytes())
    };
    let names_calendar = rules.reply_calendar().is_some();
    let calendar = if names_calendar { "calendar" } else { "" };
    let keys = [
        "timezone", "dialogue", "closing", "reply", "timeout", calendar,
    ];
    Ok(MadeFrom {
        conversation_rules: hash(&keys, &["rule"]),
        timeout_rules: hash(&["timezone", "timeout", "calendar"], &[]),
        ..MadeFrom::default()
    })
}
