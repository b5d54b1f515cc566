//! The directory of a random company: people who move, leave and come back, at awkward instants.

use chrono::{DateTime, SecondsFormat};
use rand::Rng;
use serde_json::{Value, json};

use super::random::{
    BASE_MS, CUSTOMERS, DAY, EMPLOYEES, HOUR, Maker, SECOND, UNKNOWN_EMPLOYEE, next_midnight, pick,
};

/// Rooms of which the directory may know something; `wrstaff` stays internal.
const ROOMS: [&str; 5] = ["wrmixed", "wrlearned", "wrquiet", "wrlate", "wrstaff"];

/// `[from, to)`; without an end it goes on.
type Stint = (i64, Option<i64>);

impl Maker {
    pub(super) fn directory(&mut self) -> Vec<(String, Value)> {
        let mut rows = self.organisation();
        // wocorp stays unknown. wmclerk is in both tables: an employee.
        for customer in ["wmanna", "wmbert", "ext07", "wmclerk"] {
            let row =
                json!({"external_userid": customer, "name": format!("客户{customer}"), "type": 1});
            rows.push(("customers".to_owned(), row));
        }
        for customer in CUSTOMERS {
            for employee in EMPLOYEES.into_iter().chain([UNKNOWN_EMPLOYEE]) {
                if self.rng.random_bool(0.4) {
                    for row in self.relation(employee, customer) {
                        rows.push(("relations".to_owned(), row));
                    }
                }
            }
        }
        for room in ROOMS {
            self.room(room, &mut rows);
        }
        self.work(&mut rows);
        self.follow_up(&mut rows);
        rows
    }

    fn organisation(&mut self) -> Vec<(String, Value)> {
        let mut rows: Vec<(String, Value)> = Vec::new();
        let mut add = |table: &str, row: Value| rows.push((table.to_owned(), row));
        add("departments", json!({"id": "1", "name": "总部"}));
        for (id, name, above) in [
            ("11", "客服", "1"),
            ("12", "销售", "1"),
            ("111", "夜班", "11"),
        ] {
            let row = json!({"id": id, "name": name, "parent_id": above});
            add("departments", row);
        }
        for userid in EMPLOYEES {
            let departments = pick(
                &mut self.rng,
                &[
                    vec!["1"],
                    vec!["11"],
                    vec!["111"],
                    vec!["12", "111"],
                    vec![],
                ],
            );
            let old = json!({"userid": userid, "name": format!("旧{userid}"), "departments": departments});
            let mut row = json!({"userid": userid, "name": format!("员工{userid}"), "departments": departments});
            match self.rng.random_range(0..8) {
                0 => {
                    let left_at = self.instant();
                    row["status"] = json!("left");
                    row["left_at"] = self.time(left_at);
                }
                1 => row["status"] = json!("left"),
                2 => row["can_add_external"] = json!(false),
                _ => {}
            }
            add("employees", old);
            add("employees", row);
            if self.rng.random_bool(0.4) {
                let department = pick(&mut self.rng, &["11", "12", "111"]);
                for row in self.history(userid, department) {
                    add("department_members", row);
                }
            }
        }
        let listed = pick(
            &mut self.rng,
            &[vec!["zhang", "li.si"], vec!["wmclerk"], vec![]],
        );
        add(
            "stores",
            json!({"store_id": "s1", "name": "一店", "department_id": "11", "members": listed}),
        );
        add(
            "stores",
            json!({"store_id": "s2", "name": "二店", "members": ["zhang", UNKNOWN_EMPLOYEE], "groups": ["wrquiet"]}),
        );
        rows
    }

    fn history(&mut self, userid: &str, department: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        for (from, to) in self.stints() {
            let mut row = json!({"userid": userid, "department_id": department});
            row["from_time"] = self.time(from);
            if let Some(to) = to {
                row["to_time"] = self.time(to);
            }
            rows.push(row);
        }
        rows
    }

