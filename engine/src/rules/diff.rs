//! What a change of rules changes: section by section, and which derived tables are computed anew.

use super::Rules;

/// A section that differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SectionChange {
    /// Its name, such as `timeout` or `behaviour.card`.
    pub section: String,
    /// How it was, as the file writes it; empty where it said nothing.
    pub before: String,
    /// How it is.
    pub after: String,
    /// What is computed anew because of it.
    pub recomputed: Recomputed,
}

/// What a changed section makes the jobs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recomputed {
    /// All derived tables, over all of history.
    Everything,
    /// Dialogues and replies, over all of history.
    Dialogues,
    /// Dialogues, and the timers of waiting customers, over all of history.
    DialoguesAndTimeouts,
    /// Timeouts, over all of history.
    Timeouts,
    /// Nothing: reports ask for it anew each time.
    Nothing,
    /// Nothing of what is there: it holds for what enters the archive from now on (semantics 8).
    FromNowOn,
}

impl Recomputed {
    /// Said to people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Everything => "everything derived is computed anew, over all of history",
            Self::Dialogues => "dialogues and replies are computed anew, over all of history",
            Self::DialoguesAndTimeouts => {
                "dialogues and timeouts are computed anew, over all of history"
            }
            Self::Timeouts => "timeouts are computed anew, over all of history",
            Self::Nothing => "nothing is computed anew; reports follow at once",
            Self::FromNowOn => {
                "holds for what enters the archive from now on; `huicun behaviours rescan` applies \
                 it to what is there"
            }
        }
    }

    fn of_section(section: &str) -> Self {
        match section {
            "timezone" => Self::Everything,
            "dialogue" | "reply" => Self::Dialogues,
            "closing" => Self::DialoguesAndTimeouts,
            // Replies count working time too.
            "calendar" => Self::DialoguesAndTimeouts,
            "timeout" => Self::Timeouts,
            "sensitive" => Self::FromNowOn,
            section if section.starts_with("behaviour.") => Self::FromNowOn,
            _ => Self::Nothing,
        }
    }
}

/// One line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both.
    Same(&'a str),
    /// Only before.
    Gone(&'a str),
    /// Only after.
    New(&'a str),
}

impl Rules {
    /// The sections in which `after` differs, in the order of the file.
    pub fn changes_to(&self, after: &Self) -> Vec<SectionChange> {
        let pairs = self.sections().into_iter().zip(after.sections());
        pairs
            .filter(|((_, before), (_, after))| before != after)
            .map(|((section, before), (_, after))| SectionChange {
                recomputed: Recomputed::of_section(&section),
                section,
                before,
                after,
            })
            .collect()
    }
}

impl SectionChange {
    /// Its lines, those that stay between those that go and come (longest common subsequence; a
    /// section has some hundred lines at most).
    pub fn lines(&self) -> Vec<Line<'_>> {
        let (before, after): (Vec<&str>, Vec<&str>) =
            (self.before.lines().collect(), self.after.lines().collect());
        let width = after.len() + 1;
        let mut common = vec![0_u32; (before.len() + 1) * width];
        for i in (0..before.len()).rev() {
            for j in (0..after.len()).rev() {
                common[i * width + j] = match before[i] == after[j] {
                    true => common[(i + 1) * width + j + 1] + 1,
                    false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
                };
            }
        }
        let (mut i, mut j, mut lines) = (0, 0, Vec::new());
        while i < before.len() || j < after.len() {
            if i < before.len() && j < after.len() && before[i] == after[j] {
                lines.push(Line::Same(before[i]));
                (i, j) = (i + 1, j + 1);
            } else if j == after.len()
                || (i < before.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
            {
                lines.push(Line::Gone(before[i]));
                i += 1;
            } else {
                lines.push(Line::New(after[j]));
                j += 1;
            }
        }
        lines
    }
}
