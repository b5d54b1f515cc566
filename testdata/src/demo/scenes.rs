//! Decides what is played on a day: welcomes of new friends, then scenes until the day is full.
//!
//! The days' shares follow `rhythm`; every message is made before its day is written, and only
//! what lies ahead (a slow answer, tomorrow's reply) is kept from one day to the next.

use std::io::{self, Write};

use chrono::{Days, NaiveDate};

use super::DemoOptions;
use super::company::{Company, Role};
use super::dice::Dice;
use super::ledger::{Ledger, Written};
use super::rhythm::{
    self, DAY, DayKind, HOUR, MINUTE, SECOND, customer_moment, day_kind, day_weight, is_night,
    office_moment,
};
use super::script::{Script, Setting, place};
use super::stage::{REST, Stage};

/// From here on every message type occurs at least once.
const ALL_TYPES_FROM: u64 = 500;
/// From here on the planted findings are there.
const PLANTED_FROM: u64 = 300;
/// Scenes tried in vain, in a row, before giving up.
const IDLE_SCENES_MAX: u32 = 10_000;

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
        // Employees do not write to customers at night of their own accord; a greeting is an answer.
        let is_day = !is_night(at) || !matches!(setting, Setting::Single | Setting::Group);
        let is_time =
            |script: &Script| script.may_start(at) && (is_day || !script.is_opened_by_staff());
        let weight = |script: &Script| match (
            script.setting == setting && is_time(script) && fits(script),
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
pub(crate) struct Season<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) company: &'a Company,
    repertoire: Repertoire<'a>,
    pub(crate) relation_busy: Vec<i64>,
    pub(crate) room_busy: Vec<i64>,
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
