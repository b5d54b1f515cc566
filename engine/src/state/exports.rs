//! Export jobs (导出任务): what was asked for, by whom, how far it is and what came of it.
//!
//! A job is `queued`, then `running`, then one of `done`, `failed`, `cancelled`; `done` becomes
//! `expired` when its file has been kept long enough. Every step is one statement that names the
//! state it starts from, so that a cancel and the worker cannot overtake each other. A job keeps
//! who asked, never whose data he saw then as a right: that is found out again whenever it counts.

use rusqlite::{OptionalExtension, Row};

use super::{State, StateError};

/// How long a finished file is kept (manual 9.1.2).
pub const KEEP_FILE_MS: i64 = 7 * 86_400_000;
/// How long the list shows a job (manual 9.1).
pub const KEEP_JOB_MS: i64 = 30 * 86_400_000;
/// Characters of a failure's detail.
const DETAIL_CHARS_MAX: usize = 500;

/// Who asked, as it is needed to find out again what he may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `token`, `one_time` or `jwt`.
    pub kind: String,
    /// The token's id, or the subject of the JWT.
    pub id: String,
    /// The token's name, or the employee of the JWT.
    pub name: String,
    /// The employee for whom he acts.
    pub employee: Option<String>,
    /// The roles that the JWT opened, as JSON; none for tokens, which are looked up.
    pub roles: Option<String>,
}

impl Owner {
    /// What tells owners apart.
    pub fn key(&self) -> String {
        let name = match self.kind.as_str() {
            // A token may be known by its id alone; a JWT may have no subject.
            "jwt" => self.name.as_str(),
            _ => "",
        };
        serde_json::to_string(&[self.kind.as_str(), self.id.as_str(), name])
            .expect("texts are plain data")
    }
}

/// A new job.
#[derive(Debug, Clone)]
pub struct NewExport<'a> {
    /// Who asks.
    pub owner: &'a Owner,
    /// `search`, `conversation`, `media`, `report`.
    pub what: &'a str,
    /// The ending of its format.
    pub format: &'a str,
    /// The request as JSON.
    pub request: &'a str,
    /// The version of `messages` that it is made from.
    pub messages_version: u64,
    /// The name under which it is handed out.
    pub file_name: &'a str,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id; later ones sort after earlier ones.
    pub id: String,
    /// Who asked.
    pub owner: Owner,
    /// `search`, `conversation`, `media`, `report`.
    pub what: String,
    /// Its format.
    pub format: String,
    /// The request as JSON.
    pub request: String,
    /// The version of `messages` that it is made from.
    pub messages_version: u64,
    /// `queued`, `running`, `done`, `failed`, `cancelled` or `expired`.
    pub state: String,
    /// Rows or files that are done.
    pub n_done: u64,
    /// Of how many, where that is known.
    pub n_total: Option<u64>,
    /// Why it failed: one stable word.
    pub reason: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// UTC milliseconds.
    pub created_at_ms: i64,
    /// UTC milliseconds.
    pub started_at_ms: Option<i64>,
    /// UTC milliseconds.
    pub finished_at_ms: Option<i64>,
    /// When its file goes, UTC milliseconds.
    pub expires_at_ms: Option<i64>,
    /// How often it was begun.
    pub n_attempts: u32,
    /// The name under which it is handed out.
    pub file_name: String,
    /// What is in the finished file.
    pub made: Option<Made>,
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Bytes.
    pub n_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Rows or files in it.
    pub n_rows: u64,
    /// From which versions, as JSON.
    pub as_of: String,
    /// The employees whose data may be in it, as a JSON list; `null` for everybody's. Never a right:
    /// who fetches the file must see all of them still.
    pub employees: String,
}

const COLUMNS: &str = "id, caller_kind, caller_id, caller_name, employee, roles, what, format,
    request, messages_version, state, n_done, n_total, reason, detail, created_at, started_at,
    finished_at, expires_at, n_attempts, file_name, bytes, sha256, n_rows, as_of, employees";

