//! The query language: literals that must all occur, `"phrases"` with spaces, `-not`, and `OR`.
//!
//! The parser is a loop with written limits, so that no query can exhaust the stack, and a
//! mistake points at its place. A literal is any text without spaces; it matches wherever the
//! folded text contains it.

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 4 * 1024;
/// Literals in a query.
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

/// What must occur.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Of each group at least one literal occurs.
    pub all_of: Vec<Vec<String>>,
    /// None of these occurs.
    pub none_of: Vec<String>,
}

impl Query {
    /// The literals to highlight.
    pub fn positives(&self) -> impl Iterator<Item = &str> {
        self.all_of.iter().flatten().map(String::as_str)
    }

    /// Reads a query.
    ///
    /// # Errors
    /// The first mistake and its place.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let fail = |problem: String, at: usize| QueryError { problem, at };
        if text.len() > QUERY_BYTES_MAX {
            let problem = format!("more than {QUERY_BYTES_MAX} bytes");
            return Err(fail(problem, 1));
        }
        let mut query = Self::default();
        let mut n_literals = 0;
        let mut or_at: Option<usize> = None;
        let mut can_join = false;
        for word in words(text)? {
            if word.is_or() {
                if !can_join {
                    return Err(fail("`OR` needs a literal before it".into(), word.at));
                }
                or_at = Some(word.at);
                can_join = false;
                continue;
            }
            n_literals += 1;
            if n_literals > LITERALS_MAX {
                return Err(fail(format!("more than {LITERALS_MAX} literals"), word.at));
            }
            if word.is_negated {
                if or_at.is_some() {
                    let problem = "`OR` cannot join a negated literal";
                    return Err(fail(problem.into(), word.at));
                }
                query.none_of.push(word.text);
                can_join = false;
                continue;
            }
            match (or_at.take(), query.all_of.last_mut()) {
                (Some(_), Some(group)) => group.push(word.text),
                _ => query.all_of.push(vec![word.text]),
            }
            can_join = true;
        }
        match or_at {
            Some(at) => Err(fail("`OR` needs a literal after it".into(), at)),
            None => Ok(query),
        }
    }
}

struct Word {
    text: String,
    is_quoted: bool,
    is_negated: bool,
    at: usize,
}

impl Word {
    fn is_or(&self) -> bool {
        self.text == "OR" && !self.is_quoted && !self.is_negated
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
        let is_quoted = characters[next] == '"';
        let mut word = String::new();
        if is_quoted {
            next += 1;
            loop {
                match (characters.get(next), characters.get(next + 1)) {
                    (None, _) => {
                        return Err(QueryError {
                            problem: "the quote is not closed".into(),
                            at,
                        });
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
            return Err(QueryError {
                problem: "the quoted phrase is empty".into(),
                at,
            });
        }
        words.push(Word {
            text: word,
            is_quoted,
            is_negated,
            at,
        });
    }
    Ok(words)
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
    fn hostile_sizes_are_refused() {
        assert!(Query::parse(&"(".repeat(20_000)).is_err());
        assert!(Query::parse(&"a OR ".repeat(500)).is_err());
        assert!(Query::parse(&"a ".repeat(65)).is_err());
    }
}
