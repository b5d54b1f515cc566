//! Finds people for a scene who are there, employed, acquainted and not busy at its moment.

use super::actors::{Actor, Casting, Talk, place_of};
use super::company::Company;
use super::scenes::Season;
use super::script::{SPEAKERS, Script, place};
use super::slots::Cast;

impl<'a> Season<'a> {
    pub(crate) fn pair(&self, script: &Script, relation: u32, at: i64, seed: u64) -> Casting<'a> {
        let relation = &self.company.relations[relation as usize];
        let (employee, customer) = (
            Actor::Employee(relation.employee),
            Actor::Customer(relation.customer),
        );
        let mut actors = [None; SPEAKERS.len()];
        for (who, speaker) in SPEAKERS.iter().enumerate() {
            actors[who] = match *speaker {
                "C" => Some(customer),
                "E" => Some(employee),
                _ => None,
            };
        }
        let cast = Cast::new(
            self.company,
            script,
            seed,
            at,
            relation.employee,
            Some(relation.customer),
        );
        Casting {
            actors,
            talk: Talk::Pair(employee, customer),
            cast,
            place: place::SINGLE,
        }
    }

    /// A relation that is alive and idle at `at`, preferring those who talk much.
    pub(crate) fn idle_relation(
        &mut self,
        at: i64,
        fits: impl Fn(&Company, u32) -> bool,
    ) -> Option<u32> {
        let company = self.company;
        let n = company.relations.len();
        for attempt in 0..40 {
            let index = if attempt < 20 {
                self.stage.dice.skewed(n)
            } else {
                self.stage.dice.below(n)
            } as u32;
            let relation = &company.relations[index as usize];
            let is_idle = self.relation_busy[index as usize] <= at || attempt >= 36;
            if relation.is_active(at)
                && is_idle
                && company.is_employed(relation.employee, at)
                && fits(company, index)
            {
                return Some(index);
            }
        }
        let first = &company.relations[0];
        (first.is_active(at) && fits(company, 0)).then_some(0)
    }

    /// The members present at `at`, as speakers: the customers first spoken to, the staff in charge.
    pub(crate) fn room_casting(
        &mut self,
        script: &Script,
        index: usize,
        at: i64,
        seed: u64,
    ) -> Option<Casting<'a>> {
        let room = &self.company.rooms[index];
        if at <= room.created_ms {
            return None;
        }
        let mut staff: Vec<u32> = room
            .staff
            .iter()
            .filter(|member| member.is_present(at))
            .map(|member| member.who)
            .collect();
        let mut guests: Vec<u32> = room
            .guests
            .iter()
            .filter(|member| member.is_present(at))
            .map(|member| member.who)
            .collect();
        if staff.is_empty()
            || (room.is_external() && guests.is_empty())
            || (!room.is_external() && staff.len() < 2)
        {
            return None;
        }
        let in_charge = match room.responsible {
            Some((who, from)) if from <= at => who,
            _ => room.owner,
        };
        let front = staff.iter().position(|who| *who == in_charge).unwrap_or(0);
        staff.swap(0, front);
        for place in 1..staff.len().min(4) {
            let other = place + self.stage.dice.below(staff.len() - place);
            staff.swap(place, other);
        }
        for place in 0..guests.len().min(5) {
            let other = place + self.stage.dice.skewed(guests.len() - place);
            guests.swap(place, other);
        }
        let employee = |place: usize| staff.get(place).map(|who| Actor::Employee(*who));
        let guest = |place: usize| guests.get(place).map(|who| Actor::Customer(*who));
        let is_team = !room.is_external();
        let mut actors = [None; SPEAKERS.len()];
        for (who, speaker) in SPEAKERS.iter().enumerate() {
            actors[who] = match (*speaker, is_team) {
                ("C", false) => guest(0),
                ("C2", false) => guest(1),
                ("C3", false) => guest(2),
                ("C4", false) => guest(3),
                ("C5", false) => guest(4),
                ("E" | "L", _) => employee(0),
                ("E2", false) => employee(1).or(employee(0)),
                ("A" | "E2" | "C", true) => employee(1),
                ("B", true) => employee(2),
                ("D", true) => employee(3),
                ("R", true) => room.robot.map(Actor::Robot),
                _ => None,
            };
        }
        let mut cast = Cast::new(
            self.company,
            script,
            seed,
            at,
            staff[0],
            guests.first().copied(),
        );
        cast.other = guests.get(1).or(guests.first()).copied();
        if !is_team {
            cast.partner = staff.get(1).copied();
        }
        let talk = Talk::Room(index);
        Some(Casting {
            actors,
            talk,
            cast,
            place: place_of(talk, self.company),
        })
    }

    pub(crate) fn idle_room(&mut self, at: i64, is_external: bool) -> Option<usize> {
        let n_external = self.company.n_external_rooms;
        let (first, n) = if is_external {
            (0, n_external)
        } else {
            (n_external, self.company.rooms.len() - n_external)
        };
        if n == 0 {
            return None;
        }
        for attempt in 0..12 {
            let index = first + self.stage.dice.skewed(n);
            if self.room_busy[index] <= at || attempt >= 9 {
                return Some(index);
            }
        }
        None
    }

    pub(crate) fn colleagues(
        &mut self,
        script: &Script,
        at: i64,
        seed: u64,
    ) -> Option<Casting<'a>> {
        let company = self.company;
        let one = self.stage.dice.below(company.employees.len()) as u32;
        let unit = &company.departments[company.employees[one as usize].departments[0]].staff;
        let other = if unit.len() > 1 && self.stage.dice.chance(700) {
            unit[self.stage.dice.below(unit.len())]
        } else {
            self.stage.dice.below(company.employees.len()) as u32
        };
        if one == other || !company.is_employed(one, at) || !company.is_employed(other, at) {
            return None;
        }
        let (first, second) = (Actor::Employee(one), Actor::Employee(other));
        let mut actors = [None; SPEAKERS.len()];
        for (who, speaker) in SPEAKERS.iter().enumerate() {
            actors[who] = match *speaker {
                "A" | "E" => Some(first),
                "B" | "E2" | "C" => Some(second),
                _ => None,
            };
        }
        let customer = self.stage.dice.below(company.customers.len()) as u32;
        let cast = Cast::new(company, script, seed, at, one, Some(customer));
        Some(Casting {
            actors,
            talk: Talk::Pair(first, second),
            cast,
            place: place::INTERNAL,
        })
    }
}
