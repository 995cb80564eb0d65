//! The first sentence of a death that both a report and witnesses tell of.

use highwater_core::owner::Owner;
use highwater_core::testimony::Witness;

use crate::inquest::{LimitOwner, Verdict};
use crate::words;

/// The report's sentence, with the name of the unit or container whose process it was, and whether
/// that lives on: a report knows only paths.
pub fn opening(said: &str, verdict: &Verdict) -> String {
    let owner = verdict.who.owner.as_ref();
    let is_named =
        |owner: &&Owner| !matches!(owner, Owner::Machine | Owner::Session(_) | Owner::Cgroup(_));
    // The kernel's log alone knows no more than the report.
    let named = owner
        .filter(is_named)
        .filter(|_| verdict.witnesses.iter().any(|witness| *witness != Witness::Kmsg));
    let Some(owner) = named else { return said.to_owned() };
    let rest = match said.strip_prefix("The ") {
        Some(rest) => format!("the {rest}"),
        None => said.to_owned(),
    };
    let limited =
        verdict.limited_by.as_ref().filter(|_| verdict.limit_owner == Some(LimitOwner::Own));
    let rest = match limited {
        Some(path) => {
            let place = format!("cgroup {}", words::place(path.as_str()));
            rest.replacen(&place, "its cgroup", 1)
        }
        None => rest,
    };
    let owner = owner.to_string();
    let mut letters = owner.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    // A unit is called as it is called.
    let name = if owner.starts_with("container ") { first + letters.as_str() } else { owner };
    match verdict.is_first {
        Some(true) => format!("{name} ended: {rest}"),
        Some(false) if !verdict.clues.is_owner_gone => format!("{name} lives on, but {rest}"),
        _ => format!("{name}: {rest}"),
    }
}
