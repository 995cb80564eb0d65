//! Two recorded hours as many days: lap after lap of a recording, with shifted clocks and fresh
//! noise.
//!
//! What moved moves again by a little more or less, what stood still stands still: so each lap is
//! as hard to compress as the recording, and never the same bytes. Counters go on from where they
//! were. Processes and cgroups that came and went come as others in the next lap.

use std::collections::{HashMap, HashSet};

use highwater_core::frame::Frame;
use highwater_core::id::CgroupPath;
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_store::Facts;

use super::chance::Chance;
use super::frames::Assembler;
use super::kept::Kept;
use super::recording::{Metric, Overview, Reading, Recording};

/// Whoever is in so many per cent of the readings of everything is there all the time.
const LASTING_PERCENT: u64 = 95;

/// What numbers are multiples of, the largest first: pages, kibibytes, one, clock ticks, the
/// kernel's hundredths of a per cent, microseconds.
const UNITS: [f64; 6] = [4096.0, 1024.0, 1.0, 1e-2, 1e-4, 1e-6];

/// Clock ticks are hundredths of a second.
const TICK_MS: i64 = 10;

/// Lap after lap of a recording.
pub(super) struct Replay<'a> {
    recording: &'a Recording,
    overview: &'a Overview,
    assembler: Assembler,
    is_counter: HashMap<u32, bool>,
    chance: Chance,
    kept: Option<Kept>,
    /// By metric, then by the entity's id in the recording, of which there are few.
    tracks: HashMap<u32, Vec<Option<Track>>>,
}

/// A number as it was recorded last, and as it was told.
#[derive(Clone, Copy)]
struct Track {
    lap: u64,
    recorded: f64,
    told: f64,
}

impl<'a> Replay<'a> {
    /// Of a recording; with `kept`, of those processes only that an agent would keep.
    pub(super) fn new(
        recording: &'a Recording,
        overview: &'a Overview,
        kept: Option<Kept>,
    ) -> Self {
        let counter = |(id, metric): (&u32, &Metric)| (*id, metric.is_counter);
        Self {
            recording,
            overview,
            assembler: Assembler::new(&recording.metrics),
            is_counter: recording.metrics.iter().map(counter).collect(),
            chance: Chance::new(7),
            kept,
            tracks: HashMap::new(),
        }
    }

    /// The recording as it is.
    pub(super) fn plain(
        &self,
        mut show: impl FnMut(&Frame) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (who, mut kept) = (&self.recording.entities, self.kept.clone());
        self.recording.each(|reading| {
            let mut frame = self.assembler.frame(reading, who);
            if let Some(kept) = &mut kept {
                kept.choose(&mut frame);
            }
            show(&frame)
        })
    }

    /// The milliseconds that a lap takes.
    pub(super) fn lap_ms(&self) -> i64 {
        let span = self.overview.last.wall.since(self.overview.first.wall);
        i64::try_from(span.as_millis()).unwrap_or(i64::MAX).saturating_add(self.overview.every_ms)
    }

    /// Lap number `lap`, with noise.
    pub(super) fn lap(
        &mut self,
        lap: u64,
        mut show: impl FnMut(&Frame) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let shift_ms = self.lap_ms().saturating_mul(i64::try_from(lap)?);
        let who = renamed(self.recording, self.overview, lap, shift_ms);
        let recording = self.recording;
        recording.each(|reading| {
            reading.stamp = shifted(reading.stamp, shift_ms);
            self.shake(reading, lap);
            let mut frame = self.assembler.frame(reading, &who);
            if let Some(kept) = &mut self.kept {
                kept.choose(&mut frame);
            }
            show(&frame)
        })
    }

    /// Puts noise on all numbers of a reading.
    fn shake(&mut self, reading: &mut Reading, lap: u64) {
        let Self { is_counter, chance, tracks, .. } = self;
        for block in reading.groups_mut() {
            let place = |id: &u64| usize::try_from(*id).unwrap_or(0);
            let most = block.ids.last().map_or(0, place);
            for column in &mut block.columns {
                let is_counter = is_counter.get(&column.metric).copied().unwrap_or(false);
                let tracks = tracks.entry(column.metric).or_default();
                if tracks.len() <= most {
                    tracks.resize(most + 1, None);
                }
                for (id, number) in block.ids.iter().zip(&mut column.values) {
                    let (Some(number), Some(track)) = (number, tracks.get_mut(place(id))) else {
                        continue;
                    };
                    let told = match track {
                        Some(track) if is_counter => track.count(*number, lap, chance),
                        Some(track) => track.gauge(*number, lap, chance),
                        None => *number,
                    };
                    *track = Some(Track { lap, recorded: *number, told });
                    *number = told;
                }
            }
        }
    }
}

impl Track {
    /// What a counter says that was recorded at `now`.
    fn count(self, now: f64, lap: u64, chance: &mut Chance) -> f64 {
        if lap != self.lap {
            return self.told;
        }
        let more = now - self.recorded;
        if more < 0.0 || !more.is_finite() {
            return now;
        }
        let unit = unit_of(more);
        rounded(self.told + (more / unit * (1.0 + chance.half())).round() * unit, unit)
    }

