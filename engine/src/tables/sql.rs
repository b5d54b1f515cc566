//! Read-only SQL over the tables, with limits that stand before the parser.
//!
//! A deep or long enough expression overflows the parser's or the planner's stack, which kills
//! the process (measured: 10,000 `+`, 20,000 parentheses). So the text's size, its nesting and
//! its operators are counted by the tokenizer, which is a loop, before anything recursive runs.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of a statement.
pub const SQL_BYTES_MAX: usize = 16 * 1024;
/// Open brackets at one place.
pub const NESTING_MAX: usize = 50;
/// Operators and keywords that join expressions, in one statement.
pub const OPERATORS_MAX: usize = 512;

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
    /// The statement is wrong or failed.
    #[error("{0}")]
    Failed(#[from] DataFusionError),
}

/// Runs one SELECT and returns its columns and rows.
pub async fn query(
    ctx: &SessionContext,
    sql: &str,
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    check_size(sql)?;
    check_is_select(sql)?;
    let options = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let frame = ctx.sql_with_options(sql, options).await?;
    let schema = std::sync::Arc::clone(frame.schema().inner());
    Ok((schema, frame.collect().await?))
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
    let (mut depth, mut deepest, mut n_operators) = (0usize, 0usize, 0usize);
    for token in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) => {
                let joins = [
                    "AND", "OR", "NOT", "CASE", "WHEN", "UNION", "JOIN", "SELECT",
                ];
                n_operators += usize::from(joins.contains(&word.value.to_uppercase().as_str()));
            }
            Token::Whitespace(_)
            | Token::Comma
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => n_operators += 1,
        }
        deepest = deepest.max(depth);
    }
    limit("brackets inside each other", deepest, NESTING_MAX)?;
    limit("operators", n_operators, OPERATORS_MAX)
}

fn check_is_select(sql: &str) -> Result<(), SqlError> {
    let statements = DFParser::parse_sql(sql)?;
    match (statements.front(), statements.len()) {
        (Some(Statement::Statement(statement)), 1)
            if matches!(statement.as_ref(), ast::Statement::Query(_)) =>
        {
            Ok(())
        }
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
        query(&SessionContext::new(), sql).await
    }

    #[tokio::test]
    async fn a_select_answers() {
        let (_, rows) = run("SELECT 1 AS one").await.unwrap();
        assert_eq!(rows[0].num_rows(), 1);
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
        ] {
            assert!(matches!(run(&sql).await, Err(SqlError::TooLarge { .. })));
        }
    }
}
