//! The one place of the chores that reads a clock: they measure the outside world.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use highwater_core::time::WallTime;

/// Now.
#[expect(clippy::disallowed_methods, reason = "a chore measures how long real things take")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks until there is an answer, for `at_most` this long.
pub(crate) fn poll<T>(
    at_most: Duration,
    every: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let begun = now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if begun.elapsed() >= at_most {
            return Ok(None);
        }
        thread::sleep(every);
    }
}

/// Now, by the calendar.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads back what was recorded meanwhile")]
pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
