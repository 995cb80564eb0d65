//! The rules' thread: evaluates each group in its interval, and has told who is to be told.
//!
//! ```text
//!   store ── recent ──► groups ──states, samples──► recorder ──► store     one transaction
//!                          │                           │ written
//!                          └── alerts ──► post ────────┴──► receivers       after it
//! ```
//!
//! States and what waits to be sent are stored together before anything is sent: an agent that is
//! killed at any moment goes on as it was, and says nothing twice. A group that was late is evaluated
//! once, not as often as it missed. Recording never waits for any of this.

mod book;
mod context;
mod groups;
mod recent;
mod shown;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_alert::{Terms, Timer};
use highwater_core::series::Labels;
use highwater_core::time::{BootTime, Stamp};
use highwater_promql::{Options, Stop, Watch as Deadline};
use highwater_store::{Reader, Round};

pub use book::{files, shipped};
pub use shown::{GroupShown, RulesShown};
pub(crate) use shown::{METRICS, Shown};

use crate::board::Board;
use crate::clock;
use crate::config;
use crate::feed::Feed;
use crate::post::Post;
use crate::recorder::{Entry, bump};
use crate::watcher::sleep_or_stop;
use book::Book;
use context::Scene;
use groups::Groups;
use recent::{Asked, Recent};

/// How often it is looked whether anything is due, or was sent.
const STEP: Duration = Duration::from_millis(500);

/// The first round is not before this: a machine that starts has more to do, and there must be
/// something to look at.
const SETTLE: Duration = Duration::from_secs(5);

/// With no group at all there is a round this often: who is to be told is told.
const IDLE: Duration = Duration::from_secs(15);

/// So long a round may take. Its rules that had no turn report it as their error.
const MOST_TIME: Duration = Duration::from_secs(5);

/// So many samples one rule may hold: 8 MB, that are given back.
const MOST_SAMPLES: usize = 500_000;

/// So long the store may take for a round. One that is later counts as not written.
const MOST_WAIT: Duration = Duration::from_secs(20);

/// What states are kept under.
const POST: &str = "post";

/// What is evaluated, and who is told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rules: config::Rules,
    pub(crate) notify: config::Notify,
    /// Rises with each reload: files are read again though the configuration is the same.
    pub(crate) turn: u64,
}

