//! Reports to be handed on: each in a file of its own, and without names.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::logs::{answer, fixture, output, piped};

/// Our own logs with deaths or episodes in them.
fn logs() -> Vec<String> {
    let dirs = ["oom", "diagnose"].map(fixture);
    let files = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "txt" || end == "log");
    let mut logs: Vec<String> =
        paths.filter(is_log).map(|path| path.display().to_string()).collect();
    logs.sort();
    assert!(logs.len() > 8, "{logs:?}");
    logs
}

/// The facts without what names where they were read; without names, if `is_masked`.
fn facts(value: &Value, is_masked: bool) -> Value {
    const WORDS: [&str; 9] = [
        "claims",
        "summary",
        "advice",
        "oddities",
        "confidence",
        "of",
        "text",
        "evidence",
        "trust",
    ];
    // What witnesses add stands in other lines of the log than the report.
    const WITNESSED: [&str; 16] = [
        "asker",
        "child",
        "owner",
        "command",
        "cgroup",
        "container_id",
        "first",
        "status",
        "signal",
        "sender",
        "limit_of",
        "lived_seconds",
        "contradictions",
        "ruled_out",
        "missing",
        "witnesses",
    ];
    const NAMES: [&str; 5] = ["comm", "limit_owner", "task", "name", "path"];
    let kept = |key: &String| {
        let is_name = is_masked && NAMES.contains(&key.as_str());
        !is_name && !WORDS.contains(&key.as_str()) && !WITNESSED.contains(&key.as_str())
    };
    match value {
        Value::Object(all) => {
            let all = all.iter().filter(|(key, _)| kept(key));
            all.map(|(key, value)| (key.clone(), facts(value, is_masked))).collect()
        }
        Value::Array(all) => all.iter().map(|value| facts(value, is_masked)).collect(),
        other => other.clone(),
    }
}

fn told(answer: &Value, is_masked: bool) -> Value {
    let is_report = |death: &&Value| death["trust"] != "witnesses";
    let deaths: Vec<&Value> =
        answer["deaths"].as_array().unwrap().iter().filter(is_report).collect();
    facts(&serde_json::json!([deaths, answer["episodes"]]), is_masked)
}

fn written(answer: &Value) -> Vec<&str> {
    let files = answer["written"].as_array().unwrap();
    files.iter().map(|file| file.as_str().unwrap()).collect()
}

#[test]
fn a_report_split_off_has_the_same_facts() {
    let dir = tempfile::tempdir().unwrap();
    for (at, log) in logs().iter().enumerate() {
        let into = dir.path().join(at.to_string()).display().to_string();
        let whole = answer(&[log, "--split", &into]);
        let files = written(&whole);
        if files.is_empty() {
            assert_eq!(told(&whole, false), serde_json::json!([[], []]), "{log}");
            continue;
        }
        assert_eq!(told(&answer(&files), false), told(&whole, false), "{log}");
    }
}

#[test]
fn what_standard_input_brings_is_split_too() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().to_str().unwrap();
    let log = std::fs::read(fixture("diagnose/v2.log")).unwrap();
    let done = piped(&log, &["--split", into]);
    let file = format!("{into}/0001-2026-03-02T041109Z-java-910.log");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains(&format!("Written  1 report\n  {file}\n")), "{text}");
    assert_eq!(answer(&[&file])["deaths"][0]["victim"]["pid"], 910);
    let again = piped(&log, &["--split", into]);
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains(&file) && said.contains("--split"), "{said}");
    assert!(again.stdout.is_empty());
}

#[test]
fn a_hostile_name_stays_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (outer, inner) = (dir.path(), dir.path().join("in"));
    let kill = |at: u32, comm: &str| {
        format!(
            "3,{at},{at}00000000,-;Out of memory: Killed process 7{at} ({comm}) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0\n"
        )
    };
    let names = ["../../etc/x", r"new\x0aline", "a/b", "..", r"\x1b[31m", "x) total-vm:9kB"];
    let log: String = (1..).zip(names).map(|(at, comm)| kill(at, comm)).collect();
    let done = piped(log.as_bytes(), &["--json", "--split", inner.to_str().unwrap()]);
    let whole: Value = serde_json::from_slice(&done.stdout).unwrap();
    let files = written(&whole);
    assert_eq!(files.len(), names.len());
    assert_eq!(std::fs::read_dir(outer).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), names.len());
    let text: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!text.contains(&0x1b));
    assert_eq!(told(&answer(&files), false), told(&whole, false));
}

