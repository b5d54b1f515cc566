//! The rules in force: what every figure and every alert depends on, as one file (semantics 3 to 8,
//! 10.6; manual 7.2, 7.3, 9.3, 9.7, 9.8, 10.2).
//!
//! The fields and their names are those of the contract's rules file; what is left out of a section
//! has the default of the law. Unknown keys, bad values and contradictions are refused with their
//! place in the file (`check`, `place`). Nothing here is applied to a message: the accessors give
//! the law's own types, and jobs and metrics call the law with them.

pub mod activity;
pub mod behaviour;
pub mod calendar;
mod check;
mod diff;
mod file;
pub mod holidays;
mod place;
pub mod revisit;
pub mod sensitive;
pub mod timeout;

use huicun_semantics::calendar::Calendar;
use huicun_semantics::closing::{ClosingMatch, ClosingPhrases};
use huicun_semantics::dialogue::DialogueRule;
use huicun_semantics::reply::ReplyFrom;
use huicun_semantics::time::Zone;
use huicun_semantics::timeout::TimerFrom;
use serde::{Deserialize, Serialize};

pub use activity::GroupActivity;
pub use behaviour::{Behaviour, BehaviourKind, Behaviours};
pub use calendar::{CalendarSettings, Exception, Hours, Weekly};
pub use diff::{Recomputed, SectionChange};
pub use file::RulesError;
pub use revisit::Revisit;
pub use sensitive::{Sensitive, WordClass};
pub use timeout::{Covered, Notify, TimeoutRule, TimeoutSettings};

use timeout::NoAnswer;

/// All rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The company's time zone (IANA name).
    pub timezone: String,
    /// How long a silence ends a dialogue.
    pub dialogue: DialogueSettings,
    /// Which customer words end it at once.
    pub closing: ClosingSettings,
    /// How a reply is measured.
    pub reply: ReplySettings,
    /// Working calendars, by name.
    pub calendar: Vec<CalendarSettings>,
    /// When a customer has waited too long, and who is told.
    pub timeout: TimeoutSettings,
    /// When a new customer is to be contacted again.
    pub revisit: Revisit,
    /// Words that are watched for.
    pub sensitive: Sensitive,
    /// Which behaviours are recorded, of whom, and who is told.
    pub behaviour: Behaviours,
    /// When a group and its customers are active.
    pub group_activity: GroupActivity,
}

/// `[dialogue]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialogueSettings {
    /// Minutes of silence that end a dialogue in a single chat.
    pub single_gap_minutes: u32,
    /// Minutes of silence that end a dialogue in a group.
    pub group_gap_minutes: u32,
}

/// `[closing]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClosingSettings {
    /// Closing phrases; none by default.
    pub phrases: Vec<String>,
    /// Whether the whole message must be the phrase.
    #[serde(rename = "match")]
    pub match_: Match,
    /// Employee messages at most this long after a closing phrase still belong to the dialogue.
    pub grace_seconds: u32,
}

/// `closing.match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The message equals a phrase.
    #[default]
    Exact,
    /// The message contains a phrase.
    Contains,
}

/// `[reply]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplySettings {
    /// From which message of the customer's turn a reply is measured.
    pub from: From_,
    /// By which clock.
    pub clock: Clock,
    /// The calendar of the working clock. With `clock = "wall"` too, working-time values stand
    /// beside the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
}

/// `reply.clock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Every second counts.
    #[default]
    Wall,
    /// Only working time counts.
    Working,
}

/// `reply.from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From_ {
    /// The turn's first message.
    #[default]
    First,
    /// The turn's last message.
    Last,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            timezone: "Asia/Shanghai".into(),
            dialogue: DialogueSettings::default(),
            closing: ClosingSettings::default(),
            reply: ReplySettings::default(),
            calendar: Vec::new(),
            timeout: TimeoutSettings::default(),
            revisit: Revisit::default(),
            sensitive: Sensitive::default(),
            behaviour: Behaviours::default(),
            group_activity: GroupActivity::default(),
        }
    }
}

impl Default for DialogueSettings {
    fn default() -> Self {
        Self {
            single_gap_minutes: 30,
            group_gap_minutes: 30,
        }
    }
}

impl Rules {
    /// The company's zone.
    ///
    /// # Errors
    /// When the name is not an IANA time zone.
    pub fn zone(&self) -> Result<Zone, huicun_semantics::time::UnknownZone> {
        Zone::parse(&self.timezone)
    }

    /// The cut of dialogues in single chats.
    pub fn single(&self) -> DialogueRule {
        self.dialogue_rule(self.dialogue.single_gap_minutes)
    }

    /// The cut of dialogues in groups.
    pub fn group(&self) -> DialogueRule {
        self.dialogue_rule(self.dialogue.group_gap_minutes)
    }

    fn dialogue_rule(&self, gap_minutes: u32) -> DialogueRule {
        DialogueRule {
            gap_ms: i64::from(gap_minutes) * 60_000,
            grace_ms: i64::from(self.closing.grace_seconds) * 1000,
        }
    }

    /// The closing phrases, ready to match.
    pub fn closing_phrases(&self) -> ClosingPhrases {
        let match_ = match self.closing.match_ {
            Match::Exact => ClosingMatch::Exact,
            Match::Contains => ClosingMatch::Contains,
        };
        ClosingPhrases::new(&self.closing.phrases, match_)
    }

    /// From which message a reply is measured.
    pub fn reply_from(&self) -> ReplyFrom {
        match self.reply.from {
            From_::First => ReplyFrom::First,
            From_::Last => ReplyFrom::Last,
        }
    }

    /// Whether reply figures count working time only (`reply.clock`, semantics 4).
    pub fn reply_clock_is_working(&self) -> bool {
        self.reply.clock == Clock::Working
    }

    /// The calendar that `reply.calendar` names.
    pub fn reply_calendar(&self) -> Option<Calendar> {
        self.calendar(self.reply.calendar.as_deref()?)
    }

    /// The working calendar of that name (semantics 6).
    pub fn calendar(&self, name: &str) -> Option<Calendar> {
        let found = self.calendar.iter().find(|c| c.name == name)?;
        Some(found.to_calendar())
    }

    /// The calendar by which due days are counted: none with `calendar_rule = "ignore"`.
    pub fn revisit_calendar(&self) -> Option<Calendar> {
        let is_counted = self.revisit.calendar_rule == revisit::CalendarRule::SkipNonWorking;
        self.calendar(self.revisit.calendar.as_deref().filter(|_| is_counted)?)
    }

    /// Which customer message holds a timer's start (`timeout.from`).
    pub fn timeout_from(&self) -> TimerFrom {
        self.timeout.from.into()
    }

    /// What needs no answer: closing phrases, `timeout.no_answer_phrases`, `no_answer_types`.
    pub fn needs_no_answer(&self) -> NoAnswer {
        NoAnswer::new(self.closing_phrases(), &self.timeout)
    }

    /// The enabled reply rules in order, with their calendars.
    pub fn timeout_rules(&self) -> Vec<TimeoutRule> {
        let enabled = self.timeout.rule.iter().filter(|rule| rule.enabled);
        enabled
            .map(|rule| TimeoutRule {
                name: rule.name.clone(),
                kinds: rule.kinds.clone(),
                covered: rule.covered(),
                after_minutes: rule.levels.iter().map(|l| l.after_minutes).collect(),
                notify: rule.levels.iter().map(|l| l.notify.clone()).collect(),
                calendar: rule
                    .calendar
                    .as_deref()
                    .and_then(|name| self.calendar(name)),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
