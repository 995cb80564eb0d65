//! What is known of one process.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::frame::CgroupVersion;
use highwater_core::id::{CgroupPath, Comm, Pid, StartTicks};
use highwater_core::owner::{Owner, container_id_of_path};
use highwater_core::testimony::Party;
use highwater_core::text::{discreet, escape};
use highwater_core::time::BootTime;

use super::alike::Brood;
use super::heads::Place;
use super::reading::{Extent, Reading};
use crate::parse::membership::memory_path;
use crate::parse::text::lines;
use crate::witness::Rlimits;

/// The kernel's clock ticks for people (`USER_HZ`): a hundred a second on every machine that Rust
/// runs on.
const TICK_US: u64 = 10_000;

/// What runc (`libcontainer/nsenter/nsexec.c`) and youki call their stages that go before the
/// container's program is run.
const STAGES: [&[u8]; 3] = [b"runc:[0:", b"runc:[1:", b"youki:[1:"];

/// A process, alive or ended. A copy shares the texts, as a child does with its parent.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) parent: Option<Pid>,
    start: Option<StartTicks>,
    began: Option<BootTime>,
    pub(super) ended: Option<BootTime>,
    pub(super) comm: Option<Comm>,
    /// Its words with spaces between them, without what they say in confidence.
    pub(super) command: Option<Arc<[u8]>>,
    membership: Option<Arc<Membership>>,
    uid: Option<u32>,
    login_uid: Option<u32>,
    /// Hardly anybody has any.
    limits: Option<Box<Rlimits>>,
    /// All but its own life is its parent's: since the fork nothing of itself was heard.
    is_copy: bool,
    /// What its children have of it.
    pub(super) brood: Brood,
}

/// What cgroups a process is in; all that were forked there share it.
#[derive(Debug)]
struct Membership {
    /// The file as it stands: a line for each hierarchy.
    text: Box<[u8]>,
    /// Its memory cgroup, or the unified one where memory has none.
    memory: Option<CgroupPath>,
    /// See [`Person::place`].
    place: Option<Place>,
}

impl Person {
    /// One of whom only the name is known.
    pub(super) fn named(comm: &[u8]) -> Self {
        Self { comm: Some(Comm::new(comm)), ..Self::default() }
    }

    /// A child as it is made: all of its parent's, but its own life.
    pub(super) fn child(&self, parent: Pid, at: BootTime) -> Self {
        let parent = Some(parent);
        let brood = Brood::default();
        let child = Self { parent, start: None, began: Some(at), ended: None, ..self.clone() };
        Self { is_copy: true, brood, ..child }
    }

    /// It became another program, of which nothing is known yet.
    pub(super) fn became_another(&mut self) {
        self.comm = None;
        self.command = None;
        self.limits = None;
        self.is_copy = false;
    }

    /// Somebody else says its name. A copy with another name than its parent's has become another
    /// program since.
    pub(super) fn called(&mut self, comm: &[u8]) {
        if self.is_copy && self.comm.is_some_and(|known| known.as_bytes() != comm) {
            self.became_another();
        }
        self.comm.get_or_insert_with(|| Comm::new(comm));
    }

    /// Whether another process was read, one that has the number of this one by now.
    pub(super) fn is_not(&self, read: &Reading) -> bool {
        let read = read.stat.map(|stat| stat.start);
        self.start.zip(read).is_some_and(|(known, read)| known != read)
    }

    /// Takes over what was read. What a process that ends no longer says stays as it was: the kernel
    /// then shows no command line, and for cgroup v1 the top of the hierarchy.
    pub(super) fn take(&mut self, read: &Reading) {
        let Some(stat) = read.stat else { return };
        if self.is_not(read) {
            *self = Self::default();
        }
        self.start = Some(stat.start);
        self.is_copy = false;
        let began = BootTime::from_micros(stat.start.get().saturating_mul(TICK_US));
        self.began.get_or_insert(began);
        self.parent.get_or_insert(stat.parent);
        self.comm = Some(stat.comm);
        self.uid = read.uid.or(self.uid);
        if read.is_ending() {
            if self.membership.is_none() && read.extent == Extent::Whole {
                self.take_cgroup(&but_the_top(&read.cgroup));
            }
            return;
        }
        self.take_command(&read.command);
        if read.extent == Extent::Whole {
            self.take_inherited(read);
        }
    }

    fn take_inherited(&mut self, read: &Reading) {
        self.login_uid = read.login_uid;
        // The kernel moves the soft limit of processor time on by a second for each SIGXCPU.
        if self.limits.is_none() && read.limits.is_any() {
            self.limits = Some(Box::new(read.limits));
        }
        self.take_cgroup(&read.cgroup);
    }

