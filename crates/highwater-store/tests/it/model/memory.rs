//! What a history is, plainly: all samples in lists, and the rules by which they are shown.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::event::Event;
use highwater_core::frame::{Frame, Scope};
use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::thing::Survey;
use highwater_core::time::{BootId, Stamp};
use highwater_store::Keep;

/// A clock that moves by more than this was set.
const STEP_MS: u64 = 500;

/// Which kind of reading a sample stems from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Whole,
    CloseUp,
    Survey,
}

/// A stretch of recording under one setting of the clock.
#[derive(Clone, Debug)]
struct Era {
    boot: BootId,
    first: (i64, i64),
    last: (i64, i64),
}

#[derive(Clone, Copy, Debug)]
struct Tick {
    era: usize,
    at_ms: i64,
    from: From,
}

/// One series: its kind, and the value at each tick that has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) counter: bool,
    pub(super) group: &'static str,
    samples: Vec<(usize, f64)>,
}

/// A sample and where it is to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// When it is shown, and when it was recorded.
    pub(super) at: i64,
    pub(super) recorded: i64,
    pub(super) era: usize,
    pub(super) from: From,
    pub(super) value: f64,
    /// No other boot tells the same time.
    pub(super) visible: bool,
}

/// Where an era is shown.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) shift: i64,
    /// Its last moment, as shown; `None`: it goes on.
    pub(super) last: Option<i64>,
    /// What other boots tell instead.
    pub(super) covers: Vec<(i64, i64)>,
}

impl Place {
    fn shows(&self, at: i64) -> bool {
        !self.covers.iter().any(|(first, last)| (*first..=*last).contains(&at))
    }

    /// The moments at which something of it stops being shown.
    pub(super) fn ends(&self) -> impl Iterator<Item = i64> {
        let covered = self.covers.iter().map(|(first, _)| first - 1);
        covered.chain(self.last)
    }
}

/// Up to which recorded moment each tier may have been forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) raw: i64,
    pub(super) minute: i64,
    pub(super) ten_minutes: i64,
}

/// A history in memory.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    eras: Vec<Era>,
    ticks: Vec<Tick>,
    pub(super) series: BTreeMap<Labels, Kept>,
    pub(super) events: Vec<Event>,
    pub(super) gone: Gone,
}

impl Memory {
    pub(super) fn new() -> Self {
        let never = i64::MIN;
        let gone = Gone { raw: never, minute: never, ten_minutes: never };
        Self { eras: vec![], ticks: vec![], series: BTreeMap::new(), events: vec![], gone }
    }

    /// Takes a frame; the moment under which it is kept.
    pub(super) fn append(&mut self, frame: &Frame, boot: BootId) -> i64 {
        let from = if frame.scope == Scope::Whole { From::Whole } else { From::CloseUp };
        let at = self.tick(frame.stamp, boot, from);
        let gauge = MetricKind::Gauge;
        let counter = MetricKind::Counter;
        for process in &frame.processes {
            let mut labels = Labels::new([
                ("pid", process.key.pid.get().to_string()),
                ("start", process.key.start.get().to_string()),
                ("comm", process.comm.to_string()),
            ]);
            let cgroup = process.cgroup.as_ref().map(ToString::to_string);
            labels.set("id", cgroup.unwrap_or_default());
            let resident = process.resident.as_f64();
            self.put("process", "process_resident_memory_bytes", gauge, &labels, resident);
            let seconds = seconds(process.cpu_us);
            self.put("process", "process_cpu_seconds_total", counter, &labels, seconds);
        }
        for cgroup in &frame.cgroups {
            let labels = Labels::new([("id", cgroup.path.as_str())]);
            let usage = cgroup.memory.usage.unwrap().as_f64();
            self.put("cgroup", "container_memory_usage_bytes", gauge, &labels, usage);
            let hits = float(cgroup.memory.limit_hits.unwrap());
            self.put("cgroup", "container_memory_failcnt", counter, &labels, hits);
        }
        if let Some(machine) = &frame.machine {
            let none = Labels::default();
            let free = machine.mem.mem_free.unwrap().as_f64();
            self.put("machine", "node_memory_MemFree_bytes", gauge, &none, free);
            let faults = float(machine.vm.pgfault.unwrap());
            self.put("machine", "node_vmstat_pgfault", counter, &none, faults);
        }
        for owner in &frame.owners {
            let labels = Labels::new([("kind", "cgroup"), ("id", "/a")]);
            let anon = owner.sum.resident_anon.as_f64();
            self.put("owner", "highwater_owner_resident_anon_bytes", gauge, &labels, anon);
        }
        at
    }

    pub(super) fn survey(&mut self, survey: &Survey, boot: BootId) -> i64 {
        let at = self.tick(survey.stamp, boot, From::Survey);
        for thing in &survey.things {
            self.put("thing", thing.metric.name, thing.metric.kind, &thing.labels, thing.value);
        }
        at
    }

