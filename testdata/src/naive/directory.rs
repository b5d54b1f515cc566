//! The directory's tables, row by row, and the roles that they give (contract, feeds in).
//!
//! What is read from the rows stands in `organisation`, `relations` and `rooms` (semantics 9).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use super::conversation::Role;
use super::json::{string_at, strings_at, whole_number};

#[derive(Debug, Default)]
pub(super) struct Employee {
    pub(super) name: String,
    pub(super) departments: Vec<String>,
    pub(super) has_left: bool,
    pub(super) left_at: Option<i64>,
    pub(super) can_add_external: bool,
}

#[derive(Debug, Default)]
pub(super) struct Department {
    pub(super) name: String,
    pub(super) parent: String,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) name: String,
    pub(super) department: Option<String>,
    pub(super) members: Vec<String>,
}

/// What a row of `relations` says beside its key.
#[derive(Debug, Default)]
pub(super) struct RelationEnd {
    pub(super) lost: Option<i64>,
    pub(super) lost_by: String,
    pub(super) add_way: Option<String>,
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) created: Option<i64>,
    pub(super) dismissed: Option<i64>,
}

/// A follow-up or business record.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) userid: String,
    pub(super) target_type: String,
    pub(super) target: String,
    pub(super) at: i64,
}

#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) userid: String,
    pub(super) kind: String,
    pub(super) assigned: i64,
    pub(super) completed: Option<i64>,
}

/// A material event or an order.
#[derive(Debug, Default)]
pub(super) struct CustomerEvent {
    pub(super) customer: String,
    pub(super) at: i64,
    pub(super) kind: String,
    pub(super) dwell_seconds: i64,
}

/// Rows by their keys, the last one fed in for each key.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) employees: BTreeMap<String, Employee>,
    pub(super) customers: BTreeMap<String, String>,
    pub(super) departments: BTreeMap<String, Department>,
    pub(super) stores: BTreeMap<String, Store>,
    /// (userid, department, from) to the end.
    pub(super) department_members: BTreeMap<(String, String, i64), Option<i64>>,
    /// (external_userid, add_time, userid).
    pub(super) relations: BTreeMap<(String, i64, String), RelationEnd>,
    pub(super) groups: BTreeMap<String, Group>,
    /// (chat_id, role, from) to userid and end.
    pub(super) group_roles: BTreeMap<(String, String, i64), (String, Option<i64>)>,
    /// (chat_id, member_id, join_time) to the time of leaving.
    pub(super) group_members: BTreeMap<(String, String, i64), Option<i64>>,
    pub(super) followups: BTreeMap<String, Record>,
    pub(super) business_records: BTreeMap<String, Record>,
    pub(super) tasks: BTreeMap<String, Task>,
    pub(super) friend_requests: BTreeMap<(String, NaiveDate), i64>,
    pub(super) material_events: BTreeMap<String, CustomerEvent>,
    pub(super) orders: BTreeMap<String, CustomerEvent>,
}

/// A time given as RFC 3339, Unix seconds or Unix milliseconds (10^12 and above).
pub(super) fn instant_at(row: &Value, key: &str) -> Option<i64> {
    let value = row.get(key)?;
    if let Some(number) = whole_number(value) {
        let is_seconds = number.abs() < 1_000_000_000_000;
        return Some(if is_seconds { number * 1000 } else { number });
    }
    DateTime::parse_from_rfc3339(value.as_str()?)
        .ok()
        .map(|instant| instant.timestamp_millis())
}

fn date_at(row: &Value, key: &str) -> Option<NaiveDate> {
    row.get(key)?.as_str()?.get(..10)?.parse().ok()
}

fn is_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => text == "true" || text == "1",
        _ => false,
    }
}

