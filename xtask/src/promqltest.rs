//! `cargo xtask promqltest FILE|DIR…`: Prometheus's own test language for PromQL, in its old and its
//! new form, run on our evaluator.
//!
//! ```text
//! file ─► script (load, clear, eval) ─► case, run as it is, pinned with @, and as a range ─► judge
//!              └► promql::notation (series, values)   └► promql::notation::Memory
//! ```
//!
//! A case that needs what is not built is told by name and counted apart, neither passed nor failed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use case::Outcome;
use highwater_promql::notation::Memory;
use script::Command;

mod case;
mod judge;
mod script;
#[cfg(test)]
mod tests;

/// What test files end with.
const TEST: &str = "test";

/// Which files.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Test files, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

/// Runs every file, prints what is wrong, and fails if anything is.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    for path in &options.paths {
        for file in files(path)? {
            let name = file.display().to_string();
            let text = std::fs::read(&file).with_context(|| name.clone())?;
            tally.file(&name, &String::from_utf8_lossy(&text));
        }
    }
    tally.close()
}

/// The test files that a path names, sorted.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().with_context(|| path.display().to_string())? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|end| end == TEST));
    files.sort();
    if files.is_empty() {
        bail!("{}: no *.{TEST} in it", path.display());
    }
    Ok(files)
}

/// What held, what did not, and what was not asked.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Evaluations of cases that passed: most are done in a dozen ways.
    evaluations: usize,
    apart: BTreeMap<String, usize>,
}

impl Tally {
    fn file(&mut self, name: &str, text: &str) {
        let commands = match script::read(text) {
            Ok(commands) => commands,
            Err(wrong) => {
                self.failed += 1;
                println!("FAIL  {name}:{wrong:#}");
                return;
            }
        };
        let mut memory = Memory::default();
        for command in commands {
            match command {
                Command::Clear => memory = Memory::default(),
                Command::Load(load) => load.put_into(&mut memory),
                Command::Eval(case) => {
                    let place = format!("{name}:{}: {}", case.line, case.expr);
                    self.count(&place, case.run(&memory));
                }
            }
        }
    }

    fn count(&mut self, place: &str, outcome: Outcome) {
        match outcome {
            Outcome::Passed { evaluations } => {
                self.passed += 1;
                self.evaluations += evaluations;
            }
            Outcome::Failed { way, wrong } => {
                self.failed += 1;
                println!("FAIL  {place}\n      {way}\n{wrong:#}\n");
            }
            Outcome::Apart { reason } => {
                println!("apart {place}\n      {reason}");
                *self.apart.entry(reason).or_default() += 1;
            }
        }
    }

    fn close(&self) -> anyhow::Result<()> {
        let Self { passed, failed, evaluations, apart } = self;
        println!("{evaluations} evaluations of the cases that passed");
        println!("{} counted apart, by what they need:", apart.values().sum::<usize>());
        for (reason, count) in apart {
            println!("  {count:>4} {reason}");
        }
        println!("{passed} passed, {failed} failed");
        if passed + failed == 0 {
            bail!("the files hold no cases");
        }
        if *failed > 0 {
            bail!("{failed} of {} cases fail", passed + failed);
        }
        Ok(())
    }
}
