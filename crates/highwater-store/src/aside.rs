//! Setting a damaged history aside, so that recording goes on.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use highwater_core::time::WallTime;

use crate::error::StoreError;
use crate::schema;
use crate::store::Store;

/// A history that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// What the file is called now.
    pub path: PathBuf,
    /// Why it could not be used, as a sentence without a full stop.
    pub why: String,
}

impl Store {
    /// Opens the history as [`Store::open`] does. One that is damaged as a database is renamed, with
    /// its log, and a new one is begun: nothing is deleted, and recording does not wait for repair.
    pub fn open_or_set_aside(
        dir: &Path,
        now: WallTime,
    ) -> Result<(Self, Option<SetAside>), StoreError> {
        match Self::open(dir) {
            Err(error) if error.is_damage() => {
                let aside = SetAside::of(dir, now, &error)?;
                Ok((Self::open(dir)?, Some(aside)))
            }
            other => other.map(|store| (store, None)),
        }
    }
}

impl SetAside {
    /// Renames the history in `dir`, in which `error` was met. Nobody may have it open for writing.
    pub fn of(dir: &Path, now: WallTime, error: &StoreError) -> Result<Self, StoreError> {
        let why = with_causes(error);
        Ok(Self { path: set_aside(&schema::file_in(dir), now)?, why })
    }
}

/// Renames the database and what stands beside it; the database's new name. The log first: a log
/// that met a new database could be taken for its own.
fn set_aside(path: &Path, now: WallTime) -> Result<PathBuf, StoreError> {
    let stamp = now.to_string().replace(':', "");
    let aside = with_suffix(path, &format!(".damaged-{stamp}"));
    for beside in ["-wal", "-shm", ""] {
        let (from, to) = (with_suffix(path, beside), with_suffix(&aside, beside));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => {
                return Err(StoreError::Io { doing: "set aside the damaged", path: from, cause });
            }
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Without the path, which is another by then, and without advice that would contradict.
fn with_causes(error: &StoreError) -> String {
    match error {
        StoreError::NotADatabase { .. } => "it is no SQLite database".to_owned(),
        StoreError::Database { doing, cause, .. } => format!("cannot {doing} it: {cause}"),
        other => other.to_string(),
    }
}