    /// What a gauge says that was recorded at `now`.
    fn gauge(self, now: f64, lap: u64, chance: &mut Chance) -> f64 {
        if lap == self.lap && now.to_bits() == self.recorded.to_bits() {
            return self.told;
        }
        let moved = now - self.recorded;
        if !moved.is_finite() {
            return now;
        }
        let unit = unit_of(moved);
        let told = now + (moved / unit * chance.half()).round() * unit;
        // What is never negative stays so.
        if told < 0.0 && now >= 0.0 { now } else { rounded(told, unit) }
    }
}

/// The largest unit that `change` is a multiple of.
fn unit_of(change: f64) -> f64 {
    let divides = |unit: &&f64| {
        let many = change / **unit;
        (many - many.round()).abs() < 1e-6
    };
    UNITS.iter().find(divides).copied().unwrap_or(1e-6)
}

/// Without what arithmetic with fractions left behind the last digit.
fn rounded(value: f64, unit: f64) -> f64 {
    if unit < 1.0 { (value * 1e6).round() / 1e6 } else { value }
}

fn shifted(stamp: Stamp, shift_ms: i64) -> Stamp {
    let boot_us = u64::try_from(shift_ms).unwrap_or(0).saturating_mul(1000);
    Stamp {
        wall: WallTime::from_millis(stamp.wall.millis().saturating_add(shift_ms)),
        boot: BootTime::from_micros(stamp.boot.micros().saturating_add(boot_us)),
    }
}

/// Who is who in this lap: what came and went has other names.
fn renamed(
    recording: &Recording,
    overview: &Overview,
    lap: u64,
    shift_ms: i64,
) -> HashMap<u64, Facts> {
    if lap == 0 {
        return recording.entities.clone();
    }
    let lasts = |id: &u64| {
        let seen = overview.seen.get(id).copied().unwrap_or(0);
        seen.saturating_mul(100) >= overview.whole.saturating_mul(LASTING_PERCENT)
    };
    let passing = recording.entities.iter().filter(|(id, facts)| !lasts(id) && facts.pid.is_none());
    let passing: HashSet<&CgroupPath> =
        passing.filter_map(|(_, facts)| facts.id.as_ref()).collect();
    let later = u64::try_from(shift_ms / TICK_MS).unwrap_or(0);
    let rename = |(id, facts): (&u64, &Facts)| {
        let mut facts = facts.clone();
        facts.id = facts
            .id
            .map(|path| if passing.contains(&path) { other_path(&path, lap) } else { path });
        if !lasts(id) {
            facts.pid = facts.pid.map(|pid| other_pid(pid, lap));
            facts.start = facts.start.map(|start| start.saturating_add(later));
        }
        (*id, facts)
    };
    recording.entities.iter().map(rename).collect()
}

/// Another pid below the usual `pid_max` of a 64-bit machine.
fn other_pid(pid: u32, lap: u64) -> u32 {
    let lap = u32::try_from(lap).unwrap_or(0);
    pid.wrapping_add(lap.wrapping_mul(9_973)) % 4_194_304
}

/// Another path: a container gets another id, anything else a number behind its name.
fn other_path(path: &CgroupPath, lap: u64) -> CgroupPath {
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let text = path.as_str();
    let renamed = match text.split('/').find(is_id) {
        Some(id) => text.replace(id, &format!("{lap:08x}{}", id.get(8..).unwrap_or_default())),
        None => format!("{text}-{lap}"),
    };
    CgroupPath::new(renamed.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_where_it_was_and_never_falls() {
        let mut chance = Chance::new(1);
        let mut track = Track { lap: 0, recorded: 100.0, told: 100.0 };
        for lap in 0..3 {
            for now in [100.0, 200.0, 900.0] {
                let told = track.count(now, lap, &mut chance);
                assert!(told >= track.told, "{told} after {}", track.told);
                assert_eq!(told.to_bits(), told.round().to_bits());
                track = Track { lap, recorded: now, told };
            }
        }
        assert!(track.told > 3.0 * 400.0);
    }

    #[test]
    fn what_stands_still_stays_and_what_moves_keeps_its_unit() {
        let mut chance = Chance::new(1);
        let track = Track { lap: 1, recorded: 8192.0, told: 12288.0 };
        assert_eq!(track.gauge(8192.0, 1, &mut chance).to_bits(), 12288_f64.to_bits());
        for _ in 0..100 {
            let moved = track.gauge(8192.0 + 409_600.0, 1, &mut chance);
            assert_eq!((moved % 4096.0).to_bits(), 0.0_f64.to_bits());
            assert!((moved - 417_792.0).abs() <= 204_800.0);
        }
        let unlimited = track.gauge(f64::INFINITY, 1, &mut chance);
        assert_eq!(unlimited.to_bits(), f64::INFINITY.to_bits());
    }

    #[test]
    fn containers_stay_containers() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let other = other_path(&CgroupPath::new(format!("/docker/{id}/a").as_bytes()), 2);
        assert!(other.as_str().starts_with("/docker/00000002d0770"), "{other}");
        assert_eq!(other.as_str().len(), 8 + 64 + 2);
        assert_eq!(other_path(&CgroupPath::new(b"/x"), 2).as_str(), "/x-2");
    }
}
