//! Bytes that flip, pages that are wiped, files that end too soon: what is read is what was recorded,
//! or less of it and said to be so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use highwater_core::event::Event;
use highwater_core::time::WallTime;
use highwater_store::{EventFilter, FILE_NAME, Reader, Store};
use tempfile::{TempDir, tempdir};

use crate::dice::Dice;
use crate::frames::{boot, frame, stamp};
use crate::levels;

/// How often a byte flips somewhere, a page is wiped, the file ends.
const FLIPS: usize = 2_000;
const WIPES: usize = 200;
const CUTS: usize = 60;

const PAGE: usize = 4096;

/// How many may be missed in a hundred: an entry of an index that flips to another value leads
/// nowhere, and nothing tells. (`highwater store check` finds it.)
const UNSAID_PERCENT: usize = 2;

/// What a history says, by metric and series.
type Said = BTreeMap<String, BTreeSet<(i64, u64)>>;

/// A history and what it says unhurt.
struct Whole {
    bytes: Vec<u8>,
    /// Every point that any level tells.
    points: Said,
    /// How many the finest levels tell.
    finest: usize,
    events: Vec<Event>,
}

impl Whole {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        levels::write(dir.path());
        let reader = Reader::open(dir.path()).unwrap();
        let mut points = Said::new();
        for step in [None, Some(Duration::from_mins(1)), Some(Duration::from_mins(10))] {
            for (series, said) in say(&reader, step).unwrap() {
                points.entry(series).or_default().extend(said);
            }
        }
        // Where a batch is damaged, coarser ones of the same time answer, alone: ask for those, too.
        for (series, said) in coarser(dir.path()) {
            points.entry(series).or_default().extend(said);
        }
        let finest = say(&reader, None).unwrap().values().map(BTreeSet::len).sum();
        let events = events(&reader).unwrap();
        drop(reader);
        Self { bytes: fs::read(dir.path().join(FILE_NAME)).unwrap(), points, finest, events }
    }
}

/// What gauges say; a counter's buckets depend on all that was before.
fn say(reader: &Reader, step: Option<Duration>) -> Result<Said, String> {
    let mut said = Said::new();
    for metric in levels::METRICS.iter().filter(|metric| !metric.ends_with("_total")) {
        for series in levels::try_all(reader, metric, step).map_err(|error| error.to_string())? {
            let points = series.points.iter().map(|p| (p.at.millis(), p.value.to_bits()));
            said.entry(series.labels.to_string()).or_default().extend(points);
        }
    }
    Ok(said)
}

/// What is said once finer levels are not there at all.
fn coarser(dir: &Path) -> Vec<(String, BTreeSet<(i64, u64)>)> {
    let mut all = vec![];
    for finer in ["tier < 60", "tier < 600"] {
        let copy = tempdir().unwrap();
        fs::copy(dir.join(FILE_NAME), copy.path().join(FILE_NAME)).unwrap();
        let db = rusqlite::Connection::open(copy.path().join(FILE_NAME)).unwrap();
        db.execute(&format!("DELETE FROM batch WHERE {finer}"), []).unwrap();
        db.execute("DELETE FROM tick", []).unwrap();
        drop(db);
        all.extend(say(&Reader::open(copy.path()).unwrap(), None).unwrap());
    }
    all
}

fn events(reader: &Reader) -> Result<Vec<Event>, String> {
    let events = reader.events(&EventFilter::default()).map_err(|error| error.to_string())?;
    Ok(events.into_iter().map(|kept| kept.event).collect())
}

/// What a reading of a hurt history came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    Whole,
    LessAndSaid,
    LessUnsaid,
}

/// A folder for hurt copies.
struct Ward {
    dir: TempDir,
    counts: BTreeMap<&'static str, usize>,
}

