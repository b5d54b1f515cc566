//! The machine: clock, disk, syncs, open files, tools.

use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Datelike, Utc};
use huicun_engine::archive::machine;

use super::finding::{Finding, say};
use super::{Patient, config};

const GIB: u64 = 1 << 30;
/// Below this nothing can be promised: one commit may take hundreds of megabytes.
const FREE_BYTES_MIN: u64 = GIB;
/// Below this somebody should make room: some days of a large company.
const FREE_BYTES_WANTED: u64 = 10 * GIB;
const FREE_INODES_MIN: u64 = 10_000;
/// The usual limit, which has been enough; a lower one ends in failures under load.
const OPEN_FILES_WANTED: u64 = 1024;
/// A clock may differ this much from whoever wrote a file.
pub(super) const CLOCK_MS: i64 = 5 * 60_000;

pub(super) fn look(patient: &Patient, found: &mut Vec<Finding>) {
    clock(patient, found);
    // What is not there yet will be made below the nearest folder that is.
    let mut place = patient.data.as_path();
    while !place.exists() {
        match place.parent() {
            Some(parent) if parent != Path::new("") => place = parent,
            _ => {
                place = Path::new(".");
                break;
            }
        }
    }
    disk(place, found);
    if patient.data.is_dir() {
        sync(&patient.data, found);
        found.extend(config::open_to_others(
            "permissions",
            &patient.data,
            "数据目录",
            "the data directory",
        ));
    }
    open_files(found);
    tools(found);
}

fn clock(patient: &Patient, found: &mut Vec<Finding>) {
    let now = DateTime::<Utc>::from_timestamp_millis(patient.now_ms).unwrap_or_default();
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC");
    let next = || {
        say(
            "校准系统时间（如 timedatectl set-ntp true）：证书校验、时间窗和告警都依赖它",
            "set the clock (such as `timedatectl set-ntp true`): certificates, windows of time and alerts hang on it",
        )
    };
    if !(2024..2100).contains(&now.year()) {
        found.push(Finding::fail(
            "clock",
            say(
                format!("系统时间是 {shown}"),
                format!("the clock says {shown}"),
            ),
            next(),
        ));
        return;
    }
    let newest = ["huicun.json", "writer.lock", "state.db", "state.db-wal"]
        .iter()
        .filter_map(|name| patient.data.join(name).metadata().ok()?.modified().ok())
        .map(|at| DateTime::<Utc>::from(at).timestamp_millis())
        .max();
    if newest.is_some_and(|newest| newest > patient.now_ms + CLOCK_MS) {
        found.push(Finding::fail(
            "clock",
            say(
                format!("系统时间 {shown} 早于数据目录中文件的时间"),
                format!("the clock says {shown}, which is before files of the data directory were written"),
            ),
            next(),
        ));
        return;
    }
    found.push(Finding::ok(
        "clock",
        say(
            format!("系统时间 {shown}"),
            format!("the clock says {shown}"),
        ),
    ));
}

fn disk(place: &Path, found: &mut Vec<Finding>) {
    let room = match machine::room(place) {
        Ok(room) => room,
        Err(error) => {
            found.push(Finding::fail(
                "disk",
                say(
                    format!("无法查看磁盘：{error}"),
                    format!("the disk cannot be looked at: {error}"),
                ),
                say(
                    "检查 --data 的路径和权限",
                    "check the path of --data and its permissions",
                ),
            ));
            return;
        }
    };
    found.push(disk_verdict(&room));
}

fn disk_verdict(room: &machine::Room) -> Finding {
    let gib = |bytes: u64| bytes as f64 / GIB as f64;
    let (free, all) = (gib(room.free_bytes), gib(room.all_bytes));
    let inodes = room.free_inodes.unwrap_or(u64::MAX);
    let zh_inodes = room
        .free_inodes
        .map(|n| format!("，可建文件 {n} 个"))
        .unwrap_or_default();
    let en_inodes = room
        .free_inodes
        .map(|n| format!(", {n} files may be made"))
        .unwrap_or_default();
    let words = say(
        format!("可用 {free:.1} GiB（共 {all:.1} GiB）{zh_inodes}"),
        format!("{free:.1} GiB free of {all:.1}{en_inodes}"),
    );
    let next = say(
        "腾出空间或扩容；磁盘写满时拉取会停下，游标不动，不会丢失已存的消息",
        "make room or enlarge it; on a full disk the pull stops, the cursor stays, and nothing stored is lost",
    );
    if room.free_bytes < FREE_BYTES_MIN || inodes < FREE_INODES_MIN {
        Finding::fail("disk", words, next)
    } else if room.free_bytes < FREE_BYTES_WANTED {
        Finding::warn("disk", words, next)
    } else {
        Finding::ok("disk", words)
    }
}

fn sync(data: &Path, found: &mut Vec<Finding>) {
    let probe = data.join(format!("doctor.{}.tmp", std::process::id()));
    let tried = (|| -> std::io::Result<()> {
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(&probe)?;
        file.write_all(b"huicun doctor")?;
        file.sync_all()?;
        std::fs::File::open(data)?.sync_all()
    })();
    // It may not have been made.
    let _ = std::fs::remove_file(&probe);
    found.push(match tried {
        Ok(()) => Finding::ok(
            "sync",
            say("可以写入并落盘（fsync）", "a file can be written and synced"),
        ),
        Err(error) => Finding::fail(
            "sync",
            say(
                format!("数据目录不能写入或落盘：{error}"),
                format!("the data directory cannot be written or synced: {error}"),
            ),
            say(
                "检查目录的所有者、只读挂载和磁盘；没有 fsync 就不能保证断电不丢消息",
                "check the owner, a read-only mount and the disk; without syncs a power cut loses messages",
            ),
        ),
    });
}

fn open_files(found: &mut Vec<Finding>) {
    let Some((_, most)) = machine::open_files() else {
        return;
    };
    let words = say(
        format!("最多可打开 {most} 个文件"),
        format!("at most {most} open files"),
    );
    found.push(if most < OPEN_FILES_WANTED {
        Finding::warn(
            "open_files",
            words,
            say(
                "调大上限（ulimit -n，或服务的 LimitNOFILE）",
                "raise the limit (`ulimit -n`, or LimitNOFILE of the service)",
            ),
        )
    } else {
        Finding::ok("open_files", words)
    });
}

fn tools(found: &mut Vec<Finding>) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ffmpeg = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
    let has_ffmpeg = ffmpeg.into_iter().any(|file| file.is_file());
    found.push(if has_ffmpeg {
        Finding::ok(
            "tools",
            say(
                "有 ffmpeg：语音可以转换",
                "there is ffmpeg: voice can be converted",
            ),
        )
    } else {
        Finding::ok(
            "tools",
            say("没有 ffmpeg（可选）", "there is no ffmpeg (it is optional)"),
        )
        .next(say(
            "需要在浏览器中播放语音时再安装",
            "install it to play voice in a browser",
        ))
    });
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_small_disk_warns_and_a_full_one_fails() {
        let room = |free_bytes, free_inodes| machine::Room {
            free_bytes,
            all_bytes: 100 * GIB,
            free_inodes,
        };
        assert_eq!(disk_verdict(&room(50 * GIB, None)).verdict, Verdict::Ok);
        assert_eq!(disk_verdict(&room(5 * GIB, None)).verdict, Verdict::Warn);
        assert_eq!(disk_verdict(&room(1000, None)).verdict, Verdict::Fail);
        assert_eq!(
            disk_verdict(&room(50 * GIB, Some(7))).verdict,
            Verdict::Fail
        );
    }
}
