//! The `messages` table's promises: one commit for rows and cursor, each message once, readable
//! after many commits.

use super::*;
use crate::archive::parked;

fn row(seq: i64, msgid: &str, content_hash: i64) -> MessageRow {
    MessageRow {
        source: "corp".into(),
        seq,
        msgid: msgid.into(),
        publickey_ver: Some(1),
        action: "send".into(),
        msgtype: "text".into(),
        msgtime_ms: 1_700_000_000_000 + seq * 86_400_000,
        pulled_at_ms: 1_700_000_000_000,
        from_id: "zhangsan".into(),
        to_ids: vec!["wm1".into()],
        room_id: String::new(),
        text: "您好".into(),
        payload: "{}".into(),
        media: None,
        call_ms: None,
        revokes_msgid: None,
        status: Status::Ok,
        reason: None,
        envelope: None,
        content_hash,
    }
}

async fn writer(home: &Home) -> MessageWriter {
    let lock = home.lock_writer("test").unwrap();
    MessageWriter::open(home, lock, Zone::default())
        .await
        .unwrap()
}

fn home(dir: &tempfile::TempDir) -> Home {
    Home::open_or_create(&dir.path().join("data")).unwrap()
}

async fn n_rows(home: &Home) -> usize {
    let table = open(home).await.unwrap().unwrap();
    let mut n = 0;
    for file in table.files() {
        for batch in table.read_file(&file, &["seq"]).await.unwrap() {
            n += batch.num_rows();
        }
    }
    n
}

#[tokio::test]
async fn rows_and_cursor_are_one_commit_and_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    let step = CursorMove { from: 0, to: 9 };
    let done = open
        .append(&source, vec![row(3, "a", 1), row(9, "b", 2)], Some(step))
        .await
        .unwrap();
    assert_eq!((done.n_archived, done.version), (2, 1));
    drop(open);
    let open = writer(&home).await;
    assert_eq!(open.cursor("corp").await.unwrap(), 9);
    assert_eq!(open.highest_seq("corp"), 9);
    assert_eq!(n_rows(&home).await, 2);
}

#[tokio::test]
async fn a_batch_that_does_not_start_at_the_cursor_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    let refused = open
        .append(
            &source,
            vec![row(3, "a", 1)],
            Some(CursorMove { from: 2, to: 3 }),
        )
        .await;
    assert!(matches!(
        refused,
        Err(AppendError::CursorMoved { cursor: 0, .. })
    ));
    assert_eq!(n_rows(&home).await, 0);
}

#[tokio::test]
async fn the_same_message_is_kept_once_and_other_content_is_quarantined_once() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    open.append(&source, vec![row(1, "a", 1)], None)
        .await
        .unwrap();
    drop(open);
    let mut open = writer(&home).await;
    let again = open
        .append(
            &source,
            vec![row(5, "a", 1), row(6, "a", 2), row(7, "a", 2)],
            None,
        )
        .await
        .unwrap();
    assert_eq!(
        (again.n_archived, again.n_quarantined, again.n_duplicates),
        (0, 1, 2)
    );
    assert_eq!(n_rows(&home).await, 2);
}

#[tokio::test]
async fn an_empty_batch_may_still_move_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    let step = CursorMove { from: 0, to: 40 };
    open.append(&source, vec![], Some(step)).await.unwrap();
    assert_eq!(open.cursor("corp").await.unwrap(), 40);
}

#[tokio::test]
async fn many_commits_stay_readable_and_are_followed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    for seq in 1..=25 {
        let step = CursorMove {
            from: seq - 1,
            to: seq,
        };
        open.append(&source, vec![row(seq, &format!("m{seq}"), seq)], Some(step))
            .await
            .unwrap();
    }
    assert_eq!(n_rows(&home).await, 25);
    let table = super::open(&home).await.unwrap().unwrap();
    assert_eq!(table.files_added_after(0).await.unwrap().len(), 25);
    assert_eq!(table.files_added_after(20).await.unwrap().len(), 5);
}

fn parked_row(seq: i64, reason: &str, envelope: &str) -> MessageRow {
    MessageRow {
        status: Status::Quarantined,
        reason: Some(reason.into()),
        envelope: Some(envelope.into()),
        text: String::new(),
        payload: String::new(),
        // Filed under the day on which it came.
        msgtime_ms: 1_700_000_000_000,
        ..row(seq, "", seq * 1000)
    }
}

