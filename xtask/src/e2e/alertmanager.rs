//! `cargo xtask e2e alertmanager`: a real squeeze of memory in a cgroup of this machine fires a rule that
//! comes with highwater. It is sent to two of Debian's Alertmanagers, one of which is dead, and to a
//! webhook of the agent's own; the agent is killed again and again meanwhile. What arrives is counted.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Scoreboard;
use super::agent::{Agent, Recording};
use super::group::{Group, Hierarchy};
use super::loopback::{self, Server};
use crate::borrowed::{Folder, Running};
use crate::clock;
use crate::repo::{self, Profile};
use crate::victim::Leak;
use hook::Hook;

mod hook;
mod server;

/// The rule that is expected: it fires 15 s after the cgroup came to its limit.
const RULE: &str = "CgroupAtMemoryLimit";

/// So much the victim takes.
const TAKEN_MIB: usize = 96;

/// What is expected comes within half a minute; a machine that is busy takes longer.
const WITHIN: Duration = Duration::from_mins(3);

/// So long it is watched that nothing comes twice: several of all the intervals.
const QUIET: Duration = Duration::from_secs(25);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the story, or says why this machine has no place for it.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    let Some(mut stage) = Stage::build()? else {
        println!("skipped: no memory cgroup can be made here (it takes root and a cgroup mount)");
        return Ok(());
    };
    board.check("what is pending survives kill -9", stage.pends());
    board.check("a squeeze fires a shipped rule", stage.fires());
    board.check("kill -9 repeats nothing", stage.is_killed());
    board.check("what ends while the agent is dead is told", stage.ends());
    Ok(())
}

/// All that plays.
struct Stage {
    agent: Option<Agent>,
    victim: Option<Running>,
    group: Group,
    recording: Recording,
    /// The one Alertmanager that lives.
    alertmanager: Server,
    /// Behind the Alertmanager, and the agent's own.
    hooks: [Hook; 2],
    _folder: Folder,
}

impl Stage {
    fn build() -> anyhow::Result<Option<Self>> {
        let Some(hierarchy) = Hierarchy::find()? else { return Ok(None) };
        let name = format!("highwater-e2e-{}-squeezed", std::process::id());
        let Ok(group) = hierarchy.make(&name, None) else { return Ok(None) };
        let program = repo::build("highwater", Profile::Dev)?;
        let folder = Folder::fresh("e2e-alertmanager")?;
        let hooks = [Hook::open()?, Hook::open()?];
        let alertmanager = server::start(&folder, "live", hooks[0].address())?;
        let dead = server::start(&folder, "dead", hooks[0].address())?;
        let addresses = [alertmanager.address(), dead.address()];
        let config = config(addresses, hooks[1].address());
        let recording = Recording::configured(&program, "alertmanager", &config)?;
        drop(dead);
        let victim = Some(enter(&group)?);
        let agent = None;
        let stage = Self { agent, victim, group, recording, alertmanager, hooks, _folder: folder };
        Ok(Some(stage))
    }

    /// The agent begins, the rule becomes pending, the agent is killed; it goes on as it was.
    fn pends(&mut self) -> anyhow::Result<String> {
        self.agent = Some(self.recording.agent()?);
        self.group.limit_to(self.limit()?)?;
        let begun = self.alert("pending")?;
        self.kill()?;
        self.agent = Some(self.recording.agent()?);
        let goes_on = self.alert("pending").or_else(|_| self.alert("firing"))?;
        ensure!(begun == goes_on, "pending since {begun}, after the restart since {goes_on}");
        Ok(format!("pending since {begun}, also for the agent that was started anew"))
    }

    /// It fires, in the Alertmanager that lives and at both hooks.
    fn fires(&mut self) -> anyhow::Result<String> {
        let began = clock::now();
        self.alert("firing")?;
        self.await_told("firing")?;
        self.await_noted()?;
        let shown = self.shown()?;
        ensure!(shown.len() == 1, "the Alertmanager has {} alerts of it", shown.len());
        let context = shown.first().and_then(|alert| alert.pointer("/annotations/top_processes"));
        let context = context.and_then(Value::as_str).context("no processes are told with it")?;
        let context = context.to_owned();
        Ok(format!("told after {:.0} s, with {context}", began.elapsed().as_secs_f64()))
    }

    /// The agent is killed and started three times; nobody is told again.
    fn is_killed(&mut self) -> anyhow::Result<String> {
        let since = self.alert("firing")?;
        for _ in 0..3 {
            self.kill()?;
            self.agent = Some(self.recording.agent()?);
            let now = self.alert("firing")?;
            ensure!(since == now, "active since {since}, after a restart since {now}");
        }
        self.watch_quiet()?;
        Ok(format!("after 3 restarts still {}", self.counts()))
    }

    /// The squeeze ends while no agent runs; the next one tells that it is over.
    fn ends(&mut self) -> anyhow::Result<String> {
        self.kill()?;
        self.release()?;
        self.agent = Some(self.recording.agent()?);
        self.await_told("resolved")?;
        self.watch_quiet()?;
        let active = self.shown()?;
        ensure!(active.is_empty(), "the Alertmanager still shows {active:?}");
        let agent = self.agent.take().context("no agent runs")?;
        agent.stop()?;
        Ok(self.counts())
    }

    /// As much as makes what is used 98.5 % of it.
    fn limit(&self) -> anyhow::Result<u64> {
        let least = u64::try_from(TAKEN_MIB)? << 20;
        let used =
            clock::poll(WITHIN, LOOK, || Ok(Some(self.group.usage()?).filter(|u| *u > least)))?;
        let mut used = used.context("the victim did not take its memory")?;
        // It may still load its program.
        clock::poll(Duration::from_secs(2), LOOK, || {
            used = self.group.usage()?;
            Ok(None::<()>)
        })?;
        Ok(used / 985 * 1000)
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.agent.take().context("no agent runs")?.kill()
    }

