//! Owners of one life of whom nobody may be accused.

use highwater_core::growth::{Resource, Verdict};

use super::super::draft::{Draft, Grain, MOST_HOURS};
use super::super::draw::{Draw, real, whole};
use super::super::noise::Noise;
use super::super::shapes::{Stairs, Teeth, Visits, Week};
use super::{Make, one_of};

/// Every family of them.
pub(super) const ALL: [(&str, Make); 27] = [
    ("steady", steady),
    ("collected, flat floor", collected),
    ("collected in two ways", generations),
    ("lazy heap", lazy_heap),
    ("warm-up", warm_up),
    ("LRU fill", lru),
    ("quick fill", quick_fill),
    ("by day and night", daily),
    ("by week", weekly),
    ("cron", cron),
    ("level shift", shift),
    ("slow step", slow_step),
    ("wandering", wandering),
    ("random walk", walk),
    ("steady in percents", percents),
    ("steady with gaps", gapped),
    ("ever more load", more_load),
    ("descriptors by load", descriptors),
    ("thread pool", pool),
    ("page cache", page_cache),
    ("dentries", dentries),
    ("burst", burst),
    ("log, rotated", rotated),
    ("long jobs", jobs),
    ("keeps its peak", keeps),
    ("crumbles", crumbles),
    ("a trifle", trifle),
];

const STEADY: &[Verdict] = &[Verdict::Steady];
const TURNING: &[Verdict] = &[Verdict::Steady, Verdict::Cyclic];
const FILLING: &[Verdict] = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift];
const STEPPING: &[Verdict] = &[Verdict::LevelShift, Verdict::Steady];
const TAKEN_BACK: &[Verdict] = &[Verdict::Cache];
/// A walk may look like anything but a leak.
const ANYTHING: &[Verdict] = &[
    Verdict::Steady,
    Verdict::Cyclic,
    Verdict::WarmUp,
    Verdict::LevelShift,
    Verdict::Growing,
    Verdict::Burst,
];

/// A level with noise, for one day to thirty.
fn level(draw: &mut Draw, noise: &Noise, quiet: f64, top: f64) -> Draft {
    let hours = draw.wide(24.0, MOST_HOURS);
    of_hours(draw, noise, quiet, hours, top)
}

fn of_hours(draw: &mut Draw, noise: &Noise, quiet: f64, hours: f64, top: f64) -> Draft {
    let mut draft = Draft::over(draw, hours);
    let at = draw.between(0.1, top);
    draft.add(|_| at);
    let size = draw.wide(0.0008, 0.04) * quiet;
    draft.rustle(draw, noise, size);
    draft.fits = STEADY;
    draft
}

fn hours_of(draft: &Draft) -> f64 {
    draft.hours.last().copied().unwrap_or_default()
}

pub(super) fn steady(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    level(draw, noise, quiet, 0.9)
}

fn collected(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.45);
    let hours = hours_of(&draft);
    let period = draw.wide(0.05, 8.0);
    // Rare collections of much cannot be told from the end that is coming.
    let most = if period > 1.0 { 0.25 } else { 0.5 };
    let (uneven, height) = (draw.between(0.0, 0.9), draw.between(0.05, most));
    let teeth = Teeth::new(draw, hours, period, uneven);
    draft.add(|hour| height * teeth.at(hour));
    draft.fits = TURNING;
    draft
}

/// Small collections often, and a great one now and then.
fn generations(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.4);
    let hours = hours_of(&draft);
    let period = draw.wide(1.0, 10.0);
    let (minor, major) =
        (Teeth::new(draw, hours, period / 20.0, 0.3), Teeth::new(draw, hours, period, 0.5));
    let (small, great) = (draw.between(0.02, 0.15), draw.between(0.05, 0.2));
    draft.add(|hour| small * minor.at(hour) + great * major.at(hour));
    draft.fits = TURNING;
    draft
}

