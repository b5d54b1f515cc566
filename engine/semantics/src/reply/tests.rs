//! Replies at the edges (semantics 4); the ordinary cases are golden cases.

use super::*;

fn said(at_ms: i64, speaker: u32, side: Side) -> Counted {
    Counted {
        at_ms,
        seq: at_ms,
        speaker,
        side,
        closes: false,
    }
}

#[test]
fn an_empty_dialogue_has_no_reply_and_nothing_unanswered() {
    let mut out = vec![Reply {
        turn_first: 0,
        turn_last: 0,
        reply: 0,
        interval_ms: 1,
    }];
    replies(&[], None, ReplyFrom::First, &mut out);
    assert!(out.is_empty());
    assert_eq!(first_reply(&[], None, ReplyFrom::First), None);
    assert_eq!(unanswered_turn(&[], None), None);
}

#[test]
fn a_reply_in_the_same_millisecond_takes_no_time() {
    let dialogue = [said(9, 1, Side::Customer), said(9, 2, Side::Employee)];
    assert_eq!(first_reply(&dialogue, None, ReplyFrom::First), Some(0));
}

#[test]
fn a_number_shared_by_a_customer_and_an_employee_is_kept_apart_by_side() {
    let dialogue = [said(0, 1, Side::Customer), said(5, 1, Side::Employee)];
    assert_eq!(first_reply(&dialogue, Some(1), ReplyFrom::First), Some(5));
    assert_eq!(
        unanswered_turn(&dialogue, Some(2)),
        Some(CustomerTurn { first: 0, last: 0 })
    );
}
