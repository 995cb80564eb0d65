//! The managers of services, on one thread that never waits for any of them: systemd of the machine
//! and of its users, Docker, Podman.

mod desk;
mod engine;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{join, join_all, join3, select};
use tokio::time::sleep;

use self::desk::Desk;
use self::engine::State;
use super::outlet::Outlet;
use crate::log;
use crate::watcher::sleep_or_stop;

/// What is said within this long is written in one go.
const TOGETHER: Duration = Duration::from_millis(50);

/// How soon the end is noticed. The thread sleeps in its runtime, where a descriptor of another's
/// making cannot wake it safely.
const STOP_WITHIN: Duration = Duration::from_millis(500);

/// How often the names of containers are looked for that no daemon tells: once in a reading of the
/// machine. Only what was asked for in vain costs anything.
const NAMES_EVERY: Duration = Duration::from_secs(5);

/// A daemon with Docker's interface.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    /// What its cursor is called.
    pub(crate) name: &'static str,
    pub(crate) socket: PathBuf,
    /// Up to when it was heard before, in ns.
    pub(crate) since: Option<u64>,
}

/// The thread.
pub(crate) struct Managers {
    pub(crate) outlet: Outlet,
    /// Whether systemd is asked.
    pub(crate) systemd: bool,
    pub(crate) daemons: Vec<Daemon>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Managers {
    /// Listens until told to stop.
    pub(crate) fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.listen()),
            Err(error) => log::say(&format!("systemd and Docker are not heard: {error}")),
        }
    }

    async fn listen(self) {
        let Self { outlet, systemd, daemons, stop } = self;
        let desk = Desk::new(outlet, daemons.into_iter().map(State::new).collect());
        let everybody = async {
            let engines = join_all(desk.states().iter().map(|state| desk.hear_engine(state)));
            let units = async {
                if systemd {
                    desk.hear_systemd().await;
                }
            };
            join(units, engines).await;
            // Switched off, all of them: the thread still waits for its end.
            std::future::pending::<()>().await;
        };
        let flushing = async {
            loop {
                desk.news().await;
                sleep(TOGETHER).await;
                desk.flush();
            }
        };
        let naming = async {
            loop {
                desk.learn_names();
                sleep(NAMES_EVERY).await;
            }
        };
        let ending = async {
            while sleep_or_stop(&stop, Duration::ZERO) {
                sleep(STOP_WITHIN).await;
            }
        };
        let all = join3(everybody, flushing, naming);
        select(Box::pin(all), Box::pin(ending)).await;
        desk.flush_all();
    }
}
