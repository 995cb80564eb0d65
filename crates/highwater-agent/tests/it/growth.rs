//! The program that judges what grows is a child: it goes when the agent does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::Agent;
use highwater_agent::config::Config;
use highwater_linux::root::Root;

/// An agent with this for a program.
fn start(dir: &Path, script: &str) -> Agent {
    let program = dir.join("judge");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = Config { program: Some(program), ..Config::default() };
    config.growth.every = Duration::from_millis(100);
    config.kmsg.enabled = false;
    Agent::start(&Root::live(), &dir.join("data"), &config).unwrap()
}

/// Waits for a text that the program left.
fn left(file: &Path) -> String {
    loop {
        match fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn an_agent_that_stops_does_not_wait_for_a_judgement() {
    let dir = tempfile::tempdir().unwrap();
    let agent =
        start(dir.path(), &format!("echo $$ > {}/pid; exec sleep 600", dir.path().display()));
    let pid = left(&dir.path().join("pid"));
    assert!(Path::new("/proc").join(&pid).exists());
    agent.stop();
    assert!(!Path::new("/proc").join(&pid).exists(), "the child went with the agent");
}

#[test]
fn a_program_that_fails_is_counted_and_the_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let agent = start(dir.path(), "exit 1");
    let board = agent.board();
    let count = |slot: &std::sync::atomic::AtomicU64| slot.load(Ordering::Relaxed);
    while count(&board.counts().growth_failures) == 0 || count(&board.counts().frames) == 0 {
        sleep(Duration::from_millis(20));
    }
    assert!(board.is_stored() && !board.has_failed());
    assert_eq!(count(&board.counts().growth_looks), 0);
    agent.stop();
}
