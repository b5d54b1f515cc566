//! Cells: how amounts of measures become one value. Reports and `explain` fold with the same
//! functions in the same order, so that a figure and the list behind it cannot differ.
//!
//! Whole numbers are added exactly. Fractions are added in the order in which the facts come,
//! which is the same in every run.

use std::collections::BTreeMap;

use hashbrown::HashSet;
use huicun_semantics::ratio::{change_ratio, percentile_of_sorted, ratio};

use super::measure::{Gather, Measure};

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Milliseconds, shown as seconds.
    Millis(f64),
    /// A fraction or mean.
    Number(f64),
    /// Words, joined with `、`.
    Text(String),
    /// Counts by a word.
    Counts(BTreeMap<String, i64>),
    /// True or false.
    Flag(bool),
    /// Nothing to divide by.
    Null,
}

impl Value {
    fn number(found: Option<f64>) -> Self {
        found.map_or(Self::Null, Self::Number)
    }

    fn millis(found: Option<f64>) -> Self {
        found.map_or(Self::Null, Self::Millis)
    }

    /// The JSON value: durations in seconds.
    pub fn to_json(&self) -> serde_json::Value {
        let float =
            |f: f64| serde_json::Number::from_f64(f).map_or(serde_json::Value::Null, Into::into);
        match self {
            Self::Count(n) => (*n).into(),
            Self::Millis(ms) => float(ms / 1000.0),
            Self::Number(f) => float(*f),
            Self::Text(text) => text.as_str().into(),
            Self::Counts(counts) => serde_json::json!(counts),
            Self::Flag(state) => (*state).into(),
            Self::Null => serde_json::Value::Null,
        }
    }
}

/// How a metric is made of measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fold {
    /// The measure's total: a count.
    Count(Measure),
    /// The measure's total: milliseconds.
    Millis(Measure),
    /// The first's total over the second's; null over 0.
    Ratio(Measure, Measure),
    /// The first's total, milliseconds, over the second's; null over 0.
    MeanMillis(Measure, Measure),
    /// The mean of fractions that are milliseconds; null of none.
    MeanOfMeans(Measure),
    /// The mean of fractions, rounded to four places; null of none.
    MeanOfRatios(Measure),
    /// Nearest rank over the values, milliseconds; null of none.
    Percentile(Measure, u32),
    /// The share of values of at most so many minutes; null of none.
    Within(Measure, u32),
    /// `(first - second) / second`; null where the second is 0.
    Change(Measure, Measure),
    /// The words, joined in their order; what stands before a NUL sorts and is not shown. Null of
    /// none.
    Joined(Measure),
    /// Counts by word.
    ByWord(Measure),
    /// Whether the fraction is more than 0; null of none.
    Flag(Measure),
}

impl Fold {
    /// The measures that it needs: above the line first.
    pub fn measures(self) -> Vec<Measure> {
        match self {
            Self::Count(m)
            | Self::Millis(m)
            | Self::MeanOfMeans(m)
            | Self::MeanOfRatios(m)
            | Self::Percentile(m, _)
            | Self::Within(m, _)
            | Self::Joined(m)
            | Self::ByWord(m)
            | Self::Flag(m) => vec![m],
            Self::Ratio(a, b) | Self::MeanMillis(a, b) | Self::Change(a, b) => vec![a, b],
        }
    }

    /// The same of other measures.
    pub fn map(self, of: impl Fn(Measure) -> Measure) -> Self {
        match self {
            Self::Count(m) => Self::Count(of(m)),
            Self::Millis(m) => Self::Millis(of(m)),
            Self::Ratio(a, b) => Self::Ratio(of(a), of(b)),
            Self::MeanMillis(a, b) => Self::MeanMillis(of(a), of(b)),
            Self::MeanOfMeans(m) => Self::MeanOfMeans(of(m)),
            Self::MeanOfRatios(m) => Self::MeanOfRatios(of(m)),
            Self::Percentile(m, p) => Self::Percentile(of(m), p),
            Self::Within(m, n) => Self::Within(of(m), n),
            Self::Change(a, b) => Self::Change(of(a), of(b)),
            Self::Joined(m) => Self::Joined(of(m)),
            Self::ByWord(m) => Self::ByWord(of(m)),
            Self::Flag(m) => Self::Flag(of(m)),
        }
    }
}

/// What one fact adds to a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount<'a> {
    /// A whole number, of [`Gather::Sum`].
    Whole(i64),
    /// A whole number of a key, of [`Gather::SumOnce`] and [`Gather::Distinct`].
    Keyed(u64, i64),
    /// A value, of [`Gather::Values`].
    Value(i64),
    /// A fraction, of [`Gather::Fractions`].
    Fraction(f64),
    /// A whole number of a word, of [`Gather::Words`].
    Word(&'a str, i64),
}

/// Which measures a question needs, and where a cell keeps each.
#[derive(Debug, Clone)]
pub struct Layout {
    slots: Vec<Option<u16>>,
    /// How many are kept of each way to gather, by [`kind_index`].
    sizes: [u16; 6],
}

