//! Contacts with customers and portraits of groups: a tiny company worked by hand, its answers in
//! every format and over HTTP, and what a narrow scope sees of it.

use std::collections::BTreeMap;
use std::io::Read;

use huicun_testdata::naive::{Company, random_company};
use serde_json::{Value, json};

use crate::support::{Client, Installation, Server};

const DIRECTORY: [(&str, &str); 8] = [
    (
        "departments.csv",
        "id,name,parent_id\n1,总部,\n10,华东,1\n20,华南,1\n",
    ),
    (
        "employees.csv",
        "userid,name,departments\ne1,张三,10\ne2,李四,20\ne3,王五,20\n",
    ),
    (
        "customers.csv",
        "external_userid,name\nwm1,安娜\nwm2,伯特\n",
    ),
    (
        "relations.ndjson",
        r#"{"userid":"e1","external_userid":"wm1","add_time":"2024-09-01T00:00:00+08:00","tags":["会员"]}
{"userid":"e2","external_userid":"wm1","add_time":"2024-09-10T00:00:00+08:00","tags":["会员","老客"]}
{"userid":"e1","external_userid":"wm2","add_time":"2024-09-05T00:00:00+08:00","lost_time":"2024-09-20T00:00:00+08:00","lost_by":"customer","tags":["流失"]}
"#,
    ),
    (
        "groups.ndjson",
        r#"{"chat_id":"wr1","name":"水果群","owner":"e1","create_time":"2024-09-01T00:00:00+08:00"}
{"chat_id":"wr2","name":"内部群","owner":"e1"}
"#,
    ),
    (
        "group_roles.ndjson",
        r#"{"chat_id":"wr1","role":"responsible","from_time":"2024-10-02T00:00:00+08:00","userid":"e3"}
"#,
    ),
    (
        "group_members.ndjson",
        r#"{"chat_id":"wr1","member_id":"e1","member_type":"employee","join_time":"2024-09-01T00:00:00+08:00"}
{"chat_id":"wr1","member_id":"e3","member_type":"employee","join_time":"2024-10-02T00:00:00+08:00"}
{"chat_id":"wr1","member_id":"wm1","member_type":"customer","join_time":"2024-10-01T09:00:00+08:00","join_scene":1,"invitor":"e1"}
{"chat_id":"wr1","member_id":"wm2","member_type":"customer","join_time":"2024-10-01T10:00:00+08:00","join_scene":3,"leave_time":"2024-10-02T12:00:00+08:00"}
"#,
    ),
    (
        "followups.ndjson",
        r#"{"id":"f1","userid":"e2","target_type":"customer","target_id":"wm1","time":"2024-10-02T08:00:00+08:00"}
"#,
    ),
];

/// Sender, receiver, room, when in the company's zone, text.
const MESSAGES: [(&str, &str, &str, &str, &str); 9] = [
    ("wm1", "e1", "", "2024-09-30T20:00:00", "在吗"),
    ("e1", "wm1", "", "2024-09-30T20:05:00", "在"),
    (
        "wm1",
        "e1",
        "wr1",
        "2024-10-01T09:30:00",
        "请问这个连衣裙有优惠吗",
    ),
    ("e1", "wm1", "wr1", "2024-10-01T09:31:00", "优惠券已经发了"),
    ("wm1", "e2", "", "2024-10-02T09:00:00", "发货了吗"),
    ("e2", "wm1", "", "2024-10-02T09:10:00", "发了"),
    (
        "wm2",
        "e1",
        "wr1",
        "2024-10-02T10:00:00",
        "连衣裙什么时候发货？",
    ),
    ("e1", "wm1", "wr1", "2024-10-03T10:00:00", "明天"),
    ("e2", "wm2", "", "2024-10-03T23:00:00", "您好"),
];

const PERIOD: [&str; 4] = ["--from", "2024-10-01", "--to", "2024-10-03"];
const DAYS: &str = "from=2024-10-01&to=2024-10-03";

