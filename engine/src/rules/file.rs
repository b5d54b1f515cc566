//! Rules as a file: read with every mistake at its place, merged section by section, printed.

use std::fmt::Write;

use serde::Serialize;
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::place;
use super::{BehaviourKind, Rules, check};

/// A rules file that is not taken: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub struct RulesError {
    /// `line 3, column 5`; none where the mistake is not in the file itself.
    pub place: Option<String>,
    /// The key, such as `timeout.rule[1].levels`; none where the text is no TOML.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl RulesError {
    fn told(&self) -> String {
        let key = self.key.as_ref().map(|key| format!("`{key}`"));
        let place = self.place.clone();
        let parts: Vec<String> = place.into_iter().chain(key).collect();
        match parts.is_empty() {
            true => self.problem.clone(),
            false => format!("{}: {}", parts.join(", "), self.problem),
        }
    }
}

impl Rules {
    /// The rules of a stored version: what earlier versions wrote stays readable, since keys are
    /// only ever added.
    ///
    /// # Errors
    /// When the text is not one that any version wrote.
    pub fn of_stored(text: &str) -> Result<Self, RulesError> {
        toml::from_str(text).map_err(|error| unreadable(text, &error))
    }

    /// The rules of a whole file: what it leaves out has its default.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn of_file(text: &str) -> Result<Self, RulesError> {
        Self::default().replaced_by(text)
    }

    /// These rules with the sections that `text` (TOML) names in place of their own. A section is
    /// replaced whole, its arrays of tables included; each `[behaviour.KIND]` is one of its own.
    ///
    /// # Errors
    /// What is wrong and where: an unknown key, a bad value, a contradiction.
    pub fn replaced_by(&self, text: &str) -> Result<Self, RulesError> {
        // The file alone is read first, so that a mistake is told with its place.
        let given: Self = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let named: Table = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let rules = self.with(given, &named);
        check::check(&rules).map_err(|mistake| {
            let byte = place::byte_of(text, &mistake.path);
            let problem = match byte {
                Some(_) => mistake.problem,
                None => format!("{} (in the rules in force)", mistake.problem),
            };
            RulesError {
                place: byte.map(|byte| place::told(text, byte)),
                key: Some(mistake.path.to_string()),
                problem,
            }
        })?;
        Ok(rules)
    }

    fn with(&self, given: Self, named: &Table) -> Self {
        let mut rules = self.clone();
        macro_rules! take {
            ($($section:ident),*) => {
                $(if named.contains_key(stringify!($section)) {
                    rules.$section = given.$section;
                })*
            };
        }
        take!(
            timezone, dialogue, closing, reply, calendar, timeout, revisit, sensitive
        );
        take!(group_activity);
        let kinds = named.get("behaviour").and_then(toml::Value::as_table);
        let names = |kind: BehaviourKind| kinds.is_some_and(|k| k.contains_key(kind.as_str()));
        let (mine, given) = (&mut rules.behaviour, given.behaviour);
        if names(BehaviourKind::RedPacket) {
            mine.red_packet = given.red_packet;
        }
        if names(BehaviourKind::Card) {
            mine.card = given.card;
        }
        if names(BehaviourKind::SensitiveWord) {
            mine.sensitive_word = given.sensitive_word;
        }
        if names(BehaviourKind::FriendDeleted) {
            mine.friend_deleted = given.friend_deleted;
        }
        rules
    }

    /// What is allowed but most likely not meant; the closures tell whom the directory knows.
    pub fn warnings(
        &self,
        knows_employee: impl Fn(&str) -> bool,
        knows_department: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        check::warnings(self, knows_employee, knows_department)
    }

    /// The rules as a rules file, every key of every section.
    pub fn to_toml(&self) -> String {
        let sections = self.sections();
        let texts = sections.iter().map(|(_, text)| text.as_str());
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        texts.join("\n")
    }

    /// Each section by name as the file writes it, in the order of the file. A section that has
    /// nothing to say (no calendar, no word rule) is an empty text.
    pub fn sections(&self) -> Vec<(String, String)> {
        let mut found = vec![(
            "timezone".to_string(),
            format!("timezone = {}\n", value(&self.timezone)),
        )];
        let mut add = |name: &str, text: String| found.push((name.to_string(), text));
        add("dialogue", section("[dialogue]", &self.dialogue));
        add("closing", section("[closing]", &self.closing));
        add("reply", section("[reply]", &self.reply));
        add(
            "calendar",
            self.calendar
                .iter()
                .map(calendar_text)
                .collect::<Vec<_>>()
                .join("\n"),
        );
        add("timeout", self.timeout_text());
        add("revisit", section("[revisit]", &self.revisit));
        let words = self.sensitive.rule.iter();
        let words: Vec<String> = words
            .map(|rule| section("[[sensitive.rule]]", rule))
            .collect();
        add("sensitive", words.join("\n"));
        for kind in BehaviourKind::ALL {
            let name = format!("behaviour.{}", kind.as_str());
            add(
                &name,
                section(&format!("[{name}]"), self.behaviour.of(kind)),
            );
        }
        add(
            "group_activity",
            section("[group_activity]", &self.group_activity),
        );
        found
    }

    fn timeout_text(&self) -> String {
        let own = super::TimeoutSettings {
            rule: Vec::new(),
            ..self.timeout.clone()
        };
        let mut text = section("[timeout]", &own);
        for rule in &self.timeout.rule {
            text.push('\n');
            text.push_str(&section("[[timeout.rule]]", rule));
        }
        text
    }
}

