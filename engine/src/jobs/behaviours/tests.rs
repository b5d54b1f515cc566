//! Section 8 at its edges: whose rules hold for which message, and who is covered.

use huicun_semantics::time::Zone;

use super::*;
use crate::directory::testing::directory_of;
use crate::rules::Rules;

fn version(number: i64, applied_ms: i64, text: &str) -> RuleVersion {
    RuleVersion {
        version: number,
        applied_ms,
        applied_by: None,
        rules: Rules::of_file(text).unwrap(),
    }
}

const WORDS: &str = "[[sensitive.rule]]\nname = \"飞单\"\nwords = \"加我微信，私下\"\nenabled = true\n\
    [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n";

fn message<'a>(msgid: &'a str, from: &'a str, to: &'a [&'a str], text: &'a str) -> Watched<'a> {
    Watched {
        msgid,
        action: "send",
        msgtype: "text",
        at_ms: 1_000,
        pulled_ms: 100,
        from,
        to,
        room: "",
        text,
    }
}

fn found(behaviours: &Behaviours<'_>, message: &Watched<'_>) -> Vec<BehaviourRow> {
    let mut out = Vec::new();
    behaviours.of_message(message, &mut out);
    out
}

#[test]
fn several_rules_in_one_message_are_one_behaviour_with_places() {
    let directory = directory_of(&[]);
    let text =
        format!("{WORDS}[[sensitive.rule]]\nname = \"微信\"\nwords = \"微信\"\nenabled = true\n");
    let versions = [version(1, 0, &text)];
    let behaviours = Behaviours::new(&directory, &versions, &[], Zone::default());
    let rows = found(
        &behaviours,
        &message("m", "zhang", &["wm1"], "请加我微信，私下说"),
    );
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].rules, ["飞单", "微信"]);
    assert_eq!(rows[0].words, ["加我微信", "微信", "私下"]);
    let places: Vec<_> = rows[0].positions.iter().map(|p| (p.start, p.end)).collect();
    assert_eq!(places, [(1, 5), (3, 5), (6, 8)]);
    assert_eq!(
        (rows[0].conversation.as_str(), rows[0].side),
        ("wm1|zhang", Side::Employee)
    );
}

#[test]
fn a_rule_holds_for_what_enters_while_it_is_on_and_a_rescan_reaches_back() {
    let directory = directory_of(&[]);
    let versions = [
        version(1, 100, WORDS),
        version(2, 200, "[behaviour.card]\nenabled = true\n"),
    ];
    let hits = |pulled_ms: i64, rescans: &[Rescan]| {
        let behaviours = Behaviours::new(&directory, &versions, rescans, Zone::default());
        let pulled = Watched {
            pulled_ms,
            ..message("m", "zhang", &["wm1"], "私下")
        };
        found(&behaviours, &pulled).len()
    };
    assert_eq!([99, 100, 199, 200].map(|ms| hits(ms, &[])), [0, 1, 1, 0]);
    let day = |text: &str| text.parse().unwrap();
    let rescan = |asked_ms, from| Rescan {
        asked_ms,
        from: day(from),
        to: day("1970-01-02"),
        rules_version: 1,
    };
    assert_eq!(hits(99, &[rescan(150, "1970-01-01")]), 1);
    assert_eq!(hits(99, &[rescan(150, "1970-01-02")]), 0);
    // What entered after it was asked for is not its business.
    assert_eq!(hits(250, &[rescan(240, "1970-01-01")]), 0);
}

#[test]
fn a_customers_message_is_covered_by_the_employee_of_the_pair_or_the_responsible() {
    let directory = directory_of(&[
        ("groups", r#"{"chat_id":"g","name":"群","owner":"zhang"}"#),
        (
            "group_roles",
            r#"{"chat_id":"g","role":"responsible","from_time":"1970-01-01T00:00:00Z","userid":"li"}"#,
        ),
    ]);
    let text = WORDS.replace("audited", "employees = [\"li\"]\naudited");
    let versions = [version(1, 0, &text)];
    let behaviours = Behaviours::new(&directory, &versions, &[], Zone::default());
    let hits = |m: &Watched<'_>| found(&behaviours, m).len();
    assert_eq!(hits(&message("a", "wm1", &["li"], "私下")), 1);
    assert_eq!(hits(&message("b", "wm1", &["zhang"], "私下")), 0);
    assert_eq!(hits(&message("c", "li", &["zhang"], "私下")), 1);
    let in_room = |from| Watched {
        room: "g",
        ..message("d", from, &["zhang", "li"], "私下")
    };
    assert_eq!(hits(&in_room("wm1")), 1);
    assert_eq!(hits(&in_room("zhang")), 0);
    let recalled = Watched {
        action: "recall",
        ..message("e", "li", &["wm1"], "私下")
    };
    assert_eq!(hits(&recalled), 0);
}

#[test]
fn a_red_packet_with_a_word_is_two_behaviours_and_a_side_that_is_not_audited_is_none() {
    let directory = directory_of(&[]);
    let text = format!("{WORDS}[behaviour.red_packet]\nenabled = true\naudited = [\"customer\"]\n");
    let versions = [version(1, 0, &text)];
    let behaviours = Behaviours::new(&directory, &versions, &[], Zone::default());
    let packet = |from, to| Watched {
        msgtype: "external_redpacket",
        ..message("m", from, to, "私下给你")
    };
    let kinds = |rows: Vec<BehaviourRow>| {
        rows.into_iter()
            .map(|r| r.kind.as_str())
            .collect::<Vec<_>>()
    };
    let of_customer = kinds(found(&behaviours, &packet("wm1", &["zhang"])));
    assert_eq!(of_customer, ["red_packet", "sensitive_word"]);
    assert_eq!(
        kinds(found(&behaviours, &packet("zhang", &["wm1"]))),
        ["sensitive_word"]
    );
    assert!(found(&behaviours, &packet("wb1", &["zhang"])).is_empty());
}

#[test]
fn a_deleted_friend_counts_from_when_its_loss_was_seen() {
    let directory = directory_of(&[(
        "relations",
        "{\"userid\":\"a\",\"external_userid\":\"wm1\",\"add_time\":1000000000,\"lost_time\":1000000100,\"lost_by\":\"customer\"}\n\
         {\"userid\":\"b\",\"external_userid\":\"wm1\",\"add_time\":1000000000,\"lost_time\":1000000100,\"lost_by\":\"employee\"}\n\
         {\"userid\":\"c\",\"external_userid\":\"wm1\",\"add_time\":1000000000,\"lost_time\":1000000100,\"lost_by\":\"employee_left\"}",
    )]);
    let text = "[behaviour.friend_deleted]\nenabled = true\naudited = [\"customer\"]\n";
    let versions = [version(1, 500, text)];
    let behaviours = Behaviours::new(&directory, &versions, &[], Zone::default());
    let seen = |entered_ms| -> Vec<LostRelation> {
        losses_of(&directory)
            .into_iter()
            .map(|(userid, external_userid, added_ms)| LostRelation {
                userid,
                external_userid,
                added_ms,
                entered_ms,
            })
            .collect()
    };
    assert_eq!(seen(0).len(), 2);
    let rows = |entered_ms| {
        let mut out = Vec::new();
        behaviours.of_relations(&seen(entered_ms), &mut out);
        out
    };
    assert!(rows(499).is_empty());
    let rows = rows(500);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].trigger.as_str(), rows[0].msgid.as_deref()),
        ("wm1", None)
    );
    assert_eq!(
        (rows[0].conversation.as_str(), rows[0].at_ms),
        ("a|wm1", 1_000_000_100_000)
    );
}
