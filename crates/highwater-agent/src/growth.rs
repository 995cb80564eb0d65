//! What grows, found while the machine is recorded.
//!
//! ```text
//!  growth thread ──starts──► a child: reads the store, judges, answers ── Look ──► ledger ─ Grown ─► recorder
//!       every ten minutes, within its share of a processor                           └─► board
//! ```
//!
//! The judgement is made in a process of its own. Of 500 owners and thirty days, imported, it takes
//! 0.45 s of a processor (`docs/measured.md`), 0.075 % of one each ten minutes, and holds 26 MiB,
//! more than the agent may have: the agent locks its memory in RAM, so that what a thread took for it
//! would stay; a child gives all of it back, is not spared when memory is short, and ends at once when
//! the agent does. Where it takes more than its share (`growth.cpu_budget`, 0.1 %), it looks as much
//! more rarely.

mod child;
mod ledger;
mod look;
mod shown;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_core::event::{Event, Grown, Happening, Turn};
use highwater_core::growth::Verdict;
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Permille;
use highwater_diagnose::finding::sentence;

pub use look::{Look, be_modest, look, standing};
pub use shown::numbers;
pub(crate) use shown::{METRICS, Shown};

use crate::board::{Board, Counts};
use crate::clock;
use crate::feed::Feed;
use crate::recorder::{Entry, bump};
use crate::watcher::sleep_or_stop;
use child::Ended;
use ledger::Ledger;

/// How often the terms are read again, so that a change of the configuration is not waited for long.
const STEP: Duration = Duration::from_secs(5);

/// The first look is not before this: a machine that starts has more to do, and a restarted agent
/// knows from the store what was told.
const SETTLE: Duration = Duration::from_mins(1);

/// After so many looks without an answer nothing is shown as current any more.
const BLIND: u32 = 3;

/// What is looked for, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) enabled: bool,
    pub(crate) every: Duration,
    /// How much of a processor it may take.
    pub(crate) cpu: Permille,
}

impl Plan {
    /// The first look.
    fn first(self) -> Duration {
        self.every.min(SETTLE)
    }

    /// What passes from the beginning of one look to that of the next.
    fn pause(self, spent: Duration) -> Duration {
        let rest = spent.saturating_mul(1_000) / self.cpu.get().max(1);
        self.every.max(rest)
    }
}

