//! What is known to differ between Prometheus 2.42 and the semantics of 3.x, and by which rule.

/// A way to ask (`instant`, `range`, or both: the empty text), a query, and the rule.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("", "demo_temperature_celsius atan2 2", ATAN2),
    (
        "",
        "demo_temperature_celsius{sensor=\"inlet\"} atan2 ignoring(sensor) \
         demo_temperature_celsius{sensor=\"outlet\"}",
        ATAN2,
    ),
    ("range", "max_over_time(max_over_time(demo_temperature_celsius[5m:1m])[20m:3m])", EDGE),
    ("", "demo_up offset 5", SECONDS),
    ("", "1_000", UNDERSCORE),
];

const EDGE: &str =
    "the inner subquery is asked at whole minutes, where 2.42 takes the left edge in";
const SECONDS: &str = "3.x takes a number for seconds, 2.42 wants a unit";
const UNDERSCORE: &str = "3.x reads underscores within numbers";
const ATAN2: &str = "2.42 keeps the metric's name in atan2, 3.x drops it as in every calculation";

/// The rule that makes the answers to a query differ.
pub(super) fn reason(expr: &str, way: &str) -> Option<&'static str> {
    let mut known = DIFFERENT.iter();
    let found = known.find(|(ways, query, _)| *query == expr && (ways.is_empty() || *ways == way));
    found.map(|(_, _, reason)| *reason)
}
