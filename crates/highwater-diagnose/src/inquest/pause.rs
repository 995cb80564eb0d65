//! Times in which nobody listened: before the recorder ran, and from the last it recorded to its next
//! start.
//!
//! ```text
//! sight ──────────── last reading ✂            start ── sight ────
//!                                 └── a pause ──┘
//! ```
//!
//! What keeps its own record can be read after a pause: the kernel's log, the journal, the audit log,
//! Docker's events. What speaks once, and to those only who are there, was not heard. What is kept in
//! memory does not outlive the machine: if it was started in between, its pause is two.

use highwater_core::event::{Presence, Sight};
use highwater_core::testimony::Witness;
use highwater_core::time::WallTime;

/// Nobody listened from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The last sign of whoever listened before; `None`: nobody did.
    pub from: Option<WallTime>,
    /// When the next one began.
    pub to: WallTime,
    /// The kernel's tracing buffer was left in place, and read afterwards.
    pub is_traced: bool,
    /// The machine was started before anybody listened again: what was kept in memory went with it.
    pub is_lost: bool,
}

impl Pause {
    /// The pause from the last sign of another boot, or of none, to `to`, in a boot that began at
    /// `booted`: of what was before that nothing is left but what is kept on disk.
    pub fn over_boot(
        from: Option<WallTime>,
        booted: Option<WallTime>,
        to: WallTime,
    ) -> impl Iterator<Item = Self> {
        // A clock that was put right may have the boot begin before the last that is known.
        let booted = booted.filter(|at| *at < to && from.is_none_or(|from| from < *at));
        let lost = Self { from, to: booted.unwrap_or(to), is_traced: false, is_lost: true };
        let kept = booted.map(|at| Self { from: Some(at), to, is_traced: false, is_lost: false });
        [lost].into_iter().chain(kept)
    }
}

/// `sights`, oldest first, with one for each pause that says what could not be heard in it. What is
/// first seen after a pause counts from its end on.
pub fn with_pauses(sights: &[(WallTime, Sight)], pauses: &[Pause]) -> Vec<(WallTime, Sight)> {
    let is_in_pause = |moment: WallTime| {
        pauses.iter().any(|pause| pause.from.is_none_or(|from| from <= moment) && moment < pause.to)
    };
    let heard = sights.iter().filter(|(moment, _)| !is_in_pause(*moment));
    let mut all: Vec<(WallTime, Sight)> = heard.cloned().collect();
    for pause in pauses {
        let next = sights.iter().find(|(moment, _)| *moment >= pause.to).map(|(_, sight)| sight);
        let from = pause.from.unwrap_or(WallTime::from_millis(i64::MIN));
        all.push((from, pause.sight(next)));
        // Of who is not seen yet, nobody knows whom he hears.
        all.push((pause.to, next.cloned().unwrap_or_default()));
    }
    all.sort_by_key(|(moment, _)| *moment);
    all
}

impl Pause {
    /// Who was heard in it, seeing who is there after it.
    fn sight(&self, next: Option<&Sight>) -> Sight {
        let in_pause = |witness: Witness| {
            let later = next.and_then(|next| presence(next, witness));
            let absent = match later.map(|later| &later.absent) {
                Some(None) if self.outlives(witness) => None,
                // What it takes is the same as after it.
                Some(Some(why)) => Some(why.clone()),
                Some(None) | None => Some(self.words()),
            };
            Presence { witness, absent }
        };
        Sight { witnesses: Witness::ALL.map(in_pause).to_vec() }
    }

    fn outlives(&self, witness: Witness) -> bool {
        match witness {
            Witness::Journal | Witness::Audit => true,
            // The kernel's messages, and the events that dockerd holds.
            Witness::Kmsg | Witness::Docker => !self.is_lost,
            Witness::Signals => self.is_traced && !self.is_lost,
            _ => false,
        }
    }

    fn words(&self) -> String {
        let to = self.to;
        match (self.from, self.is_lost) {
            (Some(from), false) => format!("nobody listened from {from} to {to}"),
            (Some(from), true) => {
                format!("nobody listened from {from} until the machine was started, at {to}")
            }
            (None, false) => format!("nobody listened before {to}"),
            (None, true) => format!("nobody listened before the machine was started, at {to}"),
        }
    }
}

