use highwater_core::id::StartTicks;
use highwater_core::time::Stamp;

use super::*;
use crate::census::Census;
use crate::fixture::process;

const BOUNDS: Bounds = Bounds {
    min_rss: Bytes::from_mib(16),
    min_growth: Bytes::from_mib(4),
    min_age: Duration::from_hours(1),
    most_old: 3,
    new_a_minute: 6,
    most: 40,
};

/// A machine whose clock starts at zero, and its policy.
struct Machine {
    policy: Policy,
    second: u64,
}

impl Machine {
    fn new(bounds: Bounds) -> Self {
        Self { policy: Policy::new(bounds, 100), second: 10 }
    }

    /// A machine where what came at the start has long used up what may come at once.
    fn poor(bounds: Bounds) -> Self {
        let mut machine = Self::new(bounds);
        machine.policy.credit = 0.0;
        machine
    }

    /// So much later, the pids that are kept of these.
    fn after(&mut self, seconds: u64, processes: Vec<ProcSample>) -> (Vec<u32>, Choice) {
        self.look(seconds, Scope::Whole, processes)
    }

    fn look(
        &mut self,
        seconds: u64,
        scope: Scope,
        processes: Vec<ProcSample>,
    ) -> (Vec<u32>, Choice) {
        self.second += seconds;
        let boot = BootTime::from_micros(self.second * 1_000_000);
        let stamp = Stamp { boot, ..Stamp::default() };
        let mut frame = Frame { stamp, scope, processes, ..Frame::default() };
        let choice = self.policy.choose(&mut frame);
        (frame.processes.iter().map(|process| process.key.pid.get()).collect(), choice)
    }

    /// A process that starts now.
    fn young(&self, pid: u32, anon_mib: u64) -> ProcSample {
        let mut young = process(pid, anon_mib);
        young.key.start = StartTicks::new(self.second * 100);
        young
    }
}

#[test]
fn the_large_are_kept_and_stay_until_they_were_small_for_long() {
    let mut machine = Machine::new(BOUNDS);
    let (kept, choice) = machine.after(5, vec![process(1, 16), process(2, 15)]);
    assert_eq!((kept, choice.large, choice.left_out), (vec![1], 1, 1));
    assert_eq!(machine.after(5, vec![process(1, 12)]).0, [1], "nearly large is no reason to go");
    for _ in 0..119 {
        assert_eq!(machine.after(5, vec![process(1, 11)]).0, [1]);
    }
    assert_eq!(machine.after(5, vec![process(1, 12)]).0, [1], "large enough again");
    for _ in 0..120 {
        assert_eq!(machine.after(5, vec![process(1, 11)]).0, [1]);
    }
    assert!(machine.after(5, vec![process(1, 11)]).0.is_empty());
}

#[test]
fn memory_in_swap_counts() {
    let mut machine = Machine::new(BOUNDS);
    let mut swapped = process(1, 1);
    swapped.slow.swap = Some(Bytes::from_mib(15));
    assert_eq!(machine.after(5, vec![swapped]).0, [1]);
}

#[test]
fn what_grows_after_its_start_is_kept_while_small() {
    let mut machine = Machine::new(BOUNDS);
    let born = machine.young(7, 0);
    let grown = |mib: u64| ProcSample { resident: Bytes::from_mib(mib), ..born.clone() };
    assert!(machine.after(5, vec![grown(6)]).0.is_empty(), "a start is no growth");
    assert!(machine.after(60, vec![grown(8)]).0.is_empty());
    assert!(machine.after(60, vec![grown(11)]).0.is_empty());
    let (kept, choice) = machine.after(60, vec![grown(12)]);
    assert_eq!((kept.len(), choice.growing), (1, 1));
    assert_eq!(machine.after(60, vec![grown(10)]).0.len(), 1, "it still has half of that");
}

#[test]
fn the_old_are_kept_in_a_bounded_number_the_largest_first() {
    let mut machine = Machine::new(BOUNDS);
    let all = |more: u64| (1..=5).map(|pid| process(pid, u64::from(pid) + more)).collect();
    assert!(machine.after(5, all(0)).0.is_empty());
    let (kept, choice) = machine.after(3_600, all(0));
    assert_eq!(kept, [3, 4, 5]);
    assert_eq!((choice.old, choice.left_out, choice.refused), (3, 2, 0));
    let smaller = vec![process(1, 3), process(2, 3), process(3, 0), process(5, 1)];
    assert_eq!(machine.after(5, smaller.clone()).0, [1, 3, 5], "the place of the dead is taken");
    assert_eq!(machine.after(9_999, smaller).0, [1, 3, 5], "who is kept stays");
}

#[test]
fn the_dead_that_nobody_reaped_are_not_kept() {
    let mut machine = Machine::new(BOUNDS);
    let dead = ProcSample { state: b'Z', ..process(1, 0) };
    assert!(machine.after(7_200, vec![dead]).0.is_empty());
}

