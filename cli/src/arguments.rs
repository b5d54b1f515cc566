//! The command line. Its help texts are the commands' reference (`docs/reference/commands.md`).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::{Format, Language};

mod export;
mod search;

pub use export::{ExportCommand, ExportOut};
pub use search::{
    ConversationArguments, ConversationsArguments, Filters, KfCommand, SearchArguments,
    SearchesCommand,
};

/// 会存 huicun: the archive of a company's WeCom (企业微信) chats.
#[derive(Parser)]
#[command(name = "huicun", version, propagate_version = true)]
pub struct Arguments {
    /// The data directory, which holds everything.
    #[arg(
        long,
        global = true,
        env = "HUICUN_DATA",
        default_value = "./huicun-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "HUICUN_CONFIG",
        default_value = "./huicun.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Pull archived chats from WeCom: the backlog first, then what comes.
    Pull(PullArguments),
    /// Import messages or directory tables from files.
    #[command(subcommand)]
    Import(Import),
    /// List, add and make private keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// List records that could not be read, and open them again.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Find messages that contain all literals of a query, newest first.
    Search(SearchArguments),
    /// Saved searches (保存的搜索), each with a link that carries the whole search.
    #[command(subcommand)]
    Searches(SearchesCommand),
    /// List conversations (会话) in which a search finds anything, the last contact first.
    Conversations(ConversationsArguments),
    /// List the messages of one conversation, in order.
    Conversation(ConversationArguments),
    /// Sessions of WeChat customer service (微信客服).
    #[command(subcommand)]
    Kf(KfCommand),
    /// List dialogues (对话) that started in a period.
    Dialogues(DialogueArguments),
    /// List customers who were not answered in time (超时回复).
    Timeouts(DialogueArguments),
    /// List when customers and employees last wrote to each other, and how much (联系情况).
    Contacts(ContactArguments),
    /// Draw the portrait of a group with customers (群画像).
    Portrait(PortraitArguments),
    /// List behaviours (敏感行为) that the rules recorded, by time; review them.
    Behaviours(BehavioursArguments),
    /// Count metrics.
    #[command(subcommand)]
    Report(Report),
    /// Rank guides or stores by metrics (排名).
    #[command(subcommand)]
    Ranking(Ranking),
    /// List the facts behind one cell of a report, with their messages, and the cell recomputed.
    Explain(ExplainArguments),
    /// List what reports count: keys, names, units and definitions.
    Metrics(MetricsArguments),
    /// Run one read-only SELECT over the archive's tables.
    Sql(SqlArguments),
    /// List what of each source is in the archive, what is not, and why.
    Ledger(LedgerArguments),
    /// Check the whole installation and name causes and next steps.
    Doctor(DoctorArguments),
    /// Fetch, list and read the files that messages carry (媒体文件).
    #[command(subcommand)]
    Media(MediaCommand),
    /// Write what a search finds, a conversation, or files of messages into one file (导出), with no
    /// bound on its length.
    #[command(subcommand)]
    Export(ExportCommand),
    /// Answer over HTTP.
    Serve(ServeArguments),
    /// Pull and answer over HTTP in one process.
    Run(ServeArguments),
    /// Verify (校验) every byte and compare tables, index and state; exits with 1 when anything is wrong.
    Verify(VerifyArguments),
    /// Rewrite the small files of closed days into files sorted for reading (合并小文件).
    Compact(CompactArguments),
    /// Delete files that nobody needs any more (清理).
    Vacuum(VacuumArguments),
    /// Build the search index anew (重建索引).
    Reindex(KeepOut),
    /// Build everything derived anew: today the search index.
    Rebuild(KeepOut),
    /// Show or replace the rules in force.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Make, list and revoke API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// List who asked what (审计日志), newest first.
    Audit(AuditArguments),
    /// Make a tape for the simulator library: sealed pages and media in a folder.
    #[command(subcommand)]
    Tape(TapeCommand),
    /// Make a demo company.
    #[command(subcommand)]
    Demo(DemoCommand),
    /// The child process in which Tencent's library runs.
    #[command(hide = true)]
    SdkWorker,
}

#[derive(Args)]
pub struct PullArguments {
    /// Stop when the backlog is drained.
    #[arg(long)]
    pub once: bool,
    /// Only this company (repeatable); all if left out.
    #[arg(long, value_name = "CORPID")]
    pub corp: Vec<String>,
}

