//! Finding the recording: which data directory to read.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use highwater_agent::place;
use highwater_store::Reader;

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
        let reader = Reader::open(dir)
            .with_context(|| format!("cannot read the recording in {}", dir.display()))?;
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
                let error = anyhow::Error::new(error);
                let remark =
                    format!("the recording in {} cannot be read: {error:#}", dir.display());
                return Ok(History { reader: None, remarks: vec![remark] });
            }
        }
    }
    Ok(History { reader: None, remarks })
}

fn with(reader: Reader, foreign: Option<&Path>) -> History {
    let mut remarks = reader.caveats();
    remarks
        .extend(foreign.map(|dir| format!("read from the machine's recording, {}", dir.display())));
    History { reader: Some(reader), remarks }
}
