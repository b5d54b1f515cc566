//! Contact facts for the rest of the SCRM (semantics 10.7): when a customer and his employees last
//! wrote, and how much, in single external chats.
//!
//! Only what employees in scope have with a customer is looked at. A message to several employees
//! is one message of the customer, whichever of them are asked about.

use std::collections::{BTreeMap, HashMap, HashSet};

use huicun_semantics::dialogue::Side;

use crate::access::Scope;
use crate::directory::Directory;
use crate::directory::work::{Target, within};
use crate::jobs::names::Names;

/// Milliseconds of a silent day.
const DAY_MS: i64 = 86_400_000;

/// What one side of a single external chat sent on one day, up to the instant that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The employee of the pair.
    pub employee: &'a str,
    /// The customer of the pair.
    pub customer: &'a str,
    /// Who sent it.
    pub side: Side,
    /// When each counted message was sent, ascending, UTC microseconds.
    pub at_us: &'a [i64],
    /// Those of them that no other chat of the customer holds before this one.
    pub own_us: &'a [i64],
}

/// A row per customer, or per customer and employee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerContact {
    /// All employees together.
    Customer,
    /// Each employee by himself.
    Pair,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct ContactQuestion {
    /// What a row is about.
    pub per: PerContact,
    /// The window, `[start, end)`, UTC milliseconds.
    pub within: (i64, i64),
    /// As of when last messages and silence are told: the window's end, or now.
    pub as_of_ms: i64,
    /// Only these customers; none is all.
    pub customers: Option<HashSet<String>>,
    /// Only contacts of these employees; none is all.
    pub employees: Option<HashSet<String>>,
}

/// One customer, or one with one employee. Instants are UTC milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contact {
    /// The customer's last message.
    pub last_customer_ms: Option<i64>,
    /// The employee's last message.
    pub last_employee_ms: Option<i64>,
    /// The customer's messages in the window.
    pub n_customer: u64,
    /// The employees' messages in the window.
    pub n_employee: u64,
    /// The earliest add time of the relations that are active at the end.
    pub added_ms: Option<i64>,
    /// Whether an employee wrote a follow-up record about him in the window.
    pub is_followed: bool,
}

impl Contact {
    /// The last message of either side.
    pub fn last_ms(&self) -> Option<i64> {
        self.last_customer_ms.max(self.last_employee_ms)
    }

    /// Whole days of 24 hours since the customer's last message.
    pub fn silent_days(&self, as_of_ms: i64) -> Option<i64> {
        self.last_customer_ms
            .map(|last_ms| (as_of_ms - last_ms).div_euclid(DAY_MS))
    }
}

/// Customer, and with [`PerContact::Pair`] the employee.
pub type ContactKey = (String, Option<String>);

/// Contacts that are being put together.
pub struct ContactBook<'a> {
    scope: &'a Scope,
    directory: &'a Directory,
    question: &'a ContactQuestion,
    names: Names,
    /// By customer, and with [`PerContact::Pair`] the employee.
    found: HashMap<(u32, Option<u32>), Contact>,
}

impl<'a> ContactBook<'a> {
    /// With the relations and the follow-up records of the directory.
    pub fn new(scope: &'a Scope, directory: &'a Directory, question: &'a ContactQuestion) -> Self {
        let mut book = Self {
            scope,
            directory,
            question,
            names: Names::default(),
            found: HashMap::new(),
        };
        book.add_relations();
        book.add_followups();
        book
    }

    fn is_asked(&self, employee: &str, customer: &str) -> bool {
        let asked =
            |ids: &Option<HashSet<String>>, id| ids.as_ref().is_none_or(|ids| ids.contains(id));
        self.scope.sees_employee(employee)
            && asked(&self.question.employees, employee)
            && asked(&self.question.customers, customer)
    }

    fn contact(&mut self, employee: &str, customer: &str) -> &mut Contact {
        let employee = match self.question.per {
            PerContact::Customer => None,
            PerContact::Pair => Some(self.names.intern(employee)),
        };
        let key = (self.names.intern(customer), employee);
        self.found.entry(key).or_default()
    }

