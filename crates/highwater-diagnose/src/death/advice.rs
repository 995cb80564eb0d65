//! What to do next. Commands are given only where the evidence names their object.

mod limit;
mod machine;

use highwater_core::frame::CgroupVersion;
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::units::Bytes;
use highwater_oom::report::Counter;

use super::growth::Growth;
use super::reason::Reason;
use super::scene::Scene;
use super::{Cause, claims};
use crate::words;
use limit::{Target, is_manageable};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What, and why.
    pub text: String,
    /// The command, where there is one.
    pub command: Option<String>,
}

impl Advice {
    fn new(text: impl Into<String>, command: Option<String>) -> Self {
        Self { text: text.into(), command }
    }
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{}: {command}", self.text.trim_end_matches('.')),
            None => f.write_str(&self.text),
        }
    }
}

/// What follows for whoever has to act.
pub(super) fn of(scene: &Scene<'_>) -> Vec<Advice> {
    let mut advice = match scene.verdict.0 {
        Cause::KernelOomMemcg => for_limit(scene),
        Cause::KernelOomGlobal => machine::advice(scene),
        Cause::KernelOomCpuset | Cause::KernelOomMempolicy => vec![Advice::new(
            "see how full each memory node is, and which the process is bound to",
            Some("numactl --hardware; grep Mems_allowed_list /proc/*/status".to_owned()),
        )],
        Cause::KernelOomSysrq => vec![Advice::new(
            "find who pressed the key or wrote to /proc/sysrq-trigger",
            Some("journalctl --since -1h | grep -i sysrq".to_owned()),
        )],
        Cause::SystemdOomd => {
            vec![
                Advice::new("see what systemd-oomd watches", Some("oomctl".to_owned())),
                Advice::new(
                    "see what it considered, and why",
                    Some("journalctl -u systemd-oomd".to_owned()),
                ),
            ]
        }
        Cause::Earlyoom | Cause::Nohang | Cause::Oomd | Cause::Lowmemorykiller => {
            program(scene.verdict.0).into_iter().collect()
        }
        Cause::Unknown => vec![Advice::new(
            "look for the lines around it in the kernel's log",
            Some("journalctl -k -g 'oom|Killed process'".to_owned()),
        )],
    };
    advice.extend(holders(scene));
    advice.extend(runtime(scene));
    if scene.recorded.is_none() && scene.kill.is_some() {
        advice.push(Advice::new(
            "record this machine, so that the next death shows its growth",
            Some("highwater agent".to_owned()),
        ));
    }
    let names = scene.names();
    for one in &mut advice {
        one.text = words::sentence(&one.text, &names);
    }
    advice
}

/// Where each program says what it does, and is told what to leave alone.
fn program(cause: Cause) -> Option<Advice> {
    let (text, command) = match cause {
        Cause::Earlyoom => (
            "see its thresholds and whom it avoids (-m, -s, --avoid, --prefer in its options)",
            "systemctl cat earlyoom; cat /etc/default/earlyoom",
        ),
        Cause::Nohang => (
            "see its thresholds and whose badness it lowers",
            "nohang --config /etc/nohang/nohang.conf --check",
        ),
        Cause::Oomd => (
            "see which ruleset fired, and what it watches",
            "journalctl -u oomd; cat /etc/oomd.json",
        ),
        Cause::Lowmemorykiller => (
            "see at how much free memory each level of importance is killed",
            "cat /sys/module/lowmemorykiller/parameters/{adj,minfree}; getprop | grep lmk",
        ),
        _ => return None,
    };
    Some(Advice::new(text, Some(command.to_owned())))
}

/// What the holders that no kill empties are told apart with.
fn holders(scene: &Scene<'_>) -> Vec<Advice> {
    let reasons = claims::holders_of(scene);
    let has = |reason| reasons.contains(&reason);
    let mut advice = Vec::new();
    if has(Reason::KernelMemory) {
        advice.push(Advice::new(
            "see what the kernel holds, largest first, and whether it grows",
            Some("slabtop -o -s c | head -20; grep -E 'Slab|Unreclaim|Vmalloc|Percpu|PageTables' /proc/meminfo".to_owned()),
        ));
    }
    if has(Reason::SharedMemory) {
        advice.push(Advice::new(
            "find the files and segments that take it; a size limit on the mount keeps them small",
            Some("df -h -t tmpfs; ipcs -mu; du -xsh /dev/shm /tmp".to_owned()),
        ));
    }
    if has(Reason::HugePagePool) {
        advice.push(Advice::new(
            "give back the huge pages that nobody uses",
            Some("grep -i huge /proc/meminfo; sysctl vm.nr_hugepages".to_owned()),
        ));
    }
    advice
}

