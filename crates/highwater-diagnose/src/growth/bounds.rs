//! What may not be exceeded: limits of owners and of what is above them, and what the machine has.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::owner::Owner;
use highwater_core::series::{Labels, Matcher, SourceError};
use highwater_core::units::Bytes;

use super::history::History;
use super::strand::Hosts;
use super::whose::{Whose, tidy};

/// Limits are set rarely, and exporters stop: what was said so long ago still counts.
const REACH: Duration = Duration::from_hours(24);

/// cgroup v1 writes no limit as a number just below 2^63; nobody has an exbibyte.
const NO_LIMIT: f64 = 1_152_921_504_606_846_976.0;

/// The kernel's own rule for `min_free_kbytes` (`mm/page_alloc.c`): the root of sixteen times the
/// memory in KiB, within these bounds.
const MIN_FREE_KIB: (f64, f64) = (128.0, 262_144.0);

/// What would be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// The owner's own memory limit.
    Own,
    /// Its own `memory.high`: beyond it, it is slowed down.
    High,
    /// The limit of a cgroup above it; escaped.
    Above(String),
    /// What the machine has to give: no limit is in the way.
    Machine,
    /// How many descriptors a process, or files the machine, may have open.
    Files,
    /// How many processes and threads there may be.
    Tasks,
    /// The size of a file system.
    Size,
    /// The swap there is.
    Swap,
    /// A hundred per cent.
    Whole,
}

impl Ceiling {
    /// As JSON has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::High => "high",
            Self::Above(_) => "above",
            Self::Machine => "machine",
            Self::Files => "files",
            Self::Tasks => "tasks",
            Self::Size => "size",
            Self::Swap => "swap",
            Self::Whole => "whole",
        }
    }
}

/// A level that may not be exceeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What it is.
    pub ceiling: Ceiling,
    /// The limit as it is set; of the machine, all that it has.
    pub limit: f64,
    /// What the growing value itself may reach until then, the others staying as they are.
    pub level: f64,
    /// Where it stands.
    pub evidence: Evidence,
}

/// What a machine has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    pub(super) total: Option<f64>,
    /// What could still be given out, above the low watermark.
    pub(super) room: Option<f64>,
    pub(super) swap_free: Option<f64>,
    room_evidence: String,
}

/// All limits that are known.
#[derive(Debug)]
pub(super) struct Bounds {
    machines: BTreeMap<String, Machine>,
    /// By owner: limits, and what is used against them.
    own: Last,
    /// What each machine's limits of memory add up to.
    promised: BTreeMap<String, f64>,
    high: Last,
    pids: Last,
    fds: Last,
    /// What the one process of an owner has open that has the most.
    open: Last,
    /// By path.
    by_path: BTreeMap<(String, String), f64>,
    used: BTreeMap<(String, String), f64>,
    source: String,
    pub(super) hosts: Hosts,
}

type Last = BTreeMap<(String, String, String), (f64, Labels)>;

impl Bounds {
    /// Reads them.
    pub(super) fn read(
        history: History<'_>,
        owners: Option<&BTreeMap<String, Owner>>,
    ) -> Result<Self, SourceError> {
        let hosts = hosts(history)?;
        let hosts = match owners {
            Some(owners) => hosts.knowing(owners),
            None => hosts,
        };
        let mut bounds = Self {
            machines: BTreeMap::new(),
            own: Last::new(),
            promised: BTreeMap::new(),
            high: Last::new(),
            pids: Last::new(),
            fds: Last::new(),
            open: Last::new(),
            by_path: BTreeMap::new(),
            used: BTreeMap::new(),
            source: history.source.name().to_owned(),
            hosts,
        };
        bounds.own = bounds.last(history, "container_spec_memory_limit_bytes", f64::min)?;
        for ((_, _, host), (limit, _)) in &bounds.own {
            *bounds.promised.entry(host.clone()).or_default() += limit;
        }
        bounds.high = bounds.last(history, "highwater_cgroup_memory_high_bytes", f64::min)?;
        bounds.pids = bounds.last(history, "container_threads_max", f64::min)?;
        bounds.fds = bounds.last(history, "process_max_fds", f64::min)?;
        bounds.open = bounds.last(history, "process_open_fds", f64::max)?;
        bounds.by_path = bounds.paths(history, "container_spec_memory_limit_bytes")?;
        bounds.used = bounds.paths(history, "container_memory_working_set_bytes")?;
        bounds.machines = bounds.machines(history)?;
        Ok(bounds)
    }

