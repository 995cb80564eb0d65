//! From physical lines to messages: what was wrapped or torn is put together again, what lost its
//! line end is taken apart.
//!
//! ```text
//! Out of memory: Killed process 7 (x) total-vm:8kB, ⏎ anon-rss:4kB      wrapped: one message
//! Node 0 DMA: ⏎ 1*4kB ⏎ (U) ⏎ = 4kB                                     torn by printk: one message
//! … file-rss:0kBoom_reaper: reaped process 7 (x), …                     joined: two messages
//! active_anon:1 inactive_anon:2\n free:3                                a record of several lines
//! ```

use std::sync::LazyLock;

use highwater_core::line::{Caller, LogLine, Origin};
use highwater_core::time::{BootTime, WallTime};
use memchr::memmem::Finder;

use crate::said::{self, Hold, Said};
use crate::table::{self, Columns};
use crate::{memcg, scan, zone};

/// The longest message that is put together from wrapped lines: the longest a kernel prints in one
/// go has about 1000 bytes, a cgroup's path may have 4096.
const JOINED_BYTES: usize = 16 << 10;

/// A text longer than this was not joined from messages of a kernel.
const SEAM_BYTES: usize = 4096;

/// So many lines are put together at most: the longest message, wrapped at 80 columns, is not read
/// anew for each of the lines that somebody puts below it.
const JOINED_LINES: u32 = 64;

/// The longest that a program's name of 15 bytes gets when each is written as `\x0a`.
const NAME_BYTES: usize = 60;

/// So many places are tried for a seam.
const SEAMS: usize = 8;

/// A line that is kept until it is known whether the next one carries it on.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    text: Vec<u8>,
    raw: Vec<u8>,
    number: u64,
    wall: Option<WallTime>,
    boot: Option<BootTime>,
    seq: Option<u64>,
    ident: Option<Vec<u8>>,
    continues: bool,
    origin: Origin,
    caller: Option<Caller>,
    /// So many lines were put together.
    pub(crate) lines: u32,
    torn: bool,
}

impl Held {
    fn new(line: &LogLine<'_>, torn: bool) -> Self {
        Self {
            text: line.text.to_vec(),
            raw: line.raw.to_vec(),
            number: line.number,
            wall: line.wall,
            boot: line.boot,
            seq: line.seq,
            ident: line.ident.map(<[u8]>::to_vec),
            continues: line.continues,
            origin: line.origin,
            caller: line.caller,
            lines: 1,
            torn,
        }
    }

    /// The message as far as it is put together; it stands where its first line stands.
    pub(crate) fn as_line(&self) -> LogLine<'_> {
        LogLine {
            number: self.number,
            text: &self.text,
            raw: &self.raw,
            wall: self.wall,
            boot: self.boot,
            seq: self.seq,
            ident: self.ident.as_deref(),
            continues: self.continues,
            origin: self.origin,
            caller: self.caller,
            journal: None,
        }
    }

    /// Was it wrapped by somebody, rather than torn by the kernel?
    pub(crate) fn was_wrapped(&self) -> bool {
        self.lines > 1 && !self.torn
    }

    fn has_envelope(&self) -> bool {
        self.boot.is_some() || self.wall.is_some() || self.ident.is_some() || self.seq.is_some()
    }
}

/// Keeps `line` if the next one may carry it on.
pub(crate) fn hold(line: &LogLine<'_>, columns: Option<&Columns>) -> Option<Held> {
    let text = line.text.trim_ascii();
    if text.len() > JOINED_BYTES {
        return None;
    }
    if zone::is_torn(text) || is_torn_task(text) {
        return Some(Held::new(line, true));
    }
    // The kernel's own transport wraps nothing.
    (line.origin == Origin::Unsaid && Reading::of(text, columns).is_cut)
        .then(|| Held::new(line, false))
}

/// Puts `held` and the line after it together, if that is what they are: then the whole.
pub(crate) fn join(held: &Held, next: &LogLine<'_>, columns: Option<&Columns>) -> Option<Held> {
    let is_long = held.text.len().saturating_add(next.text.len()) > JOINED_BYTES;
    if is_long || held.lines >= JOINED_LINES {
        return None;
    }
    if held.torn && held.caller == next.caller && held.origin == next.origin {
        let front = held.text.trim_ascii();
        let text = next.text.trim_ascii();
        if zone::is_piece(front, text) || is_piece_of_task(front, text) {
            return Some(held.with(&[b" ", text].concat()));
        }
    }
    wrapped(held, next, columns)
}

