//! The rules in force: how dialogues are cut and replies measured (manual 9.8, semantics 3, 4).
//!
//! The fields and their names are those of the contract's rules file. Unknown keys are refused
//! by name.

use huicun_semantics::closing::{ClosingMatch, ClosingPhrases};
use huicun_semantics::dialogue::DialogueRule;
use huicun_semantics::reply::ReplyFrom;
use huicun_semantics::time::Zone;
use serde::{Deserialize, Serialize};

/// All rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The company's time zone (IANA name).
    pub timezone: String,
    /// How long a silence ends a dialogue.
    pub dialogue: DialogueSettings,
    /// Which customer words end it at once.
    pub closing: ClosingSettings,
    /// How a reply is measured.
    pub reply: ReplySettings,
}

/// `[dialogue]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialogueSettings {
    /// Minutes of silence that end a dialogue in a single chat.
    pub single_gap_minutes: u32,
    /// Minutes of silence that end a dialogue in a group.
    pub group_gap_minutes: u32,
}

/// `[closing]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClosingSettings {
    /// Closing phrases; none by default.
    pub phrases: Vec<String>,
    /// Whether the whole message must be the phrase.
    #[serde(rename = "match")]
    pub match_: Match,
    /// Employee messages at most this long after a closing phrase still belong to the dialogue.
    pub grace_seconds: u32,
}

/// `closing.match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The message equals a phrase.
    #[default]
    Exact,
    /// The message contains a phrase.
    Contains,
}

/// `[reply]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplySettings {
    /// From which message of the customer's turn a reply is measured.
    pub from: From_,
    /// By which clock.
    pub clock: Clock,
}

/// `reply.clock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Every second counts.
    #[default]
    Wall,
}

/// `reply.from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From_ {
    /// The turn's first message.
    #[default]
    First,
    /// The turn's last message.
    Last,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            timezone: "Asia/Shanghai".into(),
            dialogue: DialogueSettings::default(),
            closing: ClosingSettings::default(),
            reply: ReplySettings::default(),
        }
    }
}

impl Default for DialogueSettings {
    fn default() -> Self {
        Self {
            single_gap_minutes: 30,
            group_gap_minutes: 30,
        }
    }
}

impl Rules {
    /// The company's zone.
    ///
    /// # Errors
    /// When the name is not an IANA time zone.
    pub fn zone(&self) -> Result<Zone, huicun_semantics::time::UnknownZone> {
        Zone::parse(&self.timezone)
    }

    /// These rules with the sections that `text` (TOML) names in place of their own.
    ///
    /// # Errors
    /// What is wrong and where: an unknown key, a bad value, a contradiction.
    pub fn replaced_by(&self, text: &str) -> Result<Self, String> {
        let place = |e: &toml::de::Error| match e.span() {
            Some(span) => {
                let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                format!("line {line}: {}", e.message())
            }
            None => e.message().to_string(),
        };
        // The file alone is checked first, so that a mistake is told with its line.
        let _: Self = toml::from_str(text).map_err(|e| place(&e))?;
        let news: toml::Table = toml::from_str(text).map_err(|e| place(&e))?;
        let mut merged = toml::Table::try_from(self).map_err(|e| e.to_string())?;
        merged.extend(news);
        let rules: Self = merged.try_into().map_err(|e| e.message().to_string())?;
        rules.zone().map_err(|e| e.to_string())?;
        if rules.dialogue.single_gap_minutes == 0 || rules.dialogue.group_gap_minutes == 0 {
            return Err(
                "`dialogue`: a gap of 0 minutes would make every message a dialogue".into(),
            );
        }
        Ok(rules)
    }

    /// The rules as a rules file.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("rules are plain data with string keys")
    }

    /// The cut of dialogues in single chats.
    pub fn single(&self) -> DialogueRule {
        self.dialogue_rule(self.dialogue.single_gap_minutes)
    }

    /// The cut of dialogues in groups.
    pub fn group(&self) -> DialogueRule {
        self.dialogue_rule(self.dialogue.group_gap_minutes)
    }

    fn dialogue_rule(&self, gap_minutes: u32) -> DialogueRule {
        DialogueRule {
            gap_ms: i64::from(gap_minutes) * 60_000,
            grace_ms: i64::from(self.closing.grace_seconds) * 1000,
        }
    }

    /// The closing phrases, ready to match.
    pub fn closing_phrases(&self) -> ClosingPhrases {
        let match_ = match self.closing.match_ {
            Match::Exact => ClosingMatch::Exact,
            Match::Contains => ClosingMatch::Contains,
        };
        ClosingPhrases::new(&self.closing.phrases, match_)
    }

    /// From which message a reply is measured.
    pub fn reply_from(&self) -> ReplyFrom {
        match self.reply.from {
            From_::First => ReplyFrom::First,
            From_::Last => ReplyFrom::Last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<Rules>("[dialogue]\nsingle_gap = 5").unwrap_err();
        assert!(error.to_string().contains("single_gap"), "{error}");
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let rules: Rules = toml::from_str("[closing]\nphrases = [\"谢谢\"]").unwrap();
        assert_eq!(rules.dialogue.group_gap_minutes, 30);
        assert_eq!(rules.single().gap_ms, 1_800_000);
    }
}
