//! The cgroups, the programs in them, and the agent that watches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::cast::{CAST, Limit, Part};
use super::mixes::{MIXES, Mix};
use crate::borrowed::{Folder, Running};
use crate::clock;
use crate::e2e::agent::{Agent, Recording};
use crate::e2e::group::{Group, Hierarchy};
use crate::victim::habit::{Habit, Program};

/// Where version 1 counts processes by cgroup: Docker and systemd make theirs in all hierarchies.
const PIDS: &str = "/sys/fs/cgroup/pids";

/// Where there is a tmpfs.
const TMPFS: &str = "/dev/shm";

/// Version 1 counts the buffers of TCP only in a cgroup that limits them.
const TCP_LIMIT: &str = "memory.kmem.tcp.limit_in_bytes";
const TCP_BYTES: &str = "4294967296";

/// How willingly the mixes let others run.
const NICENESS: &str = "15";

/// All that plays.
pub(super) struct Stage {
    program: PathBuf,
    hierarchy: Hierarchy,
    // Dropped in this order: who plays, who watches, what was written.
    players: Vec<Player>,
    extras: Vec<Extra>,
    _agent: Agent,
    recording: Recording,
    folders: Vec<Folder>,
}

/// A program of the cast.
pub(super) struct Player {
    pub(super) part: Part,
    pub(super) pid: u32,
    pub(super) folder: PathBuf,
    _process: Running,
    home: Home,
}

/// A mix of stress-ng.
pub(super) struct Extra {
    pub(super) mix: Mix,
    process: Option<Running>,
    home: Home,
    folder: PathBuf,
}

impl Stage {
    /// Starts the agent; `None` where no cgroup can be made.
    pub(super) fn build(program: PathBuf) -> anyhow::Result<Option<Self>> {
        let Some(hierarchy) = Hierarchy::find()? else { return Ok(None) };
        if hierarchy.make(&named("trial"), None).is_err() {
            return Ok(None);
        }
        let files = Folder::fresh("e2e-leaks")?;
        let shared = Folder::below(Path::new(TMPFS), "e2e-leaks")?;
        let logs = files.join(Habit::Log.name());
        fs::create_dir_all(&logs)?;
        let recording = Recording::configured(&program, "leaks", &config(&logs))?;
        let agent = recording.agent()?;
        Ok(Some(Self {
            program,
            hierarchy,
            players: Vec::new(),
            extras: Vec::new(),
            _agent: agent,
            recording,
            folders: vec![files, shared],
        }))
    }

    /// The program that is asked.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// What is asked about.
    pub(super) fn data(&self) -> PathBuf {
        self.recording.data()
    }

    pub(super) fn players(&self) -> &[Player] {
        &self.players
    }

    pub(super) fn extras(&self) -> &[Extra] {
        &self.extras
    }

    /// Starts all of the cast.
    pub(super) fn enter_cast(&mut self) -> anyhow::Result<()> {
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        for part in CAST {
            let name = part.habit.name();
            let name = if part.is_unit { format!("{name}.service") } else { name };
            let home = Home::make(&self.hierarchy, &name, part.limit)?;
            let folder = self.folder(part.habit).join(part.habit.name());
            if part.habit == Habit::Tcp {
                home.limit_tcp();
            }
            let habit = part.habit;
            let files = if let Limit::Files(count) = part.limit { Some(count) } else { None };
            let program = Program {
                habit,
                cgroup: home.folders(),
                folder: folder.clone(),
                files,
                ends: false,
            };
            let mut command = Command::new(&xtask);
            program.arguments(&mut command);
            let process = Running::start(command.stdin(Stdio::null()))?;
            let (part, pid) = (*part, process.id());
            self.players.push(Player { part, pid, folder, _process: process, home });
        }
        Ok(())
    }

    /// Starts the mixes; false where there is no stress-ng.
    pub(super) fn enter_mixes(&mut self) -> anyhow::Result<bool> {
        let is_there = Command::new("stress-ng").arg("--version").stdout(Stdio::null()).status();
        if is_there.is_err() {
            return Ok(false);
        }
        let folder = self.folder(Habit::Log).join("stress");
        fs::create_dir_all(&folder)?;
        for mix in MIXES {
            let home = Home::make(&self.hierarchy, &format!("stress-{}", mix.name), Limit::None)?;
            let extra = Extra { mix: *mix, process: None, home, folder: folder.clone() };
            self.extras.push(extra);
        }
        self.prompt(Duration::ZERO)?;
        Ok(true)
    }

    /// Starts the mixes that have rested, `after` this long.
    pub(super) fn prompt(&mut self, after: Duration) -> anyhow::Result<()> {
        self.extras.iter_mut().try_for_each(|extra| extra.prompt(after))
    }

