//! The derived tables in SQL: as they are, with views of them; behaviours beside their reviews, which
//! are the state's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::JoinType;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionContext, col, lit, when};

use super::load::Snapshot;
use super::output::instants;
use super::schema;
use crate::archive::TableError;
use crate::state::behaviours::Review;
use crate::tables::barrier::Guarded;
use crate::tables::visible::{Visible, filter};

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

/// All reviews of behaviours, the oldest first.
pub const BEHAVIOUR_REVIEWS: &str = "behaviour_reviews";

/// Whether SQL knows a derived table or view by that name.
pub fn is_derived(name: &str) -> bool {
    name == TIMEOUTS_AND_COMING
        || name == BEHAVIOUR_REVIEWS
        || schema::TABLES.iter().any(|table| table.name == name)
        || VIEWS.iter().any(|(view, ..)| *view == name)
}

/// Whether a statement that names `asked` reads a derived table, by itself or through a view.
fn is_read(table: &str, asked: &[String]) -> bool {
    let through = |name: &str| match name {
        "timeouts" | TIMEOUTS_AND_COMING => table == schema::TIMEOUTS,
        "replies" => table == schema::DIALOGUES,
        BEHAVIOUR_REVIEWS => table == schema::BEHAVIOURS,
        other => table == other,
    };
    asked.iter().any(|name| through(name))
}

/// Reviews by behaviour, the oldest of each first.
pub type Reviews = HashMap<String, Vec<Review>>;

impl Snapshot {
    /// Lets a session see those of the derived tables and views that a statement names.
    ///
    /// # Errors
    /// A table that cannot be opened.
    pub async fn register(
        &self,
        ctx: &SessionContext,
        reviews: &Reviews,
        asked: &[String],
    ) -> Result<(), TableError> {
        register(ctx, &self.providers(ctx, asked).await?, reviews, asked).await
    }

    /// As [`Snapshot::register`], with the visible rows only: views are of those, and reviews of
    /// visible behaviours.
    ///
    /// # Errors
    /// A table that cannot be opened, or behaviours that cannot be read.
    pub async fn register_visible(
        &self,
        ctx: &SessionContext,
        reviews: &Reviews,
        asked: &[String],
        visible: &Arc<Visible>,
    ) -> Result<(), TableError> {
        let mut providers = self.providers(ctx, asked).await?;
        for spec in schema::TABLES
            .iter()
            .filter(|spec| is_read(spec.name, asked))
        {
            let empty = || Arc::new(EmptyTable::new(spec.schema())) as Arc<dyn TableProvider>;
            let all = providers.remove(spec.name).unwrap_or_else(empty);
            // Without a rule nothing of it is visible.
            let guarded = match filter(spec.name, visible) {
                Some(filter) => Arc::new(Guarded::new(all, filter)) as Arc<dyn TableProvider>,
                None => empty(),
            };
            providers.insert(spec.name, guarded);
        }
        let mut shown = Reviews::new();
        if !reviews.is_empty()
            && let Some(behaviours) = providers.get(schema::BEHAVIOURS)
        {
            let ids = ids_of(ctx, Arc::clone(behaviours)).await;
            let ids = ids.map_err(|e| failed(schema::BEHAVIOURS, e))?;
            shown.clone_from(reviews);
            shown.retain(|id, _| ids.contains(id));
        }
        register(ctx, &providers, &shown, asked).await
    }

    async fn providers(
        &self,
        ctx: &SessionContext,
        asked: &[String],
    ) -> Result<HashMap<&'static str, Arc<dyn TableProvider>>, TableError> {
        let mut providers: HashMap<&str, Arc<dyn TableProvider>> = HashMap::new();
        for spec in schema::TABLES
            .iter()
            .filter(|spec| is_read(spec.name, asked))
        {
            if let Some(table) = self.table(spec.name) {
                table.register(&ctx.state());
                providers.insert(spec.name, table.provider().await?);
            }
        }
        Ok(providers)
    }
}

/// Lets a session see the derived tables and the views without any rows.
///
/// # Errors
/// A name that is taken.
pub async fn register_empty(ctx: &SessionContext) -> Result<(), TableError> {
    let tables = schema::TABLES.iter().map(|spec| spec.name.to_string());
    let views = VIEWS.iter().map(|(name, ..)| name.to_string());
    let more = [TIMEOUTS_AND_COMING, BEHAVIOUR_REVIEWS].map(String::from);
    let all: Vec<String> = tables.chain(views).chain(more).collect();
    register(ctx, &HashMap::new(), &Reviews::new(), &all).await
}

