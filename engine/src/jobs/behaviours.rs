//! Behaviours (敏感行为): red packets, cards, sensitive words and deleted friends that the rules
//! watched for (semantics 8, manual 7.3, 7.4, 9.3.1).
//!
//! A rule applies to what enters the archive while it is on: to each message the version of the
//! rules that was in force when it was archived, and those of the rescans asked for since. So the
//! same rows come out whenever they are computed, from nothing but the messages, the directory and
//! what the state recorded. Reviews are not here: people change them by hand (`state`).
//!
//! It is done in two halves: what the rules see in a message ([`Behaviours::scan`]) never changes
//! once it has entered, but for a rescan; who did it, and whether he is covered
//! ([`Behaviours::judge`]), follows the directory. So a changed directory reads no message anew.

mod audit;
mod read;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use huicun_semantics::conversation::{conversations_of, pair_id};
use huicun_semantics::counted::is_counted;
use huicun_semantics::dialogue::Side;
use huicun_semantics::role::Role;

use crate::directory::Directory;
use crate::directory::relations::LostBy;
use crate::rules::BehaviourKind;
use crate::state::behaviours::{LostRelation, Rescan};
use crate::state::rule_versions::RuleVersion;

use audit::Audit;
pub use read::{BehavioursError, COLUMNS, Messages, read};

/// A message as behaviours look at it.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// WeCom's id.
    pub msgid: &'a str,
    /// `send`, `recall`, `switch`.
    pub action: &'a str,
    /// WeCom's type name.
    pub msgtype: &'a str,
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// When it was archived, UTC milliseconds.
    pub pulled_ms: i64,
    /// Sender.
    pub from: &'a str,
    /// Receivers.
    pub to: &'a [&'a str],
    /// Room, empty for none.
    pub room: &'a str,
    /// All text that a reader would see.
    pub text: &'a str,
}

/// A word of a rule in a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// The rule's name.
    pub rule: String,
    /// The word.
    pub word: String,
    /// Its first character in the text, in Unicode scalar values.
    pub start: usize,
    /// Behind its last one.
    pub end: usize,
}

/// One behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BehaviourRow {
    /// Stable and unique: made of its kind and its cause.
    pub id: String,
    /// What was done.
    pub kind: BehaviourKind,
    /// The message; none of a deleted friend.
    pub msgid: Option<String>,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Who did it.
    pub trigger: String,
    /// On which side he stands.
    pub side: Side,
    /// The room, or the pair.
    pub conversation: String,
    /// Employees through whom a caller may see it: of the pair, or of the room at the time.
    pub employees: Vec<String>,
    /// Word rules that were hit, each once.
    pub rules: Vec<String>,
    /// Words that were hit, each once.
    pub words: Vec<String>,
    /// Where they stand.
    pub positions: Vec<Position>,
}

/// What a version of the rules saw in a message, whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The version.
    pub version: i64,
    /// Words and where they stand; none of a red packet or card without any.
    pub positions: Vec<Position>,
}

/// What behaviours are made from, beside the messages.
pub struct Behaviours<'a> {
    directory: &'a Directory,
    /// Version, since when it was in force, and how it is applied; by version.
    audits: Vec<(i64, i64, Arc<Audit>)>,
    rescans: &'a [Rescan],
    zone: huicun_semantics::time::Zone,
}

impl<'a> Behaviours<'a> {
    /// Prepares the rules of all versions, oldest first.
    pub fn new(
        directory: &'a Directory,
        versions: &[RuleVersion],
        rescans: &'a [Rescan],
        zone: huicun_semantics::time::Zone,
    ) -> Self {
        let mut audits: Vec<(i64, i64, Arc<Audit>)> = Vec::with_capacity(versions.len());
        for (nth, version) in versions.iter().enumerate() {
            // Most versions change something else: words are prepared once.
            let before = nth.checked_sub(1).map(|before| &versions[before].rules);
            let is_same = |before: &crate::rules::Rules| {
                before.behaviour == version.rules.behaviour
                    && before.sensitive == version.rules.sensitive
            };
            let audit = match (before.filter(|before| is_same(before)), audits.last()) {
                (Some(_), Some((_, _, audit))) => Arc::clone(audit),
                _ => Arc::new(Audit::new(&version.rules, directory)),
            };
            audits.push((version.version, version.applied_ms, audit));
        }
        Self {
            directory,
            audits,
            rescans,
            zone,
        }
    }

