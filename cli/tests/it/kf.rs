//! Sessions of WeChat customer service (manual 12.2): the list with its filters, the messages of
//! one, and who sees them.

use serde_json::{Value, json};

use crate::support::{Client, Installation, Server, encoded};

const MESSAGES: &str = "\
session_id,msgid,time,from_role,external_userid,servicer_userid,scene,msgtype,text
s1,k1,2024-10-01T09:00:00+08:00,customer,wmanna,zhang,扫码,text,你好
s1,k2,2024-10-01T09:11:59+08:00,servicer,wmanna,zhang,扫码,text,在的
s1,k3,2024-10-01T09:01:00+08:00,customer,wmanna,zhang,扫码,image,
s2,k4,2024-10-01T23:59:59+08:00,customer,wmbert,,,text,有人吗
s3,k5,2024-10-02T00:00:00+08:00,servicer,wmanna,li,,text,您好
s3,k6,2024-10-02T00:00:01+08:00,servicer,wmanna,zhang,,text,我来
";

fn served() -> (Installation, Server, Client) {
    let run = Installation::new();
    run.write(
        "directory/employees.csv",
        "userid,name,departments\nzhang,张三,1\nli,李四,2\n",
    );
    run.write(
        "directory/customers.csv",
        "external_userid,name\nwmanna,安娜\nwmbert,伯特\n",
    );
    run.write("directory/kf_messages.csv", MESSAGES);
    let directory = run.path("directory");
    run.run(&["import", "directory", directory.to_str().unwrap()])
        .ok();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    (run, server, client)
}

fn ids(client: &Client, query: &str) -> Vec<String> {
    let path = format!("/v1/kf/sessions?{query}");
    let items = client.get(&path).ok().items().into_iter();
    items
        .map(|item| item["session_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_session_shows_who_when_and_how_much() {
    let (run, _server, client) = served();
    let items = client.get("/v1/kf/sessions?session=s1").ok().items();
    assert_eq!(
        items,
        [json!({
            "session_id": "s1",
            "external_userid": "wmanna",
            "customer_name": "安娜",
            "servicers": ["zhang"],
            "servicer_names": ["张三"],
            "open_kfid": null,
            "scene": "扫码",
            "started_at": "2024-10-01T09:00:00.000+08:00",
            "ended_at": "2024-10-01T09:11:59.000+08:00",
            "duration_seconds": 719.0,
            "customer_messages": 2,
            "servicer_messages": 1,
        })]
    );
    let rows = run.run(&["kf", "sessions", "--session", "s1"]).ok().rows();
    assert_eq!(rows, items);
}

#[test]
fn sessions_are_found_by_start_servicer_customer_and_id() {
    let (_run, _server, client) = served();
    assert_eq!(ids(&client, ""), ["s3", "s2", "s1"]);
    assert_eq!(ids(&client, "from=2024-10-02"), ["s3"]);
    assert_eq!(ids(&client, "to=2024-10-01"), ["s2", "s1"]);
    assert_eq!(ids(&client, "servicer=li"), ["s3"]);
    let zhang = format!("servicer={}", encoded("张三"));
    assert_eq!(ids(&client, &zhang), ["s3", "s1"]);
    let bert = format!("customer={}", encoded("伯特"));
    assert_eq!(ids(&client, &bert), ["s2"]);
    assert_eq!(ids(&client, "session=s2&customer=wmanna"), [""; 0]);
}

#[test]
fn the_pages_are_the_whole_list() {
    let (_run, _server, client) = served();
    let first = client.get("/v1/kf/sessions?limit=2").ok().json();
    assert_eq!(first["total"], 3);
    let next = first["next"].as_str().unwrap();
    assert_eq!(ids(&client, &format!("limit=2&cursor={next}")), ["s1"]);
}

#[test]
fn a_session_opens_to_its_messages_in_order() {
    let (_run, _server, client) = served();
    let items = client.get("/v1/kf/sessions/s1/messages").ok().items();
    let said: Vec<[&Value; 4]> = items
        .iter()
        .map(|item| [&item["msgid"], &item["from"], &item["type"], &item["text"]])
        .collect();
    assert_eq!(
        json!(said),
        json!([
            ["k1", "wmanna", "text", "你好"],
            ["k3", "wmanna", "image", null],
            ["k2", "zhang", "text", "在的"],
        ])
    );
}

#[test]
fn a_narrow_caller_sees_the_sessions_of_his_employees_only() {
    let (run, server, _) = served();
    let li = server.client(&run.token("employee:li"));
    assert_eq!(ids(&li, ""), ["s3"]);
    li.get("/v1/kf/sessions/s3/messages").ok();
    let hidden = li.get("/v1/kf/sessions/s1/messages").problem();
    let absent = li.get("/v1/kf/sessions/s9/messages").problem();
    assert_eq!((hidden.0, &hidden.1), (404, &absent.1));
}
