//! Who is the head of a cgroup: the process for which it was made, and with which its owner lives
//! and dies.
//!
//! ```text
//! container   runc's stages before the last, moved into the new cgroup       not
//!             its last, which becomes the program                            head
//!             docker exec, health check: moved in while the head lives       not
//! unit        the manager's child, first in the cgroup                       head
//!             ExecReload, ExecStop while the main process lives              not
//!             forks its daemon and ends well                                 hands it on
//! worker      forked within the cgroup                                       not
//! ```
//!
//! So the head is who comes in from elsewhere while there is none. Of those that are there at the
//! start it is the oldest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::id::Pid;
use highwater_core::testimony::Party;

use super::People;
use super::person::Person;

/// What tells one place from another in all hierarchies that owners are known by: see
/// [`Person::place`].
pub(super) type Place = Arc<[u8]>;

/// The heads, of which the table of people knows whether they are alive.
pub(super) type Heads = HashMap<Place, Pid>;

/// One that ends well within this time has only started the others: as long as systemd waits for
/// the start of a unit (`DefaultTimeoutStartSec`).
const STARTS_WITHIN: Duration = Duration::from_secs(90);

impl People {
    /// Whether it is the head of its cgroup. `None`: nobody can say, as the head is gone, or it is
    /// in the cgroup of nobody, at the top.
    pub fn is_first(&self, pid: Pid) -> Option<bool> {
        let person = self.known.get(&pid)?;
        let place = person.place()?;
        if person.is_passing() {
            return Some(false);
        }
        if self.heads.get(place) == Some(&pid) {
            return Some(true);
        }
        self.has_head(place).then_some(false)
    }

    /// It has come to where it is from another place.
    pub(super) fn enter(&mut self, pid: Pid) {
        let Some(person) = self.known.get(&pid) else { return };
        let (Some(place), parent) = (person.place().cloned(), person.parent) else { return };
        if person.is_passing() || self.has_head(&place) {
            return;
        }
        // A shell that moves itself and starts a program there is the first of the two, though it
        // was not looked at since.
        if let Some(parent) = parent {
            self.look(parent);
        }
        if !self.has_head(&place) {
            self.heads.insert(place, pid);
        }
    }

    /// It has ended well: if it was the head and did not live long, it has only started the eldest
    /// of those that it left behind.
    pub(super) fn hand_on(&mut self, pid: Pid) {
        let Some(person) = self.known.get(&pid) else { return };
        let is_starter = person.lived().is_some_and(|lived| lived <= STARTS_WITHIN);
        let Some(place) = person.place().filter(|place| self.heads.get(*place) == Some(&pid))
        else {
            return;
        };
        if !is_starter {
            return;
        }
        let left = self.known.iter().filter(|(_, left)| {
            left.ended.is_none() && left.place() == Some(place) && self.was_left_by(left, pid)
        });
        let heir = left.min_by_key(|(pid, left)| (left.began(), **pid)).map(|(pid, _)| *pid);
        if let (Some(heir), place) = (heir, Arc::clone(place)) {
            self.heads.insert(place, heir);
        }
    }

    /// The number is somebody else's from now on, or nobody's.
    pub(super) fn dismiss(&mut self, pid: Pid) {
        let Some(place) = self.known.get(&pid).and_then(Person::place) else { return };
        if self.heads.get(place) == Some(&pid) {
            self.heads.remove(place);
        }
    }

    fn has_head(&self, place: &Place) -> bool {
        let head = self.heads.get(place).and_then(|head| self.known.get(head));
        head.is_some_and(|head| head.ended.is_none() && head.place() == Some(place))
    }

    /// Whether nobody that is alive stands between the two.
    fn was_left_by(&self, left: &Person, maker: Pid) -> bool {
        let mut above = left.parent;
        for _ in 0..Party::ANCESTORS {
            let Some(pid) = above else { return false };
            if pid == maker {
                return true;
            }
            let Some(between) = self.known.get(&pid).filter(|between| between.ended.is_some())
            else {
                return false;
            };
            above = between.parent;
        }
        false
    }
}
