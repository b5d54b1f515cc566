//! The body of every message type, with the shapes and quirks of WeCom (wecom-sdk 5.3).
//!
//! A body is the JSON from behind `"msgtype":` on: `"text","text":{..}`. Where the sources
//! disagree on a shape (todo, vote, external_redpacket, card, news) both are produced.

use super::dice::Dice;
use super::json::{Js, List};
use super::media::{md5, media, sdk_file_id};
use super::notices::{calendar, collect, markdown, meeting, meeting_id, news, sphfeed, vote};
use super::records::{chatrecord, mixed};
use super::script::Script;
use super::slots::Cast;

/// Every type and its intended share in 100,000 messages; `text` is what remains.
pub(crate) const TYPES: [(&str, u64); 34] = [
    ("text", 0),
    ("image", 4900),
    ("voice", 2300),
    ("video", 520),
    ("file", 650),
    ("link", 1000),
    ("weapp", 1100),
    ("location", 380),
    ("card", 330),
    ("emotion", 950),
    ("mixed", 330),
    ("chatrecord", 280),
    ("redpacket", 60),
    ("external_redpacket", 80),
    ("voiptext", 480),
    ("meeting", 90),
    ("meeting_notification", 40),
    ("calendar", 80),
    ("todo", 90),
    ("vote", 45),
    ("collect", 50),
    ("docmsg", 120),
    ("markdown", 260),
    ("news", 80),
    ("sphfeed", 110),
    ("qydiskfile", 50),
    ("agree", 150),
    ("disagree", 20),
    ("switch", 30),
    ("meeting_voice_call", 40),
    ("voip_doc_share", 20),
    ("revoke", 300),
    ("solitaire", 120),
    ("note", 30),
];

/// The number of a type in [`TYPES`]; scripts are checked for it when they are read.
pub(crate) fn type_number(name: &str) -> Option<usize> {
    TYPES.iter().position(|(known, _)| *known == name)
}

/// Position of `text` in [`TYPES`]; quotes are texts too.
pub(crate) const TEXT: usize = 0;

/// What a body may refer to.
pub(crate) struct Props<'a> {
    pub(crate) cast: &'a Cast<'a>,
    pub(crate) scripts: &'a [Script],
    /// Who sends.
    pub(crate) from: &'a str,
    pub(crate) sender_name: &'a str,
    pub(crate) room_name: &'a str,
    pub(crate) is_room: bool,
    pub(crate) at: i64,
    /// Speaker and text of the line before, for quotes.
    pub(crate) before: (&'a str, &'a str),
}

/// The body of a text message.
pub(crate) fn text_body(text: &str) -> String {
    format!("\"text\",\"text\":{{\"content\":{}}}", Js(text))
}

