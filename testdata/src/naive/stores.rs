//! The rows of `huicun report stores` (semantics 10.4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::company::Company;
use super::number::ratio;
use super::organisation::Unit;
use super::period::Period;
use super::report::{Row, parts};

impl Company {
    /// Every store, by its id, then period.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_stores(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let whole = Period::parse(from, to);
        let mut rows = Vec::new();
        for (id, store) in &self.directory.stores {
            let head = json!({"store_id": id, "name": store.name});
            rows.extend(parts(whole, by, &head, |period| {
                self.store_metrics(Unit::Store(id), period)
            }));
        }
        rows
    }

    /// The same figures per department.
    ///
    /// # Panics
    /// As the report of stores.
    pub fn report_stores_per_department(
        &self,
        from: &str,
        to: &str,
        by: Option<&str>,
    ) -> Vec<Value> {
        self.report_per_department(from, to, by, |unit, period| {
            self.store_metrics(unit, period)
        })
    }

    fn store_metrics(&self, unit: Unit<'_>, period: Period) -> Row {
        let end = self.end_of(period);
        let is_of = |userid: &str, at: i64| self.directory.is_of(unit, userid, at);
        let ids = self.every_employee_id();
        let n_employees = ids.iter().filter(|userid| is_of(userid, end)).count();
        let relations = self.directory.all_relations();
        let (mut new, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for relation in &relations {
            if self.is_in(period, relation.added) && is_of(relation.userid, relation.added) {
                new.insert(relation.customer);
            }
            if let Some(at) = relation.lost
                && self.is_in(period, at)
                && is_of(relation.userid, at)
            {
                lost.insert(relation.customer);
            }
        }
        let friends = self.friends_at(unit, end);
        let people = self.customers_in_owned_at(unit, end);
        let n_in_groups = friends.intersection(&people).count();
        let n_people_new = self.group_people_new(unit, period);
        let mut row = Row::new();
        let counts = [
            ("friends", friends.len()),
            ("friends_new", new.len()),
            ("group_people", people.len()),
            ("friends_in_groups", n_in_groups),
            ("group_people_new", n_people_new),
        ];
        for (key, n) in counts {
            row.insert(key.to_owned(), json!(n));
            row.insert(format!("{key}_avg"), ratio(n, n_employees));
        }
        row.insert("friends_lost".into(), json!(lost.len()));
        let n_groups = self.rooms_owned_at(unit, end).len();
        row.insert("groups".into(), json!(n_groups));
        row.insert(
            "friends_in_groups_rate".into(),
            ratio(n_in_groups, friends.len()),
        );
        row
    }
}
