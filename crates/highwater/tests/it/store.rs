//! The commands that look after the recording, on recordings made here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Output;

use highwater_agent::place::Place;
use highwater_core::event::{Death, Event, Happening};
use highwater_core::frame::{Frame, MachineSample, MemInfo, ProcSample, SlowReadings};
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{FILE_NAME, Keep, SCHEMA_VERSION, Store};
use serde_json::Value;

use crate::exits::highwater;

/// A moment in 2024, at which the recordings begin.
const T0: i64 = 1_714_000_000_000;

/// A name that would turn a terminal red, and end a line.
const HOSTILE: &[u8] = b"\x1b[31m\nbad";

fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

/// What both clocks say `ms` after the beginning, if the wall clock is `wrong_ms` ahead.
fn stamp(ms: i64, wrong_ms: i64) -> Stamp {
    Stamp {
        wall: WallTime::from_millis(T0 + ms + wrong_ms),
        boot: BootTime::from_micros(60_000_000 + ms.unsigned_abs() * 1000),
    }
}

fn process(pid: u32, comm: &[u8], mib: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(u64::from(pid)) },
        comm: Comm::new(comm),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: 1_000,
        major_faults: 0,
        virtual_size: Bytes::from_mib(mib * 4),
        resident: Bytes::from_mib(mib),
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

fn frame(stamp: Stamp, mib: u64) -> Frame {
    let mem = MemInfo {
        mem_total: Some(Bytes::from_mib(4096)),
        mem_available: Some(Bytes::from_mib(4096 - mib)),
        ..MemInfo::default()
    };
    Frame {
        stamp,
        machine: Some(MachineSample { mem, processes: 2, ..MachineSample::default() }),
        processes: vec![process(10, b"calm", 50), process(20, HOSTILE, mib)],
        ..Frame::default()
    }
}

/// Two hours, a reading every ten seconds; the clock is set back by an hour after the first.
fn record(dir: &Path) -> Store {
    let mut store = Store::open(dir).unwrap();
    let note = "recording begins".to_owned();
    let what = Happening::Recorder { what: "started".to_owned(), note };
    let begun = stamp(0, 0);
    let (wall, boot_at) = (begun.wall, Some(begun.boot));
    let event = Event { wall, boot: boot_at, boot_id: boot(), key: "run:1".to_owned(), what };
    store.record(&[event], None).unwrap();
    for tick in 0..720 {
        let wrong_ms = if tick < 360 { 0 } else { -3_600_000 };
        let at = stamp(tick * 10_000, wrong_ms);
        store.append(&frame(at, 100 + tick.unsigned_abs()), boot()).unwrap();
    }
    store
}

/// The same, all of it sealed and compacted.
fn settled(dir: &Path) {
    let mut store = record(dir);
    let (now, keep) = (stamp(7_200_000, -3_600_000), Keep::default());
    store.settle(now, &keep, &mut |_| {}).unwrap();
}

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = highwater(&["store"]);
    command.args(args).arg("--data-dir").arg(dir).output().unwrap()
}

fn json(dir: &Path, args: &[&str]) -> (i32, Value) {
    let done = run(dir, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let answer = serde_json::from_slice(&done.stdout);
    (done.status.code().unwrap(), answer.unwrap_or_else(|error| panic!("{error}: {said}")))
}

fn texts(done: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&done.stdout), text(&done.stderr))
}

#[test]
fn info_tells_how_much_there_is() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let (code, told) = json(dir.path(), &["info"]);
    assert_eq!(
        (code, &told["schema"], &told["store_schema"]),
        (0, &1.into(), &SCHEMA_VERSION.into())
    );
    assert_eq!(told["recorder"]["state"], "stopped");
    assert_eq!(told["boots"].as_array().unwrap().len(), 1);
    let step = &told["clock"][0];
    assert_eq!(step["by_ms"], -3_600_000);
    assert_eq!(step["at"], "2024-04-24T23:06:40.000Z", "by the clock as it is set now");
    assert_eq!(
        (&told["events"][0]["kind"], &told["events"][0]["count"]),
        (&"recorder".into(), &1.into())
    );
    let group = |name: &str| {
        let groups = told["groups"].as_array().unwrap();
        groups.iter().find(|group| group["group"] == name).unwrap().clone()
    };
    assert_eq!(group("process")["entities"], 2);
    assert!(group("process")["series"].as_u64().unwrap() >= 10, "{told:#}");
    let tiers = told["tiers"].as_array().unwrap();
    let mut tiers: Vec<_> = tiers.iter().map(|tier| tier["tier"].as_str().unwrap()).collect();
    tiers.dedup();
    assert_eq!(tiers, ["raw", "1 min", "10 min"], "{told:#}");
    assert!(told["size"]["database_bytes"].as_u64().unwrap() > 0);
    assert_eq!(told["notes"], serde_json::json!([]));
}