fn for_limit(scene: &Scene<'_>) -> Vec<Advice> {
    let Some(owner) = &scene.limit_owner else { return vec![find_owner(scene)] };
    let limit = scene.limit.as_ref().and_then(|told| told.value.at());
    let path = owner.value.as_str();
    let version = version(scene);
    let text = match scene.curves.growth.first().map(Growth::rose) {
        Some(true) => {
            "it was growing: a higher limit only buys time; raise it while you find the leak"
        }
        _ => "if it needs this much, raise the limit (a leak only dies later)",
    };
    let target = Target { path, limit, swap: swap_part(scene), version };
    let mut advice = vec![Advice::new(text, target.raise())];
    match Owner::of_path(path) {
        Owner::Session(unit) => advice.push(Advice::new(
            format!("{unit} is a login session, not a service: run the program as a unit of its own, with its own limit, log and restart"),
            None,
        )),
        Owner::Unit(unit) if version == Some(CgroupVersion::V2) && is_manageable(&unit) => advice.push(Advice::new(
            "slow it down before it is killed, so that there is time to look",
            limit.map(|limit| format!("systemctl set-property {unit} MemoryHigh={}", tenth_less(limit))),
        )),
        _ => {}
    }
    if path.contains("kubepods") {
        advice.push(Advice::new("in Kubernetes the limit is the pod's: change resources.limits.memory in its spec, or the kubelet sets it back", None));
    }
    advice
}

fn find_owner(scene: &Scene<'_>) -> Advice {
    let command = match (&scene.task_cgroup, scene.kill.and_then(|kill| kill.comm.as_deref())) {
        (Some(task), _) => format!("systemd-cgls {}", quoted(&task.value)),
        (None, Some(comm)) if is_plain(comm) => {
            format!("cat /proc/$(pgrep -nx {comm})/cgroup   # once it runs again")
        }
        _ => "systemd-cgls".to_owned(),
    };
    Advice::new("find its cgroup, then the limit of that or of one above", Some(command))
}

/// By what only one of them prints.
fn version(scene: &Scene<'_>) -> Option<CgroupVersion> {
    let memcg = &scene.report.memcg;
    let has = |name| memcg.stats.iter().any(|stats| stats.get(name).is_some());
    match () {
        () if memcg.memsw.is_some() || memcg.kmem.is_some() || has("cache") => {
            Some(CgroupVersion::V1)
        }
        () if memcg.swap.is_some() || has("anon") => Some(CgroupVersion::V2),
        () => scene.cgroup_version,
    }
}

/// Programs whose runtime can be told to stay below the limit.
fn runtime(scene: &Scene<'_>) -> Option<Advice> {
    /// What a managed heap may take of a limit; the rest is for everything beside the heap.
    const HEAP_PER_CENT: u64 = 75;
    let comm = scene.kill?.comm.as_deref()?;
    let limit = scene.limit.as_ref().map(|told| told.value).and_then(Limit::at)?;
    let heap = mebibytes(Bytes::new(limit.get() / 100 * HEAP_PER_CENT));
    match comm {
        "node" | "next-server" => Some(Advice::new(
            "keep Node's heap below the limit, so that it fails with a heap trace instead",
            Some(format!("NODE_OPTIONS=--max-old-space-size={heap}")),
        )),
        "java" => Some(Advice::new(
            "keep Java's heap below the limit, and have it write a dump when it is full",
            Some(format!("JAVA_TOOL_OPTIONS='-Xmx{heap}m -XX:+HeapDumpOnOutOfMemoryError'")),
        )),
        _ => None,
    }
}

/// How much swap the cgroup was allowed beside its memory, where the report says so.
fn swap_part(scene: &Scene<'_>) -> Option<Bytes> {
    let memcg = &scene.report.memcg;
    let limit = |counter: &highwater_oom::report::Cited<Counter>| counter.value.limit?.at();
    if let Some(both) = memcg.memsw.as_ref() {
        let memory = memcg.memory.as_ref().and_then(limit)?;
        return Some(limit(both)?.saturating_sub(memory));
    }
    memcg.swap.as_ref().and_then(limit)
}

fn tenth_less(limit: Bytes) -> String {
    format!("{}M", mebibytes(limit.saturating_sub(Bytes::new(limit.get() / 10))))
}

/// Whole mebibytes, rounded up: what every tool's option takes.
fn mebibytes(amount: Bytes) -> u64 {
    amount.get().div_ceil(1 << 20)
}

/// A name that needs no quoting in a shell.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

/// A path as a shell takes it literally: these names are chosen by others.
fn quoted(path: &str) -> String {
    if is_plain(path) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
