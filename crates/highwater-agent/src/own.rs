//! The recorder's own numbers: the catalogue, and how they are read.
//!
//! They are shown at `/metrics` and recorded with every survey, so that the recorder's own past can
//! be asked for like anything else's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use highwater_core::id::Comm;
use highwater_core::series::Labels;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;
use highwater_linux::parse::{stat, statm};
use highwater_linux::root::Root;

use crate::board::{Board, Counts, ThreadUse};
use crate::gallery;
use crate::growth;
use crate::post;
use crate::rules;
use crate::thrift::Step;

/// A number that is one count of the board.
struct Own {
    metric: Metric,
    pick: fn(&Counts) -> &AtomicU64,
    unit: Unit,
}

/// What a count is in.
#[derive(Clone, Copy)]
enum Unit {
    One,
    /// Zero: not known yet.
    Known,
    Micros,
    /// Zero: never.
    Millis,
    Permille,
}

impl Unit {
    /// What is not known has no number.
    fn value(self, count: u64) -> Option<f64> {
        let number = Bytes::new(count).as_f64();
        match self {
            Self::Known | Self::Millis if count == 0 => None,
            Self::One | Self::Known => Some(number),
            Self::Micros => Some(number / 1e6),
            Self::Millis | Self::Permille => Some(number / 1e3),
        }
    }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    unit: Unit,
    pick: fn(&Counts) -> &AtomicU64,
) -> Own {
    Own { metric: Metric::counter(name, help), pick, unit }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    unit: Unit,
    pick: fn(&Counts) -> &AtomicU64,
) -> Own {
    Own { metric: Metric::gauge(name, help), pick, unit }
}

