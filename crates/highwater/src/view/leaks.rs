//! What grows: a ranked table of all, or one owner in depth.

mod depth;
mod mappings;

use std::time::Duration;

use anstyle::Style;
use highwater_core::growth::Verdict;
use highwater_core::time::WallTime;
use highwater_diagnose::growth::{Ceiling, Growth, Item, Unit};

use super::paint::{BLUE, BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use super::wrap;
use super::{draw, minute};

pub(crate) use depth::owner;
pub(crate) use mappings::mappings;

/// So many are listed.
const LISTED: usize = 40;

/// So many accusations get their main grounds told below the table.
const TOLD: usize = 3;

/// So many grounds of each.
const GROUNDS: usize = 4;

/// Columns of fixed width: verdict, kind, rate, sure, since, now, limit, left.
const WIDTHS: [usize; 8] = [11, 8, 11, 4, 6, 7, 7, 6];

/// Everything that grows, the most urgent first.
pub(crate) fn list(page: Page, growth: &Growth, all: bool) -> String {
    let shown: Vec<&Item> = growth.items.iter().filter(|item| all || item.is_news()).collect();
    let leaks = growth.items.iter().filter(|item| item.verdict == Verdict::Leak).count();
    let mut out = super::why::remarks(page, &growth.notes);
    out += &page.item("", &headline(growth, leaks), BOLD);
    if shown.is_empty() {
        let text =
            "Nothing grows: what is on record is steady, or goes up and down as it always has.";
        return out + &page.item("", text, GREEN);
    }
    let titles = ["owner", "what", "kind", "rate", "sure", "since", "now", "limit", "left"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(page, titles))));
    for item in shown.iter().take(LISTED) {
        put(&mut out, &format!("{}\n", line(page, item, growth.at)));
    }
    if let Some(more) = shown.len().checked_sub(LISTED).filter(|more| *more > 0) {
        put(&mut out, &format!("  and {more} more (--json has all)\n"));
    }
    let accused = shown.iter().filter(|item| item.verdict == Verdict::Leak);
    for item in accused.take(TOLD) {
        out += "\n";
        out += &page.item("", &format!("{}, {}", item.whose, item.resource), BOLD);
        for ground in item.grounds.iter().take(GROUNDS) {
            out += &page.item("  • ", &sentence(&ground.claim.text), Style::new());
        }
    }
    out
}

fn headline(growth: &Growth, leaks: usize) -> String {
    let judged = match growth.items.len() {
        1 => "1 course".to_owned(),
        count => format!("{count} courses"),
    };
    let accused = match leaks {
        0 => "no leak".to_owned(),
        1 => "1 leak".to_owned(),
        count => format!("{count} leaks"),
    };
    format!("{accused} in {judged} as of {}", minute(growth.at))
}

/// One item in a line, with its curve; on a narrow page the curve of what is news stands below it.
fn line(page: Page, item: &Item, at: WallTime) -> String {
    let dash = || "–".to_owned();
    let rate = item.rate.filter(|_| item.is_news()).map(|rate| rate.per_hour);
    let since = item.since.filter(|_| item.is_news());
    let cells = [
        called(item),
        item.verdict.name().to_owned(),
        item.resource.name().to_owned(),
        rate.map_or_else(dash, |rate| item.unit.rate(rate).replace(' ', "")),
        format!("{:.0}%", item.confidence * 100.0),
        since.map_or_else(dash, |since| short(at.since(since))),
        item.unit.said(item.current).replace(' ', ""),
        limit(item),
        item.left.map_or_else(dash, |left| short(left.likely)),
    ];
    let text = Page::paint(style(item), &row(page, cells.each_ref().map(String::as_str)));
    let is_drawn = !item.curve.is_empty();
    match curve_room(page) {
        0 if is_drawn && item.is_news() => format!("{text}\n{}", below(page, item)),
        room if is_drawn && room > 0 => {
            format!("{text} {}", Page::paint(BLUE, &draw::sparkline(&item.curve, room)))
        }
        _ => text,
    }
}

/// The curve, and what is behind it, in a line of its own.
fn below(page: Page, item: &Item) -> String {
    const ROOM: usize = 24;
    let curve = Page::paint(BLUE, &draw::sparkline(&item.curve, ROOM));
    let causes = item.causes.iter().filter(|weighed| weighed.holds);
    let causes: Vec<&str> = causes.map(|weighed| weighed.cause.said()).collect();
    let text = wrap::cut(&causes.join(", "), page.width.saturating_sub(ROOM + 3));
    if text.is_empty() {
        return format!("  {curve}");
    }
    format!("  {curve} {}", Page::paint(DIM, &text))
}

