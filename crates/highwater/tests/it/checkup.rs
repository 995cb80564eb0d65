//! A check-up of the machine that runs the tests, whatever its state.

use crate::exits::highwater;

#[test]
fn a_checkup_fits_a_terminal_of_80_by_24() {
    let done = highwater(&["checkup"]).output().unwrap();
    assert!(matches!(done.status.code(), Some(0..=3)), "{:?}", done.status);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.lines().count() <= 23, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn no_command_is_a_checkup_and_its_exit_code_is_its_severity() {
    let done = highwater(&["--json"]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let severities = ["ok", "warning", "critical", "unknown"];
    let code = usize::try_from(done.status.code().unwrap()).unwrap();
    assert_eq!(answer["severity"], severities[code]);
    assert_eq!(answer["schema"], 1);
    assert!(answer["memory"]["total_bytes"].as_u64().unwrap() > 0);
    assert!(!answer["processes"].as_array().unwrap().is_empty());
}
