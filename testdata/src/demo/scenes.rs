//! Decides what is played on a day: welcomes of new friends, then scenes until the day is full.
//!
//! The days' shares follow `rhythm`; every message is made before its day is written, and only
//! what lies ahead (a slow answer, tomorrow's reply) is kept from one day to the next.

use std::io::{self, Write};

use chrono::{Days, NaiveDate};

use super::DemoOptions;
use super::company::{Company, Role};
use super::dice::Dice;
use super::payload::TYPES;
use super::rhythm::{
    self, DAY, DayKind, HOUR, MINUTE, SECOND, customer_moment, day_kind, day_weight, is_night,
    office_moment,
};
use super::script::{SPEAKERS, Script, Setting, place};
use super::slots::Cast;
use super::stage::{Actor, Casting, Pending, REST, Stage, Talk, place_of};

/// From here on every message type occurs at least once.
const ALL_TYPES_FROM: u64 = 500;
/// From here on the planted findings are there.
const PLANTED_FROM: u64 = 300;
/// Scenes tried in vain, in a row, before giving up.
const IDLE_SCENES_MAX: u32 = 10_000;

/// What was written.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) n_messages: u64,
    pub(crate) by_type: Vec<u64>,
    pub(crate) n_scenes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) by_key: [u64; 3],
    pub(crate) planted: Vec<(String, String)>,
    pub(crate) consents: Vec<(u32, bool)>,
}

/// Scripts by setting, with what is needed to choose among them.
struct Repertoire<'a> {
    scripts: &'a [Script],
}

impl<'a> Repertoire<'a> {
    fn choose(
        &self,
        dice: &mut Dice,
        setting: Setting,
        fits: impl Fn(&Script) -> bool,
        at: i64,
    ) -> Option<&'a Script> {
        let weight = |script: &Script| match (
            script.setting == setting && script.may_start(at) && fits(script),
            script.is_nightly,
            is_night(at),
        ) {
            (false, ..) => 0,
            (true, true, true) => script.weight * 40,
            (true, true, false) => script.weight * 3,
            (true, false, _) => script.weight * 10,
        };
        let total: u32 = self.scripts.iter().map(weight).sum();
        if total == 0 {
            return None;
        }
        let mut left = dice.below(total as usize) as u32;
        for script in self.scripts {
            let weight = weight(script);
            if left < weight {
                return Some(script);
            }
            left -= weight;
        }
        None
    }
}

/// Everything that happens, day by day.
struct Season<'a> {
    stage: Stage<'a>,
    company: &'a Company,
    repertoire: Repertoire<'a>,
    relation_busy: Vec<i64>,
    room_busy: Vec<i64>,
    /// Relations that begin in the period, by time, and how many have been welcomed.
    new_friends: Vec<u32>,
    n_welcomed: usize,
    n_scenes: u64,
}

/// Writes exactly `options.n_messages` envelopes.
pub(crate) fn write_messages<W: Write>(
    company: &Company,
    scripts: &[Script],
    options: &DemoOptions,
    out: &mut W,
) -> io::Result<Written> {
    let mut season = Season::new(company, scripts, options.seed);
    let mut ledger = Ledger::new(options, company);
    let days: Vec<NaiveDate> = (0..options.days)
        .filter_map(|day| {
            options
                .first_day
                .checked_add_days(Days::new(u64::from(day)))
        })
        .collect();
    let weights: Vec<u64> = days.iter().map(|day| day_weight(*day)).collect();
    let total: u64 = weights.iter().sum();
    let mut weight_so_far = 0;
    for (index, day) in days.iter().enumerate() {
        weight_so_far += weights[index];
        let target =
            (u128::from(options.n_messages) * u128::from(weight_so_far) / u128::from(total)) as u64;
        let quota = target.saturating_sub(ledger.written.n_messages);
        season.begin_day(*day);
        if index == 0 && options.n_messages >= ALL_TYPES_FROM {
            season.play_every_type(*day);
        }
        if options.n_messages >= PLANTED_FROM {
            season.play_planted(*day, index, days.len());
        }
        season.fill_day(*day, quota)?;
        for pending in season.stage.take_until(
            season.stage.today_end,
            options.n_messages - ledger.written.n_messages,
        ) {
            ledger.write(&pending, out)?;
        }
    }
    ledger.written.n_scenes = season.n_scenes;
    ledger.written.planted = season.stage.planted;
    ledger.written.consents = season.stage.consents;
    Ok(ledger.written)
}

