//! `highwater completions` and `highwater man`: the command line describes itself.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs, ManArgs};

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "highwater", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or writes one for each command.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    match (&args.dir, &args.command) {
        (None, name) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(described(name.as_deref())?).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
        (Some(dir), _) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            clap_mangen::generate_to(Args::command(), dir)
                .with_context(|| format!("cannot write manual pages into {}", dir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole program, or one of its commands, as it describes itself.
fn described(name: Option<&str>) -> anyhow::Result<clap::Command> {
    let mut all = Args::command();
    all.build();
    let Some(name) = name else { return Ok(all) };
    if let Some(command) = all.find_subcommand(name) {
        return Ok(command.clone());
    }
    let text = format!("there is no command {name:?}; highwater --help lists them all\n");
    Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text).into())
}
