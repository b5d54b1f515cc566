//! Dialogues at the edges of their rules (semantics 3); the ordinary cases are golden cases.

use super::*;

const RULE: DialogueRule = DialogueRule {
    gap_ms: 30 * 60_000,
    grace_ms: 0,
};

fn counted(at_ms: i64, seq: i64, side: Side, closes: bool) -> Counted {
    Counted {
        at_ms,
        seq,
        speaker: 0,
        side,
        closes,
    }
}

/// How many messages each dialogue has.
fn lengths(messages: &[Counted], rule: DialogueRule) -> Vec<usize> {
    let mut out = std::iter::once(7..9).collect(); // left by the caller before
    cut(messages, &rule, &mut out);
    out.iter().map(Range::len).collect()
}

#[test]
fn no_messages_make_no_dialogue() {
    assert!(lengths(&[], RULE).is_empty());
    assert!(!shape(&[]).effective());
}

#[test]
fn exactly_the_gap_opens_a_new_dialogue() {
    let asked = counted(0, 1, Side::Customer, false);
    let just_before = counted(RULE.gap_ms - 1, 2, Side::Employee, false);
    let at_the_limit = counted(RULE.gap_ms, 2, Side::Employee, false);
    assert_eq!(lengths(&[asked, just_before], RULE), [2]);
    assert_eq!(lengths(&[asked, at_the_limit], RULE), [1, 1]);
}

#[test]
fn a_closing_phrase_of_an_employee_closes_nothing() {
    let messages = [
        counted(0, 1, Side::Employee, true),
        counted(0, 2, Side::Customer, false),
    ];
    assert_eq!(lengths(&messages, RULE), [2]);
}

#[test]
fn without_grace_an_answer_in_the_same_millisecond_opens_a_new_dialogue() {
    let messages = [
        counted(5, 1, Side::Customer, true),
        counted(5, 2, Side::Employee, false),
    ];
    assert_eq!(lengths(&messages, RULE), [1, 1]);
}

#[test]
fn instants_at_the_ends_of_the_number_line_do_not_overflow() {
    let messages = [
        counted(i64::MIN, 1, Side::Customer, true),
        counted(i64::MAX, 2, Side::Employee, false),
    ];
    let grace = DialogueRule {
        gap_ms: i64::MAX,
        grace_ms: i64::MAX,
    };
    assert_eq!(lengths(&messages, grace), [1, 1]);
    assert_eq!(shape(&messages).duration_ms(), i64::MAX);
}
