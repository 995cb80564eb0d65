//! The coroner: joins what was recorded of a death while it is fresh, so that the agent can say who
//! died of what, and count it.
//!
//! Pure: moments are handed in. The judgement is that of `highwater why`, made once a death has
//! settled: the last witness of a stop is heard a second or two after the first. Nothing of it is
//! stored, since what was said is on record, and later judges may know better.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::event::{Event, Happening, Sight};
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, Testimony, UnitWord};
use highwater_core::time::{Stamp, WallTime};
use highwater_diagnose::death::{Case, RecordedDeath, Window, reread};
use highwater_diagnose::inquest::{
    Heard, Hearing, OomKill, Pause, Verdict, inquire_since, with_pauses,
};

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

/// Of so many owners the last start is kept for as long as they live: it tells which process was the
/// first, and what the limits are. A large node runs some hundred.
const MOST_STARTS: usize = 1_024;

/// Of users' units so many beside these: anybody can start some without end.
const MOST_STARTS_OF_USERS: usize = 256;

/// When an owner was started last, and when that life ended.
#[derive(Clone, Copy, Debug)]
struct Life {
    start: WallTime,
    end: Option<WallTime>,
}

#[derive(Debug, Default)]
pub(crate) struct Coroner {
    heard: Vec<Heard>,
    kills: Vec<OomKill>,
    sights: Vec<(WallTime, Sight)>,
    /// What was before this agent, which nobody heard.
    pauses: Vec<Pause>,
    /// The last life of each owner.
    starts: BTreeMap<Owner, Life>,
    /// Deaths that were told, and when they were.
    told: Vec<(Name, WallTime)>,
    has_news: bool,
}

