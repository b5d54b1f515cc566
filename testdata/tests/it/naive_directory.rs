//! The naive model by hand: groups, guides, stores, customers and the like (semantics 8 to 10).

use std::collections::BTreeSet;

use huicun_testdata::naive::{
    BehaviourRule, Company, SensitiveRule, Threshold, random_company, random_rules,
};
use serde_json::{Value, json};

use crate::case::{Case, DAY, HOUR, MINUTE, SECOND, T0, assert_row, employee, row_of};

const D1: &str = "2024-10-01";

/// zhang and li are of department 11 under 1, wang of 1 itself; ghost is in no table.
fn people(case: &mut Case) {
    case.row("departments", json!({"id": "1", "name": "总部"}));
    case.row(
        "departments",
        json!({"id": "11", "name": "客服", "parent_id": "1"}),
    );
    for (userid, department) in [("zhang", "11"), ("li", "11"), ("wang", "1")] {
        case.row(
            "employees",
            json!({"userid": userid, "name": userid, "departments": [department]}),
        );
    }
}

fn join(case: &mut Case, room: &str, member: &str, joined: i64, left: Option<i64>) {
    case.row(
        "group_members",
        json!({"chat_id": room, "member_id": member, "join_time": joined, "leave_time": left}),
    );
}

fn befriend(case: &mut Case, userid: &str, customer: &str, added: i64, lost: Option<(i64, &str)>) {
    case.row(
        "relations",
        json!({"userid": userid, "external_userid": customer, "add_time": added,
            "lost_time": lost.map(|(at, _)| at), "lost_by": lost.map(|(_, by)| by),
            "add_way": 1, "tags": ["老客"]}),
    );
}

fn department(company: &Company, id: &str) -> Value {
    let rows = company.report_departments(D1, D1, None);
    row_of(&rows, "department_id", id).clone()
}

/// wr1: anna 08:00:00, li 08:00:30, anna 08:01:00, zhang 08:05:00. wang is a silent member.
fn group_talk() -> Case {
    let mut case = Case::default();
    people(&mut case);
    for member in ["zhang", "li", "wang", "wmanna"] {
        join(&mut case, "wr1", member, T0 - DAY, None);
    }
    for (from, at) in [("wmanna", 0), ("li", 30), ("wmanna", 60), ("zhang", 300)] {
        case.say(from, &["zhang"], "wr1", T0 + at * SECOND, "话");
    }
    case
}

#[test]
fn in_a_group_everyone_sees_the_customers_and_himself() {
    let case = group_talk();
    let common = json!({"group_dialogues": 1, "group_first_reply_p50_seconds": null});
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"group_dialogues": 1, "group_dialogues_replied": 1, "group_messages_sent": 1,
        "groups_spoken": 1, "groups_in": 1, "groups_joined": 0, "group_chat_rate": 1.0,
        "group_first_reply_avg_seconds": 300.0, // his view: two questions, his answer
        "group_reply_avg_seconds": 300.0, "group_dialogue_time_avg_seconds": 300.0,
        "group_first_reply_1m": 0.0, "group_first_reply_3m": 0.0,
        "group_answer_ratio": 0.5, "group_reply_3m": 0.0,
        "group_first_reply_within_5m": 1.0, "group_reply_within_3m": 0.0,
        "dialogues": 0, "messages_sent": 0}),
    );
    assert_row(
        &employee(&case.company, "li"),
        json!({"group_first_reply_avg_seconds": 30.0, "group_reply_1m": 1.0,
        "group_first_reply_1m": 1.0, "group_reply_p99_seconds": 30.0}),
    );
    let silent = employee(&case.company, "wang");
    assert_row(&silent, common);
    assert_row(
        &silent,
        json!({"group_dialogues_replied": 0, "group_chat_rate": 0.0, "group_first_reply_1m": 0.0,
        "group_answer_ratio": null, "group_dialogue_time_avg_seconds": null}),
    );
    // The department is one employee: answers after 30 and 240 seconds.
    assert_row(
        &department(&case.company, "11"),
        json!({"group_dialogues": 1, "group_dialogues_replied": 1, "group_messages_sent": 2,
        "group_first_reply_avg_seconds": 30.0, "group_reply_avg_seconds": 135.0,
        "group_reply_1m": 0.0, "group_reply_3m": 1.0, "group_answer_ratio": 1.0, "groups_in": 1}),
    );
}