#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the private keys, and the versions that records wait for.
    List {
        /// Only this company.
        #[arg(long, value_name = "CORPID")]
        corp: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// Check a private key and copy it into the data directory.
    #[command(disable_version_flag = true)]
    Add {
        /// The company; not needed when there is one.
        #[arg(long, value_name = "CORPID")]
        corp: Option<String>,
        /// The publickey_ver that WeCom gave its public key.
        #[arg(long, value_name = "N")]
        version: u32,
        /// A PEM file.
        file: PathBuf,
    },
    /// Make a private key in the data directory and print the public one to upload.
    #[command(disable_version_flag = true)]
    New {
        /// The company; not needed when there is one.
        #[arg(long, value_name = "CORPID")]
        corp: Option<String>,
        /// The publickey_ver that WeCom will give; the next one if left out.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
}

#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// List quarantined records, lowest seq first.
    List {
        /// Only of this corp or other source.
        #[arg(long, value_name = "CORPID")]
        corp: Option<String>,
        /// Only with this reason.
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// At most this many records; 0 is all.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Count them by source, reason and key version instead.
        #[arg(long)]
        summary: bool,
        #[command(flatten)]
        out: Out,
    },
    /// Open quarantined records again and bring in what can be read.
    Retry {
        /// Only of this corp or other source.
        #[arg(long, value_name = "CORPID")]
        corp: Option<String>,
        /// Only with this reason.
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// Only this record.
        #[arg(long, value_name = "SEQ")]
        seq: Option<i64>,
        #[command(flatten)]
        out: Out,
    },
}

#[derive(Subcommand)]
pub enum Import {
    /// Messages as NDJSON: decrypted WeCom messages, or envelopes {seq, publickey_ver, message}.
    Messages {
        /// Files (`-` is stdin); gzip and zstd are read as they are.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Exit with status 1 when a line had to be quarantined.
        #[arg(long)]
        strict: bool,
        /// The corp (or other name) that the messages belong to.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// Directory tables: NDJSON, CSV or Parquet; the file's stem names the table.
    Directory {
        /// Files or folders of files.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        out: Out,
    },
}

/// How an answer is written.
#[derive(Args, Clone)]
pub struct Out {
    /// table on a terminal, else ndjson; xlsx and parquet need -o.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The file to write instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The language of headings.
    #[arg(long, value_parser = language(), env = "HUICUN_LANGUAGE", default_value = "zh")]
    pub language: Language,
}

/// Reads the name of a language.
fn language() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(["zh", "en"]).map(|name| match name.as_str() {
        "en" => Language::En,
        _ => Language::Zh,
    })
}

/// Days, both included.
#[derive(Args, Clone)]
pub struct Days {
    /// First day, YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// Last day, YYYY-MM-DD, included.
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
}

#[derive(Args)]
pub struct DialogueArguments {
    #[command(flatten)]
    pub days: Days,
    /// With this employee (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// With an employee who was then in this department or below (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// At most this many rows; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct ContactArguments {
    #[command(flatten)]
    pub days: Days,
    /// One row per customer, or per customer and employee.
    #[arg(long, default_value = "customer", value_name = "customer|employee")]
    pub per: String,
    /// Only contacts of this employee (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// Only this customer (repeatable).
    #[arg(long, value_name = "ID")]
    pub customer: Vec<String>,
    /// Only contacts of employees who were in this department or below (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// At most this many rows; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct PortraitArguments {
    /// The group's chat_id.
    #[arg(value_name = "GROUP")]
    pub id: String,
    #[command(flatten)]
    pub days: Days,
    /// Only this part; csv and parquet need one.
    #[arg(long, value_enum)]
    pub part: Option<PortraitPart>,
    #[command(flatten)]
    pub out: Out,
}

/// A part of a portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PortraitPart {
    /// The group itself.
    Group,
    /// Messages and customers day by day.
    Days,
    /// Words of customers' texts.
    Keywords,
    /// Customers' tags.
    Tags,
    /// Members at the end.
    Members,
    /// Those who left.
    Left,
}

