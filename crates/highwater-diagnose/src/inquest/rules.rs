//! What it was: rules in the order of the strength of what they stand on. The first that finds
//! something has found the cause.

mod container;
mod memory;
mod own;
mod signal;
mod unit;

use highwater_core::evidence::Claim;
use highwater_core::id::CgroupPath;
use highwater_core::limit::Limit;
use highwater_core::testimony::Party;
use highwater_core::units::Bytes;

use super::scene::Scene;
use super::timeline::Item;
use super::ways::Way;
use super::{Cause, OomKill};
use crate::death::Confidence;

/// What a rule found.
#[derive(Clone, Debug)]
pub(super) struct Finding<'t> {
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) claims: Vec<Claim>,
    /// Who sent the signal.
    pub(super) sender: Option<Party>,
    /// Whose command led to it, where that is not who sent the signal.
    pub(super) command: Option<&'t Item<'t>>,
    pub(super) limited_by: Option<CgroupPath>,
    /// That limit.
    pub(super) limit: Option<Limit>,
    /// What was held there.
    pub(super) usage: Option<Bytes>,
    /// The report of the kill: [`super::OomKill::key`].
    pub(super) report: Option<usize>,
    /// The program that killed, or the child whose end it was.
    pub(super) other: Option<Party>,
    /// What a manager said of it: a probe that failed, a limit in time.
    pub(super) words: Option<String>,
    /// What made the signal, where nobody sent it.
    pub(super) way: Option<Way>,
    /// At least one of the claims stands on something that not everybody can write.
    is_vouched: bool,
}

impl<'t> Finding<'t> {
    fn new(cause: Cause, confidence: Confidence) -> Self {
        Self {
            cause,
            confidence,
            claims: Vec::new(),
            sender: None,
            command: None,
            limited_by: None,
            limit: None,
            usage: None,
            report: None,
            other: None,
            words: None,
            way: None,
            is_vouched: false,
        }
    }

    /// Adds a statement, and the items it stands on; without them it is left out.
    fn says<'i>(
        mut self,
        text: impl Into<String>,
        items: impl IntoIterator<Item = &'i Item<'i>>,
    ) -> Self {
        let items: Vec<_> = items.into_iter().collect();
        self.is_vouched |= items.iter().any(|item| item.is_vouched);
        let claim = super::scene::claim(text.into(), items);
        if !claim.evidence.is_empty() {
            self.claims.push(claim);
        }
        self
    }

    /// Takes over whose limit a report says it was.
    fn limited(mut self, kill: Option<&OomKill>) -> Self {
        self.limited_by = kill.and_then(|kill| kill.limited_by.clone());
        self.limit = kill.and_then(|kill| kill.limit);
        self.usage = kill.and_then(|kill| kill.usage);
        self
    }

    fn by(mut self, sender: Option<&Party>) -> Self {
        self.sender = sender.cloned();
        self
    }

    fn ran(mut self, command: Option<&'t Item<'t>>) -> Self {
        self.command = command;
        let Some(item) = command else { return self };
        let who = item.party();
        let words = who.command.clone().unwrap_or_else(|| who.to_string());
        self.says(
            format!("{who} ran \u{201c}{words}\u{201d}{}.", super::summary::run_by(&who)),
            [item],
        )
    }
}

/// The rules, the strongest first.
const RULES: [for<'s, 't> fn(&Scene<'s, 't>) -> Option<Finding<'t>>; 22] = [
    memory::kernel,
    memory::program,
    unit::watchdog,
    unit::overdue,
    memory::unit_of_child,
    memory::kernel_by_word,
    container::kubelet,
    container::daemon,
    unit::managed,
    signal::cgroup_kill,
    signal::parent_death,
    signal::processor_time,
    signal::namespace_end,
    signal::tracer_end,
    own::no_memory,
    own::fault,
    signal::sent,
    memory::child,
    signal::answered,
    own::passed_on,
    own::exit,
    signal::by_status,
];

/// What ended this one.
pub(super) fn judge<'t>(scene: &Scene<'_, 't>) -> Finding<'t> {
    let found = RULES.iter().find_map(|rule| rule(scene));
    doubted(found.unwrap_or_else(|| own::unknown(scene)))
}

/// Whoever can write to a log can write a manager's words: what stands on such lines alone is at
/// best likely.
fn doubted(mut finding: Finding<'_>) -> Finding<'_> {
    if finding.is_vouched || finding.confidence != Confidence::Certain {
        return finding;
    }
    finding.confidence = Confidence::Likely;
    let evidence = finding.claims.iter().filter_map(|claim| claim.evidence.first()).take(1);
    let evidence = evidence.cloned().collect();
    let text = "Nobody vouches for who wrote these lines of the log.".to_owned();
    finding.claims.push(Claim { text, evidence });
    finding
}
