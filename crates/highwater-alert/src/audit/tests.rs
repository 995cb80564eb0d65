use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::time::WallTime;

use super::*;
use crate::backtest::tests::Told;
use crate::backtest::{Moment, Sort};

/// Why the first rule did not fire, over so many minutes.
fn told(lines: &[&str], rule: &str, minutes: i64, incidents: &[Incident]) -> Vec<(Why, String)> {
    let told = Told::new(lines, rule);
    let period = Told::period(minutes);
    let courses = told.replayed(minutes);
    let meant = |name: &str| (name == "upp").then(|| "up".to_owned());
    let scene = Scene { history: told.history(), period, incidents, meant: &meant };
    let mut doubt = Doubt::new(&courses[0], scene);
    while doubt.next().is_some() {
        doubt.go_on(scene.history);
    }
    let all = doubt.reasons(scene);
    for reason in &all {
        assert!(!reason.claim.evidence.is_empty(), "{reason:?}");
    }
    all.into_iter().map(|reason| (reason.why, reason.claim.text)).collect()
}

fn rule(expr: &str, hold: &str) -> String {
    format!("  - alert: A\n    expr: {expr}\n    for: {hold}\n")
}

fn one(lines: &[&str], expr: &str) -> (Why, String) {
    let mut all = told(lines, &rule(expr, "0s"), 5, &[]);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_bound_that_was_never_reached() {
    let (why, text) =
        one(&[r#"used_bytes{a="b"} 1048576 3145728 2097152"#], "used_bytes > 4194304");
    assert_eq!(why, Why::NeverReached);
    assert_eq!(text, "used_bytes was never above 4 MiB: 3 MiB at most, at 1970-01-01 00:00:30 UTC");
    let (_, text) = one(&["x 1 1 1"], "x == 0");
    assert_eq!(text, "x was 1 all the time, never 0");
    let (_, text) = one(&["x 5 4 6", "y 1 2 3"], "x < y");
    assert_eq!(
        text,
        "x was never below y: the difference was 2 at least, at 1970-01-01 00:00:30 UTC"
    );
    assert_eq!(told(&["x 1 9 1"], &rule("x > 5", "0s"), 5, &[]), []);
}

#[test]
fn a_hold_that_is_longer_than_what_it_waits_for() {
    let all = told(&["x 0 9 9 0 9 9 9 0"], &rule("x > 5", "2m"), 3, &[]);
    let text = "it matched 2 times, for 1 min at most: for asks for 2 min".to_owned();
    assert_eq!(all, [(Why::HoldTooLong, text)]);
}

#[test]
fn series_that_are_not_there() {
    let up = &[r#"up{job="a"} 1 1 1"#];
    assert_eq!(
        one(up, "upp == 0"),
        (Why::NoSeries, "no series is upp; did you mean up?".to_owned())
    );
    let (why, text) = one(up, r#"up{job="b"} == 0"#);
    assert_eq!(
        (why, text.as_str()),
        (Why::NoSeries, r#"no series is up{job="b"}: its job is "a""#)
    );
}

#[test]
fn sides_that_never_match() {
    let lines = &[r#"used{host="a"} 1 1"#, r#"size{node="a"} 2 2"#];
    let (why, text) = one(lines, "used / size > 0.4");
    assert_eq!(why, Why::LabelsDiffer);
    assert_eq!(
        text,
        r#"labels of used and size never match: host is "a" left and not there right; node is not there left and "a" right"#
    );
    let lines = &[r#"used{host="a"} 1 1"#, r#"size{host="b"} 2 2"#];
    assert!(
        one(lines, "used / on (host) size > 0.4").1.ends_with(r#"host is "a" left and "b" right"#)
    );
}

#[test]
fn a_sum_that_hides_a_part() {
    let lines = &[r#"up{i="a"} 1 1 0 1"#, r#"up{i="b"} 1 1 1 1"#];
    let all = told(lines, &rule("sum(up) == 0", "0s"), 2, &[]);
    assert_eq!(all[0].0, Why::Masked);
    assert_eq!(
        all[0].1,
        r#"sum(up) hides what its parts are: up == 0 held once, first of {i="a"}"#
    );
}

fn restart(host: &str) -> Incident {
    let moment = |seconds: i64, down: u64| Moment {
        at: WallTime::from_millis(seconds * 1000),
        down: Some(Duration::from_secs(down)),
    };
    Incident {
        sort: Sort::Restart,
        owner: format!("gateway on {host}"),
        labels: Labels::new([("instance", host), ("name", "gateway")]),
        moments: vec![moment(64, 15), moment(130, 20)],
        note: String::new(),
    }
}

#[test]
fn one_target_that_answers_for_its_twins() {
    let balancer = r#"up{instance="lb:443"} 1x10"#;
    let all = told(&[balancer], &rule("up == 0", "1m"), 5, &[restart("gw-a:1")]);
    let kinds: Vec<Why> = all.iter().map(|(why, _)| *why).collect();
    assert_eq!(kinds, [Why::OneTarget, Why::Unseen, Why::NeverReached]);
    assert!(all[0].1.starts_with("up says nothing of gateway on gw-a:1: "), "{}", all[0].1);
    assert_eq!(
        all[1].1,
        "looked at every 30 s, a downtime of 15 s to 20 s is seen with a chance of 50 to 67 %, at least \
         one of 2 with 83 %; and for 1 min asks for 3 looks in a row that find it down, which 20 s \
         never gives"
    );
    // Of itself it tells, but too seldom.
    let own = r#"up{instance="gw-a:2"} 1x10"#;
    let all = told(&[own], &rule("up == 0", "1m"), 5, &[restart("gw-a:1")]);
    let kinds: Vec<Why> = all.iter().map(|(why, _)| *why).collect();
    assert_eq!(kinds, [Why::Unseen, Why::NeverReached]);
}

#[test]
fn a_rule_about_somebody_else_is_not_blamed_for_silence() {
    let kinds = |expr: &str| -> Vec<Why> {
        let lines =
            [r#"up{instance="db:1",job="db"} 1x10"#, r#"up{instance="lb:1",job="gateway"} 1x10"#];
        let all = told(&lines, &rule(expr, "1m"), 5, &[restart("gw-a:1")]);
        all.into_iter().map(|(why, _)| why).collect()
    };
    assert_eq!(kinds(r#"up{job="db"} == 0"#), [Why::NeverReached]);
    let blamed = [Why::OneTarget, Why::Unseen, Why::NeverReached];
    assert_eq!(kinds(r#"up{job=~"gate.*"} == 0"#), blamed);
}

#[test]
fn a_trend_over_too_short_a_span() {
    // 1 MiB a minute; 10 MiB in ten.
    let course = &["free_bytes 4194304000-524288x240"];
    let expr = "free_bytes - free_bytes offset 10m < -104857600";
    let all = told(course, &rule(expr, "0s"), 120, &[]);
    assert_eq!(all[0].0, Why::ShortTrend, "{all:?}");
    assert_eq!(
        all[0].1,
        "10 min is too short for what goes on: free_bytes falls by 1.41 GiB a day, which is 10 MiB in \
         10 min; the bound of 100 MiB is 14.1 GiB a day"
    );
    assert_eq!(all[1].0, Why::NeverReached);
}

#[test]
fn conditions_that_never_meet() {
    let all = told(&["x 0 9 0 0", "y 0 0 9 0"], &rule("x > 5 and y > 5", "0s"), 2, &[]);
    assert_eq!(all[0].0, Why::Apart, "{all:?}");
}
