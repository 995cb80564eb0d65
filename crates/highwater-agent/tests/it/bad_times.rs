//! The disk is full, the file system turns read-only, the database is replaced, taken away or
//! damaged: recording goes on, and what was seen meanwhile is on disk in the end.
//!
//! Real file systems are mounted where that is permitted.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::Agent;
use highwater_agent::board::Board;
use highwater_agent::config::Config;
use highwater_agent::notice::Status;
use highwater_core::event::Happening;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_linux::root::Root;
use highwater_store::{EventFilter, FILE_NAME, Reader};

/// A mounted file system, taken away in the end.
struct Mounted {
    at: PathBuf,
    _above: tempfile::TempDir,
}

impl Mounted {
    /// `None` where nothing can be mounted.
    fn new(arguments: &[&str], device: &dyn Fn(&Path) -> Option<PathBuf>) -> Option<Self> {
        let above = tempfile::tempdir().unwrap();
        let at = above.path().join("data");
        fs::create_dir(&at).unwrap();
        let device = device(above.path())?;
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(device).arg(&at).stderr(Stdio::null());
        mount.status().ok()?.success().then_some(Self { at, _above: above })
    }

    fn tmpfs() -> Option<Self> {
        let arguments = ["-t", "tmpfs", "-o", "size=16m"];
        Self::new(&arguments, &|_| Some(PathBuf::from("highwater-test")))
    }

    fn ext4() -> Option<Self> {
        let image = |above: &Path| {
            let path = above.join("image");
            File::create(&path).ok()?.set_len(64 << 20).ok()?;
            let made = Command::new("mkfs.ext4").arg("-q").arg(&path).status();
            made.is_ok_and(|made| made.success()).then_some(path)
        };
        Self::new(&["-o", "loop,errors=remount-ro"], &image)
    }

    fn let_go(&self) {
        let mut umount = Command::new("umount");
        let _not_mounted = umount.arg("-l").arg(&self.at).stderr(Stdio::null()).status();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Reads the machine every second, and keeps everything.
fn start(dir: &Path) -> Agent {
    let mut config = Config::default();
    config.sample.every = Duration::from_secs(1);
    config.survey.enabled = false;
    // What the tests fill is not to be left free.
    config.store.free_floor = highwater_core::units::Bytes::ZERO;
    Agent::start(&Root::live(), dir, &config).unwrap()
}

/// Waits until something is the case; fails the test if it never is.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if is() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("it never came to this: {what}");
}

fn frames(board: &Board) -> u64 {
    board.counts().frames.load(Ordering::Relaxed)
}

fn backlog(board: &Board) -> u64 {
    board.counts().backlog.load(Ordering::Relaxed)
}

/// So many more whole readings are taken in.
fn more(board: &Board, count: u64) {
    let from = frames(board);
    until("more readings", || frames(board) >= from + count);
}

/// When the machine was read, by what is on disk.
fn moments(dir: &Path) -> Vec<i64> {
    let reader = Reader::open(dir).unwrap();
    let matchers = vec![Matcher::is(NAME, "node_memory_MemTotal_bytes")];
    let (from, to) = (WallTime::from_millis(0), WallTime::from_millis(i64::MAX));
    let found = reader.select(&Selection { matchers, from, to, step: None, ends: false }).unwrap();
    found.iter().flat_map(|series| &series.points).map(|point| point.at.millis()).collect()
}

/// What the recorder recorded of itself.
fn told(dir: &Path) -> Vec<(String, String)> {
    let events = Reader::open(dir).unwrap().events(&EventFilter::default()).unwrap();
    let own = events.into_iter().filter_map(|stored| match stored.event.what {
        Happening::Recorder { what, note } => Some((what, note)),
        _ => None,
    });
    own.collect()
}

/// Every reading is on disk, in order, and none twice.
fn assert_complete(dir: &Path, taken: u64) {
    let moments = moments(dir);
    assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
    // Close-ups of a busy machine come on top.
    assert!(count(&moments) >= taken, "{} of {taken}", moments.len());
    let gaps = moments.iter().zip(moments.iter().skip(1)).map(|(one, next)| next - one);
    let longest = gaps.max().unwrap_or(0);
    assert!(longest < 10_000, "{longest} ms without a reading");
}

fn count(moments: &[i64]) -> u64 {
    u64::try_from(moments.len()).unwrap()
}

/// Writes until there is no room left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_is_waited_out_in_memory_and_nothing_is_lost() {
    let Some(disk) = Mounted::tmpfs() else {
        eprintln!("skipped: nothing can be mounted here; it takes root");
        return;
    };
    let agent = start(&disk.at);
    let board = agent.board();
    more(&board, 3);
    let filler = disk.at.join("filler");
    fill(&filler);
    until("the store is full", || {
        // What SQLite gives back is taken at once.
        fill(&disk.at.join("more"));
        !board.is_stored()
    });
    more(&board, 5);
    assert!(backlog(&board) >= 5);
    let why = board.trouble().unwrap();
    assert!(why.contains("full"), "{why}");
    until("the notice tells", || {
        Status::read(&disk.at).is_some_and(|status| status.trouble.is_some() && status.is_running)
    });
    let own = board.things();
    let number = |name: &str| own.iter().find(|thing| thing.metric.name == name).unwrap().value;
    assert!(number("highwater_agent_backlog_readings") >= 5.0);
    assert!(number("highwater_agent_store_errors_total") >= 1.0);
    assert!(number("highwater_agent_disk_free_bytes") < 1e6, "told, though it may be nothing");
    assert!(number("highwater_agent_store_ok") < 0.5);

