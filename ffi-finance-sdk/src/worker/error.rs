//! Why a call through the worker failed, and what may help.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::code::SdkCode;
use crate::library::LoadError;
use crate::page::{ApiError, PageError};

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By a signal, as a crash does.
    Signal(i32),
    /// With this status.
    Status(i32),
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Signal(libc::SIGABRT) => f.write_str("SIGABRT"),
            Exit::Signal(libc::SIGSEGV) => f.write_str("SIGSEGV"),
            Exit::Signal(libc::SIGBUS) => f.write_str("SIGBUS"),
            Exit::Signal(libc::SIGKILL) => f.write_str("SIGKILL"),
            Exit::Signal(number) => write!(f, "signal {number}"),
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Unknown => f.write_str("an unknown end"),
        }
    }
}

/// Why a call through the worker failed. No secret and no message text is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The library returned a code.
    #[error("the SDK failed: {0}")]
    Sdk(#[from] SdkCode),
    /// WeCom's server refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The page cannot be read.
    #[error(transparent)]
    MalformedPage(PageError),
    /// The child died during the call.
    #[error("the SDK worker died during the call: {exit}")]
    Crashed {
        /// How.
        exit: Exit,
    },
    /// The child gave no answer and was killed.
    #[error("the SDK worker gave no answer within {} ms and was killed", after.as_millis())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The child grew past its bound during the call and was killed.
    #[error("the SDK worker grew to {rss_bytes} bytes, above {bytes_max}, and was killed")]
    MemoryExceeded {
        /// What it had.
        rss_bytes: u64,
        /// What it may have.
        bytes_max: u64,
    },
    /// The child answered something that makes no sense, and was killed.
    #[error("the SDK worker broke the protocol and was killed: {why}")]
    Protocol {
        /// What was wrong.
        why: &'static str,
    },
    /// The library could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The child could not be started.
    #[error("cannot start the SDK worker `{}`: {why}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// A search for the records that kill the child was given up.
    #[error("the SDK worker was lost {n_losses} times while looking for the records that kill it")]
    TooManyLosses {
        /// How often.
        n_losses: u32,
    },
}

impl CallError {
    /// Whether the call cost the child its life. What was asked may be to blame.
    pub fn is_worker_lost(&self) -> bool {
        matches!(
            self,
            Self::Crashed { .. }
                | Self::TimedOut { .. }
                | Self::MemoryExceeded { .. }
                | Self::Protocol { .. }
        )
    }

    /// Whether what a page holds may be to blame, so that a smaller one may do.
    pub fn may_be_the_page(&self) -> bool {
        let is_content = |code: &SdkCode| {
            matches!(
                code,
                SdkCode::NullContent | SdkCode::NegativeLength | SdkCode::TooLarge
            )
        };
        match self {
            Self::Sdk(code) => is_content(code),
            Self::MalformedPage(_) => true,
            other => other.is_worker_lost(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Sdk(code) => code.is_retryable(),
            Self::Api(api) => api.code.is_retryable(),
            Self::Load(_) => false,
            Self::MalformedPage(_)
            | Self::Crashed { .. }
            | Self::TimedOut { .. }
            | Self::MemoryExceeded { .. }
            | Self::Protocol { .. }
            | Self::Spawn { .. }
            | Self::TooManyLosses { .. } => true,
        }
    }

    /// The least time to wait before the same call; zero when it would not help.
    pub fn wait_at_least(&self) -> Duration {
        match self {
            Self::Sdk(code) => code.wait_at_least(),
            Self::Api(api) => api.code.wait_at_least(),
            Self::Load(_) => Duration::ZERO,
            Self::MalformedPage(_) => Duration::from_secs(1),
            Self::Crashed { .. }
            | Self::TimedOut { .. }
            | Self::MemoryExceeded { .. }
            | Self::Protocol { .. } => Duration::from_secs(1),
            Self::Spawn { .. } => Duration::from_secs(5),
            Self::TooManyLosses { .. } => Duration::from_secs(60),
        }
    }

    /// What the operator can do, in Chinese.
    pub fn advice_zh(&self) -> &'static str {
        match self {
            Self::Sdk(code) => code.advice_zh(),
            Self::Api(api) => api.code.advice_zh(),
            Self::Load(error) => error.advice_zh(),
            Self::MalformedPage(_) => "返回的数据不完整:将自动重试,游标不动;若持续出现请检查代理",
            Self::Crashed { .. } | Self::Protocol { .. } => {
                "SDK 子进程崩溃,已自动重启,数据未丢失;若频繁出现请更换 SDK 版本"
            }
            Self::TimedOut { .. } => "SDK 调用超时,子进程已重启;若频繁出现请检查网络,或调大超时",
            Self::MemoryExceeded { .. } => {
                "SDK 子进程内存超限,已重启;若频繁出现请减小每页条数或调大上限"
            }
            Self::Spawn { .. } => "无法启动 SDK 子进程:请检查程序文件的权限、内存和进程数限制",
            Self::TooManyLosses { .. } => "SDK 对大量记录崩溃:请更换 SDK 版本后重试",
        }
    }

    /// What the operator can do, in English.
    pub fn advice_en(&self) -> &'static str {
        match self {
            Self::Sdk(code) => code.advice_en(),
            Self::Api(api) => api.code.advice_en(),
            Self::Load(error) => error.advice_en(),
            Self::MalformedPage(_) => {
                "the answer was spoilt: it is asked for again from the same cursor; if it stays, check the proxy"
            }
            Self::Crashed { .. } | Self::Protocol { .. } => {
                "the SDK's child process crashed and was started again, nothing is lost; if it happens often, use another SDK version"
            }
            Self::TimedOut { .. } => {
                "an SDK call took too long and its child process was started again; if it happens often, check the network or raise the timeout"
            }
            Self::MemoryExceeded { .. } => {
                "the SDK's child process grew too large and was started again; if it happens often, use smaller pages or raise the bound"
            }
            Self::Spawn { .. } => {
                "the SDK's child process cannot be started: check the program's permissions, memory and the limit on processes"
            }
            Self::TooManyLosses { .. } => {
                "the SDK crashes on many records: try another SDK version"
            }
        }
    }
}

impl From<PageError> for CallError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Api(api) => Self::Api(api),
            other => Self::MalformedPage(other),
        }
    }
}
