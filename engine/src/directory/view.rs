//! The directory in memory, as jobs and filters need it: roles, names, the department tree, and
//! who was where when (semantics 2 and 9).

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use huicun_semantics::interval::Interval;
use huicun_semantics::role::{Role, role_of};

use super::schema::table;
use super::store;
use crate::archive::{Home, TableError};

/// An employee of the directory.
#[derive(Debug, Clone, Default)]
pub struct Employee {
    /// Display name.
    pub name: String,
    /// Departments that hold for all times where there is no history.
    pub departments: Vec<String>,
    /// UTC milliseconds from which on he is in no department, for those who left.
    pub left_ms: Option<i64>,
}

/// A follow of a customer by an employee.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The employee.
    pub userid: String,
    /// The customer.
    pub external_userid: String,
    /// When he was added, UTC milliseconds.
    pub added_ms: i64,
    /// When he was lost, UTC milliseconds; not yet if missing.
    pub lost_ms: Option<i64>,
}

/// The whole directory at one version.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// By userid.
    pub employees: HashMap<String, Employee>,
    /// Customer names by external_userid.
    pub customers: HashMap<String, String>,
    /// Parent and name by department id.
    pub departments: HashMap<String, (String, Option<String>)>,
    /// Department history by employee.
    pub department_history: HashMap<String, Vec<(String, Interval)>>,
    /// All follows.
    pub relations: Vec<Relation>,
    /// Group names by chat_id.
    pub groups: HashMap<String, String>,
    /// Group memberships by member: (chat_id, interval).
    pub memberships: HashMap<String, Vec<(String, Interval)>>,
    /// Chats that have, or had, a customer as a member by the tables.
    pub rooms_with_customers: HashSet<String>,
    /// Table versions that this was read from.
    pub versions: Vec<(&'static str, u64)>,
}

impl Directory {
    /// Reads the directory's tables.
    pub async fn load(home: &Home) -> Result<Self, TableError> {
        let mut this = Self {
            versions: store::versions(home).await?,
            ..Self::default()
        };
        this.load_people(home).await?;
        this.load_departments(home).await?;
        this.load_relations(home).await?;
        this.load_groups(home).await?;
        Ok(this)
    }

    async fn load_people(&mut self, home: &Home) -> Result<(), TableError> {
        let rows = rows(home, "employees").await?;
        let (id, name, status) = (
            text(&rows, "userid"),
            text(&rows, "name"),
            text(&rows, "status"),
        );
        let (departments, left_at) = (lists(&rows, "departments"), times(&rows, "left_at"));
        for row in 0..rows.num_rows() {
            let has_left = status.is_valid(row) && status.value(row) == "left";
            let employee = Employee {
                name: name.value(row).to_string(),
                departments: items(departments, row),
                // Who left at an unknown time is in no department at any time.
                left_ms: has_left.then(|| left_at(row).unwrap_or(i64::MIN)),
            };
            self.employees.insert(id.value(row).to_string(), employee);
        }
        let rows = self::rows(home, "customers").await?;
        let (id, name) = (text(&rows, "external_userid"), text(&rows, "name"));
        for row in 0..rows.num_rows() {
            self.customers
                .insert(id.value(row).to_string(), name.value(row).to_string());
        }
        Ok(())
    }

    async fn load_departments(&mut self, home: &Home) -> Result<(), TableError> {
        let rows = rows(home, "departments").await?;
        let (id, name, parent) = (
            text(&rows, "id"),
            text(&rows, "name"),
            text(&rows, "parent_id"),
        );
        for row in 0..rows.num_rows() {
            let parent = parent
                .is_valid(row)
                .then(|| parent.value(row).to_string())
                .filter(|p| !p.is_empty() && p != id.value(row));
            self.departments.insert(
                id.value(row).to_string(),
                (name.value(row).to_string(), parent),
            );
        }
        let rows = self::rows(home, "department_members").await?;
        let (user, department) = (text(&rows, "userid"), text(&rows, "department_id"));
        let (from, to) = (times(&rows, "from_time"), times(&rows, "to_time"));
        for row in 0..rows.num_rows() {
            let interval = Interval {
                from_ms: from(row),
                to_ms: to(row),
            };
            self.department_history
                .entry(user.value(row).to_string())
                .or_default()
                .push((department.value(row).to_string(), interval));
        }
        Ok(())
    }

    async fn load_relations(&mut self, home: &Home) -> Result<(), TableError> {
        let rows = rows(home, "relations").await?;
        let (user, customer) = (text(&rows, "userid"), text(&rows, "external_userid"));
        let (added, lost) = (times(&rows, "add_time"), times(&rows, "lost_time"));
        self.relations = (0..rows.num_rows())
            .map(|row| Relation {
                userid: user.value(row).to_string(),
                external_userid: customer.value(row).to_string(),
                added_ms: added(row).unwrap_or(i64::MIN),
                lost_ms: lost(row),
            })
            .collect();
        Ok(())
    }

