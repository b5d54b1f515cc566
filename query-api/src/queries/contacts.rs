//! Contact facts (联系情况, semantics 10.7): when each customer and his employees last wrote to each
//! other in single chats, and how much.
//!
//! Who sees what: contacts of employees in scope, nothing else. A customer's row has only what
//! these employees have with him.

use std::collections::HashSet;

use chrono::NaiveDate;
use huicun_engine::access::Scope;
use huicun_engine::jobs::Facts;
use huicun_engine::jobs::derive::said::{Said, said};
use huicun_engine::metrics::contacts::{
    Contact, ContactBook, ContactKey, ContactQuestion, PerContact, Sent,
};
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::{Period, Zone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::page::{Place, page};
use crate::answer::{Column, ColumnKind, Table};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct ContactParams {
    /// First day of the window; the first day that has dialogues if missing.
    pub from: Option<String>,
    /// Last day of the window; today if missing.
    pub to: Option<String>,
    /// `customer`, or `employee` for a row of each employee and customer.
    pub per: Option<String>,
    /// Only contacts of these employees.
    pub employees: Vec<String>,
    /// Only these customers.
    pub customers: Vec<String>,
    /// Only contacts of employees who were in these departments or below in the window.
    pub departments: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One customer, or one employee and customer. No `Debug`: it holds names.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ContactItem {
    /// The customer.
    pub external_userid: String,
    /// His name.
    pub name: Option<String>,
    /// The employee, with `per=employee`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userid: Option<String>,
    /// His last message up to the end, RFC 3339 in the company's zone.
    pub last_customer_message_at: Option<String>,
    /// The employees' last message.
    pub last_employee_message_at: Option<String>,
    /// The later of the two.
    pub last_contact_at: Option<String>,
    /// The customer's messages in the window.
    pub customer_messages: u64,
    /// The employees' messages in the window.
    pub employee_messages: u64,
    /// Whole days of 24 hours from the customer's last message to the end; null if he never wrote.
    pub silent_days: Option<i64>,
    /// The earliest add time of the relations that are active at the end.
    pub added_at: Option<String>,
    /// Whether an employee wrote a follow-up record about him in the window.
    pub followed: bool,
}

/// A page of contacts.
pub struct ContactPage {
    /// The contacts, by customer, then employee.
    pub items: Vec<ContactItem>,
    /// What a row is about.
    pub per: PerContact,
    /// The window.
    pub period: Period,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Lists contacts.
pub async fn contacts(
    scope: &Scope,
    archive: &Archive,
    params: &ContactParams,
) -> Result<ContactPage, QuestionError> {
    let per = per(params.per.as_deref())?;
    archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let facts = archive.facts().await?;
    let (zone, now_ms) = (archive.zone(), now_ms());
    let period = archive.period(params.from.as_deref(), params.to.as_deref(), &facts)?;
    let today = zone.day_of(now_ms);
    let period = match params.to {
        Some(_) => period,
        None => Period {
            from: period.from,
            to: period.from.max(today),
        },
    };
    let window = (period.start_ms(zone), period.end_ms(zone));
    let question = ContactQuestion {
        per,
        within: window,
        as_of_ms: (window.1 - 1).min(now_ms),
        customers: only(&params.customers),
        employees: employees(params, &facts, window),
    };
    let mut book = ContactBook::new(scope, &facts.directory, &question);
    let last_day: NaiveDate = zone.day_of(question.as_of_ms);
    for days in facts.snapshot.months_of_activity(last_day) {
        let batches = facts.snapshot.activity(days).await?;
        // A message is one day's, and a day's rows are in one batch or follow each other.
        let all = batches
            .iter()
            .flat_map(|batch| said(batch, question.as_of_ms));
        let sent: Vec<Sent<'_>> = all.filter_map(sent).collect();
        book.add(&sent);
    }
    let rows = book.finish().into_iter().map(|(key, contact)| {
        let place = Place {
            first: 0,
            second: 0,
            text: place_of(&key),
        };
        (place, (key, contact))
    });
    let (items, next) = page(after.as_ref(), params.limit, rows, |_, (key, contact)| {
        Some(item(&facts, key, &contact, question.as_of_ms, zone))
    });
    let instants = (Some(window.0), Some(window.1));
    let as_of = archive
        .as_of_period(scope, facts.messages_version, &facts.directory, instants)
        .await;
    Ok(ContactPage {
        items,
        per,
        period,
        next,
        as_of,
    })
}

fn per(asked: Option<&str>) -> Result<PerContact, QuestionError> {
    match asked {
        None | Some("customer") => Ok(PerContact::Customer),
        Some("employee") => Ok(PerContact::Pair),
        Some(other) => Err(QuestionError::Parameter(format!(
            "`per` is `{other}`; expected `customer` or `employee`"
        ))),
    }
}

fn only(ids: &[String]) -> Option<HashSet<String>> {
    (!ids.is_empty()).then(|| ids.iter().cloned().collect())
}

/// The employees that the question is narrowed to; none where it is not.
fn employees(params: &ContactParams, facts: &Facts, window: (i64, i64)) -> Option<HashSet<String>> {
    let named = only(&params.employees);
    if params.departments.is_empty() {
        return named;
    }
    let directory = &facts.directory;
    let below = params
        .departments
        .iter()
        .flat_map(|id| directory.departments_below(id))
        .collect();
    let was_there = directory
        .employees
        .keys()
        .filter(|id| directory.was_in_during(id, &below, window))
        .filter(|id| named.as_ref().is_none_or(|named| named.contains(*id)));
    Some(was_there.cloned().collect())
}

/// What somebody said in a single external chat.
fn sent<'a>(said: Said<'a>) -> Option<Sent<'a>> {
    if said.kind != Kind::SingleExternal.as_str() {
        return None;
    }
    let other = other_of(said.conversation, said.speaker)?;
    let (employee, customer) = match said.side {
        Side::Employee => (said.speaker, other),
        Side::Customer => (other, said.speaker),
    };
    Some(Sent {
        employee,
        customer,
        side: said.side,
        at_us: said.at_us,
        own_us: said.own_us,
    })
}

/// The other one of a pair `a|b`.
fn other_of<'a>(pair: &'a str, one: &str) -> Option<&'a str> {
    let first = pair
        .strip_prefix(one)
        .and_then(|rest| rest.strip_prefix('|'));
    first.or_else(|| pair.strip_suffix(one)?.strip_suffix('|'))
}

