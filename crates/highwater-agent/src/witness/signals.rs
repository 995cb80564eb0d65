//! The kernel's own witnesses, on one thread: who signals whom, who ran what and how it ended, which
//! cgroup ran out of memory. They share a table of who is who.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::id::{Pid, StartTicks};
use highwater_core::testimony::{
    Exit, Fact, OomWord, Origin, Party, Reception, Status, Testimony, Witness,
};
use highwater_core::time::{BootTime, Stamp};
use highwater_linux::root::Root;
use highwater_linux::witness::cgroups::Spoke;
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

/// So many of those that ended well are remembered for a moment …
const DEPARTED: usize = 256;

/// … of this length, in which a parent that ends and the signal that its child gets for it are heard.
const AWAITED: Duration = Duration::from_secs(1);

/// The source that a tracepoint's words are cited from.
const SIGNAL_POINT: &str = "tracefs signal:signal_generate";
const VICTIM_POINT: &str = "tracefs oom:mark_victim";
const CONNECTOR: &str = "proc connector";

/// The thread.
pub(crate) struct Signals {
    doors: Doors,
    outlet: Outlet,
    /// Readable when the agent stops.
    stop: OwnedFd,
}

/// Where the three are to be had, and which are asked for.
struct Doors {
    root: Root,
    /// What the tracing instance is called: by its data directory, so that two agents have two.
    instance: String,
    signals: bool,
    processes: bool,
    cgroups: bool,
}

/// Those that could be had.
#[derive(Default)]
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
        let doors = Doors { root: root.clone(), instance, signals, processes, cgroups };
        Self { doors, outlet, stop }
    }

    /// Listens until told to stop.
    pub(crate) fn run(self) {
        let Self { doors, outlet, stop } = self;
        let mut ears = Ears::default();
        doors.open(&mut ears, outlet.board());
        let mut notes = Notes::new(&doors.root, outlet);
        let mut scanned = clock::now().boot;
        let mut flushed = scanned;
        loop {
            let wait = if notes.outlet.is_empty() { RESCAN_EVERY } else { TOGETHER };
            let goes_on = ears.wait(&stop, wait);
            let now = clock::now();
            ears.hear(&mut notes, now);
            if now.boot.since(scanned) >= RESCAN_EVERY {
                scanned = now.boot;
                doors.open(&mut ears, notes.outlet.board());
                ears.rescan(&mut notes, now);
            }
            let is_time = !goes_on || now.boot.since(flushed) >= TOGETHER;
            if is_time && !notes.outlet.is_empty() {
                flushed = now.boot;
                notes.outlet.flush(None);
            }
            if !goes_on {
                break;
            }
        }
    }
}

impl Doors {
    /// Opens what is wanted and not open: tracefs may be mounted later, and the agent before this one
    /// may still be ending.
    fn open(&self, ears: &mut Ears, board: &Board) {
        if self.signals && ears.tracing.is_none() {
            let opened = Tracing::open(&self.root, &self.instance);
            ears.tracing = present(board, Witness::Signals, opened);
        }
        if self.processes && ears.connector.is_none() {
            ears.connector = present(board, Witness::Processes, Connector::open());
        }
        if self.cgroups && ears.cgroups.is_none() {
            let opened = CgroupEvents::open(&self.root);
            ears.cgroups = present(board, Witness::Cgroups, opened);
        }
    }
}

/// Shows on the board whether the witness is there.
fn present<T>(board: &Board, witness: Witness, opened: Result<T, Absent>) -> Option<T> {
    match opened {
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
    fn hear(&mut self, notes: &mut Notes, now: Stamp) {
        let asleep = now.boot.since(clock::awake());
        if let Some(tracing) = &mut self.tracing
            && let Err(error) = tracing.fetch()
        {
            lose(&mut self.tracing, Witness::Signals, &error, notes.outlet.board());
        }
        if let Some(connector) = &mut self.connector {
            let each = &mut |event| notes.happened(event, now);
            if let Err(error) = connector.read(asleep, each) {
                lose(&mut self.connector, Witness::Processes, &error, notes.outlet.board());
            }
        }
        if let Some(tracing) = &mut self.tracing {
            let each = &mut |traced: &Traced<'_>, words: &[u8]| notes.traced(traced, words, now);
            tracing.read(each);
        }
        if let Some(cgroups) = &mut self.cgroups
            && let Err(error) = cgroups.read(&mut |spoke| notes.counted(spoke, now))
        {
            lose(&mut self.cgroups, Witness::Cgroups, &error, notes.outlet.board());
        }
    }

    /// For what the kernel tells nobody.
    fn rescan(&mut self, notes: &mut Notes, now: Stamp) {
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.rescan(&mut |spoke| notes.counted(spoke, now));
        }
    }
}

