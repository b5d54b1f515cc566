//! What is tried again, and in which groups.

use super::*;

fn file(path: &str, n_records: u64) -> ParkedFile {
    ParkedFile {
        path: path.into(),
        n_records,
        first_seq: 1,
        sources: BTreeSet::new(),
    }
}

#[test]
fn a_commit_rewrites_a_bounded_group_of_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("big"), vec![0; GROUP_BYTES_MAX as usize]).unwrap();
    std::fs::write(dir.path().join("small"), "x").unwrap();
    let files = vec![
        file("small", 1),
        file("small", GROUP_RECORDS_MAX),
        file("big", 1),
        file("small", 1),
        file("small", 1),
    ];
    let sizes: Vec<usize> = groups(dir.path(), files).iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 1, 2]);
    assert!(groups(dir.path(), vec![]).is_empty());
}

#[test]
fn a_sealed_record_is_tried_when_its_key_is_there_and_one_that_kills_only_when_asked() {
    let parked = |reason: &str| Parked {
        source: "corp".into(),
        seq: 1,
        msgid: String::new(),
        publickey_ver: Some(1),
        reason: reason.into(),
        pulled_at_ms: 0,
        n_bytes: 0,
    };
    for reason in ["missing_key", "unseal_failed", "sdk_10008", "sdk_crash"] {
        assert_eq!(content_of(reason), Content::Sealed);
        assert!(
            !is_retryable(&parked(reason), &[]),
            "{reason} without a key"
        );
    }
    assert_eq!(content_of("undeliverable"), Content::Gap);
    for reason in ["conflict", "seq_out_of_range", "undeliverable"] {
        assert!(!is_retryable(&parked(reason), &[]));
    }
    assert!(is_retryable(&parked("not_json"), &[]));
    assert!(!is_tried(&parked("not_json"), &[], Depth::WhatMayOpen));
    let wish = Wish {
        reason: Some("not_json".into()),
        ..Wish::default()
    };
    assert!(wish.matches(&parked("not_json")) && !wish.matches(&parked("bad_time")));
    assert!(Wish::default().matches(&parked("bad_time")));
}
