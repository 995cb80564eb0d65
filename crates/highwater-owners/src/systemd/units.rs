//! The units of one systemd as far as they are known, and the jobs that are on their way.
//!
//! Takes what was read, gives what is to be told and what is to be asked next; asks nobody itself.

use std::collections::HashMap;

use highwater_core::evidence::Evidence;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::{Fact, Job, Party, Testimony, UnitWord, Witness};

use super::Bus;
use super::properties::{Moment, Properties, Unit};
use super::words::{self, Word};
use crate::told::{Told, cited, cut};

/// The most units of one systemd: twenty times a large server's.
const UNITS: usize = 4_096;

/// The most jobs on their way: a boot has some hundreds.
const JOBS: usize = 1_024;

/// The longest name of a unit (`UNIT_NAME_MAX`).
const NAME_CHARS: usize = 255;

/// The units and the jobs of one systemd.
#[derive(Debug)]
pub(super) struct Units {
    bus: Bus,
    /// When this systemd began. It numbers its jobs from 1.
    began_us: u64,
    known: HashMap<String, Known>,
    orders: HashMap<u32, Order>,
}

#[derive(Debug, Default)]
struct Known {
    /// As it was when its words were last told.
    unit: Unit,
    /// The same with what was said since: systemd says one change in two messages.
    next: Unit,
    /// Its start, which waits to be told with what holds it.
    start: Option<Word>,
}

/// A job.
#[derive(Debug)]
struct Order {
    unit: String,
    /// What it is to do, once that is known.
    job: Option<Job>,
    /// The life it found, if one was there.
    found: Option<String>,
    /// It is systemd's own restart: nobody asked.
    is_own: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) told: Vec<Told>,
    /// What holds the unit has to be asked for.
    pub(super) asks: bool,
}

/// What is special to the kind of a unit, for units that have processes of their own which end:
/// services and scopes. Others are not followed.
pub(super) fn interface(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.') {
        Some((_, "service")) => Some("org.freedesktop.systemd1.Service"),
        Some((_, "scope")) => Some("org.freedesktop.systemd1.Scope"),
        _ => None,
    }
}

impl Units {
    pub(super) fn of(bus: Bus, began_us: u64) -> Self {
        Self { bus, began_us, known: HashMap::new(), orders: HashMap::new() }
    }

    /// All that is known of a unit, which was asked for: one that was there before anybody listened,
    /// or a new one.
    pub(super) fn answered(
        &mut self,
        name: &str,
        said: &Properties<'_>,
        is_old: bool,
    ) -> Vec<Told> {
        let mut unit = Unit::default();
        unit.learn(said);
        if unit.load.as_deref() == Some("not-found") {
            // Asking for a unit makes systemd look for it: this one there is not.
            return self.held(name);
        }
        let Some(known) = self.room_for(name) else { return Vec::new() };
        // What changes came with the messages, in their order; what holds it comes from here.
        known.next.limits.clone_from(&unit.limits);
        known.next.cgroup = unit.cgroup.clone().or_else(|| known.next.cgroup.take());
        known.unit.limits.clone_from(&known.next.limits);
        known.unit.cgroup.clone_from(&known.next.cgroup);
        let mut told = self.held(name);
        let Some(known) = self.known.get_mut(name) else { return told };
        if !known.unit.is_known() && unit.is_known() {
            known.unit.clone_from(&unit);
            known.next = unit;
            let words =
                if is_old { words::of_old(&known.unit) } else { words::of_stranger(&known.unit) };
            told.extend(words.into_iter().map(|word| self.told(name, word)));
        }
        told
    }

    /// A unit changed. systemd says first what is special to its kind, then what all units have; the
    /// latter ends a change.
    pub(super) fn changed(&mut self, name: &str, said: &Properties<'_>, is_whole: bool) -> Outcome {
        let is_asked = self.is_asked(name);
        let Some(known) = self.room_for(name) else { return Outcome::default() };
        known.next.learn(said);
        if !is_whole {
            return Outcome::default();
        }
        let words = if known.unit.is_known() {
            words::between(&known.unit, &known.next, is_asked)
        } else {
            words::of_stranger(&known.next)
        };
        known.unit = known.next.clone();
        // Whoever is gone holds nothing any more: that is told as it was last known.
        let is_over = known.unit.is_over();
        let (starts, words): (Vec<_>, Vec<_>) =
            words.into_iter().partition(|word| matches!(word.what, UnitWord::Started { .. }));
        let mut outcome = Outcome::default();
        if is_over || !starts.is_empty() {
            // An earlier start that still waits is told before the next.
            outcome.told.extend(self.held(name));
        }
        for start in starts {
            if is_over {
                outcome.told.push(self.told(name, start));
            } else if let Some(known) = self.known.get_mut(name) {
                known.start = Some(start);
                outcome.asks = true;
            }
        }
        outcome.told.extend(words.into_iter().map(|word| self.told(name, word)));
        outcome
    }

    /// The start that waits, with what is known by now.
    pub(super) fn held(&mut self, name: &str) -> Vec<Told> {
        let Some(known) = self.known.get_mut(name) else { return Vec::new() };
        let Some(mut start) = known.start.take() else { return Vec::new() };
        if let UnitWord::Started { limits, .. } = &mut start.what {
            limits.clone_from(&Box::new(known.unit.limits.clone()));
        }
        vec![self.told(name, start)]
    }

