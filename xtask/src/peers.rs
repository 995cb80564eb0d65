//! `cargo xtask oom-peers DIR…`: the same logs, read by us and by others.
//!
//! ```text
//! NAME.txt ──► each reader ──► deaths ──┐
//! NAME.expected.json ───────────────────┴─► judge ──► a table (docs/peers.md)
//! ```
//!
//! Every reader is judged alike: what it says of a log, against the accepted reading that suits it
//! best. The rules of the two Go programs are restated here; the Rust crate is the crate itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{corpus, repo};

mod cadvisor;
mod case;
mod detector;
mod judge;
mod page;
mod parser;

use case::Case;
use judge::{Score, Tally};

/// Where the table is kept.
const PAGE: &str = "docs/peers.md";

/// Read logs beside others.
#[derive(Debug, clap::Args)]
pub(crate) struct Peers {
    /// Folders of logs, with a `NAME.expected.json` for each `NAME.txt`.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Show each log too.
    #[arg(long)]
    verbose: bool,
    /// Write the table to docs/peers.md.
    #[arg(long)]
    write: bool,
}

/// A reader of logs.
struct Reader {
    name: &'static str,
    /// The deaths it finds, in the shape of `--json`; what it does not say is null.
    read: fn(&Case) -> Result<Vec<Value>, String>,
}

/// All of them; ours first.
const READERS: &[Reader] = &[
    Reader { name: "highwater", read: ours },
    Reader { name: "linux-oom-parser 0.4.0", read: parser::read },
    Reader { name: "cadvisor, its rules", read: cadvisor::read },
    Reader { name: "node-problem-detector, its rule", read: detector::read },
];

/// What one reader made of all logs.
struct Row {
    name: &'static str,
    tally: Tally,
    /// How it did on each log, in the order of the logs.
    each: Vec<Outcome>,
}

/// What one reader made of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Read(Score),
    /// It gave up, and said why.
    Refused(Score, String),
    /// It panicked.
    Crashed(Score),
}

impl Peers {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut cases = Vec::new();
        for folder in &self.folders {
            cases.extend(case::cases(folder)?);
        }
        if cases.is_empty() {
            bail!("no NAME.txt beside a NAME.expected.json");
        }
        let all = cases.len();
        cases.retain(Case::is_of_the_kernel);
        let rows: Vec<Row> = READERS.iter().map(|reader| row(reader, &cases)).collect();
        if self.verbose {
            print!("{}", page::each(&cases, &rows));
        }
        let table = page::table(&rows);
        print!("{table}");
        println!("{} logs; {} of other killers left out", cases.len(), all - cases.len());
        if self.write {
            let path = repo::root().join(PAGE);
            let text = page::page(&table, &cases);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

fn row(reader: &Reader, cases: &[Case]) -> Row {
    let each: Vec<Outcome> = cases.iter().map(|case| outcome(reader, case)).collect();
    let mut tally = Tally::default();
    for outcome in &each {
        match outcome {
            Outcome::Read(score) => tally.add(*score),
            Outcome::Refused(score, _) => {
                tally.add_unread(*score);
                tally.refused += 1;
            }
            Outcome::Crashed(score) => {
                tally.add_unread(*score);
                tally.crashed += 1;
            }
        }
    }
    Row { name: reader.name, tally, each }
}

/// One reader on one log, guarded: somebody else's panic is a figure, not our end.
fn outcome(reader: &Reader, log: &Case) -> Outcome {
    let judged = |deaths: &[Value]| judge::best(&log.readings, deaths);
    match catch_unwind(AssertUnwindSafe(|| (reader.read)(log))) {
        Ok(Ok(deaths)) => Outcome::Read(judged(&deaths)),
        Ok(Err(cause)) => Outcome::Refused(judged(&[]), cause),
        Err(_panic) => Outcome::Crashed(judged(&[])),
    }
}

/// What our own reader says.
fn ours(case: &Case) -> Result<Vec<Value>, String> {
    let facts = highwater_oom::facts::facts(&corpus::reports(&case.log));
    let facts = serde_json::to_value(facts).map_err(|cause| cause.to_string())?;
    Ok(facts.get("deaths").and_then(Value::as_array).cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests;