    /// The machine that `whose` is on.
    pub(super) fn machine(&self, whose: &Whose) -> Option<&Machine> {
        self.machines.get(whose.host.as_deref().unwrap_or_default())
    }

    /// What each limit of memory adds up to, on one machine.
    pub(super) fn promised(&self, host: Option<&str>) -> f64 {
        self.promised.get(host.unwrap_or_default()).copied().unwrap_or_default()
    }

    /// Its own limit of memory.
    pub(super) fn own_limit(&self, whose: &Whose) -> Option<f64> {
        self.own.get(&key(whose)).map(|(limit, _)| *limit)
    }

    /// The nearest level for memory of `whose` that is at `current` now. `beside` is what it has
    /// besides that counts against the same limit and cannot be dropped.
    pub(super) fn of_memory(&self, whose: &Whose, current: f64, beside: f64) -> Option<Bound> {
        let own = self.own.get(&key(whose)).map(|(limit, labels)| {
            self.bound(Ceiling::Own, *limit, *limit - beside, &labels.to_string())
        });
        let above = self.above(whose, current);
        let machine = self.machine(whose).and_then(|machine| self.of_machine(machine, current));
        let hard = nearest([own, above, machine]);
        // Where a limit follows, the brake before it is only a brake.
        let high = self.high.get(&key(whose)).map(|(limit, labels)| {
            self.bound(Ceiling::High, *limit, *limit - beside, &labels.to_string())
        });
        let is_before_own = hard.as_ref().is_some_and(|hard| hard.ceiling == Ceiling::Own);
        nearest([hard, high.filter(|_| !is_before_own), None])
    }

    /// The machine's own level.
    fn of_machine(&self, machine: &Machine, current: f64) -> Option<Bound> {
        let room = machine.room?;
        let limit = machine.total.unwrap_or(current + room);
        let text = machine.room_evidence.clone();
        let evidence = Evidence { source: self.source.clone(), line: None, text };
        Some(Bound { ceiling: Ceiling::Machine, limit, level: current + room, evidence })
    }

    fn above(&self, whose: &Whose, current: f64) -> Option<Bound> {
        let host = whose.host.clone().unwrap_or_default();
        let mut found = None;
        let mut path = whose.id.as_str();
        while let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
        {
            path = parent;
            let at = (host.clone(), parent.to_owned());
            let Some((limit, used)) = self.by_path.get(&at).zip(self.used.get(&at)) else {
                continue;
            };
            let level = current + (limit - used).max(0.0);
            let text = format!("container_spec_memory_limit_bytes{{id={:?}}}", tidy(parent));
            let ceiling = Ceiling::Above(tidy(parent));
            found = nearest([found, Some(self.bound(ceiling, *limit, level, &text)), None]);
        }
        found
    }

    /// How many descriptors, of an owner that has `current`: the limit is that of one process, and
    /// that with the most reaches it first.
    pub(super) fn of_files(&self, whose: &Whose, current: f64) -> Option<Bound> {
        let (limit, labels) = self.fds.get(&key(whose))?;
        let most = self.open.get(&key(whose)).map_or(current, |(most, _)| *most);
        let level = limit + (current - most).max(0.0);
        Some(self.bound(Ceiling::Files, *limit, level, &labels.to_string()))
    }

