//! Faults on order: an optional `faults.json` in the tape's folder.
//!
//! ```json
//! { "persist_counters": true,
//!   "abort_short": true,
//!   "retained_from_seq": 1000,
//!   "rules": [
//!     { "call": "GetChatData",  "nth": 3,             "action": { "errcode": 301042 } },
//!     { "call": "GetChatData",  "every": 10,          "action": { "delay_ms": 200 } },
//!     { "call": "DecryptData",  "seq": 48213,         "action": { "crash": "segv" } },
//!     { "call": "DecryptData",  "probability": 0.001, "action": "garbage" },
//!     { "call": "GetMediaData", "nth": 1, "times": 1, "action": { "code": 10002 } } ] }
//! ```
//!
//! A rule fires when all the conditions that it names hold; without any, always. `nth` and
//! `every` count calls of that function from 1 (an `Init` rule counts `Init`). `seq` means,
//! for `DecryptData`, the record of that seq; for `GetChatData`, a pull that starts after it
//! (the seq given). `holds` means, for `GetChatData`, an answer in which the record of that seq
//! stands. `file` means, for `GetMediaData`, the `sdkfileid`. `times` bounds how often the rule
//! fires. The first rule that ends a call
//! decides it; rules that only delay, leak or print add up.
//!
//! With `persist_counters` the counts are kept in `faults.counters` beside this file, written
//! before an action takes place, so that a crash at call *n* is not met again by the next
//! process. Two processes at once may lose counts to each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use huicun_tape::Tape;
use serde::{Deserialize, Serialize};

/// A function that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Function {
    Init,
    GetChatData,
    DecryptData,
    GetMediaData,
}

/// What happens instead, or on the way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Return this code.
    Code(i32),
    /// `GetChatData`: return 0 and JSON with this `errcode`.
    Errcode(i64),
    /// Return 0 and exactly this text.
    Reply(String),
    /// Sleep, whatever the caller's timeout, then go on.
    HangMs(u64),
    /// Sleep, but no longer than the caller's timeout: past it, return 10001.
    DelayMs(u64),
    /// End the process.
    Crash(Crash),
    /// Succeed with bytes that mean nothing.
    Garbage,
    /// `GetChatData`: succeed without the `chatdata` key.
    MissingChatdata,
    /// Succeed with the first half of the true answer.
    Truncated,
    /// Lose this much memory, then go on.
    LeakBytes(usize),
    /// Print to standard output, as C libraries do, then go on.
    Print(String),
    /// Succeed with a length of -1.
    NegativeLength,
    /// Succeed with a length and no buffer.
    NullContent,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crash {
    Abort,
    Segv,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    call: Function,
    nth: Option<u64>,
    every: Option<u64>,
    probability: Option<f64>,
    seq: Option<u64>,
    holds: Option<u64>,
    file: Option<String>,
    times: Option<u64>,
    action: Action,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    persist_counters: bool,
    abort_short: bool,
    retained_from_seq: Option<u64>,
    seed: u64,
    rules: Vec<Rule>,
}

/// Calls seen of each function and firings of each rule.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Counters {
    calls: [u64; 4],
    fired: Vec<u64>,
}

/// What a call is about, as far as rules ask.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub function: Function,
    /// `GetChatData`: the seq given.
    pub seq: Option<u64>,
    /// `GetChatData`: what would be answered, where a rule asks.
    pub page: Option<&'a str>,
    /// `DecryptData`: the sealed message.
    pub encrypt_msg: Option<&'a str>,
    /// `GetMediaData`: the file asked for.
    pub file: Option<&'a str>,
}

/// The faults of one tape.
#[derive(Debug, Default)]
pub struct Faults {
    file: File,
    /// For each rule about a record: the sealed message of that record.
    sealed: Vec<Option<String>>,
    counters: Mutex<Counters>,
    counters_path: Option<PathBuf>,
}

