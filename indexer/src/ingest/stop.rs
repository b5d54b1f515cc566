//! Asks a running pull to end cleanly, or to look at once; cloned into signal handlers and into the
//! callback.
//!
//! One for the whole process has a child for each company: what the parent is asked its children
//! are asked too, never the other way round.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Asks a running pull to end, or to look at once.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    is_stopped: bool,
    /// How often somebody said that there may be news.
    n_wakes: u64,
    children: Vec<Weak<Inner>>,
}

/// A moment; a wake after it ends a sleep that begins later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl Stop {
    /// One that is asked whatever this one is asked.
    pub fn child(&self) -> Self {
        let child = Self::default();
        let mut asked = self.lock();
        asked.children.retain(|known| known.strong_count() > 0);
        asked.children.push(Arc::downgrade(&child.inner));
        let is_stopped = asked.is_stopped;
        drop(asked);
        if is_stopped {
            child.stop();
        }
        child
    }

    /// Ends the pull after what is under way is committed.
    pub fn stop(&self) {
        self.inner.ask(|asked| asked.is_stopped = true);
    }

    /// Ends the present wait for more messages.
    pub fn wake(&self) {
        self.inner.ask(|asked| asked.n_wakes += 1);
    }

    /// Whether it was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Now, as far as wakes are concerned.
    pub fn moment(&self) -> Moment {
        Moment(self.lock().n_wakes)
    }

    /// Done when it was asked to end; looks four times a second.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        async move {
            while !this.is_stopped() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }

    /// Sleeps, or ends early when asked to end.
    pub fn sleep(&self, time: Duration) {
        self.sleep_while(time, |asked| !asked.is_stopped);
    }

    /// Sleeps, or ends early when asked to end or woken since `moment`.
    pub fn sleep_until_woken(&self, time: Duration, moment: Moment) {
        self.sleep_while(time, |asked| !asked.is_stopped && asked.n_wakes == moment.0);
    }

    fn sleep_while(&self, time: Duration, mut goes_on: impl FnMut(&Asked) -> bool) {
        let guard = self.lock();
        let _ = self
            .inner
            .changed
            .wait_timeout_while(guard, time, |asked| goes_on(asked))
            .map_err(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.inner
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn ask(&self, change: impl Fn(&mut Asked) + Copy) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut asked);
        let children = asked.children.clone();
        drop(asked);
        self.changed.notify_all();
        for child in children.iter().filter_map(Weak::upgrade) {
            child.ask(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_the_parent_is_asked_its_children_are_asked() {
        let parent = Stop::default();
        let (one, other) = (parent.child(), parent.child());
        one.stop();
        assert!(one.is_stopped() && !parent.is_stopped() && !other.is_stopped());
        parent.stop();
        assert!(other.is_stopped() && parent.child().is_stopped());
    }

    #[test]
    fn a_wake_ends_the_sleep_that_begins_after_it_once() {
        let parent = Stop::default();
        let child = parent.child();
        let moment = child.moment();
        parent.wake();
        let started = Instant::now();
        child.sleep_until_woken(LONG, moment);
        assert!(started.elapsed() < LONG / 2);
        let moment = child.moment();
        let waker = parent.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        child.sleep_until_woken(LONG, moment);
        thread.join().unwrap();
        assert!(started.elapsed() < LONG / 2);
        // A wake is no reason to end a back-off.
        child.sleep(Duration::from_millis(1));
    }
}
