//! What happened to a unit between two states of it. Pure.
//!
//! ```text
//! activating ─► active ─► deactivating ─► inactive | failed | auto-restart
//!    Started              Stopping         MainExited, Result, Stopped
//! ```
//!
//! Two states may lie several changes apart: each word stands on what the later state says by itself
//! (the life, moments, counts), not on a step that somebody must have seen.

use highwater_core::id::Pid;
use highwater_core::testimony::UnitWord;

use super::properties::{Moment, Unit};

/// A process's end that is older than its unit's newest change by this is not what changed: a unit
/// that is started again still shows how it ended the last time.
const RECENT_US: u64 = 5_000_000;

/// The most restarts told of one by one, where several were missed.
const MISSED_RESTARTS: u32 = 16;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// What.
    pub(super) what: UnitWord,
    /// When, as far as systemd says.
    pub(super) at: Moment,
    /// To which process.
    pub(super) pid: Option<Pid>,
    /// In which life.
    pub(super) life: Option<String>,
    /// What tells it apart from all else of that life.
    pub(super) label: String,
}

/// What happened from `before` to `after`; `is_asked`: a job is there to stop it.
pub(super) fn between(before: &Unit, after: &Unit, is_asked: bool) -> Vec<Word> {
    let change = Change { before, after };
    let mut words = change.restarts();
    words.extend(change.started());
    words.extend(change.stopping());
    words.extend(change.exited());
    words.extend(change.overdue());
    words.extend(change.verdict());
    words.extend(change.given_up());
    words.extend(change.stopped(is_asked));
    words
}

/// What a unit that was not known until it changed has just gone through.
pub(super) fn of_stranger(unit: &Unit) -> Vec<Word> {
    if !unit.is_over() {
        return started(unit).into_iter().collect();
    }
    if !has_just_exited(unit) {
        return Vec::new();
    }
    [started(unit), exited(unit, unit.invocation.clone()), verdict(unit)]
        .into_iter()
        .flatten()
        .collect()
}

/// What there is to know of a unit that was there before anybody listened: that it runs, or how it
/// failed.
pub(super) fn of_old(unit: &Unit) -> Vec<Word> {
    // It did what it was there for, and has no process that could end.
    if unit.sub == "exited" {
        return Vec::new();
    }
    if !unit.is_over() {
        return started(unit).into_iter().collect();
    }
    if matches!(unit.result.as_str(), "" | "success") {
        return Vec::new();
    }
    [exited(unit, unit.invocation.clone()), verdict(unit)].into_iter().flatten().collect()
}

struct Change<'a> {
    before: &'a Unit,
    after: &'a Unit,
}

impl Change<'_> {
    fn is_same_life(&self) -> bool {
        self.before.invocation == self.after.invocation
    }

    fn restarts(&self) -> Vec<Word> {
        let (from, to) = (self.before.restarts, self.after.restarts);
        let first = from.max(to.saturating_sub(MISSED_RESTARTS));
        let counts = (first..to).map(|count| count.saturating_add(1));
        let word = |count: u32| {
            let word = UnitWord::RestartScheduled { count: Some(u64::from(count)) };
            // Only the newest one can be what the newest change was.
            let is_newest = count == to && self.after.waits();
            let at = if is_newest { self.after.changed } else { Moment::default() };
            Word { at, label: format!("restart-{count}"), ..plain(word, self.after) }
        };
        counts.map(word).collect()
    }

    fn started(&self) -> Option<Word> {
        let is_old = self.before.is_begun() && self.is_same_life();
        if is_old { None } else { started(self.after) }
    }

    /// That it is being stopped while its main process lives; else its end is the news.
    fn stopping(&self) -> Option<Word> {
        let is_news = self.after.active == "deactivating" && self.before.active != "deactivating";
        let lives = self.after.main.is_some() || self.after.last.pid.is_none();
        // One that is stopped before it was ever active has left nothing.
        let has_left = self.after.left.boot_us > self.after.began.boot_us;
        let at = if has_left { self.after.left } else { self.after.changed };
        (is_news && lives).then(|| Word {
            at,
            pid: self.after.main,
            label: format!("stopping:{}", at.boot_us),
            ..plain(UnitWord::Stopping, self.after)
        })
    }

    fn exited(&self) -> Option<Word> {
        let is_news = self.after.last.exited != self.before.last.exited;
        let of_now = self.after.is_last_of_this_life();
        let life = if of_now { &self.after.invocation } else { &self.before.invocation };
        if is_news { exited(self.after, life.clone()) } else { None }
    }

    /// That it was too late with something: systemd acts on that before there is an end.
    fn overdue(&self) -> Option<Word> {
        if !self.has_failed_anew() {
            return None;
        }
        let word = match self.after.result.as_str() {
            "watchdog" => UnitWord::Watchdog { limit_ms: self.after.limits.watchdog_ms },
            "timeout" => UnitWord::TimedOut { step: step(&self.before.sub)? },
            _ => return None,
        };
        let label = format!("overdue-{}", self.after.result);
        Some(Word {
            at: self.after.changed,
            pid: self.after.main,
            label,
            ..plain(word, self.after)
        })
    }

    fn has_failed_anew(&self) -> bool {
        let is_news = self.before.result != self.after.result || !self.is_same_life();
        has_failed(self.after) && is_news
    }

    fn verdict(&self) -> Option<Word> {
        let has_ended = self.after.is_over() && !self.before.is_over();
        let is_news = self.has_failed_anew() || (has_ended && !has_failed(self.after));
        if is_news { verdict(self.after) } else { None }
    }

    /// A unit that was down and fails without a new life: its starts are used up. Its result stays
    /// that of its last end.
    fn given_up(&self) -> Option<Word> {
        let is_said = self.after.result == "start-limit-hit" && self.has_failed_anew();
        let never_ran = self.is_same_life() && self.before.last == self.after.last;
        let was_down = self.before.is_over() && self.before.active != "failed";
        let is_shown = was_down && self.after.active == "failed" && never_ran;
        (is_said || is_shown).then(|| Word {
            at: self.after.changed,
            label: "start-limit-hit".to_owned(),
            ..plain(UnitWord::StartLimitHit, self.after)
        })
    }

    fn stopped(&self, is_asked: bool) -> Option<Word> {
        let has_stopped = self.after.active == "inactive" && !self.before.is_over();
        (is_asked && has_stopped).then(|| Word {
            at: self.after.ended,
            label: "stopped".to_owned(),
            ..plain(UnitWord::Stopped, self.after)
        })
    }
}

