//! Series some at a time: what belongs together is read together, over all stretches of time, and
//! given before the next is read.
//!
//! ```text
//! entities ─ group ─► groups in the order of their entities ─ some ─┐
//! batches ── cover ─► sheets, and which entities each has ──────────┴─► read ─► give
//! ```
//!
//! Which sheet has whom is noted once, so that of thousands of batches only those are met that have
//! what is being read.

use std::collections::HashMap;

use highwater_core::series::{Keep, Labels, Matcher, Series, Stretch, Visit, Want};

use super::cover::{Order, Reach, Take};
use super::fresh::Most;
use super::gather::Gathered;
use super::sealed::Sheets;
use super::wanted::{Metric, Wanted};
use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::Reader;

/// So many entities are read at once, or one group if it has more: a month of an owner's courses
/// takes a quarter of a MiB.
const AT_ONCE: usize = 24;

/// One room of the store that has something to visit.
struct Room {
    wanted: Wanted,
    /// The entities of each slot.
    entities: Vec<Vec<u64>>,
    /// What answers, in the order of time.
    shelves: Vec<Shelf>,
    /// Of ticks that are not sealed.
    fresh: Vec<(Stretch, Reach)>,
    /// Where its labels begin among those of all rooms.
    first: usize,
    keep: Keep,
}

/// A batch, what of it is in which stretch, and which of its sheets have anything wanted.
#[derive(Debug)]
struct Shelf {
    takes: Vec<(Stretch, Take)>,
    sheets: Vec<Shelved>,
}

/// A sheet that has something wanted.
#[derive(Clone, Copy, Debug)]
struct Shelved {
    row: i64,
    /// The first and the last entity that is wanted.
    first: u64,
    last: u64,
}

impl Reader {
    pub(super) fn try_visit(
        &self,
        visit: &Visit<'_>,
        group: &mut dyn FnMut(&[Labels]) -> Vec<Vec<usize>>,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), StoreError> {
        // Everything is read out of one state of the database.
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let (mut rooms, mut labels) = (Vec::new(), Vec::new());
        for (of, metrics) in self.metrics_named(visit.metrics)? {
            if of != Group::Process || !is_of_no_process(visit.matchers) {
                rooms.extend(self.room(of, metrics, visit, &mut labels)?);
            }
        }
        let mut groups = group(&labels);
        let place = |group: &Vec<usize>| group.first().map(|place| first_entity(&rooms, *place));
        groups.sort_by_cached_key(place);
        let mut next = groups.as_slice();
        while let Some((some, rest)) = few(next) {
            self.give_some(&rooms, (some, &labels), give)?;
            next = rest;
        }
        drop(state);
        Ok(())
    }

    /// The metrics of these names, group by group.
    fn metrics_named(&self, names: &[&str]) -> Result<Vec<(Group, Vec<Metric>)>, StoreError> {
        let mut all = self.by_group(&[])?;
        for (_, metrics) in &mut all {
            metrics.retain(|metric| names.contains(&metric.name.as_str()));
        }
        all.retain(|(_, metrics)| !metrics.is_empty());
        Ok(all)
    }

    /// What there is to visit of a group; its labels go to all the others.
    fn room(
        &self,
        group: Group,
        metrics: Vec<Metric>,
        visit: &Visit<'_>,
        labels: &mut Vec<Labels>,
    ) -> Result<Option<Room>, StoreError> {
        let (mut all, mut takes, mut fresh) = (vec![], vec![], vec![]);
        for stretch in visit.stretches.iter().filter(|stretch| stretch.from <= stretch.to) {
            let reaches = self.reaches(stretch.from.millis(), stretch.to.millis());
            let reaches = reaches.map_err(self.failed())?;
            let step = i64::try_from(stretch.step.as_millis()).unwrap_or(i64::MAX);
            let cover = self.cover(group, &reaches, Order::of_step(Some(step)));
            let cover = cover.map_err(self.failed())?;
            takes.extend(cover.takes.into_iter().map(|take| (*stretch, take)));
            fresh.extend(cover.fresh.into_iter().map(|reach| (*stretch, reach)));
            all.extend(reaches);
        }
        let mut wanted = self.wanted_within(group, metrics, visit.matchers, &all)?;
        if wanted.is_empty() {
            return Ok(None);
        }
        let shelves = self.shelves(&wanted, takes)?;
        let mut entities: Vec<Vec<u64>> = vec![vec![]; wanted.labels.len()];
        for (id, slot) in &wanted.entities {
            if let Some(of_slot) = entities.get_mut(*slot) {
                of_slot.push(*id);
            }
        }
        let first = labels.len();
        labels.append(&mut wanted.labels);
        Ok(Some(Room { wanted, entities, shelves, fresh, first, keep: visit.keep }))
    }

