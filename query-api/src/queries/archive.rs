//! What questions are asked of: the open archive, with the directory and the computed facts kept
//! as long as the versions that they were made from are the newest.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::NaiveDate;
use huicun_engine::archive::ledger::Ledger;
use huicun_engine::archive::{Home, messages};
use huicun_engine::directory::{Directory, store};
use huicun_engine::jobs::Facts;
use huicun_engine::jobs::derive::store::Manifest;
use huicun_engine::jobs::derive::{Progress, Watch, WatchedBy};
use huicun_engine::rules::Rules;
use huicun_engine::state::State;
use huicun_engine::state::lost_media::{LostMedia, lost_media};
use huicun_indexer::index::{Follower, SearchIndex};
use huicun_semantics::time::{Period, Zone};
use serde::Serialize;

use super::error::QuestionError;
use super::holes::Hole;
use super::known_ledger::{Age, KnownLedger};

/// From which versions an answer was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AsOf {
    /// Version of the `messages` table.
    pub messages_version: u64,
    /// Versions of the directory tables that have been fed.
    pub directory_versions: std::collections::BTreeMap<String, u64>,
    /// When the question was asked, RFC 3339 in the company's zone.
    pub asked_at: String,
    /// Holes in the archive that touch the period asked for, the earliest 20 of them; not given
    /// where no period is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holes: Option<Vec<Hole>>,
    /// How many there are (for callers who do not see everything: how many kinds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holes_total: Option<u64>,
}

/// Is told how far deriving figures is.
pub type Watcher = Arc<dyn Fn(Progress) + Send + Sync>;

/// The open archive.
pub struct Archive {
    home: Home,
    zone: RwLock<Zone>,
    /// Of which rules `zone` is; -1 before anybody asked.
    rules_version: AtomicI64,
    search: RwLock<Option<Arc<SearchIndex>>>,
    directory: RwLock<Option<Arc<Directory>>>,
    /// Held by who loads it.
    directory_loading: tokio::sync::Mutex<()>,
    facts: Arc<tokio::sync::Mutex<Option<Arc<Facts>>>>,
    progress: std::sync::OnceLock<Watcher>,
    ledger: KnownLedger,
    state: RwLock<Option<Arc<State>>>,
}

impl Archive {
    /// Opens an existing data directory for reading.
    pub fn open(home: Home, rules: Rules) -> Result<Self, QuestionError> {
        let zone = rules
            .zone()
            .map_err(|e| QuestionError::Parameter(e.to_string()))?;
        Ok(Self {
            home,
            zone: RwLock::new(zone),
            rules_version: AtomicI64::new(-1),
            search: RwLock::new(None),
            directory: RwLock::new(None),
            directory_loading: tokio::sync::Mutex::default(),
            facts: Arc::default(),
            progress: std::sync::OnceLock::new(),
            ledger: KnownLedger::default(),
            state: RwLock::new(None),
        })
    }

    /// Lets somebody watch while figures are derived; the first who asks does.
    pub fn watch(&self, watcher: Watcher) {
        let _ = self.progress.set(watcher);
    }

    /// The data directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The rules in force.
    pub fn rules(&self) -> Result<Rules, QuestionError> {
        Ok(self.state()?.rules()?.1)
    }

    /// The company's zone, by the rules that were in force at the last [`Archive::follow_rules`].
    pub fn zone(&self) -> Zone {
        *self.zone.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the zone of the rules in force, which may have been applied since the archive was
    /// opened. A server does so when a question begins, so that one answer keeps to one zone.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn follow_rules(&self) -> Result<(), QuestionError> {
        let state = self.state()?;
        let version = state.rules_version()?;
        if self.rules_version.swap(version, Ordering::Relaxed) != version {
            let zone = state.rules()?.1.zone();
            let zone = zone.map_err(|e| QuestionError::Parameter(e.to_string()))?;
            *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
        }
        Ok(())
    }

    /// The search index; `None` before the first message was indexed.
    pub fn search(&self) -> Result<Option<Arc<SearchIndex>>, QuestionError> {
        let open = self.search.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = open.as_ref() {
            return Ok(Some(Arc::clone(index)));
        }
        drop(open);
        let opened = SearchIndex::open(&self.home.index())?.map(Arc::new);
        *self.search.write().unwrap_or_else(PoisonError::into_inner) = opened.clone();
        Ok(opened)
    }

