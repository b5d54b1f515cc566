//! Contact facts for the rest of the SCRM (semantics 10.7): when a customer and his employees last
//! wrote, and how much, in single external chats.

use std::collections::BTreeMap;

use huicun_semantics::dialogue::Side;

use crate::access::Scope;
use crate::directory::Directory;
use crate::directory::work::{Target, within};

/// Milliseconds of a silent day.
const DAY_MS: i64 = 86_400_000;

/// What one side of a single external chat sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The employee of the pair.
    pub employee: &'a str,
    /// The customer of the pair.
    pub customer: &'a str,
    /// Who sent it.
    pub side: Side,
    /// His last message up to the end, UTC milliseconds.
    pub last_ms: i64,
    /// Counted messages in the window.
    pub n: u64,
    /// Those of them that no other chat of the customer holds: a message to several employees is
    /// one message of the customer.
    pub n_own: u64,
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
    /// Only these customers; all when empty.
    pub customers: Vec<String>,
    /// Only contacts of these employees; all when empty.
    pub employees: Vec<String>,
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

/// The contacts, by customer, then employee. Only what employees in scope have with a customer is
/// looked at.
pub fn contacts<'a>(
    scope: &Scope,
    directory: &Directory,
    question: &ContactQuestion,
    sent: impl IntoIterator<Item = Sent<'a>>,
) -> BTreeMap<ContactKey, Contact> {
    let mut found: BTreeMap<ContactKey, Contact> = BTreeMap::new();
    let is_asked = |employee: &str, customer: &str| {
        let asked = |ids: &[String], id: &str| ids.is_empty() || ids.iter().any(|one| one == id);
        scope.sees_employee(employee)
            && asked(&question.employees, employee)
            && asked(&question.customers, customer)
    };
    let key = |employee: &str, customer: &str| {
        let employee = match question.per {
            PerContact::Customer => None,
            PerContact::Pair => Some(employee.to_string()),
        };
        (customer.to_string(), employee)
    };
    for sent in sent {
        if !is_asked(sent.employee, sent.customer) {
            continue;
        }
        let contact = found.entry(key(sent.employee, sent.customer)).or_default();
        let (last_ms, n, sent_n) = match (sent.side, question.per) {
            (Side::Employee, _) => (
                &mut contact.last_employee_ms,
                &mut contact.n_employee,
                sent.n,
            ),
            (Side::Customer, PerContact::Pair) => (
                &mut contact.last_customer_ms,
                &mut contact.n_customer,
                sent.n,
            ),
            (Side::Customer, PerContact::Customer) => {
                let n = sent.n_own;
                (&mut contact.last_customer_ms, &mut contact.n_customer, n)
            }
        };
        *last_ms = (*last_ms).max(Some(sent.last_ms));
        *n += sent_n;
    }
    let name = |id: u32| directory.ids.name(id);
    for relation in directory.relations.iter() {
        let (employee, customer) = (name(relation.user), name(relation.customer));
        if !is_asked(employee, customer) {
            continue;
        }
        let contact = found.entry(key(employee, customer)).or_default();
        if relation.is_active(question.as_of_ms) {
            let added_ms = contact.added_ms.unwrap_or(relation.added_ms);
            contact.added_ms = Some(added_ms.min(relation.added_ms));
        }
    }
    for record in within(&directory.work.followups, |r| r.at_ms, question.within) {
        let Target::Customer(customer) = record.target else {
            continue;
        };
        let (employee, customer) = (name(record.user), name(customer));
        if is_asked(employee, customer) {
            let contact = found.entry(key(employee, customer)).or_default();
            contact.is_followed = true;
        }
    }
    found
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
            customers: vec![],
            employees: vec![],
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
        // The customer wrote one message to both, and a second one to b.
        let sent = |employee, side, last_ms, n, n_own| Sent {
            employee,
            customer: "wm1",
            side,
            last_ms,
            n,
            n_own,
        };
        let sent = [
            sent("a", Side::Customer, 12 * DAY_MS, 1, 1),
            sent("b", Side::Customer, 13 * DAY_MS, 2, 1),
            sent("a", Side::Employee, 5 * DAY_MS, 0, 0),
        ];
        contacts(&Scope::local_operator(), &company, question, sent)
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
        let mut question = asked(PerContact::Pair);
        question.employees = vec!["b".into()];
        assert_eq!(found(&question).len(), 1);
    }
}
