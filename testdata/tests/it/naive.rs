//! The naive model against small cases computed by hand: it is the yardstick, so this is its yardstick.

use huicun_testdata::naive::{
    ClosingMatch, Company, Filters, ReplyFrom, random_company, random_rules,
};
use serde_json::{Value, json};

use crate::case::{Case, DAY, HOUR, MINUTE, SECOND, T0, assert_row};

/// (time of day at the start, opened_by, employee messages, customer messages) of every dialogue.
fn shapes(company: &Company) -> Vec<(String, String, i64, i64)> {
    let rows = company.dialogues("2024-09-01", "2024-12-31");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("").to_owned();
    let count = |row: &Value, key: &str| row[key].as_i64().unwrap_or(-1);
    rows.iter()
        .map(|row| {
            (
                text(row, "started_at")[11..23].to_owned(),
                text(row, "opened_by"),
                count(row, "employee_messages"),
                count(row, "customer_messages"),
            )
        })
        .collect()
}

fn shape(start: &str, opened_by: &str, employee: i64, customer: i64) -> (String, String, i64, i64) {
    (start.to_owned(), opened_by.to_owned(), employee, customer)
}

#[test]
fn silence_of_exactly_the_gap_opens_a_dialogue() {
    let mut case = Case::default();
    let second = T0 + 30 * MINUTE - 1;
    case.chat(&[('c', T0), ('e', second), ('c', second + 30 * MINUTE)]);
    assert_eq!(
        shapes(&case.company),
        [
            shape("08:00:00.000", "customer", 1, 1),
            shape("08:59:59.999", "customer", 0, 1)
        ]
    );
}

#[test]
fn a_closing_phrase_of_the_customer_closes_and_the_grace_lets_employees_in() {
    let mut case = Case::default();
    case.chat(&[('c', T0)]);
    case.say("zhang", &["wmanna"], "", T0 + SECOND, "谢谢"); // an employee's closes nothing
    case.say("wmanna", &["zhang"], "", T0 + 2 * SECOND, "谢谢[微笑]");
    case.chat(&[
        ('e', T0 + 62 * SECOND),
        ('e', T0 + 62 * SECOND + 1),
        ('c', T0 + 70 * SECOND),
    ]);
    case.company.rules().closing_phrases = vec!["谢谢！".to_owned()];
    // No grace: the message after the phrase opens one, and the rest follows without a gap.
    assert_eq!(
        shapes(&case.company),
        [
            shape("08:00:00.000", "customer", 1, 2),
            shape("08:01:02.000", "employee", 2, 1)
        ]
    );
    // 60 s of grace: the one at +60 s is still let in, the one a millisecond later is not.
    case.company.rules().closing_grace_seconds = 60;
    assert_eq!(
        shapes(&case.company),
        [
            shape("08:00:00.000", "customer", 2, 2),
            shape("08:01:02.001", "employee", 1, 1)
        ]
    );
    // 61 s: both are let in, but the customer opens a new one although an employee spoke last.
    case.company.rules().closing_grace_seconds = 61;
    assert_eq!(
        shapes(&case.company),
        [
            shape("08:00:00.000", "customer", 3, 2),
            shape("08:01:10.000", "customer", 0, 1)
        ]
    );
}

#[test]
fn contains_finds_the_phrase_inside_and_empty_phrases_match_nothing() {
    let mut case = Case::default();
    case.say("wmanna", &["zhang"], "", T0, "那就谢谢你啦");
    case.chat(&[('e', T0 + SECOND)]);
    case.company.rules().closing_phrases = vec!["谢谢".to_owned(), "[强]".to_owned()];
    assert_eq!(shapes(&case.company).len(), 1);
    case.company.rules().closing_match = ClosingMatch::Contains;
    assert_eq!(shapes(&case.company).len(), 2);
    case.company.rules().closing_phrases.remove(0); // [强] normalises to nothing
    assert_eq!(shapes(&case.company).len(), 1);
}

