//! What questions about figures are asked of: the derived tables at one version, with the directory
//! and the rules that they were made from.

use chrono::NaiveDate;
use huicun_semantics::time::Zone;

use crate::archive::Home;
use crate::directory::Directory;
use crate::rules::Rules;
use crate::state::State;

use super::derive::load::Snapshot;
use super::derive::schema;
use super::derive::{self, DeriveError, Watch};

/// Everything that was computed from one version of messages, directory and rules.
pub struct Facts {
    /// The directory.
    pub directory: Directory,
    /// The rules.
    pub rules: Rules,
    /// The derived tables.
    pub snapshot: Snapshot,
    /// Version of `messages`.
    pub messages_version: u64,
}

impl Facts {
    /// The facts of the newest messages, directory and rules: brings the derived tables forward
    /// where they are behind. May compute for long.
    ///
    /// # Errors
    /// Tables that cannot be read or written.
    pub async fn current(
        home: &Home,
        rules: &Rules,
        watch: &Watch<'_>,
    ) -> Result<Self, DeriveError> {
        let state = State::open(&home.state())?;
        let zone = rules.zone()?;
        let (directory, snapshot) = match derive::is_current(home, rules, &state).await? {
            Some(manifest) => {
                let directory = async { Ok(Directory::load(home).await?) };
                futures::try_join!(directory, Snapshot::open(home, manifest, zone))?
            }
            None => {
                let (manifest, directory) =
                    derive::bring_forward_with_directory(home, rules, watch).await?;
                (directory, Snapshot::open(home, manifest, zone).await?)
            }
        };
        let messages_version = snapshot.manifest.made_from.messages_version;
        Ok(Self {
            directory,
            rules: rules.clone(),
            snapshot,
            messages_version,
        })
    }

    /// The period of a report that names none: from the first day that has a message to the last
    /// one that has anything, be it a message, a timeout that has fired, or something dated in the
    /// directory up to now. What the directory knows of the time before the first message does not
    /// begin it: nothing could be measured then. Without messages it does.
    pub fn days(&self, zone: Zone, now_ms: i64) -> Option<(NaiveDate, NaiveDate)> {
        let today = zone.day_of(now_ms);
        let messages = [schema::DIALOGUES, schema::ACTIVITY, schema::CALLS]
            .into_iter()
            .flat_map(|table| self.snapshot.days_of(table))
            .fold(None, widened);
        let timeouts = self.snapshot.days_of(schema::TIMEOUTS);
        let requests = self.directory.work.friend_requests.iter();
        let directory = instants_of(&self.directory)
            // What the epoch or an instant before it says is that nobody knows when.
            .filter(|at_ms| (1..=now_ms).contains(at_ms))
            .fold(None, widened);
        let others = timeouts
            .chain(requests.map(|requests| requests.day))
            .chain(days_of(directory, zone))
            .filter(|day| *day <= today)
            .fold(None, widened);
        match (messages, others) {
            (Some((first, last)), Some((_, other))) => Some((first, last.max(other))),
            (messages, others) => messages.or(others),
        }
    }
}

fn days_of(span: Option<(i64, i64)>, zone: Zone) -> impl Iterator<Item = NaiveDate> {
    let ends = span.into_iter().flat_map(|(first, last)| [first, last]);
    ends.map(move |at_ms| zone.day_of(at_ms))
}

fn widened<T: Ord + Copy>(span: Option<(T, T)>, one: T) -> Option<(T, T)> {
    Some(span.map_or((one, one), |(first, last)| (first.min(one), last.max(one))))
}

/// When anything of the directory happened that reports count.
fn instants_of(directory: &Directory) -> impl Iterator<Item = i64> + '_ {
    let work = &directory.work;
    let relations = directory.relations.iter();
    let tasks = work.tasks.iter();
    relations
        .flat_map(|relation| [Some(relation.added_ms), relation.lost_ms])
        .chain(tasks.flat_map(|task| [Some(task.assigned_ms), task.completed_ms]))
        .flatten()
        .chain(directory.groups.memberships().iter().map(|m| m.joined_ms))
        .chain(work.followups.iter().map(|record| record.at_ms))
        .chain(work.business_records.iter().map(|record| record.at_ms))
}
