//! What the demo company consists of. Built by `found`, read by `stage` and `directory`.
//!
//! Everything is held in vectors and named by its index; a 10-million-message company has
//! some 400,000 customers, so no type here is larger than it needs to be.

use super::words::Words;

/// What an employee does, which decides whom he talks to and about what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Guide,
    Desk,
    Service,
    Sales,
    Office,
}

impl Role {
    /// The name used in script headings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Guide => "guide",
            Role::Desk => "cs",
            Role::Service => "service",
            Role::Sales => "sales",
            Role::Office => "office",
        }
    }
}

pub(crate) struct Department {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<usize>,
    pub(crate) leaders: Vec<u32>,
    pub(crate) staff: Vec<u32>,
}

pub(crate) struct Employee {
    pub(crate) userid: String,
    pub(crate) name: String,
    pub(crate) surname: &'static str,
    pub(crate) role: Role,
    pub(crate) departments: Vec<usize>,
    /// A department he was in before, with the instant of the move.
    pub(crate) moved: Option<(usize, i64)>,
    pub(crate) store: Option<usize>,
    pub(crate) city: usize,
    pub(crate) position: &'static str,
    pub(crate) left_at: Option<i64>,
    /// 100 answers at an average pace, 200 takes twice as long.
    pub(crate) skill_percent: i64,
    pub(crate) style: u8,
    pub(crate) relations: Vec<u32>,
}

pub(crate) struct Store {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) department: usize,
    pub(crate) city: usize,
    pub(crate) road: &'static str,
    pub(crate) rooms: Vec<usize>,
}

pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) surname: &'static str,
    pub(crate) is_female: bool,
    /// The firm of a WeCom contact (`wo`); WeChat people (`wm`) have none.
    pub(crate) firm: Option<usize>,
    pub(crate) consent: Option<bool>,
    pub(crate) style: u8,
}

pub(crate) struct Relation {
    pub(crate) employee: u32,
    pub(crate) customer: u32,
    pub(crate) add_ms: i64,
    pub(crate) lost_ms: Option<i64>,
    pub(crate) lost_by: &'static str,
    pub(crate) add_way: u32,
}

#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) who: u32,
    pub(crate) join_ms: i64,
    pub(crate) leave_ms: Option<i64>,
}

impl Member {
    pub(crate) fn is_present(&self, at: i64) -> bool {
        self.join_ms <= at && self.leave_ms.is_none_or(|leave| at < leave)
    }
}

pub(crate) struct Room {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The name used in script headings; `team` for internal rooms.
    pub(crate) kind: &'static str,
    pub(crate) store: Option<usize>,
    pub(crate) owner: u32,
    /// Who answers for the room from when; the owner before.
    pub(crate) responsible: Option<(u32, i64)>,
    pub(crate) created_ms: i64,
    pub(crate) staff: Vec<Member>,
    pub(crate) guests: Vec<Member>,
    pub(crate) robot: Option<usize>,
}

impl Room {
    pub(crate) fn is_external(&self) -> bool {
        self.kind != "team"
    }
}

pub(crate) struct Company {
    pub(crate) words: Words,
    /// First instant of the period.
    pub(crate) start_ms: i64,
    /// First instant after the period.
    pub(crate) end_ms: i64,
    pub(crate) departments: Vec<Department>,
    pub(crate) employees: Vec<Employee>,
    pub(crate) stores: Vec<Store>,
    pub(crate) customers: Vec<Customer>,
    pub(crate) relations: Vec<Relation>,
    /// External rooms first, then the internal ones.
    pub(crate) rooms: Vec<Room>,
    pub(crate) n_external_rooms: usize,
    pub(crate) robots: Vec<String>,
    pub(crate) by_role: [Vec<u32>; 5],
}

impl Company {
    pub(crate) fn of_role(&self, role: Role) -> &[u32] {
        &self.by_role[role as usize]
    }

    pub(crate) fn is_employed(&self, employee: u32, at: i64) -> bool {
        self.employees[employee as usize]
            .left_at
            .is_none_or(|left| at < left)
    }
}

impl Relation {
    pub(crate) fn is_active(&self, at: i64) -> bool {
        self.add_ms <= at && self.lost_ms.is_none_or(|lost| at < lost)
    }
}