    async fn load_groups(&mut self, home: &Home) -> Result<(), TableError> {
        let rows = rows(home, "groups").await?;
        let (id, name) = (text(&rows, "chat_id"), text(&rows, "name"));
        for row in 0..rows.num_rows() {
            self.groups
                .insert(id.value(row).to_string(), name.value(row).to_string());
        }
        let rows = self::rows(home, "group_members").await?;
        let (chat, member) = (text(&rows, "chat_id"), text(&rows, "member_id"));
        let (joined, left) = (times(&rows, "join_time"), times(&rows, "leave_time"));
        for row in 0..rows.num_rows() {
            let interval = Interval {
                from_ms: joined(row),
                to_ms: left(row),
            };
            let (chat, member) = (chat.value(row), member.value(row));
            // The role of an id is what the people tables and its form say, also where
            // `member_type` says otherwise (semantics 2).
            if self.role(member) == Role::Customer {
                self.rooms_with_customers.insert(chat.to_string());
            }
            self.memberships
                .entry(member.to_string())
                .or_default()
                .push((chat.to_string(), interval));
        }
        Ok(())
    }

    /// The role of an id (semantics 2).
    pub fn role(&self, id: &str) -> Role {
        role_of(
            id,
            self.employees.contains_key(id),
            self.customers.contains_key(id),
        )
    }

    /// The department and all below it; a cycle in the tree ends the walk.
    pub fn departments_below(&self, id: &str) -> BTreeSet<String> {
        let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
        for (child, (_, parent)) in &self.departments {
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(child);
            }
        }
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            if found.insert(next.to_string()) {
                open.extend(children.get(next).into_iter().flatten());
            }
        }
        found
    }

    /// Whether the employee was in one of `departments` at that moment (semantics 9).
    pub fn was_in(&self, userid: &str, departments: &BTreeSet<String>, at_ms: i64) -> bool {
        let Some(employee) = self.employees.get(userid) else {
            return false;
        };
        if employee.left_ms.is_some_and(|left| at_ms >= left) {
            return false;
        }
        match self.department_history.get(userid) {
            Some(history) => history
                .iter()
                .any(|(id, interval)| departments.contains(id) && interval.contains(at_ms)),
            None => employee
                .departments
                .iter()
                .any(|id| departments.contains(id)),
        }
    }

    /// The departments of an employee of the directory and when he was in each (semantics 9): none
    /// from the day on which he left.
    pub fn stays_in_departments(&self, userid: &str) -> Vec<(String, Interval)> {
        let Some(employee) = self.employees.get(userid) else {
            return Vec::new();
        };
        let until = |to_ms: Option<i64>| match (to_ms, employee.left_ms) {
            (Some(to), Some(left)) => Some(to.min(left)),
            (to, left) => to.or(left),
        };
        let stays: Vec<(String, Interval)> = match self.department_history.get(userid) {
            Some(history) => history.clone(),
            None => {
                let always = Interval {
                    from_ms: None,
                    to_ms: None,
                };
                let departments = employee.departments.iter();
                departments.map(|id| (id.clone(), always)).collect()
            }
        };
        stays
            .into_iter()
            .map(|(id, interval)| {
                let to_ms = until(interval.to_ms);
                (id, Interval { to_ms, ..interval })
            })
            .collect()
    }

    /// Whether the employee was in one of `departments` at some instant of `start_ms..end_ms`.
    pub fn was_in_during(
        &self,
        userid: &str,
        departments: &BTreeSet<String>,
        (start_ms, end_ms): (i64, i64),
    ) -> bool {
        let Some(employee) = self.employees.get(userid) else {
            return false;
        };
        let end_ms = employee.left_ms.map_or(end_ms, |left| left.min(end_ms));
        match self.department_history.get(userid) {
            Some(history) => history.iter().any(|(id, interval)| {
                departments.contains(id) && interval.touches(start_ms, end_ms)
            }),
            None => {
                start_ms < end_ms
                    && employee
                        .departments
                        .iter()
                        .any(|id| departments.contains(id))
            }
        }
    }

    /// Employees who are now, or ever were, in one of `departments`.
    pub fn employees_ever_in(&self, departments: &BTreeSet<String>) -> BTreeSet<String> {
        self.employees
            .iter()
            .filter(
                |(userid, employee)| match self.department_history.get(*userid) {
                    Some(history) => history.iter().any(|(id, _)| departments.contains(id)),
                    None => employee
                        .departments
                        .iter()
                        .any(|id| departments.contains(id)),
                },
            )
            .map(|(userid, _)| userid.clone())
            .collect()
    }

    /// The display name of an employee or customer.
    pub fn name(&self, id: &str) -> Option<&str> {
        self.employees
            .get(id)
            .map(|e| e.name.as_str())
            .or_else(|| self.customers.get(id).map(String::as_str))
    }
}

async fn rows(home: &Home, name: &str) -> Result<RecordBatch, TableError> {
    let spec = table(name).expect("the directory names only its own tables");
    store::rows_of(home, spec).await
}

fn text<'a>(rows: &'a RecordBatch, column: &str) -> &'a StringArray {
    rows.column_by_name(column)
        .expect("rows_of returns all columns of the table")
        .as_string()
}

fn lists<'a>(rows: &'a RecordBatch, column: &str) -> &'a ListArray {
    rows.column_by_name(column)
        .expect("rows_of returns all columns of the table")
        .as_list()
}

fn items(lists: &ListArray, row: usize) -> Vec<String> {
    let list = lists.value(row);
    let list: &StringArray = list.as_string();
    list.iter().flatten().map(String::from).collect()
}

fn times<'a>(rows: &'a RecordBatch, column: &str) -> impl Fn(usize) -> Option<i64> + 'a {
    let array = rows
        .column_by_name(column)
        .expect("rows_of returns all columns of the table")
        .as_primitive::<TimestampMicrosecondType>();
    move |row| array.is_valid(row).then(|| array.value(row) / 1000)
}
