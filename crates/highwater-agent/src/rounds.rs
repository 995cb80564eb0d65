//! The survey's thread: what changes slowly, read off the hot path and at its own pace.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_core::thing::Survey;
use highwater_core::time::Stamp;
use highwater_linux::root::Root;
use highwater_linux::survey::{Candidate, Part, SurveyConfig, Surveyor};

use crate::board::Board;
use crate::clock;
use crate::feed::Feed;
use crate::log;
use crate::recorder::{Entry, bump};
use crate::thrift::{SLOWER, Step};
use crate::watcher::sleep_or_stop;

/// What the survey is to look into, as the recorder last saw it.
pub(crate) type Candidates = Arc<Mutex<Vec<Candidate>>>;

/// A survey that is switched off still comes round, with the recorder's own numbers alone.
const OWN_EVERY: Duration = Duration::from_mins(1);

/// The longest wait: another configuration must not wait for Docker's turn.
const MOST_WAIT: Duration = Duration::from_mins(1);

/// The shortest wait, should something always be due.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Goes round and round.
pub(crate) struct Rounds {
    pub(crate) root: Root,
    /// What is read; `None` where nothing is. Others come as the configuration changes.
    pub(crate) plan: Option<SurveyConfig>,
    pub(crate) plans: Receiver<Option<SurveyConfig>>,
    pub(crate) candidates: Candidates,
    pub(crate) entries: Feed,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Rounds {
    /// Surveys until told to stop.
    pub(crate) fn run(mut self) {
        let mut surveyor = self.surveyor();
        let mut blind: Vec<Part> = Vec::new();
        let mut picked = Vec::new();
        loop {
            let now = clock::now();
            let mut survey = Survey { stamp: now, ..Survey::default() };
            let due = match &mut surveyor {
                Some(surveyor) => {
                    self.look(surveyor, now, &mut picked, &mut survey);
                    tell_blind(surveyor, &mut blind);
                    surveyor.due(now.boot).since(clock::now().boot)
                }
                None => OWN_EVERY,
            };
            self.send(survey);
            if !sleep_or_stop(&self.stop, due.clamp(LEAST_WAIT, MOST_WAIT)) {
                break;
            }
            if let Some(plan) = self.plans.try_iter().last() {
                self.plan = plan;
                surveyor = self.surveyor();
                blind.clear();
            }
        }
    }

    fn surveyor(&self) -> Option<Surveyor> {
        self.plan.clone().map(|plan| Surveyor::new(&self.root, plan))
    }

    fn look(
        &self,
        surveyor: &mut Surveyor,
        now: Stamp,
        picked: &mut Vec<Candidate>,
        survey: &mut Survey,
    ) {
        picked.clone_from(&self.candidates.lock().unwrap_or_else(PoisonError::into_inner));
        surveyor.slow_down(if self.board.step() >= Step::Survey { SLOWER } else { 1 });
        let spent = surveyor.round(now, picked, &mut clock::thread_cpu, survey);
        let counts = self.board.counts();
        let us = u64::try_from(spent.cpu.as_micros()).unwrap_or(u64::MAX);
        counts.survey_cpu_us.fetch_add(us, Ordering::Relaxed);
        let skipped = u64::try_from(spent.skipped).unwrap_or(u64::MAX);
        counts.survey_skipped.fetch_add(skipped, Ordering::Relaxed);
    }

    /// A recorder that is late does without: the next survey tells the whole again.
    fn send(&self, survey: Survey) {
        if self.entries.try_send(Entry::Survey(survey)).is_err() {
            bump(&self.board.counts().dropped_frames);
        }
    }
}

/// Says once of each part that it cannot be read.
fn tell_blind(surveyor: &Surveyor, told: &mut Vec<Part>) {
    for blind in surveyor.blindness() {
        if !told.contains(&blind.part) {
            told.push(blind.part);
            log::say(&format!("the survey does without {}: {}", blind.part.name(), blind.why));
        }
    }
}
