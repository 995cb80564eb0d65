//! `journalctl -o export`: any message of a program comes out whole and as the program's, wherever
//! line ends fall, and the kernel's next entry is found behind it.
#![no_main]

use highwater_core::line::{LineSource as _, Origin};
use highwater_log::Stream;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let length = u64::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    let log = [
        b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\n_TRANSPORT=stdout\n_COMM=app\nMESSAGE\n",
        &length[..],
        bytes,
        b"\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=2\n_TRANSPORT=kernel\nMESSAGE=next\n\n",
    ]
    .concat();
    let mut stream = Stream::new(&log[..]);
    let first = stream.next_line().expect("the program's");
    assert_eq!((first.origin, first.ident), (Origin::Program, Some(&b"app"[..])));
    assert_eq!(first.text, bytes.trim_ascii_end());
    let second = stream.next_line().expect("the kernel's");
    assert_eq!((second.origin, second.text), (Origin::Kernel, &b"next"[..]));
    assert!(stream.next_line().is_none());
    // The same bytes as an entry.
    let mut stream = Stream::new(bytes);
    while stream.next_line().is_some() {}
});
