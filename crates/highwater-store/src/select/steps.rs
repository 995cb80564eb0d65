//! The steps of a selection.

use std::time::Duration;

use highwater_core::series::{Looks, Point};

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

/// The looks of a query, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glances {
    first: i64,
    step: i64,
    range: i64,
    newest: bool,
}

impl Glances {
    /// `None` if every sample is looked at.
    pub(crate) fn new(looks: &Looks) -> Option<Self> {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let (step, range) = (millis(looks.step).max(1), millis(looks.range));
        let leaves_out = looks.newest || range < step;
        let first = looks.first.millis();
        // A single look begins where the reading does.
        let once = !looks.newest && looks.step == Duration::MAX;
        (leaves_out && !once).then_some(Self { first, step, range, newest: looks.newest })
    }

    /// Whether of each look only the newest point counts.
    pub(crate) fn is_newest(self) -> bool {
        self.newest
    }

    /// The first moment of a look that is not before this one.
    fn moment(self, at: i64) -> i64 {
        let past = at.saturating_sub(self.first);
        if past <= 0 {
            return self.first;
        }
        let steps = past / self.step + i64::from(past % self.step > 0);
        self.first.saturating_add(steps.saturating_mul(self.step))
    }

    /// Appends those points that are looked at to points before them. Where only the newest one of
    /// a look counts, it takes the place of the others.
    pub(crate) fn extend(self, points: &mut Vec<Point>, later: impl Iterator<Item = Point>) {
        let mut last = points.last().map(|point| self.moment(point.at.millis()));
        let mut moment = i64::MIN;
        for point in later {
            let at = point.at.millis();
            if at > moment {
                // Points mostly come one step after the other: no division for each.
                let next = moment.saturating_add(self.step);
                moment = if moment > i64::MIN && at <= next { next } else { self.moment(at) };
            }
            if moment.saturating_sub(at) >= self.range {
                continue;
            }
            match points.last_mut() {
                Some(before) if self.newest && last == Some(moment) && before.at < point.at => {
                    *before = point;
                }
                _ => points.push(point),
            }
            last = Some(moment);
        }
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
    fn what_no_step_looks_at_is_left_out() {
        let point = |at| Point { at: WallTime::from_millis(at), value: 0.0 };
        let glances = Glances { first: 100, step: 10, range: 4, newest: false };
        let seen = |glances: Glances, from: i64, to: i64| {
            let mut points = vec![];
            glances.extend(&mut points, (from..119).map(point));
            glances.extend(&mut points, (119..=to).map(point));
            points.iter().map(|point| point.at.millis()).collect::<Vec<_>>()
        };
        let window = [97, 98, 99, 100, 107, 108, 109, 110, 117, 118, 119, 120, 127];
        assert_eq!(seen(glances, 90, 127), window);
        assert_eq!(seen(Glances { newest: true, ..glances }, 90, 127), [100, 110, 120, 127]);
        assert_eq!(
            seen(Glances { range: 30, ..glances }, 112, 121),
            (112..=121).collect::<Vec<_>>()
        );
        let once = Glances { step: i64::MAX, newest: true, range: 30, ..glances };
        assert_eq!(seen(once, 60, 100), [100]);
    }

    #[test]
    fn the_last_of_each_is_kept() {
        let point = |at| Point { at: WallTime::from_millis(at), value: 0.0 };
        let mut points: Vec<_> = [100, 101, 105, 110, 111, 120, 121].map(point).into();
        Steps { from: 100, step: 10 }.thin(&mut points);
        assert_eq!(points, [100, 110, 120, 121].map(point));
    }
}
