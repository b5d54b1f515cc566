//! A handle of the library, and its calls in terms of owned values.
//!
//! A handle is used by one thread, one call at a time (`&mut self`), is destroyed once, and
//! cannot be destroyed while a call runs. It is neither `Send` nor `Sync`: the worker makes
//! and uses it on one thread.

use std::ffi::{CString, c_int, c_uint};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::buffers::{Media, Slice};
use crate::code::SdkCode;
use crate::library::{Library, RawSdk};

/// How the library reaches the network, for one call.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    /// `scheme://host:port`, or empty.
    pub proxy: &'a str,
    /// `user:password` of the proxy, or empty.
    pub passwd: &'a str,
    /// Seconds that the library may take; at least 1 is passed on.
    pub timeout_seconds: u32,
}

/// One chunk of a media file.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaChunk {
    /// The bytes of this chunk.
    pub data: Vec<u8>,
    /// What to pass for the next chunk; opaque. It may be kept, to go on later.
    pub next_index: String,
    /// Whether this was the last chunk.
    pub is_finished: bool,
}

impl std::fmt::Debug for MediaChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaChunk")
            .field("n_bytes", &self.data.len())
            .field("is_finished", &self.is_finished)
            .finish_non_exhaustive()
    }
}

/// An initialised handle.
pub struct Sdk<'a> {
    library: &'a Library,
    raw: NonNull<RawSdk>,
    /// Not `Send`: one handle per thread (wecom-sdk 1.5).
    on_one_thread: PhantomData<*mut ()>,
}

impl<'a> Sdk<'a> {
    /// Makes and initialises a handle. No network is used.
    ///
    /// # Errors
    /// What `Init` returned: 10000 for empty credentials. Wrong ones show at the first page.
    pub fn open(library: &'a Library, corpid: &str, secret: &str) -> Result<Self, SdkCode> {
        let (corpid, secret) = (c_string(corpid)?, c_string(secret)?);
        // SAFETY: `NewSdk` takes nothing; the result is checked for NULL and owned here.
        let raw = unsafe { (library.functions.new_sdk)() };
        let raw = NonNull::new(raw).ok_or(SdkCode::NullObject)?;
        // From here on `drop` destroys the handle, after a failed `Init` too.
        let sdk = Self {
            library,
            raw,
            on_one_thread: PhantomData,
        };
        // SAFETY: the handle is live; the strings are NUL-terminated and outlive the call.
        let code =
            unsafe { (library.functions.init)(raw.as_ptr(), corpid.as_ptr(), secret.as_ptr()) };
        checked(code).map(|()| sdk)
    }

    /// The JSON of up to `limit` (clamped to 1..=1000) sealed records after `seq`.
    ///
    /// # Errors
    /// What `GetChatData` returned. A refusal by WeCom's server is in the JSON.
    pub fn chat_data(
        &mut self,
        seq: u64,
        limit: u32,
        network: Network<'_>,
    ) -> Result<Vec<u8>, SdkCode> {
        let (proxy, passwd) = (c_string(network.proxy)?, c_string(network.passwd)?);
        let mut slice = Slice::new(self.library)?;
        // SAFETY: handle and slice are live and used by this call alone; the strings are
        // NUL-terminated and outlive the call.
        let code = unsafe {
            (self.library.functions.get_chat_data)(
                self.raw.as_ptr(),
                seq,
                clamped_limit(limit),
                proxy.as_ptr(),
                passwd.as_ptr(),
                clamped_timeout(network.timeout_seconds),
                slice.as_raw(),
            )
        };
        checked(code)?;
        slice.to_vec()
    }

    /// One chunk of a media file; `index` is empty for the first, then `next_index` of the last.
    ///
    /// # Errors
    /// What `GetMediaData` returned. After a failure the same index may be asked for again.
    pub fn media_chunk(
        &mut self,
        index: &str,
        sdkfileid: &str,
        network: Network<'_>,
    ) -> Result<MediaChunk, SdkCode> {
        let (index, sdkfileid) = (c_string(index)?, c_string(sdkfileid)?);
        let (proxy, passwd) = (c_string(network.proxy)?, c_string(network.passwd)?);
        let mut media = Media::new(self.library)?;
        // SAFETY: handle and media object are live and used by this call alone; the strings
        // are NUL-terminated and outlive the call.
        let code = unsafe {
            (self.library.functions.get_media_data)(
                self.raw.as_ptr(),
                index.as_ptr(),
                sdkfileid.as_ptr(),
                proxy.as_ptr(),
                passwd.as_ptr(),
                clamped_timeout(network.timeout_seconds),
                media.as_raw(),
            )
        };
        checked(code)?;
        Ok(MediaChunk {
            data: media.data()?,
            next_index: String::from_utf8(media.next_index()?).map_err(|_| SdkCode::NotText)?,
            is_finished: media.is_finished(),
        })
    }
}

impl Drop for Sdk<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `NewSdk` and is owned by this value alone; every call borrows
        // it mutably, so none is running, and it is not used again.
        unsafe { (self.library.functions.destroy_sdk)(self.raw.as_ptr()) }
    }
}

/// Opens one sealed message with its key text; neither handle nor network is needed.
///
/// A damaged record can abort the process here (wecom-sdk 14): call it in the worker only.
///
/// # Errors
/// What `DecryptData` returned.
pub fn decrypt(library: &Library, key_text: &str, encrypt_msg: &str) -> Result<Vec<u8>, SdkCode> {
    let (key, sealed) = (c_string(key_text)?, c_string(encrypt_msg)?);
    let mut slice = Slice::new(library)?;
    // SAFETY: the slice is live; the strings are NUL-terminated and outlive the call.
    let code =
        unsafe { (library.functions.decrypt_data)(key.as_ptr(), sealed.as_ptr(), slice.as_raw()) };
    checked(code)?;
    slice.to_vec()
}

fn checked(code: c_int) -> Result<(), SdkCode> {
    if code == 0 {
        Ok(())
    } else {
        Err(SdkCode::from_return(code))
    }
}

fn c_string(text: &str) -> Result<CString, SdkCode> {
    CString::new(text).map_err(|_| SdkCode::InteriorNul)
}

fn clamped_limit(limit: u32) -> c_uint {
    limit.clamp(1, 1000)
}

fn clamped_timeout(seconds: u32) -> c_int {
    c_int::try_from(seconds.max(1)).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_timeouts_are_clamped() {
        assert_eq!(
            [0, 1, 1000, 1001, u32::MAX].map(clamped_limit),
            [1, 1, 1000, 1000, 1000]
        );
        assert_eq!(
            [0, 1, 5, u32::MAX].map(clamped_timeout),
            [1, 1, 5, c_int::MAX]
        );
    }

    #[test]
    fn a_text_with_a_nul_is_a_parameter_error() {
        assert_eq!(c_string("a\0b").unwrap_err(), SdkCode::InteriorNul);
    }
}
