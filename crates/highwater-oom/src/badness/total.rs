//! The memory that could be had: what scores are thousandths of.
//!
//! | of | pages | source |
//! |---|---|---|
//! | the machine | RAM − reserved + swap; `totalram_pages` is the sum of the zones' managed pages, and that is what `RAM − reserved` prints since 3.11 | `constrained_alloc`, `show_mem` |
//! | a cpuset, a policy | the present pages of the nodes it may use + swap (before about 5.4 holes in a node's address range counted, too) | `constrained_alloc` |
//! | a cgroup, v2 | its own `memory.max` + min(`memory.swap.max`, swap of the machine); nothing of the latter if `vm.swappiness` is 0 | `mem_cgroup_get_max` (4.17; before `mem_cgroup_get_limit`) |
//! | a cgroup, v1 | its own limit + min(limit of both − limit, swap of the machine); nothing of the latter if its `memory.swappiness` is 0 (≥ 3.7) | the same |
//!
//! Limits of ancestors do not count: the cgroup that ran out is asked, nobody else. A cgroup's
//! report (≥ 4.19) does not print the swap of the machine, but whatever it has in swap must be there.

use std::ops::RangeInclusive;

use highwater_core::limit::Limit;
use highwater_core::units::{Bytes, PageSize, Pages};

use super::certainty::{Certainty, Judged};
use crate::report::{Cited, Constraint, Counter, LineNumber, OomReport};

/// More swap than any machine has (2^44 pages, 64 PiB): stands for "no matter how much".
pub(super) const BOUNDLESS: i64 = 1 << 44;

/// From the least to the most it can be; equal if known exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// At least so much.
    pub least: i64,
    /// At most so much; `None` if nothing bounds it.
    pub most: Option<i64>,
}

impl Between {
    /// Known exactly.
    pub const fn exactly(value: i64) -> Self {
        Self { least: value, most: Some(value) }
    }

    /// The value, if it is known exactly.
    pub fn exact(self) -> Option<i64> {
        self.most.filter(|most| *most == self.least)
    }

    /// The highest it can be, or more than any machine has.
    pub(super) fn end(self) -> i64 {
        self.most.unwrap_or(BOUNDLESS).max(self.least)
    }

    /// What is in both; `None` if nothing is.
    pub(super) fn overlap(self, other: Self) -> Option<Self> {
        let least = self.least.max(other.least);
        let most = match (self.most, other.most) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        most.is_none_or(|most| most >= least).then_some(Self { least, most })
    }
}

/// The size of a page: as the log shows it, as the machine is known to have it, else that of most
/// machines unless the kernel's name says that this is none of them.
pub(super) fn page_size(report: &OomReport, known: Option<PageSize>) -> Judged<PageSize> {
    const OTHERS: [&str; 6] = ["sparc", "ppc64", "ia64", "alpha", "64k", "16k"];
    if let Some(size) = report.machine.page_size {
        return Judged::certain(size.value, vec![size.line]);
    }
    if let Some(size) = known {
        return Judged::certain(size, Vec::new());
    }
    let kernel = report.kernel.as_ref().map(|kernel| kernel.value.to_ascii_lowercase());
    if kernel.is_some_and(|name| OTHERS.iter().any(|other| name.contains(other))) {
        return Judged::missing("the size of a page");
    }
    let because = "the log does not show the size of a page; most machines have 4 KiB";
    Judged::with(PageSize::KIB4, Certainty::likely(because), Vec::new())
}

/// The pages that could be had in all.
pub(super) fn total(report: &OomReport, page: Option<PageSize>) -> Judged<Between> {
    let constraint = report.constraint.map(|constraint| constraint.value);
    match constraint {
        // Early 5.0 printed CONSTRAINT_NONE for cgroups, too, but only their reports have this line.
        _ if report.memcg.memory.is_some() => of_memcg(report, page),
        Some(Constraint::Memcg) => Judged::missing("the limit of the memory cgroup"),
        Some(Constraint::Cpuset | Constraint::Mempolicy) => of_nodes(report, page),
        Some(Constraint::None) => of_machine(report, page),
        None if report.machine.ram.is_some() => {
            let mut judged = of_machine(report, page);
            let because = "the log does not say what was short; it prints the machine's memory";
            judged.certainty = judged.certainty.and(&Certainty::likely(because));
            judged
        }
        None => Judged::missing("whether the machine or a cgroup ran out"),
    }
}

