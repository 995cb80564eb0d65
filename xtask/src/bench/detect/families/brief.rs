//! Owners who are seen for minutes only, at the pace at which one looks at what has just begun.
//!
//! Who loads data in a straight line for longer than a quarter of an hour, or up to the limit, is not
//! made: nobody could tell him from a leak.

use highwater_core::growth::{Resource, Verdict};

use super::super::draft::{Draft, Plan};
use super::super::draw::Draw;
use super::super::noise::Noise;
use super::super::shapes::{Teeth, reaches};
use super::Make;

/// Those that leak.
pub(super) const LEAKS: [(&str, Make); 3] = [
    ("brief: leak", memory),
    ("brief: descriptors leak", descriptors),
    ("brief: threads leak", threads),
];

/// Those that do not.
pub(super) const CALM: [(&str, Make); 8] = [
    ("brief: collected", collected),
    ("brief: start-up", start_up),
    ("brief: heap expands", expands),
    ("brief: cache warms", warms),
    ("brief: load by minutes", by_load),
    ("brief: loads data", loads),
    ("brief: ramps", ramps),
    ("brief: descriptors", pool),
];

const MINUTE: f64 = 1.0 / 60.0;
/// Whoever is well may be called anything that is no accusation: there is little to go by.
const ANYTHING: &[Verdict] = &[
    Verdict::Steady,
    Verdict::WarmUp,
    Verdict::LevelShift,
    Verdict::Burst,
    Verdict::Growing,
    Verdict::Cyclic,
];

/// A level with noise, for twenty minutes to an hour and a half.
fn level(draw: &mut Draw, noise: &Noise, quiet: f64, top: f64) -> Draft {
    let hours = draw.wide(20.0, 90.0) * MINUTE;
    let mut draft = Draft::brief(draw, hours);
    let at = draw.wide(0.005, top);
    draft.add(|_| at);
    let size = draw.wide(0.0005, 0.01) * quiet;
    draft.rustle(draw, noise, size);
    draft.fresh = draw.chance(0.7);
    draft.fits = ANYTHING;
    draft
}

/// To its limit within a quarter of an hour to an hour and a half; from the first minute or after a while.
fn memory(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let start = draw.wide(0.005, 0.2);
    let lasts = draw.wide(16.0, 90.0) * MINUTE;
    let since = if draw.chance(0.6) { 0.0 } else { draw.between(1.0, 20.0) * MINUTE };
    let per_hour = (1.0 - start) / lasts;
    let floor = |hour: f64| start + per_hour * (hour - since).max(0.0);
    let limit_at = reaches(since, floor);
    let mut draft = Draft::brief(draw, limit_at * 1.02);
    draft.leak = Some(Plan { since, until: None, per_hour, lives: vec![(0.0, limit_at)] });
    draft.fits = &[Verdict::Leak];
    draft.leak(floor);
    draft.fresh = since <= 0.0;
    if draw.chance(0.4) {
        let (period, height) = (draw.wide(2.0, 60.0) / 3600.0, draw.wide(0.005, 0.08) * quiet);
        let teeth = Teeth::new(draw, limit_at * 1.02, period, 0.5);
        draft.add(|hour| height * teeth.at(hour));
    }
    let size = draw.wide(0.0003, 0.01) * quiet;
    draft.rustle(draw, noise, size);
    draft
}

fn descriptors(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = memory(draw, noise, quiet);
    draft.resource = Resource::Fds;
    draft
}

fn threads(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = memory(draw, noise, quiet);
    draft.resource = if draw.chance(0.5) { Resource::Threads } else { Resource::Children };
    draft
}

/// Collections every second to every minute.
fn collected(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.3);
    let hours = hours_of(&draft);
    let (period, height) = (draw.wide(1.0, 90.0) / 3600.0, draw.between(0.02, 0.5));
    let uneven = draw.unit();
    let teeth = Teeth::new(draw, hours, period, uneven);
    draft.add(|hour| height * teeth.at(hour));
    draft
}