/// Every name that the answer holds: of processes, of cgroups and the parts of their paths.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => {
            for (key, value) in all {
                match value.as_str() {
                    Some(name) if key == "comm" => drop(into.insert(name.to_owned())),
                    Some(path) if key == "limit_owner" || key == "task" => {
                        into.extend(path.split('/').map(ToOwned::to_owned));
                    }
                    _ => names(value, into),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}

/// What everybody has, and words that highwater says itself.
const PUBLIC: [&str; 13] = [
    "child",
    "bash",
    "systemctl",
    "dbus-daemon",
    "(sd-pam)",
    "init",
    "init.scope",
    "systemd",
    "system.slice",
    "user.slice",
    "docker",
    "leak",
    "again",
];

#[test]
fn no_name_is_left_and_the_facts_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for (at, log) in logs().iter().enumerate() {
        let into = dir.path().join(at.to_string()).display().to_string();
        let whole = answer(&[log]);
        let masked = answer(&[log, "--anonymize", "--split", &into]);
        let files: Vec<String> =
            written(&masked).iter().map(|name| format!("{into}/{name}")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        if files.is_empty() {
            continue;
        }
        // A name with a line end stands on two lines, and its halves get a mask each.
        if !log.contains("hostile") {
            assert_eq!(told(&masked, true), told(&whole, true), "{log}");
            assert_eq!(told(&answer(&files), true), told(&whole, true), "{log}");
        }
        let page = output(&["why", log, "--anonymize"]).stdout;
        let mut shared = String::from_utf8(page).unwrap() + &masked.to_string();
        shared.extend(files.iter().map(|file| std::fs::read_to_string(file).unwrap()));
        let shared = shared.replace(&into, "");
        let mut secret = BTreeSet::from([log.clone()]);
        names(&whole, &mut secret);
        secret.retain(|name| name.len() > 2 && !name.starts_with("systemd-"));
        let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
        let is_login = |name: &str| name.starts_with("user-") || name.starts_with("session-");
        for name in secret {
            if !PUBLIC.contains(&name.as_str()) && !is_number(&name) && !is_login(&name) {
                assert!(!holds(&shared, &name), "{log}: {name}\n{shared}");
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "{checked}");
}

/// Does `text` hold `name` as a word of its own?
fn holds(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    text.match_indices(name).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        !is_part(before.chars().next_back()) && !is_part(rest.chars().nth(name.chars().count()))
    })
}

#[test]
fn names_that_are_words_of_the_kernel_are_masked_where_they_are_names() {
    let log = "2026-03-02T04:11:09.000000+00:00 vault-7 kernel: memory invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
2026-03-02T04:11:09.000001+00:00 vault-7 kernel: CPU: 3 PID: 7 Comm: memory Not tainted 6.1.0-28-amd64 #1
2026-03-02T04:11:09.000002+00:00 vault-7 kernel: Hardware name: Initech Mainframe/X1, BIOS 3 04/01/2024
2026-03-02T04:11:09.000003+00:00 vault-7 kernel: memory: usage 65536kB, limit 65536kB, failcnt 9
2026-03-02T04:11:09.000004+00:00 vault-7 kernel: Memory cgroup stats for /anon/payroll:
2026-03-02T04:11:09.000005+00:00 vault-7 kernel: anon 64258048
2026-03-02T04:11:09.000006+00:00 vault-7 kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=payroll,mems_allowed=0,oom_memcg=/anon/payroll,task_memcg=/anon/payroll/ann.smith@10.1.2.3,task=memory,pid=7,uid=0
2026-03-02T04:11:09.000007+00:00 vault-7 kernel: Memory cgroup out of memory: Killed process 7 (memory) total-vm:68816kB, anon-rss:62100kB, file-rss:312kB, shmem-rss:0kB, UID:1000 pgtables:168kB oom_score_adj:0
";
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("x").display().to_string();
    let done = piped(log.as_bytes(), &["--json", "--anonymize", "--split", &into]);
    let masked: Value = serde_json::from_slice(&done.stdout).unwrap();
    let death = &masked["deaths"][0];
    assert_eq!(death["victim"]["comm"], "proc-1");
    assert_eq!(death["trigger"]["comm"], "proc-1");
    assert_eq!(death["memcg"]["limit_owner"], "/cgroup-1/cgroup-2");
    let name = written(&masked)[0];
    assert!(!name.contains('/'), "a directory is a name, too: {name}");
    let file = std::fs::read_to_string(dir.path().join("x").join(name)).unwrap();
    let page = String::from_utf8(piped(log.as_bytes(), &["--anonymize"]).stdout).unwrap();
    let shared = String::from_utf8(done.stdout).unwrap() + &page + &file;
    for secret in [
        "payroll",
        "ann",
        "smith",
        "10.1.2.3",
        "vault",
        "Initech",
        "Mainframe",
        "(memory)",
        "/anon",
    ] {
        assert!(!holds(&shared, secret), "{secret}: {shared}");
    }
    assert!(
        file.contains("Memory cgroup stats for /cgroup-1/cgroup-2:")
            && file.contains("anon 64258048")
    );
}

#[test]
fn without_names_deaths_stay_in_their_order() {
    let dumps = ["exit-1", "oom-unit", "watchdog", "oom-child", "segfault"];
    let logs = dumps.map(|name| fixture(&format!("deaths/vm/{name}.export")));
    let order = |extra: &[&str]| -> Vec<(Value, Value)> {
        let logs: Vec<&str> =
            logs.iter().map(String::as_str).chain(extra.iter().copied()).collect();
        let told = answer(&logs);
        let deaths = told["deaths"].as_array().unwrap().iter();
        deaths.map(|death| (death["time"].clone(), death["cause"].clone())).collect()
    };
    let (whole, masked) = (order(&[]), order(&["--anonymize"]));
    assert!(whole.len() >= 5, "{whole:?}");
    assert_eq!(masked, whole);
}

#[test]
fn one_name_has_one_mask_in_all_logs_and_a_name_can_still_be_asked_for() {
    let (v1, v2) = (fixture("diagnose/v1.log"), fixture("diagnose/v2.log"));
    let twice = answer(&["--anonymize", &v2, &v1]);
    let comm = |at: usize| twice["deaths"][at]["victim"]["comm"].as_str().unwrap().to_owned();
    assert_ne!(comm(0), comm(1));
    let java = answer(&["--anonymize", "java", &v1, &v2]);
    assert_eq!(java["deaths"].as_array().unwrap().len(), 1);
    assert_eq!(java["deaths"][0]["victim"]["pid"], 910);
    let nobody = answer(&["--anonymize", "nobody-here", &v1]);
    assert!(
        !nobody.to_string().contains("nobody-here") && !nobody.to_string().contains("v1.log"),
        "{nobody}"
    );
}
