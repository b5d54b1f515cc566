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
    ("timeouts", "timeouts (超时回复) that have fired", TIMEOUTS),
    (
        "replies",
        "replies (回复): one row per customer turn that was answered, all employees of a group as one",
        "SELECT day, dialogue_id, conversation, kind, customer, \
         unnest(turn_at) AS turn_at, unnest(reply_at) AS reply_at, \
         unnest(reply_by) AS employee, unnest(reply_ms) AS reply_ms FROM dialogues",
    ),
];

/// Levels that are still to come are not told.
const TIMEOUTS: &str = "SELECT * EXCEPT (level, level_at, n), n AS level, \
    array_slice(level_at, 1, n) AS level_at FROM (SELECT *, \
    CASE WHEN level_at[5] <= now() THEN 5 WHEN level_at[4] <= now() THEN 4 \
    WHEN level_at[3] <= now() THEN 3 WHEN level_at[2] <= now() THEN 2 ELSE 1 END AS n \
    FROM timeouts_and_coming WHERE fired_at <= now())";

/// Whether SQL knows a derived table or view by that name.
pub fn is_derived(name: &str) -> bool {
    name == TIMEOUTS_AND_COMING
        || schema::TABLES.iter().any(|table| table.name == name)
        || VIEWS.iter().any(|(view, ..)| *view == name)
}

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
