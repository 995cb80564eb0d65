//! journalctl as a child.
//!
//! It ends when this end of its pipe does (it waits for that, and writing fails), so that an agent
//! that is killed leaves none behind.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use highwater_owners::{Told, cited, journal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::lines::Lines;
use crate::watcher::timespec;

/// A journalctl that said nothing to its standard error for so long can read the journal: what it
/// lacks it says before it reads.
const GRACE: Duration = Duration::from_secs(1);

/// A child that is killed is looked after so often, …
const END_LOOKS: u32 = 100;

/// … this far apart: a second in all.
const END_LOOK: Duration = Duration::from_millis(10);

/// So much of what it says to its standard error is kept: a hint has three lines.
const WORDS_BYTES: usize = 2 << 10;

/// Where journald keeps its files: a folder for each machine, and in that a file or more.
const PLACES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// How many folders deep they are.
const DEPTH: u32 = 1;

/// So many names of a folder are looked at: a machine that keeps journals of others has hundreds.
const NAMES: usize = 4_096;

/// Why nothing is heard where no file is.
const EMPTY: &str = "there are no journal files: journald does not run here, or keeps nothing";

/// What comes of following.
#[derive(Debug)]
pub(super) enum Said {
    /// The journal is read.
    Here,
    /// It is not, or not all of it: why.
    Absent(String),
    /// journalctl says something that is no refusal, and reads on.
    Odd(String),
    /// An entry tells something.
    Told(Box<Told>),
    /// All that was there is read: the wall clock of the newest entry, in µs, and whether anything
    /// was told.
    Read { newest_us: u64, told: bool },
}

/// How following ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The agent stops.
    Stopped,
    /// journalctl ended: why the journal is not heard.
    Ended(String),
}

/// Follows the journal.
#[derive(Debug)]
pub(super) struct Follower {
    program: PathBuf,
    /// Where journald keeps its files.
    places: Vec<PathBuf>,
    since_us: u64,
    lines: Lines,
    /// Its odd words were told once: a damaged file is one for months.
    has_told_odd: bool,
}

/// A child, which does not outlive this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        for _ in 0..END_LOOKS {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            sleep(END_LOOK);
        }
        // On a disk that hangs even a kill has to wait. The agent has not: what is left of the child
        // goes with the agent.
    }
}

/// What a child writes to.
struct Pipes {
    stdout: ChildStdout,
    /// Until it is closed: such a pipe is always ready.
    stderr: Option<ChildStderr>,
}

/// What can be read.
enum Ready {
    Stop,
    /// What it lacks goes before what it says.
    Stderr,
    Stdout,
    Quiet,
}

impl Pipes {
    fn wait(&self, stop: BorrowedFd<'_>, most: Option<Duration>) -> io::Result<Ready> {
        let second = self.stderr.as_ref().map_or(stop, |stderr| stderr.as_fd());
        let mut fds = [
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(second, PollFlags::IN),
            PollFd::from_borrowed_fd(self.stdout.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, most.map(timespec).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds.map(|fd| !fd.revents().is_empty());
        Ok(match ready {
            [true, ..] => Ready::Stop,
            [_, true, _] => Ready::Stderr,
            [_, _, true] => Ready::Stdout,
            _ => Ready::Quiet,
        })
    }
}

/// What one child has said so far.
#[derive(Debug, Default)]
struct Manner {
    words: Vec<u8>,
    refusal: Option<Refusal>,
    is_here: bool,
}

/// Why journalctl does not read the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It gives this user's own entries at most.
    Unpermitted,
    /// There is nothing to read, so far.
    Empty,
}

impl Follower {
    /// Follows from the wall clock `since_us`, with the journalctl at `program`.
    pub(super) fn new(program: PathBuf, since_us: u64) -> Self {
        let places = PLACES.map(PathBuf::from).into();
        Self { program, places, since_us, lines: Lines::default(), has_told_odd: false }
    }

    /// The files are here.
    #[cfg(test)]
    pub(super) fn of_files_in(self, place: PathBuf) -> Self {
        Self { places: vec![place], ..self }
    }

    /// The wall clock of the newest entry, in µs.
    pub(super) fn newest_us(&self) -> u64 {
        self.lines.newest_us().unwrap_or(self.since_us)
    }

    /// Runs journalctl until it ends, or until `stop` is readable.
    pub(super) fn follow(&mut self, stop: BorrowedFd<'_>, out: &mut dyn FnMut(Said)) -> Gone {
        let mut child = match self.command().spawn() {
            Ok(child) => Running(child),
            Err(error) => return Gone::Ended(self.unstarted(&error)),
        };
        let (Some(stdout), Some(stderr)) = (child.0.stdout.take(), child.0.stderr.take()) else {
            return Gone::Ended("journalctl was started without its pipes".to_owned());
        };
        self.lines.cut_off();
        let mut manner = Manner::default();
        let pipes = Pipes { stdout, stderr: Some(stderr) };
        match self.hear(pipes, stop, &mut manner, out) {
            Ok(true) => Gone::Stopped,
            Ok(false) => Gone::Ended(ended(&mut child, &manner)),
            Err(error) => Gone::Ended(format!("journalctl cannot be read: {error}")),
        }
    }