/// Four dialogues of zhang with wmanna on 2024-10-01:
/// D1 08:00:00 c, :10 c, :30 e, 08:02:00 c, 08:02:00 e   intervals 30 s and 0 s
/// D2 09:00:00 e, 09:01:00 c, 09:05:00 e                  interval 240 s
/// D3 10:00:00 c                                          unanswered
/// D4 11:00:00 e                                          not effective
fn four_dialogues() -> Case {
    let mut case = Case::default();
    case.chat(&[
        ('c', T0),
        ('c', T0 + 10 * SECOND),
        ('e', T0 + 30 * SECOND),
        ('c', T0 + 2 * MINUTE),
        ('e', T0 + 2 * MINUTE),
        ('e', T0 + HOUR),
        ('c', T0 + HOUR + MINUTE),
        ('e', T0 + HOUR + 5 * MINUTE),
        ('c', T0 + 2 * HOUR),
        ('e', T0 + 3 * HOUR),
    ]);
    case.row(
        "employees",
        json!({"userid": "zhang", "name": "张三", "departments": []}),
    );
    case
}

#[test]
fn the_employee_report_is_what_the_table_says() {
    let case = four_dialogues();
    let rows = case
        .company
        .report_employees("2024-10-01", "2024-10-01", None);
    assert_eq!(rows.len(), 1);
    assert_row(
        &rows[0],
        json!({
            "userid": "zhang", "name": "张三",
            "customers_total": 0, "customers_new": 0,
            "dialogues": 3, "dialogues_opened": 2, "dialogues_replied": 1, // D1 D2 D4; D2 D4; D1
            "messages_sent": 5, // 2 + 2 + 0 + 1
            "reply_time_total_seconds": 270.0, // 30 + 0 + 240
            "dialogue_time_total_seconds": 420.0, // 120 + 300 + 0
            "call_time_total_seconds": 0.0,
            "opened_share": 2.0 / 3.0,
            "reply_rate": 0.5, // D1 of D1 and D3
            "first_reply_avg_seconds": 30.0, // D1
            "reply_avg_seconds": 127.5, // ((30 + 0) / 2 + 240) / 2
            "dialogue_time_avg_seconds": 140.0, // 420 / 3
            "messages_avg": 3.0, // (5 + 3 + 1) / 3
            "resolved_once_24h": 0.0, // D1 and D2 are two effective ones on one day
            "resolved_once_48h": 0.0,
            "first_reply_1m": 0.5, // D1 of D1 and D2
            "first_reply_3m": 0.5,
            "unanswered": 1, // D3
        }),
    );
}

#[test]
fn replies_may_be_measured_from_the_last_message_of_the_turn() {
    let mut case = four_dialogues();
    case.company.rules().reply_from = ReplyFrom::Last;
    let rows = case
        .company
        .report_employees("2024-10-01", "2024-10-01", None);
    // 20 + 0 + 240; D1's mean is 10, so (10 + 240) / 2.
    assert_row(
        &rows[0],
        json!({"reply_time_total_seconds": 260.0, "first_reply_avg_seconds": 20.0,
        "reply_avg_seconds": 125.0}),
    );
    let first = &case.company.dialogues("2024-10-01", "2024-10-01")[0];
    assert_row(
        first,
        json!({"conversation": "wmanna|zhang", "kind": "single_external",
        "started_at": "2024-10-01T08:00:00.000+08:00", "ended_at": "2024-10-01T08:02:00.000+08:00",
        "opened_by": "customer", "employees": ["zhang"], "customers": ["wmanna"],
        "employee_messages": 2, "customer_messages": 3, "first_reply_seconds": 20.0}),
    );
}

