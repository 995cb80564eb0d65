//! An incident that really was, replayed: rules that could not fire, and rules that would have.
//!
//! Seven days of two twins are written as another recorder would have written them, imported, and gone
//! through by `highwater rules backtest`, which must say of each rule of that time why it was silent, and
//! how long before the first restart ours would have spoken.

mod history;
mod page;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Scoreboard;
use crate::repo::{self, Profile};

/// The rules that were there, as they were.
const THEIRS: &str = "fixtures/incidents/a.rules.yml";

/// The rules that ship.
const OURS: &str = "rules";

/// Their alerts, and the reason that must be told of each.
const SILENT: [(&str, &str); 3] = [
    ("MemoryAbove90", "never-reached"),
    ("MemoryFalls", "short-trend"),
    ("GatewayDown", "one-target"),
];

/// A growth is told days before the first restart: so many at least.
const LEAST_DAYS: f64 = 4.0;

const DAY_SECONDS: f64 = 86_400.0;

/// The twin whose gateway was restarted.
const VICTIM: &str = "gateway on gw-a:9477";

/// Replays the incident.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let place = Place::fresh()?;
    let samples = history::write(&place.file())?;
    println!("{samples} samples of seven days");
    let run = Run { program, data: place.data() };
    run.import(&place.file())?;
    let rules = [THEIRS, OURS].map(|path| repo::root().join(path));
    let told = run.backtest(&rules)?;
    board.check("the restarts are seen", restarts(&told));
    for (alert, kind) in SILENT {
        board
            .check(&format!("{alert} never fires, and it is told why"), silent(&told, alert, kind));
    }
    board.check("growth is told days before", lead(&told, "Leak", LEAST_DAYS * DAY_SECONDS));
    board.check("the limit is told before", lead(&told, "Limit", 1.0));
    for line in leads(&told) {
        println!("      {line}");
    }
    board.check("the manual shows what is printed", page::compare(&run));
    Ok(())
}

/// Where it happens; gone afterwards.
struct Place(PathBuf);

impl Place {
    fn fresh() -> anyhow::Result<Self> {
        let dir = repo::target().join("incident-a");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    fn file(&self) -> PathBuf {
        self.0.join("incident-a.om")
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(cause) = std::fs::remove_dir_all(&self.0) {
            println!("{} stays: {cause}", self.0.display());
        }
    }
}

/// The program, and the history that it is asked about.
struct Run {
    program: PathBuf,
    data: PathBuf,
}

impl Run {
    fn import(&self, file: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("import").arg(file).arg("--data-dir").arg(&self.data);
        repo::succeed(&mut command).map(|_| ())
    }

    fn backtest(&self, rules: &[PathBuf]) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.program);
        command.args(["rules", "backtest", "--json", "--data-dir"]).arg(&self.data).arg("--rules");
        let said = repo::succeed(command.args(rules))?;
        serde_json::from_slice(&said).context("the document cannot be read")
    }

    /// What it prints when this is typed at the top of the repository.
    fn page(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.current_dir(repo::root()).env("COLUMNS", "100");
        command.args(words).arg("--data-dir").arg(&self.data);
        Ok(String::from_utf8_lossy(&repo::succeed(&mut command)?).into_owned())
    }
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn incident(told: &Value) -> anyhow::Result<&Value> {
    let mut all = list(told, "incidents");
    let is_it = |one: &&Value| text(one, "kind") == "restart" && text(one, "owner") == VICTIM;
    all.find(is_it).with_context(|| format!("no restart of {VICTIM} is told"))
}

/// All of them, as long as they were; and nobody else is said to have restarted.
fn restarts(told: &Value) -> anyhow::Result<String> {
    let moments: Vec<&Value> = list(incident(told)?, "moments").collect();
    let seconds = |one: &&Value| one.get("down_seconds").and_then(Value::as_f64);
    let downs: Vec<f64> = moments.iter().filter_map(seconds).collect();
    let longest = downs.iter().copied().fold(0.0, f64::max);
    let shortest = downs.iter().copied().fold(f64::INFINITY, f64::min);
    ensure!(downs.len() == history::RESTARTS, "{} restarts", downs.len());
    ensure!(shortest >= 15.0 && longest <= 25.0, "down for {shortest} to {longest} s");
    let others = list(told, "incidents").filter(|one| text(one, "kind") == "restart").count();
    ensure!(others == 1, "{others} owners restarted");
    Ok(format!("{} times, down for {shortest} to {longest} s at most", downs.len()))
}

/// A rule never fired, and this reason is among those that are told, with evidence.
fn silent(told: &Value, alert: &str, kind: &str) -> anyhow::Result<String> {
    let mut rules = list(told, "rules");
    let rule = rules.find(|rule| text(rule, "alert") == alert).context("it is not there")?;
    ensure!(rule.get("fired") == Some(&Value::Bool(false)), "it fired: {rule:#}");
    let mut reasons = list(rule, "why_not");
    let reason = reasons.find(|reason| text(reason, "kind") == kind);
    let reason = reason.with_context(|| format!("no {kind} among {rule:#}"))?;
    ensure!(list(reason, "evidence").next().is_some(), "nothing shows it: {reason:#}");
    Ok(text(reason, "text").to_owned())
}

/// The longest lead of the rules that have a word in their name.
fn lead(told: &Value, word: &str, least: f64) -> anyhow::Result<String> {
    let warned = list(incident(told)?, "warned").filter(|one| text(one, "alert").contains(word));
    let lead =
        |one: &Value| Some((one.get("lead_seconds")?.as_f64()?, text(one, "alert").to_owned()));
    let best = warned.filter_map(lead).max_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, alert) = best.with_context(|| format!("no {word} rule warned"))?;
    ensure!(seconds >= least, "{alert} only {seconds} s before");
    Ok(format!("{alert} {:.1} days before", seconds / DAY_SECONDS))
}

/// Each rule that warned, with its lead.
fn leads(told: &Value) -> Vec<String> {
    let Ok(incident) = incident(told) else { return Vec::new() };
    let said = |one: &Value| {
        let hours = |key| one.get(key).and_then(Value::as_f64).map(|seconds| seconds / 3600.0);
        match (hours("lead_seconds"), hours("late_seconds")) {
            (Some(lead), _) => format!("{}: {lead:.2} h before", text(one, "alert")),
            (None, Some(late)) => format!("{}: {late:.2} h after the first", text(one, "alert")),
            (None, None) => text(one, "alert").to_owned(),
        }
    };
    list(incident, "warned").map(said).collect()
}
