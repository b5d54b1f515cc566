//! The tables of what was done beside the chats: follow-ups, records, tasks, orders, events.

use std::collections::BTreeMap;
use std::io;

use super::company::{Company, Relation, Role};
use super::dice::Dice;
use super::directory::{Row, Table, rfc3339, seconds};
use super::rhythm::{DAY, HOUR, MINUTE, customer_moment, date_of};
use super::script::{SPEAKERS, Say, Script, Setting};
use super::slots::Cast;

/// A moment in the period at which the relation is alive.
pub(crate) fn moment(company: &Company, relation: &Relation, dice: &mut Dice) -> Option<i64> {
    let days = (company.end_ms - company.start_ms) / DAY;
    let midnight = company.start_ms + dice.between(0, days - 1) * DAY;
    let at = customer_moment(dice, midnight);
    (relation.is_active(at) && company.is_employed(relation.employee, at)).then_some(at)
}

pub(crate) fn followups(company: &Company, dice: &mut Dice, table: &mut Table) -> io::Result<()> {
    let texts = [
        "电话沟通，周末到店",
        "已报价，等客户答复",
        "客户在对比别家",
        "成交，约安装",
        "暂不需要，下月再跟",
        "回访使用情况正常",
        "有投诉，已转售后",
        "宝宝换段，提醒囤货",
    ];
    for number in 0..company.relations.len() * 2 / 5 {
        let relation = &company.relations[dice.below(company.relations.len())];
        let (Some(at), kind) = (
            moment(company, relation, dice),
            dice.word(&["phone", "visit", "chat", "other"]),
        ) else {
            continue;
        };
        let row = Row::new().text("id", &format!("F{:07}", number + 1));
        let row = row
            .text(
                "userid",
                &company.employees[relation.employee as usize].userid,
            )
            .text("target_type", "customer");
        let row = row
            .text(
                "target_id",
                &company.customers[relation.customer as usize].id,
            )
            .value("time", seconds(at));
        table.row(&row.text("kind", kind).text("text", dice.word(&texts)).end())?;
    }
    Ok(())
}

pub(crate) fn business_records(
    company: &Company,
    dice: &mut Dice,
    table: &mut Table,
) -> io::Result<()> {
    for number in 0..company.relations.len() / 12 {
        let relation = &company.relations[dice.below(company.relations.len())];
        let Some(at) = moment(company, relation, dice) else {
            continue;
        };
        let room = &company.rooms[dice.below(company.n_external_rooms.max(1))];
        let is_group = room.is_external()
            && room.created_ms < at
            && dice.chance(250)
            && company.is_employed(room.owner, at);
        let (who, kind, target) = if is_group {
            (room.owner, "group", room.id.as_str())
        } else {
            (
                relation.employee,
                "customer",
                company.customers[relation.customer as usize].id.as_str(),
            )
        };
        let row = Row::new()
            .text("id", &format!("B{:07}", number + 1))
            .text("userid", &company.employees[who as usize].userid);
        let row = row
            .text("target_type", kind)
            .text("target_id", target)
            .value("time", rfc3339(at));
        table.row(
            &row.text(
                "template",
                dice.word(&["到店登记", "投诉处理单", "安装回访表", "团购意向表"]),
            )
            .end(),
        )?;
    }
    Ok(())
}

pub(crate) fn tasks(company: &Company, dice: &mut Dice, table: &mut Table) -> io::Result<()> {
    let mut number = 0;
    let days = (company.end_ms - company.start_ms) / DAY;
    for who in company.of_role(Role::Guide) {
        for day in 0..days {
            if !dice.chance(180) {
                continue;
            }
            let assigned = company.start_ms + day * DAY + 9 * HOUR + dice.between(0, 59) * MINUTE;
            let done = assigned + dice.instant(20 * MINUTE, 40 * HOUR);
            let done = (done < company.end_ms && dice.chance(820)).then(|| rfc3339(done));
            if !company.is_employed(*who, assigned + 2 * DAY) {
                continue;
            }
            number += 1;
            let row = Row::new()
                .text("id", &format!("T{number:07}"))
                .text("userid", &company.employees[*who as usize].userid);
            let row = row.text("kind", if dice.chance(300) { "poster" } else { "normal" });
            table.row(
                &row.value("assigned_time", rfc3339(assigned))
                    .maybe("completed_time", done)
                    .end(),
            )?;
        }
    }
    Ok(())
}

