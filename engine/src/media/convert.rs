//! Voice (语音) for browsers: WeCom's AMR as MP3 or WAV, made on demand by `ffmpeg` where it is
//! installed, and kept beside the store.
//!
//! The bytes are a stranger's: `ffmpeg` is told which reader to use, may open files only, gets an
//! empty environment, a bound of memory, CPU and time, and no network where the machine lets us
//! take it away. It writes beside the final name, which is given to a whole file only. At most
//! [`AT_ONCE`] run at the same time.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::sniff;
use super::store::hex;
use crate::archive::fsync_store::sync_directory;

/// Conversions at the same time; each takes a core.
pub const AT_ONCE: usize = 2;
/// Address space of the converter, KiB: ffmpeg takes some 300 MiB of it for a voice message.
const MEMORY_KIB: u64 = 1 << 20;
/// The longest result; a minute of voice is half a megabyte as MP3.
const OUTPUT_BYTES_MAX: u64 = 512 << 20;
/// How often a running converter is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a voice becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// Small; every browser plays it.
    Mp3,
    /// Large, without loss.
    Wav,
}

impl Audio {
    /// The ending of its files, and ffmpeg's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
        }
    }

    /// `Content-Type`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Wav => "audio/wav",
        }
    }
}

/// How voice is converted.
#[derive(Debug, Clone)]
pub struct Converter {
    /// The program; a bare name is looked for on `PATH`.
    pub program: PathBuf,
    /// Where results are kept.
    pub folder: PathBuf,
    /// How long one conversion may take.
    pub time_max: Duration,
}

