//! What one OOM episode said, part by part, each with the line it stood on.
//!
//! Every part is optional: logs come cut, damaged and rate-limited. What is absent was not said.

use highwater_core::id::Pid;
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::{Bytes, PageSize, Pages};

/// The number of a line in the input it came from, from 1.
pub type LineNumber = u64;

/// A fact and the line it stood on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cited<T> {
    /// What the line said.
    pub value: T,
    /// Which line.
    pub line: LineNumber,
}

/// One episode: from the trigger, or whatever came first, to the last line that belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OomReport {
    /// Who asked for memory and got none.
    pub trigger: Option<Cited<Trigger>>,
    /// Why the kernel looked where it looked: from the CONSTRAINT field, or from a kill line's
    /// prefix where no field was printed.
    pub constraint: Option<Cited<Constraint>>,
    /// The memory cgroup's part of the report.
    pub memcg: Memcg,
    /// The line that says a person asked for it (`sysrq: Manual OOM execution`).
    pub sysrq: Option<LineNumber>,
    /// Whom the kernel chose by score; before 5.1 a child of it may have died in its place.
    pub selected: Option<Cited<Selected>>,
    /// The ≥ 5.0 `oom-kill:` summary line.
    pub summary: Option<Cited<Summary>>,
    /// The machine's memory.
    pub machine: Machine,
    /// The task table.
    pub tasks: TaskTable,
    /// Each process that a line says was killed, in the order of the log, each once.
    pub kills: Vec<Kill>,
    /// The cgroup whose `memory.oom.group` had all its tasks killed.
    pub oom_group: Option<Cited<String>>,
    /// `no killable processes`, `System is deadlocked on memory`, a panic: how it ended without,
    /// or beyond, a kill. The words of the line.
    pub endings: Vec<Cited<String>>,
    /// Where the CPU line names the kernel: `6.1.1-arch1-1`.
    pub kernel: Option<Cited<String>>,
    /// Which killer wrote the episode.
    pub writer: Writer,
    /// Whether the kernel's own transport vouches for every line that names a death.
    pub trust: Trust,
    /// The cgroups that a program considered before it killed, the likeliest first.
    pub candidates: Vec<Cited<Candidate>>,
    /// What looked damaged, cut, or contradictory.
    pub oddities: Vec<Oddity>,
    /// All lines of the episode, escaped, for citing.
    pub lines: Vec<ReportLine>,
}

/// Who killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writer {
    /// The kernel's OOM killer.
    #[default]
    Kernel,
    /// `earlyoom`.
    Earlyoom,
    /// `systemd-oomd`.
    SystemdOomd,
    /// `nohang`.
    Nohang,
    /// `oomd` (Meta's).
    Oomd,
    /// Android's `lowmemorykiller` (in the kernel) or `lmkd`.
    Lowmemorykiller,
}

/// How far the words are the kernel's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Each line that marks the episode came by the kernel's own transport.
    Kernel,
    /// At least one did not: text as pasted, which anybody could have written.
    #[default]
    AsPasted,
}

/// A cgroup that `systemd-oomd` considered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its path.
    pub path: String,
    /// What it used; printed rounded (`43.3G`).
    pub usage: Option<Bytes>,
    /// What it had in swap.
    pub swap: Option<Bytes>,
    /// Its memory pressure: the ten-second average, in hundredths of a percent.
    pub pressure_avg10: Option<u32>,
    /// The limit of pressure it is judged by, in hundredths of a percent.
    pub pressure_limit: Option<u32>,
    /// Pages that were scanned for it.
    pub pgscan: Option<u64>,
}

/// A line of the episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportLine {
    /// Its number in the input.
    pub number: LineNumber,
    /// Time since boot, where known.
    pub boot: Option<BootTime>,
    /// The wall clock, where known.
    pub wall: Option<WallTime>,
    /// The message, escaped.
    pub text: String,
}

