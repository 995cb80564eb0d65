//! A whole log, to the facts of its deaths.
#![no_main]

use highwater_log::Lines;
use highwater_oom::{Reading, Sweep, facts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let log = highwater_log::plain(bytes);
    let reports = highwater_oom::read(Lines::new(&log));
    let facts = facts::facts(&reports);
    let kills: usize = reports.iter().map(|report| report.kills.len()).sum();
    assert_eq!(facts.deaths.len(), kills);

    let (mut reading, mut sweep, mut lines) =
        (Reading::default(), Sweep::default(), Lines::new(&log));
    loop {
        if reading.is_idle() {
            lines.skip_to(|rest| sweep.find(rest));
        }
        match lines.next() {
            Some(line) => reading.push(&line),
            None => break,
        }
    }
    assert_eq!(reading.finish(), reports, "skipping what is not relevant changes nothing");
});