    fn release(&mut self) -> anyhow::Result<()> {
        drop(self.victim.take().context("no victim runs")?);
        Ok(())
    }

    /// Waits until the agent has the alert in this state; since when it is active.
    fn alert(&self, state: &str) -> anyhow::Result<String> {
        let found = clock::poll(WITHIN, LOOK, || {
            let Some(address) = self.recording.address() else { return Ok(None) };
            let Ok(answer) = loopback::get(&address, "/api/v1/alerts") else { return Ok(None) };
            let all = answer.pointer("/data/alerts").and_then(Value::as_array).cloned();
            let ours = all.unwrap_or_default().into_iter().find(|alert| {
                self.is_ours(alert) && alert.get("state").and_then(Value::as_str) == Some(state)
            });
            Ok(ours.and_then(|alert| Some(alert.get("activeAt")?.as_str()?.to_owned())))
        })?;
        found.with_context(|| format!("not {state} within {WITHIN:?}: {}", self.said()))
    }

    /// What the Alertmanager that lives shows of it.
    fn shown(&self) -> anyhow::Result<Vec<Value>> {
        let all = loopback::get(self.alertmanager.address(), "/api/v2/alerts?active=true")?;
        let all = all.as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().filter(|alert| self.is_ours(alert)).collect())
    }

    fn is_ours(&self, alert: &Value) -> bool {
        let label = |name: &str| alert.pointer(&format!("/labels/{name}")).and_then(Value::as_str);
        label("alertname") == Some(RULE) && label("id") == Some(self.group.path())
    }

    /// Waits until both hooks were told of it.
    fn await_told(&self, status: &str) -> anyhow::Result<()> {
        let told = clock::poll(WITHIN, LOOK, || {
            let all = self.hooks.iter().all(|hook| self.told(hook, status) > 0);
            Ok(all.then_some(()))
        })?;
        told.with_context(|| format!("not both were told: {}; {}", self.counts(), self.said()))
    }

    /// Waits until the agent has noted that its webhook was told. One that is killed between the answer
    /// and the note cannot know, and tells it again under the same key: the docs say so.
    fn await_noted(&self) -> anyhow::Result<()> {
        let of_own = |line: &&str| line.contains("\"own\"");
        let is = |page: &str, name: &str, value: &str| {
            page.lines().filter(of_own).any(|line| line.starts_with(name) && line.ends_with(value))
        };
        let noted = clock::poll(WITHIN, LOOK, || {
            let page = self.recording.page("/metrics").unwrap_or_default();
            let noted = is(&page, "highwater_agent_notify_sent_total", " 1")
                && is(&page, "highwater_agent_notify_waiting", " 0");
            Ok(noted.then_some(()))
        })?;
        noted.with_context(|| format!("it is not noted as sent: {}", self.said()))
    }

    /// Nothing is told twice.
    fn watch_quiet(&self) -> anyhow::Result<()> {
        let twice = clock::poll(QUIET, LOOK, || {
            let twice = |hook: &Hook| {
                ["firing", "resolved"].map(|s| self.told(hook, s)).iter().any(|n| *n > 1)
            };
            Ok(self.hooks.iter().any(twice).then_some(()))
        })?;
        ensure!(twice.is_none(), "told more than once: {}", self.counts());
        Ok(())
    }

    /// How often a hook was told of it with this status.
    fn told(&self, hook: &Hook, status: &str) -> usize {
        hook.alerts()
            .iter()
            .filter(|alert| {
                self.is_ours(alert) && alert.get("status").and_then(Value::as_str) == Some(status)
            })
            .count()
    }

    fn counts(&self) -> String {
        let [behind, own] = &self.hooks;
        let count = |hook: &Hook| {
            format!(
                "{} firing, {} resolved",
                self.told(hook, "firing"),
                self.told(hook, "resolved")
            )
        };
        format!("behind the Alertmanager {}; at the webhook {}", count(behind), count(own))
    }

    fn said(&self) -> String {
        self.recording.said().unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.release();
    }
}

/// Short intervals; every reading each second.
fn config(alertmanagers: [&str; 2], webhook: &str) -> String {
    let [one, other] = alertmanagers;
    format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n\
         [sample]\nevery = \"1s\"\n\
         [rules]\nevery = \"1s\"\n\
         [[notify.alertmanager]]\nname = \"live\"\nurl = \"http://{one}\"\n\
         [[notify.alertmanager]]\nname = \"dead\"\nurl = \"http://{other}\"\n\
         [[notify.webhook]]\nname = \"own\"\nurl = \"http://{webhook}/\"\n\
         group_by = [\"alertname\", \"id\"]\ngroup_wait = \"1s\"\ngroup_interval = \"10s\"\n"
    )
}

/// Starts a program that takes its memory in the cgroup, and stays.
fn enter(group: &Group) -> anyhow::Result<Running> {
    let xtask: PathBuf = std::env::current_exe().context("cannot find xtask's own program")?;
    let cgroup = Some(fs::canonicalize(group.folder())?);
    let (until_mib, step_mib, every_ms) = (Some(TAKEN_MIB), 8, 50);
    let mut command = Command::new(xtask);
    Leak { step_mib, every_ms, cgroup, until_mib, ..Leak::default() }.arguments(&mut command);
    Running::start(command.stdin(Stdio::null()))
}
