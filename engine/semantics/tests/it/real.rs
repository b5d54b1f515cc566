//! Working time against the results of other tools, and long lists of words, where `../shared/data`
//! is at hand (semantics 6, 8).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate};
use huicun_semantics::calendar::{Calendar, Hours, parse_range};
use huicun_semantics::time::Zone;
use huicun_semantics::words::{WordMatch, WordRule, Words};
use serde_json::Value;

fn shared_data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.is_dir() {
        eprintln!("skipped: no {}", data.display());
        return None;
    }
    Some(data)
}

fn hours(ranges: &Value) -> Hours {
    let ranges = ranges.as_array().into_iter().flatten();
    let text = |end: &Value| end.as_str().unwrap().to_owned();
    ranges
        .map(|range| parse_range(&format!("{}-{}", text(&range[0]), text(&range[1]))).unwrap())
        .collect()
}

fn at_ms(text: &Value) -> i64 {
    DateTime::parse_from_rfc3339(text.as_str().unwrap())
        .unwrap()
        .timestamp_millis()
}

fn assert_working(case: &Value, calendar: &Calendar, zone: Zone) {
    let (from_ms, to_ms) = (at_ms(&case["from"]), at_ms(&case["to"]));
    let expected_ms = case["expected_s"].as_i64().unwrap() * 1_000;
    assert_eq!(
        calendar.working_ms(zone, from_ms, to_ms),
        expected_ms,
        "{case}"
    );
}

#[test]
fn working_time_in_china_is_that_of_other_tools() {
    let Some(data) = shared_data() else { return };
    let days = std::fs::read_to_string(data.join("holidays_cn.csv")).unwrap();
    let days: Vec<(NaiveDate, bool)> = days
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[0].parse().unwrap(), fields[3] == "work")
        })
        .collect();
    let cases = std::fs::read_to_string(data.join("expected/working_time_cn.jsonl")).unwrap();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let office = hours(&case["schedule"]);
        let weekly = std::array::from_fn(|day| if day < 5 { office.clone() } else { vec![] });
        let exceptions = days
            .iter()
            .map(|(day, works)| (*day, if *works { office.clone() } else { vec![] }));
        let calendar = Calendar::new(weekly, exceptions).unwrap();
        assert_working(&case, &calendar, Zone::default());
    }
}

#[test]
fn working_time_is_that_of_peers() {
    let Some(data) = shared_data() else { return };
    let peers = std::fs::read_to_string(data.join("expected/working_time_peers.json")).unwrap();
    let peers: Value = serde_json::from_str(&peers).unwrap();
    for case in peers["vectors"].as_array().unwrap() {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let weekly = std::array::from_fn(|day| match case["default"].as_bool() {
            Some(_) if day < 5 => vec![(9 * 60, 17 * 60)],
            Some(_) => vec![],
            None => hours(&case["hours"][names[day]]),
        });
        let zone = Zone::parse(case["tz"].as_str().unwrap_or("UTC")).unwrap();
        assert_working(case, &Calendar::new(weekly, []).unwrap(), zone);
    }
}

#[test]
fn fifty_thousand_words_are_found_where_a_set_of_them_says() {
    let Some(data) = shared_data() else { return };
    let lines = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(data.join("words").join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let listed = lines("dict_ecommerce.txt");
    let set: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let n_chars_max = listed
        .iter()
        .map(|word| word.chars().count())
        .max()
        .unwrap();
    let rule = WordRule {
        words: &listed,
        match_: WordMatch::Exact,
    };
    let words = Words::new(&[rule]);
    let mut n_hits = 0;
    for texts in listed.chunks(8).step_by(40) {
        let text = texts.concat();
        let chars: Vec<char> = text.chars().collect();
        let mut expected = HashSet::new();
        for start in 0..chars.len() {
            for end in start + 1..=chars.len().min(start + n_chars_max) {
                let part: String = chars[start..end].iter().collect();
                if set.contains(part.as_str()) {
                    expected.insert((start, end));
                }
            }
        }
        let found: HashSet<_> = words
            .hits(&text)
            .iter()
            .map(|hit| (hit.start, hit.end))
            .collect();
        assert_eq!(found, expected, "{text}");
        n_hits += found.len();
    }
    assert!(n_hits > 1_000, "only {n_hits} hits");
}