#[test]
fn what_comes_and_goes_is_bounded_and_the_largest_of_it_come_first() {
    let mut machine = Machine::poor(BOUNDS);
    let mut pid = 100;
    let mut made = 0;
    for _ in 0..120 {
        pid += 10;
        let crowd = (0..10).map(|n| machine.young(pid + n, 20 + u64::from(n))).collect();
        let (kept, choice) = machine.after(5, crowd);
        assert!(kept.iter().all(|kept| *kept == pid + 9), "{kept:?}");
        assert_eq!(usize::try_from(choice.refused).unwrap(), 10 - kept.len());
        made += kept.len();
    }
    // Ten minutes at six a minute, and the first tick's share.
    assert!((59..=61).contains(&made), "{made}");
}

#[test]
fn what_is_huge_is_kept_whatever_comes_and_goes() {
    let mut machine = Machine::poor(Bounds { most: 0, ..BOUNDS });
    assert_eq!(machine.after(1, vec![process(1, 128), process(2, 127)]).0, [1]);
}

#[test]
fn the_small_leave_half_of_what_may_come_to_the_large() {
    let mut machine = Machine::poor(BOUNDS);
    // Ten minutes at six a minute earn sixty; old ones may use thirty of them.
    let bounds = Bounds { most_old: 1_000, most: 1_000, ..BOUNDS };
    machine.policy.rebound(bounds);
    machine.after(3_600, vec![]);
    let old = (1..=100).map(|pid| process(pid, 1)).collect::<Vec<_>>();
    let (kept, choice) = machine.after(5, old.clone());
    assert_eq!((kept.len(), choice.refused), (30, 70));
    let mut both = old;
    both.extend((200..300).map(|pid| process(pid, 20)));
    let (_, choice) = machine.after(1, both);
    assert_eq!((choice.old, choice.large), (30, 30));
}

#[test]
fn there_are_never_more_than_the_bound_in_all_and_half_of_it_when_memory_is_short() {
    let mut machine = Machine::new(Bounds { new_a_minute: 1_000, ..BOUNDS });
    let crowd = |count: u32| (1..=count).map(|pid| process(pid, 20)).collect::<Vec<_>>();
    assert_eq!(machine.after(5, crowd(100)).0.len(), 40);
    machine.policy.tighten(1);
    assert_eq!(machine.after(5, crowd(100)).0.len(), 40, "who is kept stays");
    assert_eq!(machine.after(5, crowd(0)).0.len(), 0);
    assert_eq!(machine.after(5, crowd(100)).0.len(), 20);
}

#[test]
fn what_is_seen_near_a_limit_stays_for_a_while() {
    let mut machine = Machine::new(BOUNDS);
    let small = vec![process(1, 2), process(2, 0)];
    assert!(machine.after(5, small.clone()).0.is_empty());
    let (kept, choice) = machine.look(1, Scope::CloseUp, small.clone());
    assert_eq!((kept, choice.near), (vec![1], 1));
    assert_eq!(machine.after(590, small.clone()).0, [1]);
    assert_eq!(machine.look(1, Scope::CloseUp, small.clone()).0, [1]);
    assert_eq!(machine.after(599, small.clone()).0, [1]);
    machine.after(600, small.clone());
    assert!(machine.after(601, small).0.is_empty());
}

#[test]
fn nothing_as_the_least_size_keeps_everything() {
    let mut machine = Machine::poor(Bounds { min_rss: Bytes::ZERO, most: 1, ..BOUNDS });
    let (kept, choice) = machine.after(5, (0..100).map(|pid| process(pid, 0)).collect());
    assert_eq!((kept.len(), choice.all(), choice.left_out), (100, 100, 0));
}

#[test]
fn those_that_are_gone_are_forgotten() {
    let mut machine = Machine::new(BOUNDS);
    for pid in 0..1_000 {
        machine.look(1, Scope::CloseUp, vec![process(pid, 5)]);
        machine.after(1, vec![process(pid, 20)]);
    }
    assert_eq!(machine.policy.tracks.len(), 1);
}

/// The recorder's share of a steady tick: sums, children, what the page shows, and the choice.
#[test]
fn a_steady_tick_allocates_nothing() {
    let (mut census, mut policy) = (Census::default(), Policy::new(BOUNDS, 100));
    let board = crate::board::Board::default();
    let mut frame = Frame::default();
    let paths: Vec<_> = (0..50)
        .map(|n| highwater_core::id::CgroupPath::new(format!("/s/{n}.service").as_bytes()))
        .collect();
    for tick in 0..10_u64 {
        frame.stamp.boot = BootTime::from_micros(tick * 5_000_000);
        frame.processes.clear();
        frame.processes.extend((0..500).map(|pid| {
            let cgroup = paths.get(usize::try_from(pid % 50).unwrap()).cloned();
            ProcSample { cgroup, ..process(pid, u64::from(pid % 30)) }
        }));
        let measured = allocation_counter::measure(|| {
            census.take(&mut frame, &highwater_owners::Directory::default());
            board.publish(&frame);
            policy.choose(&mut frame);
            census.take_back(&mut frame);
        });
        assert!(tick == 0 || measured.count_total == 0, "tick {tick}: {measured:?}");
    }
}
