//! What huicun refuses: one clear message, the contract's exit status, nothing changed, and no
//! secret in what it says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Installation, Ran, text_line, wait_until};

/// Never to be seen on stderr.
const SECRETS: [&str; 3] = ["tape-secret", "another-secret", "MIIE"];

/// A small archive that was pulled from a tape.
fn pulled() -> Installation {
    let run = Installation::new();
    let mut lines = String::new();
    for seq in 1..=20 {
        let at = 1_727_712_000_000 + seq as i64 * 60_000;
        lines += &text_line(seq, "zhang", "wmanna", at, &format!("第{seq}条"));
    }
    run.tape_of(&lines);
    run.run(&["pull", "--once"]).ok();
    run
}

/// One error line with all `words`, an optional hint, the status, and nothing else.
#[track_caller]
fn assert_refusal(ran: &Ran, status: i32, words: &[&str]) {
    let said = &ran.stderr;
    assert_eq!(ran.status, status, "{said}");
    assert_eq!(ran.stdout, "", "{said}");
    let (error, hint) = said.split_once("\n\nhint: ").unwrap_or((said, "x\n"));
    assert!(error.starts_with("error: "), "{said}");
    assert!(error.trim_end().lines().count() <= 2, "{said}");
    let n_errors = said.lines().filter(|l| l.starts_with("error: ")).count();
    assert_eq!(n_errors, 1, "{said}");
    assert!(!hint.trim_end().is_empty(), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
}

/// Runs it, checks the refusal, and that the data directory is what it was.
#[track_caller]
fn refuses(run: &Installation, arguments: &[&str], status: i32, words: &[&str]) {
    let before = run.contents();
    let ran = run.run(arguments);
    assert_refusal(&ran, status, words);
    let after = run.contents();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path)
        .collect();
    assert!(changed.is_empty(), "{arguments:?} changed {changed:?}");
    assert_eq!(before.len(), after.len(), "{arguments:?} removed files");
}

/// A pull with this configuration is refused, on an archive and where there is none yet.
#[track_caller]
fn refuses_to_pull_with(run: &Installation, configuration: &str, words: &[&str]) {
    run.write("huicun.toml", configuration);
    for data in ["data", "none-yet"] {
        let folder = run.path(data);
        let folder = folder.to_str().unwrap();
        for command in [
            &["pull", "--once"][..],
            &["pull"],
            &["run", "--listen", "127.0.0.1:0"],
        ] {
            let arguments = [&["--data", folder], command].concat();
            let before = run.contents();
            let ran = run.command_without_data().args(&arguments).output();
            assert_refusal(&ran.unwrap().into(), 1, words);
            assert!(before == run.contents(), "{command:?} changed something");
        }
    }
    assert!(!run.path("none-yet").exists(), "a data directory was made");
}

fn library() -> String {
    let path = huicun_tape::testing::simulator_library();
    path.to_str().unwrap().to_string()
}

fn corp(library: &str, more: &str) -> String {
    format!(
        "[[corp]]\ncorpid = \"wwtape\"\nsdk_library = \"{library}\"\n{more}\n\
         [corp.keys]\n1 = \"tape/keys/v1.pem\"\n"
    )
}

const SECRET: &str = "secret = \"tape-secret\"";

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let run = pulled();
    std::fs::remove_file(run.path("huicun.toml")).unwrap();
    let words = ["cannot read the configuration", "huicun.toml", "--config"];
    refuses(&run, &["pull"], 1, &words);
}

