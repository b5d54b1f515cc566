//! The metrics of groups of an employee or a department (semantics 10.2 and 10.9).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::company::Company;
use super::conversation::{Conversation, Kind, Role};
use super::dialogue::replies;
use super::facts::{Facts, Held, Interval};
use super::message::Message;
use super::number::{mean_seconds, ratio, seconds};
use super::organisation::Unit;
use super::period::Period;
use super::replies::Replies;

/// A group dialogue as a unit sees it: the others' messages left out.
struct View<'a, 'b> {
    held: &'b Held<'a>,
    intervals: Vec<Interval>,
    n_own_messages: usize,
}

impl View<'_, '_> {
    /// A customer opened it, and the unit spoke after that.
    fn is_replied(&self) -> bool {
        self.held.dialogue.opened_by() == Role::Customer && self.n_own_messages > 0
    }
}

impl Company {
    pub(super) fn group_metrics(
        &self,
        facts: &Facts<'_>,
        unit: Unit<'_>,
        period: Period,
        row: &mut Map<String, Value>,
    ) {
        let end = self.end_of(period);
        let is_of = |userid: &str, at: i64| self.directory.is_of(unit, userid, at);
        let is_in = |at: i64| self.is_in(period, at);
        let is_any_of = |ids: &BTreeSet<String>, at: i64| ids.iter().any(|id| is_of(id, at));
        let external = self.external_rooms();
        let existing = self.external_rooms_at(end);
        let mut count = |key: &str, n: usize| {
            row.insert(key.to_owned(), json!(n));
        };

        let responsible = |room: &&&str| {
            let responsible = self.directory.responsible_at(room, end);
            responsible.is_some_and(|userid| is_of(userid, end))
        };
        count("groups_owned", existing.iter().filter(responsible).count());
        let has_member = |room: &&&str| {
            let members = self.directory.members_at(room, end);
            members.iter().any(|member| is_of(member, end))
        };
        count("groups_in", existing.iter().filter(has_member).count());
        let joined: BTreeSet<&str> = self
            .directory
            .group_members
            .keys()
            .filter(|(room, _, _)| external.contains(&**room))
            .filter(|(_, member, joined)| is_of(member, *joined) && is_in(*joined))
            .map(|(room, _, _)| &**room)
            .collect();
        count("groups_joined", joined.len());

        let sent: Vec<&str> = facts
            .sent
            .iter()
            .filter(|sent| period.contains(sent.day) && is_of(sent.userid, sent.at))
            .filter_map(|sent| sent.room)
            .collect();
        let spoken: BTreeSet<&str> = sent.iter().copied().collect();
        count("group_messages_sent", sent.len());
        count("groups_spoken", spoken.len());

        let fired = facts.timeouts.iter();
        let fired = fired.filter(|t| t.kind == Kind::GroupExternal && period.contains(t.day));
        let naming = fired
            .clone()
            .filter(|t| is_any_of(&t.employees, t.fired_at));
        let naming: Vec<&Conversation> = naming.map(|t| &t.conversation).collect();
        let owned = fired.filter(|timeout| {
            let room = timeout.conversation.id();
            let responsible = self.directory.responsible_at(&room, timeout.fired_at);
            responsible.is_some_and(|userid| is_of(userid, timeout.fired_at))
        });
        let owned: Vec<&Conversation> = owned.map(|t| &t.conversation).collect();
        let distinct = |rooms: &[&Conversation]| rooms.iter().collect::<BTreeSet<_>>().len();
        count("group_timeouts", naming.len());
        count("group_timeout_groups", distinct(&naming));
        count("owned_group_timeouts", owned.len());
        count("owned_group_timeout_groups", distinct(&owned));

        let waits = facts.timers.iter().filter(|timer| {
            let members = || {
                let room = timer.conversation.id();
                let members = self.directory.members_at(&room, end);
                members.into_iter().any(|member| is_of(member, end))
            };
            // Choice: of nobody where membership is unknown; in dismissed groups too.
            timer.kind == Kind::GroupExternal && timer.runs_at(end) && members()
        });
        count("group_open_waits", waits.count());

        let records = self.directory.business_records.values();
        let records = records.filter(|record| is_in(record.at) && is_of(&record.userid, record.at));
        count("business_records", records.count());
        let confirmed = facts.behaviours.iter().filter(|behaviour| {
            behaviour.is_confirmed()
                && is_in(behaviour.at)
                && is_of(&behaviour.trigger, behaviour.at)
        });
        count("violations_confirmed", confirmed.count());

        let calls = facts
            .calls
            .iter()
            .filter(|call| call.is_group && period.contains(call.day));
        let calls = calls.filter(|call| is_any_of(&call.employees, call.at));
        let call_ms: i64 = calls.map(|call| call.ms).sum();
        row.insert(
            "group_call_time_total_seconds".into(),
            json!(seconds(call_ms)),
        );
        self.group_dialogue_metrics(facts, unit, period, row);
    }

