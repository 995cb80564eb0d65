//! Episodes as they were found, and which of their deaths are to be explained.

use std::cell::RefCell;
use std::sync::Arc;

use highwater_core::event::Death;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::id::Pid;
use highwater_core::series::SeriesSource;
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::PageSize;
use highwater_diagnose::death::{
    Case, Diagnosis, Outline, Ranking, RecordedDeath, Window, explain_ranked,
};
use highwater_oom::OomReport;
use highwater_oom::report::{Kill, ReportLine};

use super::absence::Sight;
use super::testified::Testified;

/// Episodes, the deaths in them, and what to say beside them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) episodes: Vec<Episode>,
    /// What witnesses said beside the reports.
    pub(crate) testified: Testified,
    pub(crate) remarks: Vec<String>,
    pub(crate) sight: Sight,
}

/// One episode and where it was read.
#[derive(Debug, Default)]
pub(crate) struct Episode {
    pub(crate) report: OomReport,
    pub(crate) source: String,
    pub(crate) page_size: Option<PageSize>,
    /// The one death that the record is about.
    pub(crate) recorded: Option<Recorded>,
    /// Which of its deaths are meant; `None` means all, or the episode itself if it has none.
    pub(crate) kills: Option<Vec<usize>>,
    /// Where else the same was read.
    pub(crate) also: Vec<AlsoTold>,
    /// Who was killed shortly before: those may have been dying still.
    pub(crate) dying: Vec<Pid>,
    /// In which boot it was, where that is known.
    pub(crate) boot_id: Option<BootId>,
}

/// What the recorder kept of a death.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) death: Death,
    pub(crate) wall: WallTime,
    pub(crate) boot: Option<BootTime>,
}

/// Another place that tells of the same death.
#[derive(Clone, Debug)]
pub(crate) struct AlsoTold {
    /// Which of the episode's deaths; `None` where nothing was killed.
    pub(crate) kill: Option<usize>,
    /// The line there.
    pub(crate) place: Evidence,
}

/// One thing to explain: an episode, and which of its deaths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) episode: &'a Episode,
    pub(crate) kill: Option<usize>,
}

impl<'a> Subject<'a> {
    /// What the diagnosis is made from.
    pub(crate) fn case(&self, look_back: Window) -> Case<'a> {
        let recorded = self.episode.recorded.as_ref();
        let recorded = recorded.map(|kept| RecordedDeath {
            death: &kept.death,
            wall: kept.wall,
            boot: kept.boot,
        });
        Case {
            report: &self.episode.report,
            kill: self.kill,
            source: &self.episode.source,
            recorded,
            page_size: self.episode.page_size,
            look_back,
        }
    }

    pub(crate) fn explain(
        &self,
        history: &dyn SeriesSource,
        look_back: Window,
        rankings: &Rankings<'a>,
    ) -> Diagnosis {
        let ranking = rankings.of(self.episode);
        let mut diagnosis = explain_ranked(&self.case(look_back), history, &ranking);
        let also = self.episode.also.iter().filter(|also| also.kill == self.kill);
        let places: Vec<Evidence> = also.map(|also| also.place.clone()).collect();
        if let Some(first) = places.first() {
            let what = if self.kill.is_some() { "death" } else { "episode" };
            let others = match places.len() {
                1 => String::new(),
                count => format!(" and in {} other logs", count - 1),
            };
            let text = format!("The same {what} is told in {}{others}, too.", first.source);
            diagnosis.claims.push(Claim { text, evidence: places });
        }
        diagnosis
    }

    /// Enough for a table, a filter.
    pub(crate) fn outline(&self) -> Outline<'a> {
        Outline::of(&self.case(Window::Minutes))
    }
}

/// The ranking of the episode that was explained last: its next death has the same.
#[derive(Debug, Default)]
pub(crate) struct Rankings<'a> {
    last: RefCell<Option<(&'a Episode, Arc<Ranking>)>>,
}

impl<'a> Rankings<'a> {
    fn of(&self, episode: &'a Episode) -> Arc<Ranking> {
        let mut last = self.last.borrow_mut();
        match last.as_ref() {
            Some((known, ranking)) if std::ptr::eq(*known, episode) => Arc::clone(ranking),
            _ => {
                let (report, page) = (&episode.report, episode.page_size);
                let ranking = Arc::new(Ranking::of(report, page, &episode.dying));
                *last = Some((episode, Arc::clone(&ranking)));
                ranking
            }
        }
    }
}