/// The body of a message of type `kind` with these script fields; None for an unknown type.
pub(crate) fn body(kind: &str, fields: &str, props: &Props<'_>, dice: &mut Dice) -> Option<String> {
    let mut parts = fields.split(" / ").map(str::trim);
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    let third = parts.next().unwrap_or_default();
    let seconds = props.at / 1000;
    let body = match kind {
        "image" | "voice" | "video" | "emotion" | "file" => {
            format!("\"{kind}\",\"{kind}\":{}", media(kind, first, props, dice))
        }
        "quote" => text_body(&quote(props, first)),
        "link" => format!("\"link\",\"link\":{}", link(first, second, dice)),
        "weapp" => format!("\"weapp\",\"weapp\":{}", weapp(first, second)),
        "location" => format!("\"location\",\"location\":{}", location(props, dice)),
        "card" => card(props, dice),
        "mixed" => mixed(first, props, dice),
        "chatrecord" => chatrecord(props, dice),
        "redpacket" | "external_redpacket" => red_packet(kind, first, props, dice),
        "voiptext" => {
            let invite = if props.is_room {
                dice.between(3, 4)
            } else {
                dice.between(1, 2)
            };
            let duration = if dice.chance(120) {
                0
            } else {
                dice.curve(&[5, 30, 60, 120, 240, 600, 1500])
            };
            format!("\"voiptext\",\"info\":{{\"callduration\":{duration},\"invitetype\":{invite}}}")
        }
        "meeting" => meeting(first, props, dice),
        "meeting_notification" => {
            let (id, notice) = (meeting_id(dice), dice.between(1, 3));
            let content = format!(
                "{}的快速会议 {}",
                props.sender_name,
                ["已开始", "已结束", "已取消"][notice as usize - 1]
            );
            let id = if dice.chance(150) {
                format!("\"{id}\"")
            } else {
                id.to_string()
            };
            format!(
                "\"meeting_notification\",\"info\":{{\"content\":{},\"meeting_id\":{id},\"notification_type\":{notice}}}",
                Js(&content)
            )
        }
        "calendar" => calendar(first, props, dice),
        "todo" => {
            let title = if props.is_room {
                format!("来自“{}”", props.room_name)
            } else {
                format!("来自{}的聊天", props.sender_name)
            };
            let fields = format!("\"title\":{},\"content\":{}", Js(&title), Js(first));
            if dice.chance(500) {
                format!("\"todo\",\"todo\":{{{fields}}}")
            } else {
                format!("\"todo\",{fields}")
            }
        }
        "vote" => vote(first, dice),
        "collect" => collect(first, props, dice),
        "docmsg" => {
            let url = format!(
                "https://doc.huicun.example/sheet/{:08x}",
                dice.bits() as u32
            );
            format!(
                "\"docmsg\",\"doc\":{{\"title\":{},\"link_url\":\"{url}\",\"doc_creator\":{}}}",
                Js(first),
                Js(props.from)
            )
        }
        "markdown" => format!(
            "\"markdown\",\"info\":{{\"content\":{}}}",
            Js(&markdown(props.cast.company, props, dice))
        ),
        "news" => news(props, dice),
        "sphfeed" => sphfeed(props, dice),
        "qydiskfile" => format!("\"qydiskfile\",\"info\":{{\"filename\":{}}}", Js(first)),
        "agree" => format!(
            "\"agree\",\"agree\":{{\"userid\":{},\"agree_time\":{}}}",
            Js(props.from),
            props.at
        ),
        "disagree" => {
            let key = if dice.chance(700) {
                ("disagree", "disagree_time")
            } else {
                ("agree", "agree_time")
            };
            format!(
                "\"disagree\",\"{}\":{{\"userid\":{},\"{}\":{}}}",
                key.0,
                Js(props.from),
                key.1,
                props.at
            )
        }
        "meeting_voice_call" => {
            let (from, length) = (Js(props.from), dice.between(60, 1800));
            let end = seconds + length;
            format!(
                "\"meeting_voice_call\",\"voiceid\":\"gr{:016x}\",\"meeting_voice_call\":{{\"endtime\":{end},\"sdkfileid\":\"{}\",\"demofiledata\":[{{\"filename\":\"报价方案.pptx\",\"demooperator\":{from},\"starttime\":{},\"endtime\":{}}}],\"sharescreendata\":[{{\"share\":{from},\"starttime\":{},\"endtime\":{}}}]}}",
                dice.bits(),
                sdk_file_id(dice, props.at),
                seconds + 10,
                seconds + length / 3 + 11,
                seconds + length / 3 + 12,
                end - 5
            )
        }
        "voip_doc_share" => format!(
            "\"voip_doc_share\",\"voipid\":\"gr{:016x}\",\"voip_doc_share\":{{\"filename\":{},\"md5sum\":\"{}\",\"filesize\":{},\"sdkfileid\":\"{}\"}}",
            dice.bits(),
            Js(first),
            md5(dice),
            dice.between(80_000, 9_000_000),
            sdk_file_id(dice, props.at)
        ),
        "solitaire" => {
            let items: Vec<String> = third
                .split(';')
                .enumerate()
                .map(|(index, item)| format!("{}. {}", index + 1, item.trim()))
                .collect();
            let items = List(items.iter().map(|item| Js(item)).collect());
            format!(
                "\"solitaire\",\"solitaire\":{{\"title\":{},\"example\":{},\"items\":{items},\"tail\":\"\",\"creator\":{}}}",
                Js(first),
                Js(second),
                Js(props.from)
            )
        }
        "note" => format!(
            "\"note\",\"info\":{{\"items\":[{{\"type\":\"text\",\"content\":{}}}]}}",
            Js(first)
        ),
        _ => return None,
    };
    Some(body)
}

