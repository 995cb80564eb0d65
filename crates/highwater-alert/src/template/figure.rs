//! Numbers for people, as Prometheus's functions write them.

use highwater_core::time::WallTime;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `humanize`: four digits and a prefix of the decimal system.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        general(value)
    } else if value.abs() >= 1.0 {
        reduced(value, 1000.0, &LARGE)
    } else {
        enlarged(value, "")
    }
}

/// `humanize1024`: the same with prefixes of powers of 1024.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value);
    }
    reduced(value, 1024.0, &BINARY)
}

/// `humanizeDuration`: seconds as `3d 4h 0m 12s`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value);
    }
    if value == 0.0 {
        return format!("{}s", general(value));
    }
    if value.abs() < 1.0 {
        return enlarged(value, "s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let seconds = whole(value.abs());
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    let rest = seconds % 60;
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", general(value.abs()))
    }
}

/// `humanizeTimestamp`: seconds after the epoch as Go prints a time in UTC.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(general(value));
    }
    let ms = whole(value * 1000.0);
    let out = || format!("{value} seconds after the epoch is no moment");
    // RFC 3339 has years of four digits, and so has every moment that is worth a text.
    let written = WallTime::from_millis(ms).to_string();
    let (day, time) = written.split_once('T').ok_or_else(out)?;
    let time = time.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    Ok(format!("{day} {time} +0000 UTC"))
}

/// A span as Go writes its durations: `1h2m3.5s`, `150ms`.
pub(super) fn duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let size = seconds.abs();
    if size == 0.0 {
        return "0s".to_owned();
    }
    if size < 1.0 {
        let (unit, scaled) = match size {
            _ if size >= 1e-3 => ("ms", size * 1e3),
            _ if size >= 1e-6 => ("µs", size * 1e6),
            _ => ("ns", size * 1e9),
        };
        return format!("{sign}{scaled}{unit}");
    }
    let minutes = whole(size / 60.0);
    let rest = (size - number(minutes) * 60.0) * 1e9;
    let rest = number(whole(rest.round())) / 1e9;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, minutes) => format!("{sign}{minutes}m{rest}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

fn reduced(mut value: f64, by: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        prefix = next;
        value /= by;
    }
    format!("{}{prefix}", general(value))
}

fn enlarged(mut value: f64, unit: &str) -> String {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}{unit}", general(value))
}

/// A number as Go's `%.4g` writes it.
pub(super) fn general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let written = format!("{value:.3e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..4).contains(&exponent) {
        let places = usize::try_from(3_i32.saturating_sub(exponent)).unwrap_or(0);
        return trimmed(&format!("{value:.places$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "saturates")]
const fn whole(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "minutes of a duration")]
const fn number(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_prometheus_s() {
        let cases = [
            (humanize(0.0), "0"),
            (humanize(1_234_567.0), "1.235M"),
            (humanize(0.12), "120m"),
            (humanize(f64::NAN), "NaN"),
            (humanize(999_999.0), "1000k"),
            (humanize_1024(1_048_576.0), "1Mi"),
            (humanize_1024(1.0), "1"),
            (humanize_1024(1_234_567.0), "1.177Mi"),
            (humanize_duration(0.0), "0s"),
            (humanize_duration(90_061.0), "1d 1h 1m 1s"),
            (humanize_duration(-3_661.0), "-1h 1m 1s"),
            (humanize_duration(12.345_67), "12.35s"),
            (humanize_duration(0.001), "1ms"),
            (humanize_timestamp(1_435_065_584.128).unwrap(), "2015-06-23 13:19:44.128 +0000 UTC"),
            (humanize_timestamp(0.0).unwrap(), "1970-01-01 00:00:00 +0000 UTC"),
            (humanize_timestamp(600.0).unwrap(), "1970-01-01 00:10:00 +0000 UTC"),
            (duration(3_723.5), "1h2m3.5s"),
            (duration(0.15), "150ms"),
            (general(1e10), "1e+10"),
            (general(0.000_012_345), "1.234e-05"),
        ];
        for (got, wanted) in cases {
            assert_eq!(got, wanted);
        }
    }
}
