//! Runs the golden cases under `testdata/cases` (their form: its README).

mod facts;
mod waits;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use huicun_semantics::closing::{ClosingMatch, ClosingPhrases};
use huicun_semantics::conversation::{conversations_of, kind_of_pair, kind_of_room};
use huicun_semantics::counted::is_counted;
use huicun_semantics::dialogue::{Counted, DialogueRule, Side, cut, shape};
use huicun_semantics::reply::{self, ReplyFrom};
use huicun_semantics::role::{Role, role_of};
use huicun_semantics::time::{By, Period, Zone};
use serde_json::{Value, json};

/// Computes the answer to one case of a folder.
type Answer = fn(&Value) -> Value;

const FOLDERS: [(&str, Answer); 11] = [
    ("01-time", time),
    ("02-roles-conversations", roles_conversations),
    ("03-dialogue", dialogue),
    ("04-reply", reply),
    ("05-timeout", waits::timeout),
    ("06-calendar", waits::working_calendar),
    ("07-revisit", waits::revisit),
    ("08-words", facts::words),
    ("09-directory", facts::directory),
    ("10-group-activity", facts::group_activity),
    ("10-ranking", facts::ranking),
];

#[test]
fn check() {
    let mut wrong = Vec::new();
    for (folder, answer) in FOLDERS {
        let cases: Vec<Value> = serde_json::from_str(&read(folder, "input.json")).unwrap();
        let mut expected: BTreeMap<String, Value> =
            serde_json::from_str(&read(folder, "expected.json")).unwrap();
        assert_eq!(
            cases.len(),
            expected.len(),
            "{folder}: one expected answer for each case"
        );
        for case in &cases {
            let name = text(case, "case");
            let expected = expected.remove(name);
            let got = Some(answer(case));
            if got != expected {
                wrong.push(format!(
                    "{folder}: {name}\n  expected {expected:?}\n  got      {got:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/cases")
}

fn read(folder: &str, file: &str) -> String {
    let path = cases().join(folder).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key]
        .as_str()
        .unwrap_or_else(|| panic!("{case} has no text `{key}`"))
}

fn texts<'a>(case: &'a Value, key: &str) -> Vec<&'a str> {
    let list = case[key]
        .as_array()
        .unwrap_or_else(|| panic!("{case} has no list `{key}`"));
    list.iter().map(|item| item.as_str().unwrap()).collect()
}

fn time(case: &Value) -> Value {
    let zone = || Zone::parse(text(case, "zone")).unwrap();
    let at_ms = || {
        DateTime::parse_from_rfc3339(text(case, "at"))
            .unwrap()
            .timestamp_millis()
    };
    let period = || Period::parse(text(case, "from"), text(case, "to")).unwrap();
    match text(case, "op") {
        "day_of" => json!(zone().day_of(at_ms())),
        "rfc3339" => json!(zone().rfc3339_ms(at_ms())),
        "period" => {
            let utc = Zone::parse("UTC").unwrap();
            let (period, zone) = (period(), zone());
            assert_eq!(period.days().count() as i64, period.n_days());
            json!({
                "start": utc.rfc3339_ms(period.start_ms(zone)),
                "end": utc.rfc3339_ms(period.end_ms(zone)),
                "days": period.n_days(),
                "previous": [period.previous().from, period.previous().to],
            })
        }
        "slices" => {
            let by: By = text(case, "by").parse().unwrap();
            let slices = by.slices(&period()).into_iter();
            slices
                .map(|(label, slice)| json!([label, slice.from, slice.to]))
                .collect()
        }
        other => panic!("unknown op `{other}`"),
    }
}

fn roles_conversations(case: &Value) -> Value {
    let role = |name: &Value| serde_json::from_value::<Role>(name.clone()).unwrap();
    match text(case, "op") {
        "role" => {
            let id = text(case, "id");
            let has = |table| texts(case, table).contains(&id);
            json!(role_of(id, has("employees"), has("customers")).as_str())
        }
        "conversations" => {
            json!(conversations_of(
                text(case, "from"),
                &texts(case, "to"),
                text(case, "room")
            ))
        }
        "kind" => {
            let kind = match case["room_has_customer"].as_bool() {
                Some(has_customer) => kind_of_room(has_customer),
                None => kind_of_pair(role(&case["pair"][0]), role(&case["pair"][1])),
            };
            assert_eq!(kind.is_external(), kind.as_str().ends_with("external"));
            assert_eq!(kind.is_group(), kind.as_str().starts_with("group"));
            json!(kind.as_str())
        }
        "counted" => {
            json!(is_counted(
                text(case, "action"),
                text(case, "msgtype"),
                role(&case["from"])
            ))
        }
        other => panic!("unknown op `{other}`"),
    }
}

fn dialogue(case: &Value) -> Value {
    let match_ = match case["match"].as_str() {
        Some("contains") => ClosingMatch::Contains,
        _ => ClosingMatch::Exact,
    };
    let phrases = ClosingPhrases::new(&["谢谢".to_owned()], match_);
    let messages = messages(case, &phrases);
    let rule = DialogueRule {
        gap_ms: case["gap_minutes"].as_i64().unwrap_or(30) * 60_000,
        grace_ms: case["grace_seconds"].as_i64().unwrap_or(0) * 1_000,
    };
    let mut ranges = Vec::new();
    cut(&messages, &rule, &mut ranges);
    let mut answers = Vec::new();
    for range in ranges {
        let shape = shape(&messages[range.clone()]);
        let mut answer = format!(
            "{range:?} {} {}s E{} C{}",
            shape.opened_by.as_str(),
            seconds(shape.duration_ms()),
            shape.n_employee,
            shape.n_customer
        );
        if shape.effective() {
            answer.push_str(" effective");
        }
        answers.push(answer);
    }
    json!(answers)
}

fn reply(case: &Value) -> Value {
    let dialogue = messages(case, &ClosingPhrases::new(&[], ClosingMatch::Exact));
    let from = match case["from"].as_str() {
        Some("last") => ReplyFrom::Last,
        _ => ReplyFrom::First,
    };
    let view: Option<Vec<u32>> = case["view"]
        .is_array()
        .then(|| texts(case, "view").into_iter().map(speaker).collect());
    let is_in_view = |speaker| view.as_ref().is_none_or(|view| view.contains(&speaker));
    let mut replies = Vec::new();
    reply::replies_in_view(&dialogue, is_in_view, from, &mut replies);
    let first_reply = reply::first_reply_in_view(&dialogue, is_in_view, from);
    let unanswered = reply::unanswered_turn_in_view(&dialogue, is_in_view);
    // Where the view is one employee or all, the plain functions must say the same.
    if let None | Some([_]) = view.as_deref() {
        let view_of = view.as_deref().map(|view| view[0]);
        let mut plain = Vec::new();
        reply::replies(&dialogue, view_of, from, &mut plain);
        assert_eq!(plain, replies);
        assert_eq!(reply::first_reply(&dialogue, view_of, from), first_reply);
        assert_eq!(reply::unanswered_turn(&dialogue, view_of), unanswered);
    }
    let line = |r: &reply::Reply| {
        format!(
            "{}-{} -> {} {}s",
            r.turn_first,
            r.turn_last,
            r.reply,
            seconds(r.interval_ms)
        )
    };
    json!({
        "replies": replies.iter().map(line).collect::<Vec<_>>(),
        "first_reply_seconds": first_reply.map(seconds),
        "unanswered": unanswered.map(|turn| format!("{}-{}", turn.first, turn.last)),
    })
}

/// Messages written `C1 10:00:00.000 text`; their order is their seq.
fn messages(case: &Value, phrases: &ClosingPhrases) -> Vec<Counted> {
    let mut messages = Vec::new();
    for (seq, line) in texts(case, "messages").into_iter().enumerate() {
        let mut words = line.splitn(3, ' ');
        let (who, time) = (words.next().unwrap(), words.next().unwrap());
        messages.push(Counted {
            at_ms: clock_ms(time),
            seq: seq as i64,
            speaker: speaker(who),
            side: if who.starts_with('C') {
                Side::Customer
            } else {
                Side::Employee
            },
            closes: phrases.is_closing(words.next().unwrap_or_default()),
        });
    }
    messages
}

fn speaker(name: &str) -> u32 {
    name[1..].parse().unwrap()
}

/// `10:00:00.000` in milliseconds from midnight.
fn clock_ms(time: &str) -> i64 {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "000"));
    let fields: Vec<i64> = whole
        .split(':')
        .map(|field| field.parse().unwrap())
        .collect();
    ((fields[0] * 60 + fields[1]) * 60 + fields[2]) * 1_000 + fraction.parse::<i64>().unwrap()
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}
