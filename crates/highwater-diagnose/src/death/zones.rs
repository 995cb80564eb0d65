//! Which part of the machine's memory was short. A machine can have gigabytes free and kill all the
//! same: where the request could only be met from one zone, or only in one piece.

use highwater_core::units::{Bytes, PageSize};
use highwater_oom::report::{Cited, FreeList, OomReport, Zone};

/// What ran out, where no cgroup's limit did.
#[derive(Clone, Debug)]
pub(super) enum Shortage {
    /// These zones, while another had plenty.
    Zones { short: Vec<Cited<Zone>>, plenty: Cited<Zone> },
    /// No zone was short, but the request was for 2^order pages in one piece.
    Pieces { order: i32 },
    /// As far as the log tells: all of it.
    Whole,
}

/// Requests above this order need several pages side by side.
const ONE_PAGE: i32 = 0;

/// Free memory beyond this share of the machine is not a machine that has run out.
const PLENTY_PERMILLE: u32 = 100;

/// The same where the log does not say how much memory the machine has: more than any watermark.
const PLENTY: Bytes = Bytes::from_mib(512);

/// A zone of which only the free lists are left, without its watermarks, is short below this: the
/// min watermark of a usual zone is some megabytes.
const LITTLE: Bytes = Bytes::from_mib(16);

impl Shortage {
    pub(super) fn of(report: &OomReport, page: Option<PageSize>) -> Self {
        let machine = &report.machine;
        let known = if machine.zones.is_empty() {
            machine.free_lists.iter().map(as_zone).collect()
        } else {
            machine.zones.clone()
        };
        let short: Vec<_> = known.iter().filter(|told| is_short(&told.value)).cloned().collect();
        let order = report.trigger.as_ref().and_then(|told| told.value.order);
        if let Some(order) = order.filter(|order| *order > ONE_PAGE)
            && short.is_empty()
            && !machine.zones.is_empty()
        {
            return Self::Pieces { order };
        }
        let ram = machine.ram.and_then(|told| Some(told.value.bytes(page?)));
        let has_plenty = |told: &&Cited<Zone>| {
            let free = told.value.get("free").unwrap_or_default();
            let share = ram.and_then(|ram| free.permille_of(ram));
            !is_short(&told.value)
                && share.map_or(free >= PLENTY, |share| share.get() >= PLENTY_PERMILLE)
        };
        // The first 16 MiB are nearly always taken; that alone explains nothing.
        let tells = short.iter().any(|told| told.value.name != "DMA");
        match known.iter().filter(has_plenty).max_by_key(|told| told.value.get("free")) {
            Some(plenty) if tells => Self::Zones { short, plenty: plenty.clone() },
            _ => Self::Whole,
        }
    }

    /// The shortage as the reason in a sentence.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Zones { short, plenty } => {
                let told = short.iter().rfind(|told| told.value.name != "DMA");
                format!(
                    "zone {} ran out of memory, while {} had {} free",
                    told.map_or_else(String::new, |told| name(&told.value)),
                    name(&plenty.value),
                    plenty.value.get("free").unwrap_or_default()
                )
            }
            Self::Pieces { order } => {
                format!("no free piece of 2^{order} pages was left, though memory was free")
            }
            Self::Whole => "the whole machine ran out of memory".to_owned(),
        }
    }
}

/// What is known of a zone of which only the free lists are left.
fn as_zone(told: &Cited<FreeList>) -> Cited<Zone> {
    let list = &told.value;
    let amounts = list.free.map(|free| ("free".to_owned(), free)).into_iter().collect();
    let zone = Zone { node: list.node, name: list.name.clone(), amounts, ..Zone::default() };
    Cited { value: zone, line: told.line }
}

/// `Normal`, `node 1 Normal`.
pub(super) fn name(zone: &Zone) -> String {
    let node = zone.node.map_or(String::new(), |node| format!("node {node} "));
    format!("{node}{}", zone.name)
}

/// At or near its min watermark: a request may not take what is below.
pub(super) fn is_short(zone: &Zone) -> bool {
    let Some(free) = zone.get("free") else { return false };
    let Some(min) = zone.get("min") else { return free < LITTLE };
    // A quarter above: per-processor lists make the count of free pages that coarse.
    let margin = Bytes::new(min.get() / 4);
    zone.get("managed") != Some(Bytes::ZERO) && free <= min.saturating_add(margin)
}
