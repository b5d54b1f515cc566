//! Resident memory of a long pull, tenth by tenth, against a stated bound.
//!
//! `pull-memory [MESSAGES] [FOLDER]` (2,000,000; a temporary folder): makes a demo company, seals
//! it on a tape, and pulls it with `huicun pull --once` as a whole process, looking at the resident
//! memory of the process and of its SDK worker every second. A folder that already holds the tape
//! of so many messages is used again. Needs `huicun` and the simulator beside this program
//! (`cargo build --release --workspace --bins --lib`).
//!
//! The bound: from the second tenth on (in the first, buffers fill) the process may grow by what
//! the set of known messages takes, [`BYTES_PER_KNOWN`] each, and by [`SLACK_MIB`] for what comes
//! and goes; and it never exceeds [`PROCESS_MIB_MAX`]. Status 1 when it does.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use huicun_tape::{MakeOptions, make_from_ndjson};
use huicun_testdata::demo::{DemoOptions, write_messages};

/// What the set of known messages takes for one: 17 bytes, in a table that doubles, of which old
/// and new half are there for a moment.
const BYTES_PER_KNOWN: u64 = 52;
/// What comes and goes: merges of the index, batches under way, the allocator.
const SLACK_MIB: u64 = 128;
/// Nothing that a pull does may need more, whatever the number of messages up to ten million.
const PROCESS_MIB_MAX: u64 = 896;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const N_TENTHS: usize = 10;

/// One look.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Records committed so far.
    n_done: u64,
    process_kib: u64,
    worker_kib: u64,
}

/// A tenth of the records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tenth {
    n_samples: usize,
    process_kib_median: u64,
    process_kib_max: u64,
    worker_kib_max: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let n_messages = match arguments.next() {
        Some(n) => n.parse().context("MESSAGES must be a whole number")?,
        None => 2_000_000,
    };
    let temporary = tempfile::tempdir()?;
    let folder = arguments.next().map(PathBuf::from);
    let folder = folder.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let beside = std::env::current_exe()?;
    let beside = beside.parent().context("this program is in no folder")?;
    let (huicun, library) = (beside.join("huicun"), beside.join("libhuicun_simulator.so"));
    for needed in [&huicun, &library] {
        if !needed.is_file() {
            bail!(
                "`{}` is missing; build the workspace first",
                needed.display()
            );
        }
    }
    make_tape(folder, n_messages, &library)?;
    let started = Instant::now();
    let samples = pull(&huicun, folder)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("messages             {n_messages}");
    println!("seconds              {seconds:.0}");
    println!("looks                {}", samples.len());
    let tenths = tenths(&samples, n_messages);
    print_table(&tenths);
    Ok(judge(&tenths, n_messages))
}

fn make_tape(folder: &Path, n_messages: u64, library: &Path) -> anyhow::Result<()> {
    let config = format!(
        "[[corp]]\ncorpid = \"wwtape\"\nsecret = \"tape-secret\"\nsdk_library = \"{}\"\n\
         [corp.keys]\n1 = \"tape/keys/v1.pem\"\n2 = \"tape/keys/v2.pem\"\n",
        library.display()
    );
    std::fs::write(folder.join("huicun.toml"), config)?;
    let data = folder.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let manifest = std::fs::read_to_string(folder.join("tape/tape.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    if manifest["n_messages"] == n_messages {
        return Ok(());
    }
    let company = DemoOptions {
        n_messages,
        ..DemoOptions::default()
    };
    let file = folder.join("messages.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
    write_messages(&company, &mut out)?;
    drop(out);
    let input = BufReader::new(std::fs::File::open(&file)?);
    make_from_ndjson(input, folder.join("tape"), &MakeOptions::default())?;
    // The plain messages are no longer needed, and take half as much as the tape.
    Ok(std::fs::remove_file(file)?)
}

/// Pulls to the end, and looks meanwhile.
fn pull(huicun: &Path, folder: &Path) -> anyhow::Result<Vec<Sample>> {
    let mut child = Command::new(huicun)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--config")
        .arg(folder.join("huicun.toml"))
        .args(["pull", "--once"])
        .env("FINANCE_SDK_TAPE", folder.join("tape"))
        // It says how far it is.
        .env("HUICUN_LOG", "warn,huicun_indexer=debug")
        .stderr(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
    let n_done = Arc::new(AtomicU64::new(0));
    let reader = {
        let n_done = Arc::clone(&n_done);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                match committed(&line) {
                    Some(n) => {
                        n_done.fetch_add(n, Ordering::Relaxed);
                    }
                    None if !line.contains("DEBUG") => eprintln!("{line}"),
                    None => {}
                }
            }
        })
    };
    let mut samples = Vec::new();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(process_kib) = resident_kib(child.id()) {
            samples.push(Sample {
                n_done: n_done.load(Ordering::Relaxed),
                process_kib,
                worker_kib: children(child.id())
                    .into_iter()
                    .filter_map(resident_kib)
                    .sum(),
            });
        }
        std::thread::sleep(LOOK_EVERY);
    };
    // It ends with the pipe.
    let _ = reader.join();
    if !status.success() {
        bail!("huicun pull failed: {status}");
    }
    Ok(samples)
}