fn company() -> Installation {
    let run = Installation::new();
    for (name, content) in DIRECTORY {
        run.write(&format!("directory/{name}"), content);
    }
    let folder = run.path("directory");
    run.run(&["import", "directory", folder.to_str().unwrap()])
        .ok();
    let lines: Vec<String> = (1..)
        .zip(MESSAGES)
        .map(|(seq, (from, to, room, at, text))| {
            let at = chrono::DateTime::parse_from_rfc3339(&format!("{at}+08:00")).unwrap();
            let message = json!({
                "msgid": format!("m{seq}"), "action": "send", "from": from, "tolist": [to],
                "roomid": room, "msgtime": at.timestamp_millis(), "msgtype": "text",
                "text": {"content": text},
            });
            json!({"seq": seq, "message": message}).to_string()
        })
        .collect();
    run.run_with_input(&["import", "messages", "-"], lines.join("\n").as_bytes())
        .ok();
    run
}

fn served(run: &Installation, scope: &str) -> (Server, Client) {
    let token = run.token(scope);
    let server = run.serve("serve");
    let client = server.client(&token);
    (server, client)
}

/// A row of contacts: messages as (customer's, employees'), instants without date of the year.
fn contact(
    (customer, name, employee): (&str, &str, Option<&str>),
    (last_customer, last_employee): (Option<&str>, Option<&str>),
    (n_customer, n_employee): (u64, u64),
    silent_days: Option<i64>,
    added: Option<&str>,
    followed: bool,
) -> Value {
    let at = |short: Option<&str>| short.map(|short| format!("2024-{short}:00.000+08:00"));
    let mut row = json!({
        "external_userid": customer,
        "name": name,
        "last_customer_message_at": at(last_customer),
        "last_employee_message_at": at(last_employee),
        "last_contact_at": at(last_customer.max(last_employee)),
        "customer_messages": n_customer,
        "employee_messages": n_employee,
        "silent_days": silent_days,
        "added_at": at(added),
        "followed": followed,
    });
    if let Some(employee) = employee {
        row["userid"] = json!(employee);
    }
    row
}

fn ask(run: &Installation, arguments: &[&str]) -> Vec<Value> {
    run.run(&[arguments, &PERIOD].concat()).ok().rows()
}

#[test]
fn contacts_are_told_per_customer_and_per_employee_as_worked_by_hand() {
    let run = company();
    let anna = |employee| ("wm1", "安娜", employee);
    let bert = |employee| ("wm2", "伯特", employee);
    // From 09:00 on the 2nd to the last millisecond of the 3rd is one whole day. Bert never wrote in
    // a single chat, and his relation was lost before.
    let per_customer = [
        contact(
            anna(None),
            (Some("10-02T09:00"), Some("10-02T09:10")),
            (1, 1),
            Some(1),
            Some("09-01T00:00"),
            true,
        ),
        contact(
            bert(None),
            (None, Some("10-03T23:00")),
            (0, 1),
            None,
            None,
            false,
        ),
    ];
    assert_eq!(ask(&run, &["contacts"]), per_customer);
    let per_employee = [
        contact(
            anna(Some("e1")),
            (Some("09-30T20:00"), Some("09-30T20:05")),
            (0, 0),
            Some(3),
            Some("09-01T00:00"),
            false,
        ),
        contact(
            anna(Some("e2")),
            (Some("10-02T09:00"), Some("10-02T09:10")),
            (1, 1),
            Some(1),
            Some("09-10T00:00"),
            true,
        ),
        contact(bert(Some("e1")), (None, None), (0, 0), None, None, false),
        contact(
            bert(Some("e2")),
            (None, Some("10-03T23:00")),
            (0, 1),
            None,
            None,
            false,
        ),
    ];
    let all = ask(&run, &["contacts", "--per", "employee"]);
    assert_eq!(all, per_employee);
    let of_anna = ask(
        &run,
        &["contacts", "--per", "employee", "--customer", "wm1"],
    );
    assert_eq!(of_anna, per_employee[..2]);
    let of_e2 = ask(
        &run,
        &["contacts", "--per", "employee", "--department", "20"],
    );
    assert_eq!(
        of_e2,
        [&per_employee[1], &per_employee[3]].map(Clone::clone)
    );
    let nobody = ["contacts", "--department", "20", "--employee", "e1"];
    assert_eq!(ask(&run, &nobody), [] as [Value; 0]);
    let first = ["contacts", "--per", "employee", "--limit", "1"];
    assert_eq!(ask(&run, &first), per_employee[..1]);
}

