//! Departments (部门) as a tree, stores (门店), and who was in which when: the organisation as it
//! was (semantics 9).

use std::collections::{BTreeSet, HashMap};

use huicun_semantics::interval::Interval;

use super::columns::Rows;
use super::people::Employee;

/// A department.
#[derive(Debug, Clone)]
pub struct Department {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: Box<str>,
    /// The one above; none at the top.
    pub parent: Option<u32>,
    /// Where it stands among its siblings, as WeCom gives it.
    pub order: Option<i64>,
    /// Who leads it.
    pub leaders: Vec<u32>,
}

/// A store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: Box<str>,
    /// The code that the company gave it.
    pub code: Option<Box<str>>,
    /// The department whose employees, and those below, are members.
    pub department: Option<u32>,
    /// Members that are listed besides.
    pub members: Vec<u32>,
    /// Groups that are listed as the store's.
    pub groups: Vec<u32>,
}

/// Where an employee was.
#[derive(Debug, Clone, Default)]
struct Places {
    /// From this instant on he is in nothing.
    left_ms: Option<i64>,
    /// Whether `department_members` has anything for him.
    has_history: bool,
    /// Departments with the time they hold for.
    departments: Vec<(u32, Interval)>,
    /// Stores that list him.
    stores: Vec<u32>,
}

/// The departments, the stores, and who was in them when.
#[derive(Debug, Clone, Default)]
pub struct Organisation {
    departments: Vec<Department>,
    /// Each department that anything names, with all above it, itself first.
    above: HashMap<u32, Box<[u32]>>,
    stores: Vec<Store>,
    stores_of_department: HashMap<u32, Vec<u32>>,
    places: HashMap<u32, Places>,
}

/// A time without ends.
const ALWAYS: Interval = Interval {
    from_ms: None,
    to_ms: None,
};

impl Organisation {
    pub(super) fn read<'a>(
        departments: &Rows<'_>,
        history: &Rows<'_>,
        stores: &Rows<'_>,
        employees: impl Iterator<Item = (&'a Employee, Vec<u32>)>,
    ) -> Self {
        let mut this = Self {
            departments: read_departments(departments),
            stores: read_stores(stores),
            ..Self::default()
        };
        for (employee, steady) in employees {
            let places = this.places.entry(employee.number).or_default();
            places.left_ms = employee.left_ms;
            places.departments = steady.into_iter().map(|id| (id, ALWAYS)).collect();
        }
        this.read_history(history);
        for store in &this.stores {
            for member in &store.members {
                let places = this.places.entry(*member).or_default();
                places.stores.push(store.number);
            }
            if let Some(department) = store.department {
                let stores = this.stores_of_department.entry(department).or_default();
                stores.push(store.number);
            }
        }
        this.climb();
        this
    }

    fn read_history(&mut self, rows: &Rows<'_>) {
        let (user, department) = (rows.id("userid"), rows.id("department_id"));
        let (from, to) = (rows.time("from_time"), rows.time("to_time"));
        for row in rows.numbers() {
            let (Some(user), Some(department)) = (user(row), department(row)) else {
                continue;
            };
            // Who is no employee of the directory is in no department.
            let Some(places) = self.places.get_mut(&user) else {
                continue;
            };
            if !places.has_history {
                places.has_history = true;
                places.departments.clear();
            }
            let interval = Interval {
                from_ms: from(row),
                to_ms: to(row),
            };
            places.departments.push((department, interval));
        }
    }

    /// Notes what is above each department; a cycle (imported before they were refused) ends the
    /// walk.
    fn climb(&mut self) {
        let parents: HashMap<u32, Option<u32>> = self
            .departments
            .iter()
            .map(|department| (department.number, department.parent))
            .collect();
        let named = self.places.values().flat_map(|places| &places.departments);
        let mut all: BTreeSet<u32> = named.map(|(department, _)| *department).collect();
        all.extend(parents.keys());
        all.extend(parents.values().flatten());
        for department in all {
            let mut path = vec![department];
            let mut next = parents.get(&department).copied().flatten();
            while let Some(parent) = next {
                if path.contains(&parent) {
                    break;
                }
                path.push(parent);
                next = parents.get(&parent).copied().flatten();
            }
            self.above.insert(department, path.into());
        }
    }

    /// The departments of the table, in the order of their ids.
    pub fn departments(&self) -> &[Department] {
        &self.departments
    }

    /// One department of the table.
    pub fn department(&self, number: u32) -> Option<&Department> {
        let place = self
            .departments
            .binary_search_by_key(&number, |department| department.number);
        place.ok().map(|place| &self.departments[place])
    }

    /// A department with all above it, itself first.
    pub fn above(&self, department: u32) -> &[u32] {
        self.above.get(&department).map_or(&[], |path| path)
    }

    /// A department with all below it.
    pub fn below(&self, department: u32) -> BTreeSet<u32> {
        let inside = self
            .above
            .iter()
            .filter(|(_, path)| path.contains(&department));
        let mut below: BTreeSet<u32> = inside.map(|(number, _)| *number).collect();
        below.insert(department);
        below
    }

