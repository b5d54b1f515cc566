//! The scripts under `scripts/`, one file a topic, and how they are read.
//!
//! A script is a heading `@setting name key=value ..` and its lines `WHO 60% ~20m: a | b`:
//! who speaks, how likely the line is (100 % if left out), an explicit wait (s, m, h, d; else
//! the rhythm decides), and phrasings of which one is taken. Inside a phrasing `(a/b/)` is a
//! choice and `{product}` a slot; a phrasing `<image>` or `<file NAME.pdf>` is a message of
//! that type, its fields separated by ` / `. ` <!>` at a line's end marks the message that a
//! planted finding is about.
//!
//! Speakers: C or C1..C5 customers, E and E2 employees; in internal talks L leads, A, B and D
//! are colleagues, R is a robot. `#` opens a comment.

use chrono::Datelike;

use super::payload::type_number;
use super::rhythm::{HOUR, clock, date_of};
use super::words::Words;

/// Where a script is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Setting {
    Single,
    Group,
    Internal,
    Team,
    Push,
    Welcome,
    Insert,
    Planted,
}

/// The places of which a script may ask for several, as bits.
pub(crate) mod place {
    pub(crate) const SINGLE: u8 = 1;
    pub(crate) const GROUP: u8 = 2;
    pub(crate) const INTERNAL: u8 = 4;
    pub(crate) const TEAM: u8 = 8;
}

/// A speaker's place in the cast.
pub(crate) type Who = usize;
/// Names of the speakers; the position is the `Who`.
pub(crate) const SPEAKERS: [&str; 12] = [
    "C", "C2", "C3", "C4", "C5", "E", "E2", "A", "B", "D", "L", "R",
];

/// A piece of a phrasing.
pub(crate) enum Part {
    Text(&'static str),
    Slot(Slot),
    Choice(Vec<Template>),
}
/// A phrasing.
pub(crate) type Template = Vec<Part>;

/// What a `{slot}` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// A value of the list, the same throughout a scene.
    Fixed(usize),
    /// A value of the list, drawn anew each time.
    Loose(usize),
    Product,
    Product2,
    Model,
    Model2,
    Price,
    Deal,
    Off,
    Noun,
    Size,
    Feature,
    City,
    Store,
    Addr,
    Date,
    Past,
    Weekday,
    Order,
    Tail,
    Waybill,
    Qty,
    EmployeeName,
    EmployeeSurname,
    Title,
    Surname,
    Nick,
    Other,
    Month,
    Days,
    Phone,
    Phone2,
    IdNumber,
    Worker,
    Colleague,
    Number,
    Company,
}

/// One phrasing of a line.
pub(crate) enum Say {
    Text(Template),
    /// A message type by name, with its fields.
    Payload(&'static str, Template),
}

/// One line of a script.
pub(crate) struct Line {
    pub(crate) who: Who,
    pub(crate) percent: u32,
    pub(crate) wait_ms: Option<i64>,
    pub(crate) is_marked: bool,
    pub(crate) says: Vec<Say>,
}

/// One script.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) setting: Setting,
    pub(crate) weight: u32,
    /// Roles that play it, empty for all.
    pub(crate) roles: Vec<&'static str>,
    /// Room kinds that play it.
    pub(crate) rooms: Vec<&'static str>,
    /// Bits of [`place`].
    pub(crate) on: u8,
    pub(crate) is_corporate: bool,
    pub(crate) is_nightly: bool,
    pub(crate) is_slow: bool,
    /// Products it may be about.
    pub(crate) products: Vec<usize>,
    /// Hours of the day in which it may start, `from..to`, past midnight if `from > to`.
    pub(crate) hours: (i64, i64),
    /// First and last date on which it may start, as month and day.
    pub(crate) dates: (u32, u32),
    /// What a planted script shows.
    pub(crate) what: &'static str,
    /// Milliseconds of the day at which a planted script starts.
    pub(crate) at_ms: i64,
    pub(crate) lines: Vec<Line>,
}

impl Script {
    /// Whether an employee has the first word.
    pub(crate) fn is_opened_by_staff(&self) -> bool {
        self.lines
            .first()
            .is_some_and(|line| !SPEAKERS[line.who].starts_with('C'))
    }

    /// Whether its hours and dates allow it to start at `at`.
    pub(crate) fn may_start(&self, at: i64) -> bool {
        let day = date_of(at);
        let date = day.month() * 100 + day.day();
        let hour = clock(at) / HOUR;
        let (from, to) = self.hours;
        let is_in_hours = if from <= to {
            (from..to).contains(&hour)
        } else {
            hour >= from || hour < to
        };
        is_in_hours && (self.dates.0..=self.dates.1).contains(&date)
    }
}