fn kind_index(gather: Gather) -> usize {
    gather as usize
}

impl Layout {
    /// The layout for these folds.
    pub fn of(folds: impl IntoIterator<Item = Fold>) -> Self {
        let mut this = Self {
            slots: vec![None; Measure::ALL.len()],
            sizes: [0; 6],
        };
        for measure in folds.into_iter().flat_map(Fold::measures) {
            let slot = &mut this.slots[measure.index()];
            if slot.is_none() {
                let size = &mut this.sizes[kind_index(measure.gather())];
                *slot = Some(*size);
                *size += 1;
            }
        }
        this
    }

    /// Whether the question needs a measure.
    pub fn has(&self, measure: Measure) -> bool {
        self.slots[measure.index()].is_some()
    }

    fn slot(&self, measure: Measure) -> Option<usize> {
        self.slots[measure.index()].map(usize::from)
    }
}

/// Keys, each once when settled. Most come in rising order, and there are many cells with few: a list
/// takes less time and room than a table.
#[derive(Debug, Clone, Default)]
struct Keys {
    keys: Vec<u64>,
    /// How many there were when they were last settled.
    n_settled: usize,
}

impl Keys {
    /// Keys that may repeat before they are settled, at least: so that a year of repetitions takes
    /// no more room than twice the keys.
    const LOOSE_MIN: usize = 1024;

    fn insert(&mut self, key: u64) {
        if self.keys.last() == Some(&key) {
            return;
        }
        if self.keys.len() >= Self::LOOSE_MIN.max(2 * self.n_settled) {
            self.settle();
        }
        self.keys.push(key);
    }

    fn settle(&mut self) {
        if !self.keys.is_sorted() {
            self.keys.sort_unstable();
        }
        self.keys.dedup();
        self.n_settled = self.keys.len();
    }
}

/// The gathered measures of one spot.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    sums: Vec<i64>,
    once: Vec<(HashSet<u64>, i64)>,
    distinct: Vec<Keys>,
    values: Vec<Vec<i64>>,
    fractions: Vec<(f64, u64)>,
    words: Vec<BTreeMap<String, i64>>,
}

impl Cell {
    /// An empty cell.
    pub fn new(layout: &Layout) -> Self {
        let n = |gather| usize::from(layout.sizes[kind_index(gather)]);
        Self {
            sums: vec![0; n(Gather::Sum)],
            once: vec![Default::default(); n(Gather::SumOnce)],
            distinct: vec![Keys::default(); n(Gather::Distinct)],
            values: vec![Vec::new(); n(Gather::Values)],
            fractions: vec![(0.0, 0); n(Gather::Fractions)],
            words: vec![BTreeMap::new(); n(Gather::Words)],
        }
    }

    /// Takes an amount in; one that the layout does not need is passed over.
    pub fn put(&mut self, layout: &Layout, measure: Measure, amount: Amount<'_>) {
        let Some(slot) = layout.slot(measure) else {
            return;
        };
        match (measure.gather(), amount) {
            (Gather::Sum, Amount::Whole(n)) => self.sums[slot] += n,
            (Gather::SumOnce, Amount::Keyed(key, n)) => {
                let (seen, sum) = &mut self.once[slot];
                if seen.insert(key) {
                    *sum += n;
                }
            }
            (Gather::Distinct, Amount::Keyed(key, _)) => {
                self.distinct[slot].insert(key);
            }
            (Gather::Values, Amount::Value(value)) => self.values[slot].push(value),
            (Gather::Fractions, Amount::Fraction(fraction)) => {
                let (sum, n) = &mut self.fractions[slot];
                *sum += fraction;
                *n += 1;
            }
            (Gather::Words, Amount::Word(word, n)) => match self.words[slot].get_mut(word) {
                Some(sum) => *sum += n,
                None => {
                    self.words[slot].insert(word.to_owned(), n);
                }
            },
            (gather, amount) => {
                debug_assert!(false, "{measure:?} gathers {gather:?}, not {amount:?}");
            }
        }
    }

    /// Values in rising order, as percentiles want them, and keys once; to be called before
    /// [`Cell::value`].
    pub fn finish(&mut self) {
        self.distinct.iter_mut().for_each(Keys::settle);
        self.values.iter_mut().for_each(|v| v.sort_unstable());
    }

