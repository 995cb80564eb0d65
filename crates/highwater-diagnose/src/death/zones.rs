//! Which part of the machine's memory was short. A machine can have gigabytes free and kill all the
//! same: where the request could only be met from one zone or node, or only in one piece.
//!
//! ```text
//! zone lines + free lists + request ─ ZoneState per zone ─ Shortage
//! ```

mod request;

use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_oom::report::{Blocks, FreeList, LineNumber, OomReport, Zone};

pub(super) use request::{Request, allowed};

use request::is_above;

/// A zone as the request that could not be met found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneState {
    /// The node, where printed.
    pub node: Option<u32>,
    /// `DMA`, `Normal`, ….
    pub name: String,
    /// What it had free.
    pub free: Option<Bytes>,
    /// Its watermark: what only the kernel's own emergencies may take.
    pub min: Option<Bytes>,
    /// The watermark at which reclaim begins.
    pub low: Option<Bytes>,
    /// The watermark up to which reclaim goes on.
    pub high: Option<Bytes>,
    /// All memory of it that can be given out.
    pub managed: Option<Bytes>,
    /// What it keeps from this request, because another zone could have served it
    /// (`lowmem_reserve[]`).
    pub reserve: Option<Bytes>,
    /// The request may use it at all: its flags allow this kind of zone and its nodes.
    pub reachable: bool,
    /// What was free in pieces as large as the request or larger that it may use.
    pub fitting: Option<Bytes>,
    /// The largest free piece that it may use.
    pub largest: Option<Bytes>,
    /// Too little was free for this request, pieces aside; `None` where the log does not say how
    /// much the zone keeps from it, or where it had so little more that the counts, which are
    /// coarser than that, decide nothing.
    pub short: Option<bool>,
    /// The line it stands on.
    pub line: LineNumber,
}

/// What ran out, where no cgroup's limit did.
#[derive(Clone, Debug)]
pub(super) enum Shortage {
    /// These zones, while another had plenty.
    Zones { short: Vec<ZoneState>, plenty: ZoneState },
    /// Memory was free, but not in a piece of this size.
    Pieces { needed: Option<Bytes>, order: i32, zones: Vec<ZoneState> },
    /// As far as the log tells: all of it.
    Whole,
    /// A zone that the request may use had more than enough when the report was printed.
    Unclear { zone: ZoneState },
}

/// Requests above this order need several pages side by side.
const ONE_PAGE: i32 = 0;

/// No kernel has pieces beyond this order (`MAX_PAGE_ORDER` is 10, at most 13 on arm64).
const LARGEST_ORDER: i32 = 20;

/// Free memory beyond this share of the machine is not a machine that has run out.
const PLENTY_PERMILLE: u32 = 100;

/// The same where the log does not say how much memory the machine has: more than any watermark.
const PLENTY: Bytes = Bytes::from_mib(512);

/// A zone of which only the free lists are left, without its watermarks, is short below this: the
/// min watermark of a usual zone is some megabytes.
const LITTLE: Bytes = Bytes::from_mib(16);

/// All zones of a report as its request found them; those without any memory are left out.
pub(super) fn states(report: &OomReport, page: Option<PageSize>) -> Vec<ZoneState> {
    let (machine, request) = (&report.machine, Request::of(report));
    let needed = piece(&request, page);
    let mut states: Vec<ZoneState> = machine
        .zones
        .iter()
        .filter(|told| has_memory(&told.value))
        .map(|told| {
            state(
                &told.value,
                &request,
                machine.zones.iter().map(|told| &told.value),
                page,
                told.line,
            )
        })
        .collect();
    for told in &machine.free_lists {
        let list = &told.value;
        let is_of = |state: &&mut ZoneState| state.node == list.node && state.name == list.name;
        if let Some(state) = states.iter_mut().find(is_of) {
            pieces(state, list, needed, &request);
        } else if machine.zones.is_empty() {
            states.push(of_list(list, told.line, needed, &request));
        }
    }
    for at in 0..states.len() {
        let doubtful = states.get(at).is_some_and(|state| is_doubtful(state, &states));
        if let Some(state) = states.get_mut(at).filter(|_| doubtful) {
            state.short = None;
        }
    }
    states
}

/// A lower zone keeps something from requests that a higher one could serve; where that is not
/// printed, what it has above its own watermark may be nothing that it would give.
fn is_doubtful(state: &ZoneState, all: &[ZoneState]) -> bool {
    let above = |other: &ZoneState| {
        other.reachable && other.node == state.node && is_above(&other.name, &state.name)
    };
    state.short == Some(false) && state.reserve.is_none() && all.iter().any(above)
}

fn has_memory(zone: &Zone) -> bool {
    let all = zone.get("managed").or_else(|| zone.get("present"));
    all != Some(Bytes::ZERO)
}

