//! What a tick costs: processor time and bytes, for 1,000 processes and 200 cgroups of which one
//! in ten changes from tick to tick. Prints the share of the agent's budget of 15 ms a tick.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "prints what it measures")]

use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, ProcSample, SlowReadings,
};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::time::{BootId, BootTime, WallTime};
use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_store::Store;

const PROCESSES: u32 = 1000;
const CGROUPS: u32 = 200;
const TICKS: u32 = 400;
/// 0.3 % of one core at a tick each 5 s.
const BUDGET_MS: f64 = 15.0;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let boot: BootId = "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap();
    let mut machine = Machine::new();
    let first = cpu_ms();
    store.append(&machine.frame, boot).unwrap();
    println!("first tick         {:8.2} ms", cpu_ms() - first);
    let (mut spent, mut bytes) = (0.0, 0);
    for tick in 1..=TICKS {
        machine.advance(tick);
        let before = cpu_ms();
        bytes += store.append(&machine.frame, boot).unwrap().bytes;
        spent += cpu_ms() - before;
    }
    let each = spent / f64::from(TICKS);
    println!("each further tick  {each:8.2} ms, {:.0} % of the budget", 100.0 * each / BUDGET_MS);
    println!("blobs of a tick    {:8} bytes", bytes / usize::try_from(TICKS).unwrap());
    let info = highwater_store::Reader::open(dir.path()).unwrap().info().unwrap();
    println!(
        "database and log   {:8} bytes a tick",
        (info.database_bytes + info.wal_bytes) / u64::from(TICKS)
    );
}

/// Processor time of this process so far.
fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = f64::from(u32::try_from(time.tv_sec).unwrap());
    seconds * 1e3 + f64::from(u32::try_from(time.tv_nsec).unwrap()) / 1e6
}

/// A machine made of arithmetic: the same on every run.
struct Machine {
    frame: Frame,
    seed: u64,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Self { frame: Frame::default(), seed: 0x9e37_79b9_7f4a_7c15 };
        let cgroups: Vec<_> = (0..CGROUPS)
            .map(|n| CgroupPath::new(format!("/system.slice/service-{n:03}.service").as_bytes()))
            .collect();
        for n in 0..PROCESSES {
            let cgroup = cgroups.iter().cycle().nth(machine.below(200)).cloned();
            let process = machine.process(n, cgroup);
            machine.frame.processes.push(process);
        }
        for path in cgroups {
            let memory = machine.cgroup();
            let version = CgroupVersion::V2;
            machine.frame.cgroups.push(CgroupSample { path, version, memory });
        }
        machine.frame.machine = Some(MachineSample::default());
        machine.advance(0);
        machine
    }

    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: u64) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        usize::try_from(self.seed % bound).unwrap()
    }

    fn pages(&mut self, most: u64) -> Bytes {
        Pages::new(u64::try_from(self.below(most)).unwrap()).bytes(PageSize::KIB4)
    }

    fn count(&mut self, most: u64) -> u64 {
        u64::try_from(self.below(most)).unwrap()
    }

    fn process(&mut self, n: u32, cgroup: Option<CgroupPath>) -> ProcSample {
        let slow = SlowReadings {
            uid: Some(0),
            peak_resident: Some(self.pages(90_000)),
            swap: Some(Bytes::ZERO),
            page_tables: Some(self.pages(300)),
            open_fds: Some(self.count(200)),
            max_fds: Some(Limit::At(1024)),
            oom_score: Some(666),
            oom_score_adj: Some(0),
        };
        ProcSample {
            key: ProcKey { pid: Pid::new(1000 + n), start: StartTicks::new(self.count(1 << 30)) },
            comm: Comm::new(format!("worker-{n}").as_bytes()),
            cgroup,
            parent: Pid::new(1),
            state: b'S',
            threads: 1 + n % 30,
            cpu_us: self.count(1 << 34) / 10_000 * 10_000,
            major_faults: self.count(500),
            virtual_size: self.pages(900_000),
            resident: self.pages(90_000),
            resident_shared: self.pages(5000),
            children: None,
            zombie_children: None,
            slow,
        }
    }

    fn cgroup(&mut self) -> CgroupMemory {
        let memory = CgroupMemory::default();
        CgroupMemory {
            usage: Some(self.pages(200_000)),
            peak: Some(self.pages(300_000)),
            limit: Some(Limit::Unlimited),
            high: Some(Limit::Unlimited),
            swap: Some(Bytes::ZERO),
            anon: Some(self.pages(100_000)),
            file: Some(self.pages(100_000)),
            inactive_file: Some(self.pages(100_000)),
            active_file: Some(self.pages(100_000)),
            kernel: Some(self.pages(10_000)),
            slab_reclaimable: Some(self.pages(10_000)),
            slab_unreclaimable: Some(self.pages(10_000)),
            pgmajfault: Some(self.count(10_000)),
            limit_hits: Some(0),
            oom_kills: Some(0),
            pids: Some(self.count(50)),
            pids_limit: Some(Limit::At(4915)),
            ..memory
        }
    }

    /// One tick later, one in ten has worked a little.
    fn advance(&mut self, tick: u32) {
        let ms = i64::from(tick) * 5000;
        self.frame.stamp.wall = WallTime::from_millis(1_714_000_000_000 + ms);
        self.frame.stamp.boot = BootTime::from_micros(u64::from(tick) * 5_000_000);
        let (mut processes, mut cgroups) =
            (std::mem::take(&mut self.frame.processes), std::mem::take(&mut self.frame.cgroups));
        for process in &mut processes {
            if self.below(10) == 0 {
                process.resident = process.resident.saturating_add(self.pages(100));
                process.cpu_us += self.count(100) * 10_000;
            }
        }
        for cgroup in &mut cgroups {
            if self.below(10) == 0 {
                cgroup.memory.usage = Some(self.pages(200_000));
            }
        }
        (self.frame.processes, self.frame.cgroups) = (processes, cgroups);
    }
}
