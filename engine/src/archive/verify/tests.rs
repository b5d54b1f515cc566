//! Compaction, vacuum and verification together: no row changes, nothing sound is called damaged,
//! and what is damaged is named.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use huicun_semantics::time::Zone;
use proptest::prelude::*;

use super::*;
use crate::archive::compact::{Compacted, compact};
use crate::archive::message::{MessageRow, Status};
use crate::archive::messages::{self, CursorMove, MessageWriter};
use crate::archive::vacuum::{KEEP_MIN, VacuumError, vacuum};

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_700_000_000_000;

fn row(seq: i64, day: i64, text: &str) -> MessageRow {
    MessageRow {
        source: "corp".into(),
        seq,
        msgid: format!("m{seq}"),
        publickey_ver: Some(1),
        action: "send".into(),
        msgtype: "text".into(),
        msgtime_ms: START_MS + day * DAY_MS + (seq * 7_919) % 1000,
        pulled_at_ms: START_MS,
        from_id: "zhangsan".into(),
        to_ids: vec![format!("wm{}", seq % 3)],
        room_id: String::new(),
        text: text.into(),
        payload: format!("{{\"text\":\"{text}\"}}"),
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
    _dir: tempfile::TempDir,
    home: Home,
    seq: i64,
}

impl Archive {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        Self {
            _dir: dir,
            home,
            seq: 0,
        }
    }

    async fn writer(&self) -> MessageWriter {
        let lock = self.home.lock_writer("test").unwrap();
        MessageWriter::open(&self.home, lock, Zone::default())
            .await
            .unwrap()
    }

    /// One commit with a message on each of `days`.
    async fn append(&mut self, writer: &mut MessageWriter, days: &[i64]) {
        let from = self.seq;
        let rows = days.iter().map(|day| {
            self.seq += 1;
            row(self.seq, *day, "您好")
        });
        let rows: Vec<MessageRow> = rows.collect();
        let step = CursorMove { from, to: self.seq };
        writer
            .append(&Arc::from("corp"), rows, Some(step))
            .await
            .unwrap();
    }

    async fn verify(&self) -> Report {
        verify(&self.home, Ask::default(), &|_| {}).await
    }

    async fn compact(&self) -> Compacted {
        compact(&self.home, None).await.unwrap()
    }

    async fn vacuum(&self) -> crate::archive::vacuum::Vacuumed {
        let later = chrono::Utc::now().timestamp_millis() + 3 * DAY_MS;
        vacuum(&self.home, KEEP_MIN, later, |_| Some(u64::MAX))
            .await
            .unwrap()
    }

    async fn table(&self) -> crate::archive::Table {
        messages::open(&self.home).await.unwrap().unwrap()
    }

    /// All leaves, sorted.
    async fn leaves(&self) -> Vec<Vec<u8>> {
        let table = self.table().await;
        let mut found = Vec::new();
        for file in table.files() {
            for batch in table.read_file(&file, &["leaf_hash"]).await.unwrap() {
                found.extend(
                    batch
                        .column(0)
                        .as_binary::<i32>()
                        .iter()
                        .flatten()
                        .map(Vec::from),
                );
            }
        }
        found.sort();
        found
    }
}