#[test]
fn a_wrong_configuration_is_refused_by_name_and_line() {
    let run = pulled();
    let library = library();
    let good = corp(&library, SECRET);
    for (text, words) in [
        (
            good.replace("corpid", "corpidd"),
            &["line 2", "`corpidd`"][..],
        ),
        (format!("{good}[pul]\n"), &["line 7", "`pul`"]),
        (
            format!("{good}[pull]\npage_record = 5\n"),
            &["line 8", "`page_record`"],
        ),
        (
            format!("{good}[pull]\npage_records = 1001\n"),
            &["`pull.page_records` is 1001", "1 to 1000"],
        ),
        ("[[corp]]\nsecret = \"tape-secret\" \"".into(), &["line 2"]),
        (
            corp(&library, ""),
            &["`wwtape`", "`secret`", "`secret_file`"],
        ),
        (
            corp(&library, "secret = \"\""),
            &["`secret` of `wwtape` is empty"],
        ),
        (
            corp(&library, &format!("{SECRET}\nsecret_file = \"x\"")),
            &["both `secret` and `secret_file`"],
        ),
        (
            corp(&library, "secret_file = \"no-such-file\""),
            &["`secret_file`", "no-such-file"],
        ),
        (format!("{good}{good}"), &["two [[corp]]", "`wwtape`"]),
        (String::new(), &["no [[corp]]"]),
        (good.replace("wwtape", "../etc"), &["`../etc`", "letters"]),
        (
            good.replace("1 = \"tape", "one = \"tape"),
            &["`keys.one`", "whole number"],
        ),
    ] {
        refuses_to_pull_with(&run, &text, words);
    }
}

#[test]
fn a_private_key_that_is_none_is_named() {
    let run = pulled();
    let good = corp(&library(), SECRET);
    run.write("keys/text.pem", "hello");
    run.write(
        "keys/public.pem",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    );
    run.write(
        "keys/bad.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    for (file, words) in [
        (
            "keys/none.pem",
            &["cannot read private key", "none.pem"][..],
        ),
        ("keys/text.pem", &["text.pem", "expected a PEM private key"]),
        ("keys/public.pem", &["public.pem", "it is the public key"]),
        ("keys/bad.pem", &["bad.pem", "not an RSA private key"]),
    ] {
        refuses_to_pull_with(&run, &good.replace("tape/keys/v1.pem", file), words);
    }
}

