//! Conversations (semantics 2).

use super::*;

#[test]
fn a_long_mailing_lists_each_pair_once() {
    let to: Vec<String> = (0..500).map(|n| format!("wm{}", n % 300)).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let pairs = conversations_of("ada", &to, "");
    assert_eq!(pairs.len(), 300);
    assert_eq!(pairs[0], "ada|wm0");
}

#[test]
fn every_kind_is_read_by_its_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!(
        "Other".parse::<Kind>(),
        Err(UnknownKind("Other".to_owned()))
    );
}
