//! The memory zones as the request found them: shown where they explain something.

use highwater_core::units::Bytes;
use highwater_diagnose::death::{Diagnosis, Reason, ZoneState};

use super::paint::{DIM, Page, RED, put};
use super::wrap;

/// The most zones that are shown: a machine with more nodes is told of in the JSON.
const ZONES: usize = 12;

/// The section, or nothing where the zones are not known or say nothing.
pub(super) fn table(page: Page, diagnosis: &Diagnosis) -> String {
    let matters = diagnosis.grounds.first().is_some_and(|ground| {
        matches!(
            ground.reason,
            Reason::Machine | Reason::Node | Reason::Zone | Reason::Fragmentation
        )
    });
    let known: Vec<&ZoneState> =
        diagnosis.zones.iter().filter(|state| state.free.is_some()).collect();
    if known.is_empty() || !matters {
        return String::new();
    }
    let about = "what was free, and what had to stay free";
    let mut out = page.head("The memory zones", about);
    let head = ["zone", "free", "min", "reserved", "largest", "for the request"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(&head.map(str::to_owned)))));
    for state in known.iter().take(ZONES) {
        let text = row(&[
            name(state),
            text(state.free),
            text(state.min),
            text(state.reserve),
            text(state.largest),
            verdict(state, diagnosis),
        ]);
        let shown = if state.short == Some(true) && state.reachable {
            Page::paint(RED, &text)
        } else {
            text
        };
        put(&mut out, &format!("{shown}\n"));
    }
    if let Some(more) = known.len().checked_sub(ZONES).filter(|more| *more > 0) {
        put(&mut out, &format!("    and {more} more (--json has all)\n"));
    }
    out
}

fn name(state: &ZoneState) -> String {
    match state.node {
        Some(node) => format!("node {node} {}", state.name),
        None => state.name.clone(),
    }
}

fn verdict(state: &ZoneState, diagnosis: &Diagnosis) -> String {
    let pieces = diagnosis.grounds.first().is_some_and(|g| g.reason == Reason::Fragmentation);
    match (state.reachable, state.short, state.fitting) {
        (false, ..) => "may not use it".to_owned(),
        (.., Some(Bytes::ZERO)) if pieces && state.min.is_none() => {
            "no piece large enough".to_owned()
        }
        (_, None, _) => "unknown".to_owned(),
        (_, Some(true), _) => "too little".to_owned(),
        (_, _, Some(Bytes::ZERO)) if pieces => "no piece large enough".to_owned(),
        (_, _, Some(fitting)) if pieces => format!("{fitting} in such pieces"),
        _ => "enough".to_owned(),
    }
}

fn text(amount: Option<Bytes>) -> String {
    amount.map_or_else(|| "–".to_owned(), |amount| amount.to_string())
}

fn row(cells: &[String; 6]) -> String {
    let [name, free, min, reserve, largest, verdict] = cells;
    format!(
        "  {} {} {} {} {}  {verdict}",
        wrap::left(name, 15),
        wrap::right(free, 9),
        wrap::right(min, 9),
        wrap::right(reserve, 9),
        wrap::right(largest, 9),
    )
}
