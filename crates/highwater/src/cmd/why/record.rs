//! Deaths of this machine: those that the agent recorded, and those still in the kernel's log.

use std::process::ExitCode;

use highwater_core::event::Happening;
use highwater_core::series::SeriesSource;
use highwater_core::units::PageSize;
use highwater_diagnose::death::{NoHistory, reread};
use highwater_diagnose::inquest::Heard;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_oom::report::Kill;
use highwater_store::{EventFilter, Reader, StoredEvent};

use super::absence;
use super::answer::{Answer, moment, newest_before};
use super::choice::chosen;
use super::episode::{Episode, Found, Recorded, named, outlines, tell_dying};
use super::foretold::Foretold;
use super::judged::judged;
use super::{pauses, testified};
use crate::args::WhyArgs;
use crate::cmd::history::{self, left_out};
use crate::cmd::target::{self, Match};
use crate::cmd::{kernel, refusal};
use crate::view;

/// So many deaths of a recording are looked at, the newest: an answer for a person. Each carries
/// its log lines, some 20 kB.
const LOOKED_AT: usize = 1000;

/// So many testimonies are looked at, the newest: some weeks of a calm machine, half a kilobyte each.
pub(super) const HEARD: usize = 20_000;

/// Explains the deaths on record, all or those of `name`.
pub(crate) fn explained(args: &WhyArgs, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let history = history::open(args.data_dir.as_deref())?;
    let found = gather_all(history.reader.as_ref(), args, HEARD)?;
    told(args, name, history, found)
}

/// The same of `name`, which is also that of a file, as `file` says; `None` if nobody of that name
/// died.
pub(super) fn beside(args: &WhyArgs, name: &str, file: String) -> anyhow::Result<Option<ExitCode>> {
    let history = history::open(args.data_dir.as_deref())?;
    let mut found = gather_all(history.reader.as_ref(), args, HEARD)?;
    if chosen(&judged(&found), args, Some(name)).best != Some(Match::Whole) {
        return Ok(None);
    }
    found.remarks.push(file);
    told(args, Some(name), history, found).map(Some)
}

