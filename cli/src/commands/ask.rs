//! The commands that ask: search, conversation, dialogues, sql, ledger. They ask the same
//! questions as HTTP does, in the scope of the local operator.

use std::path::Path;
use std::time::Duration;

use huicun_engine::access::Scope;
use huicun_engine::tables::Budget;
use huicun_query_api::answer::Table;
use huicun_query_api::queries::AsOf;
use huicun_query_api::queries::conversation::{
    ConversationParams, conversation as ask_conversation,
};
use huicun_query_api::queries::conversations::{conversations as ask_conversations, counts};
use huicun_query_api::queries::dialogues::{DialogueParams, dialogues as ask_dialogues};
use huicun_query_api::queries::ledger::{LedgerParams, ledger as ask_ledger};
use huicun_query_api::queries::search::{SearchParams, search as ask_search};
use huicun_query_api::queries::sql::sql as ask_sql;
use huicun_query_api::queries::timeouts::{TimeoutParams, timeouts as ask_timeouts};

use super::open_archive;
use crate::arguments::{
    ConversationArguments, ConversationsArguments, DialogueArguments, Filters, LedgerArguments,
    Out, SearchArguments, SqlArguments,
};
use crate::failure::Failure;
use crate::output::{self, About, Language, Target};

/// Where the answer goes; checked before anything is computed.
pub(super) fn target(out: &Out) -> Result<Target, Failure> {
    let target = Target {
        format: out.format,
        file: out.output.clone(),
        language: out.language,
    };
    output::check(&target)?;
    Ok(target)
}

pub(super) fn about(zh: &str, en: &str) -> About {
    About {
        title_zh: zh.into(),
        title_en: en.into(),
        ..About::default()
    }
}

pub(super) fn with_as_of(mut about: About, as_of: &AsOf, language: Language) -> About {
    let (label, version) = match language {
        Language::Zh => ("查询时间", "消息表版本"),
        Language::En => ("Asked at", "Version of messages"),
    };
    about.notes.push((label.into(), as_of.asked_at.clone()));
    about
        .notes
        .push((version.into(), as_of.messages_version.to_string()));
    if let Some((label, told)) = holes(as_of, language) {
        about.notes.push((label.into(), told));
    }
    about
}

