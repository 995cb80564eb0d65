//! One alert and its times.

use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use serde::{Deserialize, Serialize};

/// An alert: what one series of a rule's result became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity: the series' labels without the metric's name, the rule's labels, `alertname`.
    pub labels: Labels,
    /// What people read, renewed at each evaluation.
    pub annotations: Labels,
    /// How it stands.
    pub state: State,
    /// The newest value.
    #[serde(with = "exact")]
    pub value: f64,
    /// The first evaluation that matched without a pause since.
    pub active_at: WallTime,
    /// When it began to fire.
    pub fired_at: Option<WallTime>,
    /// When it ended, having fired.
    pub resolved_at: Option<WallTime>,
    /// Since when nothing matches while it is kept firing.
    pub keep_firing_since: Option<WallTime>,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has ended.
    Inactive,
    /// It matches, but not for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl State {
    /// The word of the field.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// The value of `ALERTS_FOR_STATE`: whole seconds after the epoch.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact for 285,000 years")]
pub(crate) const fn for_state(active_at: WallTime) -> f64 {
    active_at.millis().div_euclid(1000) as f64
}

/// A number as a text: JSON has neither infinity nor not-a-number.
mod exact {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number")))
    }
}
