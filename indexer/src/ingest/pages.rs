//! A page of the pull on its way: sealed as WeCom gave it, opened by RSA, and at last a batch of
//! rows with the cursor's move. Each step is a plain function; the stages that run them are in
//! `pull`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use huicun_engine::archive::{CursorMove, MessageRow};
use huicun_ffi_finance_sdk::page::{DamagedRecord, SealedRecord};
use huicun_ffi_finance_sdk::worker::DecryptOutcome;
use rayon::prelude::*;

use super::keys::{KeyRing, Keys};
use super::pull::PullError;
use super::row::{self, Origin};
use super::status::{Stage, Status};

/// A page as it came.
pub(super) struct SealedPage {
    pub(super) step: CursorMove,
    pub(super) records: Vec<SealedRecord>,
    pub(super) damaged: Vec<DamagedRecord>,
    /// Records whose seq no open table format can hold.
    pub(super) out_of_range: Vec<SealedRecord>,
    /// That WeCom has something in this step which it cannot give.
    pub(super) undeliverable: Option<Undeliverable>,
}

/// Records that the SDK cannot deliver, even one by one.
pub(super) struct Undeliverable {
    /// How it fails; no content.
    pub(super) error: String,
}

/// A page whose random keys are open, each with its text or the reason why not.
pub(super) struct OpenedPage {
    pub(super) step: CursorMove,
    pub(super) records: Vec<(SealedRecord, Result<String, &'static str>)>,
    damaged: Vec<DamagedRecord>,
    out_of_range: Vec<SealedRecord>,
    undeliverable: Option<Undeliverable>,
}

impl OpenedPage {
    /// What the SDK is to decrypt, in order.
    pub(super) fn items(&self) -> Vec<(String, String)> {
        items_of(&self.records)
    }
}

/// What the SDK is to decrypt, in order: records whose random key could not be opened are left out.
pub(super) fn items_of(
    records: &[(SealedRecord, Result<String, &'static str>)],
) -> Vec<(String, String)> {
    let opened = records.iter().filter_map(|(record, key)| {
        let key = key.as_ref().ok()?;
        Some((key.clone(), record.encrypt_chat_msg.clone()))
    });
    opened.collect()
}

/// The rows of a page.
pub(super) struct Batch {
    pub(super) step: CursorMove,
    pub(super) rows: Vec<MessageRow>,
}

/// A damaged record's seq moves the cursor only this far past what is known to be good: a
/// number that the damage made must not skip what comes after.
const DAMAGED_SEQ_LEAP_MAX: u64 = 100_000;

/// The largest number that open table formats, which have no unsigned ones, can hold.
const SEQ_MAX: u64 = i64::MAX as u64;

/// Checks that a page continues after the cursor and says how far it moves it.
///
/// Records that lie behind the cursor may come along, since the archive knows what it has; a page
/// of nothing else is refused, and so the cursor never goes back.
pub(super) fn sealed_page(
    records: Vec<SealedRecord>,
    damaged: Vec<DamagedRecord>,
    after: u64,
) -> Result<SealedPage, PullError> {
    let (records, out_of_range): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|r| r.seq <= SEQ_MAX);
    let good = records.iter().map(|r| r.seq).max();
    if let Some(seq) = good.filter(|seq| *seq <= after) {
        return Err(PullError::SeqNotAfter { seq, after });
    }
    let good = good.unwrap_or(after);
    let last = damaged
        .iter()
        .filter_map(|record| record.seq)
        .filter(|seq| *seq <= good.saturating_add(DAMAGED_SEQ_LEAP_MAX).min(SEQ_MAX))
        .fold(good, u64::max);
    // A page of nothing but records without a believable seq cannot move the cursor.
    if last == after {
        return Err(PullError::NoSeq { after });
    }
    Ok(SealedPage {
        step: CursorMove {
            from: after as i64,
            to: last as i64,
        },
        records,
        damaged,
        out_of_range,
        undeliverable: None,
    })
}

/// Stage 2: RSA, on all cores.
pub(super) fn unseal(
    keys: &Keys,
    status: &Status,
    pages: Receiver<SealedPage>,
    opened: SyncSender<OpenedPage>,
) {
    for page in pages {
        status.leave(Stage::Sealed);
        let page = OpenedPage {
            step: page.step,
            records: open_keys(&keys.ring(), page.records),
            damaged: page.damaged,
            out_of_range: page.out_of_range,
            undeliverable: page.undeliverable,
        };
        status.enter(Stage::Opened);
        if opened.send(page).is_err() {
            return;
        }
    }
}

/// Opens the random keys of records, on all cores.
pub(super) fn open_keys(
    keys: &KeyRing,
    records: Vec<SealedRecord>,
) -> Vec<(SealedRecord, Result<String, &'static str>)> {
    let records = records.into_par_iter().map(|record| {
        let key = keys.unseal(record.publickey_ver, &record.encrypt_random_key);
        (record, key.map_err(|e| e.reason()))
    });
    records.collect()
}

/// The rows of a page, its damaged records among them.
pub(super) fn to_batch(
    page: OpenedPage,
    outcomes: Vec<DecryptOutcome>,
    source: &Arc<str>,
) -> Batch {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let origin = |seq: u64, version: Option<u32>| Origin {
        source: Arc::clone(source),
        seq: i64::try_from(seq).unwrap_or(page.step.to),
        publickey_ver: version.and_then(|v| i32::try_from(v).ok()),
        now_ms,
    };
    let mut outcomes = VecDeque::from(outcomes);
    let paired: Vec<(SealedRecord, Result<DecryptOutcome, &'static str>)> = page
        .records
        .into_iter()
        .map(|(record, key)| {
            let outcome = key.and_then(|_| outcomes.pop_front().ok_or("sdk_no_answer"));
            (record, outcome)
        })
        .collect();
    let mut rows: Vec<MessageRow> = paired
        .into_par_iter()
        .map(|(record, outcome)| {
            let origin = origin(record.seq, Some(record.publickey_ver));
            row_of(&origin, &record, outcome)
        })
        .collect();
    for record in page.out_of_range {
        // Its own number is in its envelope.
        let origin = origin(page.step.to as u64, Some(record.publickey_ver));
        let sealed = sealed_json(&record);
        rows.push(row::quarantined(
            &origin,
            &record.msgid,
            "seq_out_of_range",
            sealed,
        ));
    }
    if let Some(Undeliverable { error }) = page.undeliverable {
        let origin = origin(page.step.to as u64, None);
        let known = serde_json::json!({
            "after": page.step.from, "to": page.step.to, "error": error,
        });
        let known = known.to_string().into_bytes();
        rows.push(row::quarantined(&origin, "", "undeliverable", known));
    }
    for record in page.damaged {
        let origin = origin(record.seq.unwrap_or(page.step.to as u64), None);
        let msgid = record.msgid.unwrap_or_default();
        rows.push(row::quarantined(
            &origin,
            &msgid,
            "damaged_record",
            record.raw.into_bytes(),
        ));
    }
    Batch {
        step: page.step,
        rows,
    }
}

/// The row of a record, as far as it could be opened.
pub(super) fn row_of(
    origin: &Origin,
    record: &SealedRecord,
    outcome: Result<DecryptOutcome, &'static str>,
) -> MessageRow {
    let reason = match outcome {
        Ok(DecryptOutcome::Plain(bytes)) => return row::of_plaintext(origin, &bytes),
        Ok(DecryptOutcome::Failed(code)) => format!("sdk_{}", code.number()),
        Ok(DecryptOutcome::Crashed) => "sdk_crash".to_string(),
        Err(reason) => reason.to_string(),
    };
    row::quarantined(origin, &record.msgid, &reason, sealed_json(record))
}

/// The sealed record as WeCom gave it: what a later key needs to open it.
fn sealed_json(record: &SealedRecord) -> Vec<u8> {
    serde_json::json!({
        "seq": record.seq,
        "msgid": record.msgid,
        "publickey_ver": record.publickey_ver,
        "encrypt_random_key": record.encrypt_random_key,
        "encrypt_chat_msg": record.encrypt_chat_msg,
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_seq_far_away_does_not_move_the_cursor() {
        let damaged = |seq| DamagedRecord {
            raw: "{}".into(),
            seq: Some(seq),
            msgid: None,
            field: "msgid",
        };
        let page = sealed_page(vec![], vec![damaged(9), damaged(10_000_000_000)], 5).unwrap();
        assert_eq!((page.step.from, page.step.to), (5, 9));
        let page = sealed_page(vec![], vec![damaged(10_000_000_000)], 5);
        assert!(matches!(page, Err(PullError::NoSeq { after: 5 })));
    }

    fn record(seq: u64) -> SealedRecord {
        SealedRecord {
            seq,
            msgid: "m".into(),
            publickey_ver: 1,
            encrypt_random_key: String::new(),
            encrypt_chat_msg: String::new(),
        }
    }

    #[test]
    fn a_page_that_does_not_continue_is_refused() {
        let page = sealed_page(vec![record(5), record(3)], vec![], 5);
        assert!(matches!(page, Err(PullError::SeqNotAfter { .. })));
    }

    #[test]
    fn order_gaps_and_records_behind_the_cursor_do_not_matter() {
        let records = [9, 4, 7, 30, 8].map(record).to_vec();
        let page = sealed_page(records, vec![], 5).unwrap();
        assert_eq!((page.step.from, page.step.to), (5, 30));
        assert_eq!(page.records.len(), 5);
    }

    #[test]
    fn a_seq_that_no_table_holds_is_parked_and_the_last_that_one_holds_is_not() {
        let highest = i64::MAX as u64;
        let page = sealed_page([7, highest + 1, u64::MAX].map(record).to_vec(), vec![], 5);
        let page = page.unwrap();
        assert_eq!(page.step.to, 7);
        let opened = OpenedPage {
            step: page.step,
            records: vec![],
            damaged: vec![],
            out_of_range: page.out_of_range,
            undeliverable: None,
        };
        let rows = to_batch(opened, vec![], &"corp".into()).rows;
        let reasons: Vec<_> = rows.iter().map(|r| r.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("seq_out_of_range"); 2]);
        let envelope = rows[1].envelope.as_deref().unwrap();
        assert!(String::from_utf8_lossy(envelope).contains("18446744073709551615"));
        let page = sealed_page(vec![record(highest)], vec![], highest - 1).unwrap();
        assert_eq!(page.step.to, i64::MAX);
        let alone = sealed_page(vec![record(highest + 1)], vec![], 5);
        assert!(matches!(alone, Err(PullError::NoSeq { after: 5 })));
    }

    use proptest::prelude::*;

    /// How WeCom answers one call, badly or well.
    #[derive(Debug, Clone)]
    enum Answered {
        /// Up to so many records after the cursor, turned round by this, some of those before it
        /// again, some twice.
        Page {
            limit: usize,
            turn: usize,
            before: usize,
            twice: bool,
        },
        /// Only what lies before the cursor.
        Back(usize),
        /// Nothing.
        Failure,
    }

    fn answered() -> impl Strategy<Value = Answered> {
        prop_oneof![
            4 => (1..9_usize, 0..9_usize, 0..4_usize, any::<bool>()).prop_map(
                |(limit, turn, before, twice)| Answered::Page { limit, turn, before, twice }
            ),
            1 => (1..5_usize).prop_map(Answered::Back),
            1 => Just(Answered::Failure),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_schedule_nothing_behind_the_cursor_is_missing(
            gaps in prop::collection::vec(1..5_u64, 1..40),
            schedule in prop::collection::vec(answered(), 0..40),
        ) {
            // Seqs with gaps, as WeCom gives them.
            let seqs: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut cursor = 0_u64;
            let mut delivered = std::collections::BTreeSet::new();
            for answer in schedule {
                let next = seqs.iter().take_while(|seq| **seq <= cursor).count();
                let page: Vec<u64> = match answer {
                    Answered::Failure => continue,
                    Answered::Back(n) => seqs[next.saturating_sub(n)..next].to_vec(),
                    Answered::Page { limit, turn, before, twice } => {
                        let end = (next + limit).min(seqs.len());
                        let mut page = seqs[next.saturating_sub(before)..end].to_vec();
                        if twice {
                            page.extend_from_within(..);
                        }
                        let turn = turn.min(page.len());
                        page.rotate_left(turn);
                        page
                    }
                };
                if page.is_empty() {
                    continue;
                }
                match sealed_page(page.iter().copied().map(record).collect(), vec![], cursor) {
                    Ok(sealed) => {
                        prop_assert_eq!(sealed.step.from as u64, cursor);
                        prop_assert!(sealed.step.to as u64 > cursor);
                        cursor = sealed.step.to as u64;
                        delivered.extend(sealed.records.iter().map(|r| r.seq));
                    }
                    Err(_) => prop_assert!(page.iter().all(|seq| *seq <= cursor)),
                }
                let behind: Vec<u64> = seqs.iter().copied().filter(|seq| *seq <= cursor).collect();
                prop_assert!(behind.iter().all(|seq| delivered.contains(seq)));
            }
        }
    }
}
