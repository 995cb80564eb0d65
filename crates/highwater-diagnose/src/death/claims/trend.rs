//! What the recording says about how it came.

use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::time::Span;
use highwater_core::units::Bytes;

use super::claim;
use crate::death::growth::Growth;
use crate::death::scene::Scene;
use crate::words;

/// Less than this share of the end value is standing still.
const STILL: f64 = 0.05;

/// How memory moved in the recorded minutes: a steady climb, a jump, or nothing.
pub(super) fn growth(scene: &Scene<'_>) -> Option<Claim> {
    let curve = scene.curves.growth.first()?;
    let (first, last) = (curve.points.first()?, curve.points.last()?);
    let (start, end) = (Bytes::from_f64(first.value), Bytes::from_f64(last.value));
    let span = Span(last.at.since(first.at));
    let text = if (last.value - first.value).abs() < STILL * last.value.abs() {
        format!(
            "{} stood at {end} for the last {span} on record: the end came faster than the samples",
            curve.what
        )
    } else if !curve.rose() {
        format!(
            "{} went from {start} to {end} in the last {span} on record: the end came faster than the samples",
            curve.what
        )
    } else {
        format!(
            "{} went from {start} to {end} in the last {span} on record, about {}: {}",
            curve.what,
            words::rate(curve.bytes_per_second),
            shape(curve)
        )
    };
    claim(text, vec![curve.evidence.clone()])
}

/// Nothing is on record of the process itself: it came after the last sample, or nobody sampled.
pub(super) fn never_sampled(scene: &Scene<'_>) -> Option<Claim> {
    /// Samples are seconds apart; after so long without one the recorder was down.
    const SILENT: Duration = Duration::from_mins(1);
    let (kill, _) = (scene.kill?, scene.recorded?);
    let (last, death) = (scene.last_tick?, scene.time?);
    if scene.known.is_some() {
        let own = scene.victim();
        if scene.curves.growth.iter().any(|curve| curve.what.starts_with(&own)) {
            return None;
        }
        let text = format!(
            "{} was sampled once at most: how it grew is not on record",
            scene.victim_name()
        );
        return claim(text, vec![scene.cite.line(kill.line)]);
    }
    let gap = death.since(last);
    let text = if gap > SILENT {
        format!(
            "nothing was sampled in the last {} before the death: the recorder was not running",
            Span(gap)
        )
    } else {
        let seconds = gap.as_secs().saturating_add(1);
        format!("{} lived too briefly to be sampled (under {seconds} s)", scene.victim_name())
    };
    claim(text, vec![scene.cite.line(kill.line)])
}

/// Whether the climb was even or all at the end.
fn shape(curve: &Growth) -> &'static str {
    let values: Vec<f64> = curve.points.iter().map(|point| point.value).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return "too few points";
    };
    let rises = values.windows(2).filter(|pair| matches!(pair, [a, b] if b >= a)).count();
    let steady = rises.saturating_mul(10) >= values.len().saturating_sub(1).saturating_mul(9);
    let middle = values.get(values.len() / 2).copied().unwrap_or(*first);
    match (last > first, steady, middle - first < (last - first) * 0.1) {
        (false, ..) => "not higher than it began",
        (true, _, true) if values.len() > 4 => "a jump near the end rather than a climb",
        (true, true, _) => "a steady climb",
        (true, false, _) => "up and down, and up on the whole",
    }
}
