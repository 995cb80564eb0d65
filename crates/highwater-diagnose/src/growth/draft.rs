//! One course, judged: the statistics' verdict, and what it means for what the course is of.

use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::{Labels, Point};
use highwater_core::time::{Span, WallTime};
use highwater_detect::{Course, Judgement, judge};

use super::bounds::Bound;
use super::strand::Strand;
use super::whose::{Whose, tidy};
use super::{Caveat, Unit};

/// So many points of a course are kept to be drawn.
const DRAWN: usize = 160;

/// A course whose last point is older than this, and than ten times its cadence, is of somebody who
/// is gone.
const GONE: Duration = Duration::from_hours(1);

/// A course whose last point is older than this, and than ten times its cadence, is of somebody who
/// is away: ended, or between two lives. It reaches no limit until it is back.
const AWAY: Duration = Duration::from_mins(2);

/// What was said so long ago is still so.
pub(super) const RECENT: Duration = Duration::from_hours(2);

/// What is known of a course before the claims are written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) whose: Whose,
    pub(super) resource: Resource,
    pub(super) unit: Unit,
    pub(super) labels: Labels,
    pub(super) caveat: Option<Caveat>,
    pub(super) verdict: Verdict,
    pub(super) judgement: Judgement,
    pub(super) bound: Option<Bound>,
    pub(super) evidence: Evidence,
    pub(super) first: Point,
    pub(super) curve: Vec<Point>,
    pub(super) begins: Vec<WallTime>,
    /// How long nothing has been read of somebody who is away.
    pub(super) away: Option<Duration>,
    /// Whose growth this one is, if it is the sum of others'.
    pub(super) explained: Option<String>,
}

impl Draft {
    /// Whether its floor rises, whoever is to blame.
    pub(super) fn rises(&self) -> bool {
        matches!(self.judgement.verdict, Verdict::Leak | Verdict::Growing) && self.per_hour() > 0.0
    }

    pub(super) fn per_hour(&self) -> f64 {
        self.judgement.rate.map_or(0.0, |rate| rate.per_hour)
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.whose.host.as_deref()
    }
}

/// What all judgements of one survey have in common.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) at: WallTime,
    pub(super) source: &'a str,
}

/// What a course is of.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) resource: Resource,
    pub(super) unit: Unit,
    pub(super) caveat: Option<Caveat>,
    pub(super) bound: Option<Bound>,
}

impl Subject {
    pub(super) fn of(resource: Resource) -> Self {
        let unit = if resource.is_count() { Unit::Count } else { Unit::Bytes };
        Self { resource, unit, caveat: None, bound: None }
    }

    #[must_use]
    pub(super) fn within(self, bound: Option<Bound>) -> Self {
        Self { bound, ..self }
    }

    #[must_use]
    pub(super) fn with(self, caveat: Option<Caveat>) -> Self {
        Self { caveat, ..self }
    }
}

impl Bench<'_> {
    /// Judges `strand`, under the load that there was; `None` of somebody who is gone or hardly
    /// there yet.
    pub(super) fn judge(&self, strand: Strand, subject: Subject, load: &[Point]) -> Option<Draft> {
        let Strand { whose, labels, points, mut begins } = strand;
        let (first, last) = (*points.first()?, *points.last()?);
        let (silent, most) = (self.at.since(last.at), usual(&points).saturating_mul(10));
        if points.len() < 2 || silent > GONE.max(most) {
            return None;
        }
        begins.retain(|begin| *begin <= self.at);
        let ceiling = subject.bound.as_ref().map(|bound| bound.level);
        let course = Course { points: &points, begins: &begins, load, ceiling };
        let judgement = judge(&course, self.at);
        let verdict = meant(subject.resource, subject.caveat, judgement.verdict);
        let curve = match verdict {
            Verdict::Steady => Vec::new(),
            _ => thinned(&points),
        };
        let evidence = cited(self.source, &labels, &points, subject.unit);
        Some(Draft {
            whose,
            resource: subject.resource,
            unit: subject.unit,
            labels,
            caveat: subject.caveat,
            verdict,
            judgement,
            bound: subject.bound,
            evidence,
            first,
            curve,
            begins,
            away: (silent > AWAY.max(most)).then_some(silent),
            explained: None,
        })
    }
}

/// How long it usually is from one point to the next.
fn usual(points: &[Point]) -> Duration {
    let mut gaps: Vec<Duration> = (points.windows(2).rev().take(64))
        .filter_map(|pair| Some(pair.get(1)?.at.since(pair.first()?.at)))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or_default()
}

/// What the statistics' verdict means: cache is never a leak, and of what cache is in, nobody knows.
fn meant(resource: Resource, caveat: Option<Caveat>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Leak | Verdict::Growing if resource.is_reclaimable() => Verdict::Cache,
        Verdict::Leak if caveat == Some(Caveat::Usage) => Verdict::Growing,
        other => other,
    }
}

/// A few points that look as all of them do: of each stretch of time the last.
fn thinned(points: &[Point]) -> Vec<Point> {
    let every = points.len().div_ceil(DRAWN).max(1);
    let parts = points.chunks(every);
    // It is kept for thousands of courses: room for no more than there is.
    let mut few = Vec::with_capacity(parts.len());
    few.extend(parts.filter_map(|part| part.last().copied()));
    if let (Some(first), Some(slot)) = (points.first(), few.first_mut()) {
        *slot = *first;
    }
    few
}

/// Which series, how many points of it, from what to what.
pub(super) fn cited(source: &str, labels: &Labels, points: &[Point], unit: Unit) -> Evidence {
    let told = match points {
        [] => "no points".to_owned(),
        [only] => format!("{} at {}", unit.said(only.value), only.at),
        [first, .., last] => format!(
            "{} points in {}, {} to {} at {}",
            points.len(),
            Span(last.at.since(first.at)),
            unit.said(first.value),
            unit.said(last.value),
            last.at
        ),
    };
    let text = format!("{}: {told}", tidy(&labels.to_string()));
    Evidence { source: source.to_owned(), line: None, text }
}
