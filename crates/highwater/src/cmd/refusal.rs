//! Why a recording cannot be read or written, in one sentence with the way out.

use std::fs;
use std::io;
use std::path::Path;

use highwater_agent::notice::Status;
use highwater_agent::place;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_store::StoreError;

use crate::view::store::ago;

/// What SQLite puts between its own words and the same words again.
const AGAIN: &str = ": Error code ";

/// The command that tells what was left out.
const CHECK: &str = " (highwater store check";

/// SQLite's words for a file system without room.
const FULL: &str = "database or disk is full";

/// A path as one word of a shell's command, to be copied.
pub(crate) fn quoted(path: &Path) -> String {
    let path = escape(path.as_os_str().as_encoded_bytes());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+,:@%-".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.into_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// What a command needs to be about the recording in `dir`: nothing, if it looks there anyway.
pub(crate) fn option(dir: &Path) -> String {
    match place::default_dir() {
        Ok(usual) if usual == dir => String::new(),
        _ => format!(" --data-dir {}", quoted(dir)),
    }
}

/// Why the recording in `dir` cannot be opened.
pub(crate) fn of(dir: &Path, error: StoreError) -> anyhow::Error {
    let shown = escape(dir.as_os_str().as_encoded_bytes());
    match &error {
        StoreError::Missing { .. } | StoreError::Empty { .. } => {}
        StoreError::Io { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            return anyhow::Error::new(error)
                .context("only who records and root may read this recording");
        }
        _ => return anyhow::Error::new(error),
    }
    if fs::metadata(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return anyhow::anyhow!(
            "no such directory: {shown}; name the recording's with --data-dir, or begin one there \
             with `highwater agent{}`",
            option(dir)
        );
    }
    if let Some(text) = unstored(dir, highwater_agent::clock::now().wall) {
        return anyhow::anyhow!("no recording in {shown} yet: {text}");
    }
    match error {
        StoreError::Empty { path } => anyhow::anyhow!(
            "{} is empty: nothing was recorded into it yet, or it was cut off; `highwater agent{}` \
             begins anew in it",
            escape(path.as_os_str().as_encoded_bytes()),
            option(dir)
        ),
        _ => anyhow::anyhow!(
            "no recording in {shown}: begin one with `highwater agent{}`, or name its directory \
             with --data-dir",
            option(dir)
        ),
    }
}

/// An error with all that is beneath it, each thing said once.
pub(crate) fn said(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            parts.push(sentence(error));
            break;
        }
        parts.push(cause.to_string());
    }
    parts.join(": ")
}

/// What the database refused, and what to do about it.
fn sentence(error: &StoreError) -> String {
    let (path, cause): (&Path, &dyn std::fmt::Display) = match error {
        StoreError::Database { path, cause, .. } => (path, cause),
        StoreError::Io { path, cause, .. } => (path, cause),
        _ => return error.to_string(),
    };
    let shown = escape(path.as_os_str().as_encoded_bytes());
    if error.is_full() {
        let dir = path.parent().unwrap_or(path);
        let dir = escape(dir.as_os_str().as_encoded_bytes()).into_owned();
        return format!("{error}: no room is left on the file system of {dir}: free some");
    }
    if error.is_damage() {
        return format!(
            "{shown} is damaged: the recorder sets it aside when it starts next and begins a new \
             one; `highwater store check` tells what can still be read"
        );
    }
    if path.is_dir() {
        return format!("{shown} is a directory, where a file should be: move it aside");
    }
    let cause = cause.to_string();
    let cause = cause.split_once(AGAIN).map_or(cause.as_str(), |(cause, _)| cause);
    format!("{error}: {cause}")
}

/// Why a recorder cannot store, as it said so, with the way out.
pub(crate) fn trouble(told: &str) -> String {
    let text = told.split_once(AGAIN).map_or(told, |(text, _)| text);
    text.replace(FULL, "no room is left on its file system: free some")
}

