//! Where all comes together that managers say.
//!
//! Nothing here waits for the recorder: a thread that stood still would find every question of its
//! own too late when it went on, and take all managers for gone.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_core::time::{BootTime, Stamp};
use highwater_owners::bundle::{self, DockerFiles};
use highwater_owners::systemd::{self, Bus};
use highwater_owners::{Absent, Heard, docker};
use highwater_store::Cursor;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::engine::{Standing, State, presence};
use crate::clock;
use crate::log;
use crate::witness::outlet::Outlet;

/// A manager that is not there is asked again so soon at first, …
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// … and so rarely in the end.
const ASK_RARELY: Duration = Duration::from_secs(30);

/// So much waits for the recorder; a boot of a large server has some hundred words. Beyond that it is
/// dropped, and counted.
const WAITING: usize = 4_096;

/// So much is handed on in one go: fewer than the outlet would send by itself, and wait.
const AT_ONCE: usize = 128;

/// So much is taken of one user's systemd in [`USER_SPAN`]: a desktop begins with some eighty units.
/// A user may have it say what he likes, as often as he likes.
const MOST_OF_A_USER: u32 = 120;

/// See [`MOST_OF_A_USER`].
const USER_SPAN: Duration = Duration::from_mins(1);

/// Where all that is heard on this thread comes together.
pub(super) struct Desk {
    outlet: RefCell<Outlet>,
    states: Vec<State>,
    /// What was said, by whom, and when it was heard.
    waiting: RefCell<VecDeque<(&'static str, Heard, Stamp)>>,
    users: RefCell<Users>,
    /// Something is to be sent.
    news: Notify,
}

impl Desk {
    pub(super) fn new(outlet: Outlet, states: Vec<State>) -> Self {
        let (outlet, waiting) = (RefCell::new(outlet), RefCell::new(VecDeque::new()));
        Self { outlet, states, waiting, users: RefCell::default(), news: Notify::new() }
    }

    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// Until something is to be sent.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// A user's systemd that cannot be asked is no loss of the witness: it is said, and the journal
    /// may tell.
    pub(super) async fn hear_systemd(&self) {
        let out = |bus: Bus, heard: Result<Heard, Absent>| {
            let absent = match heard {
                Ok(Heard::Here(_)) => None,
                Ok(heard) => return self.take_of(bus, heard),
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

    pub(super) async fn hear_engine(&self, state: &State) {
        let mut wait = ASK_AGAIN;
        loop {
            let directory = Arc::clone(self.outlet.borrow().directory());
            let was_here = Cell::new(false);
            let out = |heard: Heard| {
                if let Heard::Here(_) = &heard {
                    was_here.set(true);
                    self.set_engine(state, Standing::Heard);
                }
                state.hear(&heard);
                self.take(state.daemon.name, heard);
            };
            let since = state.begin(nanos(clock::now()));
            let absent = docker::watch(state.daemon.socket.clone(), since, directory, &out).await;
            self.set_engine(state, Standing::Absent(absent.why));
            wait = if was_here.get() { ASK_AGAIN } else { (wait * 2).min(ASK_RARELY) };
            sleep(wait).await;
        }
    }

    /// Where no daemon tells a container's name, the files that its runtime left do.
    pub(super) fn learn_names(&self) {
        let docker = self.states.iter().find(|state| state.daemon.name == "docker");
        let is_heard = docker.is_some_and(|docker| docker.standing() == Standing::Heard);
        let files = if is_heard { DockerFiles::Leave } else { DockerFiles::Read };
        let directory = Arc::clone(self.outlet.borrow().directory());
        bundle::learn(Path::new("/"), files, &directory);
    }

    /// Docker and Podman are one witness.
    fn set_engine(&self, state: &State, standing: Standing) {
        state.stand(standing);
        let all = self.states.iter();
        let all: Vec<_> =
            all.map(|state| (state.standing(), state.daemon.socket.exists())).collect();
        let absent = match presence(&all) {
            // Not all were asked: that is soon over.
            Standing::Unasked => return,
            Standing::Heard => None,
            Standing::Absent(why) => Some(why),
        };
        self.outlet.borrow().board().gallery().set(Witness::Docker, absent);
    }

    fn take_of(&self, bus: Bus, heard: Heard) {
        if let Bus::User(uid) = bus
            && !self.users.borrow_mut().may_speak(uid, clock::now().boot)
        {
            self.outlet.borrow().board().gallery().dropped(Witness::Systemd, 1);
            return;
        }
        self.take("systemd", heard);
    }

    fn take(&self, who: &'static str, heard: Heard) {
        self.news.notify_one();
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < WAITING {
            waiting.push_back((who, heard, clock::now()));
        } else if let Heard::Told(told) = heard {
            self.outlet.borrow().board().gallery().dropped(told.testimony.witness, 1);
        }
    }

    /// Sends what there is room for; what is left is sent with the next news.
    pub(super) fn flush(&self) {
        if !self.pour(Outlet::try_flush) {
            self.news.notify_one();
        }
    }

    /// Sends all, and waits for it: nothing more will be heard.
    pub(super) fn flush_all(&self) {
        self.pour(Outlet::flush);
    }

    /// A cursor goes after all that was said before it.
    fn pour(&self, send: fn(&mut Outlet, Option<Cursor>) -> bool) -> bool {
        let mut outlet = self.outlet.borrow_mut();
        loop {
            if !send(&mut outlet, None) {
                return false;
            }
            let mut waiting = self.waiting.borrow_mut();
            if waiting.is_empty() {
                break;
            }
            let count = waiting.len().min(AT_ONCE);
            for (who, heard, at) in waiting.drain(..count) {
                match heard {
                    Heard::Here(_) | Heard::Caught => {}
                    Heard::Told(told) => outlet.take(*told, at),
                    Heard::Missed(span) => outlet.note_missed(who, &span, at),
                }
            }
        }
        self.states.iter().all(|state| {
            state.untold().is_none_or(|newest| {
                let cursor = outlet.cursor(state.daemon.name, newest);
                let is_sent = send(&mut outlet, Some(cursor));
                if is_sent {
                    state.keep(newest);
                }
                is_sent
            })
        })
    }
}

/// How much each user's systemd said in the minute that runs.
#[derive(Debug, Default)]
struct Users(BTreeMap<u32, (BootTime, u32)>);

impl Users {
    /// Whether what this one says at `now` is taken.
    fn may_speak(&mut self, uid: u32, now: BootTime) -> bool {
        self.0.retain(|_, (since, _)| now.since(*since) < USER_SPAN);
        let (_, count) = self.0.entry(uid).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= MOST_OF_A_USER
    }
}

fn nanos(now: Stamp) -> u64 {
    u64::try_from(now.wall.millis()).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_say_so_much_a_minute_and_others_too() {
        let mut users = Users::default();
        let at = |seconds: u64| BootTime::from_micros(seconds * 1_000_000);
        let taken = |users: &mut Users, uid, seconds| {
            (0..500).filter(|_| users.may_speak(uid, at(seconds))).count()
        };
        assert_eq!(taken(&mut users, 1000, 5), 120);
        assert_eq!(taken(&mut users, 1000, 64), 0);
        assert_eq!(taken(&mut users, 1001, 64), 120);
        assert_eq!(taken(&mut users, 1000, 65), 120);
        assert_eq!(users.0.len(), 2);
    }
}
