//! `cargo xtask e2e hostile`: names that were made to be mistaken for something else.
//!
//! ```text
//!  processes and cgroups named by ──► the agent ──┬── the page in Chromium, every view
//!  markup, escapes, bidi marks,                   ├── every answer and /metrics ── promtool
//!  broken UTF-8, 255 bytes, 4 KiB                 └── the command line on a terminal, the log
//! ```
//!
//! Each holds memory, each leaks a little, and one is killed for it under such a name. Docker and systemd
//! take no such names themselves: Docker has letters, digits, `_.-` alone, and systemd writes all else as
//! `\x2d`, which is plain text when it comes here.

mod terminal;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use highwater_core::text::escape;

use super::Scoreboard;
use super::agent::Recording;
use super::driven::drive;
use super::group::{Group, Hierarchy};
use crate::borrowed::{Folder, Running};
use crate::clock;
use crate::repo::{self, Profile};
use crate::victim::Leak;

const MIB: u64 = 1 << 20;

/// What a process is called, and its cgroup. The kernel takes any byte but `/` and, of a cgroup, a
/// newline.
const NAMES: [(&[u8], &[u8]); 6] = [
    (b"<u onclick=x()>", b"<img src=x onerror=document.title=1>"),
    (b"\x1b[7m\x1b]0;x\x07", b"\x1b[2J\x1b]0;owned\x07\x1b[7mred"),
    ("\u{202e}gpj.x\u{2066}".as_bytes(), "\u{202e}\u{2066}elif\u{200b}\u{feff}".as_bytes()),
    (b"\xff\xfe\x80bad", b"\xc3\x28\xf0\x9f\xff"),
    (b"a\nb\tc\rd", b"tab\there\rback"),
    (b"\"'\\}{$(id)", b"\"} 1\\' `id` {a=\"b\"}"),
];

/// Who is killed.
const KILLED: (&[u8], &[u8]) = (b"<u>\x1b[7m\xe2\x80\xae", b"<u>killed\xe2\x80\xae\x1b[7m\"");

/// The longest name of a folder.
const LONGEST: usize = 255;

/// How long the path of a cgroup may be, less the root's own and what is between.
const DEEPEST: usize = 3_800;

/// What dies: 2 MiB/s into this.
const SMALL: u64 = 48 * MIB;

/// Within what time of the kill the death must be in the store.
const STORED_WITHIN: Duration = Duration::from_secs(30);

/// A minute is the least that is judged; a busy machine takes longer.
const GROWS_WITHIN: Duration = Duration::from_mins(5);

/// Makes the names, and looks for them everywhere.
pub(crate) fn run(board: &mut Scoreboard) -> anyhow::Result<()> {
    let Some(hierarchy) = Hierarchy::find()? else {
        println!("skipped: no memory cgroup can be made here (it takes root and a cgroup mount)");
        return Ok(());
    };
    let program = repo::build("highwater", Profile::Dev)?;
    let config = "[web]\nlisten = \"127.0.0.1:0\"\nper_process = true\n";
    let recording = Recording::configured(&program, "hostile", config)?;
    let _agent = recording.agent()?;
    let stage = Stage::build(hierarchy)?;
    let _all = stage.all()?;
    let mut killed = stage.victim(KILLED, Some(SMALL), &Leak::default())?;
    killed.process.wait()?;
    recording.keeps(killed.process.id(), STORED_WITHIN)?;
    let (at_most, every) = (GROWS_WITHIN, Duration::from_secs(5));
    let grows = || Ok(stage.grows(&program, &recording)?.then_some(()));
    clock::poll(at_most, every, grows)?.context("none of the names is told as a growth")?;
    board.check("/metrics is one that Prometheus reads", metrics(&recording));
    let look = terminal::Look { program: &program, data: &recording.data() };
    board.check("no command writes more than text to a terminal", look.at(&commands()));
    let url = format!("http://{}", recording.address().context("the agent names no address")?);
    let names = serde_json::to_string(&recorded())?;
    drive(&["drive/hostile.mjs".as_ref(), url.as_ref(), names.as_ref()], board, || Ok(()))?;
    board.check("the agent's log is lines of text", log(&recording));
    Ok(())
}

/// How a name has to be written wherever somebody reads it.
fn shown(name: &[u8]) -> String {
    escape(name).into_owned()
}

/// What has to be on record, as it has to be written: every process, and the cgroups whose names are
/// plain. The others are part of the one above (see the agent's reader), and only told of in a death.
fn recorded() -> Vec<String> {
    let groups = NAMES.map(|(_, group)| group).into_iter();
    let plain = groups.filter(|group| shown(group).as_bytes() == *group);
    NAMES.iter().chain([&KILLED]).map(|(comm, _)| *comm).chain(plain).map(shown).collect()
}

/// What is typed.
fn commands() -> Vec<Vec<&'static OsStr>> {
    let plain = |words: &'static [&str]| words.iter().map(OsStr::new).collect();
    vec![
        plain(&["why"]),
        vec![OsStr::new("why"), OsStr::from_bytes(KILLED.0)],
        plain(&["why", "--all"]),
        plain(&["leaks"]),
        plain(&["restarts"]),
        plain(&["checkup"]),
        plain(&["query", "highwater_owner_resident_anon_bytes"]),
        plain(&["query", "container_memory_usage_bytes"]),
        plain(&["query", "highwater_process_resident_anon_bytes"]),
        plain(&["query", "--csv", "highwater_process_resident_anon_bytes"]),
        plain(&["rules", "list"]),
    ]
}

