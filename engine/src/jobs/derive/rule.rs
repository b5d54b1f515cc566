//! The rules as the job applies them: phrases prepared, minutes turned into milliseconds.

use huicun_semantics::calendar::Calendar;
use huicun_semantics::closing::ClosingPhrases;
use huicun_semantics::dialogue::DialogueRule;
use huicun_semantics::reply::ReplyFrom;
use huicun_semantics::time::{UnknownZone, Zone};
use huicun_semantics::timeout::TimerFrom;

use crate::rules::Rules;
use crate::rules::timeout::NoAnswer;

/// The rules that derived tables follow, ready to be applied to millions of messages.
pub struct Compiled {
    /// The company's zone.
    pub zone: Zone,
    /// Texts that close a dialogue.
    pub closing: ClosingPhrases,
    /// What needs no answer.
    pub no_answer: NoAnswer,
    /// The cut of single chats.
    pub single: DialogueRule,
    /// The cut of groups.
    pub group: DialogueRule,
    /// From where a reply is measured.
    pub reply_from: ReplyFrom,
    /// Whether a reply is measured by the working clock.
    pub is_reply_working: bool,
    /// The calendar of replies, where one is named.
    pub reply_calendar: Option<Calendar>,
    /// From where a timer runs.
    pub timer_from: TimerFrom,
}

impl Compiled {
    /// Prepares rules.
    ///
    /// # Errors
    /// When the zone is none.
    pub fn new(rules: &Rules) -> Result<Self, UnknownZone> {
        Ok(Self {
            zone: rules.zone()?,
            closing: rules.closing_phrases(),
            no_answer: rules.needs_no_answer(),
            single: rules.single(),
            group: rules.group(),
            reply_from: rules.reply_from(),
            is_reply_working: rules.reply_clock_is_working(),
            reply_calendar: rules.reply_calendar(),
            timer_from: rules.timeout_from(),
        })
    }
}
