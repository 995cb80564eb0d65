//! `cargo xtask e2e browser`: the page, driven in Debian's Chromium.
//!
//! ```text
//! a kill, a leak, a storm, a hostile name ──► the agent ──► the page in Chromium ── ui/drive/run.mjs
//!                  rules that they meet ──────┘
//! ```
//!
//! What is shown is compared with what the API says, by the script that drives the browser. Each line
//! that it prints is a statement here.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::Scoreboard;
use super::agent::Recording;
use super::driven::drive;
use super::group::{Group, Hierarchy};
use crate::borrowed::{Folder, Running};
use crate::clock;
use crate::repo::{self, Profile};
use crate::victim::Leak;

const MIB: u64 = 1 << 20;

/// What dies again and again, and how often: four ends within seconds are a storm.
const TINY: u64 = 24 * MIB;
const ENDS: usize = 4;

/// What dies: 2 MiB/s into this.
const SMALL: u64 = 48 * MIB;

/// What leaks: it does not get there while it is looked at.
const LARGE: u64 = 1024 * MIB;

/// Within what time of the kill the death must be in the store.
const STORED_WITHIN: Duration = Duration::from_secs(20);

/// A minute is the least that is judged; a busy machine takes longer.
const GROWS_WITHIN: Duration = Duration::from_mins(4);

/// A name that a page must show as it is. The kernel keeps 15 bytes of it.
const HOSTILE: &str = "<img src=x>";

/// The alert that fires for what leaks, and one that is still pending when it is looked at.
const RULES: &str = r#"groups:
  - name: page
    interval: 15s
    rules:
      - alert: CreepHolds
        expr: container_memory_rss{id=~".*-creep"} > 2e7
        for: 5s
        labels: {severity: critical}
        annotations:
          summary: 'creep holds {{ $value | humanize1024 }}B'
      - alert: CreepStays
        expr: container_memory_rss{id=~".*-creep"} > 1e6
        for: 2h
"#;

/// Makes what is to be seen, and has it looked at.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    let Some(hierarchy) = Hierarchy::find()? else {
        println!("skipped: no memory cgroup can be made here (it takes root and a cgroup mount)");
        return Ok(());
    };
    let stage = Stage::build(hierarchy)?;
    let recording = Recording::configured(&stage.program, "browser", &stage.configuration()?)?;
    let _agent = recording.agent()?;
    let until = |mib| Leak { every_ms: 50, until_mib: Some(mib), ..Leak::default() };
    let _hostile = stage.victim(HOSTILE, LARGE, &until(30))?;
    let _leaks = stage.victim("creep", LARGE, &Leak { step_mib: 1, ..Leak::default() })?;
    let mut dies = stage.victim("shop", SMALL, &Leak::default())?;
    dies.process.wait()?;
    recording.keeps(dies.process.id(), STORED_WITHIN)?;
    stage.storm(&recording)?;
    let (at_most, every) = (GROWS_WITHIN, Duration::from_secs(5));
    let grows = clock::poll(at_most, every, || Ok(stage.grows(&recording)?.then_some(())))?;
    grows.context("the leak is not told as a growth")?;
    let address = recording.address().context("the agent names no address")?;
    let url = format!("http://{address}");
    drive(&["drive/run.mjs".as_ref(), url.as_ref(), HOSTILE.as_ref()], board, || {
        let mut dies = stage.victim("kiosk", SMALL, &Leak::default())?;
        dies.process.wait()?;
        Ok(())
    })
}

/// What the victims need.
struct Stage {
    program: PathBuf,
    hierarchy: Hierarchy,
    /// The kernel calls a process what its file is called.
    folder: Folder,
}

impl Stage {
    fn build(hierarchy: Hierarchy) -> anyhow::Result<Self> {
        let program = repo::build("highwater", Profile::Dev)?;
        let folder = Folder::fresh("page")?;
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        for name in ["shop", "kiosk", "creep", "spin", HOSTILE] {
            symlink(&xtask, folder.join(name))?;
        }
        Ok(Self { program, hierarchy, folder })
    }

    /// The agent's: a free port, and the rules that the victims meet.
    fn configuration(&self) -> anyhow::Result<String> {
        let rules = self.folder.join("page.yml");
        std::fs::write(&rules, RULES)?;
        let rules = rules.to_str().context("the folder's name is no text")?;
        Ok(format!("[web]\nlisten = \"127.0.0.1:0\"\n[rules]\nfiles = [{rules:?}]\n"))
    }

    fn victim(&self, name: &str, limit: u64, leak: &Leak) -> anyhow::Result<Victim> {
        let group = self.group(name, limit)?;
        let leak = Leak { cgroup: Some(group.folder().to_owned()), ..leak.clone() };
        let mut command = Command::new(self.folder.join(name));
        leak.arguments(&mut command);
        let process = Running::start(command.stdin(Stdio::null()))?;
        Ok(Victim { process, _group: group })
    }

    fn group(&self, name: &str, limit: u64) -> anyhow::Result<Group> {
        let group = format!("highwater-page-{}-{name}", std::process::id());
        self.hierarchy.make(&group, Some(limit)).context("cannot make a cgroup")
    }

    /// One life of a unit after the other, each ended by its limit.
    fn storm(&self, recording: &Recording) -> anyhow::Result<()> {
        let group = self.group("spin.service", TINY)?;
        let leak = Leak { every_ms: 200, ..Leak::default() };
        for _ in 0..ENDS {
            // As a manager does: it is in its cgroup before it is what it is.
            let mut life = Command::new("sh");
            life.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]);
            life.arg(group.folder()).arg(self.folder.join("spin"));
            leak.arguments(&mut life);
            let mut life = Running::start(life.stdin(Stdio::null()))?;
            life.wait()?;
            recording.keeps(life.id(), STORED_WITHIN)?;
        }
        Ok(())
    }

    /// Whether `leaks` tells of the one that leaks.
    fn grows(&self, recording: &Recording) -> anyhow::Result<bool> {
        let mut leaks = Command::new(&self.program);
        leaks.args(["leaks", "--json", "--data-dir"]).arg(recording.data());
        let told = leaks.stdin(Stdio::null()).output().context("cannot run leaks")?;
        let Ok(answer) = serde_json::from_slice::<Value>(&told.stdout) else {
            bail!("leaks --json is not JSON: {}", String::from_utf8_lossy(&told.stderr).trim());
        };
        let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |item: &Value, at: &str| {
            item.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Ok(items.iter().any(|item| {
            let verdict = text(item, "/verdict");
            text(item, "/owner/name").ends_with("-creep")
                && (verdict == "leak" || verdict == "growing")
        }))
    }
}

/// A program in its cgroup. Dropping it kills it, then removes the cgroup.
struct Victim {
    process: Running,
    _group: Group,
}
