//! What a line tells of an end or a start: no words do harm, and the cheap look passes over no line
//! that tells something.
#![no_main]

use highwater_core::line::LineSource as _;
use highwater_log::Stream;
use highwater_owners::journal::{is_relevant, mark, testimony};

/// How an entry of the first process begins: the input goes on with its message and more fields.
const ENTRY: &[u8] = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\n_PID=1\n_TRANSPORT=journal\nMESSAGE=";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let named = [b"Nov 21 03:42:44 host systemd[1]: ", bytes, b"\n"].concat();
    let entry = [ENTRY, bytes, b"\n\n"].concat();
    for log in [bytes, &named, &entry] {
        let mut stream = Stream::new(log);
        while let Some(line) = stream.next_line() {
            let Some(told) = testimony(&line) else { continue };
            assert!(!told.evidence.source.is_empty());
            // What an envelope wraps does not stand there as it is read.
            if memchr::memmem::find(line.raw, line.text).is_some() {
                let among_others = [b"quiet\n", line.raw, b"\nquiet\n"].concat();
                assert!(is_relevant(line.raw) && mark(&among_others).is_some());
            }
        }
    }
});