/// That the recorder of `dir` runs and cannot store at `now`, why, and what waits in its memory.
pub(crate) fn unstored(dir: &Path, now: WallTime) -> Option<String> {
    let status = Status::read(dir).filter(|status| status.is_running)?;
    let why = trouble(status.trouble.as_deref()?);
    let waits = waiting(status.backlog, status.events);
    let age = status.at.map(|at| format!(", as of {}", ago(now.since(at))));
    Some(format!(
        "its recorder runs, but cannot store ({waits} in its memory{}): {why}",
        age.unwrap_or_default()
    ))
}

/// `1 reading and 2 events wait`.
fn waiting(readings: u64, events: u64) -> String {
    let one = |count: u64, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    match (readings, events) {
        (1, 0) => "1 reading waits".to_owned(),
        (_, 0) => format!("{} wait", one(readings, "reading")),
        _ => format!("{} and {} wait", one(readings, "reading"), one(events, "event")),
    }
}

/// What a reader leaves out, with the command that tells what it was.
pub(crate) fn explained(caveat: String, dir: &Path) -> String {
    if caveat.contains(" damaged ") && caveat.contains(" left out") {
        return format!("{caveat}{CHECK}{})", option(dir));
    }
    caveat
}

/// What was [`explained`] without the directory it is about; nothing of what may name others.
pub(crate) fn nameless(explained: &str) -> Option<&str> {
    explained.split_once(CHECK).map(|(caveat, _)| caveat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_of_a_command() {
        assert_eq!(quoted(Path::new("/tmp/x.db")), "/tmp/x.db");
        assert_eq!(quoted(Path::new("my copy.db")), "'my copy.db'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }

    #[test]
    fn sqlite_says_it_once_and_the_way_out_is_named() {
        let told = "cannot write /x: database or disk is full: Error code 13: Insertion failed \
                    because database is full";
        assert_eq!(trouble(told), "cannot write /x: no room is left on its file system: free some");
        assert_eq!(trouble("it is odd"), "it is odd");
    }

    #[test]
    fn a_full_disk_and_a_missing_directory_are_said_plainly() {
        let path = Path::new("/x/highwater.db").to_owned();
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let full = StoreError::Io { doing: "write", path, cause };
        let text = said(&anyhow::Error::new(full).context("nothing was changed"));
        assert_eq!(
            text,
            "nothing was changed: cannot write /x/highwater.db: no room is left on the file \
             system of /x: free some"
        );
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        let missing = || StoreError::Missing { path: none.join(highwater_store::FILE_NAME) };
        let text = said(&of(&none, missing()));
        assert!(text.starts_with("no such directory: "), "{text}");
        assert!(text.contains(&format!("highwater agent --data-dir {}", none.display())), "{text}");
        let text = said(&of(dir.path(), missing()));
        assert!(text.starts_with("no recording in "), "{text}");
        let place = dir.path().join("taken");
        fs::create_dir(&place).unwrap();
        let cause = io::Error::other("unable to open database file");
        let text = said(&anyhow::Error::new(StoreError::Io { doing: "read", path: place, cause }));
        assert!(text.contains("is a directory, where a file should be"), "{text}");
    }

    #[test]
    fn counts_and_ages_are_in_the_singular_too() {
        assert_eq!(waiting(1, 0), "1 reading waits");
        assert_eq!(waiting(12, 1), "12 readings and 1 event wait");
        assert_eq!(ago(std::time::Duration::from_millis(999)), "just now");
        assert_eq!(ago(std::time::Duration::from_secs(3)), "3 s ago");
        let text = explained("1 damaged event was left out: number 7".to_owned(), Path::new("/x"));
        assert!(text.ends_with(" (highwater store check --data-dir /x)"), "{text}");
        assert_eq!(nameless(&text), Some("1 damaged event was left out: number 7"));
        assert_eq!(nameless("/x was replaced"), None);
    }
}
