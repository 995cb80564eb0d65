//! The rules that come with highwater, as promtool sees them: it takes them all, and each fires when it
//! should and does not when it should not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

/// The YAML files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    files.sort();
    files
}

/// What promtool says of files, and whether it is content.
fn promtool(verb: &[&str], files: &[PathBuf]) -> (bool, String) {
    let done = Command::new("promtool").args(verb).args(files).output();
    let done = done.expect("promtool of Debian's package prometheus is needed");
    let text = [done.stdout, done.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    (done.status.success(), text.concat())
}

#[test]
fn promtool_takes_every_shipped_rule_and_their_tests_pass() {
    let all = files(&rules());
    assert!(all.len() >= 7, "{all:?}");
    let (taken, said) = promtool(&["check", "rules"], &all);
    assert!(taken && said.matches("SUCCESS").count() == all.len(), "{said}");
    let tests = files(&rules().join("tests"));
    assert_eq!(tests.len(), all.len(), "each file has its tests");
    let (passed, said) = promtool(&["test", "rules"], &tests);
    assert!(passed && said.matches("SUCCESS").count() == tests.len(), "{said}");
}

#[test]
fn each_shipped_alert_is_tested_both_ways_and_says_what_to_do() {
    for file in files(&rules()) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap();
        let tests = fs::read_to_string(rules().join("tests").join(name)).unwrap();
        let mut fires: BTreeSet<&str> = BTreeSet::new();
        let mut rests: BTreeSet<&str> = BTreeSet::new();
        for case in tests.split("alertname: ").skip(1) {
            let (alert, rest) = case.split_once('\n').unwrap();
            let is_silent = rest.trim_start().starts_with("exp_alerts: []");
            if is_silent {
                rests.insert(alert)
            } else {
                fires.insert(alert)
            };
        }
        let rules = text.split("- alert: ").skip(1).map(|rule| rule.split_once('\n').unwrap());
        for (alert, rule) in rules {
            assert!(
                fires.contains(alert) && rests.contains(alert),
                "{alert} in {}",
                file.display()
            );
            for part in ["severity: ", "summary: ", "description: ", "action: "] {
                assert!(rule.contains(part), "{alert} has no {part}");
            }
        }
    }
}
