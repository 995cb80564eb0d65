//! The kernel's own witnesses, on one thread: who signals whom, who ran what and how it ended, which
//! cgroup ran out of memory. They share a table of who is who.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::id::{Pid, StartTicks};
use highwater_core::testimony::{Fact, OomWord, Party, Reception, Status, Testimony, Witness};
use highwater_core::time::{BootTime, Stamp};
use highwater_linux::root::Root;
use highwater_linux::witness::cgroups::{MOST as MOST_CGROUPS, Spoke};
use highwater_linux::witness::{
    Absent, CgroupEvents, Connector, People, ProcEvent, Signalled, Traced, Tracing,
};
use highwater_owners::{Told, cited};
use rustix::event::{PollFd, PollFlags, poll};

use super::outlet::Outlet;
use crate::board::Board;
use crate::clock;
use crate::config::Witnesses;
use crate::log;
use crate::watcher::timespec;

/// How often the counters of all cgroups are looked at, for what the kernel tells nobody.
const RESCAN_EVERY: Duration = Duration::from_mins(1);

/// What is heard within this long is written in one go: a death has several witnesses, and the disk
/// is asked to keep each write for good.
const TOGETHER: Duration = Duration::from_millis(30);

/// The source that a tracepoint's words are cited from.
const SIGNAL_POINT: &str = "tracefs signal:signal_generate";
const VICTIM_POINT: &str = "tracefs oom:mark_victim";
const CONNECTOR: &str = "proc connector";

/// The thread.
pub(crate) struct Signals {
    root: Root,
    wanted: Wanted,
    /// What the tracing instance is called: by its data directory, so that two agents have two.
    instance: String,
    outlet: Outlet,
    /// Readable when the agent stops.
    stop: OwnedFd,
}

/// Which of the three are asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    signals: bool,
    processes: bool,
    cgroups: bool,
}

/// Those that could be had.
struct Ears {
    tracing: Option<Tracing>,
    connector: Option<Connector>,
    cgroups: Option<CgroupEvents>,
}

impl Signals {
    pub(crate) fn new(
        root: &Root,
        wanted: &Witnesses,
        instance: String,
        outlet: Outlet,
        stop: OwnedFd,
    ) -> Self {
        let Witnesses { signals, processes, cgroups, .. } = *wanted;
        let wanted = Wanted { signals, processes, cgroups };
        Self { root: root.clone(), wanted, instance, outlet, stop }
    }

    /// Listens until told to stop.
    pub(crate) fn run(self) {
        let ears = self.open();
        let Self { root, mut outlet, stop, .. } = self;
        if ears.tracing.is_none() && ears.connector.is_none() && ears.cgroups.is_none() {
            return;
        }
        let directory = Arc::clone(outlet.directory());
        let mut people = People::new(&root, Box::new(move |path| directory.owner_of(path)));
        let mut ears = ears;
        let mut scanned = clock::now().boot;
        let mut flushed = scanned;
        loop {
            let wait = if outlet.is_empty() { RESCAN_EVERY } else { TOGETHER };
            let goes_on = ears.wait(&stop, wait);
            let now = clock::now();
            ears.hear(&mut people, &mut outlet, now);
            if now.boot.since(scanned) >= RESCAN_EVERY {
                scanned = now.boot;
                ears.rescan(&mut outlet, now);
            }
            let is_time = !goes_on || now.boot.since(flushed) >= TOGETHER;
            if is_time && !outlet.is_empty() {
                flushed = now.boot;
                outlet.flush(None);
            }
            if !goes_on {
                break;
            }
        }
    }

    fn open(&self) -> Ears {
        let board = self.outlet.board();
        let Wanted { signals, processes, cgroups } = self.wanted;
        let tracing = signals.then(|| Tracing::open(&self.root, &self.instance));
        let connector = processes.then(Connector::open);
        let cgroups = cgroups.then(|| CgroupEvents::open(&self.root, MOST_CGROUPS));
        Ears {
            tracing: present(board, Witness::Signals, tracing),
            connector: present(board, Witness::Processes, connector),
            cgroups: present(board, Witness::Cgroups, cgroups),
        }
    }
}

/// Shows on the board whether the witness is there; one that is switched off is shown already.
fn present<T>(board: &Board, witness: Witness, opened: Option<Result<T, Absent>>) -> Option<T> {
    match opened? {
        Ok(one) => {
            board.gallery().set(witness, None);
            Some(one)
        }
        Err(absent) => {
            board.gallery().set(witness, Some(absent.why));
            None
        }
    }
}

impl Ears {
    /// Waits until there is something to hear, for so long, or for the end; `false` at the end.
    fn wait(&self, stop: &OwnedFd, at_most: Duration) -> bool {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        let all = [
            self.tracing.as_ref().map(AsFd::as_fd),
            self.connector.as_ref().map(AsFd::as_fd),
            self.cgroups.as_ref().map(AsFd::as_fd),
        ];
        fds.extend(all.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let _interrupted = poll(&mut fds, Some(&timespec(at_most)));
        fds.first().is_none_or(|stop| stop.revents().is_empty())
    }

    /// Signals are fetched first and looked at last: who sent one was born before it, so that the
    /// process events that are read in between tell who that is.
    fn hear(&mut self, people: &mut People, outlet: &mut Outlet, now: Stamp) {
        let asleep = now.boot.since(clock::awake());
        if let Some(tracing) = &mut self.tracing
            && let Err(error) = tracing.fetch()
        {
            lose(&mut self.tracing, Witness::Signals, &error, outlet.board());
        }
        if let Some(connector) = &mut self.connector {
            let each = &mut |event| happened(event, people, outlet, now);
            if let Err(error) = connector.read(asleep, each) {
                lose(&mut self.connector, Witness::Processes, &error, outlet.board());
            }
        }
        if let Some(tracing) = &mut self.tracing {
            let each = &mut |traced: &Traced<'_>, words: &[u8]| {
                traced_one(traced, words, people, outlet, now);
            };
            if let Err(error) = tracing.read(each) {
                lose(&mut self.tracing, Witness::Signals, &error, outlet.board());
            }
        }
        if let Some(cgroups) = &mut self.cgroups
            && let Err(error) = cgroups.read(&mut |spoke| counted(spoke, outlet, now))
        {
            lose(&mut self.cgroups, Witness::Cgroups, &error, outlet.board());
        }
    }

