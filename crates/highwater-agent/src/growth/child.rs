//! The process that judges: started, heard, and ended.

use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use highwater_core::time::WallTime;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::look::Look;
use crate::clock;
use crate::watcher::timespec;

/// What one look may take of a processor: twenty times the largest history that is planned for.
pub(super) const MOST_CPU: Duration = Duration::from_mins(1);

/// And of time: on a machine that is overloaded it gets next to no processor.
const MOST_TIME: Duration = Duration::from_mins(10);

/// An answer is some hundred kB at most; more is none.
const MOST_BYTES: usize = 4 << 20;

/// A child that ends is looked after so often, …
const END_LOOKS: u32 = 100;

/// … this far apart: a second in all.
const END_LOOK: Duration = Duration::from_millis(10);

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The agent stops.
    Stopped,
    /// In words.
    Failed(String),
}

/// A child, which does not outlive this.
struct Running(Child);

impl Running {
    /// How it ended; `None` if it has not within a second.
    fn ended(&mut self) -> Option<ExitStatus> {
        for _ in 0..END_LOOKS {
            match self.0.try_wait() {
                Ok(None) => sleep(END_LOOK),
                Ok(ended) => return ended,
                Err(_) => return None,
            }
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        // On a disk that hangs even a kill has to wait. The agent has not.
        let _ended = self.ended();
    }
}

/// Has `program` judge the database in `dir`, until `stop` is readable.
pub(super) fn ask(
    program: &Path,
    dir: &Path,
    told_since: WallTime,
    stop: &OwnedFd,
) -> Result<Look, Ended> {
    let mut command = Command::new(program);
    command
        .arg("look")
        .arg("--told-since")
        .arg(told_since.millis().to_string())
        .arg("--data-dir")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |what: &str, why: &dyn std::fmt::Display| Ended::Failed(format!("{what}: {why}"));
    let mut child =
        Running(command.spawn().map_err(|error| failed("it cannot be judged", &error))?);
    let Some(mut answers) = child.0.stdout.take() else {
        return Err(Ended::Failed("it cannot be judged: no pipe".to_owned()));
    };
    let answer = hear(&mut answers, stop, MOST_TIME)?;
    drop(answers);
    match child.ended() {
        Some(status) if !status.success() => Err(failed("judging it ended early", &status)),
        _ => serde_json::from_slice(&answer)
            .map_err(|error| failed("the judgement cannot be read", &error)),
    }
}

/// Reads to the end.
fn hear(answers: &mut ChildStdout, stop: &OwnedFd, most: Duration) -> Result<Vec<u8>, Ended> {
    let began = clock::now().boot;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let left = most.saturating_sub(clock::now().boot.since(began));
        if left.is_zero() {
            return Err(Ended::Failed("judging it took too long".to_owned()));
        }
        let mut fds = [
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(answers.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Ended::Failed(format!("poll: {error}"))),
        }
        let [stopped, ready] = fds.map(|fd| !fd.revents().is_empty());
        if stopped {
            return Err(Ended::Stopped);
        }
        if !ready {
            continue;
        }
        match answers.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Ended::Failed(format!("the judgement is lost: {error}"))),
        }
        if answer.len() > MOST_BYTES {
            return Err(Ended::Failed("the judgement is too long".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    /// A program that answers like this.
    fn program(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("judge");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn stop() -> OwnedFd {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
    }

    fn asked(script: &str) -> Result<Look, Ended> {
        let dir = tempfile::tempdir().unwrap();
        ask(&program(dir.path(), script), dir.path(), WallTime::from_millis(7), &stop())
    }

    #[test]
    fn an_answer_is_read() {
        let text = serde_json::to_string(&Look { courses: 7, ..Look::default() }).unwrap();
        assert_eq!(asked(&format!("echo '{text}'")).unwrap().courses, 7);
        let echoed = "[ \"$1 $2 $3 $4\" = 'look --told-since 7 --data-dir' ] || exit 9";
        assert!(asked(&format!("{echoed}; echo '{text}'")).is_ok());
    }

    #[test]
    fn no_answer_garbage_and_too_much_are_told() {
        let failed = |script: &str| match asked(script) {
            Err(Ended::Failed(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(failed("exit 3").contains("exit status: 3"));
        assert!(failed("echo '{'").starts_with("the judgement cannot be read"));
        assert!(failed("kill -9 $$").contains("signal: 9"));
        assert_eq!(failed("cat /dev/zero"), "the judgement is too long");
        let nowhere = ask(Path::new("/nowhere"), Path::new("/"), WallTime::default(), &stop());
        assert!(matches!(nowhere, Err(Ended::Failed(_))));
    }

    #[test]
    fn who_stops_does_not_wait_for_the_answer() {
        let dir = tempfile::tempdir().unwrap();
        let slow = program(dir.path(), "exec sleep 600");
        let signal = stop();
        rustix::io::write(&signal, &1_u64.to_ne_bytes()).unwrap();
        let ended = ask(&slow, dir.path(), WallTime::default(), &signal);
        assert_eq!(ended, Err(Ended::Stopped));
    }
}
