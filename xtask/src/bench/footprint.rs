//! `cargo xtask bench footprint`: what recording costs, beside the monitors that people run today.
//!
//! All of them look at the same crowd at the same time, every five seconds. The agent runs twice: as
//! it ships, and with every process kept in the store, which proves that every process was sampled
//! as often as it is said to be. With `--churn` processes come and go all the while, and what is
//! asked is whether the agent's memory and the store's list of things stay as small as they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_store::Reader;

use super::churn::{Churn, Course};
use super::crowd::{COMM, Crowd};
use super::monitor::{Cost, Monitor};
use crate::borrowed::Folder;
use crate::clock;
use crate::repo::{self, Profile};

/// The size of the crowd, unless said otherwise: the promise is made for these.
const PROCESSES: usize = 1000;
const BUSY: usize = 20;
const CGROUPS: usize = 200;

/// How many short-lived processes a second churn is.
const CHURN: usize = 200;

/// How often everybody looks.
const EVERY: Duration = Duration::from_secs(5);

/// Time to start up in, which is not measured.
const SETTLE: Duration = Duration::from_secs(15);

/// Ports for those that are asked: free on most machines, and none that a monitor has by default.
const PORTS: [u16; 4] = [39_477, 39_478, 39_100, 39_256];

/// The promise: per mille of a core for each thousand processes, and memory.
const GOAL_CPU_PERMILLE: f64 = 3.0;
const GOAL_PSS_MIB: f64 = 20.0;

/// Memory is flat when its middle grows by no more than this between the second quarter and the
/// last: the share allows for a heap that finds its shape, the amount for a page here and there.
const FLAT_SHARE: f64 = 0.05;
const FLAT_MIB: f64 = 0.5;

/// The store's list of things is bounded when it grows by no more than these, which the services of
/// the machine itself may bring, for all the thousands that come and go.
const BOUNDED_SHARE: f64 = 0.05;
const BOUNDED_THINGS: f64 = 50.0;

/// What has every process kept, however small, young and many they are.
const KEEP_ALL: &str =
    "[store]\nprocess_min_rss = \"0\"\nnew_processes = 1000\nprocesses = 50000\n";

/// The agent as it ships, and with every process kept.
const AGENT: &str = "highwater";
const AGENT_ALL: &str = "highwater, all kept";

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many idle processes.
    #[arg(long, default_value_t = PROCESSES)]
    processes: usize,
    /// How many busy ones.
    #[arg(long, default_value_t = BUSY)]
    busy: usize,
    /// Over how many cgroups.
    #[arg(long, default_value_t = CGROUPS)]
    cgroups: usize,
    /// Have 200 short-lived processes come and go every second.
    #[arg(long)]
    churn: bool,
    /// Measure the agent only: with very many processes others take more than there is.
    #[arg(long)]
    alone: bool,
}

/// One line of the table.
struct Line {
    name: &'static str,
    cpu_percent: f64,
    pss_mib: f64,
}

/// Starts the crowd and the monitors, waits, and prints the table.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let crowd = Crowd::start(options.processes, options.busy, options.cgroups)?;
    let (idle, busy) = (crowd.idle(), crowd.busy());
    println!("{idle} idle and {busy} busy processes in {} cgroups", options.cgroups);
    let desk = Desk::new()?;
    let mut monitors = desk.monitors(&program, options.alone || options.churn)?;
    let mut churn = options.churn.then(|| Churn::new(CHURN));
    let mut trail = Trail::default();
    watch(&mut monitors, SETTLE, churn.as_mut(), &mut |_| Ok(()))?;
    let before = costs(&monitors)?;
    let (began, from) = (clock::now(), clock::wall());
    let span = Duration::from_secs(options.seconds);
    watch(&mut monitors, span, churn.as_mut(), &mut |monitors| {
        if options.churn { trail.note(&desk, monitors) } else { Ok(()) }
    })?;
    let (took, to) = (began.elapsed(), clock::wall());
    let after = costs(&monitors)?;
    let lines: Vec<Line> = monitors
        .iter()
        .zip(before.iter().zip(&after))
        .map(|(monitor, (before, after))| line(monitor.name, *before, *after, took))
        .collect();
    let goal = if options.churn { None } else { Some(goal_percent(idle + busy)) };
    print(&lines, took, goal);
    unanswered(&monitors)?;
    if let Some(churn) = churn {
        println!("{} short-lived processes came and went", churn.started);
        return trail.judge();
    }
    sampled(&desk.data(AGENT_ALL), from, to, idle)
}