/// Gives out seqs and key versions.
struct Ledger {
    dice: Dice,
    next_seq: u64,
    /// From here on the second key is used; for some hours both.
    rotation_ms: i64,
    written: Written,
    line: Vec<u8>,
}

impl Ledger {
    fn new(options: &DemoOptions, company: &Company) -> Self {
        let mut dice = Dice::new(options.seed, 3);
        let next_seq = dice.between(20_000, 90_000) as u64;
        let middle = company.start_ms + i64::from(options.days / 2) * DAY + 10 * HOUR + 30 * MINUTE;
        let written = Written {
            first_seq: next_seq,
            by_type: vec![0; TYPES.len()],
            ..Written::default()
        };
        Self {
            dice,
            next_seq,
            rotation_ms: middle,
            written,
            line: Vec::new(),
        }
    }

    fn write<W: Write>(&mut self, pending: &Pending, out: &mut W) -> io::Result<()> {
        let key = match pending.at - self.rotation_ms {
            ..0 => 1,
            0..10_800_000 => 1 + usize::from(self.dice.chance(500)),
            _ => 2,
        };
        let seq = self.next_seq;
        self.line.clear();
        write!(
            self.line,
            "{{\"seq\":{seq},\"publickey_ver\":{key},\"message\":{}}}\n",
            pending.json
        )?;
        out.write_all(&self.line)?;
        // Seqs are not dense: other traffic of the company takes some.
        self.next_seq += if self.dice.chance(6) {
            self.dice.between(2, 40) as u64
        } else {
            1
        };
        let written = &mut self.written;
        written.last_seq = seq;
        written.n_messages += 1;
        written.by_type[pending.kind] += 1;
        written.by_key[key] += 1;
        Ok(())
    }
}

impl<'a> Season<'a> {
    fn new(company: &'a Company, scripts: &'a [Script], seed: u64) -> Self {
        let mut new_friends: Vec<u32> = (0..company.relations.len() as u32)
            .filter(|index| company.relations[*index as usize].add_ms >= company.start_ms)
            .collect();
        new_friends.sort_by_key(|index| (company.relations[*index as usize].add_ms, *index));
        Self {
            stage: Stage::new(company, scripts, Dice::new(seed, 2)),
            company,
            repertoire: Repertoire { scripts },
            relation_busy: vec![0; company.relations.len()],
            room_busy: vec![0; company.rooms.len()],
            new_friends,
            n_welcomed: 0,
            n_scenes: 0,
        }
    }

    fn begin_day(&mut self, day: NaiveDate) {
        let end = rhythm::midnight(day) + DAY;
        self.stage.today_end = end;
        self.stage.n_today = self
            .stage
            .pending
            .iter()
            .filter(|pending| pending.at < end)
            .count() as u64;
    }

    fn fill_day(&mut self, day: NaiveDate, quota: u64) -> io::Result<()> {
        self.welcome_friends(quota * 2 / 5);
        let midnight = rhythm::midnight(day);
        let weights = match day_kind(day) {
            DayKind::Working => [620, 150, 105, 62, 9],
            DayKind::Weekend => [690, 190, 30, 26, 13],
            DayKind::Holiday => [690, 200, 18, 18, 16],
        };
        let mut n_idle = 0;
        while self.stage.n_today < quota {
            let before = self.stage.n_today;
            match self.stage.dice.weighted(&weights) {
                0 => self.single(day, midnight),
                1 => self.group(midnight),
                2 => self.internal(midnight),
                3 => self.team(midnight),
                _ => self.push(midnight),
            }
            n_idle = if self.stage.n_today > before {
                0
            } else {
                n_idle + 1
            };
            if n_idle > IDLE_SCENES_MAX {
                return Err(io::Error::other(format!("no scene can be played on {day}")));
            }
        }
        Ok(())
    }

    fn seed(&mut self) -> u64 {
        self.n_scenes += 1;
        self.stage.dice.bits()
    }

