//! Until the derived tables are there: the facts of a report, computed from what `jobs::Facts`
//! holds in memory. It knows dialogues, replies, messages sent by employees and calls; no timeouts,
//! waits or behaviours. To be deleted with `jobs::Facts`.

use std::collections::HashMap;

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::reply;
use huicun_semantics::time::Period;

use super::Facts;
use super::conversations::Names;
use super::period::{
    ActivityFact, CallFact, DialogueFact, PeriodFacts, ReplyFact, SpokenFact, WaitFact,
};
use crate::metrics::settings::Settings;
use crate::metrics::source::{FactSource, SourceError};

/// Facts of a stretch from all facts in memory.
pub struct OnRead<'a>(pub &'a Facts);

impl FactSource for OnRead<'_> {
    fn stretch(&self, days: Period, names: &mut Names) -> Result<PeriodFacts, SourceError> {
        let zone = self.0.rules.zone().unwrap_or_default();
        let within = days.start_ms(zone)..days.end_ms(zone);
        let mut out = PeriodFacts::default();
        let mut dialogues: Vec<_> = self
            .0
            .dialogues
            .iter()
            .filter(|d| within.contains(&d.started_ms))
            .collect();
        dialogues.sort_by_key(|d| (d.started_ms, &self.0.conversation(d).id));
        let only = effective_days(self.0);
        let settings = Settings::of(&self.0.rules);
        for dialogue in dialogues {
            self.add_dialogue(dialogue, (&only, &settings), names, &mut out);
        }
        self.add_activity(&within, names, &mut out);
        self.add_calls(&within, names, &mut out);
        Ok(out)
    }

    fn waits(&self, _at_ms: i64, _names: &mut Names) -> Result<Vec<WaitFact>, SourceError> {
        Ok(Vec::new())
    }

    fn external_rooms(&self, names: &mut Names) -> Result<Vec<u32>, SourceError> {
        let rooms = self.0.archive.conversations.iter();
        Ok(rooms
            .filter(|c| c.kind == Kind::GroupExternal)
            .map(|c| names.intern(&c.id))
            .collect())
    }
}

type EffectiveDays = HashMap<(u32, NaiveDate), u32>;

fn effective_days(facts: &Facts) -> EffectiveDays {
    let zone = facts.rules.zone().unwrap_or_default();
    let mut days = HashMap::new();
    for dialogue in facts.dialogues.iter().filter(|d| d.is_effective()) {
        let day = zone.day_of(dialogue.started_ms);
        *days.entry((dialogue.conversation, day)).or_default() += 1;
    }
    days
}