    /// Everybody who ever was in anything: the employees of the directory, and whom else a store
    /// lists. In no order.
    pub fn everyone(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.keys().copied()
    }

    /// The departments an employee was in at an instant, not those above.
    pub fn departments_at(&self, user: u32, at_ms: i64) -> impl Iterator<Item = u32> + '_ {
        let places = self.places.get(&user).filter(|places| {
            let has_left = places.left_ms.is_some_and(|left_ms| left_ms <= at_ms);
            !has_left
        });
        places
            .into_iter()
            .flat_map(|places| &places.departments)
            .filter(move |(_, interval)| interval.contains(at_ms))
            .map(|(department, _)| *department)
    }

    /// The departments an employee was in at an instant, with all above: each once, in the order
    /// of their ids.
    pub fn departments_above_at(&self, user: u32, at_ms: i64) -> Vec<u32> {
        let mut all: Vec<u32> = self
            .departments_at(user, at_ms)
            .flat_map(|department| self.above(department))
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether an employee was in one of `departments` at an instant.
    pub fn was_in(&self, user: u32, departments: &BTreeSet<u32>, at_ms: i64) -> bool {
        self.departments_at(user, at_ms)
            .any(|department| departments.contains(&department))
    }

    /// The departments an employee was ever in, with their times as far as he had not left.
    pub fn history(&self, user: u32) -> impl Iterator<Item = (u32, Interval)> + '_ {
        let places = self.places.get(&user).into_iter();
        places.flat_map(|places| {
            places.departments.iter().map(|(department, interval)| {
                let to_ms = match (interval.to_ms, places.left_ms) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                let from_ms = interval.from_ms;
                (*department, Interval { from_ms, to_ms })
            })
        })
    }

    /// The stores of the table, in the order of their ids.
    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// One store.
    pub fn store(&self, number: u32) -> Option<&Store> {
        let place = self
            .stores
            .binary_search_by_key(&number, |store| store.number);
        place.ok().map(|place| &self.stores[place])
    }

    /// The stores an employee belonged to at an instant: those of his departments (and above) and
    /// those that list him. Each once, in the order of their ids.
    pub fn stores_at(&self, user: u32, at_ms: i64) -> Vec<u32> {
        let Some(places) = self.places.get(&user) else {
            return Vec::new();
        };
        if places.left_ms.is_some_and(|left_ms| left_ms <= at_ms) {
            return Vec::new();
        }
        let mut all = places.stores.clone();
        for department in self.departments_at(user, at_ms) {
            for above in self.above(department) {
                all.extend(self.stores_of_department.get(above).into_iter().flatten());
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The stores an employee ever belonged to, with the times as far as he had not left.
    pub fn store_stays(&self, user: u32) -> Vec<(u32, Interval)> {
        let Some(places) = self.places.get(&user) else {
            return Vec::new();
        };
        let listed = Interval {
            from_ms: None,
            to_ms: places.left_ms,
        };
        let mut stays: Vec<(u32, Interval)> =
            places.stores.iter().map(|store| (*store, listed)).collect();
        for (department, interval) in self.history(user) {
            for above in self.above(department) {
                let stores = self.stores_of_department.get(above).into_iter().flatten();
                stays.extend(stores.map(|store| (*store, interval)));
            }
        }
        stays
    }

    /// A store's members at an instant, in the order of their ids.
    pub fn store_members_at(&self, store: u32, at_ms: i64) -> Vec<u32> {
        let belongs = |user: &u32| self.stores_at(*user, at_ms).contains(&store);
        let mut members: Vec<u32> = self.places.keys().copied().filter(belongs).collect();
        members.sort_unstable();
        members
    }
}

fn read_departments(rows: &Rows<'_>) -> Vec<Department> {
    let (id, name, parent) = (rows.id("id"), rows.text("name"), rows.id("parent_id"));
    let (order, leaders) = (rows.integer("order"), rows.id_list("leaders"));
    let departments = rows.numbers().filter_map(|row| {
        let number = id(row)?;
        Some(Department {
            number,
            name: name(row).unwrap_or_default().into(),
            parent: parent(row).filter(|parent| *parent != number),
            order: order(row),
            leaders: leaders(row),
        })
    });
    let mut departments: Vec<Department> = departments.collect();
    departments.sort_unstable_by_key(|department| department.number);
    departments
}

fn read_stores(rows: &Rows<'_>) -> Vec<Store> {
    let (id, name, code) = (rows.id("store_id"), rows.text("name"), rows.text("code"));
    let department = rows.id("department_id");
    let (members, groups) = (rows.id_list("members"), rows.id_list("groups"));
    let stores = rows.numbers().filter_map(|row| {
        Some(Store {
            number: id(row)?,
            name: name(row).unwrap_or_default().into(),
            code: code(row).map(Box::from),
            department: department(row),
            members: members(row),
            groups: groups(row),
        })
    });
    let mut stores: Vec<Store> = stores.collect();
    stores.sort_unstable_by_key(|store| store.number);
    stores
}
