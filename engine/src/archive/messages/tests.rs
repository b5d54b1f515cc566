//! The `messages` table's promises: one commit for rows and cursor, each message once, readable
//! after many commits.

use super::*;

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
