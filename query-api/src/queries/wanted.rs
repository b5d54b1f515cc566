//! Which facts of conversations a list shows: those in the caller's scope that the question's
//! employees and departments keep. Dialogues, timeouts and portraits are filtered by the same.

use std::collections::{BTreeSet, HashMap};

use huicun_engine::access::Scope;
use huicun_engine::jobs::Facts;

use super::error::QuestionError;

/// A question's filter.
pub(super) struct Wanted<'a> {
    scope: &'a Scope,
    facts: &'a Facts,
    employees: &'a [String],
    departments: BTreeSet<String>,
    /// Who ever spoke or received in each room; looked up for those who do not see everything.
    rooms: HashMap<String, Vec<String>>,
}

impl<'a> Wanted<'a> {
    /// Prepares a filter; no employees or no departments are no condition.
    pub(super) async fn new(
        scope: &'a Scope,
        facts: &'a Facts,
        employees: &'a [String],
        departments: &[String],
    ) -> Result<Self, QuestionError> {
        Ok(Self {
            scope,
            facts,
            employees,
            departments: departments
                .iter()
                .flat_map(|id| facts.directory.departments_below(id))
                .collect(),
            rooms: match scope.employees() {
                Some(_) => facts.snapshot.room_people().await?,
                None => HashMap::new(),
            },
        })
    }

    /// Whether to show a fact of a conversation that happened at an instant (UTC milliseconds) and
    /// names these employees.
    pub(super) fn keeps(&self, conversation: &str, at_ms: i64, named: &[String]) -> bool {
        let by_employee =
            self.employees.is_empty() || named.iter().any(|id| self.employees.contains(id));
        let directory = &self.facts.directory;
        let by_department = self.departments.is_empty()
            || named
                .iter()
                .any(|id| directory.was_in(id, &self.departments, at_ms));
        by_employee && by_department && self.sees(conversation, at_ms, named)
    }

    /// As a message of its conversation at that instant: an employee of the pair (among `named`), or
    /// one who ever spoke or received in the group or was its member then, is in scope.
    pub(super) fn sees(&self, conversation: &str, at_ms: i64, named: &[String]) -> bool {
        let Some(visible) = self.scope.employees() else {
            return true;
        };
        let mut in_room = self.rooms.get(conversation).into_iter().flatten();
        named.iter().any(|id| visible.contains(id))
            || in_room.any(|id| visible.contains(id))
            || visible.iter().any(|id| {
                self.facts
                    .directory
                    .memberships_of(id)
                    .any(|(chat, interval)| chat == conversation && interval.contains(at_ms))
            })
    }

    /// Whether messages of a room are visible: somebody in scope ever spoke or received there, or
    /// was a member at some instant of `[start, end)`.
    pub(super) fn sees_room(&self, room: &str, (start_ms, end_ms): (i64, i64)) -> bool {
        let Some(visible) = self.scope.employees() else {
            return true;
        };
        let mut in_room = self.rooms.get(room).into_iter().flatten();
        in_room.any(|id| visible.contains(id))
            || visible.iter().any(|id| {
                self.facts
                    .directory
                    .memberships_of(id)
                    .any(|(chat, interval)| chat == room && interval.touches(start_ms, end_ms))
            })
    }
}
