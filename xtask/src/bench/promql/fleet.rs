//! The series: what exporters tell of machines, of the containers on them, and of a service.
//!
//! Each course is made sample by sample, so that a month never is in memory. A target is read once a
//! minute at a moment of its own, never at a whole second: no sample stands on the edge of a window,
//! where Prometheus 2 and 3 differ.

use std::fmt::Write as _;

use highwater_core::series::{Labels, NAME};

use crate::e2e::dice::Dice;

/// The moment at which everything is asked: 2026-11-01, midnight UTC.
pub(super) const END_MS: i64 = 1_793_491_200_000;

/// A reading a minute.
pub(super) const CADENCE_MS: i64 = 60_000;

/// Of so many series a machine has these, ten containers a half, an instance of a service the rest.
const SERIES_OF_TEN: u32 = 100;

/// One container starts anew in so many readings.
const ANEW: u64 = 20_000;

/// What a course does.
#[derive(Clone, Debug)]
enum Kind {
    /// It stays.
    Still(f64),
    /// About so much, in steps of a unit, up and down with the day.
    Gauge { middle: f64, swing: f64, unit: f64 },
    /// It falls slowly, and is set back.
    Falling { full: f64, step: f64, unit: f64 },
    /// It rises by about so much a reading, in units, and starts anew now and then.
    Counter { pace: f64, unit: f64, resets: bool },
}

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// The metric and its labels, as text.
    pub(super) name: String,
    pub(super) labels: Labels,
    /// The metric alone.
    metric: &'static str,
    is_counter: bool,
    first_ms: i64,
    kind: Kind,
    level: f64,
    dice: Dice,
}

impl Course {
    /// Moment and value of the reading with this number; they are asked for in order.
    pub(super) fn next(&mut self, number: i64) -> (i64, f64) {
        let at = self.first_ms + number * CADENCE_MS;
        // Finely enough that no two of some hundred move alike: `topk` may choose among equals.
        let noise = f64::from(u32::try_from(self.dice.below(2_000_001)).unwrap_or(0)) / 1e6 - 1.0;
        let value = match self.kind {
            Kind::Still(value) => value,
            Kind::Gauge { middle, swing, unit } => {
                let minutes = u32::try_from(number % 1440).unwrap_or(0);
                let day = (f64::from(minutes) / 1440.0 * std::f64::consts::TAU).sin();
                self.level = self.level * 0.95 + noise * swing / 4.0;
                units(middle + day * swing + self.level, unit)
            }
            Kind::Falling { full, step, unit } => {
                self.level -= step * (1.0 + noise);
                if self.level < full * 0.1 {
                    self.level = full * 0.9;
                }
                units(self.level, unit)
            }
            Kind::Counter { pace, unit, resets } => {
                if resets && self.dice.below(ANEW) == 0 {
                    self.level = 0.0;
                }
                self.level += units(pace * (1.0 + noise), unit);
                units(self.level, unit)
            }
        };
        (at, value)
    }
}

/// A whole number of units; parts of one are counted as so many, so that they come out as decimals.
fn units(value: f64, unit: f64) -> f64 {
    if unit < 1.0 {
        let parts = (1.0 / unit).round();
        return (value * parts).round() / parts;
    }
    (value / unit).round() * unit
}

