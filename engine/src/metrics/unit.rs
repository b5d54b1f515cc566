//! Units: what a row of a report is about, and which units an employee belongs to at an instant.
//!
//! Everything is counted per unit: an employee, a department with everything below, a store, the
//! company; unit 0 is all listed units as one, for the totals row. The organisation is as it was
//! when a fact happened (semantics 9). Nobody outside the caller's scope gets into a unit: an
//! employee's row needs that employee in scope, a department's, store's or company's all of the
//! employees that it had in the period.

use std::collections::{BTreeSet, HashMap, HashSet};

use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;

use super::question::Question;
use crate::access::Scope;
use crate::directory::Directory;
use crate::jobs::period::Names;

/// All listed units as one.
pub const TOTAL: u32 = 0;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// One employee.
    Employee,
    /// A department with everything below.
    Department,
    /// The employees of a store.
    Store,
    /// Every employee id.
    Company,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its id; of the total empty.
    pub id: String,
    /// Its name; null for an id that the directory does not know.
    pub name: Option<String>,
    /// How many departments stand above it.
    pub level: u8,
    /// Whether it has a row: of the directory, or with facts in the period.
    pub is_listed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stay {
    unit: u32,
    interval: Interval,
}

const ALWAYS: Interval = Interval {
    from_ms: None,
    to_ms: None,
};

/// The units of a question.
pub struct Units<'a> {
    per: Per,
    directory: &'a Directory,
    units: Vec<Unit>,
    by_id: HashMap<String, u32>,
    /// By the employee's number; none where nobody has asked yet.
    stays: Vec<Option<Box<[Stay]>>>,
    /// By number; none where nobody has asked yet.
    roles: Vec<Option<Role>>,
    admits: Admits,
}

/// Which ids that the directory does not have get rows of their own.
enum Admits {
    None,
    All,
    Named(HashSet<String>),
}

impl<'a> Units<'a> {
    /// The units that the question asks for and the scope opens.
    pub fn new(
        per: Per,
        scope: &Scope,
        question: &Question,
        directory: &'a Directory,
        zone: Zone,
    ) -> Self {
        let mut this = Self {
            per,
            directory,
            units: vec![Unit {
                id: String::new(),
                name: None,
                level: 0,
                is_listed: false,
            }],
            by_id: HashMap::new(),
            stays: Vec::new(),
            roles: Vec::new(),
            admits: Admits::None,
        };
        let within = (question.period.start_ms(zone), question.period.end_ms(zone));
        match per {
            Per::Employee => this.list_employees(scope, question, within),
            Per::Department => this.list_departments(scope, question, within),
            Per::Store => this.list_stores(scope, question, within),
            Per::Company if scope.is_all() => this.list("company", Some("全公司".into()), 0),
            Per::Company => {}
        }
        this
    }

    fn list(&mut self, id: &str, name: Option<String>, level: u8) {
        let number = self.units.len() as u32;
        self.units.push(Unit {
            id: id.to_owned(),
            name,
            level,
            is_listed: true,
        });
        self.by_id.insert(id.to_owned(), number);
    }

