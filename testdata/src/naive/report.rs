//! Which rows a report has, and the reports of employees and departments (semantics 10).

use serde_json::{Map, Value, json};

use super::company::Company;
use super::organisation::Unit;
use super::period::Period;

/// The columns of a row, and its id's columns.
pub(super) type Row = Map<String, Value>;

impl Company {
    /// The rows of `huicun report employees`, by userid, then period.
    ///
    /// An employee of the directory is always listed; another employee id, with a null name, where
    /// its row over the whole period says that anything happened in it. With `by`, whoever is listed has every slice.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_employees(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let facts = self.facts();
        self.report_per_employee(
            from,
            to,
            by,
            |_| true,
            |unit, period| {
                let mut row = Row::new();
                self.single_metrics(&facts, unit, period, &mut row);
                self.group_metrics(&facts, unit, period, &mut row);
                row
            },
        )
    }

    /// The rows of `huicun report departments`: every department, by its id, then period.
    ///
    /// # Panics
    /// As the report of employees.
    pub fn report_departments(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let facts = self.facts();
        self.report_per_department(from, to, by, |unit, period| {
            let mut row = Row::new();
            self.single_metrics(&facts, unit, period, &mut row);
            self.group_metrics(&facts, unit, period, &mut row);
            row
        })
    }

    /// Rows of the directory's employees who pass, and of the unknown ones who have facts.
    pub(super) fn report_per_employee(
        &self,
        from: &str,
        to: &str,
        by: Option<&str>,
        passes: impl Fn(&super::directory::Employee) -> bool,
        metrics: impl Fn(Unit<'_>, Period) -> Row,
    ) -> Vec<Value> {
        let whole = Period::parse(from, to);
        let mut ids = self.every_employee_id();
        ids.retain(|userid| match self.directory.employees.get(userid) {
            Some(employee) => passes(employee),
            None => says_anything(&metrics(Unit::Employee(userid), whole)),
        });
        let mut rows = Vec::new();
        for userid in &ids {
            let head = json!({"userid": userid, "name": self.directory.name_of(userid)});
            rows.extend(parts(whole, by, &head, |period| {
                metrics(Unit::Employee(userid), period)
            }));
        }
        rows
    }

    pub(super) fn report_per_department(
        &self,
        from: &str,
        to: &str,
        by: Option<&str>,
        metrics: impl Fn(Unit<'_>, Period) -> Row,
    ) -> Vec<Value> {
        let whole = Period::parse(from, to);
        let mut rows = Vec::new();
        for (id, department) in &self.directory.departments {
            let head = json!({"department_id": id, "name": department.name});
            rows.extend(parts(whole, by, &head, |period| {
                metrics(Unit::Department(id), period)
            }));
        }
        rows
    }
}

/// One row, or one for each slice of the period.
pub(super) fn parts(
    whole: Period,
    by: Option<&str>,
    head: &Value,
    metrics: impl Fn(Period) -> Row,
) -> Vec<Value> {
    let mut rows = Vec::new();
    for (label, period) in whole.parts(by) {
        let mut row = metrics(period);
        for (key, value) in head.as_object().into_iter().flatten() {
            row.insert(key.clone(), value.clone());
        }
        if let Some(label) = label {
            row.insert("period".to_owned(), json!(label));
        }
        rows.push(Value::Object(row));
    }
    rows
}

/// Columns that say how things stand at the end, not what happened in the period.
const AS_OF_END: [&str; 18] = [
    "customers",
    "customers_lost_total",
    "customers_new_today",
    "customers_total",
    "friends",
    "friends_first",
    "friends_in_groups",
    "friends_in_groups_first",
    "friends_in_groups_first_rate",
    "friends_in_groups_rate",
    "group_activity",
    "group_open_waits",
    "group_people",
    "groups_in",
    "groups_owned",
    "groups_owner",
    "open_waits",
    "potential_customers",
];

/// Whether anything happened in the period: a count or duration above zero, or a day with something.
fn says_anything(row: &Row) -> bool {
    let is_fact = |(key, value): (&String, &Value)| {
        let is_something = match value {
            Value::Object(counts) => key != "tags" && !counts.is_empty(),
            value => value.as_f64().is_some_and(|number| number > 0.0),
        };
        is_something && !AS_OF_END.contains(&&**key)
    };
    row.iter().any(is_fact)
}
