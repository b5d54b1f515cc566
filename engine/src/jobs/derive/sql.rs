//! The derived tables in SQL: as they are, and two views of them.

use std::sync::Arc;

use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::load::Snapshot;
use super::schema;
use crate::archive::TableError;

/// Under this name SQL sees all timeouts, those too that will come if nobody answers.
pub const TIMEOUTS_AND_COMING: &str = "timeouts_and_coming";

/// Views over derived tables: name, what a row is, and how it is made.
pub const VIEWS: [(&str, &str, &str); 2] = [
    (
        "timeouts",
        "timeouts (超时回复) that have fired",
        "SELECT * FROM timeouts_and_coming WHERE fired_at <= now()",
    ),
    (
        "replies",
        "replies (回复): one row per customer turn that was answered, all employees of a group as one",
        "SELECT day, dialogue_id, conversation, kind, customer, \
         unnest(turn_at) AS turn_at, unnest(reply_at) AS reply_at, \
         unnest(reply_by) AS employee, unnest(reply_ms) AS reply_ms FROM dialogues",
    ),
];

impl Snapshot {
    /// Lets a session see the derived tables and the views.
    ///
    /// # Errors
    /// A table that cannot be opened.
    pub async fn register(&self, ctx: &SessionContext) -> Result<(), TableError> {
        for spec in schema::TABLES.iter() {
            let name = match spec.name {
                schema::TIMEOUTS => TIMEOUTS_AND_COMING,
                other => other,
            };
            let provider: Arc<dyn datafusion::catalog::TableProvider> = match self.table(spec.name)
            {
                Some(table) => {
                    table.register(&ctx.state());
                    table.provider().await?
                }
                None => Arc::new(EmptyTable::new(spec.schema())),
            };
            ctx.register_table(name, provider)
                .map_err(|e| failed(spec.name, e))?;
        }
        for (name, _, select) in VIEWS {
            let view = ctx.sql(select).await.map_err(|e| failed(name, e))?;
            ctx.register_table(name, view.into_view())
                .map_err(|e| failed(name, e))?;
        }
        Ok(())
    }
}

fn failed(table: &str, source: DataFusionError) -> TableError {
    TableError::File {
        table: table.into(),
        file: "its registration".into(),
        source: source.into(),
    }
}
