//! Figures as people read them.

use highwater_store::Info;

/// Bytes a sample.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
pub(super) fn per(bytes: u64, samples: u64) -> f64 {
    bytes as f64 / samples.max(1) as f64
}

pub(super) fn met(is: bool) -> &'static str {
    if is { "met" } else { "not met" }
}

/// A line of what something weighs.
pub(super) fn line(what: &str, bytes: u64, samples: u64) {
    println!("  {what:34} {bytes:>12} bytes {:>8.3} a sample", per(bytes, samples));
}

/// What is kept in which form.
pub(super) fn print_levels(info: &Info) {
    println!(
        "  tier level group    batches  sheets     points      samples        bytes  a sample"
    );
    for level in &info.levels {
        println!(
            "  {:>4} {:>5} {:8} {:>7} {:>7} {:>10} {:>12} {:>12} {:>9}",
            level.tier,
            level.level.map_or_else(|| "-".to_owned(), |level| level.to_string()),
            level.group.name(),
            level.batches,
            level.sheets,
            level.points,
            level.samples.unwrap_or(0),
            level.bytes,
            level.samples.map_or_else(String::new, |some| format!("{:.3}", per(level.bytes, some))),
        );
    }
}