/// `Task in`, `/a`, `killed as a result of limit of`, `/b`: a line to a piece.
fn is_torn_task(front: &[u8]) -> bool {
    front == b"Task in"
        || (front.starts_with(b"Task in /")
            && (!scan::has(front, b" killed as a result of limit of") || front.ends_with(b" of")))
}

fn is_piece_of_task(front: &[u8], next: &[u8]) -> bool {
    is_torn_task(front) && (next.starts_with(b"/") || next == b"killed as a result of limit of")
}

impl Held {
    fn with(&self, end: &[u8]) -> Self {
        let mut whole = self.clone();
        whole.text.extend_from_slice(end);
        whole.lines += 1;
        whole
    }
}

/// Without the soft line end of a mail, if there is one.
fn without_soft_end(held: &Held) -> Option<Held> {
    let soft: [&[u8]; 2] = [b"=20", b"="];
    let text = soft.iter().find_map(|soft| held.text.strip_suffix(*soft))?;
    Some(Held { text: text.to_vec(), ..held.clone() })
}

fn wrapped(held: &Held, next: &LogLine<'_>, columns: Option<&Columns>) -> Option<Held> {
    let unsaid = held.origin == Origin::Unsaid && next.origin == Origin::Unsaid;
    let bare = next.boot.is_none()
        && next.wall.is_none()
        && next.seq.is_none()
        && next.ident.is_none()
        && next.caller.is_none();
    let same_stamp = next.boot.is_some() && next.boot == held.boot;
    if !unsaid || !(bare || same_stamp) || Reading::of(next.text, columns).stands_alone {
        return None;
    }
    let front = Reading::of(&held.text, columns);
    let text = next.text.trim_ascii();
    let glues: &[&[u8]] = match (bare, next.text.first()) {
        // A name with a line end in it: each half was printed with the stamp.
        (false, _) => &[b"\n"],
        (true, _) if next.continues && held.has_envelope() => &[b"\n", b" "],
        (true, Some(b' ' | b'\t')) => &[b" "],
        (true, _) if held.text.ends_with(b"-") => &[b""],
        (true, _) => &[b" ", b""],
    };
    let mut best: Option<(usize, Held)> = None;
    let soft = without_soft_end(held);
    let fronts = std::iter::once(held).chain(soft.as_ref());
    for (first, glue) in fronts.flat_map(|first| glues.iter().map(move |glue| (first, glue))) {
        let whole = first.with(&[glue, text].concat());
        let read = Reading::of(&whole.text, columns);
        let same = front.kind.is_none() || read.kind == front.kind;
        // Inside a path nothing more can be read, and there are no blanks.
        let inside = front.is_path && bare && held.has_envelope() && glue.is_empty();
        // Cut behind a colon: the amount is still to come.
        let open = bare && held.has_envelope() && text.ends_with(b":");
        let more = read.weight > front.weight
            || (inside && read.weight == front.weight)
            || (open && read.weight.saturating_add(1) >= front.weight);
        let better = best
            .as_ref()
            .is_none_or(|(weight, _)| read.weight > *weight || (inside && read.weight == *weight));
        if same && read.kind.is_some() && more && better {
            best = Some((read.weight, whole));
        }
    }
    best.map(|(_, whole)| whole)
}

/// What a text would be read as.
struct Reading {
    kind: Option<Kind>,
    weight: usize,
    is_cut: bool,
    stands_alone: bool,
    is_path: bool,
}

#[derive(PartialEq)]
enum Kind {
    Row,
    Said(std::mem::Discriminant<Said>),
}

impl Reading {
    fn of(text: &[u8], columns: Option<&Columns>) -> Self {
        let text = text.trim_ascii();
        if let Some(columns) = columns
            && table::is_row(text)
        {
            return Self::of_row(text, columns);
        }
        let mut odd = Vec::new();
        match said::kernel(text, Hold::Loose, &mut odd) {
            Some(said) if said != Said::Context => Self {
                weight: (4 + said.weight().saturating_mul(4)).saturating_sub(odd.len()),
                is_cut: said.is_cut(text),
                stands_alone: !matches!(said, Said::Sizes(_)),
                is_path: matches!(
                    said,
                    Said::Summary(_) | Said::Stats { .. } | Said::TaskIn { .. }
                ),
                kind: Some(Kind::Said(std::mem::discriminant(&said))),
            },
            _ => Self {
                kind: None,
                weight: 0,
                is_cut: is_front(text),
                stands_alone: false,
                is_path: false,
            },
        }
    }

