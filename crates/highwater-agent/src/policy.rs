//! Which processes get series of their own; the others are in the sum of their owner alone.
//!
//! ```text
//!            large (memory in RAM and swap)   stays until it was small for ten minutes
//!   process  growing (since it had settled)   stays until that was given back for ten minutes
//!            old (bounded in number)          stays until it ends
//!            near a limit (in a close-up)     stays for ten minutes after the last close-up
//! ```
//!
//! Every new series costs disk for as long as it is kept, so that what comes and goes is bounded:
//! so many new ones a minute, the largest first, and so many in all. What holds many times what is
//! large needs neither: there is no room in RAM for many of that kind.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use highwater_core::frame::{Frame, ProcSample, Scope};
use highwater_core::id::ProcKey;
use highwater_core::time::BootTime;
use highwater_core::units::Bytes;

/// What makes a process worth series of its own, and how many may have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Large is from this size on. Zero keeps every process, and none of the bounds below count.
    pub(crate) min_rss: Bytes,
    /// Growing is what grew by this much since it had settled.
    pub(crate) min_growth: Bytes,
    /// Old is from this age on.
    pub(crate) min_age: Duration,
    /// So many are kept for their age alone.
    pub(crate) most_old: u32,
    /// So many new ones are kept in a minute, in the long run.
    pub(crate) new_a_minute: u32,
    /// So many are kept in all.
    pub(crate) most: u32,
}

/// Why a process is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It has much memory.
    Large,
    /// It has more than it had.
    Growing,
    /// It has been seen in a close-up.
    Near,
    /// It has been there for long.
    Old,
}

/// How many are kept for which reason, and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) large: u32,
    pub(crate) growing: u32,
    pub(crate) near: u32,
    pub(crate) old: u32,
    /// Only in the sum of their owner.
    pub(crate) left_out: u32,
    /// Of those, how many would be kept, were there not too many new ones.
    pub(crate) refused: u32,
}

/// A process that was kept stays for so long after the reason is gone: a series that comes and
/// goes tells less and costs more than one that stays.
const LINGER: Duration = Duration::from_mins(10);

/// What a program allocates in its first minute is its start, not growth.
const SETTLED: Duration = Duration::from_mins(1);

/// In a close-up a process is recorded from this size on, however large others have to be: what is
/// near a limit may be killed by its smallest part. Compilers and shells that come and go are not.
const CLOSE_UP_LEAST: Bytes = Bytes::from_mib(1);

/// So many times what is large is kept whatever comes and goes: 128 MiB, where large is 16.
const HUGE: u64 = 8;

/// So many minutes' worth of new series may come at once: a service that starts with its workers.
const BURST_MINUTES: u32 = 10;

#[derive(Clone, Copy, Debug)]
struct Track {
    reason: Option<Reason>,
    /// What it held when it had settled; until then nothing is growth.
    settled: Option<Bytes>,
    /// Since when there is no reason to keep it.
    idle_since: Option<BootTime>,
    near_at: Option<BootTime>,
    round: u64,
}

/// The processes of the last whole frame, and who of them is kept.
#[derive(Debug)]
pub(crate) struct Policy {
    bounds: Bounds,
    us_per_tick: u64,
    tracks: HashMap<ProcKey, Track>,
    wanted: Vec<Wish>,
    /// How many more new ones may come now.
    credit: f64,
    at: BootTime,
    round: u64,
    /// How often the bound in all is halved, for want of memory.
    tight: u32,
}

impl Policy {
    /// On a machine with so many clock ticks in a second. What is there at the start may all come
    /// at once.
    pub(crate) fn new(bounds: Bounds, ticks_per_second: u64) -> Self {
        Self {
            bounds,
            us_per_tick: 1_000_000 / ticks_per_second.max(1),
            tracks: HashMap::new(),
            wanted: Vec::new(),
            credit: f64::from(bounds.most),
            at: BootTime::default(),
            round: 0,
            tight: 0,
        }
    }

