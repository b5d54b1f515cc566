//! Directories that are awkward in size rather than in form: a year in which the members, owners
//! and friends of one group come and go, thousands of intervals, counted as the naive model does.

use huicun_testdata::naive::{Company, Rules};
use serde_json::{Value, json};

use crate::naive::{check_lists, check_units, import};
use crate::support::Installation;

/// 2024-01-01 00:00 in Shanghai.
const YEAR: i64 = 1_704_038_400_000;
const HOUR: i64 = 3_600_000;
const DAYS: i64 = 366;

/// Numbers that look random and are the same everywhere (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: i64) -> i64 {
        let (a, c) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.0 = self.0.wrapping_mul(a).wrapping_add(c);
        (self.0 >> 33) as i64 % limit
    }
}

/// Intervals that follow each other in the year, on whole hours: a stay of up to `days`, and as
/// long away; some stays meet without a gap, the last may have no end.
fn stays(numbers: &mut Numbers, days: i64) -> Vec<(i64, Option<i64>)> {
    let (mut at, mut found) = (numbers.below(72), Vec::new());
    while at < DAYS * 24 {
        let end = at + 1 + numbers.below(days * 24);
        let is_open = end >= DAYS * 24;
        let instant = |hour: i64| YEAR + hour * HOUR;
        found.push((instant(at), (!is_open).then(|| instant(end))));
        at = end + numbers.below(3) * numbers.below(days * 12);
    }
    found
}

fn directory(numbers: &mut Numbers) -> Vec<(String, Value)> {
    let mut rows = Vec::new();
    let mut add = |table: &str, row: Value| rows.push((table.to_string(), row));
    add("departments", json!({"id": "1", "name": "总部"}));
    for id in ["11", "12"] {
        add(
            "departments",
            json!({"id": id, "name": id, "parent_id": "1"}),
        );
    }
    add(
        "groups",
        json!({"chat_id": "wr1", "name": "大群", "owner": "e0"}),
    );
    add(
        "stores",
        json!({"store_id": "s1", "name": "店", "department_id": "12"}),
    );
    for n in 0..12 {
        let userid = format!("e{n}");
        let department = ["11", "12"][n % 2];
        add(
            "employees",
            json!({"userid": userid, "name": userid, "departments": [department]}),
        );
    }
    let employees = (0..12).map(|n| (format!("e{n}"), "employee"));
    let customers = (0..40).map(|n| (format!("wm{n}"), "customer"));
    for (member, kind) in employees.chain(customers) {
        for (joined, left) in stays(numbers, 7) {
            add(
                "group_members",
                json!({"chat_id": "wr1", "member_id": member, "join_time": joined,
                    "member_type": kind, "leave_time": left}),
            );
        }
    }
    for role in ["owner", "responsible"] {
        for (from, to) in stays(numbers, 20) {
            let userid = format!("e{}", numbers.below(12));
            add(
                "group_roles",
                json!({"chat_id": "wr1", "role": role, "from_time": from, "userid": userid,
                    "to_time": to}),
            );
        }
    }
    for n in 0..40 {
        let userid = format!("e{}", n % 12);
        for (added, lost) in stays(numbers, 30) {
            let by = lost.map(|_| "customer");
            add(
                "relations",
                json!({"userid": userid, "external_userid": format!("wm{n}"),
                    "add_time": added, "lost_time": lost, "lost_by": by}),
            );
        }
    }
    rows
}

/// Somebody of the group writes every twelve hours or so; many do so on a whole hour, in the very
/// millisecond in which somebody comes or goes.
fn messages(numbers: &mut Numbers) -> Vec<String> {
    let mut lines = Vec::new();
    let mut at = YEAR;
    while at < YEAR + DAYS * 24 * HOUR {
        let from = match numbers.below(3) {
            0 => format!("e{}", numbers.below(12)),
            _ => format!("wm{}", numbers.below(40)),
        };
        let message = json!({"msgid": format!("m{}", lines.len()), "action": "send", "from": from,
            "tolist": [], "roomid": "wr1", "msgtime": at, "msgtype": "text",
            "text": {"content": "话"}});
        lines.push(message.to_string());
        at += match numbers.below(3) {
            0 => numbers.below(25 * 60) * 1000,
            1 => numbers.below(70) * HOUR,
            _ => HOUR - at % HOUR,
        };
    }
    lines
}

#[test]
fn a_year_of_coming_and_going_in_one_group_is_counted_as_the_naive_model_does() {
    let mut numbers = Numbers(20_240_101);
    let (directory, lines) = (directory(&mut numbers), messages(&mut numbers));
    let n_stays = directory
        .iter()
        .filter(|(table, _)| table == "group_members")
        .count();
    assert!(n_stays > 3000, "{n_stays} stays");
    assert!(lines.len() > 500, "{} messages", lines.len());
    let rules = "[[timeout.rule]]\nname = \"all\"\nlevels = [{ after_minutes = 10, notify = [\"trigger\"] }]\n";
    let mut company = Company::new();
    *company.rules() = Rules::from_toml(rules);
    for (table, row) in &directory {
        company.add_directory_row(table, row);
    }
    company.begin_import();
    lines.iter().for_each(|line| company.add_message_line(line));
    let run = Installation::new();
    let file = run.write("rules.toml", rules);
    run.run(&["rules", "apply", file.to_str().unwrap()]).ok();
    import(&run, &lines, &directory);
    let year = ("2024-01-01", "2024-12-31");
    check_lists(&run, &company, year, &[Some("month")]);
    // Of what was there before it, of its weeks, and of its end; the whole year in weeks would
    // take the naive model minutes.
    check_units(&run, &company, ("2024-11-20", "2024-12-10"));
}

#[test]
fn ids_that_no_table_knows_are_told_and_taken() {
    let run = Installation::new();
    run.write(
        "directory/relations.csv",
        "userid,external_userid,add_time\nghost,wm1,2024-10-01T00:00:00+08:00\n",
    );
    run.write("directory/departments.csv", "id,name,parent_id\n1,总部,\n");
    let folder = run.path("directory");
    let ran = run
        .run(&["import", "directory", folder.to_str().unwrap()])
        .ok();
    for word in [
        "`relations.userid` names 1 id",
        "`ghost`",
        "`relations.external_userid`",
    ] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    let day = ["--from", "2024-10-01", "--to", "2024-10-01"];
    let rows = run
        .run(&[&["report", "guides"][..], &day].concat())
        .ok()
        .rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["userid"], "ghost");
    assert_eq!(
        (&rows[0]["name"], &rows[0]["friends_new"]),
        (&Value::Null, &json!(1))
    );
}
