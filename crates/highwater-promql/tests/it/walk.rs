//! A range query walks each series once. It must give what asking anew at every step gives.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use highwater_promql::{Options, Value, instant, parse, range};
use proptest::prelude::*;

use crate::memory::Memory;

type Points = BTreeMap<(Labels, i64), f64>;

/// Samples of one series, ten seconds apart.
fn samples() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => (-20_i32..60).prop_map(|value| value.to_string()),
        2 => Just("_".to_owned()),
        1 => Just("stale".to_owned()),
        1 => prop_oneof![Just("NaN".to_owned()), Just("inf".to_owned())],
    ];
    prop::collection::vec(word, 1..60).prop_map(|words| words.join(" "))
}

fn span() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["10s", "25s", "1m", "3m", "7m"])
}

fn selector() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["m", "m{a=\"1\"}", "m{a!=\"1\"}", "n", "{a=\"1\"}"]);
    let moment = prop::sample::select(vec!["", " offset 40s", " offset -1m", " @ 200", " @ end()"]);
    (name, moment).prop_map(|(name, moment)| format!("{name}{moment}"))
}

/// Instant vectors.
fn vector() -> impl Strategy<Value = String> {
    let over = prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "changes",
        "resets",
        "deriv",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "stddev_over_time",
        "present_over_time",
        "absent_over_time",
    ]);
    let windowed = (over.clone(), prop::sample::select(vec!["m", "n", "m{a=\"2\"}"]), span())
        .prop_map(|(over, name, span)| format!("{over}({name}[{span}])"));
    let leaf = prop_oneof![2 => selector(), 2 => windowed];
    leaf.prop_recursive(3, 12, 2, move |inner| {
        let one = prop::sample::select(vec![
            "abs",
            "-",
            "ceil",
            "absent",
            "timestamp",
            "sum",
            "max by (a)",
            "count without (a)",
            "avg",
            "group",
            "topk by (a) (1,",
            "sgn",
        ]);
        let two = prop::sample::select(vec![
            "+",
            "-",
            "* on (a)",
            "> bool",
            "<",
            "and",
            "or",
            "unless on (a)",
            "/ ignoring (b)",
        ]);
        let called = (one, inner.clone()).prop_map(|(one, inner)| match one {
            "-" => format!("-({inner})"),
            _ if one.ends_with(',') => format!("{one} {inner})"),
            _ => format!("{one} ({inner})"),
        });
        let both = (inner.clone(), two, inner.clone())
            .prop_map(|(left, two, right)| format!("({left}) {two} ({right})"));
        let subquery = (over.clone(), inner, span())
            .prop_map(|(over, inner, span)| format!("{over}(({inner})[{span}:20s])"));
        prop_oneof![called, both, subquery]
    })
}

/// What each step has, asked anew. `end()` and `start()` are those of the range.
fn step_by_step(query: &str, memory: &Memory, steps: &[i64]) -> Option<Points> {
    let end = steps.last()?.to_string();
    let query = parse(&query.replace("end()", &end)).unwrap();
    let mut points = Points::new();
    for at in steps {
        let moment = WallTime::from_millis(at * 1000);
        let answer = instant(&query, memory, moment, &Options::default()).ok()?;
        let Value::Vector(all) = answer.value else { panic!("{query} is no vector") };
        points.extend(all.into_iter().map(|(labels, point)| ((labels, *at), point.value)));
    }
    Some(points)
}

fn at_once(query: &str, memory: &Memory, steps: &[i64]) -> Option<Points> {
    let at = |seconds: Option<&i64>| WallTime::from_millis(seconds.unwrap() * 1000);
    let (from, to, step) = (at(steps.first()), at(steps.last()), Duration::from_secs(30));
    let query = parse(query).unwrap();
    let answer = range(&query, memory, from, to, step, &Options::default()).ok()?;
    let Value::Matrix(all) = answer.value else { panic!("{query} is no matrix") };
    let points = all.into_iter().flat_map(|series| {
        let labels = series.labels;
        let point = move |p: highwater_core::series::Point| {
            ((labels.clone(), p.at.millis() / 1000), p.value)
        };
        series.points.into_iter().map(point).collect::<Vec<_>>()
    });
    Some(points.collect())
}

fn is_near(a: f64, b: f64) -> bool {
    a.is_nan() && b.is_nan() || a.total_cmp(&b).is_eq() || (a - b).abs() <= 1e-9 * a.abs().max(1.0)
}

proptest! {
    #[test]
    fn a_walk_gives_what_each_step_gives(
        first in samples(), second in samples(), third in samples(), query in vector(),
    ) {
        let lines = [
            format!("m{{a=\"1\"}} {first}"),
            format!("m{{a=\"2\"}} {second}"),
            format!("n{{a=\"1\",b=\"x\"}} {third}"),
        ];
        let lines = lines.each_ref().map(String::as_str);
        let memory = Memory::from(0, &lines);
        let steps = (0..30).map(|step| step * 30 - 60).collect::<Vec<_>>();
        let (slow, quick) =
            (step_by_step(&query, &memory, &steps), at_once(&query, &memory, &steps));
        // A conflict at one step fails both; what was found before it does not count.
        prop_assert_eq!(slow.is_some(), quick.is_some(), "{}", query);
        if let (Some(slow), Some(quick)) = (slow, quick) {
            prop_assert!(slow.keys().eq(quick.keys()), "{query}\n{slow:?}\n{quick:?}");
            for ((place, slow), quick) in slow.iter().zip(quick.values()) {
                prop_assert!(is_near(*slow, *quick), "{query} at {place:?}: {slow}, {quick}");
            }
        }
    }

    /// A window with a condition is made only where the condition holds; one that also stands in an
    /// `or` is made everywhere.
    #[test]
    fn a_window_with_a_condition_gives_what_it_gives_without(
        first in samples(), second in samples(), third in samples(), side in vector(),
        over in prop::sample::select(vec!["deriv", "avg_over_time", "last_over_time", "delta"]),
        range in span(), bound in -20_i32..60, and in prop::sample::select(vec!["and", "and on (a)"]),
    ) {
        let lines = [
            format!("m{{a=\"1\"}} {first}"),
            format!("m{{a=\"2\"}} {second}"),
            format!("n{{a=\"1\",b=\"x\"}} {third}"),
        ];
        let lines = lines.each_ref().map(String::as_str);
        let memory = Memory::from(0, &lines);
        let steps = (0..30).map(|step| step * 30 - 60).collect::<Vec<_>>();
        let window = format!("{over}(m[{range}]) < {bound}");
        let narrow = at_once(&format!("({window}) {and} ({side}) and m"), &memory, &steps);
        let whole = at_once(&format!("(({window}) or ({window})) {and} ({side}) and m"), &memory, &steps);
        prop_assert_eq!(format!("{narrow:?}"), format!("{whole:?}"), "{} {} {}", window, and, side);
    }
}