    /// Goes on by other bounds. Who is kept stays.
    pub(crate) fn rebound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Keeps half as many for each `step`, and gives back what memory is not needed.
    pub(crate) fn tighten(&mut self, step: u32) {
        if step > self.tight {
            self.tracks.shrink_to_fit();
            self.wanted.shrink_to_fit();
        }
        self.tight = step;
    }

    /// Leaves those processes in `frame` that are kept.
    pub(crate) fn choose(&mut self, frame: &mut Frame) -> Choice {
        let now = frame.stamp.boot;
        self.earn(now);
        if self.bounds.min_rss == Bytes::ZERO {
            let large = u32::try_from(frame.processes.len()).unwrap_or(u32::MAX);
            return Choice { large, ..Choice::default() };
        }
        self.wanted.clear();
        match frame.scope {
            Scope::Whole => self.look(&frame.processes, now),
            Scope::CloseUp => self.look_closely(&frame.processes, now),
        }
        let mut choice = self.kept();
        self.admit(&mut choice);
        let seen = frame.processes.len();
        let tracks = &self.tracks;
        frame
            .processes
            .retain(|process| tracks.get(&process.key).is_some_and(|track| track.reason.is_some()));
        let left = seen.saturating_sub(frame.processes.len());
        choice.left_out = u32::try_from(left).unwrap_or(u32::MAX);
        choice
    }

    /// New series are earned with time.
    fn earn(&mut self, now: BootTime) {
        let rate = f64::from(self.bounds.new_a_minute);
        let most = rate * f64::from(BURST_MINUTES);
        let earned = now.since(self.at).as_secs_f64() / 60.0 * rate;
        if self.credit < most {
            self.credit = (self.credit + earned).min(most);
        }
        self.at = now;
    }

    fn look(&mut self, processes: &[ProcSample], now: BootTime) {
        self.round += 1;
        for process in processes {
            let age = self.age(process, now);
            let track = self.tracks.entry(process.key).or_insert(Track::NEW);
            track.round = self.round;
            let held = held(process);
            if track.settled.is_none() && age >= SETTLED {
                track.settled = Some(held);
            }
            let grown = track.settled.map_or(Bytes::ZERO, |before| held.saturating_sub(before));
            let signs = Signs { size: size(process), grown, age, dead: process.state == b'Z' };
            if track.reason.is_some() {
                track.review(signs, &self.bounds, now);
            } else if let Some(reason) = signs.reason(&self.bounds) {
                self.wanted.push(Wish { size: signs.size, held, key: process.key, reason });
            }
        }
        let round = self.round;
        self.tracks.retain(|_, track| track.round == round);
    }

    fn look_closely(&mut self, processes: &[ProcSample], now: BootTime) {
        let least = self.bounds.min_rss.min(CLOSE_UP_LEAST);
        for process in processes {
            let size = size(process);
            let track = self.tracks.entry(process.key).or_insert(Track::NEW);
            track.round = self.round;
            track.near_at = Some(now);
            if track.reason.is_none() && size >= least {
                let (held, key) = (held(process), process.key);
                self.wanted.push(Wish { size, held, key, reason: Reason::Near });
            }
        }
    }

    fn age(&self, process: &ProcSample, now: BootTime) -> Duration {
        let started = process.key.start.get().saturating_mul(self.us_per_tick);
        now.since(BootTime::from_micros(started))
    }

    fn kept(&self) -> Choice {
        let mut choice = Choice::default();
        self.tracks.values().filter_map(|track| track.reason).for_each(|why| choice.add(why));
        choice
    }

