//! In which order rules are evaluated: what is recorded before what asks for it.

use std::collections::BTreeSet;

use crate::rule::{Group, Kind, Rule, RuleFile};

/// A rule whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'r> {
    pub(super) file: &'r str,
    pub(super) group: &'r Group,
    pub(super) rule: &'r Rule,
    /// The how manyeth of all it is as they are written.
    pub(super) place: usize,
}

impl<'r> Turn<'r> {
    pub(super) const fn is_alert(&self) -> bool {
        matches!(self.rule.kind, Kind::Alert { .. })
    }

    fn records(&self) -> Option<&'r str> {
        match &self.rule.kind {
            Kind::Record(name) => Some(name),
            Kind::Alert { .. } => None,
        }
    }
}

/// All rules, such that each comes after those whose results it asks for; in a circle, and where
/// nothing is asked for by name, as they are written.
pub(super) fn in_order(files: &[RuleFile]) -> Vec<Turn<'_>> {
    let all = files.iter().flat_map(|file| {
        file.groups.iter().flat_map(|group| {
            group.rules.iter().map(|rule| Turn { file: &file.name, group, rule, place: 0 })
        })
    });
    let mut waiting: Vec<Turn<'_>> =
        all.enumerate().map(|(place, turn)| Turn { place, ..turn }).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let open: BTreeSet<&str> = waiting.iter().filter_map(Turn::records).collect();
        let is_ready = |turn: &Turn<'_>| {
            let asked = turn.rule.query.metrics();
            asked.iter().all(|name| !open.contains(name) || turn.records() == Some(*name))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        waiting = rest;
        if ready.is_empty() {
            ordered.append(&mut waiting);
        }
        ordered.extend(ready);
    }
    ordered
}