/// Every script file, with its name for messages.
const FILES: &[(&str, &str)] = &[
    ("presale", include_str!("scripts/presale.txt")),
    ("size", include_str!("scripts/size.txt")),
    ("coupon", include_str!("scripts/coupon.txt")),
    ("delivery", include_str!("scripts/delivery.txt")),
    ("returns", include_str!("scripts/returns.txt")),
    ("complaint", include_str!("scripts/complaint.txt")),
    ("visit", include_str!("scripts/visit.txt")),
    ("member", include_str!("scripts/member.txt")),
    ("repair", include_str!("scripts/repair.txt")),
    ("baby", include_str!("scripts/baby.txt")),
    ("newfriend", include_str!("scripts/newfriend.txt")),
    ("event", include_str!("scripts/event.txt")),
    ("room", include_str!("scripts/room.txt")),
    ("corp", include_str!("scripts/corp.txt")),
    ("office", include_str!("scripts/office.txt")),
    ("team", include_str!("scripts/team.txt")),
    ("inserts", include_str!("scripts/inserts.txt")),
    ("planted", include_str!("scripts/planted.txt")),
];

/// Reads all scripts; names the file and line that is malformed.
pub(crate) fn load(words: &Words) -> Result<Vec<Script>, String> {
    let mut scripts = Vec::new();
    for (file, text) in FILES {
        for (number, line) in text.lines().enumerate() {
            read_line(line.trim(), words, &mut scripts)
                .map_err(|reason| format!("script `{file}` line {}: {reason}", number + 1))?;
        }
    }
    Ok(scripts)
}

fn read_line(line: &'static str, words: &Words, scripts: &mut Vec<Script>) -> Result<(), String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(heading) = line.strip_prefix('@') {
        scripts.push(read_heading(heading, words)?);
        return Ok(());
    }
    let spoken = read_spoken(line, words)?;
    let script = scripts.last_mut().ok_or("a line before any heading")?;
    script.lines.push(spoken);
    Ok(())
}

fn read_heading(heading: &'static str, words: &Words) -> Result<Script, String> {
    let mut cells = heading.split(' ');
    let setting = match cells.next() {
        Some("single") => Setting::Single,
        Some("group") => Setting::Group,
        Some("internal") => Setting::Internal,
        Some("team") => Setting::Team,
        Some("push") => Setting::Push,
        Some("welcome") => Setting::Welcome,
        Some("insert") => Setting::Insert,
        Some("planted") => Setting::Planted,
        other => return Err(format!("unknown setting `{other:?}`")),
    };
    let mut script = Script {
        name: cells.next().ok_or("no name")?,
        setting,
        weight: 5,
        roles: Vec::new(),
        rooms: Vec::new(),
        on: 0,
        is_corporate: false,
        is_nightly: false,
        is_slow: false,
        products: Vec::new(),
        hours: (0, 24),
        dates: (101, 1231),
        what: "",
        at_ms: 14 * 3_600_000,
        lines: Vec::new(),
    };
    let mut categories = Vec::new();
    for cell in cells {
        let (key, value) = cell
            .split_once('=')
            .ok_or_else(|| format!("`{cell}` is no key=value"))?;
        match key {
            "w" => script.weight = value.parse().map_err(|_| format!("weight `{value}`"))?,
            "role" => script.roles = value.split(',').collect(),
            "type" => script.rooms = value.split(',').collect(),
            "cat" => categories = value.split(',').collect(),
            "on" => script.on = value.split(',').map(read_place).sum(),
            "corp" => script.is_corporate = true,
            "night" => script.is_nightly = true,
            "slow" => script.is_slow = true,
            "hours" => {
                script.hours = read_range(value).ok_or_else(|| format!("hours `{value}`"))?
            }
            "dates" => {
                script.dates = read_range(value).ok_or_else(|| format!("dates `{value}`"))?
            }
            "what" => script.what = value,
            "at" => script.at_ms = read_clock(value).ok_or_else(|| format!("time `{value}`"))?,
            _ => return Err(format!("unknown key `{key}`")),
        }
    }
    script.products = words.of_categories(&categories);
    if script.products.is_empty() {
        return Err(format!("no product in `{categories:?}`"));
    }
    Ok(script)
}