    /// The directory at its newest version.
    pub async fn directory(&self) -> Result<Arc<Directory>, QuestionError> {
        if let Some(known) = self.known_directory() {
            return Ok(known);
        }
        // One loads it, and those who wait take what he loaded: a directory may have hundreds of
        // megabytes, and after a change everybody asks for it at once.
        let _loading = self.directory_loading.lock().await;
        if let Some(known) = self.known_directory() {
            return Ok(known);
        }
        let fresh = Arc::new(Directory::load(&self.home).await?);
        *self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The directory as it is known, if that is the newest.
    fn known_directory(&self) -> Option<Arc<Directory>> {
        let known = self
            .directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let versions = store::versions(&self.home);
        known.filter(|known| known.versions == versions)
    }

    /// Dialogues and what reports count, of the newest versions.
    pub async fn facts(&self) -> Result<Arc<Facts>, QuestionError> {
        // One computation at a time: those who wait take its result. So what is newest is asked
        // after the wait, else each of them would find the result too new and compute again.
        let mut known = Arc::clone(&self.facts).lock_owned().await;
        let messages_version = messages::newest_version(&self.home).unwrap_or(0);
        let directory = store::versions(&self.home);
        // The newest rules, which may have been applied since this archive was opened.
        let state = self.state()?;
        let (_, rules) = state.rules()?;
        let watched = WatchedBy::of(&state)?;
        if let Some(facts) = known.as_ref()
            && facts.rules == rules
            // A rebuild by another process has put other tables in force.
            && Manifest::read(&self.home).as_ref() == Some(&facts.snapshot.manifest)
            && facts.snapshot.manifest.made_from.watched == watched
            && facts.messages_version == messages_version
            && facts.directory.versions == directory
        {
            return Ok(Arc::clone(facts));
        }
        // On a thread of its own: it computes for long, and goes on for the next who asks when
        // this one gives up.
        let (home, progress) = (self.home.clone(), self.progress.get().cloned());
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let watch = Watch {
                progress: &|step| {
                    if let Some(progress) = &progress {
                        progress(step);
                    }
                },
                ..Watch::NOBODY
            };
            let facts = Arc::new(runtime.block_on(Facts::current(&home, &rules, &watch))?);
            *known = Some(Arc::clone(&facts));
            Ok(facts)
        })
        .await
        .map_err(|_| QuestionError::Interrupted)?
    }

    /// The state, opened when it is first asked.
    pub fn state(&self) -> Result<Arc<State>, QuestionError> {
        let open = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = open.as_ref() {
            return Ok(Arc::clone(state));
        }
        drop(open);
        let opened = Arc::new(State::open(&self.home.state())?);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// The ledger of the newest version of `messages`.
    pub async fn ledger(&self) -> Result<Arc<Ledger>, QuestionError> {
        self.ledger.ledger(&self.home, Age::Newest).await
    }

    /// The ledger of a moment ago.
    pub async fn ledger_lately(&self) -> Result<Arc<Ledger>, QuestionError> {
        self.ledger.ledger(&self.home, Age::Lately).await
    }

    /// Media files that are gone for good.
    pub fn lost_media(&self) -> Result<Vec<LostMedia>, QuestionError> {
        Ok(lost_media(&self.home)?)
    }

    /// Brings the index up to the table where nobody else is doing it: after a crash, or an
    /// import that was killed. Another process that is writing does it itself.
    pub async fn catch_up(&self) -> Result<(), QuestionError> {
        let Some(newest) = messages::newest_version(&self.home) else {
            return Ok(());
        };
        let covered = match self.search()? {
            Some(index) => index.watermark()?.map(|w| w.version),
            None => None,
        };
        if covered == Some(newest) {
            return Ok(());
        }
        let Some(table) = messages::open(&self.home).await? else {
            return Ok(());
        };
        let Ok(_lock) = self.home.lock_writer("huicun (bringing the index forward)") else {
            return Ok(());
        };
        *self.search.write().unwrap_or_else(PoisonError::into_inner) = None;
        let mut follower = Follower::open(&self.home.index())?;
        follower.catch_up(&table).await?;
        Ok(follower.close()?)
    }

    /// The stamp of an answer.
    pub fn as_of(&self, messages_version: u64, directory: &Directory) -> AsOf {
        AsOf {
            messages_version,
            directory_versions: directory
                .versions
                .iter()
                .map(|(table, version)| (table.to_string(), *version))
                .collect(),
            asked_at: self.zone().rfc3339_ms(now_ms()),
            holes: None,
            holes_total: None,
        }
    }

    /// The stamp of an answer about what is there now, that no question over messages gave.
    pub fn as_of_now(&self) -> AsOf {
        let versions = store::versions(&self.home).into_iter();
        AsOf {
            messages_version: messages::newest_version(&self.home).unwrap_or(0),
            directory_versions: versions
                .map(|(table, version)| (table.to_string(), version))
                .collect(),
            asked_at: self.zone().rfc3339_ms(now_ms()),
            holes: None,
            holes_total: None,
        }
    }

    /// A period from optional days: a missing end reaches to the first or the last day of what
    /// there is ([`Facts::days`]); today where there is nothing.
    ///
    /// # Errors
    /// Days that are none, or in the wrong order.
    pub fn period(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        facts: &Facts,
    ) -> Result<Period, QuestionError> {
        let (zone, now_ms) = (facts.rules.zone().unwrap_or_default(), now_ms());
        let days = facts.days(zone, now_ms);
        let today = zone.day_of(now_ms);
        let (from, to) = (
            from.map(parse_day).transpose()?,
            to.map(parse_day).transpose()?,
        );
        let (from, to) = ends(from, to, days.unwrap_or((today, today)));
        if to < from {
            return Err(QuestionError::Parameter(format!(
                "the period ends on {to}, before it begins on {from}"
            )));
        }
        Ok(Period { from, to })
    }

    /// The instants of optional days, `[from, to)`.
    pub fn instants(
        &self,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(Option<i64>, Option<i64>), QuestionError> {
        let from = from.map(parse_day).transpose()?;
        let to = to.map(parse_day).transpose()?;
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            return Err(QuestionError::Parameter(format!(
                "the period ends on {to}, before it begins on {from}"
            )));
        }
        let after = to.and_then(|day| day.succ_opt());
        let zone = self.zone();
        Ok((
            from.map(|day| zone.day_start_ms(day)),
            after.map(|day| zone.day_start_ms(day)),
        ))
    }
}

