//! What a key is, and what walks the table of them.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::text;
use highwater_core::units::{Bytes, Permille};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::amount::{share, share_text, size, size_text, span, span_text};
use super::fault::{ConfigError, Fault, Wrong};
use super::receiver::{Draft, ReceiverKey, ReceiverKind};
use super::table::KEYS;

/// Each is walked once in a round; a machine has its logs in a few places.
const MOST_FOLDERS: usize = 16;

/// A machine has a few names, and a few who ask it.
const MOST_TEXTS: usize = 64;

/// As long as a path may be.
const MOST_TEXT_BYTES: usize = 4096;

/// How much of a wrong value is repeated.
const SHOWN_CHARS: usize = 60;

/// One key: its place, its meaning, its default, what it may be.
#[derive(Debug)]
pub struct Key {
    /// Section and name: `sample.every`.
    pub path: &'static str,
    /// The default as it is written in the file.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    pub(super) kind: Kind,
}

/// What a key's value is, within which bounds, and where it goes.
#[derive(Debug)]
pub(super) enum Kind {
    Span((Duration, Duration), fn(&mut Config) -> &mut Duration),
    Size((Bytes, Bytes), fn(&mut Config) -> &mut Bytes),
    Share((Permille, Permille), fn(&mut Config) -> &mut Permille),
    Number((i32, i32), fn(&mut Config) -> &mut i32),
    Count((u32, u32), fn(&mut Config) -> &mut u32),
    Switch(fn(&mut Config) -> &mut bool),
    Folders(fn(&mut Config) -> &mut Vec<PathBuf>),
    Address(fn(&mut Config) -> &mut SocketAddr),
    /// A text that may be empty; what it is, and an example.
    Text(&'static str, fn(&mut Config) -> &mut String),
    /// Texts, none of them empty; what they are, and an example.
    Texts(&'static str, fn(&mut Config) -> &mut Vec<String>),
    /// The same, where what is there by mistake could be a secret: it is never repeated.
    Hashes(&'static str, fn(&mut Config) -> &mut Vec<String>),
}

impl Key {
    /// The section, and the name in it.
    pub fn place(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }

    /// What the value may be, in words.
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Span((least, most), _) => {
                format!("a duration from \"{}\" to \"{}\"", span_text(*least), span_text(*most))
            }
            Kind::Size((least, most), _) => {
                format!("a size from \"{}\" to \"{}\"", size_text(*least), size_text(*most))
            }
            Kind::Share((least, most), _) => {
                format!("a share from \"{}\" to \"{}\"", share_text(*least), share_text(*most))
            }
            Kind::Number((least, most), _) => format!("a whole number from {least} to {most}"),
            Kind::Count((least, most), _) => format!("a whole number from {least} to {most}"),
            Kind::Switch(_) => "true or false".to_owned(),
            Kind::Folders(_) => {
                format!("a list of at most {MOST_FOLDERS} folders, as in [\"/var/log\"]")
            }
            Kind::Address(_) => {
                "an address and a port, as in \"127.0.0.1:9477\" or \"[::1]:9477\"".to_owned()
            }
            Kind::Text(what, _) => format!("{what}, or nothing: \"\""),
            Kind::Texts(what, _) | Kind::Hashes(what, _) => {
                format!("a list of at most {MOST_TEXTS} {what}")
            }
        }
    }

    /// Whether two configurations differ in it.
    fn differs(&self, one: &Config, other: &Config) -> bool {
        let (mut one, mut other) = (one.clone(), other.clone());
        let (one, other) = (&mut one, &mut other);
        match &self.kind {
            Kind::Span(_, slot) => slot(one) != slot(other),
            Kind::Size(_, slot) => slot(one) != slot(other),
            Kind::Share(_, slot) => slot(one) != slot(other),
            Kind::Number(_, slot) => slot(one) != slot(other),
            Kind::Count(_, slot) => slot(one) != slot(other),
            Kind::Folders(slot) => slot(one) != slot(other),
            Kind::Switch(slot) => slot(one) != slot(other),
            Kind::Address(slot) => slot(one) != slot(other),
            Kind::Text(_, slot) => slot(one) != slot(other),
            Kind::Texts(_, slot) | Kind::Hashes(_, slot) => slot(one) != slot(other),
        }
    }

    /// Whether a change of it waits for the next start: what it says is opened or asked for once.
    pub fn needs_restart(&self) -> bool {
        matches!(
            self.place(),
            ("web" | "kmsg" | "witness", _) | ("agent", "lock_memory" | "oom_score_adj")
        )
    }

    /// Puts `value` where it belongs, or says why it cannot be.
    fn set(&self, config: &mut Config, value: &DeValue<'_>) -> Result<(), String> {
        match &self.kind {
            Kind::Span(bounds, slot) => *slot(config) = within(bounds, span(string(value)?)?)?,
            Kind::Size(bounds, slot) => *slot(config) = within(bounds, size(string(value)?)?)?,
            Kind::Share(bounds, slot) => *slot(config) = within(bounds, share(string(value)?)?)?,
            Kind::Number(bounds, slot) => *slot(config) = within(bounds, number(value)?)?,
            Kind::Count(bounds, slot) => *slot(config) = within(bounds, number(value)?)?,
            Kind::Folders(slot) => *slot(config) = folders(value)?,
            Kind::Switch(slot) => {
                *slot(config) = value.as_bool().ok_or_else(|| not("a switch", value))?;
            }
            Kind::Address(slot) => {
                let address = string(value)?.parse();
                *slot(config) = address.map_err(|_| "it is no such address".to_owned())?;
            }
            Kind::Text(_, slot) => *slot(config) = text(value)?,
            Kind::Texts(_, slot) | Kind::Hashes(_, slot) => *slot(config) = texts(value)?,
        }
        Ok(())
    }
}

fn within<T: PartialOrd + Copy>((least, most): &(T, T), amount: T) -> Result<T, String> {
    match amount {
        _ if amount < *least => Err("it is too small".to_owned()),
        _ if amount > *most => Err("it is too large".to_owned()),
        _ => Ok(amount),
    }
}

/// A duration within `bounds`, which are told if it is not.
pub(super) fn span_within(
    bounds: &(Duration, Duration),
    value: &DeValue<'_>,
) -> Result<Duration, String> {
    let (least, most) = bounds;
    within(bounds, span(string(value)?)?).map_err(|why| {
        format!("{why}: it may be \"{}\" to \"{}\"", span_text(*least), span_text(*most))
    })
}

fn string<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| not("a text in quotes", value))
}

pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = string(value)?;
    if text.len() > MOST_TEXT_BYTES || text.chars().any(char::is_control) {
        return Err(format!("it is longer than {MOST_TEXT_BYTES} bytes, or not printable"));
    }
    Ok(text.to_owned())
}

pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or_else(|| not("a list", value))?;
    if list.len() > MOST_TEXTS {
        return Err("it is too long".to_owned());
    }
    let entry = |entry: &Spanned<DeValue<'_>>| match text(entry.get_ref())? {
        text if text.is_empty() => Err("an entry in it is empty".to_owned()),
        text => Ok(text),
    };
    list.iter().map(entry).collect()
}

fn number<T: TryFrom<i64>>(value: &DeValue<'_>) -> Result<T, String> {
    let integer = value.as_integer().ok_or_else(|| not("a whole number", value))?;
    i64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| "it is out of range".to_owned())
}

/// Folders by their whole paths: the agent's working directory is nobody's business.
fn folders(value: &DeValue<'_>) -> Result<Vec<PathBuf>, String> {
    let list = value.as_array().ok_or_else(|| not("a list", value))?;
    if list.len() > MOST_FOLDERS {
        return Err("it is too long".to_owned());
    }
    let folder = |entry: &Spanned<DeValue<'_>>| {
        let path = PathBuf::from(string(entry.get_ref())?);
        if path.is_absolute() { Ok(path) } else { Err("a path in it is not absolute".to_owned()) }
    };
    list.iter().map(folder).collect()
}

pub(super) fn not(wanted: impl Display, value: &DeValue<'_>) -> String {
    format!("it is not {wanted} but of type {}", value.type_str())
}

/// Reads `text` as a configuration.
pub(super) fn read(text: &str, file: &str) -> Result<Config, ConfigError> {
    let (config, faults, receivers) = (Config::default(), Vec::new(), Vec::new());
    let mut reading = Reading { text, file, config, faults, receivers };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let why = text::escape(error.message().as_bytes()).into_owned();
        reading.fault(error.span().map_or(0, |at| at.start), Wrong::Syntax { why });
    }
    // What was understood of a broken file would only give faults that are none.
    if errors.is_empty() {
        reading.document(document.get_ref());
    }
    reading.finish()
}

/// The keys in which two configurations differ.
pub(super) fn changes<'c>(
    one: &'c Config,
    other: &'c Config,
) -> impl Iterator<Item = &'static Key> + 'c {
    KEYS.iter().filter(|key| key.differs(one, other))
}

struct Reading<'t> {
    text: &'t str,
    file: &'t str,
    config: Config,
    faults: Vec<Fault>,
    /// Where each begins, what it is, and what is said of it.
    receivers: Vec<(usize, ReceiverKind, Draft)>,
}