impl State {
    /// Queues a job, unless its owner has `open_max` that are not finished.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn create_export(
        &self,
        new: &NewExport<'_>,
        open_max: u64,
        now_ms: i64,
    ) -> Result<Option<Export>, StateError> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let owner = new.owner;
        let n_made = self.with(|db| {
            Ok(db.execute(
                "INSERT INTO exports (id, owner, caller_kind, caller_id, caller_name, employee,
                     roles, what, format, request, messages_version, state, n_done, created_at,
                     n_attempts, file_name)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', 0, ?12, 0, ?13
                 WHERE (SELECT count(*) FROM exports
                        WHERE owner = ?2 AND state IN ('queued', 'running')) < ?14",
                rusqlite::params![
                    id,
                    owner.key(),
                    owner.kind,
                    owner.id,
                    owner.name,
                    owner.employee,
                    owner.roles,
                    new.what,
                    new.format,
                    new.request,
                    new.messages_version as i64,
                    now_ms,
                    new.file_name,
                    open_max as i64,
                ],
            )?)
        })?;
        match n_made {
            0 => Ok(None),
            _ => self.export(&id),
        }
    }

    /// A job.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn export(&self, id: &str) -> Result<Option<Export>, StateError> {
        self.with(|db| {
            let sql = format!("SELECT {COLUMNS} FROM exports WHERE id = ?1");
            Ok(db.query_row(&sql, [id], read).optional()?)
        })
    }

    /// An owner's jobs, newest first, after the one with the id `before`; at most `limit`.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn exports_of(
        &self,
        owner: &Owner,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Export>, StateError> {
        self.with(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM exports WHERE owner = ?1 AND (?2 IS NULL OR id < ?2)
                 ORDER BY id DESC LIMIT ?3"
            );
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map((owner.key(), before, limit as i64), read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Puts back what was running when its process ended. For the holder of the lock of exports.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn requeue_exports(&self) -> Result<usize, StateError> {
        self.with(|db| {
            Ok(db.execute(
                "UPDATE exports SET state = 'queued', n_done = 0, n_total = NULL
                 WHERE state = 'running'",
                (),
            )?)
        })
    }

    /// Begins the oldest queued job, if there is one.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn begin_export(&self, now_ms: i64) -> Result<Option<Export>, StateError> {
        self.with(|db| {
            let sql = format!(
                "UPDATE exports SET state = 'running', started_at = ?1, n_done = 0, n_total = NULL,
                     n_attempts = n_attempts + 1
                 WHERE id = (SELECT id FROM exports WHERE state = 'queued' ORDER BY id LIMIT 1)
                   AND state = 'queued'
                 RETURNING {COLUMNS}"
            );
            Ok(db.query_row(&sql, [now_ms], read).optional()?)
        })
    }

    /// Puts a running job back, to be begun again later; that it was begun does not count.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn put_back_export(&self, id: &str) -> Result<bool, StateError> {
        self.step(
            "UPDATE exports SET state = 'queued', n_done = 0, n_total = NULL,
                 n_attempts = n_attempts - 1
             WHERE id = ?1 AND state = 'running'",
            &[&id],
        )
    }

    /// How far a job is; false when it is not running any more.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn export_progress(
        &self,
        id: &str,
        n_done: u64,
        n_total: Option<u64>,
    ) -> Result<bool, StateError> {
        self.step(
            "UPDATE exports SET n_done = ?2, n_total = ?3 WHERE id = ?1 AND state = 'running'",
            &[&id, &(n_done as i64), &n_total.map(|n| n as i64)],
        )
    }

    /// A job's file is there; false when the job was cancelled meanwhile.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn finish_export(&self, id: &str, made: &Made, now_ms: i64) -> Result<bool, StateError> {
        self.step(
            "UPDATE exports SET state = 'done', finished_at = ?2, expires_at = ?3, bytes = ?4,
                 sha256 = ?5, n_rows = ?6, as_of = ?7, employees = ?8, n_done = ?6, n_total = ?6
             WHERE id = ?1 AND state = 'running'",
            &[
                &id,
                &now_ms,
                &(now_ms + KEEP_FILE_MS),
                &(made.n_bytes as i64),
                &made.sha256,
                &(made.n_rows as i64),
                &made.as_of,
                &made.employees,
            ],
        )
    }

    /// A running job has failed.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn fail_export(
        &self,
        id: &str,
        reason: &str,
        detail: &str,
        now_ms: i64,
    ) -> Result<bool, StateError> {
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        self.step(
            "UPDATE exports SET state = 'failed', finished_at = ?2, reason = ?3, detail = ?4
             WHERE id = ?1 AND state = 'running'",
            &[&id, &now_ms, &reason, &detail],
        )
    }

    /// Cancels a job that is not finished; false when it is, or does not exist.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn cancel_export(&self, id: &str, now_ms: i64) -> Result<bool, StateError> {
        self.step(
            "UPDATE exports SET state = 'cancelled', finished_at = ?2
             WHERE id = ?1 AND state IN ('queued', 'running')",
            &[&id, &now_ms],
        )
    }

    /// Marks what was kept long enough, and forgets jobs that nobody needs to see any more.
    /// Returns the jobs whose files must exist: of every other one the file may go.
    ///
    /// # Errors
    /// The state cannot be changed.
    pub fn expire_exports(&self, now_ms: i64) -> Result<Vec<String>, StateError> {
        self.with(|db| {
            let tx = db.unchecked_transaction()?;
            tx.execute(
                "UPDATE exports SET state = 'expired' WHERE state = 'done' AND expires_at <= ?1",
                [now_ms],
            )?;
            tx.execute(
                "DELETE FROM exports WHERE created_at <= ?1
                   AND state IN ('failed', 'cancelled', 'expired')",
                [now_ms - KEEP_JOB_MS],
            )?;
            let mut statement =
                tx.prepare("SELECT id FROM exports WHERE state IN ('done', 'running')")?;
            let kept = statement
                .query_map((), |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            drop(statement);
            tx.commit()?;
            Ok(kept)
        })
    }

    fn step(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<bool, StateError> {
        self.with(|db| Ok(db.execute(sql, parameters)? > 0))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Export> {
    let count = |at: usize| row.get::<_, i64>(at).map(|n| n as u64);
    let made = match row.get::<_, Option<String>>(22)? {
        Some(sha256) => Some(Made {
            n_bytes: count(21)?,
            sha256,
            n_rows: count(23)?,
            as_of: row.get(24)?,
            employees: row.get(25)?,
        }),
        None => None,
    };
    Ok(Export {
        id: row.get(0)?,
        owner: Owner {
            kind: row.get(1)?,
            id: row.get(2)?,
            name: row.get(3)?,
            employee: row.get(4)?,
            roles: row.get(5)?,
        },
        what: row.get(6)?,
        format: row.get(7)?,
        request: row.get(8)?,
        messages_version: count(9)?,
        state: row.get(10)?,
        n_done: count(11)?,
        n_total: row.get::<_, Option<i64>>(12)?.map(|n| n as u64),
        reason: row.get(13)?,
        detail: row.get(14)?,
        created_at_ms: row.get(15)?,
        started_at_ms: row.get(16)?,
        finished_at_ms: row.get(17)?,
        expires_at_ms: row.get(18)?,
        n_attempts: row.get(19)?,
        file_name: row.get(20)?,
        made,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_727_712_000_000;

    fn owner(id: &str) -> Owner {
        Owner {
            kind: "token".into(),
            id: id.into(),
            name: "bi".into(),
            employee: None,
            roles: None,
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        (dir, state)
    }

    fn queue(state: &State, who: &Owner) -> Option<Export> {
        let new = NewExport {
            owner: who,
            what: "search",
            format: "csv",
            request: "{}",
            messages_version: 7,
            file_name: "search.csv",
        };
        state.create_export(&new, 2, NOW).unwrap()
    }

    fn made() -> Made {
        Made {
            n_bytes: 10,
            sha256: "ab".into(),
            n_rows: 3,
            as_of: "{}".into(),
            employees: "null".into(),
        }
    }

    #[test]
    fn jobs_run_in_the_order_in_which_they_were_asked_for() {
        let (_dir, state) = state();
        let first = queue(&state, &owner("a")).unwrap();
        let second = queue(&state, &owner("b")).unwrap();
        assert_eq!(state.begin_export(NOW).unwrap().unwrap().id, first.id);
        let running = state.begin_export(NOW).unwrap().unwrap();
        assert_eq!((running.id, running.n_attempts), (second.id, 1));
        assert_eq!(state.begin_export(NOW).unwrap(), None);
    }

    #[test]
    fn a_cancelled_job_is_neither_finished_nor_failed_afterwards() {
        let (_dir, state) = state();
        let id = queue(&state, &owner("a")).unwrap().id;
        state.begin_export(NOW).unwrap();
        assert!(state.export_progress(&id, 1, Some(3)).unwrap());
        assert!(state.cancel_export(&id, NOW).unwrap());
        assert!(!state.export_progress(&id, 2, Some(3)).unwrap());
        assert!(!state.finish_export(&id, &made(), NOW).unwrap());
        assert!(!state.fail_export(&id, "x", "y", NOW).unwrap());
        assert!(!state.cancel_export(&id, NOW).unwrap());
        assert_eq!(state.export(&id).unwrap().unwrap().state, "cancelled");
    }

    #[test]
    fn what_was_running_at_a_crash_runs_again_and_what_was_done_stays() {
        let (_dir, state) = state();
        let done = queue(&state, &owner("a")).unwrap().id;
        let running = queue(&state, &owner("a")).unwrap().id;
        state.begin_export(NOW).unwrap();
        assert!(state.finish_export(&done, &made(), NOW).unwrap());
        state.begin_export(NOW).unwrap();
        assert_eq!(state.requeue_exports().unwrap(), 1);
        let again = state.begin_export(NOW).unwrap().unwrap();
        assert_eq!((again.id, again.n_attempts), (running, 2));
        let done = state.export(&done).unwrap().unwrap();
        assert_eq!((done.state.as_str(), done.made), ("done", Some(made())));
    }

    #[test]
    fn a_job_that_is_put_back_was_not_begun() {
        let (_dir, state) = state();
        let id = queue(&state, &owner("a")).unwrap().id;
        state.begin_export(NOW).unwrap();
        state.export_progress(&id, 5, Some(9)).unwrap();
        assert!(state.put_back_export(&id).unwrap());
        let job = state.export(&id).unwrap().unwrap();
        assert_eq!(
            (job.state.as_str(), job.n_done, job.n_attempts),
            ("queued", 0, 0)
        );
        assert!(!state.put_back_export(&id).unwrap());
    }

    #[test]
    fn a_file_goes_after_a_week_and_its_row_after_thirty_days() {
        let (_dir, state) = state();
        let id = queue(&state, &owner("a")).unwrap().id;
        state.begin_export(NOW).unwrap();
        state.finish_export(&id, &made(), NOW).unwrap();
        let before = NOW + KEEP_FILE_MS - 1;
        assert_eq!(state.expire_exports(before).unwrap(), [id.as_str()]);
        let none: [&str; 0] = [];
        assert_eq!(state.expire_exports(before + 1).unwrap(), none);
        assert_eq!(state.export(&id).unwrap().unwrap().state, "expired");
        state.expire_exports(NOW + KEEP_JOB_MS).unwrap();
        assert_eq!(state.export(&id).unwrap(), None);
    }

    #[test]
    fn an_owner_sees_his_own_jobs_and_has_few_open_ones() {
        let (_dir, state) = state();
        let (a, b) = (owner("a"), owner("b"));
        let ids = [queue(&state, &a).unwrap().id, queue(&state, &a).unwrap().id];
        assert_eq!(queue(&state, &a), None);
        assert!(queue(&state, &b).is_some());
        let listed = state.exports_of(&a, None, 10).unwrap();
        let listed: Vec<&str> = listed.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(listed, [ids[1].as_str(), ids[0].as_str()]);
        let rest = state.exports_of(&a, Some(&ids[1]), 10).unwrap();
        assert_eq!(rest.len(), 1);
        state.cancel_export(&ids[0], NOW).unwrap();
        assert!(queue(&state, &a).is_some());
    }

    #[test]
    fn two_jwts_of_one_subject_and_employee_are_one_owner() {
        let of = |id: &str, name: &str| Owner {
            kind: "jwt".into(),
            name: name.into(),
            ..owner(id)
        };
        assert_eq!(of("s", "li").key(), of("s", "li").key());
        assert_ne!(of("", "li").key(), of("", "wang").key());
        assert_ne!(of("a", "li").key(), owner("a").key());
    }
}