#[test]
fn without_a_last_day_contacts_are_as_of_now() {
    let run = company();
    let rows = run.run(&["contacts"]).ok().rows();
    let now = chrono::Utc::now();
    let last = chrono::DateTime::parse_from_rfc3339("2024-10-02T09:00:00+08:00").unwrap();
    let days = now.signed_duration_since(last).num_days();
    let told = rows[0]["silent_days"].as_i64().unwrap();
    // Midnight of that hour may pass between.
    assert!(told == days || told == days - 1, "{told}, {days}");
}

#[test]
fn contacts_come_in_pages_and_a_scope_sees_its_employees_only() {
    let run = company();
    let (server, client) = served(&run, "all");
    for per in ["customer", "employee"] {
        let shown = ask(&run, &["contacts", "--per", per]);
        for limit in [1, 3, 100] {
            let paged = client.all(&format!("/v1/contacts?{DAYS}&per={per}&limit={limit}"));
            assert_eq!(paged, shown, "{per}, {limit}");
        }
    }
    let e1 = server.client(&run.token("employee:e1"));
    let pairs = e1.all(&format!("/v1/contacts?{DAYS}&per=employee"));
    let of_e1 = ask(&run, &["contacts", "--per", "employee", "--employee", "e1"]);
    assert_eq!((pairs.len(), &pairs), (2, &of_e1));
    let anna = &e1.all(&format!("/v1/contacts?{DAYS}"))[0];
    assert_eq!(anna["last_contact_at"], "2024-09-30T20:05:00.000+08:00");
    assert_eq!(
        (&anna["customer_messages"], &anna["followed"]),
        (&json!(0), &json!(false))
    );
    let wrong = client.get("/v1/contacts?per=department");
    assert_eq!(wrong.problem(), (400, "parameter".into()));
}

/// The keys of rows, each row as the values of these keys.
fn values(rows: &Value, keys: &[&str]) -> Vec<Value> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| keys.iter().map(|key| row[*key].clone()).collect())
        .collect()
}

const DAY_KEYS: [&str; 6] = [
    "day",
    "employee_messages",
    "customer_messages",
    "customers_joined",
    "customers_left",
    "customers_present",
];

#[test]
fn a_portrait_is_as_worked_by_hand() {
    let run = company();
    let whole = ask(&run, &["portrait", "wr1"]);
    assert_eq!(whole.len(), 1);
    let whole = &whole[0];
    let about = [
        ("chat_id", json!("wr1")),
        ("name", json!("水果群")),
        ("owner", json!("e1")),
        ("responsible", json!("e3")),
        ("created_at", json!("2024-09-01T00:00:00.000+08:00")),
        ("from", json!("2024-10-01")),
        ("to", json!("2024-10-03")),
        ("members_total", json!(3)),
        ("customers_total", json!(1)),
    ];
    for (key, expected) in about {
        assert_eq!(whole[key], expected, "{key}");
    }
    assert_eq!(
        values(&whole["days"], &DAY_KEYS),
        [
            json!(["2024-10-01", 1, 1, 2, 0, 2]),
            json!(["2024-10-02", 0, 1, 0, 1, 1]),
            json!(["2024-10-03", 1, 0, 0, 0, 1]),
        ]
    );
    let words = values(&whole["keywords"], &["word", "count"]);
    assert_eq!(words[0], json!(["连衣裙", 2]));
    // What only employees say, and what is said in single chats, is not there.
    for (word, is_there) in [
        ("优惠", true),
        ("发货", true),
        ("优惠券", false),
        ("明天", false),
    ] {
        assert_eq!(
            words.contains(&json!([word, 1])),
            is_there,
            "{word}: {words:?}"
        );
    }
    assert_eq!(
        values(&whole["tags"], &["tag", "customers"]),
        [json!(["会员", 1]), json!(["老客", 1])]
    );
    let keys = [
        "member_id",
        "name",
        "role",
        "last_contact_at",
        "join_scene",
        "invitor",
        "messages_last_day",
        "left_at",
    ];
    assert_eq!(
        values(&whole["members"], &keys),
        [
            json!([
                "e1",
                "张三",
                "employee",
                "2024-10-03T10:00:00.000+08:00",
                null,
                null,
                1,
                null
            ]),
            json!(["e3", "王五", "employee", null, null, null, 0, null]),
            json!([
                "wm1",
                "安娜",
                "customer",
                "2024-10-01T09:30:00.000+08:00",
                1,
                "e1",
                0,
                null
            ]),
        ]
    );
    assert_eq!(
        values(&whole["left"], &keys),
        [json!([
            "wm2",
            "伯特",
            "customer",
            "2024-10-02T10:00:00.000+08:00",
            3,
            null,
            0,
            "2024-10-02T12:00:00.000+08:00"
        ])]
    );
    // A day earlier: Bert's words of the 2nd are not said yet, and he has not left.
    let day = [
        "portrait",
        "wr1",
        "--from",
        "2024-10-01",
        "--to",
        "2024-10-01",
    ];
    let earlier = &run.run(&day).ok().rows()[0];
    assert_eq!(earlier["customers_total"], 2);
    assert_eq!(values(&earlier["keywords"], &["word", "count"])[0][1], 1);
    assert_eq!(earlier["left"], json!([]));
}

