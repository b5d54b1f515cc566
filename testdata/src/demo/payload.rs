//! The body of every message type, with the shapes and quirks of WeCom (wecom-sdk 5.3).
//!
//! A body is the JSON from behind `"msgtype":` on: `"text","text":{..}`. Where the sources
//! disagree on a shape (todo, vote, external_redpacket, card, news) both are produced.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::company::Company;
use super::dice::Dice;
use super::json::{Js, List};
use super::rhythm::{HOUR, date_of};
use super::script::{Say, Script, Setting};
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

fn media(kind: &str, name: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    // WeCom sometimes leaves md5sum empty.
    let md5 = if dice.chance(8) {
        String::new()
    } else {
        md5(dice)
    };
    let id = sdk_file_id(dice, props.at);
    match kind {
        "image" => format!(
            "{{\"sdkfileid\":\"{id}\",\"md5sum\":\"{md5}\",\"filesize\":{}}}",
            dice.curve(&[9_000, 40_000, 90_000, 180_000, 400_000, 1_900_000])
        ),
        "voice" => {
            let length = dice.curve(&[1, 3, 5, 9, 15, 30, 60]);
            format!(
                "{{\"md5sum\":\"{md5}\",\"voice_size\":{},\"play_length\":{length},\"sdkfileid\":\"{id}\"}}",
                length * 1630 + dice.between(6, 900)
            )
        }
        "video" => {
            let length = dice.curve(&[3, 8, 12, 20, 45, 180]);
            format!(
                "{{\"filesize\":{},\"play_length\":{length},\"sdkfileid\":\"{id}\",\"md5sum\":\"{md5}\"}}",
                length * 260_000 + dice.between(0, 90_000)
            )
        }
        "emotion" => {
            let (kind, side) = (dice.between(1, 2), *dice.pick(&[120, 180, 240, 300]));
            format!(
                "{{\"type\":{kind},\"width\":{side},\"height\":{side},\"imagesize\":{},\"md5sum\":\"{md5}\",\"sdkfileid\":\"{id}\"}}",
                dice.between(3_000, 260_000)
            )
        }
        _ => {
            let name = if name.is_empty() { "资料.pdf" } else { name };
            let extension = name.rsplit('.').next().unwrap_or("bin");
            format!(
                "{{\"md5sum\":\"{md5}\",\"filename\":{},\"fileext\":{},\"filesize\":{},\"sdkfileid\":\"{id}\"}}",
                Js(name),
                Js(extension),
                dice.curve(&[8_000, 30_000, 120_000, 900_000, 6_000_000])
            )
        }
    }
}

fn md5(dice: &mut Dice) -> String {
    format!("{:016x}{:016x}", dice.bits(), dice.bits())
}

