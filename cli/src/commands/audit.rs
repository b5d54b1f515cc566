//! `huicun audit`, and the record of what the operator reads and changes at the command line.
//!
//! The operator can read the files, so his record is best effort: where it cannot be written (a
//! read-only copy) he is told, and answered.

use std::path::Path;

use huicun_engine::access::{Function, Identity, Scope};
use huicun_engine::archive::Home;
use huicun_engine::audit::{Entry, Phase, record};
use huicun_query_api::queries::audit::{AuditParams, audit as ask_audit};

use super::ask::{about, target, write};
use super::open_archive;
use super::rules::account;
use crate::arguments::{
    AuditArguments, BehavioursCommand, Command, Import, MediaCommand, RulesCommand,
    SearchesCommand, TokenCommand,
};
use crate::failure::Failure;

pub async fn audit(data: &Path, options: AuditArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = AuditParams {
        from: options.days.from,
        to: options.days.to,
        callers: options.caller,
        functions: options.function,
        limit: options.limit,
        cursor: None,
    };
    let page = ask_audit(&Scope::local_operator(), &archive, &params)?;
    if let Some(head) = &page.head {
        eprintln!("newest entry: {head}");
    }
    write(&page.into_table(), &about("审计日志", "Audit log"), &target)
}

/// The function and the name of a command that reads chats or changes who may; `None` for others.
fn asked(command: &Command) -> Option<(Function, &'static str)> {
    Some(match command {
        Command::Search(_) => (Function::MessagesSearch, "search"),
        Command::Searches(SearchesCommand::Run { .. }) => {
            (Function::MessagesSearch, "searches run")
        }
        Command::Conversations(_) => (Function::MessagesSearch, "conversations"),
        Command::Conversation(_) => (Function::MessagesRead, "conversation"),
        Command::Export(_) => (Function::Exports, "export"),
        Command::Kf(_) => (Function::MessagesRead, "kf"),
        Command::Contacts(_) => (Function::FiguresRead, "contacts"),
        Command::Portrait(_) => (Function::FiguresRead, "portrait"),
        Command::Dialogues(_) => (Function::FiguresRead, "dialogues"),
        Command::Timeouts(_) => (Function::FiguresRead, "timeouts"),
        Command::Report(_) => (Function::FiguresRead, "report"),
        Command::Ranking(_) => (Function::FiguresRead, "ranking"),
        Command::Explain(_) => (Function::FiguresRead, "explain"),
        Command::Sql(_) => (Function::Sql, "sql"),
        Command::Audit(_) => (Function::AuditRead, "audit"),
        Command::Media(MediaCommand::Get { .. }) => (Function::MediaRead, "media get"),
        Command::Behaviours(options) => match &options.what {
            None | Some(BehavioursCommand::Backtest { .. }) => {
                (Function::BehavioursRead, "behaviours")
            }
            Some(BehavioursCommand::Review { .. }) => {
                (Function::BehavioursReview, "behaviours review")
            }
            Some(_) => return None,
        },
        Command::Rules(RulesCommand::Apply { .. }) => (Function::RulesWrite, "rules apply"),
        Command::Import(Import::Directory { .. }) => (Function::DirectoryWrite, "import directory"),
        Command::Token(TokenCommand::Create { .. }) => (Function::TokensManage, "token create"),
        Command::Token(TokenCommand::Revoke { .. }) => (Function::TokensManage, "token revoke"),
        _ => return None,
    })
}

/// Records a command before it is run.
pub fn note(data: &Path, command: &Command) {
    let Some((function, name)) = asked(command) else {
        return;
    };
    // Without an archive there is nothing to read, and what makes one makes it itself.
    let Ok(home) = Home::open(data) else {
        return;
    };
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let entry = Entry {
        at_ms: chrono::Utc::now().timestamp_millis(),
        phase: Phase::Asked,
        caller: Identity {
            kind: "local",
            id: uid(),
            name: account().unwrap_or_default(),
        },
        employee: None,
        peer: None,
        request_id: None,
        function: function.as_str().into(),
        method: "cli".into(),
        route: name.into(),
        path: None,
        query: serde_json::to_string(&arguments).ok(),
        body: None,
        status: None,
        code: None,
        n_rows: None,
    };
    if let Err(error) = record(&home.audit(), &entry) {
        eprintln!("note: this command is not in the audit log: {error}");
    }
}

/// The number of the account that runs the program.
fn uid() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::fs::metadata("/proc/self");
    own.map(|own| own.uid().to_string()).unwrap_or_default()
}
