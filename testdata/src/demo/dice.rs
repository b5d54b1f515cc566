//! The only source of chance in the demo company.
//!
//! ChaCha8 with a stream number: the same seed and stream give the same numbers on every
//! machine. Only integer arithmetic and exact IEEE operations are used, no `ln` or `exp`,
//! so that no libm can change a byte of the output.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded stream of chance.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The numbers of `stream` under `seed`; streams do not disturb each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// `0..n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// `lo..=hi`, over at most 2^32 values.
    pub(crate) fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below((hi - lo + 1).max(1) as usize) as i64
    }

    /// `from..to` in milliseconds, over any span.
    pub(crate) fn instant(&mut self, from: i64, to: i64) -> i64 {
        let span = (to - from).max(1) as u64;
        from + (self.bits() % span) as i64
    }

    /// True in `permille` of 1000 cases.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille as usize
    }

    /// One of the items, each as likely.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One of the words, each as likely.
    pub(crate) fn word<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// `0..n` with the low numbers far more likely: a few do most of the talking.
    pub(crate) fn skewed(&mut self, n: usize) -> usize {
        let unit = f64::from(self.0.next_u32()) / 4_294_967_296.0;
        ((unit * unit * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// A value between two neighbouring quantiles of `curve`, every gap as likely.
    pub(crate) fn curve(&mut self, curve: &[i64]) -> i64 {
        let gap = self.below(curve.len() - 1);
        self.between(curve[gap], curve[gap + 1])
    }

    /// An index into `weights`, as likely as its weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut left = self.below(total as usize) as u32;
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// Mixes a seed and a tag into 64 well-spread bits (splitmix64's finaliser).
pub(crate) fn mix(seed: u64, tag: u64) -> u64 {
    let mut z = seed ^ tag.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
