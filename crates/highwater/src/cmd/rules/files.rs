//! Rule files as they are named on the command line.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use highwater_alert::{Fault, RuleFile};
use highwater_core::text::escape;

/// A rule file is no longer than this; Prometheus's are some kilobytes.
const MOST_BYTES: u64 = 10 << 20;

/// The files that are named; of a directory all its `*.yml` and `*.yaml`, in order of their names.
pub(super) fn found(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", shown(path)))?;
        let mut within: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .with_context(|| format!("cannot read {}", shown(path)))?;
        within.retain(|path| path.is_file() && is_yaml(path));
        within.sort();
        if within.is_empty() {
            bail!("{} has no *.yml and no *.yaml", shown(path));
        }
        all.extend(within);
    }
    Ok(all)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yml" || end == "yaml")
}

/// Reads a rule file; inside, what is wrong with what it says.
pub(super) fn read(path: &Path) -> anyhow::Result<Result<RuleFile, Vec<Fault>>> {
    Ok(RuleFile::read(&shown(path), &text(path)?))
}

/// The text of a file of rules or tests.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    let name = shown(path);
    let file = fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    let size = read.with_context(|| format!("cannot read {name}"))?;
    if u64::try_from(size).unwrap_or(u64::MAX) > MOST_BYTES {
        bail!("{name} is longer than 10 MiB: no rule file is");
    }
    Ok(text)
}

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}
