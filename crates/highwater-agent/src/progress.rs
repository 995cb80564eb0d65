//! How far the kernel's messages are understood: lines in, deaths and a safe cursor out.
//!
//! Pure: moments are handed in. A kill line is a death at once, but its report goes on for a moment
//! (the reaper's line comes after it), so a death waits [`SETTLE`] for the rest.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use highwater_core::event::{Death, Event, Happening};
use highwater_core::id::Pid;
use highwater_core::line::{LogLine, RecordedLine};
use highwater_core::time::{BootId, BootTime, WallTime};
use highwater_oom::Assembler;
use highwater_oom::report::{Kill, LineNumber, OomReport, ReportLine};

/// How long a death waits for the rest of its report. A report is printed in one go; a tenth of a
/// second is many times what the slowest console takes for its last lines.
const SETTLE: Duration = Duration::from_millis(150);

/// A death whose report may not be over.
#[derive(Debug)]
struct Pending {
    kill_line: LineNumber,
    wall: WallTime,
    due: BootTime,
}

/// What is understood so far.
#[derive(Debug)]
pub(crate) struct Progress {
    boot: BootId,
    assembler: Assembler,
    pending: Vec<Pending>,
    /// The kill lines of the report in progress whose deaths were handed out.
    told: HashSet<LineNumber>,
    events: Vec<Event>,
    /// The last message read.
    last_seq: Option<u64>,
}

impl Progress {
    /// Goes on after the message `after`.
    pub(crate) fn new(boot: BootId, after: Option<u64>) -> Self {
        Self {
            boot,
            assembler: Assembler::new(),
            pending: Vec::new(),
            told: HashSet::new(),
            events: Vec::new(),
            last_seq: after,
        }
    }

    /// The last message read.
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// The message `seq` was read, whatever it says.
    pub(crate) fn pass(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(Some(seq));
    }

    /// Takes one message of the kernel, printed at `wall` and read at `now`.
    pub(crate) fn take(&mut self, line: &LogLine<'_>, wall: WallTime, now: BootTime) {
        let pushed = self.assembler.push(line);
        if let Some(report) = pushed.finished {
            self.finish(&report, wall);
        }
        let Some(report) = self.assembler.current() else { return };
        if pushed.new_kill
            && let Some(kill) = report.kills.last()
        {
            let settle = u64::try_from(SETTLE.as_micros()).unwrap_or(u64::MAX);
            let due = BootTime::from_micros(now.micros().saturating_add(settle));
            self.pending.push(Pending { kill_line: kill.line, wall, due });
        }
    }

    /// Something that is no death happened.
    pub(crate) fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    /// When the next pending death is due.
    pub(crate) fn due(&self) -> Option<BootTime> {
        self.pending.iter().map(|pending| pending.due).min()
    }

    /// The events that waited long enough by `now`, all of them with `all`; and up to where the
    /// messages are dealt with thereby.
    pub(crate) fn settled(&mut self, now: BootTime, all: bool) -> (Vec<Event>, Option<u64>) {
        if self.pending.iter().any(|pending| all || pending.due <= now) {
            let open: Vec<Once<'_>> = self.assembler.open().map(Once::of).collect();
            for pending in self.pending.drain(..) {
                let told = open.iter().find_map(|once| {
                    let kill = once.kills.get(&pending.kill_line)?;
                    Some(death(once, kill, pending.wall, self.boot))
                });
                self.events.extend(told.flatten());
                self.told.insert(pending.kill_line);
            }
        }
        // A report that goes on is read again from its first line after a restart. Of the kernel's
        // log, the number of a line is that of its message.
        let first = |report: &OomReport| report.lines.first().map(|line| line.number);
        let open =
            !self.pending.is_empty() || self.assembler.open().any(|report| report.kills.is_empty());
        let dealt_with = match self.assembler.open().filter_map(first).min() {
            Some(from) if open => from.checked_sub(1),
            _ => self.last_seq,
        };
        (std::mem::take(&mut self.events), dealt_with)
    }

