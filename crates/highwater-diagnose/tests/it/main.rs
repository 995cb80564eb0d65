//! Logs and recordings in, verdicts out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_types_passed_by_value,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod blame;
mod checkup;
mod death;
mod inquest;
mod real;
mod reasons;
mod recorded;
mod repeats;
mod seedlogs;

use std::fmt::Write as _;

use highwater_diagnose::death::{Case, Diagnosis, NoHistory, Window, explain};
use highwater_log::Stream;
use highwater_oom::OomReport;

/// A log of `fixtures/diagnose`.
fn fixture(name: &str) -> Vec<OomReport> {
    let path = format!("{}/../../fixtures/diagnose/{name}", env!("CARGO_MANIFEST_DIR"));
    let log = std::fs::read(path).unwrap();
    highwater_oom::read(Stream::new(&log[..]))
}

/// Explains one death of a log from a machine that was not recorded.
fn explained(report: &OomReport, kill: Option<usize>, source: &str) -> Diagnosis {
    let look_back = Window::Week;
    let case = Case { report, kill, source, recorded: None, page_size: None, look_back };
    explain(&case, &NoHistory)
}

/// A diagnosis as text for a snapshot, with all evidence.
fn told(diagnosis: &Diagnosis) -> String {
    let mut out = format!("{}\n", diagnosis.summary);
    let verdict = (diagnosis.cause.as_str(), diagnosis.confidence.name());
    writeln!(out, "{verdict:?} at {:?}", diagnosis.time.map(|time| time.to_string())).unwrap();
    for ground in &diagnosis.grounds {
        let (reason, sure) = (ground.reason.name(), ground.confidence.name());
        writeln!(out, "= {:?}: {reason}, {sure}", ground.role).unwrap();
    }
    for claim in &diagnosis.claims {
        writeln!(out, "- {}", claim.text).unwrap();
        for at in &claim.evidence {
            let text: String = at.text.chars().take(60).collect();
            writeln!(out, "    {} {:?} {text}", at.source, at.line).unwrap();
        }
    }
    if let Some(makeup) = &diagnosis.makeup {
        writeln!(out, "{}: {}", makeup.of, makeup.total).unwrap();
        for part in makeup.parts.iter().chain(&makeup.swap) {
            writeln!(out, "    {}: {}", part.kind.name(), part.amount).unwrap();
        }
    }
    for task in &diagnosis.ranking.tasks {
        let (rank, rss, score) = (task.rank, task.rss.map(|rss| rss.to_string()), task.badness);
        writeln!(out, "rank {rank:?} {} {} {rss:?} {score:?}", task.pid, task.comm).unwrap();
    }
    for advice in &diagnosis.advice {
        writeln!(out, "> {advice}").unwrap();
    }
    for odd in &diagnosis.oddities {
        writeln!(out, "! {odd}").unwrap();
    }
    out
}
