//! Founds the company: departments, staff, stores, customers and who knows whom.
//!
//! Sizes follow the options: one customer for every 25 messages, a store for every ten
//! employees or so. The first relation always exists and is never lost, so that even the
//! smallest company has somebody to talk to.

use std::collections::HashMap;

use super::DemoOptions;
use super::acquaintances::{hand_over, meet_customers};
use super::company::{Company, Department, Employee, Role, Store};
use super::dice::Dice;
use super::rhythm::{DAY, HOUR, midnight};
use super::rooms::open_rooms;
use super::words::Words;

/// Stores at most, however many employees.
const STORES_MAX: usize = 40;
/// Customers at most: 10 million messages need no more to look alive.
const CUSTOMERS_MAX: u64 = 400_000;

/// Builds the company of these options.
pub(crate) fn found_company(options: &DemoOptions, words: Words) -> Company {
    let mut dice = Dice::new(options.seed, 1);
    let start_ms = midnight(options.first_day);
    let mut company = Company {
        words,
        start_ms,
        end_ms: start_ms + i64::from(options.days) * DAY,
        departments: Vec::new(),
        employees: Vec::new(),
        stores: Vec::new(),
        customers: Vec::new(),
        relations: Vec::new(),
        rooms: Vec::new(),
        n_external_rooms: 0,
        robots: Vec::new(),
        by_role: Default::default(),
    };
    hire(&mut company, &mut dice, options.n_employees as usize);
    move_and_dismiss(&mut company, &mut dice);
    let n_customers = (options.n_messages / 25).clamp(12, CUSTOMERS_MAX) as usize;
    meet_customers(&mut company, &mut dice, n_customers);
    hand_over(&mut company, &mut dice);
    open_rooms(&mut company, &mut dice);
    company
}

/// A part of the company outside the stores.
struct Division {
    id: &'static str,
    name: &'static str,
    role: Role,
    /// Ids and names of the departments in it.
    teams: &'static [(&'static str, &'static str)],
    /// What the first of a team is called, and the others.
    positions: &'static [&'static str],
}

const DIVISIONS: [Division; 4] = [
    Division {
        id: "3",
        name: "客户服务中心",
        role: Role::Desk,
        teams: &[
            ("31", "在线客服一组"),
            ("32", "在线客服二组"),
            ("33", "投诉处理组"),
        ],
        positions: &["客服主管", "在线客服"],
    },
    Division {
        id: "4",
        name: "售后服务中心",
        role: Role::Service,
        teams: &[("41", "安装组"), ("42", "维修组")],
        positions: &["售后主管", "售后专员"],
    },
    Division {
        id: "5",
        name: "企业采购部",
        role: Role::Sales,
        teams: &[("51", "企业团购组"), ("52", "渠道拓展组")],
        positions: &["销售经理", "客户经理"],
    },
    Division {
        id: "6",
        name: "总部职能中心",
        role: Role::Office,
        teams: &[
            ("61", "市场部"),
            ("62", "人力行政部"),
            ("63", "财务部"),
            ("64", "信息技术部"),
            ("65", "供应链与仓储部"),
        ],
        positions: &["部门经理", "专员"],
    },
];

/// A job to be filled.
struct Post {
    department: usize,
    role: Role,
    positions: &'static [&'static str],
    store: Option<usize>,
    city: usize,
}

fn department(company: &mut Company, id: String, name: String, parent: Option<usize>) -> usize {
    company.departments.push(Department {
        id,
        name,
        parent,
        leaders: Vec::new(),
        staff: Vec::new(),
    });
    company.departments.len() - 1
}

fn hire(company: &mut Company, dice: &mut Dice, n: usize) {
    let share = |percent: usize| n * percent / 100;
    let (n_desk, n_service, n_sales, n_office) = (share(13), share(12), share(6), share(12));
    let n_guides = n - n_desk - n_service - n_sales - n_office;
    let root = department(company, "1".into(), "禾悦家".into(), None);
    let mut posts = Vec::new();
    open_stores(company, root, n_guides, &mut posts);
    let counts = [n_desk, n_service, n_sales, n_office];
    for (division, count) in DIVISIONS.iter().zip(counts) {
        let Division {
            id,
            name,
            role,
            teams,
            positions,
        } = *division;
        if count == 0 {
            continue;
        }
        let parent = department(company, id.into(), name.into(), Some(root));
        for (team_id, team_name) in teams.iter().take(count) {
            department(
                company,
                (*team_id).into(),
                (*team_name).into(),
                Some(parent),
            );
        }
        let n_teams = teams.len().min(count);
        for number in 0..count {
            let city = dice.below(company.words.cities.len());
            posts.push(Post {
                department: parent + 1 + number % n_teams,
                role,
                positions,
                store: None,
                city,
            });
        }
    }
    let mut userids = HashMap::new();
    for post in posts {
        employ(company, dice, &mut userids, post);
    }
    crown_leaders(company);
}

