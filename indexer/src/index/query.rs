//! The query language: literals that must all occur, `"phrases"` with spaces, `-not`, `OR`, and
//! operators such as `from:zhangsan` or `after:2024-10-01`.
//!
//! The parser is a loop with written limits, so that no query can exhaust the stack, and a
//! mistake points at its place. A literal is any text without spaces; it matches wherever the
//! folded text contains it.

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 4 * 1024;
/// Literals and values of operators in a query.
pub const LITERALS_MAX: usize = 64;

/// A mistake in a query and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at character {at} of the query")]
pub struct QueryError {
    /// What is wrong.
    pub problem: String,
    /// Where, in characters from 1.
    pub at: usize,
}

/// What an operator looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `from:` who sent it.
    From,
    /// `to:` who received it.
    To,
    /// `with:` who takes part in the conversation.
    With,
    /// `in:` the room or conversation.
    In,
    /// `type:` WeCom's type.
    Type,
    /// `kind:` the kind of conversation.
    Kind,
    /// `file:` a literal in the name of a file.
    File,
    /// `before:` sent before this day.
    Before,
    /// `after:` sent on this day or later.
    After,
}

impl Operator {
    const ALL: [(&'static str, Self); 9] = [
        ("from", Self::From),
        ("to", Self::To),
        ("with", Self::With),
        ("in", Self::In),
        ("type", Self::Type),
        ("kind", Self::Kind),
        ("file", Self::File),
        ("before", Self::Before),
        ("after", Self::After),
    ];

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, operator)| *operator)
    }
}

/// An operator with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What it looks at; never [`Operator::Before`] or [`Operator::After`].
    pub on: Operator,
    /// One of these.
    pub any_of: Vec<String>,
    /// Or rather none of them.
    pub is_negated: bool,
}

/// What must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Of each group at least one literal occurs.
    pub all_of: Vec<Vec<String>>,
    /// None of these occurs.
    pub none_of: Vec<String>,
    /// All of these hold.
    pub filters: Vec<Filter>,
    /// Sent on this day or later.
    pub after: Option<NaiveDate>,
    /// Sent before this day.
    pub before: Option<NaiveDate>,
}

/// What an `OR` may go on from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joinable {
    Nothing,
    Literals,
    Operator(Operator),
}

impl Query {
    /// The literals to highlight.
    pub fn positives(&self) -> impl Iterator<Item = &str> {
        let in_names = self
            .filters
            .iter()
            .filter(|filter| filter.on == Operator::File && !filter.is_negated);
        self.all_of
            .iter()
            .flatten()
            .chain(in_names.flat_map(|filter| &filter.any_of))
            .map(String::as_str)
    }

