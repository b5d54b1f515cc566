//! `[behaviour.*]`: which behaviours are recorded, of whom, and who is told (敏感行为, semantics 8,
//! manual 7.4, 9.3.1).

use huicun_semantics::dialogue::Side;
use serde::{Deserialize, Serialize};

use super::timeout::{Covered, Notify};

/// `[behaviour]`: one section a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviours {
    /// A red packet was sent (发红包).
    pub red_packet: Behaviour,
    /// A business card was sent (发名片).
    pub card: Behaviour,
    /// A message holds a sensitive word (敏感消息).
    pub sensitive_word: Behaviour,
    /// One side deleted the other (删除好友).
    pub friend_deleted: Behaviour,
}

/// A kind of behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BehaviourKind {
    /// 发红包.
    RedPacket,
    /// 发名片.
    Card,
    /// 敏感消息.
    SensitiveWord,
    /// 删除好友.
    FriendDeleted,
}

/// One `[behaviour.KIND]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Whose doing is watched.
    pub audited: Vec<Audited>,
    /// Covered employees; with no departments either, all.
    pub employees: Vec<String>,
    /// Covered departments, with everything below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub departments: Vec<String>,
    /// Who is told.
    pub notify: Vec<Notify>,
}

/// `audited` of a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audited {
    /// What employees do.
    Employee,
    /// What customers do.
    Customer,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            enabled: false,
            audited: vec![Audited::Employee],
            employees: Vec::new(),
            departments: Vec::new(),
            notify: Vec::new(),
        }
    }
}

impl Behaviour {
    /// Whether it is recorded for what that side does.
    pub fn watches(&self, side: Side) -> bool {
        let wanted = match side {
            Side::Employee => Audited::Employee,
            Side::Customer => Audited::Customer,
        };
        self.enabled && self.audited.contains(&wanted)
    }

    /// Whom it covers.
    pub fn covered(&self) -> Covered {
        Covered {
            employees: self.employees.clone(),
            departments: self.departments.clone(),
        }
    }
}

impl BehaviourKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 4] = [
        Self::RedPacket,
        Self::Card,
        Self::SensitiveWord,
        Self::FriendDeleted,
    ];

    /// The name: `red_packet`, `card`, `sensitive_word` or `friend_deleted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RedPacket => "red_packet",
            Self::Card => "card",
            Self::SensitiveWord => "sensitive_word",
            Self::FriendDeleted => "friend_deleted",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Behaviours {
    /// The section of a kind.
    pub fn of(&self, kind: BehaviourKind) -> &Behaviour {
        match kind {
            BehaviourKind::RedPacket => &self.red_packet,
            BehaviourKind::Card => &self.card,
            BehaviourKind::SensitiveWord => &self.sensitive_word,
            BehaviourKind::FriendDeleted => &self.friend_deleted,
        }
    }
}
