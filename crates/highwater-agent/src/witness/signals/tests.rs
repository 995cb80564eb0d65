//! What is made of what is heard, over a `/proc` made by hand.

use std::path::Path;

use highwater_core::event::{Event, Happening};
use highwater_core::testimony::Signal;
use highwater_core::time::WallTime;

use super::*;
use crate::feed::{Inbox, feed};
use crate::recorder::Entry;

const BOOT: &str = "0af46ef7-3b9c-4f0c-8f0e-6f6f0e1f5b11";

fn at(ms: u64) -> BootTime {
    BootTime::from_micros(ms * 1_000)
}

fn now(ms: u64) -> Stamp {
    let after_ms = i64::try_from(ms).unwrap();
    Stamp { wall: WallTime::from_millis(1_700_000_000_000 + after_ms), boot: at(ms) }
}

fn put(dir: &Path, pid: u32, parent: u32, comm: &str) {
    let own = dir.join(format!("proc/{pid}"));
    std::fs::create_dir_all(&own).unwrap();
    let line = format!(
        "{pid} ({comm}) S {parent} 1 1 0 -1 4194560 1 0 12 0 15 10 7 8 20 0 1 0 100 738 18 1 1 0\n"
    );
    std::fs::write(own.join("stat"), line).unwrap();
    std::fs::write(own.join("cmdline"), format!("{comm}\0")).unwrap();
    std::fs::write(own.join("cgroup"), "0::/system.slice/web.service\n").unwrap();
}

struct Desk {
    notes: Notes,
    inbox: Inbox,
    _dir: tempfile::TempDir,
}

impl Desk {
    /// A supervisor, 10, its children 20 and 30, and 40 that has nothing to do with them.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (pid, parent, comm) in
            [(1, 0, "init"), (10, 1, "super"), (20, 10, "app"), (30, 10, "app"), (40, 1, "sh")]
        {
            put(dir.path(), pid, parent, comm);
        }
        let board = Arc::new(Board::default());
        let (feed, inbox) = feed(64, &board);
        let outlet = Outlet::new(BOOT.parse().unwrap(), feed, board, Arc::default());
        let mut notes = Notes::new(&Root::at(dir.path()), outlet);
        notes.hears_ends = true;
        Self { notes, inbox, _dir: dir }
    }

    fn signal(&mut self, ms: u64, signal: Signal, by: u32, target: u32, origin: Origin) {
        let signalled = Signalled {
            at: at(ms),
            sender: Pid::new(by),
            sender_comm: None,
            in_interrupt: false,
            target: Pid::new(target),
            target_comm: b"app",
            signal,
            origin,
            to_process: true,
            reception: Reception::Delivered,
        };
        self.notes.traced(&Traced::Signal(signalled), b"words", now(ms));
        self.notes.hit(now(ms));
    }

    fn exit(&mut self, ms: u64, pid: u32, status: Status) {
        self.notes.happened(ProcEvent::Exit { at: at(ms), pid: Pid::new(pid), status }, now(ms));
        self.notes.hit(now(ms));
    }

    /// What is on its way to the recorder.
    fn events(&mut self) -> Vec<Event> {
        self.notes.outlet.flush(None);
        let mut all = Vec::new();
        while let Ok(entry) = self.inbox.waiting() {
            if let Entry::Events(events, _) = entry {
                all.extend(events);
            }
        }
        all
    }

    /// The same, in short: whom, by whom or how.
    fn told(&mut self) -> Vec<String> {
        let words = |event: Event| match event.what {
            Happening::Testimony(testimony) => {
                let pid = testimony.about.pid.map(Pid::get).unwrap_or_default();
                Some(match testimony.fact {
                    Fact::Signalled(sent) => {
                        format!("{pid}: {} by {}", sent.signal, sent.by.pid.unwrap_or_default())
                    }
                    Fact::Exited(exit) => format!("{pid}: {:?}", exit.status),
                    other => format!("{other:?}"),
                })
            }
            Happening::Recorder { note, .. } => Some(note),
            _ => None,
        };
        self.events().into_iter().filter_map(words).collect()
    }
}