#[test]
fn means_and_ratios_over_nothing_are_null_and_a_zero_mean_is_left_out() {
    let mut case = Case::default();
    case.row(
        "employees",
        json!({"userid": "li", "name": "李四", "departments": []}),
    );
    case.row(
        "employees",
        json!({"userid": "zhang", "name": "张三", "departments": []}),
    );
    case.chat(&[('c', T0), ('e', T0)]); // an answer in the same millisecond
    let rows = case
        .company
        .report_employees("2024-10-01", "2024-10-01", None);
    assert_row(
        &rows[0],
        json!({"userid": "li", "dialogues": 0, "reply_time_total_seconds": 0.0,
        "opened_share": null, "reply_rate": null, "first_reply_avg_seconds": null,
        "reply_avg_seconds": null, "dialogue_time_avg_seconds": null, "messages_avg": null,
        "resolved_once_24h": null, "resolved_once_48h": null, "first_reply_1m": null,
        "first_reply_3m": null, "unanswered": 0}),
    );
    assert_row(
        &rows[1],
        json!({"userid": "zhang", "dialogues": 1, "first_reply_avg_seconds": 0.0,
        "reply_avg_seconds": null, "first_reply_1m": 1.0, "resolved_once_24h": 1.0}),
    );
}

#[test]
fn resolved_once_looks_over_its_day_and_the_next() {
    let mut case = Case::default();
    // Effective dialogues on 10-01 23:00, 10-02 09:00 and 10-04 09:00.
    for start in [T0 + 15 * HOUR, T0 + 25 * HOUR, T0 + 73 * HOUR] {
        case.chat(&[('c', start), ('e', start + SECOND)]);
    }
    let shares = |from: &str, to: &str| {
        let row = &case.company.report_employees(from, to, None)[0];
        (
            row["resolved_once_24h"].as_f64(),
            row["resolved_once_48h"].as_f64(),
        )
    };
    // The first sees the second beyond the period's end; the second sees nobody on 10-03.
    assert_eq!(shares("2024-10-01", "2024-10-01"), (Some(1.0), Some(0.0)));
    assert_eq!(shares("2024-10-02", "2024-10-02"), (Some(1.0), Some(1.0)));
    assert_eq!(
        shares("2024-10-01", "2024-10-04"),
        (Some(1.0), Some(2.0 / 3.0))
    );
}

#[test]
fn a_dialogue_belongs_to_the_day_it_starts_and_a_message_to_its_own() {
    let mut case = Case::default();
    let midnight = T0 + 16 * HOUR;
    case.chat(&[
        ('c', midnight - 1),
        ('e', midnight),
        ('e', midnight + SECOND),
    ]);
    let rows = case
        .company
        .report_employees("2024-10-01", "2024-10-02", Some("day"));
    // The id is in no directory: listed because of its facts, without a name.
    assert_row(
        &rows[0],
        json!({"userid": "zhang", "name": null, "period": "2024-10-01",
        "dialogues": 1, "messages_sent": 0, "reply_time_total_seconds": 0.001,
        "dialogue_time_total_seconds": 1.001, "messages_avg": 3.0}),
    );
    assert_row(
        &rows[1],
        json!({"period": "2024-10-02", "dialogues": 0, "messages_sent": 2}),
    );
    assert_eq!(rows.len(), 2);
    assert_eq!(
        case.company
            .report_employees("2024-10-03", "2024-10-03", None),
        [] as [Value; 0]
    );
}

