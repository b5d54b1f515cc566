//! The directory's ids as numbers that rise bytewise with the ids, as the tie rule of the first
//! adder wants (semantics 9). People, chats, departments and stores share one list: WeCom's ids
//! never mean two things at once in one column, and a number is looked up only where it belongs.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use rayon::slice::ParallelSliceMut as _;

/// A sorted list of ids, each known by its place.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// All ids, one after the other.
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// Ids as they are seen, each once.
#[derive(Default)]
pub(super) struct Seen<'a> {
    /// In the order in which they came.
    ids: Vec<&'a str>,
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> Seen<'a> {
    /// Room for so many ids, so that those that are there need not be hashed again as it grows.
    pub(super) fn with_capacity(n_ids: usize) -> Self {
        Self {
            ids: Vec::with_capacity(n_ids),
            places: HashTable::with_capacity(n_ids),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The place of an id that was taken.
    pub(super) fn place(&self, id: &str) -> Option<u32> {
        let is_it = |place: &u32| self.ids[*place as usize] == id;
        self.places.find(self.hasher.hash_one(id), is_it).copied()
    }

    /// Takes an id and gives its place.
    pub(super) fn insert(&mut self, id: &'a str) -> u32 {
        let hash = self.hasher.hash_one(id);
        let (ids, hasher) = (&mut self.ids, &self.hasher);
        let place = self.places.entry(
            hash,
            |place| ids[*place as usize] == id,
            |place| hasher.hash_one(ids[*place as usize]),
        );
        match place {
            hashbrown::hash_table::Entry::Occupied(known) => *known.get(),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let place = ids.len() as u32;
                free.insert(place);
                ids.push(id);
                place
            }
        }
    }
}

impl Ids {
    /// The numbers of all `seen`, and that of each place.
    pub(super) fn new(seen: Seen<'_>) -> (Self, Vec<u32>) {
        let Seen {
            ids,
            places: mut numbers,
            hasher,
        } = seen;
        // Tables are sorted by key, so that the ids come in a few sorted runs: a stable sort, which
        // looks for such, takes a fraction of the time of an unstable one.
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.par_sort_by(|a, b| ids[*a as usize].cmp(ids[*b as usize]));
        let mut this = Self {
            bytes: String::with_capacity(ids.iter().map(|id| id.len()).sum()),
            ends: Vec::with_capacity(ids.len()),
            numbers: HashTable::new(),
            hasher,
        };
        let mut number_of = vec![0; ids.len()];
        for (number, place) in (0..).zip(order) {
            number_of[place as usize] = number;
            this.bytes.push_str(ids[place as usize]);
            this.ends.push(this.bytes.len());
        }
        for number in numbers.iter_mut() {
            *number = number_of[*number as usize];
        }
        this.numbers = numbers;
        (this, number_of)
    }

    /// The numbers of some ids, for tests.
    #[cfg(test)]
    pub(crate) fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut seen = Seen::default();
        for id in ids {
            seen.insert(id);
        }
        Self::new(seen).0
    }

    /// The number of an id; none for one that no table names.
    pub fn get(&self, id: &str) -> Option<u32> {
        let is_it = |number: &u32| self.name(*number) == id;
        self.numbers.find(self.hasher.hash_one(id), is_it).copied()
    }

    /// The id of a number that [`Ids::get`] gave.
    pub fn name(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 {
            0
        } else {
            self.ends[number - 1]
        };
        &self.bytes[start..self.ends[number]]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_with_the_ids_however_they_came() {
        let mut seen = Seen::default();
        for id in ["wm2", "zhang", "", "wm10", "李", "zhang", "wm1"] {
            seen.insert(id);
        }
        let (ids, _) = Ids::new(seen);
        let names: Vec<&str> = (0..ids.len() as u32).map(|n| ids.name(n)).collect();
        assert_eq!(names, ["", "wm1", "wm10", "wm2", "zhang", "李"]);
        assert!(
            names
                .iter()
                .zip(0..)
                .all(|(name, n)| ids.get(name) == Some(n))
        );
        assert_eq!(ids.get("nobody"), None);
    }
}
