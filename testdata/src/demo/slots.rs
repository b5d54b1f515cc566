//! Fills the slots of a phrasing for one scene, and gives the result its speaker's manner.
//!
//! What a scene is about (product, city, order number, date ..) follows from the scene's
//! seed, so that all its lines agree without anybody keeping state.

use std::fmt::Write;

use chrono::{Datelike, Days};

use super::company::{Company, Employee, Role};
use super::dice::{Dice, mix};
use super::rhythm::date_of;
use super::script::{Part, Script, Slot, Template};

/// What the lines of one scene have in common.
#[derive(Clone, Copy)]
pub(crate) struct Cast<'a> {
    pub(crate) company: &'a Company,
    pub(crate) seed: u64,
    pub(crate) now: i64,
    /// The employee in front.
    pub(crate) employee: u32,
    /// The customer in front.
    pub(crate) customer: Option<u32>,
    /// Somebody else of the room, for `{at}`.
    pub(crate) other: Option<u32>,
    /// The colleague who is at hand, for `{colleague}`.
    pub(crate) partner: Option<u32>,
    product: usize,
    product2: usize,
}

impl<'a> Cast<'a> {
    pub(crate) fn new(
        company: &'a Company,
        script: &Script,
        seed: u64,
        now: i64,
        employee: u32,
        customer: Option<u32>,
    ) -> Self {
        let choice = &script.products;
        let product = choice[(mix(seed, 1) % choice.len() as u64) as usize];
        let kin: Vec<usize> = company
            .words
            .of_categories(&[company.words.products[product].category]);
        let place = kin.iter().position(|one| *one == product).unwrap_or(0);
        let product2 = kin[(place + 1 + (mix(seed, 2) % 2) as usize) % kin.len()];
        let product2 = if product2 == product {
            kin[(place + 1) % kin.len()]
        } else {
            product2
        };
        Self {
            company,
            seed,
            now,
            employee,
            customer,
            other: None,
            partner: None,
            product,
            product2,
        }
    }

    fn roll(&self, tag: u64, n: u64) -> u64 {
        mix(self.seed, tag) % n
    }

    fn of<T: Copy>(&self, tag: u64, items: &[T]) -> T {
        items[self.roll(tag, items.len() as u64) as usize]
    }

    pub(crate) fn store(&self) -> usize {
        let own = self.company.employees[self.employee as usize].store;
        own.unwrap_or_else(|| self.roll(3, self.company.stores.len() as u64) as usize)
    }

    pub(crate) fn city(&self) -> usize {
        self.company.stores[self.store()].city
    }

    fn deal(&self) -> u32 {
        let price = self.company.words.products[self.product].price;
        let cut = price * (78 + self.roll(4, 15) as u32) / 100;
        if cut > 300 { cut / 50 * 50 - 1 } else { cut }
    }