fn has_just_exited(unit: &Unit) -> bool {
    let age = unit.changed.boot_us.saturating_sub(unit.last.exited.boot_us);
    !unit.last.exited.is_never() && age <= RECENT_US
}

fn has_failed(unit: &Unit) -> bool {
    !matches!(unit.result.as_str(), "" | "success")
}

/// A word of this life; when and of whom is for the caller to say.
fn plain(word: UnitWord, unit: &Unit) -> Word {
    let (at, label) = (Moment::default(), String::new());
    Word { what: word, at, pid: None, life: unit.invocation.clone(), label }
}

fn started(unit: &Unit) -> Option<Word> {
    let of_now = unit.is_last_of_this_life();
    let main = unit.main.or(unit.last.pid.filter(|_| of_now));
    let at = [unit.last.started, unit.ran, unit.began];
    let at = at.into_iter().skip(usize::from(!of_now)).find(|at| !at.is_never());
    let word = UnitWord::Started {
        main,
        invocation: unit.invocation.clone(),
        restarts: Some(unit.restarts),
        limits: Box::new(unit.limits.clone()),
    };
    unit.is_begun().then(|| Word {
        at: at.unwrap_or_default(),
        pid: main,
        label: "started".to_owned(),
        ..plain(word, unit)
    })
}

fn exited(unit: &Unit, life: Option<String>) -> Option<Word> {
    let last = &unit.last;
    let (main, status) = (last.pid, last.ended_with());
    let word = UnitWord::MainExited { main, status, invocation: life.clone() };
    let label = format!("main-exited:{}", last.exited.boot_us);
    (!last.exited.is_never()).then(|| Word {
        at: last.exited,
        pid: main,
        life,
        label,
        ..plain(word, unit)
    })
}

fn verdict(unit: &Unit) -> Option<Word> {
    // Not a way to end, but not to begin; told by itself.
    if matches!(unit.result.as_str(), "" | "start-limit-hit") || unit.invocation.is_none() {
        return None;
    }
    // Of a life that ended before it had a main process, the last one is another's.
    let of_now = unit.is_last_of_this_life() && has_just_exited(unit);
    let at = match (of_now, unit.is_over()) {
        (true, _) => unit.last.exited,
        (false, true) if !unit.ended.is_never() => unit.ended,
        _ => unit.changed,
    };
    let pid = if of_now { unit.last.pid } else { unit.main };
    let result = unit.result.clone();
    let label = format!("result-{result}");
    let word = UnitWord::Result { result, invocation: unit.invocation.clone() };
    Some(Word { at, pid, label, ..plain(word, unit) })
}