    fn of_row(text: &[u8], columns: &Columns) -> Self {
        let row = table::row(columns, text, 0);
        // A name seldom begins with a number that stands alone: then a column was cut in two.
        let numbered = |comm: &str| {
            let mut words = scan::words(comm.as_bytes());
            words.next().is_some_and(|word| scan::whole(word).is_some()) && words.next().is_some()
        };
        Self {
            kind: Some(Kind::Row),
            weight: row.as_ref().map_or(0, |row| if numbered(&row.comm) { 1 } else { 2 }),
            is_cut: row.as_ref().is_none_or(|row| row.comm.is_empty()),
            stands_alone: true,
            is_path: false,
        }
    }
}

/// Words at the front of a message that says nothing yet.
fn is_front(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] =
        [b"nvoked", b"ut of ", b"Kill", b"oom-", b"killed as", b"emory cgroup", b"oom_reaper"];
    text.starts_with(b"[ pid")
        || text.starts_with(b"[  pid")
        || WORDS.iter().any(|w| scan::has(text, w))
}

/// The lines inside one record: `/dev/kmsg` gives a line end as itself, a file of its records as
/// `\x0a`, rsyslog as `#012`.
///
/// Only where the first line is a message by itself are there several; else the line end is part of
/// a name. `inner` tells that what follows may only carry on the block that the first line begins.
pub(crate) struct Record<'a> {
    rest: Option<&'a [u8]>,
    several: bool,
    pub(crate) inner: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn of(text: &'a [u8], origin: Origin) -> Self {
        let single = Self { rest: Some(text), several: false, inner: false };
        let Some((first, _)) = cut_at_end(text) else { return single };
        let first = first.trim_ascii();
        let mut odd = Vec::new();
        let said = said::kernel(first, Hold::Whole, &mut odd);
        let block = matches!(said, Some(Said::Counts(_) | Said::Stats { .. }))
            || memcg::v2_entry(first).is_some();
        let whole = odd.is_empty() && said.as_ref().is_some_and(|said| is_whole(said, first));
        let several = block
            || (whole && origin != Origin::Kernel && said.is_some_and(|said| !is_one(&said, text)));
        Self { several, inner: block, ..single }
    }
}

impl<'a> Iterator for Record<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let (part, left) = match cut_at_end(text) {
            Some((part, left)) if self.several => (part, Some(left)),
            _ => (text, None),
        };
        self.rest = left;
        Some(part)
    }
}

fn cut_at_end(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends: [&[u8]; 3] = [b"\n", b"#012", br"\x0a"];
    let found = ends.iter().filter_map(|end| Some((scan::find(text, end)?, end.len()))).min();
    let (at, len) = found?;
    Some((text.get(..at)?, text.get(at + len..)?))
}

/// Is it a message with nothing missing at its end, so that what follows is another one?
fn is_whole(said: &Said, line: &[u8]) -> bool {
    match said {
        Said::Killed(kill, _) => {
            kill.total_vm.is_some() && kill.file_rss.is_some() && !line.ends_with(b",")
        }
        Said::Selected(selected, _) => selected.score.is_some() && line.ends_with(b"child"),
        Said::Reaped(_) | Said::ReaperFailed(_) => line.ends_with(b"B") || line.ends_with(b")"),
        Said::Trigger(_) | Said::Counter(..) | Said::Summary(_) => !said.is_cut(line),
        Said::MemInfo | Said::Total(..) | Said::Group(_) => true,
        _ => false,
    }
}

/// Is the text one message from end to end, of which `front` was read in its first part? A path may
/// hold the words of any message: of two readings of a line with a path the longer one is right.
fn is_one(front: &Said, text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let one = |hold| match said::kernel(text, hold, &mut Vec::new()) {
        Some(Said::Summary(s)) => s.summary.pid.is_some() && s.summary.uid.is_some(),
        Some(Said::Group(_)) => {
            text.ends_with(b" are going to be killed due to memory.oom.group set")
        }
        // A name with a line end in it, each byte of which may be written out.
        Some(Said::Trigger(t)) if *front == Said::MemInfo => {
            t.comm.is_some_and(|comm| comm.len() <= NAME_BYTES)
        }
        Some(Said::TaskIn { .. } | Said::Stats { .. } | Said::Cpuset { .. }) => true,
        _ => false,
    };
    one(Hold::Whole) || (matches!(front, Said::Summary(_) | Said::Group(_)) && one(Hold::Loose))
}

/// What a message begins with that often follows another: prepared once, looked for in each line.
static HEADS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    [
        "oom_reaper: ",
        "Memory cgroup out of memory: ",
        "Out of memory: ",
        "oom-kill:constraint=",
        "Tasks in /",
        "Killed process ",
    ]
    .map(Finder::new)
});

