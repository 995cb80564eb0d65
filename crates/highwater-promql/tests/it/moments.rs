//! Functions of time, and those that look at the moment itself.

use super::memory::Memory;

#[test]
fn samples_know_their_own_time_and_results_their_moment() {
    let up = Memory::from(0, &["up 0 1 2 3"]);
    assert_eq!(up.at("timestamp(up)", 35), " 30");
    assert_eq!(up.at("timestamp((up))", 35), " 30");
    assert_eq!(up.at("timestamp(up + 1)", 35), " 35");
    assert_eq!(up.over("timestamp(up @ 10)", (20, 30, 10)), " 10@20 10@30");
    assert_eq!(up.at("time()", 4), "4@4");
    assert_eq!(up.at("minute()", 3_660), " 1");
}

#[test]
fn what_is_absent_has_the_labels_it_would_have() {
    let up = Memory::from(0, &["up{job=\"a\"} 0 1 2 3"]);
    assert_eq!(up.at("absent(up{job=\"b\",x!=\"y\"})", 0), "{job=\"b\"} 1");
    assert_eq!(up.at("absent(up)", 0), "");
    assert_eq!(up.over("absent_over_time(up[5s])", (25, 40, 5)), " 1@25 1@35 1@40");
    assert_eq!(up.at("absent(sum(gone))", 0), " 1");
}

#[test]
fn scalars_are_numbers_at_every_step() {
    let up = Memory::from(0, &["up 0 1 2 3"]);
    assert_eq!(up.at("1 + 2 * 3 ^ 2 ^ 0", 4), "7@4");
    assert_eq!(up.at("-1 ^ 2", 4), "-1@4");
    assert_eq!(up.at("5m + 1_0 + 0x10", 4), "326@4");
    assert_eq!(up.over("scalar(up)", (0, 20, 10)), " 0@0 1@10 2@20");
    assert_eq!(up.over("2 > bool 1", (0, 10, 10)), " 1@0 1@10");
    assert_eq!(up.at("scalar(gone)", 0), "NaN@0");
    assert_eq!(up.at("\"text\"", 0), "text");
}

#[test]
fn a_window_that_does_not_move_is_seen_at_every_step() {
    let up = Memory::from(0, &["up 1 2 3 4"]);
    assert_eq!(up.over("sum_over_time(up[1m] @ 30)", (0, 20, 10)), " 10@0 10@10 10@20");
    assert_eq!(
        up.over("quantile_over_time(scalar(up / 4), up[1m] @ 30)", (0, 30, 30)),
        " 1.75@0 4@30"
    );
    assert_eq!(up.over("predict_linear(up[1m] @ 30, 0)", (30, 40, 10)), " 4@30 5@40");
}
