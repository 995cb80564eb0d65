//! What the kernel's live witnesses hand over: the text of a tracing instance, in which names and
//! paths are anybody's, and the messages of the proc connector.

#![no_main]

use std::time::Duration;

use highwater_linux::witness::{Rlimits, Traced, connector, noteworthy, tracing};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut said = 0;
    tracing::parse(bytes, &mut |traced, words| {
        // Each record has words of its own, so there are no more of them than there is text.
        said += words.len();
        assert!(!words.is_empty());
        match traced {
            Traced::Signal(signal) => {
                assert!(signal.target_comm.len() <= 15);
                assert!(signal.sender_comm.is_none_or(|comm| comm.len() <= 16));
            }
            Traced::Exec { filename, .. } => assert!(!filename.contains(&b'\n')),
            Traced::Marked { comm, .. } => assert!(comm.is_none_or(|comm| comm.len() <= 32)),
            Traced::Lost { .. } => {}
        }
    });
    assert!(said <= bytes.len());
    let mut events = 0;
    connector::parse(bytes, Duration::from_secs(1), &mut |_| events += 1);
    assert!(events * 52 <= bytes.len());
    let _ = (Rlimits::parse(bytes), noteworthy(bytes));
});