fn of_machine(report: &OomReport, page: Option<PageSize>) -> Judged<Between> {
    let machine = &report.machine;
    let (Some(ram), Some(reserved)) = (machine.ram, machine.reserved) else {
        return Judged::missing("the machine's RAM and what of it is reserved");
    };
    let usable = signed(ram.value.get().saturating_sub(reserved.value.get()));
    let mut lines = vec![ram.line, reserved.line];
    let Some(swap) = swap_total(report, page, &mut lines) else {
        let certainty = Certainty::likely("the log does not print the swap of the machine");
        let least = usable.saturating_add(swap_seen(report, page));
        return Judged::with(Between { least, most: None }, certainty, lines);
    };
    let managed = machine.zones.iter().any(|zone| zone.value.get("managed").is_some());
    let certainty = match () {
        () if machine.zones.is_empty() || managed => Certainty::Certain,
        () => Certainty::likely("kernels before 3.8 count reserved pages in another way"),
    };
    Judged::with(Between::exactly(usable.saturating_add(swap).max(1)), certainty, lines)
}

/// The swap of the machine in pages, where printed.
fn swap_total(
    report: &OomReport,
    page: Option<PageSize>,
    lines: &mut Vec<LineNumber>,
) -> Option<i64> {
    let told = report.machine.swap_total?;
    lines.push(told.line);
    if told.value == Bytes::ZERO {
        return Some(0);
    }
    told.value.get().checked_div(page?.get()).map(signed)
}

/// The machine has at least so much swap: what a counter shows in it, or the largest of the tasks
/// (not all of them together, because processes share what they had when they forked).
fn swap_seen(report: &OomReport, page: Option<PageSize>) -> i64 {
    let rows = report.tasks.rows.iter().filter_map(|row| row.swapents).map(Pages::get);
    let largest = rows.max().unwrap_or(0);
    let usage = |told: Option<Cited<Counter>>| told.and_then(|told| told.value.usage);
    let both = usage(report.memcg.memsw).zip(usage(report.memcg.memory));
    let counted = [usage(report.memcg.swap), both.map(|(both, one)| both.saturating_sub(one))];
    let pages = |bytes: Bytes| page.map_or(0, |page| bytes.get() / page.get());
    let counted = counted.into_iter().flatten().map(pages).max().unwrap_or(0);
    signed(largest.max(counted))
}

fn of_memcg(report: &OomReport, page: Option<PageSize>) -> Judged<Between> {
    let limits = Limits::of(report, page);
    let Some(limits) = limits else {
        return Judged::missing("the limit of the memory cgroup");
    };
    let mut lines = limits.lines.clone();
    let seen = swap_seen(report, page);
    let share = match (limits.beyond, swap_total(report, page, &mut lines)) {
        (Some(0), _) | (_, Some(0)) => Between::exactly(0),
        (Some(beyond), Some(swap)) => Between::exactly(beyond.min(swap)),
        (Some(beyond), None) => Between { least: beyond.min(seen), most: Some(beyond) },
        (None, Some(swap)) => Between::exactly(swap),
        (None, None) => Between { least: seen, most: None },
    };
    let total = Between {
        // A limit of 0 counts as one page.
        least: limits.own.saturating_add(share.least).max(1),
        most: share.most.map(|most| limits.own.saturating_add(most).max(1)),
    };
    Judged::with(total, doubt(share, seen), lines)
}

/// What can be said of the share of swap.
fn doubt(share: Between, seen: i64) -> Certainty {
    match share.exact() {
        None => Certainty::likely(
            "the swap of the machine is not printed, so the cgroup's share of it is known only within bounds",
        ),
        Some(share) if share > 0 && seen == 0 => {
            Certainty::likely("with a swappiness of 0, which is not printed, swap would not count")
        }
        Some(_) => Certainty::Certain,
    }
}

/// The limits of the cgroup that ran out, in pages.
struct Limits {
    own: i64,
    /// How much swap it may have beyond `own`; `None` if there is no bound.
    beyond: Option<i64>,
    lines: Vec<LineNumber>,
}

impl Limits {
    fn of(report: &OomReport, page: Option<PageSize>) -> Option<Self> {
        let cited = &report.memcg;
        let memory = cited.memory?;
        let pages = |bytes: Bytes| bytes.get().checked_div(page?.get()).map(signed);
        let own = pages(memory.value.limit?.at()?)?;
        let (swap, both) = (cited.swap, cited.memsw);
        let limit = |told: Option<Cited<Counter>>| told.and_then(|told| told.value.limit);
        let beyond = match (limit(swap), limit(both)) {
            (Some(Limit::At(swap)), _) => pages(swap),
            (None, Some(Limit::At(both))) => {
                pages(both).map(|both| both.saturating_sub(own).max(0))
            }
            _ => None,
        };
        let mut lines = vec![memory.line];
        lines.extend(swap.or(both).map(|told| told.line));
        Some(Self { own, beyond, lines })
    }
}

