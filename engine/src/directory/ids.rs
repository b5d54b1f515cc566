//! The directory's ids as numbers that rise bytewise with the ids, as the tie rule of the first
//! adder wants (semantics 9). People, chats, departments and stores share one list: WeCom's ids
//! never mean two things at once in one column, and a number is looked up only where it belongs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A sorted list of ids, each known by its place.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    sorted: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Ids {
    /// The numbers of all `seen`.
    pub(super) fn new(seen: HashSet<&str>) -> Self {
        let mut sorted: Vec<&str> = seen.into_iter().collect();
        sorted.sort_unstable();
        let sorted: Vec<Arc<str>> = sorted.into_iter().map(Arc::from).collect();
        let numbers = sorted.iter().cloned().zip(0..).collect();
        Self { sorted, numbers }
    }

    /// The number of an id; none for one that no table names.
    pub fn get(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The id of a number that [`Ids::get`] gave.
    pub fn name(&self, number: u32) -> &str {
        &self.sorted[number as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}