impl Faults {
    /// Reads `faults.json`; without the file there are no faults.
    pub fn read(dir: &Path, tape: &Tape) -> Result<Self, String> {
        let path = dir.join("faults.json");
        let file: File = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| format!("faults.json: {e}"))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(format!("faults.json: {e}")),
        };
        let sealed = file
            .rules
            .iter()
            .map(|rule| sealed_of(rule, tape))
            .collect();
        let counters_path = file.persist_counters.then(|| dir.join("faults.counters"));
        let kept = counters_path.as_ref().and_then(|p| fs::read(p).ok());
        let counters = kept
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Ok(Self {
            file,
            sealed,
            counters: Mutex::new(counters),
            counters_path,
        })
    }

    /// Whether a sealed message shorter than 13 bytes ends the process, as in the real library.
    pub fn abort_short(&self) -> bool {
        self.file.abort_short
    }

    /// The first seq that the server still has.
    pub fn retained_from_seq(&self) -> u64 {
        self.file.retained_from_seq.unwrap_or(0)
    }

    /// Whether a rule asks what a page holds.
    pub fn ask_for_pages(&self) -> bool {
        self.file.rules.iter().any(|rule| rule.holds.is_some())
    }

    /// Counts the call and says which actions it meets, in the order of the rules.
    pub fn meet(&self, call: Call<'_>) -> Vec<Action> {
        if self.file.rules.is_empty() {
            return Vec::new();
        }
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.fired.resize(self.file.rules.len(), 0);
        let counted = &mut counters.calls[call.function as usize];
        *counted += 1;
        let nth = *counted;
        let mut actions = Vec::new();
        for (number, rule) in self.file.rules.iter().enumerate() {
            if self.fires(number, rule, call, nth, counters.fired[number]) {
                counters.fired[number] += 1;
                actions.push(rule.action.clone());
            }
        }
        self.keep(&counters);
        actions
    }

    fn fires(&self, number: usize, rule: &Rule, call: Call<'_>, nth: u64, fired: u64) -> bool {
        rule.call == call.function
            && rule.times.is_none_or(|times| fired < times)
            && rule.nth.is_none_or(|n| n == nth)
            && rule.every.is_none_or(|n| n > 0 && nth.is_multiple_of(n))
            && rule.seq.is_none_or(|seq| match call.function {
                Function::DecryptData => {
                    self.sealed[number].is_some()
                        && self.sealed[number].as_deref() == call.encrypt_msg
                }
                _ => call.seq == Some(seq),
            })
            && rule.holds.is_none_or(|seq| {
                let mark = format!("\"seq\":{seq},");
                call.page.is_some_and(|page| page.contains(&mark))
            })
            && rule
                .file
                .as_deref()
                .is_none_or(|file| call.file == Some(file))
            && rule
                .probability
                .is_none_or(|p| draw(self.file.seed, number as u64, nth) < p)
    }

    fn keep(&self, counters: &Counters) {
        let Some(path) = &self.counters_path else {
            return;
        };
        let unfinished = path.with_extension("new");
        let written = serde_json::to_vec(counters)
            .map_err(std::io::Error::from)
            .and_then(|text| fs::write(&unfinished, text))
            .and_then(|()| fs::rename(&unfinished, path));
        if let Err(e) = written {
            eprintln!("finance sdk simulator: cannot keep fault counters: {e}");
        }
    }
}

fn sealed_of(rule: &Rule, tape: &Tape) -> Option<String> {
    if rule.call != Function::DecryptData {
        return None;
    }
    let seq = rule.seq?;
    let page: serde_json::Value =
        serde_json::from_str(&tape.page(seq.checked_sub(1)?, 1).ok()?).ok()?;
    let record = page.get("chatdata")?.get(0)?;
    let is_it = record.get("seq")?.as_u64()? == seq;
    is_it.then(|| Some(record.get("encrypt_chat_msg")?.as_str()?.to_owned()))?
}