/// What it is called in a column.
fn called(item: &Item) -> String {
    let whose = &item.whose;
    let name = if whose.is_machine() { "machine" } else { whose.name.as_str() };
    match &whose.host {
        Some(host) => format!("{name} {host}"),
        None => name.to_owned(),
    }
}

/// The limit in a few characters: `none` where only the machine's memory ends it.
fn limit(item: &Item) -> String {
    match &item.bound {
        None => "–".to_owned(),
        Some(bound) if bound.ceiling == Ceiling::Machine => "none".to_owned(),
        Some(bound) if item.unit == Unit::Percent => format!("{:.0}%", bound.limit),
        Some(bound) => item.unit.said(bound.limit).replace(' ', ""),
    }
}

fn style(item: &Item) -> Style {
    match item.verdict {
        Verdict::Leak => RED,
        Verdict::Growing | Verdict::Burst => YELLOW,
        Verdict::Cache | Verdict::Steady | Verdict::Cyclic => DIM,
        Verdict::WarmUp | Verdict::LevelShift => Style::new(),
    }
}

/// What the fixed columns take, with a space before each.
fn fixed() -> usize {
    WIDTHS.iter().map(|width| width + 1).sum()
}

/// What is left for the name beside the curve.
fn name_room(page: Page) -> usize {
    let curve = match curve_room(page) {
        0 => 0,
        room => room + 1,
    };
    page.width.saturating_sub(fixed() + curve).clamp(10, 32)
}

/// The columns of a curve; none on a narrow page.
fn curve_room(page: Page) -> usize {
    /// A curve with fewer columns than this says nothing, a wider one no more.
    const CURVE: std::ops::RangeInclusive<usize> = 6..=20;
    let rest = page.width.saturating_sub(fixed() + 16);
    if rest < *CURVE.start() { 0 } else { rest.min(*CURVE.end()) }
}

fn row(page: Page, cells: [&str; 9]) -> String {
    let [name, verdict, kind, numbers @ ..] = cells;
    let [what, of, rates @ ..] = WIDTHS;
    let mut text = wrap::left(&wrap::shortened(name, name_room(page)), name_room(page));
    put(&mut text, &format!(" {} {}", wrap::left(verdict, what), wrap::left(kind, of)));
    for (cell, width) in numbers.iter().zip(rates) {
        put(&mut text, &format!(" {}", wrap::right(cell, width)));
    }
    text
}

/// A span in one unit, rounded: `46 h`, `15 d`.
fn short(span: Duration) -> String {
    /// Until so many seconds, in how many seconds, and what they are called.
    const UNITS: [(u64, u64, &str); 4] = [
        (120, 1, "s"),
        (2 * 3_600, 60, "min"),
        (48 * 3_600, 3_600, "h"),
        (1_000 * 86_400, 86_400, "d"),
    ];
    const YEAR: u64 = 31_557_600;
    let seconds = span.as_secs();
    let unit = UNITS.iter().find(|(most, ..)| seconds < *most);
    let (size, name) = unit.map_or((YEAR, "y"), |(_, size, name)| (*size, *name));
    format!("{} {name}", seconds.saturating_add(size / 2) / size)
}

/// A statement as a sentence. A name at its beginning stays as it is written.
fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first.chars().all(|c| c.is_ascii_lowercase() || c == ',');
    let mut chars = text.chars();
    match chars.next() {
        Some(letter) if is_word => letter.to_uppercase().chain(chars).chain(['.']).collect(),
        _ => format!("{text}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let said = |seconds| short(Duration::from_secs(seconds));
        assert_eq!(said(7), "7 s");
        assert_eq!(said(400), "7 min");
        assert_eq!(said(46 * 3600), "46 h");
        assert_eq!(said(47 * 3600 + 1799), "47 h");
        assert_eq!(said(15 * 86_400 - 3600), "15 d");
        assert_eq!(said(17_490 * 86_400), "48 y");
    }

    #[test]
    fn sentences_keep_names_as_they_are() {
        assert_eq!(sentence("it grows"), "It grows.");
        assert_eq!(sentence("nginx.service has no limit"), "nginx.service has no limit.");
        assert_eq!(sentence("/run/a b grows"), "/run/a b grows.");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn a_row_is_as_wide_as_the_page() {
        let cells = ["a".repeat(90), "x".repeat(40)];
        let [name, other] = cells.each_ref().map(String::as_str);
        for width in [60, 80, 100, 120] {
            let page = Page { width };
            let text = row(page, [name, other, other, other, other, other, other, other, other]);
            let curve = curve_room(page);
            assert!(
                wrap::width(&text) + curve + usize::from(curve > 0) <= width.max(78),
                "{width}"
            );
        }
    }
}
