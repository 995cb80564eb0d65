//! How a judge did over all traces.

use std::time::Duration;

use super::draw::real;
use super::trace::Trace;
use super::walk::Outcome;

/// Hours of an owner's month.
const MONTH_HOURS: f64 = 30.0 * 24.0;

/// A judge's account.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    leaks: usize,
    found: usize,
    wrong: usize,
    false_alarms: u32,
    months: f64,
    lead_hours: Vec<f64>,
}

impl Score {
    /// Adds what came of a trace.
    pub(super) fn add(&mut self, trace: &Trace, outcome: &Outcome) {
        let (from, until) = trace.span();
        let leak = trace.truth.leak.as_ref();
        let before = leak.map_or(until, |leak| leak.since.max(from)).since(from);
        let after =
            leak.and_then(|leak| leak.until).map_or_else(Default::default, |end| until.since(end));
        self.months += hours(before + after) / MONTH_HOURS;
        self.false_alarms += outcome.false_alarms;
        self.wrong += usize::from(outcome.false_alarms > 0);
        self.leaks += usize::from(trace.truth.leak.is_some());
        if let Some((_, lead)) = outcome.found {
            self.found += 1;
            self.lead_hours.push(hours(lead));
        }
    }

    /// Of the traces accused, the part that was so rightly; 1 if none was.
    pub(super) fn precision(&self) -> f64 {
        part(self.found, self.found + self.wrong)
    }

    /// Of the leaks, the part that was found.
    pub(super) fn recall(&self) -> f64 {
        part(self.found, self.leaks)
    }

    /// Of the leaks found, how long before the limit half of them were.
    pub(super) fn lead_hours(&self) -> Option<f64> {
        median(&self.lead_hours)
    }

    /// Of all leaks, those that were not found with none: half were found earlier.
    pub(super) fn lead_of_all_hours(&self) -> f64 {
        let mut all = self.lead_hours.clone();
        all.resize(self.leaks.max(all.len()), 0.0);
        median(&all).unwrap_or_default()
    }

    /// False alarms in a month of an owner who is well.
    pub(super) fn false_alarms_a_month(&self) -> f64 {
        f64::from(self.false_alarms) / self.months.max(f64::MIN_POSITIVE)
    }
}

/// How near to the truth estimates are: their ratios to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ratios(pub(super) Vec<f64>);

impl Ratios {
    /// Half of them are nearer to 1 than this.
    pub(super) fn median_error(&self) -> f64 {
        let errors: Vec<f64> = self.0.iter().map(|ratio| (ratio - 1.0).abs()).collect();
        median(&errors).unwrap_or(f64::NAN)
    }

    /// The part that is within this much of 1.
    pub(super) fn within(&self, error: f64) -> f64 {
        part(self.0.iter().filter(|ratio| (*ratio - 1.0).abs() <= error).count(), self.0.len())
    }
}

/// A part of a whole; of nothing, all.
pub(super) fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { real(some) / real(all) }
}

/// A span in hours.
pub(super) fn hours(span: Duration) -> f64 {
    span.as_secs_f64() / 3600.0
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::super::rivals::tests::minutes;
    use super::super::trace::Leak;
    use super::*;

    #[test]
    fn an_account_of_one_of_each() {
        let well = minutes(60 * 24 * 15 + 1, |_| 1.0);
        let mut leaks = minutes(100, |_| 1.0);
        let since = WallTime::from_millis(0);
        leaks.truth.leak = Some(Leak { since, until: None, per_hour: 1.0, lives: Vec::new() });
        let mut score = Score::default();
        score.add(&well, &Outcome { found: None, false_alarms: 3 });
        score.add(
            &leaks,
            &Outcome { found: Some((since, Duration::from_hours(2))), false_alarms: 0 },
        );
        score.add(&leaks, &Outcome::default());
        assert!((score.precision() - 0.5).abs() < 1e-9 && (score.recall() - 0.5).abs() < 1e-9);
        assert_eq!(score.lead_hours(), Some(2.0));
        assert!((score.false_alarms_a_month() - 6.0).abs() < 0.01);
    }

    #[test]
    fn ratios_tell_how_far_off_they_are() {
        let ratios = Ratios(vec![0.9, 1.0, 1.5]);
        assert!((ratios.median_error() - 0.1).abs() < 1e-9);
        assert!((ratios.within(0.25) - 2.0 / 3.0).abs() < 1e-9);
    }
}
