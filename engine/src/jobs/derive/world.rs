//! What the job knows of people and conversations while it reads: numbers, roles, kinds, and of
//! each conversation from where on it would have to be derived anew.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashMap};
use huicun_semantics::conversation::{Kind, kind_of_pair, kind_of_room, pair_id};
use huicun_semantics::role::Role;

use super::super::names::Names;
use super::message::Entry;
use crate::directory::Directory;

/// A pair or a room.
#[derive(Debug)]
pub struct Place {
    /// The two of a pair, the bytewise smaller first; none for a room.
    pub pair: Option<(u32, u32)>,
    /// The room's id as a number of the people; of a pair unused.
    pub room: u32,
    /// What it is, by the roles of now.
    pub kind: Kind,
    /// Of a room: who was seen there.
    pub seen: Option<Box<Seen>>,
    /// First and last counted message, UTC milliseconds.
    pub span: Option<(i64, i64)>,
    /// From where on later messages may still change something.
    pub restart: Restart,
    /// What an earlier stretch left for the next: messages from the restart on.
    pub carried: Vec<(Entry, String)>,
}

/// Who was seen in a room.
#[derive(Debug, Default)]
pub struct Seen {
    /// Who spoke, and since when their messages count (none yet if missing).
    pub speakers: HashMap<u32, Option<i64>>,
    /// Who received.
    pub receivers: BTreeSet<u32>,
    /// Of each speaker the receivers of his message before, hashed ([`Lists`]): mostly they are the
    /// same.
    pub last_receivers: HashMap<u32, u128>,
}

/// Hashes lists of ids, so that one that was looked at need not be kept.
#[derive(Debug, Default)]
pub struct Lists([DefaultHashBuilder; 2]);

impl Lists {
    /// The hash of a list: the bytes of its ids, and how many each has.
    pub fn hash(&self, bytes: &[u8], lengths: impl Iterator<Item = usize> + Clone) -> u128 {
        let [high, low] = [&self.0[0], &self.0[1]].map(|builder| {
            let mut hasher = builder.build_hasher();
            hasher.write(bytes);
            lengths
                .clone()
                .for_each(|length| hasher.write_usize(length));
            u128::from(hasher.finish())
        });
        high << 64 | low
    }
}

/// The start of a dialogue before which nothing can change while messages only come later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restart {
    /// UTC milliseconds; none where the conversation is derived from its beginning.
    pub at_ms: Option<i64>,
    /// Days since 1970 with messages of the conversation from then on, ascending.
    pub days: Vec<i32>,
}

/// People and conversations by number.
#[derive(Debug, Default)]
pub struct World {
    /// People and rooms.
    pub people: Names,
    /// The role of each.
    pub roles: Vec<Role>,
    /// The conversations.
    pub places: Vec<Place>,
    /// By the two numbers, the smaller first.
    pairs: HashMap<(u32, u32), u32>,
    rooms: HashMap<u32, u32>,
    /// Hashes of receivers.
    pub lists: Lists,
}

impl World {
    /// The number of a person or room.
    pub fn person(&mut self, id: &str, directory: &Directory) -> u32 {
        let number = self.people.intern(id);
        if number as usize == self.roles.len() {
            self.roles.push(directory.role(id));
        }
        number
    }

    /// The number of a person or room that was seen before.
    pub fn known_person(&self, id: &str) -> Option<u32> {
        self.people.get(id)
    }

    /// The role of a number.
    pub fn role(&self, person: u32) -> Role {
        self.roles[person as usize]
    }

    /// The conversation of two people.
    pub fn pair(&mut self, a: u32, b: u32) -> u32 {
        if let Some(place) = self.known_pair(a, b) {
            return place;
        }
        let (first, second) = if self.people.name(a) <= self.people.name(b) {
            (a, b)
        } else {
            (b, a)
        };
        let kind = kind_of_pair(self.role(first), self.role(second));
        let place = self.add(Some((first, second)), 0, kind);
        self.pairs.insert((a.min(b), a.max(b)), place);
        place
    }

    /// The conversation of two people that was seen before.
    pub fn known_pair(&self, a: u32, b: u32) -> Option<u32> {
        self.pairs.get(&(a.min(b), a.max(b))).copied()
    }

    /// The conversation of a room that was seen before.
    pub fn known_room(&self, room: u32) -> Option<u32> {
        self.rooms.get(&room).copied()
    }

    /// The conversation of a room; internal until somebody shows that it is not.
    pub fn room(&mut self, room: u32, directory: &Directory) -> u32 {
        if let Some(place) = self.rooms.get(&room) {
            return *place;
        }
        let has_customer = directory
            .rooms_with_customers
            .contains(self.people.name(room));
        let place = self.add(None, room, kind_of_room(has_customer));
        self.places[place as usize].seen = Some(Box::default());
        self.rooms.insert(room, place);
        place
    }

    fn add(&mut self, pair: Option<(u32, u32)>, room: u32, kind: Kind) -> u32 {
        let place = self.places.len() as u32;
        self.places.push(Place {
            pair,
            room,
            kind,
            seen: None,
            span: None,
            restart: Restart::default(),
            carried: Vec::new(),
        });
        place
    }

    /// The conversation with that id, as answers write it.
    pub fn find(&self, id: &str) -> Option<u32> {
        if let Some(room) = self.people.get(id)
            && let Some(place) = self.rooms.get(&room)
        {
            return Some(*place);
        }
        // Ids may hold the bar themselves, so every way to split is tried.
        id.match_indices('|').find_map(|(at, _)| {
            let pair = (self.people.get(&id[..at])?, self.people.get(&id[at + 1..])?);
            self.known_pair(pair.0, pair.1)
                .filter(|place| self.id(*place) == id)
        })
    }

    /// The id of a conversation, as answers write it.
    pub fn id(&self, place: u32) -> String {
        let place = &self.places[place as usize];
        match place.pair {
            Some((a, b)) => pair_id(self.people.name(a), self.people.name(b)),
            None => self.people.name(place.room).to_string(),
        }
    }

    /// The employee of a single chat with a customer.
    pub fn employee(&self, place: u32) -> Option<u32> {
        self.one_of(place, Role::Employee)
    }

    /// The customer of a single chat with an employee.
    pub fn customer(&self, place: u32) -> Option<u32> {
        self.one_of(place, Role::Customer)
    }

    fn one_of(&self, place: u32, role: Role) -> Option<u32> {
        let place = &self.places[place as usize];
        if place.kind != Kind::SingleExternal {
            return None;
        }
        let (a, b) = place.pair?;
        [a, b].into_iter().find(|id| self.role(*id) == role)
    }
}
