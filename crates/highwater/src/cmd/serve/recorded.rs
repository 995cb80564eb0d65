//! The recording as the API's source: each question reads it by a connection of its own, so that
//! it never waits for the recorder, nor the recorder for it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use highwater_agent::clock;
use highwater_core::series::{Labels, Matcher, SeriesSource, SourceError};
use highwater_core::time::WallTime;
use highwater_store::{Reader, StoreError};
use highwater_web::{Figures, History, Known, Reading};

/// A recording, and readers of it that wait for the next question.
#[derive(Debug)]
pub(crate) struct Recorded {
    dir: PathBuf,
    /// So many are kept open: each has read some small tables, and may hold 8 MiB of pages.
    kept: usize,
    idle: Mutex<Vec<Reader>>,
    /// Readers are made ready before they are asked.
    ready: bool,
}

impl Recorded {
    /// The recording in `dir`, of which `kept` readers stay open.
    pub(crate) fn new(dir: &Path, kept: usize) -> Self {
        Self { dir: dir.to_owned(), kept, idle: Mutex::default(), ready: false }
    }

    /// The same, for a process that does nothing but answer: the readers that stay open are made
    /// ready for the first questions.
    pub(crate) fn ready(dir: &Path, kept: usize) -> Result<Self, SourceError> {
        let recorded = Self { ready: true, ..Self::new(dir, kept) };
        let readers = (0..kept).map(|_| recorded.open()).collect::<Result<Vec<Reader>, _>>()?;
        for reader in readers {
            recorded.keep(reader);
        }
        Ok(recorded)
    }

    fn open(&self) -> Result<Reader, SourceError> {
        let reader = Reader::open(&self.dir).map_err(failed)?;
        if self.ready {
            reader.prepare().map_err(failed)?;
        }
        Ok(reader)
    }

    fn reader(&self) -> Result<Reader, SourceError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|reader| !reader.is_replaced()) {
            Some(reader) => Ok(reader),
            None => self.open(),
        }
    }

    fn keep(&self, reader: Reader) {
        // What it found damaged is told of this answer, and of none that never came near it.
        if !reader.caveats().is_empty() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.kept {
            idle.push(reader);
        }
    }
}

fn failed(error: StoreError) -> SourceError {
    SourceError { what: error.to_string(), cause: Some(Box::new(error)) }
}

impl History for Recorded {
    fn now(&self) -> WallTime {
        clock::now().wall
    }

    fn read(&self, ask: &mut dyn FnMut(&dyn Reading)) -> Result<(), SourceError> {
        let reader = self.reader()?;
        ask(&Opened(&reader));
        self.keep(reader);
        Ok(())
    }
}

/// A reader that is lent.
struct Opened<'a>(&'a Reader);

impl Reading for Opened<'_> {
    fn source(&self) -> &dyn SeriesSource {
        self.0
    }

    fn metrics(&self) -> Result<Vec<Known>, SourceError> {
        let metrics = self.0.known_metrics().map_err(failed)?.into_iter();
        Ok(metrics.map(|of| Known { name: of.name, kind: of.kind, help: of.help }).collect())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        span: (WallTime, WallTime),
        give: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SourceError> {
        self.0.each_known(matchers, span, give).map_err(failed)
    }

    fn figures(&self) -> Result<Figures, SourceError> {
        let info = self.0.info().map_err(failed)?;
        let chunks = info.levels.iter().fold(0_u64, |sum, level| sum.saturating_add(level.sheets));
        Ok(Figures { oldest: info.oldest, newest: info.newest, chunks })
    }

    fn caveats(&self) -> Vec<String> {
        self.0.caveats()
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::metric::MetricKind;
    use highwater_core::series::NAME;
    use highwater_store::Import;

    use super::*;

    fn metrics(recorded: &Recorded) -> Result<Vec<String>, SourceError> {
        let mut names = Vec::new();
        recorded.read(&mut |reading| {
            let metrics = reading.metrics().unwrap();
            names.extend(metrics.into_iter().map(|metric| metric.name));
        })?;
        Ok(names)
    }

    fn write(dir: &Path, name: &str) {
        let mut import = Import::open(dir).unwrap();
        let series = import.series(&Labels::new([(NAME, name)]), MetricKind::Gauge, "").unwrap();
        import.push(series, WallTime::from_millis(1_700_000_000_000), 1.0).unwrap();
        import.finish(&mut |_| {}).unwrap();
    }

    #[test]
    fn a_recording_that_was_replaced_is_opened_anew() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(old.path(), "old");
        write(new.path(), "new");
        let recorded = Recorded::new(old.path(), 1);
        assert_eq!(metrics(&recorded).unwrap(), ["old"]);
        assert_eq!(recorded.idle.lock().unwrap().len(), 1);
        let file = |dir: &Path| dir.join(highwater_store::FILE_NAME);
        std::fs::rename(file(new.path()), file(old.path())).unwrap();
        assert_eq!(metrics(&recorded).unwrap(), ["new"]);
    }

    #[test]
    fn readers_that_were_made_ready_wait_for_questions() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "one");
        let recorded = Recorded::ready(dir.path(), 2).unwrap();
        assert_eq!(recorded.idle.lock().unwrap().len(), 2);
        assert_eq!(metrics(&recorded).unwrap(), ["one"]);
        assert!(Recorded::ready(&dir.path().join("none"), 2).is_err());
    }

    #[test]
    fn a_recording_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = metrics(&Recorded::new(dir.path(), 1)).unwrap_err();
        assert!(error.what.contains(highwater_store::FILE_NAME), "{error}");
    }
}
