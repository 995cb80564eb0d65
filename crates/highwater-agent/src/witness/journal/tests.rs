//! The follower, with a journalctl of the test's own.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use highwater_core::testimony::Fact;
use tempfile::TempDir;

use super::follower::{Follower, Gone, Said};
use super::lines::Lines;

/// A program in place of journalctl.
struct Fake {
    dir: TempDir,
}

impl Fake {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journalctl");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("journalctl")
    }
}

/// What a fake says until it ends, or until `stop` says that it is enough.
fn follow(follower: &mut Follower, enough: impl Fn(&Said) -> bool) -> (Vec<String>, Gone) {
    let (stop, tell) = UnixStream::pair().unwrap();
    let mut tell = Some(tell);
    let mut all = Vec::new();
    let gone = follower.follow(stop.as_fd(), &mut |said| {
        if enough(&said) {
            // Where the other end is closed this one is readable.
            tell = None;
        }
        all.push(match said {
            Said::Here => "here".to_owned(),
            Said::Absent(why) => format!("absent: {why}"),
            Said::Odd(words) => format!("odd: {words}"),
            Said::Told(told) => format!("{} {:?}", told.key.len(), told.testimony.fact),
            Said::Read { newest_us, told } => format!("read {newest_us} {told}"),
        });
    });
    (all, gone)
}

/// An entry of systemd's.
fn entry(us: u64, message: &str) -> String {
    format!(
        r#"{{"__CURSOR":"s={us}","__REALTIME_TIMESTAMP":"{us}","_PID":"1","_TRANSPORT":"journal","UNIT":"web.service","MESSAGE":"{message}"}}"#
    )
}

const FAILED: &str = "web.service: Failed with result 'signal'.";

#[test]
fn entries_are_told_and_the_newest_is_where_it_goes_on() {
    let lines = format!("{}\n{}", entry(5_000_000, FAILED), entry(7_000_001, "nothing"));
    let fake = Fake::new(&format!("cat <<'X'\n{lines}\nX\necho \"$*\" >> $0.args"));
    let mut follower = Follower::new(fake.path(), 3_000_000);
    let (said, gone) = follow(&mut follower, |_| false);
    let told = said.iter().filter(|said| said.contains("signal")).count();
    assert_eq!((said.first().map(String::as_str), told), (Some("here"), 1));
    assert_eq!(said.last().map(String::as_str), Some("read 7000001 true"));
    assert!(matches!(gone, Gone::Ended(why) if why.starts_with("journalctl ")));
    follow(&mut follower, |_| false);
    let args = fs::read_to_string(fake.dir.path().join("journalctl.args")).unwrap();
    let since: Vec<bool> = args
        .lines()
        .zip(["--since=@3.000000 ", "--since=@7.000001 "])
        .map(|(a, b)| a.contains(b))
        .collect();
    assert_eq!(since, [true, true], "{args}");
    assert!(args.contains("--follow") && args.contains("_PID=1 + "), "{args}");
}

