//! Read-only SQL over the tables, with limits that stand before the parser.
//!
//! A deep or long enough expression overflows the parser's or the planner's stack, which kills
//! the process (measured: 10,000 `+`, 20,000 parentheses). So the text's size, its nesting and
//! its operators are counted by the tokenizer, which is a loop, before anything recursive runs.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::TryStreamExt;

use super::barrier::check_plan;

/// Bytes of a statement.
pub const SQL_BYTES_MAX: usize = 16 * 1024;
/// Open brackets at one place.
pub const NESTING_MAX: usize = 50;
/// Operators and keywords that join expressions, in one statement.
pub const OPERATORS_MAX: usize = 512;

/// Stack of the threads that statements run on, for which the limits above are measured.
pub const WORKER_STACK_BYTES: usize = 8 << 20;
/// Words that wrap or join what stands before them: each is one level more for the planner.
const JOINING_WORDS: &[&str] = &[
    "AND",
    "OR",
    "NOT",
    "CASE",
    "WHEN",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "JOIN",
    "APPLY",
    "SELECT",
    "VALUES",
    "IS",
    "IN",
    "LIKE",
    "ILIKE",
    "SIMILAR",
    "RLIKE",
    "REGEXP",
    "GLOB",
    "BETWEEN",
    "COLLATE",
    "AT",
    "PIVOT",
    "UNPIVOT",
    "MATCH_RECOGNIZE",
    "TABLESAMPLE",
];

/// Why a statement was not run.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Too long, too deep or too many operators.
    #[error("the statement has {found} {what}; at most {max} are allowed")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many may be.
        max: usize,
    },
    /// Not one SELECT.
    #[error("only one SELECT (or WITH ... SELECT) statement is allowed: {0}")]
    NotASelect(String),
    /// The statement is wrong.
    #[error("{0}")]
    Failed(#[from] DataFusionError),
    /// The statement failed on the rows. Which value made it fail is not told: it is chat text.
    #[error("the statement failed while it ran: {0}")]
    Running(&'static str),
    /// It took longer than it may, in seconds.
    #[error(
        "the statement was stopped after {0} s, which is its time; filter by `day`, ask for fewer \
         columns, or give it more time"
    )]
    TooSlow(f64),
    /// Its answer has more rows than it may.
    #[error(
        "the answer has more than {0} rows, which is its limit; add up in SQL, filter, or end the \
         statement with LIMIT {0}"
    )]
    TooManyRows(u64),
    /// Memory or disk did not suffice.
    #[error("the statement needs too much: {0}")]
    Exhausted(String),
}

/// A failure on the rows without the values that DataFusion quotes.
fn running(error: &DataFusionError) -> SqlError {
    use arrow::error::ArrowError;
    let what = match error.find_root() {
        DataFusionError::ResourcesExhausted(what) => return SqlError::Exhausted(what.clone()),
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::CastError(_) | ArrowError::ParseError(_) => {
                "a value cannot be read as the type asked for (`try_cast` gives null instead)"
            }
            ArrowError::DivideByZero => "division by zero",
            ArrowError::ArithmeticOverflow(_) => "a number is too large for its type",
            _ => "a value cannot be computed",
        },
        // A condition that fails while a file is filtered comes as an error of the file's reader.
        DataFusionError::ParquetError(_) => {
            "a value cannot be computed, or a file of the archive cannot be read"
        }
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            "a file of the archive cannot be read"
        }
        _ => "a value cannot be computed",
    };
    SqlError::Running(what)
}

/// Refuses what is too large or no SELECT, before anything else is done for it, and names the
/// tables that it asks for.
///
/// # Errors
/// [`SqlError::TooLarge`], [`SqlError::NotASelect`], or a statement that cannot be parsed.
pub fn check(sql: &str) -> Result<Vec<String>, SqlError> {
    check_size(sql)?;
    let statement = the_select(sql)?;
    let (tables, _) = resolve_table_references(&statement, true)?;
    Ok(tables.iter().map(|name| name.table().to_string()).collect())
}

/// Looks at a plan before it runs.
type PlanCheck = fn(&Arc<dyn ExecutionPlan>) -> Result<(), DataFusionError>;

/// How much an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Bytes in memory: what is collected here is outside of the session's own bound.
    pub bytes_max: usize,
    /// Rows; none is no bound.
    pub rows_max: Option<u64>,
    /// Time from planning to the last row; none is no bound.
    pub time_max: Option<Duration>,
}

impl Budget {
    /// No bound at all.
    pub const NONE: Self = Self {
        bytes_max: usize::MAX,
        rows_max: None,
        time_max: None,
    };
}