async fn register(
    ctx: &SessionContext,
    providers: &HashMap<&str, Arc<dyn TableProvider>>,
    reviews: &Reviews,
    asked: &[String],
) -> Result<(), TableError> {
    let is_asked = |name: &str| asked.iter().any(|asked| asked == name);
    for spec in schema::TABLES
        .iter()
        .filter(|spec| is_read(spec.name, asked))
    {
        let provider = match providers.get(spec.name) {
            Some(provider) => Arc::clone(provider),
            None => Arc::new(EmptyTable::new(spec.schema())),
        };
        let (name, provider) = match spec.name {
            schema::TIMEOUTS => (TIMEOUTS_AND_COMING, provider),
            schema::BEHAVIOURS => {
                let reviewed = with_reviews(ctx, provider, reviews);
                (spec.name, reviewed.map_err(|e| failed(spec.name, e))?)
            }
            other => (other, provider),
        };
        ctx.register_table(name, provider)
            .map_err(|e| failed(spec.name, e))?;
    }
    if is_asked(BEHAVIOUR_REVIEWS) {
        let all = reviews_table(reviews, ReviewRows::All);
        all.and_then(|all| ctx.register_table(BEHAVIOUR_REVIEWS, all))
            .map_err(|e| failed(BEHAVIOUR_REVIEWS, e))?;
    }
    for (name, _, select) in VIEWS.into_iter().filter(|(name, ..)| is_asked(name)) {
        let view = ctx.sql(select).await.map_err(|e| failed(name, e))?;
        ctx.register_table(name, view.into_view())
            .map_err(|e| failed(name, e))?;
    }
    Ok(())
}

/// Behaviours beside what their last review says.
fn with_reviews(
    ctx: &SessionContext,
    behaviours: Arc<dyn TableProvider>,
    reviews: &Reviews,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let last = ctx
        .read_table(reviews_table(reviews, ReviewRows::Last)?)?
        .with_column_renamed("behaviour_id", "reviewed_id")?;
    let word = when(col("review").is_null(), lit("unreviewed")).otherwise(col("review"))?;
    let joined = ctx
        .read_table(behaviours)?
        .join(
            last,
            JoinType::Left,
            &["behaviour_id"],
            &["reviewed_id"],
            None,
        )?
        .with_column("review", word)?
        .drop_columns(&["reviewed_id"])?;
    Ok(joined.into_view())
}

/// The ids of the behaviours that a provider has.
async fn ids_of(
    ctx: &SessionContext,
    behaviours: Arc<dyn TableProvider>,
) -> Result<HashSet<String>, DataFusionError> {
    let rows = ctx
        .read_table(behaviours)?
        .select([col("behaviour_id")])?
        .collect()
        .await?;
    let mut ids = HashSet::new();
    for batch in rows {
        let column = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
        let column: &StringArray = column.as_string();
        ids.extend(column.iter().flatten().map(String::from));
    }
    Ok(ids)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReviewRows {
    All,
    Last,
}

/// Reviews as a table in memory: people make them by hand, so they are few.
fn reviews_table(
    reviews: &Reviews,
    wanted: ReviewRows,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let mut ids: Vec<&String> = reviews.keys().collect();
    ids.sort_unstable();
    let (mut id, mut review) = (StringBuilder::new(), StringBuilder::new());
    let (mut reviewer, mut at) = (StringBuilder::new(), instants());
    let mut remark = StringBuilder::new();
    for of in ids {
        let all = reviews[of].as_slice();
        let skipped = match wanted {
            ReviewRows::All => 0,
            ReviewRows::Last => all.len().saturating_sub(1),
        };
        for one in &all[skipped..] {
            id.append_value(of);
            review.append_value(one.verdict.as_str());
            reviewer.append_value(&one.reviewer);
            at.append_value(one.at_ms * 1000);
            remark.append_option(one.remark.as_deref());
        }
    }
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("behaviour_id", Arc::new(id.finish()), false),
        ("review", Arc::new(review.finish()), false),
        ("reviewer", Arc::new(reviewer.finish()), false),
        ("reviewed_at", Arc::new(at.finish()), false),
        ("remark", Arc::new(remark.finish()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    Ok(Arc::new(table))
}

fn failed(table: &str, source: DataFusionError) -> TableError {
    TableError::File {
        table: table.into(),
        file: "its registration".into(),
        source: source.into(),
    }
}
