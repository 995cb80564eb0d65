//! A writer of history as fast as it goes, and what must be left of its work when it is killed.
//!
//! It says on its standard output what the store has taken, one line each, after the store said so.
//! SIGKILL takes nothing from the kernel's cache: whatever was said must be there, to the bit.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::event::{Event, Happening};
use highwater_core::frame::{Frame, MachineSample, MemInfo, ProcSample, SlowReadings};
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{EventFilter, Keep, Reader, Store};

use crate::borrowed::{Folder, Running};
use crate::e2e::dice::Dice;
use crate::e2e::sound;

/// The first moment that is written: in 2024.
const T0_MS: i64 = 1_714_000_000_000;

/// From tick to tick, by the clock of what is written: 1,440 to the day, so that a few seconds see
/// days end and be compacted.
const EVERY_MS: i64 = 60_000;

/// How many processes live at a time.
const PROCESSES: u64 = 6;

/// Every so many ticks something happens.
const EVENT_EVERY: u64 = 17;

/// How many steps of sealing, compacting and forgetting come between two ticks at most.
const STEPS: usize = 4;

/// How long samples are kept, so that whole days expire under way.
const KEEP_RAW: Duration = Duration::from_hours(48);

/// What is read back after each kill: the stretch before it, where the sealing goes on.
const RECENT: u64 = 1000;

/// Every so many kills all that is kept is read back.
const ALL_EVERY: usize = 20;

/// When the kill comes, counted from the first word.
const KILL_AFTER: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(1500));

/// How long a writer may take to say its first word.
const GIVE_UP: Duration = Duration::from_mins(1);

/// A gauge that follows from the number of the tick.
const WITNESS: &str = "node_memory_MemFree_bytes";

/// The writer, as a chore of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Hammer {
    /// Where the history is.
    #[arg(long)]
    data: PathBuf,
    /// The number of the first tick.
    #[arg(long)]
    from: u64,
}

impl Hammer {
    /// Writes until it is killed.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut store = Store::open(&self.data)?;
        let mut said = std::io::stdout().lock();
        for number in self.from.. {
            store.append(&frame(number), boot())?;
            writeln!(said, "tick {number}")?;
            if number.is_multiple_of(EVENT_EVERY) {
                store.record(&[event(number)], None)?;
                writeln!(said, "event {number}")?;
            }
            said.flush()?;
            maintain(&mut store, stamp(number))?;
        }
        Ok(())
    }
}

/// A few bounded steps of what the store has to do beside taking samples.
fn maintain(store: &mut Store, now: Stamp) -> anyhow::Result<()> {
    for _ in 0..STEPS {
        if !store.maintain(now, &keep())?.more {
            break;
        }
    }
    Ok(())
}

/// Raw samples for two days, buckets for longer; no other bounds.
fn keep() -> Keep {
    let days = |count: u64| Duration::from_hours(24 * count);
    Keep { raw: KEEP_RAW, minute: days(5), ten_minutes: days(20), ..Keep::default() }
}

fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap_or_else(|_| unreachable!("32 digits"))
}

fn wall(number: u64) -> WallTime {
    let after = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(EVERY_MS);
    WallTime::from_millis(T0_MS.saturating_add(after))
}

/// The tick that stands at a moment, if it is one of ours.
fn number(at: WallTime) -> Option<u64> {
    let after = u64::try_from(at.millis() - T0_MS).ok()?;
    let every = EVERY_MS.unsigned_abs();
    after.is_multiple_of(every).then_some(after / every)
}

fn stamp(number: u64) -> Stamp {
    let us = number.saturating_mul(EVERY_MS.unsigned_abs()).saturating_mul(1000);
    Stamp { wall: wall(number), boot: BootTime::from_micros(1_000_000 + us) }
}

/// What the witness says at a tick: it looks random and can be had again.
fn free(number: u64) -> Bytes {
    Bytes::from_kib(Dice::of(number).below(1 << 24))
}