/// Looks now and then.
pub(crate) struct Watch {
    /// The program that judges.
    pub(crate) program: PathBuf,
    /// Whose database.
    pub(crate) dir: PathBuf,
    pub(crate) plan: Arc<Mutex<Plan>>,
    pub(crate) boot: BootId,
    pub(crate) entries: Feed,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Watch {
    /// Looks until told to stop.
    pub(crate) fn run(self) {
        let mut ledger = Ledger::default();
        let mut began = clock::now().boot;
        let mut spent: Option<Duration> = None;
        let mut failed = 0;
        loop {
            let now = clock::now();
            let plan = *self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let pause = spent.map_or(plan.first(), |spent| plan.pause(spent));
            let wait = pause.saturating_sub(now.boot.since(began));
            if !plan.enabled || self.is_outdated(now.wall) {
                self.forget();
            }
            if !plan.enabled || wait > Duration::ZERO {
                let step = if plan.enabled { wait.min(STEP) } else { STEP };
                if !sleep_or_stop(&self.stop, step) {
                    return;
                }
                continue;
            }
            began = now.boot;
            match child::ask(&self.program, &self.dir, ledger.since(now.wall), &self.stop) {
                Ok(found) => {
                    failed = 0;
                    spent = Some(Duration::from_micros(found.cpu_us));
                    self.take(&mut ledger, found, plan);
                }
                Err(Ended::Stopped) => return,
                Err(Ended::Failed(why)) => {
                    failed += 1;
                    spent = Some(spent_in_vain(began));
                    self.fail(failed, &why);
                }
            }
        }
    }

    fn take(&self, ledger: &mut Ledger, found: Look, plan: Plan) {
        let now = clock::now();
        let counts = self.board.counts();
        bump(&counts.growth_looks);
        counts.growth_cpu_us.fetch_add(found.cpu_us, Ordering::Relaxed);
        remember(counts, now.wall, plan.pause(Duration::from_micros(found.cpu_us)));
        self.board.growth().show(&found);
        let news = ledger.take(found, now.wall);
        self.board.growth().count(ledger.on());
        if !news.is_empty() {
            // Nobody takes anything any more only when the agent stops.
            let _stopped = self.entries.send(Entry::Events(self.events(news, now), None));
        }
    }

    fn events(&self, news: Vec<Grown>, now: Stamp) -> Vec<Event> {
        let event = |(at, grown): (usize, Grown)| Event {
            wall: now.wall,
            boot: Some(now.boot),
            boot_id: self.boot,
            key: format!("growth:{}:{at}", now.boot.micros()),
            what: Happening::Growth(Box::new(grown)),
        };
        news.into_iter().enumerate().map(event).collect()
    }

    fn fail(&self, failed: u32, why: &str) {
        bump(&self.board.counts().growth_failures);
        if failed == 1 {
            crate::log::say(&format!("what grows is not known now: {why}"));
        }
        if failed >= BLIND {
            self.forget();
        }
    }

    /// Whether nothing was found for so long that what is shown is of another time.
    fn is_outdated(&self, now: WallTime) -> bool {
        let until = self.board.counts().growth_until_ms.load(Ordering::Relaxed);
        until > 0 && u64::try_from(now.millis()).unwrap_or_default() > until
    }

    /// Nothing is current any more.
    fn forget(&self) {
        self.board.growth().clear();
        self.board.counts().growth_until_ms.store(0, Ordering::Relaxed);
    }
}

/// What a look is taken to have cost that gave no answer, at most: the time that passed is not processor
/// time, and nobody should be blind for longer than the best part of an hour.
const VAIN: Duration = Duration::from_secs(3);

/// What a look that gave no answer may have cost.
fn spent_in_vain(began: BootTime) -> Duration {
    clock::now().boot.since(began).min(VAIN)
}

/// So many looks are current for as long as three of them take: one may fail, and one be late.
const CURRENT: u32 = 3;

/// And so much longer: whether it is current is left beside the database twice a minute.
const WORD: Duration = Duration::from_mins(1);

fn remember(counts: &Counts, now: WallTime, pause: Duration) {
    let ms = |at: WallTime| u64::try_from(at.millis()).unwrap_or_default();
    counts.growth_at_ms.store(ms(now), Ordering::Relaxed);
    let until = now.after(pause.saturating_mul(CURRENT).saturating_add(WORD));
    counts.growth_until_ms.store(ms(until), Ordering::Relaxed);
}

/// What the agent says of it where its log goes: an accusation, and that it is over.
pub(crate) fn line(grown: &Grown) -> Option<String> {
    let finding = &grown.finding;
    let said = sentence(finding);
    let next = format!("highwater leaks {}", finding.owner.name);
    match (grown.turn, finding.verdict) {
        (Turn::Begun, _) | (Turn::Changed, Verdict::Leak) => Some(format!("{said}: {next}")),
        (Turn::Mended, _) => {
            let name = &finding.owner.name;
            Some(format!("{name} grows no more in {}", finding.resource))
        }
        (Turn::Changed | Turn::GoesOn | Turn::Gone, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::plan;

    #[test]
    fn a_look_costs_a_thousandth_of_a_core_at_most() {
        let plan = plan::growth(&Config::default());
        assert_eq!(plan.pause(Duration::from_millis(300)), Duration::from_mins(10));
        assert_eq!(plan.pause(Duration::from_secs(3)), Duration::from_mins(50));
        let eager = Plan { cpu: Permille::new(500), ..plan };
        assert_eq!(eager.pause(Duration::from_secs(400)), Duration::from_secs(800));
        assert_eq!(plan.first(), SETTLE);
    }
}
