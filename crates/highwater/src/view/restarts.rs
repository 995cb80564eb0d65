//! The lives of services and containers: a list of all, or one of them in full.

use std::time::Duration;

use anstyle::Style;
use highwater_core::limit::Limit;
use highwater_core::testimony::Status;
use highwater_core::time::{Span, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::inquest::restarts::{Chapter, Story};

use super::death::evidence;
use super::draw;
use super::paint::{BLUE, BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use super::wrap;
use crate::cmd::target::bare;

/// So many owners are listed, and so many lives.
const OWNERS: usize = 30;
const LIVES: usize = 24;

/// So many curves are drawn, of the newest lives.
const CURVES: usize = 4;

/// What else the page says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    /// From when on.
    pub(crate) since: Option<WallTime>,
    /// The moment of asking.
    pub(crate) now: WallTime,
    /// How often programs look that may have missed it.
    pub(crate) scrapes: &'a [Duration],
}

/// All owners, the stormiest first.
pub(crate) fn list(page: Page, stories: &[Story], beside: Beside<'_>) -> String {
    let unwanted: usize = stories.iter().map(|story| story.unwanted().count()).sum();
    let stormy = stories.iter().filter(|story| !story.storms.is_empty()).count();
    let since = beside.since.map_or_else(String::new, |since| format!(" since {since}"));
    let head = format!(
        "{} on record{since}, {}, {} in a storm",
        counted(stories.len(), "owner"),
        counted(unwanted, "unwanted end"),
        counted(stormy, "owner")
    );
    let mut out = Page::paint(BOLD, &head) + "\n";
    let cells = ["owner", "unwanted", "storm", "restarts", "last end (UTC)", "why"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(page, cells))));
    for story in stories.iter().take(OWNERS) {
        let line = line(page, story);
        let style = match (story.storms.is_empty(), story.unwanted().count()) {
            (false, _) => RED,
            (true, 0) => Style::new(),
            _ => YELLOW,
        };
        put(&mut out, &format!("{}\n", Page::paint(style, &line)));
    }
    if let Some(more) = stories.len().checked_sub(OWNERS).filter(|more| *more > 0) {
        put(&mut out, &format!("  and {more} more (--json has all)\n"));
    }
    for story in stories.iter().filter(|story| !story.storms.is_empty()).take(CURVES) {
        out += "\n";
        out += &page.item("", &story.owner.to_string(), BOLD);
        out += &claims(page, story);
    }
    out
}

fn line(page: Page, story: &Story) -> String {
    let last = story.chapters.iter().rev().find(|one| one.ended.is_some());
    let worst = story.storms.iter().map(|one| one.ends).max();
    let dash = || "–".to_owned();
    row(
        page,
        [
            &bare(&story.owner),
            &story.unwanted().count().to_string(),
            &worst.map_or_else(dash, |ends| ends.to_string()),
            &story.starts_again().to_string(),
            &last.and_then(|one| one.ended).map_or_else(dash, moment),
            last.map_or("–", cause),
        ],
    )
}

fn row(page: Page, cells: [&str; 6]) -> String {
    let [owner, ends, storm, restarts, when, why] = cells;
    let name = page.width.saturating_sub(2 + 9 + 6 + 9 + 22 + 14).min(40);
    let text = format!(
        "  {}{}{}{}  {} {why}",
        wrap::left(owner, name),
        wrap::right(ends, 9),
        wrap::right(storm, 6),
        wrap::right(restarts, 9),
        wrap::left(when, 19),
    );
    wrap::cut(text.trim_end(), page.width)
}

/// One owner in full.
pub(crate) fn story(page: Page, story: &Story, beside: Beside<'_>) -> String {
    let mut out = page.item("", &headline(story, beside), BOLD);
    out += &claims(page, story);
    out += &lives(page, story, beside);
    out += &curves(page, story);
    out += &missed(page, story, beside);
    out
}

