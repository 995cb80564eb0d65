//! The rules by which cadvisor, and with it the kubelet, reads the kernel's log: `oomparser.go` of
//! google/cadvisor, restated.
//!
//! A line with `invoked oom-killer:` opens an event; from there on it waits, without an end, for a
//! line that names the victim: the summary of ≥ 5.0 (only where it names a memory cgroup) or the
//! kill line. Everything in between that names cgroups is kept.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::case::Case;

/// The summary line, its parts in this order.
const SUMMARY: &str = "oom-kill:constraint=(.*),nodemask=(.*),cpuset=(.*),mems_allowed=(.*),\
                       oom_memcg=(.*),task_memcg=(.*),task=(.*),pid=(.*),uid=(.*)";
/// What a kernel before 5.0 says of the cgroups.
const CGROUPS: &str = r"Task in (.*) killed as a result of limit of (.*)";
/// The kill line.
const KILL: &str = r"Killed process ([0-9]+) \((.+)\)";
/// What opens an event.
const TRIGGER: &str = "invoked oom-killer:";

/// The expressions, compiled.
struct Rules {
    summary: Regex,
    cgroups: Regex,
    kill: Regex,
}

static RULES: LazyLock<Result<Rules, regex::Error>> = LazyLock::new(|| {
    Ok(Rules {
        summary: Regex::new(SUMMARY)?,
        cgroups: Regex::new(CGROUPS)?,
        kill: Regex::new(KILL)?,
    })
});

/// The deaths that its rules find in a log's messages.
pub(super) fn read(log: &Case) -> Result<Vec<Value>, String> {
    let rules = RULES.as_ref().map_err(ToString::to_string)?;
    Ok(deaths(rules, &log.messages()))
}

fn deaths(rules: &Rules, messages: &[String]) -> Vec<Value> {
    let mut deaths = Vec::new();
    let mut open: Option<Event> = None;
    for message in messages {
        let Some(event) = &mut open else {
            open = message.contains(TRIGGER).then(Event::default);
            continue;
        };
        if event.is_ended_by(rules, message) {
            deaths.extend(open.take().map(Event::death));
        }
    }
    deaths
}

/// An event under way.
#[derive(Debug, Default)]
struct Event {
    pid: Option<u64>,
    comm: Option<String>,
    constraint: Option<String>,
    /// The cgroup of the victim, and the one whose limit was reached.
    task: Option<String>,
    owner: Option<String>,
}

impl Event {
    /// Takes what the line says; true where it names the victim.
    fn is_ended_by(&mut self, rules: &Rules, message: &str) -> bool {
        if let Some(parts) = rules.summary.captures(message) {
            self.constraint = group(&parts, 1);
            self.owner = group(&parts, 5);
            self.task = group(&parts, 6);
            self.comm = group(&parts, 7);
            self.pid = group(&parts, 8).and_then(|pid| pid.parse().ok());
            return self.pid.is_some();
        }
        if let Some(parts) = rules.cgroups.captures(message) {
            self.task = group(&parts, 1);
            self.owner = group(&parts, 2);
        }
        let Some(parts) = rules.kill.captures(message) else { return false };
        self.pid = group(&parts, 1).and_then(|pid| pid.parse().ok());
        self.comm = group(&parts, 2);
        self.pid.is_some()
    }

    fn death(self) -> Value {
        let constraint = match self.constraint.as_deref() {
            Some("CONSTRAINT_NONE") => Some("none"),
            Some("CONSTRAINT_MEMCG") => Some("memcg"),
            Some("CONSTRAINT_CPUSET") => Some("cpuset"),
            Some("CONSTRAINT_MEMORY_POLICY") => Some("mempolicy"),
            _ => None,
        };
        json!({
            "victim": { "pid": self.pid, "comm": self.comm },
            "constraint": constraint,
            "memcg": { "task": self.task, "limit_owner": self.owner },
        })
    }
}

fn group(parts: &Captures<'_>, number: usize) -> Option<String> {
    parts.get(number).map(|part| part.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(messages: &[&str]) -> Vec<Value> {
        let messages: Vec<String> = messages.iter().map(|&message| message.to_owned()).collect();
        deaths(RULES.as_ref().unwrap(), &messages)
    }

    #[test]
    fn the_summary_of_a_cgroup_ends_an_event() {
        let summary = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,\
                       mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=hog,pid=7,uid=0";
        let kill = "Memory cgroup out of memory: Killed process 7 (hog) total-vm:1kB";
        let deaths = read(&["hog invoked oom-killer: gfp_mask=0xcc0", summary, kill]);
        let death = json!({
            "victim": { "pid": 7, "comm": "hog" },
            "constraint": "memcg",
            "memcg": { "task": "/a/b", "limit_owner": "/a" },
        });
        assert_eq!(deaths, [death]);
    }

    #[test]
    fn it_waits_for_a_victim_past_the_next_trigger() {
        let trigger = "hog invoked oom-killer: gfp_mask=0xcc0";
        let deaths = read(&[trigger, trigger, "Killed process 8 (late) total-vm:1kB"]);
        let pids: Vec<_> = deaths.iter().filter_map(|death| death.pointer("/victim/pid")).collect();
        assert_eq!(pids, [&json!(8)]);
    }

    #[test]
    fn without_a_trigger_there_is_no_event() {
        assert!(read(&["Killed process 8 (late) total-vm:1kB"]).is_empty());
    }
}
