//! A check-up on one screen of 80 columns and 24 lines.
//!
//! ```text
//! verdict                                                         1
//! three most urgent points, two lines each                      ≤ 6
//! memory, watermarks, swap, pressure, deaths, the recorder      ≤ 7
//! what grows                                                    ≤ 1
//! owners | processes side by side, with a head                  ≤ 7, one less for each of the last two
//! what has no limit                                               1
//! ```

#[cfg(test)]
mod tests;

use anstyle::Style;
use highwater_core::event::Finding as Grown;
use highwater_core::limit::Limit;
use highwater_core::time::Span;
use highwater_core::units::Bytes;
use highwater_diagnose::checkup::{Checkup, Finding, Holder, ProcessUse, Severity};
use highwater_diagnose::finding::rate;

use super::draw;
use super::paint::{BLUE, BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use super::wrap;

/// Rows of owners and processes.
const ROWS: usize = 6;

/// The page.
pub(crate) fn page(page: Page, checkup: &Checkup) -> String {
    let mut out = verdict(page, checkup);
    out += &checkup.urgent.iter().map(|finding| point(page, finding)).collect::<String>();
    out += "\n";
    out += &memory(page, checkup);
    out += "\n";
    out += &holders(page, checkup);
    out += &unlimited(page, checkup);
    out
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Ok => GREEN,
        Severity::Unknown => BLUE,
        Severity::Warning => YELLOW,
        Severity::Critical => RED,
    }
}

fn verdict(page: Page, checkup: &Checkup) -> String {
    let word = checkup.severity.name().to_uppercase();
    let up = Span(std::time::Duration::from_micros(checkup.up.micros()));
    let what = match (checkup.severity, checkup.urgent.is_empty()) {
        (Severity::Ok, true) => "memory is fine; nothing needs you",
        (Severity::Ok, false) => "memory is fine; worth knowing:",
        (Severity::Unknown, _) => "not everything could be read:",
        (Severity::Warning, _) => "look at this today:",
        (Severity::Critical, _) => "look at this now:",
    };
    let head = Page::paint(style(checkup.severity), &word);
    let facts = format!("up {up}, {} processes", checkup.process_count);
    let room = page.width.saturating_sub(word.len() + 1 + wrap::width(what));
    format!(
        "{head} {} {}\n",
        Page::paint(BOLD, what),
        Page::paint(DIM, &wrap::right(&facts, room.saturating_sub(1)))
    )
}

/// At most two lines, of which the end says what to do; long names are shortened, and whole in the
/// JSON. A command that names a directory is there to be copied, if need be on a third line.
fn point(page: Page, finding: &Finding) -> String {
    const LINES: usize = 2;
    let mark = Page::paint(style(finding.severity), "■");
    let room = page.width.saturating_sub(4);
    let text = finding.claim.text.as_str();
    let command = [
        ": highwater why --data-dir ",
        ": highwater agent --data-dir ",
        ": highwater restarts --data-dir ",
    ];
    let leaks = text.find(": highwater leaks ").filter(|_| text.contains(" --data-dir "));
    let at = command.iter().find_map(|command| text.find(command)).or(leaks);
    let at = at.map_or(text.len(), |at| at + 1);
    let (said, command) = text.split_at_checked(at).unwrap_or((text, ""));
    let mut lines = wrap::within(said, room, LINES);
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            // What to do stays, whatever has to go.
            let end = text.rfind(": highwater ").filter(|_| command.is_empty());
            let end = end.and_then(|at| text.get(at..)).unwrap_or_default();
            let kept = wrap::cut(last, room.saturating_sub(wrap::width(end) + 1));
            *last = format!("{}…{end}", kept.trim_end_matches('…'));
        }
    }
    match lines.last_mut() {
        Some(last) if wrap::width(last) + wrap::width(command) <= room => last.push_str(command),
        _ => lines.push(command.trim_start().to_owned()),
    }
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let before = if at == 0 { format!("  {mark} ") } else { "    ".to_owned() };
        put(&mut out, &format!("{before}{line}\n"));
    }
    out
}

