//! The rows of `huicun report customers` (semantics 10.5).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::company::Company;
use super::number::change;
use super::organisation::Unit;
use super::period::{Period, day_of, day_start_ms};
use super::report::{Row, parts};

impl Company {
    /// The company's row, or its rows by period.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_customers(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        parts(Period::parse(from, to), by, &json!({}), |period| {
            self.customer_metrics(Unit::Company, period)
        })
    }

    /// The same per employee.
    ///
    /// # Panics
    /// As the company's.
    pub fn report_customers_per_employee(
        &self,
        from: &str,
        to: &str,
        by: Option<&str>,
    ) -> Vec<Value> {
        self.report_per_employee(
            from,
            to,
            by,
            |_| true,
            |unit, period| self.customer_metrics(unit, period),
        )
    }

    /// The same per department.
    ///
    /// # Panics
    /// As the company's.
    pub fn report_customers_per_department(
        &self,
        from: &str,
        to: &str,
        by: Option<&str>,
    ) -> Vec<Value> {
        self.report_per_department(from, to, by, |unit, period| {
            self.customer_metrics(unit, period)
        })
    }

    fn customer_metrics(&self, unit: Unit<'_>, period: Period) -> Row {
        let end = self.end_of(period);
        let is_of = |userid: &str, at: i64| self.directory.is_of(unit, userid, at);
        let relations = self.directory.all_relations();
        let customers = self.friends_at(unit, end);
        let of_anybody = self.friends_at(Unit::Company, end);
        let in_groups = self.customers_in_owned_at(unit, end);
        let potential = in_groups.difference(&of_anybody).count();
        let n_new = self.customers_new(unit, period);
        let n_requests = self.friend_requests(unit, period);
        let n_new_today = self.rules.now_ms.map_or(0, |now| {
            let today = day_of(now, self.rules.zone);
            let today = Period {
                from: today,
                to: today,
            };
            self.customers_new(unit, today)
        });
        let mut lost_ever = BTreeSet::new();
        let (mut by_employee, mut by_customer) = (0, 0);
        let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
        let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for relation in &relations {
            if let Some(lost) = relation.lost.filter(|lost| is_of(relation.userid, *lost)) {
                if lost <= end && !customers.contains(relation.customer) {
                    lost_ever.insert(relation.customer);
                }
                let is_in = self.is_in(period, lost);
                by_employee += usize::from(is_in && relation.rest.lost_by == "employee");
                by_customer += usize::from(is_in && relation.rest.lost_by == "customer");
            }
            if self.is_in(period, relation.added) && is_of(relation.userid, relation.added) {
                let way = relation.rest.add_way.as_deref().unwrap_or("unknown");
                *sources.entry(way).or_default() += 1;
            }
            if relation.is_active(end) && is_of(relation.userid, end) {
                for tag in &relation.rest.tags {
                    tags.entry(tag).or_default().insert(relation.customer);
                }
            }
        }
        let tags: BTreeMap<&str, usize> = tags
            .into_iter()
            .map(|(tag, customers)| (tag, customers.len()))
            .collect();
        let (followed, followups) = self.followups_by_day(unit, period);
        let columns = [
            ("customers", json!(customers.len())),
            ("potential_customers", json!(potential)),
            ("customers_new", json!(n_new)),
            (
                "customers_new_change",
                change(n_new, self.customers_new(unit, period.previous())),
            ),
            ("customers_new_today", json!(n_new_today)),
            ("friend_requests", json!(n_requests)),
            (
                "friend_requests_change",
                change(n_requests, self.friend_requests(unit, period.previous())),
            ),
            ("customers_lost_total", json!(lost_ever.len())),
            ("deleted_by_employee", json!(by_employee)),
            ("deleted_by_customer", json!(by_customer)),
            ("sources", json!(sources)),
            ("tags", json!(tags)),
            ("followed_customers_by_day", followed),
            ("followups_by_day", followups),
        ];
        let columns = columns.into_iter();
        columns
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    fn customers_new(&self, unit: Unit<'_>, period: Period) -> i64 {
        let relations = self.directory.all_relations();
        let new: BTreeSet<&str> = relations
            .iter()
            .filter(|relation| self.is_in(period, relation.added))
            .filter(|relation| self.directory.is_of(unit, relation.userid, relation.added))
            .map(|relation| relation.customer)
            .collect();
        new.len() as i64
    }

    /// Today is left out, because its figure is not whole yet.
    fn friend_requests(&self, unit: Unit<'_>, period: Period) -> i64 {
        let zone = self.rules.zone;
        let today = self.rules.now_ms.map(|now| day_of(now, zone));
        let mut total = 0;
        for ((userid, date), count) in &self.directory.friend_requests {
            let is_past = today.is_none_or(|today| *date < today);
            let start = day_start_ms(*date, zone);
            if is_past && period.contains(*date) && self.directory.is_of(unit, userid, start) {
                total += count;
            }
        }
        total
    }

    /// Distinct customers followed, and follow-up records on customers, of the days that have any.
    fn followups_by_day(&self, unit: Unit<'_>, period: Period) -> (Value, Value) {
        let mut by_day: BTreeMap<NaiveDate, Vec<&str>> = BTreeMap::new();
        for record in self.directory.followups.values() {
            let is_of = self.directory.is_of(unit, &record.userid, record.at);
            if record.target_type == "customer" && is_of && self.is_in(period, record.at) {
                let day = day_of(record.at, self.rules.zone);
                by_day.entry(day).or_default().push(&record.target);
            }
        }
        let (mut followed, mut records) = (Row::new(), Row::new());
        for (day, customers) in by_day {
            records.insert(day.to_string(), json!(customers.len()));
            let distinct: BTreeSet<&str> = customers.into_iter().collect();
            followed.insert(day.to_string(), json!(distinct.len()));
        }
        (Value::Object(followed), Value::Object(records))
    }
}
