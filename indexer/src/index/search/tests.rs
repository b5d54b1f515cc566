//! The operators of the query language against what a reader of all messages would pick.

use std::collections::HashMap;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::archive::{Home, MessageRow, MessageWriter, Status, messages};
use huicun_engine::directory::{Directory, feed, schema};
use huicun_semantics::time::Zone;

use super::super::query::QueryError;
use super::super::{By, Follower, Query};
use super::{Order, Question, SearchIndex};

const EMPLOYEES: &str = r#"{"userid":"anna","name":"安娜","departments":["1"]}
{"userid":"bob","name":"宝哥","departments":["2"]}
{"userid":"bob2","name":"宝哥","departments":["1"]}"#;
const DEPARTMENTS: &str = r#"{"id":"0","name":"总部"}
{"id":"1","name":"一部","parent_id":"0"}
{"id":"2","name":"二部","parent_id":"0"}"#;
const CUSTOMERS: &str = r#"{"external_userid":"wm1","name":"王 总"}
{"external_userid":"wm2","name":"李总"}"#;
const GROUPS: &str = r#"{"chat_id":"wr1","name":"装修群","owner":"anna"}"#;
// Bob was in the room only while the second of its messages was sent.
const MEMBERS: &str = r#"{"chat_id":"wr1","member_id":"bob2","member_type":"employee","join_time":1700000000006,"leave_time":1700000000008}"#;

fn directory() -> Directory {
    let fed = [
        ("departments", DEPARTMENTS),
        ("employees", EMPLOYEES),
        ("customers", CUSTOMERS),
        ("groups", GROUPS),
        ("group_members", MEMBERS),
    ];
    let mut tables = HashMap::new();
    for (name, rows) in fed {
        let spec = schema::table(name).unwrap();
        let read = feed::read_ndjson(spec, rows.as_bytes(), "test").unwrap();
        tables.insert(name, read.rows);
    }
    Directory::from_tables(tables)
}

fn row(seq: i64, from: &str, to: &[&str], room: &str, msgtype: &str, text: &str) -> MessageRow {
    MessageRow {
        source: "corp".into(),
        seq,
        msgid: format!("m{seq}"),
        publickey_ver: Some(1),
        action: "send".into(),
        msgtype: msgtype.into(),
        msgtime_ms: 1_700_000_000_000 + seq,
        pulled_at_ms: 1_700_000_000_000,
        from_id: from.into(),
        to_ids: to.iter().map(|id| id.to_string()).collect(),
        room_id: room.into(),
        text: text.into(),
        payload: "{}".into(),
        media: None,
        call_ms: None,
        revokes_msgid: None,
        status: Status::Ok,
        reason: None,
        envelope: None,
        content_hash: seq,
    }
}

struct Archive {
    _dir: tempfile::TempDir,
    index: SearchIndex,
    directory: Arc<Directory>,
}

