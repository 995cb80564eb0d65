//! What must hold of a history that somebody pulled the floor from under.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use highwater_core::series::{Matcher, NAME, Point, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_store::{FILE_NAME, Reader};
use rusqlite::Connection;

/// Copies the history in `data` as it lies on the disk, without its lock file, which is no data.
pub(crate) fn copy(data: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        let file = data.join(&name);
        if file.exists() {
            fs::copy(&file, to.join(&name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    Ok(())
}

/// Whether SQLite itself finds the file sound, log and all. Looks at a copy, so that whoever opens
/// the history next finds it as the crash left it.
pub(crate) fn integrity(data: &Path, scratch: &Path) -> anyhow::Result<()> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    copy(data, scratch)?;
    let db = Connection::open(scratch.join(FILE_NAME))?;
    let said: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(said == "ok", "integrity_check says: {said}");
    drop(db);
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// All points of one series of the machine, which must stand in order of time.
pub(crate) fn machine(reader: &Reader, metric: &str) -> anyhow::Result<Vec<Point>> {
    points(reader, metric, WallTime::from_millis(0), WallTime::from_millis(i64::MAX / 4))
}

/// The points of the one series of `metric` in a range, which must stand in order of time.
pub(crate) fn points(
    reader: &Reader,
    metric: &str,
    from: WallTime,
    to: WallTime,
) -> anyhow::Result<Vec<Point>> {
    let matchers = vec![Matcher::is(NAME, metric)];
    let selection = Selection { matchers, from, to, step: None, ends: false };
    let mut found = reader.select(&selection)?;
    ensure!(found.len() <= 1, "{metric} has {} series", found.len());
    let points = found.pop().map(|series| series.points).unwrap_or_default();
    let ordered = points.is_sorted_by(|a, b| a.at < b.at);
    ensure!(ordered, "the points of {metric} are not in order, or one is there twice");
    Ok(points)
}