#[test]
fn info_fits_a_terminal_and_has_colours_only_there() {
    let dir = tempfile::tempdir().unwrap();
    drop(record(dir.path()));
    let (text, said) = texts(&run(dir.path(), &["info"]));
    assert!(said.is_empty() && !text.contains('\x1b'), "{text}{said}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for words in ["No agent is recording", "raw fresh", "set back by 1 h", "1 event,"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let forced = highwater(&["store", "info", "--data-dir"])
        .arg(dir.path())
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(texts(&forced).0.contains('\x1b'));
}

#[test]
fn an_agent_that_holds_the_directory_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::claim(dir.path()).unwrap();
    let mut store = Store::open(place.dir()).unwrap();
    let now = highwater_agent::clock::now();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().parse().unwrap();
    store.append(&frame(now, 100), boot).unwrap();
    let (_, told) = json(place.dir(), &["info"]);
    assert_eq!(told["recorder"]["state"], "recording", "{told:#}");
    assert_eq!(told["boots"][0]["current"], true);
    let refused = run(place.dir(), &["compact"]);
    let (text, said) = texts(&refused);
    assert_eq!((refused.status.code(), text.as_str()), (Some(1), ""));
    assert!(said.contains("is recording into") && said.contains("store.budget"), "{said}");
    drop(place);
    let (_, told) = json(dir.path(), &["info"]);
    assert_eq!(told["recorder"]["state"], "stopped", "{told:#}");
}

#[test]
fn what_is_no_recording_is_an_error_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.db");
    let out = out.to_str().unwrap();
    for args in [&["info"][..], &["check"], &["compact"], &["export-db", out]] {
        let done = run(&dir.path().join("none"), args);
        let (text, said) = texts(&done);
        assert_eq!((done.status.code(), text.as_str()), (Some(1), ""), "{args:?}: {said}");
        assert!(said.contains("none") && said.starts_with("highwater: "), "{args:?}: {said}");
    }
    assert!(!dir.path().join("none").exists(), "nothing is made");
    fs::write(dir.path().join(FILE_NAME), b"this is no database, and never was one").unwrap();
    for args in [&["info"][..], &["check"], &["compact"], &["export-db", out]] {
        let (_, said) = texts(&run(dir.path(), args));
        assert!(said.contains("is not a database"), "{args:?}: {said}");
    }
    assert!(!Path::new(out).exists());
}

