//! Queries of any form over three series: nothing panics, what is written canonically is read again
//! as the same, and a range query, which walks each series once, gives what asking anew at every step
//! gives.
#![no_main]

#[path = "../../crates/highwater-promql/tests/it/memory.rs"]
#[expect(dead_code, reason = "the tests ask in more ways")]
mod memory;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{Labels, Point};
use highwater_core::time::WallTime;
use highwater_promql::{Error, Options, Query, Value, instant, parse, range};
use memory::Memory;

/// The steps of the range, in seconds.
const STEPS: std::ops::Range<i64> = -1..12;
const STEP: i64 = 35;

/// Samples that a question may hold: enough for these series, and little of the fuzzer's memory.
const MAX_SAMPLES: usize = 200_000;

/// What each series has at each moment.
type Points = BTreeMap<(Labels, i64), f64>;

/// A series of what the bytes say, ten seconds apart.
fn line(name: &str, bytes: &[u8]) -> String {
    let word = |byte: &u8| match byte {
        0..=19 => "_".to_owned(),
        20..=24 => "stale".to_owned(),
        25 => "NaN".to_owned(),
        26 => "inf".to_owned(),
        27 => "1e300".to_owned(),
        byte => (i16::from(*byte) - 60).to_string(),
    };
    let words: Vec<String> = bytes.iter().map(word).collect();
    let words = if words.is_empty() { "_".to_owned() } else { words.join(" ") };
    format!("{name} {words}")
}

fn moment(seconds: i64) -> WallTime {
    WallTime::from_millis(seconds * 1000)
}

/// Whether a failure says only that it would be too much.
fn is_limit(error: &Error) -> bool {
    error.text.contains("too many samples") || error.text.contains("maximum resolution")
}

fn step_by_step(query: &Query, memory: &Memory, options: &Options) -> Result<Points, Error> {
    let mut points = Points::new();
    for at in STEPS.map(|step| step * STEP) {
        let mut take = |labels: Labels, point: Point| {
            points.insert((labels, at), point.value);
        };
        match instant(query, memory, moment(at), options)?.value {
            Value::Scalar(point) => take(Labels::default(), point),
            Value::Vector(all) => all.into_iter().for_each(|(labels, point)| take(labels, point)),
            Value::Text { .. } | Value::Matrix(_) => {}
        }
    }
    Ok(points)
}

fn at_once(query: &Query, memory: &Memory, options: &Options) -> Result<Points, Error> {
    let ends = (moment(STEPS.start * STEP), moment((STEPS.end - 1) * STEP));
    let step = Duration::from_secs(STEP.unsigned_abs());
    let mut points = Points::new();
    if let Value::Matrix(all) = range(query, memory, ends.0, ends.1, step, options)?.value {
        for series in all {
            for point in series.points {
                points.insert((series.labels.clone(), point.at.millis() / 1000), point.value);
            }
        }
    }
    Ok(points)
}

fn is_near(a: f64, b: f64) -> bool {
    let alike = a.is_nan() && b.is_nan() || a.total_cmp(&b).is_eq();
    alike || (a - b).abs() <= 1e-9 * a.abs().max(1.0)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let lines = [
        line("m{a=\"1\"}", next()),
        line("m{a=\"2\",le=\"5\"}", next()),
        line("n{a=\"1\",b=\"x\",le=\"+Inf\"}", next()),
    ];
    let Ok(text) = std::str::from_utf8(next()) else { return };
    let Ok(query) = parse(text) else { return };
    let written = query.to_string();
    let again = parse(&written).unwrap_or_else(|why| panic!("{text} became {written}: {why}"));
    assert_eq!(again.to_string(), written);
    // The ends of a range are other moments than that of an instant.
    if written.contains("start(") || written.contains("end(") {
        return;
    }
    let memory = Memory::from(0, &lines.each_ref().map(String::as_str));
    let options = Options { max_samples: MAX_SAMPLES, ..Options::default() };
    let (slow, quick) =
        (step_by_step(&query, &memory, &options), at_once(&query, &memory, &options));
    match (slow, quick) {
        (Ok(slow), Ok(quick)) => {
            assert!(slow.keys().eq(quick.keys()), "{text}\n{slow:?}\n{quick:?}");
            for ((place, slow), quick) in slow.iter().zip(quick.values()) {
                assert!(is_near(*slow, *quick), "{text} at {place:?}: {slow}, {quick}");
            }
        }
        (Err(_), Err(_)) => {}
        (slow, quick) => {
            let why = slow.err().or(quick.err());
            // A text or a matrix has an instant and no range.
            let fits = why.as_ref().is_some_and(|why| {
                is_limit(why) || why.text.contains("invalid expression type")
            });
            assert!(fits, "{text}: {why:?}");
        }
    }
});
