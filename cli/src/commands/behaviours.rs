//! `huicun behaviours`: what the rules recorded, reviews of it, rescans and back-tests.

use std::path::Path;

use huicun_engine::access::Scope;
use huicun_engine::state::behaviours::{Review, Verdict};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use huicun_query_api::queries::archive::parse_day;
use huicun_query_api::queries::behaviours::{
    BehaviourPage, BehaviourParams, backtest, behaviours as ask, review as ask_review,
    reviews as ask_reviews,
};
use serde_json::json;

use super::ask::{about, say_holes, target, with_as_of};
use super::open_archive;
use super::rules::account;
use crate::arguments::{BehaviourFilter, BehavioursArguments, BehavioursCommand, Out};
use crate::failure::Failure;
use crate::output::{self, Target};

pub async fn behaviours(data: &Path, options: BehavioursArguments) -> Result<(), Failure> {
    let scope = Scope::local_operator();
    let now = chrono::Utc::now().timestamp_millis();
    match options.what {
        None => {
            let target = target(&options.out)?;
            let archive = open_archive(data).await?;
            let params = params(options.filter, options.limit);
            let page = ask(&scope, &archive, &params).await?;
            write(page, options.by_rule, &target)
        }
        Some(BehavioursCommand::Backtest {
            file,
            filter,
            by_rule,
            out,
        }) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
            let target = target(&out)?;
            let archive = open_archive(data).await?;
            let found = backtest(&scope, &archive, &params(filter, 0), &text).await?;
            for warning in &found.warnings {
                eprintln!("warning: {warning}");
            }
            write(found.page, by_rule, &target)
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
        Some(BehavioursCommand::Reviews { id, out }) => reviews(data, &id, &out).await,
        Some(BehavioursCommand::Rescan { from, to }) => {
            let (from, to) = (parse_day(&from)?, parse_day(&to)?);
            if to < from {
                return Err(Failure::usage("the period ends before it begins"));
            }
            let state = open_archive(data).await?.state()?;
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
        departments: filter.department,
        kinds: filter.kind,
        rules: filter.rule,
        reviews: filter.review,
        limit,
        cursor: None,
    }
}

fn write(page: BehaviourPage, by_rule: bool, target: &Target) -> Result<(), Failure> {
    say_holes(&page.as_of, target.language);
    let about = with_as_of(
        about("敏感行为", "Behaviours"),
        &page.as_of,
        target.language,
    );
    let table = match by_rule {
        true => page.hits_by_rule(),
        false => page.into_table(),
    };
    Ok(output::write(&table, &about, target)?)
}

async fn reviews(data: &Path, id: &str, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let archive = open_archive(data).await?;
    let zone = archive.zone();
    let all = ask_reviews(&Scope::local_operator(), &archive, id).await?;
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
