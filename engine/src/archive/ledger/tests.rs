//! The ledger against a list of everything that was delivered: any order of pulls with gaps,
//! duplicates and parked records, retries, compactions, folds and restarts gives the same account.

use std::collections::{BTreeMap, BTreeSet};

use huicun_semantics::time::Zone;
use proptest::prelude::*;

use super::*;
use crate::archive::delivery::Delivery;
use crate::archive::delta::CommitNote;
use crate::archive::message::to_batch;
use crate::archive::{CursorMove, MessageRow, MessageWriter, Status, messages};

const T0: i64 = 1_700_000_000_000;
const SOURCES: [&str; 2] = ["corp", "other"];

fn row(source: &str, seq: i64, msgid: &str) -> MessageRow {
    let content = sha256(msgid.as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&content[..8]);
    MessageRow {
        source: source.into(),
        seq,
        msgid: msgid.into(),
        publickey_ver: Some(1),
        action: "send".into(),
        msgtype: "text".into(),
        msgtime_ms: T0 + seq * 60_000,
        pulled_at_ms: T0,
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
        content_hash: i64::from_be_bytes(short),
    }
}

fn parked(source: &str, seq: i64, msgid: &str, version: i32) -> MessageRow {
    MessageRow {
        status: Status::Quarantined,
        reason: Some("missing_key".into()),
        publickey_ver: Some(version),
        msgtime_ms: T0 + 999 * 60_000,
        envelope: Some(b"sealed".to_vec()),
        ..row(source, seq, msgid)
    }
}

/// One record of a page.
#[derive(Debug, Clone)]
enum Record {
    New,
    /// The same message again, under a seq of its own.
    Again,
    Parked(i32),
}

#[derive(Debug, Clone)]
enum Step {
    /// A page: the source, then each record after a stride over numbers that do not come.
    Page(usize, Vec<(i64, Record)>),
    Compact,
    /// Every parked record of this key version becomes readable.
    Retry(i32),
    Fold,
    Look,
    /// The ledger's cache is lost.
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = prop_oneof![
        5 => Just(Record::New),
        2 => Just(Record::Again),
        2 => (2..4i32).prop_map(Record::Parked),
    ];
    let stride = prop_oneof![6 => Just(1i64), 2 => 2..5i64];
    let page = (0..2usize, prop::collection::vec((stride, record), 0..6));
    let step = prop_oneof![
        5 => page.prop_map(|(source, records)| Step::Page(source, records)),
        1 => Just(Step::Compact),
        1 => (2..4i32).prop_map(Step::Retry),
        1 => Just(Step::Fold),
        2 => Just(Step::Look),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..10)
}

/// Everything that was delivered, as a plain list.
#[derive(Default)]
struct Naive {
    n_delivered: u64,
    n_deduplicated: u64,
    cursor: i64,
    n_messages: u64,
    rows: Vec<MessageRow>,
    deduplicated: BTreeSet<i64>,
}

type Told = (String, (i64, i64), u64, Option<i64>, Option<i64>);

impl Naive {
    fn readable(&self) -> BTreeMap<i64, i64> {
        let rows = self.rows.iter().filter(|row| row.status == Status::Ok);
        rows.map(|row| (row.seq, row.msgtime_ms)).collect()
    }

    fn parked(&self) -> BTreeMap<i64, String> {
        let rows = self.rows.iter().filter(|row| row.status != Status::Ok);
        rows.map(|row| (row.seq, format!("parked {:?}", row.publickey_ver)))
            .collect()
    }

