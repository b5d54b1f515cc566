//! Who follows which customer, from when to when (好友关系, semantics 9).

use hashbrown::HashMap;
use huicun_semantics::interval;
use rayon::slice::ParallelSliceMut as _;

use super::columns::Rows;

/// Who ended a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostBy {
    /// The customer deleted the employee.
    Customer,
    /// The employee deleted the customer.
    Employee,
    /// The employee left the company.
    EmployeeLeft,
}

/// A follow of a customer by an employee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relation {
    /// The employee.
    pub user: u32,
    /// The customer.
    pub customer: u32,
    /// When he was added, UTC milliseconds.
    pub added_ms: i64,
    /// When he was lost, UTC milliseconds; not yet if missing.
    pub lost_ms: Option<i64>,
    /// How he was added, WeCom's number.
    pub add_way: Option<i32>,
    /// Which set of tags he has: see [`Relations::tags`].
    tag_set: u32,
    /// Who ended it, where that is told.
    pub lost_by: Option<LostBy>,
}

impl Relation {
    /// Whether it is active at an instant: `add_time <= at < lost_time`.
    pub fn is_active(&self, at_ms: i64) -> bool {
        interval::is_active(&self.law(), at_ms)
    }

    fn law(&self) -> interval::Relation {
        (self.user, self.added_ms, self.lost_ms)
    }
}

/// All relations.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    /// By (employee, customer, add time).
    all: Vec<Relation>,
    /// Places in `all` by (customer, add time, employee).
    by_customer: Vec<u32>,
    /// Places in `all` of those that were lost, by (lost time, employee, customer).
    lost: Vec<u32>,
    /// Places in `all` by (add time, employee, customer).
    added: Vec<u32>,
    tag_sets: Vec<Box<[Box<str>]>>,
}

/// Places in the order of a number each has, those of one number as they were: counted, not compared.
pub(super) fn stably_by_number(places: &[u32], number_of: impl Fn(u32) -> u32) -> Vec<u32> {
    let numbers = places.iter().map(|place| number_of(*place));
    let n_numbers = numbers.clone().max().map_or(0, |max| max as usize + 1);
    let mut next = vec![0_usize; n_numbers + 1];
    numbers.for_each(|number| next[number as usize + 1] += 1);
    for number in 1..next.len() {
        next[number] += next[number - 1];
    }
    let mut sorted = vec![0; places.len()];
    for place in places {
        let at = &mut next[number_of(*place) as usize];
        sorted[*at] = *place;
        *at += 1;
    }
    sorted
}

impl Relations {
    pub(super) fn read(rows: &Rows<'_>) -> Self {
        let (user, customer) = (rows.id("userid"), rows.id("external_userid"));
        let (added, lost) = (rows.time("add_time"), rows.time("lost_time"));
        let mut tags: Vec<&str> = Vec::new();
        let (way, tags_into, by) = (
            rows.integer("add_way"),
            rows.list_into("tags"),
            rows.text("lost_by"),
        );
        let mut sets: HashMap<Vec<&str>, u32> = HashMap::new();
        let mut all = Vec::with_capacity(rows.numbers().len());
        for row in rows.numbers() {
            let (Some(user), Some(customer)) = (user(row), customer(row)) else {
                continue;
            };
            let n_sets = sets.len() as u32;
            tags_into(row, &mut tags);
            tags.sort_unstable();
            tags.dedup();
            let tag_set = match sets.get(tags.as_slice()) {
                Some(known) => *known,
                None => *sets.entry(tags.clone()).or_insert(n_sets),
            };
            all.push(Relation {
                user,
                customer,
                added_ms: added(row).unwrap_or(i64::MIN),
                lost_ms: lost(row),
                add_way: way(row).and_then(|way| i32::try_from(way).ok()),
                tag_set,
                lost_by: by(row).map(|word| match word {
                    "customer" => LostBy::Customer,
                    "employee" => LostBy::Employee,
                    _ => LostBy::EmployeeLeft,
                }),
            });
        }
        let mut tag_sets = vec![Box::default(); sets.len()];
        for (tags, place) in sets {
            tag_sets[place as usize] = tags.into_iter().map(Box::from).collect();
        }
        Self::indexed(all, tag_sets)
    }