#[test]
fn a_portrait_without_days_covers_the_last_days_of_the_rules() {
    let run = company();
    let days = |run: &Installation| run.run(&["portrait", "wr1", "--part", "days"]).ok().rows();
    assert_eq!(days(&run).len(), 7);
    let rules = run.write("rules.toml", "[group_activity]\nwindow_days = 30\n");
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    assert_eq!(days(&run).len(), 30);
    let one = ["portrait", "wr1", "--part", "days", "--to", "2024-10-03"];
    let rows = run.run(&one).ok().rows();
    assert_eq!((rows.len(), &rows[29]["day"]), (30, &json!("2024-10-03")));
}

#[test]
fn parts_are_rows_of_their_own_and_sheets_of_a_workbook() {
    let run = company();
    let whole = &ask(&run, &["portrait", "wr1"])[0];
    for part in ["days", "keywords", "tags", "members", "left"] {
        let rows = ask(&run, &["portrait", "wr1", "--part", part]);
        assert_eq!(json!(rows), whole[part], "{part}");
    }
    let json = run.run(&[&["portrait", "wr1", "--format", "json"], &PERIOD[..]].concat());
    let json: Value = serde_json::from_str(&json.ok().stdout).unwrap();
    assert_eq!(json, json!([whole]));
    let csv = ["portrait", "wr1", "--format", "csv"];
    let refused = run.run(&csv);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("--part"), "{}", refused.stderr);
    let csv = [&csv[..], &["--part", "days"], &PERIOD].concat();
    let csv = run.run(&csv).ok().stdout;
    assert_eq!(csv.lines().next().unwrap(), DAY_KEYS.join(","));
    assert_eq!(csv.lines().nth(1).unwrap(), "2024-10-01,1,1,2,0,2");
    let table = [&["portrait", "wr1", "--format", "table"], &PERIOD[..]].concat();
    let table = run.run(&table).ok().stdout;
    for title in [
        "群概况",
        "每日趋势",
        "沟通关键词",
        "客户标签",
        "群成员",
        "退群人员",
    ] {
        assert!(table.lines().any(|line| line == title), "{title}: {table}");
    }
    let file = run.path("portrait.xlsx");
    run.run(
        &[
            &["portrait", "wr1", "-o", file.to_str().unwrap()],
            &PERIOD[..],
        ]
        .concat(),
    )
    .ok();
    let mut book = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut read = |name: &str| {
        let mut text = String::new();
        book.by_name(name)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    };
    let (sheets, strings) = (read("xl/workbook.xml"), read("xl/sharedStrings.xml"));
    assert_eq!(sheets.matches("<sheet ").count(), 7, "{sheets}");
    for sheet in ["每日趋势", "群成员", "退群人员", "说明"] {
        assert!(sheets.contains(sheet), "{sheet}: {sheets}");
    }
    for told in [
        "最近沟通时间",
        "连衣裙",
        "水果群 wr1",
        "完整性",
        "2024-10-01 – 2024-10-03",
    ] {
        assert!(strings.contains(told), "{told}: {strings}");
    }
}

