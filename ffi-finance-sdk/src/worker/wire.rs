//! Frames: a length, a mark, a kind, a number, and a payload of plain fields.
//!
//! ```text
//! payload length u32 | mark 0xC5 | kind u8 | request id u64 | payload        (little-endian)
//! ```
//!
//! Both ends distrust the other: lengths are bounded and no memory is taken on their word.

use std::io::{self, ErrorKind, Read, Write};

use crate::CONTENT_BYTES_MAX;

/// Payloads above this are refused: the largest answer of the library, and its wrapping.
pub(crate) const PAYLOAD_BYTES_MAX: usize = CONTENT_BYTES_MAX + (64 << 20);

const MARK: u8 = 0xC5;
const HEADER: usize = 14;

/// One frame.
pub(crate) struct Frame {
    pub kind: u8,
    pub id: u64,
    pub payload: Vec<u8>,
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the pipe broke: {0}")]
    Io(#[from] io::Error),
    #[error("the pipe ended within a frame")]
    Cut,
    #[error("what arrived is not a frame")]
    NotAFrame,
    #[error("a frame is above the bound")]
    TooLong,
}

/// The next frame, or `None` when the pipe ended between two.
pub(crate) fn read_frame(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut header = [0; HEADER];
    let mut n_read = 0;
    while n_read < HEADER {
        match from.read(&mut header[n_read..]) {
            Ok(0) if n_read == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Cut),
            Ok(n) => n_read += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut fields = Fields::new(&header);
    let (Ok(len), Ok(mark), Ok(kind), Ok(id)) =
        (fields.u32(), fields.u8(), fields.u8(), fields.u64())
    else {
        return Err(FrameError::Cut);
    };
    if mark != MARK {
        return Err(FrameError::NotAFrame);
    }
    let len = len as usize;
    if len > PAYLOAD_BYTES_MAX {
        return Err(FrameError::TooLong);
    }
    // Grows as bytes arrive: a false length costs nothing.
    let mut payload = Vec::with_capacity(len.min(1 << 20));
    from.take(len as u64).read_to_end(&mut payload)?;
    if payload.len() < len {
        return Err(FrameError::Cut);
    }
    Ok(Some(Frame { kind, id, payload }))
}

/// Writes one frame and flushes it.
pub(crate) fn write_frame(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let len = u32::try_from(frame.payload.len())
        .ok()
        .filter(|_| frame.payload.len() <= PAYLOAD_BYTES_MAX)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a frame is above the bound"))?;
    let mut header = Payload::with_capacity(HEADER);
    header.u32(len).u8(MARK).u8(frame.kind).u64(frame.id);
    to.write_all(&header.0)?;
    to.write_all(&frame.payload)?;
    to.flush()
}

/// A payload being written.
pub(crate) struct Payload(pub Vec<u8>);

impl Payload {
    pub fn with_capacity(n_bytes: usize) -> Self {
        Self(Vec::with_capacity(n_bytes))
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Length as `u64`, then the bytes; what is too long for a frame is refused there.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u64(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }
}

/// A payload whose fields are not as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame's fields are not as expected")]
pub(crate) struct BadFields;

/// A payload being read.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadFields> {
        let (head, rest) = self.0.split_first_chunk().ok_or(BadFields)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, BadFields> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, BadFields> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, BadFields> {
        self.array().map(i32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, BadFields> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], BadFields> {
        let len = usize::try_from(self.u64()?).map_err(|_| BadFields)?;
        let (head, rest) = self.0.split_at_checked(len).ok_or(BadFields)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn text(&mut self) -> Result<&'a str, BadFields> {
        std::str::from_utf8(self.bytes()?).map_err(|_| BadFields)
    }

    /// How many fields of at least `n_bytes` each can follow.
    pub fn room_for(&self, n_bytes: usize) -> usize {
        self.0.len() / n_bytes
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), BadFields> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BadFields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_every_cut_of_it_is_noticed() {
        let mut bytes = Vec::new();
        write_frame(
            &mut bytes,
            &Frame {
                kind: 7,
                id: u64::MAX,
                payload: b"abc".to_vec(),
            },
        )
        .unwrap();
        let frame = read_frame(&mut &bytes[..]).unwrap().unwrap();
        assert_eq!(
            (frame.kind, frame.id, &frame.payload[..]),
            (7, u64::MAX, &b"abc"[..])
        );
        assert!(read_frame(&mut &[][..]).unwrap().is_none());
        for cut in 1..bytes.len() {
            assert!(
                matches!(read_frame(&mut &bytes[..cut]), Err(FrameError::Cut)),
                "{cut}"
            );
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(matches!(
            read_frame(&mut &b"hello, this is a line of text\n"[..]),
            Err(FrameError::NotAFrame)
        ));
        let mut long = Payload::with_capacity(HEADER);
        long.u32(u32::MAX).u8(MARK).u8(1).u64(1);
        assert!(matches!(
            read_frame(&mut &long.0[..]),
            Err(FrameError::TooLong)
        ));
    }

    #[test]
    fn fields_never_read_past_the_payload() {
        let mut payload = Payload::with_capacity(0);
        payload.u64(u64::MAX).text("x");
        assert_eq!(Fields::new(&payload.0).bytes(), Err(BadFields));
        let mut fields = Fields::new(&[1, 2, 3]);
        assert_eq!(fields.u32(), Err(BadFields));
        assert_eq!(fields.u8(), Ok(1));
        assert_eq!(fields.end(), Err(BadFields));
    }
}
