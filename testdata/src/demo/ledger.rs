//! Writes envelopes: gives out seqs and key versions, and counts what was written.

use std::io::{self, Write};

use super::DemoOptions;
use super::company::Company;
use super::dice::Dice;
use super::payload::TYPES;
use super::rhythm::{DAY, HOUR, MINUTE};
use super::stage::Pending;

/// What was written.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) n_messages: u64,
    pub(crate) by_type: Vec<u64>,
    pub(crate) n_scenes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) by_key: [u64; 3],
    pub(crate) planted: Vec<(String, String)>,
    pub(crate) consents: Vec<(u32, bool)>,
}

/// Gives out seqs and key versions.
pub(crate) struct Ledger {
    dice: Dice,
    next_seq: u64,
    /// From here on the second key is used; for some hours both.
    rotation_ms: i64,
    pub(crate) written: Written,
    line: Vec<u8>,
}

impl Ledger {
    pub(crate) fn new(options: &DemoOptions, company: &Company) -> Self {
        let mut dice = Dice::new(options.seed, 3);
        let next_seq = dice.between(20_000, 90_000) as u64;
        let middle = company.start_ms + i64::from(options.days / 2) * DAY + 10 * HOUR + 30 * MINUTE;
        let written = Written {
            first_seq: next_seq,
            by_type: vec![0; TYPES.len()],
            ..Written::default()
        };
        Self {
            dice,
            next_seq,
            rotation_ms: middle,
            written,
            line: Vec::new(),
        }
    }

    pub(crate) fn write<W: Write>(&mut self, pending: &Pending, out: &mut W) -> io::Result<()> {
        let key = match pending.at - self.rotation_ms {
            ..0 => 1,
            0..10_800_000 => 1 + usize::from(self.dice.chance(500)),
            _ => 2,
        };
        let seq = self.next_seq;
        self.line.clear();
        writeln!(
            self.line,
            "{{\"seq\":{seq},\"publickey_ver\":{key},\"message\":{}}}",
            pending.json
        )?;
        out.write_all(&self.line)?;
        // Seqs are not dense: other traffic of the company takes some.
        self.next_seq += if self.dice.chance(6) {
            self.dice.between(2, 40) as u64
        } else {
            1
        };
        let written = &mut self.written;
        written.last_seq = seq;
        written.n_messages += 1;
        written.by_type[pending.kind] += 1;
        written.by_key[key] += 1;
        Ok(())
    }
}
