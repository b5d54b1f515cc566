//! Answers of several tables, for formats that have room for them: one under the other on paper and
//! screen, a sheet each in a workbook.

use std::io::{self, BufWriter, IsTerminal, Write};

use huicun_query_api::answer::Table;

use super::{About, Format, Language, OutputError, Target, format_of, placed, table, xlsx};

/// One table of an answer.
pub struct Part {
    /// Its Chinese title.
    pub zh: &'static str,
    /// Its English title.
    pub en: &'static str,
    /// Columns and rows.
    pub table: Table,
}

impl Part {
    fn title(&self, language: Language) -> &'static str {
        language.pick(self.zh, self.en)
    }
}

/// Writes several tables as `table` or `xlsx`; other formats hold one table only.
///
/// # Errors
/// As [`super::write`].
pub fn write_parts(parts: &[Part], about: &About, target: &Target) -> Result<(), OutputError> {
    let language = target.language;
    let is_terminal = io::stdout().is_terminal();
    let width = is_terminal.then(table::terminal_width).flatten();
    let is_workbook = format_of(target, is_terminal)? == Format::Xlsx;
    placed(
        target,
        |file| {
            let mut out = BufWriter::new(file);
            match is_workbook {
                true => {
                    let sheets = parts.iter().map(|part| (part.title(language), &part.table));
                    let sheets: Vec<(&str, &Table)> = sheets.collect();
                    xlsx::write_sheets(&sheets, about, language, &mut out)?;
                }
                false => one_by_one(parts, language, None, &mut out)?,
            }
            Ok(out.flush()?)
        },
        || {
            let mut out = io::stdout().lock();
            Ok(one_by_one(parts, language, width, &mut out).and_then(|()| out.flush())?)
        },
    )
}

fn one_by_one(
    parts: &[Part],
    language: Language,
    width: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", part.title(language))?;
        table::write(&part.table, language, width, out)?;
    }
    Ok(())
}
