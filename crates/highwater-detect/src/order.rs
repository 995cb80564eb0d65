//! Numbers in order: counts as floats, medians and quantiles. Nothing here sees a value that is
//! not finite: those are left out where the course is read.

/// A count, as a number to reckon with. Counts here are of samples in memory: far below 2^32.
pub(crate) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The value that `permille` of the others are not above; `None` of nothing.
pub(crate) fn quantile(values: &mut [f64], permille: usize) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = (last * permille.min(1000) + 500) / 1000;
    let (_, value, _) = values.select_nth_unstable_by(rank.min(last), f64::total_cmp);
    Some(*value)
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
}
