//! The files of one process: stat, statm, schedstat, status, limits.

#![no_main]

use highwater_linux::parse::{limits, schedstat, stat, statm, status};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Some(stat) = stat::parse(text) {
        // What was read does not depend on what stands behind it, and a name is what it was.
        let longer = [text, b" 0\n"].concat();
        assert_eq!(stat::parse(&longer), Some(stat));
        let name = stat.comm.as_bytes();
        assert!(text.windows(name.len().max(1)).any(|window| window == name) || name.is_empty());
    }
    if let Some(statm) = statm::parse(text) {
        assert_eq!(statm::parse(&[text, b"9\n"].concat()), Some(statm));
    }
    let _ = schedstat::parse(text);
    let _ = status::parse(text);
    let _ = limits::max_open_files(text);
});
