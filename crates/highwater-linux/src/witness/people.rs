//! Who is who, also of those that are gone: a table of processes that is filled before anything is
//! asked of it.
//!
//! ```text
//! at start  everybody in /proc
//! fork      the child is its parent, until it becomes another program
//! exec      name, command line, user, login, cgroup, limits are read: the program may end at once;
//!           of a storm of children that are all alike, not of each
//! exit      kept for a minute
//! ```
//!
//! A program can be gone before it is read. Of such a one its parents, user and cgroup are known
//! from the fork, and [`People::hear`] adds what the tracepoints say: its name, and of programs
//! that can end others the path.
//!
//! Whoever sends a signal was forked before, so let [`Tracing::fetch`](super::Tracing::fetch) come
//! first, then all of the [`Connector`](super::Connector), then what was fetched: then who sends a
//! signal is known when the signal is looked at.

mod alike;
mod command;
mod heads;
mod person;
mod reading;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

use highwater_core::id::{CgroupPath, Pid};
use highwater_core::owner::Owner;
use highwater_core::testimony::{Ancestor, Exit, Party, Sent, Status};
use highwater_core::time::BootTime;

use super::{ProcEvent, Rlimits, Signalled, Traced};
use crate::root::Root;
use heads::Heads;
use person::Person;
use reading::{Extent, Reading};

pub use command::noteworthy;

/// How long the dead are remembered: a manager that tells of a death by pid does so within seconds.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The most dead that are remembered, a third of a kilobyte each: the last six seconds of a
/// machine that runs 2,000 programs a second, a minute of one that runs 200. With some two thousand
/// alive they fit a table of 16,384 places.
const DEAD_MAX: usize = 12_288;

/// The most processes in the table. Who does not fit is read from `/proc` when asked for.
const PEOPLE_MAX: usize = 65_536;

/// The most threads whose process is remembered; the others are asked for in `/proc`.
const THREADS_MAX: usize = 65_536;

/// The most dead threads that are remembered.
const DEAD_THREADS_MAX: usize = 16_384;

/// Names the owner of a cgroup by its path: [`Owner::of_path`](highwater_core::owner::Owner::of_path),
/// or one who knows the names of containers and pods.
pub type Naming = Box<dyn Fn(&str) -> Owner + Send>;

/// The table of processes.
pub struct People {
    reading: Reading,
    naming: Naming,
    known: HashMap<Pid, Person>,
    heads: Heads,
    threads: HashMap<Pid, Pid>,
    /// In the order of their ends.
    dead: VecDeque<(BootTime, Pid)>,
    dead_threads: VecDeque<(BootTime, Pid)>,
    /// When last something was heard.
    latest: BootTime,
}

impl People {
    /// Gets to know everybody in `/proc`.
    pub fn new(root: &Root, naming: Naming) -> Self {
        let mut people = Self {
            reading: Reading::new(root),
            naming,
            known: HashMap::new(),
            heads: Heads::new(),
            threads: HashMap::new(),
            dead: VecDeque::new(),
            dead_threads: VecDeque::new(),
            latest: BootTime::default(),
        };
        let everybody = people.reading.everybody();
        people.meet(everybody);
        people
    }

    /// Takes in what the connector says. Returns the process if it has just become a program that
    /// can end others: see [`noteworthy`].
    pub fn learn(&mut self, event: &ProcEvent) -> Option<Pid> {
        match *event {
            ProcEvent::Fork { at, parent, child } => self.fork(at, parent, child),
            ProcEvent::Thread { at, process, thread } => self.thread(at, process, thread),
            ProcEvent::Exec { at, pid } => return self.exec(at, pid),
            ProcEvent::Exit { at, pid, status } => {
                self.end(at, pid);
                if status == Status::Code(0) {
                    self.hand_on(pid);
                }
            }
            ProcEvent::ThreadExit { at, thread } => self.end_thread(at, thread),
            ProcEvent::Lost => self.count_again(),
        }
        None
    }

    /// Takes in the names that the tracepoints say.
    pub fn hear(&mut self, traced: &Traced<'_>) {
        match *traced {
            Traced::Signal(signal) => {
                self.latest = self.latest.max(signal.at);
                if !signal.in_interrupt && signal.sender != signal.target {
                    self.name(signal.sender, signal.sender_comm);
                }
                self.name(signal.target, Some(signal.target_comm));
            }
            Traced::Marked { at, pid, comm } => {
                self.latest = self.latest.max(at);
                self.name(pid, comm);
            }
            Traced::Exec { at, pid, filename } => {
                self.latest = self.latest.max(at);
                if let Some(person) = self.known.get_mut(&pid) {
                    person.take_program(filename);
                }
            }
            Traced::Lost { .. } => {}
        }
    }