/// Why there is no converted file.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The program is not there.
    #[error(
        "voice cannot be converted: `{}` is not installed; install it (apt-get install ffmpeg) or \
         name it under [media] ffmpeg. 无法转换语音:未安装 ffmpeg,请执行 apt-get install ffmpeg,\
         或在 huicun.toml 的 [media] 中用 ffmpeg 指定路径",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file has no sound that we know how to read.
    #[error("a file of type {0} cannot be converted to sound")]
    NotAudio(&'static str),
    /// The program refused the file.
    #[error("the converter could not read the file: {0}")]
    Refused(String),
    /// It took too long and was ended.
    #[error("the conversion took longer than {} s and was ended", .0.as_secs())]
    TooSlow(Duration),
    /// The operating system refused.
    #[error("cannot {what} for a conversion: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

impl Converter {
    /// The file `input`, whose bytes have this hash, as `audio`: made now or before.
    ///
    /// # Errors
    /// [`ConvertError`]; nothing is left behind.
    pub async fn convert(
        &self,
        input: &Path,
        sha256: &[u8; 32],
        audio: Audio,
    ) -> Result<PathBuf, ConvertError> {
        // Not named by the hash alone: such names are those of files with that hash.
        let name = format!("voice-{}.{}", hex(sha256), audio.as_str());
        let target = self.folder.join(name);
        if target.is_file() {
            return Ok(target);
        }
        let io = |what| move |source| ConvertError::Io { what, source };
        let _place = PLACES.acquire().await.map_err(|_| ConvertError::Io {
            what: "wait",
            source: std::io::Error::other("the queue is closed"),
        })?;
        // Somebody else may have made it while this one waited.
        if target.is_file() {
            return Ok(target);
        }
        let (this, input, made) = (self.clone(), input.to_path_buf(), target.clone());
        tokio::task::spawn_blocking(move || this.make(&input, &made, audio))
            .await
            .map_err(|e| io("run")(std::io::Error::other(e)))??;
        Ok(target)
    }

    fn make(&self, input: &Path, target: &Path, audio: Audio) -> Result<(), ConvertError> {
        let io = |what| move |source| ConvertError::Io { what, source };
        let program = found(&self.program).ok_or(ConvertError::Missing(self.program.clone()))?;
        let head = head_of(input).map_err(io("read a file"))?;
        let kind = sniff::of_head(&head);
        let demuxer = kind.demuxer.ok_or(ConvertError::NotAudio(kind.mime))?;
        std::fs::create_dir_all(&self.folder).map_err(io("make a folder"))?;
        // Hidden behind the ending: a name that nobody asks for.
        let staged =
            target.with_extension(format!("{}.{}.part", audio.as_str(), std::process::id()));
        let made = self
            .run(&program, demuxer, input, &staged, audio)
            .and_then(|()| {
                let file = std::fs::File::open(&staged).map_err(io("open the result"))?;
                file.sync_all().map_err(io("sync the result"))?;
                std::fs::rename(&staged, target).map_err(io("name the result"))?;
                sync_directory(&self.folder).map_err(io("sync the folder"))
            });
        if made.is_err() {
            let _ = std::fs::remove_file(&staged);
        }
        made
    }

    fn run(
        &self,
        program: &Path,
        demuxer: &str,
        input: &Path,
        output: &Path,
        audio: Audio,
    ) -> Result<(), ConvertError> {
        let io = |what| move |source| ConvertError::Io { what, source };
        let errors = output.with_extension("err");
        let log = std::fs::File::create(&errors).map_err(io("write"))?;
        let mut command = confined(program, self.time_max);
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
            .args(["-protocol_whitelist", "file", "-f", demuxer, "-i"])
            .arg(as_file(input))
            .args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"])
            // A pause that the phone did not send is an error to ffmpeg's reader, and no harm.
            .args(["-max_error_rate", "0.95"])
            .args(["-fs", &OUTPUT_BYTES_MAX.to_string(), "-f", audio.as_str()])
            .arg(as_file(output))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let ended = command
            .spawn()
            .map_err(io("start the converter"))
            .and_then(|child| wait(child, self.time_max));
        let told = std::fs::read(&errors).unwrap_or_default();
        let _ = std::fs::remove_file(&errors);
        if ended? {
            return Ok(());
        }
        // Its words may name the file, never what is in it.
        let told = String::from_utf8_lossy(&told[..told.len().min(300)]).into_owned();
        let last = told.trim().lines().last().unwrap_or_default();
        Err(ConvertError::Refused(
            last.replace(&*input.to_string_lossy(), "…"),
        ))
    }
}

/// `file:` before a path: nothing in it is read as a flag or as another protocol.
fn as_file(path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from("file:");
    text.push(path);
    text
}

/// The program behind bounds of memory and CPU time, without environment and network.
fn confined(program: &Path, time_max: Duration) -> Command {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    words.extend(NO_NETWORK.iter().map(|word| word.into()));
    words.push(program.into());
    let mut command = Command::new("/bin/sh");
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .args([
            "-c",
            "ulimit -v \"$1\" && ulimit -t \"$2\" && shift 2 && exec \"$@\"",
            "sh",
        ])
        .arg(MEMORY_KIB.to_string())
        .arg((time_max.as_secs() + 1).to_string())
        .args(words);
    command
}

/// What takes the network away on this machine; nothing where nothing can (containers forbid it).
static NO_NETWORK: LazyLock<Vec<&str>> = LazyLock::new(|| {
    for words in [
        &["unshare", "--user", "--net", "--"][..],
        &["unshare", "--net", "--"],
    ] {
        let tried = Command::new(words[0])
            .args(&words[1..])
            .arg("true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) {
            return words.to_vec();
        }
    }
    Vec::new()
});

/// Whether it ended well; it is killed at the end of its time.
fn wait(mut child: Child, time_max: Duration) -> Result<bool, ConvertError> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if started.elapsed() < time_max => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(ConvertError::TooSlow(time_max));
            }
            Err(source) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(ConvertError::Io {
                    what: "wait",
                    source,
                });
            }
        }
    }
}

