//! Which medium a lane gets next: the media of one company, those whose days end soonest first,
//! each to one lane at a time.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use huicun_engine::media::catalogue::CatalogueError;
use huicun_engine::media::{Catalogue, Job};

use super::policy::LIFE;
use super::service::{Until, lock, now_ms};
use crate::ingest::config::Corp;

/// Media of which the numbers are kept ready.
const QUEUE_MAX: usize = 256;

/// The media of one company that wait for a lane.
pub(super) struct Desk {
    pub(super) corp: Corp,
    state: Mutex<DeskState>,
}

#[derive(Default)]
struct DeskState {
    waiting: VecDeque<i64>,
    /// Being fetched by some lane.
    taken: HashSet<i64>,
    /// Tried already, where one attempt is all that is wanted.
    attempted: HashSet<i64>,
    /// Nothing is asked before this moment.
    troubled_until: Option<Instant>,
}

/// What a lane gets from its desk.
pub(super) enum Taken {
    Job(Job),
    /// Nothing now; other lanes are at work, or something is due later.
    Later,
    /// Nothing at all.
    Nothing,
}

impl Desk {
    pub(super) fn new(corp: &Corp) -> Self {
        Self {
            corp: corp.clone(),
            state: Mutex::default(),
        }
    }

    pub(super) fn take(
        &self,
        catalogue: &Catalogue,
        until: Until,
    ) -> Result<Taken, CatalogueError> {
        let mut state = lock(&self.state);
        if state
            .troubled_until
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(Taken::Later);
        }
        if state.waiting.is_empty() {
            let now_ms = now_ms();
            let fresh_since_ms = now_ms - LIFE.as_millis() as i64;
            let n_known = state.taken.len() + state.attempted.len();
            let limit = QUEUE_MAX + n_known;
            let due = catalogue.due(&self.corp.corpid, now_ms, fresh_since_ms, limit)?;
            let ids = due.into_iter().map(|job| job.id);
            let new: VecDeque<i64> = ids
                .filter(|id| !state.taken.contains(id) && !state.attempted.contains(id))
                .collect();
            state.waiting = new;
        }
        while let Some(id) = state.waiting.pop_front() {
            if state.taken.contains(&id) {
                continue;
            }
            if let Some(job) = catalogue.job(id)? {
                state.taken.insert(id);
                if until == Until::Attempted {
                    state.attempted.insert(id);
                }
                return Ok(Taken::Job(job));
            }
        }
        let is_idle = state.taken.is_empty();
        drop(state);
        let has_more = match until {
            Until::Attempted => false,
            Until::Done => catalogue.next_attempt_at(&self.corp.corpid)?.is_some(),
            Until::Stopped => true,
        };
        Ok(match is_idle && !has_more {
            true => Taken::Nothing,
            false => Taken::Later,
        })
    }

    pub(super) fn give_back(&self, id: i64) {
        lock(&self.state).taken.remove(&id);
    }

    pub(super) fn trouble(&self, wait: Duration) {
        lock(&self.state).troubled_until = Some(Instant::now() + wait);
    }
}
