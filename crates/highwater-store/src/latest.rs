//! The last value of each series, as a page that shows the present asks for it.

use std::time::Duration;

use highwater_core::series::{Labels, Matcher, Point, Series, is_stale};
use highwater_core::time::WallTime;

use rusqlite::Row;

use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::{Reader, is_corrupt, walk};
use crate::select::carry::Carry;
use crate::select::cover::{Order, Reach};
use crate::select::finish::Ends;
use crate::select::fresh::Most;
use crate::select::gather::Gathered;
use crate::select::steps::Steps;
use crate::select::wanted::{Metric, Wanted};
use crate::select::{MOST_POINTS, Way};

/// What was not sampled for so long has no present value, as in PromQL.
const LOOK_BACK: Duration = Duration::from_mins(5);

/// Of a thing: the rarest survey comes every ten minutes, and one round may be skipped.
const LOOK_BACK_AT_THINGS: Duration = Duration::from_mins(25);

impl Reader {
    /// The last sample of each series that matches, of those that had not ended `at` a moment, in
    /// order of labels; without a moment, of the newest readings. Without conditions it is all
    /// series. A sample is at most five minutes old, or 25 of a survey.
    pub fn latest(
        &self,
        matchers: &[Matcher],
        at: Option<WallTime>,
    ) -> Result<Vec<(Labels, Point)>, StoreError> {
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let at = match at {
            Some(at) => Some(at),
            None => self.newest().map_err(self.failed())?,
        };
        let Some(at) = at else { return Ok(vec![]) };
        let mut found = vec![];
        for (group, metrics) in self.by_group(matchers)? {
            let series = self.latest_of(group, metrics, matchers, at)?;
            found.extend(series.into_iter().filter_map(|series| {
                let last = series.points.last().copied().filter(|last| !is_stale(last.value))?;
                Some((series.labels, last))
            }));
        }
        drop(state);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn latest_of(
        &self,
        group: Group,
        metrics: Vec<Metric>,
        matchers: &[Matcher],
        at: WallTime,
    ) -> Result<Vec<Series>, StoreError> {
        let back = if group == Group::Thing { LOOK_BACK_AT_THINGS } else { LOOK_BACK };
        let from = at.before(back).millis().saturating_add(1);
        let reaches = self.reaches(from, at.millis()).map_err(self.failed())?;
        let wanted = self.wanted_within(group, metrics, matchers, &reaches)?;
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        if group != Group::Thing
            && let Some(newest) = self.newest_of(&wanted, &reaches)?
        {
            return Ok(newest.series_of(Ends::Bare, &mut Carry::nothing()));
        }
        // One step, up to the moment, whose last sample is wanted.
        let steps = Some(Steps::new(at.millis(), back));
        let (order, ends) = (Order::FINEST, Ends::Marked);
        let gathered = self.gather(
            &wanted,
            &reaches,
            Way { order, steps, glances: None, ends, most: Most(MOST_POINTS) },
        )?;
        Ok(gathered.series_of(ends, &mut Carry::nothing()))
    }

    /// What the newest whole tick that is not sealed tells, and the close-ups after it; `None` if
    /// there is no such tick.
    fn newest_of<'w>(
        &self,
        wanted: &'w Wanted,
        reaches: &[Reach],
    ) -> Result<Option<Gathered<'w>>, StoreError> {
        let mut gathered = Gathered::new(wanted, None);
        for reach in reaches.iter().rev() {
            if self.read_newest(reach, &mut gathered)? {
                return Ok(Some(gathered));
            }
        }
        Ok(None)
    }

    /// The newest moment on record, as it is shown.
    fn newest(&self) -> rusqlite::Result<Option<WallTime>> {
        let reaches = self.reaches(i64::MIN, i64::MAX)?;
        let newest_of = "SELECT max(at) FROM
             (SELECT max(at_ms) AS at FROM tick WHERE era = ?1
              UNION ALL SELECT max(last_ms) FROM batch WHERE era = ?1 AND state = 1 AND tier = 0)";
        let newest_of = |era: i64| {
            let read = self.db.prepare_cached(newest_of)?.query_row([era], |row| row.get(0));
            match read {
                Err(cause) if is_corrupt(&cause) => self.newest_walking(era),
                read => read,
            }
        };
        for reach in reaches.iter().rev() {
            let newest: Option<i64> = newest_of(reach.era)?;
            if let Some(newest) = newest {
                let shown = newest.min(reach.till).saturating_add(reach.shift);
                return Ok(Some(WallTime::from_millis(shown)));
            }
        }
        Ok(None)
    }

    /// The same, going through the tables because of damaged pages.
    fn newest_walking(&self, era: i64) -> rusqlite::Result<Option<i64>> {
        let mut newest = None;
        for (table, columns) in [("tick", "id, era, at_ms"), ("batch", "id, era, last_ms")] {
            let visit = |row: &Row<'_>| {
                if row.get::<_, i64>(1)? == era {
                    newest = newest.max(Some(row.get(2)?));
                }
                Ok(())
            };
            walk(&self.db, table, columns, visit, |_| {})?;
        }
        Ok(newest)
    }
}