#[test]
fn a_portrait_is_there_for_whom_the_groups_messages_are() {
    let run = company();
    let (server, client) = served(&run, "all");
    let path = |id: &str| format!("/v1/groups/{id}/portrait?{DAYS}");
    let over_http = client.get(&path("wr1")).ok().json();
    let mut whole = ask(&run, &["portrait", "wr1"])[0].clone();
    whole["as_of"] = over_http["as_of"].clone();
    assert_eq!(over_http, whole);
    assert_eq!(over_http["as_of"]["holes"], json!([]));

    // Who spoke there sees the group, but not the rows and the tags of his colleagues.
    let e1 = server.client(&run.token("employee:e1"));
    let seen = e1.get(&path("wr1")).ok().json();
    assert_eq!(seen["days"], whole["days"]);
    assert_eq!(seen["keywords"], whole["keywords"]);
    assert_eq!(values(&seen["tags"], &["tag"]), [json!(["会员"])]);
    assert_eq!(seen["members_total"], 3);
    assert_eq!(
        values(&seen["members"], &["member_id"]),
        [json!(["e1"]), json!(["wm1"])]
    );
    // A member who never spoke sees words from his first day on only.
    let e3 = server.client(&run.token("employee:e3"));
    let seen = e3.get(&path("wr1")).ok().json();
    let words = values(&seen["keywords"], &["word", "count"]);
    assert!(words.contains(&json!(["连衣裙", 1])), "{words:?}");
    assert!(!words.contains(&json!(["优惠", 1])), "{words:?}");
    let before = e3.get("/v1/groups/wr1/portrait?from=2024-09-01&to=2024-09-30");
    assert_eq!(before.problem(), (404, "not_found".into()));
    // A stranger, a group of employees only, and one that is not there all look alike.
    let e2 = server.client(&run.token("employee:e2"));
    for (client, id) in [(&e2, "wr1"), (&client, "wr2"), (&client, "wr9")] {
        let problem = client.get(&path(id));
        assert_eq!(problem.problem(), (404, "not_found".into()), "{id}");
    }
    let refused = run.run(&["portrait", "wr2"]);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("`wr2`"), "{}", refused.stderr);
    let long = client.get("/v1/groups/wr1/portrait?from=0001-01-01&to=2024-10-03");
    assert_eq!(long.problem(), (400, "parameter".into()));
}

/// A day's value of the naive model; days without any are not there.
fn naive_days(portrait: &Value, key: &str) -> BTreeMap<String, u64> {
    let days = portrait[format!("{key}_by_day")].as_object().unwrap();
    days.iter()
        .map(|(day, n)| (day.clone(), n.as_u64().unwrap()))
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn our_days(portrait: &Value, key: &str) -> BTreeMap<String, u64> {
    let days = portrait["days"].as_array().unwrap().iter();
    days.map(|day| {
        (
            day["day"].as_str().unwrap().into(),
            day[key].as_u64().unwrap(),
        )
    })
    .filter(|(_, n)| *n > 0)
    .collect()
}

#[test]
fn random_groups_have_the_days_that_the_naive_model_counts() {
    let (from, to) = ("2024-01-01", "2024-12-31");
    let mut n_groups = 0;
    for seed in 20..23 {
        let (lines, directory) = random_company(seed);
        let mut company = Company::new();
        company.begin_import();
        lines.iter().for_each(|line| company.add_message_line(line));
        let run = Installation::new();
        let mut tables: BTreeMap<&str, String> = BTreeMap::new();
        for (table, row) in &directory {
            company.add_directory_row(table, row);
            *tables.entry(table).or_default() += &format!("{row}\n");
        }
        for (table, rows) in tables {
            run.write(&format!("directory/{table}.ndjson"), &rows);
        }
        let folder = run.path("directory");
        run.run(&["import", "directory", folder.to_str().unwrap()])
            .ok();
        run.run_with_input(&["import", "messages", "-"], lines.join("\n").as_bytes())
            .ok();
        let (_server, client) = served(&run, "all");
        for row in client
            .get("/v1/reports/groups?from=2024-01-01&to=2024-12-31")
            .ok()
            .items()
        {
            let group = row["chat_id"].as_str().unwrap();
            let id = crate::support::encoded(group);
            let path = format!("/v1/groups/{id}/portrait?from={from}&to={to}");
            let ours = client.get(&path).ok().json();
            let naive = company.portrait(group, from, to);
            for (our_key, naive_key) in [
                ("employee_messages", "employee_messages"),
                ("customer_messages", "customer_messages"),
                ("customers_joined", "joined"),
                ("customers_left", "left"),
                ("customers_present", "present"),
            ] {
                assert_eq!(
                    our_days(&ours, our_key),
                    naive_days(&naive, naive_key),
                    "seed {seed}, {group}, {our_key}"
                );
            }
            n_groups += 1;
        }
    }
    assert!(n_groups > 0);
}