#[test]
fn a_library_that_is_not_the_sdk_is_told_apart() {
    let run = pulled();
    run.write("hello.so", "hello");
    run.write("windows.dll", "MZ\u{1}");
    run.write(
        "jni.c",
        "long Java_com_tencent_wework_Finance_NewSdk(void *e, void *c) { return 0; }",
    );
    let jni = run.path("jni.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&jni)
        .arg(run.path("jni.c"))
        .status();
    assert!(compiled.unwrap().success());
    for (file, words) in [
        ("none.so", &["no SDK library at", "none.so", "91774"][..]),
        ("hello.so", &["hello.so", "not a Linux shared library"]),
        (
            "windows.dll",
            &["windows.dll", "not a Linux shared library"],
        ),
        ("jni.so", &["Java (JNI) build", "请改用 C 版"]),
    ] {
        refuses_to_pull_with(&run, &corp(file, SECRET), words);
    }
}

#[test]
fn a_secret_that_wecom_refuses_is_answered_with_advice() {
    let run = pulled();
    let wrong = corp(&library(), "secret = \"another-secret\"");
    run.write("huicun.toml", &wrong);
    let words = ["40001", "`wwtape`", "会话内容存档", "trusted IPs"];
    // What WeCom said is written down for the doctor; nothing else changes.
    let archive = |run: &Installation| {
        let mut found = run.contents();
        found.retain(|path, _| !path.to_string_lossy().contains("state.db"));
        found
    };
    for arguments in [&["pull", "--once"][..], &["pull"]] {
        let before = archive(&run);
        assert_refusal(&run.run(arguments), 1, &words);
        assert_eq!(archive(&run), before, "{arguments:?}");
    }
}

#[test]
fn a_tape_that_cannot_be_played_is_refused() {
    let run = pulled();
    let cut = run.path("cut");
    copy(&run.tape(), &cut);
    let records = std::fs::read_dir(cut.join("records")).unwrap();
    for file in records.map(|e| e.unwrap().path()) {
        let half = std::fs::metadata(&file).unwrap().len() / 2;
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_len(half).unwrap();
    }
    run.write("foreign/photo.jpg", "x");
    for (tape, why) in [
        ("no-such-tape", "the folder does not exist"),
        ("foreign", "is not a tape"),
        ("cut", "is truncated"),
    ] {
        for data in ["data", "none-yet"] {
            let before = run.contents();
            let ran: Ran = run
                .command_without_data()
                .arg("--data")
                .arg(run.path(data))
                .env("FINANCE_SDK_TAPE", run.path(tape))
                .args(["pull", "--once"])
                .output()
                .unwrap()
                .into();
            assert_eq!(ran.status, 1, "{}", ran.stderr);
            // The simulator, like a real library, prints what it likes before our one message.
            assert!(ran.stderr.contains(why), "{}", ran.stderr);
            let ours = ran.stderr.find("error: ").unwrap_or_default();
            let ours = Ran {
                stderr: ran.stderr[ours..].to_string(),
                ..ran
            };
            assert_refusal(&ours, 1, &["cannot pull from WeCom", "hint: "]);
            assert!(before == run.contents());
            assert!(!run.path("none-yet").exists());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => drop(std::fs::copy(&from, &to).unwrap()),
        }
    }
}

#[test]
fn a_tape_is_made_into_a_new_folder_only() {
    let run = pulled();
    let (file, tape) = (run.path("messages.ndjson"), run.tape());
    let (file, tape) = (file.to_str().unwrap(), tape.to_str().unwrap());
    let words = ["is not empty", "a tape wants a new folder"];
    refuses(&run, &["tape", "make", file, "-o", tape], 1, &words);
    refuses(
        &run,
        &["tape", "make", "/no/such.ndjson", "-o", "x"],
        1,
        &["/no/such.ndjson"],
    );
}

#[test]
fn the_second_writer_is_refused_politely_and_told_who_writes() {
    let run = pulled();
    // What the first pull does by the way would look like a change by the second.
    run.configure("[media]\nenabled = false\n");
    let file = run.path("messages.ndjson");
    let file = file.to_str().unwrap();
    let mut first = run.start(&["pull"]);
    let lock = run.data().join("writer.lock");
    let holder = format!("huicun pull (process {})", first.id());
    wait_until(Duration::from_secs(20), "the first pull's lock", || {
        assert!(first.is_running());
        std::fs::read_to_string(&lock).is_ok_and(|text| text.trim() == holder)
    });
    let words = ["is in use", holder.as_str(), "hint: "];
    refuses(&run, &["pull"], 1, &words);
    refuses(&run, &["pull", "--once"], 1, &words);
    refuses(&run, &["run", "--listen", "127.0.0.1:0"], 1, &words);
    refuses(&run, &["import", "messages", file], 1, &words);
    // Questions need no lock.
    assert_eq!(run.run(&["search", "第"]).ok().rows().len(), 20);
    assert!(first.is_running(), "the first pull was disturbed");
    first.terminate();
    assert!(first.wait(Duration::from_secs(10)).success());
    run.run(&["pull", "--once"]).ok();
}

const ALL_COMMANDS: [&[&str]; 12] = [
    &["pull", "--once"],
    &["import", "messages", "-"],
    &["search", "x"],
    &["conversation", "a|b"],
    &["dialogues"],
    &["report", "employees"],
    &["sql", "SELECT 1"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["run", "--listen", "127.0.0.1:0"],
    &["rules", "show"],
    &["token", "create", "--name", "x"],
    &["token", "list"],
];

#[test]
fn a_foreign_folder_is_left_alone() {
    let run = pulled();
    std::fs::remove_dir_all(run.data()).unwrap();
    run.write("data/photo.jpg", "x");
    let words = ["is not a huicun data directory", "--data"];
    for arguments in ALL_COMMANDS {
        refuses(&run, arguments, 1, &words);
    }
    let directory = run.write("employees.csv", "userid,name,departments\na,A,1\n");
    let rules = run.write("rules.toml", "[dialogue]\nsingle_gap_minutes = 5\n");
    let [directory, rules] = [&directory, &rules].map(|path| path.to_str().unwrap());
    refuses(&run, &["import", "directory", directory], 1, &words);
    refuses(&run, &["rules", "apply", rules], 1, &words);
}

#[test]
fn a_later_or_damaged_data_directory_is_left_alone() {
    let run = pulled();
    let later = r#"{"product":"huicun","format":99,"created_by":"9.0.0"}"#;
    run.write("data/huicun.json", later);
    for arguments in ALL_COMMANDS {
        refuses(&run, arguments, 1, &["has data format 99", "reads up to 1"]);
    }
    run.write("data/huicun.json", "{");
    for arguments in ALL_COMMANDS {
        refuses(&run, arguments, 1, &["is damaged", "backup"]);
    }
    run.write("data/huicun.json", &later.replace("huicun", "other"));
    refuses(
        &run,
        &["search", "x"],
        1,
        &["is not a huicun data directory"],
    );
}

#[test]
fn questions_to_an_archive_that_is_not_there_make_none() {
    let run = Installation::new();
    for arguments in [
        &["search", "x"][..],
        &["conversation", "a|b"],
        &["dialogues"],
        &["report", "employees"],
        &["sql", "SELECT 1"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["token", "list"],
    ] {
        refuses(
            &run,
            arguments,
            1,
            &["there is no archive in", "huicun import"],
        );
        assert!(!run.data().exists(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_directory_feed_changes_nothing() {
    let run = pulled();
    run.write("good/employees.csv", "userid,name,departments\na,张,1\n");
    let good = run.path("good");
    run.run(&["import", "directory", good.to_str().unwrap()])
        .ok();
    for (name, content, words) in [
        (
            "employees.csv",
            "userid,name,departments,shoe_size\nb,B,1,42\n",
            &["line 1", "unknown column `shoe_size`", "`employees`"][..],
        ),
        (
            "employees.ndjson",
            "{\"userid\":\"b\",\"name\":\"B\",\"departments\":[]}\n{\"userid\":\"c\",\"shoe_size\":42}\n",
            &["line 2", "unknown column `shoe_size`"],
        ),
        (
            "employees.ndjson",
            "{\"userid\":\"b\"}\n",
            &["line 1", "`name`", "is missing"],
        ),
        (
            "employees.csv",
            "userid,departments\nb,1\n",
            &["`name`", "is missing"],
        ),
        (
            "employees.ndjson",
            "{\"userid\":\"b\",\"name\":\"B\",\"departments\":\"1\"}\n",
            &["line 1", "`departments`"],
        ),
        (
            "employees.ndjson",
            "{\"userid\":\"b\",\"name\":\"B\",\"departments\":[],\"status\":\"asleep\"}\n",
            &["line 1", "`status`", "active"],
        ),
        (
            "employees.ndjson",
            "{\"userid\":\n",
            &["line 1", "not a JSON object"],
        ),
        (
            "persons.csv",
            "userid\nb\n",
            &["no directory table `persons`", "`employees`"],
        ),
        (
            "employees.txt",
            "userid\nb\n",
            &["employees.txt", ".ndjson"],
        ),
        (
            "employees.parquet",
            "PAR1",
            &["cannot read", "employees.parquet"],
        ),
    ] {
        let file = run.write(name, content);
        // A good file beside it is not taken either: all or nothing.
        let customers = run.write("customers.csv", "external_userid,name\nwmanna,安娜\n");
        let paths = [&customers, &file].map(|path| path.to_str().unwrap());
        refuses(&run, &["import", "directory", paths[0], paths[1]], 1, words);
        std::fs::remove_file(file).unwrap();
    }
    refuses(&run, &["import", "directory", "/no/such"], 1, &["/no/such"]);
}

#[test]
fn what_is_refused_makes_no_data_directory() {
    let run = Installation::new();
    let employees = run.write("employees.csv", "userid,shoe_size\na,42\n");
    let rules = run.write("rules.toml", "[dialog]\n");
    let empty = run.write("empty/readme.txt", "x");
    for (arguments, path) in [
        (["import", "directory"], employees.as_path()),
        (["import", "directory"], empty.parent().unwrap()),
        (["import", "messages"], empty.parent().unwrap()),
        (["rules", "apply"], &rules),
    ] {
        let ran = run.command().args(arguments).arg(path).output().unwrap();
        assert_refusal(&ran.into(), 1, &[]);
        assert!(!run.data().exists(), "{arguments:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_before_anything_is_imported() {
    let run = pulled();
    let good = run.write(
        "new.ndjson",
        &text_line(99, "li", "wmanna", 1_727_712_000_000, "新"),
    );
    let good = good.to_str().unwrap();
    let words = ["there is no file", "/no/such"];
    refuses(&run, &["import", "messages", good, "/no/such"], 1, &words);
    let packed = zstd::encode_all(std::fs::read(good).unwrap().as_slice(), 3).unwrap();
    let cut = run.path("cut.ndjson.zst");
    std::fs::write(&cut, &packed[..packed.len() / 2]).unwrap();
    let cut = cut.to_str().unwrap();
    refuses(&run, &["import", "messages", cut], 1, &["cannot read", cut]);
    let folder = run.path("tape");
    let folder = folder.to_str().unwrap();
    refuses(&run, &["import", "messages", good, folder], 1, &[folder]);
}

#[test]
fn wrong_questions_are_wrong_usage() {
    let run = pulled();
    let (xlsx, parquet) = (["--format", "xlsx"], ["--format", "parquet"]);
    for (arguments, words) in [
        (
            &["report", "employees", "--from", "2024-13-01"][..],
            &["`2024-13-01` is no day", "YYYY-MM-DD"][..],
        ),
        (
            &["report", "employees", "--from", "2024-1-1"],
            &["`2024-1-1` is no day"],
        ),
        (&["dialogues", "--to", "today"], &["`today` is no day"]),
        (
            &["search", "x", "--from", "2023-02-29"],
            &["`2023-02-29` is no day"],
        ),
        (
            &["dialogues", "--from", "2024-10-02", "--to", "2024-10-01"],
            &["ends on 2024-10-01", "begins on 2024-10-02"],
        ),
        (
            &[
                "report",
                "employees",
                "--from",
                "2024-10-02",
                "--to",
                "2024-10-01",
            ],
            &["ends on 2024-10-01"],
        ),
        (
            &["search", "x", "--from", "2024-10-02", "--to", "2024-10-01"],
            &["ends on 2024-10-01"],
        ),
        (
            &[
                "conversation",
                "wmanna|zhang",
                "--from",
                "2024-10-02",
                "--to",
                "2024-10-01",
            ],
            &["ends on 2024-10-01"],
        ),
        (
            &["report", "employees", "--metrics", "dialogues,happiness"],
            &["unknown metric `happiness`", "dialogues, "],
        ),
        (&["report", "employees", "--by", "year"], &["`year`", "day"]),
        (
            &["search", "好 \"没有"],
            &["the quote is not closed at character 3"],
        ),
        (
            &["search", "OR 好"],
            &["`OR` needs a literal before it at character 1"],
        ),
        (
            &["search", "x", "--kind", "loud"],
            &["`loud`", "single_external"],
        ),
        (&["search", "x", xlsx[0], xlsx[1]], &["xlsx", "-o FILE"]),
        (
            &["sql", "SELECT 1", parquet[0], parquet[1]],
            &["parquet", "-o FILE"],
        ),
        (
            &["search", "x", "-o", "answer.doc"],
            &["answer.doc", "--format"],
        ),
        (
            &["token", "create", "--name", "x", "--scope", "everybody"],
            &["`everybody`", "employee:ID"],
        ),
        (
            &["serve", "--listen", "0.0.0.0:0"],
            &["without any API token", "token create"],
        ),
    ] {
        refuses(&run, arguments, 2, words);
    }
}

#[test]
fn a_wrong_command_line_is_wrong_usage() {
    let run = pulled();
    for arguments in [
        &["serch", "x"][..],
        &["search"],
        &["search", "x", "--fromm", "2024-10-01"],
        &["search", "x", "--format", "pdf"],
        &["report", "cats"],
        &["serve", "--listen", "8787"],
        &["import", "messages"],
    ] {
        let before = run.contents();
        let ran = run.run(arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        assert!(before == run.contents());
    }
}

#[test]
fn what_is_not_there_or_not_allowed_fails() {
    let run = pulled();
    // Figures are derived before they are asked for, whatever is asked then.
    run.run(&["dialogues"]).ok();
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("SELECT 1{}", "+1".repeat(7_000));
    for (arguments, words) in [
        (
            &["conversation", "nobody|zhang"][..],
            &["no conversation `nobody|zhang`"][..],
        ),
        (&["sql", "DROP TABLE messages"], &["only one SELECT"]),
        (
            &["sql", "SELECT 1; SELECT 2"],
            &["only one SELECT", "2 statements"],
        ),
        (&["sql", "COPY messages TO 'x.csv'"], &["only one SELECT"]),
        (
            &[
                "sql",
                "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
            ],
            &["only one SELECT"],
        ),
        (&["sql", "EXPLAIN ANALYZE SELECT 1"], &["only one SELECT"]),
        (&["sql", "SELECT shoe_size FROM messages"], &["shoe_size"]),
        (&["sql", "SELECT * FROM shoes"], &["shoes"]),
        (&["sql", "SELEKT 1"], &["SELEKT"]),
        (&["sql", &deep], &["brackets inside each other", "at most"]),
        (&["sql", &long], &["operators", "at most"]),
        (
            &["token", "revoke", "none"],
            &["no live token `none`", "token list"],
        ),
        (
            &["search", "x", "-o", "/no/such/answer.csv"],
            &["cannot write", "/no/such"],
        ),
        (&["rules", "apply", "/no/such.toml"], &["/no/such.toml"]),
    ] {
        refuses(&run, arguments, 1, words);
    }
}

#[test]
fn wrong_rules_change_nothing() {
    let run = pulled();
    for (text, word) in [
        ("[dialog]\n", "dialog"),
        ("[dialogue]\nsingle_gap = 5\n", "single_gap"),
        ("[dialogue]\nsingle_gap_minutes = 0\n", "0 minutes"),
        ("timezone = \"Moon\"\n", "Moon"),
        ("timezone =", "line 1"),
    ] {
        let file = run.write("rules.toml", text);
        refuses(
            &run,
            &["rules", "apply", file.to_str().unwrap()],
            1,
            &[word],
        );
    }
}

#[test]
fn an_address_in_use_is_named() {
    let run = pulled();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = ["cannot listen on", address.as_str(), "--listen"];
    refuses(&run, &["serve", "--listen", &address], 1, &words);
    refuses(&run, &["run", "--listen", &address], 1, &words);
}

#[test]
fn a_pull_logs_neither_secrets_nor_texts() {
    let run = pulled();
    std::fs::remove_dir_all(run.data()).unwrap();
    let mut pull = run.command();
    pull.env("HUICUN_LOG", "trace").args(["pull", "--once"]);
    let said = Ran::from(pull.output().unwrap()).ok().stderr;
    assert!(said.contains("TRACE"), "{said}");
    for word in ["第", "条"].iter().chain(&SECRETS) {
        assert!(!said.contains(word), "`{word}` is logged");
    }
}

#[test]
fn a_directory_that_contradicts_itself_is_refused_whole_with_file_and_line() {
    let run = pulled();
    run.write(
        "tables/departments.ndjson",
        "{\"id\":\"1\",\"name\":\"总部\"}\n{\"id\":\"2\",\"name\":\"店\",\"parent_id\":\"1\"}\n",
    );
    let folder = run.path("tables");
    let import = ["import", "directory", folder.to_str().unwrap()];
    run.run(&import).ok();
    run.write(
        "tables/departments.ndjson",
        "{\"id\":\"1\",\"name\":\"总部\",\"parent_id\":\"2\"}\n",
    );
    run.write(
        "tables/customers.ndjson",
        "{\"external_userid\":\"wm1\",\"name\":\"王\"}\n",
    );
    let words = [
        "tables/departments.ndjson` line 1",
        "`1` below `2` below `1`",
    ];
    refuses(&run, &import, 1, &words);
    run.write("tables/departments.ndjson", "");
    run.write(
        "tables/relations.csv",
        "userid,external_userid,add_time,lost_time\na,wm1,2024-01-01T00:00:00Z,\na,wm1,2024-02-01T00:00:00Z,2024-02-02T00:00:00Z\n",
    );
    let words = [
        "tables/relations.csv` line 3",
        "`a`, `wm1`",
        "overlaps",
        "line 2",
    ];
    refuses(&run, &import, 1, &words);
}
