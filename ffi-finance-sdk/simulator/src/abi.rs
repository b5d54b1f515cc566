//! The 17 functions (wecom-sdk 1.1). They turn pointers into values and back; what a call
//! answers is `play`'s.
//!
//! No panic leaves: it becomes 10003. NULL strings are empty strings, a NULL handle or
//! result object is 10000, freeing NULL does nothing. The structs' fields are filled as the
//! header shows them, every buffer ends in a NUL that its length does not count, and after
//! a successful `GetMediaData` no pointer is NULL.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use huicun_tape::Code;

use crate::live::{self, Kind};
use crate::play::{self, Answer, Credentials};

/// The opaque handle.
pub struct WeWorkFinanceSdk {
    credentials: Option<Credentials>,
}

/// `Slice_t`, with what owns its buffer behind it. A caller sees the first two fields.
#[repr(C)]
pub struct Slice {
    buf: *mut c_char,
    len: c_int,
    owned: Vec<u8>,
}

/// `MediaData_t`, with what owns its buffers behind it. A caller sees the first five fields.
#[repr(C)]
pub struct MediaData {
    outindexbuf: *mut c_char,
    out_len: c_int,
    data: *mut c_char,
    data_len: c_int,
    is_finish: c_int,
    owned_index: Vec<u8>,
    owned_data: Vec<u8>,
}

const fn assert_layout() {
    // LP64, as the header lays them out.
    assert!(std::mem::offset_of!(Slice, buf) == 0 && std::mem::offset_of!(Slice, len) == 8);
    assert!(std::mem::offset_of!(MediaData, outindexbuf) == 0);
    assert!(std::mem::offset_of!(MediaData, out_len) == 8);
    assert!(std::mem::offset_of!(MediaData, data) == 16);
    assert!(std::mem::offset_of!(MediaData, data_len) == 24);
    assert!(std::mem::offset_of!(MediaData, is_finish) == 28);
}
const _: () = assert_layout();

impl Slice {
    /// Takes an answer; the odd ones are what a broken library does.
    fn take(&mut self, answer: Answer) -> Result<(), Code> {
        match answer {
            Answer::Bytes(bytes) => self.fill(bytes),
            Answer::NegativeLength => {
                self.fill(b"x".to_vec())?;
                self.len = -1;
                Ok(())
            }
            Answer::NullContent => {
                self.fill(Vec::new())?;
                (self.buf, self.len) = (ptr::null_mut(), 77);
                Ok(())
            }
        }
    }

    fn fill(&mut self, bytes: Vec<u8>) -> Result<(), Code> {
        let (buf, len) = own(&mut self.owned, bytes)?;
        (self.buf, self.len) = (buf, len);
        Ok(())
    }
}

/// Takes ownership of the bytes with a NUL behind them; their address and length.
fn own(owner: &mut Vec<u8>, mut bytes: Vec<u8>) -> Result<(*mut c_char, c_int), Code> {
    let len = c_int::try_from(bytes.len()).map_err(|_| Code::SYSTEM)?;
    bytes.push(0);
    *owner = bytes;
    Ok((owner.as_mut_ptr().cast(), len))
}

fn guarded(call: impl FnOnce() -> Result<(), Code>) -> c_int {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code.0,
        Err(_) => Code::SYSTEM.0,
    }
}

/// A copy of a C string; NULL is empty, what is not UTF-8 is a bad parameter.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string.
unsafe fn text_of(text: *const c_char) -> Result<String, Code> {
    if text.is_null() {
        return Ok(String::new());
    }
    // SAFETY: not NULL, and NUL-terminated by this function's own contract.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| Code::BAD_PARAMETER)
}

/// The credentials of an initialised handle.
///
/// # Safety
/// `sdk` is NULL or a pointer from `NewSdk`; what was destroyed aborts.
unsafe fn credentials_of(sdk: *mut WeWorkFinanceSdk) -> Result<(Credentials, live::Call), Code> {
    if sdk.is_null() {
        return Err(Code::BAD_PARAMETER);
    }
    let running = live::enter(sdk, Kind::Sdk);
    // SAFETY: `enter` has aborted unless `NewSdk` made it and it is not destroyed; `running`
    // keeps it from being destroyed.
    let credentials = unsafe { &(*sdk).credentials }.clone();
    Ok((credentials.ok_or(Code::BAD_PARAMETER)?, running))
}