#[test]
fn the_organisation_is_as_it_was_when_the_dialogue_began() {
    let mut case = group_talk();
    // li moves to 1 during the dialogue: her answer stays the department's, her message does not.
    for (department, from, to) in [("11", T0 - DAY, Some(T0 + 1)), ("1", T0 + 1, None)] {
        case.row(
            "department_members",
            json!({"userid": "li", "department_id": department, "from_time": from, "to_time": to}),
        );
    }
    assert_row(
        &department(&case.company, "11"),
        json!({"group_first_reply_avg_seconds": 30.0, "group_messages_sent": 1}),
    );
    assert_row(
        &department(&case.company, "1"),
        json!({"group_messages_sent": 2}),
    );
    // She left the company before: then the department is zhang.
    case.row(
        "employees",
        json!({"userid": "li", "name": "li", "departments": [], "status": "left", "left_at": T0}),
    );
    assert_row(
        &department(&case.company, "11"),
        json!({"group_first_reply_avg_seconds": 300.0}),
    );
}

#[test]
fn single_chats_of_a_department_add_up_and_customers_count_once() {
    let mut case = Case::default();
    people(&mut case);
    for (employee, at) in [("zhang", 0), ("li", 10)] {
        case.say("wmanna", &[employee], "", T0 + at * SECOND, "问");
        case.say(employee, &["wmanna"], "", T0 + 60 * SECOND, "答");
    }
    // One message, and one call of 9 s, to both: two dialogues, one call.
    case.send(
        json!({"from": "wmanna", "tolist": ["zhang", "li"], "msgtime": T0 + 2 * MINUTE,
        "msgtype": "voiptext", "info": {"callduration": 9}}),
    );
    befriend(&mut case, "zhang", "wmanna", T0, None);
    befriend(&mut case, "li", "wmanna", T0 + 1, None);
    assert_row(
        &department(&case.company, "11"),
        json!({"dialogues": 2, "dialogues_replied": 2, "messages_sent": 2,
        "first_reply_avg_seconds": 55.0, // (60 + 50) / 2
        "call_time_total_seconds": 9.0, "customers_total": 1, "customers_new": 1,
        "open_waits": 2, "messages_avg": 3.0, "resolved_once_24h": 1.0}),
    );
    assert_row(&department(&case.company, "1"), json!({"dialogues": 2}));
}

#[test]
fn calls_in_groups_are_of_those_who_start_them_or_are_named() {
    let mut case = group_talk();
    let call = |from: &str, seconds: i64| {
        json!({"from": from, "tolist": ["zhang", "li"], "roomid": "wr1", "msgtime": T0 + HOUR,
            "msgtype": "meeting_voice_call", "meeting_voice_call": {
            "endtime": (T0 + HOUR) / 1000 + seconds, "sharescreendata": [{"share": "li"}]}})
    };
    case.send(call("zhang", 7));
    case.send(call("wmanna", 100));
    let seconds = |row: Value| row["group_call_time_total_seconds"].as_f64().unwrap();
    assert_eq!(seconds(employee(&case.company, "zhang")), 7.0);
    assert_eq!(seconds(employee(&case.company, "li")), 107.0);
    assert_eq!(seconds(employee(&case.company, "wang")), 0.0);
    assert_eq!(seconds(department(&case.company, "11")), 107.0);
}