/// What is heard, and by whom it can be told apart.
struct Notes {
    people: People,
    outlet: Outlet,
    /// Those that ended well a moment ago.
    departed: VecDeque<(BootTime, Pid, Exit)>,
    /// Parents whose children got a signal from them: if they end now, that is why.
    awaited: Vec<(BootTime, Pid)>,
    /// When that something was lost was last recorded.
    lost_at: Option<BootTime>,
    /// Tells words of one cgroup apart that are read in one turn.
    number: u64,
}

impl Notes {
    fn new(root: &Root, outlet: Outlet) -> Self {
        let directory = Arc::clone(outlet.directory());
        let people = People::new(root, Box::new(move |path| directory.owner_of(path)));
        Self {
            people,
            outlet,
            departed: VecDeque::new(),
            awaited: Vec::new(),
            lost_at: None,
            number: 0,
        }
    }

    fn counted(&mut self, spoke: Spoke, now: Stamp) {
        let word = match spoke.word {
            OomWord::Marked | OomWord::Counted { .. } => "counted",
            OomWord::Stuck => "stuck",
            OomWord::Unstuck => "unstuck",
        };
        let key = format!("cgroup:{}:{}:{word}:{}", spoke.cgroup, now.boot.micros(), self.number);
        self.number = self.number.wrapping_add(1);
        let owner = self.outlet.directory().owner_of(spoke.cgroup.as_str());
        let testimony = spoke.testimony(owner);
        self.outlet.take(Told { wall: None, boot: Some(now.boot), key, testimony }, now);
    }

    fn happened(&mut self, event: ProcEvent, now: Stamp) {
        let ran = self.people.learn(&event);
        match event {
            ProcEvent::Exec { at, pid } if ran == Some(pid) => {
                let who = self.people.party(pid);
                let words = who.command.clone().unwrap_or_default();
                let key = format!("ran:{pid}:{}:{}", start(&who), at.micros());
                let told = told(at, key, Witness::Processes, who, Fact::Ran, CONNECTOR, &words);
                self.outlet.take(told, now);
            }
            ProcEvent::Exit { at, pid, status } => self.ended(at, pid, status, now),
            ProcEvent::Lost => self.lost(Witness::Processes, 1, now),
            _ => {}
        }
    }

    /// Counted each time, and on record once a minute: who asks later must know that something is
    /// missing.
    fn lost(&mut self, witness: Witness, count: u64, now: Stamp) {
        self.outlet.board().gallery().dropped(witness, count);
        if self.lost_at.is_none_or(|last| now.boot.since(last) >= RESCAN_EVERY) {
            self.lost_at = Some(now.boot);
            self.outlet.note_lost(witness, now);
        }
    }

    fn ended(&mut self, at: BootTime, pid: Pid, status: Status, now: Stamp) {
        let mut exit = self.people.exit(pid, status);
        // What nobody put anywhere has no first process.
        if self.people.cgroup(pid).is_none_or(|cgroup| cgroup.as_str() == "/") {
            exit.is_first = None;
        }
        // Nearly all processes end well, and are of no interest: nothing is made of them.
        if status != Status::Code(0) || exit.is_first == Some(true) {
            let told = self.farewell(at, pid, exit);
            self.outlet.take(told, now);
        } else if self.awaited.iter().any(|(_, awaited)| *awaited == pid) {
            let told = self.farewell(at, pid, exit);
            self.outlet.take_anyway(told, now);
        } else {
            self.departed.push_back((at, pid, exit));
            if self.departed.len() > DEPARTED {
                self.departed.pop_front();
            }
        }
    }

