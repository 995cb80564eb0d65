//! The questions of a check-up, the most urgent first.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::frame::{CgroupSample, Frame, MachineSample};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::time::WallTime;
use highwater_core::units::{Bytes, Permille};

use super::recorder::ago;
use super::{Finding, Holder, Memory, PastDeaths, Severity, Subject, Values};
use crate::inquest::Stuck;
use crate::words;

/// Less available memory than this share of the machine: the next burst starts killing.
const CRITICAL_AVAILABLE: Permille = Permille::new(50);
/// Less than this leaves little time to look.
const LOW_AVAILABLE: Permille = Permille::new(100);

/// A cgroup whose working set is this share of its limit dies at the next burst.
const CRITICAL_FILL: Permille = Permille::new(970);
/// At this share there is still time.
const HIGH_FILL: Permille = Permille::new(900);

/// Per cent of the last minute in which some task, or all tasks, waited for memory. systemd-oomd
/// kills at 50 to 60 (full, 30 s).
const SOME_STALL: f64 = 10.0;
const FULL_STALL: f64 = 10.0;

/// Less free swap than this share is full.
const SWAP_FULL: Permille = Permille::new(50);

/// A death younger than this still wants an answer.
const RECENT: Duration = Duration::from_hours(24);

/// An owner without a limit that holds this share decides over everybody else.
const GIANT: Permille = Permille::new(500);

/// Kernel memory beyond this share is not the usual directory entries.
const SLAB_SHARE: Permille = Permille::new(250);

/// Shared memory beyond this share is somebody's forgotten files.
const SHMEM_SHARE: Permille = Permille::new(300);

/// So many processes that nobody reaped mean a broken parent.
const MANY_ZOMBIES: u64 = 100;

/// All findings, in order of urgency among equals.
pub(super) fn of(
    frame: &Frame,
    memory: &Memory,
    owners: &[Holder],
    past: &PastDeaths,
    stuck: &[Stuck],
) -> Vec<Finding> {
    let machine = frame.machine.unwrap_or_default();
    let mut findings = Vec::new();
    findings.extend(hanging(frame, stuck));
    findings.extend(available(memory));
    findings.extend(near_limit(frame, owners));
    findings.extend(stalled(&machine));
    findings.extend(recent_deaths(frame, &machine, past));
    findings.extend(swap(memory));
    findings.extend(giant(memory, owners));
    findings.extend(kernel_share(&machine, memory));
    findings.extend(shared(memory));
    findings.extend(zombies(&machine));
    findings
}

fn finding(
    (severity, subject, values): (Severity, Subject, Values),
    text: String,
    source: &str,
    cited: String,
) -> Finding {
    let evidence = vec![Evidence { source: source.to_owned(), line: None, text: cited }];
    Finding { severity, subject, values, claim: Claim { text, evidence } }
}

/// The cgroups whose tasks hang now.
pub(super) fn under_oom(frame: &Frame) -> impl Iterator<Item = &CgroupSample> {
    frame.cgroups.iter().filter(|cgroup| cgroup.memory.under_oom == Some(true))
}

fn hanging(frame: &Frame, stuck: &[Stuck]) -> Vec<Finding> {
    let found = under_oom(frame).map(|cgroup| {
        let path = cgroup.path.as_str();
        let told = stuck.iter().find(|one| {
            one.until.is_none() && one.who.cgroup.as_ref().is_some_and(|at| at.as_str() == path)
        });
        let since = told.and_then(|one| one.since);
        let told_since = since.map_or(String::new(), |since| format!(" since {since}"));
        let full = match cgroup.memory.limit {
            Some(Limit::At(limit)) => format!(" at its {limit} limit"),
            _ => String::new(),
        };
        let owner = told
            .and_then(|one| one.who.owner.as_ref())
            .filter(|owner| !matches!(owner, Owner::Cgroup(_) | Owner::Machine));
        let name = owner.map_or_else(|| format!("cgroup {}", words::place(path)), Owner::to_string);
        let text = format!(
            "{name}: its tasks hang{full}{told_since}, and nothing is killed there: highwater why"
        );
        let source = format!("{path}/memory.oom_control");
        let values = Values {
            owner: Some(owner.map_or_else(|| words::place(path), Owner::to_string)),
            of_bytes: cgroup.memory.limit.and_then(Limit::at),
            seconds: since.map(|since| frame.stamp.wall.since(since).as_secs()),
            ..Values::default()
        };
        let point = (Severity::Critical, Subject::Hanging, values);
        finding(point, text, &source, "under_oom 1".to_owned())
    });
    found.collect()
}

