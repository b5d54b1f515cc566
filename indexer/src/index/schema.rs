//! What the search index holds of a message.
//!
//! Text is indexed character by character with positions, so that a literal of any length is a
//! phrase and nothing is missed. What a hit shows is stored here too: a search touches no Parquet.
//! The index is derived: deleting its folder loses nothing.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions,
};

/// Raised when fields or their meaning change: another number on disk means a rebuild.
pub const INDEX_FORMAT: u32 = 4;
/// The name under which the per-character analyser is registered.
pub const ANALYSER: &str = "huicun-characters-1";

/// What the field `shared` holds.
pub const SHARED: &str = "1";

/// The fields.
#[derive(Debug, Clone)]
pub struct Fields {
    /// The schema that they belong to.
    pub schema: Schema,
    /// Folded text, one token a character.
    pub text: Field,
    /// msgtime, UTC milliseconds.
    pub at: Field,
    /// WeCom's number.
    pub seq: Field,
    /// `search::tie` of the message.
    pub tie: Field,
    /// Every conversation that the message belongs to.
    pub conversation: Field,
    /// Sender.
    pub from: Field,
    /// Receivers.
    pub to: Field,
    /// A word on messages that belong to several pairs.
    pub shared: Field,
    /// `room NUL person`, on the first message of this process in which the person was seen.
    pub room_person: Field,
    /// The same turned round: `person NUL room`.
    pub person_room: Field,
    /// WeCom's type name.
    pub msgtype: Field,
    /// A [`StoredRef`] as JSON.
    pub stored: Field,
}

/// The one schema.
pub static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let mut builder = Schema::builder();
    let characters = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(ANALYSER)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    let keyword = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic),
    );
    Fields {
        text: builder.add_text_field("text", characters),
        // Columns only: Tantivy answers ranges from them, and a dictionary of times that are nearly
        // all different costs a tenth of an import.
        at: builder.add_i64_field("at", FAST),
        seq: builder.add_i64_field("seq", FAST),
        tie: builder.add_u64_field("tie", FAST),
        conversation: builder.add_text_field("conversation", keyword.clone() | FAST),
        from: builder.add_text_field("from", keyword.clone() | FAST),
        to: builder.add_text_field("to", keyword.clone()),
        shared: builder.add_text_field("shared", keyword.clone()),
        room_person: builder.add_text_field("room_person", keyword.clone()),
        person_room: builder.add_text_field("person_room", keyword.clone()),
        // No field for msgid: nobody asks by it, and a dictionary of unique ids costs 5 % of a pull.
        msgtype: builder.add_text_field("msgtype", keyword | FAST),
        stored: builder.add_bytes_field("stored", STORED),
        schema: builder.build(),
    }
});

/// What a hit shows, as it was archived.
#[derive(Clone, Deserialize)]
pub struct Stored {
    /// Source.
    pub source: String,
    /// WeCom's number.
    pub seq: i64,
    /// WeCom's id.
    pub msgid: String,
    /// msgtime, UTC milliseconds.
    pub at: i64,
    /// Sender.
    pub from: String,
    /// Receivers.
    pub to: Vec<String>,
    /// Room, empty for none.
    pub room: String,
    /// WeCom's type name.
    pub msgtype: String,
    /// The text as a reader sees it.
    pub text: String,
}

/// A [`Stored`] on its way into the index: nothing is copied.
#[derive(Serialize)]
pub struct StoredRef<'a> {
    /// Source.
    pub source: &'a str,
    /// WeCom's number.
    pub seq: i64,
    /// WeCom's id.
    pub msgid: &'a str,
    /// msgtime, UTC milliseconds.
    pub at: i64,
    /// Sender.
    pub from: &'a str,
    /// Receivers.
    pub to: &'a [&'a str],
    /// Room, empty for none.
    pub room: &'a str,
    /// WeCom's type name.
    pub msgtype: &'a str,
    /// The text as a reader sees it.
    pub text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_borrowed_is_read_back_whole() {
        let written = StoredRef {
            source: "corp",
            seq: 7,
            msgid: "m",
            at: 9,
            from: "a",
            to: &["b", "c\""],
            room: "r",
            msgtype: "text",
            text: "您好\n",
        };
        let json = serde_json::to_vec(&written).unwrap();
        let read: Stored = serde_json::from_slice(&json).unwrap();
        assert_eq!((read.seq, read.at), (7, 9));
        assert_eq!(read.to, ["b", "c\""]);
        let words = [&read.source, &read.msgid, &read.from, &read.room];
        assert_eq!(words, ["corp", "m", "a", "r"]);
        assert_eq!((read.msgtype, read.text), ("text".into(), "您好\n".into()));
    }
}
