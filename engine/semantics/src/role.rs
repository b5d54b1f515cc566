//! Who an id is (semantics 2).
//!
//! Roles are resolved when computing, with the directory as it is then, never stored with messages.

/// What an id is in this company.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of the company's own people.
    Employee,
    /// An external contact.
    Customer,
    /// A group robot or another machine that speaks.
    Robot,
}

impl Role {
    /// The name: `employee`, `customer` or `robot`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Customer => "customer",
            Self::Robot => "robot",
        }
    }
}

/// The role of an id, given whether the directory's `employees` and `customers` have it.
///
/// The directory is believed first, employees before customers; then the prefix decides (`wm`, `wo`
/// customers, `wb` robots, as WeCom issues them, so in lower case only); an id that nobody knows is
/// an employee's, because WeCom lets companies choose those freely.
pub fn role_of(id: &str, in_employees: bool, in_customers: bool) -> Role {
    if in_employees {
        Role::Employee
    } else if in_customers || id.starts_with("wm") || id.starts_with("wo") {
        Role::Customer
    } else if id.starts_with("wb") {
        Role::Robot
    } else {
        Role::Employee
    }
}
