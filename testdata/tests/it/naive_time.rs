//! The naive model by hand: reply times, working time, timeouts and revisits (semantics 4 to 7, 10.9).

use huicun_testdata::naive::{
    Calendar, DayException, Numbering, ReplyClock, Rules, TimeoutFrom, TimeoutRule, random_rules,
};
use serde_json::{Value, json};

use crate::case::{Case, DAY, HOUR, MINUTE, SECOND, T0, assert_row, employee};

/// Every day 09:00-12:00 and 13:30-18:00, but not on 2024-10-03.
fn office() -> Calendar {
    let mut weekly: [Vec<(u32, u32)>; 7] = Default::default();
    weekly.fill(vec![(540, 720), (810, 1080)]);
    Calendar {
        name: "office".to_owned(),
        weekly,
        exceptions: vec![("2024-10-03".parse().unwrap(), DayException::Off)],
    }
}

fn rule(levels: &[u32]) -> TimeoutRule {
    TimeoutRule {
        name: "default".to_owned(),
        enabled: true,
        single: true,
        group: true,
        employees: Vec::new(),
        departments: Vec::new(),
        calendar: None,
        levels: levels.to_vec(),
    }
}

fn fired(case: &Case) -> Vec<Value> {
    case.company.timeouts("2024-10-01", "2024-10-01")
}

#[test]
fn rules_survive_being_written_and_read() {
    for seed in 0..200 {
        let rules = random_rules(seed);
        assert_eq!(Rules::from_toml(&rules.to_toml()), rules, "seed {seed}");
    }
}

#[test]
fn percentiles_are_by_nearest_rank_and_shares_include_the_limit() {
    let mut case = Case::default();
    // First replies of 10 s, 60 s and 100 s; the last dialogue has a second reply of 301 s.
    for (n, seconds) in [10, 60, 100].into_iter().enumerate() {
        let start = T0 + n as i64 * HOUR;
        case.chat(&[('c', start), ('e', start + seconds * SECOND)]);
    }
    let second = T0 + 2 * HOUR + 200 * SECOND;
    case.chat(&[('c', second), ('e', second + 301 * SECOND)]);
    let row = employee(&case.company, "zhang");
    assert_row(
        &row,
        json!({
            "first_reply_p50_seconds": 60.0, // 2 of 3 are at or below it
            "first_reply_p90_seconds": 100.0, "first_reply_p99_seconds": 100.0,
            "reply_p50_seconds": 60.0, // 2 of 4
            "reply_p90_seconds": 301.0,
            "first_reply_within_1m": 2.0 / 3.0, "first_reply_within_3m": 1.0,
            "reply_within_1m": 0.5, "reply_within_3m": 0.75, "reply_within_5m": 0.75,
            "reply_within_10m": 1.0, "reply_within_30m": 1.0,
        }),
    );
    assert!(row.get("reply_p50_working_seconds").is_none()); // no calendar is named
}

#[test]
fn working_time_stands_beside_the_clock_and_may_be_the_clock() {
    let mut case = Case::default();
    case.company.rules().calendars = vec![office()];
    case.company.rules().reply_calendar = Some("office".to_owned());
    // 08:00:00 to 08:00:30: no working time. 11:59:00 to 13:31:00: 92 minutes, 2 of them working.
    case.chat(&[('c', T0), ('e', T0 + 30 * SECOND)]);
    let noon = T0 + 4 * HOUR;
    case.chat(&[('c', noon - MINUTE), ('c', noon + 10 * MINUTE)]);
    case.chat(&[('c', noon + 35 * MINUTE), ('c', noon + 60 * MINUTE)]);
    case.chat(&[('c', noon + 80 * MINUTE), ('e', noon + 91 * MINUTE)]);
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"first_reply_avg_seconds": 2775.0, // (30 + 5520) / 2
        "first_reply_avg_working_seconds": 60.0, // (0 + 120) / 2
        "reply_avg_seconds": 2775.0, "reply_avg_working_seconds": 120.0, // the zero is left out
        "reply_time_total_seconds": 5550.0,
        "first_reply_p50_seconds": 30.0, "first_reply_p50_working_seconds": 0.0,
        "reply_p99_working_seconds": 120.0, "first_reply_3m": 0.5}),
    );
    case.company.rules().reply_clock = ReplyClock::Working;
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"first_reply_avg_seconds": 60.0, "first_reply_avg_working_seconds": 60.0,
        "reply_avg_seconds": 120.0, "reply_time_total_seconds": 120.0,
        "first_reply_1m": 0.5, "first_reply_3m": 1.0, "first_reply_within_3m": 1.0}),
    );
    let dialogues = case.company.dialogues("2024-10-01", "2024-10-01");
    assert_row(&dialogues[1], json!({"first_reply_seconds": 120.0}));
}

