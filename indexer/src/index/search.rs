//! Answers searches: exact literals, filters, newest first, exact counts, highlights.
//!
//! Every question takes a [`Scope`] first. Roles, and with them the kind of a conversation, are
//! those of the directory of now, so they are looked up here and never stored in the index.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_semantics::conversation::{Kind, kind_of_pair, kind_of_room};
use huicun_semantics::role::Role;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::query::{
    AllQuery, BooleanQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption, TantivyDocument, Value};
use tantivy::{
    DocAddress, DocId, Index, IndexReader, ReloadPolicy, Score, Searcher, SegmentOrdinal,
    SegmentReader, Term,
};

use super::fold::{find_all, fold};
use super::follow::{self, IndexError, Watermark};
use super::query::Query;
use super::schema::{FIELDS, Stored};

/// In which order hits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Latest msgtime first.
    #[default]
    NewestFirst,
    /// As it was said.
    OldestFirst,
}

/// Where a page of hits goes on: after the hit with this msgtime and seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct After {
    /// msgtime, UTC milliseconds.
    pub at_ms: i64,
    /// WeCom's number.
    pub seq: i64,
    /// Tells messages with the same two apart: [`tie`] of the hit.
    pub tie: u64,
}

/// A number that decides between messages of one msgtime and seq, as imports and several sources
/// can have; the same at any time and in any segment.
pub fn tie(source: &str, msgid: &str) -> u64 {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash = digest(&SHA256, format!("{source}\0{msgid}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    u64::from_be_bytes(first)
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// What must occur in the text.
    pub query: Query,
    /// `[from, to)` in UTC milliseconds.
    pub from_ms: Option<i64>,
    /// `[from, to)` in UTC milliseconds.
    pub to_ms: Option<i64>,
    /// One of these employees takes part.
    pub employees: Vec<String>,
    /// One of these customers takes part.
    pub customers: Vec<String>,
    /// An employee of one of these departments (or below) takes part.
    pub departments: Vec<String>,
    /// In one of these rooms.
    pub rooms: Vec<String>,
    /// In this conversation (a room id, or `a|b`).
    pub conversation: Option<String>,
    /// Of one of these WeCom types.
    pub types: Vec<String>,
    /// In a conversation of one of these kinds.
    pub kinds: Vec<Kind>,
    /// Hits of a page; 0 is all.
    pub limit: usize,
    /// Where the page goes on.
    pub after: Option<After>,
    /// The order of hits.
    pub order: Order,
}

/// One found message.
#[derive(Clone)]
pub struct Hit {
    /// The message.
    pub message: Stored,
    /// Its conversation: the room, or the pair (of several, the one asked for or the first); none
    /// for a record between nobody, such as a `switch`.
    pub conversation: Option<String>,
    /// The conversation's kind now.
    pub kind: Kind,
    /// `[start, end)` in Unicode scalar values of the text, ascending.
    pub highlights: Vec<(u32, u32)>,
}

/// The hits of a page.
pub struct Found {
    /// The messages.
    pub hits: Vec<Hit>,
    /// All matches before the page's limit and place; exact.
    pub n_total: u64,
    /// Whether more follow this page.
    pub has_more: bool,
    /// The version of `messages` that was searched.
    pub messages_version: u64,
}

/// An open index.
pub struct SearchIndex {
    index: Index,
    reader: IndexReader,
}

impl SearchIndex {
    /// Opens the index in `folder`; `None` while there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, IndexError> {
        let Some(index) = follow::open(folder)? else {
            return Ok(None);
        };
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Some(Self { index, reader }))
    }

    /// What the index covers now.
    pub fn watermark(&self) -> Result<Option<Watermark>, IndexError> {
        follow::watermark(&self.index)
    }

    /// Answers a question over the newest commit, within `scope`.
    pub fn search(
        &self,
        scope: &Scope,
        directory: &Arc<Directory>,
        question: &Question,
    ) -> Result<Found, IndexError> {
        // The watermark is read first: the searched commit is that one or a later one.
        let version = self.watermark()?.map_or(0, |w| w.version);
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let query = to_tantivy(&searcher, scope, directory, question);
        let kinds = Arc::new(Kinds {
            directory: Arc::clone(directory),
            searcher: searcher.clone(),
            known: Mutex::default(),
        });
        let wanted = Wanted {
            question: Arc::new(question.clone()),
            scope: scope.clone(),
            departments: Arc::new(
                question
                    .departments
                    .iter()
                    .flat_map(|id| directory.departments_below(id))
                    .collect(),
            ),
            kinds,
        };
        let page = searcher.search(
            &query,
            &Page {
                limit: match question.limit {
                    0 => usize::MAX,
                    limit => limit,
                },
                after: question.after,
                order: question.order,
                wanted: wanted.clone(),
            },
        )?;
        let literals: Vec<Vec<char>> = question.query.positives().map(|l| fold(l).chars).collect();
        let mut by_address: Vec<(usize, DocAddress)> =
            page.places.iter().map(|p| p.address).enumerate().collect();
        // The store is compressed in blocks: reading in its own order opens each block once.
        by_address.sort_unstable_by_key(|(_, address)| *address);
        let mut hits: Vec<Option<Hit>> = vec![None; by_address.len()];
        for (position, address) in by_address {
            hits[position] = Some(self.hit(&searcher, address, &literals, &wanted)?);
        }
        Ok(Found {
            hits: hits.into_iter().flatten().collect(),
            n_total: page.n_total,
            has_more: page.has_more,
            messages_version: version,
        })
    }

    fn hit(
        &self,
        searcher: &Searcher,
        address: DocAddress,
        literals: &[Vec<char>],
        wanted: &Wanted,
    ) -> Result<Hit, IndexError> {
        let document: TantivyDocument = searcher.doc(address)?;
        let message: Stored = document
            .get_first(FIELDS.stored)
            .and_then(|v| v.as_bytes().and_then(|b| serde_json::from_slice(b).ok()))
            .ok_or_else(|| IndexError::BadDocument {
                msgid: "unknown".into(),
            })?;
        let to: Vec<&str> = message.to.iter().map(String::as_str).collect();
        let mut conversations =
            huicun_semantics::conversation::conversations_of(&message.from, &to, &message.room);
        if conversations.len() > 1 {
            conversations.retain(|conversation| wanted.passes(conversation, message.at));
        }
        let conversation = conversations.into_iter().next();
        Ok(Hit {
            kind: wanted.kinds.of(conversation.as_deref().unwrap_or_default()),
            conversation,
            highlights: highlights(&message.text, literals),
            message,
        })
    }
}

