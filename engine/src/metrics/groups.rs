//! The report of groups (semantics 10.6): one row per external group that exists at the period's
//! end, in the order of their ids, then slices.

use std::collections::{BTreeSet, HashMap};

use huicun_semantics::role::Role;

use super::activity::{Activity, ActivityRules, Deeds, Window, activity};
use crate::access::Scope;
use crate::directory::Directory;

/// A slice of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSlice {
    /// Its label, with `by`.
    pub label: Option<String>,
    /// Its instants, `[start, end)`, UTC milliseconds.
    pub within: (i64, i64),
    /// How many days it has.
    pub n_days: u64,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct GroupQuestion {
    /// The slices, in order.
    pub slices: Vec<GroupSlice>,
    /// Only these groups; all when empty.
    pub groups: Vec<String>,
    /// Only groups that one of these employees owns, is responsible for or is a member of, as of
    /// the end; all when empty.
    pub employees: Vec<String>,
    /// Only groups whose responsible is in one of these departments or below, as of the end.
    pub departments: Vec<String>,
    /// Where "now" is, UTC milliseconds.
    pub now_ms: i64,
}

/// Customers' counted messages in one group in one slice.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// By customer.
    pub by_customer: HashMap<String, u64>,
}

/// One group in one slice.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow {
    /// The group's id.
    pub chat_id: String,
    /// Its name; null where the directory has none.
    pub name: Option<String>,
    /// The slice's label with `by`.
    pub period: Option<String>,
    /// How lively it was.
    pub activity: Activity,
}

/// The rows. `external` are the ids of external rooms; `said` what customers said by (room, number
/// of the slice).
pub fn groups(
    scope: &Scope,
    directory: &Directory,
    external: &BTreeSet<String>,
    question: &GroupQuestion,
    rules: &ActivityRules,
    said: &HashMap<(String, usize), Said>,
) -> Vec<GroupRow> {
    let Some(last) = question.slices.last() else {
        return Vec::new();
    };
    let end_ms = (last.within.1 - 1).min(question.now_ms);
    let windows: Vec<(Window, Deeds)> = question
        .slices
        .iter()
        .map(|slice| {
            let window = Window {
                n_days: slice.n_days,
                as_of_ms: (slice.within.1 - 1).min(question.now_ms),
            };
            (window, Deeds::within(directory, slice.within))
        })
        .collect();
    let below: BTreeSet<String> = question
        .departments
        .iter()
        .flat_map(|id| directory.departments_below(id))
        .collect();
    let nothing = Said::default();
    let mut rows = Vec::new();
    for id in external {
        if !is_listed(scope, directory, question, &below, id, end_ms) {
            continue;
        }
        // A room that no table names has no number: it has no members either.
        let chat = directory.ids.get(id).unwrap_or(u32::MAX);
        let name = directory.groups.get(chat).and_then(|g| g.name.as_deref());
        for (at, (slice, (window, deeds))) in question.slices.iter().zip(&windows).enumerate() {
            let said = said.get(&(id.clone(), at)).unwrap_or(&nothing);
            let of = |customer: u32| {
                let id = directory.ids.name(customer);
                said.by_customer.get(id).copied().unwrap_or(0)
            };
            let n_all = said.by_customer.values().sum();
            rows.push(GroupRow {
                chat_id: id.clone(),
                name: name.map(String::from),
                period: slice.label.clone(),
                activity: activity(directory, chat, *window, rules, deeds, n_all, of),
            });
        }
    }
    rows
}

fn is_listed(
    scope: &Scope,
    directory: &Directory,
    question: &GroupQuestion,
    below: &BTreeSet<String>,
    id: &str,
    end_ms: i64,
) -> bool {
    let group = directory
        .ids
        .get(id)
        .and_then(|chat| directory.groups.get(chat));
    if group.is_some_and(|group| !group.exists_at(end_ms)) {
        return false;
    }
    let people = people_of(directory, id, end_ms);
    let responsible = directory.responsible_at(id, end_ms);
    (scope.is_all() || people.iter().any(|id| scope.sees_employee(id)))
        && (question.groups.is_empty() || question.groups.iter().any(|asked| asked == id))
        && (question.employees.is_empty()
            || question
                .employees
                .iter()
                .any(|asked| people.contains(asked.as_str())))
        && (below.is_empty() || responsible.is_some_and(|id| directory.was_in(id, below, end_ms)))
}

