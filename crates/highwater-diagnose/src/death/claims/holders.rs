//! Who holds memory that no process gives back when it dies: the kernel, tmpfs, pools.

use highwater_core::evidence::Evidence;
use highwater_core::units::{Bytes, Permille};
use highwater_oom::report::OomReport;

use super::matter::domain_makeup;
use super::{Said, said};
use crate::death::Confidence;
use crate::death::makeup::{Kind, Makeup, Part};
use crate::death::reason::Reason;
use crate::death::scene::Scene;
use crate::death::zones::Shortage;

/// A share of this size is worth a sentence.
const WORTH: Permille = Permille::new(200);

/// From here on it is hardly a bystander.
const MUCH: Permille = Permille::new(500);

/// A machine that runs well has a few per cent that no counter names.
const WORTH_OF_REST: Permille = Permille::new(100);

/// A pool that nobody uses is a mistake before it is large.
const WORTH_OF_POOL: Permille = Permille::new(100);

/// The holders in the kernel's own lists that are named.
const NAMED: usize = 3;

/// Files in /dev/shm and tmpfs look like cache and cannot be dropped like it.
pub(super) fn shared_memory(scene: &Scene<'_>) -> Option<Said> {
    let makeup = domain_makeup(scene)?;
    let shmem = makeup.part(Kind::Shmem)?;
    let share = shmem.amount.permille_of(makeup.total).filter(|share| *share >= WORTH)?;
    let text = format!(
        "{share} was shared memory or tmpfs ({}): it stays until the files in /dev/shm, /tmp or the segments are deleted, also when no process uses them",
        shmem.amount
    );
    said(Reason::SharedMemory, confidence(share), text, vec![shmem.evidence.clone()])
}

/// Memory of the kernel itself, which no task table shows.
pub(super) fn kernel_memory(scene: &Scene<'_>) -> Option<Said> {
    by_account(scene).or_else(|| by_list(scene))
}

fn by_account(scene: &Scene<'_>) -> Option<Said> {
    let makeup = domain_makeup(scene)?;
    let largest = of_kernel(scene, makeup)?;
    let worth = if largest.kind == Kind::Unaccounted { WORTH_OF_REST } else { WORTH };
    let share = largest.amount.permille_of(makeup.total).filter(|share| *share >= worth)?;
    let mut evidence = vec![largest.evidence.clone()];
    let (holders, cited) = holders(scene, largest.kind, largest.amount);
    evidence.extend(cited);
    let blame = match scene.held() {
        Some((held, _)) if held < largest.amount => {
            format!("; {}, with {held}, was not the reason", scene.victim_name())
        }
        _ => String::new(),
    };
    let text =
        format!("{share} was {} ({}){holders}{blame}", what(scene, largest.kind), largest.amount);
    said(Reason::KernelMemory, confidence(share), text, evidence)
}

fn what(scene: &Scene<'_>, kind: Kind) -> String {
    let words = match kind {
        Kind::SlabUnreclaimable => "unreclaimable slab, objects of the kernel that no process owns",
        Kind::Slab => "slab, objects of the kernel that no process owns",
        Kind::PageTables => "page tables, which go only with the processes that have them",
        Kind::Vmalloc => "vmalloc, large tables of the kernel",
        Kind::Compressed => "swap kept compressed in RAM (zram, zswap)",
        Kind::Balloon => "the balloon, which the host of this virtual machine took back",
        Kind::Unaccounted => return rest(scene),
        _ => "memory of the kernel, which killing processes does not free",
    };
    words.to_owned()
}

/// What may hide in a rest, as far as the report does not rule it out.
fn rest(scene: &Scene<'_>) -> String {
    if scene.is_memcg() {
        return "memory charged to the cgroup that no counter of the report names".to_owned();
    }
    let machine = &scene.report.machine;
    let swapped =
        machine.swap_total.map(|told| told.value) > machine.swap_free.map(|told| told.value);
    let compressed =
        swapped && !machine.zones.iter().any(|told| told.value.get("zspages").is_some());
    let pools = if machine.hugepages.is_empty() { ", huge pages" } else { "" };
    let zram = if compressed { ", or zram, if that is where swap went" } else { "" };
    format!(
        "memory that no counter of the report names: drivers, graphics, vmalloc, balloons{pools}{zram}"
    )
}

/// The kernel lists its unreclaimable caches only when they are larger than all lists of programs'
/// and files' memory together (`mm/oom_kill.c`, since 4.15).
fn by_list(scene: &Scene<'_>) -> Option<Said> {
    let first = scene.report.machine.slabs.first()?;
    let (holders, mut evidence) = holders(scene, Kind::SlabUnreclaimable, Bytes::ZERO);
    evidence.extend(scene.cite.lines([first.line]));
    let text = format!(
        "unreclaimable slab, objects of the kernel that no process owns, was larger than the memory of all programs and files together, or the kernel would not have listed it{holders}"
    );
    said(Reason::KernelMemory, Confidence::Likely, text, evidence)
}

