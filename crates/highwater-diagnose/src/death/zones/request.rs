//! What was asked for: how much in one piece, and from where it may come.

use std::ops::RangeInclusive;

use highwater_oom::report::{Constraint, OomReport};

/// The request that could not be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::death) struct Request {
    /// For 2^order pages; `None` where not printed.
    pub(in crate::death) order: Option<i32>,
    /// The highest kind of zone it may use; `None` where the flags are not printed.
    highest: Option<Level>,
    /// Its pages can be moved later, so that it may use what is kept for devices meanwhile.
    movable: bool,
    /// The nodes it is confined to; `None` is all of them.
    nodes: Option<Vec<RangeInclusive<u32>>>,
}

/// Kinds of zones, in the order in which a request falls back: from its own downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Dma,
    Dma32,
    Normal,
    HighMem,
    Movable,
}

/// The flags that choose the zone (`include/linux/gfp_types.h`); the same since 2.6.30, and the
/// first two since ever.
const DMA: u32 = 0x1;
const HIGHMEM: u32 = 0x2;
const DMA32: u32 = 0x4;
const MOVABLE: u32 = 0x8;

impl Request {
    pub(in crate::death) fn of(report: &OomReport) -> Self {
        let trigger = report.trigger.as_ref().map(|told| &told.value);
        let flags = trigger.and_then(|asked| flags(asked.gfp_mask.as_deref()?));
        let has = |flag| flags.is_some_and(|flags| flags & flag != 0);
        let highest = flags.map(|_| match () {
            () if has(DMA) => Level::Dma,
            () if has(DMA32) => Level::Dma32,
            () if has(HIGHMEM) && has(MOVABLE) => Level::Movable,
            () if has(HIGHMEM) => Level::HighMem,
            () => Level::Normal,
        });
        let order = trigger.and_then(|asked| asked.order);
        Self { order, highest, movable: flags.is_none() || has(MOVABLE), nodes: nodes(report) }
    }

    /// Whether it may use this zone at all.
    pub(in crate::death) fn may_use(&self, node: Option<u32>, zone: &str) -> bool {
        let low_enough = match (self.highest, level(zone)) {
            (Some(highest), Some(level)) => level <= highest,
            // A zone for devices' own memory is nobody else's.
            (_, None) => zone != "Device",
            (None, Some(_)) => true,
        };
        let near_enough = match (&self.nodes, node) {
            (Some(nodes), Some(node)) => nodes.iter().any(|range| range.contains(&node)),
            _ => true,
        };
        low_enough && near_enough
    }

    pub(in crate::death) const fn is_movable(&self) -> bool {
        self.movable
    }

    /// Whether it is one for memory of the kernel's own, which high memory cannot hold.
    pub(in crate::death) fn is_for_kernel(&self) -> bool {
        self.highest.is_some_and(|highest| highest <= Level::Normal)
    }

    /// Which entry of a zone's `lowmem_reserve[]` speaks of this request, in the words of the
    /// zone it comes from; the last entry speaks of requests that may use every zone.
    pub(in crate::death) const fn home(&self) -> Option<&'static str> {
        match self.highest {
            Some(Level::Dma) => Some("DMA"),
            Some(Level::Dma32) => Some("DMA32"),
            Some(Level::Normal) => Some("Normal"),
            Some(Level::HighMem) => Some("HighMem"),
            Some(Level::Movable) | None => None,
        }
    }
}

/// `0x100cca(GFP_HIGHUSER_MOVABLE)`, `0x1d2`.
fn flags(mask: &str) -> Option<u32> {
    let digits = mask.strip_prefix("0x")?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    u32::from_str_radix(digits.get(..end)?, 16).ok()
}

fn level(zone: &str) -> Option<Level> {
    match zone {
        "DMA" => Some(Level::Dma),
        "DMA32" => Some(Level::Dma32),
        "Normal" => Some(Level::Normal),
        "HighMem" => Some(Level::HighMem),
        "Movable" => Some(Level::Movable),
        _ => None,
    }
}

