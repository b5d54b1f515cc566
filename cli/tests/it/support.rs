//! What end-to-end tests share: an installation in a temporary folder and the binary run on it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A data directory, a configuration and a tape in one temporary folder.
pub struct Installation {
    folder: tempfile::TempDir,
}

/// What a run of the binary gave.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// stdout as NDJSON rows.
    pub fn rows(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Itself, after a check that it went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Installation {
    /// Nothing in it yet.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A path inside the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The tape's folder.
    pub fn tape(&self) -> PathBuf {
        self.path("tape")
    }

    /// The binary with this installation's folders, and nothing of the caller's settings.
    pub fn command(&self) -> Command {
        let mut command = self.command_without_data();
        command.arg("--data").arg(self.data());
        command
    }

    /// As [`Self::command`], for a data directory of the caller's.
    pub fn command_without_data(&self) -> Command {
        let mut command = Command::new(under_test());
        command
            .arg("--config")
            .arg(self.path("huicun.toml"))
            .env_remove("HUICUN_DATA")
            .env_remove("HUICUN_CONFIG")
            .env_remove("HUICUN_LOG")
            .env_remove("HUICUN_LANGUAGE")
            .env("FINANCE_SDK_TAPE", self.tape())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command().args(arguments).output().unwrap().into()
    }

    /// Runs the binary to its end with `input` on its stdin.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Starts the binary and goes on.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command();
        command.args(arguments);
        Self::start_command(command)
    }

    /// As [`Self::start`], and it says on stderr what it has committed (see [`acknowledged`]).
    pub fn start_telling(&self, arguments: &[&str]) -> Running {
        let mut command = self.command();
        command.args(arguments);
        command.env("HUICUN_LOG", "huicun_indexer=debug");
        Self::start_command(command)
    }

    fn start_command(mut command: Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What a long command says is read by a thread: a full pipe would stop it.
        let mut errors = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Running {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: Some(stderr),
            child,
        }
    }

    /// Starts `huicun serve` (or `run`) on a free port and waits until it says where it listens.
    pub fn serve(&self, command: &str) -> Server {
        let mut running = self.start(&[command, "--listen", "127.0.0.1:0"]);
        let line = running.line();
        let Some(address) = line.strip_prefix("http://") else {
            panic!("expected an address, found `{line}`: {}", running.stderr());
        };
        Server {
            address: address.to_string(),
            running,
        }
    }

    /// A token of this scope.
    pub fn token(&self, scope: &str) -> String {
        let arguments = ["token", "create", "--name", "test", "--scope", scope];
        self.run(&arguments).ok().stdout.trim().to_string()
    }

    /// Every file of the data directory with what is in it. The lock files are left out: their
    /// last holder stays written in them; and so are what a question keeps for the next one
    /// (`ledger/`), the calls of the last minute (`pace/`) and the audit log, which notes every
    /// question.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.data(), &mut found);
        found
    }

    /// Writes a file into the temporary folder.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
        path
    }

    /// Seals NDJSON messages onto the tape and writes the configuration that pulls it.
    pub fn tape_of(&self, ndjson: &str) {
        let file = self.write("messages.ndjson", ndjson);
        let tape = self.tape();
        self.run(&[
            "tape",
            "make",
            file.to_str().unwrap(),
            "-o",
            tape.to_str().unwrap(),
        ])
        .ok();
        self.configure("");
    }

    /// Writes a configuration for the tape; `extra` is TOML put at its end.
    pub fn configure(&self, extra: &str) {
        let library = huicun_tape::testing::simulator_library();
        let text = format!(
            "[[corp]]\ncorpid = \"wwtape\"\nsecret = \"tape-secret\"\nsdk_library = \"{}\"\n\
             [corp.keys]\n1 = \"tape/keys/v1.pem\"\n2 = \"tape/keys/v2.pem\"\n{extra}",
            library.display()
        );
        self.write("huicun.toml", &text);
    }
}

/// The binary: the one that was built with the tests, or the one that `HUICUN_UNDER_TEST` names,
/// such as a release that is about to be installed.
fn under_test() -> PathBuf {
    let named = std::env::var_os("HUICUN_UNDER_TEST");
    named.map_or_else(|| env!("CARGO_BIN_EXE_huicun").into(), PathBuf::from)
}

