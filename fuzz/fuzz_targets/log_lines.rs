//! A whole log, out of its envelopes.
#![no_main]

use highwater_core::line::{LineSource as _, Origin};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut last = 0;
    let mut stream = highwater_log::Stream::new(bytes);
    while let Some(line) = stream.next_line() {
        assert!(line.number >= last, "numbers do not fall");
        last = line.number;
        let kernels = line.ident.is_none_or(|ident| matches!(ident, b"kernel" | b"vmunix"));
        match line.origin {
            Origin::Kernel => assert!(kernels, "the kernel goes by no other name"),
            Origin::Program => assert!(!kernels, "a program does not go by the kernel's"),
            Origin::Unsaid => {}
        }
    }
    assert!(last <= stream.lines());
});
