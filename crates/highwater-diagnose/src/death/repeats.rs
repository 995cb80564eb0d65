//! The same owner, killed again and again: how often, how fast it grew in each life, and whether it
//! always died at the same size.
//!
//! ```text
//! cases ─ one occurrence per episode ─ grouped by owner ─ claim: count, period, growth, size
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::id::CgroupPath;
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, Span, WallTime};
use highwater_core::units::Bytes;
use highwater_oom::Cause;
use highwater_oom::report::{Kill, OomReport};

use super::Case;
use super::cite::Cite;
use crate::words;

/// The most owners that are told of, those with the most deaths first.
const OWNERS: usize = 4;

/// The most deaths of one owner that are cited: the first ones show the pattern.
const CITED: usize = 4;

/// Sizes within this share of each other are the same size: a limit, not chance.
const SAME_PERMILLE: u32 = 30;

/// Gaps whose longest is at most this many times the shortest are regular.
const REGULAR: u32 = 2;

/// Deaths that follow each other faster than this are a loop: it is started again and does not fit.
const LOOP: Duration = Duration::from_mins(2);

/// Nothing is started again as fast as this.
const BURST: Duration = Duration::from_millis(500);

/// Slower than this, growth in a life says nothing.
const LEAST_GROWTH: Bytes = Bytes::from_mib(16);

/// What the deaths of a log or a recording have in common: one claim for each owner that died more
/// than once, and one for a machine that ran out more than once. In the order of `cases`, oldest
/// first.
pub fn repeats(cases: &[Case<'_>]) -> Vec<Claim> {
    let occurrences = occurrences(cases);
    let mut owners: BTreeMap<&str, Vec<&Occurrence<'_>>> = BTreeMap::new();
    for one in &occurrences {
        if let Some(owner) = &one.owner {
            owners.entry(owner).or_default().push(one);
        }
    }
    let mut groups: Vec<_> = owners.into_values().filter(|group| is_series(group)).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let machine: Vec<&Occurrence<'_>> =
        occurrences.iter().filter(|one| one.report.cause() == Cause::KernelOomGlobal).collect();
    let of_machine = machine_claim(&machine);
    groups.iter().take(OWNERS).map(|group| claim(group)).chain(of_machine).collect()
}

/// Two deaths at unknown times say nothing together.
fn is_series(group: &[&Occurrence<'_>]) -> bool {
    group.len() > 2 || gaps(group).iter().any(|gap| *gap > Duration::ZERO)
}

/// One episode in which somebody died.
#[derive(Debug)]
struct Occurrence<'a> {
    report: &'a OomReport,
    cite: Cite<'a>,
    /// By what deaths are held to be of the same: a cgroup without what changes from one start to
    /// the next, else a name.
    owner: Option<String>,
    kill: &'a Kill,
    wall: Option<WallTime>,
    boot: Option<BootTime>,
    /// Which boot of its source it belongs to: the clock starts anew with each.
    era: usize,
    /// What those who died in it held together, in RAM and swap.
    held: Option<Bytes>,
    limit: Option<Bytes>,
}

/// Each episode once: a cgroup that dies together dies once.
fn occurrences<'a>(cases: &[Case<'a>]) -> Vec<Occurrence<'a>> {
    let mut all: Vec<Occurrence<'a>> = Vec::new();
    for case in cases {
        let Some(kill) = case.kill.and_then(|at| case.report.kills.get(at)) else { continue };
        let held = held(kill);
        let same = all.last_mut().filter(|last| std::ptr::eq(last.report, case.report));
        if let Some(last) = same {
            last.held = last.held.zip(held).map(|(one, other)| one.saturating_add(other));
            continue;
        }
        let known = case.recorded.and_then(|recorded| recorded.death.known.as_ref());
        let limit = case.report.memcg.memory.and_then(|told| told.value.limit);
        all.push(Occurrence {
            report: case.report,
            cite: Cite { source: case.source, report: case.report },
            owner: owner(case, kill),
            kill,
            wall: kill.wall.or(case.recorded.map(|recorded| recorded.wall)),
            boot: kill.boot.or(case.recorded.and_then(|recorded| recorded.boot)),
            era: 0,
            held,
            limit: limit.or(known.and_then(|known| known.limit)).and_then(Limit::at),
        });
    }
    count_boots(&mut all);
    all
}

