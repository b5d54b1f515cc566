//! The page: the JSON envelope in which `GetChatData` gives sealed records (wecom-sdk 5.1).
//!
//! As tolerant as the field reports demand: `chatdata` may be missing, null or empty, numbers
//! may be strings, unknown keys are ignored. What must not be read past is an error: text
//! that is not JSON never counts as an empty page. A record that cannot be read is kept
//! beside the good ones, so that nothing is lost behind the cursor.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::code::ApiCode;

/// Letters of `errmsg` that are kept.
const ERRMSG_CHARS_MAX: usize = 512;

/// One page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records that can be read, as they came.
    pub records: Vec<SealedRecord>,
    /// The records that cannot.
    pub damaged: Vec<DamagedRecord>,
}

/// A record whose envelope is whole. Whether it can be opened is another matter.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// WeCom's rising number.
    pub seq: u64,
    /// WeCom's id of the message.
    pub msgid: String,
    /// The version of the public key that sealed `encrypt_random_key`.
    pub publickey_ver: u32,
    /// Base64 of the RSA-sealed random key.
    pub encrypt_random_key: String,
    /// Base64 of the sealed message; goes into the library untouched.
    pub encrypt_chat_msg: String,
}

/// A record whose envelope is not whole.
#[derive(Clone, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The record's JSON, byte for byte.
    pub raw: String,
    /// Its seq, if that much can be read.
    pub seq: Option<u64>,
    /// Its msgid, if that much can be read.
    pub msgid: Option<String>,
    /// The first field that is missing or of another type than documented.
    pub field: &'static str,
}

impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedRecord")
            .field("seq", &self.seq)
            .field("publickey_ver", &self.publickey_ver)
            .field("sealed_bytes", &self.encrypt_chat_msg.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DamagedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DamagedRecord")
            .field("seq", &self.seq)
            .field("field", &self.field)
            .field("raw_bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

impl Page {
    /// Whether there was nothing after the seq given.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.damaged.is_empty()
    }

    /// The largest seq of the page, damaged records with a readable seq included: the next
    /// cursor. `None` leaves the cursor where it is.
    pub fn last_seq(&self) -> Option<u64> {
        let good = self.records.iter().map(|r| r.seq);
        good.chain(self.damaged.iter().filter_map(|d| d.seq)).max()
    }
}

/// WeCom refused: the page's `errcode` is not zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WeCom refused: {code}: {errmsg}")]
pub struct ApiError {
    /// What it means.
    pub code: ApiCode,
    /// WeCom's own words, with a hint id and the caller's address; shortened.
    pub errmsg: String,
}

/// Why a page could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// WeCom refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The text is not JSON; the position and no content.
    #[error("the page is not JSON: {what} at line {line} column {column} of {n_bytes} bytes")]
    NotJson {
        /// The kind of error.
        what: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The page's length.
        n_bytes: usize,
    },
    /// It is JSON, and not a page.
    #[error("the page has an unexpected shape: {expected}")]
    Shape {
        /// What was expected.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    errcode: Option<&'a RawValue>,
    #[serde(borrow)]
    errmsg: Option<&'a RawValue>,
    #[serde(borrow)]
    chatdata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    #[serde(borrow)]
    msgid: Option<&'a RawValue>,
    #[serde(borrow)]
    publickey_ver: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypt_random_key: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypt_chat_msg: Option<&'a RawValue>,
}

/// Reads what `GetChatData` put into its slice.
///
/// # Errors
/// [`PageError::Api`] when WeCom refused; the others mean that the answer was spoilt on its
/// way, and that asking again for the same page is right.
pub fn parse_page(json: &[u8]) -> Result<Page, PageError> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(json).map_err(|e| not_json(&e, json.len()))?;
    if envelope.errcode.is_none() && envelope.chatdata.is_none() {
        return Err(PageError::Shape {
            expected: "an object with `errcode` or `chatdata`",
        });
    }
    let errcode = match envelope.errcode {
        None => 0,
        Some(raw) => integer_of(raw).ok_or(PageError::Shape {
            expected: "a number in `errcode`",
        })?,
    };
    if errcode != 0 {
        let errmsg = envelope.errmsg.and_then(text_of).unwrap_or_default();
        return Err(PageError::Api(ApiError {
            code: ApiCode::from_errcode(errcode),
            errmsg: errmsg
                .chars()
                .filter(|c| !c.is_control())
                .take(ERRMSG_CHARS_MAX)
                .collect(),
        }));
    }
    let Some(chatdata) = envelope.chatdata else {
        return Ok(Page::default());
    };
    let chatdata: Vec<&RawValue> =
        serde_json::from_str(chatdata.get()).map_err(|_| PageError::Shape {
            expected: "an array in `chatdata`",
        })?;
    let mut page = Page {
        records: Vec::with_capacity(chatdata.len()),
        damaged: Vec::new(),
    };
    for raw in chatdata {
        match read_record(raw) {
            Ok(record) => page.records.push(record),
            Err(damaged) => page.damaged.push(damaged),
        }
    }
    Ok(page)
}

