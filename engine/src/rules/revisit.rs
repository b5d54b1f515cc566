//! `[revisit]`: when a new customer is to be contacted again (回访, semantics 7, manual 9.7).

use huicun_semantics::revisit::Numbering;
use serde::{Deserialize, Serialize};

/// `[revisit]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revisit {
    /// Whether revisits are counted.
    pub enabled: bool,
    /// The days on which a revisit is due.
    pub days: Vec<u32>,
    /// How those days are counted.
    pub numbering: Numbering,
    /// Whether days off count.
    pub calendar_rule: CalendarRule,
    /// The calendar whose working days count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// What shows that a revisit was done.
    pub evidence: Vec<Evidence>,
    /// Whose messages are evidence.
    pub chat: Chat,
}

/// `revisit.calendar_rule`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarRule {
    /// Every day counts.
    #[default]
    Ignore,
    /// After the add day only working days count.
    SkipNonWorking,
}

/// `revisit.evidence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// A counted message in their single chat.
    Chat,
    /// A follow-up record of the employee for that customer.
    Followup,
}

/// `revisit.chat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chat {
    /// A message of either.
    #[default]
    Any,
    /// A message of the employee.
    EmployeeSent,
}

impl Default for Revisit {
    fn default() -> Self {
        Self {
            enabled: true,
            days: vec![2, 3, 5, 7],
            numbering: Numbering::default(),
            calendar_rule: CalendarRule::default(),
            calendar: None,
            evidence: vec![Evidence::Chat, Evidence::Followup],
            chat: Chat::default(),
        }
    }
}

impl Revisit {
    /// Whether a chat shows that a revisit was done.
    pub fn takes_chat(&self) -> bool {
        self.evidence.contains(&Evidence::Chat)
    }

    /// Whether a follow-up record does.
    pub fn takes_followup(&self) -> bool {
        self.evidence.contains(&Evidence::Followup)
    }

    /// The days that may always be named; of others at most two (manual 9.7).
    pub(super) fn usual_days(&self) -> &'static [u32] {
        match self.numbering {
            Numbering::Ordinal => &[2, 3, 5, 7],
            // 次日 is 1 here, and the default list stays usable.
            Numbering::Offset => &[1, 2, 3, 5, 7],
        }
    }

    /// The first day that can be due: the one after the add day.
    pub(super) fn day_min(&self) -> u32 {
        match self.numbering {
            Numbering::Ordinal => 2,
            Numbering::Offset => 1,
        }
    }
}
