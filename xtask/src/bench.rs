//! Benchmarks: each prints a ratio against a peer measured in the same run, never a lone figure.

use clap::Subcommand;

mod backtest;
mod churn;
mod crowd;
mod detect;
mod footprint;
mod leaks;
mod monitor;
mod oom;
mod page;
mod promql;
mod rules;
mod store;
mod witnesses;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Processor time and memory of the agent beside other monitors of the same machine.
    Footprint(footprint::Options),
    /// Time of having the shipped rules go through a month.
    Backtest(backtest::Options),
    /// Precision, recall and lead time of finding leaks in made courses, beside other rules.
    Detect(detect::Options),
    /// Time and memory of judging thousands of owners over a month.
    Leaks(leaks::Options),
    /// Time and memory of finding OOM reports in a large log, beside grep and the decompressors.
    Oom(oom::Options),
    /// Work a little, now and then (the measured crowd of `footprint`).
    #[command(hide = true)]
    Busy(crowd::Busy),
    /// Weight and speed of the page, and what twenty open ones cost the agent.
    Page(page::Options),
    /// Latency and memory of the queries of dashboards, beside other servers.
    Promql(promql::Options),
    /// Processor time of the agent for fifty rules over thousands of series.
    Rules(rules::Options),
    /// Size and speed of the history, beside other stores.
    #[command(subcommand)]
    Store(store::Store),
    /// Whether no death is missed while thousands of processes come and go and the journal talks.
    Witnesses(witnesses::Options),
    /// A recorded journal that never ends (the noise of `witnesses`).
    #[command(hide = true)]
    JournalFeed(witnesses::Feed),
    /// Read one log, or only decompress it (the measured part of `oom`).
    #[command(hide = true)]
    OomRead(oom::Read),
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Footprint(options) => footprint::run(options),
            Self::Busy(busy) => busy.run(),
            Self::Backtest(options) => backtest::run(options),
            Self::Detect(options) => detect::run(options),
            Self::Leaks(options) => leaks::run(options),
            Self::Oom(options) => oom::run(options),
            Self::Page(options) => page::run(options),
            Self::Promql(options) => promql::run(options),
            Self::Rules(options) => rules::run(options),
            Self::Store(store) => store.run(),
            Self::Witnesses(options) => witnesses::run(options),
            Self::JournalFeed(feed) => feed.run(),
            Self::OomRead(read) => read.run(),
        }
    }
}
