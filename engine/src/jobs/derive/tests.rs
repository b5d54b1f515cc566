//! Step by step is the same as from nothing: random companies whose messages come in any order,
//! whose directory and rules change in between, and whose derivation is done in small stretches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use huicun_semantics::time::Zone;
use proptest::prelude::*;

use super::load::Snapshot;
use super::*;
use crate::archive::{MessageRow, MessageWriter, Status};
use crate::directory::{feed, schema as tables_of_directory, store as directory_store};
use crate::jobs::behaviours::{self, Behaviours};

/// Monday 2024-09-30 23:00 in Shanghai: the first night lies within reach of every company.
const BEGIN_MS: i64 = 1_727_708_400_000;
const PEOPLE: [&str; 7] = ["e1", "e2", "e3", "wm1", "wm2", "x1", "wb1"];
const TEXTS: [&str; 4] = ["在吗", "谢谢", "好的", "多少钱"];
const RULES: &str = r#"
[closing]
phrases = ["谢谢"]
grace_seconds = 60
[[calendar]]
name = "office"
weekly = { mon = ["09:00-12:00", "13:30-18:00"], tue = ["09:00-18:00"], wed = ["22:00-24:00"] }
[timeout]
no_answer_phrases = ["好的"]
[[timeout.rule]]
name = "office"
employees = ["e1"]
calendar = "office"
levels = [ { after_minutes = 10 }, { after_minutes = 30 } ]
[[timeout.rule]]
name = "all"
levels = [ { after_minutes = 3 }, { after_minutes = 29 }, { after_minutes = 600 } ]
"#;

/// One message: minutes since the one before, who, to whom (or a room), what.
#[derive(Debug, Clone)]
struct Said {
    after_minutes: u32,
    from: usize,
    to: Vec<usize>,
    room: Option<u8>,
    text: usize,
    is_recall: bool,
}

/// What happens between two derivations.
#[derive(Debug, Clone)]
enum Change {
    /// The next messages come in; those in `late` are held back for the last import.
    Messages(usize),
    /// `x1` becomes a customer of the directory.
    Customer,
    /// `x1` becomes an employee.
    Employee,
    /// `wm2` was a member of room r1, which nobody had seen speak.
    Member,
    /// Room r0 gets a responsible employee.
    Responsible,
    /// `timeout.from` changes.
    TimerFrom,
    /// Only the reply rules change.
    Levels,
    /// One of [`WATCHES`] is applied so many minutes after the beginning, among the messages.
    Watched(usize, u32),
    /// The rules in force are applied to some days: from, how many, asked how many minutes in.
    Rescan(u8, u8, u32),
    /// e1 and wm1 part.
    Lost,
}

/// Rules about behaviours that follow each other.
const WATCHES: [&str; 3] = [
    "[[sensitive.rule]]\nname = \"钱\"\nwords = \"多少，在吗\"\nenabled = true\n\
     [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n\
     [behaviour.card]\nenabled = true\nemployees = [\"e1\"]\n\
     [behaviour.friend_deleted]\nenabled = true\naudited = [\"customer\"]\n",
    "[[sensitive.rule]]\nname = \"谢\"\nwords = \"谢谢\"\nenabled = true\n\
     [behaviour.sensitive_word]\nenabled = true\naudited = [\"customer\"]\ndepartments = [\"d\"]\n\
     [behaviour.card]\nenabled = true\naudited = [\"employee\", \"customer\"]\n",
    "[behaviour.sensitive_word]\nenabled = false\n[behaviour.card]\nenabled = false\n\
     [behaviour.friend_deleted]\nenabled = false\n",
];

fn said() -> impl Strategy<Value = Said> {
    let minutes = prop_oneof![
        Just(0),
        Just(1),
        Just(29),
        Just(30),
        Just(31),
        0u32..400,
        Just(2000)
    ];
    let to = prop::collection::vec(0..PEOPLE.len(), 1..3);
    let room = prop_oneof![2 => Just(None), 1 => (0u8..2).prop_map(Some)];
    (
        minutes,
        0..PEOPLE.len(),
        to,
        room,
        0..TEXTS.len(),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(after_minutes, from, to, room, text, is_recall)| Said {
            after_minutes,
            from,
            to,
            room,
            text,
            is_recall,
        })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (1usize..20).prop_map(Change::Messages),
        1 => Just(Change::Customer),
        1 => Just(Change::Employee),
        1 => Just(Change::Member),
        1 => Just(Change::Responsible),
        1 => Just(Change::TimerFrom),
        1 => Just(Change::Levels),
        3 => (0..WATCHES.len(), 0u32..3000).prop_map(|(which, at)| Change::Watched(which, at)),
        2 => (0u8..4, 0u8..3, 0u32..3000).prop_map(|(day, n, at)| Change::Rescan(day, n, at)),
        1 => Just(Change::Lost),
    ]
}

