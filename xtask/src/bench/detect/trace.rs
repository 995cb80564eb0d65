//! One made course, and the truth about it.

use std::time::Duration;

use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::Point;
use highwater_core::time::WallTime;
use highwater_detect::Course;

/// What an owner did, as a recorder would have seen it.
#[derive(Debug)]
pub(super) struct Trace {
    /// Its number under this seed.
    pub(super) number: usize,
    /// What it was made as.
    pub(super) family: &'static str,
    /// Of what the values are.
    pub(super) resource: Resource,
    /// The values.
    pub(super) points: Vec<Point>,
    /// The lives that the recorder knows of.
    pub(super) begins: Vec<WallTime>,
    /// What it had to do, if that is known.
    pub(super) load: Vec<Point>,
    /// What it may not exceed.
    pub(super) ceiling: f64,
    /// What is true of it.
    pub(super) truth: Truth,
}

/// What is true of a course, by its making.
#[derive(Debug)]
pub(super) struct Truth {
    /// The leak in it that must be found; `None` if nobody may be accused.
    pub(super) leak: Option<Leak>,
    /// What it may be called in the end.
    pub(super) fits: &'static [Verdict],
    /// Whether it may also be called cyclic.
    pub(super) may_cycle: bool,
}

impl Truth {
    /// Whether it may be called that in the end.
    pub(super) fn allows(&self, verdict: Verdict) -> bool {
        self.fits.contains(&verdict) || (self.may_cycle && verdict == Verdict::Cyclic)
    }
}

/// A leak, by its making.
#[derive(Debug)]
pub(super) struct Leak {
    /// When it began.
    pub(super) since: WallTime,
    /// When somebody mended it.
    pub(super) until: Option<WallTime>,
    /// How much of the floor is added in an hour of life, on average.
    pub(super) per_hour: f64,
    /// Its lives.
    pub(super) lives: Vec<Life>,
}

/// One life of what leaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// When it began.
    pub(super) begins: WallTime,
    /// When it met the limit, or would have if nothing had ended it before.
    pub(super) limit_at: WallTime,
}

/// How long after it was mended a leak may still be told of: a day, or a quarter of the time that it
/// leaked. Nobody can know sooner that what is slow has stopped.
const GRACE: (Duration, u32) = (Duration::from_hours(24), 4);

impl Leak {
    /// Whether an accusation at that time is right.
    pub(super) fn is_there(&self, at: WallTime) -> bool {
        let told = |until: WallTime| until.after(GRACE.0.max(until.since(self.since) / GRACE.1));
        at >= self.since && self.until.is_none_or(|until| at <= told(until))
    }

    /// How long before the limit a moment is: of the life that it lies in.
    pub(super) fn left_at(&self, at: WallTime) -> Duration {
        let life = self.lives.iter().rev().find(|life| life.begins <= at);
        life.or(self.lives.first()).map_or(Duration::ZERO, |life| life.limit_at.since(at))
    }
}

impl Trace {
    /// What could be known at that time, and no more.
    pub(super) fn until(&self, at: WallTime) -> Course<'_> {
        let points = before(&self.points, at);
        let known = self.begins.partition_point(|begin| *begin <= at);
        Course {
            points,
            begins: self.begins.get(..known).unwrap_or_default(),
            load: before(&self.load, at),
            ceiling: Some(self.ceiling),
        }
    }

    /// From the first sample to the last.
    pub(super) fn span(&self) -> (WallTime, WallTime) {
        let epoch = WallTime::from_millis(0);
        let from = self.points.first().map_or(epoch, |point| point.at);
        (from, self.points.last().map_or(from, |point| point.at))
    }
}

/// The points up to a time.
fn before(points: &[Point], at: WallTime) -> &[Point] {
    points.get(..points.partition_point(|point| point.at <= at)).unwrap_or_default()
}
