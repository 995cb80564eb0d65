//! From the evidence of all windows to one verdict.
//!
//! A leak is an accusation. It needs one window, the longer the better, in which growth is more
//! than chance, straight to its end, no step, not explained by load, new, and of consequence.

use highwater_core::growth::Verdict;

use crate::cells::Block;
use crate::evidence::{DAYS, DAYS_OF_LIVES, Evidence, HOUR};
use crate::lives::Lives;
use crate::order::quantile;
use crate::shape::best_step;
use crate::still::{has_stopped, is_few_steps};
use crate::trend::centred;

/// Growth must be this many standard deviations more than chance: with hourly looks at a month of
/// random walk one in some thousands is.
const SCORE: f64 = 3.5;
/// Within hours, where a day's rhythm cannot be told from growth, and looks are many; and across
/// lives, which each begin with growth of their own.
const FAST_SCORE: f64 = 5.0;
/// And at another size of blocks this many.
const SECOND: f64 = 2.5;
/// Where one of them is only just so, this share of the coarse increments must be upwards.
const STEADILY: f64 = 0.85;
/// Growth is worth a word from here on.
const NOTABLE: f64 = 3.0;
/// The later half must grow at least at this share of the whole.
const LATE: f64 = 0.6;
/// Fast growth may not slow down at all.
const FAST_LATE: f64 = 0.75;
/// A curve that flattens with a time constant of one and a half windows, the longest that is tried,
/// grows in its later half at 0.85 of the rate of the whole.
const EVEN: f64 = 0.9;
/// A line must be at least so much likelier than slowing down (natural logarithms, times two).
const STRAIGHT: f64 = 1.0;
/// Growth that slowed down has settled if it is still this share of what it was before.
const SETTLED: f64 = 0.85;
/// Within hours so much of the growth must lie above all that was there before.
const NEWS: f64 = 0.5;
/// Growth is of consequence if it reaches the ceiling within this many hours …
const SOON: f64 = 30.0 * 24.0;
/// … or is this share of what there was at first.
const GAIN: f64 = 0.10;

/// Within so many hours only growth is told of that is brisk and even.
const LEAST_HOURS: f64 = 1.5;
/// Nobody loads data, or expands his heap before the first collection, for longer than this: eleven
/// minutes.
const LONG_BRISK: f64 = 11.0 / 60.0;
/// Nor, in four minutes and more, …
const LEAST_BRISK: f64 = 4.0 / 60.0;
/// … until only this share of that time is left to the limit.
const NEAR: f64 = 0.25;
/// So many samples make it more than a guess.
const LOOKS: f64 = 40.0;
/// No coarse floor may fall below the one before.
const UNBROKEN: f64 = 0.99;
/// And none may bring a quarter of all growth.
const WELL_SPREAD: f64 = 0.75;
/// Growth of so many times what there was at first …
const MANIFOLD: f64 = 1.5;
/// … is told of as a leak if its limit is no further away than so many times what was seen of it: a job
/// that loads its data for a quarter of an hour has more room than that, or should have.
const FORESEEN: f64 = 4.0;
/// Within hours, a limit that is no further away than this: seven days.
const WEEK: f64 = 7.0 * 24.0;

/// What is known beside the windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) ceiling: Option<f64>,
    pub(crate) lives: Option<&'a Lives>,
    /// All blocks there are, oldest first.
    pub(crate) past: &'a [Block],
    /// How far samples are apart, in hours.
    pub(crate) cadence: f64,
    /// The smallest step the values make.
    pub(crate) grain: f64,
}

/// Why growth in a window is no leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It may be chance.
    Chance,
    /// It slows down.
    Slowing,
    /// It was so, and is no more.
    Stopped,
    /// It is one step.
    Step,
    /// Load explains it.
    Load,
    /// It has been there before.
    Known,
    /// Nothing comes of it within reason.
    Slight,
    /// It is too early to tell it from a day's rhythm.
    Early,
}

