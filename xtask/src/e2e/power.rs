//! `cargo xtask e2e power`: an emulated machine that records onto a disk loses its power at random
//! moments. What its serial line showed until then is compared with what its disk still has.
//!
//! The plug is pulled by killing the emulator: what the guest's kernel had not yet written is gone,
//! as with real power. What the disk was told to write is kept: it is a disk that does not lie.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use highwater_core::event::Happening;
use highwater_core::time::{BootId, BootTime};
use highwater_store::{EventFilter, Reader, Store};

use super::Scoreboard;
use super::agent::reported;
use super::dice::Dice;
use super::sound;
use crate::clock;
use crate::repo::{self, Profile};
use crate::vm::{Payload, Vm};

/// What the guest runs.
const SCRIPT: &str = include_str!("guest/power.sh");

/// Every process on disk, so that there is something to lose; the cadence is the default one.
const CONFIG: &str = "[store]\nprocess_min_rss = \"0\"\n[web]\nlisten = \"127.0.0.1:0\"\n";

/// Room for the history. Sparse.
const DISK_BYTES: u64 = 256 << 20;

/// How much recording a loss of power may take away.
const LOST_AT_MOST: Duration = Duration::from_secs(30);

/// How long the agent records before the power goes, by the guest's clock: well beyond what may be lost.
const CUT_AFTER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(75));

/// Within what time the history must be open again.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

/// A series that every whole tick has.
const WITNESS: &str = "node_memory_MemTotal_bytes";

/// How the scenario is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the power goes.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// How many machines run beside each other.
    #[arg(long, default_value_t = 2)]
    guests: usize,
    /// Where the random moments come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Lets the machines die, as often as told.
pub(crate) fn run(options: &Options, board: &mut Scoreboard) -> anyhow::Result<()> {
    println!("seed {}", options.seed);
    let programs = Programs {
        highwater: repo::build("highwater", Profile::Dev)?,
        leak: std::env::current_exe().context("cannot find xtask's own program")?,
    };
    let outcome = guests(options, &programs);
    board.check("the history survives a loss of power", outcome);
    Ok(())
}

/// What the guest gets to run.
struct Programs {
    highwater: PathBuf,
    leak: PathBuf,
}

