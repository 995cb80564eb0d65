//! Standard output: what is printed there, and what is said where it takes nothing. What is no part of
//! an answer goes to standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// What failed, ahead of the reason.
const REFUSED: &str = "cannot write to standard output";

/// Prints a page, with colours only where they are seen.
pub(crate) fn page(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context(REFUSED)
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    writing(|out| out.write_all(bytes))
}

/// Writes a document of JSON.
pub(crate) fn document(document: &impl Serialize) -> anyhow::Result<()> {
    writing(|out| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        out.write_all(b"\n")
    })
}

/// Writes piece by piece.
pub(crate) fn writing(
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).context(REFUSED)
}

/// One line beside the answer; nothing can be done about a standard error that is closed.
pub(crate) fn say(line: &str) {
    let _unheard = writeln!(anstream::stderr(), "highwater: {line}");
}
