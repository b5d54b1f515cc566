//! The answer equals the answer over an archive from which everything outside the scope was
//! removed; rows equal those of a naive rule; a wider scope loses none; no token of a hidden
//! message leaves.
//!
//! Short in `make test`; `HUICUN_PERMISSION_CASES` sets how many (organisation, caller, question)
//! cases run, `HUICUN_PERMISSION_SEED` which.

use std::collections::BTreeSet;

use huicun_engine::access::Function;
use huicun_engine::tables::WORKER_STACK_BYTES;
use serde_json::Value;

use super::company::{Company, Dice, Rooms, Said};
use super::questions::{self, TABLES};
use super::served::{Answer, Ask, Served, base, encoded};

/// Questions of one caller.
const QUESTIONS: u64 = 120;
/// Callers of one organisation.
const CALLERS: usize = 3;
/// Pages of one list that are followed.
const PAGES_MAX: usize = 4;

fn given(name: &str, missing: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(missing)
}

/// Somebody who asks, and the employees whose data are his.
struct Asker {
    scope: String,
    employee: Option<String>,
    people: BTreeSet<String>,
}

impl Asker {
    fn random(dice: &mut Dice, company: &Company) -> Self {
        let (id, department) = dice.one(&company.employees).clone();
        let other = dice.one(&company.employees).0.clone();
        let (scope, people) = match dice.roll(4) {
            0 => ("self".to_string(), BTreeSet::from([id.clone()])),
            1 => {
                let mut below = company.below(&department);
                below.insert(id.clone());
                ("departments_below".into(), below)
            }
            2 => {
                let department = dice.one(&company.departments).0.clone();
                (
                    format!("department:{department}"),
                    company.below(&department),
                )
            }
            _ => (
                format!("employee:{id},{other},nobody"),
                BTreeSet::from([id.clone(), other]),
            ),
        };
        let employee = (!scope.contains(':')).then_some(id);
        Self {
            scope,
            employee,
            people,
        }
    }

    fn token(&self, served: &Served) -> String {
        served.token(&Function::ALL, &self.scope, self.employee.as_deref())
    }
}

/// An organisation, whole and as one caller may know it.
struct Pair {
    whole: Served,
    part: Served,
    tokens: [String; 2],
}

impl Pair {
    async fn new(company: &Company, folder: &std::path::Path, asker: &Asker) -> Self {
        let visible = |said: &&Said| company.may_read(&asker.people, said);
        let of_others = |name: &'static str, by: &'static str| {
            let (_, rows) = company
                .tables
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap();
            let mine = |row: &&Value| asker.people.contains(row[by].as_str().unwrap());
            (name, rows.iter().filter(mine).cloned().collect::<Vec<_>>())
        };
        let all = company
            .tables
            .iter()
            .filter(|(name, _)| REMOVED.contains(name));
        let all: Vec<_> = all.cloned().collect();
        let mine = [
            of_others("followups", "userid"),
            of_others("kf_messages", "servicer_userid"),
        ];
        let whole = Served::new(folder, &all, company.said.iter()).await;
        let part = Served::new(folder, &mine, company.said.iter().filter(visible)).await;
        let tokens = [asker.token(&whole), asker.token(&part)];
        Self {
            whole,
            part,
            tokens,
        }
    }

    async fn ask(&self, ask: &Ask) -> [Answer; 2] {
        let [whole, part] = &self.tokens;
        let (whole, part) = tokio::join!(self.whole.ask(whole, ask), self.part.ask(part, ask));
        [whole, part]
    }

    /// Asks both, page after page, and compares. Returns what left of the whole one.
    async fn compare(&self, ask: &Ask, about: &str) -> Vec<Answer> {
        let mut asked = ask.clone();
        let mut seen = Vec::new();
        for _ in 0..PAGES_MAX {
            let [whole, part] = self.ask(&asked).await;
            let (whole_told, part_told) = (whole.without_stamp(), part.without_stamp());
            assert!(whole.status < 500, "{about}: {asked:?}\n{whole:?}");
            assert_eq!(whole_told, part_told, "{about}\n{asked:?}");
            let next = whole.json()["next"].as_str().map(String::from);
            seen.push(whole);
            let Some(next) = next else { break };
            asked.path = format!("{}&cursor={}", ask.path, encoded(&next));
            asked.path = without_around(&asked.path);
        }
        seen
    }
}

