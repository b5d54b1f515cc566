//! Rules files at the edges: defaults, sections, places of mistakes.

use huicun_semantics::conversation::Kind;

use super::*;

const WHOLE: &str = r#"
timezone = "Asia/Shanghai"
[dialogue]
single_gap_minutes = 30
group_gap_minutes = 30
[closing]
phrases = ["谢谢", "好的谢谢"]
match = "exact"
grace_seconds = 0
[reply]
from = "first"
clock = "working"
calendar = "office"
[[calendar]]
name = "office"
weekly = { mon = ["09:00-12:00", "13:30-18:00"], tue = ["09:00-18:00"] }
exceptions = [ { date = "2024-10-01", off = true }, { date = "2024-09-29", as = "mon" }, { date = "2024-12-31", hours = ["09:00-12:00"] } ]
[timeout]
from = "last"
no_answer_phrases = ["好的"]
no_answer_types = ["emotion"]
[[timeout.rule]]
name = "default"
enabled = true
kinds = ["single", "group"]
employees = []
departments = []
calendar = "office"
levels = [ { after_minutes = 10, notify = ["trigger"] }, { after_minutes = 30, notify = ["department_leader", "user:boss"] } ]
[revisit]
enabled = true
days = [2, 3, 5, 7]
numbering = "ordinal"
calendar_rule = "ignore"
evidence = ["chat", "followup"]
chat = "any"
[[sensitive.rule]]
name = "飞单"
words = "加我微信，私下转账"
class = "negative"
enabled = true
match = "exact"
[behaviour.red_packet]
enabled = true
audited = ["employee"]
employees = []
notify = ["group_owner", "department_leader"]
[group_activity]
window_days = 7
conditions = [ { measure = "messages", op = ">=", value = 1 } ]
activity_ratio = { op = ">=", value = 0.14 }
speech_ratio = { op = ">", value = 0.01 }
"#;

#[test]
fn the_contracts_file_is_taken_and_printed_back_the_same() {
    let rules = Rules::of_file(WHOLE).unwrap();
    let printed = rules.to_toml();
    assert_eq!(Rules::of_stored(&printed).unwrap(), rules, "{printed}");
    assert_eq!(Rules::of_file(&printed).unwrap().to_toml(), printed);
    let lines = r#"    { date = "2024-09-29", as = "mon" },"#;
    assert!(printed.contains(lines), "{printed}");
    assert_eq!(rules.timeout_rules()[0].after_minutes, [10, 30]);
    assert!(rules.timeout_rules()[0].is_for(Kind::GroupExternal));
    assert!(!rules.timeout_rules()[0].is_for(Kind::GroupInternal));
    let calendar = rules.reply_calendar().unwrap();
    let day = |text: &str| text.parse().unwrap();
    assert!(!calendar.is_working_day(day("2024-10-01")));
    assert_eq!(
        calendar.hours_of(day("2024-09-29")),
        [(540, 720), (810, 1080)]
    );
}

#[test]
fn what_no_version_before_knew_has_its_default() {
    let old = "timezone = \"UTC\"\n[dialogue]\nsingle_gap_minutes = 5\ngroup_gap_minutes = 30\n\
               [closing]\nphrases = []\nmatch = \"exact\"\ngrace_seconds = 0\n\
               [reply]\nfrom = \"first\"\nclock = \"wall\"\n";
    let rules = Rules::of_stored(old).unwrap();
    assert_eq!(rules.revisit.days, [2, 3, 5, 7]);
    assert!(rules.timeout_rules().is_empty() && !rules.behaviour.card.enabled);
    assert_eq!(Rules::of_stored("").unwrap(), Rules::default());
    let defaults = Rules::default();
    assert_eq!(Rules::of_file(&defaults.to_toml()).unwrap(), defaults);
}

