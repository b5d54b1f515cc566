//! Arguments of exports.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Days, Filters};

#[derive(Subcommand)]
pub enum ExportCommand {
    /// Messages that a search finds, newest first: .zip (NDJSON with a manifest), .csv or .xlsx.
    Search {
        /// As the query of search; empty for every message.
        #[arg(allow_hyphen_values = true)]
        query: String,
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        out: ExportOut,
    },
    /// The messages of one conversation, in order: .html (a page of its own), .zip (NDJSON with a
    /// manifest), .csv or .xlsx.
    Conversation {
        /// The room id, or the two ids joined with `|`.
        id: String,
        #[command(flatten)]
        days: Days,
        #[command(flatten)]
        out: ExportOut,
    },
    /// Files of messages that a search finds: .zip (all of them with a table that names the missing
    /// ones), .csv or .xlsx (the table alone).
    Media {
        /// As the query of search, such as `from:zhangsan`; every message with a file if missing.
        #[arg(allow_hyphen_values = true, default_value = "")]
        query: String,
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        out: ExportOut,
    },
}

#[derive(Args)]
pub struct ExportOut {
    /// The file to write; its ending names the format.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Leave out messages that came into the archive after this version of `messages`.
    #[arg(long, value_name = "VERSION")]
    pub as_of: Option<u64>,
}
