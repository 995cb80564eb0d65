//! A course in the making: hours and parts of the ceiling, until it becomes a [`Trace`].

use std::time::Duration;

use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::draw::{Draw, real, whole};
use super::noise::Noise;
use super::trace::{Leak, Life, Trace, Truth};

/// How often recorders look, in seconds.
const CADENCES: [f64; 5] = [15.0, 30.0, 60.0, 120.0, 300.0];

/// How often those look who look at what has just begun.
const BRIEF_CADENCES: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// How many samples a trace has: enough to judge, few enough for hundreds of traces.
const SAMPLES: (f64, f64) = (140.0, 9_000.0);

/// The longest trace.
pub(super) const MOST_HOURS: f64 = 30.0 * 24.0;

/// What does not leak stays below this part of its ceiling: it would die otherwise, and of want.
const CALM_TOP: f64 = 0.97;

/// Monday, 5 January 2026, midnight: the first trace that anybody could have made.
const EPOCH_MS: i64 = 1_767_571_200_000;

/// In which steps the values come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Grain {
    /// As the resource has them: pages, or ones.
    Natural,
    /// Mebibytes, as some tools print them.
    Mebi,
    /// Whole percents of the ceiling.
    Percent,
}

/// What is planned of a leak.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The hour in which it begins.
    pub(super) since: f64,
    /// The hour in which somebody mended it, if somebody did.
    pub(super) until: Option<f64>,
    /// Parts of the ceiling an hour.
    pub(super) per_hour: f64,
    /// For each life, when it begins and when it meets the limit.
    pub(super) lives: Vec<(f64, f64)>,
}

/// A course in the making.
#[derive(Debug)]
pub(super) struct Draft {
    /// When the samples are.
    pub(super) hours: Vec<f64>,
    /// What they are.
    pub(super) values: Vec<f64>,
    /// What of them is a leak's floor, as planned; empty if nothing leaks.
    pub(super) floor: Vec<f64>,
    /// The load at these hours; empty if nobody recorded it.
    pub(super) load: Vec<f64>,
    /// Lives that the recorder knows of.
    pub(super) begins: Vec<f64>,
    /// Of what.
    pub(super) resource: Resource,
    /// In what steps.
    pub(super) grain: Grain,
    /// The part of the trace in which nobody looked, at most.
    pub(super) gaps: f64,
    /// The leak.
    pub(super) leak: Option<Plan>,
    /// What it may be called.
    pub(super) fits: &'static [Verdict],
    /// Whether it also goes up and down with the day, and may be called so if it does not leak.
    pub(super) breathes: bool,
    /// Whether it was born when the trace begins.
    pub(super) fresh: bool,
}

impl Draft {
    /// Nothing yet, for so many hours.
    pub(super) fn over(draw: &mut Draw, hours: f64) -> Self {
        Self::seen(draw, hours, &CADENCES)
    }

    /// Nothing yet, for so many minutes.
    pub(super) fn brief(draw: &mut Draw, hours: f64) -> Self {
        Self::seen(draw, hours, &BRIEF_CADENCES)
    }

    /// Nothing yet, looked at as often as one of these, in seconds.
    fn seen(draw: &mut Draw, hours: f64, cadences: &[f64]) -> Self {
        let fits = |every: &f64| (SAMPLES.0..SAMPLES.1).contains(&(hours * 3600.0 / every));
        let able: Vec<f64> = cadences.iter().copied().filter(fits).collect();
        let every = if able.is_empty() { hours * 3600.0 / SAMPLES.1 } else { draw.one_of(&able) };
        let count = whole(hours * 3600.0 / every).max(1);
        let hours: Vec<f64> = (0..count).map(|n| real(n) * every / 3600.0).collect();
        let gaps = if draw.chance(0.35) { draw.wide(0.005, 0.08) } else { 0.0 };
        Self {
            values: vec![0.0; hours.len()],
            hours,
            floor: Vec::new(),
            load: Vec::new(),
            begins: Vec::new(),
            resource: Resource::Anon,
            grain: if draw.chance(0.1) { Grain::Mebi } else { Grain::Natural },
            gaps,
            leak: None,
            fits: &[],
            breathes: false,
            fresh: false,
        }
    }

    /// Adds something to each value, by its hour.
    pub(super) fn add(&mut self, mut height: impl FnMut(f64) -> f64) {
        for (hour, value) in self.hours.iter().zip(&mut self.values) {
            *value += height(*hour);
        }
    }

    /// Adds the floor of a leak.
    pub(super) fn leak(&mut self, floor: impl Fn(f64) -> f64) {
        self.floor = self.hours.iter().map(|hour| floor(*hour)).collect();
        self.add(floor);
    }

    /// A few samples fail: the recorder says 0.
    pub(super) fn fail(&mut self, draw: &mut Draw) {
        for _ in 0..=draw.place(3) {
            let at = draw.place(self.values.len());
            if let Some(value) = self.values.get_mut(at) {
                *value = 0.0;
            }
        }
    }

    /// Adds noise of that size.
    pub(super) fn rustle(&mut self, draw: &mut Draw, noise: &Noise, size: f64) {
        let extra = noise.take(draw, self.values.len(), size);
        for (value, extra) in self.values.iter_mut().zip(extra) {
            *value += extra;
        }
    }

    /// Records the load.
    pub(super) fn works(&mut self, draw: &mut Draw, mut load: impl FnMut(f64) -> f64) {
        let busy = |hour: &f64| (load(*hour) * draw.between(0.95, 1.05)).max(0.0);
        self.load = self.hours.iter().map(busy).collect();
    }

