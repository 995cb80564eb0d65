//! `cargo xtask capture`: what a recorder reads of this machine, as a tree of plain files.
//!
//! The fixtures under `fixtures/kernel` are made with it. Files are read and written rather than
//! archived: a file of /proc has no length that an archiver could trust.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// What is copied.
#[derive(Debug, clap::Args)]
pub(crate) struct Capture {
    /// The folder to fill.
    folder: PathBuf,
    /// The processes.
    #[arg(long, num_args = 1..)]
    pid: Vec<u32>,
    /// The cgroup folders, such as /sys/fs/cgroup/system.slice.
    #[arg(long, num_args = 1..)]
    cgroup: Vec<PathBuf>,
}

/// The machine as a whole.
const SYSTEM: &[&str] = &[
    "/etc/os-release",
    "/proc/buddyinfo",
    "/proc/cgroups",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/vm/min_free_kbytes",
    "/proc/sys/vm/oom_kill_allocating_task",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/overcommit_ratio",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/vm/swappiness",
    "/proc/sys/vm/watermark_scale_factor",
    "/proc/uptime",
    "/proc/version",
    "/proc/vmstat",
    "/proc/zoneinfo",
    "/sys/kernel/mm/transparent_hugepage/enabled",
];

/// A process.
const PROCESS: &[&str] = &[
    "cgroup",
    "cmdline",
    "comm",
    "limits",
    "oom_score",
    "oom_score_adj",
    "smaps_rollup",
    "stat",
    "statm",
    "status",
];

/// What the names of a cgroup's files begin with.
const CGROUP: &[&str] = &["cgroup.", "memory.", "pids."];

impl Capture {
    /// Copies whatever can be read.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        for path in SYSTEM {
            self.copy(Path::new(path))?;
        }
        for pid in &self.pid {
            for name in PROCESS {
                self.copy(&Path::new("/proc").join(pid.to_string()).join(name))?;
            }
        }
        for cgroup in &self.cgroup {
            let Ok(files) = fs::read_dir(cgroup) else { continue };
            for file in files.flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let wanted = CGROUP.iter().any(|start| name.starts_with(start));
                if wanted || name.ends_with(".pressure") {
                    self.copy(&file.path())?;
                }
            }
        }
        Ok(())
    }

    /// A file that is not there, or that nobody may read, has no copy.
    fn copy(&self, from: &Path) -> anyhow::Result<()> {
        let Ok(content) = fs::read(from) else { return Ok(()) };
        let to = self.folder.join(from.strip_prefix("/").unwrap_or(from));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_is_copied_and_the_rest_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let absent = PathBuf::from("/sys/fs/cgroup/no-such-group");
        let own = std::process::id();
        let capture = Capture {
            folder: folder.path().into(),
            pid: vec![own, u32::MAX],
            cgroup: vec![absent],
        };
        capture.run().unwrap();
        let stat = fs::read_to_string(folder.path().join(format!("proc/{own}/stat"))).unwrap();
        assert!(stat.starts_with(&format!("{own} (")), "{stat}");
        assert!(folder.path().join("proc/meminfo").is_file());
        assert!(!folder.path().join(format!("proc/{}", u32::MAX)).exists());
    }
}
