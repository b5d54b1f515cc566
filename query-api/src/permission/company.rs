//! Random organisations and what was said in them. Every message carries two tokens that stand
//! nowhere else: `kqt…` in its text, `kqm…` as its msgid. Texts of the directory have tokens too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// 2024-10-01 in Shanghai, UTC milliseconds.
pub const AT_MS: i64 = 1_727_712_000_000;
const MINUTE: i64 = 60_000;

pub const RULES: &str = "[[timeout.rule]]\nname = \"all\"\nkinds = [\"single\", \"group\"]\n\
    levels = [{ after_minutes = 5, notify = [\"trigger\"] }, { after_minutes = 30, notify = [\"trigger\"] }]\n\
    [[sensitive.rule]]\nname = \"飞单\"\nwords = \"加我微信\"\nenabled = true\n\
    [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n\
    [behaviour.friend_deleted]\nenabled = true\naudited = [\"customer\", \"employee\"]\n";

/// splitmix64: the same cases for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    pub fn is(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

/// What is known of who is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rooms {
    /// As WeCom writes it: who is a member is among the receivers, so a room is seen whole.
    Listed,
    /// Members that only the directory knows, for a time: rooms are seen in part.
    Loose,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub id: String,
    pub from_ms: i64,
    pub to_ms: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Room {
    pub id: String,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone)]
pub struct Said {
    pub seq: i64,
    pub msgid: String,
    pub from: String,
    pub to: Vec<String>,
    pub room: String,
    pub at_ms: i64,
    pub text: String,
    pub is_file: bool,
}

impl Said {
    pub fn line(&self) -> String {
        let mut message = json!({
            "msgid": self.msgid, "action": "send", "from": self.from, "tolist": self.to,
            "roomid": self.room, "msgtime": self.at_ms,
        });
        if self.is_file {
            message["msgtype"] = json!("file");
            message["file"] = json!({
                "md5sum": format!("{:032x}", self.seq), "filename": format!("{}.pdf", self.text),
                "fileext": "pdf", "filesize": 7, "sdkfileid": format!("f{}", self.msgid),
            });
        } else {
            message["msgtype"] = json!("text");
            message["text"] = json!({"content": self.text});
        }
        json!({"seq": self.seq, "message": message}).to_string() + "\n"
    }
}

#[derive(Debug)]
pub struct Company {
    /// Id and the one above.
    pub departments: Vec<(String, Option<String>)>,
    /// Userid and department.
    pub employees: Vec<(String, String)>,
    pub customers: Vec<String>,
    pub rooms: Vec<Room>,
    pub said: Vec<Said>,
    /// Rows of directory tables.
    pub tables: Vec<(&'static str, Vec<Value>)>,
}

fn rfc3339(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .unwrap()
        .to_rfc3339()
}

impl Company {
    pub fn random(dice: &mut Dice, rooms: Rooms) -> Self {
        let n_departments = 3 + dice.roll(3);
        let departments: Vec<(String, Option<String>)> = (0..n_departments)
            .map(|i| {
                let above = (i > 0).then(|| format!("d{}", dice.roll(i)));
                (format!("d{i}"), above)
            })
            .collect();
        let employees: Vec<(String, String)> = (0..5 + dice.roll(3))
            .map(|i| (format!("e{i}"), dice.one(&departments).0.clone()))
            .collect();
        let customers: Vec<String> = (0..4 + dice.roll(3)).map(|i| format!("wmc{i}")).collect();
        let mut company = Self {
            departments,
            employees,
            customers,
            rooms: Vec::new(),
            said: Vec::new(),
            tables: Vec::new(),
        };
        for i in 0..4 {
            let room = company.room(dice, format!("wrroom{i}"), rooms);
            company.rooms.push(room);
        }
        company.speak(dice, rooms);
        company.feed(dice);
        company
    }

