//! The questions of a check-up, the most urgent first.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::frame::{CgroupSample, Frame, MachineSample};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::time::WallTime;
use highwater_core::units::{Bytes, Permille};

use super::recorder::ago;
use super::{Finding, Holder, Memory, PastDeaths, Severity};
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

fn finding(severity: Severity, text: String, source: &str, cited: String) -> Finding {
    let evidence = vec![Evidence { source: source.to_owned(), line: None, text: cited }];
    Finding { severity, claim: Claim { text, evidence } }
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
        let since = since.map_or(String::new(), |since| format!(" since {since}"));
        let full = match cgroup.memory.limit {
            Some(Limit::At(limit)) => format!(" at its {limit} limit"),
            _ => String::new(),
        };
        let owner = told
            .and_then(|one| one.who.owner.as_ref())
            .filter(|owner| !matches!(owner, Owner::Cgroup(_) | Owner::Machine));
        let name = owner.map_or_else(|| format!("cgroup {}", words::place(path)), Owner::to_string);
        let text = format!(
            "{name}: its tasks hang{full}{since}, and nothing is killed there: highwater why"
        );
        let source = format!("{path}/memory.oom_control");
        finding(Severity::Critical, text, &source, "under_oom 1".to_owned())
    });
    found.collect()
}

fn available(memory: &Memory) -> Option<Finding> {
    let (Some(available), Some(total)) = (memory.available, memory.total) else {
        return Some(Finding {
            severity: Severity::Unknown,
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
    Some(finding(severity, text, "/proc/meminfo", cited))
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
    Some((share, finding(severity, text, &holder.path, cited)))
}

fn stalled(machine: &MachineSample) -> Option<Finding> {
    let pressure = machine.memory_pressure?;
    let some = pressure.some.map_or(0.0, |stall| stall.avg60);
    let full = pressure.full.map_or(0.0, |stall| stall.avg60);
    let (severity, text) = if full >= FULL_STALL {
        (
            Severity::Critical,
            format!("all programs waited for memory {full:.0} % of the last minute"),
        )
    } else if some >= SOME_STALL {
        (Severity::Warning, format!("programs waited for memory {some:.0} % of the last minute"))
    } else {
        return None;
    };
    let cited = format!("some avg60={some:.2}, full avg60={full:.2}");
    Some(finding(severity, text, "/proc/pressure/memory", cited))
}

fn recent_deaths(frame: &Frame, machine: &MachineSample, past: &PastDeaths) -> Option<Finding> {
    let since = frame.stamp.wall.before(RECENT);
    let fresh = |wall: Option<WallTime>| wall.is_some_and(|wall| wall >= since);
    let recent: Vec<_> = past.deaths.iter().filter(|death| fresh(death.wall)).collect();
    if let (Some(last), Some(at)) = (recent.last(), recent.last().and_then(|last| last.wall)) {
        let whose = match &last.limit_owner {
            Some(owner) => format!(", at the limit of {}", words::place(owner)),
            None => String::new(),
        };
        let text = format!(
            "{} killed for memory in the last 24 h{}; the last was {}{whose}, {}: highwater why",
            words::count(recent.len(), "process"),
            unnamed(frame, machine, past),
            last.victim,
            ago(frame.stamp.wall.since(at))
        );
        return Some(finding(Severity::Warning, text, &past.source, at.to_string()));
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
    Some(finding(severity, text, "/proc/vmstat", format!("oom_kill {count}")))
}

/// That the kernel counts more than there are names for: of a longer time than the last day it says
/// nothing about that.
fn unnamed(frame: &Frame, machine: &MachineSample, past: &PastDeaths) -> String {
    let known = u64::try_from(past.deaths.len()).unwrap_or(u64::MAX);
    let counted = machine.vm.oom_kill.filter(|count| *count > known);
    let up = Duration::from_micros(frame.stamp.boot.micros());
    let counted = counted.filter(|_| up <= RECENT);
    counted
        .map_or(String::new(), |count| format!(" (on record, of {count} since boot {})", ago(up)))
}

fn swap(memory: &Memory) -> Option<Finding> {
    let total = memory.swap_total.filter(|total| *total > Bytes::ZERO)?;
    let free = memory.swap_free?;
    if free.permille_of(total)? >= SWAP_FULL {
        return None;
    }
    let text = format!("swap is full: {free} free of {total}");
    let cited = format!("SwapFree {free}, SwapTotal {total}");
    Some(finding(Severity::Warning, text, "/proc/meminfo", cited))
}

fn giant(memory: &Memory, owners: &[Holder]) -> Option<Finding> {
    let holder = owners.iter().find(|holder| super::is_unlimited(holder, memory))?;
    let share = holder.anon.permille_of(memory.total?)?;
    let severity = if share >= GIANT { Severity::Warning } else { Severity::Ok };
    let text = format!(
        "{} holds {} ({share} of the machine) and has no memory limit",
        holder.owner, holder.anon
    );
    Some(finding(severity, text, &holder.path, format!("anonymous {}, no limit", holder.anon)))
}

fn kernel_share(machine: &MachineSample, memory: &Memory) -> Option<Finding> {
    let slab = machine.mem.slab_unreclaimable?;
    let share = slab.permille_of(memory.total?).filter(|share| *share >= SLAB_SHARE)?;
    let text = format!("the kernel's own objects take {slab} ({share}) that cannot be reclaimed");
    Some(finding(Severity::Warning, text, "/proc/meminfo", format!("SUnreclaim {slab}")))
}

fn shared(memory: &Memory) -> Option<Finding> {
    let shmem = memory.shmem?;
    let share = shmem.permille_of(memory.total?).filter(|share| *share >= SHMEM_SHARE)?;
    let text = format!("shared memory and tmpfs take {shmem} ({share}): look in /dev/shm and /tmp");
    Some(finding(Severity::Warning, text, "/proc/meminfo", format!("Shmem {shmem}")))
}

fn zombies(machine: &MachineSample) -> Option<Finding> {
    let count = machine.zombies;
    let text = format!("{count} processes died and were never reaped by their parents");
    (count >= MANY_ZOMBIES)
        .then(|| finding(Severity::Warning, text, "/proc/*/stat", format!("{count} in state Z")))
}
