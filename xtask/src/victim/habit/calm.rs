//! The habits that are nothing to worry about.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread;

use highwater_core::units::Bytes;

use super::{HALF_A_SECOND, Habit, Heap, MIB, Pace, SECOND, child};

/// What the warming cache has to read, and how much of it each half second.
const FILE: usize = 400 * MIB;
const READ: usize = MIB;

/// What is collected at once, how often, and what is left.
const GARBAGE: f64 = 96e6;
const COLLECTED_EVERY_S: f64 = 24.0;
const KEPT: f64 = 32e6;

/// What much work and little work take, and how long one follows the other.
const MOST: f64 = 96e6;
const LEAST: f64 = 16e6;
const CYCLE_S: f64 = 90.0;

/// What a start-up fills, and how fast.
const TABLES: f64 = 200e6;
const FILLS_IN_S: f64 = 20.0;

/// What the steady one holds: more than anybody else.
const MUCH: f64 = 768e6;

/// The step: when, from what, to what.
const STEPS_AFTER_S: f64 = 150.0;
const BEFORE: f64 = 64e6;
const AFTER: f64 = 112e6;

/// Does what it does until it is killed.
pub(super) fn run(habit: Habit, folder: &Path) -> anyhow::Result<()> {
    match habit {
        Habit::WarmingCache => warm(folder),
        Habit::Churn => churn(),
        Habit::Sawtooth => holding(|s| KEPT + GARBAGE * (s / COLLECTED_EVERY_S).fract()),
        Habit::LoadCycle => holding(|s| {
            let wave = (s / CYCLE_S * std::f64::consts::TAU).cos();
            LEAST + (MOST - LEAST) * (1.0 - wave) / 2.0
        }),
        Habit::StartUp => holding(|s| TABLES * (1.0 - (-s / FILLS_IN_S).exp())),
        Habit::Step => holding(|s| if s < STEPS_AFTER_S { BEFORE } else { AFTER }),
        _ => holding(|_| MUCH),
    }
}

/// Holds as many bytes as the time since the beginning says.
fn holding(wanted: impl Fn(f64) -> f64) -> anyhow::Result<()> {
    let mut heap = Heap::default();
    let mut pace = Pace::every(HALF_A_SECOND);
    loop {
        let seconds = pace.next().as_secs_f64();
        heap.hold(usize::try_from(Bytes::from_f64(wanted(seconds)).get())?);
    }
}

/// Reads a file over and over, of which at first nothing is in memory.
fn warm(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("content");
    let content = vec![0xA5_u8; MIB];
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    for _ in 0..FILE / MIB {
        file.write_all(&content)?;
    }
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    // No reading ahead: it warms as fast as it reads.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;
    let mut buffer = vec![0_u8; READ];
    let mut pace = Pace::every(HALF_A_SECOND);
    loop {
        file.rewind()?;
        while file.read(&mut buffer)? > 0 {
            pace.next();
        }
    }
}

/// Many files, threads and children, none of them for long.
fn churn() -> anyhow::Result<()> {
    const WAVES: [usize; 7] = [40, 160, 90, 220, 20, 130, 70];
    let mut pace = Pace::every(SECOND);
    for wave in WAVES.iter().cycle() {
        pace.next();
        let files: Vec<File> =
            (0..*wave).map(|_| File::open("/dev/null")).collect::<Result<_, _>>()?;
        let rests = || thread::sleep(HALF_A_SECOND);
        let start = |_| thread::Builder::new().name("rests".to_owned()).spawn(rests);
        let threads: Vec<_> = (0..wave / 10).map(start).collect::<Result<_, _>>()?;
        let mut children = [child()?, child()?];
        for thread in threads {
            // A thread that only rests does not panic.
            let _rested = thread.join();
        }
        for one in &mut children {
            one.wait()?;
        }
        drop(files);
    }
    Ok(())
}
