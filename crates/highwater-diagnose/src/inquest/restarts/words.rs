//! What the lives of an owner add up to, in sentences with what they stand on.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::owner::Owner;
use highwater_core::testimony::Limits;
use highwater_core::time::{Span, WallTime};

use super::{Brake, SCRAPES, Storm, Story};
use crate::words;

/// So many causes of one owner are named.
const CAUSES: usize = 3;

/// Of fewer restarts the chance to miss them all is nobody's question.
const TOLD_CHANCES: usize = 3;

/// What follows, most important first.
pub(super) fn claims(story: &Story, window: Duration, source: &str) -> Vec<Claim> {
    let mut claims = Vec::new();
    claims.extend(given_up(story));
    claims.extend(story.storms.iter().rev().map(|storm| stormy(story, *storm, window)).take(1));
    claims.extend(rhythm(story, source));
    claims.extend(endless(story));
    claims.extend(unseen(story));
    claims.extend(children(story));
    claims
}

fn given_up(story: &Story) -> Option<Claim> {
    let last =
        story.chapters.iter().rev().find_map(|one| one.ended).filter(|_| story.is_given_up)?;
    let limit = story.limits.as_ref().and_then(|limits| limits.start_limit);
    let limit = limit.map_or(String::new(), |(most, within)| {
        format!(": {most} starts in {} are allowed", Span(Duration::from_millis(within)))
    });
    let text = format!(
        "{} is down, and systemd gave up on it after {last}{limit}; systemctl reset-failed lets it \
         start again.",
        story.owner
    );
    Some(Claim { text, evidence: ends(story, last, last) })
}

fn stormy(story: &Story, Storm { from, to, ends: count }: Storm, window: Duration) -> Claim {
    let within = Span(to.since(from));
    let why = causes(story, from, to);
    let more = match story.storms.len() {
        1 => String::new(),
        all => format!(" It was storm {all} of {all} on record."),
    };
    let text = format!(
        "A storm: {count} ends in {within} ({why}); {} in {} or {} in {} are one.{more}",
        super::FAST_ENDS,
        Span(super::FAST_WINDOW),
        super::SLOW_ENDS,
        Span(window),
    );
    Claim { text, evidence: ends(story, from, to) }
}

