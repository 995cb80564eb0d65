//! What was read of the present state of the database, so that the next question does not read it
//! again.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Eras, Reader};
use crate::batch::Batch;
use crate::entity::Group;

/// Small tables as they were read; worth nothing once anything is recorded.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// SQLite's number of the state: another one after each change that somebody makes.
    state: Option<i64>,
    eras: Option<Arc<Eras>>,
    batches: HashMap<Group, Arc<[Batch]>>,
}

impl Reader {
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

    /// Forgets what is out of date.
    fn keep_up(&self) -> rusqlite::Result<()> {
        let mut select = self.db.prepare_cached("PRAGMA data_version")?;
        let state = Some(select.query_row([], |row| row.get(0))?);
        let mut known = self.known.borrow_mut();
        if known.state != state {
            *known = Known { state, ..Known::default() };
        }
        Ok(())
    }
}
