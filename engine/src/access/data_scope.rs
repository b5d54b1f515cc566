//! Whose data a role opens (数据权限; manual 2.2.2): self, own departments and below, given ones, all.

use serde::{Deserialize, Serialize};

/// Whose data a role opens, as stored with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataScope {
    /// Everything, also what the directory cannot resolve (全部).
    All,
    /// The acting employee (只看本人).
    #[serde(rename = "self")]
    Own,
    /// All departments of the acting employee with everything below (本部门及以下).
    DepartmentsBelow,
    /// The named employees (自定义).
    Employees(Vec<String>),
    /// The named departments with everything below (自定义).
    Departments(Vec<String>),
}

impl DataScope {
    /// Whether it says nothing without an acting employee.
    pub fn needs_employee(&self) -> bool {
        matches!(self, Self::Own | Self::DepartmentsBelow)
    }

    /// Whether all that `other` opens, now and after any change of the directory, is open here.
    /// `employee` and `others` are the employees whom the holders act for.
    pub(super) fn covers(
        &self,
        other: &Self,
        employee: Option<&str>,
        others: Option<&str>,
    ) -> bool {
        let is_same = employee.is_some() && employee == others;
        match (self, other) {
            (Self::All, _) => true,
            (Self::Employees(mine), Self::Employees(ids)) => ids.iter().all(|id| mine.contains(id)),
            (Self::Employees(mine), Self::Own) => {
                others.is_some_and(|id| mine.iter().any(|m| m == id))
            }
            (Self::Departments(mine), Self::Departments(ids)) => {
                ids.iter().all(|id| mine.contains(id))
            }
            (Self::Own | Self::DepartmentsBelow, Self::Own)
            | (Self::DepartmentsBelow, Self::DepartmentsBelow) => is_same,
            (Self::Own | Self::DepartmentsBelow, Self::Employees(ids)) => {
                employee.is_some_and(|me| ids.iter().all(|id| id == me))
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for DataScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Own => f.write_str("self"),
            Self::DepartmentsBelow => f.write_str("departments_below"),
            Self::Employees(ids) => write!(f, "employee:{}", ids.join(",")),
            Self::Departments(ids) => write!(f, "department:{}", ids.join(",")),
        }
    }
}

impl std::str::FromStr for DataScope {
    type Err = String;

    /// `all`, `self`, `departments_below`, `employee:ID[,ID]`, `department:ID[,ID]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let list = |ids: &str| -> Vec<String> {
            ids.split(',')
                .filter(|id| !id.is_empty())
                .map(String::from)
                .collect()
        };
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            None if text == "self" => Ok(Self::Own),
            None if text == "departments_below" => Ok(Self::DepartmentsBelow),
            Some(("employee" | "employees", ids)) if !list(ids).is_empty() => {
                Ok(Self::Employees(list(ids)))
            }
            Some(("department" | "departments", ids)) if !list(ids).is_empty() => {
                Ok(Self::Departments(list(ids)))
            }
            _ => Err(format!(
                "unknown scope `{text}`: expected `all`, `self`, `departments_below`, \
                 `employee:ID,...` or `department:ID,...`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_from_how_it_is_written() {
        for text in [
            "all",
            "self",
            "departments_below",
            "employee:a,b",
            "department:10",
        ] {
            let scope: DataScope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
            let json = serde_json::to_string(&scope).unwrap();
            assert_eq!(serde_json::from_str::<DataScope>(&json).unwrap(), scope);
        }
    }

    #[test]
    fn a_mistyped_scope_is_an_error() {
        for text in ["", "al", "department:", "self:li", "departments_below:1"] {
            assert!(text.parse::<DataScope>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_tokens_of_before_hold_is_still_read() {
        for (json, text) in [
            ("\"all\"", "all"),
            ("{\"employees\":[\"li\"]}", "employee:li"),
            ("{\"departments\":[\"1\"]}", "department:1"),
        ] {
            let scope: DataScope = serde_json::from_str(json).unwrap();
            assert_eq!(scope.to_string(), text);
        }
    }
}
