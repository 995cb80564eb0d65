//! Numbers in order: counts as floats, medians and quantiles. Nothing here sees a value that is
//! not finite: those are left out where the course is read.

/// A count, as a number to reckon with. Counts here are of samples in memory: far below 2^32.
pub(crate) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Ranks this near an end are found in one pass.
const NEAR: usize = 4;

/// The value that `permille` of the others are not above; `None` of nothing.
pub(crate) fn quantile(values: &mut [f64], permille: usize) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = ((last * permille.min(1000) + 500) / 1000).min(last);
    if rank < NEAR {
        return from_end(values, rank, f64::INFINITY, |a, b| a < b);
    }
    if last - rank < NEAR {
        return from_end(values, last - rank, f64::NEG_INFINITY, |a, b| a > b);
    }
    let (_, value, _) = values.select_nth_unstable_by(rank, f64::total_cmp);
    Some(*value)
}

/// The value with so many before it, by an order whose last is `end`.
fn from_end(
    values: &[f64],
    rank: usize,
    end: f64,
    is_before: impl Fn(f64, f64) -> bool,
) -> Option<f64> {
    let mut first = [end; NEAR];
    let first = first.get_mut(..=rank)?;
    for value in values {
        // Whom it takes the place of takes that of the next.
        let mut moved = *value;
        for kept in first.iter_mut() {
            if is_before(moved, *kept) {
                std::mem::swap(&mut moved, kept);
            }
        }
    }
    first.last().copied()
}

/// The middle value; of an even number, the mean of the middle two.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let (below, middle, _) = values.select_nth_unstable_by(values.len() / 2, f64::total_cmp);
    let middle = *middle;
    if last % 2 == 0 {
        return Some(middle);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, middle))
}

/// The mean; zero of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { 0.0 } else { sum / count(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (0..11).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0), Some(0.0));
        assert_eq!(quantile(&mut values, 100), Some(1.0));
        assert_eq!(quantile(&mut values, 1000), Some(10.0));
        assert_eq!(quantile(&mut [], 500), None);
    }

    #[test]
    fn every_rank_is_what_sorting_gives() {
        for n in 1..40_usize {
            let mut values: Vec<f64> = (0..n).map(|i| count(i * 7919 % 23)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            for permille in (0..=1000).step_by(50) {
                let rank = ((n - 1) * permille + 500) / 1000;
                assert_eq!(quantile(&mut values, permille), Some(sorted[rank]), "{n} {permille}");
            }
        }
    }
}