#[test]
fn weeks_begin_on_monday_and_are_cut_at_the_ends_of_the_period() {
    let mut case = Case::default();
    case.row(
        "employees",
        json!({"userid": "zhang", "name": "张三", "departments": []}),
    );
    case.row(
        "employees",
        json!({"userid": "li", "name": "李四", "departments": []}),
    );
    case.chat(&[
        ('e', T0 - 2 * DAY),
        ('e', T0 - DAY),
        ('e', T0),
        ('e', T0 + DAY),
    ]);
    let periods = |by: &str| -> Vec<(String, String, i64)> {
        let rows = case
            .company
            .report_employees("2024-09-29", "2024-10-01", Some(by));
        rows.iter()
            .map(|row| {
                let text = |key: &str| row[key].as_str().unwrap().to_owned();
                (
                    text("userid"),
                    text("period"),
                    row["messages_sent"].as_i64().unwrap(),
                )
            })
            .collect()
    };
    let row = |id: &str, period: &str, n: i64| (id.to_owned(), period.to_owned(), n);
    // 2024-09-29 is a Sunday, of the week from Monday 09-23; 10-02 lies outside.
    assert_eq!(
        periods("week"),
        [
            row("li", "2024-09-23", 0),
            row("li", "2024-09-30", 0),
            row("zhang", "2024-09-23", 1),
            row("zhang", "2024-09-30", 2),
        ]
    );
    assert_eq!(
        periods("month")[2..],
        [row("zhang", "2024-09", 2), row("zhang", "2024-10", 1)]
    );
}

#[test]
fn a_message_to_several_pairs_is_in_each_dialogue_and_sent_once() {
    let mut case = Case::default();
    case.chat(&[('c', T0)]);
    case.say(
        "zhang",
        &["wmanna", "wmbert", "li"],
        "",
        T0 + MINUTE,
        "放假通知",
    );
    let rows = case
        .company
        .report_employees("2024-10-01", "2024-10-01", None);
    // zhang alone: zhang|li is internal. Two dialogues of 2 and 1 messages, one message sent.
    assert_eq!(rows.len(), 1);
    assert_row(
        &rows[0],
        json!({"userid": "zhang", "dialogues": 2, "dialogues_opened": 1,
        "messages_sent": 1, "messages_avg": 1.5}),
    );
    let found = case.company.search(&["放假"], &Filters::default());
    assert_eq!(found.len(), 1);
    assert_row(
        &found[0],
        json!({"conversation": "wmanna|zhang", "kind": "single_external"}),
    );
    let internal = Filters {
        kinds: vec!["single_internal".to_owned()],
        ..Filters::default()
    };
    assert_row(
        &case.company.search(&["放假"], &internal)[0],
        json!({"conversation": "li|zhang"}),
    );
    assert_eq!(case.company.conversation("li|zhang").len(), 1);
}

#[test]
fn roles_are_resolved_when_computing() {
    let mut case = Case::default();
    case.say("ext07", &["zhang"], "", T0, "你好");
    case.say("wmclerk", &["wmanna"], "", T0, "你好");
    assert_eq!(case.company.dialogues("2024-10-01", "2024-10-01").len(), 0);
    case.row(
        "customers",
        json!({"external_userid": "ext07", "name": "客户"}),
    );
    case.row(
        "employees",
        json!({"userid": "wmclerk", "name": "店员", "departments": []}),
    );
    let dialogues = case.company.dialogues("2024-10-01", "2024-10-01");
    assert_row(
        &dialogues[0],
        json!({"conversation": "ext07|zhang", "opened_by": "customer"}),
    );
    assert_row(
        &dialogues[1],
        json!({"conversation": "wmanna|wmclerk", "opened_by": "employee"}),
    );
}

#[test]
fn events_and_robots_are_archived_but_not_counted() {
    let mut case = Case::default();
    case.chat(&[('c', T0)]);
    let pair = |extra: Value| {
        let mut message = json!({"from": "wmanna", "tolist": ["zhang"], "msgtime": T0 + SECOND});
        message
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        message
    };
    case.send(pair(
        json!({"action": "recall", "msgtype": "revoke", "revoke": {"pre_msgid": "m1"}}),
    ));
    case.send(pair(
        json!({"msgtype": "agree", "agree": {"userid": "wmanna"}}),
    ));
    case.send(pair(
        json!({"msgtype": "disagree", "agree": {"userid": "wmanna"}}),
    ));
    case.send(pair(json!({"msgtype": "hologram"}))); // unknown types count
    case.send(json!({"action": "switch", "time": T0, "user": "zhang"}));
    case.say("wbbot", &["wmanna"], "", T0, "通知");
    assert_eq!(
        shapes(&case.company),
        [shape("08:00:00.000", "customer", 0, 2)]
    );
    assert_eq!(case.company.conversation("wmanna|zhang").len(), 5);
    assert_row(
        &case.company.conversation("wbbot|wmanna")[0],
        json!({"kind": "other"}),
    );
    let all = case.company.search(&[], &Filters::default());
    assert_eq!(all.len(), 7);
    let switch = all.iter().find(|row| row["type"] == "switch").unwrap();
    assert_row(
        switch,
        json!({"from": "zhang", "conversation": null, "kind": "other"}),
    );
}

