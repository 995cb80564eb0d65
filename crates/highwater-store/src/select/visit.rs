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
use std::sync::Arc;

use highwater_core::series::{Keep, Labels, Matcher, Series, Stretch, Visit, Want};

use super::cover::{Order, Reach, Take};
use super::fresh::Most;
use super::gather::{Gathered, Spared};
use super::sealed::{Sheets, find};
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
    /// Of each metric, and of those that each slot has in sheets.
    bits: Vec<Bits>,
    has: Vec<Bits>,
}

/// Metrics by their places among those that are visited. One beyond has none, and is always read.
type Bits = u64;

/// Metrics that stand for each other.
struct Choices(Vec<Vec<Bits>>);

impl Choices {
    fn of(visit: &Visit<'_>) -> Self {
        let bits = |choice: &&[&str]| choice.iter().map(|name| bit(visit, name)).collect();
        Self(visit.choices.iter().map(bits).collect())
    }

    /// What need not be read of somebody who has these.
    fn spared(&self, has: Bits) -> Bits {
        let behind = |choice: &Vec<Bits>| {
            let rest = choice.iter().skip_while(|bit| has & **bit == 0).skip(1);
            rest.fold(0, |all, bit| all | bit)
        };
        self.0.iter().map(behind).fold(0, |all, bits| all | bits)
    }

    /// Whether of each choice of which something was spared something was found.
    fn are_met(&self, spared: Bits, found: Bits) -> bool {
        let mut of = self.0.iter().map(|choice| choice.iter().fold(0, |all, bit| all | bit));
        of.all(|choice| spared & choice == 0 || found & choice != 0)
    }
}

