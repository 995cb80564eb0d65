//! `cargo xtask e2e crash`: the recorder is killed with SIGKILL at random moments, again and again.
//!
//! Two victims: the agent itself beside a crowd and a kernel that kills, and the store alone, written,
//! sealed, compacted and expired as fast as it goes, a week of recording in a few minutes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use highwater_core::time::WallTime;
use highwater_store::{EventFilter, Reader};

use super::Scoreboard;
use super::agent::{Agent, Recording};
use super::dice::Dice;
use super::group::{Group, Hierarchy};
use super::sound;
use crate::borrowed::Running;
use crate::clock;
use crate::repo::{self, Profile};
use crate::victim::Leak;

pub(crate) mod hammer;

/// How the scenario is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the agent is killed, and how often the store's writer.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Where the random moments come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kill only the agent, or only the store's writer.
    #[arg(long)]
    only: Option<Victim>,
    /// How many processes sit beside the agent.
    #[arg(long, default_value_t = 200)]
    crowd: usize,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Victim {
    Agent,
    Store,
}

/// The quickest cadence that the configuration allows, and every process on disk.
const CONFIG: &str = "[sample]\nevery = \"1s\"\nclose_up_every = \"100ms\"\nslow_every = \"1s\"\n\
    [store]\nprocess_min_rss = \"0\"\n[web]\nlisten = \"127.0.0.1:0\"\n";

/// Within what time of its start the agent must have recorded its first tick.
const STARTED_WITHIN: Duration = Duration::from_secs(2);

/// How much recording one kill may take away.
const LOST_AT_MOST: Duration = Duration::from_secs(10);

/// When the kill comes, counted from the start: from before the first tick to a few ticks later.
const KILL_AFTER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(3500));

/// How long anything may take before the test gives it up.
const GIVE_UP: Duration = Duration::from_secs(20);

/// The limit of the processes that the kernel kills meanwhile: events to be lost.
const LIMIT: u64 = 16 << 20;

/// A series that every whole tick has.
const WITNESS: &str = "node_memory_MemTotal_bytes";

/// Kills both, as often as told.
pub(crate) fn run(options: &Options, board: &mut Scoreboard) {
    if options.only != Some(Victim::Store) {
        board.check("the agent survives kill -9", agent(options));
    }
    if options.only != Some(Victim::Agent) {
        let statement = "what the store reported survives kill -9";
        board.check(statement, hammer::survive(options.rounds, options.seed));
    }
}

/// What a round showed.
struct Seen {
    /// From the start of the process to its first tick on disk; `None`: killed before.
    first_tick: Option<Duration>,
    /// From the last tick on disk to the kill.
    lost: Duration,
}

fn agent(options: &Options) -> anyhow::Result<String> {
    println!("seed {}", options.seed);
    let program = repo::build("highwater", Profile::Dev)?;
    let recording = Recording::configured(&program, "crash", CONFIG)?;
    let mut rounds = Rounds {
        recording,
        dice: Dice::of(options.seed),
        hierarchy: Hierarchy::find()?,
        crowd: Crowd::gather(options.crowd)?,
        dead: vec![],
        reported: BTreeSet::new(),
        last: None,
    };
    let mut seen = Vec::new();
    for round in 0..options.rounds {
        let one = rounds.one(round).with_context(|| format!("in round {round}"))?;
        seen.push(one);
        if (round + 1).is_multiple_of(25) {
            println!("{} rounds; {}", round + 1, figures(&seen));
        }
    }
    let kept = rounds.settle()?;
    Ok(format!("{} rounds; {}; {kept}", seen.len(), figures(&seen)))
}

