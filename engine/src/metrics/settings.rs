//! What of the rules a report needs, ready to use.

use std::sync::Arc;

use chrono::NaiveDate;
use huicun_semantics::reply::ReplyFrom;
use huicun_semantics::time::Zone;

use crate::rules::Rules;

/// Working time between two instants, milliseconds.
pub type WorkingClock = Arc<dyn Fn(i64, i64) -> i64 + Send + Sync>;

/// The due date of day N of a customer added on a day; none where no working day comes.
pub type DueDate = Arc<dyn Fn(NaiveDate, u32) -> Option<NaiveDate> + Send + Sync>;

/// Rules of a report.
#[derive(Clone)]
pub struct Settings {
    /// The company's zone.
    pub zone: Zone,
    /// From which message of a customer's turn a reply is measured.
    pub reply_from: ReplyFrom,
    /// Working time, where `reply.calendar` names a calendar.
    pub working: Option<WorkingClock>,
    /// Whether `reply.clock` is `working`.
    pub is_clock_working: bool,
    /// Revisits, where they are enabled.
    pub revisit: Option<Revisit>,
}

/// How revisits are counted (semantics 7).
#[derive(Clone)]
pub struct Revisit {
    /// The days, rising.
    pub days: Vec<u32>,
    /// When day N is.
    pub due_date: DueDate,
    /// Whether messages count.
    pub by_chat: bool,
    /// Whether follow-up records count.
    pub by_followup: bool,
    /// Whether only the employee's messages count.
    pub is_employee_asked: bool,
}

impl Settings {
    /// The settings that the rules give.
    pub fn of(rules: &Rules) -> Self {
        Self {
            zone: rules.zone().unwrap_or_default(),
            reply_from: rules.reply_from(),
            working: None,
            is_clock_working: false,
            revisit: Some(Revisit {
                days: vec![2, 3, 5, 7],
                due_date: Arc::new(|day, n| {
                    day.checked_add_days(chrono::Days::new(u64::from(n.saturating_sub(1))))
                }),
                by_chat: true,
                by_followup: true,
                is_employee_asked: false,
            }),
        }
    }

    /// A reply interval by the clock in force, milliseconds.
    pub fn interval_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        match &self.working {
            Some(working) if self.is_clock_working => working(from_ms, to_ms),
            _ => to_ms - from_ms,
        }
    }

    /// The same in working time, where a calendar is named.
    pub fn working_ms(&self, from_ms: i64, to_ms: i64) -> Option<i64> {
        self.working.as_ref().map(|working| working(from_ms, to_ms))
    }
}
