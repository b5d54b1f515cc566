//! How much a suite does, and how it says what it did.

use std::io::Write as _;
use std::time::Instant;

/// Whether the full counts are asked for.
pub fn is_full() -> bool {
    std::env::var("HUICUN_FAULTS").is_ok_and(|form| form == "full")
}

/// A count of cases: the short form's, or the full one's. `HUICUN_FAULTS_CASES` overrides both.
pub fn scaled(short: u64, full: u64) -> u64 {
    let given = std::env::var("HUICUN_FAULTS_CASES").ok();
    let given = given.and_then(|n| n.parse().ok());
    given.unwrap_or(if is_full() { full } else { short })
}

/// splitmix64: the same cases for the same seed.
pub struct Dice(u64);

impl Dice {
    /// The suite's own seed, or the one of `HUICUN_FAULTS_SEED`.
    pub fn new(seed: u64) -> Self {
        let given = std::env::var("HUICUN_FAULTS_SEED").ok();
        Self(given.and_then(|n| n.parse().ok()).unwrap_or(seed))
    }

    /// What it was made from, as long as it has not been rolled.
    pub fn seed(&self) -> u64 {
        self.0
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// `n` numbers of `1..=last`, spread evenly and moved by chance; all of them when `n` is as many.
pub fn sample(dice: &mut Dice, n: u64, last: u64) -> Vec<u64> {
    if n >= last {
        return (1..=last).collect();
    }
    let at = |k: u64| 1 + k * last / n;
    (0..n)
        .map(|k| at(k) + dice.below(at(k + 1) - at(k)))
        .collect()
}

/// One run of a suite.
pub struct Suite {
    name: &'static str,
    seed: u64,
    started: Instant,
}

impl Suite {
    pub fn begin(name: &'static str, dice: &Dice) -> Self {
        let seed = dice.seed();
        println!("{name}: seed {seed}");
        Self {
            name,
            seed,
            started: Instant::now(),
        }
    }

    /// Says what was done; `scripts/faults.sh` makes its table of these lines.
    pub fn done(self, n: u64, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        let (name, seed) = (self.name, self.seed);
        println!("{name}: {n} cases in {seconds} s, seed {seed}: {what}");
        report(&format!("{name}\t{n}\t{seed}\t{seconds}\t{what}"));
    }
}

/// Says why a suite did nothing here.
pub fn skipped(name: &str, why: &str) {
    println!("{name}: skipped: {why}");
    report(&format!("{name}\t0\t-\t0\tskipped: {why}"));
}

fn report(line: &str) {
    let Ok(path) = std::env::var("HUICUN_FAULTS_REPORT") else {
        return;
    };
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    writeln!(file.unwrap(), "{line}").unwrap();
}

#[test]
fn a_sample_is_spread_over_all() {
    let mut dice = Dice::new(1);
    let found = sample(&mut dice, 10, 1_000);
    assert_eq!(found.len(), 10);
    assert!(found.is_sorted() && found[0] <= 100 && found[9] > 900 && found[9] <= 1_000);
    assert_eq!(sample(&mut dice, 9, 3), [1, 2, 3]);
}
