//! Every type and every quirk of the fact sheet (0, 5.2, 5.3), with messages made up
//! here, and promises that hold for any bytes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    MESSAGE_BYTES_MAX, Media, Normalised, Unreadable, content_hash, normalise, split_line,
};

/// A message of that type with the fields that all share, and some of its own.
fn message(msgtype: &str, own: Value) -> Value {
    let mut message = json!({
        "msgid": "1001_1700000000000_external",
        "action": "send",
        "from": "zhangsan",
        "tolist": ["wmSYN0000000000000000000000000001"],
        "roomid": "",
        "msgtime": 1_700_000_000_000_i64,
        "msgtype": msgtype,
    });
    for (key, value) in own.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn read(message: &Value) -> Normalised {
    normalise(message.to_string().as_bytes()).unwrap()
}

fn read_str(message: &str) -> Normalised {
    normalise(message.as_bytes()).unwrap()
}

fn text_of(msgtype: &str, own: Value) -> String {
    let normalised = read(&message(msgtype, own));
    assert_eq!(normalised.msgtype, msgtype);
    assert!(normalised.is_known_type);
    normalised.text
}

fn nested(value: Value) -> String {
    value.to_string()
}

// ---- the common fields

#[test]
fn a_text_message_becomes_columns() {
    let source = message("text", json!({"text": {"content": "您好\n\"再见\""}}));
    let normalised = read(&source);
    assert_eq!(normalised.msgid, "1001_1700000000000_external");
    assert_eq!(normalised.action, "send");
    assert_eq!(normalised.msgtime_ms, 1_700_000_000_000);
    assert_eq!(normalised.from_id, "zhangsan");
    assert_eq!(normalised.to_ids, ["wmSYN0000000000000000000000000001"]);
    assert_eq!(normalised.room_id, "");
    assert_eq!(normalised.text, "您好\n\"再见\"");
    assert_eq!(normalised.payload, source.to_string());
    assert_eq!(normalised.media, None);
    assert_eq!(normalised.call_ms, None);
    assert_eq!(normalised.revokes_msgid, None);
}

#[test]
fn missing_fields_are_empty() {
    let normalised = read(&json!({"msgid": "1", "msgtime": 0, "msgtype": "text"}));
    assert_eq!(normalised.action, "send");
    assert_eq!(normalised.from_id, "");
    assert!(normalised.to_ids.is_empty());
    assert_eq!(normalised.room_id, "");
    assert_eq!(normalised.text, "");
    let nulls = json!({"msgid": "1", "msgtime": 0, "msgtype": "text", "from": null, "tolist": null, "roomid": null, "text": null});
    assert_eq!(read(&nulls).from_id, "");
}

#[test]
fn a_group_message_keeps_its_room_and_receivers() {
    let own = json!({"roomid": "wrSYN01", "tolist": ["lisi", "", "wmSYN2", 42], "text": {"content": "大家好"}});
    let normalised = read(&message("text", own));
    assert_eq!(normalised.room_id, "wrSYN01");
    assert_eq!(normalised.to_ids, ["lisi", "wmSYN2", "42"]);
}

#[test]
fn one_receiver_may_stand_without_a_list() {
    let normalised = read(&message("text", json!({"tolist": "lisi"})));
    assert_eq!(normalised.to_ids, ["lisi"]);
}

#[test]
fn times_come_in_seconds_milliseconds_numbers_and_strings() {
    for (time, expected) in [
        (json!(1_700_000_000_123_i64), 1_700_000_000_123),
        (json!("1700000000123"), 1_700_000_000_123),
        (json!(1_700_000_000), 1_700_000_000_000),
        (json!(" 1700000000 "), 1_700_000_000_000),
        (json!(1_700_000_000.5), 1_700_000_000_500),
        (json!(1_700_000_000_000.0), 1_700_000_000_000),
        (json!(0), 0),
        (json!("0"), 0),
        (json!(9_223_372_036_854_i64), 9_223_372_036_854),
    ] {
        let normalised = read(&message("text", json!({"msgtime": time})));
        assert_eq!(normalised.msgtime_ms, expected, "{time}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for time in [
        json!(-5),
        json!("gestern"),
        json!(""),
        json!(1_700_000_000_000_000_i64),
        json!(9_223_372_036_855_i64),
        json!(999_999_999_999_i64),
        json!(1e300),
        json!([]),
        json!(true),
    ] {
        let source = message("text", json!({"msgtime": time})).to_string();
        assert_eq!(
            normalise(source.as_bytes()),
            Err(Unreadable::BadTime),
            "{time}"
        );
    }
}

#[test]
fn a_written_out_time_beside_the_msgtime_does_no_harm() {
    let own = json!({"time": "2023-11-14 22:13:20:000", "info": {"content": "会议 已结束"}});
    let normalised = read(&message("meeting_notification", own));
    assert_eq!(normalised.msgtime_ms, 1_700_000_000_000);
}

#[test]
fn a_switch_of_company_has_its_own_fields() {
    let normalised = read(
        &json!({"msgid": "1030", "action": "switch", "time": 1_700_000_000_000_i64, "user": "zhangsan"}),
    );
    assert_eq!(normalised.msgtype, "switch");
    assert_eq!(normalised.action, "switch");
    assert!(normalised.is_known_type);
    assert_eq!(normalised.from_id, "zhangsan");
    assert_eq!(normalised.msgtime_ms, 1_700_000_000_000);
    assert_eq!(normalised.text, "");
}

#[test]
fn a_revocation_names_what_it_revokes() {
    let own = json!({"action": "recall", "revoke": {"pre_msgid": "1000_1"}});
    let normalised = read(&message("revoke", own));
    assert_eq!(normalised.action, "recall");
    assert_eq!(normalised.revokes_msgid.as_deref(), Some("1000_1"));
    assert_eq!(normalised.text, "");
    let nameless =
        json!({"msgid": "2", "action": "recall", "msgtime": 5, "revoke": {"pre_msgid": "1"}});
    assert_eq!(read(&nameless).msgtype, "revoke");
    assert_eq!(read(&nameless).revokes_msgid.as_deref(), Some("1"));
    let empty = message(
        "revoke",
        json!({"action": "recall", "revoke": {"pre_msgid": ""}}),
    );
    assert_eq!(read(&empty).revokes_msgid, None);
}

// ---- text by type

#[test]
fn types_without_words_have_no_text() {
    let file = json!({"sdkfileid": "Q2c9PQ==", "md5sum": "0001", "filesize": 1, "play_length": 1, "type": 2});
    for own in [
        (
            "agree",
            json!({"agree": {"userid": "wmSYN1", "agree_time": 1}}),
        ),
        (
            "disagree",
            json!({"disagree": {"userid": "wmSYN1", "disagree_time": 1}}),
        ),
        (
            "disagree",
            json!({"agree": {"userid": "wmSYN1", "agree_time": 1}}),
        ),
        ("image", json!({"image": file})),
        ("voice", json!({"voice": file})),
        ("video", json!({"video": file})),
        ("emotion", json!({"emotion": file})),
        (
            "voiptext",
            json!({"info": {"callduration": 9, "invitetype": 2}}),
        ),
    ] {
        assert_eq!(text_of(own.0, own.1), "", "{}", own.0);
    }
}

#[test]
fn each_type_says_its_fields_in_order() {
    let cases = [
        ("text", json!({"text": {"content": "a"}}), "a"),
        ("markdown", json!({"info": {"content": "**a**"}}), "**a**"),
        (
            "link",
            json!({"link": {"image_url": "u", "description": "b", "link_url": "u", "title": "a"}}),
            "a\nb",
        ),
        (
            "news",
            json!({"info": {"item": [{"title": "a", "description": "b", "url": "u", "picurl": "p"}, {"title": "c", "description": ""}]}}),
            "a\nb\nc",
        ),
        (
            "news",
            json!({"info": {"title": "a", "description": "b", "url": "u"}}),
            "a\nb",
        ),
        (
            "file",
            json!({"file": {"filename": "报价.docx", "fileext": "docx"}}),
            "报价.docx",
        ),
        (
            "voip_doc_share",
            json!({"voipid": "v", "voip_doc_share": {"filename": "a.pdf"}}),
            "a.pdf",
        ),
        (
            "qydiskfile",
            json!({"info": {"filename": "log.txt"}}),
            "log.txt",
        ),
        (
            "meeting_voice_call",
            json!({"voiceid": "v", "meeting_voice_call": {"demofiledata": [{"filename": "a.docx", "demooperator": "zhangsan"}, {"filename": "b.docx"}], "sharescreendata": [{"share": "zhangsan"}]}}),
            "a.docx\nb.docx",
        ),
        (
            "location",
            json!({"location": {"address": "示例路1号", "title": "示例大厦", "zoom": 15}}),
            "示例大厦\n示例路1号",
        ),
        (
            "weapp",
            json!({"weapp": {"title": "a", "description": "c", "username": "x@app", "displayname": "b"}}),
            "a\nb\nc",
        ),
        (
            "card",
            json!({"card": {"corpname": "微信联系人", "userid": "wmSYN2"}}),
            "微信联系人",
        ),
        (
            "vote",
            json!({"vote": {"votetitle": "午餐", "voteitem": ["米饭", "", "面条"], "votetype": 101, "voteid": "V1"}}),
            "午餐\n米饭\n面条",
        ),
        (
            "collect",
            json!({"collect": {"room_name": "群", "creator": "张三", "title": "登记", "details": [{"id": 1, "ques": "姓名", "type": "Text"}, {"id": 11_101_571_002_822_706_744_u64, "ques": "日期", "type": "Date"}]}}),
            "登记\n姓名\n日期",
        ),
        (
            "redpacket",
            json!({"redpacket": {"type": 1, "wish": "恭喜发财", "totalamount": 100}}),
            "恭喜发财",
        ),
        (
            "external_redpacket",
            json!({"redpacket": {"wish": "恭喜发财"}}),
            "恭喜发财",
        ),
        (
            "external_redpacket",
            json!({"external_redpacket": {"wish": "恭喜发财"}}),
            "恭喜发财",
        ),
        (
            "todo",
            json!({"todo": {"content": "周五前提交", "title": "来自群聊"}}),
            "来自群聊\n周五前提交",
        ),
        (
            "meeting",
            json!({"meeting": {"topic": "晨会", "address": "三楼", "remarks": "带电脑", "meetingid": 1}}),
            "晨会\n三楼\n带电脑",
        ),
        (
            "meeting_notification",
            json!({"info": {"content": "示例会议 已结束", "meeting_id": 6_000_000_000_000_000_001_u64}}),
            "示例会议 已结束",
        ),
        (
            "calendar",
            json!({"calendar": {"title": "复盘", "creatorname": "张三", "attendeename": ["李四", "王五"], "place": "二楼", "remarks": "无"}}),
            "复盘\n张三\n李四\n王五\n二楼\n无",
        ),
        (
            "docmsg",
            json!({"doc": {"title": "方案", "link_url": "https://doc.example.com/x", "doc_creator": "zhangsan"}}),
            "方案",
        ),
        (
            "sphfeed",
            json!({"sphfeed": {"feed_type": 4, "sph_name": "示例号", "feed_desc": "描述"}}),
            "示例号\n描述",
        ),
        (
            "note",
            json!({"info": {"items": [{"type": "text", "content": "一"}, {"type": "image", "content": nested(json!({"sdkfileid": "F"}))}, {"type": "text", "content": nested(json!({"content": "二"}))}]}}),
            "一\n二",
        ),
        (
            "solitaire",
            json!({"solitaire": {"title": "接龙", "example": "例 张三", "items": ["张三 +1", {"content": "李四 +1", "userid": "u"}], "tail": "完", "creator": "zhangsan"}}),
            "接龙\n例 张三\n张三 +1\n李四 +1\n完",
        ),
    ];
    for (msgtype, own, expected) in cases {
        assert_eq!(text_of(msgtype, own), expected, "{msgtype}");
    }
}

#[test]
fn the_payload_is_looked_up_in_several_places() {
    let said = json!({"content": "a", "title": "a", "filename": "a"});
    for (msgtype, key) in [
        ("markdown", "markdown"),
        ("docmsg", "docmsg"),
        ("qydiskfile", "qydiskfile"),
        ("file", "info"),
        ("text", "info"),
    ] {
        assert_eq!(text_of(msgtype, json!({key: said})), "a", "{msgtype}");
    }
    let todo = json!({"title": "来自群聊", "content": "周五"});
    assert_eq!(text_of("todo", todo), "来自群聊\n周五");
    let vote = json!({"votetitle": "午餐", "voteitem": ["米饭"], "votetype": 101, "voteid": "V"});
    assert_eq!(text_of("vote", vote), "午餐\n米饭");
}

#[test]
fn field_names_match_in_any_case() {
    assert_eq!(text_of("card", json!({"card": {"CorpName": "甲"}})), "甲");
}

#[test]
fn a_number_in_place_of_a_string_is_text() {
    assert_eq!(text_of("text", json!({"text": {"content": 123}})), "123");
}

#[test]
fn nothing_is_trimmed() {
    assert_eq!(
        text_of("text", json!({"text": {"content": " a\r\n\n"}})),
        " a\r\n\n"
    );
}

// ---- forwarded records and mixed messages

fn item(item_type: &str, content: Value) -> Value {
    json!({"type": item_type, "msgtime": 1_700_000_000, "content": nested(content), "from_chatroom": false})
}

#[test]
fn a_forwarded_record_says_its_title_then_its_items() {
    let items = json!([
        item("ChatRecordText", json!({"content": "一"})),
        item("ChatRecordImage", json!({"sdkfileid": "F1", "md5sum": "01", "filesize": 7})),
        item("ChatRecordFile", json!({"filename": "二.pdf", "sdkfileid": "F2", "filesize": 8})),
        item("ChatRecordLink", json!({"title": "三", "description": "四", "link_url": "u"})),
        item("ChatRecordLocation", json!({"title": "五", "address": "六"})),
        item("ChatRecordVoice", json!({"sdkfileid": "F3", "voice_size": 9, "play_length": 3})),
        item("ChatRecordMeetingVoiceCall", json!({"sdkfileid": "F4", "endtime": 1_700_000_030, "demofiledata": [{"filename": "七"}]})),
        item("ChatRecordVoipDocShare", json!({"filename": "八"})),
        item("ChatRecordDocmsg", json!({"title": "九"})),
        item("ChatRecordMixed", json!({"item": [item("text", json!({"content": "十"}))]})),
        item("chatrecord", json!({"title": "内", "item": [item("ChatRecordText", json!({"content": "层"}))]})),
        item("ChatRecordNew", json!({"words": "新", "sdkfileid": "F5"})),
        {"type": "ChatRecordText", "content": "不是 JSON"},
        {"type": "ChatRecordText", "content": {"content": "对象"}},
        {"type": "text", "text": {"content": "旁边"}},
    ]);
    let own = json!({"chatrecord": {"item": items, "title": "群聊的聊天记录"}});
    let normalised = read(&message("chatrecord", own));
    assert_eq!(
        normalised.text,
        "群聊的聊天记录\n一\n二.pdf\n三\n四\n五\n六\n七\n八\n九\n十\n内\n层\nF5\n新\n不是 JSON\n对象\n旁边"
    );
    assert_eq!(normalised.media, None);
    let files: Vec<_> = normalised
        .nested_media
        .iter()
        .map(|media| (media.file_id.as_str(), media.size, media.seconds))
        .collect();
    assert_eq!(
        files,
        [
            ("F1", Some(7), None),
            ("F2", Some(8), None),
            ("F3", Some(9), Some(3)),
            ("F4", None, Some(30)),
        ]
    );
}

#[test]
fn a_mixed_message_says_its_items() {
    let own = json!({"mixed": {"item": [item("text", json!({"content": "看图\n"})), item("image", json!({"sdkfileid": "F"})), item("text", json!({"content": "完"}))]}});
    let normalised = read(&message("mixed", own));
    assert_eq!(normalised.text, "看图\n\n完");
    assert_eq!(normalised.nested_media.len(), 1);
}

#[test]
fn an_item_with_raw_control_characters_is_read() {
    let own =
        json!({"mixed": {"item": [{"type": "text", "content": "{\"content\":\"a\u{1}b\"}"}]}});
    assert_eq!(text_of("mixed", own), "ab");
}

#[test]
fn records_are_opened_as_deep_as_the_limit_and_then_stay_findable() {
    // As objects, because strings in strings would double their backslashes each time.
    let mut inner = json!({"content": "最深"});
    let mut item_type = "ChatRecordText";
    for depth in 0..64 {
        inner = json!({"title": format!("第{depth}层"), "item": [{"type": item_type, "content": inner}]});
        item_type = "chatrecord";
    }
    let text = text_of("chatrecord", json!({"chatrecord": inner}));
    assert!(text.starts_with("第63层\n第62层\n"));
    assert!(text.contains("最深"));
    let mut inner = nested(json!({"content": "最深"}));
    let mut item_type = "text";
    for _ in 0..8 {
        inner = nested(json!({"item": [{"type": item_type, "content": inner}]}));
        item_type = "ChatRecordMixed";
    }
    let own = json!({"mixed": {"item": [{"type": "mixed", "content": inner}]}});
    assert_eq!(text_of("mixed", own), "最深");
}

#[test]
fn a_type_of_unverified_shape_says_at_least_all_its_strings() {
    let own = json!({"note": {"paragraphs": [{"words": "一"}, {"words": "二", "fileid": "F"}]}});
    assert_eq!(text_of("note", own), "一\n二");
    assert_eq!(text_of("solitaire", json!({"subject": "接龙"})), "接龙");
    assert_eq!(text_of("note", json!({})), "");
    // What we know comes first and in order; the rest is not lost.
    let own = json!({"info": {"items": [{"type": "text", "content": "一"}], "title": "题", "footer": "尾"}});
    assert_eq!(text_of("note", own), "题\n一\n尾");
    let own = json!({"solitaire": {"items": ["张三 +1"], "title": "接龙", "rule": "每人一份", "creator": "zhangsan", "groupid": "G"}});
    assert_eq!(text_of("solitaire", own), "接龙\n张三 +1\n每人一份");
}

#[test]
fn numbers_and_strings_stand_for_one_another() {
    for meeting_id in [
        json!(6_000_000_000_000_000_001_u64),
        json!("6000000000000000001"),
    ] {
        let own = json!({"info": {"content": "会议 已结束", "meeting_id": meeting_id, "notification_type": "2"}});
        assert_eq!(text_of("meeting_notification", own), "会议 已结束");
        let own = json!({"meeting": {"topic": "晨会", "meetingid": meeting_id, "status": "1", "starttime": "1700000400"}});
        assert_eq!(text_of("meeting", own), "晨会");
        let own =
            json!({"collect": {"title": "登记", "details": [{"id": meeting_id, "ques": "姓名"}]}});
        assert_eq!(text_of("collect", own), "登记\n姓名");
    }
    for feed_type in [json!(4), json!("4")] {
        let own = json!({"sphfeed": {"feed_type": feed_type, "sph_name": "号", "feed_desc": "述"}});
        assert_eq!(text_of("sphfeed", own), "号\n述");
    }
    let own = json!({"info": {"callduration": "9", "invitetype": "2"}});
    assert_eq!(read(&message("voiptext", own)).call_ms, Some(9000));
}

#[test]
fn a_switch_is_read_in_seconds_and_as_a_string_too() {
    for time in [json!(1_700_000_000), json!("1700000000000")] {
        let switch = json!({"msgid": "1031", "action": "switch", "time": time, "user": "lisi"});
        let normalised = read(&switch);
        assert_eq!(normalised.msgtime_ms, 1_700_000_000_000);
        assert_eq!(
            (normalised.msgtype.as_str(), normalised.from_id.as_str()),
            ("switch", "lisi")
        );
    }
}

#[test]
fn a_call_within_a_record_begins_in_seconds_or_milliseconds() {
    for msgtime in [
        json!(1_700_000_000),
        json!(1_700_000_000_000_i64),
        json!("1700000000"),
    ] {
        let content = json!({"sdkfileid": "F", "endtime": 1_700_000_055});
        let record = json!({"item": [{"type": "ChatRecordMeetingVoiceCall", "msgtime": msgtime, "content": nested(content)}]});
        let normalised = read(&message("chatrecord", json!({"chatrecord": record})));
        assert_eq!(normalised.nested_media[0].seconds, Some(55), "{msgtime}");
    }
}

#[test]
fn both_nestings_of_both_red_packets_and_of_a_refused_consent_are_read() {
    let packet = json!({"type": 1, "wish": "恭喜", "totalcnt": 2, "totalamount": 20});
    for key in ["redpacket", "external_redpacket", "info"] {
        assert_eq!(text_of("external_redpacket", json!({key: packet})), "恭喜");
    }
    for key in ["disagree", "agree"] {
        let own = json!({key: {"userid": "wmSYN1", "disagree_time": 1_700_000_000_000_i64}});
        let normalised = read(&message("disagree", own));
        assert!(normalised.is_known_type);
        assert_eq!(normalised.text, "");
    }
}

#[test]
fn every_form_of_msgid_is_kept_as_it_is() {
    for msgid in [
        "CAQQ2fbb4QUY0On2rYSAgAMgip/yzgs=",
        "11788441727514772650_1603875624",
        "5848340567190_1655088332000_external",
        "3702551037_1700000000123_updown_stream",
        "2641513858500683770",
    ] {
        assert_eq!(read(&message("text", json!({"msgid": msgid}))).msgid, msgid);
    }
    let number = r#"{"msgid":18446744073709551615,"msgtime":1,"msgtype":"text"}"#;
    assert_eq!(read_str(number).msgid, "18446744073709551615");
}

#[test]
fn brackets_without_end_are_no_danger() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    for msgtype in ["text", "chatrecord", "vote", "frisbee"] {
        let source = format!(
            r#"{{"msgid":"1","msgtime":1,"msgtype":"{msgtype}","{msgtype}":{{"item":{deep},"voteitem":{deep},"a":{deep}}},"info":{deep}}}"#
        );
        assert_eq!(read_str(&source).payload.len(), source.len());
        content_hash(source.as_bytes());
        split_line(source.as_bytes()).unwrap();
    }
    let objects = r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000);
    let source = format!(r#"{{"msgid":"1","msgtime":1,"msgtype":"x","x":{objects}}}"#);
    read_str(&source);
    content_hash(source.as_bytes());
}

// ---- unknown types

#[test]
fn an_unknown_type_keeps_its_name_and_every_string() {
    let own = json!({"frisbee": {
        "title": "甲", "sdkfileid": "F", "md5sum": "0", "userid": "u1", "link_url": "u2", "type": "t",
        "rows": [{"名": "乙", "id": "i1"}, "丙"], "ids": ["i2"], "n": 5, "ok": true, "none": null,
    }, "other": "丁", "user": {"name": "戊"}, "time": "己"});
    let normalised = read(&message("frisbee", own));
    assert_eq!(normalised.msgtype, "frisbee");
    assert!(!normalised.is_known_type);
    let mut lines: Vec<_> = normalised.text.lines().collect();
    lines.sort_unstable();
    let mut expected = [
        "甲", "F", "0", "u1", "u2", "t", "乙", "i1", "丙", "i2", "丁", "戊", "己",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn an_unknown_type_is_opened_where_it_nests_json_in_strings() {
    let inner = nested(json!({"words": "甲\"乙", "more": nested(json!(["丙"]))}));
    let own = json!({"frisbee": {"content": inner, "n": "{\"n\":5}", "smile": "[微笑]"}});
    let text = read(&message("frisbee", own)).text;
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let mut expected = ["甲\"乙", "丙", "{\"n\":5}", "[微笑]"];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn an_unknown_type_says_what_lies_at_any_depth() {
    let mut inner = json!({"words": "最深"});
    for depth in 0..64 {
        inner = json!({"layer": inner, "name": format!("第{depth}层")});
    }
    let text = read(&message("frisbee", json!({"frisbee": inner}))).text;
    for depth in 0..64 {
        assert!(text.contains(&format!("第{depth}层")), "{depth}");
    }
    assert!(text.contains("最深"));
}

#[test]
fn an_unknown_item_says_every_string() {
    let items = json!([
        {"type": "ChatRecordFrisbee", "content": {"colour_type": "红"}},
        {"type": "ChatRecordFrisbee", "msgtime": 1_700_000_000, "colour_url": "绿"},
        {"type": "frisbee", "content": nested(json!({"ids": ["蓝"]}))},
        {"content": "{\"words\": \"灰\"}"},
    ]);
    let own = json!({"chatrecord": {"title": "题", "item": items}});
    assert_eq!(text_of("chatrecord", own), "题\n红\n绿\n蓝\n灰");
}

#[test]
fn strings_of_an_unknown_type_come_in_the_documents_order() {
    let source = r#"{"msgid":"1","msgtime":1,"msgtype":"frisbee","info":{"z":"甲","a":["乙",{"y":"丙","b":"丁"}],"c":"戊"}}"#;
    assert_eq!(read_str(source).text, "甲\n乙\n丙\n丁\n戊");
}

#[test]
fn a_flat_unknown_type_says_what_is_not_common() {
    let source = r#"{"msgid":"1","msgtime":1,"from":"zhangsan","tolist":["lisi"],"msgtype":"frisbee","voipid":"v","words":"甲","more":{"words":"乙"}}"#;
    assert_eq!(read_str(source).text, "v\n甲\n乙");
    let source = r#"{"msgid":"1","msgtime":1,"msgtype":"frisbee","frisbee":"甲"}"#;
    assert_eq!(read_str(source).text, "甲");
}

#[test]
fn a_message_without_type_is_unknown() {
    let normalised = read_str(r#"{"msgid":"1","action":"send","msgtime":1,"words":"甲"}"#);
    assert_eq!(normalised.msgtype, "unknown");
    assert!(!normalised.is_known_type);
    assert_eq!(normalised.text, "甲");
}

// ---- media and calls

#[test]
fn media_fields_are_named_by_type() {
    let file = json!({"sdkfileid": "Q2c9PQ==", "md5sum": "0001", "filesize": 11, "voice_size": 12, "imagesize": 13, "play_length": 14, "filename": "a.bin"});
    for (msgtype, size, seconds) in [
        ("image", 11, None),
        ("voice", 12, Some(14)),
        ("video", 11, Some(14)),
        ("emotion", 13, None),
        ("file", 11, None),
        ("voip_doc_share", 11, None),
    ] {
        let expected = Media {
            kind: msgtype,
            file_id: "Q2c9PQ==".to_owned(),
            md5: Some("0001".to_owned()),
            size: Some(size),
            seconds,
            name: Some("a.bin".to_owned()),
        };
        let normalised = read(&message(msgtype, json!({msgtype: file})));
        assert_eq!(normalised.media, Some(expected), "{msgtype}");
    }
}

#[test]
fn media_numbers_may_be_strings_or_absurd() {
    let own = json!({"video": {"sdkfileid": "F", "filesize": "123", "play_length": 9.0}});
    let media = read(&message("video", own)).media.unwrap();
    assert_eq!((media.size, media.seconds), (Some(123), Some(9)));
    let own = json!({"video": {"sdkfileid": "F", "filesize": 11_101_571_002_822_706_744_u64, "play_length": -1}});
    let media = read(&message("video", own)).media.unwrap();
    assert_eq!((media.size, media.seconds, media.md5), (None, None, None));
}

#[test]
fn media_without_a_ticket_is_none() {
    assert_eq!(
        read(&message("image", json!({"image": {"filesize": 5}}))).media,
        None
    );
}

#[test]
fn a_call_lasts_what_it_says_or_until_its_end() {
    let voip = message(
        "voiptext",
        json!({"info": {"callduration": 9, "invitetype": 2}}),
    );
    assert_eq!(read(&voip).call_ms, Some(9000));
    let call = |msgtime: i64, endtime: Value| {
        let own = json!({"msgtime": msgtime, "meeting_voice_call": {"endtime": endtime, "sdkfileid": "F"}});
        read(&message("meeting_voice_call", own))
    };
    let normalised = call(1_700_000_000_900, json!(1_700_000_055));
    assert_eq!(normalised.call_ms, Some(54_100));
    assert_eq!(normalised.media.unwrap().seconds, Some(54));
    assert_eq!(call(1_700_000_000_000, json!(1_600_000_000)).call_ms, None);
    assert_eq!(call(0, json!(1_700_000_055)).call_ms, None);
    assert_eq!(call(1_700_000_000_000, json!("x")).call_ms, None);
}

// ---- tolerant reading

#[test]
fn raw_control_bytes_are_dropped_only_when_they_must_be() {
    let source = "{\"msgid\":\"1\",\"msgtime\":1,\"msgtype\":\"text\",\n\t\"text\":{\"content\":\"a\u{1}\nb\"}}\0";
    let normalised = read_str(source);
    assert_eq!(normalised.text, "ab");
    assert_eq!(normalised.payload, source);
    let source = "{\"msgid\":\"1\",\n\"msgtime\":1,\"msgtype\":\"text\",\"text\":{\"content\":\"a\\u0001\\nb\"}}\r\n";
    assert_eq!(read_str(source).text, "a\u{1}\nb");
}

#[test]
fn device_control_escapes_are_text_where_they_are_allowed() {
    let source =
        r#"{"msgid":"1","msgtime":1,"msgtype":"text","text":{"content":"a\u0011b\\u0012"}}"#;
    assert_eq!(read_str(source).text, "a\u{11}b\\u0012");
}

#[test]
fn device_control_escapes_in_broken_places_are_dropped() {
    let source = "{\"msgid\":\"1\",\\u0014\"msgtime\":1,\"msgtype\":\"text\",\u{2}\"text\":{\"content\":\"a\\u0011b\\\\u0012\"}}";
    let normalised = read_str(source);
    assert_eq!(normalised.text, "ab\\u0012");
    assert_eq!(normalised.payload, source);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(
        read_str("\u{feff}{\"msgid\":\"1\",\"msgtime\":1}").msgid,
        "1"
    );
}

#[test]
fn of_doubled_keys_the_last_counts() {
    let source = r#"{"msgid":"0","msgid":"1","msgtime":1,"msgtype":"text","text":{"content":"a"},"text":{"content":"b","content":"c"}}"#;
    let normalised = read_str(source);
    assert_eq!(
        (normalised.msgid.as_str(), normalised.text.as_str()),
        ("1", "c")
    );
}

#[test]
fn half_a_surrogate_pair_costs_one_character() {
    let source = r#"{"msgid":"1","msgtime":1,"msgtype":"text","\ud800":1,"text":{"content":"\ud83d\ude00|\ud83d|\ude00|\ud83d\ud83d\ude00|\ud83d\n"}}"#;
    assert_eq!(
        read_str(source).text,
        "😀|\u{fffd}|\u{fffd}|\u{fffd}😀|\u{fffd}\n"
    );
}

#[test]
fn numbers_of_any_size_do_no_harm() {
    let digits = "9".repeat(1000);
    let source = format!(
        r#"{{"msgid":{digits},"msgtime":1,"msgtype":"text","x":1e999999,"y":-{digits}.5E-{digits},"text":{{"content":"a"}}}}"#
    );
    let normalised = read_str(&source);
    assert_eq!(normalised.msgid, digits);
    assert_eq!(normalised.text, "a");
    content_hash(source.as_bytes());
}

#[test]
fn keys_may_be_escaped() {
    let source =
        r#"{"ms\u0067id":"1","msgtime":1,"msgtype":"text","text":{"\u0063ontent":"a\/b"}}"#;
    assert_eq!(read_str(source).text, "a/b");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let cases: [(&[u8], &str); 11] = [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"{\"msgid\":\"1\",}", "not_json"),
        (b"{\"msgid\":\"1\",\"msgtime\":1} x", "not_json"),
        (b"\xff\xfe", "not_utf8"),
        (b"[]", "not_an_object"),
        (b"\"text\"", "not_an_object"),
        (b"{}", "no_msgid"),
        (b"{\"msgid\":\"\",\"msgtime\":1}", "no_msgid"),
        (b"{\"msgid\":\"1\"}", "no_time"),
        (b"{\"msgid\":\"1\",\"msgtime\":\"x\"}", "bad_time"),
    ];
    for (source, reason) in cases {
        let refused = normalise(source).unwrap_err();
        assert_eq!(
            refused.reason(),
            reason,
            "{}",
            String::from_utf8_lossy(source)
        );
    }
    let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
    assert_eq!(normalise(&long).unwrap_err().reason(), "too_large");
}

#[test]
fn a_refusal_tells_where_and_never_what() {
    let refused = normalise(br#"{"msgid":"1","text":{"content":"secret" oops}}"#).unwrap_err();
    assert_eq!(
        refused,
        Unreadable::NotJson {
            line: 1,
            column: 41
        }
    );
    assert_eq!(
        refused.to_string(),
        "message is not JSON at line 1 column 41"
    );
    let shown = format!(
        "{:?}",
        read(&message("text", json!({"text": {"content": "secret"}})))
    );
    assert!(!shown.contains("secret"));
}

// ---- lines

#[test]
fn a_bare_message_is_a_line() {
    let source = message("text", json!({"text": {"content": "a"}})).to_string();
    let line = format!("\u{feff}  {source}\r\n");
    let line = split_line(line.as_bytes()).unwrap();
    assert_eq!((line.seq, line.publickey_ver), (None, None));
    assert_eq!(line.message, source.as_bytes());
}

#[test]
fn an_envelope_gives_its_message_untouched() {
    let source = "{ \"msgid\" : \"1\", \"msgtime\":1,\t\"text\":{\"content\":\"a\u{1}}\\\"{\"} }";
    for (envelope, seq, publickey_ver) in [
        (
            format!(r#"{{"seq":123,"publickey_ver":1,"message":{source}}}"#),
            Some(123),
            Some(1),
        ),
        (
            format!(r#" {{ "message" : {source} , "seq" : "123", "publickey_ver": " 2 " }} "#),
            Some(123),
            Some(2),
        ),
        (
            format!(r#"{{"message":{source},"seq":null,"publickey_ver":"","more":[{{}}]}}"#),
            None,
            None,
        ),
        (
            format!(r#"{{"msgid":"1","seq":18446744073709551615,"message":{source}}}"#),
            Some(u64::MAX),
            None,
        ),
    ] {
        let line = split_line(envelope.as_bytes()).unwrap();
        assert_eq!(line.seq, seq);
        assert_eq!(line.publickey_ver, publickey_ver);
        assert_eq!(line.message, source.as_bytes());
    }
}

#[test]
fn an_envelope_may_hold_its_message_as_a_string() {
    let source = message("text", json!({"text": {"content": "a\"b"}})).to_string();
    let envelope = json!({"seq": 5, "message": source}).to_string();
    let line = split_line(envelope.as_bytes()).unwrap();
    assert_eq!(line.seq, Some(5));
    assert_eq!(line.message, source.as_bytes());
}

#[test]
fn a_broken_message_in_an_envelope_keeps_its_seq() {
    let mut envelope = br#"{"seq":7,"message":{"msgid":"1","text":""#.to_vec();
    envelope.extend_from_slice(b"\xff\"}}");
    let line = split_line(&envelope).unwrap();
    assert_eq!(line.seq, Some(7));
    assert_eq!(normalise(&line.message).unwrap_err().reason(), "not_utf8");
    let line = split_line(br#"{"seq":8,"message":{"msgid":oops oops}}"#).unwrap();
    assert_eq!(line.seq, Some(8));
    assert_eq!(normalise(&line.message).unwrap_err().reason(), "not_json");
}

#[test]
fn a_message_with_a_field_named_message_is_no_envelope() {
    let source = message("message", json!({"message": {"words": "甲"}})).to_string();
    let line = split_line(source.as_bytes()).unwrap();
    assert_eq!(line.message, source.as_bytes());
    assert_eq!(normalise(&line.message).unwrap().text, "甲");
}

#[test]
fn an_envelope_with_a_bad_number_is_refused() {
    for envelope in [
        r#"{"seq":-1,"message":{}}"#,
        r#"{"seq":"x","message":{}}"#,
        r#"{"seq":1.5,"message":{}}"#,
    ] {
        let refused = split_line(envelope.as_bytes()).unwrap_err();
        assert_eq!(refused, Unreadable::BadEnvelope { field: "seq" });
    }
    let refused = split_line(br#"{"publickey_ver":4294967296,"message":{}}"#).unwrap_err();
    assert_eq!(
        refused,
        Unreadable::BadEnvelope {
            field: "publickey_ver"
        }
    );
}

#[test]
fn what_is_no_envelope_is_handed_on_for_the_reader_to_refuse() {
    for line in [
        "",
        "hello",
        r#"{"seq":1,"message":{}"#,
        r#"{"seq":1,"message":{}} {}"#,
        r#"{"seq":1,"message":3}"#,
    ] {
        let split = split_line(line.as_bytes()).unwrap();
        assert_eq!(split.seq, None);
        assert!(normalise(&split.message).is_err());
    }
}

// ---- fingerprints

#[test]
fn spelling_does_not_change_the_fingerprint() {
    let one = r#"{"msgid":"1","msgtime":1700000000000,"text":{"content":"你好/","x":[1,2.50,true,null]},"zero":0}"#;
    let same = [
        r#" { "zero" : -0.0, "text":{"x":[1.0,25e-1,true,null],"content":"\u4f60\u597d\/"}, "msgtime":1.7e12, "msgid":"1" } "#,
        "{\"msgid\":\"1\u{1}\",\"msgtime\":17E+11,\"zero\":0e5,\"text\":{\"content\":\"你好/\",\"x\":[10e-1,2.5,true,null]}}",
    ];
    for other in same {
        assert_eq!(content_hash(one.as_bytes()), content_hash(other.as_bytes()));
    }
}

#[test]
fn another_content_has_another_fingerprint() {
    let sources: [&[u8]; 24] = [
        b"{}",
        b"[]",
        b"[[]]",
        b"[{}]",
        b"{\"a\":1}",
        b"{\"a\":\"1\"}",
        b"{\"a\":-1}",
        b"{\"a\":10}",
        b"{\"a\":0.1}",
        b"{\"a\":[1]}",
        b"{\"a\":[1,2]}",
        b"{\"a\":[12]}",
        b"{\"a\":[2,1]}",
        b"{\"a\":null}",
        b"{\"a\":true}",
        b"{\"a\":\"true\"}",
        b"{\"a\":1,\"b\":2}",
        b"{\"a\":2,\"b\":1}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\":2,\"a\":1}",
        b"{\"a\":12345678901234567890123}",
        b"{\"a\":12345678901234567890124}",
        b"\xff",
        b"no json",
    ];
    let hashes: std::collections::HashSet<_> =
        sources.iter().map(|bytes| content_hash(bytes)).collect();
    assert_eq!(hashes.len(), sources.len());
}

#[test]
fn the_fingerprint_is_the_same_in_every_version() {
    let hash =
        content_hash(r#"{"msgid":"1","msgtime":1700000000000,"text":{"content":"你"}}"#.as_bytes());
    let shown: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        shown,
        "c565c7a651cec36eaac77d3c5894777af1a4ca2a8a11ce50d02367c563e5f6aa"
    );
}

// ---- messages of other projects, where they are at hand

#[test]
fn samples_of_other_projects_are_read() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Ok(samples) = std::fs::read_dir(project.join("../shared/data/msg_samples")) else {
        eprintln!("skipped: no samples here");
        return;
    };
    for sample in samples {
        let path = sample.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("envelope_") {
            continue;
        }
        let source = std::fs::read(&path).unwrap();
        let normalised = normalise(&source).unwrap();
        assert!(normalised.is_known_type, "{name}");
        assert!(name.starts_with(&normalised.msgtype), "{name}");
        let is_wordless = [
            "agree", "disagree", "emotion", "image", "revoke", "switch", "video", "voice",
            "voiptext",
        ]
        .contains(&normalised.msgtype.as_str());
        assert_eq!(normalised.text.is_empty(), is_wordless, "{name}");
    }
}

// ---- any input

/// JSON values of any shape, with the keys that this module looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z_]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => proptest::sample::select(vec![
            "msgid", "msgtime", "msgtype", "from", "tolist", "roomid", "time", "user", "action", "content",
            "item", "type", "title", "text", "info", "voteitem", "details", "sdkfileid", "message", "seq",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner.clone()), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

fn any_msgtype() -> impl Strategy<Value = String> {
    let known = "agree calendar card chatrecord collect disagree docmsg emotion external_redpacket file image link \
        location markdown meeting meeting_notification meeting_voice_call mixed news note qydiskfile redpacket revoke \
        solitaire sphfeed switch text todo video voip_doc_share voiptext voice vote weapp frisbee";
    proptest::sample::select(
        known
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    )
}

/// Each character as it stands, or as the escapes JSON has for it.
fn spelled(text: &str, escapes: u64) -> String {
    let mut out = String::from("\"");
    for (at, c) in text.chars().enumerate() {
        if c < ' ' || c == '"' || c == '\\' || (escapes >> (at % 64)) & 1 == 1 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out + "\""
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = normalise(&bytes);
        let _ = split_line(&bytes);
        content_hash(&bytes);
    }

    #[test]
    fn no_near_json_makes_it_panic(text in r#"([{}\[\],:"\\]|\\u[0-9a-f]{1,4}|"[a-zé]{0,5}"|"msgid"|"message":|[0-9.e-]{1,4}|\PC){0,40}"#) {
        let _ = normalise(text.as_bytes());
        let _ = split_line(text.as_bytes());
        content_hash(text.as_bytes());
    }

    #[test]
    fn no_damage_makes_it_panic(source in any_json(), cut in any::<prop::sample::Index>(), put in any::<u8>()) {
        let mut bytes = json!({"msgid": "1", "msgtime": 1, "msgtype": "chatrecord", "chatrecord": source}).to_string().into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = put;
        let _ = normalise(&bytes);
        let _ = split_line(&bytes);
        content_hash(&bytes);
        bytes.truncate(at);
        let _ = normalise(&bytes);
        let _ = split_line(&bytes);
    }

    #[test]
    fn any_well_formed_payload_is_read(payload in any_json(), msgtype in any_msgtype(), key in any_msgtype()) {
        let source = json!({"msgid": "1", "msgtime": 1, "msgtype": msgtype, key: payload, "info": payload}).to_string();
        let normalised = normalise(source.as_bytes()).unwrap();
        prop_assert_eq!(&normalised.payload, &source);
        prop_assert!(normalised.text.len() <= source.len());
        prop_assert_eq!(content_hash(source.as_bytes()), content_hash(source.as_bytes()));
    }

    #[test]
    fn any_string_comes_back(content in any::<String>(), escapes in any::<u64>(), pretty in any::<bool>()) {
        let source = message("text", json!({"text": {"content": content}}));
        let source = if pretty { serde_json::to_string_pretty(&source).unwrap() } else { source.to_string() };
        prop_assert_eq!(&read_str(&source).text, &content);
        let own = format!(r#"{{"msgid":{0},"msgtime":1,"msgtype":"frisbee","frisbee":{{"a":{0}}}}}"#, spelled(&content, escapes));
        if content.is_empty() {
            prop_assert_eq!(normalise(own.as_bytes()), Err(Unreadable::NoMsgid));
        } else {
            let normalised = read_str(&own);
            prop_assert_eq!(&normalised.msgid, &content);
            prop_assert_eq!(&normalised.text, &content);
        }
        let own = json!({"mixed": {"item": [item("text", json!({"content": content}))]}});
        prop_assert_eq!(text_of("mixed", own), content);
    }

    #[test]
    fn an_envelope_and_its_message_are_told_apart(payload in any_json(), seq in any::<u64>(), publickey_ver in any::<u32>()) {
        let source = message("frisbee", json!({"frisbee": payload})).to_string();
        let envelope = format!(r#"{{"seq":{seq},"publickey_ver":{publickey_ver},"message":{source}}}"#);
        let line = split_line(envelope.as_bytes()).unwrap();
        prop_assert_eq!(line.seq, Some(seq));
        prop_assert_eq!(line.publickey_ver, Some(publickey_ver));
        prop_assert_eq!(line.message.as_ref(), source.as_bytes());
        let line = split_line(source.as_bytes()).unwrap();
        prop_assert_eq!(line.message.as_ref(), source.as_bytes());
    }

    #[test]
    fn the_fingerprint_does_not_depend_on_order_or_spelling(fields in proptest::collection::btree_map("[a-z]{1,4}", (any::<String>(), any::<i64>()), 1..6), escapes in any::<u64>()) {
        let spell = |fields: Vec<(&String, &(String, i64))>, escapes: u64| {
            let fields: Vec<_> = fields.into_iter().map(|(key, (text, number))| {
                format!("{}:[{},{number}]", spelled(key, escapes), spelled(text, escapes))
            }).collect();
            format!("{{{}}}", fields.join(" , "))
        };
        let one = spell(fields.iter().collect(), 0);
        let other = spell(fields.iter().rev().collect(), escapes);
        prop_assert_eq!(content_hash(one.as_bytes()), content_hash(other.as_bytes()));
    }
}
