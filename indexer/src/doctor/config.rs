//! The configuration file, the private keys, and who may read them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Patient;
use super::archive::Seen;
use super::finding::{Finding, say};
use crate::ingest::config::{Config, Corp};
use crate::ingest::keys::{KeyRing, folder};

/// Reads the configuration.
pub(super) fn read(patient: &Patient, found: &mut Vec<Finding>) -> Option<Config> {
    let path = &patient.config;
    let name = path.display();
    if !path.exists() {
        found.push(Finding::warn(
            "configuration",
            say(format!("没有配置文件 `{name}`"), format!("there is no configuration `{name}`")),
            say(
                "只导入和查询不需要它；要拉取消息请按 docs/guide/configuration.md 编写，或用 --config 指定",
                "importing and asking need none; to pull, write one as docs/guide/configuration.md says, or name it with --config",
            ),
        ));
        return None;
    }
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(error) => {
            found.push(Finding::fail(
                "configuration",
                say(error.to_string(), error.to_string()),
                say(
                    "按提示修改配置文件；各项说明见 docs/guide/configuration.md",
                    "mend the configuration as told; docs/guide/configuration.md describes every key",
                ),
            ));
            return None;
        }
    };
    let n = config.corp.len();
    if n == 0 {
        found.push(Finding::warn(
            "configuration",
            say("配置中没有 [[corp]]", "the configuration has no [[corp]]"),
            say("要拉取消息请加入企业", "add the company to pull for"),
        ));
    } else {
        found.push(Finding::ok(
            "configuration",
            say(
                format!("配置正确，{n} 个企业"),
                format!("it can be read; companies: {n}"),
            ),
        ));
    }
    if config.corp.iter().any(|corp| corp.secret_file.is_none()) {
        found.extend(open_to_others(
            "secret_permissions",
            path,
            "配置文件含有 secret",
            "the configuration holds the secret",
        ));
    }
    Some(config)
}

/// Where a company's private keys are: named in the configuration, or added by `huicun keys`.
fn key_files(corp: &Corp, data: &Path) -> Vec<PathBuf> {
    let named = corp.keys.values().map(|key| key.file.clone());
    let added = folder::files(data, &corp.corpid).unwrap_or_default();
    named.chain(added.into_values()).collect()
}

/// The company's keys and secret.
pub(super) fn look(patient: &Patient, corp: &Corp, seen: &Seen, found: &mut Vec<Finding>) {
    let about = corp.corpid.as_str();
    match KeyRing::read(corp, &patient.data) {
        Err(error) => found.push(
            Finding::fail(
                "keys",
                say(error.to_string(), error.to_string()),
                say(
                    "检查该私钥文件；每个 publickey_ver 需要当时上传公钥所对应的私钥",
                    "check this key file; each publickey_ver needs the private key whose public half was uploaded",
                ),
            )
            .about(about),
        ),
        Ok(ring) => {
            let versions = ring.versions();
            let listed: Vec<String> = versions.iter().map(u32::to_string).collect();
            let listed = listed.join(", ");
            if versions.is_empty() {
                found.push(
                    Finding::fail(
                        "keys",
                        say("没有任何私钥：所有消息都会被隔离", "there is no private key: every message is quarantined"),
                        say("运行 huicun keys new 或 huicun keys add", "run `huicun keys new` or `huicun keys add`"),
                    )
                    .about(about),
                );
            } else {
                found.push(
                    Finding::ok(
                        "keys",
                        say(format!("可读的私钥版本：{listed}"), format!("key versions that can be read: {listed}")),
                    )
                    .about(about),
                );
            }
            let missing = seen.versions_without_key(about, &versions);
            if !missing.is_empty() {
                let listed: Vec<String> = missing.iter().map(|(v, n)| format!("{v} ({n})")).collect();
                let listed = listed.join(", ");
                found.push(
                    Finding::warn(
                        "keys_missing",
                        say(
                            format!("隔离区中有缺少私钥的版本（记录数）：{listed}"),
                            format!("parked records of versions without a key (records): {listed}"),
                        ),
                        say(
                            "加入该版本的私钥，然后运行 huicun quarantine retry",
                            "add the key of that version, then run `huicun quarantine retry`",
                        ),
                    )
                    .about(about),
                );
            }
        }
    }
    for file in key_files(corp, &patient.data) {
        found.extend(open_to_others(
            "key_permissions",
            &file,
            "私钥文件",
            "the private key",
        ));
    }
    if let Some(file) = &corp.secret_file {
        let file = patient.config.parent().unwrap_or(Path::new("")).join(file);
        found.extend(open_to_others(
            "secret_permissions",
            &file,
            "secret 文件",
            "the secret's file",
        ));
    }
}

/// A finding where others than the owner may read a file.
pub(super) fn open_to_others(
    check: &'static str,
    path: &Path,
    zh: &str,
    en: &str,
) -> Option<Finding> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return None;
    }
    let name = path.display();
    let right = if path.is_dir() { "700" } else { "600" };
    Some(Finding::warn(
        check,
        say(
            format!("{zh} `{name}` 的权限是 {mode:o}，其他账号可以访问"),
            format!("{en}, `{name}`, has mode {mode:o}: other accounts can reach it"),
        ),
        say(
            format!("chmod {right} '{name}'"),
            format!("chmod {right} '{name}'"),
        ),
    ))
}
