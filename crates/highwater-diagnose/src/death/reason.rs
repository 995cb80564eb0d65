//! Why it came to this, apart from who killed: one primary reason, and what contributed.

use highwater_core::evidence::Claim;
use serde::Serialize;

use super::Confidence;

/// What made it happen. `Cause` names the killer; this names the want, and what made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The limit of the victim's own cgroup.
    OwnLimit,
    /// The limit of a cgroup above the victim's.
    AncestorLimit,
    /// A cgroup's limit; whether the victim's own is not known.
    CgroupLimit,
    /// The machine as a whole had no memory left.
    Machine,
    /// One memory node had none left, while another did.
    Node,
    /// One kind of zone had none left, while another did.
    Zone,
    /// Memory was free, but not in pieces as large as the one that was needed.
    Fragmentation,
    /// The kernel itself held a large share: slab, page tables, or what no counter names.
    KernelMemory,
    /// tmpfs or shared memory held a large share.
    SharedMemory,
    /// Swap was full.
    SwapExhausted,
    /// There was no swap, or none that the cgroup may use.
    SwapAbsent,
    /// A pool of huge pages kept memory that nobody used.
    HugePagePool,
    /// The cgroup lived at its limit: it needs more than that.
    LimitBelowWorkingSet,
    /// The cgroup is set to die as a whole.
    GroupKill,
    /// Another process asked than the one that died.
    AskedByAnother,
    /// No process was left that may be killed.
    NothingToKill,
    /// A program in user space held memory to be short.
    KillerThreshold,
    /// Somebody asked for it.
    ByHand,
    /// The log does not say.
    Unknown,
}

impl Reason {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnLimit => "own-limit",
            Self::AncestorLimit => "ancestor-limit",
            Self::CgroupLimit => "cgroup-limit",
            Self::Machine => "machine",
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Fragmentation => "fragmentation",
            Self::KernelMemory => "kernel-memory",
            Self::SharedMemory => "shared-memory",
            Self::SwapExhausted => "swap-exhausted",
            Self::SwapAbsent => "swap-absent",
            Self::HugePagePool => "huge-page-pool",
            Self::LimitBelowWorkingSet => "limit-below-working-set",
            Self::GroupKill => "group-kill",
            Self::AskedByAnother => "asked-by-another",
            Self::NothingToKill => "nothing-to-kill",
            Self::KillerThreshold => "killer-threshold",
            Self::ByHand => "by-hand",
            Self::Unknown => "unknown",
        }
    }

    /// As the page has it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OwnLimit => "its own cgroup's limit",
            Self::AncestorLimit => "the limit of a cgroup above it",
            Self::CgroupLimit => "a cgroup's limit",
            Self::Machine => "the machine was out of memory",
            Self::Node => "one memory node was out of memory",
            Self::Zone => "one memory zone was out of memory",
            Self::Fragmentation => "fragmentation",
            Self::KernelMemory => "memory held by the kernel",
            Self::SharedMemory => "shared memory or tmpfs",
            Self::SwapExhausted => "swap was full",
            Self::SwapAbsent => "no swap",
            Self::HugePagePool => "unused huge pages",
            Self::LimitBelowWorkingSet => "a limit below what it needs",
            Self::GroupKill => "the cgroup dies as a whole",
            Self::AskedByAnother => "another process asked",
            Self::NothingToKill => "nothing was left to kill",
            Self::KillerThreshold => "the threshold of a program",
            Self::ByHand => "somebody asked for it",
            Self::Unknown => "unknown",
        }
    }
}

/// What part a reason had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Without it, this would not have happened.
    Primary,
    /// It made it likelier, or worse, or hides the real reason.
    Contributing,
}

/// A reason and what it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Which.
    pub reason: Reason,
    /// What part it had.
    pub role: Role,
    /// How sure it is that it had this part.
    pub confidence: Confidence,
    /// The statement and its evidence.
    pub claim: Claim,
}

/// The reasons in the order in which they were found, the primary one first: the bound that was
/// reached, unless one holder alone took most of a machine.
pub(super) fn ordered(
    found: Vec<(Reason, Confidence, Claim)>,
    dominant: Option<Reason>,
) -> Vec<Ground> {
    let at = dominant.and_then(|reason| found.iter().position(|(other, ..)| *other == reason));
    let primary = at.unwrap_or(0);
    let grounds = found.into_iter().enumerate().map(|(at, (reason, confidence, claim))| {
        let role = if at == primary { Role::Primary } else { Role::Contributing };
        Ground { reason, role, confidence, claim }
    });
    let mut grounds: Vec<Ground> = grounds.collect();
    grounds.sort_by_key(|ground| ground.role != Role::Primary);
    grounds
}
