//! Figures as people read them.

use std::time::Duration;

use highwater_core::series::{Labels, NAME};
use highwater_core::time::{Span, WallTime};
use highwater_core::units::Bytes;
use highwater_promql::Query;

/// A moment to the second: `2024-04-27 06:04:15 UTC`.
pub(super) fn moment(at: WallTime) -> String {
    let text = at.to_string();
    match text.split_once('T') {
        Some((day, time)) => {
            format!("{day} {} UTC", time.split('.').next().unwrap_or(time))
        }
        None => text,
    }
}

/// `once`, `3 times`.
pub(super) fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// A length that is known to a step: at a single moment it is less than that.
pub(super) fn length(length: Duration, step: Duration) -> String {
    if length.is_zero() { format!("less than {}", Span(step)) } else { Span(length).to_string() }
}

/// Whether what a query gives is bytes: all that it asks for is, and nothing is divided or counted.
pub(super) fn is_bytes(query: &Query) -> bool {
    let metrics = query.metrics();
    let known = |name: &&str| {
        let name: &str = name;
        name.ends_with("_bytes")
            || matches!(name, "container_memory_rss" | "container_memory_cache")
    };
    let text = query.to_string();
    !metrics.is_empty()
        && metrics.iter().all(known)
        && !["/", "rate(", "count", "deriv(", "changes("].iter().any(|odd| text.contains(odd))
}

/// A value of a query.
pub(super) fn value(of: f64, query: &Query) -> String {
    if is_bytes(query) && of.abs() >= 1.0 {
        let sign = if of < 0.0 { "−" } else { "" };
        return format!("{sign}{}", Bytes::from_f64(of.abs()));
    }
    figure(of)
}

/// Four figures, without zeros at the end.
pub(super) fn figure(of: f64) -> String {
    const LARGE: f64 = 1e4;
    if of.abs() >= LARGE || (of - of.round()).abs() < 1e-9 || !of.is_finite() {
        return format!("{of:.0}").replace('-', "−");
    }
    let digits = match of.abs() {
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{of:.digits$}").replace('-', "−");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Which series it is of; nothing if it has no labels.
pub(super) fn of(labels: &Labels) -> String {
    let pairs = labels.iter().filter(|(name, _)| *name != NAME);
    let labels = Labels::new(pairs);
    match labels.to_string() {
        text if text.is_empty() => text,
        text => format!(" of {text}"),
    }
}
