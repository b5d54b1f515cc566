//! What a scrubber looks at, piece by piece: one data file, or one table's log.

use super::rows::Rows;
use super::{Report, account::Intervals, files, log, media};
use crate::archive::delta::{LiveFile, Table};
use crate::archive::home::Home;
use crate::archive::messages;

/// A piece of an archive.
#[derive(Debug, Clone)]
pub struct Unit {
    name: String,
    table: String,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    File(LiveFile),
    Log { newest: u64 },
    Media,
}

impl Unit {
    /// A name that orders it among the others, over restarts too.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// All pieces of an archive as it is now, in the order of their names. A table that cannot be
/// opened has its log only.
pub async fn units(home: &Home) -> Vec<Unit> {
    let mut found = Vec::new();
    for table in home.tables().unwrap_or_default() {
        let mut newest = u64::MAX;
        if let Ok(Some(open)) = Table::open_any(&home.table(&table)).await {
            newest = open.version();
            found.extend(open.live_files().into_iter().map(|file| Unit {
                name: format!("{table}/{}", file.path),
                table: table.clone(),
                what: What::File(file),
            }));
        }
        found.push(Unit {
            name: format!("{table}/_delta_log"),
            table,
            what: What::Log { newest },
        });
    }
    found.push(Unit {
        name: "~media".into(),
        table: String::new(),
        what: What::Media,
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Verifies one piece.
pub fn check_unit(home: &Home, unit: &Unit) -> Report {
    let mut report = Report::default();
    let sealed = home.check_marker(&mut report);
    let folder = home.table(&unit.table);
    match &unit.what {
        What::File(file) => {
            let place = files::Place {
                home: home.root(),
                folder: &folder,
                sealed,
            };
            let at = folder.join(&file.path);
            let intervals = Intervals::of(&[]);
            let mut rows = Rows::new(&intervals);
            let is_messages = unit.table == messages::TABLE;
            place.check(file, &mut report, &mut |batch| {
                if is_messages {
                    rows.add(batch, file.day(), &intervals);
                }
            });
            rows.report(home.root(), &at, &mut report);
            // A compaction and a vacuum may have come between the list and the look.
            if report
                .findings
                .iter()
                .any(|f| f.kind == super::Kind::FileMissing)
            {
                report
                    .findings
                    .retain(|f| f.kind != super::Kind::FileMissing || is_live(home, unit));
            }
        }
        What::Log { newest } => {
            log::check(home.root(), &folder, *newest, sealed, &mut report);
        }
        What::Media => report.merge(media::verify(home)),
    }
    report
}

/// Whether the file of a unit is still in its table.
fn is_live(home: &Home, unit: &Unit) -> bool {
    let What::File(file) = &unit.what else {
        return false;
    };
    let folder = home.table(&unit.table);
    let open = || async { Table::open_any(&folder).await };
    let table = tokio::runtime::Handle::current().block_on(open());
    matches!(table, Ok(Some(table)) if table.files().contains(&file.path))
}
