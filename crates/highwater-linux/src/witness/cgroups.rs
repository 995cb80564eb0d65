//! Cgroups that run out of memory, told by the kernel at that moment.
//!
//! ```text
//! v1  eventfd on memory.oom_control   before the kill, and to every cgroup below the limit
//! v2  inotify on memory.events        after it, and to every cgroup above the victim
//! both  inotify on the directories    cgroups that are made and removed
//!        └─► counters are read at once, and again a moment later ─► what they rose by
//! ```
//!
//! On v1 the notice comes before the counter moves, so the counters are looked at again after a few
//! milliseconds, and some more. On v2 the counters of a cgroup include those below it: what a cgroup
//! below has told is not told again above it, and what one took with it that was removed too soon is
//! told by the one above.
//!
//! A cgroup that is made anew under the same path begins at nothing. Of those that are there when
//! the watching begins, what they have counted so far is not told.
//!
//! Nothing is told of a kill for want of the machine's own memory before [`CgroupEvents::rescan`]
//! on v1: there the kernel notifies nobody.

mod counters;
mod ports;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::frame::CgroupVersion;
use highwater_core::id::CgroupPath;
use highwater_core::owner::{Owner, container_id_of_path};
use highwater_core::testimony::{Fact, OomWord, Party, Testimony, Witness};

use super::Absent;
use crate::root::Root;
use counters::Counters;
use ports::{Notice, Ports};
use tree::Tree;

/// How many cgroups are watched on v1, where each takes two descriptors, of which a process may have
/// 1,024 unless somebody has allowed it more.
const MOST_V1: usize = 512;

/// How many are on v2, where each takes an inotify watch or two: a node of Kubernetes with its 110
/// pods has some hundreds, a busy host of containers a few thousand.
const MOST_V2: usize = 8_192;

/// How long after a notice the counters are looked at again. A kill takes some milliseconds after
/// the kernel has told of it; where its report goes to a serial line, a second.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// From this look on it is told that a limit was reached, even if nobody was killed for it.
const SETTLED: usize = 2;

/// That a limit is reached and nobody is killed for it can go on for hours, where nobody may be
/// killed: it is told less and less often, at least after so many times all [`LOOKS`], a minute or
/// so.
const PATIENCE_MOST: u32 = 64;

/// How often a cgroup that hangs is looked at: that it no longer does nobody tells.
const STUCK_LOOK: Duration = Duration::from_secs(1);

/// What the kernel said of one cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoke {
    /// Which.
    pub cgroup: CgroupPath,
    /// What.
    pub word: OomWord,
    /// Where that stands.
    pub evidence: Evidence,
}

impl Spoke {
    /// As a testimony about the cgroup's owner.
    pub fn testimony(self, owner: Owner) -> Testimony {
        let container_id = container_id_of_path(self.cgroup.as_str()).map(ToOwned::to_owned);
        let about = Party { cgroup: Some(self.cgroup), container_id, ..Party::of_owner(owner) };
        let fact = Fact::Oom(self.word);
        Testimony { witness: Witness::Cgroups, about, fact, evidence: self.evidence }
    }
}

/// Watches memory cgroups.
#[derive(Debug)]
pub struct CgroupEvents {
    tree: Tree,
    ports: Ports,
    watched: BTreeMap<CgroupPath, Watched>,
    /// Those that may have more to say soon.
    restless: BTreeSet<CgroupPath>,
    /// How often those were looked at since the last notice.
    looks: usize,
    most: usize,
    /// How many were not watched for want of room.
    left_out: usize,
    /// When all were looked for last, there was no room for some.
    was_full: bool,
    /// When the next look is due, counted from the last time that this was set.
    wound: Option<Duration>,
}

/// Whether a cgroup has counted before anybody watched, which is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// It is new: all that it has counted is news.
    None,
    /// It may have.
    Some,
}

/// A cgroup that is watched.
#[derive(Debug)]
struct Watched {
    inode: u64,
    port: ports::Port,
    /// What was told.
    told: Counters,
    /// What was read last.
    latest: Counters,
    /// Notices of v1 that were not told.
    notices: u64,
    /// Notices of v1 since it became restless.
    alarms: u64,
    /// Kills and limits reached, told by cgroups below, that are in its own counters, too.
    below: Counters,
    is_stuck: bool,
    /// How many rounds of looks to wait before a limit without a kill is told again.
    patience: u32,
    /// How many have passed since it was.
    waited: u32,
    /// The kernel has told of it since the last look.
    is_rung: bool,
}