#[test]
fn a_named_section_is_replaced_whole_and_each_behaviour_is_one() {
    let rules = Rules::of_file(WHOLE).unwrap();
    let changed = rules
        .replaced_by("[timeout]\nfrom = \"first\"\n[behaviour.card]\nenabled = true\n")
        .unwrap();
    assert!(changed.timeout.rule.is_empty());
    assert!(changed.behaviour.red_packet.enabled && changed.behaviour.card.enabled);
    assert_eq!(changed.calendar, rules.calendar);
    let sections: Vec<String> = rules
        .changes_to(&changed)
        .into_iter()
        .map(|change| change.section)
        .collect();
    assert_eq!(sections, ["timeout", "behaviour.card"]);
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let cases = [
        (
            "[dialogue]\nsingle_gap = 5",
            "line 2, column 1",
            "`single_gap`",
        ),
        (
            "timezone = \"Moon\"",
            "line 1, column 1",
            "`timezone`: unknown time zone `Moon`",
        ),
        (
            "[dialogue]\nsingle_gap_minutes = 0",
            "line 2, column 1",
            "every message",
        ),
        (
            "[reply]\nclock = \"working\"",
            "line 2, column 1",
            "needs a calendar",
        ),
        (
            "[reply]\ncalendar = \"x\"",
            "line 2, column 1",
            "no calendar `x`; there is none",
        ),
        (
            "[[calendar]]\nname = \"a\"\n[[calendar]]\nname = \"a\"",
            "line 4, column 1",
            "`calendar[2].name`: the calendar `a` is there twice",
        ),
        (
            "[[calendar]]\nname = \"a\"\nweekly = { mon = [\"09:00-12:00\", \"11:00-13:00\"] }",
            "line 3, column 34",
            "`11:00-13:00` overlaps `09:00-12:00`",
        ),
        (
            "[[calendar]]\nname = \"a\"\nweekly = { mon = [\"22:00-06:00\"] }",
            "line 3, column 19",
            "two ranges",
        ),
        (
            "[[calendar]]\nname = \"a\"\nexceptions = [{ date = \"2024-10-01\" }]",
            "line 3",
            "0 of `off = true`",
        ),
        (
            "[[timeout.rule]]\nname = \"a\"\nlevels = []",
            "line 3, column 1",
            "1 to 5 levels",
        ),
        (
            "[[timeout.rule]]\nname = \"a\"\nlevels = [{ after_minutes = 5 }, { after_minutes = 5 }]",
            "line 3, column 36",
            "`timeout.rule[1].levels[2].after_minutes`: the minutes of levels rise strictly",
        ),
        (
            "[[timeout.rule]]\nname = \"a\"\ncalendar = \"b\"\nlevels = [{ after_minutes = 5 }]",
            "line 3, column 1",
            "no calendar `b`",
        ),
        (
            "[revisit]\ndays = [2, 4, 6, 8]",
            "line 2, column 18",
            "at most 2 days",
        ),
        (
            "[revisit]\ncalendar_rule = \"skip_non_working\"",
            "line 2",
            "needs a calendar",
        ),
        (
            "[[sensitive.rule]]\nname = \"一二三四五六七八九十一\"\nwords = \"a\"",
            "line 2",
            "at most 10 characters, this one 11",
        ),
        (
            "[[sensitive.rule]]\nname = \"a\"\nwords = \"，, \"",
            "line 3",
            "has no word",
        ),
        (
            "[behaviour.card]\nenabled = true\naudited = []",
            "line 3",
            "`employee`",
        ),
        (
            "[behaviour.card]\nnotify = [\"all\"]",
            "line 2",
            "cannot be notified",
        ),
        ("[group_activity]\nwindow_days = 0", "line 2", "1 to 366"),
        ("x =", "line 1", ""),
    ];
    for (text, place, words) in cases {
        let told = Rules::of_file(text).unwrap_err().to_string();
        assert!(
            told.contains(place) && told.contains(words),
            "{text}\n{told}"
        );
    }
    let long = format!(
        "[[sensitive.rule]]\nname = \"a\"\nwords = \"{}\"",
        "字".repeat(501)
    );
    let told = Rules::of_file(&long).unwrap_err().to_string();
    assert!(
        told.contains("at most 500 characters, these are 501"),
        "{told}"
    );
}

#[test]
fn a_contradiction_with_the_rules_in_force_says_so() {
    let rules = Rules::of_file(WHOLE).unwrap();
    let told = rules.replaced_by("calendar = []").unwrap_err().to_string();
    assert!(
        told.contains("`reply.calendar`") && told.contains("in the rules in force"),
        "{told}"
    );
}

#[test]
fn ids_that_the_directory_does_not_know_are_a_warning() {
    let rules = Rules::of_file(WHOLE).unwrap();
    let warnings = rules.warnings(|_| false, |_| false);
    assert!(
        warnings.iter().any(|w| w.contains("`boss`")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|w| w.contains("sensitive_word")),
        "{warnings:?}"
    );
    assert_eq!(rules.warnings(|_| true, |_| true).len(), 1);
}

#[test]
fn what_needs_no_answer_is_a_phrase_or_a_type() {
    let no_answer = Rules::of_file(WHOLE).unwrap().needs_no_answer();
    for (msgtype, text, expected) in [
        ("text", "谢谢！", true),
        ("text", "好的。", true),
        ("text", "好的，多少钱", false),
        ("emotion", "", true),
        ("image", "好的", false),
    ] {
        assert_eq!(
            no_answer.is_met(msgtype, text),
            expected,
            "{msgtype} {text}"
        );
    }
}

#[test]
fn holidays_are_taken_over_and_edited_days_stay() {
    let mut calendar = Rules::of_file(WHOLE).unwrap().calendar.remove(0);
    let days = holidays::days();
    assert_eq!(days.len(), 283);
    let of_2024: Vec<_> = days
        .into_iter()
        .filter(|day| day.date.to_string().starts_with("2024"))
        .collect();
    let done = holidays::take_over(
        &mut calendar,
        &of_2024,
        calendar::DayName::Mon,
        holidays::Existing::Keep,
    );
    assert_eq!((done.n_kept, done.n_replaced), (2, 0));
    assert_eq!(done.n_added + done.n_kept, of_2024.len());
    let law = calendar.to_calendar();
    assert!(!law.is_working_day("2024-10-07".parse().unwrap()));
    assert!(law.is_working_day("2024-10-12".parse().unwrap()));
}
