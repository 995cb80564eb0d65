//! `cargo xtask e2e oom`: the kernel of this machine kills, and highwater must say why.
//!
//! Four stories: the agent watches; it is stopped during the kill; it dies a second before the kill;
//! and thirty processes are killed at once, of which the kernel reports only some in full.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Scoreboard;
use super::agent::{Recording, victim};
use super::group::{Group, Hierarchy};
use super::verdict::Expected;
use crate::borrowed::{Folder, Running};
use crate::clock;
use crate::repo::{self, Profile};
use crate::victim::Leak;

const MIB: u64 = 1 << 20;

/// The limit of the slow stories.
const LIMIT: u64 = 64 * MIB;

/// The limit of each cgroup in the burst.
const BURST_LIMIT: u64 = 16 * MIB;

/// How many are killed at once: enough for the kernel to ration its reports.
const BURST: usize = 30;

/// How long the members of the burst wait: one sampling period and some, so that they are on record.
const BURST_REST: Duration = Duration::from_secs(7);

/// Within what time of the kill the death must be in the store.
const STORED_WITHIN: Duration = Duration::from_secs(1);

/// How long a death may take at all before the test gives it up.
const GIVE_UP: Duration = Duration::from_secs(20);

/// The recorded points that a watched growth must have.
const POINTS: u64 = 20;

/// What the victim is called.
const COMM: &str = "leak";

/// Runs the four stories, or says why this machine has no place for them.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    let Some(stage) = Stage::build()? else {
        println!("skipped: no memory cgroup can be made here (it takes root and a cgroup mount)");
        return Ok(());
    };
    board.check("the agent watches", watched(&stage));
    board.check("the agent is stopped during the kill", stopped(&stage));
    board.check("the agent is killed a second before the kill", killed(&stage));
    board.check("thirty kills in a burst", burst(&stage));
    Ok(())
}

/// What every story needs.
struct Stage {
    program: PathBuf,
    hierarchy: Hierarchy,
    /// A name for the victim's program: what the kernel calls a process is what its file is called.
    folder: Folder,
}

impl Stage {
    fn build() -> anyhow::Result<Option<Self>> {
        let Some(hierarchy) = Hierarchy::find()? else { return Ok(None) };
        let trial = hierarchy.make(&format!("highwater-e2e-{}-trial", std::process::id()), None);
        if trial.is_err() {
            return Ok(None);
        }
        let program = repo::build("highwater", Profile::Dev)?;
        let folder = Folder::fresh("e2e-oom")?;
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        std::os::unix::fs::symlink(xtask, folder.join(COMM))?;
        Ok(Some(Self { program, hierarchy, folder }))
    }

    fn group(&self, name: &str, limit: u64) -> anyhow::Result<Group> {
        let name = format!("highwater-e2e-{}-{name}", std::process::id());
        self.hierarchy.make(&name, Some(limit)).context("cannot make a memory cgroup")
    }

    fn hog(&self, group: Group, leak: &Leak) -> anyhow::Result<Hog> {
        let leak = Leak { cgroup: Some(group.folder().to_owned()), ..leak.clone() };
        let mut command = Command::new(self.folder.join(COMM));
        leak.arguments(&mut command);
        let process = Running::start(command.stdin(Stdio::null()))?;
        Ok(Hog { process, group })
    }
}

/// A victim in its cgroup. Dropping it kills it, then removes the cgroup.
struct Hog {
    process: Running,
    group: Group,
}

impl Hog {
    /// Waits until the kernel has killed it.
    fn wait(&mut self) -> anyhow::Result<()> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.wait()?;
        ensure!(status.signal() == Some(9), "the victim was not killed: {status}");
        Ok(())
    }

    /// Waits until its cgroup uses this much.
    fn grown_to(&self, bytes: u64) -> anyhow::Result<()> {
        let (at_most, every) = (Duration::from_secs(90), Duration::from_millis(20));
        let grown =
            clock::poll(at_most, every, || Ok((self.group.usage()? >= bytes).then_some(())))?;
        grown.context("the victim does not grow")
    }

    fn expected(&self, limit: u64, points: u64) -> Expected {
        let limit_owner = self.group.path().to_owned();
        Expected { pid: self.process.id().into(), comm: COMM.into(), limit, limit_owner, points }
    }
}

/// The story as it should be: 2 MiB/s into a limit of 64 MiB, watched all the way.
fn watched(stage: &Stage) -> anyhow::Result<String> {
    let recording = Recording::fresh(&stage.program, "watched")?;
    let agent = recording.agent()?;
    let mut hog = stage.hog(stage.group("watched", LIMIT)?, &Leak::default())?;
    hog.wait()?;
    let dead = clock::now();
    recording.keeps(hog.process.id(), GIVE_UP)?;
    let stored = dead.elapsed();
    let death = recording.death(hog.process.id())?;
    let told = dead.elapsed();
    let figures = hog.expected(LIMIT, POINTS).judge(&death)?;
    let after = format!("stored {} ms, told {} ms after", stored.as_millis(), told.as_millis());
    ensure!(stored < STORED_WITHIN, "only {after} the kill");
    agent.stop()?;
    Ok(format!("{after} the kill; {figures}"))
}

