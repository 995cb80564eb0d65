//! What the page asks beside the Prometheus API, told by a child.
//!
//! To judge a history takes more memory than the agent may have, and the agent's is locked in RAM: a
//! child gives all of it back, and ends with the agent. An answer is kept for a while, so that twenty
//! pages cost no more than one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_agent::board::Board;
use highwater_agent::clock;
use highwater_core::time::BootTime;
use highwater_web::{Progress, Question, Teller, Untold};

use crate::cmd::tell::ABSENT;

/// An answer is a few hundred kB at most; more is none.
const MOST_BYTES: u64 = 16 << 20;

/// So many answers are kept: the five that every page asks for, and some deaths in full.
const KEPT: usize = 8;

/// Tells of the recording in a directory.
#[derive(Debug)]
pub(crate) struct Narrator {
    program: PathBuf,
    dir: PathBuf,
    /// The board of whoever goes on recording it.
    board: Option<Arc<Board>>,
    kept: Mutex<BTreeMap<Question, Kept>>,
}

/// An answer that was given.
#[derive(Debug)]
struct Kept {
    at: BootTime,
    /// How far the recording had come before it was asked.
    progress: Option<Progress>,
    answer: Vec<u8>,
}

impl Narrator {
    /// Of the recording in `dir`; with the board of the agent that goes on with it, if one does.
    pub(crate) fn new(dir: &Path, board: Option<Arc<Board>>) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, dir: dir.to_owned(), board, kept: Mutex::default() })
    }

    fn ask(&self, question: &Question) -> Result<Vec<u8>, Untold> {
        let failed = |why: String| Untold::Failed(format!("it cannot be told: {why}"));
        let mut command = Command::new(&self.program);
        command.arg("tell").arg(word(question)).arg("--data-dir").arg(&self.dir);
        if let Question::Death(id) = question {
            command.arg("--id").arg(id);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let mut answer = Vec::new();
        if let Some(out) = child.stdout.take() {
            let read = out.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut answer);
            read.map_err(|error| failed(error.to_string()))?;
        }
        let ended = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if ended.status.code() == Some(i32::from(ABSENT)) {
            return Err(Untold::Absent("no such death is on record".to_owned()));
        }
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
            return Err(failed(format!("{}: {said}", ended.status)));
        }
        if u64::try_from(answer.len()).is_ok_and(|length| length > MOST_BYTES) {
            return Err(failed("the answer is too long".to_owned()));
        }
        Ok(answer)
    }
}

impl Teller for Narrator {
    fn tell(&self, question: &Question) -> Result<Vec<u8>, Untold> {
        if *question == Question::Now && self.board.is_none() {
            let why = "this is a history: nothing is recorded now";
            return Err(Untold::Absent(why.to_owned()));
        }
        // Held while a child works: one at a time.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, progress) = (clock::now().boot, self.progress());
        kept.retain(|question, kept| kept.is_good(question, at, progress));
        if let Some(kept) = kept.get(question) {
            return Ok(kept.answer.clone());
        }
        let answer = self.ask(question)?;
        if kept.len() < KEPT {
            kept.insert(question.clone(), Kept { at, progress, answer: answer.clone() });
        }
        Ok(answer)
    }

    fn progress(&self) -> Option<Progress> {
        let board = self.board.as_ref()?;
        let counts = board.counts();
        Some(Progress {
            samples: counts.frames.load(Ordering::Relaxed),
            events: counts.events.load(Ordering::Relaxed),
            alerts: board.alert_changes(),
        })
    }
}

impl Kept {
    /// Whether it is still as good as a new one. Of a history that nobody adds to it is for ever; what
    /// happened since makes it old at once.
    fn is_good(&self, question: &Question, now: BootTime, progress: Option<Progress>) -> bool {
        let (Some(then), Some(progress)) = (self.progress, progress) else { return true };
        let is_same = match question {
            Question::Now => (then.events, then.alerts) == (progress.events, progress.alerts),
            Question::Deaths | Question::Death(_) | Question::Events | Question::Restarts => {
                then.events == progress.events
            }
            Question::Growth => true,
        };
        is_same && now.since(self.at) < lasts(question)
    }
}

/// How the command line calls it.
const fn word(question: &Question) -> &'static str {
    match question {
        Question::Now => "now",
        Question::Growth => "growth",
        Question::Deaths => "deaths",
        Question::Death(_) => "death",
        Question::Events => "events",
        Question::Restarts => "restarts",
    }
}

/// How long an answer is as good as new. What takes long to judge changes slowly.
const fn lasts(question: &Question) -> Duration {
    match question {
        Question::Now => Duration::from_secs(4),
        Question::Deaths | Question::Death(_) | Question::Events | Question::Restarts => {
            Duration::from_mins(1)
        }
        Question::Growth => Duration::from_mins(2),
    }
}