    /// Batches, each once, and which sheets of them have something that is wanted.
    fn shelves(
        &self,
        wanted: &Wanted,
        takes: Vec<(Stretch, Take)>,
    ) -> Result<Vec<Shelf>, StoreError> {
        let mut places: HashMap<(i64, i64), usize> = HashMap::new();
        let mut shelves: Vec<Shelf> = vec![];
        for (stretch, take) in takes {
            let place = places.get(&(take.batch.id, take.till)).copied();
            if let Some(shelf) = place.and_then(|place| shelves.get_mut(place)) {
                shelf.takes.push((stretch, take));
                continue;
            }
            let sheets = self.sheets_with(take.batch.id, wanted)?;
            if !sheets.is_empty() {
                places.insert((take.batch.id, take.till), shelves.len());
                shelves.push(Shelf { takes: vec![(stretch, take)], sheets });
            }
        }
        Ok(shelves)
    }

    /// Those sheets of a batch that have something wanted.
    fn sheets_with(&self, batch: i64, wanted: &Wanted) -> Result<Vec<Shelved>, StoreError> {
        let mut sheets: Vec<Shelved> = vec![];
        self.each_sheet(batch, wanted, |sheet| {
            let entities = sheet.heads.entries.iter().map(|entry| entry.key.entity);
            if let (Some(first), Some(last)) = (entities.clone().min(), entities.max())
                && !sheets.iter().any(|one| one.row == sheet.id)
            {
                sheets.push(Shelved { row: sheet.id, first, last });
            }
            Ok(())
        })?;
        Ok(sheets)
    }

    /// Reads some groups and gives them, one after the other.
    fn give_some(
        &self,
        rooms: &[Room],
        (some, labels): (&[Vec<usize>], &[Labels]),
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), StoreError> {
        let mut given: Vec<Vec<Series>> = some.iter().map(|_| vec![]).collect();
        for room in rooms {
            let (wanted, groups) = room.wanted_of(some, labels);
            if wanted.is_empty() {
                continue;
            }
            for (slot, series) in self.gather_stretches(room, &wanted)? {
                if let Some(of) = groups.get(slot).and_then(|group| given.get_mut(*group)) {
                    of.push(series);
                }
            }
        }
        given.into_iter().filter(|series| !series.is_empty()).for_each(give);
        Ok(())
    }

    fn gather_stretches(
        &self,
        room: &Room,
        wanted: &Wanted,
    ) -> Result<Vec<(usize, Series)>, StoreError> {
        let most = Most(usize::MAX);
        let mut gathered = Gathered::new(wanted, None);
        gathered.asks_readings = false;
        gathered.keep = room.keep;
        let mut sheets = Sheets::new(self);
        for shelf in &room.shelves {
            let with = |one: &&Shelved| !wanted.between(one.first, one.last).is_empty();
            let rows: Vec<i64> = shelf.sheets.iter().filter(with).map(|one| one.row).collect();
            sheets.read_rows(&shelf.takes, &rows, &mut gathered)?;
        }
        for (stretch, reach) in &room.fresh {
            gathered.turn_to(Some(*stretch));
            self.read_fresh(reach, &mut gathered, most)?;
        }
        Ok(gathered.visited())
    }
}

impl Room {
    /// What is wanted of some groups: of each of its slots, the group's place among them, too.
    fn wanted_of(&self, some: &[Vec<usize>], labels: &[Labels]) -> (Wanted, Vec<usize>) {
        let (mut entities, mut own, mut groups) = (vec![], vec![], vec![]);
        for (at, places) in some.iter().enumerate() {
            for place in places {
                let slot = place.checked_sub(self.first);
                let Some(ids) = slot.and_then(|slot| self.entities.get(slot)) else { continue };
                entities.extend(ids.iter().map(|id| (*id, own.len())));
                own.push(labels.get(*place).cloned().unwrap_or_default());
                groups.push(at);
            }
        }
        entities.sort_unstable();
        let (group, metrics) = (self.wanted.group, self.wanted.metrics.clone());
        (Wanted { group, metrics, entities, labels: own }, groups)
    }
}

/// The first entity of the labels at a place.
fn first_entity(rooms: &[Room], place: usize) -> Option<u64> {
    let room = rooms.iter().rfind(|room| room.first <= place)?;
    room.entities.get(place - room.first)?.first().copied()
}

/// Entities that are asked for together.
type Together = Vec<usize>;

/// The first few groups, and the rest.
fn few(groups: &[Vec<usize>]) -> Option<(&[Together], &[Together])> {
    let (mut entities, mut count) = (0_usize, 0);
    for group in groups {
        entities = entities.saturating_add(group.len().max(1));
        if count > 0 && entities > AT_ONCE {
            break;
        }
        count += 1;
    }
    (count > 0).then(|| groups.split_at(count))
}