    /// Who the process or thread is, or was.
    pub fn party(&mut self, pid: Pid) -> Party {
        if pid == Pid::new(0) {
            return Party::default();
        }
        let pid = self.process_of(pid);
        self.look(pid);
        self.described(pid)
    }

    /// The process that a thread belongs to; itself, if that is not known.
    pub fn process(&mut self, thread: Pid) -> Pid {
        self.process_of(thread)
    }

    /// Who it is, as last seen.
    fn described(&mut self, pid: Pid) -> Party {
        if pid == Pid::new(0) {
            return Party::default();
        }
        let pid = self.process_of(pid);
        let parents = self.parents(pid);
        let known = self.known.get(&pid).map(|person| person.party(pid, &*self.naming));
        Party { parents, ..known.unwrap_or_else(|| Party::of_pid(pid)) }
    }

    /// Whom a signal is for, and the signal with who sent it: nobody, if it was made in an
    /// interrupt.
    pub fn sent(&mut self, signal: &Signalled<'_>) -> (Party, Sent) {
        self.hear(&Traced::Signal(*signal));
        let sender = if signal.in_interrupt { Pid::new(0) } else { signal.sender };
        let sent = Sent {
            signal: signal.signal,
            origin: signal.origin,
            to_process: signal.to_process,
            reception: signal.reception,
            by: Box::new(self.described(sender)),
        };
        (self.described(signal.target), sent)
    }

    /// How a process ended, of which the connector has said so.
    pub fn exit(&self, pid: Pid, status: Status) -> Exit {
        let lived = self.known.get(&pid).and_then(Person::lived);
        let lived_ms = lived.and_then(|lived| u64::try_from(lived.as_millis()).ok());
        Exit { status, lived_ms, is_first: self.is_first(pid) }
    }

    /// The cgroup of a process or thread, as last seen; without looking again.
    pub fn cgroup(&self, pid: Pid) -> Option<&CgroupPath> {
        let process = self.threads.get(&pid).unwrap_or(&pid);
        self.known.get(process)?.cgroup()
    }

    /// The limits of its own that it had when it started its program.
    pub fn limits(&self, pid: Pid) -> Rlimits {
        self.known.get(&pid).map(Person::limits).unwrap_or_default()
    }

