//! `highwater leaks`: what grows, out of the recording or an import.

pub(crate) mod mapped;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use highwater_agent::clock;
use highwater_core::owner::Owner;
use highwater_core::text::escape;
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::document::GrowthDocument;
use highwater_diagnose::growth::{Growth, Inside, Item, Options, Whose, inside, survey};
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_store::Reader;
use serde::Serialize;

use super::why::testified;
use super::{history, out, refusal};
use crate::args::LeaksArgs;
use crate::view::{self, Page};

/// A recording whose newest reading is older than this is judged as of that reading, and says so.
const LATE: Duration = Duration::from_mins(10);

/// So many testimonies are looked through for the names of containers, the newest.
const HEARD: usize = 10_000;

/// So many digits of a container's id are unmistakable enough.
const LEAST_ID_DIGITS: usize = 6;

/// Runs the command.
pub(crate) fn run(args: &LeaksArgs) -> anyhow::Result<ExitCode> {
    let history = history::open(args.data_dir.as_deref())?;
    let Some(reader) = &history.reader else {
        match history.remarks.first() {
            Some(remark) => bail!("{remark}"),
            None => {
                bail!("there is no recording to look for growth in: highwater agent starts one")
            }
        }
    };
    let mut growth = judged(reader, args)?;
    growth.notes.splice(0..0, history.remarks.iter().cloned());
    growth.notes.extend(history::left_out(reader, &history.remarks));
    if let Some(name) = &args.owner {
        choose(&mut growth, name);
        if growth.items.is_empty() {
            let shown = escape(name.as_bytes());
            let dir = reader.path().parent().map(refusal::option).unwrap_or_default();
            bail!(
                "nothing of {shown} is on record; highwater leaks{dir} --all lists everybody who is"
            );
        }
    }
    show(args, growth, reader)?;
    Ok(ExitCode::SUCCESS)
}

/// What is on record, judged as of the moment that was asked for, or else of the newest reading.
pub(crate) fn judged(reader: &Reader, args: &LeaksArgs) -> anyhow::Result<Growth> {
    let now = clock::now().wall;
    let newest = reader.info()?.newest;
    let at = match (args.at, newest) {
        (Some(asked), _) => asked.moment(now),
        (None, Some(newest)) => newest.min(now),
        (None, None) => now,
    };
    let owners = owners(reader);
    let options =
        Options { since: args.since.map(|since| since.moment(at)), owners: Some(&owners) };
    let mut growth = survey(reader, at, options)?;
    growth.notes.extend(as_of(args, at, now));
    if growth.items.is_empty() {
        growth.notes.push(nothing(newest, at));
    }
    Ok(growth)
}

/// Whose the containers are that the agent heard of: their cgroups tell nothing but ids. What cannot
/// be read goes without names.
pub(crate) fn owners(reader: &Reader) -> BTreeMap<String, Owner> {
    if reader.is_imported() {
        return BTreeMap::new();
    }
    let Ok(told) = testified::on_record(reader, HEARD) else { return BTreeMap::new() };
    let parties = told.heard.into_iter().map(|heard| heard.testimony.about);
    let named = parties.filter_map(|who| Some((who.container_id?, who.owner?)));
    named.filter(|(id, owner)| owner.container() != Some(id)).collect()
}

fn as_of(args: &LeaksArgs, at: WallTime, now: WallTime) -> Option<String> {
    let age = now.since(at);
    (args.at.is_none() && age > LATE)
        .then(|| format!("judged as of the newest reading, {at}, {} ago", Span(age)))
}

fn nothing(newest: Option<WallTime>, at: WallTime) -> String {
    match newest {
        None => "nothing is on record yet".to_owned(),
        Some(newest) => format!(
            "nothing that could grow was on record shortly before {at}; the newest reading is of {newest}"
        ),
    }
}

/// Keeps those of that name: who is called so, or, if nobody is, whose name has it in it.
fn choose(growth: &mut Growth, name: &str) {
    let is_called = |item: &Item| answers(&item.whose, name);
    if growth.items.iter().any(is_called) {
        growth.items.retain(is_called);
    } else {
        growth.items.retain(|item| item.whose.name.contains(name) || item.whose.id.contains(name));
    }
}

fn answers(whose: &Whose, name: &str) -> bool {
    let path_end = whose.id.rsplit('/').next().unwrap_or_default();
    let is_id = name.len() >= LEAST_ID_DIGITS && path_end.starts_with(name);
    [whose.name.as_str(), whose.id.as_str(), path_end].contains(&name)
        || whose.name.strip_suffix(".service") == Some(name)
        || (whose.is_machine() && matches!(name, "machine" | "/"))
        || (whose.kind == "container" && is_id)
}

/// What grew inside those that are explained, since the growth began or for a day.
fn within(growth: &Growth, reader: &Reader) -> anyhow::Result<Vec<(Whose, Vec<Inside>)>> {
    const DAY: Duration = Duration::from_hours(24);
    let mut all: Vec<(Whose, Vec<Inside>)> = Vec::new();
    for item in &growth.items {
        if !all.iter().any(|(whose, _)| *whose == item.whose) {
            let from = item.since.unwrap_or_else(|| growth.at.before(DAY)).max(growth.from);
            let found = inside(reader, &item.whose, (from, growth.at))?;
            all.push((item.whose.clone(), found));
        }
    }
    Ok(all)
}

/// The answer in JSON, with what was seen in between if that was asked for.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    growth: GrowthDocument,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mappings: Vec<mapped::Watched>,
}

fn show(args: &LeaksArgs, growth: Growth, reader: &Reader) -> anyhow::Result<()> {
    let within = match args.owner {
        Some(_) => within(&growth, reader)?,
        None => Vec::new(),
    };
    let watched = match args.watch {
        Some(apart) => watched(reader, &within, apart)?,
        None => Vec::new(),
    };
    if args.json {
        return out::writing(|out| {
            let document = Document { growth: GrowthDocument::from(growth), mappings: watched };
            serde_json::to_writer_pretty(&mut *out, &document)?;
            out.write_all(b"\n")
        });
    }
    let page = Page::of_terminal();
    let text = match args.owner {
        Some(_) => {
            view::leaks::owner(page, &growth, &within) + &view::leaks::mappings(page, &watched)
        }
        None => view::leaks::list(page, &growth, args.all),
    };
    out::page(&text)
}

/// Looks into the processes that grew, if the recording is of this machine.
fn watched(
    reader: &Reader,
    within: &[(Whose, Vec<Inside>)],
    apart: Duration,
) -> anyhow::Result<Vec<mapped::Watched>> {
    let own = HostFacts::read(&Root::live()).boot_id;
    let last = reader.boots()?.last().map(|boot| boot.id);
    if reader.is_imported() || own.is_none() || own != last {
        bail!(
            "--watch looks into processes that run here, and the recording is not of this machine as it runs now"
        );
    }
    let inside: Vec<Inside> = within.iter().flat_map(|(_, all)| all.iter().cloned()).collect();
    let span = Span(apart);
    crate::complain(&anyhow::anyhow!("reading mappings twice, {span} apart"));
    mapped::watch(&inside, apart)
}
