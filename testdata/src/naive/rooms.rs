//! Rooms by the directory: who owns them, who is in them, and when (semantics 9).

use std::collections::{BTreeMap, BTreeSet};

use super::conversation::Role;
use super::directory::Directory;

impl Directory {
    /// Every room that ever had a customer as a member.
    ///
    /// Choice: what a member is follows the role of his id, not the column `member_type`.
    pub(super) fn rooms_with_customer_members(&self) -> BTreeSet<&str> {
        let mut rooms = BTreeSet::new();
        for (room, member, _) in self.group_members.keys() {
            if self.role_of(member) == Role::Customer {
                rooms.insert(&**room);
            }
        }
        rooms
    }

    /// Whether a room exists at an instant. One that the table does not know always does.
    pub(super) fn room_exists_at(&self, room: &str, at: i64) -> bool {
        self.groups.get(room).is_none_or(|group| {
            group.created.is_none_or(|created| created <= at)
                && group.dismissed.is_none_or(|dismissed| at < dismissed)
        })
    }

    pub(super) fn room_name(&self, room: &str) -> Option<&str> {
        self.groups.get(room).map(|group| &*group.name)
    }

    /// Whether an id was a member of a room at an instant.
    pub(super) fn is_member_at(&self, room: &str, id: &str, at: i64) -> bool {
        self.group_members
            .range((room.to_owned(), id.to_owned(), i64::MIN)..)
            .take_while(|((a_room, member, _), _)| a_room == room && member == id)
            .any(|((_, _, joined), left)| *joined <= at && left.is_none_or(|left| at < left))
    }

    /// All members of a room at an instant.
    pub(super) fn members_at(&self, room: &str, at: i64) -> BTreeSet<&str> {
        self.group_members
            .range((room.to_owned(), String::new(), i64::MIN)..)
            .take_while(|((a_room, ..), _)| a_room == room)
            .filter(|((_, _, joined), left)| *joined <= at && left.is_none_or(|left| at < left))
            .map(|((_, member, _), _)| &**member)
            .collect()
    }

    pub(super) fn members_of_role_at(&self, room: &str, role: Role, at: i64) -> BTreeSet<&str> {
        let mut members = self.members_at(room, at);
        members.retain(|member| self.role_of(member) == role);
        members
    }

    /// Whether the table of members says anything at all of a room.
    pub(super) fn has_membership(&self, room: &str) -> bool {
        self.group_members
            .range((room.to_owned(), String::new(), i64::MIN)..)
            .next()
            .is_some_and(|((a_room, ..), _)| a_room == room)
    }

    /// The owner of a room at an instant.
    ///
    /// Choice: the first interval reaches back without end; where the history says nobody, and where
    /// there is none, it is the owner of the table `groups`.
    pub(super) fn owner_at(&self, room: &str, at: i64) -> Option<&str> {
        let current = self.groups.get(room).map(|group| &*group.owner);
        let holder = self.holder_at(room, "owner", at).or_else(|| {
            let (_, _, from, userid, _) = self.intervals(room, "owner").next()?;
            (at < from).then_some(userid)
        });
        holder.or(current).filter(|userid| !userid.is_empty())
    }

    /// The responsible employee of a room at an instant: the owner where none is set.
    pub(super) fn responsible_at(&self, room: &str, at: i64) -> Option<&str> {
        self.holder_at(room, "responsible", at)
            .filter(|userid| !userid.is_empty())
            .or_else(|| self.owner_at(room, at))
    }

    /// Choice: where two intervals hold, the later one.
    fn holder_at(&self, room: &str, role: &str, at: i64) -> Option<&str> {
        self.intervals(room, role)
            .filter(|(_, _, from, _, to)| *from <= at && to.is_none_or(|to| at < to))
            .last()
            .map(|(_, _, _, userid, _)| userid)
    }

    fn intervals(
        &self,
        room: &str,
        role: &str,
    ) -> impl Iterator<Item = (&str, &str, i64, &str, Option<i64>)> {
        let (room, role) = (room.to_owned(), role.to_owned());
        self.group_roles
            .range((room.clone(), role.clone(), i64::MIN)..)
            .take_while(move |((a_room, a_role, _), _)| *a_room == room && *a_role == role)
            .map(|((room, role, from), (userid, to))| (&**room, &**role, *from, &**userid, *to))
    }

    /// For every customer the instant and the room of his first ever joining of one of the rooms.
    pub(super) fn first_joinings<'a>(
        &'a self,
        rooms: &BTreeSet<&str>,
    ) -> BTreeMap<&'a str, (i64, &'a str)> {
        let mut first: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
        for (room, member, joined) in self.group_members.keys() {
            if self.role_of(member) == Role::Customer && rooms.contains(&**room) {
                let joining = (*joined, &**room);
                let known = first.entry(member).or_insert(joining);
                *known = joining.min(*known);
            }
        }
        first
    }
}