fn kinds(report: &Report) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = report.findings.iter().map(|f| f.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn seqs(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |b: &RecordBatch| b.column(0).as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(column).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_goes_on_over_a_compaction_and_followers_learn_nothing_of_it() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    for _ in 0..5 {
        archive.append(&mut writer, &[0, 1]).await;
    }
    let before = archive.leaves().await;
    let done = archive.compact().await;
    assert_eq!(
        (done.n_days, done.n_files_before, done.n_files_after),
        (2, 10, 2)
    );
    assert_eq!(archive.leaves().await, before);
    archive.append(&mut writer, &[0]).await;
    assert_eq!(writer.cursor("corp").await.unwrap(), 11);
    let table = archive.table().await;
    assert_eq!(table.n_files(), 3);
    let news = table.files_added_after(5).await.unwrap();
    let n_new: Vec<usize> = news.iter().map(|(_, files)| files.len()).collect();
    assert_eq!(n_new, [0, 1]);
    drop(writer);
    assert_eq!(archive.writer().await.cursor("corp").await.unwrap(), 11);
    assert_eq!(archive.verify().await.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_sorted_by_conversation_time_and_seq_and_then_left_alone() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    archive.append(&mut writer, &[0, 0, 0, 0]).await;
    archive.append(&mut writer, &[0, 0, 0]).await;
    archive.compact().await;
    let table = archive.table().await;
    let columns = ["conversation_id", "msgtime", "seq"];
    let batches = table.read_file(&table.files()[0], &columns).await.unwrap();
    let sorted: Vec<(String, i64)> = batches
        .iter()
        .flat_map(|b| {
            let seq = b.column_by_name("seq").unwrap().as_primitive::<Int64Type>();
            let of = b
                .column_by_name("conversation_id")
                .unwrap()
                .as_string::<i32>();
            (0..b.num_rows())
                .map(|i| {
                    (
                        of.value(i).to_string(),
                        START_MS + (seq.value(i) * 7_919) % 1000,
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(sorted.is_sorted(), "{sorted:?}");
    assert_eq!(archive.compact().await, Compacted::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_day_is_left_to_grow() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    archive.append(&mut writer, &[0, 1]).await;
    archive.append(&mut writer, &[0, 1]).await;
    let today = Zone::default().day_of(START_MS + DAY_MS);
    let done = compact(&archive.home, Some(today)).await.unwrap();
    assert_eq!((done.n_days, done.n_files_before), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_and_not_compacted() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    archive.append(&mut writer, &[0]).await;
    archive.append(&mut writer, &[0]).await;
    let table = archive.table().await;
    let file = table.folder().join(&table.files()[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let found = archive.verify().await;
    assert_eq!(kinds(&found), [Kind::FileChanged, Kind::RowMissing]);
    let seq = found.findings[0].seq_from.unwrap();
    assert_eq!(found.findings[0].seq_to, Some(seq));
    let done = archive.compact().await;
    assert_eq!(done.damaged.len(), 1, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_deletes_the_dead_after_its_time_and_nothing_else() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    for _ in 0..4 {
        archive.append(&mut writer, &[0]).await;
    }
    archive.compact().await;
    let table = archive.table().await;
    let staged = table.folder().join("part-1.zstd.parquet#17");
    std::fs::write(&staged, "left").unwrap();
    std::fs::write(table.folder().join("orphan.parquet"), "left").unwrap();
    let now = chrono::Utc::now().timestamp_millis();
    let early = vacuum(&archive.home, KEEP_MIN, now, |_| None)
        .await
        .unwrap();
    assert_eq!(early.n_files, 0);
    let done = archive.vacuum().await;
    assert_eq!((done.n_files, done.n_log_files), (6, 0));
    assert_eq!(archive.leaves().await.len(), 4);
    assert_eq!(archive.verify().await.findings, []);
    for silly in [0, 3_600, 10_000 * 86_400] {
        let keep = std::time::Duration::from_secs(silly);
        let refused = vacuum(&archive.home, keep, now, |_| None).await;
        assert!(matches!(refused, Err(VacuumError::Keep(_))), "{silly}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_log_entries_go_behind_a_checkpoint_and_the_archive_stays_whole() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    for _ in 0..55 {
        archive.append(&mut writer, &[0]).await;
    }
    let done = archive.vacuum().await;
    assert_eq!(done.n_log_files, 55);
    assert_eq!(archive.leaves().await.len(), 55);
    assert_eq!(archive.verify().await.findings, []);
    archive.append(&mut writer, &[0]).await;
    drop(writer);
    let writer = archive.writer().await;
    assert_eq!(writer.cursor("corp").await.unwrap(), 56);
    drop(writer);
    assert_eq!(archive.verify().await.findings, []);
    let checkpoint = archive
        .home
        .table(messages::TABLE)
        .join(format!("_delta_log/{:020}.checkpoint.parquet", 55));
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    let found = archive.verify().await;
    assert!(
        kinds(&found).contains(&Kind::CheckpointChanged),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_in_the_log_or_in_a_footer_after_a_compaction() {
    let mut archive = Archive::new();
    let mut writer = archive.writer().await;
    let canary = "canary-4711";
    for seq in 1..=3 {
        let rows = vec![row(seq, 0, canary)];
        writer.append(&Arc::from("corp"), rows, None).await.unwrap();
    }
    archive.seq = 3;
    archive.compact().await;
    let table = archive.table().await;
    table.checkpoint().await.unwrap();
    let has = |bytes: &[u8]| bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
    for entry in std::fs::read_dir(table.folder().join("_delta_log")).unwrap() {
        assert!(!has(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    for file in table.files() {
        let bytes = std::fs::read(table.folder().join(file)).unwrap();
        let footer = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap());
        assert!(!has(&bytes[bytes.len() - 8 - footer as usize..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_there_twice_is_named() {
    let archive = Archive::new();
    let mut table = crate::archive::Table::open_or_create(
        &archive.home.table(messages::TABLE),
        crate::archive::message::layout(),
    )
    .await
    .unwrap();
    for seq in [1, 2] {
        let mut twice = row(seq, 0, "x");
        twice.msgid = "same".into();
        let batch = crate::archive::message::to_batch(&[twice], &Zone::default());
        table.append(&[batch], Default::default()).await.unwrap();
    }
    let found = archive.verify().await;
    assert_eq!(kinds(&found), [Kind::RowTwice], "{found:?}");
    assert!(found.findings[0].seq_from.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_wrote_without_seals_is_no_damage() {
    let mut archive = Archive::new();
    let marker = "{\n  \"product\": \"huicun\",\n  \"format\": 1,\n  \"created_by\": \"0.1.0\"\n}";
    std::fs::write(archive.home.root().join("huicun.json"), marker).unwrap();
    let mut writer = archive.writer().await;
    archive.append(&mut writer, &[0]).await;
    let log = archive.home.table(messages::TABLE).join("_delta_log");
    let first = log.join(format!("{:020}.json", 0));
    let text = String::from_utf8(std::fs::read(&first).unwrap()).unwrap();
    let at = text.find("\"huicunSha256\"").unwrap();
    let end = at + text[at..].find(',').unwrap() + 1;
    std::fs::write(&first, format!("{}{}", &text[..at], &text[end..])).unwrap();
    let found = archive.verify().await;
    assert_eq!((found.findings.as_slice(), found.n_unsealed), (&[][..], 1));
}

/// What may happen to an archive.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<i64>),
    Compact,
    Vacuum,
    Checkpoint,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0..4_i64, 1..6).prop_map(Step::Append),
        2 => Just(Step::Compact),
        1 => Just(Step::Vacuum),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_appends_compactions_and_vacuums_changes_no_row(
        steps in prop::collection::vec(step(), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut archive = Archive::new();
            let mut writer = archive.writer().await;
            for step in steps {
                match step {
                    Step::Append(days) => archive.append(&mut writer, &days).await,
                    Step::Compact => { archive.compact().await; }
                    Step::Vacuum => { archive.vacuum().await; }
                    Step::Checkpoint => archive.table().await.checkpoint().await.unwrap(),
                    Step::Reopen => {
                        drop(writer);
                        writer = archive.writer().await;
                    }
                }
            }
            let table = archive.table().await;
            let mut found = Vec::new();
            for file in table.files() {
                found.extend(seqs(&table.read_file(&file, &["seq"]).await.unwrap()));
            }
            found.sort_unstable();
            assert_eq!(found, (1..=archive.seq).collect::<Vec<_>>());
            assert_eq!(writer.cursor("corp").await.unwrap(), archive.seq);
            let report = archive.verify().await;
            assert_eq!(report.findings, []);
            assert_eq!(report.n_rows as i64, archive.seq);
        });
    }
}
