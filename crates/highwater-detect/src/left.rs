//! How long is left until a level is reached.

use std::time::Duration;

use crate::{Judgement, Left};

/// A time that is further away than this is not told as a number of days: a hundred years.
const FARTHEST_HOURS: f64 = 100.0 * 365.25 * 24.0;

impl Judgement {
    /// How long until `level` is reached at the rate found; `None` if it does not grow.
    ///
    /// What counts is the crest, for a limit is met by the highest value; where the crest is there
    /// already, and the owner lives, the floor.
    pub fn left_to(&self, level: f64) -> Option<Left> {
        let rate = self.rate.filter(|rate| rate.per_hour > 0.0 && level.is_finite())?;
        let top = if self.crest < level { self.crest } else { self.floor };
        let room = (level - top).max(0.0);
        let (nearest, widest) =
            (room.min(level - self.current).max(0.0), room.max(level - self.floor));
        Some(Left {
            likely: span(room / rate.per_hour),
            soonest: span(nearest.min(room) / rate.high.max(rate.per_hour)),
            latest: (rate.low > 0.0).then(|| span(widest / rate.low)),
        })
    }
}

fn span(hours: f64) -> Duration {
    let hours = if hours.is_finite() { hours.clamp(0.0, FARTHEST_HOURS) } else { FARTHEST_HOURS };
    Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use highwater_core::growth::Verdict;

    use super::*;
    use crate::Rate;

    fn growing(per_hour: f64, low: f64, high: f64) -> Judgement {
        Judgement {
            verdict: Verdict::Leak,
            confidence: 0.9,
            rate: Some(Rate { per_hour, low, high }),
            since: None,
            current: 55.0,
            floor: 50.0,
            crest: 60.0,
            lives: None,
            reasons: Vec::new(),
        }
    }

    #[test]
    fn it_is_the_crest_that_meets_a_level() {
        let left = growing(2.0, 1.0, 4.0).left_to(100.0).unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(
            (left.likely, left.soonest, left.latest),
            (hours(20), hours(10), Some(hours(50)))
        );
    }

    #[test]
    fn what_may_not_grow_at_all_may_last() {
        assert_eq!(growing(2.0, -1.0, 4.0).left_to(100.0).unwrap().latest, None);
        assert_eq!(growing(-2.0, -3.0, -1.0).left_to(100.0), None);
        assert_eq!(growing(2.0, 1.0, 4.0).left_to(f64::INFINITY), None);
    }

    #[test]
    fn a_level_that_is_passed_is_reached() {
        let left = growing(2.0, 1.0, 4.0).left_to(40.0).unwrap();
        assert_eq!(left.likely, Duration::ZERO);
    }
}
