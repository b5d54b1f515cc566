//! Where traversals put what they find: a report adds it up, `explain` writes it down. The
//! traversal is the same code for both.

use super::cell::{Amount, Cell, Fold, Layout, Value};
use super::measure::Measure;

/// A unit in a slice of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The unit's number ([`super::unit::Units`]).
    pub unit: u32,
    /// The slice's number ([`super::question::Slices`]).
    pub slice: u32,
}

/// What kind of thing a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// A dialogue.
    Dialogue,
    /// A reply: from a customer's turn to its answer.
    Reply,
    /// What one person sent in one conversation on one day.
    Messages,
    /// A timeout.
    Timeout,
    /// A customer who waits.
    Wait,
    /// A call.
    Call,
    /// A behaviour.
    Behaviour,
    /// A relation of an employee and a customer.
    Relation,
    /// A relation on the day on which a revisit is due.
    Revisit,
    /// A membership of a group.
    Membership,
    /// A group.
    Group,
    /// A business record.
    BusinessRecord,
    /// A follow-up record.
    Followup,
    /// A task.
    Task,
    /// Friend requests of a day.
    FriendRequests,
    /// An employee of the unit.
    Employee,
    /// A view, share or order of a customer.
    Event,
}

impl FactKind {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dialogue => "dialogue",
            Self::Reply => "reply",
            Self::Messages => "messages",
            Self::Timeout => "timeout",
            Self::Wait => "wait",
            Self::Call => "call",
            Self::Behaviour => "behaviour",
            Self::Relation => "relation",
            Self::Revisit => "revisit",
            Self::Membership => "membership",
            Self::Group => "group",
            Self::BusinessRecord => "business_record",
            Self::Followup => "followup",
            Self::Task => "task",
            Self::FriendRequests => "friend_requests",
            Self::Employee => "employee",
            Self::Event => "event",
        }
    }
}

/// Which messages of its conversation stand behind a fact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behind {
    /// None: it is a fact of the directory.
    #[default]
    Nothing,
    /// All counted ones from `at_ms` to `until_ms`, both included.
    All,
    /// Those of the first of `people`.
    OfSpeaker,
    /// The first one at `at_ms` of a customer, and the one at `until_ms`.
    Ends,
    /// The message with the fact's id.
    Named,
    /// The one of the first of `people` at `at_ms` that the behaviour with the fact's id is about.
    Cause,
}

/// A fact as `explain` shows it. Ids are numbers of the names.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is.
    pub kind: FactKind,
    /// When it happened or began, UTC milliseconds.
    pub at_ms: Option<i64>,
    /// When it ended, UTC milliseconds.
    pub until_ms: Option<i64>,
    /// The conversation.
    pub conversation: Option<u32>,
    /// Employees and customers whom it concerns, as numbers.
    pub people: Vec<u32>,
    /// Its own id: a msgid, a record's id.
    pub id: Option<u32>,
    /// Which messages stand behind it.
    pub behind: Behind,
}

impl Fact {
    /// A fact that knows no more than its kind and time.
    pub fn at(kind: FactKind, at_ms: i64) -> Self {
        Self {
            kind,
            at_ms: Some(at_ms),
            until_ms: None,
            conversation: None,
            people: Vec::new(),
            id: None,
            behind: Behind::Nothing,
        }
    }

    /// The same with people.
    #[must_use]
    pub fn with(mut self, people: impl IntoIterator<Item = u32>) -> Self {
        self.people.extend(people);
        self
    }

    /// The same in a conversation until an instant, with the messages behind it.
    #[must_use]
    pub fn within(mut self, conversation: u32, until_ms: Option<i64>, behind: Behind) -> Self {
        self.conversation = Some(conversation);
        self.until_ms = until_ms;
        self.behind = behind;
        self
    }

    /// The same with its own id.
    #[must_use]
    pub fn named(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }
}

/// Takes amounts of measures at spots. Implemented by [`Sums`] and [`Parts`].
pub trait Sink {
    /// Whether the question needs a measure: what is costly to find is looked for only then.
    fn wants(&self, measure: Measure) -> bool;

    /// Whether facts are made of what is taken: else nobody sees their ids.
    fn shows_facts(&self) -> bool;

    /// Takes one amount; `fact` is made only where somebody wants to see it.
    fn put(
        &mut self,
        spot: Spot,
        measure: Measure,
        amount: Amount<'_>,
        fact: impl FnOnce() -> Fact,
    );

    /// Takes one thing that is counted.
    fn count(&mut self, spot: Spot, measure: Measure, fact: impl FnOnce() -> Fact) {
        self.put(spot, measure, Amount::Whole(1), fact);
    }