/// Makes a handle.
#[unsafe(no_mangle)]
pub extern "C" fn NewSdk() -> *mut WeWorkFinanceSdk {
    let sdk = Box::into_raw(Box::new(WeWorkFinanceSdk { credentials: None }));
    live::born(sdk, Kind::Sdk);
    sdk
}

/// Stores the credentials in a handle.
///
/// # Safety
/// As the header: a handle from `NewSdk`, NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Init(
    sdk: *mut WeWorkFinanceSdk,
    corpid: *const c_char,
    secret: *const c_char,
) -> c_int {
    guarded(|| {
        if sdk.is_null() {
            return Err(Code::BAD_PARAMETER);
        }
        let _running = live::enter(sdk, Kind::Sdk);
        // SAFETY: strings as the caller promises.
        let credentials = unsafe {
            Credentials {
                corpid: text_of(corpid)?,
                secret: text_of(secret)?,
            }
        };
        play::init(&credentials)?;
        // SAFETY: `enter` has aborted unless the handle is live.
        unsafe { (*sdk).credentials = Some(credentials) };
        Ok(())
    })
}

/// Gives up to `limit` sealed records after `seq`, as JSON.
///
/// # Safety
/// As the header: live objects, NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetChatData(
    sdk: *mut WeWorkFinanceSdk,
    seq: c_ulonglong,
    limit: c_uint,
    proxy: *const c_char,
    passwd: *const c_char,
    timeout: c_int,
    chat_datas: *mut Slice,
) -> c_int {
    guarded(|| {
        if chat_datas.is_null() {
            return Err(Code::BAD_PARAMETER);
        }
        let _filling = live::enter(chat_datas, Kind::Slice);
        // SAFETY: `enter` has aborted unless the slice is live.
        unsafe { (*chat_datas).fill(Vec::new())? };
        // SAFETY: handle and strings as the caller promises.
        let (credentials, _running) = unsafe {
            text_of(proxy)?;
            text_of(passwd)?;
            credentials_of(sdk)?
        };
        let json = play::chat_data(&credentials, seq, limit, timeout)?;
        // SAFETY: as above.
        unsafe { (*chat_datas).take(json) }
    })
}

/// Opens one sealed message with its key text.
///
/// # Safety
/// As the header: NUL-terminated strings, a live slice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn DecryptData(
    encrypt_key: *const c_char,
    encrypt_msg: *const c_char,
    msg: *mut Slice,
) -> c_int {
    guarded(|| {
        if msg.is_null() {
            return Err(Code::BAD_PARAMETER);
        }
        let _filling = live::enter(msg, Kind::Slice);
        // SAFETY: `enter` has aborted unless the slice is live.
        unsafe { (*msg).fill(Vec::new())? };
        // SAFETY: strings as the caller promises.
        let (key, sealed) = unsafe {
            let key = text_of(encrypt_key).map_err(|_| Code::KEY_UNPARSABLE)?;
            (key, text_of(encrypt_msg)?)
        };
        let plain = play::decrypt_data(&key, &sealed)?;
        // SAFETY: as above.
        unsafe { (*msg).take(plain) }
    })
}

/// Gives one chunk of a media file.
///
/// # Safety
/// As the header: live objects, NUL-terminated strings; `indexbuf` may belong to `media_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetMediaData(
    sdk: *mut WeWorkFinanceSdk,
    indexbuf: *const c_char,
    sdk_fileid: *const c_char,
    proxy: *const c_char,
    passwd: *const c_char,
    timeout: c_int,
    media_data: *mut MediaData,
) -> c_int {
    guarded(|| {
        if media_data.is_null() {
            return Err(Code::BAD_PARAMETER);
        }
        let _filling = live::enter(media_data, Kind::Media);
        // SAFETY: handle and strings as the caller promises. The index is copied before the
        // object that may own it is touched.
        let (index, fileid, credentials, _running) = unsafe {
            text_of(proxy)?;
            text_of(passwd)?;
            let (credentials, running) = credentials_of(sdk)?;
            (
                text_of(indexbuf)?,
                text_of(sdk_fileid)?,
                credentials,
                running,
            )
        };
        let (data, next_index, is_finished) =
            play::media_data(&credentials, &index, &fileid, timeout)?;
        // SAFETY: `enter` has aborted unless the object is live.
        let media = unsafe { &mut *media_data };
        (media.outindexbuf, media.out_len) = own(&mut media.owned_index, next_index.into_bytes())?;
        (media.data, media.data_len) = own(&mut media.owned_data, data)?;
        media.is_finish = c_int::from(is_finished);
        Ok(())
    })
}

