//! Every route that the router knows, by every kind of caller, for things that are his, in his
//! scope, out of it, and nowhere. A route that is not listed here fails.

use axum::http::Method;
use huicun_engine::access::Function;
use huicun_engine::tables::WORKER_STACK_BYTES;

use super::company::{Company, Dice, Rooms, Said};
use super::served::{Answer, Ask, Served, base, encoded};
use crate::http::functions::ROUTES;

/// How a route treats a caller whose scope is narrow.
enum Narrow {
    /// It answers of one thing; each is asked for in turn.
    Thing,
    /// It answers a list that a filter on the thing narrows.
    Filter,
    /// It needs the scope `all`.
    Closed,
    /// Nothing that it tells is about anybody.
    Nobody,
}

/// The same thing four times: the caller's own, in his scope, out of it, and nowhere.
struct Things {
    conversations: [String; 4],
    rooms: [String; 4],
    msgids: [String; 4],
    sessions: [String; 4],
    employees: [String; 4],
}

/// None for a company that has not got something of each kind in each place.
fn things(company: &Company) -> Option<Things> {
    let own = ["e0".to_string()].into();
    let mine = ["e0", "e1"].map(String::from).into();
    let place = |said: &Said| {
        let is_hidden = !company.may_read(&mine, said);
        usize::from(!company.may_read(&own, said)) + usize::from(is_hidden)
    };
    let of = |is_wanted: fn(&Said) -> bool, name: fn(&Said) -> String, absent: &str| {
        let first = |n: usize| {
            let mut those = company.said.iter().filter(|said| is_wanted(said));
            those.find(|said| place(said) == n).map(name)
        };
        Some([first(0)?, first(1)?, first(2)?, absent.to_string()])
    };
    let pair = |said: &Said| huicun_semantics::conversation::pair_id(&said.from, &said.to[0]);
    let is_pair = |said: &Said| said.room.is_empty() && said.to.len() == 1;
    Some(Things {
        conversations: of(is_pair, pair, "e9|wmc99")?,
        rooms: of(
            |said| {
                let mut talkers = said.to.iter().chain([&said.from]);
                !said.room.is_empty() && talkers.any(|id| id.starts_with("wmc"))
            },
            |said| said.room.clone(),
            "wrnowhere",
        )?,
        msgids: of(|said| said.is_file, |said| said.msgid.clone(), "kqmnowhere")?,
        sessions: ["s0", "s1", "s3", "s99"].map(String::from),
        employees: ["e0", "e1", "e3", "e99"].map(String::from),
    })
}