fn told(
    args: &WhyArgs,
    name: Option<&str>,
    history: history::History,
    mut found: Found,
) -> anyhow::Result<ExitCode> {
    found.sight.unreadable = history.reader.is_none() && !history.remarks.is_empty();
    let left_out = history.reader.iter().flat_map(|reader| left_out(reader, &history.remarks));
    let left_out: Vec<String> = left_out.collect();
    found.remarks.splice(0..0, history.remarks);
    let mut all = judged(&found);
    let mut choice = chosen(&all, args, name);
    let also = choice.remark.take();
    choice.deaths.retain(|death| death.is_death() || name.is_some());
    let deaths = std::mem::take(&mut choice.deaths);
    let lives = choice.lives.take();
    let is_nobody =
        name.is_some() && deaths.is_empty() && choice.hangs.is_empty() && lives.is_none();
    let mut absent = match lives {
        Some(lives) => vec![lives],
        None if deaths.is_empty() => absent(&found, args, name)?,
        None => Vec::new(),
    };
    let hangs = std::mem::take(&mut choice.hangs);
    let everyday = choice.everyday;
    if deaths.is_empty() {
        let ends = everyday.ends();
        absent.extend(ends.map(|ends| format!("Other ends are on record: {ends}: --all")));
    }
    if !absent.is_empty() && !args.anonymize {
        absent.extend(history.reader.as_ref().and_then(unstored));
    }
    let mut remarks = found.remarks.clone();
    if args.anonymize {
        // They name directories.
        remarks.clear();
    }
    remarks.extend(left_out.into_iter().filter_map(|said| {
        if args.anonymize { refusal::nameless(&said).map(str::to_owned) } else { Some(said) }
    }));
    if !deaths.is_empty() {
        let only = |why: &String| format!("only deaths on record are shown: {why}");
        remarks.extend(found.sight.blind.as_ref().map(only));
    }
    if choice.best == Some(Match::Part) {
        // It comes first: the deaths are not of whom was asked for.
        remarks.splice(0..0, also);
    } else {
        remarks.extend(also);
    }
    let source: &dyn SeriesSource = match &history.reader {
        Some(_) if args.anonymize => {
            remarks.push(UNSHARED.to_owned());
            &NoHistory
        }
        Some(reader) => reader,
        None => &NoHistory,
    };
    let foretold = history.reader.as_ref().filter(|_| !args.anonymize).map(Foretold::on_record);
    drop(choice);
    let answer = Answer {
        deaths,
        everyday,
        inquest: std::mem::take(&mut all.inquest),
        hangs,
        kills: std::mem::take(&mut all.kills),
        testified: Some(&found.testified),
        remarks,
        history: source,
        foretold: foretold.unwrap_or_default(),
        absent,
        ..Answer::default()
    };
    answer.give(args)?;
    let saw_nothing = found.sight.blind.is_some() && history.reader.is_none();
    Ok(if saw_nothing || is_nobody { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What to say where nobody was found; an error, if a file was meant that is not there.
fn absent(found: &Found, args: &WhyArgs, name: Option<&str>) -> anyhow::Result<Vec<String>> {
    let Some(name) = name else { return Ok(found.sight.of_nothing()) };
    target::no_such_log(name)?;
    let mut said = view::why::nobody(if args.anonymize { "that name" } else { name });
    if let Some((since, _)) = &found.sight.since {
        said.push(format!("Only deaths since {since} were looked at."));
    }
    let blind = found.sight.blind.as_ref();
    said.extend(blind.map(|why| format!("Whether it was killed is unknown, because {why}.")));
    let testified = &found.testified;
    let since = found.sight.since.as_ref().map(|(since, _)| *since);
    if !args.anonymize {
        said.extend(absence::unended(&testified.heard, name, since));
    }
    said.extend(pauses::told(&testified.pauses, since));
    Ok(said)
}

/// That what is not on record yet may be in the memory of its recorder, which cannot store it.
fn unstored(reader: &Reader) -> Option<String> {
    let dir = reader.path().parent()?;
    let why = refusal::unstored(dir, highwater_agent::clock::now().wall)?;
    Some(format!("The newest deaths may not be on record yet: {why}."))
}

/// A recording names processes and cgroups in each of its series.
pub(crate) const UNSHARED: &str =
    "how memory grew is left out: the names of what was recorded cannot be masked";

/// The same, with what witnesses said: the newest `most` testimonies.
pub(crate) fn gather_all(
    reader: Option<&Reader>,
    args: &WhyArgs,
    most: usize,
) -> anyhow::Result<Found> {
    let mut found = gather(reader, args)?;
    let fresh = std::mem::take(&mut found.testified.heard);
    if let Some(reader) = reader {
        found.testified = testified::on_record(reader, most)?;
    }
    // What the agent recorded of the kernel's log is there already.
    let keys = &found.testified.keys;
    let number = |heard: &Heard| heard.testimony.evidence.line.unwrap_or_default();
    let (_, new): (Vec<_>, Vec<_>) =
        fresh.into_iter().partition(|heard| keys.contains(&format!("kmsg:{}", number(heard))));
    found.testified.heard.extend(new);
    if let Some(from) = found.testified.cut_before {
        found.remarks.push(format!(
            "of ends and starts, only the newest {most} testimonies were looked at, from {from} on"
        ));
    }
    Ok(found)
}

/// All deaths that the recording and the kernel's log still know, oldest first; of what witnesses
/// said, only what the kernel's log has.
pub(crate) fn gather(reader: Option<&Reader>, args: &WhyArgs) -> anyhow::Result<Found> {
    let now = highwater_agent::clock::now();
    let facts = HostFacts::read(&Root::live());
    let mut found = Found::default();
    let filter = EventFilter {
        since: args.since.map(|since| moment(since, now.wall)),
        kind: Some("death"),
        limit: Some(LOOKED_AT),
        ..EventFilter::default()
    };
    let events = reader.map(|reader| reader.events(&filter)).transpose()?.unwrap_or_default();
    if events.len() == LOOKED_AT {
        found
            .remarks
            .push(format!("only the newest {LOOKED_AT} deaths were looked at; --since narrows"));
    }
    let known = |kill: &Kill| {
        let key = format!("kmsg:{}", kill.line);
        events
            .iter()
            .any(|stored| stored.event.key == key && Some(stored.event.boot_id) == facts.boot_id)
    };
    let mut fresh = Vec::new();
    // An explicit directory may be another machine's: its story is told without this kernel's.
    if args.data_dir.is_none() {
        match kernel::read(&Root::live(), now, facts.boot_id) {
            Ok(log) => {
                fresh = log.reports;
                found.testified.heard = log.heard.into_iter().map(|(_, heard)| heard).collect();
            }
            Err(error) => found.sight.blind = Some(absence::reason(&error)),
        }
        found.sight.kills_since_boot = absence::kills_since_boot(&Root::live());
    }
    found.sight.recorded = reader.is_some();
    fresh.retain(|report| !report.kills.iter().any(known));
    let page_size = Some(facts.page_size);
    found.episodes.extend(events.into_iter().map(|stored| from_event(stored, page_size)));
    let fresh = fresh.into_iter().map(|report| {
        let episode = Episode::of(report, kernel::SOURCE.to_owned());
        Episode { page_size, boot_id: facts.boot_id, ..episode }
    });
    let mut fresh: Vec<Episode> = fresh.collect();
    tell_dying(&mut fresh);
    found.episodes.extend(fresh);
    in_order(&mut found.episodes);
    if let Some(since) = args.since {
        let since = moment(since, now.wall);
        let last = newest_before(&found, args).map(|(_, last)| last);
        let last = match last {
            Some(last) => Some(last),
            None => reader.map(|reader| newest_on_record(reader, page_size)).transpose()?.flatten(),
        };
        let last = last.filter(|_| !args.anonymize);
        let last = last.map(|last| format!("the newest death on record was {last}"));
        found.sight.since = Some((since, last));
    }
    Ok(found)
}

/// Oldest first: what the recording lacks may be older than what it has.
fn in_order(episodes: &mut [Episode]) {
    episodes.sort_by_key(|episode| {
        let recorded = episode.recorded.as_ref().map(|recorded| recorded.wall);
        recorded.or_else(|| episode.wall())
    });
}

/// The newest death on record, whenever it was.
fn newest_on_record(reader: &Reader, page: Option<PageSize>) -> anyhow::Result<Option<String>> {
    let filter = EventFilter { kind: Some("death"), limit: Some(1), ..EventFilter::default() };
    let newest = reader.events(&filter)?.pop().map(|stored| from_event(stored, page));
    let found = Found { episodes: newest.into_iter().collect(), ..Found::default() };
    Ok(outlines(&found).last().map(|death| named(&death)))
}

/// The report is read anew out of the recorded lines, by today's reader.
fn from_event(stored: StoredEvent, page_size: Option<PageSize>) -> Episode {
    let event = stored.event;
    let Happening::Death(death) = event.what else {
        let source = kernel::SOURCE.to_owned();
        return Episode { source, page_size, ..Episode::default() };
    };
    let (report, kill) = reread(&death, event.wall);
    let recorded = Some(Recorded { death, wall: event.wall, boot: event.boot });
    let source = kernel::SOURCE.to_owned();
    let kills = Some(vec![kill]);
    let boot_id = Some(event.boot_id);
    Episode { page_size, recorded, kills, boot_id, ..Episode::of(report, source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed(pid: u32, second: u32) -> Episode {
        let log = format!(
            "2026-03-02T04:11:{second:02}.000000+00:00 box kernel: Out of memory: Killed process \
             {pid} (java) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n"
        );
        let reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
        Episode::of(reports.into_iter().next().unwrap(), "x".to_owned())
    }

    #[test]
    fn what_the_recording_lacks_takes_its_place_in_time() {
        let mut found = Found::default();
        // Three on record, and then the one that the kernel's log still has.
        found.episodes.extend([killed(1, 10), killed(3, 30), killed(4, 40), killed(2, 20)]);
        in_order(&mut found.episodes);
        let pids = outlines(&found).filter_map(|death| death.victim?.pid);
        assert_eq!(pids.map(highwater_core::id::Pid::get).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
