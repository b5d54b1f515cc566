//! What a check found, in both languages.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// It works; somebody should look.
    Warn,
    /// It does not work, or data are in danger.
    Fail,
}

impl Verdict {
    /// The word in the answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// The same in Chinese and in English.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Both languages at once.
pub(super) fn say(zh: impl Into<String>, en: impl Into<String>) -> Words {
    Words {
        zh: zh.into(),
        en: en.into(),
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's stable name, such as `disk`.
    pub check: &'static str,
    /// The company or source that it is about, if one.
    pub about: Option<String>,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: Words,
    /// What to do, if anything.
    pub next: Option<Words>,
}

impl Finding {
    pub(super) fn new(check: &'static str, verdict: Verdict, found: Words) -> Self {
        Self {
            check,
            about: None,
            verdict,
            found,
            next: None,
        }
    }

    pub(super) fn ok(check: &'static str, found: Words) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    pub(super) fn warn(check: &'static str, found: Words, next: Words) -> Self {
        Self::new(check, Verdict::Warn, found).next(next)
    }

    pub(super) fn fail(check: &'static str, found: Words, next: Words) -> Self {
        Self::new(check, Verdict::Fail, found).next(next)
    }

    pub(super) fn about(mut self, name: &str) -> Self {
        self.about = Some(name.to_string());
        self
    }

    pub(super) fn next(mut self, next: Words) -> Self {
        self.next = Some(next);
        self
    }
}