    fn add_relations(&mut self) {
        let directory = self.directory;
        for relation in directory.relations.iter() {
            let name = |id: u32| directory.ids.name(id);
            let (employee, customer) = (name(relation.user), name(relation.customer));
            if !self.is_asked(employee, customer) {
                continue;
            }
            let is_active = relation.is_active(self.question.as_of_ms);
            let contact = self.contact(employee, customer);
            if is_active {
                let added_ms = contact.added_ms.unwrap_or(relation.added_ms);
                contact.added_ms = Some(added_ms.min(relation.added_ms));
            }
        }
    }

    fn add_followups(&mut self) {
        let directory = self.directory;
        let records = &directory.work.followups;
        for record in within(records, |r| r.at_ms, self.question.within) {
            let Target::Customer(customer) = record.target else {
                continue;
            };
            let name = |id: u32| directory.ids.name(id);
            let (employee, customer) = (name(record.user), name(customer));
            if self.is_asked(employee, customer) {
                self.contact(employee, customer).is_followed = true;
            }
        }
    }

    /// Adds what was sent on some days; all that was sent on one day is given at once.
    pub fn add(&mut self, sent: &[Sent<'_>]) {
        let is_asked = |sent: &&Sent<'_>| self.is_asked(sent.employee, sent.customer);
        let asked: Vec<Sent<'_>> = sent.iter().filter(is_asked).copied().collect();
        let (start_ms, end_ms) = self.question.within;
        let is_in = |us: i64| (start_ms..end_ms).contains(&(us / 1000));
        for sent in &asked {
            let Some(last_us) = sent.at_us.last() else {
                continue;
            };
            let is_one_chat = self.question.per == PerContact::Pair;
            let contact = self.contact(sent.employee, sent.customer);
            let (last_ms, n, counted) = match sent.side {
                Side::Employee => (
                    &mut contact.last_employee_ms,
                    &mut contact.n_employee,
                    sent.at_us,
                ),
                Side::Customer => (
                    &mut contact.last_customer_ms,
                    &mut contact.n_customer,
                    if is_one_chat { sent.at_us } else { sent.own_us },
                ),
            };
            *last_ms = (*last_ms).max(Some(last_us / 1000));
            *n += counted.iter().filter(|us| is_in(**us)).count() as u64;
        }
        if self.question.per == PerContact::Customer {
            for (employee, customer, n) in shared_elsewhere(&asked, is_in) {
                self.contact(employee, customer).n_customer += n;
            }
        }
    }

    /// The contacts, by customer, then employee.
    pub fn finish(self) -> BTreeMap<ContactKey, Contact> {
        let name = |id: u32| self.names.name(id).to_string();
        let found = self.found.into_iter();
        found
            .map(|((customer, employee), contact)| ((name(customer), employee.map(name)), contact))
            .collect()
    }
}

/// Messages of customers to several employees that are another chat's own which is not asked about:
/// each once. Told apart by their instants, for a chat holds a message once.
fn shared_elsewhere<'a>(
    asked: &[Sent<'a>],
    is_in: impl Fn(i64) -> bool,
) -> Vec<(&'a str, &'a str, u64)> {
    let of_customers = || asked.iter().filter(|sent| sent.side == Side::Customer);
    let shared: HashMap<&str, &str> = of_customers()
        .filter(|sent| sent.at_us.len() != sent.own_us.len())
        .map(|sent| (sent.customer, sent.employee))
        .collect();
    if shared.is_empty() {
        return Vec::new();
    }
    // At each instant: messages that chats hold as their own, and the most that one chat holds.
    let mut at: HashMap<(&str, i64), (u64, u64)> = HashMap::new();
    for sent in of_customers().filter(|sent| shared.contains_key(sent.customer)) {
        for same in sent.at_us.chunk_by(|a, b| a == b) {
            let (_, most) = at.entry((sent.customer, same[0])).or_default();
            *most = (*most).max(same.len() as u64);
        }
        for us in sent.own_us {
            at.entry((sent.customer, *us)).or_default().0 += 1;
        }
    }
    let missing = at.into_iter().filter(|((_, us), _)| is_in(*us));
    missing
        .filter(|(_, (own, most))| most > own)
        .map(|((customer, _), (own, most))| (shared[customer], customer, most - own))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::testing::directory_of;

    fn asked(per: PerContact) -> ContactQuestion {
        ContactQuestion {
            per,
            within: (10 * DAY_MS, 20 * DAY_MS),
            as_of_ms: 20 * DAY_MS - 1,
            customers: None,
            employees: None,
        }
    }

    fn found(question: &ContactQuestion) -> BTreeMap<ContactKey, Contact> {
        let company = directory_of(&[
            (
                "relations",
                r#"{"userid":"a","external_userid":"wm1","add_time":0,"lost_time":86400}
{"userid":"a","external_userid":"wm1","add_time":172800}
{"userid":"b","external_userid":"wm1","add_time":259200}"#,
            ),
            (
                "followups",
                r#"{"id":"f","userid":"b","target_type":"customer","target_id":"wm1","time":864000}"#,
            ),
        ]);
        // The customer wrote one message to both, which is a's own, and a second one to b.
        let us = |days: i64| days * DAY_MS * 1000;
        let sent = |employee, side, at_us, own_us| Sent {
            employee,
            customer: "wm1",
            side,
            at_us,
            own_us,
        };
        let (day_5, day_12, day_13) = ([us(5)], [us(12)], [us(13)]);
        let scope = Scope::local_operator();
        let mut book = ContactBook::new(&scope, &company, question);
        book.add(&[sent("a", Side::Employee, &day_5, &day_5)]);
        book.add(&[
            sent("a", Side::Customer, &day_12, &day_12),
            sent("b", Side::Customer, &day_12, &[]),
        ]);
        book.add(&[sent("b", Side::Customer, &day_13, &day_13)]);
        book.finish()
    }

    #[test]
    fn a_message_to_two_employees_is_one_of_the_customer() {
        let one = found(&asked(PerContact::Customer));
        let contact = &one[&("wm1".to_string(), None)];
        assert_eq!(
            (one.len(), contact.n_customer, contact.n_employee),
            (1, 2, 0)
        );
        assert_eq!(contact.last_ms(), Some(13 * DAY_MS));
        assert_eq!(contact.last_employee_ms, Some(5 * DAY_MS));
        // From day 13 to the last millisecond of day 20 are 6 whole days.
        assert_eq!(contact.silent_days(20 * DAY_MS - 1), Some(6));
        assert_eq!(contact.silent_days(20 * DAY_MS), Some(7));
        assert_eq!(contact.added_ms, Some(172_800_000));
        assert!(contact.is_followed);
    }

    #[test]
    fn who_asks_about_one_employee_only_misses_no_message_to_several() {
        for (employee, n) in [("a", 1), ("b", 2)] {
            let question = ContactQuestion {
                employees: Some([employee.to_string()].into()),
                ..asked(PerContact::Customer)
            };
            let one = found(&question);
            assert_eq!(one[&("wm1".to_string(), None)].n_customer, n, "{employee}");
        }
    }

    #[test]
    fn a_pair_has_what_is_its_own() {
        let pairs = found(&asked(PerContact::Pair));
        let a = &pairs[&("wm1".to_string(), Some("a".to_string()))];
        let b = &pairs[&("wm1".to_string(), Some("b".to_string()))];
        assert_eq!((a.n_customer, b.n_customer), (1, 2));
        assert_eq!((a.is_followed, b.is_followed), (false, true));
        assert_eq!(
            (a.added_ms, b.added_ms),
            (Some(172_800_000), Some(259_200_000))
        );
        let question = ContactQuestion {
            employees: Some(["b".to_string()].into()),
            ..asked(PerContact::Pair)
        };
        assert_eq!(found(&question).len(), 1);
    }
}