impl CgroupEvents {
    /// Watches the cgroups of the machine at `root`: on v1 at most 512 of them, on v2 8,192. Those
    /// that are there are found at once.
    pub fn open(root: &Root) -> Result<Self, Absent> {
        let tree = Tree::find(root)?;
        let most = match tree.version() {
            CgroupVersion::V1 => MOST_V1,
            CgroupVersion::V2 => MOST_V2,
        };
        Self::over(tree, most)
    }

    fn over(tree: Tree, most: usize) -> Result<Self, Absent> {
        let ports = Ports::open(&tree)?;
        let mut events = Self {
            tree,
            ports,
            watched: BTreeMap::new(),
            restless: BTreeSet::new(),
            looks: 0,
            most,
            left_out: 0,
            was_full: false,
            wound: None,
        };
        events.walk("/", Past::Some);
        events.wind();
        Ok(events)
    }

    /// How many are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// None is watched.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// How many are not watched because there are too many.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Reads what the kernel has told; call it when [`Self::as_fd`] is readable.
    pub fn read(&mut self, each: &mut dyn FnMut(Spoke)) -> io::Result<()> {
        let mut is_due = false;
        let mut is_lost = false;
        for notice in self.ports.notices()? {
            match notice {
                Notice::Time => is_due = true,
                Notice::Lost => is_lost = true,
                Notice::Alarm(path, times) => self.alarm(&path, times, each),
                Notice::Changed(path) => self.look(&path, each),
                Notice::Made(path) => {
                    // Another may have been there under this name a moment ago.
                    self.expect_gone(&path, each);
                    self.walk(path.as_str(), Past::None);
                }
                Notice::Removed(path) => self.expect_gone(&path, each),
            }
        }
        if is_lost {
            self.rescan(each);
        }
        if is_due {
            self.wound = None;
            self.look_again(each);
        }
        self.tell_all(each);
        self.wind();
        Ok(())
    }

    /// Looks for cgroups that are there and not watched, and at the counters of all: for what nobody
    /// tells. Every minute or so is enough.
    pub fn rescan(&mut self, each: &mut dyn FnMut(Spoke)) {
        let paths: Vec<CgroupPath> = self.watched.keys().cloned().collect();
        for path in paths.iter().rev() {
            if let Some(watched) = self.watched.get_mut(path) {
                self.ports.complete(&self.tree, path, &mut watched.port);
            }
            self.look(path, each);
        }
        let past = self.past();
        self.left_out = 0;
        self.was_full = false;
        self.walk("/", past);
        self.tell_all(each);
        self.wind();
    }