#[rustfmt::skip]
static OWN: &[Own] = &[
    counter("highwater_agent_frames_total", "Whole readings taken in.", Unit::One, |c| &c.frames),
    counter("highwater_agent_close_ups_total", "Close-ups taken in.", Unit::One, |c| &c.close_ups),
    counter("highwater_agent_surveys_total", "Surveys taken in.", Unit::One, |c| &c.surveys),
    counter("highwater_agent_dropped_frames_total", "Readings dropped because the recorder was late.", Unit::One, |c| &c.dropped_frames),
    counter("highwater_agent_process_samples_total", "Process readings taken.", Unit::One, |c| &c.process_samples),
    counter("highwater_agent_cgroup_samples_total", "Cgroup readings taken.", Unit::One, |c| &c.cgroup_samples),
    counter("highwater_agent_deaths_total", "Deaths recorded.", Unit::One, |c| &c.deaths),
    counter("highwater_agent_kernel_messages_total", "Kernel messages read.", Unit::One, |c| &c.kernel_messages),
    counter("highwater_agent_kernel_overruns_total", "Times that kernel messages were overwritten before they were read.", Unit::One, |c| &c.kernel_overruns),
    counter("highwater_agent_store_errors_total", "Writes to the store that failed.", Unit::One, |c| &c.store_errors),
    counter("highwater_agent_stored_bytes_total", "Bytes that readings took in the store as they were added.", Unit::One, |c| &c.stored_bytes),
    counter("highwater_agent_new_entities_total", "Processes, cgroups and other things that were new to the store.", Unit::One, |c| &c.new_entities),
    counter("highwater_agent_seals_total", "Steps in which recent samples were sealed into blocks.", Unit::One, |c| &c.seals),
    gauge("highwater_agent_last_seal_timestamp_seconds", "When the last of them was, in seconds since 1970.", Unit::Millis, |c| &c.last_seal_ms),
    counter("highwater_agent_compactions_total", "Steps in which days were compacted.", Unit::One, |c| &c.compactions),
    gauge("highwater_agent_last_compaction_timestamp_seconds", "When the last of them was, in seconds since 1970.", Unit::Millis, |c| &c.last_compaction_ms),
    counter("highwater_agent_expiries_total", "Steps in which samples went because they were too old or too many.", Unit::One, |c| &c.expiries),
    counter("highwater_agent_early_expiries_total", "Of those, the ones for want of room, before their time.", Unit::One, |c| &c.early_expiries),
    counter("highwater_agent_damaged_rows_total", "Rows of the database that could not be read when they were to be sealed or compacted.", Unit::One, |c| &c.damaged_rows),
    gauge("highwater_agent_queued_entries", "Readings and events that wait for the recorder.", Unit::One, |c| &c.queued),
    gauge("highwater_agent_backlog_readings", "Readings that wait in memory for a store that does not take them.", Unit::One, |c| &c.backlog),
    gauge("highwater_agent_backlog_bytes", "What they take in memory.", Unit::One, |c| &c.backlog_bytes),
    gauge("highwater_agent_backlog_age_seconds", "How old the oldest of them is.", Unit::Micros, |c| &c.backlog_age_us),
    counter("highwater_agent_thinned_readings_total", "Readings that went from there to make room for later ones.", Unit::One, |c| &c.thinned),
    gauge("highwater_agent_waiting_events", "Events that wait for the store.", Unit::One, |c| &c.waiting_events),
    counter("highwater_agent_lost_events_total", "Events that were given up because too many waited.", Unit::One, |c| &c.lost_events),
    gauge("highwater_agent_left_out_processes", "Processes that are recorded only in the sum of their owner.", Unit::One, |c| &c.left_out),
    counter("highwater_agent_refused_processes_total", "Times that a process got no series of its own because too many were new.", Unit::One, |c| &c.refused),
    gauge("highwater_agent_kept_files", "Files that the sampler keeps open.", Unit::One, |c| &c.kept_files),
    counter("highwater_agent_cpu_seconds_total", "Processor time of the agent.", Unit::Micros, |c| &c.cpu_us),
    gauge("highwater_agent_cpu_ratio", "The agent's share of one processor over the last minute.", Unit::Permille, |c| &c.cpu_permille),
    gauge("highwater_agent_resident_bytes", "Memory of the agent in RAM.", Unit::Known, |c| &c.resident_bytes),
    gauge("highwater_agent_proportional_bytes", "The same, with what is shared divided among those who share it (PSS).", Unit::Known, |c| &c.proportional_bytes),
    counter("highwater_agent_slowdowns_total", "Times that a part was slowed down because the agent used more than agent.cpu_budget.", Unit::One, |c| &c.slowed),
    gauge("highwater_agent_memory_tight", "1 while the agent has more memory than agent.memory_budget and keeps less for it.", Unit::One, |c| &c.tight),
    gauge("highwater_agent_database_bytes", "Size of the database.", Unit::Known, |c| &c.database_bytes),
    gauge("highwater_agent_database_log_bytes", "Size of its write-ahead log.", Unit::One, |c| &c.log_bytes),
    gauge("highwater_agent_database_budget_bytes", "What both may take (store.budget).", Unit::Known, |c| &c.budget_bytes),
    gauge("highwater_agent_disk_free_bytes", "What is free on their file system.", Unit::One, |c| &c.free_bytes),
    counter("highwater_agent_database_replaced_total", "Times that the database was found replaced or gone.", Unit::One, |c| &c.replaced),
    counter("highwater_agent_database_set_aside_total", "Databases that were set aside because they could not be used.", Unit::One, |c| &c.set_aside),
    counter("highwater_agent_survey_cpu_seconds_total", "Processor time of the survey.", Unit::Micros, |c| &c.survey_cpu_us),
    counter("highwater_growth_looks_total", "Times that what is on record was judged for growth.", Unit::One, |c| &c.growth_looks),
    counter("highwater_growth_failures_total", "Times that it could not be judged.", Unit::One, |c| &c.growth_failures),
    counter("highwater_growth_detection_seconds_total", "Processor time of judging it, in a process of its own.", Unit::Micros, |c| &c.growth_cpu_us),
    gauge("highwater_growth_last_look_timestamp_seconds", "When it was judged last, in seconds since 1970.", Unit::Millis, |c| &c.growth_at_ms),
    counter("highwater_rules_rounds_total", "Rounds in which rules were evaluated.", Unit::One, |c| &c.rules_rounds),
    counter("highwater_rules_evaluation_seconds_total", "Processor time of those.", Unit::Micros, |c| &c.rules_cpu_us),
    counter("highwater_agent_survey_skipped_total", "Times that a process's mappings were not read because their budget was used up.", Unit::One, |c| &c.survey_skipped),
];