    fn room(&mut self, room: &str, rows: &mut Vec<(String, Value)>) {
        let mut add = |table: &str, row: Value| rows.push((table.to_owned(), row));
        if room != "wrlearned" || self.rng.random_bool(0.5) {
            let owner = pick(
                &mut self.rng,
                &["zhang", "li.si", "W-wang", UNKNOWN_EMPLOYEE],
            );
            let mut row = json!({"chat_id": room, "name": format!("群{room}"), "owner": owner});
            if self.rng.random_bool(0.5) {
                row["create_time"] = self.time(BASE_MS);
            }
            if self.rng.random_bool(0.15) {
                row["dismissed_time"] = self.time(BASE_MS + 30 * HOUR);
            }
            if self.rng.random_bool(0.3) {
                row["store_id"] = json!("s1");
            }
            add("groups", row);
        }
        for role in ["owner", "responsible"] {
            if self.rng.random_bool(0.4) {
                for (from, to) in self.stints() {
                    let userid = pick(&mut self.rng, &["zhang", "li.si", "W-wang"]);
                    let mut row = json!({"chat_id": room, "role": role, "userid": userid});
                    row["from_time"] = self.time(from);
                    if let Some(to) = to {
                        row["to_time"] = self.time(to);
                    }
                    add("group_roles", row);
                }
            }
        }
        // Of wrmixed the members may be unknown. wrstaff has no customer, and wrquiet has one always.
        let is_unknown = room == "wrmixed" && self.rng.random_bool(0.4);
        let people = EMPLOYEES.into_iter().chain(CUSTOMERS).chain(["wbbot"]);
        for member in people {
            let is_customer = CUSTOMERS.contains(&member);
            let is_always = room == "wrquiet" && member == "wmbert";
            if is_unknown || (room == "wrstaff" && is_customer) {
                continue;
            }
            if !is_always && self.rng.random_bool(0.5) {
                continue;
            }
            for (joined, left) in self.stints() {
                let member_type = if is_customer { "customer" } else { "employee" };
                let mut row =
                    json!({"chat_id": room, "member_id": member, "member_type": member_type});
                row["join_time"] = self.time(joined);
                if let Some(left) = left {
                    row["leave_time"] = self.time(left);
                }
                add("group_members", row);
            }
        }
    }

    /// Tasks, records, requests, and what customers did.
    fn work(&mut self, rows: &mut Vec<(String, Value)>) {
        for n in 0..self.rng.random_range(2..12) {
            let employee = pick(
                &mut self.rng,
                &["zhang", "li.si", "W-wang", UNKNOWN_EMPLOYEE],
            );
            let customer = pick(&mut self.rng, &CUSTOMERS);
            let at = self.instant();
            let later = self.instant().max(at);
            let (time, later) = (self.time(at), self.time(later));
            let date = ["2024-09-29", "2024-09-30", "2024-10-01", "2024-10-03"][n % 4];
            let target = match n % 3 {
                0 => ("group", "wrmixed"),
                _ => ("customer", customer),
            };
            let mut add = |table: &str, row: Value| rows.push((table.to_owned(), row));
            let mut task =
                json!({"id": format!("t{n}"), "userid": employee, "assigned_time": time});
            task["kind"] = json!(pick(&mut self.rng, &["normal", "poster"]));
            if self.rng.random_bool(0.6) {
                task["completed_time"] = later.clone();
            }
            add("tasks", task);
            for table in ["followups", "business_records"] {
                add(
                    table,
                    json!({"id": format!("r{n}"), "userid": employee, "target_type": target.0,
                        "target_id": target.1, "time": later}),
                );
            }
            add(
                "friend_requests",
                json!({"userid": employee, "date": date, "count": n}),
            );
            let mut event = json!({"id": format!("e{n}"), "external_userid": customer, "time": time,
                "kind": pick(&mut self.rng, &["view", "share"])});
            if self.rng.random_bool(0.7) {
                event["dwell_seconds"] = json!(pick(&mut self.rng, &[0, 30, 60]));
            }
            add("material_events", event);
            add(
                "orders",
                json!({"id": format!("o{n}"), "external_userid": customer, "time": later, "amount": 9.9}),
            );
        }
    }

