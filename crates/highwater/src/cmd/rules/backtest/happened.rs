//! What happened that somebody should have been warned of.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_alert::backtest::{Incident, Moment, Period, Sort, is_about, label_of};
use highwater_core::event::{Event, Happening, Turn};
use highwater_core::growth::Verdict;
use highwater_core::owner::Owner;
use highwater_core::series::{Labels, Matcher, NAME, Point, Selection, Series, SeriesSource};
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::death::NoHistory;
use highwater_diagnose::finding::sentence;
use highwater_diagnose::inquest::restarts::{SLOW_WINDOW, Story, stories};
use highwater_store::{EventFilter, Reader};

use crate::args::WhyArgs;
use crate::cmd::why::{gather_all, judged};

/// Moments of one owner so near each other are one incident.
const TOGETHER: Duration = Duration::from_hours(1);

/// So many testimonies are read, the newest, as for `highwater restarts`.
const HEARD: usize = 100_000;

/// The same death is told by the kernel and by a manager within this.
const SAME: Duration = Duration::from_secs(5);

/// So many events of growths and of kills are read, the newest.
const EVENTS: usize = 4_096;

/// The metrics that tell when somebody began; of those who have the first the second is not asked.
const BEGINNINGS: [&str; 2] = ["container_start_time_seconds", "process_start_time_seconds"];

/// The labels that say whom a series is about.
const WHOM: [&str; 6] = ["instance", "name", "id", "unit", "container", "pod"];

/// The same, as people call it: the first that there is.
const CALLED: [&str; 6] = ["name", "unit", "pod", "container", "id", "job"];

/// What an agent recorded.
pub(super) fn recorded(reader: &Reader, period: Period) -> anyhow::Result<Vec<Incident>> {
    let dir = reader.path().parent().map(ToOwned::to_owned);
    let wanted = WhyArgs { data_dir: dir, ..WhyArgs::default() };
    let found = gather_all(Some(reader), &wanted, HEARD)?;
    let all = judged(&found);
    let told = stories(&all.inquest, &NoHistory, period.to, SLOW_WINDOW);
    let mut incidents: Vec<Incident> =
        told.iter().flat_map(|story| of_story(story, period)).collect();
    let kills = kills(reader, period, &incidents)?;
    incidents.extend(kills);
    incidents.extend(growths(reader, period)?);
    incidents.sort_by_key(Incident::first);
    Ok(incidents)
}

fn of_story(story: &Story, period: Period) -> Vec<Incident> {
    let mut groups: Vec<Incident> = Vec::new();
    let after = story.chapters.iter().skip(1).map(Some).chain([None]);
    for (chapter, next) in story.chapters.iter().zip(after) {
        let within = |at: &WallTime| (period.from..=period.to).contains(at);
        let Some(at) = chapter.ended.filter(within).filter(|_| chapter.is_unwanted()) else {
            continue;
        };
        let sort = if next.is_some() { Sort::Restart } else { Sort::Death };
        let summary = chapter.end.as_ref().map(|end| end.summary.clone());
        let incident = Incident {
            sort,
            owner: story.owner.to_string(),
            labels: labels_of(&story.owner),
            moments: vec![Moment { at, down: next.and_then(|next| next.down) }],
            note: summary.unwrap_or_default(),
        };
        add(&mut groups, incident);
    }
    groups
}

fn labels_of(owner: &Owner) -> Labels {
    Labels::new([(label_of(owner.kind()).unwrap_or("id"), owner.id())])
}

/// Adds a moment to the incident that it belongs to, or begins a new one.
fn add(groups: &mut Vec<Incident>, incident: Incident) {
    let first = incident.first();
    let joins = |last: &&mut Incident| {
        let end = last.last().zip(first);
        end.is_some_and(|(end, at)| at.since(end) <= TOGETHER)
    };
    match groups.last_mut().filter(joins) {
        Some(last) => {
            last.sort = last.sort.max(incident.sort);
            last.moments.extend(incident.moments);
        }
        None => groups.push(incident),
    }
}

/// The kernel's kills of processes that are the end of no unit and no container: of a shell, of a
/// child that its service outlived.
fn kills(reader: &Reader, period: Period, known: &[Incident]) -> anyhow::Result<Vec<Incident>> {
    let filter = EventFilter {
        since: Some(period.from),
        kind: Some("death"),
        limit: Some(EVENTS),
        ..EventFilter::default()
    };
    let moments: Vec<WallTime> =
        known.iter().flat_map(|one| &one.moments).map(|moment| moment.at).collect();
    let is_known =
        |at: WallTime| moments.iter().any(|known| at.since(*known).max(known.since(at)) <= SAME);
    let mut by_name: BTreeMap<String, Vec<Incident>> = BTreeMap::new();
    for Event { wall: at, what, .. } in reader.events(&filter)?.into_iter().map(|one| one.event) {
        let Happening::Death(death) = what else { continue };
        if at <= period.to && !is_known(at) {
            let cgroup = death.known.and_then(|known| known.cgroup);
            let id = cgroup.map(|path| path.to_string()).unwrap_or_default();
            let incident = Incident {
                sort: Sort::Death,
                owner: death.comm.clone(),
                labels: Labels::new([("id", id)]),
                moments: vec![Moment { at, down: None }],
                note: format!("the kernel killed it for memory; highwater why {}", death.pid),
            };
            add(by_name.entry(death.comm).or_default(), incident);
        }
    }
    Ok(by_name.into_values().flatten().collect())
}

