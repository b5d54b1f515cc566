//! What goes in and what comes out, in every format, through the binary.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use serde_json::{Value, json};

use crate::support::{Installation, text_line};

const AT: i64 = 1_727_712_000_000;
const TEXTS: [&str; 4] = [
    "退款，什么时候到账？",
    "=1+1, \"引号\"\n第二行",
    "价格 ¥99 👨‍👩‍👧",
    "𠮷野家 か\u{3099}",
];

fn five_messages() -> String {
    let line = |i: usize| {
        let at = AT + i as i64 * 1000;
        text_line(i as u64 + 1, "zhang", "wmanna", at, TEXTS[i])
    };
    (0..TEXTS.len()).map(line).collect()
}

fn imported(lines: &str) -> Installation {
    let run = Installation::new();
    run.run_with_input(&["import", "messages", "-"], lines.as_bytes())
        .ok();
    run
}

/// The summary of an import from stdin.
#[track_caller]
fn import(run: &Installation, more: &[&str], lines: &str) -> (i32, Value) {
    let arguments = [&["import", "messages", "-"], more].concat();
    let ran = run.run_with_input(&arguments, lines.as_bytes());
    let summary = ran.rows().into_iter().next().unwrap_or_default();
    (ran.status, summary)
}

fn summary(lines: u64, archived: u64, quarantined: u64, duplicates: u64) -> Value {
    json!({
        "lines": lines, "archived": archived,
        "quarantined": quarantined, "duplicates": duplicates, "resumed": 0,
    })
}

fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["text"].as_str().unwrap())
        .collect()
}

#[test]
fn json_ndjson_and_files_hold_the_same_rows() {
    let run = imported(&five_messages());
    let conversation = ["conversation", "wmanna|zhang"];
    let rows = run.run(&conversation).ok().rows();
    assert_eq!(texts(&rows), TEXTS);
    let json = run.run(&[&conversation[..], &["--format", "json"]].concat());
    let array: Value = serde_json::from_str(&json.ok().stdout).unwrap();
    assert_eq!(array, Value::Array(rows.clone()));
    // A file's ending names its format.
    let file = run.path("answer.ndjson");
    let into_file = [&conversation[..], &["-o", file.to_str().unwrap()]].concat();
    assert_eq!(run.run(&into_file).ok().stdout, "");
    let written = std::fs::read_to_string(file).unwrap();
    let written: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(written, rows);
}

#[test]
fn csv_keeps_every_text_and_disarms_formulas() {
    let run = imported(&five_messages());
    let csv = run
        .run(&["conversation", "wmanna|zhang", "--format", "csv"])
        .ok()
        .stdout;
    let mut reader = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    let at = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "text")
        .unwrap();
    let found: Vec<String> = reader
        .records()
        .map(|record| record.unwrap()[at].to_string())
        .collect();
    for (found, text) in found.iter().zip(TEXTS) {
        assert_eq!(found.trim_start_matches('\''), text);
        assert!(!found.starts_with('='), "a spreadsheet would run it");
    }
    assert_eq!(found.len(), TEXTS.len());
}

#[test]
fn a_table_for_reading_has_headings_in_both_languages() {
    let run = imported(&five_messages());
    let arguments = ["conversation", "wmanna|zhang", "--format", "table"];
    let zh = run.run(&arguments).ok().stdout;
    assert!(zh.contains("内容") && zh.contains("退款"), "{zh}");
    let en = run.run(&[&arguments[..], &["--language", "en"]].concat());
    assert!(en.ok().stdout.contains("Text"));
}

#[test]
fn xlsx_is_a_workbook_with_every_text() {
    let run = imported(&five_messages());
    let file = run.path("answer.xlsx");
    run.run(&[
        "conversation",
        "wmanna|zhang",
        "--format",
        "xlsx",
        "-o",
        file.to_str().unwrap(),
    ])
    .ok();
    let mut book = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut strings = String::new();
    book.by_name("xl/sharedStrings.xml")
        .unwrap()
        .read_to_string(&mut strings)
        .unwrap();
    for text in TEXTS {
        let text = text.lines().next().unwrap().replace('"', "&quot;");
        let plain = text.replace("&quot;", "\"");
        assert!(
            strings.contains(&text) || strings.contains(&plain),
            "{text}"
        );
    }
}