#[test]
fn an_answer_at_exactly_the_deadline_comes_too_late() {
    let mut case = Case::default();
    case.company.rules().timeout_rules = vec![rule(&[10, 30])];
    case.chat(&[('c', T0), ('e', T0 + 10 * MINUTE)]);
    case.chat(&[('c', T0 + HOUR), ('e', T0 + HOUR + 10 * MINUTE - 1)]);
    case.chat(&[('c', T0 + 2 * HOUR)]);
    let rows = fired(&case);
    assert_eq!(rows.len(), 2);
    assert_row(
        &rows[0],
        json!({"conversation": "wmanna|zhang", "kind": "single_external", "customer": "wmanna",
        "employees": ["zhang"], "message_id": "m1", "level": 1, "waited_seconds": 600.0,
        "last_message_at": "2024-10-01T08:00:00.000+08:00",
        "fired_at": "2024-10-01T08:10:00.000+08:00",
        "answered_at": "2024-10-01T08:10:00.000+08:00"}),
    );
    assert!(rows[0].get("waited_working_seconds").is_none());
    assert_row(
        &rows[1],
        json!({"message_id": "m5", "level": 2, "answered_at": null, "waited_seconds": null}),
    );
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"timeouts": 2, "timeout_customers": 1, "open_waits": 1, "unanswered": 1}),
    );
    // Now is before the deadline of level 2; then before that of level 1.
    case.company.rules().now_ms = Some(T0 + 2 * HOUR + 30 * MINUTE - 1);
    assert_row(&fired(&case)[1], json!({"level": 1}));
    case.company.rules().now_ms = Some(T0 + 2 * HOUR + 10 * MINUTE - 1);
    assert_eq!(fired(&case).len(), 1);
    // Before the last question nothing waits.
    case.company.rules().now_ms = Some(T0 + 2 * HOUR - 1);
    assert_row(&employee(&case.company, "zhang"), json!({"open_waits": 0}));
}

#[test]
fn the_timer_runs_from_the_last_message_or_from_the_first() {
    let mut case = Case::default();
    case.company.rules().timeout_rules = vec![rule(&[10])];
    // 0, 8 and 20 minutes; an answer after 25. Last: 8 to 20 is 12 minutes, 20 to 25 is 5.
    case.chat(&[
        ('c', T0),
        ('c', T0 + 8 * MINUTE),
        ('c', T0 + 20 * MINUTE),
        ('e', T0 + 25 * MINUTE),
    ]);
    let rows = fired(&case);
    assert_eq!(rows.len(), 1);
    // It stays open until the employee's message.
    assert_row(
        &rows[0],
        json!({"message_id": "m2", "fired_at": "2024-10-01T08:18:00.000+08:00",
        "waited_seconds": 1020.0}),
    );
    case.company.rules().timeout_from = TimeoutFrom::First;
    let rows = fired(&case);
    assert_eq!(rows.len(), 1);
    // It fired at 08:10 and shows the latest message then; the wait is from the first.
    assert_row(
        &rows[0],
        json!({"message_id": "m2", "last_message_at": "2024-10-01T08:08:00.000+08:00",
        "fired_at": "2024-10-01T08:10:00.000+08:00", "waited_seconds": 1500.0}),
    );
}

