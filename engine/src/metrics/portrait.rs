//! The portrait of a group (群画像, semantics 10.6): who said how much on which day, who came, left
//! and stayed, what customers talk about, their tags, the members, and those who left.
//!
//! Tags are those that employees in scope gave: they belong to their relations, not to the group.
//! Employees out of scope have no row among the members, for a row tells how much one wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use huicun_semantics::dialogue::Side;
use huicun_semantics::role::Role;
use huicun_semantics::time::{Period, Zone};

use crate::access::Scope;
use crate::directory::Directory;
use crate::directory::groups::Membership;

/// What one person sent in the group on one day.
#[derive(Debug, Clone, Copy)]
pub struct Spoken<'a> {
    /// The day in the company's zone.
    pub day: NaiveDate,
    /// Who.
    pub speaker: &'a str,
    /// His side.
    pub side: Side,
    /// Counted messages.
    pub n: u64,
    /// The last of them, UTC milliseconds.
    pub last_ms: i64,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortraitDay {
    /// The day.
    pub day: NaiveDate,
    /// Employees' messages.
    pub n_employee: u64,
    /// Customers' messages.
    pub n_customer: u64,
    /// How often a customer joined.
    pub n_joined: u64,
    /// How often a customer left.
    pub n_left: u64,
    /// Customers who are members at the day's end, or now.
    pub n_present: u64,
}

/// A stay that holds at the end, or the last one of a member who left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortraitMember {
    /// The member's id.
    pub id: String,
    /// His name.
    pub name: Option<String>,
    /// Employee, customer or robot.
    pub role: Role,
    /// His last message in the group up to the end, UTC milliseconds.
    pub last_contact_ms: Option<i64>,
    /// How he came in, WeCom's number.
    pub join_scene: Option<i32>,
    /// Who invited him.
    pub invitor: Option<String>,
    /// When he joined, UTC milliseconds.
    pub joined_ms: i64,
    /// When he left, UTC milliseconds.
    pub left_ms: Option<i64>,
    /// His messages on the last day of the portrait: today, where it ends today.
    pub n_last_day: u64,
    /// A customer's tags, of the active relations of employees in scope.
    pub tags: Vec<String>,
}

/// The portrait; keywords are counted apart, from texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Portrait {
    /// Day by day.
    pub days: Vec<PortraitDay>,
    /// Customers among the members at the end by the tags of their active relations, each customer
    /// once a tag.
    pub tags: BTreeMap<String, u64>,
    /// Members at the end, all of them.
    pub n_members: usize,
    /// Customers among these.
    pub n_customers: usize,
    /// Members at the end, by id; of employees those in scope.
    pub members: Vec<PortraitMember>,
    /// Those who were members and left by the end, by id; of employees those in scope.
    pub left: Vec<PortraitMember>,
}

/// The portrait of a group over a period; `spoken` is all that was said up to its end.
pub fn portrait<'a>(
    scope: &Scope,
    directory: &Directory,
    chat: &str,
    period: Period,
    zone: Zone,
    now_ms: i64,
    spoken: impl IntoIterator<Item = Spoken<'a>>,
) -> Portrait {
    let as_of_ms = (period.end_ms(zone) - 1).min(now_ms);
    let last_day = period.to.min(zone.day_of(as_of_ms));
    let mut said: HashMap<(NaiveDate, Side), u64> = HashMap::new();
    let mut last_contact: HashMap<&str, i64> = HashMap::new();
    let mut on_last_day: HashMap<&str, u64> = HashMap::new();
    for spoken in spoken {
        *said.entry((spoken.day, spoken.side)).or_default() += spoken.n;
        let last_ms = last_contact.entry(spoken.speaker).or_insert(i64::MIN);
        *last_ms = spoken.last_ms.max(*last_ms);
        if spoken.day == last_day {
            *on_last_day.entry(spoken.speaker).or_default() += spoken.n;
        }
    }
    let Some(number) = directory.ids.get(chat) else {
        return Portrait {
            days: days(&period, zone, now_ms, &said, &[]),
            ..Portrait::default()
        };
    };
    let stays = directory.groups.of_chat(number);
    let mut found = Portrait {
        days: days(&period, zone, now_ms, &said, stays),
        ..Portrait::default()
    };
    for stays in stays.chunk_by(|a, b| a.member == b.member) {
        let begun = stays.iter().filter(|stay| stay.joined_ms <= as_of_ms);
        let Some(stay) = begun.max_by_key(|stay| stay.joined_ms) else {
            continue;
        };
        let id = directory.ids.name(stay.member);
        let tags = match stay.role {
            Role::Customer => tags_of(scope, directory, stay.member, as_of_ms),
            _ => BTreeSet::new(),
        };
        let is_member = stay.contains(as_of_ms);
        if is_member {
            found.n_members += 1;
            found.n_customers += usize::from(stay.role == Role::Customer);
            for tag in &tags {
                *found.tags.entry((*tag).to_string()).or_default() += 1;
            }
        }
        if stay.role == Role::Employee && !scope.sees_employee(id) {
            continue;
        }
        let list = match is_member {
            true => &mut found.members,
            false => &mut found.left,
        };
        list.push(PortraitMember {
            id: id.to_string(),
            name: directory.name(id).map(String::from),
            role: stay.role,
            last_contact_ms: last_contact.get(id).copied(),
            join_scene: stay.join_scene,
            invitor: stay.invitor.map(|id| directory.ids.name(id).to_string()),
            joined_ms: stay.joined_ms,
            left_ms: stay.left_ms.filter(|left_ms| *left_ms <= as_of_ms),
            n_last_day: on_last_day.get(id).copied().unwrap_or(0),
            tags: tags.into_iter().map(String::from).collect(),
        });
    }
    found
}

