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
        match self.directory.get(name) {
            Some(number) => number,
            None => self.intern_other(name),
        }
    }

    /// The number of a name that the directory does not have, given on first sight.
    fn intern_other(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name);
        if let Some(place) = self.place(hash, name) {
            return self.first() + place;
        }
        let place = self.ends.len() as u32;
        self.bytes.push_str(name);
        self.ends.push(self.bytes.len());
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let hash_of = |place: &u32| hasher.hash_one(at(bytes, ends, *place));
        self.places.insert_unique(hash, place, hash_of);
        self.first() + place
    }

    fn place(&self, hash: u64, name: &str) -> Option<u32> {
        let is_it = |place: &u32| at(&self.bytes, &self.ends, *place) == name;
        self.places.find(hash, is_it).copied()
    }

    /// The number of `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        if let Some(number) = self.directory.get(name) {
            return Some(number);
        }
        let place = self.place(self.hasher.hash_one(name), name)?;
        Some(self.first() + place)
    }

    /// The directory that these are names over.
    pub fn directory(&self) -> &Arc<Ids> {
        &self.directory
    }

    /// Takes in the names of somebody who read beside us over the same directory, and gives the
    /// numbers here of his: of those that the directory does not have, in their order.
    pub fn adopt(&mut self, theirs: &Self) -> Adopted {
        debug_assert!(Arc::ptr_eq(&self.directory, &theirs.directory));
        let places = 0..theirs.ends.len() as u32;
        let strings = places.map(|place| at(&theirs.bytes, &theirs.ends, place));
        Adopted {
            first: self.first(),
            numbers: strings.map(|name| self.intern_other(name)).collect(),
        }
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

/// The numbers of one who read beside us, as numbers here.
pub struct Adopted {
    first: u32,
    numbers: Vec<u32>,
}

impl Adopted {
    /// The number here of his; one that no name has stays what it is.
    pub fn number(&self, theirs: u32) -> u32 {
        let place = theirs.checked_sub(self.first);
        let here = place.and_then(|place| self.numbers.get(place as usize));
        here.copied().unwrap_or(theirs)
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

    #[test]
    fn names_of_one_who_read_beside_us_get_our_numbers() {
        let directory = Arc::new(crate::directory::ids::Ids::of(["wm1", "zhang"]));
        let mut ours = Names::over(&directory);
        let mut theirs = Names::over(&directory);
        let (room, pair) = (ours.intern("room"), ours.intern("wm1|zhang"));
        let numbers = ["wm1|zhang", "zhang", "other"].map(|name| theirs.intern(name));
        let adopted = ours.adopt(&theirs);
        let here = numbers.map(|number| ours.name(adopted.number(number)).to_string());
        assert_eq!(here, ["wm1|zhang", "zhang", "other"]);
        assert_eq!(adopted.number(numbers[0]), pair);
        assert_eq!((ours.len(), room), (5, 2));
        assert_eq!(adopted.number(u32::MAX), u32::MAX);
    }
}
