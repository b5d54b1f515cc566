//! Media in chunks, resumed, and with faults on the way.

use huicun_ffi_finance_sdk::SdkCode;
use huicun_ffi_finance_sdk::worker::{CallError, WorkerClient};
use huicun_tape::MEDIA_CHUNK_BYTES;

use crate::Studio;

fn content(n_bytes: usize) -> Vec<u8> {
    (0..n_bytes).map(|n| (n % 253) as u8).collect()
}

fn fetched(client: &mut WorkerClient, id: &str, from: &str) -> Vec<u8> {
    let (mut index, mut bytes) = (from.to_owned(), Vec::new());
    loop {
        let chunk = client.media_chunk(&index, id).unwrap();
        bytes.extend_from_slice(&chunk.data);
        if chunk.is_finished {
            assert_eq!(chunk.next_index, "");
            return bytes;
        }
        index = chunk.next_index;
    }
}

#[test]
fn files_of_every_length_come_whole() {
    let chunk = MEDIA_CHUNK_BYTES as usize;
    let lengths = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 77];
    let studio = Studio::with(|writer| {
        for n in lengths {
            writer
                .add_media(&format!("file+/{n}="), &content(n))
                .unwrap();
        }
    });
    let mut client = studio.start();
    for n in lengths {
        assert!(
            fetched(&mut client, &format!("file+/{n}="), "") == content(n),
            "{n} bytes"
        );
    }
}

#[test]
fn a_download_goes_on_in_another_process_where_it_stopped() {
    let whole = content(1_300_000);
    let studio = Studio::with(|writer| writer.add_media("id", &whole).unwrap());
    let mut client = studio.start();
    let first = client.media_chunk("", "id").unwrap();
    assert_eq!(first.next_index, "Range:bytes=524288-1048575");
    client.restart().unwrap();
    let rest = fetched(&mut client, "id", &first.next_index);
    assert!([first.data, rest].concat() == whole);
    assert_eq!(client.n_starts(), 2);
}

#[test]
fn what_the_server_does_not_have_or_understand_is_a_code() {
    let studio = Studio::with(|writer| writer.add_media("id", b"x").unwrap())
        .faults(r#"{"rules":[{"call":"GetMediaData","nth":4,"action":{"code":10010}}]}"#);
    let mut client = studio.start();
    let mut code = |index: &str, id: &str| match client.media_chunk(index, id) {
        Err(CallError::Sdk(code)) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code("", "other"), SdkCode::FileId);
    assert_eq!(code("", ""), SdkCode::BadParameter);
    assert_eq!(code("Range:bytes=x-y", "id"), SdkCode::BadParameter);
    assert_eq!(code("Range:bytes=1-1", "id"), SdkCode::BadParameter);
    assert_eq!(code("", "id"), SdkCode::Expired);
    assert_eq!(client.media_chunk("", "id").unwrap().data, b"x");
}
