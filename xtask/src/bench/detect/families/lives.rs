//! Owners of several lives: those that die of a leak, or are restarted before, and those that are well.

use highwater_core::growth::Verdict;

use super::super::draft::{Draft, MOST_HOURS, Plan};
use super::super::draw::{Draw, real};
use super::super::noise::Noise;
use super::super::shapes::{Teeth, Week};
use super::Make;

/// Those that leak.
pub(super) const LEAKS: [(&str, Make); 3] =
    [("dies of it", dies), ("restarted in time", rescued), ("deployed ever again", deployed)];

/// Those that do not.
pub(super) const CALM: [(&str, Make); 4] = [
    ("restarts", restarts),
    ("deploys", deploys),
    ("bigger deploys", bigger),
    ("restarts, unnoticed", unnoticed),
];

/// Lives as drawn: for each, when it begins and ends, and what is different about it.
struct Lives(Vec<(f64, f64, f64)>);

impl Lives {
    /// As many as fit, of about this length.
    fn new(draw: &mut Draw, hours: f64, length: f64, uneven: f64) -> Self {
        let (mut begins, mut lives) = (0.0, Vec::new());
        while begins < hours {
            let ends = begins + length * (1.0 + uneven * draw.between(-1.0, 1.0));
            lives.push((begins, ends, draw.normal()));
            begins = ends;
        }
        Self(lives)
    }

    /// The life of that hour: its age in it, and what is different about it.
    fn at(&self, hour: f64) -> (f64, f64) {
        let next = self.0.partition_point(|life| life.0 <= hour);
        let life = next.checked_sub(1).and_then(|last| self.0.get(last));
        life.map_or((0.0, 0.0), |life| (hour - life.0, life.2))
    }

    fn begins(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|life| life.0)
    }
}

/// Each life ends at the limit.
fn dies(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let length = draw.wide(2.0, 40.0);
    let count = draw.between(5.0, 16.0);
    let uneven = draw.between(0.02, 0.25);
    leaking(draw, noise, quiet, (length, count, uneven), 1.0)
}

/// A watchdog restarts it before.
fn rescued(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let length = draw.wide(6.0, 48.0);
    let count = draw.between(5.0, 14.0);
    let ends_at = draw.between(0.5, 0.9);
    leaking(draw, noise, quiet, (length, count, 0.15), ends_at)
}

/// People deploy as they please, and so hide it.
fn deployed(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let length = draw.wide(16.0, 120.0);
    let count = draw.between(5.0, 12.0);
    let ends_at = draw.between(0.35, 0.7);
    leaking(draw, noise, quiet, (length, count, 0.5), ends_at)
}

/// Lives of `(length, count, unevenness)` that leak, each until about `ends_at` of the ceiling.
fn leaking(
    draw: &mut Draw,
    noise: &Noise,
    quiet: f64,
    shape: (f64, f64, f64),
    ends_at: f64,
) -> Draft {
    let (length, count, uneven) = shape;
    let hours = (length * count).clamp(length * 3.0, MOST_HOURS);
    let start = draw.between(0.08, 0.5) * ends_at;
    let per_hour = (ends_at - start) / length;
    let lives = Lives::new(draw, hours, length, uneven);
    // Who dies at the limit lives longer by leaking less; who is restarted just lives longer.
    let rate = |life: &(f64, f64, f64)| {
        if ends_at < 1.0 {
            per_hour * (1.0 + 0.05 * life.2.clamp(-2.0, 2.0))
        } else {
            (ends_at - start) / (life.1 - life.0)
        }
    };
    let rates: Vec<(f64, f64)> = lives.0.iter().map(|life| (life.0, rate(life))).collect();
    let floor = |hour: f64| {
        let next = rates.partition_point(|life| life.0 <= hour);
        let life = next.checked_sub(1).and_then(|last| rates.get(last));
        life.map_or(start, |(begins, rate)| start + rate * (hour - begins))
    };
    let mut draft = Draft::over(draw, hours);
    draft.leak(floor);
    draft.fits = &[Verdict::Leak];
    let limits = rates.iter().map(|(begins, rate)| (*begins, begins + (1.0 - start) / rate));
    draft.leak = Some(Plan { since: 0.0, until: None, per_hour, lives: limits.collect() });
    let size = draw.wide(0.0008, 0.02) * quiet;
    draft.rustle(draw, noise, size);
    if draw.chance(0.4) {
        let (period, height) = (length / draw.between(10.0, 60.0), draw.between(0.02, 0.1));
        let teeth = Teeth::new(draw, hours, period, 0.5);
        draft.add(|hour| height * teeth.at(hour) - height / 2.0);
    }
    // Who falls short of the limit and is not known to have ended may as well have been collected.
    if ends_at < 1.0 || draw.chance(0.75) {
        draft.begins = lives.begins().collect();
    }
    // Death is the ceiling's: above it there is nothing to see.
    for value in &mut draft.values {
        *value = value.min(0.999);
    }
    draft
}

/// What is well and lives several times: level, warm-up, noise, perhaps days.
fn well(
    draw: &mut Draw,
    noise: &Noise,
    quiet: f64,
    lives: &Lives,
    hours: f64,
    climb: f64,
) -> Draft {
    let mut draft = Draft::over(draw, hours);
    let (level, other) = (draw.between(0.15, 0.6), draw.between(0.0, 0.05));
    let (warm, pace) = (draw.between(0.0, 0.2), draw.wide(0.05, 4.0));
    let total = real(lives.0.len());
    let numbers: Vec<f64> = lives.begins().collect();
    draft.add(|hour| {
        let (age, luck) = lives.at(hour);
        let number = real(numbers.partition_point(|begins| *begins <= hour));
        let own = level * (1.0 + other * luck) + climb * number / total;
        own + warm * (1.0 - (-age / pace).exp())
    });
    if draw.chance(0.4) {
        let (week, height) = (Week::new(draw, hours, 0.7), draw.between(0.01, 0.12));
        draft.add(|hour| height * week.at(hour));
    }
    let size = draw.wide(0.0008, 0.03) * quiet;
    draft.rustle(draw, noise, size);
    draft.begins = numbers;
    draft.fits = &[Verdict::Steady, Verdict::Cyclic, Verdict::WarmUp, Verdict::LevelShift];
    draft
}

fn restarts(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let (length, uneven) = (draw.wide(3.0, 48.0), draw.between(0.0, 0.7));
    let hours = (length * draw.between(4.0, 20.0)).clamp(24.0, MOST_HOURS);
    let lives = Lives::new(draw, hours, length, uneven);
    well(draw, noise, quiet, &lives, hours, 0.0)
}

fn unnoticed(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let mut draft = restarts(draw, noise, quiet);
    draft.begins.clear();
    draft
}

fn deploys(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(5.0, 30.0) * 24.0;
    let length = hours / draw.between(2.0, 9.0);
    let lives = Lives::new(draw, hours, length, 0.6);
    well(draw, noise, quiet, &lives, hours, 0.0)
}

/// Each version needs more than the one before, and stays at that.
fn bigger(draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
    let hours = draw.between(6.0, 30.0) * 24.0;
    let length = hours / draw.between(2.0, 8.0);
    let lives = Lives::new(draw, hours, length, 0.4);
    let climb = draw.between(0.05, 0.25);
    let mut draft = well(draw, noise, quiet, &lives, hours, climb);
    draft.fits =
        &[Verdict::Steady, Verdict::Cyclic, Verdict::WarmUp, Verdict::LevelShift, Verdict::Growing];
    draft
}
