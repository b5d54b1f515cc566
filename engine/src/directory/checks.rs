//! What the tables must not say once a feed is merged in, and what is only odd (semantics 9).
//!
//! Refused: a department above itself, an interval that ends before it begins, and intervals of
//! one relation, one role or one member that overlap. Rows that were stored before these checks
//! existed are let be: a pair of rows is looked at only if one of them was fed. Unknown ids are
//! told and taken, since feeds arrive in any order. Nothing here changes anything.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::feed::{Feed, FeedError};

/// A table as it would be, and where its rows come from.
pub(super) struct Merged<'a> {
    /// Its name.
    pub(super) table: &'static str,
    /// All rows, sorted by key.
    pub(super) rows: RecordBatch,
    /// Of each row the feed and the row in it; none for a row that was stored before.
    pub(super) origin: Vec<Option<(&'a Feed, usize)>>,
}

impl<'a> Merged<'a> {
    fn text(&self, column: &str) -> &StringArray {
        let column = self.rows.column_by_name(column);
        column.expect("checks name columns of the spec").as_string()
    }

    fn time(&self, column: &str) -> impl Fn(usize) -> Option<i64> + '_ {
        let column = self.rows.column_by_name(column);
        let times = column
            .expect("checks name columns of the spec")
            .as_primitive::<TimestampMicrosecondType>();
        move |row| times.is_valid(row).then(|| times.value(row))
    }

    /// File and line of a fed row.
    fn at(&self, row: usize) -> Option<String> {
        self.origin[row].map(|(feed, row)| feed.at(row))
    }

    fn fed(&self) -> impl Iterator<Item = (usize, &'a Feed, usize)> + '_ {
        let rows = self.origin.iter().enumerate();
        rows.filter_map(|(row, origin)| origin.map(|(feed, inside)| (row, feed, inside)))
    }

    fn refused(&self, at: String, problem: String) -> FeedError {
        FeedError::Contradiction {
            at,
            table: self.table,
            problem,
        }
    }
}

/// The columns of a table's intervals: whose they are, where they begin and end.
struct Stretches {
    table: &'static str,
    of: &'static [&'static str],
    from: &'static str,
    to: &'static str,
    /// Whether two of the same may hold at once.
    may_overlap: bool,
}

const STRETCHES: &[Stretches] = &[
    Stretches {
        table: "relations",
        of: &["userid", "external_userid"],
        from: "add_time",
        to: "lost_time",
        may_overlap: false,
    },
    Stretches {
        table: "group_roles",
        of: &["chat_id", "role"],
        from: "from_time",
        to: "to_time",
        may_overlap: false,
    },
    Stretches {
        table: "group_members",
        of: &["chat_id", "member_id"],
        from: "join_time",
        to: "leave_time",
        may_overlap: false,
    },
    Stretches {
        table: "department_members",
        of: &["userid", "department_id"],
        from: "from_time",
        to: "to_time",
        may_overlap: true,
    },
    Stretches {
        table: "groups",
        of: &["chat_id"],
        from: "create_time",
        to: "dismissed_time",
        may_overlap: true,
    },
];

/// Looks over a table as it would be.
///
/// # Errors
/// What the table must not say, with the fed row that says it.
pub(super) fn check(merged: &Merged<'_>) -> Result<(), FeedError> {
    if merged.table == "departments" {
        check_tree(merged)?;
    }
    for stretches in STRETCHES.iter().filter(|s| s.table == merged.table) {
        check_ends(merged, stretches)?;
        if !stretches.may_overlap {
            check_overlaps(merged, stretches)?;
        }
    }
    Ok(())
}

/// No department is above itself. A new cycle runs through a fed row, so only those are followed.
fn check_tree(merged: &Merged<'_>) -> Result<(), FeedError> {
    let (id, parent) = (merged.text("id"), merged.text("parent_id"));
    let parents: HashMap<&str, &str> = (0..merged.rows.num_rows())
        .filter(|row| parent.is_valid(*row) && !parent.value(*row).is_empty())
        .map(|row| (id.value(row), parent.value(row)))
        .collect();
    for (row, feed, inside) in merged.fed() {
        let start = id.value(row);
        let mut path = vec![start];
        let mut seen = HashSet::from([start]);
        while let Some(next) = parents.get(path[path.len() - 1]) {
            path.push(next);
            if *next == start {
                let path = path.join("` below `");
                let problem = format!("department `{path}`: the tree goes in a circle");
                return Err(merged.refused(feed.at(inside), problem));
            }
            if !seen.insert(next) {
                break;
            }
        }
    }
    Ok(())
}

fn check_ends(merged: &Merged<'_>, stretches: &Stretches) -> Result<(), FeedError> {
    let (from, to) = (merged.time(stretches.from), merged.time(stretches.to));
    for (row, feed, inside) in merged.fed() {
        if let (Some(from), Some(to)) = (from(row), to(row))
            && to < from
        {
            let problem = format!(
                "`{}` {} lies before `{}` {}",
                stretches.to,
                spelt(to),
                stretches.from,
                spelt(from)
            );
            return Err(merged.refused(feed.at(inside), problem));
        }
    }
    Ok(())
}

