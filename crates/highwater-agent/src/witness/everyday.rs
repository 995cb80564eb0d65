//! Signals that programs send each other every day, and catch: only who dies of one is told of.
//!
//! ```text
//! signal ── kept: the last of its kind for each process ─┐
//! exit by that signal ───────────────────────────────────┴─► told, with its sender
//! any other exit, or too many others ─► forgotten
//! ```
//!
//! A signal is traced before the end that it brings, but may be read after it; so ends wait for a
//! moment. One that comes again from the same sender costs nothing but its words, and of many senders
//! only so many a second are looked at before somebody dies.
//!
//! Pure: moments are handed in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use highwater_core::id::Pid;
use highwater_core::testimony::{Origin, Party, Reception, Sent, Signal, Status};
use highwater_core::time::BootTime;
use highwater_linux::witness::Signalled;

use super::flood::later;

/// So many are kept, a kilobyte each at most. The oldest goes first.
const MOST: usize = 512;

/// So many ends wait for their signal.
const MOST_ENDED: usize = 256;

/// So long an end waits for its signal.
const WAITS: Duration = Duration::from_secs(1);

/// A sender's number may be somebody else's after so long.
const SAME_SENDER: Duration = Duration::from_mins(1);

/// So long before an end is the signal that brought it, a core of some gigabytes included. One that
/// came longer before was caught, and another, which nobody was told of, was fatal: unless it is
/// known to have waited.
const NEAR: Duration = Duration::from_secs(5);

/// So many senders and targets are looked at in a second, which is several files of `/proc` each. Who
/// those beyond were is asked when somebody died: the dead are remembered for a minute.
const LOOKS: u32 = 200;

/// One clock tick, in which starts are told (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// By so many a start may be told too late: of who was heard of only, by two clocks read apart.
const LATE_TICKS: u64 = 20;

/// A signal that was sent, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) at: BootTime,
    /// As it was traced.
    pub(super) words: Vec<u8>,
    /// Whom it was for and who sent it, unless they are to be looked at yet.
    pub(super) parties: Option<(Party, Sent)>,
    /// When the sender became this one.
    seen: BootTime,
    /// The last of this kind found it waiting: its target is stopped, or has it blocked.
    waits: bool,
    trace: Trace,
}

/// What was traced of it.
#[derive(Clone, Debug)]
struct Trace {
    sender: Pid,
    sender_comm: Option<Vec<u8>>,
    target: Pid,
    target_comm: Vec<u8>,
    signal: Signal,
    origin: Origin,
    to_process: bool,
    reception: Reception,
}

impl Arrow {
    pub(super) fn new(
        signal: &Signalled<'_>,
        parties: Option<(Party, Sent)>,
        words: &[u8],
    ) -> Self {
        let trace = Trace {
            sender: sender(signal),
            sender_comm: signal.sender_comm.map(<[u8]>::to_vec),
            target: signal.target,
            target_comm: signal.target_comm.to_vec(),
            signal: signal.signal,
            origin: signal.origin,
            to_process: signal.to_process,
            reception: signal.reception,
        };
        let (at, waits) = (signal.at, signal.reception == Reception::Pending);
        Self { at, words: words.to_vec(), parties, seen: at, waits, trace }
    }

    /// As it was traced.
    pub(super) fn signalled(&self) -> Signalled<'_> {
        let trace = &self.trace;
        Signalled {
            at: self.at,
            sender: trace.sender,
            sender_comm: trace.sender_comm.as_deref(),
            in_interrupt: false,
            target: trace.target,
            target_comm: &trace.target_comm,
            signal: trace.signal,
            origin: trace.origin,
            to_process: trace.to_process,
            reception: trace.reception,
        }
    }

    fn is_from(&self, signal: &Signalled<'_>) -> bool {
        let trace = &self.trace;
        trace.sender == sender(signal)
            && trace.origin == signal.origin
            && trace.to_process == signal.to_process
            && signal.at.since(self.seen) <= SAME_SENDER
    }

    fn is_of(&self, end: BootTime) -> bool {
        self.waits || end.since(self.at) <= NEAR
    }
}