    /// Number by number.
    fn missing(&self) -> Vec<Told> {
        let (readable, parked) = (self.readable(), self.parked());
        let known: BTreeSet<i64> = readable
            .keys()
            .chain(parked.keys())
            .chain(&self.deduplicated)
            .copied()
            .collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        let mut stretch: Vec<i64> = Vec::new();
        for seq in *first..=*last + 1 {
            if !readable.contains_key(&seq) && seq <= *last {
                stretch.push(seq);
                continue;
            }
            let Some(begin) = stretch.first().copied() else {
                continue;
            };
            let from = readable.get(&(begin - 1)).copied();
            let to = readable.get(&seq).copied();
            let mut sets: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            let mut gap: Vec<i64> = Vec::new();
            for seq in stretch.drain(..).chain([i64::MAX]) {
                let why = match parked.get(&seq) {
                    Some(why) => Some(why.clone()),
                    None if self.deduplicated.contains(&seq) => Some("deduplicated".into()),
                    None => None,
                };
                let goes_on = gap.last().is_none_or(|before| before + 1 == seq);
                if (why.is_some() || !goes_on)
                    && let (Some(a), Some(b)) = (gap.first(), gap.last())
                {
                    told.push(("gap".into(), (*a, *b), gap.len() as u64, from, to));
                    gap.clear();
                }
                match why {
                    Some(why) => sets.entry(why).or_default().push(seq),
                    None if seq < i64::MAX => gap.push(seq),
                    None => {}
                }
            }
            for (why, seqs) in sets {
                let latest = T0 + 999 * 60_000;
                let to = to.or(why.starts_with("parked").then_some(latest));
                told.push((
                    why,
                    (seqs[0], seqs[seqs.len() - 1]),
                    seqs.len() as u64,
                    from,
                    to,
                ));
            }
        }
        told.sort();
        told
    }
}

fn told(page: &SourceLedger) -> Vec<Told> {
    let mut told: Vec<Told> = page
        .missing
        .iter()
        .map(|missing| {
            let why = match &missing.why {
                Why::NotDelivered => "gap".to_string(),
                Why::Deduplicated => "deduplicated".into(),
                Why::Quarantined(parking) => format!("parked {:?}", parking.publickey_ver),
            };
            (why, missing.seqs, missing.n, missing.from_ms, missing.to_ms)
        })
        .collect();
    told.sort();
    told
}

