//! A steady tick allocates nothing, and a close-up sees what a whole tick would.

use std::process::{Child, Command};
use std::time::Duration;

use highwater_core::frame::{Frame, Scope};
use highwater_core::id::Pid;
use highwater_core::time::{BootTime, Stamp};
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_linux::sampler::{Sampler, SamplerConfig};

fn stamp(tick: u64) -> Stamp {
    Stamp { boot: BootTime::from_micros(tick * 5_000_000), ..Stamp::default() }
}

fn live() -> Sampler {
    let root = Root::live();
    Sampler::new(&root, HostFacts::read(&root), SamplerConfig::default()).unwrap()
}

fn pids(frame: &Frame) -> Vec<Pid> {
    frame.processes.iter().map(|process| process.key.pid).collect()
}

/// Ends the child whatever becomes of the test.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::new(self.0.id())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The slow readings come round every sixth tick, so seven steady ticks in a row cover all there
/// is: if any of that allocated, no such row would be found. A tick in which some other program came,
/// went or became another is not steady and proves nothing; it may have come and gone unseen.
#[test]
fn a_steady_tick_allocates_nothing() {
    const STEADY: usize = 7;
    let (mut sampler, mut frame) = (live(), Frame::default());
    let (mut steady, mut before) = (0, Vec::new());
    // Other tests start programs meanwhile: what is asked for is a quiet moment, however late.
    for tick in 0..5_000 {
        let measured = allocation_counter::measure(|| {
            sampler.sample(stamp(tick), &mut frame).unwrap();
        });
        let now = pids(&frame);
        assert!(!now.is_empty() && frame.machine.is_some());
        if now == before && measured.count_total == 0 {
            steady += 1;
        } else {
            steady = 0;
            std::thread::sleep(Duration::from_millis(2));
        }
        if steady == STEADY {
            return;
        }
        before = now;
    }
    panic!("no {STEADY} ticks in a row were steady and allocated nothing");
}

#[test]
fn arrivals_and_departures_are_seen_at_the_next_tick() {
    let (mut sampler, mut frame) = (live(), Frame::default());
    sampler.sample(stamp(0), &mut frame).unwrap();
    let sleeper = Sleeper::start();
    let pid = sleeper.pid();
    assert!(!pids(&frame).contains(&pid));
    sampler.sample(stamp(1), &mut frame).unwrap();
    let sample = frame.processes.iter().find(|process| process.key.pid == pid).unwrap();
    assert!(sample.resident.get() > 0 && sample.resident >= sample.resident_shared);
    assert!(sample.slow.uid.is_some() && sample.slow.open_fds.is_some_and(|fds| fds >= 3));
    drop(sleeper);
    sampler.sample(stamp(2), &mut frame).unwrap();
    assert!(!pids(&frame).contains(&pid));
}

#[test]
fn a_close_up_of_the_machine_holds_its_largest_processes() {
    let (mut sampler, mut frame) = (live(), Frame::default());
    sampler.sample(stamp(0), &mut frame).unwrap();
    let largest = frame.processes.iter().max_by_key(|process| process.resident).unwrap().key;
    sampler.close_up(stamp(1), true, &mut frame).unwrap();
    assert_eq!(frame.scope, Scope::CloseUp);
    assert!(frame.machine.is_some());
    assert!(frame.processes.iter().any(|process| process.key == largest));
    assert!(frame.processes.len() <= 20, "{} processes in a close-up", frame.processes.len());
    sampler.close_up(stamp(2), false, &mut frame).unwrap();
    assert!(frame.machine.is_none());
}
