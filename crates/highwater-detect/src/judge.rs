//! One judgement: the course as seen at a moment, its windows, the verdict and what is said of it.

use std::borrow::Cow;
use std::time::Duration;

use highwater_core::growth::Verdict;
use highwater_core::series::Point;
use highwater_core::time::WallTime;

use crate::cells::{hours, millis_between};
use crate::decide::{Doubt, Setting, choose, confidence, doubt, is_fast, without_growth};
use crate::evidence::{Evidence, HOUR, View, blocks_of, weigh, weighed};
use crate::lives::{Lives, begins, cadence, grain, lives};
use crate::{Course, Judgement, Rate, words};

/// What lies further back is another story: a quarter of a year.
const LONGEST: i64 = 92 * 24 * HOUR;
/// No count of anything is as great as this; what is, is no measurement, and its square has no end.
const MOST: f64 = 1e60;
/// Before a day's rhythm can be seen, growth that is less certain than this is told as growth, and
/// accused once it is.
const ACCUSED: f64 = 0.4;
/// The shortest window that is judged.
const SHORTEST: i64 = 3 * HOUR / 2;
/// Of a course that has only just begun shorter ones are told of, too, though never as a leak.
const SHORTEST_YOUNG: i64 = HOUR / 6;
/// So long a course has only just begun.
const YOUNG: i64 = 6 * HOUR;
/// A window of fewer samples is not judged.
const FEWEST_SAMPLES: i64 = 16;
/// Windows, each half as long as the one before: from a quarter of a year to an hour and a half.
const MOST_WINDOWS: usize = 12;

/// Judges a course from its values up to `at`; later ones do not matter.
pub fn judge(course: &Course<'_>, at: WallTime) -> Judgement {
    let points = seen(course.points, at);
    let load = seen(course.load, at);
    let Some(last) = points.last() else { return nothing() };
    let end = last.at;
    let ceiling = course.ceiling.filter(|ceiling| *ceiling > 0.0 && *ceiling < MOST);
    let begins = begins(&points, course.begins, ceiling, end);
    let view = View { points: &points, begins: &begins, load: &load, end, grain: grain(&points) };
    let span = points.first().map_or(0, |first| millis_between(first.at, end));
    let ended = lives(&points, &begins, ceiling, end);
    let past = blocks_of(&view, span.max(1));
    let cadence = hours(cadence(&points));
    let setting =
        Setting { ceiling, lives: ended.as_ref(), past: &past, cadence, grain: view.grain };
    let spans = spans(&view, span);
    let shorter = spans.iter().filter(|part| **part < span).filter_map(|span| weigh(&view, *span));
    let windows: Vec<Evidence> =
        weighed(&view, &past, span.max(1)).into_iter().chain(shorter).collect();
    let told = Told { view: &view, setting: &setting, windows: &windows, current: last.value };
    Judgement { lives: ended, ..told.judgement() }
}

/// The finite values up to `at`, in order of time.
fn seen(points: &[Point], at: WallTime) -> Cow<'_, [Point]> {
    let oldest = at.millis().saturating_sub(LONGEST);
    let sound = |point: &Point| point.value.abs() < MOST;
    let fits = |point: &Point| point.at <= at && point.at.millis() >= oldest && sound(point);
    if points.is_sorted_by_key(|point| point.at) {
        let first = points.partition_point(|point| point.at.millis() < oldest);
        let last = points.partition_point(|point| point.at <= at);
        let inside = points.get(first..last).unwrap_or_default();
        if inside.iter().all(sound) {
            return Cow::Borrowed(inside);
        }
    }
    let mut kept: Vec<Point> = points.iter().filter(|point| fits(point)).copied().collect();
    kept.sort_by_key(|point| point.at);
    Cow::Owned(kept)
}

/// The spans of the windows to be judged, longest first: the whole, its halves, the present life.
fn spans(view: &View<'_>, whole: i64) -> Vec<i64> {
    let least = if whole < YOUNG { SHORTEST_YOUNG } else { SHORTEST };
    let shortest = least.max(cadence(view.points).saturating_mul(FEWEST_SAMPLES));
    let halves = std::iter::successors(Some(whole), |span| Some(span / 2));
    let mut spans: Vec<i64> =
        halves.take(MOST_WINDOWS).take_while(|span| *span >= shortest).collect();
    let life = view.begins.last().map(|begin| millis_between(*begin, view.end));
    spans.extend(life.filter(|life| *life >= shortest && *life < whole));
    spans.sort_unstable_by(|a, b| b.cmp(a));
    spans.dedup();
    spans
}

/// What there is to tell.
struct Told<'a> {
    view: &'a View<'a>,
    setting: &'a Setting<'a>,
    windows: &'a [Evidence],
    current: f64,
}

