//! Counts what a question finds instead of listing it: by conversation, employee, department,
//! type or day. The number of a group is what a search with that group as a filter finds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use huicun_engine::directory::Directory;
use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;
use huicun_semantics::time::{Period, Zone};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::filter::{Wanted, read_name};

/// What messages are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Conversation (会话).
    Conversation,
    /// Employee who takes part (员工).
    Employee,
    /// Department, with everything below, of an employee who takes part (部门).
    Department,
    /// WeCom's type (消息类型).
    Type,
    /// Day in the company's zone (日期), as YYYY-MM-DD.
    Day,
}

impl By {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("conversation", Self::Conversation),
        ("employee", Self::Employee),
        ("department", Self::Department),
        ("type", Self::Type),
        ("day", Self::Day),
    ];
}

/// The messages of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub n_messages: u64,
    /// msgtime of the last of them, UTC milliseconds.
    pub last_ms: i64,
}

impl Count {
    fn add(&mut self, other: Self) {
        if self.n_messages == 0 || other.n_messages > 0 && other.last_ms > self.last_ms {
            self.last_ms = other.last_ms;
        }
        self.n_messages += other.n_messages;
    }

    fn add_one(&mut self, at_ms: i64) {
        self.add(Self {
            n_messages: 1,
            last_ms: at_ms,
        });
    }
}

/// What a tally found.
#[derive(Debug, Clone, Default)]
pub struct Tallied {
    /// By id, without empty ones.
    pub groups: BTreeMap<Arc<str>, Count>,
    /// All matches, each once; exact.
    pub n_total: u64,
    /// The version of `messages` that was searched.
    pub messages_version: u64,
}

/// The groups that the messages of a conversation count for.
#[derive(Default)]
pub(super) struct Groups {
    /// Whenever they were sent.
    always: Vec<Arc<str>>,
    /// When they were sent at one of these times.
    at_times: Vec<(Arc<str>, Vec<Interval>)>,
}

impl Groups {
    /// The groups of a conversation, or a record between nobody, in which `people` take part, each for a time.
    pub(super) fn of(
        by: By,
        conversation: Option<&str>,
        people: impl FnOnce() -> Vec<(String, Interval)>,
        directory: &Directory,
    ) -> Self {
        let mut groups = Self::default();
        match by {
            By::Conversation => groups.always.extend(conversation.map(Arc::from)),
            By::Employee => {
                groups.take(people().into_iter().map(|(id, time)| (Arc::from(id), time)))
            }
            By::Department => groups.take(people().iter().flat_map(|(id, time)| {
                departments(directory, id)
                    .into_iter()
                    .filter_map(|(department, stay)| Some((department, both(*time, stay)?)))
            })),
            By::Type | By::Day => {}
        }
        groups
    }

    fn take(&mut self, stays: impl Iterator<Item = (Arc<str>, Interval)>) {
        let mut times: BTreeMap<Arc<str>, Vec<Interval>> = BTreeMap::new();
        for (group, time) in stays {
            times.entry(group).or_default().push(time);
        }
        for (group, times) in times {
            let is_always = |time: &Interval| time.from_ms.is_none() && time.to_ms.is_none();
            if times.iter().any(is_always) {
                self.always.push(group);
            } else {
                self.at_times.push((group, times));
            }
        }
    }

    fn at(&self, at_ms: i64) -> impl Iterator<Item = &Arc<str>> {
        let timed = self.at_times.iter();
        let now = timed.filter(move |(_, times)| times.iter().any(|t| t.contains(at_ms)));
        self.always.iter().chain(now.map(|(group, _)| group))
    }
}

/// The departments of an employee, and those above, with their times.
fn departments(directory: &Directory, userid: &str) -> Vec<(Arc<str>, Interval)> {
    if directory.role(userid) != Role::Employee {
        return Vec::new();
    }
    let Some(number) = directory.ids.get(userid) else {
        return Vec::new();
    };
    let stays = directory.organisation.history(number);
    stays
        .flat_map(|(department, stay)| {
            let above = directory.organisation.above(department).iter();
            above.map(move |id| (Arc::from(directory.ids.name(*id)), stay))
        })
        .collect()
}

/// The time that two have in common; none where it is empty.
fn both(a: Interval, b: Interval) -> Option<Interval> {
    let from_ms = a.from_ms.into_iter().chain(b.from_ms).max();
    let to_ms = a.to_ms.into_iter().chain(b.to_ms).min();
    let is_empty = from_ms.zip(to_ms).is_some_and(|(from, to)| from >= to);
    (!is_empty).then_some(Interval { from_ms, to_ms })
}

/// The collector.
pub(super) struct Tally {
    pub(super) by: By,
    pub(super) wanted: Wanted,
    pub(super) zone: Zone,
}

/// A conversation in a segment.
struct Conversation {
    groups: Arc<Groups>,
    count: Count,
    /// As `groups.at_times`.
    at_times: Vec<Count>,
}

pub(super) struct TallySegment {
    by: By,
    wanted: Wanted,
    zone: Zone,
    at: Column<i64>,
    conversation: Option<StrColumn>,
    from: Option<StrColumn>,
    msgtype: Option<StrColumn>,
    /// By ordinal; none for one of a kind that is not asked for.
    conversations: HashMap<u64, Option<Conversation>>,
    /// By ordinal.
    types: HashMap<u64, Count>,
    /// The day of the last message and the instants between which it lies.
    day: (Arc<str>, Range<i64>),
    groups: HashMap<Arc<str>, Count>,
    name: String,
    n_total: u64,
}

impl Collector for Tally {
    type Fruit = Tallied;
    type Child = TallySegment;