/// Seq, msgid and status of every row, by seq.
async fn rows_of(home: &Home) -> Vec<(i64, String, String)> {
    let table = open(home).await.unwrap().unwrap();
    let mut found = Vec::new();
    for file in table.files() {
        let columns = ["seq", "msgid", "status"];
        for batch in table.read_file(&file, &columns).await.unwrap() {
            let text = |name: &str, at: usize| {
                let column = batch.column_by_name(name).unwrap().as_string::<i32>();
                column.value(at).to_string()
            };
            let seqs = batch.column_by_name("seq").unwrap();
            for at in 0..batch.num_rows() {
                let seq = seqs.as_primitive::<Int64Type>().value(at);
                found.push((seq, text("msgid", at), text("status", at)));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_rows_that_open_come_in_where_they_stand_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    let mut rows = vec![row(1, "a", 1), row(2, "b", 2)];
    rows[0].msgtime_ms = 1_700_000_000_000;
    let reasons = ["missing_key", "missing_key", "missing_key", "sdk_crash"];
    for (seq, reason) in (3..).zip(reasons) {
        rows.push(parked_row(seq, reason, &format!("envelope {seq}")));
    }
    let step = CursorMove { from: 0, to: 6 };
    open.append(&source, rows, Some(step)).await.unwrap();
    let table = super::open(&home).await.unwrap().unwrap();
    let before = table.version();
    let files = parked::files(&table, |p| p.reason == "missing_key")
        .await
        .unwrap();
    assert_eq!(
        (files.len(), files[0].n_records, files[0].first_seq),
        (1, 3, 3)
    );
    let found = parked::envelopes(&table, &files[0].path, |p| p.reason == "missing_key")
        .await
        .unwrap();
    assert_eq!(found[1].bytes, b"envelope 4");
    // One is new, one was there already, one has other content than its namesake.
    let now = [row(3, "c", 3), row(4, "a", 1), row(5, "b", 99)];
    let reopened = Reopened {
        file: files[0].path.clone(),
        rows: found.iter().map(|e| e.place).zip(now).collect(),
    };
    let done = open.resolve(&source, vec![reopened]).await.unwrap();
    assert_eq!((done.n_archived, done.n_duplicates, done.n_kept), (1, 1, 1));
    let as_it_should_be = [
        (1, "a", "ok"),
        (2, "b", "ok"),
        (3, "c", "ok"),
        (5, "b", "quarantined"),
        (6, "", "quarantined"),
    ]
    .map(|(seq, id, status)| (seq, id.to_string(), status.to_string()));
    assert_eq!(rows_of(&home).await, as_it_should_be);
    assert_eq!(open.cursor("corp").await.unwrap(), 6);
    // Followers read what is new and nothing that only moved.
    let table = super::open(&home).await.unwrap().unwrap();
    let mut n_new = 0;
    for (_, files) in table.files_added_after(before).await.unwrap() {
        for file in files {
            let batches = table.read_file(&file, &["seq"]).await.unwrap();
            n_new += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        }
    }
    assert_eq!(n_new, 2);
    let info = table.commit_info(table.version(), delivery::INFO_KEY);
    let delivery: Delivery = serde_json::from_value(info.await.unwrap().unwrap()).unwrap();
    assert_eq!((delivery.delivered, delivery.archived), (0, 0));
    assert_eq!((delivery.resolved, delivery.resolved_duplicates), (1, 1));
    assert_eq!(delivery.deduplicated_seqs, [(4, 4)]);
    // What is known is known after a restart too.
    drop(open);
    let mut open = writer(&home).await;
    let again = open
        .append(&source, vec![row(7, "c", 3)], None)
        .await
        .unwrap();
    assert_eq!(again.n_duplicates, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_record_under_one_seq_is_parked_and_a_late_one_in_a_gap_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(&dir);
    let source: Arc<str> = "corp".into();
    let mut open = writer(&home).await;
    let step = |from, to| Some(CursorMove { from, to });
    // In one page: the same record twice, and another under its seq.
    let page = vec![
        row(2, "a", 1),
        row(2, "a", 1),
        row(2, "b", 2),
        row(4, "c", 3),
    ];
    let done = open.append(&source, page, step(0, 4)).await.unwrap();
    assert_eq!(
        (done.n_archived, done.n_quarantined, done.n_duplicates),
        (2, 1, 1)
    );
    // Behind the cursor: known, another under a known seq, a late one, a sealed one.
    let page = vec![
        row(4, "c", 3),
        row(4, "d", 4),
        row(3, "e", 5),
        parked_row(2, "missing_key", "sealed"),
        row(5, "f", 6),
    ];
    let done = open.append(&source, page, step(4, 5)).await.unwrap();
    assert_eq!(
        (done.n_archived, done.n_quarantined, done.n_duplicates),
        (2, 2, 1)
    );
    let table = super::open(&home).await.unwrap().unwrap();
    let parked = parked::list(&table, 10, |_| true).await.unwrap();
    // What was parked and comes readable is no conflict with itself.
    let page = vec![parked_row(9, "missing_key", "sealed")];
    open.append(&source, page, step(5, 9)).await.unwrap();
    let done = open.append(&source, vec![row(9, "g", 7), row(10, "h", 8)], step(9, 10));
    assert_eq!(done.await.unwrap().n_archived, 2);
    let conflicts: Vec<_> = parked.iter().map(|p| (p.seq, p.reason.as_str())).collect();
    assert_eq!(
        conflicts,
        [(2, "conflict"), (2, "conflict"), (4, "conflict")]
    );
}