fn memory(page: Page, checkup: &Checkup) -> String {
    let memory = &checkup.memory;
    let shown =
        |amount: Option<Bytes>| amount.map_or("unknown".to_owned(), |amount| amount.to_string());
    let total = memory.total.unwrap_or_default();
    // Beside the name, and `1023 MiB of 99.9 GiB available (100 %)`.
    let room = page.width.saturating_sub(13 + 1 + 40).min(40);
    let used = total.saturating_sub(memory.available.unwrap_or(total));
    let share = memory.available.and_then(|available| available.permille_of(total));
    let bar_style = match share {
        Some(share) if share.get() < 50 => RED,
        Some(share) if share.get() < 100 => YELLOW,
        _ => GREEN,
    };
    let mut out = format!(
        "  {} {} {} of {} available{}\n",
        wrap::left("memory", 10),
        Page::paint(bar_style, &track(used, total, room)),
        shown(memory.available),
        shown(memory.total),
        share.map_or(String::new(), |share| format!(" ({share})")),
    );
    out += &fact(
        page,
        "",
        &format!(
            "anon {} · cache {} · shared {} · kernel {}",
            shown(memory.anon),
            shown(memory.cache),
            shown(memory.shmem),
            shown(memory.kernel)
        ),
    );
    out += &fact(
        page,
        "watermarks",
        &format!(
            "free {}; reclaim starts at {}, kills at {}",
            shown(memory.free),
            shown(memory.low),
            shown(memory.min)
        ),
    );
    out += &fact(page, "swap", &swap(checkup));
    out += &fact(page, "pressure", &pressure(checkup));
    out += &fact(page, "deaths", &deaths(checkup));
    if let Some(recorder) = &checkup.recorder {
        out += &fact(page, "recorder", &recorder.state(checkup.at));
    }
    out += &grows(page, checkup);
    if !checkup.notes.is_empty() {
        out += &fact(page, "left out", &checkup.notes.join(" · "));
    }
    out
}

/// How many of those that grow are named, as far as there is room.
const GROWING: usize = 3;

/// The most of a name that is told beside another.
const GROWER_COLUMNS: usize = 18;

/// `collector anon 117 MiB/day, 15 d left · 3 more: highwater leaks`; nothing where nothing grows.
fn grows(page: Page, checkup: &Checkup) -> String {
    let found =
        checkup.growing.as_ref().map(|growing| growing.found.as_slice()).unwrap_or_default();
    let told: Vec<String> = found.iter().take(GROWING).map(growth).collect();
    let room = page.width.saturating_sub(13);
    let line = |named: usize| {
        let next = match found.len().saturating_sub(named) {
            0 => ": highwater leaks".to_owned(),
            more => format!(" · {more} more: highwater leaks"),
        };
        let all: Vec<&str> = told.iter().take(named).map(String::as_str).collect();
        (all.join(" · "), next)
    };
    let fits = |(all, next): &(String, String)| wrap::width(all) + wrap::width(next) <= room;
    let most = (1..=told.len()).rev().map(line).find(fits);
    match most.or_else(|| told.first().map(|_| line(1))) {
        None => String::new(),
        Some((all, next)) => {
            let kept = wrap::cut(&all, room.saturating_sub(wrap::width(&next)));
            fact(page, "grows", &format!("{kept}{next}"))
        }
    }
}

fn growth(found: &Grown) -> String {
    let name = wrap::cut(&found.owner.name, GROWER_COLUMNS);
    let rate = rate(found).map(|rate| format!(" {rate}")).unwrap_or_default();
    let left = found.left.map(|left| Span(std::time::Duration::from_secs(left.seconds)));
    let left = left.map(|left| format!(", {left} left")).unwrap_or_default();
    format!("{name} {}{rate}{left}", found.resource)
}

/// A bar on a track, so that what is left is seen too.
fn track(part: Bytes, whole: Bytes, room: usize) -> String {
    draw::bar(part, whole, room).replace(' ', "░")
}

fn fact(page: Page, name: &str, text: &str) -> String {
    let text = wrap::cut(text, page.width.saturating_sub(13));
    format!("  {} {text}\n", wrap::left(name, 10))
}

fn swap(checkup: &Checkup) -> String {
    match (checkup.memory.swap_total, checkup.memory.swap_free) {
        (Some(Bytes::ZERO), _) => "none".to_owned(),
        (Some(total), Some(free)) => format!("{} of {total} used", total.saturating_sub(free)),
        _ => "unknown".to_owned(),
    }
}

