//! What the SDK's numbers mean and what to do about them (wecom-sdk 2).
//!
//! Two families: the `int` that a C function returns ([`SdkCode`]) and the `errcode` in the
//! JSON of a page ([`ApiCode`]). Each says whether trying the same call again helps, how
//! long to wait before, and what an operator can do.

use std::fmt;
use std::time::Duration;

/// What one code means: a row of the tables below.
struct Meaning {
    name: &'static str,
    /// Seconds to wait before trying again; `None` when trying again cannot help.
    retry_after: Option<u64>,
    zh: &'static str,
    en: &'static str,
}

const fn permanent(name: &'static str, zh: &'static str, en: &'static str) -> Meaning {
    Meaning {
        name,
        retry_after: None,
        zh,
        en,
    }
}

const fn passing(name: &'static str, seconds: u64, zh: &'static str, en: &'static str) -> Meaning {
    Meaning {
        name,
        retry_after: Some(seconds),
        zh,
        en,
    }
}

/// Why a function of the library failed: its return code, or what this wrapper found wrong
/// with what went in or came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SdkCode {
    /// 10000.
    BadParameter,
    /// 10001.
    Network,
    /// 10002.
    BadResponse,
    /// 10003.
    System,
    /// 10004, no longer returned.
    KeyEncryption,
    /// 10005.
    FileId,
    /// 10006.
    Decryption,
    /// 10007, no longer returned.
    NoPrivateKey,
    /// 10008.
    KeyUnparsable,
    /// 10009.
    IpNotAllowed,
    /// 10010.
    Expired,
    /// 10011.
    Certificate,
    /// Any other number that the library returned.
    Unknown(i32),
    /// Found here: a text for the library contains a NUL, so no C string can hold it.
    InteriorNul,
    /// Found here: the library made no object.
    NullObject,
    /// Found here: a length above zero, and no content.
    NullContent,
    /// Found here: a negative length.
    NegativeLength,
    /// Found here: an answer above [`crate::CONTENT_BYTES_MAX`].
    TooLarge,
    /// Found here: a media index that is not text.
    NotText,
}

impl SdkCode {
    /// The code for a non-zero number that a function returned.
    pub fn from_return(number: i32) -> Self {
        match number {
            10000 => Self::BadParameter,
            10001 => Self::Network,
            10002 => Self::BadResponse,
            10003 => Self::System,
            10004 => Self::KeyEncryption,
            10005 => Self::FileId,
            10006 => Self::Decryption,
            10007 => Self::NoPrivateKey,
            10008 => Self::KeyUnparsable,
            10009 => Self::IpNotAllowed,
            10010 => Self::Expired,
            10011 => Self::Certificate,
            // Our own, as `number` writes them. The library returns no negative numbers.
            -10000 => Self::InteriorNul,
            -10001 => Self::NullObject,
            -10002 => Self::NullContent,
            -10003 => Self::NegativeLength,
            -10004 => Self::TooLarge,
            -10005 => Self::NotText,
            other => Self::Unknown(other),
        }
    }

    /// The number of this code; negative for what this wrapper found.
    pub fn number(self) -> i32 {
        match self {
            Self::BadParameter => 10000,
            Self::Network => 10001,
            Self::BadResponse => 10002,
            Self::System => 10003,
            Self::KeyEncryption => 10004,
            Self::FileId => 10005,
            Self::Decryption => 10006,
            Self::NoPrivateKey => 10007,
            Self::KeyUnparsable => 10008,
            Self::IpNotAllowed => 10009,
            Self::Expired => 10010,
            Self::Certificate => 10011,
            Self::InteriorNul => -10000,
            Self::NullObject => -10001,
            Self::NullContent => -10002,
            Self::NegativeLength => -10003,
            Self::TooLarge => -10004,
            Self::NotText => -10005,
            Self::Unknown(number) => number,
        }
    }