    fn group_dialogue_metrics(
        &self,
        facts: &Facts<'_>,
        unit: Unit<'_>,
        period: Period,
        row: &mut Map<String, Value>,
    ) {
        let views: Vec<View<'_, '_>> = facts
            .groups
            .iter()
            .filter(|held| period.contains(held.day))
            .filter_map(|held| self.view(held, unit))
            .collect();
        let replied: Vec<&View<'_, '_>> = views.iter().filter(|view| view.is_replied()).collect();
        let spoken: Vec<&View<'_, '_>> = views
            .iter()
            .filter(|view| view.n_own_messages > 0)
            .collect();
        let effective: Vec<&View<'_, '_>> = views
            .iter()
            .filter(|view| view.held.dialogue.is_effective())
            .collect();
        let duration_ms: i64 = spoken
            .iter()
            .map(|view| view.held.dialogue.ended_at() - view.held.dialogue.started_at())
            .sum();
        let n_own = spoken.iter().map(|view| view.n_own_messages).sum();
        let n_asked = spoken
            .iter()
            .map(|view| view.held.dialogue.n_messages(Role::Customer))
            .sum();
        let first_reply_within = |limit_ms: i64| {
            let is_within = |view: &&&View<'_, '_>| {
                view.intervals
                    .first()
                    .is_some_and(|i| i.clock_ms <= limit_ms)
            };
            ratio(effective.iter().filter(is_within).count(), effective.len())
        };
        // The mean is within the limit iff the sum is within the limit so many times.
        let reply_within = |limit_ms: i64| {
            let is_within = |view: &&&View<'_, '_>| {
                let total_ms: i64 = view.intervals.iter().map(|i| i.clock_ms).sum();
                total_ms <= limit_ms * view.intervals.len() as i64
            };
            ratio(replied.iter().filter(is_within).count(), replied.len())
        };
        let columns = [
            ("group_dialogues", json!(views.len())),
            ("group_dialogues_replied", json!(replied.len())),
            ("group_chat_rate", ratio(replied.len(), views.len())),
            (
                "group_dialogue_time_avg_seconds",
                mean_seconds(duration_ms, spoken.len()),
            ),
            ("group_first_reply_1m", first_reply_within(60_000)),
            ("group_first_reply_3m", first_reply_within(180_000)),
            ("group_answer_ratio", ratio(n_own, n_asked)),
            ("group_reply_1m", reply_within(60_000)),
            ("group_reply_3m", reply_within(180_000)),
        ];
        for (key, value) in columns {
            row.insert(key.to_owned(), value);
        }
        let replies = Replies {
            all: views.iter().map(|view| &*view.intervals).collect(),
            replied: replied.iter().map(|view| &*view.intervals).collect(),
            has_calendar: self.rules.reply_calendar.is_some(),
        };
        replies.write("group_", row);
    }

    /// None where nobody of the unit was a member when the dialogue began, nor spoke in it.
    fn view<'a, 'b>(&self, held: &'b Held<'a>, unit: Unit<'_>) -> Option<View<'a, 'b>> {
        let start = held.dialogue.started_at();
        let mut seen: Vec<(Role, &Message)> = Vec::new();
        let mut n_own_messages = 0;
        for (role, message) in &held.dialogue.messages {
            let is_own =
                *role == Role::Employee && self.directory.is_of(unit, &message.from, start);
            n_own_messages += usize::from(is_own);
            if is_own || *role == Role::Customer {
                seen.push((*role, message));
            }
        }
        let room = held.dialogue.conversation.id();
        let is_member = || match unit {
            Unit::Employee(userid) => self.directory.is_member_at(&room, userid, start),
            _ => {
                let members = self.directory.members_at(&room, start);
                let mut members = members.iter();
                members.any(|member| self.directory.is_of(unit, member, start))
            }
        };
        if n_own_messages == 0 && !is_member() {
            return None;
        }
        let intervals = replies(&seen, self.rules.reply_from)
            .into_iter()
            .map(|reply| self.interval(reply))
            .collect();
        Some(View {
            held,
            intervals,
            n_own_messages,
        })
    }
}