    /// Whether no version of the rules watches for anything.
    pub fn is_idle(&self) -> bool {
        self.audits.iter().all(|(_, _, audit)| audit.is_idle())
    }

    /// The rules that apply to what entered the archive then and is dated `day`.
    fn audits_for(&self, entered_ms: i64, day: NaiveDate) -> Vec<(i64, &Audit)> {
        let n_before = self
            .audits
            .partition_point(|(_, since, _)| *since <= entered_ms);
        let mut wanted: BTreeSet<usize> = n_before.checked_sub(1).into_iter().collect();
        for rescan in self.rescans {
            let covers = entered_ms <= rescan.asked_ms && rescan.from <= day && day <= rescan.to;
            if covers {
                wanted.extend(self.place_of(rescan.rules_version));
            }
        }
        wanted
            .into_iter()
            .map(|place| (self.audits[place].0, &*self.audits[place].2))
            .collect()
    }

    fn place_of(&self, version: i64) -> Option<usize> {
        self.audits
            .binary_search_by_key(&version, |(version, ..)| *version)
            .ok()
    }

    /// Appends the behaviours of one message: at most one of each kind.
    pub fn of_message(&self, message: &Watched<'_>, out: &mut Vec<BehaviourRow>) {
        let mut seen = Vec::new();
        self.scan(message, &mut seen);
        self.judge(message, &seen, out);
    }

    /// Appends what the rules that apply to a message see in it. The directory is not asked.
    pub fn scan(&self, message: &Watched<'_>, out: &mut Vec<Seen>) {
        // Whether a robot sent it is the directory's to say.
        if !is_counted(message.action, message.msgtype, Role::Employee) {
            return;
        }
        let day = self.zone.day_of(message.at_ms);
        for (version, audit) in self.audits_for(message.pulled_ms, day) {
            if let Some(positions) = audit.sees(message) {
                out.push(Seen { version, positions });
            }
        }
    }

    /// Appends the behaviours of one message in which rules saw something, by the directory of now.
    /// Text, action and `pulled_ms` of the message are not looked at.
    pub fn judge(&self, message: &Watched<'_>, seen: &[Seen], out: &mut Vec<BehaviourRow>) {
        let side = match self.directory.role(message.from) {
            Role::Employee => Side::Employee,
            Role::Customer => Side::Customer,
            Role::Robot => return,
        };
        let first = out.len();
        for one in seen {
            let Some(place) = self.place_of(one.version) else {
                continue;
            };
            let audit = &*self.audits[place].2;
            for kind in [
                BehaviourKind::RedPacket,
                BehaviourKind::Card,
                BehaviourKind::SensitiveWord,
            ] {
                let Some(positions) = audit.finds(kind, message.msgtype, &one.positions, side)
                else {
                    continue;
                };
                let Some(conversation) = self.covered_in(audit, kind, message, side) else {
                    continue;
                };
                match out[first..].iter_mut().find(|row| row.kind == kind) {
                    Some(row) => row.join(positions),
                    None => {
                        let mut row = self.row(kind, message, side, conversation);
                        row.join(positions);
                        out.push(row);
                    }
                }
            }
        }
    }

    /// The first of the message's conversations with an employee whom the rules cover.
    fn covered_in(
        &self,
        audit: &Audit,
        kind: BehaviourKind,
        message: &Watched<'_>,
        side: Side,
    ) -> Option<String> {
        let covers = |id: Option<&str>| audit.covers(kind, id, message.at_ms, self.directory);
        if !message.room.is_empty() {
            let employee = match side {
                Side::Employee => Some(message.from),
                Side::Customer => self.directory.responsible_at(message.room, message.at_ms),
            };
            return covers(employee).then(|| message.room.to_string());
        }
        let pairs = conversations_of(message.from, message.to, "");
        pairs.into_iter().find(|pair| {
            let other = message
                .to
                .iter()
                .find(|to| pair_id(message.from, to) == *pair);
            let is_employee = |id: &str| self.directory.role(id) == Role::Employee;
            covers(match side {
                Side::Employee => Some(message.from),
                Side::Customer => other.copied().filter(|id| is_employee(id)),
            })
        })
    }