/// What the lines of one episode show of the clocks, looked up once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// A death whose both clocks are known.
    both: Option<Stamp>,
    /// Some line has a stamp.
    is_stamped: bool,
}

impl Clocks {
    /// When `line` was written: by its own stamp, else reckoned from a death whose both clocks are
    /// known.
    pub(crate) fn wall_of(&self, line: &ReportLine) -> Option<WallTime> {
        line.wall.or_else(|| Some(self.both?.wall_at(line.boot?)))
    }

    /// Whether `line` carries on the message above it: it has no stamp where others have one.
    pub(crate) fn continues(&self, line: &ReportLine) -> bool {
        self.is_stamped && !is_stamped(line)
    }
}

fn is_stamped(line: &ReportLine) -> bool {
    line.boot.is_some() || line.wall.is_some()
}

/// So many killed before are remembered: what is dying is gone a few episodes later.
const DYING: usize = 64;

/// Tells each episode of one log that has a table who was killed shortly before it.
pub(crate) fn tell_dying(episodes: &mut [Episode]) {
    let mut dying: Vec<Pid> = Vec::new();
    for episode in episodes {
        if !episode.report.tasks.rows.is_empty() {
            episode.dying.clone_from(&dying);
        }
        dying.extend(episode.report.kills.iter().filter_map(|kill| kill.pid));
        dying.drain(..dying.len().saturating_sub(DYING));
    }
}

impl Episode {
    /// What was read out of a log.
    pub(crate) fn of(report: OomReport, source: String) -> Self {
        Self { report, source, ..Self::default() }
    }

    pub(crate) fn subjects(&self) -> Vec<Subject<'_>> {
        let one = |kill| Subject { episode: self, kill };
        match (&self.kills, self.report.kills.len()) {
            (Some(kills), _) => kills.iter().map(|kill| one(Some(*kill))).collect(),
            (None, 0) => vec![one(None)],
            (None, count) => (0..count).map(|at| one(Some(at))).collect(),
        }
    }

    /// Whether a claim stands on lines of the report alone.
    pub(crate) fn holds(&self, claim: &Claim) -> bool {
        let lines = &self.report.lines;
        claim.evidence.iter().all(|told| {
            let is_line = |line: &ReportLine| Some(line.number) == told.line;
            told.source == self.source && lines.iter().any(is_line)
        })
    }

    /// When it began, as far as its lines say.
    pub(crate) fn wall(&self) -> Option<WallTime> {
        let told = self.report.kills.iter().find_map(|kill| kill.wall);
        told.or_else(|| self.report.lines.iter().find_map(|line| line.wall))
    }

    /// What its lines show of the clocks.
    pub(crate) fn clocks(&self) -> Clocks {
        let both = |kill: &Kill| Some(Stamp { wall: kill.wall?, boot: kill.boot? });
        Clocks {
            both: self.report.kills.iter().find_map(both),
            is_stamped: self.report.lines.iter().any(is_stamped),
        }
    }

    /// When it began, after boot.
    pub(crate) fn boot(&self) -> Option<BootTime> {
        let told = self.report.kills.iter().find_map(|kill| kill.boot);
        told.or_else(|| self.report.lines.iter().find_map(|line| line.boot))
    }
}

/// All deaths found, without any series looked at.
pub(crate) fn outlines(found: &Found) -> impl Iterator<Item = Outline<'_>> {
    let subjects = found.episodes.iter().flat_map(Episode::subjects);
    subjects.filter(|subject| subject.kill.is_some()).map(|subject| subject.outline())
}

/// `node (pid 7) at 2026-…`.
pub(crate) fn named(death: &Outline<'_>) -> String {
    let victim = death.victim;
    let name = victim.and_then(|kill| kill.comm.as_deref()).unwrap_or("an unnamed process");
    let pid = victim.and_then(|kill| kill.pid).map_or(String::new(), |pid| format!(" (pid {pid})"));
    let at = death.time.map_or(String::new(), |time| format!(" at {time}"));
    format!("{name}{pid}{at}")
}
