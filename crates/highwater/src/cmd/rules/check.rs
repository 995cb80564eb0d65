//! `highwater rules check`: whether rule files can be read, and what is odd about them.

use std::process::ExitCode;

use highwater_alert::{Fault, Rule, RuleFile};

use super::{backtest, files};
use crate::args::{RuleFilesArgs, RulesArgs};
use crate::cmd::out;
use crate::view::{self, Page};

/// What was found in one file.
pub(crate) struct Checked {
    /// The file, as it is shown.
    pub(crate) name: String,
    /// What it says, or what is wrong with it.
    pub(crate) read: Result<RuleFile, Vec<Fault>>,
}

/// Runs the command.
pub(super) fn run(args: &RuleFilesArgs, group: &RulesArgs) -> anyhow::Result<ExitCode> {
    let mut checked = Vec::new();
    for path in files::found(&args.files)? {
        let (name, read) = (files::shown(&path), files::read(&path)?);
        checked.push(Checked { name, read });
    }
    let good: Vec<RuleFile> =
        checked.iter().filter_map(|file| file.read.as_ref().ok()).cloned().collect();
    let doubles: Vec<(&str, &Rule)> = RuleFile::duplicates(&good)
        .into_iter()
        .map(|(file, rule)| (file.name.as_str(), rule))
        .collect();
    let audit = match &group.data_dir {
        Some(dir) => Some(backtest::audit(&good, dir)?),
        None => None,
    };
    if group.json {
        out::document(&view::rules::checked_document(&checked, &doubles, audit.as_ref()))?;
    } else {
        let mut text = view::rules::checked(&checked, &doubles);
        if let Some(audit) = &audit {
            text += &view::rules::audited(Page::of_terminal(), audit);
        }
        out::page(&text)?;
    }
    let faulty = checked.iter().any(|file| file.read.is_err());
    Ok(if faulty { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
