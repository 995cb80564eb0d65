//! A growth that was found, and what became of it.

use serde::{Deserialize, Serialize};

use crate::growth::{Resource, Verdict};
use crate::time::WallTime;

/// What became of a growth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grown {
    /// What is new about it.
    pub turn: Turn,
    /// The growth, as it was judged then.
    pub finding: Finding,
}

/// What is new about a growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It was not known before.
    Begun,
    /// It is another verdict, much faster or slower, or its end is nearer than it was.
    Changed,
    /// It goes on as it was; told once a day, so that what is known of it is never old.
    GoesOn,
    /// It grows no more.
    Mended,
    /// Nothing is on record any more of whom it was about.
    Gone,
}

impl Turn {
    /// Its name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Changed => "changed",
            Self::GoesOn => "goes-on",
            Self::Mended => "mended",
            Self::Gone => "gone",
        }
    }

    /// Whether the growth is over.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Mended | Self::Gone)
    }
}

/// One growth as it was judged. Its numbers are bytes, or things where the resource is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Whose.
    pub owner: Grower,
    /// Of what.
    pub resource: Resource,
    /// What it is.
    pub verdict: Verdict,
    /// How fast its floor grows.
    pub rate: Option<HourlyRate>,
    /// How sure the verdict is, from 0 to 1.
    pub confidence: f64,
    /// Since when it has been so, in milliseconds since 1970.
    pub since: Option<WallTime>,
    /// What it was when it was judged.
    pub current: f64,
    /// What it will reach first.
    pub limit: Option<GrowthLimit>,
    /// How long until then, if it goes on like this.
    pub left: Option<TimeLeft>,
    /// The root cause, as `leaks` names it.
    pub cause: Option<String>,
    /// What speaks for the verdict, the weightiest sentences; escaped and cut.
    pub claims: Vec<String>,
}

/// Whose growth it is, in the words of `leaks`; escaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grower {
    /// `unit`, `container`, `machine`, …
    pub kind: String,
    /// What tells it apart from others of its kind.
    pub id: String,
    /// What people call it.
    pub name: String,
}

impl Grower {
    /// Kind and name under which its next life is the same owner: a container has a new id then.
    pub fn key(&self) -> (&str, &str) {
        let own = if self.kind == "container" { &self.name } else { &self.id };
        (&self.kind, own)
    }
}

/// How fast something grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HourlyRate {
    /// The likeliest.
    pub per_hour: f64,
    /// It is hardly less.
    pub low: f64,
    /// It is hardly more.
    pub high: f64,
}

/// What is reached first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowthLimit {
    /// `own`, `high`, `above`, `machine`, `files`, `tasks`, `size`, `swap`.
    pub kind: String,
    /// The limit as it is set; of the machine, all that it has.
    pub at: f64,
}

/// A span of time from the judgement on, with its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLeft {
    /// The likeliest.
    pub seconds: u64,
    /// At the highest rate.
    pub soonest: u64,
    /// At the lowest rate; `None` if that is no growth at all.
    pub latest: Option<u64>,
}

impl TimeLeft {
    /// What is left of it so many seconds later.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Self {
            seconds: self.seconds.saturating_sub(seconds),
            soonest: self.soonest.saturating_sub(seconds),
            latest: self.latest.map(|latest| latest.saturating_sub(seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for turn in [Turn::Begun, Turn::Changed, Turn::GoesOn, Turn::Mended, Turn::Gone] {
            assert_eq!(serde_json::to_string(&turn).unwrap(), format!("\"{}\"", turn.name()));
        }
        assert!(Turn::Gone.is_end() && Turn::Mended.is_end() && !Turn::GoesOn.is_end());
    }

    #[test]
    fn a_container_is_known_by_its_name_and_everybody_else_by_the_id() {
        let grower = |kind: &str| Grower {
            kind: kind.to_owned(),
            id: "id".to_owned(),
            name: "name".to_owned(),
        };
        assert_eq!(grower("container").key(), ("container", "name"));
        assert_eq!(grower("unit").key(), ("unit", "id"));
    }

    #[test]
    fn time_runs_down_to_nothing() {
        let left = TimeLeft { seconds: 10, soonest: 4, latest: Some(20) };
        assert_eq!(left.after(5), TimeLeft { seconds: 5, soonest: 0, latest: Some(15) });
    }
}
