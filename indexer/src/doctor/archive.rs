//! The data directory: its format, locks, table, index, ledger, and the record of pulls.

use std::collections::{BTreeMap, BTreeSet};

use huicun_engine::archive::ledger::{Ledger, Why};
use huicun_engine::archive::{Home, Table, machine, messages};
use huicun_engine::state::State;
use huicun_engine::state::lost_media::lost_media;
use huicun_engine::state::pulls::{PullRecord, Silence, WINDOW_MS};
use huicun_semantics::time::Zone;

use super::Patient;
use super::finding::{Finding, Verdict, say};
use super::host::CLOCK_MS;
use crate::index::{SearchIndex, Watermark};
use crate::ingest::config::Corp;

/// More files than this slow every question down.
const FILES_WANTED_MAX: usize = 20_000;

/// What later checks need of the archive.
#[derive(Default)]
pub(super) struct Seen {
    cursors: BTreeMap<String, i64>,
    ledger: Option<Ledger>,
}

impl Seen {
    pub(super) fn cursor(&self, corp: &str) -> u64 {
        let cursor = self.cursors.get(corp).copied().unwrap_or(0);
        u64::try_from(cursor).unwrap_or(0)
    }

    /// Key versions of parked records for which there is no key, and how many records.
    pub(super) fn versions_without_key(&self, corp: &str, known: &[u32]) -> Vec<(i32, u64)> {
        let page = self.ledger.as_ref().and_then(|l| l.sources.get(corp));
        page.into_iter()
            .flat_map(|page| page.rows.parked())
            .filter(|(parking, _, _)| parking.reason == "missing_key")
            .filter_map(|(parking, n, _)| Some((parking.publickey_ver?, n)))
            .filter(|(version, _)| !known.iter().any(|k| i64::from(*k) == i64::from(*version)))
            .collect()
    }
}

pub(super) async fn look(patient: &Patient, corps: &[Corp], found: &mut Vec<Finding>) -> Seen {
    let mut seen = Seen::default();
    let home = match Home::open(&patient.data) {
        Ok(home) => home,
        Err(error) => {
            let is_empty = matches!(error, huicun_engine::archive::HomeError::Empty(_));
            let verdict = if is_empty {
                Verdict::Warn
            } else {
                Verdict::Fail
            };
            let words = say(error.to_string(), error.to_string());
            let hint = error.hint().unwrap_or("check the path and its permissions");
            let zh = if is_empty {
                "先运行 huicun pull 或 huicun import messages；或用 --data 指定数据目录"
            } else {
                "检查 --data 指定的目录：它必须是 huicun 的数据目录，且不是更新版本写入的；损坏的标记文件请从备份恢复"
            };
            found.push(Finding::new("data_directory", verdict, words).next(say(zh, hint)));
            return seen;
        }
    };
    found.push(Finding::ok(
        "data_directory",
        say(
            format!(
                "`{}`，格式 {}",
                home.root().display(),
                huicun_engine::archive::home::FORMAT
            ),
            format!(
                "`{}`, format {}",
                home.root().display(),
                huicun_engine::archive::home::FORMAT
            ),
        ),
    ));
    let is_held = lock(&home, found);
    media(&home, found);
    let (zone, answered) = pulls(patient, &home, corps, found);
    let table = match messages::open(&home).await {
        Ok(Some(table)) => table,
        Ok(None) => {
            found.push(Finding::warn(
                "table",
                say("还没有任何消息", "there are no messages yet"),
                say(
                    "先运行 huicun pull 或 huicun import messages",
                    "run `huicun pull` or `huicun import messages`",
                ),
            ));
            scope(corps, &answered, &seen, found);
            return seen;
        }
        Err(error) => {
            found.push(Finding::fail(
                "table",
                say(
                    format!("消息表无法打开：{error}"),
                    format!("the table cannot be opened: {error}"),
                ),
                say(
                    "运行 huicun verify 查明损坏之处，并从备份恢复",
                    "run `huicun verify` to find the damage, and restore from a backup",
                ),
            ));
            return seen;
        }
    };
    table_files(&table, found);
    search_index(&home, &table, is_held, found);
    match Ledger::open(&home, &table).await {
        Ok(ledger) => {
            account(&ledger, found);
            newest(patient, &ledger, zone, found);
            seen.ledger = Some(ledger);
        }
        Err(error) => found.push(Finding::fail(
            "account",
            say(
                format!("账本无法生成：{error}"),
                format!("the ledger cannot be drawn up: {error}"),
            ),
            say(
                "运行 huicun verify 查明损坏之处",
                "run `huicun verify` to find the damage",
            ),
        )),
    }
    cursors(&table, corps, &mut seen, found).await;
    scope(corps, &answered, &seen, found);
    seen
}