    /// Every start that waits: nobody answers any more.
    pub(super) fn all_held(&mut self) -> Vec<Told> {
        let waits = |(name, known): (&String, &Known)| known.start.as_ref().map(|_| name.clone());
        let names: Vec<_> = self.known.iter().filter_map(waits).collect();
        names.iter().flat_map(|name| self.held(name)).collect()
    }

    /// Whether it is known what the unit is doing.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.unit.is_known())
    }

    /// systemd no longer has the unit.
    pub(super) fn removed(&mut self, name: &str) -> Vec<Told> {
        let told = self.held(name);
        self.known.remove(name);
        told
    }

    /// A job was queued. What it is to do has to be asked for.
    pub(super) fn job(&mut self, id: u32, name: &str) {
        if self.orders.len() >= JOBS {
            return;
        }
        let unit = self.known.get(name).map(|known| &known.unit);
        let found = unit.filter(|unit| !unit.is_over()).and_then(|unit| unit.invocation.clone());
        let is_own = unit.is_some_and(Unit::waits);
        self.orders.insert(id, Order { unit: name.to_owned(), job: None, found, is_own });
    }

    /// What a job is to do, which was asked for.
    pub(super) fn job_is(&mut self, id: u32, kind: &str) -> Option<Told> {
        let job = match kind {
            "start" => Job::Start,
            "stop" => Job::Stop,
            "restart" | "try-restart" => Job::Restart,
            _ => return None,
        };
        let order = self.orders.get_mut(&id)?;
        if order.job.replace(job).is_some() || (order.is_own && job != Job::Stop) {
            return None;
        }
        let name = order.unit.clone();
        Some(self.asked(&name, id, job, Moment::default()))
    }

    /// A job is done. If that was too quick to be asked about, what it did shows what it was.
    pub(super) fn job_done(&mut self, id: u32, result: &str) -> Option<Told> {
        let order = self.orders.remove(&id)?;
        if order.job.is_some() || order.is_own || result != "done" {
            return None;
        }
        let unit = &self.known.get(&order.unit)?.unit;
        let (job, at) = match (&order.found, unit.is_over()) {
            (Some(_), true) => (Job::Stop, unit.left),
            (Some(found), false) if Some(found) != unit.invocation.as_ref() => {
                (Job::Restart, unit.left)
            }
            (None, false) => (Job::Start, unit.began),
            _ => return None,
        };
        Some(self.asked(&order.unit, id, job, at))
    }

    /// Whether a job is there that stops it. One that is not yet known to do so counts where the unit
    /// is stopping: there is no other that does.
    fn is_asked(&self, name: &str) -> bool {
        self.orders.values().any(|order| {
            order.unit == name && order.found.is_some() && order.job != Some(Job::Start)
        })
    }

    fn room_for(&mut self, name: &str) -> Option<&mut Known> {
        if self.known.len() >= UNITS && !self.known.contains_key(name) {
            return None;
        }
        Some(self.known.entry(name.to_owned()).or_default())
    }

    fn asked(&self, name: &str, id: u32, job: Job, at: Moment) -> Told {
        let kind = match job {
            Job::Start => "start",
            Job::Stop => "stop",
            Job::Restart => "restart",
        };
        let key = format!("unit:{}:asked-{kind}:{}:{id}", self.scope(name), self.began_us);
        self.testimony(name, None, at, key, UnitWord::Asked { job }, &format!("job {id}: {kind}"))
    }

    fn told(&self, name: &str, word: Word) -> Told {
        let cited = self.known.get(name).map(|known| known.unit.cited()).unwrap_or_default();
        let life = word.life.clone().unwrap_or_else(|| {
            // Without a life there is only the moment to tell two of a kind apart.
            format!("{}:{}", self.scope(name), word.at.boot_us)
        });
        let key = format!("unit:{life}:{}", word.label);
        let pid = word.pid;
        let mut told = self.testimony(name, word.life, word.at, key, word.what, &cited);
        told.testimony.about.pid = pid;
        told
    }

    fn testimony(
        &self,
        name: &str,
        life: Option<String>,
        at: Moment,
        key: String,
        word: UnitWord,
        words: &str,
    ) -> Told {
        let name = cut(name.as_bytes(), NAME_CHARS);
        let owner = owner(self.bus, &name);
        let container_id = match &owner {
            Owner::Container(id) if is_container_id(id) => Some(id.clone()),
            _ => None,
        };
        let cgroup = self.known.get(&name).and_then(|known| known.unit.cgroup.clone());
        let words =
            life.map_or_else(|| words.to_owned(), |life| format!("{words} InvocationID={life}"));
        let evidence = Evidence {
            source: format!("systemd D-Bus {}{name}", self.prefix()),
            line: None,
            text: cited(words.as_bytes()),
        };
        Told {
            wall: at.wall(),
            boot: at.boot(),
            key,
            testimony: Testimony {
                witness: Witness::Systemd,
                about: Party { owner: Some(owner), cgroup, container_id, ..Party::default() },
                fact: Fact::Unit(word),
                evidence,
            },
        }
    }

    /// The unit's name, which is its own within the machine.
    fn scope(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    fn prefix(&self) -> String {
        match self.bus {
            Bus::System => String::new(),
            Bus::User(uid) => format!("user {uid} "),
        }
    }
}

/// Whose a unit is: its own, except for the scope of a session or of a container.
fn owner(bus: Bus, name: &str) -> Owner {
    match (Owner::of_path(&format!("/{name}")), bus) {
        (Owner::Unit(unit), Bus::User(uid)) => Owner::UserUnit { unit, uid },
        (owner, _) => owner,
    }
}
