//! Quantiles and fractions of classic histograms: buckets with upper bounds and cumulative counts.

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// The largest value that it holds (`le`).
    pub(crate) upper: f64,
    /// How many values are not larger.
    pub(crate) count: f64,
}

/// Differences of counts that come from arithmetic, not from observations.
const TOLERANCE: f64 = 1e-12;

/// How counts that fell were repaired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Repair {
    /// The lowest bucket that was repaired…
    pub(crate) lowest: f64,
    /// …the highest…
    pub(crate) highest: f64,
    /// …and the largest step.
    pub(crate) largest: f64,
}

/// The quantile `q`, values taken to be spread evenly within a bucket; and how the counts had to
/// be repaired. Not-a-number if the buckets are none, have no infinite one, or are empty.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Repair>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
    }
    merge(buckets);
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    let repair = repair(buckets);
    (within(q, buckets), repair)
}

fn within(q: f64, buckets: &[Bucket]) -> f64 {
    let [.., second, last] = buckets else {
        return f64::NAN;
    };
    if last.count == 0.0 || last.count.is_nan() {
        return f64::NAN;
    }
    let rank = q * last.count;
    let finite = buckets.len().saturating_sub(1);
    let place = buckets.iter().take(finite).position(|bucket| bucket.count >= rank);
    let Some((place, bucket)) = place.and_then(|at| Some((at, buckets.get(at)?))) else {
        return second.upper;
    };
    match place.checked_sub(1).and_then(|below| buckets.get(below)) {
        None if bucket.upper <= 0.0 => bucket.upper,
        None => bucket.upper * (rank / bucket.count),
        Some(below) => {
            let part = (rank - below.count) / (bucket.count - below.count);
            below.upper + (bucket.upper - below.upper) * part
        }
    }
}

/// In order of bounds, buckets with the same bound as one.
fn merge(buckets: &mut Vec<Bucket>) {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|later, kept| {
        #[expect(clippy::float_cmp, reason = "the same bound")]
        let same = later.upper == kept.upper;
        if same {
            kept.count += later.count;
        }
        same
    });
}

/// Makes counts rise: what falls, or differs by next to nothing, becomes what stands below it.
fn repair(buckets: &mut [Bucket]) -> Option<Repair> {
    let mut found: Option<Repair> = None;
    let mut before: Option<f64> = None;
    for bucket in buckets {
        let Some(count) = before else {
            before = Some(bucket.count);
            continue;
        };
        if nearly(count, bucket.count) {
            bucket.count = count;
        } else if bucket.count < count {
            let fell = count - bucket.count;
            let repair = found.get_or_insert(Repair {
                lowest: bucket.upper,
                highest: bucket.upper,
                largest: fell,
            });
            repair.highest = bucket.upper;
            repair.largest = repair.largest.max(fell);
            bucket.count = count;
        } else {
            before = Some(bucket.count);
        }
    }
    found
}

#[expect(clippy::float_cmp, reason = "equal numbers are near, infinite ones too")]
fn nearly(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() / (a.abs() + b.abs()).min(f64::MAX) < TOLERANCE
}

/// Which part of the values lies above `lower` and not above `upper`.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    merge(buckets);
    let Some(all) = buckets.last().filter(|last| last.upper == f64::INFINITY) else {
        return f64::NAN;
    };
    let all = all.count;
    if all == 0.0 || all.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets).min(all) - rank(lower, buckets).min(all)) / all
}

/// How many values are not larger than `value`. The lowest bucket begins at zero, unless it ends
/// there or below: then nobody knows how its values are spread, and all of them count.
fn rank(value: f64, buckets: &[Bucket]) -> f64 {
    let from_zero = buckets.first().is_some_and(|first| first.upper > 0.0);
    let (mut below, mut bound) = (0.0, if from_zero { 0.0 } else { f64::NEG_INFINITY });
    for bucket in buckets {
        if bound >= value {
            return below;
        }
        if bucket.upper > value {
            if bound == f64::NEG_INFINITY {
                return bucket.count;
            }
            return below + (bucket.count - below) * (value - bound) / (bucket.upper - bound);
        }
        (below, bound) = (bucket.count, bucket.upper);
    }
    f64::INFINITY
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is exact is compared exactly")]
mod tests {
    use super::*;

    fn buckets(all: &[(f64, f64)]) -> Vec<Bucket> {
        all.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_spread_evenly_within_a_bucket() {
        let all = [(f64::INFINITY, 10.0), (1.0, 2.0), (2.0, 6.0), (4.0, 10.0)];
        let of = |q| quantile(q, &mut buckets(&all)).0;
        assert_eq!([of(0.1), of(0.4), of(0.8), of(1.0)], [0.5, 1.5, 3.0, 4.0]);
        assert_eq!([of(-1.0), of(1.1)], [f64::NEG_INFINITY, f64::INFINITY]);
        assert!(of(f64::NAN).is_nan());
    }

    #[test]
    fn histograms_that_are_none_give_nothing() {
        for all in
            [&[][..], &[(1.0, 2.0)], &[(f64::INFINITY, 2.0)], &[(1.0, 0.0), (f64::INFINITY, 0.0)]]
        {
            assert!(quantile(0.5, &mut buckets(all)).0.is_nan(), "{all:?}");
        }
        let negative = [(-1.0, 5.0), (f64::INFINITY, 5.0)];
        assert_eq!(quantile(0.5, &mut buckets(&negative)).0, -1.0);
    }

    #[test]
    fn falling_counts_are_repaired_and_told() {
        let all = [(1.0, 6.0), (2.0, 4.0), (4.0, 9.0), (8.0, 8.0), (f64::INFINITY, 10.0)];
        let (value, repaired) = quantile(0.5, &mut buckets(&all));
        assert_eq!(value, 5.0 / 6.0);
        assert_eq!(repaired, Some(Repair { lowest: 2.0, highest: 8.0, largest: 2.0 }));
        let tiny = [(1.0, 1.0), (2.0, 1.0 - 1e-15), (f64::INFINITY, 1.0)];
        assert_eq!(quantile(0.5, &mut buckets(&tiny)).1, None);
    }

    #[test]
    fn fractions_lie_between_two_values() {
        let all = [(1.0, 2.0), (2.0, 6.0), (4.0, 10.0), (f64::INFINITY, 10.0)];
        let of = |lower, upper| fraction(lower, upper, &mut buckets(&all));
        assert_eq!(of(1.0, 2.0), 0.4);
        assert_eq!(of(1.5, 3.0), 0.4);
        assert_eq!(of(f64::NEG_INFINITY, f64::INFINITY), 1.0);
        assert_eq!(of(2.0, 1.0), 0.0);
        assert!(of(f64::NAN, 1.0).is_nan());
    }
}