impl Doubt {
    /// What a growth with this doubt is called.
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Chance | Self::Known | Self::Stopped => Verdict::Steady,
            Self::Slowing => Verdict::WarmUp,
            Self::Step => Verdict::LevelShift,
            Self::Load | Self::Early | Self::Slight => Verdict::Growing,
        }
    }
}

/// Hours until the growth of a window reaches the ceiling.
pub(crate) fn hours_left(evidence: &Evidence, ceiling: Option<f64>) -> Option<f64> {
    let ceiling = ceiling?;
    let crest = ceiling - evidence.last - evidence.reach;
    // Collection that works up to the ceiling anyway leaves its floor to look at.
    let room = if crest > 0.0 { crest } else { ceiling - evidence.last };
    Some(room.max(0.0) / evidence.slope.max(f64::MIN_POSITIVE))
}

/// Whether the growth of a window is a leak.
pub(crate) fn doubt(evidence: &Evidence, setting: &Setting<'_>) -> Option<Doubt> {
    let fast = is_fast(evidence);
    let restarted = evidence.lives > 1;
    let needed = if fast || restarted { FAST_SCORE } else { SCORE };
    let close = evidence.score < needed + 0.5 && evidence.upward < STEADILY;
    if evidence.slope <= 0.0
        || evidence.score < needed
        || close
        || evidence.second < SECOND
        || evidence.upward < 0.6
    {
        return Some(Doubt::Chance);
    }
    if evidence.burden.is_some_and(|burden| burden.explains()) {
        return Some(Doubt::Load);
    }
    let Some(shape) = evidence.shape else { return Some(Doubt::Chance) };
    if evidence.spread < 0.5 || shape.stepless < 0.0 {
        return Some(Doubt::Step);
    }
    if died_of_it(evidence, setting) {
        // However it slows down, it does not stop before the limit.
        return None;
    }
    if is_known(evidence, setting, fast) {
        return Some(Doubt::Known);
    }
    if has_stopped(&evidence.rows, evidence.slope, setting.grain) {
        return Some(Doubt::Stopped);
    }
    if !restarted && is_few_steps(&evidence.rows, evidence.slope, setting.grain) {
        return Some(Doubt::Step);
    }
    let late = if fast { FAST_LATE } else { LATE };
    // Where the later half grew as fast as the whole, nothing slows down: all but a tie will do.
    let sure = evidence.upward >= STEADILY;
    let straight = if shape.late < EVEN || restarted || !sure { STRAIGHT } else { -4.0 * STRAIGHT };
    if shape.late < late || shape.straight < straight {
        return Some(Doubt::Slowing);
    }
    if fast { early(evidence, setting) } else { slight(evidence, setting) }
}

/// Whether a day's rhythm cannot be told from growth: within hours, and in lives of hours unless
/// there are several, which begin at different hours.
pub(crate) fn is_fast(evidence: &Evidence) -> bool {
    let across = evidence.lives > 2 && evidence.span * 1.05 >= hours_of(DAYS_OF_LIVES);
    !across && evidence.reached() * 1.1 < hours_of(DAYS)
}

fn hours_of(ms: i64) -> f64 {
    crate::cells::hours(ms)
}

/// Whether floors before the window were as high as now; within hours, whether anything was.
fn is_known(evidence: &Evidence, setting: &Setting<'_>, fast: bool) -> bool {
    let height = |block: &Block| if fast { block.crest } else { block.floor };
    let share = if fast { 990 } else { 950 };
    let mut before: Vec<f64> =
        setting.past.iter().filter(|block| block.hours < -evidence.span).map(height).collect();
    if evidence.lives > 1 || before.len() < 4 {
        return false;
    }
    // A day that is busier than the days before is news by a little, a leak is news by most of what
    // it grew.
    let least = if fast { NEWS * evidence.growth() } else { 0.0 };
    quantile(&mut before, share).is_some_and(|height| height + least >= evidence.last)
}

