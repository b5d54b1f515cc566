//! Behaviours as a derived table, through the binary, HTTP and SQL; and what a statement may take.

use serde_json::{Value, json};

use crate::support::{Installation, text_line};

const AT_MS: i64 = 1_727_712_000_000;

const WATCHED: &str = "[[sensitive.rule]]\nname = \"飞单\"\nwords = \"加我微信\"\nenabled = true\n\
    [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n\
    [behaviour.friend_deleted]\nenabled = true\naudited = [\"customer\"]\n";

fn feed(run: &Installation, table: &str, lines: &str) {
    let file = run.write(&format!("directory/{table}.ndjson"), lines);
    let folder = file.parent().unwrap().to_str().unwrap().to_string();
    run.run(&["import", "directory", &folder]).ok();
}

fn import(run: &Installation, lines: &[String]) {
    let file = run.write("messages.ndjson", &lines.concat());
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
}

/// zhang in shops below sales, li in the office; rules are in force.
fn company() -> Installation {
    let run = Installation::new();
    feed(
        &run,
        "departments",
        "{\"id\":\"1\",\"name\":\"销售\"}\n{\"id\":\"11\",\"name\":\"门店\",\"parent_id\":\"1\"}\n\
         {\"id\":\"2\",\"name\":\"办公室\"}\n",
    );
    feed(
        &run,
        "employees",
        "{\"userid\":\"zhang\",\"name\":\"张\",\"departments\":[\"11\"]}\n\
         {\"userid\":\"li\",\"name\":\"李\",\"departments\":[\"2\"]}\n",
    );
    let rules = run.write("rules.toml", WATCHED);
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    import(
        &run,
        &[
            text_line(1, "zhang", "wmanna", AT_MS, "请加我微信"),
            text_line(2, "wmben", "li", AT_MS + 1, "加我微信吧"),
            text_line(3, "li", "zhang", AT_MS + 2, "不要说加我微信"),
            text_line(4, "li", "wmben", AT_MS + 3, "好的"),
        ],
    );
    run
}

fn msgids(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row["msgid"].as_str())
        .collect()
}

#[test]
fn those_of_a_department_are_those_in_which_its_people_take_part() {
    let run = company();
    let all = run.run(&["behaviours"]).ok().rows();
    assert_eq!(all.len(), 3);
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    for (department, expected) in [("1", [0, 2].as_slice()), ("2", &[1, 2]), ("9", &[])] {
        let of = run
            .run(&["behaviours", "--department", department])
            .ok()
            .rows();
        let expected: Vec<&Value> = expected.iter().map(|at| &all[*at]).collect();
        assert_eq!(of.iter().collect::<Vec<_>>(), expected, "{department}");
        let path = format!("/v1/behaviours?department={department}");
        assert_eq!(msgids(&client.get(&path).ok().items()), msgids(&of));
    }
    // Page by page they are the same.
    let paged = client.all("/v1/behaviours?limit=1");
    assert_eq!(msgids(&paged), msgids(&all));
}

#[test]
fn a_backtest_writes_nothing_and_warns_of_ids_that_nobody_knows() {
    let run = company();
    feed(
        &run,
        "relations",
        "{\"userid\":\"li\",\"external_userid\":\"wmben\",\"add_time\":1727000000,\
          \"lost_time\":1727712000,\"lost_by\":\"customer\"}\n",
    );
    // As if somebody had fed it another way: the loss is not noted.
    run.run(&["search", "微信"]).ok();
    let rules = run.write(
        "try.toml",
        "[behaviour.friend_deleted]\nenabled = true\naudited = [\"customer\"]\n\
         employees = [\"li\", \"nobody\"]\n",
    );
    let before = run.contents();
    let done = run
        .run(&["behaviours", "backtest", rules.to_str().unwrap()])
        .ok();
    assert!(done.stderr.contains("`nobody`"), "{}", done.stderr);
    let kinds: Vec<Value> = done.rows().iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "friend_deleted").count(), 1);
    let after = run.contents();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes))
        .map(|(path, _)| path)
        .chain(before.keys().filter(|path| !after.contains_key(*path)))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn an_unknown_behaviour_and_a_day_in_another_form_are_errors() {
    let run = company();
    for arguments in [
        ["behaviours", "reviews", "NOSUCH"].as_slice(),
        &["behaviours", "review", "NOSUCH", "--as", "confirmed"],
    ] {
        let answer = run.run(arguments);
        assert_eq!(answer.status, 1, "{arguments:?}");
        assert!(answer.stderr.contains("`NOSUCH`"), "{}", answer.stderr);
    }
    let rescan =
        |from: &str| run.run(&["behaviours", "rescan", "--from", from, "--to", "2024-12-31"]);
    for day in ["2024-9-1", "2024-09-1", "24-09-01", "+2024-09-01"] {
        let answer = rescan(day);
        assert_eq!(answer.status, 2, "{day}");
        assert!(answer.stderr.contains("YYYY-MM-DD"), "{}", answer.stderr);
    }
    rescan("2024-09-01").ok();
    // One that nobody reviewed yet is known all the same.
    let id = run.run(&["behaviours"]).ok().rows()[0]["behaviour_id"].clone();
    let reviews = run.run(&["behaviours", "reviews", id.as_str().unwrap()]);
    assert!(reviews.ok().rows().is_empty());
}

