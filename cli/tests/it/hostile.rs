//! Hostile callers: huge and deep inputs, tricks with paths, injections, oversized bodies, slow and
//! stalling clients. Each gets a clear 4xx, others are answered meanwhile, and memory stays flat.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::served;
use crate::support::{Answer, Client, Server, encoded, read_answer, wait_until};

/// What memory may differ by before and after: the allocator's own, and caches of small tables.
const FLAT_BYTES: u64 = 48 << 20;

fn resident_bytes(server: &Server) -> u64 {
    huicun_engine::archive::machine::resident_bytes(server.running.id()).unwrap()
}

/// What a page of a stream may take: 8 MiB as NDJSON, and more as values.
const PAGE_BYTES: u64 = 24 << 20;

/// A refusal as a problem document of the fitting status.
#[track_caller]
fn assert_refused(answer: &Answer, about: &str) {
    let (status, _) = answer.problem();
    assert!((400..500).contains(&status), "{about}: {answer:?}");
    assert!(!answer.body.contains("root:"), "{about}");
}

/// A client of HTTP itself, whose requests are as odd as they come.
fn raw(server: &Server, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // The server may refuse and close before it has read all.
    let _ = stream.write_all(request);
    read_answer(stream)
}

/// Requests that are refused, each with what it is about.
fn refused() -> Vec<(&'static str, &'static str, String, Vec<u8>)> {
    let sql = |statement: &str| json!({ "sql": statement }).to_string().into_bytes();
    let deep_json = "[".repeat(100_000).into_bytes();
    let deep_object = "{\"a\":".repeat(30_000).into_bytes();
    let deep_toml = format!("x = {}", "[".repeat(100_000)).into_bytes();
    let deep_table = format!("[{}]", vec!["a"; 50_000].join(".")).into_bytes();
    let search = |query: &str| format!("/v1/search?q={query}");
    let mut all = vec![
        ("parentheses", "GET", search(&"(".repeat(20_000)), vec![]),
        ("minuses", "GET", search(&"-".repeat(20_000)), vec![]),
        (
            "alternatives",
            "GET",
            search(&"a%20OR%20".repeat(2_000)),
            vec![],
        ),
        ("quotes", "GET", search(&"%22".repeat(9_999)), vec![]),
        ("a long literal", "GET", search(&"a".repeat(60_000)), vec![]),
        (
            "operators",
            "GET",
            search(&"from:a%20".repeat(3_000)),
            vec![],
        ),
        (
            "many filters",
            "GET",
            format!("/v1/search?{}", "employee=a&".repeat(9_000)),
            vec![],
        ),
        (
            "a cursor of the largest numbers",
            "GET",
            "/v1/search?cursor=eyJhIjo5OTk5OTk5OTk5OTk5OTk5OTk5OX0".into(),
            vec![],
        ),
        (
            "a day",
            "GET",
            "/v1/search?from=99999999-99-99".into(),
            vec![],
        ),
        (
            "a limit",
            "GET",
            "/v1/search?limit=99999999999999999999".into(),
            vec![],
        ),
        (
            "thousands of years",
            "GET",
            "/v1/reports/employees?to=8489-09-03".into(),
            vec![],
        ),
        (
            "thousands of years before",
            "GET",
            "/v1/explain/employees/dialogues?from=0001-01-01".into(),
            vec![],
        ),
        (
            "ten thousand years by day",
            "GET",
            "/v1/reports/employees?from=0001-01-01&to=9999-12-30&by=day".into(),
            vec![],
        ),
        (
            "SQL: a sum",
            "POST",
            "/v1/sql".into(),
            sql(&format!("SELECT 1{}", "+1".repeat(10_000))),
        ),
        (
            "SQL: brackets",
            "POST",
            "/v1/sql".into(),
            sql(&format!(
                "SELECT {}1{}",
                "(".repeat(7_000),
                ")".repeat(7_000)
            )),
        ),
        (
            "SQL: a file",
            "POST",
            "/v1/sql".into(),
            sql("SELECT * FROM '/etc/passwd'"),
        ),
        (
            "SQL: COPY",
            "POST",
            "/v1/sql".into(),
            sql("COPY (SELECT 1) TO 'x.csv'"),
        ),
        (
            "SQL: SET",
            "POST",
            "/v1/sql".into(),
            sql("SET datafusion.execution.batch_size = 1"),
        ),
        (
            "SQL: two",
            "POST",
            "/v1/sql".into(),
            sql("SELECT 1; DROP TABLE messages"),
        ),
        (
            "SQL: a long text",
            "POST",
            "/v1/sql".into(),
            sql(&"x".repeat(200_000)),
        ),
        (
            "a SQL body above its bound",
            "POST",
            "/v1/sql".into(),
            sql(&"x".repeat(300_000)),
        ),
        (
            "no UTF-8",
            "POST",
            "/v1/sql".into(),
            b"{\"sql\":\"\xff\"}".to_vec(),
        ),
        (
            "rules that are no text",
            "PUT",
            "/v1/rules".into(),
            b"\xff\xfe".to_vec(),
        ),
        (
            "rules above their bound",
            "PUT",
            "/v1/rules".into(),
            vec![b'#'; 5 << 20],
        ),
        (
            "a directory row",
            "PUT",
            "/v1/directory/employees".into(),
            deep_json.clone(),
        ),
    ];
    for (method, path) in [
        ("POST", "/v1/sql"),
        ("POST", "/v1/tokens"),
        ("POST", "/v1/searches"),
        ("PUT", "/v1/searches/1"),
        ("POST", "/v1/behaviours/1/reviews"),
        ("POST", "/v1/behaviours/rescans"),
    ] {
        all.push(("deep JSON", method, path.into(), deep_json.clone()));
        all.push(("deep objects", method, path.into(), deep_object.clone()));
    }
    for (method, path) in [
        ("PUT", "/v1/rules"),
        ("POST", "/v1/rules/diff"),
        ("POST", "/v1/behaviours/backtest"),
    ] {
        all.push(("deep TOML", method, path.into(), deep_toml.clone()));
        all.push(("deep tables", method, path.into(), deep_table.clone()));
    }
    all
}