/// `8 × exit-code`, the most frequent first.
fn causes(story: &Story, from: WallTime, to: WallTime) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let unwanted = story.chapters.iter().filter(|one| one.is_unwanted());
    for one in unwanted.filter(|one| one.ended.is_some_and(|at| from <= at && at <= to)) {
        let cause = one.end.as_ref().map_or("unknown", |end| end.cause.as_str());
        match counts.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => counts.push((cause, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told = counts.iter().take(CAUSES).map(|(cause, count)| format!("{count} × {cause}"));
    told.collect::<Vec<_>>().join(", ")
}

fn rhythm(story: &Story, source: &str) -> Option<Claim> {
    let period = story.period?;
    let spread = match period.spread {
        none if none < Duration::from_secs(1) => String::new(),
        spread => format!(" (± {})", Span(spread)),
    };
    let what =
        story.limits.as_ref().filter(|_| is_unit(&story.owner)).and_then(|limits| limits.memory);
    let limit = if what.is_some() { "MemoryMax" } else { "its limit" };
    let height = match (period.height, period.is_sawtooth) {
        (Some(share), true) => {
            format!(", each time at {share} of {limit}: a sawtooth. {}", teeth(story))
        }
        (Some(share), false) => format!(", each time at {share} of {limit}"),
        (None, _) => String::new(),
    };
    let text = format!("It ends about every {}{spread}{height}", Span(rounded(period.every)));
    let text = if text.ends_with('.') { text } else { format!("{text}.") };
    let unwanted: Vec<WallTime> = story.unwanted().collect();
    let (first, last) = (unwanted.first().copied()?, unwanted.last().copied()?);
    let mut evidence = ends(story, first, last);
    let held = story.chapters.iter().filter(|one| one.is_unwanted()).filter_map(|one| {
        Some(format!("{} of {} at {}", one.memory.at_end?, one.memory.limit?, one.ended?))
    });
    let held: Vec<String> = held.take(CAUSES).collect();
    if period.height.is_some() && !held.is_empty() {
        evidence.push(Evidence { source: source.to_owned(), line: None, text: held.join(", ") });
    }
    Some(Claim { text, evidence })
}

/// What grows that far may end of it though no limit says so: a program that cannot have more memory
/// may end by itself.
fn teeth(story: &Story) -> &'static str {
    let ends = || story.chapters.iter().filter_map(|one| one.end.as_ref());
    let of_memory = ends().filter(|end| end.cause.is_memory()).count();
    if of_memory.saturating_mul(2) > ends().count() {
        "It grows until the limit ends it, so a higher limit only makes the teeth longer."
    } else {
        "It grows in each life, and ends when there is little left."
    }
}

/// To about a hundredth: nobody wants to read `5 h 12 s`.
fn rounded(span: Duration) -> Duration {
    let seconds = span.as_secs();
    let step = match seconds {
        0..120 => 1,
        120..900 => 30,
        900..7_200 => 60,
        _ => 600,
    };
    Duration::from_secs((seconds + step / 2) / step * step)
}

const fn is_unit(owner: &Owner) -> bool {
    matches!(owner, Owner::Unit(_) | Owner::UserUnit { .. })
}

fn endless(story: &Story) -> Option<Claim> {
    let limits = story.limits.as_ref().filter(|_| story.restarts() > 0)?;
    let policy = limits.restart.as_deref().unwrap_or("always");
    let pause = limits.restart_after_ms.map(Duration::from_millis);
    let text = match (story.brake, is_unit(&story.owner)) {
        (Brake::None, true) => format!(
            "Restart={policy} without a StartLimit: systemd starts it again for ever{}, and it never \
             shows as failed.",
            pause.map_or(String::new(), |pause| format!(", {} after each end", Span(pause)))
        ),
        (Brake::None, false) => format!(
            "Restart policy {policy}: Docker starts it again for ever, with pauses that double up to \
             a minute, and it never shows as failed."
        ),
        (Brake::NeverReached, _) => {
            let (most, within) = limits.start_limit?;
            format!(
                "Restart={policy}, and its start limit ({most} starts in {}) is never reached, \
                 because it waits {} between two: systemd starts it again for ever.",
                Span(Duration::from_millis(within)),
                Span(pause.unwrap_or_default())
            )
        }
        (Brake::Unknown | Brake::StartLimit, _) => return None,
    };
    let source = if is_unit(&story.owner) { "systemd" } else { "docker" };
    let evidence =
        Evidence { source: format!("{source} {}", story.owner), line: None, text: told(limits) };
    Some(Claim { text, evidence: vec![evidence] })
}

fn told(limits: &Limits) -> String {
    let mut all = vec![format!("Restart {}", limits.restart.as_deref().unwrap_or("unknown"))];
    if let Some(pause) = limits.restart_after_ms {
        all.push(format!("pause {}", Span(Duration::from_millis(pause))));
    }
    if let Some((most, within)) = limits.start_limit {
        all.push(format!("start limit {most} in {}", Span(Duration::from_millis(within))));
    }
    all.join(", ")
}

fn unseen(story: &Story) -> Option<Claim> {
    let downs: Vec<Duration> = story.downs().collect();
    if downs.len() < TOLD_CHANCES {
        return None;
    }
    let (least, most) = (downs.iter().min()?, downs.iter().max()?);
    let each = if Span(*least).to_string() == Span(*most).to_string() {
        Span(*least).to_string()
    } else {
        format!("{} to {}", Span(*least), Span(*most))
    };
    let chances = SCRAPES.iter().filter_map(|every| {
        Some(format!("{} every {}", percent(story.miss_chance(*every)?), Span(*every)))
    });
    let text = format!(
        "Down {each} before each of {}: the chance that a program that polls saw it down not once is \
         {}.",
        words::count(downs.len(), "restart"),
        chances.collect::<Vec<_>>().join(", ")
    );
    let unwanted: Vec<WallTime> = story.unwanted().collect();
    let evidence = unwanted.first().zip(unwanted.last()).map(|(a, b)| ends(story, *a, *b));
    Some(Claim { text, evidence: evidence.unwrap_or_default() })
}

/// A chance as people read it: never 0 % or 100 % where it is neither.
pub fn percent(chance: f64) -> String {
    let hundredths = chance * 100.0;
    match hundredths {
        _ if hundredths <= 0.0 => "0 %".to_owned(),
        _ if hundredths < 0.1 => "< 0.1 %".to_owned(),
        _ if hundredths < 9.95 => format!("{hundredths:.1} %"),
        _ if hundredths > 99.0 && hundredths < 100.0 => "> 99 %".to_owned(),
        _ => format!("{hundredths:.0} %"),
    }
}

fn children(story: &Story) -> Option<Claim> {
    let count = (story.children > 0).then(|| words::count(story.children, "process"))?;
    let text = format!(
        "{count} of it died that {} not its first, and {} lived on then: that is no restart, and \
         whoever watches only its first process sees nothing.",
        if story.children == 1 { "was" } else { "were" },
        story.owner
    );
    Some(Claim { text, evidence: ends_of_children(story) })
}

fn ends_of_children(story: &Story) -> Vec<Evidence> {
    let text =
        format!("deaths of {} that were not its first process: {}", story.owner, story.children);
    vec![Evidence { source: "recorded events".to_owned(), line: None, text }]
}

/// The ends between two moments, to be cited.
fn ends(story: &Story, from: WallTime, to: WallTime) -> Vec<Evidence> {
    /// More say no more.
    const CITED: usize = 12;
    let told = story.chapters.iter().filter(|one| one.is_unwanted()).filter_map(|one| {
        let at = one.ended.filter(|at| from <= *at && *at <= to)?;
        let cause = one.end.as_ref().map_or("unknown", |end| end.cause.as_str());
        let text = format!("{} ended at {at}: {cause}", story.owner);
        Some(Evidence { source: "recorded events".to_owned(), line: None, text })
    });
    told.take(CITED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_never_rounded_to_certainty() {
        let said = [0.0, 0.000_4, 0.012_3, 0.100_113, 0.995, 1.0].map(percent);
        assert_eq!(said, ["0 %", "< 0.1 %", "1.2 %", "10 %", "> 99 %", "100 %"]);
    }

    #[test]
    fn a_rhythm_is_told_roughly() {
        assert_eq!(Span(rounded(Duration::from_secs(18_013))).to_string(), "5 h");
        assert_eq!(Span(rounded(Duration::from_secs(455))).to_string(), "7 min 30 s");
        assert_eq!(rounded(Duration::from_secs(65)), Duration::from_secs(65));
    }
}
