//! Building anew what is derived from the tables; nothing is lost by deleting it.

use huicun_engine::archive::{Home, HomeError, TableError, messages};
use huicun_engine::jobs::derive::{self, DeriveError, Watch};
use huicun_engine::state::{State, StateError};

use crate::index::{IndexError, follow};

/// Why something derived could not be built. What was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// Another process brings messages in: it must end first.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The figures could not be derived.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The index could not be built.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// One derived thing that was built anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// Its name.
    pub name: &'static str,
    /// Its rows or documents.
    pub n: u64,
}

/// Builds the search index anew from the newest version of `messages`.
pub async fn reindex(home: &Home) -> Result<Mended, MendError> {
    let _lock = home.lock_writer("huicun reindex")?;
    let n = match messages::open(home).await? {
        Some(table) => follow::rebuild(&home.index(), &table).await?,
        None => 0,
    };
    Ok(Mended {
        name: "search_index",
        n,
    })
}

/// Builds everything derived anew. This is the list: what becomes derived joins it.
pub async fn rebuild(home: &Home) -> Result<Vec<Mended>, MendError> {
    Ok(vec![reindex(home).await?, figures(home).await?])
}

/// Derives dialogues, timeouts and what else reports read anew.
async fn figures(home: &Home) -> Result<Mended, MendError> {
    let (_, rules) = State::open(&home.state())?.rules()?;
    let (_, done) = derive::rebuild(home, &rules, &Watch::NOBODY).await?;
    Ok(Mended {
        name: "derived_tables",
        n: done.n_messages,
    })
}
