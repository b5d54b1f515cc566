//! The company of a golden folder as it is written for readers, turned into what the binary imports
//! (the form: `testdata/cases/README.md`).

use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value, json};

/// The columns that hold lists, joined with `|`.
const LISTS: [&str; 5] = ["departments", "leaders", "members", "groups", "tags"];

/// One folder under `testdata/cases`, and the day on which it is read.
pub struct Folder {
    path: PathBuf,
    today: NaiveDate,
}

impl Folder {
    pub fn open(name: &str) -> Self {
        Self {
            path: cases().join(name),
            today: chrono::Utc::now().with_timezone(&shanghai()).date_naive(),
        }
    }

    /// Whether the day is still the one on which the folder was opened.
    pub fn is_of_today(&self) -> bool {
        self.today == chrono::Utc::now().with_timezone(&shanghai()).date_naive()
    }

    pub fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    /// A file's text, `{today}` and `{yesterday}` filled in.
    pub fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        let text = std::fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.replace("{today}", &self.today.to_string())
            .replace("{yesterday}", &(self.today - Days::new(1)).to_string())
    }

    /// The steps: what is done and asked, in order.
    pub fn steps(&self) -> Vec<Value> {
        let text = self.read("expected.json");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{:?}: {error}", self.path))
    }

    /// The directory's tables: (file, text).
    pub fn tables(&self) -> Vec<(String, String)> {
        let folder = self.path.join("directory");
        let mut tables: Vec<String> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        tables.sort();
        let read = |file: String| {
            let text = self.read(&format!("directory/{file}"));
            (file, text)
        };
        tables.into_iter().map(read).collect()
    }

    /// The same tables as rows of JSON, for the naive model.
    pub fn directory_rows(&self) -> Vec<(String, Value)> {
        let mut rows = Vec::new();
        for (file, text) in self.tables() {
            let table = file.trim_end_matches(".csv");
            let mut lines = text.lines();
            let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
            rows.extend(lines.map(|line| (table.to_string(), row(&columns, line))));
        }
        rows
    }

    /// The lines of `messages.txt` (or another file of its form) as the SDK gives messages.
    pub fn messages(&self, file: &str) -> Vec<String> {
        let text = self.read(file);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(message).collect()
    }
}

/// The folder of all cases.
pub fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cases")
}

fn shanghai() -> FixedOffset {
    FixedOffset::east_opt(8 * 3600).unwrap()
}

/// A line of CSV without quotes; an empty field is left out.
fn row(columns: &[&str], line: &str) -> Value {
    let fields: Vec<&str> = line.split(',').collect();
    assert_eq!(fields.len(), columns.len(), "`{line}`: fields and columns");
    let mut row = Map::new();
    for (column, field) in columns.iter().zip(fields) {
        let value = match field {
            _ if LISTS.contains(column) => {
                let items = field.split('|').filter(|item| !item.is_empty());
                Value::from_iter(items)
            }
            "" => continue,
            field => json!(field),
        };
        row.insert((*column).to_string(), value);
    }
    Value::Object(row)
}

/// `ID DAY TIME FROM > TO[,TO] TEXT`. `#room` is a room; a TEXT in braces is JSON that the message
/// has instead of a text.
fn message(line: &str) -> String {
    let mut words = line.splitn(7, ' ').map(str::trim);
    let mut next = || {
        words
            .next()
            .unwrap_or_else(|| panic!("`{line}` is too short"))
    };
    let (id, day, time, from, arrow, to) = (next(), next(), next(), next(), next(), next());
    assert_eq!(arrow, ">", "`{line}`");
    let body = words.next().unwrap_or_default();
    let at = NaiveDateTime::parse_from_str(&format!("{day} {time}"), "%Y-%m-%d %H:%M:%S%.f");
    let at = at.unwrap_or_else(|error| panic!("`{line}`: {error}"));
    let at: DateTime<FixedOffset> = at.and_local_timezone(shanghai()).unwrap();
    let (room, to) = match to.strip_prefix('#') {
        Some(room) => (room, Vec::new()),
        None => ("", to.split(',').collect()),
    };
    let mut message = json!({"msgid": id, "action": "send", "from": from, "tolist": to,
        "roomid": room, "msgtime": at.timestamp_millis(), "msgtype": "text"});
    if body.starts_with('{') {
        let own: Map<String, Value> = serde_json::from_str(body).unwrap();
        message.as_object_mut().unwrap().extend(own);
    } else {
        message["text"] = json!({"content": body});
    }
    message.to_string()
}
