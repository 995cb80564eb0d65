use std::fs::{self, File, OpenOptions};
use std::io::Write;

use super::*;
use highwater_core::time::WallTime;

const ABEND: &str = r#"type=ANOM_ABEND msg=audit(1364481363.243:24287): auid=1000 uid=1000 gid=1000 ses=1 subj=unconfined pid=3110 comm="a.out" exe="/home/x/a.out" sig=11 res=1"#;
const SYSCALL: &str = r#"type=SYSCALL msg=audit(1364481400.001:24300): arch=c000003e syscall=62 success=yes exit=0 a0=1f40 a1=9 a2=0 a3=0 items=0 ppid=2686 pid=3538 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=1 comm="sh" exe="/usr/bin/dash" key="kill"#;
const TARGET: &str = r#"type=OBJ_PID msg=audit(1364481400.001:24300): opid=8000 oauid=4294967295 ouid=33 oses=1 obj=x ocomm="sleep""#;
const TITLE: &str =
    "type=PROCTITLE msg=audit(1364481400.001:24300): proctitle=6B696C6C002D390038303030";

fn told(lines: &[&str]) -> Vec<Told> {
    let mut told = Vec::new();
    let mut records = Records::of(LOG);
    for line in lines {
        records.push(line.as_bytes(), &mut |one| told.push(one));
    }
    records.finish(&mut |one| told.push(one));
    told
}