/// What the holes of the period are called, in one line; none where nobody asked for a period.
fn holes(as_of: &AsOf, language: Language) -> Option<(&'static str, String)> {
    let (told, n_all) = (as_of.holes.as_ref()?, as_of.holes_total?);
    let name = |kind: &str| match (kind, language) {
        ("gap", Language::Zh) => "序号不连续（在企业微信可能正常）",
        ("gap", Language::En) => "gaps in seq (which may be normal at WeCom)",
        ("quarantined", Language::Zh) => "隔离的记录",
        ("quarantined", Language::En) => "quarantined records",
        ("outage", Language::Zh) => "未拉取的时段",
        ("outage", Language::En) => "times without a pull",
        ("media_lost", Language::Zh) => "已无法取回的媒体文件",
        ("media_lost", Language::En) => "media that are gone",
        (_, Language::Zh) => "账本无法读取",
        (_, Language::En) => "the ledger cannot be read",
    };
    let mut kinds: Vec<&str> = told.iter().map(|hole| hole.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kinds: Vec<&str> = kinds.into_iter().map(name).collect();
    Some(match (language, n_all) {
        (Language::Zh, 0) => ("完整性", "所查时段没有已知的缺口".into()),
        (Language::En, 0) => ("Completeness", "no known holes in the period".into()),
        (Language::Zh, n) => (
            "完整性",
            format!(
                "所查时段有 {n} 处缺口：{}；详见 huicun ledger",
                kinds.join("、")
            ),
        ),
        (Language::En, n) => (
            "Completeness",
            format!(
                "{n} holes in the period: {}; `huicun ledger` lists them",
                kinds.join(", ")
            ),
        ),
    })
}

/// Says on stderr that the period has holes, if it has.
pub(super) fn say_holes(as_of: &AsOf, language: Language) {
    if as_of.holes_total.is_some_and(|n| n > 0)
        && let Some((_, told)) = holes(as_of, language)
    {
        let word = match language {
            Language::Zh => "注意",
            Language::En => "note",
        };
        eprintln!("{word}: {told}");
    }
}

pub(super) fn write(table: &Table, about: &About, target: &Target) -> Result<(), Failure> {
    Ok(output::write(table, about, target)?)
}

pub(super) fn search_params(query: String, filters: Filters, limit: usize) -> SearchParams {
    SearchParams {
        q: query,
        from: filters.days.from,
        to: filters.days.to,
        employees: filters.employee,
        customers: filters.customer,
        departments: filters.department,
        rooms: filters.room,
        types: filters.types,
        kinds: filters.kind,
        order: None,
        limit,
        cursor: None,
    }
}

/// Says that there is more than what is shown.
pub(super) fn say_total(n_shown: usize, n_total: u64, what: &str) {
    if n_total > n_shown as u64 {
        eprintln!("{n_shown} of {n_total} {what}; --limit 0 gives all");
    }
}

pub async fn search(data: &Path, options: SearchArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let scope = Scope::local_operator();
    let mut params = search_params(options.query, options.filters, options.limit);
    if let Some(by) = options.count_by {
        let list = counts(&scope, &archive, &params, &by).await?;
        say_holes(&list.as_of, target.language);
        let about = about("消息计数", "Messages found");
        let about = with_as_of(about, &list.as_of, target.language);
        return write(&list.into_table(), &about, &target);
    }
    params.order = Some(options.order);
    let page = ask_search(&scope, &archive, &params).await?;
    say_total(page.items.len(), page.total, "messages");
    say_holes(&page.as_of, target.language);
    let about = with_as_of(about("消息搜索", "Search"), &page.as_of, target.language);
    write(&page.into_table(true), &about, &target)
}

pub async fn conversations(data: &Path, options: ConversationsArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = search_params(options.query, options.filters, options.limit);
    let page = ask_conversations(&Scope::local_operator(), &archive, &params).await?;
    say_total(page.items.len(), page.total, "conversations");
    say_holes(&page.as_of, target.language);
    let about = about("会话列表", "Conversations");
    let about = with_as_of(about, &page.as_of, target.language);
    write(&page.into_table(), &about, &target)
}

pub async fn conversation(data: &Path, options: ConversationArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = ConversationParams {
        id: options.id,
        from: options.days.from,
        to: options.days.to,
        limit: options.limit,
        cursor: None,
        before: None,
        around: options.around,
    };
    let page = ask_conversation(&Scope::local_operator(), &archive, &params).await?;
    say_holes(&page.as_of, target.language);
    let about = with_as_of(about("会话", "Conversation"), &page.as_of, target.language);
    write(&page.into_table(false), &about, &target)
}

pub async fn dialogues(data: &Path, options: DialogueArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = DialogueParams {
        from: options.days.from,
        to: options.days.to,
        employees: options.employee,
        departments: options.department,
        limit: options.limit,
        cursor: None,
    };
    let page = ask_dialogues(&Scope::local_operator(), &archive, &params).await?;
    say_holes(&page.as_of, target.language);
    let about = with_as_of(about("对话", "Dialogues"), &page.as_of, target.language);
    write(&page.into_table(), &about, &target)
}

pub async fn timeouts(data: &Path, options: DialogueArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = TimeoutParams {
        from: options.days.from,
        to: options.days.to,
        employees: options.employee,
        departments: options.department,
        limit: options.limit,
        cursor: None,
    };
    let page = ask_timeouts(&Scope::local_operator(), &archive, &params).await?;
    say_holes(&page.as_of, target.language);
    let about = with_as_of(about("超时回复", "Timeouts"), &page.as_of, target.language);
    write(&page.into_table(), &about, &target)
}

pub async fn sql(data: &Path, options: SqlArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let time_max = Duration::try_from_secs_f64(options.timeout)
        .map_err(|_| Failure::usage("`--timeout` takes seconds, 0 for no end"))?;
    let budget = Budget {
        rows_max: options.limit,
        time_max: (!time_max.is_zero()).then_some(time_max),
        ..Budget::NONE
    };
    let archive = open_archive(data).await?;
    let scope = Scope::local_operator();
    let (table, as_of) = ask_sql(&scope, &archive, &options.statement, budget).await?;
    let about = with_as_of(about("SQL", "SQL"), &as_of, target.language);
    write(&table, &about, &target)
}

pub async fn ledger(data: &Path, options: LedgerArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = LedgerParams {
        sources: options.source,
        kinds: options.kind,
        from: options.days.from,
        to: options.days.to,
        limit: options.limit,
        cursor: None,
    };
    let page = ask_ledger(&Scope::local_operator(), &archive, &params).await?;
    let about = with_as_of(about("完整性账本", "Ledger"), &page.as_of, target.language);
    write(&page.into_table(), &about, &target)
}
