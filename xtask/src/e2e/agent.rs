//! The program under test, as a user would run it: start, stop, kill, ask.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::id::Pid;
use highwater_store::{EventFilter, Reader};
use serde_json::Value;

use crate::borrowed::{Folder, Running};
use crate::clock;

/// A place for one history, and the program that writes and reads it.
#[derive(Debug)]
pub(crate) struct Recording {
    program: PathBuf,
    folder: Folder,
}

impl Recording {
    /// A fresh one under the system's folder for what is temporary.
    pub(crate) fn fresh(program: &Path, name: &str) -> anyhow::Result<Self> {
        // A port that is free: another agent may run here.
        Self::configured(program, name, "[web]\nlisten = \"127.0.0.1:0\"\n")
    }

    /// A fresh one whose agent is configured like this.
    pub(crate) fn configured(program: &Path, name: &str, config: &str) -> anyhow::Result<Self> {
        let folder = Folder::fresh(&format!("e2e-{name}"))?;
        fs::write(folder.join("agent.toml"), config)?;
        Ok(Self { program: program.to_owned(), folder })
    }

    /// Where the history is.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A place for what is looked at once.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    /// What the agent that was started last has said.
    pub(crate) fn said(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log())?).into_owned())
    }

    /// The pids whose deaths the agent that was started last has reported.
    pub(crate) fn reported(&self) -> anyhow::Result<Vec<u32>> {
        Ok(self.said()?.lines().filter_map(reported).collect())
    }

    /// Where the agent that was started last can be asked.
    pub(crate) fn address(&self) -> Option<String> {
        let said = self.said().ok()?;
        Some(said.split_once("http://")?.1.split_once('/')?.0.to_owned())
    }

    /// Whether `/healthz` of the agent that was started last says that all is well.
    pub(crate) fn healthy(&self) -> bool {
        let answer = self.page("/healthz");
        answer.is_some_and(|answer| answer.lines().next().is_some_and(|l| l.contains(" 200 ")))
    }

    /// What the agent that was started last answers at a path, head and all.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        let mut page = TcpStream::connect(self.address()?).ok()?;
        page.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        page.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        page.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Starts the agent and waits until it has said what it records.
    pub(crate) fn agent(&self) -> anyhow::Result<Agent> {
        let said = self.log();
        let mut agent = self.spawn()?;
        let (at_most, every) = (Duration::from_secs(10), Duration::from_millis(20));
        let begun = clock::poll(at_most, every, || {
            if let Some(status) = agent.process.try_wait()? {
                bail!("the agent ended ({status}): {}", fs::read_to_string(&said)?.trim());
            }
            Ok((fs::metadata(&said)?.len() > 0).then_some(()))
        })?;
        begun.context("the agent said nothing for 10 s")?;
        Ok(agent)
    }

    /// Starts the agent and waits for nothing.
    pub(crate) fn spawn(&self) -> anyhow::Result<Agent> {
        let log = File::create(self.log())?;
        let mut command = Command::new(&self.program);
        command.arg("agent").arg("--data-dir").arg(self.data());
        command.arg("--config").arg(self.folder.join("agent.toml"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Agent { process: Running::start(&mut command)? })
    }

    /// All recorded deaths, as `why --json` tells them.
    pub(crate) fn deaths(&self) -> anyhow::Result<Vec<Value>> {
        let mut why = Command::new(&self.program);
        why.args(["why", "--json", "--data-dir"]).arg(self.data()).stdin(Stdio::null());
        let told = why.output().context("cannot run why")?;
        let Ok(answer) = serde_json::from_slice::<Value>(&told.stdout) else {
            let said = String::from_utf8_lossy(&told.stderr);
            bail!("why --json is not JSON ({}): {}", told.status, said.trim());
        };
        let deaths = answer.get("deaths").and_then(Value::as_array);
        Ok(deaths.context("why --json has no deaths")?.clone())
    }

    /// How many deaths of `pid` are in the store.
    pub(crate) fn stored(&self, pid: u32) -> anyhow::Result<usize> {
        let pid = Some(Pid::new(pid));
        let filter = EventFilter { pid, kind: Some("death"), ..EventFilter::default() };
        Ok(Reader::open(&self.data())?.events(&filter)?.len())
    }

    /// Waits until the death of `pid` is in the store.
    pub(crate) fn keeps(&self, pid: u32, at_most: Duration) -> anyhow::Result<()> {
        let kept = clock::poll(at_most, Duration::from_millis(10), || {
            Ok((self.stored(pid)? > 0).then_some(()))
        })?;
        kept.with_context(|| {
            format!("no death of pid {pid} in store after {} s", at_most.as_secs())
        })
    }

    /// The death of `pid`, as it is told; one death, told once.
    pub(crate) fn death(&self, pid: u32) -> anyhow::Result<Value> {
        let mut deaths = self.deaths()?;
        deaths.retain(|death| victim(death) == Some(u64::from(pid)));
        let told = deaths.len();
        ensure!(told == 1, "the one death of pid {pid} is told {told} times");
        deaths.pop().context("the death is gone")
    }
}

/// The pid in the line by which the agent reports a death.
pub(crate) fn reported(line: &str) -> Option<u32> {
    let told = line.split_once(") was killed for memory")?.0;
    told.rsplit_once("(pid ")?.1.parse().ok()
}

/// The pid of a death's victim.
pub(crate) fn victim(death: &Value) -> Option<u64> {
    death.pointer("/victim/pid")?.as_u64()
}

/// A running agent. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Running,
}

impl Agent {
    /// Its pid.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end, as systemd does, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("a pid is a positive number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let (at_most, every) = (Duration::from_secs(10), Duration::from_millis(10));
        let ended = clock::poll(at_most, every, || Ok(self.process.try_wait()?))?;
        let status = ended.context("the agent did not end within 10 s of SIGTERM")?;
        if !status.success() {
            bail!("the agent ended badly after SIGTERM ({status})");
        }
        Ok(())
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_death_is_told_by_its_line() {
        let line = "highwater: a (pid 1) b (pid 77) was killed for memory (the newest of 2): highwater why 77";
        assert_eq!(reported(line), Some(77));
        assert_eq!(reported("highwater: the store takes writes again"), None);
    }
}
