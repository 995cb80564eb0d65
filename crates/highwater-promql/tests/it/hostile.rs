//! Queries that want too much, and those that want to break something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highwater_core::time::WallTime;
use highwater_promql::{ErrorKind, Options, Stop, Watch, parse, range};
use proptest::prelude::*;

use super::memory::Memory;

#[test]
fn what_nests_too_deep_or_is_too_long_is_an_error() {
    for text in [
        "(".repeat(10_000),
        format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{}1", "-".repeat(10_000)),
        format!("1{}", "^1".repeat(10_000)),
        format!("1{}", "+1".repeat(10_000)),
        "a".repeat(10 << 20),
        format!("a{}", "[1m:]".repeat(2_000)),
        format!("{}a{}", "abs(".repeat(5_000), ")".repeat(5_000)),
    ] {
        assert_eq!(parse(&text).unwrap_err().kind, ErrorKind::BadData);
    }
}

#[test]
fn the_longest_chains_that_are_read_are_evaluated() {
    let up = Memory::from(0, &["up 1"]);
    assert_eq!(up.at(&format!("up{}", " + 1".repeat(999)), 0), " 1000");
    let chain = parse(&format!("up{}", " + 1".repeat(999))).unwrap();
    assert_eq!(chain.pinned(WallTime::from_millis(0)).to_string().matches('+').count(), 999);
    assert!(chain.calls().is_empty());
    assert_eq!(up.at(&format!("1{}", " ^ 1".repeat(99)), 0), "1@0");
    assert_eq!(up.at(&format!("{}up", "-".repeat(99)), 0), " -1");
    let deep = format!("{}up{}", "abs(".repeat(99), ")".repeat(99));
    assert_eq!(up.at(&deep, 0), " 1");
}

#[test]
fn patterns_that_grow_are_refused() {
    let bomb = "up{a=~\"((x{1000}){1000}){1000}\"}";
    assert!(parse(bomb).unwrap_err().text.contains("too large"));
    let many = format!("up{{{}}}", "a=~\"b\",".repeat(200));
    assert!(parse(&many).unwrap_err().text.contains("regular expressions"));
}

#[test]
fn limits_are_told_in_prometheus_words() {
    let up = Memory::from(0, &["up 1 2 3 4 5 6 7 8 9"]);
    let too_many = "query processing would load too many samples into memory in query execution";
    let few = Options { max_samples: 5, ..Options::default() };
    assert_eq!(up.ask_with("up[2m]", 80, &few).unwrap_err().text, too_many);
    for query in [
        "vector(1)[100y:1ms]",
        "count_over_time(vector(time())[1000w:1s])",
        "absent(gone)[50y:1ms]",
    ] {
        let error = up.ask(query, 80).unwrap_err();
        assert_eq!((error.kind, error.text.as_str()), (ErrorKind::Execution, too_many), "{query}");
    }
    assert_eq!(
        up.over("up", (0, 11_001, 1)),
        "error: exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
         query resolution (?step=XX)"
    );
    assert!(up.over("up[5m]", (0, 10, 1)).contains("\"range vector\" for range query"));
    assert!(up.over("up", (10, 0, 1)).contains("before start"));
    assert!(up.over("up", (0, 10, 0)).contains("zero or negative"));
}

#[test]
fn whoever_asks_can_stop_it() {
    let up = Memory::from(0, &["up 1 2 3"]);
    for (stop, kind, word) in [
        (Stop::Timeout, ErrorKind::Timeout, "query timed out in expression evaluation"),
        (Stop::Canceled, ErrorKind::Canceled, "query was canceled in expression evaluation"),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let watch =
            Watch::new(move || (count.fetch_add(1, Ordering::Relaxed) >= 3).then_some(stop));
        let options = Options { watch: Some(watch), ..Options::default() };
        let error =
            up.ask_with("sum_over_time(vector(1)[1y:1m]) + up + up", 20, &options).unwrap_err();
        assert_eq!((error.kind, error.text.as_str()), (kind, word));
        assert!(asked.load(Ordering::Relaxed) >= 4);
    }
}

#[test]
fn no_moment_is_too_far() {
    let up = Memory::from(0, &["up 1 2 3"]);
    for at in [i64::MIN, i64::MAX, -1, 0] {
        let at = WallTime::from_millis(at);
        for query in
            ["up", "rate(up[5m])", "up[5m:1m] offset 1y", "time()", "month()", "absent(up)"]
        {
            let query = parse(query).unwrap();
            let asked = highwater_promql::instant(&query, &up, at, &Options::default());
            assert!(asked.is_ok(), "{query} at {}", at.millis());
        }
    }
    let query = parse("up").unwrap();
    let (from, to) = (WallTime::from_millis(i64::MIN), WallTime::from_millis(i64::MAX));
    assert!(range(&query, &up, from, to, Duration::MAX, &Options::default()).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        drop(parse(&text));
    }

    #[test]
    fn what_looks_like_promql_is_read_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "up", "sum", "by", "(", ")", "{", "}", "[", "]", "5m", "1", "-", "+", "offset", "@",
                "start", "end", "\"x\"", "=~", "=", ",", ":", "rate", "on", "group_left", "bool",
                "and", "or", "topk", "0x", "1e999", "inf", ".5", "#", "'", "\\", "holt_winters",
                "time", "count_values", "label_replace", "quantile", "^", "without", "==", "1y",
            ]),
            0..25,
        ),
    ) {
        let up = Memory::from(0, &["up 1 2 3"]);
        drop(up.ask(&words.join(" "), 20));
        drop(up.ask(&words.concat(), 20));
    }
}
