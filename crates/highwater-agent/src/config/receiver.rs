//! `[[notify.slack]]` and its like: who is told of alerts, as many as one likes.
//!
//! Each is a table of its own, so the keys are another table than [`super::KEYS`]:
//! [`RECEIVER_KEYS`]. A value that may be a secret is never repeated in a fault.

mod draft;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use highwater_alert::dispatch::Terms;
use highwater_alert::payload::Format;

pub(super) use draft::Draft;
pub(super) use table::{INTERVAL, REPEAT, TIMEOUT, WAIT};
pub use table::{RECEIVER_KEYS, ReceiverKey};

/// `[notify]`: who is told of alerts, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Alerts that agree in these labels are told together.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// How often a group's news is told at most.
    pub group_interval: Duration,
    /// How often what still fires is told again.
    pub repeat_interval: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// Who is told.
    pub receivers: Vec<Receiver>,
}

impl Default for Notify {
    fn default() -> Self {
        let Terms { group_by, group_wait, group_interval, repeat_interval, .. } = Terms::default();
        let (timeout, receivers) = (Duration::from_secs(10), Vec::new());
        Self { group_by, group_wait, group_interval, repeat_interval, timeout, receivers }
    }
}

/// One who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// How it is called: no other is called so.
    pub name: String,
    /// What it is.
    pub kind: ReceiverKind,
    /// What it wants to be told, and how soon.
    pub terms: Terms,
    /// How it is reached.
    pub way: highwater_act::Receiver,
}

/// What a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// An Alertmanager.
    Alertmanager,
    /// A server that reads Alertmanager's webhooks.
    Webhook,
    /// A channel of Slack.
    Slack,
    /// A group of DingTalk.
    DingTalk,
    /// A group of Feishu, or Lark.
    Feishu,
    /// Mailboxes.
    Email,
    /// A program of this machine.
    Command,
}

impl ReceiverKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Alertmanager,
        Self::Webhook,
        Self::Slack,
        Self::DingTalk,
        Self::Feishu,
        Self::Email,
        Self::Command,
    ];

    /// As it is written: `[[notify.slack]]`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::DingTalk => "dingtalk",
            Self::Feishu => "feishu",
            Self::Email => "email",
            Self::Command => "command",
        }
    }

    /// The kind of this word.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The format of its notices; an Alertmanager gets none, but alerts.
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::Alertmanager => None,
            Self::Webhook | Self::Command => Some(Format::Webhook),
            Self::Slack => Some(Format::Slack),
            Self::DingTalk => Some(Format::DingTalk),
            Self::Feishu => Some(Format::Feishu),
            Self::Email => Some(Format::Mail),
        }
    }

    /// The pause between two notices: DingTalk takes 20 a minute, Slack one a second, Feishu 100 a
    /// minute; the others are spared, too.
    pub const fn pace(self) -> Duration {
        match self {
            Self::DingTalk => Duration::from_millis(3_500),
            _ => Duration::from_secs(1),
        }
    }
}
