//! What behaviours need to be remembered of: reviews with their history, rescans, and when the
//! loss of a relation was first seen (semantics 8).

use std::collections::HashMap;

use chrono::NaiveDate;

use super::{State, StateError};

/// What a reviewer decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is a violation (违规属实).
    Confirmed,
    /// It is none.
    FalseAlarm,
}

impl Verdict {
    /// The word: `confirmed` or `false_alarm`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::FalseAlarm => "false_alarm",
        }
    }

    /// The verdict of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Confirmed, Self::FalseAlarm]
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

/// One review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// What was decided.
    pub verdict: Verdict,
    /// By whom.
    pub reviewer: String,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Why, if it was said.
    pub remark: Option<String>,
}

/// What a review is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The behaviour's id.
    pub id: String,
    /// Who did it.
    pub trigger: String,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

/// A rescan: the rules of a version applied to what was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescan {
    /// When it was asked for, UTC milliseconds: what entered later is not its business.
    pub asked_ms: i64,
    /// First day.
    pub from: NaiveDate,
    /// Last day, included.
    pub to: NaiveDate,
    /// The version of the rules in force then.
    pub rules_version: i64,
}

/// When the loss of a relation was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRelation {
    /// The employee.
    pub userid: String,
    /// The customer.
    pub external_userid: String,
    /// When he was added, UTC milliseconds.
    pub added_ms: i64,
    /// When the loss entered, UTC milliseconds.
    pub entered_ms: i64,
}

impl State {
    /// Writes down a review; the ones before stay.
    /// With it goes who did it and when, so that confirmed ones are counted without the messages.
    pub fn review_behaviour(
        &self,
        behaviour: &Reviewed,
        review: &Review,
    ) -> Result<(), StateError> {
        self.with(|db| {
            db.execute(
                "INSERT INTO behaviour_reviews
                 (behaviour_id, triggered_by, happened_at, review, reviewer, reviewed_at, remark)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    &behaviour.id,
                    &behaviour.trigger,
                    behaviour.at_ms,
                    review.verdict.as_str(),
                    &review.reviewer,
                    review.at_ms,
                    &review.remark,
                ),
            )?;
            Ok(())
        })
    }

    /// The behaviours whose last review says 违规属实, by time, then id.
    pub fn confirmed_behaviours(&self) -> Result<Vec<Reviewed>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT behaviour_id, triggered_by, happened_at FROM behaviour_reviews AS last
                 WHERE review = 'confirmed' AND NOT EXISTS
                   (SELECT 1 FROM behaviour_reviews AS later
                    WHERE later.behaviour_id = last.behaviour_id AND later.id > last.id)
                 ORDER BY happened_at, behaviour_id",
            )?;
            let rows = statement.query_map((), |row| {
                Ok(Reviewed {
                    id: row.get(0)?,
                    trigger: row.get(1)?,
                    at_ms: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// All reviews by behaviour, the oldest first: the last one holds.
    pub fn behaviour_reviews(&self) -> Result<HashMap<String, Vec<Review>>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT behaviour_id, review, reviewer, reviewed_at, remark
                 FROM behaviour_reviews ORDER BY id",
            )?;
            let mut rows = statement.query(())?;
            let mut found: HashMap<String, Vec<Review>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let (id, word): (String, String) = (row.get(0)?, row.get(1)?);
                let review = Review {
                    verdict: Verdict::parse(&word).unwrap_or(Verdict::FalseAlarm),
                    reviewer: row.get(2)?,
                    at_ms: row.get(3)?,
                    remark: row.get(4)?,
                };
                found.entry(id).or_default().push(review);
            }
            Ok(found)
        })
    }

    /// Writes down a rescan with the rules in force.
    pub fn add_rescan(
        &self,
        (from, to): (NaiveDate, NaiveDate),
        who: Option<&str>,
        now_ms: i64,
    ) -> Result<Rescan, StateError> {
        let rules_version = self.rules_version()?;
        let day = |day: NaiveDate| day.format("%Y-%m-%d").to_string();
        self.with(|db| {
            db.execute(
                "INSERT INTO behaviour_rescans (asked_at, asked_by, from_day, to_day, rules_version)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (now_ms, who, day(from), day(to), rules_version),
            )?;
            Ok(())
        })?;
        Ok(Rescan {
            asked_ms: now_ms,
            from,
            to,
            rules_version,
        })
    }

    /// All rescans, the oldest first.
    pub fn rescans(&self) -> Result<Vec<Rescan>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT asked_at, from_day, to_day, rules_version FROM behaviour_rescans ORDER BY id",
            )?;
            let mut rows = statement.query(())?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let day = |at: usize| -> rusqlite::Result<NaiveDate> {
                    let text: String = row.get(at)?;
                    Ok(text.parse().unwrap_or_default())
                };
                found.push(Rescan {
                    asked_ms: row.get(0)?,
                    from: day(1)?,
                    to: day(2)?,
                    rules_version: row.get(3)?,
                });
            }
            Ok(found)
        })
    }

    /// Notes lost relations (employee, customer, add time) that are not known yet as entered now.
    pub fn note_losses(
        &self,
        losses: &[(String, String, i64)],
        now_ms: i64,
    ) -> Result<(), StateError> {
        self.with(|db| {
            let tx = db.unchecked_transaction()?;
            for (userid, external_userid, added_ms) in losses {
                tx.execute(
                    "INSERT OR IGNORE INTO relation_losses
                     (userid, external_userid, add_time, entered_at) VALUES (?1, ?2, ?3, ?4)",
                    (userid, external_userid, added_ms, now_ms),
                )?;
            }
            Ok(tx.commit()?)
        })
    }

    /// How many losses are known, and when the last one entered: together they change with every
    /// loss that is noted.
    pub fn loss_mark(&self) -> Result<(i64, i64), StateError> {
        self.with(|db| {
            Ok(db.query_row(
                "SELECT count(*), coalesce(max(entered_at), 0) FROM relation_losses",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?)
        })
    }

    /// The reviews of one behaviour, the oldest first.
    pub fn reviews_of(&self, id: &str) -> Result<Vec<Review>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT review, reviewer, reviewed_at, remark FROM behaviour_reviews
                 WHERE behaviour_id = ?1 ORDER BY id",
            )?;
            let rows = statement.query_map((id,), |row| {
                let word: String = row.get(0)?;
                Ok(Review {
                    verdict: Verdict::parse(&word).unwrap_or(Verdict::FalseAlarm),
                    reviewer: row.get(1)?,
                    at_ms: row.get(2)?,
                    remark: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// All lost relations with when the loss entered.
    pub fn losses(&self) -> Result<Vec<LostRelation>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT userid, external_userid, add_time, entered_at FROM relation_losses",
            )?;
            let rows = statement.query_map((), |row| {
                Ok(LostRelation {
                    userid: row.get(0)?,
                    external_userid: row.get(1)?,
                    added_ms: row.get(2)?,
                    entered_ms: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
