//! Who is answered now, who waits, and who is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use highwater_promql::{Stop, Watch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Limits;
use super::failure::{Failure, Kind};

const GO_ON: u8 = 0;
const TIMEOUT: u8 = 1;
const CANCELED: u8 = 2;

/// The places where questions are answered, and those where they wait.
#[derive(Debug)]
pub(super) struct Turns {
    /// All that are here, answered or waiting.
    seats: Arc<Semaphore>,
    /// Those that are answered.
    answered: Arc<Semaphore>,
    /// Long answers that are still being taken: what waits for a slow reader is held in memory.
    long: Arc<Semaphore>,
    waiting: usize,
}

/// So many long answers are held for each question that is answered at once.
const LONG: usize = 2;

/// Tells the evaluation to stop when whoever asked has gone.
struct Asker(Arc<AtomicU8>);

impl Drop for Asker {
    fn drop(&mut self) {
        // A timeout stays one.
        let _unless_it_stops =
            self.0.compare_exchange(GO_ON, CANCELED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        let (at_once, waiting) = (limits.at_once.max(1), limits.waiting);
        let seats = Arc::new(Semaphore::new(at_once.saturating_add(waiting)));
        let long = Arc::new(Semaphore::new(at_once.saturating_mul(LONG)));
        Self { seats, answered: Arc::new(Semaphore::new(at_once)), long, waiting }
    }

    /// A place for a long answer until it has been taken.
    pub(super) fn long(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.long).try_acquire_owned().map_err(|_| {
            let text = "too many long answers are still being taken: ask again later";
            Failure::new(Kind::Unavailable, text)
        })
    }

    /// Does `work` on a thread of its own when it is its turn; it may take `timeout` together with
    /// the wait. What goes on after that, or after the asker has gone, is told to stop, and keeps
    /// its place until it does.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(Watch) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let late = || Failure::new(Kind::Timeout, "query timed out in expression evaluation");
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            let text = format!("{} questions wait already: ask again later", self.waiting);
            return Err(Failure::new(Kind::Unavailable, text));
        };
        let state = Arc::new(AtomicU8::new(GO_ON));
        let asker = Asker(Arc::clone(&state));
        let mut over = std::pin::pin!(sleep(timeout));
        let turn = tokio::select! {
            biased;
            () = &mut over => {
                return Err(Failure::new(Kind::Timeout, "query timed out in query queue"));
            }
            turn = Arc::clone(&self.answered).acquire_owned() => turn,
        };
        let watch = watch(Arc::clone(&state));
        let mut done = spawn_blocking(move || {
            let _places = (seat, turn);
            work(watch)
        });
        tokio::select! {
            done = &mut done => done.map_err(|_| {
                Failure::new(Kind::Internal, "the evaluation failed; this is a defect")
            }),
            () = &mut over => {
                asker.0.store(TIMEOUT, Ordering::Relaxed);
                Err(late())
            }
        }
    }
}

fn watch(state: Arc<AtomicU8>) -> Watch {
    Watch::new(move || match state.load(Ordering::Relaxed) {
        GO_ON => None,
        TIMEOUT => Some(Stop::Timeout),
        _ => Some(Stop::Canceled),
    })
}
