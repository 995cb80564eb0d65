//! A program of this machine that is handed the document.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde_json::Value;

use crate::failure::words;
use crate::receiver::Outcome;

/// How much is kept of what it complains.
const MOST_COMPLAINT: u64 = 4096;
/// What its children still complain after it has ended is waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A few calls deep.
const STACK_BYTES: usize = 128 * 1024;
/// What it sees of the environment: nothing that could be a secret.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];

/// A program and its arguments. There is no shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program, then its arguments.
    pub argv: Vec<String>,
    /// How long it may take; then it is killed with all that it started in its group.
    pub timeout: Duration,
}

impl Program {
    /// Runs the program with `document` on its standard input. It has taken it when it ends with 0.
    pub(crate) fn send(&self, document: &Value) -> Outcome {
        match self.run(document) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::later(format!("it cannot be run: {error}")),
        }
    }

    fn run(&self, document: &Value) -> io::Result<Outcome> {
        let mut child = self.start()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("it has no number"))?;
        let attended = attend(&mut child, document, group);
        let (ended, complaint) = attended.inspect_err(|_| end(group, &mut child))?;
        match ended.recv_timeout(self.timeout) {
            Ok(()) => {
                let status = child.wait()?;
                let said = complaint.recv_timeout(LAST_WORDS).unwrap_or_default();
                Ok(outcome(status, &said))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                end(group, &mut child);
                Ok(Outcome::later(format!("it took longer than {:?} and was killed", self.timeout)))
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        let mut argv = self.argv.iter();
        let name = argv.next().ok_or_else(|| io::Error::other("argv is empty"))?;
        let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new(name)
            .args(argv)
            .env_clear()
            .envs(kept)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // The recorder is spared when memory runs out; what it starts is not. It may have ended.
        let _ended = std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), "0");
        Ok(child)
    }
}

/// Feeds it and listens to it, each in a thread: it may do neither or both. What comes through the
/// first channel is its end, through the second what it complained.
fn attend(
    child: &mut Child,
    document: &Value,
    group: Pid,
) -> io::Result<(Receiver<()>, Receiver<Vec<u8>>)> {
    let (say_end, ended) = sync_channel(1);
    let (say_words, complaint) = sync_channel(1);
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let bytes = document.to_string();
    thread("notify-feed", move || feed(input, &bytes))?;
    thread("notify-hear", move || {
        let _unheard = say_words.send(hear(errors));
    })?;
    // The number stays its own until it is waited for: so the group that is killed is its own.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    thread("notify-wait", move || {
        let _reported_by_wait = waitid(WaitId::Pid(group), options);
        let _unheard = say_end.send(());
    })?;
    Ok((ended, complaint))
}

fn feed(input: Option<ChildStdin>, bytes: &str) {
    if let Some(mut input) = input {
        // It need not read it all.
        let _closed = input.write_all(bytes.as_bytes()).and_then(|()| input.write_all(b"\n"));
    }
}

/// The beginning of what it complains; the rest is read, so that it can go on, and forgotten.
fn hear(errors: Option<impl Read>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut errors) = errors {
        let _broken = errors.by_ref().take(MOST_COMPLAINT).read_to_end(&mut kept);
        let _broken = io::copy(&mut errors, &mut io::sink());
    }
    kept
}

fn end(group: Pid, child: &mut Child) {
    let _ended_by_itself = kill_process_group(group, Signal::KILL);
    let _ended = child.wait();
}

fn outcome(status: ExitStatus, said: &[u8]) -> Outcome {
    if status.success() {
        return Outcome::Sent;
    }
    let said = words(said);
    let colon = if said.is_empty() { "" } else { ": " };
    Outcome::later(format!("it ended with {status}{colon}{said}"))
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(body).map(drop)
}
