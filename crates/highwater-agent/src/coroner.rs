//! The coroner: joins what was recorded of a death while it is fresh, so that the agent can say who
//! died of what, and count it.
//!
//! Pure: moments are handed in. The judgement is that of `highwater why`, made once a death has
//! settled: the last witness of a stop is heard a second or two after the first. Nothing of it is
//! stored, since what was said is on record, and later judges may know better.

use std::time::Duration;

use highwater_core::event::{Event, Happening, Sight};
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::time::{Stamp, WallTime};
use highwater_diagnose::death::{Case, RecordedDeath, Window, reread};
use highwater_diagnose::inquest::{Heard, Hearing, OomKill, Verdict, inquire};

/// How long a death waits for the last of its witnesses.
const SETTLE: Duration = Duration::from_secs(4);

/// No pid comes round again so soon, and no unit ends twice.
const SAME: Duration = Duration::from_secs(2);

/// So far back testimonies are joined: a manager may tell of an end minutes after it.
const SPAN: Duration = Duration::from_mins(12);

/// A death is told so long after it at most: what is heard of an older one is for whoever asks.
const TELLS: Duration = Duration::from_mins(2);

/// So many testimonies are held, and up to twice as many between two looks: a cgroup of thousands that
/// is killed brings as many. The oldest go first; those deaths are on record, and only not told aloud.
const MOST: usize = 2_048;

#[derive(Debug, Default)]
pub(crate) struct Coroner {
    heard: Vec<Heard>,
    kills: Vec<OomKill>,
    sights: Vec<(WallTime, Sight)>,
    /// Deaths that were told, and when they were.
    told: Vec<(Name, WallTime)>,
    has_news: bool,
}

impl Coroner {
    /// Takes what was recorded.
    pub(crate) fn take(&mut self, event: &Event) {
        match &event.what {
            Happening::Testimony(testimony) => {
                self.heard.push(Heard {
                    wall: Some(event.wall),
                    boot: event.boot,
                    boot_id: Some(event.boot_id),
                    testimony: (**testimony).clone(),
                });
                self.has_news = true;
            }
            Happening::Death(death) => {
                let (report, kill) = reread(death, event.wall);
                let recorded = RecordedDeath { death, wall: event.wall, boot: event.boot };
                let case = Case {
                    report: &report,
                    kill: Some(kill),
                    source: "/dev/kmsg",
                    recorded: Some(recorded),
                    page_size: None,
                    look_back: Window::Minutes,
                };
                let key = self.kills.len();
                self.kills.extend(OomKill::of_case(&case, key, Some(event.boot_id)));
                self.has_news = true;
            }
            Happening::Sight(sight) => self.sights.push((event.wall, sight.clone())),
            Happening::Recorder { .. } => {}
        }
        bound(&mut self.heard);
        bound(&mut self.kills);
    }

    /// The deaths that have settled by `now`, each once.
    pub(crate) fn settled(&mut self, now: Stamp) -> Vec<Verdict> {
        if !self.has_news {
            return Vec::new();
        }
        let settled = now.wall.before(SETTLE);
        let hearing = Hearing { heard: &self.heard, kills: &self.kills, sights: &self.sights };
        let mut verdicts = inquire(&hearing).deaths;
        let tells = now.wall.before(TELLS);
        let is_told_now = |wall: WallTime| wall <= settled && wall >= tells;
        verdicts.retain(|verdict| verdict.wall.is_some_and(is_told_now));
        verdicts.retain(|verdict| self.is_new(verdict));
        // What is told is forgotten long after it could be told again.
        let oldest = now.wall.before(SPAN);
        self.heard.retain(|heard| heard.wall.is_none_or(|wall| wall >= oldest));
        self.kills.retain(|kill| kill.wall.is_none_or(|wall| wall >= oldest));
        self.told.retain(|(_, at)| *at >= oldest);
        let later = self.sights.len().saturating_sub(1);
        self.sights.drain(..later);
        let waits = self.heard.iter().filter_map(|heard| heard.wall);
        let waits = waits.chain(self.kills.iter().filter_map(|kill| kill.wall));
        self.has_news = waits.max().is_some_and(|newest| newest > settled);
        verdicts
    }

    /// Whether it was not told yet; from now on it was. Its moment may have moved a little with
    /// what was heard since.
    fn is_new(&mut self, verdict: &Verdict) -> bool {
        let (name, at) = (Name::of(verdict), verdict.wall.unwrap_or_default());
        let is_it = |(told, when): &(Name, WallTime)| {
            told.is(&name) && at.since(*when).max(when.since(at)) <= SAME
        };
        let is_new = !self.told.iter().rev().take(MOST).any(is_it);
        if is_new {
            self.told.push((name, at));
            bound(&mut self.told);
        }
        is_new
    }
}

/// Lets the oldest go when there are twice as many as are wanted.
fn bound<T>(all: &mut Vec<T>) {
    if all.len() > 2 * MOST {
        all.drain(..all.len().saturating_sub(MOST));
    }
}

/// Who it is: the process, and whose it was.
#[derive(Clone, Debug)]
struct Name {
    pid: Option<Pid>,
    owner: Option<Owner>,
}

impl Name {
    fn of(verdict: &Verdict) -> Self {
        Self { pid: verdict.who.pid, owner: verdict.who.owner.clone() }
    }

    /// The same process; or the same owner, where one of them was told without a process.
    fn is(&self, other: &Self) -> bool {
        match (self.pid, other.pid) {
            (Some(one), Some(other)) => one == other,
            _ => self.owner.is_some() && self.owner == other.owner,
        }
    }
}
