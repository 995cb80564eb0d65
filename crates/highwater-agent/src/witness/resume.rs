//! Where a witness that stamps by the wall clock is listened to from after a restart.

use std::time::Duration;

/// So far back it goes on if the clock was set back: nobody knows when, and what is heard twice is
/// known by its key.
const AGAIN: Duration = Duration::from_mins(10);

/// From where on, if it was heard up to `cursor`; all in units of `unit`.
pub(super) fn from(cursor: u64, now: u64, unit: Duration) -> u64 {
    if cursor <= now {
        return cursor;
    }
    let again = AGAIN.as_nanos() / unit.as_nanos().max(1);
    now.saturating_sub(u64::try_from(again).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_not_waited_for() {
        let second = Duration::from_secs(1);
        assert_eq!(from(5_000, 5_000, second), 5_000);
        assert_eq!(from(4_000, 5_000, second), 4_000);
        assert_eq!(from(9_000, 5_000, second), 4_400);
        assert_eq!(from(9, 5, Duration::from_micros(1)), 0);
    }
}
