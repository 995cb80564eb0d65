//! Readings that wait in memory for a store that does not take them.
//!
//! Bounded in bytes. When it is full every other reading goes, so that what is there reaches
//! further back instead of beginning later:
//!
//! ```text
//!   oldest  ·   ·   ·   ·  · · · · ···········  newest
//! ```

use std::collections::VecDeque;
use std::mem::size_of;

use highwater_core::frame::{CgroupSample, Frame, ProcSample, Scope, ZoneSample};
use highwater_core::sum::OwnerSample;
use highwater_core::thing::{Survey, Thing};
use highwater_core::time::Stamp;
use highwater_core::units::Bytes;

/// One reading that waits.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// What a tick saw.
    Frame(Box<Frame>),
    /// What changes slowly.
    Survey(Survey),
}

impl Reading {
    /// When it was taken.
    pub(crate) fn stamp(&self) -> Stamp {
        match self {
            Self::Frame(frame) => frame.stamp,
            Self::Survey(survey) => survey.stamp,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Frame(frame) if frame.scope == Scope::Whole => Kind::Whole,
            Self::Frame(_) => Kind::CloseUp,
            Self::Survey(_) => Kind::Survey,
        }
    }

    /// About what it takes in memory. Names that many samples share are counted once for each:
    /// rather too much than too little.
    fn size(&self) -> usize {
        match self {
            Self::Frame(frame) => {
                let names = OWNER_NAME_BYTES * frame.owners.len();
                size_of::<Frame>()
                    + room::<ZoneSample>(frame.zones.len())
                    + room::<CgroupSample>(frame.cgroups.len())
                    + room::<ProcSample>(frame.processes.len())
                    + room::<OwnerSample>(frame.owners.len())
                    + names
            }
            Self::Survey(survey) => {
                room::<Thing>(survey.things.len()) + LABELS_BYTES * survey.things.len()
            }
        }
    }
}

fn room<T>(count: usize) -> usize {
    size_of::<T>().saturating_mul(count)
}

/// What an owner's name takes beside the sample: a unit's name, or a container's id.
const OWNER_NAME_BYTES: usize = 64;

/// What the labels of a thing take: two or three pairs of short texts.
const LABELS_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    CloseUp,
    Survey,
}

/// How many kinds there are.
const KINDS: usize = 3;

/// The readings that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Backlog {
    waiting: VecDeque<(usize, Reading)>,
    size: usize,
    most: usize,
    /// How many went to make room.
    thinned: u64,
}

impl Backlog {
    /// Holds so much at most.
    pub(crate) fn new(most: Bytes) -> Self {
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        Self { waiting: VecDeque::new(), size: 0, most, thinned: 0 }
    }

    /// Holds so much at most from now on.
    pub(crate) fn bound(&mut self, most: Bytes) {
        self.most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        while self.size > self.most && self.waiting.len() > 1 {
            self.thin();
        }
    }

    /// Adds the newest reading.
    pub(crate) fn push(&mut self, reading: Reading) {
        let size = reading.size();
        while self.size.saturating_add(size) > self.most && self.waiting.len() > 1 {
            self.thin();
        }
        self.size = self.size.saturating_add(size);
        self.waiting.push_back((size, reading));
    }

    /// The oldest reading.
    pub(crate) fn first(&self) -> Option<&Reading> {
        self.waiting.front().map(|(_, reading)| reading)
    }