    /// Watches the cgroups in this list, too, as far as there is room: what somebody else has found.
    pub fn watch<'p>(&mut self, paths: impl IntoIterator<Item = &'p CgroupPath>) {
        let past = self.past();
        for path in paths {
            self.take_on(path, past);
        }
        self.wind();
    }

    /// What is found now and was not found before is new, unless there was no room for it.
    const fn past(&self) -> Past {
        if self.was_full { Past::Some } else { Past::None }
    }

    fn inode(&self, path: &CgroupPath) -> Option<u64> {
        self.watched.get(path).map(|watched| watched.inode)
    }

    /// Takes on the cgroup at `path` and all below.
    fn walk(&mut self, path: &str, past: Past) {
        let mut found = Vec::new();
        self.tree.walk(path, &mut |path| found.push(path));
        for path in found {
            self.take_on(&path, past);
        }
    }

    fn take_on(&mut self, path: &CgroupPath, past: Past) {
        let Some(inode) = self.tree.inode(path.as_str()) else { return };
        if self.inode(path) == Some(inode) {
            return;
        }
        if self.watched.len() >= self.most {
            self.left_out = self.left_out.saturating_add(1);
            self.was_full = true;
            return;
        }
        let Some(port) = self.ports.connect(&self.tree, path) else { return };
        // After the connection: what comes in between is in the counters.
        let latest = self.tree.counters(path.as_str()).unwrap_or_default();
        let told = match past {
            Past::None => Counters::default(),
            Past::Some => latest,
        };
        let is_news = latest.is_stuck() || latest != told;
        let watched = Watched {
            inode,
            port,
            told,
            latest,
            notices: 0,
            alarms: 0,
            below: Counters::default(),
            is_stuck: false,
            patience: 0,
            waited: 0,
            is_rung: false,
        };
        if let Some(old) = self.watched.insert(path.clone(), watched) {
            self.ports.disconnect(old.port);
        }
        if is_news {
            self.stir(path);
        }
    }

    /// The kernel told of v1's `memory.oom_control`.
    fn alarm(&mut self, path: &CgroupPath, times: u64, each: &mut dyn FnMut(Spoke)) {
        if let Some(watched) = self.watched.get_mut(path) {
            let is_there = self.tree.inode(path.as_str()) == Some(watched.inode);
            // Being removed is one notice of its own.
            let times = if is_there { times } else { times.saturating_sub(1) };
            watched.notices = watched.notices.saturating_add(times);
            watched.alarms = watched.alarms.saturating_add(times);
            watched.is_rung = true;
        }
        self.look(path, each);
    }

    /// Reads the counters of one that may have changed; what that means is told later.
    fn look(&mut self, path: &CgroupPath, each: &mut dyn FnMut(Spoke)) {
        let read = self.tree.counters(path.as_str());
        self.expect_gone(path, each);
        let Some(watched) = self.watched.get_mut(path) else { return };
        let Some(counters) = read else { return };
        watched.latest = counters;
        if watched.is_news() {
            self.stir(path);
        }
    }

    /// Forgets it if it is gone, or another has its name.
    fn expect_gone(&mut self, path: &CgroupPath, each: &mut dyn FnMut(Spoke)) {
        if self.tree.inode(path.as_str()) != self.inode(path) {
            self.forget(path, each);
        }
    }

    fn stir(&mut self, path: &CgroupPath) {
        // One that keeps on does not put off the end of the round.
        if self.restless.insert(path.clone()) {
            self.looks = 0;
        }
    }

    fn look_again(&mut self, each: &mut dyn FnMut(Spoke)) {
        let looks = self.looks.saturating_add(1);
        for path in &self.restless {
            if let Some(watched) = self.watched.get_mut(path) {
                watched.is_rung = false;
            }
        }
        let stuck = self.watched.iter().filter(|(_, watched)| watched.is_stuck);
        let mut paths: BTreeSet<CgroupPath> = stuck.map(|(path, _)| path.clone()).collect();
        paths.extend(self.restless.iter().cloned());
        if self.tree.version() == CgroupVersion::V2 {
            let above: Vec<&str> = paths.iter().flat_map(above).collect();
            let above = above.into_iter().filter_map(|path| self.watched.get_key_value(path));
            let above: Vec<CgroupPath> = above.map(|(path, _)| path.clone()).collect();
            paths.extend(above);
        }
        // Those below first, so that what is above has counted what they have.
        for path in paths.iter().rev() {
            self.look(path, each);
        }
        self.looks = looks;
    }

    /// It is gone: tells what it had to tell, as far as it was read.
    fn forget(&mut self, path: &CgroupPath, each: &mut dyn FnMut(Spoke)) {
        if !self.watched.contains_key(path) {
            return;
        }
        self.tell(path, usize::MAX, each);
        self.restless.remove(path);
        if let Some(watched) = self.watched.remove(path) {
            if watched.is_stuck {
                each(self.spoke(path, OomWord::Unstuck, "it was removed".to_owned()));
            }
            self.ports.disconnect(watched.port);
        }
    }

    fn tell_all(&mut self, each: &mut dyn FnMut(Spoke)) {
        let looks = self.looks;
        let restless: Vec<CgroupPath> = self.restless.iter().cloned().collect();
        for path in restless.iter().rev() {
            self.tell(path, looks, each);
        }
        if looks >= LOOKS.len() {
            self.end_round();
        }
    }

    /// The restless come to rest, but for those of which the kernel has just told.
    fn end_round(&mut self) {
        let watched = &mut self.watched;
        self.restless.retain(|path| {
            let Some(watched) = watched.get_mut(path) else { return false };
            watched.alarms = 0;
            watched.waited = watched.waited.saturating_add(1);
            std::mem::take(&mut watched.is_rung)
        });
        self.looks = 0;
    }

    /// Tells what the counters of one cgroup rose by, and whether it hangs.
    fn tell(&mut self, path: &CgroupPath, looks: usize, each: &mut dyn FnMut(Spoke)) {
        let Some(rise) = self.rise(path, looks) else { return };
        let limit = self.tree.limit(path.as_str());
        let Some(watched) = self.watched.get_mut(path) else { return };
        let (told, latest) = (watched.told, watched.latest);
        watched.told = latest;
        watched.notices = 0;
        if rise.kills > 0 {
            watched.patience = 0;
        } else if rise.own_ooms > 0 {
            watched.waited = 0;
            watched.patience = watched.patience.saturating_mul(2).clamp(1, PATIENCE_MOST);
        }
        let news = rise.less(&watched.below);
        watched.below = Counters::default();
        if rise.is_any() && (news.is_any() || rise.own_ooms > 0) {
            let word = OomWord::Counted {
                oom: rise.own_ooms,
                kills: rise.kills,
                group_kills: rise.group_kills,
                limit,
            };
            let text = told.words_to(&latest, self.tree.version());
            each(self.spoke(path, word, text));
        }
        if self.tree.version() == CgroupVersion::V2 {
            for above in above(path) {
                if let Some(watched) = self.watched.get_mut(above)
                    && watched.latest != watched.told
                {
                    watched.below = watched.below.and(&news);
                }
            }
        }
        self.tell_stuck(path, each);
    }

    /// What there is to tell by now; `None`: not yet.
    fn rise(&self, path: &CgroupPath, looks: usize) -> Option<Counters> {
        let watched = self.watched.get(path)?;
        let mut rise = watched.latest.less(&watched.told);
        match self.tree.version() {
            CgroupVersion::V1 => {
                let is_within = above(path)
                    .any(|above| self.watched.get(above).is_some_and(|above| above.alarms > 0));
                rise.own_ooms = if is_within { 0 } else { watched.notices };
                let is_told =
                    rise.kills > 0 || watched.is_torn() || watched.may_tell_of_limits(looks);
                is_told.then_some(rise)
            }
            CgroupVersion::V2 => {
                let is_told = rise.kills > 0 && looks > 0 || watched.may_tell_of_limits(looks);
                is_told.then_some(rise)
            }
        }
    }

    fn tell_stuck(&mut self, path: &CgroupPath, each: &mut dyn FnMut(Spoke)) {
        let is_within = above(path)
            .any(|above| self.watched.get(above).is_some_and(|above| above.latest.is_stuck()));
        let Some(watched) = self.watched.get_mut(path) else { return };
        let is_stuck = watched.latest.is_stuck() && !is_within;
        if is_stuck == watched.is_stuck {
            return;
        }
        watched.is_stuck = is_stuck;
        let text = watched.latest.words();
        let word = if is_stuck { OomWord::Stuck } else { OomWord::Unstuck };
        each(self.spoke(path, word, text));
    }

    fn spoke(&self, path: &CgroupPath, word: OomWord, text: String) -> Spoke {
        let source = format!("{} of {path}", self.tree.file());
        Spoke { cgroup: path.clone(), word, evidence: Evidence { source, line: None, text } }
    }

    /// Sets the clock for the next look.
    fn wind(&mut self) {
        let next = match LOOKS.get(self.looks) {
            Some(next) if !self.restless.is_empty() => Some(*next),
            _ => self.watched.values().any(|watched| watched.is_stuck).then_some(STUCK_LOOK),
        };
        // Notices that come one after the other do not put the next look off.
        if next != self.wound {
            self.wound = next;
            self.ports.wake_in(next);
        }
    }
}

