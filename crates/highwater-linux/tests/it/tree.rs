//! A fixture tree, read with the parsers of the crate.

use std::path::{Path, PathBuf};

use highwater_core::frame::{CgroupMemory, CgroupVersion, MachineSample, ZoneSample};
use highwater_core::limit::Limit;
use highwater_core::units::{Bytes, PageSize};
use highwater_linux::parse::mountinfo::Hierarchies;
use highwater_linux::parse::stat::Stat;
use highwater_linux::parse::statm::Statm;
use highwater_linux::parse::status::Status;
use highwater_linux::parse::swaps::Swap;
use highwater_linux::parse::{
    limits, membership, meminfo, mountinfo, number, pressure, stat, statm, status, swaps, v1, v2,
    vmstat, zoneinfo,
};
use highwater_linux::root::Root;

/// Below this folder are all trees.
pub(crate) fn kernel_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/kernel")
}

/// The captured machines: every folder but `oddities`.
pub(crate) fn captured() -> Vec<Tree> {
    let trees: Vec<_> = folders(&kernel_fixtures())
        .filter(|dir| !dir.ends_with("oddities"))
        .map(Tree::at)
        .collect();
    assert!(!trees.is_empty(), "there is at least one captured machine");
    trees
}

/// The folders in `dir`, by name; none if there is no `dir`.
pub(crate) fn folders(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut dirs: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs.into_iter()
}

pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) root: Root,
}

/// All that is read of one process.
pub(crate) struct Process {
    pub(crate) dir: String,
    pub(crate) stat: Option<Stat>,
    pub(crate) statm: Option<Statm>,
    pub(crate) status: Status,
    pub(crate) v1_path: Option<Vec<u8>>,
    pub(crate) v2_path: Option<Vec<u8>>,
    pub(crate) max_open_files: Option<Limit<u64>>,
    pub(crate) oom_score: Option<i64>,
    pub(crate) oom_score_adj: Option<i64>,
}

impl Tree {
    pub(crate) fn at(dir: impl AsRef<Path>) -> Self {
        let name = dir.as_ref().file_name().unwrap().to_str().unwrap().to_owned();
        Self { name, root: Root::at(dir.as_ref()) }
    }

    /// The file's bytes, none if it is not there.
    pub(crate) fn bytes(&self, rel: impl AsRef<Path>) -> Vec<u8> {
        let mut buf = Vec::new();
        let _absent = self.root.read(rel, &mut buf);
        buf
    }

    pub(crate) fn machine(&self) -> MachineSample {
        let mut machine = MachineSample::default();
        meminfo::parse(&self.bytes("proc/meminfo"), &mut machine.mem);
        vmstat::parse(&self.bytes("proc/vmstat"), &mut machine.vm);
        machine.memory_pressure = Some(pressure::parse(&self.bytes("proc/pressure/memory")));
        machine.cpu_pressure = Some(pressure::parse(&self.bytes("proc/pressure/cpu")));
        machine.io_pressure = Some(pressure::parse(&self.bytes("proc/pressure/io")));
        machine
    }

    pub(crate) fn zones(&self) -> Vec<ZoneSample> {
        let mut zones = Vec::new();
        zoneinfo::parse(&self.bytes("proc/zoneinfo"), PageSize::KIB4, &mut zones);
        zones
    }

    pub(crate) fn swaps(&self) -> Vec<Swap> {
        swaps::parse(&self.bytes("proc/swaps"))
    }

    pub(crate) fn hierarchies(&self) -> Hierarchies {
        Hierarchies::find(&mountinfo::parse(&self.bytes("proc/self/mountinfo")))
    }

