//! Random rules to go with random companies: every option in every setting, valid all the same.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::calendar::{Calendar, DayException, Hours};
use super::random::{EMPLOYEES, pick};
use super::rules::{
    BehaviourRule, ClosingMatch, GroupActivity, Numbering, ReplyClock, ReplyFrom, Revisit, Rules,
    SensitiveRule, Threshold, TimeoutFrom, TimeoutRule,
};

/// Rules to go with a random company of the same seed.
///
/// # Panics
/// Never: the dates in it are written out.
pub fn random_rules(seed: u64) -> Rules {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    let rng = &mut rng;
    let mut rules = Rules::default();
    if rng.random_bool(0.2) {
        rules.zone = chrono_tz::UTC;
    }
    rules.single_gap_minutes = pick(rng, &[30, 30, 10]);
    rules.group_gap_minutes = pick(rng, &[30, 30, 10]);
    for phrase in ["谢谢", "好的谢谢", " OK！", "[强]", "？！"] {
        if rng.random_bool(0.6) {
            rules.closing_phrases.push(phrase.to_owned());
        }
    }
    if rng.random_bool(0.25) {
        rules.closing_match = ClosingMatch::Contains;
    }
    rules.closing_grace_seconds = pick(rng, &[0, 0, 60, 180]);
    if rng.random_bool(0.25) {
        rules.reply_from = ReplyFrom::Last;
    }
    rules.calendars = calendars(rng);
    if rng.random_bool(0.5) {
        rules.reply_calendar = Some(calendar_name(rng));
        if rng.random_bool(0.5) {
            rules.reply_clock = ReplyClock::Working;
        }
    }
    if rng.random_bool(0.4) {
        rules.timeout_from = TimeoutFrom::First;
    }
    if rng.random_bool(0.5) {
        rules.no_answer_phrases = vec!["1".to_owned(), "在吗".to_owned()];
    }
    if rng.random_bool(0.5) {
        rules.no_answer_types = vec!["image".to_owned(), "voiptext".to_owned()];
    }
    rules.timeout_rules = timeout_rules(rng);
    rules.revisit = revisit(rng);
    rules.sensitive_rules = sensitive_rules(rng);
    for kind in ["red_packet", "card", "sensitive_word", "friend_deleted"] {
        if rng.random_bool(0.8) {
            rules.behaviours.insert(kind.to_owned(), behaviour(rng));
        }
    }
    rules.group_activity = group_activity(rng);
    rules
}

fn calendar_name(rng: &mut ChaCha8Rng) -> String {
    pick(rng, &["office", "nights", "never"]).to_owned()
}

/// An office with breaks, holidays and make-up days; night shifts over midnight; one that never works
/// but for a day.
fn calendars(rng: &mut ChaCha8Rng) -> Vec<Calendar> {
    let day = |n: u32| {
        chrono::NaiveDate::from_ymd_opt(2024, 9, 27).unwrap_or_default()
            + chrono::Days::new(u64::from(n))
    };
    let mut exceptions = |hours: Hours| {
        let mut found = Vec::new();
        for n in 0..8 {
            let exception = match rng.random_range(0..8) {
                0 => DayException::Off,
                1 => DayException::As(rng.random_range(0..7)),
                2 => DayException::Hours(hours.clone()),
                _ => continue,
            };
            found.push((day(n), exception));
        }
        found
    };
    let mut office: [Hours; 7] = Default::default();
    office[..5].fill(vec![(9 * 60, 12 * 60), (13 * 60 + 30, 18 * 60)]);
    office[5] = vec![(20 * 60, 20 * 60 + 1), (23 * 60, 24 * 60)];
    let mut nights: [Hours; 7] = Default::default();
    nights.fill(vec![(0, 6 * 60), (22 * 60, 24 * 60)]);
    nights[6] = Vec::new();
    vec![
        Calendar {
            name: "office".to_owned(),
            weekly: office,
            exceptions: exceptions(vec![(0, 24 * 60)]),
        },
        Calendar {
            name: "nights".to_owned(),
            weekly: nights,
            exceptions: exceptions(vec![(6 * 60, 6 * 60 + 10)]),
        },
        Calendar {
            name: "never".to_owned(),
            weekly: Default::default(),
            exceptions: vec![(day(3), DayException::Hours(vec![(9 * 60, 9 * 60 + 30)]))],
        },
    ]
}

