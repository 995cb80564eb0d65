//! Whether what the owner had to do explains its growth.

use crate::order::{count, mean};
use crate::trend::{Beside, Row, Trend, centred, clear, dot, theil_sen, trend};

/// What load says of a growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burden {
    /// How the load itself grew in the window, as a share of its mean.
    pub(crate) rise: f64,
    /// The growth that stays at equal load, as a share of all growth.
    pub(crate) rest: f64,
    /// How much more than chance that is, in standard deviations; zero if it cannot be told apart.
    pub(crate) score: f64,
    /// For growth by all load there ever was, and against growth by the load of the moment, in
    /// natural logarithms.
    pub(crate) piled: f64,
}

impl Burden {
    /// Whether load explains the growth.
    pub(crate) fn explains(&self) -> bool {
        self.rise > LEAST_RISE && self.piled < PILED && (self.score < 3.0 || self.rest < 0.3)
    }
}

/// A load that rose by less than this share of its mean explains no growth.
const LEAST_RISE: f64 = 0.03;
/// So much better must the sum of all load explain the floors than the load of the moment does,
/// for the growth to be a leak that goes with the work.
const PILED: f64 = 6.0;

/// What the load of `rows` says of their growth; `None` if it is not known for most of them.
pub(crate) fn burden(rows: &[Row], slope: f64, grain: f64) -> Option<Burden> {
    let known: Vec<Row> = rows.iter().filter(|row| row.load.is_finite()).copied().collect();
    if known.len() < 6 || known.len() * 10 < rows.len() * 7 {
        return None;
    }
    let loads: Vec<Row> = known.iter().map(|row| Row { value: row.load, ..*row }).collect();
    let level = mean(known.iter().map(|row| row.load)).abs().max(f64::MIN_POSITIVE);
    let reached = known.last()?.hours - known.first()?.hours;
    let rise = theil_sen(&loads).unwrap_or_default() * reached / level;
    let beside = trend(&known, Beside::Load, grain);
    let (rest, score) = beside.map_or((0.0, 0.0), |t: Trend| (t.slope / slope, t.score()));
    Some(Burden { rise, rest, score, piled: piled(&known) })
}

/// How much better the sum of all load explains the floors than the load of the moment.
fn piled(rows: &[Row]) -> f64 {
    let lives: Vec<usize> = rows.iter().map(|row| row.life).collect();
    let value: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let load: Vec<f64> = rows.iter().map(|row| row.load).collect();
    let mut sum = 0.0;
    let mut before = rows.first().map_or(0.0, |row| row.hours);
    let sums: Vec<f64> = rows
        .iter()
        .map(|row| {
            sum += row.load * (row.hours - before);
            before = row.hours;
            sum
        })
        .collect();
    let y = centred(&lives, &value);
    let left = |x: &[f64]| {
        let rest = clear(&y, Some(&centred(&lives, x)));
        dot(&rest, &rest)
    };
    let least = dot(&y, &y) * 1e-9 + f64::MIN_POSITIVE;
    // A quarter of the floors at most are independent of each other, as floors go.
    count(rows.len()) / 4.0 * ((left(&load) + least) / (left(&sums) + least)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten days of four-hour floors: a load that grows by day and in all, and what it makes of it.
    fn of(value: impl Fn(f64, f64, f64) -> f64) -> Burden {
        let mut sum = 0.0;
        let row = |step: i32| {
            let hours = f64::from(step) * 4.0;
            let load = (1.0 + hours / 240.0) * (2.0 + (hours / 24.0 * std::f64::consts::TAU).sin());
            sum += load;
            let noise = 0.05 * (hours * 12.9898).sin();
            Row { life: 0, hours, load, value: value(hours, load, sum) + noise }
        };
        let rows: Vec<Row> = (0..60).map(row).collect();
        burden(&rows, theil_sen(&rows).unwrap(), 0.0).unwrap()
    }

    #[test]
    fn growth_with_the_load_of_the_moment_is_explained() {
        let found = of(|_, load, _| 30.0 + 10.0 * load);
        assert!(found.explains() && found.rise > 0.3, "{found:?}");
    }

    #[test]
    fn growth_beside_the_load_is_not() {
        let found = of(|hour, load, _| 30.0 + 10.0 * load + 0.3 * hour);
        assert!(!found.explains() && found.score > 3.0, "{found:?}");
    }

    #[test]
    fn growth_with_all_load_there_ever_was_is_not() {
        let found = of(|_, _, sum| 30.0 + sum);
        assert!(!found.explains() && found.piled > PILED, "{found:?}");
    }

    #[test]
    fn an_unknown_load_says_nothing() {
        let row = |hours| Row { life: 0, hours, load: f64::NAN, value: hours };
        let rows: Vec<Row> = (0..30).map(f64::from).map(row).collect();
        assert_eq!(burden(&rows, 1.0, 0.0), None);
    }
}