static KEPT: Metric = Metric::gauge(
    "highwater_agent_kept_processes",
    "Processes with series of their own, by why (label `reason`: large, growing, near, old).",
);
static THREAD_CPU: Metric = Metric::counter(
    "highwater_agent_thread_cpu_seconds_total",
    "Processor time of the agent's threads (label `thread`).",
);
static SLOWED: Metric = Metric::gauge(
    "highwater_agent_slowed",
    "1 while a part (label `part`) is slowed down to keep within agent.cpu_budget.",
);
static STORE_OK: Metric =
    Metric::gauge("highwater_agent_store_ok", "1 while the store takes what is seen.");
static KMSG_OK: Metric =
    Metric::gauge("highwater_agent_kmsg_ok", "1 while the kernel's messages are read.");

/// The metrics of the recorder itself.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    OWN.iter()
        .map(|own| &own.metric)
        .chain([&KEPT, &THREAD_CPU, &SLOWED, &STORE_OK, &KMSG_OK])
        .chain(gallery::METRICS)
        .chain(growth::METRICS)
        .chain(rules::METRICS)
        .chain(post::METRICS)
}

/// The recorder's numbers as they are.
pub(crate) fn things(board: &Board) -> Vec<Thing> {
    let counts = board.counts();
    let number = |own: &'static Own| {
        let value = own.unit.value((own.pick)(counts).load(Ordering::Relaxed))?;
        Some(Thing { metric: &own.metric, labels: Labels::default(), value })
    };
    let mut things: Vec<Thing> = OWN.iter().filter_map(number).collect();
    for (reason, count) in [
        ("large", &counts.large),
        ("growing", &counts.growing),
        ("near", &counts.near),
        ("old", &counts.old),
    ] {
        let value = Bytes::new(count.load(Ordering::Relaxed)).as_f64();
        things.push(Thing { metric: &KEPT, labels: Labels::new([("reason", reason)]), value });
    }
    let step = board.step();
    for part in Step::ALL.into_iter().filter(|part| *part != Step::None) {
        let labels = Labels::new([("part", part.part())]);
        things.push(Thing { metric: &SLOWED, labels, value: flag(part <= step) });
    }
    for (metric, state) in [(&STORE_OK, &counts.store_ok), (&KMSG_OK, &counts.kmsg_ok)] {
        things.push(Thing { metric, labels: Labels::default(), value: state_of(state) });
    }
    board.gallery().add_things(&mut things);
    board.growth().add_things(&mut things);
    board.rules().add_things(&mut things);
    let from = things.len();
    board.each_thread(&mut |thread| add_thread(&mut things, from, thread));
    things
}

/// Threads of one name are one.
fn add_thread(things: &mut Vec<Thing>, from: usize, thread: ThreadUse) {
    let name = thread.name.to_string();
    let seconds = Bytes::new(thread.cpu_us).as_f64() / 1e6;
    let known = things.iter_mut().skip(from).find(|thing| thing.labels.get("thread") == name);
    match known {
        Some(thing) => thing.value += seconds,
        None => things.push(Thing {
            metric: &THREAD_CPU,
            labels: Labels::new([("thread", name)]),
            value: seconds,
        }),
    }
}

fn state_of(state: &AtomicBool) -> f64 {
    flag(state.load(Ordering::Relaxed))
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// Reads the agent's own `/proc` files, now and then.
#[derive(Debug)]
pub(crate) struct Mirror {
    root: Root,
    page_size: highwater_core::units::PageSize,
    ticks_per_second: u64,
    buffer: Vec<u8>,
    threads: Vec<ThreadUse>,
}

/// The agent's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) resident: Option<Bytes>,
    pub(crate) proportional: Option<Bytes>,
}

impl Weight {
    /// What counts against the budget.
    pub(crate) fn counted(self) -> Option<Bytes> {
        self.proportional.or(self.resident)
    }
}

impl Mirror {
    pub(crate) fn new(root: &Root, facts: &highwater_linux::facts::HostFacts) -> Self {
        Self {
            root: root.clone(),
            page_size: facts.page_size,
            ticks_per_second: facts.ticks_per_second.max(1),
            buffer: Vec::new(),
            threads: Vec::new(),
        }
    }