    /// A report is over: also a death whose kill line was lost is known now.
    fn finish(&mut self, report: &OomReport, wall: WallTime) {
        let once = Once::of(report);
        let walls = self.pending.iter().map(|pending| (pending.kill_line, pending.wall));
        let walls: HashMap<LineNumber, WallTime> = walls.collect();
        for kill in report.kills.iter().filter(|kill| !self.told.contains(&kill.line)) {
            let wall = walls.get(&kill.line).copied().unwrap_or(wall);
            self.events.extend(death(&once, kill, wall, self.boot));
        }
        self.pending.retain(|pending| !once.kills.contains_key(&pending.kill_line));
        self.told.retain(|line| !once.kills.contains_key(line));
    }
}

/// A report, and where its kills and rows stand: looked up once for all of its deaths.
struct Once<'r> {
    report: &'r OomReport,
    /// By their lines.
    kills: HashMap<LineNumber, &'r Kill>,
    /// The lines that tell of no process alone: neither rows nor kill lines.
    common: Vec<&'r ReportLine>,
    /// The lines of a process's rows.
    rows: HashMap<Pid, Vec<LineNumber>>,
    /// The lines by their numbers.
    lines: HashMap<LineNumber, &'r ReportLine>,
}

impl<'r> Once<'r> {
    fn of(report: &'r OomReport) -> Self {
        let kills = report.kills.iter().rev().map(|kill| (kill.line, kill));
        let kills: HashMap<LineNumber, &Kill> = kills.collect();
        let mut rows: HashMap<Pid, Vec<LineNumber>> = HashMap::new();
        for row in &report.tasks.rows {
            rows.entry(row.pid).or_default().push(row.line);
        }
        let of_one: HashSet<LineNumber> =
            report.tasks.rows.iter().map(|row| row.line).chain(kills.keys().copied()).collect();
        let is_common = |line: &&ReportLine| !of_one.contains(&line.number);
        let common = report.lines.iter().filter(is_common).collect();
        let lines = report.lines.iter().rev().map(|line| (line.number, line)).collect();
        Self { report, kills, common, rows, lines }
    }
}

fn death(once: &Once<'_>, kill: &Kill, wall: WallTime, boot_id: BootId) -> Option<Event> {
    let lines = lines_of(once, kill);
    let kill_line = lines.iter().position(|line| line.number == kill.line)?;
    let what = Happening::Death(Death {
        pid: kill.pid?,
        comm: kill.comm.clone().unwrap_or_default(),
        lines: lines.into_iter().map(recorded).collect(),
        kill_line,
        known: None,
    });
    let key = format!("kmsg:{}", kill.line);
    Some(Event { wall, boot: kill.boot, boot_id, key, what })
}

/// The lines that tell of `kill`. The first death of a report keeps all of it; when a whole cgroup
/// is killed, the others do without the rows and kill lines of each other, or a thousand deaths
/// would keep a thousand tables.
fn lines_of<'r>(once: &Once<'r>, kill: &Kill) -> Vec<&'r ReportLine> {
    let report = once.report;
    if report.kills.first().is_some_and(|first| first.line == kill.line) {
        return report.lines.iter().collect();
    }
    let rows = kill.pid.and_then(|pid| once.rows.get(&pid)).into_iter().flatten();
    let own = rows.chain([&kill.line]).filter_map(|line| once.lines.get(line).copied());
    let mut lines: Vec<&ReportLine> = once.common.iter().copied().chain(own).collect();
    // The kernel numbers its messages in their order.
    lines.sort_by_key(|line| line.number);
    lines.dedup_by_key(|line| line.number);
    lines
}

fn recorded(line: &ReportLine) -> RecordedLine {
    RecordedLine { seq: Some(line.number), boot: line.boot, wall: None, text: line.text.clone() }
}

#[cfg(test)]
mod tests {
    use highwater_core::line::Origin;

    use super::*;

