//! The witness stand: what all witnesses heard, kept until it is asked for.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Exit, Origin, Party, Sent, Signal, Status};
use highwater_linux::root::Root;
use highwater_linux::witness::{Absent, Connector, People, ProcEvent, Traced, Tracing};
use rustix::event::{PollFd, PollFlags, Timespec};

/// How long witnesses may be silent before the test gives up on them.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the listener waits before it looks whether it is over.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A tree with a tracefs of its own.
pub(super) struct Tracefs {
    pub(super) root: Root,
    dir: tempfile::TempDir,
}

impl Tracefs {
    /// `None` where it cannot be mounted: not root, or no tracefs in this kernel.
    pub(super) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("sys/kernel/tracing");
        std::fs::create_dir_all(&place).unwrap();
        let mounted = Command::new("mount").args(["-t", "tracefs", "tracefs"]).arg(&place).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then(|| Self { root: Root::at(dir.path()), dir })
    }

    /// Whether there is an instance of this name.
    pub(super) fn has(&self, instance: &str) -> bool {
        self.dir.path().join("sys/kernel/tracing/instances").join(instance).exists()
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        let place = self.dir.path().join("sys/kernel/tracing");
        assert!(Command::new("umount").arg("--lazy").arg(place).status().unwrap().success());
    }
}

/// A signal that was heard of.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) about: Party,
    pub(super) sent: Sent,
}

/// All that was heard so far, and the table of people.
pub(super) struct Notes {
    pub(super) people: People,
    pub(super) signals: Vec<Heard>,
    pub(super) exits: Vec<(Party, Exit)>,
    pub(super) ran: Vec<Party>,
    pub(super) programs: Vec<Party>,
    pub(super) marked: Vec<Party>,
}

/// The witnesses, heard by a thread of their own as the recorder does it.
pub(super) struct Stand {
    notes: Arc<(Mutex<Notes>, Condvar)>,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
    // Goes after the tracing instance that the thread has.
    _tracefs: Tracefs,
}

impl Stand {
    /// `None` where there is nothing to hear; the refusals are checked.
    pub(super) fn open(name: &str) -> Option<Self> {
        let Some(tracefs) = Tracefs::mount() else {
            let absent = Tracing::open(&Root::live(), name).unwrap_err();
            assert!(is_helpful(&absent), "{absent}");
            return None;
        };
        let connector = match Connector::open() {
            Ok(connector) => connector,
            Err(absent) => {
                assert!(is_helpful(&absent), "{absent}");
                return None;
            }
        };
        let tracing = Tracing::open(&tracefs.root, name).unwrap();
        let people = People::new(&Root::live(), Box::new(Owner::of_path));
        let notes = Notes {
            people,
            signals: Vec::new(),
            exits: Vec::new(),
            ran: Vec::new(),
            programs: Vec::new(),
            marked: Vec::new(),
        };
        let notes = Arc::new((Mutex::new(notes), Condvar::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let listener = {
            let (notes, is_over) = (Arc::clone(&notes), Arc::clone(&is_over));
            let listen = move || listen(tracing, connector, &notes, &is_over);
            Some(std::thread::Builder::new().name("listener".to_owned()).spawn(listen).unwrap())
        };
        Some(Self { notes, is_over, listener, _tracefs: tracefs })
    }

    /// Waits until `found` finds what it wants.
    pub(super) fn until<T>(&self, mut found: impl FnMut(&mut Notes) -> Option<T>) -> T {
        let notes = self.notes.0.lock().unwrap();
        let mut answer = None;
        let is_missing = |notes: &mut Notes| {
            answer = found(notes);
            answer.is_none()
        };
        let (notes, _) = self.notes.1.wait_timeout_while(notes, PATIENCE, is_missing).unwrap();
        answer.unwrap_or_else(|| panic!("not within {PATIENCE:?}: {:#?}", notes.signals))
    }

    /// Waits until a descendant of this process runs this command.
    pub(super) fn program(&self, command: &str) -> Party {
        self.until(|notes| {
            let is_ours = |party: &&Party| {
                party.command.as_deref() == Some(command)
                    && party.parents.iter().any(|parent| parent.pid.get() == std::process::id())
            };
            notes.programs.iter().find(is_ours).cloned()
        })
    }

    /// The first signal of this kind for this process.
    pub(super) fn signal(&self, signal: Signal, target: Pid) -> Heard {
        self.until(|notes| {
            let is_it =
                |heard: &&Heard| heard.about.pid == Some(target) && heard.sent.signal == signal;
            notes.signals.iter().find(is_it).cloned()
        })
    }

    /// How this process ended.
    pub(super) fn exit(&self, pid: Pid) -> (Party, Exit) {
        self.until(|notes| notes.exits.iter().find(|(party, _)| party.pid == Some(pid)).cloned())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let heard = listener.join();
            assert!(heard.is_ok() || std::thread::panicking());
        }
    }
}

fn listen(
    mut tracing: Tracing,
    mut connector: Connector,
    notes: &(Mutex<Notes>, Condvar),
    is_over: &AtomicBool,
) {
    while !is_over.load(Ordering::Relaxed) {
        let mut waits =
            [PollFd::new(&tracing, PollFlags::IN), PollFd::new(&connector, PollFlags::IN)];
        rustix::event::poll(&mut waits, Some(&GLANCE)).unwrap();
        notes.0.lock().unwrap().take(&mut tracing, &mut connector);
        notes.1.notify_all();
    }
}

impl Notes {
    /// All processes that were there when the signals were made: then who sends one is known.
    fn take(&mut self, tracing: &mut Tracing, connector: &mut Connector) {
        let Self { people, signals, exits, ran, programs, marked } = self;
        let mut ended = Vec::new();
        tracing.fetch().unwrap();
        let hear = &mut |event| {
            let noteworthy = people.learn(&event);
            ran.extend(noteworthy.map(|pid| people.party(pid)));
            match event {
                ProcEvent::Exit { pid, status, .. } => ended.push((pid, status)),
                ProcEvent::Exec { pid, .. } => programs.push(people.party(pid)),
                _ => {}
            }
        };
        connector.read(Duration::ZERO, hear).unwrap();
        let hear = &mut |traced: &Traced<'_>, _: &[u8]| {
            people.hear(traced);
            match traced {
                Traced::Signal(signal) => {
                    let (about, sent) = people.sent(signal);
                    signals.push(Heard { about, sent });
                }
                Traced::Marked { pid, .. } => marked.push(people.party(*pid)),
                _ => {}
            }
        };
        tracing.read(hear);
        for (pid, status) in ended {
            exits.push((people.party(pid), people.exit(pid, status)));
        }
    }
}

fn is_helpful(absent: &Absent) -> bool {
    ["CAP_", "mount -t tracefs", "CONFIG_", "namespace"].iter().any(|way| absent.why.contains(way))
}

pub(super) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

pub(super) fn pid_of(child: &Child) -> Pid {
    Pid::new(child.id())
}

pub(super) const fn killed(signal: Signal) -> Status {
    Status::Signal { signal, core: false }
}

pub(super) fn is_fault(origin: Origin) -> bool {
    matches!(origin, Origin::Fault(_))
}

/// Where a program of this machine is, if it has it.
pub(super) fn has(program: &str) -> bool {
    ["/bin", "/usr/bin", "/sbin", "/usr/sbin"]
        .iter()
        .any(|dir| Path::new(dir).join(program).exists())
}
