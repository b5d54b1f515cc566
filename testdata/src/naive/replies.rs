//! Means, percentiles and shares of reply times, alike for single chats and groups (semantics 10.9).

use serde_json::{Map, Value, json};

use super::facts::Interval;
use super::number::{mean_seconds, percentile_seconds, ratio};

/// The reply times of some dialogues.
pub(super) struct Replies<'a> {
    /// Of every dialogue: how long its replies took, in order.
    pub(super) all: Vec<&'a [Interval]>,
    /// The same of those that a customer opened and that were replied to.
    pub(super) replied: Vec<&'a [Interval]>,
    /// Whether `reply.calendar` is named: then working time stands beside the clock's.
    pub(super) has_calendar: bool,
}

impl Replies<'_> {
    /// Every measure, under its key with the prefix before it.
    pub(super) fn write(&self, prefix: &str, row: &mut Map<String, Value>) {
        self.write_times(prefix, "", row, |interval| Some(interval.clock_ms));
        if self.has_calendar {
            self.write_times(prefix, "_working", row, |interval| interval.working_ms);
        }
        let firsts: Vec<i64> = self.firsts(|interval| Some(interval.clock_ms));
        let replies: Vec<i64> = self.every(|interval| Some(interval.clock_ms));
        for n in [1, 3, 5, 10, 30] {
            let share = |values: &[i64]| {
                let within = values.iter().filter(|ms| **ms <= n * 60_000);
                ratio(within.count(), values.len())
            };
            row.insert(format!("{prefix}first_reply_within_{n}m"), share(&firsts));
            row.insert(format!("{prefix}reply_within_{n}m"), share(&replies));
        }
    }

    fn write_times(
        &self,
        prefix: &str,
        suffix: &str,
        row: &mut Map<String, Value>,
        time: fn(&Interval) -> Option<i64>,
    ) {
        let firsts = self.firsts(time);
        let replies = self.every(time);
        let mut insert = |key: &str, value: Value| {
            row.insert(format!("{prefix}{key}{suffix}_seconds"), value);
        };
        insert(
            "first_reply_avg",
            mean_seconds(firsts.iter().sum(), firsts.len()),
        );
        insert("reply_avg", self.mean_of_means(time));
        for percent in [50, 90, 99] {
            insert(
                &format!("first_reply_p{percent}"),
                percentile_seconds(&firsts, percent),
            );
            insert(
                &format!("reply_p{percent}"),
                percentile_seconds(&replies, percent),
            );
        }
    }

    fn firsts(&self, time: fn(&Interval) -> Option<i64>) -> Vec<i64> {
        let firsts = self.replied.iter().filter_map(|list| list.first());
        firsts.filter_map(time).collect()
    }

    fn every(&self, time: fn(&Interval) -> Option<i64>) -> Vec<i64> {
        let every = self.all.iter().flat_map(|list| list.iter());
        every.filter_map(time).collect()
    }

    /// Per dialogue with a reply the mean of its reply intervals; the mean of those that are not zero.
    fn mean_of_means(&self, time: fn(&Interval) -> Option<i64>) -> Value {
        let mut means_ms = Vec::new();
        for list in &self.all {
            let times: Vec<i64> = list.iter().filter_map(time).collect();
            let total_ms: i64 = times.iter().sum();
            if total_ms > 0 {
                means_ms.push(total_ms as f64 / times.len() as f64);
            }
        }
        if means_ms.is_empty() {
            return Value::Null;
        }
        json!(means_ms.iter().sum::<f64>() / means_ms.len() as f64 / 1000.0)
    }
}