    /// Gives series to those that want them, the largest first, as far as there are any.
    fn admit(&mut self, choice: &mut Choice) {
        self.wanted.sort_unstable_by_key(|wish| (Reverse(wish.size), wish.key.pid));
        let most = self.bounds.most.checked_shr(self.tight).unwrap_or(0);
        let huge = self.bounds.min_rss.get().saturating_mul(HUGE);
        // The small ones leave half of what may come to the large ones.
        let reserve = f64::from(self.bounds.new_a_minute) * f64::from(BURST_MINUTES) / 2.0;
        for Wish { held, key, reason, .. } in &self.wanted {
            let price = match reason {
                // Its own memory: what many share fits many times over.
                _ if held.get() >= huge => 0.0,
                Reason::Large => 1.0,
                Reason::Growing | Reason::Near | Reason::Old => 1.0 + reserve,
            };
            let full = price > 0.0 && choice.all() >= most;
            if *reason == Reason::Old && choice.old >= self.bounds.most_old {
                continue;
            }
            if full || self.credit < price {
                choice.refused = choice.refused.saturating_add(1);
                continue;
            }
            self.credit = (self.credit - 1.0).max(0.0);
            if let Some(track) = self.tracks.get_mut(key) {
                track.reason = Some(*reason);
                track.idle_since = None;
                choice.add(*reason);
            }
        }
    }
}

/// What speaks for a process.
#[derive(Clone, Copy, Debug)]
struct Signs {
    size: Bytes,
    grown: Bytes,
    age: Duration,
    dead: bool,
}

impl Signs {
    /// Why it should be kept. The dead that nobody reaped have no memory, and are counted with
    /// their parent.
    fn reason(self, bounds: &Bounds) -> Option<Reason> {
        match self {
            _ if self.dead => None,
            _ if self.size >= bounds.min_rss => Some(Reason::Large),
            _ if self.is_grown(bounds.min_growth) => Some(Reason::Growing),
            _ if self.age >= bounds.min_age => Some(Reason::Old),
            _ => None,
        }
    }

    /// Nothing at all is no growth, however little is asked for.
    fn is_grown(self, least: Bytes) -> bool {
        self.grown >= least && self.grown > Bytes::ZERO
    }
}

impl Track {
    const NEW: Self =
        Self { reason: None, settled: None, idle_since: None, near_at: None, round: 0 };

    /// Looks again at one that is kept: it stays while it is nearly what it was kept for.
    fn review(&mut self, signs: Signs, bounds: &Bounds, now: BootTime) {
        let most = Bytes::new(bounds.min_rss.get() / 4 * 3);
        let half = Bytes::new(bounds.min_growth.get() / 2);
        let near = self.near_at.is_some_and(|at| now.since(at) < LINGER);
        let stays = match signs {
            _ if signs.dead => None,
            _ if signs.size >= bounds.min_rss => Some(Reason::Large),
            _ if self.reason == Some(Reason::Large) && signs.size >= most => self.reason,
            _ if signs.is_grown(bounds.min_growth) => Some(Reason::Growing),
            _ if self.reason == Some(Reason::Growing) && signs.is_grown(half) => self.reason,
            _ if near => Some(Reason::Near),
            _ if self.reason == Some(Reason::Old) => self.reason,
            _ => None,
        };
        if stays.is_some() {
            (self.reason, self.idle_since) = (stays, None);
            return;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.since(since) >= LINGER {
            (self.reason, self.idle_since) = (None, None);
        }
    }
}

impl Choice {
    fn add(&mut self, reason: Reason) {
        let count = match reason {
            Reason::Large => &mut self.large,
            Reason::Growing => &mut self.growing,
            Reason::Near => &mut self.near,
            Reason::Old => &mut self.old,
        };
        *count = count.saturating_add(1);
    }

    /// How many are kept.
    pub(crate) fn all(self) -> u32 {
        let parts = [self.large, self.growing, self.near, self.old];
        parts.into_iter().fold(0, u32::saturating_add)
    }
}

/// A process that wants series of its own.
#[derive(Debug)]
struct Wish {
    size: Bytes,
    held: Bytes,
    key: ProcKey,
    reason: Reason,
}

/// Memory in RAM and in swap.
fn size(process: &ProcSample) -> Bytes {
    process.resident.saturating_add(process.slow.swap.unwrap_or_default())
}

/// The part of it that is the process's own.
fn held(process: &ProcSample) -> Bytes {
    process.resident_anon().saturating_add(process.slow.swap.unwrap_or_default())
}

#[cfg(test)]
mod tests;
