//! The reader against whole logs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod choice;
#[path = "../../../../xtask/src/corpus.rs"]
mod corpus;
mod episodes;
mod formats;
mod interleaved;
mod live;
mod mutations;
mod skim;
mod snapshots;
mod trust;

use std::path::{Path, PathBuf};

use highwater_core::id::Pid;
use highwater_core::units::Bytes;
use highwater_oom::Cause;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/oom")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(format!("{name}.txt"))).unwrap()
}

const FIXTURES: [&str; 4] =
    ["v1-one-kill", "v1-limit-above-and-a-forged-name", "v1-burst-of-30", "v2-unit-memorymax"];

/// Logs and facts that are not part of the repository, where they are at hand.
#[test]
fn the_corpus_is_read_right() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/oomlogs");
    if dir.is_dir() {
        corpus::run(&dir).unwrap();
    } else {
        println!("left out, not there: {}", dir.display());
    }
}

#[test]
fn the_fixtures_are_read_right() {
    corpus::run(&fixtures()).unwrap();
    for name in FIXTURES {
        assert!(fixtures().join(format!("{name}.expected.json")).is_file(), "{name}");
    }
}

/// Log fragments as people paste them, abridged or damaged; not part of the repository either.
#[test]
fn pasted_fragments_are_read_right() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/seedlogs");
    let read = |name: &str| std::fs::read(dir.join(name)).ok().map(|log| corpus::reports(&log));
    let kib = |amount: Option<Bytes>| amount.unwrap().get() / 1024;
    if let Some(node) = read("gateway-node.log") {
        let kill = &node[0].kills[0];
        assert_eq!((node.len(), node[0].cause()), (1, Cause::KernelOomMemcg));
        assert_eq!((kill.pid, kill.comm.as_deref()), (Some(Pid::new(32145)), Some("node")));
        assert_eq!(
            (kib(kill.total_vm), kib(kill.rss), kib(kill.shmem_rss)),
            (2_048_000, 921_600, 0)
        );
        let owner = node[0].memcg.limit_owner.as_ref().unwrap();
        assert_eq!(owner.value, "/user.slice/user-0.slice/session-123.scope");
        let told: Vec<_> = node[0].oddities.iter().map(|odd| odd.what.as_str()).collect();
        for damaged in ["task_memc=", "total-vm:2048000KB", "RSS:921600KB", "shmem:0KB"] {
            assert!(told.iter().any(|what| what.contains(damaged)), "{damaged} in {told:?}");
        }
    }
    if let Some(nas) = read("nas-agent.log") {
        let kill = &nas[0].kills[0];
        assert_eq!((nas.len(), nas[0].cause()), (1, Cause::KernelOomMemcg));
        assert_eq!((kill.pid, kill.comm.as_deref()), (Some(Pid::new(12345)), Some("nas-agent")));
        assert_eq!((kib(kill.total_vm), kill.anon_rss), (2_456_789, Some(Bytes::new(1 << 30))));
        assert_eq!((kib(kill.file_rss), kill.reaped), (1234, Some(4)));
        let trigger = &nas[0].trigger.as_ref().unwrap().value;
        assert_eq!((trigger.comm.as_deref(), trigger.order), (Some("nas-agent"), Some(0)));
    }
    if let Some(next) = read("next-server.log") {
        let kill = &next[0].kills[0];
        assert_eq!((next.len(), next[0].cause()), (1, Cause::KernelOomGlobal));
        assert_eq!(kill.pid, Some(Pid::new(3_281_050)));
        assert_eq!((kib(kill.total_vm), kib(kill.anon_rss)), (73_269_092, 5_899_896));
        assert!(kill.bare);
    }
    assert!(read("gateway-health.log").is_none_or(|reports| reports.is_empty()));
}
