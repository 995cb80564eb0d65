//! The table of people, over a `/proc` made by hand.

use std::path::Path;

use highwater_core::id::{Pid, StartTicks};
use highwater_core::owner::Owner;
use highwater_core::testimony::{Origin, Party, Reception, Signal, Status};
use highwater_core::time::BootTime;
use highwater_linux::root::Root;
use highwater_linux::witness::{People, ProcEvent, Signalled, Traced};

const UNIT: &str = "0::/system.slice/web.service\n";

fn put(dir: &Path, pid: u32, parent: u32, comm: &str, command: &str, cgroup: &str) {
    let own = dir.join(format!("proc/{pid}"));
    std::fs::create_dir_all(&own).unwrap();
    let start = u64::from(pid) * 100;
    let line = format!(
        "{pid} ({comm}) S {parent} 1 1 0 -1 4194560 1 0 12 0 15 10 7 8 20 0 1 0 {start} 738 18 1 1 0\n"
    );
    std::fs::write(own.join("stat"), line).unwrap();
    std::fs::write(own.join("cmdline"), command).unwrap();
    std::fs::write(own.join("cgroup"), cgroup).unwrap();
    std::fs::write(own.join("loginuid"), "1000").unwrap();
}

fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, 0, "systemd", "/sbin/init\0", "0::/init.scope\n");
    put(dir.path(), 100, 1, "sh", "sh\0-c\0kill -9 7\0", UNIT);
    dir
}

fn people(dir: &tempfile::TempDir) -> People {
    People::new(&Root::at(dir.path()), Box::new(Owner::of_path))
}

const fn at(seconds: u64) -> BootTime {
    BootTime::from_micros(seconds * 1_000_000)
}

const fn pid(number: u32) -> Pid {
    Pid::new(number)
}

const fn fork(seconds: u64, parent: u32, child: u32) -> ProcEvent {
    ProcEvent::Fork { at: at(seconds), parent: pid(parent), child: pid(child) }
}

const fn exec(seconds: u64, process: u32) -> ProcEvent {
    ProcEvent::Exec { at: at(seconds), pid: pid(process) }
}

const fn exit(seconds: u64, process: u32) -> ProcEvent {
    ProcEvent::Exit { at: at(seconds), pid: pid(process), status: Status::Code(0) }
}

fn signal(sender: u32, comm: Option<&[u8]>, target: u32) -> Signalled<'_> {
    Signalled {
        at: at(50),
        sender: pid(sender),
        sender_comm: comm,
        in_interrupt: false,
        target: pid(target),
        target_comm: b"victim",
        signal: Signal::KILL,
        origin: Origin::User,
        to_process: true,
        reception: Reception::Delivered,
    }
}

#[test]
fn everybody_is_known_from_the_start() {
    let dir = machine();
    let mut people = people(&dir);
    assert_eq!((people.len(), people.is_empty()), (2, false));
    let sh = people.party(pid(100));
    assert_eq!(sh.command.as_deref(), Some("sh -c kill -9 7"));
    assert_eq!(sh.owner, Some(Owner::Unit("web.service".to_owned())));
    assert_eq!((sh.login_uid, sh.start.map(StartTicks::get)), (Some(1000), Some(10_000)));
    let parents = sh.parents.iter().map(|parent| (parent.pid.get(), &*parent.comm));
    assert_eq!(parents.collect::<Vec<_>>(), [(1, "systemd")]);
    assert_eq!(people.is_first(pid(100)), Some(true));
    assert_eq!(people.party(pid(4711)).to_string(), "pid 4711, gone");
    assert_eq!(people.party(pid(0)), Party::default());
}

#[test]
fn a_child_is_its_parent_until_it_becomes_another_program() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(20, 100, 200));
    let child = people.party(pid(200));
    assert_eq!(child.command.as_deref(), Some("sh -c kill -9 7"));
    assert_eq!(child.start.map(StartTicks::get), Some(2_000), "by the clock of the fork");
    assert_eq!(people.is_first(pid(200)), Some(false));
    put(dir.path(), 200, 100, "kill", "kill\0-9\x007\0", UNIT);
    assert_eq!(people.learn(&exec(21, 200)), Some(pid(200)), "it can end others");
    let kill = people.party(pid(200));
    assert_eq!((kill.comm.as_deref(), kill.command.as_deref()), (Some("kill"), Some("kill -9 7")));
}

