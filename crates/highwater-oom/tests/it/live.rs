//! The reader as the recorder uses it: record by record, a death known at once.

use highwater_core::line::LineSource as _;
use highwater_log::{Stream, kmsg};
use highwater_oom::{Assembler, Pushed};

use crate::fixture;

/// Pushes a file of `/dev/kmsg` records one by one.
fn records(log: &[u8], mut each: impl FnMut(&Assembler, &Pushed, &str)) -> Assembler {
    let mut assembler = Assembler::new();
    let mut scratch = Vec::new();
    for record in log.split(|b| *b == b'\n') {
        let Some(record) = kmsg::record(record, &mut scratch) else { continue };
        let line = record.as_line();
        let pushed = assembler.push(&line);
        each(&assembler, &pushed, &String::from_utf8_lossy(line.text));
    }
    assembler
}

#[test]
fn each_death_is_known_when_its_line_comes() {
    let mut pids = Vec::new();
    let mut finished = 0;
    let mut assembler = records(&fixture("v1-burst-of-30"), |assembler, pushed, text| {
        assert_eq!(pushed.new_kill, text.contains("Killed process"), "{text}");
        finished += usize::from(pushed.finished.is_some());
        if pushed.new_kill {
            let kill = assembler.kills().last().unwrap();
            assert!(text.contains(&format!("Killed process {} ", kill.pid.unwrap())));
            assert!(kill.boot.is_some() && kill.anon_rss.is_some());
            pids.push(kill.pid);
        }
    });
    assert_eq!((pids.len(), finished), (30, 29));
    assert_eq!(assembler.finish().unwrap().kills.len(), 1);
    assert!(assembler.is_idle() && assembler.finish().is_none());
}

#[test]
fn the_episode_in_progress_holds_the_whole_report() {
    let log = fixture("v2-unit-memorymax");
    let mut assembler = Assembler::new();
    let mut lines = Stream::new(&log[..]);
    while let Some(line) = lines.next_line() {
        if assembler.push(&line).new_kill {
            let report = assembler.current().unwrap();
            assert_eq!(
                report.memcg.limit_owner.as_ref().unwrap().value,
                "/system.slice/leak.service"
            );
            assert_eq!(report.kills[0].task_row, Some(81));
        }
    }
    assert_eq!(assembler.kills().len(), 1);
}

#[test]
fn a_log_that_is_read_again_adds_nothing() {
    let log = fixture("v1-one-kill");
    let mut assembler = Assembler::new();
    let mut kills = 0;
    for _ in 0..2 {
        let mut lines = Stream::new(&log[..]);
        while let Some(line) = lines.next_line() {
            kills += usize::from(assembler.push(&line).new_kill);
        }
    }
    assert_eq!(kills, 1);
}