#[test]
fn parquet_has_typed_columns_and_every_text() {
    let run = imported(&five_messages());
    let file = run.path("answer.parquet");
    run.run(&[
        "conversation",
        "wmanna|zhang",
        "--format",
        "parquet",
        "-o",
        file.to_str().unwrap(),
    ])
    .ok();
    let batch = read_parquet(&file);
    let text: &StringArray = batch.column_by_name("text").unwrap().as_string();
    assert_eq!(text.iter().flatten().collect::<Vec<_>>(), TEXTS);
    let at = batch.column_by_name("at").unwrap();
    assert!(matches!(
        at.data_type(),
        arrow::datatypes::DataType::Timestamp(..)
    ));
}

fn read_parquet(file: &Path) -> RecordBatch {
    let file = std::fs::File::open(file).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    reader.unwrap().build().unwrap().next().unwrap().unwrap()
}

#[test]
fn every_list_and_report_can_be_had_in_every_format() {
    let run = imported(&five_messages());
    for question in [
        &["search", ""][..],
        &["conversation", "wmanna|zhang"],
        &["dialogues"],
        &["timeouts"],
        &["contacts"],
        &["report", "employees", "--by", "day"],
        &["sql", "SELECT * FROM messages"],
        &["token", "list"],
    ] {
        for format in ["table", "json", "ndjson", "csv", "xlsx", "parquet"] {
            let file = run.path(&format!("answer.{format}"));
            let to = ["--format", format, "-o", file.to_str().unwrap()];
            run.run(&[question, &to].concat()).ok();
            assert!(file.exists(), "{question:?} as {format}");
        }
    }
}

#[test]
fn messages_come_from_stdin_and_packed_files_alike() {
    let run = imported(&five_messages());
    let expected = run.run(&["search", ""]).ok().stdout;
    let plain = five_messages();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    for (name, bytes) in [
        ("m.ndjson", plain.into_bytes()),
        ("m.ndjson.gz", gzip),
        ("m.ndjson.zst", zstd),
    ] {
        let run = Installation::new();
        let file = run.path(name);
        std::fs::write(&file, &bytes).unwrap();
        let done = run
            .run(&["import", "messages", file.to_str().unwrap()])
            .ok();
        assert_eq!(done.rows(), [summary(4, 4, 0, 0)], "{name}");
        assert_eq!(run.run(&["search", ""]).ok().stdout, expected, "{name}");
        // Packed bytes are known by their beginning, so a pipe may carry them too.
        let piped = run
            .run_with_input(&["import", "messages", "-"], &bytes)
            .ok();
        assert_eq!(piped.rows(), [summary(4, 0, 0, 4)], "{name}");
    }
}

#[test]
fn importing_twice_changes_nothing() {
    let run = imported(&five_messages());
    let before = run.contents();
    assert_eq!(
        import(&run, &[], &five_messages()),
        (0, summary(4, 0, 0, 4))
    );
    assert!(before == run.contents());
}

#[test]
fn lines_that_cannot_be_read_are_kept_counted_and_told() {
    let good = text_line(1, "zhang", "wmanna", AT, "你好");
    let lines = format!(
        "{good}{{\"msgid\":\n\n[1,2]\n{{\"msgid\":\"x\",\"action\":\"send\"}}\n{}",
        text_line(2, "zhang", "wmanna", AT, "再见")
    );
    let run = Installation::new();
    assert_eq!(import(&run, &[], &lines), (0, summary(5, 2, 3, 0)));
    let kept = "SELECT seq, reason, arrow_cast(envelope, 'Utf8') AS line FROM messages \
                WHERE status = 'quarantined' ORDER BY seq";
    let rows = run.run(&["sql", kept]).ok().rows();
    let lines: Vec<&str> = rows
        .iter()
        .map(|row| row["line"].as_str().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "{\"msgid\":",
            "[1,2]",
            "{\"msgid\":\"x\",\"action\":\"send\"}"
        ]
    );
    assert!(rows.iter().all(|row| row["reason"].is_string()));
    // What cannot be read is no message: it is not found and not counted.
    assert_eq!(run.run(&["search", ""]).ok().rows().len(), 2);
}

