//! What the API is told: the trait that a store answers.

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, Matcher, SeriesSource, SourceError};
use highwater_core::time::WallTime;

use super::rules::Ruled;

/// A history that can be asked by several threads, each with a reading of its own.
pub trait History: Send + Sync {
    /// What time it is: the moment of a question that names none.
    fn now(&self) -> WallTime;

    /// Does the work of one question, on a thread that is its own meanwhile: here it can be counted.
    fn attend(&self, work: &mut dyn FnMut()) {
        work();
    }

    /// Gives each group of rules that is evaluated beside it. Here there are none.
    fn rules(&self, _give: &mut dyn FnMut(Ruled<'_>)) {}

    /// What is wrong with files of rules, so that they were not taken.
    fn rule_faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// Calls `ask` once, with a reading that nobody else uses meanwhile; from a thread that may wait
    /// for the disk.
    fn read(&self, ask: &mut dyn FnMut(&dyn Reading)) -> Result<(), SourceError>;
}

/// A history that is open for one question.
pub trait Reading {
    /// Its samples.
    fn source(&self) -> &dyn SeriesSource;

    /// Its metrics, by name, each once.
    fn metrics(&self) -> Result<Vec<Known>, SourceError>;

    /// Gives the labels of the series that meet all `matchers` and may have samples between two
    /// moments, each once and in no order, until `give` says that it has enough.
    fn series(
        &self,
        matchers: &[Matcher],
        span: (WallTime, WallTime),
        give: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SourceError>;

    /// How much there is.
    fn figures(&self) -> Result<Figures, SourceError>;

    /// What stands in the way of complete answers, of those given so far.
    fn caveats(&self) -> Vec<String>;
}

/// A metric of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Whether it only rises.
    pub kind: MetricKind,
    /// A line of help.
    pub help: String,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The oldest moment.
    pub oldest: Option<WallTime>,
    /// The newest moment.
    pub newest: Option<WallTime>,
    /// Pieces in which samples are packed.
    pub chunks: u64,
}
