//! Opens the rooms: customers' groups of five kinds, and the staff's own.
//!
//! Every room has its owner among the staff. Members join when the room opens or later, and
//! some leave again; the staff's rooms carry the robots.

use super::company::{Company, Member, Role, Room};
use super::dice::Dice;
use super::found::id_of;
use super::rhythm::{DAY, HOUR, MINUTE, SECOND};

/// Members at most: the receivers of a message are listed one by one, and real rooms of
/// several hundred would make the demo's file mostly ids.
const GUESTS_MAX: usize = 44;

/// Opens all rooms of the company.
pub(crate) fn open_rooms(company: &mut Company, dice: &mut Dice) {
    company.robots = (0..2).map(|_| id_of(dice, "wb")).collect();
    let n_rooms = (company.customers.len() / 38).max(2);
    let mut numbers = [0_usize; 5];
    for number in 0..n_rooms {
        let kind = if number == 0 {
            0
        } else {
            dice.weighted(&[34, 14, 20, 22, 10])
        };
        if let Some(room) = customer_room(company, dice, kind, &mut numbers) {
            company.rooms.push(room);
        }
    }
    company.n_external_rooms = company.rooms.len();
    for (index, room) in company.rooms.iter().enumerate() {
        if let Some(store) = room.store {
            company.stores[store].rooms.push(index);
        }
    }
    staff_rooms(company, dice);
}

const KINDS: [&str; 5] = ["store", "estate", "mom", "service", "corp"];

fn customer_room(
    company: &Company,
    dice: &mut Dice,
    kind: usize,
    numbers: &mut [usize; 5],
) -> Option<Room> {
    let role = [
        Role::Guide,
        Role::Guide,
        Role::Guide,
        Role::Service,
        Role::Sales,
    ][kind];
    let owners = company.of_role(role);
    if owners.is_empty() {
        return None;
    }
    let owner = owners[dice.skewed(owners.len())];
    let employee = &company.employees[owner as usize];
    numbers[kind] += 1;
    let number = numbers[kind];
    let (start, end) = (company.start_ms, company.end_ms);
    let created = match kind {
        3 => dice.instant(start - 20 * DAY, end - (end - start) / 6),
        _ if number == 1 || dice.chance(850) => dice.instant(start - 300 * DAY, start - DAY),
        _ => dice.instant(start, end - (end - start) / 3),
    };
    let created_ms = created - created % SECOND;
    if !company.is_employed(owner, created_ms) {
        return None;
    }
    let n_guests = match kind {
        3 => dice.between(1, 2),
        4 => dice.between(2, 4),
        _ => dice.between(10, GUESTS_MAX as i64),
    } as usize;
    let guests = guests(company, dice, owner, created_ms, n_guests, kind);
    if guests.is_empty() {
        return None;
    }
    let staff = staff_of(company, dice, owner, created_ms);
    let responsible = (kind < 3 && staff.len() > 1 && dice.chance(120)).then(|| {
        (
            staff[1].who,
            created_ms.max(start) + (end - created_ms.max(start)) / 2 / HOUR * HOUR,
        )
    });
    let store = if kind < 3 { employee.store } else { None };
    let name = room_name(company, dice, kind, number, owner, &guests);
    Some(Room {
        id: id_of(dice, "wr"),
        name,
        kind: KINDS[kind],
        store,
        owner,
        responsible,
        created_ms,
        staff,
        guests,
        robot: None,
    })
}

fn room_name(
    company: &Company,
    dice: &mut Dice,
    kind: usize,
    number: usize,
    owner: u32,
    guests: &[Member],
) -> String {
    let employee = &company.employees[owner as usize];
    let place = employee
        .store
        .map_or("禾悦家", |store| company.stores[store].name.as_str());
    let first = &company.customers[guests[0].who as usize];
    match kind {
        0 => format!(
            "{place}{}{}群",
            dice.word(&["会员福利", "粉丝", "家电特惠", "VIP"]),
            1 + number % 4
        ),
        1 => {
            let estate = dice.word(&[
                "锦绣花园",
                "滨河家园",
                "翠湖湾",
                "阳光城邦",
                "云栖里",
                "桂花苑",
                "江南名邸",
                "金色家园",
            ]);
            format!("{estate}业主家电团购群{}", 1 + number / 8)
        }
        2 => format!(
            "{}宝妈交流群{number}",
            company.words.cities[employee.city].name
        ),
        3 => format!(
            "{}-{}服务群",
            first.name,
            dice.word(&["安装", "维修", "送装一体"])
        ),
        _ => {
            let firm = first
                .firm
                .map_or("企业客户", |firm| company.words.companies[firm]);
            format!("{firm}&禾悦家对接群")
        }
    }
}

