//! Contact facts: when a customer and an employee last wrote, and how much (semantics 10.7).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::company::Company;
use super::conversation::Role;
use super::period::{Period, rfc3339};

impl Company {
    /// Facts of contact per customer (semantics 10.7), by id: of single chats with any employee.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn contacts_per_customer(&self, from: &str, to: &str) -> Vec<Value> {
        self.contacts(from, to, |_, customer| (customer.to_owned(), None))
    }

    /// The same per customer and employee, by the ids in that order.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn contacts_per_pair(&self, from: &str, to: &str) -> Vec<Value> {
        self.contacts(from, to, |userid, customer| {
            (customer.to_owned(), Some(userid.to_owned()))
        })
    }

    fn contacts(
        &self,
        from: &str,
        to: &str,
        key: impl Fn(&str, &str) -> (String, Option<String>),
    ) -> Vec<Value> {
        let period = Period::parse(from, to);
        let (end, zone) = (self.end_of(period), self.rules.zone);
        let mut found: BTreeMap<(String, Option<String>), Contact> = BTreeMap::new();
        for (conversation, _, messages) in self.external_conversations() {
            let Some(userid) = self.employee_of_pair(&conversation) else {
                continue;
            };
            let id = conversation.id();
            let customer = id.split('|').find(|one| *one != userid).unwrap_or("");
            let contact = found.entry(key(userid, customer)).or_default();
            for (role, message) in messages.into_iter().filter(|(_, m)| m.at <= end) {
                let is_in = period.has(message.at, zone);
                let (last, ids) = match role {
                    Role::Customer => (&mut contact.last_customer, &mut contact.customer_ids),
                    _ => (&mut contact.last_employee, &mut contact.employee_ids),
                };
                *last = (*last).max(Some(message.at));
                if is_in {
                    ids.insert(message.msgid.clone());
                }
            }
        }
        for relation in self.directory.all_relations() {
            let contact = found
                .entry(key(relation.userid, relation.customer))
                .or_default();
            if relation.is_active(end) {
                let added = contact.added.unwrap_or(relation.added);
                contact.added = Some(added.min(relation.added));
            }
        }
        for record in self.directory.followups.values() {
            if record.target_type == "customer" && period.has(record.at, zone) {
                let contact = found
                    .entry(key(&record.userid, &record.target))
                    .or_default();
                contact.is_followed = true;
            }
        }
        let instant = |at: Option<i64>| at.map(|at| rfc3339(at, zone));
        let mut rows = Vec::new();
        for ((customer, userid), contact) in found {
            let silent_ms = contact.last_customer.map(|at| end - at);
            let mut row = json!({
                "external_userid": customer,
                "last_customer_message_at": instant(contact.last_customer),
                "last_employee_message_at": instant(contact.last_employee),
                "last_contact_at": instant(contact.last_customer.max(contact.last_employee)),
                "customer_messages": contact.customer_ids.len(),
                "employee_messages": contact.employee_ids.len(),
                "silent_days": silent_ms.map(|ms| ms / 86_400_000),
                "added_at": instant(contact.added),
                "followed": contact.is_followed,
            });
            if let Some(userid) = userid {
                row["userid"] = json!(userid);
            }
            rows.push(row);
        }
        rows
    }
}

/// What is known of one customer, or of one with one employee.
#[derive(Default)]
struct Contact {
    last_customer: Option<i64>,
    last_employee: Option<i64>,
    /// Distinct, because a message to several employees is one message.
    customer_ids: BTreeSet<String>,
    employee_ids: BTreeSet<String>,
    added: Option<i64>,
    is_followed: bool,
}
