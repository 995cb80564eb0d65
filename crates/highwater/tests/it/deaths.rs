//! Deaths of every kind from logs alone: `fixtures/deaths`, whose README tells how they came about.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::logs::{answer, fixture};

/// The forms in which a machine's log may be filed.
const FORMS: [&str; 3] = ["export", "json", "dmesg"];

/// The fewest cases of which there must be a log: an empty folder proves nothing.
const CASES: usize = 30;

/// One case: what was done, and the logs of it.
struct Case {
    expected: Value,
    logs: Vec<PathBuf>,
}

impl Case {
    fn all() -> Vec<Self> {
        let machines = ["deaths/vm", "deaths/here"].map(fixture);
        let files = machines.iter().flat_map(|machine| fs::read_dir(machine).unwrap());
        let mut expected: Vec<PathBuf> = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
            .collect();
        expected.sort();
        expected.iter().map(|path| Self::of(path)).collect()
    }

    fn of(path: &Path) -> Self {
        let stem = path.with_extension("").with_extension("");
        let logs = FORMS.map(|form| stem.with_extension(form)).into_iter();
        Self {
            expected: serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
            logs: logs.filter(|log| log.exists()).collect(),
        }
    }

    fn cause(&self) -> &str {
        self.expected["cause"].as_str().unwrap()
    }

    fn pid(&self) -> u64 {
        self.expected["pid"].as_u64().unwrap()
    }

    /// Whether the log has words of which this death can be known at all.
    fn is_in(&self, log: &str) -> bool {
        let pid = self.pid();
        let unit = self.expected["owner"]["id"].as_str().unwrap_or_default();
        let words = [
            format!("Killed process {pid} "),
            format!("[{pid}]: segfault"),
            format!("{unit}: Main process exited"),
            format!("{unit}: Failed with result"),
        ];
        words.iter().any(|words| log.contains(words))
    }

    /// The death as it is told: by its pid, or where the log does not know that by its owner.
    fn told<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        let deaths = answer["deaths"].as_array().unwrap();
        let by_pid = deaths.iter().find(|death| death["victim"]["pid"] == self.pid());
        let owner = &self.expected["owner"]["id"];
        by_pid.or_else(|| {
            let mut pidless = deaths.iter().filter(|death| death["victim"]["pid"].is_null());
            pidless.rfind(|death| &death["owner"]["id"] == owner)
        })
    }

    /// What is wrong with what a log's reader says.
    fn fault(&self, log: &Path) -> Option<String> {
        let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let answer = answer(&[&log.to_string_lossy()]);
        let Some(told) = self.told(&answer) else {
            return self.is_in(&text).then(|| "is not told".to_owned());
        };
        let cause = told["cause"].as_str().unwrap();
        let missing = told["missing"].as_array().map_or(0, Vec::len);
        match cause {
            cause if cause == self.cause() => None,
            "unknown" if missing > 0 => None,
            "unknown" => Some("is unknown, and nobody is said to be missing".to_owned()),
            cause => Some(format!("is told as {cause}: {}", told["summary"])),
        }
    }
}

#[test]
fn a_log_tells_the_same_cause_or_names_who_would_have_known() {
    let cases = Case::all();
    assert!(cases.len() >= CASES, "only {} cases", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        for log in &case.logs {
            let name = log.file_name().unwrap().to_string_lossy().into_owned();
            faults.extend(case.fault(log).map(|fault| format!("{name}: {} {fault}", case.cause())));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What only somebody who listened can know must not be guessed: the ways to send SIGKILL look the
/// same in a journal.
#[test]
fn a_journal_does_not_guess_who_sent_a_signal() {
    let mut missing = BTreeSet::new();
    for name in ["kill-shell", "kill-program", "cgroup-kill", "rlimit-cpu"] {
        let case = Case::of(Path::new(&fixture(&format!("deaths/vm/{name}.expected.json"))));
        let log = fixture(&format!("deaths/vm/{name}.export"));
        let answer = answer(&[&log]);
        let told = case.told(&answer).unwrap();
        assert!(told["sender"].is_null(), "{name}: {}", told["sender"]);
        let absent = told["missing"].as_array().unwrap();
        missing.extend(absent.iter().map(|one| one["witness"].as_str().unwrap().to_owned()));
    }
    assert!(missing.contains("signals"), "{missing:?}");
}