/// A heap that takes more only when it must, ever more rarely, and keeps it.
fn lazy_heap(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.4);
    let hours = hours_of(&draft);
    let (mut next, stretch) = (hours * draw.wide(0.002, 0.05), draw.between(1.5, 2.5));
    let (mut height, shrink) = (draw.between(0.05, 0.2), draw.between(0.5, 0.8));
    let mut steps = Vec::new();
    while next < hours {
        steps.push((next, height));
        next *= stretch;
        height *= shrink;
    }
    let stairs = Stairs::new(steps);
    let (teeth, tooth) = (Teeth::new(draw, hours, 0.5, 0.5), draw.between(0.0, 0.03));
    draft.add(|hour| stairs.at(hour) + tooth * teeth.at(hour));
    draft.fresh = true;
    draft.fits = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift, Verdict::Growing];
    draft
}

fn warm_up(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let pace = draw.wide(0.2, 100.0);
    let hours = (pace * draw.between(4.0, 12.0)).clamp(24.0, MOST_HOURS);
    let mut draft = of_hours(draw, noise, quiet, hours, 0.3);
    let height = draw.between(0.1, 0.6);
    draft.add(|hour| height * (1.0 - (-hour / pace).exp()));
    draft.fresh = true;
    draft.fits = FILLING;
    draft
}

/// A cache of the newest: what is asked for again is there already, so it fills ever more slowly.
fn lru(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let full = draw.wide(6.0, 240.0);
    let hours = (full * draw.between(1.5, 4.0)).clamp(24.0, MOST_HOURS);
    let mut draft = of_hours(draw, noise, quiet, hours, 0.3);
    let (height, power) = (draw.between(0.1, 0.6), draw.between(0.3, 0.65));
    draft.add(|hour| height * (hour / full).min(1.0).powf(power));
    draft.fresh = true;
    draft.fits = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift, Verdict::Growing];
    draft
}

/// It is filled at once, at start.
fn quick_fill(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.3);
    let (full, height) = (draw.wide(0.1, 1.5), draw.between(0.1, 0.5));
    draft.add(|hour| height * (hour / full).min(1.0));
    draft.fresh = true;
    draft.fits = FILLING;
    draft
}

fn daily(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.wide(48.0, MOST_HOURS);
    cyclic(draw, noise, quiet, hours, 1.0)
}

fn weekly(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let (hours, weekend) = (draw.between(15.0, 30.0) * 24.0, draw.between(0.0, 0.5));
    cyclic(draw, noise, quiet, hours, weekend)
}

fn cyclic(draw: &mut Draw, noise: &Noise, quiet: f64, hours: f64, weekend: f64) -> Draft {
    let mut draft = of_hours(draw, noise, quiet, hours, 0.45);
    let (week, height) = (Week::new(draw, hours, weekend), draw.between(0.05, 0.4));
    draft.add(|hour| height * week.at(hour));
    if draw.chance(0.4) {
        draft.works(draw, |hour| 0.1 + week.at(hour));
    }
    if draw.chance(0.3) {
        let teeth = Teeth::new(draw, hours, 0.7, 0.5);
        draft.add(|hour| 0.05 * teeth.at(hour));
    }
    draft.fits = TURNING;
    draft
}

fn cron(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.5);
    let hours = hours_of(&draft);
    let period = draw.one_of(&[24.0, 12.0, 6.0, 1.0]);
    let lasts = draw.wide(0.1, 4.0).min(period / 3.0);
    let (visits, height) = (Visits::new(draw, hours, period, lasts), draw.between(0.1, 0.35));
    draft.add(|hour| height * visits.at(hour));
    draft.fits = &[Verdict::Steady, Verdict::Cyclic, Verdict::Burst];
    draft
}

fn shift(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.45);
    let hours = hours_of(&draft);
    let steps =
        (0..=draw.place(2)).map(|_| (hours * draw.between(0.15, 0.85), draw.between(0.04, 0.2)));
    let stairs = Stairs::new(steps.collect::<Vec<_>>());
    draft.add(|hour| stairs.at(hour));
    draft.fits = STEPPING;
    draft
}