/// UTC milliseconds.
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Both ends of a period; one that is missing is the facts' own, or the given one where that lies
/// outside of them.
fn ends(
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    (first, last): (NaiveDate, NaiveDate),
) -> (NaiveDate, NaiveDate) {
    let from = from.unwrap_or_else(|| to.map_or(first, |to| first.min(to)));
    (from, to.unwrap_or_else(|| last.max(from)))
}

/// The day of `YYYY-MM-DD`.
///
/// # Errors
/// Whatever else is written.
pub fn parse_day(text: &str) -> Result<NaiveDate, QuestionError> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        // Years have four digits: chrono reads and writes more.
        .filter(|day| text.len() == 10 && day.format("%Y-%m-%d").to_string() == text)
        .ok_or_else(|| {
            QuestionError::Parameter(format!(
                "`{text}` is no day; expected YYYY-MM-DD, such as 2024-10-01"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_four_digits() {
        assert!(parse_day("2024-10-01").is_ok());
        for text in [
            "+10000-01-01",
            "-262143-01-01",
            "2024-1-1",
            "2024-10-01 ",
            "",
        ] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_directory_is_loaded_once_for_all_who_ask_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(folder.path()).unwrap();
        let archive = Arc::new(Archive::open(home, Rules::default()).unwrap());
        let asked: Vec<_> = (0..16)
            .map(|_| {
                let archive = Arc::clone(&archive);
                tokio::spawn(async move { archive.directory().await.unwrap() })
            })
            .collect();
        let loaded = futures::future::join_all(asked).await;
        let loaded: Vec<_> = loaded.into_iter().map(Result::unwrap).collect();
        assert!(loaded.iter().all(|one| Arc::ptr_eq(one, &loaded[0])));
    }

    #[test]
    fn a_given_end_outside_of_the_facts_moves_the_missing_one() {
        let day = |text: &str| parse_day(text).unwrap();
        let facts = (day("2024-01-01"), day("2024-02-01"));
        let (early, late) = (day("2001-01-01"), day("2999-01-01"));
        assert_eq!(ends(None, None, facts), facts);
        assert_eq!(ends(None, Some(early), facts), (early, early));
        assert_eq!(ends(Some(late), None, facts), (late, late));
    }
}
