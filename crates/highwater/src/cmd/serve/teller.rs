//! What the page asks beside the Prometheus API, told by a child.
//!
//! To judge a history takes more memory than the agent may have, and the agent's is locked in RAM: a
//! child gives all of it back, and ends with the agent. An answer is kept for a while, so that twenty
//! pages cost no more than one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_agent::board::Board;
use highwater_agent::clock;
use highwater_core::time::BootTime;
use highwater_web::{Progress, Question, Since, Teller, Trial, Tried, Untold};

use crate::cmd::tell::{ABSENT, WRONG};

/// An answer is a few hundred kB at most; more is none.
const MOST_BYTES: u64 = 16 << 20;

/// So many answers are kept: the five that every page asks for, and some deaths in full.
const KEPT: usize = 8;

/// The names of the rule files that are loaded.
pub(crate) type Loaded = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Tells of the recording in a directory.
pub(crate) struct Narrator {
    program: PathBuf,
    dir: PathBuf,
    /// The board of whoever goes on recording it.
    board: Option<Arc<Board>>,
    loaded: Loaded,
    kept: Mutex<BTreeMap<Question, Kept>>,
    /// Of what takes long: nobody else waits for it.
    long_kept: Mutex<BTreeMap<Question, Kept>>,
}

impl fmt::Debug for Narrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrator").field("dir", &self.dir).finish_non_exhaustive()
    }
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
    /// Of the recording in `dir`; with the board of the agent that goes on with it, if one does. Rules
    /// are those that are `loaded`.
    pub(crate) fn new(
        dir: &Path,
        board: Option<Arc<Board>>,
        loaded: Loaded,
    ) -> std::io::Result<Self> {
        let (program, dir) = (std::env::current_exe()?, dir.to_owned());
        let (kept, long_kept) = (Mutex::default(), Mutex::default());
        Ok(Self { program, dir, board, loaded, kept, long_kept })
    }

    /// The words that a child is asked with.
    fn words(&self, question: &Question) -> Vec<OsString> {
        let mut words = vec!["tell".into(), word(question).into()];
        words.extend(["--data-dir".into(), self.dir.clone().into()]);
        match question {
            Question::Death(id) => words.extend(["--id".into(), id.into()]),
            Question::Backtest(trial) => words.extend(trial_words(trial, &self.loaded)),
            Question::Now
            | Question::Growth
            | Question::Deaths
            | Question::Events
            | Question::Restarts => {}
        }
        words
    }

    fn ask(&self, words: &[OsString]) -> Result<Vec<u8>, Untold> {
        let failed = |why: String| Untold::Failed(format!("it cannot be told: {why}"));
        let mut command = Command::new(&self.program);
        command.args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let mut answer = Vec::new();
        if let Some(out) = child.stdout.take() {
            let read = out.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut answer);
            read.map_err(|error| failed(error.to_string()))?;
        }
        let ended = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        match ended.status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(0) => {}
            Some(ABSENT) => return Err(Untold::Absent(said)),
            Some(WRONG) => return Err(Untold::Wrong(said)),
            _ => return Err(failed(format!("{}: {said}", ended.status))),
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
        let is_long = matches!(question, Question::Backtest(_));
        let kept = if is_long { &self.long_kept } else { &self.kept };
        // Held while a child works: one at a time.
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, progress) = (clock::now().boot, self.progress());
        kept.retain(|question, kept| kept.is_good(question, at, progress));
        if let Some(kept) = kept.get(question) {
            return Ok(kept.answer.clone());
        }
        let answer = self.ask(&self.words(question))?;
        if is_long && (self.loaded)().is_empty() {
            // An agent that has just begun has no rules yet.
            return Ok(answer);
        }
        if kept.len() >= KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.at);
            let oldest = oldest.map(|(question, _)| question.clone());
            oldest.map(|question| kept.remove(&question));
        }
        kept.insert(question.clone(), Kept { at, progress, answer: answer.clone() });
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
    /// Whether it is still as good as a new one: what happened since makes it old at once.
    fn is_good(&self, question: &Question, now: BootTime, progress: Option<Progress>) -> bool {
        let of = |progress: Option<Progress>| progress.map(|of| (of.events, of.alerts)).unzip();
        let ((events, alerts), (events_now, alerts_now)) = (of(self.progress), of(progress));
        let is_same = match question {
            Question::Now => events == events_now && alerts == alerts_now,
            Question::Deaths | Question::Death(_) | Question::Events | Question::Restarts => {
                events == events_now
            }
            Question::Growth | Question::Backtest(_) => true,
        };
        is_same && now.since(self.at) < lasts(question)
    }
}

/// What a trial adds to the words: numbers in milliseconds.
fn trial_words(trial: &Trial, loaded: &Loaded) -> Vec<OsString> {
    let mut words = Vec::new();
    // One word each, so that nothing that was typed is taken for an option.
    let mut put = |name: &str, value: &str| words.push(format!("--{name}={value}").into());
    match &trial.of {
        Tried::Typed { expr, hold } => {
            put("expr", expr);
            put("hold", &hold.as_millis().to_string());
        }
        Tried::All | Tried::One(_) => loaded().iter().for_each(|file| put("rules", file)),
    }
    if let Tried::One(name) = &trial.of {
        put("rule", name);
    }
    match trial.since {
        Some(Since::At(moment)) => put("start", &moment.to_string()),
        Some(Since::Before(length)) => put("start", &format!("{}ms", length.as_millis())),
        None => {}
    }
    if let Some(until) = trial.until {
        put("end", &until.to_string());
    }
    if let Some(every) = trial.scrape {
        put("scrape", &every.as_millis().to_string());
    }
    words
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
        Question::Backtest(_) => "backtest",
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
        Question::Backtest(_) => Duration::from_mins(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(progress: Option<Progress>) -> Kept {
        Kept { at: BootTime::from_micros(0), progress, answer: Vec::new() }
    }

    #[test]
    fn what_happened_since_makes_an_answer_old_at_once() {
        let then = Progress { samples: 1, events: 1, alerts: 1 };
        let soon = BootTime::from_micros(1_000_000);
        let is_good = |question, now| kept(Some(then)).is_good(&question, soon, Some(now));
        assert!(is_good(Question::Deaths, Progress { samples: 2, ..then }));
        assert!(is_good(Question::Now, Progress { samples: 2, ..then }));
        assert!(!is_good(Question::Deaths, Progress { events: 2, ..then }));
        assert!(!is_good(Question::Now, Progress { alerts: 2, ..then }));
        // What takes long to judge is not judged anew for each event.
        assert!(is_good(Question::Growth, Progress { events: 2, ..then }));
    }

    #[test]
    fn an_answer_grows_old_by_itself() {
        let at = BootTime::from_micros(5_000_000);
        let of_this = Some(Progress::default());
        for progress in [of_this, None] {
            assert!(!kept(progress).is_good(&Question::Now, at, progress));
            assert!(kept(progress).is_good(&Question::Deaths, at, progress));
        }
    }
}
