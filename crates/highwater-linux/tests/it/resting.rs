//! What rests is not read again, and what does not rest is.

use highwater_core::frame::{CgroupMemory, Frame, ProcSample};
use highwater_core::id::Pid;
use highwater_core::units::Bytes;
use highwater_linux::sampler::{Sampler, SamplerConfig};

use crate::sampler::{Made, cgroup, stamp};

/// On its slow turn everything is read; no tick from 1 to this one is the slow turn of a cgroup
/// that was found second, or of process 11.
const BEFORE_SLOW: u64 = 4;

/// A process in a cgroup of its own, as `/proc` tells of it.
#[derive(Clone, Copy)]
struct Told {
    ran_ns: u64,
    state: char,
    threads: u32,
    user_ticks: u64,
    resident: u64,
    parent: u32,
    usage: u64,
}

const ASLEEP: Told =
    Told { ran_ns: 100, state: 'S', threads: 1, user_ticks: 7, resident: 9, parent: 1, usage: 40 };

fn tell(made: &Made, told: Told) {
    let Told { ran_ns, state, threads, user_ticks, resident, parent, usage } = told;
    let stat = format!(
        "11 (p) {state} {parent} 1 1 0 -1 0 0 0 0 0 {user_ticks} 0 0 0 20 0 {threads} 0 5 4096 9 0 0 0 0\n"
    );
    made.write("proc/11/stat", &stat);
    made.write("proc/11/statm", &format!("10 {resident} 1 0 0 0 0\n"));
    made.write("proc/11/schedstat", &format!("{ran_ns} 0 3\n"));
    made.write("proc/11/cgroup", "0::/a\n");
    made.write("cg/a/memory.current", &format!("{usage}\n"));
}

fn find(frame: &Frame) -> &ProcSample {
    frame.processes.iter().find(|process| process.key.pid == Pid::new(11)).unwrap()
}

/// What a sampler that knows a process as `first` says when it is told `then` at the next tick:
/// processor time in ticks, pages, parent.
fn after(first: Told, then: Told) -> (u64, u64, u32) {
    let mut made = Made::v2();
    let mut sampler = made.sampler();
    // The process is asked whether it has run from its second reading on.
    for tick in 0..2 {
        tell(&made, first);
        made.sample(&mut sampler, tick);
    }
    // What was read before its cgroup was known may have changed before that was read.
    made.sample(&mut sampler, 2);
    tell(&made, then);
    let process = find(made.sample(&mut sampler, 3));
    (process.cpu_us / 10_000, process.resident.get() / 4096, process.parent.get())
}

#[test]
fn one_that_has_not_run_is_not_read_again() {
    let then = Told { user_ticks: 8, resident: 10, parent: 2, ..ASLEEP };
    assert_eq!(after(ASLEEP, then), (7, 9, 1));
}

#[test]
fn one_that_has_run_is_read() {
    let then = Told { ran_ns: 101, user_ticks: 8, resident: 10, parent: 2, ..ASLEEP };
    assert_eq!(after(ASLEEP, then), (8, 10, 2));
}

#[test]
fn one_that_was_running_may_have_gone_on() {
    let first = Told { state: 'R', ..ASLEEP };
    assert_eq!(after(first, Told { user_ticks: 8, resident: 10, ..first }), (8, 10, 1));
}

#[test]
fn of_many_threads_the_first_does_not_speak_for_all() {
    let first = Told { threads: 2, ..ASLEEP };
    assert_eq!(after(first, Told { user_ticks: 8, resident: 10, ..first }), (8, 10, 1));
}

#[test]
fn memory_is_read_where_the_usage_of_its_cgroup_moved() {
    assert_eq!(after(ASLEEP, Told { resident: 10, usage: 41, ..ASLEEP }), (7, 10, 1));
}

#[test]
fn where_the_kernel_does_not_say_who_ran_everybody_is_read() {
    for nothing in [None, Some("0 0 0\n"), Some("garbage")] {
        let mut made = Made::v2();
        let mut sampler = made.sampler();
        for tick in 0..BEFORE_SLOW {
            tell(&made, Told { user_ticks: tick, resident: tick, ..ASLEEP });
            match nothing {
                Some(text) => made.write("proc/11/schedstat", text),
                None => made.remove("proc/11/schedstat"),
            }
            let process = find(made.sample(&mut sampler, tick));
            assert_eq!((process.cpu_us, process.resident.get()), (tick * 10_000, tick * 4096));
        }
    }
}

#[test]
fn a_sleeper_is_read_on_its_slow_turn_and_its_parent_when_that_died() {
    let mut made = Made::v2();
    made.process(9, 1, 0, "0::/\n");
    made.write("proc/9/schedstat", "1 0 1\n");
    let slow = u64::from(SamplerConfig::default().slow_every_ticks);
    let mut sampler = made.sampler();
    let first = Told { parent: 9, ..ASLEEP };
    let turn = slow + 1; // of process 11
    for tick in 0..=turn {
        tell(&made, first);
        made.sample(&mut sampler, tick);
    }
    tell(&made, Told { resident: 10, ..first });
    let seen: Vec<_> = (turn + 1..=turn + slow)
        .map(|tick| find(made.sample(&mut sampler, tick)).resident.get() / 4096)
        .collect();
    assert_eq!((seen.first(), seen.last()), (Some(&9), Some(&10)), "{seen:?}");
    tell(&made, Told { parent: 1, ..first });
    assert_eq!(find(made.sample(&mut sampler, turn + slow + 1)).parent, Pid::new(9));
    made.remove("proc/9");
    assert_eq!(find(made.sample(&mut sampler, turn + slow + 2)).parent, Pid::new(1));
}

