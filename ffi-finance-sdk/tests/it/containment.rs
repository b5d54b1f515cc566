//! Crashes, hangs, noise and growth of the library stay in the child.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use huicun_ffi_finance_sdk::worker::{
    CallError, DecryptOutcome, Exit, Limits, WorkerClient, WorkerCommand,
};
use huicun_ffi_finance_sdk::{ApiCode, PageError, SdkCode};
use huicun_tape::testing::simulator_library;

use crate::{SECRET, Studio, limits, message, session, worker};

fn alive(pid: u32) -> bool {
    // A child that is dead but not yet waited for has no memory any more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn eventually(what: impl Fn() -> bool) -> bool {
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(10) {
        if what() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn every_code_of_the_library_arrives_as_itself() {
    let codes: Vec<i32> = (10000..=10012).collect();
    let rules: Vec<String> = codes
        .iter()
        .enumerate()
        .map(|(n, code)| {
            format!(
                r#"{{"call":"GetChatData","nth":{},"action":{{"code":{code}}}}}"#,
                n + 1
            )
        })
        .collect();
    let studio = Studio::with_messages(1).faults(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")));
    let mut client = studio.start();
    for code in codes {
        assert_eq!(
            client.page(0, 1).unwrap_err(),
            CallError::Sdk(SdkCode::from_return(code))
        );
    }
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn every_errcode_of_the_server_arrives_as_itself() {
    let errcodes = [
        -1, 40001, 41001, 301_042, 301_052, 301_053, 301_058, 45009, 48002, 7,
    ];
    let rules: Vec<String> = errcodes
        .iter()
        .enumerate()
        .map(|(n, code)| {
            format!(
                r#"{{"call":"GetChatData","nth":{},"action":{{"errcode":{code}}}}}"#,
                n + 1
            )
        })
        .collect();
    let studio = Studio::with_messages(1).faults(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")));
    let mut client = studio.start();
    for errcode in errcodes {
        let CallError::Api(api) = client.page(0, 1).unwrap_err() else {
            panic!("{errcode}")
        };
        assert_eq!(api.code, ApiCode::from_errcode(errcode));
    }
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
}

#[test]
fn a_crash_during_a_page_costs_a_child_and_nothing_else() {
    let studio = Studio::with_messages(5).faults(
        r#"{"persist_counters":true,"rules":[
            {"call":"GetChatData","nth":2,"action":{"crash":"segv"}},
            {"call":"GetChatData","nth":4,"action":{"crash":"abort"}}]}"#,
    );
    let mut client = studio.start();
    assert_eq!(client.page(0, 2).unwrap().last_seq(), Some(2));
    let crashed = |signal| CallError::Crashed {
        exit: Exit::Signal(signal),
    };
    assert_eq!(client.page(2, 2).unwrap_err(), crashed(11));
    assert_eq!(client.page(2, 2).unwrap().last_seq(), Some(4));
    assert_eq!(client.page(4, 2).unwrap_err(), crashed(6));
    assert_eq!(client.page(4, 2).unwrap().last_seq(), Some(5));
    assert_eq!(client.n_starts(), 3);
}

#[test]
fn a_hanging_child_is_killed_at_its_deadline() {
    let studio = Studio::with_messages(1).faults(
        r#"{"persist_counters":true,"rules":[{"call":"GetChatData","nth":1,"action":{"hang_ms":600000}}]}"#,
    );
    let limits = Limits {
        call_timeout: Duration::from_secs(1),
        grace: Duration::ZERO,
        ..limits()
    };
    let mut client = studio.start_with(SECRET, limits).unwrap();
    let pid = client.pid().unwrap();
    assert!(matches!(
        client.page(0, 1).unwrap_err(),
        CallError::TimedOut { .. }
    ));
    assert!(!alive(pid));
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
}

#[test]
fn a_slow_network_is_a_code_within_the_timeout() {
    let studio = Studio::with_messages(1)
        .faults(r#"{"rules":[{"call":"GetChatData","nth":1,"action":{"delay_ms":600000}}]}"#);
    let limits = Limits {
        call_timeout: Duration::from_secs(1),
        ..limits()
    };
    let mut client = studio.start_with(SECRET, limits).unwrap();
    assert_eq!(
        client.page(0, 1).unwrap_err(),
        CallError::Sdk(SdkCode::Network)
    );
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn a_spoilt_page_is_an_error_and_never_empty() {
    let studio = Studio::with_messages(3).faults(
        r#"{"rules":[{"call":"GetChatData","nth":1,"action":"garbage"},
                     {"call":"GetChatData","nth":2,"action":"truncated"},
                     {"call":"GetChatData","nth":3,"action":{"reply":"{}"}}]}"#,
    );
    let mut client = studio.start();
    assert!(matches!(
        client.page(0, 3),
        Err(CallError::MalformedPage(PageError::NotJson { .. }))
    ));
    assert!(matches!(
        client.page(0, 3),
        Err(CallError::MalformedPage(PageError::NotJson { .. }))
    ));
    assert!(matches!(
        client.page(0, 3),
        Err(CallError::MalformedPage(PageError::Shape { .. }))
    ));
    assert_eq!(client.page(0, 3).unwrap().records.len(), 3);
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn a_length_that_is_none_is_an_error_and_costs_no_child() {
    let studio = Studio::with_messages(3).faults(
        r#"{"rules":[{"call":"GetChatData","nth":1,"action":"negative_length"},
                     {"call":"GetChatData","nth":2,"action":"null_content"},
                     {"call":"DecryptData","seq":2,"action":"negative_length"},
                     {"call":"DecryptData","seq":3,"action":"null_content"}]}"#,
    );
    let mut client = studio.start();
    for code in [SdkCode::NegativeLength, SdkCode::NullContent] {
        let error = client.page(0, 3).unwrap_err();
        assert_eq!(error, CallError::Sdk(code));
        assert!(error.may_be_the_page() && error.is_retryable());
    }
    let page = client.page(0, 3).unwrap();
    let items = studio.items(&page.records);
    let outcomes = client.decrypt_isolating(&items).unwrap();
    assert!(matches!(outcomes[0], DecryptOutcome::Plain(_)));
    assert_eq!(outcomes[1], DecryptOutcome::Failed(SdkCode::NegativeLength));
    assert_eq!(outcomes[2], DecryptOutcome::Failed(SdkCode::NullContent));
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn what_the_library_prints_does_not_disturb_the_pipe() {
    let studio = Studio::with_messages(1)
        .faults(r#"{"rules":[{"call":"GetChatData","action":{"print":"noise on stdout\n"}}]}"#);
    assert_eq!(studio.start().page(0, 1).unwrap().records.len(), 1);
}

/// The guilty record alone is blamed, by about two log n lost children.
fn blamed(action: &str, n_messages: u64, guilty: u64, limits: Limits) -> u64 {
    let rules =
        format!(r#"{{"rules":[{{"call":"DecryptData","seq":{guilty},"action":{action}}}]}}"#);
    let studio = Studio::with_messages(n_messages).faults(&rules);
    let mut client = studio.start_with(SECRET, limits).unwrap();
    let items = studio.items(&client.page(0, 1000).unwrap().records);
    let outcomes = client.decrypt_isolating(&items).unwrap();
    for (n, outcome) in outcomes.iter().enumerate() {
        let seq = n as u64 + 1;
        let expected = if seq == guilty {
            DecryptOutcome::Crashed
        } else {
            DecryptOutcome::Plain(message(seq).into_bytes())
        };
        assert!(*outcome == expected, "seq {seq}: {outcome:?}");
    }
    client.n_starts()
}

#[test]
fn a_record_that_kills_the_child_is_found_and_passed_by() {
    for crash in ["abort", "segv"] {
        let n_starts = blamed(&format!(r#"{{"crash":"{crash}"}}"#), 64, 37, limits());
        assert!(n_starts <= 9, "{n_starts} starts");
    }
}

#[test]
fn a_record_that_hangs_the_child_is_found_and_passed_by() {
    let limits = Limits {
        local_timeout: Duration::from_millis(1500),
        ..limits()
    };
    let n_starts = blamed(r#"{"hang_ms":600000}"#, 4, 3, limits);
    assert!(n_starts <= 5, "{n_starts} starts");
}

#[test]
fn a_crash_that_no_record_is_to_blame_for_blames_none() {
    let studio = Studio::with_messages(20).faults(
        r#"{"persist_counters":true,"rules":[{"call":"DecryptData","nth":10,"action":{"crash":"segv"}}]}"#,
    );
    let mut client = studio.start();
    let items = studio.items(&client.page(0, 1000).unwrap().records);
    let outcomes = client.decrypt_isolating(&items).unwrap();
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, DecryptOutcome::Plain(_)))
    );
    assert_eq!(client.n_starts(), 2);
}

#[test]
fn a_sealed_message_too_short_for_the_real_library_is_blamed() {
    let studio = Studio::with_messages(2).faults(r#"{"abort_short":true}"#);
    let mut client = studio.start();
    let mut items = studio.items(&client.page(0, 10).unwrap().records);
    items.insert(1, ("k".repeat(32), "QUFB".to_owned()));
    let batch = client.decrypt_batch(&items).unwrap_err();
    assert_eq!(
        batch,
        CallError::Crashed {
            exit: Exit::Signal(6)
        }
    );
    let outcomes = client.decrypt_isolating(&items).unwrap();
    assert_eq!(outcomes[1], DecryptOutcome::Crashed);
    assert_eq!(outcomes[2], DecryptOutcome::Plain(message(2).into_bytes()));
}

#[test]
fn a_library_that_crashes_on_every_record_is_given_up() {
    let studio = Studio::with_messages(16)
        .faults(r#"{"rules":[{"call":"DecryptData","action":{"crash":"abort"}}]}"#);
    let limits = Limits {
        isolation_losses_max: 5,
        ..limits()
    };
    let mut client = studio.start_with(SECRET, limits).unwrap();
    let items = studio.items(&client.page(0, 16).unwrap().records);
    assert_eq!(
        client.decrypt_isolating(&items).unwrap_err(),
        CallError::TooManyLosses { n_losses: 5 }
    );
    assert!(
        client
            .decrypt_isolating(&items[..2])
            .unwrap()
            .iter()
            .all(|o| *o == DecryptOutcome::Crashed)
    );
}

#[test]
fn a_swollen_child_is_replaced_before_the_next_call() {
    let studio = Studio::with_messages(3)
        .faults(r#"{"rules":[{"call":"GetChatData","nth":1,"action":{"leak_bytes":16000000}}]}"#);
    let usual = studio.start().memory_bytes().unwrap();
    assert!(usual > 1_000_000, "{usual}");
    let limits = Limits {
        memory_bytes_max: usual + 8_000_000,
        ..limits()
    };
    let mut client = studio.start_with(SECRET, limits).unwrap();
    let pid = client.pid();
    assert_eq!(client.page(0, 3).unwrap().records.len(), 3);
    assert_eq!(client.pid(), pid);
    assert!(client.memory_bytes().unwrap() < usual + 8_000_000);
    assert_ne!(client.pid(), pid);
}

#[test]
fn a_child_that_swells_during_a_call_is_killed() {
    let studio = Studio::with_messages(3).faults(
        r#"{"rules":[{"call":"GetChatData","nth":1,"action":{"leak_bytes":100000000}},
                     {"call":"GetChatData","nth":1,"action":{"hang_ms":600000}}]}"#,
    );
    let limits = Limits {
        memory_bytes_max: 90_000_000,
        call_timeout: Duration::from_secs(60),
        ..limits()
    };
    let mut client = studio.start_with(SECRET, limits).unwrap();
    assert!(matches!(
        client.page(0, 3).unwrap_err(),
        CallError::MemoryExceeded { .. }
    ));
}

#[test]
fn a_child_killed_from_outside_is_started_again_at_the_next_call() {
    let studio = Studio::with_messages(1);
    let mut client = studio.start();
    let pid = client.pid().unwrap();
    let kill = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(
        client.page(0, 1).unwrap_err(),
        CallError::Crashed {
            exit: Exit::Signal(9)
        }
    );
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
}

#[test]
fn the_child_ignores_what_stops_a_service_and_goes_when_its_client_goes() {
    let studio = Studio::with_messages(1);
    let mut client = studio.start();
    let pid = client.pid().unwrap();
    for signal in ["-TERM", "-INT", "-HUP"] {
        Command::new("kill")
            .args([signal, &pid.to_string()])
            .status()
            .unwrap();
    }
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
    assert_eq!(client.pid(), Some(pid));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|l| l.starts_with("Max core file size        0")),
        "{limits}"
    );
    drop(client);
    assert!(!alive(pid));
}

#[test]
fn the_child_outlives_the_thread_that_started_it() {
    let studio = Studio::with_messages(1);
    let mut client = std::thread::scope(|s| s.spawn(|| studio.start()).join().unwrap());
    // A second thread comes and goes, so that the first is surely gone for the kernel too.
    std::thread::spawn(|| ()).join().unwrap();
    assert_eq!(client.page(0, 1).unwrap().records.len(), 1);
    assert_eq!(client.n_starts(), 1);
}

#[test]
fn a_cut_request_ends_the_child_with_an_error() {
    let studio = Studio::with_messages(1);
    let WorkerCommand { program, envs, .. } = studio.command();
    let mut child = Command::new(program)
        .envs(envs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\x05\x00").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Names the tape for the process that [`a_child_in_a_hanging_call_dies_with_its_parent`] kills.
const VICTIM_TAPE: &str = "HUICUN_IT_VICTIM_TAPE";

#[test]
fn a_child_in_a_hanging_call_dies_with_its_parent() {
    if let Some(tape) = std::env::var_os(VICTIM_TAPE) {
        let envs = vec![("FINANCE_SDK_TAPE".into(), tape)];
        let session = session(&simulator_library(), SECRET);
        let limits = Limits {
            call_timeout: Duration::from_secs(600),
            ..limits()
        };
        let mut client =
            WorkerClient::start(WorkerCommand { envs, ..worker() }, session, limits).unwrap();
        println!("\nchild {}", client.pid().unwrap());
        let _ = client.page(0, 1);
        return;
    }
    let studio = Studio::with_messages(1)
        .faults(r#"{"rules":[{"call":"GetChatData","action":{"hang_ms":600000}}]}"#);
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "containment::a_child_in_a_hanging_call_dies_with_its_parent",
            "--nocapture",
        ])
        .env(VICTIM_TAPE, studio.tape())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("child ")?.parse().ok());
    let pid: u32 = pid.unwrap();
    assert!(alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(eventually(|| !alive(pid)));
}

#[test]
fn a_program_that_is_no_worker_breaks_the_protocol() {
    let studio = Studio::with_messages(1);
    for (script, expected) in [
        ("echo this is not a frame at all; exec sleep 600", "frame"),
        ("exec >&-; exec sleep 600", "closed its pipe"),
    ] {
        let command = WorkerCommand {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            envs: vec![],
        };
        let session = session(&simulator_library(), SECRET);
        let error = WorkerClient::start(command, session, limits()).unwrap_err();
        assert!(matches!(error, CallError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    drop(studio);
    let command = WorkerCommand {
        program: "false".into(),
        args: vec![],
        envs: vec![],
    };
    let session = session(&simulator_library(), SECRET);
    let error = WorkerClient::start(command, session, limits()).unwrap_err();
    assert_eq!(
        error,
        CallError::Crashed {
            exit: Exit::Status(1)
        }
    );
}