/// promtool's verdict: 3 is readable, but with faults of style.
fn metrics(recording: &Recording) -> anyhow::Result<String> {
    let answer = recording.page("/metrics").context("/metrics gives no text in UTF-8")?;
    let (_, text) = answer.split_once("\r\n\r\n").context("/metrics has no body")?;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    promtool.stdin.take().context("promtool takes nothing")?.write_all(text.as_bytes())?;
    let status = promtool.wait()?;
    ensure!(matches!(status.code(), Some(0 | 3)), "promtool cannot read it: {status}");
    terminal::is_text(text.as_bytes())?;
    for (comm, _) in NAMES {
        let name = shown(comm).replace('\\', r"\\").replace('"', "\\\"");
        ensure!(text.contains(&name), "{name} is not there");
    }
    Ok(format!("{} lines", text.lines().count()))
}

/// What the agent said while all that went on.
fn log(recording: &Recording) -> anyhow::Result<String> {
    let said = recording.said()?;
    terminal::is_text(said.as_bytes())?;
    ensure!(!said.contains('\u{fffd}'), "it has bytes that are not UTF-8");
    Ok(format!("{} lines", said.lines().count()))
}

/// Where the names are.
struct Stage {
    hierarchy: Hierarchy,
    /// The cgroup above all of ours.
    top: Group,
    /// The kernel calls a process what its file is called.
    folder: Folder,
}

impl Stage {
    fn build(hierarchy: Hierarchy) -> anyhow::Result<Self> {
        let folder = Folder::fresh("hostile")?;
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        for (comm, _) in NAMES.iter().chain([&KILLED]) {
            symlink(&xtask, folder.join(OsStr::from_bytes(comm)))?;
        }
        symlink(&xtask, folder.join("long"))?;
        let top = format!("highwater-hostile-{}", std::process::id());
        let top = hierarchy.make(&top, None).context("cannot make a cgroup")?;
        Ok(Self { hierarchy, top, folder })
    }

    /// Every name at once, and paths as long as they can be.
    fn all(&self) -> anyhow::Result<Vec<Victim>> {
        let leak = Leak { step_mib: 1, until_mib: Some(400), ..Leak::default() };
        let named = NAMES.iter().map(|name| self.victim(*name, None, &leak));
        let mut all = named.collect::<anyhow::Result<Vec<Victim>>>()?;
        all.push(self.victim((b"long", &[b'L'; LONGEST]), None, &leak)?);
        all.push(self.deep(&leak)?);
        Ok(all)
    }

    fn victim(
        &self,
        (comm, group): (&[u8], &[u8]),
        limit: Option<u64>,
        leak: &Leak,
    ) -> anyhow::Result<Victim> {
        let path = self.below().join(OsStr::from_bytes(group));
        let made = self.hierarchy.make(&path, limit);
        let made = made.with_context(|| format!("cannot make the cgroup {}", shown(group)))?;
        self.started(comm, VecDeque::from([made]), leak)
    }

    /// One in a cgroup within others, as deep as a path goes.
    fn deep(&self, leak: &Leak) -> anyhow::Result<Victim> {
        let (mut path, mut groups) = (self.below(), VecDeque::new());
        while path.as_os_str().len() + LONGEST < DEEPEST {
            path.push("\u{202e}d".repeat(LONGEST / 4));
            // The innermost has to go first.
            groups.push_front(self.hierarchy.make(&path, None).context("no cgroup so deep")?);
        }
        self.started(b"long", groups, leak)
    }

    /// Our own cgroup's path below the mount.
    fn below(&self) -> PathBuf {
        self.top.folder().file_name().map(PathBuf::from).unwrap_or_default()
    }

    fn started(&self, comm: &[u8], groups: VecDeque<Group>, leak: &Leak) -> anyhow::Result<Victim> {
        let cgroup = groups.front().map(|group| group.folder().to_owned());
        let mut command = Command::new(self.folder.join(OsStr::from_bytes(comm)));
        command.arg0(OsStr::from_bytes(&command_line()));
        Leak { cgroup, ..leak.clone() }.arguments(&mut command);
        let process = Running::start(command.stdin(Stdio::null()))?;
        Ok(Victim { process, _groups: groups })
    }

    /// Whether `leaks` tells of one of them.
    fn grows(&self, program: &Path, recording: &Recording) -> anyhow::Result<bool> {
        let mut leaks = Command::new(program);
        leaks.args(["leaks", "--json", "--data-dir"]).arg(recording.data());
        let told = leaks.stdin(Stdio::null()).output().context("cannot run leaks")?;
        let answer: serde_json::Value = serde_json::from_slice(&told.stdout)?;
        let items = answer.get("items").and_then(serde_json::Value::as_array);
        let ours = self.below().display().to_string();
        Ok(items.into_iter().flatten().any(|item| {
            let verdict = item.get("verdict").and_then(serde_json::Value::as_str);
            matches!(verdict, Some("leak" | "growing")) && item.to_string().contains(&ours)
        }))
    }
}

/// Four KiB of what a command line may hold.
fn command_line() -> Vec<u8> {
    let mut line = b"<u>\x1b[2J\xff\n\xe2\x80\xae\"'".to_vec();
    line.resize(4096, b'A');
    line
}

/// A program in its cgroups. Dropping it kills it, then removes them.
struct Victim {
    process: Running,
    _groups: VecDeque<Group>,
}
