//! Public samples of other projects, end to end, where they lie beside the project (they may not
//! be copied into it), and recalls.

use serde_json::Value;

use super::archive::Archive;
use crate::support::{Installation, encoded, real_data, text_line};

/// The longest run of letters that a reader of the message sees first, found by names alone.
fn phrase(value: &Value) -> Option<String> {
    const NAMES: [&str; 14] = [
        "content",
        "title",
        "description",
        "filename",
        "address",
        "corpname",
        "votetitle",
        "ques",
        "wish",
        "topic",
        "sph_name",
        "feed_desc",
        "displayname",
        "remarks",
    ];
    match value {
        Value::Array(items) => items.iter().find_map(phrase),
        Value::Object(fields) => {
            let own = NAMES.iter().find_map(|name| match fields.get(*name)? {
                // An item's content is JSON in a string.
                Value::String(text) => match serde_json::from_str::<Value>(text) {
                    Ok(inner) if inner.is_object() => phrase(&inner),
                    _ => letters(text),
                },
                other => phrase(other),
            });
            own.or_else(|| {
                fields.values().find_map(|field| match field {
                    Value::Array(_) | Value::Object(_) => phrase(field),
                    _ => None,
                })
            })
        }
        _ => None,
    }
}

fn letters(text: &str) -> Option<String> {
    let runs = text.split(|c: char| !c.is_alphanumeric());
    let longest = runs.max_by_key(|run| run.chars().count())?;
    let cut: String = longest.chars().take(24).collect();
    (!cut.is_empty()).then_some(cut)
}

#[test]
fn samples_of_other_projects_are_imported_and_found() {
    let Some(folder) = real_data("msg_samples") else {
        return;
    };
    let (mut lines, mut expected) = (String::new(), Vec::new());
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("envelope") {
            continue;
        }
        let mut message: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        // Several are versions of one message.
        message["msgid"] = Value::from(name.clone());
        lines += &format!("{message}\n");
        expected.push((name, phrase(&message)));
    }
    let n = expected.len();
    assert!(n >= 40, "{n} samples");
    let run = Installation::new();
    let file = run.write("samples.ndjson", &lines);
    let summary = run
        .run(&["import", "messages", file.to_str().unwrap()])
        .ok()
        .rows()
        .remove(0);
    assert_eq!(summary["archived"], n);
    let server = run.serve("serve");
    let client = server.client(&run.token("all"));
    let mut n_found = 0;
    for (name, phrase) in &expected {
        let kind = name.rsplit_once('_').unwrap().0;
        let path = match phrase {
            Some(phrase) => format!(
                "/v1/search?limit=1000&q={}",
                encoded(&format!("\"{phrase}\""))
            ),
            // Without words it is found by its type.
            None => format!("/v1/search?limit=1000&type={kind}"),
        };
        let hits = client.get(&path).items();
        let hit = hits.iter().find(|hit| hit["msgid"] == name.as_str());
        let hit = hit.unwrap_or_else(|| panic!("`{name}` is not found by {phrase:?}"));
        assert_eq!(hit["type"], kind, "{name}");
        n_found += u32::from(phrase.is_some());
    }
    println!("samples of other projects: {n} imported, {n_found} found by their words");
}

fn recall(seq: u64, of: &str) -> String {
    serde_json::json!({
        "seq": seq,
        "publickey_ver": 1,
        "message": {
            "msgid": format!("{seq}_recall_external"),
            "action": "recall",
            "from": "zhang",
            "tolist": ["wm1"],
            "roomid": "",
            "msgtime": 1_726_000_000_000_i64 + seq as i64,
            "msgtype": "revoke",
            "revoke": {"pre_msgid": of},
        },
    })
    .to_string()
        + "\n"
}

#[test]
fn a_recalled_message_stays_and_is_found_whichever_comes_first() {
    let run = Installation::new();
    let said = |seq: u64| text_line(seq, "zhang", "wm1", 1_726_000_000_000, "说错了的话");
    let id = |seq: u64| format!("{seq}_1726000000000_external");
    // The recall of 3 comes before it.
    let lines = [
        said(1),
        recall(2, &id(3)),
        said(3),
        recall(4, &id(1)),
        recall(5, "nobody"),
    ];
    run.tape_of(&lines.concat());
    let archive = Archive::of(&run);
    archive.drain().ok();
    archive.whole(5);
    let sql = "SELECT msgid, revokes_msgid FROM messages WHERE action = 'recall' ORDER BY seq";
    let recalls: Vec<Value> = archive.run(&["sql", sql]).ok().rows();
    let revoked: Vec<&str> = recalls
        .iter()
        .map(|row| row["revokes_msgid"].as_str().unwrap())
        .collect();
    assert_eq!(revoked, [id(3), id(1), "nobody".to_owned()]);
    let found = archive.run(&["search", "说错了的话"]).ok().rows();
    let mut found: Vec<&str> = found
        .iter()
        .map(|row| row["msgid"].as_str().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, [id(1), id(3)]);
}

#[test]
fn a_type_of_the_future_is_kept_and_found_by_any_word_in_it() {
    let run = Installation::new();
    let message = serde_json::json!({
        "msgid": "1_1726000000000_external", "action": "send", "from": "zhang", "tolist": ["wm1"],
        "roomid": "", "msgtime": 1_726_000_000_000_i64, "msgtype": "hologram",
        "hologram": {"layers": [{"caption": "蓝色的鲸", "scene_id": "reef-77", "parts": {"x": {"y": "深处"}}}]},
        "footnote": "落款",
    });
    run.tape_of(&format!("{message}\n"));
    let archive = Archive::of(&run);
    archive.drain().ok();
    archive.whole(1);
    for word in ["蓝色的鲸", "reef-77", "深处", "落款"] {
        let quoted = format!("\"{word}\"");
        let found = archive.run(&["search", &quoted]).ok().rows();
        assert_eq!(found.len(), 1, "{word}");
        assert_eq!(found[0]["type"], "unknown");
    }
    let payload = archive
        .run(&["sql", "SELECT payload FROM messages"])
        .ok()
        .rows();
    assert_eq!(payload[0]["payload"], message.to_string());
}
