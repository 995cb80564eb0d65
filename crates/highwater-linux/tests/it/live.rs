//! The machine that runs the test: nothing special is asked of it, and a refusal has to be one of
//! the named ones.

use std::time::Duration;

use highwater_core::frame::MemInfo;
use highwater_linux::kmsg::{Kmsg, KmsgError, Next};
use highwater_linux::parse::{meminfo, number, stat, statm};
use highwater_linux::psi::{Threshold, Trigger, TriggerError};
use highwater_linux::root::{Root, read_record};

#[test]
fn this_process_finds_itself() {
    let root = Root::live();
    let mut buf = Vec::new();
    root.read("proc/self/stat", &mut buf).unwrap();
    let stat = stat::parse(&buf).unwrap();
    assert_eq!(stat.pid.get(), std::process::id());
    root.read("proc/self/statm", &mut buf).unwrap();
    assert!(statm::parse(&buf).unwrap().resident.get() > 0);
    let mut mem = MemInfo::default();
    root.read("proc/meminfo", &mut buf).unwrap();
    meminfo::parse(&buf, &mut mem);
    assert!(mem.mem_total > mem.mem_free);
}

#[test]
fn a_file_that_is_kept_open_is_read_anew() {
    let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let fd = Root::live().open(format!("proc/{}/oom_score_adj", child.id())).unwrap();
    let mut buf = Vec::new();
    let mut read = || number::i64(read_record(&fd, &mut buf).unwrap());
    let adjust = |score: &str| std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), score);
    adjust("900").unwrap();
    assert_eq!(read(), Some(900));
    adjust("950").unwrap();
    assert_eq!(read(), Some(950));
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = read_record(&fd, &mut buf).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()));
}

#[test]
fn one_record_is_the_whole_file_whatever_room_there_is() {
    for file in ["limits", "cgroup", "oom_score_adj"] {
        let fd = Root::live().open(format!("proc/self/{file}")).unwrap();
        let whole = std::fs::read(format!("/proc/self/{file}")).unwrap();
        for room in [0, 1, 7, whole.len() - 1, whole.len(), whole.len() + 1, 65536] {
            let mut buf = Vec::with_capacity(room);
            assert_eq!(read_record(&fd, &mut buf).unwrap(), whole, "{file} in {room} bytes");
        }
    }
}

#[test]
fn kernel_messages_come_one_record_at_a_time_or_the_refusal_says_why() {
    let mut kmsg = match Kmsg::open(&Root::live()) {
        Ok(kmsg) => kmsg,
        Err(KmsgError::Forbidden { .. } | KmsgError::Missing { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    for _ in 0..10 {
        match kmsg.next() {
            Ok(Next::Record(record)) => {
                let head = record.split(|byte| *byte == b';').next().unwrap();
                assert!(
                    head.split(|byte| *byte == b',').count() >= 4,
                    "priority, number, time, flags"
                );
                assert_eq!(record.last(), Some(&b'\n'));
            }
            Ok(Next::Empty | Next::Overrun) | Err(KmsgError::Forbidden { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_pressure_trigger_is_set_or_the_refusal_says_why() {
    let root = Root::live();
    let there = root.path("proc/pressure/memory").exists();
    match Trigger::register(&root, "proc/pressure/memory", Threshold::EARLY) {
        Ok(_) => assert!(there),
        Err(TriggerError::Unsupported { .. }) => {
            assert!(!there || std::fs::read("/proc/pressure/memory").is_err());
        }
        Err(TriggerError::Forbidden { .. } | TriggerError::Refused { .. }) => {
            assert!(!rustix::process::geteuid().is_root());
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_window_that_the_kernel_does_not_have_is_refused() {
    let window = Threshold { stall: Duration::from_millis(1), window: Duration::from_mins(1) };
    match Trigger::register(&Root::live(), "proc/pressure/memory", window) {
        Err(TriggerError::Refused { command, .. }) => assert_eq!(command, "some 1000 60000000\0"),
        Err(TriggerError::Unsupported { .. } | TriggerError::Forbidden { .. }) => {}
        other => panic!("{other:?}"),
    }
}