impl Coroner {
    /// Takes what was recorded.
    pub(crate) fn take(&mut self, event: &Event) {
        match &event.what {
            Happening::Testimony(testimony) => {
                self.note_life(testimony, event.wall);
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
            Happening::Recorder { what, .. } if what == "started" => self.begin(event),
            Happening::Growth(_) | Happening::Recorder { .. } => {}
        }
        if self.heard.len() > 2 * MOST + self.starts.len() {
            let surplus = self.heard.len().saturating_sub(MOST);
            let mut place = 0;
            let starts = &self.starts;
            self.heard.retain(|heard| {
                place += 1;
                place > surplus || is_last_start(starts, heard)
            });
        }
        bound(&mut self.kills);
    }

    /// Takes note of a start or an end. The start is of use for as long as the end may be told.
    fn note_life(&mut self, testimony: &Testimony, at: WallTime) {
        let Some(owner) = &testimony.about.owner else { return };
        if is_start(&testimony.fact) {
            let life = self.starts.entry(owner.clone()).or_insert(Life { start: at, end: None });
            if at >= life.start {
                *life = Life { start: at, end: life.end.filter(|end| *end > at) };
            }
            self.bound_starts(owner);
        } else if is_end(&testimony.fact)
            && let Some(life) = self.starts.get_mut(owner)
            && at >= life.start
        {
            life.end = Some(at);
        }
    }

    /// Of more owners like this one than are kept, one goes that ended, or else the one whose start
    /// is longest ago.
    fn bound_starts(&mut self, owner: &Owner) {
        let of_user = |owner: &Owner| matches!(owner, Owner::UserUnit { .. });
        let most = if of_user(owner) { MOST_STARTS_OF_USERS } else { MOST_STARTS };
        let like = || self.starts.iter().filter(|(other, _)| of_user(other) == of_user(owner));
        if like().count() > most {
            let oldest = like().min_by_key(|(_, life)| (life.end.is_none(), life.end, life.start));
            let oldest = oldest.map(|(owner, _)| owner.clone());
            oldest.and_then(|oldest| self.starts.remove(&oldest));
        }
    }

    /// An agent before this one may have listened, but its end is not known here: what is told aloud
    /// of the moments before claims less than who asks later can be told.
    fn begin(&mut self, start: &Event) {
        let boot = start.boot.map(|boot| Duration::from_micros(boot.micros()));
        let booted = boot.map(|boot| start.wall.before(boot));
        self.pauses = Pause::over_boot(None, booted, start.wall).collect();
    }

    /// The deaths that have settled by `now`, each once.
    pub(crate) fn settled(&mut self, now: Stamp) -> Vec<Verdict> {
        if !self.has_news {
            return Vec::new();
        }
        let settled = now.wall.before(SETTLE);
        let sights = with_pauses(&self.sights, &self.pauses);
        let hearing = Hearing { heard: &self.heard, kills: &self.kills, sights: &sights };
        let tells = now.wall.before(TELLS);
        let mut verdicts = inquire_since(&hearing, Some(tells)).deaths;
        let is_told_now = |wall: WallTime| wall <= settled && wall >= tells;
        verdicts.retain(|verdict| verdict.wall.is_some_and(is_told_now));
        verdicts.retain(|verdict| self.is_new(verdict));
        // What is told is forgotten long after it could be told again.
        let oldest = now.wall.before(SPAN);
        self.starts.retain(|_, life| life.end.is_none_or(|end| end >= oldest));
        let starts = &self.starts;
        self.heard.retain(|heard| {
            heard.wall.is_none_or(|wall| wall >= oldest) || is_last_start(starts, heard)
        });
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

const fn is_start(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Unit(UnitWord::Started { .. }) | Fact::Container(ContainerWord::Started { .. })
    )
}

/// One that is started again lives again.
const fn is_end(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Unit(UnitWord::Stopped)
            | Fact::Container(ContainerWord::Died { .. } | ContainerWord::Destroyed)
    )
}

fn is_last_start(starts: &BTreeMap<Owner, Life>, heard: &Heard) -> bool {
    let owner = heard.testimony.about.owner.as_ref();
    let last =
        owner.filter(|_| is_start(&heard.testimony.fact)).and_then(|owner| starts.get(owner));
    last.is_some() && last.map(|life| life.start) == heard.wall
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

#[cfg(test)]
mod tests {
    use highwater_core::event::Presence;
    use highwater_core::evidence::Evidence;
    use highwater_core::testimony::{Exit, Party, Signal, Status, Witness};
    use highwater_core::time::BootTime;

    use super::*;

    fn event(seconds: i64, owner: &str, pid: u32, fact: Fact) -> Event {
        let wall = WallTime::from_millis(seconds * 1_000);
        let owner = Owner::Container(owner.to_owned());
        let about = Party { pid: Some(Pid::new(pid)), ..Party::of_owner(owner) };
        let evidence = Evidence { source: String::new(), line: None, text: String::new() };
        let testimony = Testimony { witness: Witness::Docker, about, fact, evidence };
        let boot = u64::try_from(seconds).ok().map(|at| BootTime::from_micros(at * 1_000_000));
        let (boot_id, key) =
            ("0af46ef7-3b9c-4f0c-8f0e-6f6f0e1f5b11".parse().unwrap(), format!("{seconds}:{pid}"));
        let what = Happening::Testimony(Box::new(testimony));
        Event { wall, boot, boot_id, key, what }
    }

    fn started(seconds: i64, owner: &str, pid: u32) -> Event {
        let first = Some(Pid::new(pid));
        let word = ContainerWord::Started { first, restarts: None, limits: Box::default() };
        event(seconds, owner, pid, Fact::Container(word))
    }

    fn killed(seconds: i64, owner: &str, pid: u32) -> Event {
        let status = Status::Signal { signal: Signal::KILL, core: false };
        let exit = Exit { status, lived_ms: Some(5), is_first: None };
        event(seconds, owner, pid, Fact::Exited(exit))
    }

    fn at(seconds: i64) -> Stamp {
        let us = u64::try_from(seconds).unwrap() * 1_000_000;
        Stamp { wall: WallTime::from_millis(seconds * 1_000), boot: BootTime::from_micros(us) }
    }

    #[test]
    fn nobody_listened_before_the_agent_began() {
        let lifecycle = |what: Happening| Event { what, ..killed(1_000, "web", 1) };
        let (what, note) = ("started".to_owned(), String::new());
        let everybody = Witness::ALL.map(|witness| Presence { witness, absent: None });
        let mut coroner = Coroner::default();
        coroner.take(&lifecycle(Happening::Recorder { what, note }));
        coroner.take(&lifecycle(Happening::Sight(Sight { witnesses: everybody.to_vec() })));
        for (seconds, pid) in [(999, 7), (1_001, 8)] {
            coroner.take(&killed(seconds, "web", pid));
        }
        let told = coroner.settled(at(1_010));
        let no_counter = |verdict: &Verdict| {
            verdict.ruled_out.iter().any(|claim| claim.text.contains("no counter"))
        };
        let said: Vec<bool> = told.iter().map(no_counter).collect();
        assert_eq!(said, [false, true], "{told:?}");
    }

    #[test]
    fn the_last_start_of_an_owner_is_known_for_as_long_as_it_runs() {
        let mut coroner = Coroner::default();
        for (seconds, owner) in [(1_000, "web"), (1_001, "db"), (1_002, "web")] {
            coroner.take(&started(seconds, owner, 7));
        }
        coroner.take(&killed(1_003, "web", 9));
        // An hour later.
        coroner.take(&killed(4_600, "db", 9));
        coroner.settled(at(4_610));
        let held = |coroner: &Coroner| {
            let walls = coroner.heard.iter().filter_map(|heard| heard.wall);
            walls.map(|wall| wall.millis() / 1_000).collect::<Vec<_>>()
        };
        assert_eq!(held(&coroner), [1_001, 1_002, 4_600]);
        // A flood does not take them along, nor starts without end the others' memory.
        for number in 0..3 * u32::try_from(MOST).unwrap() {
            coroner.take(&killed(4_611, "web", number));
        }
        assert_eq!(held(&coroner).get(..2), Some(&[1_001, 1_002][..]));
        for number in 0..3 * u32::try_from(MOST_STARTS).unwrap() {
            coroner.take(&started(4_612, &number.to_string(), number));
        }
        assert_eq!(coroner.starts.len(), MOST_STARTS);
        assert!(coroner.heard.len() <= 2 * MOST + MOST_STARTS);
    }

    fn died(seconds: i64, owner: &str) -> Event {
        let word = ContainerWord::Died { code: Some(0), oom: None };
        event(seconds, owner, 7, Fact::Container(word))
    }

    #[test]
    fn those_that_come_and_go_do_not_push_out_one_that_stays() {
        let mut coroner = Coroner::default();
        coroner.take(&started(1_000, "db", 7));
        let mut seconds = 1_000;
        for number in 0..2 * MOST_STARTS {
            seconds += 1;
            coroner.take(&started(seconds, &number.to_string(), 9));
            coroner.take(&died(seconds, &number.to_string()));
        }
        let db = Owner::Container("db".to_owned());
        assert!(coroner.starts.contains_key(&db) && coroner.starts.len() == MOST_STARTS);
        // Nor does a user with units without end.
        for number in 0..2 * MOST_STARTS {
            let mut event = started(seconds, "x", 9);
            let Happening::Testimony(testimony) = &mut event.what else { unreachable!() };
            let unit = format!("{number}.service");
            testimony.about.owner = Some(Owner::UserUnit { unit, uid: 1_000 });
            coroner.take(&event);
        }
        assert!(coroner.starts.contains_key(&db));
        assert_eq!(coroner.starts.len(), MOST_STARTS + MOST_STARTS_OF_USERS);
        // One that is started again lives; the others are forgotten some minutes after their end.
        coroner.take(&died(seconds, "db"));
        coroner.take(&started(seconds + 1, "db", 8));
        coroner.settled(at(seconds + 3_600));
        assert_eq!(coroner.starts.len(), 1 + MOST_STARTS_OF_USERS);
        assert!(coroner.starts.get(&db).is_some_and(|life| life.end.is_none()));
    }
}