    /// Writes `template` with its slots filled.
    pub(crate) fn fill(&self, template: &Template, dice: &mut Dice, out: &mut String) {
        for part in template {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Choice(choices) => self.fill(dice.pick(choices), dice, out),
                Part::Slot(slot) => self.fill_slot(*slot, dice, out),
            }
        }
    }

    fn fill_slot(&self, slot: Slot, dice: &mut Dice, out: &mut String) {
        let words = &self.company.words;
        let (product, product2) = (
            &words.products[self.product],
            &words.products[self.product2],
        );
        let employee = &self.company.employees[self.employee as usize];
        let customer = self
            .customer
            .map(|index| &self.company.customers[index as usize]);
        // Writing to a String cannot fail.
        let _ = match slot {
            Slot::Fixed(list) => out.write_str(self.of(100 + list as u64, &words.slots[list].1)),
            Slot::Loose(list) => out.write_str(dice.word(&words.slots[list].1)),
            Slot::Product => out.write_str(product.name),
            Slot::Product2 => out.write_str(product2.name),
            Slot::Model => out.write_str(product.model),
            Slot::Model2 => write!(
                out,
                "{}{}",
                product.model,
                self.of(5, &["A", "Pro", "S", "-2"])
            ),
            Slot::Price => write!(out, "{}{}", product.price, dice.word(&["", "", "元"])),
            Slot::Deal => write!(out, "{}{}", self.deal(), dice.word(&["", "", "元", "块"])),
            Slot::Off => write!(
                out,
                "{}",
                (product.price * (3 + self.roll(28, 8) as u32) / 1000 * 10).max(5)
            ),
            Slot::Noun => out.write_str(product.noun),
            Slot::Size => out.write_str(product.size),
            Slot::Feature => out.write_str(self.of(6, &product.features)),
            Slot::City => out.write_str(words.cities[self.city()].name),
            Slot::Store => out.write_str(&self.company.stores[self.store()].name),
            Slot::Addr => {
                let road = self.of(7, &words.cities[self.city()].roads);
                let estate = self.of(
                    8,
                    &[
                        "锦绣花园",
                        "翠湖湾",
                        "阳光城邦",
                        "桂花苑",
                        "云栖里",
                        "金色家园",
                    ],
                );
                write!(
                    out,
                    "{road}{}号{estate}{}幢{}0{}",
                    1 + self.roll(9, 400),
                    1 + self.roll(10, 30),
                    1 + self.roll(11, 26),
                    1 + self.roll(12, 4)
                )
            }
            Slot::Date => self.date(1 + self.roll(13, 6) as i64, out),
            Slot::Past => self.date(-(2 + self.roll(14, 9) as i64), out),
            Slot::Weekday => {
                let day = date_of(self.now) + Days::new(1 + self.roll(13, 6));
                out.write_str(
                    ["周一", "周二", "周三", "周四", "周五", "周六", "周日"]
                        [day.weekday().num_days_from_monday() as usize],
                )
            }
            Slot::Order => write!(
                out,
                "{}{:08}",
                date_of(self.now).format("%y%m%d"),
                self.roll(15, 100_000_000)
            ),
            Slot::Tail => write!(out, "{:04}", self.roll(15, 10_000)),
            Slot::Waybill => write!(out, "SF00{:010}", self.roll(16, 10_000_000_000)),
            Slot::Qty => write!(out, "{}", self.of(17, &[1, 2, 2, 3, 4, 5, 6, 8, 10, 12])),
            Slot::EmployeeName => out.write_str(&employee.name),
            Slot::EmployeeSurname => out.write_str(employee.surname),
            Slot::Title => self.title(out),
            Slot::Surname => out.write_str(customer.map_or("王", |customer| customer.surname)),
            Slot::Nick => out.write_str(customer.map_or("群友", |customer| &customer.name)),
            Slot::Other => match self.other {
                Some(other) => out.write_str(&self.company.customers[other as usize].name),
                None => out.write_str("大家"),
            },
            Slot::Month => write!(
                out,
                "{}",
                self.of(
                    18,
                    &[1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 15, 18]
                )
            ),
            Slot::Days => write!(out, "{}", 2 + self.roll(19, 5)),
            Slot::Phone => write!(out, "1990000{:04}", self.roll(20, 10_000)),
            Slot::Phone2 => write!(out, "1980000{:04}", self.roll(21, 10_000)),
            Slot::IdNumber => write!(out, "00000019900101{:03}X", self.roll(22, 1000)),
            Slot::Worker => write!(out, "{}师傅", words.surnames[self.roll(23, 30) as usize].0),
            Slot::Colleague => out.write_str(&self.colleague().name),
            Slot::Number => write!(out, "{}", 2 + self.roll(27, 5)),
            Slot::Company => {
                let firm = customer.and_then(|customer| customer.firm);
                out.write_str(
                    words.companies
                        [firm.unwrap_or(self.roll(24, words.companies.len() as u64) as usize)],
                )
            }
        };
    }

    fn colleague(&self) -> &Employee {
        if let Some(partner) = self.partner {
            return &self.company.employees[partner as usize];
        }
        let own = &self.company.employees[self.employee as usize];
        let unit = &self.company.departments[own.departments[0]].staff;
        let who = unit[self.roll(25, unit.len() as u64) as usize];
        let who = if who == self.employee {
            self.company.of_role(Role::Guide)[0]
        } else {
            who
        };
        &self.company.employees[who as usize]
    }

    fn date(&self, days: i64, out: &mut String) -> std::fmt::Result {
        let day = date_of(self.now + days * super::rhythm::DAY);
        write!(
            out,
            "{}月{}{}",
            day.month(),
            day.day(),
            if self.seed & 64 == 0 { "号" } else { "日" }
        )
    }

    fn title(&self, out: &mut String) -> std::fmt::Result {
        let Some(customer) = self
            .customer
            .map(|index| &self.company.customers[index as usize])
        else {
            return out.write_str("您");
        };
        match (self.roll(26, 10), customer.is_female) {
            (0, _) => out.write_str("亲"),
            (1, true) if customer.name.contains('妈') => out.write_str(&customer.name),
            (1..6, true) => write!(out, "{}姐", customer.surname),
            (1..6, false) => write!(out, "{}哥", customer.surname),
            (_, true) => write!(out, "{}女士", customer.surname),
            (_, false) => write!(out, "{}先生", customer.surname),
        }
    }
}

const TYPOS: &[(&str, &str)] = &[
    ("在吗", "在嘛"),
    ("什么", "啥"),
    ("怎么", "咋"),
    ("没有", "木有"),
    ("多少钱", "多少米"),
    ("知道了", "知道叻"),
    ("账", "帐"),
    ("的话", "得话"),
    ("发货", "发貨"),
    ("好的", "好滴"),
    ("快递", "块递"),
    ("可以", "可已"),
];

/// A customer's way of writing: without full stops, with emoji, with typos, plain.
pub(crate) fn as_customer(text: &mut String, style: u8, company: &Company, dice: &mut Dice) {
    let list = |name: &str| {
        company
            .words
            .slot(name)
            .map(|index| &company.words.slots[index].1)
    };
    match style {
        0 | 1 => *text = text.replace('，', " "),
        2 | 3 if dice.chance(280) => {
            if let Some(emoji) = list("emoC") {
                text.push_str(dice.word(emoji));
            }
        }
        4 if dice.chance(450) => {
            if let Some((right, wrong)) = TYPOS.iter().find(|(right, _)| text.contains(right)) {
                *text = text.replacen(right, wrong, 1);
            }
        }
        5 if dice.chance(300) && !text.ends_with(['？', '！', ']']) => {
            if let Some(tails) = list("tailC") {
                text.push_str(dice.word(tails));
            }
        }
        6 if text.ends_with('？') => {
            text.truncate(text.len() - '？'.len_utf8());
        }
        _ => {}
    }
}

/// An employee's way of writing: 亲, waves, flowers, full stops, plain.
pub(crate) fn as_employee(
    text: &mut String,
    style: u8,
    is_outside: bool,
    company: &Company,
    dice: &mut Dice,
) {
    let is_closed = text.ends_with(['～', '~', '？', '！', ']', '。', '…']);
    match style {
        0 if is_outside && dice.chance(160) && !text.contains('亲') => text.insert_str(0, "亲，"),
        1 | 2 if dice.chance(260) => {
            if let Some(list) = company.words.slot("emoE") {
                text.push_str(dice.word(&company.words.slots[list].1));
            }
        }
        3 if dice.chance(300) && !is_closed => text.push('～'),
        4 if dice.chance(500) && !is_closed && text.chars().count() > 6 => text.push('。'),
        _ => {}
    }
}
