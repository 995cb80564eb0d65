//! `highwater restarts`: the lives of services and containers, out of the recording.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use highwater_core::owner::Owner;
use highwater_core::series::SeriesSource;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_diagnose::death::NoHistory;
use highwater_diagnose::document::RestartsDocument;
use highwater_diagnose::inquest::Inquest;
use highwater_diagnose::inquest::restarts::{SLOW_WINDOW, Story, stories};
use highwater_store::Reader;

use super::why::testified::Testified;
use super::why::{Found, Judged, UNSHARED, gather_all, judged, moment};
use super::{history, mask, out, refusal, target, why};
use crate::args::{RestartsArgs, WhyArgs};
use crate::view::restarts::Beside;
use crate::view::{self, Page};

/// So many testimonies are read, the newest: a storm of a restart each second for a day tells as
/// many. Each takes half a kilobyte while they are judged.
const HEARD: usize = 100_000;

/// Runs the command.
pub(crate) fn run(args: &RestartsArgs) -> anyhow::Result<ExitCode> {
    let history = history::open(args.data_dir.as_deref())?;
    let Some(reader) = &history.reader else {
        match history.remarks.first() {
            Some(remark) => bail!("{remark}"),
            None => bail!("there is no recording to tell of restarts: highwater agent starts one"),
        }
    };
    let wanted = WhyArgs { data_dir: args.data_dir.clone(), ..WhyArgs::default() };
    let found = gather_all(Some(reader), &wanted, HEARD)?;
    let all = judged(&found);
    let mut own = history.remarks.clone();
    own.extend(history::left_out(reader, &history.remarks));
    let (stories, notes) = if args.anonymize {
        let notes = own.iter().filter_map(|note| refusal::nameless(note).map(str::to_owned));
        let notes = notes.chain([UNSHARED.to_owned()]).chain(found.remarks.clone());
        (without_names(reader, args, &found, all)?, notes.collect())
    } else {
        own.extend(found.remarks.clone());
        (told(reader, args, &found, all.inquest)?, own)
    };
    show(args, &stories, notes)?;
    Ok(ExitCode::SUCCESS)
}

/// The document of all that the recording of `reader` tells.
pub(crate) fn document(reader: &Reader, args: &RestartsArgs) -> anyhow::Result<RestartsDocument> {
    let wanted = WhyArgs { data_dir: args.data_dir.clone(), ..WhyArgs::default() };
    let found = gather_all(Some(reader), &wanted, HEARD)?;
    let mut notes = history::left_out(reader, &[]);
    notes.extend(found.remarks.clone());
    let all = stories_of(judged(&found).inquest, reader, args);
    Ok(documented(&all, args, notes))
}

fn documented(all: &[Story], args: &RestartsArgs, notes: Vec<String>) -> RestartsDocument {
    let now: WallTime = highwater_agent::clock::now().wall;
    let since = args.since.map(|since| moment(since, now));
    let window = args.window.unwrap_or(SLOW_WINDOW);
    RestartsDocument::new(all, (since, now), window, &args.scrape, notes)
}

/// What the recording tells, the stormiest first; an error if it tells nothing of who was asked for.
fn told(
    reader: &Reader,
    args: &RestartsArgs,
    found: &Found,
    inquest: Inquest,
) -> anyhow::Result<Vec<Story>> {
    let all = stories_of(inquest, reader, args);
    let Some(name) = &args.owner else { return Ok(all) };
    let all = chosen(all, name, &ids(found));
    if all.is_empty() {
        let shown = if args.anonymize { "that name".into() } else { escape(name.as_bytes()) };
        let dir = reader.path().parent().filter(|_| !args.anonymize).map(refusal::option);
        let dir = dir.unwrap_or_default();
        bail!(
            "no start or end of {shown} is on record; highwater restarts{dir} lists all that are"
        );
    }
    Ok(all)
}

/// The same without names, and without the curves, which have them.
fn without_names(
    reader: &Reader,
    args: &RestartsArgs,
    found: &Found,
    all: Judged<'_>,
) -> anyhow::Result<Vec<Story>> {
    let Testified { heard, sights, .. } = &found.testified;
    let mut masked = mask::masked(&[], heard, &all.kills, sights);
    let inquest = why::again(&masked);
    let wanted = told(reader, args, found, all.inquest)?;
    let wanted: BTreeSet<Owner> = wanted.iter().map(|story| masked.owner(&story.owner)).collect();
    let mut stories = stories_of(inquest, &NoHistory, args);
    stories.retain(|story| wanted.contains(&story.owner));
    Ok(stories)
}

fn stories_of(mut inquest: Inquest, history: &dyn SeriesSource, args: &RestartsArgs) -> Vec<Story> {
    let now = highwater_agent::clock::now().wall;
    let window = args.window.unwrap_or(SLOW_WINDOW);
    if let Some(since) = args.since.map(|since| moment(since, now)) {
        inquest.lives.retain(|life| life.ended.is_none_or(|ended| ended >= since));
        // The lives keep their places among the deaths: only those that count are left out.
        for death in &mut inquest.deaths {
            if death.wall.is_some_and(|wall| wall < since) {
                death.is_first = None;
            }
        }
    }
    stories(&inquest, history, now, window)
}

/// Under which ids the containers ran that have a name.
fn ids(found: &Found) -> BTreeSet<(Owner, String)> {
    let parties = found.testified.heard.iter().map(|heard| &heard.testimony.about);
    let ids = parties.filter_map(|who| Some((who.owner.clone()?, who.container_id.clone()?)));
    ids.collect()
}

/// Those of that name: who is called so, or, if nobody is, whose name has it in it.
fn chosen(all: Vec<Story>, name: &str, ids: &BTreeSet<(Owner, String)>) -> Vec<Story> {
    let id = target::container_called(name);
    let is_it = |story: &Story| {
        target::is_owner(name, &story.owner)
            || ids.iter().any(|(owner, id)| *owner == story.owner && target::is_container(name, id))
            || id.as_ref().is_some_and(|id| target::is_owner(id, &story.owner))
    };
    if all.iter().any(is_it) {
        return all.into_iter().filter(is_it).collect();
    }
    all.into_iter().filter(|story| story.owner.id().contains(name)).collect()
}

fn show(args: &RestartsArgs, all: &[Story], notes: Vec<String>) -> anyhow::Result<()> {
    if args.json {
        let mut text = serde_json::to_string_pretty(&documented(all, args, notes))?;
        text.push('\n');
        return out::bytes(text.as_bytes());
    }
    let now: WallTime = highwater_agent::clock::now().wall;
    let since = args.since.map(|since| moment(since, now));
    let beside = Beside { since, now, scrapes: &args.scrape };
    let page = Page::of_terminal();
    let mut text = view::why::remarks(page, &notes);
    text += &match (&args.owner, all) {
        (Some(_), stories) => stories
            .iter()
            .map(|story| view::restarts::story(page, story, beside))
            .collect::<Vec<_>>()
            .join(&page.rule()),
        (None, []) => page.item(
            "",
            "No start or end of a service or container is on record.",
            anstyle::Style::new(),
        ),
        (None, stories) => view::restarts::list(page, stories, beside),
    };
    out::page(&text)
}