    pub(crate) fn processes(&self) -> Vec<Process> {
        let dirs = folders(&self.root.path("proc"));
        let names = dirs.map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned());
        names.filter(|name| name.parse::<u32>().is_ok()).map(|dir| self.process(dir)).collect()
    }

    fn process(&self, dir: String) -> Process {
        let bytes = |file: &str| self.bytes(format!("proc/{dir}/{file}"));
        let membership = bytes("cgroup");
        let path = |version| membership::memory_path(&membership, version).map(<[u8]>::to_vec);
        Process {
            stat: stat::parse(&bytes("stat")),
            statm: statm::parse(&bytes("statm")),
            status: status::parse(&bytes("status")),
            v1_path: path(CgroupVersion::V1),
            v2_path: path(CgroupVersion::V2),
            max_open_files: limits::max_open_files(&bytes("limits")),
            oom_score: number::i64(&bytes("oom_score")),
            oom_score_adj: number::i64(&bytes("oom_score_adj")),
            dir,
        }
    }

    /// The cgroups below the memory hierarchy, paths as `/proc/PID/cgroup` has them.
    pub(crate) fn cgroups(&self) -> Vec<(String, CgroupMemory)> {
        let hierarchies = self.hierarchies();
        let Some((version, mount)) = hierarchies.memory else { return Vec::new() };
        let mut found = Vec::new();
        let mut open = vec![String::new()];
        while let Some(path) = open.pop() {
            let dir = mount.join(path.trim_start_matches('/'));
            let below = folders(&self.root.path(&dir))
                .map(|dir| format!("{path}/{}", dir.file_name().unwrap().to_str().unwrap()));
            open.extend(below);
            let mut memory = match version {
                CgroupVersion::V1 => self.v1(&dir),
                CgroupVersion::V2 => self.v2(&dir),
            };
            let pids = hierarchies
                .pids
                .as_ref()
                .map(|(_, mount)| mount.join(path.trim_start_matches('/')));
            if let Some(dir) = pids {
                memory.pids = number::u64(&self.bytes(dir.join("pids.current")));
                memory.pids_limit = number::count_limit(&self.bytes(dir.join("pids.max")));
            }
            found.push((if path.is_empty() { "/".to_owned() } else { path }, memory));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    fn v1(&self, dir: &Path) -> CgroupMemory {
        let mut memory = CgroupMemory::default();
        v1::stat(&self.bytes(dir.join("memory.stat")), &mut memory);
        v1::oom_control(&self.bytes(dir.join("memory.oom_control")), &mut memory);
        let amount = |file: &str| number::u64(&self.bytes(dir.join(file))).map(Bytes::new);
        let limit = |file: &str| number::v1_limit(&self.bytes(dir.join(file)), PageSize::KIB4);
        memory.usage = amount("memory.usage_in_bytes");
        memory.peak = amount("memory.max_usage_in_bytes");
        memory.limit = limit("memory.limit_in_bytes");
        memory.memsw_usage = amount("memory.memsw.usage_in_bytes");
        memory.memsw_limit = limit("memory.memsw.limit_in_bytes");
        memory.kernel = amount("memory.kmem.usage_in_bytes");
        memory.limit_hits = number::u64(&self.bytes(dir.join("memory.failcnt")));
        memory
    }

    fn v2(&self, dir: &Path) -> CgroupMemory {
        let mut memory = CgroupMemory::default();
        v2::stat(&self.bytes(dir.join("memory.stat")), &mut memory);
        v2::events(&self.bytes(dir.join("memory.events")), &mut memory);
        let amount = |file: &str| number::u64(&self.bytes(dir.join(file))).map(Bytes::new);
        let limit = |file: &str| number::v2_limit(&self.bytes(dir.join(file)));
        memory.usage = amount("memory.current");
        memory.peak = amount("memory.peak");
        memory.min = limit("memory.min");
        memory.low = limit("memory.low");
        memory.high = limit("memory.high");
        memory.limit = limit("memory.max");
        memory.swap = amount("memory.swap.current");
        memory.swap_limit = limit("memory.swap.max");
        memory.oom_group = number::u64(&self.bytes(dir.join("memory.oom.group"))).map(|on| on != 0);
        memory.pressure = Some(pressure::parse(&self.bytes(dir.join("memory.pressure"))));
        memory
    }
}
