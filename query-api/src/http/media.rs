//! Files of messages over HTTP: streamed, in ranges, and told to a browser as what their bytes are,
//! never as a page or a script.

use std::path::Path as FsPath;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::auth::Caller;
use super::format::Format;
use super::listed::{Asking, Rows, pages};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::AsOf;
use crate::queries::media::{MediaFile, MediaParams, audio_of, media as ask_media};
use crate::queries::media_found::MessageFilter;
use crate::queries::media_list::{MediaItem, MediaListParams, MediaPage, list};

/// Bytes read at once while a file is streamed.
const PIECE_BYTES: u64 = 64 * 1024;
/// Says what is odd about a file.
static FLAGS: HeaderName = HeaderName::from_static("x-huicun-media-flags");

/// A page of files.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MediaList {
    /// The files.
    items: Vec<MediaItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for MediaPage {
    fn json(self) -> impl Serialize + Send {
        MediaList {
            items: self.items,
            next: self.next,
            as_of: self.as_of,
        }
    }

    fn table(self) -> Table {
        self.into_table()
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn as_of(&self) -> &AsOf {
        &self.as_of
    }
}

/// Files of messages and what became of them. By time, type, kind or sender, and for callers who do
/// not see everything, the newest first.
#[utoipa::path(get, path = "/v1/media", tag = "media", params(
    ("msgid" = Option<String>, Query, description = "of this message"),
    ("source" = Option<String>, Query, description = "of this corp or import"),
    ("status" = Option<Vec<String>>, Query, description = "pending, fetching, stored, lost; repeatable"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("type" = Option<Vec<String>>, Query, description = "WeCom type of the message, such as voice; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "kind of the conversation; repeatable"),
    ("sender" = Option<Vec<String>>, Query, description = "who sent it, by id or name; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = MediaList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn list_media(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = MediaListParams {
        source: params.one("source")?,
        status: params.list("status"),
        msgid: params.one("msgid")?,
        messages: MessageFilter {
            from: params.one("from")?,
            to: params.one("to")?,
            types: params.list("type"),
            kinds: params.list("kind"),
            senders: params.list("sender"),
        },
        ..MediaListParams::default()
    };
    params.end()?;
    let ask: Asking<MediaPage> = Box::new(move |limit, cursor| {
        let (api, caller) = (Arc::clone(&api), caller.clone());
        let question = MediaListParams {
            limit,
            cursor,
            ..question.clone()
        };
        Box::pin(async move {
            caller.check_still_admitted(&api)?;
            list(&caller.scope, &api.archive, &api.media, &question).await
        })
    });
    pages(wanted, ask).await
}

/// The file of a message; `Range` and `If-None-Match` are understood.
#[utoipa::path(get, path = "/v1/media/{msgid}", tag = "media", params(
    ("msgid" = String, Path, description = "WeCom's id of the message"),
    ("item" = Option<u32>, Query, description = "0 for the message's own file, from 1 on for those of its items"),
    ("source" = Option<String>, Query, description = "the corp or import, where several have such a message"),
    ("as" = Option<String>, Query, description = "original, mp3 or wav (voice; needs ffmpeg on the server)"),
), responses(
    (status = 200, description = "the file", content_type = "*/*"),
    (status = 206, description = "the range asked for", content_type = "*/*"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 410, body = Problem, content_type = "application/problem+json"),
    (status = 416, body = Problem, content_type = "application/problem+json"),
    (status = 501, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn get_media(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(msgid): Path<String>,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let item = params.one("item")?.map(|text| {
        text.parse().map_err(|_| {
            Problem::parameter(format!("`item` is `{text}`; expected a number from 0 on"))
        })
    });
    let question = MediaParams {
        msgid,
        source: params.one("source")?,
        item: item.transpose()?,
        audio: audio_of(params.one("as")?.as_deref())?,
    };
    params.end()?;
    let file = ask_media(&caller.scope, &api.archive, &api.media, &question).await?;
    answer(&file, &headers).await
}

/// Which bytes are asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// Both included.
    Part(u64, u64),
    Unsatisfiable,
}

/// Of the forms of RFC 9110 the one with a single range; any other is answered with the whole.
fn asked(range: Option<&str>, size: u64) -> Asked {
    let Some(spec) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Asked::Whole;
    };
    let number = |text: &str| -> Option<u64> {
        let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => {
            Asked::Unsatisfiable
        }
        (Some(first), None) if last.is_empty() => Asked::Part(first, size - 1),
        (Some(first), Some(last)) if first <= last => Asked::Part(first, last.min(size - 1)),
        (None, Some(n)) if first.is_empty() => match (n, size) {
            (0, _) | (_, 0) => Asked::Unsatisfiable,
            (n, size) => Asked::Part(size.saturating_sub(n), size - 1),
        },
        _ => Asked::Whole,
    }
}

pub(super) async fn answer(file: &MediaFile, asking: &HeaderMap) -> Result<Response, Problem> {
    let text = |name: HeaderName| asking.get(name).and_then(|value| value.to_str().ok());
    let tag = format!("\"{}\"", file.tag);
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, &tag);
    // Who may see it can change: it is asked for anew each time.
    set(header::CACHE_CONTROL, "private, no-cache, no-transform");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    );
    set(header::ACCEPT_RANGES, "bytes");
    // As it is: what is compressed already is not compressed again, and ranges keep their sense.
    set(header::CONTENT_ENCODING, "identity");
    let is_known = |tags: &str| tags.split(',').any(|known| known.trim() == tag);
    if text(header::IF_NONE_MATCH).is_some_and(is_known) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    set(header::CONTENT_TYPE, file.mime);
    set(header::CONTENT_DISPOSITION, &disposition(file));
    if !file.flags.is_empty() {
        set(FLAGS.clone(), &file.flags);
    }
    // A range of an older version makes no sense with the bytes of this one.
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let range = text(header::RANGE).filter(|_| is_same);
    let (status, first, length) = match asked(range, file.size) {
        Asked::Whole => (StatusCode::OK, 0, file.size),
        Asked::Part(first, last) => {
            set(
                header::CONTENT_RANGE,
                &format!("bytes {first}-{last}/{}", file.size),
            );
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Asked::Unsatisfiable => {
            let detail = format!("the file has {} bytes", file.size);
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                detail,
            );
            let range = [(header::CONTENT_RANGE, format!("bytes */{}", file.size))];
            return Ok((range, problem).into_response());
        }
    };
    set(header::CONTENT_LENGTH, &length.to_string());
    let body = stream(&file.path, first, length)
        .await
        .map_err(|e| Problem::internal(&e))?;
    Ok((status, headers, body).into_response())
}

