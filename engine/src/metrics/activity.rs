//! Group activity (群活跃度, semantics 10.6): which customers of a group are active in a window, and
//! what share of its members that is.
//!
//! Active customers are members at the window's end; all conditions hold over the window. Members
//! are everybody at the end, employees included. Pure: messages come in as counts.

use std::collections::HashMap;

use huicun_semantics::activity::{
    Condition, DEFAULT_ACTIVITY, DEFAULT_CONDITION, DEFAULT_SPEECH, Measured, Threshold,
    activity_ratio, is_active_customer, is_active_group, speech_ratio,
};
use huicun_semantics::role::Role;

use crate::directory::Directory;
use crate::directory::work::{MaterialKind, within};

/// When customers and groups are active (`[group_activity]`).
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityRules {
    /// Days of the window where no period is asked for.
    pub window_days: u32,
    /// What an active customer did: all of them hold.
    pub conditions: Vec<Condition>,
    /// What the activity ratio of an active group keeps.
    pub activity_ratio: Threshold,
    /// What the speech ratio of an active group keeps.
    pub speech_ratio: Threshold,
}

impl Default for ActivityRules {
    fn default() -> Self {
        Self {
            window_days: 7,
            conditions: vec![DEFAULT_CONDITION],
            activity_ratio: DEFAULT_ACTIVITY,
            speech_ratio: DEFAULT_SPEECH,
        }
    }
}

/// What customers did outside of chats in a window, by customer.
#[derive(Debug, Default)]
pub struct Deeds {
    views: HashMap<u32, u64>,
    shares: HashMap<u32, u64>,
    dwell_seconds: HashMap<u32, i64>,
    orders: HashMap<u32, u64>,
}

impl Deeds {
    /// What the directory's tables say of `start_ms..end_ms`.
    pub fn within(directory: &Directory, window: (i64, i64)) -> Self {
        let mut deeds = Self::default();
        for event in within(&directory.work.material_events, |e| e.at_ms, window) {
            match event.kind {
                MaterialKind::View => *deeds.views.entry(event.customer).or_default() += 1,
                MaterialKind::Share => *deeds.shares.entry(event.customer).or_default() += 1,
            }
            *deeds.dwell_seconds.entry(event.customer).or_default() += event.dwell_seconds;
        }
        for order in within(&directory.work.orders, |o| o.at_ms, window) {
            *deeds.orders.entry(order.customer).or_default() += 1;
        }
        deeds
    }

    fn of(&self, customer: u32, messages: u64) -> Measured {
        let of = |counts: &HashMap<u32, u64>| counts.get(&customer).copied().unwrap_or(0);
        let seconds = self.dwell_seconds.get(&customer).copied().unwrap_or(0);
        Measured {
            messages,
            material_views: of(&self.views),
            material_shares: of(&self.shares),
            material_dwell_seconds: seconds as f64,
            orders: of(&self.orders),
        }
    }
}

/// How lively a group was in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Members at the end, employees included, in the order of their ids.
    pub members: Vec<u32>,
    /// Customers among them for whom all conditions hold.
    pub active_customers: Vec<u32>,
    /// Active customers over members; none without members.
    pub activity_ratio: Option<f64>,
    /// Customers' messages over days and members; none without members.
    pub speech_ratio: Option<f64>,
    /// Whether both ratios keep their bounds.
    pub is_active: bool,
}

/// A window of whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many days it has.
    pub n_days: u64,
    /// As of when members are taken, UTC milliseconds.
    pub as_of_ms: i64,
}

/// The activity of a group by its chat's number; `n_messages` gives each customer's counted messages
/// in it in the window, `n_customer_messages` those of all customers, whether still members or not.
pub fn activity(
    directory: &Directory,
    chat: u32,
    window: Window,
    rules: &ActivityRules,
    deeds: &Deeds,
    n_customer_messages: u64,
    n_messages: impl Fn(u32) -> u64,
) -> Activity {
    let members: Vec<_> = directory.groups.members_at(chat, window.as_of_ms).collect();
    let is_active = |customer: u32| {
        let did = deeds.of(customer, n_messages(customer));
        is_active_customer(&rules.conditions, &did)
    };
    let active_customers: Vec<u32> = members
        .iter()
        .filter(|member| member.role == Role::Customer && is_active(member.member))
        .map(|member| member.member)
        .collect();
    let n_members = members.len() as u64;
    let activity = activity_ratio(active_customers.len() as u64, n_members);
    let speech = speech_ratio(n_customer_messages, window.n_days, n_members);
    Activity {
        is_active: is_active_group(&[
            (rules.activity_ratio, activity),
            (rules.speech_ratio, speech),
        ]),
        members: members.iter().map(|member| member.member).collect(),
        active_customers,
        activity_ratio: activity,
        speech_ratio: speech,
    }
}

