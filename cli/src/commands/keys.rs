//! `huicun keys`: the private keys of each company, and those that records wait for.

use std::collections::BTreeMap;
use std::path::Path;

use huicun_engine::archive::parked::{self, Kind};
use huicun_engine::archive::{Home, HomeError, messages};
use huicun_indexer::ingest::config::Corp;
use huicun_indexer::ingest::keys::{KeyRing, folder};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::{Value, json};

use super::ask::{about, target};
use super::read_config;
use crate::arguments::{KeysCommand, Out};
use crate::failure::Failure;
use crate::output;

pub async fn keys(data: &Path, config: &Path, what: KeysCommand) -> Result<(), Failure> {
    match what {
        KeysCommand::List { corp, out } => list(data, config, corp, &out).await,
        KeysCommand::Add {
            corp,
            version,
            file,
        } => {
            let corp = one_company(config, corp)?;
            let home = Home::open_or_create(data)?;
            let key = folder::add(&corp, home.root(), version, &file)?;
            eprintln!(
                "key version {version} of `{}` is `{}`, SHA-256 of its public key {}",
                corp.corpid,
                key.file.display(),
                key.fingerprint
            );
            tell_what_waits(&home, &corp.corpid, version).await
        }
        KeysCommand::New { corp, version } => new(data, config, corp, version).await,
    }
}

/// The named company, or the only one.
fn one_company(config: &Path, named: Option<String>) -> Result<Corp, Failure> {
    let named: Vec<String> = named.into_iter().collect();
    let (_, corps) = read_config(config, &named)?;
    match corps.as_slice() {
        [one] => Ok(one.clone()),
        several => {
            let ids: Vec<&str> = several.iter().map(|c| c.corpid.as_str()).collect();
            Err(Failure::usage(format!(
                "there are several companies ({}); name one with --corp",
                ids.join(", ")
            )))
        }
    }
}

async fn new(
    data: &Path,
    config: &Path,
    corp: Option<String>,
    version: Option<u32>,
) -> Result<(), Failure> {
    let corp = one_company(config, corp)?;
    let home = Home::open_or_create(data)?;
    let waiting = waiting(&home).await?;
    let seen = waiting.keys().filter(|(source, _)| *source == corp.corpid);
    let highest = seen.map(|(_, version)| *version).max().unwrap_or(0);
    let made = folder::make(&corp, home.root(), version, highest)?;
    eprintln!(
        "private key version {} of `{}` is `{}`, SHA-256 of its public key {}",
        made.version,
        corp.corpid,
        made.key.file.display(),
        made.key.fingerprint
    );
    eprintln!(
        "upload this public key (管理后台 > 会话内容存档 > 消息加密公钥) and check that WeCom gives it \
         version {}; if it gives another, add the file under that one: huicun keys add --version N FILE",
        made.version
    );
    print!("{}", made.public_pem);
    Ok(())
}

async fn tell_what_waits(home: &Home, corpid: &str, version: u32) -> Result<(), Failure> {
    let waits = waiting(home).await?;
    if let Some(n) = waits.get(&(corpid.to_string(), version)) {
        eprintln!(
            "{n} quarantined records wait for it: a pull that runs brings them in within seconds, \
             else `huicun quarantine retry`"
        );
    }
    Ok(())
}

/// Parked records by source and the key version that they miss.
async fn waiting(home: &Home) -> Result<BTreeMap<(String, u32), u64>, Failure> {
    let Some(table) = messages::open(home).await? else {
        return Ok(BTreeMap::new());
    };
    let mut waiting = BTreeMap::new();
    for (kind, count) in parked::count(&table).await? {
        let Kind {
            source,
            reason,
            publickey_ver,
        } = kind;
        let version = publickey_ver.and_then(|v| u32::try_from(v).ok());
        if let Some(version) = version.filter(|_| reason == "missing_key") {
            *waiting.entry((source, version)).or_insert(0) += count.n_records;
        }
    }
    Ok(waiting)
}

async fn list(data: &Path, config: &Path, corp: Option<String>, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let named: Vec<String> = corp.into_iter().collect();
    let (_, corps) = read_config(config, &named)?;
    let mut waiting = match Home::open(data) {
        Ok(home) => waiting(&home).await?,
        Err(HomeError::Empty(_)) => BTreeMap::new(),
        Err(other) => return Err(other.into()),
    };
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for corp in &corps {
        let ring = KeyRing::read(corp, data)?;
        for (version, key) in ring.keys() {
            let waits = waiting.remove(&(corp.corpid.clone(), version)).unwrap_or(0);
            rows.push(vec![
                json!(corp.corpid),
                json!(version),
                json!("present"),
                json!(key.file.display().to_string()),
                json!(key.form.name()),
                json!(key.fingerprint),
                json!(waits),
            ]);
        }
    }
    for ((source, version), n) in waiting {
        if named.is_empty() || named.contains(&source) {
            let missing = json!("missing");
            rows.push(vec![
                json!(source),
                json!(version),
                missing,
                Value::Null,
                Value::Null,
                Value::Null,
                json!(n),
            ]);
        }
    }
    rows.sort_by_key(|row| (row[0].to_string(), row[1].as_u64()));
    let columns = vec![
        Column::new("corp", "企业 ID", "Corp", ColumnKind::Text),
        Column::new("version", "公钥版本", "Version", ColumnKind::Integer),
        Column::new("state", "状态", "State", ColumnKind::Text),
        Column::new("file", "文件", "File", ColumnKind::Text),
        Column::new("form", "格式", "Form", ColumnKind::Text),
        Column::new("sha256", "公钥指纹 SHA-256", "SHA-256", ColumnKind::Text),
        Column::new("parked", "等待的记录", "Parked", ColumnKind::Integer),
    ];
    output::write(
        &Table { columns, rows },
        &about("私钥", "Private keys"),
        &target,
    )?;
    Ok(())
}