/// `NAME invoked oom-killer: …` and the CPU line below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    /// Who asked; escaped.
    pub comm: Option<String>,
    /// Its pid, from the CPU line.
    pub pid: Option<Pid>,
    /// The request's flags as printed: `0x100cca(GFP_HIGHUSER_MOVABLE)`.
    pub gfp_mask: Option<String>,
    /// The request was for 2^order pages in one piece; −1 is a person with sysrq.
    pub order: Option<i32>,
    /// The asker's adjustment. Never the victim's.
    pub oom_score_adj: Option<i32>,
    /// `nodemask=`, printed here from 4.10 to 4.20; `(null)` and `0` are `None`.
    pub nodemask: Option<String>,
    /// `NAME cpuset=X mems_allowed=Y` below it (≤ 4.20).
    pub cpuset: Option<String>,
    /// See `cpuset`.
    pub mems_allowed: Option<String>,
}

/// What the allocation was confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// The whole machine.
    None,
    /// A memory cgroup's limit.
    Memcg,
    /// The memory nodes of a cpuset.
    Cpuset,
    /// The memory nodes of a NUMA policy.
    Mempolicy,
}

/// What was said of the memory cgroup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memcg {
    /// The cgroup whose limit was reached.
    pub limit_owner: Option<Cited<String>>,
    /// The cgroup of the victim.
    pub task: Option<Cited<String>>,
    /// `memory: usage …, limit …, failcnt …`.
    pub memory: Option<Cited<Counter>>,
    /// `memory+swap:` of v1.
    pub memsw: Option<Cited<Counter>>,
    /// `swap:` of v2.
    pub swap: Option<Cited<Counter>>,
    /// `kmem:` of v1.
    pub kmem: Option<Cited<Counter>>,
    /// `Memory cgroup stats for PATH: …`, by cgroup; v2 has one, v1 one for each child.
    pub stats: Vec<MemcgStats>,
}

/// One counter line. A usage that underflowed is left out and noted as an oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What was used.
    pub usage: Option<Bytes>,
    /// What there may be.
    pub limit: Option<Limit>,
    /// How often the limit was hit.
    pub failcnt: Option<u64>,
}

/// The statistics of one cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemcgStats {
    /// Which cgroup, where printed.
    pub path: Option<String>,
    /// The line of its header.
    pub line: LineNumber,
    /// Each number: its name as printed and bytes (counters of events are left out).
    pub entries: Vec<(String, Bytes)>,
    /// Counters of events: `pgfault`, `pgscan`, `workingset_refault_anon`, ….
    pub events: Vec<(String, u64)>,
}

impl MemcgStats {
    /// The number called `name`.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, amount)| *amount)
    }
}

/// `Kill process N (x) score S or sacrifice child`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The chosen process.
    pub pid: Option<Pid>,
    /// Its name; escaped.
    pub comm: Option<String>,
    /// Its score; permille of the memory since 2.6.36.
    pub score: Option<i64>,
    /// It was the one that asked (`oom_kill_allocating_task`).
    pub allocating: bool,
}

/// The `oom-kill:` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The victim's name; escaped.
    pub task: Option<String>,
    /// The victim.
    pub pid: Option<Pid>,
    /// Whose it was.
    pub uid: Option<u32>,
    /// It says `global_oom`.
    pub global: bool,
    /// `cpuset=`.
    pub cpuset: Option<String>,
    /// `mems_allowed=`.
    pub mems_allowed: Option<String>,
    /// `nodemask=`; `(null)` is `None`.
    pub nodemask: Option<String>,
}

