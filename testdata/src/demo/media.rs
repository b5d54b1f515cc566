//! Bodies of media: sizes, lengths, checksums and file ids that look like WeCom's.
//!
//! There are no files behind them. The file ids have the shape that was measured on real ones
//! (wecom-sdk 4.3); the checksums are random, and now and then empty, as they are in practice.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::dice::Dice;
use super::json::Js;
use super::payload::Props;

pub(crate) fn media(kind: &str, name: &str, props: &Props<'_>, dice: &mut Dice) -> String {
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

pub(crate) fn md5(dice: &mut Dice) -> String {
    format!("{:016x}{:016x}", dice.bits(), dice.bits())
}

/// A file id with the shape of the real ones: base64 of three length-delimited fields.
pub(crate) fn sdk_file_id(dice: &mut Dice, at: i64) -> String {
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
