//! Group chats (群): owner (群主), responsible (群负责人) and members over time (semantics 9).

use std::collections::HashMap;

use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;

use super::columns::Rows;
use super::relations::stably_by_number;

/// A group chat that any table names.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its number.
    pub chat: u32,
    /// Its name; none where the table `groups` has none, or does not know it.
    pub name: Option<Box<str>>,
    /// The owner that `groups` gives.
    pub owner: Option<u32>,
    /// From when on it exists, UTC milliseconds; always where that is not given.
    pub created_ms: Option<i64>,
    /// From when on it exists no more, UTC milliseconds.
    pub dismissed_ms: Option<i64>,
    /// The store that `groups` gives.
    pub store: Option<u32>,
    /// Whether it has, or ever had, a customer as a member by the tables.
    pub has_customer: bool,
    owners: Vec<(u32, Interval)>,
    responsibles: Vec<(u32, Interval)>,
}

impl Group {
    /// Whether it exists at an instant.
    pub fn exists_at(&self, at_ms: i64) -> bool {
        let interval = Interval {
            from_ms: self.created_ms,
            to_ms: self.dismissed_ms,
        };
        interval.contains(at_ms)
    }

    /// The owner at an instant: by the history, whose first owner reaches back without end; where
    /// that names nobody, the one that `groups` gives.
    pub fn owner_at(&self, at_ms: i64) -> Option<u32> {
        let before = self
            .owners
            .first()
            .filter(|(_, held)| held.from_ms.is_some_and(|from_ms| at_ms < from_ms));
        before
            .or_else(|| holder_at(&self.owners, at_ms))
            .map(|(user, _)| *user)
            .or(self.owner)
    }

    /// Everybody who was ever owner or responsible by the tables.
    pub fn holders(&self) -> impl Iterator<Item = u32> + '_ {
        let held = self.owners.iter().chain(&self.responsibles);
        held.map(|(user, _)| *user).chain(self.owner)
    }

    /// The responsible employee at an instant, the owner where none is set.
    pub fn responsible_at(&self, at_ms: i64) -> Option<u32> {
        holder_at(&self.responsibles, at_ms)
            .map(|(user, _)| *user)
            .or_else(|| self.owner_at(at_ms))
    }
}

/// Of the intervals that hold, the latest.
fn holder_at(held: &[(u32, Interval)], at_ms: i64) -> Option<&(u32, Interval)> {
    held.iter()
        .rev()
        .find(|(_, interval)| interval.contains(at_ms))
}

/// One stay of a member in a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Membership {
    /// The group.
    pub chat: u32,
    /// The member.
    pub member: u32,
    /// What the member is: by his id, not by `member_type` (semantics 2).
    pub role: Role,
    /// When he joined, UTC milliseconds.
    pub joined_ms: i64,
    /// When he left, UTC milliseconds; not yet if missing.
    pub left_ms: Option<i64>,
    /// How he came in, WeCom's number.
    pub join_scene: Option<i32>,
    /// Who invited him.
    pub invitor: Option<u32>,
}

impl Membership {
    /// Whether he was in at an instant.
    pub fn contains(&self, at_ms: i64) -> bool {
        self.interval().contains(at_ms)
    }

    /// From joining to leaving.
    pub fn interval(&self) -> Interval {
        Interval {
            from_ms: Some(self.joined_ms),
            to_ms: self.left_ms,
        }
    }
}

/// All groups and memberships.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// By chat.
    all: Vec<Group>,
    /// By (chat, member, join time).
    members: Vec<Membership>,
    /// Places in `members` by (member, chat, join time).
    by_member: Vec<u32>,
}

