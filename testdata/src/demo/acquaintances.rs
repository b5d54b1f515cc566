//! The customers, and which employee knows whom since when.
//!
//! The first relation always exists and is never lost, so that even the smallest company has
//! somebody to talk to. Intervals of one pair never overlap.

use std::collections::HashSet;

use super::company::{Company, Customer, Relation, Role};
use super::dice::Dice;
use super::found::id_of;
use super::rhythm::{DAY, HOUR, MINUTE, SECOND, customer_moment};
use super::words::Words;

pub(crate) fn meet_customers(company: &mut Company, dice: &mut Dice, n: usize) {
    let mut pairs = HashSet::new();
    for index in 0..n {
        let is_first = index == 0;
        let has_firm = !is_first && dice.chance(32);
        let customer = customer(&company.words, dice, has_firm);
        company.customers.push(customer);
        let role = if is_first {
            Role::Guide
        } else if has_firm {
            Role::Sales
        } else {
            [Role::Guide, Role::Desk, Role::Service][dice.weighted(&[73, 12, 15])]
        };
        befriend(company, dice, &mut pairs, index as u32, role);
        if is_first {
            // Never lost, so never added again either.
            company.relations.truncate(1);
            let first = &mut company.relations[0];
            first.add_ms = company.start_ms - 30 * DAY;
            first.lost_ms = None;
        } else if dice.chance(240) {
            let role = [Role::Guide, Role::Desk, Role::Service][dice.weighted(&[30, 30, 40])];
            befriend(company, dice, &mut pairs, index as u32, role);
        }
    }
    // People who are only ever met in rooms.
    for _ in 0..n / 12 {
        let stranger = customer(&company.words, dice, false);
        company.customers.push(stranger);
    }
}

pub(crate) fn befriend(
    company: &mut Company,
    dice: &mut Dice,
    pairs: &mut HashSet<(u32, u32)>,
    customer: u32,
    role: Role,
) {
    let candidates = match company.of_role(role) {
        [] => company.of_role(Role::Guide),
        some => some,
    };
    let employee = candidates[dice.skewed(candidates.len())];
    if !pairs.insert((employee, customer)) {
        return;
    }
    let (start, end) = (company.start_ms, company.end_ms);
    let add_ms = if dice.chance(620) {
        let day = start - dice.between(1, 400) * DAY;
        customer_moment(dice, day)
    } else {
        let day = start + dice.between(0, (end - start) / DAY - 1) * DAY;
        customer_moment(dice, day)
    };
    let left = company.employees[employee as usize].left_at;
    if left.is_some_and(|left| add_ms >= left) {
        return;
    }
    let add_way = *dice.pick(&[1, 1, 1, 1, 1, 2, 3, 4, 4, 6, 10, 16]);
    let lost_ms = dice
        .chance(65)
        .then(|| dice.instant(add_ms + DAY, (end + 20 * DAY).max(add_ms + 2 * DAY)));
    let lost_ms = lost_ms.filter(|lost| *lost < end && left.is_none_or(|left| *lost < left));
    let lost_by = if dice.chance(820) {
        "customer"
    } else {
        "employee"
    };
    relate(
        company,
        Relation {
            employee,
            customer,
            add_ms,
            lost_ms,
            lost_by,
            add_way,
        },
    );
    if let Some(lost) = lost_ms.filter(|_| dice.chance(90)) {
        let again = lost + dice.instant(HOUR, 9 * DAY);
        if again < end && left.is_none_or(|left| again < left) {
            relate(
                company,
                Relation {
                    employee,
                    customer,
                    add_ms: again,
                    lost_ms: None,
                    lost_by,
                    add_way,
                },
            );
        }
    }
}

/// Whole seconds only: the directory gives relations in seconds.
pub(crate) fn relate(company: &mut Company, mut relation: Relation) {
    relation.add_ms -= relation.add_ms % SECOND;
    relation.lost_ms = relation.lost_ms.map(|lost| lost - lost % SECOND);
    company.employees[relation.employee as usize]
        .relations
        .push(company.relations.len() as u32);
    company.relations.push(relation);
}

/// The customers of those who leave pass to a colleague of the same unit, mostly.
pub(crate) fn hand_over(company: &mut Company, dice: &mut Dice) {
    for who in 0..company.employees.len() {
        let Some(left) = company.employees[who].left_at else {
            continue;
        };
        let unit = company.employees[who].departments[0];
        let heir = company.departments[unit]
            .leaders
            .first()
            .copied()
            .filter(|heir| *heir as usize != who);
        for index in company.employees[who].relations.clone() {
            let relation = &mut company.relations[index as usize];
            if !relation.is_active(left) || !dice.chance(850) {
                continue;
            }
            relation.lost_ms = Some(left);
            relation.lost_by = "employee_left";
            let customer = relation.customer;
            let Some(heir) = heir else { continue };
            let known = &company.employees[heir as usize].relations;
            if known
                .iter()
                .any(|other| company.relations[*other as usize].customer == customer)
            {
                continue;
            }
            let add_ms = left + dice.instant(MINUTE, 20 * HOUR);
            if add_ms < company.end_ms {
                let (lost_ms, lost_by) = (None, "customer");
                relate(
                    company,
                    Relation {
                        employee: heir,
                        customer,
                        add_ms,
                        lost_ms,
                        lost_by,
                        add_way: 202,
                    },
                );
            }
        }
    }
}

pub(crate) fn customer(words: &Words, dice: &mut Dice, has_firm: bool) -> Customer {
    let (surname, _) = words.surnames[dice.skewed(words.surnames.len())];
    let given = dice.pick(&words.given);
    let is_female = given.female;
    let firm = has_firm.then(|| dice.below(words.companies.len()));
    let name = if has_firm {
        format!("{surname}{}", given.name)
    } else {
        nickname(words, dice, surname, given.name, is_female)
    };
    Customer {
        id: id_of(dice, if has_firm { "wo" } else { "wm" }),
        name,
        surname,
        is_female,
        firm,
        consent: dice.chance(560).then_some(true),
        style: dice.below(10) as u8,
    }
}

pub(crate) fn nickname(
    words: &Words,
    dice: &mut Dice,
    surname: &str,
    given: &str,
    is_female: bool,
) -> String {
    let flower = dice.word(&["🌻", "🌸", "🍀", "🐰", "☀️", "💕", "🍋", "🐟", "✨", "🌙"]);
    let base = dice.word(&words.nicknames);
    match dice.below(14) {
        0..3 => base.to_owned(),
        3 => format!("{base}{flower}"),
        4 => format!("{flower}{base}{flower}"),
        5 | 6 => {
            let suffix = if is_female {
                dice.word(&["妈妈", "麻麻", "妈", "宝妈"])
            } else {
                "爸爸"
            };
            format!("{}{suffix}", dice.word(&words.babies))
        }
        7 => (dice.word(&words.english)).to_owned(),
        8 => format!("{} {surname}", dice.word(&words.english)),
        9 => format!("{surname}{given}"),
        10 => format!(
            "{surname}{}",
            if is_female {
                dice.word(&["女士", "姐", "小姐"])
            } else {
                dice.word(&["先生", "哥", "总"])
            }
        ),
        11 => format!("{base}{}", dice.between(1, 99)),
        12 => format!("A{surname}{given}"),
        _ => format!("小{surname}{flower}"),
    }
}
