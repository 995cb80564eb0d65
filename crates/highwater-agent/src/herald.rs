//! The herald: what the agent's log says of deaths.
//!
//! A death is told once it is on disk. While the store cannot be written it is told at once all the
//! same, as not stored yet, and once more when it is. Deaths that the kernel still had on record when
//! the agent began are summed up in one line. Pure: what is to be said is handed back.

use std::collections::HashSet;

use highwater_core::event::{Event, Happening};
use highwater_core::id::Pid;
use highwater_core::time::{Stamp, WallTime};
use highwater_diagnose::counsel::is_of_note;
use highwater_diagnose::inquest::Verdict;

/// So many deaths that were told early are remembered: as many as wait for the store.
const EARLY: usize = 256;

/// A death in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) key: String,
    name: String,
    pid: Pid,
    wall: WallTime,
}

impl Outline {
    /// The deaths among `events`.
    pub(crate) fn of_each(events: &[Event]) -> Vec<Self> {
        let outline = |event: &Event| match &event.what {
            Happening::Death(death) => Some(Self {
                key: event.key.clone(),
                name: format!("{} (pid {})", death.comm, death.pid),
                pid: death.pid,
                wall: event.wall,
            }),
            _ => None,
        };
        events.iter().filter_map(outline).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Herald {
    /// When the agent began.
    started: Stamp,
    /// What has to be added to a command so that it reads this recording.
    option: String,
    /// The keys of deaths that were told before they were stored.
    early: HashSet<String>,
    older: Older,
}

/// Deaths from before the start that are not told yet.
#[derive(Debug, Default)]
struct Older {
    count: usize,
    first: Option<Outline>,
    last: Option<Outline>,
}

impl Older {
    fn add(&mut self, death: Outline) {
        self.count = self.count.saturating_add(1);
        if self.first.is_none() {
            self.first = Some(death);
        } else {
            self.last = Some(death);
        }
    }
}

impl Herald {
    pub(crate) fn new(started: Stamp, option: String) -> Self {
        Self { started, option, early: HashSet::new(), older: Older::default() }
    }

    /// Of `deaths` that wait for the store.
    pub(crate) fn waits(&mut self, mut deaths: Vec<Outline>, now: Stamp) -> Option<String> {
        deaths.retain(|death| !self.is_older(death, now) && !self.early.contains(&death.key));
        let newest = deaths.last()?;
        let (name, others) = (&newest.name, others(deaths.len()));
        let line = format!(
            "the kernel killed {name} for memory{others}; this is not stored yet, as the store cannot \
             be written"
        );
        if self.early.len() > EARLY {
            self.early.clear();
        }
        self.early.extend(deaths.into_iter().map(|death| death.key));
        Some(line)
    }

    /// Of `deaths` that are safe on disk since this moment.
    pub(crate) fn stored(&mut self, deaths: Vec<Outline>, now: Stamp) -> Vec<String> {
        let (early, rest): (Vec<_>, Vec<_>) =
            deaths.into_iter().partition(|death| self.early.remove(&death.key));
        let (older, fresh): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|death| self.is_older(death, now));
        for death in older {
            self.older.add(death);
        }
        let option = &self.option;
        let early = early.last().map(|Outline { name, pid, .. }| {
            let others = others(early.len());
            format!("the death of {name}{others} is stored now: highwater why {pid}{option}")
        });
        let fresh = fresh.last().map(|Outline { name, pid, .. }| {
            let others = others(fresh.len());
            format!("{name} was killed for memory{others}: highwater why {pid}{option}")
        });
        early.into_iter().chain(fresh).collect()
    }

    /// Of the deaths from before the start, those of them that were stored since this was asked.
    pub(crate) fn summary(&mut self) -> Option<String> {
        let Older { count, first, last } = std::mem::take(&mut self.older);
        let first = first?;
        let option = &self.option;
        Some(match last {
            None => format!(
                "1 death from before the start: {} at {}: highwater why {}{option}",
                first.name, first.wall, first.pid
            ),
            Some(last) => format!(
                "{count} deaths from before the start: the first {} at {}, the last {} at {}: \
                 highwater why {}{option}",
                first.name, first.wall, last.name, last.wall, last.pid
            ),
        })
    }

    /// A death that no report of the kernel tells of, if anybody would want to know of it.
    pub(crate) fn verdict(&self, verdict: &Verdict) -> Option<String> {
        if !is_of_note(verdict) || verdict.report.is_some() {
            return None;
        }
        let name = match (&verdict.who.owner, verdict.who.pid) {
            (_, Some(pid)) => pid.to_string(),
            (Some(owner), None) => owner.id().to_owned(),
            (None, None) => String::new(),
        };
        let said = verdict.summary.trim_end_matches('.');
        Some(format!("{said}: highwater why {name}{}", self.option))
    }

    /// Whether it was before the agent began, as the wall clock goes now: it may have been set since.
    fn is_older(&self, death: &Outline, now: Stamp) -> bool {
        death.wall < now.wall_at(self.started.boot)
    }
}

fn others(count: usize) -> String {
    if count > 1 { format!(" (the newest of {count})") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::BootTime;

    use super::*;

    fn stamp(wall_s: i64, boot_s: u64) -> Stamp {
        let wall = WallTime::from_millis(wall_s * 1000);
        Stamp { wall, boot: BootTime::from_micros(boot_s * 1_000_000) }
    }

    fn death(pid: u32, wall_s: i64) -> Outline {
        Outline {
            key: format!("kmsg:{pid}"),
            name: format!("x (pid {pid})"),
            pid: Pid::new(pid),
            wall: stamp(wall_s, 0).wall,
        }
    }

    fn herald() -> Herald {
        Herald::new(stamp(1_000, 100), " --data-dir /d".to_owned())
    }

    #[test]
    fn a_death_is_told_when_it_is_stored_and_earlier_while_it_cannot_be() {
        let (mut herald, now) = (herald(), stamp(1_010, 110));
        assert_eq!(
            herald.stored(vec![death(7, 1_005)], now),
            ["x (pid 7) was killed for memory: highwater why 7 --data-dir /d"]
        );
        let early = herald.waits(vec![death(8, 1_006), death(9, 1_007)], now).unwrap();
        assert_eq!(
            early,
            "the kernel killed x (pid 9) for memory (the newest of 2); this is not stored yet, as the \
             store cannot be written"
        );
        assert_eq!(herald.waits(vec![death(9, 1_007)], now), None, "once");
        let told = herald.stored(vec![death(8, 1_006), death(9, 1_007), death(10, 1_008)], now);
        assert_eq!(
            told,
            [
                "the death of x (pid 9) (the newest of 2) is stored now: highwater why 9 --data-dir /d",
                "x (pid 10) was killed for memory: highwater why 10 --data-dir /d",
            ]
        );
        assert_eq!(herald.summary(), None);
    }

    #[test]
    fn deaths_from_before_the_start_are_one_line() {
        let (mut herald, now) = (herald(), stamp(1_010, 110));
        assert_eq!(herald.waits(vec![death(1, 10)], now), None);
        assert!(herald.stored(vec![death(1, 10)], now).is_empty());
        assert_eq!(
            herald.summary().unwrap(),
            "1 death from before the start: x (pid 1) at 1970-01-01T00:00:10.000Z: highwater why 1 \
             --data-dir /d"
        );
        assert!(herald.stored(vec![death(1, 10), death(2, 20), death(3, 30)], now).is_empty());
        assert_eq!(
            herald.summary().unwrap(),
            "3 deaths from before the start: the first x (pid 1) at 1970-01-01T00:00:10.000Z, the \
             last x (pid 3) at 1970-01-01T00:00:30.000Z: highwater why 3 --data-dir /d"
        );
        assert_eq!(herald.summary(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_death_an_old_one() {
        let mut herald = herald();
        let told = herald.stored(vec![death(7, 508)], stamp(510, 110));
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
