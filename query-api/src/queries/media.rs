//! The file of a message, for reading.
//!
//! A file is visible when its message is, by the same index and the same predicate as search. What
//! does not exist and what may not be seen take the same way and answer alike.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::media::convert::{Audio, Converter, head_of};
use huicun_engine::media::sniff::{self, Kind};
use huicun_engine::media::store::{failed, hex};
use huicun_engine::media::{Catalogue, Listed, Status, Store};
use huicun_indexer::index::{After, Order, Question};
use huicun_indexer::ingest::media::MediaSettings;

use super::archive::Archive;
use super::error::QuestionError;

/// Messages of one millisecond that are looked at from a seq on: several sources can share both.
const TWINS_MAX: usize = 64;

/// The media database and the store, as questions use them.
pub struct MediaAccess {
    home: Home,
    settings: MediaSettings,
    catalogue: Mutex<Option<Arc<Catalogue>>>,
}

impl MediaAccess {
    /// Opens nothing yet: media may come later than the server.
    pub fn new(home: &Home, settings: MediaSettings) -> Self {
        Self {
            home: home.clone(),
            settings,
            catalogue: Mutex::default(),
        }
    }

    /// The database; `None` while no media were ever noted.
    pub fn catalogue(&self) -> Result<Option<Arc<Catalogue>>, QuestionError> {
        let mut known = self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Catalogue::open_existing(&self.home)?.map(Arc::new);
        }
        Ok(known.clone())
    }

    /// The store: where the process that fetches says it is, since a server may run without the
    /// configuration.
    fn store(&self, catalogue: &Catalogue) -> Result<Store, QuestionError> {
        let said = catalogue.mark("store")?.map(PathBuf::from);
        Ok(Store::at(
            &said.unwrap_or_else(|| self.settings.store_of(&self.home)),
        ))
    }

    /// Where a stored file's bytes are.
    pub(crate) fn path_of(&self, listed: &Listed) -> Result<Option<PathBuf>, QuestionError> {
        let Some(sha256) = listed.sha256.filter(|_| listed.status == Status::Stored) else {
            return Ok(None);
        };
        let Some(catalogue) = self.catalogue()? else {
            return Ok(None);
        };
        Ok(Some(self.store(&catalogue)?.path_of(&sha256)))
    }

    fn converter(&self, store: &Store) -> Converter {
        Converter {
            folder: store.root().join("converted"),
            ..self.settings.converter(&self.home)
        }
    }
}

/// Which file is asked for.
#[derive(Debug, Clone, Default)]
pub struct MediaParams {
    /// WeCom's id of the message.
    pub msgid: String,
    /// The source, where several have such an id.
    pub source: Option<String>,
    /// 0 for the message's own file, from 1 on for those of its items.
    pub item: Option<u32>,
    /// Converted to this, for sound.
    pub audio: Option<Audio>,
}

/// A file to be handed out.
#[derive(Debug, Clone)]
pub struct MediaFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// `Content-Type`.
    pub mime: &'static str,
    /// Shown in the page rather than offered for saving.
    pub is_inline: bool,
    /// A name for it, without folders and control characters.
    pub name: String,
    /// Names the bytes: equal for equal ones.
    pub tag: String,
    /// What is odd about it, see [`Listed::flags`].
    pub flags: String,
}

fn no_media(msgid: &str) -> QuestionError {
    QuestionError::NotFound {
        what: "media of message",
        id: msgid.into(),
    }
}

