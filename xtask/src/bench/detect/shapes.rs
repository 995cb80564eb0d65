//! Shapes that courses are put together from. Time is in hours, height in parts of the ceiling.

use std::f64::consts::TAU;

use super::draw::{Draw, real, whole};

/// A sawtooth: rises steadily, falls at each collection.
#[derive(Debug)]
pub(super) struct Teeth {
    teeth: Vec<Tooth>,
    bent: f64,
}

#[derive(Debug)]
struct Tooth {
    begins: f64,
    lasts: f64,
    height: f64,
}

impl Teeth {
    /// Teeth of about this `period`, each somewhat (`uneven`, 0 to 1) longer or higher than another.
    pub(super) fn new(draw: &mut Draw, hours: f64, period: f64, uneven: f64) -> Self {
        let mut begins = -period * draw.unit();
        let mut teeth = Vec::new();
        while begins < hours {
            let lasts = period * (1.0 + uneven * draw.between(-0.6, 0.6));
            teeth.push(Tooth { begins, lasts, height: 1.0 + uneven * draw.between(-0.5, 0.5) });
            begins += lasts;
        }
        Self { teeth, bent: draw.between(0.6, 1.5) }
    }

    /// Between 0 and about 1.
    pub(super) fn at(&self, hour: f64) -> f64 {
        let next = self.teeth.partition_point(|tooth| tooth.begins <= hour);
        let tooth = next.checked_sub(1).and_then(|last| self.teeth.get(last));
        let part = |tooth: &Tooth| ((hour - tooth.begins) / tooth.lasts).min(1.0).powf(self.bent);
        tooth.map_or(0.0, |tooth| tooth.height * part(tooth))
    }
}

/// What people ask of a service, by day and week.
#[derive(Debug)]
pub(super) struct Week {
    phase: f64,
    sharp: f64,
    evening: f64,
    weekend: f64,
    first_day: usize,
    days: Vec<f64>,
}

impl Week {
    /// A daily load; every seventh and sixth day has only `weekend` of it.
    pub(super) fn new(draw: &mut Draw, hours: f64, weekend: f64) -> Self {
        let uneven = draw.between(0.02, 0.2);
        let days =
            (0..=whole(hours / 24.0) + 1).map(|_| 1.0 + draw.between(-uneven, uneven)).collect();
        let (phase, sharp) = (draw.between(0.0, 24.0), draw.between(0.7, 3.0));
        // Some services are wanted in the morning and again in the evening.
        let evening = if draw.chance(0.3) { draw.between(0.2, 0.6) } else { 0.0 };
        Self { phase, sharp, evening, weekend, first_day: draw.place(7), days }
    }

    /// Between 0 and about 1.
    pub(super) fn at(&self, hour: f64) -> f64 {
        let shifted = hour + self.phase;
        let today = whole(shifted / 24.0);
        let bell = |turns: f64| 0.5 - 0.5 * (TAU * turns * shifted / 24.0).cos();
        let wave = ((1.0 - self.evening) * bell(1.0) + self.evening * bell(2.0)).powf(self.sharp);
        let part = if (today + self.first_day) % 7 >= 5 { self.weekend } else { 1.0 };
        wave * part * self.days.get(today % self.days.len().max(1)).unwrap_or(&1.0)
    }
}

/// Steps: something is added, and stays.
#[derive(Debug, Default)]
pub(super) struct Stairs(Vec<(f64, f64)>);

impl Stairs {
    /// A step at each of these hours, by each of these heights.
    pub(super) fn new(steps: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut steps: Vec<_> = steps.into_iter().collect();
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut height = 0.0;
        for step in &mut steps {
            height += step.1;
            step.1 = height;
        }
        Self(steps)
    }

    /// All that was added until then.
    pub(super) fn at(&self, hour: f64) -> f64 {
        let next = self.0.partition_point(|step| step.0 <= hour);
        next.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0.0, |step| step.1)
    }
}

/// Short visits to a higher level: a job of cron, a report, a backup.
#[derive(Debug)]
pub(super) struct Visits(Vec<(f64, f64, f64)>);

impl Visits {
    /// One each `period`, about `lasts` long.
    pub(super) fn new(draw: &mut Draw, hours: f64, period: f64, lasts: f64) -> Self {
        let first = draw.between(0.0, period);
        let count = whole((hours - first) / period) + 1;
        let visits = (0..count).map(|n| {
            let begins = first + period * real(n) + period * draw.between(-0.01, 0.01);
            (begins, begins + lasts * draw.between(0.6, 1.5), draw.between(0.6, 1.2))
        });
        Self(visits.collect())
    }

    /// 0, or about 1 during a visit.
    pub(super) fn at(&self, hour: f64) -> f64 {
        let next = self.0.partition_point(|visit| visit.0 <= hour);
        let visit = next.checked_sub(1).and_then(|last| self.0.get(last));
        visit.map_or(0.0, |(_, until, height)| if hour < *until { *height } else { 0.0 })
    }
}

/// When something steadily growing reaches 1; it must grow.
pub(super) fn reaches(from: f64, floor: impl Fn(f64) -> f64) -> f64 {
    /// No leak that is made takes longer.
    const TEN_YEARS: f64 = 87_600.0;
    let (mut below, mut above) = (from, TEN_YEARS);
    for _ in 0..80 {
        let middle = f64::midpoint(below, above);
        if floor(middle) < 1.0 {
            below = middle;
        } else {
            above = middle;
        }
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teeth_begin_at_the_floor_and_never_leave_their_height() {
        let teeth = Teeth::new(&mut Draw::of(3, 0), 100.0, 2.0, 0.5);
        let all: Vec<f64> = (0..1000).map(|n| teeth.at(f64::from(n) / 10.0)).collect();
        assert!(all.iter().all(|height| (0.0..1.6).contains(height)));
        assert!(all.iter().filter(|height| **height < 0.15).count() > 40);
    }

    #[test]
    fn a_week_has_days_and_weekends() {
        let week = Week::new(&mut Draw::of(3, 0), 24.0 * 28.0, 0.0);
        let day = |n: u32| {
            (0..24).map(|hour| week.at(f64::from(n * 24 + hour) - week.phase + 24.0)).sum::<f64>()
        };
        let idle = (0..21).filter(|n| day(*n) < 0.01).count();
        assert_eq!(idle, 6);
    }

    #[test]
    fn stairs_keep_what_was_added() {
        let stairs = Stairs::new([(2.0, 0.5), (1.0, 0.25)]);
        assert_eq!(
            [0.0, 1.0, 2.0, 9.0].map(|hour| stairs.at(hour).to_bits()),
            [0.0_f64, 0.25, 0.75, 0.75].map(f64::to_bits)
        );
    }

    #[test]
    fn visits_end() {
        let visits = Visits::new(&mut Draw::of(1, 1), 240.0, 24.0, 1.0);
        let busy = (0..2400).filter(|n| visits.at(f64::from(*n) / 10.0) > 0.0).count();
        assert!((50..170).contains(&busy), "{busy}");
    }

    #[test]
    fn a_line_reaches_its_limit_where_it_must() {
        assert!((reaches(0.0, |hour| 0.5 + hour / 200.0) - 100.0).abs() < 1e-6);
    }
}
