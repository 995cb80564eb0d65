//! The manual's page of the incident: what it shows is what is printed.

use anyhow::{Context, ensure};

use super::Run;
use crate::repo;

/// The page; its examples begin with `$ highwater rules backtest`.
const PAGE: &str = "docs/manual/backtest.md";

/// Set to `overwrite`, the page gets what is printed.
const OVERWRITE: &str = "TRYCMD";

/// How many examples there are at least.
const LEAST: usize = 2;

/// Compares each example with what is printed now.
pub(super) fn compare(run: &Run) -> anyhow::Result<String> {
    let path = repo::root().join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let mut real = String::new();
    let mut is_output = false;
    let mut shown = 0;
    for line in page.lines() {
        is_output &= line != "```";
        if !is_output {
            real += line;
            real += "\n";
        }
        if let Some(typed) = line.strip_prefix("$ highwater rules backtest ") {
            let words: Vec<&str> =
                typed.split_whitespace().filter(|w| *w != DATA && *w != DIR).collect();
            let words = [&["rules", "backtest"], words.as_slice()].concat();
            real += &run.page(&words)?;
            is_output = true;
            shown += 1;
        }
    }
    ensure!(shown >= LEAST, "only {shown} examples");
    if std::env::var(OVERWRITE).is_ok_and(|what| what == "overwrite") {
        std::fs::write(&path, &real)?;
    } else {
        ensure!(page == real, "{PAGE} shows something else; TRYCMD=overwrite renews it");
    }
    Ok(format!("{shown} examples"))
}

/// Where the history is, as the page names it.
const DATA: &str = "--data-dir";
const DIR: &str = "incident-a";