    /// Whether it has user, login and cgroups of its parent, and neither has limits.
    pub(super) fn has_all_of(&self, parent: &Self) -> bool {
        let shares = |(own, its): (&Arc<Membership>, &Arc<Membership>)| Arc::ptr_eq(own, its);
        let is_there = self.membership.as_ref().zip(parent.membership.as_ref()).is_some_and(shares);
        let has_limits = self.limits.is_some() || parent.limits.is_some();
        is_there && !has_limits && (self.uid, self.login_uid) == (parent.uid, parent.login_uid)
    }

    /// Whether the one that was read has its user.
    pub(super) fn has_user(&self, read: &Reading) -> bool {
        self.uid == read.uid
    }

    /// The same text again is not copied again.
    fn take_command(&mut self, command: &[u8]) {
        let command = discreet(command);
        let words = command.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(&b' ');
        let line = line.get(..Party::COMMAND_CHARS).unwrap_or(&line);
        if !line.is_empty() && self.command.as_deref() != Some(line) {
            self.command = Some(line.into());
        }
    }

    fn take_cgroup(&mut self, text: &[u8]) {
        let is_known = self.membership.as_ref().is_some_and(|known| *known.text == *text);
        if text.is_empty() || is_known {
            return;
        }
        let memory = memory_path(text, CgroupVersion::V1);
        let memory = memory.or_else(|| memory_path(text, CgroupVersion::V2)).map(CgroupPath::new);
        let place = place(text);
        self.membership = Some(Arc::new(Membership { text: text.into(), memory, place }));
    }

    /// Its memory cgroup, or the unified one where memory has none.
    pub(super) fn cgroup(&self) -> Option<&CgroupPath> {
        self.membership.as_ref()?.memory.as_ref()
    }

    /// Where it is in memory's hierarchy and in that of units: where memory is v1's, all units of a
    /// user are one memory cgroup. `None` at the top of both, which is nobody's.
    pub(super) fn place(&self) -> Option<&Place> {
        self.membership.as_ref()?.place.as_ref()
    }

    /// When it was made.
    pub(super) fn began(&self) -> Option<BootTime> {
        self.began
    }

    /// It is a stage of a container's start that makes the next one and goes.
    pub(super) fn is_passing(&self) -> bool {
        let comm = self.comm.as_ref().map(Comm::as_bytes).unwrap_or_default();
        STAGES.iter().any(|stage| comm.starts_with(stage))
    }

    /// Nothing was heard or read of it since it was forked.
    pub(super) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Its limits of its own.
    pub(super) fn limits(&self) -> Rlimits {
        self.limits.as_deref().copied().unwrap_or_default()
    }

    /// A program of which only the path is known.
    pub(super) fn take_program(&mut self, path: &[u8]) {
        if self.is_copy {
            self.became_another();
        }
        let path = path.get(..Party::COMMAND_CHARS).unwrap_or(path);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        self.command.get_or_insert_with(|| path.into());
        self.comm.get_or_insert_with(|| Comm::new(name.get(..15).unwrap_or(name)));
    }

    /// How long it lived, once it has ended.
    pub(super) fn lived(&self) -> Option<Duration> {
        Some(self.ended?.since(self.began?))
    }

    /// As others are told of it; its ancestors are not known here.
    pub(super) fn party(&self, pid: Pid, name: &dyn Fn(&str) -> Owner) -> Party {
        let cgroup = self.cgroup().cloned();
        let membership = self.membership.as_ref();
        Party {
            pid: Some(pid),
            start: self.start.or(self.began.map(start_of)),
            comm: self.comm.map(|comm| comm.to_string()),
            command: self.command.as_deref().map(|line| cut(&escape(line))),
            parents: Vec::new(),
            uid: self.uid,
            login_uid: self.login_uid,
            owner: membership.and_then(|membership| Owner::of_process(&membership.text, name)),
            container_id: cgroup
                .as_ref()
                .and_then(|path| container_id_of_path(path.as_str()))
                .map(str::to_owned),
            cgroup,
        }
    }
}

fn place(membership: &[u8]) -> Option<Place> {
    let unified = memory_path(membership, CgroupVersion::V2);
    let memory = memory_path(membership, CgroupVersion::V1).or(unified);
    let named = lines(membership).find_map(|line| {
        let line = line.get(line.iter().position(|byte| *byte == b':')?..)?;
        line.strip_prefix(b":name=systemd:")
    });
    let paths = [memory, named, unified];
    let is_somewhere = paths.iter().flatten().any(|path| *path != b"/");
    is_somewhere.then(|| paths.map(Option::unwrap_or_default).join(&0).into())
}

/// The lines of a process that ends in which it is not said to be at the top, as v1 says of all
/// such.
fn but_the_top(membership: &[u8]) -> Vec<u8> {
    let lines = lines(membership).filter(|line| !line.ends_with(b":/"));
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// The tick in which it began: right but for the few microseconds between that and the word of it.
fn start_of(began: BootTime) -> StartTicks {
    StartTicks::new(began.micros() / TICK_US)
}

/// Escaped text can be longer than what was escaped.
fn cut(text: &str) -> String {
    text.chars().take(Party::COMMAND_CHARS).collect()
}
