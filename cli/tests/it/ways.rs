//! The ways into the chats: conversations with how much was found in them, and from a hit to what
//! was said before and after it.

use serde_json::Value;

use crate::support::{Client, Installation, Server, encoded, text_line};

const AT: i64 = 1_727_712_000_000;

/// Zhang and a customer with nine messages, Li and the same one with a later message, and a
/// message between the two employees.
fn served() -> (Installation, Server, Client) {
    let run = Installation::new();
    run.write(
        "directory/employees.csv",
        "userid,name,departments\nzhang,张三,1\nli,李四,2\n",
    );
    run.write(
        "directory/customers.csv",
        "external_userid,name\nwmanna,安娜\n",
    );
    let directory = run.path("directory");
    run.run(&["import", "directory", directory.to_str().unwrap()])
        .ok();
    let at = |seq: u64| AT + seq as i64 * 60_000;
    let mut lines = String::new();
    for seq in 1..=9 {
        let word = if seq % 3 == 0 { "退款" } else { "你好" };
        lines += &text_line(seq, "wmanna", "zhang", at(seq), word);
    }
    lines += &text_line(10, "li", "wmanna", at(10), "退款到了");
    lines += &text_line(11, "zhang", "li", at(11), "在吗");
    run.run_with_input(&["import", "messages", "-"], lines.as_bytes())
        .ok();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    (run, server, client)
}

fn seqs(answer: &Value) -> Vec<i64> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item["seq"].as_i64().unwrap()).collect()
}

#[test]
fn conversations_come_by_last_contact_with_what_was_found_in_them() {
    let (_run, _server, client) = served();
    let list = |query: &str| -> Vec<(String, u64)> {
        let path = format!("/v1/conversations?q={}", encoded(query));
        let items = client.get(&path).ok().items().into_iter();
        items
            .map(|item| {
                let id = item["conversation"].as_str().unwrap().to_owned();
                (id, item["messages"].as_u64().unwrap())
            })
            .collect()
    };
    let (zhang, li) = ("wmanna|zhang".to_owned(), "li|wmanna".to_owned());
    assert_eq!(
        list(""),
        [
            ("li|zhang".to_owned(), 1),
            (li.clone(), 1),
            (zhang.clone(), 9)
        ]
    );
    assert_eq!(list("退款"), [(li, 1), (zhang, 3)]);
}

#[test]
fn the_pages_of_conversations_are_the_whole_list() {
    let (_run, _server, client) = served();
    let whole = client.get("/v1/conversations").ok().items();
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/conversations?limit=1{cursor}");
        let page = client.get(&path).ok().json();
        assert_eq!(page["total"], 3);
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, whole);
}

#[test]
fn from_a_hit_one_reads_on_in_both_directions_to_the_ends() {
    let (_run, _server, client) = served();
    let path = "/v1/conversations/wmanna%7Czhang/messages?limit=3";
    let get = |more: &str| client.get(&format!("{path}{more}")).ok().json();
    let middle = get("&around=5");
    assert_eq!(seqs(&middle), [4, 5, 6]);
    let token = |page: &Value, name: &str| page[name].as_str().unwrap().to_owned();
    let before = get(&format!("&before={}", token(&middle, "previous")));
    assert_eq!(seqs(&before), [1, 2, 3]);
    assert_eq!(before["previous"], Value::Null);
    let again = get(&format!("&cursor={}", token(&before, "next")));
    assert_eq!(seqs(&again), [4, 5, 6]);
    let after = get(&format!("&cursor={}", token(&middle, "next")));
    assert_eq!(seqs(&after), [7, 8, 9]);
    assert_eq!(after["next"], Value::Null);
}

#[test]
fn a_message_of_another_conversation_is_not_found_in_this_one() {
    let (_run, _server, client) = served();
    let get = |more: &str| {
        let path = format!("/v1/conversations/wmanna%7Czhang/messages?{more}");
        client.get(&path).problem()
    };
    assert_eq!(get("around=10").0, 404);
    assert_eq!(get("around=5&limit=2").0, 400);
    assert_eq!(get("around=x").0, 400);
    assert_eq!(get("around=5&cursor=x").0, 400);
}

#[test]
fn a_narrow_caller_counts_only_what_he_may_read() {
    let (run, server, _) = served();
    let li = server.client(&run.token("employee:li"));
    let total = |path: &str| li.get(path).ok().json()["total"].as_u64().unwrap();
    assert_eq!(total("/v1/conversations"), 2);
    assert_eq!(total("/v1/search/counts?by=type&q=%E9%80%80%E6%AC%BE"), 1);
    let counts = li.get("/v1/search/counts?by=employee").ok().items();
    assert_eq!(counts[0]["id"], "li");
    assert_eq!(counts[0]["messages"], 2);
}