    /// Moves half of them up: whoever is well may live near a ceiling that somebody measured out.
    pub(super) fn lift(&mut self, draw: &mut Draw) {
        let top = self.values.iter().copied().fold(0.0, f64::max);
        let room = draw.between(0.3, 0.96) - top;
        if draw.chance(0.5) && room > 0.0 {
            self.add(|_| room);
        }
    }

    /// Ends where the ceiling is met for the first time; the end is the truth about its last life.
    pub(super) fn die_at_the_ceiling(&mut self) {
        let Some(death) = self.values.iter().position(|value| *value >= 1.0) else {
            return;
        };
        let died = self.hours.get(death).copied().unwrap_or_default();
        let last = self.leak.as_mut().and_then(|leak| leak.lives.last_mut());
        if let Some(life) = last {
            life.1 = life.1.min(died);
        }
        let keep = death + 1;
        self.hours.truncate(keep);
        self.values.truncate(keep);
        self.floor.truncate(keep);
        self.load.truncate(keep);
    }

    /// The trace.
    pub(super) fn finish(mut self, draw: &mut Draw, number: usize, family: &'static str) -> Trace {
        let ceiling = ceiling_of(draw, self.resource, self.grain);
        let clock = Clock::new(draw, self.hours.last().copied().unwrap_or_default(), self.gaps);
        let top = if self.leak.is_some() { 1.0 } else { CALM_TOP };
        let grain = grain_of(self.resource, self.grain);
        let missing = missing(draw, self.hours.len(), self.gaps);
        let seen = |n: usize| missing.get(n).is_none_or(|gone| !gone);
        let value = |part: f64| (part.clamp(0.0, top) * ceiling / grain).round() * grain;
        let load_scale = draw.wide(1.0, 10_000.0);
        let pairs = |values: &[f64], make: &dyn Fn(f64) -> f64| -> Vec<Point> {
            let all = self.hours.iter().zip(values).enumerate().filter(|(n, _)| seen(*n));
            all.map(|(_, (hour, v))| Point { at: clock.at(*hour), value: make(*v) }).collect()
        };
        let points = pairs(&self.values, &value);
        let load = pairs(&self.load, &|load| load * load_scale);
        self.begins.sort_by(f64::total_cmp);
        let leak = self.leak.map(|plan| Leak {
            since: clock.at(plan.since),
            until: plan.until.map(|hour| clock.at(hour)),
            per_hour: plan.per_hour * ceiling,
            lives: plan.lives.iter().map(|life| clock.life(*life)).collect(),
        });
        Trace {
            number,
            family,
            resource: self.resource,
            points,
            begins: self.begins.iter().map(|hour| clock.at(*hour)).collect(),
            load,
            ceiling,
            truth: Truth { may_cycle: self.breathes && leak.is_none(), leak, fits: self.fits },
        }
    }
}

/// From hours of a draft to times: from some day on, and with a jump where a machine was paused.
struct Clock {
    start: WallTime,
    jump_after: f64,
    jump: f64,
}

impl Clock {
    fn new(draw: &mut Draw, hours: f64, gaps: f64) -> Self {
        let start = WallTime::from_millis(EPOCH_MS).after(span(draw.between(0.0, 24.0 * 300.0)));
        let jumps = gaps > 0.0 && draw.chance(0.3);
        let jump = if jumps { draw.wide(0.2, 6.0).min(hours / 4.0) } else { 0.0 };
        Self { start, jump_after: hours * draw.between(0.1, 0.9), jump }
    }

    fn at(&self, hour: f64) -> WallTime {
        if hour < 0.0 {
            return self.start.before(span(-hour));
        }
        let late = if hour > self.jump_after { self.jump } else { 0.0 };
        self.start.after(span(hour + late))
    }

    fn life(&self, (begins, limit_at): (f64, f64)) -> Life {
        Life { begins: self.at(begins), limit_at: self.at(limit_at) }
    }
}

/// Hours as a span, to the second: recorders' clocks are no finer here.
fn span(hours: f64) -> Duration {
    Duration::try_from_secs_f64((hours * 3600.0).round()).unwrap_or_default()
}

/// Which samples nobody took: single ones, and whole outages.
fn missing(draw: &mut Draw, count: usize, part: f64) -> Vec<bool> {
    let mut gone: Vec<bool> = (0..count).map(|_| draw.chance(part / 3.0)).collect();
    if part > 0.0 {
        let outages = 1 + draw.place(5);
        for _ in 0..outages {
            let lasts = whole(real(count) * part * draw.between(0.2, 1.0) / real(outages));
            let from = draw.place(count);
            gone.iter_mut().skip(from).take(lasts).for_each(|gone| *gone = true);
        }
    }
    // Begin and end are seen, for the truth speaks of them.
    for end in [0, count.saturating_sub(1)] {
        if let Some(gone) = gone.get_mut(end) {
            *gone = false;
        }
    }
    gone
}

/// What a resource may not exceed, in its unit.
fn ceiling_of(draw: &mut Draw, resource: Resource, grain: Grain) -> f64 {
    const MIB: f64 = 1_048_576.0;
    match resource {
        _ if grain == Grain::Percent => 100.0,
        Resource::Fds => draw.one_of(&[1024.0, 4096.0, 16_384.0, 65_536.0, 524_288.0]),
        Resource::Threads | Resource::Children => draw.wide(500.0, 32_768.0).round(),
        _ => draw.wide(128.0, 65_536.0).round() * MIB,
    }
}

/// The smallest step of its values.
fn grain_of(resource: Resource, grain: Grain) -> f64 {
    match grain {
        Grain::Percent => 1.0,
        _ if resource.is_count() => 1.0,
        Grain::Mebi => 1_048_576.0,
        Grain::Natural => 4096.0,
    }
}
