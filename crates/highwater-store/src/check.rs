//! The check: every page, every row, every block; and what is lost with those that are damaged.
//!
//! It goes through the tables in short readings, so that the recorder is not held up, and goes on
//! behind whatever cannot be read.

mod rows;

use highwater_core::time::WallTime;

use crate::error::StoreError;
use crate::reader::Reader;
use rows::Rows;

/// The most damaged rows that are listed; more are counted.
const MOST_LISTED: usize = 1000;

/// The most findings of SQLite's own check that are listed.
const MOST_FINDINGS: usize = 100;

/// How far the check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckProgress {
    /// What is being checked: `pages`, or a table's name.
    pub doing: &'static str,
    /// How many rows of it are done.
    pub done: u64,
    /// How many there are, or 0 where that is not known.
    pub all: u64,
}

/// A row that is damaged, or a block of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub id: i64,
    /// What is wrong with it.
    pub what: String,
    /// First and last moment that it is about, by the recorder's clock then, where that is known.
    pub when: Option<(WallTime, WallTime)>,
    /// What is lost with it.
    pub lost: String,
}

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What SQLite finds wrong with the pages and indexes; empty if nothing.
    pub structure: Vec<String>,
    /// Rows whose checksum is wrong, and blocks that do not unpack; the first ones.
    pub damaged: Vec<DamagedRow>,
    /// How many more there are.
    pub more_damaged: u64,
    /// How many rows were looked at.
    pub rows: u64,
    /// How many blocks were unpacked.
    pub blocks: u64,
    /// How many samples they had; those in ticks are not counted.
    pub samples: u64,
}

impl CheckReport {
    /// Nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.structure.is_empty() && self.damaged.is_empty()
    }

    fn add(&mut self, row: DamagedRow) {
        if self.damaged.len() < MOST_LISTED {
            self.damaged.push(row);
        } else {
            self.more_damaged = self.more_damaged.saturating_add(1);
        }
    }
}

impl Reader {
    /// Checks all of the history; `progress` is called every now and then. Damage is a finding, not
    /// an error.
    pub fn check(
        &self,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        progress(CheckProgress { doing: "pages", done: 0, all: 0 });
        report.structure = self.structure();
        let mut rows = Rows::new(self, &mut report, progress);
        rows.all().map_err(self.failed())?;
        Ok(report)
    }

    /// What SQLite's own check finds.
    fn structure(&self) -> Vec<String> {
        let read = || {
            let sql = format!("PRAGMA integrity_check({MOST_FINDINGS})");
            let mut check = self.db.prepare(&sql)?;
            let lines = check.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        };
        match read() {
            Ok(lines) => lines.into_iter().filter(|line| line != "ok").collect(),
            Err(cause) => vec![format!("the pages could not be checked: {cause}")],
        }
    }
}

#[cfg(test)]
mod tests;
