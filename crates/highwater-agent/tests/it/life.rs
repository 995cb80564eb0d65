//! Starting, recording and ending: needs no privilege.

use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::config::Config;
use highwater_agent::place::PlaceError;
use highwater_agent::{Agent, AgentError};
use highwater_core::event::Happening;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_linux::root::Root;
use highwater_store::{EventFilter, Reader};

fn start(dir: &std::path::Path) -> Result<Agent, AgentError> {
    Agent::start(&Root::live(), dir, &Config::default())
}

#[test]
fn what_is_recorded_is_private_readable_and_has_a_beginning_and_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let agent = start(dir.path()).unwrap();
    let taken = start(dir.path()).unwrap_err();
    assert!(matches!(taken, AgentError::Place(PlaceError::Taken { .. })), "{taken}");
    let board = agent.board();
    let surveyed = || board.counts().surveys.load(std::sync::atomic::Ordering::Relaxed) > 0;
    while board.age(highwater_agent::clock::now()).is_none() || !surveyed() {
        sleep(Duration::from_millis(20));
    }
    agent.stop();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o027, 0, "{:?} has mode {mode:o}", entry.path());
    }
    let reader = Reader::open(dir.path()).unwrap();
    let told = reader.events(&EventFilter::default()).unwrap();
    let lives = told.iter().filter_map(|stored| match &stored.event.what {
        Happening::Recorder { what, .. } => Some(what.as_str()),
        _ => None,
    });
    let lives: Vec<_> = lives.collect();
    assert_eq!((lives.first(), lives.last()), (Some(&"started"), Some(&"stopped")));
    for name in [
        "node_memory_MemTotal_bytes",
        "highwater_owner_processes",
        "node_filefd_allocated",
        "highwater_agent_store_ok",
    ] {
        assert!(largest(&reader, name) > 0.0, "{name}");
    }
}

#[test]
fn another_programs_database_is_left_alone_and_so_is_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    // One page with the header of a database (sqlite.org/fileformat.html) that has an application
    // id, and no tables.
    let mut page = b"SQLite format 3\0\x10\x00\x01\x01\x00\x40\x20\x20".to_vec();
    page.resize(4096, 0);
    for at in [27, 31, 47, 59, 71, 95] {
        page[at] = 1;
    }
    page[100] = 0x0d;
    page[105] = 0x10;
    let path = dir.path().join(highwater_store::FILE_NAME);
    std::fs::write(&path, &page).unwrap();
    let refused = start(dir.path()).unwrap_err();
    assert!(refused.to_string().contains("another program's database"), "{refused}");
    assert!(!dir.path().join("agent.lock").exists());
    assert_eq!(std::fs::read(&path).unwrap(), page);
}

/// The largest number of this name on record.
fn largest(reader: &Reader, name: &str) -> f64 {
    let matchers = vec![Matcher::is(NAME, name)];
    let (from, to) = (WallTime::from_millis(0), WallTime::from_millis(i64::MAX));
    let found = reader.select(&Selection { matchers, from, to, step: None, ends: false }).unwrap();
    found.iter().flat_map(|series| &series.points).map(|point| point.value).fold(0.0, f64::max)
}
