//! An agent that lacks witnesses: it runs, says which and why, and goes on recording.
//!
//! As nobody, without Docker, with a journal that cannot be read, and with daemons that accept a call
//! and never answer. A container and a machine without systemd are played with the scenes of this
//! machine, which is one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::event::{Happening, Sight};
use highwater_core::testimony::Witness;
use highwater_store::{EventFilter, Reader};
use serde_json::Value;

use super::super::Scoreboard;
use super::stage::Played;
use crate::borrowed::Folder;
use crate::clock;

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// How long an agent may take to greet, to tell of a death, and to end: all of them longer than any
/// time-out of its own may be.
const AT_MOST: Duration = Duration::from_secs(15);

const EVERY: Duration = Duration::from_millis(50);

/// Runs them all.
pub(super) fn run(program: &Path, here: &Played, board: &mut Scoreboard) {
    board.check("an agent of nobody says what it lacks", nobody(program));
    board.check("without Docker the rest is recorded", without_docker(program));
    board.check("with an unreadable journal the rest is recorded", unreadable(program));
    board.check("daemons that never answer stall nothing", hung(program));
    board.check("an agent in a container says what it lacks", contained(&here.results));
}

/// It may read neither the kernel's log nor its tracepoints; of exits some kernels tell everybody.
fn nobody(program: &Path) -> anyhow::Result<String> {
    let stage = Stage::new(program, "nobody", "")?;
    let mut command = stage.command();
    command.uid(NOBODY).gid(NOBODY);
    let agent = stage.start(command)?;
    let blind = [Witness::Kmsg, Witness::Signals];
    let sight = stage.lacks(&blind)?;
    let mut victim = Victim::start()?;
    victim.kill()?;
    thread::sleep(Duration::from_secs(1));
    // Whoever heard nothing may not say that it knows.
    let why = stage.why(victim.pid())?;
    if let Some(told) = death(&why, victim.pid()) {
        let sender = told.get("sender").unwrap_or(&Value::Null);
        ensure!(sender.is_null(), "nobody heard who sent it, and told is {sender}");
    }
    agent.stop()?;
    Ok(sight)
}

fn without_docker(program: &Path) -> anyhow::Result<String> {
    let stage =
        Stage::new(program, "dockerless", "docker_socket = \"/nonexistent/docker.sock\"\n")?;
    let agent = stage.start(stage.command())?;
    let sight = stage.lacks(&[Witness::Docker])?;
    let after = stage.hears()?;
    agent.stop()?;
    Ok(format!("{sight}; {after}"))
}

/// A journalctl as it is for a user who may not read.
fn unreadable(program: &Path) -> anyhow::Result<String> {
    let stage = Stage::new(program, "journalless", "")?;
    let bin = stage.folder.join("bin");
    fs::create_dir_all(&bin)?;
    let fake = bin.join("journalctl");
    fs::write(
        &fake,
        "#!/bin/sh\necho 'No journal files were opened due to insufficient permissions.' >&2\nexit 1\n",
    )?;
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = stage.command();
    command.env("PATH", format!("{}:{path}", bin.display()));
    let agent = stage.start(command)?;
    let sight = stage.lacks(&[Witness::Journal])?;
    let after = stage.hears()?;
    agent.stop()?;
    Ok(format!("{sight}; {after}"))
}

/// Docker, D-Bus and the kubelet accept a connection, read, and say nothing, for ever.
fn hung(program: &Path) -> anyhow::Result<String> {
    let folder = Folder::fresh("hung")?;
    let socket = folder.join("silent.sock");
    silence(&socket)?;
    let web = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = web.local_addr()?;
    // Never accepted: the kernel does that, and nobody answers.
    let config = format!(
        "docker_socket = \"{0}\"\npodman_socket = \"{0}\"\nkubelet = \"https://{address}\"\n",
        socket.display()
    );
    let stage = Stage::new(program, "hung", &config)?;
    let mut command = stage.command();
    command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    let agent = stage.start(command)?;
    let first = stage.hears()?;
    thread::sleep(Duration::from_secs(3));
    let again = stage.hears()?;
    let begun = clock::now();
    agent.stop()?;
    let ended = begun.elapsed().as_millis();
    drop(web);
    Ok(format!("{first}, later {again}; ended in {ended} ms"))
}

/// A socket that takes everything and answers nothing, for as long as this process lives.
fn silence(socket: &Path) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let thread = thread::Builder::new().name("silence".to_owned());
    thread.spawn(move || {
        // Whoever calls is kept: to hang up would be an answer.
        let mut callers = Vec::new();
        for caller in listener.incoming().flatten() {
            callers.push(caller);
        }
    })?;
    Ok(())
}

/// What the scene left of an agent that ran in a container without any privilege.
fn contained(results: &Path) -> anyhow::Result<String> {
    let said = fs::read_to_string(results.join("contained.log")).context("it said nothing")?;
    for witness in [Witness::Kmsg, Witness::Signals, Witness::Docker, Witness::Systemd] {
        ensure!(said.contains(witness.words()), "{} is not named: {said}", witness.words());
    }
    let why = fs::read(results.join("contained.json")).context("why did not answer")?;
    let _answer: Value = serde_json::from_slice(&why).context("why --json is not JSON")?;
    let lacking = said.lines().find(|line| line.contains(Witness::Signals.words()));
    Ok(lacking.unwrap_or_default().trim().to_owned())
}