impl Watched {
    /// There is something to tell, now or after another look.
    fn is_news(&self) -> bool {
        self.latest != self.told || self.notices > 0 || self.is_torn()
    }

    /// After so many looks it may be told that a limit was reached and nobody was killed; in any case
    /// if there will be no other look.
    const fn may_tell_of_limits(&self, looks: usize) -> bool {
        looks == usize::MAX || (looks >= SETTLED && self.waited >= self.patience)
    }

    /// It hangs and was not said to, or the other way round.
    fn is_torn(&self) -> bool {
        self.latest.is_stuck() != self.is_stuck
    }
}

/// For `poll`: readable when there is something to read, or a look is due.
impl AsFd for CgroupEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ports.as_fd()
    }
}

/// The cgroups above, nearest first.
fn above(path: &CgroupPath) -> impl Iterator<Item = &str> {
    let parent = |path: &str| match path.rsplit_once('/') {
        Some(("", "")) | None => None,
        Some(("", _)) => Some(1),
        Some((above, _)) => Some(above.len()),
    };
    let whole = path.as_str();
    let mut length = parent(whole);
    std::iter::from_fn(move || {
        let above = whole.get(..length?)?;
        length = if above == "/" { None } else { parent(above) };
        Some(above)
    })
}

#[cfg(test)]
mod tests;
