//! One version of the rules, ready to be held against messages.

use std::collections::{BTreeSet, HashMap};

use huicun_semantics::dialogue::Side;
use huicun_semantics::words::Words;

use super::{Position, Watched};
use crate::directory::Directory;
use crate::rules::{Behaviour, BehaviourKind, Rules, sensitive};

/// The behaviours that a version watches for.
pub struct Audit {
    sections: HashMap<BehaviourKind, Section>,
    rules: Vec<sensitive::Watched>,
    words: Words,
}

struct Section {
    settings: Behaviour,
    departments: BTreeSet<String>,
}

impl Audit {
    /// Prepares words and covered departments.
    pub fn new(rules: &Rules, directory: &Directory) -> Self {
        let enabled = BehaviourKind::ALL.into_iter().filter_map(|kind| {
            let settings = rules.behaviour.of(kind);
            let below = settings.departments.iter();
            let section = Section {
                settings: settings.clone(),
                departments: below
                    .flat_map(|id| directory.departments_below(id))
                    .collect(),
            };
            settings.enabled.then_some((kind, section))
        });
        let watched = rules.sensitive.watched();
        let laws: Vec<_> = watched.iter().map(sensitive::Watched::law).collect();
        let words = Words::new(&laws);
        drop(laws);
        Self {
            sections: enabled.collect(),
            rules: watched,
            words,
        }
    }

    /// Whether nothing is watched.
    pub fn is_idle(&self) -> bool {
        self.sections.is_empty()
    }

    /// Whether what that side does is watched.
    pub fn watches(&self, kind: BehaviourKind, side: Side) -> bool {
        let section = self.sections.get(&kind);
        section.is_some_and(|section| section.settings.watches(side))
    }

    /// Where its words stand in a message; none where it sees neither words nor anything else.
    pub fn sees(&self, message: &Watched<'_>) -> Option<Vec<Position>> {
        let is_enabled = |kind| self.sections.contains_key(&kind);
        let mut positions = Vec::new();
        if is_enabled(BehaviourKind::SensitiveWord) {
            let hits = self.words.hits(message.text).into_iter();
            positions.extend(hits.map(|hit| Position {
                rule: self.rules[hit.rule].name.clone(),
                word: self.rules[hit.rule].words[hit.word].clone(),
                start: hit.start,
                end: hit.end,
            }));
        }
        let is_more = (is_enabled(BehaviourKind::RedPacket) && is_red_packet(message.msgtype))
            || (is_enabled(BehaviourKind::Card) && is_card(message.msgtype));
        (is_more || !positions.is_empty()).then_some(positions)
    }

    /// Whether a message of that type with those words is such a behaviour, and where words stand;
    /// no places of the others.
    pub fn finds<'p>(
        &self,
        kind: BehaviourKind,
        msgtype: &str,
        positions: &'p [Position],
        side: Side,
    ) -> Option<&'p [Position]> {
        if !self.watches(kind, side) {
            return None;
        }
        match kind {
            BehaviourKind::RedPacket => is_red_packet(msgtype).then_some(&[]),
            BehaviourKind::Card => is_card(msgtype).then_some(&[]),
            BehaviourKind::SensitiveWord => (!positions.is_empty()).then_some(positions),
            BehaviourKind::FriendDeleted => None,
        }
    }

    /// Whether the employee is covered at that moment. Rules that name nobody cover everything,
    /// also where no employee is known.
    pub fn covers(
        &self,
        kind: BehaviourKind,
        employee: Option<&str>,
        at_ms: i64,
        directory: &Directory,
    ) -> bool {
        let Some(section) = self.sections.get(&kind) else {
            return false;
        };
        if section.settings.covered().is_all() {
            return true;
        }
        employee.is_some_and(|id| {
            section.settings.employees.iter().any(|named| named == id)
                || directory.was_in(id, &section.departments, at_ms)
        })
    }
}

fn is_red_packet(msgtype: &str) -> bool {
    matches!(msgtype, "redpacket" | "external_redpacket")
}

fn is_card(msgtype: &str) -> bool {
    msgtype == "card"
}