    fn indexed(mut all: Vec<Relation>, tag_sets: Vec<Box<[Box<str>]>>) -> Self {
        all.sort_unstable_by_key(|r| (r.user, r.customer, r.added_ms));
        // By the time, then the place, which is the order of (employee, customer).
        let sorted = |time: fn(&Relation) -> Option<i64>| -> Vec<u32> {
            let places = all.iter().zip(0_u32..);
            let mut timed: Vec<(i64, u32)> = places
                .filter_map(|(relation, place)| Some((time(relation)?, place)))
                .collect();
            timed.par_sort_unstable();
            timed.into_iter().map(|(_, place)| place).collect()
        };
        let added = sorted(|relation| Some(relation.added_ms));
        let lost = sorted(|relation| relation.lost_ms);
        // Within a customer the order of `added` stays: add time, employee.
        let by_customer = stably_by_number(&added, |place| all[place as usize].customer);
        Self {
            all,
            by_customer,
            lost,
            added,
            tag_sets,
        }
    }

    /// All, by (employee, customer, add time).
    pub fn iter(&self) -> std::slice::Iter<'_, Relation> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those of an employee, by (customer, add time).
    pub fn of_employee(&self, user: u32) -> &[Relation] {
        let from = self.all.partition_point(|r| r.user < user);
        let to = self.all.partition_point(|r| r.user <= user);
        &self.all[from..to]
    }

    /// Those of an employee with one customer, by add time.
    pub fn of_pair(&self, user: u32, customer: u32) -> &[Relation] {
        let key = (user, customer);
        let from = self.all.partition_point(|r| (r.user, r.customer) < key);
        let to = self.all.partition_point(|r| (r.user, r.customer) <= key);
        &self.all[from..to]
    }

    /// Those of a customer, by (add time, employee).
    pub fn of_customer(&self, customer: u32) -> impl Iterator<Item = &Relation> + Clone {
        let of = |place: &u32| self.all[*place as usize].customer;
        let from = self.by_customer.partition_point(|p| of(p) < customer);
        let to = self.by_customer.partition_point(|p| of(p) <= customer);
        self.by_customer[from..to]
            .iter()
            .map(|place| &self.all[*place as usize])
    }

