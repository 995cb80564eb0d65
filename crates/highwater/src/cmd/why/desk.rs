//! Deaths and other events as the page asks for them: a list, one death in full, marks on an axis.

use std::collections::BTreeMap;

use highwater_core::event::{Happening, Turn};
use highwater_core::series::SeriesSource;
use highwater_core::testimony::Party;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_diagnose::document::SCHEMA;
use highwater_diagnose::finding::sentence;
use highwater_diagnose::inquest::{Inquest, LimitOwner};
use highwater_store::{EventFilter, Reader};
use serde::Serialize;

use super::answer::{Answer, Deaths};
use super::choice::{Choice, chosen};
use super::episode::Found;
use super::foretold::Foretold;
use super::judged::{Death, Judged, judged};
use super::record::{HEARD, gather_all};
use crate::args::WhyArgs;

/// So many marks are told, the newest of each kind: more than an axis has room for.
const MARKS: usize = 2_000;

/// The list of deaths, the newest first.
#[derive(Debug, Serialize)]
pub(crate) struct DeathList {
    schema: u32,
    deaths: Vec<Row>,
    notes: Vec<String>,
}

/// A death in short.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    time: String,
    name: Option<String>,
    pid: Option<u32>,
    owner: Option<String>,
    cause: &'static str,
    confidence: Option<highwater_diagnose::death::Confidence>,
    signal: Option<String>,
    held_bytes: Option<u64>,
    first: Option<bool>,
    limit_of: Option<LimitOwner>,
    limit_owner: Option<String>,
    limit_bytes: Option<u64>,
    sender: Option<Sender>,
    summary: String,
}

/// Who sent the signal.
#[derive(Debug, Serialize)]
struct Sender {
    pid: Option<u32>,
    comm: Option<String>,
}

/// The marks, oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct MarkList {
    schema: u32,
    events: Vec<Mark>,
}

/// One moment at which something happened.
#[derive(Debug, Serialize)]
struct Mark {
    at: String,
    kind: &'static str,
    text: String,
    /// Of a death: how [`one`] knows it.
    id: Option<String>,
    /// Whose it is, or of a death without an owner who died.
    owner: Option<String>,
    /// Of a death its cause, of a growth its resource, of the recorder what became of it.
    what: Option<String>,
}

/// The deaths of note in the recording of `reader`.
pub(crate) fn list(reader: &Reader, args: &WhyArgs) -> anyhow::Result<DeathList> {
    let found = gather_all(Some(reader), args, HEARD)?;
    let all = judged(&found);
    let choice = chosen(&all, args, None);
    let mut notes = found.remarks.clone();
    let ends = choice.everyday.ends();
    notes.extend(ends.map(|ends| format!("Ends that are left out: {ends}")));
    notes.extend(reader.caveats());
    let mut deaths: Vec<Row> = rows(&found, &all, &choice).collect();
    deaths.reverse();
    Ok(DeathList { schema: SCHEMA, deaths, notes })
}

/// The document of the death that [`list`] calls `id`, in JSON.
pub(crate) fn one(reader: &Reader, args: &WhyArgs, id: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let found = gather_all(Some(reader), args, HEARD)?;
    let mut all = judged(&found);
    let deaths: Vec<Death<'_>> = all.deaths.clone();
    let known = deaths.into_iter().find(|death| id_of(death, &all.inquest).as_deref() == Some(id));
    let Some(death) = known.filter(Death::is_death) else { return Ok(None) };
    let history: &dyn SeriesSource = reader;
    let answer = Answer {
        deaths: vec![death],
        inquest: std::mem::take(&mut all.inquest),
        kills: std::mem::take(&mut all.kills),
        testified: Some(&found.testified),
        history,
        foretold: Foretold::on_record(reader),
        ..Answer::default()
    };
    let mut documents = serde_json::to_value(Deaths(&answer))?;
    let document = documents.get_mut(0).map(serde_json::Value::take);
    Ok(document.map(|document| document.to_string().into_bytes()))
}

/// What happened: deaths, growths, restarts, boots, and the recorder's own life.
pub(crate) fn marks(reader: &Reader, args: &WhyArgs) -> anyhow::Result<MarkList> {
    let found = gather_all(Some(reader), args, HEARD)?;
    let all = judged(&found);
    let choice = chosen(&all, args, None);
    let deaths = rows(&found, &all, &choice);
    let mut marks: Vec<Mark> = deaths.map(Mark::from).collect();
    marks.extend(restarts(&all.inquest));
    for kind in ["growth", "recorder"] {
        let filter = EventFilter { kind: Some(kind), limit: Some(MARKS), ..EventFilter::default() };
        let events = reader.events(&filter)?.into_iter();
        marks.extend(events.filter_map(|stored| told(stored.event.wall, stored.event.what)));
    }
    let boots = reader.boots()?.into_iter();
    let text = "the first reading since the machine started";
    marks.extend(boots.map(|boot| Mark::at(boot.first, "boot", text.to_owned())));
    marks.sort_by(|a, b| a.at.cmp(&b.at));
    marks.drain(..marks.len().saturating_sub(MARKS));
    Ok(MarkList { schema: SCHEMA, events: marks })
}