#[test]
fn sql_shows_behaviours_beside_what_their_last_review_says() {
    let run = company();
    let listed = run.run(&["behaviours"]).ok().rows();
    let id = listed[1]["behaviour_id"].as_str().unwrap();
    for verdict in ["false_alarm", "confirmed"] {
        let arguments = [
            "behaviours",
            "review",
            id,
            "--as",
            verdict,
            "--reviewer",
            "wang",
        ];
        run.run(&arguments).ok();
    }
    let select = "SELECT behaviour_id, review, reviewer, rules FROM behaviours ORDER BY at";
    let rows = run.run(&["sql", select]).ok().rows();
    let expected: Vec<Value> = run
        .run(&["behaviours"])
        .ok()
        .rows()
        .iter()
        .map(|row| {
            json!({
                "behaviour_id": row["behaviour_id"],
                "review": row["review"],
                "reviewer": row["reviewer"],
                "rules": row["rules"],
            })
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(rows[1]["review"], "confirmed");
    let all = "SELECT review FROM behaviour_reviews";
    assert_eq!(run.run(&["sql", all]).ok().rows().len(), 2);
}

#[test]
fn what_enters_is_watched_and_a_changed_directory_judges_anew() {
    let run = company();
    let kinds = || {
        let rows = run.run(&["behaviours"]).ok().rows();
        rows.into_iter()
            .map(|row| (row["kind"].clone(), row["side"].clone()))
            .collect::<Vec<_>>()
    };
    let word = |side: &str| (json!("sensitive_word"), json!(side));
    assert_eq!(
        kinds(),
        [word("employee"), word("customer"), word("employee")]
    );
    // wmben turns out to be an employee, and a friend is lost.
    feed(
        &run,
        "employees",
        "{\"userid\":\"wmben\",\"name\":\"本\",\"departments\":[]}\n",
    );
    feed(
        &run,
        "relations",
        "{\"userid\":\"zhang\",\"external_userid\":\"wmanna\",\"add_time\":1727000000,\
          \"lost_time\":1727711999,\"lost_by\":\"customer\"}\n",
    );
    let lost = (json!("friend_deleted"), json!("customer"));
    let expected = [lost, word("employee"), word("employee"), word("employee")];
    assert_eq!(kinds(), expected);
}

#[test]
fn rules_put_over_http_tell_whose_token_it_was() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let put = server
        .client(&token)
        .send("PUT", "/v1/rules", b"[behaviour.card]\nenabled = true\n");
    put.ok();
    let history = run.run(&["rules", "history"]).ok().rows();
    let told: Vec<String> = history.iter().map(Value::to_string).collect();
    assert!(told.iter().any(|row| row.contains("\"test\"")), "{told:?}");
}

#[test]
fn a_statement_ends_at_its_time_and_at_its_rows() {
    let run = company();
    let endless = "SELECT count(*) AS n FROM generate_series(1, 9000000000000)";
    let answer = run.run(&["sql", endless, "--timeout", "0.2"]);
    assert_eq!(answer.status, 1);
    assert!(
        answer.stderr.contains("stopped after 0.2 s") && answer.stderr.contains("--timeout"),
        "{}",
        answer.stderr
    );
    let rows = ["sql", "SELECT msgid FROM messages", "--limit", "3"];
    let answer = run.run(&rows);
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("LIMIT 3"), "{}", answer.stderr);
    let enough = [
        "sql",
        "SELECT msgid FROM messages",
        "--limit",
        "4",
        "--timeout",
        "0",
    ];
    assert_eq!(run.run(&enough).ok().rows().len(), 4);
    let token = run.token("all");
    let server = run.serve("serve");
    let body = json!({ "sql": "SELECT * FROM generate_series(1, 1000001)" }).to_string();
    let answer = server
        .client(&token)
        .send("POST", "/v1/sql", body.as_bytes());
    assert_eq!(answer.problem(), (400, "sql_too_many_rows".into()));
}

#[test]
fn sql_lists_tables_and_columns_with_what_they_mean() {
    let run = company();
    let select = "SELECT * FROM table_columns WHERE table_name = 'behaviours' AND column_name IN \
                  ('rules', 'review') ORDER BY column_name";
    let rows = run.run(&["sql", select]).ok().rows();
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["comment_zh"].as_str().unwrap().contains("审核"));
    assert_eq!(rows[1]["type"], "list of string");
    // What is listed can be asked for.
    let tables = "SELECT DISTINCT table_name FROM table_columns ORDER BY table_name";
    for row in run.run(&["sql", tables]).ok().rows() {
        let table = row["table_name"].as_str().unwrap();
        run.run(&["sql", &format!("SELECT * FROM \"{table}\" LIMIT 1")])
            .ok();
    }
}
