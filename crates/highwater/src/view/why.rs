//! Around the deaths: the table of them, and what to say when there are none.

use anstyle::Style;
use highwater_core::evidence::Claim;
use highwater_core::units::Bytes;
use highwater_diagnose::death::Outline;
use highwater_diagnose::place;

use super::death::evidence;
use super::paint::{BOLD, DIM, Page, YELLOW, put};
use super::wrap;

/// The most rows of the table of deaths.
pub(crate) const ROWS: usize = 12;

/// The deaths, the newest first; there are `all` of them.
pub(crate) fn table(page: Page, rows: &[Outline<'_>], all: usize) -> String {
    let mut out = Page::paint(BOLD, &format!("{all} deaths, the newest first")) + "\n";
    let head = row(page, ["when (UTC)", "pid", "name", "held", "cause", "cgroup"]);
    put(&mut out, &format!("{}\n", Page::paint(DIM, &head)));
    for death in rows {
        put(&mut out, &format!("{}\n", line(page, death)));
    }
    if all > rows.len() {
        put(&mut out, &format!("  and {} earlier ones (--json has all)\n", all - rows.len()));
    }
    out + "\n"
}

fn line(page: Page, death: &Outline<'_>) -> String {
    let victim = death.victim;
    let when = match (death.time, death.boot) {
        (Some(time), _) => time.to_string().chars().take(19).collect::<String>().replace('T', " "),
        (None, Some(boot)) => format!("boot + {:.3} s", boot.seconds()),
        (None, None) => "unknown".to_owned(),
    };
    let held = victim.and_then(|kill| kill.anon_rss.or(kill.rss));
    let cause = death.cause.as_str();
    let cgroup = death.limit_owner.as_deref().or(death.task_cgroup.as_deref()).unwrap_or("–");
    row(
        page,
        [
            &when,
            &victim.and_then(|kill| kill.pid).map_or("–".to_owned(), |pid| pid.to_string()),
            victim.and_then(|kill| kill.comm.as_deref()).unwrap_or("–"),
            &held.map_or("–".to_owned(), |held: Bytes| held.to_string()),
            cause.strip_prefix("kernel-oom-").unwrap_or(cause),
            &place(cgroup),
        ],
    )
}

fn row(page: Page, cells: [&str; 6]) -> String {
    let [when, pid, name, held, cause, cgroup] = cells;
    let text = format!(
        "  {} {} {} {} {} {}",
        wrap::left(when, 19),
        wrap::right(pid, 7),
        wrap::left(name, 15),
        wrap::right(held, 8),
        wrap::left(cause, 9),
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
