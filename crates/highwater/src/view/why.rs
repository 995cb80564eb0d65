//! Around the deaths: the table of them, and what to say when there are none.

use anstyle::Style;
use highwater_core::evidence::Claim;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::death::Outline;
use highwater_diagnose::inquest::Verdict;
use highwater_diagnose::place;

use super::death::evidence;
use super::paint::{BOLD, DIM, Page, YELLOW, put};
use super::wrap;

/// The most rows of the table of deaths.
pub(crate) const ROWS: usize = 12;

/// The narrowest column of causes, and the widest.
const CAUSE: std::ops::RangeInclusive<usize> = 9..=14;

/// A death in one line.
#[derive(Debug, Default)]
pub(crate) struct Row {
    when: String,
    pid: String,
    name: String,
    held: String,
    cause: &'static str,
    place: String,
}

impl Row {
    /// As a report tells it.
    pub(crate) fn of_outline(death: &Outline<'_>) -> Self {
        let victim = death.victim;
        let held = victim.and_then(|kill| kill.anon_rss.or(kill.rss));
        let cause = death.cause.as_str();
        let cgroup = death.limit_owner.as_deref().or(death.task_cgroup.as_deref());
        Self {
            when: when(death.time, death.boot),
            pid: victim.and_then(|kill| kill.pid).map_or("–".to_owned(), |pid| pid.to_string()),
            name: victim.and_then(|kill| kill.comm.clone()).unwrap_or("–".to_owned()),
            held: held.map_or("–".to_owned(), |held: Bytes| held.to_string()),
            cause: cause.strip_prefix("kernel-oom-").unwrap_or(cause),
            place: place(cgroup.unwrap_or("–")),
        }
    }

    /// As its witnesses do.
    pub(crate) fn of_verdict(verdict: &Verdict) -> Self {
        let who = &verdict.who;
        let cause = verdict.cause.as_str();
        let path = who.cgroup.as_ref().map(|path| place(path.as_str()));
        let owner = who.owner.as_ref().map(ToString::to_string);
        Self {
            when: when(verdict.wall, verdict.boot),
            pid: who.pid.map_or("–".to_owned(), |pid| pid.to_string()),
            name: who.comm.clone().unwrap_or("–".to_owned()),
            held: "–".to_owned(),
            cause: cause.strip_prefix("kernel-oom-").unwrap_or(cause),
            place: owner.or(path).unwrap_or("–".to_owned()),
        }
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
    let longest = rows.iter().map(|row| row.cause.len()).max().unwrap_or_default();
    let room = longest.clamp(*CAUSE.start(), *CAUSE.end());
    let mut out = Page::paint(BOLD, &format!("{all} deaths, the newest first")) + "\n";
    let head = row(page, room, ["when (UTC)", "pid", "name", "held", "cause", "cgroup"]);
    put(&mut out, &format!("{}\n", Page::paint(DIM, &head)));
    for Row { when, pid, name, held, cause, place } in rows {
        let line = row(page, room, [when, pid, name, held, cause, place]);
        put(&mut out, &format!("{line}\n"));
    }
    if all > rows.len() {
        put(&mut out, &format!("  and {} earlier ones (--json has all)\n", all - rows.len()));
    }
    out + "\n"
}

fn row(page: Page, room: usize, cells: [&str; 6]) -> String {
    let [when, pid, name, held, cause, cgroup] = cells;
    let text = format!(
        "  {} {} {} {} {} {}",
        wrap::left(when, 19),
        wrap::right(pid, 7),
        wrap::left(name, 15),
        wrap::right(held, 8),
        wrap::left(cause, room),
        cgroup,
    );
    wrap::cut(&text, page.width)
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
    let name = highwater_core::text::escape(name.as_bytes());
    vec![
        format!("No death of {name} is on record, and there is no such file."),
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