/// A calendar: long lists of exceptions stand one a line.
fn calendar_text(calendar: &super::CalendarSettings) -> String {
    let own = super::CalendarSettings {
        exceptions: Vec::new(),
        ..calendar.clone()
    };
    let mut text = section("[[calendar]]", &own);
    if calendar.exceptions.is_empty() {
        return text;
    }
    text.push_str("exceptions = [\n");
    for exception in &calendar.exceptions {
        let _ = writeln!(text, "    {},", value(exception));
    }
    text.push_str("]\n");
    text
}

/// A heading and one key a line, values on one line each. Empty lists of tables, which are written
/// apart, are left out.
fn section(heading: &str, of: &impl Serialize) -> String {
    let mut text = format!("{heading}\n");
    for (key, value) in fields_of(of) {
        if matches!(key.as_str(), "rule" | "exceptions") && value == "[]" {
            continue;
        }
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

fn value(of: &impl Serialize) -> String {
    let mut text = String::new();
    of.serialize(toml::ser::ValueSerializer::new(&mut text))
        .expect("rules are plain data with string keys");
    text
}

/// The fields of a struct in their order, each with its value as TOML on one line.
fn fields_of(of: &impl Serialize) -> Vec<(String, String)> {
    let text = format!("all = {}", value(of));
    let table = DeTable::parse(&text).expect("a value was just written as TOML");
    let fields = table.get_ref().iter().next().map(|(_, all)| all.get_ref());
    let Some(DeValue::Table(fields)) = fields else {
        return Vec::new();
    };
    let mut found: Vec<_> = fields.iter().collect();
    // The parser sorts by name; a reader expects the order of the manual.
    found.sort_by_key(|(key, _)| key.span().start);
    let slice = |span: std::ops::Range<usize>| text[span].to_string();
    let pairs = found.into_iter();
    pairs
        .map(|(key, value)| (slice(key.span()), slice(value.span())))
        .collect()
}

/// A file that is no rules file: told with its place, as the parser gives it.
fn unreadable(text: &str, error: &toml::de::Error) -> RulesError {
    RulesError {
        place: error.span().map(|span| place::told(text, span.start)),
        key: None,
        problem: error.message().to_string(),
    }
}
