//! A unit that dies eight times: all of its ends on record, with cause, and told as a storm.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::super::Scoreboard;
use super::super::dice::Dice;
use super::stage::Played;

/// The case whose unit it is.
const CASE: &str = "restart-loop";
const UNIT: &str = "restart-loop.service";

/// How often it dies.
const DEATHS: usize = 8;

/// What looks every minute, and how many of them are tried.
const INTERVAL_MS: u64 = 60_000;
const SCRAPERS: u32 = 20_000;

/// Reads `highwater restarts --json` of each pass.
pub(super) fn check(played: &Played, board: &mut Scoreboard) {
    for pass in played.passes() {
        let folder = played.results.join(pass).join(CASE);
        board.check(&format!("eight restarts are a storm ({pass})"), storm(&folder));
    }
}

fn storm(folder: &Path) -> anyhow::Result<String> {
    let told =
        fs::read_to_string(folder.join("restarts.json")).context("restarts did not answer")?;
    let told: Value = serde_json::from_str(&told).context("restarts --json is not JSON")?;
    let owners = told.get("owners").and_then(Value::as_array).context("no owners")?;
    let own = |story: &&Value| story.pointer("/owner/id").and_then(Value::as_str) == Some(UNIT);
    let story = owners.iter().find(own).with_context(|| format!("{UNIT} is not among them"))?;
    let lives = story.get("lives").and_then(Value::as_array).context("no lives")?;
    let cause =
        |life: &&Value| life.get("cause").and_then(Value::as_str) == Some("kernel-oom-memcg");
    let ended = lives.iter().filter(cause).count();
    ensure!(ended >= DEATHS, "{ended} of {} ends are told with their cause", lives.len());
    let storms = story.get("storms").and_then(Value::as_array).context("no storms")?;
    ensure!(!storms.is_empty(), "it is not told as a storm");
    missed(story, lives)
}

/// The chance that a scraper sees none of it, as it is told and as scrapers find.
fn missed(story: &Value, lives: &[Value]) -> anyhow::Result<String> {
    let chances = story.get("miss_chances").and_then(Value::as_array).context("no chances")?;
    let seconds = |chance: &&Value| chance.get("scrape_seconds").and_then(Value::as_f64);
    let each_minute = chances.iter().find(|chance| seconds(chance) == Some(60.0));
    let told = each_minute.and_then(|chance| chance.get("chance")?.as_f64());
    let told = told.context("nothing is said of looking every 60 s")?;
    // A pause that somebody wanted is none of its failures.
    let pairs = lives.iter().zip(lives.iter().skip(1));
    let failed = pairs.filter(|(before, _)| before.get("wanted") == Some(&Value::Bool(false)));
    let downs: Vec<u64> = failed.filter_map(|(_, after)| down_ms(after)).collect();
    ensure!(downs.len() >= DEATHS - 1, "only {} times down are told", downs.len());
    let found = simulated(&downs);
    ensure!((told - found).abs() < 0.02, "told is {told:.3}, {SCRAPERS} scrapers find {found:.3}");
    let storms = story.get("storms").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(format!(
        "{} lives, {storms} storm(s); looking every 60 s misses all with {told:.3}, simulated {found:.3}",
        lives.len()
    ))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a span that was measured in milliseconds"
)]
fn down_ms(life: &Value) -> Option<u64> {
    Some((life.get("down_seconds")?.as_f64()? * 1000.0) as u64)
}

/// How often nothing is seen, by scrapers to each of which each time down comes at any moment.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a share")]
fn simulated(downs_ms: &[u64]) -> f64 {
    let mut dice = Dice::of(8);
    // Down from its moment on: the next look comes within the interval, at any time of it.
    let unseen = (0..SCRAPERS)
        .filter(|_| downs_ms.iter().all(|down| dice.below(INTERVAL_MS) >= *down))
        .count();
    unseen as f64 / f64::from(SCRAPERS)
}