/// Where a second message begins in a text that lost a line end: the end of the first and the
/// beginning of the second, behind whatever envelope it has. The kernel's own transport loses none.
pub(crate) fn seam(text: &[u8], origin: Origin) -> Option<(usize, usize)> {
    if origin == Origin::Kernel || text.len() > SEAM_BYTES {
        return None;
    }
    let mut places: Vec<(usize, usize)> = HEADS
        .iter()
        .flat_map(|head| head.find_iter(text).map(|at| (at, at)))
        .chain(stamps(text))
        .filter(|(at, _)| *at > 0)
        .collect();
    places.sort_unstable();
    let (front, seam) = places.into_iter().take(SEAMS).find_map(|(at, next)| {
        let left = without_date(text.get(..at)?).trim_ascii_end();
        // What stands between the two is neither's: then somebody quotes the second.
        left.last().filter(|b| b.is_ascii_alphanumeric() || **b == b')')?;
        let mut odd = Vec::new();
        let said = said::kernel(left, Hold::Loose, &mut odd)?;
        (odd.is_empty() && is_whole(&said, left)).then_some((said, (left.len(), next)))
    })?;
    (!is_one(&front, text)).then_some(seam)
}

/// `[12345.678901] ` anywhere: where each begins and ends.
fn stamps(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    memchr::memchr_iter(b'[', text).filter_map(|at| {
        let inside = text.get(at + 1..)?;
        let inner = inside.trim_ascii_start();
        let (_, rest) = scan::number(inner)?;
        let (_, rest) = scan::number(rest.strip_prefix(b".")?)?;
        let rest = rest.strip_prefix(b"] ")?;
        Some((at, text.len() - rest.len()))
    })
}