    fs::remove_file(&filler).unwrap();
    fs::remove_file(disk.at.join("more")).unwrap();
    until("the store takes writes", || board.is_stored() && backlog(&board) == 0);
    more(&board, 2);
    let taken = frames(&board);
    agent.stop();
    assert_eq!(board.trouble(), None);
    assert_complete(&disk.at, taken);
    let status = Status::read(&disk.at).unwrap();
    assert!(!status.is_running && status.trouble.is_none(), "{status:?}");
}

#[test]
fn what_could_not_be_written_before_the_end_is_an_event_at_the_next_start() {
    let Some(disk) = Mounted::tmpfs() else {
        eprintln!("skipped: nothing can be mounted here; it takes root");
        return;
    };
    let agent = start(&disk.at);
    let board = agent.board();
    more(&board, 2);
    fill(&disk.at.join("filler"));
    until("the store is full", || {
        fill(&disk.at.join("more"));
        !board.is_stored()
    });
    more(&board, 3);
    until("the notice tells all that the page does", || {
        let waits = backlog(&board);
        Status::read(&disk.at).is_some_and(|status| status.backlog == waits && waits > 0)
    });
    agent.stop();
    assert!(!board.is_complete());
    let left = Status::read(&disk.at).unwrap();
    assert!(left.backlog >= 3 && left.events >= 1, "{left:?}");

    fs::remove_file(disk.at.join("filler")).unwrap();
    fs::remove_file(disk.at.join("more")).unwrap();
    let agent = start(&disk.at);
    more(&agent.board(), 1);
    agent.stop();
    assert!(agent_is_complete(&disk.at));
    let told = told(&disk.at);
    let (_, note) = told.iter().find(|(what, _)| what == "missed").unwrap();
    let (readings, events) = (left.backlog, left.events);
    assert!(note.starts_with(&format!("{readings} readings and {events} event")), "{note}");
}

/// Nothing waited when the last agent of `dir` ended.
fn agent_is_complete(dir: &Path) -> bool {
    let left = Status::read(dir).unwrap();
    (left.backlog, left.events, left.is_running) == (0, 0, false)
}

#[test]
fn an_agent_that_starts_on_a_full_disk_records_from_the_start_once_there_is_room() {
    let Some(disk) = Mounted::tmpfs() else {
        eprintln!("skipped: nothing can be mounted here; it takes root");
        return;
    };
    let filler = disk.at.join("filler");
    fill(&filler);
    let agent = start(&disk.at);
    let board = agent.board();
    more(&board, 3);
    assert!(!board.is_stored() && backlog(&board) >= 3);
    fs::remove_file(&filler).unwrap();
    until("the store takes writes", || board.is_stored() && backlog(&board) == 0);
    let taken = frames(&board);
    agent.stop();
    assert_complete(&disk.at, taken);
    assert!(told(&disk.at).iter().any(|(what, _)| what == "started"));
}

#[test]
fn a_file_system_that_turns_read_only_and_goes_is_waited_out() {
    let Some(disk) = Mounted::ext4() else {
        eprintln!("skipped: no file system can be made and mounted here; it takes root");
        return;
    };
    let agent = start(&disk.at);
    let board = agent.board();
    more(&board, 3);
    if !break_down(&disk.at) {
        eprintln!("skipped: this kernel cannot be asked for an error of a file system");
        agent.stop();
        return;
    }
    until("the store fails", || !board.is_stored());
    more(&board, 4);
    let before = frames(&board);
    assert!(backlog(&board) >= 4);
    // Somebody takes the broken file system away; below it there is an empty folder.
    disk.let_go();
    until("a new database is begun", || board.is_stored() && backlog(&board) == 0);
    more(&board, 2);
    agent.stop();
    let moments = moments(&disk.at);
    assert!(moments.is_sorted_by(|a, b| a < b));
    assert!(count(&moments) >= frames(&board) - before + 4, "what waited is there too");
}

