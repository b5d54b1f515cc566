//! From bytes to a row of the archive: a readable message, or a quarantined record with its
//! reason. Bad input is a value here, never an error.

use std::sync::Arc;

use huicun_engine::archive::{Media, MessageRow, Status};

use super::normalise::{self, content_hash};

/// Where a record came from and when.
#[derive(Clone)]
pub struct Origin {
    /// The corp, or the name given to an import.
    pub source: Arc<str>,
    /// WeCom's number, or the one given by the import.
    pub seq: i64,
    /// Which public key sealed it, if any.
    pub publickey_ver: Option<i32>,
    /// When it was brought in, UTC milliseconds.
    pub now_ms: i64,
}

/// The row of decrypted bytes.
pub fn of_plaintext(origin: &Origin, bytes: &[u8]) -> MessageRow {
    match normalise::normalise_hashed(bytes) {
        Ok((message, hash)) => MessageRow {
            source: Arc::clone(&origin.source),
            seq: origin.seq,
            publickey_ver: origin.publickey_ver,
            pulled_at_ms: origin.now_ms,
            msgid: message.msgid,
            action: message.action,
            msgtype: if message.is_known_type {
                message.msgtype
            } else {
                "unknown".into()
            },
            msgtime_ms: message.msgtime_ms,
            from_id: message.from_id,
            to_ids: message.to_ids,
            room_id: message.room_id,
            text: message.text,
            payload: message.payload,
            media: message.media.map(|m| Media {
                file_id: m.file_id,
                md5: m.md5,
                size: m.size,
                seconds: m.seconds,
                name: m.name,
            }),
            call_ms: message.call_ms,
            revokes_msgid: message.revokes_msgid,
            status: Status::Ok,
            reason: None,
            envelope: None,
            content_hash: first_eight(hash),
        },
        Err(unreadable) => quarantined(origin, "", unreadable.reason(), bytes.to_vec()),
    }
}

/// The row of a record that could not be read: kept as it came.
pub fn quarantined(origin: &Origin, msgid: &str, reason: &str, envelope: Vec<u8>) -> MessageRow {
    MessageRow {
        source: Arc::clone(&origin.source),
        seq: origin.seq,
        msgid: msgid.to_string(),
        publickey_ver: origin.publickey_ver,
        action: String::new(),
        msgtype: String::new(),
        // Nobody knows when it was sent; it is filed under the day on which it came.
        msgtime_ms: origin.now_ms,
        pulled_at_ms: origin.now_ms,
        from_id: String::new(),
        to_ids: Vec::new(),
        room_id: String::new(),
        text: String::new(),
        payload: String::new(),
        media: None,
        call_ms: None,
        revokes_msgid: None,
        status: Status::Quarantined,
        reason: Some(reason.to_string()),
        content_hash: first_eight(content_hash(&envelope)),
        envelope: Some(envelope),
    }
}

fn first_eight(hash: [u8; 32]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            source: "corp".into(),
            seq: 7,
            publickey_ver: Some(1),
            now_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_whole_with_its_reason() {
        let row = of_plaintext(&origin(), b"\xff\xfe");
        assert_eq!(row.status, Status::Quarantined);
        assert_eq!(row.reason.as_deref(), Some("not_utf8"));
        assert_eq!(row.envelope.as_deref(), Some(&b"\xff\xfe"[..]));
    }

    #[test]
    fn an_unknown_type_is_kept_and_typed_unknown() {
        let text = r#"{"msgid":"1","action":"send","from":"a","tolist":["b"],"msgtime":1700000000000,"msgtype":"hologram","hologram":{"caption":"你好"}}"#;
        let row = of_plaintext(&origin(), text.as_bytes());
        assert_eq!((row.status, row.msgtype.as_str()), (Status::Ok, "unknown"));
        assert_eq!(row.payload, text);
        assert_eq!(row.text, "你好");
    }
}
