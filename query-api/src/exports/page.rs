//! A conversation as one HTML page: nothing is fetched from anywhere, no script runs, every text is
//! escaped. What was taken back, what has no text, and files that are missing are said to be so.
//!
//! Small pictures are in the page as long as there is room; of every other file stand name, size
//! and hash, by which a media export has it.

use std::io::{BufWriter, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use huicun_engine::directory::Directory;
use huicun_engine::media::store::hex;
use huicun_engine::media::{Listed, Status, sniff};
use huicun_semantics::role::Role;

use super::error::ExportError;
use super::gather::Message;
use crate::queries::media::MediaAccess;

/// Bytes of a picture that is put into the page.
const PICTURE_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of all of them: browsers grow slow with more.
const PICTURES_BYTES_MAX: u64 = 16 * 1024 * 1024;

const STYLE: &str = "body{font:15px/1.6 system-ui,'PingFang SC','Microsoft YaHei',sans-serif;\
max-width:860px;margin:0 auto;padding:16px;color:#1f2329;background:#f5f6f7}\
h1{font-size:20px}h2{font-size:14px;color:#646a73;text-align:center;font-weight:400}\
article{background:#fff;border-radius:8px;padding:8px 12px;margin:8px 96px 8px 0}\
article.staff{background:#e1eaff;margin:8px 0 8px 96px}\
header{font-size:12px;color:#646a73}header b{color:#1f2329;margin-right:8px}\
header time,header span{margin-right:8px}p{margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere}\
.note{color:#8f959e;font-size:13px}img{max-width:100%;border-radius:4px}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px}";

/// A page in the making.
pub(super) struct Page<W: Write> {
    out: BufWriter<W>,
    day: String,
    n_picture_bytes: u64,
}

impl<W: Write> Page<W> {
    pub(super) fn new(title: &str, out: W) -> Result<Self, ExportError> {
        let mut out = BufWriter::new(out);
        let title = escaped(title);
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>会话 {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>会话 {title}</h1>\n"
        )?;
        Ok(Self {
            out,
            day: String::new(),
            n_picture_bytes: 0,
        })
    }

    pub(super) fn add(
        &mut self,
        message: &Message,
        directory: &Directory,
        access: &MediaAccess,
    ) -> Result<(), ExportError> {
        let item = &message.item;
        // RFC 3339 in the company's zone: the day, then the time to the second.
        let (day, time) = item.at.split_once('T').unwrap_or(("", &item.at));
        if day != self.day {
            writeln!(self.out, "<h2>{}</h2>", escaped(day))?;
            self.day = day.to_string();
        }
        let side = match directory.role(&item.from) {
            Role::Employee => "staff",
            _ => "guest",
        };
        let name = name_of(directory, &item.from);
        let shown = match name {
            Some(name) => format!(
                "<b>{}</b><span>{}</span>",
                escaped(name),
                escaped(&item.from)
            ),
            None => format!("<b>{}</b>", escaped(&item.from)),
        };
        let time: String = time.chars().take(8).collect();
        writeln!(
            self.out,
            "<article id=\"m{}\" class=\"{side}\"><header>{shown}<time datetime=\"{}\">{}</time>\
             <span>{}</span></header>",
            item.seq,
            escaped(&item.at),
            escaped(&time),
            escaped(&item.msgtype),
        )?;
        if let Some(recall) = &message.recalled_by {
            let id = escaped(recall);
            writeln!(
                self.out,
                "<p class=\"note\">此消息已被撤回（撤回消息 {id}）</p>"
            )?;
        }
        if item.msgtype == "revoke" {
            writeln!(self.out, "<p class=\"note\">撤回了一条消息</p>")?;
        }
        if !item.text.is_empty() {
            writeln!(self.out, "<p>{}</p>", escaped(&item.text))?;
        } else if message.media.is_empty() && item.msgtype != "revoke" {
            writeln!(self.out, "<p class=\"note\">（没有可显示的文本）</p>")?;
        }
        for listed in &message.media {
            self.file(listed, access)?;
        }
        Ok(writeln!(self.out, "</article>")?)
    }

    fn file(&mut self, listed: &Listed, access: &MediaAccess) -> Result<(), ExportError> {
        let name = listed.name.as_deref().unwrap_or("（未命名文件）");
        let name = escaped(name);
        let told = match listed.status {
            Status::Stored => {
                if let Some(path) = access.path_of(listed)?
                    && let Some(picture) = self.picture(&path)
                {
                    writeln!(self.out, "<p><img alt=\"{name}\" src=\"{picture}\"></p>")?;
                    return Ok(());
                }
                let hash = listed.sha256.map(|hash| hex(&hash)).unwrap_or_default();
                format!(
                    "文件：{name}，{} 字节，SHA-256 {hash}",
                    listed.size.unwrap_or(0)
                )
            }
            Status::Pending | Status::Fetching => format!("文件尚未取回：{name}"),
            Status::Lost => {
                let why = escaped(listed.reason.as_deref().unwrap_or("unknown"));
                format!("文件已无法取回：{name}（{why}）")
            }
        };
        Ok(writeln!(self.out, "<p class=\"note\">{told}</p>")?)
    }

    /// A picture as a data URL, if it is one and there is room.
    fn picture(&mut self, path: &Path) -> Option<String> {
        let size = std::fs::metadata(path).ok()?.len();
        if size > PICTURE_BYTES_MAX || self.n_picture_bytes + size > PICTURES_BYTES_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(PICTURE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let mime = sniff::of_head(&bytes).mime;
        if !["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&mime) {
            return None;
        }
        self.n_picture_bytes += size;
        Some(format!("data:{mime};base64,{}", STANDARD.encode(&bytes)))
    }

    pub(super) fn finish(mut self, manifest: &str) -> Result<(), ExportError> {
        let manifest = escaped(manifest);
        writeln!(
            self.out,
            "<details open><summary>导出清单</summary><pre id=\"manifest\">{manifest}</pre></details>\n\
             </body>\n</html>"
        )?;
        Ok(self.out.flush()?)
    }
}

fn name_of<'a>(directory: &'a Directory, id: &str) -> Option<&'a str> {
    let employee = directory.employees.get(id).map(|known| known.name.as_str());
    let customer = || {
        let number = directory.ids.get(id)?;
        Some(directory.customers.get(number)?.name.as_ref())
    };
    employee.or_else(customer).filter(|name| !name.is_empty())
}

/// Text for an element or a quoted attribute. Characters that turn the reading direction, and
/// controls, are shown as what they are.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_neither_end_an_element_nor_an_attribute() {
        let hostile = "</p><script>alert('1')</script>\" onload=x &amp; \u{202e}\u{0}";
        let safe = escaped(hostile);
        assert!(
            !safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']),
            "{safe}"
        );
        assert!(safe.contains("&amp;amp;"));
        assert_eq!(escaped("您好\n再见"), "您好\n再见");
    }
}