    /// The agent's memory. The proportional part costs about 10 µs per MB.
    pub(crate) fn weight(&mut self) -> Weight {
        let mut weight = Weight::default();
        if self.root.read("proc/self/statm", &mut self.buffer).is_ok() {
            weight.resident = statm::parse(&self.buffer).map(|s| s.resident.bytes(self.page_size));
        }
        if self.root.read("proc/self/smaps_rollup", &mut self.buffer).is_ok() {
            weight.proportional = proportional(&self.buffer);
        }
        weight
    }

    /// Processor time of each thread.
    pub(crate) fn threads(&mut self) -> &[ThreadUse] {
        self.threads.clear();
        let own = std::process::id().to_string();
        let Ok(tasks) = std::fs::read_dir(self.root.path("proc/self/task")) else {
            return &self.threads;
        };
        for task in tasks.flatten() {
            let path = task.path().join("stat");
            let Ok(text) = std::fs::read(path) else { continue };
            let Some(mut used) = thread_use(&text, self.ticks_per_second) else { continue };
            // The first thread has the program's name, whatever that file is called.
            if task.file_name().to_str() == Some(own.as_str()) {
                used.name = Comm::new(b"main");
            }
            self.threads.push(used);
        }
        &self.threads
    }
}

fn thread_use(text: &[u8], ticks_per_second: u64) -> Option<ThreadUse> {
    let stat = stat::parse(text)?;
    let ticks = stat.user_ticks.saturating_add(stat.system_ticks);
    let name: Comm = stat.comm;
    let cpu_us = ticks.saturating_mul(1_000_000) / ticks_per_second;
    Some(ThreadUse { name, cpu_us })
}

/// The line `Pss:   1234 kB`.
fn proportional(text: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes::from_kib(kib))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use highwater_core::metric::MetricKind;

    use super::*;

    #[test]
    fn every_number_has_one_name_and_counters_say_total() {
        let names: HashSet<_> = metrics().map(|metric| metric.name).collect();
        assert_eq!(names.len(), metrics().count());
        for metric in metrics() {
            assert!(metric.name.starts_with("highwater_"), "{}", metric.name);
            let is_counter = metric.kind == MetricKind::Counter;
            assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
        }
    }

    #[test]
    fn no_number_is_told_twice() {
        let board = Board::default();
        let thread = |name: &[u8], cpu_us| ThreadUse { name: Comm::new(name), cpu_us };
        board.set_threads(&[thread(b"pulse", 1), thread(b"a\"b", 2), thread(b"pulse", 4)]);
        let things = things(&board);
        let told: HashSet<_> =
            things.iter().map(|thing| (thing.metric.name, thing.labels.to_string())).collect();
        assert_eq!(told.len(), things.len());
        let pulse = things.iter().find(|thing| thing.labels.get("thread") == "pulse");
        assert!((pulse.unwrap().value - 5e-6).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let board = Board::default();
        let told = |name: &str| things(&board).iter().any(|thing| thing.metric.name == name);
        assert!(!told("highwater_agent_last_seal_timestamp_seconds"));
        assert!(!told("highwater_agent_resident_bytes") && told("highwater_agent_seals_total"));
        board.counts().last_seal_ms.store(1, Ordering::Relaxed);
        assert!(told("highwater_agent_last_seal_timestamp_seconds"));
    }

    #[test]
    fn the_agent_sees_its_own_weight_and_threads() {
        let root = Root::live();
        let mut mirror = Mirror::new(&root, &highwater_linux::facts::HostFacts::read(&root));
        let weight = mirror.weight();
        assert!(weight.resident > Some(Bytes::from_kib(100)), "{weight:?}");
        assert!(weight.proportional.is_none_or(|part| Some(part) <= weight.resident.map(twice)));
        assert!(mirror.threads().iter().any(|thread| thread.name == Comm::new(b"main")));
    }

    /// The two are read one after the other, while other tests allocate.
    fn twice(bytes: Bytes) -> Bytes {
        bytes.saturating_add(bytes)
    }

    #[test]
    fn garbage_weighs_nothing() {
        assert_eq!(
            proportional(b"Rss: 1 kB\nPss:  12 kB\nPss_Anon: 3 kB\n"),
            Some(Bytes::from_kib(12))
        );
        for text in [&b""[..], b"Pss:", b"Pss: x kB", b"Pss: 12", b"\xff\xfe"] {
            assert_eq!(proportional(text), None);
        }
        assert_eq!(thread_use(b"1 (x", 100), None);
    }
}
