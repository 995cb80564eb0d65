//! Everything known of one case, each fact once, whether the log said it or the record.

use std::sync::Arc;

use highwater_core::event::Whereabouts;
use highwater_core::evidence::Evidence;
use highwater_core::frame::CgroupVersion;
use highwater_core::limit::Limit;
use highwater_core::series::SeriesSource;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::{Bytes, PageSize};
use highwater_oom::report::{Kill, OomReport};

use super::cite::{self, Cite};
use super::growth::{self, Curves, Subject};
use super::makeup::{self, Makeup};
use super::ranking::{RankedTask, Ranking};
use super::zones::Shortage;
use super::{Case, Cause, Confidence, RecordedDeath, Window, cause, remembered};
use crate::words;

/// A fact and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Told<T> {
    pub(super) value: T,
    pub(super) evidence: Evidence,
}

/// The case, put in order.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) report: &'a OomReport,
    pub(super) kill: Option<&'a Kill>,
    pub(super) cite: Cite<'a>,
    pub(super) recorded: Option<RecordedDeath<'a>>,
    /// Where the victim was when it was last sampled: as the recorder knew at the moment, or as
    /// the series remember.
    pub(super) known: Option<Whereabouts>,
    /// Cgroups whose kill counter rose, for a victim that was never sampled.
    pub(super) suspects: Vec<Told<String>>,
    pub(super) verdict: (Cause, Confidence),
    pub(super) time: Option<WallTime>,
    pub(super) boot: Option<BootTime>,
    pub(super) page_size: Option<PageSize>,
    pub(super) limit_owner: Option<Told<String>>,
    pub(super) task_cgroup: Option<Told<String>>,
    pub(super) limit: Option<Told<Limit>>,
    pub(super) usage: Option<Told<Bytes>>,
    pub(super) makeup: Option<Makeup>,
    /// The choice and the table; `None` in an outline.
    pub(super) ranking: Option<Arc<Ranking>>,
    pub(super) curves: Curves,
    /// Which kind of cgroup the recording has.
    pub(super) cgroup_version: Option<CgroupVersion>,
    /// `MemAvailable` of the machine shortly before, from the record.
    pub(super) available: Option<Told<Bytes>>,
    /// `MemTotal` of the machine, from the record.
    pub(super) recorded_ram: Option<Bytes>,
    /// When the machine was last sampled before the death.
    pub(super) last_tick: Option<WallTime>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(case: &Case<'a>, history: &dyn SeriesSource, ranking: &Arc<Ranking>) -> Self {
        let mut scene = Self::outline(case, history);
        scene.page_size = ranking.page_size;
        scene.ranking = Some(Arc::clone(ranking));
        scene.take_from_history(history, case.look_back);
        scene
    }

    /// When, who, where and for want of what: without the table, and without any series but those
    /// that tell where the victim was.
    pub(super) fn outline(case: &Case<'a>, history: &dyn SeriesSource) -> Self {
        let report = case.report;
        let kill = case.kill.and_then(|at| report.kills.get(at));
        let known = whereabouts(case, kill, history);
        let verdict = cause::of(report, kill.map(|kill| kill.line), known.as_ref());
        let mut scene = Self {
            report,
            kill,
            cite: Cite { source: case.source, report },
            recorded: case.recorded,
            known,
            suspects: Vec::new(),
            verdict,
            time: None,
            boot: None,
            page_size: None,
            limit_owner: None,
            task_cgroup: None,
            limit: None,
            usage: None,
            makeup: None,
            ranking: None,
            curves: Curves::default(),
            cgroup_version: None,
            available: None,
            recorded_ram: None,
            last_tick: None,
        };
        scene.set_moment();
        scene.take_from_report();
        scene.take_from_record(history);
        scene
    }

    /// The task table by rank.
    pub(super) fn tasks(&self) -> &[RankedTask] {
        self.ranking.as_ref().map_or(&[], |ranking| ranking.tasks.as_slice())
    }

    /// Whether a memory cgroup's limit was what ran out.
    pub(super) fn is_memcg(&self) -> bool {
        self.verdict.0 == Cause::KernelOomMemcg
    }

    /// Which part of the machine was short.
    pub(super) fn shortage(&self) -> Shortage {
        Shortage::of(self.report, self.page_size)
    }

    /// The memory of the machine, where the log or the record says it.
    pub(super) fn ram(&self) -> Option<Bytes> {
        let machine = &self.report.machine;
        let ram = machine.ram.and_then(|told| Some(told.value.bytes(self.page_size?)));
        ram.or(self.recorded_ram)
    }

    /// What the victim had in swap, if that is an amount worth a word beside `held`.
    pub(super) fn swapped(&self) -> Option<Bytes> {
        /// Less than a twentieth of what was in RAM changes no picture.
        const WORTH: u64 = 20;
        let held = self.held().map_or(0, |(held, _)| held.get());
        let swap = self.kill?.swap.filter(|swap| *swap > Bytes::ZERO)?;
        (swap.get() >= held / WORTH).then_some(swap)
    }

    /// The victim as a sentence calls it.
    pub(super) fn victim(&self) -> String {
        let (comm, pid) = self.kill.map_or((None, None), |kill| (kill.comm.as_deref(), kill.pid));
        words::process(comm, pid)
    }

    /// The victim's name alone, for the second time it is named.
    pub(super) fn victim_name(&self) -> String {
        match self.kill.and_then(|kill| kill.comm.clone()) {
            Some(comm) => comm,
            None => self.victim(),
        }
    }

    /// What the victim held, and as what.
    pub(super) fn held(&self) -> Option<(Bytes, &'static str)> {
        let kill = self.kill?;
        let anon = kill.anon_rss.map(|anon| (anon, "anonymous memory"));
        anon.or_else(|| kill.rss.map(|rss| (rss, "resident memory")))
    }

    fn set_moment(&mut self) {
        let first = self.report.lines.first();
        let wall = |line: &highwater_oom::report::ReportLine| line.wall;
        self.time = self.kill.map_or_else(|| first.and_then(wall), |kill| kill.wall);
        self.time = self.time.or_else(|| self.recorded.map(|recorded| recorded.wall));
        self.boot = self.kill.map_or_else(|| first.and_then(|line| line.boot), |kill| kill.boot);
        self.boot = self.boot.or_else(|| self.recorded.and_then(|recorded| recorded.boot));
    }

    fn take_from_report(&mut self) {
        let memcg = &self.report.memcg;
        let cite = self.cite;
        let path = |told: &highwater_oom::report::Cited<String>| Told {
            value: told.value.clone(),
            evidence: cite.line(told.line),
        };
        self.limit_owner = memcg.limit_owner.as_ref().map(path);
        self.task_cgroup = memcg.task.as_ref().map(path);
        // The statistics are headed by the cgroup that ran out; those of v1 go on with the ones
        // below it.
        let headed = memcg.stats.first().filter(|_| self.limit_owner.is_none());
        if let Some((value, line)) = headed.and_then(|s| Some((s.path.clone()?, s.line))) {
            self.limit_owner = Some(Told { value, evidence: cite.line(line) });
        }
        if let Some(counter) = memcg.memory {
            let evidence = cite.line(counter.line);
            let limit = counter.value.limit;
            self.limit = limit.map(|value| Told { value, evidence: evidence.clone() });
            self.usage = counter.value.usage.map(|value| Told { value, evidence });
        }
    }

    /// What the recorder knew of the process when it last saw it. Only for a cgroup kill does its
    /// limit explain anything.
    fn take_from_record(&mut self, history: &dyn SeriesSource) {
        let Some(known) = self.known.clone() else {
            self.take_suspects(history);
            return;
        };
        let told = |text: String| Evidence {
            source: history.name().to_owned(),
            line: None,
            text: cite::cut(&text),
        };
        let seen = format!("pid {} as sampled at {}", known.key.pid, known.at);
        if let Some(path) = &known.cgroup {
            let evidence = told(format!("{seen}: cgroup {path}"));
            let value = path.as_str().to_owned();
            self.task_cgroup.get_or_insert(Told { value, evidence });
        }
        let Some(owner) = known.limited_by.as_ref().filter(|_| self.is_memcg()) else { return };
        let agrees = |told: &Told<String>| told.value == owner.as_str();
        if self.limit_owner.as_ref().is_some_and(|told| !agrees(told)) {
            return;
        }
        let bounds = match (known.limit, known.usage) {
            (Some(limit), Some(usage)) => format!("limit {limit}, usage {usage}"),
            (Some(limit), None) => format!("limit {limit}"),
            _ => "limit not read".to_owned(),
        };
        let evidence = told(format!("{seen}: nearest cgroup with a limit {owner}, {bounds}"));
        let value = owner.as_str().to_owned();
        self.limit_owner.get_or_insert(Told { value, evidence: evidence.clone() });
        if self.limit.is_none() {
            self.limit = known.limit.map(|value| Told { value, evidence: evidence.clone() });
        }
        if self.usage.is_none() {
            self.usage = known.usage.map(|value| Told { value, evidence });
        }
    }

    /// A process that was never sampled: if exactly one cgroup's kill counter rose, it was there.
    fn take_suspects(&mut self, history: &dyn SeriesSource) {
        let (Some(_), Some(death), true) = (self.recorded, self.time, self.is_memcg()) else {
            return;
        };
        if self.limit_owner.is_some() {
            return;
        }
        self.suspects = remembered::suspects(history, death);
        if let [only] = self.suspects.as_slice() {
            self.limit_owner = Some(only.clone());
        }
    }

    fn take_from_history(&mut self, history: &dyn SeriesSource, look_back: Window) {
        let owner = self.limit_owner.as_ref().map(|told| told.value.clone());
        let memcg = self.is_memcg();
        if let (Some(_), Some(death)) = (self.recorded, self.time) {
            let process = self.known.as_ref().map(|known| (known.key, self.victim()));
            let place = owner.as_deref().filter(|_| memcg);
            let cgroup = place.map(|path| (path, words::place(path)));
            self.curves = growth::curves(history, &Subject { process, cgroup }, death, look_back);
            self.cgroup_version =
                owner.as_deref().and_then(|path| makeup::version(history, path, death));
            let metric = "node_memory_MemAvailable_bytes";
            self.available = makeup::last_sample(history, metric, "", death)
                .map(|(value, evidence)| Told { value, evidence });
            self.recorded_ram =
                makeup::last_sample(history, "node_memory_MemTotal_bytes", "", death)
                    .map(|(ram, _)| ram);
            self.last_tick = remembered::last_tick(history, death);
        }
        let reported = match (memcg, self.verdict.0) {
            (true, _) => makeup::of_memcg(&self.cite, owner.as_deref()),
            (_, cause) if cause.is_program() => None,
            _ => makeup::of_machine(&self.cite, self.page_size),
        };
        let remembered = || {
            let (death, path) = (self.recorded.and(self.time)?, owner.as_deref()?);
            makeup::recorded(history, path, death).filter(|_| memcg)
        };
        let victims = || makeup::of_victim(&self.cite, self.kill?);
        self.makeup = reported.or_else(remembered).or_else(victims);
    }
}

/// Where the victim was when it was last sampled.
fn whereabouts(
    case: &Case<'_>,
    kill: Option<&Kill>,
    history: &dyn SeriesSource,
) -> Option<Whereabouts> {
    let recorded = case.recorded?;
    let known = recorded.death.known.clone();
    known.or_else(|| remembered::whereabouts(history, kill?.pid?, recorded.wall))
}

impl Scene<'_> {
    /// Names that stay as they are at the beginning of a sentence.
    pub(super) fn names(&self) -> Vec<&str> {
        let victim = self.kill.and_then(|kill| kill.comm.as_deref());
        let trigger = self.report.trigger.as_ref();
        let asker = trigger.and_then(|told| told.value.comm.as_deref());
        [victim, asker].into_iter().flatten().collect()
    }

    /// Whether the only make-up known is that of the victim.
    pub(super) fn makeup_is_of_victim(&self) -> bool {
        self.makeup.as_ref().is_none_or(|makeup| makeup.of == self.victim())
    }
}