/// An id that may be written as a number.
fn id_at(row: &Value, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Directory {
    /// Tables that the model does not use are ignored; so are rows without their key.
    pub(super) fn add_row(&mut self, table: &str, row: &Value) {
        // A row without a key is an error of the feed: not the model's matter.
        let _ = self.read_row(table, row);
    }

    fn read_row(&mut self, table: &str, row: &Value) -> Option<()> {
        let text = |key: &str| string_at(row, key).to_owned();
        let time = |key: &str| instant_at(row, key);
        match table {
            "departments" => {
                let department = Department {
                    name: text("name"),
                    parent: id_at(row, "parent_id").unwrap_or_default(),
                };
                self.departments.insert(id_at(row, "id")?, department);
            }
            "employees" => {
                let employee = Employee {
                    name: text("name"),
                    departments: strings_at(row, "departments"),
                    has_left: string_at(row, "status") == "left",
                    left_at: time("left_at"),
                    can_add_external: match row.get("can_add_external") {
                        None | Some(Value::Null) => true,
                        Some(value) => is_yes(value),
                    },
                };
                self.employees.insert(text("userid"), employee);
            }
            "department_members" => {
                let key = (
                    text("userid"),
                    id_at(row, "department_id")?,
                    time("from_time")?,
                );
                self.department_members.insert(key, time("to_time"));
            }
            "stores" => {
                let store = Store {
                    name: text("name"),
                    department: id_at(row, "department_id"),
                    members: strings_at(row, "members"),
                };
                self.stores.insert(id_at(row, "store_id")?, store);
            }
            "customers" => {
                self.customers.insert(text("external_userid"), text("name"));
            }
            "relations" => {
                let key = (text("external_userid"), time("add_time")?, text("userid"));
                let relation = RelationEnd {
                    lost: time("lost_time"),
                    lost_by: text("lost_by"),
                    add_way: id_at(row, "add_way"),
                    tags: strings_at(row, "tags"),
                };
                self.relations.insert(key, relation);
            }
            "groups" => {
                let group = Group {
                    name: text("name"),
                    owner: text("owner"),
                    created: time("create_time"),
                    dismissed: time("dismissed_time"),
                };
                self.groups.insert(text("chat_id"), group);
            }
            "group_roles" => {
                let key = (text("chat_id"), text("role"), time("from_time")?);
                self.group_roles
                    .insert(key, (text("userid"), time("to_time")));
            }
            "group_members" => {
                let key = (text("chat_id"), text("member_id"), time("join_time")?);
                self.group_members.insert(key, time("leave_time"));
            }
            "followups" | "business_records" => {
                let record = Record {
                    userid: text("userid"),
                    target_type: text("target_type"),
                    target: text("target_id"),
                    at: time("time")?,
                };
                match table {
                    "followups" => self.followups.insert(id_at(row, "id")?, record),
                    _ => self.business_records.insert(id_at(row, "id")?, record),
                };
            }
            "tasks" => {
                let task = Task {
                    userid: text("userid"),
                    kind: text("kind"),
                    assigned: time("assigned_time")?,
                    completed: time("completed_time"),
                };
                self.tasks.insert(id_at(row, "id")?, task);
            }
            "friend_requests" => {
                let key = (text("userid"), date_at(row, "date")?);
                let count = row.get("count").and_then(whole_number)?;
                self.friend_requests.insert(key, count);
            }
            "material_events" | "orders" => {
                let event = CustomerEvent {
                    customer: text("external_userid"),
                    at: time("time")?,
                    kind: text("kind"),
                    dwell_seconds: row.get("dwell_seconds").and_then(whole_number).unwrap_or(0),
                };
                match table {
                    "orders" => self.orders.insert(id_at(row, "id")?, event),
                    _ => self.material_events.insert(id_at(row, "id")?, event),
                };
            }
            _ => {}
        }
        Some(())
    }

    /// The role of an id, by what the directory knows now.
    pub(super) fn role_of(&self, id: &str) -> Role {
        if self.employees.contains_key(id) {
            Role::Employee
        } else if self.customers.contains_key(id) || id.starts_with("wm") || id.starts_with("wo") {
            Role::Customer
        } else if id.starts_with("wb") {
            Role::Robot
        } else {
            Role::Employee
        }
    }

    /// None for an employee id that the directory does not know.
    pub(super) fn name_of(&self, userid: &str) -> Option<&str> {
        self.employees.get(userid).map(|employee| &*employee.name)
    }

    /// Every id that the directory names as an employee anywhere, by the roles of ids.
    pub(super) fn every_employee_id(&self) -> BTreeSet<&str> {
        let mut ids: BTreeSet<&str> = self.employees.keys().map(String::as_str).collect();
        ids.extend(self.relations.keys().map(|(_, _, userid)| &**userid));
        let listed = self.stores.values().flat_map(|store| &store.members);
        ids.extend(listed.map(String::as_str));
        ids.extend(self.groups.values().map(|group| &*group.owner));
        ids.extend(self.group_roles.values().map(|(userid, _)| &**userid));
        ids.extend(self.group_members.keys().map(|(_, member, _)| &**member));
        ids.extend(self.followups.values().map(|record| &*record.userid));
        ids.extend(self.business_records.values().map(|record| &*record.userid));
        ids.extend(self.tasks.values().map(|task| &*task.userid));
        ids.extend(self.friend_requests.keys().map(|(userid, _)| &**userid));
        ids.retain(|id| !id.is_empty() && self.role_of(id) == Role::Employee);
        ids
    }
}
