//! Which sample a moment sees.

use super::memory::Memory;

#[test]
fn ranges_and_lookback_are_open_on_the_left() {
    let up = Memory::from(0, &["up 0 1 2 3 4 5 6"]);
    assert_eq!(up.at("up[20s]", 40), "up 3@30 4@40");
    assert_eq!(up.at("up", 359), "up 6");
    assert_eq!(up.at("up", 360), "");
    assert_eq!(up.at("count_over_time(up[10s])", 35), " 1");
}

#[test]
fn an_ended_series_is_gone_at_once_and_may_come_back() {
    let up = Memory::from(0, &["up 0 1 stale 3"]);
    assert_eq!(up.at("up", 20), "");
    assert_eq!(up.at("up", 30), "up 3");
    assert_eq!(up.at("count_over_time(up[1m])", 30), " 3");
    assert_eq!(up.over("up", (0, 35, 5)), "up 0@0 0@5 1@10 1@15 3@30 3@35");
}

#[test]
fn matchers_choose_and_need_something_to_choose_by() {
    let up = Memory::from(0, &["up{job=\"a\"} 1", "up{job=\"b\"} 2", "down 3"]);
    assert_eq!(up.at("up{job=~\"a|c\"}", 0), "up{job=\"a\"} 1");
    assert_eq!(up.at("up{job!~\"a.*\"}", 0), "up{job=\"b\"} 2");
    assert_eq!(up.at("{__name__=~\".+n\"}", 0), "down 3");
    assert_eq!(up.at("{\"up\", job!=\"a\"}", 0), "up{job=\"b\"} 2");
    assert!(up.at("{job=~\".*\"}", 0).contains("at least one non-empty matcher"));
    assert!(up.at("up{__name__=\"up\"}", 0).contains("must not be set twice"));
    assert!(up.at("up{job=~\"(\"}", 0).contains("error parsing regexp"));
}

#[test]
fn offsets_and_fixed_moments_move_what_is_seen() {
    let up = Memory::from(0, &["up 0 1 2 3 4 5 6"]);
    assert_eq!(up.at("up offset 20s", 60), "up 4");
    assert_eq!(up.at("up offset -20s", 20), "up 4");
    assert_eq!(up.at("up @ 10", 60), "up 1");
    assert_eq!(up.at("up @ 10 offset -20s", 60), "up 3");
    assert_eq!(up.over("up @ end()", (0, 20, 10)), "up 2@0 2@10 2@20");
    assert_eq!(up.over("sum_over_time(up[20s] @ start())", (20, 40, 10)), " 3@20 3@30 3@40");
}

#[test]
fn before_the_epoch_is_a_moment_like_others() {
    let up = Memory::from(-40, &["up 0 1 2 3 4 5 6"]);
    assert_eq!(up.at("up", -15), "up 2");
    assert_eq!(up.at("sum_over_time(up[25s:10s])", -15), " 3");
    assert_eq!(up.at("up @ -20", 4), "up 2");
    assert_eq!(up.at("year(vector(-1))", 4), " 1969");
}

#[test]
fn steps_of_subqueries_stand_at_their_multiples() {
    let up = Memory::from(0, &["up 0 1 2 3 4 5 6"]);
    assert_eq!(up.at("up[30s:15s]", 50), "up 3@30 4@45");
    assert_eq!(up.at("max_over_time(up[30s:15s] offset 10s)", 50), " 3");
    assert_eq!(up.at("count_over_time(up[2m:])", 60), " 2");
    assert_eq!(
        up.over("sum_over_time(rate(up[20s])[20s:10s])", (40, 60, 10)),
        " 0.2@40 0.2@50 0.2@60"
    );
}