/// The file of a message, converted if asked for.
///
/// # Errors
/// [`QuestionError::NotFound`] where there is none and where it may not be seen;
/// [`QuestionError::MediaPending`] and [`QuestionError::MediaLost`] where there are no bytes;
/// [`QuestionError::Convert`].
pub async fn media(
    scope: &Scope,
    archive: &Archive,
    access: &MediaAccess,
    params: &MediaParams,
) -> Result<MediaFile, QuestionError> {
    let known = match access.catalogue()? {
        Some(catalogue) => catalogue.of_message(&params.msgid)?,
        None => Vec::new(),
    };
    let wanted = known.into_iter().filter(|listed| {
        params
            .source
            .as_ref()
            .is_none_or(|source| *source == listed.source)
    });
    let visible = visible(scope, archive, wanted.collect()).await?;
    let listed = choose(params, visible)?;
    match listed.status {
        Status::Stored => {}
        Status::Lost => {
            return Err(QuestionError::MediaLost {
                msgid: listed.msgid,
                reason: listed.reason.unwrap_or_else(|| "unknown".into()),
            });
        }
        Status::Pending | Status::Fetching => {
            return Err(QuestionError::MediaPending {
                msgid: listed.msgid,
                status: listed.status.as_str(),
            });
        }
    }
    let (Some(catalogue), Some(sha256)) = (access.catalogue()?, listed.sha256) else {
        return Err(no_media(&params.msgid));
    };
    let store = access.store(&catalogue)?;
    let path = store.path_of(&sha256);
    let head = head_of(&path).map_err(failed("read", &path))?;
    let kind = sniff::of_head(&head);
    let audio = params.audio.filter(|audio| kind.mime != audio.mime());
    let (path, mime) = match audio {
        Some(audio) => {
            let converter = access.converter(&store);
            (
                converter.convert(&path, &sha256, audio).await?,
                audio.mime(),
            )
        }
        None => (path, kind.mime),
    };
    let size = std::fs::metadata(&path)
        .map_err(failed("read", &path))?
        .len();
    let ending = audio.map_or("", Audio::as_str);
    Ok(MediaFile {
        path,
        size,
        mime,
        is_inline: kind.is_inline,
        name: file_name(&listed, kind, audio),
        tag: format!("{}{ending}", hex(&sha256)),
        flags: listed.flags,
    })
}

/// Those whose message the caller may see.
pub(super) async fn visible(
    scope: &Scope,
    archive: &Archive,
    listed: Vec<Listed>,
) -> Result<Vec<Listed>, QuestionError> {
    let mut messages: BTreeSet<(String, i64, i64, String)> = listed
        .iter()
        .map(|l| (l.source.clone(), l.at_ms, l.seq, l.msgid.clone()))
        .collect();
    // What does not exist is looked for as well: the time that it takes tells nothing.
    if messages.is_empty() {
        messages.insert((String::new(), 0, 0, String::new()));
    }
    let (directory, index) = (archive.directory().await?, archive.search()?);
    let Some(index) = index else {
        return Ok(Vec::new());
    };
    let scope = scope.clone();
    let seen = tokio::task::spawn_blocking(move || {
        let mut seen = BTreeSet::new();
        for (source, at_ms, seq, msgid) in messages {
            let question = Question {
                from_ms: Some(at_ms),
                to_ms: Some(at_ms + 1),
                limit: TWINS_MAX,
                after: Some(After {
                    n_found: 0,
                    at_ms,
                    seq: seq.saturating_sub(1),
                    tie: u64::MAX,
                }),
                order: Order::OldestFirst,
                ..Question::default()
            };
            let found = index.search(&scope, &directory, &question)?;
            let is_it = |message: &huicun_indexer::index::schema::Stored| {
                message.source == source && message.seq == seq && message.msgid == msgid
            };
            if found.hits.iter().any(|hit| is_it(&hit.message)) {
                seen.insert((source, seq));
            }
        }
        Ok::<_, QuestionError>(seen)
    })
    .await
    .map_err(|_| QuestionError::Interrupted)??;
    let is_seen = |l: &Listed| seen.contains(&(l.source.clone(), l.seq));
    Ok(listed.into_iter().filter(is_seen).collect())
}

/// The one that is meant.
fn choose(params: &MediaParams, visible: Vec<Listed>) -> Result<Listed, QuestionError> {
    let sources: BTreeSet<&str> = visible.iter().map(|l| l.source.as_str()).collect();
    if sources.len() > 1 {
        let names: Vec<&str> = sources.into_iter().collect();
        return Err(QuestionError::Parameter(format!(
            "several sources have message `{}`; give `source`: {}",
            params.msgid,
            names.join(", ")
        )));
    }
    let items: Vec<u32> = visible.iter().map(|l| l.item).collect();
    let item = match (params.item, items.as_slice()) {
        (Some(item), _) => item,
        (None, [only]) => *only,
        (None, items) if items.contains(&0) => 0,
        (None, []) => return Err(no_media(&params.msgid)),
        (None, several) => {
            let names: Vec<String> = several.iter().map(u32::to_string).collect();
            return Err(QuestionError::Parameter(format!(
                "message `{}` has several files; give `item`: {}",
                params.msgid,
                names.join(", ")
            )));
        }
    };
    let meant = visible.into_iter().find(|l| l.item == item);
    meant.ok_or_else(|| no_media(&params.msgid))
}