/// How large a piece was asked for.
fn piece(request: &Request, page: Option<PageSize>) -> Option<Bytes> {
    let order = request.order.filter(|order| (ONE_PAGE..=LARGEST_ORDER).contains(order))?;
    let size = page?.get().checked_shl(u32::try_from(order).ok()?)?;
    Some(Bytes::new(size))
}

fn state<'z>(
    zone: &Zone,
    request: &Request,
    mut all: impl Iterator<Item = &'z Zone>,
    page: Option<PageSize>,
    line: LineNumber,
) -> ZoneState {
    let home = request.home();
    let home =
        home.and_then(|home| all.find(|other| other.node == zone.node && other.name == home));
    let reserve = reserve(zone, home).and_then(|kept| Some(kept.bytes(page?)));
    let free = zone.get("free");
    // What is kept for devices, and for those who may not wait, is no use to others.
    let devices = zone.get("free_cma").filter(|_| !request.is_movable()).unwrap_or_default();
    let kept = devices.saturating_add(zone.get("free_highatomic").unwrap_or_default());
    let usable = free.map(|free| free.saturating_sub(kept));
    let min = zone.get("min");
    ZoneState {
        node: zone.node,
        name: zone.name.clone(),
        free,
        min,
        low: zone.get("low"),
        high: zone.get("high"),
        managed: zone.get("managed").or_else(|| zone.get("present")),
        reserve,
        reachable: request.may_use(zone.node, &zone.name),
        fitting: None,
        largest: None,
        short: usable.and_then(|usable| is_short(usable, min, reserve)),
        line,
    }
}

/// What `zone` keeps from requests that come from `home`. A zone's own entry and those below it
/// are zero, so that the zeros at the head of `home`'s list tell its place.
fn reserve(zone: &Zone, home: Option<&Zone>) -> Option<Pages> {
    let last = zone.lowmem_reserve.last().copied();
    let Some(home) = home else { return last };
    let zeros = home.lowmem_reserve.iter().take_while(|kept| kept.get() == 0).count();
    if zeros == home.lowmem_reserve.len() {
        return last;
    }
    zeros.checked_sub(1).and_then(|at| zone.lowmem_reserve.get(at)).copied().or(last)
}

impl ZoneState {
    /// Its free memory was below what a request has to leave, or so little above it that it may have
    /// been below a moment before.
    pub(super) fn is_near_mark(&self) -> bool {
        let near = |free| is_short(free, self.min, self.reserve) != Some(false);
        self.min.is_some() && (self.short == Some(true) || self.free.is_some_and(near))
    }
}

/// Not above what a request has to leave (`__zone_watermark_ok` in `mm/page_alloc.c`); `None` for so
/// little above it that it may have been below a moment before.
fn is_short(usable: Bytes, min: Option<Bytes>, reserve: Option<Bytes>) -> Option<bool> {
    let Some(min) = min else { return Some(usable < LITTLE) };
    // A quarter above: per-processor lists make the count of free pages that coarse.
    let margin = Bytes::new(min.get() / 4);
    let mark = min.saturating_add(reserve.unwrap_or_default());
    match usable {
        usable if usable <= mark => Some(true),
        usable if usable <= mark.saturating_add(margin) => None,
        _ => Some(false),
    }
}

/// What is known of a zone of which only the free lists are left.
fn of_list(
    list: &FreeList,
    line: LineNumber,
    needed: Option<Bytes>,
    request: &Request,
) -> ZoneState {
    let mut state = ZoneState {
        node: list.node,
        name: list.name.clone(),
        free: list.free,
        reachable: request.may_use(list.node, &list.name),
        short: list.free.and_then(|free| is_short(free, None, None)),
        line,
        ..ZoneState::default()
    };
    pieces(&mut state, list, needed, request);
    state
}

fn pieces(state: &mut ZoneState, list: &FreeList, needed: Option<Bytes>, request: &Request) {
    let usable = |blocks: &&Blocks| blocks.count > 0 && is_usable(&blocks.types, request);
    let free = list.blocks.iter().filter(usable);
    if list.blocks.is_empty() {
        return;
    }
    state.largest = Some(free.clone().map(|blocks| blocks.size).max().unwrap_or_default());
    let amount = |blocks: &Blocks| Bytes::new(blocks.size.get().saturating_mul(blocks.count));
    let fits = |blocks: &&Blocks| needed.is_some_and(|needed| blocks.size >= needed);
    state.fitting = needed.map(|_| free.filter(fits).map(amount).sum());
}

/// Pieces of any usual kind can be had, the wrong kind last; those kept for atomic requests and
/// isolated ones cannot, those kept for devices only by what can be moved away again.
fn is_usable(types: &str, request: &Request) -> bool {
    let can = |kind| match kind {
        'H' | 'I' => false,
        'C' => request.is_movable(),
        _ => true,
    };
    types.is_empty() || types.chars().any(can)
}