/// All places of all literals in the original text; overlapping ones are one.
pub fn highlights(text: &str, literals: &[Vec<char>]) -> Vec<(u32, u32)> {
    if literals.is_empty() {
        return Vec::new();
    }
    let folded = fold(text);
    let mut found: Vec<(u32, u32)> = literals
        .iter()
        .flat_map(|literal| find_all(&folded, literal))
        .collect();
    found.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(found.len());
    for (start, end) in found {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Which conversations a question is about. A message to several pairs is found when one of its
/// pairs passes every filter, and is shown there: the whole message would pass with an employee
/// of one pair and a customer of another, and would show a pair outside the scope.
#[derive(Clone)]
struct Wanted {
    question: Arc<Question>,
    scope: Scope,
    departments: Arc<BTreeSet<String>>,
    kinds: Arc<Kinds>,
}

impl Wanted {
    fn passes(&self, conversation: &str, at_ms: i64) -> bool {
        let question = &self.question;
        if !question.kinds.is_empty() && !question.kinds.contains(&self.kinds.of(conversation)) {
            return false;
        }
        let Some((a, b)) = conversation.split_once('|') else {
            return true;
        };
        let has = |ids: &[String]| ids.is_empty() || ids.iter().any(|id| id == a || id == b);
        let directory = &self.kinds.directory;
        let in_departments = self.question.departments.is_empty()
            || [a, b]
                .iter()
                .any(|id| directory.was_in(id, &self.departments, at_ms));
        has(&question.employees)
            && has(&question.customers)
            && in_departments
            && question.rooms.is_empty()
            && question
                .conversation
                .as_deref()
                .is_none_or(|id| id == conversation)
            && (self.scope.is_all() || self.scope.sees_employee(a) || self.scope.sees_employee(b))
    }
}

/// Kinds of conversations, each resolved once a search.
struct Kinds {
    directory: Arc<Directory>,
    searcher: Searcher,
    known: Mutex<HashMap<String, Kind>>,
}

impl Kinds {
    fn of(&self, conversation: &str) -> Kind {
        if let Ok(known) = self.known.lock()
            && let Some(kind) = known.get(conversation)
        {
            return *kind;
        }
        let kind = self.resolve(conversation);
        if let Ok(mut known) = self.known.lock() {
            known.insert(conversation.to_string(), kind);
        }
        kind
    }

    fn resolve(&self, conversation: &str) -> Kind {
        if conversation.is_empty() {
            return Kind::Other;
        }
        match conversation.split_once('|') {
            Some((a, b)) => kind_of_pair(self.directory.role(a), self.directory.role(b)),
            None => kind_of_room(
                self.directory.rooms_with_customers.contains(conversation)
                    || self.room_has_customer(conversation),
            ),
        }
    }

    /// Whether a customer ever spoke or received in the room.
    fn room_has_customer(&self, room: &str) -> bool {
        partners(&self.searcher, FIELDS.room_person, room)
            .iter()
            .any(|person| self.directory.role(person) == Role::Customer)
    }
}

/// What follows `first NUL` in a dictionary of pairs. The dictionary holds every pair that was
/// ever seen, so no document is read.
fn partners(searcher: &Searcher, field: Field, first: &str) -> BTreeSet<String> {
    let prefix = format!("{first}\0");
    let end = format!("{first}\u{1}");
    let mut found = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let Ok(index) = segment.inverted_index(field) else {
            continue;
        };
        let Ok(mut terms) = index.terms().range().ge(&prefix).lt(&end).into_stream() else {
            continue;
        };
        while terms.advance() {
            if let Ok(second) = std::str::from_utf8(&terms.key()[prefix.len()..]) {
                found.insert(second.to_string());
            }
        }
    }
    found
}

fn term(field: Field, text: &str) -> Box<dyn TantivyQuery> {
    Box::new(TermQuery::new(
        Term::from_field_text(field, text),
        IndexRecordOption::Basic,
    ))
}

fn any_term<'a>(field: Field, texts: impl Iterator<Item = &'a str>) -> Box<dyn TantivyQuery> {
    Box::new(TermSetQuery::new(
        texts.map(|text| Term::from_field_text(field, text)),
    ))
}

