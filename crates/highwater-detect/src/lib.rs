//! What a course of values is: growth, and of what shape; its rate, and how long is left.
//!
//! Pure functions over samples. This room knows no owner, no file and no clock: it is handed the
//! values of one resource of one owner, the moments at which new lives of that owner began, and
//! what it may not exceed; it gives a [`Judgement`].

mod cells;
mod cycle;
mod decide;
mod evidence;
mod judge;
mod left;
mod lives;
mod load;
mod order;
mod shape;
mod still;
mod trend;
mod words;

use std::time::Duration;

pub use judge::judge;
pub use lives::Lives;

pub use highwater_core::growth::Verdict;
use highwater_core::series::Point;
use highwater_core::time::WallTime;

/// What is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// The values, oldest first; as far back as there are any.
    pub points: &'a [Point],
    /// When each new life began (a restart, a deploy), oldest first; none if none is known.
    pub begins: &'a [WallTime],
    /// What the owner had to do meanwhile, in any unit: requests, processor time a second,
    /// connections; empty if nobody knows.
    pub load: &'a [Point],
    /// What it may not exceed; `None` if there is no such thing.
    pub ceiling: Option<f64>,
}

/// A rate of growth, per hour, with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// The likeliest.
    pub per_hour: f64,
    /// It is hardly less.
    pub low: f64,
    /// It is hardly more.
    pub high: f64,
}

/// A span of time from now on, with its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The likeliest.
    pub likely: Duration,
    /// At the highest rate.
    pub soonest: Duration,
    /// At the lowest rate; `None` if that is no growth at all.
    pub latest: Option<Duration>,
}

/// What a course turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict; never `Cache`, which is a matter of what the values are of.
    pub verdict: Verdict,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// How fast its floor grows; `None` where it does not.
    pub rate: Option<Rate>,
    /// Since when it has been what it is.
    pub since: Option<WallTime>,
    /// The last value.
    pub current: f64,
    /// The present floor: what stays after each collection and reclaim.
    pub floor: f64,
    /// How high it reaches above that floor now and then.
    pub crest: f64,
    /// How the earlier lives of the owner went; `None` if none has ended.
    pub lives: Option<Lives>,
    /// What speaks for the verdict and what against, with figures.
    pub reasons: Vec<Reason>,
}

/// One ground of a judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Whether it speaks for the verdict.
    pub speaks_for: bool,
    /// A sentence with its figures; units are the caller's, so figures of the course stand in
    /// `values` and the sentence has `{0}`, `{1}`, … in their places.
    pub text: String,
    /// Those figures, in the units of the course.
    pub values: Vec<f64>,
}