fn kill(told: &Told) -> (Signal, Party) {
    match &told.testimony.fact {
        Fact::Audit(AuditWord::Kill { signal, by }) => (*signal, (**by).clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_that_ended_by_a_signal() {
    let told = told(&[ABEND]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key, "audit:1364481363.243:24287");
    assert_eq!(told[0].wall, Some(WallTime::from_millis(1_364_481_363_243)));
    let about = &told[0].testimony.about;
    assert_eq!((about.pid, about.comm.as_deref()), (Some(Pid::new(3110)), Some("a.out")));
    assert_eq!((about.uid, about.login_uid), (Some(1000), Some(1000)));
    assert_eq!(told[0].testimony.fact, Fact::Audit(AuditWord::Abend { signal: Signal::SEGV }));
    assert_eq!(testimony(ABEND.as_bytes(), LOG).as_ref(), Some(&told[0].testimony));
    assert_eq!(testimony(SYSCALL.as_bytes(), LOG), None, "it says nothing alone");
}

#[test]
fn the_kernels_own_lines_say_the_same() {
    let line = ABEND.replace("type=ANOM_ABEND msg=", "audit: type=1701 ");
    assert_eq!(told(&[&line])[0].testimony.fact, told(&[ABEND])[0].testimony.fact);
    let kernel = [SYSCALL, TARGET, TITLE].map(|line| {
        let line = line.replace("type=SYSCALL msg=", "audit: type=1300 ");
        let line = line.replace("type=OBJ_PID msg=", "audit: type=1318 ");
        line.replace("type=PROCTITLE msg=", "audit: type=1327 ")
    });
    let kernel: Vec<&str> = kernel.iter().map(String::as_str).collect();
    assert_eq!(kill(&told(&kernel)[0]), kill(&told(&[SYSCALL, TARGET, TITLE])[0]));
}

#[test]
fn seccomp_tells_whom_it_killed_and_leaves_out_whom_it_did_not() {
    let line = r#"type=SECCOMP msg=audit(1.000:2): auid=4294967295 uid=0 gid=0 ses=1 pid=7 comm="x" exe="/x" sig=31 arch=c000003e syscall=39 compat=0 ip=0x7f10 code=0x80000000"#;
    let told_of = told(&[line]);
    let Fact::Faulted(fault) = &told_of[0].testimony.fact else { panic!() };
    assert_eq!((fault.kind, fault.instruction), (FaultKind::Seccomp, Some(0x7f10)));
    assert_eq!(told_of[0].testimony.about.login_uid, None);
    assert!(told(&[&line.replace("sig=31", "sig=0")]).is_empty());
}

#[test]
fn a_kill_names_who_and_whom() {
    let told = told(&[SYSCALL, TARGET, TITLE]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key, "audit:1364481400.001:24300:8000");
    let about = &told[0].testimony.about;
    assert_eq!((about.pid, about.comm.as_deref()), (Some(Pid::new(8000)), Some("sleep")));
    assert_eq!((about.uid, about.login_uid), (Some(33), None));
    let (signal, by) = kill(&told[0]);
    assert_eq!(
        (signal, by.pid, by.uid, by.login_uid),
        (Signal::KILL, Some(Pid::new(3538)), Some(0), Some(1000))
    );
    assert_eq!((by.comm.as_deref(), by.command.as_deref()), (Some("sh"), Some("kill -9 8000")));
}

#[test]
fn a_command_line_says_nothing_in_confidence() {
    let title = "type=PROCTITLE msg=audit(1364481400.001:24300): proctitle=\"mysql -psecret\"";
    let told = told(&[SYSCALL, TARGET, title]);
    assert_eq!(kill(&told[0]).1.command.as_deref(), Some("mysql -p***"));
}

#[test]
fn every_target_is_told_and_records_of_others_between_do_not_matter() {
    let other = SYSCALL.replace(":24300", ":24301").replace("a1=9", "a1=f");
    let target = TARGET.replace(":24300", ":24301").replace("8000", "9000");
    let second = TARGET.replace("8000", "8001");
    let told = told(&[SYSCALL, &other, TARGET, &target, &second]);
    let kills: Vec<(u32, Signal)> =
        told.iter().map(|one| (one.testimony.about.pid.unwrap().get(), kill(one).0)).collect();
    assert_eq!(kills, [(8000, Signal::KILL), (8001, Signal::KILL), (9000, Signal::TERM)]);
}

#[test]
fn what_ausearch_makes_of_it() {
    let told = told(&[
        "type=SYSCALL msg=audit(03/28/2013 15:16:40.001:24300) : arch=x86_64 syscall=tgkill success=yes exit=0 a0=0x1f40 a1=0x1f40 a2=SIGKILL a3=0x0 items=0 ppid=2686 pid=3538 auid=me uid=root comm=my prog exe=/usr/bin/x key=kill",
        "type=OBJ_PID msg=audit(03/28/2013 15:16:40.001:24300) : opid=8000 oauid=unset ouid=root oses=1 ocomm=two words",
        "type=PROCTITLE msg=audit(03/28/2013 15:16:40.001:24300) : proctitle=my prog -9",
        "type=ANOM_ABEND msg=audit(03/28/2013 15:16:41.001:24301) : auid=me uid=root pid=9 comm=x sig=9 exe=/x sig=SIGABRT res=yes",
    ]);
    let (signal, by) = kill(&told[0]);
    assert_eq!((signal, by.comm.as_deref(), by.uid), (Signal::KILL, Some("my prog"), None));
    assert_eq!(by.command.as_deref(), Some("my prog -9"));
    assert_eq!(told[0].testimony.about.comm.as_deref(), Some("two words"));
    assert_eq!(told[0].wall, None, "its time has no zone");
    assert_eq!(told[1].testimony.fact, Fact::Audit(AuditWord::Abend { signal: Signal::ABRT }));
    assert_eq!(told[1].testimony.about.comm.as_deref(), Some("x sig=9"));
}

#[test]
fn names_that_others_chose() {
    let hex = ABEND.replace(r#"comm="a.out""#, "comm=61201B5B32");
    assert_eq!(told(&[&hex])[0].testimony.about.comm.as_deref(), Some(r"a \x1b[2"));
    let enriched = format!("{ABEND}\u{1d}AUID=\"root\" pid=1 sig=9");
    assert_eq!(told(&[&enriched])[0].testimony.fact, told(&[ABEND])[0].testimony.fact);
    let node = format!("node=web1 {ABEND}");
    assert_eq!(told(&[&node])[0].key, "audit:1364481363.243:24287");
}

#[test]
fn what_kills_nobody_is_left_out() {
    for (from, to) in [
        ("success=yes", "success=no"),
        ("a1=9", "a1=0"),
        ("a1=9", "a1=12"),
        ("a1=9", "a1=ffffffffffff"),
        ("syscall=62", "syscall=1"),
        ("arch=c000003e", "arch=c00000b7"),
    ] {
        assert!(told(&[&SYSCALL.replace(from, to), TARGET, TITLE]).is_empty(), "{to}");
    }
    assert!(told(&[SYSCALL, TITLE]).is_empty(), "nobody is named");
    assert!(told(&[TARGET, TITLE]).is_empty());
}

#[test]
fn garbage_is_nothing_and_memory_is_bounded() {
    let whole = [ABEND, SYSCALL, TARGET, TITLE].join("\n");
    for end in 0..whole.len() {
        let cut: Vec<&str> = whole.get(..end).unwrap().split('\n').collect();
        told(&cut);
    }
    for line in [
        "",
        "type=",
        "type=ANOM_ABEND",
        "type=ANOM_ABEND msg=audit(:)",
        "\u{0}",
        "type=ANOM_ABEND msg=audit(x:y): pid=1 sig=9",
        "type=ANOM_ABEND msg=audit(1.0:1): sig=11",
        "type=ANOM_ABEND msg=audit(1.0:1): pid=1 sig=999",
    ] {
        assert!(told(&[line]).is_empty(), "{line}");
    }
    let mut records = Records::of(LOG);
    for serial in 0..10_000 {
        let line = SYSCALL.replace("24300", &serial.to_string());
        records.push(line.as_bytes(), &mut |_| {});
    }
    assert_eq!(records.waiting.len(), WAITING);
    let target = TARGET.replace("24300", "9999");
    for _ in 0..1_000 {
        records.push(target.as_bytes(), &mut |_| {});
    }
    let mut told = 0;
    records.finish(&mut |_| told += 1);
    assert_eq!(told, TARGETS);
}

/// Reads all there is; gives the keys.
fn read(follower: &mut Follower) -> Vec<String> {
    let mut keys = Vec::new();
    while follower.poll(&mut |told| keys.push(told.key)).unwrap() == Progress::More {}
    keys
}

fn abend(serial: u32) -> String {
    format!(
        "{}\n",
        ABEND.replace("24287", &serial.to_string()).replace("363.243", &format!("{serial}.000"))
    )
}

fn append(path: &std::path::Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_log_is_followed_through_renaming_and_emptying() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&path, &abend(100));
    let mut follower = Follower::open(&path, None).unwrap();
    assert!(read(&mut follower).is_empty(), "that was before");
    let line = abend(101);
    append(&path, line.get(..50).unwrap());
    assert!(read(&mut follower).is_empty(), "half a line says nothing");
    append(&path, line.get(50..).unwrap());
    assert_eq!(read(&mut follower), ["audit:1364481101.000:101"]);
    append(&path, &abend(102));
    fs::rename(&path, dir.path().join("audit.log.1")).unwrap();
    append(&path, &abend(103));
    assert_eq!(read(&mut follower).len(), 2, "the rest of the old one, and the new one");
    File::create(&path).unwrap();
    assert!(read(&mut follower).is_empty());
    append(&path, &abend(104));
    assert_eq!(read(&mut follower), ["audit:1364481104.000:104"]);
    assert_eq!(follower.cursor(), Some(WallTime::from_millis(1_364_481_104_000)));
    fs::remove_file(&path).unwrap();
    assert!(read(&mut follower).is_empty());
    append(&path, &abend(105));
    assert_eq!(read(&mut follower).len(), 1, "there is one again");
}

#[test]
fn the_next_follower_goes_on_where_the_last_one_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&dir.path().join("audit.log.1"), &[100, 101, 102].map(abend).concat());
    append(&path, &[103, 104].map(abend).concat());
    let since = Some(WallTime::from_millis(1_364_481_102_000));
    let mut follower = Follower::open(&path, since).unwrap();
    let keys = read(&mut follower);
    assert_eq!(keys.first().map(String::as_str), Some("audit:1364481102.000:102"));
    assert_eq!(keys.len(), 3, "from the log that was renamed, too");
    assert!(read(&mut follower).is_empty());
}

#[test]
fn a_kill_without_its_title_is_told_when_the_log_rests() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&path, "");
    let mut follower = Follower::open(&path, None).unwrap();
    append(&path, &format!("{SYSCALL}\n{TARGET}\n"));
    assert!(read(&mut follower).is_empty(), "the title may come");
    assert_eq!(read(&mut follower).len(), 1);
}

