//! What highwater says: `leaks --json`, and `leaks OWNER` for people.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// What was said at one moment.
#[derive(Debug)]
pub(super) struct Look {
    /// How long after the programs began.
    pub(super) after: Duration,
    pub(super) told: Vec<Told>,
}

/// One course, as it was judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) resource: String,
    pub(super) verdict: String,
    pub(super) an_hour: Option<f64>,
    pub(super) confidence: f64,
    /// Whether anything is said for it.
    pub(super) is_reasoned: bool,
}

impl Told {
    pub(super) fn is_leak(&self) -> bool {
        self.verdict == "leak"
    }

    /// Whether it is said to become more and more: cache and slabs that can be given back are never
    /// called a leak.
    pub(super) fn grows(&self) -> bool {
        self.is_leak()
            || self.verdict == "growing"
            || (self.resource == "slab-reclaimable" && self.verdict == "cache")
    }
}

/// Asks for everything that is judged.
pub(super) fn look(program: &Path, data: &Path, after: Duration) -> anyhow::Result<Look> {
    let said = run(program, data, &["--json"])?;
    let document: Value = serde_json::from_str(&said).context("leaks --json is not JSON")?;
    let items = document.get("items").and_then(Value::as_array).context("no items")?;
    let told = items.iter().map(told).collect::<Option<Vec<_>>>();
    Ok(Look { after, told: told.context("an item is not whole")? })
}

/// Asks for one owner in depth.
pub(super) fn owner(program: &Path, data: &Path, name: &str) -> anyhow::Result<String> {
    run(program, data, &[name])
}

/// How many bytes more a process of `name` holds in the mapping that grew most, after five seconds, and
/// what that mapping is.
pub(super) fn mapped(
    program: &Path,
    data: &Path,
    name: &str,
    pid: u32,
) -> anyhow::Result<(String, u64)> {
    let said = run(program, data, &[name, "--watch", "5s", "--json"])?;
    let document: Value = serde_json::from_str(&said).context("leaks --watch is not JSON")?;
    let watched = document.get("mappings").and_then(Value::as_array).context("no mappings")?;
    let is_it = |one: &&Value| one.get("pid").and_then(Value::as_u64) == Some(pid.into());
    let it = watched.iter().find(is_it).context("it was not looked into")?;
    let most = it.pointer("/moved/0").context("nothing in it moved")?;
    let bytes = |pointer: &str| most.pointer(pointer).and_then(Value::as_u64).context("no bytes");
    let rise = bytes("/held_bytes/1")?.saturating_sub(bytes("/held_bytes/0")?);
    let name = most.get("name").and_then(Value::as_str).context("no name")?;
    Ok((name.to_owned(), rise))
}

fn run(program: &Path, data: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut leaks = Command::new(program);
    leaks.arg("leaks").args(arguments).arg("--data-dir").arg(data);
    let answer = leaks.stdin(Stdio::null()).output().context("cannot run leaks")?;
    let said = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "leaks failed ({}): {}", answer.status, said.trim());
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

fn told(item: &Value) -> Option<Told> {
    let text = |pointer: &str| Some(item.pointer(pointer)?.as_str()?.to_owned());
    Some(Told {
        kind: text("/owner/kind")?,
        id: text("/owner/id")?,
        resource: text("/resource")?,
        verdict: text("/verdict")?,
        an_hour: item.get("rate_bytes_per_hour")?.as_f64(),
        confidence: item.get("confidence")?.as_f64()?,
        is_reasoned: !item.get("claims")?.as_array()?.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_read_or_missed() {
        let item = serde_json::json!({
            "owner": { "kind": "unit", "id": "a.service", "name": "a.service" },
            "resource": "slab-reclaimable", "verdict": "cache", "confidence": 0.9,
            "rate_bytes_per_hour": 5.0, "claims": [{}],
        });
        let read = told(&item).unwrap();
        assert_eq!((read.kind.as_str(), read.an_hour), ("unit", Some(5.0)));
        assert!(read.grows() && !read.is_leak() && read.is_reasoned);
        assert!(!Told { resource: "cache".into(), ..read }.grows());
        assert_eq!(told(&serde_json::json!({ "owner": 1 })), None);
    }
}
