//! Going through a table whatever its pages are like.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::Reader;
use super::damage::is_corrupt;

/// Rows of one reading: it takes some milliseconds, or a hundred where rows are large.
const AT_ONCE: i64 = 64;

/// Rows that could not be reached: first and last id, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) why: String,
}

/// Visits the rows of a table by rising id, the first of its columns. What lies behind damaged
/// pages is reached by its id; what lies on them is a hole.
pub(crate) fn walk(
    db: &Connection,
    table: &str,
    columns: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    mut hole: impl FnMut(Hole),
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {columns} FROM {table} WHERE id > ?1 ORDER BY id LIMIT {AT_ONCE}");
    let mut last = i64::MIN;
    loop {
        let before = last;
        match some_rows(db, &sql, &mut last, &mut visit) {
            Ok(()) if last == before => return Ok(()),
            Ok(()) => {}
            Err(cause) if is_corrupt(&cause) => {
                let next = behind(db, &sql, last);
                let first = last.saturating_add(1);
                let end = next.map_or(i64::MAX, |next| next.saturating_sub(1));
                hole(Hole { first, last: end, why: cause.to_string() });
                let Some(next) = next else { return Ok(()) };
                last = next.saturating_sub(1);
            }
            Err(cause) => return Err(cause),
        }
    }
}

fn some_rows(
    db: &Connection,
    sql: &str,
    last: &mut i64,
    visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query([*last])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        visit(row)?;
        *last = id;
    }
    Ok(())
}

/// The first id behind `last` whose row can be read again: leaps that double, then halves.
fn behind(db: &Connection, sql: &str, last: i64) -> Option<i64> {
    let from = last.max(0);
    let probe = |id: i64| -> Option<Option<i64>> {
        let mut select = db.prepare_cached(sql).ok()?;
        select.query_row([id], |row| row.get(0)).optional().ok()
    };
    let mut leap = 1_i64;
    let (mut fails, mut works) = loop {
        let at = from.saturating_add(leap);
        match probe(at) {
            Some(found) => break (from.saturating_add(leap / 2), (at, found)),
            None if at == i64::MAX => return None,
            None => leap = leap.saturating_mul(2),
        }
    };
    while works.0.saturating_sub(fails) > 1 {
        let middle = fails.saturating_add((works.0 - fails) / 2);
        match probe(middle) {
            Some(found) => works = (middle, found),
            None => fails = middle,
        }
    }
    works.1
}

impl Reader {
    /// The rows that a query by an index gives, as `take` makes them; and should pages be damaged,
    /// those that going through the whole table gives. So `take` leaves out what is not asked for,
    /// and takes the columns in the same order. `rows` is their name in the plural.
    pub(crate) fn rows<T>(
        &self,
        rows: &'static str,
        (table, columns): (&str, &str),
        (condition, values): (&str, &[&dyn ToSql]),
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Vec<T>> {
        let sql = format!("SELECT {columns} FROM {table} WHERE {condition}");
        let mut by_index = || {
            let mut found = vec![];
            let mut select = self.db.prepare_cached(&sql)?;
            let mut given = select.query(values)?;
            while let Some(row) = given.next()? {
                found.extend(take(row)?);
            }
            Ok(found)
        };
        match by_index() {
            Err(cause) if is_corrupt(&cause) => {}
            read => return read,
        }
        let mut found = vec![];
        let visit = |row: &Row<'_>| {
            // A row of which a column has a type that was never written is damaged by itself.
            match take(row) {
                Ok(taken) => found.extend(taken),
                Err(cause) => self.note_row(rows, row.get(0).unwrap_or(0), &cause),
            }
            Ok(())
        };
        walk(&self.db, table, columns, visit, |hole| self.note_hole(rows, &hole))?;
        Ok(found)
    }

    pub(crate) fn note_hole(&self, rows: &'static str, hole: &Hole) {
        let Hole { first, why, .. } = hole;
        let what = || format!("those from number {first} on, on a damaged page: {why}");
        self.damaged.borrow_mut().note(rows, *first, usize::MAX, what);
    }

    pub(crate) fn note_row(&self, rows: &'static str, id: i64, why: &dyn std::fmt::Display) {
        self.damaged.borrow_mut().note(rows, id, 0, || format!("number {id}: {why}"));
    }
}