fn tags_of<'a>(
    scope: &Scope,
    directory: &'a Directory,
    customer: u32,
    at_ms: i64,
) -> BTreeSet<&'a str> {
    let relations = &directory.relations;
    relations
        .of_customer(customer)
        .filter(|relation| relation.is_active(at_ms))
        .filter(|relation| scope.sees_employee(directory.ids.name(relation.user)))
        .flat_map(|relation| relations.tags(relation))
        .map(AsRef::as_ref)
        .collect()
}

fn days(
    period: &Period,
    zone: Zone,
    now_ms: i64,
    said: &HashMap<(NaiveDate, Side), u64>,
    stays: &[Membership],
) -> Vec<PortraitDay> {
    let customers: Vec<_> = stays.iter().filter(|s| s.role == Role::Customer).collect();
    let mut found = Vec::new();
    for day in period.from.iter_days().take_while(|day| *day <= period.to) {
        let of_day = Period { from: day, to: day };
        let (start_ms, end_ms) = (of_day.start_ms(zone), of_day.end_ms(zone));
        if start_ms > now_ms {
            break;
        }
        let within = start_ms..end_ms;
        let as_of_ms = (end_ms - 1).min(now_ms);
        let n_said = |side| said.get(&(day, side)).copied().unwrap_or(0);
        // Each coming and going counts, so that the days add up: present is what it was the day
        // before, and who came, less who left.
        let n = |is_it: &dyn Fn(&Membership) -> bool| {
            customers.iter().filter(|stay| is_it(stay)).count() as u64
        };
        let present: BTreeSet<u32> = customers
            .iter()
            .filter(|stay| stay.contains(as_of_ms))
            .map(|stay| stay.member)
            .collect();
        found.push(PortraitDay {
            day,
            n_employee: n_said(Side::Employee),
            n_customer: n_said(Side::Customer),
            n_joined: n(&|stay| within.contains(&stay.joined_ms)),
            n_left: n(&|stay| stay.left_ms.is_some_and(|ms| within.contains(&ms))),
            n_present: present.len() as u64,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::testing::directory_of;

    #[test]
    fn who_comes_and_goes_is_told_by_day_and_who_is_there_at_the_end() {
        let company = directory_of(&[
            (
                "group_members",
                r#"{"chat_id":"g","member_id":"a","member_type":"employee","join_time":"2024-01-01T00:00:00Z"}
{"chat_id":"g","member_id":"wm1","member_type":"customer","join_time":"2024-01-02T00:00:00Z","join_scene":3,"invitor":"a"}
{"chat_id":"g","member_id":"wm2","member_type":"customer","join_time":"2024-01-02T12:00:00Z","leave_time":"2024-01-03T00:00:00Z"}"#,
            ),
            (
                "relations",
                r#"{"userid":"a","external_userid":"wm1","add_time":"2024-01-01T00:00:00Z","tags":["会员","老客"]}
{"userid":"b","external_userid":"wm1","add_time":"2024-01-01T00:00:00Z","tags":["会员"]}"#,
            ),
        ]);
        let day = |n| NaiveDate::from_ymd_opt(2024, 1, n).unwrap();
        let period = Period {
            from: day(2),
            to: day(3),
        };
        let zone: Zone = "UTC".parse().unwrap();
        let spoken = [
            Spoken {
                day: day(2),
                speaker: "wm2",
                side: Side::Customer,
                n: 4,
                last_ms: 5,
            },
            Spoken {
                day: day(3),
                speaker: "a",
                side: Side::Employee,
                n: 1,
                last_ms: 6,
            },
        ];
        let scope = Scope::local_operator();
        let found = portrait(&scope, &company, "g", period, zone, i64::MAX, spoken);
        let numbers: Vec<_> = found
            .days
            .iter()
            .map(|d| {
                (
                    d.n_employee,
                    d.n_customer,
                    d.n_joined,
                    d.n_left,
                    d.n_present,
                )
            })
            .collect();
        assert_eq!(numbers, [(0, 4, 2, 0, 2), (1, 0, 0, 1, 1)]);
        let ids: Vec<&str> = found.members.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["a", "wm1"]);
        assert_eq!(
            (
                found.members[0].n_last_day,
                found.members[0].last_contact_ms
            ),
            (1, Some(6))
        );
        assert_eq!(found.members[1].invitor.as_deref(), Some("a"));
        assert_eq!(
            (found.left.len(), found.left[0].last_contact_ms),
            (1, Some(5))
        );
        let tags: Vec<_> = found
            .tags
            .iter()
            .map(|(tag, n)| (tag.as_str(), *n))
            .collect();
        assert_eq!(tags, [("会员", 1), ("老客", 1)]);
        assert_eq!(found.members[1].tags, ["会员", "老客"]);

        // Who sees b only sees what b wrote down about the customer, and no row of a.
        let scope = Scope::of_employees(["b".to_string()].into());
        let narrow = portrait(&scope, &company, "g", period, zone, i64::MAX, []);
        assert_eq!((narrow.n_members, narrow.members.len()), (2, 1));
        assert_eq!(narrow.members[0].tags, ["会员"]);
        assert_eq!(narrow.tags, BTreeMap::from([("会员".to_string(), 1)]));
    }
}
