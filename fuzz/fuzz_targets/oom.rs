//! A whole log, to the facts of its deaths.
#![no_main]

use highwater_log::Stream;
use highwater_oom::facts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let reports = highwater_oom::read(Stream::new(bytes));
    let facts = facts::facts(&reports);
    let kills: usize = reports.iter().map(|report| report.kills.len()).sum();
    assert_eq!(facts.deaths.len(), kills);
    let skimmed = highwater_oom::skim(Stream::new(bytes));
    assert_eq!(skimmed, reports, "skipping what is not relevant changes nothing");
});