/// Within one source, time since boot that falls from one line to a later one is another boot.
fn count_boots(all: &mut [Occurrence<'_>]) {
    let mut in_order: Vec<&mut Occurrence<'_>> = all.iter_mut().collect();
    in_order.sort_by_key(|one| (one.cite.source, one.kill.line));
    let mut last: Option<(&str, Option<BootTime>, usize)> = None;
    for one in in_order {
        let (before, era) = match last {
            Some((source, boot, era)) if source == one.cite.source => (boot, era),
            _ => (None, 0),
        };
        let anew = before.zip(one.boot).is_some_and(|(before, now)| now < before);
        one.era = if anew { era.saturating_add(1) } else { era };
        last = Some((one.cite.source, one.boot.or(before), one.era));
    }
}

fn held(kill: &Kill) -> Option<Bytes> {
    let shared = kill.shmem_rss.unwrap_or_default();
    let ram = kill.anon_rss.map(|anon| anon.saturating_add(shared)).or(kill.rss)?;
    Some(ram.saturating_add(kill.swap.unwrap_or_default()))
}

/// A cgroup's limit says whose death it is better than the name of the process that happened to be
/// chosen.
fn owner(case: &Case<'_>, kill: &Kill) -> Option<String> {
    let memcg = &case.report.memcg;
    let known = case.recorded.and_then(|recorded| recorded.death.known.as_ref());
    let recorded = known.and_then(|known| known.limited_by.as_ref().or(known.cgroup.as_ref()));
    let of_limit = memcg.limit_owner.as_ref().map(|told| told.value.as_str());
    let of_task = memcg.task.as_ref().map(|told| told.value.as_str());
    let headed = memcg.stats.first().and_then(|stats| stats.path.as_deref());
    let path = of_limit.or(of_task).or(headed).or(recorded.map(CgroupPath::as_str));
    let is_place = |path: &&str| !path.is_empty() && *path != "/";
    match path.filter(is_place) {
        Some(path) => Some(format!("cgroup {}", words::place(&lasting(path)))),
        None => kill.comm.clone(),
    }
}

/// A pod's containers get a new id with each start; the pod stays.
fn lasting(path: &str) -> String {
    if !path.contains("kubepods") {
        return path.to_owned();
    }
    let is_pod = |part: &&str| part.contains("pod") && !part.starts_with("kubepods.slice");
    let mut kept: Vec<&str> = path.split('/').collect();
    if let Some(at) = kept.iter().rposition(is_pod) {
        kept.truncate(at.saturating_add(1));
    }
    kept.join("/")
}

fn claim(group: &[&Occurrence<'_>]) -> Claim {
    let name = group.first().and_then(|one| one.owner.clone()).unwrap_or_default();
    let victims = victims(group);
    // A name that is the owner needs no list of itself.
    let whom = if victims == name { String::new() } else { format!(" ({victims})") };
    let count = group.len();
    let times = if name.starts_with("cgroup ") { "had a process killed" } else { "was killed" };
    let gaps = gaps(group);
    let text = format!(
        "{name} {times} {count} times{whom}{}{}{}",
        rhythm(&gaps, group.len()),
        size(group),
        growth(group)
    );
    let evidence = group.iter().take(CITED).map(|one| one.cite.line(one.kill.line)).collect();
    let names: Vec<&str> = group.iter().filter_map(|one| one.kill.comm.as_deref()).collect();
    Claim { text: words::sentence(&text, &names), evidence }
}

/// `node ×5, python3 ×2`, or the one name.
fn victims(group: &[&Occurrence<'_>]) -> String {
    /// More names than this are a list, not a sentence.
    const NAMES: usize = 3;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in group {
        let name = one.kill.comm.as_deref().unwrap_or("unnamed");
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if let [(only, _)] = counts.as_slice() {
        return (*only).to_owned();
    }
    let more = counts.len().saturating_sub(NAMES);
    let named = counts.iter().take(NAMES).map(|(name, count)| format!("{name} ×{count}"));
    let more = (more > 0).then(|| words::count(more, "other name"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// The time from each occurrence to the next. Only clocks that can be compared count: both wall, or
/// both of one boot of one source.
fn gaps(group: &[&Occurrence<'_>]) -> Vec<Duration> {
    let pairs = group.iter().zip(group.iter().skip(1));
    pairs.filter_map(|(before, after)| gap(before, after)).collect()
}

fn gap(before: &Occurrence<'_>, after: &Occurrence<'_>) -> Option<Duration> {
    match (before.wall, after.wall) {
        (Some(from), Some(to)) if to >= from => return Some(to.since(from)),
        (Some(_), Some(_)) => return None,
        _ => {}
    }
    if before.cite.source != after.cite.source || before.era != after.era {
        return None;
    }
    let (from, to) = (before.boot?, after.boot?);
    (to >= from).then(|| to.since(from))
}

/// How the `count` deaths follow each other.
fn rhythm(gaps: &[Duration], count: usize) -> String {
    let (Some(median), Some(longest)) = (median(gaps), gaps.iter().max().copied()) else {
        return "; how far apart is unknown, because the lines bear no comparable times".to_owned();
    };
    let shortest = gaps.iter().min().copied().unwrap_or_default();
    // What has another clock may have been at any time, also in between.
    let whole = gaps.len().saturating_add(1) >= count;
    let of = if whole { "," } else { "; those that have a clock in common," };
    if let [only] = gaps {
        return format!("{of} {} apart", Span(*only));
    }
    let regular = longest <= shortest.saturating_mul(REGULAR);
    let spread = if regular {
        "regularly".to_owned()
    } else {
        format!("{} to {} apart", Span(shortest), Span(longest))
    };
    let what = match median {
        median if median < BURST => ": a burst, several at once rather than one after the other",
        _ if longest < LOOP && whole => ": a loop of restart and kill",
        _ => "",
    };
    format!("{of} every {} in the median, {spread}{what}", Span(median))
}

fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Always the same size is a limit, whether or not the log prints it.
fn size(group: &[&Occurrence<'_>]) -> String {
    let limits: Vec<Bytes> = group.iter().filter_map(|one| one.limit).collect();
    if let (Some(limit), true) = (limits.first(), limits.len() == group.len()) {
        if limits.iter().all(|other| other == limit) {
            return format!("; each time at the limit of {limit}: its limit, not the machine");
        }
        let most = limits.iter().max().copied().unwrap_or_default();
        let least = limits.iter().min().copied().unwrap_or_default();
        return format!("; at limits from {least} to {most}: a higher one only moved the end");
    }
    let sizes: Vec<Bytes> = group.iter().filter_map(|one| one.held).collect();
    let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max()) else {
        return String::new();
    };
    let apart = most.saturating_sub(*least).permille_of(*most);
    let same = apart.is_some_and(|share| share.get() <= SAME_PERMILLE);
    if sizes.len() < group.len() || *least < LEAST_GROWTH {
        return String::new();
    }
    let (from, to) = (least.to_string(), most.to_string());
    let span = if from == to { from } else { format!("{from} to {to}") };
    let global = group.iter().all(|one| one.report.cause() == Cause::KernelOomGlobal)
        && gaps(group).len().saturating_add(1) >= group.len();
    match (same, global) {
        (true, true) => {
            format!("; it held nearly the same each time ({span}): what the machine can give")
        }
        (true, false) if group.iter().any(|one| one.report.cause() == Cause::KernelOomGlobal) => {
            format!("; it held nearly the same each time ({span})")
        }
        (true, false) => format!("; it held nearly the same each time ({span}), as with a limit"),
        (false, _) => format!("; it held {span} at death"),
    }
}

/// How fast it grew in each life, if a life began when the one before it ended.
fn growth(group: &[&Occurrence<'_>]) -> String {
    let pairs = group.iter().zip(group.iter().skip(1));
    let rate = |(before, after): (&&Occurrence<'_>, &&Occurrence<'_>)| {
        let (held, life) = (after.held?, gap(before, after)?);
        let lived = life >= LOOP && held >= LEAST_GROWTH;
        lived.then(|| Bytes::from_f64(held.as_f64() / life.as_secs_f64() * 3600.0))
    };
    let hourly: Vec<Bytes> = pairs.filter_map(rate).collect();
    let Some(hourly) = median(&hourly) else { return String::new() };
    // Of a life that lasts for hours, people think in hours.
    let long = median(&gaps(group)).is_some_and(|life| life >= Duration::from_hours(1));
    let rate = match hourly {
        hourly if long && hourly >= Bytes::from_mib(1) => format!("{hourly}/h"),
        hourly => words::rate(hourly.as_f64() / 3600.0),
    };
    format!("; it grew about {rate} in each life, if each began near zero at the death before")
}

/// A machine that runs out again and again kills whoever is largest; the victims need not be the
/// same.
fn machine_claim(deaths: &[&Occurrence<'_>]) -> Option<Claim> {
    let owners: std::collections::BTreeSet<_> = deaths.iter().map(|one| &one.owner).collect();
    if owners.len() < 2 {
        return None;
    }
    let gaps = gaps(deaths);
    // Logs without a clock in common need not be of one machine either.
    let known = gaps.len().saturating_add(1) >= deaths.len();
    let one_source = deaths.iter().all(|one| Some(one.cite.source) == source_of(deaths));
    let machine = if known || one_source { "the machine" } else { "a machine" };
    let text = format!(
        "{machine} as a whole ran out {} times, with different victims ({}){}",
        deaths.len(),
        victims(deaths),
        rhythm(&gaps, deaths.len())
    );
    let evidence = deaths.iter().take(CITED).map(|one| one.cite.line(one.kill.line)).collect();
    Some(Claim { text: words::sentence(&text, &[]), evidence })
}

fn source_of<'a>(deaths: &[&Occurrence<'a>]) -> Option<&'a str> {
    deaths.first().map(|one| one.cite.source)
}