/// The records in a line that acknowledges a commit.
fn committed(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once(" committed ")?;
    let (_, count) = fields.split_once("n_messages=")?;
    let end = count
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(count.len());
    count[..end].parse().ok()
}

fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn children(process: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent = |child: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        // pid (name) state parent ..; the name may hold anything.
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(process))
        .collect()
}

fn tenths(samples: &[Sample], n_messages: u64) -> Vec<Tenth> {
    let tenth_of = |sample: &Sample| {
        let tenth = sample.n_done * N_TENTHS as u64 / n_messages.max(1);
        (tenth as usize).min(N_TENTHS - 1)
    };
    (0..N_TENTHS)
        .map(|number| {
            let within = || samples.iter().filter(move |s| tenth_of(s) == number);
            let mut process: Vec<u64> = within().map(|s| s.process_kib).collect();
            process.sort_unstable();
            Tenth {
                n_samples: process.len(),
                process_kib_median: process.get(process.len() / 2).copied().unwrap_or(0),
                process_kib_max: process.last().copied().unwrap_or(0),
                worker_kib_max: within().map(|s| s.worker_kib).max().unwrap_or(0),
            }
        })
        .collect()
}

fn print_table(tenths: &[Tenth]) {
    println!("tenth   looks   process MiB median      max   worker MiB max");
    for (number, tenth) in tenths.iter().enumerate() {
        println!(
            "{:>5} {:>7} {:>20} {:>8} {:>16}",
            number + 1,
            tenth.n_samples,
            tenth.process_kib_median / 1024,
            tenth.process_kib_max / 1024,
            tenth.worker_kib_max / 1024,
        );
    }
}

/// Whether the bound was kept.
fn judge(tenths: &[Tenth], n_messages: u64) -> ExitCode {
    let seen: Vec<&Tenth> = tenths.iter().filter(|tenth| tenth.n_samples > 0).collect();
    let mib = |kib: u64| kib / 1024;
    let highest = mib(seen.iter().map(|t| t.process_kib_max).max().unwrap_or(0));
    let start = mib(seen.get(1).map_or(0, |t| t.process_kib_median));
    let end = mib(seen.last().map_or(0, |t| t.process_kib_median));
    let allowed = n_messages * BYTES_PER_KNOWN / (1 << 20) + SLACK_MIB;
    let grown = end.saturating_sub(start);
    println!("highest              {highest} MiB, at most {PROCESS_MIB_MAX}");
    println!(
        "growth               {grown} MiB from the second tenth to the last, at most {allowed}"
    );
    if seen.len() < 2 {
        println!("verdict              none: too short to see a growth");
    } else if highest <= PROCESS_MIB_MAX && grown <= allowed {
        println!("verdict              flat");
    } else {
        println!("verdict              NOT FLAT");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fall_into_the_tenth_of_their_records() {
        let sample = |n_done, process_kib| Sample {
            n_done,
            process_kib,
            worker_kib: 7,
        };
        let samples = [
            sample(0, 10),
            sample(99, 30),
            sample(50, 20),
            sample(100, 40),
            sample(1_000, 50),
        ];
        let tenths = tenths(&samples, 1_000);
        assert_eq!(tenths[0].process_kib_median, 20);
        assert_eq!((tenths[0].process_kib_max, tenths[0].n_samples), (30, 3));
        assert_eq!(tenths[1].process_kib_max, 40);
        assert_eq!(
            (tenths[9].process_kib_max, tenths[9].worker_kib_max),
            (50, 7)
        );
        assert_eq!(tenths[5], Tenth::default());
    }

    #[test]
    fn a_line_of_the_log_tells_how_many_came() {
        let line = "2026-01-01T00:00:00Z DEBUG huicun_indexer::ingest::pull: committed n_messages=7 cursor=4711";
        assert_eq!(committed(line), Some(7));
        assert_eq!(committed("anything else"), None);
    }

    #[test]
    fn our_own_memory_is_seen() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
    }
}