/// What the agent may take with so many processes, in per cent of a core.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
fn goal_percent(processes: usize) -> f64 {
    let thousands = (processes / PROCESSES).max(1);
    GOAL_CPU_PERMILLE / 10.0 * thousands as f64
}

/// What an agent took while processes came and went, reading by reading.
#[derive(Default)]
struct Trail {
    pss_mib: Vec<f64>,
    rss_mib: Vec<f64>,
    things: Vec<f64>,
}

impl Trail {
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
    fn note(&mut self, desk: &Desk, monitors: &[Monitor]) -> anyhow::Result<()> {
        let own = monitors.iter().find(|monitor| monitor.name == AGENT);
        let cost = own.context("the agent does not run")?.cost()?;
        self.pss_mib.push(cost.pss_kib as f64 / 1024.0);
        self.rss_mib.push(cost.rss_kib as f64 / 1024.0);
        let history = Reader::open(&desk.data(AGENT)).context("the agent has no history")?;
        self.things.push(history.info()?.entities as f64);
        Ok(())
    }

    /// Prints the courses, and fails unless all are level.
    fn judge(&self) -> anyhow::Result<()> {
        println!("{:20} {:>14} {:>14} {:>9}", AGENT, "second quarter", "last quarter", "goal");
        let rows = [
            ("PSS MiB", &self.pss_mib, FLAT_SHARE, FLAT_MIB),
            ("RSS MiB", &self.rss_mib, FLAT_SHARE, FLAT_MIB),
            ("things in the store", &self.things, BOUNDED_SHARE, BOUNDED_THINGS),
        ];
        let mut level = true;
        for (name, readings, share, amount) in rows {
            let course = Course::of(readings).context("too short to tell: take --seconds 60")?;
            let flat = course.is_flat(share, amount);
            level &= flat;
            let (early, late) = (course.early, course.late);
            println!("{name:20} {early:>14.1} {late:>14.1} {:>9}", met(flat));
        }
        if !level {
            bail!("something grows with the number of processes that came and went");
        }
        Ok(())
    }
}

/// Where the agents keep their histories and atop its file. Dropping it removes them.
struct Desk {
    folder: Folder,
}

impl Desk {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { folder: Folder::fresh("footprint")? })
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.join(name.replace(", ", "-").replace(' ', "-"))
    }

    fn agent(&self, program: &Path, name: &str, port: u16, more: &str) -> anyhow::Result<Command> {
        let config = self.data(name).with_extension("toml");
        fs::write(&config, format!("[web]\nlisten = \"127.0.0.1:{port}\"\n{more}"))?;
        let mut agent = Command::new(program);
        agent.arg("agent").arg("--data-dir").arg(self.data(name)).arg("--config").arg(config);
        Ok(agent)
    }

    /// Whoever is installed.
    fn monitors(&self, program: &Path, alone: bool) -> anyhow::Result<Vec<Monitor>> {
        let [own, all, node, process] = PORTS;
        let shipped = self.agent(program, AGENT, own, "")?;
        let everything = self.agent(program, AGENT_ALL, all, KEEP_ALL)?;
        let mut node_exporter = Command::new("prometheus-node-exporter");
        node_exporter.arg(format!("--web.listen-address=127.0.0.1:{node}"));
        let mut process_exporter = Command::new("prometheus-process-exporter");
        process_exporter.arg(format!("-web.listen-address=127.0.0.1:{process}"));
        // Every process by its name, which is what it does after installation.
        let names = self.folder.join("process-exporter.yml");
        fs::write(&names, "process_names:\n  - name: \"{{.Comm}}\"\n    cmdline:\n    - '.+'\n")?;
        process_exporter.arg("-config.path").arg(names);
        let mut atop = Command::new("atop");
        atop.arg("-w").arg(self.folder.join("atop.raw")).arg(EVERY.as_secs().to_string());
        // The agent records by itself: nobody has to ask it.
        let wanted: [(&str, Command, Option<u16>); 5] = [
            (AGENT, shipped, None),
            (AGENT_ALL, everything, None),
            ("node_exporter", node_exporter, Some(node)),
            ("process-exporter", process_exporter, Some(process)),
            ("atop", atop, None),
        ];
        let mut monitors = Vec::new();
        let own = [AGENT, AGENT_ALL];
        for (name, mut command, port) in wanted {
            if alone && !own.contains(&name) {
                continue;
            }
            match Monitor::start(name, &mut command, port)? {
                Some(monitor) => monitors.push(monitor),
                None => println!("{name} is not installed: left out"),
            }
        }
        Ok(monitors)
    }
}

