//! DataFusion sessions over the Delta tables, at one version each.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

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
    let mut directory = Vec::with_capacity(TABLES.len());
    for spec in TABLES {
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
    /// A session that knows `messages` and every directory table, fed or not.
    pub async fn session(&self) -> Result<SessionContext, TableError> {
        let ctx = new_session();
        register(&ctx, messages::TABLE, self.messages.as_ref()).await?;
        for (name, table) in &self.directory {
            register(&ctx, name, table.as_ref()).await?;
        }
        Ok(ctx)
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
    let provider: Arc<dyn TableProvider> = match table {
        Some(table) => {
            table.register(&ctx.state());
            table.provider().await?
        }
        None => {
            let schema = match crate::directory::schema::table(name) {
                Some(spec) => spec.schema(),
                None => crate::archive::message::SCHEMA.clone(),
            };
            Arc::new(datafusion::datasource::empty::EmptyTable::new(schema))
        }
    };
    ctx.register_table(name, provider)
        .map(drop)
        .map_err(|e| TableError::File {
            table: name.into(),
            file: "its registration".into(),
            source: e.into(),
        })
}
