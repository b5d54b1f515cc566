//! Who speaks where: the people of one scene.

use super::company::Company;
use super::rhythm::Turn;
use super::script::{SPEAKERS, place};
use super::slots::Cast;

/// Somebody who speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    Employee(u32),
    Customer(u32),
    Robot(usize),
}

/// Where it is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    Pair(Actor, Actor),
    Room(usize),
}

/// Who plays whom, and where.
#[derive(Clone, Copy)]
pub(crate) struct Casting<'a> {
    pub(crate) actors: [Option<Actor>; SPEAKERS.len()],
    pub(crate) talk: Talk,
    pub(crate) cast: Cast<'a>,
    /// A bit of [`place`]: which inserts may be spliced in; 0 for none.
    pub(crate) place: u8,
}

/// 0 employees, 1 customers, 2 robots.
pub(crate) fn side(actor: Actor) -> u8 {
    match actor {
        Actor::Employee(_) => 0,
        Actor::Customer(_) => 1,
        Actor::Robot(_) => 2,
    }
}

pub(crate) fn turn_of(before: Actor, actor: Actor) -> Turn {
    match (before, actor) {
        (one, other) if one == other => Turn::SameSpeaker,
        (Actor::Customer(_), Actor::Customer(_)) => Turn::AmongCustomers,
        (Actor::Customer(_), _) => Turn::ToEmployee,
        (_, Actor::Customer(_)) => Turn::ToCustomer,
        _ => Turn::AmongColleagues,
    }
}

/// The place of a talk for inserts.
pub(crate) fn place_of(talk: Talk, company: &Company) -> u8 {
    match talk {
        Talk::Pair(Actor::Employee(_), Actor::Employee(_)) => place::INTERNAL,
        Talk::Pair(..) => place::SINGLE,
        Talk::Room(room) if company.rooms[room].is_external() => place::GROUP,
        Talk::Room(_) => place::TEAM,
    }
}
