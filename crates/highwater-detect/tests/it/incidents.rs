//! The shapes of incidents that must be found, and when.

use highwater_detect::{Course, Judgement, Verdict, judge};

use crate::courses::{Dice, course, day, hour, saw};

const MIB: f64 = 1024.0 * 1024.0;

/// Less than a quarter off.
fn near(got: f64, truth: f64, share: f64) -> bool {
    (got / truth - 1.0).abs() <= share
}

fn days_left(judgement: &Judgement, ceiling: f64) -> f64 {
    judgement.left_to(ceiling).map_or(f64::NAN, |left| left.likely.as_secs_f64() / 86_400.0)
}

#[test]
fn a_constant_123_mb_a_day_is_found_by_the_end_of_day_two() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (noise, cycle, gc) =
            (dice.between(0.5, 8.0), dice.between(0.0, 100.0), dice.between(0.0, 150.0));
        let period = dice.between(0.2, 2.0);
        let ceiling = 3500.0 * MIB;
        let points = course(5, 150.0, |h| {
            let grown = 123e6 / MIB * h / 24.0;
            let rest = cycle * day(h) + gc * saw(h, period) + noise * dice.normal();
            (700.0 + grown + rest) * MIB
        });
        let points: Vec<_> = points.into_iter().filter(|_| dice.share() > 0.03).collect();
        let known = Course { points: &points, begins: &[], load: &[], ceiling: Some(ceiling) };
        for at in [48, 53, 60, 71, 96, 150] {
            let judgement = judge(&known, hour(at));
            let made = format!("{seed} at {at}: {cycle} {gc} {period} {judgement:#?}");
            assert_eq!(judgement.verdict, Verdict::Leak, "{made}");
            let rate = judgement.rate.unwrap().per_hour * 24.0;
            assert!(near(rate, 123e6, 0.15), "{rate} {made}");
            let top = (700.0 + cycle + gc) * MIB;
            let truth = (ceiling - top) / 123e6 - f64::from(u32::try_from(at).unwrap()) / 24.0;
            assert!(near(days_left(&judgement, ceiling), truth, 0.25), "{truth} {made}");
        }
    }
}

#[test]
fn who_grew_and_has_died_grows_no_more() {
    let mut dice = Dice(3);
    let alive = |h: f64, dice: &mut Dice| (300.0 + 20.0 * h + 4.0 * dice.normal()) * MIB;
    let points = course(1, 72.0, |h| if h < 71.9 { alive(h, &mut dice) } else { 0.0 });
    let known = Course { points: &points, begins: &[], load: &[], ceiling: Some(4000.0 * MIB) };
    assert_eq!(judge(&known, hour(71)).verdict, Verdict::Leak);
    let dead = judge(&known, hour(72));
    assert!(!matches!(dead.verdict, Verdict::Leak | Verdict::Growing), "{dead:#?}");
}

#[test]
fn lives_of_hours_that_end_at_the_limit_are_found_within_three() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut begins = Vec::new();
        let mut lengths = Vec::new();
        let (mut begun, mut length) = (0.0, 0.0);
        let points = course(1, 18.0, |h| {
            if begins.is_empty() || h >= begun + length {
                begun = h;
                length = dice.between(4.0, 6.0);
                lengths.push(length);
                begins.push(hour(0).after(std::time::Duration::from_secs_f64(h * 3600.0)));
            }
            (180.0 + 840.0 * (h - begun) / length + 6.0 * dice.normal()) * MIB
        });
        let ceiling = 1024.0 * MIB;
        for part in [0.02, 0.3, 0.6, 0.95] {
            let third = lengths[0] + lengths[1] + part * lengths[2];
            let at = hour(0).after(std::time::Duration::from_secs_f64(third * 3600.0));
            // Whether the restarts were told or not: they end at the limit.
            for begins in [&begins[..], &[]] {
                let known = Course { points: &points, begins, load: &[], ceiling: Some(ceiling) };
                let judgement = judge(&known, at);
                let made = format!("{seed} {part} {} {judgement:#?}", begins.len());
                assert_eq!(judgement.verdict, Verdict::Leak, "{made}");
                let lives = judgement.lives.unwrap();
                assert!(lives.ended == 2 || begins.is_empty(), "{made}");
                assert_eq!(lives.at_ceiling, lives.ended, "{made}");
                let mean = f64::midpoint(lengths[0], lengths[1]);
                assert!(near(lives.lasted.as_secs_f64() / 3600.0, mean, 0.2), "{made}");
                if part > 0.5 {
                    let left = judgement.left_to(ceiling).unwrap().likely.as_secs_f64() / 3600.0;
                    let truth = lengths[2] * (1.0 - part);
                    assert!((left - truth).abs() < 0.2 * lengths[2], "{left} {truth} {made}");
                }
            }
        }
    }
}

#[test]
fn half_a_gigabyte_that_becomes_four_in_half_a_day_is_found_within_three_hours() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (minutes, noise, peace) = (
            [1, 5][usize::from(seed % 2 == 0)],
            dice.between(1.0, 15.0),
            [0, 30][usize::from(seed % 4 > 1)],
        );
        let before = f64::from(i32::try_from(peace).unwrap());
        let points = course(minutes, before + 12.0, |h| {
            (500.0 + 275.0 * (h - before).max(0.0) + noise * dice.normal()) * MIB
        });
        for ceiling in [None, Some(3800.0 * MIB)] {
            let known = Course { points: &points, begins: &[], load: &[], ceiling };
            for at in [3, 4, 6, 8, 10, 12] {
                let judgement = judge(&known, hour(peace + at));
                let made = format!("{seed} at {at} of {peace}, {minutes}: {judgement:#?}");
                assert_eq!(judgement.verdict, Verdict::Leak, "{made}");
                let rate = judgement.rate.unwrap().per_hour;
                assert!(near(rate, 275.0 * MIB, 0.15), "{rate} {made}");
            }
        }
    }
}
