//! DataFusion sessions over the Delta tables, at one version each.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext, col};

use super::barrier::Guarded;
use super::visible::{Visible, filter};
use crate::archive::{Home, Table, TableError, messages};
use crate::directory::schema::TABLES;

/// Memory of one question, bytes: past it DataFusion spills to disk or fails with a clear error.
const QUESTION_MEMORY_BYTES_MAX: usize = 1 << 30;

/// The tables that questions are asked of, each at one version.
pub struct Tables {
    /// The `messages` table; missing before the first message.
    pub messages: Option<Table>,
    directory: Vec<(&'static str, Option<Table>)>,
}

/// Opens all tables at their newest versions.
pub async fn open(home: &Home) -> Result<Tables, TableError> {
    open_some(home, |_| true).await
}

/// Opens `messages`, and the directory tables that are asked for, at their newest versions.
pub async fn open_asked(home: &Home, asked: &[String]) -> Result<Tables, TableError> {
    open_some(home, |name| asked.iter().any(|asked| asked == name)).await
}

async fn open_some(home: &Home, is_asked: impl Fn(&str) -> bool) -> Result<Tables, TableError> {
    let mut directory = Vec::with_capacity(TABLES.len());
    for spec in TABLES.iter().filter(|spec| is_asked(spec.name)) {
        let table = Table::open(&home.table(spec.name), spec.layout()).await?;
        directory.push((spec.name, table));
    }
    Ok(Tables {
        messages: messages::open(home).await?,
        directory,
    })
}

/// Opens the `messages` table only: the directory tables are as if they had never been fed.
pub async fn open_messages(home: &Home) -> Result<Tables, TableError> {
    Ok(Tables {
        messages: messages::open(home).await?,
        directory: Vec::new(),
    })
}

impl Tables {
    /// A session that knows `messages` and every directory table opened, fed or not.
    pub async fn session(&self) -> Result<SessionContext, TableError> {
        let ctx = new_session();
        register(&ctx, messages::TABLE, self.messages.as_ref()).await?;
        for (name, table) in &self.directory {
            register(&ctx, name, table.as_ref()).await?;
        }
        Ok(ctx)
    }

    /// A session that knows the same tables with the visible rows only.
    pub async fn session_of(&self, visible: &Arc<Visible>) -> Result<SessionContext, TableError> {
        let ctx = new_session();
        let directory = self.directory.iter().map(|(name, table)| (*name, table));
        for (name, table) in std::iter::once((messages::TABLE, &self.messages)).chain(directory) {
            let provider = provider(&ctx, name, table.as_ref()).await?;
            if let Some(filter) = filter(name, visible) {
                let guarded = Guarded::new(provider, filter);
                ctx.register_table(name, Arc::new(guarded))
                    .map_err(|e| unregistered(name, e))?;
            }
        }
        Ok(ctx)
    }

    /// The customer service sessions in which one of `people` received the customer.
    pub async fn sessions_of(
        &self,
        people: &HashSet<String>,
    ) -> Result<HashSet<String>, TableError> {
        const SESSIONS: &str = "kf_messages";
        let known = self.directory.iter().find(|(name, _)| *name == SESSIONS);
        let Some(table) = known.and_then(|(_, table)| table.as_ref()) else {
            return Ok(HashSet::new());
        };
        let ctx = new_session();
        let provider = provider(&ctx, SESSIONS, Some(table)).await?;
        let read = async {
            let asked = ["session_id", "servicer_userid"];
            let rows = ctx
                .read_table(provider)?
                .filter(col("servicer_userid").is_not_null())?
                .select(asked.map(col))?
                .distinct()?
                .collect()
                .await?;
            let mut sessions = HashSet::new();
            for batch in rows {
                let text = |at: usize| arrow::compute::cast(batch.column(at), &DataType::Utf8);
                let (ids, servicers) = (text(0)?, text(1)?);
                let (ids, servicers): (&StringArray, &StringArray) =
                    (ids.as_string(), servicers.as_string());
                let of_row = ids.iter().zip(servicers.iter());
                sessions.extend(of_row.filter_map(|(id, servicer)| {
                    people.contains(servicer?).then(|| id.map(String::from))?
                }));
            }
            Ok(sessions)
        };
        read.await.map_err(|e| unregistered(SESSIONS, e))
    }

    /// The version of `messages`; 0 before the first message.
    pub fn messages_version(&self) -> u64 {
        self.messages.as_ref().map_or(0, Table::version)
    }
}

fn new_session() -> SessionContext {
    let config = SessionConfig::new()
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(QUESTION_MEMORY_BYTES_MAX)))
        .build_arc()
        .unwrap_or_default();
    SessionContext::new_with_config_rt(config, runtime)
}

async fn register(
    ctx: &SessionContext,
    name: &'static str,
    table: Option<&Table>,
) -> Result<(), TableError> {
    ctx.register_table(name, provider(ctx, name, table).await?)
        .map(drop)
        .map_err(|e| unregistered(name, e))
}

/// A table as DataFusion reads it; one that was never fed has no rows.
async fn provider(
    ctx: &SessionContext,
    name: &str,
    table: Option<&Table>,
) -> Result<Arc<dyn TableProvider>, TableError> {
    if let Some(table) = table {
        table.register(&ctx.state());
        return table.provider().await;
    }
    let schema = match crate::directory::schema::table(name) {
        Some(spec) => spec.schema(),
        None => crate::archive::message::SCHEMA.clone(),
    };
    Ok(Arc::new(datafusion::datasource::empty::EmptyTable::new(
        schema,
    )))
}

fn unregistered(name: &str, source: DataFusionError) -> TableError {
    TableError::File {
        table: name.into(),
        file: "its registration".into(),
        source: source.into(),
    }
}