fn rows(said: &[Said], is_late: &[bool]) -> Vec<(bool, MessageRow)> {
    let mut at_ms = BEGIN_MS;
    let mut rows = Vec::new();
    for (nth, one) in said.iter().enumerate() {
        at_ms += i64::from(one.after_minutes) * 60_000;
        let row = MessageRow {
            source: "corp".into(),
            seq: nth as i64 + 1,
            msgid: format!("m{nth}"),
            publickey_ver: None,
            action: if one.is_recall { "recall" } else { "send" }.into(),
            msgtype: if nth % 5 == 4 { "card" } else { "text" }.into(),
            msgtime_ms: at_ms,
            pulled_at_ms: at_ms,
            from_id: PEOPLE[one.from].into(),
            to_ids: one.to.iter().map(|to| PEOPLE[*to].into()).collect(),
            room_id: one.room.map_or(String::new(), |room| format!("r{room}")),
            text: TEXTS[one.text].into(),
            payload: "{}".into(),
            media: None,
            call_ms: (one.text == 3).then_some(5_000),
            revokes_msgid: None,
            status: Status::Ok,
            reason: None,
            envelope: None,
            content_hash: nth as i64,
        };
        rows.push((is_late[nth % is_late.len()], row));
    }
    rows
}

async fn feed_rows(home: &Home, table: &str, lines: &str) {
    let spec = tables_of_directory::table(table).unwrap();
    let rows = feed::read_ndjson(spec, lines.as_bytes(), "test").unwrap();
    directory_store::upsert(home, rows).await.unwrap();
}

async fn append(home: &Home, rows: Vec<MessageRow>) {
    let source: Arc<str> = "corp".into();
    let lock = home.lock_writer("test").unwrap();
    let mut writer = MessageWriter::open(home, lock, Zone::default())
        .await
        .unwrap();
    writer.append(&source, rows, None).await.unwrap();
}

/// All rows of every derived table, in order.
async fn all(home: &Home, manifest: Manifest) -> Vec<(&'static str, RecordBatch)> {
    let snapshot = Snapshot::open(home, manifest, Zone::default())
        .await
        .unwrap();
    let mut found = Vec::new();
    for spec in schema::TABLES.iter() {
        let rows = snapshot.rows(spec.name, |_| true).await.unwrap();
        let schema = rows
            .first()
            .map_or_else(|| spec.schema(), RecordBatch::schema);
        let rows = arrow::compute::concat_batches(&schema, &rows).unwrap();
        found.push((spec.name, rows));
    }
    found
}

/// All behaviours as they are found by looking at every message.
async fn found_afresh(home: &Home, zone: Zone) -> RecordBatch {
    let directory = Directory::load(home).await.unwrap();
    let state = State::open(&home.state()).unwrap();
    let (versions, rescans) = (state.rule_versions().unwrap(), state.rescans().unwrap());
    let known = Behaviours::new(&directory, &versions, &rescans, zone);
    let mut rows = behaviours::read(home, &known, (None, None)).await.unwrap();
    known.of_relations(&state.losses().unwrap(), &mut rows);
    rows.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    let columns: Vec<usize> =
        (1..schema::table(schema::BEHAVIOURS).schema().fields().len()).collect();
    let batch = sighting::behaviours(&rows, zone).unwrap();
    batch.project(&columns).unwrap()
}