#[test]
fn calls_last_what_they_say() {
    let mut case = Case::default();
    case.send(
        json!({"from": "zhang", "tolist": ["wmanna"], "msgtime": T0, "msgtype": "voiptext",
        "info": {"callduration": "9", "invitetype": 2}}),
    );
    // 1727740855 - 1727740800.250 = 54.75 s; the call goes to two pairs and is one call.
    case.send(
        json!({"from": "zhang", "tolist": ["wmanna", "wmbert"], "msgtime": T0 + 250,
        "msgtype": "meeting_voice_call", "meeting_voice_call": {"endtime": T0 / 1000 + 55}}),
    );
    case.send(
        json!({"from": "wmanna", "tolist": ["zhang"], "msgtime": T0 + DAY,
        "msgtype": "voiptext", "voiptext": {"callduration": 1}}),
    );
    let total = |from: &str, to: &str| {
        case.company.report_employees(from, to, None)[0]["call_time_total_seconds"].as_f64()
    };
    assert_eq!(total("2024-10-01", "2024-10-01"), Some(63.75)); // 9 + 54.75
    assert_eq!(total("2024-10-02", "2024-10-02"), Some(1.0)); // the customer's call is his chat's too
}

#[test]
fn the_first_adder_is_the_earliest_whose_relation_is_active_at_the_end() {
    let mut case = Case::default();
    for userid in ["li", "zhang"] {
        let row = json!({"userid": userid, "name": userid, "departments": []});
        case.row("employees", row);
    }
    let mut relation = |userid: &str, customer: &str, added: i64, lost: Option<i64>| {
        case.company.add_directory_row(
            "relations",
            &json!({"userid": userid,
            "external_userid": customer, "add_time": added, "lost_time": lost}),
        );
    };
    let midnight = T0 + 16 * HOUR; // the end of 10-01
    relation("zhang", "wmanna", T0, None); // told again below, with its loss
    relation("zhang", "wmanna", T0 / 1000, Some(midnight));
    relation("li", "wmanna", T0 + SECOND, None);
    relation("zhang", "wmanna", midnight + SECOND, None); // added again
    relation("zhang", "wmbert", T0, None);
    relation("li", "wmbert", T0, None); // the same instant: the smaller userid
    let counts = |from: &str, to: &str| -> Vec<(String, i64, i64)> {
        let rows = case.company.report_employees(from, to, None);
        rows.iter()
            .map(|row| {
                let count = |key: &str| row[key].as_i64().unwrap();
                let userid = row["userid"].as_str().unwrap().to_owned();
                (userid, count("customers_total"), count("customers_new"))
            })
            .collect()
    };
    // At the last millisecond of 10-01 zhang's first relation is still active.
    assert_eq!(
        counts("2024-10-01", "2024-10-01"),
        [("li".into(), 1, 2), ("zhang".into(), 1, 2)]
    );
    // On 10-02 it is lost, and the new one is later than li's.
    assert_eq!(
        counts("2024-10-02", "2024-10-02"),
        [("li".into(), 2, 0), ("zhang".into(), 0, 1)]
    );
    // Over both days wmanna is one new customer of zhang.
    assert_eq!(
        counts("2024-10-01", "2024-10-02"),
        [("li".into(), 2, 2), ("zhang".into(), 0, 2)]
    );
}