#[test]
fn strict_imports_the_rest_and_fails() {
    let run = Installation::new();
    let lines = format!("nonsense\n{}", five_messages());
    let ran = run.run_with_input(&["import", "messages", "-", "--strict"], lines.as_bytes());
    assert_eq!(ran.status, 1);
    assert!(
        ran.stderr.contains("error: 1 lines could not be read"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.rows(), [summary(5, 4, 1, 0)]);
    assert_eq!(import(&run, &["--strict"], &five_messages()).0, 0);
}

/// A message as the SDK gives it, without envelope.
fn bare(msgid: &str, text: &str) -> String {
    json!({
        "msgid": msgid, "action": "send", "from": "zhang", "tolist": ["wmanna"],
        "roomid": "", "msgtime": AT, "msgtype": "text", "text": {"content": text},
    })
    .to_string()
        + "\n"
}

fn seqs(run: &Installation) -> Vec<(i64, String)> {
    let sql = "SELECT seq, msgid FROM messages ORDER BY seq, msgid";
    let rows = run.run(&["sql", sql]).ok().rows();
    rows.iter()
        .map(|row| {
            (
                row["seq"].as_i64().unwrap(),
                row["msgid"].as_str().unwrap().to_string(),
            )
        })
        .collect()
}

#[test]
fn a_line_without_seq_is_numbered_from_the_highest_before_the_import_and_its_line() {
    let run = Installation::new();
    let with_seq = |seq: u64, id: &str| {
        let message: Value = serde_json::from_str(&bare(id, "x")).unwrap();
        json!({"seq": seq, "message": message}).to_string() + "\n"
    };
    // Line 1 empty, 2 without seq, 3 with a high seq, 4 unreadable, 5 without.
    let lines = format!(
        "\n{}{}?\n{}",
        bare("b", "x"),
        with_seq(900, "c"),
        bare("e", "x")
    );
    import(&run, &[], &lines);
    let found = seqs(&run);
    let expected = [(2, "b"), (4, ""), (5, "e"), (900, "c")];
    assert_eq!(found, expected.map(|(seq, id)| (seq, id.to_string())));
    // The next import counts from there; what is present keeps its first seq.
    let lines = format!("{}{}{}", bare("b", "x"), bare("f", "x"), with_seq(7, "g"));
    import(&run, &[], &lines);
    let expected = [
        (2, "b"),
        (4, ""),
        (5, "e"),
        (7, "g"),
        (900, "c"),
        (902, "f"),
    ];
    assert_eq!(seqs(&run), expected.map(|(seq, id)| (seq, id.to_string())));
}

#[test]
fn lines_are_numbered_on_over_several_files() {
    let run = Installation::new();
    let first = run.write("1.ndjson", &(bare("a", "x") + &bare("b", "x")));
    let second = run.write("2.ndjson", &bare("c", "x"));
    let [first, second] = [&first, &second].map(|path| path.to_str().unwrap());
    run.run(&["import", "messages", first, second]).ok();
    let expected = [(1, "a"), (2, "b"), (3, "c")];
    assert_eq!(seqs(&run), expected.map(|(seq, id)| (seq, id.to_string())));
}

#[test]
fn the_same_msgid_with_other_content_is_quarantined_as_a_conflict() {
    let run = imported(&bare("a", "原文"));
    assert_eq!(
        import(&run, &[], &bare("a", "改过")),
        (0, summary(1, 0, 1, 0))
    );
    // Again changes nothing: the conflict is known.
    assert_eq!(
        import(&run, &[], &bare("a", "改过")),
        (0, summary(1, 0, 0, 1))
    );
    let rows = run.run(&["search", ""]).ok().rows();
    assert_eq!(texts(&rows), ["原文"]);
    let kept = "SELECT msgid, reason FROM messages WHERE status = 'quarantined'";
    let rows = run.run(&["sql", kept]).ok().rows();
    assert_eq!(rows, [json!({"msgid": "a", "reason": "conflict"})]);
}

#[test]
fn what_a_pull_brings_and_an_import_repeats_is_one_message() {
    let run = Installation::new();
    run.tape_of(&five_messages());
    run.run(&["pull", "--once"]).ok();
    assert_eq!(
        import(&run, &[], &five_messages()),
        (0, summary(4, 0, 0, 4))
    );
}

const EMPLOYEES: &str = "SELECT * FROM employees ORDER BY userid";

fn import_directory(run: &Installation, path: &Path) -> Vec<Value> {
    run.run(&["import", "directory", path.to_str().unwrap()])
        .ok()
        .rows()
}

fn employees_parquet(file: &Path) {
    let mut departments = ListBuilder::new(StringBuilder::new());
    departments.append_value([Some("10"), Some("20")]);
    departments.append_value([] as [Option<&str>; 0]);
    let left = vec![None, Some(AT)];
    let batch = RecordBatch::try_from_iter([
        (
            "userid",
            Arc::new(StringArray::from(vec!["li", "zhang"])) as ArrayRef,
        ),
        ("name", Arc::new(StringArray::from(vec!["李四", "张三"]))),
        ("departments", Arc::new(departments.finish())),
        (
            "left_at",
            Arc::new(TimestampMillisecondArray::from(left).with_timezone("UTC")),
        ),
    ])
    .unwrap();
    let file = std::fs::File::create(file).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_directory_is_the_same_from_ndjson_csv_and_parquet() {
    let mut answers = Vec::new();
    for ending in ["ndjson", "csv", "parquet"] {
        let run = imported(&five_messages());
        let file = match ending {
            "ndjson" => run.write(
                "employees.ndjson",
                "{\"userid\":\"zhang\",\"name\":\"张三\",\"departments\":[],\"left_at\":\"2024-10-01T00:00:00+08:00\"}\n\
                 {\"departments\":[\"10\",\"20\"],\"userid\":\"li\",\"name\":\"李四\",\"left_at\":null}\n",
            ),
            "csv" => run.write(
                "employees.csv",
                "\u{feff}userid,name,departments,left_at\r\nli,李四,10|20,\r\nzhang,张三,,1727712000\r\n",
            ),
            _ => {
                let file = run.path("employees.parquet");
                employees_parquet(&file);
                file
            }
        };
        let done = import_directory(&run, file.parent().unwrap());
        let expected = json!({"table": "employees", "inserted": 2, "updated": 0, "total": 2});
        assert_eq!(done, [expected], "{ending}");
        answers.push(run.run(&["sql", EMPLOYEES]).ok().rows());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0][0]["departments"], json!(["10", "20"]));
    assert_eq!(answers[0][1]["left_at"], "2024-10-01T00:00:00.000+08:00");
}

#[test]
fn directory_rows_are_upserted_by_their_key() {
    let run = imported(&five_messages());
    let file = run.write(
        "employees.csv",
        "userid,name,departments,position\na,A,1,老板\nb,B,1,\n",
    );
    import_directory(&run, &file);
    let file = run.write(
        "employees.csv",
        "userid,name,departments\nb,B2,2\nc,C,1\nc,C2,1\n",
    );
    let done = import_directory(&run, &file);
    let expected = json!({"table": "employees", "inserted": 1, "updated": 1, "total": 3});
    assert_eq!(done, [expected]);
    let rows = run.run(&["sql", EMPLOYEES]).ok().rows();
    let names: Vec<&Value> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["A", "B2", "C2"]);
    assert_eq!(rows[0]["position"], "老板");
}