#[derive(Subcommand)]
pub enum Report {
    /// Metrics of single chats and groups per employee.
    Employees(ReportArguments),
    /// The same metrics per department, with everything below.
    Departments(ReportArguments),
    /// Metrics of shopping guides (导购) per employee.
    Guides(ReportArguments),
    /// Metrics per store (门店).
    Stores(ReportArguments),
    /// Metrics of customers for the company, or with --per by employee or department.
    Customers(ReportArguments),
    /// Activity of groups (群活跃度); without a period over the last days of the rules.
    Groups(ReportArguments),
}

#[derive(Args)]
pub struct ReportArguments {
    #[command(flatten)]
    pub days: Days,
    /// One row per day, week or month.
    #[arg(long, value_name = "day|week|month")]
    pub by: Option<String>,
    /// Columns, joined with commas; all if left out.
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    pub metrics: Vec<String>,
    /// Only this employee, or units in which he was (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// Only employees of this department or below; of departments this one and those below
    /// (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// Only this store, or employees who were in it in the period (repeatable).
    #[arg(long, value_name = "ID")]
    pub store: Vec<String>,
    /// Only this group (repeatable).
    #[arg(long, value_name = "ID")]
    pub group: Vec<String>,
    /// What rows are about in report customers: company, employee or department.
    #[arg(long, value_name = "UNIT")]
    pub per: Option<String>,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Subcommand)]
pub enum Ranking {
    /// The best shopping guides (导购).
    Guides(RankingArguments),
    /// The best stores (门店).
    Stores(RankingArguments),
}

