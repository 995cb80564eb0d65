//! One kill, printed by every tool of the machine in every format that it has: the facts are the
//! same. Times are left out, for some formats have none, or only one of the two clocks.

use std::path::PathBuf;

use highwater_oom::facts::facts;
use serde_json::Value;

use crate::{corpus, fixtures};

/// How many formats the capture has, and `dmesg` without options, which the others are held to.
const FORMATS: usize = 28;

fn folder() -> PathBuf {
    fixtures().join("formats")
}

/// The facts of one log, but not when.
fn timeless(log: &[u8]) -> Value {
    let mut found = serde_json::to_value(facts(&corpus::reports(log))).unwrap();
    for death in found["deaths"].as_array_mut().unwrap() {
        let death = death.as_object_mut().unwrap();
        death.remove("time");
        death.remove("boot_seconds");
    }
    found
}

#[test]
fn the_plain_format_is_read_right() {
    corpus::run(&folder()).unwrap();
}

#[test]
fn every_format_yields_the_same_facts() {
    let plain = timeless(&std::fs::read(folder().join("v2-unit.txt")).unwrap());
    assert_eq!(plain["deaths"].as_array().unwrap().len(), 1);
    let mut others = 0;
    for file in folder().read_dir().unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.strip_suffix(".txt").is_some_and(|name| name != "v2-unit") {
            assert_eq!(timeless(&std::fs::read(&path).unwrap()), plain, "{name}");
            others += 1;
        }
    }
    assert_eq!(others, FORMATS);
}

/// Where a format tells when, it is the same moment. What `dmesg -T` prints has no zone.
#[test]
fn clocks_agree_across_formats() {
    let first = |name: &str| {
        let log = std::fs::read(folder().join(format!("v2-unit{name}.txt"))).unwrap();
        facts(&corpus::reports(&log)).deaths.remove(0)
    };
    let boot = first("").boot_seconds.unwrap();
    for name in [".kmsg", ".dmesg-levels", ".dmesg-raw", ".dmesg-delta", ".dmesg-colour"] {
        assert_eq!(first(name).boot_seconds, Some(boot), "{name}");
    }
    let second = "2026-11-21T03:20:4";
    for name in [
        ".journal-json",
        ".journal-export",
        ".journal-short-iso",
        ".journal-short-unix",
        ".dmesg-iso",
    ] {
        let time = first(name).time.unwrap_or_default();
        assert!(time.starts_with(second), "{name}: {time}");
    }
}