#[test]
fn hostile_requests_get_a_clear_4xx_and_leave_memory_flat() {
    let (_run, mut server, client) = served();
    let refused = refused();
    let round = || {
        for (about, method, path, body) in &refused {
            let started = Instant::now();
            let answer = client.send(method, path, body);
            // What a request cannot even bring in is refused below HTTP's own documents.
            match answer.status {
                414 | 431 => {}
                _ => assert_refused(&answer, about),
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{about}");
        }
    };
    round();
    let before = resident_bytes(&server);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..2).for_each(|_| round()));
        }
    });
    let after = resident_bytes(&server);
    assert!(
        after < before + FLAT_BYTES,
        "{before} bytes before, {after} after"
    );
    client.get("/v1/search").ok();
    assert!(server.running.is_running());
}

#[test]
fn tricks_with_paths_find_nothing_and_change_nothing() {
    let (run, _server, client) = served();
    // What a first question derives is there before.
    client.get("/v1/behaviours").ok();
    let before = run.contents();
    let tricks = [
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5C..%5Cetc%5Cpasswd",
        "%2Fetc%2Fpasswd",
        "%252e%252e%252fetc%252fpasswd",
        "..%c0%af..%c0%afetc%c0%afpasswd",
        "..%E2%88%95..%E2%88%95etc%E2%88%95passwd",
        "..%EF%BC%8F..%EF%BC%8Fetc",
        "%00",
        "state.db%00.json",
        "....%2F%2F....%2F%2Fstate.db",
        "file:%2F%2F%2Fetc%2Fpasswd",
        "~root",
        "%FF",
        "CON",
        "a%0d%0aX-Evil:%201",
    ];
    let long = "a".repeat(4_000);
    for (method, route) in [
        ("GET", "/v1/conversations/{}/messages"),
        ("GET", "/v1/media/{}"),
        ("GET", "/v1/media/{}?as=wav"),
        ("GET", "/v1/groups/{}/portrait"),
        ("GET", "/v1/kf/sessions/{}/messages"),
        ("GET", "/v1/searches/{}"),
        ("DELETE", "/v1/searches/{}"),
        ("DELETE", "/v1/tokens/{}"),
        ("GET", "/v1/behaviours/{}/reviews"),
        ("GET", "/v1/rules/history/{}"),
        ("GET", "/v1/explain/{}/dialogues"),
        ("GET", "/v1/explain/employees/{}"),
        ("GET", "/v1/ranking/{}?metric=friends"),
        ("GET", "/v1/reports/{}"),
        ("PUT", "/v1/directory/{}"),
        ("GET", "/docs/{}"),
        ("GET", "/{}"),
    ] {
        for trick in tricks.into_iter().chain([long.as_str()]) {
            let path = route.replace("{}", trick);
            let answer = client.send(method, &path, b"");
            assert_refused(&answer, &path);
            assert!(!answer.headers.contains_key("x-evil"), "{path}");
        }
    }
    assert_eq!(
        run.contents().keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
}

#[test]
fn injections_are_texts_that_match_nothing() {
    let (run, _server, client) = served();
    let texts = [
        "' OR 1=1 --",
        "\"; DROP TABLE tokens; --",
        "') UNION SELECT secret_sha256 FROM tokens --",
        "%' OR '%'='",
        "*:*",
        "[* TO *]",
        "$(id)",
        "{{7*7}}",
        "<script>alert(1)</script>",
        "=cmd|'/c calc'!A0",
        "@SUM(1+1)",
        "\u{0}",
        "\u{1b}[31m",
        "\u{202e}",
    ];
    for text in texts {
        let text = encoded(text);
        for filter in ["employee", "customer", "department", "room", "type"] {
            let path = format!("/v1/search?{filter}={text}");
            let found = client.get(&path).ok();
            assert_eq!(found.json()["total"], 0, "{path}");
        }
        for path in [
            format!("/v1/dialogues?employee={text}"),
            format!("/v1/timeouts?department={text}"),
            format!("/v1/contacts?customer={text}"),
            format!("/v1/behaviours?rule={text}"),
            format!("/v1/kf/sessions?session={text}"),
            format!("/v1/media?source={text}"),
            format!("/v1/reports/employees?employee={text}"),
            format!("/v1/audit?caller={text}"),
        ] {
            assert!(client.get(&path).ok().items().is_empty(), "{path}");
        }
        for path in [
            format!("/v1/search?kind={text}"),
            format!("/v1/search?order={text}"),
            format!("/v1/search?from={text}"),
            format!("/v1/search?cursor={text}"),
            format!("/v1/search?{text}=1"),
            format!("/v1/reports/employees?metrics={text}"),
            format!("/v1/audit?function={text}"),
            format!("/v1/media?status={text}"),
        ] {
            assert_eq!(client.get(&path).problem().0, 400, "{path}");
        }
    }
    // What is kept is kept as it is, and harmless where a spreadsheet opens it.
    let name = "=cmd|'/c calc'!A0";
    let body = json!({"name": name, "search": {"q": "' OR 1=1 --"}}).to_string();
    let saved = client.send("POST", "/v1/searches", body.as_bytes()).json();
    assert_eq!(
        (&saved["name"], &saved["search"]["q"]),
        (&json!(name), &json!("' OR 1=1 --"))
    );
    let csv = run
        .run(&["searches", "list", "--format", "csv"])
        .ok()
        .stdout;
    assert!(csv.contains("'=cmd") && !csv.contains(",=cmd"), "{csv}");
    assert_eq!(client.get("/v1/search").ok().json()["total"], 12);
}

#[test]
fn requests_that_break_http_are_refused_and_harm_nobody() {
    let (_run, server, client) = served();
    let token = client.token();
    let head = |path: &str, more: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n{more}\r\n"
        )
    };
    let many: String = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(300_000));
    for (about, request) in [
        ("many headers", head("/v1/search", &many)),
        ("a long header", head("/v1/search", &long)),
        (
            "a long address",
            head(&format!("/v1/search?q={}", "a".repeat(300_000)), ""),
        ),
        ("no HTTP", "HELLO\r\n\r\n".to_string()),
        ("a header without a name", head("/v1/search", ": x\r\n")),
        (
            "a header over two lines",
            head("/v1/search", "a: b\r\n c\r\n"),
        ),
        (
            "two lengths",
            head("/v1/search", "Content-Length: 1\r\nContent-Length: 2\r\n"),
        ),
        (
            "a length that is none",
            head("/v1/search", "Content-Length: -1\r\n"),
        ),
        (
            "an encoding that is none",
            head("/v1/search", "Transfer-Encoding: cow\r\n"),
        ),
    ] {
        let status = raw(&server, request.as_bytes()).status;
        assert!((400..500).contains(&status), "{about}: {status}");
    }
    // A body without an end is cut where its bound is.
    let mut endless = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..40 {
        endless.extend(b"4000\r\n");
        endless.extend(vec![b' '; 0x4000]);
        endless.extend(b"\r\n");
    }
    let answer = raw(&server, &endless);
    assert_eq!(answer.problem(), (413, "body_too_large".into()));
    client.get("/v1/search").ok();
}

