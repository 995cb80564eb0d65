//! Damaged logs: never a panic, and never a victim that no line names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use highwater_log::Stream;
use highwater_oom::{NET, OomReport, deaths};
use proptest::prelude::*;

use crate::{FIXTURES, corpus, fixture, fixtures};

/// Each log is damaged so many times.
const DAMAGED: u64 = 1000;

/// Of a log larger than this, each damage begins by cutting out so many bytes: what is damaged
/// within a few dozen lines shows as well there, and a hundred logs take seconds rather than minutes.
const WINDOW_BYTES: usize = 4 << 10;

/// Lines of others, some of which look like the kernel's.
const FOREIGN: [&str; 10] = [
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "[12345.678901] eth0: link up",
    "x: page allocation failure: order:4, mode:0x20",
    "Mem-Info:",
    "active_anon:1 inactive_anon:2 isolated_anon:3",
    "b invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "Apr 27 08:47:12 host app[5]: Out of memory: Killed process 424242 (init) total-vm:8kB",
    "# Out of memory: Killed process 424242 (init) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
    "",
    "--",
];

/// Numbers that look like chance and are the same each time (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below.max(1)).unwrap()).unwrap()
    }
}

/// Cuts, swaps, deletes, doubles and adds lines.
fn damaged(log: &[u8], dice: &mut Dice) -> Vec<u8> {
    let from = if log.len() > WINDOW_BYTES { dice.roll(log.len() - WINDOW_BYTES) } else { 0 };
    let log = &log[from..log.len().min(from + WINDOW_BYTES)];
    // What stands before the first line's end may be half a line: a number's end is no number.
    let whole =
        if from > 0 { log.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1) } else { 0 };
    let mut lines: Vec<&[u8]> = log[whole..].split_inclusive(|b| *b == b'\n').collect();
    for _ in 0..=dice.roll(6) {
        let (at, other) = (dice.roll(lines.len()), dice.roll(lines.len()));
        match dice.roll(6) {
            _ if lines.is_empty() => {}
            0 => lines[at] = &lines[at][..dice.roll(lines[at].len())],
            1 => lines.swap(at, other),
            2 => drop(lines.remove(at)),
            3 => lines.insert(other, lines[at]),
            4 => lines.insert(at, FOREIGN[dice.roll(FOREIGN.len())].as_bytes()),
            _ => lines.truncate(at + 1),
        }
    }
    // A line that lost its end is joined to the next, or keeps an end of its own.
    let keeps_ends = dice.roll(2) == 0;
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(line);
        if keeps_ends && !line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}

/// All logs at hand, ours and those that are not part of the repository.
fn logs() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/oomlogs");
    if !corpus.is_dir() {
        println!("left out, not there: {}", corpus.display());
    }
    let dirs = [fixtures(), corpus];
    let files = dirs.iter().flat_map(|dir| dir.read_dir().into_iter().flatten().flatten());
    let mut logs: Vec<_> = files.map(|file| file.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    logs.sort();
    logs
}

