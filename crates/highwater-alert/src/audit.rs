//! Why a rule did not fire, with what shows it.
//!
//! Each reason is found by evaluating parts of the rule over the same history, so it holds for that
//! history and not for another one.

mod labels;
mod masked;
mod reached;
mod said;
#[cfg(test)]
mod tests;
mod trend;
mod unseen;

use std::fmt;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::series::SeriesSource;
use highwater_core::time::{Span, WallTime};

use crate::backtest::{Course, Incident, Period};
use reached::Reached;
use said::moment;

/// What a rule was evaluated over, and what happened meanwhile.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The history.
    pub history: &'a dyn SeriesSource,
    /// From when to when.
    pub period: Period,
    /// What happened.
    pub incidents: &'a [Incident],
    /// What a name may have been meant for that no metric has.
    pub meant: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// One reason why a rule did not fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Of what kind.
    pub why: Why,
    /// What is the matter, and what shows it.
    pub claim: Claim,
}

/// The kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It could not be evaluated.
    Failed,
    /// Nothing that it asks for is there.
    NoSeries,
    /// Labels of two sides never match.
    LabelsDiffer,
    /// What it sums up hides what was the matter with a part.
    Masked,
    /// One target answers for several.
    OneTarget,
    /// What it waits for is over before anybody looks.
    Unseen,
    /// The span of a trend is too short for what went on.
    ShortTrend,
    /// It matched, but not for long enough.
    HoldTooLong,
    /// The bound was never reached.
    NeverReached,
    /// Its conditions held, but never together.
    Apart,
}

impl Why {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NoSeries => "no-series",
            Self::LabelsDiffer => "labels-differ",
            Self::Masked => "masked",
            Self::OneTarget => "one-target",
            Self::Unseen => "unseen",
            Self::ShortTrend => "short-trend",
            Self::HoldTooLong => "hold-too-long",
            Self::NeverReached => "never-reached",
            Self::Apart => "apart",
        }
    }

    /// Whether something is the matter with the rule, or its data, even if nothing happened.
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::HoldTooLong | Self::NeverReached | Self::Apart)
    }
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("period", &self.period).finish_non_exhaustive()
    }
}

impl Scene<'_> {
    fn reason(&self, why: Why, text: String, shows: Vec<String>) -> Reason {
        let source = self.history.name();
        let evidence = shows.into_iter();
        let evidence =
            evidence.map(|text| Evidence { source: source.to_owned(), line: None, text });
        Reason { why, claim: Claim { text, evidence: evidence.collect() } }
    }
}

/// A rule that never fired, while it is found out why.
///
/// What its conditions came to is looked at part by part, as the rules themselves were: several rules
/// that ask for the same then read it together.
pub struct Doubt<'c> {
    course: &'c Course<'c>,
    found: Vec<Reason>,
    reached: Vec<Reached>,
    parts: Vec<Period>,
    /// So many parts are done.
    done: usize,
}

impl fmt::Debug for Doubt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { course, done, .. } = self;
        f.debug_struct("Doubt").field("course", course).field("done", done).finish_non_exhaustive()
    }
}

impl<'c> Doubt<'c> {
    /// What can be said at once: of a rule that fired, nothing.
    pub fn new(course: &'c Course<'c>, scene: Scene<'_>) -> Self {
        let past = course.past(scene.history);
        let scene = Scene { history: &past, ..scene };
        let mut doubt =
            Self { course, found: Vec::new(), reached: Vec::new(), parts: Vec::new(), done: 0 };
        if course.fired().next().is_some() {
            return doubt;
        }
        doubt.found = failed(course, scene);
        if doubt.found.is_empty() {
            doubt.found = labels::absent(course, scene);
        }
        if doubt.found.is_empty() {
            doubt.found.extend(labels::differ(course, scene));
        }
        if doubt.found.is_empty() {
            doubt.reached = reached::conditions(course);
            doubt.parts = scene.period.parts(course.step);
        }
        doubt
    }

    /// How many parts it looks at.
    pub const fn parts(&self) -> usize {
        self.parts.len()
    }

    /// When its next part begins; `None`: it is at the end.
    pub fn next(&self) -> Option<WallTime> {
        self.parts.get(self.done).map(|part| part.from)
    }

    /// Looks at the next part of the history.
    pub fn go_on(&mut self, history: &dyn SeriesSource) {
        let Some(part) = self.parts.get(self.done).copied() else { return };
        let seen = self.course.past(history);
        let part = (part, self.course.step);
        // What cannot be evaluated by itself is left out.
        self.reached.retain_mut(|condition| condition.go_on(&seen, part).is_ok());
        self.done = self.done.saturating_add(1);
    }

    /// Why the rule never fired, the gravest reason first. Of a rule that fired there are none.
    pub fn reasons(self, scene: Scene<'_>) -> Vec<Reason> {
        let Self { course, mut found, reached, parts, .. } = self;
        let past = course.past(scene.history);
        let scene = Scene { history: &past, ..scene };
        if !parts.is_empty() {
            found.extend(masked::hidden(course, scene, &reached));
            found.extend(masked::one_target(course, scene, &reached));
            found.extend(unseen::unseen(course, scene, &reached));
            found.extend(trend::short(course, scene));
            found.extend(hold(course, scene));
            found.extend(reached::reasons(course, scene, &reached));
        }
        found.sort_by_key(|reason| reason.why);
        found
    }
}

fn failed(course: &Course<'_>, scene: Scene<'_>) -> Vec<Reason> {
    let reason = |(at, fault): &(_, String)| {
        let text = format!("it could not be evaluated: {fault}");
        scene.reason(Why::Failed, text, vec![format!("first at {}", moment(*at))])
    };
    course.faults.first().map(reason).into_iter().collect()
}

/// It matched, but each time for less than its `for`.
fn hold(course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    let longest = course.lives.iter().max_by_key(|life| life.length())?;
    let times = course.lives.len().saturating_add(course.uncounted);
    let text = format!(
        "it matched {}, for {} at most: for asks for {}",
        said::times(times),
        said::length(longest.length(), course.step),
        Span(course.hold()),
    );
    let shown = format!(
        "{} matched from {} to {}",
        longest.labels,
        moment(longest.pending),
        moment(longest.last)
    );
    Some(scene.reason(Why::HoldTooLong, text, vec![shown]))
}
