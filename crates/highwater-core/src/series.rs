//! Series of samples, and the one trait through which history is read: the local store, an
//! import and a remote server all answer it.

mod pattern;
mod visit;
mod written;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::WallTime;
pub use pattern::{BadPattern, Pattern};
pub use visit::{Extremes, Keep, Stretch, Visit};
pub use written::{is_plain_metric, written_label};

/// The label that holds a metric's name.
pub const NAME: &str = "__name__";

/// The value that marks the end of a series, as Prometheus writes it: a NaN that no measurement has.
/// It is told by its bits, see [`is_stale`].
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the mark of an end.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// The labels of one series, the metric's name (`__name__`) among them, in order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<(String, String)>", into = "Vec<(String, String)>")]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// These labels, put in order; of two with one name the later one counts.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels
    }

    /// The value of the label `name`; a label that is not there is empty, as in PromQL.
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)) {
            Ok(at) => self.0.get(at).map_or("", |(_, value)| value),
            Err(_) => "",
        }
    }

    /// Sets the label `name`; an empty value removes it.
    pub fn set<K: Into<String>, V: Into<String>>(&mut self, name: K, value: V) {
        let (name, value) = (name.into(), value.into());
        match self.0.binary_search_by(|(n, _)| n.cmp(&name)) {
            Ok(at) if value.is_empty() => {
                self.0.remove(at);
            }
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(_) if value.is_empty() => {}
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// The labels in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl From<Vec<(String, String)>> for Labels {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self::new(pairs)
    }
}

impl From<Labels> for Vec<(String, String)> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: WallTime,
    /// What.
    pub value: f64,
}

/// One series: its labels and its samples in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, oldest first.
    pub points: Vec<Point>,
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// What it must be.
    pub want: Want,
}

/// What a label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Exactly this; the empty string means absent.
    Is(String),
    /// Anything but this.
    IsNot(String),
    /// Something that matches.
    Matches(Pattern),
    /// Something that does not match.
    MatchesNot(Pattern),
}

impl Matcher {
    /// The label `name` must be `value`.
    pub fn is(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), want: Want::Is(value.to_owned()) }
    }

    /// Whether `labels` meet the condition.
    pub fn accepts(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name);
        match &self.want {
            Want::Is(wanted) => value == wanted,
            Want::IsNot(unwanted) => value != unwanted,
            Want::Matches(pattern) => pattern.matches(value),
            Want::MatchesNot(pattern) => !pattern.matches(value),
        }
    }
}

/// Which series, and from when to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// All must hold. At least one should name the metric: a source may refuse to read everything.
    pub matchers: Vec<Matcher>,
    /// The first moment wanted.
    pub from: WallTime,
    /// The last moment wanted.
    pub to: WallTime,
    /// One sample per `step` is enough: a source may skip the others. `None`: every sample.
    pub step: Option<Duration>,
    /// Whether the end of a series is marked by a sample of its own, [`STALE`]: at the first
    /// reading of its kind that no longer has it.
    pub ends: bool,
}

/// Which samples are looked at: at each moment of a query those of a while before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// The first moment.
    pub first: WallTime,
    /// So far apart the moments are; of a single moment the greatest there is.
    pub step: Duration,
    /// So far back a look reaches; it has its end but not its beginning.
    pub range: Duration,
    /// Only the newest sample of each look counts.
    pub newest: bool,
    /// So many samples may be held for it; if there are more, [`TooManySamples`] is the cause of
    /// the failure.
    pub most: usize,
}

/// More samples match than may be held at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {most} samples match")]
pub struct TooManySamples {
    /// The bound.
    pub most: usize,
}

/// Why a source gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// A lower-case fragment that names the thing and the way out.
    pub what: String,
    /// What was beneath it.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// History, wherever it is kept.
pub trait SeriesSource {
    /// The series that match, each with at least one sample in the range, in order of labels.
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError>;

    /// The same, of which samples that are never looked at may be left out.
    fn select_looks(&self, selection: &Selection, _: &Looks) -> Result<Vec<Series>, SourceError> {
        self.select(selection)
    }

    /// Series that belong together, some at a time, so that no more than those are in memory.
    ///
    /// `group` is asked once which of the labels that there are (without the metric's name; some may
    /// turn out to have no samples) belong together, by their places; others are not read. `give`
    /// then gets each group that has any samples, in no order; meanwhile neither may ask the source
    /// anything. Ends of series are not marked.
    fn visit(
        &self,
        visit: &Visit<'_>,
        group: &mut dyn FnMut(&[Labels]) -> Vec<Vec<usize>>,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), SourceError> {
        visit::by_selecting(self, visit, group, give)
    }

    /// What this source is called where it is cited: `recorded series`, a server's address.
    fn name(&self) -> &str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_order_and_drop_the_empty() {
        let labels = Labels::new([("pid", "7"), (NAME, "up"), ("comm", "a\"b"), ("gone", "")]);
        assert_eq!(labels.to_string(), r#"up{comm="a\"b",pid="7"}"#);
        assert_eq!(labels.get("gone"), "");
        assert!(Matcher::is("pid", "7").accepts(&labels));
        assert!(Matcher::is("absent", "").accepts(&labels));
    }
}
