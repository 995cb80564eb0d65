//! Too many ends in too short a time.

use std::time::Duration;

use highwater_core::time::WallTime;

/// So many ends within [`FAST_WINDOW`] are a storm: one is an accident, and after two somebody may
/// have been trying things out.
pub const FAST_ENDS: usize = 3;

/// Ten minutes: systemd's usual start limit looks at ten seconds, and misses whoever pauses.
pub const FAST_WINDOW: Duration = Duration::from_mins(10);

/// So many ends within the longer window are a storm, too: one every twelve minutes is no service.
pub const SLOW_ENDS: usize = 5;

/// How long the longer window is, unless somebody asks for another.
pub const SLOW_WINDOW: Duration = Duration::from_hours(1);

/// A run of ends that belong to too full a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// The first of its ends.
    pub from: WallTime,
    /// The last of them.
    pub to: WallTime,
    /// How many.
    pub ends: usize,
}

/// The storms among `ends`, which are in order of time.
pub(super) fn of(ends: &[WallTime], window: Duration) -> Vec<Storm> {
    let mut is_stormy = vec![false; ends.len()];
    for (count, length) in [(FAST_ENDS, FAST_WINDOW), (SLOW_ENDS, window)] {
        for (at, full) in ends.windows(count).enumerate() {
            let (Some(first), Some(last)) = (full.first(), full.last()) else { continue };
            if last.since(*first) <= length {
                is_stormy.iter_mut().skip(at).take(count).for_each(|is| *is = true);
            }
        }
    }
    let longest = window.max(FAST_WINDOW);
    let mut storms: Vec<Storm> = Vec::new();
    for end in ends.iter().zip(&is_stormy).filter(|(_, is)| **is).map(|(end, _)| *end) {
        match storms.last_mut().filter(|storm| end.since(storm.to) <= longest) {
            Some(storm) => *storm = Storm { to: end, ends: storm.ends + 1, ..*storm },
            None => storms.push(Storm { from: end, to: end, ends: 1 }),
        }
    }
    storms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: &[i64]) -> Vec<WallTime> {
        minutes.iter().map(|minute| WallTime::from_millis(minute * 60_000)).collect()
    }

    fn counts(minutes: &[i64]) -> Vec<usize> {
        of(&at(minutes), SLOW_WINDOW).iter().map(|storm| storm.ends).collect()
    }

    #[test]
    fn storms_are_full_windows() {
        assert_eq!(counts(&[]), Vec::<usize>::new());
        assert_eq!(counts(&[1, 2]), Vec::<usize>::new());
        assert_eq!(counts(&[1, 2, 11]), [3]);
        assert_eq!(counts(&[1, 2, 12]), Vec::<usize>::new());
        assert_eq!(counts(&[0, 15, 30, 45, 60]), [5]);
        assert_eq!(counts(&[0, 15, 30, 45, 61]), Vec::<usize>::new());
        // One of eight every seven and a half minutes is one storm; a quiet day is none.
        assert_eq!(counts(&[0, 7, 15, 22, 30, 37, 45, 52]), [8]);
        assert_eq!(counts(&[0, 1, 2, 500, 1000, 1001, 1002, 1003]), [3, 4]);
        assert_eq!(of(&at(&[0, 90, 180, 270, 360]), Duration::from_hours(6)).len(), 1);
    }
}
