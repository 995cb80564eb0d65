//! The canonical form, and what is pinned.

use highwater_core::time::WallTime;
use highwater_promql::{ValueType, parse};

#[test]
fn queries_are_written_canonically_and_read_again() {
    for (text, form) in [
        (
            "sum(rate(a{b='c',d!~\"e\"}[5m]offset 1m))by(x)",
            "sum by (x) (rate(a{b=\"c\",d!~\"e\"}[5m] offset 1m))",
        ),
        ("a+on(x)group_left(y)b", "a + on (x) group_left (y) b"),
        ("a>bool 1", "a > bool 1"),
        ("max_over_time(a[1h:]@ 1.5)", "max_over_time(a[1h:] @ 1.500)"),
        ("a@end()offset -90m", "a @ end() offset -1h30m"),
        ("- a ^ (2)", "-a ^ (2)"),
        ("topk without(x,\"y.z\")(0x10,a)", "topk without (x, \"y.z\") (16, a)"),
        ("{\"a.b\",c=\"d\\n\"}", "{\"a.b\",c=\"d\\n\"}"),
        ("SUM(a) And b", "sum(a) and b"),
        ("holt_winters(a[1h], 0.5, .1)", "holt_winters(a[1h], 0.5, 0.1)"),
        ("a{or=\"x\", by=\"y\"}", "a{or=\"x\",by=\"y\"}"),
        ("sum by (on, bool) (group)", "sum by (on, bool) (group)"),
    ] {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(query.to_string(), form);
        assert_eq!(parse(form).unwrap().to_string(), form);
    }
}

#[test]
fn types_calls_and_pins_are_told() {
    let query = parse("rate(a[5m]) + sum_over_time(abs(b)[1h:] @ 7)").unwrap();
    assert_eq!(query.result_type(), ValueType::Vector);
    assert_eq!(query.calls(), ["rate", "sum_over_time", "abs"]);
    let pinned = query.pinned(WallTime::from_millis(1_500)).to_string();
    assert_eq!(pinned, "rate(a[5m] @ 1.500) + sum_over_time(abs(b)[1h:] @ 7.000)");
    assert_eq!(parse("(1)").unwrap().result_type(), ValueType::Scalar);
    assert_eq!(parse("a[1h:]").unwrap().result_type(), ValueType::Matrix);
}

#[test]
fn what_is_no_promql_is_told_with_its_place() {
    for wrong in [
        "sum(",
        "a b",
        "a[",
        "a[5]]",
        "a{b}",
        "1 == 1",
        "a offset",
        "rate(a)",
        "foo(a)",
        "a @ b",
        "sum by (x)",
        "a and 1",
        "a[5m:1m][5m]",
        "a[0]",
        "a[-5m]",
        "a[Inf]",
        "a[1e300]",
        "-\"x\"",
        "a + on(x) group_left(x) b",
        "time() and a",
        "a offset 1e300",
        "a @ 1e300",
        "topk(a)",
    ] {
        let error = parse(wrong).unwrap_err();
        assert_eq!(error.kind.word(), "bad_data", "{wrong}");
        assert!(error.text.contains("parse error") || error.refusal.is_some(), "{wrong}: {error}");
    }
}
