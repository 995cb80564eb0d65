//! Which metrics and entities a selection asks for.

use std::collections::HashMap;
use std::sync::Arc;

use highwater_core::series::{Labels, Matcher, NAME, Want};
use rusqlite::{Row, ToSql};

use crate::encode::metric_crc;
use crate::entity::{Facts, Group};
use crate::reader::Reader;
use crate::registry::{LAST_SEEN_SLACK_MS, entity_crc, facts_crc};
use crate::schema;

/// What is wrong with a row whose columns and checksum do not agree.
const CHECKSUM: &str = "its checksum is wrong";

/// What is asked of one group.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) group: Group,
    /// By rising id.
    pub(crate) metrics: Vec<Metric>,
    /// Ids, rising, and which labels are theirs: two entities with equal labels, such as a kernel
    /// thread before and after a reboot, share them.
    pub(crate) entities: Vec<(u64, usize)>,
    /// Labels without a metric's name; most are those that the reader keeps.
    pub(crate) labels: Vec<Arc<Labels>>,
}

/// A metric of the history.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// It only rises; a fall is a reset.
    pub(crate) counter: bool,
    pub(crate) help: String,
}

/// Something that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) id: u64,
    since: i64,
    until: i64,
    labels: Arc<Labels>,
    /// The same number for those with equal labels.
    alike: usize,
}

/// Gives equal numbers to those with equal labels.
pub(crate) fn number(entities: &mut [Entity]) {
    let mut known: HashMap<Arc<Labels>, usize> = HashMap::with_capacity(entities.len());
    for entity in entities {
        let next = known.len();
        entity.alike = *known.entry(Arc::clone(&entity.labels)).or_insert(next);
    }
}

/// The columns of an entity in the order of [`Reader::entity_of`].
pub(crate) const ENTITY_COLUMNS: &str = "id, boot, facts, crc, first_ms, last_ms, grp";

impl Wanted {
    /// Puts entities in, by rising id; they are numbered.
    fn put<'e>(&mut self, found: impl Iterator<Item = &'e Entity>) {
        let mut slots: HashMap<usize, usize> = HashMap::new();
        for Entity { id, labels, alike, .. } in found {
            let next = self.labels.len();
            let slot = *slots.entry(*alike).or_insert(next);
            if slot == next {
                self.labels.push(Arc::clone(labels));
            }
            self.entities.push((*id, slot));
        }
    }

    /// Nothing can match.
    pub(crate) fn is_empty(&self) -> bool {
        self.metrics.is_empty() || self.entities.is_empty()
    }

    /// Where a metric stands.
    pub(crate) fn place_of(&self, metric: u32) -> Option<usize> {
        self.metrics.binary_search_by_key(&metric, |wanted| wanted.id).ok()
    }

    /// Which labels are an entity's.
    pub(crate) fn slot_of(&self, entity: u64) -> Option<usize> {
        let at = self.entities.binary_search_by_key(&entity, |(id, _)| *id).ok()?;
        self.entities.get(at).map(|(_, slot)| *slot)
    }

    /// Those entities that are not before `first` nor after `last`.
    pub(crate) fn between(&self, first: u64, last: u64) -> &[(u64, usize)] {
        let from = self.entities.partition_point(|(id, _)| *id < first);
        let to = self.entities.partition_point(|(id, _)| *id <= last);
        self.entities.get(from..to).unwrap_or_default()
    }

    /// The labels of a series.
    pub(crate) fn labels_of(&self, metric: usize, slot: usize) -> Labels {
        let mut labels = self.labels.get(slot).map(|of| of.as_ref().clone()).unwrap_or_default();
        labels.set(NAME, self.metrics.get(metric).map_or("", |metric| metric.name.as_str()));
        labels
    }
}

