//! A believable demo company: 禾悦家, a chain of home-appliance and mother-and-baby stores.
//!
//! `write_company` writes `messages.ndjson` (envelopes in seq order) and `directory/*.ndjson`
//! (the tables of the contract) into a folder. Same options, same bytes. Messages are made
//! day by day and written as they come: memory holds the directory and one day.
//!
//! What it is not: statistics of a real company. Names, firms, brands, numbers and texts are
//! invented; phone numbers begin with 1990000, certificate numbers with 000000. The shapes
//! of the messages follow wecom-sdk 5.3.

// What there is.
mod acquaintances;
mod company;
mod found;
mod rooms;
mod words;

// What is said.
mod actors;
mod casting;
mod ledger;
mod scenes;
mod script;
mod slots;
mod stage;

// How it is written.
mod activity;
mod directory;
mod json;
mod media;
mod notices;
mod payload;
mod records;

// Chance and time.
mod dice;
mod rhythm;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::NaiveDate;
use serde::Serialize;

use company::Company;
use ledger::Written;
use script::{Script, Setting};

/// What company to make.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Envelopes, exactly.
    pub n_messages: u64,
    /// Employees, 2 at least.
    pub n_employees: u32,
    /// First day of the messages, in the company's zone (Asia/Shanghai).
    pub first_day: NaiveDate,
    /// Days, 1 at least.
    pub days: u32,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            seed: 20_240_916,
            n_messages: 200_000,
            n_employees: 320,
            first_day: NaiveDate::from_ymd_opt(2024, 8, 5).unwrap_or_default(),
            days: 60,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DemoSummary {
    /// Envelopes written.
    pub messages: u64,
    /// Envelopes by `msgtype`; `switch` events under that name.
    pub messages_by_type: BTreeMap<String, u64>,
    /// Envelopes by `publickey_ver`.
    pub messages_by_key: BTreeMap<u32, u64>,
    /// The smallest seq.
    pub first_seq: u64,
    /// The largest seq.
    pub last_seq: u64,
    /// Scripts that can be played (inserts left out).
    pub scripts: u64,
    /// Scenes played: a script with its people, once.
    pub scenes: u64,
    /// Rows of every directory table, by its name.
    pub directory: BTreeMap<String, u64>,
    /// Employees, those who left included.
    pub employees: u64,
    /// Customers, strangers in rooms included.
    pub customers: u64,
    /// Rooms with customers.
    pub groups_external: u64,
    /// Rooms of the staff.
    pub groups_internal: u64,
    /// Robots' ids.
    pub robots: Vec<String>,
    /// Findings planted for a demo: what it is, and the message.
    pub planted: Vec<(String, String)>,
}

/// Writes the company of these options into `dir` (created if missing, files overwritten).
///
/// # Errors
/// When a file cannot be written, and `InvalidInput` for fewer than 2 employees or no day.
pub fn write_company(options: &DemoOptions, dir: &Path) -> Result<DemoSummary, io::Error> {
    fs::create_dir_all(dir)?;
    let mut messages =
        BufWriter::with_capacity(1 << 20, File::create(dir.join("messages.ndjson"))?);
    let (mut company, scripts, written) = make(options, &mut messages)?;
    messages.flush()?;
    for (customer, agreed) in &written.consents {
        company.customers[*customer as usize].consent = Some(*agreed);
    }
    let tables =
        directory::write_directory(&company, &scripts, options.seed, &dir.join("directory"))?;
    Ok(summary(&company, &scripts, written, tables))
}

/// Writes only the messages of these options, to any writer.
///
/// # Errors
/// As [`write_company`].
pub fn write_messages<W: Write>(
    options: &DemoOptions,
    out: &mut W,
) -> Result<DemoSummary, io::Error> {
    let (company, scripts, written) = make(options, out)?;
    Ok(summary(&company, &scripts, written, BTreeMap::new()))
}

fn make<W: Write>(
    options: &DemoOptions,
    out: &mut W,
) -> Result<(Company, Vec<Script>, Written), io::Error> {
    if options.n_employees < 2 || options.days == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a demo company needs at least 2 employees and 1 day",
        ));
    }
    let malformed = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let words = words::Words::load().map_err(malformed)?;
    let scripts = script::load(&words).map_err(malformed)?;
    let company = found::found_company(options, words);
    let written = scenes::write_messages(&company, &scripts, options, out)?;
    Ok((company, scripts, written))
}

fn summary(
    company: &Company,
    scripts: &[Script],
    written: Written,
    directory: BTreeMap<String, u64>,
) -> DemoSummary {
    let by_type = payload::TYPES
        .iter()
        .zip(written.by_type)
        .filter(|(_, count)| *count > 0);
    DemoSummary {
        messages: written.n_messages,
        messages_by_type: by_type
            .map(|((name, _), count)| ((*name).to_owned(), count))
            .collect(),
        messages_by_key: [1, 2]
            .into_iter()
            .map(|key| (key, written.by_key[key as usize]))
            .collect(),
        first_seq: written.first_seq,
        last_seq: written.last_seq,
        scripts: scripts
            .iter()
            .filter(|script| script.setting != Setting::Insert)
            .count() as u64,
        scenes: written.n_scenes,
        directory,
        employees: company.employees.len() as u64,
        customers: company.customers.len() as u64,
        groups_external: company.n_external_rooms as u64,
        groups_internal: (company.rooms.len() - company.n_external_rooms) as u64,
        robots: company.robots.clone(),
        planted: written.planted,
    }
}