/// `length` bytes of a file from `first` on, a piece at a time.
async fn stream(path: &FsPath, first: u64, length: u64) -> std::io::Result<Body> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(std::io::SeekFrom::Start(first)).await?;
    let pieces = futures::stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; left.min(PIECE_BYTES) as usize];
        let n = file.read(&mut piece).await?;
        if n == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        piece.truncate(n);
        Ok(Some((Bytes::from(piece), (file, left - n as u64))))
    });
    Ok(Body::from_stream(pieces))
}

/// The file's name in both forms of RFC 6266: one for old programs, one for every script.
fn disposition(file: &MediaFile) -> String {
    let plain: String = file
        .name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | ';') => c,
            _ => '_',
        })
        .collect();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded: String = file
        .name
        .bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let how = match file.is_inline {
        true => "inline",
        false => "attachment",
    };
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_of_three_forms_and_anything_else_is_the_whole() {
        for (range, expected) in [
            ("bytes=0-3", Asked::Part(0, 3)),
            ("bytes=5-", Asked::Part(5, 9)),
            ("bytes=-4", Asked::Part(6, 9)),
            ("bytes=-40", Asked::Part(0, 9)),
            ("bytes=8-99999999999999999999999", Asked::Part(8, 9)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=99-100", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=3-1", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=x-", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ] {
            assert_eq!(asked(Some(range), 10), expected, "{range}");
        }
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Unsatisfiable);
        assert_eq!(asked(Some("bytes=-5"), 0), Asked::Unsatisfiable);
    }

    #[test]
    fn a_name_is_told_in_plain_and_in_full() {
        let file = MediaFile {
            path: "x".into(),
            size: 1,
            mime: "application/pdf",
            is_inline: false,
            name: "报价 1;%.pdf".into(),
            tag: "t".into(),
            flags: String::new(),
        };
        assert_eq!(
            disposition(&file),
            "attachment; filename=\"___1__.pdf\"; \
             filename*=UTF-8''%E6%8A%A5%E4%BB%B7%201%3B%25.pdf"
        );
    }
}
