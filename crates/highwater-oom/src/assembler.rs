//! Lines in, reports out: where one episode ends and the next begins, and which lines belong to
//! which when several processors print at once.
//!
//! ```text
//! line ─ put together if wrapped, taken apart if joined ─ what does it say? ─ which lane? ─ episode
//!                                                                     │
//!              a lane for each caller that the log tells apart ───────┤
//!              suspended: waits for the line that names its victim ───┘
//! ```

use std::collections::VecDeque;

use highwater_core::id::Pid;
use highwater_core::line::{Caller, LineSource, LogLine, Origin};

use crate::ending;
use crate::episode::Episode;
use crate::lines::{self, Held, Record};
use crate::relevant::{NET, is_relevant};
use crate::report::{Kill, LineNumber, OomReport, Writer};
use crate::said::{self, Hold, Said};
use crate::seen::Seen;

/// So many lines in a row that say nothing of the episode end it: a stack trace has 100 at most,
/// two processors may print side by side.
const FOREIGN_LINES: u32 = 400;

/// So many lines an episode waits that another one has pushed aside: a table of a busy machine.
const SUSPENDED_LINES: u32 = 4096;

/// The most episodes in progress: processors that print at once. The one that was silent longest
/// ends for a new one.
const LANES: usize = 8;

/// Behind a death come the reaper's line and more deaths, if anything, all of which are relevant;
/// what has no mark of its own, as the second half of a line that was wrapped, comes at once.
const SETTLED_LINES: u32 = 16;

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
///     origin: Origin::Kernel, caller: None, journal: None,
/// };
/// let mut assembler = Assembler::new();
/// assert!(assembler.push(&line).new_kill); // known before anybody can know that nothing follows
/// assert_eq!(assembler.kills().len(), 1);
/// assert_eq!(assembler.finish().unwrap().kills[0].pid.unwrap().get(), 7);
/// ```
#[derive(Debug, Default)]
pub struct Assembler {
    /// The episodes in progress, that of the last line at the end.
    lanes: Vec<Lane>,
    /// Reports that are over and not handed out.
    done: VecDeque<OomReport>,
    seen: Seen,
    held: Option<Held>,
    /// So many blanks the last line with an envelope began with; before the first nothing hangs.
    indent: Option<usize>,
    /// The memory dump that is being printed is not an OOM report's.
    other_dump: bool,
}

/// An episode and who prints it.
#[derive(Debug)]
struct Lane {
    episode: Episode,
    caller: Option<Caller>,
    writer: Writer,
    is_vouched: bool,
    /// So many lines were not its own since its last.
    age: u32,
    /// Another one has begun where this one stood: only what names its victim still belongs to it.
    is_suspended: bool,
}