    /// A short stable name, for logs and counters.
    pub fn name(self) -> &'static str {
        self.meaning().name
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        self.meaning().retry_after.is_some()
    }

    /// The least time to wait before the same call; zero when it would not help.
    pub fn wait_at_least(self) -> Duration {
        Duration::from_secs(self.meaning().retry_after.unwrap_or(0))
    }

    /// What the operator can do, in Chinese.
    pub fn advice_zh(self) -> &'static str {
        self.meaning().zh
    }

    /// What the operator can do, in English.
    pub fn advice_en(self) -> &'static str {
        self.meaning().en
    }

    fn meaning(self) -> Meaning {
        match self {
            Self::BadParameter => permanent(
                "bad_parameter",
                "参数错误:请检查 corpid 和会话存档 secret(不是应用 secret)、limit(1 到 1000)、媒体 sdkfileid 和断点索引",
                "bad parameter: check corpid and the session-archive secret (not an app secret), the limit (1 to 1000), the media sdkfileid and index",
            ),
            Self::Network => passing(
                "network",
                1,
                "网络错误:将自动重试;若持续出现,请检查到 qyapi.weixin.qq.com:443 的出网、代理地址和代理账号密码",
                "network failure: it is tried again; if it stays, check the way out to qyapi.weixin.qq.com:443, the proxy and its credentials",
            ),
            Self::BadResponse => passing(
                "bad_response",
                1,
                "返回数据解析失败:将自动重试;个别视频文件会一直如此",
                "the server's answer could not be parsed: it is tried again; some video files give this for ever",
            ),
            Self::System => passing(
                "system",
                1,
                "SDK 系统错误:将自动重试;若持续出现,请检查内存和磁盘",
                "system failure inside the SDK: it is tried again; if it stays, check memory and disk",
            ),
            Self::KeyEncryption => permanent(
                "key_encryption",
                "密钥错误导致加密失败(已废弃的错误码):请更新 SDK",
                "a key error made encryption fail (a code no longer in use): update the SDK",
            ),
            Self::FileId => permanent(
                "file_id",
                "媒体 sdkfileid 错误或已失效:该文件无法再下载",
                "the media sdkfileid is wrong or no longer valid: this file cannot be fetched any more",
            ),
            Self::Decryption => permanent(
                "decryption",
                "解密失败:请检查该 publickey_ver 对应的私钥是否正确",
                "decryption failed: check that the private key belongs to this publickey_ver",
            ),
            Self::NoPrivateKey => permanent(
                "no_private_key",
                "找不到该版本的私钥(已废弃的错误码):请更新 SDK",
                "no private key of that version (a code no longer in use): update the SDK",
            ),
            Self::KeyUnparsable => permanent(
                "key_unparsable",
                "encrypt_random_key 解析失败:多为私钥版本不符,请检查该 publickey_ver 的私钥,补齐后重试隔离的记录",
                "the key text could not be used: mostly a private key of another version; check the key of this publickey_ver, then retry the quarantined records",
            ),
            Self::IpNotAllowed => passing(
                "ip_not_allowed",
                300,
                "IP 不在可信名单:请在管理后台 会话内容存档 的可信 IP 中加入本机的出口 IP",
                "this IP is not on the trusted list: add this host's outgoing address to the session archive's trusted IPs in the admin console",
            ),
            Self::Expired => permanent(
                "expired",
                "数据已过期:只能拉取 5 天内的消息和文件",
                "the data have expired: messages and files can be fetched for 5 days",
            ),
            Self::Certificate => passing(
                "certificate",
                300,
                "证书错误:请检查系统证书、系统时间和 SDK 版本(v3 使用 OpenSSL 3.0)",
                "certificate error: check the system's certificates and clock, and the SDK's version (v3 uses OpenSSL 3.0)",
            ),
            Self::Unknown(_) => passing(
                "unknown",
                60,
                "SDK 返回了未知错误码:将较慢地重试,请对照官方文档 91774",
                "the SDK returned an unknown code: it is tried again slowly; look it up in the official document 91774",
            ),
            Self::InteriorNul => permanent(
                "interior_nul",
                "参数中含有 NUL 字符,无法传给 SDK:请检查配置或该条记录",
                "a parameter contains a NUL and cannot be given to the SDK: check the configuration or the record",
            ),
            Self::NullObject => passing(
                "null_object",
                5,
                "SDK 未能分配对象:请检查内存",
                "the SDK made no object: check memory",
            ),
            Self::NullContent => passing(
                "null_content",
                5,
                "SDK 返回了长度却没有内容:将自动重试;若持续出现请更换 SDK 版本",
                "the SDK gave a length without content: it is tried again; if it stays, use another SDK version",
            ),
            Self::NegativeLength => passing(
                "negative_length",
                5,
                "SDK 返回了负的长度:将自动重试;若持续出现请更换 SDK 版本",
                "the SDK gave a negative length: it is tried again; if it stays, use another SDK version",
            ),
            Self::TooLarge => permanent(
                "too_large",
                "SDK 返回的内容超过上限(256 MiB):请减小每页条数",
                "the SDK's answer is above the bound (256 MiB): use smaller pages",
            ),
            Self::NotText => passing(
                "not_text",
                5,
                "SDK 返回的断点索引不是文本:将自动重试",
                "the media index from the SDK is not text: it is tried again",
            ),
        }
    }
}

