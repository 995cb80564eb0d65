//! Why one process died: the kernel's report, what was on record, and what follows from both.
//!
//! ```text
//! OomReport ─┐
//! Death      ├─ Case ─ explain ─ Diagnosis: one sentence, claims with evidence, what to do next
//! history   ─┘
//! ```

mod advice;
mod before;
mod cause;
mod cite;
mod claims;
mod growth;
mod kill;
mod makeup;
mod missing;
mod outline;
mod ranking;
mod reason;
mod remembered;
mod repeats;
mod scene;
mod summary;
mod zones;

use std::sync::Arc;

use highwater_core::event::Death;
use highwater_core::evidence::Claim;
use highwater_core::series::{Selection, Series, SeriesSource, SourceError};
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::PageSize;
use highwater_oom::report::{Kill, OomReport, Trust};

pub use advice::Advice;
pub use before::memory_before;
pub use cause::Confidence;
pub use growth::{Growth, Recorded, Window};
pub use highwater_oom::Cause;
pub use kill::reread;
pub use makeup::{Kind, Makeup, Part};
pub use outline::Outline;
pub use ranking::{RankedTask, Ranking};
pub use reason::{Ground, Reason, Role};
pub use repeats::repeats;

pub use zones::ZoneState;

use scene::Scene;

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The episode.
    pub report: &'a OomReport,
    /// Which of its kills; `None` explains an episode in which nothing was killed.
    pub kill: Option<usize>,
    /// What the report was read from: a file's name, `/dev/kmsg`, `recorded kernel log`.
    pub source: &'a str,
    /// What the recorder kept of this death.
    pub recorded: Option<RecordedDeath<'a>>,
    /// The page size of the machine that wrote the report, where it is known.
    pub page_size: Option<PageSize>,
    /// How far back the recorded curves are to be read: a week costs more than ten minutes.
    pub look_back: Window,
}

/// A death as the store has it.
#[derive(Clone, Copy, Debug)]
pub struct RecordedDeath<'a> {
    /// What was known at the moment.
    pub death: &'a Death,
    /// When it happened.
    pub wall: WallTime,
    /// When it happened, after boot.
    pub boot: Option<BootTime>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// When, where the log or the record says so.
    pub time: Option<WallTime>,
    /// When, after boot.
    pub boot: Option<BootTime>,
    /// Who killed, and for want of what.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// The victim; `None` where nothing was killed.
    pub victim: Option<Kill>,
    /// One plain sentence.
    pub summary: String,
    /// The memory cgroup whose limit was reached, from the report or from the record.
    pub limit_owner: Option<String>,
    /// The memory cgroup of the victim, from the report or from the record.
    pub task_cgroup: Option<String>,
    /// What the limited cgroup used, from the report or from the record.
    pub usage: Option<highwater_core::units::Bytes>,
    /// Its limit, from the report or from the record.
    pub limit: Option<highwater_core::limit::Limit>,
    /// Whether the kernel's own transport vouches for the lines.
    pub trust: Trust,
    /// Why it came to this: the primary reason first, then what contributed; never empty.
    pub grounds: Vec<Ground>,
    /// What follows, most important first; the statements of the grounds are among them.
    pub claims: Vec<Claim>,
    /// The memory zones as the request found them; empty where they are not printed, or where a
    /// cgroup's limit was reached and they say nothing.
    pub zones: Vec<ZoneState>,
    /// What memory was made of.
    pub makeup: Option<Makeup>,
    /// The kernel's choice, and who could have been chosen, the likeliest first.
    pub ranking: Arc<Ranking>,
    /// Recorded curves up to the death.
    pub growth: Vec<Growth>,
    /// How well the end is on record.
    pub recorded: Option<Recorded>,
    /// What to do next.
    pub advice: Vec<Advice>,
    /// What in the log is not as a kernel prints it: `line 2: …`.
    pub oddities: Vec<String>,
}

/// Explains one death, or one episode without a death.
pub fn explain(case: &Case<'_>, history: &dyn SeriesSource) -> Diagnosis {
    explain_ranked(case, history, &Arc::new(Ranking::of(case.report, case.page_size, &[])))
}

/// The same, where the table of the episode is ranked already: once for all of its deaths.
pub fn explain_ranked(
    case: &Case<'_>,
    history: &dyn SeriesSource,
    ranking: &Arc<Ranking>,
) -> Diagnosis {
    let scene = Scene::of(case, history, ranking);
    let (claims, grounds) = claims::of(&scene);
    Diagnosis {
        time: scene.time,
        boot: scene.boot,
        cause: scene.verdict.0,
        confidence: scene.verdict.1,
        victim: scene.kill.cloned(),
        summary: summary::of(&scene),
        limit_owner: scene.limit_owner.as_ref().map(|told| told.value.clone()),
        task_cgroup: scene.task_cgroup.as_ref().map(|told| told.value.clone()),
        usage: scene.usage.as_ref().map(|told| told.value),
        limit: scene.limit.as_ref().map(|told| told.value),
        trust: case.report.trust,
        grounds,
        claims,
        zones: if scene.is_memcg() {
            Vec::new()
        } else {
            zones::states(case.report, scene.page_size)
        },
        advice: advice::of(&scene),
        oddities: oddities(case.report),
        makeup: scene.makeup,
        ranking: Arc::clone(ranking),
        growth: scene.curves.growth,
        recorded: scene.curves.recorded,
    }
}

fn oddities(report: &OomReport) -> Vec<String> {
    report.oddities.iter().map(|odd| format!("line {}: {}", odd.line, odd.what)).collect()
}

/// A history with nothing in it: for a log from a machine that was not recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl SeriesSource for NoHistory {
    fn select(&self, _: &Selection) -> Result<Vec<Series>, SourceError> {
        Ok(Vec::new())
    }

    fn name(&self) -> &'static str {
        "no recording"
    }
}
