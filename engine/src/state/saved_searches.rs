//! Saved searches (保存的搜索): a name for the parameters of a search, each with an owner. It holds a
//! question and no answer: whoever asks it gets what his own scope gives.

use rusqlite::OptionalExtension;

use super::{State, StateError};

/// Searches that one owner may keep.
pub const SAVED_SEARCHES_MAX: usize = 500;

/// A saved search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSearch {
    /// Stable id.
    pub id: String,
    /// Whose it is: what [`crate::access::Caller::owner`] gives.
    pub owner: String,
    /// The name that the owner gave.
    pub name: String,
    /// The parameters, as the query of an address has them.
    pub query: String,
    /// UTC milliseconds.
    pub created_at_ms: i64,
    /// The last change, UTC milliseconds.
    pub updated_at_ms: i64,
}

const COLUMNS: &str = "id, owner, name, query, created_at, updated_at";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<SavedSearch> {
    Ok(SavedSearch {
        id: row.get(0)?,
        owner: row.get(1)?,
        name: row.get(2)?,
        query: row.get(3)?,
        created_at_ms: row.get(4)?,
        updated_at_ms: row.get(5)?,
    })
}

impl State {
    /// Saves a search; none where its owner keeps [`SAVED_SEARCHES_MAX`] already.
    pub fn save_search(
        &self,
        owner: &str,
        name: &str,
        query: &str,
        now_ms: i64,
    ) -> Result<Option<SavedSearch>, StateError> {
        let saved = SavedSearch {
            id: uuid::Uuid::now_v7().simple().to_string(),
            owner: owner.into(),
            name: name.into(),
            query: query.into(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let n_saved = self.with(|db| {
            Ok(db.execute(
                "INSERT INTO saved_searches (id, owner, name, query, created_at, updated_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?5
                 WHERE (SELECT count(*) FROM saved_searches WHERE owner = ?2) < ?6",
                (
                    &saved.id,
                    owner,
                    name,
                    query,
                    now_ms,
                    SAVED_SEARCHES_MAX as i64,
                ),
            )?)
        })?;
        Ok((n_saved > 0).then_some(saved))
    }

    /// The searches of an owner, or of all, by owner and name.
    pub fn saved_searches(&self, owner: Option<&str>) -> Result<Vec<SavedSearch>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(&format!(
                "SELECT {COLUMNS} FROM saved_searches WHERE ?1 IS NULL OR owner = ?1
                 ORDER BY owner, name, id"
            ))?;
            let rows = statement.query_map([owner], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A search of an owner, or of anybody's.
    pub fn saved_search(
        &self,
        owner: Option<&str>,
        id: &str,
    ) -> Result<Option<SavedSearch>, StateError> {
        self.with(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM saved_searches
                 WHERE id = ?2 AND (?1 IS NULL OR owner = ?1)"
            );
            Ok(db.query_row(&sql, (owner, id), read).optional()?)
        })
    }

    /// Gives a search of an owner another name and other parameters; false where he has no such
    /// search.
    pub fn change_search(
        &self,
        owner: &str,
        id: &str,
        (name, query): (&str, &str),
        now_ms: i64,
    ) -> Result<bool, StateError> {
        self.with(|db| {
            let n_changed = db.execute(
                "UPDATE saved_searches SET name = ?3, query = ?4, updated_at = ?5
                 WHERE owner = ?1 AND id = ?2",
                (owner, id, name, query, now_ms),
            )?;
            Ok(n_changed > 0)
        })
    }

    /// Forgets a search of an owner, or of anybody's; false where there is none.
    pub fn delete_search(&self, owner: Option<&str>, id: &str) -> Result<bool, StateError> {
        self.with(|db| {
            let n_deleted = db.execute(
                "DELETE FROM saved_searches WHERE id = ?2 AND (?1 IS NULL OR owner = ?1)",
                (owner, id),
            )?;
            Ok(n_deleted > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        let saved = state.save_search("a", "退款", "q=x", 1).unwrap().unwrap();
        state.save_search("b", "other", "q=y", 2).unwrap();
        let of_a = state.saved_searches(Some("a")).unwrap();
        assert_eq!(of_a, std::slice::from_ref(&saved));
        assert_eq!(state.saved_searches(None).unwrap().len(), 2);
        assert_eq!(state.saved_search(Some("b"), &saved.id).unwrap(), None);
        assert!(
            !state
                .change_search("b", &saved.id, ("n", "q=z"), 3)
                .unwrap()
        );
        assert!(!state.delete_search(Some("b"), &saved.id).unwrap());
        assert!(
            state
                .change_search("a", &saved.id, ("n", "q=z"), 3)
                .unwrap()
        );
        let changed = state.saved_search(Some("a"), &saved.id).unwrap().unwrap();
        assert_eq!(
            (changed.name.as_str(), changed.query.as_str()),
            ("n", "q=z")
        );
        assert_eq!((changed.created_at_ms, changed.updated_at_ms), (1, 3));
        assert!(state.delete_search(Some("a"), &saved.id).unwrap());
        assert_eq!(state.saved_search(None, &saved.id).unwrap(), None);
    }

    #[test]
    fn an_owner_keeps_so_many_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        for nth in 0..SAVED_SEARCHES_MAX {
            assert!(
                state
                    .save_search("a", &nth.to_string(), "", 1)
                    .unwrap()
                    .is_some()
            );
        }
        assert!(state.save_search("a", "more", "", 1).unwrap().is_none());
        assert!(state.save_search("b", "first", "", 1).unwrap().is_some());
    }
}