    fn list_employees(&mut self, scope: &Scope, question: &Question, within: (i64, i64)) {
        let directory = self.directory;
        let below = departments_below(directory, &question.departments);
        let mut ids: Vec<&String> = directory
            .employees
            .keys()
            .filter(|id| scope.sees_employee(id))
            .filter(|id| question.employees.is_empty() || question.employees.contains(id))
            .filter(|id| {
                question.departments.is_empty() || directory.was_in_during(id, &below, within)
            })
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.list(id, Some(directory.employees[id].name.clone()), 0);
        }
        self.admits = match (scope.is_all(), question.departments.is_empty()) {
            (true, true) if question.employees.is_empty() => Admits::All,
            (true, true) => Admits::Named(question.employees.iter().cloned().collect()),
            _ => Admits::None,
        };
    }

    fn list_departments(&mut self, scope: &Scope, question: &Question, within: (i64, i64)) {
        let directory = self.directory;
        let below = departments_below(directory, &question.departments);
        let mut ids: Vec<&String> = directory
            .departments
            .keys()
            .filter(|id| question.departments.is_empty() || below.contains(*id))
            .filter(|id| {
                let departments = directory.departments_below(id);
                opens(scope, directory, |userid| {
                    directory.was_in_during(userid, &departments, within)
                }) && has_one_of(&question.employees, |userid| {
                    directory.was_in_during(userid, &departments, within)
                })
            })
            .collect();
        ids.sort_unstable();
        for id in ids {
            let level = ancestors(directory, id).len() - 1;
            let name = directory.departments[id].0.clone();
            self.list(id, Some(name), u8::try_from(level).unwrap_or(u8::MAX));
        }
    }

    /// Stores are listed where the directory has them.
    fn list_stores(&mut self, _scope: &Scope, _question: &Question, _within: (i64, i64)) {}

    /// The units to which an employee belongs at an instant of the period, each once; `out` is
    /// cleared first. An id that is no employee belongs to none.
    pub fn at(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        out.clear();
        self.add_at(names, employee, at_ms, out);
    }

    /// As [`Units::at`], added to what is there: the units of any of several employees.
    pub fn add_at(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        if self.role(names, employee) != Role::Employee {
            return;
        }
        let number = employee as usize;
        if self.stays.len() <= number {
            self.stays.resize_with(names.len().max(number + 1), || None);
        }
        if self.stays[number].is_none() {
            let stays = self.stays_of(names.name(employee));
            self.stays[number] = Some(stays.into_boxed_slice());
        }
        for stay in self.stays[number].iter().flatten() {
            if stay.interval.contains(at_ms) && !out.contains(&stay.unit) {
                out.push(stay.unit);
            }
        }
        out.sort_unstable();
    }

    /// As [`Units::at`] for what is true at a slice's end: it makes no row for an id that the
    /// directory does not have, since it is no fact of the period.
    pub fn at_end(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        out.clear();
        self.add_at_end(names, employee, at_ms, out);
    }

    /// As [`Units::at_end`], added to what is there.
    pub fn add_at_end(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        let id = names.name(employee);
        let is_known = self.per != Per::Employee
            || self.directory.employees.contains_key(id)
            || self.by_id.contains_key(id);
        if is_known {
            self.add_at(names, employee, at_ms, out);
        }
    }

    /// The role of a number.
    pub fn role(&mut self, names: &Names, id: u32) -> Role {
        let number = id as usize;
        if self.roles.len() <= number {
            self.roles.resize(names.len().max(number + 1), None);
        }
        *self.roles[number].get_or_insert_with(|| self.directory.role(names.name(id)))
    }

    fn stays_of(&mut self, id: &str) -> Vec<Stay> {
        match self.per {
            Per::Employee => {
                if !self.by_id.contains_key(id) && self.admits(id) {
                    self.list(id, None, 0);
                }
                let stay = |unit| Stay {
                    unit,
                    interval: ALWAYS,
                };
                match self.by_id.get(id) {
                    Some(unit) => vec![stay(TOTAL), stay(*unit)],
                    None => Vec::new(),
                }
            }
            Per::Department => self.department_stays(id),
            Per::Store => Vec::new(),
            Per::Company if self.by_id.is_empty() => Vec::new(),
            Per::Company => [TOTAL, 1]
                .map(|unit| Stay {
                    unit,
                    interval: ALWAYS,
                })
                .to_vec(),
        }
    }

    fn admits(&self, id: &str) -> bool {
        // An employee of the directory without a row was left out on purpose.
        !self.directory.employees.contains_key(id)
            && match &self.admits {
                Admits::None => false,
                Admits::All => true,
                Admits::Named(ids) => ids.contains(id),
            }
    }

    fn department_stays(&self, id: &str) -> Vec<Stay> {
        let mut stays = Vec::new();
        for (department, interval) in self.directory.stays_in_departments(id) {
            let units = ancestors(self.directory, &department);
            let mut is_in_any = false;
            for unit in units.iter().filter_map(|id| self.by_id.get(*id)) {
                is_in_any = true;
                stays.push(Stay {
                    unit: *unit,
                    interval,
                });
            }
            if is_in_any {
                stays.push(Stay {
                    unit: TOTAL,
                    interval,
                });
            }
        }
        stays
    }

    /// A unit by its number.
    pub fn unit(&self, number: u32) -> &Unit {
        &self.units[number as usize]
    }

    /// The number of a unit's id.
    pub fn number_of(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The number of a unit's id, given to it now where only its facts would bring it in.
    pub fn number_or_expected(&mut self, id: &str) -> Option<u32> {
        if self.per == Per::Employee && !self.by_id.contains_key(id) && self.admits(id) {
            self.list(id, None, 0);
        }
        self.number_of(id)
    }

    /// Those with a row, by id.
    pub fn listed(&self) -> Vec<u32> {
        let mut listed: Vec<u32> = (1..self.units.len() as u32)
            .filter(|number| self.unit(*number).is_listed)
            .collect();
        listed.sort_by(|a, b| self.unit(*a).id.cmp(&self.unit(*b).id));
        listed
    }
}

fn departments_below(directory: &Directory, ids: &[String]) -> BTreeSet<String> {
    ids.iter()
        .flat_map(|id| directory.departments_below(id))
        .collect()
}

/// Whether the scope holds every employee of a unit, and at least one.
fn opens(scope: &Scope, directory: &Directory, is_in: impl Fn(&str) -> bool) -> bool {
    if scope.is_all() {
        return true;
    }
    let mut n = 0;
    let sees_all = directory
        .employees
        .keys()
        .filter(|userid| is_in(userid))
        .inspect(|_| n += 1)
        .all(|userid| scope.sees_employee(userid));
    sees_all && n > 0
}

fn has_one_of(employees: &[String], is_in: impl Fn(&str) -> bool) -> bool {
    employees.is_empty() || employees.iter().any(|userid| is_in(userid))
}

/// The department and those above it, from itself upwards; a cycle ends the walk.
fn ancestors<'a>(directory: &'a Directory, id: &'a str) -> Vec<&'a str> {
    let mut found = vec![id];
    let mut at = id;
    while let Some((_, Some(parent))) = directory.departments.get(at) {
        if found.contains(&parent.as_str()) {
            break;
        }
        found.push(parent);
        at = parent;
    }
    found
}