/// The owner, and colleagues of his unit.
fn staff_of(company: &Company, dice: &mut Dice, owner: u32, join_ms: i64) -> Vec<Member> {
    let join = |who| Member {
        who,
        join_ms,
        leave_ms: company.employees[who as usize].left_at,
    };
    let mut staff = vec![join(owner)];
    let unit = &company.departments[company.employees[owner as usize].departments[0]].staff;
    for _ in 0..dice.between(1, 3) {
        let who = *dice.pick(unit);
        if staff.iter().all(|member| member.who != who) && company.is_employed(who, join_ms) {
            staff.push(join(who));
        }
    }
    staff
}

/// Mostly friends of the owner, some friends of others, some whom nobody knows.
fn guests(
    company: &Company,
    dice: &mut Dice,
    owner: u32,
    created: i64,
    n: usize,
    kind: usize,
) -> Vec<Member> {
    let friends = &company.employees[owner as usize].relations;
    let mut guests: Vec<Member> = Vec::new();
    for _ in 0..n * 2 {
        let is_friend = !friends.is_empty() && (kind >= 3 || dice.chance(620));
        let who = if is_friend {
            company.relations[friends[dice.below(friends.len())] as usize].customer
        } else {
            dice.below(company.customers.len()) as u32
        };
        let fits = (kind == 4) == company.customers[who as usize].firm.is_some();
        if guests.len() >= n || !fits || guests.iter().any(|guest| guest.who == who) {
            continue;
        }
        guests.push(stay(company, dice, who, created, kind));
    }
    guests
}

fn stay(company: &Company, dice: &mut Dice, who: u32, created: i64, kind: usize) -> Member {
    let end = company.end_ms;
    let join_ms = if kind >= 3 || dice.chance(300) {
        created + dice.between(0, 60) * SECOND
    } else if created < company.start_ms && dice.chance(700) {
        dice.instant(created, company.start_ms)
    } else {
        dice.instant(created.max(company.start_ms), end)
    };
    let join_ms = join_ms - join_ms % SECOND;
    let leaves = kind < 3 && dice.chance(80);
    let leave_ms = leaves
        .then(|| join_ms + dice.instant(5 * MINUTE, 40 * DAY) / SECOND * SECOND)
        .filter(|leave| *leave < end);
    Member {
        who,
        join_ms,
        leave_ms,
    }
}

fn staff_rooms(company: &mut Company, dice: &mut Dice) {
    let everyone: Vec<u32> = (0..company.employees.len() as u32).collect();
    let leaders: Vec<u32> = everyone
        .iter()
        .copied()
        .filter(|who| {
            matches!(
                company.employees[*who as usize].position,
                "店长" | "部门经理"
            )
        })
        .collect();
    let first = if everyone.len() <= 40 {
        everyone
    } else {
        leaders
    };
    staff_room(company, dice, "禾悦家管理群".into(), &first, Some(0));
    let service: Vec<u32> = [Role::Desk, Role::Service]
        .iter()
        .flat_map(|role| company.of_role(*role).iter().take(10).copied())
        .collect();
    if service.len() > 3 {
        staff_room(company, dice, "客诉升级处理群".into(), &service, Some(1));
    }
    for unit in 0..company.departments.len() {
        let staff = company.departments[unit].staff.clone();
        if staff.len() >= 3 {
            let robot = dice.chance(250).then_some(unit % 2);
            let name = format!("{}工作群", company.departments[unit].name);
            staff_room(company, dice, name, &staff, robot);
        }
    }
}

fn staff_room(
    company: &mut Company,
    dice: &mut Dice,
    name: String,
    who: &[u32],
    robot: Option<usize>,
) {
    let created = company.start_ms - dice.between(100, 700) * DAY;
    let created_ms = created - created % SECOND;
    let staff = who
        .iter()
        .map(|who| {
            let employee = &company.employees[*who as usize];
            let join_ms = employee.moved.map_or(created_ms, |(_, at)| at);
            Member {
                who: *who,
                join_ms,
                leave_ms: employee.left_at,
            }
        })
        // Who was to move to this unit after leaving the company never came.
        .filter(|member| member.leave_ms.is_none_or(|leave| member.join_ms < leave))
        .collect();
    company.rooms.push(Room {
        id: id_of(dice, "wr"),
        name,
        kind: "team",
        store: None,
        owner: who[0],
        responsible: None,
        created_ms,
        staff,
        guests: Vec::new(),
        robot,
    });
}