/// The bit of a metric.
fn bit(visit: &Visit<'_>, name: &str) -> Bits {
    let place = visit.metrics.iter().position(|metric| *metric == name);
    let place = place.and_then(|place| u32::try_from(place).ok());
    place.and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
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
        let choices = Choices::of(visit);
        let mut groups = group(&labels);
        let place = |group: &Vec<usize>| group.first().map(|place| first_entity(&rooms, *place));
        groups.sort_by_cached_key(place);
        let mut next = groups.as_slice();
        while let Some((some, rest)) = few(next) {
            self.give_some(&rooms, (some, &labels), &choices, give)?;
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
        let bits: Vec<Bits> =
            wanted.metrics.iter().map(|metric| bit(visit, &metric.name)).collect();
        let mut has = vec![0; wanted.labels.len()];
        let shelves = self.shelves(&wanted, takes, &mut |metric, slot| {
            if let (Some(has), Some(bit)) = (has.get_mut(slot), bits.get(metric)) {
                *has |= bit;
            }
        })?;
        let mut entities: Vec<Vec<u64>> = vec![vec![]; wanted.labels.len()];
        for (id, slot) in &wanted.entities {
            if let Some(of_slot) = entities.get_mut(*slot) {
                of_slot.push(*id);
            }
        }
        let first = labels.len();
        labels.extend(std::mem::take(&mut wanted.labels).into_iter().map(Arc::unwrap_or_clone));
        Ok(Some(Room { wanted, entities, shelves, fresh, first, keep: visit.keep, bits, has }))
    }

    /// Batches, each once, and which sheets of them have something that is wanted; tells the places
    /// of what they have, metric and slot.
    fn shelves(
        &self,
        wanted: &Wanted,
        takes: Vec<(Stretch, Take)>,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Shelf>, StoreError> {
        let mut places: HashMap<(i64, i64), usize> = HashMap::new();
        let mut shelves: Vec<Shelf> = vec![];
        for (stretch, take) in takes {
            let place = places.get(&(take.batch.id, take.till)).copied();
            if let Some(shelf) = place.and_then(|place| shelves.get_mut(place)) {
                shelf.takes.push((stretch, take));
                continue;
            }
            let sheets = self.sheets_with(take.batch.id, wanted, tell)?;
            if !sheets.is_empty() {
                places.insert((take.batch.id, take.till), shelves.len());
                shelves.push(Shelf { takes: vec![(stretch, take)], sheets });
            }
        }
        Ok(shelves)
    }

    /// Those sheets of a batch that have something wanted.
    fn sheets_with(
        &self,
        batch: i64,
        wanted: &Wanted,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Shelved>, StoreError> {
        let mut sheets: Vec<Shelved> = vec![];
        self.each_sheet(batch, wanted, |sheet| {
            find(&sheet.heads, wanted, &mut |_, metric, slot| tell(metric, slot));
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
        (some, labels): (&[Together], &[Labels]),
        choices: &Choices,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), StoreError> {
        let has = |group: &Together| group.iter().fold(0, |all, place| all | has(rooms, *place));
        let spared: Vec<Bits> = some.iter().map(|group| choices.spared(has(group))).collect();
        let read = self.read_some(rooms, (some, labels), &spared)?;
        for ((mut given, found), (group, spared)) in read.into_iter().zip(some.iter().zip(spared)) {
            // What is in a sheet may be later than what is visited, or no numbers.
            if !choices.are_met(spared, found) {
                let again = self.read_some(rooms, (std::slice::from_ref(group), labels), &[0])?;
                given = again.into_iter().next().unwrap_or_default().0;
            }
            if !given.is_empty() {
                give(given);
            }
        }
        Ok(())
    }

    /// Reads some groups without what each is spared; which metrics are found of each, too.
    fn read_some(
        &self,
        rooms: &[Room],
        (some, labels): (&[Together], &[Labels]),
        spared: &[Bits],
    ) -> Result<Vec<(Vec<Series>, Bits)>, StoreError> {
        let mut given: Vec<(Vec<Series>, Bits)> = some.iter().map(|_| (vec![], 0)).collect();
        for room in rooms {
            let (wanted, groups) = room.wanted_of(some, labels);
            if wanted.is_empty() {
                continue;
            }
            let spared = groups.iter().map(|group| spared.get(*group).copied().unwrap_or(0));
            let spared = Spared { bits: room.bits.clone(), of_slots: spared.collect() };
            for (metric, slot, series) in self.gather_stretches(room, &wanted, spared)? {
                if let Some((of, found)) = groups.get(slot).and_then(|group| given.get_mut(*group))
                {
                    of.push(series);
                    *found |= room.bits.get(metric).copied().unwrap_or(0);
                }
            }
        }
        Ok(given)
    }

    fn gather_stretches(
        &self,
        room: &Room,
        wanted: &Wanted,
        spared: Spared,
    ) -> Result<Vec<(usize, usize, Series)>, StoreError> {
        let most = Most(usize::MAX);
        let mut gathered = Gathered::new(wanted, None);
        gathered.asks_readings = false;
        gathered.keep = room.keep;
        gathered.spared = spared;
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
                own.push(Arc::new(labels.get(*place).cloned().unwrap_or_default()));
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

/// What the labels at a place have in sheets.
fn has(rooms: &[Room], place: usize) -> Bits {
    let room = rooms.iter().rfind(|room| room.first <= place);
    room.and_then(|room| room.has.get(place - room.first)).copied().unwrap_or(0)
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
        let visit = Visit {
            metrics: &["rss", "cache"],
            choices: &[],
            matchers: &[],
            stretches: &stretches,
            keep,
        };
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

    /// Which metrics of each owner are given, where the first of `rss` and `cache` is enough.
    fn chosen(dir: &Path, until: i64) -> Vec<String> {
        let reader = Reader::open(dir).unwrap();
        let [first, _] = stretches();
        let one = [Stretch { to: moment(until), ..first }];
        let metrics = ["cache", "rss", "other"];
        let choices: &[&[&str]] = &[&["rss", "cache"]];
        let visit = Visit {
            metrics: &metrics,
            choices,
            matchers: &[],
            stretches: &one,
            keep: Keep::Extremes,
        };
        let mut got = vec![];
        let mut each = |labels: &[Labels]| (0..labels.len()).map(|place| vec![place]).collect();
        let mut give = |found: Vec<Series>| {
            let mut names: Vec<&str> = found.iter().map(|one| one.labels.get(NAME)).collect();
            names.sort_unstable();
            got.push(names.join(" "));
        };
        reader.visit(&visit, &mut each, &mut give).unwrap();
        got
    }

    #[test]
    fn of_what_stands_for_each_other_the_first_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        recorded(dir.path(), 3);
        assert_eq!(chosen(dir.path(), BEGIN + 42 * HOUR), ["other rss"; 3]);
    }

    #[test]
    fn what_comes_later_stands_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut import = Import::open(dir.path()).unwrap();
        for (metric, from) in [("cache", 0), ("rss", 30)] {
            let labels = Labels::new([(NAME, metric), ("name", "shop")]);
            let series = import.series(&labels, MetricKind::Gauge, "").unwrap();
            for hour in from..40 {
                import.push(series, moment(BEGIN + hour * HOUR + 1), 1.0).unwrap();
            }
        }
        import.finish(&mut |_| {}).unwrap();
        assert_eq!(chosen(dir.path(), BEGIN + 20 * HOUR), ["cache"]);
        assert_eq!(chosen(dir.path(), BEGIN + 42 * HOUR), ["rss"]);
    }

    #[test]
    fn the_last_of_each_step_is_what_a_selection_gives() {
        let dir = tempfile::tempdir().unwrap();
        recorded(dir.path(), 2);
        let reader = Reader::open(dir.path()).unwrap();
        let [first, _] = stretches();
        let metrics = ["rss"];
        let one = [first];
        let visit = Visit {
            metrics: &metrics,
            choices: &[],
            matchers: &[],
            stretches: &one,
            keep: Keep::Last,
        };
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
