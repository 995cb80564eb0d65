//! The rule by which node-problem-detector reports an `OOMKilling`: the pattern of
//! `config/kernel-monitor.json`, restated. It is sought in each message and must reach to its end;
//! what comes out is an event with the text of the message.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::case::Case;

/// The pattern; the two groups are ours, to know of whom the message speaks.
const RULE: &str =
    r"Killed process ([0-9]+) (.+) total-vm:[0-9]+kB, anon-rss:[0-9]+kB, file-rss:[0-9]+kB.*\z";

static COMPILED: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| Regex::new(RULE));

/// The deaths that it reports.
pub(super) fn read(log: &Case) -> Result<Vec<Value>, String> {
    let rule = COMPILED.as_ref().map_err(ToString::to_string)?;
    Ok(log.messages().iter().filter_map(|message| death(rule, message)).collect())
}

fn death(rule: &Regex, message: &str) -> Option<Value> {
    let parts = rule.captures(message)?;
    let pid: u64 = parts.get(1)?.as_str().parse().ok()?;
    let name = parts.get(2)?.as_str();
    let comm = name.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
    Some(json!({ "victim": { "pid": pid, "comm": comm } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reports_a_kill_line_with_sizes() {
        let rule = COMPILED.as_ref().unwrap();
        let line = "Killed process 7 (hog) total-vm:3kB, anon-rss:2kB, file-rss:1kB, shmem-rss:0kB";
        assert_eq!(death(rule, line), Some(json!({ "victim": { "pid": 7, "comm": "hog" } })));
        assert_eq!(death(rule, "Killed process 7 (hog)"), None);
        assert_eq!(death(rule, &format!("{line}\nmore")), None);
    }
}
