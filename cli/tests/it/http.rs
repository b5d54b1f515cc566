//! The HTTP API as a caller meets it: the same answers as the command line, tokens and their
//! scopes, pages, problems, and a server that outlives hostile requests.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use huicun_testdata::naive::{Company, Filters, random_company};
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Installation, Server, encoded, read_answer, text_line, wait_until,
};

const AT: i64 = 1_727_712_000_000;
const MINUTE: i64 = 60_000;

const DIRECTORY: [(&str, &str); 4] = [
    (
        "departments.csv",
        "id,name,parent_id\n1,总部,\n10,华东,1\n11,上海,10\n20,华南,1\n",
    ),
    (
        "employees.csv",
        "userid,name,departments\nzhang,张三,11\nli,李四,10\nwang,王五,20\nsun,孙六,20\n",
    ),
    (
        "customers.csv",
        "external_userid,name\nwmanna,安娜\nwmbert,伯特\n",
    ),
    (
        "group_members.csv",
        "chat_id,member_id,join_time,member_type,leave_time\n\
         wrroom3,li,2024-10-01T00:20:00+08:00,employee,2024-10-01T00:40:00+08:00\n",
    ),
];

fn room_line(seq: u64, from: &str, to: &[&str], room: &str) -> String {
    let at = AT + seq as i64 * MINUTE;
    json!({"seq": seq, "message": {
        "msgid": format!("m{seq}"), "action": "send", "from": from, "tolist": to,
        "roomid": room, "msgtime": at, "msgtype": "text", "text": {"content": "群里说话"},
    }})
    .to_string()
        + "\n"
}

/// Two branches, four employees, two customers, single chats and three rooms.
pub fn company() -> Installation {
    let run = Installation::new();
    for (name, content) in DIRECTORY {
        run.write(&format!("directory/{name}"), content);
    }
    let directory = run.path("directory");
    run.run(&["import", "directory", directory.to_str().unwrap()])
        .ok();
    let single = |seq: u64, from: &str, to: &str, text: &str| {
        text_line(seq, from, to, AT + seq as i64 * MINUTE, text)
    };
    let lines = [
        single(1, "wmanna", "zhang", "退款什么时候到账？"),
        single(2, "zhang", "wmanna", "马上退款"),
        single(3, "wmbert", "li", "在吗"),
        single(4, "li", "wmbert", "在的"),
        single(5, "wmanna", "wang", "发货了吗"),
        single(6, "wang", "wmanna", "明天发货"),
        single(7, "zhang", "wang", "内部：退款流程"),
        room_line(8, "wmanna", &["zhang", "wang"], "wrroom1"),
        room_line(9, "wang", &["wmbert"], "wrroom2"),
        room_line(15, "wang", &["wmbert"], "wrroom3"),
        room_line(30, "wang", &["wmbert"], "wrroom3"),
        room_line(45, "wmbert", &["wang"], "wrroom3"),
    ]
    .concat();
    run.run_with_input(&["import", "messages", "-"], lines.as_bytes())
        .ok();
    run
}

/// The company, its server and a client who may see everything.
pub fn served() -> (Installation, Server, Client) {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    (run, server, client)
}

