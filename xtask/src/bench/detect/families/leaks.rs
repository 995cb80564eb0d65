//! Leaks of one life.

use highwater_core::growth::{Resource, Verdict};

use super::super::draft::{Draft, Grain, MOST_HOURS, Plan};
use super::super::draw::{Draw, real, whole};
use super::super::noise::Noise;
use super::super::shapes::{Stairs, Teeth, Visits, Week, reaches};
use super::{Make, one_of};

/// Every family of them.
pub(super) const ALL: [(&str, Make); 22] = [
    ("creep", creep),
    ("creep, collected", collected),
    ("creep, by day and night", daily),
    ("creep, by week", weekly),
    ("fast", fast),
    ("nightly job", nightly),
    ("by load", by_load),
    ("descriptors", descriptors),
    ("threads", threads),
    ("files on tmpfs", tmpfs),
    ("slab", slab),
    ("warm-up, then creep", warm_then_creep),
    ("late", late),
    ("creep in percents", percents),
    ("creep with gaps", gapped),
    ("ever faster", accelerating),
    ("creep under bursts", bursty),
    ("log never rotated", log),
    ("creep, lazily collected", lazily_collected),
    ("in fits", in_fits),
    ("mended", mended),
    ("creep, by moods", moody),
];

const LEAK: &[Verdict] = &[Verdict::Leak];

/// A straight leak: where it starts, and how much it adds an hour.
struct Line {
    start: f64,
    per_hour: f64,
}

impl Line {
    /// So many percent of the ceiling a day.
    fn new(draw: &mut Draw, slowest: f64, fastest: f64) -> Self {
        let start = draw.between(0.08, 0.55);
        Self { start, per_hour: draw.wide(slowest, fastest) / 100.0 / 24.0 }
    }

    /// A draft with it, until its limit or as long as a trace may be.
    fn draft(&self, draw: &mut Draw, since: f64) -> Draft {
        let floor = |hour: f64| self.start + self.per_hour * (hour - since).max(0.0);
        let mut draft = drafted(draw, since, self.per_hour, reaches(since, floor));
        draft.leak(floor);
        draft
    }
}

/// An empty draft as long as a leak lasts that meets its limit there.
fn drafted(draw: &mut Draw, since: f64, per_hour: f64, limit_at: f64) -> Draft {
    let mut draft = Draft::over(draw, (limit_at * 1.02).min(MOST_HOURS));
    draft.leak = Some(Plan { since, until: None, per_hour, lives: vec![(0.0, limit_at)] });
    draft.fits = LEAK;
    draft
}

/// The usual noise.
fn usual(draw: &mut Draw, quiet: f64) -> f64 {
    draw.wide(0.0008, 0.03) * quiet
}