struct World {
    _dir: tempfile::TempDir,
    home: Home,
    naive: BTreeMap<&'static str, Naive>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            home: Home::open_or_create(&dir.path().join("data")).unwrap(),
            naive: SOURCES.map(|source| (source, Naive::default())).into(),
            _dir: dir,
        }
    }

    async fn writer(&self) -> MessageWriter {
        let lock = self.home.lock_writer("test").unwrap();
        MessageWriter::open(&self.home, lock, Zone::default())
            .await
            .unwrap()
    }

    async fn table(&self) -> Table {
        messages::open(&self.home).await.unwrap().unwrap()
    }

    async fn take(&mut self, source: &'static str, records: &[(i64, Record)]) {
        let naive = self.naive.get_mut(source).unwrap();
        let from = naive.cursor;
        let mut rows = Vec::new();
        for (stride, record) in records {
            naive.cursor += stride;
            naive.n_delivered += 1;
            let seq = naive.cursor;
            let known = naive.rows.iter().find(|row| row.status == Status::Ok);
            match (record, known.cloned()) {
                (Record::Again, Some(known)) => {
                    naive.n_deduplicated += 1;
                    naive.deduplicated.insert(seq);
                    rows.push(MessageRow { seq, ..known });
                }
                (Record::Parked(version), _) => {
                    let row = parked(source, seq, &format!("p{seq}"), *version);
                    naive.rows.push(row.clone());
                    rows.push(row);
                }
                _ => {
                    naive.n_messages += 1;
                    let row = row(source, seq, &format!("m{}", naive.n_messages));
                    naive.rows.push(row.clone());
                    rows.push(row);
                }
            }
        }
        let step = CursorMove {
            from,
            to: naive.cursor,
        };
        let mut writer = self.writer().await;
        writer
            .append(&source.into(), rows, Some(step))
            .await
            .unwrap();
    }

    /// The rows of some files, from the model.
    async fn rows_of(&self, table: &Table, files: &[String]) -> Vec<MessageRow> {
        let mut found = Vec::new();
        for file in files {
            for batch in table.read_file(file, &["source", "seq"]).await.unwrap() {
                use arrow::array::AsArray;
                let source = batch
                    .column_by_name("source")
                    .unwrap()
                    .as_string::<i32>()
                    .clone();
                let seq = batch.column_by_name("seq").unwrap().clone();
                let seq = seq.as_primitive::<arrow::datatypes::Int64Type>();
                for at in 0..batch.num_rows() {
                    let rows = &self.naive[source.value(at)].rows;
                    let row = rows.iter().find(|row| row.seq == seq.value(at));
                    found.push(row.unwrap().clone());
                }
            }
        }
        found
    }

    async fn compact(&self) {
        let mut table = self.table().await;
        let files = table.files();
        let rows = self.rows_of(&table, &files).await;
        if rows.is_empty() {
            return;
        }
        let moved = to_batch(&rows, &Zone::default());
        table
            .rewrite(&files, &[moved], &[], CommitNote::default())
            .await
            .unwrap();
    }

    /// As `quarantine retry` does it: the first record that opens was there already.
    async fn retry(&mut self, version: i32) {
        for source in SOURCES {
            let mut table = self.table().await;
            let files = table.files();
            let before = self.rows_of(&table, &files).await;
            let opens = |row: &MessageRow| {
                *row.source == *source
                    && row.status != Status::Ok
                    && row.publickey_ver == Some(version)
            };
            let (opened, stays): (Vec<_>, Vec<_>) = before.into_iter().partition(opens);
            let Some(again) = opened.iter().map(|row| row.seq).min() else {
                continue;
            };
            let naive = self.naive.get_mut(source).unwrap();
            naive.rows.retain(|row| row.seq != again);
            naive.deduplicated.insert(again);
            naive.n_deduplicated += 1;
            let mut new = Vec::new();
            for row in naive.rows.iter_mut().filter(|row| opens(row)) {
                *row = MessageRow {
                    publickey_ver: Some(version),
                    ..super::tests::row(source, row.seq, &row.msgid)
                };
                new.push(row.clone());
            }
            let delivery = Delivery {
                source: source.into(),
                resolved: new.len() as u64,
                resolved_duplicates: 1,
                deduplicated_seqs: vec![(again, again)],
                ..Delivery::default()
            };
            let note = CommitNote {
                info: vec![delivery.info()],
                ..CommitNote::default()
            };
            let batch = |rows: &[MessageRow]| to_batch(rows, &Zone::default());
            let new = if new.is_empty() {
                vec![]
            } else {
                vec![batch(&new)]
            };
            table
                .rewrite(&files, &[batch(&stays)], &new, note)
                .await
                .unwrap();
        }
    }

    async fn look(&self) -> Ledger {
        let table = self.table().await;
        let ledger = Ledger::open(&self.home, &table).await.unwrap();
        assert_eq!((ledger.version, ledger.n_unread), (table.version(), 0));
        for (source, naive) in &self.naive {
            let empty = SourceLedger::default();
            let page = ledger.sources.get(*source).unwrap_or(&empty);
            let n_readable = naive.readable().len() as u64;
            let n_parked = naive.parked().len() as u64;
            let account = Account {
                delivered: naive.n_delivered,
                archived: n_readable,
                quarantined: n_parked,
                deduplicated: naive.n_deduplicated,
            };
            assert_eq!(page.account, account, "{source}");
            assert_eq!(page.imbalance(), None, "{source}");
            assert_eq!(told(page), naive.missing(), "{source}");
        }
        ledger
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_the_account_of_a_plain_list(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.take(SOURCES[0], &[(1, Record::New)]).await;
            for step in &steps {
                match step {
                    Step::Page(source, records) => world.take(SOURCES[*source], records).await,
                    Step::Compact => world.compact().await,
                    Step::Retry(version) => world.retry(*version).await,
                    Step::Fold => {
                        let table = world.table().await;
                        fold(&world.home, &table).await.unwrap();
                        assert_eq!(deliveries_folded_to(&world.home), Some(table.version()));
                    }
                    Step::Look => world.look().await.store(&world.home).await,
                    Step::Forget => {
                        let _ = std::fs::remove_file(world.home.root().join("ledger/rows.bin"));
                    }
                }
            }
            world.look().await;
        });
    }
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew_and_a_damaged_account_is_never_believed() {
    let mut world = World::new();
    let page = [(1, Record::New), (3, Record::Parked(2)), (1, Record::Again)];
    world.take("corp", &page).await;
    let ledger = world.look().await;
    for file in ["ledger/rows.bin", "ledger/account.json"] {
        let table = world.table().await;
        fold(&world.home, &table).await.unwrap();
        ledger.store(&world.home).await;
        let path = world.home.root().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        for at in [bytes.len() / 2, bytes.len() - 2] {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(world.look().await, ledger);
            bytes[at] ^= 1;
        }
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(world.look().await, ledger);
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(deliveries_folded_to(&world.home), None);
}

#[tokio::test]
async fn the_cache_of_another_history_is_not_believed() {
    let mut world = World::new();
    world.take("corp", &[(1, Record::New)]).await;
    world.take("corp", &[(1, Record::New)]).await;
    let table = world.table().await;
    fold(&world.home, &table).await.unwrap();
    world.look().await.store(&world.home).await;
    // The table is restored from before the second page, and another page comes.
    std::fs::remove_dir_all(world.home.table(messages::TABLE)).unwrap();
    world.naive = SOURCES.map(|source| (source, Naive::default())).into();
    world.take("corp", &[(1, Record::New)]).await;
    world.take("corp", &[(4, Record::New)]).await;
    world.look().await;
}

#[tokio::test]
async fn rows_that_no_commit_tells_of_are_an_imbalance() {
    let mut world = World::new();
    world
        .take("corp", &[(1, Record::New), (1, Record::New)])
        .await;
    let mut table = world.table().await;
    let files = table.files();
    let kept = to_batch(&world.naive["corp"].rows[..1], &Zone::default());
    table
        .rewrite(&files, &[kept], &[], CommitNote::default())
        .await
        .unwrap();
    let ledger = Ledger::open(&world.home, &table).await.unwrap();
    let told = ledger.sources["corp"].imbalance().unwrap();
    assert!(
        told.contains("2 archived") && told.contains("holds 1"),
        "{told}"
    );
}

#[tokio::test]
async fn a_commit_without_an_account_delivered_what_it_added() {
    let world = World::new();
    let layout = crate::archive::message::layout();
    let folder = world.home.table(messages::TABLE);
    let mut table = Table::open_or_create(&folder, layout).await.unwrap();
    let rows = [
        row("old", 1, "a"),
        row("old", 4, "b"),
        parked("old", 5, "c", 9),
    ];
    let batch = to_batch(&rows, &Zone::default());
    table.append(&[batch], CommitNote::default()).await.unwrap();
    let ledger = Ledger::open(&world.home, &table).await.unwrap();
    let page = &ledger.sources["old"];
    let account = Account {
        delivered: 3,
        archived: 2,
        quarantined: 1,
        deduplicated: 0,
    };
    assert_eq!((page.account, page.imbalance()), (account, None));
    assert_eq!(page.missing[0].seqs, (2, 3));
}

#[test]
fn a_very_sparse_source_is_told_in_bundles_whose_sums_are_right() {
    let mut page = SourceLedger::default();
    let n = rows::HOLES_MAX as u64 + 10;
    page.rows.readable.extend((0..=n).map(|at| at * 3));
    page.settle();
    assert!(page.missing.len() <= rows::HOLES_MAX);
    let n_missing: u64 = page.missing.iter().map(|missing| missing.n).sum();
    assert_eq!(n_missing, 2 * n);
    let last = page.missing.last().unwrap().seqs.1;
    assert_eq!(last, i64::try_from(3 * n - 1).unwrap());
}

#[test]
fn a_run_goes_on_over_the_edge_of_a_bitmap() {
    let edge = 1u64 << 32;
    let set: RoaringTreemap = [edge - 2, edge - 1, edge, edge + 5].into();
    let found: Vec<_> = rows::runs(&set).collect();
    assert_eq!(found, [(edge - 2, edge), (edge + 5, edge + 5)]);
}
