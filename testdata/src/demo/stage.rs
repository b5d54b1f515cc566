//! Plays a script with a cast: who says what when, as archived messages.
//!
//! Knows nothing of days and shares of settings (that is `scenes`); it keeps what
//! has been said but not yet written, and how many of each type there are, so that the rarer
//! types can be spliced into talks until their share is met.

use std::fmt::Write;

use super::actors::{Actor, Casting, Talk, place_of, side, turn_of};
use super::company::{Company, Room};
use super::dice::Dice;
use super::json::{Js, List};
use super::payload::{Props, TEXT, TYPES, body, text_body, type_number};
use super::rhythm::{HOUR, MINUTE, SECOND, Turn, gap, is_night};
use super::script::{Line, Say, Script, Setting, place};
use super::slots::{as_customer, as_employee};

/// A message that waits for its day to be written.
pub(crate) struct Pending {
    /// When it reaches the archive; a little after its msgtime, sometimes minutes after.
    pub(crate) at: i64,
    /// Order of making.
    pub(crate) number: u64,
    pub(crate) kind: usize,
    pub(crate) json: String,
}

/// The running production.
pub(crate) struct Stage<'a> {
    pub(crate) company: &'a Company,
    pub(crate) scripts: &'a [Script],
    pub(crate) dice: Dice,
    pub(crate) pending: Vec<Pending>,
    /// Messages made that belong to the day being written.
    pub(crate) n_today: u64,
    pub(crate) today_end: i64,
    pub(crate) n_made: u64,
    made: [u64; TYPES.len()],
    /// Consents given or refused in the chat: (customer, agreed).
    pub(crate) consents: Vec<(u32, bool)>,
    pub(crate) planted: Vec<(String, String)>,
    inserts: Vec<&'a Script>,
    previous: (String, String),
}

/// What `emit` needs beside the body.
struct Sending {
    from: Actor,
    talk: Talk,
    at: i64,
    action: &'static str,
    kind: usize,
}

/// A customer whom nobody answers asks again like this.
const NUDGES: &[&str] = &[
    "？",
    "在吗",
    "有人吗",
    "人呢",
    "？？",
    "在忙吗？",
    "还在吗",
    "不回消息吗",
    "……",
    "[疑问]",
];

impl<'a> Stage<'a> {
    pub(crate) fn new(company: &'a Company, scripts: &'a [Script], dice: Dice) -> Self {
        Self {
            company,
            scripts,
            dice,
            pending: Vec::new(),
            n_today: 0,
            today_end: 0,
            n_made: 0,
            made: [0; TYPES.len()],
            consents: Vec::new(),
            planted: Vec::new(),
            inserts: scripts
                .iter()
                .filter(|script| script.setting == Setting::Insert)
                .collect(),
            previous: Default::default(),
        }
    }

    /// Plays `script` from `start` on; returns when the last line was said.
    pub(crate) fn play(&mut self, script: &'a Script, casting: &Casting<'_>, start: i64) -> i64 {
        let lines = self.choose_lines(script, casting);
        let is_planted = script.setting == Setting::Planted;
        let mut now = start;
        let mut before: Option<Actor> = None;
        let mut has_answer = false;
        self.previous.1.clear();
        // Who sent the last message, and its id, for a recall.
        let mut sent: Option<(Actor, String)> = None;
        for line in lines {
            let Some(actor) = casting.actors[line.who] else {
                continue;
            };
            let turn = before.map(|before| turn_of(before, actor));
            if turn == Some(Turn::ToEmployee)
                && !is_planted
                && self.is_ignored(script, has_answer, now)
            {
                return self.nudge(casting, before, now);
            }
            has_answer |= turn == Some(Turn::ToEmployee);
            now += self.wait(line, turn, actor, script, now);
            let (msgid, at) = self.say(line, actor, casting, now, &sent);
            now = at;
            if line.is_marked {
                self.planted.push((script.what.to_owned(), msgid.clone()));
            }
            sent = Some((actor, msgid));
            before = Some(actor);
        }
        now
    }