    const BOOT: &str = "3b1f7a520c2e4d689a1e1f2e3d4c5b6a";

    const REPORT: &[&str] = &[
        "leak invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "memory: usage 65536kB, limit 65536kB, failcnt 18",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        "[    731]     0   731    18764    16640   184320        0             0 leak",
        "[    732]     0   732    18764    16640   184320        0             0 leak",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
         oom_memcg=/batch,task_memcg=/batch,task=leak,pid=731,uid=0",
        "Memory cgroup out of memory: Killed process 731 (leak) total-vm:75056kB, \
         anon-rss:65280kB, file-rss:1280kB, shmem-rss:0kB, UID:0 pgtables:180kB oom_score_adj:0",
    ];

    fn progress(after: Option<u64>) -> Progress {
        Progress::new(BOOT.parse().unwrap(), after)
    }

    fn at(ms: u64) -> BootTime {
        BootTime::from_micros(ms * 1000)
    }

    fn feed(progress: &mut Progress, seq: u64, text: &str, ms: u64) {
        let line = LogLine {
            number: seq,
            text: text.as_bytes(),
            raw: text.as_bytes(),
            wall: None,
            boot: Some(at(ms)),
            seq: Some(seq),
            ident: Some(b"kernel"),
            continues: false,
            origin: Origin::Kernel,
            caller: None,
            journal: None,
        };
        progress.take(&line, WallTime::from_millis(ms.try_into().unwrap()), at(ms));
        progress.pass(seq);
    }

    fn pids(events: &[Event]) -> Vec<u32> {
        let pid = |event: &Event| match &event.what {
            Happening::Death(death) => Some(death.pid.get()),
            _ => None,
        };
        events.iter().filter_map(pid).collect()
    }

    #[test]
    fn a_death_waits_for_its_report_and_the_cursor_waits_with_it() {
        let mut progress = progress(Some(99));
        for (seq, text) in (100..).zip(REPORT) {
            feed(&mut progress, seq, text, 1000);
        }
        let (early, cursor) = progress.settled(at(1100), false);
        assert_eq!((pids(&early), cursor), (vec![], Some(99)));
        let (events, cursor) = progress.settled(at(1200), false);
        assert_eq!((pids(&events), cursor), (vec![731], Some(107)));
        assert_eq!(events[0].wall, WallTime::from_millis(1000));
        assert_eq!(events[0].key, "kmsg:107");
        assert_eq!(progress.settled(at(2000), true).0, vec![], "told once");
    }

    #[test]
    fn the_cursor_stays_before_a_report_that_is_half_printed() {
        let mut progress = progress(Some(99));
        for (seq, text) in (100..).zip(REPORT) {
            feed(&mut progress, seq, text, 1000);
        }
        for (seq, text) in (108..).zip(&REPORT[..3]) {
            feed(&mut progress, seq, text, 1300);
        }
        let (events, cursor) = progress.settled(at(1400), false);
        assert_eq!((pids(&events), cursor), (vec![731], Some(107)), "not into the second report");
    }

    #[test]
    fn the_others_of_a_group_do_without_each_others_rows() {
        let mut progress = progress(None);
        let group = "Tasks in /batch are going to be killed due to memory.oom.group set";
        let second = REPORT[7].replace("731", "732");
        let lines = REPORT.iter().copied().chain([group, second.as_str()]);
        for (seq, text) in (100..).zip(lines) {
            feed(&mut progress, seq, text, 1000);
        }
        let (events, _) = progress.settled(at(2000), false);
        assert_eq!(pids(&events), [731, 732]);
        let lines = |event: &Event| match &event.what {
            Happening::Death(death) => death.lines.clone(),
            _ => Vec::new(),
        };
        assert_eq!(lines(&events[0]).len(), 10);
        let second = lines(&events[1]);
        assert_eq!(second.len(), 8, "without row and kill line of 731: {second:?}");
        assert!(second.iter().all(|line| !line.text.starts_with("[    731]")));
    }
}
