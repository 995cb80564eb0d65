//! Whether what was said is what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::units::Bytes;

use super::LOOKS_EVERY;
use super::ask::{self, Look, Told};
use super::stage::{Player, Stage};
use crate::e2e::Scoreboard;

/// How far the rate may be from the truth, as a share of it.
const RATE_WITHIN: f64 = 0.25;

/// Kinds that show in the process that leaks them.
const IN_PROCESSES: [&str; 4] = ["anon", "fds", "threads", "children"];

/// Kinds that cgroup v1 does not tell by owner: an owner's kernel memory is of the kind that moves alike on
/// the machine, which shows only where nothing else moves it.
const BY_THE_MACHINE: [&str; 2] = ["slab-reclaimable", "slab-unreclaimable"];

/// Sums of what others have.
const SUMS: [&str; 2] = ["machine", "filesystem"];

/// Compares all that was said with what was played.
pub(super) fn judge(stage: &Stage, looks: &[Look], alone: bool, board: &mut Scoreboard) {
    for player in stage.players() {
        let name = player.part.habit.name();
        let Some(kind) = player.part.leaks else {
            let own = player.own();
            board.check(&format!("{name} is not accused"), innocent(looks, &own, &[]));
            continue;
        };
        if alone || !BY_THE_MACHINE.contains(&kind) {
            board.check(&format!("{name}: its {kind} are named"), named(looks, player, kind));
            board.check(&format!("{name} is explained"), explained(stage, player, kind));
        } else {
            println!("not asked: whether the {kind} of {name} are named (--alone asks)");
        }
        if kind == "anon" && player.part.is_urgent() {
            board.check(&format!("{name}: where it grows"), mapped(stage, player));
        }
        let guilty: Vec<&str> = player.part.beside.iter().copied().chain([kind]).collect();
        let own = player.own();
        board.check(&format!("{name}: nothing else of it"), innocent(looks, &own, &guilty));
    }
    for extra in stage.extras() {
        let name = format!("stress-ng {} is not accused", extra.mix.name);
        board.check(&name, innocent(looks, &extra.own(), &[]));
    }
    board.check("no sum is accused", sums(looks));
}

fn is_of(told: &Told, owner: &(&str, String)) -> bool {
    told.kind == owner.0 && told.id == owner.1
}

/// The leak is told at the end, with its kind, its rate, and reasons.
fn named(looks: &[Look], player: &Player, kind: &str) -> anyhow::Result<String> {
    let owner = player.owner();
    let of = |look: &'_ Look| {
        look.told.iter().find(|told| is_of(told, &owner) && told.resource == kind).cloned()
    };
    let last = looks.last().and_then(of);
    let last = last.with_context(|| format!("no {kind} of {} is on record", owner.1))?;
    let first = |is: fn(&Told) -> bool| {
        let after = looks.iter().find(|look| of(look).is_some_and(|told| is(&told)));
        after.map(|look| look.after)
    };
    let (named, accused) = (first(Told::grows), first(Told::is_leak));
    let rate = last.an_hour.context("no rate")?;
    let truth = player.part.habit.leaks_an_hour();
    let figures = format!(
        "{}, sure to {:.0} %, {} for a true {}; named after {}, accused after {}",
        last.verdict,
        last.confidence * 100.0,
        an_hour(kind, rate),
        truth
            .map_or_else(|| "rate that only the kernel knows".into(), |truth| an_hour(kind, truth)),
        seconds(named),
        seconds(accused),
    );
    ensure!(last.grows(), "{figures}");
    ensure!(!player.part.is_urgent() || last.is_leak(), "it meets its limit soon: {figures}");
    ensure!(last.is_reasoned, "no reasons are given: {figures}");
    if let Some(truth) = truth {
        ensure!((rate - truth).abs() <= truth * RATE_WITHIN, "its rate is wrong: {figures}");
    }
    Ok(figures)
}

/// `leaks OWNER` tells the owner, the kind, and the process inside. What is read once a minute is told
/// for certain after nine readings, and by chance before: it is waited for as long.
fn explained(stage: &Stage, player: &Player, kind: &str) -> anyhow::Result<String> {
    const TRIES: usize = 13;
    let mut last = told_in_depth(stage, player, kind);
    for _ in 1..TRIES {
        if last.is_ok() {
            break;
        }
        thread::sleep(LOOKS_EVERY);
        last = told_in_depth(stage, player, kind);
    }
    last
}