fn guests(options: &Options, programs: &Programs) -> anyhow::Result<String> {
    let guests = options.guests.max(1);
    let each = options.rounds.div_ceil(guests);
    let seen = std::thread::scope(|threads| {
        let start = |number| threads.spawn(move || guest(number, each, options.seed, programs));
        let running: Vec<_> = (0..guests).map(start).collect();
        let ended = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .map(|outcome| outcome.map_err(|_| anyhow!("a guest's thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let seen: Vec<Seen> = seen.into_iter().flatten().collect();
    let most = seen.iter().map(|one| one.lost).max().unwrap_or_default();
    let open = seen.iter().map(|one| one.open).max().unwrap_or_default();
    let reported: usize = seen.iter().map(|one| one.reported).sum();
    Ok(format!(
        "{} rounds; at most {:.1} s lost; {reported} reported deaths, none lost; open again in {} ms \
         at most",
        seen.len(),
        most.as_secs_f64(),
        open.as_millis()
    ))
}

/// What a round showed.
struct Seen {
    lost: Duration,
    reported: usize,
    open: Duration,
}

/// One machine with one disk, whose history goes through all its rounds.
fn guest(
    number: usize,
    rounds: usize,
    seed: u64,
    programs: &Programs,
) -> anyhow::Result<Vec<Seen>> {
    let mut dice = Dice::of(seed.wrapping_mul(1000).wrapping_add(u64::try_from(number)?));
    let vm = Vm::new(&format!("power-{number}"))?;
    let folder = repo::target().join("vm").join(format!("power-{number}-disk"));
    fs::create_dir_all(&folder)?;
    let disk = folder.join("data.raw");
    File::create(&disk)?.set_len(DISK_BYTES)?;
    repo::succeed(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk))?;
    let mut told = BTreeSet::new();
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let said = cut(&vm, &folder, &mut dice, programs)?;
        let heard = Heard::of(&said).context("the serial line does not tell the boot")?;
        told.extend(heard.reported.iter().map(|pid| (heard.boot, *pid)));
        let one = judge(&folder, &heard, &told)
            .with_context(|| format!("guest {number}, round {round}"))?;
        println!(
            "guest {number}, round {round}: {:.1} s recorded, {:.1} s lost, {} deaths reported",
            heard.alive.since(heard.begun).as_secs_f64(),
            one.lost.as_secs_f64(),
            one.reported
        );
        outcomes.push(one);
    }
    fs::remove_dir_all(&folder)?;
    Ok(outcomes)
}

/// Boots, and pulls the plug some time after the agent began; what the serial line showed.
fn cut(vm: &Vm, folder: &Path, dice: &mut Dice, programs: &Programs) -> anyhow::Result<String> {
    let (least, most) = CUT_AFTER;
    let after = dice.span(least, most);
    let (config, kills) = (folder.join("agent.toml"), folder.join("kills"));
    fs::write(&config, CONFIG)?;
    fs::write(&kills, times(dice))?;
    let files = [
        (programs.highwater.as_path(), "highwater"),
        (programs.leak.as_path(), "leak"),
        (config.as_path(), "agent.toml"),
        (kills.as_path(), "kills"),
    ];
    let payload = Payload { files: &files, script: SCRIPT };
    let serial = vm.cut(&payload, &folder.join("data.raw"), |serial| {
        let heard = Heard::of(&String::from_utf8_lossy(serial));
        heard.is_some_and(|heard| heard.agent && heard.alive.since(heard.begun) >= after)
    })?;
    Ok(String::from_utf8_lossy(&serial).into_owned())
}

/// When the kernel kills: in every other round a few times at the beginning only, because an event
/// takes the ticks before it to the disk with it.
fn times(dice: &mut Dice) -> String {
    let few = dice.below(2) == 0;
    let count = if few { dice.below(3) } else { 60 };
    let times = (0..count).map(|_| format!("{}.{}", dice.below(4), dice.below(10)));
    times.chain([String::new()]).collect::<Vec<_>>().join("\n")
}

/// What the serial line told.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    boot: BootId,
    /// The first and the last sign of life, by the guest's boot clock.
    begun: BootTime,
    alive: BootTime,
    /// The agent has said that it records.
    agent: bool,
    reported: Vec<u32>,
}

impl Heard {
    fn of(serial: &str) -> Option<Self> {
        // The last line may be cut short.
        let whole = serial.rsplit_once('\n')?.0;
        let told = || whole.lines().filter_map(|line| line.trim().strip_prefix("power: "));
        let after = |what: &'static str| told().filter_map(move |line| line.strip_prefix(what));
        let mut alive = after("alive ").filter_map(moment);
        let begun = alive.next()?;
        Some(Self {
            boot: after("boot ").next()?.parse().ok()?,
            begun,
            alive: alive.next_back().unwrap_or(begun),
            agent: after("said ").any(|line| line.contains("records this machine")),
            reported: after("said ").filter_map(reported).collect(),
        })
    }
}

/// Seconds with two decimals, as /proc/uptime has them.
fn moment(seconds: &str) -> Option<BootTime> {
    let (whole, hundredths) = seconds.split_once('.')?;
    let hundredths: u64 = hundredths.parse().ok().filter(|part| *part < 100)?;
    let whole: u64 = whole.parse().ok()?;
    Some(BootTime::from_micros(whole.checked_mul(1_000_000)? + hundredths * 10_000))
}

/// Compares the disk, as the loss of power left it, with what was heard.
fn judge(folder: &Path, heard: &Heard, told: &BTreeSet<(BootId, u32)>) -> anyhow::Result<Seen> {
    let found = folder.join("found");
    salvage(folder, &found)?;
    let history = found.join("history");
    sound::integrity(&history, &folder.join("scratch"))?;
    let begun = clock::now();
    drop(Store::open(&history)?);
    let open = begun.elapsed();
    ensure!(open < OPEN_WITHIN, "opening took {} ms", open.as_millis());
    let reader = Reader::open(&history)?;
    let stored = stored(&reader)?;
    let missing: Vec<_> = told.difference(&stored).collect();
    ensure!(missing.is_empty(), "reported and not on the disk: {missing:?}");
    let newest = reader.last_tick()?.filter(|tick| tick.boot_id == heard.boot);
    // An agent whose first tick is not on the disk lost what it ran.
    let since = newest.map_or(heard.begun, |tick| tick.boot.max(heard.begun));
    let lost = heard.alive.since(since);
    ensure!(lost <= LOST_AT_MOST, "{:.1} s are lost", lost.as_secs_f64());
    sound::machine(&reader, WITNESS)?;
    ensure!(reader.caveats().is_empty(), "caveats: {:?}", reader.caveats());
    Ok(Seen { lost, reported: heard.reported.len(), open })
}

/// Takes the history off a copy of the disk, once its journal is replayed there: the disk itself is
/// the guest's, who replays its journal at the next boot.
fn salvage(folder: &Path, found: &Path) -> anyhow::Result<()> {
    if found.exists() {
        fs::remove_dir_all(found)?;
    }
    fs::create_dir_all(found)?;
    let copy = folder.join("copy.raw");
    let mut cp = Command::new("cp");
    repo::succeed(cp.arg("--sparse=always").arg(folder.join("data.raw")).arg(&copy))?;
    let mut replay = Command::new("e2fsck");
    let replayed = replay.arg("-fy").arg(&copy).output().context("cannot run e2fsck")?;
    // 0: nothing to do, 1: corrected, which a replay is (e2fsck(8)).
    let code = replayed.status.code();
    ensure!(
        matches!(code, Some(0 | 1)),
        "e2fsck ended with {code:?}: {}",
        String::from_utf8_lossy(&replayed.stdout)
    );
    let mut dump = Command::new("debugfs");
    repo::succeed(dump.arg("-R").arg(format!("rdump /history {}", found.display())).arg(&copy))?;
    fs::remove_file(&copy)?;
    ensure!(found.join("history").is_dir(), "there is no history on the disk");
    Ok(())
}

/// The boots and pids of all stored deaths.
fn stored(reader: &Reader) -> anyhow::Result<BTreeSet<(BootId, u32)>> {
    let filter = EventFilter { kind: Some("death"), ..EventFilter::default() };
    let dead = reader.events(&filter)?.into_iter().filter_map(|kept| match kept.event.what {
        Happening::Death(death) => Some((kept.event.boot_id, death.pid.get())),
        _ => None,
    });
    Ok(dead.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_line_is_heard_up_to_its_last_whole_line() {
        let serial = "noise\npower: boot 3b1f7a52-0c2e-4d68-9a1e-1f2e3d4c5b6a\r\n\
            power: alive 17.05\r\npower: said highwater 0.1.0 records this machine\r\n\
            power: said highwater: leak (pid 99) was killed for memory: highwater why 99\r\n\
            power: alive 18.50\r\npower: alive 18.7";
        let heard = Heard::of(serial).unwrap();
        assert_eq!((heard.begun.micros(), heard.alive.micros()), (17_050_000, 18_500_000));
        assert_eq!((heard.agent, heard.reported), (true, vec![99]));
        assert_eq!(Heard::of("power: alive 1.00\n"), None);
        assert_eq!(Heard::of(""), None);
    }
}
