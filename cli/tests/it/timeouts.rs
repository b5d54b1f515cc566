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
