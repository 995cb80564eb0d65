//! A real kill by the real kernel, on record before anybody asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::Agent;
use highwater_agent::config::Config;
use highwater_core::event::{Death, Happening};
use highwater_core::frame::CgroupVersion;
use highwater_core::id::Pid;
use highwater_linux::parse::mountinfo::{self, Hierarchies};
use highwater_linux::root::Root;
use highwater_store::{EventFilter, Reader};

/// A memory cgroup of its own with a limit, removed in the end.
struct Cage(PathBuf);

impl Cage {
    /// `None` where cgroups cannot be made: not root, or no memory controller.
    fn make(name: &str, limit: &str) -> Option<Self> {
        let mut text = Vec::new();
        Root::live().read("proc/self/mountinfo", &mut text).ok()?;
        let (version, mount) = Hierarchies::find(&mountinfo::parse(&text)).memory?;
        let dir = mount.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let cage = Self(dir);
        let file = match version {
            CgroupVersion::V1 => "memory.limit_in_bytes",
            CgroupVersion::V2 => "memory.max",
        };
        fs::write(cage.0.join(file), limit).ok()?;
        Some(cage)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        eprintln!("{} could not be removed", self.0.display());
    }
}

/// A process that moves into the cage and then keeps every byte it reads, of which there is no end.
fn hog(cage: &Path) -> Child {
    let script = format!("echo $$ > {}/cgroup.procs && exec tail /dev/zero", cage.display());
    Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).spawn().unwrap()
}

fn deaths(dir: &Path, pid: u32) -> Vec<Death> {
    let reader = Reader::open(dir).unwrap();
    let events = reader.events(&EventFilter::default()).unwrap();
    events
        .into_iter()
        .filter_map(|stored| match stored.event.what {
            Happening::Death(death) if death.pid == Pid::new(pid) => Some(death),
            _ => None,
        })
        .collect()
}

/// Asks for the deaths of `pid` until there is one. How soon it is there is measured elsewhere, on
/// a machine that does nothing else; here it only must come.
fn await_death(dir: &Path, pid: u32) -> Vec<Death> {
    for _ in 0..400 {
        let found = deaths(dir, pid);
        if !found.is_empty() {
            return found;
        }
        sleep(Duration::from_millis(50));
    }
    Vec::new()
}

fn can_read_kernel_messages() -> bool {
    highwater_linux::kmsg::Kmsg::open(&Root::live())
        .and_then(|mut kmsg| kmsg.next().map(|_| ()))
        .is_ok()
}

/// Once while the agent runs, once while it does not: both are on record, each once.
#[test]
fn a_kill_is_recorded_while_the_agent_runs_and_while_it_does_not() {
    let Some(cage) = Cage::make("highwater-agent-test", "16M") else {
        eprintln!("skipped: no memory cgroup can be made here; it takes root");
        return;
    };
    if !can_read_kernel_messages() {
        eprintln!("skipped: kernel messages cannot be read here; it takes root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let agent = Agent::start(&Root::live(), dir.path(), &config).unwrap();
    let mut first = hog(cage.path());
    let pid = first.id();
    first.wait().unwrap();
    let found = await_death(dir.path(), pid);
    assert_eq!(found.len(), 1, "{found:?}");
    let death = found.first().unwrap();
    assert_eq!(death.comm, "tail");
    assert!(
        death.lines.get(death.kill_line).unwrap().text.contains(&format!("process {pid} (tail)"))
    );
    agent.stop();

    let mut second = hog(cage.path());
    let missed = second.id();
    second.wait().unwrap();
    let agent = Agent::start(&Root::live(), dir.path(), &config).unwrap();
    assert_eq!(await_death(dir.path(), missed).len(), 1, "the death while nobody looked");
    assert_eq!(deaths(dir.path(), pid).len(), 1, "the first death is told once only");
    agent.stop();
}