    /// Reads a query.
    ///
    /// # Errors
    /// The first mistake and its place.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(fail(format!("more than {QUERY_BYTES_MAX} bytes"), 1));
        }
        let mut query = Self::default();
        let mut n_literals = 0;
        let mut or_at: Option<usize> = None;
        let mut joinable = Joinable::Nothing;
        for word in words(text)? {
            if word.is_or() {
                if joinable == Joinable::Nothing {
                    return Err(fail("`OR` needs a literal before it", word.at));
                }
                or_at = Some(word.at);
                continue;
            }
            n_literals += 1;
            if n_literals > LITERALS_MAX {
                return Err(fail(format!("more than {LITERALS_MAX} literals"), word.at));
            }
            if or_at.is_some() && word.is_negated {
                return Err(fail("`OR` cannot join a negated literal", word.at));
            }
            let kind = match word.operator {
                Some(operator) => Joinable::Operator(operator),
                None => Joinable::Literals,
            };
            if word.operator == Some(Operator::Kind)
                && let Err(error) = word.text.parse::<Kind>()
            {
                return Err(fail(error.to_string(), word.value_at));
            }
            if or_at.is_some() && kind != joinable {
                let problem = "`OR` joins literals, or values of one operator, and nothing else";
                return Err(fail(problem, word.at));
            }
            joinable = if word.is_negated {
                Joinable::Nothing
            } else {
                kind
            };
            query.take(word, or_at.take().is_some())?;
            if matches!(kind, Joinable::Operator(Operator::Before | Operator::After)) {
                joinable = Joinable::Nothing;
            }
        }
        match or_at {
            Some(at) => Err(fail("`OR` needs a literal after it", at)),
            None => Ok(query),
        }
    }

    /// Takes one word in; `joins` it to the one before where an `OR` stood between.
    fn take(&mut self, word: Word, joins: bool) -> Result<(), QueryError> {
        match word.operator {
            None if word.is_negated => self.none_of.push(word.text),
            None => match self.all_of.last_mut().filter(|_| joins) {
                Some(group) => group.push(word.text),
                None => self.all_of.push(vec![word.text]),
            },
            Some(on @ (Operator::Before | Operator::After)) => self.take_day(on, &word)?,
            Some(on) => match self.filters.last_mut().filter(|_| joins) {
                Some(filter) => filter.any_of.push(word.text),
                None => self.filters.push(Filter {
                    on,
                    any_of: vec![word.text],
                    is_negated: word.is_negated,
                }),
            },
        }
        Ok(())
    }

    fn take_day(&mut self, on: Operator, word: &Word) -> Result<(), QueryError> {
        if word.is_negated {
            let problem = "`before:` and `after:` cannot be negated; use the other one";
            return Err(fail(problem, word.at));
        }
        // chrono reads `2024-1-1` too, which the flags do not take.
        let day = NaiveDate::parse_from_str(&word.text, "%Y-%m-%d")
            .ok()
            .filter(|_| word.text.len() == 10)
            .ok_or_else(|| fail("expected a day as YYYY-MM-DD", word.value_at))?;
        // Of several, all hold.
        if on == Operator::After {
            self.after = Some(self.after.map_or(day, |known| known.max(day)));
        } else {
            self.before = Some(self.before.map_or(day, |known| known.min(day)));
        }
        Ok(())
    }
}

fn fail(problem: impl Into<String>, at: usize) -> QueryError {
    QueryError {
        problem: problem.into(),
        at,
    }
}

struct Word {
    /// A literal, or an operator's value.
    text: String,
    operator: Option<Operator>,
    is_quoted: bool,
    is_negated: bool,
    at: usize,
    /// Where the value of an operator stands.
    value_at: usize,
}

impl Word {
    fn is_or(&self) -> bool {
        self.text == "OR" && !self.is_quoted && !self.is_negated && self.operator.is_none()
    }
}

fn words(text: &str) -> Result<Vec<Word>, QueryError> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut next = 0;
    while next < characters.len() {
        if characters[next].is_whitespace() {
            next += 1;
            continue;
        }
        let at = next + 1;
        // A lone minus is a literal.
        let is_negated =
            characters[next] == '-' && characters.get(next + 1).is_some_and(|c| !c.is_whitespace());
        next += usize::from(is_negated);
        let operator = operator_at(&characters[next..]);
        next += operator.map_or(0, |(_, length)| length);
        let operator = operator.map(|(operator, _)| operator);
        let value_at = next + 1;
        let is_quoted = characters.get(next) == Some(&'"');
        let mut word = String::new();
        if is_quoted {
            next += 1;
            loop {
                match (characters.get(next), characters.get(next + 1)) {
                    (None, _) => {
                        return Err(fail("the quote is not closed", value_at));
                    }
                    (Some('\\'), Some(escaped @ ('"' | '\\'))) => {
                        word.push(*escaped);
                        next += 2;
                    }
                    (Some('"'), _) => {
                        next += 1;
                        break;
                    }
                    (Some(c), _) => {
                        word.push(*c);
                        next += 1;
                    }
                }
            }
        } else {
            while let Some(c) = characters.get(next).filter(|c| !c.is_whitespace()) {
                word.push(*c);
                next += 1;
            }
        }
        if word.is_empty() {
            let problem = match operator {
                Some(_) => "the operator has no value",
                None => "the quoted phrase is empty",
            };
            return Err(fail(problem, value_at));
        }
        words.push(Word {
            text: word,
            operator,
            is_quoted,
            is_negated,
            at,
            value_at,
        });
    }
    Ok(words)
}

