//! Callers with roles: what a token may do, whose data it may do it with, and what it may hand on.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::http::{company, served};
use crate::support::{Answer, Client, Installation};

/// A token made at the command line.
fn token(run: &Installation, more: &[&str]) -> String {
    let arguments = [&["token", "create", "--name", "t"], more].concat();
    run.run(&arguments).ok().stdout.trim().to_string()
}

fn make(client: &Client, roles: Value, employee: Option<&str>) -> Answer {
    let body = json!({"name": "made", "roles": roles, "employee": employee});
    client.send("POST", "/v1/tokens", body.to_string().as_bytes())
}

/// The secret of a token made over HTTP.
fn made(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_string()
}

fn all_functions() -> Vec<&'static str> {
    huicun_engine::access::Function::ALL
        .map(huicun_engine::access::Function::as_str)
        .to_vec()
}

/// A client that may do everything.
fn chief(run: &Installation, server: &crate::support::Server) -> Client {
    let functions = all_functions();
    let more: Vec<&str> = functions.iter().flat_map(|f| ["--function", f]).collect();
    server.client(&token(run, &more))
}

fn seqs(client: &Client) -> BTreeSet<u64> {
    let rows = client.get("/v1/search?limit=1000").ok().items();
    rows.iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect()
}

fn employees(client: &Client) -> Vec<String> {
    let rows = client.get("/v1/reports/employees").ok().items();
    let ids = rows.iter().map(|row| row["userid"].as_str().unwrap());
    ids.map(String::from).collect()
}

#[test]
fn a_token_opens_only_the_routes_of_its_functions() {
    let (run, server, _) = served();
    let routes = [
        ("messages.search", "GET", "/v1/search?q=x"),
        ("messages.read", "GET", "/v1/conversations/wrroom1/messages"),
        ("media.read", "GET", "/v1/media"),
        ("figures.read", "GET", "/v1/reports/employees"),
        ("figures.read", "GET", "/v1/explain/employees/dialogues"),
        ("figures.read", "GET", "/v1/dialogues"),
        ("behaviours.read", "GET", "/v1/behaviours"),
        ("rules.read", "GET", "/v1/rules"),
        ("rules.write", "PUT", "/v1/rules"),
        ("directory.write", "PUT", "/v1/directory/employees"),
        ("ledger.read", "GET", "/v1/ledger"),
        ("operations.read", "GET", "/metrics"),
        ("tokens.manage", "GET", "/v1/tokens"),
        ("tokens.manage", "POST", "/v1/tokens"),
        ("tokens.manage", "DELETE", "/v1/tokens/x"),
        ("sql", "POST", "/v1/sql"),
    ];
    for held in ["messages.search", "figures.read", "rules.read", "sql"] {
        let client = server.client(&token(&run, &["--function", held]));
        for (function, method, path) in routes {
            let answer = client.send(method, path, b"{}");
            if function == held {
                assert_ne!(answer.status, 403, "{held}: {method} {path}");
                continue;
            }
            assert_eq!(
                answer.problem(),
                (403, "forbidden".into()),
                "{method} {path}"
            );
            let detail = answer.json()["detail"].as_str().unwrap().to_string();
            assert!(detail.contains(&format!("`{function}`")), "{detail}");
        }
        // A route is never half closed: other methods, and HEAD like GET.
        assert_eq!(client.send("DELETE", "/v1/search", b"").status, 405);
        let head = client.send("HEAD", "/v1/ledger", b"").status;
        assert_eq!(head, 403);
    }
}

#[test]
fn a_token_without_named_functions_opens_everything_but_the_tokens() {
    let (_run, _server, client) = served();
    for path in [
        "/v1/search",
        "/v1/reports/employees",
        "/v1/rules",
        "/metrics",
    ] {
        client.get(path).ok();
    }
    assert_eq!(
        client.get("/v1/tokens").problem(),
        (403, "forbidden".into())
    );
}

#[test]
fn a_role_for_figures_of_all_does_not_open_the_chats_of_all() {
    let (run, server, _) = served();
    let chief = chief(&run, &server);
    let roles = json!([
        {"functions": ["messages.search", "messages.read"], "scope": "employee:li"},
        {"functions": ["figures.read"], "scope": "all"},
    ]);
    let client = server.client(&made(&make(&chief, roles, None)));
    assert_eq!(seqs(&client), BTreeSet::from([3, 4, 30]));
    assert_eq!(employees(&client), ["li", "sun", "wang", "zhang"]);
    let hidden = client.get("/v1/conversations/wrroom1/messages");
    assert_eq!(hidden.problem(), (404, "not_found".into()));
}

#[test]
fn the_data_scopes_of_an_acting_employee_are_his_and_his_departments() {
    let (run, server, _) = served();
    for (more, expected) in [
        (["--scope", "self", "--employee", "li"], &["li"][..]),
        (
            ["--scope", "departments_below", "--employee", "li"],
            &["li", "zhang"],
        ),
        (
            ["--scope", "departments_below", "--employee", "zhang"],
            &["zhang"],
        ),
        (["--scope", "self", "--employee", "nobody"], &[]),
        (
            ["--scope", "departments_below", "--employee", "nobody"],
            &[],
        ),
    ] {
        let client = server.client(&token(&run, &more));
        assert_eq!(employees(&client), expected, "{more:?}");
    }
    for scope in ["self", "departments_below"] {
        let arguments = ["token", "create", "--name", "x", "--scope", scope];
        let ran = run.run(&arguments);
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("--employee"), "{}", ran.stderr);
    }
}

