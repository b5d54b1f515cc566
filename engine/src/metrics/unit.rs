//! Units: what a row of a report is about, and which units an employee belongs to at an instant.
//!
//! Everything is counted per unit: an employee, a department with everything below, a store, the
//! company; unit 0 is all listed units as one, for the totals row. The organisation is as it was
//! when a fact happened (semantics 9). Nobody outside the caller's scope gets into a unit: an
//! employee's row needs that employee in scope, a department's, store's or company's everybody
//! whom it ever had up to the last instant that the report looks at, since some metrics look back
//! further than the period ("ever lost by the unit").

use std::collections::{BTreeSet, HashMap, HashSet};

use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;

use super::question::Question;
use crate::access::Scope;
use crate::directory::Directory;
use crate::jobs::period::{Names, UNTOLD};

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
    /// A group; listed by [`Units::list_groups`].
    Group,
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
    /// Whether the directory has an employee of this number; none where nobody has asked yet.
    is_in_directory: Vec<Option<bool>>,
    admits: Admits,
    n_withheld: u64,
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
            is_in_directory: Vec::new(),
            admits: Admits::None,
            n_withheld: 0,
        };
        let within = (question.period.start_ms(zone), question.period.end_ms(zone));
        let looks_to_ms = question.looks_to_ms(zone);
        match per {
            Per::Employee => this.list_employees(scope, question, within),
            Per::Department => {
                let opening = Opening::of_departments(scope, directory, looks_to_ms);
                this.list_departments(&opening, &asked_in_scope(scope, question), question, within);
            }
            Per::Store => {
                let opening = Opening::of_stores(scope, directory, looks_to_ms);
                this.list_stores(&opening, &asked_in_scope(scope, question), question, within);
            }
            Per::Company if scope.is_all() => this.list("company", Some("全公司".into()), 0),
            Per::Company => {
                let sees_any = scope.employees().is_some_and(|ids| !ids.is_empty());
                this.n_withheld = u64::from(sees_any);
            }
            Per::Group => {}
        }
        this
    }

    /// How many units that the question asks for are kept back, because the scope sees some of
    /// their people but not all.
    pub fn n_withheld(&self) -> u64 {
        self.n_withheld
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
        let stores = numbers_of(directory, &question.stores);
        let is_in_store = |number: u32| {
            question.stores.is_empty() || was_in_one_of(directory, number, &stores, within)
        };
        let mut ids: Vec<&String> = directory
            .employees
            .iter()
            .filter(|(id, _)| scope.sees_employee(id))
            .filter(|(id, _)| question.employees.is_empty() || question.employees.contains(id))
            .filter(|(id, _)| {
                question.departments.is_empty() || directory.was_in_during(id, &below, within)
            })
            .filter(|(_, employee)| is_in_store(employee.number))
            .map(|(id, _)| id)
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.list(id, Some(directory.employees[id].name.clone()), 0);
        }
        // Only stores name people whom the directory does not have.
        self.admits = if !scope.is_all() || !question.departments.is_empty() {
            Admits::None
        } else if !question.stores.is_empty() {
            let named = directory.organisation.everyone();
            let named = named.filter(|number| is_in_store(*number));
            let ids = named.map(|number| directory.ids.name(number).to_owned());
            let is_asked =
                |id: &String| question.employees.is_empty() || question.employees.contains(id);
            Admits::Named(ids.filter(is_asked).collect())
        } else if question.employees.is_empty() {
            Admits::All
        } else {
            Admits::Named(question.employees.iter().cloned().collect())
        };
    }

    fn list_departments(
        &mut self,
        opening: &Opening,
        employees: &[&String],
        question: &Question,
        within: (i64, i64),
    ) {
        let directory = self.directory;
        let below = departments_below(directory, &question.departments);
        let has_one_asked = |id: &str| {
            if question.employees.is_empty() {
                return true;
            }
            let departments = directory.departments_below(id);
            let was_in = |userid: &&String| directory.was_in_during(userid, &departments, within);
            employees.iter().any(was_in)
        };
        let mut ids: Vec<&String> = directory
            .departments
            .keys()
            .filter(|id| question.departments.is_empty() || below.contains(*id))
            .filter(|id| has_one_asked(id))
            .collect();
        ids.sort_unstable();
        for id in ids {
            if !self.passes(opening, directory.ids.get(id)) {
                continue;
            }
            let level = ancestors(directory, id).len() - 1;
            let name = directory.departments[id].0.clone();
            self.list(id, Some(name), u8::try_from(level).unwrap_or(u8::MAX));
        }
    }

    fn list_stores(
        &mut self,
        opening: &Opening,
        employees: &[&String],
        question: &Question,
        within: (i64, i64),
    ) {
        let directory = self.directory;
        let below = departments_below(directory, &question.departments);
        let has_one_asked = |store: u32| {
            let mut asked = employees.iter().filter_map(|id| directory.ids.get(id));
            question.employees.is_empty()
                || asked.any(|user| was_in_one_of(directory, user, &[store], within))
        };
        for store in directory.organisation.stores() {
            let id = directory.ids.name(store.number);
            let department = store.department.map(|id| directory.ids.name(id));
            let is_asked = (question.stores.is_empty()
                || question.stores.iter().any(|asked| asked == id))
                && (question.departments.is_empty()
                    || department.is_some_and(|id| below.contains(id)))
                && has_one_asked(store.number);
            if is_asked && self.passes(opening, Some(store.number)) {
                self.list(id, Some(store.name.to_string()), 0);
            }
        }
    }

    /// Whether the scope opens a unit; counts it where it sees a part of it only.
    fn passes(&mut self, opening: &Opening, unit: Option<u32>) -> bool {
        let Opening::Narrow { seen, hidden } = opening else {
            return true;
        };
        let is_in = |units: &HashSet<u32>| unit.is_some_and(|unit| units.contains(&unit));
        self.n_withheld += u64::from(is_in(seen) && is_in(hidden));
        is_in(seen) && !is_in(hidden)
    }

    /// Lists groups by id with their names.
    pub fn list_groups(&mut self, groups: impl IntoIterator<Item = (String, Option<String>)>) {
        for (id, name) in groups {
            self.list(&id, name, 0);
        }
    }

    /// Leaves out the employees of the directory who may not add customers (semantics 10.3).
    pub fn only_guides(&mut self) {
        for (id, employee) in &self.directory.employees {
            if !employee.can_add_external
                && let Some(number) = self.by_id.remove(id)
            {
                self.units[number as usize].is_listed = false;
            }
        }
    }

    /// The units to which an employee belongs at an instant of the period, each once; `out` is
    /// cleared first. An id that is no employee belongs to none.
    pub fn at(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        out.clear();
        self.add_at(names, employee, at_ms, out);
    }

    /// As [`Units::at`], added to what is there: the units of any of several employees.
    pub fn add_at(&mut self, names: &Names, employee: u32, at_ms: i64, out: &mut Vec<u32>) {
        debug_assert_ne!(
            employee, UNTOLD,
            "a fact was read without what it is counted for"
        );
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
        let is_known = self.per != Per::Employee
            || self.is_in_directory(names, employee)
            || (self.by_id.get(names.name(employee))).is_some_and(|n| self.unit(*n).is_listed);
        if is_known {
            self.add_at(names, employee, at_ms, out);
        }
    }

    fn is_in_directory(&mut self, names: &Names, employee: u32) -> bool {
        let number = employee as usize;
        if self.is_in_directory.len() <= number {
            self.is_in_directory
                .resize(names.len().max(number + 1), None);
        }
        let employees = &self.directory.employees;
        *self.is_in_directory[number]
            .get_or_insert_with(|| employees.contains_key(names.name(employee)))
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
                match self.by_id.get(id) {
                    Some(expected) => self.units[*expected as usize].is_listed = true,
                    None if self.admits(id) => self.list(id, None, 0),
                    None => {}
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
            Per::Store => self.store_stays(id),
            Per::Group => Vec::new(),
            Per::Company if self.by_id.is_empty() => Vec::new(),
            Per::Company => [TOTAL, 1]
                .map(|unit| Stay {
                    unit,
                    interval: ALWAYS,
                })
                .to_vec(),
        }
    }

    fn store_stays(&self, id: &str) -> Vec<Stay> {
        let number = self.directory.ids.get(id);
        let stays = number.map(|number| self.directory.organisation.store_stays(number));
        let mut found = Vec::new();
        for (store, interval) in stays.into_iter().flatten() {
            if let Some(unit) = self.by_id.get(self.directory.ids.name(store)) {
                found.extend([TOTAL, *unit].map(|unit| Stay { unit, interval }));
            }
        }
        found
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

    /// The number of a unit's id, given to it now where only its facts would bring it in: it gets
    /// a row with the first of them.
    pub fn number_or_expected(&mut self, id: &str) -> Option<u32> {
        if self.per == Per::Employee && !self.by_id.contains_key(id) && self.admits(id) {
            self.list(id, None, 0);
            let number = self.units.len() - 1;
            self.units[number].is_listed = false;
        }
        self.number_of(id)
    }

    /// Whether facts may bring in rows: then all that happened is walked, whatever is counted, so
    /// that the rows do not depend on the metrics asked for.
    pub fn may_grow(&self) -> bool {
        self.per == Per::Employee && !matches!(self.admits, Admits::None)
    }

    /// How many have a row.
    pub fn n_listed(&self) -> usize {
        self.units.iter().filter(|unit| unit.is_listed).count()
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

/// Which units a scope opens: those of whose people it sees everybody, and somebody.
enum Opening {
    Everything,
    /// Units that ever had somebody whom the scope sees, and somebody whom it does not see.
    Narrow {
        seen: HashSet<u32>,
        hidden: HashSet<u32>,
    },
}

impl Opening {
    fn of_departments(scope: &Scope, directory: &Directory, until_ms: i64) -> Self {
        let organisation = &directory.organisation;
        Self::of(scope, directory, until_ms, |person, units| {
            for (department, interval) in organisation.history(person) {
                let above = organisation.above(department).iter();
                units.extend(above.map(|unit| (*unit, interval)));
            }
        })
    }

    fn of_stores(scope: &Scope, directory: &Directory, until_ms: i64) -> Self {
        Self::of(scope, directory, until_ms, |person, units| {
            units.extend(directory.organisation.store_stays(person));
        })
    }

    /// Looks at everybody whom the organisation names, also at ids that the directory does not
    /// have: those only the scope `all` sees.
    fn of(
        scope: &Scope,
        directory: &Directory,
        until_ms: i64,
        stays_of: impl Fn(u32, &mut Vec<(u32, Interval)>),
    ) -> Self {
        if scope.is_all() {
            return Self::Everything;
        }
        let (mut seen, mut hidden) = (HashSet::new(), HashSet::new());
        let mut stays = Vec::new();
        for person in directory.organisation.everyone() {
            if directory.role_of(person) != Role::Employee {
                continue;
            }
            let units = match scope.sees_employee(directory.ids.name(person)) {
                true => &mut seen,
                false => &mut hidden,
            };
            stays.clear();
            stays_of(person, &mut stays);
            let before = stays
                .iter()
                .filter(|(_, stay)| stay.touches(i64::MIN, until_ms));
            units.extend(before.map(|(unit, _)| *unit));
        }
        Self::Narrow { seen, hidden }
    }
}

/// The employees asked for whom the scope sees: others would tell a narrow caller where they were.
fn asked_in_scope<'q>(scope: &Scope, question: &'q Question) -> Vec<&'q String> {
    let asked = question.employees.iter();
    asked.filter(|id| scope.sees_employee(id)).collect()
}

fn numbers_of(directory: &Directory, ids: &[String]) -> Vec<u32> {
    ids.iter().filter_map(|id| directory.ids.get(id)).collect()
}

fn was_in_one_of(
    directory: &Directory,
    user: u32,
    stores: &[u32],
    (from_ms, to_ms): (i64, i64),
) -> bool {
    let stays = directory.organisation.store_stays(user);
    stays
        .iter()
        .any(|(store, stay)| stores.contains(store) && stay.touches(from_ms, to_ms))
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