    fn room(&self, dice: &mut Dice, id: String, rooms: Rooms) -> Room {
        let mut members = Vec::new();
        let ids = self.employees.iter().map(|(id, _)| id);
        for id in ids.chain(&self.customers) {
            let is_customer = id.starts_with("wm");
            let percent = match (rooms, is_customer) {
                (Rooms::Listed, true) => 25,
                (_, false) => 40,
                // Whether a room has a customer is to follow from what was said.
                (Rooms::Loose, true) => 2,
            };
            if !dice.is(percent) {
                continue;
            }
            let (from_ms, to_ms) = match rooms {
                Rooms::Listed => (AT_MS - MINUTE, None),
                Rooms::Loose => {
                    let from = AT_MS + dice.roll(1200) as i64 * MINUTE;
                    let to = from + dice.roll(1500) as i64 * MINUTE + 1;
                    (from, dice.is(60).then_some(to))
                }
            };
            members.push(Member {
                id: id.clone(),
                from_ms,
                to_ms,
            });
        }
        if members.is_empty() {
            members.push(Member {
                id: self.employees[0].0.clone(),
                from_ms: AT_MS - MINUTE,
                to_ms: None,
            });
        }
        Room { id, members }
    }

    fn speak(&mut self, dice: &mut Dice, rooms: Rooms) {
        const WORDS: [&str; 6] = ["退款", "发货", "你好吗", "加我微信", "谢谢", "price"];
        let mut at_ms = AT_MS;
        for i in 0..45 {
            at_ms += (1 + dice.roll(70)) as i64 * MINUTE;
            let employee = dice.one(&self.employees).0.clone();
            let customer = dice.one(&self.customers).clone();
            let n = match rooms {
                Rooms::Listed => dice.roll(10),
                Rooms::Loose => 3 + dice.roll(11),
            };
            let (from, to, room) = match n {
                0..3 => (customer, vec![employee], String::new()),
                3..5 => (employee, vec![customer], String::new()),
                5 => {
                    let other = dice.one(&self.employees).0.clone();
                    (employee, vec![other], String::new())
                }
                6 => {
                    let other = dice.one(&self.customers).clone();
                    (employee, vec![customer, other], String::new())
                }
                _ => {
                    let room = dice.one(&self.rooms);
                    let others = |from: &str| {
                        let members = room.members.iter().map(|m| m.id.clone());
                        members.filter(|id| id != from).collect::<Vec<_>>()
                    };
                    let (from, to) = match rooms {
                        Rooms::Listed => {
                            let from = dice.one(&room.members).id.clone();
                            let to = others(&from);
                            (from, to)
                        }
                        // Whoever: members are known to the directory only.
                        Rooms::Loose => {
                            let other = dice.one(&self.employees).0.clone();
                            match dice.is(25) {
                                true => (customer, vec![other]),
                                false => (employee, vec![other]),
                            }
                        }
                    };
                    (from, to, room.id.clone())
                }
            };
            let words = format!("{} {}", dice.one(&WORDS), dice.one(&WORDS));
            let token = format!("{:08x}{:04x}", dice.roll(1 << 32), i);
            self.said.push(Said {
                seq: i as i64 + 1,
                msgid: format!("kqm{token}"),
                from,
                to,
                room,
                at_ms,
                // A number in some: casts fail on the others only.
                text: match dice.is(20) {
                    true => format!("{i}"),
                    false => format!("{words} kqt{token}"),
                },
                is_file: dice.is(15),
            });
        }
    }