/// Reads one record of a page, as it was kept.
///
/// # Errors
/// It is not whole; what of it can be read.
pub fn parse_record(json: &str) -> Result<SealedRecord, DamagedRecord> {
    let raw: &RawValue = serde_json::from_str(json).map_err(|_| DamagedRecord {
        raw: json.to_owned(),
        seq: None,
        msgid: None,
        field: "the record itself",
    })?;
    read_record(raw)
}

fn read_record(raw: &RawValue) -> Result<SealedRecord, DamagedRecord> {
    let damaged = |seq, msgid, field| DamagedRecord {
        raw: raw.get().to_owned(),
        seq,
        msgid,
        field,
    };
    let fields: Fields<'_> =
        serde_json::from_str(raw.get()).map_err(|_| damaged(None, None, "the record itself"))?;
    let seq = fields.seq.and_then(unsigned_of);
    let msgid = fields.msgid.and_then(id_of);
    let missing = |field| damaged(seq, msgid.clone(), field);
    Ok(SealedRecord {
        seq: seq.ok_or_else(|| missing("seq"))?,
        publickey_ver: fields
            .publickey_ver
            .and_then(unsigned_of)
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| missing("publickey_ver"))?,
        encrypt_random_key: fields
            .encrypt_random_key
            .and_then(text_of)
            .ok_or_else(|| missing("encrypt_random_key"))?
            .into_owned(),
        encrypt_chat_msg: fields
            .encrypt_chat_msg
            .and_then(text_of)
            .ok_or_else(|| missing("encrypt_chat_msg"))?
            .into_owned(),
        msgid: msgid.clone().ok_or_else(|| missing("msgid"))?,
    })
}

fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(raw.get())
        .ok()
        .map(|t| t.0)
}

/// An id: text, or a number that stands for its digits.
fn id_of(raw: &RawValue) -> Option<String> {
    match text_of(raw) {
        Some(text) => Some(text.into_owned()).filter(|t| !t.is_empty()),
        None => unsigned_of(raw).map(|n| n.to_string()),
    }
}

fn unsigned_of(raw: &RawValue) -> Option<u64> {
    match text_of(raw) {
        Some(text) => text.trim().parse().ok(),
        None => raw.get().parse().ok(),
    }
}

fn integer_of(raw: &RawValue) -> Option<i64> {
    match text_of(raw) {
        Some(text) => text.trim().parse().ok(),
        None => raw.get().parse().ok(),
    }
}

