//! Ends that come round by the clock, and at the same height.

use std::time::Duration;

use highwater_core::units::Permille;

use super::Chapter;

/// Fewer gaps than this are no rhythm: any two may be alike.
const LEAST_GAPS: usize = 3;

/// What ends more often than this is a storm, and no rhythm of its own: it is the pause of whoever
/// starts it again.
const LEAST: Duration = Duration::from_mins(1);

/// Gaps differ by no more than this share of their median, half of them at least: a leak under a
/// steady load keeps time to some per cent, chance does not.
const MOST_SPREAD: f64 = 0.15;

/// Deaths at heights that differ by no more are at one height.
const SAME_HEIGHT: f64 = 0.05;

/// From this share of its limit on it died of its limit.
const AT_LIMIT: f64 = 0.85;

/// A life that begins below this share of where it ends has grown.
const GROWN: f64 = 0.8;

/// A rhythm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// From one end to the next: the median.
    pub every: Duration,
    /// How far the gaps are from that: the median of the differences.
    pub spread: Duration,
    /// How many gaps that is of.
    pub gaps: usize,
    /// Memory at the end as a share of the limit: the median, if all are about the same.
    pub height: Option<Permille>,
    /// It grows in each life until it reaches its limit.
    pub is_sawtooth: bool,
}

/// The rhythm of the ends that nobody wanted.
pub(super) fn of(chapters: &[Chapter]) -> Option<Period> {
    let ended: Vec<&Chapter> = chapters.iter().filter(|one| one.is_unwanted()).collect();
    let ends: Vec<_> = ended.iter().filter_map(|one| one.ended).collect();
    let gaps: Vec<f64> = ends
        .windows(2)
        .filter_map(|pair| Some(pair.last()?.since(*pair.first()?).as_secs_f64()))
        .collect();
    let (every, spread) = middle(&gaps)?;
    if gaps.len() < LEAST_GAPS || every < LEAST.as_secs_f64() || spread > every * MOST_SPREAD {
        return None;
    }
    let heights: Vec<f64> = ended.iter().filter_map(|one| one.memory.height()).collect();
    let height = middle(&heights).filter(|(_, spread)| *spread <= SAME_HEIGHT);
    let height = height.filter(|_| heights.len() >= LEAST_GAPS).map(|(height, _)| height);
    let growths: Vec<f64> = ended.iter().filter_map(|one| one.memory.start_share()).collect();
    let has_grown = middle(&growths).is_some_and(|(start, _)| start <= GROWN);
    Some(Period {
        every: Duration::from_secs_f64(every),
        spread: Duration::from_secs_f64(spread),
        gaps: gaps.len(),
        height: height.map(permille),
        is_sawtooth: has_grown && height.is_some_and(|height| height >= AT_LIMIT),
    })
}

/// The median, and the median of how far the others are from it: one gap that was missed, or a
/// night without load, moves neither much.
fn middle(values: &[f64]) -> Option<(f64, f64)> {
    let center = median(values.to_vec())?;
    let spread = median(values.iter().map(|value| (value - center).abs()).collect())?;
    Some((center, spread))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied()?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(upper, values.get(half.checked_sub(1)?).copied()?))
}

fn permille(share: f64) -> Permille {
    let thousandths = Duration::from_secs_f64(share.clamp(0.0, 1_000.0)).as_millis();
    Permille::new(u32::try_from(thousandths).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_few_and_of_none() {
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[4.0]), Some((4.0, 0.0)));
        assert_eq!(middle(&[1.0, 3.0]), Some((2.0, 1.0)));
        assert_eq!(middle(&[5.0, 100.0, 5.2]), Some((5.2, 0.200_000_000_000_000_18)));
        assert_eq!(permille(0.98).get(), 980);
    }
}
