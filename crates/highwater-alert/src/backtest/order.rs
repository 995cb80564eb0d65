//! Which rules belong together, and in which order they are evaluated: what is made before what asks
//! for it.

use std::collections::BTreeSet;

use highwater_core::series::{Labels, Matcher, NAME};

use crate::rule::{Group, Kind, Rule, RuleFile};

/// What alerts are recorded as.
pub(super) const ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// A rule whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'r> {
    pub(super) file: &'r str,
    pub(super) group: &'r Group,
    pub(super) rule: &'r Rule,
    /// The how manyeth of all it is as they are written.
    pub(super) place: usize,
    /// Whether another rule, or itself, asks for what it makes.
    pub(super) is_asked: bool,
}

/// Rules that need each other and no others, in their order.
pub(super) struct Chain<'r> {
    pub(super) turns: Vec<Turn<'r>>,
    /// Whether what is asked for depends on who asks: only step by step can be told what comes of it.
    pub(super) is_circle: bool,
}

/// All rules, with those that ask for results together with those that make them. In a circle they
/// are as they are written.
pub(super) fn chains(files: &[RuleFile]) -> Vec<Chain<'_>> {
    let all = files.iter().flat_map(|file| {
        file.groups.iter().flat_map(|group| {
            let turn = |rule| Turn { file: &file.name, group, rule, place: 0, is_asked: false };
            group.rules.iter().map(turn)
        })
    });
    let turns: Vec<Turn<'_>> =
        all.enumerate().map(|(place, turn)| Turn { place, ..turn }).collect();
    let asked: Vec<Vec<Vec<Matcher>>> = turns.iter().map(|turn| asked(turn.rule)).collect();
    let needs = |asking: &Turn<'_>, made: &Turn<'_>| {
        let asked = asked.get(asking.place);
        asked.is_some_and(|asked| asked.iter().any(|matchers| made.is_meant(matchers)))
    };
    let pairs = turns.iter().flat_map(|asking| turns.iter().map(move |made| (asking, made)));
    let needed: BTreeSet<(usize, usize)> = pairs
        .filter(|(asking, made)| needs(asking, made))
        .map(|(asking, made)| (asking.place, made.place))
        .collect();
    let made: BTreeSet<usize> = needed.iter().map(|(_, made)| *made).collect();
    let group = |places: BTreeSet<usize>| {
        let own = turns.iter().filter(|turn| places.contains(&turn.place));
        let own = own.map(|turn| Turn { is_asked: made.contains(&turn.place), ..*turn });
        in_order(own.collect(), &needed)
    };
    together(turns.len(), &needed).into_iter().map(group).collect()
}

/// What a rule asks for by name.
fn asked(rule: &Rule) -> Vec<Vec<Matcher>> {
    let asked = rule.query.asked().into_iter().map(|asked| asked.matchers);
    asked.filter(|all| all.iter().any(|matcher| matcher.name == NAME)).collect()
}

impl Turn<'_> {
    pub(super) const fn is_alert(&self) -> bool {
        matches!(self.rule.kind, Kind::Alert { .. })
    }

    /// Whether what it makes may be what is asked for.
    fn is_meant(&self, matchers: &[Matcher]) -> bool {
        let has = |label: &str, value: &str| {
            let labels = Labels::new([(label, value)]);
            matchers.iter().filter(|one| one.name == label).all(|one| one.accepts(&labels))
        };
        match &self.rule.kind {
            Kind::Record(name) => has(NAME, name),
            Kind::Alert { name, .. } => {
                ALERTS.iter().any(|metric| has(NAME, metric)) && has("alertname", name)
            }
        }
    }
}

/// The places of rules that need each other, in order of the first of them.
fn together(count: usize, needed: &BTreeSet<(usize, usize)>) -> Vec<BTreeSet<usize>> {
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for place in 0..count {
        let is_near = |group: &BTreeSet<usize>| {
            let joins = |other: &usize| {
                needed.contains(&(place, *other)) || needed.contains(&(*other, place))
            };
            group.iter().any(joins)
        };
        let (near, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_near);
        groups = apart;
        groups.push(near.into_iter().flatten().chain([place]).collect());
    }
    groups.sort();
    groups
}

/// Each rule after those whose results it asks for.
fn in_order<'r>(mut waiting: Vec<Turn<'r>>, needed: &BTreeSet<(usize, usize)>) -> Chain<'r> {
    let mut turns = Vec::with_capacity(waiting.len());
    let mut is_circle = false;
    while !waiting.is_empty() {
        let open: Vec<usize> = waiting.iter().map(|turn| turn.place).collect();
        let is_ready =
            |turn: &Turn<'_>| !open.iter().any(|made| needed.contains(&(turn.place, *made)));
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        waiting = rest;
        if ready.is_empty() {
            is_circle = true;
            turns.append(&mut waiting);
        }
        turns.extend(ready);
    }
    Chain { turns, is_circle }
}
