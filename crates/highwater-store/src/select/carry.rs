//! What a series hands on from one stretch of time to the next, when they are read one by one.

use std::collections::BTreeMap;

use highwater_core::series::{Labels, Series};

use crate::entity::Group;

/// What series hand on.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    kept: BTreeMap<Labels, Carried>,
    /// Nobody asks later: a single stretch.
    idle: bool,
    /// Which stretch this is.
    stretch: u64,
}

/// What one series hands on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// The last value of a counter as it was recorded.
    pub(super) raw: Option<f64>,
    /// What resets took away so far.
    pub(super) offset: f64,
    /// Buckets were met, so that resets are made up for.
    pub(super) bucketed: bool,
    /// The last sample of a series whose end is not marked yet.
    pub(super) alive_since: Option<i64>,
    group: Option<Group>,
    stretch: u64,
}

impl Carry {
    /// Of a single stretch.
    pub(crate) fn nothing() -> Self {
        Self { idle: true, ..Self::default() }
    }

    /// Begins the next stretch.
    pub(crate) fn next_stretch(&mut self) {
        self.stretch = self.stretch.saturating_add(1);
    }

    /// Takes out what a series handed on.
    pub(super) fn take(&mut self, labels: &Labels) -> Carried {
        if self.idle { Carried::default() } else { self.kept.remove(labels).unwrap_or_default() }
    }

    /// Keeps what a series hands on, if that is anything.
    pub(super) fn keep(&mut self, group: Group, labels: &Labels, carried: Carried) {
        if !self.idle && (carried.bucketed || carried.alive_since.is_some()) {
            let (group, stretch) = (Some(group), self.stretch);
            self.kept.insert(labels.clone(), Carried { group, stretch, ..carried });
        }
    }

    /// Marks the ends of those series of a group that had no sample in this stretch.
    pub(crate) fn mark_the_missing(&mut self, group: Group, readings: &[i64]) -> Vec<Series> {
        let (mut marked, stretch) = (vec![], self.stretch);
        for (labels, carried) in &mut self.kept {
            if carried.group != Some(group) || carried.stretch == stretch {
                continue;
            }
            let mut points = vec![];
            carried.mark_ends(&mut points, readings, group);
            if !points.is_empty() {
                marked.push(Series { labels: labels.clone(), points });
            }
        }
        marked
    }
}
