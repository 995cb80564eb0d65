//! The parts of the survey, how often each is read, and within which bounds.

use std::path::PathBuf;
use std::time::Duration;

use highwater_core::id::{CgroupPath, Comm, ProcKey};
use highwater_core::units::Bytes;

/// One part of the survey, with a cadence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// File handles, connections, socket memory, cgroups, process ids, swap areas.
    Kernel,
    /// Free blocks by size, reserved huge pages, transparent huge pages.
    Pages,
    /// The largest slab caches.
    Slabs,
    /// File systems in memory, and those of the store and of the logs.
    Disks,
    /// Large files below the directories of logs.
    Logs,
    /// The mappings of a few processes.
    Mappings,
    /// The descriptors of a few processes by kind.
    Descriptors,
    /// What Docker uses of the disk.
    Docker,
}

impl Part {
    /// All parts, in the order in which a round reads them: the cheap and vital ones first.
    pub const ALL: [Self; 8] = [
        Self::Kernel,
        Self::Pages,
        Self::Disks,
        Self::Slabs,
        Self::Logs,
        Self::Descriptors,
        Self::Mappings,
        Self::Docker,
    ];

    /// What it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Pages => "pages",
            Self::Slabs => "slabs",
            Self::Disks => "disks",
            Self::Logs => "logs",
            Self::Mappings => "mappings",
            Self::Descriptors => "descriptors",
            Self::Docker => "docker",
        }
    }

    /// Whether it may be read less often when the recorder uses too much.
    pub const fn is_optional(self) -> bool {
        !matches!(self, Self::Kernel | Self::Disks)
    }
}

/// How often each part is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadences {
    /// [`Part::Kernel`].
    pub kernel: Duration,
    /// [`Part::Pages`].
    pub pages: Duration,
    /// [`Part::Slabs`].
    pub slabs: Duration,
    /// [`Part::Disks`].
    pub disks: Duration,
    /// [`Part::Logs`].
    pub logs: Duration,
    /// [`Part::Mappings`].
    pub mappings: Duration,
    /// [`Part::Descriptors`].
    pub descriptors: Duration,
    /// [`Part::Docker`].
    pub docker: Duration,
}

impl Cadences {
    /// That of one part.
    pub const fn of(&self, part: Part) -> Duration {
        match part {
            Part::Kernel => self.kernel,
            Part::Pages => self.pages,
            Part::Slabs => self.slabs,
            Part::Disks => self.disks,
            Part::Logs => self.logs,
            Part::Mappings => self.mappings,
            Part::Descriptors => self.descriptors,
            Part::Docker => self.docker,
        }
    }
}

impl Default for Cadences {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self {
            kernel: Duration::from_secs(30),
            pages: minute,
            slabs: minute,
            disks: minute,
            logs: minute,
            mappings: minute,
            descriptors: minute,
            docker: Duration::from_mins(10),
        }
    }
}

/// What is surveyed, and how much that may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyConfig {
    /// How often what is read.
    pub every: Cadences,
    /// The store's directory: its file system is told.
    pub data_dir: PathBuf,
    /// Below which directories large files are looked for.
    pub log_dirs: Vec<PathBuf>,
    /// From which size on a file is told.
    pub log_file_least: Bytes,
    /// Where Docker listens; `None`: it is not asked.
    pub docker_socket: Option<PathBuf>,
    /// How many slab caches are told one by one.
    pub slabs: usize,
    /// How many processes are looked into.
    pub processes: usize,
    /// How much the mappings may cost, in millionths of a core; what is not used is saved up.
    pub mappings_ppm: u32,
    /// How much each other part may cost, in millionths of a core: a part that costs more is read
    /// less often.
    pub part_ppm: u32,
}

impl Default for SurveyConfig {
    fn default() -> Self {
        Self {
            every: Cadences::default(),
            data_dir: PathBuf::from("/var/lib/highwater"),
            log_dirs: vec![PathBuf::from("/var/log")],
            log_file_least: Bytes::new(100_000_000),
            docker_socket: Some(PathBuf::from("/var/run/docker.sock")),
            slabs: 16,
            processes: 12,
            // With every part at its bound this is 0.018 % of a core.
            mappings_ppm: 75,
            part_ppm: 15,
        }
    }
}

/// A process that is worth looking into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub key: ProcKey,
    /// Its name.
    pub comm: Comm,
    /// The cgroup it is in.
    pub cgroup: Option<CgroupPath>,
    /// How much of it is in RAM: what reading its mappings costs goes by that.
    pub resident: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_name_and_a_cadence_of_its_own() {
        let names: std::collections::HashSet<_> =
            Part::ALL.iter().map(|part| part.name()).collect();
        assert_eq!(names.len(), Part::ALL.len());
        let every = Cadences { docker: Duration::from_secs(7), ..Cadences::default() };
        assert_eq!(every.of(Part::Docker), Duration::from_secs(7));
        assert_eq!(every.of(Part::Kernel), Duration::from_secs(30));
    }

    #[test]
    fn what_all_parts_may_cost_together_is_below_a_fiftieth_of_a_percent() {
        let config = SurveyConfig::default();
        let others = u32::try_from(Part::ALL.len()).unwrap() - 1;
        assert!(config.mappings_ppm + others * config.part_ppm < 200);
    }
}