async fn check(said: Vec<Said>, is_late: Vec<bool>, changes: Vec<Change>) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&dir.path().join("data")).unwrap();
    feed_rows(
        &home,
        "employees",
        "{\"userid\":\"e1\",\"name\":\"甲\",\"departments\":[\"d\"]}",
    )
    .await;
    let mut file = RULES.to_string();
    let mut rules = Rules::default().replaced_by(&file).unwrap();
    let (late, mut early): (Vec<_>, Vec<_>) = rows(&said, &is_late)
        .into_iter()
        .partition(|(is_late, _)| *is_late);
    early.reverse();
    let rest: Vec<MessageRow> = late.into_iter().map(|(_, row)| row).collect();
    let mut changes = changes;
    changes.push(Change::Messages(usize::MAX));
    let n_changes = changes.len();
    let mut n_dialogues = 0;
    let state = State::open(&home.state()).unwrap();
    for (nth, change) in changes.into_iter().enumerate() {
        let is_of_conversations = matches!(change, Change::TimerFrom);
        let is_of_rules = matches!(change, Change::Watched(..) | Change::Rescan(..));
        let mut n_new = 0;
        match change {
            Change::Messages(n) => {
                let n = n.min(early.len());
                let mut now: Vec<MessageRow> = early
                    .split_off(early.len() - n)
                    .into_iter()
                    .map(|(_, row)| row)
                    .collect();
                now.reverse();
                if nth + 1 == n_changes {
                    now.extend(rest.iter().cloned());
                }
                n_new = now.len() as u64;
                if !now.is_empty() {
                    append(&home, now).await;
                }
            }
            Change::Watched(which, minutes) => {
                let at_ms = BEGIN_MS + i64::from(minutes) * 60_000;
                state.apply_rules(WATCHES[which], at_ms).unwrap();
            }
            Change::Rescan(day, n, minutes) => {
                let first = Zone::default().day_of(BEGIN_MS) + chrono::Days::new(day.into());
                let last = first + chrono::Days::new(n.into());
                let asked_ms = BEGIN_MS + i64::from(minutes) * 60_000;
                state.add_rescan((first, last), None, asked_ms).unwrap();
            }
            Change::Lost => {
                let line = "{\"userid\":\"e1\",\"external_userid\":\"wm1\",\"add_time\":1727708400,\
                            \"lost_time\":1727715600,\"lost_by\":\"customer\"}";
                feed_rows(&home, "relations", line).await;
            }
            Change::Customer => {
                feed_rows(
                    &home,
                    "customers",
                    "{\"external_userid\":\"x1\",\"name\":\"客\"}",
                )
                .await;
            }
            Change::Employee => {
                let line = "{\"userid\":\"x1\",\"name\":\"乙\",\"departments\":[]}";
                feed_rows(&home, "employees", line).await;
            }
            Change::Member => {
                let line = "{\"chat_id\":\"r1\",\"member_id\":\"wm2\",\"join_time\":1727708400,\
                            \"member_type\":\"customer\"}";
                feed_rows(&home, "group_members", line).await;
            }
            Change::Responsible => {
                let line = "{\"chat_id\":\"r0\",\"role\":\"responsible\",\"userid\":\"e1\",\
                            \"from_time\":1727715600}";
                feed_rows(&home, "group_roles", line).await;
            }
            Change::TimerFrom => {
                file = RULES.replace("[timeout]", "[timeout]\nfrom = \"first\"");
                rules = rules.replaced_by(&file).unwrap();
            }
            Change::Levels => {
                file = file.replace("after_minutes = 3 ", "after_minutes = 5 ");
                rules = rules.replaced_by(&file).unwrap();
            }
        }
        let had_messages = Manifest::read(&home).is_some_and(|m| m.made_from.messages_version > 0);
        let (manifest, done) = bring_forward(&home, &rules, &Watch::NOBODY).await.unwrap();
        // Only a rule by which conversations are cut asks for everything anew.
        assert!(!(had_messages && done.is_rebuild) || is_of_conversations);
        // A plain step scans new messages only, and a changed directory none.
        assert!(done.is_rebuild || is_of_rules || done.n_scanned <= n_new);
        n_dialogues = all(&home, manifest).await[0].1.num_rows();
    }
    // A company with that many messages of an employee to a customer has dialogues.
    let is_plain =
        |one: &Said| one.room.is_none() && !one.is_recall && one.from < 3 && one.to.contains(&3);
    assert!(n_dialogues > 0 || !said.iter().any(is_plain));
    let (manifest, done) = bring_forward(&home, &rules, &Watch::NOBODY).await.unwrap();
    assert_eq!(done, Derivation::default(), "nothing is left to do");
    let stepwise = all(&home, manifest).await;
    let (_, recorded) = stepwise
        .iter()
        .find(|(name, _)| *name == schema::BEHAVIOURS)
        .unwrap();
    let afresh = found_afresh(&home, Zone::default()).await;
    // Read back, the day is not among the columns.
    let n = recorded.num_columns() - afresh.num_columns();
    let columns: Vec<usize> = (n..recorded.num_columns()).collect();
    let recorded = recorded.project(&columns).unwrap();
    assert_eq!(recorded.columns(), afresh.columns());
    for stretch_rows in [5, STRETCH_ROWS] {
        let watch = Watch {
            stretch_rows,
            ..Watch::NOBODY
        };
        let (manifest, _) = rebuild(&home, &rules, &watch).await.unwrap();
        for ((name, step), (_, whole)) in stepwise.iter().zip(all(&home, manifest).await) {
            if *name == schema::CONVERSATIONS {
                // Where to begin again may differ: it is no answer.
                let told = |rows: &RecordBatch| rows.project(&(0..10).collect::<Vec<_>>()).unwrap();
                assert_eq!(
                    told(step),
                    told(&whole),
                    "{name} in stretches of {stretch_rows}"
                );
            } else {
                assert_eq!(*step, whole, "{name} in stretches of {stretch_rows}");
            }
        }
    }
}

