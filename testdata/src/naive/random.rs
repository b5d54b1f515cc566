//! Small random companies that sit on the boundaries of the law, for comparing two models of it.
//!
//! The same seed always gives the same company. All of it lies between 2024-09-29 and the
//! following weeks, around a weekend, a month's end and midnights in Asia/Shanghai.
//!
//! The directory is made in `random_directory`, the rules in `random_rules`.
//!
//! It does not make: messages without receivers, two messages with one seq, or rows that the
//! directory would refuse, because the law says nothing of those (or that they are an error).

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub(super) const EMPLOYEES: [&str; 4] = ["zhang", "li.si", "W-wang", "wmclerk"];
/// An employee by the role rule, whom the directory never learns of.
pub(super) const UNKNOWN_EMPLOYEE: &str = "ghost";
pub(super) const CUSTOMERS: [&str; 4] = ["wmanna", "wmbert", "wocorp", "ext07"];
const ROBOTS: [&str; 1] = ["wbbot"];

pub(super) const SECOND: i64 = 1000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
const SHANGHAI_OFFSET: i64 = 8 * HOUR;
/// 2024-09-29 20:00 in Shanghai, a Sunday.
pub(super) const BASE_MS: i64 = 1_727_611_200_000;

/// Silences: most short, many exactly on a limit or a millisecond beside it.
const STEPS: [i64; 27] = [
    0,
    0,
    0,
    1,
    999,
    5 * SECOND,
    17 * SECOND,
    40 * SECOND,
    MINUTE - 1,
    MINUTE,
    MINUTE,
    MINUTE + 1,
    2 * MINUTE,
    3 * MINUTE - 1,
    3 * MINUTE,
    3 * MINUTE + 1,
    5 * MINUTE,
    10 * MINUTE - 1,
    10 * MINUTE,
    10 * MINUTE,
    30 * MINUTE - 1,
    30 * MINUTE,
    30 * MINUTE,
    30 * MINUTE + 1,
    3 * HOUR,
    9 * HOUR,
    DAY,
];

const TEXTS: [&str; 30] = [
    "在吗",
    "您好，有什么可以帮您",
    "订单123什么时候发货？",
    "稍等，我查一下",
    "Ｈｅｌｌｏ World",
    "价格 ¥99",
    "か\u{3099}ﾊﾟ Ångström é",
    "谢谢",
    "谢谢",
    "谢谢！",
    " 谢谢[微笑] ",
    "谢谢😊👍🏻",
    "❤\u{fe0f}谢谢❤\u{fe0f}",
    "👨\u{200d}👩\u{200d}👧谢谢~~",
    "好的谢谢～",
    "“好的谢谢。”",
    "ＯＫ",
    "ok[OK]",
    "Ok…\n",
    "谢谢你，再见",
    "[谢谢]",
    "谢 谢",
    "[微笑][强]",
    "！！",
    "[一二三四五六七八九]谢谢",
    "[微笑谢谢",
    "加我微信，私下转账",
    "轉 賬",
    "1",
    "",
];

/// A small company: message lines in the order in which they arrive, and directory rows in theirs.
///
/// Import the lines as one file into an empty archive: half of the companies have no seqs. The rows may
/// come before the lines, after them, or between them.
pub fn random_company(seed: u64) -> (Vec<String>, Vec<(String, Value)>) {
    let mut maker = Maker {
        rng: ChaCha8Rng::seed_from_u64(seed),
        messages: Vec::new(),
        n_msgids: 0,
    };
    maker.talk_in_pairs();
    maker.talk_in_rooms();
    maker.talk_to_several();
    maker.switch_company();
    let rows = maker.directory();
    (maker.lines(), rows)
}

pub(super) fn pick<T: Clone>(rng: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())].clone()
}

/// The next midnight in Shanghai, strictly after.
pub(super) fn next_midnight(at: i64) -> i64 {
    let local = at + SHANGHAI_OFFSET;
    local - local.rem_euclid(DAY) + DAY - SHANGHAI_OFFSET
}

pub(super) struct Maker {
    pub(super) rng: ChaCha8Rng,
    pub(super) messages: Vec<(i64, Value)>,
    n_msgids: usize,
}

impl Maker {
    fn talk_in_pairs(&mut self) {
        for _ in 0..self.rng.random_range(3..=7) {
            let employee = self.employee();
            let other = match self.rng.random_range(0..10) {
                0 => pick(&mut self.rng, &EMPLOYEES),
                1 => ROBOTS[0],
                _ => pick(&mut self.rng, &CUSTOMERS),
            };
            // Two customers now and then; nobody talks to himself.
            let one = if self.rng.random_bool(0.05) {
                "wmzoe"
            } else {
                employee
            };
            if one != other {
                self.walk("", &[one, other]);
            }
        }
    }