/// What a line did.
#[derive(Debug, Default, PartialEq)]
pub struct Pushed {
    /// The episode before it is over. Its last kill may be one that no kill line named: where only
    /// the line is left that chose the victim. If several are over, the others come with the next
    /// lines.
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
        let indent = line.raw.iter().take_while(|b| **b == b' ').count();
        let hangs = |above| indent >= HANGING_BLANKS.saturating_add(above);
        let is_hanging = line.origin == Origin::Unsaid && self.indent.is_some_and(hangs);
        if is_hanging {
            self.take_in(&hanging(line), &mut pushed);
        } else {
            let has_envelope = line.raw.trim_ascii().len() > line.text.trim_ascii().len();
            self.indent = if has_envelope { Some(indent) } else { self.indent };
            self.take_in(line, &mut pushed);
        }
        pushed.finished = self.done.pop_front();
        pushed
    }

    /// The episode in progress that the last line was about.
    pub fn current(&self) -> Option<&OomReport> {
        self.lanes.last().map(|lane| &lane.episode.report)
    }

    /// All reports that were not handed out: episodes in progress, the newest line's last, and
    /// before them those that are over.
    pub fn open(&self) -> impl Iterator<Item = &OomReport> {
        self.done.iter().chain(self.lanes.iter().map(|lane| &lane.episode.report))
    }

    /// No episode is in progress: lines that are not [relevant](is_relevant) need not be pushed.
    pub fn is_idle(&self) -> bool {
        self.lanes.is_empty() && self.held.is_none() && self.done.is_empty()
    }

    /// No episode is in progress, or those that are have told of their deaths and were silent for
    /// some lines: whatever still belongs to one is [relevant](is_relevant).
    pub fn is_quiet(&self) -> bool {
        let is_settled = |lane: &Lane| lane.age >= SETTLED_LINES && lane.episode.is_complete();
        self.held.is_none() && self.lanes.iter().all(is_settled)
    }

    /// So many lines were left out.
    fn pass(&mut self, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        for lane in &mut self.lanes {
            lane.age = lane.age.saturating_add(count);
        }
    }

    /// The deaths of the episode in progress, in the order of the log.
    pub fn kills(&self) -> &[Kill] {
        self.current().map_or(&[], |report| &report.kills)
    }

    /// Ends what is in progress: at the end of the log, or when the kernel has been silent. Several
    /// episodes may be: each call gives one, `None` when there is none left. Lines may be pushed
    /// again afterwards.
    pub fn finish(&mut self) -> Option<OomReport> {
        if let Some(held) = self.held.take() {
            self.read(&held.as_line(), &mut Pushed::default());
        }
        let lanes = std::mem::take(&mut self.lanes);
        self.done.extend(lanes.into_iter().filter_map(|lane| lane.episode.finish()));
        self.done.pop_front()
    }

    /// Puts lines together that were wrapped; whatever is whole is read.
    fn take_in(&mut self, line: &LogLine<'_>, pushed: &mut Pushed) {
        if let Some(held) = self.held.take() {
            let columns = self.lanes.last().and_then(|lane| lane.episode.columns());
            match lines::join(&held, line, columns) {
                Some(whole) if lines::hold(&whole.as_line(), columns).is_some() => {
                    self.held = Some(whole);
                    return;
                }
                Some(whole) => return self.read_held(&whole, pushed),
                None => self.read_held(&held, pushed),
            }
        }
        let columns = self.lanes.last().and_then(|lane| lane.episode.columns());
        if self.lanes.is_empty() && !is_relevant(line.text) {
            return;
        }
        self.held = lines::hold(line, columns);
        if self.held.is_none() {
            self.read(line, pushed);
        }
    }

    fn read_held(&mut self, held: &Held, pushed: &mut Pushed) {
        let line = held.as_line();
        self.read(&line, pushed);
        if held.was_wrapped()
            && let Some(lane) = self.lanes.last_mut()
            && lane.age == 0
        {
            let what = format!("{} lines are read as one: it was wrapped", held.lines);
            lane.episode.odd(line.number, what);
        }
    }

    /// Reads a whole line.
    fn read(&mut self, line: &LogLine<'_>, pushed: &mut Pushed) {
        self.expire(line);
        if self.lanes.is_empty() && !is_relevant(line.text) {
            return;
        }
        if let Some(text) = ending::repeated(line.text) {
            self.read_parts(line, text, pushed);
            let what = "the log says that this line was repeated".to_owned();
            self.place(Said::Notice(what), line, text, Vec::new(), pushed);
        } else {
            self.read_parts(line, line.text, pushed);
        }
    }

    /// Ends what was silent for too long.
    fn expire(&mut self, line: &LogLine<'_>) {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            lane.age = lane.age.saturating_add(1);
            let limit = if lane.is_suspended { SUSPENDED_LINES } else { FOREIGN_LINES };
            if lane.age > limit || lane.episode.is_far(line) {
                self.end(at);
            } else {
                at += 1;
            }
        }
    }

    fn end(&mut self, at: usize) {
        let lane = self.lanes.remove(at);
        self.done.extend(lane.episode.finish());
    }

    /// The lines of a record, the messages of a line.
    fn read_parts(&mut self, line: &LogLine<'_>, text: &[u8], pushed: &mut Pushed) {
        let record = Record::of(text, line.origin);
        let inner = record.inner;
        for (number, part) in record.take(PARTS).enumerate() {
            if inner && number > 0 {
                self.push_inner(line, part, pushed);
                continue;
            }
            let mut part = part;
            while let Some((end, begin)) = lines::seam(part, line.origin) {
                self.push_part(line, part.get(..end).unwrap_or_default(), pushed);
                let what = "two messages stand on one line".to_owned();
                self.place(Said::Notice(what), line, part, Vec::new(), pushed);
                part = part.get(begin..).unwrap_or_default();
            }
            self.push_part(line, part, pushed);
        }
    }

    /// A further line of a record that is a block of counts.
    fn push_inner(&mut self, line: &LogLine<'_>, part: &[u8], pushed: &mut Pushed) {
        if self.lane_of(None, line).is_some_and(|at| self.take_inner(at, line, part)) {
            return;
        }
        let said = said::kernel(part, Hold::of(line), &mut Vec::new());
        if let Some(said @ Said::Counts(_)) = said
            && is_kernel(line)
        {
            self.place(said, line, part, Vec::new(), pushed);
        }
    }

    fn take_inner(&mut self, at: usize, line: &LogLine<'_>, part: &[u8]) -> bool {
        let taken = self.lanes.get_mut(at).is_some_and(|lane| lane.episode.take_inner(line, part));
        if taken {
            self.touch(at);
        }
        taken
    }

    fn push_part(&mut self, line: &LogLine<'_>, part: &[u8], pushed: &mut Pushed) {
        if is_kernel(line)
            && let Some(at) = self.lane_of(Some(Writer::Kernel), line)
            && self.take_inner(at, line, part)
        {
            return;
        }
        let mut odd = Vec::new();
        let said =
            if is_kernel(line) { said::kernel(part, Hold::of(line), &mut odd) } else { None };
        let said = said.or_else(|| {
            (line.origin != Origin::Kernel).then(|| said::program(part, line.ident))?
        });
        if let Some(said) = said {
            self.place(said, line, part, odd, pushed);
        }
    }

    /// The lane that a line of this kind of episode goes to; `None` as writer for any.
    fn lane_of(&self, writer: Option<Writer>, line: &LogLine<'_>) -> Option<usize> {
        let is_vouched = line.origin == Origin::Kernel;
        self.lanes.iter().rposition(|lane| {
            lane.is_vouched == is_vouched
                && !lane.is_suspended
                && writer.is_none_or(|writer| writer == lane.writer)
                && (line.caller.is_none() || line.caller == lane.caller)
        })
    }

    /// The lane whose episode named the victim that this is about.
    fn claimed_by(&self, said: &Said, line: &LogLine<'_>) -> Option<usize> {
        let is_vouched = line.origin == Origin::Kernel;
        self.lanes
            .iter()
            .rposition(|lane| lane.is_vouched == is_vouched && lane.episode.claims(said))
    }

    /// The line was this lane's.
    fn touch(&mut self, at: usize) {
        if at < self.lanes.len() {
            let mut lane = self.lanes.remove(at);
            lane.age = 0;
            self.lanes.push(lane);
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
        if said.is_mark() && self.seen.is_repeated(&said, line, part) {
            return;
        }
        self.follow_dumps(&said);
        let claimed = self.claimed_by(&said, line);
        if let Some(reaped) = reaped(&said, line.number)
            && claimed.is_none()
        {
            pushed.reaped = Some(reaped);
            return;
        }
        let Some(at) = claimed.or_else(|| self.room_for(&said, line)) else { return };
        self.touch(at);
        let Some(Lane { episode, .. }) = self.lanes.last_mut() else { return };
        pushed.new_kill |= episode.take(said, line, part);
        for what in odd {
            episode.odd(line.number, what);
        }
    }

    /// The lane that takes the line, if need be a new one.
    fn room_for(&mut self, said: &Said, line: &LogLine<'_>) -> Option<usize> {
        let writer = said.writer();
        let found = self.lane_of(writer, line);
        let fits = |at: &usize| self.lanes.get(*at).is_some_and(|lane| lane.episode.fits(said));
        if let Some(at) = found.filter(fits) {
            return Some(at);
        }
        let is_foreign = said.is_dump() && self.other_dump;
        if !Episode::can_begin(said) || is_foreign {
            return None;
        }
        if let Some(at) = found {
            let is_complete = self.lanes.get(at).is_none_or(|lane| lane.episode.is_complete());
            if is_complete {
                self.end(at);
            } else if let Some(lane) = self.lanes.get_mut(at) {
                lane.is_suspended = true;
            }
        }
        if self.lanes.len() >= LANES {
            self.end(0);
        }
        self.lanes.push(Lane {
            episode: Episode::default(),
            caller: line.caller,
            writer: writer.unwrap_or_default(),
            is_vouched: line.origin == Origin::Kernel,
            age: 0,
            is_suspended: false,
        });
        Some(self.lanes.len().saturating_sub(1))
    }

    /// A failed allocation prints the same memory dump as an OOM report.
    fn follow_dumps(&mut self, said: &Said) {
        match said {
            Said::OtherDump => self.other_dump = true,
            Said::Trigger(_) | Said::Summary(_) | Said::Killed(..) => self.other_dump = false,
            _ => {}
        }
    }
}

