//! A hundred thousand random steps, beside a plain model of what a history is.
//!
//! ```text
//! World ── the next step ──┬─► Store (ticks, batches, chunks) ─► Reader ─┐
//!   a seed's machine       └─► Memory (lists of samples)       ──────────┴─► the same, or a failure
//! ```
//!
//! A failure names its seed and the fewest steps after which it shows.

mod judge;
mod memory;
mod play;
mod world;

use play::{Checks, play};

/// How many steps each test takes; four of them run beside each other.
const STEPS: usize = 25_000;

/// How many steps one history lives: longer than any span that is kept.
const LIFE: usize = 5_000;

/// How often all is compared.
const CHECK_EVERY: usize = 500;

fn run(first_seed: u64) {
    for life in 0..STEPS / LIFE {
        let seed = first_seed + u64::try_from(life).unwrap();
        let Err(failure) = play(seed, LIFE, Checks::Every(CHECK_EVERY)) else { continue };
        let (steps, what) = shrink(seed, failure.step, failure.what);
        panic!("seed {seed}, after {steps} steps: {what}");
    }
}

/// The fewest steps after which it shows, as far as halving finds them.
fn shrink(seed: u64, failed: usize, mut what: String) -> (usize, String) {
    let (mut good, mut bad) = (failed.saturating_sub(CHECK_EVERY), failed);
    while good + 1 < bad {
        let steps = usize::midpoint(good, bad);
        match play(seed, steps, Checks::AtTheEnd) {
            Ok(()) => good = steps,
            Err(failure) => (bad, what) = (steps, failure.what),
        }
    }
    (bad, what)
}

#[test]
fn first_quarter_of_the_steps() {
    run(1_000);
}

#[test]
fn second_quarter_of_the_steps() {
    run(2_000);
}

#[test]
fn third_quarter_of_the_steps() {
    run(3_000);
}

#[test]
fn last_quarter_of_the_steps() {
    run(4_000);
}

/// One life with a seed of one's own: `HIGHWATER_MODEL=seed:steps`, to look at a failure.
#[test]
fn a_life_that_was_asked_for() {
    let Ok(asked) = std::env::var("HIGHWATER_MODEL") else { return };
    let (seed, steps) = asked.split_once(':').unwrap();
    let failure = play(seed.parse().unwrap(), steps.parse().unwrap(), Checks::AtTheEnd);
    if let Err(failure) = failure {
        panic!("after {} steps: {}", failure.step, failure.what);
    }
}
