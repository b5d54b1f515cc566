//! `huicun searches`: saved searches of all owners, and those that the operator keeps himself.

use std::path::Path;

use huicun_engine::access::Scope;
use huicun_engine::state::saved_searches::{SAVED_SEARCHES_MAX, SavedSearch};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use huicun_query_api::queries::Archive;
use huicun_query_api::queries::saved_searches::{Saved, check, link_of};
use huicun_query_api::queries::search::search;
use serde_json::json;

use super::ask::{about, say_holes, say_total, search_params, target, with_as_of, write};
use super::open_archive;
use crate::arguments::{Out, SearchesCommand};
use crate::failure::Failure;

/// Whose the searches of the command line are.
const OWNER: &str = "local";

pub async fn searches(data: &Path, what: SearchesCommand) -> Result<(), Failure> {
    match what {
        SearchesCommand::List { out } => list(data, &out).await,
        SearchesCommand::Save {
            name,
            query,
            filters,
            order,
            limit,
        } => {
            let archive = open_archive(data).await?;
            let mut params = search_params(query, *filters, limit);
            params.order = Some(order);
            if limit == 0 {
                return Err(Failure::usage("`--limit` of a saved search is 1 to 1000"));
            }
            let wanted = check(&archive, &name, &Saved::from(&params))?;
            let now = chrono::Utc::now().timestamp_millis();
            let state = archive.state()?;
            let saved = state.save_search(OWNER, &wanted.name, &wanted.query, now)?;
            let saved = saved.ok_or_else(|| {
                Failure::failed(format!("{SAVED_SEARCHES_MAX} searches are saved already"))
                    .hint("huicun searches delete ID makes room")
            })?;
            eprintln!("saved as {}", saved.id);
            println!("{}", link_of(&saved.query));
            Ok(())
        }
        SearchesCommand::Run { id, out } => {
            let target = target(&out)?;
            let archive = open_archive(data).await?;
            let saved = saved(&archive, &id)?;
            let params = Saved::of_query(&saved.query).params();
            let page = search(&Scope::local_operator(), &archive, &params).await?;
            say_total(page.items.len(), page.total, "messages");
            say_holes(&page.as_of, target.language);
            let about = about("消息搜索", "Search");
            let about = with_as_of(about, &page.as_of, target.language);
            write(&page.into_table(true), &about, &target)
        }
        SearchesCommand::Delete { id } => {
            let archive = open_archive(data).await?;
            match archive.state()?.delete_search(None, &id)? {
                true => Ok(()),
                false => Err(absent(&id)),
            }
        }
    }
}

fn absent(id: &str) -> Failure {
    Failure::failed(format!("there is no saved search `{id}`"))
        .hint("huicun searches list names them")
}

fn saved(archive: &Archive, id: &str) -> Result<SavedSearch, Failure> {
    let found = archive.state()?.saved_search(None, id)?;
    found.ok_or_else(|| absent(id))
}

async fn list(data: &Path, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let archive = open_archive(data).await?;
    let at = |ms: i64| json!(archive.zone().rfc3339_ms(ms));
    let rows = archive.state()?.saved_searches(None)?.into_iter();
    let rows = rows.map(|saved| {
        vec![
            json!(saved.id),
            json!(saved.owner),
            json!(saved.name),
            json!(link_of(&saved.query)),
            at(saved.created_at_ms),
            at(saved.updated_at_ms),
        ]
    });
    let columns = vec![
        Column::new("id", "编号", "Id", ColumnKind::Text),
        Column::new("owner", "所有者", "Owner", ColumnKind::Text),
        Column::new("name", "名称", "Name", ColumnKind::Text),
        Column::new("link", "链接", "Link", ColumnKind::Text),
        Column::new("created_at", "保存时间", "Saved", ColumnKind::Instant),
        Column::new("updated_at", "修改时间", "Changed", ColumnKind::Instant),
    ];
    let table = Table {
        columns,
        rows: rows.collect(),
    };
    write(&table, &about("保存的搜索", "Saved searches"), &target)
}
