//! A parent that makes the same child over and over, dozens of times a second and more.
//!
//! Login, limits and cgroups are its parent's, unless somebody changed them between fork and exec:
//! so they are read of each child. In a storm of children that all became the same program and had
//! all of their parent's, they are read of one in a while, and what is read of the others is what no
//! child has of its parent. It costs half as much.
//!
//! ```text
//! children   r r r r … r r · · · · · · · · r · · · · · · · · r
//!            └ sixteen ─┘ └ 30 ms ───────┘ └ one, and so on
//! ```

use std::time::Duration;

use highwater_core::id::{Comm, Pid};
use highwater_core::time::BootTime;

use super::People;
use super::reading::Extent;

/// So many in a row have to have all of their parent's before the next one is believed to.
const ENOUGH: u8 = 16;

/// So long it is believed of those that come after one that was read: a parent that starts fewer than
/// thirty programs a second has each of them read.
const BELIEVED: Duration = Duration::from_millis(30);

/// The children of a process, as far as they are alike.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brood {
    /// What the last of them that was read became.
    comm: Option<Comm>,
    /// So many in a row became that, and had all of their parent's.
    alike: u8,
    /// When the last of these was read.
    checked: BootTime,
}

impl Brood {
    /// Whether a child that becomes a program at `at` may be taken for one like the others.
    fn is_even(&self, at: BootTime) -> bool {
        self.alike >= ENOUGH && at.since(self.checked) <= BELIEVED
    }

    /// One was read that became `comm`.
    fn count(&mut self, at: BootTime, comm: Comm, has_all: bool) {
        let is_alike = has_all && self.comm.is_none_or(|known| known == comm);
        let alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        *self = Self { comm: Some(comm), alike, checked: at };
    }
}

impl People {
    /// Looks at a child of `maker` that has just become its first program.
    pub(super) fn look_at_child(&mut self, at: BootTime, maker: Pid, pid: Pid) {
        let brood = self.known.get(&maker).map(|maker| maker.brood).unwrap_or_default();
        if brood.is_even(at) && self.skim(maker, pid) {
            return;
        }
        self.look(pid);
        // Who is ending, or gone, shows nothing of what it had.
        let read = self.reading.stat.filter(|stat| stat.pid == pid && !self.reading.is_ending());
        let (Some(stat), Some(child)) = (read, self.known.get(&pid)) else { return };
        let has_all = self.known.get(&maker).is_some_and(|maker| child.has_all_of(maker));
        if let Some(maker) = self.known.get_mut(&maker) {
            maker.brood.count(at, stat.comm, has_all);
        }
    }

    /// Reads what a child does not have of its parent. `false`: it is not like the others after all.
    fn skim(&mut self, maker: Pid, pid: Pid) -> bool {
        if !self.reading.read(pid, Extent::Own) {
            return true;
        }
        let (Some(maker), Some(child)) = (self.known.get(&maker), self.known.get(&pid)) else {
            return false;
        };
        let comm = self.reading.stat.map(|stat| stat.comm);
        let is_like = comm == maker.brood.comm && maker.has_user(&self.reading);
        if !is_like || child.is_not(&self.reading) {
            return false;
        }
        if let Some(child) = self.known.get_mut(&pid) {
            child.take(&self.reading);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime::from_micros(ms * 1_000)
    }

    fn brood(children: &[(u64, &[u8], bool)]) -> Brood {
        let mut brood = Brood::default();
        for (ms, comm, has_all) in children {
            brood.count(at(*ms), Comm::new(comm), *has_all);
        }
        brood
    }

    #[test]
    fn it_takes_many_in_a_row_and_holds_for_a_moment() {
        let few = [(1, &b"true"[..], true); 15];
        assert!(!brood(&few).is_even(at(2)));
        let many = [(1, &b"true"[..], true); 16];
        assert!(brood(&many).is_even(at(31)));
        assert!(!brood(&many).is_even(at(32)));
        let more = vec![(1, &b"true"[..], true); 1_000];
        assert!(brood(&more).is_even(at(2)));
    }

    #[test]
    fn one_that_differs_ends_it() {
        let mut children = vec![(1, &b"true"[..], true); 16];
        children.push((2, b"true", false));
        assert!(!brood(&children).is_even(at(2)));
        children.extend([(3, &b"true"[..], true); 15]);
        assert!(!brood(&children).is_even(at(3)));
        children.push((3, b"true", true));
        assert!(brood(&children).is_even(at(3)));
        children.push((3, b"false", true));
        assert!(!brood(&children).is_even(at(3)), "another program may do other things first");
    }
}
