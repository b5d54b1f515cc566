//! Two pullers at once: the second is refused within a second, and a holder that was stopped for
//! a while comes back without harm.

use std::time::{Duration, Instant};

use super::archive::{Archive, company};
use super::scale::{Dice, Suite, scaled};
use crate::support::{Installation, Running, wait_until};

const N_MESSAGES: u64 = 600;
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 20\ncommit_records_max = 20\ncommit_wait_ms = 5\n";

fn signal(running: &Running, name: &str) {
    let command = format!("kill -{name} {}", running.id());
    let status = std::process::Command::new("sh")
        .args(["-c", &command])
        .status();
    assert!(status.unwrap().success());
}

/// The holder of a pair that began at once, after the other was refused; how long that took.
fn refused(mut pair: [Running; 2]) -> (Running, Duration) {
    let began = Instant::now();
    let mut loser = 2;
    wait_until(Duration::from_secs(30), "one of two to be refused", || {
        loser = pair.iter_mut().position(|p| !p.is_running()).unwrap_or(2);
        loser < 2
    });
    let took = began.elapsed();
    let [first, second] = pair;
    let (mut lost, holder) = if loser == 0 {
        (first, second)
    } else {
        (second, first)
    };
    let status = lost.wait(Duration::from_secs(1)).code();
    let said = lost.stderr();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    (holder, took)
}

#[test]
fn of_two_pullers_one_is_refused_and_one_works() {
    let run = Installation::new();
    run.tape_of(&company(N_MESSAGES));
    run.configure(SMALL_COMMITS);
    let mut dice = Dice::new(24);
    let suite = Suite::begin("two pullers", &dice);
    let archive = Archive::of(&run);
    let (n, mut n_late) = (scaled(4, 100), 0);
    let mut slowest = Duration::ZERO;
    for pair in 0..n {
        let (holder, took) = refused([run.start(&["pull"]), run.start(&["pull"])]);
        slowest = slowest.max(took);
        n_late += u64::from(took > Duration::from_secs(1));
        // The holder sleeps through another's attempt, and goes on.
        signal(&holder, "STOP");
        let third = archive.run(&["pull", "--once"]);
        assert_eq!(third.status, 1, "pair {pair}: {}", third.stderr);
        signal(&holder, "CONT");
        std::thread::sleep(Duration::from_millis(dice.below(200)));
        let mut holder = holder;
        if pair.is_multiple_of(2) {
            holder.terminate();
            assert!(holder.wait(Duration::from_secs(30)).success());
        } else {
            holder.kill();
        }
        if pair.is_multiple_of(5) || pair + 1 == n {
            archive.drain().ok();
            archive.whole(N_MESSAGES);
            std::fs::remove_dir_all(run.data()).unwrap();
        }
    }
    // Two cores may be busy with other tests; a release build on a quiet machine takes tenths.
    assert!(
        n_late * 4 <= n,
        "{n_late} of {n} refusals took more than a second"
    );
    suite.done(n, &format!("slowest refusal {} ms", slowest.as_millis()));
}
