//! `huicun doctor`: the checks of the whole installation as an answer, one row a check.

use std::path::Path;

use huicun_indexer::doctor::{Finding, Patient, Verdict, Words, examine};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::{Value, json};

use super::ask::{about, target};
use super::pull::worker_command;
use crate::arguments::DoctorArguments;
use crate::failure::Failure;
use crate::output::{self, Language};

pub async fn doctor(data: &Path, config: &Path, options: &DoctorArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let patient = Patient {
        data: data.to_path_buf(),
        config: config.to_path_buf(),
        worker: worker_command()?,
        calls_wecom: options.call,
        now_ms: chrono::Utc::now().timestamp_millis(),
    };
    let found = examine(&patient).await;
    let column = Column::new;
    let columns = vec![
        column("check", "检查项", "Check", ColumnKind::Text),
        column("about", "对象", "About", ColumnKind::Text),
        column("status", "结果", "Status", ColumnKind::Text),
        column("found", "发现", "Found", ColumnKind::Text),
        column("next", "下一步", "Next", ColumnKind::Text),
    ];
    let rows = found.iter().map(|f| row(f, target.language)).collect();
    let title = about("体检", "Doctor");
    output::write(&Table { columns, rows }, &title, &target)?;
    match found.iter().filter(|f| f.verdict == Verdict::Fail).count() {
        0 => Ok(()),
        n => Err(Failure::failed(format!("checks failed: {n}"))),
    }
}

fn row(finding: &Finding, language: Language) -> Vec<Value> {
    let told = |words: &Words| match language {
        Language::Zh => words.zh.clone(),
        Language::En => words.en.clone(),
    };
    vec![
        json!(finding.check),
        json!(finding.about),
        json!(finding.verdict.as_str()),
        json!(told(&finding.found)),
        json!(finding.next.as_ref().map(told)),
    ]
}
