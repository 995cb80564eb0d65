//! `highwater restarts`: the lives of services and containers, out of the recording.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use highwater_core::owner::Owner;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_diagnose::document::RestartsDocument;
use highwater_diagnose::inquest::restarts::{SLOW_WINDOW, Story, stories};
use highwater_store::Reader;

use super::why::{gather_all, judged, moment};
use super::{history, out, refusal, target};
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
    let Told { stories: mut all, mut notes, ids } = told(reader, args)?;
    notes.splice(0..0, history.remarks.iter().cloned());
    notes.extend(history::left_out(reader, &history.remarks));
    if let Some(name) = &args.owner {
        all = chosen(all, name, &ids);
        if all.is_empty() {
            let shown = escape(name.as_bytes());
            let dir = reader.path().parent().map(refusal::option).unwrap_or_default();
            bail!(
                "no start or end of {shown} is on record; highwater restarts{dir} lists all that are"
            );
        }
    }
    show(args, &all, notes)?;
    Ok(ExitCode::SUCCESS)
}

/// What the recording tells.
struct Told {
    /// The stormiest first.
    stories: Vec<Story>,
    /// What to know beside them.
    notes: Vec<String>,
    /// Under which ids the containers ran that have a name.
    ids: BTreeSet<(Owner, String)>,
}

fn told(reader: &Reader, args: &RestartsArgs) -> anyhow::Result<Told> {
    let wanted = WhyArgs { data_dir: args.data_dir.clone(), ..WhyArgs::default() };
    let found = gather_all(Some(reader), &wanted, HEARD)?;
    let all = judged(&found);
    let parties = found.testified.heard.iter().map(|heard| &heard.testimony.about);
    let ids = parties.filter_map(|who| Some((who.owner.clone()?, who.container_id.clone()?)));
    let ids = ids.collect();
    let now = highwater_agent::clock::now().wall;
    let window = args.window.unwrap_or(SLOW_WINDOW);
    let mut inquest = all.inquest;
    if let Some(since) = args.since.map(|since| moment(since, now)) {
        inquest.lives.retain(|life| life.ended.is_none_or(|ended| ended >= since));
        // The lives keep their places among the deaths: only those that count are left out.
        for death in &mut inquest.deaths {
            if death.wall.is_some_and(|wall| wall < since) {
                death.is_first = None;
            }
        }
    }
    let stories = stories(&inquest, reader, now, window);
    Ok(Told { stories, ids, notes: found.remarks })
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
    let now: WallTime = highwater_agent::clock::now().wall;
    let since = args.since.map(|since| moment(since, now));
    let window = args.window.unwrap_or(SLOW_WINDOW);
    if args.json {
        let document = RestartsDocument::new(all, (since, now), window, &args.scrape, notes);
        let mut text = serde_json::to_string_pretty(&document)?;
        text.push('\n');
        return out::bytes(text.as_bytes());
    }
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
