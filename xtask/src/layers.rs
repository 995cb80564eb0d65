//! `cargo xtask layers`: which crate may know which, as docs/architecture.md draws it.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::repo;

/// The crates and what each may use. Readers never know each other; only the binary knows all.
const TABLE: &[(&str, &[&str])] = &[
    ("highwater-core", &[]),
    ("highwater-linux", &["highwater-core"]),
    ("highwater-log", &["highwater-core"]),
    ("highwater-exchange", &["highwater-core"]),
    ("highwater-detect", &["highwater-core"]),
    ("highwater-oom", &["highwater-core"]),
    ("highwater-owners", &["highwater-core"]),
    ("highwater-promql", &["highwater-core"]),
    ("highwater-store", &["highwater-core"]),
    ("highwater-act", &["highwater-core"]),
    ("highwater-alert", &["highwater-core", "highwater-promql"]),
    (
        "highwater-diagnose",
        &["highwater-core", "highwater-detect", "highwater-log", "highwater-oom"],
    ),
    (
        "highwater-agent",
        &[
            "highwater-act",
            "highwater-alert",
            "highwater-core",
            "highwater-diagnose",
            "highwater-linux",
            "highwater-log",
            "highwater-oom",
            "highwater-owners",
            "highwater-promql",
            "highwater-store",
        ],
    ),
    (
        "highwater-web",
        &[
            "highwater-alert",
            "highwater-core",
            "highwater-diagnose",
            "highwater-promql",
            "highwater-store",
        ],
    ),
    (
        "highwater",
        &[
            "highwater-act",
            "highwater-agent",
            "highwater-alert",
            "highwater-core",
            "highwater-diagnose",
            "highwater-exchange",
            "highwater-linux",
            "highwater-log",
            "highwater-oom",
            "highwater-owners",
            "highwater-promql",
            "highwater-store",
            "highwater-web",
        ],
    ),
    // The chores read what the product writes, and parse what it parses.
    (
        "xtask",
        &[
            "highwater-core",
            "highwater-detect",
            "highwater-diagnose",
            "highwater-log",
            "highwater-oom",
            "highwater-promql",
            "highwater-store",
        ],
    ),
];

/// Where the table is, for whoever has to extend it.
const HERE: &str = "xtask/src/layers.rs";

/// Asks cargo who uses whom, and compares.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repo::root()).args(["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_slice(&repo::succeed(&mut cargo)?)?;
    let faults = faults(&metadata).context("cargo metadata has another form than expected")?;
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("layers: {} crates, each knows only whom it may", TABLE.len());
        return Ok(());
    }
    bail!("{} dependencies cross the layers", faults.len())
}

/// What is not as the table says.
fn faults(metadata: &Value) -> Option<Vec<String>> {
    let mut faults = Vec::new();
    let packages = metadata.get("packages")?.as_array()?;
    let names: Vec<&str> = packages.iter().filter_map(|package| text(package, "name")).collect();
    for package in packages {
        let name = text(package, "name")?;
        let Some((_, may)) = TABLE.iter().find(|(listed, _)| *listed == name) else {
            faults.push(format!("{name} is in no layer: extend the table in {HERE}"));
            continue;
        };
        for used in package.get("dependencies")?.as_array()? {
            // Tests may look at anything: a dev-dependency ships nothing.
            if text(used, "kind") == Some("dev") {
                continue;
            }
            let used = text(used, "name")?;
            if names.contains(&used) && !may.contains(&used) {
                faults.push(format!("{name} may not know {used} (the table is in {HERE})"));
            }
        }
    }
    Some(faults)
}

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(packages: &[Value]) -> Vec<String> {
        faults(&json!({ "packages": packages })).unwrap()
    }

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Value {
        let uses: Vec<Value> =
            uses.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "dependencies": uses })
    }

    #[test]
    fn what_the_table_allows_passes() {
        let core = package("highwater-core", &[("serde", None)]);
        let store = package("highwater-store", &[("highwater-core", None), ("rusqlite", None)]);
        assert_eq!(workspace(&[core, store]), Vec::<String>::new());
    }

    #[test]
    fn readers_do_not_know_each_other() {
        let log = package("highwater-log", &[]);
        let oom = package("highwater-oom", &[("highwater-log", None)]);
        let found = workspace(&[log, oom]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("highwater-oom may not know highwater-log"), "{found:?}");
    }

    #[test]
    fn a_test_may_know_anybody() {
        let log = package("highwater-log", &[]);
        let oom = package("highwater-oom", &[("highwater-log", Some("dev"))]);
        assert_eq!(workspace(&[log, oom]), Vec::<String>::new());
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let found = workspace(&[package("highwater-new", &[])]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(HERE), "{found:?}");
    }

    #[test]
    fn nobody_knows_a_crate_that_the_table_lacks() {
        for (name, may) in TABLE {
            for used in *may {
                assert!(TABLE.iter().any(|(listed, _)| listed == used), "{name}: {used}");
            }
        }
    }
}