#[test]
fn a_program_that_is_gone_before_it_is_read_keeps_what_is_known() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(20, 100, 200));
    people.learn(&exec(20, 200));
    people.learn(&exit(21, 200));
    let gone = people.party(pid(200));
    assert_eq!((gone.comm.as_deref(), gone.command.as_deref()), (None, None));
    assert_eq!(gone.parents[0].pid, pid(100));
    assert_eq!(gone.owner, Some(Owner::Unit("web.service".to_owned())));
    let program = Traced::Exec { at: at(20), pid: pid(200), filename: b"/usr/bin/pkill" };
    people.hear(&program);
    let (about, sent) = people.sent(&signal(200, Some(b"pkill"), 7));
    assert_eq!(sent.by.to_string(), "pkill (pid 200)");
    assert_eq!(sent.by.command.as_deref(), Some("/usr/bin/pkill"));
    assert_eq!(about.to_string(), "victim (pid 7)", "named by the tracepoint alone");
    assert_eq!(people.exit(pid(200), Status::Code(0)).lived_ms, Some(1_000));
}

#[test]
fn a_copy_that_goes_by_another_name_is_not_its_parent_any_more() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(20, 100, 200));
    people.learn(&fork(20, 100, 201));
    let (_, sent) = people.sent(&signal(200, Some(b"kill"), 7));
    assert_eq!((sent.by.comm.as_deref(), sent.by.command), (Some("kill"), None));
    let (_, sent) = people.sent(&signal(201, Some(b"sh"), 7));
    assert_eq!(sent.by.command.as_deref(), Some("sh -c kill -9 7"), "the shell itself");
}

#[test]
fn who_made_a_signal_in_an_interrupt_is_not_known() {
    let dir = machine();
    let mut people = people(&dir);
    let (_, sent) = people.sent(&Signalled { in_interrupt: true, ..signal(100, Some(b"sh"), 7) });
    assert_eq!(*sent.by, Party::default());
}

#[test]
fn a_thread_is_its_process() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&ProcEvent::Thread { at: at(20), process: pid(100), thread: pid(101) });
    people.learn(&ProcEvent::ThreadExit { at: at(21), thread: pid(101) });
    assert_eq!(people.party(pid(101)).pid, Some(pid(100)));
    assert_eq!(people.cgroup(pid(101)).unwrap().as_str(), "/system.slice/web.service");
    people.learn(&fork(22, 1, 101));
    assert_eq!(people.party(pid(101)).pid, Some(pid(101)), "the number has become a process's");
    std::fs::create_dir_all(dir.path().join("proc/102")).unwrap();
    std::fs::write(dir.path().join("proc/102/status"), "Name:\tsh\nTgid:\t100\nPid:\t102\n")
        .unwrap();
    assert_eq!(people.party(pid(102)).pid, Some(pid(100)), "one from before");
}

#[test]
fn the_dead_are_remembered_for_a_minute_and_not_more_than_so_many() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(100, 100, 200));
    people.learn(&exit(100, 200));
    people.learn(&fork(150, 100, 201));
    people.learn(&exit(160, 201));
    assert!(people.party(pid(200)).comm.is_some());
    people.learn(&fork(160, 100, 202));
    people.learn(&exit(161, 202));
    assert_eq!(people.party(pid(200)).comm, None);
    assert!(people.party(pid(201)).comm.is_some());
    for number in 1_000..51_000 {
        people.learn(&fork(162, 100, number));
        people.learn(&exit(162, number));
    }
    assert!(people.len() < 20_000, "{}", people.len());
    assert!(people.party(pid(50_999)).comm.is_some());
}

#[test]
fn a_number_that_is_used_again_is_somebody_else() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(100, 100, 200));
    people.learn(&exit(101, 200));
    people.learn(&fork(102, 1, 200));
    assert_eq!(people.party(pid(200)).comm.as_deref(), Some("systemd"));
    people.learn(&exit(200, 100));
    assert_eq!(people.party(pid(200)).comm.as_deref(), Some("systemd"), "not forgotten as the old");
    // One whose end was missed: /proc has another start.
    put(dir.path(), 1, 0, "other", "other\0", UNIT);
    let stat = "1 (other) S 0 1 1 0 -1 4194560 1 0 12 0 15 10 7 8 20 0 1 0 777 738 18 1 1 0\n";
    std::fs::write(dir.path().join("proc/1/stat"), stat).unwrap();
    assert_eq!(people.party(pid(1)).start.map(StartTicks::get), Some(777));
}