const fn by(signal: Signal) -> Status {
    Status::Signal { signal, core: false }
}

#[test]
fn who_sent_a_signal_of_every_day_is_told_of_those_who_died_of_it() {
    let mut desk = Desk::new();
    for ms in 0..1_000 {
        desk.signal(ms, Signal(10), 40, 20, Origin::User);
    }
    assert!(desk.told().is_empty(), "it catches it");
    desk.signal(2_000, Signal(10), 40, 30, Origin::User);
    desk.exit(2_001, 30, by(Signal(10)));
    let told = desk.told();
    assert!(told.contains(&"30: SIGUSR1 by 40".to_owned()) && told.len() == 2, "{told:?}");
    desk.exit(3_000, 20, Status::Code(3));
    assert_eq!(desk.told(), ["20: Code(3)"]);
}

#[test]
fn without_the_ends_of_processes_nothing_is_made_of_signals_of_every_day() {
    let mut desk = Desk::new();
    desk.notes.hears_ends = false;
    desk.signal(1, Signal::ALRM, 20, 20, Origin::Kernel);
    desk.exit(2, 20, by(Signal::ALRM));
    assert_eq!(desk.told().len(), 1);
}

#[test]
fn the_end_of_a_first_process_is_told_however_long_its_children_take() {
    let mut desk = Desk::new();
    desk.signal(1_000, Signal::KILL, 10, 20, Origin::Kernel);
    desk.exit(1_001, 20, by(Signal::KILL));
    // After the last of its namespace, and well.
    desk.exit(31_000, 10, Status::Code(0));
    let told = desk.told();
    assert!(told.contains(&"10: Code(0)".to_owned()), "{told:?}");
    let mut desk = Desk::new();
    desk.signal(1_000, Signal::KILL, 10, 20, Origin::User);
    desk.exit(31_000, 10, Status::Code(0));
    assert_eq!(desk.told(), ["20: SIGKILL by 10"], "that end has nothing to do with it");
}

#[test]
fn those_whose_end_is_awaited_are_few() {
    let mut desk = Desk::new();
    for parent in 0..2_000 {
        desk.notes.await_end(at(5), Pid::new(parent), AWAITED, now(5));
        desk.notes.await_end(at(6), Pid::new(7), AWAITED, now(6));
    }
    assert_eq!(desk.notes.awaited.len(), MOST_AWAITED);
    desk.notes.await_end(at(5_000), Pid::new(7), AWAITED, now(5_000));
    assert_eq!(desk.notes.awaited.len(), 1);
}

#[test]
fn that_words_were_lost_is_on_record_once_a_minute_for_each_witness() {
    let mut desk = Desk::new();
    let lost = Traced::Lost { count: Some(5) };
    for ms in [0, 1_000, 59_000] {
        desk.notes.traced(&lost, b"", now(ms));
        desk.notes.happened(ProcEvent::Lost, now(ms));
    }
    let events = desk.events().into_iter();
    let keys: Vec<String> =
        events.map(|event| event.key).filter(|key| key.starts_with("lost:")).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys.first(), keys.last(), "one would be taken for the other");
    desk.notes.traced(&lost, b"", now(61_000));
    assert_eq!(desk.told().len(), 1);
}

#[test]
fn how_long_it_slept_is_the_least_that_was_measured() {
    let mut asleep = Asleep::default();
    let second = 1_000;
    let mut learn = |awake, boot| asleep.learn(at(awake), at(boot)).as_millis();
    assert_eq!(learn(second, second + 40), 40, "the two were read apart");
    assert_eq!(learn(2 * second, 2 * second + 1), 1);
    assert_eq!(learn(3 * second, 3 * second + 30), 1, "apart again");
    assert_eq!(learn(4 * second, 9 * second), 5_000, "now it has slept");
    assert_eq!(learn(5 * second, 10 * second + 60), 5_000);
}