/// Data are loaded, clients move over: to another level within hours.
fn slow_step(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.45);
    let hours = hours_of(&draft);
    let (begins, lasts) = (hours * draw.between(0.3, 0.8), draw.wide(0.3, 4.0));
    let height = draw.between(0.05, 0.2);
    draft.add(|hour| height * ((hour - begins) / lasts).clamp(0.0, 1.0));
    draft.fits = STEPPING;
    draft
}

/// It wanders, and comes back within hours or days.
fn wandering(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.wide(72.0, MOST_HOURS);
    let back = draw.wide(3.0, (hours / 6.0).min(72.0));
    stroll(draw, noise, quiet, hours, back)
}

/// It never comes back but by chance.
fn walk(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.wide(72.0, MOST_HOURS);
    stroll(draw, noise, quiet, hours, hours * 5.0)
}

fn stroll(draw: &mut Draw, noise: &Noise, quiet: f64, hours: f64, back: f64) -> Draft {
    let mut draft = of_hours(draw, noise, quiet, hours, 0.5);
    let count = draft.hours.len();
    let step = hours / real(count);
    // The spread at the end is what was drawn, whether it comes back or not.
    let reach = draw.between(0.02, 0.1) / (back.min(hours)).sqrt();
    let middle = 0.15;
    let mut off = 0.0_f64;
    draft.add(|_| {
        off += reach * step.sqrt() * draw.normal() - off * step / back;
        off = off.clamp(-middle, 0.35);
        middle + off
    });
    draft.fits = ANYTHING;
    draft
}

fn percents(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let all: &[Make] = &[steady, daily, collected, cron];
    let mut draft = one_of(draw, all)(draw, noise, quiet);
    draft.grain = Grain::Percent;
    draft
}

fn gapped(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let all: &[Make] = &[steady, daily, collected, wandering];
    let mut draft = one_of(draw, all)(draw, noise, quiet);
    draft.gaps = draw.between(0.08, 0.3);
    draft
}

/// Business grows, and memory with it: the load says so.
fn more_load(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(6.0, 30.0) * 24.0;
    let mut draft = of_hours(draw, noise, quiet, hours, 0.25);
    let (week, height) = (Week::new(draw, hours, 0.7), draw.between(0.1, 0.3));
    let more = draw.between(0.3, 1.5) / hours;
    let load = |hour: f64| (0.4 + 0.6 * week.at(hour)) * (1.0 + more * hour);
    draft.add(|hour| height * load(hour));
    draft.works(draw, load);
    draft.fits = &[Verdict::Growing, Verdict::Steady, Verdict::Cyclic];
    draft
}

fn descriptors(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = daily(draw, noise, quiet);
    draft.resource = Resource::Fds;
    draft
}

/// A pool of threads grows to its size, and gives some back when nothing is to be done.
fn pool(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet * 0.5, 0.2);
    let hours = hours_of(&draft);
    let (pace, height) = (draw.wide(0.2, 12.0), draw.between(0.05, 0.3));
    let (week, breath) = (Week::new(draw, hours, 0.5), draw.between(0.0, 0.05));
    draft.add(|hour| height * (1.0 - (-hour / pace).exp()) + breath * week.at(hour));
    draft.resource = Resource::Threads;
    draft.fresh = true;
    draft.fits = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift, Verdict::Cyclic];
    draft
}

/// The kernel's cache fills what is free, and gives it back by pieces.
fn page_cache(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.2);
    let hours = hours_of(&draft);
    let (full, top) = (hours * draw.wide(0.05, 1.5), draw.between(0.5, 0.75));
    let period = hours / draw.between(8.0, 40.0);
    let teeth = Teeth::new(draw, hours, period, 0.8);
    draft.add(|hour| top * (hour / full).min(1.0) * (1.0 - 0.15 * teeth.at(hour)));
    draft.resource = Resource::Cache;
    draft.fits = TAKEN_BACK;
    draft
}