/// The cursor that this log line of a pull acknowledges.
pub fn acknowledged(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once(" committed ")?;
    let (_, cursor) = fields.split_once("cursor=")?;
    let digits: String = cursor.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        // A call leaves its time there, whatever came of it, and a question what the next one needs.
        if path.ends_with("pace") || path.ends_with("data/ledger") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy();
        if name.starts_with("audit.db") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_none_or(|ending| ending != "lock") {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

/// A run of the binary that goes on; killed when dropped.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The next line of stdout; empty at its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// Kills it with SIGKILL; false when it had ended by itself.
    pub fn kill(&mut self) -> bool {
        let was_running = self.is_running();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        was_running
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        let command = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(command).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let mut status = None;
        wait_until(patience, "the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// All that it said on stderr, once it has ended.
    pub fn stderr(&mut self) -> String {
        self.kill();
        self.stderr.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until `is_done`, for `patience` at most.
#[track_caller]
pub fn wait_until(patience: Duration, what: &str, mut is_done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_done() {
        assert!(started.elapsed() < patience, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running server.
pub struct Server {
    pub running: Running,
    pub address: String,
}

impl Server {
    /// A client with a token; an empty one sends none.
    pub fn client(&self, token: &str) -> Client {
        Client {
            address: self.address.clone(),
            token: token.to_string(),
            more_headers: String::new(),
        }
    }
}

/// A small HTTP client: one request a connection, no compression.
#[derive(Clone)]
pub struct Client {
    address: String,
    token: String,
    more_headers: String,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Itself, after a check that it is a 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// The rows of a list.
    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        self.json()["items"].as_array().unwrap().clone()
    }

    /// Status and code, after a check that it is a problem document as RFC 9457 has it.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.headers.get("content-type").map(String::as_str),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status, "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(body[member].is_string(), "{self:?}");
        }
        (self.status, body["code"].as_str().unwrap().to_string())
    }
}

impl Client {
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, b"")
    }

    /// The status of an answer that came whole; `None` where the server is gone.
    pub fn try_get(&self, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if length?.parse() != Ok(body.len()) {
            return None;
        }
        head.split(' ').nth(1)?.parse().ok()
    }

    /// The token that it sends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends these header lines too from now on, each with its line end.
    pub fn send_more(&mut self, headers: &str) {
        self.more_headers = headers.to_string();
    }

    /// As [`Self::get`], with more header lines, each with its line end.
    pub fn get_with(&self, path: &str, headers: &str) -> Answer {
        let mut client = self.clone();
        client.more_headers = headers.to_string();
        client.get(path)
    }

    /// One request; the path is sent as it is, so it must be percent-encoded.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut request = self.open(method, path, body.len());
        // A server that refuses by the headers may close before it has read all.
        let _ = request.write_all(body);
        read_answer(request)
    }

    /// The connection of a request whose body of `length` bytes is still to be written.
    pub fn open(&self, method: &str, path: &str, length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{authorization}{}\
             Content-Length: {length}\r\n\r\n",
            self.address, self.more_headers
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// All rows of a list, page by page; `path` has a `?`.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{cursor}")).ok();
            rows.extend(page.items());
            match page.json()["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }
}

/// Reads an answer to its end.
#[track_caller]
pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let _ = stream.shutdown(Shutdown::Both);
    let at = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no whole answer: {ended:?}, {} bytes", bytes.len()));
    let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        // One that comes twice is one with both values.
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|known| *known += &format!(", {value}"))
            .or_insert_with(|| value.to_string());
    }
    let is_chunked = headers
        .get("transfer-encoding")
        .is_some_and(|v| v == "chunked");
    let body = match is_chunked {
        true => without_chunks(&bytes[at + 4..]),
        false => bytes[at + 4..].to_vec(),
    };
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        bytes: body,
    }
}

fn without_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n").unwrap();
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}

/// A text as it stands in a URL.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// A text message line as an envelope.
pub fn text_line(seq: u64, from: &str, to: &str, at_ms: i64, text: &str) -> String {
    serde_json::json!({
        "seq": seq,
        "publickey_ver": 1 + seq % 2,
        "message": {
            "msgid": format!("{seq}_{at_ms}_external"),
            "action": "send",
            "from": from,
            "tolist": [to],
            "roomid": "",
            "msgtime": at_ms,
            "msgtype": "text",
            "text": {"content": text},
        },
    })
    .to_string()
        + "\n"
}

/// Real chats beside the project, if this machine has them (they may not be copied into it).
pub fn real_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: `{name}` of the real data is not on this machine");
    None
}
