//! Processes that come and go all the time, and whether a monitor's memory stays what it was.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::clock;

/// How often a batch is started.
const BEAT: Duration = Duration::from_millis(50);

/// What is started: it lives for a while, so that some are seen alive by a monitor that looks every
/// few seconds.
const PROGRAM: (&str, &str) = ("sleep", "0.3");

/// Starts short-lived processes. Dropping it ends them.
pub(super) struct Churn {
    each: usize,
    alive: Vec<Child>,
    /// How many were started.
    pub(super) started: usize,
}

impl Churn {
    /// So many a second.
    pub(super) fn new(rate: usize) -> Self {
        let beats = 1000 / usize::try_from(BEAT.as_millis()).unwrap_or(1000).max(1);
        Self { each: rate.div_ceil(beats.max(1)), alive: Vec::new(), started: 0 }
    }

    /// Goes on for `span`.
    pub(super) fn run(&mut self, span: Duration) -> anyhow::Result<()> {
        let began = clock::now();
        let mut next = Duration::ZERO;
        while next < span {
            thread::sleep(next.saturating_sub(began.elapsed()));
            self.alive.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
            for _ in 0..self.each {
                let (program, argument) = PROGRAM;
                let mut short = Command::new(program);
                short.arg(argument).stdin(Stdio::null());
                self.alive.push(short.spawn().context("cannot start a short-lived process")?);
                self.started += 1;
            }
            next += BEAT;
        }
        Ok(())
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        for child in &mut self.alive {
            // Most have ended by themselves.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// What something was while it was watched: its middle in the second quarter, when all that has to
/// be learned once is learned, and in the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) early: f64,
    pub(super) late: f64,
}

impl Course {
    /// Of at least eight readings.
    pub(super) fn of(readings: &[f64]) -> Option<Self> {
        let quarter = readings.len() / 4;
        if quarter < 2 {
            return None;
        }
        let early = median(readings.get(quarter..quarter * 2)?)?;
        let late = median(readings.get(readings.len() - quarter..)?)?;
        Some(Self { early, late })
    }

    /// Whether it has not grown by more than a share of itself and an amount.
    pub(super) fn is_flat(self, share: f64, amount: f64) -> bool {
        self.late <= self.early * (1.0 + share) + amount
    }
}

fn median(readings: &[f64]) -> Option<f64> {
    let mut sorted = readings.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_once_does_not_count_as_growth() {
        let readings: Vec<f64> = [1.0, 2.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0].into();
        let course = Course::of(&readings).unwrap();
        assert_eq!(course, Course { early: 9.0, late: 9.0 });
        assert!(course.is_flat(0.0, 0.0));
    }

    #[test]
    fn steady_growth_is_not_flat() {
        let readings: Vec<f64> = (0..40).map(f64::from).collect();
        let course = Course::of(&readings).unwrap();
        assert_eq!(course, Course { early: 15.0, late: 35.0 });
        assert!(!course.is_flat(0.05, 1.0));
        assert_eq!(Course::of(&[1.0; 7]), None, "too few to tell");
    }
}
