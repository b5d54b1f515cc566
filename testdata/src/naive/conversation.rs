//! Conversations, their kinds, and the roles of ids (semantics 2).

/// What an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Employee,
    Customer,
    Robot,
}

/// The standing line between two people, or a room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Conversation {
    Room(String),
    /// Two ids, the bytewise smaller first.
    Pair(String, String),
}

impl Conversation {
    pub(super) fn pair(one: &str, other: &str) -> Self {
        if one <= other {
            Self::Pair(one.to_owned(), other.to_owned())
        } else {
            Self::Pair(other.to_owned(), one.to_owned())
        }
    }

    /// The room id, or `a|b`.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Room(room) => room.clone(),
            Self::Pair(a, b) => format!("{a}|{b}"),
        }
    }
}

/// What a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SingleExternal,
    SingleInternal,
    GroupExternal,
    GroupInternal,
    Other,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SingleExternal => "single_external",
            Self::SingleInternal => "single_internal",
            Self::GroupExternal => "group_external",
            Self::GroupInternal => "group_internal",
            Self::Other => "other",
        }
    }

    pub(super) fn of_pair(one: Role, other: Role) -> Self {
        match (one, other) {
            (Role::Employee, Role::Customer) | (Role::Customer, Role::Employee) => {
                Self::SingleExternal
            }
            (Role::Employee, Role::Employee) => Self::SingleInternal,
            _ => Self::Other,
        }
    }
}