/// The parser's own message may quote content, so only kind and place are kept.
fn not_json(error: &serde_json::Error, n_bytes: usize) -> PageError {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "it ends early",
        Category::Syntax => "a syntax error",
        Category::Io => "a read error",
        Category::Data => {
            return PageError::Shape {
                expected: "an object with `errcode` and `chatdata`",
            };
        }
    };
    PageError::NotJson {
        what,
        line: error.line(),
        column: error.column(),
        n_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"seq":101,"msgid":"m_external","publickey_ver":3,"encrypt_random_key":"QUE=","encrypt_chat_msg":"QkI="}"#;

    fn page(json: &str) -> Page {
        parse_page(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_page_without_chatdata_is_empty() {
        for json in [
            r#"{"errcode":0,"errmsg":"ok"}"#,
            r#"{"errcode":0,"errmsg":"ok","chatdata":[]}"#,
            r#"{"errcode":0,"chatdata":null}"#,
            r#"{"errcode":"0","chatdata":[],"more":{"x":[1]}}"#,
            r#"{"chatdata":[]}"#,
        ] {
            assert!(page(json).is_empty(), "{json}");
            assert_eq!(page(json).last_seq(), None);
        }
    }

    #[test]
    fn records_are_read_with_numbers_as_strings_and_unknown_keys() {
        let loose = r#"{"seq":"18446744073709551615","msgid":77,"publickey_ver":"3","encrypt_random_key":"a\u002fb","encrypt_chat_msg":"","new":{}}"#;
        let page = page(&format!(r#"{{"errcode":0,"chatdata":[{RECORD},{loose}]}}"#));
        assert_eq!(page.damaged, []);
        assert_eq!(page.records[0].msgid, "m_external");
        assert_eq!(page.records[1].seq, u64::MAX);
        assert_eq!(page.records[1].msgid, "77");
        assert_eq!(page.records[1].encrypt_random_key, "a/b");
        assert_eq!(page.last_seq(), Some(u64::MAX));
    }

    #[test]
    fn a_damaged_record_is_kept_beside_the_good_ones() {
        let cases = [
            (r#"{"seq":102,"msgid":"x"}"#, Some(102), "publickey_ver"),
            (r#"{"msgid":"x","publickey_ver":1}"#, None, "seq"),
            (r#"{"seq":-1}"#, None, "seq"),
            (r#"{"seq":1.5}"#, None, "seq"),
            ("17", None, "the record itself"),
            ("null", None, "the record itself"),
            (
                r#"{"seq":103,"publickey_ver":1,"encrypt_random_key":"A","encrypt_chat_msg":"B"}"#,
                Some(103),
                "msgid",
            ),
            (
                r#"{"seq":104,"msgid":"x","publickey_ver":1,"encrypt_random_key":5,"encrypt_chat_msg":"B"}"#,
                Some(104),
                "encrypt_random_key",
            ),
        ];
        for (raw, seq, field) in cases {
            let page = page(&format!(r#"{{"errcode":0,"chatdata":[{raw},{RECORD}]}}"#));
            assert_eq!(page.records.len(), 1);
            assert_eq!(page.damaged.len(), 1);
            let damaged = &page.damaged[0];
            assert_eq!(
                (damaged.raw.as_str(), damaged.seq, damaged.field),
                (raw, seq, field)
            );
            assert!(!format!("{damaged:?}").contains(r#""x""#));
        }
    }

    #[test]
    fn a_refusal_is_an_error_with_wecoms_words() {
        let json = r#"{"errcode":301042,"errmsg":"not allow to access from your ip\n, hint: [1]","chatdata":[]}"#;
        let PageError::Api(api) = parse_page(json.as_bytes()).unwrap_err() else {
            panic!()
        };
        assert_eq!(api.code, ApiCode::IpNotAllowed);
        assert_eq!(api.errmsg, "not allow to access from your ip, hint: [1]");
    }

    #[test]
    fn spoilt_text_is_never_an_empty_page() {
        let mut spoilt: Vec<Vec<u8>> = [
            "",
            "{",
            "[]",
            "{}",
            "7",
            "null",
            "\"x\"",
            r#"{"errcode":0,"chatdata":{}}"#,
            r#"{"errcode":[],"chatdata":[]}"#,
            r#"{"errcode":0} x"#,
        ]
        .map(|s| s.as_bytes().to_vec())
        .to_vec();
        spoilt.push(b"{\"errcode\":0,\"errmsg\":\"\xff\"}".to_vec());
        for text in spoilt {
            assert!(
                parse_page(&text).is_err(),
                "{:?}",
                String::from_utf8_lossy(&text)
            );
        }
        let whole = format!(r#"{{"errcode":0,"errmsg":"ok","chatdata":[{RECORD},{RECORD}]}}"#);
        for cut in 0..whole.len() {
            let error = parse_page(&whole.as_bytes()[..cut]).unwrap_err();
            assert!(!error.to_string().contains("m_external"));
        }
    }
}
