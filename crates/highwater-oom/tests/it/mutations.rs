//! Damaged logs: never a panic, and never a victim that no line names.

use highwater_log::Stream;
use highwater_oom::{OomReport, Sweep, deaths};
use proptest::prelude::*;

use crate::{FIXTURES, corpus, fixture};

/// One way to damage a log; positions are shares of its length.
#[derive(Clone, Debug)]
enum Damage {
    Cut(f64),
    CutFront(f64),
    SwapLines(f64, f64),
    DropLine(f64),
    DoubleLine(f64),
    DropBytes(f64, usize),
    Byte(f64, u8),
    JoinLines(f64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0.0..1.0_f64;
    prop_oneof![
        at.clone().prop_map(Damage::Cut),
        at.clone().prop_map(Damage::CutFront),
        (at.clone(), at.clone()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        at.clone().prop_map(Damage::DropLine),
        at.clone().prop_map(Damage::DoubleLine),
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
    let mut lines: Vec<Vec<u8>> =
        log.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let count = lines.len();
    match damage {
        Damage::Cut(at) => return log.truncate(spot(*at, len)),
        Damage::CutFront(at) => return drop(log.drain(..spot(*at, len))),
        Damage::DropBytes(at, n) => {
            let from = spot(*at, len);
            return drop(log.drain(from..(from + n).min(len)));
        }
        Damage::Byte(at, byte) => {
            log[spot(*at, len)] = *byte;
            return;
        }
        Damage::SwapLines(a, b) => lines.swap(spot(*a, count), spot(*b, count)),
        Damage::DropLine(at) => drop(lines.remove(spot(*at, count))),
        Damage::DoubleLine(at) => {
            let line = lines[spot(*at, count)].clone();
            lines.insert(spot(*at, count), line);
        }
        Damage::JoinLines(at) => drop(lines[spot(*at, count)].pop()),
    }
    *log = lines.concat();
}

/// Is `pid` on a line of the log that can name a victim?
fn is_named(log: &[u8], pid: u32) -> bool {
    let text = String::from_utf8_lossy(log);
    let (killed, summary) = (format!("process {pid}"), format!("pid={pid}"));
    text.lines().any(|line| line.contains(&killed) || line.contains(&summary))
}

fn all_lines(log: &[u8]) -> Vec<OomReport> {
    highwater_oom::read(Stream::new(log))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_makes_a_victim_up(
        which in 0..FIXTURES.len(),
        damages in prop::collection::vec(damage(), 1..12),
    ) {
        let mut log = fixture(FIXTURES[which]);
        for damage in &damages {
            apply(&mut log, damage);
        }
        for (_, kill) in deaths(&corpus::reports(&log)) {
            let pid = kill.pid.map_or(0, highwater_core::id::Pid::get);
            prop_assert!(is_named(&log, pid), "pid {pid} is on no line of {}", String::from_utf8_lossy(&log));
        }
    }

    /// Skipping what is not relevant changes nothing.
    #[test]
    fn skipping_finds_the_same_deaths(
        which in 0..FIXTURES.len(),
        damages in prop::collection::vec(damage(), 0..6),
    ) {
        let mut log = fixture(FIXTURES[which]);
        for damage in &damages {
            apply(&mut log, damage);
        }
        prop_assert_eq!(corpus::reports(&log), all_lines(&log));
    }

    #[test]
    fn noise_is_no_report(noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = all_lines(&noise);
        let _ = Sweep::default().find(&noise);
    }
}