impl Groups {
    pub(super) fn read(
        groups: &Rows<'_>,
        roles: &Rows<'_>,
        members: &Rows<'_>,
        role_of: impl Fn(u32) -> Role,
    ) -> Self {
        let members = read_members(members, role_of);
        let mut found: HashMap<u32, Group> = read_groups(groups);
        read_roles(roles, &mut found);
        for membership in &members {
            let group = entry(&mut found, membership.chat);
            group.has_customer |= membership.role == Role::Customer;
        }
        let mut all: Vec<Group> = found.into_values().collect();
        all.sort_unstable_by_key(|group| group.chat);
        for group in &mut all {
            group.owners.sort_by_key(|(_, held)| held.from_ms);
            group.responsibles.sort_by_key(|(_, held)| held.from_ms);
        }
        Self::indexed(all, members)
    }

    fn indexed(all: Vec<Group>, mut members: Vec<Membership>) -> Self {
        members.sort_unstable_by_key(|m| (m.chat, m.member, m.joined_ms));
        let places: Vec<u32> = (0..members.len() as u32).collect();
        // Within a member the order of `members` stays.
        let by_member = stably_by_number(&places, |place| members[place as usize].member);
        Self {
            all,
            members,
            by_member,
        }
    }

    /// All groups that any table names, in the order of their ids.
    pub fn iter(&self) -> std::slice::Iter<'_, Group> {
        self.all.iter()
    }

    /// One group.
    pub fn get(&self, chat: u32) -> Option<&Group> {
        let place = self.all.binary_search_by_key(&chat, |group| group.chat);
        place.ok().map(|place| &self.all[place])
    }

    /// The groups that exist at an instant.
    pub fn existing_at(&self, at_ms: i64) -> impl Iterator<Item = &Group> {
        self.all.iter().filter(move |group| group.exists_at(at_ms))
    }

    /// All stays, by (chat, member, join time).
    pub fn memberships(&self) -> &[Membership] {
        &self.members
    }

    /// All stays in a group, by (member, join time).
    pub fn of_chat(&self, chat: u32) -> &[Membership] {
        let from = self.members.partition_point(|m| m.chat < chat);
        let to = self.members.partition_point(|m| m.chat <= chat);
        &self.members[from..to]
    }

    /// All stays of a member, by (chat, join time).
    pub fn of_member(&self, member: u32) -> impl Iterator<Item = &Membership> + Clone {
        let of = |place: &u32| self.members[*place as usize].member;
        let from = self.by_member.partition_point(|place| of(place) < member);
        let to = self.by_member.partition_point(|place| of(place) <= member);
        self.by_member[from..to]
            .iter()
            .map(|place| &self.members[*place as usize])
    }

    /// Members of a group at an instant, each once, in the order of their ids.
    pub fn members_at(&self, chat: u32, at_ms: i64) -> impl Iterator<Item = &Membership> {
        let stays = self.of_chat(chat);
        // Stays do not overlap; those imported before that was checked may.
        stays
            .chunk_by(|a, b| a.member == b.member)
            .filter_map(move |stays| stays.iter().find(|stay| stay.contains(at_ms)))
    }

    /// Whether someone was a member of a group at an instant.
    pub fn is_member_at(&self, chat: u32, member: u32, at_ms: i64) -> bool {
        let stays = self.of_chat(chat);
        let from = stays.partition_point(|stay| stay.member < member);
        stays[from..]
            .iter()
            .take_while(|stay| stay.member == member)
            .any(|stay| stay.contains(at_ms))
    }
}

fn entry(found: &mut HashMap<u32, Group>, chat: u32) -> &mut Group {
    found.entry(chat).or_insert_with(|| Group {
        chat,
        ..Group::default()
    })
}

fn read_groups(rows: &Rows<'_>) -> HashMap<u32, Group> {
    let (id, name, owner) = (rows.id("chat_id"), rows.text("name"), rows.id("owner"));
    let (created, dismissed) = (rows.time("create_time"), rows.time("dismissed_time"));
    let store = rows.id("store_id");
    let mut found = HashMap::new();
    for row in rows.numbers() {
        let Some(chat) = id(row) else { continue };
        let group = Group {
            chat,
            name: name(row).map(Box::from),
            owner: owner(row),
            created_ms: created(row),
            dismissed_ms: dismissed(row),
            store: store(row),
            ..Group::default()
        };
        found.insert(chat, group);
    }
    found
}

