//! `highwater completions` and `highwater man`: the command line describes itself.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::out;
use crate::args::{Args, CompletionsArgs, ManArgs};

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "highwater", &mut script);
    out::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or writes one for each command.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    match &args.dir {
        None => out::bytes(&page(&described(&args.command)?)?)?,
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            pages(&described(&[])?, dir)
                .with_context(|| format!("cannot write manual pages into {}", dir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for each command below `command`, and its own.
fn pages(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, dir)?;
    }
    let file = clap_mangen::Man::new(command.clone()).get_filename();
    std::fs::write(dir.join(file), page(command)?)
}

/// The page of one command. What its options take stands in the synopsis as `--help` has it.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().replace('-', r"\-");
    let (head, tail) = page.split_once(SYNOPSIS).unwrap_or((&page, ""));
    let rest = tail.find("\n.SH ").and_then(|at| tail.get(at..)).unwrap_or(tail);
    Ok(format!("{head}{SYNOPSIS}{usage}{rest}").into_bytes())
}

/// The head of that section.
const SYNOPSIS: &str = ".SH SYNOPSIS\n";

/// The whole program, or one of its commands (`why`, `store info`), as it describes itself.
fn described(names: &[String]) -> anyhow::Result<clap::Command> {
    let mut all = Args::command();
    all.build();
    let mut command = &all;
    for name in names {
        let Some(below) = command.find_subcommand(name) else {
            let typed = names.join(" ");
            let text = format!(
                "there is no command {typed:?}; highwater --help lists them all, and --dir DIR writes the pages of all\n"
            );
            return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text).into());
        };
        command = below;
    }
    Ok(command.clone())
}