/// In an interrupt, as those of timers, whoever ran there sent nothing.
fn sender(signal: &Signalled<'_>) -> Pid {
    if signal.in_interrupt { Pid::new(0) } else { signal.sender }
}

#[derive(Debug, Default)]
pub(super) struct Everyday {
    flying: BTreeMap<(Pid, u8), Arrow>,
    ended: VecDeque<(BootTime, Pid, u8)>,
    looks: Looks,
}

/// How many were looked at in the second that began then.
#[derive(Debug, Default)]
struct Looks {
    since: BootTime,
    count: u32,
}

impl Everyday {
    /// Whether nothing is to be kept of it: the same was sent by the same a moment ago, and this takes the
    /// place of that one; or that one waits still, and this one is thrown away.
    pub(super) fn repeats(&mut self, target: Pid, signal: &Signalled<'_>, words: &[u8]) -> bool {
        let Some(known) = self.flying.get_mut(&(target, signal.signal.0)) else { return false };
        known.waits = signal.reception == Reception::Pending;
        if known.waits {
            return true;
        }
        let is_same = known.is_from(signal);
        if is_same {
            known.at = signal.at;
            known.words.clear();
            known.words.extend_from_slice(words);
        }
        is_same
    }

    /// Whether there is time for a look at who sends and gets this one.
    pub(super) fn may_look(&mut self, at: BootTime) -> bool {
        let looks = &mut self.looks;
        if at >= later(looks.since, Duration::from_secs(1)) {
            *looks = Looks { since: at, count: 0 };
        }
        let may = looks.count < LOOKS;
        looks.count += u32::from(may);
        may
    }

    pub(super) fn keep(&mut self, target: Pid, arrow: Arrow) {
        self.flying.insert((target, arrow.trace.signal.0), arrow);
        if self.flying.len() > MOST {
            let oldest = self.flying.iter().min_by_key(|(_, arrow)| arrow.at).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.flying.remove(&oldest));
        }
    }

    /// A process has ended: by a signal of these, or by something else.
    pub(super) fn end(&mut self, at: BootTime, pid: Pid, status: Status) {
        match status {
            Status::Signal { signal, .. } if signal.is_everyday() => {
                self.ended.push_back((at, pid, signal.0));
                if self.ended.len() > MOST_ENDED {
                    self.ended.pop_front();
                }
            }
            _ if self.flying.is_empty() => {}
            _ => self.forget(pid),
        }
    }

    /// Ends were missed: whose number it is nobody knows.
    pub(super) fn lose(&mut self) {
        self.flying.clear();
    }

    /// The signals that somebody has died of by `now`.
    pub(super) fn hits(&mut self, now: BootTime) -> Vec<Arrow> {
        if self.ended.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        let (flying, ended) = (&mut self.flying, std::mem::take(&mut self.ended));
        for (at, pid, signal) in ended {
            match flying.remove(&(pid, signal)).filter(|arrow| arrow.is_of(at)) {
                Some(arrow) => hits.push(arrow),
                None if now.since(at) <= WAITS => self.ended.push_back((at, pid, signal)),
                None => {}
            }
        }
        hits
    }

    fn forget(&mut self, pid: Pid) {
        let of_it = self.flying.range((pid, 0)..=(pid, u8::MAX)).map(|(key, _)| *key);
        for key in of_it.collect::<Vec<_>>() {
            self.flying.remove(&key);
        }
    }
}

/// Whether the one that was sent a signal is the one that ended: the number may have been another's.
/// When somebody began is known to a tick of the clock.
pub(super) fn is_same(sent_to: &Party, ended: &Party) -> bool {
    let begins = sent_to.start.zip(ended.start);
    begins.is_none_or(|(one, other)| one.get().abs_diff(other.get()) <= 1)
}

