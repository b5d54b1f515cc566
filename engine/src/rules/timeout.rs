//! `[timeout]` and `[[timeout.rule]]`: how long a customer may wait (semantics 5, manual 7.2, 9.3.2).

use std::collections::HashSet;

use huicun_semantics::calendar::Calendar;
use huicun_semantics::closing::ClosingPhrases;
use huicun_semantics::conversation::Kind;
use huicun_semantics::phrase::normalise;
use huicun_semantics::timeout::TimerFrom;
use serde::{Deserialize, Serialize};

/// `[timeout]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// Which of a customer's messages a timer runs from.
    pub from: Since,
    /// Phrases that need no answer, beside the closing phrases.
    pub no_answer_phrases: Vec<String>,
    /// Message types that need no answer, by WeCom's names.
    pub no_answer_types: Vec<String>,
    /// Reply rules, in order: the first that covers governs.
    pub rule: Vec<RuleSettings>,
}

/// `timeout.from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// His last message: who writes again waits anew.
    #[default]
    Last,
    /// His first unanswered message.
    First,
}

impl From<Since> for TimerFrom {
    fn from(since: Since) -> Self {
        match since {
            Since::Last => Self::Last,
            Since::First => Self::First,
        }
    }
}

/// One `[[timeout.rule]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// What it is called.
    pub name: String,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// For which chats.
    #[serde(default = "both")]
    pub kinds: Vec<ChatKind>,
    /// Covered employees; with no departments either, all.
    #[serde(default)]
    pub employees: Vec<String>,
    /// Covered departments, with everything below.
    #[serde(default)]
    pub departments: Vec<String>,
    /// By whose working time it counts; wall time if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// One to five levels, their minutes strictly rising.
    pub levels: Vec<Level>,
}

/// A level of a reply rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// It fires after so many minutes.
    pub after_minutes: u32,
    /// Who is told.
    #[serde(default)]
    pub notify: Vec<Notify>,
}

/// `kinds` of a reply rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// Single chats.
    Single,
    /// Groups.
    Group,
}

/// Who is told of a timeout or a behaviour.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Notify {
    /// The employee whom it is about.
    Trigger,
    /// The owner of the group (群主).
    GroupOwner,
    /// The employee responsible for the group (群负责人).
    GroupResponsible,
    /// The leaders of his department.
    DepartmentLeader,
    /// A named employee.
    User(String),
}

impl TryFrom<String> for Notify {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "trigger" => Ok(Self::Trigger),
            "group_owner" => Ok(Self::GroupOwner),
            "group_responsible" => Ok(Self::GroupResponsible),
            "department_leader" => Ok(Self::DepartmentLeader),
            other => match other.strip_prefix("user:") {
                Some(id) if !id.is_empty() => Ok(Self::User(id.into())),
                _ => Err(format!(
                    "`{text}` cannot be notified; expected `trigger`, `group_owner`, \
                     `group_responsible`, `department_leader` or `user:USERID`"
                )),
            },
        }
    }
}

impl From<Notify> for String {
    fn from(notify: Notify) -> Self {
        match notify {
            Notify::Trigger => "trigger".into(),
            Notify::GroupOwner => "group_owner".into(),
            Notify::GroupResponsible => "group_responsible".into(),
            Notify::DepartmentLeader => "department_leader".into(),
            Notify::User(id) => format!("user:{id}"),
        }
    }
}

fn yes() -> bool {
    true
}

fn both() -> Vec<ChatKind> {
    vec![ChatKind::Single, ChatKind::Group]
}

/// Whom a rule covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    /// These employees.
    pub employees: Vec<String>,
    /// Those of these departments and of all below.
    pub departments: Vec<String>,
}

impl Covered {
    /// Whether everybody is covered, also where nobody is known to be responsible.
    pub fn is_all(&self) -> bool {
        self.employees.is_empty() && self.departments.is_empty()
    }
}

/// An enabled reply rule as jobs use it.
#[derive(Debug, Clone)]
pub struct TimeoutRule {
    /// What it is called.
    pub name: String,
    /// For which chats.
    pub kinds: Vec<ChatKind>,
    /// Whom it covers.
    pub covered: Covered,
    /// The minutes of its levels, rising.
    pub after_minutes: Vec<u32>,
    /// Who is told at each level.
    pub notify: Vec<Vec<Notify>>,
    /// The calendar by which it counts; wall time if missing.
    pub calendar: Option<Calendar>,
}

impl TimeoutRule {
    /// Whether it is for conversations of this kind; never for internal ones.
    pub fn is_for(&self, kind: Kind) -> bool {
        match kind {
            Kind::SingleExternal => self.kinds.contains(&ChatKind::Single),
            Kind::GroupExternal => self.kinds.contains(&ChatKind::Group),
            Kind::SingleInternal | Kind::GroupInternal | Kind::Other => false,
        }
    }
}

impl RuleSettings {
    /// Whom it covers.
    pub fn covered(&self) -> Covered {
        Covered {
            employees: self.employees.clone(),
            departments: self.departments.clone(),
        }
    }
}

/// Tells which customer messages need no answer.
#[derive(Debug, Clone)]
pub struct NoAnswer {
    closing: ClosingPhrases,
    phrases: HashSet<String>,
    types: HashSet<String>,
}

impl NoAnswer {
    pub(super) fn new(closing: ClosingPhrases, settings: &TimeoutSettings) -> Self {
        let phrases = settings.no_answer_phrases.iter().map(|p| normalise(p));
        Self {
            closing,
            // A phrase that normalises to nothing matches nothing (semantics 3).
            phrases: phrases.filter(|phrase| !phrase.is_empty()).collect(),
            types: settings.no_answer_types.iter().cloned().collect(),
        }
    }

    /// Whether a customer's message of this type and text needs no answer. Phrases are compared
    /// with texts only, as closing phrases are.
    pub fn is_met(&self, msgtype: &str, text: &str) -> bool {
        if self.types.contains(msgtype) {
            return true;
        }
        msgtype == "text"
            && (self.closing.is_closing(text)
                || (!self.phrases.is_empty() && self.phrases.contains(&normalise(text))))
    }
}