    /// Records of the weeks in which revisits are due, some in the first or last instant of a day.
    fn follow_up(&mut self, rows: &mut Vec<(String, Value)>) {
        for n in 0..12 {
            let day = next_midnight(BASE_MS) + self.rng.random_range(0..12) * DAY;
            let at = day + pick(&mut self.rng, &[0, -1, 9 * HOUR]);
            let row = json!({"id": format!("v{n}"), "userid": pick(&mut self.rng, &EMPLOYEES),
                "target_type": "customer", "target_id": pick(&mut self.rng, &CUSTOMERS),
                "time": self.time(at)});
            rows.push(("followups".to_owned(), row));
        }
    }

    /// A relation, which may be told twice, be lost, and be made again in the same instant or later.
    fn relation(&mut self, employee: &str, customer: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        // Few instants, so that several employees add one customer at the same one.
        let midnight = next_midnight(BASE_MS);
        let mut added = pick(
            &mut self.rng,
            &[BASE_MS, midnight, midnight - SECOND, midnight + 26 * HOUR],
        );
        for _ in 0..2 {
            let time = self.time(added);
            let mut row =
                json!({"userid": employee, "external_userid": customer, "add_time": time});
            if self.rng.random_bool(0.8) {
                row["add_way"] = json!(self.rng.random_range(1..4));
            }
            row["tags"] = json!(pick(
                &mut self.rng,
                &[vec![], vec!["老客"], vec!["老客", "高端"]]
            ));
            rows.push(row.clone());
            if self.rng.random_bool(0.6) {
                return rows;
            }
            let lost = match self.rng.random_range(0..4) {
                0 => next_midnight(added),
                1 => next_midnight(added + DAY) - 1,
                2 => added + 3 * HOUR,
                _ => added + DAY,
            };
            let mut lost_row = row;
            lost_row["add_time"] = self.time(added);
            lost_row["lost_time"] = self.time(lost);
            lost_row["lost_by"] = json!(pick(
                &mut self.rng,
                &["customer", "employee", "employee_left"]
            ));
            rows.push(lost_row);
            added = lost + pick(&mut self.rng, &[0, HOUR]);
        }
        rows
    }

    /// One stint or two, the second often from the very instant at which the first ended.
    fn stints(&mut self) -> Vec<Stint> {
        let mut instants: Vec<i64> = (0..4).map(|_| self.instant()).collect();
        instants.sort_unstable();
        instants.dedup();
        match (self.rng.random_range(0..4), &instants[..]) {
            (0, [from, .., to]) => vec![(*from, Some(*to))],
            (1, [from, to, ..]) => vec![(*from, Some(*to)), (*to, None)],
            (2, [from, to, again, ..]) => vec![(*from, Some(*to)), (*again, None)],
            (_, [from, ..]) => vec![(*from, None)],
            _ => Vec::new(),
        }
    }

    /// An instant at which something happens: a message or midnight, or a millisecond beside it.
    fn instant(&mut self) -> i64 {
        let index = self.rng.random_range(0..self.messages.len());
        let said = self.messages[index].0;
        let beside = pick(&mut self.rng, &[-1, 0, 0, 1]);
        match self.rng.random_range(0..8) {
            0 => BASE_MS - DAY,
            // Days after everybody fell silent: revisits by record alone.
            3 => BASE_MS + self.rng.random_range(1..14) * DAY,
            1 => next_midnight(said) + beside,
            2 => BASE_MS + self.rng.random_range(0..72) * HOUR,
            _ => said + beside,
        }
    }

    /// An instant in one of the three forms that a directory may use; seconds only where they say it all.
    fn time(&mut self, ms: i64) -> Value {
        match self.rng.random_range(0..3) {
            0 if ms % 1000 == 0 => json!(ms / 1000),
            1 => json!(
                DateTime::from_timestamp_millis(ms)
                    .unwrap_or_default()
                    .to_rfc3339_opts(SecondsFormat::Millis, false)
            ),
            _ => json!(ms),
        }
    }
}