impl Mark {
    fn at(at: WallTime, kind: &'static str, text: String) -> Self {
        Self { at: at.to_string(), kind, text, id: None, owner: None, what: None }
    }
}

impl From<Row> for Mark {
    fn from(row: Row) -> Self {
        Self {
            at: row.time,
            kind: "death",
            text: row.summary,
            id: Some(row.id),
            owner: row.owner.or(row.name),
            what: Some(row.cause.to_owned()),
        }
    }
}

/// A growth that begins or ends, or what the recorder says of itself.
fn told(at: WallTime, what: Happening) -> Option<Mark> {
    match what {
        Happening::Growth(grown) if grown.turn == Turn::Begun || grown.turn.is_end() => {
            Some(Mark {
                owner: Some(grown.finding.owner.name.clone()),
                what: Some(grown.finding.resource.to_string()),
                ..Mark::at(at, "growth", sentence(&grown.finding))
            })
        }
        Happening::Recorder { note, what } => {
            Some(Mark { what: Some(what), ..Mark::at(at, "recorder", note) })
        }
        _ => None,
    }
}

/// Every life of an owner but its first on record began with a restart.
fn restarts(inquest: &Inquest) -> Vec<Mark> {
    let mut lives: BTreeMap<String, usize> = BTreeMap::new();
    let mut marks = Vec::new();
    for life in &inquest.lives {
        let owner = life.owner.to_string();
        let before = lives.entry(owner.clone()).or_default();
        if let (Some(at), true) = (life.started, *before > 0) {
            let text = format!("{owner} started again");
            marks.push(Mark { owner: Some(owner.clone()), ..Mark::at(at, "restart", text) });
        }
        *before += 1;
    }
    marks
}

/// The deaths that were chosen, oldest first; what has no time of day has no place on an axis.
fn rows<'c>(
    found: &'c Found,
    all: &'c Judged<'c>,
    choice: &'c Choice<'c>,
) -> impl Iterator<Item = Row> + 'c {
    let deaths = choice.deaths.iter().filter(|death| death.is_death());
    deaths.filter_map(|death| row(death, found, &all.inquest))
}

fn row(death: &Death<'_>, found: &Found, inquest: &Inquest) -> Option<Row> {
    let outline = death.subject.as_ref().map(super::episode::Subject::outline);
    let kill = outline.as_ref().and_then(|outline| outline.victim);
    let verdict = death.verdict(inquest, &found.testified.sights);
    let who = verdict.as_ref().map(|verdict| &verdict.who);
    let pid = kill.and_then(|kill| kill.pid).or(who.and_then(|who| who.pid));
    let cause = match (&outline, &verdict) {
        (Some(outline), _) => outline.cause.as_str(),
        (None, Some(verdict)) => verdict.cause.as_str(),
        (None, None) => return None,
    };
    let limited = verdict.as_ref().and_then(|verdict| verdict.limited_by.as_ref());
    let limited = limited.map(ToString::to_string);
    Some(Row {
        id: id_of(death, inquest)?,
        time: death.wall(inquest)?.to_string(),
        name: kill.and_then(|kill| kill.comm.clone()).or(who.and_then(|who| who.comm.clone())),
        pid: pid.map(highwater_core::id::Pid::get),
        owner: who.and_then(|who| who.owner.as_ref()).map(ToString::to_string),
        cause,
        confidence: verdict.as_ref().map(|verdict| verdict.confidence),
        signal: verdict.as_ref().and_then(|verdict| verdict.signal).map(|sent| sent.to_string()),
        held_bytes: kill.and_then(|kill| kill.anon_rss.or(kill.rss)).map(Bytes::get),
        first: verdict.as_ref().and_then(|verdict| verdict.is_first),
        limit_of: verdict.as_ref().and_then(|verdict| verdict.limit_owner),
        limit_owner: outline.as_ref().and_then(|outline| outline.limit_owner.clone()).or(limited),
        limit_bytes: outline.as_ref().and_then(|outline| outline.limit?.at()).map(Bytes::get),
        sender: verdict.as_ref().and_then(|verdict| verdict.sender.as_ref()).map(Sender::of),
        summary: match &verdict {
            Some(verdict) => verdict.summary.clone(),
            None => "A process was killed for memory.".to_owned(),
        },
    })
}

impl Sender {
    fn of(sender: &Party) -> Self {
        Self { pid: sender.pid.map(highwater_core::id::Pid::get), comm: sender.comm.clone() }
    }
}

/// How a death is called: its moment and its pid, which stay the same however it is judged.
fn id_of(death: &Death<'_>, inquest: &Inquest) -> Option<String> {
    let at = death.wall(inquest)?.millis();
    let outline = death.subject.as_ref().map(super::episode::Subject::outline);
    let killed = outline.and_then(|outline| outline.victim?.pid);
    let pid = killed.or_else(|| death.told(inquest)?.who.pid);
    Some(match pid {
        Some(pid) => format!("{at}-{}", pid.get()),
        None => at.to_string(),
    })
}
