//! What was read of the present state of the database, so that the next question does not read it
//! again.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Eras, Reader};
use crate::batch::Batch;
use crate::entity::Group;
use crate::select::wanted::{self, ENTITY_COLUMNS, Entity};

/// So many entities of a group are kept: a MiB of labels, and all that a machine has at once or an
/// import of some dozen machines.
const MOST_ENTITIES: i64 = 4096;

/// Goes through the index alone; its newest 16,384 sheets at most.
const INDEX_OF_SHEETS: &str = "SELECT count(*) FROM
    (SELECT batch FROM sheet INDEXED BY sheet_of WHERE metric >= 0 LIMIT 16384)";

/// Small tables as they were read; worth nothing once anything is recorded.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// SQLite's number of the state: another one after each change that somebody makes.
    state: Option<i64>,
    eras: Option<Arc<Eras>>,
    batches: HashMap<Group, Arc<[Batch]>>,
    /// Of groups that have few.
    entities: HashMap<Group, Option<Arc<[Entity]>>>,
}

impl Reader {
    /// Reads what each question needs, and the index by which sheets are found.
    pub(super) fn read_small_tables(&self) -> rusqlite::Result<()> {
        self.eras()?;
        for group in Group::ALL {
            self.all_batches(group)?;
            self.all_entities(group)?;
        }
        self.metrics(&[])?;
        self.db.query_row(INDEX_OF_SHEETS, [], |_| Ok(()))
    }

    /// The eras, and what of each is not sealed yet.
    pub(crate) fn eras(&self) -> rusqlite::Result<Arc<Eras>> {
        self.keep_up()?;
        if let Some(eras) = &self.known.borrow().eras {
            return Ok(Arc::clone(eras));
        }
        let eras = Arc::new(self.read_eras()?);
        self.known.borrow_mut().eras = Some(Arc::clone(&eras));
        Ok(eras)
    }

    /// All batches of a group that are valid.
    pub(crate) fn all_batches(&self, group: Group) -> rusqlite::Result<Arc<[Batch]>> {
        self.keep_up()?;
        if let Some(batches) = self.known.borrow().batches.get(&group) {
            return Ok(Arc::clone(batches));
        }
        let batches: Arc<[Batch]> = self.read_batches(group)?.into();
        self.known.borrow_mut().batches.insert(group, Arc::clone(&batches));
        Ok(batches)
    }

    /// The entities of a group, by rising id; `None` if there are too many to be kept.
    pub(crate) fn all_entities(&self, group: Group) -> rusqlite::Result<Option<Arc<[Entity]>>> {
        self.keep_up()?;
        if let Some(entities) = self.known.borrow().entities.get(&group) {
            return Ok(entities.clone());
        }
        let entities: Option<Arc<[Entity]>> = self.few_entities(group)?.map(Into::into);
        self.known.borrow_mut().entities.insert(group, entities.clone());
        Ok(entities)
    }

    fn few_entities(&self, group: Group) -> rusqlite::Result<Option<Vec<Entity>>> {
        let count = "SELECT count(*) FROM (SELECT 1 FROM entity WHERE grp = ?1 LIMIT ?2)";
        let mut select = self.db.prepare_cached(count)?;
        let limit = MOST_ENTITIES.saturating_add(1);
        let count = select.query_row(rusqlite::params![group.name(), limit], |row| row.get(0));
        match count {
            Ok(count) if (0..=MOST_ENTITIES).contains(&count) => {
                let values: &[&dyn rusqlite::ToSql] = &[&group.name()];
                let take = |row: &rusqlite::Row<'_>| self.entity_of(group, row);
                let condition = ("grp = ?1 ORDER BY id", values);
                let mut few = self.rows("entities", ("entity", ENTITY_COLUMNS), condition, take)?;
                wanted::number(&mut few);
                Ok(Some(few))
            }
            Err(cause) if !super::is_corrupt(&cause) => Err(cause),
            // Where pages are damaged each question goes through the table, and says so.
            _ => Ok(None),
        }
    }

    /// Forgets what is out of date.
    fn keep_up(&self) -> rusqlite::Result<()> {
        let mut select = self.db.prepare_cached("PRAGMA data_version")?;
        let state = Some(select.query_row([], |row| row.get(0))?);
        let mut known = self.known.borrow_mut();
        if known.state != state {
            *known = Known { state, ..Known::default() };
            if let Some(ahead) = self.ahead.borrow_mut().as_mut() {
                ahead.forget();
            }
        }
        Ok(())
    }
}
