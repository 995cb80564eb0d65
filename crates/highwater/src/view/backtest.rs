//! What rules would have done: a page, or a document.

mod document;

use std::time::Duration;

use anstyle::Style;
use highwater_alert::audit::{Reason, Why};
use highwater_alert::backtest::{Course, Incident, Life, Sort, Warning, warnings};
use highwater_core::series::Labels;
use highwater_core::text::escape;
use highwater_core::time::Span;

use super::minute;
use super::paint::{BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use crate::cmd::rules::backtest::{Outcome, downs};

pub(crate) use document::{Document, document};

/// So many incidents are shown, the newest, and so many alerts of a rule, the first.
const INCIDENTS: usize = 30;
const LIVES: usize = 4;

/// A text of somebody else is no longer than this.
const MOST: usize = 640;

/// All of it.
pub(crate) fn page(page: Page, outcome: &Outcome<'_>) -> String {
    let mut out = page.item("", &headline(outcome), BOLD);
    for note in &outcome.notes {
        out += &page.aside(note);
    }
    out += &happened(page, outcome);
    let fired = outcome.courses.iter().filter(|course| course.fired().next().is_some());
    let fired: Vec<&Course<'_>> = fired.collect();
    if !fired.is_empty() {
        out += &page.head("Fired", &counted(fired.len(), "rule"));
        for course in fired {
            out += &firing(page, course);
        }
    }
    out += &silent(page, outcome);
    out
}

fn headline(outcome: &Outcome<'_>) -> String {
    let period = outcome.period;
    let scrape = outcome.scrape.map(|every| format!(", as scraped every {}", Span(every)));
    format!(
        "{} over {}, {} to {}{}",
        counted(outcome.courses.len(), "alerting rule"),
        Span(period.to.since(period.from)),
        minute(period.from),
        minute(period.to),
        scrape.unwrap_or_default()
    )
}

/// What happened, and who warned of it.
fn happened(page: Page, outcome: &Outcome<'_>) -> String {
    let all = outcome.incidents.len();
    let mut out = page.head("What happened", &counted(all, "incident"));
    if all == 0 {
        out += &page.item("  ", "No death, restart or growth is on record.", Style::new());
    }
    if let Some(more) = all.checked_sub(INCIDENTS).filter(|more| *more > 0) {
        out += &page.item("  ", &format!("{more} earlier ones are in --json"), DIM);
    }
    for incident in outcome.incidents.iter().skip(all.saturating_sub(INCIDENTS)) {
        out += &page.item("  ", &told(incident), BOLD);
        if !incident.note.is_empty() {
            out += &page.item("    ", &shown(&incident.note), DIM);
        }
        let warned = warnings(incident, &outcome.courses);
        if warned.is_empty() {
            out += &page.item("    ", "no rule warned of it: see below why not", RED);
        }
        for warning in &warned {
            out += &page.item("    ", &warned_by(warning), style(warning));
        }
    }
    out
}

fn told(incident: &Incident) -> String {
    let owner = shown(&incident.owner);
    let (Some(first), Some(last)) = (incident.first(), incident.last()) else { return owner };
    let count = incident.moments.len();
    let down = downs(incident).map(|down| format!(", down for {down} at most")).unwrap_or_default();
    let when = match count {
        1 => format!("at {}", minute(first)),
        _ => format!("{count} times, {} to {}", minute(first), minute(last)),
    };
    match incident.sort {
        Sort::Death => format!("{owner} died {when}"),
        Sort::Restart => format!("{owner} restarted {when}{down}"),
        Sort::Growth => format!("{owner} grows, and reaches its limit at {}", minute(first)),
    }
}

fn warned_by(warning: &Warning<'_>) -> String {
    let name = shown(warning.course.name());
    let fired = warning.life.fired.map(minute).unwrap_or_default();
    match (warning.lead, warning.late) {
        (Some(lead), _) => format!("{name} warned {} before, at {fired}", Span(lead)),
        (None, Some(late)) => {
            format!("{name} fired {} after the first time, at {fired}", Span(late))
        }
        (None, None) => name,
    }
}

fn style(warning: &Warning<'_>) -> Style {
    if warning.lead.is_some_and(|lead| lead > Duration::ZERO) { GREEN } else { YELLOW }
}

/// A rule that fired: each alert.
fn firing(page: Page, course: &Course<'_>) -> String {
    let fired: Vec<&Life> = course.fired().collect();
    let pending = course.lives.len().saturating_sub(fired.len());
    let rest =
        if pending > 0 { format!(", {pending} more were only pending") } else { String::new() };
    let head = format!("{}  {}{rest}", shown(course.name()), counted(fired.len(), "alert"));
    let mut out = page.item("  ", &head, BOLD);
    for life in fired.iter().take(LIVES) {
        out += &page.item("    ", &lived(life), Style::new());
    }
    if let Some(more) = fired.len().checked_sub(LIVES).filter(|more| *more > 0) {
        out += &page.item("    ", &format!("and {more} more (--json has all)"), DIM);
    }
    out
}

fn lived(life: &Life) -> String {
    let end = match life.ended {
        Some(ended) => format!("to {}", minute(ended)),
        None => "and still at the end".to_owned(),
    };
    let fired = life.fired.map(minute).unwrap_or_default();
    format!("fired {fired} {end}, pending from {}, {}", minute(life.pending), whom(&life.labels))
}

/// Its labels without the name of the alert.
fn whom(labels: &Labels) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != "alertname");
    shown(&Labels::new(rest).to_string())
}