/// Metrics, whether each is a counter, and their courses.
pub(super) type Fleet = Vec<(&'static str, bool, Vec<Course>)>;

/// The metrics of a fleet, each with its courses, in the order of a file of OpenMetrics.
pub(super) fn fleet(series: u32, first_ms: i64) -> Fleet {
    let mut maker = Maker { all: Vec::new(), first_ms, dice: Dice::of(2) };
    for machine in 0..series / SERIES_OF_TEN {
        maker.machine(machine);
    }
    for container in 0..series / SERIES_OF_TEN * 10 {
        maker.container(container);
    }
    for instance in 0..series / SERIES_OF_TEN / 2 {
        maker.service(instance);
    }
    let mut families: Fleet = Vec::new();
    for course in maker.all {
        let known = families.iter_mut().find(|(metric, _, _)| *metric == course.metric);
        match known {
            Some((_, _, of)) => of.push(course),
            None => families.push((course.metric, course.is_counter, vec![course])),
        }
    }
    families
}

struct Maker {
    all: Vec<Course>,
    first_ms: i64,
    dice: Dice,
}

impl Maker {
    fn add(&mut self, metric: &'static str, labels: &[(&str, &str)], target: u32, kind: Kind) {
        let mut name = String::from(metric);
        for (at, (label, value)) in labels.iter().enumerate() {
            let mark = if at == 0 { '{' } else { ',' };
            // Writing into a text cannot fail.
            let _written = write!(name, "{mark}{label}=\"{value}\"");
        }
        name.push('}');
        let labels = Labels::new([(NAME, metric)].into_iter().chain(labels.iter().copied()));
        // Every target has a second of its own, and a part of one that is no tenth.
        let mut of_target = Dice::of(u64::from(target));
        let offset = 1000 * of_target.below(58) + 100 * of_target.below(9) + 37;
        let first_ms = self.first_ms + i64::try_from(offset).unwrap_or(0);
        let start = f64::from(u32::try_from(self.dice.below(1000)).unwrap_or(0));
        let (is_counter, level) = match kind {
            Kind::Counter { pace, unit, .. } => (true, units(pace * start * 10.0, unit)),
            Kind::Falling { full, unit, .. } => (false, units(full * (0.2 + start / 1500.0), unit)),
            Kind::Still(_) | Kind::Gauge { .. } => (false, 0.0),
        };
        let dice = Dice::of(self.dice.roll());
        self.all.push(Course { name, labels, metric, is_counter, first_ms, kind, level, dice });
    }

    fn machine(&mut self, number: u32) {
        let instance = format!("node-{number:02}:9100");
        let with = |more: &[(&'static str, &'static str)]| {
            let mut labels = vec![("instance", instance.as_str()), ("job", "node")];
            labels.extend_from_slice(more);
            labels
        };
        let counter = |pace, unit| Kind::Counter { pace, unit, resets: false };
        for cpu in ["0", "1", "2", "3"] {
            for (mode, pace) in [("idle", 45.0), ("user", 9.0), ("system", 5.0), ("iowait", 0.4)] {
                let labels = with(&[("cpu", cpu), ("mode", mode)]);
                self.add("node_cpu_seconds_total", &labels, number, counter(pace, 0.01));
            }
        }
        let page = |middle: f64| Kind::Gauge { middle, swing: middle / 8.0, unit: 4096.0 };
        self.add("node_memory_MemTotal_bytes", &with(&[]), number, Kind::Still(16_777_216_000.0));
        self.add("node_memory_MemAvailable_bytes", &with(&[]), number, page(7e9));
        self.add("node_memory_MemFree_bytes", &with(&[]), number, page(1.5e9));
        self.add("node_memory_Cached_bytes", &with(&[]), number, page(5e9));
        self.add("node_memory_Buffers_bytes", &with(&[]), number, page(2e8));
        self.add("node_memory_SwapFree_bytes", &with(&[]), number, Kind::Still(2_147_479_552.0));
        let load = |middle| Kind::Gauge { middle, swing: middle / 2.0, unit: 0.01 };
        self.add("node_load1", &with(&[]), number, load(1.5));
        self.add("node_load5", &with(&[]), number, load(1.4));
        for mountpoint in ["/", "/home", "/var"] {
            let labels = with(&[("fstype", "ext4"), ("mountpoint", mountpoint)]);
            let size = Kind::Still(105_088_212_992.0);
            self.add("node_filesystem_size_bytes", &labels, number, size);
            let avail = Kind::Falling { full: 1.05e11, step: 3e6, unit: 4096.0 };
            self.add("node_filesystem_avail_bytes", &labels, number, avail);
        }
        for device in ["eth0", "lo"] {
            let labels = with(&[("device", device)]);
            self.add("node_network_receive_bytes_total", &labels, number, counter(8e6, 1.0));
            self.add("node_network_transmit_bytes_total", &labels, number, counter(3e6, 1.0));
        }
        for device in ["sda", "sdb"] {
            let labels = with(&[("device", device)]);
            self.add("node_disk_read_bytes_total", &labels, number, counter(4e5, 512.0));
            self.add("node_disk_written_bytes_total", &labels, number, counter(2e6, 512.0));
        }
        self.add("node_boot_time_seconds", &with(&[]), number, Kind::Still(1_790_000_000.0));
        self.add("up", &with(&[]), number, Kind::Still(1.0));
    }

    fn container(&mut self, number: u32) {
        let instance = format!("node-{:02}:8080", number / 10);
        let (container, namespace) = (format!("app-{number:03}"), format!("team-{}", number % 7));
        let labels = [
            ("container", container.as_str()),
            ("instance", instance.as_str()),
            ("job", "containers"),
            ("namespace", namespace.as_str()),
        ];
        let target = 1000 + number / 10;
        let mut add = |metric, kind| self.add(metric, &labels, target, kind);
        let set = Kind::Gauge { middle: 3e8, swing: 6e7, unit: 4096.0 };
        add("container_memory_working_set_bytes", set);
        let used = Kind::Counter { pace: 6.0, unit: 1e-6, resets: true };
        add("container_cpu_usage_seconds_total", used);
        add("container_spec_memory_limit_bytes", Kind::Still(536_870_912.0));
        let fails = Kind::Counter { pace: 0.4, unit: 1.0, resets: true };
        add("container_memory_failures_total", fails);
        add("container_threads", Kind::Gauge { middle: 40.0, swing: 6.0, unit: 1.0 });
    }

    fn service(&mut self, number: u32) {
        const BOUNDS: [&str; 18] = [
            "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.3", "0.5", "0.75",
            "1.0", "1.5", "2.0", "3.0", "5.0", "10.0", "+Inf",
        ];
        let instance = format!("api-{number:02}:8000");
        let labels = [("instance", instance.as_str()), ("job", "api")];
        let counter = |pace, unit| Kind::Counter { pace, unit, resets: false };
        let target = 2000 + number;
        let mut pace = 5.0;
        for bound in BOUNDS {
            let mut with = labels.to_vec();
            with.push(("le", bound));
            self.add("http_request_duration_seconds_bucket", &with, target, counter(pace, 1.0));
            pace *= 1.6;
        }
        self.add("http_request_duration_seconds_sum", &labels, target, counter(900.0, 0.001));
        self.add("http_request_duration_seconds_count", &labels, target, counter(pace, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_asked_for_and_none_at_a_whole_second() {
        let fleet = fleet(2000, END_MS);
        let all: Vec<_> = fleet.into_iter().flat_map(|(_, _, courses)| courses).collect();
        assert_eq!(all.len(), 2000);
        for mut course in all {
            let (at, _) = course.next(0);
            assert!(at % 1000 != 0 && at < END_MS + CADENCE_MS);
        }
    }
}
