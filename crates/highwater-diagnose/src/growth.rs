//! What grows, of what kind, whose it is, and how long is left.
//!
//! ```text
//! SeriesSource ─ history ─ strand (one owner, its lives) ─ detect::judge ─ draft
//!                              bounds (what may not be exceeded) ┘           │
//!                                      explain (whose the sums are) ─ claims ┴─► Item
//! ```
//!
//! A leak is an accusation, so it is told only of what cannot be taken back: cache is named as
//! cache however it grows, and a sum (the machine, a file system) is not blamed for what one of its
//! parts does.

mod bounds;
mod causes;
mod claims;
mod draft;
mod explain;
mod hands;
mod history;
mod inside;
mod kernel;
mod machine;
mod owners;
mod places;
mod strand;
#[cfg(test)]
mod tests;
mod veiled;
mod whose;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::growth::{Resource, Verdict};
use highwater_core::owner::Owner;
use highwater_core::series::{Point, SeriesSource, SourceError};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_detect::{Left, Rate};

pub use bounds::{Bound, Ceiling};
pub use causes::{Cause, Weighed};
pub use inside::{Inside, inside};
pub use whose::Whose;

use bounds::Bounds;
use draft::Bench;
use history::{History, Known};

/// What the numbers of an item are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Whole things: descriptors, threads, processes.
    Count,
    /// Per cent of something that is not known by itself.
    Percent,
}

impl Unit {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Percent => "percent",
        }
    }

    /// `value` as people read it.
    pub fn said(self, value: f64) -> String {
        let (sign, size) = if value < 0.0 { ("−", -value) } else { ("", value) };
        match self {
            Self::Bytes => format!("{sign}{}", Bytes::from_f64(size)),
            Self::Count if size >= 99.5 || (size - size.round()).abs() < 0.05 => {
                format!("{sign}{size:.0}")
            }
            Self::Count => format!("{sign}{size:.1}"),
            Self::Percent => format!("{sign}{size:.1} %"),
        }
    }

    /// A rate as people read it, in the unit of time in which it is a number to picture.
    pub fn rate(self, per_hour: f64) -> String {
        const DAY: f64 = 24.0;
        if self == Self::Bytes {
            return crate::words::rate(per_hour / 3600.0);
        }
        match per_hour.abs() {
            speed if speed >= 1.0 => format!("{}/h", self.said(per_hour)),
            _ => format!("{}/day", self.said(per_hour * DAY)),
        }
    }
}

/// Why a value is not quite what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// Resident memory: pages of files are in it.
    Resident,
    /// The working set: page cache in active use is in it.
    WorkingSet,
    /// All that is charged: page cache is in it.
    Usage,
    /// All that the machine cannot give out.
    Used,
    /// A share of an amount that is not on record.
    Share,
}

impl Caveat {
    const fn text(self) -> &'static str {
        match self {
            Self::Resident => {
                "only its resident memory is on record: pages of files are in it as well"
            }
            Self::WorkingSet => {
                "only its working set is on record: page cache in active use is in it as well"
            }
            Self::Usage => {
                "only its whole usage is on record: page cache is in it, so nobody can be accused"
            }
            Self::Used => {
                "anonymous memory by itself is not on record: this is all that is not available"
            }
            Self::Share => "only a share in per cent is on record, without what it is a share of",
        }
    }
}

/// What speaks for a verdict, or against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// Whether it speaks for it.
    pub speaks_for: bool,
    /// What, and where that can be checked.
    pub claim: Claim,
}

/// One resource of one owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Whose.
    pub whose: Whose,
    /// Of what.
    pub resource: Resource,
    /// In what its numbers are.
    pub unit: Unit,
    /// What it is.
    pub verdict: Verdict,
    /// How fast its floor grows, per hour.
    pub rate: Option<Rate>,
    /// How sure the verdict is, from 0 to 1.
    pub confidence: f64,
    /// Since when it has been so.
    pub since: Option<WallTime>,
    /// What it is now.
    pub current: f64,
    /// What it will reach first.
    pub bound: Option<Bound>,
    /// How long until then, if it goes on like this.
    pub left: Option<Left>,
    /// The root cause, where it grows.
    pub cause: Option<Cause>,
    /// All root causes, with what speaks for and against each.
    pub causes: Vec<Weighed>,
    /// What speaks for the verdict and against it.
    pub grounds: Vec<Ground>,
    /// What it was, to be drawn; empty where nothing happens.
    pub curve: Vec<Point>,
    /// When its lives began.
    pub begins: Vec<WallTime>,
}