    /// All, customer by customer: each customer once with his relations by (add time, employee).
    pub fn by_customer(&self) -> impl Iterator<Item = (u32, Vec<&Relation>)> + '_ {
        self.by_customer
            .chunk_by(|a, b| self.all[*a as usize].customer == self.all[*b as usize].customer)
            .map(|places| {
                let relations: Vec<&Relation> =
                    places.iter().map(|p| &self.all[*p as usize]).collect();
                (relations[0].customer, relations)
            })
    }

    /// All, by (customer, add time, employee).
    pub fn by_customer_flat(&self) -> impl Iterator<Item = &Relation> {
        self.by_customer
            .iter()
            .map(|place| &self.all[*place as usize])
    }

    /// All, by (add time, employee, customer).
    pub fn by_time(&self) -> impl Iterator<Item = &Relation> {
        self.added.iter().map(|place| &self.all[*place as usize])
    }

    /// Those added in `start_ms..end_ms`, by add time.
    pub fn added_in(&self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = &Relation> {
        let at = |place: &u32| self.all[*place as usize].added_ms;
        let from = self.added.partition_point(|p| at(p) < start_ms);
        let to = self.added.partition_point(|p| at(p) < end_ms).max(from);
        self.added[from..to]
            .iter()
            .map(|place| &self.all[*place as usize])
    }

    /// When the first was added at `from_ms` or later.
    pub fn next_added_ms(&self, from_ms: i64) -> Option<i64> {
        let at = |place: &u32| self.all[*place as usize].added_ms;
        let next = self.added.partition_point(|p| at(p) < from_ms);
        self.added.get(next).map(at)
    }

    /// Those lost in `start_ms..end_ms`, by lost time.
    pub fn lost_in(&self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = &Relation> {
        let at = |place: &u32| self.all[*place as usize].lost_ms.unwrap_or(i64::MAX);
        let from = self.lost.partition_point(|p| at(p) < start_ms);
        let to = self.lost.partition_point(|p| at(p) < end_ms).max(from);
        self.lost[from..to]
            .iter()
            .map(|place| &self.all[*place as usize])
    }

    /// The tags (标签) of a relation, each once, sorted.
    pub fn tags(&self, relation: &Relation) -> &[Box<str>] {
        &self.tag_sets[relation.tag_set as usize]
    }

    /// The first adder (首位添加人) of a customer at an instant.
    pub fn first_adder(&self, customer: u32, at_ms: i64) -> Option<u32> {
        // Sorted by (add time, userid): the first active one has the smallest.
        self.of_customer(customer)
            .find(|relation| relation.is_active(at_ms))
            .map(|relation| relation.user)
    }

    /// Whether the two are friends at an instant.
    pub fn are_friends(&self, user: u32, customer: u32, at_ms: i64) -> bool {
        self.of_pair(user, customer)
            .iter()
            .any(|relation| relation.is_active(at_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn relation(user: u32, customer: u32, added_ms: i64, lost_ms: Option<i64>) -> Relation {
        Relation {
            user,
            customer,
            added_ms,
            lost_ms,
            add_way: None,
            tag_set: 0,
            lost_by: None,
        }
    }

    fn some() -> impl Strategy<Value = Vec<Relation>> {
        let one = (0..4_u32, 10..13_u32, 0..20_i64, prop::option::of(0..20_i64));
        prop::collection::vec(
            one.prop_map(|(user, customer, added, lost)| relation(user, customer, added, lost)),
            0..30,
        )
    }

    proptest! {
        #[test]
        fn the_first_adder_is_the_laws(all in some(), at_ms in -1..21_i64) {
            let relations = Relations::indexed(all.clone(), vec![Box::default()]);
            for customer in 9..14 {
                let law: Vec<interval::Relation> = all
                    .iter()
                    .filter(|r| r.customer == customer)
                    .map(Relation::law)
                    .collect();
                let expected = interval::first_adder(&law, at_ms);
                prop_assert_eq!(relations.first_adder(customer, at_ms), expected);
            }
        }

        #[test]
        fn every_index_finds_what_a_walk_finds(all in some(), from in 0..20_i64, n in 0..10_i64) {
            let relations = Relations::indexed(all.clone(), vec![Box::default()]);
            let within = |at: i64| (from..from + n).contains(&at);
            let added = all.iter().filter(|r| within(r.added_ms)).count();
            prop_assert_eq!(relations.added_in(from, from + n).count(), added);
            let next = all.iter().map(|r| r.added_ms).filter(|at| *at >= from).min();
            prop_assert_eq!(relations.next_added_ms(from), next);
            let lost = all.iter().filter(|r| r.lost_ms.is_some_and(within)).count();
            prop_assert_eq!(relations.lost_in(from, from + n).count(), lost);
            for customer in 9..14 {
                let of = all.iter().filter(|r| r.customer == customer).count();
                prop_assert_eq!(relations.of_customer(customer).count(), of);
            }
            for user in 0..5 {
                let of = all.iter().filter(|r| r.user == user).count();
                prop_assert_eq!(relations.of_employee(user).len(), of);
            }
            prop_assert_eq!(relations.by_customer().map(|(_, r)| r.len()).sum::<usize>(), all.len());
        }
    }
}
