//! What is asked for: read strictly, and turned into a plan before anything is made, so that a
//! mistake is told to who made it and not to a job.

use huicun_engine::access::Function;
use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::catalogue;
use huicun_engine::metrics::settings::Settings;
use huicun_indexer::index::{Order, Question};
use serde::{Deserialize, Serialize};

use crate::queries::media_found::MEDIA_TYPES;
use crate::queries::reports::ReportParams;
use crate::queries::search::{SearchParams, question};
use crate::queries::{Archive, QuestionError};

/// What is to be exported. The other fields are named as the flags and parameters of the question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportRequest {
    /// `search`, `conversation`, `media` or `report`.
    pub what: String,
    /// search: ndjson, csv, xlsx. conversation: html as well. media: zip (all files), csv, xlsx,
    /// ndjson. report: csv, xlsx, parquet.
    pub format: String,
    /// Messages that came into the archive after this version of `messages` are left out; the
    /// newest if missing. Not for reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
    /// conversation: the room id, or the two ids joined with `|`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// search, media: the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// First day, YYYY-MM-DD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last day, YYYY-MM-DD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// One of these employees takes part; report: only these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub employee: Vec<String>,
    /// search, media: one of these customers takes part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub customer: Vec<String>,
    /// An employee of one of these departments or below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub department: Vec<String>,
    /// search, media: in one of these rooms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub room: Vec<String>,
    /// search, media: of one of these WeCom types.
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// search, media: in a conversation of one of these kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// report: `employees`, `departments`, `guides`, `stores`, `customers` or `groups`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// report: `day`, `week` or `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// report: what rows are about, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// report: keys of metrics; all if missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// report: only these stores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub store: Vec<String>,
    /// report: only these groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A zip with rows as NDJSON and a manifest.
    Ndjson,
    /// Comma-separated values.
    Csv,
    /// A workbook.
    Xlsx,
    /// A page.
    Html,
    /// A zip of files with their table.
    Zip,
    /// Parquet.
    Parquet,
}

impl Format {
    const ALL: [Self; 6] = [
        Self::Ndjson,
        Self::Csv,
        Self::Xlsx,
        Self::Html,
        Self::Zip,
        Self::Parquet,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
            Self::Zip => "zip",
            Self::Parquet => "parquet",
        }
    }

    /// The format of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// What its files end with: rows and their manifest come in one zip.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Ndjson => "zip",
            other => other.as_str(),
        }
    }

    /// `Content-Type`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Ndjson | Self::Zip => "application/zip",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Html => "text/html; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// What is to be made.
pub enum What {
    /// Messages that a search finds.
    Search(Question),
    /// Messages of a conversation.
    Conversation(Question),
    /// Files of messages that a search finds.
    Media(Question),
    /// Figures.
    Report(Kind, ReportParams),
}

/// A request that was understood.
pub struct Plan {
    /// The request.
    pub request: ExportRequest,
    /// What is to be made.
    pub what: What,
    /// In which format.
    pub format: Format,
}

fn wrong(told: impl Into<String>) -> QuestionError {
    QuestionError::Parameter(told.into())
}

impl ExportRequest {
    /// Understands a request.
    ///
    /// # Errors
    /// [`QuestionError::Parameter`] names what is wrong.
    pub fn plan(&self, archive: &Archive) -> Result<Plan, QuestionError> {
        let (fields, formats): (&[&str], &[Format]) = match self.what.as_str() {
            "search" => (
                &[
                    "q",
                    "employee",
                    "customer",
                    "department",
                    "room",
                    "type",
                    "kind",
                    "as_of",
                ],
                &[Format::Ndjson, Format::Csv, Format::Xlsx],
            ),
            "conversation" => (
                &["id", "as_of"],
                &[Format::Ndjson, Format::Csv, Format::Xlsx, Format::Html],
            ),
            "media" => (
                &[
                    "q",
                    "employee",
                    "customer",
                    "department",
                    "room",
                    "type",
                    "kind",
                    "as_of",
                ],
                &[Format::Zip, Format::Csv, Format::Xlsx, Format::Ndjson],
            ),
            "report" => (
                &[
                    "report",
                    "by",
                    "per",
                    "metrics",
                    "employee",
                    "department",
                    "store",
                    "group",
                ],
                &[Format::Csv, Format::Xlsx, Format::Parquet],
            ),
            other => {
                return Err(wrong(format!(
                    "`what` is `{other}`; expected search, conversation, media or report"
                )));
            }
        };
        let format = Format::named(&self.format).filter(|format| formats.contains(format));
        let format = format.ok_or_else(|| {
            let names: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
            wrong(format!(
                "`format` of an export of {} is `{}`; expected {}",
                self.what,
                self.format,
                names.join(", ")
            ))
        })?;
        self.has_only(fields)?;
        let what = match self.what.as_str() {
            "search" => What::Search(question(archive, &self.search())?),
            "media" => {
                let mut question = question(archive, &self.search())?;
                if question.types.is_empty() {
                    question.types = MEDIA_TYPES.map(String::from).to_vec();
                }
                What::Media(Question {
                    order: Order::OldestFirst,
                    ..question
                })
            }
            "conversation" => What::Conversation(self.conversation(archive)?),
            _ => self.report(archive)?,
        };
        Ok(Plan {
            request: self.clone(),
            what,
            format,
        })
    }