#[test]
fn slow_callers_are_let_go_and_keep_nobody_waiting() {
    let (_run, server, client) = served();
    let connect = |sent: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        stream
    };
    client.get("/v1/search").ok();
    let before = resident_bytes(&server);
    let half = "GET /v1/search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ";
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(half)).collect();
    slow.extend((0..100).map(|_| connect("")));
    // Bodies of which nothing comes, of callers who are known: more than may run at once.
    let waiting: Vec<TcpStream> = (0..50)
        .map(|_| client.open("POST", "/v1/sql", 1000))
        .collect();
    let started = Instant::now();
    for _ in 0..20 {
        client.get("/v1/search").ok();
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let held = resident_bytes(&server);
    assert!(
        held < before + FLAT_BYTES,
        "{before} bytes before, {held} with slow callers"
    );
    let is_closed = |stream: &mut TcpStream| {
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let got = stream.read(&mut [0; 512]);
        got.is_ok_and(|n| n == 0)
    };
    wait_until(
        Duration::from_secs(40),
        "the slow heads to be let go",
        || {
            slow.retain_mut(|stream| !is_closed(stream));
            slow.is_empty()
        },
    );
    drop(waiting);
    client.get("/v1/search").ok();
}

#[test]
fn readers_who_stall_hold_no_more_than_a_page_each() {
    let run = crate::support::Installation::new();
    let lines: String = (1..=40_000)
        .map(|seq| {
            let text = "一条不算短的消息，".repeat(20);
            crate::support::text_line(
                seq,
                "zhang",
                "wmanna",
                1_727_712_000_000 + seq as i64,
                &text,
            )
        })
        .collect();
    run.run_with_input(&["import", "messages", "-"], lines.as_bytes())
        .ok();
    let token = run.token("all");
    let server = run.serve("serve");
    let mut client = server.client(&token);
    client.send_more("Accept: application/x-ndjson\r\n");
    let path = "/v1/search?limit=0";
    let whole = client.get(path).ok().bytes.len() as u64;
    assert!(whole > 24 << 20, "{whole} bytes");
    let before = resident_bytes(&server);
    // More than may be at once; each is read up to its status and no further.
    let mut stalled: Vec<TcpStream> = (0..24).map(|_| client.open("GET", path, 0)).collect();
    let statuses = stalled.iter_mut().map(|stream| {
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8(status[9..].to_vec()).unwrap()
    });
    let statuses: Vec<String> = statuses.collect();
    let n = |wanted: &str| statuses.iter().filter(|status| *status == wanted).count();
    assert!(n("200") <= 16 && n("200") + n("503") == 24, "{statuses:?}");
    let held = resident_bytes(&server).saturating_sub(before);
    assert!(held < 16 * PAGE_BYTES + FLAT_BYTES, "{held} bytes are held");
    // Those who are refused are told when to come again, and everybody else is answered.
    let at = statuses.iter().position(|status| status == "503").unwrap();
    let mut refused = String::new();
    stalled[at].read_to_string(&mut refused).unwrap();
    assert!(refused.contains("retry-after: 5") && refused.contains("\"busy\""));
    let plain: Client = server.client(&token);
    plain.get("/v1/search?limit=1").ok();
}