    fn pair(&self, script: &Script, relation: u32, at: i64, seed: u64) -> Casting<'a> {
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
    fn idle_relation(&mut self, at: i64, fits: impl Fn(&Company, u32) -> bool) -> Option<u32> {
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

    fn single(&mut self, day: NaiveDate, midnight: i64) {
        let at = customer_moment(&mut self.stage.dice, midnight);
        let is_off = day_kind(day) != DayKind::Working;
        let rest = self.stage.dice.chance(250);
        let fits = |company: &Company, index: u32| {
            let employee = &company.employees[company.relations[index as usize].employee as usize];
            !is_off || employee.role != Role::Sales || rest
        };
        if let Some(relation) = self.idle_relation(at, fits) {
            self.play_single(Setting::Single, relation, at);
        }
    }

    fn play_single(&mut self, setting: Setting, relation: u32, at: i64) {
        let company = self.company;
        let both = &company.relations[relation as usize];
        let role = company.employees[both.employee as usize].role.name();
        let is_corporate = company.customers[both.customer as usize].firm.is_some();
        let fits = |script: &Script| {
            (script.roles.is_empty() || script.roles.contains(&role))
                && (setting != Setting::Single || script.is_corporate == is_corporate)
        };
        let script = self
            .repertoire
            .choose(&mut self.stage.dice, setting, fits, at);
        // A firm's person who is looked after by a guide talks like everybody else.
        let script = script.or_else(|| {
            let fits = |script: &Script| script.roles.is_empty() && !script.is_corporate;
            self.repertoire
                .choose(&mut self.stage.dice, setting, fits, at)
        });
        let Some(script) = script else { return };
        let seed = self.seed();
        let casting = self.pair(script, relation, at, seed);
        let end = self.stage.play(script, &casting, at);
        self.relation_busy[relation as usize] = end + REST;
    }

    /// Those added today are greeted, up to a share of the day.
    fn welcome_friends(&mut self, quota: u64) {
        while let Some(index) = self.new_friends.get(self.n_welcomed).copied() {
            let relation = &self.company.relations[index as usize];
            if relation.add_ms >= self.stage.today_end {
                return;
            }
            self.n_welcomed += 1;
            let at = relation.add_ms + self.stage.dice.between(2, 40) * SECOND;
            let is_silent = self.stage.n_today >= quota || self.stage.dice.chance(140);
            if !is_silent && relation.is_active(at) {
                self.play_single(Setting::Welcome, index, at);
            }
        }
    }

    /// The members present at `at`, as speakers: the customers first spoken to, the staff in charge.
    fn room_casting(
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
        let talk = Talk::Room(index);
        Some(Casting {
            actors,
            talk,
            cast,
            place: place_of(talk, self.company),
        })
    }

    fn idle_room(&mut self, at: i64, is_external: bool) -> Option<usize> {
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

    fn group(&mut self, midnight: i64) {
        let at = customer_moment(&mut self.stage.dice, midnight);
        if let Some(room) = self.idle_room(at, true) {
            let kind = self.company.rooms[room].kind;
            let script = self.repertoire.choose(
                &mut self.stage.dice,
                Setting::Group,
                |script| script.rooms.contains(&kind),
                at,
            );
            self.play_room(script, room, at);
        }
    }

    fn team(&mut self, midnight: i64) {
        let at = office_moment(&mut self.stage.dice, midnight);
        if let Some(room) = self.idle_room(at, false) {
            let has_robot = self.company.rooms[room].robot.is_some();
            let fits = |script: &Script| script.name != "team-robot-report" || has_robot;
            let script = self
                .repertoire
                .choose(&mut self.stage.dice, Setting::Team, fits, at);
            self.play_room(script, room, at);
        }
    }

    fn play_room(&mut self, script: Option<&'a Script>, room: usize, at: i64) {
        let Some(script) = script else { return };
        let seed = self.seed();
        if let Some(casting) = self.room_casting(script, room, at, seed) {
            let end = self.stage.play(script, &casting, at);
            self.room_busy[room] = end.min(at + REST) + 10 * MINUTE;
        }
    }

    fn colleagues(&mut self, script: &Script, at: i64, seed: u64) -> Option<Casting<'a>> {
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

    fn internal(&mut self, midnight: i64) {
        let at = office_moment(&mut self.stage.dice, midnight);
        let Some(script) =
            self.repertoire
                .choose(&mut self.stage.dice, Setting::Internal, |_| true, at)
        else {
            return;
        };
        let seed = self.seed();
        if let Some(casting) = self.colleagues(script, at, seed) {
            self.stage.play(script, &casting, at);
        }
    }

    /// One employee sends the same thing to many, some of whom react.
    fn push(&mut self, midnight: i64) {
        let at = midnight + self.stage.dice.between(9 * HOUR, 20 * HOUR);
        let Some(relation) = self.idle_relation(at, |_, _| true) else {
            return;
        };
        let who = self.company.relations[relation as usize].employee;
        let employee = &self.company.employees[who as usize];
        let role = employee.role.name();
        let Some(script) = self.repertoire.choose(
            &mut self.stage.dice,
            Setting::Push,
            |script| script.roles.contains(&role),
            at,
        ) else {
            return;
        };
        let seed = self.seed();
        let n = self.stage.dice.between(6, 28) as usize;
        let mut at = at;
        for _ in 0..n.min(employee.relations.len()) {
            let index = employee.relations[self.stage.dice.below(employee.relations.len())];
            if self.relation_busy[index as usize] > at
                || !self.company.relations[index as usize].is_active(at)
            {
                continue;
            }
            at += self.stage.dice.between(4 * SECOND, 25 * SECOND);
            let mut casting = self.pair(script, index, at, seed);
            casting.place = 0;
            let end = self.stage.play(script, &casting, at);
            self.relation_busy[index as usize] = end + REST;
        }
    }

    /// Every insert type once, by itself, on the first day.
    fn play_every_type(&mut self, day: NaiveDate) {
        let midnight = rhythm::midnight(day);
        let mut played: Vec<&str> = Vec::new();
        for script in self.repertoire.scripts {
            if script.setting != Setting::Insert || played.contains(&script.name) {
                continue;
            }
            for _ in 0..60 {
                let at = midnight + self.stage.dice.between(9 * HOUR, 17 * HOUR);
                if self.play_insert(script, at) {
                    played.push(script.name);
                    break;
                }
            }
        }
    }

    fn play_insert(&mut self, script: &'a Script, at: i64) -> bool {
        let seed = self.seed();
        let casting = if script.on & place::SINGLE != 0 {
            self.idle_relation(at, |_, _| true)
                .map(|relation| self.pair(script, relation, at, seed))
        } else if script.on & place::INTERNAL != 0 {
            self.colleagues(script, at, seed)
        } else {
            self.idle_room(at, script.on & place::TEAM == 0)
                .and_then(|room| self.room_casting(script, room, at, seed))
        };
        let Some(mut casting) =
            casting.filter(|casting| casting.actors[script.lines[0].who].is_some())
        else {
            return false;
        };
        casting.place = 0;
        self.stage.play(script, &casting, at);
        true
    }

    /// The findings that a demo shows, spread over the period.
    fn play_planted(&mut self, day: NaiveDate, index: usize, n_days: usize) {
        let scripts = self.repertoire.scripts;
        let planted: Vec<&Script> = scripts
            .iter()
            .filter(|script| script.setting == Setting::Planted)
            .collect();
        for (number, script) in planted.iter().enumerate() {
            if (2 * number + 1) * n_days / (2 * planted.len()) != index {
                continue;
            }
            let at = rhythm::midnight(day) + script.at_ms + self.stage.dice.between(0, 9 * MINUTE);
            let seed = self.seed();
            if script.on & place::GROUP != 0 {
                self.plant_in_room(script, at, seed);
            } else {
                self.plant_in_pair(script, at, seed);
            }
        }
    }

    fn plant_in_pair(&mut self, script: &'a Script, at: i64, seed: u64) {
        let stays = |company: &Company, index: u32| {
            let relation = &company.relations[index as usize];
            let employee = &company.employees[relation.employee as usize];
            employee.role == Role::Guide
                && relation.is_active(at + 2 * DAY)
                && company.is_employed(relation.employee, at + 2 * DAY)
                && company.customers[relation.customer as usize].firm.is_none()
        };
        let Some(relation) = self.idle_relation(at, stays) else {
            return;
        };
        let mut casting = self.pair(script, relation, at, seed);
        casting.place = 0;
        let end = self.stage.play(script, &casting, at);
        self.relation_busy[relation as usize] = end + DAY;
    }

    fn plant_in_room(&mut self, script: &'a Script, at: i64, seed: u64) {
        let rooms: Vec<usize> = (0..self.company.n_external_rooms)
            .filter(|room| self.company.rooms[*room].kind == "store")
            .collect();
        for _ in 0..rooms.len().min(20) {
            let room = *self.stage.dice.pick(&rooms);
            let Some(mut casting) = self.room_casting(script, room, at, seed) else {
                continue;
            };
            casting.place = 0;
            let end = self.stage.play(script, &casting, at);
            self.room_busy[room] = end + 4 * HOUR;
            return;
        }
    }
}
