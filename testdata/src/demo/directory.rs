//! The company's directory, table by table, as NDJSON with the columns of the contract.
//!
//! Times are given in the three forms that the contract allows, one form per table: seconds,
//! milliseconds, RFC 3339 in the company's zone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::activity::{
    business_records, followups, friend_requests, kf_messages, material_events, orders, tasks,
};
use super::company::{Company, Role};
use super::dice::{Dice, mix};
use super::json::{Js, List};
use super::rhythm::{DAY, clock, date_of};
use super::script::Script;

/// One table being written.
pub(crate) struct Table {
    out: BufWriter<File>,
    rows: u64,
}

impl Table {
    pub(crate) fn row(&mut self, json: &str) -> io::Result<()> {
        self.rows += 1;
        self.out.write_all(json.as_bytes())?;
        self.out.write_all(b"\n")
    }
}

/// `{"column":value,..}` with the columns that have a value.
pub(crate) struct Row(String);

impl Row {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn value(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        use std::fmt::Write;
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{comma}\"{key}\":{value}");
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.value(key, Js(value))
    }

    fn texts<'t>(self, key: &str, values: impl Iterator<Item = &'t str>) -> Self {
        self.value(key, List(values.map(Js).collect()))
    }

    pub(crate) fn maybe(self, key: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.value(key, value),
            None => self,
        }
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

pub(crate) fn seconds(at: i64) -> i64 {
    at / 1000
}