/// Without the `Jan 12 10:00:00 host kernel:` of the next line's envelope at its end.
fn without_date(text: &[u8]) -> &[u8] {
    /// The longest such envelope: a date and a host name.
    const ENVELOPE_BYTES: usize = 100;
    const MONTHS: [&[u8]; 12] = [
        b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
        b"Nov ", b"Dec ",
    ];
    if !text.trim_ascii_end().ends_with(b"kernel:") {
        return text;
    }
    let from = text.len().saturating_sub(ENVELOPE_BYTES);
    let end = text.get(from..).unwrap_or_default();
    let at = MONTHS.iter().filter_map(|month| memchr::memmem::rfind(end, month)).max();
    at.and_then(|at| text.get(..from + at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, stamped: bool) -> LogLine<'_> {
        LogLine {
            number: 1,
            text: text.as_bytes(),
            raw: text.as_bytes(),
            wall: None,
            boot: stamped.then(|| BootTime::from_micros(5)),
            seq: None,
            ident: None,
            continues: false,
            origin: Origin::Unsaid,
            caller: None,
            journal: None,
        }
    }

    fn joined(lines: &[&str]) -> Option<String> {
        let columns =
            table::header(b"[ pid ] uid tgid total_vm rss nr_ptes swapents oom_score_adj name");
        let mut held = hold(&line(lines[0], true), columns.as_ref())?;
        for next in &lines[1..] {
            held = join(&held, &line(next, false), columns.as_ref())?;
        }
        Some(String::from_utf8(held.text).unwrap())
    }

    #[test]
    fn wrapped_lines_are_put_together() {
        for (lines, want) in [
            (
                &[
                    "Out of memory: Killed process 7 (x) total-vm:8kB,",
                    "anon-rss:4kB, file-rss:0kB",
                ][..],
                "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
            ),
            (
                &["Out of memory: Killed process 7 (x) total-vm:12", "34kB, anon-rss:4kB"],
                "Out of memory: Killed process 7 (x) total-vm:1234kB, anon-rss:4kB",
            ),
            (
                &["Memory cgroup out of memory: Kill", "process 7 (x) score 9 or sacrifice child"],
                "Memory cgroup out of memory: Kill process 7 (x) score 9 or sacrifice child",
            ),
            (
                &["x invoked oom-killer: gfp_mask=0xd0,", "order=0,", "oom_score_adj=0"],
                "x invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0",
            ),
            (
                &[
                    "[  390]     0   390    39012     67",
                    "39      78       51             0 systemd-journal",
                ],
                "[  390]     0   390    39012     6739      78       51             0 systemd-journal",
            ),
            (
                &[
                    "[  390]     0   390    39012",
                    "6739      78       51             0 systemd-journal",
                ],
                "[  390]     0   390    39012 6739      78       51             0 systemd-journal",
            ),
            (
                &[
                    "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/abc",
                    "def",
                    ",task_memcg=/abcdef,task=x,pid=7,uid=0",
                ],
                "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/abcdef,task_memcg=/abcdef,task=x,pid=7,uid=0",
            ),
        ] {
            assert_eq!(joined(lines).as_deref(), Some(want));
        }
    }

    #[test]
    fn lines_that_stand_alone_stay_alone() {
        for lines in [
            ["Out of memory: Killed process 7 (x)", "Mem-Info:"],
            ["Out of memory: Killed process 7 (x)", "hello"],
            ["x invoked oom-killer: gfp_mask=0xd0", "y invoked oom-killer: gfp_mask=0xd0, order=0"],
        ] {
            assert_eq!(joined(&lines), None);
        }
        assert!(hold(&line("usb 1-1: new", true), None).is_none());
    }

    #[test]
    fn torn_lists_are_put_together_whoever_vouches_for_them() {
        let lines = ["Node 0", "DMA:", "1*4kB", "(U)", "0*8kB", "= 4kB"];
        assert_eq!(joined(&lines).as_deref(), Some("Node 0 DMA: 1*4kB (U) 0*8kB = 4kB"));
        assert_eq!(
            joined(&["lowmem_reserve[]:", "0", "12"]).as_deref(),
            Some("lowmem_reserve[]: 0 12")
        );
    }

    #[test]
    fn seams_are_found_where_the_first_message_is_whole() {
        let kill = "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB";
        for next in [
            "oom_reaper: reaped process 7 (x), now anon-rss:0kB",
            "[   12.5] oom_reaper: reaped process 7 (x)",
            "Jan 12 10:00:00 host kernel: [   12.5] oom_reaper: reaped process 7 (x)",
        ] {
            let text = format!("{kill}{next}");
            let (end, begin) = seam(text.as_bytes(), Origin::Unsaid).unwrap();
            assert_eq!(&text.as_bytes()[..end], kill.as_bytes());
            assert!(text.as_bytes()[begin..].starts_with(b"oom_reaper"), "{next}");
        }
        assert_eq!(seam(kill.as_bytes(), Origin::Unsaid), None);
        let name = "Out of memory: Killed process 7 (oom_reaper: x) total-vm:8kB, file-rss:0kB";
        assert_eq!(seam(name.as_bytes(), Origin::Unsaid), None);
        let quoted =
            format!("{kill} # Out of memory: Killed process 9 (y) total-vm:8kB, file-rss:0kB");
        assert_eq!(seam(quoted.as_bytes(), Origin::Unsaid), None);
        let path = "Tasks in /a Out of memory: Killed process 1 (x) are going to be killed";
        assert_eq!(seam(path.as_bytes(), Origin::Unsaid), None);
    }

    #[test]
    fn a_line_end_in_a_name_makes_no_second_line() {
        let parts = |text: &'static str, origin| Record::of(text.as_bytes(), origin).count();
        assert_eq!(parts("active_anon:1 inactive_anon:2\n free:3", Origin::Kernel), 2);
        assert_eq!(parts("anon 1\\x0afile 2#012shmem 3", Origin::Kernel), 3);
        let name = "Out of memory: Killed process 7 (a\nb) total-vm:8kB";
        assert_eq!(parts(name, Origin::Unsaid), 1);
        let two = "Mem-Info:\nactive_anon:1";
        assert_eq!((parts(two, Origin::Kernel), parts(two, Origin::Unsaid)), (1, 2));
    }

    #[test]
    fn so_many_lines_are_one_message_at_most() {
        let front = "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a";
        let mut held = hold(&line(front, true), None).unwrap();
        for _ in 1..JOINED_LINES {
            held = join(&held, &line("b", false), None).unwrap();
        }
        assert!(join(&held, &line("b", false), None).is_none());
    }

    #[test]
    fn no_seam_is_in_a_message_that_is_whole_itself() {
        let kill = "Out of memory: Killed process 1 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB";
        let summary = "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task=t,pid=3,uid=0";
        let whole = format!("{summary}{kill},task_memcg=/b,task=app,pid=77,uid=5");
        let two = format!("{summary}{kill}");
        assert_eq!(seam(whole.as_bytes(), Origin::Unsaid), None);
        assert_eq!(seam(two.as_bytes(), Origin::Kernel), None);
        assert_eq!(seam(two.as_bytes(), Origin::Unsaid), Some((summary.len(), summary.len())));
        let record = whole.replace(kill, &format!("#012{kill}"));
        assert_eq!(Record::of(record.as_bytes(), Origin::Unsaid).count(), 1);
    }
}
