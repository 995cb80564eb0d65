//! What `inspect` says of a container: how it stands now, and what holds it.

use highwater_core::id::Pid;
use highwater_core::testimony::Limits;
use highwater_core::units::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::event::Named;
use crate::told::cut;

/// How long Docker waits after SIGTERM where nobody said otherwise.
const STOP_SECONDS: u64 = 10;

/// The most of the daemon's own error that is cited.
const ERROR_CHARS: usize = 120;

/// Between the moment that `inspect` gives and the event of it lie milliseconds; on a machine
/// that swaps, seconds.
const NEAR_NS: u64 = 5_000_000_000;

/// A container at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) whom: Named,
    /// Its first process, while it runs.
    pub(super) first: Option<Pid>,
    /// When it was started last, in nanoseconds since 1970.
    pub(super) started: Option<u64>,
    /// When it ended last.
    pub(super) finished: Option<u64>,
    /// With what it ended; of one that runs, nothing.
    pub(super) code: Option<i32>,
    /// The daemon says that it ran out of memory in this life.
    pub(super) oom: Option<bool>,
    /// How often the daemon restarted it by itself.
    pub(super) restarts: Option<u32>,
    pub(super) limits: Limits,
    /// What of this is worth citing.
    pub(super) words: String,
}

impl Standing {
    /// Reads the answer to `/containers/ID/json`.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let at = |path: &str| answer.pointer(path);
        let is_running = at("/State/Running").and_then(Value::as_bool)?;
        let none = Map::new();
        let labels = at("/Config/Labels").and_then(Value::as_object).unwrap_or(&none);
        let name = at("/Name").and_then(Value::as_str).unwrap_or_default();
        let pid = at("/State/Pid").and_then(Value::as_u64).filter(|pid| *pid > 0 && is_running);
        let code = at("/State/ExitCode").and_then(Value::as_i64).filter(|_| !is_running);
        Some(Self {
            whom: Named::of(at("/Id").and_then(Value::as_str)?, name, labels)?,
            first: pid.and_then(|pid| u32::try_from(pid).ok()).map(Pid::new),
            started: at("/State/StartedAt").and_then(moment),
            finished: at("/State/FinishedAt").and_then(moment),
            code: code.and_then(|code| i32::try_from(code).ok()),
            oom: at("/State/OOMKilled").and_then(Value::as_bool),
            restarts: at("/RestartCount")
                .and_then(Value::as_u64)
                .and_then(|count| u32::try_from(count).ok()),
            limits: limits(&answer),
            words: words(&answer),
        })
    }

    /// Whether the life that began around `ns` is the one that this tells of.
    pub(super) fn began_at(&self, ns: u64) -> bool {
        self.started.is_some_and(|started| started.abs_diff(ns) <= NEAR_NS)
    }

    /// Whether this tells of the end around `ns`, and of no life after it.
    pub(super) fn ended_at(&self, ns: u64) -> bool {
        self.first.is_none() && self.finished.is_some_and(|end| end.abs_diff(ns) <= NEAR_NS)
    }
}

/// `0001-01-01T00:00:00Z` is Docker's way of saying never.
fn moment(value: &Value) -> Option<u64> {
    let moment: Timestamp = value.as_str()?.parse().ok()?;
    u64::try_from(moment.as_nanosecond()).ok().filter(|ns| *ns > 0)
}

fn limits(answer: &Value) -> Limits {
    let number = |path: &str| answer.pointer(path).and_then(Value::as_u64);
    let text = |path: &str| {
        let text = answer.pointer(path)?.as_str()?;
        (!text.is_empty()).then(|| cut(text.as_bytes(), ERROR_CHARS))
    };
    let retries = number("/HostConfig/RestartPolicy/MaximumRetryCount").filter(|most| *most > 0);
    let restart = text("/HostConfig/RestartPolicy/Name");
    Limits {
        memory: number("/HostConfig/Memory").filter(|bytes| *bytes > 0).map(Bytes::new),
        restart: restart.map(|policy| match retries {
            Some(most) => format!("{policy}:{most}"),
            None => policy,
        }),
        stop_timeout_ms: Some(
            number("/Config/StopTimeout").unwrap_or(STOP_SECONDS).saturating_mul(1_000),
        ),
        log_driver: text("/HostConfig/LogConfig/Type"),
        ..Limits::default()
    }
}

/// `OOMKilled=false ExitCode=137 RestartCount=2 Memory=16777216`.
fn words(answer: &Value) -> String {
    const CITED: [&str; 7] = [
        "/State/OOMKilled",
        "/State/ExitCode",
        "/State/Error",
        "/RestartCount",
        "/HostConfig/Memory",
        "/HostConfig/MemorySwap",
        "/HostConfig/OomKillDisable",
    ];
    let mut words = String::new();
    for path in CITED {
        let value = match answer.pointer(path) {
            Some(Value::String(text)) if !text.is_empty() => cut(text.as_bytes(), ERROR_CHARS),
            Some(Value::Number(number)) if number.as_u64() != Some(0) => number.to_string(),
            Some(Value::Number(number)) if path.starts_with("/State") => number.to_string(),
            Some(Value::Bool(is_so)) if *is_so || path.starts_with("/State") => is_so.to_string(),
            _ => continue,
        };
        let key = path.rsplit('/').next().unwrap_or(path);
        words.extend([if words.is_empty() { "" } else { " " }, key, "=", &value]);
    }
    words
}

/// What `/containers/json` says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) whom: Named,
    /// Whether it has a process, where that is sure.
    pub(super) runs: Option<bool>,
    /// It stands so for an hour or more, or was never started.
    pub(super) is_lasting: bool,
}

