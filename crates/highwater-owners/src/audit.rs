//! The audit log: who died by a signal of their own making, and who killed whom where a rule watches
//! kill(2).
//!
//! ```text
//! type=ANOM_ABEND msg=audit(1364481363.243:24287): auid=1000 uid=1000 … pid=3110 comm="a" … sig=11
//!
//! type=SYSCALL  msg=audit(1364481400.001:24300): … syscall=62 success=yes … a1=9 … pid=35 comm="sh"
//! type=OBJ_PID  msg=audit(1364481400.001:24300): opid=8000 … ocomm="sleep"       one of each target
//! type=PROCTITLE msg=audit(1364481400.001:24300): proctitle=6B696C6C002D39
//! ```
//!
//! The records of one event share its stamp and serial and may be mixed with those of others; the
//! title comes last. Without a daemon the kernel prints the same into its log, with the number of
//! the type: `audit: type=1701 audit(…): …` (`include/uapi/linux/audit.h`). What `ausearch -i` makes of
//! them, with names in place of numbers, is read, too; its times have no zone and are not taken.
//!
//! Names that could be taken for something else are written as hexadecimal digits by the kernel, so
//! that a space ends a field.

mod follower;
mod record;

use std::collections::VecDeque;

use highwater_core::evidence::Evidence;
use highwater_core::id::Pid;
use highwater_core::testimony::{
    AuditWord, Fact, Fault, FaultKind, Party, Signal, Testimony, Witness,
};
use highwater_core::time::WallTime;

use crate::told::{Told, cited, cut};
pub use follower::{Follower, Progress};
use record::{Kind, Record, Stamp};

/// Where the audit daemon writes.
pub const LOG: &str = "/var/log/audit/audit.log";

/// How many kills wait for the rest of their records: one per processor is usual, and a rule that
/// watches every kill on a busy machine makes some more.
const WAITING: usize = 64;

/// How many targets of one kill are told: `kill -9 -1` has as many as there are processes.
const TARGETS: usize = 64;

/// A signal that ends a process that does nothing about it; others are daily talk.
const FATAL: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 24, 25, 31];

/// The longest name of a process that is kept.
const COMM_CHARS: usize = 64;

/// What a single record says; `None` of one that says nothing alone. `source` is where it stands.
pub fn testimony(record: &[u8], source: &str) -> Option<Testimony> {
    single(&Record::parse(record)?, source).map(|told| told.testimony)
}

/// Puts the records of an event together.
#[derive(Debug)]
pub struct Records {
    source: String,
    waiting: VecDeque<Waiting>,
}

/// A kill whose records are not all there yet.
#[derive(Debug)]
struct Waiting {
    stamp: Stamp,
    signal: Signal,
    by: Party,
    text: String,
    targets: Vec<Party>,
    /// How many times the end of what can be read for now was reached since.
    rested: u8,
}

impl Records {
    /// Of a log that is cited as `source`.
    pub fn of(source: impl Into<String>) -> Self {
        Self { source: source.into(), waiting: VecDeque::new() }
    }

    /// The next line; gives what is complete with it.
    pub fn push(&mut self, line: &[u8], each: &mut dyn FnMut(Told)) {
        let Some(record) = Record::parse(line) else { return };
        match record.kind {
            Kind::Syscall => self.begin(&record, each),
            Kind::Target => self.add(&record),
            Kind::Title | Kind::End => self.end(&record, each),
            Kind::Abend | Kind::Seccomp => single(&record, &self.source).into_iter().for_each(each),
        }
    }

    /// There is nothing more to read for now: gives what has waited since the last time.
    pub fn rest(&mut self, each: &mut dyn FnMut(Told)) {
        for kill in &mut self.waiting {
            kill.rested = kill.rested.saturating_add(1);
        }
        while self.waiting.front().is_some_and(|kill| kill.rested > 1) {
            self.tell_first(each);
        }
    }