#[test]
fn owners_reach_back_and_stand_in_for_the_responsible() {
    let mut case = group_talk();
    case.row(
        "groups",
        json!({"chat_id": "wr1", "name": "群一", "owner": "wang"}),
    );
    let owned = |case: &Case| -> Vec<i64> {
        let ids = ["zhang", "li", "wang"];
        let count = |id: &&str| {
            employee(&case.company, id)["groups_owned"]
                .as_i64()
                .unwrap()
        };
        ids.iter().map(count).collect()
    };
    assert_eq!(owned(&case), [0, 0, 1]); // wang by the table
    let role = |role: &str, from: i64, to: Option<i64>, userid: &str| json!({"chat_id": "wr1", "role": role, "from_time": from, "to_time": to, "userid": userid});
    case.row("group_roles", role("owner", T0 + 2 * DAY, None, "zhang"));
    assert_eq!(owned(&case), [1, 0, 0]); // the first interval reaches back
    case.row(
        "group_roles",
        role("responsible", T0, Some(T0 + 16 * HOUR - 1), "li"),
    );
    assert_eq!(owned(&case), [1, 0, 0]); // over at the day's last millisecond
    case.row(
        "group_roles",
        role("responsible", T0, Some(T0 + 16 * HOUR), "li"),
    );
    assert_eq!(owned(&case), [0, 1, 0]);
    case.row(
        "groups",
        json!({"chat_id": "wr1", "name": "群一", "owner": "wang", "dismissed_time": T0 + HOUR}),
    );
    assert_eq!(owned(&case), [0, 0, 0]);
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"groups_in": 0, "groups_spoken": 1, "group_dialogues": 1}),
    );
}

#[test]
fn joined_groups_and_records_count_on_their_day() {
    let mut case = group_talk();
    join(&mut case, "wr2", "zhang", T0, Some(T0 + 1));
    join(&mut case, "wr2", "zhang", T0 + HOUR, None); // came back: one group
    join(&mut case, "wr2", "wmbert", T0, None);
    join(&mut case, "wr3", "zhang", T0, None); // internal
    for (id, at) in [
        ("b1", T0),
        ("b2", T0 + 16 * HOUR - 1),
        ("b3", T0 + 16 * HOUR),
    ] {
        case.row(
            "business_records",
            json!({"id": id, "userid": "zhang", "target_type": "customer", "target_id": "wmanna",
            "time": at}),
        );
    }
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"groups_joined": 1, "groups_in": 2, "business_records": 2}),
    );
}

/// zhang and li befriend; zhang owns wr1 with anna and bert in it, li owns wr2 with bert.
fn guides() -> Case {
    let mut case = Case::default();
    people(&mut case);
    case.row(
        "groups",
        json!({"chat_id": "wr1", "name": "群一", "owner": "zhang"}),
    );
    case.row(
        "groups",
        json!({"chat_id": "wr2", "name": "群二", "owner": "li"}),
    );
    befriend(&mut case, "zhang", "wmanna", T0 - DAY, None);
    befriend(&mut case, "li", "wmanna", T0, None); // not the first
    befriend(&mut case, "li", "wmbert", T0, Some((T0 + HOUR, "customer")));
    befriend(&mut case, "zhang", "wmbert", T0 + 1, None);
    join(&mut case, "wr1", "zhang", T0 - DAY, None);
    join(&mut case, "wr1", "wmanna", T0, None);
    join(&mut case, "wr2", "wmbert", T0 - DAY, None);
    join(&mut case, "wr1", "wmbert", T0, None);
    join(&mut case, "wr1", "wmcleo", T0, None); // nobody's friend
    join(&mut case, "wr2", "wmdora", T0 - DAY, Some(T0)); // left
    case
}

