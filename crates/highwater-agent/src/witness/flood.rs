//! What is done when signals come faster than they can be read: the kernel is asked for fewer, and for
//! a while nobody's verdict rests on what was not heard.
//!
//! ```text
//!            ┌ absent: a minute ┐
//! ── drained ─ lost ── narrow ──┴──────────── wide again ──
//!                      └ a minute, two, four, … an hour ┘
//! ```
//!
//! Pure: moments are handed in.

use std::time::Duration;

use highwater_core::time::{BootTime, Stamp};

/// So long at least: a flood that stops is over by then.
const SHORTEST: Duration = Duration::from_mins(1);

/// So long at most. Whoever floods for days makes a few records an hour.
const LONGEST: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct Flood {
    /// When last everything was read.
    drained: Option<Stamp>,
    /// Something may be missing until then.
    absent_until: Option<BootTime>,
    narrow: Option<Narrow>,
    span: Duration,
    lost_at: Option<BootTime>,
}

/// The kernel leaves out the signals of everyday life.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    since: BootTime,
    until: BootTime,
}

impl Default for Flood {
    fn default() -> Self {
        Self { drained: None, absent_until: None, narrow: None, span: SHORTEST, lost_at: None }
    }
}

impl Flood {
    /// All that was there at `now` has been read.
    pub(super) fn drain(&mut self, now: Stamp) {
        self.drained = Some(now);
    }

    /// When last nothing was missing, as far as that is known.
    pub(super) fn drained(&self) -> Option<Stamp> {
        self.drained
    }

    /// Some were lost. One that is lost although the kernel is asked for few is of a flood of those
    /// that end processes, and counts for as long as the kernel would be asked for few.
    pub(super) fn lose(&mut self, now: BootTime) {
        if self.absent_until.is_none() {
            let is_over = |lost: BootTime| now.since(lost) > LONGEST * 2;
            let is_first = self.lost_at.is_none_or(is_over);
            self.span = if is_first { SHORTEST } else { (self.span * 2).min(LONGEST) };
        }
        self.lost_at = Some(now);
        let is_in_vain = self.narrow.is_some_and(|narrow| now.since(narrow.since) >= SHORTEST);
        let absent_until = later(now, if is_in_vain { self.span } else { SHORTEST });
        self.absent_until = Some(self.absent_until.unwrap_or_default().max(absent_until));
        let since = self.narrow.map_or(now, |narrow| narrow.since);
        self.narrow = Some(Narrow { since, until: later(now, self.span) });
    }

    /// Whether the kernel is to leave out the signals of everyday life.
    pub(super) const fn is_narrow(&self) -> bool {
        self.narrow.is_some()
    }

    /// Lets go of what is over by now. `true`, once: what is not heard was not there, again.
    pub(super) fn pass(&mut self, now: BootTime) -> bool {
        self.narrow.take_if(|narrow| narrow.until <= now);
        self.absent_until.take_if(|until| *until <= now).is_some()
    }
}

/// So much later.
pub(super) fn later(at: BootTime, span: Duration) -> BootTime {
    let span_us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    BootTime::from_micros(at.micros().saturating_add(span_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_loss_counts_for_a_minute_and_is_over_once() {
        let mut flood = Flood::default();
        assert!(!flood.is_narrow());
        flood.lose(at(100));
        flood.lose(at(110));
        assert!(flood.is_narrow());
        assert!(!flood.pass(at(169)) && flood.is_narrow());
        assert!(flood.pass(at(170)) && !flood.is_narrow());
        assert!(!flood.pass(at(171)));
    }

    #[test]
    fn a_flood_that_goes_on_is_tried_ever_less_often_and_is_deaf_a_minute_each_time() {
        let mut flood = Flood::default();
        let (mut losses, mut deaf) = (0, 0);
        for second in 0..24 * 3_600 {
            // As long as the kernel is asked for all, some are lost.
            if !flood.is_narrow() {
                flood.lose(at(second));
                losses += 1;
            }
            deaf += u64::from(flood.absent_until.is_some());
            flood.pass(at(second));
        }
        assert!((24..40).contains(&losses), "{losses}");
        assert!(deaf <= losses * 61, "{deaf}");
        // Days later, a short one.
        flood.pass(at(9_000_000));
        flood.lose(at(9_000_001));
        assert!(flood.pass(at(9_000_061)) && !flood.is_narrow());
    }

    #[test]
    fn where_fewer_signals_do_not_help_nothing_is_heard_for_as_long() {
        let mut flood = Flood::default();
        let mut ends = 0;
        for second in 0..24 * 3_600 {
            if second % 70 < 10 {
                flood.lose(at(second));
            }
            ends += u32::from(flood.pass(at(second)));
        }
        assert!(ends < 40, "{ends}");
    }
}
