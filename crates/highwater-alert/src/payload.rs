//! Notices as their receivers read them: one format each, and none that a name can break out of.
//!
//! Names come from the machine, and whoever names a container chooses them. What could mislead is
//! spelled out ([`highwater_core::text::escape`]), and each format escapes what it would take for its
//! own. Every format has a most that it may be long; what does not fit is counted in a last line.

mod alertmanager;
mod dingtalk;
mod feishu;
mod mail;
mod slack;
mod story;
#[cfg(test)]
mod tests;
mod webhook;

use serde_json::Value;

use crate::dispatch::{Notice, Report};

/// The format of a receiver's notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Alertmanager's webhook, version 4: also what a command reads.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// A robot of a DingTalk group.
    DingTalk,
    /// A bot of a Feishu (or Lark) group.
    Feishu,
    /// A letter of e-mail.
    Mail,
}

/// A notice as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A document.
    Json(Value),
    /// A letter, the same in plain text and in HTML.
    Letter {
        /// One line.
        subject: String,
        /// Plain text.
        text: String,
        /// HTML.
        html: String,
    },
}

impl Body {
    /// `notice` in `format`; `external_url` is where this recorder can be read.
    pub fn of(notice: &Notice, format: Format, external_url: &str) -> Self {
        match format {
            Format::Webhook => Self::Json(webhook::document(notice, external_url)),
            Format::Slack => Self::Json(slack::message(notice)),
            Format::DingTalk => Self::Json(dingtalk::message(notice)),
            Format::Feishu => Self::Json(feishu::message(notice)),
            Format::Mail => mail::letter(notice),
        }
    }

    /// `reports` as an Alertmanager takes them (`POST /api/v2/alerts`).
    pub fn for_alertmanager(reports: &[Report]) -> Self {
        Self::Json(alertmanager::alerts(reports))
    }
}
