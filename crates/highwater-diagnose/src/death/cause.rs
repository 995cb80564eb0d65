//! Who killed, and for want of what.

use highwater_core::event::Whereabouts;
use highwater_core::limit::Limit;
use highwater_oom::Cause;
use highwater_oom::report::{LineNumber, OomReport};
use serde::Serialize;

/// How sure a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The log says so in undamaged words.
    Certain,
    /// The log says so in damaged words, or the record makes it very probable.
    Likely,
    /// Something speaks for it, nothing against.
    Possible,
    /// Nothing says.
    Unknown,
}

impl Confidence {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
            Self::Unknown => "unknown",
        }
    }

    /// This, or less sure: `other` if that is the less sure of the two.
    #[must_use]
    pub(super) fn at_most(self, other: Self) -> Self {
        let doubt = |confidence| match confidence {
            Self::Certain => 0,
            Self::Likely => 1,
            Self::Possible => 2,
            Self::Unknown => 3,
        };
        if doubt(other) > doubt(self) { other } else { self }
    }
}

/// From this share of its limit on, a recorded cgroup was about to reach it: samples are a few
/// seconds apart.
const NEARLY_FULL_PERMILLE: u32 = 900;

/// The cause of a kill of this report, and how sure it is.
pub(super) fn of(
    report: &OomReport,
    kill_line: Option<LineNumber>,
    known: Option<&Whereabouts>,
) -> (Cause, Confidence) {
    let cause = report.cause();
    let words = match cause {
        Cause::Unknown if is_full(report) => return (Cause::KernelOomMemcg, Confidence::Likely),
        Cause::Unknown if !report.candidates.is_empty() => {
            return (Cause::SystemdOomd, Confidence::Likely);
        }
        Cause::Unknown if report.trigger.is_some() && calls(report, "mem_cgroup_o") => {
            return (Cause::KernelOomMemcg, Confidence::Likely);
        }
        Cause::Unknown if is_of_machine(report) => {
            return (Cause::KernelOomGlobal, Confidence::Likely);
        }
        Cause::Unknown => return from_record(known),
        Cause::KernelOomSysrq => None,
        cause if cause.is_program() => None,
        _ => report.constraint,
    };
    let Some(constraint) = words else { return (cause, Confidence::Certain) };
    let damaged = |line| report.oddities.iter().any(|odd| odd.line == line);
    let both_damaged = damaged(constraint.line) && kill_line.is_none_or(damaged);
    (cause, if both_damaged { Confidence::Likely } else { Confidence::Certain })
}

/// The kernel prints a cgroup's counters only when that cgroup ran out; that they are full
/// settles it.
fn is_full(report: &OomReport) -> bool {
    let memory = report.memcg.memory.map(|told| (told.value.usage, told.value.limit));
    match memory {
        Some((Some(usage), Some(Limit::At(limit)))) => {
            usage.permille_of(limit).is_some_and(|share| share.get() >= NEARLY_FULL_PERMILLE)
        }
        _ => false,
    }
}

/// Somebody asked, and the kernel printed the machine's memory and not a word of any cgroup: that
/// is how it reports a machine that ran out, or some of its nodes.
fn is_of_machine(report: &OomReport) -> bool {
    let (machine, memcg) = (&report.machine, &report.memcg);
    let of_cgroup = memcg.memory.is_some() || memcg.task.is_some() || !memcg.stats.is_empty();
    let of_machine = machine.line.is_some()
        || !machine.zones.is_empty()
        || !machine.free_lists.is_empty()
        || calls(report, "__alloc_pages");
    report.trigger.is_some() && of_machine && !of_cgroup
}

/// Whether the stack of whoever asked has a function of this name: `mem_cgroup_out_of_memory`
/// (`mem_cgroup_oom_…` before 3.x) is called only for a cgroup, `__alloc_pages…` only for pages.
fn calls(report: &OomReport, function: &str) -> bool {
    report.lines.iter().any(|line| line.text.contains(function) && line.text.contains("+0x"))
}

/// A kill line that names no cause: the limit that was nearly reached when last sampled.
fn from_record(known: Option<&Whereabouts>) -> (Cause, Confidence) {
    let full = known.and_then(|known| {
        let limit = known.limit.and_then(Limit::at)?;
        Some(known.usage?.permille_of(limit)?.get() >= NEARLY_FULL_PERMILLE)
    });
    match full {
        Some(true) => (Cause::KernelOomMemcg, Confidence::Likely),
        _ => (Cause::Unknown, Confidence::Unknown),
    }
}