fn lock(home: &Home, found: &mut Vec<Finding>) -> bool {
    let path = home.root().join("writer.lock");
    let is_held = machine::is_locked(&path);
    let words = if is_held {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        let holder = holder.trim();
        say(
            format!("正在写入：{holder}"),
            format!("messages are being brought in by {holder}"),
        )
    } else {
        say("没有进程在写入", "no process is bringing messages in")
    };
    found.push(Finding::ok("lock", words));
    is_held
}

/// What is written down about pulls. Gives the zone of the rules, and who was answered.
fn pulls(
    patient: &Patient,
    home: &Home,
    corps: &[Corp],
    found: &mut Vec<Finding>,
) -> (Zone, BTreeSet<String>) {
    let path = home.state();
    // Opening would make it.
    let opened = path.is_file().then(|| State::open(&path)).transpose();
    let state = match opened {
        Ok(state) => state,
        Err(error) => {
            found.push(Finding::fail(
                "state",
                say(error.to_string(), error.to_string()),
                say(
                    "从备份恢复 state.db；旧版本不能读取新版本的文件",
                    "restore state.db from a backup; an older version cannot read a newer one's",
                ),
            ));
            None
        }
    };
    let zone = state
        .as_ref()
        .and_then(|state| state.rules().ok()?.1.zone().ok())
        .unwrap_or_default();
    let pulls = match state.as_ref().map(State::pulls).transpose() {
        Ok(pulls) => pulls.unwrap_or_default(),
        Err(error) => {
            found.push(Finding::fail(
                "state",
                say(error.to_string(), error.to_string()),
                say("从备份恢复 state.db", "restore state.db from a backup"),
            ));
            Vec::new()
        }
    };
    for corp in corps {
        let known = pulls.iter().find(|pull| pull.source == corp.corpid);
        found.extend(wecom(patient, &corp.corpid, known, zone));
    }
    for pull in &pulls {
        if !corps.is_empty() && !corps.iter().any(|corp| corp.corpid == pull.source) {
            let words = say(
                "曾经拉取，但配置中已没有该企业",
                "it was pulled once, and is no longer in the configuration",
            );
            let next = say(
                "如果仍需存档，请恢复它的 [[corp]]",
                "if it is still to be archived, put its [[corp]] back",
            );
            found.push(Finding::warn("wecom", words, next).about(&pull.source));
        }
    }
    let answered = pulls.into_iter().filter(|p| p.answered_at_ms.is_some());
    (zone, answered.map(|pull| pull.source).collect())
}

fn wecom(patient: &Patient, corp: &str, known: Option<&PullRecord>, zone: Zone) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(failure) = known.and_then(PullRecord::standing_failure) {
        let at = zone.rfc3339_ms(failure.at_ms);
        let words = say(
            format!("最近一次调用失败（{at}）：{}", failure.text),
            format!("the last call failed ({at}): {}", failure.text),
        );
        let next = say(failure.advice_zh.as_str(), failure.advice_en.as_str());
        found.push(Finding::fail("wecom", words, next).about(corp));
    }
    let Some(answered) = known.and_then(|pull| pull.answered_at_ms) else {
        if found.is_empty() {
            found.push(
                Finding::warn(
                    "wecom",
                    say("还没有成功拉取过", "it was never pulled with success"),
                    say(
                        "运行 huicun pull，或用 huicun doctor --call 试一次",
                        "run `huicun pull`, or try once with `huicun doctor --call`",
                    ),
                )
                .about(corp),
            );
        }
        return found;
    };
    let at = zone.rfc3339_ms(answered);
    if found.is_empty() {
        let words = say(
            format!("最近一次成功应答：{at}"),
            format!("the last answer: {at}"),
        );
        found.push(Finding::ok("wecom", words).about(corp));
    }
    let silence = patient.now_ms - answered;
    let hours = |ms: i64| ms.max(0) as f64 / 3_600_000.0;
    let (since, left) = (hours(silence), hours(WINDOW_MS - silence));
    let verdict = match Silence::of_ms(silence) {
        Silence::Short => Verdict::Ok,
        Silence::Long | Silence::Grave => Verdict::Warn,
        Silence::Urgent | Silence::PastWindow => Verdict::Fail,
    };
    let words = if left > 0.0 {
        say(
            format!("已有 {since:.1} 小时没有成功拉取；再过 {left:.1} 小时企业微信开始丢弃消息"),
            format!("{since:.1} hours without an answer; WeCom drops messages in {left:.1} hours"),
        )
    } else {
        say(
            format!("已有 {since:.1} 小时没有成功拉取：5 天前的消息已不能再取回"),
            format!(
                "{since:.1} hours without an answer: what is older than 5 days cannot be had any more"
            ),
        )
    };
    let finding = Finding::new("window", verdict, words).about(corp);
    found.push(match verdict {
        Verdict::Ok => finding,
        _ => finding.next(say(
            "立即恢复拉取（huicun run 或 huicun pull）",
            "get the pull going again now (`huicun run` or `huicun pull`)",
        )),
    });
    found
}

