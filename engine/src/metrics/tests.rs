//! Reports over hand-made facts: who gets what, and that every cell opens.

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::{By, Period};

use super::catalogue::of_report;
use super::question::Question;
use super::report::{Answer, CellOf, Inputs, ReportError, count, explain};
use super::settings::Settings;
use super::source::{FactSource, SourceError};
use super::unit::Per;
use super::{Report, Value};
use crate::access::Scope;
use crate::directory::Directory;
use crate::directory::testing::directory_of;
use crate::jobs::period::{
    ActivityFact, DialogueFact, Names, PeriodFacts, ReplyFact, SpokenFact, TimeoutFact, TimerFact,
    Wanted,
};
use crate::rules::Rules;

/// 2024-10-01 00:00 in Shanghai.
const DAY: i64 = 1_727_712_000_000;
const DAY_MS: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

/// ann is in department 11 until noon of 2 October, then in 20; bob is in 11. Both are in `room`.
fn directory() -> Directory {
    directory_of(&[
        (
            "departments",
            "{\"id\":\"1\",\"name\":\"总部\"}\n\
             {\"id\":\"11\",\"name\":\"甲\",\"parent_id\":\"1\"}\n\
             {\"id\":\"20\",\"name\":\"乙\",\"parent_id\":\"1\"}\n",
        ),
        (
            "employees",
            "{\"userid\":\"ann\",\"name\":\"安\",\"departments\":[\"20\"]}\n\
             {\"userid\":\"bob\",\"name\":\"鲍\",\"departments\":[\"11\"]}\n",
        ),
        (
            "department_members",
            "{\"userid\":\"ann\",\"department_id\":\"11\",\"from_time\":1704038400,\"to_time\":1727841600}\n\
             {\"userid\":\"ann\",\"department_id\":\"20\",\"from_time\":1727841600}\n",
        ),
        (
            "relations",
            "{\"userid\":\"ann\",\"external_userid\":\"wm1\",\"add_time\":1727712000}\n\
             {\"userid\":\"bob\",\"external_userid\":\"wm1\",\"add_time\":1727715600}\n",
        ),
        (
            "group_members",
            "{\"chat_id\":\"room\",\"member_id\":\"ann\",\"join_time\":1704038400,\"member_type\":\"employee\"}\n\
             {\"chat_id\":\"room\",\"member_id\":\"bob\",\"join_time\":1704038400,\"member_type\":\"employee\"}\n\
             {\"chat_id\":\"room\",\"member_id\":\"wm1\",\"join_time\":1704038400,\"member_type\":\"customer\"}\n",
        ),
    ])
}

/// One dialogue of ann in the morning of each of the first three days, one of a stranger; one
/// group dialogue in which both answer; a group timeout that names both; who waits at the end.
struct Vectors;

impl Vectors {
    fn single(names: &mut Names, out: &mut PeriodFacts, who: &str, at_ms: i64, answer_ms: i64) {
        let from = out.replies.len();
        let by = names.intern(who);
        out.replies.push(ReplyFact {
            turn_ms: at_ms,
            at_ms: at_ms + answer_ms,
            by,
            interval_ms: answer_ms,
            working_ms: None,
        });
        out.dialogues.push(DialogueFact {
            conversation: names.intern(&format!("{who}|wm1")),
            kind: Kind::SingleExternal,
            employee: Some(by),
            customer: Some(names.intern("wm1")),
            started_ms: at_ms,
            ended_ms: at_ms + answer_ms,
            opened_by: Side::Customer,
            n_employee: 1,
            n_customer: 1,
            only_effective_24h: true,
            only_effective_48h: false,
            replies: from..out.replies.len(),
            spoken: 0..0,
        });
    }

