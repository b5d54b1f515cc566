//! Storage: one flipped bit anywhere is found, every kind of damage has its word, and nothing that
//! is sound is called damaged (issue 3, parts 6 and 7).
//!
//! The bits come from a seeded generator; a failure prints the file, the bit and the seed.
//! `HUICUN_FAULTS=full` flips twenty times as many.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use huicun_engine::archive::verify::{Kind, Report};
use huicun_engine::archive::{Home, messages, seal};
use huicun_engine::state::State;
use huicun_indexer::maintenance::scrub::scrub;
use huicun_indexer::maintenance::verify::verify;

use crate::support::{Installation, text_line};

const SEED: u64 = 20_261_125;
/// Flips of the default run.
const N_FLIPS: usize = 250;
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 10\ncommit_records_max = 10\ncommit_wait_ms = 1\n";

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn company(n: u64) -> String {
    let line = |seq: u64| {
        let (from, to) = (format!("e{}", seq % 5), format!("wm{}", seq % 7));
        let at = 1_726_000_000_000 + seq as i64 * 1_000_000;
        text_line(seq, &from, &to, at, &format!("第{seq}条，你好"))
    };
    (1..=n).map(line).collect()
}

/// An installation whose `n` messages came in commits of ten.
fn pulled(n: u64) -> Installation {
    let run = Installation::new();
    run.tape_of(&company(n));
    run.configure(SMALL_COMMITS);
    run.run(&["pull", "--once"]).ok();
    run
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn report(run: &Installation) -> Report {
    let home = Home::open(&run.data()).unwrap();
    runtime().block_on(verify(&home, None))
}

#[track_caller]
fn assert_clean(run: &Installation) {
    let found = run.run(&["verify"]);
    assert_eq!(
        (found.status, found.stdout.as_str()),
        (0, ""),
        "{}",
        found.stderr
    );
}

/// The kinds that `huicun verify` tells, and its rows.
fn told(run: &Installation) -> (BTreeSet<String>, Vec<serde_json::Value>) {
    let found = run.run(&["verify", "--format", "ndjson"]);
    assert_eq!(found.status, 1, "nothing was found");
    assert!(found.stderr.contains("findings"), "{}", found.stderr);
    let rows = found.rows();
    let kind = |row: &serde_json::Value| row["kind"].as_str().unwrap().to_string();
    (rows.iter().map(kind).collect(), rows)
}

fn log(run: &Installation) -> PathBuf {
    run.data().join("tables/messages/_delta_log")
}

fn entry(run: &Installation, version: u64) -> PathBuf {
    log(run).join(format!("{version:020}.json"))
}

/// The live data files of `messages`.
fn live(run: &Installation) -> Vec<PathBuf> {
    let home = Home::open(&run.data()).unwrap();
    let table = runtime().block_on(messages::open(&home)).unwrap().unwrap();
    let mut files = table.files();
    files.sort();
    files.iter().map(|file| table.folder().join(file)).collect()
}

/// Everything that a data directory can have, all of it in use.
fn complete() -> Installation {
    let run = pulled(200);
    let employees = run.write(
        "employees.ndjson",
        "{\"userid\":\"e1\",\"name\":\"张三\",\"departments\":[\"1\"]}\n",
    );
    run.run(&["import", "directory", employees.to_str().unwrap()])
        .ok();
    let rules = run.write("rules.toml", "[dialogue]\nsingle_gap_minutes = 5\n");
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    run.token("all");
    run.token("employee:e1");
    run.run(&["dialogues"]).ok();
    run.run(&["compact"]).ok();
    run.run(&["vacuum"]).ok();
    run.run(&["ledger"]).ok();
    let home = Home::open(&run.data()).unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let table = messages::open(&home).await.unwrap().unwrap();
        table.checkpoint().await.unwrap();
        scrub(&home, 1).await;
    });
    let media = b"an image";
    let name = seal::sha256(media);
    let folder = run.data().join("media").join(&name[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), media).unwrap();
    run.run(&["search", "", "--limit", "1"]).ok();
    run
}