fn pressure(checkup: &Checkup) -> String {
    let Some(pressure) = checkup.pressure else {
        return "unknown, because this kernel has no /proc/pressure/memory".to_owned();
    };
    let stall = |stall: Option<highwater_core::frame::Stall>| match stall {
        Some(stall) => format!("{:.1}/{:.1}/{:.1} %", stall.avg10, stall.avg60, stall.avg300),
        None => "unknown".to_owned(),
    };
    format!("some {} · all {} (10 s/1 min/5 min)", stall(pressure.some), stall(pressure.full))
}

fn deaths(checkup: &Checkup) -> String {
    let count = checkup.kills_since_boot;
    let named = checkup.deaths.len();
    match (count, named) {
        (Some(0), 0) => "none since boot".to_owned(),
        (None, 0) => "unknown, because the kernel's count was not readable".to_owned(),
        (Some(count), 0) => {
            let gap = checkup.deaths_gap.as_deref();
            let why = gap.unwrap_or("the kernel's log no longer has them");
            format!("{count} since boot, unnamed: {why}")
        }
        (count, named) => {
            let count =
                count.map_or(named, |count| usize::try_from(count).unwrap_or(named).max(named));
            let last = checkup.deaths.last().map(|death| death.victim.as_str()).unwrap_or_default();
            format!("{count} since boot, {named} of them on record; the last: {last}")
        }
    }
}

fn is_growing(checkup: &Checkup) -> bool {
    checkup.growing.as_ref().is_some_and(|growing| !growing.found.is_empty())
}

/// Owners at the left, processes at the right.
fn holders(page: Page, checkup: &Checkup) -> String {
    let half = page.width.saturating_sub(5) / 2;
    // The lines about the recorder and what was left out take the places of some of these.
    let rows = ROWS
        .saturating_sub(usize::from(checkup.recorder.is_some()))
        .saturating_sub(usize::from(!checkup.notes.is_empty()))
        .saturating_sub(usize::from(is_growing(checkup)));
    let owners = column(
        half,
        "owners: anonymous, limit",
        checkup
            .owners
            .iter()
            .filter(|holder| holder.anon > Bytes::ZERO)
            .take(rows)
            .map(|holder| owner(holder, half)),
    );
    let processes = column(
        half,
        "processes: anonymous",
        checkup.processes.iter().take(rows).map(|process| process_row(process, half)),
    );
    let lines = owners.len().max(processes.len());
    let empty = " ".repeat(half);
    let mut out = String::new();
    for at in 0..lines {
        let left = owners.get(at).unwrap_or(&empty);
        let right = processes.get(at).unwrap_or(&empty);
        let text = format!("  {left}   {}", right.trim_end());
        let text = text.trim_end().to_owned();
        let shown = if at == 0 { Page::paint(DIM, &text) } else { text };
        put(&mut out, &format!("{shown}\n"));
    }
    out
}

fn column(half: usize, head: &str, rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = vec![wrap::left(head, half)];
    all.extend(rows);
    if all.len() == 1 {
        all.push(wrap::left("none to be seen", half));
    }
    all
}

fn owner(holder: &Holder, half: usize) -> String {
    let limit = match holder.limit {
        Some(Limit::At(limit)) => limit.to_string(),
        Some(Limit::Unlimited) => "no limit".to_owned(),
        None => "unknown".to_owned(),
    };
    let name = half.saturating_sub(9 + 10);
    format!(
        "{}{}{}",
        wrap::left(&holder.owner, name),
        wrap::right(&holder.anon.to_string(), 9),
        wrap::right(&limit, 10)
    )
}

fn process_row(process: &ProcessUse, half: usize) -> String {
    let name = half.saturating_sub(8 + 1 + 9);
    format!(
        "{} {}{}",
        wrap::right(&process.pid.to_string(), 8),
        wrap::left(&process.comm, name),
        wrap::right(&process.anon.to_string(), 9)
    )
}

fn unlimited(page: Page, checkup: &Checkup) -> String {
    if checkup.unlimited.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = checkup.unlimited.iter().map(|holder| holder.owner.as_str()).collect();
    let text = format!("no memory limit, and a tenth of the machine or more: {}", names.join(", "));
    format!("  {}\n", Page::paint(YELLOW, &wrap::cut(&text, page.width.saturating_sub(2))))
}
