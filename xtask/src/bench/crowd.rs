//! A machine full of services that do nothing, and a few that do: what a monitor must look at all
//! the same.
//!
//! The idle ones are forked from one small shell, so that ten thousand cost little and start in
//! seconds. They wait for their end of a pipe to be closed: whatever becomes of the chore, they end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::clock;
use crate::e2e::group::{Group, Hierarchy};

/// What its idle members are called, for whoever looks for them.
pub(super) const COMM: &str = "hw-idle";

/// What the idle ones are: subshells in cgroups of their own that read what is never written.
/// `$1` is how many, the rest are the cgroups.
const IDLERS: &str = r#"
exec 3<&0
most=$1
shift
for group; do [ -e "$group/cgroup.procs" ] || exit 1; done
made=0
while [ "$made" -lt "$most" ]; do
    for group; do
        [ "$made" -lt "$most" ] || break
        ( echo 0 >"$group/cgroup.procs"; echo . ; exec >&-; read -r _ <&3 ) &
        made=$((made + 1))
    done
done
read -r _ <&3
"#;

/// Pids that are left for everybody else.
const SPARE_PIDS: usize = 2_000;

/// Members in cgroups of their own. Dropping it ends them, then removes the cgroups.
pub(super) struct Crowd {
    parent: Child,
    idle: usize,
    busy: Vec<Child>,
    // After the members: a cgroup can only be removed when it is empty.
    groups: Vec<Group>,
    folder: PathBuf,
}

impl Crowd {
    /// Starts so many idle and busy processes, spread over so many cgroups.
    pub(super) fn start(idle: usize, busy: usize, cgroups: usize) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::find()?.context("this machine has no memory cgroups")?;
        room_for(idle.saturating_add(busy))?;
        let folder = std::env::temp_dir().join(format!("highwater-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut groups = Vec::new();
        for number in 0..cgroups.max(1) {
            let name = format!("highwater-bench-{}-{number}", std::process::id());
            groups.push(hierarchy.make(&name, None).context("cannot make a memory cgroup")?);
        }
        let program = folder.join(COMM);
        std::os::unix::fs::symlink("/bin/sh", &program)?;
        let mut parent = Command::new(&program);
        parent.arg("-c").arg(IDLERS).arg(COMM).arg(idle.to_string());
        parent.args(groups.iter().map(Group::folder)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let parent = parent.spawn().context("cannot start a shell")?;
        let mut crowd = Self { parent, idle, busy: Vec::new(), groups, folder };
        crowd.await_idlers()?;
        crowd.start_busy(busy)?;
        Ok(crowd)
    }

    /// Each idler says a line when it is where it belongs.
    fn await_idlers(&mut self) -> anyhow::Result<()> {
        let said = self.parent.stdout.take().context("the shell has no output")?;
        let came = BufReader::new(said).lines().take(self.idle).map_while(Result::ok).count();
        if came < self.idle {
            bail!("only {came} of {} idle processes could be started", self.idle);
        }
        Ok(())
    }

    fn start_busy(&mut self, count: usize) -> anyhow::Result<()> {
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        for (_, group) in (0..count).zip(self.groups.iter().cycle()) {
            let mut busy = Command::new(&xtask);
            busy.args(["bench", "busy", "--cgroup"]).arg(group.folder()).stdin(Stdio::null());
            self.busy.push(busy.spawn().context("cannot start a busy process")?);
        }
        Ok(())
    }

    /// How many idle ones there are, with the shell that they come from.
    pub(super) fn idle(&self) -> usize {
        self.idle + 1
    }

    /// How many busy ones there are.
    pub(super) fn busy(&self) -> usize {
        self.busy.len()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &mut self.busy {
            // One that ended by itself is as good.
            let _gone = member.kill();
            let _gone = member.wait();
        }
        // The pipe's other end: all idlers wake up and end.
        drop(self.parent.stdin.take());
        let _gone = self.parent.wait();
        self.groups.clear();
        // What cannot be removed is in the folder for what is temporary.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// Requires that the machine has pids for so many more.
fn room_for(members: usize) -> anyhow::Result<()> {
    let most = fs::read_to_string("/proc/sys/kernel/pid_max").context("cannot read pid_max")?;
    let most: usize = most.trim().parse().context("pid_max is not a number")?;
    if members.saturating_add(SPARE_PIDS) > most {
        bail!("{members} processes do not fit below kernel.pid_max = {most}: raise it with sysctl");
    }
    Ok(())
}

/// A process that is never quite still: it works in short bursts, and its memory grows and shrinks.
#[derive(Debug, clap::Args)]
pub(crate) struct Busy {
    /// The cgroup it enters first.
    #[arg(long)]
    cgroup: PathBuf,
}

/// How long a burst is, and how often it comes: a hundredth of a core.
const BURST: Duration = Duration::from_millis(2);
const BURST_EVERY: Duration = Duration::from_millis(200);

/// What it takes at each burst, and with how much it begins anew.
const STEP_BYTES: usize = 128 * 1024;
const MOST_STEPS: usize = 256;

impl Busy {
    /// Goes on until it is killed.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .context("cannot ask to die with the parent")?;
        enter(&self.cgroup)?;
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            let began = clock::now();
            if held.len() == MOST_STEPS {
                held.clear();
            }
            held.push(vec![0xA5; STEP_BYTES]);
            let mut sum = 0_u64;
            while began.elapsed() < BURST {
                for byte in held.iter().flatten().step_by(64).take(10_000) {
                    sum = sum.wrapping_add(u64::from(*byte));
                }
                std::hint::black_box(sum);
            }
            thread::sleep(BURST_EVERY);
        }
    }
}

fn enter(cgroup: &Path) -> anyhow::Result<()> {
    // "0" is whoever writes it.
    let procs = cgroup.join("cgroup.procs");
    fs::write(&procs, "0").with_context(|| format!("cannot enter {}", procs.display()))
}