/// A tick: the machine, and processes of which each lives for a while.
fn frame(number: u64) -> Frame {
    let mem = MemInfo { mem_free: Some(free(number)), ..MemInfo::default() };
    let processes = (0..PROCESSES).map(|slot| {
        let life = (number + slot * 37) / 700;
        let key = u32::try_from((life * PROCESSES + slot) % 30_000).unwrap_or_default() + 2;
        let grown = Bytes::from_kib(Dice::of(number ^ (slot << 40)).below(1 << 16));
        process(key, life, grown)
    });
    Frame {
        stamp: stamp(number),
        machine: Some(MachineSample { mem, ..MachineSample::default() }),
        processes: processes.collect(),
        ..Frame::default()
    }
}

fn process(pid: u32, life: u64, resident: Bytes) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(life) },
        comm: Comm::new(b"worker"),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: life,
        major_faults: 0,
        virtual_size: resident,
        resident,
        resident_shared: Bytes::default(),
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

fn event(number: u64) -> Event {
    let what = Happening::Recorder { what: "noted".to_owned(), note: format!("tick {number}") };
    let stamp = stamp(number);
    let key = format!("hammer:{number}");
    Event { wall: stamp.wall, boot: Some(stamp.boot), boot_id: boot(), key, what }
}

/// Kills the writer again and again; what must hold does.
pub(super) fn survive(rounds: usize, seed: u64) -> anyhow::Result<String> {
    let folder = Folder::fresh("e2e-hammer")?;
    let mut work = Work {
        data: folder.join("data"),
        scratch: folder.join("scratch"),
        dice: Dice::of(seed),
        said: Said::default(),
    };
    for round in 0..rounds {
        work.round(round).with_context(|| format!("in round {round}"))?;
        if (round + 1).is_multiple_of(50) {
            println!("{} rounds; {}", round + 1, work.figures());
        }
    }
    work.all()?;
    Ok(format!("{rounds} rounds; {}", work.figures()))
}

/// What was said in all rounds.
#[derive(Default)]
struct Said {
    ticks: BTreeSet<u64>,
    events: BTreeSet<u64>,
    /// The one tick of each round that may have been taken and not said any more.
    unsure: BTreeSet<u64>,
}

impl Said {
    /// Takes a line; the last one of a killed writer may be cut short.
    fn take(&mut self, line: &str) {
        let Some((what, number)) = line.strip_suffix('\n').and_then(|line| line.split_once(' '))
        else {
            return;
        };
        match (what, number.parse()) {
            ("tick", Ok(number)) => drop(self.ticks.insert(number)),
            ("event", Ok(number)) => drop(self.events.insert(number)),
            _ => {}
        }
    }
}

/// The history under the hammer.
struct Work {
    data: PathBuf,
    scratch: PathBuf,
    dice: Dice,
    said: Said,
}

impl Work {
    fn round(&mut self, round: usize) -> anyhow::Result<()> {
        // One that was not said may be there all the same: its number is not given again.
        let from = self.said.ticks.last().map_or(0, |last| last + 2);
        let mut writer = Writer::start(&self.data, from)?;
        let (least, most) = KILL_AFTER;
        let after = self.dice.span(least, most);
        let said = writer.killed_after(after)?;
        ensure!(!said.is_empty(), "the writer said nothing");
        for line in &said {
            self.said.take(line);
        }
        self.said.unsure.insert(self.said.ticks.last().map_or(0, |last| last + 1));
        sound::integrity(&self.data, &self.scratch)?;
        if (round + 1).is_multiple_of(ALL_EVERY) {
            return self.all();
        }
        let newest = self.said.ticks.last().copied().unwrap_or_default();
        self.since(newest.saturating_sub(RECENT))
    }