#[test]
fn guides_count_friends_and_who_of_them_came_to_their_groups() {
    let mut case = guides();
    case.say("wmanna", &["zhang"], "wr1", T0, "话");
    case.row(
        "stores",
        json!({"store_id": "s2", "name": "乙店", "members": ["zhang"]}),
    );
    case.row(
        "stores",
        json!({"store_id": "s1", "name": "甲店", "department_id": "11"}),
    );
    let rows = case.company.report_guides(D1, D1, None);
    assert_row(
        row_of(&rows, "userid", "zhang"),
        json!({"friends": 2, "friends_first": 2, "friends_new": 1,
        "friends_new_first": 0, // li was first when he added bert
        "friends_lost_first": 0, "groups_owner": 1, "group_names": "群一",
        "friends_in_groups": 2, "friends_in_groups_first": 1, // bert's first group was li's
        "friends_in_groups_rate": 1.0, "friends_in_groups_first_rate": 0.5,
        "group_people": 3, "group_people_new": 2, // anna and cleo
        "group_activity": 0.25, // anna of four members
        "store": "甲店、乙店"}),
    );
    assert_row(
        row_of(&rows, "userid", "li"),
        json!({"friends": 1, "friends_first": 0, "friends_new": 2, "friends_new_first": 1,
        "friends_lost_first": 1, "friends_in_groups": 0, "friends_in_groups_rate": 0.0,
        "friends_in_groups_first_rate": null, "group_people": 1, "group_people_new": 0,
        "group_activity": 0.0, "store": "甲店"}),
    );
    assert_row(
        row_of(&rows, "userid", "wang"),
        json!({"groups_owner": 0, "group_names": null, "group_activity": null, "store": null}),
    );
    case.row(
        "employees",
        json!({"userid": "wang", "name": "wang", "departments": [], "can_add_external": false}),
    );
    assert_eq!(case.company.report_guides(D1, D1, None).len(), 2);
}

#[test]
fn tasks_count_when_assigned_and_when_completed() {
    let mut case = Case::default();
    people(&mut case);
    for (id, kind, assigned, completed) in [
        ("t1", "normal", T0 - DAY, Some(T0)),
        ("t2", "normal", T0, None),
        ("t3", "poster", T0, Some(T0 + DAY)),
        ("t4", "poster", T0, Some(T0 + HOUR)),
    ] {
        case.row(
            "tasks",
            json!({"id": id, "userid": "zhang", "kind": kind, "assigned_time": assigned,
            "completed_time": completed}),
        );
    }
    let rows = case.company.report_guides(D1, D1, None);
    assert_row(
        row_of(&rows, "userid", "zhang"),
        json!({"tasks_done": 1, "tasks_assigned": 1, "tasks_rate": 1.0, "poster_tasks_done": 1,
        "poster_tasks_assigned": 2, "poster_tasks_rate": 0.5, "all_tasks_done": 2,
        "all_tasks_assigned": 3, "all_tasks_rate": 2.0 / 3.0}),
    );
    assert_row(
        row_of(&rows, "userid", "li"),
        json!({"tasks_done": 0, "tasks_rate": null}),
    );
}

#[test]
fn stores_count_customers_once() {
    let mut case = guides();
    case.row(
        "stores",
        json!({"store_id": "s1", "name": "甲店", "department_id": "11", "members": ["ghost"]}),
    );
    // zhang, li and the listed ghost: three.
    assert_row(
        &case.company.report_stores(D1, D1, None)[0],
        json!({"store_id": "s1", "name": "甲店", "friends": 2, "friends_avg": 2.0 / 3.0,
        "friends_new": 2, "friends_new_avg": 2.0 / 3.0, "friends_lost": 1, "groups": 2,
        "group_people": 3, "group_people_avg": 1.0, "friends_in_groups": 2,
        "friends_in_groups_avg": 2.0 / 3.0, "friends_in_groups_rate": 1.0,
        "group_people_new": 2, "group_people_new_avg": 2.0 / 3.0}),
    );
    let rows = case.company.report_stores_per_department(D1, D1, None);
    assert_row(
        row_of(&rows, "department_id", "11"),
        json!({"friends": 2, "friends_avg": 1.0}),
    );
}