#[test]
fn whose_end_was_missed_is_buried() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(100, 100, 200));
    people.learn(&ProcEvent::Lost);
    people.learn(&exit(170, 100));
    assert_eq!(people.party(pid(200)).comm, None, "ended when events were lost, long ago");
    assert!(people.party(pid(1)).comm.is_some());
}

const DOCKER: &str = "0::/docker/x\n";

/// Starts a program as runc and systemd do: forked by `parent`, moved, become another.
fn start(people: &mut People, dir: &tempfile::TempDir, parent: u32, number: u32, cgroup: &str) {
    people.learn(&fork(u64::from(number), parent, number));
    put(dir.path(), number, parent, "app", "app\0", cgroup);
    people.learn(&exec(u64::from(number), number));
}

#[test]
fn the_head_of_a_cgroup_is_who_comes_in_while_there_is_none() {
    let dir = machine();
    let mut people = people(&dir);
    start(&mut people, &dir, 100, 200, DOCKER);
    assert_eq!(people.is_first(pid(200)), Some(true));
    people.learn(&fork(201, 200, 201));
    assert_eq!(people.is_first(pid(201)), Some(false), "a worker");
    start(&mut people, &dir, 100, 202, DOCKER);
    assert_eq!(people.is_first(pid(202)), Some(false), "docker exec, or a health check");
    people.learn(&exit(203, 202));
    assert_eq!(people.exit(pid(202), Status::Code(0)).is_first, Some(false));
    start(&mut people, &dir, 1, 204, UNIT);
    assert_eq!(people.is_first(pid(204)), Some(false), "a control process of a unit seen at start");
    let killed = Status::Signal { signal: Signal::KILL, core: false };
    people.learn(&ProcEvent::Exit { at: at(205), pid: pid(200), status: killed });
    assert_eq!(people.exit(pid(200), killed).is_first, Some(true));
    assert_eq!(people.is_first(pid(201)), None, "it outlives the head, and inherits nothing");
    start(&mut people, &dir, 100, 206, DOCKER);
    assert_eq!(people.is_first(pid(206)), Some(true), "the next life");
}

#[test]
fn the_head_of_those_that_are_there_is_the_oldest() {
    let dir = machine();
    put(dir.path(), 300, 1, "app", "app\0", DOCKER);
    put(dir.path(), 250, 300, "app", "app\0", DOCKER);
    let stat = "250 (app) S 300 1 1 0 -1 4194560 1 0 12 0 15 10 7 8 20 0 1 0 90000 738 18 1 1 0\n";
    std::fs::write(dir.path().join("proc/250/stat"), stat).unwrap();
    let people = people(&dir);
    assert_eq!((people.is_first(pid(300)), people.is_first(pid(250))), (Some(true), Some(false)));
}

#[test]
fn one_that_only_starts_another_hands_on() {
    let dir = machine();
    let mut people = people(&dir);
    start(&mut people, &dir, 100, 200, DOCKER);
    people.learn(&fork(200, 200, 201));
    people.learn(&fork(200, 201, 202));
    people.learn(&fork(201, 202, 203));
    people.learn(&exit(202, 201));
    assert_eq!(people.is_first(pid(202)), Some(false));
    people.learn(&exit(203, 200));
    assert_eq!(people.is_first(pid(202)), Some(true), "the daemon, forked twice");
    assert_eq!(people.exit(pid(200), Status::Code(0)).is_first, Some(false));
    people.learn(&exit(400, 202));
    assert_eq!(people.is_first(pid(202)), Some(true), "it lived: its end is the end");
}

#[test]
fn a_stage_of_a_container_s_start_is_not_its_first_process() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(200, 100, 200));
    // Read late: it was moved meanwhile. The next stages have the same parent (`CLONE_PARENT`).
    put(dir.path(), 200, 100, "runc:[0:PARENT]", "runc\0init\0", DOCKER);
    people.learn(&exec(200, 200));
    assert_eq!(people.is_first(pid(200)), Some(false));
    people.learn(&fork(201, 100, 202));
    put(dir.path(), 202, 100, "runc:[2:INIT]", "runc\0init\0", DOCKER);
    people.party(pid(202));
    people.learn(&exit(203, 200));
    assert_eq!(people.exit(pid(200), Status::Code(0)).is_first, Some(false));
    put(dir.path(), 202, 100, "app", "app\0", DOCKER);
    people.learn(&exec(204, 202));
    assert_eq!(people.is_first(pid(202)), Some(true));
}

