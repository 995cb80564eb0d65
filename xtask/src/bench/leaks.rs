//! `cargo xtask bench leaks`: what it takes to judge thousands of owners over a month.
//!
//! Made owners of known fate are imported at the cadence of a scraper, and `highwater leaks` judges
//! all of them, as a user would ask: how long it takes, how much processor time and memory, and
//! whether it tells those that leak from those that do not. What is measured stands beside the same
//! of a few owners: it must not grow faster than the number of owners does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use serde_json::Value;

use crate::clock;
use crate::repo::{self, Profile};

mod course;
mod make;

/// The promises for the most owners.
const OWNERS: u32 = 5000;
const GOAL_SECONDS: f64 = 3.0;
const GOAL_KIB: u64 = 100 << 10;

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many owners; several numbers, several runs.
    #[arg(long, value_delimiter = ',', default_values_t = [200, 500, OWNERS])]
    owners: Vec<u32>,
    /// How many days of them.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// How often each is judged.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Each owner is scraped at moments of its own, not all of them at the same ones.
    #[arg(long)]
    apart: bool,
}

/// What one run took.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    seconds: f64,
    processor: f64,
    peak_kib: u64,
}

/// Makes the histories, judges them, prints the table, and fails if a promise is broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let folder = repo::target().join("bench-leaks");
    fs::create_dir_all(&folder)?;
    println!(
        "{:>7} {:>8} {:>11} {:>9} {:>8} {:>7} {:>7} {:>7}",
        "owners", "wall s", "processor s", "peak MiB", "courses", "leaks", "missed", "accused"
    );
    let mut broken = Vec::new();
    for owners in &options.owners {
        let kind = if options.apart { "apart" } else { "together" };
        let dir = folder.join(format!("{owners}-{}-{kind}", options.days));
        let made = make::history(&dir, (*owners, options.days), options.apart)?;
        let answer = folder.join("answer.json");
        let mut least = judge(&program, &dir, &answer)?;
        for _ in 1..options.rounds {
            let toll = judge(&program, &dir, &answer)?;
            if toll.seconds < least.seconds {
                least = Toll { peak_kib: least.peak_kib.max(toll.peak_kib), ..toll };
            }
        }
        let found = Found::read(&answer)?;
        let missed = made.leaks.difference(&found.leaks).count();
        let accused = found.leaks.difference(&made.leaks).count();
        println!(
            "{owners:>7} {:>8.2} {:>11.2} {:>9} {:>8} {:>7} {missed:>7} {accused:>7}",
            least.seconds,
            least.processor,
            least.peak_kib >> 10,
            found.courses,
            found.leaks.len(),
        );
        if *owners == OWNERS && (least.seconds > GOAL_SECONDS || least.peak_kib > GOAL_KIB) {
            broken.push(format!("{owners} owners take more than {GOAL_SECONDS} s or 100 MiB"));
        }
        if missed + accused > 0 {
            broken.push(format!("of {owners} owners {missed} are missed, {accused} accused"));
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
}

/// What was found: a leak is told by its owner and its resource.
struct Found {
    courses: usize,
    leaks: BTreeSet<(String, String)>,
}

impl Found {
    fn read(answer: &Path) -> anyhow::Result<Self> {
        let answer: Value = serde_json::from_slice(&fs::read(answer)?)?;
        let items = answer.get("items").and_then(Value::as_array).context("no items")?;
        let text = |item: &Value, at: &str| {
            item.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let leaks = items.iter().filter(|item| text(item, "/verdict") == "leak");
        let leaks = leaks.map(|item| (text(item, "/owner/name"), text(item, "/resource")));
        Ok(Self { courses: items.len(), leaks: leaks.collect() })
    }
}

/// Judges a history once.
fn judge(program: &Path, dir: &Path, answer: &Path) -> anyhow::Result<Toll> {
    let began = clock::now();
    let mut child = Command::new(program)
        .args(["leaks", "--json", "--data-dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(fs::File::create(answer)?)
        .spawn()
        .context("cannot run highwater")?;
    let of = PathBuf::from(format!("/proc/{}", child.id()));
    let mut toll = Toll::default();
    // Its peak stands there until it ends, its times until somebody waits for it.
    while !has_ended(child.id()) {
        toll.peak_kib = toll.peak_kib.max(peak_kib(&of).unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    toll.seconds = began.elapsed().as_secs_f64();
    toll.processor = processor(&of).unwrap_or(0.0);
    let ended = child.wait()?;
    // 1: there is something to tell.
    if ended.code().is_none_or(|code| code > 1) {
        bail!("highwater leaks failed: {ended}");
    }
    Ok(toll)
}

fn has_ended(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    pid.is_none_or(|pid| !matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None)))
}

fn peak_kib(of: &Path) -> Option<u64> {
    let text = fs::read_to_string(of.join("status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// User and system time in seconds: fields 14 and 15 of `proc_pid_stat(5)`, in hundredths.
fn processor(of: &Path) -> Option<f64> {
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(of.join("stat")).ok()?;
    let rest = text.rsplit_once(')')?.1;
    let times = rest.split_whitespace().skip(11).take(2);
    let ticks: u32 = times.filter_map(|time| time.parse::<u32>().ok()).sum();
    Some(f64::from(ticks) / TICKS)
}