    /// How many processes and threads.
    pub(super) fn of_tasks(&self, whose: &Whose) -> Option<Bound> {
        let (limit, labels) = self.pids.get(&key(whose))?;
        Some(self.bound(Ceiling::Tasks, *limit, *limit, &labels.to_string()))
    }

    fn bound(&self, ceiling: Ceiling, limit: f64, level: f64, series: &str) -> Bound {
        let text = format!("{}: {limit:.0}", tidy(series));
        let evidence = Evidence { source: self.source.clone(), line: None, text };
        Bound { ceiling, limit, level, evidence }
    }

    /// The last value of a limit, by owner. Of several (processes of one owner, cgroups below it)
    /// that counts which `choose` chooses.
    fn last(
        &self,
        history: History<'_>,
        metric: &str,
        choose: fn(f64, f64) -> f64,
    ) -> Result<Last, SourceError> {
        let mut found = Last::new();
        for (labels, point) in history.last(metric, &[], REACH)? {
            let mut bare = labels.clone();
            // Processes name their owner by their cgroup.
            for label in ["pid", "start", "comm"] {
                bare.set(label, "");
            }
            let Some(whose) = self.hosts.owner(&bare).filter(|_| is_limit(point.value)) else {
                continue;
            };
            let chosen = found.entry(key(&whose)).or_insert((point.value, labels));
            chosen.0 = choose(chosen.0, point.value);
        }
        Ok(found)
    }

    /// The last value by path.
    fn paths(
        &self,
        history: History<'_>,
        metric: &str,
    ) -> Result<BTreeMap<(String, String), f64>, SourceError> {
        let found = history.last(metric, &[Matcher::is("name", "")], REACH)?;
        let of_path = found
            .into_iter()
            .filter(|(labels, point)| labels.get("id").starts_with('/') && is_limit(point.value));
        let keyed = of_path.map(|(labels, point)| {
            let host = self.hosts.name(&labels).unwrap_or_default();
            ((host, labels.get("id").to_owned()), point.value)
        });
        Ok(keyed.collect())
    }

    fn machines(&self, history: History<'_>) -> Result<BTreeMap<String, Machine>, SourceError> {
        let mut mem: BTreeMap<String, BTreeMap<&'static str, f64>> = BTreeMap::new();
        for metric in MEM {
            for (labels, point) in history.last(metric, &[Matcher::is("pid", "")], REACH)? {
                let host = self.hosts.name(&labels).unwrap_or_default();
                let slot = mem.entry(host).or_default().entry(metric).or_insert(0.0);
                // Zones add up; of everything else there is one.
                *slot = if *metric == LOW { *slot + point.value } else { point.value };
            }
        }
        for ((host, path), used) in &self.used {
            if path == "/" {
                mem.entry(host.clone()).or_default().insert(ROOT, *used);
            }
        }
        Ok(mem.into_iter().map(|(host, mem)| (host, machine(&mem))).collect())
    }
}

const LOW: &str = "highwater_zone_low_bytes";
const ROOT: &str = "working set of /";

pub(super) const MEM: &[&str] = &[
    "node_memory_MemTotal_bytes",
    "machine_memory_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_Cached_bytes",
    "vmstat_cache_bytes",
    "node_memory_Buffers_bytes",
    "node_memory_Shmem_bytes",
    "node_memory_SReclaimable_bytes",
    "node_memory_SwapFree_bytes",
    LOW,
];

