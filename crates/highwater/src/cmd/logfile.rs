//! Reading a log as it streams by: from a file, or from standard input.
//!
//! ```text
//! bytes ─ counted ─ decompressed ─ lines ─ watched ─ reports
//!         progress                         deaths so far
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use highwater_core::evidence::Claim;
use highwater_core::line::{LineSource, LogLine, Net};
use highwater_core::text::escape;
use highwater_diagnose::hint::Hints;
use highwater_log::{Stream, decoded};
use highwater_oom::OomReport;

use super::progress::Progress;

/// What standard input is called where it is cited.
pub(crate) const STANDARD_INPUT: &str = "standard input";

/// How systemd's journal files begin.
const JOURNAL: &[u8] = b"LPKSHHRH";

/// A log, and what was found in it.
#[derive(Debug)]
pub(crate) struct Log {
    /// What it is called where it is cited.
    pub(crate) source: String,
    /// Its OOM reports.
    pub(crate) reports: Vec<OomReport>,
    /// What else its lines tell, if it has no report.
    pub(crate) hints: Vec<Claim>,
    /// How many lines it has.
    pub(crate) lines: u64,
    /// What it looks like.
    pub(crate) looks: Looks,
    /// Why it was not read to its end.
    pub(crate) fault: Option<String>,
}

/// What the beginning of a log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Looks {
    /// Text.
    #[default]
    Text,
    /// A program, an archive, a picture.
    Binary,
    /// A file of systemd's journal, which only `journalctl` reads.
    Journal,
}

/// What the log at `path` is called.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return STANDARD_INPUT.to_owned();
    }
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}

/// Reads the log at `path`; `-` is standard input. An error if nothing of it could be read.
pub(crate) fn read(path: &Path, progress: &Progress) -> anyhow::Result<Log> {
    let source = name(path);
    if path == Path::new("-") {
        return found(source, progress.of(io::stdin()), progress);
    }
    let file = File::open(path).with_context(|| format!("cannot open {source}"))?;
    if file.metadata().is_ok_and(|file| file.is_dir()) {
        bail!(super::target::directory(path));
    }
    found(source, progress.of(file), progress)
}

fn found<R>(source: String, input: R, progress: &Progress) -> anyhow::Result<Log>
where
    R: Read + Send + 'static,
{
    let input = decoded(input).with_context(|| format!("cannot read {source}"))?;
    let mut stream = Stream::ahead(input);
    let reports = highwater_oom::skim(Watched { lines: &mut stream, progress });
    let fault = stream.fault().map(|error| escape(error.to_string().as_bytes()).into_owned());
    if let Some(fault) = fault.as_ref().filter(|_| stream.bytes() == 0) {
        bail!("cannot read {source}: {fault}");
    }
    let hints = if reports.is_empty() { hints(&source, &stream) } else { Vec::new() };
    Ok(Log { reports, hints, lines: stream.lines(), looks: looks(&stream), fault, source })
}

/// Lines on their way to the reader of reports.
struct Watched<'a, L> {
    lines: &'a mut L,
    progress: &'a Progress,
}

impl<L: LineSource> LineSource for Watched<'_, L> {
    fn next_line(&mut self) -> Option<LogLine<'_>> {
        let line = self.lines.next_line()?;
        if memchr::memmem::find(line.text, b"Killed process ").is_some() {
            self.progress.death();
        }
        Some(line)
    }

    fn skip_to(&mut self, net: Net) {
        self.lines.skip_to(net);
    }
}

/// What the beginning of a log shows.
fn looks<R: Read>(stream: &Stream<R>) -> Looks {
    if stream.head().starts_with(JOURNAL) {
        Looks::Journal
    } else if stream.looks_binary() {
        Looks::Binary
    } else {
        Looks::Text
    }
}

/// What the last lines tell: a log's end is what a reader asks about, and its beginning cannot be
/// had again from a pipe.
fn hints<R: Read>(source: &str, stream: &Stream<R>) -> Vec<Claim> {
    let tail = stream.tail();
    let before = tail.first_line.saturating_sub(1);
    let mut hints = Hints::default();
    let mut lines = Stream::new(tail.bytes.as_slice());
    while let Some(mut line) = lines.next_line() {
        line.number = line.number.saturating_add(before);
        hints.look(&line);
    }
    hints.claims(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bytes: &[u8]) -> Log {
        found("x".to_owned(), io::Cursor::new(bytes.to_vec()), &Progress::new(None)).unwrap()
    }

    #[test]
    fn garbage_has_lines_and_no_reports() {
        let garbage = log(b"\x00\xff\n\x1b[31mhello\n\n");
        assert_eq!((garbage.lines, garbage.reports.len()), (3, 0));
        assert_eq!(garbage.looks, Looks::Binary);
        assert_eq!(log(b"").lines, 0);
        assert_eq!(log(b"one").lines, 1);
        assert_eq!(log(b"LPKSHHRH\x00\x00").looks, Looks::Journal);
    }

    #[test]
    fn the_end_of_a_long_log_keeps_its_line_numbers() {
        let quiet = "Nov 20 10:00:00 host app[1]: nothing to see\n";
        let count = (3 << 20) / quiet.len();
        let text = quiet.repeat(count) + "Nov 20 10:00:00 host watch[1]: restarted, new pid 7\n";
        let claims = log(text.as_bytes()).hints;
        let line = u64::try_from(count + 1).unwrap();
        assert_eq!(claims[0].evidence[0].line, Some(line));
    }

    #[test]
    fn what_breaks_off_is_told_and_what_was_read_is_kept() {
        struct Broken(&'static [u8]);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(io::Error::other("the disk is gone")),
                    count => Ok(count),
                }
            }
        }
        let kill = b"[    5.000000] Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n";
        let progress = Progress::new(None);
        let log = found("x".to_owned(), Broken(kill), &progress).unwrap();
        assert_eq!(log.reports[0].kills.len(), 1);
        assert_eq!(log.fault.as_deref(), Some("the disk is gone"));
        assert!(found("x".to_owned(), Broken(b""), &progress).is_err());
    }
}
