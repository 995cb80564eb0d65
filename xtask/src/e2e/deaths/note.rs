//! The table of what was told: target/e2e/deaths.{json,md}.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use super::judge::Outcome;
use crate::repo;

/// Writes both forms.
pub(super) fn write(outcomes: &[Outcome]) -> anyhow::Result<()> {
    let folder = repo::target().join("e2e");
    fs::create_dir_all(&folder)?;
    let all: Vec<Value> = outcomes.iter().map(Outcome::document).collect();
    fs::write(folder.join("deaths.json"), serde_json::to_string_pretty(&all)?)?;
    fs::write(folder.join("deaths.md"), table(outcomes)?)?;
    println!("the table is {}", folder.join("deaths.md").display());
    Ok(())
}

fn table(outcomes: &[Outcome]) -> anyhow::Result<String> {
    let mut table = String::new();
    writeln!(
        table,
        "| where | case | agent | verdict | confidence | sender | told after | line after |"
    )?;
    writeln!(table, "|---|---|---|---|---|---|---|---|")?;
    for outcome in outcomes {
        let place = outcome.place().join(" | ");
        let row = outcome.row().join(" | ");
        let fault = outcome.fault().map(|fault| format!(" **{fault}**")).unwrap_or_default();
        writeln!(table, "| {place} | {row} |{}", fault.replace('|', "/"))?;
    }
    Ok(table)
}