/// The kernel's message waits in its buffer until the agent is back.
fn stopped(stage: &Stage) -> anyhow::Result<String> {
    let recording = Recording::fresh(&stage.program, "stopped")?;
    let agent = recording.agent()?;
    let mut hog = stage.hog(stage.group("stopped", LIMIT)?, &Leak::default())?;
    hog.grown_to(LIMIT / 2)?;
    agent.stop()?;
    hog.wait()?;
    let agent = recording.agent()?;
    recording.keeps(hog.process.id(), GIVE_UP)?;
    let death = recording.death(hog.process.id())?;
    // Half of the growth was watched, at the usual pace: one point in five seconds.
    let figures = hog.expected(LIMIT, 2).judge(&death)?;
    once(&recording, &hog)?;
    agent.stop()?;
    Ok(figures)
}

/// What was recorded until then must have survived, and the kernel's message is found after.
fn killed(stage: &Stage) -> anyhow::Result<String> {
    let recording = Recording::fresh(&stage.program, "killed")?;
    let agent = recording.agent()?;
    let mut hog = stage.hog(stage.group("killed", LIMIT)?, &Leak::default())?;
    // The next step but one is the last: one to two seconds.
    hog.grown_to(LIMIT - 3 * MIB)?;
    agent.kill()?;
    let left = clock::now();
    hog.wait()?;
    let alone = left.elapsed();
    let agent = recording.agent()?;
    recording.keeps(hog.process.id(), GIVE_UP)?;
    let death = recording.death(hog.process.id())?;
    let figures = hog.expected(LIMIT, POINTS).judge(&death)?;
    once(&recording, &hog)?;
    agent.stop()?;
    Ok(format!("killed {} ms before; {figures}", alone.as_millis()))
}

/// The kernel's messages were read twice: the death is kept once.
fn once(recording: &Recording, hog: &Hog) -> anyhow::Result<()> {
    let stored = recording.stored(hog.process.id())?;
    ensure!(stored == 1, "one death is stored {stored} times");
    Ok(())
}

/// The kernel prints about ten reports and thirty kill lines: each is a death of its own.
fn burst(stage: &Stage) -> anyhow::Result<String> {
    let recording = Recording::fresh(&stage.program, "burst")?;
    let agent = recording.agent()?;
    let rest_ms = u64::try_from(BURST_REST.as_millis())?;
    let leak = Leak { every_ms: 0, rest_ms, ..Leak::default() };
    let start = |n| stage.hog(stage.group(&format!("burst-{n}"), BURST_LIMIT)?, &leak);
    let mut hogs = (0..BURST).map(start).collect::<anyhow::Result<Vec<_>>>()?;
    thread::sleep(BURST_REST);
    let began = clock::now();
    hogs.iter_mut().try_for_each(Hog::wait)?;
    let took = began.elapsed();
    let wanted: BTreeSet<u64> = hogs.iter().map(|hog| hog.process.id().into()).collect();
    for hog in &hogs {
        recording.keeps(hog.process.id(), GIVE_UP)?;
        once(&recording, hog)?;
    }
    let told = deaths_of(&recording, &wanted)?;
    let pids: BTreeSet<u64> = told.iter().filter_map(victim).collect();
    ensure!(told.len() == BURST && pids == wanted, "{} deaths, {} pids", told.len(), pids.len());
    for hog in &hogs {
        let expected = hog.expected(BURST_LIMIT, 0);
        let death = told.iter().find(|death| victim(death) == Some(expected.pid));
        expected.identify(death.context("a death is missing")?)?;
    }
    agent.stop()?;
    let bare = told.iter().filter(|death| !reported_in_full(death)).count();
    Ok(format!(
        "{} deaths with their {} pids and limits in {} ms, {bare} of them from a bare kill line",
        told.len(),
        pids.len(),
        took.as_millis()
    ))
}

fn deaths_of(recording: &Recording, pids: &BTreeSet<u64>) -> anyhow::Result<Vec<Value>> {
    let mut deaths = recording.deaths()?;
    deaths.retain(|death| victim(death).is_some_and(|pid| pids.contains(&pid)));
    Ok(deaths)
}

/// Whether the kernel printed a header for this kill.
fn reported_in_full(death: &Value) -> bool {
    death.pointer("/trigger/pid").is_some_and(Value::is_u64)
        || death.pointer("/trigger/comm").is_some_and(Value::is_string)
}