#[test]
fn a_shell_that_moves_itself_is_before_what_it_starts() {
    let dir = machine();
    let mut people = people(&dir);
    people.learn(&fork(200, 1, 200));
    put(dir.path(), 200, 1, "sh", "sh\0", DOCKER);
    start(&mut people, &dir, 200, 201, DOCKER);
    assert_eq!((people.is_first(pid(200)), people.is_first(pid(201))), (Some(true), Some(false)));
}

#[test]
fn at_the_top_nobody_is_first() {
    let dir = machine();
    let mut people = people(&dir);
    start(&mut people, &dir, 1, 200, "4:memory:/\n1:name=systemd:/\n0::/\n");
    assert_eq!(people.is_first(pid(200)), None);
}

#[test]
fn units_of_a_user_are_apart_though_memory_does_not_know_them() {
    let dir = machine();
    let mut people = people(&dir);
    for (number, unit) in [(200, "a"), (201, "b")] {
        let memory = "4:memory:/user.slice/user@7.service";
        let cgroup = format!("{memory}\n1:name=systemd:/user.slice/user@7.service/{unit}\n");
        start(&mut people, &dir, 1, number, &cgroup);
        assert_eq!(people.is_first(pid(number)), Some(true));
    }
}

/// The kernel shows whoever ends at the top of each v1 hierarchy.
#[test]
fn who_ends_stays_where_it_was() {
    let dir = machine();
    put(dir.path(), 300, 1, "app", "app\0", "4:memory:/docker/x\n0::/\n");
    let mut people = people(&dir);
    let stat = "300 (app) R 1 1 1 0 -1 4194564 1 0 12 0 15 10 7 8 20 0 1 0 30000 738 18 1 1 0\n";
    std::fs::write(dir.path().join("proc/300/stat"), stat).unwrap();
    std::fs::write(dir.path().join("proc/300/cgroup"), "4:memory:/\n0::/\n").unwrap();
    let (about, _) = people.sent(&signal(100, Some(b"sh"), 300));
    assert_eq!(about.cgroup.unwrap().as_str(), "/docker/x");
    put(dir.path(), 301, 1, "app", "", "4:memory:/\n0::/\n");
    std::fs::write(dir.path().join("proc/301/stat"), stat.replace("300 (", "301 (")).unwrap();
    assert_eq!(people.party(pid(301)).cgroup, None, "it was never seen alive");
    assert_eq!(people.is_first(pid(301)), None);
}

#[test]
fn when_words_were_lost_a_number_may_be_somebody_else_s() {
    let dir = machine();
    let mut people = people(&dir);
    start(&mut people, &dir, 100, 200, DOCKER);
    people.learn(&exit(201, 200));
    put(dir.path(), 200, 1, "other", "other\0", UNIT);
    assert_eq!(people.party(pid(200)).comm.as_deref(), Some("app"), "the dead one");
    people.learn(&ProcEvent::Lost);
    assert_eq!(people.party(pid(200)).comm.as_deref(), Some("other"));
    assert_eq!(people.is_first(pid(200)), Some(false));
}

#[test]
fn what_a_command_line_says_in_confidence_is_not_kept() {
    let dir = machine();
    put(dir.path(), 300, 1, "mysql", "mysql\0-uroot\0-psecret\0--password\0a b\0db\0", UNIT);
    let mut people = people(&dir);
    let command = people.party(pid(300)).command;
    assert_eq!(command.as_deref(), Some("mysql -uroot -p*** --password *** db"));
}

#[test]
fn what_others_chose_is_escaped_and_cut() {
    let dir = machine();
    let evil = format!("x\0{}\0", "\u{202e}\n".repeat(400));
    put(dir.path(), 300, 100, "a) R\n(", &evil, "0::/a\tb\n");
    let mut people = people(&dir);
    let party = people.party(pid(300));
    assert_eq!(party.comm.as_deref(), Some(r"a) R\n("));
    let command = party.command.unwrap();
    assert!(command.chars().count() <= Party::COMMAND_CHARS && command.is_ascii(), "{command}");
    assert!(!party.cgroup.unwrap().as_str().contains('\t'));
}

#[test]
fn an_empty_tree_knows_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut people = people(&dir);
    assert!(people.is_empty());
    people.learn(&fork(1, 1, 2));
    people.learn(&exec(1, 2));
    people.learn(&ProcEvent::Lost);
    assert_eq!(people.party(pid(2)).parents.len(), 0);
    assert_eq!(people.exit(pid(2), Status::Code(0)).is_first, None);
}
