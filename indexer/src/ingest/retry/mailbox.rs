//! How a command asks the process that holds the writer lock to open the quarantine: a file in
//! `requests/`, and another with the answer. Nothing is lost when either side dies: a request that
//! nobody takes is taken back, and an answer that nobody reads goes at the next start of anybody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use huicun_engine::archive::Home;
use serde::{Deserialize, Serialize};

use super::{Retried, Wish};

/// Answers older than this are nobody's any more.
const KEPT: Duration = Duration::from_secs(600);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Done(Retried),
    /// It failed, in words.
    Failed(String),
}

fn folder(home: &Home) -> PathBuf {
    home.root().join("requests")
}

/// A request that was made.
pub struct Request {
    asked: PathBuf,
    taken: PathBuf,
    done: PathBuf,
}

impl Request {
    fn of(home: &Home, id: &str) -> Self {
        let file = |ending: &str| folder(home).join(format!("{id}.{ending}.json"));
        Self {
            asked: file("asked"),
            taken: file("taken"),
            done: file("done"),
        }
    }

    /// Makes a request.
    pub fn make(home: &Home, wish: &Wish) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder(home))?;
        let request = Self::of(home, &uuid::Uuid::now_v7().to_string());
        write(&request.asked, wish)?;
        Ok(request)
    }

    /// The answer, once; `None` as long as there is none.
    pub fn answer(&self) -> Option<Answer> {
        let text = std::fs::read(&self.done).ok()?;
        let answer = serde_json::from_slice(&text).ok()?;
        let _ = std::fs::remove_file(&self.done);
        Some(answer)
    }

    /// Whether somebody works on it.
    pub fn is_taken(&self) -> bool {
        self.taken.exists()
    }

    /// Takes it back; false when it was taken meanwhile.
    pub fn withdraw(&self) -> bool {
        std::fs::remove_file(&self.asked).is_ok()
    }
}

/// The requests that wait, each marked as taken.
pub(in crate::ingest) fn pending(home: &Home) -> Vec<(String, Wish)> {
    let Ok(entries) = std::fs::read_dir(folder(home)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_suffix(".asked.json") else {
            forget_when_old(&entry.path());
            continue;
        };
        let request = Request::of(home, id);
        let wish = std::fs::read(&request.asked).ok();
        let wish = wish.and_then(|text| serde_json::from_slice(&text).ok());
        // It may have been taken back between the two.
        if std::fs::rename(&request.asked, &request.taken).is_err() {
            continue;
        }
        match wish {
            Some(wish) => found.push((id.to_string(), wish)),
            None => answer(home, id, Err("the request cannot be read".into())),
        }
    }
    found
}

fn forget_when_old(path: &Path) {
    let age = std::fs::metadata(path)
        .and_then(|about| about.modified())
        .ok()
        .and_then(|at| at.elapsed().ok());
    if age.is_some_and(|age| age > KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

/// Answers a request that was taken.
pub(in crate::ingest) fn answer(home: &Home, id: &str, done: Result<&Retried, String>) {
    let request = Request::of(home, id);
    let answer = match done {
        Ok(done) => Answer::Done(*done),
        Err(error) => Answer::Failed(error),
    };
    if let Err(error) = write(&request.done, &answer) {
        tracing::warn!(%error, "a request cannot be answered");
    }
    let _ = std::fs::remove_file(&request.taken);
}

/// Whole or not at all; not synced, since nobody waits longer than a minute.
fn write(path: &Path, content: &impl Serialize) -> std::io::Result<()> {
    let staged = path.with_extension("new");
    std::fs::write(&staged, serde_json::to_vec(content)?)?;
    std::fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once_or_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        assert_eq!(pending(&home), []);
        let wish = Wish {
            seq: Some(7),
            ..Wish::default()
        };
        let request = Request::make(&home, &wish).unwrap();
        assert!(!request.is_taken() && request.answer().is_none());
        let taken = pending(&home);
        assert_eq!(taken[0].1, wish);
        assert!(request.is_taken() && !request.withdraw());
        assert_eq!(pending(&home), []);
        let done = Retried {
            tried: 3,
            ..Retried::default()
        };
        answer(&home, &taken[0].0, Ok(&done));
        assert_eq!(request.answer(), Some(Answer::Done(done)));
        assert_eq!(request.answer(), None);
        let other = Request::make(&home, &wish).unwrap();
        assert!(other.withdraw());
        assert_eq!(pending(&home), []);
    }
}
