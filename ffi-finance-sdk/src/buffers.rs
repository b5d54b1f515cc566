//! The two objects in which the library hands out bytes, each with one owner.
//!
//! What they hold is copied out at once, by its length and below a bound, and they are freed
//! once, on every path. The library's terminating NULs are never relied upon.

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;

use crate::code::SdkCode;
use crate::library::{Library, RawMedia, RawSlice};

/// An answer of the library above this is refused: a thousand records of 256 KiB each.
pub const CONTENT_BYTES_MAX: usize = 256 << 20;

/// An owned `Slice_t`.
pub(crate) struct Slice<'a> {
    library: &'a Library,
    raw: NonNull<RawSlice>,
}

impl<'a> Slice<'a> {
    pub fn new(library: &'a Library) -> Result<Self, SdkCode> {
        // SAFETY: `NewSlice` takes nothing; the result is checked for NULL and owned here.
        let raw = unsafe { (library.functions.new_slice)() };
        let raw = NonNull::new(raw).ok_or(SdkCode::NullObject)?;
        Ok(Self { library, raw })
    }

    /// For the library to fill.
    pub fn as_raw(&mut self) -> *mut RawSlice {
        self.raw.as_ptr()
    }

    /// A copy of the content.
    pub fn to_vec(&self) -> Result<Vec<u8>, SdkCode> {
        // SAFETY: the object is live until `drop`; the content lives as long and is copied
        // before this returns.
        unsafe {
            let content = (self.library.functions.get_content_from_slice)(self.raw.as_ptr());
            let len = (self.library.functions.get_slice_len)(self.raw.as_ptr());
            copy_out(content, len)
        }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `NewSlice`, is owned by this value alone and not used again.
        unsafe { (self.library.functions.free_slice)(self.raw.as_ptr()) }
    }
}

/// An owned `MediaData_t`.
pub(crate) struct Media<'a> {
    library: &'a Library,
    raw: NonNull<RawMedia>,
}

impl<'a> Media<'a> {
    pub fn new(library: &'a Library) -> Result<Self, SdkCode> {
        // SAFETY: `NewMediaData` takes nothing; the result is checked for NULL and owned here.
        let raw = unsafe { (library.functions.new_media_data)() };
        let raw = NonNull::new(raw).ok_or(SdkCode::NullObject)?;
        Ok(Self { library, raw })
    }

    /// For the library to fill.
    pub fn as_raw(&mut self) -> *mut RawMedia {
        self.raw.as_ptr()
    }

    /// A copy of the chunk.
    pub fn data(&self) -> Result<Vec<u8>, SdkCode> {
        let functions = &self.library.functions;
        // SAFETY: the object is live until `drop`; the content lives as long and is copied
        // before this returns.
        unsafe {
            let content = (functions.get_data)(self.raw.as_ptr());
            copy_out(content, (functions.get_data_len)(self.raw.as_ptr()))
        }
    }

    /// A copy of the next index.
    pub fn next_index(&self) -> Result<Vec<u8>, SdkCode> {
        let functions = &self.library.functions;
        // SAFETY: as in `data`.
        unsafe {
            let content = (functions.get_out_index_buf)(self.raw.as_ptr());
            copy_out(content, (functions.get_index_len)(self.raw.as_ptr()))
        }
    }

    /// Whether this was the last chunk.
    pub fn is_finished(&self) -> bool {
        // SAFETY: the object is live until `drop`.
        unsafe { (self.library.functions.is_media_data_finish)(self.raw.as_ptr()) != 0 }
    }
}

impl Drop for Media<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `NewMediaData`, is owned by this value alone and not used again.
        unsafe { (self.library.functions.free_media_data)(self.raw.as_ptr()) }
    }
}

/// A copy of `len` bytes.
///
/// # Safety
/// `content` is NULL or points to at least `len` readable bytes that nobody writes meanwhile.
unsafe fn copy_out(content: *const c_char, len: c_int) -> Result<Vec<u8>, SdkCode> {
    let len = usize::try_from(len).map_err(|_| SdkCode::NegativeLength)?;
    if len == 0 {
        return Ok(Vec::new());
    }
    if len > CONTENT_BYTES_MAX {
        return Err(SdkCode::TooLarge);
    }
    if content.is_null() {
        return Err(SdkCode::NullContent);
    }
    // SAFETY: not NULL, and `len` bytes are readable by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(content.cast::<u8>(), len) }.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(content: *const c_char, len: c_int) -> Result<Vec<u8>, SdkCode> {
        // SAFETY: every case below is refused before it is read, or has its bytes.
        unsafe { copy_out(content, len) }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let text = c"a\xffb";
        assert_eq!(copied(text.as_ptr(), 3), Ok(vec![b'a', 0xff, b'b']));
        assert_eq!(copied(std::ptr::null(), 0), Ok(vec![]));
        assert_eq!(copied(std::ptr::null(), 3), Err(SdkCode::NullContent));
        assert_eq!(copied(text.as_ptr(), -1), Err(SdkCode::NegativeLength));
        assert_eq!(
            copied(text.as_ptr(), c_int::MIN),
            Err(SdkCode::NegativeLength)
        );
        assert_eq!(copied(text.as_ptr(), c_int::MAX), Err(SdkCode::TooLarge));
    }
}
