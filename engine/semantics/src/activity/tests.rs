//! Lively groups at the edges (semantics 10.6); the ordinary cases are golden cases.

use super::*;

#[test]
fn a_ratio_that_is_the_threshold_on_paper_is_so_for_a_computer() {
    for percent in 1..100_u64 {
        let value = format!("0.{percent:02}").parse::<f64>().unwrap();
        for n in 1..60 {
            let equal = Threshold { op: Op::Eq, value };
            assert!(equal.holds(activity_ratio(percent * n, 100 * n)));
            assert!(equal.holds(speech_ratio(percent * n * 7, 7, 100 * n)));
        }
    }
}

#[test]
fn over_nothing_no_threshold_holds() {
    let always = Threshold {
        op: Op::Ge,
        value: 0.0,
    };
    assert!(!always.holds(activity_ratio(0, 0)));
    assert!(!always.holds(speech_ratio(3, 0, 5)));
    assert!(!is_active_group(&[(always, Some(1.0)), (always, None)]));
    assert!(is_active_group(&[(always, Some(1.0))]));
}

#[test]
fn without_conditions_one_message_is_enough() {
    let silent = Measured {
        orders: 5,
        ..Measured::default()
    };
    assert!(!is_active_customer(&[], &silent));
    let spoke = Measured {
        messages: 1,
        ..silent
    };
    assert!(is_active_customer(&[], &spoke));
}

#[test]
fn signs_are_written_as_in_the_rules() {
    for op in [Op::Gt, Op::Ge, Op::Lt, Op::Le, Op::Eq] {
        let written = serde_json::to_value(op).unwrap();
        assert_eq!(written, op.as_str());
    }
}
