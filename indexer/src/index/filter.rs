//! From a question to Tantivy's query, and what a query cannot tell: kinds of conversations, which
//! follow the directory of now, and messages to several pairs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_semantics::conversation::{Kind, kind_of_pair, kind_of_room};
use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;
use tantivy::collector::Count;
use tantivy::columnar::StrColumn;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery,
    TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::fold::fold;
use super::query::{Filter, Operator};
use super::schema::{FIELDS, SHARED};
use super::search::Question;
use super::tally::{By, Groups};

const ALWAYS: Interval = Interval {
    from_ms: None,
    to_ms: None,
};

/// Which conversations a question is about. A message to several pairs is found when one of its
/// pairs passes every filter, and is shown there: the whole message would pass with an employee
/// of one pair and a customer of another, and would show a pair outside the scope.
#[derive(Clone)]
pub(super) struct Wanted {
    question: Arc<Question>,
    scope: Scope,
    departments: Arc<BTreeSet<String>>,
    kinds: Arc<Kinds>,
    /// Those of the question; none for all.
    asked_kinds: Option<Arc<[Kind]>>,
    filters: Arc<[Meant]>,
}

impl Wanted {
    /// The filters of a question within a scope.
    pub(super) fn new(
        rooms: &Rooms,
        scope: &Scope,
        directory: &Arc<Directory>,
        question: &Question,
    ) -> Self {
        let departments = question.departments.iter();
        let filters: Vec<Meant> = meant(directory, question).collect();
        Self {
            asked_kinds: asked_kinds(question).map(Arc::from),
            filters: filters.into(),
            question: Arc::new(question.clone()),
            scope: scope.clone(),
            departments: Arc::new(
                departments
                    .flat_map(|id| directory.departments_below(id))
                    .collect(),
            ),
            kinds: Arc::new(Kinds::new(rooms, directory)),
        }
    }

    /// Whether conversations of every kind are asked for.
    pub(super) fn takes_every_kind(&self) -> bool {
        self.asked_kinds.is_none()
    }

