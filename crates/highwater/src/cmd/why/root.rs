//! The root cause of a death for want of memory: what the growth before it was, as of its moment.

use std::time::Duration;

use highwater_core::event::Finding;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;
use highwater_diagnose::finding::{finding, left, rate};
use highwater_diagnose::growth::{Ceiling, Item, Options, Weighed, survey};

use super::foretold::{Died, is_of};

/// How far back what came before a death is looked at.
const BEFORE: Duration = Duration::from_hours(7 * 24);

/// So many reasons for a cause, and against it, are cited.
const REASONS: usize = 3;

/// The root causes that hold, with what speaks for them, and what speaks against the others; nothing
/// where nothing grew before, or nothing is on record.
pub(super) fn of(source: &dyn SeriesSource, died: &Died) -> Vec<Claim> {
    let Some(at) = died.at else { return Vec::new() };
    let options = Options { since: Some(at.before(BEFORE)), owners: None };
    let Ok(growth) = survey(source, at, options) else { return Vec::new() };
    let told = |item: &&Item| !item.resource.is_count() && !item.causes.is_empty();
    let own = growth.items.iter().filter(told).find(|item| is_its_own(item, died));
    let others = || growth.items.iter().filter(told).find(|item| fills_the_machine(item));
    let item = own.or_else(|| if died.of_machine { others() } else { None });
    item.map(|item| claims(item, at)).unwrap_or_default()
}

fn is_its_own(item: &Item, died: &Died) -> bool {
    let found = finding(item);
    found.is_some_and(|found| died.owners.iter().any(|owner| is_of(&found.owner, owner)))
}

/// An owner whose growth only the machine's memory ends; the machine itself is the sum of all.
fn fills_the_machine(item: &Item) -> bool {
    let is_end = |bound: &highwater_diagnose::growth::Bound| bound.ceiling == Ceiling::Machine;
    !item.whose.is_machine() && item.cause.is_some() && item.bound.as_ref().is_some_and(is_end)
}

fn claims(item: &Item, at: WallTime) -> Vec<Claim> {
    let found = finding(item);
    let told = |told: fn(&Finding) -> Option<String>| found.as_ref().and_then(told);
    let told: Vec<String> = [told(rate), told(left)].into_iter().flatten().collect();
    let fast = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
    let whose = &item.whose;
    let cited = |reasons: &[Claim]| -> Vec<Evidence> {
        let source = format!("growth as judged at {at}");
        let reasons = reasons.iter().take(REASONS);
        reasons
            .map(|reason| Evidence {
                source: source.clone(),
                line: None,
                text: reason.text.clone(),
            })
            .collect()
    };
    let claim = |one: &Weighed| {
        let cause = one.cause.said();
        if one.holds {
            let text = format!("A root cause is {cause}: {} of {whose}{fast}.", item.resource);
            Claim { text, evidence: cited(&one.pro) }
        } else {
            let text = format!("The root cause is not {cause}.");
            Claim { text, evidence: cited(&one.contra) }
        }
    };
    let (hold, not): (Vec<_>, Vec<_>) = item.causes.iter().partition(|one| one.holds);
    let not = not.into_iter().filter(|one| !one.contra.is_empty());
    if hold.is_empty() {
        return Vec::new();
    }
    hold.into_iter().chain(not).map(claim).collect()
}