pub(crate) fn friend_requests(
    company: &Company,
    dice: &mut Dice,
    table: &mut Table,
) -> io::Result<()> {
    let mut counts: BTreeMap<(u32, i64), u32> = BTreeMap::new();
    for relation in company
        .relations
        .iter()
        .filter(|relation| relation.add_ms >= company.start_ms && relation.add_way != 202)
    {
        *counts
            .entry((
                relation.employee,
                (relation.add_ms - company.start_ms) / DAY,
            ))
            .or_default() += 1;
    }
    for ((who, day), added) in counts {
        let count = added + dice.below(added as usize * 2 + 2) as u32;
        let date = date_of(company.start_ms + day * DAY + HOUR);
        let row = Row::new()
            .text("userid", &company.employees[who as usize].userid)
            .text("date", &date.to_string());
        table.row(&row.value("count", count).end())?;
    }
    Ok(())
}

pub(crate) fn material_events(
    company: &Company,
    dice: &mut Dice,
    table: &mut Table,
) -> io::Result<()> {
    for number in 0..company.relations.len() * 3 / 5 {
        let relation = &company.relations[dice.below(company.relations.len())];
        let Some(at) = moment(company, relation, dice) else {
            continue;
        };
        let is_share = dice.chance(120);
        let row = Row::new().text("id", &format!("M{:07}", number + 1));
        let row = row
            .text(
                "external_userid",
                &company.customers[relation.customer as usize].id,
            )
            .value("time", at);
        let row = row.text("kind", if is_share { "share" } else { "view" });
        let row = row.text(
            "material",
            dice.word(&[
                "以旧换新攻略",
                "秋季育儿手册",
                "818活动海报",
                "空调清洗视频",
                "奶粉选购指南",
            ]),
        );
        table.row(
            &row.maybe(
                "dwell_seconds",
                (!is_share).then(|| dice.curve(&[2, 8, 20, 45, 120, 400])),
            )
            .end(),
        )?;
    }
    Ok(())
}

pub(crate) fn orders(company: &Company, dice: &mut Dice, table: &mut Table) -> io::Result<()> {
    for number in 0..company.relations.len() / 4 {
        let relation = &company.relations[dice.below(company.relations.len())];
        let Some(at) = moment(company, relation, dice) else {
            continue;
        };
        let product = dice.pick(&company.words.products);
        let row = Row::new().text(
            "id",
            &format!("HY{}{:06}", date_of(at).format("%y%m%d"), number + 1),
        );
        let row = row
            .text(
                "external_userid",
                &company.customers[relation.customer as usize].id,
            )
            .value("time", rfc3339(at));
        table.row(
            &row.value(
                "amount",
                format!("{}.00", product.price * (80 + dice.below(20) as u32) / 100),
            )
            .end(),
        )?;
    }
    Ok(())
}

/// WeChat customer service: the same sort of talks, held at a service desk's account.
pub(crate) fn kf_messages(
    company: &Company,
    scripts: &[Script],
    dice: &mut Dice,
    table: &mut Table,
) -> io::Result<()> {
    let desk = match company.of_role(Role::Desk) {
        [] => company.of_role(Role::Guide),
        some => some,
    };
    let singles: Vec<&Script> = scripts
        .iter()
        .filter(|script| {
            script.setting == Setting::Single && script.roles.is_empty() && !script.is_corporate
        })
        .collect();
    for number in 0..(company.customers.len() / 30).max(2) {
        let relation = &company.relations[dice.below(company.relations.len())];
        let Some(mut at) = moment(company, relation, dice) else {
            continue;
        };
        let (servicer, script) = (*dice.pick(desk), *dice.pick(&singles));
        let cast = Cast::new(
            company,
            script,
            dice.bits(),
            at,
            servicer,
            Some(relation.customer),
        );
        for line in &script.lines {
            let Say::Text(template) = dice.pick(&line.says) else {
                continue;
            };
            let mut text = String::new();
            cast.fill(template, dice, &mut text);
            let is_customer = SPEAKERS[line.who].starts_with('C');
            let row = Row::new().text("session_id", &format!("KF{:06}", number + 1));
            let row = row
                .text("msgid", &format!("kf{:016x}", dice.bits()))
                .value("time", seconds(at));
            let row = row.text(
                "from_role",
                if is_customer { "customer" } else { "servicer" },
            );
            let row = row.text(
                "external_userid",
                &company.customers[relation.customer as usize].id,
            );
            let row = row
                .text(
                    "servicer_userid",
                    &company.employees[servicer as usize].userid,
                )
                .text("open_kfid", "wkHUICUNDEMO0000000000000000001");
            table.row(
                &row.text("scene", "mini_program")
                    .text("msgtype", "text")
                    .text("text", &text)
                    .end(),
            )?;
            at += dice.between(5, 140) * 1000;
        }
    }
    Ok(())
}