#[test]
fn customers_of_the_company_by_department_and_by_employee() {
    let mut case = guides();
    case.company.rules().now_ms = Some(T0 + 40 * HOUR); // 10-03 00:00
    befriend(
        &mut case,
        "li",
        "wmemil",
        T0 + DAY,
        Some((T0 + 26 * HOUR, "employee")),
    );
    case.row(
        "relations",
        json!({"userid": "ghost", "external_userid": "wmfred", "add_time": T0 + 40 * HOUR}),
    );
    for (userid, date, count) in [
        ("zhang", "2024-09-29", 4),
        ("zhang", "2024-10-01", 3),
        ("li", "2024-10-02", 3),
        ("li", "2024-10-03", 9), // today
    ] {
        case.row(
            "friend_requests",
            json!({"userid": userid, "date": date, "count": count}),
        );
    }
    for (id, target_type, target, at) in [
        ("f1", "customer", "wmanna", T0),
        ("f2", "customer", "wmanna", T0 + 1),
        ("f3", "customer", "wmbert", T0 + DAY),
        ("f4", "group", "wr1", T0),
    ] {
        case.row(
            "followups",
            json!({"id": id, "userid": "li", "target_type": target_type, "target_id": target,
            "time": at}),
        );
    }
    let period = ("2024-10-01", "2024-10-02");
    let rows = case.company.report_customers(period.0, period.1, None);
    assert_eq!(rows.len(), 1);
    assert_row(
        &rows[0],
        json!({"customers": 2, "potential_customers": 1, // cleo
        "customers_new": 3, "customers_new_change": 2.0, // anna alone the two days before
        "customers_new_today": 1, "friend_requests": 6, "friend_requests_change": 0.5,
        "customers_lost_total": 1, // emil; bert is zhang's still
        "deleted_by_employee": 1, "deleted_by_customer": 1,
        "sources": {"1": 4}, "tags": {"老客": 2},
        "followed_customers_by_day": {"2024-10-01": 1, "2024-10-02": 1},
        "followups_by_day": {"2024-10-01": 2, "2024-10-02": 1}}),
    );
    let rows = case
        .company
        .report_customers_per_employee(period.0, period.1, None);
    assert_row(
        row_of(&rows, "userid", "li"),
        json!({"customers": 1, "customers_lost_total": 2, "potential_customers": 0,
        "customers_new": 3, "customers_new_change": null}),
    );
    let rows = case
        .company
        .report_customers_per_department(period.0, period.1, Some("day"));
    let days: Vec<&Value> = rows.iter().filter(|r| r["department_id"] == "11").collect();
    assert_row(
        days[0],
        json!({"period": "2024-10-01", "customers_new": 2, "sources": {"1": 3}}),
    );
    assert_row(
        days[1],
        json!({"period": "2024-10-02", "deleted_by_employee": 1}),
    );
}

#[test]
fn groups_are_active_by_their_customers_and_their_speech() {
    let mut case = guides();
    // anna twice, cleo once on 10-01; zhang's message is not a customer's.
    for (from, at) in [("wmanna", 0), ("wmanna", 1), ("wmcleo", 2), ("zhang", 3)] {
        case.say(from, &["wmbert"], "wr1", T0 + at, "话");
    }
    let rows = case.company.report_groups("2024-09-30", "2024-10-01", None);
    assert_row(
        &rows[0],
        json!({"chat_id": "wr1", "name": "群一", "members": 4, "active_customers": 2,
        "activity_ratio": 0.5, "speech_ratio": 0.375, // 3 / 2 days / 4
        "active": true}),
    );
    assert_row(
        &rows[1],
        json!({"chat_id": "wr2", "members": 1, "activity_ratio": 0.0, "active": false}),
    );
    let two = Threshold {
        op: ">=".to_owned(),
        value: 2.0,
    };
    case.company.rules().group_activity.conditions = vec![("messages".to_owned(), two.clone())];
    let active = |case: &Case| {
        let rows = case.company.report_groups(D1, D1, None);
        rows[0]["active_customers"].as_i64().unwrap()
    };
    assert_eq!(active(&case), 1);
    for (id, kind, dwell) in [("e1", "view", 30), ("e2", "view", 31), ("e3", "share", 0)] {
        case.row(
            "material_events",
            json!({"id": id, "external_userid": "wmbert", "time": T0, "kind": kind,
            "dwell_seconds": dwell}),
        );
    }
    case.row(
        "orders",
        json!({"id": "o1", "external_userid": "wmbert", "time": T0}),
    );
    for (measure, value) in [
        ("material_views", 2.0),
        ("material_shares", 1.0),
        ("material_dwell_seconds", 61.0),
        ("orders", 1.0),
    ] {
        let exactly = Threshold {
            op: "=".to_owned(),
            value,
        };
        case.company.rules().group_activity.conditions = vec![(measure.to_owned(), exactly)];
        assert_eq!(active(&case), 1, "{measure}");
    }
    case.company
        .rules()
        .group_activity
        .conditions
        .push(("messages".to_owned(), two));
    assert_eq!(active(&case), 0); // all must hold
    // Without a period: the last day, 10-02, on which nobody spoke.
    case.company.rules().now_ms = Some(T0 + DAY);
    case.company.rules().group_activity.window_days = 1;
    assert_row(
        &case.company.report_groups_of_window()[0],
        json!({"speech_ratio": 0.0}),
    );
}