/// A file id with the shape of the real ones: base64 of three length-delimited fields.
fn sdk_file_id(dice: &mut Dice, at: i64) -> String {
    let mut cdn = String::from("3069020102046230600201000204");
    for _ in 0..dice.between(7, 12) {
        let _ = write!(cdn, "{:016x}", dice.bits());
    }
    let account = format!(
        "47_{}_{}_{}",
        dice.between(1_000_000, 9_999_999),
        dice.between(100_000_000, 999_999_999),
        at / 1000
    );
    let mut bytes = Vec::with_capacity(320);
    for (tag, field) in [
        (0x0A, cdn.as_str()),
        (0x12, STANDARD.encode(account).as_str()),
        (0x1A, md5(dice).as_str()),
    ] {
        bytes.push(tag);
        let length = field.len();
        if length > 127 {
            bytes.push((length & 0x7F) as u8 | 0x80);
        }
        bytes.push(if length > 127 {
            (length >> 7) as u8
        } else {
            length as u8
        });
        bytes.extend_from_slice(field.as_bytes());
    }
    STANDARD.encode(bytes)
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

fn link(title: &str, description: &str, dice: &mut Dice) -> String {
    let page = dice.bits() as u32;
    format!(
        "{{\"title\":{},\"description\":{},\"link_url\":\"https://mall.huicun.example/a/{page:08x}\",\"image_url\":\"https://mall.huicun.example/i/{page:08x}.png\"}}",
        Js(title),
        Js(description)
    )
}

fn weapp(title: &str, description: &str) -> String {
    format!(
        "{{\"title\":{},\"description\":{},\"username\":\"gh_0000huicundemo@app\",\"displayname\":\"禾悦家会员商城\"}}",
        Js(title),
        Js(description)
    )
}

fn location(props: &Props<'_>, dice: &mut Dice) -> String {
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

fn mixed(text: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let mut items = vec![format!(
        "{{\"type\":\"text\",\"content\":{}}}",
        Js(&format!("{{\"content\":{}}}", Js(&format!("{text}\n"))))
    )];
    for _ in 0..dice.between(1, 3) {
        let image = media("image", "", props, dice);
        items.push(format!("{{\"type\":\"image\",\"content\":{}}}", Js(&image)));
    }
    format!("\"mixed\",\"mixed\":{{\"item\":{}}}", List(items))
}

/// Nesting of forwarded records at most.
const RECORD_DEPTH_MAX: u8 = 2;

fn chatrecord(props: &Props<'_>, dice: &mut Dice) -> String {
    format!("\"chatrecord\",\"chatrecord\":{}", record(props, dice, 1))
}

fn record(props: &Props<'_>, dice: &mut Dice, depth: u8) -> String {
    let is_room = dice.chance(400);
    let title = if is_room {
        "群聊的聊天记录".to_owned()
    } else {
        format!("{}的聊天记录", props.sender_name)
    };
    let mut time = props.at / 1000 - dice.between(600, 200_000);
    let mut items = Vec::new();
    for line in record_lines(props, dice) {
        time += dice.between(3, 200);
        let (kind, content) = match dice.below(16) {
            0 | 1 => ("ChatRecordImage", media("image", "", props, dice)),
            2 => ("ChatRecordFile", media("file", "报价单.xlsx", props, dice)),
            3 => ("ChatRecordLink", link("活动页面", &line, dice)),
            4 => ("ChatRecordLocation", location(props, dice)),
            5 => ("ChatRecordVoice", media("voice", "", props, dice)),
            6 => ("ChatRecordVideo", media("video", "", props, dice)),
            7 => ("ChatRecordWeapp", weapp(&line, "")),
            8 if depth < RECORD_DEPTH_MAX => ("chatrecord", record(props, dice, depth + 1)),
            _ => ("ChatRecordText", format!("{{\"content\":{}}}", Js(&line))),
        };
        items.push(format!(
            "{{\"type\":\"{kind}\",\"msgtime\":{time},\"content\":{},\"from_chatroom\":{is_room}}}",
            Js(&content)
        ));
    }
    format!("{{\"title\":{},\"item\":{}}}", Js(&title), List(items))
}

/// The texts of some script, as if forwarded from elsewhere.
fn record_lines(props: &Props<'_>, dice: &mut Dice) -> Vec<String> {
    let script = loop {
        let script = dice.pick(props.scripts);
        if script.setting == Setting::Single {
            break script;
        }
    };
    let wanted = dice.between(2, 7) as usize;
    let mut lines = Vec::new();
    for line in script.lines.iter().take(wanted) {
        if let Say::Text(template) = dice.pick(&line.says) {
            let mut text = String::new();
            props.cast.fill(template, dice, &mut text);
            lines.push(text);
        }
    }
    if lines.is_empty() {
        lines.push("好的".to_owned());
    }
    lines
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

fn meeting_id(dice: &mut Dice) -> u64 {
    6_000_000_000_000_000_000 + dice.bits() % 900_000_000_000_000_000
}

/// The next full hour after `at`, in seconds.
fn next_hour(at: i64, hours: i64) -> i64 {
    (at / HOUR + 1 + hours) * HOUR / 1000
}

fn meeting(topic: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let start = next_hour(props.at, dice.between(0, 30));
    let status = match dice.below(3) {
        0 => String::new(),
        1 => ",\"meetingtype\":101".to_owned(),
        _ => format!(
            ",\"meetingtype\":102,\"status\":{}",
            dice.pick(&[1, 1, 1, 2, 3])
        ),
    };
    format!(
        "\"meeting\",\"meeting\":{{\"topic\":{},\"starttime\":{start},\"endtime\":{},\"address\":\"\",\"remarks\":\"\",\"meetingid\":{}{status}}}",
        Js(topic),
        start + 3600,
        meeting_id(dice)
    )
}

fn calendar(title: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let company = props.cast.company;
    let names: Vec<&str> = (0..dice.between(1, 4))
        .map(|_| {
            company.employees[dice.below(company.employees.len())]
                .name
                .as_str()
        })
        .collect();
    let start = next_hour(props.at, dice.between(1, 60));
    format!(
        "\"calendar\",\"calendar\":{{\"title\":{},\"creatorname\":{},\"attendeename\":{},\"starttime\":{start},\"endtime\":{},\"place\":{},\"remarks\":\"\"}}",
        Js(title),
        Js(props.sender_name),
        List(names.into_iter().map(Js).collect()),
        start + 3600 * dice.between(1, 3),
        Js(dice.word(&["总部3号会议室", "线上", "门店二楼", ""]))
    )
}

fn vote(title: &str, dice: &mut Dice) -> String {
    let options: &[&str] = match title {
        "团建去哪" => &["爬山", "漂流", "农家乐", "剧本杀"],
        "中秋福利选什么" => &["月饼礼盒", "购物卡", "水果箱"],
        _ => &["周六上午", "周六下午", "周日上午", "周日下午"],
    };
    let fields = format!(
        "\"votetitle\":{},\"voteitem\":{},\"votetype\":{},\"voteid\":\"{:024x}\"",
        Js(title),
        List(options.iter().map(|option| Js(option)).collect()),
        dice.between(101, 102),
        dice.bits()
    );
    if dice.chance(500) {
        format!("\"vote\",\"vote\":{{{fields}}}")
    } else {
        format!("\"vote\",{fields}")
    }
}

fn collect(title: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let questions: &[(&str, &str)] = match title {
        "工服尺码登记" => &[("姓名", "Text"), ("身高cm", "Number"), ("尺码", "Text")],
        "到店活动报名" => &[
            ("称呼", "Text"),
            ("到店日期", "Date"),
            ("到店时间", "Time"),
            ("人数", "Number"),
        ],
        _ => &[("姓名", "Text"), ("体温", "Number"), ("日期", "Date")],
    };
    let details: Vec<String> = questions
        .iter()
        .map(|(question, kind)| {
            format!(
                "{{\"id\":{},\"ques\":\"{question}\",\"type\":\"{kind}\"}}",
                dice.bits() >> 1
            )
        })
        .collect();
    format!(
        "\"collect\",\"collect\":{{\"room_name\":{},\"creator\":{},\"create_time\":\"{} 09:{:02}:00\",\"title\":{},\"details\":{}}}",
        Js(props.room_name),
        Js(props.sender_name),
        date_of(props.at),
        dice.between(0, 59),
        Js(title),
        List(details)
    )
}

fn markdown(company: &Company, props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &company.stores[dice.below(company.stores.len())].name;
    let who = &company.employees[dice.below(company.employees.len())].name;
    let (big, small) = (dice.between(20, 300), dice.between(1, 30));
    match dice.below(5) {
        0 => format!(
            "**门店业绩播报** {}\n> {store}：<font color=\"info\">{big}00元</font>\n> 成交{small}单，排名第{}",
            date_of(props.at).format("%m-%d"),
            1 + small % 9
        ),
        1 => format!(
            "<font color=\"warning\">超时提醒</font>\n客户消息已 **{big} 分钟**未回复\n>责任人：{who}\n>请尽快处理"
        ),
        2 => format!(
            "### 库存预警\n{store}以下商品低于安全库存：\n- 冰箱 **{small}** 台\n- 奶粉 **{big}** 罐"
        ),
        3 => format!(
            "**质检日报**\n今日抽检会话 {big} 段，疑似违规 <font color=\"warning\">{small}</font> 条\n[查看详情](https://qc.huicun.example/d/{big})"
        ),
        _ => format!(
            "工单 **WX{big}{small:02}** 已派给 {who}\n>预计上门：今天下午\n>状态：<font color=\"comment\">待接单</font>"
        ),
    }
}

fn news(props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &props.cast.company.stores[props.cast.store()].name;
    let number = dice.between(1, 52);
    let title = match dice.below(3) {
        0 => format!("第{number}周经营周报"),
        1 => format!("{store}陈列评比结果"),
        _ => format!("新品上市学习资料（{number}）"),
    };
    let fields = |dice: &mut Dice, title: &str| {
        format!(
            "\"title\":{},\"description\":\"点击查看\",\"url\":\"https://news.huicun.example/{:06}\",\"picurl\":\"https://news.huicun.example/p.jpg\"",
            Js(title),
            dice.between(0, 999_999)
        )
    };
    if dice.chance(200) {
        return format!("\"news\",\"info\":{{{}}}", fields(dice, &title));
    }
    let items: Vec<String> = (0..dice.between(1, 3))
        .map(|index| {
            fields(
                dice,
                &if index == 0 {
                    title.clone()
                } else {
                    format!("{title}·{}", index + 1)
                },
            )
        })
        .collect();
    let items: Vec<String> = items
        .into_iter()
        .map(|item| format!("{{{item}}}"))
        .collect();
    format!("\"news\",\"info\":{{\"item\":{}}}", List(items))
}

fn sphfeed(props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &props.cast.company.stores[props.cast.store()].name;
    let text = dice.word(&[
        "今晚8点直播，家电专场",
        "三分钟学会清洗空调滤网",
        "宝宝辅食怎么做",
        "新店探店",
        "一个视频看懂以旧换新",
    ]);
    format!(
        "\"sphfeed\",\"sphfeed\":{{\"feed_type\":{},\"sph_name\":{},\"feed_desc\":{}}}",
        dice.pick(&[2, 4, 4, 9]),
        Js(&format!("禾悦家{store}")),
        Js(text)
    )
}
