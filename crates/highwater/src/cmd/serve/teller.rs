//! What the page asks beside the Prometheus API, told by a child.
//!
//! To judge a history takes more memory than the agent may have, and the agent's is locked in RAM: a
//! child gives all of it back, and ends with the agent. An answer is kept for a while, so that twenty
//! pages cost no more than one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use highwater_agent::clock;
use highwater_core::time::BootTime;
use highwater_web::{Question, Teller, Untold};

use crate::cmd::tell::ABSENT;

/// An answer is a few hundred kB at most; more is none.
const MOST_BYTES: u64 = 16 << 20;

/// So many answers are kept: the four that every page asks for, and some deaths in full.
const KEPT: usize = 8;

/// Tells of the recording in a directory.
#[derive(Debug)]
pub(crate) struct Narrator {
    program: PathBuf,
    dir: PathBuf,
    /// Whether it is of this machine and goes on.
    is_live: bool,
    kept: Mutex<BTreeMap<Question, (BootTime, Vec<u8>)>>,
}

impl Narrator {
    /// Of the recording in `dir`, which goes on if it `is_live`.
    pub(crate) fn new(dir: &Path, is_live: bool) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, dir: dir.to_owned(), is_live, kept: Mutex::default() })
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
        if *question == Question::Now && !self.is_live {
            let why = "this is a history: nothing is recorded now";
            return Err(Untold::Absent(why.to_owned()));
        }
        let now = clock::now().boot;
        // Held while a child works: one at a time.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|question, (at, _)| now.since(*at) < lasts(question));
        if let Some((_, answer)) = kept.get(question) {
            return Ok(answer.clone());
        }
        let answer = self.ask(question)?;
        if kept.len() < KEPT {
            kept.insert(question.clone(), (now, answer.clone()));
        }
        Ok(answer)
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
    }
}

/// How long an answer is as good as new. What takes long to judge changes slowly.
const fn lasts(question: &Question) -> Duration {
    match question {
        Question::Now | Question::Deaths | Question::Events => Duration::from_secs(4),
        Question::Death(_) => Duration::from_mins(1),
        Question::Growth => Duration::from_mins(2),
    }
}