/// The machine's memory as the report printed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The counts below `Mem-Info:` in pages: `active_anon`, `free`, `slab_unreclaimable`, ….
    pub pages: Vec<(String, Pages)>,
    /// The line of `Mem-Info:`.
    pub line: Option<LineNumber>,
    /// `Node 0 DMA32 free:… min:… low:… high:…`.
    pub zones: Vec<Cited<Zone>>,
    /// `Node 0 active_anon:…kB inactive_anon:…kB …` (≥ 4.8): what each node holds.
    pub nodes: Vec<Cited<Node>>,
    /// `Node 0 Normal: 550*4kB 250*8kB … = 63624kB`: what the free lists of each zone hold. All
    /// that is left of the zones in a log that lost its head.
    pub free_lists: Vec<Cited<FreeList>>,
    /// `Node 0 hugepages_total=…`: the pools of huge pages.
    pub hugepages: Vec<Cited<Hugepages>>,
    /// `Unreclaimable slab info:` (≥ 4.15): the largest caches, as printed.
    pub slabs: Vec<Cited<Slab>>,
    /// `Memory allocations …:` (≥ 6.10): who in the kernel holds most, as printed.
    pub allocations: Vec<Cited<Allocation>>,
    /// `Free swap  = `.
    pub swap_free: Option<Cited<Bytes>>,
    /// `Total swap = `.
    pub swap_total: Option<Cited<Bytes>>,
    /// `N pages RAM`.
    pub ram: Option<Cited<Pages>>,
    /// `N pages reserved`.
    pub reserved: Option<Cited<Pages>>,
    /// `N pages HighMem/MovableOnly`.
    pub highmem: Option<Cited<Pages>>,
    /// `N pages cma reserved`.
    pub cma: Option<Cited<Pages>>,
    /// `N pages hwpoisoned`.
    pub hwpoisoned: Option<Cited<Pages>>,
    /// `N total pagecache pages`.
    pub pagecache: Option<Cited<Pages>>,
    /// `N pages in swap cache`.
    pub swap_cache: Option<Cited<Pages>>,
    /// The size of a page, where the log shows it: from the free lists, or from a victim whose
    /// address space is printed both in pages and in kB.
    pub page_size: Option<Cited<PageSize>>,
}

impl Machine {
    /// The count called `name` below `Mem-Info:`.
    pub fn pages(&self, name: &str) -> Option<Pages> {
        self.pages.iter().find(|(n, _)| n == name).map(|(_, count)| *count)
    }
}

/// One zone line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The node, where printed.
    pub node: Option<u32>,
    /// `DMA`, `Normal`, ….
    pub name: String,
    /// Each amount on the line that is in kB: `free`, `min`, `low`, `high`, `managed`, ….
    pub amounts: Vec<(String, Bytes)>,
    /// `lowmem_reserve[]: 0 1946 1946 …` (older: `protections[]`): pages kept from allocations
    /// that could be served by this many zones further up; empty where not printed.
    pub lowmem_reserve: Vec<Pages>,
    /// `all_unreclaimable? yes`.
    pub all_unreclaimable: Option<bool>,
}

impl Zone {
    /// The amount called `name`.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.amounts.iter().find(|(n, _)| n == name).map(|(_, amount)| *amount)
    }
}

/// What one node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub node: u32,
    /// Each amount on the line that is in kB: `active_anon`, `shmem`, `kernel_stack`, ….
    pub amounts: Vec<(String, Bytes)>,
    /// `all_unreclaimable? yes`.
    pub all_unreclaimable: Option<bool>,
}

impl Node {
    /// The amount called `name`.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.amounts.iter().find(|(n, _)| n == name).map(|(_, amount)| *amount)
    }
}

/// The free memory of a zone by the size of its pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeList {
    /// The node, where printed.
    pub node: Option<u32>,
    /// `DMA`, `Normal`, ….
    pub name: String,
    /// From order 0 up: how many pieces of 2^order pages.
    pub blocks: Vec<Blocks>,
    /// The sum as printed behind `=`.
    pub free: Option<Bytes>,
}

/// The pieces of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// How large one is.
    pub size: Bytes,
    /// How many there are.
    pub count: u64,
    /// The migrate types that have some: `U` unmovable, `M` movable, `E` reclaimable, `H` high
    /// atomic, `C` CMA, `I` isolated; empty where not printed.
    pub types: String,
}

/// A pool of huge pages of one size on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hugepages {
    /// The node.
    pub node: Option<u32>,
    /// Pages in the pool.
    pub total: u64,
    /// Pages that nobody uses.
    pub free: u64,
    /// Pages above the configured number.
    pub surplus: u64,
    /// The size of one.
    pub size: Bytes,
}

