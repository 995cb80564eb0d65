//! Courses of owners that are well: nobody is accused, whenever one looks.

use highwater_core::series::Point;
use highwater_core::time::WallTime;
use highwater_detect::{Course, Verdict, judge};

use crate::courses::{Dice, course, day, hour, saw};

/// Everything that is said of a course, looking every `step` hours.
fn said(
    points: &[Point],
    begins: &[WallTime],
    load: &[Point],
    hours: i64,
    step: i64,
) -> Vec<Verdict> {
    let known = Course { points, begins, load, ceiling: Some(1000.0) };
    (1..=hours / step).map(|n| judge(&known, hour(n * step)).verdict).collect()
}

fn accused(said: &[Verdict]) -> bool {
    said.contains(&Verdict::Leak)
}

#[test]
fn a_daily_wave_is_cyclic_and_never_a_leak() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let height = dice.between(50.0, 250.0);
        let points = course(5, 240.0, |h| 300.0 + height * day(h) + 3.0 * dice.normal());
        let said = said(&points, &[], &[], 240, 5);
        assert!(!accused(&said), "{seed}: {height} {said:?}");
        assert_eq!(said.last(), Some(&Verdict::Cyclic), "{seed}");
    }
}

#[test]
fn collection_above_a_flat_floor_is_no_growth() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let (height, period) = (dice.between(50.0, 300.0), dice.between(0.1, 8.0));
        let points = course(5, 200.0, |h| 300.0 + height * saw(h, period) + 3.0 * dice.normal());
        let said = said(&points, &[], &[], 200, 3);
        assert!(!accused(&said), "{seed}: {height} {period} {said:?}");
    }
}

#[test]
fn what_fills_ever_more_slowly_is_no_leak() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let (height, pace) = (dice.between(100.0, 400.0), dice.between(1.0, 40.0));
        let points =
            course(5, 200.0, |h| 300.0 + height * (1.0 - (-h / pace).exp()) + 2.0 * dice.normal());
        let said = said(&points, &[], &[], 200, 3);
        assert!(!accused(&said), "{seed}: {height} {pace} {said:?}");
    }
}

#[test]
fn one_step_is_a_level_shift() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let at = dice.between(40.0, 160.0);
        let points =
            course(5, 200.0, |h| 300.0 + if h > at { 90.0 } else { 0.0 } + 3.0 * dice.normal());
        let said = said(&points, &[], &[], 200, 3);
        assert!(!accused(&said), "{seed}: {at} {said:?}");
        assert_eq!(said.last(), Some(&Verdict::LevelShift), "{seed}: {at}");
    }
}

#[test]
fn each_restart_that_warms_up_again_is_no_leak() {
    let mut dice = Dice(3);
    let begins: Vec<WallTime> = (0..10).map(|n| hour(n * 20)).collect();
    let points = course(5, 200.0, |h| {
        300.0 + 200.0 * (1.0 - (-(h % 20.0) / 2.0).exp()) + 3.0 * dice.normal()
    });
    let said = said(&points, &begins, &[], 200, 1);
    assert!(!accused(&said), "{said:?}");
}

#[test]
fn growth_with_the_load_is_growth_and_growth_beyond_it_a_leak() {
    for leak in [0.0, 1.0] {
        let mut dice = Dice(9);
        let work = |h: f64| (0.3 + day(h)) * (1.0 + h / 240.0);
        let load = course(5, 240.0, work);
        let points = course(5, 240.0, |h| 200.0 + 150.0 * work(h) + leak * h + 3.0 * dice.normal());
        let said = said(&points, &[], &load, 240, 6);
        assert_eq!(accused(&said), leak > 0.0, "{leak} {said:?}");
        let last = said.last().copied().unwrap();
        let fits =
            if leak > 0.0 { &[Verdict::Leak][..] } else { &[Verdict::Growing, Verdict::Cyclic] };
        assert!(fits.contains(&last), "{last}");
    }
}

#[test]
fn without_values_there_is_nothing_to_say() {
    let said = said(&[], &[], &[], 10, 1);
    assert!(said.iter().all(|verdict| *verdict == Verdict::Steady));
}
