//! Arguments of the ways into the chats.

use clap::{Args, Subcommand};

use super::{Days, Out};

/// What narrows a search.
#[derive(Args)]
pub struct Filters {
    #[command(flatten)]
    pub days: Days,
    /// This employee takes part in the conversation (repeatable).
    #[arg(long, value_name = "USERID")]
    pub employee: Vec<String>,
    /// This customer takes part in the conversation (repeatable).
    #[arg(long, value_name = "ID")]
    pub customer: Vec<String>,
    /// An employee of this department or below takes part (repeatable).
    #[arg(long, value_name = "ID")]
    pub department: Vec<String>,
    /// In this room (repeatable).
    #[arg(long, value_name = "ROOMID")]
    pub room: Vec<String>,
    /// Of this WeCom type, such as text or image (repeatable).
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// single_external, single_internal, group_external, group_internal or other (repeatable).
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
}

#[derive(Args)]
pub struct SearchArguments {
    /// Literals that must all occur, "phrases" with spaces, -not, OR, and from: to: with: in: type:
    /// kind: file: before: after:; empty for every message.
    #[arg(allow_hyphen_values = true)]
    pub query: String,
    #[command(flatten)]
    pub filters: Filters,
    /// newest, or relevance: those with most of the literals first.
    #[arg(long, value_name = "ORDER", default_value = "newest")]
    pub order: String,
    /// Count what is found instead, by conversation, employee, department, type or day.
    #[arg(long, value_name = "WHAT")]
    pub count_by: Option<String>,
    /// At most this many messages; 0 is all.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct ConversationsArguments {
    /// As the query of search; every conversation if missing.
    #[arg(allow_hyphen_values = true, default_value = "")]
    pub query: String,
    #[command(flatten)]
    pub filters: Filters,
    /// At most this many conversations; 0 is all.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct ConversationArguments {
    /// The room id, or the two ids joined with `|`.
    pub id: String,
    #[command(flatten)]
    pub days: Days,
    /// The message with this seq, and what was said before and after it.
    #[arg(long, value_name = "SEQ")]
    pub around: Option<i64>,
    /// At most this many messages; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Subcommand)]
pub enum SearchesCommand {
    /// List the saved searches of all owners.
    List {
        #[command(flatten)]
        out: Out,
    },
    /// Save a search under a name; it belongs to `local`.
    Save {
        /// What to call it.
        name: String,
        /// As the query of search.
        #[arg(allow_hyphen_values = true, default_value = "")]
        query: String,
        #[command(flatten)]
        filters: Box<Filters>,
        /// newest, or relevance: those with most of the literals first.
        #[arg(long, value_name = "ORDER", default_value = "newest")]
        order: String,
        /// At most this many messages, 1 to 1000.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Search as a saved search says.
    Run {
        /// Its id, from `searches list`.
        id: String,
        #[command(flatten)]
        out: Out,
    },
    /// Delete a saved search.
    Delete {
        /// Its id, from `searches list`.
        id: String,
    },
}

#[derive(Subcommand)]
pub enum KfCommand {
    /// List sessions that started in a period, the latest first.
    Sessions {
        #[command(flatten)]
        days: Days,
        /// Received by this employee, by id or name (repeatable).
        #[arg(long, value_name = "WHO")]
        servicer: Vec<String>,
        /// Of this customer, by id or name (repeatable).
        #[arg(long, value_name = "WHO")]
        customer: Vec<String>,
        /// With this id (repeatable).
        #[arg(long, value_name = "ID")]
        session: Vec<String>,
        /// At most this many sessions; 0 is all.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        out: Out,
    },
    /// List the messages of one session, in order.
    Messages {
        /// The session's id.
        id: String,
        #[command(flatten)]
        out: Out,
    },
}
