//! Around the deaths: the table of them, and what to say when there are none.

use anstyle::Style;
use highwater_core::evidence::Claim;
use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::death::Outline;
use highwater_diagnose::inquest::Verdict;

use super::death::evidence;
use super::paint::{BOLD, DIM, Page, YELLOW, put};
use super::wrap;
use crate::cmd::target::bare;

/// The most rows of the table of deaths.
pub(crate) const ROWS: usize = 12;

/// The narrowest column of causes, the widest where there is room, and on 80 columns.
const CAUSE: std::ops::RangeInclusive<usize> = 9..=19;
const CAUSE_ON_80: usize = 14;

/// The column of pids.
const PID: usize = 7;

/// A page is narrow below this, and wide from that on.
const NARROW: usize = 72;
const WIDE: usize = 96;

/// A death in one line.
#[derive(Debug, Default)]
pub(crate) struct Row {
    when: String,
    pid: String,
    name: String,
    held: Option<Bytes>,
    cause: &'static str,
    owner: String,
}

impl Row {
    /// As a report tells it; whose it is the witnesses know better.
    pub(crate) fn of_outline(death: &Outline<'_>, told: Option<&Verdict>) -> Self {
        let victim = death.victim;
        let cause = death.cause.as_str();
        let cgroup = death.limit_owner.as_deref().or(death.task_cgroup.as_deref());
        let owner = told.and_then(|told| told.who.owner.as_ref());
        let named = owner.filter(|owner| !matches!(owner, Owner::Cgroup(_) | Owner::Machine));
        Self {
            when: when(death.time, death.boot),
            pid: victim.and_then(|kill| kill.pid).map_or("–".to_owned(), |pid| pid.to_string()),
            name: victim.and_then(|kill| kill.comm.clone()).unwrap_or("–".to_owned()),
            held: victim.and_then(|kill| kill.anon_rss.or(kill.rss)),
            cause: cause.strip_prefix("kernel-oom-").unwrap_or(cause),
            owner: named.map_or_else(|| of_path(cgroup), bare),
        }
    }

    /// As its witnesses do.
    pub(crate) fn of_verdict(verdict: &Verdict) -> Self {
        let who = &verdict.who;
        let cause = verdict.cause.as_str();
        let path = who.cgroup.as_ref().map(CgroupPath::as_str);
        let named = who.owner.as_ref().filter(|owner| !matches!(owner, Owner::Machine));
        Self {
            when: when(verdict.wall, verdict.boot),
            pid: who.pid.map_or("–".to_owned(), |pid| pid.to_string()),
            name: who.comm.clone().unwrap_or("–".to_owned()),
            held: None,
            cause: cause.strip_prefix("kernel-oom-").unwrap_or(cause),
            owner: named.map_or_else(|| of_path(path), bare),
        }
    }
}

/// Whose the cgroup at `path` is; that it is of the machine as a whole says nothing.
fn of_path(path: Option<&str>) -> String {
    match path {
        None | Some("/") => "–".to_owned(),
        Some(path) => bare(&Owner::of_path(path)),
    }
}

fn when(time: Option<WallTime>, boot: Option<BootTime>) -> String {
    match (time, boot) {
        (Some(time), _) => time.to_string().chars().take(19).collect::<String>().replace('T', " "),
        (None, Some(boot)) => format!("boot + {:.3} s", boot.seconds()),
        (None, None) => "unknown".to_owned(),
    }
}

/// The deaths, the newest first; there are `all` of them.
pub(crate) fn table(page: Page, rows: &[Row], all: usize) -> String {
    let columns = Columns::of(page, rows);
    let mut out = Page::paint(BOLD, &format!("{all} deaths, the newest first")) + "\n";
    let titles = columns.line("when (UTC)", "pid", "name", "held", "cause", "owner");
    put(&mut out, &format!("{}\n", Page::paint(DIM, &titles)));
    for Row { when, pid, name, held, cause, owner } in rows {
        let held = held.map_or("–".to_owned(), |held| held.to_string());
        let line = columns.line(when, pid, name, &held, cause, owner);
        put(&mut out, &format!("{line}\n"));
    }
    if all > rows.len() {
        put(&mut out, &format!("  and {} earlier ones (--json has all)\n", all - rows.len()));
    }
    out + "\n"
}

/// How wide the columns are that are not the same on every page.
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// Of a date: without its year where there is little room.
    when: usize,
    name: usize,
    /// `None` where no death has a figure.
    held: Option<usize>,
    cause: usize,
    owner: usize,
}

