//! Timeouts of customers who still wait: only what has come is told, in lists and in SQL.

use crate::support::Installation;

const RULES: &str = "[[timeout.rule]]\nname = \"default\"\n\
    levels = [{ after_minutes = 10 }, { after_minutes = 100000 }]\n";

#[test]
fn levels_that_are_still_to_come_are_not_told() {
    let run = Installation::new();
    let rules = run.write("rules.toml", RULES);
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    let now = chrono::Utc::now().timestamp_millis();
    let line = |id: &str, from: &str, minutes_ago: i64| {
        let at = now - minutes_ago * 60_000;
        format!(
            "{{\"msgid\":\"{id}\",\"action\":\"send\",\"from\":\"{from}\",\"tolist\":[\"e1\"],\
             \"roomid\":\"\",\"msgtime\":{at},\"msgtype\":\"text\",\"text\":{{\"content\":\"在吗\"}}}}\n"
        )
    };
    // One has waited for an hour, the other for a minute.
    let lines = line("m1", "wm1", 60) + &line("m2", "wm2", 1);
    let file = run.write("messages.ndjson", &lines);
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
    let listed = run.run(&["timeouts"]).ok().rows();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["message_id"], "m1");
    assert_eq!(listed[0]["level"], 1);
    assert_eq!(listed[0]["level_at"].as_array().unwrap().len(), 1);
    assert!(listed[0]["answered_at"].is_null());
    let told = "SELECT message_id, level, cardinality(level_at) AS n FROM timeouts";
    let told = run.run(&["sql", told]).ok().rows();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["level"], &told[0]["n"]), (&1.into(), &1.into()));
    let coming = "SELECT message_id, level FROM timeouts_and_coming ORDER BY message_id";
    let coming = run.run(&["sql", coming]).ok().rows();
    assert_eq!(coming.len(), 2, "{coming:?}");
    assert_eq!(coming[0]["level"], 2);
}

#[test]
fn who_asks_for_messages_only_derives_nothing() {
    let run = Installation::new();
    let file = run.write(
        "messages.ndjson",
        "{\"msgid\":\"m1\",\"action\":\"send\",\"from\":\"wm1\",\"tolist\":[\"e1\"],\
         \"msgtime\":1727700000000,\"msgtype\":\"text\",\"text\":{\"content\":\"在吗\"}}\n",
    );
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
    run.run(&["sql", "SELECT count(*) AS n FROM messages"]).ok();
    assert!(!run.data().join("derived").exists());
    let n = run
        .run(&["sql", "SELECT count(*) AS n FROM Dialogues"])
        .ok();
    assert_eq!(n.rows()[0]["n"], 1);
}

const GROUP: [(&str, &str); 2] = [
    (
        "groups.ndjson",
        "{\"chat_id\":\"wr1\",\"name\":\"水果群\",\"owner\":\"e1\"}\n",
    ),
    (
        "group_members.ndjson",
        // Two customers and e1 are there, e2 comes before the timeout fires and e3 after that.
        r#"{"chat_id":"wr1","member_id":"e1","member_type":"employee","join_time":"2024-09-01T00:00:00+08:00"}
{"chat_id":"wr1","member_id":"wm1","member_type":"customer","join_time":"2024-09-01T00:00:00+08:00"}
{"chat_id":"wr1","member_id":"wm2","member_type":"customer","join_time":"2024-09-01T00:00:00+08:00"}
{"chat_id":"wr1","member_id":"e2","member_type":"employee","join_time":"2024-10-01T09:05:00+08:00"}
{"chat_id":"wr1","member_id":"e3","member_type":"employee","join_time":"2024-10-01T09:10:00.001+08:00"}
"#,
    ),
];

fn group_and_single() -> Installation {
    let run = Installation::new();
    run.write(
        "directory/employees.csv",
        "userid,name,departments\ne1,甲,1\ne2,乙,1\ne3,丙,1\n",
    );
    run.write("directory/departments.csv", "id,name\n1,总部\n");
    for (name, content) in GROUP {
        run.write(&format!("directory/{name}"), content);
    }
    let folder = run.path("directory");
    run.run(&["import", "directory", folder.to_str().unwrap()])
        .ok();
    let rules = run.write("rules.toml", RULES);
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    let line = |id: &str, from: &str, to: &str, room: &str, at: &str, text: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(&format!("2024-10-01T{at}+08:00")).unwrap();
        let message = serde_json::json!({
            "msgid": id, "action": "send", "from": from, "tolist": [to], "roomid": room,
            "msgtime": at.timestamp_millis(), "msgtype": "text", "text": {"content": text},
        });
        message.to_string() + "\n"
    };
    let lines = [
        line("m1", "wm1", "e1", "wr1", "09:00:00", "群里有人吗"),
        line("m2", "e1", "wm1", "wr1", "09:30:00", "有"),
        line("m3", "wm2", "e1", "", "10:00:00", "什么时候发货"),
    ];
    run.run_with_input(&["import", "messages", "-"], lines.concat().as_bytes())
        .ok();
    run
}

#[test]
fn a_timeout_shows_the_message_and_the_group_as_it_was() {
    let run = group_and_single();
    let rows = run.run(&["timeouts"]).ok().rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let expected = [
        ("message_id", "m1".into()),
        ("message_text", "群里有人吗".into()),
        ("employees", serde_json::json!(["e1", "e2"])),
        ("last_message_at", "2024-10-01T09:00:00.000+08:00".into()),
        ("fired_at", "2024-10-01T09:10:00.000+08:00".into()),
        (
            "level_at",
            serde_json::json!(["2024-10-01T09:10:00.000+08:00"]),
        ),
        ("waited_seconds", 1800.0.into()),
        ("group_name", "水果群".into()),
        ("owner", "e1".into()),
        ("responsible", "e1".into()),
        ("group_employees", 2.into()),
        ("group_members", 4.into()),
    ];
    for (key, value) in expected {
        assert_eq!(rows[0][key], value, "{key}");
    }
    assert_eq!(rows[1]["message_text"], "什么时候发货");
    for key in ["group_name", "owner", "group_employees", "group_members"] {
        assert!(rows[1][key].is_null(), "{key}");
    }
    let csv = run.run(&["timeouts", "--format", "csv"]).ok().stdout;
    let contract = "conversation,kind,customer,employees,message_id,last_message_at,fired_at,level,\
                    answered_at,waited_seconds,waited_working_seconds,";
    assert!(csv.starts_with(contract), "{csv}");
}

#[test]
fn who_came_after_the_message_sees_the_timeout_without_its_text() {
    let run = group_and_single();
    let tokens = ["all", "employee:e1", "employee:e2", "employee:e3"].map(|scope| run.token(scope));
    let server = run.serve("serve");
    let texts = tokens.map(|token| {
        let rows = server.client(&token).all("/v1/timeouts?limit=1");
        let texts = rows.iter().map(|row| row["message_text"].clone());
        texts.collect::<Vec<_>>()
    });
    let (group, single) = (
        serde_json::json!("群里有人吗"),
        serde_json::json!("什么时候发货"),
    );
    assert_eq!(texts[0], [group.clone(), single.clone()]);
    assert_eq!(texts[1], [group, single]);
    assert_eq!(texts[2], [serde_json::Value::Null]);
    assert_eq!(texts[3], [] as [serde_json::Value; 0]);
}
