//! The account of the whole machine.
//!
//! One and the same counter can stand in up to three places: below `Mem-Info:` for the machine, on
//! the line of each node, on the line of each zone. Each kernel prints another selection, and a cut
//! log another again, so the account takes one place as its basis and from the others only what
//! that never prints.

use highwater_core::units::{Bytes, PageSize};
use highwater_oom::report::{LineNumber, Machine, OomReport};

use super::cgroup::slab;
use super::{Kind, Makeup, Part};
use crate::death::cite::Cite;

/// Of the whole machine. Without the counts of `Mem-Info:`, of those nodes that are printed.
pub(in crate::death) fn of_machine(cite: &Cite<'_>, page: Option<PageSize>) -> Option<Makeup> {
    let book = Book::of(cite.report, page?)?;
    let evidence = |line: LineNumber| cite.line(line);
    let part = |(kind, amount, line)| Part { kind, amount, evidence: evidence(line) };
    let parts: Vec<Part> = book.parts().into_iter().map(part).collect();
    if parts.iter().all(|part| part.amount == Bytes::ZERO) {
        return None;
    }
    let total = book.total();
    let rest = total.map_or(book.line, |(_, line)| line);
    let of = book.basis.whose().to_owned();
    let mut makeup = Makeup::finished(of, total.map(|(amount, _)| amount), parts, &evidence(rest));
    makeup.swap = swap_of(book.machine).map(|(amount, line)| Part {
        kind: Kind::Swap,
        amount,
        evidence: evidence(line),
    });
    Some(makeup)
}

/// The size of a page, where the same free memory is printed as pages for the machine and in kB for
/// its zones: old kernels show it nowhere else. Each zone's count is read a moment later, so that
/// the two agree but nearly.
pub(in crate::death) fn page_size(machine: &Machine) -> Option<PageSize> {
    /// A larger difference is a zone that is missing.
    const DOUBT_PERMILLE: u64 = 20;
    let pages = machine.pages("free").filter(|count| count.get() > 0)?.get();
    let free = sum(machine.zones.iter().filter_map(|told| told.value.get("free")))?.get();
    let nearest = (12..=16)
        .map(|shift| 1_u64 << shift)
        .min_by_key(|size| pages.saturating_mul(*size).abs_diff(free))?;
    let off = pages.saturating_mul(nearest).abs_diff(free);
    let near = off.saturating_mul(1000) <= free.saturating_mul(DOUBT_PERMILLE);
    PageSize::new(nearest).filter(|_| near)
}

/// Where the counts of the lists of programs' memory and files stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// Below `Mem-Info:`, in pages, for all.
    MemInfo,
    /// On the lines of the nodes (≥ 4.8).
    Nodes,
    /// On the lines of the zones (< 4.8).
    Zones,
}

impl Basis {
    const fn whose(self) -> &'static str {
        match self {
            Self::MemInfo => "the machine",
            Self::Nodes => "the memory nodes in the log",
            Self::Zones => "the memory zones in the log",
        }
    }
}

/// A report's counters, each to be asked for by its name.
struct Book<'a> {
    machine: &'a Machine,
    page: PageSize,
    basis: Basis,
    /// Where the basis stands.
    line: LineNumber,
}

type Entry = (Kind, Bytes, LineNumber);

impl<'a> Book<'a> {
    fn of(report: &'a OomReport, page: PageSize) -> Option<Self> {
        let machine = &report.machine;
        let with = |basis, line| Self { machine, page, basis, line };
        let counts = |name: &str| machine.pages(name).is_some();
        let lists = ["active_anon", "active", "Active", "Active_anon"];
        if lists.iter().any(|name| counts(name)) {
            // Before 2.6.1x nothing stands above the counts; and a head may be cut off.
            let has_counts =
                |text: &str| lists.iter().any(|name| text.contains(&format!("{name}:")));
            let below = || report.lines.iter().find(|line| has_counts(&line.text));
            let line = machine.line.or_else(|| below().map(|line| line.number));
            return Some(with(Basis::MemInfo, line.unwrap_or_default()));
        }
        let node = machine.nodes.iter().find(|told| told.value.get("active_anon").is_some());
        if let Some(node) = node {
            return Some(with(Basis::Nodes, node.line));
        }
        let has_lists = |name| {
            machine.zones.iter().find(|told| told.value.get(name).is_some()).map(|told| told.line)
        };
        let zone = has_lists("active_anon").or_else(|| has_lists("active"))?;
        Some(with(Basis::Zones, zone))
    }

    /// One counter of the basis.
    fn get(&self, name: &str) -> Option<Bytes> {
        match self.basis {
            Basis::MemInfo => self.machine.pages(name).map(|count| count.bytes(self.page)),
            Basis::Nodes => self.nodes(name),
            Basis::Zones => self.zones(name),
        }
    }

    /// The sum over all nodes; `None` if none prints it.
    fn nodes(&self, name: &str) -> Option<Bytes> {
        sum(self.machine.nodes.iter().filter_map(|told| told.value.get(name)))
    }

    /// The sum over all zones; `None` if none prints it.
    fn zones(&self, name: &str) -> Option<Bytes> {
        sum(self.machine.zones.iter().filter_map(|told| told.value.get(name)))
    }

    /// A counter that stands with the basis, or on the lines of the nodes, or on those of the
    /// zones: never on two of them in kinds that differ.
    fn anywhere(&self, name: &str) -> Option<Bytes> {
        self.get(name).or_else(|| self.nodes(name)).or_else(|| self.zones(name))
    }

    fn or_zero(&self, name: &str) -> Bytes {
        self.get(name).unwrap_or_default()
    }

