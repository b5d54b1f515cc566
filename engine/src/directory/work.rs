//! What employees did and customers did outside of chats: follow-up records (跟进记录), business
//! records (业务记录), tasks (任务), friend requests (好友申请), material (素材) and orders (订单).

use chrono::NaiveDate;

use super::columns::Rows;

/// Whom a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A customer.
    Customer(u32),
    /// A group.
    Group(u32),
}

/// A follow-up record, or a business record.
#[derive(Debug, Clone)]
pub struct Record {
    /// The record's own id.
    pub id: Box<str>,
    /// Who wrote it.
    pub user: u32,
    /// Whom it is about.
    pub target: Target,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

/// What a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// `normal`.
    Normal,
    /// `poster` (促销海报).
    Poster,
}

/// A task given to an employee.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its own id.
    pub id: Box<str>,
    /// Who got it.
    pub user: u32,
    /// What it is.
    pub kind: TaskKind,
    /// When it was given, UTC milliseconds.
    pub assigned_ms: i64,
    /// When it was done, UTC milliseconds; not yet if missing.
    pub completed_ms: Option<i64>,
}

/// Friend requests that an employee sent on a day.
#[derive(Debug, Clone, Copy)]
pub struct FriendRequests {
    /// Who sent them.
    pub user: u32,
    /// The day in the company's zone.
    pub day: NaiveDate,
    /// How many.
    pub count: i64,
}

/// What a customer did with material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaterialKind {
    /// Looked at it.
    View,
    /// Passed it on.
    Share,
}

/// A customer viewed or shared material.
#[derive(Debug, Clone)]
pub struct MaterialEvent {
    /// Its own id.
    pub id: Box<str>,
    /// The customer.
    pub customer: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// What he did.
    pub kind: MaterialKind,
    /// How long he looked, seconds.
    pub dwell_seconds: i64,
}

/// A customer's order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its own id.
    pub id: Box<str>,
    /// The customer.
    pub customer: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// For how much, where that is told.
    pub amount: Option<f64>,
}

/// All of it. Each list is in the order of its times, then ids.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Follow-up records.
    pub followups: Vec<Record>,
    /// Business records.
    pub business_records: Vec<Record>,
    /// Tasks, by the time they were given.
    pub tasks: Vec<Task>,
    /// Friend requests, by day.
    pub friend_requests: Vec<FriendRequests>,
    /// Views and shares.
    pub material_events: Vec<MaterialEvent>,
    /// Orders.
    pub orders: Vec<Order>,
}

/// The part of a list sorted by time that lies in `start_ms..end_ms`.
pub fn within<T>(sorted: &[T], at_ms: impl Fn(&T) -> i64, (start_ms, end_ms): (i64, i64)) -> &[T] {
    let from = sorted.partition_point(|item| at_ms(item) < start_ms);
    let to = sorted
        .partition_point(|item| at_ms(item) < end_ms)
        .max(from);
    &sorted[from..to]
}

pub(super) fn read_records(rows: &Rows<'_>) -> Vec<Record> {
    let (id, user) = (rows.text("id"), rows.id("userid"));
    let (kind, target, time) = (
        rows.text("target_type"),
        rows.id("target_id"),
        rows.time("time"),
    );
    let records = rows.numbers().filter_map(|row| {
        let target = target(row)?;
        Some(Record {
            id: id(row)?.into(),
            user: user(row)?,
            target: match kind(row) {
                Some("group") => Target::Group(target),
                _ => Target::Customer(target),
            },
            at_ms: time(row)?,
        })
    });
    let mut records: Vec<Record> = records.collect();
    records.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    records
}

pub(super) fn read_tasks(rows: &Rows<'_>) -> Vec<Task> {
    let (id, user, kind) = (rows.text("id"), rows.id("userid"), rows.text("kind"));
    let (assigned, completed) = (rows.time("assigned_time"), rows.time("completed_time"));
    let tasks = rows.numbers().filter_map(|row| {
        Some(Task {
            id: id(row)?.into(),
            user: user(row)?,
            kind: match kind(row) {
                Some("poster") => TaskKind::Poster,
                _ => TaskKind::Normal,
            },
            assigned_ms: assigned(row)?,
            completed_ms: completed(row),
        })
    });
    let mut tasks: Vec<Task> = tasks.collect();
    tasks.sort_by(|a, b| (a.assigned_ms, &a.id).cmp(&(b.assigned_ms, &b.id)));
    tasks
}

pub(super) fn read_friend_requests(rows: &Rows<'_>) -> Vec<FriendRequests> {
    let (user, day, count) = (rows.id("userid"), rows.day("date"), rows.integer("count"));
    let requests = rows.numbers().filter_map(|row| {
        Some(FriendRequests {
            user: user(row)?,
            day: day(row)?,
            count: count(row)?,
        })
    });
    let mut requests: Vec<FriendRequests> = requests.collect();
    requests.sort_by_key(|request| (request.day, request.user));
    requests
}

pub(super) fn read_material_events(rows: &Rows<'_>) -> Vec<MaterialEvent> {
    let (id, customer) = (rows.text("id"), rows.id("external_userid"));
    let (time, kind, dwell) = (
        rows.time("time"),
        rows.text("kind"),
        rows.integer("dwell_seconds"),
    );
    let events = rows.numbers().filter_map(|row| {
        Some(MaterialEvent {
            id: id(row)?.into(),
            customer: customer(row)?,
            at_ms: time(row)?,
            kind: match kind(row) {
                Some("share") => MaterialKind::Share,
                _ => MaterialKind::View,
            },
            dwell_seconds: dwell(row).unwrap_or(0),
        })
    });
    let mut events: Vec<MaterialEvent> = events.collect();
    events.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    events
}

pub(super) fn read_orders(rows: &Rows<'_>) -> Vec<Order> {
    let (id, customer) = (rows.text("id"), rows.id("external_userid"));
    let (time, amount) = (rows.time("time"), rows.number("amount"));
    let orders = rows.numbers().filter_map(|row| {
        Some(Order {
            id: id(row)?.into(),
            customer: customer(row)?,
            at_ms: time(row)?,
            amount: amount(row),
        })
    });
    let mut orders: Vec<Order> = orders.collect();
    orders.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    orders
}