    fn choose_lines(&mut self, script: &'a Script, casting: &Casting<'_>) -> Vec<&'a Line> {
        let mut lines: Vec<&Line> = Vec::with_capacity(script.lines.len() + 4);
        for line in &script.lines {
            if line.percent >= 100 || self.dice.chance(line.percent * 10) {
                lines.push(line);
            }
        }
        let mut last = "";
        for _ in 0..2 {
            let Some(insert) = self.missing_type(casting, last) else {
                break;
            };
            last = insert.name;
            let speaker = insert.lines[0].who;
            let fitting: Vec<usize> = (0..lines.len())
                .filter(|index| {
                    casting.actors[lines[*index].who].map(side) == casting.actors[speaker].map(side)
                })
                .collect();
            let at = if fitting.is_empty() {
                lines.len()
            } else {
                fitting[self.dice.below(fitting.len())] + 1
            };
            // Never between a message and its recall.
            let at = if at < lines.len() && is_recall(lines[at]) {
                lines.len()
            } else {
                at
            };
            let extra = insert.lines.iter().filter(|line| line.percent >= 100);
            lines.splice(at..at, extra);
        }
        lines
    }

    /// An insert of a type that is behind its share and fits here.
    fn missing_type(&mut self, casting: &Casting<'_>, last: &str) -> Option<&'a Script> {
        if casting.place == 0 {
            return None;
        }
        // A room of two or three is no place for votes and the like.
        let is_small = casting.place == place::GROUP && casting.actors[2].is_none();
        let places = if is_small {
            place::SINGLE | place::GROUP
        } else {
            casting.place
        };
        let is_behind = |insert: &&&Script| {
            let number = number_of(insert.name);
            insert.on & places == places
                && insert.name != last
                && casting.actors[insert.lines[0].who].is_some()
                && self.made[number] * 100_000 + 100_000 <= TYPES[number].1 * self.n_made
        };
        let behind: Vec<&Script> = self.inserts.iter().filter(is_behind).copied().collect();
        if behind.is_empty() {
            return None;
        }
        Some(behind[self.dice.below(behind.len())])
    }

    fn is_ignored(&mut self, script: &Script, has_answer: bool, now: i64) -> bool {
        let permille = match (script.is_slow, has_answer) {
            (true, false) => 70,
            (true, true) => 35,
            (false, false) => 20,
            (false, true) => 9,
        };
        let night = if is_night(now) { 2 } else { 1 };
        self.dice.chance(permille * night)
    }

    /// The customer waits in vain; sometimes he asks again.
    fn nudge(&mut self, casting: &Casting<'_>, before: Option<Actor>, now: i64) -> i64 {
        let Some(customer) = before.filter(|actor| matches!(actor, Actor::Customer(_))) else {
            return now;
        };
        let mut now = now;
        for _ in 0..2 {
            if !self.dice.chance(420) {
                break;
            }
            now += self.dice.between(2 * MINUTE, 70 * MINUTE);
            let text = *self.dice.pick(NUDGES);
            self.emit(
                &Sending {
                    from: customer,
                    talk: casting.talk,
                    at: now,
                    action: "send",
                    kind: 0,
                },
                &text_body(text),
            );
        }
        now
    }

    fn wait(
        &mut self,
        line: &Line,
        turn: Option<Turn>,
        actor: Actor,
        script: &Script,
        now: i64,
    ) -> i64 {
        let Some(turn) = turn else { return 0 };
        if let Some(wait) = line.wait_ms {
            return wait * self.dice.between(85, 115) / 100 + self.dice.between(0, 999);
        }
        if script.setting == Setting::Planted {
            return self.dice.between(8 * SECOND, 70 * SECOND);
        }
        let skill = match actor {
            Actor::Employee(who) => self.company.employees[who as usize].skill_percent,
            _ => 100,
        };
        gap(&mut self.dice, turn, now, skill, script.is_slow)
    }

    /// Says one line at `now`; a long text of a customer may come in two messages.
    fn say(
        &mut self,
        line: &Line,
        actor: Actor,
        casting: &Casting<'_>,
        now: i64,
        sent: &Option<(Actor, String)>,
    ) -> (String, i64) {
        let say = self.dice.pick(&line.says);
        let mut cast = casting.cast;
        if let (Actor::Employee(who), place::TEAM) = (actor, casting.place) {
            // Among the staff everybody speaks of his own store.
            cast.employee = who;
        }
        let mut text = String::with_capacity(96);
        let sending = |at, kind| Sending {
            from: actor,
            talk: casting.talk,
            at,
            action: "send",
            kind,
        };
        match say {
            Say::Payload("recall", _) => (self.recall(actor, casting, now, sent), now),
            Say::Payload("switch", _) => (self.switch(actor, now), now),
            Say::Payload(kind, template) => {
                cast.fill(template, &mut self.dice, &mut text);
                let json = self.body(kind, &text, actor, casting, now);
                let number = number_of(kind);
                (self.emit(&sending(now, number), &json), now)
            }
            Say::Text(template) => {
                cast.fill(template, &mut self.dice, &mut text);
                self.dress(actor, casting, &mut text);
                let halves = self.halves(actor, &text, line.is_marked);
                let mut at = now;
                if let Some((first, second)) = halves {
                    self.emit(&sending(at, 0), &text_body(first));
                    at += self.dice.between(1_500, 9_000);
                    text = second.to_owned();
                }
                let msgid = self.emit(&sending(at, 0), &text_body(&text));
                self.previous = (self.name_of(actor).to_owned(), text);
                (msgid, at)
            }
        }
    }

    fn dress(&mut self, actor: Actor, casting: &Casting<'_>, text: &mut String) {
        let company = self.company;
        let is_outside = matches!(
            place_of(casting.talk, company),
            place::SINGLE | place::GROUP
        );
        match actor {
            Actor::Customer(who) => as_customer(
                text,
                company.customers[who as usize].style,
                company,
                &mut self.dice,
            ),
            Actor::Employee(who) => as_employee(
                text,
                company.employees[who as usize].style,
                is_outside,
                company,
                &mut self.dice,
            ),
            Actor::Robot(_) => {}
        }
        if text.trim().is_empty() {
            "？".clone_into(text);
        }
    }

    fn halves<'t>(
        &mut self,
        actor: Actor,
        text: &'t str,
        is_marked: bool,
    ) -> Option<(&'t str, &'t str)> {
        let permille = match actor {
            Actor::Customer(_) => 300,
            _ => 90,
        };
        if is_marked || text.len() < 27 || !self.dice.chance(permille) {
            return None;
        }
        let (first, second) = text.split_once(['，', ' '])?;
        (first.len() > 5 && second.len() > 5 && !first.contains(['【', '@', '：']))
            .then_some((first, second))
    }

    fn body(
        &mut self,
        kind: &'static str,
        fields: &str,
        actor: Actor,
        casting: &Casting<'_>,
        at: i64,
    ) -> String {
        if let Actor::Customer(who) = actor
            && matches!(kind, "agree" | "disagree")
        {
            self.consents.push((who, kind == "agree"));
        }
        let room_name = match casting.talk {
            Talk::Pair(..) => "",
            Talk::Room(room) => self.company.rooms[room].name.as_str(),
        };
        let props = Props {
            cast: &casting.cast,
            scripts: self.scripts,
            from: self.id_of(actor),
            sender_name: self.name_of(actor),
            room_name,
            is_room: matches!(casting.talk, Talk::Room(_)),
            at,
            before: (&self.previous.0, &self.previous.1),
        };
        body(kind, fields, &props, &mut self.dice).unwrap_or_else(|| text_body(fields))
    }

    /// Takes back what the actor has just sent; without it nothing can be taken back, and he writes a word instead.
    fn recall(
        &mut self,
        actor: Actor,
        casting: &Casting<'_>,
        now: i64,
        sent: &Option<(Actor, String)>,
    ) -> String {
        let sending = |action, kind| Sending {
            from: actor,
            talk: casting.talk,
            at: now,
            action,
            kind,
        };
        match sent {
            Some((sender, msgid)) if *sender == actor => {
                let json = format!("\"revoke\",\"revoke\":{{\"pre_msgid\":\"{msgid}\"}}");
                self.emit(&sending("recall", number_of("revoke")), &json)
            }
            _ => self.emit(&sending("send", 0), &text_body("打错了")),
        }
    }

    /// An employee changes to another company in his client: no type, no sender, no receivers.
    fn switch(&mut self, actor: Actor, now: i64) -> String {
        let msgid = format!("{}_{now}", self.dice.bits());
        let json = format!(
            "{{\"msgid\":\"{msgid}\",\"action\":\"switch\",\"time\":{now},\"user\":{}}}",
            Js(self.id_of(actor))
        );
        self.keep(now, number_of("switch"), json);
        msgid
    }

    fn emit(&mut self, sending: &Sending, body: &str) -> String {
        let Sending {
            from,
            talk,
            at,
            action,
            kind,
        } = *sending;
        let is_external = match talk {
            Talk::Pair(one, other) => {
                matches!(one, Actor::Customer(_)) || matches!(other, Actor::Customer(_))
            }
            Talk::Room(room) => self.company.rooms[room].is_external(),
        };
        let msgid = format!(
            "{}_{at}{}",
            self.dice.bits(),
            if is_external { "_external" } else { "" }
        );
        let mut json = String::with_capacity(body.len() + 240);
        // Writing to a String cannot fail.
        let _ = write!(
            json,
            "{{\"msgid\":\"{msgid}\",\"action\":\"{action}\",\"from\":{},\"tolist\":",
            Js(self.id_of(from))
        );
        match talk {
            Talk::Pair(one, other) => {
                let to = if one == from { other } else { one };
                let _ = write!(json, "[{}]", Js(self.id_of(to)));
                // The samples of these leave roomid out; now and then others do too.
                let is_left_out = matches!(TYPES[kind].0, "meeting_voice_call" | "voip_doc_share")
                    || self.dice.chance(15);
                if !is_left_out {
                    json.push_str(",\"roomid\":\"\"");
                }
            }
            Talk::Room(room) => {
                let room = &self.company.rooms[room];
                let _ = write!(
                    json,
                    "{},\"roomid\":\"{}\"",
                    self.receivers(room, from, at),
                    room.id
                );
            }
        }
        let _ = write!(json, ",\"msgtime\":{at},\"msgtype\":{body}}}");
        self.keep(at, kind, json);
        msgid
    }

    fn receivers(&self, room: &Room, from: Actor, at: i64) -> List<Js<'a>> {
        let staff = room
            .staff
            .iter()
            .filter(|member| member.is_present(at))
            .map(|member| Actor::Employee(member.who));
        let guests = room
            .guests
            .iter()
            .filter(|member| member.is_present(at))
            .map(|member| Actor::Customer(member.who));
        List(
            staff
                .chain(guests)
                .filter(|actor| *actor != from)
                .map(|actor| Js(self.id_of(actor)))
                .collect(),
        )
    }

    /// Keeps a message until its day is written. What lies after the period is lost, as it would be.
    fn keep(&mut self, msgtime: i64, kind: usize, json: String) {
        let end = self.company.end_ms;
        if msgtime >= end {
            return;
        }
        let delay = if self.dice.chance(12) {
            self.dice.between(20 * SECOND, 7 * MINUTE)
        } else {
            self.dice.between(200, 1_900)
        };
        let at = (msgtime + delay).min(end - 1);
        self.made[kind] += 1;
        self.n_made += 1;
        if at < self.today_end {
            self.n_today += 1;
        }
        self.pending.push(Pending {
            at,
            number: self.n_made,
            kind,
            json,
        });
    }

    pub(crate) fn id_of(&self, actor: Actor) -> &'a str {
        match actor {
            Actor::Employee(who) => &self.company.employees[who as usize].userid,
            Actor::Customer(who) => &self.company.customers[who as usize].id,
            Actor::Robot(number) => &self.company.robots[number],
        }
    }

    fn name_of(&self, actor: Actor) -> &'a str {
        match actor {
            Actor::Employee(who) => &self.company.employees[who as usize].name,
            Actor::Customer(who) => &self.company.customers[who as usize].name,
            Actor::Robot(_) => "业务助手",
        }
    }

    /// Takes what belongs before `end` out of what is pending, in archive order, `limit` at most
    /// (the ones made last are dropped).
    pub(crate) fn take_until(&mut self, end: i64, limit: u64) -> Vec<Pending> {
        let (mut due, later): (Vec<Pending>, Vec<Pending>) =
            self.pending.drain(..).partition(|pending| pending.at < end);
        self.pending = later;
        if due.len() as u64 > limit {
            due.sort_unstable_by_key(|pending| pending.number);
            due.truncate(limit as usize);
        }
        due.sort_unstable_by_key(|pending| (pending.at, pending.number));
        due
    }
}

/// Quotes are texts; all else has its own number.
fn number_of(kind: &str) -> usize {
    type_number(kind).unwrap_or(TEXT)
}

fn is_recall(line: &Line) -> bool {
    matches!(line.says.first(), Some(Say::Payload("recall", _)))
}

/// Time that must pass after a scene before the same two begin another.
pub(crate) const REST: i64 = 2 * HOUR;
