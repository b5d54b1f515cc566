//! What an import of directory rows refuses, and that it refuses it whole.

use proptest::prelude::*;

use super::super::feed::{FeedError, read_ndjson};
use super::super::schema::table;
use super::super::store::{DirectoryError, import, rows_of};
use crate::archive::Home;

/// A data directory that lives as long as the test.
struct Company {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Company {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn home(&self) -> Home {
        Home::open_or_create(&self.folder.path().join("data")).unwrap()
    }

    /// Imports `(table, NDJSON)`; the warnings, or why not.
    fn feed(&self, feeds: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let read = |(name, rows): &(&str, &str)| {
            let file = format!("{name}.ndjson");
            read_ndjson(table(name).unwrap(), rows.as_bytes(), &file)
        };
        let feeds: Result<Vec<_>, FeedError> = feeds.iter().map(read).collect();
        let feeds = feeds.map_err(|e| e.to_string())?;
        match self.runtime.block_on(import(&self.home(), feeds)) {
            Ok(done) => Ok(done.warnings),
            Err(DirectoryError::Feed(refused)) => Err(refused.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    fn n_rows(&self, name: &str) -> usize {
        let home = self.home();
        let rows = rows_of(&home, table(name).unwrap());
        self.runtime.block_on(rows).unwrap().num_rows()
    }
}

#[track_caller]
fn refused(said: Result<Vec<String>, String>, words: &[&str]) {
    let said = said.unwrap_err();
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn a_cycle_through_stored_departments_is_refused_with_its_line() {
    let company = Company::new();
    let tree = r#"{"id":"1","name":"总部"}
{"id":"2","name":"华东","parent_id":"1"}"#;
    company.feed(&[("departments", tree)]).unwrap();
    let cycle = r#"{"id":"3","name":"上海","parent_id":"2"}
{"id":"1","name":"总部","parent_id":"3"}"#;
    let said = company.feed(&[("departments", cycle)]);
    refused(
        said,
        &[
            "`departments.ndjson` line 2",
            "`1` below `3` below `2` below `1`",
        ],
    );
    assert_eq!(company.n_rows("departments"), 2);
    let itself = r#"{"id":"4","name":"自己","parent_id":"4"}"#;
    refused(company.feed(&[("departments", itself)]), &["`4` below `4`"]);
}

#[test]
fn an_overlap_in_the_last_table_leaves_the_first_untouched() {
    let company = Company::new();
    let people = r#"{"userid":"a","name":"甲","departments":[]}"#;
    let relations = r#"{"userid":"a","external_userid":"wm1","add_time":1600000000,"lost_time":1600000100}

{"userid":"a","external_userid":"wm1","add_time":1600000099}"#;
    let said = company.feed(&[("employees", people), ("relations", relations)]);
    refused(
        said,
        &[
            "`relations.ndjson` line 3",
            "`a`, `wm1`",
            "2020-09-13T12:28:19.000Z without end",
            "line 1",
        ],
    );
    assert_eq!(company.n_rows("employees") + company.n_rows("relations"), 0);
}

#[test]
fn a_fed_row_before_a_stored_one_is_named_too() {
    let company = Company::new();
    let later = r#"{"chat_id":"g","role":"owner","from_time":1600000100,"userid":"a"}"#;
    company.feed(&[("group_roles", later)]).unwrap();
    let earlier = r#"{"chat_id":"g","role":"owner","from_time":1600000000,"userid":"b"}"#;
    let said = company.feed(&[("group_roles", earlier)]);
    refused(said, &["`group_roles.ndjson` line 1", "a stored row"]);
    // With its end at the other's beginning it fits, and so does another role.
    let earlier = r#"{"chat_id":"g","role":"owner","from_time":1600000000,"userid":"b","to_time":1600000100}
{"chat_id":"g","role":"responsible","from_time":1600000000,"userid":"b"}"#;
    company.feed(&[("group_roles", earlier)]).unwrap();
    assert_eq!(company.n_rows("group_roles"), 3);
}

#[test]
fn a_correction_of_a_stored_row_is_looked_at_as_it_will_be() {
    let company = Company::new();
    let stay = |join: i64, leave: &str| {
        format!(
            r#"{{"chat_id":"g","member_id":"wm1","member_type":"customer","join_time":{join}{leave}}}"#
        )
    };
    company
        .feed(&[("group_members", &stay(1_600_000_000, ""))])
        .unwrap();
    let again = stay(1_600_000_500, "");
    refused(company.feed(&[("group_members", &again)]), &["overlaps"]);
    let both = format!(
        "{}\n{again}",
        stay(1_600_000_000, r#","leave_time":1600000500"#)
    );
    company.feed(&[("group_members", &both)]).unwrap();
}

#[test]
fn an_interval_that_ends_before_it_begins_is_refused() {
    let company = Company::new();
    let rows = r#"{"userid":"a","department_id":"1","from_time":1600000000,"to_time":1600000000}
{"userid":"a","department_id":"2","from_time":1600000001,"to_time":1600000000}"#;
    let said = company.feed(&[("department_members", rows)]);
    refused(said, &["line 2", "`to_time`", "lies before"]);
}

#[test]
fn unknown_ids_are_told_and_taken() {
    let company = Company::new();
    let relations = r#"{"userid":"a","external_userid":"wm1","add_time":1600000000}
{"userid":"b","external_userid":"wm1","add_time":1600000000}"#;
    let warnings = company.feed(&[
        ("relations", relations),
        (
            "employees",
            r#"{"userid":"a","name":"甲","departments":[]}"#,
        ),
        ("departments", r#"{"id":"1","name":"总部","parent_id":"0"}"#),
    ]);
    assert_eq!(
        warnings.unwrap(),
        [
            "`relations.userid` names 1 id that `employees` does not have, such as `b`",
            "`relations.external_userid` names 1 id that `customers` does not have, such as `wm1`",
        ]
    );
    assert_eq!(company.n_rows("relations"), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What is refused is what two rows say at one instant, found by asking every instant.
    #[test]
    fn an_import_is_refused_exactly_where_two_rows_hold_at_once(
        stays in prop::collection::btree_map(0..12_i64, prop::option::of(0..6_i64), 1..5)
    ) {
        let row = |(from, length): (&i64, &Option<i64>)| {
            let end = length.map(|n| format!(r#","lost_time":{}"#, 1_600_000_000 + from + n));
            format!(
                r#"{{"userid":"a","external_userid":"wm1","add_time":{}{}}}"#,
                1_600_000_000 + from,
                end.unwrap_or_default()
            )
        };
        let rows: Vec<String> = stays.iter().map(row).collect();
        let twice = (0..20).any(|at| {
            let held = stays.iter().filter(|(from, length)| {
                **from <= at && length.is_none_or(|n| at < **from + n)
            });
            held.count() > 1
        });
        let said = Company::new().feed(&[("relations", &rows.join("\n"))]);
        prop_assert_eq!(said.is_err(), twice);
    }
}
