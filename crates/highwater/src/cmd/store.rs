//! `highwater store`: looking after the recording.

mod bar;
mod check;
mod compact;
mod export;
mod info;
mod place;
mod recorder;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use highwater_core::text::escape;
use highwater_store::{Reader, StoreError};
use serde::Serialize;

use crate::args::{StoreArgs, StoreCommand};
use crate::view::Page;
use crate::view::store as view;

/// Runs one of the commands.
pub(crate) fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    let dir = place::dir(args.data_dir.as_deref())?;
    match &args.command {
        StoreCommand::Info(of) => show(args, &info::gather(of, &dir)?, view::info::page)?,
        StoreCommand::Check(_) => {
            let checked = check::run(&dir)?;
            show(args, &checked, view::check::page)?;
            if !(checked.whole && checked.complete) {
                return Ok(ExitCode::FAILURE);
            }
        }
        StoreCommand::Compact(of) => show(args, &compact::run(of, &dir)?, view::compact::page)?,
        StoreCommand::ExportDb(of) => show(args, &export::run(of, &dir)?, view::export::page)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The recording in `dir`, open for reading.
fn opened(dir: &Path) -> anyhow::Result<Reader> {
    Reader::open(dir).map_err(|error| match &error {
        StoreError::Io { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            anyhow::Error::new(error).context("only who records and root may read this recording")
        }
        _ => anyhow::Error::new(error),
    })
}

/// Prints an answer as a page or as a document.
fn show<T: Serialize>(
    args: &StoreArgs,
    answer: &T,
    page: fn(Page, &T) -> String,
) -> anyhow::Result<()> {
    if args.json {
        let mut text = serde_json::to_string_pretty(answer)?;
        text.push('\n');
        io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    out.write_all(page(Page::of_terminal(), answer).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A path as one word of a shell's command, to be copied.
fn quoted(path: &Path) -> String {
    let path = escape(path.as_os_str().as_encoded_bytes());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+,:@%-".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.into_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
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
}
