//! Skipping what is not worth reading changes nothing, wherever blocks end.

use std::io::Cursor;

use highwater_log::Stream;
use proptest::prelude::*;

use crate::{FIXTURES, fixture};

/// Ordinary lines, some with parts of the words that are looked for.
fn noise(bytes: usize, seed: usize) -> Vec<u8> {
    const LINES: [&str; 6] = [
        "Nov 20 10:00:00 host app[1]: nothing to see\n",
        "Nov 20 10:00:00 host postgres[2]: checkpoint complete: distance=12 kB\n",
        "Nov 20 10:00:00 host sshd[3]: skilled user joined the room, SIGHUP\n",
        "\n",
        "Nov 20 10:00:00 host \u{1b}[31mapp\u{1b}[0m[1]: in colour\r\n",
        "{\"MESSAGE\":\"quiet\"}\n",
    ];
    let lines = LINES.iter().cycle().skip(seed % LINES.len()).step_by(seed % 5 + 1);
    let mut noise = Vec::new();
    for line in lines {
        if noise.len() >= bytes {
            break;
        }
        noise.extend_from_slice(line.as_bytes());
    }
    noise
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_report_in_noise_is_found_wherever_blocks_end(
        which in 0..FIXTURES.len(),
        before in 0..100_000_usize,
        after in 0..100_000_usize,
        seed in 0..30_usize,
        cut in 0.0..1.0_f64,
        is_cut in any::<bool>(),
        block in prop::sample::select(vec![100, 1000, 4096, 65_536, 1 << 18]),
    ) {
        let mut report = fixture(FIXTURES[which]);
        if is_cut {
            let lines: Vec<&[u8]> = report.split_inclusive(|byte| *byte == b'\n').collect();
            let count = f64::from(u32::try_from(lines.len()).unwrap());
            let from = usize::try_from(highwater_core::units::Bytes::from_f64(cut * count).get()).unwrap();
            report = lines[from.min(lines.len() - 1)..].concat();
        }
        let log = [noise(before, seed), report, noise(after, seed + 1)].concat();
        let read = highwater_oom::read(Stream::new(log.as_slice()));
        prop_assert_eq!(&highwater_oom::skim(Stream::in_blocks(log.as_slice(), block)), &read);
        prop_assert_eq!(&highwater_oom::skim(Stream::ahead(Cursor::new(log))), &read);
    }
}