#[test]
fn a_portrait_counts_messages_and_people_by_day() {
    let mut case = guides();
    case.say("wmanna", &["zhang"], "wr1", T0, "话");
    case.say("zhang", &["wmanna"], "wr1", T0 + 1, "话");
    join(&mut case, "wr1", "wmcleo", T0, Some(T0 + DAY)); // leaves on 10-02
    assert_row(
        &case.company.portrait("wr1", "2024-09-30", "2024-10-02"),
        json!({"customer_messages_by_day": {"2024-10-01": 1},
        "employee_messages_by_day": {"2024-10-01": 1}, "joined_by_day": {"2024-10-01": 3},
        "left_by_day": {"2024-10-02": 1},
        "present_by_day": {"2024-09-30": 0, "2024-10-01": 3, "2024-10-02": 2}}),
    );
}

#[test]
fn contacts_say_when_each_side_last_wrote() {
    let mut case = Case::default();
    befriend(&mut case, "zhang", "wmanna", T0 - DAY, None);
    befriend(&mut case, "li", "wmanna", T0, None);
    case.say("wmanna", &["zhang", "li"], "", T0, "问");
    case.say("li", &["wmanna"], "", T0 + HOUR, "答");
    case.company.rules().now_ms = Some(T0 + 2 * DAY - 1);
    let rows = case.company.contacts_per_customer(D1, "2024-10-31");
    assert_row(
        &rows[0],
        json!({"external_userid": "wmanna", "customer_messages": 1, "employee_messages": 1,
        "last_customer_message_at": "2024-10-01T08:00:00.000+08:00",
        "last_employee_message_at": "2024-10-01T09:00:00.000+08:00",
        "last_contact_at": "2024-10-01T09:00:00.000+08:00", "silent_days": 1,
        "added_at": "2024-09-30T08:00:00.000+08:00", "followed": false}),
    );
    let rows = case.company.contacts_per_pair(D1, "2024-10-31");
    assert_row(
        row_of(&rows, "userid", "zhang"),
        json!({"last_employee_message_at": null, "last_contact_at": "2024-10-01T08:00:00.000+08:00"}),
    );
}