/// A cache of the slab allocator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slab {
    /// Its name, escaped.
    pub name: String,
    /// What its objects take.
    pub used: Bytes,
    /// What it takes.
    pub total: Bytes,
}

/// A place in the kernel that allocates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// What it holds; printed rounded (`1.2GiB`).
    pub held: Bytes,
    /// In how many pieces.
    pub count: u64,
    /// File, line, module and function, as printed, escaped.
    pub site: String,
}

/// The task table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskTable {
    /// The line of its header.
    pub line: Option<LineNumber>,
    /// Its rows in the order printed.
    pub rows: Vec<Task>,
}

/// One row of the task table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The line.
    pub line: LineNumber,
    /// The process (`tgid`, or `pid` where there is none).
    pub pid: Pid,
    /// Whose.
    pub uid: Option<u32>,
    /// Address space.
    pub total_vm: Option<Pages>,
    /// In RAM.
    pub rss: Option<Pages>,
    /// Of that anonymous (≥ 6.8).
    pub rss_anon: Option<Pages>,
    /// Of that files (≥ 6.8).
    pub rss_file: Option<Pages>,
    /// Of that shared memory (≥ 6.8).
    pub rss_shmem: Option<Pages>,
    /// Page tables in bytes (≥ 4.15); before that a count of tables, in `nr_ptes`.
    pub pgtables: Option<Bytes>,
    /// Count of page tables (< 4.15), `nr_pmds` and `nr_puds` included.
    pub nr_ptes: Option<Pages>,
    /// In swap.
    pub swapents: Option<Pages>,
    /// The adjustment.
    pub oom_score_adj: Option<i32>,
    /// The old adjustment, −17 to 15 (≤ 3.5).
    pub oom_adj: Option<i32>,
    /// The name; escaped.
    pub comm: String,
}

/// One process that was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kill {
    /// The line that says so.
    pub line: LineNumber,
    /// When, by the envelope of that line.
    pub boot: Option<BootTime>,
    /// When, by the envelope of that line.
    pub wall: Option<WallTime>,
    /// The victim; `None` where a whole cgroup was killed and no process named.
    pub pid: Option<Pid>,
    /// Its name; escaped.
    pub comm: Option<String>,
    /// Whose: kill line, else summary line, else task table.
    pub uid: Option<u32>,
    /// Address space.
    pub total_vm: Option<Bytes>,
    /// Anonymous memory in RAM.
    pub anon_rss: Option<Bytes>,
    /// File memory in RAM.
    pub file_rss: Option<Bytes>,
    /// Shared memory in RAM.
    pub shmem_rss: Option<Bytes>,
    /// Only where the log gives one undivided RSS.
    pub rss: Option<Bytes>,
    /// Page tables, from the kill line only.
    pub pgtables: Option<Bytes>,
    /// In swap, from the task table.
    pub swap: Option<Bytes>,
    /// The score printed for this very process.
    pub oom_score: Option<i64>,
    /// The adjustment: kill line, else the victim's row.
    pub oom_score_adj: Option<i32>,
    /// What chose it.
    pub chosen: Chosen,
    /// The line that says the reaper freed its memory.
    pub reaped: Option<LineNumber>,
    /// The line that says the reaper could not.
    pub reaper_failed: Option<LineNumber>,
    /// The line of its row in the task table.
    pub task_row: Option<LineNumber>,
    /// The line has only what a rate-limited report leaves: no trigger, no summary, no table.
    pub bare: bool,
}

/// What made a process the victim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// By score.
    #[default]
    ByScore,
    /// As a child of the one with the highest score (< 5.1).
    AsChild,
    /// As a member of a cgroup that dies together.
    WithGroup,
    /// Because it was the one that asked (`oom_kill_allocating_task`).
    AsAllocator,
}

/// Something in the log that is not as a kernel prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The line.
    pub line: LineNumber,
    /// What is odd, one lower-case fragment.
    pub what: String,
}