/// The four requests of a route; `None` for one that nobody has thought of.
fn asks(method: &Method, path: &str, things: &Things) -> Option<(Narrow, Vec<Ask>)> {
    let get = |template: &str, ids: &[String; 4]| -> Vec<Ask> {
        let ask = |id: &String| Ask::get(template.replace("{id}", &encoded(id)));
        ids.iter().map(ask).collect()
    };
    let bare = |body: &str| {
        let ask = Ask {
            method: method.clone(),
            path: path
                .replace("{id}", "7")
                .replace("{version}", "1")
                .replace("{table}", "employees"),
            body: body.into(),
        };
        vec![ask.clone(), ask.clone(), ask.clone(), ask]
    };
    let by_employee = |path: &str| get(&format!("{path}?employee={{id}}"), &things.employees);
    Some(match (method.as_str(), path) {
        ("GET", "/v1/search" | "/v1/conversations") => (
            Narrow::Filter,
            get(&format!("{path}?room={{id}}"), &things.rooms),
        ),
        ("GET", "/v1/search/counts") => (
            Narrow::Filter,
            get("/v1/search/counts?by=employee&room={id}", &things.rooms),
        ),
        ("GET", "/v1/conversations/{id}/messages") => {
            (Narrow::Thing, get(path, &things.conversations))
        }
        ("GET", "/v1/kf/sessions") => (
            Narrow::Filter,
            get("/v1/kf/sessions?session={id}", &things.sessions),
        ),
        ("GET", "/v1/kf/sessions/{id}/messages") => (Narrow::Thing, get(path, &things.sessions)),
        ("GET", "/v1/media") => (Narrow::Filter, get("/v1/media?msgid={id}", &things.msgids)),
        ("GET", "/v1/media/{msgid}") => (Narrow::Thing, get("/v1/media/{id}", &things.msgids)),
        ("GET", "/v1/groups/{id}/portrait") => (Narrow::Thing, get(path, &things.rooms)),
        ("GET", "/v1/explain/{report}/{metric}") => (
            Narrow::Thing,
            by_employee("/v1/explain/employees/dialogues"),
        ),
        ("GET", "/v1/ranking/{report}") => {
            let path = "/v1/ranking/guides?metric=friends&employee={id}";
            (Narrow::Filter, get(path, &things.employees))
        }
        (
            "GET",
            "/v1/contacts"
            | "/v1/reports/employees"
            | "/v1/reports/departments"
            | "/v1/reports/guides"
            | "/v1/reports/stores",
        ) => (Narrow::Filter, by_employee(path)),
        // Somebody out of scope shares groups and customers with those in it.
        (
            "GET",
            "/v1/dialogues"
            | "/v1/timeouts"
            | "/v1/behaviours"
            | "/v1/reports/customers"
            | "/v1/reports/groups",
        ) => (Narrow::Nobody, bare("")),
        ("POST", "/v1/sql") => {
            let ask =
                |id: &String| Ask::sql(&format!("SELECT * FROM messages WHERE msgid = '{id}'"));
            (Narrow::Filter, things.msgids.iter().map(ask).collect())
        }
        ("GET", "/v1/metrics" | "/metrics") => (Narrow::Nobody, bare("")),
        ("GET", "/v1/rules" | "/v1/rules/history" | "/v1/rules/history/{version}")
        | ("PUT", "/v1/rules")
        | ("POST", "/v1/rules/diff" | "/v1/behaviours/backtest") => (Narrow::Closed, bare("")),
        ("POST", "/v1/behaviours/rescans") => {
            let days = r#"{"from": "2024-10-01", "to": "2024-10-02"}"#;
            (Narrow::Closed, bare(days))
        }
        // What a caller has saved or made is his, whatever he may see.
        ("GET", "/v1/searches" | "/v1/exports") => (Narrow::Nobody, bare("")),
        ("GET" | "DELETE", "/v1/searches/{id}" | "/v1/exports/{id}")
        | ("GET", "/v1/exports/{id}/file" | "/v1/behaviours/{id}/reviews")
        | ("POST", "/v1/exports/{id}/cancel") => (Narrow::Nobody, bare("")),
        ("PUT", "/v1/searches/{id}")
        | ("POST", "/v1/searches" | "/v1/exports" | "/v1/behaviours/{id}/reviews") => {
            (Narrow::Nobody, bare("{}"))
        }
        ("PUT", "/v1/directory/{table}") => (Narrow::Closed, bare("")),
        ("GET", "/v1/ledger" | "/v1/audit") => (Narrow::Closed, bare("")),
        ("GET", "/v1/tokens") => (Narrow::Nobody, bare("")),
        ("POST", "/v1/tokens") => (Narrow::Nobody, bare("{}")),
        ("DELETE", "/v1/tokens/{id}") => (Narrow::Nobody, bare("")),
        _ => return None,
    })
}

/// An answer without the id that was asked for.
fn shape(answer: &Answer, ask: &Ask, ids: &Things, n: usize) -> Answer {
    let mut told = answer.without_stamp();
    let known = [
        &ids.conversations,
        &ids.rooms,
        &ids.msgids,
        &ids.sessions,
        &ids.employees,
    ];
    for of in known {
        if ask.path.contains(&encoded(&of[n])) || ask.body.contains(&of[n]) {
            told.body = told.body.replace(&of[n], "ID");
        }
    }
    told
}