#[test]
fn equal_values_share_a_place_and_the_next_takes_the_next_number() {
    let mut case = Case::default();
    let n_friends = [("a", 3), ("b", 2), ("c", 2), ("d", 1), ("e", 0)];
    for (userid, n) in n_friends {
        case.row(
            "employees",
            json!({"userid": userid, "name": userid, "departments": []}),
        );
        for i in 0..n {
            befriend(&mut case, userid, &format!("wm{userid}{i}"), T0, None);
        }
    }
    let places = |metrics: &[(&str, Option<f64>)], top: usize| -> Vec<(i64, String)> {
        let rows = case.company.ranking_guides(D1, D1, metrics, top);
        let of = |row: &Value| {
            let id = row["userid"].as_str().unwrap().to_owned();
            (row["place"].as_i64().unwrap(), id)
        };
        rows.iter().map(of).collect()
    };
    let place = |n: i64, id: &str| (n, id.to_owned());
    assert_eq!(
        places(&[("friends_new", Some(1.0))], 10),
        [place(1, "a"), place(2, "b"), place(2, "c"), place(3, "d")]
    );
    assert_eq!(
        places(&[("friends_new", None), ("friends", None)], 2),
        [place(1, "a"), place(2, "b"), place(2, "c")]
    );
    let rows = case
        .company
        .ranking_guides(D1, D1, &[("friends_new", None)], 1);
    assert_eq!(
        rows,
        [json!({"place": 1, "userid": "a", "name": "a", "friends_new": 3})]
    );
}

#[test]
fn behaviours_are_seen_under_the_rules_in_force_on_entry() {
    let mut case = group_talk();
    case.row(
        "groups",
        json!({"chat_id": "wr1", "name": "群", "owner": "li"}),
    );
    case.say("zhang", &["wmanna"], "", T0, "私下转账"); // no rule yet
    let watch = BehaviourRule {
        enabled: true,
        audits_employees: true,
        audits_customers: true,
        employees: Vec::new(),
    };
    let kinds = ["red_packet", "card", "sensitive_word", "friend_deleted"];
    for kind in kinds {
        case.company
            .rules()
            .behaviours
            .insert(kind.to_owned(), watch.clone());
    }
    for (name, words) in [("飞单", "转账，私下，转账"), ("金钱", "账")] {
        case.company.rules().sensitive_rules.push(SensitiveRule {
            name: name.to_owned(),
            words: words.to_owned(),
            class: "negative".to_owned(),
            enabled: true,
            normalised: false,
        });
    }
    case.say("zhang", &["li"], "", T0, "转账"); // internal chats too: m6
    let mut of_li = watch.clone();
    of_li.employees = vec!["li".to_owned()];
    case.company
        .rules()
        .behaviours
        .insert("card".to_owned(), of_li);
    for from in ["wmanna", "zhang"] {
        case.send(
            json!({"from": from, "tolist": [], "roomid": "wr1", "msgtime": T0 + HOUR,
            "msgtype": "card", "card": {"corpname": "公司"}}),
        );
    }
    befriend(
        &mut case,
        "zhang",
        "wmbert",
        T0,
        Some((T0 + DAY, "customer")),
    );
    befriend(
        &mut case,
        "zhang",
        "wmcleo",
        T0,
        Some((T0 + DAY, "employee_left")),
    );
    let rows = case.company.behaviours("2024-10-01", "2024-10-31");
    assert_eq!(rows.len(), 3);
    assert_row(
        &rows[0],
        json!({"kind": "sensitive_word", "msgid": "m6", "trigger": "zhang",
        "conversation": "li|zhang", "rules": ["飞单", "金钱"], "words": ["转账", "账"],
        "review": "unreviewed"}),
    );
    // The customer's card is covered because li is responsible; zhang's own is not.
    assert_row(
        &rows[1],
        json!({"kind": "card", "trigger": "wmanna", "conversation": "wr1"}),
    );
    assert_row(
        &rows[2],
        json!({"kind": "friend_deleted", "trigger": "wmbert", "msgid": null,
        "conversation": "wmbert|zhang"}),
    );
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"violations_confirmed": 0}),
    );
    case.company.confirm_behaviour("sensitive_word", "m6");
    assert_row(
        &employee(&case.company, "zhang"),
        json!({"violations_confirmed": 1}),
    );
    assert_row(
        &department(&case.company, "11"),
        json!({"violations_confirmed": 1}),
    );
    // A rescan finds what entered before the rules.
    case.company.rescan_behaviours();
    assert_eq!(case.company.behaviours("2024-10-01", "2024-10-31").len(), 4);
}