/// What took too long, by the state that it was in: as the journal names it.
fn step(sub: &str) -> Option<String> {
    match sub {
        "" => None,
        "running" | "exited" => Some("runtime".to_owned()),
        step => Some(step.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::testimony::{Signal, Status};

    use super::super::properties::Properties;
    use super::*;
    use zbus::zvariant::Value;

    /// A unit of which `said` is said, beside what `before` has.
    fn with(before: &Unit, said: &[(&'static str, Value<'static>)]) -> Unit {
        let mut unit = before.clone();
        unit.learn(&said.iter().cloned().collect::<Properties<'_>>());
        unit
    }

    fn running() -> Unit {
        let said = [
            ("ActiveState", Value::from("active")),
            ("SubState", Value::from("running")),
            ("Result", Value::from("success")),
            ("InvocationID", Value::from(vec![1_u8; 16])),
            ("MainPID", Value::from(7_u32)),
            ("ExecMainPID", Value::from(7_u32)),
            ("ExecMainStartTimestampMonotonic", Value::from(10_000_000_u64)),
            // The process starts before the unit leaves its old state.
            ("InactiveExitTimestampMonotonic", Value::from(10_020_000_u64)),
            ("ActiveEnterTimestampMonotonic", Value::from(10_020_000_u64)),
            ("StateChangeTimestampMonotonic", Value::from(10_020_000_u64)),
            ("WatchdogUSec", Value::from(2_000_000_u64)),
        ];
        with(&Unit::default(), &said)
    }

    fn exit(code: i32, status: i32) -> [(&'static str, Value<'static>); 4] {
        [
            ("MainPID", Value::from(0_u32)),
            ("ExecMainCode", Value::from(code)),
            ("ExecMainStatus", Value::from(status)),
            ("ExecMainExitTimestampMonotonic", Value::from(20_000_000_u64)),
        ]
    }

    fn state(active: &'static str, sub: &'static str) -> [(&'static str, Value<'static>); 3] {
        [
            ("ActiveState", Value::from(active)),
            ("SubState", Value::from(sub)),
            ("StateChangeTimestampMonotonic", Value::from(20_001_000_u64)),
        ]
    }

    fn result(result: &'static str) -> [(&'static str, Value<'static>); 1] {
        [("Result", Value::from(result))]
    }

    fn labels(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.label.as_str()).collect()
    }

    #[test]
    fn a_start_is_told_once_however_its_states_come() {
        let done = running();
        // As systemd 252 says it: the process is there before the state is.
        let early = with(&done, &state("inactive", "dead"));
        let early = Unit { began: Moment::default(), ran: Moment::default(), ..early };
        assert_eq!(labels(&of_stranger(&early)), ["started"]);
        assert!(between(&early, &done, false).is_empty());
        let down = with(&early, &[("MainPID", Value::from(0_u32))]);
        let down = Unit { last: Unit::default().last, invocation: None, ..down };
        assert_eq!(labels(&between(&down, &early, false)), ["started"]);
        assert_eq!(labels(&between(&down, &done, false)), ["started"]);
    }

    #[test]
    fn the_watchdog_speaks_before_the_end() {
        let before = running();
        let barked = with(&before, &state("deactivating", "stop-watchdog"));
        let barked = with(&barked, &result("watchdog"));
        let words = between(&before, &barked, false);
        assert_eq!(labels(&words), ["stopping:20001000", "overdue-watchdog", "result-watchdog"]);
        assert_eq!(words[1].what, UnitWord::Watchdog { limit_ms: Some(2_000) });
        let dead = with(&with(&barked, &exit(3, 6)), &state("failed", "failed"));
        let words = between(&barked, &dead, false);
        assert_eq!(labels(&words), ["main-exited:20000000"]);
        match &words[0].what {
            UnitWord::MainExited { status, .. } => {
                let aborted = Status::Signal { signal: Signal::ABRT, core: true };
                assert_eq!(*status, Some(aborted));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_step_that_took_too_long_is_named() {
        let steps = [("stop-sigterm", "stop-sigterm"), ("running", "runtime"), ("start", "start")];
        for (sub, step) in steps {
            let before = with(&running(), &state("deactivating", sub));
            let late =
                with(&with(&before, &state("deactivating", "stop-sigkill")), &result("timeout"));
            let words = between(&before, &late, true);
            assert_eq!(words[0].what, UnitWord::TimedOut { step: step.to_owned() });
        }
    }

    #[test]
    fn starts_that_are_used_up() {
        // Its result stays that of its last end: what shows it is that it fails without a life.
        let waits = with(&with(&running(), &exit(1, 1)), &state("activating", "auto-restart"));
        let waits = with(&waits, &result("exit-code"));
        let between_jobs = with(&waits, &state("inactive", "dead"));
        let failed = with(&waits, &state("failed", "failed"));
        for before in [&waits, &between_jobs] {
            assert_eq!(labels(&between(before, &failed, false)), ["start-limit-hit"]);
        }
        let stopped = with(&waits, &state("inactive", "dead"));
        assert!(between(&waits, &stopped, true).is_empty());
        let said = with(&running(), &exit(1, 1));
        let said = with(&with(&said, &state("failed", "failed")), &result("start-limit-hit"));
        assert!(labels(&between(&running(), &said, false)).contains(&"start-limit-hit"));
    }

    #[test]
    fn restarts_whose_states_were_missed_are_counted() {
        let again = [
            ("InvocationID", Value::from(vec![2_u8; 16])),
            ("NRestarts", Value::from(3_u32)),
            ("MainPID", Value::from(9_u32)),
            ("ExecMainPID", Value::from(9_u32)),
            ("ExecMainStartTimestampMonotonic", Value::from(30_000_000_u64)),
        ];
        let words = between(&running(), &with(&running(), &again), false);
        assert_eq!(labels(&words), ["restart-1", "restart-2", "restart-3", "started"]);
        let flood = with(&running(), &[("NRestarts", Value::from(u32::MAX))]);
        let words = between(&running(), &flood, false);
        assert_eq!(words.len(), usize::try_from(MISSED_RESTARTS).unwrap());
    }

    #[test]
    fn an_end_of_long_ago_is_no_news() {
        let dead = with(&with(&running(), &exit(1, 0)), &state("inactive", "dead"));
        assert_eq!(
            labels(&of_stranger(&dead)),
            ["started", "main-exited:20000000", "result-success"]
        );
        let later = [("StateChangeTimestampMonotonic", Value::from(90_000_000_u64))];
        assert!(of_stranger(&with(&dead, &later)).is_empty());
        // What failed is told when the listening begins, however long ago it was.
        let failed = with(&with(&dead, &result("signal")), &later);
        assert_eq!(labels(&of_old(&failed)), ["main-exited:20000000", "result-signal"]);
        assert!(of_old(&dead).is_empty());
        assert!(of_old(&with(&running(), &state("active", "exited"))).is_empty());
    }

    #[test]
    fn a_life_without_a_process_does_not_end_with_the_one_before() {
        let old = with(&with(&running(), &exit(1, 0)), &state("inactive", "dead"));
        let prepares = [
            ("ActiveState", Value::from("activating")),
            ("SubState", Value::from("start-pre")),
            ("InvocationID", Value::from(vec![2_u8; 16])),
            ("InactiveEnterTimestampMonotonic", Value::from(20_002_000_u64)),
            ("InactiveExitTimestampMonotonic", Value::from(90_000_000_u64)),
        ];
        let prepares = with(&old, &prepares);
        assert!(between(&old, &prepares, false).is_empty());
        let failed = [
            ("ActiveState", Value::from("failed")),
            ("Result", Value::from("exit-code")),
            ("StateChangeTimestampMonotonic", Value::from(91_000_000_u64)),
            ("InactiveEnterTimestampMonotonic", Value::from(91_000_000_u64)),
        ];
        let words = between(&prepares, &with(&prepares, &failed), false);
        let verdict = words.iter().find(|word| word.label == "result-exit-code").unwrap();
        assert_eq!((verdict.at.boot_us, verdict.pid), (91_000_000, None));
        assert!(!labels(&words).contains(&"main-exited:20000000"));
    }

    #[test]
    fn words_of_other_types_and_nonsense_are_not_known() {
        let odd = [
            ("ActiveState", Value::from(7_u32)),
            ("Result", Value::from("\u{1b}[31mred")),
            ("InvocationID", Value::from(vec![1_u8; 3])),
            ("MainPID", Value::from("seven")),
            ("MemoryMax", Value::from(u64::MAX)),
            ("MemoryLimit", Value::from(64_u64 << 20)),
            ("RestartUSec", Value::from(u64::MAX)),
            ("ControlGroup", Value::from("no path")),
        ];
        let unit = with(&Unit::default(), &odd);
        assert!(!unit.is_known());
        assert_eq!(unit.result, r"\x1b[31mred");
        assert_eq!((unit.invocation.as_ref(), unit.main, unit.cgroup.as_ref()), (None, None, None));
        assert_eq!(unit.limits.memory, Some(highwater_core::units::Bytes::from_mib(64)));
        assert_eq!(unit.limits.restart_after_ms, None);
        assert!(between(&Unit::default(), &unit, false).iter().all(|word| word.life.is_none()));
    }
}
