//! `huicun export`: the exports of the download centre, made in the foreground by the same code.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;

use huicun_query_api::exports::{Asker, Errand, ExportError, ExportRequest, make};

use super::{media, open_archive};
use crate::arguments::{Days, ExportCommand, ExportOut, Filters};
use crate::failure::Failure;
use crate::output;

pub async fn export(data: &Path, config: &Path, what: ExportCommand) -> Result<(), Failure> {
    let (request, out) = request(what)?;
    let archive = open_archive(data).await?;
    let access = media::access(archive.home(), config)?;
    let plan = request.plan(&archive)?;
    let folder = out
        .output
        .parent()
        .filter(|folder| *folder != Path::new(""));
    let errand = Errand {
        archive: &archive,
        media: &access,
        asker: Asker::Operator,
        as_of: plan.version(&archive)?,
        plan: &plan,
        spare: folder.unwrap_or(Path::new(".")).to_path_buf(),
    };
    let bar = match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(0),
        false => indicatif::ProgressBar::hidden(),
    };
    let mut tell = |n_done: u64, n_total: Option<u64>| {
        bar.set_length(n_total.unwrap_or(0));
        bar.set_position(n_done);
        Ok::<(), ExportError>(())
    };
    let mut made = None;
    output::fill(&out.output, |file: &mut File| {
        let runtime = tokio::runtime::Handle::current();
        let outcome =
            tokio::task::block_in_place(|| runtime.block_on(make(&errand, file, &mut tell)));
        // A failed export leaves what was there before.
        let is_made = outcome.is_ok();
        made = Some(outcome);
        match is_made {
            true => Ok(()),
            false => Err(std::io::Error::other("the export failed").into()),
        }
    })
    .or_else(|refused| match &made {
        // Its own reason says more.
        Some(Err(_)) => Ok(()),
        _ => Err(refused),
    })?;
    bar.finish_and_clear();
    let Some(made) = made else {
        return Err(Failure::failed("the export was not made"));
    };
    let made = made.map_err(|error| match error {
        ExportError::Question(error) => Failure::from(error),
        other => Failure::from(other),
    })?;
    eprintln!(
        "{} rows, {} bytes, sha256 {}, version {} of messages",
        made.n_rows, made.n_bytes, made.sha256, errand.as_of
    );
    Ok(())
}

/// The request as it would come over HTTP.
fn request(what: ExportCommand) -> Result<(ExportRequest, ExportOut), Failure> {
    let base = |what: &str, out: &ExportOut| -> Result<ExportRequest, Failure> {
        Ok(ExportRequest {
            what: what.into(),
            format: format_of(what, &out.output)?.into(),
            as_of: out.as_of,
            ..ExportRequest::default()
        })
    };
    Ok(match what {
        ExportCommand::Conversation { id, days, out } => {
            let request = ExportRequest {
                id: Some(id),
                from: days.from,
                to: days.to,
                ..base("conversation", &out)?
            };
            (request, out)
        }
        ExportCommand::Search {
            query,
            filters,
            out,
        } => (filtered(base("search", &out)?, query, filters), out),
        ExportCommand::Media {
            query,
            filters,
            out,
        } => (filtered(base("media", &out)?, query, filters), out),
    })
}

fn filtered(base: ExportRequest, query: String, filters: Filters) -> ExportRequest {
    let Days { from, to } = filters.days;
    ExportRequest {
        q: (!query.is_empty()).then_some(query),
        from,
        to,
        employee: filters.employee,
        customer: filters.customer,
        department: filters.department,
        room: filters.room,
        types: filters.types,
        kind: filters.kind,
        ..base
    }
}

/// The format that a file's ending names.
fn format_of(what: &str, file: &Path) -> Result<&'static str, Failure> {
    let ending = file.extension().and_then(|ending| ending.to_str());
    match (
        what,
        ending.unwrap_or_default().to_ascii_lowercase().as_str(),
    ) {
        ("media", "zip") => Ok("zip"),
        (_, "zip") => Ok("ndjson"),
        (_, "csv") => Ok("csv"),
        (_, "xlsx") => Ok("xlsx"),
        ("conversation", "html") => Ok("html"),
        _ => Err(Failure::usage(format!(
            "the ending of `{}` names no format of this export: give .zip, .csv, .xlsx{}",
            file.display(),
            match what {
                "conversation" => " or .html",
                _ => "",
            }
        ))),
    }
}