impl Ward {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempdir()).unwrap();
        Self { dir, counts: BTreeMap::new() }
    }

    fn lay(&self, bytes: &[u8]) {
        for entry in self.dir.path().read_dir().unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(self.dir.path().join(FILE_NAME), bytes).unwrap();
    }

    /// Reads a hurt copy, and has it opened by a recorder.
    fn treat(&mut self, whole: &Whole, bytes: &[u8], what: &str) {
        self.lay(bytes);
        let outcome = read(self.dir.path(), whole, what);
        let name = match outcome {
            Outcome::Refused => "refused",
            Outcome::Whole => "whole",
            Outcome::LessAndSaid => "less, and said",
            Outcome::LessUnsaid => "less, unsaid",
        };
        *self.counts.entry(name).or_default() += 1;
    }

    /// A recorder starts on it, does its chores, and says what it set aside.
    fn record(&mut self, bytes: &[u8], what: &str) {
        self.lay(bytes);
        let dir = self.dir.path();
        let now = stamp(levels::END + 60_000);
        let opened = Store::open_or_set_aside(dir, now.wall);
        let (mut store, aside) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Not a history any more by its own marks: a person has to look.
                let told = error.to_string();
                assert!(told.contains(FILE_NAME), "{what}: {told}");
                *self.counts.entry("start refused").or_default() += 1;
                return;
            }
        };
        if let Some(aside) = &aside {
            assert!(aside.path.exists() && !aside.why.is_empty(), "{what}: {aside:?}");
            *self.counts.entry("set aside").or_default() += 1;
        }
        for step in 0..3 {
            let ms = levels::END + 120_000 + step * 5000;
            if let Err(error) = store.append(&frame(ms), boot()) {
                assert!(error.to_string().contains(FILE_NAME), "{what}: {error}");
                *self.counts.entry("tick refused").or_default() += 1;
                return;
            }
        }
        for _ in 0..2_000 {
            match store.maintain(stamp(levels::END + 40 * 60_000), &levels::keep()) {
                Ok(done) if done.more => {}
                Ok(_) => return,
                Err(error) => {
                    assert!(error.to_string().contains(FILE_NAME), "{what}: {error}");
                    *self.counts.entry("chore refused").or_default() += 1;
                    return;
                }
            }
        }
        panic!("{what}: the chores never end");
    }
}

/// Reads everything: nothing may be said that was not recorded.
fn read(dir: &Path, whole: &Whole, what: &str) -> Outcome {
    let reader = match Reader::open(dir) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.to_string().contains(FILE_NAME), "{what}: {error}");
            return Outcome::Refused;
        }
    };
    let (said, told) = (say(&reader, None), events(&reader));
    let caveats = reader.caveats();
    let (Ok(said), Ok(told)) = (said, told) else { return Outcome::Refused };
    for event in &told {
        assert!(whole.events.contains(event), "{what}: another event: {event:?}");
    }
    // Without its era, a sample stands where the clock of then put it, and that is said.
    if !caveats.iter().any(|caveat| caveat.contains("damaged era")) {
        for (series, points) in &said {
            let known = whole.points.get(series);
            let Some(known) = known else { panic!("{what}: a series that never was: {series}") };
            let other: Vec<_> = points.difference(known).take(3).collect();
            assert!(other.is_empty(), "{what}: {series} says what was never recorded: {other:?}");
        }
    }
    let count: usize = said.values().map(BTreeSet::len).sum();
    match (count >= whole.finest && told.len() == whole.events.len(), caveats.is_empty()) {
        (true, _) => Outcome::Whole,
        (false, false) => Outcome::LessAndSaid,
        (false, true) => Outcome::LessUnsaid,
    }
}