/// Everything that a random company can be asked, as rows.
fn every_answer(company: &Company) -> Vec<Value> {
    let (from, to) = ("2024-09-28", "2024-10-14");
    let mut rows = company.report_employees(from, to, Some("week"));
    rows.extend(company.report_departments(from, to, None));
    rows.extend(company.report_guides(from, to, None));
    rows.extend(company.report_stores(from, to, Some("week")));
    rows.extend(company.report_customers(from, to, Some("day")));
    rows.extend(company.report_customers_per_department(from, to, None));
    rows.extend(company.report_customers_per_employee(from, to, None));
    rows.extend(company.report_groups(from, to, Some("day")));
    rows.extend(company.timeouts(from, to));
    rows.extend(company.behaviours(from, to));
    rows.extend(company.contacts_per_pair(from, to));
    rows
}

#[test]
fn every_figure_says_something_in_some_random_company() {
    let (mut seen, mut spoke) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..80 {
        let (lines, directory) = random_company(seed);
        let mut company = Company::new();
        *company.rules() = random_rules(seed);
        company.begin_import();
        lines.iter().for_each(|line| company.add_message_line(line));
        for (table, row) in &directory {
            company.add_directory_row(table, row);
        }
        for row in company.behaviours("2024-09-28", "2024-10-31") {
            let kind = row["kind"].as_str().unwrap().to_owned();
            if let Some(msgid) = row["msgid"].as_str() {
                company.confirm_behaviour(&kind, msgid);
            }
            spoke.insert(kind);
        }
        for row in every_answer(&company) {
            for (key, value) in row.as_object().unwrap() {
                seen.insert(key.clone());
                let is_silent = value.is_null() || *value == json!(0) || *value == json!(0.0);
                let is_empty = *value == json!({}) || *value == json!([]);
                if !is_silent && !is_empty && *value != json!(false) {
                    spoke.insert(key.clone());
                }
            }
        }
    }
    let mut silent: Vec<&String> = seen.iter().filter(|key| !spoke.contains(*key)).collect();
    silent.retain(|key| *key != "customers_new_today"); // that needs a now
    assert_eq!(silent, [] as [&String; 0]);
    for kind in ["red_packet", "card", "sensitive_word", "friend_deleted"] {
        assert!(spoke.contains(kind), "{kind}");
    }
}

#[test]
fn the_department_above_all_is_the_sum_of_single_chats() {
    for seed in 0..30 {
        let (lines, directory) = random_company(seed);
        let mut company = Company::new();
        *company.rules() = random_rules(seed);
        lines.iter().for_each(|line| company.add_message_line(line));
        for (table, row) in &directory {
            // Everybody in one department, at all times.
            let mut row = row.clone();
            if table == "employees" {
                row = json!({"userid": row["userid"], "name": "x", "departments": ["111"]});
            }
            if table != "department_members" {
                company.add_directory_row(table, &row);
            }
        }
        company.add_directory_row(
            "employees",
            &json!({"userid": "ghost", "name": "x", "departments": ["1"]}),
        );
        let period = ("2024-09-28", "2024-10-14");
        let employees = company.report_employees(period.0, period.1, None);
        let departments = company.report_departments(period.0, period.1, None);
        let whole = row_of(&departments, "department_id", "1");
        for key in [
            "dialogues",
            "dialogues_replied",
            "messages_sent",
            "reply_time_total_seconds",
            "unanswered",
            "customers_total",
            "open_waits",
            "timeouts",
            "group_messages_sent",
            "revisit_due_2",
            "groups_owned",
            "business_records",
        ] {
            let sum: f64 = employees.iter().filter_map(|row| row[key].as_f64()).sum();
            let whole = whole[key].as_f64().unwrap_or(0.0);
            assert!((sum - whole).abs() < 1e-6, "{key} with seed {seed}");
        }
    }
}