#[derive(Args)]
pub struct RankingArguments {
    /// A metric of the report, with the least that qualifies; the first decides, then the next
    /// (repeatable).
    #[arg(long, required = true, value_name = "KEY[:MIN]")]
    pub metric: Vec<String>,
    /// The first places; all if left out.
    #[arg(long, value_name = "N")]
    pub top: Option<u32>,
    #[command(flatten)]
    pub days: Days,
    /// Only this employee, or stores in which he was (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// Only of this department or below (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// Only this store, or guides who were in it in the period (repeatable).
    #[arg(long, value_name = "ID")]
    pub store: Vec<String>,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct ExplainArguments {
    /// employees, departments, guides, stores, customers or groups.
    pub report: String,
    /// A key that `huicun metrics` lists.
    pub metric: String,
    #[command(flatten)]
    pub days: Days,
    /// The report's slices: day, week or month.
    #[arg(long, value_name = "day|week|month")]
    pub by: Option<String>,
    /// The slice of the cell, as its column `period` names it; the first if left out.
    #[arg(long, value_name = "LABEL", requires = "by")]
    pub slice: Option<String>,
    /// The row of this employee; the totals row if no row is named.
    #[arg(long, value_name = "USERID", group = "row")]
    pub employee: Option<String>,
    /// The row of this department.
    #[arg(long, value_name = "ID", group = "row")]
    pub department: Option<String>,
    /// The row of this store.
    #[arg(long, value_name = "ID", group = "row")]
    pub store: Option<String>,
    /// The row of this group.
    #[arg(long, value_name = "ID", group = "row")]
    pub group: Option<String>,
    /// What rows are about in report customers: company, employee or department.
    #[arg(long, value_name = "UNIT")]
    pub per: Option<String>,
    /// At most this many facts; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct MetricsArguments {
    /// Only of this report.
    pub report: Option<String>,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct SqlArguments {
    /// One SELECT. `SELECT * FROM table_columns` lists all tables and columns.
    pub statement: String,
    /// Stop after so many seconds; 0 is never.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Fail where the answer has more rows than this; no bound if left out.
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct LedgerArguments {
    #[command(flatten)]
    pub days: Days,
    /// Only this corp or name of an import (repeatable).
    #[arg(long, value_name = "SOURCE")]
    pub source: Vec<String>,
    /// summary, gap, quarantined, media_lost or outage (repeatable).
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// At most this many entries; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct AuditArguments {
    #[command(flatten)]
    pub days: Days,
    /// Only of the caller with this id or name, or acting for this employee (repeatable).
    #[arg(long, value_name = "NAME")]
    pub caller: Vec<String>,
    /// Only with this function, such as messages.search (repeatable).
    #[arg(long, value_name = "NAME")]
    pub function: Vec<String>,
    /// At most this many entries; 0 is all.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct DoctorArguments {
    /// Ask WeCom for one record too, to see whether it answers; nothing is archived.
    #[arg(long)]
    pub call: bool,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct ServeArguments {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Nobody pulls into this archive any more (a copy for reading): silence is no problem.
    #[arg(long)]
    pub without_pull: bool,
}

#[derive(Args)]
pub struct VerifyArguments {
    /// Only messages of these days, without comparisons over the whole.
    #[command(flatten)]
    pub days: Days,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct CompactArguments {
    /// Also today, which still grows.
    #[arg(long)]
    pub all: bool,
}

#[derive(Args)]
pub struct VacuumArguments {
    /// Keep what was needed within so many days; at least 1.
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub keep_days: u32,
}

#[derive(Args)]
pub struct KeepOut {
    #[command(flatten)]
    pub out: Out,
}

#[derive(Subcommand)]
pub enum MediaCommand {
    /// Count files by company and state, with the time that the rest may take.
    Status {
        #[command(flatten)]
        out: Out,
    },
    /// List files, one row for each message that shows one; --status lost for what is gone.
    List {
        #[command(flatten)]
        filter: MediaFilter,
        #[command(flatten)]
        messages: MediaMessages,
        /// At most this many; 0 is all.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        out: Out,
    },
    /// Fetch files until each is stored or lost.
    Fetch {
        /// For this company only (repeatable).
        #[arg(long, value_name = "CORPID")]
        corp: Vec<String>,
        /// One attempt at each file whose turn has come, without waiting for another.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        out: Out,
    },
    /// Let files be tried again at once: those that are lost or wait for another attempt.
    Retry {
        #[command(flatten)]
        filter: MediaFilter,
    },
    /// Write the file of one message.
    Get {
        /// WeCom's id of the message.
        #[arg(allow_hyphen_values = true)]
        msgid: String,
        /// 0 for the message's own file, from 1 on for those of its items.
        #[arg(long, value_name = "N")]
        item: Option<u32>,
        /// The company or import, where several have such a message.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// original, mp3 or wav (voice; needs ffmpeg).
        #[arg(long = "as", value_name = "FORM")]
        convert: Option<String>,
        /// The file to write (`-` is stdout).
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Of which messages; the newest come first then.
#[derive(Args, Clone)]
pub struct MediaMessages {
    #[command(flatten)]
    pub days: Days,
    /// Of messages of this WeCom type, such as voice (repeatable).
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// In conversations of this kind (repeatable).
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Sent by this person, by id or name (repeatable).
    #[arg(long, value_name = "WHO")]
    pub sender: Vec<String>,
}

/// Which files.
#[derive(Args, Clone)]
pub struct MediaFilter {
    /// Of this company or import.
    #[arg(long, value_name = "NAME")]
    pub corp: Option<String>,
    /// pending, fetching, stored or lost (repeatable).
    #[arg(long, value_name = "STATUS")]
    pub status: Vec<String>,
    /// Of the message with this number.
    #[arg(long)]
    pub seq: Option<i64>,
    /// Of this message.
    #[arg(long, value_name = "ID")]
    pub msgid: Option<String>,
}

#[derive(Subcommand)]
pub enum RulesCommand {
    /// Replace the sections that the file names.
    Apply {
        /// A rules file (TOML).
        file: PathBuf,
    },
    /// Print all rules in force.
    #[command(disable_version_flag = true)]
    Show {
        /// Print this version instead (`rules history` lists them).
        #[arg(long, value_name = "N")]
        version: Option<i64>,
    },
    /// Say what applying the file would change and what would be computed anew; changes nothing.
    Diff {
        /// A rules file (TOML).
        file: PathBuf,
    },
    /// List the versions: when, by whom, and which sections changed.
    History {
        #[command(flatten)]
        out: Out,
    },
    /// Take the PRC's holidays and make-up working days over into a calendar; without --calendar
    /// list them.
    Holidays {
        /// The calendar whose exceptions they become.
        #[arg(long, value_name = "NAME")]
        calendar: Option<String>,
        /// Only of this year (repeatable); 2019 to 2026 if left out.
        #[arg(long, value_name = "YEAR")]
        year: Vec<i32>,
        /// Make-up days have the hours of this day (mon to sun); the first that has any if left out.
        #[arg(long = "as", value_name = "DAY")]
        as_: Option<String>,
        /// Replace exceptions that the calendar already has on these days; else they stay.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        out: Out,
    },
}

/// Which behaviours, or what to do with them.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BehavioursArguments {
    #[command(subcommand)]
    pub what: Option<BehavioursCommand>,
    #[command(flatten)]
    pub filter: BehaviourFilter,
    /// Count them by rule instead.
    #[arg(long)]
    pub by_rule: bool,
    /// At most this many; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args, Clone)]
pub struct BehaviourFilter {
    #[command(flatten)]
    pub days: Days,
    /// In a conversation of this employee (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// In a conversation of an employee who was then in this department or below (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// red_packet, card, sensitive_word or friend_deleted (repeatable).
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Hit by this word rule (repeatable).
    #[arg(long, value_name = "NAME")]
    pub rule: Vec<String>,
    /// unreviewed, confirmed or false_alarm (repeatable).
    #[arg(long, value_name = "REVIEW")]
    pub review: Vec<String>,
}

#[derive(Subcommand)]
pub enum BehavioursCommand {
    /// Review a behaviour (审核); it may be reviewed again, and the history is kept.
    Review {
        /// Its behaviour_id.
        id: String,
        /// confirmed or false_alarm.
        #[arg(long = "as", value_name = "VERDICT")]
        as_: String,
        /// Why.
        #[arg(long)]
        remark: Option<String>,
        /// Who reviews; the account's name if left out.
        #[arg(long, value_name = "NAME")]
        reviewer: Option<String>,
    },
    /// List the reviews of a behaviour, oldest first.
    Reviews {
        /// Its behaviour_id.
        id: String,
        #[command(flatten)]
        out: Out,
    },
    /// Apply the rules in force to what is in the archive already, by the day it happened.
    Rescan {
        /// First day, YYYY-MM-DD.
        #[arg(long, value_name = "DAY")]
        from: String,
        /// Last day, YYYY-MM-DD, included.
        #[arg(long, value_name = "DAY")]
        to: String,
    },
    /// Say what a rules file would have found in a period; changes nothing.
    Backtest {
        /// A rules file (TOML).
        file: PathBuf,
        #[command(flatten)]
        filter: BehaviourFilter,
        /// Count them by rule instead.
        #[arg(long)]
        by_rule: bool,
        #[command(flatten)]
        out: Out,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it once.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// Whose data: all, self, departments_below, employee:ID,... or department:ID,...
        #[arg(long, default_value = "all")]
        scope: String,
        /// What it may be used for, such as messages.search (repeatable); everything but
        /// tokens.manage if left out.
        #[arg(long, value_name = "NAME")]
        function: Vec<String>,
        /// The employee whom its holder acts for; self and departments_below need one.
        #[arg(long, value_name = "USERID")]
        employee: Option<String>,
        /// Days until it expires; never if left out.
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u32>,
    },
    /// List tokens.
    List {
        #[command(flatten)]
        out: Out,
    },
    /// Revoke a token.
    Revoke {
        /// Its id, from `token list`.
        id: String,
    },
}

#[derive(Subcommand)]
pub enum TapeCommand {
    /// Seal NDJSON messages into a new folder, with fresh private keys beside it.
    Make {
        /// A file of NDJSON as `import messages` takes it (`-` is stdin).
        #[arg(required = true, value_name = "FILE")]
        file: PathBuf,
        /// The folder to make.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// The corpid that a caller must give.
        #[arg(long, default_value = "wwtape")]
        corpid: String,
        /// The secret that a caller must give.
        #[arg(long, default_value = "tape-secret")]
        secret: String,
        /// Key versions to spread messages over that name none.
        #[arg(long, default_value_t = 2, value_name = "N")]
        key_versions: u32,
        /// Make up media of the stated sizes, each at most this many bytes.
        #[arg(long, value_name = "BYTES")]
        media_bytes_max: Option<u64>,
    },
}

#[derive(Subcommand)]
pub enum DemoCommand {
    /// Write messages.ndjson and directory/ of a made-up company with believable Chinese chats.
    Make {
        /// The folder to make.
        #[arg(value_name = "DIR")]
        output: PathBuf,
        /// Messages.
        #[arg(long, default_value_t = 200_000)]
        messages: u64,
        /// Employees.
        #[arg(long, default_value_t = 320)]
        employees: u32,
        /// Days.
        #[arg(long, default_value_t = 60)]
        days: u32,
        /// What makes it this company and not another.
        #[arg(long, default_value_t = 20_240_916)]
        seed: u64,
    },
}
