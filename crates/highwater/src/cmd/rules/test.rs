//! `highwater rules test`: promtool's unit tests of rules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use highwater_alert::unit::{TestFile, Verdict};
use highwater_alert::{Fault, RuleFile};

use super::files;
use crate::args::{RuleFilesArgs, RulesArgs};
use crate::cmd::out;
use crate::view;

/// How the tests of one file went.
pub(crate) struct Tested {
    /// The file, as it is shown.
    pub(crate) name: String,
    /// What was found, or why the tests could not be run.
    pub(crate) verdict: Result<Verdict, Vec<Fault>>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
}

impl Tested {
    /// Whether all is as expected.
    pub(crate) fn passed(&self) -> bool {
        self.verdict.as_ref().is_ok_and(|verdict| verdict.failures.is_empty())
    }
}

/// Runs the command.
pub(super) fn run(args: &RuleFilesArgs, group: &RulesArgs) -> anyhow::Result<ExitCode> {
    let mut tested = Vec::new();
    for path in files::found(&args.files)? {
        tested.push(test(&path)?);
    }
    if group.json {
        out::document(&view::rules::tested_document(&tested))?;
    } else {
        out::page(&view::rules::tested(&tested))?;
    }
    let passed = tested.iter().all(Tested::passed);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(path: &Path) -> anyhow::Result<Tested> {
    let name = files::shown(path);
    let mut notes = Vec::new();
    let verdict = match TestFile::read(&name, &files::text(path)?) {
        Err(faults) => Err(faults),
        Ok(tests) => {
            let beside = path.parent().unwrap_or(Path::new(""));
            rules(&tests, beside, &mut notes)?.map(|rules| tests.run(&rules))
        }
    };
    Ok(Tested { name, verdict, notes })
}

/// The rule files that a file of tests names, relative to its own place.
fn rules(
    tests: &TestFile,
    beside: &Path,
    notes: &mut Vec<String>,
) -> anyhow::Result<Result<Vec<RuleFile>, Vec<Fault>>> {
    let mut rules = Vec::new();
    let mut faults = Vec::new();
    for pattern in &tests.rule_files {
        let paths = matching(beside, pattern)?;
        if paths.is_empty() {
            notes.push(format!("no file matches {pattern}: its rules are not tested"));
        }
        for path in paths {
            match files::read(&path)? {
                Ok(file) => rules.push(file),
                Err(found) => faults.extend(found),
            }
        }
    }
    Ok(if faults.is_empty() { Ok(rules) } else { Err(faults) })
}

fn matching(beside: &Path, pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    // The directory is a path, whatever it is called; only what the file says is a pattern.
    let dir = glob::Pattern::escape(&beside.to_string_lossy());
    let whole = Path::new(&dir).join(pattern);
    let found = glob::glob(&whole.to_string_lossy());
    let found = found.with_context(|| format!("{pattern:?} is no pattern of files"))?;
    found.collect::<Result<_, _>>().with_context(|| format!("cannot look for {pattern:?}"))
}
