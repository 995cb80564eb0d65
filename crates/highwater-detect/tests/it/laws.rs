//! What holds of every judgement, whatever the course.

use highwater_core::series::Point;
use highwater_core::time::WallTime;
use highwater_detect::{Course, Judgement, judge};
use proptest::prelude::*;

use crate::courses::{Dice, course, day, hour, saw};

/// Any numbers at all, not-numbers among them, at any times in any order.
fn wild() -> impl Strategy<Value = Vec<Point>> {
    let value = prop_oneof![
        4 => 0.0..1e12_f64,
        1 => any::<f64>(),
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN),
    ];
    let time = prop_oneof![8 => 0_i64..4_000_000_000, 1 => any::<i64>()];
    let point =
        (time, value).prop_map(|(at, value)| Point { at: WallTime::from_millis(at), value });
    prop::collection::vec(point, 0..200)
}

fn numbers(judgement: &Judgement) -> Vec<f64> {
    let mut numbers =
        vec![judgement.confidence, judgement.current, judgement.floor, judgement.crest];
    numbers.extend(judgement.rate.iter().flat_map(|rate| [rate.per_hour, rate.low, rate.high]));
    numbers.extend(judgement.lives.iter().flat_map(|lives| [lives.scatter, lives.level_at_end]));
    numbers.extend(judgement.reasons.iter().flat_map(|reason| reason.values.iter().copied()));
    numbers
}

/// A course of the kind that seed makes: growth, cycles, collection, noise, restarts.
fn made(seed: u64) -> (Vec<Point>, Vec<WallTime>) {
    let mut dice = Dice(seed);
    let hours = dice.between(3.0, 200.0);
    let (growth, wave, gc) =
        (dice.between(-0.5, 2.0), dice.between(0.0, 50.0), dice.between(0.0, 50.0));
    let (period, noise) = (dice.between(0.1, 6.0), dice.between(0.0, 5.0));
    let points = course(10, hours, |h| {
        200.0 + growth * h + wave * day(h) + gc * saw(h, period) + noise * dice.normal()
    });
    let restarted = seed.is_multiple_of(3);
    (points, restarted.then(|| hour(50)).into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_is_a_number(points in wild(), load in wild(), begin in any::<i64>(), at in any::<i64>(), ceiling in proptest::option::of(any::<f64>())) {
        let begins = [WallTime::from_millis(begin), WallTime::from_millis(1_000_000)];
        let course = Course { points: &points, begins: &begins, load: &load, ceiling };
        for at in [at, 4_000_000_000] {
            let judgement = judge(&course, WallTime::from_millis(at));
            for number in numbers(&judgement) {
                prop_assert!(number.is_finite(), "{judgement:?}");
            }
            prop_assert!((0.0..=1.0).contains(&judgement.confidence));
            if let Some(left) = judgement.left_to(ceiling.unwrap_or(1e12)) {
                prop_assert!(left.soonest <= left.likely, "{left:?}");
                prop_assert!(left.latest.is_none_or(|latest| left.likely <= latest), "{left:?}");
            }
        }
    }

    #[test]
    fn what_comes_after_does_not_matter(seed in 0_u64..10_000, hours in 1_i64..200) {
        let (points, begins) = made(seed);
        let at = hour(hours);
        let kept: Vec<Point> = points.iter().copied().filter(|point| point.at <= at).collect();
        let known: Vec<WallTime> = begins.iter().copied().filter(|begin| *begin <= at).collect();
        let all = judge(&Course { points: &points, begins: &begins, load: &points, ceiling: Some(900.0) }, at);
        let some = judge(&Course { points: &kept, begins: &known, load: &kept, ceiling: Some(900.0) }, at);
        prop_assert_eq!(all, some);
    }

    #[test]
    fn moved_in_time_it_is_the_same(seed in 0_u64..10_000, by in -1_000_000_000_i64..1_000_000_000) {
        let (points, begins) = made(seed);
        let moved = |at: WallTime| WallTime::from_millis(at.millis() + by);
        let later: Vec<Point> = points.iter().map(|p| Point { at: moved(p.at), ..*p }).collect();
        let begun: Vec<WallTime> = begins.iter().map(|begin| moved(*begin)).collect();
        let here = judge(&Course { points: &points, begins: &begins, load: &[], ceiling: Some(900.0) }, hour(300));
        let there = judge(&Course { points: &later, begins: &begun, load: &[], ceiling: Some(900.0) }, moved(hour(300)));
        prop_assert_eq!(here.since.map(moved), there.since);
        prop_assert_eq!(here.rate, there.rate);
        prop_assert_eq!(here.verdict, there.verdict);
    }

    #[test]
    fn in_another_unit_it_is_the_same(seed in 0_u64..10_000, doublings in -20_i32..40) {
        // Powers of two, so that the arithmetic itself does not differ.
        let unit = 2.0_f64.powi(doublings);
        let (points, begins) = made(seed);
        let scaled: Vec<Point> = points.iter().map(|p| Point { value: p.value * unit, ..*p }).collect();
        let one = judge(&Course { points: &points, begins: &begins, load: &[], ceiling: Some(900.0) }, hour(300));
        let other = judge(&Course { points: &scaled, begins: &begins, load: &[], ceiling: Some(900.0 * unit) }, hour(300));
        prop_assert_eq!(one.verdict, other.verdict);
        prop_assert_eq!(one.since, other.since);
        let near = |a: f64, b: f64| (a * unit - b).abs() <= 1e-9 * b.abs();
        prop_assert!(near(one.floor, other.floor));
        if let (Some(a), Some(b)) = (one.rate, other.rate) {
            prop_assert!(near(a.per_hour, b.per_hour));
        }
    }
}