    fn farewell(&mut self, at: BootTime, pid: Pid, exit: Exit) -> Told {
        let who = self.people.party(pid);
        let words = match exit.status {
            Status::Code(code) => format!("exit pid={pid} code={code}"),
            Status::Signal { signal, core } => {
                format!("exit pid={pid} signal={signal} core={core}")
            }
        };
        let limit = self.people.limits(pid).address_space;
        let limit = limit.map_or(String::new(), |limit| format!(" RLIMIT_AS={}", limit.get()));
        let (words, key) = (words + &limit, format!("exit:{pid}:{}:{}", start(&who), at.micros()));
        told(at, key, Witness::Processes, who, Fact::Exited(exit), CONNECTOR, &words)
    }

    fn traced(&mut self, traced: &Traced<'_>, words: &[u8], now: Stamp) {
        match traced {
            Traced::Signal(signal) => self.signalled(signal, words, now),
            Traced::Marked { at, pid, .. } => {
                self.people.hear(traced);
                let who = self.people.party(*pid);
                let key = format!("mark:{}:{pid}", at.micros());
                let (fact, words) = (Fact::Oom(OomWord::Marked), String::from_utf8_lossy(words));
                let told = told(*at, key, Witness::Signals, who, fact, VICTIM_POINT, &words);
                self.outlet.take(told, now);
            }
            Traced::Exec { .. } => self.people.hear(traced),
            Traced::Lost { count } => self.lost(Witness::Signals, count.unwrap_or(1), now),
        }
    }

    fn signalled(&mut self, signal: &Signalled<'_>, words: &[u8], now: Stamp) {
        if signal.reception == Reception::Ignored {
            return;
        }
        let (who, sent) = self.people.sent(signal);
        let parent = who.parents.first().map(|parent| parent.pid);
        if let (Some(parent), Origin::User) =
            (parent.filter(|_| parent == sent.by.pid), sent.origin)
        {
            self.await_end(signal.at, parent, now);
        }
        let key = format!("signal:{}:{}:{}", signal.at.micros(), signal.target, signal.signal.0);
        let (fact, words) = (Fact::Signalled(sent), String::from_utf8_lossy(words));
        let told = told(signal.at, key, Witness::Signals, who, fact, SIGNAL_POINT, &words);
        self.outlet.take(told, now);
    }

    /// A child got a signal from `parent`: that this one ends, or just ended, tells whether it sent
    /// it or died (`PR_SET_PDEATHSIG`).
    fn await_end(&mut self, at: BootTime, parent: Pid, now: Stamp) {
        let is_near = |other: BootTime| at.since(other).max(other.since(at)) <= AWAITED;
        self.awaited.retain(|(since, awaited)| *awaited != parent && is_near(*since));
        self.awaited.push((at, parent));
        let is_it = |(ended, pid, _): &(BootTime, Pid, Exit)| *pid == parent && is_near(*ended);
        if let Some(place) = self.departed.iter().position(is_it)
            && let Some((ended, pid, exit)) = self.departed.remove(place)
        {
            let told = self.farewell(ended, pid, exit);
            self.outlet.take_anyway(told, now);
        }
    }
}

fn lose<T>(ear: &mut Option<T>, witness: Witness, error: &std::io::Error, board: &Board) {
    *ear = None;
    log::say(&format!("{} can no longer be read: {error}", witness.words()));
    board.gallery().set(witness, Some(error.to_string()));
}

fn start(who: &Party) -> u64 {
    who.start.map_or(0, StartTicks::get)
}

fn told(
    at: BootTime,
    key: String,
    witness: Witness,
    about: Party,
    fact: Fact,
    source: &str,
    words: &str,
) -> Told {
    let evidence =
        Evidence { source: source.to_owned(), line: None, text: cited(words.as_bytes()) };
    let testimony = Testimony { witness, about, fact, evidence };
    Told { wall: None, boot: Some(at), key, testimony }
}
