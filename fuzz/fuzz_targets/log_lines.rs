//! A whole log, out of its envelopes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let log = highwater_log::plain(bytes);
    let count = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
    assert_eq!(count(&log), count(bytes), "lines keep their numbers");
    let mut last = 0;
    for line in highwater_log::Lines::new(&log) {
        assert!(line.number > last, "numbers rise");
        last = line.number;
        assert!(line.text.len() <= line.raw.len(), "an envelope is taken off, never put on");
    }
});
