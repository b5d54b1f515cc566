//! WeCom's callback (接收事件服务器): a signed and sealed note that there are new messages.
//!
//! WXBizMsgCrypt (wecom-sdk 6): SHA-1 over the sorted token, time, nonce and sealed text says that
//! WeCom wrote it; AES-256-CBC with the key of 43 letters opens it; the company's id inside says for
//! whom. A note that was signed more than five minutes ago is refused, so that nobody can play it
//! again for long. It holds no message and is only a hint: it wakes the pull, which asks as always.
//! Token and key are in no error and in no `Debug`.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use quick_xml::events::Event;

use super::config::CallbackSettings;
use super::stop::Stop;

/// A note whose signature is older than this, or from so far in the future, is refused.
const AGE_SECONDS_MAX: i64 = 300;
/// Bytes of a note; WeCom's are some hundred.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// PKCS#7 pads to this, not to AES's own 16.
const BLOCK: usize = 32;
/// Random bytes, and the length of what follows.
const HEAD: usize = 16 + 4;
/// What WeCom calls the note of new messages in the archive.
const NEWS: &str = "msgaudit_notify";

/// Why a note was not taken. What is wrong with it is told to nobody but the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The signature is not one of ours.
    #[error("the signature is wrong")]
    Signature,
    /// It was signed too long ago, or the clocks differ.
    #[error("it was signed {age_seconds} seconds ago; at most {AGE_SECONDS_MAX} are allowed")]
    Stale {
        /// How long ago.
        age_seconds: i64,
    },
    /// It is not the XML that was expected.
    #[error("it is not a note: {0}")]
    NotANote(&'static str),
    /// It cannot be opened with this key.
    #[error("it cannot be opened with the EncodingAESKey")]
    Sealed,
    /// It is for another company.
    #[error("it is for another company")]
    ForAnother,
}

/// What stands in the address of a note.
#[derive(Debug, Clone, Default)]
pub struct Signed<'a> {
    /// `msg_signature`.
    pub signature: &'a str,
    /// `timestamp`, Unix seconds.
    pub timestamp: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
}

/// What a note was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// There are new messages; the pull was woken.
    News,
    /// Something else, which does not concern us.
    Other,
}

/// One company's ear.
pub struct Callback {
    corpid: String,
    token: String,
    key: [u8; 32],
    pull: Stop,
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback")
            .field("corpid", &self.corpid)
            .finish_non_exhaustive()
    }
}

impl Callback {
    /// Listens for a company and wakes its pull; `None` for a key that is none, which the
    /// configuration has refused.
    pub fn new(corpid: &str, settings: &CallbackSettings, pull: Stop) -> Option<Self> {
        Some(Self {
            corpid: corpid.to_string(),
            token: settings.token.clone(),
            key: key_of(&settings.aes_key)?,
            pull,
        })
    }

    /// The company.
    pub fn corpid(&self) -> &str {
        &self.corpid
    }

    /// Answers the question by which the console checks the address: the text inside `echostr`.
    pub fn echo(
        &self,
        signed: &Signed<'_>,
        echostr: &str,
        now_ms: i64,
    ) -> Result<Vec<u8>, CallbackError> {
        self.open(signed, echostr, now_ms)
    }

    /// Takes a note, and wakes the pull when it says that there are new messages.
    pub fn take(
        &self,
        signed: &Signed<'_>,
        body: &[u8],
        now_ms: i64,
    ) -> Result<Note, CallbackError> {
        let sealed = element(body, "Encrypt")?;
        let note = self.open(signed, &sealed, now_ms)?;
        if element(&note, "Event").is_ok_and(|event| event == NEWS) {
            self.pull.wake();
            return Ok(Note::News);
        }
        Ok(Note::Other)
    }

    fn open(
        &self,
        signed: &Signed<'_>,
        sealed: &str,
        now_ms: i64,
    ) -> Result<Vec<u8>, CallbackError> {
        let expected = signature(&self.token, signed.timestamp, signed.nonce, sealed);
        verify_slices_are_equal(expected.as_bytes(), signed.signature.as_bytes())
            .map_err(|_| CallbackError::Signature)?;
        // Only what WeCom signed is looked at further.
        let at: i64 = signed
            .timestamp
            .parse()
            .map_err(|_| CallbackError::NotANote("its time is no number"))?;
        let age_seconds = (now_ms / 1000).saturating_sub(at);
        if !(-AGE_SECONDS_MAX..=AGE_SECONDS_MAX).contains(&age_seconds) {
            return Err(CallbackError::Stale { age_seconds });
        }
        let (text, receiver) = unseal(&self.key, sealed).ok_or(CallbackError::Sealed)?;
        if receiver != self.corpid.as_bytes() {
            return Err(CallbackError::ForAnother);
        }
        Ok(text)
    }
}

