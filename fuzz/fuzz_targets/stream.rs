//! Whatever comes in: skipping finds what reading every line finds, wherever blocks end, and what
//! is taken for compressed is read in bounded room.

#![no_main]

use std::io::{Cursor, Read as _};

use highwater_log::{Stream, decoded};
use libfuzzer_sys::fuzz_target;

/// A decompression bomb is given up after this much.
const MOST_BYTES: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&first, log)) = data.split_first() else { return };
    // A quarter of the inputs is read as it is compressed, the others stand in quiet lines: before
    // a report as many as make the reader skip.
    if first & 3 == 0 {
        let Ok(input) = decoded(Cursor::new(log.to_vec())) else { return };
        let mut lines = Stream::new(input.take(MOST_BYTES));
        let _reports = highwater_oom::skim(&mut lines);
        assert!(lines.bytes() <= MOST_BYTES);
        return;
    }
    let quiet = b"quiet\n".repeat(usize::from(first >> 2) * 128);
    let log = [quiet.as_slice(), log, b"\n", &quiet].concat();
    let block = 1000 + usize::from(first);
    let skimmed = highwater_oom::skim(Stream::in_blocks(log.as_slice(), block));
    let whole = highwater_oom::skim(Stream::new(log.as_slice()));
    assert_eq!(skimmed, whole);
});