    /// Takes one key that is counted once.
    fn key(
        &mut self,
        spot: Spot,
        measure: Measure,
        key: impl Into<u64>,
        fact: impl FnOnce() -> Fact,
    ) {
        self.put(spot, measure, Amount::Keyed(key.into(), 1), fact);
    }
}

/// The sums of a report: a cell for each spot at which there is anything.
pub struct Sums {
    layout: Layout,
    n_slices: u32,
    cells: Vec<Option<Box<Cell>>>,
}

impl Sums {
    /// Sums for the folds of a question with so many slices.
    pub fn new(folds: impl IntoIterator<Item = Fold>, n_slices: u32) -> Self {
        Self {
            layout: Layout::of(folds),
            n_slices,
            cells: Vec::new(),
        }
    }

    /// The sums, ready to give values.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.cells.iter_mut().flatten().for_each(|c| c.finish());
        self
    }

    /// The value of a fold at a spot.
    pub fn value(&self, spot: Spot, fold: Fold) -> Value {
        match self.cells.get(self.at(spot)).and_then(Option::as_ref) {
            Some(cell) => cell.value(&self.layout, fold),
            None => Cell::new(&self.layout).value(&self.layout, fold),
        }
    }

    fn at(&self, spot: Spot) -> usize {
        spot.unit as usize * self.n_slices as usize + spot.slice as usize
    }
}

impl Sink for Sums {
    fn shows_facts(&self) -> bool {
        false
    }

    fn wants(&self, measure: Measure) -> bool {
        self.layout.has(measure)
    }

    fn put(
        &mut self,
        spot: Spot,
        measure: Measure,
        amount: Amount<'_>,
        _fact: impl FnOnce() -> Fact,
    ) {
        if !self.layout.has(measure) {
            return;
        }
        let at = self.at(spot);
        if at >= self.cells.len() {
            self.cells.resize_with(at + 1, || None);
        }
        let layout = &self.layout;
        self.cells[at]
            .get_or_insert_with(|| Box::new(Cell::new(layout)))
            .put(layout, measure, amount);
    }
}

/// An [`Amount`] that is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// A whole number.
    Whole(i64),
    /// A whole number of a key.
    Keyed(u64, i64),
    /// A value.
    Value(i64),
    /// A fraction.
    Fraction(f64),
    /// A whole number of a word.
    Word(String, i64),
}

impl Kept {
    fn of(amount: Amount<'_>) -> Self {
        match amount {
            Amount::Whole(n) => Self::Whole(n),
            Amount::Keyed(key, n) => Self::Keyed(key, n),
            Amount::Value(n) => Self::Value(n),
            Amount::Fraction(f) => Self::Fraction(f),
            Amount::Word(word, n) => Self::Word(word.to_owned(), n),
        }
    }

    fn amount(&self) -> Amount<'_> {
        match self {
            Self::Whole(n) => Amount::Whole(*n),
            Self::Keyed(key, n) => Amount::Keyed(*key, *n),
            Self::Value(n) => Amount::Value(*n),
            Self::Fraction(f) => Amount::Fraction(*f),
            Self::Word(word, n) => Amount::Word(word, *n),
        }
    }
}

/// One part of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Of which measure.
    pub measure: Measure,
    /// How much.
    pub amount: Kept,
    /// The fact that it comes from.
    pub fact: Fact,
}

/// The parts of one cell, in the order in which a report adds them.
pub struct Parts {
    fold: Fold,
    layout: Layout,
    wanted: Box<dyn Fn(Spot) -> bool>,
    /// The parts.
    pub parts: Vec<Part>,
}

impl Parts {
    /// Collects what `fold` needs at the spots that are wanted.
    pub fn new(fold: Fold, wanted: impl Fn(Spot) -> bool + 'static) -> Self {
        Self {
            fold,
            layout: Layout::of([fold]),
            wanted: Box::new(wanted),
            parts: Vec::new(),
        }
    }

    /// The cell, folded from the parts alone.
    pub fn value(&self) -> Value {
        let mut cell = Cell::new(&self.layout);
        for part in &self.parts {
            cell.put(&self.layout, part.measure, part.amount.amount());
        }
        cell.finish();
        cell.value(&self.layout, self.fold)
    }
}

impl Sink for Parts {
    fn shows_facts(&self) -> bool {
        true
    }

    fn wants(&self, measure: Measure) -> bool {
        self.layout.has(measure)
    }

    fn put(
        &mut self,
        spot: Spot,
        measure: Measure,
        amount: Amount<'_>,
        fact: impl FnOnce() -> Fact,
    ) {
        if self.layout.has(measure) && (self.wanted)(spot) {
            self.parts.push(Part {
                measure,
                amount: Kept::of(amount),
                fact: fact(),
            });
        }
    }
}
