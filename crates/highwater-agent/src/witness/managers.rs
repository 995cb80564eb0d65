//! The managers of services, on one thread that never waits for any of them: systemd of the machine
//! and of its users, Docker, Podman.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, join3, select};
use highwater_core::testimony::Witness;
use highwater_owners::bundle::{self, DockerFiles};
use highwater_owners::systemd::{self, Bus};
use highwater_owners::{Absent, Heard, docker};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::outlet::{Outlet, missed};
use crate::clock;
use crate::log;

/// What is said within this long is written in one go.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// How often the names of containers are looked for that no daemon tells: once in a reading of the
/// machine. Only what was asked for in vain costs anything.
const NAMES_EVERY: Duration = Duration::from_secs(5);

/// A manager that is not there is asked again so soon at first, …
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// … and so rarely in the end.
const ASK_RARELY: Duration = Duration::from_secs(30);

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
        let states = daemons.iter().map(|daemon| State::new(daemon.since)).collect();
        let desk = Desk { outlet: RefCell::new(outlet), states };
        let everybody = async {
            let engines = daemons.iter().zip(&desk.states);
            let engines = join_all(engines.map(|(daemon, state)| desk.hear_engine(daemon, state)));
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
                sleep(FLUSH_EVERY).await;
                desk.flush(&daemons);
            }
        };
        let naming = async {
            loop {
                desk.learn_names();
                sleep(NAMES_EVERY).await;
            }
        };
        let ending = async {
            match AsyncFd::new(stop) {
                Ok(stop) => drop(stop.readable().await),
                Err(_) => std::future::pending().await,
            }
        };
        let all = join3(everybody, flushing, naming);
        select(Box::pin(all), Box::pin(ending)).await;
        desk.flush(&daemons);
    }
}

/// How one daemon is heard.
#[derive(Debug)]
struct State {
    /// Why it is not; `None`: it is.
    absent: RefCell<Option<String>>,
    /// The newest event, and the newest that the recorder knows was heard, in ns.
    newest: Cell<Option<u64>>,
    told: Cell<Option<u64>>,
}

impl State {
    fn new(since: Option<u64>) -> Self {
        let absent = RefCell::new(Some("not asked yet".to_owned()));
        Self { absent, newest: Cell::new(since), told: Cell::new(since) }
    }
}

/// Where all that is heard on this thread comes together.
struct Desk {
    outlet: RefCell<Outlet>,
    states: Vec<State>,
}

impl Desk {
    /// A user's systemd that cannot be asked is no loss of the witness: it is said, and the journal
    /// may tell.
    async fn hear_systemd(&self) {
        let out = |bus: Bus, heard: Result<Heard, Absent>| {
            let absent = match heard {
                Ok(Heard::Here(_)) => None,
                Ok(heard) => return self.take(heard),
                Err(absent) => Some(absent.why),
            };
            match (bus, absent) {
                (Bus::System, absent) => {
                    self.outlet.borrow().board().gallery().set(Witness::Systemd, absent);
                }
                (Bus::User(_), Some(why)) => log::say(&format!("{bus} is not heard: {why}")),
                (Bus::User(_), None) => {}
            }
        };
        systemd::watch_all(Path::new("/run"), &out).await;
    }

    async fn hear_engine(&self, daemon: &Daemon, state: &State) {
        let mut wait = ASK_AGAIN;
        loop {
            let directory = Arc::clone(self.outlet.borrow().directory());
            let was_here = Cell::new(false);
            let out = |heard: Heard| {
                if let Heard::Here(_) = &heard {
                    was_here.set(true);
                    self.set_engine(state, None);
                }
                if let Heard::Told(told) = &heard {
                    let newest = docker::moment(&told.key).max(state.newest.get());
                    state.newest.set(newest);
                }
                self.take(heard);
            };
            let since = state.newest.get();
            let absent = docker::watch(daemon.socket.clone(), since, directory, &out).await;
            self.set_engine(state, Some(absent.why));
            wait = if was_here.get() { ASK_AGAIN } else { (wait * 2).min(ASK_RARELY) };
            sleep(wait).await;
        }
    }

    /// Where no daemon tells a container's name, the files that its runtime left do.
    fn learn_names(&self) {
        let is_docker_heard =
            self.states.first().is_some_and(|state| state.absent.borrow().is_none());
        let files = if is_docker_heard { DockerFiles::Leave } else { DockerFiles::Read };
        let directory = Arc::clone(self.outlet.borrow().directory());
        bundle::learn(Path::new("/"), files, &directory);
    }

    /// Docker and Podman are one witness: it is heard if one of them is.
    fn set_engine(&self, state: &State, absent: Option<String>) {
        state.absent.replace(absent);
        let is_heard = self.states.iter().any(|state| state.absent.borrow().is_none());
        let first = self.states.first().and_then(|state| state.absent.borrow().clone());
        let absent = if is_heard { None } else { first };
        self.outlet.borrow().board().gallery().set(Witness::Docker, absent);
    }

    fn take(&self, heard: Heard) {
        let now = clock::now();
        let mut outlet = self.outlet.borrow_mut();
        match heard {
            Heard::Here(_) => {}
            Heard::Told(told) => outlet.take(*told, now),
            Heard::Missed(span) => outlet.note_missed(&missed("docker", &span), span.until, now),
        }
    }

    fn flush(&self, daemons: &[Daemon]) {
        let mut outlet = self.outlet.borrow_mut();
        for (daemon, state) in daemons.iter().zip(&self.states) {
            let newest = state.newest.get();
            if newest != state.told.replace(newest) {
                let cursor = newest.map(|seq| outlet.cursor(daemon.name, seq));
                outlet.flush(cursor);
            }
        }
        outlet.flush(None);
    }
}
