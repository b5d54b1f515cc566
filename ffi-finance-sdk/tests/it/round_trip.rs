//! Whole tapes through the child: pages, keys, texts, credentials.

use huicun_ffi_finance_sdk::worker::{CallError, DecryptOutcome};
use huicun_ffi_finance_sdk::{ApiCode, SdkCode};

use crate::{SECRET, Studio, limits, message};

#[test]
fn a_whole_tape_with_two_key_versions_comes_through() {
    let awkward: Vec<Vec<u8>> = vec![
        message(10).into_bytes(),
        b"{\"msgid\":\"raw\",\"text\":{\"content\":\"a\x01\x0bb\"}}".to_vec(),
        vec![],
        b"\xff\x00not text".to_vec(),
        format!("{{\"msgid\":\"long\",\"x\":\"{}\"}}", "长".repeat(100_000)).into_bytes(),
    ];
    let studio = Studio::with(|writer| {
        for (n, text) in awkward.iter().enumerate() {
            let n = n as u64;
            writer.append(10 + 7 * n, 1 + (n % 2) as u32, text).unwrap();
        }
    });
    let mut client = studio.start();
    let (mut cursor, mut found, mut versions) = (0, Vec::new(), Vec::new());
    loop {
        let page = client.page(cursor, 2).unwrap();
        let Some(last) = page.last_seq() else { break };
        assert!(last > cursor && page.damaged.is_empty());
        cursor = last;
        versions.extend(page.records.iter().map(|r| r.publickey_ver));
        found.extend(client.decrypt_batch(&studio.items(&page.records)).unwrap());
    }
    assert_eq!(found, awkward.into_iter().map(Ok).collect::<Vec<_>>());
    assert_eq!(versions, [1, 2, 1, 2, 1]);
    assert_eq!(cursor, 38);
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn the_limit_is_clamped_and_the_seq_given_is_left_out() {
    let studio = Studio::with_messages(1003);
    let mut client = studio.start();
    assert_eq!(client.page(0, 0).unwrap().records.len(), 1);
    assert_eq!(client.page(0, u32::MAX).unwrap().records.len(), 1000);
    let rest = client.page(1000, 1000).unwrap();
    assert_eq!(
        rest.records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [1001, 1002, 1003]
    );
    assert_eq!(rest.records[0].msgid, "m1001_external");
    assert!(client.page(1003, 1000).unwrap().is_empty());
    assert!(client.page(u64::MAX, 1).unwrap().is_empty());
}

#[test]
fn a_wrong_secret_is_refused_by_the_server_and_an_empty_one_at_once() {
    let studio = Studio::with_messages(1);
    let mut client = studio.start_with("wrong", limits()).unwrap();
    let CallError::Api(api) = client.page(0, 1).unwrap_err() else {
        panic!()
    };
    assert_eq!(api.code, ApiCode::InvalidSecret);
    let error = studio.start_with("", limits()).unwrap_err();
    assert_eq!(error, CallError::Sdk(SdkCode::BadParameter));
    let error = studio.start_with("a\0b", limits()).unwrap_err();
    assert_eq!(error, CallError::Sdk(SdkCode::InteriorNul));
}

#[test]
fn a_wrong_key_fails_its_own_record_only() {
    let studio = Studio::with_messages(3);
    let mut client = studio.start();
    let mut items = studio.items(&client.page(0, 3).unwrap().records);
    items[1].0 = "0".repeat(32);
    items.push(("key with a \0".to_owned(), "AAAA".repeat(8)));
    let results = client.decrypt_batch(&items).unwrap();
    assert_eq!(results[0], Ok(message(1).into_bytes()));
    assert_eq!(results[1], Err(SdkCode::KeyUnparsable));
    assert_eq!(results[2], Ok(message(3).into_bytes()));
    assert_eq!(results[3], Err(SdkCode::InteriorNul));
    assert_eq!(
        client.decrypt_isolating(&items[1..2]).unwrap(),
        [DecryptOutcome::Failed(SdkCode::KeyUnparsable)]
    );
}

#[test]
fn damaged_records_come_beside_the_good_ones() {
    let studio = Studio::with(|writer| {
        writer.append(1, 1, message(1).as_bytes()).unwrap();
        writer
            .append_raw_record(2, r#"{"seq":2,"msgid":"x"}"#)
            .unwrap();
        writer.append_raw_record(3, "null").unwrap();
        writer.append(4, 2, message(4).as_bytes()).unwrap();
    });
    let page = studio.start().page(0, 10).unwrap();
    assert_eq!(
        page.records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [1, 4]
    );
    assert_eq!(page.damaged[0].seq, Some(2));
    assert_eq!(page.damaged[1].raw, "null");
    assert_eq!(page.last_seq(), Some(4));
}

#[test]
fn missing_and_empty_chatdata_are_empty_pages() {
    let studio = Studio::with_messages(2).faults(
        r#"{"rules":[{"call":"GetChatData","nth":1,"action":"missing_chatdata"},
                     {"call":"GetChatData","nth":2,"action":{"reply":"{\"errcode\":0,\"chatdata\":[]}"}}]}"#,
    );
    let mut client = studio.start();
    assert!(client.page(0, 10).unwrap().is_empty());
    assert!(client.page(0, 10).unwrap().is_empty());
    assert_eq!(client.page(0, 10).unwrap().records.len(), 2);
}

#[test]
fn a_seq_before_the_window_starts_at_the_oldest_message_kept() {
    let studio = Studio::with_messages(9).faults(r#"{"retained_from_seq":7}"#);
    let page = studio.start().page(2, 1000).unwrap();
    assert_eq!(
        page.records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [7, 8, 9]
    );
}

#[test]
fn secrets_are_in_no_argument_and_no_environment() {
    let studio = Studio::with_messages(1);
    let client = studio.start();
    let pid = client.pid().unwrap();
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(
            !bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()),
            "{file}"
        );
    }
    assert!(!format!("{client:?}").contains(SECRET));
}