impl Reader {
    /// The metrics that pass, by group.
    pub(crate) fn metrics(&self, matchers: &[Matcher]) -> rusqlite::Result<Vec<(Group, Metric)>> {
        let of_name: Vec<&Matcher> = matchers.iter().filter(|m| m.name == NAME).collect();
        let exactly = of_name.iter().find_map(|matcher| match &matcher.want {
            Want::Is(name) => Some(name.as_str()),
            Want::IsNot(_) | Want::Matches(_) | Want::MatchesNot(_) => None,
        });
        let condition = if exactly.is_some() { "name = ?1" } else { "?1 IS NULL ORDER BY id" };
        let take = |row: &Row<'_>| {
            let Some((group, metric)) = metric_of(row)? else {
                self.note_row("metrics", row.get(0)?, &CHECKSUM);
                return Ok(None);
            };
            let labels = Labels::new([(NAME, metric.name.as_str())]);
            let passes = of_name.iter().all(|matcher| matcher.accepts(&labels));
            Ok(passes.then_some((group, metric)))
        };
        let columns = "id, grp, name, kind, help, crc";
        self.rows("metrics", ("metric", columns), (condition, &[&exactly]), take)
    }

    /// What is asked of a group that was recorded between two moments: at most `most` entities,
    /// with ids from `first` on.
    pub(crate) fn wanted(
        &self,
        group: Group,
        metrics: Vec<Metric>,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        (first, most): (u64, usize),
    ) -> rusqlite::Result<Wanted> {
        let mut wanted = Wanted { group, metrics, entities: vec![], labels: vec![] };
        if wanted.metrics.is_empty() {
            return Ok(wanted);
        }
        let of_labels: Vec<&Matcher> = matchers.iter().filter(|m| m.name != NAME).collect();
        let earliest = from.saturating_sub(LAST_SEEN_SLACK_MS);
        let mut left = most;
        let mut is_asked = |entity: &Entity| {
            let passes = left > 0
                && entity.since <= to
                && entity.until >= earliest
                && entity.id >= first
                && of_labels.iter().all(|matcher| matcher.accepts(&entity.labels));
            left = left.saturating_sub(usize::from(passes));
            passes
        };
        if let Some(all) = self.all_entities(group)? {
            wanted.put(all.iter().filter(|entity| is_asked(entity)));
        } else {
            let condition =
                "grp = ?1 AND (?2 IS NULL OR instr(facts, ?2) > 0) AND id >= ?3 ORDER BY id";
            let needle = needle(&of_labels);
            let values: &[&dyn ToSql] = &[&group.name(), &needle, &schema::signed(first)];
            let take =
                |row: &Row<'_>| Ok(self.entity_of(group, row)?.filter(|entity| is_asked(entity)));
            let found =
                self.rows("entities", ("entity", ENTITY_COLUMNS), (condition, values), take);
            let mut found = found?;
            number(&mut found);
            wanted.put(found.iter());
        }
        Ok(wanted)
    }

    /// An entity out of its row; `None` if it is of another group or damaged, which is noted. Its
    /// times are looked at once the checksum vouches for them.
    pub(crate) fn entity_of(
        &self,
        group: Group,
        row: &Row<'_>,
    ) -> rusqlite::Result<Option<Entity>> {
        if row.get_ref(6)?.as_str()? != group.name() {
            return Ok(None);
        }
        if !is_intact(group, row)? {
            self.note_row("entities", row.get(0)?, &CHECKSUM);
            return Ok(None);
        }
        let labels = Facts::from_text(row.get_ref(2)?.as_str()?).labels();
        let (id, since, until) = (schema::unsigned(row.get(0)?), row.get(4)?, row.get(5)?);
        Ok(Some(Entity { id, since, until, labels: Arc::new(labels), alike: 0 }))
    }
}

/// A metric out of its row; `None` if that is damaged.
fn metric_of(row: &Row<'_>) -> rusqlite::Result<Option<(Group, Metric)>> {
    let id: i64 = row.get(0)?;
    let text = |at: usize| row.get_ref(at).map(|text| text.as_str().unwrap_or_default());
    let (group, name, kind, help) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let (Some(of), Ok(id)) = (Group::of_name(group), u32::try_from(id)) else { return Ok(None) };
    let crc = metric_crc(id, group, name, kind, help);
    let counter = kind == "counter";
    let metric = Metric { id, name: name.to_owned(), counter, help: help.to_owned() };
    Ok((crc == row.get::<_, i64>(5)?).then_some((of, metric)))
}

/// Whether the checksum of an entity's row is right.
fn is_intact(group: Group, row: &Row<'_>) -> rusqlite::Result<bool> {
    let facts = row.get_ref(2)?.as_str().unwrap_or_default();
    let crc = facts_crc(row.get(0)?, group.name(), row.get(1)?, facts);
    Ok(entity_crc(crc, row.get(4)?, row.get(5)?) == row.get::<_, i64>(3)?)
}

/// A text that the facts of whatever passes contain: every label is, or is part of, a fact. Only
/// characters that JSON leaves as they are, so that it can be looked for in the row.
fn needle<'a>(matchers: &[&'a Matcher]) -> Option<&'a str> {
    let plain = |text: &&str| {
        let as_it_is = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
        !text.is_empty() && text.chars().all(as_it_is)
    };
    let named = matchers.iter().filter(|matcher| is_in_facts(&matcher.name));
    let wanted = named.filter_map(|matcher| match &matcher.want {
        Want::Is(value) => Some(value.as_str()),
        Want::IsNot(_) | Want::Matches(_) | Want::MatchesNot(_) => None,
    });
    wanted.filter(plain).max_by_key(|text| text.len())
}

/// Labels whose values stand in the facts letter by letter.
fn is_in_facts(label: &str) -> bool {
    ["pid", "start", "comm", "id", "node", "zone", "unit", "container"].contains(&label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_plain_value_is_looked_for() {
        let (pid, comm) = (Matcher::is("pid", "7"), Matcher::is("comm", "node"));
        let strange = Matcher::is("comm", "quote\"and more");
        let not = Matcher { name: "unit".into(), want: Want::IsNot("nginx.service".into()) };
        assert_eq!(needle(&[&pid, &comm, &strange, &not]), Some("node"));
        assert_eq!(needle(&[&strange, &not, &Matcher::is("comm", "")]), None);
    }
}
