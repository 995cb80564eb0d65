//! `cargo xtask e2e openapi`: the described API, asked all that its description allows and forbids.
//!
//! What asks is schemathesis, which makes the questions out of the description and compares each answer
//! with it. Neither it nor what validates the description is part of Debian: without them this says how to
//! get them, and that nothing was proven.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Scoreboard;
use super::agent::Recording;
use super::group::Hierarchy;
use super::loopback::get;
use crate::borrowed::Running;
use crate::repo::{self, Profile};
use crate::victim::Leak;

/// Where the API describes itself.
const DESCRIPTION: &str = "/api/highwater/v1/openapi.json";

/// An answer without an end, for which it would wait: `tests/it/stream.rs` asks there.
const STREAM: &str = "/api/highwater/v1/stream";

/// What dies, so that there is a death to ask for.
const SMALL: u64 = 24 << 20;

/// Within what time of the kill the death must be in the store.
const STORED_WITHIN: Duration = Duration::from_secs(30);

/// Starts an agent, and has it asked.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    if Command::new("schemathesis").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: schemathesis is not installed (pip install schemathesis, version 4)");
        return Ok(());
    }
    let program = repo::build("highwater", Profile::Dev)?;
    let recording = Recording::fresh(&program, "openapi")?;
    let _agent = recording.agent()?;
    if let Some(hierarchy) = Hierarchy::find()? {
        one_dies(&hierarchy, &recording)?;
    }
    let address = recording.address().context("the agent names no address")?;
    board.check("the description is valid OpenAPI 3.1", valid(&recording, &address));
    board.check("each answer is as it is described", asked(&address));
    board.check("the agent is well after all that", well(&recording));
    Ok(())
}

fn one_dies(hierarchy: &Hierarchy, recording: &Recording) -> anyhow::Result<()> {
    let group = format!("highwater-openapi-{}", std::process::id());
    let group = hierarchy.make(&group, Some(SMALL)).context("cannot make a cgroup")?;
    let leak = Leak { every_ms: 50, cgroup: Some(group.folder().to_owned()), ..Leak::default() };
    let mut command = Command::new(std::env::current_exe()?);
    leak.arguments(&mut command);
    let mut dies = Running::start(command.stdin(Stdio::null()))?;
    dies.wait()?;
    recording.keeps(dies.id(), STORED_WITHIN)
}

/// Whether the description is one, as those see it who wrote the standard down as a schema.
fn valid(recording: &Recording, address: &str) -> anyhow::Result<String> {
    let document = get(address, DESCRIPTION)?;
    let file = recording.scratch();
    std::fs::write(&file, document.to_string())?;
    let mut python = Command::new("python3");
    let told = python.args(["-m", "openapi_spec_validator"]).arg(&file).output()?;
    if String::from_utf8_lossy(&told.stderr).contains("No module named") {
        return Ok("not judged (pip install openapi-spec-validator)".to_owned());
    }
    ensure!(told.status.success(), "{}", said(&told));
    let paths = document.get("paths").and_then(serde_json::Value::as_object);
    Ok(format!("{} paths", paths.context("it has no paths")?.len()))
}

/// What schemathesis finds.
fn asked(address: &str) -> anyhow::Result<String> {
    let mut schemathesis = Command::new("schemathesis");
    schemathesis.args(["run", &format!("http://{address}{DESCRIPTION}")]);
    schemathesis.args(["--checks", "all", "--exclude-path", STREAM, "--max-examples", "30"]);
    // That every text of a parameter is taken: no schema says which texts are a rule, a span or a moment.
    schemathesis.args(["--exclude-checks", "positive_data_acceptance"]);
    schemathesis.args(["--seed", "1", "--request-timeout", "60", "--no-color"]);
    schemathesis.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    let told = schemathesis.output().context("cannot run schemathesis")?;
    let text = said(&told);
    ensure!(told.status.success(), "{text}");
    let cases = text.lines().find(|line| line.contains(" generated, "));
    Ok(cases.unwrap_or("nothing is said of how many questions").trim().to_owned())
}

fn said(told: &Output) -> String {
    [&told.stdout, &told.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

fn well(recording: &Recording) -> anyhow::Result<String> {
    ensure!(recording.healthy(), "/healthz says that it is not");
    Ok("/healthz says so".to_owned())
}
