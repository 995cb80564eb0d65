//! One death on a page: the sentence, why, of what, who, how it grew, what next.

use anstyle::Style;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::time::Span;
use highwater_core::units::Bytes;
use highwater_diagnose::death::{
    Advice, Cause, Confidence, Diagnosis, Ground, Growth, Kind, Makeup, Part, Reason, Recorded,
};
use highwater_oom::report::Trust;

use super::draw;
use super::paint::{BLUE, BOLD, DIM, GREEN, HEAD, Page, RED, YELLOW, put};
use super::{ranking, wrap, zones};

/// So many claims are shown, and always the one that lists what is unknown: the answer should fit
/// on a screen and a half.
const CLAIMS: usize = 10;
/// Recorded curves.
const CURVES: usize = 4;
/// What looks odd in a log.
const ODDITIES: usize = 6;

/// The page; what the witnesses add stands behind the report's reasons.
pub(crate) fn page(page: Page, diagnosis: &Diagnosis, witnesses: &str) -> String {
    let mut out = page.item("", &diagnosis.summary, BOLD);
    out += &line(page, diagnosis);
    out += &reasons(page, &diagnosis.grounds);
    out += &trust(page, diagnosis);
    out += &claims(page, &diagnosis.claims);
    out += witnesses;
    out += &diagnosis.makeup.as_ref().map(|found| makeup(page, found)).unwrap_or_default();
    out += &zones::table(page, diagnosis);
    out += &ranking::table(page, diagnosis);
    out += &curves(page, &diagnosis.growth, diagnosis.recorded);
    out += &next(page, &diagnosis.advice);
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
    match (diagnosis.confidence, diagnosis.trust) {
        (Confidence::Unknown, _) => {}
        (Confidence::Certain, Trust::AsPasted) => facts.push("as the pasted log says".to_owned()),
        (confidence, _) => facts.push(confidence.name().to_owned()),
    }
    page.item("", &facts.join(" · "), DIM)
}

/// Why it came to this: the primary reason, and what contributed.
fn reasons(page: Page, grounds: &[Ground]) -> String {
    let Some(primary) = grounds.first() else { return String::new() };
    if grounds.len() == 1 && primary.reason == Reason::Unknown {
        return String::new();
    }
    // What the log says goes without saying; only doubt is worth a word.
    let doubt = |ground: &Ground| match ground.confidence {
        Confidence::Certain | Confidence::Unknown => String::new(),
        confidence => format!(" ({})", confidence.name()),
    };
    let one = |ground: &Ground| format!("{}{}", ground.reason.words(), doubt(ground));
    let others: Vec<String> = grounds.iter().skip(1).map(one).collect();
    let also = match others.as_slice() {
        [] => String::new(),
        all => format!("; also: {}", all.join(", ")),
    };
    page.item("", &format!("Reason: {}{also}", one(primary)), Style::new())
}

/// What is pasted, anybody could have written.
fn trust(page: Page, diagnosis: &Diagnosis) -> String {
    if diagnosis.trust == Trust::Kernel {
        return String::new();
    }
    let writer = match diagnosis.cause {
        Cause::SystemdOomd | Cause::Earlyoom | Cause::Nohang | Cause::Oomd => {
            diagnosis.cause.as_str()
        }
        _ => "the kernel",
    };
    page.item("", &format!("As pasted: nobody vouches that {writer} wrote these lines."), DIM)
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
    // Slivers say nothing each; together they are what is missing to the whole.
    let is_sliver = |part: &Part| {
        part.amount.permille_of(makeup.total).is_some_and(|share| share.get() < SLIVER_PERMILLE)
    };
    let shown = parts.iter().take_while(|part| !is_sliver(part)).count().min(PARTS);
    let (shown, slivers) = parts.split_at_checked(shown).unwrap_or((&parts, &[]));
    for part in shown {
        out += &bar_line(page, part.kind.name(), style(part.kind), part.amount, makeup.total);
    }
    let rest: Bytes = slivers.iter().map(|part| part.amount).sum();
    if let [only] = slivers {
        out += &bar_line(page, only.kind.name(), style(only.kind), only.amount, makeup.total);
    } else if rest > Bytes::ZERO {
        let name = format!("{} smaller parts", slivers.len());
        out += &bar_line(page, &name, DIM, rest, makeup.total);
    }
    out += &makeup.swap.as_ref().map(beside).unwrap_or_default();
    out
}

/// The most parts that have a line of their own.
const PARTS: usize = 9;

/// Less than this share of the whole has none.
const SLIVER_PERMILLE: u32 = 1;

fn style(kind: Kind) -> Style {
    match kind {
        Kind::Anon => RED,
        Kind::Free
        | Kind::FreeCma
        | Kind::FreePerCpu
        | Kind::PageCache
        | Kind::SlabReclaimable
        | Kind::KernelReclaimable => GREEN,
        Kind::Unaccounted | Kind::Reserved => DIM,
        _ => YELLOW,
    }
}

fn bar_line(page: Page, name: &str, style: Style, amount: Bytes, whole: Bytes) -> String {
    let room = page.width.saturating_sub(42).min(48);
    let share = amount.permille_of(whole).map_or(String::new(), |share| share.to_string());
    format!(
        "  {} {} {} {}\n",
        wrap::left(name, 19),
        Page::paint(style, &draw::bar(amount, whole, room)),
        wrap::right(&amount.to_string(), 9),
        wrap::right(&share, 6),
    )
}

/// Swap is no part of the whole, so it has no bar.
fn beside(swap: &Part) -> String {
    format!("  {} {} besides\n", wrap::left(swap.kind.name(), 19), swap.amount)
}

/// Recorded curves up to the death.
pub(super) fn curves(page: Page, growth: &[Growth], recorded: Option<Recorded>) -> String {
    let Some(recorded) = recorded.filter(|_| !growth.is_empty()) else {
        return String::new();
    };
    let points = recorded.points;
    let span = Span(recorded.to.since(recorded.from));
    let about = format!("{points} recorded points in the last {span} before the death");
    let mut out = page.head("How it grew", &about);
    for curve in growth.iter().take(CURVES) {
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

/// What to do next.
pub(super) fn next(page: Page, all: &[Advice]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut out = page.head("What next", "");
    for advice in all {
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
