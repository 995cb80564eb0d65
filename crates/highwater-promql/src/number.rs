//! Numbers: conversions that cannot fail, sums that keep what is small, and texts.

/// A count as a number.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact below 2^53 items")]
pub(crate) const fn count(items: usize) -> f64 {
    items as f64
}

/// Milliseconds as seconds.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact for 285,000 years")]
pub(crate) const fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// A number without its fraction; what does not fit becomes the nearest that does, NaN zero.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "saturates")]
pub(crate) const fn whole(value: f64) -> i64 {
    value as i64
}

/// A number of items; what is negative or NaN is none.
pub(crate) fn items(value: f64) -> usize {
    usize::try_from(whole(value)).unwrap_or(0)
}

/// Seconds as milliseconds, rounded; `None` if there is no such moment.
pub(crate) fn millis(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    // The largest that keeps room for every range and offset to be added.
    (ms.abs() < 9e18 / 4.0).then(|| whole(ms))
}

/// A sum that carries what its additions lost (Neumaier's form of Kahan's).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// The sum as it is.
    pub(crate) value: f64,
    /// What it lost.
    pub(crate) lost: f64,
}

impl Sum {
    /// A sum that begins with one value.
    pub(crate) const fn of(value: f64) -> Self {
        Self { value, lost: 0.0 }
    }

    /// The sum with one value more.
    pub(crate) fn plus(self, more: f64) -> Self {
        let value = self.value + more;
        let lost = if value.is_infinite() {
            0.0
        } else if self.value.abs() >= more.abs() {
            self.lost + ((self.value - value) + more)
        } else {
            self.lost + ((more - value) + self.value)
        };
        Self { value, lost }
    }

    /// The sum with what it lost.
    pub(crate) fn total(self) -> f64 {
        if self.value.is_infinite() { self.value } else { self.value + self.lost }
    }

    fn scaled(self, by: f64) -> Self {
        Self { value: self.value * by, lost: self.lost * by }
    }
}

/// A mean: the sum divided at the end, or, from where that would overflow, moved value by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    moving: bool,
}

impl Mean {
    /// The mean of one value.
    pub(crate) const fn of(value: f64) -> Self {
        Self { sum: Sum::of(value), count: 1.0, moving: false }
    }

    /// Takes one value more.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.moving {
            let sum = self.sum.plus(value);
            if !sum.value.is_infinite() {
                self.sum = sum;
                return;
            }
            self.moving = true;
            let before = self.count - 1.0;
            self.sum = Sum { value: self.sum.value / before, lost: self.sum.lost / before };
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum = self.sum.scaled(weight).plus(value / self.count);
    }

    /// The mean.
    pub(crate) fn value(self) -> f64 {
        if self.moving {
            self.sum.value + self.sum.lost
        } else {
            self.sum.value / self.count + self.sum.lost / self.count
        }
    }
}

/// The quantile `q` of values; not-a-number counts as the smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let rank = q * (count(values.len()) - 1.0);
    let lower = items(rank.floor());
    let upper = values.len().saturating_sub(1).min(lower.saturating_add(1));
    let weight = rank - rank.floor();
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    at(lower) * (1.0 - weight) + at(upper) * weight
}

/// The order of values with not-a-number before all others.
pub(crate) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The larger of two; not-a-number if either is, except beside infinity.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller of two, likewise.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// A number as `strconv` writes it in full: never with an exponent.
pub(crate) fn shortest(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// A number as `%g` writes it: with an exponent where it is large or small.
pub(crate) fn general(value: f64) -> String {
    let exponential = format!("{value:e}");
    let exponent: Option<i32> =
        exponential.split_once('e').and_then(|(_, exponent)| exponent.parse().ok());
    match exponent {
        Some(exponent) if value.is_finite() && !(-4..21).contains(&exponent) => {
            let digits = exponential.split_once('e').map_or("", |(digits, _)| digits);
            let (sign, size): (_, i32) =
                if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
            format!("{digits}e{sign}{size:02}")
        }
        _ => shortest(value),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is exact is compared exactly")]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_is_small() {
        let all = [1.0, 1e100, 1.0, -1e100].into_iter().fold(Sum::default(), Sum::plus);
        assert_eq!(all.total(), 2.0);
        assert_eq!(Sum::of(f64::MAX).plus(f64::MAX).total(), f64::INFINITY);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::of(f64::MAX);
        mean.add(f64::MAX);
        mean.add(f64::MAX);
        assert!((mean.value() / f64::MAX - 1.0).abs() < 1e-12);
    }

    #[test]
    fn quantiles_lie_between_and_nan_is_smallest() {
        assert_eq!(quantile(0.8, &mut [2.0, 0.0, 1.0]), 1.6);
        assert!((quantile(0.8, &mut [0.0, f64::NAN, 1.0]) - 0.6).abs() < 1e-12);
        assert!(quantile(0.2, &mut [0.0, f64::NAN, 1.0]).is_nan());
        assert_eq!(quantile(2.0, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        assert_eq!(shortest(1e21), "1000000000000000000000");
        assert_eq!(general(1e21), "1e+21");
        assert_eq!(general(0.00001), "1e-05");
        assert_eq!(general(1.5), "1.5");
        assert_eq!(general(f64::NAN), "NaN");
        assert_eq!(smaller(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert!(larger(1.0, f64::NAN).is_nan());
    }
}
