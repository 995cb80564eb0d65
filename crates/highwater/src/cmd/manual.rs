//! `highwater completions` and `highwater man`: the command line describes itself.

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
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(described(&args.command)?).render(&mut page)?;
            out::bytes(&page)?;
        }
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            clap_mangen::generate_to(Args::command(), dir)
                .with_context(|| format!("cannot write manual pages into {}", dir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole program, or one of its commands (`why`, `store info`), as it describes itself.
fn described(names: &[String]) -> anyhow::Result<clap::Command> {
    let mut all = Args::command();
    all.build();
    let mut command = &all;
    for name in names {
        let Some(below) = command.find_subcommand(name) else {
            let typed = names.join(" ");
            let text = format!("there is no command {typed:?}; highwater --help lists them all\n");
            return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text).into());
        };
        command = below;
    }
    Ok(command.clone())
}