#[test]
fn usage_errors_are_64() {
    for args in [
        &["store"][..],
        &["store", "nonsense"],
        &["store", "export-db"],
        &["store", "export-db", "x", "--since", "2h"],
        &["store", "compact", "--keep", "7"],
        &["store", "compact", "--budget", "1B"],
        &["store", "info", "extra"],
    ] {
        let done = highwater(args).output().unwrap();
        assert_eq!(done.status.code(), Some(64), "{args:?}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn compact_makes_room_and_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    drop(record(dir.path()));
    let before = fs::metadata(dir.path().join(FILE_NAME)).unwrap().len();
    let (code, done) = json(dir.path(), &["compact", "--keep", "400d", "--keep-minutes", "3660d"]);
    assert_eq!(code, 0, "{done:#}");
    assert!(done["steps"].as_u64().unwrap() > 1, "{done:#}");
    assert!(before > 0 && done["after"]["wal_bytes"] == 0, "{done:#}");
    let (_, told) = json(dir.path(), &["info"]);
    let tiers = told["tiers"].as_array().unwrap();
    let tiers: Vec<_> = tiers.iter().map(|tier| tier["tier"].as_str().unwrap()).collect();
    assert_eq!(tiers, ["1 min"], "2024 is more than 400 days ago, and less than 3660");
    let (text, _) = texts(&run(dir.path(), &["compact"]));
    assert!(text.contains("there was no room to give back"), "{text}");
}

#[test]
fn a_whole_recording_is_said_to_be_whole() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let done = run(dir.path(), &["check"]);
    let (text, said) = texts(&done);
    assert_eq!((done.status.code(), said.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains(" is whole: "), "{text}");
    let (code, checked) = json(dir.path(), &["check"]);
    assert_eq!((code, &checked["whole"], &checked["damaged"]), (0, &true.into(), &0.into()));
    let (_, told) = json(dir.path(), &["info"]);
    let samples = |tier: &Value| tier["samples"].as_u64().unwrap();
    let told: u64 = told["tiers"].as_array().unwrap().iter().map(samples).sum();
    assert_eq!(checked["samples"], told, "every sample was decoded");
}

#[test]
fn a_flipped_byte_is_found_and_the_rest_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    // Rows fill a page of 4096 bytes from its end.
    let places: Vec<usize> = (1..whole.len() / 4096).map(|page| page * 4096 - 20).collect();
    for place in &places {
        let mut bytes = whole.clone();
        bytes[*place] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let done = run(dir.path(), &["check", "--json"]);
        let code = done.status.code().unwrap();
        assert!(code <= 1, "{code} at {place}");
        if code == 0 {
            // The byte was in a page that holds nothing.
            continue;
        }
        found += 1;
        let (text, said) = texts(&done);
        match serde_json::from_str::<Value>(&text) {
            Ok(checked) => {
                assert_eq!(checked["whole"], false, "{checked:#}");
                assert!(!checked["damages"].as_array().unwrap().is_empty(), "{checked:#}");
                let (page, _) = texts(&run(dir.path(), &["check"]));
                assert!(page.contains("is damaged in") && page.contains("What next"), "{page}");
            }
            Err(_) => assert!(said.starts_with("highwater: "), "at {place}: {said}"),
        }
    }
    assert!(found > places.len() / 3, "{found} of {} were found", places.len());
}

#[test]
fn a_copy_is_a_recording_and_overwrites_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The writer is at work, and what it wrote last is in its log only.
    let store = record(dir.path());
    let file = other.path().join(FILE_NAME);
    let (code, done) = json(dir.path(), &["export-db", file.to_str().unwrap()]);
    assert_eq!((code, &done["plain"]), (0, &false.into()), "{done:#}");
    assert_eq!(done["bytes"], fs::metadata(&file).unwrap().len());
    let command = done["next"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(command.contains(&format!("--data-dir {}", other.path().display())), "{command}");
    drop(store);
    let (_, of_copy) = json(other.path(), &["info"]);
    let (_, of_first) = json(dir.path(), &["info"]);
    for key in ["history", "groups", "boots", "clock", "events", "tiers"] {
        assert_eq!(of_copy[key], of_first[key], "{key}");
    }
    assert_eq!(json(other.path(), &["check"]).0, 0);
    let before = fs::read(&file).unwrap();
    for plain in [&[][..], &["--plain"]] {
        let typed = [&["export-db", file.to_str().unwrap()][..], plain].concat();
        let again = run(dir.path(), &typed);
        assert_eq!(again.status.code(), Some(1));
        assert!(texts(&again).1.contains("nothing is overwritten: choose another name"));
    }
    assert!(fs::read(&file).unwrap() == before, "what was there is left alone");
}

#[test]
fn plain_rows_are_all_there_is_in_the_range() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    settled(dir.path());
    let file = other.path().join("my plain.db");
    let (code, done) = json(dir.path(), &["export-db", "--plain", file.to_str().unwrap()]);
    assert_eq!((code, &done["events"]), (0, &1.into()), "{done:#}");
    let (_, told) = json(dir.path(), &["info"]);
    let raw = told["tiers"].as_array().unwrap().iter().filter(|tier| tier["tier"] == "raw");
    let raw: u64 = raw.map(|tier| tier["samples"].as_u64().unwrap()).sum();
    assert_eq!(done["samples"], raw, "each sample is a row");
    let command = done["next"][0].as_str().unwrap();
    assert!(command.contains("my plain.db'"), "{command}");
    let none = other.path().join("none.db");
    let typed = ["export-db", "--plain", none.to_str().unwrap(), "--since", "1h"];
    let (_, done) = json(dir.path(), &typed);
    assert_eq!((&done["samples"], &done["stretch"]), (&0.into(), &Value::Null), "{done:#}");
    let typed = [&["export-db", "--plain", "x.db"][..], &["--since", "1h", "--until", "2h"]];
    let (_, said) = texts(&run(dir.path(), &typed.concat()));
    assert!(said.contains("nothing lies between them"), "{said}");
    let nowhere = other.path().join("no/such/x.db");
    for plain in [&[][..], &["--plain"]] {
        let typed = [&["export-db", nowhere.to_str().unwrap()][..], plain].concat();
        let (_, said) = texts(&run(dir.path(), &typed));
        assert!(said.contains("no/such/x.db"), "{said}");
    }
}

