//! Bodies made of other bodies: mixed messages and forwarded records.
//!
//! Each item carries its content as a JSON *string* (wecom-sdk 5.3), and a record's times are
//! in seconds where all other times are in milliseconds.

use super::dice::Dice;
use super::json::{Js, List};
use super::media::media;
use super::payload::{Props, link, location, weapp};
use super::script::{Say, Setting};

pub(crate) fn mixed(text: &str, props: &Props<'_>, dice: &mut Dice) -> String {
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
pub(crate) const RECORD_DEPTH_MAX: u8 = 2;

pub(crate) fn chatrecord(props: &Props<'_>, dice: &mut Dice) -> String {
    format!("\"chatrecord\",\"chatrecord\":{}", record(props, dice, 1))
}

pub(crate) fn record(props: &Props<'_>, dice: &mut Dice, depth: u8) -> String {
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
pub(crate) fn record_lines(props: &Props<'_>, dice: &mut Dice) -> Vec<String> {
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
