//! From tape to searchable, in messages a second, beside the bare RSA ceiling of the same run.
//!
//! `pull-throughput [MESSAGES]`: makes a demo company, seals it, measures how many sealed keys
//! all cores can open without doing anything else, and then times `huicun pull --once` as a whole
//! process: it ends when table and index hold every message. Needs `huicun` and the simulator
//! beside this program (`cargo build --release --workspace --bins --lib`).

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use huicun_tape::{KeyPair, MakeOptions, make_from_ndjson, seal};
use huicun_testdata::demo::{DemoOptions, write_messages};
use rayon::prelude::*;

/// How long the ceiling is measured.
const CEILING_TIME: Duration = Duration::from_secs(5);

fn main() -> anyhow::Result<()> {
    let n_messages = match std::env::args().nth(1) {
        Some(n) => n.parse().context("MESSAGES must be a whole number")?,
        None => 100_000,
    };
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
    let folder = tempfile::tempdir()?;
    make_tape(folder.path(), n_messages, &library)?;
    let before = ceiling()?;
    let started = Instant::now();
    pull(&huicun, folder.path())?;
    let rate = n_messages as f64 / started.elapsed().as_secs_f64();
    let after = ceiling()?;
    let ceiling = (before + after) / 2.0;
    println!("messages             {n_messages}");
    println!("cores                {}", rayon::current_num_threads());
    println!("RSA ceiling          {before:.0} before, {after:.0} after, messages a second");
    println!("tape to searchable   {rate:.0} messages a second");
    println!("share of the ceiling {:.1} %", rate / ceiling * 100.0);
    Ok(())
}

fn make_tape(folder: &Path, n_messages: u64, library: &Path) -> anyhow::Result<()> {
    let company = DemoOptions {
        n_messages,
        ..DemoOptions::default()
    };
    let file: PathBuf = folder.join("messages.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
    write_messages(&company, &mut out)?;
    drop(out);
    let input = BufReader::new(std::fs::File::open(&file)?);
    make_from_ndjson(input, folder.join("tape"), &MakeOptions::default())?;
    let config = format!(
        "[[corp]]\ncorpid = \"wwtape\"\nsecret = \"tape-secret\"\nsdk_library = \"{}\"\n\
         [corp.keys]\n1 = \"tape/keys/v1.pem\"\n2 = \"tape/keys/v2.pem\"\n",
        library.display()
    );
    Ok(std::fs::write(folder.join("huicun.toml"), config)?)
}

/// Private RSA operations a second on all cores: no message can come in faster.
fn ceiling() -> anyhow::Result<f64> {
    let key = KeyPair::generate(1)?;
    let sealed = seal(&key, b"{}")?.encrypt_random_key;
    let started = Instant::now();
    let n_done: u64 = (0..rayon::current_num_threads())
        .into_par_iter()
        .map(|_| {
            let mut n = 0;
            while started.elapsed() < CEILING_TIME {
                // The result is looked at, so that the work cannot be left out.
                n += u64::from(key.unseal(&sealed).is_ok());
            }
            n
        })
        .sum();
    Ok(n_done as f64 / started.elapsed().as_secs_f64())
}

fn pull(huicun: &Path, folder: &Path) -> anyhow::Result<()> {
    let done = Command::new(huicun)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--config")
        .arg(folder.join("huicun.toml"))
        .args(["pull", "--once"])
        .env("FINANCE_SDK_TAPE", folder.join("tape"))
        .status()?;
    if !done.success() {
        bail!("huicun pull failed");
    }
    Ok(())
}