#[test]
fn a_rebuild_that_is_stopped_leaves_what_was_in_force() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        let rules = Rules::default();
        let one = Said {
            after_minutes: 600,
            from: 3,
            to: vec![0],
            room: None,
            text: 0,
            is_recall: false,
        };
        let rows = rows(&vec![one; 30], &[false]).into_iter();
        append(&home, rows.map(|(_, row)| row).collect()).await;
        let (before, _) = bring_forward(&home, &rules, &Watch::NOBODY).await.unwrap();
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let watch = Watch {
            // Stops when one of several stretches is written.
            is_stopped: &|| seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 1,
            stretch_rows: 5,
            ..Watch::NOBODY
        };
        let stopped = rebuild(&home, &rules, &watch).await;
        assert!(matches!(stopped, Err(DeriveError::Stopped)));
        assert_eq!(Manifest::read(&home), Some(before.clone()));
        let rows = all(&home, before.clone()).await;
        let (after, _) = rebuild(&home, &rules, &Watch::NOBODY).await.unwrap();
        assert_eq!(rows, all(&home, after.clone()).await);
        // What was stopped is swept, what was in force before may still be read.
        let left = home.derived_tables().unwrap();
        let n_tables = schema::TABLES.len();
        assert_eq!(left.len(), 2 * n_tables, "{left:?}");
        // A step that would read more than fits is done from the beginning.
        let watch = Watch {
            stretch_rows: 5,
            ..Watch::NOBODY
        };
        let said = Said {
            after_minutes: 1,
            from: 0,
            to: vec![3],
            room: None,
            text: 0,
            is_recall: false,
        };
        let mut more = super::tests::rows(&vec![said; 8], &[false]);
        for (nth, (_, row)) in more.iter_mut().enumerate() {
            row.seq += 100;
            row.msgid = format!("n{nth}");
        }
        append(&home, more.into_iter().map(|(_, row)| row).collect()).await;
        let (_, done) = bring_forward(&home, &rules, &watch).await.unwrap();
        assert!(done.is_rebuild);
    });
}

#[test]
fn rules_dated_before_a_loss_that_was_noted_judge_it_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let one = Said {
        after_minutes: 1,
        from: 0,
        to: vec![3],
        room: None,
        text: 0,
        is_recall: false,
    };
    // Later than all messages, earlier than the loss, which is noted now.
    let changes = vec![
        Change::Messages(usize::MAX),
        Change::Lost,
        Change::Watched(0, 2900),
    ];
    runtime.block_on(check(vec![one; 3], vec![false], changes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn step_by_step_is_the_same_as_from_nothing(
        said in prop::collection::vec(said(), 1..60),
        is_late in prop::collection::vec(prop::bool::weighted(0.15), 1..30),
        changes in prop::collection::vec(change(), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check(said, is_late, changes));
    }
}
