//! What tasks, friend requests and follow-up records amount to (semantics 10.3, 10.5).

use std::collections::HashSet;

use huicun_semantics::role::Role;

use super::cell::Amount;
use super::friends::Walk;
use super::measure::Measure;
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use crate::directory::work::{FriendRequests, Target, TaskKind};

impl<S: Sink> Walk<'_, '_, '_, S> {
    /// Tasks that were given, and tasks that were done, each on its own day.
    pub fn put_tasks(&mut self) {
        use Measure::{
            AllTasksAssigned, AllTasksDone, PosterTasksAssigned, PosterTasksDone, TasksAssigned,
            TasksDone,
        };
        let measures = [
            AllTasksAssigned,
            AllTasksDone,
            PosterTasksAssigned,
            PosterTasksDone,
            TasksAssigned,
            TasksDone,
        ];
        if !self.looks_for(&measures) {
            return;
        }
        let directory = self.context.directory;
        for task in &directory.work.tasks {
            let (assigned, done) = match task.kind {
                TaskKind::Normal => (Measure::TasksAssigned, Measure::TasksDone),
                TaskKind::Poster => (Measure::PosterTasksAssigned, Measure::PosterTasksDone),
            };
            let happened = [
                (
                    Some(task.assigned_ms),
                    [assigned, Measure::AllTasksAssigned],
                ),
                (task.completed_ms, [done, Measure::AllTasksDone]),
            ];
            for (at_ms, measures) in happened {
                let Some(at_ms) = at_ms else { continue };
                let Some(slice) = self.context.slices.of_ms(at_ms) else {
                    continue;
                };
                let units = self.units_at(task.user, at_ms);
                let fact = self.record(FactKind::Task, &task.id, task.user, None, at_ms);
                for measure in measures {
                    self.count(&units, slice, measure, &fact);
                }
            }
        }
    }

    /// A record as `explain` shows it.
    fn record(
        &mut self,
        kind: FactKind,
        id: &str,
        user: u32,
        target: Option<Target>,
        at_ms: i64,
    ) -> Fact {
        let user = self.bridge.name(self.names, user);
        let mut fact = Fact::at(kind, at_ms).with([user]);
        if !id.is_empty() {
            fact = fact.named(self.names.intern(id));
        }
        match target {
            Some(Target::Customer(customer)) => {
                let customer = self.bridge.name(self.names, customer);
                fact.with([customer])
            }
            Some(Target::Group(chat)) => {
                let room = self.bridge.name(self.names, chat);
                fact.within(room, None, Behind::Nothing)
            }
            None => fact,
        }
    }

    /// Friend requests of the slices; those of today and later, whose counts still grow, are left
    /// out.
    pub fn put_friend_requests(&mut self) {
        if !self.looks_for(&[Measure::FriendRequests]) {
            return;
        }
        let zone = self.context.settings.zone;
        let today = zone.day_of(self.context.now_ms);
        for requests in &self.context.directory.work.friend_requests {
            let at_ms = zone.day_start_ms(requests.day);
            let Some(slice) = self.context.slices.of_ms(at_ms) else {
                continue;
            };
            if requests.day < today {
                let units = self.units_at(requests.user, at_ms);
                self.put_requests(requests, at_ms, (&units, slice), Measure::FriendRequests);
            }
        }
    }

    /// The same of as many days before each slice.
    pub fn put_friend_requests_before(&mut self) {
        let measure = Measure::FriendRequestsBefore;
        if !self.sink.wants(measure) {
            return;
        }
        let zone = self.context.settings.zone;
        let today = zone.day_of(self.context.now_ms);
        for (slice, within) in super::friends::slices(self.context) {
            let before = within.days.previous();
            for requests in &self.context.directory.work.friend_requests {
                if before.contains(requests.day) && requests.day < today {
                    let at_ms = zone.day_start_ms(requests.day);
                    let units = self.units_at_end(requests.user, at_ms);
                    self.put_requests(requests, at_ms, (&units, slice), measure);
                }
            }
        }
    }

    fn put_requests(
        &mut self,
        requests: &FriendRequests,
        at_ms: i64,
        (units, slice): (&[u32], u32),
        measure: Measure,
    ) {
        let fact = self.record(FactKind::FriendRequests, "", requests.user, None, at_ms);
        for unit in units {
            let spot = Spot { unit: *unit, slice };
            let amount = Amount::Whole(requests.count);
            self.sink.put(spot, measure, amount, || fact.clone());
        }
    }

    /// Follow-up records about customers by day, and the customers that they are about.
    pub fn put_followups(&mut self) {
        if !self.looks_for(&[Measure::FollowupsByDay, Measure::FollowedCustomersByDay]) {
            return;
        }
        let directory = self.context.directory;
        let zone = self.context.settings.zone;
        let mut seen: HashSet<(u32, chrono::NaiveDate, u32)> = HashSet::new();
        for record in &directory.work.followups {
            let Target::Customer(customer) = record.target else {
                continue;
            };
            let Some(slice) = self.context.slices.of_ms(record.at_ms) else {
                continue;
            };
            if directory.role_of(record.user) != Role::Employee {
                continue;
            }
            let units = self.units_at(record.user, record.at_ms);
            let kind = FactKind::Followup;
            let target = Some(record.target);
            let fact = self.record(kind, &record.id, record.user, target, record.at_ms);
            let day = zone.day_of(record.at_ms);
            let word = day.format("%Y-%m-%d").to_string();
            self.word(&units, slice, Measure::FollowupsByDay, &word, &fact);
            for unit in units {
                if seen.insert((unit, day, customer)) {
                    let measure = Measure::FollowedCustomersByDay;
                    self.word(&[unit], slice, measure, &word, &fact);
                }
            }
        }
    }
}
