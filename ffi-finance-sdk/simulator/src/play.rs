//! What each call answers: the tape, the caller's credentials and the faults on order.
//!
//! Nothing here knows a pointer; `abi` does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use huicun_tape::{Code, Tape, decrypt};

use crate::faults::{Action, Call, Crash, Faults, Function};

/// The environment variable that names the tape's folder.
const TAPE_VARIABLE: &str = "FINANCE_SDK_TAPE";

/// A sealed message shorter than this makes the real library abort.
const SHORTEST_SEALED: usize = 13;

struct Player {
    tape: Tape,
    faults: Faults,
}

/// The company of the first handle of this process: where the folder holds one tape for each, it
/// decides which is played.
static COMPANY: OnceLock<String> = OnceLock::new();

/// The tape, opened at first need; `None` (after a message) when there is none to play.
fn player() -> Option<&'static Player> {
    static PLAYER: OnceLock<Option<Player>> = OnceLock::new();
    let opened = PLAYER.get_or_init(|| match open_player() {
        Ok(player) => Some(player),
        Err(why) => {
            eprintln!("finance sdk simulator: {why}");
            None
        }
    });
    opened.as_ref()
}

fn open_player() -> Result<Player, String> {
    let dir = std::env::var_os(TAPE_VARIABLE)
        .ok_or_else(|| format!("the environment variable {TAPE_VARIABLE} names no tape folder"))?;
    let dir = tape_of(Path::new(&dir));
    let tape = Tape::open(&dir).map_err(|e| e.to_string())?;
    let faults = Faults::read(&dir, &tape)?;
    Ok(Player { tape, faults })
}

/// The folder itself, or the company's own in a folder of several tapes.
fn tape_of(dir: &Path) -> PathBuf {
    let own = COMPANY.get().map(|corpid| dir.join(corpid));
    own.filter(|own| own.is_dir() && !dir.join("tape.json").exists())
        .unwrap_or_else(|| dir.to_path_buf())
}

/// The credentials that a handle was initialised with.
#[derive(Clone)]
pub struct Credentials {
    pub corpid: String,
    pub secret: String,
}

/// The outcome of the faults that a call met, when none of them ended it.
enum Rest {
    /// Answer as usual.
    Usual,
    /// Answer with half of the truth.
    Half,
    /// Answer with noise.
    Noise,
    /// `GetChatData`: leave out `chatdata`.
    NoChatdata,
    /// Answer with exactly this.
    Exactly(String),
    /// Answer with what no buffer is.
    Odd(Answer),
}