    /// The oldest reading is dealt with.
    pub(crate) fn pop(&mut self) {
        if let Some((size, _)) = self.waiting.pop_front() {
            self.size = self.size.saturating_sub(size);
        }
        if self.waiting.is_empty() {
            // A long failure must not keep its memory for ever.
            self.waiting = VecDeque::new();
            self.size = 0;
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What they take.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::new(u64::try_from(self.size).unwrap_or(u64::MAX))
    }

    /// How many went so far to make room.
    pub(crate) fn thinned(&self) -> u64 {
        self.thinned
    }

    /// Lets every other reading of each kind go, but never the newest of all: that one tells what
    /// is the case.
    fn thin(&mut self) {
        let before = self.waiting.len();
        let (mut whole, mut close_up, mut survey) = (false, false, false);
        let mut at = 0;
        self.waiting.retain(|(_, reading)| {
            at += 1;
            let odd = match reading.kind() {
                Kind::Whole => &mut whole,
                Kind::CloseUp => &mut close_up,
                Kind::Survey => &mut survey,
            };
            *odd = !*odd;
            // With one of each left there would be nothing to let go: then the oldest goes.
            if before <= KINDS { at > 1 } else { *odd || at == before }
        });
        self.size = self.waiting.iter().map(|(size, _)| size).sum();
        let gone = before.saturating_sub(self.waiting.len());
        self.thinned = self.thinned.saturating_add(u64::try_from(gone).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::process;
    use highwater_core::time::{BootTime, WallTime};

    fn frame(second: u64, scope: Scope) -> Reading {
        let boot = BootTime::from_micros(second * 1_000_000);
        let wall = WallTime::from_millis(i64::try_from(second * 1_000).unwrap());
        let processes = (0..20).map(|pid| process(pid, 1)).collect();
        let stamp = Stamp { wall, boot };
        Reading::Frame(Box::new(Frame { stamp, scope, processes, ..Frame::default() }))
    }

    fn seconds(backlog: &Backlog) -> Vec<u64> {
        let second = |(_, reading): &(usize, Reading)| reading.stamp().boot.micros() / 1_000_000;
        backlog.waiting.iter().map(second).collect()
    }

    #[test]
    fn readings_come_out_as_they_went_in() {
        let mut backlog = Backlog::new(Bytes::from_mib(1));
        (1..=5).for_each(|second| backlog.push(frame(second, Scope::Whole)));
        for second in 1..=5 {
            assert_eq!(backlog.first().unwrap().stamp().boot.micros(), second * 1_000_000);
            backlog.pop();
        }
        assert!(backlog.first().is_none());
        assert_eq!((backlog.len(), backlog.bytes(), backlog.thinned()), (0, Bytes::ZERO, 0));
        backlog.pop();
    }

    #[test]
    fn a_full_one_reaches_further_back_at_a_lower_resolution() {
        let most = Bytes::from_kib(256);
        let mut backlog = Backlog::new(most);
        for second in 1..=2_000 {
            backlog.push(frame(second, Scope::Whole));
            assert!(backlog.bytes() <= most);
        }
        let left = seconds(&backlog);
        assert_eq!((left.first(), left.last()), (Some(&1), Some(&2_000)));
        assert!(left.is_sorted());
        let gaps: Vec<u64> = left.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.first() > gaps.last(), "{gaps:?}");
        assert_eq!(usize::try_from(backlog.thinned()).unwrap() + left.len(), 2_000);
    }

    #[test]
    fn whole_readings_stay_among_many_close_ups() {
        let mut backlog = Backlog::new(Bytes::from_kib(128));
        for second in 1..=1_000 {
            let scope = if second % 20 == 0 { Scope::Whole } else { Scope::CloseUp };
            backlog.push(frame(second, scope));
        }
        let whole = backlog.waiting.iter().filter(|(_, reading)| reading.kind() == Kind::Whole);
        assert!(whole.count() > 0);
    }

    #[test]
    fn a_reading_larger_than_all_there_may_be_waits_alone() {
        let mut backlog = Backlog::new(Bytes::new(1));
        for second in 1..=5 {
            backlog.push(frame(second, Scope::Whole));
            backlog.push(frame(second, Scope::CloseUp));
            assert!(backlog.len() <= 2);
        }
        backlog.bound(Bytes::new(1));
        assert_eq!(seconds(&backlog), [5]);
    }
}
