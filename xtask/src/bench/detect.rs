//! `cargo xtask bench detect`: the proving ground of growth.
//!
//! ```text
//! families ─► traces, labelled by their making ─┬─► the detector, step by step ─┬─► what was found,
//! recorded noise ──┘                            └─► the rules of others ────────┘    and what wrongly
//! ```
//!
//! Nobody sees more of a trace than lies before the step at which he is asked. A trace is known by
//! seed and number: `--show N` prints it.

mod draft;
mod draw;
mod families;
mod noise;
mod owners;
mod recording;
mod report;
mod rivals;
mod score;
mod shapes;
mod trace;
mod walk;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use highwater_detect::judge;

use crate::clock;
use draw::Draw;
use families::Family;
use noise::Noise;
use report::Account;
use score::Score;
use trace::Trace;
use walk::Outcome;

/// What is proved.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which traces are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many: at least 400 for figures that mean something.
    #[arg(long, default_value_t = 624)]
    traces: usize,
    /// At how many moments of each trace the detector is asked.
    #[arg(long, default_value_t = walk::STEPS)]
    steps: u32,
    /// How many whole owners' machines are surveyed.
    #[arg(long, default_value_t = 104)]
    scenes: usize,
    /// Only families whose name has this in it.
    #[arg(long)]
    family: Option<String>,
    /// Ask only our own detector.
    #[arg(long)]
    ours: bool,
    /// Print trace N as CSV, with what is said of it at each step, instead.
    #[arg(long, value_name = "N")]
    show: Option<usize>,
    /// Write what came of each trace into this file, as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Fail where a goal is missed.
    #[arg(long)]
    check: bool,
    /// Print the noise of this recording instead, as `fixtures/growth/noise.txt` has it.
    #[arg(long, value_name = "DATA_DIR", hide = true)]
    noise_of: Option<PathBuf>,
}

/// What is promised.
struct Goals {
    precision: f64,
    recall: f64,
    fit: f64,
    kind: f64,
    false_alarms: f64,
    lead: f64,
}

/// Of the traces accused; of the leaks; of all traces; of the machines surveyed; for an owner who is well, a month; of the lead
/// that the best rival has of those whose precision is 0.9.
const GOALS: Goals =
    Goals { precision: 0.97, recall: 0.95, fit: 0.95, kind: 0.95, false_alarms: 0.05, lead: 5.0 };