fn told_in_depth(stage: &Stage, player: &Player, kind: &str) -> anyhow::Result<String> {
    let (_, name) = player.owner();
    let said = ask::owner(stage.program(), &stage.data(), &name)?;
    let process = format!("(pid {})", player.pid);
    let short = name.rsplit('/').next().unwrap_or_default();
    for wanted in [short, kind, "Root causes"] {
        ensure!(said.contains(wanted), "{wanted} is not in what is said of {name}: {said}");
    }
    let inside: Vec<&str> = said.lines().filter(|line| line.contains(&process)).collect();
    // Its files, its owner's memory: what is in no process is not told of one.
    ensure!(
        !IN_PROCESSES.contains(&kind) || !inside.is_empty(),
        "its {process} is not told to have grown: {said}"
    );
    let inside = inside.first().map_or("nothing inside", |line| line.trim());
    Ok(format!("{} lines; {inside}", said.lines().count()))
}

/// `leaks OWNER --watch` shows the mapping that grows: in five seconds by what it leaks in as many.
fn mapped(stage: &Stage, player: &Player) -> anyhow::Result<String> {
    const SECONDS: f64 = 5.0;
    let (_, name) = player.owner();
    let (mapping, rise) = ask::mapped(stage.program(), &stage.data(), &name, player.pid)?;
    let truth =
        player.part.habit.leaks_an_hour().context("it leaks at no rate")? / 3600.0 * SECONDS;
    let share = Bytes::new(rise).as_f64() / truth;
    ensure!((0.3..3.0).contains(&share), "{mapping} holds {rise} more, {truth:.0} leaked");
    Ok(format!("{mapping}: {rise} bytes in {SECONDS} s, {share:.2} of what leaked"))
}

/// Nothing of `owner` is accused in any look, but what is of one of the `guilty` kinds.
fn innocent(
    looks: &[Look],
    owner: &(&'static str, String),
    guilty: &[&str],
) -> anyhow::Result<String> {
    let mut said: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut courses = BTreeSet::new();
    for look in looks {
        for told in look.told.iter().filter(|told| is_of(told, owner)) {
            if guilty.contains(&told.resource.as_str()) {
                continue;
            }
            courses.insert(told.resource.as_str());
            if told.is_leak() {
                let after = look.after.as_secs();
                bail!("{} is called a leak after {after} s: {told:?}", told.resource);
            }
            if told.verdict != "steady" {
                said.entry(&told.resource).or_default().insert(&told.verdict);
            }
        }
    }
    ensure!(!courses.is_empty() || !guilty.is_empty(), "nothing of it is on record");
    let said: Vec<String> = said
        .iter()
        .map(|(kind, verdicts)| {
            format!("{kind} {}", verdicts.iter().copied().collect::<Vec<_>>().join("/"))
        })
        .collect();
    let said = if said.is_empty() { "all steady".to_owned() } else { said.join(", ") };
    Ok(format!("{} courses in {} looks: {said}", courses.len(), looks.len()))
}

/// What an owner does is not blamed on the machine.
fn sums(looks: &[Look]) -> anyhow::Result<String> {
    for look in looks {
        let blamed = |told: &&Told| told.is_leak() && SUMS.contains(&told.kind.as_str());
        if let Some(told) = look.told.iter().find(blamed) {
            bail!("after {} s: {told:?}", look.after.as_secs());
        }
    }
    Ok(format!("{} looks", looks.len()))
}

fn an_hour(kind: &str, rate: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    match kind {
        "fds" | "threads" | "children" => format!("{rate:.0}/h"),
        _ => format!("{:.0} MiB/h", rate / MIB),
    }
}

fn seconds(after: Option<Duration>) -> String {
    after.map_or_else(|| "never".to_owned(), |after| format!("{} s", after.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(kind: &str, id: &str, resource: &str, verdict: &str) -> Look {
        let told = Told {
            kind: kind.into(),
            id: id.into(),
            resource: resource.into(),
            verdict: verdict.into(),
            an_hour: Some(1.0),
            confidence: 0.9,
            is_reasoned: true,
        };
        Look { after: Duration::from_mins(1), told: vec![told] }
    }

    #[test]
    fn one_accusation_in_any_look_is_enough() {
        let owner = ("cgroup", "/a".to_owned());
        let mut looks = vec![look("cgroup", "/a", "anon", "warm-up")];
        assert!(innocent(&looks, &owner, &[]).unwrap().contains("anon warm-up"));
        looks.push(look("cgroup", "/a", "anon", "leak"));
        looks.push(look("cgroup", "/a", "anon", "steady"));
        assert!(innocent(&looks, &owner, &[]).is_err());
        assert!(innocent(&looks, &owner, &["anon"]).is_ok());
    }

    #[test]
    fn of_whom_nothing_is_known_nothing_is_proved() {
        let looks = [look("cgroup", "/a", "anon", "steady")];
        assert!(innocent(&looks, &("cgroup", "/b".to_owned()), &[]).is_err());
    }

    #[test]
    fn a_sum_that_is_accused_is_seen() {
        assert!(sums(&[look("unit", "a.service", "anon", "leak")]).is_ok());
        assert!(sums(&[look("machine", "/", "anon", "growing")]).is_ok());
        assert!(sums(&[look("machine", "/", "anon", "leak")]).is_err());
    }
}