fn read_range<T: std::str::FromStr>(text: &str) -> Option<(T, T)> {
    let (from, to) = text.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn read_place(name: &str) -> u8 {
    match name {
        "s" => place::SINGLE,
        "g" => place::GROUP,
        "i" => place::INTERNAL,
        "t" => place::TEAM,
        _ => 0,
    }
}

fn read_clock(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    Some((hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?) * 60_000)
}

fn read_wait(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    Some(text[..text.len() - 1].parse::<i64>().ok()? * unit)
}

fn read_spoken(line: &'static str, words: &Words) -> Result<Line, String> {
    let (head, body) = line.split_once(": ").ok_or("no `: `")?;
    let mut head = head.split(' ');
    let speaker = head.next().unwrap_or_default();
    let speaker = if speaker == "C1" { "C" } else { speaker };
    let who = SPEAKERS
        .iter()
        .position(|known| *known == speaker)
        .ok_or_else(|| format!("speaker `{speaker}`"))?;
    let (mut percent, mut wait_ms) = (100, None);
    for cell in head {
        if let Some(number) = cell.strip_suffix('%') {
            percent = number.parse().map_err(|_| format!("share `{cell}`"))?;
        } else {
            let wait = cell.strip_prefix('~').and_then(read_wait);
            wait_ms = Some(wait.ok_or_else(|| format!("`{cell}` is neither share nor wait"))?);
        }
    }
    let (body, is_marked) = match body.strip_suffix(" <!>") {
        Some(rest) => (rest, true),
        None => (body, false),
    };
    let says = body
        .split(" | ")
        .map(|one| read_say(one.trim(), words))
        .collect::<Result<_, _>>()?;
    Ok(Line {
        who,
        percent,
        wait_ms,
        is_marked,
        says,
    })
}

fn read_say(text: &'static str, words: &Words) -> Result<Say, String> {
    let Some(inner) = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    else {
        return Ok(Say::Text(read_template(text, words)?));
    };
    let (kind, fields) = inner.split_once(' ').unwrap_or((inner, ""));
    if type_number(kind).is_none() && !matches!(kind, "quote" | "recall") {
        return Err(format!("unknown message type `{kind}`"));
    }
    Ok(Say::Payload(kind, read_template(fields, words)?))
}

fn read_template(text: &'static str, words: &Words) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['(', '{']) {
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        let is_choice = rest[at..].starts_with('(');
        let close = if is_choice { ')' } else { '}' };
        let end = rest[at..]
            .find(close)
            .ok_or_else(|| format!("`{close}` is missing in `{text}`"))?
            + at;
        let inner = &rest[at + 1..end];
        if is_choice {
            let choices = inner
                .split('/')
                .map(|one| read_template(one, words))
                .collect::<Result<_, _>>()?;
            parts.push(Part::Choice(choices));
        } else {
            parts.push(Part::Slot(read_slot(inner, words)?));
        }
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn read_slot(name: &str, words: &Words) -> Result<Slot, String> {
    Ok(match name {
        "product" => Slot::Product,
        "product2" => Slot::Product2,
        "model" => Slot::Model,
        "model2" => Slot::Model2,
        "price" => Slot::Price,
        "deal" => Slot::Deal,
        "off" => Slot::Off,
        "noun" => Slot::Noun,
        "size" => Slot::Size,
        "feature" => Slot::Feature,
        "city" => Slot::City,
        "store" => Slot::Store,
        "addr" => Slot::Addr,
        "date" => Slot::Date,
        "past" => Slot::Past,
        "weekday" => Slot::Weekday,
        "order" => Slot::Order,
        "tail" => Slot::Tail,
        "waybill" => Slot::Waybill,
        "qty" => Slot::Qty,
        "ename" => Slot::EmployeeName,
        "esurname" => Slot::EmployeeSurname,
        "title" => Slot::Title,
        "surname" => Slot::Surname,
        "nick" => Slot::Nick,
        "at" => Slot::Other,
        "month" => Slot::Month,
        "days" => Slot::Days,
        "phone" => Slot::Phone,
        "phone2" => Slot::Phone2,
        "idno" => Slot::IdNumber,
        "worker" => Slot::Worker,
        "colleague" => Slot::Colleague,
        "n" => Slot::Number,
        "company" => Slot::Company,
        "hi" | "hello" | "soft" | "bye" | "ok" | "good" => Slot::Loose(list(name, words)?),
        other => Slot::Fixed(list(other, words)?),
    })
}

fn list(name: &str, words: &Words) -> Result<usize, String> {
    words
        .slot(name)
        .ok_or_else(|| format!("unknown slot `{name}`"))
}