/// Every number that stands where a line can name a victim.
fn named(log: &[u8]) -> HashSet<u32> {
    let text = String::from_utf8_lossy(log);
    let marks = ["process ", "process: ", "pid=", "pid: ", "PID: ", "(", "to ", "PID:       "];
    let behind = marks.iter().flat_map(|mark| text.match_indices(mark).map(|(at, m)| at + m.len()));
    let number = |at: usize| {
        let digits = text.get(at..).unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    behind.filter_map(number).collect()
}

fn pids(reports: &[OomReport]) -> impl Iterator<Item = u32> {
    deaths(reports).filter_map(|(_, kill)| Some(kill.pid?.get()))
}

/// Damages one log again and again.
fn torment(path: &Path) -> Result<(), String> {
    let log = std::fs::read(path).unwrap();
    let mut known = named(&log);
    known.extend(pids(&all_lines(&log)));
    for seed in 0..DAMAGED {
        let damaged = damaged(&log, &mut Dice(seed));
        if let Some(pid) = pids(&corpus::reports(&damaged)).find(|pid| !known.contains(pid)) {
            let text = String::from_utf8_lossy(&damaged);
            return Err(format!("{}, damage {seed}: {pid} is made up in\n{text}", path.display()));
        }
    }
    Ok(())
}

#[test]
fn a_thousand_damages_make_no_victim_up() {
    let logs = logs();
    let is_there = |name: &&str| logs.contains(&fixtures().join(format!("{name}.txt")));
    assert!(FIXTURES.iter().all(is_there));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let shares = (0..threads).map(|first| logs.iter().skip(first).step_by(threads));
    std::thread::scope(|scope| {
        let work: Vec<_> = shares
            .map(|share| scope.spawn(move || share.map(|log| torment(log)).collect::<Vec<_>>()))
            .collect();
        for result in work.into_iter().flat_map(|thread| thread.join().unwrap()) {
            result.unwrap();
        }
    });
}

/// One way to damage a log anywhere, numbers included; positions are shares of its length.
#[derive(Clone, Debug)]
enum Damage {
    CutFront(f64),
    DropBytes(f64, usize),
    Byte(f64, u8),
    JoinLines(f64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0.0..1.0_f64;
    prop_oneof![
        at.clone().prop_map(Damage::CutFront),
        (at.clone(), 1..40_usize).prop_map(|(a, n)| Damage::DropBytes(a, n)),
        (at.clone(), any::<u8>()).prop_map(|(a, b)| Damage::Byte(a, b)),
        at.prop_map(Damage::JoinLines),
    ]
}

fn spot(share: f64, len: usize) -> usize {
    let spot =
        highwater_core::units::Bytes::from_f64(share * f64::from(u32::try_from(len).unwrap()));
    usize::try_from(spot.get()).unwrap().min(len.saturating_sub(1))
}

fn apply(log: &mut Vec<u8>, damage: &Damage) {
    if log.is_empty() {
        return;
    }
    let len = log.len();
    match damage {
        Damage::CutFront(at) => drop(log.drain(..spot(*at, len))),
        Damage::DropBytes(at, n) => {
            let from = spot(*at, len);
            drop(log.drain(from..(from + n).min(len)));
        }
        Damage::Byte(at, byte) => log[spot(*at, len)] = *byte,
        Damage::JoinLines(at) => {
            let from = spot(*at, len);
            if let Some(end) = log[from..].iter().position(|b| *b == b'\n') {
                log.remove(from + end);
            }
        }
    }
}

fn all_lines(log: &[u8]) -> Vec<OomReport> {
    highwater_oom::read(Stream::new(log))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_numbers_are_those_on_some_line(
        which in 0..FIXTURES.len(),
        damages in prop::collection::vec(damage(), 1..12),
    ) {
        let mut log = fixture(FIXTURES[which]);
        for damage in &damages {
            apply(&mut log, damage);
        }
        let named = named(&log);
        for pid in pids(&corpus::reports(&log)) {
            prop_assert!(named.contains(&pid), "pid {pid} is on no line of {}", String::from_utf8_lossy(&log));
        }
    }

    /// Skipping what is not relevant changes nothing.
    #[test]
    fn skipping_finds_the_same_deaths(which in 0..FIXTURES.len(), seed in any::<u64>()) {
        let log = damaged(&fixture(FIXTURES[which]), &mut Dice(seed));
        // A lone heading may be passed over.
        let told = |reports: Vec<OomReport>| -> Vec<_> {
            reports.into_iter().filter(|report| report.lines.len() > 1 || !report.kills.is_empty()).collect()
        };
        prop_assert_eq!(told(corpus::reports(&log)), told(all_lines(&log)));
    }

    #[test]
    fn noise_is_no_report(noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = all_lines(&noise);
        let _ = (NET.sweep)(&noise);
    }
}
