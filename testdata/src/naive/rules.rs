//! The rules that the model knows, with the defaults of `semantics.md`.

use std::collections::BTreeMap;

use super::calendar::Calendar;

/// How a text is compared with the closing phrases (`closing.match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingMatch {
    Exact,
    Contains,
}

/// Which message of a customer turn the reply is measured from (`reply.from`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFrom {
    First,
    Last,
}

/// What reply intervals are measured by (`reply.clock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyClock {
    Wall,
    /// Only the working time of `reply.calendar`.
    Working,
}

/// Which unanswered message the timer runs from (`timeout.from`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutFrom {
    Last,
    First,
}

/// How days after an addition are numbered (`revisit.numbering`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// The add day is day 1.
    Ordinal,
    /// Day N is N days after.
    Offset,
}

/// A reply rule (`[[timeout.rule]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutRule {
    pub name: String,
    pub enabled: bool,
    pub single: bool,
    pub group: bool,
    /// With `departments`, who is covered; both empty: all.
    pub employees: Vec<String>,
    pub departments: Vec<String>,
    /// None: wall time.
    pub calendar: Option<String>,
    /// Minutes of level 1, 2, ..., strictly increasing.
    pub levels: Vec<u32>,
}

/// Revisits (`[revisit]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revisit {
    pub enabled: bool,
    pub days: Vec<u32>,
    pub numbering: Numbering,
    /// Named: days off are skipped. None: ignored.
    pub skip_non_working: Option<String>,
    pub evidence_chat: bool,
    pub evidence_followup: bool,
    /// `chat = "employee_sent"`: the customer's messages alone are no revisit.
    pub employee_must_send: bool,
}

/// A rule on words (`[[sensitive.rule]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensitiveRule {
    pub name: String,
    /// As written: separated by `，`.
    pub words: String,
    pub class: String,
    pub enabled: bool,
    /// `match = "normalised"`.
    pub normalised: bool,
}

/// Settings of one behaviour (`[behaviour.red_packet]` and so on).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BehaviourRule {
    pub enabled: bool,
    pub audits_employees: bool,
    pub audits_customers: bool,
    /// Empty: all.
    pub employees: Vec<String>,
}

/// A comparison with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// One of `>`, `>=`, `<`, `<=`, `=`.
    pub op: String,
    pub value: f64,
}

impl Threshold {
    /// # Panics
    /// If `op` is no comparison.
    pub(super) fn holds(&self, value: f64) -> bool {
        match &*self.op {
            ">" => value > self.value,
            ">=" => value >= self.value,
            "<" => value < self.value,
            "<=" => value <= self.value,
            "=" => value == self.value,
            other => panic!("`{other}` compares nothing"),
        }
    }
}

/// Group activity (`[group_activity]`).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupActivity {
    pub window_days: u32,
    /// Measure (`messages`, `material_views`, ...) and what it must be; all must hold.
    pub conditions: Vec<(String, Threshold)>,
    pub activity_ratio: Threshold,
    pub speech_ratio: Threshold,
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub zone: chrono_tz::Tz,
    pub single_gap_minutes: i64,
    pub group_gap_minutes: i64,
    pub closing_phrases: Vec<String>,
    pub closing_match: ClosingMatch,
    pub closing_grace_seconds: i64,
    pub reply_from: ReplyFrom,
    pub reply_clock: ReplyClock,
    pub reply_calendar: Option<String>,
    pub calendars: Vec<Calendar>,
    pub timeout_from: TimeoutFrom,
    pub no_answer_phrases: Vec<String>,
    pub no_answer_types: Vec<String>,
    /// In order: the first that covers governs.
    pub timeout_rules: Vec<TimeoutRule>,
    pub revisit: Revisit,
    pub sensitive_rules: Vec<SensitiveRule>,
    /// By kind: `red_packet`, `card`, `sensitive_word`, `friend_deleted`. Missing: off.
    pub behaviours: BTreeMap<String, BehaviourRule>,
    pub group_activity: GroupActivity,
    /// The present, in UTC milliseconds: "as of the end" never looks past it. None: every period is past.
    pub now_ms: Option<i64>,
}

impl Default for Rules {
    fn default() -> Self {
        let at_least = |value: f64| Threshold {
            op: ">=".to_owned(),
            value,
        };
        Self {
            zone: chrono_tz::Asia::Shanghai,
            single_gap_minutes: 30,
            group_gap_minutes: 30,
            closing_phrases: Vec::new(),
            closing_match: ClosingMatch::Exact,
            closing_grace_seconds: 0,
            reply_from: ReplyFrom::First,
            reply_clock: ReplyClock::Wall,
            reply_calendar: None,
            calendars: Vec::new(),
            timeout_from: TimeoutFrom::Last,
            no_answer_phrases: Vec::new(),
            no_answer_types: Vec::new(),
            timeout_rules: Vec::new(),
            revisit: Revisit {
                enabled: true,
                days: vec![2, 3, 5, 7],
                numbering: Numbering::Ordinal,
                skip_non_working: None,
                evidence_chat: true,
                evidence_followup: true,
                employee_must_send: false,
            },
            sensitive_rules: Vec::new(),
            behaviours: BTreeMap::new(),
            group_activity: GroupActivity {
                window_days: 7,
                conditions: vec![("messages".to_owned(), at_least(1.0))],
                activity_ratio: at_least(0.14),
                speech_ratio: Threshold {
                    op: ">".to_owned(),
                    value: 0.01,
                },
            },
            now_ms: None,
        }
    }
}

impl Rules {
    /// # Panics
    /// If there is no calendar of this name: the rules would have been refused.
    pub(super) fn calendar(&self, name: &str) -> &Calendar {
        let found = self.calendars.iter().find(|calendar| calendar.name == name);
        match found {
            Some(calendar) => calendar,
            None => panic!("no calendar is named `{name}`"),
        }
    }
}
