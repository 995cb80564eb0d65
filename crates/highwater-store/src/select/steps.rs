//! The steps of a selection.

use std::time::Duration;

use highwater_core::series::Point;

/// The steps of a selection: they end at `from`, `from + step`, …, and each has its end but not
/// its beginning, as PromQL looks at them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    from: i64,
    step: i64,
}

impl Steps {
    pub(crate) fn new(from: i64, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { from, step }
    }

    /// How long one is.
    pub(crate) fn step_ms(self) -> i64 {
        self.step
    }

    /// Which step a moment is in.
    fn of(self, at: i64) -> i64 {
        let past = at.saturating_sub(self.from);
        past.div_euclid(self.step).saturating_add(i64::from(past.rem_euclid(self.step) > 0))
    }

    /// Whether two moments are in one step.
    pub(crate) fn share(self, a: i64, b: i64) -> bool {
        self.of(a) == self.of(b)
    }

    /// Keeps the last of the points of each step; they are in order.
    pub(crate) fn thin(self, points: &mut Vec<Point>) {
        // Of two neighbours in one step `dedup` keeps the earlier place, so the later value is
        // moved there.
        points.dedup_by(|later, earlier| {
            let same = self.share(later.at.millis(), earlier.at.millis());
            if same {
                *earlier = *later;
            }
            same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::time::WallTime;

    #[test]
    fn steps_have_their_end_but_not_their_beginning() {
        let steps = Steps { from: 100, step: 10 };
        let of: Vec<_> = [100, 101, 110, 111, 120].into_iter().map(|at| steps.of(at)).collect();
        assert_eq!(of, [0, 1, 1, 2, 2]);
    }

    #[test]
    fn the_last_of_each_is_kept() {
        let point = |at| Point { at: WallTime::from_millis(at), value: 0.0 };
        let mut points: Vec<_> = [100, 101, 105, 110, 111, 120, 121].map(point).into();
        Steps { from: 100, step: 10 }.thin(&mut points);
        assert_eq!(points, [100, 110, 120, 121].map(point));
    }
}