    fn group(names: &mut Names, out: &mut PeriodFacts, at_ms: i64) {
        let from = out.spoken.len();
        for (after, who, side) in [
            (0, "wm1", Side::Customer),
            (MINUTE, "bob", Side::Employee),
            (2 * MINUTE, "wm1", Side::Customer),
            (5 * MINUTE, "ann", Side::Employee),
        ] {
            out.spoken.push(SpokenFact {
                at_ms: at_ms + after,
                speaker: names.intern(who),
                side,
            });
        }
        out.dialogues.push(DialogueFact {
            conversation: names.intern("room"),
            kind: Kind::GroupExternal,
            employee: None,
            customer: None,
            started_ms: at_ms,
            ended_ms: at_ms + 5 * MINUTE,
            opened_by: Side::Customer,
            n_employee: 2,
            n_customer: 2,
            only_effective_24h: false,
            only_effective_48h: false,
            replies: 0..0,
            spoken: from..out.spoken.len(),
        });
        let people = out.people.len();
        out.people
            .extend([names.intern("ann"), names.intern("bob")]);
        out.timeouts.push(TimeoutFact {
            conversation: names.intern("room"),
            kind: Kind::GroupExternal,
            customer: names.intern("wm1"),
            employees: people..out.people.len(),
            message_id: names.intern("m1"),
            message_ms: at_ms,
            fired_ms: at_ms + MINUTE,
        });
    }
}

impl FactSource for Vectors {
    fn stretch(
        &self,
        days: Period,
        _wanted: Wanted,
        names: &mut Names,
    ) -> Result<PeriodFacts, SourceError> {
        let mut all = PeriodFacts::default();
        if days.from > day(3) {
            return Ok(all);
        }
        for n in 0..3 {
            let at_ms = DAY + n * DAY_MS + 9 * 60 * MINUTE;
            Self::single(names, &mut all, "ann", at_ms, (n + 1) * MINUTE);
        }
        Self::single(names, &mut all, "stranger", DAY, 0);
        Self::group(names, &mut all, DAY + 10 * 60 * MINUTE);
        all.activity.push(ActivityFact {
            day: day(2),
            conversation: names.intern("ann|wm1"),
            kind: Kind::SingleExternal,
            speaker: names.intern("ann"),
            side: Side::Employee,
            pair: names.get("ann").zip(names.get("wm1")),
            n: 4,
            n_own: 3,
            first_ms: DAY + DAY_MS + 9 * 60 * MINUTE,
            last_ms: DAY + DAY_MS + 10 * 60 * MINUTE,
        });
        Ok(all)
    }

    fn timers(
        &self,
        _at_ms: &[i64],
        _wanted: Wanted,
        names: &mut Names,
    ) -> Result<Vec<TimerFact>, SourceError> {
        // One runs to the end, one over the end of the first day only.
        let begun_ms = DAY + 20 * 60 * MINUTE;
        let ends = [("m2", None), ("m3", Some(begun_ms + DAY_MS / 2))];
        let timer = |(message, ended_ms): (&str, Option<i64>)| TimerFact {
            conversation: names.intern("room"),
            kind: Kind::GroupExternal,
            employee: None,
            customer: names.intern("wm1"),
            message_id: names.intern(message),
            since_ms: begun_ms,
            ended_ms,
        };
        Ok(ends.map(timer).to_vec())
    }

    fn external_rooms(&self, _names: &mut Names) -> Result<Vec<u32>, SourceError> {
        Ok(Vec::new())
    }
}

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 10, n).unwrap()
}

fn question(by: Option<By>) -> Question {
    let period = Period {
        from: day(1),
        to: day(4),
    };
    Question {
        by,
        ..Question::over(period, DAY + 30 * DAY_MS)
    }
}

