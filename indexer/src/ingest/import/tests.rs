//! An import that was interrupted goes on where it was, with the numbers that it would have given.

use huicun_engine::archive::messages;

use super::*;
use crate::index::IndexError;

const SMALL: Portions = Portions {
    block_bytes: 2000,
    commit_rows: 100,
    rows_per_day: 1,
};

fn lines(n: usize) -> String {
    (0..n)
        .map(|i| {
            format!(
                r#"{{"msgid":"m{i}","action":"send","from":"a","tolist":["b"],"msgtime":{},"msgtype":"text","text":{{"content":"第{i}条"}}}}"#,
                1_700_000_000_000_i64 + i as i64
            ) + "\n"
        })
        .collect()
}

/// All (seq, msgid), ascending.
async fn rows(home: &Home) -> Vec<(i64, String)> {
    use arrow::array::AsArray;
    let table = messages::open(home).await.unwrap().unwrap();
    let mut rows = Vec::new();
    for file in table.files() {
        for batch in table.read_file(&file, &["seq", "msgid"]).await.unwrap() {
            let seqs = batch.column_by_name("seq").unwrap();
            let seqs = seqs.as_primitive::<arrow::datatypes::Int64Type>().clone();
            let msgids = batch.column_by_name("msgid").unwrap();
            let msgids = msgids.as_string::<i32>();
            rows.extend((0..batch.num_rows()).map(|i| (seqs.value(i), msgids.value(i).into())));
        }
    }
    rows.sort();
    rows
}

async fn run(home: &Home, file: &Path, stop_after: u64) -> Result<Summary, ImportError> {
    let mut progress = |so_far: &Progress| {
        assert!(so_far.summary.archived < stop_after, "interrupted");
    };
    let files = [file.to_path_buf()];
    loop {
        let zone = Zone::default();
        let done = import_by(SMALL, home, &files, "corp", zone, 1, &mut progress).await;
        // What a panic leaves in this process, a kill does not: the index's thread, still closing.
        match done {
            Err(ImportError::Sink(SinkError::Index(IndexError::Tantivy(_)))) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            done => return done,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, lines(1000)).unwrap();
    let whole = Home::open_or_create(&dir.path().join("whole")).unwrap();
    run(&whole, &file, u64::MAX).await.unwrap();
    let home = Home::open_or_create(&dir.path().join("data")).unwrap();
    let (again, path) = (home.clone(), file.clone());
    let killed = tokio::spawn(async move { run(&again, &path, 300).await.map(|_| ()) }).await;
    assert!(killed.is_err());
    let n_before = rows(&home).await.len() as u64;
    assert!((300..1000).contains(&n_before), "{n_before}");

    let summary = run(&home, &file, u64::MAX).await.unwrap();
    assert_eq!((summary.lines, summary.duplicates), (1000, 0));
    assert_eq!(summary.resumed, n_before);
    assert_eq!(summary.archived, 1000 - n_before);
    assert_eq!(rows(&home).await, rows(&whole).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_import_is_no_interrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, lines(250)).unwrap();
    let home = Home::open_or_create(&dir.path().join("data")).unwrap();
    run(&home, &file, u64::MAX).await.unwrap();
    let version = |table: Option<huicun_engine::archive::Table>| table.unwrap().version();
    let before = version(messages::open(&home).await.unwrap());
    let summary = run(&home, &file, u64::MAX).await.unwrap();
    assert_eq!((summary.resumed, summary.duplicates), (0, 250));
    assert_eq!(version(messages::open(&home).await.unwrap()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_do_not_go_on_with_an_import() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&dir.path().join("data")).unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, lines(500)).unwrap();
    let (again, path) = (home.clone(), file.clone());
    let killed = tokio::spawn(async move { run(&again, &path, 100).await.map(|_| ()) }).await;
    assert!(killed.is_err());
    std::fs::write(&file, lines(501)).unwrap();
    let summary = run(&home, &file, u64::MAX).await.unwrap();
    assert_eq!(summary.resumed, 0);
    assert_eq!(summary.archived + summary.duplicates, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_mended_in_the_middle_is_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&dir.path().join("data")).unwrap();
    let file = dir.path().join("messages.ndjson");
    // Longer than both ends that are looked at.
    let damaged = lines(2000).replace(r#"{"msgid":"m700","#, r#"{"msgid";"m700","#);
    std::fs::write(&file, &damaged).unwrap();
    let (again, path) = (home.clone(), file.clone());
    let killed = tokio::spawn(async move { run(&again, &path, 1000).await.map(|_| ()) }).await;
    assert!(killed.is_err());
    let mended = damaged.replace(r#"{"msgid";"#, r#"{"msgid":"#);
    assert_eq!(mended.len(), damaged.len());
    std::fs::write(&file, mended).unwrap();
    run(&home, &file, u64::MAX).await.unwrap();
    let rows = rows(&home).await;
    let there = rows.iter().filter(|(_, msgid)| msgid == "m700").count();
    assert_eq!(there, 1, "the mended line was passed by");
}