#[test]
fn a_child_that_goes_on_is_ended_with_the_agent() {
    let fake = Fake::new(&format!("echo $$ > $0.pid\necho '{}'\nexec sleep 1000", entry(5, "x")));
    let mut follower = Follower::new(fake.path(), 3);
    let (said, gone) = follow(&mut follower, |said| matches!(said, Said::Read { .. }));
    assert_eq!(
        (said.as_slice(), gone),
        (&["here".to_owned(), "read 5 false".to_owned()][..], Gone::Stopped)
    );
    let pid = fs::read_to_string(fake.dir.path().join("journalctl.pid")).unwrap();
    assert!(!PathBuf::from(format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn a_quiet_journal_is_heard() {
    let fake = Fake::new("exec sleep 1000");
    let machine = fake.dir.path().join("journal/0123");
    fs::create_dir_all(&machine).unwrap();
    fs::write(machine.join("system.journal"), "").unwrap();
    let mut follower = Follower::new(fake.path(), 3).of_files_in(fake.dir.path().join("journal"));
    let (said, gone) = follow(&mut follower, |said| matches!(said, Said::Here));
    assert_eq!((said.as_slice(), gone), (&["here".to_owned()][..], Gone::Stopped));
}

#[test]
fn a_quiet_journalctl_without_any_files_hears_nothing_until_there_is_one() {
    let script = "until [ -e $0.made ]; do sleep 0.05; done";
    let fake = Fake::new(&format!("{script}\ncat <<'X'\n{}\nX", entry(5, "x")));
    let made = fake.dir.path().join("journalctl.made");
    let empty = fake.dir.path().join("journal");
    fs::create_dir_all(empty.join("0123")).unwrap();
    for place in [empty, PathBuf::from("/nowhere")] {
        let mut follower = Follower::new(fake.path(), 3).of_files_in(place);
        let (said, _) = follow(&mut follower, |said| {
            let is_absent = matches!(said, Said::Absent(_));
            is_absent && fs::write(&made, "").is_err()
        });
        fs::remove_file(&made).unwrap();
        let absent = "absent: there are no journal files: journald does not run here, or keeps \
                      nothing";
        assert_eq!(said, [absent, "here", "read 5 false"]);
    }
}

#[test]
fn what_is_lacking_is_told_in_words() {
    let of = |script: &str| follow(&mut Follower::new(Fake::new(script).path(), 3), |_| false);
    let hint = "Hint: You are currently not seeing messages from other users and the system.";
    let (said, gone) = of(&format!("echo '{hint}' >&2; exit 1"));
    let why = "this user may not read the system's journal (needs the group systemd-journal or \
               CAP_DAC_READ_SEARCH)";
    assert_eq!((said, gone), (vec![format!("absent: {why}")], Gone::Ended(why.to_owned())));
    let (said, _) = of("echo 'No journal files were found.' >&2");
    assert!(said[0].starts_with("absent: there are no journal files"), "{said:?}");
    let (_, gone) = of("printf 'Fail\\033[31med to x\\n' >&2; exit 1");
    assert_eq!(gone, Gone::Ended(r"journalctl says: Fail\x1b[31med to x".to_owned()));
    let (_, gone) = follow(&mut Follower::new(PathBuf::from("/nowhere/journalctl"), 3), |_| false);
    assert_eq!(gone, Gone::Ended("there is no journalctl: systemd is not installed".to_owned()));
}

#[test]
fn complaints_of_a_damaged_file_are_told_once_and_the_rest_is_read() {
    let complaint = "Journal file /x/system.journal corrupted, ignoring file.";
    let script = format!(
        "echo '{complaint}' >&2\nsleep 0.1\ncat <<'X'\n{}\nX\nsleep 0.1\necho '{complaint}' >&2",
        entry(5, FAILED)
    );
    let fake = Fake::new(&script);
    let (said, gone) = follow(&mut Follower::new(fake.path(), 3), |_| false);
    let odd = format!("odd: journalctl says: {complaint}");
    assert_eq!(said.iter().filter(|said| **said == odd).count(), 1, "{said:?}");
    assert!(said.contains(&"here".to_owned()) && said.contains(&"read 5 true".to_owned()));
    assert!(!said.iter().any(|said| said.starts_with("absent")), "{said:?}");
    assert_eq!(gone, Gone::Ended(format!("journalctl says: {complaint}")));
}

#[test]
fn a_journal_that_comes_later_is_heard_and_one_that_is_not_allowed_is_not() {
    let of = |words: &str| {
        let script = format!("echo '{words}' >&2\nsleep 0.2\ncat <<'X'\n{}\nX", entry(5, "x"));
        let fake = Fake::new(&script);
        follow(&mut Follower::new(fake.path(), 3), |_| false).0
    };
    let here = |said: &[String]| said.iter().any(|said| said == "here");
    assert!(here(&of("No journal files were found.")));
    let own = of("Hint: You are currently not seeing messages from other users and the system.");
    assert!(!here(&own) && own.contains(&"read 5 false".to_owned()), "{own:?}");
}

#[test]
fn where_it_goes_on_follows_a_clock_that_was_set_back() {
    let mut lines = Lines::default();
    let mut newest = |us: u64| {
        let line = format!("{}\n", entry(us, "quiet"));
        lines.room()[..line.len()].copy_from_slice(line.as_bytes());
        lines.take(line.len(), &mut |_| ());
        lines.newest_us()
    };
    assert_eq!(newest(9_000_000), Some(9_000_000));
    assert_eq!(newest(8_500_000), Some(9_000_000), "a little out of order");
    assert_eq!(newest(4_000_000), Some(4_000_000));
}

#[test]
fn a_journalctl_that_closes_its_standard_error_is_heard_on() {
    let fake = Fake::new(&format!("exec 2>&-\nsleep 0.2\ncat <<'X'\n{}\nX", entry(5, FAILED)));
    let (said, _) = follow(&mut Follower::new(fake.path(), 3), |_| false);
    assert!(said.contains(&"read 5 true".to_owned()), "{said:?}");
}

/// What the bytes tell, in pieces of this size.
fn told(bytes: &[u8], piece: usize) -> Vec<Fact> {
    let (mut lines, mut all) = (Lines::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        lines.room()[..piece.len()].copy_from_slice(piece);
        lines.take(piece.len(), &mut |told| all.push(told.testimony.fact));
    }
    all
}

#[test]
fn lines_are_read_wherever_the_pieces_end() {
    let log = format!("{}\n{}\n{}\n", entry(1, FAILED), entry(2, "quiet"), entry(3, FAILED));
    for piece in [1, 7, 100, 60_000] {
        assert_eq!(told(log.as_bytes(), piece).len(), 2, "{piece}");
    }
}

#[test]
fn an_endless_line_is_passed_over_and_the_next_is_read() {
    let endless = format!("{{\"MESSAGE\":\"{}{FAILED}\"}}", "x".repeat(300_000));
    let log = format!("{endless}\n{}\n", entry(3, FAILED));
    for piece in [999, 60_000] {
        assert_eq!(told(log.as_bytes(), piece).len(), 1, "{piece}");
    }
}

#[test]
fn garbage_tells_nothing() {
    for log in [
        &b"\n\n\n"[..],
        b"Failed with result 'signal'.\n",
        b"\xff\x00{\"MESSAGE\":[1,2\n",
        b"{}\n[]\n",
    ] {
        assert!(told(log, 5).is_empty());
    }
}

#[test]
fn those_who_kill_early_are_heard_if_the_journal_vouches() {
    let of = |who: &str, ident: &str, message: &str| {
        let line = format!(
            r#"{{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"5","_TRANSPORT":"stdout",{who},"SYSLOG_IDENTIFIER":"{ident}","MESSAGE":{}}}"#,
            serde_json_text(message)
        );
        told(format!("{line}\n").as_bytes(), 60_000)
    };
    let killed = |program: &str| vec![Fact::KilledBy { program: program.to_owned() }];
    let earlyoom = r#"sending SIGTERM to process 320 uid 0 "hog": badness 940, VmRSS 245 MiB"#;
    let service = r#""_COMM":"earlyoom","_UID":"61876","_SYSTEMD_UNIT":"earlyoom.service""#;
    assert_eq!(of(service, "earlyoom", earlyoom), killed("earlyoom"));
    let stranger = r#""_COMM":"earlyoom","_UID":"1000","_SYSTEMD_UNIT":"user@1000.service""#;
    assert!(of(stranger, "earlyoom", earlyoom).is_empty());
    let oomd = "Killed /user.slice/a.scope due to memory pressure for /user.slice being 64.02% > 50.00% for > 20s with reclaim activity";
    let service = r#""_COMM":"systemd-oomd","_UID":"998","_SYSTEMD_UNIT":"systemd-oomd.service""#;
    assert_eq!(of(service, "systemd-oomd", oomd), killed("systemd-oomd"));
}

/// As a string of JSON.
fn serde_json_text(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