/// The nodes that the cpuset or the policy allows: their zones' present pages.
fn of_nodes(report: &OomReport, page: Option<PageSize>) -> Judged<Between> {
    const MISSING: &str = "the zones of the nodes that were allowed";
    let Some(page) = page else { return Judged::missing("the size of a page") };
    let allowed = allowed(report);
    let mut lines = Vec::new();
    let mut sum = 0_i64;
    for zone in &report.machine.zones {
        let node = zone.value.node.unwrap_or(0);
        if allowed.as_ref().is_some_and(|ranges| !ranges.iter().any(|r| r.contains(&node))) {
            continue;
        }
        let Some(present) = zone.value.get("present") else { return Judged::missing(MISSING) };
        sum = sum.saturating_add(signed(present.get() / page.get()));
        lines.push(zone.line);
    }
    if lines.is_empty() {
        return Judged::missing(MISSING);
    }
    let spread = Certainty::likely(
        "a node counts with its present pages (kernels before about 5.4 counted holes in its addresses, too)",
    );
    let certainty = match allowed {
        Some(_) => spread,
        None => spread.and(&Certainty::likely("the nodes allowed are taken to be those printed")),
    };
    let total = if let Some(swap) = swap_total(report, Some(page), &mut lines) {
        Between::exactly(sum.saturating_add(swap).max(1))
    } else {
        let least = sum.saturating_add(swap_seen(report, Some(page))).max(1);
        Between { least, most: None }
    };
    Judged::with(total, certainty, lines)
}

/// The allowed nodes: of a policy the nodemask, of a cpuset its `mems_allowed`.
fn allowed(report: &OomReport) -> Option<Vec<RangeInclusive<u32>>> {
    let (summary, trigger) = (report.summary.as_ref(), report.trigger.as_ref());
    let policy = report.constraint.is_some_and(|told| told.value == Constraint::Mempolicy);
    let list = if policy {
        summary
            .and_then(|told| told.value.nodemask.as_deref())
            .or_else(|| trigger.and_then(|told| told.value.nodemask.as_deref()))
    } else {
        summary
            .and_then(|told| told.value.mems_allowed.as_deref())
            .or_else(|| trigger.and_then(|told| told.value.mems_allowed.as_deref()))
    };
    ranges(list?)
}

/// `0-1,4`; `None` if it is no such list.
fn ranges(list: &str) -> Option<Vec<RangeInclusive<u32>>> {
    /// The kernel knows 1024 nodes at most.
    const MOST: usize = 1024;
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    list.split(',').take(MOST).map(range).collect()
}

/// A count as a signed number; one beyond all reason is the largest.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_nodes() {
        assert_eq!(ranges("0"), Some(vec![0..=0]));
        assert_eq!(ranges("0-1,4"), Some(vec![0..=1, 4..=4]));
        assert_eq!(ranges("(null)"), None);
        assert_eq!(ranges(""), None);
        assert_eq!(ranges("0-"), None);
    }

    #[test]
    fn bounds_overlap_or_do_not() {
        let of = |least, most| Between { least, most };
        assert_eq!(of(1, None).overlap(of(5, Some(9))), Some(of(5, Some(9))));
        assert_eq!(of(1, Some(6)).overlap(of(5, None)), Some(of(5, Some(6))));
        assert_eq!(of(1, Some(4)).overlap(of(5, None)), None);
        assert_eq!((of(5, Some(5)).exact(), of(5, None).exact()), (Some(5), None));
        assert_eq!((of(5, None).end(), of(5, Some(7)).end()), (BOUNDLESS, 7));
    }

    #[test]
    fn nothing_printed_is_nothing_known() {
        let report = OomReport::default();
        assert_eq!(total(&report, None).value, None);
        assert_eq!(page_size(&report, None).value, Some(PageSize::KIB4));
        assert_eq!(page_size(&report, None).certainty.as_str(), "likely");
        let kernel = Some(Cited { value: "5.19.0-sparc64".to_owned(), line: 1 });
        let other = OomReport { kernel, ..OomReport::default() };
        assert_eq!(page_size(&other, None).value, None);
        assert_eq!(page_size(&other, PageSize::new(8192)).value, PageSize::new(8192));
    }

    /// A count beyond all reason is the largest there is, not a negative one.
    #[test]
    fn counts_saturate() {
        assert_eq!((signed(7), signed(u64::MAX)), (7, i64::MAX));
    }
}
