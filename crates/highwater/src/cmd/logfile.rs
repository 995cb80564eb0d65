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
use highwater_core::line::{LineSource, LogLine, Net, Origin, Seen};
use highwater_core::testimony::Testimony;
use highwater_core::text::escape;
use highwater_diagnose::hint::Hints;
use highwater_diagnose::inquest::Heard;
use highwater_log::{Stream, decoded};
use highwater_oom::OomReport;
use highwater_owners::journal;

use super::kernel;
use super::progress::Progress;
use super::why::testified::Holds;

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
    /// What else it tells of ends and starts.
    pub(crate) heard: Vec<Heard>,
    /// So many of the oldest of those were forgotten.
    pub(crate) forgotten: u64,
    /// Whose lines it has.
    pub(crate) holds: Holds,
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
    /// Entries of systemd's journal with all their fields: `journalctl -o export`, `json`.
    Entries,
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
    let mut ears = Ears { source: source.clone(), ..Ears::default() };
    let watched = Watched { lines: &mut stream, progress, ears: &mut ears };
    let reports = highwater_oom::skim(watched);
    let fault = stream.fault().map(|error| escape(error.to_string().as_bytes()).into_owned());
    if let Some(fault) = fault.as_ref().filter(|_| stream.bytes() == 0) {
        bail!("cannot read {source}: {fault}");
    }
    let hints = if reports.is_empty() { hints(&source, &stream) } else { Vec::new() };
    let Ears { heard, forgotten, holds, .. } = ears;
    Ok(Log {
        reports,
        heard,
        forgotten,
        holds,
        hints,
        lines: stream.lines(),
        looks: looks(&stream),
        fault,
        source,
    })
}

/// Lines on their way to the reader of reports.
struct Watched<'a, L> {
    lines: &'a mut L,
    progress: &'a Progress,
    ears: &'a mut Ears,
}

/// What is heard as the lines go by.
#[derive(Debug, Default)]
struct Ears {
    source: String,
    heard: Vec<Heard>,
    forgotten: u64,
    holds: Holds,
}

/// So many testimonies of one log are kept, the newest: months of a busy machine's restarts, in some
/// hundred megabytes.
const MOST_HEARD: usize = 200_000;

/// How the kernel is called where a line names who wrote it.
const KERNEL: &[u8] = b"kernel";

impl Ears {
    fn listen(&mut self, line: &LogLine<'_>) {
        let kernel = line.origin == Origin::Kernel
            || line.ident == Some(KERNEL)
            || (line.ident.is_none() && line.boot.is_some());
        let programs = !kernel && (line.journal.is_some() || line.ident.is_some());
        self.holds = self.holds.or(Holds { kernel, programs });
        if !journal::is_relevant(line.text) && line.journal.is_none() {
            return;
        }
        let told = self.testimony(line);
        self.heard.extend(told);
        if self.heard.len() >= MOST_HEARD.saturating_mul(2) {
            self.heard.drain(..MOST_HEARD);
            self.forgotten = self.forgotten.saturating_add(long(MOST_HEARD));
        }
    }

    fn testimony(&self, line: &LogLine<'_>) -> Option<Heard> {
        let told = |testimony: Testimony| {
            let boot_id = line.journal.and_then(|fields| fields.get("_BOOT_ID"));
            let boot_id = boot_id.and_then(|id| id.parse().ok());
            Heard { wall: line.wall, boot: line.boot, boot_id, testimony }
        };
        let kernels = || kernel::testimony(&whole(line), &self.source);
        let mut heard = journal::testimony(line).or_else(kernels).map(told)?;
        // Line numbers are those of the file.
        heard.testimony.evidence.source.clone_from(&self.source);
        Some(heard)
    }
}

/// How the kernel tells of a fault, behind the name of the program, which then looks like who wrote
/// the line: `faulty[588]: segfault at 8 ip …`.
const FAULTS: [&[u8]; 4] = [b"segfault at ", b"segfault (", b"unhandled ", b"bus error ("];

/// The line with that name in its text again.
fn whole<'a>(line: &LogLine<'a>) -> LogLine<'a> {
    let fault = FAULTS.into_iter().find(|fault| line.text.starts_with(fault));
    let name = line.ident.filter(|_| line.journal.is_none());
    let begin = fault.zip(name).and_then(|(fault, name)| {
        let head = line.raw.get(..memchr::memmem::rfind(line.raw, fault)?)?;
        memchr::memmem::rfind(head, name)
    });
    match begin.and_then(|begin| line.raw.get(begin..)) {
        Some(text) => LogLine { text, ident: None, origin: Origin::Unsaid, ..*line },
        None => *line,
    }
}

fn long(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What is worth reading: reports, and whatever else tells of an end or a start.
const NET: Net = Net { sweep, is_relevant };

fn sweep(stretch: &[u8]) -> Seen {
    let reports = (highwater_oom::NET.sweep)(stretch);
    // What stands behind the first mark is looked at when that one was read.
    let near = reports.mark.map_or(stretch.len(), |mark| mark.saturating_add(NEAR));
    let before = stretch.get(..near.min(stretch.len())).unwrap_or(stretch);
    let told = journal::mark(before);
    Seen { ends: reports.ends, mark: reports.mark.into_iter().chain(told).min() }
}

/// Longer than any word that is looked for.
const NEAR: usize = 64;

fn is_relevant(line: &[u8]) -> bool {
    (highwater_oom::NET.is_relevant)(line) || journal::is_relevant(line)
}

impl<L: LineSource> LineSource for Watched<'_, L> {
    fn next_line(&mut self) -> Option<LogLine<'_>> {
        let line = self.lines.next_line()?;
        if memchr::memmem::find(line.text, b"Killed process ").is_some() {
            self.progress.death();
        }
        self.ears.listen(&line);
        Some(line)
    }

    /// What the reader of reports passes over may tell of an end all the same.
    fn skip_to(&mut self, _reports: Net) {
        self.lines.skip_to(NET);
    }
}

