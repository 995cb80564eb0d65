//! `cargo xtask bench rules`: what evaluating rules costs the agent, by its own account, while it records this
//! machine with more cgroups than it had.
//!
//! Fifty rules ask for 2,000 series and more every 15 s. The limit is 0.2 % of a core: 30 ms a round.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::clock;
use crate::e2e::agent::Recording;
use crate::e2e::group::{Group, Hierarchy};
use crate::repo::{self, Profile};

/// What the rules ask for: one metric each, of all cgroups.
const METRICS: [&str; 25] = [
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_memory_rss",
    "container_memory_cache",
    "container_memory_mapped_file",
    "container_memory_max_usage_bytes",
    "container_memory_failcnt",
    "container_oom_events_total",
    "container_spec_memory_limit_bytes",
    "container_spec_memory_swap_limit_bytes",
    "highwater_cgroup_shmem_bytes",
    "highwater_cgroup_inactive_file_bytes",
    "highwater_cgroup_active_file_bytes",
    "highwater_cgroup_unevictable_bytes",
    "highwater_cgroup_major_faults_total",
    "highwater_cgroup_memory_high_bytes",
    "highwater_cgroup_memory_low_bytes",
    "highwater_cgroup_slab_reclaimable_bytes",
    "highwater_cgroup_slab_unreclaimable_bytes",
    "highwater_cgroup_page_tables_bytes",
    "highwater_cgroup_sock_bytes",
    "highwater_cgroup_memsw_usage_bytes",
    "highwater_cgroup_oom_kill_disabled",
    "highwater_cgroup_under_oom",
    "container_threads",
];

/// Of a core.
const LIMIT: f64 = 0.002;

/// How much is asked, for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Cgroups that are made for it.
    #[arg(long, default_value_t = 120)]
    cgroups: usize,
    /// How long it is measured, in seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Measures, and fails where it is over the limit.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let hierarchy = Hierarchy::find()?.context("there are no memory cgroups here")?;
    let named = |n: usize| format!("highwater-bench-{}-{n}.service", std::process::id());
    let made = (0..options.cgroups).map(|n| hierarchy.make(&named(n), None));
    let _groups: Vec<Group> =
        made.collect::<Result<_, _>>().context("cannot make cgroups; it takes root")?;
    let program = repo::build("highwater", Profile::Release)?;
    let rules = std::env::temp_dir().join(format!("highwater-bench-{}.yml", std::process::id()));
    std::fs::write(&rules, fifty())?;
    let config = format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n[rules]\nshipped = false\nfiles = [{:?}]\n",
        rules.display()
    );
    let recording = Recording::configured(&program, "rules", &config)?;
    let agent = recording.agent()?;
    let measured = measure(&recording, Duration::from_secs(options.seconds));
    agent.stop()?;
    std::fs::remove_file(rules)?;
    measured
}

fn measure(recording: &Recording, span: Duration) -> anyhow::Result<()> {
    let figure = |name: &str| -> anyhow::Result<f64> {
        let page = recording.page("/metrics").context("the agent does not answer")?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("there is no {name}"))?.parse()?)
    };
    let rounds = || figure("highwater_rules_rounds_total");
    let used = || figure("highwater_rules_evaluation_seconds_total");
    // The first round reads five minutes of everything; what counts is what each one costs.
    let warm = clock::poll(Duration::from_mins(2), Duration::from_secs(1), || {
        Ok((rounds()? >= 2.0).then_some(()))
    })?;
    warm.context("no rules were evaluated")?;
    let (before, began, first) = (used()?, clock::now(), rounds()?);
    let _never = clock::poll(span, Duration::from_secs(1), || Ok(None::<()>))?;
    let (seconds, passed) = (used()? - before, began.elapsed().as_secs_f64());
    let (share, rounds) = (seconds / passed, rounds()? - first);
    let series: usize = METRICS
        .iter()
        .map(|name| {
            recording.page("/metrics").map_or(0, |page| {
                page.lines()
                    .filter(|line| {
                        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
                    })
                    .count()
            })
        })
        .sum();
    let failing = figure("highwater_rules_failing")?;
    ensure!(failing == 0.0, "{failing} rules fail");
    println!(
        "50 rules over {series} series: {:.1} ms a round, {:.3} % of a core; {:.2} of the limit of {} %",
        1000.0 * seconds / rounds,
        100.0 * share,
        share / LIMIT,
        100.0 * LIMIT,
    );
    ensure!(share <= LIMIT, "that is more than the limit");
    Ok(())
}

/// Half of them look at the newest values, half at a rate over five minutes.
fn fifty() -> String {
    let mut text = "groups:\n  - name: fifty\n    interval: 15s\n    rules:\n".to_owned();
    for (n, metric) in METRICS.iter().enumerate() {
        let now = format!("{metric} > 1e15");
        let rate = format!("avg_over_time({metric}[5m]) > 1e15");
        for (kind, expr) in [("Now", now), ("Mean", rate)] {
            // Writing to a String cannot fail.
            writeln!(text, "      - alert: {kind}{n}\n        expr: {expr}\n        for: 1m")
                .unwrap_or_default();
        }
    }
    text
}
