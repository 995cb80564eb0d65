//! Seven days of two machines of 4 GB, each with a gateway that grows, behind one balancer.
//!
//! ```text
//!  gw-a  56 % ─────── 3 % of RAM a day ─────────────► 78 %  8 restarts of 15–20 s in the last hour
//!  gw-b  56 % ───────────────────────────────────────► 78 %  answers meanwhile
//!  up{job="gateway"} of the balancer, every 60 s: 1, always
//! ```
//!
//! Readings are a minute apart, as a recorder keeps what is older than a day, and 5 s in the last six
//! hours. All of it is the same in each run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// 2024-04-20T09:00:00Z, in seconds.
const BEGIN: u32 = 1_713_603_600;

/// Seven days.
const LENGTH: u32 = 7 * DAY;
const DAY: u32 = 86_400;
const HOUR: u32 = 3_600;
const MINUTE: u32 = 60;

/// The last part, which is read closely, and how closely.
const CLOSE: u32 = 6 * HOUR;
const CLOSELY: u32 = 5;

/// How often it was restarted, …
pub(super) const RESTARTS: usize = 8;

/// … when it went down, in seconds after the beginning of the last hour, and for how long.
const DOWNS: [(u32, u32); RESTARTS] = [
    (95, 17),
    (530, 15),
    (985, 20),
    (1_410, 18),
    (1_870, 16),
    (2_295, 19),
    (2_760, 20),
    (3_205, 15),
];

const MB: f64 = 1e6;
const MIB: f64 = 1_048_576.0;

/// What each machine has.
const RAM: f64 = 4_000.0 * MB;

/// What is taken at the beginning: 56 %.
const TAKEN: f64 = 0.56 * RAM;

/// How much more it is each day: 3 % of it.
const CREEP: f64 = 123.0 * MB;

/// What the gateway begins with, and what it may have.
const START: f64 = 78.0 * MB;
const LIMIT: f64 = 900.0 * MIB;

/// Families of samples.
#[derive(Default)]
struct Text {
    families: BTreeMap<&'static str, String>,
    samples: usize,
}

impl Text {
    fn add(&mut self, name: &'static str, labels: &str, at: u32, value: f64) -> anyhow::Result<()> {
        let family = self.families.entry(name).or_default();
        // Readings are never quite at a whole minute.
        let at = f64::from(BEGIN + at) + 0.25;
        writeln!(family, "{name}{{{labels}}} {} {at}", value.round())?;
        self.samples += 1;
        Ok(())
    }
}

/// A number in −1..1 that is the same in each run.
fn noise(seed: u64, at: u32) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= u64::from(at).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from(x >> 32).unwrap_or(0);
    f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// One of the two.
#[derive(Clone, Copy)]
struct Twin {
    host: &'static str,
    seed: u64,
    restarts: bool,
}

const TWINS: [Twin; 2] = [
    Twin { host: "gw-a:9477", seed: 1, restarts: true },
    Twin { host: "gw-b:9477", seed: 9, restarts: false },
];

/// When the gateway of a twin last began, and whether it is there.
#[derive(Clone, Copy)]
struct Life {
    began: u32,
    is_up: bool,
}

impl Twin {
    fn life(self, at: u32) -> Life {
        let mut life = Life { began: 0, is_up: true };
        for (down, length) in DOWNS.into_iter().filter(|_| self.restarts) {
            let from = LENGTH - HOUR + down;
            if at >= from {
                life = Life { began: from + length, is_up: at >= from + length };
            }
        }
        life
    }

    /// What its gateway holds: what it had, for it reads its state back; garbage comes and goes.
    fn held(self, at: u32) -> f64 {
        let days = f64::from(at) / f64::from(DAY);
        let garbage = 9.0 * MB * f64::from(at % 1_740) / 1_740.0;
        (START + CREEP * days + garbage + MB * noise(self.seed, at)).min(LIMIT - 2.0 * MB)
    }

    fn machine(self, text: &mut Text, at: u32) -> anyhow::Result<()> {
        let days = f64::from(at) / f64::from(DAY);
        let rhythm = 12.0 * MB * (days * std::f64::consts::TAU).sin();
        let noise = 6.0 * MB * noise(self.seed + 1, at);
        let free = if self.life(at).is_up { 0.0 } else { self.held(at) };
        let used = TAKEN + CREEP * days + rhythm + noise - free;
        let labels = format!("instance=\"{}\"", self.host);
        text.add("node_memory_MemTotal_bytes", &labels, at, RAM)?;
        text.add("node_memory_MemAvailable_bytes", &labels, at, RAM - used)
    }

    fn gateway(self, text: &mut Text, at: u32) -> anyhow::Result<()> {
        let life = self.life(at);
        if !life.is_up {
            return Ok(());
        }
        let scope = "/user.slice/user-1000.slice/session-123.scope";
        let labels = format!("id=\"{scope}\",instance=\"{}\",name=\"gateway\"", self.host);
        let held = self.held(at);
        text.add("container_memory_rss", &labels, at, held)?;
        text.add("container_memory_cache", &labels, at, 2.0 * MB)?;
        text.add("container_memory_working_set_bytes", &labels, at, held + MB)?;
        text.add("container_spec_memory_limit_bytes", &labels, at, LIMIT)?;
        let began = f64::from(BEGIN + life.began);
        text.add("container_start_time_seconds", &labels, at, began)?;
        text.add("process_start_time_seconds", &labels, at, began)?;
        let fds = 212.0 + (11.0 * noise(self.seed + 2, at)).round();
        text.add("process_open_fds", &labels, at, fds)
    }

    /// Somebody who is larger, and grows no more.
    fn neighbour(self, text: &mut Text, at: u32) -> anyhow::Result<()> {
        let days = f64::from(at) / f64::from(DAY);
        let rhythm = 25.0 * MB * (days * std::f64::consts::TAU).sin();
        let labels = format!(
            "id=\"/system.slice/database.service\",instance=\"{}\",name=\"database\"",
            self.host
        );
        let held = 1_150.0 * MB + rhythm + 3.0 * MB * noise(self.seed + 3, at);
        text.add("container_memory_rss", &labels, at, held)
    }
}

/// Writes the history, and tells how many samples it has.
pub(super) fn write(path: &Path) -> anyhow::Result<usize> {
    let mut text = Text::default();
    let early = (0..LENGTH - CLOSE).step_by(usize::try_from(MINUTE)?);
    let late = (LENGTH - CLOSE..=LENGTH).step_by(usize::try_from(CLOSELY)?);
    for at in early.chain(late) {
        for twin in TWINS {
            twin.machine(&mut text, at)?;
            twin.gateway(&mut text, at)?;
            twin.neighbour(&mut text, at)?;
        }
        if at % MINUTE == 0 {
            text.add("up", "instance=\"gateway.example:443\",job=\"gateway\"", at, 1.0)?;
        }
    }
    let mut whole = String::new();
    for (name, samples) in &text.families {
        write!(whole, "# TYPE {name} gauge\n{samples}")?;
    }
    whole += "# EOF\n";
    std::fs::write(path, whole).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(text.samples)
}