fn timeout_rules(rng: &mut ChaCha8Rng) -> Vec<TimeoutRule> {
    let mut rules = Vec::new();
    for n in 0..rng.random_range(0..4) {
        let mut levels: Vec<u32> = [1, 3, 10, 30, 180]
            .into_iter()
            .filter(|_| rng.random_bool(0.5))
            .collect();
        if levels.is_empty() {
            levels.push(10);
        }
        let kinds = pick(rng, &[(true, true), (true, false), (false, true)]);
        let coverage = rng.random_range(0..4);
        let has = |one: bool, ids: &[&str]| -> Vec<String> {
            let ids = ids.iter().filter(|_| one);
            ids.map(|id| (*id).to_owned()).collect()
        };
        let employee = pick(rng, &EMPLOYEES);
        let department = pick(rng, &["1", "11", "12"]);
        rules.push(TimeoutRule {
            name: format!("规则{n}"),
            enabled: rng.random_bool(0.85),
            single: kinds.0,
            group: kinds.1,
            employees: has(coverage == 0 || coverage == 1, &[employee, "ghost"]),
            departments: has(coverage == 1 || coverage == 2, &[department]),
            calendar: rng.random_bool(0.5).then(|| calendar_name(rng)),
            levels,
        });
    }
    rules
}

fn revisit(rng: &mut ChaCha8Rng) -> Revisit {
    let evidence = pick(rng, &[(true, true), (true, false), (false, true)]);
    Revisit {
        enabled: rng.random_bool(0.9),
        days: pick(rng, &[vec![2, 3, 5, 7], vec![2], vec![2, 3, 4, 5, 7, 10]]),
        numbering: pick(rng, &[Numbering::Ordinal, Numbering::Offset]),
        skip_non_working: rng.random_bool(0.5).then(|| calendar_name(rng)),
        evidence_chat: evidence.0,
        evidence_followup: evidence.1,
        employee_must_send: rng.random_bool(0.4),
    }
}

fn sensitive_rules(rng: &mut ChaCha8Rng) -> Vec<SensitiveRule> {
    let rules = [
        ("飞单", "加我微信，私下转账"),
        ("转账", "转账"),
        ("服务", " 您好，发货,发货"),
    ];
    rules
        .into_iter()
        .map(|(name, words)| SensitiveRule {
            name: name.to_owned(),
            words: words.to_owned(),
            class: pick(rng, &["negative", "neutral", "positive"]).to_owned(),
            enabled: rng.random_bool(0.7),
            normalised: rng.random_bool(0.5),
        })
        .collect()
}

fn behaviour(rng: &mut ChaCha8Rng) -> BehaviourRule {
    let audited = pick(rng, &[(true, true), (true, false), (false, true)]);
    let mut employees = Vec::new();
    if rng.random_bool(0.4) {
        employees.push(pick(rng, &EMPLOYEES).to_owned());
        employees.push("ghost".to_owned());
    }
    BehaviourRule {
        enabled: rng.random_bool(0.8),
        audits_employees: audited.0,
        audits_customers: audited.1,
        employees,
    }
}

fn group_activity(rng: &mut ChaCha8Rng) -> GroupActivity {
    let mut threshold = |values: &[f64]| Threshold {
        op: pick(rng, &[">", ">=", ">=", "<", "<=", "="]).to_owned(),
        value: pick(rng, values),
    };
    let conditions = [
        ("messages", threshold(&[1.0, 2.0])),
        ("material_views", threshold(&[0.0, 1.0])),
        ("material_shares", threshold(&[0.0, 1.0])),
        ("material_dwell_seconds", threshold(&[0.0, 60.0])),
        ("orders", threshold(&[0.0, 1.0])),
    ];
    let activity_ratio = threshold(&[0.14, 0.25, 0.5]);
    let speech_ratio = threshold(&[0.01, 0.1, 1.0]);
    let mut conditions: Vec<(String, Threshold)> = conditions
        .into_iter()
        .map(|(measure, threshold)| (measure.to_owned(), threshold))
        .collect();
    let n = rng.random_range(1..=2);
    while conditions.len() > n {
        let index = rng.random_range(0..conditions.len());
        conditions.remove(index);
    }
    GroupActivity {
        window_days: pick(rng, &[1, 7, 30]),
        conditions,
        activity_ratio,
        speech_ratio,
    }
}