#[test]
fn a_group_is_external_once_a_customer_was_ever_in_it() {
    let mut case = Case::default();
    case.say("zhang", &["li"], "wr1", T0, "开会");
    case.say("li", &["zhang", "wmanna"], "wr2", T0, "大家好");
    case.say(
        "wmbert",
        &["zhang", "li", "wmanna"],
        "wr2",
        T0 + MINUTE,
        "问",
    );
    case.say(
        "wmanna",
        &["zhang", "li", "wmbert"],
        "wr2",
        T0 + 2 * MINUTE,
        "我也问",
    );
    case.say("wbbot", &["zhang"], "wr2", T0 + 150 * SECOND, "播报");
    case.say("zhang", &["li"], "wr2", T0 + 3 * MINUTE, "答");
    let rows = case.company.dialogues("2024-10-01", "2024-10-01");
    assert_eq!(rows.len(), 1);
    assert_row(
        &rows[0],
        json!({"conversation": "wr2", "kind": "group_external",
        "employees": ["li", "zhang"], "customers": ["wmanna", "wmbert"], "opened_by": "employee",
        "employee_messages": 2, "customer_messages": 2, "first_reply_seconds": 120.0}),
    );
    // Group dialogues are nobody's single dialogues.
    for row in case
        .company
        .report_employees("2024-10-01", "2024-10-01", None)
    {
        assert_row(&row, json!({"dialogues": 0, "group_dialogues": 1}));
    }
    case.row(
        "group_members",
        json!({"chat_id": "wr1", "member_id": "wmbert", "join_time": T0,
        "leave_time": T0 + 1, "member_type": "customer"}),
    );
    assert_eq!(case.company.dialogues("2024-10-01", "2024-10-01").len(), 2);
}

#[test]
fn equal_times_are_ordered_by_seq_whatever_the_order_of_arrival() {
    let mut company = Company::new();
    let line = |seq: u64, from: &str, to: &str| {
        json!({"seq": seq, "message": {"msgid": format!("m{seq}"), "action": "send", "from": from,
            "tolist": [to], "msgtime": T0.to_string(), "msgtype": "text", "text": {"content": "话"}}})
        .to_string()
    };
    company.add_message_line(&line(12, "zhang", "wmanna"));
    company.add_message_line(&line(11, "wmanna", "zhang"));
    assert_eq!(shapes(&company), [shape("08:00:00.000", "customer", 1, 1)]);
    let newest_first = company.search(&["话"], &Filters::default());
    assert_eq!(newest_first[0]["seq"], 12);
}

#[test]
fn lines_without_seq_are_numbered_on_and_a_msgid_counts_once() {
    let mut company = Company::new();
    let bare = |msgid: &str, text: &str| {
        json!({"msgid": msgid, "action": "send", "from": "zhang", "tolist": ["wmanna"],
            "msgtime": T0, "msgtype": "text", "text": {"content": text}})
    };
    company.begin_import();
    company.add_message_line(&json!({"seq": 40, "message": bare("a", "一")}).to_string());
    company.begin_import();
    company.add_message_line(&bare("b", "二").to_string()); // 40 + 1
    company.add_message_line("not json"); // line 2
    company.add_message_line(&bare("a", "另").to_string()); // seen before
    company.add_message_line(&bare("c", "三\u{1}").to_string().replace("\\u0001", "\u{1}")); // 40 + 4
    let rows = company.conversation("wmanna|zhang");
    let seqs: Vec<_> = rows
        .iter()
        .map(|row| (row["seq"].as_u64(), row["text"].as_str()))
        .collect();
    assert_eq!(
        seqs,
        [
            (Some(40), Some("一")),
            (Some(41), Some("二")),
            (Some(44), Some("三"))
        ]
    );
}