/// The kind that names a flipped bit of a file; `None` for files that hold nothing.
fn expected(run: &Installation, live: &BTreeSet<PathBuf>, file: &Path) -> Option<Kind> {
    let data = run.data();
    let inside = file
        .strip_prefix(&data)
        .unwrap()
        .to_str()
        .unwrap()
        .to_string();
    let name = file.file_name().unwrap().to_str().unwrap();
    Some(match () {
        () if name.ends_with(".lock") => return None,
        // The times of the last calls, and what a running pull is asked: gone in minutes.
        () if inside.starts_with("pace/") || inside.starts_with("requests/") => return None,
        () if inside.starts_with("ledger/") => Kind::FileOfOursChanged,
        () if name == "huicun.json" => Kind::MarkerChanged,
        () if name == "scrub.place" => Kind::FileOfOursChanged,
        () if inside == "derived/current.json" => Kind::FileOfOursChanged,
        () if name.ends_with(".db") => Kind::StateDamaged,
        () if inside.starts_with("index/") => Kind::IndexDamaged,
        () if inside.starts_with("media/") => Kind::MediaChanged,
        () if name.contains(".checkpoint.") => Kind::CheckpointChanged,
        () if inside.contains("_delta_log/") => Kind::LogChanged,
        // A compaction has replaced it: vacuum will delete it.
        () if inside.starts_with("tables/messages/") && !live.contains(file) => return None,
        () => Kind::FileChanged,
    })
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(entry.path());
        }
    }
}

/// What the state says, however its bytes are.
fn state(run: &Installation) -> Option<String> {
    let copy = run.path("copy.db");
    std::fs::copy(run.data().join("state.db"), &copy).unwrap();
    let state = State::open(&copy).ok()?;
    let told = format!("{:?} {:?}", state.tokens().ok()?, state.rules().ok()?);
    drop(state);
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(run.path(&format!("copy.db{ending}")));
    }
    Some(told)
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let run = complete();
    assert_clean(&run);
    let n_flips = match std::env::var("HUICUN_FAULTS").as_deref() {
        Ok("full") => N_FLIPS * 20,
        _ => N_FLIPS,
    };
    let live: BTreeSet<PathBuf> = live(&run).into_iter().collect();
    let mut all = Vec::new();
    files(&run.data(), &mut all);
    all.retain(|file| expected(&run, &live, file).is_some());
    all.sort();
    let kinds: BTreeSet<Kind> = all
        .iter()
        .filter_map(|f| expected(&run, &live, f))
        .collect();
    assert_eq!(kinds.len(), 8, "not everything is there: {kinds:?}");
    let before = state(&run);
    let home = Home::open(&run.data()).unwrap();
    let runtime = runtime();
    let mut dice = Dice(SEED);
    let mut n_of_nothing = 0;
    for flip in 0..n_flips {
        // Each file in turn, so that small ones get their share.
        let file = &all[flip % all.len()];
        let whole = std::fs::read(file).unwrap();
        let bit = dice.below(whole.len() as u64 * 8);
        let mut bytes = whole.clone();
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        std::fs::write(file, &bytes).unwrap();
        let found = runtime.block_on(verify(&home, None));
        let kind = expected(&run, &live, file).unwrap();
        let told: Vec<Kind> = found.findings.iter().map(|f| f.kind).collect();
        if !told.contains(&kind) {
            // SQLite's own slack holds nothing: then the rows are as they were.
            let holds_nothing = kind == Kind::StateDamaged && told.is_empty();
            assert!(
                holds_nothing && state(&run) == before,
                "flip {flip} of seed {SEED}: bit {bit} of {} was told as {told:?}",
                file.display()
            );
            n_of_nothing += 1;
        }
        std::fs::write(file, &whole).unwrap();
    }
    println!(
        "{n_flips} flips over {} files, {n_of_nothing} of nothing",
        all.len()
    );
    assert!(n_of_nothing * 20 < n_flips, "{n_of_nothing}");
    assert_clean(&run);
}

