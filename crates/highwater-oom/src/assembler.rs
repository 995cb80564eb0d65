//! Lines in, reports out: where one episode ends and the next begins.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use highwater_core::id::Pid;
use highwater_core::line::{LineSource, LogLine};

use crate::episode::Episode;
use crate::relevant::{Sweep, is_relevant};
use crate::report::{Kill, LineNumber, OomReport};
use crate::said::{self, Said};

/// So many lines in a row that say nothing of the episode end it: a stack trace has 100 at most,
/// two processors may print side by side.
const FOREIGN_LINES: u32 = 400;

/// So many lines are remembered to know one that is printed twice: the marking lines of some
/// hundred episodes.
const REMEMBERED: usize = 2048;

/// The most parts one line is taken apart into: `Mem-Info` has about 15, cgroup statistics 70.
const PARTS: usize = 256;

/// Reads lines as they come and puts reports together.
///
/// ```
/// use highwater_core::line::{LogLine, Origin};
/// use highwater_oom::Assembler;
///
/// let text = b"Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB";
/// let line = LogLine {
///     number: 1, text, raw: text, wall: None, boot: None, seq: None, ident: None, continues: false,
///     origin: Origin::Kernel, caller: None,
/// };
/// let mut assembler = Assembler::new();
/// assert!(assembler.push(&line).new_kill); // known before anybody can know that nothing follows
/// assert_eq!(assembler.kills().len(), 1);
/// assert_eq!(assembler.finish().unwrap().kills[0].pid.unwrap().get(), 7);
/// ```
#[derive(Debug, Default)]
pub struct Assembler {
    current: Option<Episode>,
    seen: Seen,
    /// The memory dump that is being printed is not an OOM report's.
    foreign_dump: bool,
}

/// What a line did.
#[derive(Debug, Default, PartialEq)]
pub struct Pushed {
    /// The episode before it is over. Its last kill may be one that no kill line named: where only
    /// the line is left that chose the victim.
    pub finished: Option<OomReport>,
    /// The line names a death: the last of [`Assembler::kills`].
    pub new_kill: bool,
    /// The line says how the kernel's reaper fared with a victim of an episode that is over.
    pub reaped: Option<Reaped>,
}

/// How the kernel's reaper fared with a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// The victim.
    pub pid: Pid,
    /// The line.
    pub line: LineNumber,
    /// Its memory was freed.
    pub freed: bool,
}

impl Reaped {
    /// Notes it with its death, if that is among `kills`; the newest death of a pid counts.
    pub fn note<'a>(self, kills: impl DoubleEndedIterator<Item = &'a mut Kill>) -> bool {
        let Some(kill) = kills.rev().find(|kill| kill.pid == Some(self.pid)) else { return false };
        let place = if self.freed { &mut kill.reaped } else { &mut kill.reaper_failed };
        place.get_or_insert(self.line);
        true
    }
}

impl Assembler {
    /// With nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next line of the log.
    pub fn push(&mut self, line: &LogLine<'_>) -> Pushed {
        let mut pushed = Pushed::default();
        if self.current.as_ref().is_some_and(|episode| episode.is_far(line)) {
            pushed.finished = self.finish();
        }
        if self.current.is_none() && !is_relevant(line.text) {
            return pushed;
        }
        for part in parts(line.text).take(PARTS) {
            self.push_part(line, part, &mut pushed);
        }
        pushed
    }

    /// The episode in progress.
    pub fn current(&self) -> Option<&OomReport> {
        self.current.as_ref().map(|episode| &episode.report)
    }

    /// No episode is in progress: lines that are not [relevant](is_relevant) need not be pushed.
    pub fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// The deaths of the episode in progress, in the order of the log.
    pub fn kills(&self) -> &[Kill] {
        self.current().map_or(&[], |report| &report.kills)
    }

    /// Ends the episode in progress: at the end of the log, or when the kernel has been silent.
    /// Lines may be pushed again afterwards.
    pub fn finish(&mut self) -> Option<OomReport> {
        self.current.take().map(Episode::finish)
    }

    fn push_part(&mut self, line: &LogLine<'_>, part: &[u8], pushed: &mut Pushed) {
        if is_kernel(line)
            && let Some(episode) = &mut self.current
            && episode.take_inner(line, part)
        {
            return;
        }
        let mut odd = Vec::new();
        let said = if is_kernel(line) { said::kernel(part, &mut odd) } else { None };
        let said = said.or_else(|| is_killer(line).then(|| said::program(part))?);
        match said {
            Some(said) => self.place(said, line, part, odd, pushed),
            None => self.pass_over(pushed),
        }
    }

    /// A line that has nothing to do with the episode.
    fn pass_over(&mut self, pushed: &mut Pushed) {
        let Some(episode) = &mut self.current else { return };
        episode.foreign += 1;
        if episode.foreign > FOREIGN_LINES {
            keep_first(pushed, self.finish());
        }
    }

    /// Puts what a line said where it belongs.
    fn place(
        &mut self,
        said: Said,
        line: &LogLine<'_>,
        part: &[u8],
        odd: Vec<String>,
        pushed: &mut Pushed,
    ) {
        if is_mark(&said) && self.seen.is_repeated(&said, line) {
            return;
        }
        self.follow_dumps(&said);
        if let Some(reaped) = reaped(&said, line.number)
            && !self.current.as_ref().is_some_and(|episode| episode.knows(reaped.pid))
        {
            pushed.reaped = Some(reaped);
            return;
        }
        if self.current.as_ref().is_some_and(|episode| !episode.fits(&said)) {
            keep_first(pushed, self.finish());
        }
        if self.current.is_none() && !self.begins(&said) {
            return;
        }
        let episode = self.current.get_or_insert_default();
        pushed.new_kill |= episode.take(said, line, part);
        for what in odd {
            episode.odd(line.number, what);
        }
    }

