//! Behaviours that are watched: red packets, cards, sensitive words, deleted friends (semantics 8).
//!
//! A rule applies to what enters the archive while it is on. So the rules in force are kept with each
//! message and each relation as it enters; roles are resolved when asked, like everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::company::Company;
use super::conversation::{Conversation, Role};
use super::directory::instant_at;
use super::json::string_at;
use super::message::Message;
use super::period::{Period, rfc3339};
use super::rules::{BehaviourRule, Rules, SensitiveRule};
use super::words::{hits, parse_words};

/// The rules under which each thing entered, and what reviewers said.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// By msgid.
    messages: BTreeMap<String, Arc<Rules>>,
    /// Every row of `relations` as it came in.
    relations: Vec<(Value, Arc<Rules>)>,
    latest: Option<Arc<Rules>>,
    /// The last verdict by kind and msgid; of a lost relation by kind and conversation.
    reviews: BTreeMap<(String, String), String>,
}

impl Watch {
    pub(super) fn take_message(&mut self, message: &Message, rules: &Rules) {
        let rules = self.keep(rules);
        self.messages.insert(message.msgid.clone(), rules);
    }

    pub(super) fn take_relation(&mut self, row: &Value, rules: &Rules) {
        let rules = self.keep(rules);
        self.relations.push((row.clone(), rules));
    }

    /// The same rules are kept once.
    fn keep(&mut self, rules: &Rules) -> Arc<Rules> {
        match &self.latest {
            Some(latest) if **latest == *rules => Arc::clone(latest),
            _ => {
                let kept = Arc::new(rules.clone());
                self.latest = Some(Arc::clone(&kept));
                kept
            }
        }
    }
}

/// What happened, and who did it.
#[derive(Debug)]
pub(super) struct Behaviour {
    pub(super) kind: &'static str,
    msgid: Option<String>,
    pub(super) at: i64,
    pub(super) trigger: String,
    conversation: String,
    /// Names of the rules hit, and the words.
    rules: Vec<String>,
    words: Vec<String>,
    review: Option<String>,
}

impl Behaviour {
    pub(super) fn is_confirmed(&self) -> bool {
        self.review.as_deref() == Some("confirmed")
    }
}

impl Company {
    /// Says that a reviewer confirmed the behaviour of a kind that a message is.
    pub fn confirm_behaviour(&mut self, kind: &str, msgid: &str) {
        self.review_behaviour(kind, msgid, "confirmed");
    }

    /// Says what a reviewer found of the behaviour of a kind that a message is, or that the loss of
    /// the relation of a conversation's pair is; the last review holds.
    pub fn review_behaviour(&mut self, kind: &str, of: &str, verdict: &str) {
        let behaviour = (kind.to_owned(), of.to_owned());
        self.watch.reviews.insert(behaviour, verdict.to_owned());
    }

    /// Applies the rules in force to everything that is already in the archive.
    pub fn rescan_behaviours(&mut self) {
        let rules = self.watch.keep(&self.rules);
        for kept in self.watch.messages.values_mut() {
            *kept = Arc::clone(&rules);
        }
        for (_, kept) in &mut self.watch.relations {
            *kept = Arc::clone(&rules);
        }
    }

    pub(super) fn all_behaviours(&self) -> Vec<Behaviour> {
        let mut behaviours = Vec::new();
        for message in &self.messages {
            let rules = &self.watch.messages[&message.msgid];
            self.watch_message(message, rules, &mut behaviours);
        }
        self.watch_relations(&mut behaviours);
        behaviours
    }

