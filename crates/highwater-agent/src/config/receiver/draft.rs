//! A receiver while it is read: what was said of it, which may not be enough.

use std::path::PathBuf;
use std::time::Duration;

use highwater_act::{
    Auth, Manner, Program, Receiver as Way, Secret, Security, Smtp, Web, is_address,
};
use highwater_alert::dispatch::Terms;
use toml::de::DeValue;

use super::table::{RECEIVER_KEYS, ReceiverKey, Value};
use super::{Notify, Receiver, ReceiverKind};
use crate::config::key::{not, span_within, text, texts};

/// As long as a name may be: it is a label, and the beginning of a thread's name.
const MOST_NAME_BYTES: usize = 40;

/// What was said of a receiver.
#[derive(Debug, Default)]
pub(in crate::config) struct Draft {
    pub(super) name: Option<String>,
    pub(super) url: Source,
    pub(super) secret: Source,
    pub(super) bearer: Source,
    pub(super) user: Option<String>,
    pub(super) password: Source,
    pub(super) server: Option<String>,
    pub(super) security: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<Vec<String>>,
    pub(super) argv: Option<Vec<String>>,
    pub(super) ca_file: Option<String>,
    pub(super) severities: Option<Vec<String>>,
    pub(super) send_resolved: Option<bool>,
    pub(super) group_by: Option<Vec<String>>,
    pub(super) group_wait: Option<Duration>,
    pub(super) group_interval: Option<Duration>,
    pub(super) repeat_interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
}

/// Where a secret is found, as far as that was said.
#[derive(Default)]
pub(super) struct Source {
    pub(super) plain: Option<String>,
    pub(super) file: Option<String>,
    pub(super) env: Option<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl ReceiverKey {
    /// The key called `name` of a receiver of this kind.
    pub(in crate::config) fn find(kind: ReceiverKind, name: &str) -> Option<&'static Self> {
        RECEIVER_KEYS.iter().find(|key| key.name == name && key.of.contains(&kind))
    }

    /// The name of the key that `name` was probably meant to be.
    pub(in crate::config) fn near(kind: ReceiverKind, name: &str) -> Option<&'static str> {
        let known = RECEIVER_KEYS.iter().filter(|key| key.of.contains(&kind));
        let distances = known.map(|key| (strsim::osa_distance(name, key.name), key.name));
        let (slips, near) = distances.min_by_key(|(slips, _)| *slips)?;
        (slips <= name.len() / 3).then_some(near)
    }

    /// Whether its value may be a secret.
    pub(in crate::config) fn is_secret(&self) -> bool {
        matches!(self.value, Value::Secret(_))
    }

    /// What the value may be, in words.
    pub fn allowed(&self) -> &'static str {
        match self.value {
            Value::Text(_) | Value::Secret(_) => "a text in quotes, not empty",
            Value::Texts(_) => "a list of texts, none of them empty",
            Value::Span(..) => "a duration, as in \"30s\"",
            Value::Switch(_) => "true or false",
        }
    }

    /// Puts `value` where it belongs, or says why it cannot be.
    pub(in crate::config) fn set(
        &self,
        draft: &mut Draft,
        value: &DeValue<'_>,
    ) -> Result<(), String> {
        match &self.value {
            Value::Text(slot) | Value::Secret(slot) => match text(value)? {
                empty if empty.trim().is_empty() => return Err("it is empty".to_owned()),
                text => *slot(draft) = Some(text),
            },
            Value::Texts(slot) => *slot(draft) = Some(texts(value)?),
            Value::Span(bounds, slot) => *slot(draft) = Some(span_within(bounds, value)?),
            Value::Switch(slot) => {
                *slot(draft) = Some(value.as_bool().ok_or_else(|| not("a switch", value))?);
            }
        }
        Ok(())
    }
}

