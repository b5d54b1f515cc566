//! The rules that the model knows, with the defaults of `semantics.md`.

/// How a text is compared with the closing phrases (`closing.match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingMatch {
    Exact,
    Contains,
}

/// Which message of a customer turn the reply is measured from (`reply.from`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFrom {
    First,
    Last,
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Rules {
    pub zone: chrono_tz::Tz,
    pub single_gap_minutes: i64,
    pub group_gap_minutes: i64,
    pub closing_phrases: Vec<String>,
    pub closing_match: ClosingMatch,
    pub closing_grace_seconds: i64,
    pub reply_from: ReplyFrom,
    /// The present, in UTC milliseconds: "as of the end" never looks past it. None: every period is past.
    pub now_ms: Option<i64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            zone: chrono_tz::Asia::Shanghai,
            single_gap_minutes: 30,
            group_gap_minutes: 30,
            closing_phrases: Vec::new(),
            closing_match: ClosingMatch::Exact,
            closing_grace_seconds: 0,
            reply_from: ReplyFrom::First,
            now_ms: None,
        }
    }
}

impl Rules {
    /// These rules as the TOML that `huicun rules apply` reads.
    pub fn to_toml(&self) -> String {
        let phrases = serde_json::Value::from(self.closing_phrases.clone());
        let closing_match = match self.closing_match {
            ClosingMatch::Exact => "exact",
            ClosingMatch::Contains => "contains",
        };
        let reply_from = match self.reply_from {
            ReplyFrom::First => "first",
            ReplyFrom::Last => "last",
        };
        format!(
            "timezone = \"{}\"\n\
             [dialogue]\nsingle_gap_minutes = {}\ngroup_gap_minutes = {}\n\
             [closing]\nphrases = {phrases}\nmatch = \"{closing_match}\"\ngrace_seconds = {}\n\
             [reply]\nfrom = \"{reply_from}\"\nclock = \"wall\"\n",
            self.zone.name(),
            self.single_gap_minutes,
            self.group_gap_minutes,
            self.closing_grace_seconds,
        )
    }
}