impl Listed {
    /// `State` is a word; of the moment there are only words for people, in `Status`: `Up 2 hours`,
    /// `Exited (0) About an hour ago`.
    fn of(whom: Named, container: &Value) -> Self {
        let word = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default();
        let spans = [" hour", " day", " week", " month", " year"];
        let runs = match word("State") {
            "running" | "paused" => Some(true),
            "created" | "exited" | "stopped" | "dead" => Some(false),
            _ => None,
        };
        let is_old = spans.iter().any(|span| word("Status").contains(span));
        Self { whom, runs, is_lasting: is_old || word("State") == "created" }
    }
}

/// What `/containers/json` says of each: its id, its name, how it stands.
pub(super) fn listed(body: &[u8]) -> Vec<Listed> {
    let answer: Option<Vec<Value>> = serde_json::from_slice(body).ok();
    let none = Map::new();
    let named = |container: &Value| {
        let names = container.get("Names").and_then(Value::as_array);
        // A link from another container is a name with a second slash.
        let own = |name: &&str| !name.trim_start_matches('/').contains('/');
        let mut names = names.into_iter().flatten().filter_map(Value::as_str);
        let name = names.find(own).unwrap_or_default();
        let labels = container.get("Labels").and_then(Value::as_object).unwrap_or(&none);
        let whom = Named::of(container.get("Id")?.as_str()?, name, labels)?;
        Some(Listed::of(whom, container))
    };
    answer.unwrap_or_default().iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Standing {
        Standing::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_running_container_has_a_first_process_and_limits() {
        let standing = of(include_str!("../../../../fixtures/docker/inspect-running.json"));
        assert_eq!(standing.whom.owner.to_string(), "container stubborn");
        assert!(standing.first.is_some() && standing.code.is_none());
        assert_eq!(standing.finished, None, "it never ended");
        assert_eq!(standing.limits.stop_timeout_ms, Some(1_000));
        assert_eq!(standing.limits.log_driver.as_deref(), Some("json-file"));
        assert_eq!(
            (standing.limits.memory, standing.limits.restart.as_deref()),
            (None, Some("no"))
        );
    }

    #[test]
    fn an_ended_one_says_how() {
        let flaky = of(include_str!("../../../../fixtures/docker/inspect-flaky.json"));
        assert_eq!((flaky.code, flaky.restarts, flaky.first), (Some(3), Some(2), None));
        assert_eq!(flaky.limits.restart.as_deref(), Some("on-failure:2"));
        assert_eq!(flaky.limits.stop_timeout_ms, Some(10_000));
        assert!(flaky.ended_at(flaky.finished.unwrap() + 15_000_000));
        assert!(!flaky.ended_at(flaky.finished.unwrap() + 60_000_000_000));
        let hog = of(include_str!("../../../../fixtures/docker/inspect-oom.json"));
        assert_eq!((hog.oom, hog.code), (Some(true), Some(137)));
        assert_eq!(hog.limits.memory, Some(Bytes::from_mib(16)));
        assert_eq!(hog.words, "OOMKilled=true ExitCode=137 Memory=16777216 MemorySwap=33554432");
    }

    #[test]
    fn a_life_after_the_end_hides_how_it_ended() {
        let keeper = of(include_str!("../../../../fixtures/docker/inspect-keeper.json"));
        assert!(keeper.finished < keeper.started);
        assert!(!keeper.ended_at(keeper.finished.unwrap()));
        assert!(keeper.began_at(keeper.started.unwrap() + 2_000_000));
    }

    #[test]
    fn a_list_gives_names() {
        let body = br#"[{"Id":"aa","Names":["/other/link","/web"]},{"Id":"zz!"},{"Id":"bb"},3]"#;
        let owners: Vec<String> =
            listed(body).iter().map(|one| one.whom.owner.to_string()).collect();
        assert_eq!(owners, ["container web", "container bb"]);
        assert!(listed(body).iter().all(|one| one.runs.is_none() && !one.is_lasting));
        let of = |state: &str, status: &str| {
            let body = format!(r#"[{{"Id":"aa","State":"{state}","Status":"{status}"}}]"#);
            listed(body.as_bytes()).first().map(|one| (one.runs, one.is_lasting)).unwrap()
        };
        assert_eq!(of("running", "Up About an hour (healthy)"), (Some(true), true));
        assert_eq!(of("running", "Up 59 minutes"), (Some(true), false));
        assert_eq!(of("exited", "Exited (137) 3 weeks ago"), (Some(false), true));
        assert_eq!(of("created", "Created"), (Some(false), true));
        assert_eq!(of("restarting", "Restarting (1) 5 seconds ago"), (None, false));
        assert!(listed(b"[{").is_empty() && listed(b"{}").is_empty());
    }

    #[test]
    fn garbage_is_no_standing() {
        let whole = include_bytes!("../../../../fixtures/docker/inspect-running.json");
        for body in [&b""[..], b"{}", b"[]", b"{\"State\":{\"Running\":true}}", &whole[..900]] {
            assert_eq!(Standing::parse(body), None);
        }
        let odd = br#"{"Id":"aa","State":{"Running":false,"Pid":-4,"StartedAt":"soon",
            "ExitCode":1e99},"HostConfig":{"Memory":"much"},"RestartCount":99999999999}"#;
        let odd = Standing::parse(odd).unwrap();
        assert_eq!((odd.first, odd.started, odd.code, odd.restarts), (None, None, None, None));
    }
}