impl Archive {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        let lock = home.lock_writer("test").unwrap();
        let zone = Zone::default();
        let mut writer = MessageWriter::open(&home, lock, zone).await.unwrap();
        let rows = vec![
            row(1, "wm1", &["anna"], "", "text", "退款 退款 合同"),
            row(2, "anna", &["wm1"], "", "file", "退款合同.pdf"),
            row(3, "anna", &["wm1", "bob"], "", "text", "合同 10:30"),
            row(4, "anna", &["bob"], "", "text", "快递"),
            row(5, "wm2", &["anna"], "wr1", "text", "退款 快递"),
            row(7, "anna", &["wm2"], "wr1", "image", ""),
            row(9, "bob", &["wm2"], "", "text", "http://合同"),
        ];
        writer.append(&Arc::from("corp"), rows, None).await.unwrap();
        drop(writer);
        let table = messages::open(&home).await.unwrap().unwrap();
        let mut follower = Follower::open(&home.index()).unwrap();
        follower.catch_up(&table).await.unwrap();
        follower.close().unwrap();
        Self {
            index: SearchIndex::open(&home.index()).unwrap().unwrap(),
            directory: Arc::new(directory()),
            _dir: dir,
        }
    }

    /// The seqs that are found, in the order asked for.
    fn found_in(&self, order: Order, query: &str) -> Vec<i64> {
        let question = Question {
            query: Query::parse(query).unwrap(),
            limit: 1,
            order,
            ..Question::default()
        };
        self.all(question)
    }

    /// All hits of a question, gathered page by page.
    fn all(&self, mut question: Question) -> Vec<i64> {
        let scope = Scope::local_operator();
        let mut seqs = Vec::new();
        loop {
            let page = self.index.search(&scope, &self.directory, &question);
            let page = page.unwrap();
            seqs.extend(page.hits.iter().map(|hit| hit.message.seq));
            question.after = page.hits.last().map(|hit| hit.place());
            if !page.has_more {
                assert_eq!(page.n_total, seqs.len() as u64);
                return seqs;
            }
        }
    }

    fn found(&self, query: &str) -> Vec<i64> {
        let mut seqs = self.found_in(Order::NewestFirst, query);
        seqs.reverse();
        seqs
    }

    /// The conversation that the hit with this seq is shown in.
    fn shown_in(&self, query: &str, seq: i64) -> String {
        let question = Question {
            query: Query::parse(query).unwrap(),
            ..Question::default()
        };
        let scope = Scope::local_operator();
        let found = self.index.search(&scope, &self.directory, &question);
        let hits = found.unwrap().hits;
        let hit = hits.into_iter().find(|hit| hit.message.seq == seq);
        hit.unwrap().conversation.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_finds_what_it_says() {
    let archive = Archive::new().await;
    for (query, expected) in [
        ("", vec![1, 2, 3, 4, 5, 7, 9]),
        ("from:anna", vec![2, 3, 4, 7]),
        ("from:安娜 退款", vec![2]),
        ("from:wm1 OR from:wm2", vec![1, 5]),
        ("-from:anna", vec![1, 5, 9]),
        ("to:bob", vec![3, 4]),
        ("to:\"王 总\"", vec![2, 3]),
        ("-to:bob", vec![1, 2, 5, 7, 9]),
        ("with:wm1", vec![1, 2, 3]),
        ("with:anna with:bob", vec![3, 4]),
        // Two employees bear the name; one of them was a member for one message.
        ("with:宝哥", vec![3, 4, 7, 9]),
        // The message to two is found in the pair without him.
        ("-with:bob", vec![1, 2, 3, 5, 7]),
        ("-with:wm1 合同", vec![3, 9]),
        ("with:wm1 with:bob", vec![]),
        ("in:wr1", vec![5, 7]),
        ("in:装修群", vec![5, 7]),
        ("in:wm1|anna", vec![1, 2, 3]),
        ("-in:wr1 快递", vec![4]),
        ("type:image OR type:file", vec![2, 7]),
        ("-type:text", vec![2, 7]),
        ("kind:single_internal", vec![3, 4]),
        ("-kind:single_external", vec![3, 4, 5, 7]),
        ("kind:single_internal kind:group_external", vec![]),
        ("file:合同", vec![2]),
        ("-file:合同 合同", vec![1, 3, 9]),
        ("合同 10:30", vec![3]),
        ("http://", vec![9]),
        ("\"from:anna\"", vec![]),
    ] {
        assert_eq!(archive.found(query), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_two_is_shown_in_the_pair_that_fits() {
    let archive = Archive::new().await;
    assert_eq!(archive.shown_in("with:wm1", 3), "anna|wm1");
    assert_eq!(archive.shown_in("to:bob", 3), "anna|bob");
    assert_eq!(archive.shown_in("-with:wm1", 3), "anna|bob");
    assert_eq!(archive.shown_in("-kind:single_external", 3), "anna|bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn relevance_puts_most_words_first_then_the_newest() {
    let archive = Archive::new().await;
    let query = "退款 OR 合同 OR 快递";
    let by_relevance = archive.found_in(Order::Relevance, query);
    assert_eq!(by_relevance, [5, 2, 1, 9, 4, 3]);
    // Words that only filters look at do not count.
    let filtered = archive.found_in(Order::Relevance, "退款 OR 合同 with:wm1");
    assert_eq!(filtered, [2, 1, 3]);
    assert_eq!(archive.found(query), [1, 2, 3, 4, 5, 9]);
}

#[test]
fn an_unknown_kind_is_named_with_its_place() {
    let QueryError { problem, at } = Query::parse("退款 kind:单聊").unwrap_err();
    assert!(problem.contains("单聊") && at == 9, "{problem} at {at}");
}

impl Archive {
    fn counted(&self, query: &str, by: By) -> Vec<(String, u64)> {
        let question = Question {
            query: Query::parse(query).unwrap(),
            ..Question::default()
        };
        let scope = Scope::local_operator();
        let zone = Zone::default();
        let tallied = self
            .index
            .tally(&scope, &self.directory, &question, by, zone);
        let groups = tallied.unwrap().groups.into_iter();
        groups
            .map(|(id, count)| (id.to_string(), count.n_messages))
            .collect()
    }

    /// What a search with each group as a filter finds.
    fn searched(&self, query: &str, by: By, groups: &[&str]) -> Vec<(String, u64)> {
        let found = groups.iter().map(|group| {
            let mut question = Question {
                query: Query::parse(query).unwrap(),
                ..Question::default()
            };
            let value = vec![group.to_string()];
            match by {
                By::Employee => question.employees = value,
                By::Department => question.departments = value,
                By::Type => question.types = value,
                By::Conversation => question.conversation = Some(group.to_string()),
                By::Day => unreachable!("days are the period's business"),
            }
            (group.to_string(), self.all(question).len() as u64)
        });
        found.filter(|(_, n)| *n > 0).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_count_is_what_a_search_with_that_filter_finds() {
    let archive = Archive::new().await;
    for query in [
        "",
        "退款",
        "合同",
        "-kind:single_external",
        "with:wm1",
        "快递 OR 合同",
    ] {
        for (by, groups) in [
            (By::Employee, &["anna", "bob", "bob2"][..]),
            (By::Department, &["0", "1", "2"]),
            (By::Type, &["file", "image", "text"]),
            (
                By::Conversation,
                &["anna|bob", "anna|wm1", "bob|wm2", "wr1"],
            ),
        ] {
            let counted = archive.counted(query, by);
            let searched = archive.searched(query, by, groups);
            assert_eq!(counted, searched, "{query} by {by:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_of_the_zone() {
    let archive = Archive::new().await;
    // 22:13 in London is the next day in Shanghai.
    assert_eq!(archive.counted("", By::Day), [("2023-11-15".into(), 7)]);
}