/// What a slice is filled with.
pub enum Answer {
    /// Bytes, as it should be.
    Bytes(Vec<u8>),
    /// Bytes, and a length of -1.
    NegativeLength,
    /// A length, and no bytes.
    NullContent,
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

pub fn init(credentials: &Credentials) -> Result<(), Code> {
    if credentials.corpid.is_empty() || credentials.secret.is_empty() {
        return Err(Code::BAD_PARAMETER);
    }
    // The first one stays: a worker serves one company.
    let _ = COMPANY.set(credentials.corpid.clone());
    let player = player().ok_or(Code::SYSTEM)?;
    let call = Call {
        function: Function::Init,
        seq: None,
        page: None,
        encrypt_msg: None,
        file: None,
    };
    meet(player, call, None).map(|_| ())
}

/// `timeout_seconds` bounds delays only: a tape answers at once.
pub fn chat_data(
    credentials: &Credentials,
    seq: u64,
    limit: u32,
    timeout_seconds: i32,
) -> Result<Answer, Code> {
    if limit == 0 || limit > 1000 {
        return Err(Code::BAD_PARAMETER);
    }
    let player = player().ok_or(Code::SYSTEM)?;
    let after = seq.max(player.faults.retained_from_seq().saturating_sub(1));
    let page = player
        .faults
        .ask_for_pages()
        .then(|| player.tape.page(after, limit));
    let page = page.and_then(Result::ok);
    let call = Call {
        function: Function::GetChatData,
        seq: Some(seq),
        page: page.as_deref(),
        encrypt_msg: None,
        file: None,
    };
    let rest = meet(player, call, Some(timeout_seconds))?;
    if credentials.corpid != player.tape.corpid() || credentials.secret != player.tape.secret() {
        return Ok(api_error(40001, "invalid credential").into());
    }
    match rest {
        Rest::Exactly(text) => return Ok(text.into_bytes().into()),
        Rest::NoChatdata => return Ok(br#"{"errcode":0,"errmsg":"ok"}"#.to_vec().into()),
        Rest::Noise => return Ok(noise(256).into()),
        Rest::Odd(answer) => return Ok(answer),
        Rest::Usual | Rest::Half => {}
    }
    let mut json = player.tape.page(after, limit).map_err(|e| {
        eprintln!("finance sdk simulator: {e}");
        Code::SYSTEM
    })?;
    if let Rest::Half = rest {
        json.truncate(json.floor_char_boundary(json.len() / 2));
    }
    Ok(json.into_bytes().into())
}

pub fn decrypt_data(key_text: &str, encrypt_msg: &str) -> Result<Answer, Code> {
    // DecryptData needs no handle and no network, so it works without a tape as well.
    let mut rest = Rest::Usual;
    if let Some(player) = player() {
        let call = Call {
            function: Function::DecryptData,
            seq: None,
            page: None,
            encrypt_msg: Some(encrypt_msg),
            file: None,
        };
        rest = meet(player, call, None)?;
        if encrypt_msg.len() < SHORTEST_SEALED && player.faults.abort_short() {
            eprintln!("terminate called after throwing an instance of 'std::out_of_range'");
            std::process::abort();
        }
    }
    if encrypt_msg.len() < SHORTEST_SEALED {
        return Err(Code::KEY_UNPARSABLE);
    }
    if let Rest::Exactly(text) = rest {
        return Ok(text.into_bytes().into());
    }
    if let Rest::Odd(answer) = rest {
        return Ok(answer);
    }
    let mut plain = decrypt(key_text, encrypt_msg)?;
    match rest {
        Rest::Half => plain.truncate(plain.len() / 2),
        Rest::Noise => plain = noise(plain.len()),
        _ => {}
    }
    Ok(plain.into())
}

/// One media chunk: bytes, next index, whether it was the last.
pub fn media_data(
    credentials: &Credentials,
    index: &str,
    sdkfileid: &str,
    timeout_seconds: i32,
) -> Result<(Vec<u8>, String, bool), Code> {
    let player = player().ok_or(Code::SYSTEM)?;
    if sdkfileid.is_empty() {
        return Err(Code::BAD_PARAMETER);
    }
    let call = Call {
        function: Function::GetMediaData,
        seq: None,
        page: None,
        encrypt_msg: None,
        file: Some(sdkfileid),
    };
    let rest = meet(player, call, Some(timeout_seconds))?;
    if credentials.corpid != player.tape.corpid() || credentials.secret != player.tape.secret() {
        return Err(Code::BAD_PARAMETER);
    }
    let mut chunk = player.tape.media_chunk(index, sdkfileid)?;
    match rest {
        Rest::Half => chunk.data.truncate(chunk.data.len() / 2),
        Rest::Noise => chunk.data = noise(chunk.data.len()),
        Rest::Exactly(text) => chunk.data = text.into_bytes(),
        Rest::Usual | Rest::NoChatdata | Rest::Odd(_) => {}
    }
    Ok((chunk.data, chunk.next_index, chunk.is_finished))
}

/// Lives through the faults that the call meets.
fn meet(player: &Player, call: Call<'_>, timeout_seconds: Option<i32>) -> Result<Rest, Code> {
    let mut rest = Rest::Usual;
    for action in player.faults.meet(call) {
        match action {
            Action::Code(code) => return Err(Code(code)),
            Action::Errcode(errcode) => {
                let json = api_error(errcode, "not allow, fault on order");
                return Ok(Rest::Exactly(String::from_utf8_lossy(&json).into_owned()));
            }
            Action::Reply(text) => return Ok(Rest::Exactly(text)),
            Action::HangMs(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Action::DelayMs(ms) => delay(ms, timeout_seconds)?,
            Action::Crash(Crash::Abort) => std::process::abort(),
            Action::Crash(Crash::Segv) => segfault(),
            Action::Garbage => rest = Rest::Noise,
            Action::NegativeLength => rest = Rest::Odd(Answer::NegativeLength),
            Action::NullContent => rest = Rest::Odd(Answer::NullContent),
            Action::MissingChatdata => rest = Rest::NoChatdata,
            Action::Truncated => rest = Rest::Half,
            Action::LeakBytes(n_bytes) => drop(Box::leak(vec![1_u8; n_bytes].into_boxed_slice())),
            Action::Print(text) => {
                let mut stdout = std::io::stdout();
                // A closed stdout is the caller's affair.
                let _ = stdout
                    .write_all(text.as_bytes())
                    .and_then(|()| stdout.flush());
            }
        }
    }
    Ok(rest)
}

fn delay(ms: u64, timeout_seconds: Option<i32>) -> Result<(), Code> {
    let timeout_ms = timeout_seconds
        .and_then(|s| u64::try_from(s).ok())
        .filter(|s| *s > 0)
        .map(|s| s * 1000);
    let allowed = timeout_ms.map_or(ms, |t| t.min(ms));
    std::thread::sleep(Duration::from_millis(allowed));
    if allowed < ms {
        Err(Code::NETWORK)
    } else {
        Ok(())
    }
}

fn segfault() -> ! {
    // SAFETY: this is the fault that was ordered: a write to address 8, which no process maps,
    // ends this process by SIGSEGV.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    std::process::abort();
}

fn api_error(errcode: i64, errmsg: &str) -> Vec<u8> {
    format!(r#"{{"errcode":{errcode},"errmsg":"{errmsg}, hint: [simulator]","chatdata":[]}}"#)
        .into_bytes()
}

/// Bytes that are neither text nor JSON, NUL among them.
fn noise(n_bytes: usize) -> Vec<u8> {
    (0..n_bytes)
        .map(|n| (n.wrapping_mul(197) ^ 0xff) as u8)
        .collect()
}