/// A field that every entry has, and nothing else.
const ENTRY_FIELD: &[u8] = b"__REALTIME_TIMESTAMP";

fn is_entries(head: &[u8]) -> bool {
    let is_begun = head.starts_with(b"__") || head.starts_with(b"{");
    is_begun && memchr::memmem::find(head, ENTRY_FIELD).is_some()
}

/// What the beginning of a log shows.
fn looks<R: Read>(stream: &Stream<R>) -> Looks {
    if stream.head().starts_with(JOURNAL) {
        Looks::Journal
    } else if is_entries(stream.head()) {
        Looks::Entries
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
    fn ends_are_heard_beside_reports_and_far_behind_them() {
        let quiet = "Nov 20 10:00:00 host app[1]: nothing to see\n".repeat(9_000);
        let lines = [
            "[  169.631736] faulty[588]: segfault at 8 ip 00007f sp 00007ffd error 4 in x.so[7f+1]\n",
            "Nov 20 10:00:00 host systemd[1]: web.service: Main process exited, code=killed, status=9/KILL\n",
        ];
        for line in lines {
            let told = log(format!("{quiet}{line}{quiet}").as_bytes());
            let [heard] = told.heard.as_slice() else { panic!("{:?}", told.heard) };
            let evidence = &heard.testimony.evidence;
            assert_eq!((evidence.source.as_str(), evidence.line), ("x", Some(9_001)));
        }
        assert_eq!(log(quiet.as_bytes()).heard, []);
        assert!(log(quiet.as_bytes()).holds.programs);
    }

    /// What each line tells, whatever a net would make of it, without where it stands.
    fn of_each_line(bytes: &[u8]) -> Vec<Heard> {
        let ears = Ears { source: "x".to_owned(), ..Ears::default() };
        let (mut stream, mut all) = (Stream::new(bytes), Vec::new());
        while let Some(line) = stream.next_line() {
            all.extend(ears.testimony(&line));
        }
        all
    }

    #[test]
    fn the_net_passes_over_no_line_that_tells_something() {
        let lines = [
            "[    1.5] a.out[71]: segfault at 0 ip 5 sp 7 error 4 in a.out[5+1000]",
            "[    1.5] traps: a.out[71] trap divide error ip:5 sp:7 error:0 in a.out[5+1000]",
            "[    1.5] traps: a.out[71] general protection fault ip:5 sp:7 error:0",
            "[    1.5] a.out[71] bad frame in rt_sigreturn frame:5 ip:5 sp:5 orax:f in a.out[5+1000]",
            "[    1.5] a.out[71]: unhandled level 2 translation fault (11) at 0x0, esr 0x9",
            "[    1.5] a.out[71]: segfault (11) at 0 nip 1 lr 1 code 1 in a.out[1+1]",
            "[    1.5] a.out[71]: bus error (7) at 0 nip 1 lr 1 code 1 in a.out[1+1]",
            "[    1.5] a.out/71: potentially unexpected fatal signal 11.",
            "[    1.5] CPU Watchdog Timeout (hard): a.out[71]",
            "[    1.5] __vm_enough_memory: pid: 71, comm: a.out, bytes: 8192 not enough memory for the allocation",
            "[    1.5] __vm_enough_memory: pid: 71, comm: a.out, no enough memory for the allocation",
            "[    1.5] audit: type=1326 audit(1.5:7): auid=0 uid=0 gid=0 ses=1 pid=71 comm=\"a\" exe=\"/a\" sig=31 arch=c000003e syscall=1 compat=0 ip=0x7 code=0x0",
        ];
        let kernels = lines.into_iter().flat_map(|line| {
            let (_, text) = line.split_once("] ").unwrap();
            [line.to_owned(), format!("Nov 20 10:00:00 host kernel: {line}"), text.to_owned()]
        });
        let fixtures = ["short", "short-iso", "json", "export", "verbose", "json-pretty", "cat"];
        let entries = fixtures.map(|form| {
            let name = format!("../../fixtures/journal/oom-unit.{form}");
            std::fs::read_to_string(name).unwrap()
        });
        for text in kernels.chain(entries) {
            let told = of_each_line(text.as_bytes());
            // What stands first says what the log is, and whether its entries are vouched for.
            let quiet = "quiet\n".repeat(20_000);
            let heard = log(format!("{text}\n\n{quiet}\n{text}\n\n{quiet}").as_bytes()).heard;
            let facts = |heard: &[Heard]| {
                heard.iter().map(|heard| heard.testimony.fact.clone()).collect::<Vec<_>>()
            };
            assert!(!told.is_empty(), "{text}");
            let twice = [facts(&told), facts(&told)].concat();
            assert_eq!(facts(&heard), twice, "{}", text.lines().next().unwrap());
        }
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
