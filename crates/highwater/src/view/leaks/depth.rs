//! One owner in depth: what grows of it, since when, and what else moved.

use std::time::Duration;

use anstyle::Style;
use highwater_core::growth::Verdict;
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::growth::{Ceiling, Growth, Inside, Item, Weighed, Whose};

use super::super::death::evidence;
use super::super::paint::{BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use super::super::{minute, plot};
use super::{line, row, sentence};

/// So many of its courses are told in full; the others are in the table.
const IN_FULL: usize = 3;

/// So many lives are listed.
const LIVES: usize = 12;

/// Everything that is known of one owner, or of the few that answer to a name.
pub(crate) fn owner(page: Page, growth: &Growth, within: &[(Whose, Vec<Inside>)]) -> String {
    let mut out = super::super::why::remarks(page, &growth.notes);
    let mut owners: Vec<&Whose> = Vec::new();
    for item in &growth.items {
        if !owners.contains(&&item.whose) {
            owners.push(&item.whose);
        }
    }
    let parts = owners.iter().map(|whose| {
        let items: Vec<&Item> = growth.items.iter().filter(|item| item.whose == **whose).collect();
        let found = within.iter().find(|(owner, _)| owner == *whose);
        one(page, &items, growth.at, found.map_or(&[], |(_, found)| found))
    });
    out += &parts.collect::<Vec<_>>().join(&page.rule());
    out
}

fn one(page: Page, items: &[&Item], at: WallTime, within: &[Inside]) -> String {
    let Some(first) = items.first() else { return String::new() };
    let leaks = items.iter().filter(|item| item.verdict == Verdict::Leak).count();
    let grows = items.iter().any(|item| item.verdict == Verdict::Growing);
    let (said, style) = match leaks {
        0 if grows => ("grows, and is not accused of a leak", YELLOW),
        0 => ("does not leak", GREEN),
        _ => ("leaks", RED),
    };
    let mut out = page.item("", &format!("{} {said}, as of {}", first.whose, minute(at)), style);
    let told: Vec<&&Item> = items.iter().filter(|item| item.is_news()).take(IN_FULL).collect();
    for item in &told {
        out += &course(page, item);
    }
    if let Some(item) = told.iter().find(|item| item.begins.len() > 1) {
        out += &lives(page, item, at);
    }
    if !within.is_empty() {
        out += &insides(page, within);
    }
    out += &page.head("All that it has", "what moved, and what did not");
    let titles = ["owner", "what", "kind", "rate", "sure", "since", "now", "limit", "left"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(page, titles))));
    for item in items {
        put(&mut out, &format!("{}\n", line(page, item, at)));
    }
    out
}

/// One course: its curve, what speaks for and against the verdict, and its root causes.
fn course(page: Page, item: &Item) -> String {
    let sure = format!("{}, sure to {:.0} %", item.verdict, item.confidence * 100.0);
    let mut out = page.head(item.resource.name(), &sure);
    out += &curve(page, item);
    for ground in &item.grounds {
        let (mark, style) =
            if ground.speaks_for { ("  + ", Style::new()) } else { ("  − ", DIM) };
        out += &page.item(mark, &sentence(&ground.claim.text), style);
        if ground.speaks_for && ground.claim.evidence.len() > 1 {
            out += &evidence(page, &ground.claim.evidence);
        }
    }
    let shared = item.grounds.first().map(|ground| ground.claim.evidence.as_slice());
    out += &evidence(page, shared.unwrap_or_default());
    out += &causes(page, &item.causes);
    out
}

fn curve(page: Page, item: &Item) -> String {
    let Some(frame) = plot::Frame::around(&item.curve) else { return String::new() };
    let mut out =
        plot::framed(page, &item.curve, (frame, Duration::MAX), &|value| item.unit.said(value));
    if let Some(bound) = item.bound.as_ref().filter(|bound| bound.ceiling != Ceiling::Machine) {
        let text = format!("limit {}", item.unit.said(bound.limit));
        put(&mut out, &format!("{}{}\n", " ".repeat(plot::SCALE + 1), Page::paint(DIM, &text)));
    }
    out
}

/// Each root cause, with what speaks for it and against it.
fn causes(page: Page, all: &[Weighed]) -> String {
    let mut out = page.item("  ", "Root causes, each weighed:", DIM);
    for weighed in all {
        let (said, style) = if weighed.holds { ("yes", BOLD) } else { ("no", DIM) };
        out += &page.item("  ? ", &format!("{}: {said}", weighed.cause.said()), style);
        let both = [("    for ", &weighed.pro), ("    against ", &weighed.contra)];
        for (mark, claims) in both {
            for claim in claims {
                out += &page.item(mark, &claim.text, style);
            }
        }
    }
    out
}

/// What grew inside it, by two readings.
fn insides(page: Page, all: &[Inside]) -> String {
    let mut out = page.head("Inside it", "what grew between the first and the last reading");
    for one in all {
        let (first, last) = (one.ends.0.value, one.ends.1.value);
        let text = format!(
            "{} (pid {}), {}: {} to {} (+{})",
            one.comm,
            one.pid,
            one.what,
            one.unit.said(first),
            one.unit.said(last),
            one.unit.said(one.rise()),
        );
        out += &page.item("  • ", &text, Style::new());
    }
    out
}

fn lives(page: Page, item: &Item, at: WallTime) -> String {
    let mut out =
        page.head("Its lives", "the newest first; highwater restarts tells why they ended");
    let ends = item.begins.iter().skip(1).copied().chain([at]);
    let all: Vec<(WallTime, WallTime)> = item.begins.iter().copied().zip(ends).collect();
    for (number, (begin, end)) in all.iter().rev().take(LIVES).enumerate() {
        let span = Span(end.since(*begin));
        let text = match number {
            0 => format!("  {}  up for {span}", minute(*begin)),
            _ => format!("  {}  lived {span}", minute(*begin)),
        };
        put(&mut out, &format!("{text}\n"));
    }
    if let Some(more) = all.len().checked_sub(LIVES).filter(|more| *more > 0) {
        put(&mut out, &format!("  and {more} earlier ones\n"));
    }
    out
}