#[test]
fn sleepers_keep_one_file_open_and_restless_ones_three() {
    let mut made = Made::v2();
    made.write("cg/a/memory.max", "max\n");
    let mut sampler = made.sampler();
    let mut kept = |ran_ns: &dyn Fn(u64) -> u64, from: u64| {
        for tick in from..from + 9 {
            tell(&made, Told { ran_ns: ran_ns(tick), ..ASLEEP });
            // Not the slow turns, at which a sleeper's files are opened again.
            made.sample(&mut sampler, 0);
        }
        sampler.tally().kept_files
    };
    let (running, asleep) = (kept(&|tick| tick + 1, 0), kept(&|_| 1, 100));
    assert!(asleep <= running - 2, "{asleep} of {running} are still open");
    assert!(asleep >= 2, "its schedstat and the usage of its cgroup");
}

/// The memory of the cgroup `/a` at the second of two ticks, with what is told of it then.
fn second(first: &[(&str, &str)], then: &[(&str, &str)]) -> CgroupMemory {
    let mut made = Made::v2();
    made.write("cg/0/memory.current", "1\n");
    let tell = |made: &Made, told: &[(&str, &str)]| {
        for (file, text) in told {
            made.write(&format!("cg/a/memory.{file}"), text);
        }
    };
    let mut sampler = made.sampler();
    tell(&made, first);
    made.sample(&mut sampler, 0);
    made.sample(&mut sampler, 1);
    tell(&made, then);
    cgroup(made.sample(&mut sampler, 2), "/a").unwrap().memory
}

const CALM: &[(&str, &str)] =
    &[("current", "500\n"), ("max", "1000\n"), ("stat", "anon 300\n"), ("peak", "600\n")];

#[test]
fn a_cgroup_whose_usage_stands_still_is_not_read_again() {
    assert_eq!(second(CALM, &[("stat", "anon 301\n")]).anon, Some(Bytes::new(300)));
}

#[test]
fn a_cgroup_whose_usage_or_swap_moved_is_read() {
    for (file, text) in [("current", "501\n"), ("current", "499\n"), ("swap.current", "1\n")] {
        let memory = second(CALM, &[(file, text), ("stat", "anon 301\n")]);
        assert_eq!(memory.anon, Some(Bytes::new(301)), "{file} {text}");
    }
}

#[test]
fn a_cgroup_near_its_limit_is_read_though_its_usage_stands_still() {
    let near = [("current", "950\n"), ("max", "1000\n"), ("stat", "anon 300\n")];
    assert_eq!(second(&near, &[("stat", "anon 301\n")]).anon, Some(Bytes::new(301)));
}

#[test]
fn pressure_is_read_until_it_has_died_down() {
    let told = |avg10: &str| format!("some avg10={avg10} avg60=0.00 avg300=0.50 total=9\n");
    let (high, low, none) = (told("8.00"), told("2.00"), told("0.00"));
    let first = [CALM, &[("pressure", high.as_str())]].concat();
    let some = |memory: CgroupMemory| memory.pressure.unwrap().some.unwrap().avg10;
    assert!((some(second(&first, &[("pressure", &low)])) - 2.0).abs() < 0.001);
    let first = [CALM, &[("pressure", none.as_str())]].concat();
    assert!(some(second(&first, &[("pressure", &low)])).abs() < 0.001, "it rests");
}

#[test]
fn everything_of_a_resting_cgroup_is_read_on_its_turns() {
    let mut made = Made::v2();
    for (file, text) in CALM {
        made.write(&format!("cg/a/memory.{file}"), text);
    }
    let slow = u64::from(SamplerConfig::default().slow_every_ticks);
    let mut sampler = made.sampler();
    made.sample(&mut sampler, 0);
    made.write("cg/a/memory.stat", "anon 301\n");
    made.write("cg/a/memory.max", "900\n");
    made.write("cg/a/memory.high", "800\n");
    let mut seen = |sampler: &mut Sampler, until: u64, wanted: &dyn Fn(&CgroupMemory) -> bool| {
        (1..=until).find(|tick| {
            sampler.sample(stamp(*tick), &mut made.frame).unwrap();
            wanted(&cgroup(&made.frame, "/a").unwrap().memory)
        })
    };
    let stat = seen(&mut sampler, slow, &|memory| memory.anon == Some(Bytes::new(301)));
    assert!(stat.is_some(), "within a round of slow turns");
    let high = seen(&mut sampler, 11 * slow, &|memory| memory.high.is_some());
    assert!(high.is_some(), "within a round of rare turns");
}
