//! The rules over time: each `rules apply` is a new version; the newest is in force.

use rusqlite::OptionalExtension;

use super::{State, StateError};
use crate::rules::Rules;

/// A version of the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVersion {
    /// Its number; 0 are the defaults that hold before the first apply.
    pub version: i64,
    /// When it was applied, UTC milliseconds.
    pub applied_ms: i64,
    /// Who applied it, where that is known.
    pub applied_by: Option<String>,
    /// The rules.
    pub rules: Rules,
}

fn stored(version: i64, text: &str) -> Result<Rules, StateError> {
    Rules::of_stored(text)
        .map_err(|e| StateError::BadRules(format!("version {version} cannot be read: {e}")))
}

impl State {
    /// All versions, the oldest first, without the defaults of version 0.
    pub fn rule_versions(&self) -> Result<Vec<RuleVersion>, StateError> {
        type Row = (i64, i64, Option<String>, String);
        let rows: Vec<Row> = self.with(|db| {
            let mut statement = db.prepare(
                "SELECT version, applied_at, applied_by, toml FROM rules ORDER BY version",
            )?;
            let rows = statement.query_map((), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        rows.into_iter()
            .map(|(version, applied_ms, applied_by, text)| {
                Ok(RuleVersion {
                    version,
                    applied_ms,
                    applied_by,
                    rules: stored(version, &text)?,
                })
            })
            .collect()
    }

    /// Number and instant of all versions, the oldest first, without reading them.
    pub fn rule_marks(&self) -> Result<Vec<(i64, i64)>, StateError> {
        self.with(|db| {
            let mut statement =
                db.prepare("SELECT version, applied_at FROM rules ORDER BY version")?;
            let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The number of the version in force, without reading it.
    pub fn rules_version(&self) -> Result<i64, StateError> {
        self.with(|db| {
            Ok(
                db.query_row("SELECT coalesce(max(version), 0) FROM rules", (), |row| {
                    row.get(0)
                })?,
            )
        })
    }

    /// The rules in force and their version; defaults as version 0 before the first apply.
    pub fn rules(&self) -> Result<(i64, Rules), StateError> {
        let newest: Option<(i64, String)> = self.with(|db| {
            Ok(db
                .query_row(
                    "SELECT version, toml FROM rules ORDER BY version DESC LIMIT 1",
                    (),
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?)
        })?;
        match newest {
            None => Ok((0, Rules::default())),
            Some((version, text)) => Ok((version, stored(version, &text)?)),
        }
    }

    /// Replaces the sections that `text` names and keeps the others; returns the new version, or
    /// the old one when nothing changes.
    ///
    /// # Errors
    /// [`StateError::BadRules`] names the place; nothing was changed.
    pub fn apply_rules(&self, text: &str, now_ms: i64) -> Result<i64, StateError> {
        self.apply_rules_as(text, now_ms, None)
    }

    /// As [`State::apply_rules`], with who does it.
    pub fn apply_rules_as(
        &self,
        text: &str,
        now_ms: i64,
        who: Option<&str>,
    ) -> Result<i64, StateError> {
        loop {
            match self.apply_rules_on(None, text, now_ms, who) {
                // Somebody else came first; what is replaced is then his version's.
                Err(StateError::RulesChanged { .. }) => {}
                done => return done,
            }
        }
    }

    /// As [`State::apply_rules_as`], only where the version in force is the one that is named.
    ///
    /// # Errors
    /// [`StateError::RulesChanged`] where another version is in force, or came in force meanwhile;
    /// nothing was changed.
    pub fn apply_rules_on(
        &self,
        base: Option<i64>,
        text: &str,
        now_ms: i64,
        who: Option<&str>,
    ) -> Result<i64, StateError> {
        let (version, current) = self.rules()?;
        if base.is_some_and(|base| base != version) {
            return Err(StateError::RulesChanged { version });
        }
        let rules = current
            .replaced_by(text)
            .map_err(|e| StateError::BadRules(e.to_string()))?;
        if rules == current {
            return Ok(version);
        }
        let stored = rules.to_toml();
        let n_inserted = self.with(|db| {
            // Nothing where somebody else has made the next version since it was read.
            Ok(db.execute(
                "INSERT INTO rules (version, applied_at, applied_by, toml)
                 VALUES (?1, max(?2, (SELECT coalesce(max(applied_at), 0) FROM rules)), ?3, ?4)
                 ON CONFLICT (version) DO NOTHING",
                (version + 1, now_ms, who, stored),
            )?)
        })?;
        match n_inserted {
            0 => Err(StateError::RulesChanged {
                version: self.rules_version()?,
            }),
            _ => Ok(version + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_sections_are_replaced_and_mistakes_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        assert_eq!(
            state
                .apply_rules("[dialogue]\nsingle_gap_minutes = 5", 1)
                .unwrap(),
            1
        );
        assert_eq!(
            state
                .apply_rules("[closing]\nphrases = [\"谢谢\"]", 2)
                .unwrap(),
            2
        );
        assert_eq!(
            state
                .apply_rules("[closing]\nphrases = [\"谢谢\"]", 3)
                .unwrap(),
            2
        );
        let on =
            |base| state.apply_rules_on(Some(base), "[dialogue]\nsingle_gap_minutes = 6", 3, None);
        assert!(matches!(
            on(1),
            Err(StateError::RulesChanged { version: 2 })
        ));
        for bad in [
            "[dialog]\n",
            "timezone = \"Moon\"",
            "[dialogue]\nsingle_gap_minutes = 0",
            "x =",
        ] {
            assert!(state.apply_rules(bad, 4).is_err(), "{bad}");
        }
        let (version, rules) = state.rules().unwrap();
        assert_eq!((version, rules.dialogue.single_gap_minutes), (2, 5));
        assert_eq!(rules.closing.phrases, ["谢谢"]);
    }
}
