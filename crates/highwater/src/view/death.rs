//! One death on a page: the sentence, why, of what, who, how it grew, what next.

use anstyle::Style;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::time::Span;
use highwater_core::units::Bytes;
use highwater_diagnose::death::{
    Cause, Confidence, Diagnosis, Growth, Kind, Makeup, Part, RankedTask,
};

use super::draw;
use super::paint::{BLUE, BOLD, DIM, GREEN, HEAD, Page, RED, YELLOW, put};
use super::wrap;

/// So many claims are shown, and always the one that lists what is unknown: the answer should fit
/// on a screen and a half.
const CLAIMS: usize = 8;
/// The likeliest victims.
const TASKS: usize = 5;
/// Recorded curves.
const CURVES: usize = 4;
/// What looks odd in a log.
const ODDITIES: usize = 6;

/// The page.
pub(crate) fn page(page: Page, diagnosis: &Diagnosis) -> String {
    let mut out = page.item("", &diagnosis.summary, BOLD);
    out += &line(page, diagnosis);
    out += &claims(page, &diagnosis.claims);
    out += &diagnosis.makeup.as_ref().map(|found| makeup(page, found)).unwrap_or_default();
    out += &tasks(page, &diagnosis.tasks);
    out += &growth(page, diagnosis);
    out += &next(page, diagnosis);
    out += &oddities(page, &diagnosis.oddities);
    out
}

/// When, what kind, how sure: in one dim line.
fn line(page: Page, diagnosis: &Diagnosis) -> String {
    let mut facts = Vec::new();
    facts.extend(diagnosis.time.map(|time| time.to_string()));
    facts.extend(diagnosis.boot.map(|boot| format!("{:.3} s after boot", boot.seconds())));
    let cause = diagnosis.cause.as_str();
    facts.push(if diagnosis.cause == Cause::Unknown {
        format!("cause {cause}")
    } else {
        cause.to_owned()
    });
    if diagnosis.confidence != Confidence::Unknown {
        facts.push(diagnosis.confidence.name().to_owned());
    }
    page.item("", &facts.join(" · "), DIM)
}

fn claims(page: Page, all: &[Claim]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut out = page.head("Why", "");
    let (known, unknown): (Vec<_>, Vec<_>) =
        all.iter().partition(|claim| !claim.evidence.is_empty());
    for claim in known.iter().take(CLAIMS) {
        out += &page.item("  • ", &claim.text, Style::new());
        out += &evidence(page, &claim.evidence);
    }
    for claim in unknown {
        out += &page.item("  ? ", &claim.text, YELLOW);
    }
    out
}

/// The first piece of evidence, in one dim line.
pub(super) fn evidence(page: Page, all: &[Evidence]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let place = match first.line {
        Some(line) => format!("{}:{line}", file_name(&first.source)),
        None => first.source.clone(),
    };
    let more = match all.len() {
        1 => String::new(),
        count => format!("  (+{})", count - 1),
    };
    let room = page.width.saturating_sub(4 + wrap::width(&more));
    let text = wrap::cut(&format!("{place}  {}", first.text.trim()), room);
    format!("    {}\n", Page::paint(DIM, &(text + &more)))
}

/// A path's last part: the whole is in the JSON.
fn file_name(source: &str) -> &str {
    match source.rsplit_once('/') {
        Some((dir, name)) if dir != "/dev" => name,
        _ => source,
    }
}

fn makeup(page: Page, makeup: &Makeup) -> String {
    let about = format!("{}: {}", makeup.of, makeup.total);
    let mut out = page.head("What the memory was", &about);
    let mut parts: Vec<&Part> = makeup.parts.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.amount));
    // Slivers say nothing; a thousandth of the whole is the least that is worth a line.
    parts.retain(|part| part.amount.permille_of(makeup.total).is_none_or(|share| share.get() > 0));
    for part in parts.iter().take(7) {
        out += &bar_line(page, part, makeup.total);
    }
    out += &makeup.swap.as_ref().map(beside).unwrap_or_default();
    out
}