impl OnRead<'_> {
    fn add_dialogue(
        &self,
        dialogue: &super::facts::Dialogue,
        (only, settings): (&EffectiveDays, &Settings),
        names: &mut Names,
        out: &mut PeriodFacts,
    ) {
        let facts = self.0;
        let zone = facts.rules.zone().unwrap_or_default();
        let place = facts.conversation(dialogue);
        let mut person = |id: u32| names.intern(facts.archive.people.name(id));
        let entries = &facts.archive.entries[dialogue.entries.clone()];
        let counted: Vec<_> = entries.iter().map(|e| e.counted).collect();
        let mut replies = Vec::new();
        reply::replies(&counted, None, facts.rules.reply_from(), &mut replies);
        let replies_from = out.replies.len();
        for reply in &replies {
            let answered_ms = counted[reply.reply].at_ms;
            out.replies.push(ReplyFact {
                turn_ms: counted[reply.turn_first].at_ms,
                at_ms: counted[reply.reply].at_ms,
                by: person(counted[reply.reply].speaker),
                interval_ms: settings.interval_ms(answered_ms - reply.interval_ms, answered_ms),
                working_ms: settings.working_ms(answered_ms - reply.interval_ms, answered_ms),
            });
        }
        let spoken_from = out.spoken.len();
        if place.kind.is_group() {
            for message in &counted {
                out.spoken.push(SpokenFact {
                    at_ms: message.at_ms,
                    speaker: person(message.speaker),
                    side: message.side,
                });
            }
        }
        let on = |day: Option<NaiveDate>| {
            day.and_then(|d| only.get(&(dialogue.conversation, d)).copied())
                .unwrap_or(0)
        };
        let day = zone.day_of(dialogue.started_ms);
        let (today, tomorrow) = (on(Some(day)), on(day.succ_opt()));
        let is_effective = dialogue.is_effective();
        out.dialogues.push(DialogueFact {
            kind: place.kind,
            employee: facts.employee_of(dialogue.conversation).map(&mut person),
            customer: facts.customer_of(dialogue.conversation).map(&mut person),
            started_ms: dialogue.started_ms,
            ended_ms: dialogue.ended_ms,
            opened_by: dialogue.opened_by,
            n_employee: dialogue.n_employee,
            n_customer: dialogue.n_customer,
            only_effective_24h: is_effective && today == 1,
            only_effective_48h: is_effective && today + tomorrow == 1,
            replies: replies_from..out.replies.len(),
            spoken: spoken_from..out.spoken.len(),
            conversation: names.intern(&place.id),
        });
    }

    fn add_activity(
        &self,
        within: &std::ops::Range<i64>,
        names: &mut Names,
        out: &mut PeriodFacts,
    ) {
        let facts = self.0;
        let zone = facts.rules.zone().unwrap_or_default();
        // Whether a message was met in a conversation of the kind before.
        let mut met = std::collections::HashSet::new();
        let mut found: HashMap<(NaiveDate, u32, u32, Side), (u32, u32, i64, i64)> = HashMap::new();
        for entry in &facts.archive.entries {
            let at_ms = entry.counted.at_ms;
            if !within.contains(&at_ms) {
                continue;
            }
            let kind = facts.archive.conversations[entry.conversation as usize].kind;
            let is_own = met.insert((kind.as_str(), entry.message));
            let key = (
                zone.day_of(at_ms),
                entry.conversation,
                entry.counted.speaker,
                entry.counted.side,
            );
            let sums = found.entry(key).or_insert((0, 0, at_ms, at_ms));
            sums.0 += 1;
            sums.1 += u32::from(is_own);
            sums.2 = sums.2.min(at_ms);
            sums.3 = sums.3.max(at_ms);
        }
        for ((day, conversation, speaker, side), (n, n_own, first_ms, last_ms)) in found {
            let place = &facts.archive.conversations[conversation as usize];
            out.activity.push(ActivityFact {
                day,
                conversation: names.intern(&place.id),
                kind: place.kind,
                speaker: names.intern(facts.archive.people.name(speaker)),
                side,
                n,
                n_own,
                first_ms,
                last_ms,
            });
        }
        out.activity
            .sort_by_key(|a| (a.day, a.first_ms, a.conversation, a.speaker));
    }

    fn add_calls(&self, within: &std::ops::Range<i64>, names: &mut Names, out: &mut PeriodFacts) {
        let facts = self.0;
        let mut by_message: HashMap<(u32, u32), u32> = HashMap::new();
        let calls: Vec<_> = facts
            .archive
            .calls
            .iter()
            .filter(|c| within.contains(&c.at_ms))
            .collect();
        for call in &calls {
            by_message.insert((call.conversation, call.message), 0);
        }
        for entry in &facts.archive.entries {
            if let Some(by) = by_message.get_mut(&(entry.conversation, entry.message)) {
                *by = entry.counted.speaker;
            }
        }
        for call in calls {
            let place = &facts.archive.conversations[call.conversation as usize];
            let by = by_message[&(call.conversation, call.message)];
            let people = &facts.archive.people;
            let employee = facts.employee_of(call.conversation);
            out.calls.push(CallFact {
                conversation: names.intern(&place.id),
                kind: place.kind,
                employee: employee.map(|id| names.intern(people.name(id))),
                message_id: names.intern(&facts.archive.msgids[call.message as usize]),
                at_ms: call.at_ms,
                by: names.intern(people.name(by)),
                named: 0..0,
                lasted_ms: call.lasted_ms,
            });
        }
        out.calls.sort_by_key(|c| (c.at_ms, c.conversation));
    }
}