/// Destroys a handle.
///
/// # Safety
/// A handle from `NewSdk` or NULL; a second time aborts, and so does a running call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn DestroySdk(sdk: *mut WeWorkFinanceSdk) {
    if !sdk.is_null() {
        live::freed(sdk, Kind::Sdk);
        // SAFETY: `freed` has aborted unless this is the first time for a handle that
        // `NewSdk` made from a box.
        drop(unsafe { Box::from_raw(sdk) });
    }
}

/// Makes an empty slice.
#[unsafe(no_mangle)]
pub extern "C" fn NewSlice() -> *mut Slice {
    let slice = Box::into_raw(Box::new(Slice {
        buf: ptr::null_mut(),
        len: 0,
        owned: Vec::new(),
    }));
    live::born(slice, Kind::Slice);
    slice
}

/// Frees a slice and its buffer.
///
/// # Safety
/// A slice from `NewSlice` or NULL; a second time aborts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FreeSlice(slice: *mut Slice) {
    if !slice.is_null() {
        live::freed(slice, Kind::Slice);
        // SAFETY: `freed` has aborted unless this is the first time for a slice that
        // `NewSlice` made from a box.
        drop(unsafe { Box::from_raw(slice) });
    }
}

/// Reads a field of a live object; NULL gives the fallback.
macro_rules! accessor {
    ($(#[$doc:meta])* $name:ident, $object:ty, $kind:expr, $field:ident, $result:ty, $fallback:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// A live object or NULL; one that was freed aborts.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(object: *mut $object) -> $result {
            if object.is_null() {
                return $fallback;
            }
            live::check(object, $kind);
            // SAFETY: `check` has aborted unless the object is live.
            unsafe { (*object).$field }
        }
    };
}

accessor!(/// The text of a slice.
    GetContentFromSlice, Slice, Kind::Slice, buf, *mut c_char, ptr::null_mut());
accessor!(/// The bytes of a slice.
    GetSliceLen, Slice, Kind::Slice, len, c_int, 0);
accessor!(/// The index of the next chunk.
    GetOutIndexBuf, MediaData, Kind::Media, outindexbuf, *mut c_char, ptr::null_mut());
accessor!(/// The bytes of that index.
    GetIndexLen, MediaData, Kind::Media, out_len, c_int, 0);
accessor!(/// The content of this chunk.
    GetData, MediaData, Kind::Media, data, *mut c_char, ptr::null_mut());
accessor!(/// The bytes of this chunk.
    GetDataLen, MediaData, Kind::Media, data_len, c_int, 0);
accessor!(/// 1 after the last chunk.
    IsMediaDataFinish, MediaData, Kind::Media, is_finish, c_int, 0);

/// Makes an empty media object.
#[unsafe(no_mangle)]
pub extern "C" fn NewMediaData() -> *mut MediaData {
    let media = Box::into_raw(Box::new(MediaData {
        outindexbuf: ptr::null_mut(),
        out_len: 0,
        data: ptr::null_mut(),
        data_len: 0,
        is_finish: 0,
        owned_index: Vec::new(),
        owned_data: Vec::new(),
    }));
    live::born(media, Kind::Media);
    media
}

/// Frees a media object and its buffers.
///
/// # Safety
/// An object from `NewMediaData` or NULL; a second time aborts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FreeMediaData(media_data: *mut MediaData) {
    if !media_data.is_null() {
        live::freed(media_data, Kind::Media);
        // SAFETY: `freed` has aborted unless this is the first time for an object that
        // `NewMediaData` made from a box.
        drop(unsafe { Box::from_raw(media_data) });
    }
}