fn between(from_ms: Option<i64>, to_ms: Option<i64>) -> Box<dyn TantivyQuery> {
    let bound = |at: i64| Term::from_field_i64(FIELDS.at, at);
    if from_ms.is_none() && to_ms.is_none() {
        return Box::new(AllQuery);
    }
    Box::new(RangeQuery::new(
        from_ms.map_or(Bound::Unbounded, |at| Bound::Included(bound(at))),
        to_ms.map_or(Bound::Unbounded, |at| Bound::Excluded(bound(at))),
    ))
}

fn literal(text: &str) -> Box<dyn TantivyQuery> {
    let terms: Vec<Term> = fold(text)
        .chars
        .iter()
        .map(|c| Term::from_field_text(FIELDS.text, c.encode_utf8(&mut [0; 4])))
        .collect();
    match terms.len() {
        1 => Box::new(TermQuery::new(terms[0].clone(), IndexRecordOption::Basic)),
        _ => Box::new(PhraseQuery::new(terms)),
    }
}

/// Messages of the conversations in which one of `people` takes part: pairs with him, rooms in
/// which he ever spoke or received, and rooms of which he was a member at the time by the
/// directory (contract, "Taking part in a room").
fn takes_part<'a>(
    searcher: &Searcher,
    directory: &Directory,
    people: impl Iterator<Item = &'a str> + Clone,
) -> Box<dyn TantivyQuery> {
    let rooms: BTreeSet<String> = people
        .clone()
        .flat_map(|person| partners(searcher, FIELDS.person_room, person))
        .collect();
    let mut any = vec![
        any_term(FIELDS.person, people.clone()),
        any_term(FIELDS.conversation, rooms.iter().map(String::as_str)),
    ];
    for person in people {
        for (room, interval) in directory.memberships.get(person).into_iter().flatten() {
            any.push(Box::new(BooleanQuery::intersection(vec![
                term(FIELDS.conversation, room),
                between(interval.from_ms, interval.to_ms),
            ])));
        }
    }
    Box::new(BooleanQuery::union(any))
}