async fn all_routes() {
    // The first organisation that has something of every kind in every place.
    let mut random = (1..).map(|seed| Company::random(&mut Dice(seed), Rooms::Listed));
    let full = |company: Company| Some((things(&company)?, company));
    let (things, company) = random.find_map(full).unwrap();
    let folder = base(&company, &[]).await;
    let served = Served::new(folder.path(), &[], company.said.iter()).await;
    for &(ref method, path, function) in ROUTES {
        let about = format!("{method} {path}");
        let (narrow, asks) = asks(method, path, &things)
            .unwrap_or_else(|| panic!("{about} is not in the matrix: say what it tells to whom"));
        let others: Vec<Function> = Function::ALL
            .into_iter()
            .filter(|f| *f != function)
            .collect();
        let without = served.token(&others, "all", None);
        let mine = served.token(&[function], "employee:e0,e1", Some("e0"));
        let all = served.token(&[function], "all", None);
        let mut told = Vec::new();
        for ask in &asks {
            assert_eq!(served.ask("no-token", ask).await.status, 401, "{about}");
            let refused = served.ask(&without, ask).await;
            assert_eq!(refused.status, 403, "{about} {refused:?}");
            assert!(refused.body.contains(function.as_str()), "{about}");
            let may = served.ask(&all, ask).await;
            assert!(
                ![401, 403].contains(&may.status) && may.status < 500,
                "{about} {may:?}"
            );
            told.push(served.ask(&mine, ask).await);
        }
        match narrow {
            Narrow::Closed => {
                for answer in &told {
                    assert_eq!(answer.status, 403, "{about} {answer:?}");
                }
            }
            Narrow::Nobody => {
                for answer in &told {
                    assert!(![401, 403].contains(&answer.status), "{about} {answer:?}");
                    assert_eq!(answer.status, told[0].status, "{about}");
                }
            }
            Narrow::Thing | Narrow::Filter => {
                let hidden = shape(&told[2], &asks[2], &things, 2);
                let absent = shape(&told[3], &asks[3], &things, 3);
                assert_eq!(hidden, absent, "{about}: {:?}", asks[2]);
                for n in [0, 1] {
                    let answer = &told[n];
                    assert!(![401, 403].contains(&answer.status), "{about} {answer:?}");
                    let seen = shape(answer, &asks[n], &things, n);
                    if matches!(narrow, Narrow::Thing) {
                        assert_ne!(seen, absent, "{about}: {:?}", asks[n]);
                    }
                }
            }
        }
    }
}

/// What would overflow a stack, or take for ever, is counted before anything parses it.
async fn hostile() {
    let company = Company::random(&mut Dice(1), Rooms::Listed);
    let folder = base(&company, &[]).await;
    let served = Served::new(folder.path(), &[], company.said.iter()).await;
    let many = |text: &str, n: usize| text.repeat(n);
    let search = |q: String| Ask::get(format!("/v1/search?q={}", encoded(&q)));
    let statements = [
        format!("SELECT {}1{}", many("(", 20_000), many(")", 20_000)),
        format!("SELECT {}1{}", many("(", 60), many(")", 60)),
        format!("SELECT 1{}", many("+1", 10_000)),
        format!("SELECT 1{}", many("+1", 600)),
        format!("SELECT 1 WHERE 1=1{}", many(" OR 1=1", 20_000)),
        format!("SELECT 1 WHERE {}true", many("NOT ", 3_000)),
        format!(
            "SELECT {}1{}",
            many("CASE WHEN true THEN ", 600),
            many(" END", 600)
        ),
        format!("SELECT 1 IN (1{})", many(",1", 20_000)),
        format!("SELECT '{}'", many("a", 17_000)),
        many("[", 9_000),
    ];
    let queries = [
        many("(", 20_000),
        many("a ", 10_000),
        many("-", 20_000),
        many("a OR ", 5_000),
        many("a OR ", 200),
        many("\"", 5_001),
    ];
    for scope in ["employee:e0", "all"] {
        let token = served.token(&Function::ALL, scope, None);
        let asked = statements.iter().map(|sql| Ask::sql(sql));
        for ask in asked.chain(queries.iter().cloned().map(search)) {
            let answer = served.ask(&token, &ask).await;
            let about = format!("{scope}: {:.60} {:.60}", ask.path, ask.body);
            assert_eq!(answer.status, 400, "{about} {answer:?}");
            let code = answer.json()["code"].as_str().unwrap().to_string();
            assert!(
                ["sql", "parameter"].contains(&code.as_str()),
                "{about} {code}"
            );
        }
    }
}

fn on_a_worker(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(WORKER_STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::spawn(work).await })
        .unwrap();
}

#[test]
fn every_route_hides_what_is_out_of_scope_as_if_it_were_not_there() {
    on_a_worker(all_routes());
}

#[test]
fn what_is_too_large_or_too_deep_is_refused_before_it_is_parsed() {
    on_a_worker(hostile());
}