#[test]
fn who_asked_and_says_thanks_still_waits() {
    let mut case = Case::default();
    case.company.rules().timeout_rules = vec![rule(&[10])];
    case.chat(&[('c', T0)]);
    case.say("wmanna", &["zhang"], "", T0 + 5 * MINUTE, "谢谢！");
    case.say("wmanna", &["zhang"], "", T0 + 6 * MINUTE, "１");
    case.send(
        json!({"from": "wmanna", "tolist": ["zhang"], "msgtime": T0 + 7 * MINUTE,
        "msgtype": "image"}),
    );
    let shown = |case: &Case| -> Vec<String> {
        let rows = fired(case);
        let ids = rows.iter().map(|row| row["message_id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    };
    assert_eq!(shown(&case), ["m4"]); // each pushes the timer on
    case.company.rules().closing_phrases = vec!["谢谢".to_owned()];
    case.company.rules().no_answer_types = vec!["image".to_owned()];
    assert_eq!(shown(&case), ["m3"]);
    case.company.rules().no_answer_phrases = vec!["1".to_owned()];
    assert_eq!(shown(&case), ["m1"]);
    assert_row(&employee(&case.company, "zhang"), json!({"open_waits": 1}));
}

#[test]
fn a_rule_with_a_calendar_counts_working_time_only() {
    let mut case = Case::default();
    case.company.rules().calendars = vec![office()];
    let mut with_calendar = rule(&[10, 15]);
    with_calendar.calendar = Some("office".to_owned());
    case.company.rules().timeout_rules = vec![with_calendar];
    // 11:55 to 13:41: 106 minutes, of them 5 before noon and 11 after the break.
    let asked = T0 + 3 * HOUR + 55 * MINUTE;
    case.chat(&[('c', asked), ('e', asked + 106 * MINUTE)]);
    assert_row(
        &fired(&case)[0],
        json!({"fired_at": "2024-10-01T13:35:00.000+08:00", "level": 2,
        "waited_seconds": 6360.0, "waited_working_seconds": 960.0}),
    );
}

#[test]
fn the_first_enabled_rule_that_covers_the_employee_governs() {
    let mut case = Case::default();
    case.row("departments", json!({"id": "1", "name": "总部"}));
    case.row(
        "departments",
        json!({"id": "11", "name": "客服", "parent_id": "1"}),
    );
    case.row(
        "employees",
        json!({"userid": "zhang", "name": "张三", "departments": ["11"]}),
    );
    let named = |mut rule: TimeoutRule, employees: &[&str], departments: &[&str]| {
        rule.employees = employees.iter().map(|id| (*id).to_owned()).collect();
        rule.departments = departments.iter().map(|id| (*id).to_owned()).collect();
        rule
    };
    let mut off = rule(&[1]);
    off.enabled = false;
    let mut for_groups = rule(&[2]);
    for_groups.single = false;
    case.company.rules().timeout_rules = vec![
        off,
        for_groups,
        named(rule(&[3]), &["li"], &[]),
        named(rule(&[4]), &["li"], &["1"]),
        rule(&[5]),
    ];
    case.chat(&[('c', T0)]);
    assert_row(
        &fired(&case)[0],
        json!({"fired_at": "2024-10-01T08:04:00.000+08:00"}),
    );
    // Before he joined the department, the rule for all; the timer's start decides.
    case.row(
        "department_members",
        json!({"userid": "zhang", "department_id": "11", "from_time": T0 + 1}),
    );
    assert_row(
        &fired(&case)[0],
        json!({"fired_at": "2024-10-01T08:05:00.000+08:00"}),
    );
}

#[test]
fn a_group_timeout_names_the_members_and_belongs_to_the_responsible() {
    let mut case = Case::default();
    let mut covered = rule(&[10]);
    covered.employees = vec!["li".to_owned()];
    case.company.rules().timeout_rules = vec![covered];
    case.say("wmanna", &["zhang", "li"], "wr1", T0, "问");
    case.say("wmbert", &["zhang", "li"], "wr1", T0 + MINUTE, "也问");
    case.say("wang", &["zhang"], "wr1", T0 + 11 * MINUTE, "答");
    assert_eq!(fired(&case).len(), 0); // nobody owns it
    case.row(
        "groups",
        json!({"chat_id": "wr1", "name": "群", "owner": "zhang"}),
    );
    assert_eq!(fired(&case).len(), 0); // zhang is not covered
    case.row(
        "group_roles",
        json!({"chat_id": "wr1", "role": "responsible", "from_time": T0, "userid": "li"}),
    );
    // Both customers waited ten minutes; wang's message at the 11th ends anna's and is too late for bert.
    let rows = fired(&case);
    assert_eq!(rows.len(), 2);
    // Nothing is known of members: who had spoken by then, wang only at 08:11.
    assert_row(
        &rows[0],
        json!({"customer": "wmanna", "employees": [], "kind": "group_external"}),
    );
    assert_row(
        &rows[1],
        json!({"customer": "wmbert", "employees": ["wang"]}),
    );
    for (member, joined, left) in [
        ("zhang", T0 - DAY, Some(T0 + 11 * MINUTE)),
        ("li", T0 + 11 * MINUTE, None),
        ("wmanna", T0 - DAY, None),
    ] {
        case.row(
            "group_members",
            json!({"chat_id": "wr1", "member_id": member, "join_time": joined, "leave_time": left}),
        );
    }
    let rows = fired(&case);
    assert_row(&rows[0], json!({"employees": ["zhang"]}));
    assert_row(&rows[1], json!({"employees": ["li"]}));
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"group_timeouts": 1, "group_timeout_groups": 1, "owned_group_timeouts": 0}),
    );
    assert_row(
        &employee(&case.company, "li"),
        json!({"group_timeouts": 1, "owned_group_timeouts": 2, "owned_group_timeout_groups": 1,
        "timeouts": 0, "group_open_waits": 0}),
    );
    case.say("wmanna", &["li"], "wr1", T0 + HOUR, "还在吗");
    case.say("wmbert", &["li"], "wr1", T0 + HOUR, "还在吗");
    assert_row(
        &employee(&case.company, "li"),
        json!({"group_open_waits": 2}),
    );
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"group_open_waits": 0}),
    );
}

