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

/// So far back testimonies are joined: a stop that times out takes a minute and a half by default.
const SPAN: Duration = Duration::from_mins(2);

/// So many testimonies are held at most: a cgroup of thousands that is killed brings as many. The
/// oldest go first; those deaths are on record, and only not told aloud.
const MOST: usize = 4_096;

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
        let surplus = self.heard.len().saturating_sub(MOST);
        self.heard.drain(..surplus);
        let surplus = self.kills.len().saturating_sub(MOST);
        self.kills.drain(..surplus);
    }

    /// The deaths that have settled by `now`, each once.
    pub(crate) fn settled(&mut self, now: Stamp) -> Vec<Verdict> {
        if !self.has_news {
            return Vec::new();
        }
        let settled = now.wall.before(SETTLE);
        let hearing = Hearing { heard: &self.heard, kills: &self.kills, sights: &self.sights };
        let mut verdicts = inquire(&hearing).deaths;
        verdicts.retain(|verdict| verdict.wall.is_some_and(|wall| wall <= settled));
        let oldest = now.wall.before(SPAN);
        verdicts.retain(|verdict| verdict.wall.is_some_and(|wall| wall >= oldest));
        verdicts.retain(|verdict| self.is_new(verdict));
        // Whoever is told and forgotten here cannot be met again: what was said of him is gone too.
        self.heard.retain(|heard| heard.wall.is_none_or(|wall| wall >= oldest));
        self.kills.retain(|kill| kill.wall.is_none_or(|wall| wall >= oldest));
        let forgotten = oldest.before(SPAN);
        self.told.retain(|(_, at)| *at >= forgotten);
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
            *told == name && at.since(*when).max(when.since(at)) <= SAME
        };
        let is_new = !self.told.iter().any(is_it);
        if is_new {
            self.told.push((name, at));
        }
        is_new
    }
}

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// A process.
    Pid(Pid),
    /// An owner as a whole.
    Owner(Option<Owner>),
}

impl Name {
    fn of(verdict: &Verdict) -> Self {
        match verdict.who.pid {
            Some(pid) => Self::Pid(pid),
            None => Self::Owner(verdict.who.owner.clone()),
        }
    }
}