    fn takes(&self, kind: Kind) -> bool {
        self.asked_kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Whether a conversation is of a kind that is asked for.
    pub(super) fn takes_kind_of(&self, conversation: &str) -> bool {
        self.takes_every_kind() || self.takes(self.kinds.of(conversation))
    }

    /// Whether a record between nobody, such as a `switch`, is asked for.
    pub(super) fn takes_nobody(&self) -> bool {
        self.takes(Kind::Other)
    }

    /// The groups that the messages of a conversation count for.
    pub(super) fn groups_of(&self, by: By, conversation: &str) -> Arc<Groups> {
        if let Ok(known) = self.kinds.groups.lock()
            && let Some(groups) = known.get(conversation)
        {
            return Arc::clone(groups);
        }
        let people = || self.kinds.employees_of(conversation);
        let directory = &self.kinds.directory;
        let groups = Arc::new(Groups::of(by, Some(conversation), people, directory));
        if let Ok(mut known) = self.kinds.groups.lock() {
            known.insert(conversation.to_owned(), Arc::clone(&groups));
        }
        groups
    }

    /// The groups that a record between nobody counts for.
    pub(super) fn groups_of_sender(&self, by: By, sender: &str) -> Groups {
        let directory = &self.kinds.directory;
        let people = || match directory.role(sender) {
            Role::Employee => vec![(sender.to_owned(), ALWAYS)],
            _ => Vec::new(),
        };
        Groups::of(by, None, people, directory)
    }

    /// The kind of a conversation now.
    pub(super) fn kind_of(&self, conversation: &str) -> Kind {
        self.kinds.of(conversation)
    }

    /// Whether a conversation passes every filter of the question and the scope.
    pub(super) fn passes(&self, conversation: &str, at_ms: i64) -> bool {
        let question = &self.question;
        if !self.takes_kind_of(conversation) {
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
        let holds = |filter: &Meant| match filter.on {
            Operator::With => has(&filter.any_of) != filter.is_negated,
            Operator::In => filter.any_of.iter().any(|id| id == conversation) != filter.is_negated,
            // The message as a whole decides of the negated one.
            Operator::To => filter.is_negated || has(&filter.any_of),
            _ => true,
        };
        has(&question.employees)
            && has(&question.customers)
            && self.filters.iter().all(holds)
            && in_departments
            && question.rooms.is_empty()
            && question
                .conversation
                .as_deref()
                .is_none_or(|id| id == conversation)
            && (self.scope.is_all() || self.scope.sees_employee(a) || self.scope.sees_employee(b))
    }
}

/// An operator whose values are ids: a name stands for all who bear it.
struct Meant {
    on: Operator,
    any_of: Vec<String>,
    is_negated: bool,
}

fn meant(directory: &Directory, question: &Question) -> impl Iterator<Item = Meant> {
    question.query.filters.iter().map(|filter| Meant {
        on: filter.on,
        any_of: filter
            .any_of
            .iter()
            .flat_map(|value| ids_meant(directory, filter.on, value))
            .collect(),
        is_negated: filter.is_negated,
    })
}

/// The value itself, and the ids of those who bear it as a name.
fn ids_meant(directory: &Directory, on: Operator, value: &str) -> Vec<String> {
    let mut ids = match (on, value.split_once('|')) {
        (Operator::In, Some((a, b))) => vec![huicun_semantics::conversation::pair_id(a, b)],
        _ => vec![value.to_owned()],
    };
    let name_of = |number: u32| directory.ids.name(number).to_owned();
    match on {
        Operator::From | Operator::To | Operator::With => {
            let employees = directory.employees.iter();
            let named = employees.filter(|(_, employee)| employee.name == value);
            ids.extend(named.map(|(id, _)| id.clone()));
            let customers = directory.customers.iter();
            let named = customers.filter(|customer| &*customer.name == value);
            ids.extend(named.map(|customer| name_of(customer.number)));
        }
        Operator::In => {
            let named = directory
                .groups
                .iter()
                .filter(|group| group.name.as_deref() == Some(value));
            ids.extend(named.map(|group| name_of(group.chat)));
        }
        _ => {}
    }
    ids
}

/// The kinds that flags and operators leave; none where nobody names any.
fn asked_kinds(question: &Question) -> Option<Vec<Kind>> {
    let operators = question.query.filters.iter();
    let operators: Vec<&Filter> = operators.filter(|f| f.on == Operator::Kind).collect();
    if question.kinds.is_empty() && operators.is_empty() {
        return None;
    }
    let holds = |kind: &Kind| {
        (question.kinds.is_empty() || question.kinds.contains(kind))
            && operators.iter().all(|filter| {
                let is_named = filter.any_of.iter().any(|name| name == kind.as_str());
                is_named != filter.is_negated
            })
    };
    Some(Kind::ALL.into_iter().filter(holds).collect())
}

/// Kinds of conversations, each resolved once a search.
pub struct Kinds {
    directory: Arc<Directory>,
    rooms: Rooms,
    known: Mutex<HashMap<String, Kind>>,
    /// What conversations count for, where messages are counted.
    groups: Mutex<HashMap<String, Arc<Groups>>>,
}

impl Kinds {
    pub(super) fn new(rooms: &Rooms, directory: &Arc<Directory>) -> Self {
        Self {
            directory: Arc::clone(directory),
            rooms: rooms.clone(),
            known: Mutex::default(),
            groups: Mutex::default(),
        }
    }

    /// The kind of a conversation now.
    pub fn of(&self, conversation: &str) -> Kind {
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

    /// The employees who take part in a conversation, and when; see [`takes_part`].
    fn employees_of(&self, conversation: &str) -> Vec<(String, Interval)> {
        let is_employee = |id: &str| self.directory.role(id) == Role::Employee;
        let mut found: Vec<(String, Interval)> = match conversation.split_once('|') {
            Some((a, b)) => [a, b].map(|id| (id.to_owned(), ALWAYS)).into(),
            None => (self.rooms.people_of(conversation))
                .map(|id| (id, ALWAYS))
                .collect(),
        };
        let groups = &self.directory.groups;
        let chat = self.directory.ids.get(conversation);
        for stay in chat.into_iter().flat_map(|chat| groups.of_chat(chat)) {
            let member = self.directory.ids.name(stay.member);
            found.push((member.to_owned(), stay.interval()));
        }
        found.retain(|(id, _)| is_employee(id));
        found
    }

    /// Whether a customer ever spoke or received in the room.
    fn room_has_customer(&self, room: &str) -> bool {
        let mut people = self.rooms.people_of(room);
        people.any(|person| self.directory.role(&person) == Role::Customer)
    }
}

/// The text of an ordinal.
pub(super) fn read_name(column: &StrColumn, ordinal: u64, name: &mut String) -> bool {
    name.clear();
    matches!(column.ord_to_str(ordinal, name), Ok(true))
}

/// Who ever spoke or received in which room, as far as the asker may know. A room in which nobody
/// in his scope ever did is seen only for the times when one of them was a member; so of such a
/// room only people of those times are told. Else filters, kinds and counts would tell of messages
/// that he may not read.
#[derive(Clone)]
pub(super) struct Rooms {
    searcher: Searcher,
    /// The rooms that are seen in part, and when.
    partial: Arc<HashMap<String, Vec<Interval>>>,
}

impl Rooms {
    /// As a scope sees them.
    pub(super) fn new(searcher: &Searcher, scope: &Scope, directory: &Directory) -> Self {
        let visible: Vec<&str> = match scope.employees() {
            Some(people) => people.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let mut partial: HashMap<String, Vec<Interval>> = HashMap::new();
        for person in &visible {
            for (room, interval) in directory.memberships_of(person) {
                partial.entry(room.to_owned()).or_default().push(interval);
            }
        }
        if !partial.is_empty() {
            for person in &visible {
                for room in partners(searcher, FIELDS.person_room, person) {
                    partial.remove(&room);
                }
            }
        }
        Self {
            searcher: searcher.clone(),
            partial: Arc::new(partial),
        }
    }

    /// The rooms of a person.
    fn of(&self, person: &str) -> impl Iterator<Item = String> {
        let rooms = partners(&self.searcher, FIELDS.person_room, person).into_iter();
        rooms.filter(|room| self.is_told(room, person))
    }

    /// The people of a room.
    fn people_of(&self, room: &str) -> impl Iterator<Item = String> {
        let people = partners(&self.searcher, FIELDS.room_person, room).into_iter();
        people.filter(|person| self.is_told(room, person))
    }

    fn is_told(&self, room: &str, person: &str) -> bool {
        let Some(stays) = self.partial.get(room) else {
            return true;
        };
        let times = stays.iter().map(|stay| between(stay.from_ms, stay.to_ms));
        let seen = BooleanQuery::intersection(vec![
            term(FIELDS.conversation, room),
            Box::new(BooleanQuery::union(vec![
                term(FIELDS.from, person),
                term(FIELDS.to, person),
            ])),
            Box::new(BooleanQuery::union(times.collect())),
        ]);
        // What cannot be read is closed.
        self.searcher.search(&seen, &Count).is_ok_and(|n| n > 0)
    }
}

/// What follows `first NUL` in a dictionary of pairs. The dictionary holds every pair that was
/// ever seen, so no document is read.
pub(super) fn partners(searcher: &Searcher, field: Field, first: &str) -> BTreeSet<String> {
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
    known: &Rooms,
    directory: &Directory,
    people: impl Iterator<Item = &'a str> + Clone,
) -> Box<dyn TantivyQuery> {
    let rooms: BTreeSet<String> = people.clone().flat_map(|person| known.of(person)).collect();
    let mut any = vec![
        any_term(FIELDS.from, people.clone()),
        any_term(FIELDS.to, people.clone()),
        any_term(FIELDS.conversation, rooms.iter().map(String::as_str)),
    ];
    for person in people {
        for (room, interval) in directory.memberships_of(person) {
            any.push(Box::new(BooleanQuery::intersection(vec![
                term(FIELDS.conversation, room),
                between(interval.from_ms, interval.to_ms),
            ])));
        }
    }
    Box::new(BooleanQuery::union(any))
}

/// Messages of files in whose names one of the literals occurs.
fn file_named(literals: &[String]) -> Box<dyn TantivyQuery> {
    Box::new(BooleanQuery::intersection(vec![
        term(FIELDS.msgtype, "file"),
        Box::new(BooleanQuery::union(
            literals.iter().map(|text| literal(text)).collect(),
        )),
    ]))
}

/// What an operator finds, and whether it looks at conversations, of which a message can have
/// several.
fn found_by(
    known: &Rooms,
    directory: &Directory,
    filter: &Meant,
) -> Option<(Box<dyn TantivyQuery>, bool)> {
    let values = || filter.any_of.iter().map(String::as_str);
    Some(match filter.on {
        Operator::From => (any_term(FIELDS.from, values()), false),
        Operator::To => (any_term(FIELDS.to, values()), false),
        Operator::With => (takes_part(known, directory, values()), true),
        Operator::In => (any_term(FIELDS.conversation, values()), true),
        Operator::Type => (any_term(FIELDS.msgtype, values()), false),
        Operator::File => (file_named(&filter.any_of), false),
        // Kinds follow the directory: the collector asks for them. Days are in the period.
        Operator::Kind | Operator::Before | Operator::After => return None,
    })
}

/// Messages in which an employee takes part who was then in one of `departments` or below.
fn department_takes_part(
    known: &Rooms,
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
        for interval in directory.times_in(person, &below) {
            match (interval.from_ms, interval.to_ms) {
                (None, None) => steady.push(person.as_str()),
                (from_ms, to_ms) => any.push(Box::new(BooleanQuery::intersection(vec![
                    takes_part(known, directory, std::iter::once(person.as_str())),
                    between(from_ms, to_ms),
                ]))),
            }
        }
    }
    any.push(takes_part(known, directory, steady.into_iter()));
    Box::new(BooleanQuery::union(any))
}

pub(super) fn to_tantivy(
    known: &Rooms,
    scope: &Scope,
    directory: &Directory,
    question: &Question,
) -> Box<dyn TantivyQuery> {
    let mut clauses: Vec<(Occur, Box<dyn TantivyQuery>)> = Vec::new();
    // Each literal scores one and nothing else does; only one order asks.
    let scored = |text: &String| -> Box<dyn TantivyQuery> {
        Box::new(ConstScoreQuery::new(literal(text), 1.0))
    };
    for group in &question.query.all_of {
        let one_of = match group.as_slice() {
            [one] => scored(one),
            several => Box::new(BooleanQuery::union(several.iter().map(scored).collect())),
        };
        clauses.push((Occur::Must, one_of));
    }
    let mut must = |query| {
        let unscored: Box<dyn TantivyQuery> = Box::new(ConstScoreQuery::new(query, 0.0));
        clauses.push((Occur::Must, unscored));
    };
    if let Some(visible) = scope.employees() {
        must(takes_part(
            known,
            directory,
            visible.iter().map(String::as_str),
        ));
    }
    if question.from_ms.is_some() || question.to_ms.is_some() {
        must(between(question.from_ms, question.to_ms));
    }
    if !question.employees.is_empty() {
        must(takes_part(
            known,
            directory,
            question.employees.iter().map(String::as_str),
        ));
    }
    if !question.customers.is_empty() {
        must(takes_part(
            known,
            directory,
            question.customers.iter().map(String::as_str),
        ));
    }
    if !question.departments.is_empty() {
        must(department_takes_part(
            known,
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
    if let Some(seq) = question.seq {
        let only = Bound::Included(Term::from_field_i64(FIELDS.seq, seq));
        must(Box::new(RangeQuery::new(only.clone(), only)));
    }
    if !question.types.is_empty() {
        must(any_term(
            FIELDS.msgtype,
            question.types.iter().map(String::as_str),
        ));
    }
    let mut unwanted_by_filter: Vec<Box<dyn TantivyQuery>> = Vec::new();
    for filter in meant(directory, question) {
        match found_by(known, directory, &filter) {
            Some((found, _)) if !filter.is_negated => must(found),
            Some((found, false)) => unwanted_by_filter.push(found),
            // Of a message to several pairs the collector looks at each.
            Some((found, true)) => {
                unwanted_by_filter.push(Box::new(BooleanQuery::new(vec![
                    (Occur::Must, found),
                    (Occur::MustNot, term(FIELDS.shared, SHARED)),
                ])));
            }
            None => {}
        }
    }
    if clauses.is_empty() {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    for unwanted in unwanted_by_filter {
        clauses.push((Occur::MustNot, unwanted));
    }
    for unwanted in &question.query.none_of {
        clauses.push((Occur::MustNot, literal(unwanted)));
    }
    Box::new(BooleanQuery::new(clauses))
}