impl Shortage {
    pub(super) fn of(report: &OomReport, page: Option<PageSize>) -> Self {
        let states = states(report, page);
        let request = Request::of(report);
        let with_marks = !report.machine.zones.is_empty();
        let reachable: Vec<&ZoneState> = states.iter().filter(|state| state.reachable).collect();
        let is_fine = |state: &&&ZoneState| state.short == Some(false);
        let fine: Vec<&&ZoneState> = reachable.iter().filter(is_fine).collect();
        // Without watermarks nothing says how much had to stay free, but that no piece fits is
        // plain to see.
        let without_mark = |state: &&&ZoneState| {
            state.min.is_none() && state.fitting == Some(Bytes::ZERO) && !with_marks
        };
        let bare: Vec<&&ZoneState> = reachable.iter().filter(without_mark).collect();
        if let Some(order) = request.order.filter(|order| *order > ONE_PAGE) {
            let no_piece = |state: &&&ZoneState| state.fitting.is_none_or(|fit| fit == Bytes::ZERO);
            let known = with_marks || fine.iter().all(|state| state.fitting.is_some());
            let split = !fine.is_empty() && known && fine.iter().all(no_piece);
            if split || (!bare.is_empty() && bare.len() == reachable.len()) {
                let zones = reachable.iter().map(|state| (*state).clone()).collect();
                return Self::Pieces { needed: piece(&request, page), order, zones };
            }
        }
        if let Some(zones) = Self::zones(report, &states, page) {
            return zones;
        }
        let roomiest =
            fine.iter().filter(|state| state.name != "DMA").max_by_key(|state| state.free);
        match roomiest {
            Some(zone) if with_marks => Self::Unclear { zone: (**zone).clone() },
            _ => Self::Whole,
        }
    }

    /// Some zones had nothing left, and another plenty.
    fn zones(report: &OomReport, states: &[ZoneState], page: Option<PageSize>) -> Option<Self> {
        let ram = report.machine.ram.and_then(|told| Some(told.value.bytes(page?)));
        let has_plenty = |state: &&ZoneState| {
            let free = state.free.unwrap_or_default();
            let share = ram.and_then(|ram| free.permille_of(ram));
            let much = share.map_or(free >= PLENTY, |share| share.get() >= PLENTY_PERMILLE);
            much && !(state.short == Some(true) && state.reachable)
        };
        let is_short = |state: &&ZoneState| state.short == Some(true) && state.reachable;
        let short: Vec<_> = states.iter().filter(is_short).cloned().collect();
        // The first 16 MiB are nearly always taken; that alone explains nothing.
        let tells = short.iter().any(|state| state.name != "DMA");
        let plenty = states.iter().filter(has_plenty).max_by_key(|state| state.free)?.clone();
        tells.then_some(Self::Zones { short, plenty })
    }

    /// Whether it is another node that had plenty, not another kind of zone.
    pub(super) fn is_of_node(&self) -> bool {
        let Self::Zones { short, plenty } = self else { return false };
        let elsewhere = short.iter().all(|state| state.node != plenty.node);
        plenty.node.is_some() && elsewhere && !matches!(plenty.name.as_str(), "HighMem" | "Movable")
    }

    /// The shortage as the reason in a sentence.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Zones { short, plenty } => {
                let told = short.iter().rfind(|state| state.name != "DMA");
                format!(
                    "zone {} ran out of memory, while {} had {} free",
                    told.map_or_else(String::new, name),
                    name(plenty),
                    plenty.free.unwrap_or_default()
                )
            }
            Self::Pieces { needed, order, zones } => fragmentation(*needed, *order, zones),
            Self::Whole => "the whole machine ran out of memory".to_owned(),
            Self::Unclear { .. } => "the machine ran out of memory, though some was free again when the report was printed".to_owned(),
        }
    }
}

/// `812 MiB were free, but the largest piece is 64 KiB, and the request needed 128 KiB in one`.
pub(super) fn fragmentation(needed: Option<Bytes>, order: i32, zones: &[ZoneState]) -> String {
    let free: Bytes = zones.iter().filter_map(|state| state.free).sum();
    let wanted = match needed {
        Some(needed) => format!("{needed} in one piece"),
        None => format!("2^{order} pages in one piece"),
    };
    // Where one zone had a large piece, it was short itself and could not give it.
    let fine = zones.iter().filter(|state| state.short != Some(true) || state.min.is_none());
    let largest = fine.filter_map(|state| state.largest).max();
    match largest {
        Some(Bytes::ZERO) => format!(
            "{free} was free, but nothing of it in a piece that the request may use; it needed {wanted}"
        ),
        Some(largest) => format!(
            "{free} was free, but the largest piece that it may use was {largest}, and the request needed {wanted}"
        ),
        None => {
            format!("{free} was free, but the request needed {wanted}, and no such piece was left")
        }
    }
}

/// `Normal`, `node 1 Normal`.
pub(super) fn name(state: &ZoneState) -> String {
    let node = state.node.map_or(String::new(), |node| format!("node {node} "));
    format!("{node}{}", state.name)
}

#[cfg(test)]
mod tests;