    /// The metric's value.
    pub fn value(&self, layout: &Layout, fold: Fold) -> Value {
        let total = |m| self.total(layout, m);
        match fold {
            Fold::Count(m) => Value::Count(u64::try_from(total(m)).unwrap_or(0)),
            Fold::Millis(m) => Value::Millis(total(m) as f64),
            Fold::Ratio(a, b) => Value::number(ratio(total(a), total(b))),
            Fold::MeanMillis(a, b) => Value::millis(ratio(total(a), total(b))),
            Fold::Change(a, b) => Value::number(change_ratio(total(a), total(b))),
            Fold::MeanOfMeans(m) => Value::millis(self.mean(layout, m)),
            Fold::MeanOfRatios(m) => {
                let rounded = |mean: f64| (mean * 10_000.0).round() / 10_000.0;
                Value::number(self.mean(layout, m).map(rounded))
            }
            Fold::Percentile(m, percent) => {
                let found = percentile_of_sorted(self.values(layout, m), percent);
                Value::millis(found.map(|ms| ms as f64))
            }
            Fold::Within(m, minutes) => {
                let values = self.values(layout, m);
                let n = values.partition_point(|ms| *ms <= i64::from(minutes) * 60_000);
                Value::number(ratio(n, values.len()))
            }
            Fold::Joined(m) => match layout.slot(m) {
                Some(slot) if self.words[slot].is_empty() => Value::Null,
                Some(slot) => {
                    let shown = |word: &str| word.rsplit('\0').next().map(String::from);
                    let words = self.words[slot].keys();
                    let words: Vec<String> = words.filter_map(|word| shown(word)).collect();
                    Value::Text(words.join("、"))
                }
                None => Value::Null,
            },
            Fold::Flag(m) => match self.mean(layout, m) {
                Some(mean) => Value::Flag(mean > 0.0),
                None => Value::Null,
            },
            Fold::ByWord(m) => match layout.slot(m) {
                Some(slot) => Value::Counts(self.words[slot].clone()),
                None => Value::Null,
            },
        }
    }

    /// The total of a measure: of values their sum, of keys and words how many.
    pub fn total(&self, layout: &Layout, measure: Measure) -> i64 {
        let Some(slot) = layout.slot(measure) else {
            return 0;
        };
        match measure.gather() {
            Gather::Sum => self.sums[slot],
            Gather::SumOnce => self.once[slot].1,
            Gather::Distinct => self.distinct[slot].keys.len() as i64,
            Gather::Values => self.values[slot].iter().sum(),
            Gather::Fractions => self.fractions[slot].1 as i64,
            Gather::Words => self.words[slot].len() as i64,
        }
    }

    fn mean(&self, layout: &Layout, measure: Measure) -> Option<f64> {
        let (sum, n) = self.fractions[layout.slot(measure)?];
        ratio(sum, n)
    }

    fn values(&self, layout: &Layout, measure: Measure) -> &[i64] {
        layout
            .slot(measure)
            .map_or(&[], |slot| self.values[slot].as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(fold: Fold, amounts: &[(Measure, Amount<'_>)]) -> Value {
        let layout = Layout::of([fold]);
        let mut cell = Cell::new(&layout);
        for (measure, amount) in amounts {
            cell.put(&layout, *measure, *amount);
        }
        cell.finish();
        cell.value(&layout, fold)
    }

    #[test]
    fn over_nothing_ratios_means_and_percentiles_are_null_and_counts_0() {
        use Measure::{Dialogues, DialoguesOpened, Replies, ReplyMeans};
        assert_eq!(folded(Fold::Count(Dialogues), &[]), Value::Count(0));
        for fold in [
            Fold::Ratio(DialoguesOpened, Dialogues),
            Fold::MeanMillis(Replies, Dialogues),
            Fold::MeanOfMeans(ReplyMeans),
            Fold::Percentile(Replies, 50),
            Fold::Within(Replies, 1),
            Fold::Change(Dialogues, DialoguesOpened),
        ] {
            assert_eq!(folded(fold, &[]), Value::Null, "{fold:?}");
        }
    }

    #[test]
    fn a_key_counts_once_and_so_does_its_amount() {
        let calls = [
            (Measure::CallTime, Amount::Keyed(7, 1000)),
            (Measure::CallTime, Amount::Keyed(7, 1000)),
            (Measure::CallTime, Amount::Keyed(8, 500)),
        ];
        assert_eq!(
            folded(Fold::Millis(Measure::CallTime), &calls),
            Value::Millis(1500.0)
        );
        let customers = [1, 2, 1].map(|key| (Measure::CustomersNew, Amount::Keyed(key, 1)));
        assert_eq!(
            folded(Fold::Count(Measure::CustomersNew), &customers),
            Value::Count(2)
        );
    }

    #[test]
    fn keys_that_come_again_after_many_others_count_once() {
        let keys = (0..3).flat_map(|_| (0..5_000_u64).map(|n| n * 7919 % 5_000));
        let groups: Vec<_> = keys
            .map(|key| (Measure::GroupsSpoken, Amount::Keyed(key, 1)))
            .collect();
        let fold = Fold::Count(Measure::GroupsSpoken);
        assert_eq!(folded(fold, &groups), Value::Count(5_000));
    }

    #[test]
    fn percentiles_take_the_nearest_rank_and_shares_include_their_minute() {
        let replies = [60_001, 1, 60_000, 2].map(|ms| (Measure::Replies, Amount::Value(ms)));
        assert_eq!(
            folded(Fold::Percentile(Measure::Replies, 50), &replies),
            Value::Millis(2.0)
        );
        assert_eq!(
            folded(Fold::Within(Measure::Replies, 1), &replies),
            Value::Number(0.75)
        );
    }
}