/// Asks everybody who is asked, every five seconds, and calls `note` as often.
fn watch(
    monitors: &mut [Monitor],
    span: Duration,
    mut churn: Option<&mut Churn>,
    note: &mut dyn FnMut(&[Monitor]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = clock::now();
    let mut next = Duration::ZERO;
    while next < span {
        wait(next.saturating_sub(began.elapsed()), churn.as_deref_mut())?;
        monitors.iter_mut().for_each(Monitor::ask);
        note(monitors)?;
        next += EVERY;
    }
    wait(span.saturating_sub(began.elapsed()), churn)
}

/// Waits, with processes that come and go meanwhile if there is to be churn.
fn wait(span: Duration, churn: Option<&mut Churn>) -> anyhow::Result<()> {
    if let Some(churn) = churn {
        return churn.run(span);
    }
    thread::sleep(span);
    Ok(())
}

fn costs(monitors: &[Monitor]) -> anyhow::Result<Vec<Cost>> {
    monitors.iter().map(Monitor::cost).collect()
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
fn line(name: &'static str, before: Cost, after: Cost, took: Duration) -> Line {
    let ticks = after.ticks.saturating_sub(before.ticks) as f64;
    let seconds = ticks / rustix::param::clock_ticks_per_second() as f64;
    let cpu_percent = 100.0 * seconds / took.as_secs_f64();
    Line { name, cpu_percent, pss_mib: after.pss_kib as f64 / 1024.0 }
}

/// The table: each beside the agent as it ships, and whether that meets its goals; with churn there
/// is none for the processor.
fn print(lines: &[Line], took: Duration, goal_percent: Option<f64>) {
    println!("over {} s, every {} s:", took.as_secs(), EVERY.as_secs());
    println!("{:20} {:>14} {:>7} {:>9} {:>7}", "", "CPU % of core", "ratio", "PSS MiB", "ratio");
    let Some(own) = lines.iter().find(|line| line.name == AGENT) else { return };
    for line in lines {
        println!(
            "{:20} {:>14.3} {:>7.2} {:>9.1} {:>7.2}",
            line.name,
            line.cpu_percent,
            // A tick of a hundredth of a second is what can be seen at all.
            line.cpu_percent / own.cpu_percent.max(0.001),
            line.pss_mib,
            line.pss_mib / own.pss_mib,
        );
    }
    if let Some(goal) = goal_percent {
        println!("the goal of {goal:.1} % is {}", met(own.cpu_percent <= goal));
    }
    println!("the goal of {GOAL_PSS_MIB} MiB is {}", met(own.pss_mib <= GOAL_PSS_MIB));
}

fn met(is: bool) -> &'static str {
    if is { "met" } else { "not met" }
}

/// A monitor that did not answer cost nothing: its line would be a lie.
fn unanswered(monitors: &[Monitor]) -> anyhow::Result<()> {
    // The first may come before the monitor listens.
    if let Some(monitor) = monitors.iter().find(|monitor| monitor.unanswered > 1) {
        bail!("{}: {} of {} scrapes failed", monitor.name, monitor.unanswered, monitor.asked);
    }
    Ok(())
}

/// Checks that every member of the crowd has a sample for every period of the window.
fn sampled(data: &Path, from: WallTime, to: WallTime, members: usize) -> anyhow::Result<()> {
    let reader = Reader::open(data).context("the agent left no history")?;
    let matchers =
        vec![Matcher::is(NAME, "process_resident_memory_bytes"), Matcher::is("comm", COMM)];
    let series = reader.select(&Selection { matchers, from, to, step: None, ends: false })?;
    let mut points: BTreeMap<String, usize> = BTreeMap::new();
    for one in series {
        *points.entry(one.labels.get("pid").to_owned()).or_default() += one.points.len();
    }
    let periods = to.since(from).as_millis() / EVERY.as_millis();
    // The window begins and ends between two samples.
    let wanted = usize::try_from(periods)?.saturating_sub(1);
    let fewest = points.values().copied().min().unwrap_or(0);
    let most = points.values().copied().max().unwrap_or(0);
    println!(
        "{} of {members} processes on record, each {fewest} to {most} times in {periods} periods",
        points.len()
    );
    if points.len() < members || fewest < wanted {
        bail!("not every process was sampled every {} s", EVERY.as_secs());
    }
    Ok(())
}