/// A name that is safe in a header and in a folder.
pub(crate) fn file_name(listed: &Listed, kind: Kind, audio: Option<Audio>) -> String {
    /// Characters; the longest that file systems take is 255 bytes.
    const CHARACTERS_MAX: usize = 80;
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
    };
    let given: String = listed
        .name
        .as_deref()
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !is_hidden(*c))
        .collect();
    let given = given.trim().trim_start_matches('.');
    let (stem, ending) = match given.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.chars().count() <= 10 => (stem, ending),
        _ => (given, ""),
    };
    let stem: String = match stem {
        "" => match listed.item {
            0 => format!("{}-{}", listed.kind, listed.seq),
            item => format!("{}-{}-{item}", listed.kind, listed.seq),
        },
        stem => stem.chars().take(CHARACTERS_MAX).collect(),
    };
    let ending = match audio {
        Some(audio) => audio.as_str(),
        None if ending.is_empty() => kind.extension,
        None => ending,
    };
    match ending {
        "" => stem,
        ending => format!("{stem}.{ending}"),
    }
}

/// What a voice may be asked for as.
///
/// # Errors
/// Any other word.
pub fn audio_of(text: Option<&str>) -> Result<Option<Audio>, QuestionError> {
    match text {
        None | Some("original") => Ok(None),
        Some("mp3") => Ok(Some(Audio::Mp3)),
        Some("wav") => Ok(Some(Audio::Wav)),
        Some(other) => Err(QuestionError::Parameter(format!(
            "`as` is `{other}`; expected original, mp3 or wav"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: Option<&str>) -> Listed {
        Listed {
            source: "corp".into(),
            seq: 7,
            msgid: "m".into(),
            item: 0,
            at_ms: 0,
            kind: "voice".into(),
            name: name.map(String::from),
            seconds: None,
            size: None,
            status: Status::Stored,
            reason: None,
            n_bytes: 0,
            n_attempts: 0,
            next_attempt_at_ms: 0,
            last_error: None,
            sha256: None,
            flags: String::new(),
            changed_at_ms: 0,
            rowid: 1,
        }
    }

    #[test]
    fn a_name_holds_no_folder_no_control_and_no_trick() {
        let amr = sniff::of_head(b"#!AMR\n");
        for (given, expected) in [
            (Some("报价.docx"), "报价.docx"),
            (Some("../../etc/passwd"), "passwd.amr"),
            (Some("C:\\x\\a.txt"), "a.txt"),
            (Some("a\r\nSet-Cookie: x.txt"), "aSet-Cookie x.txt"),
            (Some("\u{202e}fdp.exe"), "fdp.exe"),
            (Some("..."), "voice-7.amr"),
            (Some(".bashrc"), "bashrc.amr"),
            (None, "voice-7.amr"),
        ] {
            assert_eq!(file_name(&listed(given), amr, None), expected, "{given:?}");
        }
        assert_eq!(
            file_name(&listed(Some("a.amr")), amr, Some(Audio::Mp3)),
            "a.mp3"
        );
        let long = "长".repeat(500);
        assert!(file_name(&listed(Some(&long)), amr, None).len() < 255);
    }

    #[test]
    fn of_several_files_one_must_be_named() {
        let item = |item| Listed {
            item,
            ..listed(None)
        };
        let ask = |wanted, visible| {
            let params = MediaParams {
                item: wanted,
                ..MediaParams::default()
            };
            choose(&params, visible).map(|l| l.item)
        };
        assert_eq!(ask(None, vec![item(2)]).unwrap(), 2);
        assert_eq!(ask(Some(3), vec![item(2), item(3)]).unwrap(), 3);
        assert!(matches!(
            ask(None, vec![item(1), item(2)]),
            Err(QuestionError::Parameter(_))
        ));
        assert!(matches!(
            ask(Some(9), vec![item(1)]),
            Err(QuestionError::NotFound { .. })
        ));
        assert!(matches!(
            ask(None, vec![]),
            Err(QuestionError::NotFound { .. })
        ));
        let other = Listed {
            source: "other".into(),
            ..listed(None)
        };
        assert!(matches!(
            ask(None, vec![item(0), other]),
            Err(QuestionError::Parameter(_))
        ));
    }
}
