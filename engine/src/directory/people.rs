//! Employees (员工) and customers (客户) of the directory (semantics 2 and 9).

use std::collections::HashMap;

use super::columns::Rows;
use super::ids::Ids;

/// An employee of the directory.
#[derive(Debug, Clone, Default)]
pub struct Employee {
    /// His number.
    pub number: u32,
    /// Display name.
    pub name: String,
    /// Departments that hold for all times where there is no history.
    pub departments: Vec<String>,
    /// What he is (职务).
    pub position: Option<String>,
    /// Whether he may add customers, so that the guides report lists him (semantics 10.3).
    pub can_add_external: bool,
    /// UTC milliseconds from which on he is in no department, for those who left; the smallest
    /// number where the time is not known.
    pub left_ms: Option<i64>,
}

impl Employee {
    /// Whether he had left (`status` = `left`) by an instant.
    pub fn has_left_at(&self, at_ms: i64) -> bool {
        self.left_ms.is_some_and(|left_ms| left_ms <= at_ms)
    }
}

/// A customer's answer to being archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// `agree`.
    Agree,
    /// `disagree`.
    Disagree,
}

/// A customer of the directory.
#[derive(Debug, Clone)]
pub struct Customer {
    /// His number.
    pub number: u32,
    /// Display name.
    pub name: Box<str>,
    /// 1 WeChat, 2 WeCom.
    pub kind: Option<i64>,
    /// As WeCom gives it: 0 unknown, 1 male, 2 female.
    pub gender: Option<i64>,
    /// His company, for a customer of WeCom.
    pub corp_name: Option<Box<str>>,
    /// Whether he agreed to being archived, if he was asked.
    pub consent: Option<Consent>,
}

/// All customers.
#[derive(Debug, Clone, Default)]
pub struct Customers {
    by_number: Vec<Customer>,
}

impl Customers {
    pub(super) fn read(rows: &Rows<'_>) -> Self {
        let (id, name) = (rows.id("external_userid"), rows.text("name"));
        let (kind, gender) = (rows.integer("type"), rows.integer("gender"));
        let (corp, consent) = (rows.text("corp_name"), rows.text("archive_consent"));
        let customers = rows.numbers().filter_map(|row| {
            Some(Customer {
                number: id(row)?,
                name: name(row).unwrap_or_default().into(),
                kind: kind(row),
                gender: gender(row),
                corp_name: corp(row).map(Box::from),
                consent: consent(row).map(|word| match word {
                    "agree" => Consent::Agree,
                    _ => Consent::Disagree,
                }),
            })
        });
        let mut by_number: Vec<Customer> = customers.collect();
        by_number.sort_unstable_by_key(|customer| customer.number);
        Self { by_number }
    }

    /// The customer of a number.
    pub fn get(&self, number: u32) -> Option<&Customer> {
        let place = self
            .by_number
            .binary_search_by_key(&number, |customer| customer.number);
        place.ok().map(|place| &self.by_number[place])
    }

    /// All, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Customer> {
        self.by_number.iter()
    }
}

/// Employees by userid.
pub(super) fn read_employees(rows: &Rows<'_>, ids: &Ids) -> HashMap<String, Employee> {
    let (id, name, status) = (rows.id("userid"), rows.text("name"), rows.text("status"));
    let (departments, position) = (rows.list("departments"), rows.text("position"));
    let (can_add, left_at) = (rows.boolean("can_add_external"), rows.time("left_at"));
    let employees = rows.numbers().filter_map(|row| {
        let number = id(row)?;
        let has_left = status(row) == Some("left");
        let employee = Employee {
            number,
            name: name(row).unwrap_or_default().to_string(),
            departments: departments(row).into_iter().map(String::from).collect(),
            position: position(row).map(String::from),
            can_add_external: can_add(row).unwrap_or(true),
            // Who left at an unknown time is in no department at any time.
            left_ms: has_left.then(|| left_at(row).unwrap_or(i64::MIN)),
        };
        Some((ids.name(number).to_string(), employee))
    });
    employees.collect()
}
