//! The rows of `huicun report guides` (semantics 10.3).

use serde_json::{Value, json};

use super::company::Company;
use super::number::{four_places, ratio};
use super::organisation::Unit;
use super::period::Period;
use super::report::Row;

impl Company {
    /// Per employee of the directory who may add external contacts, and per unknown one with facts.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_guides(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let may_add = |employee: &super::directory::Employee| employee.can_add_external;
        self.report_per_employee(from, to, by, may_add, |unit, period| {
            self.guide_metrics(unit, period)
        })
    }

    fn guide_metrics(&self, unit: Unit<'_>, period: Period) -> Row {
        let mut row = Row::new();
        self.friend_metrics(unit, period, &mut row);
        self.guide_group_metrics(unit, period, &mut row);
        self.task_metrics(unit, period, &mut row);
        let end = self.end_of(period);
        let stores: Vec<&str> = self
            .directory
            .stores
            .iter()
            .filter(|(id, _)| match unit {
                Unit::Employee(userid) => self.directory.is_of(Unit::Store(id), userid, end),
                _ => false,
            })
            .map(|(_, store)| &*store.name)
            .collect();
        row.insert("store".into(), joined(&stores));
        row
    }

    fn friend_metrics(&self, unit: Unit<'_>, period: Period, row: &mut Row) {
        let end = self.end_of(period);
        let relations = self.directory.all_relations();
        let own: Vec<_> = relations
            .iter()
            .filter(|relation| self.directory.is_of(unit, relation.userid, end))
            .collect();
        let is_first_at = |relation: &super::relations::Relation<'_>, at: i64| {
            self.directory.first_adder_at(relation.customer, at) == Some(relation.userid)
        };
        let added = || {
            own.iter()
                .filter(|relation| self.is_in(period, relation.added))
        };
        let friends = own.iter().filter(|relation| relation.is_active(end));
        let firsts = own
            .iter()
            .filter(|relation| relation.is_active(end) && is_first_at(relation, end));
        let new_first = added().filter(|relation| is_first_at(relation, relation.added));
        let lost_first = own.iter().filter(|relation| {
            relation
                .lost
                .is_some_and(|lost| self.is_in(period, lost) && is_first_at(relation, lost - 1))
        });
        row.insert("friends".into(), json!(friends.count()));
        row.insert("friends_first".into(), json!(firsts.count()));
        row.insert("friends_new".into(), json!(added().count()));
        row.insert("friends_new_first".into(), json!(new_first.count()));
        row.insert("friends_lost_first".into(), json!(lost_first.count()));
    }

    fn guide_group_metrics(&self, unit: Unit<'_>, period: Period, row: &mut Row) {
        let end = self.end_of(period);
        let rooms = self.rooms_owned_at(unit, end);
        let friends = self.friends_at(unit, end);
        let names: Vec<&str> = rooms
            .iter()
            .map(|room| {
                let name = self.directory.room_name(room);
                name.filter(|name| !name.is_empty()).unwrap_or(room)
            })
            .collect();
        let in_groups: usize = rooms
            .iter()
            .map(|room| self.customers_in(room, end).intersection(&friends).count())
            .sum();
        let people = self.customers_in_owned_at(unit, end);
        let mut firsts = self.directory.first_adders_at(end);
        firsts.retain(|_, first| self.directory.is_of(unit, first.userid, end));
        let joinings = self.directory.first_joinings(&self.external_rooms());
        let came_here_first = |customer: &&&str| {
            let first = joinings.get(**customer);
            people.contains(**customer)
                && first.is_some_and(|(at, room)| *at <= end && rooms.contains(room))
        };
        let n_firsts_here = firsts.keys().filter(came_here_first).count();
        let activities: Vec<f64> = rooms
            .iter()
            .filter_map(|room| self.activity_ratio(room, period))
            .collect();
        let activity = match activities.len() {
            0 => Value::Null,
            n => json!(four_places(activities.iter().sum::<f64>() / n as f64)),
        };
        let columns = [
            ("groups_owner", json!(rooms.len())),
            ("group_names", joined(&names)),
            ("friends_in_groups", json!(in_groups)),
            ("friends_in_groups_first", json!(n_firsts_here)),
            ("friends_in_groups_rate", ratio(in_groups, friends.len())),
            (
                "friends_in_groups_first_rate",
                ratio(n_firsts_here, firsts.len()),
            ),
            ("group_people", json!(people.len())),
            (
                "group_people_new",
                json!(self.group_people_new(unit, period)),
            ),
            ("group_activity", activity),
        ];
        for (key, value) in columns {
            row.insert(key.to_owned(), value);
        }
    }

    fn task_metrics(&self, unit: Unit<'_>, period: Period, row: &mut Row) {
        let kinds: [(&str, &[&str]); 3] = [
            ("tasks", &["normal"]),
            ("poster_tasks", &["poster"]),
            ("all_tasks", &["normal", "poster"]),
        ];
        for (name, kinds) in kinds {
            let (mut n_done, mut n_assigned) = (0, 0);
            for task in self.directory.tasks.values() {
                let is_in = |at: i64| {
                    self.is_in(period, at) && self.directory.is_of(unit, &task.userid, at)
                };
                if kinds.contains(&&*task.kind) {
                    n_done += usize::from(task.completed.is_some_and(is_in));
                    n_assigned += usize::from(is_in(task.assigned));
                }
            }
            row.insert(format!("{name}_done"), json!(n_done));
            row.insert(format!("{name}_assigned"), json!(n_assigned));
            row.insert(format!("{name}_rate"), ratio(n_done, n_assigned));
        }
    }
}

/// Choice: nothing to join is null.
fn joined(names: &[&str]) -> Value {
    if names.is_empty() {
        return Value::Null;
    }
    json!(names.join("、"))
}
