//! Exports that something comes in between: a cancel, another directory, a full disk.

use std::fs::File;
use std::sync::Arc;

use huicun_engine::archive::Home;
use huicun_engine::archive::messages::newest_version;
use huicun_engine::state::State;
use huicun_engine::state::exports::{Made, Owner};
use huicun_indexer::ingest::media::MediaSettings;
use huicun_query_api::exports::{Asker, Doors, Errand, ExportError, ExportRequest, Tell, make};
use huicun_query_api::queries::archive::Archive;
use huicun_query_api::queries::media::MediaAccess;
use serde_json::{Value, json};

use crate::exports::{AT, PATIENCE, ask, end_of, ended, fetched, file_of, import, unzipped};
use crate::http::{company, served};
use crate::support::{Installation, text_line, wait_until};

/// Makes an export in this process, with `tell` between its pieces.
fn made(
    run: &Installation,
    asker: Asker,
    request: Value,
    file: &mut File,
    tell: &mut Tell<'_>,
) -> Result<Made, ExportError> {
    let home = Home::open(&run.data()).unwrap();
    let (_, rules) = State::open(&home.state()).unwrap().rules().unwrap();
    let archive = Archive::open(home.clone(), rules).unwrap();
    let request: ExportRequest = serde_json::from_value(request).unwrap();
    let spare = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        archive.catch_up().await.unwrap();
        let errand = Errand {
            archive: &archive,
            media: &MediaAccess::new(&home, MediaSettings::default()),
            asker,
            plan: &request.plan(&archive).unwrap(),
            as_of: newest_version(&home).unwrap(),
            spare: spare.path().to_path_buf(),
        };
        make(&errand, file, tell).await
    })
}

/// Whoever holds the newest token.
fn holder(run: &Installation) -> Asker {
    let home = Home::open(&run.data()).unwrap();
    let state = Arc::new(State::open(&home.state()).unwrap());
    let tokens = state.tokens().unwrap();
    Asker::Owner {
        owner: Owner {
            kind: "token".into(),
            id: tokens.last().unwrap().id.clone(),
            name: "test".into(),
            employee: None,
            roles: None,
        },
        state,
        doors: Doors::default(),
    }
}

#[test]
fn who_leaves_the_department_meanwhile_is_in_no_export_of_it() {
    let run = company();
    run.token("department:10");
    let request = json!({"what": "search", "format": "csv"});
    let mut file = tempfile::tempfile().unwrap();
    // 上海 is below 华东, so both zhang and li are there; then zhang goes to 华南.
    let mut is_moved = false;
    let outcome = made(
        &run,
        holder(&run),
        request.clone(),
        &mut file,
        &mut |_, _| {
            if !std::mem::replace(&mut is_moved, true) {
                let moved = "userid,name,departments\nzhang,张三,20\nli,李四,10\nwang,王五,20\nsun,孙六,20\n";
                run.write("directory/employees.csv", moved);
                let directory = run.path("directory");
                run.run(&["import", "directory", directory.to_str().unwrap()])
                    .ok();
            }
            Ok(())
        },
    );
    assert!(
        matches!(outcome, Err(ExportError::Changed)),
        "{:?}",
        outcome.map(|made| made.n_rows)
    );
    // Begun anew, as the server does, it holds what li has, and nothing of zhang's.
    let mut file = tempfile::tempfile().unwrap();
    let again = made(&run, holder(&run), request, &mut file, &mut |_, _| Ok(())).unwrap();
    assert_eq!(again.n_rows, 3);
}

#[test]
fn a_full_disk_fails_an_export_with_a_reason_that_says_so() {
    let run = company();
    for (what, format) in [
        ("search", "csv"),
        ("search", "xlsx"),
        ("search", "ndjson"),
        ("conversation", "html"),
        ("media", "zip"),
        ("report", "csv"),
        ("report", "xlsx"),
        ("report", "parquet"),
    ] {
        let mut request = json!({"what": what, "format": format});
        match what {
            "conversation" => request["id"] = json!("zhang|wmanna"),
            "report" => request["report"] = json!("employees"),
            _ => {}
        }
        let mut full = File::options()
            .read(true)
            .write(true)
            .open("/dev/full")
            .unwrap();
        let outcome = made(
            &run,
            Asker::Operator,
            request,
            &mut full,
            &mut |_, _| Ok(()),
        );
        let error = outcome.err().map(|error| (error.reason(), error.told()));
        let told = "the disk of the server is full".to_string();
        assert_eq!(error, Some(("disk_full", told)), "{what} as {format}");
    }
}

#[test]
fn a_running_export_is_cancelled_and_leaves_no_file() {
    let (run, _server, client) = served();
    let lines: String = (100..20_100)
        .map(|n| text_line(n, "wmanna", "zhang", AT + n as i64, "您好"))
        .collect();
    import(&run, &lines);
    let job = ask(&client, json!({"what": "search", "format": "xlsx"})).json();
    let id = job["id"].as_str().unwrap();
    let path = format!("/v1/exports/{id}");
    wait_until(PATIENCE, "the export to begin", || {
        client.get(&path).ok().json()["state"] == "running"
    });
    let cancel = client.send("POST", &format!("{path}/cancel"), b"").ok();
    assert_eq!(cancel.json()["state"], "cancelled");
    // The next one begins when this one has let go.
    ended(
        &client,
        json!({"what": "search", "format": "csv", "q": "退款"}),
    );
    let job = end_of(&client, id);
    assert_eq!(job["state"], "cancelled", "{job}");
    let file = client.get(&file_of(&job));
    assert_eq!(file.problem(), (409, "export_not_done".into()));
    let home = Home::open(&run.data()).unwrap();
    let left = std::fs::read_dir(home.exports()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_exported_report_is_a_workbook_for_people() {
    let (run, server, client) = served();
    // Each text of the workbook, in the order in which it was written first: row by row.
    let texts = |client| {
        let request = json!({"what": "report", "format": "xlsx", "report": "departments"});
        let files = unzipped(&fetched(client, request).1);
        let found = files
            .iter()
            .find(|(name, _)| name == "xl/sharedStrings.xml");
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    };
    // Departments stand below the one that they belong to, and all of them make the last row.
    let all = texts(&client);
    let at = |text: &str| {
        all.find(&format!(">{text}<"))
            .unwrap_or_else(|| panic!("no {text}: {all}"))
    };
    let order = ["总部", "华东", "上海", "华南", "合计", "统计时段"].map(at);
    assert!(order.is_sorted(), "{all}");
    assert!(!all.contains("未列出的行"), "{all}");
    // A part of a department is no row; that there is one is said.
    let some = texts(&server.client(&run.token("employee:li")));
    assert!(!some.contains("总部"), "{some}");
    assert!(some.contains("未列出的行"), "{some}");
}
