//! Where a message belongs, and what kind of place that is (semantics 2).

use std::str::FromStr;

use crate::role::Role;

/// What a conversation is. Customer metrics look at the external kinds only.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One employee and one customer.
    SingleExternal,
    /// Two employees.
    SingleInternal,
    /// A room that has, or ever had, a customer.
    GroupExternal,
    /// A room that never had one.
    GroupInternal,
    /// A pair with a robot, or of two customers.
    Other,
}

/// Not the name of a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown kind `{0}`, expected `single_external`, `single_internal`, `group_external`, `group_internal` or `other`"
)]
pub struct UnknownKind(pub String);

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::SingleExternal,
        Self::SingleInternal,
        Self::GroupExternal,
        Self::GroupInternal,
        Self::Other,
    ];

    /// The name in tables and answers, such as `single_external`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleExternal => "single_external",
            Self::SingleInternal => "single_internal",
            Self::GroupExternal => "group_external",
            Self::GroupInternal => "group_internal",
            Self::Other => "other",
        }
    }

    /// Whether customers and employees meet there.
    pub fn is_external(self) -> bool {
        matches!(self, Self::SingleExternal | Self::GroupExternal)
    }

    /// Whether it is a room.
    pub fn is_group(self) -> bool {
        matches!(self, Self::GroupExternal | Self::GroupInternal)
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of the conversation of two people: `a|b`, the bytewise smaller first.
pub fn pair_id(a: &str, b: &str) -> String {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    [first, "|", second].concat()
}

/// The conversations to which a message belongs: its room, or else the pair with each receiver, in
/// the receivers' order and each once; none when one end of it is missing.
///
/// A sender who is among several receivers makes no pair with himself; a note to nobody but oneself
/// keeps its pair, `a|a`, so that it can still be found.
pub fn conversations_of(from: &str, to_ids: &[&str], room_id: &str) -> Vec<String> {
    if !room_id.is_empty() {
        return vec![room_id.to_owned()];
    }
    if from.is_empty() {
        return Vec::new();
    }
    let mut pairs: Vec<String> = Vec::with_capacity(to_ids.len());
    let has_others = to_ids.iter().any(|to| !to.is_empty() && *to != from);
    for to in to_ids {
        if to.is_empty() || (has_others && *to == from) {
            continue;
        }
        let pair = pair_id(from, to);
        // Receivers without a room are a handful, so looking through them costs less than a set.
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// The kind of the conversation of two people.
pub fn kind_of_pair(a: Role, b: Role) -> Kind {
    match (a, b) {
        (Role::Employee, Role::Customer) | (Role::Customer, Role::Employee) => Kind::SingleExternal,
        (Role::Employee, Role::Employee) => Kind::SingleInternal,
        _ => Kind::Other,
    }
}

/// The kind of a room, given whether a customer is or ever was a member, a speaker or a receiver.
pub fn kind_of_room(has_customer: bool) -> Kind {
    if has_customer {
        Kind::GroupExternal
    } else {
        Kind::GroupInternal
    }
}

#[cfg(test)]
mod tests;
