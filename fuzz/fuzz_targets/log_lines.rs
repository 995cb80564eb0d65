//! A whole log, out of its envelopes.
#![no_main]

use highwater_core::line::LineSource as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut last = 0;
    let mut stream = highwater_log::Stream::new(bytes);
    while let Some(line) = stream.next_line() {
        assert!(line.number > last, "numbers rise");
        last = line.number;
    }
});
