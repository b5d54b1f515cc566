//! Writing JSON by hand, with the keys in the order in which WeCom gives them.
//!
//! A `serde_json::Value` would sort the keys or not, depending on a feature that another
//! crate of the workspace may switch on, and the demo's bytes must depend on its seed alone.

use std::fmt::{Display, Formatter, Result, Write};

/// Text as a JSON string literal.
pub(crate) struct Js<'a>(pub(crate) &'a str);

impl Display for Js<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        out.write_char('"')?;
        let mut rest = self.0;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || (c as u32) < 0x20) {
            out.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => out.write_str("\\\"")?,
                b'\\' => out.write_str("\\\\")?,
                b'\n' => out.write_str("\\n")?,
                control => write!(out, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        out.write_str(rest)?;
        out.write_char('"')
    }
}

/// Items as a JSON array.
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: Display> Display for List<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        out.write_char('[')?;
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_char(',')?;
            }
            item.fmt(out)?;
        }
        out.write_char(']')
    }
}