/// The program's file: a bare name is looked for on `PATH`, as a shell does.
fn found(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_path_buf());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The first bytes of a file.
pub fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
    std::fs::File::open(path)?
        .take(sniff::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// 25 frames (half a second) of AMR-NB at 4.75 kbit/s.
    fn amr() -> Vec<u8> {
        let mut bytes = b"#!AMR\n".to_vec();
        for _ in 0..25 {
            // Frame type 0, good quality; then 95 bits of speech.
            bytes.push(0x04);
            bytes.extend([0; 12]);
        }
        bytes
    }

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("voice"), amr()).unwrap();
            Self { dir }
        }

        fn input(&self) -> PathBuf {
            self.dir.path().join("voice")
        }

        fn converter(&self, program: &Path) -> Converter {
            Converter {
                program: program.to_path_buf(),
                folder: self.dir.path().join("converted"),
                time_max: Duration::from_secs(20),
            }
        }

        /// A stand-in for ffmpeg.
        fn script(&self, text: &str) -> PathBuf {
            let path = self.dir.path().join("stand in.sh");
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn left(&self) -> usize {
            std::fs::read_dir(self.dir.path().join("converted")).map_or(0, Iterator::count)
        }
    }

    /// The last argument without `file:` is the result's place.
    const WRITE: &str = "for last; do :; done\nprintf 'ID3 %s' \"$*\" > \"${last#file:}\"";

    #[tokio::test]
    async fn a_voice_is_converted_once_and_kept() {
        let place = Place::new();
        let converter = place.converter(&place.script(WRITE));
        let made = converter
            .convert(&place.input(), &[1; 32], Audio::Mp3)
            .await
            .unwrap();
        let told = std::fs::read_to_string(&made).unwrap();
        assert!(
            told.contains("-protocol_whitelist file -f amr -i file:/"),
            "{told}"
        );
        let gone = place.converter(Path::new("/no/such/program"));
        let again = gone
            .convert(&place.input(), &[1; 32], Audio::Mp3)
            .await
            .unwrap();
        assert_eq!((made, place.left()), (again, 1));
    }

    #[tokio::test]
    async fn a_missing_program_is_named_in_both_languages() {
        let place = Place::new();
        let converter = place.converter(Path::new("no-such-ffmpeg"));
        let refused = converter
            .convert(&place.input(), &[1; 32], Audio::Wav)
            .await;
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains("apt-get install ffmpeg") && told.contains("未安装"),
            "{told}"
        );
        assert_eq!(place.left(), 0);
    }

    #[tokio::test]
    async fn a_program_that_fails_or_hangs_leaves_nothing() {
        let place = Place::new();
        let failing = place.converter(&place.script(&format!("{WRITE}\necho broken >&2\nexit 1")));
        let refused = failing.convert(&place.input(), &[1; 32], Audio::Mp3).await;
        assert!(matches!(&refused, Err(ConvertError::Refused(told)) if told == "broken"));
        let hanging = Converter {
            time_max: Duration::from_millis(200),
            ..place.converter(&place.script(&format!("{WRITE}\nexec sleep 60")))
        };
        let started = Instant::now();
        let refused = hanging.convert(&place.input(), &[1; 32], Audio::Mp3).await;
        assert!(
            matches!(refused, Err(ConvertError::TooSlow(_))),
            "{refused:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(place.left(), 0);
    }

    #[tokio::test]
    async fn what_is_no_sound_is_refused_before_anything_runs() {
        let place = Place::new();
        std::fs::write(place.input(), b"<html>").unwrap();
        let converter = place.converter(&place.script("exit 0"));
        let refused = converter
            .convert(&place.input(), &[1; 32], Audio::Mp3)
            .await;
        assert!(matches!(refused, Err(ConvertError::NotAudio(_))));
    }

    #[tokio::test]
    async fn ffmpeg_itself_reads_an_amr_file_where_it_is_installed() {
        if found(Path::new("ffmpeg")).is_none() {
            println!("skipped: ffmpeg is not installed");
            return;
        }
        let place = Place::new();
        let converter = place.converter(Path::new("ffmpeg"));
        for (audio, magic) in [(Audio::Wav, &b"RIFF"[..]), (Audio::Mp3, b"\xff")] {
            let made = converter
                .convert(&place.input(), &[1; 32], audio)
                .await
                .unwrap();
            let bytes = std::fs::read(&made).unwrap();
            let begins = bytes.starts_with(magic) || bytes.starts_with(b"ID3");
            assert!(
                begins && bytes.len() > 100,
                "{audio:?}: {} bytes",
                bytes.len()
            );
        }
    }
}
