//! A machine full of services that do nothing: what a monitor must look at all the same.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::e2e::group::{Group, Hierarchy};

/// What its members are called, for whoever looks for them.
pub(super) const COMM: &str = "hw-idle";

/// Idle processes in cgroups of their own. Dropping it ends them, then removes the cgroups.
pub(super) struct Crowd {
    members: Vec<Child>,
    // After the members: a cgroup can only be removed when it is empty.
    groups: Vec<Group>,
    folder: PathBuf,
}

impl Crowd {
    /// Starts so many processes, spread over so many cgroups.
    pub(super) fn start(processes: usize, cgroups: usize) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::find()?.context("this machine has no memory cgroups")?;
        let folder = std::env::temp_dir().join(format!("highwater-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let program = folder.join(COMM);
        let mut crowd = Self { members: Vec::new(), groups: Vec::new(), folder };
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        std::os::unix::fs::symlink(xtask, &program)?;
        for number in 0..cgroups {
            let name = format!("highwater-bench-{}-{number}", std::process::id());
            crowd.groups.push(hierarchy.make(&name, None).context("cannot make a memory cgroup")?);
        }
        for (_, group) in (0..processes).zip(crowd.groups.iter().cycle()) {
            let mut idle = Command::new(&program);
            idle.arg("idle").arg("--cgroup").arg(group.folder()).stdin(Stdio::null());
            crowd.members.push(idle.spawn().context("cannot start an idle process")?);
        }
        Ok(crowd)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &mut self.members {
            // One that ended by itself is as good.
            let _gone = member.kill();
        }
        for member in &mut self.members {
            let _gone = member.wait();
        }
        self.groups.clear();
        // What cannot be removed is in the folder for what is temporary.
        let _left = fs::remove_dir_all(&self.folder);
    }
}
