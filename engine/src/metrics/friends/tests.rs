//! A small company worked by hand: guides, stores, customers and groups over 1 and 2 October 2024.
//!
//! wm1 is a's since before, then b's too. wm2 was b's first and left him on the second day, a had
//! added him by then. a added wm3 and deleted him at once. wm4 is nobody's friend. g1 and g3 are
//! a's groups, g2 is b's; g3 was dismissed after wm5 had joined it.

use std::sync::LazyLock;

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::Period;
use serde_json::{Value, json};

use super::super::Report;
use super::super::catalogue::of_report;
use super::super::question::Question;
use super::super::report::{CellOf, Inputs, count, explain};
use super::super::settings::Settings;
use super::super::source::{FactSource, SourceError};
use super::super::unit::Per;
use crate::access::Scope;
use crate::directory::Directory;
use crate::directory::testing::directory_of;
use crate::jobs::period::{ActivityFact, Names, PeriodFacts, TimerFact, Wanted};
use crate::rules::Rules;

/// 2024-10-01 00:00 in Shanghai, seconds.
const DAY: i64 = 1_727_712_000;

/// `@n` in the rows is n seconds after [`DAY`].
fn at(rows: &str) -> String {
    let mut parts = rows.split('@');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([',', '}']).unwrap_or(part.len());
        let after: i64 = part[..end].parse().unwrap();
        filled += &format!("{}{}", DAY + after, &part[end..]);
    }
    filled
}

static COMPANY: LazyLock<Directory> = LazyLock::new(|| {
    let relations = at(
        r#"{"userid":"a","external_userid":"wm1","add_time":@-1000,"tags":["会员"]}
{"userid":"b","external_userid":"wm1","add_time":@100,"tags":["会员","老客"]}
{"userid":"b","external_userid":"wm2","add_time":@200,"lost_time":@86410,"lost_by":"customer"}
{"userid":"a","external_userid":"wm2","add_time":@300}
{"userid":"a","external_userid":"wm3","add_time":@400,"add_way":1,"lost_time":@500,"lost_by":"employee"}"#,
    );
    let groups = at(r#"{"chat_id":"g1","name":"一群","owner":"a"}
{"chat_id":"g2","name":"二群","owner":"b"}
{"chat_id":"g3","name":"三群","owner":"a","dismissed_time":@3600}"#);
    let members = at(
        r#"{"chat_id":"g1","member_id":"a","member_type":"employee","join_time":@-500}
{"chat_id":"g1","member_id":"wm1","member_type":"customer","join_time":@-500}
{"chat_id":"g1","member_id":"wm4","member_type":"customer","join_time":@50}
{"chat_id":"g2","member_id":"b","member_type":"employee","join_time":@0}
{"chat_id":"g2","member_id":"wm1","member_type":"customer","join_time":@60}
{"chat_id":"g2","member_id":"wm2","member_type":"customer","join_time":@70}
{"chat_id":"g3","member_id":"wm5","member_type":"customer","join_time":@10}"#,
    );
    let tasks = at(
        r#"{"id":"1","userid":"a","kind":"normal","assigned_time":@-9,"completed_time":@10}
{"id":"2","userid":"a","kind":"normal","assigned_time":@0}
{"id":"3","userid":"a","kind":"poster","assigned_time":@0}"#,
    );
    let followups = at(
        r#"{"id":"1","userid":"a","target_type":"customer","target_id":"wm1","time":@0}
{"id":"2","userid":"a","target_type":"customer","target_id":"wm1","time":@10}
{"id":"3","userid":"b","target_type":"customer","target_id":"wm1","time":@86400}
{"id":"4","userid":"b","target_type":"group","target_id":"g2","time":@86400}"#,
    );
    directory_of(&[
        (
            "departments",
            r#"{"id":"1","name":"一部"}
{"id":"2","name":"二部"}"#,
        ),
        (
            "employees",
            r#"{"userid":"a","name":"甲","departments":["1"]}
{"userid":"b","name":"乙","departments":["2"]}
{"userid":"c","name":"丙","departments":[],"can_add_external":false}"#,
        ),
        (
            "stores",
            r#"{"store_id":"s1","name":"南京路店","department_id":"1","members":["c"]}
{"store_id":"s2","name":"豫园店","department_id":"2"}"#,
        ),
        (
            "friend_requests",
            r#"{"userid":"a","date":"2024-10-01","count":5}
{"userid":"a","date":"2024-09-30","count":4}
{"userid":"a","date":"2024-10-03","count":9}"#,
        ),
        ("relations", &relations),
        ("groups", &groups),
        ("group_members", &members),
        ("tasks", &tasks),
        ("followups", &followups),
    ])
});

/// wm1 says one thing in g1 on the first day.
struct OneMessage;

impl FactSource for OneMessage {
    fn stretch(
        &self,
        _days: Period,
        _wanted: Wanted,
        names: &mut Names,
    ) -> Result<PeriodFacts, SourceError> {
        let at_ms = (DAY + 3600) * 1000;
        Ok(PeriodFacts {
            activity: vec![ActivityFact {
                day: NaiveDate::from_ymd_opt(2024, 10, 1).unwrap(),
                conversation: names.intern("g1"),
                kind: Kind::GroupExternal,
                speaker: names.intern("wm1"),
                side: Side::Customer,
                pair: None,
                n: 1,
                n_own: 1,
                first_ms: at_ms,
                last_ms: at_ms,
            }],
            ..PeriodFacts::default()
        })
    }

    fn timers(
        &self,
        _at_ms: &[i64],
        _wanted: Wanted,
        _names: &mut Names,
    ) -> Result<Vec<TimerFact>, SourceError> {
        Ok(Vec::new())
    }

    fn external_rooms(&self, _names: &mut Names) -> Result<Vec<u32>, SourceError> {
        Ok(Vec::new())
    }
}

/// The rows as JSON objects with their ids, each cell found again from its explanation.
fn rows(report: Report, per: Per) -> Vec<Value> {
    let day = |n| NaiveDate::from_ymd_opt(2024, 10, n).unwrap();
    let period = Period {
        from: day(1),
        to: day(2),
    };
    let settings = Settings::of(&Rules::default());
    let inputs = Inputs {
        directory: &COMPANY,
        settings: &settings,
        source: &OneMessage,
        progress: &|_, _| (),
    };
    let question = Question::over(period, (DAY + 2 * 86_400 + 1000) * 1000);
    let (scope, metrics) = (Scope::local_operator(), of_report(report, &settings));
    let answer = count(report, per, &scope, &question, &metrics, &inputs).unwrap();
    let mut rows = Vec::new();
    for row in answer.rows {
        let mut shown = json!({"id": row.unit.id});
        for (metric, value) in metrics.iter().zip(&row.values) {
            let cell = CellOf {
                unit: Some(row.unit.id.clone()),
                slice: None,
            };
            let explained =
                explain(report, per, &scope, &question, metric, &cell, &inputs).unwrap();
            let explained = explained.unwrap().value;
            assert_eq!(&explained, value, "{} of {}", metric.key, row.unit.id);
            shown[&metric.json_key()] = value.to_json();
        }
        rows.push(shown);
    }
    rows
}

#[track_caller]
fn assert_has(row: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&row[key], value, "{key} of {}", row["id"]);
    }
}

