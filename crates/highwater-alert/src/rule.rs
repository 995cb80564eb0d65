//! What a rule file says, in our own types.

use std::collections::BTreeSet;
use std::time::Duration;

use highwater_promql::Query;

use crate::fault::Place;
use crate::template::Texts;

/// A file of rules.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// How it is called where it is spoken of: mostly its path.
    pub name: String,
    /// Its groups, in its order; their names differ.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated together, one after another.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// How often it is evaluated; `None`: as often as the whole is set to.
    pub interval: Option<Duration>,
    /// So far in the past its expressions are evaluated.
    pub query_offset: Option<Duration>,
    /// More alerts or series than this are an error of the rule; 0 is without limit.
    pub limit: usize,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands.
    pub place: Place,
    /// What is evaluated.
    pub query: Query,
    /// The same as it was written.
    pub expr: String,
    /// Its labels and those of its group that it does not set itself, as written: of an alert they
    /// are templates.
    pub labels: Vec<(String, String)>,
    /// What becomes of the result.
    pub kind: Kind,
    /// Its labels and annotations, as far as they are templates.
    pub(crate) texts: Texts,
}

/// What becomes of a rule's result.
#[derive(Clone, Debug)]
pub enum Kind {
    /// It is recorded under this name.
    Record(String),
    /// Each series of it is an alert.
    Alert {
        /// The alert's name.
        name: String,
        /// So long it is pending before it fires (`for`).
        hold: Duration,
        /// So long it goes on firing when nothing matches any more (`keep_firing_for`).
        keep: Duration,
        /// Its annotations, templates.
        annotations: Vec<(String, String)>,
    },
}

impl RuleFile {
    /// The rules that are the same as one before, with the place of that: the same kind, name and
    /// labels, so that what they make cannot be told apart.
    pub fn duplicates(files: &[Self]) -> Vec<(&Self, &Rule)> {
        let mut seen = BTreeSet::new();
        let rules = files.iter().flat_map(|file| {
            file.groups
                .iter()
                .flat_map(move |group| group.rules.iter().map(move |rule| (file, rule)))
        });
        rules.filter(|(_, rule)| !seen.insert((rule.word(), rule.name(), &rule.labels))).collect()
    }
}

impl Rule {
    /// The name of the alert, or of the series that it records.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Record(name) | Kind::Alert { name, .. } => name,
        }
    }

    /// What it is, as its field is called: `record` or `alert`.
    pub const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Record(_) => "record",
            Kind::Alert { .. } => "alert",
        }
    }
}
