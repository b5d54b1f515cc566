//! Single functions of the hot path, with their results checked.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use huicun_indexer::index::fold::{find_all, fold, fold_str};
use huicun_indexer::ingest::normalise::{content_hash, normalise};
use huicun_semantics::dialogue::{Counted, DialogueRule, Side, cut};

const TEXT: &str = "您好，您购买的空气炸锅已经从仓库发出，预计明天下午送到，请注意查收[微笑]";

fn message() -> String {
    serde_json::json!({
        "msgid": "1234567890123456789_1700000000123_external",
        "action": "send",
        "from": "zhangsan",
        "tolist": ["wmSYN0000000000000000000000000001"],
        "roomid": "",
        "msgtime": 1_700_000_000_123_i64,
        "msgtype": "text",
        "text": {"content": TEXT},
    })
    .to_string()
}

fn ingest(c: &mut Criterion) {
    let message = message();
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(1));
    group.bench_function("normalise/text", |b| {
        b.iter(|| assert!(normalise(black_box(message.as_bytes())).is_ok()));
    });
    group.bench_function("content_hash/text", |b| {
        b.iter(|| content_hash(black_box(message.as_bytes())));
    });
    group.finish();
}

fn search(c: &mut Criterion) {
    let mut group = c.benchmark_group("search");
    group.throughput(Throughput::Bytes(TEXT.len() as u64));
    let mut folded = String::new();
    group.bench_function("fold_str/chinese", |b| {
        b.iter(|| fold_str(black_box(TEXT), &mut folded));
    });
    let literal: Vec<char> = "明天下午".chars().collect();
    group.bench_function("highlight/chinese", |b| {
        b.iter(|| assert_eq!(find_all(&fold(black_box(TEXT)), &literal).len(), 1));
    });
    group.finish();
}

fn dialogues(c: &mut Criterion) {
    let messages: Vec<Counted> = (0..100_000i64)
        .map(|i| Counted {
            at_ms: i * 40_000 + (i / 50) * 1_800_000,
            seq: i,
            speaker: (i % 2) as u32,
            side: if i % 2 == 0 {
                Side::Customer
            } else {
                Side::Employee
            },
            closes: false,
        })
        .collect();
    let rule = DialogueRule {
        gap_ms: 1_800_000,
        grace_ms: 0,
    };
    let mut group = c.benchmark_group("dialogue");
    group.throughput(Throughput::Elements(messages.len() as u64));
    let mut cuts = Vec::new();
    group.bench_function("cut/100000", |b| {
        b.iter(|| {
            cut(black_box(&messages), &rule, &mut cuts);
            assert_eq!(cuts.len(), 2000);
        });
    });
    group.finish();
}

criterion_group!(benches, ingest, search, dialogues);
criterion_main!(benches);