    pub(super) fn record(&mut self, events: &[Event]) -> Vec<bool> {
        let is_new = |known: &mut Vec<Event>, event: &Event| {
            let new = !known.iter().any(|k| (k.boot_id, &k.key) == (event.boot_id, &event.key));
            if new {
                known.push(event.clone());
            }
            new
        };
        events.iter().map(|event| is_new(&mut self.events, event)).collect()
    }

    /// What is older than this may be gone from now on.
    pub(super) fn maintain(&mut self, now: Stamp, keep: &Keep) {
        let before = |span: Duration| now.wall.before(span).millis();
        self.gone.raw = self.gone.raw.max(before(keep.raw));
        self.gone.minute = self.gone.minute.max(before(keep.minute));
        self.gone.ten_minutes = self.gone.ten_minutes.max(before(keep.ten_minutes));
    }

    /// The last tick as recorded.
    pub(super) fn last_tick(&self) -> Option<(i64, BootId)> {
        let last = self.ticks.last()?;
        Some((last.at_ms, self.eras[last.era].boot))
    }

    fn tick(&mut self, stamp: Stamp, boot: BootId, from: From) -> i64 {
        let wall = stamp.wall.millis();
        let us = i64::try_from(stamp.boot.micros()).unwrap();
        let goes_on = self.eras.last().is_some_and(|era| {
            let skew = era.last.0 - era.last.1 / 1000;
            era.boot == boot && skew.abs_diff(wall - us / 1000) <= STEP_MS
        });
        if !goes_on {
            self.eras.push(Era { boot, first: (wall, us), last: (wall - 1, us) });
        }
        let at_ms = {
            let era = self.eras.last_mut().unwrap();
            let at_ms = wall.max(era.last.0 + 1);
            era.last = (at_ms, us.max(era.last.1));
            at_ms
        };
        self.ticks.push(Tick { era: self.eras.len() - 1, at_ms, from });
        at_ms
    }

    fn put(
        &mut self,
        group: &'static str,
        name: &str,
        kind: MetricKind,
        labels: &Labels,
        value: f64,
    ) {
        let mut labels = labels.clone();
        labels.set(NAME, name);
        let counter = kind == MetricKind::Counter;
        let fresh = || Kept { counter, group, samples: vec![] };
        let kept = self.series.entry(labels).or_insert_with(fresh);
        kept.samples.push((self.ticks.len() - 1, value));
    }

    /// Where each era is shown.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = vec![];
        let moments = |era: &Era, shift| (era.first.0 + shift, era.last.0 + shift);
        for (at, era) in self.eras.iter().enumerate().rev() {
            let shift = match self.eras.get(at + 1).zip(places.last()) {
                Some((later, place)) if later.boot == era.boot => {
                    let begins = later.first.0 + place.shift;
                    let between = ((later.first.1 - era.last.1) / 1000).max(1);
                    if era.last.0 >= begins { begins - between - era.last.0 } else { 0 }
                }
                _ => 0,
            };
            let others = self.eras.iter().rev().zip(&places);
            let covers = others
                .filter(|(other, _)| other.boot != era.boot)
                .map(|(other, place)| moments(other, place.shift))
                .collect();
            let last = (at + 1 < self.eras.len()).then_some(era.last.0 + shift);
            places.push(Place { shift, last, covers });
        }
        places.reverse();
        places
    }

    /// The samples of a series and where they are to be shown, in order.
    pub(super) fn shown(&self, kept: &Kept, places: &[Place]) -> Vec<Shown> {
        let one = |(tick, value): &(usize, f64)| {
            let Tick { era, at_ms, from } = self.ticks[*tick];
            let at = at_ms + places[era].shift;
            let visible = places[era].shows(at);
            Shown { at, recorded: at_ms, era, from, value: *value, visible }
        };
        let mut shown: Vec<Shown> = kept.samples.iter().map(one).collect();
        shown.sort_by_key(|sample| sample.at);
        shown
    }

    /// The moments, as shown, at which everything was read.
    pub(super) fn readings(&self, places: &[Place]) -> Vec<i64> {
        let all = self.ticks.iter().enumerate();
        let whole = all.filter(|(_, tick)| tick.from == From::Whole);
        let samples = whole.map(|(at, _)| (at, 0.0)).collect();
        let kept = Kept { counter: false, group: "machine", samples };
        let shown = self.shown(&kept, places).into_iter();
        shown.filter(|reading| reading.visible).map(|reading| reading.at).collect()
    }
}

fn float(count: u64) -> f64 {
    highwater_core::units::Bytes::new(count).as_f64()
}

fn seconds(us: u64) -> f64 {
    float(us) / 1e6
}