#[test]
fn a_byte_that_flips_never_tells_what_was_not_recorded() {
    let (whole, mut ward, mut dice) = (Whole::new(), Ward::new(), Dice::of(1));
    for n in 0..FLIPS {
        let mut bytes = whole.bytes.clone();
        let (place, bit) = (dice.place(bytes.len()), dice.below(8));
        bytes[place] ^= 1 << bit;
        let what = format!("bit {bit} of byte {place} (page {})", place / PAGE + 1);
        ward.treat(&whole, &bytes, &what);
        if n % 5 == 0 {
            ward.record(&bytes, &what);
        }
    }
    eprintln!("{FLIPS} flips in {} bytes: {:?}", whole.bytes.len(), ward.counts);
    let unsaid = ward.counts.get("less, unsaid").copied().unwrap_or(0);
    assert!(unsaid * 100 <= FLIPS * UNSAID_PERCENT, "{:?}", ward.counts);
}

#[test]
fn a_page_that_is_wiped_never_tells_what_was_not_recorded() {
    let (whole, mut ward, mut dice) = (Whole::new(), Ward::new(), Dice::of(2));
    for n in 0..WIPES {
        let mut bytes = whole.bytes.clone();
        let page = dice.place(bytes.len() / PAGE);
        let fill = [0x00, 0xff, 0x5a][dice.place(3)];
        bytes[page * PAGE..(page + 1) * PAGE].fill(fill);
        let what = format!("page {} filled with {fill:#x}", page + 1);
        ward.treat(&whole, &bytes, &what);
        if n % 2 == 0 {
            ward.record(&bytes, &what);
        }
    }
    eprintln!("{WIPES} wiped pages: {:?}", ward.counts);
}

#[test]
fn a_file_that_ends_too_soon_never_tells_what_was_not_recorded() {
    let (whole, mut ward, mut dice) = (Whole::new(), Ward::new(), Dice::of(3));
    for _ in 0..CUTS {
        let len = dice.place(whole.bytes.len());
        let what = format!("the first {len} bytes");
        ward.treat(&whole, &whole.bytes[..len], &what);
        ward.record(&whole.bytes[..len], &what);
    }
    eprintln!("{CUTS} cut files: {:?}", ward.counts);
}

/// Every byte of every event.
#[test]
fn no_flip_in_an_event_tells_another_event() {
    let (whole, mut ward) = (Whole::new(), Ward::new());
    let mut flips = 0_usize;
    // The rows of a table that is so small stand on one page.
    let mark = b"Killed process 20";
    let found = whole.bytes.windows(mark.len()).position(|bytes| bytes == mark).unwrap();
    let page = found / PAGE * PAGE;
    let mut bytes = whole.bytes.clone();
    for place in page..page + PAGE {
        bytes[place] ^= 1 << (place % 8);
        ward.lay(&bytes);
        bytes[place] = whole.bytes[place];
        flips += 1;
        let Ok(reader) = Reader::open(ward.dir.path()) else { continue };
        let Ok(told) = events(&reader) else { continue };
        for event in &told {
            assert!(whole.events.contains(event), "byte {place}: another event: {event:?}");
        }
        if told.len() < whole.events.len() && reader.caveats().is_empty() {
            *ward.counts.entry("an event less, unsaid").or_default() += 1;
        }
    }
    eprintln!("{flips} flips in events: {:?}", ward.counts);
}

#[test]
fn what_is_set_aside_is_kept_and_named() {
    let dir = tempdir().unwrap();
    fs::write(
        dir.path().join(FILE_NAME),
        "SQLite format 3\0 and then nothing of the kind".repeat(99),
    )
    .unwrap();
    let before = fs::read(dir.path().join(FILE_NAME)).unwrap();
    let now = WallTime::from_millis(1_714_000_000_000);
    let (mut store, aside) = Store::open_or_set_aside(dir.path(), now).unwrap();
    let aside = aside.unwrap();
    assert_eq!(fs::read(&aside.path).unwrap(), before, "nothing is thrown away");
    let name = aside.path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("highwater.db.damaged-2024-04-24T"), "{name}");
    store.append(&frame(0), boot()).unwrap();
    assert!(Reader::open(dir.path()).unwrap().last_tick().unwrap().is_some());
}