/// Whether earlier lives grew to the ceiling and ended there.
fn died_of_it(evidence: &Evidence, setting: &Setting<'_>) -> bool {
    let at_ceiling = setting.lives.map_or(0, |lives| lives.at_ceiling);
    evidence.lives > 1 && at_ceiling > 0 && evidence.growth() > 0.3 * evidence.first.abs()
}

/// Within hours only growth that cannot wait is an accusation.
fn early(evidence: &Evidence, setting: &Setting<'_>) -> Option<Doubt> {
    let growth = evidence.growth();
    let gain = growth / evidence.first.abs().max(f64::MIN_POSITIVE);
    let left = hours_left(evidence, setting.ceiling);
    let reached = evidence.reached();
    if reached < LEAST_HOURS {
        return brisk(evidence, setting);
    }
    // Who has a day or more of peace behind him is told sooner: this is not how he starts.
    let calm = setting.past.first().is_some_and(|first| -first.hours > evidence.span + 24.0);
    let (part, least) = if calm { (1.0, 0.25) } else { (0.5, 0.5) };
    let pressing = left.is_some_and(|left| left <= reached * part) && gain >= least;
    // It more than doubles what there was before, within hours: no day's rhythm does.
    let mut before: Vec<f64> =
        setting.past.iter().filter(|block| block.hours < -evidence.span).map(|b| b.floor).collect();
    let usual = quantile(&mut before, 500).filter(|_| calm).unwrap_or(evidence.first);
    let usual = usual.min(evidence.first);
    let base = usual.abs().max(f64::MIN_POSITIVE);
    let times = (evidence.last - usual) / base;
    let huge = times >= 1.2
        && (calm || reached >= 2.0)
        && (evidence.slope >= 0.4 * base || times >= 2.5)
        && left.is_none_or(|left| left <= WEEK);
    let clean = evidence.upward >= 0.8;
    (!(clean && (pressing || huge))).then_some(Doubt::Early)
}

/// Within minutes a heap that expands, data that are loaded and a leak look alike; but nobody loads
/// for so long, or so near to a limit.
fn brisk(evidence: &Evidence, setting: &Setting<'_>) -> Option<Doubt> {
    let Some(shape) = evidence.shape else { return Some(Doubt::Early) };
    let (reached, growth) = (evidence.reached(), evidence.growth());
    let first = evidence.first.abs().max(f64::MIN_POSITIVE);
    let left = hours_left(evidence, setting.ceiling);
    let within = |share: f64| left.is_some_and(|left| left <= reached * share);
    let even = evidence.upward >= UNBROKEN
        && shape.late >= EVEN
        && shape.straight >= 0.0
        && evidence.spread >= WELL_SPREAD;
    let looked = reached >= setting.cadence * LOOKS;
    let near = within(NEAR) && reached >= LEAST_BRISK;
    let multiplied = growth >= MANIFOLD * first && within(FORESEEN);
    let soon = within(1.0) && growth >= 0.5 * first;
    let long = reached >= LONG_BRISK && (multiplied || soon);
    (!(even && looked && (near || long))).then_some(Doubt::Early)
}

fn slight(evidence: &Evidence, setting: &Setting<'_>) -> Option<Doubt> {
    let gain = evidence.growth() / evidence.first.abs().max(f64::MIN_POSITIVE);
    let soon = hours_left(evidence, setting.ceiling).is_some_and(|left| left <= SOON);
    let least = if soon { GAIN / 3.0 } else { GAIN };
    (gain < least).then_some(Doubt::Slight)
}

/// Growth that slowed down over a longer window must have settled: ever slower is no leak, slower
/// and then even may be one.
fn unsettled(evidence: &Evidence, longer: &[(&Evidence, Option<Doubt>)]) -> Option<Doubt> {
    let slows = |longer: &Evidence| longer.shape.is_some_and(|shape| shape.straight < 0.0);
    let slowing = longer.iter().filter(|(longer, _)| slows(longer));
    let mut before = slowing.filter_map(|(longer, _)| longer.slope_before(evidence.span));
    before.any(|before| evidence.slope < SETTLED * before).then_some(Doubt::Slowing)
}