    /// When the earliest that waits happened.
    fn waits_since(&self) -> Option<WallTime> {
        self.waiting.iter().filter_map(|kill| kill.stamp.wall).min()
    }

    /// There will be nothing more: gives all that waits.
    pub fn finish(&mut self, each: &mut dyn FnMut(Told)) {
        while !self.waiting.is_empty() {
            self.tell_first(each);
        }
    }

    fn begin(&mut self, record: &Record<'_>, each: &mut dyn FnMut(Told)) {
        let Some(signal) = record.kill() else { return };
        if !FATAL.contains(&signal.0) {
            return;
        }
        if self.waiting.len() >= WAITING {
            self.tell_first(each);
        }
        self.waiting.push_back(Waiting {
            stamp: record.stamp.clone(),
            signal,
            by: party(record),
            text: cited(record.whole),
            targets: Vec::new(),
            rested: 0,
        });
    }

    fn add(&mut self, record: &Record<'_>) {
        let Some(kill) = self.waiting.iter_mut().find(|kill| kill.stamp == record.stamp) else {
            return;
        };
        let Some(pid) = record.number("opid") else { return };
        if kill.targets.len() < TARGETS {
            kill.targets.push(Party {
                comm: record.text("ocomm").map(|comm| cut(&comm, COMM_CHARS)),
                uid: record.user("ouid"),
                login_uid: record.user("oauid"),
                ..Party::of_pid(Pid::new(pid))
            });
        }
    }

    fn end(&mut self, record: &Record<'_>, each: &mut dyn FnMut(Told)) {
        let Some(place) = self.waiting.iter().position(|kill| kill.stamp == record.stamp) else {
            return;
        };
        let Some(mut kill) = self.waiting.remove(place) else { return };
        if let Some(title) = record.title() {
            kill.by.command = Some(cut(&title, Party::COMMAND_CHARS));
        }
        kill.tell(&self.source, each);
    }

    fn tell_first(&mut self, each: &mut dyn FnMut(Told)) {
        if let Some(kill) = self.waiting.pop_front() {
            kill.tell(&self.source, each);
        }
    }
}

impl Waiting {
    fn tell(self, source: &str, each: &mut dyn FnMut(Told)) {
        for target in self.targets {
            let pid = target.pid.unwrap_or_default();
            let by = Box::new(self.by.clone());
            each(Told {
                wall: self.stamp.wall,
                boot: None,
                key: format!("audit:{}:{pid}", self.stamp.text),
                testimony: Testimony {
                    witness: Witness::Audit,
                    about: target,
                    fact: Fact::Audit(AuditWord::Kill { signal: self.signal, by }),
                    evidence: evidence(source, self.text.clone()),
                },
            });
        }
    }
}

/// What an event of one record says.
fn single(record: &Record<'_>, source: &str) -> Option<Told> {
    let signal = record.signal("sig")?;
    let fact = match record.kind {
        Kind::Abend => Fact::Audit(AuditWord::Abend { signal }),
        Kind::Seccomp => Fact::Faulted(Fault {
            kind: FaultKind::Seccomp,
            address: None,
            instruction: record.hex("ip"),
            object: record.text("exe").map(|exe| cited(&exe)),
        }),
        _ => return None,
    };
    let about = party(record);
    about.pid?;
    Some(Told {
        wall: record.stamp.wall,
        boot: None,
        key: format!("audit:{}", record.stamp.text),
        testimony: Testimony {
            witness: Witness::Audit,
            about,
            fact,
            evidence: evidence(source, cited(record.whole)),
        },
    })
}

/// The process that a record is of.
fn party(record: &Record<'_>) -> Party {
    Party {
        pid: record.number("pid").map(Pid::new),
        comm: record.text("comm").map(|comm| cut(&comm, COMM_CHARS)),
        uid: record.user("uid"),
        login_uid: record.user("auid"),
        ..Party::default()
    }
}

fn evidence(source: &str, text: String) -> Evidence {
    Evidence { source: source.to_owned(), line: None, text }
}

#[cfg(test)]
mod tests;