#[test]
fn guides_are_those_who_may_add_customers() {
    let rows = rows(Report::Guides, Per::Employee);
    assert_eq!(rows.len(), 2);
    let of_a = json!({
        "id": "a", "friends": 2, "friends_first": 2, "friends_new": 2, "friends_new_first": 1,
        "friends_lost_first": 1, "groups_owner": 1, "group_names": "一群",
        "friends_in_groups": 1, "friends_in_groups_first": 1, "friends_in_groups_rate": 0.5,
        "friends_in_groups_first_rate": 0.5, "group_people": 2, "group_people_new": 2,
        "tasks_done": 1, "tasks_assigned": 1, "tasks_rate": 1.0,
        "poster_tasks_done": 0, "poster_tasks_assigned": 1, "poster_tasks_rate": 0.0,
        "all_tasks_done": 1, "all_tasks_assigned": 2, "all_tasks_rate": 0.5,
        "group_activity": 0.3333, "store": "南京路店",
    });
    assert_has(&rows[0], &of_a);
    let of_b = json!({
        "id": "b", "friends": 1, "friends_first": 0, "friends_new": 2, "friends_new_first": 1,
        "friends_lost_first": 1, "groups_owner": 1, "friends_in_groups": 1,
        "friends_in_groups_first": 0, "friends_in_groups_first_rate": null, "group_people": 2,
        "group_people_new": 1, "tasks_rate": null, "group_activity": 0.0, "store": "豫园店",
    });
    assert_has(&rows[1], &of_b);
}

#[test]
fn a_store_counts_each_customer_once_and_divides_by_its_members() {
    let rows = rows(Report::Stores, Per::Store);
    let first = json!({
        "id": "s1", "friends": 2, "friends_avg": 1.0, "friends_new": 2, "friends_new_avg": 1.0,
        "friends_lost": 1, "groups": 1, "group_people": 2, "group_people_avg": 1.0,
        "friends_in_groups": 1, "friends_in_groups_avg": 0.5, "friends_in_groups_rate": 0.5,
        "group_people_new": 2, "group_people_new_avg": 1.0,
    });
    assert_has(&rows[0], &first);
    let second = json!({"id": "s2", "friends": 1, "friends_avg": 1.0, "friends_lost": 1});
    assert_has(&rows[1], &second);
}

#[test]
fn a_company_has_a_customer_as_long_as_anybody_has_him() {
    let rows = rows(Report::Customers, Per::Company);
    let company = json!({
        "customers": 2, "potential_customers": 1, "customers_new": 3,
        "customers_new_change": 2.0, "customers_new_today": 0, "friend_requests": 5,
        "friend_requests_change": 0.25, "customers_lost_total": 1, "deleted_by_employee": 1,
        "deleted_by_customer": 1, "sources": {"1": 1, "unknown": 3},
        "tags": {"会员": 1, "老客": 1},
        "followed_customers_by_day": {"2024-10-01": 1, "2024-10-02": 1},
        "followups_by_day": {"2024-10-01": 2, "2024-10-02": 1},
    });
    assert_has(&rows[0], &company);
    // b lost wm2; that a has him is no comfort to b.
    let of_b = &self::rows(Report::Customers, Per::Employee)[1];
    let expected = json!({"id": "b", "customers_lost_total": 1, "customers": 1});
    assert_has(of_b, &expected);
}

#[test]
fn groups_that_exist_at_the_end_have_a_row() {
    let rows = rows(Report::Groups, Per::Group);
    assert_eq!(rows.len(), 2);
    let first = json!({
        "id": "g1", "activity_ratio": 1.0 / 3.0, "speech_ratio": 1.0 / 6.0, "active": true,
        "members": 3, "active_customers": 1,
    });
    assert_has(&rows[0], &first);
    let second = json!({
        "id": "g2", "activity_ratio": 0.0, "speech_ratio": 0.0, "active": false, "members": 3,
        "active_customers": 0,
    });
    assert_has(&rows[1], &second);
}