/// Whether requests fall back from the one zone to the other.
pub(in crate::death) fn is_above(zone: &str, other: &str) -> bool {
    level(zone).zip(level(other)).is_some_and(|(zone, other)| zone > other)
}

/// The nodes that the request was confined to, in the words of the constraint that applied.
fn nodes(report: &OomReport) -> Option<Vec<RangeInclusive<u32>>> {
    let (constraint, list) = (report.constraint?.value, allowed(report));
    let confined = matches!(constraint, Constraint::Cpuset | Constraint::Mempolicy);
    list.filter(|_| confined).map(ranges).filter(|ranges| !ranges.is_empty())
}

/// `0-1,3` as printed: of a NUMA policy its node mask, of a cpuset its nodes.
pub(in crate::death) fn allowed(report: &OomReport) -> Option<&str> {
    let summary = report.summary.as_ref().map(|told| &told.value);
    let trigger = report.trigger.as_ref().map(|told| &told.value);
    let mask = summary.and_then(|summary| summary.nodemask.as_deref());
    let mask = mask.or_else(|| trigger.and_then(|asked| asked.nodemask.as_deref()));
    let mems = summary.and_then(|summary| summary.mems_allowed.as_deref());
    let mems = mems.or_else(|| trigger.and_then(|asked| asked.mems_allowed.as_deref()));
    match report.constraint?.value {
        Constraint::Mempolicy => mask.or(mems),
        _ => mems.or(mask),
    }
}

/// A list that is damaged says what it still can.
fn ranges(list: &str) -> Vec<RangeInclusive<u32>> {
    /// No machine has more pieces of nodes; a longer list is no list.
    const PIECES: usize = 64;
    let one = |piece: &str| {
        let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    list.split(',').take(PIECES).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use highwater_oom::report::{Cited, Summary, Trigger};

    use super::*;

    fn with(mask: &str) -> Request {
        let trigger = Trigger { gfp_mask: Some(mask.to_owned()), ..Trigger::default() };
        let trigger = Some(Cited { value: trigger, line: 1 });
        Request::of(&OomReport { trigger, ..OomReport::default() })
    }

    #[test]
    fn flags_say_which_zones_may_serve() {
        let served = |mask: &str| {
            let request = with(mask);
            let zones = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];
            zones.into_iter().filter(|zone| request.may_use(None, zone)).collect::<Vec<_>>()
        };
        assert_eq!(served("0xd0"), ["DMA", "DMA32", "Normal"]);
        assert_eq!(served("0xcc4(GFP_KERNEL|GFP_DMA32)"), ["DMA", "DMA32"]);
        assert_eq!(served("0x1"), ["DMA"]);
        assert_eq!(served("0x1d2"), ["DMA", "DMA32", "Normal", "HighMem"]);
        assert_eq!(served("0x100cca(GFP_HIGHUSER_MOVABLE)").len(), 5);
        assert_eq!(served("garbage").len(), 5, "unknown flags rule nothing out");
    }

    #[test]
    fn a_policy_confines_to_its_nodes() {
        let summary = Summary {
            nodemask: Some("1-2,x,4".to_owned()),
            mems_allowed: Some("0-7".to_owned()),
            ..Summary::default()
        };
        let mut report = OomReport {
            summary: Some(Cited { value: summary, line: 1 }),
            constraint: Some(Cited { value: Constraint::Mempolicy, line: 1 }),
            ..OomReport::default()
        };
        let request = Request::of(&report);
        let nodes = [0, 1, 2, 3, 4].map(|node| request.may_use(Some(node), "Normal"));
        assert_eq!(nodes, [false, true, true, false, true]);
        report.constraint = Some(Cited { value: Constraint::None, line: 1 });
        assert!(Request::of(&report).may_use(Some(0), "Normal"), "no constraint, no confinement");
    }
}
