//! The resume protocol against a model that has none: whatever chunks fail, and wherever it is
//! killed, the bytes in the store are the server's.

use std::collections::BTreeMap;

use huicun_engine::archive::Home;
use huicun_engine::media::{Filter, Named, Status};
use huicun_ffi_finance_sdk::SdkCode;
use huicun_ffi_finance_sdk::worker::Exit;
use proptest::prelude::*;

use super::*;

/// Small, so that a file of some hundred bytes has many chunks.
const CHUNK: usize = 64;
const AT: i64 = 1_700_000_000_000;

/// What befalls one call, or the time after it.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    Code(i32),
    Crash,
    /// Noise of the right length instead of the chunk.
    Noise,
    /// Half of the chunk, and the right index after it.
    Torn,
    /// Not finished, and no index to go on with.
    NoIndex,
    /// Killed in the middle of writing the next chunk: `.0` bytes of it are in the part file.
    KilledWriting(u8),
    /// Killed after the file got its place in the store and before that was recorded.
    KilledStoring,
    /// The part file is gone.
    PartGone,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Good),
        1 => Just(Fate::Code(10001)),
        1 => Just(Fate::Code(10002)),
        1 => Just(Fate::Code(10003)),
        1 => Just(Fate::Code(10000)),
        1 => Just(Fate::Code(10005)),
        1 => Just(Fate::Crash),
        1 => Just(Fate::Noise),
        1 => Just(Fate::Torn),
        1 => Just(Fate::NoIndex),
        2 => any::<u8>().prop_map(Fate::KilledWriting),
        1 => Just(Fate::KilledStoring),
        1 => Just(Fate::PartGone),
    ]
}

fn honest(content: &[u8], index: &str) -> Result<MediaChunk, CallError> {
    let at: usize = match index.strip_prefix("at ") {
        None if index.is_empty() => 0,
        Some(at) => at.parse().unwrap(),
        None => return Err(SdkCode::BadParameter.into()),
    };
    let end = (at + CHUNK).min(content.len());
    let is_finished = end == content.len();
    Ok(MediaChunk {
        data: content[at..end].to_vec(),
        next_index: match is_finished {
            true => String::new(),
            false => format!("at {end}"),
        },
        is_finished,
    })
}