fn table_files(table: &Table, found: &mut Vec<Finding>) {
    let (version, n) = (table.version(), table.n_files());
    let words = say(
        format!("消息表版本 {version}，{n} 个文件"),
        format!("version {version}, {n} files"),
    );
    found.push(if n > FILES_WANTED_MAX {
        let next = say(
            "运行 huicun compact 合并小文件",
            "run `huicun compact` to merge small files",
        );
        Finding::warn("table", words, next)
    } else {
        Finding::ok("table", words)
    });
}

fn search_index(home: &Home, table: &Table, is_held: bool, found: &mut Vec<Finding>) {
    let rebuild = || {
        say(
            "停止所有进程后运行 huicun reindex；消息本身不受影响",
            "stop everything and run `huicun reindex`; the messages themselves are not touched",
        )
    };
    let covered = SearchIndex::open(&home.index()).and_then(|index| match index {
        Some(index) => Ok(index.watermark()?.map(|mark: Watermark| mark.version)),
        None => Ok(None),
    });
    let version = table.version();
    found.push(match covered {
        Err(error) => Finding::fail("index", say(error.to_string(), error.to_string()), rebuild()),
        Ok(Some(covered)) if covered == version => Finding::ok(
            "index",
            say(format!("检索索引与消息表一致（版本 {version}）"), format!("it covers the table (version {version})")),
        ),
        Ok(Some(covered)) if covered < version => {
            let n = version - covered;
            let words = say(format!("检索索引落后消息表 {n} 个版本"), format!("it is {n} versions behind the table"));
            let next = say("正在写入时会自动追上；否则任何查询都会先追上", "it catches up by itself while messages come in; else any question brings it forward first");
            let verdict = if is_held { Verdict::Ok } else { Verdict::Warn };
            Finding::new("index", verdict, words).next(next)
        }
        Ok(Some(covered)) => Finding::warn(
            "index",
            say(
                format!("检索索引（版本 {covered}）比消息表（版本 {version}）新：消息表可能由备份恢复"),
                format!("it covers version {covered}, the table is at {version}: the table was restored from a backup"),
            ),
            rebuild(),
        ),
        Ok(None) => Finding::warn(
            "index",
            say("没有可用的检索索引", "there is no usable index"),
            say("任何查询都会先重建它", "any question builds it first"),
        ),
    });
}

fn account(ledger: &Ledger, found: &mut Vec<Finding>) {
    if ledger.n_unread > 0 {
        let n = ledger.n_unread;
        found.push(Finding::fail(
            "account",
            say(
                format!("有 {n} 次提交的账目已丢失"),
                format!("the account of {n} commits is lost"),
            ),
            say(
                "从备份恢复数据目录中的 ledger/account.json",
                "restore ledger/account.json of the data directory from a backup",
            ),
        ));
    }
    for (source, page) in &ledger.sources {
        let account = &page.account;
        let finding = match page.imbalance() {
            None => {
                let (delivered, archived) = (account.delivered, account.archived);
                let (quarantined, deduplicated) = (account.quarantined, account.deduplicated);
                Finding::ok(
                    "account",
                    say(
                        format!(
                            "账目相符：交付 {delivered} = 存档 {archived} + 隔离 {quarantined} + 去重 {deduplicated}"
                        ),
                        format!(
                            "delivered {delivered} = archived {archived} + quarantined {quarantined} + deduplicated {deduplicated}"
                        ),
                    ),
                )
            }
            Some(told) => Finding::fail(
                "account",
                say(format!("账目不符：{told}"), told),
                say(
                    "运行 huicun verify 查明缺失的行，并从备份恢复",
                    "run `huicun verify` to find the rows, and restore them from a backup",
                ),
            ),
        };
        found.push(finding.about(source));
        let gaps = page.missing.iter().filter(|m| m.why == Why::NotDelivered);
        let (n_gaps, n_seqs) = gaps.fold((0, 0), |(gaps, seqs), m| (gaps + 1, seqs + m.n));
        if n_gaps > 0 {
            let words = say(
                format!(
                    "序号有 {n_gaps} 处不连续，共 {n_seqs} 个；企业微信不保证序号连续，可能正常"
                ),
                format!(
                    "{n_gaps} gaps of {n_seqs} seqs; WeCom does not promise that they are dense, it may be normal"
                ),
            );
            let next = say(
                "huicun ledger --kind gap 列出各处及前后消息的时间",
                "`huicun ledger --kind gap` lists them with the times around them",
            );
            found.push(Finding::ok("gaps", words).next(next).about(source));
        }
        let parked: Vec<String> = page
            .rows
            .parked()
            .map(|(parking, n, _)| format!("{} {n}", parking.reason))
            .collect();
        if !parked.is_empty() {
            let parked = parked.join(", ");
            let words = say(
                format!("隔离区有记录：{parked}"),
                format!("records in the quarantine: {parked}"),
            );
            let next = say(
                "huicun quarantine list 查看原因；补齐私钥后运行 huicun quarantine retry",
                "`huicun quarantine list` tells why; with the missing key, run `huicun quarantine retry`",
            );
            found.push(Finding::warn("quarantine", words, next).about(source));
        }
    }
}