fn of_kernel<'m>(scene: &Scene<'_>, makeup: &'m Makeup) -> Option<&'m Part> {
    const KINDS: [Kind; 8] = [
        Kind::SlabUnreclaimable,
        Kind::Slab,
        Kind::PageTables,
        Kind::Kernel,
        Kind::Vmalloc,
        Kind::Compressed,
        Kind::Balloon,
        Kind::Unaccounted,
    ];
    // A rest is one only if the log has the counters that it is the rest of.
    let whole = scene.is_memcg() || is_complete(scene.report);
    let tells = |part: &&Part| part.kind != Kind::Unaccounted || whole;
    KINDS.iter().filter_map(|kind| makeup.part(*kind)).filter(tells).max_by_key(|part| part.amount)
}

/// Whether the large counters of the machine are all there.
fn is_complete(report: &OomReport) -> bool {
    const EACH: [&[&str]; 4] = [
        &["inactive_anon", "inactive"],
        &["inactive_file", "inactive"],
        &["slab_unreclaimable", "slab"],
        &["free"],
    ];
    let has = |name: &&str| report.machine.pages(name).is_some();
    // What is reserved is part of what is RAM, and would else be counted to the rest.
    report.machine.reserved.is_some() && EACH.iter().all(|names| names.iter().any(&has))
}

/// The largest entries of the kernel's own lists: of caches for slab, of places that allocate for
/// the rest.
fn holders(scene: &Scene<'_>, kind: Kind, amount: Bytes) -> (String, Vec<Evidence>) {
    let machine = &scene.report.machine;
    let is_slab = matches!(kind, Kind::SlabUnreclaimable | Kind::Slab);
    let mut known: Vec<(String, Bytes, u64)> = if is_slab && !machine.slabs.is_empty() {
        let one = |told: &highwater_oom::report::Cited<highwater_oom::report::Slab>| {
            (told.value.name.clone(), told.value.total, told.line)
        };
        machine.slabs.iter().map(one).collect()
    } else {
        let one = |told: &highwater_oom::report::Cited<highwater_oom::report::Allocation>| {
            (told.value.site.clone(), told.value.held, told.line)
        };
        machine.allocations.iter().map(one).collect()
    };
    let listed: Bytes = known.iter().map(|(_, held, _)| *held).sum();
    known.sort_by_key(|(_, held, _)| std::cmp::Reverse(*held));
    known.truncate(NAMED);
    if known.is_empty() {
        return (String::new(), Vec::new());
    }
    let named: Vec<String> = known.iter().map(|(name, held, _)| format!("{name} {held}")).collect();
    let evidence = scene.cite.lines(known.iter().map(|(_, _, line)| *line));
    // What is larger than the largest cache comes in whole pages, which no list of caches has
    // (`kmalloc` in mm/slub.c).
    let text = if is_slab && listed.saturating_add(listed) < amount {
        format!(
            "; the caches in the kernel's list have only {listed} of it, so most are single large allocations, which belong to no cache"
        )
    } else {
        format!("; largest in the kernel's own list of {listed}: {}", named.join(", "))
    };
    (text, evidence)
}

/// Pages in a pool belong to it whether or not anybody uses them.
pub(super) fn huge_page_pool(scene: &Scene<'_>) -> Option<Said> {
    let makeup = domain_makeup(scene)?;
    let unused = makeup.part(Kind::HugePagesFree)?;
    let share = unused.amount.permille_of(makeup.total).filter(|share| *share >= WORTH_OF_POOL)?;
    let used = match makeup.part(Kind::HugePages) {
        Some(part) => format!(" ({} of the pools are in use)", part.amount),
        None => String::new(),
    };
    let text = format!(
        "{share} lay unused in pools of huge pages: {}{used}; nobody else may take it, whatever runs out",
        unused.amount
    );
    said(Reason::HugePagePool, confidence(share), text, vec![unused.evidence.clone()])
}

fn confidence(share: Permille) -> Confidence {
    if share >= MUCH { Confidence::Likely } else { Confidence::Possible }
}

/// One holder that took most of a machine which ran out is the reason, and that it ran out only
/// what came of it. A cgroup's limit stays the reason in any case: it was set, and reached.
pub(in crate::death) fn dominant(scene: &Scene<'_>) -> Option<Reason> {
    let whole = scene.verdict.0 == crate::death::Cause::KernelOomGlobal
        && matches!(scene.shortage(), Shortage::Whole);
    if whole && !scene.report.machine.slabs.is_empty() {
        return Some(Reason::KernelMemory);
    }
    let makeup = domain_makeup(scene).filter(|_| whole)?;
    let is_most =
        |amount: Bytes| amount.permille_of(makeup.total).is_some_and(|share| share >= MUCH);
    let of_kernel = of_kernel(scene, makeup).map(|part| part.amount).unwrap_or_default();
    let holders = [
        (Reason::KernelMemory, of_kernel),
        (Reason::SharedMemory, makeup.amount(Kind::Shmem)),
        (Reason::HugePagePool, makeup.amount(Kind::HugePagesFree)),
    ];
    holders.into_iter().find(|(_, amount)| is_most(*amount)).map(|(reason, _)| reason)
}
