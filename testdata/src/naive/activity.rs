//! How active groups are, and their portraits without keywords (semantics 10.6).

use std::collections::BTreeMap;

use chrono::Days;
use serde_json::{Value, json};

use super::company::Company;
use super::conversation::Role;
use super::number::ratio;
use super::period::{Period, day_of};
use super::report::{Row, parts};

impl Company {
    /// The rows of `huicun report groups`: the external groups that exist at the end, by chat id.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_groups(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let whole = Period::parse(from, to);
        let mut rows = Vec::new();
        for room in self.external_rooms_at(self.end_of(whole)) {
            let head = json!({"chat_id": room, "name": self.directory.room_name(room)});
            rows.extend(parts(whole, by, &head, |period| {
                self.activity_metrics(room, period)
            }));
        }
        rows
    }

    /// The same without a period: the last `window_days`, today among them.
    pub fn report_groups_of_window(&self) -> Vec<Value> {
        let today = day_of(self.rules.now_ms.unwrap_or(0), self.rules.zone);
        let days = self.rules.group_activity.window_days.saturating_sub(1);
        let from = today - Days::new(u64::from(days));
        self.report_groups(&from.to_string(), &today.to_string(), None)
    }

    fn activity_metrics(&self, room: &str, period: Period) -> Row {
        let settings = &self.rules.group_activity;
        let members = self.directory.members_at(room, self.end_of(period)).len();
        let n_messages: usize = self.customer_messages_in(room, period).values().sum();
        let activity = self.activity_ratio(room, period);
        let speech = match members {
            0 => None,
            n => Some(n_messages as f64 / period.n_days() as f64 / n as f64),
        };
        let is_active = activity.is_some_and(|ratio| settings.activity_ratio.holds(ratio))
            && speech.is_some_and(|ratio| settings.speech_ratio.holds(ratio));
        let columns = [
            ("activity_ratio", json!(activity)),
            ("speech_ratio", json!(speech)),
            ("active", json!(is_active)),
            ("members", json!(members)),
            ("active_customers", json!(self.n_active(room, period))),
        ];
        let columns = columns.into_iter();
        columns
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    /// Active customers / all members as of the window's end; None without members.
    pub(super) fn activity_ratio(&self, room: &str, period: Period) -> Option<f64> {
        let members = self.directory.members_at(room, self.end_of(period)).len();
        ratio(self.n_active(room, period), members).as_f64()
    }

    fn n_active(&self, room: &str, period: Period) -> usize {
        let said = self.customer_messages_in(room, period);
        let customers = self.customers_in(room, self.end_of(period));
        let is_active = |customer: &&&str| {
            let n_messages = said.get(**customer).copied().unwrap_or(0);
            let mut conditions = self.rules.group_activity.conditions.iter();
            conditions.all(|(measure, threshold)| {
                threshold.holds(self.measure(measure, n_messages, customer, period) as f64)
            })
        };
        customers.iter().filter(is_active).count()
    }

    fn measure(&self, measure: &str, n_messages: usize, customer: &str, period: Period) -> i64 {
        let events = self.directory.material_events.values();
        let events = events.filter(|e| e.customer == customer && self.is_in(period, e.at));
        match measure {
            "messages" => n_messages as i64,
            "material_views" => events.filter(|event| event.kind == "view").count() as i64,
            "material_shares" => events.filter(|event| event.kind == "share").count() as i64,
            "material_dwell_seconds" => events.map(|event| event.dwell_seconds).sum(),
            "orders" => {
                let orders = self.directory.orders.values();
                orders
                    .filter(|order| order.customer == customer && self.is_in(period, order.at))
                    .count() as i64
            }
            other => panic!("`{other}` is no measure"),
        }
    }

    /// How many counted messages each customer sent in a room in the window.
    fn customer_messages_in(&self, room: &str, period: Period) -> BTreeMap<&str, usize> {
        let mut said = BTreeMap::new();
        for message in self.messages.iter().filter(|m| m.room == room) {
            let is_customer = self.role_of(&message.from) == Role::Customer;
            if is_customer && self.is_counted(message) && self.is_in(period, message.at) {
                *said.entry(&*message.from).or_default() += 1;
            }
        }
        said
    }

    /// Counts of a group's portrait: by day messages by side, customers joined, left and present.
    ///
    /// Messages, joined and left are objects with the days that have any; present has every day.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn portrait(&self, room: &str, from: &str, to: &str) -> Value {
        let period = Period::parse(from, to);
        let zone = self.rules.zone;
        let mut by_day: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for key in [
            "employee_messages",
            "customer_messages",
            "joined",
            "left",
            "present",
        ] {
            by_day.entry(key).or_default();
        }
        let mut count = |key: &'static str, at: i64| {
            if period.has(at, zone) {
                let day = day_of(at, zone).to_string();
                *by_day.entry(key).or_default().entry(day).or_default() += 1;
            }
        };
        for message in self.messages.iter().filter(|m| m.room == room) {
            match self.role_of(&message.from) {
                Role::Customer if self.is_counted(message) => {
                    count("customer_messages", message.at)
                }
                Role::Employee if self.is_counted(message) => {
                    count("employee_messages", message.at)
                }
                _ => {}
            }
        }
        for ((chat, member, joined), left) in &self.directory.group_members {
            if chat == room && self.role_of(member) == Role::Customer {
                count("joined", *joined);
                if let Some(left) = left {
                    count("left", *left);
                }
            }
        }
        for slice in period.slices("day") {
            let n = self.customers_in(room, self.end_of(slice.period)).len();
            by_day.entry("present").or_default().insert(slice.label, n);
        }
        let mut portrait = Row::new();
        for (key, days) in by_day {
            portrait.insert(format!("{key}_by_day"), json!(days));
        }
        Value::Object(portrait)
    }
}
