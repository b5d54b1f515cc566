//! What a file is, by its first bytes. The name and the type that a message gives are a stranger's
//! words; a browser is never told to run anything because of them.

/// What a browser is told, and what a converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `Content-Type`. Never one in which a browser runs a program.
    pub mime: &'static str,
    /// The usual ending of such a file; empty for what is not known.
    pub extension: &'static str,
    /// Shown in the page rather than offered for saving.
    pub is_inline: bool,
    /// The name of ffmpeg's reader for it, for what has sound.
    pub demuxer: Option<&'static str>,
}

/// How many first bytes [`of_head`] wants.
pub const HEAD_BYTES: usize = 16;

const fn shown(mime: &'static str, extension: &'static str) -> Kind {
    Kind {
        mime,
        extension,
        is_inline: true,
        demuxer: None,
    }
}

const fn saved(mime: &'static str, extension: &'static str) -> Kind {
    Kind {
        mime,
        extension,
        is_inline: false,
        demuxer: None,
    }
}

const fn heard(mime: &'static str, extension: &'static str, demuxer: &'static str) -> Kind {
    Kind {
        mime,
        extension,
        is_inline: true,
        demuxer: Some(demuxer),
    }
}

/// The kind of a file that begins with these bytes.
pub fn of_head(head: &[u8]) -> Kind {
    let is = |magic: &[u8]| head.starts_with(magic);
    let at =
        |from: usize, magic: &[u8]| head.get(from..).is_some_and(|tail| tail.starts_with(magic));
    if is(b"\xff\xd8\xff") {
        shown("image/jpeg", "jpg")
    } else if is(b"\x89PNG\r\n\x1a\n") {
        shown("image/png", "png")
    } else if is(b"GIF87a") || is(b"GIF89a") {
        shown("image/gif", "gif")
    } else if is(b"RIFF") && at(8, b"WEBP") {
        shown("image/webp", "webp")
    } else if is(b"BM") && head.len() >= 14 && head[6..10] == [0; 4] {
        shown("image/bmp", "bmp")
    } else if is(b"#!AMR-WB\n") {
        heard("audio/amr-wb", "awb", "amr")
    } else if is(b"#!AMR\n") {
        heard("audio/amr", "amr", "amr")
    } else if is(b"RIFF") && at(8, b"WAVE") {
        heard("audio/wav", "wav", "wav")
    } else if is(b"OggS") {
        heard("audio/ogg", "ogg", "ogg")
    } else if is(b"ID3") || (head.len() > 1 && head[0] == 0xff && head[1] & 0xe6 == 0xe2) {
        heard("audio/mpeg", "mp3", "mp3")
    } else if head.len() > 1 && head[0] == 0xff && head[1] & 0xf6 == 0xf0 {
        heard("audio/aac", "aac", "aac")
    } else if at(4, b"ftypM4A") {
        heard("audio/mp4", "m4a", "mov")
    } else if at(4, b"ftypqt") {
        saved("video/quicktime", "mov")
    } else if at(4, b"ftyp") {
        heard("video/mp4", "mp4", "mov")
    } else if is(b"%PDF-") {
        saved("application/pdf", "pdf")
    } else if is(b"PK\x03\x04") {
        saved("application/zip", "")
    } else {
        saved("application/octet-stream", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        let cases: [(&[u8], &str); 12] = [
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
            (b"#!AMR\n\x04", "audio/amr"),
            (b"#!AMR-WB\n", "audio/amr-wb"),
            (b"\xff\xfb\x90\x00", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
            (b"\x00\x00\x00\x18ftypM4A ", "audio/mp4"),
            (b"%PDF-1.4", "application/pdf"),
            (b"", "application/octet-stream"),
        ];
        for (head, mime) in cases {
            assert_eq!(of_head(head).mime, mime);
        }
    }

    #[test]
    fn nothing_is_told_to_be_a_page_or_a_script() {
        for head in [
            &b"<html><script>"[..],
            b"<?xml version=",
            b"<svg onload=",
            b"#!/bin/sh",
        ] {
            let kind = of_head(head);
            assert_eq!(
                (kind.mime, kind.is_inline),
                ("application/octet-stream", false)
            );
        }
    }
}
