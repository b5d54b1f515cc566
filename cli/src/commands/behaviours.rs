//! `huicun behaviours`: what the rules recorded, reviews of it, rescans and back-tests.

use std::path::Path;

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_engine::state::behaviours::{Review, Verdict};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use huicun_query_api::queries::behaviours::{
    BehaviourPage, BehaviourParams, backtest, behaviours as ask, review as ask_review,
};
use serde_json::json;

use super::ask::{about, target};
use super::open_archive;
use super::rules::account;
use crate::arguments::{BehaviourFilter, BehavioursArguments, BehavioursCommand, Out};
use crate::failure::Failure;
use crate::output;

pub async fn behaviours(data: &Path, options: BehavioursArguments) -> Result<(), Failure> {
    let scope = Scope::local_operator();
    let now = chrono::Utc::now().timestamp_millis();
    match options.what {
        None => {
            let archive = open_archive(data).await?;
            let params = params(options.filter, options.limit);
            let page = ask(&scope, &archive, &params).await?;
            write(page, options.by_rule, &options.out)
        }
        Some(BehavioursCommand::Backtest {
            file,
            filter,
            by_rule,
            out,
        }) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
            let archive = open_archive(data).await?;
            let page = backtest(&scope, &archive, &params(filter, 0), &text).await?;
            write(page, by_rule, &out)
        }
        Some(BehavioursCommand::Review {
            id,
            as_,
            remark,
            reviewer,
        }) => {
            let verdict = Verdict::parse(&as_).ok_or_else(|| {
                Failure::usage(format!(
                    "`{as_}` is no verdict; expected `confirmed` or `false_alarm`"
                ))
            })?;
            let archive = open_archive(data).await?;
            let review = Review {
                verdict,
                reviewer: reviewer.or_else(account).unwrap_or_else(|| "local".into()),
                at_ms: now,
                remark,
            };
            Ok(ask_review(&scope, &archive, &id, &review).await?)
        }
        Some(BehavioursCommand::Reviews { id, out }) => reviews(data, &id, &out),
        Some(BehavioursCommand::Rescan { from, to }) => {
            let day = |text: &str| {
                chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .map_err(|_| Failure::usage(format!("`{text}` is no day; expected YYYY-MM-DD")))
            };
            let (from, to) = (day(&from)?, day(&to)?);
            if to < from {
                return Err(Failure::usage("the period ends before it begins"));
            }
            let state = State::open(&Home::open(data)?.state())?;
            let rescan = state.add_rescan((from, to), account().as_deref(), now)?;
            eprintln!(
                "rules version {} applies to what happened from {from} to {to}",
                rescan.rules_version
            );
            Ok(())
        }
    }
}

fn params(filter: BehaviourFilter, limit: usize) -> BehaviourParams {
    BehaviourParams {
        from: filter.days.from,
        to: filter.days.to,
        employees: filter.employee,
        kinds: filter.kind,
        rules: filter.rule,
        reviews: filter.review,
        limit,
        cursor: None,
    }
}

fn write(page: BehaviourPage, by_rule: bool, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let table = match by_rule {
        true => page.hits_by_rule(),
        false => page.into_table(),
    };
    Ok(output::write(
        &table,
        &about("敏感行为", "Behaviours"),
        &target,
    )?)
}

fn reviews(data: &Path, id: &str, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let state = State::open(&Home::open(data)?.state())?;
    let zone = state.rules()?.1.zone()?;
    let all = state.behaviour_reviews()?.remove(id).unwrap_or_default();
    let rows = all
        .into_iter()
        .map(|review| {
            vec![
                json!(review.verdict.as_str()),
                json!(review.reviewer),
                json!(zone.rfc3339_ms(review.at_ms)),
                json!(review.remark),
            ]
        })
        .collect();
    let columns = vec![
        Column::new("review", "审核", "Review", ColumnKind::Text),
        Column::new("reviewer", "审核人", "Reviewer", ColumnKind::Text),
        Column::new("reviewed_at", "审核时间", "Reviewed", ColumnKind::Instant),
        Column::new("remark", "备注", "Remark", ColumnKind::Text),
    ];
    let about = about("审核记录", "Reviews");
    Ok(output::write(&Table { columns, rows }, &about, &target)?)
}
