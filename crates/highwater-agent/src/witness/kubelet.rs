//! The thread that asks Kubernetes how the containers of this node ended.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_owners::kubernetes::{KubeConfig, Kubelet};
use highwater_owners::{Absent, Told};

use super::outlet::Outlet;
use crate::clock;
use crate::watcher::sleep_or_stop;

/// The kubelet itself learns of an end within a second or so, and keeps it until the next one.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// A kubelet that does not answer is asked less often.
const ASK_RARELY: Duration = Duration::from_mins(1);

/// How soon the end is noticed while an answer is waited for.
const STOP_WITHIN: Duration = Duration::from_millis(500);

type Answer = Result<Vec<Told>, Absent>;

/// The thread.
pub(crate) struct Asking {
    pub(crate) outlet: Outlet,
    pub(crate) config: KubeConfig,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Asking {
    /// Asks until told to stop. An answer may take as long as the server likes to make it: whoever
    /// waits for one is not waited for, and goes with the process.
    pub(crate) fn run(mut self) {
        let directory = Arc::clone(self.outlet.directory());
        let kubelet = match Kubelet::new(&self.config, directory) {
            Ok(kubelet) => kubelet,
            Err(absent) => return self.set(Some(absent.why)),
        };
        // One question at a time.
        let (ask, asked) = mpsc::sync_channel(1);
        let (answer, answers) = mpsc::sync_channel(1);
        let asking = thread::Builder::new().name("kubelet-asks".to_owned());
        let asking = asking.spawn(move || answer_all(kubelet, &asked, &answer));
        if let Err(error) = asking {
            return self.set(Some(format!("no thread for it: {error}")));
        }
        while ask.send(()).is_ok() {
            let Some(answer) = self.wait(&answers) else { break };
            let wait = if answer.is_ok() { ASK_EVERY } else { ASK_RARELY };
            self.take(answer);
            if !sleep_or_stop(&self.stop, wait) {
                break;
            }
        }
    }

    /// The answer; `None`: the agent stops before.
    fn wait(&self, answers: &Receiver<Answer>) -> Option<Answer> {
        loop {
            match answers.recv_timeout(STOP_WITHIN) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Timeout) if sleep_or_stop(&self.stop, Duration::ZERO) => {}
                Err(_) => return None,
            }
        }
    }

    fn take(&mut self, answer: Answer) {
        let absent = match answer {
            Ok(all) => {
                let now = clock::now();
                for told in all {
                    self.outlet.take(told, now);
                }
                None
            }
            Err(absent) => Some(absent.why),
        };
        self.set(absent);
        self.outlet.flush(None);
    }

    fn set(&self, absent: Option<String>) {
        self.outlet.board().gallery().set(Witness::Kubernetes, absent);
    }
}

/// Asks once for each word that comes, until there will be no more.
fn answer_all(mut kubelet: Kubelet, asked: &Receiver<()>, answer: &SyncSender<Answer>) {
    while asked.recv().is_ok() && answer.send(kubelet.poll()).is_ok() {}
}
