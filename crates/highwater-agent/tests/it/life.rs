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
        Happening::Death(_) => None,
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

/// The largest number of this name on record.
fn largest(reader: &Reader, name: &str) -> f64 {
    let matchers = vec![Matcher::is(NAME, name)];
    let (from, to) = (WallTime::from_millis(0), WallTime::from_millis(i64::MAX));
    let found = reader.select(&Selection { matchers, from, to, step: None, ends: false }).unwrap();
    found.iter().flat_map(|series| &series.points).map(|point| point.value).fold(0.0, f64::max)
}