fn bar_line(page: Page, part: &Part, whole: Bytes) -> String {
    let room = page.width.saturating_sub(42).min(48);
    let share = part.amount.permille_of(whole).map_or(String::new(), |share| share.to_string());
    let style = match part.kind {
        Kind::Anon => RED,
        Kind::Free | Kind::PageCache | Kind::SlabReclaimable => GREEN,
        Kind::Unaccounted => DIM,
        _ => YELLOW,
    };
    format!(
        "  {} {} {} {}\n",
        wrap::left(part.kind.name(), 19),
        Page::paint(style, &draw::bar(part.amount, whole, room)),
        wrap::right(&part.amount.to_string(), 9),
        wrap::right(&share, 6),
    )
}

/// Swap is no part of the whole, so it has no bar.
fn beside(swap: &Part) -> String {
    format!("  {} {} besides\n", wrap::left(swap.kind.name(), 19), swap.amount)
}

fn tasks(page: Page, tasks: &[RankedTask]) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let about = format!("{} in the kernel's table, the first to die first", tasks.len());
    let mut out = page.head("Who could have died", &about);
    let head = row(&["rank", "pid", "name", "memory", "swap", "adj", "score ‰"].map(str::to_owned));
    put(&mut out, &format!("{}\n", Page::paint(DIM, &head)));
    let shown = tasks.iter().enumerate().filter(|(at, task)| *at < TASKS || task.killed);
    for (_, task) in shown.take(TASKS * 2) {
        let text = row(&[
            text(task.rank),
            task.pid.to_string(),
            task.comm.clone(),
            text(task.rss),
            task.swap
                .filter(|swap| *swap > Bytes::ZERO)
                .map(|swap| swap.to_string())
                .unwrap_or_default(),
            text(task.oom_score_adj),
            text(task.badness),
        ]);
        let shown = if task.killed { Page::paint(RED, &(text + "  killed")) } else { text };
        put(&mut out, &format!("{shown}\n"));
    }
    out
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn row(cells: &[String; 7]) -> String {
    let [rank, pid, name, memory, swap, adj, score] = cells;
    format!(
        "  {} {} {} {} {} {} {}",
        wrap::right(rank, 4),
        wrap::right(pid, 8),
        wrap::left(name, 18),
        wrap::right(memory, 9),
        wrap::right(swap, 9),
        wrap::right(adj, 6),
        wrap::right(score, 7),
    )
}

fn growth(page: Page, diagnosis: &Diagnosis) -> String {
    let Some(recorded) = diagnosis.recorded.filter(|_| !diagnosis.growth.is_empty()) else {
        return String::new();
    };
    let points = recorded.points;
    let span = Span(recorded.to.since(recorded.from));
    let about = format!("{points} recorded points in the last {span} before the death");
    let mut out = page.head("How it grew", &about);
    for curve in diagnosis.growth.iter().take(CURVES) {
        out += &curve_line(page, curve);
    }
    out
}

fn curve_line(page: Page, curve: &Growth) -> String {
    let value = |point: Option<&highwater_core::series::Point>| {
        point.map_or_else(String::new, |point| Bytes::from_f64(point.value).to_string())
    };
    let numbers = format!(
        "{} → {}, about {}",
        value(curve.points.first()),
        value(curve.points.last()),
        curve.rate()
    );
    let room = page.width.saturating_sub(4 + 14 + wrap::width(&numbers)).clamp(10, 40);
    format!(
        "  {}\n  {} {} {numbers}\n",
        wrap::cut(&curve.what, page.width.saturating_sub(2)),
        wrap::left(&curve.span(), 13),
        Page::paint(BLUE, &draw::sparkline(&curve.points, room)),
    )
}

fn next(page: Page, diagnosis: &Diagnosis) -> String {
    if diagnosis.advice.is_empty() {
        return String::new();
    }
    let mut out = page.head("What next", "");
    for advice in &diagnosis.advice {
        out += &page.item("  • ", &advice.text, Style::new());
        if let Some(command) = &advice.command {
            // Never wrapped: it is there to be copied.
            put(&mut out, &format!("      {}\n", Page::paint(HEAD, command)));
        }
    }
    out
}

fn oddities(page: Page, oddities: &[String]) -> String {
    if oddities.is_empty() {
        return String::new();
    }
    let mut out = page.head("Odd in this log", "");
    for odd in oddities.iter().take(ODDITIES) {
        out += &page.item("  • ", odd, DIM);
    }
    if let Some(more) = oddities.len().checked_sub(ODDITIES).filter(|more| *more > 0) {
        put(&mut out, &format!("    and {more} more (--json has all)\n"));
    }
    out
}