fn place_of((customer, employee): &ContactKey) -> String {
    match employee {
        Some(employee) => format!("{customer}\0{employee}"),
        None => customer.clone(),
    }
}

fn item(
    facts: &Facts,
    (customer, employee): ContactKey,
    contact: &Contact,
    as_of_ms: i64,
    zone: Zone,
) -> ContactItem {
    let instant = |ms: Option<i64>| ms.map(|ms| zone.rfc3339_ms(ms));
    ContactItem {
        name: facts.directory.name(&customer).map(String::from),
        external_userid: customer,
        userid: employee,
        last_customer_message_at: instant(contact.last_customer_ms),
        last_employee_message_at: instant(contact.last_employee_ms),
        last_contact_at: instant(contact.last_ms()),
        customer_messages: contact.n_customer,
        employee_messages: contact.n_employee,
        silent_days: contact.silent_days(as_of_ms),
        added_at: instant(contact.added_ms),
        followed: contact.is_followed,
    }
}

impl ContactPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        use ColumnKind::{Boolean, Instant, Integer, Text};
        let is_pair = self.per == PerContact::Pair;
        let columns = [
            ("external_userid", "客户 ID", "Customer", Text),
            ("name", "客户", "Name", Text),
            ("userid", "员工", "Employee", Text),
            (
                "last_customer_message_at",
                "客户最后消息时间",
                "Customer's last message",
                Instant,
            ),
            (
                "last_employee_message_at",
                "员工最后消息时间",
                "Employee's last message",
                Instant,
            ),
            ("last_contact_at", "最近沟通时间", "Last contact", Instant),
            (
                "customer_messages",
                "客户消息数",
                "Customer messages",
                Integer,
            ),
            (
                "employee_messages",
                "员工消息数",
                "Employee messages",
                Integer,
            ),
            ("silent_days", "沉默天数", "Silent days", Integer),
            ("added_at", "添加时间", "Added", Instant),
            ("followed", "是否跟进", "Followed", Boolean),
        ];
        let columns = columns
            .into_iter()
            .filter(|(key, ..)| is_pair || *key != "userid")
            .map(|(key, zh, en, kind)| Column::new(key, zh, en, kind))
            .collect();
        let rows = self.items.into_iter().map(|item| row(item, is_pair));
        Table {
            columns,
            rows: rows.collect(),
        }
    }
}

fn row(item: ContactItem, is_pair: bool) -> Vec<Value> {
    let mut row = vec![json!(item.external_userid), json!(item.name)];
    if is_pair {
        row.push(json!(item.userid));
    }
    row.extend([
        json!(item.last_customer_message_at),
        json!(item.last_employee_message_at),
        json!(item.last_contact_at),
        json!(item.customer_messages),
        json!(item.employee_messages),
        json!(item.silent_days),
        json!(item.added_at),
        json!(item.followed),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_one_of_a_pair_is_found_on_either_side() {
        assert_eq!(other_of("a|wm1", "a"), Some("wm1"));
        assert_eq!(other_of("a|wm1", "wm1"), Some("a"));
        // An id that is the beginning or the end of the other.
        assert_eq!(other_of("wm|wm1", "wm1"), Some("wm"));
        assert_eq!(other_of("1|wm1", "1"), Some("wm1"));
        assert_eq!(other_of("a|b", "c"), None);
    }
}