fn headline(story: &Story, beside: Beside<'_>) -> String {
    let unwanted = story.unwanted().count();
    let all = story.chapters.iter().filter(|one| one.ended.is_some()).count();
    let since = beside.since.map_or_else(String::new, |since| format!(" since {since}"));
    let state = match story.chapters.last() {
        Some(last) if last.ended.is_none() => {
            let up = last.started.map(|at| format!(" for {}", Span(beside.now.since(at))));
            format!("it has been up{}", up.unwrap_or_default())
        }
        _ if story.is_given_up => "it is down, and will not be started again".to_owned(),
        _ => "it is down".to_owned(),
    };
    let wanted = all - unwanted;
    let ended = match (unwanted, wanted) {
        (0, 0) => format!("did not end{since}"),
        (0, count) => format!("ended {}{since}, all of them wanted", times(count)),
        (count, 0) => format!("ended {} unwanted{since}", times(count)),
        (count, more) => {
            format!("ended {} unwanted{since} ({more} more were wanted)", times(count))
        }
    };
    // Where nobody wanted any of it, each end but the last had a start.
    let again = match story.starts_again() {
        0 => String::new(),
        _ if wanted == 0 => String::new(),
        count => format!(", and was started again {}", times(count)),
    };
    format!("{} {ended}{again}; {state}.", story.owner)
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

fn claims(page: Page, story: &Story) -> String {
    let mut out = String::new();
    for claim in &story.claims {
        out += &page.item("  • ", &claim.text, Style::new());
        out += &evidence(page, &claim.evidence);
    }
    out
}

fn lives(page: Page, story: &Story, beside: Beside<'_>) -> String {
    let all = story.chapters.len();
    let mut out = page.head("Its lives", "the newest first");
    let head = life_row(page, ["started (UTC)", "up", "down", "start", "peak", "end", "why"]);
    put(&mut out, &format!("{}\n", Page::paint(DIM, &head)));
    for one in story.chapters.iter().rev().take(LIVES) {
        let style = match (one.ended, one.is_unwanted()) {
            (None, _) => GREEN,
            (_, true) => Style::new(),
            (_, false) => DIM,
        };
        put(&mut out, &format!("{}\n", Page::paint(style, &life(page, one, beside))));
    }
    if all > LIVES {
        put(&mut out, &format!("  and {} earlier ones (--json has all)\n", all - LIVES));
    }
    out
}

fn life(page: Page, one: &Chapter, beside: Beside<'_>) -> String {
    let dash = || "–".to_owned();
    let up = match (one.ended, one.started) {
        (None, Some(started)) => Some(beside.now.since(started)),
        _ => one.uptime(),
    };
    let size = |amount: Option<Bytes>| amount.map_or_else(dash, |amount| amount.to_string());
    let end = match (one.memory.at_end, one.memory.limit) {
        (Some(held), Some(limit)) => match held.permille_of(limit) {
            Some(share) => format!("{held}/{share}"),
            None => held.to_string(),
        },
        (held, _) => size(held),
    };
    let before = format!("before {}", one.ended.map_or_else(dash, moment));
    life_row(
        page,
        [
            &one.started.map_or(before, moment),
            &up.map_or_else(dash, short),
            &one.down.map_or_else(dash, short),
            &size(one.memory.at_start),
            &size(one.memory.peak),
            &end.replace(' ', ""),
            &why(one),
        ],
    )
}

/// Two units are too wide for a column.
fn short(span: Duration) -> String {
    let text = Span(span).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn why(one: &Chapter) -> String {
    if one.ended.is_none() {
        return "up".to_owned();
    }
    let status = one.end.as_ref().and_then(|end| end.status).map(|status| match status {
        Status::Code(code) => format!(" ({code})"),
        Status::Signal { signal, .. } => format!(" ({signal})"),
    });
    format!("{}{}", cause(one), status.unwrap_or_default())
}

fn cause(one: &Chapter) -> &'static str {
    match (&one.end, one.ended) {
        (Some(end), _) => end.cause.as_str(),
        (None, Some(_)) => "unknown",
        (None, None) => "up",
    }
}

fn life_row(page: Page, cells: [&str; 7]) -> String {
    let [started, up, down, start, peak, end, why] = cells;
    let text = format!(
        "  {}{}{}{}{}{} {why}",
        wrap::left(started, 19),
        wrap::right(up, 7),
        wrap::right(down, 7),
        wrap::right(&start.replace(' ', ""), 8),
        wrap::right(&peak.replace(' ', ""), 8),
        wrap::right(end, 13),
    );
    wrap::cut(text.trim_end(), page.width)
}

fn curves(page: Page, story: &Story) -> String {
    let drawn: Vec<&Chapter> =
        story.chapters.iter().rev().filter(|one| one.memory.curve.len() > 2).take(CURVES).collect();
    if drawn.is_empty() {
        return String::new();
    }
    let limit = drawn.iter().find_map(|one| one.memory.limit).map(Limit::At);
    let about = limit.map_or_else(String::new, |limit| format!("limit {limit}"));
    let mut out = page.head("How it grew in each life", &about);
    let room = page.width.saturating_sub(2 + 20 + 20).min(60);
    for one in drawn {
        let when = one.started.map_or_else(|| "before".to_owned(), moment);
        let peak = one.memory.peak.map_or_else(String::new, |peak| format!("up to {peak}"));
        let curve = Page::paint(BLUE, &draw::sparkline(&one.memory.curve, room));
        put(&mut out, &format!("  {} {curve} {peak}\n", wrap::left(&when, 19)));
    }
    out
}

/// The chance that a program that polls saw none of it.
fn missed(page: Page, story: &Story, beside: Beside<'_>) -> String {
    let chances: Vec<(Duration, f64)> = (beside.scrapes.iter())
        .filter_map(|every| Some((*every, story.miss_chance(*every)?)))
        .collect();
    if chances.is_empty() {
        return String::new();
    }
    let mut out =
        page.head("Who could have missed it", "the chance that polling saw it down not once");
    for (every, chance) in chances {
        let name = format!("every {}", Span(every));
        let share = Bytes::from_f64(chance * 1_000_000.0);
        let bar = draw::bar(share, Bytes::new(1_000_000), 30);
        let bar = if chance > 0.0 { bar } else { " ".repeat(30) };
        let text = highwater_diagnose::inquest::restarts::percent(chance);
        put(
            &mut out,
            &format!("  {} {} {}\n", wrap::left(&name, 14), Page::paint(BLUE, &bar), text),
        );
    }
    out
}

fn moment(at: WallTime) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}

fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