    /// How many processes are in the table, dead ones included.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is known: `/proc` could not be read.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn fork(&mut self, at: BootTime, parent: Pid, child: Pid) {
        self.latest = self.latest.max(at);
        if !self.known.contains_key(&parent) {
            self.look(parent);
        }
        let maker = self.known.get(&parent).cloned().unwrap_or_default();
        // The number may have been a thread's before.
        self.threads.remove(&child);
        self.insert(child, maker.child(parent, at));
        if maker.cgroup().is_none() {
            self.look(child);
        }
    }

    fn exec(&mut self, at: BootTime, pid: Pid) -> Option<Pid> {
        self.latest = self.latest.max(at);
        let first = self.known.get(&pid).filter(|person| person.is_copy());
        let maker = first.and_then(|person| person.parent);
        if let Some(person) = self.known.get_mut(&pid) {
            person.became_another();
        }
        match maker {
            Some(maker) => self.look_at_child(at, maker, pid),
            None => self.look(pid),
        }
        let command = self.known.get(&pid)?.command.as_deref()?;
        noteworthy(command).then_some(pid)
    }

    fn thread(&mut self, at: BootTime, process: Pid, thread: Pid) {
        self.latest = self.latest.max(at);
        if self.threads.len() < THREADS_MAX {
            self.threads.insert(thread, process);
        }
    }

    fn end(&mut self, at: BootTime, pid: Pid) {
        self.latest = self.latest.max(at);
        if let Some(person) = self.known.get_mut(&pid).filter(|person| person.ended.is_none()) {
            person.ended = Some(at);
            self.dead.push_back((at, pid));
        }
        self.forget();
    }

    fn end_thread(&mut self, at: BootTime, thread: Pid) {
        self.latest = self.latest.max(at);
        if self.threads.contains_key(&thread) {
            self.dead_threads.push_back((at, thread));
        }
        self.forget();
    }

    /// Forgets those who ended long ago, and the oldest of too many. A number that somebody else
    /// has by now stays.
    fn forget(&mut self) {
        let (latest, mut excess) = (self.latest, self.dead.len().saturating_sub(DEAD_MAX));
        while let Some((at, pid)) = self.dead.front().copied() {
            if excess == 0 && latest.since(at) <= REMEMBERED {
                break;
            }
            excess = excess.saturating_sub(1);
            self.dead.pop_front();
            if self.known.get(&pid).is_some_and(|person| person.ended == Some(at)) {
                self.dismiss(pid);
                self.known.remove(&pid);
            }
        }
        let mut excess = self.dead_threads.len().saturating_sub(DEAD_THREADS_MAX);
        while let Some((at, thread)) = self.dead_threads.front().copied() {
            if excess == 0 && latest.since(at) <= REMEMBERED {
                break;
            }
            excess = excess.saturating_sub(1);
            self.dead_threads.pop_front();
            self.threads.remove(&thread);
        }
    }

    /// Words were missed: who is in the table as alive and not in `/proc` has ended by now, who is
    /// there as dead and alive in `/proc` is somebody else of that number, and a copy may have become
    /// another program.
    fn count_again(&mut self) {
        let alive = self.reading.everybody().into_iter().collect::<HashSet<_>>();
        if alive.is_empty() {
            return;
        }
        let missing = |(pid, person): (&Pid, &Person)| {
            (person.ended.is_none() && !alive.contains(pid)).then_some(*pid)
        };
        let missing = self.known.iter().filter_map(missing).collect::<Vec<_>>();
        for pid in &missing {
            self.end(self.latest, *pid);
        }
        for pid in missing {
            self.hand_on(pid);
        }
        self.threads.clear();
        self.dead_threads.clear();
        let is_strange = |pid: &Pid| {
            let known = self.known.get(pid);
            known.is_none_or(|person| person.ended.is_some() || person.is_copy())
        };
        let strange = alive.into_iter().filter(is_strange).collect::<Vec<_>>();
        for pid in &strange {
            if self.known.get(pid).is_some_and(|person| person.ended.is_some()) {
                self.dismiss(*pid);
                self.known.remove(pid);
            }
        }
        self.meet(strange);
    }

    /// Looks at all of these; where they are, the eldest were first.
    fn meet(&mut self, pids: Vec<Pid>) {
        let mut met = Vec::new();
        for pid in pids {
            if self.glance(pid) {
                met.push((self.known.get(&pid).and_then(Person::began), pid));
            }
        }
        met.sort_unstable();
        for (_, pid) in met {
            self.enter(pid);
        }
    }

    /// Reads what a process says now, unless it has ended.
    fn look(&mut self, pid: Pid) {
        if self.glance(pid) {
            self.enter(pid);
        }
    }

    /// The same, without a look at who else is in its cgroup. `true`: it has come there, since it was
    /// seen last.
    fn glance(&mut self, pid: Pid) -> bool {
        let known = self.known.get(&pid);
        if known.is_some_and(|person| person.ended.is_some())
            || !self.reading.read(pid, Extent::Whole)
        {
            return false;
        }
        let is_other = known.is_some_and(|person| person.is_not(&self.reading));
        let before = known.and_then(Person::place).filter(|_| !is_other).cloned();
        if is_other {
            self.dismiss(pid);
        }
        if let Some(person) = self.known.get_mut(&pid) {
            person.take(&self.reading);
        } else {
            let mut person = Person::default();
            person.take(&self.reading);
            self.insert(pid, person);
        }
        let place = self.known.get(&pid).and_then(Person::place);
        if place == before.as_ref() || self.reading.is_ending() {
            return false;
        }
        if let Some(before) = before.filter(|before| self.heads.get(before) == Some(&pid)) {
            self.heads.remove(&before);
        }
        true
    }

    fn insert(&mut self, pid: Pid, person: Person) {
        self.dismiss(pid);
        if self.known.len() < PEOPLE_MAX || self.known.contains_key(&pid) {
            self.known.insert(pid, person);
        }
    }

    /// The process a thread belongs to; itself, if that is not known.
    fn process_of(&mut self, thread: Pid) -> Pid {
        if let Some(process) = self.threads.get(&thread) {
            return *process;
        }
        if self.known.contains_key(&thread) {
            return thread;
        }
        self.reading.process_of(thread).unwrap_or(thread)
    }

    /// Looks at one, and gives a name to who has none: who ended before it was read, or before anybody knew it.
    fn name(&mut self, pid: Pid, comm: Option<&[u8]>) {
        if pid == Pid::new(0) {
            return;
        }
        let process = self.process_of(pid);
        self.look(process);
        let Some(comm) = comm else { return };
        if let Some(person) = self.known.get_mut(&process) {
            person.called(comm);
        } else {
            self.insert(process, Person::named(comm));
            self.end(self.latest, process);
        }
    }

    /// The nearest first, as far as they are known.
    fn parents(&mut self, pid: Pid) -> Vec<Ancestor> {
        let mut parents = Vec::new();
        let mut above = self.known.get(&pid).and_then(|person| person.parent);
        while let Some(pid) = above.filter(|pid| pid.get() > 0) {
            if !self.known.contains_key(&pid) {
                self.look(pid);
            }
            let Some(person) = self.known.get(&pid) else { break };
            let comm = person.comm.map(|comm| comm.to_string()).unwrap_or_default();
            parents.push(Ancestor { pid, comm });
            if parents.len() >= Party::ANCESTORS {
                break;
            }
            above = person.parent;
        }
        parents
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (people, threads) = (self.known.len(), self.threads.len());
        f.debug_struct("People")
            .field("people", &people)
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}
