//! Tables for callers who do not see everything: rows outside of the scope are gone before any
//! expression of the caller may look at them.
//!
//! A filtered view would not do. The optimizer merges the caller's predicate with the scope's, and
//! one that fails on a hidden row (a cast, a division) tells that the row is there, or quotes it.
//! So a row filter stands between the scan and everything else, as a node of the plan that takes
//! no filter from above, knows no statistics and no limit. Only comparisons of `day`, `seq` and
//! instants with a literal of the same type pass it, because they cannot fail: they decide which
//! files are read, and are applied above once more.
//!
//! [`check_plan`] looks at the finished plan: nothing is read that no barrier stands above.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::StreamExt;

/// Tells of the rows of some columns which of them are visible.
pub type Keeps = dyn Fn(&[ArrayRef]) -> Vec<bool> + Send + Sync;

/// Which rows of a table are visible.
#[derive(Clone)]
pub struct RowFilter {
    /// The columns that it looks at, each with the type that it is read as.
    pub columns: Vec<(&'static str, DataType)>,
    /// The decision.
    pub keeps: Arc<Keeps>,
}

impl fmt::Debug for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFilter").finish_non_exhaustive()
    }
}

impl RowFilter {
    fn visible(&self, batch: &RecordBatch, positions: &[usize]) -> Result<BooleanArray> {
        let mut columns = Vec::with_capacity(positions.len());
        for ((_, kind), position) in self.columns.iter().zip(positions) {
            columns.push(arrow::compute::cast(batch.column(*position), kind)?);
        }
        Ok(BooleanArray::from((self.keeps)(&columns)))
    }
}

/// A table of which only the visible rows exist.
#[derive(Debug)]
pub struct Guarded {
    inner: Arc<dyn TableProvider>,
    filter: RowFilter,
}

impl Guarded {
    /// Puts a filter before a table.
    pub fn new(inner: Arc<dyn TableProvider>, filter: RowFilter) -> Self {
        Self { inner, filter }
    }

    /// Whether an expression may decide which files are read: it compares a column that tells
    /// nothing about contents with a literal of the same type, which cannot fail.
    fn is_harmless(&self, expr: &Expr) -> bool {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
            return false;
        };
        let (column, literal) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _))
            | (Expr::Literal(value, _), Expr::Column(column)) => (column, value),
            _ => return false,
        };
        let schema = self.inner.schema();
        let is_comparison = matches!(
            op,
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        is_comparison
            && ["day", "seq", "msgtime"].contains(&column.name.as_str())
            && schema
                .field_with_name(&column.name)
                .is_ok_and(|field| *field.data_type() == literal.data_type())
    }
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |expr: &&Expr| match self.is_harmless(expr) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.inner.schema();
        let asked = match projection {
            Some(asked) => asked.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let mut read = asked.clone();
        let mut positions = Vec::with_capacity(self.filter.columns.len());
        for (name, _) in &self.filter.columns {
            let column = schema.index_of(name)?;
            let known = read.iter().position(|known| *known == column);
            positions.push(known.unwrap_or(read.len()));
            if known.is_none() {
                read.push(column);
            }
        }
        let harmless: Vec<Expr> = filters
            .iter()
            .filter(|expr| self.is_harmless(expr))
            .cloned()
            .collect();
        let input = self.inner.scan(state, Some(&read), &harmless, None);
        let barrier = Barrier::new(input.await?, self.filter.clone(), positions, asked.len())?;
        Ok(Arc::new(barrier))
    }
}

/// The node of the plan that drops hidden rows, and the columns that only the filter needs.
#[derive(Debug)]
struct Barrier {
    input: Arc<dyn ExecutionPlan>,
    filter: RowFilter,
    /// Where the filter's columns stand in the input.
    positions: Vec<usize>,
    n_columns: usize,
    properties: Arc<PlanProperties>,
}

impl Barrier {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        filter: RowFilter,
        positions: Vec<usize>,
        n_columns: usize,
    ) -> Result<Self> {
        let columns: Vec<usize> = (0..n_columns).collect();
        let schema: Schema = input.schema().project(&columns)?;
        // What is known of the input's order, values or keys is of hidden rows too.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self {
            input,
            filter,
            positions,
            n_columns,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Barrier")
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &str {
        "Barrier"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop().filter(|_| children.is_empty()) else {
            return datafusion::common::internal_err!("a barrier has one input");
        };
        let (filter, positions) = (self.filter.clone(), self.positions.clone());
        Ok(Arc::new(Self::new(
            input,
            filter,
            positions,
            self.n_columns,
        )?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (filter, positions) = (self.filter.clone(), self.positions.clone());
        let columns: Vec<usize> = (0..self.n_columns).collect();
        let visible = input.filter_map(move |batch| {
            let kept = batch.and_then(|batch| {
                let is_visible = filter.visible(&batch, &positions)?;
                let kept = filter_record_batch(&batch.project(&columns)?, &is_visible)?;
                Ok(kept)
            });
            // An empty batch would tell that hidden rows stood there.
            let is_empty = kept.as_ref().is_ok_and(|batch| batch.num_rows() == 0);
            std::future::ready((!is_empty).then_some(kept))
        });
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, visible)))
    }
}

