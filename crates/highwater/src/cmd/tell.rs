//! `highwater tell`: a document for the page, made in a process of its own.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use highwater_agent::growth::be_modest;
use highwater_diagnose::document::{CheckupDocument, GrowthDocument};
use highwater_store::Reader;

use super::rules::backtest::{Unasked, asked};
use super::{checkup, leaks, out, restarts, why};
use crate::args::{CheckupArgs, LeaksArgs, RestartsArgs, TellArgs, Told, WhyArgs};

/// The exit status that says: there is nothing of the kind.
pub(crate) const ABSENT: u8 = 4;

/// The exit status that says: it was asked wrongly.
pub(crate) const WRONG: u8 = 5;

/// Runs the command.
pub(crate) fn run(args: &TellArgs) -> anyhow::Result<ExitCode> {
    be_modest();
    let dir = args.data_dir.as_deref().context("--data-dir is missing")?;
    let reader = Reader::open(dir)?;
    let data_dir = Some(dir.to_owned());
    let all = WhyArgs { data_dir: data_dir.clone(), ..WhyArgs::default() };
    let document = match args.what {
        Told::Now => {
            let checkup = checkup::check(&CheckupArgs { data_dir, ..CheckupArgs::default() })?;
            serde_json::to_vec(&CheckupDocument::from(&checkup))?
        }
        Told::Growth => {
            let growth = leaks::judged(&reader, &LeaksArgs { data_dir, ..LeaksArgs::default() })?;
            serde_json::to_vec(&GrowthDocument::from(growth))?
        }
        Told::Deaths => serde_json::to_vec(&why::desk::list(&reader, &all)?)?,
        Told::Events => serde_json::to_vec(&why::desk::marks(&reader, &all)?)?,
        Told::Restarts => {
            let args = RestartsArgs { data_dir, ..RestartsArgs::default() };
            serde_json::to_vec(&restarts::document(&reader, &args)?)?
        }
        Told::Death => {
            let Some(id) = &args.id else { bail!("whose death is missing: --id") };
            match why::desk::one(&reader, &all, id)? {
                Some(document) => document,
                None => return refused(ABSENT, "no such death is on record"),
            }
        }
        Told::Backtest => match asked(&args.trial, dir) {
            Ok(document) => document,
            Err(Unasked::Absent(why)) => return refused(ABSENT, &why),
            Err(Unasked::Wrong(why)) => return refused(WRONG, &why),
            Err(Unasked::Failed(error)) => return Err(error),
        },
    };
    out::bytes(&document)?;
    Ok(ExitCode::SUCCESS)
}

/// Says why there is no document to whoever asked.
fn refused(status: u8, why: &str) -> anyhow::Result<ExitCode> {
    std::io::stderr().write_all(why.as_bytes())?;
    Ok(ExitCode::from(status))
}