/// Has the kernel find an error in the file system at `at`, so that it turns read-only.
fn break_down(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let found = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let device = found.filter(|line| line.get(1) == at.to_str().as_ref()).find_map(|line| {
        let name = line.first()?.strip_prefix("/dev/")?;
        Some(format!("/sys/fs/ext4/{name}/trigger_fs_error"))
    });
    device.is_some_and(|path| fs::write(path, "1").is_ok())
}

#[test]
fn a_database_that_is_replaced_or_taken_away_is_noticed_and_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (old, path) = (tempfile::tempdir().unwrap(), dir.path().join(FILE_NAME));
    let agent = start(dir.path());
    let board = agent.board();
    more(&board, 3);
    fs::rename(&path, old.path().join(FILE_NAME)).unwrap();
    more(&board, 4);
    assert_eq!(board.counts().replaced.load(Ordering::Relaxed), 1);
    assert!(path.exists() && board.is_stored());
    assert!(moments(dir.path()).len() >= 3, "at most one reading went with the old file");

    // The old one is read as the message says.
    let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = files.into_iter().find(|path| path.to_string_lossy().contains(".replaced-")).unwrap();
    let past = tempfile::tempdir().unwrap();
    fs::copy(old.path().join(FILE_NAME), past.path().join(FILE_NAME)).unwrap();
    fs::copy(log, past.path().join(format!("{FILE_NAME}-wal"))).unwrap();
    assert!(moments(past.path()).len() >= 3);

    // A backup is put back while the agent runs.
    let backup = old.path().join(FILE_NAME);
    fs::rename(&backup, &path).unwrap();
    more(&board, 4);
    assert_eq!(board.counts().replaced.load(Ordering::Relaxed), 2);
    agent.stop();
    let told = told(dir.path());
    let replaced = told.iter().filter(|(what, _)| what == "replaced").count();
    assert_eq!(replaced, 1, "{told:?}");
    assert!(moments(dir.path()).len() >= 3);
    let integrity = Reader::open(dir.path()).unwrap().caveats();
    assert!(integrity.is_empty(), "{integrity:?}");
}

#[test]
fn a_database_that_is_written_over_is_set_aside_and_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let agent = start(dir.path());
    let board = agent.board();
    more(&board, 3);
    assert!(board.is_complete());
    // As the shell does it: the file stays the same one.
    fs::write(&path, "hello\n").unwrap();
    more(&board, 4);
    assert_eq!(board.counts().set_aside.load(Ordering::Relaxed), 1);
    assert!(board.is_stored());
    agent.stop();
    assert!(!board.is_complete(), "part of what was seen went with the file");
    let told = told(dir.path());
    let (_, note) = told.iter().find(|(what, _)| what == "set-aside").unwrap();
    let begin = format!("{} was damaged (something else was written over it", path.display());
    assert!(note.starts_with(&begin), "{note}");
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside = names
        .map(|name| name.into_string().unwrap())
        .find(|name| name.contains(".damaged-") && !name.ends_with("-wal"));
    let aside = aside.unwrap();
    assert!(note.contains(&aside), "{note} {aside}");
    assert_eq!(fs::read(dir.path().join(aside)).unwrap(), b"hello\n", "left as it was found");
    assert!(moments(dir.path()).len() >= 3);
}

#[test]
fn a_damaged_database_is_set_aside_at_the_start_and_the_event_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let agent = start(dir.path());
    more(&agent.board(), 2);
    agent.stop();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, vec![0x55; 65_536]).unwrap();
    let agent = start(dir.path());
    let board = agent.board();
    more(&board, 2);
    agent.stop();
    assert_eq!(board.counts().set_aside.load(Ordering::Relaxed), 1);
    let told = told(dir.path());
    let (_, note) = told.iter().find(|(what, _)| what == "set-aside").unwrap();
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    let aside = names.iter().find(|name| name.contains(".damaged-")).unwrap();
    assert!(note.contains(aside.as_str()), "{note} {names:?}");
    let begin = format!("{} was damaged (it is no SQLite database) and set aside", path.display());
    assert!(note.starts_with(&begin), "{note}");
    assert!(moments(dir.path()).len() >= 2);
}