    fn row(
        &self,
        kind: BehaviourKind,
        message: &Watched<'_>,
        side: Side,
        conversation: String,
    ) -> BehaviourRow {
        let is_employee = |id: &&str| self.directory.role(id) == Role::Employee;
        let mut employees: Vec<&str> = std::iter::once(message.from)
            .chain(message.to.iter().copied())
            .filter(is_employee)
            .collect();
        if !message.room.is_empty() {
            let members = self.directory.members_of_at(message.room, message.at_ms);
            employees.extend(members.unwrap_or_default().into_iter().filter(is_employee));
        }
        employees.sort_unstable();
        employees.dedup();
        BehaviourRow {
            id: behaviour_id(kind, &[message.msgid]),
            kind,
            msgid: Some(message.msgid.into()),
            at_ms: message.at_ms,
            trigger: message.from.into(),
            side,
            conversation,
            employees: employees.into_iter().map(String::from).collect(),
            rules: Vec::new(),
            words: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Appends the deleted friends among the directory's relations; `losses` tells when each loss
    /// was first seen.
    pub fn of_relations(&self, losses: &[LostRelation], out: &mut Vec<BehaviourRow>) {
        let known: HashMap<(&str, &str, i64), i64> = losses
            .iter()
            .map(|l| ((&*l.userid, &*l.external_userid, l.added_ms), l.entered_ms))
            .collect();
        for relation in self.directory.relations.iter() {
            let name = |number: u32| self.directory.ids.name(number);
            let (user, customer) = (name(relation.user), name(relation.customer));
            let (Some(lost_ms), Some(by)) = (relation.lost_ms, relation.lost_by) else {
                continue;
            };
            let (side, trigger) = match by {
                LostBy::Customer => (Side::Customer, customer),
                LostBy::Employee => (Side::Employee, user),
                LostBy::EmployeeLeft => continue,
            };
            let Some(entered_ms) = known.get(&(user, customer, relation.added_ms)) else {
                continue;
            };
            let kind = BehaviourKind::FriendDeleted;
            let is_watched = self
                .audits_for(*entered_ms, self.zone.day_of(lost_ms))
                .into_iter()
                .any(|(_, audit)| {
                    audit.watches(kind, side)
                        && audit.covers(kind, Some(user), lost_ms, self.directory)
                });
            if is_watched {
                out.push(BehaviourRow {
                    id: behaviour_id(kind, &[user, customer, &relation.added_ms.to_string()]),
                    kind,
                    msgid: None,
                    at_ms: lost_ms,
                    trigger: trigger.into(),
                    side,
                    conversation: pair_id(user, customer),
                    employees: vec![user.into()],
                    rules: Vec::new(),
                    words: Vec::new(),
                    positions: Vec::new(),
                });
            }
        }
    }
}

/// The losses of the directory's relations that somebody caused: what the state is to know.
pub fn losses_of(directory: &Directory) -> Vec<(String, String, i64)> {
    let caused = directory.relations.iter().filter(|relation| {
        relation.lost_ms.is_some()
            && matches!(relation.lost_by, Some(LostBy::Customer | LostBy::Employee))
    });
    let name = |number: u32| directory.ids.name(number).to_string();
    caused
        .map(|relation| {
            (
                name(relation.user),
                name(relation.customer),
                relation.added_ms,
            )
        })
        .collect()
}

impl BehaviourRow {
    /// Takes in what another version of the rules found in the same message.
    fn join(&mut self, positions: &[Position]) {
        self.positions.extend_from_slice(positions);
        self.positions.sort_by(|a, b| {
            (a.start, a.end, &a.rule, &a.word).cmp(&(b.start, b.end, &b.rule, &b.word))
        });
        self.positions.dedup();
        let mut rules: Vec<String> = self.positions.iter().map(|p| p.rule.clone()).collect();
        let mut words: Vec<String> = self.positions.iter().map(|p| p.word.clone()).collect();
        for list in [&mut rules, &mut words] {
            let mut seen = BTreeSet::new();
            list.retain(|item| seen.insert(item.clone()));
        }
        (self.rules, self.words) = (rules, words);
    }
}

fn behaviour_id(kind: BehaviourKind, cause: &[&str]) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let mut key = kind.as_str().to_string();
    for part in cause {
        key.push('\0');
        key.push_str(part);
    }
    let hash = digest(&SHA256, key.as_bytes());
    hash.as_ref()[..12]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Whether the behaviour with this id is about that message.
pub fn is_about(id: &str, msgid: &str) -> bool {
    let kinds = BehaviourKind::ALL.into_iter();
    kinds
        .map(|kind| behaviour_id(kind, &[msgid]))
        .any(|of| of == id)
}

#[cfg(test)]
mod tests;