impl Reading<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let (at, path) = (name.span().start, name.get_ref());
            let is_section = KEYS.iter().any(|key| key.place().0 == path);
            match value.get_ref().as_table() {
                Some(section) if is_section || !section.is_empty() => self.section(path, section),
                None if is_section => {
                    let write = format!("[{path}] and its keys below it");
                    self.fault(at, Wrong::Misplaced { path: path.to_string(), write });
                }
                _ => self.unknown(at, path),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = format!("{section}.{}", name.get_ref());
            let at = name.span().start;
            let kind = (section == "notify").then(|| ReceiverKind::named(name.get_ref())).flatten();
            if let Some(kind) = kind {
                self.receivers(at, kind, value.get_ref());
                continue;
            }
            match KEYS.iter().find(|key| key.path == path) {
                None => self.unknown(at, &path),
                Some(key) if value.get_ref().is_table() => {
                    let write = format!("{} = {}", key.place().1, key.default);
                    self.fault(at, Wrong::Misplaced { path, write });
                }
                Some(key) => self.value(key, value),
            }
        }
    }

    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let Err(why) = key.set(&mut self.config, value.get_ref()) else { return };
        let source = self.text.get(value.span()).unwrap_or_default();
        let value_text = match key.kind {
            Kind::Hashes(..) => "…".to_owned(),
            _ => shown(source),
        };
        let path = key.path.to_owned();
        let wrong = Wrong::BadValue { path, value: value_text, why, allowed: key.allowed() };
        self.fault(value.span().start, wrong);
    }

    /// The tables `[[notify.slack]]`, say.
    fn receivers(&mut self, at: usize, kind: ReceiverKind, value: &DeValue<'_>) {
        let tables = value.as_array().filter(|list| list.iter().all(|it| it.get_ref().is_table()));
        let Some(tables) = tables else {
            let path = format!("notify.{}", kind.word());
            let write = format!("[[{path}]] and its keys below it");
            return self.fault(at, Wrong::Misplaced { path, write });
        };
        for table in tables {
            let mut draft = Draft::default();
            for (name, value) in table.get_ref().as_table().into_iter().flatten() {
                self.receiver_key(kind, &mut draft, name, value);
            }
            self.receivers.push((table.span().start, kind, draft));
        }
    }

    fn receiver_key(
        &mut self,
        kind: ReceiverKind,
        draft: &mut Draft,
        name: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let (at, name) = (name.span().start, name.get_ref());
        let path = format!("notify.{}.{}", kind.word(), shown(name));
        let Some(key) = ReceiverKey::find(kind, name) else {
            let meant = ReceiverKey::near(kind, name);
            return self.fault(at, Wrong::UnknownKey { path, meant });
        };
        if let Err(why) = key.set(draft, value.get_ref()) {
            let source = self.text.get(value.span()).unwrap_or_default();
            let value_text = if key.is_secret() { "…".to_owned() } else { shown(source) };
            let allowed = key.allowed().to_owned();
            let wrong = Wrong::BadValue { path, value: value_text, why, allowed };
            self.fault(value.span().start, wrong);
        }
    }

    /// Makes the receivers, when all that they have in common has been read.
    fn make_receivers(&mut self) {
        for (at, kind, draft) in std::mem::take(&mut self.receivers) {
            match draft.receiver(kind, &self.config.notify) {
                Ok(receiver) => self.config.notify.receivers.push(receiver),
                Err(why) => self.fault(at, Wrong::Receiver { kind: kind.word(), why }),
            }
        }
    }

    fn unknown(&mut self, at: usize, path: &str) {
        self.fault(at, Wrong::UnknownKey { path: shown(path), meant: nearest(path) });
    }

    fn fault(&mut self, at: usize, wrong: Wrong) {
        let before = self.text.as_bytes().iter().take(at);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        self.faults.push(Fault { file: self.file.to_owned(), line, wrong });
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        // One of which a key is wrong lacks it: that would be told twice.
        if self.faults.is_empty() {
            self.make_receivers();
        }
        if self.faults.is_empty() {
            return Ok(self.config);
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(ConfigError::Faults(self.faults))
    }
}

/// `text` on one line, not too long.
fn shown(text: &str) -> String {
    let escaped = text::escape(text.as_bytes());
    match escaped.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", escaped.get(..end).unwrap_or_default()),
        None => escaped.into_owned(),
    }
}

/// The key or section that `path` was probably meant to be: one that is spelt nearly so, or the
/// same name in another section.
fn nearest(path: &str) -> Option<&'static str> {
    // Nobody's slip is that long, and the distance takes the product of both lengths.
    if path.len() > SHOWN_CHARS {
        return None;
    }
    let sections = KEYS.iter().map(|key| key.place().0).filter(|_| !path.contains('.'));
    let known = KEYS.iter().map(|key| key.path).chain(sections);
    let (slips, near) = known
        .map(|known| (strsim::osa_distance(path, known), known))
        .min_by_key(|(slips, _)| *slips)?;
    if slips <= path.len() / 3 {
        return Some(near);
    }
    let name = path.rsplit('.').next()?;
    KEYS.iter().find(|key| key.place().1 == name).map(|key| key.path)
}

pub(super) fn commented_default() -> String {
    let mut out = "# highwater agent: every key with its default. Take away the # before a key to change it.\n\
        # Durations: ms, s, min, h, d, w (\"1h30min\"). Sizes: KiB, MiB, GiB, TiB, kB, MB, GB, TB.\n"
        .to_owned();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.place();
        if of != section {
            section = of;
            out.extend(["\n[", section, "]\n"]);
        }
        for line in wrapped(&format!("{} Allowed: {}.", key.doc, key.allowed())) {
            out.extend(["# ", &line, "\n"]);
        }
        out.extend(["#", name, " = ", key.default, "\n"]);
    }
    out
}

/// `text` in lines of at most 96 characters, to stay within 100 with the comment sign.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 96 => {
                line.extend([" ", word]);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