fn machine(mem: &BTreeMap<&'static str, f64>) -> Machine {
    let get = |name: &str| mem.get(name).copied();
    let total = get("node_memory_MemTotal_bytes").or_else(|| get("machine_memory_bytes"));
    // Kernels before 3.14 do not say what is available, and vmstat never does.
    let reckoned = get("node_memory_MemFree_bytes").map(|free| {
        let more = ["node_memory_Cached_bytes", "node_memory_Buffers_bytes", "vmstat_cache_bytes"];
        let cache: f64 = more.into_iter().filter_map(get).sum();
        free + (cache - get("node_memory_Shmem_bytes").unwrap_or(0.0)).max(0.0)
            + get("node_memory_SReclaimable_bytes").unwrap_or(0.0)
    });
    let of_root = total.zip(get(ROOT)).map(|(total, used)| (total - used).max(0.0));
    let available = get("node_memory_MemAvailable_bytes").or(reckoned).or(of_root);
    let low = get(LOW).or_else(|| total.map(low_watermark)).unwrap_or(0.0);
    let amount = |value: f64| Bytes::from_f64(value);
    let room = available.map(|available| (available - low).max(0.0));
    let room_evidence = match (available, get("node_memory_MemAvailable_bytes")) {
        (Some(free), Some(_)) => {
            format!("MemAvailable {}, low watermark {}", amount(free), amount(low))
        }
        (Some(free), None) => {
            format!(
                "free or reclaimable {} (reckoned), low watermark {}",
                amount(free),
                amount(low)
            )
        }
        (None, _) => String::new(),
    };
    Machine { total, room, swap_free: get("node_memory_SwapFree_bytes"), room_evidence }
}

/// The sum of the low watermarks where nobody tells it: 5/4 of the kernel's own minimum.
fn low_watermark(total: f64) -> f64 {
    let kib = (total / 1024.0 * 16.0).sqrt().clamp(MIN_FREE_KIB.0, MIN_FREE_KIB.1);
    kib * 1024.0 * 1.25
}

fn hosts(history: History<'_>) -> Result<Hosts, SourceError> {
    let mut told = history.last("node_memory_MemTotal_bytes", &[], REACH)?;
    if told.is_empty() {
        told = history.last("node_memory_MemFree_bytes", &[], REACH)?;
    }
    for (metric, _) in super::machine::SHARES {
        told.extend(history.last(metric, &[], REACH)?);
    }
    Ok(Hosts::of(told.iter().map(|(labels, _)| labels)))
}

/// cAdvisor writes no limit as 0, the agent as `+Inf`, cgroup v1 as a very large number.
fn is_limit(value: f64) -> bool {
    value > 0.0 && value < NO_LIMIT
}

fn key(whose: &Whose) -> (String, String, String) {
    let (kind, own, host) = whose.key();
    (kind.to_owned(), own.to_owned(), host.to_owned())
}

fn nearest(bounds: [Option<Bound>; 3]) -> Option<Bound> {
    bounds.into_iter().flatten().min_by(|a, b| a.level.total_cmp(&b.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_what_is_available_above_its_low_watermark() {
        let gib = 1_073_741_824.0;
        let told = machine(&BTreeMap::from([
            ("node_memory_MemTotal_bytes", 4.0 * gib),
            ("node_memory_MemAvailable_bytes", 2.0 * gib),
            (LOW, 0.25 * gib),
        ]));
        assert_eq!(told.room, Some(1.75 * gib));
        let reckoned = machine(&BTreeMap::from([
            ("node_memory_MemFree_bytes", gib),
            ("node_memory_Cached_bytes", gib),
            ("node_memory_Shmem_bytes", gib / 2.0),
        ]));
        assert_eq!(reckoned.room, Some(1.5 * gib));
        let root = machine(&BTreeMap::from([("machine_memory_bytes", 4.0 * gib), (ROOT, gib)]));
        assert!(root.room.is_some_and(|room| room > 2.9 * gib && room < 3.0 * gib));
        assert_eq!(machine(&BTreeMap::new()).room, None);
    }

    #[test]
    fn no_limit_is_written_in_three_ways() {
        for none in [0.0, f64::INFINITY, 9_223_372_036_854_771_712.0, f64::NAN] {
            assert!(!is_limit(none), "{none}");
        }
        assert!(is_limit(1_048_576.0));
    }
}
