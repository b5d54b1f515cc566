//! Days, periods and instants in the company's time zone (semantics 1).

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

/// A period `[from, to]` of days, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// A part of a period with its label.
pub(super) struct Slice {
    pub(super) label: String,
    pub(super) period: Period,
}

impl Period {
    /// # Panics
    /// If a day is not written YYYY-MM-DD: the caller is a test.
    pub(super) fn parse(from: &str, to: &str) -> Self {
        Self {
            from: parse_day(from),
            to: parse_day(to),
        }
    }

    pub(super) fn contains(&self, day: NaiveDate) -> bool {
        self.from <= day && day <= self.to
    }

    pub(super) fn has(&self, ms: i64, zone: Tz) -> bool {
        self.contains(day_of(ms, zone))
    }

    pub(super) fn n_days(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// As many days directly before.
    pub(super) fn previous(&self) -> Self {
        Self {
            from: self.from - TimeDelta::days(self.n_days()),
            to: self.to - TimeDelta::days(self.n_days()),
        }
    }

    /// The whole without a label, or with `by` its slices with theirs.
    pub(super) fn parts(&self, by: Option<&str>) -> Vec<(Option<String>, Period)> {
        match by {
            None => vec![(None, *self)],
            Some(by) => self
                .slices(by)
                .into_iter()
                .map(|slice| (Some(slice.label), slice.period))
                .collect(),
        }
    }

    /// The last millisecond of the period.
    pub(super) fn last_ms(&self, zone: Tz) -> i64 {
        day_start_ms(self.to + Days::new(1), zone) - 1
    }

    /// The period cut into days, weeks (Monday first) or months, each cut at the period's ends.
    ///
    /// # Panics
    /// If `by` is none of `day`, `week` and `month`.
    pub(super) fn slices(&self, by: &str) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::new();
        let mut day = self.from;
        while day <= self.to {
            let label = match by {
                "day" => day.to_string(),
                "week" => monday_of(day).to_string(),
                "month" => day.format("%Y-%m").to_string(),
                other => panic!("`by` is day, week or month, not `{other}`"),
            };
            match slices.last_mut() {
                Some(last) if last.label == label => last.period.to = day,
                _ => slices.push(Slice {
                    label,
                    period: Period { from: day, to: day },
                }),
            }
            day = day + Days::new(1);
        }
        slices
    }
}

pub(super) fn parse_day(text: &str) -> NaiveDate {
    match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(day) => day,
        Err(error) => panic!("`{text}` is not a day: {error}"),
    }
}

fn monday_of(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

fn utc(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// The calendar day on which an instant falls.
pub(super) fn day_of(ms: i64, zone: Tz) -> NaiveDate {
    utc(ms).with_timezone(&zone).date_naive()
}

/// An instant as RFC 3339 with milliseconds in the zone.
pub(super) fn rfc3339(ms: i64, zone: Tz) -> String {
    utc(ms)
        .with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

/// The first instant of a day; where the clocks skip midnight, the first that exists.
pub(super) fn day_start_ms(day: NaiveDate, zone: Tz) -> i64 {
    instant_ms(day, 0, zone)
}

/// The instant at which the clocks show so many minutes after midnight; 1440 is the next midnight.
pub(super) fn instant_ms(day: NaiveDate, minutes: u32, zone: Tz) -> i64 {
    let mut local = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minutes));
    loop {
        if let Some(instant) = local.and_local_timezone(zone).earliest() {
            return instant.timestamp_millis();
        }
        local += TimeDelta::minutes(1);
    }
}
