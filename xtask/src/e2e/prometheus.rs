//! `cargo xtask e2e prometheus`: the same series in Debian's Prometheus (by remote write) and in a
//! history of ours (by import), the same queries to both, and the answers beside each other.
//!
//! Debian's is a 2.42; ours follows 3.x, whose windows lack their left edge. So no sample stands on the
//! edge of a window ([`world`]), and what differs all the same is listed with the rule that makes it
//! differ (`questions/different.rs`): each of those must differ, and nothing else may.

use std::time::Duration;

use anyhow::{Context, bail};
use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;
use highwater_store::Reader;

use crate::borrowed::Folder;
use crate::clock;
use answer::Given;
use questions::{Question, When};
use server::Server;

mod answer;
mod api;
mod ours;
mod promtool;
mod push;
mod questions;
mod server;
mod world;

/// One question of so many goes to the history itself.
const TO_THE_HISTORY: usize = 33;

/// Asks everything, prints what differs, and fails where something does that should not.
pub(crate) fn run() -> anyhow::Result<()> {
    compare(&Folder::fresh("e2e-prometheus")?)
}

fn compare(folder: &std::path::Path) -> anyhow::Result<()> {
    let world = world::World::make();
    println!("{} series, {} samples", world.series.len(), world.samples());
    let server = Server::start(folder)?;
    println!("beside {}", server.version()?);
    world.send(&server)?;
    let data = folder.join("history");
    world.import(&data)?;
    let history = Reader::open(&data).context("cannot open the history")?;
    let recalled = world.recall(&history)?;
    println!("imported and read back, every sample the same bit by bit");
    let mut count = Count::default();
    let (mut they, mut we) = (Duration::ZERO, Duration::ZERO);
    for (number, question) in questions::all().into_iter().enumerate() {
        let asked = clock::now();
        let theirs = server.ask(&question)?;
        they += asked.elapsed();
        let asked = clock::now();
        // Each time it would unpack the same blocks: most questions go to what was read back.
        let source: &dyn SeriesSource =
            if number % TO_THE_HISTORY == 1 { &history } else { &recalled };
        let ours = ask_ours(&question, source);
        we += asked.elapsed();
        count.judge(&question, &theirs, &ours);
    }
    println!("asked in {:.1} s, answered here in {:.1} s", they.as_secs_f64(), we.as_secs_f64());
    let ours = ours::Ours::start(&data)?;
    api::compare(server.address(), ours.address(), &mut count)?;
    promtool::compare(server.address(), ours.address(), &mut count)?;
    count.close()
}

fn ask_ours(question: &Question, source: &dyn SeriesSource) -> Given {
    let options = highwater_promql::Options::default();
    let answer = highwater_promql::parse(&question.expr).and_then(|query| match question.when {
        When::At(at) => highwater_promql::instant(&query, source, at, &options),
        When::From { from, to, step } => {
            highwater_promql::range(&query, source, from, to, step, &options)
        }
    });
    match answer {
        Ok(answer) => Given::of_value(answer.value),
        Err(error) => Given::Error { kind: error.kind.word().to_owned(), text: error.text },
    }
}

/// What was the same and what was not.
#[derive(Debug, Default)]
struct Count {
    equal: usize,
    known: usize,
    wrong: usize,
}

impl Count {
    fn judge(&mut self, question: &Question, theirs: &Given, ours: &Given) {
        let differs = ours.differs_from(theirs, question.is_ordered());
        self.note(&question.to_string(), differs, question.reason);
    }

    /// Counts a question by how the answers differ, and whether they should.
    fn note(&mut self, question: &str, differs: Option<String>, reason: Option<&str>) {
        match (differs, reason) {
            (None, None) => self.equal += 1,
            (Some(difference), Some(reason)) => {
                self.known += 1;
                println!("known {question}\n      {difference}\n      because {reason}");
            }
            (Some(difference), None) => {
                self.wrong += 1;
                println!("FAIL  {question}\n      {difference}");
            }
            (None, Some(reason)) => {
                self.wrong += 1;
                println!("FAIL  {question}\n      equal, although {reason}");
            }
        }
    }

    fn close(&self) -> anyhow::Result<()> {
        let all = self.equal + self.known + self.wrong;
        println!("{} of {all} equal, {} differ by known reason", self.equal, self.known);
        if self.wrong > 0 {
            bail!("{} of {all} are not as they should be", self.wrong);
        }
        Ok(())
    }
}

/// A moment, in seconds after the world begins.
fn moment(seconds: u64) -> WallTime {
    world::BEGIN.after(Duration::from_secs(seconds))
}