/// The rules that never fired, and why not.
fn silent(page: Page, outcome: &Outcome<'_>) -> String {
    let all = outcome.courses.iter().zip(&outcome.reasons);
    let silent = all.filter(|(course, _)| course.fired().next().is_none());
    let (blind, silent): (Vec<_>, Vec<_>) = silent.partition(|(_, reasons)| is_blind(reasons));
    let mut out = String::new();
    if !silent.is_empty() {
        out += &page.head("Never fired", &counted(silent.len(), "rule"));
    }
    for (course, reasons) in silent {
        let matched = course.lives.len().saturating_add(course.uncounted);
        let pending = match matched {
            0 => "never even pending".to_owned(),
            1 => "pending once".to_owned(),
            _ => format!("pending {matched} times"),
        };
        let place = format!("{}:{}", course.file, course.rule.place);
        out += &page.item("  ", &format!("{}  {pending}", shown(course.name())), BOLD);
        let expr = format!("{place}  {}", course.rule.query);
        out += &page.item("    ", &shown(&expr), DIM);
        out += &page_of(page, reasons);
    }
    if !blind.is_empty() {
        out += &page.head("Nothing to go by", &counted(blind.len(), "rule"));
    }
    for (course, reasons) in blind {
        let missing: Vec<&str> = reasons.iter().map(|one| one.claim.text.as_str()).collect();
        let text = format!("{}: {}", course.name(), missing.join("; "));
        out += &page.item("  ", &shown(&text), Style::new());
    }
    out
}

/// Whether all that is the matter is that what the rule asks for is not on record.
fn is_blind(reasons: &[Reason]) -> bool {
    !reasons.is_empty() && reasons.iter().all(|reason| reason.why == Why::NoSeries)
}

fn page_of(page: Page, reasons: &[Reason]) -> String {
    let mut out = String::new();
    if reasons.is_empty() {
        put(&mut out, &page.item("    ", "nobody can say why", Style::new()));
    }
    for reason in reasons {
        put(&mut out, &page.item("    - ", &shown(&reason.claim.text), Style::new()));
        for evidence in reason.claim.evidence.iter().take(1) {
            put(&mut out, &page.item("      ", &shown(&evidence.text), DIM));
        }
    }
    out
}

/// Names and labels come from machines: nothing of them moves the cursor.
fn shown(text: &str) -> String {
    let text = escape(text.as_bytes());
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