fn asked<T>(then: impl FnOnce(&Inputs<'_>) -> T) -> T {
    let (directory, settings) = (directory(), Settings::of(&Rules::default()));
    then(&Inputs {
        directory: &directory,
        settings: &settings,
        source: &Vectors,
        progress: &|_, _| {},
    })
}

fn counted(report: Report, scope: &Scope, question: &Question) -> Answer {
    asked(|inputs| {
        let metrics = of_report(report, inputs.settings);
        count(report, report.per(), scope, question, &metrics, inputs).unwrap()
    })
}

/// The values of one metric by unit (and slice).
fn column(report: Report, key: &str, by: Option<By>) -> Vec<(String, Value)> {
    let answer = counted(report, &Scope::local_operator(), &question(by));
    let settings = Settings::of(&Rules::default());
    let at = of_report(report, &settings)
        .iter()
        .position(|m| m.key == key)
        .unwrap();
    let rows = answer.rows.iter().chain(&answer.totals);
    rows.map(|row| (row.unit.id.clone(), row.values[at].clone()))
        .collect()
}

fn counts(report: Report, key: &str) -> Vec<(String, u64)> {
    column(report, key, None)
        .into_iter()
        .map(|(id, value)| match value {
            Value::Count(n) => (id, n),
            other => panic!("{key} of {id} is {other:?}"),
        })
        .collect()
}

fn of(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()
}

#[test]
fn a_fact_counts_for_the_department_of_its_time_and_once_above() {
    let dialogues = counts(Report::Departments, "dialogues");
    assert_eq!(dialogues, of(&[("1", 3), ("11", 2), ("20", 1), ("", 3)]));
}

#[test]
fn an_unknown_id_with_facts_has_a_row_without_a_name_and_is_in_the_totals() {
    let dialogues = counts(Report::Employees, "dialogues");
    assert_eq!(
        dialogues,
        of(&[("ann", 3), ("bob", 0), ("stranger", 1), ("", 4)])
    );
    let answer = counted(Report::Employees, &Scope::local_operator(), &question(None));
    assert_eq!(answer.rows[2].unit.name, None);
}

#[test]
fn group_dialogues_and_timeouts_count_once_for_a_unit_and_for_each_employee() {
    for key in [
        "group_dialogues",
        "group_timeouts",
        "group_dialogues_replied",
    ] {
        let per_employee = of(&[("ann", 1), ("bob", 1), ("stranger", 0), ("", 1)]);
        assert_eq!(counts(Report::Employees, key), per_employee, "{key}");
        let per_department = of(&[("1", 1), ("11", 1), ("20", 0), ("", 1)]);
        assert_eq!(counts(Report::Departments, key), per_department, "{key}");
    }
}

#[test]
fn a_unit_answers_on_the_view_of_all_its_employees() {
    let of_employees = column(Report::Employees, "group_reply_avg", None);
    let minutes = |n: f64| Value::Millis(n * 60_000.0);
    // ann leaves bob's answer out: the customer has asked since the beginning.
    assert_eq!(of_employees[0].1, minutes(5.0));
    assert_eq!(of_employees[1].1, minutes(1.0));
    // Together: 1 and 3 minutes.
    let of_departments = column(Report::Departments, "group_reply_avg", None);
    assert_eq!(of_departments[1].1, minutes(2.0));
}

#[test]
fn a_customer_is_counted_for_his_first_adder_and_new_for_each() {
    let total = counts(Report::Employees, "customers_total");
    assert_eq!(
        total,
        of(&[("ann", 1), ("bob", 0), ("stranger", 0), ("", 1)])
    );
    let new = counts(Report::Employees, "customers_new");
    assert_eq!(new, of(&[("ann", 1), ("bob", 1), ("stranger", 0), ("", 1)]));
    // At the end ann is in 20.
    let total = counts(Report::Departments, "customers_total");
    assert_eq!(total, of(&[("1", 1), ("11", 0), ("20", 1), ("", 1)]));
}

#[test]
fn messages_to_several_count_once_and_waits_are_those_of_the_end() {
    let sent = counts(Report::Employees, "messages_sent");
    assert_eq!(
        sent,
        of(&[("ann", 3), ("bob", 0), ("stranger", 0), ("", 3)])
    );
    let waits = counts(Report::Departments, "group_open_waits");
    assert_eq!(waits, of(&[("1", 1), ("11", 1), ("20", 1), ("", 1)]));
    let by_day = column(Report::Departments, "group_open_waits", Some(By::Day));
    let of_root: Vec<&Value> = by_day[..4].iter().map(|(_, value)| value).collect();
    assert_eq!(of_root, [2, 1, 1, 1].map(Value::Count).each_ref());
}

#[test]
fn revisits_are_due_on_their_day_and_done_by_a_message() {
    // Day 2 is 2 October: ann wrote that day, bob did not.
    let due = counts(Report::Employees, "revisit_due_2");
    assert_eq!(due, of(&[("ann", 1), ("bob", 1), ("stranger", 0), ("", 2)]));
    let done = counts(Report::Employees, "revisit_done_2");
    assert_eq!(
        done,
        of(&[("ann", 1), ("bob", 0), ("stranger", 0), ("", 1)])
    );
}

#[test]
fn a_unit_that_is_not_wholly_in_scope_is_left_out_of_rows_and_totals() {
    let scope = Scope::of_employees(["bob".to_string()].into());
    let employees = counted(Report::Employees, &scope, &question(None));
    let ids: Vec<&str> = employees.rows.iter().map(|r| r.unit.id.as_str()).collect();
    assert_eq!(ids, ["bob"]);
    assert_eq!(employees.n_withheld, 0);
    // ann was in 11 for a day and a half; of 20 bob's reader sees nobody.
    let departments = counted(Report::Departments, &scope, &question(None));
    assert!(departments.rows.is_empty() && departments.totals.is_empty());
    assert_eq!(departments.n_withheld, 2, "11 and the root above it");
}

fn narrow(userid: &str) -> Scope {
    Scope::of_employees([userid.to_string()].into())
}

#[test]
fn a_unit_opens_only_to_who_sees_everybody_it_ever_had() {
    // After ann has left 11 it is bob's alone, but "ever lost by the unit" is hers too.
    let later = Question {
        period: Period {
            from: day(4),
            to: day(4),
        },
        ..question(None)
    };
    assert!(
        counted(Report::Departments, &narrow("bob"), &later)
            .rows
            .is_empty()
    );
    // ann has been alone in 20, but not before 2 October is over.
    let found = counted(Report::Departments, &narrow("ann"), &later);
    let ids: Vec<&str> = found.rows.iter().map(|r| r.unit.id.as_str()).collect();
    assert_eq!(ids, ["20"]);
    // Who comes after the period is looked at as well: some figures are of now.
    let earlier = Question {
        period: Period {
            from: day(1),
            to: day(1),
        },
        ..question(None)
    };
    let found = counted(Report::Departments, &narrow("ann"), &earlier);
    let ids: Vec<&str> = found.rows.iter().map(|r| r.unit.id.as_str()).collect();
    assert_eq!(ids, ["20"]);
}

#[test]
fn a_store_with_members_that_the_directory_does_not_know_opens_to_all_only() {
    let directory = directory_of(&[
        (
            "employees",
            r#"{"userid":"ann","name":"安","departments":[]}"#,
        ),
        (
            "stores",
            "{\"store_id\":\"s1\",\"name\":\"一\",\"members\":[\"ann\"]}\n\
             {\"store_id\":\"s2\",\"name\":\"二\",\"members\":[\"ann\",\"ghost\"]}\n",
        ),
    ]);
    let settings = Settings::of(&Rules::default());
    let inputs = Inputs {
        directory: &directory,
        settings: &settings,
        source: &Vectors,
        progress: &|_, _| {},
    };
    let metrics = of_report(Report::Stores, &settings);
    let found = |scope: &Scope| {
        let question = question(None);
        let per = Per::Store;
        let answer = count(Report::Stores, per, scope, &question, &metrics, &inputs).unwrap();
        let ids: Vec<String> = answer.rows.into_iter().map(|row| row.unit.id).collect();
        (ids.join(" "), answer.n_withheld)
    };
    assert_eq!(found(&Scope::local_operator()), ("s1 s2".into(), 0));
    assert_eq!(found(&narrow("ann")), ("s1".into(), 1));
    assert_eq!(found(&narrow("bob")), (String::new(), 0));
    // By store: who was in it, also whom the directory does not have, where he has facts.
    let of_store = Question {
        stores: vec!["s2".into()],
        ..question(None)
    };
    let metrics = of_report(Report::Employees, &settings);
    let scope = Scope::local_operator();
    let per = Per::Employee;
    let answer = count(Report::Employees, per, &scope, &of_store, &metrics, &inputs).unwrap();
    let ids: Vec<&str> = answer.rows.iter().map(|r| r.unit.id.as_str()).collect();
    assert_eq!(ids, ["ann"], "ghost has no facts, stranger is not in it");
}

#[test]
fn what_has_no_row_has_no_cell() {
    let opened = |report: Report, scope: &Scope, unit: Option<&str>| {
        asked(|inputs| {
            let metric = &of_report(report, inputs.settings)[0];
            let cell = CellOf {
                unit: unit.map(String::from),
                slice: None,
            };
            let (per, question) = (report.per(), question(None));
            explain(report, per, scope, &question, metric, &cell, inputs)
                .unwrap()
                .is_some()
        })
    };
    let all = Scope::local_operator();
    assert!(opened(Report::Employees, &all, Some("stranger")));
    assert!(!opened(Report::Employees, &all, Some("nobody")));
    assert!(!opened(Report::Departments, &narrow("bob"), None));
    assert!(opened(Report::Employees, &narrow("bob"), None));
}

#[test]
fn the_rows_do_not_depend_on_the_metrics() {
    for key in ["groups_joined", "business_records", "customers_total"] {
        let ids = counts(Report::Employees, key);
        assert_eq!(ids.len(), 4, "{key}: {ids:?}");
    }
}

#[test]
fn only_rows_that_are_given_count_towards_the_limit() {
    let asked_with = |scope: &Scope, rows_max: usize| {
        asked(|inputs| {
            let metrics = of_report(Report::Employees, inputs.settings);
            let question = Question {
                rows_max,
                ..question(Some(By::Day))
            };
            let (report, per) = (Report::Employees, Per::Employee);
            count(report, per, scope, &question, &metrics, inputs).map(|answer| answer.rows.len())
        })
    };
    // ann, bob and the stranger on four days.
    assert_eq!(asked_with(&Scope::local_operator(), 12).unwrap(), 12);
    assert!(matches!(
        asked_with(&Scope::local_operator(), 11),
        Err(ReportError::TooManyRows { n_rows: 12, .. })
    ));
    assert_eq!(asked_with(&narrow("bob"), 4).unwrap(), 4);
}

#[test]
fn every_cell_opens_to_parts_that_make_it() {
    for (report, by) in [
        (Report::Employees, None),
        (Report::Departments, None),
        (Report::Employees, Some(By::Day)),
    ] {
        let (scope, question) = (Scope::local_operator(), question(by));
        let answer = counted(report, &scope, &question);
        asked(|inputs| {
            let metrics = of_report(report, inputs.settings);
            for row in answer.rows.iter().chain(&answer.totals) {
                for (metric, value) in metrics.iter().zip(&row.values) {
                    let cell = CellOf {
                        unit: Some(row.unit.id.clone()).filter(|id| !id.is_empty()),
                        slice: row.period.clone(),
                    };
                    let opened = explain(
                        report,
                        report.per(),
                        &scope,
                        &question,
                        metric,
                        &cell,
                        inputs,
                    );
                    let opened = opened.unwrap().unwrap();
                    assert_eq!(opened.value, *value, "{} of {cell:?}", metric.key);
                }
            }
        });
    }
}

#[test]
fn the_company_is_everybody() {
    let answer = asked(|inputs| {
        let metrics = of_report(Report::Employees, inputs.settings);
        let scope = Scope::local_operator();
        let question = question(None);
        count(
            Report::Employees,
            Per::Company,
            &scope,
            &question,
            &metrics,
            inputs,
        )
        .unwrap()
    });
    assert_eq!(answer.rows.len(), 1);
    assert_eq!(answer.rows[0].values, answer.totals[0].values);
}
