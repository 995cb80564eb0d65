//! `highwater store`: looking after the recording.

pub(super) mod bar;
mod check;
mod compact;
mod export;
mod info;
pub(super) mod place;
mod recorder;

use std::path::Path;
use std::process::ExitCode;

use highwater_store::Reader;
use serde::Serialize;

use super::{out, refusal};
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
    Reader::open(dir).map_err(|error| refusal::of(dir, error))
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
        return out::bytes(text.as_bytes());
    }
    out::page(&page(Page::of_terminal(), answer))
}
