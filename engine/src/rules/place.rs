//! Where in a rules file a key or value stands: line and column, for messages to people.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key by its way from the top: names, and numbers of items of lists (from 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

impl Path {
    /// A way through sections and keys, `a.b`.
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.into())).collect())
    }

    /// The key below.
    pub fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(name.into()));
        Self(steps)
    }

    /// The item below, from 0.
    pub fn item(&self, number: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Item(number));
        Self(steps)
    }
}

impl std::fmt::Display for Path {
    /// `timeout.rule[1].levels[2].after_minutes`, the items counted from 1 as people do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(at) => write!(f, "[{}]", at + 1)?,
            }
        }
        Ok(())
    }
}

/// The byte at which `path` stands in `text`, or as much of its way as is there; none if even the
/// section is not, or the text is not TOML.
pub fn byte_of(text: &str, path: &Path) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut open: Option<&Spanned<DeValue<'_>>> = None;
    for (number, step) in path.0.iter().enumerate() {
        match step {
            Step::Key(name) => {
                let inside = match (number, open.map(Spanned::get_ref)) {
                    (0, _) => table.get_ref(),
                    (_, Some(DeValue::Table(inside))) => inside,
                    _ => return found,
                };
                let entry = inside.iter().find(|(key, _)| key.get_ref() == name);
                let Some((key, value)) = entry else {
                    return found;
                };
                found = Some(key.span().start);
                open = Some(value);
            }
            Step::Item(at) => {
                let item = match open.map(Spanned::get_ref) {
                    Some(DeValue::Array(items)) => items.get(*at),
                    _ => None,
                };
                let Some(value) = item else {
                    return found;
                };
                found = Some(value.span().start);
                open = Some(value);
            }
        }
    }
    found
}

/// `line 3, column 5` of a byte, both counted from 1, columns in characters.
pub fn told(text: &str, byte: usize) -> String {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[start..].chars().count() + 1;
    format!("line {line}, column {column}")
}