#[test]
fn nobody_makes_a_token_that_opens_more_than_his_own() {
    let (run, server, _) = served();
    let own = [
        ["--function", "tokens.manage"],
        ["--function", "messages.search"],
        ["--scope", "employee:li,wang"],
    ]
    .concat();
    let client = server.client(&token(&run, &own));
    let role = |function: &str, scope: &str| json!([{"functions": [function], "scope": scope}]);
    for (roles, status) in [
        (role("messages.search", "employee:li"), 201),
        (role("tokens.manage", "employee:li"), 201),
        (role("messages.search", "employee:zhang"), 403),
        (role("messages.search", "employee:li,zhang"), 403),
        (role("messages.search", "department:10"), 403),
        (role("messages.search", "all"), 403),
        (role("messages.read", "employee:li"), 403),
        (role("messages", "employee:li"), 400),
        (role("messages.search", "li"), 400),
        (role("messages.search", "self"), 400),
        (json!([{"functions": [], "scope": "employee:li"}]), 400),
        (json!([]), 400),
    ] {
        let answer = make(&client, roles.clone(), None);
        assert_eq!(answer.status, status, "{roles}: {answer:?}");
    }
    // What he could not make he neither sees nor ends.
    let listed = client.get("/v1/tokens").ok().items();
    let names: Vec<&str> = listed.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["t", "made", "made"]);
    let all = run.run(&["token", "list"]).ok().rows();
    let foreign = all.iter().find(|t| t["scope"] == "all").unwrap();
    let path = format!("/v1/tokens/{}", foreign["id"].as_str().unwrap());
    let answer = client.send("DELETE", &path, b"");
    assert_eq!(answer.problem(), (404, "not_found".into()));
}

#[test]
fn a_token_made_over_http_opens_until_it_is_revoked() {
    let (run, server, _) = served();
    let chief = chief(&run, &server);
    let roles = json!([{"functions": ["messages.search"], "scope": "department:20"}]);
    let answer = make(&chief, roles, None);
    let client = server.client(&made(&answer));
    client.get("/v1/search").ok();
    let id = answer.json()["id"].as_str().unwrap().to_string();
    let path = format!("/v1/tokens/{id}");
    assert_eq!(chief.send("DELETE", &path, b"").status, 204);
    assert_eq!(client.get("/v1/search").status, 401);
    assert_eq!(chief.send("DELETE", &path, b"").status, 404);
    let listed = chief.get("/v1/tokens").ok().items();
    let revoked = listed.iter().find(|t| t["id"] == id.as_str()).unwrap();
    assert!(revoked["revoked_at"].is_string());
    assert!(!chief.get("/v1/tokens").ok().body.contains("hct_"));
}

/// A JWT of an issuer whose key `kid` this is.
fn jwt(key: &Ed25519KeyPair, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn a_jwt_of_the_scrm_opens_what_its_roles_are_configured_to_open() {
    let run = company();
    let key = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x}]});
    run.write("jwks.json", &jwks.to_string());
    run.write(
        "huicun.toml",
        "[jwt]\nissuer = \"scrm\"\naudience = \"huicun\"\njwks_file = \"jwks.json\"\n\
         [[jwt.role]]\nname = \"guide\"\nfunctions = [\"messages.search\"]\nscope = \"self\"\n\
         [[jwt.role]]\nname = \"chief\"\nfunctions = [\"figures.read\"]\nscope = \"all\"\n",
    );
    let mut server = run.serve("serve");
    let expires = 4_000_000_000_u64;
    let claims = json!({"iss": "scrm", "aud": "huicun", "sub": "li", "exp": expires,
                        "roles": ["guide", "chief"]});
    let client = server.client(&jwt(&key, "1", &claims));
    assert_eq!(seqs(&client), BTreeSet::from([3, 4, 30]));
    assert_eq!(employees(&client), ["li", "sun", "wang", "zhang"]);
    let read = client.get("/v1/conversations/li%7Cwmbert/messages");
    assert_eq!(read.problem(), (403, "forbidden".into()));
    // Whatever is wrong looks the same.
    let mut bodies = BTreeSet::new();
    let late = json!({"iss": "scrm", "aud": "huicun", "sub": "li", "exp": 1, "roles": ["chief"]});
    for token in [
        jwt(&key, "1", &late),
        jwt(&key, "2", &claims),
        "a.b.c".into(),
    ] {
        let answer = server.client(&token).get("/v1/search");
        assert_eq!(answer.problem(), (401, "unauthenticated".into()));
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1);
    let recorded = run.run(&["audit", "--caller", "li"]).ok().rows();
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded[0]["caller_kind"], "jwt");
    assert_eq!(recorded[0]["status"], 403);
    server.running.terminate();
    server.running.wait(std::time::Duration::from_secs(10));
    assert_eq!(server.running.line(), "", "a token for this run was made");
}

#[test]
fn a_misspelt_function_is_wrong_usage_and_the_list_is_told() {
    let run = company();
    let ran = run.run(&["token", "create", "--name", "x", "--function", "search"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("messages.search"), "{}", ran.stderr);
    assert!(run.run(&["token", "list"]).ok().stdout.is_empty());
}