fn read_roles(rows: &Rows<'_>, found: &mut HashMap<u32, Group>) {
    let (chat, role, user) = (rows.id("chat_id"), rows.text("role"), rows.id("userid"));
    let (from, to) = (rows.time("from_time"), rows.time("to_time"));
    for row in rows.numbers() {
        let (Some(chat), Some(role), Some(user)) = (chat(row), role(row), user(row)) else {
            continue;
        };
        let group = entry(found, chat);
        let held = match role {
            "owner" => &mut group.owners,
            _ => &mut group.responsibles,
        };
        let interval = Interval {
            from_ms: from(row),
            to_ms: to(row),
        };
        held.push((user, interval));
    }
}

fn read_members(rows: &Rows<'_>, role_of: impl Fn(u32) -> Role) -> Vec<Membership> {
    let (chat, member) = (rows.id("chat_id"), rows.id("member_id"));
    let (joined, left) = (rows.time("join_time"), rows.time("leave_time"));
    let (scene, invitor) = (rows.integer("join_scene"), rows.id("invitor"));
    let stays = rows.numbers().filter_map(|row| {
        let member = member(row)?;
        Some(Membership {
            chat: chat(row)?,
            member,
            role: role_of(member),
            joined_ms: joined(row).unwrap_or(i64::MIN),
            left_ms: left(row),
            join_scene: scene(row).and_then(|scene| i32::try_from(scene).ok()),
            invitor: invitor(row),
        })
    });
    stays.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(user: u32, from: i64, to: Option<i64>) -> (u32, Interval) {
        let interval = Interval {
            from_ms: Some(from),
            to_ms: to,
        };
        (user, interval)
    }

    #[test]
    fn the_first_owner_reaches_back_and_a_gap_falls_to_the_one_of_the_table() {
        let group = Group {
            owner: Some(9),
            owners: vec![held(1, 10, Some(20)), held(2, 30, Some(40))],
            ..Group::default()
        };
        let owners = [0, 10, 19, 20, 30, 39, 40].map(|at| group.owner_at(at));
        assert_eq!(owners, [1, 1, 1, 9, 2, 2, 9].map(Some));
    }

    #[test]
    fn before_his_first_interval_and_after_his_last_the_owner_is_responsible() {
        let group = Group {
            owner: Some(9),
            responsibles: vec![held(1, 10, Some(20))],
            ..Group::default()
        };
        let responsible = [0, 10, 19, 20].map(|at| group.responsible_at(at));
        assert_eq!(responsible, [9, 1, 1, 9].map(Some));
    }

    fn stays() -> impl Strategy<Value = Vec<Membership>> {
        let one = (0..3_u32, 10..14_u32, 0..20_i64, prop::option::of(0..20_i64));
        let one = one.prop_map(|(chat, member, joined_ms, left_ms)| Membership {
            chat,
            member,
            role: Role::Customer,
            joined_ms,
            left_ms,
            join_scene: None,
            invitor: None,
        });
        prop::collection::vec(one, 0..30)
    }

    proptest! {
        #[test]
        fn members_at_an_instant_are_those_a_walk_finds(stays in stays(), at_ms in -1..21_i64) {
            let groups = Groups::indexed(Vec::new(), stays.clone());
            for chat in 0..3 {
                let mut walked: Vec<u32> = stays
                    .iter()
                    .filter(|s| s.chat == chat && s.contains(at_ms))
                    .map(|s| s.member)
                    .collect();
                walked.sort_unstable();
                walked.dedup();
                let found: Vec<u32> = groups.members_at(chat, at_ms).map(|s| s.member).collect();
                prop_assert_eq!(&found, &walked);
                for member in 9..15 {
                    let is_in = groups.is_member_at(chat, member, at_ms);
                    prop_assert_eq!(is_in, walked.contains(&member));
                    let n = stays.iter().filter(|s| s.member == member).count();
                    prop_assert_eq!(groups.of_member(member).count(), n);
                }
            }
        }
    }
}