impl Columns {
    fn of(page: Page, rows: &[Row]) -> Self {
        let longest = rows.iter().map(|row| row.cause.len()).max().unwrap_or_default();
        let is_narrow = page.width < NARROW;
        let widest = if page.width >= WIDE { *CAUSE.end() } else { CAUSE_ON_80 };
        let cause = longest.clamp(*CAUSE.start(), widest);
        let (when, name) = if is_narrow { (14, 10) } else { (19, 15) };
        let held = rows.iter().any(|row| row.held.is_some()).then_some(8).filter(|_| !is_narrow);
        let taken = 2 + when + 1 + PID + 1 + name + held.map_or(0, |held| 1 + held) + 1 + cause + 1;
        Self { when, name, held, cause, owner: page.width.saturating_sub(taken) }
    }

    fn line(
        &self,
        when: &str,
        pid: &str,
        name: &str,
        held: &str,
        cause: &str,
        owner: &str,
    ) -> String {
        // The year goes first; what comes after boot has none.
        let when = when.get(5..).filter(|_| self.when < 19 && when.len() == 19).unwrap_or(when);
        let held = self.held.map_or(String::new(), |room| format!(" {}", wrap::right(held, room)));
        let text = format!(
            "  {} {} {}{held} {} {}",
            wrap::left(when, self.when),
            wrap::right(pid, PID),
            wrap::left(name, self.name),
            wrap::left(cause, self.cause),
            wrap::shortened(owner, self.owner),
        );
        text.trim_end().to_owned()
    }
}

/// What the deaths have in common, before the newest is explained.
pub(crate) fn repeats(page: Page, claims: &[Claim]) -> String {
    if claims.is_empty() {
        return String::new();
    }
    let mut out = Page::paint(BOLD, "Again and again") + "\n";
    for claim in claims {
        out += &page.item("  • ", &claim.text, Style::new());
        out += &evidence(page, &claim.evidence);
    }
    out + "\n"
}

/// What a log without a death is.
pub(crate) fn empty_log(source: &str, lines: usize, is_binary: bool) -> String {
    let counted = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    if is_binary {
        return format!("{source} looks like a binary file: {counted} read, no OOM report.");
    }
    format!("No OOM report in {source} ({counted} read).")
}

/// A log without a death, and what it tells all the same.
pub(crate) fn nothing_in_log(page: Page, answer: &str, notes: &[Claim]) -> String {
    let mut out = page.item("", answer, BOLD);
    for note in notes {
        out += &page.item("  • ", &note.text, Style::new());
        out += &evidence(page, &note.evidence);
    }
    out += "\n";
    out + &page.item(
        "",
        "The kernel's own words are needed: journalctl -k --since -1d | highwater why - (or dmesg -T in place of journalctl). Without a file, highwater why looks into what this machine has recorded.",
        DIM,
    )
}

/// Nobody in this log has that name.
pub(crate) fn nobody_in_log(name: &str, source: &str) -> String {
    let name = highwater_core::text::escape(name.as_bytes());
    format!("{source} tells of deaths, but none of {name}.")
}

/// Nobody on record has that name.
pub(crate) fn nobody(name: &str) -> Vec<String> {
    // A number may be that of a process that died.
    let is_pid = name.bytes().all(|b| b.is_ascii_digit());
    let file = if is_pid { "" } else { ", and there is no such file" };
    let name = highwater_core::text::escape(name.as_bytes());
    vec![
        format!("No death of {}{name} is on record{file}.", if is_pid { "pid " } else { "" }),
        "TARGET may be a pid, a process name, a unit, a container's id or name, a cgroup's path, or a log file. highwater why lists all deaths.".to_owned(),
    ]
}

/// An answer without a death: the first sentence, and what belongs to it.
pub(crate) fn statement(page: Page, said: &[String]) -> String {
    let styles = [BOLD].into_iter().chain(std::iter::repeat(DIM));
    said.iter().zip(styles).map(|(text, style)| page.item("", text, style)).collect()
}

/// What stands in the way of a complete answer.
pub(crate) fn remarks(page: Page, remarks: &[String]) -> String {
    let mut out = String::new();
    for remark in remarks {
        out += &page.item("! ", remark, YELLOW);
    }
    if !out.is_empty() {
        out += "\n";
    }
    out
}
