//! From a question to Tantivy's query, and what a query cannot tell: kinds of conversations, which
//! follow the directory of now, and messages to several pairs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_semantics::conversation::{Kind, kind_of_pair, kind_of_room};
use huicun_semantics::role::Role;
use tantivy::query::{
    AllQuery, BooleanQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::fold::fold;
use super::schema::FIELDS;
use super::search::Question;

/// Which conversations a question is about. A message to several pairs is found when one of its
/// pairs passes every filter, and is shown there: the whole message would pass with an employee
/// of one pair and a customer of another, and would show a pair outside the scope.
#[derive(Clone)]
pub(super) struct Wanted {
    question: Arc<Question>,
    scope: Scope,
    departments: Arc<BTreeSet<String>>,
    kinds: Arc<Kinds>,
}

impl Wanted {
    /// The filters of a question within a scope.
    pub(super) fn new(
        searcher: &Searcher,
        scope: &Scope,
        directory: &Arc<Directory>,
        question: &Question,
    ) -> Self {
        let departments = question.departments.iter();
        Self {
            question: Arc::new(question.clone()),
            scope: scope.clone(),
            departments: Arc::new(
                departments
                    .flat_map(|id| directory.departments_below(id))
                    .collect(),
            ),
            kinds: Arc::new(Kinds {
                directory: Arc::clone(directory),
                searcher: searcher.clone(),
                known: Mutex::default(),
            }),
        }
    }

    /// The kinds that are asked for; all when empty.
    pub(super) fn kinds(&self) -> &[Kind] {
        &self.question.kinds
    }

    /// The kind of a conversation now.
    pub(super) fn kind_of(&self, conversation: &str) -> Kind {
        self.kinds.of(conversation)
    }

    /// Whether a conversation passes every filter of the question and the scope.
    pub(super) fn passes(&self, conversation: &str, at_ms: i64) -> bool {
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
        for (room, interval) in directory.memberships_of(person) {
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
        for interval in directory.times_in(person, &below) {
            match (interval.from_ms, interval.to_ms) {
                (None, None) => steady.push(person.as_str()),
                (from_ms, to_ms) => any.push(Box::new(BooleanQuery::intersection(vec![
                    takes_part(searcher, directory, std::iter::once(person.as_str())),
                    between(from_ms, to_ms),
                ]))),
            }
        }
    }
    any.push(takes_part(searcher, directory, steady.into_iter()));
    Box::new(BooleanQuery::union(any))
}

pub(super) fn to_tantivy(
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