fn without_around(path: &str) -> String {
    let (route, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> = query
        .split('&')
        .filter(|p| !p.starts_with("around="))
        .collect();
    format!("{route}?{}", kept.join("&"))
}

/// Tables that are cut to what the caller may see where he may know nothing else.
const REMOVED: [&str; 2] = ["followups", "kf_messages"];

/// Looks for tokens of messages that the caller may not read. `ask` may hold some: an error may
/// repeat what was asked.
fn no_canary(company: &Company, asker: &Asker, ask: &Ask, answers: &[Answer], about: &str) {
    let hidden = company
        .said
        .iter()
        .filter(|said| !company.may_read(&asker.people, said));
    for said in hidden {
        let text = said.text.rsplit(' ').next().unwrap();
        let tokens = [text, &said.msgid].map(String::from);
        for token in tokens.iter().filter(|token| token.starts_with("kq")) {
            if ask.path.contains(token.as_str()) || ask.body.contains(token.as_str()) {
                continue;
            }
            for answer in answers {
                assert!(
                    !answer.bytes().contains(token.as_str()),
                    "{about}\n{ask:?}\n{token} of {said:?} in {answer:?}"
                );
            }
        }
    }
}

/// Names, remarks and texts of the directory that are about somebody else.
fn no_canary_of_others(company: &Company, asker: &Asker, ask: &Ask, answers: &[Answer]) {
    let others = company
        .employees
        .iter()
        .filter(|(id, _)| !asker.people.contains(id));
    for (id, _) in others {
        for token in ["kqe", "kqr", "kqf", "kqk"].map(|kind| format!("{kind}{id}z")) {
            let is_told = answers.iter().any(|answer| answer.body.contains(&token));
            assert!(!is_told, "{} {ask:?} tells {token}", asker.scope);
        }
    }
}

/// Every message that the caller may read is found, and no other.
async fn oracle(pair: &Pair, company: &Company, asker: &Asker, about: &str) {
    let expected: BTreeSet<i64> = company
        .said
        .iter()
        .filter(|said| company.may_read(&asker.people, said))
        .map(|said| said.seq)
        .collect();
    for ask in [
        Ask::get("/v1/search?limit=1000"),
        Ask::sql("SELECT seq FROM messages"),
    ] {
        let answer = pair.whole.ask(&pair.tokens[0], &ask).await;
        let found = seqs(&answer);
        assert_eq!(found, expected, "{about}: {ask:?}");
    }
    for said in &company.said {
        let ask = Ask::get(format!("/v1/media?msgid={}", said.msgid));
        let answer = pair.whole.ask(&pair.tokens[0], &ask).await;
        if !expected.contains(&said.seq) {
            let items = &answer.json()["items"];
            assert_eq!(*items, serde_json::json!([]), "{about}: {said:?}");
        }
    }
}

fn seqs(answer: &Answer) -> BTreeSet<i64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let rows = json["items"].as_array().unwrap().iter();
    rows.map(|row| row["seq"].as_i64().unwrap()).collect()
}

/// Who may see more loses nothing, in some of the tables.
async fn monotony(pair: &Pair, company: &Company, asker: &Asker, dice: &mut Dice, about: &str) {
    let wider = Asker {
        scope: format!(
            "employee:{},{}",
            asker.people.iter().cloned().collect::<Vec<_>>().join(","),
            company.employees[0].0
        ),
        employee: None,
        people: BTreeSet::new(),
    };
    let wider = wider.token(&pair.whole);
    for _ in 0..6 {
        let (table, order) = *dice.one(&TABLES);
        let ask = Ask::sql(&format!("SELECT * FROM {table} ORDER BY {order}"));
        let rows = async |token: &str| -> BTreeSet<String> {
            let answer = pair.whole.ask(token, &ask).await;
            assert_eq!(answer.status, 200, "{ask:?} {answer:?}");
            let json = answer.json();
            let items = json["items"].as_array().unwrap().iter();
            items.map(Value::to_string).collect()
        };
        let (narrow, wide) = (rows(&pair.tokens[0]).await, rows(&wider).await);
        let lost: Vec<&String> = narrow.difference(&wide).collect();
        assert!(lost.is_empty(), "{about}: {table} loses {lost:?}");
    }
}

async fn organisation(seed: u64, rooms: Rooms, n_questions: u64) {
    let mut dice = Dice(seed);
    let company = Company::random(&mut dice, rooms);
    let folder = base(&company, &REMOVED).await;
    for n_caller in 0..CALLERS {
        let asker = Asker::random(&mut dice, &company);
        let about = format!("seed {seed}, {rooms:?}, caller {n_caller}, {}", asker.scope);
        let pair = Pair::new(&company, folder.path(), &asker).await;
        oracle(&pair, &company, &asker, &about).await;
        monotony(&pair, &company, &asker, &mut dice, &about).await;
        for _ in 0..n_questions {
            let (ask, of_one) = match (dice.roll(10), rooms) {
                (0..5, _) => (questions::of_messages(&mut dice, &company), false),
                (5, _) => (questions::sql_of_messages(&mut dice, &company), true),
                (6..9, Rooms::Listed) => (questions::of_figures(&mut dice, &company), false),
                (_, Rooms::Listed) => (questions::sql(&mut dice, &company), true),
                // Figures of a room that is seen in part are the employees', by the law.
                (6..9, Rooms::Loose) => {
                    let ask = questions::of_figures(&mut dice, &company);
                    let answer = pair.whole.ask(&pair.tokens[0], &ask).await;
                    no_canary(&company, &asker, &ask, &[answer], &about);
                    continue;
                }
                (_, Rooms::Loose) => {
                    let ask = questions::sql(&mut dice, &company);
                    let answer = [pair.whole.ask(&pair.tokens[0], &ask).await];
                    no_canary_of_others(&company, &asker, &ask, &answer);
                    continue;
                }
            };
            let answers = pair.compare(&ask, &about).await;
            no_canary(&company, &asker, &ask, &answers, &about);
            if of_one {
                no_canary_of_others(&company, &asker, &ask, &answers);
            }
        }
    }
}

fn run(rooms: Rooms, seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(WORKER_STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    let n_cases = given("HUICUN_PERMISSION_CASES", QUESTIONS * CALLERS as u64);
    let n_organisations = n_cases.div_ceil(QUESTIONS * CALLERS as u64);
    let first = given("HUICUN_PERMISSION_SEED", seed);
    for n in 0..n_organisations {
        // A task, for the stack of a worker.
        let one = organisation(first + n, rooms, QUESTIONS);
        runtime.block_on(async { tokio::spawn(one).await }).unwrap();
    }
}

#[test]
fn an_answer_is_as_if_what_is_out_of_scope_had_never_been_archived() {
    run(Rooms::Listed, 1);
}

#[test]
fn a_room_that_is_seen_in_part_answers_as_if_the_rest_had_never_been_said() {
    run(Rooms::Loose, 1001);
}