    /// Everything that has to be there still.
    fn all(&self) -> anyhow::Result<()> {
        let last = self.said.ticks.last().copied().unwrap_or_default();
        let kept = u64::try_from(KEEP_RAW.as_millis())? / EVERY_MS.unsigned_abs();
        // The writer may have been a few ticks further than what it said.
        self.since(last.saturating_sub(kept) + EVENT_EVERY)?;
        let events = Reader::open(&self.data)?.events(&EventFilter::default())?;
        let notes: BTreeSet<String> = events.into_iter().map(|kept| kept.event.key).collect();
        let missing = self.said.events.iter().rev().take(EventFilter::MOST);
        let missing: Vec<_> =
            missing.filter(|number| !notes.contains(&format!("hammer:{number}"))).collect();
        ensure!(missing.is_empty(), "events that were said and are not there: {missing:?}");
        Ok(())
    }

    /// What was said from this tick on is there, once each and in order, and hardly anything else.
    fn since(&self, first: u64) -> anyhow::Result<()> {
        let reader = Reader::open(&self.data)?;
        let end = WallTime::from_millis(i64::MAX / 4);
        let points = sound::points(&reader, WITNESS, wall(first), end)?;
        let mut there = BTreeSet::new();
        for point in &points {
            let number = number(point.at).with_context(|| format!("a tick at {}", point.at))?;
            let wanted = free(number).as_f64();
            let same = point.value.to_bits() == wanted.to_bits();
            ensure!(same, "tick {number} says {} instead of {wanted}", point.value);
            there.insert(number);
        }
        let said: BTreeSet<u64> = self.said.ticks.range(first..).copied().collect();
        let missing: Vec<_> = said.difference(&there).take(10).collect();
        ensure!(missing.is_empty(), "ticks that were said and are not there: {missing:?}");
        let more = there.difference(&said).find(|number| !self.said.unsure.contains(number));
        ensure!(more.is_none(), "tick {more:?} is there and was never taken");
        ensure!(reader.caveats().is_empty(), "caveats: {:?}", reader.caveats());
        Ok(())
    }

    fn figures(&self) -> String {
        let ticks = self.said.ticks.len();
        let days = i64::try_from(ticks).unwrap_or(i64::MAX) * EVERY_MS / 86_400_000;
        format!("{ticks} ticks of {days} days and {} events said", self.said.events.len())
    }
}

/// A running writer. Dropping it kills it.
struct Writer {
    process: Running,
    lines: Option<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(data: &Path, from: u64) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hammer").arg("--data").arg(data).arg("--from").arg(from.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Running::start(&mut command)?;
        let lines = process.stdout.take().map(BufReader::new);
        Ok(Self { process, lines })
    }

    /// Kills it some time after its first word; all that it said.
    fn killed_after(&mut self, after: Duration) -> anyhow::Result<Vec<String>> {
        let lines = self.lines.take().context("the writer has no output")?;
        let (first, begun) = std::sync::mpsc::sync_channel(1);
        // A pipe that nobody empties would stop the writer.
        let reading = thread::Builder::new().name("listener".to_owned()).spawn(move || {
            let mut said = Vec::new();
            let mut lines = lines;
            loop {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Ok(0) | Err(_) => return said,
                    Ok(_) => said.push(line),
                }
                // Nobody waits for the second.
                let _told = first.try_send(());
            }
        })?;
        let spoke = begun.recv_timeout(GIVE_UP).is_ok();
        thread::sleep(after);
        let ended = self.process.try_wait()?;
        self.process.kill()?;
        self.process.wait()?;
        let said = reading.join().unwrap_or_default();
        if let Some(status) = ended {
            bail!("the writer ended by itself: {status}");
        }
        ensure!(spoke, "the writer said nothing for {} s", GIVE_UP.as_secs());
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        let mut said = Said::default();
        for line in ["tick 7\n", "event 7\n", "nonsense\n", "tick 8"] {
            said.take(line);
        }
        assert_eq!((said.ticks, said.events), ([7].into(), [7].into()));
    }

    #[test]
    fn a_moment_tells_its_tick() {
        assert_eq!(number(wall(12_345)), Some(12_345));
        assert_eq!(number(WallTime::from_millis(T0_MS + 1)), None);
        assert_eq!(number(WallTime::from_millis(T0_MS - EVERY_MS)), None);
    }
}