struct Place {
    _dir: tempfile::TempDir,
    home: Home,
    store: Store,
    settings: MediaSettings,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new() -> Self {
        // In memory: a thousand syncs of a disk say nothing here.
        let dir = match tempfile::tempdir_in("/dev/shm") {
            Ok(dir) => dir,
            Err(_) => tempfile::tempdir().unwrap(),
        };
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        let store = Store::open_or_create(&home.media()).unwrap();
        Self {
            _dir: dir,
            home,
            store,
            settings: MediaSettings::default(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    fn note(&self, file_id: &str, md5: Option<String>, size: Option<i64>) {
        let named = Named {
            source: "corp".into(),
            seq: 1,
            msgid: format!("of {file_id}"),
            item: 0,
            at_ms: AT,
            since_ms: AT,
            kind: "file".into(),
            name: None,
            seconds: None,
            file_id: file_id.into(),
            md5,
            size,
        };
        let catalogue = Catalogue::open(&self.home).unwrap();
        catalogue.note(&[named], Some(1), AT, |_, _| None).unwrap();
    }

    /// One attempt, as a process that was just started makes it.
    fn attempt(
        &self,
        ask: &mut dyn FnMut(&str) -> Result<MediaChunk, CallError>,
        came: &mut dyn FnMut(u64) -> bool,
    ) -> Option<End> {
        let catalogue = Catalogue::open(&self.home).unwrap();
        let job = catalogue.due("corp", i64::MAX, 0, 1).unwrap().pop()?;
        let download = Download {
            catalogue: &catalogue,
            store: &self.store,
            settings: &self.settings,
            runtime: self.runtime.handle(),
            now_ms: &|| AT,
        };
        Some(download.run(job, &mut |index, _| ask(index), came).unwrap())
    }

    fn part(&self, file_id: &str) -> std::path::PathBuf {
        self.store.part_of("corp", &file_key(file_id))
    }

    fn state(&self) -> huicun_engine::media::Listed {
        let catalogue = Catalogue::open(&self.home).unwrap();
        catalogue.list(&Filter::default()).unwrap().remove(0)
    }
}

fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_the_stored_bytes_are_the_servers(
        content in proptest::collection::vec(any::<u8>(), 0..6 * CHUNK),
        fates in proptest::collection::vec(fate(), 0..24),
    ) {
        let place = Place::new();
        place.note("F", Some(md5_hex(&content).to_uppercase()), None);
        let mut fates: std::collections::VecDeque<Fate> = fates.into();
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            prop_assert!(n_attempts < 200, "it does not come to an end");
            let after = std::cell::Cell::new(Fate::Good);
            let fates = std::cell::RefCell::new(&mut fates);
            let next = || fates.borrow_mut().pop_front().unwrap_or(Fate::Good);
            let mut ask = |index: &str| {
                let fate = next();
                let mut chunk = honest(&content, index)?;
                match fate {
                    Fate::Code(code) => return Err(SdkCode::from_return(code).into()),
                    Fate::Crash => return Err(CallError::Crashed { exit: Exit::Signal(11) }),
                    Fate::Noise => chunk.data.iter_mut().for_each(|byte| *byte ^= 0x55),
                    Fate::Torn => chunk.data.truncate(chunk.data.len() / 2),
                    Fate::NoIndex => {
                        (chunk.next_index, chunk.is_finished) = (String::new(), false);
                    }
                    other => after.set(other),
                }
                Ok(chunk)
            };
            let mut came = |_| !matches!(after.get(), Fate::KilledWriting(_) | Fate::PartGone);
            let ended = place.attempt(&mut ask, &mut came);
            // What a kill leaves behind, for the next process to find.
            match after.get() {
                Fate::KilledWriting(n) if place.part("F").exists() => {
                    use std::io::Write as _;
                    let mut part = File::options().append(true).open(place.part("F")).unwrap();
                    part.write_all(&vec![0xee; usize::from(n)]).unwrap();
                }
                Fate::PartGone => drop(std::fs::remove_file(place.part("F"))),
                Fate::KilledStoring => {
                    let whole = place.store.path_of(&[9; 32]);
                    std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
                    drop(std::fs::rename(place.part("F"), whole));
                }
                _ => {}
            }
            let Some(ended) = ended else { break };
            if let End::Lost(_) = ended {
                // The codes that say so came; somebody asks for it again.
                let catalogue = Catalogue::open(&place.home).unwrap();
                catalogue.retry(&Filter::default(), AT).unwrap();
            }
        }
        let state = place.state();
        prop_assert_eq!(state.status, Status::Stored);
        let stored = std::fs::read(place.store.path_of(&state.sha256.unwrap())).unwrap();
        if state.flags.is_empty() {
            prop_assert!(stored == content, "{} bytes of {}", stored.len(), content.len());
        } else {
            // It never fitted, four times over: then noise is what the server says.
            prop_assert_eq!(&*state.flags, "md5_mismatch");
            prop_assert!(stored != content);
        }
        prop_assert!(!place.part("F").exists());
        prop_assert_eq!(state.size, Some(stored.len() as i64));
    }
}

/// Ends and the number of calls until the medium is stored or lost, with a server of `chunks` by
/// attempt.
fn fetched(
    place: &Place,
    mut content: impl FnMut(u32) -> Vec<u8>,
) -> (BTreeMap<&'static str, u32>, u32) {
    let (mut ends, mut n_attempts) = (BTreeMap::new(), 0);
    loop {
        n_attempts += 1;
        let bytes = content(n_attempts);
        let Some(end) = place.attempt(&mut |index| honest(&bytes, index), &mut |_| true) else {
            return (ends, n_attempts - 1);
        };
        let name = match end {
            End::Stored(_) => "stored",
            End::Again => "again",
            End::Lost(_) => "lost",
            other => panic!("{other:?}"),
        };
        *ends.entry(name).or_insert(0) += 1;
    }
}

#[test]
fn what_does_not_fit_is_fetched_three_times_more_and_kept_with_a_flag() {
    let place = Place::new();
    place.note("F", Some("0".repeat(32)), Some(5));
    let (ends, _) = fetched(&place, |_| b"other".to_vec());
    assert_eq!(ends, BTreeMap::from([("again", 3), ("stored", 1)]));
    assert_eq!(place.state().flags, "md5_mismatch");
}

#[test]
fn what_fits_at_the_second_time_has_no_flag() {
    let place = Place::new();
    place.note("F", Some(md5_hex(b"right")), Some(5));
    let (ends, _) = fetched(&place, |n| match n {
        1 => b"wrong".to_vec(),
        _ => b"right".to_vec(),
    });
    assert_eq!(ends, BTreeMap::from([("again", 1), ("stored", 1)]));
    assert_eq!(place.state().flags, "");
}

#[test]
fn without_a_digest_the_size_decides_and_with_one_it_is_only_remarked() {
    let place = Place::new();
    place.note("F", None, Some(4));
    assert_eq!(fetched(&place, |_| b"five!".to_vec()).1, 4);
    assert_eq!(place.state().flags, "size_mismatch");
    let place = Place::new();
    place.note("F", Some(md5_hex(b"five!")), Some(4));
    assert_eq!(fetched(&place, |_| b"five!".to_vec()).1, 1);
    assert_eq!(place.state().flags, "size_mismatch");
    let place = Place::new();
    place.note("F", Some(String::new()), None);
    assert_eq!(fetched(&place, |_| Vec::new()).1, 1);
    assert_eq!(place.state().flags, "");
}

#[test]
fn a_file_above_the_bound_is_lost_by_its_word_or_by_its_bytes() {
    for size in [Some(1_000), None] {
        let mut place = Place::new();
        place.settings.file_bytes_max = 300;
        place.note("F", None, size);
        let (ends, _) = fetched(&place, |_| vec![7; 1_000]);
        assert_eq!(ends, BTreeMap::from([("lost", 1)]));
        assert_eq!(place.state().reason.as_deref(), Some("too_large"));
        assert!(!place.part("F").exists());
    }
}