/// The window to be told about: of those without doubt the longest; else the one whose growth is
/// notable; else none.
pub(crate) fn choose<'e>(
    windows: &'e [Evidence],
    setting: &Setting<'_>,
) -> Option<(&'e Evidence, Option<Doubt>)> {
    let mut judged: Vec<(&Evidence, Option<Doubt>)> = Vec::new();
    for evidence in windows {
        let doubt = doubt(evidence, setting).or_else(|| unsettled(evidence, &judged));
        judged.push((evidence, doubt));
    }
    let leak = judged.iter().find(|(_, doubt)| doubt.is_none());
    // What goes up by day goes up: that is no news of its own.
    let daily = windows.first().is_some_and(|whole| whole.daily.is_some());
    let notable = |(evidence, doubt): &&(&Evidence, Option<Doubt>)| {
        evidence.score >= NOTABLE
            && !matches!(doubt, Some(Doubt::Chance | Doubt::Known | Doubt::Stopped))
            && !(daily && is_fast(evidence))
    };
    leak.or_else(|| judged.iter().find(notable)).copied()
}

/// What a course is that does not grow.
pub(crate) fn without_growth(whole: Option<&Evidence>, past: &[Block]) -> Verdict {
    if whole.is_some_and(|whole| whole.daily.is_some() || whole.weekly.is_some()) {
        return Verdict::Cyclic;
    }
    let mut floors: Vec<f64> = past.iter().map(|block| block.floor).collect();
    let (Some(low), Some(middle), Some(high), Some(top)) = (
        quantile(&mut floors, 100),
        quantile(&mut floors, 500),
        quantile(&mut floors, 850),
        quantile(&mut floors, 1000),
    ) else {
        return Verdict::Steady;
    };
    let usual = (high - low).max(middle.abs() * 0.02);
    let over = f64::midpoint(middle, top);
    let few = past.iter().filter(|block| block.floor > over).count() * 16 <= past.len();
    if few && top - high > 2.0 * usual {
        return Verdict::Burst;
    }
    if is_step(past) { Verdict::LevelShift } else { Verdict::Steady }
}

/// Whether the floors lie on two levels, one after the other.
fn is_step(past: &[Block]) -> bool {
    let floors: Vec<f64> = past.iter().map(|block| block.floor).collect();
    let one = vec![0; floors.len()];
    let y = centred(&one, &floors);
    let step = best_step(&one, &y);
    let edge = |values: &[f64]| {
        let mut values = values.to_vec();
        Some((quantile(&mut values, 100)?, quantile(&mut values, 900)?))
    };
    let Some((before, after)) = floors.split_at_checked(step.at) else { return false };
    let (Some((low_a, high_a)), Some((low_b, high_b))) = (edge(before), edge(after)) else {
        return false;
    };
    let scatter = (high_a - low_a).max(high_b - low_b).max(high_a.abs() * 0.01);
    before.len().min(after.len()) > 1 && (low_b - high_a).max(low_a - high_b) > scatter
}

/// How sure a leak is.
pub(crate) fn confidence(evidence: &Evidence, setting: &Setting<'_>) -> f64 {
    let shape = evidence.shape.map_or(0.0, |shape| shape.straight.min(shape.stepless));
    let chance = 1.0 - (-(evidence.score - 2.0).max(0.0) / 2.0).exp();
    let form = 1.0 - 0.5 * (-shape.max(0.0) / 3.0).exp();
    let days = 1.0 - 0.3 * (-evidence.span / hours_of(48 * HOUR)).exp();
    let lives = if died_of_it(evidence, setting) { 1.0 } else { days };
    (chance * form * lives).clamp(0.0, 0.99)
}