impl fmt::Display for SdkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            found_here if found_here < 0 && !matches!(self, Self::Unknown(_)) => {
                f.write_str(self.name())
            }
            number => write!(f, "{} ({number})", self.name()),
        }
    }
}

impl std::error::Error for SdkCode {}

/// The `errcode` in the JSON of a page, zero excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiCode {
    /// -1.
    Busy,
    /// 40001.
    InvalidSecret,
    /// 41001.
    TokenMissing,
    /// 301042.
    IpNotAllowed,
    /// 301052.
    ServiceExpired,
    /// 301053.
    NotEnabled,
    /// 301058.
    RequestTooLarge,
    /// 45009.
    RateExceeded,
    /// 48002.
    NoPermission,
    /// Any other.
    Unknown(i64),
}

impl ApiCode {
    /// The code of an `errcode`.
    pub fn from_errcode(errcode: i64) -> Self {
        match errcode {
            -1 => Self::Busy,
            40001 => Self::InvalidSecret,
            41001 => Self::TokenMissing,
            301042 => Self::IpNotAllowed,
            301052 => Self::ServiceExpired,
            301053 => Self::NotEnabled,
            301058 => Self::RequestTooLarge,
            45009 => Self::RateExceeded,
            48002 => Self::NoPermission,
            other => Self::Unknown(other),
        }
    }

    /// The `errcode` of this code.
    pub fn errcode(self) -> i64 {
        match self {
            Self::Busy => -1,
            Self::InvalidSecret => 40001,
            Self::TokenMissing => 41001,
            Self::IpNotAllowed => 301042,
            Self::ServiceExpired => 301052,
            Self::NotEnabled => 301053,
            Self::RequestTooLarge => 301058,
            Self::RateExceeded => 45009,
            Self::NoPermission => 48002,
            Self::Unknown(errcode) => errcode,
        }
    }

    /// A short stable name, for logs and counters.
    pub fn name(self) -> &'static str {
        self.meaning().name
    }

    /// Whether the same call may succeed later. What an operator can mend while we run (an
    /// IP list, a licence, a secret) counts, with a long wait.
    pub fn is_retryable(self) -> bool {
        self.meaning().retry_after.is_some()
    }

    /// Whether a smaller `limit` may help at once.
    pub fn wants_smaller_page(self) -> bool {
        self == Self::RequestTooLarge
    }

    /// The least time to wait before the same call; zero when it would not help.
    pub fn wait_at_least(self) -> Duration {
        Duration::from_secs(self.meaning().retry_after.unwrap_or(0))
    }

    /// What the operator can do, in Chinese.
    pub fn advice_zh(self) -> &'static str {
        self.meaning().zh
    }

    /// What the operator can do, in English.
    pub fn advice_en(self) -> &'static str {
        self.meaning().en
    }

    fn meaning(self) -> Meaning {
        match self {
            Self::Busy => passing(
                "busy",
                5,
                "企业微信服务繁忙:将自动重试",
                "WeCom's server is busy: it is tried again",
            ),
            Self::InvalidSecret => permanent(
                "invalid_secret",
                "secret 无效:请使用 会话内容存档 的 secret,并先配置可信 IP",
                "invalid secret: use the secret of the session archive, and set the trusted IPs first",
            ),
            Self::TokenMissing => permanent(
                "token_missing",
                "缺少凭证:请检查 corpid、会话存档 secret 和可信 IP",
                "the credential is missing: check corpid, the archive secret and the trusted IPs",
            ),
            Self::IpNotAllowed => passing(
                "ip_not_allowed",
                300,
                "IP 不在可信名单:请在管理后台 会话内容存档 的可信 IP 中加入本机的出口 IP(NAT 之后以 errmsg 中的地址为准)",
                "this IP is not on the trusted list: add this host's outgoing address (behind NAT, the one in errmsg) to the session archive's trusted IPs in the admin console",
            ),
            Self::ServiceExpired => passing(
                "service_expired",
                3600,
                "会话存档服务已过期:请续费;到期期间的消息只保留 5 天",
                "the archive service has expired: renew it; messages are kept for 5 days only",
            ),
            Self::NotEnabled => passing(
                "not_enabled",
                3600,
                "企业未开通会话存档:请在管理后台开通并设置成员范围和公钥",
                "the archive is not enabled for this company: enable it in the admin console, with its members and public key",
            ),
            Self::RequestTooLarge => permanent(
                "request_too_large",
                "一次拉取的数据过大:将减小每页条数",
                "the page asked for is too large: use a smaller limit",
            ),
            Self::RateExceeded => passing(
                "rate_exceeded",
                60,
                "调用频率超限(每分钟 600 次):60 秒后自动重试;请确认没有其他程序在拉取同一企业",
                "rate exceeded (600 calls a minute): it is tried again after 60 seconds; make sure that no other program pulls for this company",
            ),
            Self::NoPermission => permanent(
                "no_permission",
                "没有接口权限:请确认 secret 属于 会话内容存档",
                "no permission for this API: make sure that the secret is the session archive's",
            ),
            Self::Unknown(_) => passing(
                "unknown",
                60,
                "企业微信返回了未知错误码:将较慢地重试,请对照企业微信全局错误码",
                "WeCom returned an unknown errcode: it is tried again slowly; look it up in WeCom's global code table",
            ),
        }
    }
}

