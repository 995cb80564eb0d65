//! Names of metrics that nobody recorded: mostly slips of the keyboard.

use std::collections::BTreeSet;

use highwater_promql::{Answer, Query, Value};
use highwater_store::Reader;

/// What there is to say where an answer is empty: of each metric that is not on record, which one may
/// have been meant.
pub(super) fn remarks(query: &Query, answer: &Answer, reader: &Reader) -> Vec<String> {
    let is_empty = match &answer.value {
        Value::Vector(all) => all.is_empty(),
        Value::Matrix(all) => all.is_empty(),
        Value::Scalar(_) | Value::Text { .. } => false,
    };
    if !is_empty {
        return Vec::new();
    }
    // Where the names cannot be read the answer stands by itself.
    let Ok(known) = reader.known_metrics() else { return Vec::new() };
    let known: Vec<String> = known.into_iter().map(|one| one.name).collect();
    let strange: BTreeSet<&str> = query.metrics().into_iter().collect();
    let strange = strange.into_iter().filter(|name| !known.iter().any(|one| one == name));
    strange.map(|name| remark(name, &known)).collect()
}

fn remark(name: &str, known: &[String]) -> String {
    let said = format!("no metric is called {name}");
    match meant(name, known) {
        Some(meant) => format!("{said}; did you mean {meant}?"),
        None => said,
    }
}

/// The nearest name, if a third of the letters at most are other ones; or else the first that has it in it.
pub(in crate::cmd) fn meant<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let distance = |one: &&String| strsim::osa_distance(name, one);
    let nearest = known.iter().min_by_key(distance).filter(|one| distance(one) <= name.len() / 3);
    let part = || known.iter().find(|one| name.len() > 3 && one.contains(name));
    nearest.or_else(part).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        let known =
            ["node_memory_MemAvailable_bytes", "node_memory_MemFree_bytes"].map(str::to_owned);
        assert_eq!(
            remark("node_memory_MemAvailble_bytes", &known),
            "no metric is called node_memory_MemAvailble_bytes; did you mean \
             node_memory_MemAvailable_bytes?"
        );
        assert_eq!(meant("MemFree", &known), Some("node_memory_MemFree_bytes"));
        assert_eq!(meant("up", &known), None);
        assert_eq!(remark("up", &known), "no metric is called up");
    }
}