    /// A failed allocation prints the same memory dump as an OOM report.
    fn follow_dumps(&mut self, said: &Said) {
        match said {
            Said::AllocationFailure => self.foreign_dump = true,
            Said::Trigger(_) | Said::Summary(_) | Said::Killed(..) => self.foreign_dump = false,
            _ => {}
        }
    }

    fn begins(&self, said: &Said) -> bool {
        let is_dump = matches!(
            said,
            Said::MemInfo
                | Said::Zone(_)
                | Said::FreeList(..)
                | Said::SwapFree(_)
                | Said::SwapTotal(_)
                | Said::Ram(_)
                | Said::Reserved(_)
        );
        Episode::can_begin(said) && !(is_dump && self.foreign_dump)
    }
}

/// One line can end one episode at most, since it can begin one at most; parts of a line that was
/// put together wrongly could end more, and the first, which is the largest, is kept.
fn keep_first(pushed: &mut Pushed, finished: Option<OomReport>) {
    if pushed.finished.is_none() {
        pushed.finished = finished;
    }
}

/// The lines inside one record: `/dev/kmsg` gives a line end as itself, a file of its records as
/// `\x0a`, rsyslog as `#012`.
fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let ends: [&[u8]; 3] = [b"\n", b"#012", br"\x0a"];
        let found =
            ends.iter().filter_map(|e| Some((memchr::memmem::find(text, e)?, e.len()))).min();
        let (part, left) = match found {
            Some((at, len)) => (text.get(..at)?, text.get(at + len..)),
            None => (text, None),
        };
        rest = left;
        Some(part)
    })
}

/// The kernel wrote it, or nobody says who did. A program may print any words: what it writes is
/// not the kernel's.
fn is_kernel(line: &LogLine<'_>) -> bool {
    line.ident.is_none_or(|ident| matches!(ident, b"kernel" | b"vmunix"))
}

/// A program that kills for memory wrote it, or nobody says who did.
fn is_killer(line: &LogLine<'_>) -> bool {
    line.ident.is_none_or(|ident| matches!(ident, b"earlyoom" | b"systemd-oomd" | b"systemd"))
}

fn reaped(said: &Said, line: LineNumber) -> Option<Reaped> {
    match said {
        Said::Reaped(pid) => Some(Reaped { pid: *pid, line, freed: true }),
        Said::ReaperFailed(pid) => Some(Reaped { pid: *pid, line, freed: false }),
        _ => None,
    }
}

/// Lines that decide where an episode begins: of these a repetition matters.
fn is_mark(said: &Said) -> bool {
    matches!(
        said,
        Said::Trigger(_)
            | Said::TaskIn { .. }
            | Said::Counter(..)
            | Said::Stats { .. }
            | Said::MemInfo
            | Said::Table(_)
            | Said::Summary(_)
            | Said::Selected(..)
            | Said::Killed(..)
            | Said::Earlyoom(_)
            | Said::Oomd { .. }
    )
}

/// The marking lines that were read last.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Seen {
    /// Has the same line been read before? Only a stamp in µs tells a repetition from the same
    /// words said twice, unless the line names a victim.
    fn is_repeated(&mut self, said: &Said, line: &LogLine<'_>) -> bool {
        let names_victim = matches!(
            said,
            Said::Summary(_) | Said::Selected(..) | Said::Killed(..) | Said::Oomd { .. }
        );
        let coarse = names_victim && line.raw.len() > line.text.len();
        if line.boot.is_none() && !coarse {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (line.boot, line.wall, line.text).hash(&mut hasher);
        if line.boot.is_none() {
            line.raw.hash(&mut hasher);
        }
        let mark = hasher.finish();
        if !self.known.insert(mark) {
            return true;
        }
        self.order.push_back(mark);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

/// All reports of a log, each line of which is read.
pub fn read(mut lines: impl LineSource) -> Vec<OomReport> {
    let mut reading = Reading::default();
    while let Some(line) = lines.next_line() {
        reading.push(&line);
    }
    reading.finish()
}

/// All reports of a log; between episodes, what cannot begin one is passed over quickly.
pub fn skim(mut lines: impl LineSource) -> Vec<OomReport> {
    let (mut reading, mut sweep) = (Reading::default(), Sweep::default());
    loop {
        if reading.is_idle() {
            lines.skip_to(&mut |rest| sweep.find(rest));
        }
        match lines.next_line() {
            Some(line) => reading.push(&line),
            None => return reading.finish(),
        }
    }
}

/// A log that is read as a whole, line by line; [`read`] is its short form.
#[derive(Debug, Default)]
pub struct Reading {
    assembler: Assembler,
    reports: Vec<OomReport>,
}

impl Reading {
    /// Reads the next line.
    pub fn push(&mut self, line: &LogLine<'_>) {
        let pushed = self.assembler.push(line);
        self.reports.extend(pushed.finished);
        if let Some(reaped) = pushed.reaped {
            // The reaper is late by some lines; a hundred episodes are more than enough.
            let recent = self.reports.len().saturating_sub(100);
            let recent = self.reports.iter_mut().skip(recent);
            reaped.note(recent.flat_map(|report| &mut report.kills));
        }
    }

    /// Lines that are not [relevant](is_relevant) may be skipped.
    pub fn is_idle(&self) -> bool {
        self.assembler.is_idle()
    }

    /// The reports, in the order of the log.
    pub fn finish(mut self) -> Vec<OomReport> {
        self.reports.extend(self.assembler.finish());
        self.reports
    }
}