fn death(why: &Value, pid: u32) -> Option<&Value> {
    let deaths = why.get("deaths")?.as_array()?;
    deaths
        .iter()
        .find(|death| death.pointer("/victim/pid").and_then(Value::as_u64) == Some(pid.into()))
}

/// A place for one agent, open to everybody.
struct Stage {
    folder: Folder,
}

impl Stage {
    fn new(program: &Path, name: &str, witnesses: &str) -> anyhow::Result<Self> {
        let folder = Folder::fresh(&format!("sight-{name}"))?;
        let history = folder.join("history");
        fs::create_dir_all(&history)?;
        for folder in [&*folder, &history] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        }
        // Whoever it runs as may not be let into the folder where it was built.
        fs::copy(program, folder.join("highwater"))?;
        let config = format!("[witness]\n{witnesses}");
        fs::write(folder.join("agent.toml"), config)?;
        Ok(Self { folder })
    }

    fn history(&self) -> PathBuf {
        self.folder.join("history")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.folder.join("highwater"));
        command.args(["agent", "--listen", "off", "--data-dir"]).arg(self.history());
        command.arg("--config").arg(self.folder.join("agent.toml")).stdin(Stdio::null());
        command
    }

    fn start(&self, mut command: Command) -> anyhow::Result<Agent> {
        let log = fs::File::create(self.folder.join("log"))?;
        let mut process = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let greeted = clock::poll(AT_MOST, EVERY, || {
            if let Some(status) = process.try_wait()? {
                bail!("the agent ended ({status}): {}", self.said()?);
            }
            Ok(self.said()?.contains("highwater why").then_some(()))
        })?;
        greeted.context("the agent did not greet")?;
        Ok(Agent(process))
    }

    fn said(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join("log"))?).into_owned())
    }

    /// Waits until the record says that these are not heard, and why; and that the log does.
    fn lacks(&self, witnesses: &[Witness]) -> anyhow::Result<String> {
        let said = clock::poll(AT_MOST, EVERY, || {
            let Some(sight) = self.sight()? else { return Ok(None) };
            let whys: Option<Vec<String>> =
                witnesses.iter().map(|witness| why(&sight, *witness)).collect();
            Ok(whys)
        })?;
        let whys = said.with_context(|| {
            format!("it does not say that it lacks {witnesses:?}: {:?}", self.sight())
        })?;
        let log = self.said()?;
        for witness in witnesses {
            ensure!(log.contains(witness.words()), "{} is not in its log: {log}", witness.words());
        }
        Ok(whys.join("; "))
    }

    /// The newest account of who is heard.
    fn sight(&self) -> anyhow::Result<Option<Sight>> {
        let kind = Some("sight");
        let Ok(reader) = Reader::open(&self.history()) else { return Ok(None) };
        let events = reader.events(&EventFilter { kind, ..EventFilter::default() })?;
        let sights = events.into_iter().filter_map(|stored| match stored.event.what {
            Happening::Sight(sight) => Some((stored.row, sight)),
            _ => None,
        });
        Ok(sights.max_by_key(|(row, _)| *row).map(|(_, sight)| sight))
    }

    fn why(&self, pid: u32) -> anyhow::Result<Value> {
        let mut why = Command::new(self.folder.join("highwater"));
        why.arg("why").arg(pid.to_string()).arg("--json").arg("--data-dir").arg(self.history());
        let told = why.stdin(Stdio::null()).output()?;
        serde_json::from_slice(&told.stdout)
            .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&told.stderr)))
    }

    /// Kills somebody, and waits until `why` knows who did it.
    fn hears(&self) -> anyhow::Result<String> {
        let mut victim = Victim::start()?;
        victim.kill()?;
        let begun = clock::now();
        let told = clock::poll(AT_MOST, EVERY, || {
            let why = self.why(victim.pid())?;
            let told = death(&why, victim.pid());
            let sender = told.and_then(|told| told.pointer("/sender/pid")?.as_u64());
            Ok((sender == Some(std::process::id().into())).then_some(()))
        })?;
        told.with_context(|| format!("the kill of pid {} is not told", victim.pid()))?;
        Ok(format!("a kill told after {} ms", begun.elapsed().as_millis()))
    }
}

/// Why a witness is not heard.
fn why(sight: &Sight, witness: Witness) -> Option<String> {
    let presence = sight.witnesses.iter().find(|presence| presence.witness == witness)?;
    let absent = presence.absent.as_ref()?;
    Some(format!("{}: {absent}", witness.name()))
}

/// A running agent. Dropping it kills it.
struct Agent(Child);

impl Agent {
    fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(
            pid.context("a pid is positive")?,
            rustix::process::Signal::TERM,
        )?;
        let ended = clock::poll(AT_MOST, EVERY, || Ok(self.0.try_wait()?))?;
        let status = ended.context("the agent did not end after SIGTERM")?;
        ensure!(status.success(), "the agent ended badly after SIGTERM ({status})");
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Somebody to be killed.
struct Victim(Child);

impl Victim {
    fn start() -> anyhow::Result<Self> {
        let victim = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(200));
        Ok(Self(victim))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}