fn figures(seen: &[Seen]) -> String {
    let mut firsts: Vec<u128> =
        seen.iter().filter_map(|one| Some(one.first_tick?.as_millis())).collect();
    firsts.sort_unstable();
    let median = firsts.get(firsts.len() / 2).copied().unwrap_or_default();
    let slowest = firsts.last().copied().unwrap_or_default();
    let lost = seen.iter().map(|one| one.lost.as_millis()).max().unwrap_or_default();
    format!(
        "first tick on disk {median} ms after the start in the median, {slowest} ms at most; \
         at most {lost} ms lost"
    )
}

/// What goes through the rounds.
struct Rounds {
    recording: Recording,
    dice: Dice,
    hierarchy: Option<Hierarchy>,
    crowd: Crowd,
    /// Whom the kernel killed.
    dead: Vec<u32>,
    /// Whom the agent reported as killed.
    reported: BTreeSet<u32>,
    /// The newest tick that was seen on disk.
    last: Option<WallTime>,
}

impl Rounds {
    fn one(&mut self, round: usize) -> anyhow::Result<Seen> {
        let (least, most) = KILL_AFTER;
        let kill_at = self.dice.span(least, most);
        let die_at = self.dice.span(Duration::ZERO, kill_at);
        let (began, started) = (clock::wall(), clock::now());
        let mut agent = self.recording.spawn()?;
        let doomed = self.doom(round, die_at)?;
        let first_tick = self.watch(&mut agent, started, kill_at)?;
        self.crowd.churn(&mut self.dice)?;
        thread::sleep(kill_at.saturating_sub(started.elapsed()));
        let killed = clock::wall();
        agent.kill()?;
        self.dead.extend(doomed.map(Doomed::wait).transpose()?);
        self.reported.extend(self.recording.reported()?);
        self.check(began, killed).map(|lost| Seen { first_tick, lost })
    }

