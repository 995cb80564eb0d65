//! Which logs are meant, and whose death: files, patterns and a name, as they were typed.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use highwater_core::text::escape;

use super::target;
use crate::args::{Args, WhyArgs};

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The logs to read; none means what is on record.
    pub(crate) logs: Vec<PathBuf>,
    /// Whose death.
    pub(crate) name: Option<String>,
}

/// Tells logs from the name.
pub(crate) fn asked(args: &WhyArgs) -> anyhow::Result<Asked> {
    let mut asked = Asked::default();
    for path in &args.file {
        let files = if is_there(path) { Vec::new() } else { matching(path)? };
        if files.is_empty() {
            asked.logs.push(path.clone());
        }
        asked.logs.extend(files);
    }
    let mut names: Vec<&str> = Vec::new();
    for text in &args.target {
        let path = Path::new(text);
        if !args.file.is_empty() {
            names.extend((text != "-").then_some(text.as_str()));
        } else if let Some(log) = target::as_log(text) {
            asked.logs.push(log);
        } else if path.symlink_metadata().is_ok() {
            names.push(text);
        } else {
            match matching(path)? {
                none if none.is_empty() => names.push(text),
                files => asked.logs.extend(files),
            }
        }
    }
    asked.logs = each_once(asked.logs);
    asked.name = only(&names)?;
    // Beside logs, what looks like a file was meant as one; a cgroup's path stands with `--file`.
    if let Some(name) = asked.name.as_deref().filter(|_| args.file.is_empty())
        && !asked.logs.is_empty()
    {
        target::no_such_log(name)?;
    }
    Ok(asked)
}

fn is_there(path: &Path) -> bool {
    path == Path::new("-") || path.symlink_metadata().is_ok()
}

/// The name, if there is one; two are a usage error.
fn only(names: &[&str]) -> anyhow::Result<Option<String>> {
    let [first, second, ..] = names else {
        return Ok(names.first().map(|name| (*name).to_owned()));
    };
    let (first, second) = (escape(first.as_bytes()), escape(second.as_bytes()));
    let text = format!(
        "there is no log {first} and no log {second}, and only one of them can be a name to look for"
    );
    Err(Args::command().error(ErrorKind::TooManyValues, text).into())
}

/// The files that a pattern stands for: for shells that were told not to expand it. Empty if it is
/// none; an error if it is one that looks like a file's and nothing matches.
fn matching(pattern: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(Vec::new());
    };
    let Ok(paths) = glob::glob(text) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = paths.flatten().filter(|path| !path.is_dir()).collect();
    files.sort();
    if files.is_empty() && text.contains('/') {
        bail!("{}: no file has a name like this", escape(text.as_bytes()));
    }
    Ok(files)
}

/// A file that is named twice, or by two links, is read once.
fn each_once(logs: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut new = |path: &PathBuf| match path.metadata() {
        Ok(file) if path != Path::new("-") => seen.insert((Some((file.dev(), file.ino())), None)),
        _ => seen.insert((None, Some(path.clone()))),
    };
    logs.into_iter().filter(|path| new(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_with(target: &[&str], file: &[&str]) -> anyhow::Result<Asked> {
        asked(&WhyArgs {
            target: target.iter().map(ToString::to_string).collect(),
            file: file.iter().map(PathBuf::from).collect(),
            ..WhyArgs::default()
        })
    }

    #[test]
    fn files_patterns_and_a_name_may_stand_together() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["kern.log", "kern.log.1", "other"] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(at("kern.log"), at("kern.log.link")).unwrap();
        let pattern = at("kern.log*").display().to_string();
        let other = at("other").display().to_string();
        let all = asked_with(&[&pattern, "java", &other, &other], &[]).unwrap();
        assert_eq!(all.logs, [at("kern.log"), at("kern.log.1"), at("other")]);
        assert_eq!(all.name.as_deref(), Some("java"));
        let all = asked_with(&["/batch"], &[&pattern]).unwrap();
        assert_eq!((all.logs.len(), all.name.as_deref()), (2, Some("/batch")));
    }

    #[test]
    fn what_is_neither_a_log_nor_one_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log").display().to_string();
        std::fs::write(&log, "x").unwrap();
        let gone = dir.path().join("gone.log").display().to_string();
        let none = dir.path().join("*.gz").display().to_string();
        for wrong in [&["a", "b"][..], &[&log, &gone], &[&none], &[&log, "b.log.1"]] {
            assert!(asked_with(wrong, &[]).is_err(), "{wrong:?}");
        }
        assert_eq!(asked_with(&["web*"], &[]).unwrap().name.as_deref(), Some("web*"));
        assert_eq!(asked_with(&["-"], &["-"]).unwrap().logs, [PathBuf::from("-")]);
    }
}