    fn for_segment(
        &self,
        _segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<TallySegment> {
        let fast = reader.fast_fields();
        Ok(TallySegment {
            by: self.by,
            wanted: self.wanted.clone(),
            zone: self.zone,
            at: fast.i64("at")?,
            conversation: fast.str("conversation")?,
            from: fast.str("from")?,
            msgtype: fast.str("msgtype")?,
            conversations: HashMap::new(),
            types: HashMap::new(),
            day: ("".into(), 0..0),
            groups: HashMap::new(),
            name: String::new(),
            n_total: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(
        &self,
        segments: Vec<(HashMap<Arc<str>, Count>, u64)>,
    ) -> tantivy::Result<Tallied> {
        let mut tallied = Tallied::default();
        for (groups, n_total) in segments {
            tallied.n_total += n_total;
            for (group, count) in groups {
                tallied.groups.entry(group).or_default().add(count);
            }
        }
        Ok(tallied)
    }
}

impl TallySegment {
    /// Whether it belongs to no conversation: a record between nobody, such as a `switch`.
    fn is_alone(&self, doc: DocId) -> bool {
        let mut columns = self.conversation.iter();
        columns.all(|column| column.term_ords(doc).next().is_none())
    }

    /// Counts a message for its conversation, or each of its conversations that passes; false
    /// where none does.
    fn count_conversations(&mut self, doc: DocId, at_ms: i64) -> bool {
        let Self {
            wanted,
            name,
            by,
            conversations,
            groups,
            ..
        } = self;
        let Some(column) = &self.conversation else {
            return false;
        };
        let mut ordinals = column.term_ords(doc);
        let (Some(first), second) = (ordinals.next(), ordinals.next()) else {
            return false;
        };
        let Some(second) = second else {
            let known = conversations.entry(first).or_insert_with(|| {
                let is_asked = read_name(column, first, name) && wanted.takes_kind_of(name);
                is_asked.then(|| {
                    let groups = wanted.groups_of(*by, name);
                    Conversation {
                        count: Count::default(),
                        at_times: vec![Count::default(); groups.at_times.len()],
                        groups,
                    }
                })
            });
            let Some(known) = known else {
                return false;
            };
            known.count.add_one(at_ms);
            for ((_, times), count) in known.groups.at_times.iter().zip(&mut known.at_times) {
                if times.iter().any(|time| time.contains(at_ms)) {
                    count.add_one(at_ms);
                }
            }
            return true;
        };
        // A message to several pairs counts once for each group of those that pass.
        let mut of_message: Option<BTreeSet<Arc<str>>> = None;
        for ordinal in [first, second].into_iter().chain(ordinals) {
            if read_name(column, ordinal, name) && wanted.passes(name, at_ms) {
                let groups = wanted.groups_of(*by, name);
                let of_message = of_message.get_or_insert_default();
                of_message.extend(groups.at(at_ms).cloned());
            }
        }
        let is_found = of_message.is_some();
        for group in of_message.into_iter().flatten() {
            groups.entry(group).or_default().add_one(at_ms);
        }
        is_found
    }

    /// Counts a record between nobody for who sent it; false where none is asked for.
    fn count_alone(&mut self, doc: DocId, at_ms: i64) -> bool {
        if !self.wanted.takes_nobody() {
            return false;
        }
        let senders = self.from.as_ref();
        let sender = senders.and_then(|column| Some((column, column.term_ords(doc).next()?)));
        if let Some((column, ordinal)) = sender
            && read_name(column, ordinal, &mut self.name)
        {
            let groups = self.wanted.groups_of_sender(self.by, &self.name);
            for group in groups.at(at_ms) {
                let count = self.groups.entry(Arc::clone(group)).or_default();
                count.add_one(at_ms);
            }
        }
        true
    }

    fn count_day(&mut self, at_ms: i64) {
        if !self.day.1.contains(&at_ms) {
            let day = self.zone.day_of(at_ms);
            let period = Period { from: day, to: day };
            let instants = period.start_ms(self.zone)..period.end_ms(self.zone);
            self.day = (day.to_string().into(), instants);
        }
        let count = self.groups.entry(Arc::clone(&self.day.0)).or_default();
        count.add_one(at_ms);
    }
}

impl SegmentCollector for TallySegment {
    type Fruit = (HashMap<Arc<str>, Count>, u64);

    fn collect(&mut self, doc: DocId, _score: Score) {
        let at_ms = self.at.first(doc).unwrap_or_default();
        let is_found = if self.is_alone(doc) {
            self.count_alone(doc, at_ms)
        } else {
            self.count_conversations(doc, at_ms)
        };
        if !is_found {
            return;
        }
        self.n_total += 1;
        match self.by {
            By::Day => self.count_day(at_ms),
            By::Type => {
                let mut types = self.msgtype.iter().flat_map(|column| column.term_ords(doc));
                if let Some(ordinal) = types.next() {
                    self.types.entry(ordinal).or_default().add_one(at_ms);
                }
            }
            By::Conversation | By::Employee | By::Department => {}
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        for known in self.conversations.into_values().flatten() {
            let always = known.groups.always.iter().map(|group| (group, known.count));
            let timed = known.groups.at_times.iter().zip(&known.at_times);
            let timed = timed.map(|((group, _), count)| (group, *count));
            for (group, count) in always.chain(timed) {
                if count.n_messages > 0 {
                    self.groups.entry(Arc::clone(group)).or_default().add(count);
                }
            }
        }
        for (ordinal, count) in self.types {
            if let Some(column) = &self.msgtype
                && read_name(column, ordinal, &mut self.name)
            {
                let group = Arc::from(self.name.as_str());
                self.groups.entry(group).or_default().add(count);
            }
        }
        (self.groups, self.n_total)
    }
}