/// Runs one SELECT within a budget and returns its columns and rows. It runs as a task of its own,
/// which ends at its next batch when time is up or nobody waits any more.
///
/// # Errors
/// A statement that is refused, that fails, or that needs more than `budget`.
pub async fn query(
    ctx: &SessionContext,
    sql: &str,
    budget: Budget,
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    query_checked(ctx, sql, budget, |_| Ok(())).await
}

/// As [`query`], over a session of guarded tables: a plan that reads anything else is refused.
///
/// # Errors
/// As [`query`].
pub async fn query_guarded(
    ctx: &SessionContext,
    sql: &str,
    budget: Budget,
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    query_checked(ctx, sql, budget, check_plan).await
}

async fn query_checked(
    ctx: &SessionContext,
    sql: &str,
    budget: Budget,
    may_run: PlanCheck,
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    check(sql)?;
    let (ctx, sql) = (ctx.clone(), sql.to_string());
    let task = SpawnedTask::spawn(async move { run(&ctx, &sql, budget, may_run).await });
    let ended = match budget.time_max {
        None => task.join().await,
        // When it elapses the task is dropped, which aborts it.
        Some(time_max) => tokio::time::timeout(time_max, task.join())
            .await
            .map_err(|_| SqlError::TooSlow(time_max.as_secs_f64()))?,
    };
    ended.map_err(|_| SqlError::Running("it was stopped"))?
}

async fn run(
    ctx: &SessionContext,
    sql: &str,
    budget: Budget,
    may_run: PlanCheck,
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    let options = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let frame = ctx.sql_with_options(sql, options).await?;
    let schema = Arc::clone(frame.schema().inner());
    let context = frame.task_ctx().into();
    let plan = frame
        .create_physical_plan()
        .await
        .map_err(|e| running(&e))?;
    may_run(&plan)?;
    let mut stream = execute_stream(plan, context).map_err(|e| running(&e))?;
    let (mut rows, mut n_bytes, mut n_rows) = (Vec::new(), 0usize, 0u64);
    while let Some(batch) = stream.try_next().await.map_err(|e| running(&e))? {
        n_rows += batch.num_rows() as u64;
        if let Some(rows_max) = budget.rows_max.filter(|max| n_rows > *max) {
            return Err(SqlError::TooManyRows(rows_max));
        }
        n_bytes = n_bytes.saturating_add(batch.get_array_memory_size());
        if n_bytes > budget.bytes_max {
            return Err(SqlError::Exhausted(format!(
                "its answer has more than {} bytes; ask for fewer rows or columns",
                budget.bytes_max
            )));
        }
        rows.push(batch);
    }
    Ok((schema, rows))
}

fn check_size(sql: &str) -> Result<(), SqlError> {
    let limit = |what, found, max| {
        if found > max {
            Err(SqlError::TooLarge { what, found, max })
        } else {
            Ok(())
        }
    };
    limit("bytes", sql.len(), SQL_BYTES_MAX)?;
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|e| SqlError::NotASelect(e.to_string()))?;
    let (mut deepest, mut n_operators) = (0usize, 0usize);
    // For each open bracket, and the statement itself: whether a FROM came, after which a comma
    // is a join.
    let mut after_from = vec![false];
    for token in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => after_from.push(false),
            Token::RParen | Token::RBracket | Token::RBrace if after_from.len() > 1 => {
                after_from.pop();
            }
            Token::Word(word) => {
                let word = word.value.to_uppercase();
                n_operators += usize::from(JOINING_WORDS.contains(&word.as_str()));
                if let Some(here) = after_from.last_mut() {
                    *here = *here && word != "SELECT" || word == "FROM";
                }
            }
            Token::Comma => n_operators += usize::from(after_from.last() == Some(&true)),
            Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period
            | Token::SemiColon
            | Token::RParen
            | Token::RBracket
            | Token::RBrace
            | Token::EOF => {}
            _ => n_operators += 1,
        }
        deepest = deepest.max(after_from.len() - 1);
    }
    limit("brackets inside each other", deepest, NESTING_MAX)?;
    limit("operators", n_operators, OPERATORS_MAX)
}