fn creep(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = Line::new(draw, 0.5, 5.0).draft(draw, 0.0);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn collected(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = creep(draw, noise, quiet);
    teeth(draw, &mut draft, 12.0);
    draft
}

fn teeth(draw: &mut Draw, draft: &mut Draft, longest: f64) {
    let hours = draft.hours.last().copied().unwrap_or_default();
    let period = draw.wide(0.05, longest).min(hours / 8.0);
    let uneven = draw.unit();
    let (teeth, height) = (Teeth::new(draw, hours, period, uneven), draw.between(0.03, 0.25));
    draft.add(|hour| height * teeth.at(hour));
}

/// Collections so rare that there are few in all.
fn lazily_collected(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = Line::new(draw, 1.5, 8.0).draft(draw, 0.0);
    let hours = draft.hours.last().copied().unwrap_or_default();
    let period = draw.between(10.0, 30.0).min(hours / 6.0);
    let (teeth, height) = (Teeth::new(draw, hours, period, 0.4), draw.between(0.03, 0.15));
    draft.add(|hour| height * teeth.at(hour));
    let size = usual(draw, quiet) / 2.0;
    draft.rustle(draw, noise, size);
    draft
}

fn daily(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    cyclic(draw, noise, quiet, 1.0)
}

fn weekly(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let weekend = draw.between(0.0, 0.6);
    cyclic(draw, noise, quiet, weekend)
}

fn cyclic(draw: &mut Draw, noise: &Noise, quiet: f64, weekend: f64) -> Draft {
    let mut draft = Line::new(draw, 0.8, 6.0).draft(draw, 0.0);
    let hours = draft.hours.last().copied().unwrap_or_default();
    let (week, height) = (Week::new(draw, hours, weekend), draw.between(0.02, 0.15));
    draft.add(|hour| height * week.at(hour));
    if draw.chance(0.5) {
        draft.works(draw, |hour| 0.1 + week.at(hour));
    }
    if draw.chance(0.3) {
        teeth(draw, &mut draft, 4.0);
    }
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

/// From hours to a day and a half until its end, from birth or after a while of peace.
fn fast(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 50.0, 400.0);
    let since = if draw.chance(0.5) { 0.0 } else { draw.between(8.0, 48.0) };
    let mut draft = line.draft(draw, since);
    draft.fresh = since <= 0.0;
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

/// A job leaves something each time.
fn nightly(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let period = draw.one_of(&[24.0, 24.0, 24.0, 12.0, 8.0, 6.0]);
    let left = draw.wide(0.006, 0.05) * (period / 24.0_f64).sqrt();
    let first = draw.between(0.5, period);
    let start = draw.between(0.08, 0.5);
    let times = whole((1.0 - start) / left) + 4;
    let steps = (0..times).map(|n| {
        (first + period * real(n) + draw.between(0.0, 0.4), left * draw.between(0.7, 1.3))
    });
    let stairs = Stairs::new(steps.collect::<Vec<_>>());
    let limit_at = reaches(0.0, |hour| start + stairs.at(hour));
    let mut draft = drafted(draw, first, left / period, limit_at);
    draft.leak(|hour| start + stairs.at(hour));
    if draw.chance(0.5) {
        let (lasts, height) = (draw.between(0.3, 2.0), draw.between(0.03, 0.15));
        draft.add(
            |hour| if hour >= first && (hour - first) % period < lasts { height } else { 0.0 },
        );
    }
    let size = usual(draw, quiet) * 0.5;
    draft.rustle(draw, noise, size);
    draft
}

/// What is done leaks: the more is done, the more.
fn by_load(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 0.8, 8.0);
    let weekend = draw.between(0.2, 1.0);
    let mut draft = worked(draw, &line, weekend);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

/// A leak that follows a week's load; the load is recorded, mostly.
fn worked(draw: &mut Draw, line: &Line, weekend: f64) -> Draft {
    let horizon = MOST_HOURS * 8.0;
    let week = Week::new(draw, horizon, weekend);
    let hourly = (0..whole(horizon)).scan(0.0, |sum, hour| {
        *sum += week.at(real(hour));
        Some(*sum)
    });
    let sums: Vec<f64> = std::iter::once(0.0).chain(hourly).collect();
    let scale = line.per_hour * horizon / sums.last().copied().unwrap_or(1.0);
    let done = |hour: f64| {
        let before = sums.get(whole(hour)).or(sums.last()).copied().unwrap_or_default();
        let after = sums.get(whole(hour) + 1).copied().unwrap_or(before);
        before + (after - before) * hour.fract()
    };
    let beyond = |hour: f64| done(hour) * scale + line.per_hour * (hour - horizon).max(0.0);
    let limit_at = reaches(0.0, |hour| line.start + beyond(hour));
    let mut draft = drafted(draw, 0.0, line.per_hour, limit_at);
    draft.leak(|hour| line.start + beyond(hour));
    if draw.chance(0.6) {
        draft.works(draw, |hour| 0.05 + week.at(hour));
    }
    draft
}

fn log(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut line = Line::new(draw, 0.5, 10.0);
    line.start *= 0.5;
    let weekend = draw.between(0.2, 1.0);
    let mut draft = worked(draw, &line, weekend);
    draft.resource = Resource::Log;
    draft.rustle(draw, noise, 0.0002 * quiet);
    draft
}

/// Something goes wrong now and then, and leaks while it does.
fn in_fits(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut line = Line::new(draw, 1.0, 8.0);
    line.start *= 0.7;
    let days = (1.0 - line.start) / line.per_hour / 24.0;
    let each = draw.between(0.6, 3.0) * 24.0 * (days / 30.0).min(1.0);
    let (mut hour, mut height, mut fits) = (0.0, line.start, Vec::new());
    while height < 1.0 {
        hour += each * draw.between(0.5, 1.5);
        let (lasts, size) =
            (each * draw.between(0.05, 0.3), line.per_hour * each * draw.between(0.5, 1.5));
        fits.push((hour, lasts, size));
        height += size;
    }
    let floor = |hour: f64| {
        let part = |(begins, lasts, size): &(f64, f64, f64)| {
            size * ((hour - begins) / lasts).clamp(0.0, 1.0)
        };
        line.start + fits.iter().map(part).sum::<f64>()
    };
    let limit_at = reaches(0.0, floor);
    let mut draft = drafted(draw, 0.0, (1.0 - line.start) / limit_at, limit_at);
    draft.leak(floor);
    let size = usual(draw, quiet) * 0.5;
    draft.rustle(draw, noise, size);
    draft
}

/// No day leaks as much as another.
fn moody(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 0.6, 6.0);
    let (days, mood) =
        (whole((1.0 - line.start) / line.per_hour / 24.0) + 2, draw.between(0.2, 0.9));
    let daily = (0..days * 8)
        .map(|n| (24.0 * real(n), 24.0 * line.per_hour * (1.0 + draw.between(-mood, mood))));
    let daily: Vec<_> = daily.collect();
    let before = Stairs::new(daily.iter().copied());
    let floor = |hour: f64| {
        let today = daily.get(whole(hour / 24.0)).map_or(24.0 * line.per_hour, |day| day.1);
        line.start + before.at(hour) - today * (1.0 - hour / 24.0 % 1.0)
    };
    let limit_at = reaches(0.0, floor);
    let mut draft = drafted(draw, 0.0, (1.0 - line.start) / limit_at, limit_at);
    draft.leak(floor);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

/// Somebody finds it, and deploys without it.
fn mended(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 2.0, 15.0);
    let limit_at = (1.0 - line.start) / line.per_hour;
    let until = (limit_at * draw.between(0.3, 0.85)).min(MOST_HOURS * 0.7);
    let hours = (until + 24.0 * draw.between(2.0, 10.0)).min(MOST_HOURS);
    let mut draft = Draft::over(draw, hours);
    draft.leak(|hour| line.start + if hour < until { line.per_hour * hour } else { 0.0 });
    let lives = vec![(0.0, limit_at)];
    draft.leak = Some(Plan { since: 0.0, until: Some(until), per_hour: line.per_hour, lives });
    draft.fits = &[Verdict::Steady, Verdict::Cyclic, Verdict::LevelShift, Verdict::WarmUp];
    if draw.chance(0.7) {
        draft.begins.push(until);
    }
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

/// Some of them also rise and fall with the day, by this share of the limit at most.
fn perhaps_by_day(draw: &mut Draw, draft: &mut Draft, chance: f64, weekend: f64, most: f64) {
    let hours = draft.hours.last().copied().unwrap_or_default();
    if draw.chance(chance) {
        let (week, height) = (Week::new(draw, hours, weekend), draw.between(0.01, most));
        draft.add(|hour| height * week.at(hour));
    }
}

fn descriptors(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = Line::new(draw, 0.8, 40.0).draft(draw, 0.0);
    draft.resource = Resource::Fds;
    perhaps_by_day(draw, &mut draft, 0.5, 0.6, 0.1);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn threads(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut line = Line::new(draw, 0.8, 40.0);
    line.start *= 0.4;
    let mut draft = line.draft(draw, 0.0);
    draft.resource = if draw.chance(0.5) { Resource::Threads } else { Resource::Children };
    let size = usual(draw, quiet) * 0.5;
    draft.rustle(draw, noise, size);
    draft
}

/// Files of very different sizes that nobody removes.
fn tmpfs(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 0.8, 10.0);
    let lump = line.per_hour * draw.wide(0.2, 6.0);
    let (mut hour, mut height, mut steps) = (0.0, line.start, Vec::new());
    while height < 1.0 {
        hour += -(1.0 - draw.unit()).ln() * lump / line.per_hour;
        let size = -(1.0 - draw.unit()).ln() * lump;
        steps.push((hour, size));
        height += size;
    }
    let stairs = Stairs::new(steps);
    let limit_at = reaches(0.0, |hour| line.start + stairs.at(hour));
    let mut draft = drafted(draw, 0.0, (1.0 - line.start) / limit_at, limit_at);
    draft.leak(|hour| line.start + stairs.at(hour));
    draft.resource = Resource::Shmem;
    draft.rustle(draw, noise, 0.0005 * quiet);
    draft
}

fn slab(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut line = Line::new(draw, 0.5, 8.0);
    line.start *= 0.4;
    let mut draft = line.draft(draw, 0.0);
    draft.resource = Resource::SlabUnreclaimable;
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn warm_then_creep(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = creep(draw, noise, quiet);
    let start = draft.floor.first().copied().unwrap_or_default();
    let (height, pace) = (start * draw.between(0.3, 0.9), draw.wide(0.2, 12.0));
    draft.add(|hour| -height * (-hour / pace).exp());
    draft.fresh = true;
    if draw.chance(0.4) {
        teeth(draw, &mut draft, 3.0);
    }
    // It starts lower, not ends higher: the floor meets the limit when the line does.
    draft
}

fn late(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let line = Line::new(draw, 1.5, 20.0);
    let since = draw.between(24.0, 240.0);
    let mut draft = line.draft(draw, since);
    if draw.chance(0.5) {
        // The deploy that brought it.
        draft.begins.push(since);
    }
    perhaps_by_day(draw, &mut draft, 0.4, 1.0, 0.08);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn percents(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = Line::new(draw, 0.8, 8.0).draft(draw, 0.0);
    draft.grain = Grain::Percent;
    perhaps_by_day(draw, &mut draft, 0.4, 1.0, 0.08);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn gapped(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let all: &[Make] = &[creep, collected, daily];
    let mut draft = one_of(draw, all)(draw, noise, quiet);
    draft.gaps = draw.between(0.08, 0.3);
    draft
}

fn accelerating(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let power = draw.between(1.2, 2.0);
    let line = Line::new(draw, 1.0, 8.0);
    let limit_at = ((1.0 - line.start) / line.per_hour).min(MOST_HOURS * 1.5);
    let floor = |hour: f64| line.start + (1.0 - line.start) * (hour / limit_at).powf(power);
    let mut draft = drafted(draw, 0.0, (1.0 - line.start) / limit_at, limit_at);
    draft.leak(floor);
    let size = usual(draw, quiet);
    draft.rustle(draw, noise, size);
    draft
}

fn bursty(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = creep(draw, noise, quiet);
    let hours = draft.hours.last().copied().unwrap_or_default();
    let (period, lasts) = (draw.one_of(&[24.0, 12.0, 6.0, 1.0]), draw.between(0.1, 1.5));
    let (visits, height) =
        (Visits::new(draw, hours, period, lasts.min(period / 3.0)), draw.between(0.05, 0.25));
    draft.add(|hour| height * visits.at(hour));
    draft
}