#[test]
fn revisits_are_due_by_day_and_done_by_chat_or_record() {
    let mut case = Case::default();
    case.row(
        "employees",
        json!({"userid": "zhang", "name": "张三", "departments": []}),
    );
    let relation = |customer: &str, added: i64, lost: Option<i64>| {
        json!({"userid": "zhang", "external_userid": customer, "add_time": added,
            "lost_time": lost, "lost_by": "customer"})
    };
    let midnight = T0 + 16 * HOUR; // 10-02 00:00
    case.row("relations", relation("wmanna", T0, None));
    case.row(
        "relations",
        relation("wmbert", T0 + HOUR, Some(midnight - 1)),
    ); // before 10-02 began
    case.row("relations", relation("wmcleo", T0 + HOUR, Some(midnight)));
    case.row("relations", relation("wmdora", T0 + 2 * HOUR, None));
    case.say("wmanna", &["zhang"], "", midnight + DAY - 1, "在"); // the last instant of 10-02
    case.row(
        "followups",
        json!({"id": "f1", "userid": "zhang", "target_type": "customer",
        "target_id": "wmdora", "time": midnight + HOUR}),
    );
    let on = |case: &Case, day: &str| {
        let rows = case.company.report_employees(day, day, None);
        rows.first().cloned().unwrap_or_default()
    };
    // Day 2 is 10-02: anna by chat, dora by record, cleo not; bert is not due.
    assert_row(
        &on(&case, "2024-10-02"),
        json!({"revisit_due_2": 3, "revisit_done_2": 2, "revisit_rate_2": 2.0 / 3.0,
        "revisit_due_3": 0, "revisit_rate_3": null}),
    );
    // 10-03: cleo was lost before it.
    assert_row(
        &on(&case, "2024-10-03"),
        json!({"revisit_due_3": 2, "revisit_done_3": 0}),
    );
    case.company.rules().revisit.employee_must_send = true;
    assert_row(&on(&case, "2024-10-02"), json!({"revisit_done_2": 1}));
    case.company.rules().revisit.evidence_followup = false;
    assert_row(&on(&case, "2024-10-02"), json!({"revisit_done_2": 0}));
    // By working days, 10-03 is off: day 3 is 10-04, and so is offset 2.
    case.company.rules().calendars = vec![office()];
    case.company.rules().revisit.skip_non_working = Some("office".to_owned());
    assert_row(
        &on(&case, "2024-10-04"),
        json!({"revisit_due_3": 2, "revisit_due_2": 0}),
    );
    case.company.rules().revisit.numbering = Numbering::Offset;
    assert_row(
        &on(&case, "2024-10-04"),
        json!({"revisit_due_3": 0, "revisit_due_2": 2}),
    );
    // Tomorrow is not yet due.
    case.company.rules().now_ms = Some(T0 + 2 * DAY);
    assert_row(&on(&case, "2024-10-04"), json!({"revisit_due_2": 0}));
    case.company.rules().revisit.enabled = false;
    assert!(on(&case, "2024-10-02").get("revisit_due_2").is_none());
}