    /// Keeps what was recorded.
    pub(super) fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        for file in fs::read_dir(self.data())? {
            let path = file?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                fs::copy(&path, folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Where a habit has its files: on disk, or in memory.
    fn folder(&self, habit: Habit) -> &Path {
        let mut folders = self.folders.iter();
        let folder = match habit {
            Habit::Shmem | Habit::Dentries => folders.next_back(),
            _ => folders.next(),
        };
        folder.map_or(Path::new("/tmp"), |folder| &**folder)
    }
}

impl Player {
    /// As highwater should call it: the log by its file, others by their cgroup.
    pub(super) fn owner(&self) -> (&'static str, String) {
        match self.part.habit {
            Habit::Log => ("log", self.folder.join("debug.log").display().to_string()),
            _ => self.own(),
        }
    }

    /// Its cgroup, as highwater should call it.
    pub(super) fn own(&self) -> (&'static str, String) {
        self.home.owner(self.part.is_unit)
    }
}

impl Extra {
    pub(super) fn own(&self) -> (&'static str, String) {
        self.home.owner(false)
    }

    fn prompt(&mut self, after: Duration) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process
            && process.try_wait()?.is_none()
        {
            return Ok(());
        }
        let mut command = Command::new("nice");
        command.args(["-n", NICENESS, "stress-ng", "--quiet", "--temp-path"]).arg(&self.folder);
        // What it leaves lying about when it is killed lies there.
        command.args(self.mix.arguments).current_dir(&self.folder);
        if let Some((runs, rests)) = self.mix.runs_and_rests {
            if after.as_secs() % (runs + rests) >= runs {
                return Ok(());
            }
            command.arg("--timeout").arg(format!("{runs}s"));
        }
        self.process = Some(self.home.entering(&command)?);
        Ok(())
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        // Its children die by the cgroup that they are in.
        self.home.end_all();
        drop(self.process.take());
        self.home.end_all();
    }
}

/// A cgroup, in the hierarchies that count memory and processes.
struct Home {
    name: String,
    memory: Group,
    pids: Option<PathBuf>,
}

impl Home {
    fn make(hierarchy: &Hierarchy, name: &str, limit: Limit) -> anyhow::Result<Self> {
        let name = named(name);
        let bytes = if let Limit::Memory(bytes) = limit { Some(bytes) } else { None };
        let memory = hierarchy.make(&name, bytes).context("cannot make a memory cgroup")?;
        let pids = Path::new(PIDS).join(&name);
        let pids = fs::create_dir(&pids).is_ok().then_some(pids);
        let home = Self { name, memory, pids };
        if let Limit::Tasks(count) = limit {
            let folder = home.pids.as_deref().unwrap_or(home.memory.folder());
            fs::write(folder.join("pids.max"), count.to_string())
                .context("cannot limit how many processes there are")?;
        }
        Ok(home)
    }

    fn folders(&self) -> Vec<PathBuf> {
        let own = std::iter::once(self.memory.folder().to_owned());
        own.chain(self.pids.clone()).collect()
    }

    fn owner(&self, is_unit: bool) -> (&'static str, String) {
        if is_unit {
            ("unit", self.name.clone())
        } else {
            ("cgroup", self.memory.path().to_owned())
        }
    }

    /// A limit that is never reached.
    fn limit_tcp(&self) {
        let file = self.memory.folder().join(TCP_LIMIT);
        if file.exists() {
            // What cannot be limited is not counted, and then not told.
            let _refused = fs::write(file, TCP_BYTES);
        }
    }

    /// Starts `command` inside, in a session of its own: where sessions share the processors evenly,
    /// the niceness of one counts by session, and stress-ng would lower that of whoever called it.
    fn entering(&self, command: &Command) -> anyhow::Result<Running> {
        let enter: Vec<String> = self
            .folders()
            .iter()
            .map(|folder| format!("echo 0 > '{}/cgroup.procs'; ", folder.display()))
            .collect();
        let enter = enter.concat();
        let nice = format!("echo {NICENESS} > /proc/self/autogroup; ");
        let mut shell = Command::new("setsid");
        shell.args(["sh", "-c", &format!("{enter}{nice}exec \"$@\""), "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(&mut shell)
    }

    /// Ends whoever is inside; nobody else ever was.
    fn end_all(&self) {
        // To give much memory back takes a while where there is much else to do.
        let (at_most, every) = (Duration::from_secs(30), Duration::from_millis(50));
        let ended = clock::poll(at_most, every, || {
            let inside = fs::read_to_string(self.memory.folder().join("cgroup.procs"))?;
            for pid in inside.lines().filter_map(|line| line.parse().ok()) {
                if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                    // It may be gone by now.
                    let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            Ok(inside.is_empty().then_some(()))
        });
        if !matches!(ended, Ok(Some(()))) {
            eprintln!("somebody in {} does not end", self.memory.folder().display());
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Some(pids) = &self.pids else { return };
        let (at_most, every) = (Duration::from_secs(5), Duration::from_millis(10));
        let removed = clock::poll(at_most, every, || Ok(fs::remove_dir(pids).ok()));
        if !matches!(removed, Ok(Some(()))) {
            eprintln!("could not remove {}", pids.display());
        }
    }
}

/// A name that no other run has.
fn named(name: &str) -> String {
    format!("highwater-e2e-{}-{name}", std::process::id())
}

/// An agent that looks each second, and at the logs that are written here.
fn config(logs: &Path) -> String {
    format!(
        "[sample]\nevery = \"1s\"\nslow_every = \"1s\"\n\
         [survey]\nevery = \"10s\"\nlog_folders = [\"{}\"]\nlog_file_least = \"1MB\"\n\
         [web]\nlisten = \"127.0.0.1:0\"\n[agent]\ncpu_budget = \"100%\"\n",
        logs.display()
    )
}