/// The growths that were told, each as it began.
fn growths(reader: &Reader, period: Period) -> anyhow::Result<Vec<Incident>> {
    let filter = EventFilter {
        since: Some(period.from),
        kind: Some("growth"),
        limit: Some(EVENTS),
        ..EventFilter::default()
    };
    let events = reader.events(&filter)?.into_iter().map(|stored| stored.event);
    Ok(events.filter(|event| event.wall <= period.to).filter_map(growth).collect())
}

fn growth(event: Event) -> Option<Incident> {
    let Happening::Growth(grown) = event.what else { return None };
    let found = &grown.finding;
    if grown.turn != Turn::Begun || found.verdict != Verdict::Leak {
        return None;
    }
    let at = event.wall.after(Duration::from_secs(found.left?.seconds));
    let labels = match found.owner.kind.as_str() {
        "container" => Labels::new([("name", found.owner.name.clone())]),
        kind => Labels::new([(label_of(kind).unwrap_or("id"), found.owner.id.clone())]),
    };
    Some(Incident {
        sort: Sort::Growth,
        owner: found.owner.name.clone(),
        labels,
        moments: vec![Moment { at, down: None }],
        note: format!("{}; told at {}", sentence(found), event.wall),
    })
}

/// What series alone tell: who began again.
pub(super) fn seen(source: &dyn SeriesSource, period: Period) -> anyhow::Result<Vec<Incident>> {
    let mut by_owner: BTreeMap<String, Vec<Incident>> = BTreeMap::new();
    for metric in BEGINNINGS {
        let selection = Selection {
            matchers: vec![Matcher::is(NAME, metric)],
            from: period.from,
            to: period.to,
            step: None,
            ends: false,
        };
        let mut found: BTreeMap<String, Vec<Incident>> = BTreeMap::new();
        for series in source.select(&selection)? {
            let restarts = restarts(&series);
            if series.labels.get("pid").is_empty() && !restarts.is_empty() {
                found.entry(called(&series.labels)).or_insert(restarts);
            }
        }
        for (owner, restarts) in found {
            by_owner.entry(owner).or_insert(restarts);
        }
    }
    let mut incidents: Vec<Incident> = by_owner.into_values().flatten().collect();
    incidents.sort_by_key(Incident::first);
    Ok(incidents)
}

fn called(labels: &Labels) -> String {
    let name = CALLED.iter().map(|label| labels.get(label)).find(|text| !text.is_empty());
    match (name, labels.get("instance")) {
        (Some(name), "") => name.to_owned(),
        (Some(name), host) => format!("{name} on {host}"),
        (None, host) => host.to_owned(),
    }
}

/// The moments at which a series tells of a later beginning than before: from its last sample on
/// until then nobody saw it.
fn restarts(series: &Series) -> Vec<Incident> {
    let whom = WHOM.iter().map(|label| (*label, series.labels.get(label)));
    let labels = Labels::new(whom);
    let mut groups = Vec::new();
    for pair in series.points.windows(2) {
        let [before, after] = pair else { continue };
        if after.value > before.value {
            let moments = vec![again(*before, *after)];
            let (owner, labels) = (called(&series.labels), labels.clone());
            let incident =
                Incident { sort: Sort::Restart, owner, labels, moments, note: String::new() };
            add(&mut groups, incident);
        }
    }
    for incident in &mut groups {
        incident.note = format!("told by {}", series.labels.get(NAME));
    }
    groups
}

fn again(before: Point, after: Point) -> Moment {
    let began = Duration::try_from_secs_f64(after.value).unwrap_or_default();
    let began = WallTime::from_millis(0).after(began);
    let is_between = (before.at..=after.at).contains(&began);
    let until = if is_between { began } else { after.at };
    Moment { at: before.at, down: Some(until.since(before.at)) }
}

/// Adds what grew: to those who ended for it as a note, and else as what is still to come.
pub(super) fn join(incidents: &mut Vec<Incident>, grown: Vec<Incident>) {
    for growth in grown {
        let ended = incidents.iter_mut().find(|incident| {
            incident.sort != Sort::Growth && is_about(&growth.labels, &incident.labels)
        });
        match ended {
            Some(incident) => incident.note = format!("{}; {}", incident.note, growth.note),
            None => incidents.push(growth),
        }
    }
}

/// How long it was down, at least and at most.
pub(crate) fn downs(incident: &Incident) -> Option<String> {
    let downs = || incident.moments.iter().filter_map(|moment| moment.down);
    let (least, most) = (downs().min()?, downs().max()?);
    Some(if least == most {
        Span(most).to_string()
    } else {
        format!("{} to {}", Span(least), Span(most))
    })
}
