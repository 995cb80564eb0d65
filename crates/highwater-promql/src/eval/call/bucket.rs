//! `histogram_quantile` and `histogram_fraction` over classic histograms.

use std::collections::HashMap;

use highwater_core::series::{Labels, NAME};
use highwater_core::text::quoted;

use crate::error::Error;
use crate::eval::row::{Column, Row};
use crate::eval::{Evaluated, Evaluator, Grid};
use crate::functions::date::rfc_3339;
use crate::functions::histogram::{Bucket, Repair, fraction, quantile};
use crate::number::general;
use crate::plan::Node;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// All repairs of one histogram's counts, told as one.
pub(in crate::eval) struct Repairs {
    lowest: f64,
    highest: f64,
    largest: f64,
    times: usize,
    first: i64,
    last: i64,
}

impl Repairs {
    /// What Prometheus tells of it.
    pub(in crate::eval) fn text(&self, name: &str) -> String {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(" for metric name {}", quoted(name.as_bytes()))
        };
        let (first, last) = (rfc_3339(self.first), rfc_3339(self.last));
        format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\
             {name}, from buckets {} to {}, with a max diff of {}, over {} samples from {first} to \
             {last}",
            general(self.lowest),
            general(self.highest),
            two_digits(self.largest),
            self.times,
        )
    }
}

/// A number with two digits that count, as `%.2g` writes it.
fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    let exponent = if rounded == 0.0 { 0.0 } else { rounded.abs().log10().floor() };
    if (-4.0..2.0).contains(&exponent) {
        return general(rounded);
    }
    let text = format!("{rounded:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

/// The buckets of one histogram.
struct Histogram {
    labels: Labels,
    drops: bool,
    rows: Vec<(f64, Row)>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, args: &[Node], grid: Grid) -> Evaluated<Vec<Row>> {
        let [q_node, vector] = args else {
            return Err(Error::execution("histogram_quantile takes two arguments"));
        };
        let q = self.scalar(q_node, grid)?;
        for value in q.values() {
            self.check_quantile(*value, q_node.at);
        }
        let found = self.histograms(vector, grid)?;
        let mut rows = Vec::with_capacity(found.len());
        for histogram in found {
            let row = self.quantiles(&q, &histogram, (vector.at, grid))?;
            rows.push(row);
        }
        self.merged(rows, grid)
    }

    fn quantiles(
        &mut self,
        q: &Column,
        histogram: &Histogram,
        (at, grid): (usize, Grid),
    ) -> Evaluated<Row> {
        let late = self.options.delayed_name_removal;
        let name = if late { histogram.labels.get(NAME).to_owned() } else { String::new() };
        let mut row = histogram.row();
        for step in histogram.steps() {
            let mut buckets = histogram.buckets(step);
            if buckets.is_empty() {
                continue;
            }
            self.worked(buckets.len())?;
            let (value, repair) = quantile(q.get(step), &mut buckets);
            row.push(step, value);
            if let Some(repair) = repair {
                self.repaired((at, name.clone()), repair, grid.at(step));
            }
        }
        self.drop_name(&mut row);
        self.hold(row.len())?;
        Ok(row)
    }

    fn repaired(&mut self, whose: (usize, String), repair: Repair, at: i64) {
        let Repair { lowest, highest, largest } = repair;
        let new = Repairs { lowest, highest, largest, times: 0, first: at, last: at };
        let all = self.notes.repairs.entry(whose).or_insert(new);
        all.lowest = all.lowest.min(lowest);
        all.highest = all.highest.max(highest);
        all.largest = all.largest.max(largest);
        (all.first, all.last) = (all.first.min(at), all.last.max(at));
        all.times = all.times.saturating_add(1);
    }

    pub(super) fn histogram_fraction(&mut self, args: &[Node], grid: Grid) -> Evaluated<Vec<Row>> {
        let [lower, upper, vector] = args else {
            return Err(Error::execution("histogram_fraction takes three arguments"));
        };
        let (lower, upper) = (self.scalar(lower, grid)?, self.scalar(upper, grid)?);
        let mut rows = Vec::new();
        for histogram in self.histograms(vector, grid)? {
            let mut row = histogram.row();
            for step in histogram.steps() {
                let mut buckets = histogram.buckets(step);
                self.worked(buckets.len())?;
                if !buckets.is_empty() {
                    row.push(step, fraction(lower.get(step), upper.get(step), &mut buckets));
                }
            }
            self.drop_name(&mut row);
            self.hold(row.len())?;
            rows.push(row);
        }
        self.merged(rows, grid)
    }

    /// The histograms of a vector, in the order in which they come. A row without a bound is none.
    fn histograms(&mut self, node: &Node, grid: Grid) -> Evaluated<Vec<Histogram>> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut found: Vec<Histogram> = Vec::new();
        let rows = self.vector(node, grid)?;
        // What comes of them is never more than they are, and they are gone soon.
        self.release(rows.iter().fold(0, |sum: usize, row| sum.saturating_add(row.len())));
        for row in rows {
            let bound = row.labels.get(BOUND);
            let Some(upper) = bound_of(bound) else {
                self.bad_bound(&row, node.at);
                continue;
            };
            let mut labels = row.labels.clone();
            labels.set(BOUND, "");
            let place = *places.entry(labels.clone()).or_insert(found.len());
            if place == found.len() {
                found.push(Histogram { labels, drops: row.drops, rows: Vec::new() });
            }
            if let Some(histogram) = found.get_mut(place) {
                histogram.rows.push((upper, row));
            }
        }
        Ok(found)
    }

    fn bad_bound(&mut self, row: &Row, at: usize) {
        let late = self.options.delayed_name_removal;
        let name = Some(row.labels.get(NAME)).filter(|name| late && !name.is_empty());
        let name = name.map(|name| format!(" for metric name {}", quoted(name.as_bytes())));
        let text = format!(
            "bucket label \"le\" is missing or has a malformed value of {}{}",
            quoted(row.labels.get(BOUND).as_bytes()),
            name.unwrap_or_default()
        );
        self.warn(at, text);
    }
}

/// A bound as Go reads numbers.
fn bound_of(text: &str) -> Option<f64> {
    // Rust reads the same words for infinity and not-a-number, in any case and with a sign.
    text.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

impl Histogram {
    fn row(&self) -> Row {
        let mut row = Row::new(self.labels.clone());
        row.drops = self.drops;
        row
    }

    fn steps(&self) -> std::ops::Range<usize> {
        let spans = self.rows.iter().map(|(_, row)| row.span());
        let whole = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        whole.map_or(0..0, |(from, to)| from..to)
    }

    fn buckets(&self, step: usize) -> Vec<Bucket> {
        let all = self.rows.iter();
        let there = all.filter_map(|(upper, row)| Some((*upper, row.get(step)?)));
        there.map(|(upper, count)| Bucket { upper, count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_written_as_go_does() {
        let texts = [2.0, 0.123, 12.0, 123.0, 1e-9, 0.0].map(two_digits);
        assert_eq!(texts, ["2", "0.12", "12", "1.2e+02", "1e-09", "0"]);
    }
}