    /// For what the kernel tells nobody.
    fn rescan(&mut self, outlet: &mut Outlet, now: Stamp) {
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.rescan(&mut |spoke| counted(spoke, outlet, now));
        }
    }
}

fn counted(spoke: Spoke, outlet: &mut Outlet, now: Stamp) {
    let word = match spoke.word {
        OomWord::Marked | OomWord::Counted { .. } => "counted",
        OomWord::Stuck => "stuck",
        OomWord::Unstuck => "unstuck",
    };
    let key = format!("cgroup:{}:{}:{word}", spoke.cgroup, now.boot.micros());
    let owner = outlet.directory().owner_of(spoke.cgroup.as_str());
    let testimony = spoke.testimony(owner);
    outlet.take(Told { wall: None, boot: Some(now.boot), key, testimony }, now);
}

fn lose<T>(ear: &mut Option<T>, witness: Witness, error: &std::io::Error, board: &Board) {
    *ear = None;
    log::say(&format!("{} can no longer be read: {error}", witness.words()));
    board.gallery().set(witness, Some(error.to_string()));
}

fn happened(event: ProcEvent, people: &mut People, outlet: &mut Outlet, now: Stamp) {
    let ran = people.learn(&event);
    match event {
        ProcEvent::Exec { at, pid } if ran == Some(pid) => {
            let who = people.party(pid);
            let words = who.command.clone().unwrap_or_default();
            let key = format!("ran:{pid}:{}", start(&who));
            let said = said(Witness::Processes, who, Fact::Ran, CONNECTOR, words.as_bytes());
            outlet.take(Told { wall: None, boot: Some(at), key, testimony: said }, now);
        }
        ProcEvent::Exit { at, pid, status } => ended(at, pid, status, people, outlet, now),
        ProcEvent::Lost => outlet.board().gallery().dropped(Witness::Processes, 1),
        _ => {}
    }
}

fn ended(
    at: BootTime,
    pid: Pid,
    status: Status,
    people: &mut People,
    outlet: &mut Outlet,
    now: Stamp,
) {
    let mut exit = people.exit(pid, status);
    // What nobody put anywhere has no first process.
    if people.cgroup(pid).is_none_or(|cgroup| cgroup.as_str() == "/") {
        exit.is_first = None;
    }
    // Nearly all processes end well, and are of no interest: nothing is made of them.
    if status == Status::Code(0) && exit.is_first != Some(true) {
        return;
    }
    let who = people.party(pid);
    let words = match status {
        Status::Code(code) => format!("exit pid={pid} code={code}"),
        Status::Signal { signal, core } => format!("exit pid={pid} signal={signal} core={core}"),
    };
    let key = format!("exit:{pid}:{}", start(&who));
    let said = said(Witness::Processes, who, Fact::Exited(exit), CONNECTOR, words.as_bytes());
    outlet.take(Told { wall: None, boot: Some(at), key, testimony: said }, now);
}

fn traced_one(
    traced: &Traced<'_>,
    words: &[u8],
    people: &mut People,
    outlet: &mut Outlet,
    now: Stamp,
) {
    match traced {
        Traced::Signal(signal) => signalled(signal, words, people, outlet, now),
        Traced::Marked { at, pid, .. } => {
            people.hear(traced);
            let who = people.party(*pid);
            let key = format!("mark:{}:{pid}", at.micros());
            let said = said(Witness::Signals, who, Fact::Oom(OomWord::Marked), VICTIM_POINT, words);
            outlet.take(Told { wall: None, boot: Some(*at), key, testimony: said }, now);
        }
        Traced::Exec { .. } => people.hear(traced),
        Traced::Lost { count } => {
            outlet.board().gallery().dropped(Witness::Signals, count.unwrap_or(1));
        }
    }
}

fn signalled(
    signal: &Signalled<'_>,
    words: &[u8],
    people: &mut People,
    outlet: &mut Outlet,
    now: Stamp,
) {
    if signal.reception == Reception::Ignored {
        return;
    }
    let (who, sent) = people.sent(signal);
    let key = format!("signal:{}:{}:{}", signal.at.micros(), signal.target, signal.signal.0);
    let said = said(Witness::Signals, who, Fact::Signalled(sent), SIGNAL_POINT, words);
    outlet.take(Told { wall: None, boot: Some(signal.at), key, testimony: said }, now);
}

fn start(who: &Party) -> u64 {
    who.start.map_or(0, StartTicks::get)
}

fn said(witness: Witness, about: Party, fact: Fact, source: &str, words: &[u8]) -> Testimony {
    let evidence = Evidence { source: source.to_owned(), line: None, text: cited(words) };
    Testimony { witness, about, fact, evidence }
}