#[test]
fn what_is_sound_stays_sound_whatever_was_done_to_it() {
    let run = complete();
    assert_clean(&run);
    // All that is dead is older than a day from now on.
    let touched = std::process::Command::new("find")
        .arg(run.data())
        .args([
            "-type",
            "f",
            "-exec",
            "touch",
            "-d",
            "10 days ago",
            "{}",
            "+",
        ])
        .status();
    assert!(touched.unwrap().success());
    for command in [
        &["vacuum", "--keep-days", "1"][..],
        &["compact", "--all"],
        &["reindex"],
        &["rebuild"],
        &["pull", "--once"],
        &["verify", "--from", "2024-09-10", "--to", "2024-09-11"],
    ] {
        run.run(command).ok();
        assert_clean(&run);
    }
    let found = run.run(&["search", "你好", "--limit", "0"]).ok().rows();
    assert_eq!(found.len(), 200);
    let refused = run.run(&["vacuum", "--keep-days", "0"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("outside of 1 to 3660 days"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_missing_a_short_and_two_swapped_files_are_named() {
    let run = pulled(60);
    let files = live(&run);
    let (one, two) = (&files[0], &files[1]);
    let (first, second) = (std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    let inside = |file: &Path| {
        file.strip_prefix(run.data())
            .unwrap()
            .to_str()
            .unwrap()
            .to_string()
    };

    std::fs::remove_file(one).unwrap();
    let (kinds, rows) = told(&run);
    assert!(kinds.contains("file_missing"), "{kinds:?}");
    let missing = rows
        .iter()
        .find(|row| row["kind"] == "file_missing")
        .unwrap();
    assert_eq!(missing["file"], inside(one));
    assert!(missing["seq_from"].is_i64() && missing["seq_to"].is_i64());

    std::fs::write(one, &first[..first.len() / 2]).unwrap();
    assert!(told(&run).0.contains("file_changed"));

    std::fs::write(one, &second).unwrap();
    std::fs::write(two, &first).unwrap();
    let (_, rows) = told(&run);
    let changed: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row["kind"] == "file_changed")
        .map(|row| row["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        changed,
        BTreeSet::from([inside(one).as_str(), inside(two).as_str()])
    );

    std::fs::write(one, &first).unwrap();
    std::fs::write(two, &second).unwrap();
    assert_clean(&run);
}

#[test]
fn log_entries_that_are_swapped_missing_or_cut_off_are_named() {
    let run = pulled(60);
    let (one, two) = (entry(&run, 2), entry(&run, 3));
    let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    std::fs::write(&one, &second).unwrap();
    std::fs::write(&two, &first).unwrap();
    assert!(told(&run).0.contains("log_changed"));
    std::fs::write(&one, &first).unwrap();
    std::fs::remove_file(&two).unwrap();
    assert!(told(&run).0.contains("log_missing"));
    std::fs::write(&two, &second).unwrap();
    assert_clean(&run);
    let newest = (0..)
        .take_while(|n| entry(&run, *n).exists())
        .last()
        .unwrap();
    std::fs::remove_file(entry(&run, newest)).unwrap();
    let (kinds, rows) = told(&run);
    assert!(
        kinds.contains("index_ahead") && kinds.contains("index_extra"),
        "{kinds:?}"
    );
    let extra = rows
        .iter()
        .find(|row| row["kind"] == "index_extra")
        .unwrap();
    assert_eq!(
        (&extra["source"], &extra["seq_to"]),
        (&"wwtape".into(), &60.into())
    );
}

/// Takes one row out of a data file, and mends name, log entry and every hash of them.
fn drop_a_row(run: &Installation, seq: i64) {
    use arrow::array::AsArray;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let of = |batch: &arrow::array::RecordBatch| {
        let seqs = batch.column_by_name("seq").unwrap();
        seqs.as_primitive::<arrow::datatypes::Int64Type>().clone()
    };
    for file in live(run) {
        let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let Some(at) = of(&batch).values().iter().position(|s| *s == seq) else {
            continue;
        };
        let kept: Vec<u32> = (0..batch.num_rows() as u32)
            .filter(|i| *i != at as u32)
            .collect();
        let rest =
            arrow::compute::take_record_batch(&batch, &arrow::array::UInt32Array::from(kept))
                .unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rest.schema(), None).unwrap();
        writer.write(&rest).unwrap();
        writer.close().unwrap();
        let name = seal::data_file_name("part", &bytes);
        std::fs::write(file.with_file_name(&name), &bytes).unwrap();
        let old = file.file_name().unwrap().to_str().unwrap();
        for version in 1.. {
            let path = entry(run, version);
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains(old) {
                continue;
            }
            let n = batch.num_rows();
            let start = text.find("\"huicunSha256\"").unwrap();
            let end = start + text[start..].find(',').unwrap() + 1;
            let text = format!("{}{}", &text[..start], &text[end..])
                .replace(old, &name)
                .replace(
                    &format!("\\\"numRecords\\\":{n}"),
                    &format!("\\\"numRecords\\\":{}", n - 1),
                );
            let name = path.file_name().unwrap().to_str().unwrap();
            std::fs::write(&path, seal::seal_json(name, text.as_bytes())).unwrap();
            return;
        }
    }
    panic!("seq {seq} is nowhere");
}

#[test]
fn a_row_that_was_taken_out_with_all_hashes_mended_is_named() {
    let run = pulled(60);
    drop_a_row(&run, 25);
    let (kinds, rows) = told(&run);
    assert_eq!(
        kinds,
        BTreeSet::from(["index_extra".to_string(), "row_missing".to_string()]),
        "{rows:?}"
    );
    let missing = rows
        .iter()
        .find(|row| row["kind"] == "row_missing")
        .unwrap();
    let range = missing["seq_from"].as_i64().unwrap()..=missing["seq_to"].as_i64().unwrap();
    assert!(
        range.contains(&25) && missing["source"] == "wwtape",
        "{missing}"
    );
    let extra = rows
        .iter()
        .find(|row| row["kind"] == "index_extra")
        .unwrap();
    assert_eq!(
        (&extra["seq_from"], &extra["seq_to"]),
        (&25.into(), &25.into())
    );
}

#[test]
fn a_damaged_index_is_mended_by_reindex() {
    let run = pulled(40);
    let mut found = Vec::new();
    files(&run.data().join("index"), &mut found);
    let store = found
        .iter()
        .find(|f| f.extension().is_some_and(|e| e == "store"))
        .unwrap();
    let mut bytes = std::fs::read(store).unwrap();
    bytes[3] ^= 1;
    std::fs::write(store, bytes).unwrap();
    let (kinds, _) = told(&run);
    assert_eq!(kinds, BTreeSet::from(["index_damaged".to_string()]));
    let mended = run.run(&["reindex"]).ok().rows().remove(0);
    assert_eq!(
        (&mended["name"], &mended["n"]),
        (&"search_index".into(), &40.into())
    );
    assert_clean(&run);
}

#[test]
fn a_compaction_beside_a_following_pull_disturbs_neither() {
    use std::time::Duration;
    let run = pulled(60);
    run.configure("[pull]\npoll_seconds = 3600\n");
    let before = report(&run);
    assert_eq!((before.findings.as_slice(), before.n_rows), (&[][..], 60));
    let server = run.serve("run");
    let client = server.client(&run.token("all"));
    run.run(&["compact", "--all"]).ok();
    let refused = run.run(&["reindex"]);
    assert_eq!(refused.status, 1, "a pull holds the writer's lock");
    assert_clean(&run);
    // The index of the running process comes to cover the compaction's version.
    crate::support::wait_until(Duration::from_secs(20), "readiness", || {
        client.get("/readyz").status == 200
    });
    let found = client.get("/v1/search?q=%E4%BD%A0%E5%A5%BD&limit=100").ok();
    assert_eq!(found.items().len(), 60);
}

#[test]
fn kills_of_a_compaction_or_a_reindex_change_no_message() {
    let run = pulled(100);
    let mut dice = Dice(SEED);
    for kill in 0..10_u64 {
        let more: String = (0..5)
            .map(|n| {
                let seq = 1_000 + kill * 10 + n;
                text_line(seq, "e1", "wm1", 1_726_000_000_000 + seq as i64, "又一条")
            })
            .collect();
        let file = run.write("more.ndjson", &more);
        run.run(&["import", "messages", file.to_str().unwrap()])
            .ok();
        let arguments: &[&str] = match kill % 2 {
            0 => &["compact", "--all"],
            _ => &["reindex"],
        };
        let mut running = run.start(arguments);
        std::thread::sleep(std::time::Duration::from_millis(20 + dice.below(150)));
        running.kill();
        let found = report(&run);
        assert_eq!(found.findings, [], "kill {kill}");
        assert_eq!(found.n_rows, 100 + 5 * (kill + 1), "kill {kill}");
    }
    run.run(&["compact", "--all"]).ok();
    run.run(&["reindex"]).ok();
    assert_clean(&run);
    let found = run.run(&["search", "", "--limit", "0"]).ok().rows();
    assert_eq!(found.len(), 150);
}

#[test]
fn the_scrubber_goes_round_in_slices_and_finds_what_is_damaged() {
    let run = pulled(60);
    let home = Home::open(&run.data()).unwrap();
    let runtime = runtime();
    let round = || {
        let mut kinds = BTreeSet::new();
        for n in 1..200 {
            let slice = runtime.block_on(scrub(&home, 1));
            kinds.extend(slice.report.findings.iter().map(|f| f.kind));
            if slice.is_end_of_round {
                return (n, kinds);
            }
        }
        panic!("no end");
    };
    let (n_slices, kinds) = round();
    assert!(n_slices > 3 && kinds.is_empty(), "{n_slices} {kinds:?}");
    let file = live(&run).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[9] ^= 8;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(round().1, BTreeSet::from([Kind::FileChanged]));
}
