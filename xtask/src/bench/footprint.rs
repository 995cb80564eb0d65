//! `cargo xtask bench footprint`: what recording costs, beside the monitors that people run today.
//!
//! All of them look at the same crowd at the same time, every five seconds. The agent runs twice: as
//! it ships, and with every process kept in the store, which proves that every process was sampled
//! as often as it is said to be.

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

use super::crowd::{COMM, Crowd};
use super::monitor::{Cost, Monitor};
use crate::clock;
use crate::repo::{self, Profile};

/// The size of the crowd, unless said otherwise: the promise is made for these.
const PROCESSES: usize = 1000;
const CGROUPS: usize = 200;

/// How often everybody looks.
const EVERY: Duration = Duration::from_secs(5);

/// Time to start up in, which is not measured.
const SETTLE: Duration = Duration::from_secs(15);

/// Ports for those that are asked: free on most machines, and none that a monitor has by default.
const PORTS: [u16; 4] = [39_477, 39_478, 39_100, 39_256];

/// The promise: per mille of a core, and memory.
const GOAL_CPU_PERMILLE: f64 = 3.0;
const GOAL_PSS_MIB: f64 = 20.0;

/// The agent as it ships, and with every process kept.
const AGENT: &str = "highwater";
const AGENT_ALL: &str = "highwater, all kept";

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many idle processes.
    #[arg(long, default_value_t = PROCESSES)]
    processes: usize,
    /// Over how many cgroups.
    #[arg(long, default_value_t = CGROUPS)]
    cgroups: usize,
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
    let crowd = Crowd::start(options.processes, options.cgroups)?;
    println!("{} idle processes in {} cgroups", crowd.len(), options.cgroups);
    let desk = Desk::new()?;
    let mut monitors = desk.monitors(&program)?;
    watch(&mut monitors, SETTLE);
    let before = costs(&monitors)?;
    let (began, from) = (clock::now(), clock::wall());
    watch(&mut monitors, Duration::from_secs(options.seconds));
    let (took, to) = (began.elapsed(), clock::wall());
    let after = costs(&monitors)?;
    let lines: Vec<Line> = monitors
        .iter()
        .zip(before.iter().zip(&after))
        .map(|(monitor, (before, after))| line(monitor.name, *before, *after, took))
        .collect();
    print(&lines, took);
    unanswered(&monitors)?;
    sampled(&desk.data(AGENT_ALL), from, to, crowd.len())
}

/// Where the agents keep their histories and atop its file. Dropping it removes them.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new() -> anyhow::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("highwater-footprint-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
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
    fn monitors(&self, program: &Path) -> anyhow::Result<Vec<Monitor>> {
        let [own, all, node, process] = PORTS;
        let shipped = self.agent(program, AGENT, own, "")?;
        let kept = "[store]\nprocess_min_rss = \"0\"\n";
        let everything = self.agent(program, AGENT_ALL, all, kept)?;
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
        for (name, mut command, port) in wanted {
            match Monitor::start(name, &mut command, port)? {
                Some(monitor) => monitors.push(monitor),
                None => println!("{name} is not installed: left out"),
            }
        }
        Ok(monitors)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for what is temporary.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// Asks everybody who is asked, every five seconds.
fn watch(monitors: &mut [Monitor], span: Duration) {
    let began = clock::now();
    let mut next = Duration::ZERO;
    while next < span {
        thread::sleep(next.saturating_sub(began.elapsed()));
        monitors.iter_mut().for_each(Monitor::ask);
        next += EVERY;
    }
    thread::sleep(span.saturating_sub(began.elapsed()));
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

/// The table: each beside the agent as it ships.
fn print(lines: &[Line], took: Duration) {
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
    println!(
        "the goal of {:.1} % is {}, that of {GOAL_PSS_MIB} MiB is {}",
        GOAL_CPU_PERMILLE / 10.0,
        met(own.cpu_percent * 10.0 <= GOAL_CPU_PERMILLE),
        met(own.pss_mib <= GOAL_PSS_MIB),
    );
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
