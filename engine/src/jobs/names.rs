//! Strings and their numbers: ids become small numbers at the door, everything after works on those.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::directory::ids::Ids;

/// Strings and their numbers. Those of the directory, where one is given, have the numbers that they
/// have there; others come after.
#[derive(Debug, Default)]
pub struct Names {
    directory: Arc<Ids>,
    /// The others, one after the other.
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// Their places in `ends`.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// The names of a directory, which cost nothing to intern.
    pub fn over(directory: &Arc<Ids>) -> Self {
        Self {
            directory: Arc::clone(directory),
            ..Self::default()
        }
    }

    /// The number of `name`, given on first sight.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.get(name) {
            return number;
        }
        let place = self.ends.len() as u32;
        self.bytes.push_str(name);
        self.ends.push(self.bytes.len());
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let hash_of = |place: &u32| hasher.hash_one(at(bytes, ends, *place));
        self.places
            .insert_unique(hasher.hash_one(name), place, hash_of);
        self.first() + place
    }

    /// The number of `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        if let Some(number) = self.directory.get(name) {
            return Some(number);
        }
        let is_it = |place: &u32| at(&self.bytes, &self.ends, *place) == name;
        let place = self.places.find(self.hasher.hash_one(name), is_it)?;
        Some(self.first() + place)
    }

    /// The number here of an id that some directory has numbered: the same, where these are names
    /// over that directory.
    pub fn of_directory(&mut self, ids: &Arc<Ids>, number: u32) -> u32 {
        if Arc::ptr_eq(ids, &self.directory) {
            return number;
        }
        self.intern(ids.name(number))
    }

    /// The string of a number that [`Names::intern`] gave.
    pub fn name(&self, number: u32) -> &str {
        match number.checked_sub(self.first()) {
            Some(place) => at(&self.bytes, &self.ends, place),
            None => self.directory.name(number),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.directory.len() + self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the first that the directory does not have.
    fn first(&self) -> u32 {
        self.directory.len() as u32
    }
}

fn at<'a>(bytes: &'a str, ends: &[usize], place: u32) -> &'a str {
    let place = place as usize;
    let start = if place == 0 { 0 } else { ends[place - 1] };
    &bytes[start..ends[place]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_whether_the_directory_has_it_or_not() {
        let directory = crate::directory::ids::Ids::of(["wm1", "zhang"]);
        let mut names = Names::over(&Arc::new(directory));
        let (zhang, pair) = (names.intern("zhang"), names.intern("wm1|zhang"));
        assert_eq!((zhang, pair), (1, 2));
        assert_eq!(names.intern("wm1|zhang"), pair);
        assert_eq!(names.name(zhang), "zhang");
        assert_eq!(names.name(pair), "wm1|zhang");
        assert_eq!((names.get("wm2"), names.len()), (None, 3));
    }
}