    fn command(&self) -> Command {
        let us = self.newest_us();
        let since = format!("--since=@{}.{:06}", us / 1_000_000, us % 1_000_000);
        let mut command = Command::new(&self.program);
        command
            .args(["--output=json", "--follow", "--no-tail", "--no-pager", "--boot"])
            .arg(since)
            .args(journal::matches())
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn unstarted(&self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::NotFound => "there is no journalctl: systemd is not installed".to_owned(),
            _ => format!("{} cannot be started: {error}", self.program.display()),
        }
    }

    /// Hears a child until its output ends; `true` if the agent stops before.
    fn hear(
        &mut self,
        mut pipes: Pipes,
        stop: BorrowedFd<'_>,
        manner: &mut Manner,
        out: &mut dyn FnMut(Said),
    ) -> io::Result<bool> {
        loop {
            let waits = !manner.is_here && manner.refusal.is_none();
            let ready = pipes.wait(stop, waits.then_some(GRACE))?;
            match ready {
                Ready::Stop => return Ok(true),
                Ready::Stdout if !self.read(&mut pipes.stdout, manner, out)? => return Ok(false),
                Ready::Stderr => self.complain(&mut pipes.stderr, manner, out)?,
                Ready::Quiet if waits => self.be_quiet(manner, out),
                Ready::Stdout | Ready::Quiet => {}
            }
        }
    }

    /// It follows without a word. Where there is no file it does so, too, until one is made.
    fn be_quiet(&self, manner: &mut Manner, out: &mut dyn FnMut(Said)) {
        if self.places.iter().any(|place| has_journal(place, DEPTH)) {
            manner.be_here(out);
        } else {
            manner.refusal = Some(Refusal::Empty);
            out(Said::Absent(EMPTY.to_owned()));
        }
    }

    /// Reads what there is; `false` at the end.
    fn read(
        &mut self,
        stdout: &mut ChildStdout,
        manner: &mut Manner,
        out: &mut dyn FnMut(Said),
    ) -> io::Result<bool> {
        let count = match stdout.read(self.lines.room()) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        // One's own entries come where the system's may not be read.
        if manner.refusal != Some(Refusal::Unpermitted) {
            manner.be_here(out);
        }
        let mut has_told = false;
        self.lines.take(count, &mut |told| {
            has_told = true;
            out(Said::Told(Box::new(told)));
        });
        out(Said::Read { newest_us: self.newest_us(), told: has_told });
        Ok(true)
    }

    /// Reads what is said to standard error; at its end it is let go. Only what is known for a
    /// refusal is one: of a damaged file journalctl complains as well, and reads the others.
    fn complain(
        &mut self,
        stderr: &mut Option<ChildStderr>,
        manner: &mut Manner,
        out: &mut dyn FnMut(Said),
    ) -> io::Result<()> {
        let mut words = [0; WORDS_BYTES];
        let count = stderr.as_mut().map_or(Ok(0), |stderr| stderr.read(&mut words))?;
        if count == 0 {
            *stderr = None;
            return Ok(());
        }
        let room = WORDS_BYTES.saturating_sub(manner.words.len());
        manner.words.extend(words.iter().take(count.min(room)));
        let before = std::mem::replace(&mut manner.refusal, refusal(&manner.words));
        if manner.refusal.is_none() {
            if !std::mem::replace(&mut self.has_told_odd, true) {
                out(Said::Odd(reason(&manner.words)));
            }
        } else if before != manner.refusal {
            manner.is_here = false;
            out(Said::Absent(reason(&manner.words)));
        }
        Ok(())
    }
}

impl Manner {
    fn be_here(&mut self, out: &mut dyn FnMut(Said)) {
        if !std::mem::replace(&mut self.is_here, true) {
            out(Said::Here);
        }
    }
}

/// Why a child ended.
fn ended(child: &mut Running, manner: &Manner) -> String {
    if !manner.words.trim_ascii().is_empty() {
        return reason(&manner.words);
    }
    // Its output is closed, so it is about to end; if it is not, it is made to.
    match child.0.try_wait() {
        Ok(Some(status)) => format!("journalctl ended ({status})"),
        _ => "journalctl closed its output".to_owned(),
    }
}

/// What it lacks, by its own words.
fn reason(words: &[u8]) -> String {
    match refusal(words) {
        Some(Refusal::Unpermitted) => {
            "this user may not read the system's journal (needs the group systemd-journal or \
             CAP_DAC_READ_SEARCH)"
                .to_owned()
        }
        Some(Refusal::Empty) => EMPTY.to_owned(),
        None => {
            let lines = words.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let first = lines.into_iter().find(|line| !line.is_empty());
            format!("journalctl says: {}", cited(first.unwrap_or_default()))
        }
    }
}

/// Whether there is a file of journald's in `place`, or in a folder of it.
fn has_journal(place: &Path, depth: u32) -> bool {
    let Ok(names) = std::fs::read_dir(place) else { return false };
    names.take(NAMES).flatten().any(|entry| {
        let path = entry.path();
        let is_file = path.extension().is_some_and(|end| end == "journal" || end == "journal~");
        is_file || depth > 0 && has_journal(&path, depth.saturating_sub(1))
    })
}

fn refusal(words: &[u8]) -> Option<Refusal> {
    let says = |part: &str| memchr::memmem::find(words, part.as_bytes()).is_some();
    if says("insufficient permissions") || says("not seeing messages from other users") {
        return Some(Refusal::Unpermitted);
    }
    says("No journal files were found").then_some(Refusal::Empty)
}