    fn feed(&mut self, dice: &mut Dice) {
        let departments = self.departments.iter();
        let departments =
            departments.map(|(id, above)| json!({"id": id, "name": id, "parent_id": above}));
        let employees = self.employees.iter().map(
            |(id, department)| json!({"userid": id, "name": format!("kqe{id}z"), "departments": [department]}),
        );
        let customers = self.customers.iter();
        let customers =
            customers.map(|id| json!({"external_userid": id, "name": format!("客{id}")}));
        let (mut relations, mut followups, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (user, _)) in self.employees.iter().enumerate() {
            for customer in &self.customers {
                if dice.is(40) {
                    let lost = dice
                        .is(30)
                        .then(|| rfc3339(AT_MS + dice.roll(2000) as i64 * MINUTE));
                    let lost_by = lost.as_ref().map(|_| "customer");
                    relations.push(json!({
                        "userid": user, "external_userid": customer,
                        "add_time": rfc3339(AT_MS - dice.roll(9000) as i64 * MINUTE - MINUTE),
                        "remark": format!("kqr{user}z"), "lost_time": lost, "lost_by": lost_by,
                    }));
                }
            }
            followups.push(json!({
                "id": format!("f{i}"), "userid": user, "target_type": "customer",
                "target_id": dice.one(&self.customers), "time": rfc3339(AT_MS + i as i64 * MINUTE),
                "text": format!("kqf{user}z"),
            }));
            sessions.push(json!({
                "session_id": format!("s{i}"), "msgid": format!("kf{i}"), "time": rfc3339(AT_MS),
                "from_role": "customer", "external_userid": dice.one(&self.customers),
                "servicer_userid": user, "msgtype": "text", "text": format!("kqk{user}z"),
            }));
        }
        let groups = self.rooms.iter().map(|room| {
            let owner = room.members.iter().find(|m| m.id.starts_with('e'));
            let owner = owner.map_or("nobody", |m| &m.id);
            json!({"chat_id": room.id, "name": format!("群{}", room.id), "owner": owner,
                   "create_time": rfc3339(AT_MS - MINUTE)})
        });
        let members = self.rooms.iter().flat_map(|room| {
            room.members.iter().map(|m| {
                let kind = if m.id.starts_with('e') {
                    "employee"
                } else {
                    "customer"
                };
                json!({"chat_id": room.id, "member_id": m.id, "member_type": kind,
                       "join_time": rfc3339(m.from_ms), "leave_time": m.to_ms.map(rfc3339)})
            })
        });
        self.tables = vec![
            ("departments", departments.collect()),
            ("employees", employees.collect()),
            ("customers", customers.collect()),
            ("relations", relations),
            ("groups", groups.collect()),
            ("group_members", members.collect()),
            ("followups", followups),
            ("kf_messages", sessions),
        ];
    }

    /// The employees of a department and all below, by walking up from each.
    pub fn below(&self, department: &str) -> BTreeSet<String> {
        let is_below = |of: &str| {
            let mut at = Some(of.to_string());
            while let Some(id) = at {
                if id == department {
                    return true;
                }
                let found = self.departments.iter().find(|(known, _)| *known == id);
                at = found.and_then(|(_, above)| above.clone());
            }
            false
        };
        let those = self.employees.iter().filter(|(_, of)| is_below(of));
        those.map(|(id, _)| id.clone()).collect()
    }

    /// Whether these employees may read a message, read off the law word by word.
    pub fn may_read(&self, people: &BTreeSet<String>, said: &Said) -> bool {
        let names = |said: &Said| {
            people.contains(&said.from) || said.to.iter().any(|id| people.contains(id))
        };
        if names(said) {
            return true;
        }
        if said.room.is_empty() {
            return false;
        }
        let mut in_room = self.said.iter().filter(|other| other.room == said.room);
        let room = self.rooms.iter().find(|room| room.id == said.room).unwrap();
        in_room.any(names)
            || room.members.iter().any(|member| {
                people.contains(&member.id)
                    && member.from_ms <= said.at_ms
                    && member.to_ms.is_none_or(|to_ms| said.at_ms < to_ms)
            })
    }

    /// Every conversation there is, and some that are not.
    pub fn conversations(&self) -> Vec<String> {
        let mut ids: BTreeSet<String> = BTreeSet::from(["wrnowhere".into(), "e0|wmnobody".into()]);
        for said in &self.said {
            if said.room.is_empty() {
                for to in &said.to {
                    ids.insert(huicun_semantics::conversation::pair_id(&said.from, to));
                }
            } else {
                ids.insert(said.room.clone());
            }
        }
        ids.into_iter().collect()
    }
}
