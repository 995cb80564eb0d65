//! `cargo xtask e2e vm`: a unit over its `MemoryMax`, on a real systemd machine with cgroup v2.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Scoreboard;
use super::agent::victim;
use super::verdict::Expected;
use crate::clock;
use crate::repo::{self, Profile};
use crate::vm::{Payload, Vm, VmRun};

/// What the guest runs.
const SCRIPT: &str = include_str!("guest/unit.sh");

/// The unit's `MemoryMax=64M`.
const LIMIT: u64 = 64 << 20;

/// The recorded points that the unit's growth must have.
const POINTS: u64 = 20;

/// How the scenario is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Without highwater: only the kill and what the kernel says, to try the machine itself.
    #[arg(long)]
    bare: bool,
}

/// Boots, lets the unit die, and reads what came back.
pub(crate) fn run(options: &Options, board: &mut Scoreboard) -> anyhow::Result<()> {
    let leak = std::env::current_exe().context("cannot find xtask's own program")?;
    let highwater = (!options.bare).then(|| repo::build("highwater", Profile::Dev)).transpose()?;
    let mut files = vec![(leak.as_path(), "leak")];
    files.extend(highwater.as_deref().map(|program| (program, "highwater")));
    let vm = Vm::new("unit")?;
    let begun = clock::now();
    let run = vm.run(&Payload { files: &files, script: SCRIPT })?;
    println!("results in {}", run.results.display());
    let seconds = begun.elapsed().as_secs();
    board.check(
        "the machine boots, kills and powers off",
        ended(&run).map(|()| format!("{:.0} s to boot, {seconds} s in all", run.boot_seconds)),
    );
    board.check("the kernel killed the unit", kernel(&run.results));
    if highwater.is_some() {
        board.check("why tells the death", why(&run.results, "why.json"));
        board.check("why UNIT tells the same", why(&run.results, "why-unit.json"));
        board.check("why UNIT is readable", readable(&run.results));
        board.check("checkup answers", checkup(&run.results));
        board.check("a unit that dies together is told whole", together(&run.results));
        board.check("a kill by sysrq is told as one", by_hand(&run.results));
        board
            .check("the agent is ready, fed its watchdog, and is killed last", alive(&run.results));
        board.check("the agent ends cleanly", agent(&run.results));
    }
    Ok(())
}

fn ended(run: &VmRun) -> anyhow::Result<()> {
    ensure!(run.code == 0, "the script ended with {}", run.code);
    Ok(())
}

fn read(results: &Path, name: &str) -> anyhow::Result<String> {
    let file = results.join(name);
    let content = fs::read(&file).with_context(|| format!("no {}", file.display()))?;
    Ok(String::from_utf8_lossy(&content).trim().to_owned())
}

fn pid(results: &Path, name: &str) -> anyhow::Result<u64> {
    read(results, name)?.parse().with_context(|| format!("{name} has no pid"))
}

fn kernel(results: &Path) -> anyhow::Result<String> {
    let result = read(results, "hog.result")?;
    ensure!(result == "oom-kill", "systemd says {result}");
    let wanted = format!("Killed process {} (leak)", pid(results, "pid")?);
    let said = read(results, "dmesg.txt")?;
    let line = said.lines().find(|line| line.contains(&wanted));
    line.map(str::to_owned).with_context(|| format!("no line with: {wanted}"))
}

fn why(results: &Path, name: &str) -> anyhow::Result<String> {
    let pid = pid(results, "pid")?;
    let expected = Expected {
        pid,
        comm: "leak".into(),
        limit: LIMIT,
        limit_owner: "/system.slice/hog.service".into(),
        points: POINTS,
    };
    let deaths = deaths(results, name)?;
    ensure!(deaths.len() == 1, "{} deaths instead of one", deaths.len());
    let death = deaths.iter().find(|death| victim(death) == Some(pid));
    expected.judge(death.context("another death")?)
}