fn msgids(rows: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = rows
        .iter()
        .map(|row| row["msgid"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(ids.len(), rows.len(), "a message is listed twice");
    ids
}

#[test]
fn without_a_token_one_for_this_run_is_printed() {
    let run = company();
    let mut server = run.serve("serve");
    let line = server.running.line();
    let token = line.rsplit(' ').next().unwrap();
    assert!(token.len() > 32, "{line}");
    server.client(token).get("/v1/search").ok();
    assert!(run.run(&["token", "list"]).ok().stdout.is_empty());
}

#[test]
fn with_a_token_configured_none_is_printed() {
    let (_run, mut server, client) = served();
    client.get("/v1/search").ok();
    server.running.terminate();
    assert!(server.running.wait(Duration::from_secs(10)).success());
    assert_eq!(server.running.line(), "", "something after the address");
}

#[test]
fn a_server_goes_on_when_another_process_derives_everything_anew() {
    let (run, _server, client) = served();
    let before = client.get("/v1/dialogues").ok().json()["items"].clone();
    // After the second one the tables that the server has open are gone.
    for _ in 0..2 {
        run.run(&["rebuild"]).ok();
    }
    let after = client.get("/v1/dialogues").ok().json()["items"].clone();
    assert_eq!(before, after);
    assert!(!after.as_array().unwrap().is_empty());
}

const ROUTES: [(&str, &str); 50] = [
    ("GET", "/v1/searches"),
    ("POST", "/v1/searches"),
    ("GET", "/v1/searches/1"),
    ("PUT", "/v1/searches/1"),
    ("DELETE", "/v1/searches/1"),
    ("GET", "/v1/rules/history"),
    ("GET", "/v1/rules/history/1"),
    ("POST", "/v1/rules/diff"),
    ("GET", "/v1/behaviours/1/reviews"),
    ("POST", "/v1/behaviours/1/reviews"),
    ("POST", "/v1/behaviours/backtest"),
    ("POST", "/v1/behaviours/rescans"),
    ("GET", "/docs/nothing"),
    ("GET", "/v1/kf/sessions"),
    ("GET", "/v1/kf/sessions/s1/messages"),
    ("GET", "/v1/search?q=x"),
    ("GET", "/v1/search/counts?by=type"),
    ("GET", "/v1/conversations"),
    ("GET", "/v1/conversations/wrroom1/messages"),
    ("GET", "/v1/dialogues"),
    ("GET", "/v1/timeouts"),
    ("GET", "/v1/contacts"),
    ("GET", "/v1/groups/wrroom1/portrait"),
    ("GET", "/v1/behaviours"),
    ("GET", "/v1/reports/employees"),
    ("GET", "/v1/reports/departments"),
    ("GET", "/v1/reports/guides"),
    ("GET", "/v1/reports/stores"),
    ("GET", "/v1/reports/customers"),
    ("GET", "/v1/reports/groups"),
    ("GET", "/v1/ranking/guides?metric=friends"),
    ("GET", "/v1/explain/employees/dialogues"),
    ("GET", "/v1/metrics"),
    ("GET", "/v1/rules"),
    ("PUT", "/v1/rules"),
    ("GET", "/v1/ledger"),
    ("POST", "/v1/sql"),
    ("PUT", "/v1/directory/employees"),
    ("GET", "/v1/media"),
    ("GET", "/v1/media/m1"),
    ("GET", "/v1/exports"),
    ("POST", "/v1/exports"),
    ("GET", "/v1/exports/x"),
    ("POST", "/v1/exports/x/cancel"),
    ("GET", "/v1/exports/x/file"),
    ("GET", "/v1/tokens"),
    ("GET", "/v1/audit"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/1"),
    ("GET", "/metrics"),
];

#[test]
fn without_a_valid_token_nothing_but_health_and_the_description_is_told() {
    let (run, server, client) = served();
    let listed = run.run(&["token", "list"]).ok().rows();
    run.run(&["token", "revoke", listed[0]["id"].as_str().unwrap()])
        .ok();
    let expired = ["token", "create", "--name", "old", "--expires-days", "0"];
    let expired = run.run(&expired).ok().stdout;
    let strangers = [
        server.client(""),
        server.client("hct_0000"),
        server.client(expired.trim()),
        client,
    ];
    let wrong = [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/no-such-route"),
        ("GET", "/v1/sql"),
        ("DELETE", "/v1/search"),
        ("GET", "/v1/conversations/%FF/messages"),
        ("GET", "/v1/search?nonsense=1"),
    ];
    for stranger in strangers {
        for (method, path) in ROUTES.into_iter().chain(wrong) {
            let answer = stranger.send(method, path, b"{}");
            let expected = (401, "unauthenticated".to_string());
            assert_eq!(answer.problem(), expected, "{method} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        for path in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
            stranger.get(path).ok();
        }
    }
}

#[test]
fn a_token_in_another_form_is_no_token() {
    let (run, server, _) = served();
    let token = run.token("all");
    for header in [
        format!("Basic {token}"),
        token.clone(),
        format!("Bearer {token}x"),
        "Bearer ".into(),
        "Bearer \u{e9}".into(),
    ] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let request = format!(
            "GET /v1/search HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_answer(stream).status, 401, "{header}");
    }
    let query = format!("/v1/search?token={token}");
    assert_eq!(server.client("").get(&query).status, 401);
}

#[test]
fn http_and_the_command_line_answer_the_same() {
    let (run, _server, client) = served();
    for (path, arguments) in [
        ("/v1/search", &["search", ""][..]),
        (
            "/v1/search?q=%E9%80%80%E6%AC%BE&employee=zhang&kind=single_external",
            &[
                "search",
                "退款",
                "--employee",
                "zhang",
                "--kind",
                "single_external",
            ],
        ),
        (
            "/v1/search?customer=wmanna&department=20&type=text&from=2024-10-01&to=2024-10-01",
            &[
                "search",
                "",
                "--customer",
                "wmanna",
                "--department",
                "20",
                "--type",
                "text",
                "--from",
                "2024-10-01",
                "--to",
                "2024-10-01",
            ],
        ),
        (
            "/v1/search?room=wrroom1&room=wrroom2",
            &["search", "", "--room", "wrroom1", "--room", "wrroom2"],
        ),
        (
            "/v1/search?q=%E9%80%80%E6%AC%BE%20from:zhang&order=relevance",
            &["search", "退款 from:zhang", "--order", "relevance"],
        ),
        (
            "/v1/search/counts?by=department&kind=single_external",
            &[
                "search",
                "",
                "--count-by",
                "department",
                "--kind",
                "single_external",
            ],
        ),
        (
            "/v1/conversations?q=%E9%80%80%E6%AC%BE&employee=zhang",
            &["conversations", "退款", "--employee", "zhang"],
        ),
        (
            "/v1/conversations/wmanna%7Czhang/messages?around=2",
            &["conversation", "wmanna|zhang", "--around", "2"],
        ),
        (
            "/v1/conversations/wmanna%7Czhang/messages",
            &["conversation", "wmanna|zhang"],
        ),
        (
            "/v1/conversations/zhang%7Cwmanna/messages",
            &["conversation", "wmanna|zhang"],
        ),
        (
            "/v1/conversations/wrroom3/messages",
            &["conversation", "wrroom3"],
        ),
        ("/v1/dialogues", &["dialogues"]),
        (
            "/v1/dialogues?employee=wang&from=2024-10-01",
            &["dialogues", "--employee", "wang", "--from", "2024-10-01"],
        ),
        (
            "/v1/reports/employees?from=2024-10-01&to=2024-10-02",
            &[
                "report",
                "employees",
                "--from",
                "2024-10-01",
                "--to",
                "2024-10-02",
            ],
        ),
        (
            "/v1/reports/employees?from=2024-10-01&to=2024-10-02&by=day&metrics=dialogues,messages_sent&department=10",
            &[
                "report",
                "employees",
                "--from",
                "2024-10-01",
                "--to",
                "2024-10-02",
                "--by",
                "day",
                "--metrics",
                "dialogues,messages_sent",
                "--department",
                "10",
            ],
        ),
    ] {
        let over_http = client.get(path).ok();
        let rows = run.run(arguments).ok().rows();
        assert!(!rows.is_empty(), "{path} finds nothing");
        assert_eq!(over_http.items(), rows, "{path}");
        let as_of = &over_http.json()["as_of"];
        assert!(as_of["messages_version"].is_u64(), "{as_of}");
    }
}

#[test]
fn sql_answers_as_the_command_line() {
    let (run, _server, client) = served();
    let sql = "SELECT room_id, count(*) AS n, min(msgtime) AS first FROM messages GROUP BY room_id ORDER BY room_id";
    let body = json!({ "sql": sql }).to_string();
    let answer = client.send("POST", "/v1/sql", body.as_bytes()).ok();
    assert_eq!(answer.items(), run.run(&["sql", sql]).ok().rows());
    assert_eq!(answer.items().len(), 4);
}

#[test]
fn a_directory_table_fed_over_http_is_there_at_once() {
    let (run, _server, client) = served();
    let put = |table: &str, rows: &str| {
        client.send("PUT", &format!("/v1/directory/{table}"), rows.as_bytes())
    };
    let rows = "{\"userid\":\"zhang\",\"name\":\"张三丰\",\"departments\":[\"11\"]}\n\
                {\"userid\":\"new\",\"name\":\"新人\",\"departments\":[]}\n";
    let done = put("employees", rows).ok().json();
    assert_eq!(
        (
            &done["table"],
            &done["inserted"],
            &done["updated"],
            &done["total"]
        ),
        (&json!("employees"), &json!(1), &json!(1), &json!(5))
    );
    let path = "/v1/reports/employees?metrics=dialogues";
    let report = client.get(path).ok().items();
    let names: Vec<&Value> = report.iter().map(|row| &row["name"]).collect();
    assert!(names.contains(&&json!("张三丰")) && names.contains(&&json!("新人")));
    let sql = "SELECT name FROM employees WHERE userid = 'zhang'";
    assert_eq!(run.run(&["sql", sql]).ok().rows()[0]["name"], "张三丰");
    let wrong = put("employees", "{\"userid\":\"x\",\"shoe_size\":42}\n");
    assert_eq!(wrong.problem(), (400, "directory_row".into()));
    assert!(wrong.body.contains("line 1") && wrong.body.contains("shoe_size"));
    assert_eq!(put("shoes", "{}\n").problem(), (404, "not_found".into()));
    assert_eq!(client.get(path).ok().items(), report, "nothing was changed");
}

#[test]
fn pages_hold_each_message_once_while_others_arrive() {
    let run = Installation::new();
    // Many of one millisecond, and two sources that number alike.
    for source in ["a", "b"] {
        let lines: String = (1..=150)
            .map(|seq| text_line(seq, "zhang", "wmanna", AT + seq as i64 / 40, "同时"))
            .collect();
        let lines = lines.replace("_external", &format!("_{source}_external"));
        let arguments = ["import", "messages", "-", "--source", source];
        run.run_with_input(&arguments, lines.as_bytes()).ok();
    }
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let before = msgids(&run.run(&["search", "", "--limit", "0"]).ok().rows());
    assert_eq!(before.len(), 300);
    for list in ["/v1/search?", "/v1/conversations/wmanna%7Czhang/messages?"] {
        let (mut found, mut cursor, mut n_pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = client.get(&format!("{list}limit=7{cursor}")).ok();
            found.extend(page.items());
            n_pages += 1;
            if n_pages % 15 == 0 {
                // One that is newest, one among those already listed.
                let more = [AT + 9_000 + n_pages, AT + 1]
                    .map(|at| text_line(1_000 + n_pages as u64, "zhang", "wmanna", at, "新来"));
                let arguments = ["import", "messages", "-", "--source", "c"];
                run.run_with_input(&arguments, more.concat().as_bytes())
                    .ok();
            }
            match page.json()["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(n_pages > 40, "{n_pages} pages");
        let found = msgids(&found);
        assert!(found.is_superset(&before), "{list} left messages out");
    }
}

#[test]
fn dialogues_come_in_pages_too() {
    let (run, _server, client) = served();
    let rows = run.run(&["dialogues"]).ok().rows();
    assert!(rows.len() > 3);
    assert_eq!(client.all("/v1/dialogues?limit=1"), rows);
}

/// What the naive rule shows to somebody who may see these employees.
fn visible(company: &Company, employees: &[&str]) -> BTreeSet<String> {
    let filters = Filters {
        employees: employees.iter().map(|id| id.to_string()).collect(),
        ..Filters::default()
    };
    msgids(&company.search(&[], &filters))
}

#[test]
fn an_employee_scope_sees_what_the_naive_rule_says() {
    for seed in [3, 4, 5] {
        let (lines, directory) = random_company(seed);
        let mut company = Company::new();
        company.begin_import();
        lines.iter().for_each(|line| company.add_message_line(line));
        let run = Installation::new();
        for (table, row) in &directory {
            company.add_directory_row(table, row);
            let file = run.path(&format!("directory/{table}.ndjson"));
            let known = std::fs::read_to_string(&file).unwrap_or_default();
            run.write(
                &format!("directory/{table}.ndjson"),
                &format!("{known}{row}\n"),
            );
        }
        let folder = run.path("directory");
        run.run(&["import", "directory", folder.to_str().unwrap()])
            .ok();
        run.run_with_input(&["import", "messages", "-"], lines.join("\n").as_bytes())
            .ok();
        let employees: Vec<&str> = directory
            .iter()
            .filter(|(table, _)| table == "employees")
            .filter_map(|(_, row)| row["userid"].as_str())
            .collect();
        let mut scopes: Vec<Vec<&str>> = employees.iter().map(|id| vec![*id]).collect();
        scopes.push(employees.clone());
        let tokens: Vec<String> = scopes
            .iter()
            .map(|ids| run.token(&format!("employee:{}", ids.join(","))))
            .collect();
        let server = run.serve("serve");
        for (ids, token) in scopes.iter().zip(&tokens) {
            let client = server.client(token);
            let found = client.all("/v1/search?limit=1000");
            assert_eq!(
                msgids(&found),
                visible(&company, ids),
                "seed {seed}, {ids:?}"
            );
            let total = client.get("/v1/search?limit=1").ok().json()["total"].clone();
            assert_eq!(total, found.len(), "the count tells of hidden messages");
            let report = client.get("/v1/reports/employees").ok().items();
            for row in report {
                assert!(ids.contains(&row["userid"].as_str().unwrap()), "{row}");
            }
        }
    }
}

fn seqs(client: &Client, path: &str) -> BTreeSet<i64> {
    let rows = client.all(path);
    rows.iter()
        .map(|row| row["seq"].as_i64().unwrap())
        .collect()
}

#[test]
fn a_department_scope_opens_its_employees_and_those_below() {
    let (run, server, _) = served();
    for (scope, employees, expected) in [
        // Room 3 of li: only while he was a member.
        (
            "department:10",
            &["li", "zhang"][..],
            &[1, 2, 3, 4, 7, 8, 30][..],
        ),
        ("department:11", &["zhang"], &[1, 2, 7, 8]),
        (
            "department:20",
            &["sun", "wang"],
            &[5, 6, 7, 8, 9, 15, 30, 45],
        ),
        (
            "department:11,20",
            &["sun", "wang", "zhang"],
            &[1, 2, 5, 6, 7, 8, 9, 15, 30, 45],
        ),
        ("employee:li", &["li"], &[3, 4, 30]),
        ("employee:sun", &["sun"], &[]),
        ("department:99", &[], &[]),
        ("employee:nobody", &[], &[]),
        ("employee:wmanna", &[], &[]),
    ] {
        let client = server.client(&run.token(scope));
        let expected: BTreeSet<i64> = expected.iter().copied().collect();
        assert_eq!(seqs(&client, "/v1/search?limit=5"), expected, "{scope}");
        let report = client.get("/v1/reports/employees").ok().items();
        let ids: Vec<&str> = report
            .iter()
            .map(|row| row["userid"].as_str().unwrap())
            .collect();
        assert_eq!(ids, employees, "{scope}");
        for dialogue in client.all("/v1/dialogues?limit=100") {
            let id = encoded(dialogue["conversation"].as_str().unwrap());
            client.get(&format!("/v1/conversations/{id}/messages")).ok();
        }
    }
}

#[test]
fn a_filter_does_not_widen_a_scope() {
    let (run, server, _) = served();
    let client = server.client(&run.token("employee:li"));
    for filter in [
        "employee=wang",
        "customer=wmanna",
        "department=20",
        "department=1",
        "room=wrroom1",
        "q=%E9%80%80%E6%AC%BE",
        "q=%E9%80%80%E6%AC%BE%20OR%20%E5%9C%A8",
        "q=-%E6%97%A0",
    ] {
        let found = seqs(&client, &format!("/v1/search?{filter}"));
        let allowed = BTreeSet::from([3, 4, 30]);
        assert!(found.is_subset(&allowed), "{filter}: {found:?}");
    }
    let report = client.get("/v1/reports/employees?employee=wang").ok();
    assert!(report.items().is_empty());
    let report = client.get("/v1/reports/employees?department=1").ok();
    assert_eq!(report.items().len(), 1);
    let dialogues = client.get("/v1/dialogues?employee=zhang").ok();
    assert!(dialogues.items().is_empty());
}

/// A problem without what differs by request: the id that was asked for.
fn shape(answer: &Answer, id: &str) -> String {
    answer.body.replace(id, "ID")
}

#[test]
fn a_conversation_out_of_scope_looks_like_one_that_is_not_there() {
    let (run, server, _) = served();
    let client = server.client(&run.token("employee:li"));
    let get = |id: &str| client.get(&format!("/v1/conversations/{}/messages", encoded(id)));
    let absent = get("no-such-room");
    assert_eq!(absent.problem(), (404, "not_found".into()));
    for id in ["wmanna|zhang", "wrroom1", "wrroom2", "wang|zhang"] {
        let hidden = get(id);
        assert_eq!(hidden.status, 404, "{id}");
        assert_eq!(shape(&hidden, id), shape(&absent, "no-such-room"));
        let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&hidden), names(&absent));
    }
    // With days too, where an own conversation answers with an empty list.
    let days = "from=2020-01-01&to=2020-01-02";
    let with_days = |id: &str| {
        let id = encoded(id);
        client.get(&format!("/v1/conversations/{id}/messages?{days}"))
    };
    let (hidden, absent) = (with_days("wrroom1"), with_days("wrroom9"));
    assert_eq!(hidden.status, absent.status);
    get("li|wmbert").ok();
}

#[test]
fn a_narrow_scope_may_not_feed_the_directory() {
    let (run, server, _) = served();
    for scope in ["employee:li", "department:1"] {
        let client = server.client(&run.token(scope));
        for table in ["employees", "no-such-table"] {
            let path = format!("/v1/directory/{table}");
            let put = client.send("PUT", &path, b"");
            assert_eq!(put.problem(), (403, "forbidden".into()));
        }
    }
}

#[test]
fn sql_of_a_narrow_scope_has_only_what_a_search_shows() {
    let (run, server, all) = served();
    let sql = |client: &Client, statement: &str| {
        let body = json!({ "sql": statement }).to_string();
        client.send("POST", "/v1/sql", body.as_bytes())
    };
    let every = sql(&all, "SELECT seq FROM messages").ok().items().len();
    for scope in ["employee:li", "department:20", "employee:nobody"] {
        let client = server.client(&run.token(scope));
        let found = sql(&client, "SELECT seq FROM messages ORDER BY seq").ok();
        let found: BTreeSet<i64> = found
            .items()
            .iter()
            .map(|row| row["seq"].as_i64().unwrap())
            .collect();
        assert_eq!(found, seqs(&client, "/v1/search?"), "{scope}");
        assert!(found.len() < every, "{scope}");
    }
    let client = server.client(&run.token("employee:li"));
    // Fails on every text that is no number, and there is one in every message but none here.
    let none =
        "SELECT count(*) AS n FROM messages WHERE from_id = 'zhang' AND cast(text AS INT) > 0";
    assert_eq!(sql(&client, none).ok().items()[0]["n"], 0);
    for hidden in [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SHOW TABLES",
        "DESCRIBE messages",
        "EXPLAIN SELECT * FROM messages",
        "EXPLAIN ANALYZE SELECT * FROM messages",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * INTO stolen FROM messages",
        "WITH a AS (SELECT 1) INSERT INTO messages SELECT * FROM messages",
        "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
        "COPY messages TO '/tmp/stolen.csv'",
        "SET datafusion.catalog.information_schema = true",
    ] {
        let answer = sql(&client, hidden);
        assert_eq!(answer.status, 400, "{hidden}: {}", answer.body);
        assert_eq!(answer.body, sql(&all, hidden).body, "{hidden}");
    }
    let mine = sql(&client, "SELECT cast(text AS INT) FROM messages");
    assert_eq!(mine.problem(), (400, "sql_failed".into()));
    assert!(!mine.body.contains("在"), "{}", mine.body);
}

#[test]
fn a_token_ends_when_it_is_revoked() {
    let (run, _server, client) = served();
    client.get("/v1/search").ok();
    let listed = run.run(&["token", "list"]).ok().rows();
    run.run(&["token", "revoke", listed[0]["id"].as_str().unwrap()])
        .ok();
    assert_eq!(client.get("/v1/search").status, 401);
}

#[test]
fn what_a_department_is_today_decides_its_scope() {
    let (run, server, all) = served();
    let client = server.client(&run.token("department:20"));
    assert!(!seqs(&client, "/v1/search?").contains(&3));
    let row = "{\"userid\":\"li\",\"name\":\"李四\",\"departments\":[\"20\"]}\n";
    all.send("PUT", "/v1/directory/employees", row.as_bytes())
        .ok();
    assert!(seqs(&client, "/v1/search?").contains(&3));
}

#[test]
fn mistakes_are_problem_documents_with_stable_codes() {
    let (_run, _server, client) = served();
    let many = format!("/v1/search?q={}", "a%20".repeat(65));
    for (method, path, body, status, code) in [
        ("GET", "/v1/search?shoe=1", "", 400, "parameter"),
        ("GET", "/v1/search?q=a&q=b", "", 400, "parameter"),
        ("GET", "/v1/search?q=%22open", "", 400, "parameter"),
        ("GET", &many, "", 400, "parameter"),
        ("GET", "/v1/search?limit=0", "", 400, "parameter"),
        ("GET", "/v1/search?limit=1001", "", 400, "parameter"),
        ("GET", "/v1/search?limit=-1", "", 400, "parameter"),
        ("GET", "/v1/search?from=2024-13-01", "", 400, "parameter"),
        (
            "GET",
            "/v1/search?from=2024-10-02&to=2024-10-01",
            "",
            400,
            "parameter",
        ),
        ("GET", "/v1/search?kind=loud", "", 400, "parameter"),
        ("GET", "/v1/search?cursor=nonsense", "", 400, "parameter"),
        ("GET", "/v1/search?cursor=e30", "", 400, "parameter"),
        ("GET", "/v1/dialogues?cursor=%00", "", 400, "parameter"),
        ("GET", "/v1/dialogues?to=tomorrow", "", 400, "parameter"),
        ("GET", "/v1/reports/employees?by=year", "", 400, "parameter"),
        (
            "GET",
            "/v1/reports/employees?metrics=happiness",
            "",
            400,
            "parameter",
        ),
        (
            "GET",
            "/v1/reports/employees?from=0001-01-01&to=9999-12-30&by=day",
            "",
            400,
            "parameter",
        ),
        (
            "GET",
            "/v1/conversations/no-such/messages",
            "",
            404,
            "not_found",
        ),
        (
            "GET",
            "/v1/conversations/%00/messages",
            "",
            404,
            "not_found",
        ),
        ("GET", "/v1/reports/cats", "", 404, "no_such_route"),
        ("GET", "/nowhere", "", 404, "no_such_route"),
        ("DELETE", "/v1/search", "", 405, "method_not_allowed"),
        ("GET", "/v1/sql", "", 405, "method_not_allowed"),
        (
            "GET",
            "/v1/conversations/%FF/messages",
            "",
            400,
            "parameter",
        ),
        ("POST", "/v1/sql", "", 400, "parameter"),
        (
            "POST",
            "/v1/sql",
            "{\"sql\":\"SELECT 1\",\"shoe\":1}",
            400,
            "parameter",
        ),
        (
            "POST",
            "/v1/sql",
            "{\"sql\":\"DROP TABLE messages\"}",
            400,
            "sql",
        ),
        (
            "POST",
            "/v1/sql",
            "{\"sql\":\"SELECT 1; SELECT 2\"}",
            400,
            "sql",
        ),
        (
            "POST",
            "/v1/sql",
            "{\"sql\":\"SELECT shoe FROM messages\"}",
            400,
            "sql_failed",
        ),
        ("PUT", "/v1/directory/employees", "{", 400, "directory_row"),
        ("PUT", "/v1/directory/shoes", "", 404, "not_found"),
    ] {
        let answer = client.send(method, path, body.as_bytes());
        assert_eq!(
            answer.problem(),
            (status, code.to_string()),
            "{method} {path} {body}"
        );
        assert!(answer.headers.contains_key("x-request-id"));
    }
}

#[test]
fn hostile_requests_are_refused_quickly_and_the_server_lives() {
    let (_run, mut server, client) = served();
    let parentheses = format!("/v1/search?q={}", "(".repeat(20_000));
    let nots = format!("/v1/search?q={}", "-".repeat(20_000));
    let ors = format!("/v1/search?q={}", "a%20OR%20".repeat(1_000));
    let huge = format!("/v1/search?q={}", "a".repeat(60_000));
    let plus = format!("SELECT 1{}", "+1".repeat(10_000));
    let deep = format!("SELECT {}1{}", "(".repeat(7_000), ")".repeat(7_000));
    let sql = |statement: &str| json!({ "sql": statement }).to_string();
    let nested = "[".repeat(100_000);
    let started = Instant::now();
    for (method, path, body) in [
        ("GET", parentheses.as_str(), String::new()),
        ("GET", &nots, String::new()),
        ("GET", &ors, String::new()),
        ("GET", &huge, String::new()),
        (
            "GET",
            "/v1/search?cursor=eyJhIjo5OTk5OTk5OTk5OTk5OTk5OTk5OX0",
            String::new(),
        ),
        (
            "GET",
            "/v1/conversations/..%2F..%2Fetc%2Fpasswd/messages",
            String::new(),
        ),
        ("POST", "/v1/sql", sql(&plus)),
        ("POST", "/v1/sql", sql(&deep)),
        ("POST", "/v1/sql", sql("SELECT * FROM '/etc/passwd'")),
        ("POST", "/v1/sql", sql("COPY (SELECT 1) TO '/tmp/x.csv'")),
        (
            "POST",
            "/v1/sql",
            sql("SET datafusion.execution.batch_size = 1"),
        ),
        ("POST", "/v1/sql", nested.clone()),
        ("PUT", "/v1/directory/employees", nested),
    ] {
        let answer = client.send(method, path, body.as_bytes());
        let about = &path[..path.len().min(40)];
        assert!(
            (400..500).contains(&answer.status),
            "{about}: {}",
            answer.status
        );
        assert!(!answer.body.contains("root:"), "{about}");
    }
    // NUL is a character like any other: nothing matches it.
    assert!(client.get("/v1/search?q=%00").ok().items().is_empty());
    assert!(
        client
            .get("/v1/search?employee=%00")
            .ok()
            .items()
            .is_empty()
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    client.get("/healthz").ok();
    assert!(server.running.is_running());
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let (_run, server, client) = served();
    for (client, status, code) in [
        (client.clone(), 413, "body_too_large"),
        (server.client(""), 401, "unauthenticated"),
    ] {
        let stream = client.open("PUT", "/v1/directory/employees", 100 << 20);
        let answer = read_answer(stream);
        assert_eq!(answer.problem(), (status, code.to_string()));
    }
    client.get("/healthz").ok();
}

#[test]
fn the_description_names_every_route() {
    let (_run, server, _) = served();
    let document = server.client("").get("/openapi.json").ok().json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let named: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    for (method, path) in [
        ("GET", "/v1/search"),
        ("GET", "/v1/conversations/{id}/messages"),
        ("GET", "/v1/dialogues"),
        ("GET", "/v1/contacts"),
        ("GET", "/v1/groups/{id}/portrait"),
        ("GET", "/v1/reports/employees"),
        ("GET", "/v1/ledger"),
        ("POST", "/v1/sql"),
        ("PUT", "/v1/directory/{table}"),
        ("GET", "/v1/media"),
        ("GET", "/v1/media/{msgid}"),
        ("POST", "/v1/exports"),
        ("GET", "/v1/exports/{id}/file"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    ] {
        assert!(
            named.contains(&(method.into(), path.into())),
            "{method} {path}"
        );
    }
    for (_, path) in &named {
        assert!(path.starts_with("/v1/") || path.matches('/').count() == 1);
    }
}

#[test]
fn health_and_figures() {
    let (_run, server, client) = served();
    let stranger = server.client("");
    assert_eq!(stranger.get("/healthz").ok().body, "ok\n");
    let ready = stranger.get("/readyz").ok().json();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["messages_version"], ready["index_version"]);
    let figures = client.get("/metrics").ok();
    assert!(figures.headers["content-type"].starts_with("text/plain"));
    assert!(
        figures.body.contains("huicun_ready 1\n"),
        "{}",
        figures.body
    );
}

#[test]
fn a_server_sees_what_another_process_imports() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let line = text_line(99, "wmanna", "zhang", AT, "后来的消息");
    let path = format!("/v1/search?q={}", encoded("后来的"));
    assert!(client.get(&path).ok().items().is_empty());
    run.run_with_input(&["import", "messages", "-"], line.as_bytes())
        .ok();
    assert_eq!(client.get(&path).ok().items().len(), 1);
}

#[test]
fn an_asked_server_ends_running_requests_first() {
    let (_run, mut server, client) = served();
    let row = b"{\"userid\":\"zhang\",\"name\":\"Z\",\"departments\":[]}\n";
    let mut slow = client.open("PUT", "/v1/directory/employees", row.len());
    slow.write_all(&row[..10]).unwrap();
    // Its headers are with the server once a later request was answered.
    client.get("/healthz").ok();
    server.running.terminate();
    wait_until(Duration::from_secs(5), "the door to close", || {
        TcpStream::connect(&server.address).is_err()
    });
    assert!(server.running.is_running());
    slow.write_all(&row[10..]).unwrap();
    assert_eq!(read_answer(slow).ok().json()["updated"], 1);
    assert!(server.running.wait(Duration::from_secs(5)).success());
}

#[test]
fn an_idle_connection_does_not_keep_a_server_from_ending() {
    let (_run, mut server, client) = served();
    let _idle = TcpStream::connect(&server.address).unwrap();
    let mut half = TcpStream::connect(&server.address).unwrap();
    half.write_all(b"GET /v1/search HTTP/1.1\r\nHost:").unwrap();
    client.get("/healthz").ok();
    server.running.terminate();
    assert!(server.running.wait(Duration::from_secs(10)).success());
}

#[test]
fn run_pulls_and_answers_in_one_process() {
    let run = Installation::new();
    let lines: String = (1..=500)
        .map(|seq| text_line(seq, "zhang", "wmanna", AT + seq as i64, "你好"))
        .collect();
    run.tape_of(&lines);
    let mut server = run.serve("run");
    let token = server
        .running
        .line()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_string();
    let client = server.client(&token);
    wait_until(Duration::from_secs(30), "all messages", || {
        client.get("/v1/search?limit=1").ok().json()["total"] == 500
    });
    wait_until(Duration::from_secs(10), "readiness", || {
        client.get("/readyz").status == 200
    });
    let figures = client.get("/metrics").ok().body;
    assert!(
        figures.contains("huicun_pull_cursor{corp=\"wwtape\"} 500\n"),
        "{figures}"
    );
    assert_eq!(msgids(&client.all("/v1/search?limit=200")).len(), 500);
    server.running.terminate();
    assert!(server.running.wait(Duration::from_secs(10)).success());
    let again = run.run(&["pull", "--once"]).ok();
    assert!(
        again.stderr.contains("pulled 0 records"),
        "{}",
        again.stderr
    );
}