/// Rows are sorted by key, so those of one relation, role or member follow each other by time.
fn check_overlaps(merged: &Merged<'_>, stretches: &Stretches) -> Result<(), FeedError> {
    let of: Vec<&StringArray> = stretches.of.iter().map(|c| merged.text(c)).collect();
    let (from, to) = (merged.time(stretches.from), merged.time(stretches.to));
    let is_same = |a: usize, b: usize| of.iter().all(|ids| ids.value(a) == ids.value(b));
    // The row that ends last among those of one relation so far.
    let mut longest: Option<usize> = None;
    for row in 0..merged.rows.num_rows() {
        // An interval that holds at no instant overlaps nothing.
        if to(row).is_some() && to(row) <= from(row) {
            continue;
        }
        let Some(before) = longest.filter(|before| is_same(*before, row)) else {
            longest = Some(row);
            continue;
        };
        let overlaps = to(before).is_none_or(|to| from(row).is_none_or(|from| from < to));
        if overlaps && let Some(at) = merged.at(row).or_else(|| merged.at(before)) {
            let (named, other) = match merged.at(row) {
                Some(_) => (row, before),
                None => (before, row),
            };
            return Err(merged.refused(at, overlap(merged, stretches, named, other)));
        }
        let ends_later = to(before).is_some_and(|a| to(row).is_none_or(|b| b > a));
        if ends_later {
            longest = Some(row);
        }
    }
    Ok(())
}

fn overlap(merged: &Merged<'_>, stretches: &Stretches, named: usize, other: usize) -> String {
    let (from, to) = (merged.time(stretches.from), merged.time(stretches.to));
    let spell = |row: usize| {
        let from = from(row).map_or_else(|| "ever".into(), spelt);
        match to(row) {
            Some(to) => format!("{from} to {}", spelt(to)),
            None => format!("{from} without end"),
        }
    };
    let of: Vec<String> = stretches
        .of
        .iter()
        .map(|column| format!("`{}`", merged.text(column).value(named)))
        .collect();
    let place = merged.at(other).unwrap_or_else(|| "a stored row".into());
    format!(
        "{}: {} overlaps {} ({place})",
        of.join(", "),
        spell(named),
        spell(other)
    )
}

fn spelt(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).map_or_else(
        || micros.to_string(),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    )
}

/// A column whose ids another table should know.
pub(super) struct Reference {
    /// The table.
    pub(super) table: &'static str,
    /// Its column of ids or lists of ids.
    pub(super) column: &'static str,
    /// The table that should know them.
    pub(super) known_by: &'static str,
}

const fn reference(table: &'static str, column: &'static str, known_by: &'static str) -> Reference {
    Reference {
        table,
        column,
        known_by,
    }
}

/// All of them. Members of groups are left out: most customers there are nobody's friends, and no
/// table has to know them.
pub(super) const REFERENCES: &[Reference] = &[
    reference("departments", "parent_id", "departments"),
    reference("departments", "leaders", "employees"),
    reference("employees", "departments", "departments"),
    reference("department_members", "userid", "employees"),
    reference("department_members", "department_id", "departments"),
    reference("stores", "department_id", "departments"),
    reference("stores", "members", "employees"),
    reference("stores", "groups", "groups"),
    reference("relations", "userid", "employees"),
    reference("relations", "external_userid", "customers"),
    reference("groups", "owner", "employees"),
    reference("groups", "store_id", "stores"),
    reference("group_roles", "chat_id", "groups"),
    reference("group_roles", "userid", "employees"),
    reference("group_members", "chat_id", "groups"),
    reference("followups", "userid", "employees"),
    reference("business_records", "userid", "employees"),
    reference("tasks", "userid", "employees"),
    reference("friend_requests", "userid", "employees"),
];

/// One line about the ids in a fed column that its table does not know; none if it knows all.
pub(super) fn unknown_ids(
    reference: &Reference,
    feed: &Feed,
    known: &RecordBatch,
) -> Option<String> {
    let known: HashSet<&str> = known
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    let column = feed.rows.column_by_name(reference.column)?;
    let texts: &StringArray = match column.as_list_opt::<i32>() {
        Some(lists) => lists.values().as_string(),
        None => column.as_string(),
    };
    // WeCom's root department has the parent 0, which is none.
    let is_root = |id: &str| reference.column == "parent_id" && id == "0";
    let mut unknown: Vec<&str> = texts
        .iter()
        .flatten()
        .filter(|id| !id.is_empty() && !known.contains(id) && !is_root(id))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let first = unknown.first()?;
    Some(format!(
        "`{}.{}` names {} that `{}` does not have, such as `{first}`",
        reference.table,
        reference.column,
        match unknown.len() {
            1 => "1 id".into(),
            n => format!("{n} ids"),
        },
        reference.known_by
    ))
}

#[cfg(test)]
mod tests;
