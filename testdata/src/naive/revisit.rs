//! Revisits: which relations are due on which day, and which of them were seen to (semantics 7).

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::company::Company;
use super::conversation::Conversation;
use super::number::ratio;
use super::organisation::Unit;
use super::period::{Period, day_of, day_start_ms};
use super::relations::Relation;
use super::rules::Numbering;

/// A relation on its day N.
#[derive(Debug)]
pub(super) struct Due {
    userid: String,
    n: u32,
    day: NaiveDate,
    is_done: bool,
}

impl Company {
    /// Every relation's due days, those after today left out.
    pub(super) fn all_due(&self) -> Vec<Due> {
        let mut due = Vec::new();
        if !self.rules.revisit.enabled {
            return due;
        }
        let contacts = self.days_of_contact();
        for relation in self.directory.all_relations() {
            for n in &self.rules.revisit.days {
                let Some(day) = self.due_day(&relation, *n) else {
                    continue;
                };
                due.push(Due {
                    userid: relation.userid.to_owned(),
                    n: *n,
                    day,
                    is_done: contacts.contains(&(
                        relation.userid.to_owned(),
                        relation.customer.to_owned(),
                        day,
                    )),
                });
            }
        }
        due
    }

    /// None where the relation is not due on day N: lost before, no such day, or not yet.
    fn due_day(&self, relation: &Relation<'_>, n: u32) -> Option<NaiveDate> {
        let zone = self.rules.zone;
        let revisit = &self.rules.revisit;
        let days_after = match revisit.numbering {
            Numbering::Ordinal => n.saturating_sub(1),
            Numbering::Offset => n,
        };
        let add_day = day_of(relation.added, zone);
        let day = match &revisit.skip_non_working {
            Some(name) => {
                let calendar = self.rules.calendar(name);
                calendar.working_days_after(add_day, days_after)?
            }
            None => add_day + Days::new(u64::from(days_after)),
        };
        let start = day_start_ms(day, zone);
        // Choice: lost in the very millisecond in which the day begins is not lost before it.
        let is_lost = relation.lost.is_some_and(|lost| lost < start);
        let is_to_come = self.rules.now_ms.is_some_and(|now| day > day_of(now, zone));
        (!is_lost && !is_to_come).then_some(day)
    }

    /// (employee, customer, day) of everything that is evidence of a revisit.
    fn days_of_contact(&self) -> BTreeSet<(String, String, NaiveDate)> {
        let zone = self.rules.zone;
        let revisit = &self.rules.revisit;
        let mut days = BTreeSet::new();
        if revisit.evidence_chat {
            for message in self.messages.iter().filter(|m| self.is_counted(m)) {
                for conversation in message.conversations() {
                    let Some(userid) = self.employee_of_pair(&conversation) else {
                        continue;
                    };
                    if revisit.employee_must_send && message.from != userid {
                        continue;
                    }
                    let Conversation::Pair(a, b) = &conversation else {
                        continue;
                    };
                    let customer = if a == userid { b } else { a };
                    let day = day_of(message.at, zone);
                    days.insert((userid.to_owned(), customer.clone(), day));
                }
            }
        }
        if revisit.evidence_followup {
            for record in self.directory.followups.values() {
                if record.target_type == "customer" {
                    let day = day_of(record.at, zone);
                    days.insert((record.userid.clone(), record.target.clone(), day));
                }
            }
        }
        days
    }

    /// `revisit_due_N`, `revisit_done_N` and `revisit_rate_N` of a unit.
    pub(super) fn revisit_metrics(
        &self,
        due: &[Due],
        unit: Unit<'_>,
        period: Period,
        row: &mut Map<String, Value>,
    ) {
        let zone = self.rules.zone;
        if !self.rules.revisit.enabled {
            return;
        }
        for n in &self.rules.revisit.days {
            let (mut n_due, mut n_done) = (0, 0);
            for one in due {
                // Choice: the organisation is that of the beginning of the due day.
                let is_of = || {
                    let start = day_start_ms(one.day, zone);
                    self.directory.is_of(unit, &one.userid, start)
                };
                if one.n == *n && period.contains(one.day) && is_of() {
                    n_due += 1;
                    n_done += usize::from(one.is_done);
                }
            }
            row.insert(format!("revisit_due_{n}"), json!(n_due));
            row.insert(format!("revisit_done_{n}"), json!(n_done));
            row.insert(format!("revisit_rate_{n}"), ratio(n_done, n_due));
        }
    }
}
