//! Rows of what imported series are about: their labels, and from when to when there are samples.

use std::collections::BTreeMap;

use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;
use rusqlite::{Connection, OptionalExtension, params};

use crate::entity::{Facts, Group};
use crate::error::wrapped;
use crate::registry::{entity_crc, entity_key, facts_crc};

/// First and last moment of some samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Span {
    /// Of no sample.
    pub(super) const NOTHING: Self = Self { first: i64::MAX, last: i64::MIN };

    pub(super) fn is_some(self) -> bool {
        self.first <= self.last
    }

    /// First and last.
    pub(super) fn moments(self) -> Option<(WallTime, WallTime)> {
        let moments = (WallTime::from_millis(self.first), WallTime::from_millis(self.last));
        self.is_some().then_some(moments)
    }

    pub(super) fn note(&mut self, at: i64) {
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// A series, and from when to when it has samples now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Entity and metric.
    pub(super) series: u64,
    pub(super) span: Span,
}

/// Labels just as they came: nothing is read out of them.
fn facts(labels: &Labels) -> Facts {
    let others = labels.iter().filter(|(name, _)| *name != NAME);
    let labels: BTreeMap<String, String> =
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Facts { labels, ..Facts::default() }
}

/// The row of a series' labels without the metric's name; made if it is not there.
pub(super) fn of_labels(db: &Connection, labels: &Labels) -> rusqlite::Result<u32> {
    let (group, facts) = (Group::Thing.name(), facts(labels).text());
    let key = entity_key(group, 0, &facts);
    let known: Option<u32> = db
        .prepare_cached("SELECT id FROM entity WHERE key = ?1 AND grp = ?2 AND facts = ?3")?
        .query_row(params![key, group, facts], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id: i64 = db
        .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM entity")?
        .query_row([], |row| row.get(0))?;
    let Span { first, last } = Span::NOTHING;
    let crc = entity_crc(facts_crc(id, group, 0, &facts), first, last);
    db.prepare_cached(
        "INSERT INTO entity (id, grp, boot, facts, first_ms, last_ms, key, crc)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![id, group, facts, first, last, key, crc])?;
    u32::try_from(id).map_err(wrapped)
}

/// Notes how far samples reach.
pub(super) fn widen(db: &Connection, all: &[Seen]) -> rusqlite::Result<()> {
    let mut select =
        db.prepare_cached("SELECT facts, first_ms, last_ms FROM entity WHERE id = ?1")?;
    let mut update =
        db.prepare_cached("UPDATE entity SET first_ms = ?2, last_ms = ?3, crc = ?4 WHERE id = ?1")?;
    for Seen { series, span } in all.iter().filter(|seen| seen.span.is_some()) {
        let id = i64::try_from(series >> 32).map_err(wrapped)?;
        let (facts, known): (String, Span) = select.query_row([id], |row| {
            Ok((row.get(0)?, Span { first: row.get(1)?, last: row.get(2)? }))
        })?;
        let wide = known.with(*span);
        if wide != known {
            let crc = facts_crc(id, Group::Thing.name(), 0, &facts);
            let crc = entity_crc(crc, wide.first, wide.last);
            update.execute(params![id, wide.first, wide.last, crc])?;
        }
    }
    Ok(())
}