fn the_select(sql: &str) -> Result<Statement, SqlError> {
    let mut statements = DFParser::parse_sql(sql)?;
    match (statements.pop_front(), statements.len() + 1) {
        (Some(Statement::Statement(statement)), 1)
            if matches!(statement.as_ref(), ast::Statement::Query(_)) =>
        {
            Ok(Statement::Statement(statement))
        }
        (None, _) => Err(SqlError::NotASelect("found 0 statements".into())),
        (_, n) if n != 1 => Err(SqlError::NotASelect(format!("found {n} statements"))),
        _ => Err(SqlError::NotASelect(
            "found another kind of statement".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        query(&SessionContext::new(), sql, Budget::NONE).await
    }

    #[tokio::test]
    async fn a_select_answers() {
        let (_, rows) = run("SELECT 1 AS one").await.unwrap();
        assert_eq!(rows[0].num_rows(), 1);
    }

    #[tokio::test]
    async fn a_failing_value_is_not_told() {
        for sql in [
            "SELECT cast(x as int) FROM (VALUES ('秘密'), ('1')) t(x)",
            "SELECT x / (x - x) FROM (VALUES (41), (42)) t(x)",
            "SELECT to_timestamp(x) FROM (VALUES ('秘密')) t(x)",
        ] {
            let error = run(sql).await.unwrap_err();
            let told = error.to_string();
            assert!(matches!(error, SqlError::Running(_)), "{told}");
            assert!(!told.contains("秘密"), "{told}");
        }
    }

    #[test]
    fn the_largest_statement_allowed_fits_a_worker_thread() {
        let tables: Vec<String> = (0..250).map(|i| format!("t a{i}")).collect();
        for sql in [
            format!("SELECT 1{}", "+1".repeat(511)),
            format!("SELECT 1{}", " IS NULL".repeat(511)),
            format!("SELECT 1 FROM {}", tables.join(",")),
            format!("VALUES (1) {}", "EXCEPT VALUES (1) ".repeat(255)),
            format!("SELECT {}1{}", "abs(".repeat(50), ")".repeat(50)),
        ] {
            let asked = move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let ctx = SessionContext::new();
                    ctx.sql("CREATE TABLE t AS VALUES (1)").await.unwrap();
                    // An answer or an error; an overflow would end the process.
                    let answer = query(&ctx, &sql, Budget::NONE).await;
                    assert!(!matches!(answer, Err(SqlError::TooLarge { .. })));
                });
            };
            let thread = std::thread::Builder::new().stack_size(WORKER_STACK_BYTES);
            thread.spawn(asked).unwrap().join().unwrap();
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_stopped_at_its_bound() {
        let ctx = SessionContext::new();
        let endless = "SELECT * FROM generate_series(1, 9000000000000)";
        let few_bytes = Budget {
            bytes_max: 1 << 20,
            ..Budget::NONE
        };
        let answer = query(&ctx, endless, few_bytes).await;
        assert!(matches!(answer, Err(SqlError::Exhausted(_))));
        let few_rows = Budget {
            rows_max: Some(3),
            ..Budget::NONE
        };
        let told = query(&ctx, endless, few_rows).await.unwrap_err();
        assert!(told.to_string().contains("LIMIT 3"), "{told}");
        let three = query(&ctx, "SELECT * FROM generate_series(1, 3)", few_rows).await;
        assert!(three.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_statement_that_only_computes_is_stopped_when_its_time_is_up() {
        let short = Budget {
            time_max: Some(Duration::from_millis(200)),
            ..Budget::NONE
        };
        let series = "generate_series(1, 9000000000)";
        for sql in [
            format!("SELECT count(*) FROM {series}"),
            format!("SELECT max(a.value + b.value) FROM {series} a CROSS JOIN {series} b"),
        ] {
            let metrics = tokio::runtime::Handle::current().metrics();
            let answer = query(&SessionContext::new(), &sql, short).await;
            assert!(matches!(answer, Err(SqlError::TooSlow(_))), "{sql}");
            // Nothing of it goes on: its tasks end at their next batch.
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn whatever_is_not_one_select_is_refused() {
        for sql in [
            "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
            "COPY (SELECT 1) TO 'x.csv' STORED AS CSV",
            "SET datafusion.execution.batch_size = 1",
            "SELECT 1; SELECT 2",
            "EXPLAIN ANALYZE SELECT 1",
            "INSERT INTO t VALUES (1)",
            "DROP TABLE messages",
            "",
        ] {
            assert!(run(sql).await.is_err(), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_would_overflow_the_stack_is_refused_first() {
        for sql in [
            format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
            format!("SELECT 1{}", "+1".repeat(7000)),
            format!("SELECT 1 WHERE 1=1{}", " OR 1=1".repeat(1500)),
            format!("SELECT {}", " ".repeat(20_000)),
            format!("SELECT 1{}", " IS NULL".repeat(2000)),
            format!("SELECT 1 FROM (SELECT 1 FROM t) x{}", ",t".repeat(900)),
        ] {
            assert!(matches!(run(&sql).await, Err(SqlError::TooLarge { .. })));
        }
    }
}
