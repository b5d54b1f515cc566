//! `[[calendar]]`: working calendars (工作时间, semantics 6, manual 10.2).

use std::str::FromStr;

use chrono::NaiveDate;
use huicun_semantics::calendar::Calendar;
use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY_MINUTES: u16 = 1440;

/// One `[[calendar]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSettings {
    /// Rules name it by this.
    pub name: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The hours of each day of the week.
    #[serde(default)]
    pub weekly: Weekly,
    /// Days that are not as the week says.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

/// Hours by day of the week; a day without any is off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weekly {
    /// Monday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mon: Vec<Hours>,
    /// Tuesday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tue: Vec<Hours>,
    /// Wednesday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wed: Vec<Hours>,
    /// Thursday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thu: Vec<Hours>,
    /// Friday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fri: Vec<Hours>,
    /// Saturday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sat: Vec<Hours>,
    /// Sunday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sun: Vec<Hours>,
}

/// A range of hours of one day, `09:00-12:00`; it may end at 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// First minute of the day.
    pub from: u16,
    /// The minute after the last, 1440 at most.
    pub to: u16,
}

/// A day that is not as the week says; one of `off`, `as` and `hours` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Which day, `YYYY-MM-DD`.
    #[serde(with = "day")]
    pub date: NaiveDate,
    /// A day off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// A working day with the hours of that day of the week.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub as_: Option<DayName>,
    /// A working day with its own hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Vec<Hours>>,
    /// A remark, such as the holiday's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A day of the week as the file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayName {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl DayName {
    /// The days of the week, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// The name as the file writes it.
    pub fn as_str(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }

    /// The day of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.as_str() == name)
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once('-').and_then(|(from, to)| {
            let (from, to) = (minute(from.trim())?, minute(to.trim())?);
            Some(Self { from, to })
        });
        ends.ok_or_else(|| format!("`{text}` is no range of hours; expected such as `09:00-12:00`"))
    }
}

impl From<Hours> for String {
    fn from(Hours { from, to }: Hours) -> Self {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        format!("{}-{}", clock(from), clock(to))
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= DAY_MINUTES).then_some(of_day)
}

/// `YYYY-MM-DD` as text.
mod day {
    use chrono::NaiveDate;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(day: &NaiveDate, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&day.format("%Y-%m-%d"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveDate, D::Error> {
        let text = String::deserialize(from)?;
        NaiveDate::parse_from_str(&text, "%Y-%m-%d")
            .ok()
            .filter(|day| day.format("%Y-%m-%d").to_string() == text)
            .ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is no day; expected \"YYYY-MM-DD\""))
            })
    }
}

impl Weekly {
    /// Hours of each day, Monday first.
    pub fn days(&self) -> [&[Hours]; 7] {
        [
            &self.mon, &self.tue, &self.wed, &self.thu, &self.fri, &self.sat, &self.sun,
        ]
    }

    /// The hours of a day of the week.
    pub fn of(&self, day: DayName) -> &[Hours] {
        self.days()[day as usize]
    }
}

impl CalendarSettings {
    /// The hours of an exception's day; none when it is off.
    pub fn hours_of<'a>(&'a self, exception: &'a Exception) -> &'a [Hours] {
        match (&exception.hours, exception.as_) {
            _ if exception.off => &[],
            (Some(hours), _) => hours,
            (None, Some(day)) => self.weekly.of(day),
            (None, None) => &[],
        }
    }

    /// The law's calendar. The hours are checked when rules are applied; should stored ones be
    /// wrong all the same, such a calendar has none.
    pub fn to_calendar(&self) -> Calendar {
        let weekly = self.weekly.days().map(minutes);
        let exceptions = self.exceptions.iter();
        let exceptions = exceptions.map(|e| (e.date, minutes(self.hours_of(e))));
        Calendar::new(weekly, exceptions).unwrap_or_default()
    }

    /// The day of the week whose hours a make-up day takes when nothing else is said: the first
    /// from Monday on that has any.
    pub fn make_up_as(&self) -> Option<DayName> {
        DayName::ALL
            .into_iter()
            .find(|day| !self.weekly.of(*day).is_empty())
    }
}

/// Ranges as the law takes them.
fn minutes(hours: &[Hours]) -> Vec<(u16, u16)> {
    hours.iter().map(|range| (range.from, range.to)).collect()
}