fn deaths(results: &Path, name: &str) -> anyhow::Result<Vec<Value>> {
    let mut answer: Value = serde_json::from_str(&read(results, name)?)
        .with_context(|| format!("{name} is not JSON"))?;
    let deaths = answer.get_mut("deaths").and_then(Value::as_array_mut).context("no deaths")?;
    Ok(std::mem::take(deaths))
}

/// What a death calls its victim, and its cause.
fn named(death: &Value) -> (&str, &str) {
    let text = |pointer| death.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    (text("/victim/comm"), text("/cause"))
}

/// The one that went over the limit, and those that only shared it: all whom the kernel says that it
/// killed. Sometimes systemd, which heard of the first, is quicker with the second.
fn together(results: &Path) -> anyhow::Result<String> {
    let pid = pid(results, "group.pid")?;
    let said = read(results, "dmesg.txt")?;
    let mut wanted: Vec<_> = killed_together(&said).collect();
    wanted.sort_unstable();
    wanted.dedup();
    ensure!(wanted.contains(&(pid, "leak")), "the kernel killed {wanted:?}, {pid} not among them");
    let deaths = deaths(results, "why-group.json")?;
    let mut told = Vec::new();
    for death in &deaths {
        let (comm, cause) = named(death);
        ensure!(cause == "kernel-oom-memcg", "{comm} is told as {cause}");
        told.push((victim(death).context("a death without a pid")?, comm));
    }
    told.sort_unstable();
    ensure!(told == wanted, "told are {told:?}, the kernel killed {wanted:?}");
    Ok(format!("{wanted:?}"))
}

/// Whom the kernel killed because they share a cgroup that dies as one.
fn killed_together(log: &str) -> impl Iterator<Item = (u64, &str)> {
    let from = log.lines().skip_while(|line| !line.contains("due to memory.oom.group set"));
    from.take_while(|line| !line.contains("invoked oom-killer")).filter_map(|line| {
        let (_, killed) = line.split_once("Killed process ")?;
        let (pid, named) = killed.split_once(" (")?;
        Some((pid.parse().ok()?, named.split_once(") total-vm")?.0))
    })
}

/// No limit and no shortage: the cause is the person.
fn by_hand(results: &Path) -> anyhow::Result<String> {
    let pid = pid(results, "quiet.pid")?;
    let deaths = deaths(results, "why-quiet.json")?;
    let death = deaths.iter().find(|death| victim(death) == Some(pid));
    let death =
        death.with_context(|| format!("pid {pid} is in none of {} deaths", deaths.len()))?;
    ensure!(named(death) == ("leak", "kernel-oom-sysrq"), "told is {:?}", named(death));
    Ok(format!("pid {pid}, the machine having room"))
}

fn readable(results: &Path) -> anyhow::Result<String> {
    let told = read(results, "why.txt")?;
    // The answer begins with one sentence, wrapped to the width of a terminal.
    let first = told.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    for wanted in ["leak", "hog.service", "64 MiB"] {
        ensure!(first.contains(wanted), "{wanted:?} is not in the first sentence: {first}");
    }
    Ok(first)
}

fn checkup(results: &Path) -> anyhow::Result<String> {
    let code = read(results, "checkup.code")?;
    let page = read(results, "checkup.txt")?;
    ensure!(["0", "1", "2"].contains(&code.as_str()), "exit code {code}: {page}");
    let columns = page.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let size = format!("{columns} x {}", page.lines().count());
    ensure!(page.lines().count() > 5, "hardly an answer: {page}");
    ensure!(columns <= 80 && page.lines().count() <= 24, "{size} is larger than 80 x 24");
    Ok(format!("exit code {code}, {size}"))
}

fn alive(results: &Path) -> anyhow::Result<String> {
    let (state, adj) = (read(results, "agent.state")?, read(results, "agent.adj")?);
    ensure!(state == "active", "systemd says {state}");
    ensure!(adj == "-900", "oom_score_adj is {adj}");
    Ok(format!("{state}, oom_score_adj {adj}"))
}

fn agent(results: &Path) -> anyhow::Result<String> {
    let result = read(results, "agent.result")?;
    ensure!(result == "success", "systemd says {result}");
    Ok(result)
}