    fn talk_in_rooms(&mut self) {
        let mut people = [
            "zhang",
            "li.si",
            UNKNOWN_EMPLOYEE,
            "wmanna",
            "wocorp",
            ROBOTS[0],
        ];
        people.shuffle(&mut self.rng);
        self.walk("wrmixed", &people[..4]);
        // External only through the directory: ext07 is a customer there, and nowhere else.
        self.walk("wrlearned", &["zhang", "W-wang", "ext07"]);
        // Its one customer is a member who never speaks nor receives.
        self.walk("wrquiet", &["zhang", "li.si"]);
        self.walk("wrstaff", &["zhang", "li.si", UNKNOWN_EMPLOYEE]);
        // Staff among themselves at first; a customer comes late, or never.
        self.walk("wrlate", &["zhang", "li.si", "W-wang"]);
        if self.rng.random_bool(0.7) {
            self.walk("wrlate", &["zhang", "W-wang", "wmanna", "wmbert"]);
        }
    }

    /// One conversation: who speaks and how long the silence is, both drawn anew each time.
    fn walk(&mut self, room: &str, people: &[&str]) {
        let mut at = BASE_MS + self.rng.random_range(0..48) * HOUR + self.rng.random_range(0..4);
        for _ in 0..self.rng.random_range(4..=22) {
            let from = pick(&mut self.rng, people);
            let to: Vec<&str> = people.iter().copied().filter(|id| *id != from).collect();
            self.send(from, &to, room, at);
            at = match self.rng.random_range(0..20) {
                0 => next_midnight(at),
                1 => next_midnight(at) - 1,
                _ => at + pick(&mut self.rng, &STEPS),
            };
        }
    }

    /// Messages without a room and with several receivers.
    fn talk_to_several(&mut self) {
        for _ in 0..self.rng.random_range(0..=6) {
            let at = BASE_MS + self.rng.random_range(0..72) * HOUR + pick(&mut self.rng, &STEPS);
            let mut people: Vec<&str> = EMPLOYEES
                .into_iter()
                .chain(CUSTOMERS)
                .chain(ROBOTS)
                .collect();
            people.shuffle(&mut self.rng);
            let n_receivers = self.rng.random_range(2..=3);
            self.send(people[0], &people[1..=n_receivers], "", at);
        }
    }

    fn switch_company(&mut self) {
        let at = BASE_MS + self.rng.random_range(0..DAY);
        let msgid = self.msgid();
        let message = json!({"msgid": msgid, "action": "switch", "time": at, "user": "zhang"});
        self.messages.push((at, message));
    }

    fn send(&mut self, from: &str, to: &[&str], room: &str, at: i64) {
        let msgid = self.msgid();
        let mut message = json!({
            "msgid": msgid, "action": "send", "from": from, "tolist": to, "msgtime": at,
        });
        if self.rng.random_bool(0.1) {
            message["msgtime"] = json!(at.to_string());
        }
        if !room.is_empty() || self.rng.random_bool(0.5) {
            message["roomid"] = json!(room);
        }
        let body = self.body(from, at);
        for (key, value) in body.as_object().into_iter().flatten() {
            message[key] = value.clone();
        }
        self.messages.push((at, message));
    }