/// Messages in which an employee takes part who was then in one of `departments` or below.
fn department_takes_part(
    searcher: &Searcher,
    directory: &Directory,
    departments: &[String],
) -> Box<dyn TantivyQuery> {
    let below: BTreeSet<String> = departments
        .iter()
        .flat_map(|id| directory.departments_below(id))
        .collect();
    let people = directory.employees_ever_in(&below);
    let mut any: Vec<Box<dyn TantivyQuery>> = Vec::new();
    let mut steady = Vec::new();
    for person in &people {
        let left_ms = directory.employees.get(person).and_then(|e| e.left_ms);
        match directory.department_history.get(person) {
            None if left_ms.is_none() => steady.push(person.as_str()),
            None => any.push(Box::new(BooleanQuery::intersection(vec![
                takes_part(searcher, directory, std::iter::once(person.as_str())),
                between(None, left_ms),
            ]))),
            Some(history) => {
                for (_, interval) in history.iter().filter(|(id, _)| below.contains(id)) {
                    let to_ms = match (interval.to_ms, left_ms) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                    any.push(Box::new(BooleanQuery::intersection(vec![
                        takes_part(searcher, directory, std::iter::once(person.as_str())),
                        between(interval.from_ms, to_ms),
                    ])));
                }
            }
        }
    }
    any.push(takes_part(searcher, directory, steady.into_iter()));
    Box::new(BooleanQuery::union(any))
}

fn to_tantivy(
    searcher: &Searcher,
    scope: &Scope,
    directory: &Directory,
    question: &Question,
) -> Box<dyn TantivyQuery> {
    let mut clauses: Vec<(Occur, Box<dyn TantivyQuery>)> = Vec::new();
    let mut must = |query| clauses.push((Occur::Must, query));
    if let Some(visible) = scope.employees() {
        must(takes_part(
            searcher,
            directory,
            visible.iter().map(String::as_str),
        ));
    }
    for group in &question.query.all_of {
        match group.as_slice() {
            [one] => must(literal(one)),
            several => must(Box::new(BooleanQuery::union(
                several.iter().map(|l| literal(l)).collect(),
            ))),
        }
    }
    if question.from_ms.is_some() || question.to_ms.is_some() {
        must(between(question.from_ms, question.to_ms));
    }
    if !question.employees.is_empty() {
        must(takes_part(
            searcher,
            directory,
            question.employees.iter().map(String::as_str),
        ));
    }
    if !question.customers.is_empty() {
        must(takes_part(
            searcher,
            directory,
            question.customers.iter().map(String::as_str),
        ));
    }
    if !question.departments.is_empty() {
        must(department_takes_part(
            searcher,
            directory,
            &question.departments,
        ));
    }
    if !question.rooms.is_empty() {
        must(any_term(
            FIELDS.conversation,
            question.rooms.iter().map(String::as_str),
        ));
    }
    if let Some(conversation) = &question.conversation {
        must(term(FIELDS.conversation, conversation));
    }
    if !question.types.is_empty() {
        must(any_term(
            FIELDS.msgtype,
            question.types.iter().map(String::as_str),
        ));
    }
    if clauses.is_empty() {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    for unwanted in &question.query.none_of {
        clauses.push((Occur::MustNot, literal(unwanted)));
    }
    Box::new(BooleanQuery::new(clauses))
}

/// msgtime, seq and tie, turned so that smaller comes first.
type Key = (Reverse<i64>, Reverse<i64>, u64);

/// A hit's place in the order: smaller keys come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key: Key,
    address: DocAddress,
}

struct PageFruit {
    places: Vec<Place>,
    n_total: u64,
    has_more: bool,
}

/// Collects the first hits of an order, and counts all.
struct Page {
    limit: usize,
    after: Option<After>,
    order: Order,
    wanted: Wanted,
}

impl Page {
    /// Newest first as it is; oldest first by turning the sign.
    fn key(order: Order, at: i64, seq: i64, tie: u64) -> Key {
        match order {
            Order::NewestFirst => (Reverse(at), Reverse(seq), tie),
            // A forged page token may hold any number.
            Order::OldestFirst => {
                let turned = (at.saturating_neg(), seq.saturating_neg());
                (Reverse(turned.0), Reverse(turned.1), tie)
            }
        }
    }
}