impl Draft {
    /// The receiver, or what is missing or cannot be. What it does not say is as `notify` says.
    pub(in crate::config) fn receiver(
        self,
        kind: ReceiverKind,
        notify: &Notify,
    ) -> Result<Receiver, String> {
        let name = self.name.clone().unwrap_or_else(|| kind.word().to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.len() > MOST_NAME_BYTES || !name.chars().all(plain) {
            return Err(format!(
                "its name has other signs than letters, digits, - _ . or more than {MOST_NAME_BYTES}"
            ));
        }
        if notify.receivers.iter().any(|other| other.name == name) {
            return Err(format!("another receiver is called {name}: give it a name of its own"));
        }
        let terms = self.terms(notify);
        let timeout = self.timeout.unwrap_or(notify.timeout);
        let way = match kind {
            ReceiverKind::Command => Way::Program(self.program(timeout)?),
            ReceiverKind::Email => Way::Mail(self.smtp(timeout)?),
            _ => Way::Web(self.web(kind, timeout)?),
        };
        Ok(Receiver { name, kind, terms, way })
    }

    fn terms(&self, notify: &Notify) -> Terms {
        let own = |span: Option<Duration>, general| span.unwrap_or(general);
        Terms {
            group_by: self.group_by.clone().unwrap_or_else(|| notify.group_by.clone()),
            group_wait: own(self.group_wait, notify.group_wait),
            group_interval: own(self.group_interval, notify.group_interval),
            repeat_interval: own(self.repeat_interval, notify.repeat_interval),
            send_resolved: self.send_resolved.unwrap_or(true),
            severities: self.severities.clone().unwrap_or_default(),
        }
    }

    fn program(self, timeout: Duration) -> Result<Program, String> {
        let argv = self.argv.filter(|argv| !argv.is_empty());
        let argv = argv.ok_or("it has no argv: write argv = [\"/path/to/program\"]")?;
        match argv.first() {
            Some(program) if program.starts_with('/') => Ok(Program { argv, timeout }),
            _ => Err("the program in argv is no whole path: it begins with /".to_owned()),
        }
    }

    fn smtp(self, timeout: Duration) -> Result<Smtp, String> {
        let server = self.server.ok_or("it has no server: write server = \"mail.example\"")?;
        let from = self.from.ok_or("it has no from: write from = \"highwater@example.com\"")?;
        let to = self.to.filter(|to| !to.is_empty());
        let to = to.ok_or("it has no to: write to = [\"ops@example.com\"]")?;
        if !to.iter().chain([&from]).all(|address| is_address(address)) {
            return Err("an entry of from or to is no address: write name@host alone".to_owned());
        }
        let (security, usual) = match self.security.as_deref() {
            None | Some("starttls") => (Security::StartTls, 587),
            Some("tls") => (Security::Tls, 465),
            Some("none") => (Security::Plain, 25),
            Some(_) => return Err("its security is none of starttls, tls, none".to_owned()),
        };
        let (host, port) = host_and_port(&server, usual)?;
        let login = login(self.user, self.password)?;
        let ca_file = self.ca_file.map(PathBuf::from);
        Ok(Smtp { host, port, security, login, from, to, ca_file, timeout })
    }

    fn web(self, kind: ReceiverKind, timeout: Duration) -> Result<Web, String> {
        let known = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.url.plain.iter().all(known) {
            return Err("its url begins with neither http:// nor https://".to_owned());
        }
        let url = self.url.secret("url")?;
        let url = url.ok_or("it has no url: write url, url_file or url_env")?;
        let secret = self.secret.secret("secret")?;
        let manner = match kind {
            ReceiverKind::Alertmanager => Manner::Alertmanager,
            ReceiverKind::DingTalk => Manner::DingTalk { secret },
            ReceiverKind::Feishu => Manner::Feishu { secret },
            _ => Manner::Plain,
        };
        let bearer = self.bearer.secret("bearer")?.map(Auth::Bearer);
        let basic = login(self.user, self.password)?;
        let auth = match (bearer, basic) {
            (Some(_), Some(_)) => {
                return Err("it has both a bearer and a password: write one of them".to_owned());
            }
            (bearer, basic) => {
                bearer.or(basic.map(|(user, password)| Auth::Basic { user, password }))
            }
        };
        Ok(Web { url, auth, manner, ca_file: self.ca_file.map(PathBuf::from), timeout })
    }
}

impl Source {
    /// The one place that was said.
    fn secret(self, name: &str) -> Result<Option<Secret>, String> {
        match (self.plain, self.file, self.env) {
            (None, None, None) => Ok(None),
            (Some(plain), None, None) => Ok(Some(Secret::Plain(plain))),
            (None, Some(file), None) => Ok(Some(Secret::File(PathBuf::from(file)))),
            (None, None, Some(env)) => Ok(Some(Secret::Environment(env))),
            _ => Err(format!(
                "its {name} is told more than once: write one of {name}, {name}_file, {name}_env"
            )),
        }
    }
}

fn login(user: Option<String>, password: Source) -> Result<Option<(String, Secret)>, String> {
    match (user, password.secret("password")?) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some((user, password))),
        _ => Err("it has a user or a password, but not both".to_owned()),
    }
}

/// `host`, `host:port`, `[::1]:port`.
fn host_and_port(server: &str, usual: u16) -> Result<(String, u16), String> {
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse().map_err(|_| "the port of its server is no number".to_owned());
            (host, port?)
        }
        _ => (server, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err("its server is no name of a host: write \"mail.example:587\"".to_owned());
    }
    Ok((host.to_owned(), port))
}
