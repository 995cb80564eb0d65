//! The groups of rules with their states: when each is due, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_alert::dispatch::Report;
use highwater_alert::{Alert, GroupState, Kind, Rule, State, Terms, evaluate};
use highwater_core::print::fnv1a;
use highwater_core::series::{Labels, STALE, SeriesSource};
use highwater_core::time::{BootTime, WallTime};

use super::book::{Book, Chapter};
use super::context::Scene;
use crate::clock;

/// The groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Running>,
    /// Of groups that an earlier agent had, by key; those that have no group any more go.
    left: BTreeMap<String, String>,
    begun: bool,
    /// Series of groups that are no more, to be ended with the next round.
    ended: Vec<Labels>,
    /// The keys of those groups.
    gone: Vec<String>,
    /// Alerts began or ended since the last time that was stored.
    news: bool,
    missed: u64,
}

/// A group and how it stands.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) chapter: Chapter,
    pub(super) state: GroupState,
    /// How long the last evaluation took.
    pub(super) lasted: Duration,
    /// The interval in which it was evaluated last, counted from the start of the machine.
    turn: u64,
    /// The state as it is stored.
    stored: String,
}

impl Running {
    fn new(chapter: Chapter, state: GroupState, now: BootTime) -> Self {
        let lasted = Duration::ZERO;
        let mut new = Self { chapter, state, lasted, turn: 0, stored: String::new() };
        // Not at once: each comes at its own moment of the interval.
        new.turn = new.turn_at(now);
        new
    }

    /// Which interval a moment is in. Those of different groups begin at different moments, by
    /// their names, so that not all are evaluated at once.
    fn turn_at(&self, now: BootTime) -> u64 {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        let interval = micros(self.chapter.interval);
        let offset = fnv1a(self.chapter.key().as_bytes()) % interval;
        now.micros().saturating_add(offset) / interval
    }
}

impl Groups {
    /// What an earlier agent left, by key.
    pub(super) fn restore(&mut self, left: Vec<(String, String)>) {
        self.left = left.into_iter().filter(|(key, _)| key.starts_with("rules:")).collect();
    }

    /// Whether there were rules before.
    pub(super) const fn is_begun(&self) -> bool {
        self.begun
    }

    /// Goes on by these rules. A group that was there before keeps the states of the rules that are
    /// the same.
    pub(super) fn take(&mut self, book: &Book, now: BootTime) {
        let mut before: BTreeMap<String, Running> =
            self.all.drain(..).map(|running| (running.chapter.key(), running)).collect();
        for chapter in &book.chapters {
            let key = chapter.key();
            let left = self.left.remove(&key).and_then(|text| serde_json::from_str(&text).ok());
            let old = before.remove(&key).map(|running| running.state).or(left);
            let state = match old {
                Some(state) => GroupState::reloaded(state, &chapter.group),
                None => GroupState::new(&chapter.group),
            };
            self.all.push(Running::new(chapter.clone(), state, now));
        }
        for (key, old) in before {
            self.end(key, old.state);
        }
        for (key, text) in std::mem::take(&mut self.left) {
            self.end(key, serde_json::from_str(&text).unwrap_or_default());
        }
        (self.begun, self.news) = (true, true);
    }

    /// A group is no more.
    fn end(&mut self, key: String, state: GroupState) {
        self.ended.extend(state.into_series());
        self.gone.push(key);
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Running] {
        &self.all
    }

    /// How many evaluations were left out, because those before took too long.
    pub(super) const fn missed(&self) -> u64 {
        self.missed
    }

    /// Which are due. One that was late is due once.
    pub(super) fn due(&mut self, now: BootTime) -> Vec<usize> {
        let mut due = vec![];
        for (place, running) in self.all.iter_mut().enumerate() {
            let turn = running.turn_at(now);
            if turn > running.turn {
                self.missed = self.missed.saturating_add(turn - running.turn - 1);
                running.turn = turn;
                due.push(place);
            }
        }
        due
    }

    /// Whether groups that are no more are still to be ended.
    pub(super) const fn is_ending(&self) -> bool {
        !self.ended.is_empty() || !self.gone.is_empty()
    }

    /// Evaluates those that are due; what they recorded.
    pub(super) fn evaluate(
        &mut self,
        due: &[usize],
        source: &dyn SeriesSource,
        at: WallTime,
        terms: &Terms,
    ) -> Vec<(Labels, f64)> {
        let ended = std::mem::take(&mut self.ended).into_iter();
        let mut samples: Vec<(Labels, f64)> = ended.map(|labels| (labels, STALE)).collect();
        for place in due {
            let Some(running) = self.all.get_mut(*place) else { continue };
            let (began, before) = (clock::now().boot, standing(&running.state));
            let recorded = evaluate(&running.chapter.group, &mut running.state, source, at, terms);
            samples.extend(recorded.into_iter().map(|one| (one.labels, one.value)));
            running.lasted = clock::now().boot.since(began);
            self.news |= before != standing(&running.state);
        }
        samples
    }

    /// Nothing could be evaluated, for this reason.
    pub(super) fn fail(&mut self, due: &[usize], why: &str, at: WallTime) {
        for place in due {
            let Some(running) = self.all.get_mut(*place) else { continue };
            running.state.fail(why, at);
        }
    }

    /// What is to be said of the alerts that fire or have just ended.
    pub(super) fn reports(&self, scene: &Scene) -> Vec<Report> {
        let mut reports = vec![];
        for running in &self.all {
            for (rule, state) in running.chapter.group.rules.iter().zip(&running.state.rules) {
                if matches!(rule.kind, Kind::Alert { .. }) {
                    let told = state.alerts.iter().filter_map(|alert| report(rule, alert, scene));
                    reports.extend(told);
                }
            }
        }
        reports
    }

    /// Whether alerts began or ended since [`Groups::kept`].
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// The states that are not stored as they are, by key.
    pub(super) fn saved(&mut self) -> Vec<(String, String)> {
        let mut saved = vec![];
        for running in &mut self.all {
            // A struct of texts and numbers cannot fail to become JSON.
            let text = serde_json::to_string(&running.state).unwrap_or_default();
            if text != running.stored {
                running.stored.clone_from(&text);
                saved.push((running.chapter.key(), text));
            }
        }
        saved
    }

    /// The keys of groups that are no more, until that is stored.
    pub(super) fn gone(&self) -> Vec<String> {
        self.gone.clone()
    }

    /// What was saved last is stored.
    pub(super) fn kept(&mut self) {
        self.news = false;
        self.gone.clear();
    }

    /// What was saved last is not stored: all of it is to be saved again.
    pub(super) fn lost(&mut self) {
        self.all.iter_mut().for_each(|running| running.stored.clear());
    }
}

/// Which alerts there are and how they stand, without what changes with each evaluation.
fn standing(state: &GroupState) -> BTreeSet<(Labels, State)> {
    let alerts = state.rules.iter().flat_map(|rule| &rule.alerts);
    alerts.map(|alert| (alert.labels.clone(), alert.state)).collect()
}

/// What is said of an alert.
fn report(rule: &Rule, alert: &Alert, scene: &Scene) -> Option<Report> {
    if alert.state == State::Pending {
        return None;
    }
    let mut named = alert.clone();
    for (name, value) in scene.external_labels() {
        if named.labels.get(name).is_empty() {
            named.labels.set(name, value);
        }
    }
    Report::of(&named, scene.expression(&rule.expr), scene.context(&alert.labels, alert.active_at))
}