/// The operator that a word begins with, and how many characters its name and colon take.
fn operator_at(characters: &[char]) -> Option<(Operator, usize)> {
    let name: String = characters
        .iter()
        .take_while(|c| c.is_ascii_lowercase())
        .collect();
    let is_colon = characters.get(name.len()) == Some(&':');
    let operator = Operator::named(&name).filter(|_| is_colon)?;
    Some((operator, name.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let query = Query::parse(text).unwrap();
        (query.all_of, query.none_of)
    }

    fn group(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| w.to_string()).collect()
    }

    #[test]
    fn literals_phrases_negation_and_or() {
        let (all, none) = parsed(r#"退款 "加 我" OR 微信 -谢谢 -"a \" b""#);
        assert_eq!(all, [group(&["退款"]), group(&["加 我", "微信"])]);
        assert_eq!(none, ["谢谢", "a \" b"]);
    }

    #[test]
    fn a_lone_minus_and_a_quoted_or_are_literals() {
        assert_eq!(parsed(r#"- "OR""#).0, [group(&["-"]), group(&["OR"])]);
    }

    #[test]
    fn a_mistake_points_at_its_place() {
        let at = |text: &str| Query::parse(text).unwrap_err().at;
        assert_eq!(at("好 \"没有"), 3);
        assert_eq!(at("OR 好"), 1);
        assert_eq!(at("好 OR"), 3);
        assert_eq!(at("好 OR -坏"), 6);
        assert_eq!(at("a \"\""), 3);
    }

    #[test]
    fn operators_take_values_and_leave_other_colons_alone() {
        let query = Query::parse(
            r#"退款 from:a OR from:"张 三" -type:image after:2024-10-01 http://x 10:30 "in:x""#,
        )
        .unwrap();
        let filter = |on, any_of: &[&str], is_negated| Filter {
            on,
            any_of: group(any_of),
            is_negated,
        };
        assert_eq!(
            query.filters,
            [
                filter(Operator::From, &["a", "张 三"], false),
                filter(Operator::Type, &["image"], true)
            ]
        );
        let literals: Vec<&str> = query.positives().collect();
        assert_eq!(literals, ["退款", "http://x", "10:30", "in:x"]);
        assert_eq!(query.after, NaiveDate::from_ymd_opt(2024, 10, 1));
    }

    #[test]
    fn a_literal_after_an_operator_starts_a_group_of_its_own() {
        let (all, _) = parsed("a in:r b");
        assert_eq!(all, [group(&["a"]), group(&["b"])]);
    }

    #[test]
    fn a_mistake_in_an_operator_points_at_its_place() {
        let at = |text: &str| Query::parse(text).unwrap_err().at;
        assert_eq!(at("好 from:"), 8);
        assert_eq!(at("好 before:2024-1-1"), 10);
        assert_eq!(at("好 OR from:a"), 6);
        assert_eq!(at("from:a OR to:b"), 11);
        assert_eq!(at("-after:2024-10-01"), 1);
        assert_eq!(at("kind:singel"), 6);
        assert_eq!(at("from:a OR -from:b"), 11);
        assert_eq!(at("after:2024-10-01 OR after:2024-10-02"), 18);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        assert!(Query::parse(&"(".repeat(20_000)).is_err());
        assert!(Query::parse(&"a OR ".repeat(500)).is_err());
        assert!(Query::parse(&"a ".repeat(65)).is_err());
    }
}