    /// The type and payload, and for a few types the action.
    fn body(&mut self, from: &str, at: i64) -> Value {
        let text = pick(&mut self.rng, &TEXTS);
        let call_seconds = self.rng.random_range(0..300);
        let item = json!({"content": text}).to_string();
        let named = pick(
            &mut self.rng,
            &["zhang", "W-wang", "wmbert", UNKNOWN_EMPLOYEE],
        );
        match self.rng.random_range(0..44) {
            0 => {
                json!({"msgtype": "voiptext", "info": {"callduration": call_seconds, "invitetype": 2}})
            }
            1 => {
                json!({"msgtype": "voiptext", "voiptext": {"callduration": call_seconds.to_string()}})
            }
            2 => json!({"msgtype": "meeting_voice_call", "voiceid": "v1",
                "meeting_voice_call": {"endtime": at / 1000 + 1 + call_seconds, "sdkfileid": "Q2c9PQ=="}}),
            3 => {
                json!({"msgtype": "revoke", "action": "recall", "revoke": {"pre_msgid": "m1_external"}})
            }
            4 => json!({"msgtype": "agree", "agree": {"userid": from, "agree_time": at}}),
            5 => json!({"msgtype": "disagree", "disagree": {"userid": from, "disagree_time": at}}),
            6 => json!({"msgtype": "hologram", "hologram": {"content": text}}),
            7 => {
                json!({"msgtype": "image", "image": {"md5sum": "0", "filesize": 1, "sdkfileid": "Q2c9PQ=="}})
            }
            8 => {
                json!({"msgtype": "vote", "votetitle": text, "voteitem": ["米饭", "面条"], "votetype": 101})
            }
            9 => {
                json!({"msgtype": "vote", "vote": {"votetitle": text, "voteitem": ["米饭"], "votetype": 101}})
            }
            10 => json!({"msgtype": "mixed", "mixed": {"item": [
                {"type": "text", "content": item}, {"type": "image", "content": "{\"sdkfileid\":\"Q2c9PQ==\"}"}]}}),
            11 => {
                json!({"msgtype": "chatrecord", "chatrecord": {"title": "群聊的聊天记录", "item": [
                {"type": "ChatRecordText", "msgtime": at / 1000, "content": item, "from_chatroom": false}]}})
            }
            12 => {
                json!({"msgtype": "link", "link": {"title": text, "description": "摘要", "link_url": "https://example.com/a"}})
            }
            13 => json!({"msgtype": "markdown", "info": {"content": text}}),
            14 => {
                json!({"msgtype": "external_redpacket", "redpacket": {"type": 1, "wish": "恭喜发财", "totalcnt": 1, "totalamount": 100}})
            }
            15 => {
                json!({"msgtype": "external_redpacket", "external_redpacket": {"type": "1", "wish": "恭喜发财"}})
            }
            16 => {
                json!({"msgtype": "docmsg", "doc": {"title": text, "link_url": "https://doc.example.com/x", "doc_creator": from}})
            }
            18 => json!({"msgtype": "card", "card": {"corpname": text, "userid": from}}),
            19 => json!({"msgtype": "redpacket", "redpacket": {"type": 1, "wish": text}}),
            20 => json!({"msgtype": "meeting_voice_call", "voiceid": "v2", "meeting_voice_call": {
                "endtime": at / 1000 + call_seconds, "sdkfileid": "Q2c9PQ==",
                "sharescreendata": [{"share": named, "starttime": at / 1000, "endtime": at / 1000}]}}),
            21 => json!({"msgtype": "meeting_voice_call", "voiceid": "v3", "meeting_voice_call": {
                "endtime": at / 1000 + call_seconds, "sdkfileid": "Q2c9PQ==", "demofiledata": [
                {"filename": "a.docx", "demooperator": named, "starttime": at / 1000, "endtime": at / 1000}]}}),
            17 => json!({"msgtype": "todo", "title": text, "content": "周五前提交"}),
            _ => json!({"msgtype": "text", "text": {"content": text}}),
        }
    }

    fn msgid(&mut self) -> String {
        self.n_msgids += 1;
        format!("m{}_external", self.n_msgids)
    }

    fn employee(&mut self) -> &'static str {
        if self.rng.random_bool(0.1) {
            return UNKNOWN_EMPLOYEE;
        }
        pick(&mut self.rng, &EMPLOYEES)
    }

    /// Orders the messages roughly by time, repeats some, and writes them as lines.
    fn lines(mut self) -> Vec<String> {
        self.messages.sort_by_key(|(at, _)| *at);
        let mut messages: Vec<Value> = self
            .messages
            .drain(..)
            .map(|(_, message)| message)
            .collect();
        self.disturb(&mut messages);
        self.delay(&mut messages);
        self.repeat(&mut messages);
        if self.rng.random_bool(0.5) {
            return self.bare_lines(&messages);
        }
        // The seqs rise with the arrival, then the lines are disturbed once more: seqs come out of order.
        let mut seq = self.rng.random_range(0..1000_u64);
        let mut envelopes = Vec::new();
        for message in messages {
            seq += self.rng.random_range(1..4);
            envelopes.push(json!({"seq": seq, "publickey_ver": 1, "message": message}));
        }
        self.disturb(&mut envelopes);
        envelopes.iter().map(Value::to_string).collect()
    }

    /// Lines without seq; some cannot be read, but are lines all the same.
    fn bare_lines(&mut self, messages: &[Value]) -> Vec<String> {
        let mut lines = Vec::new();
        for message in messages {
            if self.rng.random_bool(0.02) {
                lines.push("{\"msgid\": not JSON".to_owned());
            }
            lines.push(message.to_string());
        }
        lines
    }

    /// Swaps some neighbours that are up to three places apart.
    fn disturb(&mut self, values: &mut [Value]) {
        for i in 0..values.len() {
            let other = i + self.rng.random_range(1..=3);
            if other < values.len() && self.rng.random_bool(0.15) {
                values.swap(i, other);
            }
        }
    }

    /// A few messages arrive after all others.
    fn delay(&mut self, messages: &mut Vec<Value>) {
        for _ in 0..self.rng.random_range(0..4) {
            let index = self.rng.random_range(0..messages.len());
            let late = messages.remove(index);
            messages.push(late);
        }
    }

    /// Some messages come twice, and some of those with another content: a conflict, not a message.
    fn repeat(&mut self, messages: &mut Vec<Value>) {
        for i in 0..messages.len() {
            if self.rng.random_bool(0.05) {
                let mut again = messages[i].clone();
                if self.rng.random_bool(0.3) {
                    again["from"] = json!("wmanna");
                    again["tolist"] = json!(["zhang"]);
                }
                messages.push(again);
            }
        }
    }
}
