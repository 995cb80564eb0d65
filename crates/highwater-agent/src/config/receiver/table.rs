//! The table of receivers' keys: what each is called, means, may be, whose it is, and where it goes.

use std::time::Duration;

use super::ReceiverKind::{self, Alertmanager, Command, DingTalk, Email, Feishu, Slack, Webhook};
use super::draft::Draft;
use crate::config::{hours, minutes};

/// One key of a receiver.
#[derive(Debug)]
pub struct ReceiverKey {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Which receivers have it.
    pub of: &'static [ReceiverKind],
    pub(super) value: Value,
}

/// What a key's value is, and where it goes.
#[derive(Debug)]
pub(super) enum Value {
    /// A text, not empty.
    Text(fn(&mut Draft) -> &mut Option<String>),
    /// The same, which may be a secret.
    Secret(fn(&mut Draft) -> &mut Option<String>),
    /// Texts, none of them empty.
    Texts(fn(&mut Draft) -> &mut Option<Vec<String>>),
    Span((Duration, Duration), fn(&mut Draft) -> &mut Option<Duration>),
    Switch(fn(&mut Draft) -> &mut Option<bool>),
}

/// A messenger that takes longer hangs; nothing else waits for it.
pub(in crate::config) const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), minutes(2));
/// Zero tells each alert by itself; who waits for an hour is told too late.
pub(in crate::config) const WAIT: (Duration, Duration) = (Duration::ZERO, hours(1));
/// Below ten seconds a receiver is flooded.
pub(in crate::config) const INTERVAL: (Duration, Duration) = (Duration::from_secs(10), hours(24));
/// What is repeated more often is no longer read.
pub(in crate::config) const REPEAT: (Duration, Duration) = (minutes(1), hours(31 * 24));

const ALL: &[ReceiverKind] = &ReceiverKind::ALL;
/// Those that are told notices.
const TOLD: &[ReceiverKind] = &[Webhook, Slack, DingTalk, Feishu, Email, Command];
const WEB: &[ReceiverKind] = &[Alertmanager, Webhook, Slack, DingTalk, Feishu];
const OWN_SERVER: &[ReceiverKind] = &[Alertmanager, Webhook];
const SIGNED: &[ReceiverKind] = &[DingTalk, Feishu];
const WITH_PASSWORD: &[ReceiverKind] = &[Alertmanager, Webhook, Email];
const REMOTE: &[ReceiverKind] = &[Alertmanager, Webhook, Slack, DingTalk, Feishu, Email];

/// Every key, the most important first.
pub const RECEIVER_KEYS: &[ReceiverKey] = &[
    ReceiverKey {
        name: "name",
        doc: "How it is called in logs, metrics and documents; no other may be called so. Else it is called what it is.",
        of: ALL,
        value: Value::Text(|draft| &mut draft.name),
    },
    ReceiverKey {
        name: "url",
        doc: "The address that is posted to. Of a messenger it is a secret: url_file keeps it out of this file. Of an Alertmanager it is the beginning, without /api.",
        of: WEB,
        value: Value::Secret(|draft| &mut draft.url.plain),
    },
    ReceiverKey {
        name: "url_file",
        doc: "The file whose first line is the address. It is read at each use.",
        of: WEB,
        value: Value::Text(|draft| &mut draft.url.file),
    },
    ReceiverKey {
        name: "url_env",
        doc: "The variable of the agent's environment that is the address.",
        of: WEB,
        value: Value::Text(|draft| &mut draft.url.env),
    },
    ReceiverKey {
        name: "secret_file",
        doc: "The file whose first line is what messages are signed with, if the robot asks for that.",
        of: SIGNED,
        value: Value::Text(|draft| &mut draft.secret.file),
    },
    ReceiverKey {
        name: "secret_env",
        doc: "The variable that is the same.",
        of: SIGNED,
        value: Value::Text(|draft| &mut draft.secret.env),
    },
    ReceiverKey {
        name: "bearer_file",
        doc: "The file whose first line is a token that is shown.",
        of: OWN_SERVER,
        value: Value::Text(|draft| &mut draft.bearer.file),
    },
    ReceiverKey {
        name: "bearer_env",
        doc: "The variable that is the same.",
        of: OWN_SERVER,
        value: Value::Text(|draft| &mut draft.bearer.env),
    },
    ReceiverKey {
        name: "user",
        doc: "The name that belongs to the password.",
        of: WITH_PASSWORD,
        value: Value::Text(|draft| &mut draft.user),
    },
    ReceiverKey {
        name: "password_file",
        doc: "The file whose first line is the password.",
        of: WITH_PASSWORD,
        value: Value::Text(|draft| &mut draft.password.file),
    },
    ReceiverKey {
        name: "password_env",
        doc: "The variable that is the same.",
        of: WITH_PASSWORD,
        value: Value::Text(|draft| &mut draft.password.env),
    },
    ReceiverKey {
        name: "server",
        doc: "The server that takes letters: a name, and a port unless it is the usual one: \"mail.example:587\".",
        of: &[Email],
        value: Value::Text(|draft| &mut draft.server),
    },
    ReceiverKey {
        name: "security",
        doc: "\"starttls\" (the default; port 587), \"tls\" (port 465) or \"none\" (port 25).",
        of: &[Email],
        value: Value::Text(|draft| &mut draft.security),
    },
    ReceiverKey {
        name: "from",
        doc: "From whom the letters are.",
        of: &[Email],
        value: Value::Text(|draft| &mut draft.from),
    },
    ReceiverKey {
        name: "to",
        doc: "To whom: a list of addresses.",
        of: &[Email],
        value: Value::Texts(|draft| &mut draft.to),
    },
    ReceiverKey {
        name: "argv",
        doc: "The program and its arguments, a list. There is no shell. The document comes on its standard input; ending with 0 it has taken it.",
        of: &[Command],
        value: Value::Texts(|draft| &mut draft.argv),
    },
    ReceiverKey {
        name: "ca_file",
        doc: "The authorities that vouch for the server, as PEM. Else those that browsers know.",
        of: REMOTE,
        value: Value::Text(|draft| &mut draft.ca_file),
    },
    ReceiverKey {
        name: "severities",
        doc: "Only alerts whose label severity is one of these. Else all.",
        of: ALL,
        value: Value::Texts(|draft| &mut draft.severities),
    },
    ReceiverKey {
        name: "send_resolved",
        doc: "Whether it is told that an alert has ended. Else it is.",
        of: TOLD,
        value: Value::Switch(|draft| &mut draft.send_resolved),
    },
    ReceiverKey {
        name: "group_by",
        doc: "As notify.group_by, for this one.",
        of: TOLD,
        value: Value::Texts(|draft| &mut draft.group_by),
    },
    ReceiverKey {
        name: "group_wait",
        doc: "As notify.group_wait, for this one.",
        of: TOLD,
        value: Value::Span(WAIT, |draft| &mut draft.group_wait),
    },
    ReceiverKey {
        name: "group_interval",
        doc: "As notify.group_interval, for this one.",
        of: TOLD,
        value: Value::Span(INTERVAL, |draft| &mut draft.group_interval),
    },
    ReceiverKey {
        name: "repeat_interval",
        doc: "As notify.repeat_interval, for this one.",
        of: TOLD,
        value: Value::Span(REPEAT, |draft| &mut draft.repeat_interval),
    },
    ReceiverKey {
        name: "timeout",
        doc: "As notify.timeout, for this one.",
        of: ALL,
        value: Value::Span(TIMEOUT, |draft| &mut draft.timeout),
    },
];
