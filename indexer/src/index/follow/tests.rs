//! The index follows the table through compactions, lost files and other tables, and holds each
//! message once.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use huicun_engine::archive::compact::compact;
use huicun_engine::archive::verify::{Ask, Kind, Report, verify as verify_archive};
use huicun_engine::archive::{Home, MessageRow, MessageWriter, Status, messages};
use huicun_semantics::time::Zone;
use tantivy::Term;
use tantivy::query::RangeQuery;

use super::super::verify;
use super::*;

fn row(seq: i64) -> MessageRow {
    MessageRow {
        source: "corp".into(),
        seq,
        msgid: format!("m{seq}"),
        publickey_ver: Some(1),
        action: "send".into(),
        msgtype: "text".into(),
        msgtime_ms: 1_700_000_000_000 + seq,
        pulled_at_ms: 1_700_000_000_000,
        from_id: "zhangsan".into(),
        to_ids: vec!["wm1".into(), "wm2".into()],
        room_id: String::new(),
        text: "您好".into(),
        payload: "{}".into(),
        media: None,
        call_ms: None,
        revokes_msgid: None,
        status: Status::Ok,
        reason: None,
        envelope: None,
        content_hash: seq,
    }
}

struct Archive {
    dir: tempfile::TempDir,
    home: Home,
}

impl Archive {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        Self { dir, home }
    }

    async fn append(&self, seqs: std::ops::RangeInclusive<i64>) {
        let lock = self.home.lock_writer("test").unwrap();
        let mut writer = MessageWriter::open(&self.home, lock, Zone::default())
            .await
            .unwrap();
        for seq in seqs {
            let rows = vec![row(seq)];
            writer.append(&Arc::from("corp"), rows, None).await.unwrap();
        }
    }

    async fn table(&self) -> Table {
        messages::open(&self.home).await.unwrap().unwrap()
    }

    /// Brings the index forward; returns the number of documents that were written.
    async fn follow(&self) -> u64 {
        let mut follower = Follower::open(&self.home.index()).unwrap();
        let n = follower.catch_up(&self.table().await).await.unwrap();
        follower.close().unwrap();
        n
    }

    async fn compare(&self) -> Report {
        let mut report = Report::default();
        let (root, folder) = (self.home.root(), self.home.index());
        let view = verify::open(root, &folder, &mut report).unwrap();
        let contents = verify::Contents::default();
        let whole = verify_archive(&self.home, Ask::default(), &|batch| contents.add(batch)).await;
        report.merge(whole);
        let table = self.table().await;
        verify::compare(root, &folder, &view, &table, &contents, &mut report)
            .await
            .unwrap();
        report
    }

    fn dead_files(&self, live: &[String]) -> Vec<PathBuf> {
        let folder = self.home.table(messages::TABLE).join("day=2023-11-15");
        let all = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path());
        all.filter(|file| !live.iter().any(|l| file.ends_with(l)))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_brings_the_index_nothing_but_its_version() {
    let archive = Archive::new();
    archive.append(1..=3).await;
    assert_eq!(archive.follow().await, 3);
    compact(&archive.home, None).await.unwrap();
    assert_eq!(archive.follow().await, 0);
    let index = open(&archive.home.index()).unwrap().unwrap();
    let mark = watermark(&index).unwrap().unwrap();
    assert_eq!(mark.version, archive.table().await.version());
    assert_eq!(archive.compare().await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_behind_a_compaction_holds_each_message_once() {
    for is_vacuumed in [false, true] {
        let archive = Archive::new();
        archive.append(1..=2).await;
        archive.follow().await;
        archive.append(3..=5).await;
        compact(&archive.home, None).await.unwrap();
        if is_vacuumed {
            for file in archive.dead_files(&archive.table().await.files()) {
                std::fs::remove_file(file).unwrap();
            }
        }
        // Without the files that it would go on from, it is built anew.
        let n = archive.follow().await;
        assert_eq!(n, if is_vacuumed { 5 } else { 3 });
        assert_eq!(archive.compare().await.findings, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_table_in_its_place_is_another_archive() {
    let archive = Archive::new();
    archive.append(1..=4).await;
    archive.follow().await;
    std::fs::remove_dir_all(archive.home.table(messages::TABLE)).unwrap();
    archive.append(7..=10).await;
    assert_eq!(archive.follow().await, 4);
    assert_eq!(archive.compare().await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_handle_of_the_table_is_no_older_table() {
    let archive = Archive::new();
    archive.append(1..=2).await;
    let stale = archive.table().await;
    compact(&archive.home, None).await.unwrap();
    let mut follower = Follower::open(&archive.home.index()).unwrap();
    follower.catch_up(&archive.table().await).await.unwrap();
    assert_eq!(follower.catch_up(&stale).await.unwrap(), 0);
    follower.close().unwrap();
    assert_eq!(archive.compare().await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_missing_or_twice_is_named_by_its_seq() {
    let archive = Archive::new();
    archive.append(1..=6).await;
    archive.follow().await;
    let folder = archive.home.index();
    let index = open(&folder).unwrap().unwrap();
    let payload = index.load_metas().unwrap().payload.unwrap();
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
    let at = Bound::Included(Term::from_field_i64(FIELDS.at, 1_700_000_000_003));
    let gone = RangeQuery::new(at.clone(), at);
    writer.delete_query(Box::new(gone)).unwrap();
    let searcher = index.reader().unwrap().searcher();
    let stored = StoredRef {
        source: "corp",
        seq: 5,
        msgid: "m5",
        at: 1_700_000_000_005,
        from: "zhangsan",
        to: &["wm1", "wm2"],
        room: "",
        msgtype: "text",
        text: "您好",
    };
    let mut again = TantivyDocument::default();
    again.add_i64(FIELDS.at, stored.at);
    again.add_i64(FIELDS.seq, stored.seq);
    again.add_bytes(FIELDS.stored, &serde_json::to_vec(&stored).unwrap());
    writer.add_document(again).unwrap();
    let mut commit = writer.prepare_commit().unwrap();
    commit.set_payload(&payload);
    commit.commit().unwrap();
    drop(searcher);
    writer.wait_merging_threads().unwrap();
    let found = archive.compare().await;
    let told: Vec<(Kind, Option<i64>, Option<i64>)> = found
        .findings
        .iter()
        .map(|f| (f.kind, f.seq_from, f.seq_to))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::IndexMissing, Some(3), Some(3)),
            (Kind::IndexExtra, Some(5), Some(5)),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_takes_the_place_of_whatever_was_there() {
    let archive = Archive::new();
    archive.append(1..=3).await;
    archive.follow().await;
    let folder = archive.home.index();
    std::fs::write(folder.join("meta.json"), "{").unwrap();
    std::fs::create_dir(folder.with_extension("new")).unwrap();
    let n = rebuild(&folder, &archive.table().await).await.unwrap();
    assert_eq!(n, 3);
    assert_eq!(archive.compare().await.findings, []);
    let entries = std::fs::read_dir(archive.dir.path().join("data")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|n| n.starts_with("index.")));
}
