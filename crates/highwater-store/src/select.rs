//! Series out of ticks.
//!
//! A selection becomes a list of metrics and entities for each group, and one pass over the ticks
//! of the range. With a step, only the last ticks of each step are looked up: a week on sixty
//! points decodes some sixty blobs, not a hundred thousand.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{
    Labels, Matcher, NAME, Point, Selection, Series, SeriesSource, SourceError, Want,
};
use highwater_core::time::WallTime;
use rusqlite::{OptionalExtension, params};

use crate::entity::{Facts, Group};
use crate::error::StoreError;
use crate::reader::Reader;
use crate::registry::LAST_SEEN_SLACK_MS;
use crate::schema;
use crate::tick::{Column, Damage, Tick, Unpacker};

/// The most samples held in memory for one selection: 64 MiB of them. All metrics of a machine at
/// full resolution for a day are 1.3 million.
const MOST_POINTS: usize = 4 << 20;

impl SeriesSource for Reader {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        self.try_select(selection)
            .map_err(|cause| SourceError { what: cause.to_string(), cause: Some(Box::new(cause)) })
    }

    fn name(&self) -> &'static str {
        "recorded series"
    }
}

impl Reader {
    fn try_select(&self, selection: &Selection) -> Result<Vec<Series>, StoreError> {
        let names_one = |m: &Matcher| matches!(&m.want, Want::Is(value) if !value.is_empty());
        if !selection.matchers.iter().any(names_one) {
            return Err(StoreError::Unbounded);
        }
        // Everything is read out of one state of the database.
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let mut found = vec![];
        for group in Group::ALL {
            let wanted = self.wanted(group, selection).map_err(self.failed())?;
            if !wanted.metrics.is_empty() && !wanted.entities.is_empty() {
                found.extend(self.read_group(&wanted, selection)?);
            }
        }
        drop(state);
        found.sort_by(|a: &Series, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The metrics and entities of a group that are asked for.
    fn wanted(&self, group: Group, selection: &Selection) -> rusqlite::Result<Wanted> {
        let (of_name, of_labels): (Vec<&Matcher>, _) =
            selection.matchers.iter().partition(|matcher| matcher.name == NAME);
        let mut all = self.db.prepare_cached("SELECT id, name FROM metric WHERE grp = ?1")?;
        let metrics = all.query_map([group.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let named = |(_, name): &(u32, String)| {
            let labels = Labels::new([(NAME, name.as_str())]);
            of_name.iter().all(|matcher| matcher.accepts(&labels))
        };
        let metrics = metrics.filter(|row| row.as_ref().map_or(true, named));
        let metrics = metrics.collect::<rusqlite::Result<Vec<_>>>()?;
        let entities =
            if metrics.is_empty() { vec![] } else { self.entities(group, &of_labels, selection)? };
        Ok(Wanted { group, metrics, entities })
    }

    /// The entities of a group that were there in the range and pass, by rising id.
    fn entities(
        &self,
        group: Group,
        matchers: &[&Matcher],
        selection: &Selection,
    ) -> rusqlite::Result<Vec<(u64, Labels)>> {
        let mut all = self.db.prepare_cached(
            "SELECT id, facts FROM entity
             WHERE grp = ?1 AND first_ms <= ?2 AND last_ms >= ?3 ORDER BY id",
        )?;
        let from = selection.from.millis().saturating_sub(LAST_SEEN_SLACK_MS);
        let mut rows = all.query(params![group.name(), selection.to.millis(), from])?;
        let mut entities = vec![];
        while let Some(row) = rows.next()? {
            let labels = Facts::from_text(row.get_ref(1)?.as_str()?).labels();
            if matchers.iter().all(|matcher| matcher.accepts(&labels)) {
                entities.push((schema::unsigned(row.get(0)?), labels));
            }
        }
        Ok(entities)
    }

    fn read_group(
        &self,
        wanted: &Wanted,
        selection: &Selection,
    ) -> Result<Vec<Series>, StoreError> {
        let steps = selection.step.map(|step| Steps::new(selection, step));
        let mut gathered = Gathered::new(wanted, steps);
        let group = wanted.group;
        let (from, to) = (selection.from.millis(), selection.to.millis());
        match steps {
            None => self.every_tick(group, from, to, &mut gathered)?,
            Some(steps) => {
                for at in self.last_of_steps(group, from, to, steps).map_err(self.failed())? {
                    self.every_tick(group, at, at, &mut gathered)?;
                }
            }
        }
        Ok(gathered.series())
    }

    /// Reads each tick of a range, oldest first.
    fn every_tick(
        &self,
        group: Group,
        from: i64,
        to: i64,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let column = group.name();
        let select = format!(
            "SELECT at_ms, {column} FROM tick
             WHERE at_ms BETWEEN ?1 AND ?2 AND {column} IS NOT NULL ORDER BY at_ms"
        );
        let mut select = self.db.prepare_cached(&select).map_err(self.failed())?;
        let mut rows = select.query([from, to]).map_err(self.failed())?;
        while let Some(row) = rows.next().map_err(self.failed())? {
            let at = WallTime::from_millis(row.get(0).map_err(self.failed())?);
            let blob = row.get_ref(1).map_err(self.failed())?;
            let blob = blob.as_blob_or_null().ok().flatten().unwrap_or_default();
            if let Err(damage) = gathered.take(at, blob) {
                let mut damaged = self.damaged.borrow_mut();
                damaged.ticks += 1;
                damaged.last = Some((at, damage));
            }
            if gathered.points > MOST_POINTS {
                return Err(StoreError::TooMany { most: MOST_POINTS });
            }
        }
        Ok(())
    }

    /// The moments of the last tick of each step, oldest first. Where that is a close-up, which
    /// holds a few entities only, the last whole tick of the step comes before it.
    fn last_of_steps(
        &self,
        group: Group,
        from: i64,
        to: i64,
        steps: Steps,
    ) -> rusqlite::Result<Vec<i64>> {
        let column = group.name();
        let mut last = self.db.prepare_cached(&format!(
            "SELECT at_ms, scope FROM tick
             WHERE at_ms BETWEEN ?1 AND ?2 AND {column} IS NOT NULL ORDER BY at_ms DESC LIMIT 1"
        ))?;
        let mut last_whole = self.db.prepare_cached(&format!(
            "SELECT at_ms FROM tick
             WHERE at_ms BETWEEN ?1 AND ?2 AND scope = 0 AND {column} IS NOT NULL
             ORDER BY at_ms DESC LIMIT 1"
        ))?;
        let (mut moments, mut until) = (vec![], to);
        while until >= from {
            let row = last.query_row([from, until], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
            let Some((at, scope)) = row.optional()? else { break };
            let first = steps.first_ms_of(steps.of(at)).max(from);
            moments.push(at);
            if scope != 0 {
                let whole: Option<i64> =
                    last_whole.query_row([first, at], |row| row.get(0)).optional()?;
                moments.extend(whole);
            }
            until = first.saturating_sub(1);
        }
        moments.reverse();
        Ok(moments)
    }
}

/// What is asked of one group.
struct Wanted {
    group: Group,
    /// Ids and names.
    metrics: Vec<(u32, String)>,
    /// Ids, rising, and labels without a name.
    entities: Vec<(u64, Labels)>,
}

/// The steps of a selection: they end at `from`, `from + step`, …, and each has its end but not
/// its beginning, as PromQL looks at them.
#[derive(Clone, Copy, Debug)]
struct Steps {
    from: i64,
    step: i64,
}

impl Steps {
    fn new(selection: &Selection, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { from: selection.from.millis(), step }
    }

    /// Which step a moment is in.
    fn of(self, at: i64) -> i64 {
        let past = at.saturating_sub(self.from);
        past.div_euclid(self.step) + i64::from(past.rem_euclid(self.step) > 0)
    }

    /// The first moment of a step.
    fn first_ms_of(self, number: i64) -> i64 {
        let begin = self.step.saturating_mul(number.saturating_sub(1));
        self.from.saturating_add(begin).saturating_add(1)
    }
}

/// Series being filled, tick after tick.
struct Gathered {
    steps: Option<Steps>,
    unpacker: Unpacker,
    /// Each metric and where its series begin.
    metrics: Vec<(u32, usize)>,
    /// Each entity's id, rising, and where among a metric's series it belongs: two entities with
    /// equal labels, such as a kernel thread before and after a reboot, share a series.
    entities: Vec<(u64, usize)>,
    series: Vec<Series>,
    points: usize,
}

impl Gathered {
    fn new(wanted: &Wanted, steps: Option<Steps>) -> Self {
        let mut slots = BTreeMap::new();
        for (_, labels) in &wanted.entities {
            let next = slots.len();
            slots.entry(labels).or_insert(next);
        }
        let entities =
            wanted.entities.iter().filter_map(|(id, l)| Some((*id, *slots.get(l)?))).collect();
        let mut in_order: Vec<(&Labels, usize)> = slots.iter().map(|(l, at)| (*l, *at)).collect();
        in_order.sort_by_key(|(_, at)| *at);
        let (mut metrics, mut series) = (vec![], vec![]);
        for (id, name) in &wanted.metrics {
            metrics.push((*id, series.len()));
            series.extend(in_order.iter().map(|(labels, _)| {
                let mut labels = (*labels).clone();
                labels.set(NAME, name.as_str());
                Series { labels, points: vec![] }
            }));
        }
        Self { steps, unpacker: Unpacker::default(), metrics, entities, series, points: 0 }
    }

    /// Takes what is wanted out of one blob.
    fn take(&mut self, at: WallTime, blob: &[u8]) -> Result<(), Damage> {
        let mut fill = Fill { at, steps: self.steps, series: &mut self.series, added: 0 };
        let tick = self.unpacker.unpack(blob)?;
        let places = places(&tick, &self.entities);
        let mut damage = Ok(());
        if !places.is_empty() {
            for column in tick.columns() {
                damage = column.and_then(|column| {
                    let first = self.metrics.iter().find(|(id, _)| *id == column.metric);
                    first.map_or(Ok(()), |(_, first)| fill.column(column, &places, *first))
                });
                if damage.is_err() {
                    break;
                }
            }
        }
        self.points += fill.added;
        damage
    }

    fn series(self) -> Vec<Series> {
        self.series.into_iter().filter(|series| !series.points.is_empty()).collect()
    }
}

/// Where the wanted entities stand in a tick, and which series of a metric is theirs.
fn places(tick: &Tick<'_>, entities: &[(u64, usize)]) -> Vec<(usize, usize)> {
    let mut wanted = entities.iter().peekable();
    let mut places = vec![];
    for (place, id) in tick.ids().iter().enumerate() {
        while wanted.next_if(|(want, _)| want < id).is_some() {}
        match wanted.peek() {
            None => break,
            Some((want, slot)) if want == id => places.push((place, *slot)),
            Some(_) => {}
        }
    }
    places
}

/// One tick's samples on their way into the series.
struct Fill<'a> {
    at: WallTime,
    steps: Option<Steps>,
    series: &'a mut [Series],
    added: usize,
}

impl Fill<'_> {
    /// Takes the values at `places`, which rise; those after the last one are not decoded.
    fn column(
        &mut self,
        column: Column<'_>,
        places: &[(usize, usize)],
        first: usize,
    ) -> Result<(), Damage> {
        let mut places = places.iter().peekable();
        for (place, value) in column.values().enumerate() {
            let Some((wanted, slot)) = places.peek() else { break };
            let value = value?;
            if place == *wanted {
                places.next();
                if let (Some(value), Some(series)) = (value, self.series.get_mut(first + slot)) {
                    self.added += put(series, Point { at: self.at, value }, self.steps);
                }
            }
        }
        Ok(())
    }
}

/// Adds a point, in the place of an earlier one of its step; how many points that makes more.
fn put(series: &mut Series, point: Point, steps: Option<Steps>) -> usize {
    match (series.points.last_mut(), steps) {
        (Some(last), _) if last.at >= point.at => 0,
        (Some(last), Some(steps)) if steps.of(last.at.millis()) == steps.of(point.at.millis()) => {
            *last = point;
            0
        }
        _ => {
            series.points.push(point);
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_their_end_but_not_their_beginning() {
        let steps = Steps { from: 100, step: 10 };
        let of: Vec<_> = [100, 101, 110, 111, 120].into_iter().map(|at| steps.of(at)).collect();
        assert_eq!(of, [0, 1, 1, 2, 2]);
        assert_eq!(steps.first_ms_of(1), 101);
        assert_eq!(steps.of(steps.first_ms_of(2)), 2);
    }
}
