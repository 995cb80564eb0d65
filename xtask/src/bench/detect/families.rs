//! What owners do, by families; of each, some leak and some do not.
//!
//! What nobody could tell apart is not made: a leak that does not stand out of its own noise by
//! [`CLEAR`]; a collection, or a job, so rare and of so much that its beginning looks like the end;
//! a cache that fills in a straight line for hours towards its limit; lives that end short of the
//! limit without anybody knowing that they ended.

mod brief;
mod calm;
mod leaks;
mod lives;

use super::draft::Draft;
use super::draw::{Draw, real, whole};
use super::noise::Noise;
use super::shapes::{Teeth, Visits, Week};
use super::trace::Trace;

/// A leak is a must-find if its floor grows by so many deviations of the floor's own noise while it is seen.
const CLEAR: f64 = 6.0;

/// And by this part of the ceiling: below, nobody would act.
const LEAST_GROWTH: f64 = 0.03;

/// How often a leak is drawn anew, each time with less noise, until it is clear.
const ATTEMPTS: u32 = 12;

/// How a course of a family is made: with this part of the usual noise.
type Make = fn(&mut Draw, &Noise, f64) -> Draft;

/// A family of courses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Its name.
    pub(super) name: &'static str,
    make: Make,
    /// Whether it has but one life, whose begin may be known.
    one_life: bool,
}

/// One of these makings.
fn one_of(draw: &mut Draw, all: &[Make]) -> Make {
    all.get(draw.place(all.len())).copied().unwrap_or(calm::steady)
}