/// Code and pools within seconds, then nothing more.
fn start_up(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.1);
    let (lasts, height) = (draw.wide(2.0, 180.0) / 3600.0, draw.between(0.05, 0.6));
    draft.add(|hour| height * (hour / lasts).min(1.0));
    draft.fresh = true;
    draft
}

/// A heap grows until it is collected for the first time, some more after each of the next ones, and
/// is then what it is.
fn expands(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.05);
    let hours = hours_of(&draft);
    let (first, height) = (draw.wide(0.2, 9.0) * MINUTE, draw.between(0.1, 0.6));
    let (period, kept) = (first * draw.between(0.3, 1.0), draw.between(0.1, 0.6));
    let teeth = Teeth::new(draw, hours, period, 0.4);
    draft.add(|hour| {
        let settled = height * (kept + 0.1 * (1.0 - (-(hour - first) / (first * 2.0)).exp()));
        if hour < first { height * hour / first } else { settled + height * 0.3 * teeth.at(hour) }
    });
    draft.fresh = true;
    draft
}

fn warms(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.1);
    let (pace, height) = (draw.wide(0.3, 20.0) * MINUTE, draw.between(0.1, 0.7));
    if draw.chance(0.5) {
        draft.add(|hour| height * (1.0 - (-hour / pace).exp()));
    } else {
        let (full, power) = (pace * 3.0, draw.between(0.3, 0.65));
        draft.add(|hour| height * (hour / full).min(1.0).powf(power));
    }
    draft.fresh = true;
    draft
}

/// Requests come and go by minutes.
fn by_load(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.2);
    let (period, height) = (draw.wide(0.5, 16.0) * MINUTE, draw.between(0.05, 0.6));
    let (phase, sharp) = (draw.unit(), draw.between(0.6, 2.0));
    let wave = |hour: f64| {
        let turn = (hour / period + phase) * std::f64::consts::TAU;
        (0.5 - 0.5 * turn.cos()).powf(sharp)
    };
    draft.add(|hour| height * wave(hour));
    if draw.chance(0.5) {
        draft.works(draw, |hour| 0.1 + wave(hour));
    }
    draft
}

/// A job loads what it works on for some minutes, works on it, and lets go of it.
fn loads(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.1);
    let begins = if draw.chance(0.6) { 0.0 } else { draw.between(1.0, 10.0) * MINUTE };
    let (loading, working) = (draw.wide(2.0, 10.0) * MINUTE, draw.wide(1.0, 60.0) * MINUTE);
    let height = draw.between(0.1, 0.65);
    draft.add(|hour| {
        let into = hour - begins;
        if into > loading + working { 0.0 } else { height * (into / loading).clamp(0.0, 1.0) }
    });
    draft.fresh = begins <= 0.0;
    draft
}

/// Memory is taken by ramps of seconds to minutes, held for a while, and given back.
fn ramps(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = level(draw, noise, quiet, 0.1);
    let hours = hours_of(&draft);
    let (mut begins, mut all) = (0.0, Vec::new());
    while begins < hours {
        let (rises, holds) = (draw.wide(0.02, 2.0) * MINUTE, draw.wide(0.05, 4.0) * MINUTE);
        all.push((begins, rises, holds, draw.between(0.02, 0.5)));
        begins += (rises + holds) * draw.between(0.3, 1.5);
    }
    let part = |hour: f64, (begins, rises, holds, height): &(f64, f64, f64, f64)| {
        let into = hour - begins;
        if into < 0.0 || into > rises + holds { 0.0 } else { height * (into / rises).min(1.0) }
    };
    draft.add(|hour| all.iter().map(|ramp| part(hour, ramp)).sum::<f64>().min(0.85));
    draft
}

/// Clients come within minutes, and stay.
fn pool(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = warms(draw, noise, quiet);
    draft.resource = if draw.chance(0.5) { Resource::Fds } else { Resource::Threads };
    draft
}

fn hours_of(draft: &Draft) -> f64 {
    draft.hours.last().copied().unwrap_or_default()
}