/// All judges' accounts of a run.
#[derive(Default)]
struct Run {
    ours: Score,
    rivals: Vec<(&'static str, Score)>,
    account: Account,
    owners: owners::Account,
    seconds: f64,
    traces: usize,
    samples: usize,
    lines: Vec<String>,
    steps: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(data) = &options.noise_of {
        print!("{}", recording::noise(data)?);
        return Ok(());
    }
    let (families, noise) = (families::all(), Noise::recorded());
    if let Some(number) = options.show {
        show(options.seed, number, &families, &noise);
        return Ok(());
    }
    let mut run = Run { steps: options.steps, ..Run::default() };
    if !options.ours {
        run.rivals = rivals::ALL.iter().map(|rival| (rival.name, Score::default())).collect();
    }
    for number in 0..options.traces {
        let Some(family) = families.get(number % families.len()) else { continue };
        if options.family.as_deref().is_some_and(|part| !family.name.contains(part)) {
            continue;
        }
        run.trace(&family.trace(&mut Draw::of(options.seed, number), &noise, number));
    }
    if options.family.is_none() {
        run.owners = owners::Account::of(options.seed, options.scenes, &noise)?;
    }
    run.print(options.seed);
    if options.check {
        run.check()?;
    }
    if let Some(file) = &options.csv {
        std::fs::write(
            file,
            format!("number,family,leak,found,lead_h,false_alarms,last\n{}", run.lines.concat()),
        )
        .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

impl Run {
    /// Has everybody judge a trace.
    fn trace(&mut self, trace: &Trace) {
        let steps = walk::steps(trace, self.steps);
        let course = walk::detector(trace, &steps);
        let outcome = Outcome::of(trace, &course.accusations);
        self.ours.add(trace, &outcome);
        self.account.add(trace, &course, &outcome);
        for (rival, (_, score)) in rivals::ALL.iter().zip(&mut self.rivals) {
            score.add(trace, &Outcome::of(trace, &(rival.accuses)(trace, &steps)));
        }
        self.measure(trace);
        let lead = outcome.found.map_or(0.0, |(_, lead)| score::hours(lead));
        self.lines.push(format!(
            "{},\"{}\",{},{},{lead:.2},{},{}\n",
            trace.number,
            trace.family,
            trace.truth.leak.is_some(),
            outcome.found.is_some(),
            outcome.false_alarms,
            course.last
        ));
    }

    /// What one judgement of all that is known costs.
    fn measure(&mut self, trace: &Trace) {
        let until = trace.span().1;
        let begun = clock::now();
        std::hint::black_box(judge(&trace.until(until), until));
        self.seconds += begun.elapsed().as_secs_f64();
        self.traces += 1;
        self.samples += trace.points.len();
    }

    /// Whether it keeps its promises.
    fn check(&self) -> anyhow::Result<()> {
        let (precision, recall) = (self.ours.precision(), self.ours.recall());
        let (fit, alarms) = (self.account.fit(), self.ours.false_alarms_a_month());
        let kind = self.owners.right();
        let lead = report::lead(&self.ours, &self.rivals).unwrap_or(f64::INFINITY);
        let is = format!(
            "precision {precision:.3}, recall {recall:.3}, fitting verdicts {fit:.3}, kinds {kind:.3}, false alarms {alarms:.3}, lead {lead:.1}"
        );
        let right = precision >= GOALS.precision
            && recall >= GOALS.recall
            && fit >= GOALS.fit
            && kind >= GOALS.kind;
        ensure!(
            right && alarms <= GOALS.false_alarms && lead >= GOALS.lead,
            "a goal is missed: {is}"
        );
        Ok(())
    }

    fn print(&self, seed: u64) {
        println!("seed {seed}, {} traces\n", self.traces);
        let mut all = vec![("highwater", self.ours.clone())];
        all.extend(self.rivals.iter().cloned());
        println!("{}", report::table(&all));
        print!("{}{}", report::ratio(&self.ours, &self.rivals), self.account.words());
        print!("{}", self.owners.words());
        let each = self.seconds / draw::real(self.traces.max(1));
        println!(
            "1,000 owners once, {:.0} samples each: {:.2} s of one core\n",
            draw::real(self.samples) / draw::real(self.traces.max(1)),
            each * 1000.0
        );
        print!("{}", self.account.families());
    }
}

/// Prints one trace, with what is said of it.
fn show(seed: u64, number: usize, families: &[Family], noise: &Noise) {
    let Some(family) = families.get(number % families.len().max(1)) else { return };
    let trace = family.trace(&mut Draw::of(seed, number), noise, number);
    let steps = walk::steps(&trace, walk::STEPS);
    let mut asked = steps.iter().peekable();
    let said: Vec<_> = trace
        .points
        .iter()
        .map(|point| {
            let mut due = None;
            while let Some(at) = asked.next_if(|at| **at <= point.at) {
                due = Some(*at);
            }
            due.map(|at| (point.at, judge(&trace.until(at), at).verdict.to_string()))
        })
        .collect();
    let said: std::collections::BTreeMap<_, _> = said.into_iter().flatten().collect();
    eprintln!(
        "trace {number} of seed {seed}: {}, {}, ceiling {}, {:?}",
        trace.family, trace.resource, trace.ceiling, trace.truth
    );
    print!("{}", report::csv(&trace, |at| said.get(&at).cloned()));
}
