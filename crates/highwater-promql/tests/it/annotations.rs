//! What is told beside the values, with its place in the text.

use super::memory::Memory;

#[test]
fn notes_name_what_they_are_about_and_where_it_stands() {
    let up = Memory::from(0, &["up 0 1 2", "h_bucket{le=\"1\"} 1 4", "h_bucket{le=\"+Inf\"} 1 3"]);
    let answer = up.ask("1 +\n rate(up[1m])", 20).unwrap();
    assert_eq!(
        answer.infos,
        ["PromQL info: metric might not be a counter, name does not end in \
             _total/_sum/_count/_bucket: \"up\" (2:7)"]
    );
    let answer = up.ask("quantile(1.5, up) + quantile_over_time(NaN, up[1m])", 20).unwrap();
    assert_eq!(
        answer.warnings,
        [
            "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)",
            "PromQL warning: quantile value should be between 0 and 1, got NaN (1:40)"
        ]
    );
    let answer = up.ask("histogram_quantile(0.5, h_bucket)", 10).unwrap();
    assert_eq!(
        answer.infos,
        ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), \
             from buckets +Inf to +Inf, with a max diff of 1, over 1 samples from \
             1970-01-01T00:00:10Z to 1970-01-01T00:00:10Z (1:25)"]
    );
    let answer = up.ask("histogram_quantile(0.5, up)", 10).unwrap();
    assert_eq!(
        answer.warnings,
        ["PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:25)"]
    );
}

#[test]
fn nothing_is_told_of_what_is_right() {
    let up = Memory::from(0, &["up_total 0 1 2"]);
    let answer = up.ask("sort(rate(up_total[1m]))", 20).unwrap();
    assert!(answer.infos.is_empty() && answer.warnings.is_empty());
}