    /// A process that the kernel kills some time from now.
    fn doom(&self, round: usize, rest: Duration) -> anyhow::Result<Option<Doomed>> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(None) };
        let name = format!("highwater-e2e-{}-crash-{round}", std::process::id());
        let group = hierarchy.make(&name, Some(LIMIT)).context("cannot make a memory cgroup")?;
        let leak = Leak {
            step_mib: 4,
            every_ms: 0,
            rest_ms: u64::try_from(rest.as_millis())?,
            cgroup: Some(group.folder().to_owned()),
            until_mib: None,
        };
        let mut command = Command::new(std::env::current_exe()?);
        leak.arguments(&mut command);
        let process = Running::start(command.stdin(Stdio::null()))?;
        Ok(Some(Doomed { process, _group: group }))
    }

    /// Waits for the first tick of this start, or for the moment of the kill.
    fn watch(
        &self,
        agent: &mut Agent,
        started: Instant,
        kill_at: Duration,
    ) -> anyhow::Result<Option<Duration>> {
        let mut first = None;
        while first.is_none() && started.elapsed() < kill_at {
            ensure!(agent.runs()?, "the agent ended: {}", self.recording.said()?.trim());
            // Before the very first start there is nothing to open.
            let last = Reader::open(&self.recording.data()).ok().map(|reader| reader.last_tick());
            let newest = last.transpose()?.flatten().map(|tick| tick.wall);
            first = (newest > self.last).then(|| started.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        let took = first.unwrap_or_else(|| started.elapsed());
        ensure!(took < STARTED_WITHIN, "no tick on disk {} ms after the start", took.as_millis());
        if first.is_some() {
            let healthy = clock::poll(GIVE_UP, Duration::from_millis(5), || {
                Ok(self.recording.healthy().then_some(()))
            });
            healthy?.context("/healthz does not say that all is well")?;
        }
        Ok(first)
    }

    /// What must hold after every kill; how much recording was lost.
    fn check(&mut self, began: WallTime, killed: WallTime) -> anyhow::Result<Duration> {
        sound::integrity(&self.recording.data(), &self.recording.scratch())?;
        let reader = Reader::open(&self.recording.data())?;
        let newest = reader.last_tick()?.map(|tick| tick.wall);
        ensure!(newest >= self.last, "the last tick is {newest:?}, and was {:?}", self.last);
        self.last = newest;
        ensure!(reader.caveats().is_empty(), "caveats: {:?}", reader.caveats());
        let stored = stored(&reader)?;
        let missing: Vec<_> = self.reported.difference(&stored).collect();
        ensure!(missing.is_empty(), "reported and not in the store: pids {missing:?}");
        // An agent that was killed before its first tick lost what it ran.
        let since = newest.unwrap_or(began).max(began);
        let lost = killed.since(since);
        ensure!(lost <= LOST_AT_MOST, "{} ms are lost", lost.as_millis());
        Ok(lost)
    }

    /// After the last kill one agent more reads what the kernel still has: then every death must be
    /// on record, once.
    fn settle(mut self) -> anyhow::Result<String> {
        let agent = self.recording.spawn()?;
        let wanted: BTreeSet<u32> = self.dead.iter().copied().collect();
        let kept = clock::poll(GIVE_UP, Duration::from_millis(100), || {
            let reader = Reader::open(&self.recording.data())?;
            Ok(wanted.is_subset(&stored(&reader)?).then_some(()))
        })?;
        let reader = Reader::open(&self.recording.data())?;
        let missing: Vec<u32> = wanted.difference(&stored(&reader)?).copied().collect();
        kept.with_context(|| format!("the kernel killed and no death is stored: {missing:?}"))?;
        agent.stop()?;
        let filter = EventFilter { kind: Some("death"), ..EventFilter::default() };
        let deaths = reader.events(&filter)?.len();
        let ours = self.dead.len();
        let points = sound::machine(&reader, WITNESS)?.len();
        self.reported.clear();
        Ok(format!("{ours} deaths of ours among the {deaths} stored, {points} ticks in order"))
    }
}

/// The pids of all stored deaths; each must be there once.
fn stored(reader: &Reader) -> anyhow::Result<BTreeSet<u32>> {
    let filter = EventFilter { kind: Some("death"), ..EventFilter::default() };
    let events = reader.events(&filter)?;
    let keys: BTreeSet<_> = events.iter().map(|kept| kept.event.key.clone()).collect();
    ensure!(keys.len() == events.len(), "a death is stored twice");
    let pid = |kept: &highwater_store::StoredEvent| match &kept.event.what {
        highwater_core::event::Happening::Death(death) => Some(death.pid.get()),
        _ => None,
    };
    Ok(events.iter().filter_map(pid).collect())
}

/// A process on its way to be killed by the kernel, in its cgroup.
struct Doomed {
    process: Running,
    _group: Group,
}

impl Doomed {
    /// Waits until the kernel has killed it; its pid.
    fn wait(mut self) -> anyhow::Result<u32> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.wait()?;
        ensure!(status.signal() == Some(9), "the victim was not killed: {status}");
        Ok(self.process.id())
    }
}

/// Processes that sit beside the agent, some of which are others in the next round.
struct Crowd {
    program: PathBuf,
    idle: Vec<Running>,
}

/// How many of the crowd are replaced in a round.
const REPLACED: usize = 10;

impl Crowd {
    fn gather(size: usize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find xtask's own program")?;
        let mut crowd = Self { program, idle: vec![] };
        for _ in 0..size {
            crowd.idle.push(crowd.one()?);
        }
        Ok(crowd)
    }

    fn one(&self) -> anyhow::Result<Running> {
        let mut command = Command::new(&self.program);
        Running::start(command.arg("idle").stdin(Stdio::null()).stdout(Stdio::null()))
    }

    fn churn(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        for _ in 0..REPLACED.min(self.idle.len()) {
            let at = usize::try_from(dice.below(u64::try_from(self.idle.len())?))?;
            let young = self.one()?;
            if let Some(old) = self.idle.get_mut(at) {
                *old = young;
            }
        }
        Ok(())
    }
}
