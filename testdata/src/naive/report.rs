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
    /// its row over the whole period says anything. With `by`, whoever is listed has every slice.
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

/// Whether any count or duration is above zero.
fn says_anything(row: &Row) -> bool {
    row.values()
        .any(|value| value.as_f64().is_some_and(|number| number > 0.0))
}
