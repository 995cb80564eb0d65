//! Exit codes, standard input, closed pipes.

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

pub(crate) fn highwater(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(args).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn output(args: &[&str]) -> Output {
    highwater(args).output().unwrap()
}

fn fixture(name: &str) -> String {
    format!("{}/../../fixtures/diagnose/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn usage_errors_are_64_in_every_command() {
    for args in [
        &["nonsense"][..],
        &["--nonsense"],
        &["why", "--since", "tomorrow"],
        &["why", "a", "b"],
        &["why", ""],
        &["restarts", ""],
        &["checkup", "extra"],
        &["agent", "--listen", "here"],
        &["completions", "elvish-fish"],
        &["man", "a", "b"],
        &["man", "nonsense"],
        &["--json", "man"],
        &["--data-dir", "/tmp", "completions", "bash"],
    ] {
        let done = output(args);
        assert_eq!(done.status.code(), Some(64), "{args:?}");
        assert!(!done.stderr.is_empty() && done.stdout.is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["why", "--help"]] {
        assert_eq!(output(args).status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn an_unreadable_input_is_an_error_and_one_without_deaths_is_not() {
    let missing = output(&["why", "--file", "/nonexistent/x.log"]);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("/nonexistent/x.log"), "{said}");
    let quiet = output(&["why", &fixture("restart.log")]);
    assert_eq!(quiet.status.code(), Some(0));
    let dir = tempfile::tempdir().unwrap();
    let no_store = output(&["why", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(no_store.status.code(), Some(1));
}

#[test]
fn standard_input_is_read_and_garbage_has_no_report() {
    let mut child = highwater(&["why", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\x00\xff\x1b[31m\n\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["deaths"], serde_json::json!([]));
    let note = answer["notes"][0]["text"].as_str().unwrap();
    assert_eq!(note, "standard input looks like a binary file: 2 lines read, no OOM report.");
}

#[test]
fn a_programs_file_does_not_hide_that_nobody_of_its_name_died() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("zzfault"), b"\x7fELF\x00\x00\n").unwrap();
    let done = highwater(&["why", "zzfault"]).current_dir(dir.path()).output().unwrap();
    let page = String::from_utf8_lossy(&done.stdout);
    let said: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "No death of zzfault is on record; zzfault looks like a binary file: 1 line";
    assert!(said.contains(words), "{said}");
}

#[test]
fn options_before_the_command_count_for_it() {
    let done = output(&["--json", "why", &fixture("v2.log")]);
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["deaths"].as_array().unwrap().len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    assert_eq!(output(&["--data-dir", dir, "why"]).status.code(), Some(1));
    let checkup = output(&["checkup", "--data-dir", dir]);
    assert_eq!(checkup.status.code(), Some(3), "a named recording that is not there");
    assert!(String::from_utf8_lossy(&checkup.stderr).contains(dir));
}

#[test]
fn a_target_that_is_no_log_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = format!("{}/gone", dir.path().display());
    for (target, words) in [
        (dir.path().to_str().unwrap(), "is a directory"),
        ("/dev/null", "is a device"),
        (missing.as_str(), "no such file"),
        ("gone.log", "no such file"),
    ] {
        let done = output(&["why", target]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{target}: {said}");
        assert!(said.contains(target) && said.contains(words), "{said}");
    }
}

#[test]
fn what_since_cuts_off_is_said() {
    let log = fixture("v2.log");
    for args in [&["why", &log, "--since", "1h"][..], &["why", &log, "--since", "1h", "--json"]] {
        let text = String::from_utf8(output(args).stdout).unwrap().replace('\n', " ");
        assert!(text.contains("Nothing was killed since"), "{text}");
        assert!(text.contains("was java (pid 910) at 2026-03-02T04:11:09.100Z"), "{text}");
    }
}

#[test]
fn a_name_chooses_among_the_deaths_of_a_log() {
    let (log, v1) = (fixture("v1.log"), ["4098", "resize", "/batch", "bat"]);
    let count = |name: &str| {
        let done = output(&["why", name, "--file", &log, "--json"]);
        let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        answer["deaths"].as_array().unwrap().len()
    };
    for name in v1 {
        assert_eq!(count(name), 1, "{name}");
    }
    assert_eq!((count("4101"), count("logger")), (0, 0), "who asked did not die");
    let code = |name: &str| output(&["why", name, "--file", &log]).status.code();
    assert_eq!((code("resize"), code("logger")), (Some(0), Some(1)), "scripts have to know");
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = highwater(&["why", &fixture("v2.log")]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn colours_are_for_terminals_only() {
    let plain = output(&["why", &fixture("v2.log")]).stdout;
    assert!(!plain.contains(&0x1b));
    let forced = highwater(&["why", &fixture("v2.log")]).env("CLICOLOR_FORCE", "1").output();
    assert!(forced.unwrap().stdout.contains(&0x1b));
}

#[test]
fn the_answer_is_a_screen_and_a_half_at_most() {
    for name in ["v1.log", "v2.log", "global.log", "bare.log", "no-kill.log", "restart.log"] {
        let text = String::from_utf8(output(&["why", &fixture(name)]).stdout).unwrap();
        assert!(text.lines().count() <= 60, "{name}: {}", text.lines().count());
    }
}

#[test]
fn manual_pages_and_completions_describe_every_command() {
    let dir = tempfile::tempdir().unwrap();
    assert!(output(&["man", "--dir", dir.path().to_str().unwrap()]).status.success());
    for page in [
        "highwater.1",
        "highwater-why.1",
        "highwater-checkup.1",
        "highwater-agent.1",
        "highwater-store.1",
        "highwater-store-export-db.1",
    ] {
        let mut text = String::new();
        let mut file = std::fs::File::open(dir.path().join(page)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.contains(".SH SYNOPSIS\nhighwater"), "{page}: {text}");
    }
    let page = output(&["man", "why"]).stdout;
    assert!(String::from_utf8_lossy(&page).contains(r"highwater\-why \- Explain"));
    assert!(String::from_utf8_lossy(&page).contains("\nhighwater why [OPTIONS] [TARGET]...\n"));
    let wrong = output(&["man", "mans"]).stderr;
    assert!(String::from_utf8_lossy(&wrong).contains("--dir DIR writes the pages of all"));
    let page = output(&["man", "store", "compact"]).stdout;
    assert!(String::from_utf8_lossy(&page).contains(r"highwater\-store\-compact \- Seal"));
    for shell in ["bash", "zsh", "fish"] {
        let script = output(&["completions", shell]).stdout;
        assert!(String::from_utf8_lossy(&script).contains("keep-ten-minutes"), "{shell}");
        assert!(String::from_utf8_lossy(&script).contains("checkup"), "{shell}");
    }
}

#[test]
fn a_standard_output_that_takes_nothing_is_named() {
    let log = fixture("v2.log");
    for args in [
        &["why", &log][..],
        &["why", &log, "--json"],
        &["checkup"],
        &["agent", "--print-config"],
        &["man"],
        &["completions", "bash"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let done = highwater(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.starts_with("highwater: cannot write to standard output: "),
            "{args:?}: {said}"
        );
    }
}
