//! The series that both get: three hours of a small service, one sample each 15 seconds or so.
//!
//! No sample stands at a tenth of a second, so that none is on the edge of a window of whole seconds.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use highwater_core::metric::MetricKind;
use highwater_core::series::{
    Labels, Matcher, NAME, Point, STALE, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;
use highwater_store::{Import, Reader};

use super::push;
use super::server::Server;
use crate::e2e::dice::Dice;

/// When it begins: Monday 2026-01-05, midnight UTC.
pub(super) const BEGIN: WallTime = WallTime::from_millis(1_767_571_200_000);

/// So many readings, 15 s apart: three hours.
const READINGS: u32 = 720;
const INTERVAL: Duration = Duration::from_secs(15);

/// So many readings are sent at once.
const SENT_AT_ONCE: usize = 60;

const INSTANCES: [&str; 3] = ["demo-1:8080", "demo-2:8080", "demo-3:8080"];

/// What is in both.
pub(super) struct World {
    pub(super) series: Vec<Series>,
    dice: Dice,
}

impl World {
    /// The same at each call.
    pub(super) fn make() -> Self {
        let mut world = Self { series: Vec::new(), dice: Dice::of(42) };
        for (at, instance) in (0_u32..).zip(INSTANCES) {
            world.gauges(at, instance);
            world.counters(at, instance);
            world.requests(at, instance);
            world.durations(at, instance);
        }
        world.oddities();
        world.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        world
    }

    pub(super) fn samples(&self) -> usize {
        self.series.iter().map(|series| series.points.len()).sum()
    }

    /// Sends it by remote write, some readings of all series at a time.
    pub(super) fn send(&self, server: &Server) -> anyhow::Result<()> {
        let most = self.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
        for first in (0..most).step_by(SENT_AT_ONCE) {
            let part = self.series.iter().map(|series| Series {
                labels: series.labels.clone(),
                points: series.points.iter().skip(first).take(SENT_AT_ONCE).copied().collect(),
            });
            let part = part.filter(|series| !series.points.is_empty()).collect::<Vec<_>>();
            server.write(&push::request(&part))?;
        }
        Ok(())
    }

    /// Imports it into a history.
    pub(super) fn import(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut import = Import::open(dir).context("cannot make a history")?;
        for series in &self.series {
            let name = series.labels.get(NAME);
            let counts =
                ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
            let kind = if counts { MetricKind::Counter } else { MetricKind::Gauge };
            let id = import.series(&series.labels, kind, "")?;
            for point in &series.points {
                import.push(id, point.at, point.value)?;
            }
        }
        import.finish(&mut |_| {})?;
        Ok(())
    }

    /// What a history has of it: every sample as it was sent, or an error.
    pub(super) fn recall(&self, history: &Reader) -> anyhow::Result<Self> {
        let mut series = Vec::new();
        let names = self.series.iter().map(|series| series.labels.get(NAME));
        for name in names.collect::<BTreeSet<_>>() {
            let matchers = vec![Matcher::is(NAME, name)];
            let to = BEGIN.after(INTERVAL * (READINGS + 1));
            let selection = Selection { matchers, from: BEGIN, to, step: None, ends: true };
            series.extend(history.select(&selection)?);
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        for (sent, kept) in self.series.iter().zip(&series) {
            // A history marks ends itself, where it sees them: those are judged by what is asked.
            let samples = |series: &Series| {
                let kept = series.points.iter().filter(|point| !is_stale(point.value));
                kept.map(|point| (point.at, point.value.to_bits())).collect::<Vec<_>>()
            };
            let is_same = sent.labels == kept.labels && samples(sent) == samples(kept);
            ensure!(is_same, "{} was imported as another: {}", sent.labels, kept.labels);
        }
        ensure!(series.len() == self.series.len(), "{} series were imported", series.len());
        Ok(Self { series, dice: self.dice.clone() })
    }

    /// Adds a series whose value at each reading is `value`; `None`: no sample.
    fn add(&mut self, labels: Labels, mut value: impl FnMut(u32, &mut Dice) -> Option<f64>) {
        let mut points = Vec::new();
        // Each series has its own place in the interval, and each sample strays from it.
        let place = self.dice.below(10_000);
        for reading in 0..READINGS {
            let strays = self.dice.below(40) * 100 + 1 + self.dice.below(99);
            let at = BEGIN.after(INTERVAL * reading);
            let at = at.after(Duration::from_millis(place / 100 * 100 + strays));
            if let Some(value) = value(reading, &mut self.dice) {
                points.push(Point { at, value });
            }
        }
        self.series.push(Series { labels, points });
    }

    fn gauges(&mut self, at: u32, instance: &str) {
        let phase = f64::from(at);
        for (kind, size) in [("used", 6e9), ("cached", 2e9), ("buffers", 5e8), ("free", 1e9)] {
            let labels = labels("demo_memory_usage_bytes", instance, &[("type", kind)]);
            self.add(labels, |reading, dice| {
                let wave = (f64::from(reading) / 60.0 + phase).sin();
                Some((size * (1.0 + wave / 3.0) + noise(dice) * 1e6).round())
            });
        }
        for device in ["sda", "sdb", "sdc"] {
            let usage = labels("demo_disk_usage_bytes", instance, &[("device", device)]);
            self.add(usage, |reading, dice| {
                Some(1e10 + f64::from(reading) * 1e6 * (phase + 1.0) + noise(dice) * 1e5)
            });
            let total = labels("demo_disk_total_bytes", instance, &[("device", device)]);
            self.add(total, |_, _| Some(2.5e10));
        }
        let up = labels("demo_up", instance, &[]);
        self.add(up, |_, dice| Some(if dice.below(20) == 0 { 0.0 } else { 1.0 }));
        self.add(labels("demo_num_cpus", instance, &[]), |_, _| Some(4.0 + phase));
        let version = if at == 1 { "2.1.0" } else { "2.0.7" };
        let info = labels("demo_info", instance, &[("version", version), ("zone", "north")]);
        self.add(info, |_, _| Some(1.0));
        for sensor in ["inlet", "outlet"] {
            let labels = labels("demo_temperature_celsius", instance, &[("sensor", sensor)]);
            self.add(labels, |reading, dice| {
                Some((f64::from(reading) / 90.0 + phase).cos() * 12.5 - 3.0 + noise(dice))
            });
        }
        let last = labels("demo_batch_last_success_timestamp_seconds", instance, &[]);
        self.add(last, |reading, _| Some(1_767_571_200.0 + f64::from(reading / 40 * 600)));
    }

    fn counters(&mut self, at: u32, instance: &str) {
        for (mode, per_reading) in [("idle", 11.0), ("user", 3.0), ("system", 1.5), ("iowait", 0.1)]
        {
            let labels = labels("demo_cpu_usage_seconds_total", instance, &[("mode", mode)]);
            let mut total = 5000.0 * (f64::from(at) + 1.0);
            self.add(labels, |reading, dice| {
                // The second machine starts anew twice, the third once.
                let anew = (at == 1 && matches!(reading, 250 | 600)) || (at == 2 && reading == 401);
                if anew {
                    total = 0.0;
                }
                total += per_reading * (1.0 + noise(dice) / 2.0);
                Some(total)
            });
        }
    }

    fn requests(&mut self, at: u32, instance: &str) {
        for method in ["GET", "POST"] {
            for path in ["/api/foo", "/api/bar", "/home"] {
                for (status, most) in [("200", 40), ("404", 3), ("500", 1)] {
                    let parts = [("method", method), ("path", path), ("status", status)];
                    let labels = labels("demo_http_requests_total", instance, &parts);
                    let mut total = 100_000.0;
                    self.add(labels, |reading, dice| {
                        if at == 1 && reading == 333 {
                            total = 0.0;
                        }
                        total += small(dice.below(most + 1));
                        Some(total)
                    });
                }
            }
        }
    }

    /// Classic histograms. They count from a high number on, so that no window begins near zero.
    fn durations(&mut self, at: u32, instance: &str) {
        for path in ["/api/foo", "/home"] {
            let bounds = ["0.005", "0.025", "0.1", "0.5", "2.5", "+Inf"];
            for (place, bound) in (1_u32..).zip(bounds) {
                let parts = [("path", path), ("le", bound)];
                let labels = labels("demo_request_duration_seconds_bucket", instance, &parts);
                self.add(labels, |reading, _| {
                    // Even growth: buckets of one moment are taken at slightly different ones.
                    let share =
                        f64::from(place) / 6.0 + f64::from(at) / 100.0 * f64::from(6 - place);
                    Some((5e5 + f64::from(reading) * 600.0) * share.min(1.0))
                });
            }
            for (end, growth) in [("sum", 88.25), ("count", 600.0)] {
                let name = format!("demo_request_duration_seconds_{end}");
                let labels = labels(&name, instance, &[("path", path)]);
                self.add(labels, |reading, _| Some(5e5 + f64::from(reading) * growth));
            }
        }
    }

    /// Ends, gaps, and values that are no usual number.
    fn oddities(&mut self) {
        let odd = |name: &str, n: &str| Labels::new([(NAME, name), ("job", "odd"), ("n", n)]);
        for (n, end) in [("1", 200), ("2", 433), ("3", 611)] {
            self.add(odd("demo_ends", n), |reading, dice| match reading {
                _ if reading < end => Some(f64::from(reading) + noise(dice)),
                _ if reading == end => Some(STALE),
                // The second one comes back.
                _ if n == "2" && reading > 500 => Some(f64::from(reading) / 2.0),
                _ => None,
            });
        }
        for (n, every) in [("1", 3), ("2", 30), ("3", 97)] {
            self.add(odd("demo_gaps", n), |reading, _| {
                (reading / every % 2 == 0).then(|| f64::from(reading * 3 % 101))
            });
        }
        for (n, value) in [("nan", f64::NAN), ("inf", f64::INFINITY), ("ninf", f64::NEG_INFINITY)] {
            self.add(odd("demo_special", n), |_, _| Some(value));
        }
        for (n, value) in [("zero", 0.0), ("negative", -1234.5), ("tiny", 3e-300), ("huge", 2e300)]
        {
            self.add(odd("demo_special", n), |_, _| Some(value));
        }
        self.add(odd("demo_special", "mixed"), |reading, _| {
            Some(if reading % 7 == 3 { f64::NAN } else { f64::from(reading % 11) - 5.0 })
        });
        let names = ["ape", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"];
        for one in names.iter().take(5) {
            let mut labels = Labels::new([(NAME, "demo_wide"), ("job", "wide")]);
            for name in names {
                labels.set(name, format!("{one}-{name} \"ä\" \\ {}", name.len()));
            }
            self.add(labels, |reading, dice| Some(f64::from(reading % 60) + noise(dice)));
        }
    }
}

impl SeriesSource for World {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let is_wanted = |series: &&Series| {
            selection.matchers.iter().all(|matcher| matcher.accepts(&series.labels))
        };
        let found = self.series.iter().filter(is_wanted).map(|series| {
            let points = series.points.iter().filter(|point| {
                let inside = selection.from <= point.at && point.at <= selection.to;
                inside && (selection.ends || !is_stale(point.value))
            });
            Series { labels: series.labels.clone(), points: points.copied().collect() }
        });
        Ok(found.filter(|series| !series.points.is_empty()).collect())
    }

    fn name(&self) -> &'static str {
        "what was imported"
    }
}

fn labels(name: &str, instance: &str, more: &[(&str, &str)]) -> Labels {
    let mut labels = Labels::new([(NAME, name), ("job", "demo"), ("instance", instance)]);
    for (name, value) in more {
        labels.set(*name, *value);
    }
    labels
}

/// From -1 to 1.
fn noise(dice: &mut Dice) -> f64 {
    small(dice.below(2_000_001)) / 1e6 - 1.0
}

fn small(number: u64) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_in_order_and_never_at_a_tenth_of_a_second() {
        let world = World::make();
        for series in &world.series {
            assert!(series.points.is_sorted_by(|a, b| a.at < b.at), "{}", series.labels);
            assert!(series.points.iter().all(|point| point.at.millis() % 100 != 0));
        }
        assert!(world.series.is_sorted_by(|a, b| a.labels < b.labels));
        assert_eq!(world.series.len(), 3 * (4 + 6 + 3 + 2 + 1 + 4 + 18 + 16) + 3 + 3 + 8 + 5);
    }
}
