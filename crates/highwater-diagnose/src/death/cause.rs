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