impl Item {
    /// Whether somebody should look at it.
    pub fn is_news(&self) -> bool {
        !matches!(self.verdict, Verdict::Steady | Verdict::Cyclic)
    }

    /// The limit that is set on it or above it; none is set where only the machine's memory ends it.
    pub fn limit(&self) -> Option<f64> {
        let bound = self.bound.as_ref()?;
        (bound.ceiling != Ceiling::Machine).then_some(bound.limit)
    }
}

/// How a survey is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Nothing before this is looked at; thirty days, unless told.
    pub since: Option<WallTime>,
    /// Whose the containers are whose ids are known: their names, their pods.
    pub owners: Option<&'a BTreeMap<String, Owner>>,
}

/// All that is on record, judged.
#[derive(Clone, Debug)]
pub struct Growth {
    /// As of when: nothing later was looked at.
    pub at: WallTime,
    /// Since when.
    pub from: WallTime,
    /// What was judged: what is most urgent first.
    pub items: Vec<Item>,
    /// What to know beside them.
    pub notes: Vec<String>,
}

/// Judges everything on record as of `at`, from what was recorded until then.
pub fn survey(
    source: &dyn SeriesSource,
    at: WallTime,
    options: Options<'_>,
) -> Result<Growth, SourceError> {
    let earliest = at.before(history::FAR);
    let from = options.since.map_or(earliest, |since| since.min(at));
    let unknown = Known::default();
    let history = History { source, at, from, known: &unknown };
    let known = Known::read(history, &few())?;
    let history = History { known: &known, ..history };
    let bounds = Bounds::read(history, options.owners)?;
    let bench = Bench { at, source: source.name() };
    let mut drafts = owners::drafts(history, &bench, &bounds)?;
    drafts.extend(machine::drafts(history, &bench, &bounds)?);
    drafts.extend(machine::shares(history, &bench, &bounds)?);
    let (of_places, places) = places::drafts(history, &bench, &bounds)?;
    drafts.extend(of_places);
    veiled::unveil(history, &bench, &bounds, &mut drafts)?;
    kernel::tell_apart(history, &bench, &bounds, &mut drafts)?;
    owners::under_load(history, &bench, &bounds, &mut drafts)?;
    explain::explain(&mut drafts, &places);
    explain::in_use(&mut drafts);
    explain::companions(&mut drafts);
    let twins = explain::twins(&drafts);
    // What is drawn is most of what is held of a course: it is there once.
    let curves: Vec<Vec<Point>> =
        drafts.iter_mut().map(|draft| std::mem::take(&mut draft.curve)).collect();
    let scene = claims::Scene { bounds: &bounds, drafts: &drafts, places: &places, at };
    let told = drafts.iter().zip(&twins).map(|(draft, twins)| scene.item(draft, twins));
    let told = told.zip(curves).map(|(item, curve)| Item { curve, ..item });
    let mut items: Vec<Item> = told.collect();
    items.sort_by(order);
    Ok(Growth { at, from, items, notes: Vec::new() })
}

/// The metrics of which a machine has few series, and which are asked for more than once.
fn few() -> Vec<&'static str> {
    machine::metrics().chain(places::METRICS).chain(bounds::MEM.iter().copied()).collect()
}

/// The most urgent first: accusations, by the time that is left; then what grows; then the rest.
fn order(a: &Item, b: &Item) -> std::cmp::Ordering {
    let left = |item: &Item| item.left.map_or(Duration::MAX, |left| left.likely);
    let share = |item: &Item| match (&item.bound, item.rate) {
        (Some(bound), Some(rate)) if bound.limit > 0.0 => rate.per_hour / bound.limit,
        _ => 0.0,
    };
    rank(a.verdict)
        .cmp(&rank(b.verdict))
        .then(left(a).cmp(&left(b)))
        .then(share(b).total_cmp(&share(a)))
        .then(b.confidence.total_cmp(&a.confidence))
        .then_with(|| a.whose.cmp(&b.whose))
        .then(a.resource.cmp(&b.resource))
}

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Leak => 0,
        Verdict::Growing => 1,
        Verdict::Burst => 2,
        Verdict::LevelShift => 3,
        Verdict::WarmUp => 4,
        Verdict::Cache => 5,
        Verdict::Cyclic => 6,
        Verdict::Steady => 7,
    }
}