impl Told<'_> {
    fn judgement(&self) -> Judgement {
        match choose(self.windows, self.setting) {
            Some((evidence, _)) if self.has_fallen(evidence) => self.calm(),
            Some((evidence, None)) if self.is_accused(evidence) => self.leak(evidence),
            Some((evidence, None)) => self.growth(evidence, Doubt::Early),
            Some((evidence, Some(doubt))) => self.growth(evidence, doubt),
            None => self.calm(),
        }
    }

    /// Whether most of what it had grown by is gone at once, as when the one who grew has died.
    fn has_fallen(&self, evidence: &Evidence) -> bool {
        let growth = evidence.growth();
        growth > 0.0
            && self.current < evidence.last - FALLEN * growth.max(evidence.last - evidence.first)
    }

    /// Whether somebody should act on it: on a day's evidence, or on less if that is strong.
    fn is_accused(&self, evidence: &Evidence) -> bool {
        let is_sure = !is_fast(evidence) || confidence(evidence, self.setting) >= ACCUSED;
        is_sure && self.is_confirmed(evidence)
    }

    /// Whether the same could be said a while ago: what is so for a moment only is chance.
    fn is_confirmed(&self, evidence: &Evidence) -> bool {
        if evidence.daily.is_some() {
            // Part of a day less is another rhythm.
            return true;
        }
        let lasted = if evidence.lives > 1 { evidence.reached() } else { evidence.span };
        let earlier = self.moment(lasted * A_WHILE);
        let until = self.view.points.partition_point(|point| point.at <= earlier);
        let points = self.view.points.get(..until).unwrap_or_default();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
        let view = View { points, end: last.at, ..*self.view };
        // As long a stretch, as far as there is one.
        let span = millis_between(self.moment(evidence.span), self.view.end);
        let before = weigh(&view, span.min(millis_between(first.at, last.at)));
        let doubt = |before: &Evidence| doubt(before, self.setting);
        // What had not yet gone on for long enough then has now.
        before.is_some_and(|before| {
            matches!(doubt(&before), None | Some(Doubt::Early | Doubt::Slight))
        })
    }

    fn leak(&self, evidence: &Evidence) -> Judgement {
        let onset = self.onset(evidence);
        let told = self.latest(onset.as_ref().unwrap_or(evidence));
        Judgement {
            confidence: confidence(evidence, self.setting),
            reasons: words::of_leak(told, self.setting),
            ..self.growing(told, Verdict::Leak)
        }
    }

    fn growth(&self, evidence: &Evidence, doubt: Doubt) -> Judgement {
        Judgement {
            confidence: 0.5,
            reasons: words::of_doubt(evidence, doubt, self.setting),
            ..self.growing(evidence, doubt.verdict())
        }
    }

    fn growing(&self, evidence: &Evidence, verdict: Verdict) -> Judgement {
        let (low, high) = evidence.interval();
        Judgement {
            verdict,
            confidence: 0.0,
            rate: Some(Rate { per_hour: evidence.slope, low, high }),
            since: Some(self.moment(evidence.span)),
            current: self.current,
            floor: evidence.last,
            crest: evidence.last + evidence.reach,
            lives: None,
            reasons: Vec::new(),
        }
    }

    /// The part of the window since its growth began, if it bends.
    fn onset(&self, evidence: &Evidence) -> Option<Evidence> {
        let shape = evidence.shape.filter(|shape| shape.bend > BENT)?;
        let row = evidence.rows.get(shape.bends_at)?;
        let span = Duration::try_from_secs_f64(-row.hours * 3600.0).ok()?;
        let span = i64::try_from(span.as_millis()).ok()?;
        weigh(self.view, span).filter(|part| part.slope > 0.0 && part.score > 2.0)
    }

    /// The window whose rate is to be told: a later one if it grows otherwise beyond doubt.
    fn latest<'e>(&'e self, evidence: &'e Evidence) -> &'e Evidence {
        let mut told = evidence;
        for later in self.windows {
            let off = (later.slope - told.slope).abs();
            let own = told.lives > 1 && later.lives == 1;
            let shorter = later.span < told.span && (own || later.span >= evidence.span / 8.0);
            let sure = later.score >= SURE && later.slope > 0.0 && later.margin < 0.3 * later.slope;
            let known = later.span >= 41.0 || evidence.span < 41.0;
            if shorter && sure && (own || known && off > later.margin + told.margin) {
                told = later;
            }
        }
        told
    }

    fn calm(&self) -> Judgement {
        let whole = self.windows.first();
        let last = whole.map_or(self.current, |whole| whole.last);
        let verdict = without_growth(whole, self.setting.past);
        Judgement {
            verdict,
            confidence: if whole.is_some() { 0.8 } else { 0.0 },
            rate: None,
            since: whole.map(|whole| self.moment(whole.span)),
            current: self.current,
            floor: last,
            crest: last + whole.map_or(0.0, |whole| whole.reach),
            lives: None,
            reasons: words::of_calm(whole, verdict),
        }
    }

    fn moment(&self, hours_back: f64) -> WallTime {
        let span = Duration::try_from_secs_f64(hours_back.max(0.0) * 3600.0);
        self.view.end.before(span.unwrap_or_default())
    }
}

/// A leak must have been one a while ago: by this share of its window.
const A_WHILE: f64 = 0.05;

/// What falls by this share of what it had grown by does not grow now.
const FALLEN: f64 = 0.75;

/// A bend must be so much likelier than a straight line to be told of.
const BENT: f64 = 6.0;

/// A later window must be as sure as this to be believed against a longer one.
const SURE: f64 = 5.0;

fn nothing() -> Judgement {
    Judgement {
        verdict: Verdict::Steady,
        confidence: 0.0,
        rate: None,
        since: None,
        current: 0.0,
        floor: 0.0,
        crest: 0.0,
        lives: None::<Lives>,
        reasons: words::of_calm(None, Verdict::Steady),
    }
}
