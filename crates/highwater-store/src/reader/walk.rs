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

/// The most leaps over a damaged page that lead no further than a row's length: beyond that the
/// rest of the table is a hole.
const MOST_STEPS: usize = 1024;

/// How far a walk is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Rows with a greater id are next. From reading to reading it only ever rises.
    from: i64,
    /// This one was visited all the same: see [`Place::after`].
    known: Option<i64>,
}

impl Place {
    /// Where to go on behind two rows. Behind a leap to a row whose id may be false there may be
    /// rows that it hides, so that the walk goes on before the leap.
    fn after(one_before: i64, last: i64) -> Self {
        if last.saturating_sub(one_before) > 1 {
            Self { from: one_before, known: Some(last) }
        } else {
            Self { from: last, known: None }
        }
    }
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
    let mut place = Place { from: i64::MIN, known: None };
    let mut steps = 0;
    loop {
        match some_rows(db, &sql, &mut place, &mut visit, &mut hole) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(cause) if is_corrupt(&cause) => {
                let first = place.from.saturating_add(1);
                let next = behind(db, &sql, place.from);
                let next = next.filter(|next| next.is_far || steps < MOST_STEPS);
                steps = steps.saturating_add(usize::from(next.is_some_and(|next| !next.is_far)));
                let last = next.map_or(i64::MAX, |next| next.from);
                hole(Hole { first, last, why: cause.to_string() });
                let Some(next) = next else { return Ok(()) };
                place = Place { from: next.from, known: None };
            }
            Err(cause) => return Err(cause),
        }
    }
}

/// Visits some rows; whether there may be more.
fn some_rows(
    db: &Connection,
    sql: &str,
    place: &mut Place,
    visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
    hole: &mut dyn FnMut(Hole),
) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached(sql)?;
    let before = *place;
    let mut rows = select.query([before.from])?;
    let (mut one_before, mut last, mut any) = (before.from, before.from, false);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if id <= last {
            let why = "its rows are out of order".to_owned();
            hole(Hole { first: id, last: id, why });
        }
        if before.known != Some(id) {
            visit(row)?;
            any = true;
        }
        (one_before, last) = (last, id);
        // What follows a false id that is too great is reached from the row behind it.
        if id > before.from {
            place.from = id;
        }
    }
    if last == place.from && one_before > before.from && one_before < last {
        *place = Place::after(one_before, last);
    } else {
        place.known = None;
    }
    Ok(any && place.from > before.from)
}

/// Where a walk can go on.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// Rows with a greater id can be read again.
    from: i64,
    /// They are in order, so that nothing is met twice.
    is_far: bool,
}

/// Where rows can be read again behind `last`: leaps that double, then halves.
fn behind(db: &Connection, sql: &str, last: i64) -> Option<Next> {
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
    let (at, found) = works;
    let found = found?;
    Some(Next { from: found.saturating_sub(1).max(at), is_far: found > at })
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
            Err(cause) if is_corrupt(&cause) => self.note_pages(rows, &cause),
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

    /// Notes that pages are damaged, whatever going through the table will find.
    pub(crate) fn note_pages(&self, rows: &'static str, why: &rusqlite::Error) {
        let what = || format!("those that a damaged page leads to: {why}");
        self.damaged.borrow_mut().note(rows, 0, usize::MAX, what);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const ROWS: i64 = 300;

    /// A table of some pages.
    fn table(path: &Path) {
        let db = Connection::open(path).unwrap();
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)").unwrap();
        for id in 1..=ROWS {
            let text = format!("row {id:04} {}", "x".repeat(41));
            db.execute("INSERT INTO t (text) VALUES (?1)", [text]).unwrap();
        }
    }

    /// Which texts are met, and the holes; it must come to an end.
    fn met(path: &Path) -> (BTreeSet<String>, Vec<Hole>) {
        let db = Connection::open(path).unwrap();
        let (mut texts, mut holes, mut visits) = (BTreeSet::new(), vec![], 0);
        let visit = |row: &Row<'_>| {
            visits += 1;
            assert!(visits < 100 * ROWS, "it goes round and round");
            let text = row.get_ref(1)?.as_bytes().unwrap_or_default();
            texts.insert(String::from_utf8_lossy(text).into_owned());
            Ok(())
        };
        drop(walk(&db, "t", "id, text", visit, |hole| holes.push(hole)));
        (texts, holes)
    }

    #[test]
    fn a_row_with_a_false_id_hides_no_more_than_its_page() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        table(&path);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(met(&path), (met(&path).0, vec![]));
        for (row, bit) in (130..=ROWS).step_by(9).flat_map(|row| (0..14).map(move |bit| (row, bit)))
        {
            let text = format!("row {row:04} ");
            let at = bytes.windows(9).rposition(|some| some == text.as_bytes()).unwrap();
            // In front of the text its header of three bytes, and the id's two.
            let mut hurt = bytes.clone();
            hurt[at - 5 + bit / 7] ^= 1 << (bit % 7);
            fs::write(&path, hurt).unwrap();
            let (texts, _) = met(&path);
            // A search that lands on the page may take the wrong turn there, and nowhere else.
            let there = usize::try_from(ROWS).unwrap() - 4096 / 55;
            assert!(texts.len() >= there, "row {row}, bit {bit}: {} are met", texts.len());
        }
    }

    #[test]
    fn it_ends_whatever_the_pages_are_like() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        table(&path);
        let bytes = fs::read(&path).unwrap();
        for at in (4096..bytes.len()).step_by(23) {
            let mut hurt = bytes.clone();
            hurt[at] ^= 1 << (at % 8);
            fs::write(&path, hurt).unwrap();
            met(&path);
        }
    }
}