fn available(memory: &Memory) -> Option<Finding> {
    let (Some(available), Some(total)) = (memory.available, memory.total) else {
        return Some(Finding {
            severity: Severity::Unknown,
            subject: Subject::MemoryUnknown,
            values: Values::default(),
            claim: Claim {
                text: "memory is unknown, because /proc/meminfo was not readable".to_owned(),
                evidence: Vec::new(),
            },
        });
    };
    let share = available.permille_of(total)?;
    let below = memory.low.is_some_and(|low| available < low);
    let severity = match share {
        _ if below || share < CRITICAL_AVAILABLE => Severity::Critical,
        _ if share < LOW_AVAILABLE => Severity::Warning,
        _ => return None,
    };
    let reserve = match memory.low {
        Some(low) if below => format!(", below the low watermarks ({low})"),
        _ => String::new(),
    };
    let text = format!("only {available} of {total} is available ({share}){reserve}");
    let cited = format!("MemAvailable {available}, MemTotal {total}");
    let point = (severity, Subject::MemoryLow, Values::share(available, total));
    Some(finding(point, text, "/proc/meminfo", cited))
}

/// Of who hangs for it, that it is full goes without saying.
fn near_limit(frame: &Frame, owners: &[Holder]) -> Vec<Finding> {
    let hangs = |holder: &&Holder| under_oom(frame).any(|one| one.path.as_str() == holder.path);
    let others = owners.iter().filter(|holder| !hangs(holder));
    let mut found: Vec<(Permille, Finding)> = others.filter_map(fill).collect();
    found.sort_by_key(|(share, _)| std::cmp::Reverse(*share));
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// How full an owner is that has a limit of its own.
fn fill(holder: &Holder) -> Option<(Permille, Finding)> {
    let limit = holder.limit.and_then(Limit::at)?;
    let own = holder.limited_by.as_deref() == Some(holder.path.as_str());
    let used = holder.working_set.or(holder.usage).filter(|_| own)?;
    let share = used.permille_of(limit)?;
    let severity = match share {
        _ if share >= CRITICAL_FILL => Severity::Critical,
        _ if share >= HIGH_FILL => Severity::Warning,
        _ => return None,
    };
    let text = format!("{} uses {used} of its {limit} limit ({share})", holder.owner);
    let cited = format!("working set {used}, limit {limit}");
    let values = Values::share(used, limit).about(&holder.owner);
    Some((share, finding((severity, Subject::LimitNear, values), text, &holder.path, cited)))
}

fn stalled(machine: &MachineSample) -> Option<Finding> {
    let pressure = machine.memory_pressure?;
    let some = pressure.some.map_or(0.0, |stall| stall.avg60);
    let full = pressure.full.map_or(0.0, |stall| stall.avg60);
    let (severity, subject, who, share) = if full >= FULL_STALL {
        (Severity::Critical, Subject::StallFull, "all programs", full)
    } else if some >= SOME_STALL {
        (Severity::Warning, Subject::StallSome, "programs", some)
    } else {
        return None;
    };
    let text = format!("{who} waited for memory {share:.0} % of the last minute");
    let percent = format!("{share:.0}").parse().ok();
    let point = (severity, subject, Values { percent, ..Values::default() });
    let cited = format!("some avg60={some:.2}, full avg60={full:.2}");
    Some(finding(point, text, "/proc/pressure/memory", cited))
}

fn recent_deaths(frame: &Frame, machine: &MachineSample, past: &PastDeaths) -> Option<Finding> {
    let since = frame.stamp.wall.before(RECENT);
    let fresh = |wall: Option<WallTime>| wall.is_some_and(|wall| wall >= since);
    let recent: Vec<_> = past.deaths.iter().filter(|death| fresh(death.wall)).collect();
    if let (Some(last), Some(at)) = (recent.last(), recent.last().and_then(|last| last.wall)) {
        let gone = frame.stamp.wall.since(at);
        let whose = match &last.limit_owner {
            Some(owner) => format!(", at the limit of {}", words::place(owner)),
            None => String::new(),
        };
        let text = format!(
            "{} killed for memory in the last 24 h{}; the last was {}{whose}, {}: highwater why",
            words::count(recent.len(), "process"),
            unnamed(frame, machine, past),
            last.victim,
            ago(gone)
        );
        let values = Values {
            limit_owner: last.limit_owner.as_deref().map(words::place),
            of_count: counted(frame, machine, past),
            seconds: Some(gone.as_secs()),
            ..Values::count(recent.len()).about(&last.victim)
        };
        let point = (Severity::Warning, Subject::Kills, values);
        return Some(finding(point, text, &past.source, at.to_string()));
    }
    let count = machine.vm.oom_kill.filter(|count| *count > 0)?;
    let up = Duration::from_micros(frame.stamp.boot.micros());
    let unseen = past.deaths.is_empty();
    let severity = if up < RECENT && unseen { Severity::Warning } else { Severity::Ok };
    let named = past.deaths.len();
    let text = match &past.gap {
        _ if !unseen => format!("{count} killed for memory since boot ({named} of them on record)"),
        Some(gap) => {
            format!("{count} killed for memory since boot; who and when is unknown: {gap}")
        }
        None => format!(
            "{count} killed for memory since boot; who and when is unknown: the kernel's log no longer has them"
        ),
    };
    let values = Values { of_count: Some(count), ..Values::count(named) };
    let point = (severity, Subject::KillsSinceBoot, values);
    Some(finding(point, text, "/proc/vmstat", format!("oom_kill {count}")))
}

/// That the kernel counts more than there are names for.
fn unnamed(frame: &Frame, machine: &MachineSample, past: &PastDeaths) -> String {
    let up = Duration::from_micros(frame.stamp.boot.micros());
    counted(frame, machine, past)
        .map_or(String::new(), |count| format!(" (on record, of {count} since boot {})", ago(up)))
}

/// What the kernel counts, where that is more than there are names for: of a longer time than the
/// last day it says nothing about that.
fn counted(frame: &Frame, machine: &MachineSample, past: &PastDeaths) -> Option<u64> {
    let known = u64::try_from(past.deaths.len()).unwrap_or(u64::MAX);
    let up = Duration::from_micros(frame.stamp.boot.micros());
    machine.vm.oom_kill.filter(|count| *count > known && up <= RECENT)
}

fn swap(memory: &Memory) -> Option<Finding> {
    let total = memory.swap_total.filter(|total| *total > Bytes::ZERO)?;
    let free = memory.swap_free?;
    if free.permille_of(total)? >= SWAP_FULL {
        return None;
    }
    let text = format!("swap is full: {free} free of {total}");
    let cited = format!("SwapFree {free}, SwapTotal {total}");
    let point = (Severity::Warning, Subject::SwapFull, Values::share(free, total));
    Some(finding(point, text, "/proc/meminfo", cited))
}

fn giant(memory: &Memory, owners: &[Holder]) -> Option<Finding> {
    let holder = owners.iter().find(|holder| super::is_unlimited(holder, memory))?;
    let total = memory.total?;
    let share = holder.anon.permille_of(total)?;
    let severity = if share >= GIANT { Severity::Warning } else { Severity::Ok };
    let text = format!(
        "{} holds {} ({share} of the machine) and has no memory limit",
        holder.owner, holder.anon
    );
    let values = Values::share(holder.anon, total).about(&holder.owner);
    let cited = format!("anonymous {}, no limit", holder.anon);
    Some(finding((severity, Subject::Unlimited, values), text, &holder.path, cited))
}

fn kernel_share(machine: &MachineSample, memory: &Memory) -> Option<Finding> {
    let slab = machine.mem.slab_unreclaimable?;
    let total = memory.total?;
    let share = slab.permille_of(total).filter(|share| *share >= SLAB_SHARE)?;
    let text = format!("the kernel's own objects take {slab} ({share}) that cannot be reclaimed");
    let point = (Severity::Warning, Subject::KernelMemory, Values::share(slab, total));
    Some(finding(point, text, "/proc/meminfo", format!("SUnreclaim {slab}")))
}

fn shared(memory: &Memory) -> Option<Finding> {
    let shmem = memory.shmem?;
    let total = memory.total?;
    let share = shmem.permille_of(total).filter(|share| *share >= SHMEM_SHARE)?;
    let text = format!("shared memory and tmpfs take {shmem} ({share}): look in /dev/shm and /tmp");
    let point = (Severity::Warning, Subject::SharedMemory, Values::share(shmem, total));
    Some(finding(point, text, "/proc/meminfo", format!("Shmem {shmem}")))
}

fn zombies(machine: &MachineSample) -> Option<Finding> {
    let count = machine.zombies;
    let text = format!("{count} processes died and were never reaped by their parents");
    let values = Values { count: Some(count), ..Values::default() };
    let point = (Severity::Warning, Subject::Zombies, values);
    (count >= MANY_ZOMBIES)
        .then(|| finding(point, text, "/proc/*/stat", format!("{count} in state Z")))
}
