//! The view of the directory answers as plain walks over its rows do.

use super::super::testing::directory_of;

fn company() -> super::Directory {
    directory_of(&[
        (
            "departments",
            r#"{"id":"1","name":"总部","parent_id":"0"}
{"id":"2","name":"华东","parent_id":"1"}
{"id":"3","name":"上海","parent_id":"2"}"#,
        ),
        (
            "employees",
            r#"{"userid":"a","name":"甲","departments":["3"]}
{"userid":"b","name":"乙","departments":["3"]}
{"userid":"c","name":"丙","departments":["2"],"status":"left","left_at":1700000000000}
{"userid":"d","name":"丁","departments":["3"],"status":"left"}"#,
        ),
        (
            "department_members",
            r#"{"userid":"b","department_id":"3","from_time":1600000000000,"to_time":1650000000000}
{"userid":"b","department_id":"1","from_time":1650000000000}"#,
        ),
        (
            "stores",
            r#"{"store_id":"s","name":"南京路店","department_id":"2","members":["b"]}"#,
        ),
        (
            "group_members",
            r#"{"chat_id":"g","member_id":"a","join_time":1600000000000,"member_type":"customer","leave_time":1650000000000}
{"chat_id":"g","member_id":"wm1","join_time":1600000000000,"member_type":"employee"}"#,
        ),
        (
            "groups",
            r#"{"chat_id":"g","name":"一群","owner":"a"}
{"chat_id":"h","name":"二群","owner":"b"}"#,
        ),
    ])
}

#[test]
fn a_fact_counts_for_the_departments_of_its_time_and_all_above() {
    let company = company();
    assert_eq!(company.departments_at("a", 0), ["0", "1", "2", "3"]);
    assert_eq!(
        company.departments_at("b", 1_640_000_000_000),
        ["0", "1", "2", "3"]
    );
    assert_eq!(company.departments_at("b", 1_650_000_000_000), ["0", "1"]);
    assert_eq!(company.departments_at("b", 1_500_000_000_000), [""; 0]);
}

#[test]
fn who_left_is_in_nothing_from_then_on() {
    let company = company();
    assert_eq!(
        company.departments_at("c", 1_699_999_999_999),
        ["0", "1", "2"]
    );
    assert_eq!(company.departments_at("c", 1_700_000_000_000), [""; 0]);
    assert_eq!(company.departments_at("d", 0), [""; 0]);
    assert!(company.employees["c"].has_left_at(1_700_000_000_000));
}

#[test]
fn a_store_has_the_employees_below_its_department_and_those_listed() {
    let company = company();
    let store = company.ids.get("s").unwrap();
    let members = |at: i64| -> Vec<&str> {
        let members = company.organisation.store_members_at(store, at);
        members.into_iter().map(|id| company.ids.name(id)).collect()
    };
    assert_eq!(members(1_640_000_000_000), ["a", "b", "c"]);
    assert_eq!(members(1_700_000_000_000), ["a", "b"]);
}

#[test]
fn a_members_side_follows_from_his_id_and_unknown_membership_is_told_apart() {
    let company = company();
    assert_eq!(
        company.members_of_at("g", 1_640_000_000_000),
        Some(vec!["a"])
    );
    assert_eq!(company.members_of_at("g", 1_650_000_000_000), Some(vec![]));
    assert_eq!(company.members_of_at("h", 0), None);
    assert!(company.rooms_with_customers.contains("g"));
    assert_eq!(company.responsible_at("h", 0), Some("b"));
    assert_eq!(company.owner_at("unknown", 0), None);
}

#[test]
fn departments_below_and_times_in_them() {
    let company = company();
    let below = company.departments_below("2");
    assert_eq!(below.iter().collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(company.times_in("b", &below).len(), 1);
    assert!(company.was_in("a", &below, 0) && !company.was_in("b", &below, 1_650_000_000_000));
    assert!(company.was_in_during("b", &below, (1_649_999_999_999, 1_700_000_000_000)));
    assert_eq!(company.employees_ever_in(&below).len(), 4);
    assert_eq!(company.departments_below("unknown").len(), 1);
}
