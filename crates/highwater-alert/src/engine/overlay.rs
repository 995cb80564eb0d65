//! A history and, above it, what was recorded since it was read.

use std::collections::BTreeMap;

use highwater_core::series::{
    Labels, Looks, Point, Selection, Series, SeriesSource, SourceError, is_stale,
};

use super::Recorded;

/// A history with samples that are not in it yet.
pub struct Overlay<'a> {
    beneath: &'a dyn SeriesSource,
    above: BTreeMap<Labels, Vec<Point>>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("above", &self.above).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// A history as it is.
    pub const fn new(beneath: &'a dyn SeriesSource) -> Self {
        Self { beneath, above: BTreeMap::new() }
    }

    /// Lays samples over it.
    pub fn add(&mut self, samples: &[Recorded]) {
        for Recorded { labels, at, value } in samples {
            let points = self.above.entry(labels.clone()).or_default();
            // A series that ends and is made anew within a round goes on.
            points.retain(|point| point.at != *at);
            points.push(Point { at: *at, value: *value });
        }
    }

    /// What was found, which is in order of labels, with what lies above it.
    fn merged(&self, mut found: Vec<Series>, selection: &Selection) -> Vec<Series> {
        let wanted = |point: &&Point| {
            point.at >= selection.from
                && point.at <= selection.to
                && (selection.ends || !is_stale(point.value))
        };
        let mut new = Vec::new();
        for (labels, points) in &self.above {
            if !selection.matchers.iter().all(|matcher| matcher.accepts(labels)) {
                continue;
            }
            let points: Vec<Point> = points.iter().filter(wanted).copied().collect();
            let known = found.binary_search_by(|series| series.labels.cmp(labels));
            match known.ok().and_then(|at| found.get_mut(at)) {
                _ if points.is_empty() => {}
                Some(series) => put(&mut series.points, points),
                None => new.push(Series { labels: labels.clone(), points }),
            }
        }
        if !new.is_empty() {
            found.append(&mut new);
            found.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        found
    }
}

/// Puts newer samples behind older ones; of one moment the newer one counts.
fn put(points: &mut Vec<Point>, newer: Vec<Point>) {
    points.retain(|point| newer.iter().all(|new| new.at != point.at));
    points.extend(newer);
    points.sort_by_key(|point| point.at);
}

impl SeriesSource for Overlay<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        Ok(self.merged(self.beneath.select(selection)?, selection))
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        Ok(self.merged(self.beneath.select_looks(selection, looks)?, selection))
    }

    fn name(&self) -> &str {
        self.beneath.name()
    }
}
