//! The rules over time: each `rules apply` is a new version; the newest is in force.

use rusqlite::OptionalExtension;

use super::{State, StateError};
use crate::rules::Rules;

impl State {
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
            Some((version, text)) => {
                let rules = toml::from_str(&text).map_err(|e| {
                    StateError::BadRules(format!(
                        "version {version} cannot be read: {}",
                        e.message()
                    ))
                })?;
                Ok((version, rules))
            }
        }
    }

    /// Replaces the sections that `text` names and keeps the others; returns the new version, or
    /// the old one when nothing changes.
    ///
    /// # Errors
    /// [`StateError::BadRules`] names the place; nothing was changed.
    pub fn apply_rules(&self, text: &str, now_ms: i64) -> Result<i64, StateError> {
        let (version, current) = self.rules()?;
        let rules = current.replaced_by(text).map_err(StateError::BadRules)?;
        if rules == current {
            return Ok(version);
        }
        let stored = rules.to_toml();
        self.with(|db| {
            db.execute(
                "INSERT INTO rules (version, applied_at, toml) VALUES (?1, ?2, ?3)",
                (version + 1, now_ms, stored),
            )?;
            Ok(version + 1)
        })
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
