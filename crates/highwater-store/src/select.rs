//! Series out of the history: of each stretch of time from the best place that has it.
//!
//! A selection becomes a list of metrics and entities for each group ([`wanted`]), a list of
//! batches and ticks for each ([`cover`]), and one pass over those ([`sealed`], [`fresh`]), which
//! reads the blocks that are wanted and nothing else. What comes out is put together in
//! [`gather`] and [`finish`].

pub(crate) mod carry;
pub(crate) mod cover;
pub(crate) mod finish;
pub(crate) mod fresh;
pub(crate) mod gather;
pub(crate) mod known;
pub(crate) mod sealed;
pub(crate) mod steps;
pub(crate) mod stream;
mod visit;
pub(crate) mod wanted;
pub(crate) mod whole;

use highwater_core::series::{
    Labels, Looks, Matcher, Selection, Series, SeriesSource, SourceError, TooManySamples, Visit,
};

use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::Reader;
use carry::Carry;
use cover::{Order, Reach};
use finish::Ends;
use fresh::Most;
use gather::Gathered;
use sealed::Sheets;
use steps::{Glances, Steps};
use wanted::{Metric, Wanted};

/// The most samples held in memory for one selection: 64 MiB of them. All metrics of a machine at
/// full resolution for a day are 1.3 million. Whoever wants more takes a stream.
pub(crate) const MOST_POINTS: usize = 4 << 20;

impl SeriesSource for Reader {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        self.try_select(selection, (None, MOST_POINTS)).map_err(refused)
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        self.try_select(selection, (Glances::new(looks), looks.most)).map_err(refused)
    }

    fn visit(
        &self,
        visit: &Visit<'_>,
        group: &mut dyn FnMut(&[Labels]) -> Vec<Vec<usize>>,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), SourceError> {
        self.try_visit(visit, group, give).map_err(refused)
    }

    fn name(&self) -> &'static str {
        "recorded series"
    }
}

fn refused(cause: StoreError) -> SourceError {
    let what = cause.to_string();
    match cause {
        StoreError::TooMany { most } => {
            SourceError { what, cause: Some(Box::new(TooManySamples { most })) }
        }
        cause => SourceError { what, cause: Some(Box::new(cause)) },
    }
}

/// How a selection is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) order: Order,
    pub(crate) steps: Option<Steps>,
    /// Samples that nobody looks at are left out.
    pub(crate) glances: Option<Glances>,
    pub(crate) ends: Ends,
    pub(crate) most: Most,
}

impl Way {
    pub(crate) fn of(selection: &Selection, most: usize) -> Self {
        let steps = selection.step.map(|step| Steps::new(selection.from.millis(), step));
        Self {
            order: Order::of_step(steps.map(Steps::step_ms)),
            steps,
            glances: None,
            ends: if selection.ends { Ends::Marked } else { Ends::Bare },
            most: Most(most),
        }
    }
}

impl Reader {
    fn try_select(
        &self,
        selection: &Selection,
        (glances, most): (Option<Glances>, usize),
    ) -> Result<Vec<Series>, StoreError> {
        bounded(&selection.matchers)?;
        // Everything is read out of one state of the database.
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let (from, to) = (selection.from.millis(), selection.to.millis());
        let reaches = self.reaches(from, to).map_err(self.failed())?;
        let way = Way { glances, ..Way::of(selection, most) };
        let mut found = vec![];
        let mut left = most;
        for (group, metrics) in self.by_group(&selection.matchers)? {
            let wanted = self.wanted_within(group, metrics, &selection.matchers, &reaches)?;
            let way = Way { most: Most(left), ..way };
            let series = self.gather(&wanted, &reaches, way)?;
            let series = series.series_of(way.ends, &mut Carry::nothing());
            let points: usize = series.iter().map(|series| series.points.len()).sum();
            left = left.saturating_sub(points);
            found.extend(series);
        }
        drop(state);
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The metrics that pass, group by group.
    pub(crate) fn by_group(
        &self,
        matchers: &[Matcher],
    ) -> Result<Vec<(Group, Vec<Metric>)>, StoreError> {
        let metrics = self.metrics(matchers).map_err(self.failed())?;
        let of = |group| {
            let of_group = metrics.iter().filter(|(of, _)| *of == group);
            (group, of_group.map(|(_, metric)| metric.clone()).collect::<Vec<_>>())
        };
        Ok(Group::ALL.into_iter().map(of).filter(|(_, metrics)| !metrics.is_empty()).collect())
    }

    /// What is asked of a group over stretches of time.
    pub(crate) fn wanted_within(
        &self,
        group: Group,
        metrics: Vec<Metric>,
        matchers: &[Matcher],
        reaches: &[Reach],
    ) -> Result<Wanted, StoreError> {
        let hull = cover::hull(reaches).unwrap_or((i64::MAX, i64::MIN));
        let all = (0, usize::MAX);
        self.wanted(group, metrics, matchers, hull, all).map_err(self.failed())
    }

    /// Reads what is wanted of a group.
    pub(crate) fn gather<'w>(
        &self,
        wanted: &'w Wanted,
        reaches: &[Reach],
        way: Way,
    ) -> Result<Gathered<'w>, StoreError> {
        let mut gathered = Gathered::new(wanted, way.steps);
        gathered.asks_readings = way.ends == Ends::Marked;
        gathered.glances = way.glances;
        if wanted.is_empty() {
            return Ok(gathered);
        }
        let cover = self.cover(wanted.group, reaches, way.order).map_err(self.failed())?;
        let mut sheets = Sheets::new(self);
        if wanted.metrics.len().saturating_mul(wanted.labels.len()) == 1 {
            let points = cover.takes.iter().map(|take| usize::try_from(take.batch.points));
            let points = points.fold(0, |all: usize, one| all.saturating_add(one.unwrap_or(0)));
            gathered.expected = points.min(MOST_POINTS).min(way.most.0);
        }
        let rows = self.rows_of(&cover.takes, wanted)?;
        let before = self.damaged.borrow().met();
        let mut takes = cover.takes.as_slice();
        while !takes.is_empty() {
            // Where the bodies are of some batches is known before the first of them is read.
            let held = sheets.hold(takes, rows.as_ref(), wanted)?;
            let (now, later) = takes.split_at_checked(held.len()).unwrap_or((takes, &[]));
            for (take, held) in now.iter().zip(&held) {
                sheets.read(take, held, &mut gathered, way.most)?;
            }
            takes = later;
        }
        if gathered.asks_readings && wanted.group == Group::Thing {
            let newest = sheets.newest(&cover.takes);
            let whole = self.damaged.borrow().met() == before;
            gathered.reading(newest.filter(|_| whole));
        }
        for reach in &cover.fresh {
            self.read_fresh(reach, &mut gathered, way.most)?;
        }
        Ok(gathered)
    }
}

/// Refuses a selection that anything would meet, also what has no labels at all.
pub(crate) fn bounded(matchers: &[Matcher]) -> Result<(), StoreError> {
    let nothing = Labels::default();
    let asks = |matcher: &Matcher| !matcher.accepts(&nothing);
    if matchers.iter().any(asks) { Ok(()) } else { Err(StoreError::Unbounded) }
}

#[cfg(test)]
pub(crate) mod tests;
