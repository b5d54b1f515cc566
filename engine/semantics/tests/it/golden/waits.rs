//! Golden cases of waits: timeouts, working calendars, revisits (semantics 5-7).

use chrono::{DateTime, NaiveDate};
use huicun_semantics::calendar::{Calendar, Hours, parse_range};
use huicun_semantics::closing::{ClosingMatch, ClosingPhrases};
use huicun_semantics::revisit::{due_date, is_due};
use huicun_semantics::time::Zone;
use huicun_semantics::timeout::{Levels, TimerFrom, TimerMessage, reached, shown, timers};
use serde_json::{Value, json};

use super::{messages, seconds, text};

/// A calendar of `calendars.json`, written as in the rules.
fn calendar(name: &str) -> Calendar {
    let calendars = std::fs::read_to_string(super::cases().join("calendars.json")).unwrap();
    let calendars: Value = serde_json::from_str(&calendars).unwrap();
    let written = calendars
        .get(name)
        .unwrap_or_else(|| panic!("no calendar `{name}`"));
    let hours = |ranges: &Value| -> Hours {
        let ranges = ranges.as_array().into_iter().flatten();
        ranges
            .map(|range| parse_range(range.as_str().unwrap()).unwrap())
            .collect()
    };
    let of_weekday = |name: &str| hours(&written["weekly"][name]);
    let weekly = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(of_weekday);
    let exceptions = written["exceptions"].as_array().into_iter().flatten();
    let exceptions = exceptions.map(|exception| {
        let hours = match exception["as"].as_str() {
            Some(weekday) => of_weekday(weekday),
            None => hours(&exception["hours"]),
        };
        (day(exception, "date"), hours)
    });
    Calendar::new(weekly, exceptions).unwrap()
}

fn named_calendar(case: &Value) -> Option<Calendar> {
    case["calendar"].as_str().map(calendar)
}

fn zone(case: &Value) -> Zone {
    let name = case["zone"].as_str();
    name.map_or(Zone::default(), |name| Zone::parse(name).unwrap())
}

fn day(case: &Value, key: &str) -> NaiveDate {
    text(case, key).parse().unwrap()
}

fn at_ms(case: &Value, key: &str) -> i64 {
    DateTime::parse_from_rfc3339(text(case, key))
        .unwrap()
        .timestamp_millis()
}

pub(super) fn timeout(case: &Value) -> Value {
    let midnight_ms = match case["date"].as_str() {
        Some(date) => Zone::default().day_start_ms(date.parse().unwrap()),
        None => Zone::default().day_start_ms("2024-09-25".parse().unwrap()),
    };
    let from = match case["from"].as_str() {
        Some("first") => TimerFrom::First,
        _ => TimerFrom::Last,
    };
    let phrases = ClosingPhrases::new(&["谢谢".to_owned()], ClosingMatch::Exact);
    let messages: Vec<TimerMessage> = messages(case, &phrases)
        .into_iter()
        .map(|message| TimerMessage {
            at_ms: midnight_ms + message.at_ms,
            speaker: message.speaker,
            side: message.side,
            needs_no_answer: message.closes,
        })
        .collect();
    let levels: Vec<u32> = match case["levels"].as_array() {
        Some(levels) => levels.iter().map(|n| n.as_u64().unwrap() as u32).collect(),
        None => vec![10, 30],
    };
    let calendar = named_calendar(case);
    let levels = Levels {
        after_minutes: &levels,
        calendar: calendar.as_ref(),
    };
    let (mut found, mut fired) = (Vec::new(), Vec::new());
    timers(&messages, from, &mut found);
    let (mut timer_lines, mut timeout_lines) = (Vec::new(), Vec::new());
    for timer in &found {
        let customer = timer.customer;
        let end = timer.end.map_or(String::new(), |end| end.to_string());
        let answer = match timer.answer {
            Some(answer) => format!("answer {answer}"),
            None => "open".to_owned(),
        };
        timer_lines.push(format!("C{customer} {}..{end} {answer}", timer.start));
        let start_ms = messages[timer.start].at_ms;
        let end_ms = timer.end.map(|end| messages[end].at_ms);
        reached(&levels, Zone::default(), start_ms, end_ms, &mut fired);
        let Some(fired_ms) = fired.first() else {
            continue;
        };
        let times: Vec<String> = fired.iter().map(|ms| clock(ms - midnight_ms)).collect();
        let mut waited = match timer.answer {
            Some(answer) => format!("waited {}s", seconds(messages[answer].at_ms - start_ms)),
            None => "open".to_owned(),
        };
        if let (Some(calendar), Some(answer)) = (&calendar, timer.answer) {
            let working_ms = calendar.working_ms(Zone::default(), start_ms, messages[answer].at_ms);
            waited.push_str(&format!(", working {}s", seconds(working_ms)));
        }
        let shown = shown(&messages, timer, from, *fired_ms);
        timeout_lines.push(format!(
            "C{customer} shows {shown}: {}, {waited}",
            times.join(" ")
        ));
    }
    json!({"timers": timer_lines, "timeouts": timeout_lines})
}

/// `10:00:00.000`, on past 24:00.
fn clock(ms: i64) -> String {
    let (s, m) = (ms / 1_000, ms / 60_000);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        m / 60,
        m % 60,
        s % 60,
        ms % 1_000
    )
}

pub(super) fn working_calendar(case: &Value) -> Value {
    let (calendar, zone) = (named_calendar(case).unwrap(), zone(case));
    match text(case, "op") {
        "working" => {
            let ms = calendar.working_ms(zone, at_ms(case, "from"), at_ms(case, "to"));
            // Whole seconds are written without a fraction in the answers.
            if ms % 1_000 == 0 {
                json!(ms / 1_000)
            } else {
                json!(seconds(ms))
            }
        }
        "after" => {
            let wait_ms = case["minutes"].as_i64().unwrap() * 60_000;
            let up_ms = calendar.after_working(zone, at_ms(case, "from"), wait_ms);
            json!(up_ms.map(|up_ms| zone.rfc3339_ms(up_ms)))
        }
        "hours" => {
            let day = day(case, "day");
            let hours = calendar.hours_of(day);
            assert_eq!(calendar.is_working_day(day), !hours.is_empty());
            json!(hours)
        }
        "next" => json!(calendar.next_working_day(day(case, "day"))),
        other => panic!("unknown op `{other}`"),
    }
}

pub(super) fn revisit(case: &Value) -> Value {
    match text(case, "op") {
        "due" => {
            let numbering = match &case["numbering"] {
                Value::Null => Default::default(),
                named => serde_json::from_value(named.clone()).unwrap(),
            };
            let n = case["n"].as_u64().unwrap() as u32;
            let calendar = named_calendar(case);
            json!(due_date(
                day(case, "added"),
                n,
                numbering,
                calendar.as_ref()
            ))
        }
        "is_due" => {
            let lost_ms = case["lost"].is_string().then(|| at_ms(case, "lost"));
            json!(is_due(zone(case).day_start_ms(day(case, "date")), lost_ms))
        }
        other => panic!("unknown op `{other}`"),
    }
}