impl fmt::Display for ApiCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errcode {})", self.name(), self.errcode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_code_has_a_name_advice_and_its_number() {
        let mut names = std::collections::BTreeSet::new();
        for number in (10000..=10011).chain(-10005..=-10000) {
            let code = SdkCode::from_return(number);
            assert_eq!(code.number(), number);
            assert!(!matches!(code, SdkCode::Unknown(_)), "{number}");
            assert!(names.insert(code.name()), "{} twice", code.name());
            assert!(!code.advice_zh().is_empty() && code.advice_en().is_ascii());
            assert_eq!(code.is_retryable(), !code.wait_at_least().is_zero());
        }
        for number in [10012, 1, -1, i32::MIN] {
            assert_eq!(SdkCode::from_return(number), SdkCode::Unknown(number));
        }
        assert_eq!(SdkCode::Network.to_string(), "network (10001)");
        assert_eq!(SdkCode::InteriorNul.to_string(), "interior_nul");
    }

    #[test]
    fn the_codes_that_wrappers_retry_are_retryable() {
        for number in [10001, 10002, 10003] {
            assert!(SdkCode::from_return(number).is_retryable());
        }
        for number in [10000, 10005, 10006, 10008, 10010] {
            assert!(!SdkCode::from_return(number).is_retryable());
        }
        assert_eq!(
            ApiCode::RateExceeded.wait_at_least(),
            Duration::from_secs(60)
        );
        assert!(ApiCode::RequestTooLarge.wants_smaller_page());
    }

    #[test]
    fn what_an_operator_has_to_mend_is_told_in_both_languages() {
        let sdk = |number| SdkCode::from_return(number);
        let api = |errcode| ApiCode::from_errcode(errcode);
        for (zh, en, word_zh, word_en) in [
            (
                sdk(10000).advice_zh(),
                sdk(10000).advice_en(),
                "secret",
                "secret",
            ),
            (
                sdk(10001).advice_zh(),
                sdk(10001).advice_en(),
                "网络",
                "network",
            ),
            (
                sdk(10009).advice_zh(),
                sdk(10009).advice_en(),
                "可信",
                "trusted",
            ),
            (
                sdk(10011).advice_zh(),
                sdk(10011).advice_en(),
                "证书",
                "certificate",
            ),
            (
                api(40001).advice_zh(),
                api(40001).advice_en(),
                "会话内容存档",
                "session archive",
            ),
            (
                api(41001).advice_zh(),
                api(41001).advice_en(),
                "secret",
                "secret",
            ),
            (api(45009).advice_zh(), api(45009).advice_en(), "600", "600"),
            (
                api(48002).advice_zh(),
                api(48002).advice_en(),
                "权限",
                "permission",
            ),
            (
                api(301042).advice_zh(),
                api(301042).advice_en(),
                "可信",
                "trusted",
            ),
            (
                api(301052).advice_zh(),
                api(301052).advice_en(),
                "续费",
                "renew",
            ),
            (
                api(301053).advice_zh(),
                api(301053).advice_en(),
                "开通",
                "enable",
            ),
        ] {
            assert!(zh.contains(word_zh), "{zh}");
            assert!(en.to_lowercase().contains(word_en), "{en}");
        }
        assert!(!api(301052).wait_at_least().is_zero() && !sdk(10011).wait_at_least().is_zero());
    }

    #[test]
    fn every_errcode_has_a_name_advice_and_its_number() {
        for errcode in [
            -1, 40001, 41001, 301042, 301052, 301053, 301058, 45009, 48002,
        ] {
            let code = ApiCode::from_errcode(errcode);
            assert_eq!(code.errcode(), errcode);
            assert!(!matches!(code, ApiCode::Unknown(_)));
            assert!(!code.advice_zh().is_empty() && code.advice_en().is_ascii());
        }
        assert_eq!(ApiCode::from_errcode(41048), ApiCode::Unknown(41048));
    }
}