#[test]
fn text_is_what_a_reader_sees() {
    let text = |message: Value| Company::text_of(&message);
    assert_eq!(
        text(json!({"msgtype": "text", "text": {"content": " 您好\n"}})),
        " 您好\n"
    );
    assert_eq!(
        text(json!({"msgtype": "markdown", "info": {"content": "**x**"}})),
        "**x**"
    );
    assert_eq!(
        text(json!({"msgtype": "markdown", "markdown": {"content": "**x**"}})),
        "**x**"
    );
    assert_eq!(
        text(
            json!({"msgtype": "news", "info": {"item": [{"title": "甲", "description": ""},
            {"title": "乙", "description": "丙", "url": "u"}]}})
        ),
        "甲\n乙\n丙"
    );
    assert_eq!(
        text(
            json!({"msgtype": "weapp", "weapp": {"title": "a", "description": "c", "displayname": "b"}})
        ),
        "a\nb\nc"
    );
    assert_eq!(
        text(json!({"msgtype": "vote", "votetitle": "午餐", "voteitem": ["米", "面"]})),
        "午餐\n米\n面"
    );
    assert_eq!(
        text(json!({"msgtype": "vote", "vote": {"votetitle": "午餐"}})),
        "午餐"
    );
    assert_eq!(
        text(json!({"msgtype": "external_redpacket", "external_redpacket": {"wish": "发"}})),
        "发"
    );
    assert_eq!(
        text(json!({"msgtype": "docmsg", "doc": {"title": "方案", "doc_creator": "z"}})),
        "方案"
    );
    assert_eq!(
        text(json!({"msgtype": "image", "image": {"md5sum": "0"}})),
        ""
    );
    assert_eq!(
        text(json!({"msgtype": "hologram", "hologram": {"caption": "x", "fileid": "f"}})),
        "x"
    );
    assert_eq!(
        text(json!({"action": "switch", "time": 1, "user": "z"})),
        ""
    );
    let inner = json!({"title": "内", "item": [{"type": "ChatRecordFile", "content": "{\"filename\":\"f.pdf\"}"}]});
    assert_eq!(
        text(
            json!({"msgtype": "chatrecord", "chatrecord": {"title": "外", "item": [
            {"type": "ChatRecordText", "content": "{\"content\":\"一\"}"},
            {"type": "ChatRecordImage", "content": "{\"md5sum\":\"0\"}"},
            {"type": "chatrecord", "content": inner.to_string()},
            {"type": "ChatRecordVoipDocShare", "content": "{\"filename\":\"g.pdf\"}"}]}})
        ),
        "外\n一\n内\nf.pdf\ng.pdf"
    );
    assert_eq!(
        text(json!({"msgtype": "mixed", "mixed": {"item": [
            {"type": "text", "content": "{\"content\":\"看图\\n\"}"}, {"type": "image", "content": "{}"}]}})),
        "看图\n"
    );
}