fn newest(patient: &Patient, ledger: &Ledger, zone: Zone, found: &mut Vec<Finding>) {
    for (source, page) in &ledger.sources {
        let Some((_, newest)) = page.rows.times_ms else {
            continue;
        };
        if newest > patient.now_ms + CLOCK_MS {
            let at = zone.rfc3339_ms(newest);
            let words = say(
                format!("最新的消息时间是 {at}，在系统时间之后"),
                format!(
                    "the newest message was sent at {at}, which is in the future of this clock"
                ),
            );
            let next = say(
                "检查系统时间；若时间正确，则是该消息自身的时间有误",
                "check the clock; if it is right, the message's own time is wrong",
            );
            found.push(Finding::warn("clock_messages", words, next).about(source));
        }
    }
}

fn media(home: &Home, found: &mut Vec<Finding>) {
    match lost_media(home) {
        Ok(lost) => found.extend(lost.into_iter().map(|media| {
            let (n, reason) = (media.n, media.reason);
            let words = say(
                format!("{n} 个媒体文件已无法取回：{reason}"),
                format!("{n} media files are gone: {reason}"),
            );
            let next = say(
                "huicun media status 列出各文件及原因",
                "`huicun media status` lists them with their reasons",
            );
            Finding::warn("media", words, next).about(&media.source)
        })),
        Err(error) => {
            let words = say(
                format!("媒体库 media.db 无法读取：{error}"),
                format!("media.db cannot be read: {error}"),
            );
            let next = say(
                "从备份恢复 media.db，或删除后重建",
                "restore media.db from a backup, or delete it to be made anew",
            );
            found.push(Finding::fail("media", words, next));
        }
    }
}

/// A company that answers well and has never had a message has mostly nobody in scope, which WeCom
/// does not call an error.
fn scope(corps: &[Corp], answered: &BTreeSet<String>, seen: &Seen, found: &mut Vec<Finding>) {
    for corp in corps {
        let has_rows = seen
            .ledger
            .as_ref()
            .is_some_and(|ledger| ledger.sources.contains_key(&corp.corpid));
        if has_rows || !answered.contains(&corp.corpid) {
            continue;
        }
        let words = say(
            "企业微信应答正常，但从未有过消息",
            "WeCom answers without an error and has never had a message",
        );
        let next = say(
            "确认会话内容存档的成员范围、公钥、外部联系人的同意，以及 5 天内有过聊天",
            "check the members in the archive's scope, the public key, the consent of external contacts, and that somebody has chatted within five days",
        );
        found.push(Finding::warn("scope", words, next).about(&corp.corpid));
    }
}

async fn cursors(table: &Table, corps: &[Corp], seen: &mut Seen, found: &mut Vec<Finding>) {
    for corp in corps {
        let corpid = corp.corpid.as_str();
        let cursor = match table.transaction(corpid).await {
            Ok(cursor) => cursor,
            Err(error) => {
                let words = say(
                    format!("游标无法读取：{error}"),
                    format!("the cursor cannot be read: {error}"),
                );
                let next = say("运行 huicun verify", "run `huicun verify`");
                found.push(Finding::fail("cursor", words, next).about(corpid));
                continue;
            }
        };
        let Some(cursor) = cursor else {
            continue;
        };
        seen.cursors.insert(corpid.to_string(), cursor);
        let page = seen.ledger.as_ref().and_then(|l| l.sources.get(corpid));
        let last = page
            .and_then(|page| page.seqs())
            .map_or(0, |(_, last)| last);
        let words = say(
            format!("游标 {cursor}，最大序号 {last}"),
            format!("it stands at {cursor}, the last seq is {last}"),
        );
        let finding = if last > cursor {
            // An import with seqs of its own, beside a pull.
            let next = say(
                "有比游标更新的导入记录；拉取到时会自动去重",
                "there are imported records past it; the pull will know them when they come",
            );
            Finding::new("cursor", Verdict::Ok, words).next(next)
        } else {
            Finding::ok("cursor", words)
        };
        found.push(finding.about(corpid));
    }
}