/// Each night a job walks through all files; their names stay in the kernel.
fn dentries(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.2);
    let hours = hours_of(&draft);
    let nights = whole(hours / 24.0) + 1;
    let steps =
        (0..nights).map(|n| (24.0 * real(n) + draw.between(3.0, 4.0), draw.between(0.005, 0.02)));
    let stairs = Stairs::new(steps.collect::<Vec<_>>());
    draft.add(|hour| stairs.at(hour).min(0.6));
    draft.resource = Resource::SlabReclaimable;
    draft.fits = TAKEN_BACK;
    draft
}

fn burst(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.5);
    let hours = hours_of(&draft);
    for _ in 0..=draw.place(3) {
        let (begins, lasts) = (hours * draw.between(0.1, 0.95), draw.wide(0.05, 2.0));
        let height = draw.between(0.1, 0.4);
        draft.add(|hour| if (begins..begins + lasts).contains(&hour) { height } else { 0.0 });
    }
    draft.fits = &[Verdict::Steady, Verdict::Burst];
    draft
}

fn rotated(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(4.0, 30.0) * 24.0;
    let mut draft = of_hours(draw, noise, quiet * 0.1, hours, 0.5);
    let period = draw.one_of(&[24.0, 24.0, 12.0, 6.0, 1.0]);
    let (height, at) = (draw.between(0.03, 0.2), draw.between(0.0, period));
    draft.add(|hour| height * ((hour + at) % period) / period);
    draft.resource = Resource::Log;
    draft.fits = TURNING;
    draft
}

/// An allocator that gives nothing back: what it holds is the most that was ever needed at once.
fn keeps(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(3.0, 30.0) * 24.0;
    let mut draft = of_hours(draw, noise, quiet * 0.3, hours, 0.3);
    let (weekend, height, shaky) =
        (draw.between(0.3, 1.0), draw.between(0.1, 0.4), draw.between(0.02, 0.15));
    let week = Week::new(draw, hours, weekend);
    let need = noise.take(draw, draft.hours.len(), shaky);
    let mut most = 0.0_f64;
    let mut need = need.into_iter();
    draft.add(|hour| {
        most = most.max(week.at(hour) * (1.0 + need.next().unwrap_or_default().max(-0.5)));
        height * most
    });
    draft.fits = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift, Verdict::Growing];
    draft
}

/// A heap falls to crumbs: it grows with the logarithm of its age.
fn crumbles(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet * 0.5, 0.3);
    let (early, hours) = (draw.wide(0.1, 4.0), hours_of(&draft));
    let height = draw.between(0.05, 0.3) / (1.0 + hours / early).ln();
    draft.add(|hour| height * (1.0 + hour / early).ln());
    draft.fresh = true;
    draft.fits = &[Verdict::WarmUp, Verdict::Steady, Verdict::LevelShift, Verdict::Growing];
    draft
}

/// It grows, straight and without end, and so little that nobody need ever act.
fn trifle(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(7.0, 30.0) * 24.0;
    let mut draft = of_hours(draw, noise, quiet * 0.1, hours, 0.6);
    let a_month = draw.wide(0.0003, 0.006);
    draft.add(|hour| a_month * hour / MOST_HOURS);
    draft.fits = ANYTHING;
    draft
}

/// A job collects what it works on for hours, and lets go of it.
fn jobs(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(3.0, 30.0) * 24.0;
    let mut draft = of_hours(draw, noise, quiet, hours, 0.4);
    let (period, lasts) = (draw.between(12.0, 48.0), draw.between(1.0, 8.0));
    // Faster, and an operator would be right to be afraid.
    let height = draw.between(0.05, 0.2_f64.min(lasts / 24.0 * 0.6 + 0.05));
    let first = draw.between(6.0, period);
    draft.add(|hour| {
        let into = (hour - first).rem_euclid(period);
        if hour > first && into < lasts { height * into / lasts } else { 0.0 }
    });
    draft.fits = &[Verdict::Steady, Verdict::Cyclic, Verdict::Burst];
    draft
}
