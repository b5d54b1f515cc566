//! A company that is fed by hand, for the naive model's own tests.

use huicun_testdata::naive::Company;
use serde_json::{Value, json};

/// 2024-10-01 08:00:00.000 in Shanghai (00:00 UTC), a Tuesday.
pub const T0: i64 = 1_727_740_800_000;
pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A company that is fed messages one by one, in arrival order.
#[derive(Default)]
pub struct Case {
    pub company: Company,
    n: u64,
}

impl Case {
    pub fn say(&mut self, from: &str, to: &[&str], room: &str, at: i64, text: &str) {
        self.send(
            json!({"from": from, "tolist": to, "roomid": room, "msgtime": at,
            "msgtype": "text", "text": {"content": text}}),
        );
    }

    pub fn send(&mut self, mut message: Value) {
        self.n += 1;
        message["msgid"] = json!(format!("m{}", self.n));
        if message.get("action").is_none() {
            message["action"] = json!("send");
        }
        let line = json!({"seq": self.n, "publickey_ver": 1, "message": message}).to_string();
        self.company.add_message_line(&line);
    }

    /// `c` is customer wmanna to zhang, `e` is zhang to her; texts of no meaning.
    pub fn chat(&mut self, script: &[(char, i64)]) {
        for (who, at) in script {
            match who {
                'c' => self.say("wmanna", &["zhang"], "", *at, "问"),
                _ => self.say("zhang", &["wmanna"], "", *at, "答"),
            }
        }
    }

    pub fn row(&mut self, table: &str, row: Value) {
        self.company.add_directory_row(table, &row);
    }
}

#[track_caller]
pub fn assert_row(row: &Value, expected: Value) {
    for (key, value) in expected.as_object().expect("an expected row is an object") {
        assert_eq!(&row[key], value, "{key} of {row:#}");
    }
}

/// The row of an id: the first whose column says so.
#[track_caller]
pub fn row_of<'a>(rows: &'a [Value], key: &str, id: &str) -> &'a Value {
    let found = rows.iter().find(|row| row[key] == id);
    found.unwrap_or_else(|| panic!("no row of `{id}`"))
}

/// What 2024-10-01 says of one employee.
pub fn employee(company: &Company, userid: &str) -> Value {
    let rows = company.report_employees("2024-10-01", "2024-10-01", None);
    row_of(&rows, "userid", userid).clone()
}