fn presence(sight: &Sight, witness: Witness) -> Option<&Presence> {
    sight.witnesses.iter().find(|presence| presence.witness == witness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(absent: &[Witness]) -> Sight {
        let presence = |witness: Witness| Presence {
            witness,
            absent: absent.contains(&witness).then(|| "needs something".to_owned()),
        };
        Sight { witnesses: Witness::ALL.map(presence).to_vec() }
    }

    fn at(seconds: i64) -> WallTime {
        WallTime::from_millis(seconds * 1_000)
    }

    fn then(all: &[(WallTime, Sight)], seconds: i64) -> &Sight {
        &all.iter().rfind(|(moment, _)| *moment <= at(seconds)).unwrap().1
    }

    #[test]
    fn in_a_pause_only_what_keeps_its_own_record_was_heard() {
        let sights = [(at(10), sight(&[])), (at(62), sight(&[Witness::Audit]))];
        let pauses = [
            Pause { from: None, to: at(9), is_traced: false, is_lost: false },
            Pause { from: Some(at(40)), to: at(60), is_traced: true, is_lost: false },
        ];
        let all = with_pauses(&sights, &pauses);
        for (seconds, witness, is_heard) in [
            (5, Witness::Kmsg, true),
            (5, Witness::Cgroups, false),
            (5, Witness::Signals, false),
            (9, Witness::Cgroups, true),
            (39, Witness::Cgroups, true),
            (45, Witness::Cgroups, false),
            (45, Witness::Processes, false),
            (45, Witness::Systemd, false),
            (45, Witness::Kmsg, true),
            (45, Witness::Docker, true),
            (45, Witness::Signals, true),
            (45, Witness::Audit, false),
            (61, Witness::Cgroups, true),
        ] {
            assert_eq!(then(&all, seconds).hears(witness), Some(is_heard), "{seconds} {witness}");
        }
        let why = presence(then(&all, 45), Witness::Cgroups).unwrap().absent.clone().unwrap();
        assert!(why.contains("nobody listened from 1970-01-01T00:00:40"), "{why}");
        assert!(why.ends_with("to 1970-01-01T00:01:00.000Z"), "{why}");
    }

    #[test]
    fn what_is_kept_in_memory_does_not_outlive_the_machine() {
        let sights = [(at(10), sight(&[])), (at(62), sight(&[]))];
        // Somebody listened until 40; the machine was started at 50, and the next listens from 60 on.
        let pauses: Vec<Pause> = Pause::over_boot(Some(at(40)), Some(at(50)), at(60)).collect();
        let all = with_pauses(&sights, &pauses);
        for (seconds, witness, is_heard) in [
            (39, Witness::Kmsg, true),
            (45, Witness::Kmsg, false),
            (45, Witness::Docker, false),
            (45, Witness::Signals, false),
            (45, Witness::Journal, true),
            (50, Witness::Kmsg, true),
            (55, Witness::Docker, true),
            (55, Witness::Signals, false),
            (55, Witness::Cgroups, false),
            (60, Witness::Signals, true),
        ] {
            assert_eq!(then(&all, seconds).hears(witness), Some(is_heard), "{seconds} {witness}");
        }
        let why = presence(then(&all, 45), Witness::Kmsg).unwrap().absent.clone().unwrap();
        assert!(
            why.ends_with("until the machine was started, at 1970-01-01T00:00:50.000Z"),
            "{why}"
        );
        // Where nobody knows when it was started, nothing is sure to be left.
        for booted in [None, Some(at(30)), Some(at(70))] {
            let pauses: Vec<Pause> = Pause::over_boot(Some(at(40)), booted, at(60)).collect();
            let all = with_pauses(&sights, &pauses);
            assert_eq!((pauses.len(), then(&all, 59).hears(Witness::Kmsg)), (1, Some(false)));
        }
    }

    #[test]
    fn after_a_pause_nothing_is_known_until_somebody_says_whom_he_hears() {
        let pause = Pause { from: None, to: at(9), is_traced: false, is_lost: false };
        let all = with_pauses(&[], &[pause]);
        assert_eq!(then(&all, 8).hears(Witness::Cgroups), Some(false));
        assert_eq!(then(&all, 9).hears(Witness::Cgroups), None);
    }

    #[test]
    fn without_a_pause_nothing_changes() {
        let sights = [(at(10), sight(&[]))];
        assert_eq!(with_pauses(&sights, &[]), sights);
    }
}