#[cfg(test)]
mod tests {
    use huicun_semantics::activity::{Measure, Op};

    use super::*;
    use crate::directory::testing::directory_of;

    const END_MS: i64 = 1_600_000_000_000;

    /// One employee and seven customers, of whom `wm7` left; `wm1` viewed material once.
    fn company() -> Directory {
        let mut members = String::from(
            r#"{"chat_id":"g","member_id":"a","member_type":"employee","join_time":1500000000}"#,
        );
        for n in 1..=7 {
            let left = if n == 7 {
                r#","leave_time":1600000000"#
            } else {
                ""
            };
            members += &format!(
                "\n{{\"chat_id\":\"g\",\"member_id\":\"wm{n}\",\"member_type\":\"customer\",\"join_time\":1500000000{left}}}"
            );
        }
        directory_of(&[
            ("groups", r#"{"chat_id":"g","name":"群","owner":"a"}"#),
            ("group_members", &members),
            (
                "material_events",
                r#"{"id":"1","external_userid":"wm1","time":1599999999,"kind":"view","dwell_seconds":30}"#,
            ),
        ])
    }

    fn active(rules: &ActivityRules, n_days: u64, counts: &[(&str, u64)]) -> Activity {
        let company = company();
        let group = company.groups.iter().next().unwrap();
        let window = Window {
            n_days,
            as_of_ms: END_MS,
        };
        let deeds = Deeds::within(&company, (END_MS - 10_000, END_MS));
        let total = counts.iter().map(|(_, n)| n).sum();
        let of = |customer: u32| {
            let id = company.ids.name(customer);
            counts.iter().find(|(who, _)| *who == id).map_or(0, |c| c.1)
        };
        activity(&company, group.chat, window, rules, &deeds, total, of)
    }

    #[test]
    fn who_left_is_not_active_but_his_messages_were_said() {
        let found = active(&ActivityRules::default(), 1, &[("wm1", 1), ("wm7", 1)]);
        assert_eq!((found.members.len(), found.active_customers.len()), (7, 1));
        assert_eq!(found.activity_ratio, Some(1.0 / 7.0));
        assert_eq!(found.speech_ratio, Some(2.0 / 7.0));
        // 1/7 is 14.28 %, above 14 %; 2/7 is above 1 %.
        assert!(found.is_active);
    }

    #[test]
    fn both_bounds_must_hold_and_one_is_open_where_the_other_is_closed() {
        // One message in 100 days of 7 members: 1/700 is no more than 1 %.
        assert!(!active(&ActivityRules::default(), 100, &[("wm1", 1)]).is_active);
        let rules = ActivityRules {
            activity_ratio: Threshold {
                op: Op::Ge,
                value: 1.0 / 7.0,
            },
            speech_ratio: Threshold {
                op: Op::Gt,
                value: 1.0 / 7.0,
            },
            ..ActivityRules::default()
        };
        assert!(!active(&rules, 1, &[("wm1", 1)]).is_active);
        assert!(active(&rules, 1, &[("wm1", 2)]).is_active);
    }

    #[test]
    fn all_conditions_hold_over_the_window() {
        let seconds = |value| ActivityRules {
            conditions: vec![
                DEFAULT_CONDITION,
                Condition {
                    measure: Measure::MaterialDwellSeconds,
                    op: Op::Ge,
                    value,
                },
            ],
            ..ActivityRules::default()
        };
        let said = [("wm1", 1), ("wm2", 1)];
        assert_eq!(active(&seconds(30.0), 1, &said).active_customers.len(), 1);
        assert_eq!(active(&seconds(31.0), 1, &said).active_customers.len(), 0);
    }
}