/// A line that hangs so far below the one above carries it on, whatever it looks like: `dmesg`
/// indents the rest of a message with a line end in it by the width of a stamp.
const HANGING_BLANKS: usize = 12;

/// The same line without what was taken for an envelope.
fn hanging<'a>(line: &LogLine<'a>) -> LogLine<'a> {
    LogLine {
        text: line.raw.trim_ascii(),
        wall: None,
        boot: None,
        ident: None,
        caller: None,
        journal: None,
        continues: true,
        ..*line
    }
}

/// The kernel wrote it, or nobody says who did. A program may print any words: what it writes is
/// not the kernel's.
fn is_kernel(line: &LogLine<'_>) -> bool {
    match line.origin {
        Origin::Kernel => true,
        Origin::Program => false,
        Origin::Unsaid => line.ident.is_none_or(|ident| matches!(ident, b"kernel" | b"vmunix")),
    }
}

fn reaped(said: &Said, line: LineNumber) -> Option<Reaped> {
    match said {
        Said::Reaped(pid) => Some(Reaped { pid: *pid, line, freed: true }),
        Said::ReaperFailed(pid) => Some(Reaped { pid: *pid, line, freed: false }),
        _ => None,
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
    let mut reading = Reading::default();
    let mut last = 0;
    loop {
        let is_quiet = reading.is_quiet();
        if is_quiet {
            lines.skip_to(NET);
        }
        let Some(line) = lines.next_line() else { return reading.finish() };
        if is_quiet {
            reading.pass(line.number.saturating_sub(last).saturating_sub(1));
        }
        last = line.number;
        reading.push(&line);
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

    /// Lines that are not [relevant](is_relevant) may be left out, if [`pass`](Self::pass) is told
    /// how many.
    pub fn is_quiet(&self) -> bool {
        self.assembler.is_quiet()
    }

    /// So many lines were left out.
    pub fn pass(&mut self, count: u64) {
        self.assembler.pass(count);
    }

    /// The reports, in the order of the log.
    pub fn finish(mut self) -> Vec<OomReport> {
        while let Some(report) = self.assembler.finish() {
            self.reports.push(report);
        }
        // Episodes that were printed side by side end in any order: deaths come as the log has them.
        self.reports.sort_by_key(|report| {
            let death = report.kills.first().map(|kill| kill.line);
            death.or_else(|| report.lines.first().map(|line| line.number))
        });
        self.reports
    }
}