    /// The function that it needs beside [`Function::Exports`]; none where nobody knows what it is.
    pub fn function(&self) -> Option<Function> {
        Some(match self.what.as_str() {
            "search" => Function::MessagesSearch,
            "conversation" => Function::MessagesRead,
            "media" => Function::MediaRead,
            "report" => Function::FiguresRead,
            _ => return None,
        })
    }

    /// Refuses a field that this export would pass over: that would widen it.
    fn has_only(&self, fields: &[&str]) -> Result<(), QuestionError> {
        let given = serde_json::to_value(self).unwrap_or_default();
        let names = given.as_object().into_iter().flat_map(|map| map.keys());
        let odd = names.filter(|name| !["what", "format", "from", "to"].contains(&name.as_str()));
        match odd
            .into_iter()
            .find(|name| !fields.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(wrong(format!(
                "an export of {} has no `{name}`; it has {}",
                self.what,
                fields.join(", ")
            ))),
        }
    }

    fn search(&self) -> SearchParams {
        SearchParams {
            q: self.q.clone().unwrap_or_default(),
            from: self.from.clone(),
            to: self.to.clone(),
            employees: self.employee.clone(),
            customers: self.customer.clone(),
            departments: self.department.clone(),
            rooms: self.room.clone(),
            types: self.types.clone(),
            kinds: self.kind.clone(),
            ..SearchParams::default()
        }
    }

    fn conversation(&self, archive: &Archive) -> Result<Question, QuestionError> {
        let id = self.id.as_deref().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| wrong("an export of a conversation needs its `id`"))?;
        let id = match id.split_once('|') {
            Some((a, b)) => huicun_semantics::conversation::pair_id(a, b),
            None => id.to_string(),
        };
        let (from_ms, to_ms) = archive.instants(self.from.as_deref(), self.to.as_deref())?;
        Ok(Question {
            conversation: Some(id),
            from_ms,
            to_ms,
            order: Order::OldestFirst,
            ..Question::default()
        })
    }

    fn report(&self, archive: &Archive) -> Result<What, QuestionError> {
        let name = self.report.as_deref().unwrap_or_default();
        let kind: Kind = name
            .parse()
            .map_err(|e: huicun_engine::metrics::report::UnknownReport| wrong(e.to_string()))?;
        archive.instants(self.from.as_deref(), self.to.as_deref())?;
        let settings = Settings::of(&archive.rules()?);
        catalogue::pick(kind, &settings, &self.metrics)?;
        Ok(What::Report(
            kind,
            ReportParams {
                from: self.from.clone(),
                to: self.to.clone(),
                by: self.by.clone(),
                metrics: self.metrics.clone(),
                employees: self.employee.clone(),
                departments: self.department.clone(),
                stores: self.store.clone(),
                groups: self.group.clone(),
                per: self.per.clone(),
                ..ReportParams::default()
            },
        ))
    }
}

impl Plan {
    /// What a caller must hold beside [`Function::Exports`]; he gets what all of them let him see.
    pub fn function(&self) -> Function {
        match self.what {
            What::Search(_) => Function::MessagesSearch,
            What::Conversation(_) => Function::MessagesRead,
            What::Media(_) => Function::MediaRead,
            What::Report(..) => Function::FiguresRead,
        }
    }

    /// The version of `messages` that is asked for, or the one that searches are answered from now.
    ///
    /// # Errors
    /// A version that is still to come.
    pub fn version(&self, archive: &Archive) -> Result<u64, QuestionError> {
        let newest = match archive.search()? {
            Some(index) => index.watermark()?.map_or(0, |mark| mark.version),
            None => 0,
        };
        match (&self.what, self.request.as_of) {
            (What::Report(..), _) | (_, None) => Ok(newest),
            (_, Some(asked)) if asked <= newest => Ok(asked),
            (_, Some(asked)) => Err(wrong(format!(
                "`as_of` is {asked}; the newest version is {newest}"
            ))),
        }
    }

    /// A name for the file, without anything that a stranger has written.
    pub fn file_name(&self) -> String {
        let request = &self.request;
        let what = match (&self.what, &request.report) {
            (What::Report(..), Some(report)) => format!("report-{report}"),
            _ => request.what.clone(),
        };
        let days = [&request.from, &request.to];
        let days: Vec<&str> = days.into_iter().flatten().map(String::as_str).collect();
        let days = match days.as_slice() {
            [] => String::new(),
            days => format!("-{}", days.join("-")),
        };
        let rows = match self.format {
            Format::Ndjson => "-ndjson",
            _ => "",
        };
        format!("huicun-{what}{days}{rows}.{}", self.format.ending())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_an_export_would_pass_over_are_refused_by_name() {
        let request = ExportRequest {
            what: "conversation".into(),
            employee: vec!["li".into()],
            ..ExportRequest::default()
        };
        let told = request.has_only(&["id"]).unwrap_err().to_string();
        assert!(told.contains("`employee`"), "{told}");
        assert!(request.has_only(&["id", "employee"]).is_ok());
    }

    #[test]
    fn a_request_is_read_strictly_and_written_without_what_is_not_given() {
        let json = r#"{"what":"search","format":"csv","type":["text"]}"#;
        let request: ExportRequest = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), json);
        let typo = r#"{"what":"search","format":"csv","employees":["li"]}"#;
        assert!(serde_json::from_str::<ExportRequest>(typo).is_err());
    }
}