pub(crate) fn rfc3339(at: i64) -> String {
    let clock = clock(at) / 1000;
    format!(
        "\"{}T{:02}:{:02}:{:02}+08:00\"",
        date_of(at),
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

/// Writes all tables into `dir`; returns the rows of each.
pub(crate) fn write_directory(
    company: &Company,
    scripts: &[Script],
    seed: u64,
    dir: &Path,
) -> io::Result<BTreeMap<String, u64>> {
    fs::create_dir_all(dir)?;
    let mut rows = BTreeMap::new();
    let mut write = |name: &str,
                     fill: &mut dyn FnMut(&mut Table) -> io::Result<()>|
     -> io::Result<()> {
        let out =
            BufWriter::with_capacity(1 << 18, File::create(dir.join(format!("{name}.ndjson")))?);
        let mut table = Table { out, rows: 0 };
        fill(&mut table)?;
        table.out.flush()?;
        rows.insert(name.to_owned(), table.rows);
        Ok(())
    };
    let dice = |stream: u64| Dice::new(seed, 100 + stream);
    write("departments", &mut |table| departments(company, table))?;
    write("employees", &mut |table| employees(company, table))?;
    write("department_members", &mut |table| {
        department_members(company, table)
    })?;
    write("stores", &mut |table| stores(company, table))?;
    write("customers", &mut |table| customers(company, table))?;
    write("relations", &mut |table| relations(company, table))?;
    write("groups", &mut |table| groups(company, table))?;
    write("group_roles", &mut |table| group_roles(company, table))?;
    write("group_members", &mut |table| group_members(company, table))?;
    write("followups", &mut |table| {
        followups(company, &mut dice(1), table)
    })?;
    write("business_records", &mut |table| {
        business_records(company, &mut dice(2), table)
    })?;
    write("tasks", &mut |table| tasks(company, &mut dice(3), table))?;
    write("friend_requests", &mut |table| {
        friend_requests(company, &mut dice(4), table)
    })?;
    write("material_events", &mut |table| {
        material_events(company, &mut dice(5), table)
    })?;
    write("orders", &mut |table| orders(company, &mut dice(6), table))?;
    write("kf_messages", &mut |table| {
        kf_messages(company, scripts, &mut dice(7), table)
    })?;
    Ok(rows)
}

fn departments(company: &Company, table: &mut Table) -> io::Result<()> {
    for (order, unit) in company.departments.iter().enumerate() {
        let parent = unit
            .parent
            .map(|parent| Js(&company.departments[parent].id));
        let leaders = unit
            .leaders
            .iter()
            .map(|who| company.employees[*who as usize].userid.as_str());
        let row = Row::new()
            .text("id", &unit.id)
            .text("name", &unit.name)
            .maybe("parent_id", parent);
        table.row(
            &row.value("order", order + 1)
                .texts("leaders", leaders)
                .end(),
        )?;
    }
    Ok(())
}

fn employees(company: &Company, table: &mut Table) -> io::Result<()> {
    for employee in &company.employees {
        let units = employee
            .departments
            .iter()
            .map(|unit| company.departments[*unit].id.as_str());
        let status = if employee.left_at.is_some() {
            "left"
        } else {
            "active"
        };
        let row = Row::new()
            .text("userid", &employee.userid)
            .text("name", &employee.name)
            .texts("departments", units);
        let row = row
            .text("position", employee.position)
            .text("status", status);
        let row = row.value("can_add_external", employee.role != Role::Office);
        table.row(&row.maybe("left_at", employee.left_at.map(seconds)).end())?;
    }
    Ok(())
}

fn department_members(company: &Company, table: &mut Table) -> io::Result<()> {
    let row = |userid: &str, unit: usize, from: i64, to: Option<i64>| {
        let row = Row::new()
            .text("userid", userid)
            .text("department_id", &company.departments[unit].id);
        row.value("from_time", seconds(from))
            .maybe("to_time", to.map(seconds))
            .end()
    };
    for employee in &company.employees {
        if let Some((old, at)) = employee.moved {
            table.row(&row(
                &employee.userid,
                old,
                company.start_ms - 500 * DAY,
                Some(at),
            ))?;
            table.row(&row(&employee.userid, employee.departments[0], at, None))?;
        }
    }
    Ok(())
}

fn stores(company: &Company, table: &mut Table) -> io::Result<()> {
    let service = company.of_role(Role::Service);
    for (index, store) in company.stores.iter().enumerate() {
        let row = Row::new()
            .text("store_id", &store.id)
            .text("name", &store.name)
            .text("code", &format!("HYJ{:04}", index + 1));
        let row = row.text("department_id", &company.departments[store.department].id);
        // One installer serves several stores: a member from outside the store's department.
        let guest = (!service.is_empty() && index % 3 == 0).then(|| service[index % service.len()]);
        let members = guest
            .iter()
            .map(|who| company.employees[*who as usize].userid.as_str());
        let rooms = store
            .rooms
            .iter()
            .map(|room| company.rooms[*room].id.as_str());
        table.row(&row.texts("members", members).texts("groups", rooms).end())?;
    }
    Ok(())
}

fn customers(company: &Company, table: &mut Table) -> io::Result<()> {
    for customer in &company.customers {
        let row = Row::new()
            .text("external_userid", &customer.id)
            .text("name", &customer.name);
        let row = row
            .value("type", if customer.firm.is_some() { 2 } else { 1 })
            .value("gender", if customer.is_female { 2 } else { 1 });
        let row = row.maybe(
            "corp_name",
            customer.firm.map(|firm| Js(company.words.companies[firm])),
        );
        let consent = customer
            .consent
            .map(|agreed| Js(if agreed { "agree" } else { "disagree" }));
        table.row(&row.maybe("archive_consent", consent).end())?;
    }
    Ok(())
}

const TAGS: [&str; 10] = [
    "家电",
    "母婴",
    "高意向",
    "已成交",
    "老客户",
    "价格敏感",
    "新房装修",
    "投诉过",
    "会员金卡",
    "企业采购",
];

fn relations(company: &Company, table: &mut Table) -> io::Result<()> {
    for (index, relation) in company.relations.iter().enumerate() {
        let (employee, customer) = (
            &company.employees[relation.employee as usize],
            &company.customers[relation.customer as usize],
        );
        let roll = mix(index as u64, 77);
        let n_tags = roll % 4;
        let tags = (0..n_tags).map(|tag| TAGS[((roll >> 8) + tag * 3) as usize % TAGS.len()]);
        let state = employee
            .store
            .map(|store| format!("qr-{}", company.stores[store].id));
        let remark = roll.is_multiple_of(5).then(|| {
            format!(
                "{}{}",
                customer.surname,
                if customer.is_female { "姐" } else { "哥" }
            )
        });
        let row = Row::new()
            .text("userid", &employee.userid)
            .text("external_userid", &customer.id);
        let row = row
            .value("add_time", seconds(relation.add_ms))
            .value("add_way", relation.add_way);
        let row = row
            .maybe("state", state.as_deref().map(Js))
            .texts("tags", tags)
            .maybe("remark", remark.as_deref().map(Js));
        let row = row.maybe("lost_time", relation.lost_ms.map(seconds));
        table.row(
            &row.maybe("lost_by", relation.lost_ms.map(|_| Js(relation.lost_by)))
                .end(),
        )?;
    }
    Ok(())
}

fn groups(company: &Company, table: &mut Table) -> io::Result<()> {
    for room in &company.rooms {
        let owner = &company.employees[room.owner as usize].userid;
        let store = room.store.map(|store| Js(&company.stores[store].id));
        let row = Row::new()
            .text("chat_id", &room.id)
            .text("name", &room.name)
            .text("owner", owner);
        table.row(
            &row.value("create_time", seconds(room.created_ms))
                .maybe("store_id", store)
                .end(),
        )?;
    }
    Ok(())
}

fn group_roles(company: &Company, table: &mut Table) -> io::Result<()> {
    for room in company.rooms.iter().filter(|room| room.is_external()) {
        let row = |role: &str, who: u32, from: i64| {
            let userid = &company.employees[who as usize].userid;
            Row::new()
                .text("chat_id", &room.id)
                .text("role", role)
                .value("from_time", seconds(from))
                .text("userid", userid)
                .end()
        };
        table.row(&row("owner", room.owner, room.created_ms))?;
        if let Some((who, from)) = room.responsible {
            table.row(&row("responsible", who, from))?;
        }
    }
    Ok(())
}

fn group_members(company: &Company, table: &mut Table) -> io::Result<()> {
    for room in &company.rooms {
        let owner = &company.employees[room.owner as usize].userid;
        let staff = room.staff.iter().map(|member| {
            (
                member,
                "employee",
                company.employees[member.who as usize].userid.as_str(),
            )
        });
        let guests = room.guests.iter().map(|member| {
            (
                member,
                "customer",
                company.customers[member.who as usize].id.as_str(),
            )
        });
        for (member, kind, id) in staff.chain(guests) {
            let row = Row::new()
                .text("chat_id", &room.id)
                .text("member_id", id)
                .value("join_time", seconds(member.join_ms));
            let scene = if kind == "customer" && member.who % 3 == 0 {
                3
            } else {
                1
            };
            let row = row.text("member_type", kind).value("join_scene", scene);
            let row = row.maybe("invitor", (scene == 1 && id != owner).then_some(Js(owner)));
            table.row(&row.maybe("leave_time", member.leave_ms.map(seconds)).end())?;
        }
    }
    Ok(())
}
