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

use super::keys::KeyRing;
use super::pull::PullError;
use super::row::{self, Origin};

/// A page as it came.
pub(super) struct SealedPage {
    pub(super) step: CursorMove,
    pub(super) records: Vec<SealedRecord>,
    pub(super) damaged: Vec<DamagedRecord>,
}

/// A page whose random keys are open, each with its text or the reason why not.
pub(super) struct OpenedPage {
    pub(super) step: CursorMove,
    pub(super) records: Vec<(SealedRecord, Result<String, &'static str>)>,
    pub(super) damaged: Vec<DamagedRecord>,
}

/// The rows of a page.
pub(super) struct Batch {
    pub(super) step: CursorMove,
    pub(super) rows: Vec<MessageRow>,
}

/// A damaged record's seq moves the cursor only this far past what is known to be good: a
/// number that the damage made must not skip what comes after.
const DAMAGED_SEQ_LEAP_MAX: u64 = 100_000;

/// Checks that a page continues after the cursor and says how far it moves it.
pub(super) fn sealed_page(
    records: Vec<SealedRecord>,
    damaged: Vec<DamagedRecord>,
    after: u64,
) -> Result<SealedPage, PullError> {
    let first = records.iter().map(|r| r.seq).min();
    if let Some(seq) = first.filter(|seq| *seq <= after) {
        return Err(PullError::SeqNotAfter { seq, after });
    }
    let good = records.iter().map(|r| r.seq).max().unwrap_or(after);
    let last = damaged
        .iter()
        .filter_map(|record| record.seq)
        .filter(|seq| *seq <= good.saturating_add(DAMAGED_SEQ_LEAP_MAX))
        .fold(good, u64::max);
    // A page of nothing but records without a believable seq cannot move the cursor.
    if last == after {
        return Err(PullError::NoSeq { after });
    }
    let to = i64::try_from(last).map_err(|_| PullError::SeqTooLarge { seq: last })?;
    Ok(SealedPage {
        step: CursorMove {
            from: after as i64,
            to,
        },
        records,
        damaged,
    })
}

/// Stage 2: RSA, on all cores.
pub(super) fn unseal(keys: &KeyRing, pages: Receiver<SealedPage>, opened: SyncSender<OpenedPage>) {
    for page in pages {
        let records = page
            .records
            .into_par_iter()
            .map(|record| {
                let key = keys.unseal(record.publickey_ver, &record.encrypt_random_key);
                (record, key.map_err(|e| e.reason()))
            })
            .collect();
        let page = OpenedPage {
            step: page.step,
            records,
            damaged: page.damaged,
        };
        if opened.send(page).is_err() {
            return;
        }
    }
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
            let reason = match outcome {
                Ok(DecryptOutcome::Plain(bytes)) => return row::of_plaintext(&origin, &bytes),
                Ok(DecryptOutcome::Failed(code)) => format!("sdk_{}", code.number()),
                Ok(DecryptOutcome::Crashed) => "sdk_crash".to_string(),
                Err(reason) => reason.to_string(),
            };
            row::quarantined(&origin, &record.msgid, &reason, sealed_json(&record))
        })
        .collect();
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

    #[test]
    fn a_page_that_does_not_continue_is_refused() {
        let record = SealedRecord {
            seq: 5,
            msgid: "m".into(),
            publickey_ver: 1,
            encrypt_random_key: String::new(),
            encrypt_chat_msg: String::new(),
        };
        let page = sealed_page(vec![record], vec![], 5);
        assert!(matches!(page, Err(PullError::SeqNotAfter { .. })));
    }
}