/// Refuses a plan that reads anything but what stands under a barrier, or lies in memory.
///
/// # Errors
/// A plan with such a leaf.
pub fn check_plan(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let node: &dyn Any = plan.as_ref();
    if node.is::<Barrier>() {
        return Ok(());
    }
    let children = plan.children();
    if children.is_empty() && !is_harmless_leaf(plan.as_ref()) {
        return Err(DataFusionError::Plan(
            "the statement reads what is not a table of the caller".into(),
        ));
    }
    children.into_iter().try_for_each(check_plan)
}

/// Rows in memory (reviews, `table_columns`, VALUES), series of numbers, and nothing at all.
fn is_harmless_leaf(leaf: &dyn ExecutionPlan) -> bool {
    let node: &dyn Any = leaf;
    let of_memory = node
        .downcast_ref::<DataSourceExec>()
        .is_some_and(|source| source.data_source().is::<MemorySourceConfig>());
    of_memory
        || matches!(
            leaf.name(),
            "EmptyExec" | "PlaceholderRowExec" | "LazyMemoryExec" | "WorkTableExec"
        )
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::prelude::{SessionContext, col, lit};

    use super::*;
    use crate::tables::{Budget, SqlError, query_guarded};

    /// Two rows of department A; one of B, whose text is no number and whose `n` is 3.
    fn rows() -> Arc<dyn TableProvider> {
        let columns: [(&str, ArrayRef); 3] = [
            ("dept", Arc::new(StringArray::from(vec!["A", "B", "A"]))),
            ("txt", Arc::new(StringArray::from(vec!["1", "秘密", "2"]))),
            ("n", Arc::new(Int64Array::from(vec![1, 3, 2]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let table = datafusion::datasource::MemTable::try_new(batch.schema(), vec![vec![batch]]);
        Arc::new(table.unwrap())
    }

    fn guarded() -> SessionContext {
        let filter = RowFilter {
            columns: vec![("dept", DataType::Utf8)],
            keeps: Arc::new(|columns| {
                let dept: &StringArray = columns[0].as_string();
                dept.iter().map(|dept| dept == Some("A")).collect()
            }),
        };
        let ctx = SessionContext::new();
        ctx.register_table("t", Arc::new(Guarded::new(rows(), filter)))
            .unwrap();
        ctx
    }

    /// Fail on the hidden row and on no other.
    const FAILING: [&str; 4] = [
        "SELECT count(*) FROM t WHERE cast(txt AS INT) > 0",
        "SELECT count(*) FROM t WHERE 1 / (n - 3) > -9",
        "SELECT count(*) FROM (SELECT * FROM t WHERE arrow_cast(txt, 'Int64') > 0)",
        "SELECT count(*) FROM t a JOIN t b ON a.n = b.n WHERE cast(b.txt AS INT) > 0",
    ];

    async fn count(sql: &str) -> Result<i64, SqlError> {
        let (_, rows) = query_guarded(&guarded(), sql, Budget::NONE).await?;
        Ok(rows[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    #[tokio::test]
    async fn what_fails_on_a_hidden_row_tells_nothing() {
        for sql in FAILING {
            assert_eq!(count(sql).await.unwrap(), 2, "{sql}");
        }
        assert_eq!(count("SELECT count(*) FROM t").await.unwrap(), 2);
        assert_eq!(count("SELECT max(n) FROM t").await.unwrap(), 2);
        let mine = "SELECT n FROM t WHERE cast(dept || txt AS INT) > 0";
        assert!(matches!(count(mine).await, Err(SqlError::Running(_))));
    }

    /// Without this the test above would prove nothing.
    #[tokio::test]
    async fn a_plain_view_leaks_the_hidden_row_by_the_same_statements() {
        let ctx = SessionContext::new();
        let visible = ctx.read_table(rows()).unwrap();
        let visible = visible.filter(col("dept").eq(lit("A"))).unwrap();
        ctx.register_table("t", visible.into_view()).unwrap();
        for sql in FAILING {
            let answer = crate::tables::query(&ctx, sql, Budget::NONE).await;
            assert!(matches!(answer, Err(SqlError::Running(_))), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_plan_that_reads_around_the_barrier_is_refused() {
        let ctx = guarded();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.csv");
        std::fs::write(&file, "x\n1\n").unwrap();
        let path = file.to_str().unwrap();
        ctx.register_csv("files", path, Default::default())
            .await
            .unwrap();
        let around = "SELECT t.n FROM t, files";
        let answer = query_guarded(&ctx, around, Budget::NONE).await;
        let told = answer.unwrap_err().to_string();
        assert!(told.contains("not a table of the caller"), "{told}");
        for sql in [
            "SELECT * FROM generate_series(1, 3)",
            "VALUES (1)",
            "SELECT n FROM t WHERE n > (SELECT min(n) FROM t)",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r",
        ] {
            assert!(
                query_guarded(&ctx, sql, Budget::NONE).await.is_ok(),
                "{sql}"
            );
        }
    }
}
