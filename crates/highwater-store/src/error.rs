//! What can go wrong with a history, each with its path and the way out.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the history could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no history yet.
    #[error("no recording at {}: start the recorder with `highwater agent`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// This process records into the file that was there before.
    #[error("{} was just replaced by another file: ask again in a moment", path.display())]
    Replaced {
        /// Which.
        path: PathBuf,
    },
    /// The file is there, and holds nothing at all.
    #[error(
        "{} is empty: nothing was recorded into it yet, or it was cut off; start the recorder, \
         and it begins anew", path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a SQLite database, or too damaged to be recognised as one.
    #[error("{} is not a database: move it aside, and the recorder begins a new one", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is another program's database.
    #[error("{} is another program's database: choose another --data-dir", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} has schema {found} and this highwater knows {known}: use the newer highwater that \
         wrote it, or choose another --data-dir", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// The file was written by an earlier version, and may only be read here.
    #[error(
        "{} has schema {found} and this highwater reads {known}: start the recorder once, and it \
         brings the file up to date", path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The one that is read here.
        known: i64,
    },
    /// The history was imported, and was to be recorded into or cut down.
    #[error(
        "{} holds imported series, which nothing is recorded into and nothing is forgotten of: \
         choose another --data-dir", path.display()
    )]
    Imported {
        /// The file.
        path: PathBuf,
    },
    /// An agent records, or recorded, the history into which series were to be imported.
    #[error(
        "{} is a recording of an agent, which would forget what is imported: import into another \
         --data-dir, such as a new directory", path.display()
    )]
    Recorded {
        /// The file.
        path: PathBuf,
    },
    /// More series than one history takes.
    #[error("more than {most} series: import a part of them, or into several --data-dir")]
    TooManySeries {
        /// How many there may be.
        most: usize,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried: `read`, `make`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The refusal.
        #[source]
        cause: io::Error,
    },
    /// The database refused.
    #[error("cannot {doing} {}", path.display())]
    Database {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        #[source]
        cause: rusqlite::Error,
    },
    /// A selection without a condition that names something.
    #[error("a selection without a condition would read the whole recording: name a metric")]
    Unbounded,
    /// A selection of more samples than are held in memory at once.
    #[error("more than {most} samples match: narrow the range or the labels, or give a step")]
    TooMany {
        /// The bound.
        most: usize,
    },
}

impl StoreError {
    /// The disk (or the quota) is full: later attempts may succeed.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Database { cause, .. } => cause.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Io { cause, .. } => cause.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// The file is damaged as a database: nothing can be done with it here.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::NotADatabase { .. } => true,
            Self::Database { cause, .. } => {
                cause.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
            }
            _ => false,
        }
    }

    /// The error of a step on the database at `path`.
    pub(crate) fn database(
        path: &Path,
        doing: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> Self {
        move |cause| match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path: path.to_owned() },
            _ => Self::Database { doing, path: path.to_owned(), cause },
        }
    }
}

/// What was read; `None` where a damaged page or row is in the way, which costs that row and no more.
pub(crate) fn unless_damaged<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    use rusqlite::Error;
    match read {
        Ok(read) => Ok(Some(read)),
        Err(
            Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::FromSqlConversionFailure(..)
            | Error::Utf8Error(..)
            | Error::QueryReturnedNoRows,
        ) => Ok(None),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An error that is not the database's own, on its way through code that speaks of the database.
pub(crate) fn wrapped(cause: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(cause))
}