/// The command, run by somebody who may only read: another user, where that can be had.
fn run_by_another(dir: &Path, args: &[&str]) -> Output {
    /// Nobody's number everywhere.
    const NOBODY: u32 = 65_534;
    let command = || {
        let mut command = highwater(&["store"]);
        command.args(args).arg("--data-dir").arg(dir);
        command
    };
    // Only root may become somebody else, who may be unable to reach the program.
    command().uid(NOBODY).gid(NOBODY).output().or_else(|_| command().output()).unwrap()
}

#[test]
fn another_user_may_look_beside_the_writer_and_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = record(dir.path());
    let open = |dir: &Path| {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        for file in dir.read_dir().unwrap() {
            let path = file.unwrap().path();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    };
    open(dir.path());
    let beside = run_by_another(dir.path(), &["info"]);
    assert_eq!(beside.status.code(), Some(0), "{}", texts(&beside).1);
    assert!(texts(&beside).0.contains("raw fresh"));
    // As the files lie there after a crash; the lock file went with the machine.
    let crashed = tempfile::tempdir().unwrap();
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        fs::copy(dir.path().join(&name), crashed.path().join(&name)).unwrap();
    }
    open(crashed.path());
    let looked = run_by_another(crashed.path(), &["info"]);
    assert_eq!(looked.status.code(), Some(0), "{}", texts(&looked).1);
    let checked = run_by_another(crashed.path(), &["check", "--json"]);
    let (text, said) = texts(&checked);
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(told["whole"], true);
    let complete = told["complete"].as_bool().unwrap();
    assert_eq!(checked.status.code(), Some(i32::from(!complete)));
    assert_eq!(complete, !text.contains("run this as the user who records"), "{text}");
    drop(store);
    open(dir.path());
    let after = run_by_another(dir.path(), &["info"]);
    assert_eq!(after.status.code(), Some(0), "{}", texts(&after).1);
}

#[test]
fn names_that_would_mislead_a_terminal_are_spelled_out() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a\x1b[31m\nb");
    drop(record(&odd));
    for args in [&["info"][..], &["check"], &["compact"], &["export-db", "/nonexistent/x"]] {
        let (text, said) = texts(&run(&odd, args));
        assert!(!text.contains('\x1b') && !said.contains('\x1b'), "{args:?}: {text}{said}");
    }
}

#[test]
fn what_was_compacted_is_still_shown_after_the_next_boot() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(record(dir.path()));
    let samples = |name: &str| {
        let file = other.path().join(name);
        let (_, done) = json(dir.path(), &["export-db", "--plain", file.to_str().unwrap()]);
        done["samples"].as_u64().unwrap()
    };
    let recorded = samples("recorded.db");
    assert!(recorded > 720, "{recorded}");
    // By somebody who did not record it, as `compact` does.
    let mut store = Store::open(dir.path()).unwrap();
    store.settle(stamp(7_200_000, -3_600_000), &Keep::default(), &mut |_| {}).unwrap();
    assert_eq!(samples("settled.db"), recorded);
    let later = Stamp { boot: BootTime::from_micros(1), ..stamp(9_000_000, 0) };
    let rebooted = "00000000000000000000000000000002".parse().unwrap();
    store.append(&frame(later, 100), rebooted).unwrap();
    assert!(samples("rebooted.db") > recorded);
}

/// A death on record whose row has a flipped byte in its name.
fn damaged_death(dir: &Path) {
    let mut store = record(dir);
    let at = stamp(7_200_000, -3_600_000);
    let (pid, comm) = (Pid::new(28_827), "zzvictim".to_owned());
    let what = Happening::Death(Death { pid, comm, lines: vec![], kill_line: 0, known: None });
    let (wall, boot_at) = (at.wall, Some(at.boot));
    let event = Event { wall, boot: boot_at, boot_id: boot(), key: "kmsg:9".to_owned(), what };
    store.record(&[event], None).unwrap();
    store.settle(at, &Keep::default(), &mut |_| {}).unwrap();
    drop(store);
    let path = dir.join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    let places = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"zzvictim");
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    // The name stands in a column and in the body; the row's checksum is over both.
    bytes[*places.last().unwrap() + 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
}