#[test]
fn the_cursor_waits_for_kills_that_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&path, "");
    let mut follower = Follower::open(&path, None).unwrap();
    let later = abend(401);
    append(&path, &format!("{SYSCALL}\n{TARGET}\n{later}"));
    assert_eq!(read(&mut follower).len(), 1, "the one that waits is not told");
    let kill = Some(WallTime::from_millis(1_364_481_400_001));
    assert_eq!(follower.cursor(), kill);
    // Whoever is started again in between hears of it.
    let mut next = Follower::open(&path, kill).unwrap();
    append(&path, &format!("{TITLE}\n"));
    assert!(read(&mut next).contains(&"audit:1364481400.001:24300:8000".to_owned()));
    assert_eq!(read(&mut follower).len(), 1);
    assert_eq!(follower.cursor(), Some(WallTime::from_millis(1_364_481_401_000)));
}

#[test]
fn the_cursor_goes_back_with_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&path, "");
    let mut follower = Follower::open(&path, None).unwrap();
    append(&path, &[abend(500), abend(499), abend(300)].concat());
    assert_eq!(read(&mut follower).len(), 3);
    assert_eq!(follower.cursor(), Some(WallTime::from_millis(1_364_481_300_000)));
}

#[test]
fn an_endless_line_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    append(&path, "");
    let mut follower = Follower::open(&path, None).unwrap();
    append(&path, &format!("{}\n{}", "x".repeat(1 << 20), abend(101)));
    assert_eq!(read(&mut follower).len(), 1);
    assert!(follower.room() <= 64 << 10);
}

#[test]
fn without_a_log_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Follower::open(dir.path().join("audit.log"), None).unwrap_err();
    assert!(absent.why.contains("is not there"), "{absent}");
    let absent = Follower::open(dir.path(), None).unwrap_err();
    assert!(absent.why.contains("not a file"), "{absent}");
}