/// Whether nothing of a process is wanted: each has its number among its labels.
fn is_of_no_process(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|one| one.name == "pid" && one.want == Want::Is(String::new()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use highwater_core::metric::MetricKind;
    use highwater_core::series::{NAME, Selection, SeriesSource, SourceError};
    use highwater_core::time::WallTime;

    use super::*;
    use crate::import::Import;

    /// A multiple of half an hour.
    const BEGIN: i64 = 1_767_225_600_000;
    const HOUR: i64 = 3_600_000;

    /// A source that selects and has no way of its own to visit.
    struct Plain(Reader);

    impl SeriesSource for Plain {
        fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
            self.0.select(selection)
        }

        fn name(&self) -> &'static str {
            "plain"
        }
    }

    fn moment(ms: i64) -> WallTime {
        WallTime::from_millis(ms)
    }

    /// Two days of owners, every five minutes; the value of each is another zigzag.
    fn recorded(dir: &Path, owners: u32) {
        let mut import = Import::open(dir).unwrap();
        for owner in 0..owners {
            let name = format!("owner-{owner:03}");
            for metric in ["rss", "cache", "other"] {
                let labels = Labels::new([(NAME, metric), ("name", &name)]);
                let series = import.series(&labels, MetricKind::Gauge, "").unwrap();
                for scrape in 0..576_u32 {
                    let value = f64::from(scrape.wrapping_mul(7919 + owner) % 1000);
                    let at = moment(BEGIN + i64::from(scrape) * 300_000 + 1000);
                    import.push(series, at, value).unwrap();
                }
            }
        }
        import.finish(&mut |_| {}).unwrap();
    }

    fn stretches() -> [Stretch; 2] {
        let (from, middle, to) = (moment(BEGIN), BEGIN + 42 * HOUR, moment(BEGIN + 48 * HOUR));
        [
            Stretch { from, to: moment(middle), step: Duration::from_mins(30) },
            Stretch { from: moment(middle + 1), to, step: Duration::from_mins(1) },
        ]
    }

    /// What each group got: of each series and step the lowest and the highest value.
    type Got = Vec<BTreeMap<String, BTreeMap<i64, (f64, f64)>>>;

    fn visited(source: &dyn SeriesSource, keep: Keep, most: usize) -> Got {
        let stretches = stretches();
        let visit =
            Visit { metrics: &["rss", "cache"], matchers: &[], stretches: &stretches, keep };
        let mut group = |labels: &[Labels]| {
            let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for (place, labels) in labels.iter().enumerate() {
                names.entry(labels.get("name").to_owned()).or_default().push(place);
            }
            names.into_values().take(most).collect()
        };
        let mut got = Got::new();
        source
            .visit(&visit, &mut group, &mut |found| {
                let steps = |series: &Series| {
                    let mut steps: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
                    for point in &series.points {
                        let hour = (point.at.millis() - 1).div_euclid(HOUR / 2);
                        let step = steps.entry(hour).or_insert((point.value, point.value));
                        *step = (step.0.min(point.value), step.1.max(point.value));
                    }
                    steps
                };
                assert!(found.iter().all(|one| one.points.is_sorted_by_key(|point| point.at)));
                got.push(found.iter().map(|one| (one.labels.to_string(), steps(one))).collect());
            })
            .unwrap();
        got.sort_by(|a, b| a.keys().cmp(b.keys()));
        got
    }

    #[test]
    fn what_buckets_tell_is_what_all_samples_tell() {
        let dir = tempfile::tempdir().unwrap();
        recorded(dir.path(), 60);
        let own = visited(&Reader::open(dir.path()).unwrap(), Keep::Extremes, 100);
        let plain = visited(&Plain(Reader::open(dir.path()).unwrap()), Keep::Extremes, 100);
        assert_eq!(own.len(), 60);
        assert!(own.iter().all(|group| group.len() == 2), "both metrics, and no other");
        assert_eq!(own, plain);
    }

    #[test]
    fn who_is_in_no_group_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        recorded(dir.path(), 4);
        let some = visited(&Reader::open(dir.path()).unwrap(), Keep::Extremes, 3);
        let names: Vec<String> = some.iter().flat_map(|group| group.keys().cloned()).collect();
        assert_eq!(names.len(), 6);
        assert!(!names.iter().any(|name| name.contains("owner-003")), "{names:?}");
    }

    #[test]
    fn the_last_of_each_step_is_what_a_selection_gives() {
        let dir = tempfile::tempdir().unwrap();
        recorded(dir.path(), 2);
        let reader = Reader::open(dir.path()).unwrap();
        let [first, _] = stretches();
        let metrics = ["rss"];
        let one = [first];
        let visit = Visit { metrics: &metrics, matchers: &[], stretches: &one, keep: Keep::Last };
        let mut got = vec![];
        let mut each = |labels: &[Labels]| (0..labels.len()).map(|place| vec![place]).collect();
        reader.visit(&visit, &mut each, &mut |found| got.extend(found)).unwrap();
        got.sort_by(|a: &Series, b| a.labels.cmp(&b.labels));
        let matchers = vec![Matcher::is(NAME, "rss")];
        let (from, to, step) = (first.from, first.to, Some(first.step));
        let selection = Selection { matchers, from, to, step, ends: false };
        assert_eq!(got, reader.select(&selection).unwrap());
    }
}