#[test]
fn a_damaged_death_is_spoken_of_wherever_it_is_missed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    damaged_death(dir.path());
    let option = format!("(highwater store check --data-dir {})", dir.path().display());
    let left_out = "1 damaged event was left out";
    let shown = dir.path().to_str().unwrap();
    for typed in [&["why", "28827", "--json"][..], &["checkup", "--json"]] {
        let done = highwater(typed).args(["--data-dir", shown]).output().unwrap();
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        let notes = answer["notes"].to_string();
        assert!(notes.contains(left_out) && notes.contains(&option), "{notes}");
    }
    for typed in ["why", "checkup"] {
        let done = highwater(&[typed, "--data-dir", shown]).output().unwrap();
        assert!(texts(&done).0.contains(left_out), "{}", texts(&done).0);
    }
    let masked = highwater(&["why", "--anonymize", "--data-dir", shown]).output().unwrap();
    let text = texts(&masked).0;
    assert!(text.contains(left_out) && !text.contains(shown), "{text}");
    let (_, checked) = json(dir.path(), &["check"]);
    let damages = checked["damages"].to_string();
    assert!(damages.contains("a death, by what can be read that of"), "{damages}");
    assert!(
        damages.contains("(pid 28827)") && damages.contains("2024-04-25T00:06:40"),
        "{damages}"
    );
    let file = other.path().join("copy.db");
    let (code, done) = json(dir.path(), &["export-db", file.to_str().unwrap()]);
    let notes = done["notes"].to_string();
    assert_eq!(code, 0);
    assert!(notes.contains("the recording is damaged in 1 place, and so is the copy"), "{notes}");
}

#[test]
fn an_empty_file_and_a_directory_in_its_place_are_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let out = dir.path().join("out.db");
    let all = [&["info"][..], &["check"], &["compact"], &["export-db", out.to_str().unwrap()]];
    fs::write(&path, b"").unwrap();
    for args in all {
        let (_, said) = texts(&run(dir.path(), args));
        assert!(said.contains("is empty: nothing was recorded into it yet"), "{args:?}: {said}");
        let command = format!("`highwater agent --data-dir {}`", dir.path().display());
        assert!(said.contains(&command), "{args:?}: {said}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 0, "nothing is made");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for args in all {
        let (_, said) = texts(&run(dir.path(), args));
        assert!(said.contains("is a directory, where a file should be"), "{args:?}: {said}");
    }
    for args in all {
        let (_, said) = texts(&run(&dir.path().join("none"), args));
        assert!(said.starts_with("highwater: no such directory: "), "{args:?}: {said}");
    }
}

#[test]
fn compact_names_its_limits_and_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    drop(record(dir.path()));
    let before = fs::metadata(dir.path().join(FILE_NAME)).unwrap().len();
    let config = dir.path().join("own.toml");
    fs::write(&config, "[store]\nkeep = \"400d\"\nkeep_minutes = \"3660d\"\n").unwrap();
    let typed = ["compact", "--config", config.to_str().unwrap()];
    let (code, done) = json(dir.path(), &typed);
    assert_eq!((code, &done["before"]["database_bytes"]), (0, &before.into()), "{done:#}");
    assert_eq!(done["limits"]["keep_seconds"], 400 * 86_400);
    let from = done["limits"]["from"].as_str().unwrap();
    assert_eq!(from, format!("--config {}", config.display()));
    let tiers = done["tiers"].as_array().unwrap();
    let made = |tier: &Value| tier["tier"] == "1 min" && tier["before_bytes"] == 0;
    assert!(tiers.iter().any(made), "{done:#}");
    let (text, _) = texts(&run(dir.path(), &typed));
    for words in ["nothing was due", "raw 400 d · 1 min 3660 d", "these are of"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn an_export_of_nothing_says_so_and_one_to_standard_output_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(record(dir.path()));
    let file = other.path().join("none.db");
    let typed = ["export-db", "--plain", file.to_str().unwrap(), "--since", "1h"];
    let (code, done) = json(dir.path(), &typed);
    let note = done["notes"][0].as_str().unwrap();
    assert_eq!(code, 0);
    assert!(note.starts_with("nothing on record lies in that range; the recording co"), "{note}");
    let refused = run(dir.path(), &["export-db", "-"]);
    let (text, said) = texts(&refused);
    assert_eq!((refused.status.code(), text.as_str()), (Some(64), ""));
    assert!(said.contains("cannot be written to standard output"), "{said}");
}

#[test]
fn an_export_that_is_interrupted_leaves_no_half_of_a_file() {
    /// What a terminal sends, and what a service manager does.
    const SIGNALS: [(&str, i32); 2] = [("-INT", 2), ("-TERM", 15)];
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(record(dir.path()));
    for (option, signal) in SIGNALS {
        let file = other.path().join(format!("{signal}.db"));
        let mut command = highwater(&["store", "export-db", "--plain"]);
        let mut child = command.arg(&file).arg("--data-dir").arg(dir.path()).spawn().unwrap();
        while !file.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let pid = child.id().to_string();
        std::process::Command::new("kill").args([option, &pid]).status().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.success() || ended.signal() == Some(signal), "{ended:?}");
        assert_eq!(file.exists(), ended.success(), "a whole file or none: {ended:?}");
    }
}