#[test]
fn cgroups_that_are_not_watched_are_told() {
    assert_eq!(partly(840, 0), None);
    let words = partly(512, 328).unwrap();
    assert!(words.starts_with("watches 512 of 840 cgroups"), "{words}");
}

/// Whether signals were heard, by each sight on record and from when on.
fn sights(events: Vec<Event>) -> Vec<(u64, Option<bool>)> {
    let sight = |event: Event| match event.what {
        Happening::Sight(sight) => {
            let since_ms = event.wall.millis() - 1_700_000_000_000;
            Some((u64::try_from(since_ms).unwrap(), sight.hears(Witness::Signals)))
        }
        _ => None,
    };
    events.into_iter().filter_map(sight).collect()
}

#[test]
fn from_the_last_good_reading_until_a_minute_after_a_loss_signals_count_as_not_heard() {
    let mut desk = Desk::new();
    let gallery = |desk: &Desk| desk.notes.outlet.board().gallery().sight().hears(Witness::Signals);
    desk.notes.outlet.board().gallery().set(Witness::Signals, None);
    desk.notes.flood.drain(now(9_000));
    for ms in [10_000, 10_001, 20_000] {
        desk.notes.traced(&Traced::Lost { count: Some(5) }, b"", now(ms));
    }
    assert_eq!(sights(desk.events()), [(9_000, Some(false))], "once, from before the loss on");
    assert_eq!(gallery(&desk), Some(false));
    desk.notes.relieve(now(79_999));
    assert_eq!(gallery(&desk), Some(false));
    desk.notes.relieve(now(80_000));
    assert_eq!(gallery(&desk), Some(true), "which the recorder puts on record");
    assert_eq!(sights(desk.events()), []);
}

#[test]
fn a_loss_of_a_witness_that_is_not_there_changes_no_sight() {
    let mut desk = Desk::new();
    desk.notes.traced(&Traced::Lost { count: None }, b"", now(0));
    assert_eq!(sights(desk.events()), [], "it was not there");
}

#[test]
fn a_flood_by_many_senders_is_told_of_who_died_with_whom_it_was_of() {
    let mut desk = Desk::new();
    for n in 0..5_000 {
        desk.signal(1_000 + n / 50, Signal(10), if n % 2 == 0 { 40 } else { 10 }, 20, Origin::User);
    }
    assert!(desk.told().is_empty());
    desk.exit(1_100, 20, by(Signal(10)));
    let told = desk.told();
    assert!(told.contains(&"20: SIGUSR1 by 10".to_owned()) && told.len() == 2, "{told:?}");
}

#[test]
fn a_long_wait_is_for_who_kills_a_namespace_only() {
    for (signal, to_process, is_told) in
        [(Signal::KILL, true, true), (Signal::KILL, false, false), (Signal::INT, true, false)]
    {
        let mut desk = Desk::new();
        let signalled = Signalled {
            at: at(1_000),
            sender: Pid::new(10),
            sender_comm: None,
            in_interrupt: false,
            target: Pid::new(20),
            target_comm: b"app",
            signal,
            origin: Origin::Kernel,
            to_process,
            reception: Reception::Delivered,
        };
        desk.notes.traced(&Traced::Signal(signalled), b"words", now(1_000));
        desk.exit(31_000, 10, Status::Code(0));
        let told = desk.told();
        assert_eq!(told.contains(&"10: Code(0)".to_owned()), is_told, "{signal} {told:?}");
    }
}

#[test]
fn where_too_many_are_awaited_who_is_soon_given_up_goes_first() {
    let mut desk = Desk::new();
    desk.notes.await_end(at(5), Pid::new(9_000), AWAITED_LAST, now(5));
    for parent in 0..2_000 {
        desk.notes.await_end(at(6), Pid::new(parent), AWAITED, now(6));
    }
    desk.notes.await_end(at(7), Pid::new(9_001), AWAITED, now(7));
    assert_eq!(desk.notes.awaited.len(), MOST_AWAITED);
    for pid in [9_000, 9_001] {
        assert!(desk.notes.awaited.contains_key(&Pid::new(pid)), "{pid}");
    }
}
