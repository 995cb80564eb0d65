//! The thread that asks Kubernetes how the containers of this node ended.

use std::os::fd::OwnedFd;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_owners::kubernetes::{KubeConfig, Kubelet};

use super::outlet::Outlet;
use crate::clock;
use crate::watcher::sleep_or_stop;

/// The kubelet itself learns of an end within a second or so, and keeps it until the next one.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// A kubelet that does not answer is asked less often.
const ASK_RARELY: Duration = Duration::from_mins(1);

/// The thread.
pub(crate) struct Asking {
    pub(crate) outlet: Outlet,
    pub(crate) config: KubeConfig,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Asking {
    /// Asks until told to stop.
    pub(crate) fn run(mut self) {
        let directory = std::sync::Arc::clone(self.outlet.directory());
        let mut kubelet = match Kubelet::new(&self.config, directory) {
            Ok(kubelet) => kubelet,
            Err(absent) => {
                return self.outlet.board().gallery().set(Witness::Kubernetes, Some(absent.why));
            }
        };
        loop {
            let answer = kubelet.poll();
            let wait = if answer.is_ok() { ASK_EVERY } else { ASK_RARELY };
            let absent = match answer {
                Ok(all) => {
                    let now = clock::now();
                    all.into_iter().for_each(|told| self.outlet.take(told, now));
                    None
                }
                Err(absent) => Some(absent.why),
            };
            self.outlet.board().gallery().set(Witness::Kubernetes, absent);
            self.outlet.flush(None);
            if !sleep_or_stop(&self.stop, wait) {
                break;
            }
        }
    }
}