/// Evaluates again and again.
pub(crate) struct Watch {
    /// Whose database.
    pub(crate) dir: PathBuf,
    pub(crate) plan: Arc<Mutex<Plan>>,
    /// What an earlier agent left, by name.
    pub(crate) standing: Vec<(String, String)>,
    pub(crate) entries: Feed,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Watch {
    /// Evaluates until told to stop.
    pub(crate) fn run(mut self) {
        let began = clock::now();
        let mut plan = self.latest().clone();
        let left = std::mem::take(&mut self.standing);
        let saved = left.iter().find(|(name, _)| name == POST).map(|(_, text)| text.clone());
        let url = plan.rules.external_url.clone();
        let (post, said) = Post::open(&plan.notify, &url, saved.as_deref());
        say(&said);
        let mut groups = Groups::default();
        groups.restore(left);
        let (recent, kept) = (Recent::default(), String::new());
        let mut work =
            Work { groups, post, kept, recent, reader: None, unsaved: true, rounded: began.boot };
        self.take(&mut work, &plan, began);
        while sleep_or_stop(&self.stop, STEP) {
            let now = clock::now();
            if self.latest().turn != plan.turn {
                plan = self.latest().clone();
                say(&work.post.reload(&plan.notify, &plan.rules.external_url));
                self.take(&mut work, &plan, now);
            }
            if now.boot.since(began.boot) >= SETTLE {
                self.round(&mut work, &plan, now);
            }
            self.deliver(&mut work, now);
        }
    }

    fn latest(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on by the rules as they are now; by those before, where a file is wrong.
    fn take(&self, work: &mut Work, plan: &Plan, now: Stamp) {
        let book = Book::read(&plan.rules);
        for fault in &book.faults {
            crate::log::say(&format!("rules: {fault}"));
        }
        if !book.faults.is_empty() && work.groups.is_begun() {
            crate::log::say("rules: the rules before stay, as long as that is wrong");
        } else {
            if !book.faults.is_empty() {
                crate::log::say(
                    "rules: what is wrong is left out until it is put right; the rest is evaluated",
                );
            }
            work.recent.want(book.metrics());
            work.groups.take(&book, now.boot);
            work.unsaved = true;
        }
        self.board.rules().set_faults(book.faults);
    }

    /// Evaluates what is due, stores what became of it, and shows it.
    fn round(&self, work: &mut Work, plan: &Plan, now: Stamp) {
        let due = work.groups.due(now.boot);
        let rested = now.boot.since(work.rounded);
        if due.is_empty() && !work.groups.is_ending() && rested < IDLE {
            return;
        }
        work.rounded = now.boot;
        let before = clock::thread_cpu();
        let samples = match work.evaluate(&self.dir, &due, &terms(plan, now), now) {
            Ok(samples) => samples,
            Err(why) => {
                work.groups.fail(&due, &why, now.wall);
                vec![]
            }
        };
        let scene = Scene::of(&self.board, plan);
        let reports = work.groups.reports(&scene);
        let durable = work.post.round(&reports, now) || work.groups.has_news() || work.unsaved;
        let mut standing = work.groups.saved();
        standing.extend(work.post_if_changed());
        let gone = work.groups.gone();
        work.unsaved = !self.store(Round { stamp: now, samples, standing, gone, durable });
        if work.unsaved {
            work.lost();
        } else {
            work.groups.kept();
        }
        let counts = self.board.counts();
        let us = clock::thread_cpu().saturating_sub(before).as_micros();
        let us = u64::try_from(us).unwrap_or(u64::MAX);
        counts.rules_cpu_us.fetch_add(us, Ordering::Relaxed);
        bump(&counts.rules_rounds);
        self.board.rules().show(&work.groups);
    }

    /// Has the recorder store a round; whether it did.
    fn store(&self, round: Round) -> bool {
        let (answer, written) = sync_channel(1);
        self.entries.send(Entry::Round(Box::new(round), answer))
            && written.recv_timeout(MOST_WAIT).unwrap_or(false)
    }

    /// Sends what is due to be sent, once it is stored that it is.
    fn deliver(&self, work: &mut Work, now: Stamp) {
        let delivered = work.post.deliver(now);
        say(&delivered.said);
        if delivered.changed {
            let standing = work.post_if_changed().into_iter().collect();
            let round = Round { stamp: now, standing, durable: true, ..Round::default() };
            if !self.store(round) {
                work.unsaved = true;
                work.lost();
            }
        }
        self.board.rules().set_post(work.post.counts());
    }
}

/// What the thread works with.
struct Work {
    groups: Groups,
    post: Post,
    /// What of it is stored.
    kept: String,
    recent: Recent,
    reader: Option<Reader>,
    /// Something of it is not stored.
    unsaved: bool,
    /// When the last round was.
    rounded: BootTime,
}

impl Work {
    /// What waits for receivers, where that is not stored as it is.
    fn post_if_changed(&mut self) -> Option<(String, String)> {
        let text = self.post.saved();
        (text != self.kept).then(|| {
            self.kept.clone_from(&text);
            (POST.to_owned(), text)
        })
    }

    /// What was to be stored was not: all of it is stored anew.
    fn lost(&mut self) {
        self.kept.clear();
        self.groups.lost();
    }

    /// Evaluates groups; what they recorded.
    fn evaluate(
        &mut self,
        dir: &Path,
        due: &[usize],
        terms: &Terms,
        now: Stamp,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let store = if let Some(kept) = self.reader.take().filter(|reader| !reader.is_replaced()) {
            kept
        } else {
            self.recent.forget();
            Reader::open(dir).map_err(|error| error.to_string())?
        };
        self.recent.refresh(&store, now.wall).map_err(|error| error.to_string())?;
        let source = Asked { recent: &self.recent, store: &store };
        let samples = self.groups.evaluate(due, &source, now.wall, terms);
        self.reader = Some(store);
        Ok(samples)
    }
}

/// How rules are evaluated, from `now` on for a while.
fn terms(plan: &Plan, now: Stamp) -> Terms {
    let began: BootTime = now.boot;
    let over = move || (clock::now().boot.since(began) > MOST_TIME).then_some(Stop::Timeout);
    let watch = Some(Deadline::new(over));
    let options = Options { max_samples: MOST_SAMPLES, watch, ..Options::default() };
    let external_labels = plan.rules.external_labels();
    let external_url = plan.rules.external_url.clone();
    let timer = Timer::new(move || clock::now().boot.since(began));
    Terms { external_labels, external_url, options, timer }
}

fn say(lines: &[String]) {
    for line in lines {
        crate::log::say(line);
    }
}
