//! The same files by Prometheus's own tool and by ours: the same verdicts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use highwater_alert::RuleFile;
use highwater_alert::unit::TestFile;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rules");

/// Files that Prometheus 3 takes and 2.42, which is what is compared with, does not.
const NEWER: [(&str, &str); 4] = [
    ("good-query-offset", "groups have no query_offset before 2.53, and no labels before 3"),
    ("good-utf8-names", "names of labels are not of any characters before 3"),
    ("pass-fuzzy", "there is no fuzzy_compare before 3"),
    ("pass-start", "there is no start_timestamp before 3"),
];

/// The files of a folder that begin with `good-` or `pass-`, and the others.
fn files(folder: &str) -> Vec<(PathBuf, String, bool)> {
    let entries = fs::read_dir(Path::new(RULES).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let good = name.starts_with("good-") || name.starts_with("pass-");
            assert!(good || name.starts_with("bad-") || name.starts_with("fail-"), "{name}");
            (path, name, good)
        })
        .collect();
    files.sort();
    files
}

fn promtool(args: &[&str], path: &Path) -> bool {
    let mut command = Command::new("promtool");
    command.args(args).arg(path.file_name().unwrap()).current_dir(path.parent().unwrap());
    let status = command.stdin(Stdio::null()).output().expect("promtool, of Debian's prometheus");
    match status.status.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("promtool ended with {other:?} on {}", path.display()),
    }
}

fn compare(folder: &str, args: &[&str], ours: impl Fn(&Path) -> Result<(), String>) -> usize {
    let mut wrong = String::new();
    let files = files(folder);
    for (path, name, good) in &files {
        let newer = NEWER.iter().any(|(newer, _)| newer == name);
        let theirs = promtool(args, path);
        if theirs != (*good && !newer) {
            writeln!(wrong, "{name}: promtool says {theirs}").unwrap();
        }
        match ours(path) {
            Ok(()) if !good => writeln!(wrong, "{name}: we take it").unwrap(),
            Err(why) if *good => writeln!(wrong, "{name}: we say {why}").unwrap(),
            _ => {}
        }
    }
    assert_eq!(wrong, "");
    files.len()
}

fn read(path: &Path) -> Result<RuleFile, String> {
    RuleFile::read("rules", &fs::read_to_string(path).unwrap())
        .map_err(|faults| format!("{faults:?}"))
}

fn test(path: &Path) -> Result<(), String> {
    let tests = TestFile::read("test", &fs::read_to_string(path).unwrap());
    let tests = tests.map_err(|faults| format!("{faults:?}"))?;
    let mut rules = Vec::new();
    for pattern in &tests.rule_files {
        let pattern = path.parent().unwrap().join(pattern);
        for path in glob::glob(pattern.to_str().unwrap()).unwrap() {
            rules.push(read(&path.unwrap())?);
        }
    }
    let failures = tests.run(&rules).failures;
    if failures.is_empty() { Ok(()) } else { Err(format!("{failures:?}")) }
}

#[test]
fn files_are_right_and_wrong_as_for_promtool() {
    let count = compare("check", &["check", "rules"], |path| read(path).map(drop));
    assert!(count >= 40, "{count}");
}

#[test]
fn tests_pass_and_fail_as_for_promtool() {
    let count = compare("tests", &["test", "rules"], test);
    assert!(count >= 50, "{count}");
}

#[test]
fn faults_have_places_and_ways_out() {
    let mut said = String::new();
    for (path, name, _) in files("check").into_iter().filter(|(_, _, good)| !good) {
        let faults = RuleFile::read(&name, &fs::read_to_string(path).unwrap()).unwrap_err();
        for fault in faults {
            writeln!(said, "{fault}").unwrap();
        }
    }
    insta::assert_snapshot!(said);
}
