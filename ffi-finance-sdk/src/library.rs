//! Loading the SDK: which file it is, whether it can run here, and its 17 functions.
//!
//! The file is looked at before it is loaded, because the dynamic linker's own messages do
//! not tell a Windows DLL from a truncated download, nor the Java flavour from the C one.
//! It is loaded with `RTLD_NOW | RTLD_LOCAL` (its OpenSSL must not meet another) and never
//! closed: libcurl and OpenSSL keep state for the life of the process.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use libloading::os::unix::{self, RTLD_LOCAL, RTLD_NOW};

/// The library's handle; never looked into.
pub(crate) enum RawSdk {}
/// `Slice_t`; read through the accessors only.
pub(crate) enum RawSlice {}
/// `MediaData_t`; read through the accessors only.
pub(crate) enum RawMedia {}

/// Declares the function table and how it is filled, so that no name is written twice.
macro_rules! functions {
    ($($field:ident = $symbol:literal: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        /// The 17 functions (wecom-sdk 1.1).
        #[derive(Clone, Copy)]
        #[allow(clippy::type_complexity)]
        pub(crate) struct Functions {
            $(pub $field: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        /// Their names, as the library exports them.
        const SYMBOLS: &[&str] = &[$($symbol),*];

        impl Functions {
            /// The table, or the names that are not exported.
            fn resolve(library: &unix::Library) -> Result<Self, Vec<String>> {
                let missing: Vec<String> = SYMBOLS
                    .iter()
                    .filter(|name| !exports(library, name))
                    .map(|name| (*name).to_owned())
                    .collect();
                if !missing.is_empty() {
                    return Err(missing);
                }
                Ok(Self {
                    // SAFETY: in the C flavour of the SDK the name has this type: every published
                    // header declares it so (wecom-sdk 1.1), and only that flavour exports it.
                    $($field: unsafe { function(library, $symbol) }.ok_or_else(|| vec![$symbol.to_owned()])?,)*
                })
            }
        }
    };
}

functions! {
    new_sdk = "NewSdk": fn() -> *mut RawSdk;
    init = "Init": fn(*mut RawSdk, *const c_char, *const c_char) -> c_int;
    get_chat_data = "GetChatData": fn(*mut RawSdk, c_ulonglong, c_uint, *const c_char, *const c_char, c_int, *mut RawSlice) -> c_int;
    decrypt_data = "DecryptData": fn(*const c_char, *const c_char, *mut RawSlice) -> c_int;
    get_media_data = "GetMediaData": fn(*mut RawSdk, *const c_char, *const c_char, *const c_char, *const c_char, c_int, *mut RawMedia) -> c_int;
    destroy_sdk = "DestroySdk": fn(*mut RawSdk);
    new_slice = "NewSlice": fn() -> *mut RawSlice;
    free_slice = "FreeSlice": fn(*mut RawSlice);
    get_content_from_slice = "GetContentFromSlice": fn(*mut RawSlice) -> *mut c_char;
    get_slice_len = "GetSliceLen": fn(*mut RawSlice) -> c_int;
    new_media_data = "NewMediaData": fn() -> *mut RawMedia;
    free_media_data = "FreeMediaData": fn(*mut RawMedia);
    get_out_index_buf = "GetOutIndexBuf": fn(*mut RawMedia) -> *mut c_char;
    get_data = "GetData": fn(*mut RawMedia) -> *mut c_char;
    get_index_len = "GetIndexLen": fn(*mut RawMedia) -> c_int;
    get_data_len = "GetDataLen": fn(*mut RawMedia) -> c_int;
    is_media_data_finish = "IsMediaDataFinish": fn(*mut RawMedia) -> c_int;
}

/// What only the Java flavour exports.
const JNI_SYMBOL: &str = "Java_com_tencent_wework_Finance_NewSdk";

/// Why the SDK could not be loaded. Trying again without a change never helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("no SDK library at `{}`", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the SDK library `{}`: {why}", path.display())]
    Unreadable {
        /// The path asked for.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// The file is no Linux shared library.
    #[error("`{}` is not a Linux shared library but {found}", path.display())]
    NotElf {
        /// The path asked for.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// The file is a 32-bit library.
    #[error("`{}` is a 32-bit library; a 64-bit one is needed", path.display())]
    ThirtyTwoBit {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is for another processor.
    #[error("`{}` is for {found}, this machine is {expected}", path.display())]
    WrongArchitecture {
        /// The path asked for.
        path: PathBuf,
        /// The processor that it is for.
        found: String,
        /// This machine's.
        expected: String,
    },
    /// The file is the Java flavour of the SDK.
    #[error("`{}` is the Java (JNI) build of the SDK; the C build is needed", path.display())]
    JniBuild {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is a library, and not (a whole) SDK.
    #[error("`{}` does not export {}", path.display(), symbols.join(", "))]
    MissingSymbols {
        /// The path asked for.
        path: PathBuf,
        /// The names that are missing.
        symbols: Vec<String>,
    },
    /// The dynamic linker refused, mostly for a missing dependency.
    #[error("cannot load `{}`: {why}", path.display())]
    Linker {
        /// The path asked for.
        path: PathBuf,
        /// The dynamic linker's words.
        why: String,
    },
}

impl LoadError {
    /// What the operator can do, in Chinese.
    pub fn advice_zh(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "请从企业微信官方文档 91774 下载 C 版 SDK,解压后把配置中的路径指向 libWeWorkFinanceSdk_C.so"
            }
            Self::Unreadable { .. } => "请检查文件权限,运行账号需要能读取该文件",
            Self::NotElf { .. } => {
                "请使用 Linux 版 C SDK 中解压出来的 libWeWorkFinanceSdk_C.so(不是压缩包,也不是 Windows DLL)"
            }
            Self::ThirtyTwoBit { .. } => {
                "官方没有 32 位的 Linux 版,请重新下载 x86 或 arm 的 64 位 SDK"
            }
            Self::WrongArchitecture { .. } => {
                "请下载与本机处理器一致的 SDK:x86-64 用 sdk_x86_v3,arm64 用 sdk_arm_v3"
            }
            Self::JniBuild { .. } => {
                "这是 Java 版(libWeWorkFinanceSdk_Java.so 或其改名),请改用 C 版 libWeWorkFinanceSdk_C.so"
            }
            Self::MissingSymbols { .. } => "该文件不是完整的企业微信会话存档 C SDK,请重新下载",
            Self::Linker { .. } => {
                "请安装错误中提到的依赖库;SDK 需要 glibc(不支持 musl),不能有 noexec 挂载"
            }
        }
    }

    /// What the operator can do, in English.
    pub fn advice_en(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "download the C SDK from WeCom's official document 91774, unpack it and point the configuration at libWeWorkFinanceSdk_C.so"
            }
            Self::Unreadable { .. } => {
                "check the permissions of the file: the account that runs this must be able to read it"
            }
            Self::NotElf { .. } => {
                "use libWeWorkFinanceSdk_C.so unpacked from the Linux C SDK (not the archive, not a Windows DLL)"
            }
            Self::ThirtyTwoBit { .. } => {
                "there is no official 32-bit build for Linux: download the 64-bit one for x86 or arm"
            }
            Self::WrongArchitecture { .. } => {
                "download the SDK for this machine's processor: sdk_x86_v3 for x86-64, sdk_arm_v3 for arm64"
            }
            Self::JniBuild { .. } => {
                "this is the Java build (libWeWorkFinanceSdk_Java.so, perhaps renamed): use the C build, libWeWorkFinanceSdk_C.so"
            }
            Self::MissingSymbols { .. } => {
                "this file is not a whole C SDK of WeCom's session archive: download it again"
            }
            Self::Linker { .. } => {
                "install the dependency that the error names; the SDK needs glibc (not musl) and a mount that allows execution"
            }
        }
    }
}

/// The loaded SDK. One is enough for a process, and it stays for good.
#[derive(Clone, Copy)]
pub struct Library {
    pub(crate) functions: Functions,
}

impl Library {
    /// Loads the SDK. Its initialisers run in this process: call it in the worker only.
    ///
    /// # Errors
    /// See [`LoadError`]; each has its advice.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        inspect(path)?;
        // Without a slash the dynamic linker would search its own folders.
        let absolute = std::path::absolute(path).map_err(|e| unreadable(path, &e))?;
        // SAFETY: running a foreign library's initialisers is the purpose; the operator names
        // the file, and the process is a worker made to be lost.
        let library = unsafe { unix::Library::open(Some(&absolute), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|e| LoadError::Linker {
                path: path.to_owned(),
                why: linker_words(&e),
            })?;
        let resolved = Functions::resolve(&library);
        let is_jni = exports(&library, JNI_SYMBOL);
        // Never closed, even if it is the wrong one: its initialisers have run.
        std::mem::forget(library);
        let path = path.to_owned();
        match resolved {
            Ok(functions) => Ok(Self { functions }),
            Err(_) if is_jni => Err(LoadError::JniBuild { path }),
            Err(symbols) => Err(LoadError::MissingSymbols { path, symbols }),
        }
    }
}

/// An exported function as a function pointer.
///
/// # Safety
/// `F` is the function pointer type that the exported function has.
unsafe fn function<F: Copy>(library: &unix::Library, name: &str) -> Option<F> {
    // SAFETY: the type is the caller's promise. The pointer stays valid because the library is
    // never closed, and it is not NULL because `exports` has looked.
    unsafe { library.get::<F>(name) }.ok().map(|symbol| *symbol)
}

fn exports(library: &unix::Library, name: &str) -> bool {
    // SAFETY: the address is not used, so its type is of no consequence.
    unsafe { library.get::<*mut c_void>(name) }.is_ok_and(|address| !address.is_null())
}

fn linker_words(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { source } => source.to_string(),
        other => other.to_string(),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> LoadError {
    LoadError::Unreadable {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

/// Looks at the file without loading it: is it a 64-bit Linux library for this machine?
///
/// # Errors
/// Every [`LoadError`] that the file's first bytes can tell.
pub fn inspect(path: &Path) -> Result<(), LoadError> {
    let mut head = Vec::with_capacity(64);
    match File::open(path) {
        Ok(file) => file
            .take(64)
            .read_to_end(&mut head)
            .map_err(|e| unreadable(path, &e))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(LoadError::Missing {
                path: path.to_owned(),
            });
        }
        Err(e) => return Err(unreadable(path, &e)),
    };
    inspect_head(path, &head)
}

fn inspect_head(path: &Path, head: &[u8]) -> Result<(), LoadError> {
    let not_elf = |found: &str| LoadError::NotElf {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    if !head.starts_with(b"\x7fELF") {
        return Err(not_elf(kind_of(head)));
    }
    let Some(&[class, byte_order]) = head.get(4..6) else {
        return Err(not_elf("a truncated library"));
    };
    if class == 1 {
        return Err(LoadError::ThirtyTwoBit {
            path: path.to_owned(),
        });
    }
    let half = |at: usize| {
        let bytes = [*head.get(at)?, *head.get(at + 1)?];
        Some(if byte_order == 2 {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let (Some(kind), Some(machine), 64) = (half(16), half(18), head.len()) else {
        return Err(not_elf("a truncated library"));
    };
    let found = machine_name(machine);
    if found != std::env::consts::ARCH {
        return Err(LoadError::WrongArchitecture {
            path: path.to_owned(),
            found,
            expected: std::env::consts::ARCH.to_owned(),
        });
    }
    match kind {
        3 => Ok(()),
        1 => Err(not_elf("an object file")),
        2 => Err(not_elf("a program")),
        _ => Err(not_elf("another kind of ELF file")),
    }
}

fn kind_of(head: &[u8]) -> &'static str {
    match head {
        [] => "an empty file",
        [b'M', b'Z', ..] => "a Windows DLL",
        [0x1f, 0x8b, ..] => "a gzip archive that was not unpacked",
        [b'P', b'K', 3, 4, ..] => "a zip archive that was not unpacked",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => "a macOS library",
        [b'<', ..] => "an HTML or XML page",
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => "a Git LFS pointer or another text",
        _ => "another kind of file",
    }
}

/// The names that `std::env::consts::ARCH` uses, for the machines one may meet.
fn machine_name(machine: u16) -> String {
    match machine {
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        3 => "x86".to_owned(),
        40 => "arm".to_owned(),
        22 => "s390x".to_owned(),
        21 => "powerpc64".to_owned(),
        243 => "riscv64".to_owned(),
        258 => "loongarch64".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_seventeen_functions() {
        assert_eq!(SYMBOLS.len(), 17);
    }

    #[test]
    fn every_file_head_gives_a_verdict() {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[16] = 3;
        head[18] = if cfg!(target_arch = "x86_64") {
            62
        } else {
            183
        };
        let path = Path::new("x.so");
        assert_eq!(inspect_head(path, &head), Ok(()));
        for cut in 0..64 {
            assert!(
                matches!(
                    inspect_head(path, &head[..cut]),
                    Err(LoadError::NotElf { .. })
                ),
                "{cut}"
            );
        }
        let with = |at: usize, byte: u8| {
            let mut other = head.clone();
            other[at] = byte;
            inspect_head(path, &other)
        };
        assert!(matches!(with(4, 1), Err(LoadError::ThirtyTwoBit { .. })));
        assert!(matches!(
            with(18, 8),
            Err(LoadError::WrongArchitecture { .. })
        ));
        assert!(matches!(with(16, 2), Err(LoadError::NotElf { .. })));
        for (start, word) in [
            (&b"MZ"[..], "Windows"),
            (b"\x1f\x8b", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"<html>", "HTML"),
        ] {
            assert!(
                inspect_head(path, start)
                    .unwrap_err()
                    .to_string()
                    .contains(word)
            );
        }
    }
}