/// Whether it began after a signal was sent, and is somebody else of that number.
pub(super) fn is_younger(who: &Party, sent: BootTime) -> bool {
    who.start.is_some_and(|start| start.get() > sent.micros() / TICK_US + LATE_TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USR1: Signal = Signal(10);

    fn at(ms: u64) -> BootTime {
        BootTime::from_micros(ms * 1_000)
    }

    fn signal(ms: u64, sender: u32, target: u32, signal: Signal) -> Signalled<'static> {
        Signalled {
            at: at(ms),
            sender: Pid::new(sender),
            sender_comm: None,
            in_interrupt: false,
            target: Pid::new(target),
            target_comm: b"app",
            signal,
            origin: Origin::User,
            to_process: true,
            reception: Reception::Delivered,
        }
    }

    /// Whether it costs a look.
    fn send(everyday: &mut Everyday, sent: &Signalled<'_>) -> bool {
        if everyday.repeats(sent.target, sent, b"again") {
            return false;
        }
        let may_look = everyday.may_look(sent.at);
        let fact = Sent {
            signal: sent.signal,
            origin: sent.origin,
            to_process: true,
            reception: sent.reception,
            by: Box::new(Party::of_pid(sent.sender)),
        };
        let parties = may_look.then(|| (Party::of_pid(sent.target), fact));
        everyday.keep(sent.target, Arrow::new(sent, parties, b"first"));
        may_look
    }

    /// Whom it hit and who sent it.
    fn pids(hits: &[Arrow]) -> Vec<(u32, u32)> {
        let pids = |hit: &Arrow| (hit.signalled().target.get(), hit.signalled().sender.get());
        hits.iter().map(pids).collect()
    }

    fn killed(signal: Signal) -> Status {
        Status::Signal { signal, core: false }
    }

    #[test]
    fn only_who_dies_of_it_is_told_of() {
        let mut everyday = Everyday::default();
        send(&mut everyday, &signal(1, 5, 100, USR1));
        send(&mut everyday, &signal(1, 6, 200, USR1));
        send(&mut everyday, &signal(1, 7, 100, Signal::ALRM));
        assert!(everyday.hits(at(2)).is_empty(), "they were caught");
        everyday.end(at(3), Pid::new(100), killed(USR1));
        everyday.end(at(3), Pid::new(200), Status::Code(0));
        let hits = everyday.hits(at(3));
        assert_eq!(pids(&hits), [(100, 5)]);
        everyday.end(at(4), Pid::new(100), Status::Code(0));
        assert!(everyday.flying.is_empty() && everyday.ended.is_empty());
    }

    #[test]
    fn an_end_that_is_read_first_waits_for_its_signal() {
        let mut everyday = Everyday::default();
        everyday.end(at(3), Pid::new(100), killed(Signal::PIPE));
        assert!(everyday.hits(at(4)).is_empty());
        send(&mut everyday, &signal(2, 100, 100, Signal::PIPE));
        assert_eq!(everyday.hits(at(5)).len(), 1);
        everyday.end(at(9), Pid::new(101), killed(Signal::PIPE));
        assert!(everyday.hits(at(5_000)).is_empty() && everyday.ended.is_empty());
    }

    #[test]
    fn a_flood_that_is_caught_costs_one_look_and_bounded_room() {
        let mut everyday = Everyday::default();
        let looks = (0..50_000).filter(|n| send(&mut everyday, &signal(*n, 5, 100, USR1))).count();
        assert_eq!(looks, 1);
        let last = everyday.flying.values().next().unwrap();
        assert_eq!((last.at, last.words.as_slice()), (at(49_999), &b"again"[..]));
        assert!(send(&mut everyday, &signal(50_000, 6, 100, USR1)), "another sender");
        assert!(send(&mut everyday, &signal(200_000, 6, 100, USR1)), "another of that number");
        for target in 1_000..9_000 {
            send(&mut everyday, &signal(300_000, 5, target, USR1));
            everyday.end(at(300_000), Pid::new(target + 10_000), killed(USR1));
        }
        assert_eq!((everyday.flying.len(), everyday.ended.len()), (MOST, MOST_ENDED));
        everyday.lose();
        assert!(everyday.flying.is_empty());
    }

    #[test]
    fn senders_that_take_turns_cost_so_many_looks_a_second() {
        let mut everyday = Everyday::default();
        let turn = |n: u64| if n.is_multiple_of(2) { 5 } else { 6 };
        // Ten a millisecond, for ten seconds.
        let looks = (0..100_000)
            .filter(|n| send(&mut everyday, &signal(n / 10, turn(*n), 100, USR1)))
            .count();
        assert_eq!(looks, 10 * 200);
        everyday.end(at(10_000), Pid::new(100), killed(USR1));
        let hits = everyday.hits(at(10_000));
        assert_eq!(pids(&hits), [(100, 6)], "the last one is known, and can be looked at");
        assert!(hits.iter().all(|hit| hit.parties.is_none()));
    }

    #[test]
    fn who_ran_when_a_timer_ended_sent_nothing() {
        let mut everyday = Everyday::default();
        let timer = |ms, ran| {
            let (origin, in_interrupt) = (Origin::Kernel, true);
            Signalled { origin, in_interrupt, ..signal(ms, ran, 100, Signal::ALRM) }
        };
        let looks = (1..1_000).filter(|n| send(&mut everyday, &timer(u64::from(*n), *n))).count();
        assert_eq!(looks, 1);
        everyday.end(at(1_000), Pid::new(100), killed(Signal::ALRM));
        assert_eq!(pids(&everyday.hits(at(1_000))), [(100, 0)]);
    }

    #[test]
    fn one_that_waits_already_is_the_one_that_counts() {
        let mut everyday = Everyday::default();
        send(&mut everyday, &signal(1, 5, 100, USR1));
        let late = Signalled { reception: Reception::Pending, ..signal(90, 6, 100, USR1) };
        assert!(!send(&mut everyday, &late));
        // Blocked until then.
        everyday.end(at(60_000), Pid::new(100), killed(USR1));
        assert_eq!(pids(&everyday.hits(at(60_000))), [(100, 5)]);
    }

    #[test]
    fn another_origin_is_another_signal() {
        let mut everyday = Everyday::default();
        send(&mut everyday, &signal(1, 5, 100, USR1));
        let queued = Signalled { origin: Origin::Queue, ..signal(2, 5, 100, USR1) };
        assert!(send(&mut everyday, &queued));
        everyday.end(at(3), Pid::new(100), killed(USR1));
        let origins: Vec<_> =
            everyday.hits(at(3)).iter().map(|hit| hit.signalled().origin).collect();
        assert_eq!(origins, [Origin::Queue]);
    }

    #[test]
    fn one_that_came_long_before_was_not_fatal() {
        let mut everyday = Everyday::default();
        send(&mut everyday, &signal(1, 5, 100, USR1));
        everyday.end(at(5_002), Pid::new(100), killed(USR1));
        assert!(everyday.hits(at(5_003)).is_empty());
        // The fatal one is read after the end.
        send(&mut everyday, &signal(5_001, 6, 100, USR1));
        assert_eq!(pids(&everyday.hits(at(5_004))), [(100, 6)]);
    }

    #[test]
    fn who_began_after_the_signal_did_not_send_it() {
        let of = |ticks| Party {
            start: Some(highwater_core::id::StartTicks::new(ticks)),
            ..Party::default()
        };
        assert!(is_younger(&of(721), at(7_009)));
        assert!(!is_younger(&of(720), at(7_009)) && !is_younger(&Party::default(), at(0)));
    }

    #[test]
    fn a_number_that_is_somebody_else_s_by_now_is_not_meant() {
        let party = |start: Option<u64>| Party {
            start: start.map(highwater_core::id::StartTicks::new),
            ..Party::default()
        };
        assert!(is_same(&party(Some(700)), &party(Some(701))));
        assert!(is_same(&party(None), &party(Some(701))));
        assert!(!is_same(&party(Some(700)), &party(Some(900))));
    }
}