/// Every family, leaks and others by turns, so that any number of traces is balanced.
pub(super) fn all() -> Vec<Family> {
    let one = |&(name, make): &(&'static str, Make)| Family { name, make, one_life: true };
    let many = |&(name, make): &(&'static str, Make)| Family { name, make, one_life: false };
    let leaks: Vec<_> = leaks::ALL
        .iter()
        .map(one)
        .chain(lives::LEAKS.iter().map(many))
        .chain(brief::LEAKS.iter().map(one))
        .collect();
    let calm: Vec<_> = calm::ALL
        .iter()
        .map(one)
        .chain(lives::CALM.iter().map(many))
        .chain(brief::CALM.iter().map(one))
        .collect();
    let most = leaks.len().max(calm.len());
    // The shorter side begins anew: as many leaks as others.
    let turn = |n: usize| [leaks.get(n % leaks.len()), calm.get(n % calm.len())];
    (0..most).flat_map(turn).flatten().copied().collect()
}

impl Family {
    /// A course of this family.
    pub(super) fn trace(&self, draw: &mut Draw, noise: &Noise, number: usize) -> Trace {
        self.draft(draw, noise).finish(draw, number, self.name)
    }

    fn draft(&self, draw: &mut Draw, noise: &Noise) -> Draft {
        let mut quiet = 1.0;
        let mut draft = self.dressed(draw, noise, quiet);
        for _ in 0..ATTEMPTS {
            if is_clear(&draft) {
                break;
            }
            quiet *= 0.75;
            draft = self.dressed(draw, noise, quiet);
        }
        if draft.leak.is_none() {
            draft.lift(draw);
        }
        // Of several lives only the last could end the trace, and each is planned to end below.
        if draft.leak.as_ref().is_some_and(|leak| leak.lives.len() == 1) {
            draft.die_at_the_ceiling();
        }
        draft
    }

    /// No owner does one thing only: some breathe with the day, some are collected, some have jobs.
    fn dressed(&self, draw: &mut Draw, noise: &Noise, quiet: f64) -> Draft {
        let mut draft = (self.make)(draw, noise, quiet);
        let hours = draft.hours.last().copied().unwrap_or_default();
        if hours > 48.0 && draw.chance(0.2) {
            let (week, height) = (Week::new(draw, hours, 0.8), draw.wide(0.005, 0.06) * quiet);
            draft.add(|hour| height * week.at(hour));
            draft.breathes = true;
        }
        if draw.chance(0.15) {
            let (period, height) = (draw.wide(0.05, 1.0), draw.wide(0.005, 0.06) * quiet);
            let teeth = Teeth::new(draw, hours, period.min(hours / 20.0), 0.6);
            draft.add(|hour| height * teeth.at(hour));
        }
        if draw.chance(0.1) {
            let (period, height) = (draw.one_of::<f64>(&[24.0, 12.0, 4.0]), draw.wide(0.01, 0.1));
            let period = period.min(hours / 4.0);
            let lasts = period / draw.between(10.0, 60.0);
            let visits = Visits::new(draw, hours, period, lasts);
            draft.add(|hour| height * visits.at(hour));
            draft.breathes = true;
        }
        if self.one_life && draft.begins.is_empty() && draw.chance(0.5) {
            // Most recorders know how old a process is; many are older than what is recorded.
            draft.begins.push(if draft.fresh { 0.0 } else { -draw.wide(1.0, 2000.0) });
        }
        if draw.chance(0.05) {
            draft.fail(draw);
        }
        draft
    }
}

/// Whether anybody could tell that a leak of one life is one. Those of several lives are drawn clear.
fn is_clear(draft: &Draft) -> bool {
    let Some(plan) = draft.leak.as_ref().filter(|plan| plan.lives.len() == 1) else {
        return true;
    };
    let (last, seen) = span(draft, plan.until);
    let leaking = last - plan.since;
    let blocks = whole(leaking / 24.0).clamp(5, 24);
    let width = leaking / real(blocks);
    let mut floors: Vec<f64> = (0..blocks)
        .filter_map(|block| {
            let from = plan.since + width * real(block);
            let all = draft.hours.iter().zip(&draft.values).zip(&draft.floor).take(seen);
            let inside = all.filter(|((hour, _), _)| (from..from + width).contains(*hour));
            inside.map(|((_, value), floor)| value - floor).reduce(f64::min)
        })
        .collect();
    let floor_at = |place: usize| draft.floor.get(place).copied().unwrap_or_default();
    let first = draft.hours.partition_point(|hour| *hour < plan.since);
    let grown = floor_at(seen.saturating_sub(1)) - floor_at(first);
    grown >= LEAST_GROWTH && grown >= CLEAR * deviation(&mut floors)
}

/// The deviation of most of them: from the median absolute one, as of a normal distribution.
fn deviation(values: &mut [f64]) -> f64 {
    const OF_NORMAL: f64 = 1.4826;
    let middle = median(values);
    for value in values.iter_mut() {
        *value = (*value - middle).abs();
    }
    OF_NORMAL * median(values)
}

/// The middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The last hour before the ceiling is met or all is mended, and how many samples there are until then.
fn span(draft: &Draft, until: Option<f64>) -> (f64, usize) {
    let met = draft.values.iter().position(|value| *value >= 1.0);
    let mended = until.map(|until| draft.hours.partition_point(|hour| *hour < until));
    let seen = met.unwrap_or(draft.values.len()).min(mended.unwrap_or(usize::MAX));
    let last = seen.checked_sub(1).and_then(|last| draft.hours.get(last));
    (last.copied().unwrap_or_default(), seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of each family.
    fn drafts() -> impl Iterator<Item = (usize, Family, Draft)> {
        let (families, noise) = (all(), Noise::recorded());
        let count = families.len() * 2;
        (0..count).map(move |number| {
            let family = families[number % families.len()];
            (number, family, family.draft(&mut Draw::of(11, number), &noise))
        })
    }

    #[test]
    fn half_of_them_leak_and_no_two_families_share_a_name() {
        let leaking = drafts().filter(|(_, _, draft)| draft.leak.is_some()).count();
        assert_eq!(leaking * 2, drafts().count());
        let names: std::collections::BTreeSet<_> = all().iter().map(|family| family.name).collect();
        let calm: std::collections::BTreeSet<_> = calm::ALL.iter().map(|family| family.0).collect();
        assert_eq!(
            names.len(),
            leaks::ALL.len()
                + lives::LEAKS.len()
                + brief::LEAKS.len()
                + calm.len()
                + lives::CALM.len()
                + brief::CALM.len()
        );
    }

    #[test]
    fn what_does_not_leak_never_meets_its_ceiling() {
        for (number, family, draft) in drafts().filter(|(_, _, draft)| draft.leak.is_none()) {
            let trace = draft.finish(&mut Draw::of(12, number), number, family.name);
            assert!(
                trace.points.iter().all(|point| point.value < trace.ceiling),
                "{number} {}",
                family.name
            );
            assert!(!trace.truth.fits.contains(&highwater_core::growth::Verdict::Leak));
        }
    }

    #[test]
    fn a_leak_is_clear_and_grows_in_each_life() {
        for (number, family, draft) in drafts().filter(|(_, _, draft)| draft.leak.is_some()) {
            let plan = draft.leak.clone().expect("it leaks");
            assert!(is_clear(&draft), "{number} {}", family.name);
            for (begins, limit_at) in &plan.lives {
                assert!(limit_at > begins, "{number} {}", family.name);
            }
            let life = |hour: f64| plan.lives.partition_point(|life| life.0 <= hour);
            for (n, pair) in draft.floor.windows(2).enumerate() {
                let mended = plan.until.is_some_and(|until| draft.hours[n + 1] >= until);
                let same = life(draft.hours[n]) == life(draft.hours[n + 1]) && !mended;
                assert!(!same || pair[1] >= pair[0], "{number} {} {n}", family.name);
            }
        }
    }

    #[test]
    fn at_its_limit_the_floor_or_a_sample_is_at_the_ceiling() {
        for (number, family, draft) in drafts().filter(|(_, _, draft)| draft.leak.is_some()) {
            let plan = draft.leak.clone().expect("it leaks");
            let last = plan.until.unwrap_or(*draft.hours.last().expect("samples"));
            let inside = plan.lives.iter().filter(|life| life.1 <= last);
            for (_, limit_at) in inside {
                let at = draft.hours.partition_point(|hour| hour < limit_at);
                // The sample before or after it: between two of them a life may have ended.
                let near = at.saturating_sub(1)..(at + 1).min(draft.values.len());
                let step = plan.per_hour * 3.0 * (draft.hours[1] - draft.hours[0]) + 0.06;
                let met = near
                    .clone()
                    .any(|n| draft.floor[n] >= 1.0 - step || draft.values[n] >= 1.0 - step);
                let ended = plan.lives.iter().any(|life| (life.0 - limit_at).abs() < 1e-6);
                assert!(
                    met || ended || plan.lives.len() > 1,
                    "{number} {} {limit_at}",
                    family.name
                );
            }
        }
    }

    #[test]
    fn a_straight_leak_drawn_on_meets_the_ceiling_at_its_limit() {
        let mut seen = 0;
        for (number, family, draft) in drafts() {
            let straight =
                ["creep", "slab", "creep with gaps", "late", "descriptors"].contains(&family.name);
            let Some(plan) = draft.leak.as_ref().filter(|_| straight) else { continue };
            let (last, limit_at) = (draft.hours.len() - 1, plan.lives[0].1);
            let met = draft.floor[last] + plan.per_hour * (limit_at - draft.hours[last]);
            let died = draft.values[last] >= 1.0;
            assert!(died || (met - 1.0).abs() < 1e-6, "{number} {} {met}", family.name);
            seen += 1;
        }
        assert!(seen >= 10);
    }

    #[test]
    fn a_trace_hangs_on_seed_and_number_alone_and_its_times_rise() {
        let (families, noise) = (all(), Noise::recorded());
        for number in [0, 7, 23, 41] {
            let make = || families[number].trace(&mut Draw::of(5, number), &noise, number);
            let (one, same) = (make(), make());
            assert_eq!(one.points, same.points);
            assert!(one.points.windows(2).all(|pair| pair[0].at < pair[1].at));
            assert!(one.points.len() >= 100 && one.points.len() <= 9_500);
        }
    }
}
