//! A company for measuring reports: a year of its messages, and one day more.
//!
//! `year-company FOLDER [MESSAGES] [EMPLOYEES] [DAYS]` (10,000,000; 2,000; 365): writes into FOLDER
//! the demo company's `directory/` and `messages.ndjson`, which hold about MESSAGES messages of
//! DAYS days from 2025-01-01 on, and `next-day.ndjson`, the messages of the day after. The same
//! arguments give the same bytes. `benches/reports/run.py` measures with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{Days, NaiveDate};
use huicun_semantics::time::Zone;
use huicun_testdata::demo::{DemoOptions, write_company};

/// Read from the end of the messages at a time.
const TAIL_BYTES: u64 = 1 << 20;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "year-company FOLDER [MESSAGES] [EMPLOYEES] [DAYS]";
    let folder = PathBuf::from(arguments.next().context(usage)?);
    let mut number = |or: u64| match arguments.next() {
        Some(n) => n.parse().with_context(|| format!("`{n}`: {usage}")),
        None => Ok(or),
    };
    let (n_messages, n_employees, n_days) = (number(10_000_000)?, number(2_000)?, number(365)?);
    if n_days == 0 {
        bail!("a company needs at least one day");
    }
    let first_day = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap_or_default();
    let options = DemoOptions {
        n_messages: n_messages + n_messages / n_days,
        n_employees: u32::try_from(n_employees)?,
        first_day,
        days: u32::try_from(n_days + 1)?,
        ..DemoOptions::default()
    };
    let summary = write_company(&options, &folder)?;
    let last_day = first_day + Days::new(n_days);
    let from_ms = Zone::parse("Asia/Shanghai")?.day_start_ms(last_day);
    let n_last = split_off(&folder, from_ms)?;
    let made = serde_json::json!({
        "messages": summary.messages - n_last,
        "next_day": n_last,
        "employees": summary.employees,
        "customers": summary.customers,
        "groups_external": summary.groups_external,
        "days": n_days,
        "directory": summary.directory,
    });
    let made = serde_json::to_string(&made)?;
    std::fs::write(folder.join("made.json"), &made)?;
    println!("{made}");
    Ok(())
}

/// Moves the last messages, as far back as they were sent at `from_ms` or later, into a file of
/// their own; returns how many they are.
fn split_off(folder: &Path, from_ms: i64) -> anyhow::Result<u64> {
    let path = folder.join("messages.ndjson");
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let end = file.seek(SeekFrom::End(0))?;
    let (mut tail, mut begin) = (Vec::new(), end);
    let (cut, n_lines) = loop {
        let from = begin.saturating_sub(TAIL_BYTES);
        let mut more = vec![0; usize::try_from(begin - from)?];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut more)?;
        more.append(&mut tail);
        (tail, begin) = (more, from);
        if let Some(found) = first_of_last(&tail, from_ms) {
            break found;
        }
        if begin == 0 {
            bail!("all messages are of the last day");
        }
    };
    let mut next = io::BufWriter::new(File::create(folder.join("next-day.ndjson"))?);
    next.write_all(&tail[cut..])?;
    next.flush()?;
    file.set_len(begin + cut as u64)?;
    Ok(n_lines)
}

/// Where, in the end of a file of lines, the last run of lines sent at `from_ms` or later begins,
/// and how many they are; none where that run may begin before.
fn first_of_last(tail: &[u8], from_ms: i64) -> Option<(usize, u64)> {
    let (mut cut, mut n_lines) = (tail.len(), 0);
    while cut > 0 {
        // The line that ends before `cut`, without its newline.
        let line_end = cut - 1;
        let line_start = tail[..line_end].iter().rposition(|b| *b == b'\n')? + 1;
        if sent_ms(&tail[line_start..line_end]).is_none_or(|ms| ms < from_ms) {
            return Some((cut, n_lines));
        }
        (cut, n_lines) = (line_start, n_lines + 1);
    }
    None
}

/// The time that a message says it was sent; none where it says none.
fn sent_ms(line: &[u8]) -> Option<i64> {
    let line = std::str::from_utf8(line).ok()?;
    // A `switch` says `time`; the message stands in a text, with or without its quotes escaped.
    let (_, rest) = line
        .split_once("msgtime")
        .or_else(|| line.split_once("\"time"))?;
    let digits = rest.trim_start_matches(['"', '\\', ':', ' ']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_split_off_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let line = |ms: i64| format!("{{\"msgid\":\"m{ms}\",\"msgtime\":{ms}}}\n");
        let (before, after) = (line(5) + &line(20) + &line(9), line(10) + &line(11));
        let messages = folder.path().join("messages.ndjson");
        std::fs::write(&messages, before.clone() + &after).unwrap();
        assert_eq!(split_off(folder.path(), 10).unwrap(), 2);
        assert_eq!(std::fs::read_to_string(messages).unwrap(), before);
        let next = std::fs::read_to_string(folder.path().join("next-day.ndjson")).unwrap();
        assert_eq!(next, after);
    }
}
