//! Finding the recording: which data directory to read.

use std::path::{Path, PathBuf};

use highwater_agent::place;
use highwater_store::Reader;

use super::refusal;

/// The recording, if there is one, and what is to be said about it.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The recording.
    pub(crate) reader: Option<Reader>,
    /// Sentences for the reader of the answer.
    pub(crate) remarks: Vec<String>,
}

/// Opens the recording: where `chosen` says, else the user's own, else the machine's.
pub(crate) fn open(chosen: Option<&Path>) -> anyhow::Result<History> {
    if let Some(dir) = chosen {
        let reader = Reader::open(dir).map_err(|error| refusal::of(dir, error))?;
        return Ok(with(reader, None));
    }
    let own = place::default_dir().ok();
    let system = PathBuf::from(place::SYSTEM_DIR);
    let mut remarks = Vec::new();
    for dir in own.iter().chain(std::iter::once(&system)) {
        match dir.join(highwater_store::FILE_NAME).try_exists() {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                remarks.push(format!(
                    "a recording in {} cannot be looked for: {error}",
                    dir.display()
                ));
                continue;
            }
        }
        let foreign = Some(dir) != own.as_ref();
        match Reader::open(dir) {
            Ok(reader) => return Ok(with(reader, foreign.then_some(dir.as_path()))),
            Err(error) => {
                let error = refusal::said(&refusal::of(dir, error));
                let remark = format!("the recording in {} cannot be read: {error}", dir.display());
                return Ok(History { reader: None, remarks: vec![remark] });
            }
        }
    }
    Ok(History { reader: None, remarks })
}

/// What the reader left out since the recording was opened, such as damaged events.
pub(crate) fn left_out(reader: &Reader, known: &[String]) -> Vec<String> {
    let dir = reader.path().parent().unwrap_or(reader.path());
    let new = reader.caveats().into_iter().filter(|caveat| !known.contains(caveat));
    new.map(|caveat| refusal::explained(caveat, dir)).collect()
}

fn with(reader: Reader, foreign: Option<&Path>) -> History {
    let mut remarks = reader.caveats();
    remarks
        .extend(foreign.map(|dir| format!("read from the machine's recording, {}", dir.display())));
    History { reader: Some(reader), remarks }
}