/// A number in `0.0..1.0` that depends on the rule and the call only (splitmix64).
fn draw(seed: u64, rule: u64, nth: u64) -> f64 {
    let mut z = (seed ^ rule.rotate_left(32)).wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use huicun_tape::{TapeOptions, TapeWriter};

    fn tape(dir: &Path) -> Tape {
        let mut writer = TapeWriter::create(dir, TapeOptions::default()).unwrap();
        for seq in 1..=3 {
            writer.append(seq, 1, b"{}").unwrap();
        }
        writer.finish().unwrap();
        Tape::open(dir).unwrap()
    }

    fn pull(seq: u64) -> Call<'static> {
        Call {
            function: Function::GetChatData,
            seq: Some(seq),
            page: None,
            encrypt_msg: None,
            file: None,
        }
    }

    #[test]
    fn every_form_of_action_can_be_written() {
        let rules = r#"[{"code":10001},{"errcode":301042},{"hang_ms":1},{"crash":"abort"},{"crash":"segv"},
            "garbage","missing_chatdata","truncated",{"delay_ms":1},{"leak_bytes":1},{"reply":"x"},{"print":"x"},
            "negative_length","null_content"]"#;
        let actions: Vec<Action> = serde_json::from_str(rules).unwrap();
        assert_eq!(actions.len(), 14);
    }

    #[test]
    fn counts_survive_the_process_when_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let tape = tape(dir.path());
        let rules = r#"{"persist_counters":true,"rules":[
            {"call":"GetChatData","nth":2,"action":{"crash":"abort"}},
            {"call":"GetChatData","seq":7,"times":1,"action":{"code":10001}}]}"#;
        fs::write(dir.path().join("faults.json"), rules).unwrap();
        let first = Faults::read(dir.path(), &tape).unwrap();
        assert_eq!(first.meet(pull(0)), []);
        assert_eq!(first.meet(pull(0)), [Action::Crash(Crash::Abort)]);
        let second = Faults::read(dir.path(), &tape).unwrap();
        assert_eq!(second.meet(pull(7)), [Action::Code(10001)]);
        let third = Faults::read(dir.path(), &tape).unwrap();
        assert_eq!(third.meet(pull(7)), []);
    }

    #[test]
    fn a_rule_about_a_record_fires_for_that_record_alone() {
        let dir = tempfile::tempdir().unwrap();
        let tape = tape(dir.path());
        let rules = r#"{"rules":[{"call":"DecryptData","seq":2,"action":"garbage"}]}"#;
        fs::write(dir.path().join("faults.json"), rules).unwrap();
        let faults = Faults::read(dir.path(), &tape).unwrap();
        let page: serde_json::Value = serde_json::from_str(&tape.page(0, 10).unwrap()).unwrap();
        let fired: Vec<usize> = (0..3)
            .map(|n| {
                let sealed = page["chatdata"][n]["encrypt_chat_msg"].as_str().unwrap();
                let call = Call {
                    function: Function::DecryptData,
                    seq: None,
                    page: None,
                    encrypt_msg: Some(sealed),
                    file: None,
                };
                faults.meet(call).len()
            })
            .collect();
        assert_eq!(fired, [0, 1, 0]);
    }

    #[test]
    fn a_rule_about_a_file_fires_for_that_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let tape = tape(dir.path());
        let rules =
            r#"{"rules":[{"call":"GetMediaData","file":"A","times":1,"action":"garbage"}]}"#;
        fs::write(dir.path().join("faults.json"), rules).unwrap();
        let faults = Faults::read(dir.path(), &tape).unwrap();
        let fired = ["B", "A", "A"].map(|file| {
            let call = Call {
                function: Function::GetMediaData,
                seq: None,
                page: None,
                encrypt_msg: None,
                file: Some(file),
            };
            faults.meet(call).len()
        });
        assert_eq!(fired, [0, 1, 0]);
    }

    #[test]
    fn an_unknown_word_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tape = tape(dir.path());
        let rules = r#"{"rules":[{"call":"GetChatData","nht":2,"action":"garbage"}]}"#;
        fs::write(dir.path().join("faults.json"), rules).unwrap();
        assert!(Faults::read(dir.path(), &tape).unwrap_err().contains("nht"));
    }
}
