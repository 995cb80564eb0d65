//! Rows that could not be read: counted once each, however often they are met.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::ErrorCode;

/// The most rows of a table that are told apart; more are counted as met.
const MOST_TOLD_APART: usize = 4096;

/// Rows that could not be read, by table.
#[derive(Debug, Default)]
pub(crate) struct Damaged {
    by_table: BTreeMap<&'static str, Rows>,
    met: u64,
}

/// Damaged rows of one table.
#[derive(Debug, Default)]
struct Rows {
    known: BTreeSet<(i64, usize)>,
    /// Those beyond what is told apart.
    more: usize,
    last: String,
}

impl Damaged {
    /// Notes a row, named in the plural (`ticks`), or the part of it numbered `part`, and what is
    /// wrong with it.
    pub(crate) fn note(
        &mut self,
        rows: &'static str,
        id: i64,
        part: usize,
        what: impl FnOnce() -> String,
    ) {
        self.met = self.met.saturating_add(1);
        let rows = self.by_table.entry(rows).or_default();
        if rows.known.contains(&(id, part)) {
            return;
        }
        if rows.known.len() < MOST_TOLD_APART {
            rows.known.insert((id, part));
        } else {
            rows.more = rows.more.saturating_add(1);
        }
        rows.last = what();
    }

    /// How often one was met.
    pub(crate) fn met(&self) -> u64 {
        self.met
    }

    /// One sentence for each table.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = |(name, rows): (&&str, &Rows)| match rows.known.len().saturating_add(rows.more) {
            1 => {
                format!("1 damaged {} was left out: {}", one_of(name), rows.last)
            }
            count => format!("{count} damaged {name} were left out, such as {}", rows.last),
        };
        self.by_table.iter().map(said).collect()
    }
}

/// The singular of what a table has.
fn one_of(rows: &str) -> String {
    match (rows.strip_suffix("ies"), rows.strip_suffix("ches")) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => format!("{stem}ch"),
        (None, None) => rows.strip_suffix('s').unwrap_or(rows).to_owned(),
    }
}

/// Whether an error means that pages of the file are damaged, so that rows elsewhere may still be
/// read.
pub(crate) fn is_corrupt(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
    ) || matches!(
        cause,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_once() {
        let mut damaged = Damaged::default();
        for id in [1, 2, 1, 2] {
            damaged.note("ticks", id, 0, || format!("number {id}"));
        }
        assert_eq!(damaged.said(), ["2 damaged ticks were left out, such as number 2"]);
    }

    #[test]
    fn one_is_said_to_be_one() {
        let mut damaged = Damaged::default();
        damaged.note("events", 7, 0, || "number 7".to_owned());
        assert_eq!(damaged.said(), ["1 damaged event was left out: number 7"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut damaged = Damaged::default();
        for id in 0..5000 {
            damaged.note("sheets", id, 0, String::new);
        }
        assert!(damaged.said()[0].starts_with("5000 damaged sheets"));
    }
}
