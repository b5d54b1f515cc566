//! Which records are messages that count (semantics 2).

use crate::role::Role;

/// Whether a record is a counted message: sent by a person, and content.
///
/// The action is `send` to the letter; recalls and `switch` events are other actions. Unknown
/// types count, an empty one too: what somebody sent is content even where we cannot name it.
pub fn is_counted(action: &str, msgtype: &str, from_role: Role) -> bool {
    action == "send" && from_role != Role::Robot && is_content(msgtype)
}

/// Whether a type carries content: not a `revoke` notice, a consent event or a `switch`.
fn is_content(msgtype: &str) -> bool {
    !matches!(msgtype, "revoke" | "agree" | "disagree" | "switch")
}