/// The owner, the responsible and the employees who are members of a group at an instant.
pub fn people_of<'a>(directory: &'a Directory, chat: &str, at_ms: i64) -> BTreeSet<&'a str> {
    let members = directory.members_of_at(chat, at_ms).into_iter().flatten();
    let mut people: BTreeSet<&str> = members.collect();
    people.extend(directory.owner_at(chat, at_ms));
    people.extend(directory.responsible_at(chat, at_ms));
    people.retain(|id| directory.role(id) == Role::Employee);
    people
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::DataScope;
    use crate::directory::testing::directory_of;

    const DAY_MS: i64 = 86_400_000;

    fn company() -> Directory {
        directory_of(&[
            (
                "employees",
                r#"{"userid":"a","name":"甲","departments":["1"]}
{"userid":"b","name":"乙","departments":["2"]}"#,
            ),
            (
                "groups",
                r#"{"chat_id":"g1","name":"一群","owner":"a"}
{"chat_id":"g2","name":"二群","owner":"b","dismissed_time":"1970-01-03T00:00:00Z"}
{"chat_id":"g3","name":"三群","owner":"b"}"#,
            ),
            (
                "group_members",
                r#"{"chat_id":"g1","member_id":"a","member_type":"employee","join_time":0}
{"chat_id":"g1","member_id":"wm1","member_type":"customer","join_time":0,"leave_time":"1970-01-02T00:00:00Z"}"#,
            ),
        ])
    }

    fn rows(scope: &Scope, change: impl FnOnce(&mut GroupQuestion)) -> Vec<GroupRow> {
        let slice = |day: i64| GroupSlice {
            label: Some(format!("1970-01-0{}", day + 1)),
            within: (day * DAY_MS, (day + 1) * DAY_MS),
            n_days: 1,
        };
        let mut question = GroupQuestion {
            slices: vec![slice(0), slice(1), slice(2)],
            groups: vec![],
            employees: vec![],
            departments: vec![],
            now_ms: i64::MAX,
        };
        change(&mut question);
        let external = ["g1", "g2", "g3", "unknown"].map(String::from).into();
        let said = Said {
            by_customer: [("wm1".to_string(), 2)].into(),
        };
        let said = [
            (("g1".to_string(), 0), said.clone()),
            (("g1".to_string(), 1), said),
        ]
        .into();
        groups(
            scope,
            &company(),
            &external,
            &question,
            &ActivityRules::default(),
            &said,
        )
    }

    #[test]
    fn groups_that_exist_at_the_end_have_a_row_a_slice_and_members_of_its_end() {
        let rows = rows(&Scope::local_operator(), |_| ());
        let ids: Vec<&str> = rows.iter().map(|r| r.chat_id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "g1", "g1", "g1", "g3", "g3", "g3", "unknown", "unknown", "unknown"
            ]
        );
        // Day 1: wm1 of two members. Day 2: he left as it began, yet spoke.
        assert_eq!(rows[0].activity.activity_ratio, Some(0.5));
        assert!(rows[0].activity.is_active);
        assert_eq!(rows[1].activity.activity_ratio, Some(0.0));
        assert_eq!(rows[1].activity.speech_ratio, Some(2.0));
        assert_eq!(rows[3].activity.activity_ratio, None);
    }

    #[test]
    fn a_narrow_scope_sees_the_groups_of_its_employees_only() {
        let granted = DataScope::Employees(vec!["a".into()]);
        let scope = Scope::of_caller(&granted, |_| true, |_| vec![]);
        assert!(rows(&scope, |_| ()).iter().all(|row| row.chat_id == "g1"));
        assert_eq!(rows(&scope, |q| q.employees = vec!["b".into()]), []);
        let by_department = rows(&Scope::local_operator(), |q| {
            q.departments = vec!["2".into()]
        });
        assert!(by_department.iter().all(|row| row.chat_id == "g3"));
        assert_eq!(by_department.len(), 3);
    }
}
