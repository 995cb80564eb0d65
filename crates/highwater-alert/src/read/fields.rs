//! The fields of a mapping: known, at most once, of the right kind.

use std::collections::HashSet;
use std::time::Duration;

use super::span_of;
use crate::fault::{Fault, Place};
use crate::yaml::{Content, Node};

/// Whoever reads more faults than these has stopped reading.
const MOST_FAULTS: usize = 100;
/// A key of YAML that merges other mappings into this one.
const MERGE: &str = "<<";

/// What was found to be wrong so far.
pub(crate) struct Reader {
    file: String,
    faults: Vec<Fault>,
}

impl Reader {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), faults: Vec::new() }
    }

    pub(crate) fn fault(&mut self, place: Place, what: String) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { file: self.file.clone(), place, what });
        }
    }

    /// All faults in order of place.
    pub(crate) fn end(mut self) -> Result<(), Vec<Fault>> {
        self.faults.sort_by_key(|fault| fault.place);
        self.faults.dedup();
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    /// The items of a list.
    pub(crate) fn items<'a>(&mut self, node: &'a Node, field: &str) -> &'a [Node] {
        match &node.content {
            Content::List(items) => items,
            _ if node.is_null() => &[],
            _ => {
                let what = format!("{field}: is a list, and here stands {}", node.kind());
                self.fault(node.place, what);
                &[]
            }
        }
    }

    /// The entries of a mapping, with what it merges; each key once.
    pub(crate) fn entries<'a>(&mut self, node: &'a Node, what: &str) -> Vec<(&'a Node, &'a Node)> {
        let Content::Map(entries) = &node.content else {
            if !node.is_null() {
                let what = format!("{what} is a mapping, and here stands {}", node.kind());
                self.fault(node.place, what);
            }
            return Vec::new();
        };
        let mut seen = HashSet::new();
        let mut own = Vec::new();
        let mut merged = Vec::new();
        for (key, value) in entries {
            match key.text() {
                Some(MERGE) => merged.extend(self.merged(value)),
                Some(name) if !seen.insert(name) => {
                    let what = format!("{name:?} is set twice: take one of the two away");
                    self.fault(key.place, what);
                }
                Some(_) => own.push((key, value)),
                None => self.fault(key.place, format!("a key is a text, not {}", key.kind())),
            }
        }
        for (key, value) in merged {
            if key.text().is_some_and(|name| seen.insert(name)) {
                own.push((key, value));
            }
        }
        own
    }

    /// The entries of what is merged: a mapping, or a list of them, of which the first counts.
    fn merged<'a>(&mut self, node: &'a Node) -> Vec<(&'a Node, &'a Node)> {
        match &node.content {
            Content::Map(_) => self.entries(node, "what is merged"),
            Content::List(items) => {
                items.iter().flat_map(|item| self.entries(item, "what is merged")).collect()
            }
            Content::Scalar(_) => {
                self.fault(node.place, "what is merged with << is a mapping".into());
                Vec::new()
            }
        }
    }

    /// The texts of an entry.
    pub(crate) fn pair(&mut self, key: &Node, value: &Node) -> Option<(String, String)> {
        let name = key.text()?;
        let Some(text) = value.text() else {
            self.fault(value.place, format!("{name}: is a text, and here stands {}", value.kind()));
            return None;
        };
        Some((name.to_owned(), text.to_owned()))
    }
}

/// The fields of one mapping that nobody has taken yet.
pub(crate) struct Fields<'a> {
    entries: Vec<(&'a Node, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which is `what` and may have those that are `known`.
    pub(crate) fn of(reader: &mut Reader, node: &'a Node, what: &str, known: &[&str]) -> Self {
        let mut entries = reader.entries(node, what);
        if node.is_null() {
            reader.fault(node.place, format!("{what} is a mapping, and here stands nothing"));
        }
        entries.retain(|(key, _)| {
            let name = key.text().unwrap_or_default();
            let is_known = known.contains(&name);
            if !is_known {
                let all = known.join(", ");
                reader.fault(key.place, format!("{what} has no field {name:?}: it has {all}"));
            }
            is_known
        });
        Self { entries }
    }

    /// Where a field's key stands.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        let entry = self.entries.iter().find(|(key, _)| key.text() == Some(name));
        entry.map(|(key, _)| key.place)
    }

    /// The value of a field.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a Node> {
        let at = self.entries.iter().position(|(key, _)| key.text() == Some(name))?;
        Some(self.entries.swap_remove(at).1)
    }

    /// A text.
    pub(crate) fn text(&mut self, reader: &mut Reader, name: &str) -> Option<String> {
        let node = self.take(name)?;
        let text = node.text().map(str::to_owned);
        if text.is_none() {
            let what = format!("{name}: is a text, and here stands {}", node.kind());
            reader.fault(node.place, what);
        }
        text
    }

    /// A duration.
    pub(crate) fn span(&mut self, reader: &mut Reader, name: &str) -> Option<Duration> {
        let place = self.entries.iter().find(|(key, _)| key.text() == Some(name))?.1;
        let text = self.text(reader, name)?;
        if place.is_null() {
            return None;
        }
        let span = span_of(&text).map_err(|what| reader.fault(place.place, what));
        span.ok()
    }

    /// A number of things.
    pub(crate) fn count(&mut self, reader: &mut Reader, name: &str) -> usize {
        let Some((_, node)) = self.entries.iter().find(|(key, _)| key.text() == Some(name)) else {
            return 0;
        };
        let place = node.place;
        let text = self.text(reader, name).unwrap_or_default();
        // Prometheus takes what is below zero for no limit.
        match text.parse::<i64>() {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(_) if text.is_empty() => 0,
            Err(_) => {
                reader.fault(place, format!("{name}: is a whole number, not {text:?}"));
                0
            }
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, reader: &mut Reader, name: &str) -> bool {
        let place = self.place(name);
        match self.text(reader, name).as_deref() {
            Some("true") => true,
            Some("false" | "") | None => false,
            Some(other) => {
                let what = format!("{name}: is true or false, not {other:?}");
                reader.fault(place.unwrap_or_default(), what);
                false
            }
        }
    }

    /// A number as YAML has it; zero if there is none.
    pub(crate) fn number(&mut self, reader: &mut Reader, name: &str) -> f64 {
        let place = self.place(name);
        let text = self.text(reader, name).unwrap_or_default();
        let (sign, size) = text.strip_prefix('-').map_or((1.0, &*text), |rest| (-1.0, rest));
        match size.strip_prefix('+').unwrap_or(size) {
            "" => 0.0,
            ".inf" | ".Inf" | ".INF" => sign * f64::INFINITY,
            ".nan" | ".NaN" | ".NAN" => f64::NAN,
            plain => match highwater_promql::notation::number(&plain.replace('_', "")) {
                Some(value) if value.is_finite() => sign * value,
                _ => {
                    let what = format!("{name}: is a number, not {text:?}");
                    reader.fault(place.unwrap_or_default(), what);
                    0.0
                }
            },
        }
    }
}