#[test]
fn search_folds_width_and_case_and_filters_by_who_takes_part() {
    let mut case = Case::default();
    case.say("zhang", &["wmanna"], "", T0, "价格 ＡＢＣ-12，abc");
    case.say("li", &["zhang"], "wr1", T0 + SECOND, "abc");
    let found = case.company.search(&["Abc", "价"], &Filters::default());
    assert_eq!(found.len(), 1);
    // 价0 格1 space2 Ａ3 Ｂ4 Ｃ5 -6 1 7 2 8 ，9 a10 b11 c12
    assert_row(
        &found[0],
        json!({"highlights": [[0, 1], [3, 6], [10, 13]], "msgid": "m1", "seq": 1,
        "at": "2024-10-01T08:00:00.000+08:00", "from": "zhang", "type": "text"}),
    );
    let of = |filters: Filters| -> Vec<String> {
        let rows = case.company.search(&["ABC"], &filters);
        rows.iter()
            .map(|row| row["msgid"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(of(Filters::default()), ["m2", "m1"]);
    assert_eq!(
        of(Filters {
            limit: 1,
            ..Filters::default()
        }),
        ["m2"]
    );
    assert_eq!(
        of(Filters {
            employees: vec!["li".into()],
            ..Filters::default()
        }),
        ["m2"]
    );
    assert_eq!(
        of(Filters {
            employees: vec!["zhang".into()],
            ..Filters::default()
        }),
        ["m2", "m1"]
    );
    assert_eq!(
        of(Filters {
            customers: vec!["wmanna".into()],
            ..Filters::default()
        }),
        ["m1"]
    );
    assert_eq!(
        of(Filters {
            rooms: vec!["wr1".into()],
            ..Filters::default()
        }),
        ["m2"]
    );
    assert_eq!(
        of(Filters {
            from: Some("2024-10-02".into()),
            ..Filters::default()
        }),
        [] as [&str; 0]
    );
}

#[test]
fn a_department_contains_those_below_as_of_the_message() {
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
    case.row(
        "employees",
        json!({"userid": "li", "name": "李四", "departments": ["11"]}),
    );
    // li has a history, which holds instead: in 11 until 09:00.
    case.row(
        "department_members",
        json!({"userid": "li", "department_id": "11",
        "from_time": T0 - DAY, "to_time": T0 + HOUR}),
    );
    case.say("li", &["wmanna"], "", T0 + HOUR - 1, "甲");
    case.say("li", &["wmanna"], "", T0 + HOUR, "甲");
    case.say("zhang", &["wmbert"], "", T0 + 2 * HOUR, "甲");
    let in_headquarters = Filters {
        departments: vec!["1".into()],
        ..Filters::default()
    };
    let rows = case.company.search(&["甲"], &in_headquarters);
    let msgids: Vec<_> = rows
        .iter()
        .map(|row| row["msgid"].as_str().unwrap())
        .collect();
    assert_eq!(msgids, ["m3", "m1"]);
}

#[test]
fn random_companies_are_repeatable_and_reach_the_boundaries() {
    assert_eq!(random_company(7), random_company(7));
    let (mut n_dialogues, mut n_unanswered, mut n_unknown) = (0, 0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let (lines, rows) = random_company(seed);
        let mut company = Company::new();
        *company.rules() = random_rules(seed);
        company.begin_import();
        lines.iter().for_each(|line| company.add_message_line(line));
        rows.iter()
            .for_each(|(table, row)| company.add_directory_row(table, row));
        for row in company.dialogues("2024-09-01", "2025-01-31") {
            n_dialogues += 1;
            seen.insert(row["kind"].as_str().unwrap().to_owned());
        }
        for row in company.search(&[], &Filters::default()) {
            seen.insert(row["kind"].as_str().unwrap().to_owned());
            seen.insert(row["type"].as_str().unwrap().to_owned());
        }
        let whole = company.report_employees("2024-09-28", "2024-10-31", None);
        let by_day = company.report_employees("2024-09-28", "2024-10-31", Some("day"));
        let sum = |rows: &[Value], key: &str| -> i64 {
            rows.iter().map(|row| row[key].as_i64().unwrap()).sum()
        };
        for key in [
            "dialogues",
            "dialogues_opened",
            "dialogues_replied",
            "messages_sent",
            "unanswered",
        ] {
            assert_eq!(
                sum(&whole, key),
                sum(&by_day, key),
                "{key} with seed {seed}"
            );
        }
        n_unanswered += sum(&whole, "unanswered");
        n_unknown += whole.iter().filter(|row| row["name"].is_null()).count();
    }
    assert!(n_dialogues > 1000 && n_unanswered > 100 && n_unknown > 10);
    for word in [
        "single_external",
        "single_internal",
        "group_external",
        "group_internal",
        "other",
        "revoke",
        "switch",
        "unknown",
        "voiptext",
        "meeting_voice_call",
        "vote",
        "todo",
    ] {
        assert!(seen.contains(word), "{word}");
    }
}
