//! Which files a memory cgroup has, and what the bytes of each say: a table per version.

use highwater_core::frame::CgroupMemory;
use highwater_core::units::{Bytes, PageSize};

use crate::parse::{number, pressure, v1, v2};

/// A file of a cgroup: its name, and what its bytes say.
pub(super) struct Source {
    pub(super) file: &'static str,
    pub(super) apply: fn(&[u8], &mut CgroupMemory, PageSize),
}

const fn source(file: &'static str, apply: fn(&[u8], &mut CgroupMemory, PageSize)) -> Source {
    Source { file, apply }
}

fn bytes(text: &[u8]) -> Option<Bytes> {
    number::u64(text).map(Bytes::new)
}

/// How many files of a cgroup are kept open at most.
pub(super) const FAST: usize = 6;

/// The files of the memory controller.
pub(super) struct Table {
    /// Read at every tick: they show whether the cgroup rests.
    pub(super) probes: &'static [Source],
    /// Read at every tick, too, unless it rests; with the probes at most [`FAST`].
    pub(super) fast: &'static [Source],
    /// Read at the slow cadence.
    pub(super) slow: &'static [Source],
}

/// `memory.stat` has the swap, too.
pub(super) const V1: Table = Table {
    probes: &[source("memory.usage_in_bytes", |text, m, _| m.usage = bytes(text))],
    fast: &[
        source("memory.limit_in_bytes", |text, m, page| m.limit = number::v1_limit(text, page)),
        source("memory.stat", |text, m, _| v1::stat(text, m)),
        source("memory.failcnt", |text, m, _| m.limit_hits = number::u64(text)),
        source("memory.oom_control", |text, m, _| v1::oom_control(text, m)),
    ],
    slow: &[
        source("memory.max_usage_in_bytes", |text, m, _| m.peak = bytes(text)),
        source("memory.memsw.usage_in_bytes", |text, m, _| m.memsw_usage = bytes(text)),
        source("memory.memsw.limit_in_bytes", |text, m, page| {
            m.memsw_limit = number::v1_limit(text, page);
        }),
        source("memory.kmem.usage_in_bytes", |text, m, _| m.kernel = bytes(text)),
        // Nothing is counted before a limit is set, and then nothing is told.
        source("memory.kmem.tcp.usage_in_bytes", |text, m, _| {
            m.sock = bytes(text).filter(|counted| *counted > Bytes::ZERO);
        }),
    ],
};

pub(super) const V2: Table = Table {
    probes: &[
        source("memory.current", |text, m, _| m.usage = bytes(text)),
        source("memory.swap.current", |text, m, _| m.swap = bytes(text)),
    ],
    fast: &[
        source("memory.max", |text, m, _| m.limit = number::v2_limit(text)),
        source("memory.stat", |text, m, _| v2::stat(text, m)),
        source("memory.events", |text, m, _| v2::events(text, m)),
        source("memory.pressure", |text, m, _| m.pressure = Some(pressure::parse(text))),
    ],
    slow: &[
        source("memory.peak", |text, m, _| m.peak = bytes(text)),
        source("memory.high", |text, m, _| m.high = number::v2_limit(text)),
        source("memory.low", |text, m, _| m.low = number::v2_limit(text)),
        source("memory.min", |text, m, _| m.min = number::v2_limit(text)),
        source("memory.swap.max", |text, m, _| m.swap_limit = number::v2_limit(text)),
        source("memory.oom.group", |text, m, _| {
            m.oom_group = number::u64(text).map(|on| on != 0);
        }),
    ],
};

const _: () = assert!(
    V1.probes.len() + V1.fast.len() <= FAST && V2.probes.len() + V2.fast.len() <= FAST,
    "there is room to keep each"
);

/// The pids controller, which may be mounted elsewhere, and its files.
pub(super) const PIDS: &[Source] = &[
    source("pids.current", |text, m, _| m.pids = number::u64(text)),
    source("pids.max", |text, m, _| m.pids_limit = number::count_limit(text)),
];

/// What the v2 side of a hybrid machine has of a cgroup whose memory v1 controls.
pub(super) const HYBRID: &[Source] =
    &[source("memory.pressure", |text, m, _| m.pressure = Some(pressure::parse(text)))];