struct PageSegment {
    segment: SegmentOrdinal,
    at: Column<i64>,
    seq: Column<i64>,
    tie: Column<u64>,
    conversation: Option<StrColumn>,
    wanted: Wanted,
    /// Whether the conversation of an ordinal is of a wanted kind.
    known_kinds: HashMap<u64, bool>,
    name: String,
    limit: usize,
    order: Order,
    after: Option<Key>,
    heap: BinaryHeap<Place>,
    n_total: u64,
    n_after: u64,
}

impl Collector for Page {
    type Fruit = PageFruit;
    type Child = PageSegment;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<PageSegment> {
        let fast = reader.fast_fields();
        Ok(PageSegment {
            segment,
            at: fast.i64("at")?,
            seq: fast.i64("seq")?,
            tie: fast.u64("tie")?,
            conversation: fast.str("conversation")?,
            wanted: self.wanted.clone(),
            known_kinds: HashMap::new(),
            name: String::new(),
            limit: self.limit,
            order: self.order,
            after: self
                .after
                .map(|a| Self::key(self.order, a.at_ms, a.seq, a.tie)),
            heap: BinaryHeap::new(),
            n_total: 0,
            n_after: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<(Vec<Place>, u64, u64)>) -> tantivy::Result<PageFruit> {
        let n_total = segments.iter().map(|(_, n, _)| n).sum();
        let n_after: u64 = segments.iter().map(|(_, _, n)| n).sum();
        let mut places: Vec<Place> = segments.into_iter().flat_map(|(p, _, _)| p).collect();
        places.sort_unstable();
        places.truncate(self.limit);
        Ok(PageFruit {
            has_more: n_after > places.len() as u64,
            places,
            n_total,
        })
    }
}

impl PageSegment {
    /// What the query alone cannot tell: the conversation's kind, and for a message to several
    /// pairs whether one of them passes everything.
    fn is_wanted(&mut self, doc: DocId, at: i64) -> bool {
        let kinds = &self.wanted.question.kinds;
        let Some(column) = &self.conversation else {
            return kinds.is_empty() || kinds.contains(&Kind::Other);
        };
        let mut ordinals = column.term_ords(doc);
        let Some(first) = ordinals.next() else {
            // A message in no conversation, such as a `switch`, is of no other kind.
            return kinds.is_empty() || kinds.contains(&Kind::Other);
        };
        match ordinals.next() {
            None if kinds.is_empty() => true,
            None => match self.known_kinds.get(&first) {
                Some(is_wanted) => *is_wanted,
                None => {
                    let is_wanted = read_name(column, first, &mut self.name)
                        && kinds.contains(&self.wanted.kinds.of(&self.name));
                    self.known_kinds.insert(first, is_wanted);
                    is_wanted
                }
            },
            Some(second) => {
                let all: Vec<u64> = [first, second].into_iter().chain(ordinals).collect();
                all.into_iter().any(|ordinal| {
                    read_name(column, ordinal, &mut self.name) && self.wanted.passes(&self.name, at)
                })
            }
        }
    }
}

fn read_name(column: &StrColumn, ordinal: u64, name: &mut String) -> bool {
    name.clear();
    matches!(column.ord_to_str(ordinal, name), Ok(true))
}

impl SegmentCollector for PageSegment {
    type Fruit = (Vec<Place>, u64, u64);

    fn collect(&mut self, doc: DocId, _score: Score) {
        let at = self.at.first(doc).unwrap_or_default();
        if !self.is_wanted(doc, at) {
            return;
        }
        self.n_total += 1;
        let seq = self.seq.first(doc).unwrap_or_default();
        let tie = self.tie.first(doc).unwrap_or_default();
        let key = Page::key(self.order, at, seq, tie);
        if self.after.is_some_and(|after| key <= after) {
            return;
        }
        self.n_after += 1;
        let place = Place {
            key,
            address: DocAddress::new(self.segment, doc),
        };
        if self.heap.len() < self.limit {
            self.heap.push(place);
        } else if self.heap.peek().is_some_and(|last| place < *last) {
            self.heap.pop();
            self.heap.push(place);
        }
    }

    fn harvest(self) -> Self::Fruit {
        (self.heap.into_vec(), self.n_total, self.n_after)
    }
}

/// Reads a kind's name.
///
/// # Errors
/// The names that there are.
pub fn parse_kind(name: &str) -> Result<Kind, String> {
    Kind::from_str(name).map_err(|e| e.to_string())
}