    fn watch_message(&self, message: &Message, rules: &Rules, out: &mut Vec<Behaviour>) {
        if !self.is_counted(message) {
            return;
        }
        let mut add = |kind: &'static str, names: Vec<String>, words: Vec<String>| {
            let Some(conversation) = self.watched_conversation(message, kind, rules) else {
                return;
            };
            let id = (kind.to_owned(), message.msgid.clone());
            out.push(Behaviour {
                kind,
                at: message.at,
                trigger: message.from.clone(),
                conversation: conversation.id(),
                rules: names,
                words,
                review: self.watch.reviews.get(&id).cloned(),
                msgid: Some(message.msgid.clone()),
            });
        };
        if matches!(&*message.msgtype, "redpacket" | "external_redpacket") {
            add("red_packet", Vec::new(), Vec::new());
        }
        if message.msgtype == "card" {
            add("card", Vec::new(), Vec::new());
        }
        let (names, words) = words_hit(&message.text, &rules.sensitive_rules);
        if !names.is_empty() {
            add("sensitive_word", names, words);
        }
    }

    /// The first conversation of the message in which its sender is watched for this kind.
    fn watched_conversation(
        &self,
        message: &Message,
        kind: &str,
        rules: &Rules,
    ) -> Option<Conversation> {
        let rule = rules.behaviours.get(kind)?;
        let role = self.role_of(&message.from);
        if !is_audited(rule, role) {
            return None;
        }
        message.conversations().into_iter().find(|conversation| {
            let employee = match (role, conversation) {
                (Role::Employee, _) => Some(&*message.from),
                (_, Conversation::Room(room)) => self.directory.responsible_at(room, message.at),
                (_, pair) => self.employee_of_pair(pair),
            };
            is_covered(rule, employee)
        })
    }

    /// A relation's loss is one behaviour, under the rules in force when the loss was told.
    fn watch_relations(&self, out: &mut Vec<Behaviour>) {
        let mut seen = BTreeSet::new();
        for (row, rules) in &self.watch.relations {
            let Some(added) = instant_at(row, "add_time") else {
                continue;
            };
            let userid = string_at(row, "userid");
            let customer = string_at(row, "external_userid");
            let key = (customer.to_owned(), added, userid.to_owned());
            let Some(relation) = self.directory.relations.get(&key) else {
                continue;
            };
            let is_told = instant_at(row, "lost_time").is_some();
            let (Some(lost), true) = (relation.lost, is_told) else {
                continue;
            };
            let (trigger, role) = match &*relation.lost_by {
                "customer" => (customer, Role::Customer),
                "employee" => (userid, Role::Employee),
                _ => continue,
            };
            let Some(rule) = rules.behaviours.get("friend_deleted") else {
                continue;
            };
            let is_watched = is_audited(rule, role) && is_covered(rule, Some(userid));
            if is_watched && seen.insert(key) {
                let conversation = Conversation::pair(userid, customer).id();
                let id = ("friend_deleted".to_owned(), conversation.clone());
                out.push(Behaviour {
                    kind: "friend_deleted",
                    msgid: None,
                    at: lost,
                    trigger: trigger.to_owned(),
                    conversation,
                    rules: Vec::new(),
                    words: Vec::new(),
                    review: self.watch.reviews.get(&id).cloned(),
                });
            }
        }
    }

    /// The rows of `huicun behaviours` in the period, by time, then msgid, then kind.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn behaviours(&self, from: &str, to: &str) -> Vec<Value> {
        let period = Period::parse(from, to);
        let zone = self.rules.zone;
        let mut behaviours = self.all_behaviours();
        behaviours.retain(|behaviour| period.has(behaviour.at, zone));
        behaviours.sort_by_key(|b| (b.at, b.msgid.clone(), b.kind, b.conversation.clone()));
        behaviours
            .iter()
            .map(|behaviour| {
                let review = behaviour.review.as_deref().unwrap_or("unreviewed");
                json!({
                    "kind": behaviour.kind,
                    "msgid": behaviour.msgid,
                    "at": rfc3339(behaviour.at, zone),
                    "trigger": behaviour.trigger,
                    "conversation": behaviour.conversation,
                    "rules": behaviour.rules,
                    "words": behaviour.words,
                    "review": review,
                })
            })
            .collect()
    }
}

fn is_audited(rule: &BehaviourRule, role: Role) -> bool {
    rule.enabled
        && match role {
            Role::Employee => rule.audits_employees,
            Role::Customer => rule.audits_customers,
            Role::Robot => false,
        }
}

fn is_covered(rule: &BehaviourRule, employee: Option<&str>) -> bool {
    rule.employees.is_empty()
        || employee.is_some_and(|userid| rule.employees.iter().any(|id| id == userid))
}

/// The names of the rules that a text hits, and all their words that it holds, without repetition.
fn words_hit(text: &str, rules: &[SensitiveRule]) -> (Vec<String>, Vec<String>) {
    let (mut names, mut words) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.enabled) {
        let hit: Vec<String> = parse_words(&rule.words)
            .into_iter()
            .filter(|word| hits(text, word, rule.normalised))
            .collect();
        if !hit.is_empty() {
            names.push(rule.name.clone());
        }
        for word in hit {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    (names, words)
}
