//! Who receives, what is sent, and how that went.

use std::fmt;
use std::time::Duration;

use highwater_core::time::WallTime;
use serde_json::Value;

use crate::mail::Smtp;
use crate::program::Program;
use crate::secret::Secret;
use crate::web::Web;

/// Somebody or something that messages are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A server that takes documents over HTTP.
    Web(Web),
    /// People with mailboxes.
    Mail(Smtp),
    /// A program of this machine.
    Program(Program),
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same for each try of the same message: the receiver can tell a repetition by it. Empty where
    /// repeating is the manner.
    pub id: String,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A document, for servers and programs.
    Json(Value),
    /// A letter, for mailboxes: the same in plain text and in HTML.
    Letter {
        /// One line.
        subject: String,
        /// Plain text.
        text: String,
        /// HTML.
        html: String,
    },
}

/// How sending went. Reasons are one line, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has taken it.
    Sent,
    /// It has gone to some, and the others will not get it.
    Partly {
        /// Who will not, and why.
        why: String,
    },
    /// It may go later.
    Later {
        /// Not before this span, if the receiver said so.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// It will never go: the receiver understood it and does not want it.
    Never {
        /// What happened.
        why: String,
    },
}

impl Outcome {
    /// It may go later.
    pub(crate) fn later(why: impl Into<String>) -> Self {
        Self::Later { after: None, why: why.into() }
    }

    /// It will never go.
    pub(crate) fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent => f.write_str("sent"),
            Self::Partly { why } | Self::Later { why, .. } | Self::Never { why } => {
                f.write_str(why)
            }
        }
    }
}

impl Receiver {
    /// The files that hold its secrets and that everybody on this machine may read.
    pub fn open_files(&self) -> Vec<String> {
        let secrets: Vec<&Secret> = match self {
            Self::Web(web) => web.secrets(),
            Self::Mail(smtp) => smtp.login.iter().map(|(_, password)| password).collect(),
            Self::Program(_) => Vec::new(),
        };
        secrets.into_iter().filter_map(Secret::open_file).collect()
    }

    /// Sends `message`; `now` goes into signatures. It takes as long as the receiver's time-out at
    /// most.
    pub fn send(&self, message: &Message, now: WallTime) -> Outcome {
        match (self, &message.body) {
            (Self::Web(web), Body::Json(document)) => web.send(&message.id, document, now),
            (Self::Program(program), Body::Json(document)) => program.send(document),
            (Self::Mail(smtp), Body::Letter { subject, text, html }) => {
                smtp.send(&message.id, (subject, text, html), now)
            }
            _ => Outcome::never("the message is of a kind that this receiver does not read"),
        }
    }
}