fn signature(token: &str, timestamp: &str, nonce: &str, sealed: &str) -> String {
    let mut parts = [token, timestamp, nonce, sealed];
    parts.sort_unstable();
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    let digest = hash.finish();
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// 43 letters are 258 bits, of which the last two are not always zero.
fn key_of(letters: &str) -> Option<[u8; 32]> {
    let lenient = GeneralPurpose::new(
        &ALPHABET,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let bytes = lenient.decode(format!("{letters}=")).ok()?;
    bytes.try_into().ok()
}

/// The text and for whom it is: 16 random bytes, a length, the text, the receiver's id.
fn unseal(key: &[u8; 32], sealed: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = STANDARD.decode(sealed.trim()).ok()?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(16) {
        return None;
    }
    let mut iv = [0; 16];
    iv.copy_from_slice(&key[..16]);
    let cipher = DecryptingKey::cbc(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    cipher.decrypt(&mut bytes, context).ok()?;
    let padding = usize::from(*bytes.last()?);
    let end = bytes.len().checked_sub(padding)?;
    if padding == 0 || padding > BLOCK || end < HEAD {
        return None;
    }
    let length: [u8; 4] = bytes.get(16..HEAD)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let after = HEAD.checked_add(length).filter(|after| *after <= end)?;
    Some((bytes[HEAD..after].to_vec(), bytes[after..end].to_vec()))
}

/// The text of the first element of that name right below the root.
fn element(xml: &[u8], name: &str) -> Result<String, CallbackError> {
    const NOT_XML: CallbackError = CallbackError::NotANote("it is not XML");
    let xml = std::str::from_utf8(xml).map_err(|_| NOT_XML)?;
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut depth = 0_u32;
    let mut found: Option<String> = None;
    loop {
        match reader.read_event().map_err(|_| NOT_XML)? {
            // Entities of its own are not known here, so none is ever expanded.
            Event::DocType(_) => return Err(CallbackError::NotANote("it has a document type")),
            Event::Start(start) => {
                depth += 1;
                if depth == 2 && start.name().as_ref() == name.as_bytes() {
                    found = Some(String::new());
                }
            }
            Event::End(_) => {
                if depth == 2
                    && let Some(text) = found
                {
                    return Ok(text.trim().to_string());
                }
                depth = depth.saturating_sub(1);
            }
            Event::CData(data) => {
                if let Some(text) = &mut found {
                    text.push_str(&String::from_utf8_lossy(&data));
                }
            }
            Event::Text(data) => {
                if let Some(text) = &mut found {
                    text.push_str(&String::from_utf8_lossy(&data));
                }
            }
            Event::Eof => return Err(CallbackError::NotANote("an element is missing")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};

    const LETTERS: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
    const CORP: &str = "ww1234567890123456";
    const NOW_MS: i64 = 1_700_000_000_000;

    fn callback(corpid: &str, pull: &Stop) -> Callback {
        let text = format!("token = \"QDG6eK\"\naes_key = \"{LETTERS}\"");
        let settings = toml::from_str(&text).unwrap();
        Callback::new(corpid, &settings, pull.clone()).unwrap()
    }

    /// As WeCom seals, written apart from the reader above.
    fn seal(text: &str, receiver: &str) -> String {
        let key = key_of(LETTERS).unwrap();
        let mut bytes = b"0123456789abcdef".to_vec();
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(receiver.as_bytes());
        let padding = 32 - bytes.len() % 32;
        bytes.extend(std::iter::repeat_n(padding as u8, padding));
        let cipher = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
        let iv = FixedLength::from(<[u8; 16]>::try_from(&key[..16]).unwrap());
        cipher
            .less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(iv))
            .unwrap();
        STANDARD.encode(bytes)
    }

    fn signed(sealed: &str, at: &str) -> String {
        signature("QDG6eK", at, "1372623149", sealed)
    }

    fn take(
        callback: &Callback,
        sealed: &str,
        at: &str,
        signature: &str,
    ) -> Result<Note, CallbackError> {
        let body = format!(
            "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt>\
             <AgentID><![CDATA[2000004]]></AgentID></xml>"
        );
        let signed = Signed {
            signature,
            timestamp: at,
            nonce: "1372623149",
        };
        callback.take(&signed, body.as_bytes(), NOW_MS)
    }

    fn event(name: &str) -> String {
        format!(
            "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>\
             <CreateTime>1700000000</CreateTime><MsgType><![CDATA[event]]></MsgType>\
             <AgentID>2000004</AgentID><Event><![CDATA[{name}]]></Event></xml>"
        )
    }

    #[test]
    fn the_public_sample_is_opened() {
        // From WeCom's own document of its sample code (token, key and echostr are published).
        let sample = Callback::new(
            "wx5823bf96d3bd56c7",
            &toml::from_str(&format!("token = \"QDG6eK\"\naes_key = \"{LETTERS}\"")).unwrap(),
            Stop::default(),
        )
        .unwrap();
        let signed = Signed {
            signature: "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
            timestamp: "1409659589",
            nonce: "263014780",
        };
        let echostr = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==";
        let echo = sample.echo(&signed, echostr, 1_409_659_589_000).unwrap();
        assert_eq!(echo, b"1616140317555161061");
    }

    #[test]
    fn news_wake_the_pull_and_other_events_do_not() {
        let pull = Stop::default();
        let callback = callback(CORP, &pull);
        let before = pull.moment();
        let other = seal(&event("change_external_contact"), CORP);
        let signature = signed(&other, "1700000000");
        assert_eq!(
            take(&callback, &other, "1700000000", &signature),
            Ok(Note::Other)
        );
        assert_eq!(pull.moment(), before);
        let news = seal(&event("msgaudit_notify"), CORP);
        let signature = signed(&news, "1700000000");
        assert_eq!(
            take(&callback, &news, "1700000000", &signature),
            Ok(Note::News)
        );
        assert_ne!(pull.moment(), before);
    }

    #[test]
    fn what_wecom_did_not_sign_for_us_just_now_wakes_nobody() {
        let pull = Stop::default();
        let callback = callback(CORP, &pull);
        let before = pull.moment();
        let news = seal(&event("msgaudit_notify"), CORP);
        let good = signed(&news, "1700000000");
        let stale = signed(&news, "1699999699");
        let ahead = signed(&news, "1700000301");
        let foreign = seal(&event("msgaudit_notify"), "ww-another");
        let of_foreign = signed(&foreign, "1700000000");
        for (sealed, at, signature, error) in [
            (&news, "1700000001", &good, CallbackError::Signature),
            (
                &news,
                "1700000000",
                &String::new(),
                CallbackError::Signature,
            ),
            (
                &news,
                "1699999699",
                &stale,
                CallbackError::Stale { age_seconds: 301 },
            ),
            (
                &news,
                "1700000301",
                &ahead,
                CallbackError::Stale { age_seconds: -301 },
            ),
            (
                &foreign,
                "1700000000",
                &of_foreign,
                CallbackError::ForAnother,
            ),
        ] {
            assert_eq!(take(&callback, sealed, at, signature), Err(error));
        }
        for sealed in ["", "AAAA", "%", &news[..64]] {
            let signature = signed(sealed, "1700000000");
            let taken = take(&callback, sealed, "1700000000", &signature);
            assert_eq!(taken, Err(CallbackError::Sealed), "{sealed}");
        }
        assert_eq!(pull.moment(), before);
    }

    #[test]
    fn xml_that_is_none_is_refused() {
        for xml in [
            &b"hello"[..],
            b"",
            b"\xff",
            b"<xml><Encrypt>",
            b"<xml><a><Encrypt>x</Encrypt></a></xml>",
            b"<!DOCTYPE x [<!ENTITY e \"x\">]><xml><Encrypt>&e;</Encrypt></xml>",
        ] {
            assert!(element(xml, "Encrypt").is_err());
        }
        let plain = b"<xml>\n <Encrypt> abc= </Encrypt></xml>";
        assert_eq!(element(plain, "Encrypt").unwrap(), "abc=");
    }
}