fn quote(props: &Props<'_>, reply: &str) -> String {
    let (name, text) = props.before;
    if text.is_empty() {
        return reply.to_owned();
    }
    if props.at % 2 == 0 {
        format!("这是一条引用/回复消息：\n“{name}：\n{text}”\n------\n{reply}")
    } else {
        format!("「{name}：{text}」\n- - - - - - - - - - - - - - -\n{reply}")
    }
}

pub(crate) fn link(title: &str, description: &str, dice: &mut Dice) -> String {
    let page = dice.bits() as u32;
    format!(
        "{{\"title\":{},\"description\":{},\"link_url\":\"https://mall.huicun.example/a/{page:08x}\",\"image_url\":\"https://mall.huicun.example/i/{page:08x}.png\"}}",
        Js(title),
        Js(description)
    )
}

pub(crate) fn weapp(title: &str, description: &str) -> String {
    format!(
        "{{\"title\":{},\"description\":{},\"username\":\"gh_0000huicundemo@app\",\"displayname\":\"禾悦家会员商城\"}}",
        Js(title),
        Js(description)
    )
}

pub(crate) fn location(props: &Props<'_>, dice: &mut Dice) -> String {
    let company = props.cast.company;
    let store = &company.stores[props.cast.store()];
    let city = &company.words.cities[store.city];
    let place = |hundredths: i64, jitter: i64| {
        format!("{}.{:02}{:04}", hundredths / 100, hundredths % 100, jitter)
    };
    let is_store = props.from.len() < 30;
    let title = if is_store {
        format!("禾悦家{}", store.name)
    } else {
        "我的位置".to_owned()
    };
    format!(
        "{{\"longitude\":{},\"latitude\":{},\"address\":{},\"title\":{},\"zoom\":15}}",
        place(city.longitude, dice.between(1000, 9999)),
        place(city.latitude, dice.between(1000, 9999)),
        Js(&format!(
            "{}市{}{}号",
            city.name,
            store.road,
            dice.between(1, 600)
        )),
        Js(&title)
    )
}

fn card(props: &Props<'_>, dice: &mut Dice) -> String {
    let company = props.cast.company;
    let (corp, id) = if props.from.len() < 30 && dice.chance(600) {
        (
            "禾悦家",
            company.employees[dice.below(company.employees.len())]
                .userid
                .as_str(),
        )
    } else {
        (
            "微信联系人",
            company.customers[dice.below(company.customers.len())]
                .id
                .as_str(),
        )
    };
    let key = if dice.chance(100) { "Userid" } else { "userid" };
    format!(
        "\"card\",\"card\":{{\"corpname\":\"{corp}\",\"{key}\":{}}}",
        Js(id)
    )
}

fn red_packet(kind: &str, wish: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let (form, count) = if props.is_room {
        (2, dice.between(5, 30))
    } else {
        (1, 1)
    };
    let amount = *dice.pick(&[100, 188, 200, 500, 666, 888, 1000, 2000, 5000])
        * if props.is_room { 2 } else { 1 };
    let key = if kind == "redpacket" || dice.chance(500) {
        "redpacket"
    } else {
        "external_redpacket"
    };
    format!(
        "\"{kind}\",\"{key}\":{{\"type\":{form},\"wish\":{},\"totalcnt\":{count},\"totalamount\":{amount}}}",
        Js(wish)
    )
}