    fn parts(&self) -> Vec<Entry> {
        let mut parts: Vec<_> = self.lists();
        parts.extend(slab(
            self.anywhere("slab_reclaimable"),
            self.anywhere("slab_unreclaimable"),
            self.anywhere("slab"),
        ));
        let tables = ["pagetables", "sec_pagetables"];
        let tables = tables.iter().filter_map(|name| self.anywhere(name)).sum();
        let anywhere = |name| self.anywhere(name).unwrap_or_default();
        parts.extend([
            (Kind::KernelReclaimable, anywhere("kernel_misc_reclaimable")),
            (Kind::PageTables, tables),
            (
                Kind::KernelStacks,
                anywhere("kernel_stack").saturating_add(anywhere("shadow_call_stack")),
            ),
            (Kind::Bounce, anywhere("bounce")),
            (Kind::Compressed, anywhere("zspages")),
            (Kind::Balloon, anywhere("Balloon")),
        ]);
        let at_basis = parts.into_iter().map(|(kind, amount)| (kind, amount, self.line));
        at_basis.chain(self.free()).chain(self.pools()).chain(self.apart()).collect()
    }

    /// The memory of programs and files. Shared memory lives on the lists of anonymous memory
    /// (mm/shmem.c, since 2.6.28), or, locked, on that of what cannot go: it is counted there, and
    /// here on its own.
    fn lists(&self) -> Vec<(Kind, Bytes)> {
        let old = ["active", "Active"].iter().find_map(|name| self.get(name));
        if let Some(active) = old {
            let all = active.saturating_add(self.or_zero("inactive"));
            return vec![(Kind::AnonAndCache, all)];
        }
        let isolated = |name: &str| {
            let spelled = [format!("isolated_{name}"), format!("isolated({name})")];
            spelled.iter().find_map(|name| self.get(name)).unwrap_or_default()
        };
        let on = |name: &str| {
            // 2.6.28 to 2.6.31 write the first of them with a capital letter.
            let active = self.get(&format!("active_{name}"));
            let active = active.or_else(|| self.get(&format!("Active_{name}")));
            let lists = active.unwrap_or_default();
            let lists = lists.saturating_add(self.or_zero(&format!("inactive_{name}")));
            lists.saturating_add(isolated(name))
        };
        let (anon, locked) = (on("anon"), self.or_zero("unevictable"));
        let shmem = self.or_zero("shmem").min(anon.saturating_add(locked));
        vec![
            (Kind::Anon, anon.saturating_sub(shmem)),
            (Kind::Shmem, shmem),
            (Kind::Unevictable, locked.saturating_sub(shmem.saturating_sub(anon))),
            (Kind::PageCache, on("file")),
        ]
    }

    /// What is kept for devices is part of what is free; what single processors keep is not.
    fn free(&self) -> Vec<Entry> {
        let free = self.anywhere("free").unwrap_or_default();
        let cma = self.anywhere("free_cma").unwrap_or_default().min(free);
        let lists = self.anywhere("free_pcp").unwrap_or_default();
        vec![
            (Kind::Free, free.saturating_sub(cma), self.line),
            (Kind::FreeCma, cma, self.line),
            (Kind::FreePerCpu, lists, self.line),
        ]
    }

    /// The pools of huge pages are on no list of the machine.
    fn pools(&self) -> Vec<Entry> {
        let mut parts = Vec::new();
        for told in &self.machine.hugepages {
            let pool = told.value;
            let of = |count: u64| Bytes::new(count.saturating_mul(pool.size.get()));
            let used = pool.total.saturating_sub(pool.free);
            parts.push((Kind::HugePages, of(used), told.line));
            parts.push((Kind::HugePagesFree, of(pool.free.min(pool.total)), told.line));
        }
        merged(parts)
    }

    /// What the machine has and nobody ever gets.
    fn apart(&self) -> Vec<Entry> {
        if self.basis != Basis::MemInfo {
            return Vec::new();
        }
        let all = [
            (Kind::Reserved, self.machine.reserved.filter(|_| self.machine.ram.is_some())),
            (Kind::Poisoned, self.machine.hwpoisoned),
        ];
        let known = all.into_iter().filter_map(|(kind, told)| Some((kind, told?)));
        known.map(|(kind, told)| (kind, told.value.bytes(self.page), told.line)).collect()
    }

    /// All there is: of the machine its RAM, of nodes or zones what these manage.
    fn total(&self) -> Option<(Bytes, LineNumber)> {
        if self.basis == Basis::MemInfo {
            return self.machine.ram.map(|ram| (ram.value.bytes(self.page), ram.line));
        }
        // Nodes whose zones are cut off would leave a rest that nobody took.
        let complete = self.machine.nodes.iter().all(|told| {
            let node = Some(told.value.node);
            self.machine.zones.iter().any(|zone| zone.value.node == node)
        });
        Some((self.zones("managed").filter(|_| complete)?, self.line))
    }
}

fn sum(amounts: impl Iterator<Item = Bytes>) -> Option<Bytes> {
    let mut amounts = amounts.peekable();
    amounts.peek()?;
    Some(amounts.sum())
}

/// One entry for each kind: a machine has a pool on each node and of each size.
fn merged(parts: Vec<Entry>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for (kind, amount, line) in parts {
        match all.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, sum, _)) => *sum = sum.saturating_add(amount),
            None => all.push((kind, amount, line)),
        }
    }
    all
}

fn swap_of(machine: &Machine) -> Option<(Bytes, LineNumber)> {
    let (total, free) = (machine.swap_total?, machine.swap_free?);
    let used = total.value.saturating_sub(free.value);
    (used > Bytes::ZERO).then_some((used, free.line))
}