fn open_stores(company: &mut Company, root: usize, n_guides: usize, posts: &mut Vec<Post>) {
    let n_stores = (n_guides / 6).clamp(1, STORES_MAX);
    let parent = department(company, "2".into(), "门店运营中心".into(), Some(root));
    let mut regions: Vec<(&'static str, usize)> = Vec::new();
    for number in 0..n_stores {
        let n_cities = company.words.cities.len();
        let city_index = (number * 7) % n_cities;
        let city = &company.words.cities[city_index];
        let (region, lap) = (city.region, number / n_cities);
        let shop = city.shops[lap % city.shops.len()];
        let road = city.roads[lap % city.roads.len()];
        let name = format!("{}{shop}店", city.name);
        let region = match regions.iter().find(|(known, _)| *known == region) {
            Some((_, index)) => *index,
            None => {
                let id = format!("2{}", regions.len() + 1);
                let index = department(company, id, format!("{region}大区"), Some(parent));
                regions.push((region, index));
                index
            }
        };
        let unit = department(
            company,
            format!("{}", 201 + number),
            name.clone(),
            Some(region),
        );
        company.stores.push(Store {
            id: format!("S{:03}", number + 1),
            name,
            department: unit,
            city: city_index,
            road,
            rooms: Vec::new(),
        });
    }
    for number in 0..n_guides {
        let store = number % n_stores;
        let (department, city) = (company.stores[store].department, company.stores[store].city);
        let positions = &["店长", "导购"];
        posts.push(Post {
            department,
            role: Role::Guide,
            positions,
            store: Some(store),
            city,
        });
    }
}

fn employ(company: &mut Company, dice: &mut Dice, userids: &mut HashMap<String, u32>, post: Post) {
    let (surname, surname_pinyin) =
        company.words.surnames[dice.skewed(company.words.surnames.len())];
    let given = dice.pick(&company.words.given);
    let (given, given_pinyin) = (given.name, given.pinyin);
    let pinyin = format!("{surname_pinyin}{given_pinyin}");
    let seen = userids.entry(pinyin.clone()).or_insert(0);
    *seen += 1;
    let userid = if *seen == 1 {
        pinyin
    } else {
        format!("{pinyin}{seen:02}")
    };
    let index = company.employees.len() as u32;
    let unit = &mut company.departments[post.department];
    let position = if unit.staff.is_empty() {
        post.positions[0]
    } else {
        post.positions[1]
    };
    unit.staff.push(index);
    company.by_role[post.role as usize].push(index);
    company.employees.push(Employee {
        userid,
        name: format!("{surname}{given}"),
        surname,
        role: post.role,
        departments: vec![post.department],
        moved: None,
        store: post.store,
        city: post.city,
        position,
        left_at: None,
        skill_percent: *dice.pick(&[45, 60, 70, 80, 90, 100, 100, 110, 130, 170, 240]),
        style: dice.below(8) as u8,
        relations: Vec::new(),
    });
}

/// The first of a team leads it; the first leader below leads what is above.
fn crown_leaders(company: &mut Company) {
    for index in (0..company.departments.len()).rev() {
        if let Some(first) = company.departments[index].staff.first().copied() {
            company.departments[index].leaders.push(first);
        } else {
            let child = company
                .departments
                .iter()
                .find(|child| child.parent == Some(index) && !child.leaders.is_empty());
            let leaders = child.map(|child| child.leaders.clone()).unwrap_or_default();
            company.departments[index].leaders = leaders;
        }
    }
}

/// A few change stores in the period, a few leave; leaders stay.
fn move_and_dismiss(company: &mut Company, dice: &mut Dice) {
    let guides = company.of_role(Role::Guide).to_vec();
    let (start, end) = (company.start_ms, company.end_ms);
    let n_moves = guides.len() / 24;
    for number in 0..n_moves + guides.len() / 45 {
        let who = *dice.pick(&guides) as usize;
        let employee = &company.employees[who];
        if employee.position == "店长" || employee.moved.is_some() || employee.left_at.is_some() {
            continue;
        }
        let day = dice.instant((end - start) / 4, (end - start) * 3 / 4) / DAY * DAY;
        if number >= n_moves {
            company.employees[who].left_at = Some(start + day + 18 * HOUR);
            continue;
        }
        let store = dice.below(company.stores.len());
        let old = employee.departments[0];
        let new = company.stores[store].department;
        if new == old {
            continue;
        }
        company.departments[old]
            .staff
            .retain(|other| *other as usize != who);
        company.departments[new].staff.push(who as u32);
        let employee = &mut company.employees[who];
        employee.departments = vec![new];
        employee.moved = Some((old, start + day));
        employee.store = Some(store);
    }
}

/// An id as WeCom gives them: prefix and 30 characters.
pub(crate) fn id_of(dice: &mut Dice, prefix: &str) -> String {
    let (high, low) = (dice.bits(), dice.bits());
    format!("{prefix}{high:016x}{:014x}", low >> 8)
}
