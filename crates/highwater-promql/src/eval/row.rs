//! Rows and columns: the values of one series, or of a scalar, at all steps.

use highwater_core::series::{Labels, Point, STALE, Series, is_stale};
use highwater_core::time::WallTime;

use super::Grid;

/// One series over all steps. A gap is the mark of an end, which no evaluation can give: those of
/// samples are left out when they are read, and arithmetic makes another not-a-number of it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// Whether its name goes at the end, where names are dropped late.
    pub(super) drops: bool,
    /// The step of the first value.
    from: usize,
    values: Vec<f64>,
}

impl Row {
    pub(super) const fn new(labels: Labels) -> Self {
        Self { labels, drops: false, from: 0, values: Vec::new() }
    }

    /// The same value at every step.
    pub(super) fn same(labels: Labels, value: f64, grid: Grid) -> Self {
        Self { labels, drops: false, from: 0, values: vec![value; grid.count] }
    }

    /// Puts a value behind all others; steps rise.
    pub(super) fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.from = step;
        }
        let place = step.saturating_sub(self.from);
        self.values.resize(place.max(self.values.len()), STALE);
        self.values.push(value);
    }

    /// Puts a value into a range of steps.
    pub(super) fn fill(&mut self, from: usize, to: usize, value: f64) {
        if from >= to {
            return;
        }
        self.push(from, value);
        let len = to.saturating_sub(self.from);
        self.values.resize(len.max(self.values.len()), value);
    }

    /// The value at a step.
    pub(super) fn get(&self, step: usize) -> Option<f64> {
        let value = self.values.get(step.checked_sub(self.from)?)?;
        (!is_stale(*value)).then_some(*value)
    }

    /// The values with their steps.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let steps = self.from..;
        steps.zip(self.values.iter().copied()).filter(|(_, value)| !is_stale(*value))
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The steps between which there are values.
    pub(super) fn span(&self) -> (usize, usize) {
        (self.from, self.from.saturating_add(self.values.len()))
    }

    /// Makes another value of each.
    pub(super) fn map(&mut self, make: impl Fn(f64) -> f64) {
        for value in self.values.iter_mut().filter(|value| !is_stale(**value)) {
            *value = make(*value);
        }
    }

    /// Makes another value of each, or a gap.
    pub(super) fn filter_map(&mut self, mut make: impl FnMut(usize, f64) -> Option<f64>) {
        let steps = self.from..;
        for (step, value) in steps.zip(&mut self.values).filter(|(_, value)| !is_stale(**value)) {
            *value = make(step, *value).unwrap_or(STALE);
        }
    }

    /// Takes in the values of another row; false if both have one at some step.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        if self.iter().any(|(step, _)| other.get(step).is_some()) {
            return false;
        }
        let (mine, its) = (self.span(), other.span());
        let mut merged = Self::new(Labels::default());
        for step in mine.0.min(its.0)..mine.1.max(its.1) {
            if let Some(value) = self.get(step).or_else(|| other.get(step)) {
                merged.push(step, value);
            }
        }
        (self.from, self.values) = (merged.from, merged.values);
        true
    }

    /// The row as samples.
    pub(super) fn points(&self, grid: Grid) -> Vec<Point> {
        let at = |step| WallTime::from_millis(grid.at(step));
        self.iter().map(|(step, value)| Point { at: at(step), value }).collect()
    }
}

/// A scalar over all steps.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// The same at every step.
    Same(f64),
    /// One for each step.
    Each(Vec<f64>),
}

impl Column {
    pub(super) fn get(&self, step: usize) -> f64 {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// All its values; one if they are the same.
    pub(super) fn values(&self) -> &[f64] {
        match self {
            Self::Same(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }

    pub(super) fn map(mut self, make: impl Fn(f64) -> f64) -> Self {
        match &mut self {
            Self::Same(value) => *value = make(*value),
            Self::Each(values) => values.iter_mut().for_each(|value| *value = make(*value)),
        }
        self
    }

    pub(super) fn with(&self, other: &Self, grid: Grid, make: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Same(a), Self::Same(b)) => Self::Same(make(*a, *b)),
            _ => Self::Each((0..grid.count).map(|i| make(self.get(i), other.get(i))).collect()),
        }
    }

    /// The scalar as a series without labels.
    pub(super) fn series(&self, grid: Grid) -> Series {
        let point =
            |step| Point { at: WallTime::from_millis(grid.at(step)), value: self.get(step) };
        Series { labels: Labels::default(), points: (0..grid.count).map(point).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_gaps_and_take_each_other_in() {
        let mut row = Row::new(Labels::default());
        row.push(3, 1.0);
        row.push(5, f64::NAN);
        row.fill(6, 8, 2.0);
        assert_eq!((row.len(), row.span()), (4, (3, 8)));
        assert_eq!((row.get(2), row.get(3), row.get(4)), (None, Some(1.0), None));
        assert!(row.get(5).unwrap().is_nan());
        let mut other = Row::new(Labels::default());
        other.push(1, 7.0);
        other.push(4, 8.0);
        assert!(row.absorb(&other));
        assert_eq!(row.len(), 6);
        assert_eq!((row.get(1), row.get(4), row.get(7)), (Some(7.0), Some(8.0), Some(2.0)));
        assert!(!row.absorb(&other));
    }
}
