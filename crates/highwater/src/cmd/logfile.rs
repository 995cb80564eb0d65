//! Reading a log: from a file, or from standard input.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use highwater_core::line::LineSource as _;
use highwater_core::text::escape;
use highwater_diagnose::hint::Hints;
use highwater_log::Stream;
use highwater_oom::OomReport;

/// The largest log that is read: it is held in memory, and a machine that asks why it ran out has
/// none to spare.
const MOST_BYTES: u64 = 1 << 30;

/// From this size on, reading takes long enough to say that it goes on.
const SLOW_BYTES: usize = 200 << 20;

/// A log, and what was found in it.
#[derive(Debug)]
pub(crate) struct Log {
    /// What it is called where it is cited.
    pub(crate) source: String,
    /// Its OOM reports.
    pub(crate) reports: Vec<OomReport>,
    /// What else its lines tell.
    pub(crate) hints: Hints,
    /// How many lines it has.
    pub(crate) lines: usize,
    /// It does not look like text.
    pub(crate) is_binary: bool,
}

/// Reads the log at `path`; `-` is standard input.
pub(crate) fn read(path: &Path) -> anyhow::Result<Log> {
    let (source, bytes) = if path == Path::new("-") {
        ("standard input".to_owned(), bounded(io::stdin().lock(), "standard input")?)
    } else {
        let name = escape(path.as_os_str().as_encoded_bytes()).into_owned();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let bytes = bounded(file, &name)?;
        (name, bytes)
    };
    if bytes.len() >= SLOW_BYTES {
        let size = highwater_core::units::Bytes::new(u64::try_from(bytes.len()).unwrap_or(0));
        let _unheard = writeln!(anstream::stderr(), "reading {size} of {source} …");
    }
    Ok(found(source, &bytes))
}

fn bounded(input: impl Read, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = input.take(MOST_BYTES + 1);
    input.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        bail!(
            "{name} is larger than 1 GiB; take the kernel's lines out of it first: grep -aiE -A400 'oom|killed process' {name} | highwater why -"
        );
    }
    Ok(bytes)
}

fn found(source: String, bytes: &[u8]) -> Log {
    let reports = highwater_oom::skim(Stream::new(bytes));
    let mut hints = Hints::default();
    if reports.is_empty() {
        let mut lines = Stream::new(bytes);
        while let Some(line) = lines.next_line() {
            hints.look(&line);
        }
    }
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let lines = lines.saturating_sub(usize::from(bytes.is_empty() || bytes.ends_with(b"\n")));
    Log { source, reports, hints, lines, is_binary: is_binary(bytes) }
}

/// As grep has it: text has no NUL near its beginning.
fn is_binary(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 32 << 10;
    bytes.get(..LOOKED_AT).unwrap_or(bytes).contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_has_lines_and_no_reports() {
        let log = found("x".to_owned(), b"\x00\xff\n\x1b[31mhello\n\n");
        assert_eq!((log.lines, log.reports.len()), (3, 0));
        assert_eq!(found("x".to_owned(), b"").lines, 0);
        assert_eq!(found("x".to_owned(), b"one").lines, 1);
    }

    #[test]
    fn sweeping_finds_what_reading_each_line_finds() {
        let quiet = "Nov 20 10:00:00 host app[1]: nothing to see\n".repeat(50);
        let kill = "[    5.000000] Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n";
        let text = format!("{quiet}{kill}{quiet}{kill}");
        let swept = highwater_oom::skim(Stream::new(text.as_bytes()));
        assert_eq!(swept, highwater_oom::read(Stream::new(text.as_bytes())));
        assert_eq!(swept[0].kills[0].line, 51);
    }
}
