//! The answer: which deaths are wanted, and how they are given, as a page or as JSON.

use highwater_core::evidence::Claim;
use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;
use highwater_diagnose::death::{Diagnosis, NoHistory, Outline, Window, repeats};
use highwater_diagnose::document::{DeathDocument, EpisodeDocument, WhyDocument};
use highwater_oom::facts::Turn;
use serde::{Serialize, Serializer};

use super::episode::{Episode, Found, Rankings, Subject, named, outlines};
use super::split;
use crate::args::{Since, WhyArgs};
use crate::cmd::{mask, out, target};
use crate::view::{self, Page};

/// What is to be told.
pub(crate) struct Answer<'a> {
    /// The deaths to explain, oldest first.
    pub(crate) subjects: Vec<Subject<'a>>,
    /// What was recorded.
    pub(crate) history: &'a dyn SeriesSource,
    /// So many deaths are explained in full; of more, the newest, below a table of all.
    pub(crate) in_full: usize,
    /// What stands in the way of a complete answer, and what to know beside it.
    pub(crate) remarks: Vec<String>,
    /// What else the input tells.
    pub(crate) notes: Vec<Claim>,
    /// What to say without any death: the first sentence is the answer.
    pub(crate) absent: Vec<String>,
    /// The page in place of `absent`, where there is more to say.
    pub(crate) empty_page: Option<String>,
}

impl Default for Answer<'_> {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            history: &NoHistory,
            in_full: 1,
            remarks: Vec::new(),
            notes: Vec::new(),
            absent: Vec::new(),
            empty_page: None,
        }
    }
}

impl<'a> Answer<'a> {
    /// Writes the reports, if that was asked for, and prints the answer; without names, if that
    /// was asked for.
    pub(crate) fn give(self, args: &WhyArgs) -> anyhow::Result<()> {
        if !args.anonymize {
            return self.shown(args);
        }
        let masked = mask::episodes(&self.subjects);
        let subjects = masked.iter().flat_map(Episode::subjects).collect();
        Answer { subjects, ..self }.shown(args)
    }

    fn shown(self, args: &WhyArgs) -> anyhow::Result<()> {
        let written = match &args.split {
            Some(dir) => Some(split::write(dir, &self.subjects)?),
            None => None,
        };
        // A directory is often called after who owns it; without names, only the files are told.
        let written = written.map(|files| match (&args.split, args.anonymize) {
            (Some(dir), false) => files.iter().map(|file| split::shown(&dir.join(file))).collect(),
            _ => files,
        });
        if args.json {
            return self.write_json(written);
        }
        let page = Page::of_terminal();
        let mut text = view::why::remarks(page, &self.remarks);
        text += &self.text(page);
        text += &written.map(|files| view::written::list(page, &files)).unwrap_or_default();
        out::page(&text)
    }

    fn text(&self, page: Page) -> String {
        let rankings = Rankings::default();
        let full = |subject: &Subject<'a>| {
            let diagnosis = subject.explain(self.history, Window::Week, &rankings);
            view::death::page(page, &diagnosis)
        };
        let repeats = view::why::repeats(page, &self.repeats());
        match self.subjects.as_slice() {
            [] => self.empty_page.clone().unwrap_or(view::why::statement(page, &self.absent)),
            few if few.len() <= self.in_full => {
                repeats + &few.iter().map(full).collect::<Vec<_>>().join(&page.rule())
            }
            [.., newest] => table(page, &self.subjects) + &repeats + &full(newest),
        }
    }

    /// What the deaths have in common.
    fn repeats(&self) -> Vec<Claim> {
        let cases = self.subjects.iter().map(|subject| subject.case(Window::Minutes));
        repeats(&cases.collect::<Vec<_>>())
    }

    /// Written death by death: of a cgroup of thousands, all together would fill the memory.
    fn write_json(mut self, written: Option<Vec<String>>) -> anyhow::Result<()> {
        let repeats = self.repeats();
        let bare = |text| Claim { text, evidence: Vec::new() };
        if !self.subjects.is_empty() {
            self.absent.clear();
        }
        let absent = std::mem::take(&mut self.absent);
        let (first, rest) = absent.split_at_checked(1).unwrap_or_default();
        let mut notes: Vec<Claim> = Vec::new();
        // The answer stands before what the lines tell, and behind what stood in its way.
        notes.extend(std::mem::take(&mut self.remarks).into_iter().map(bare));
        notes.extend(first.iter().cloned().map(bare));
        notes.append(&mut self.notes);
        notes.extend(repeats);
        notes.extend(rest.iter().cloned().map(bare));
        let document = WhyDocument::with(Deaths(&self), Episodes(&self), notes);
        out::writing(|out| {
            serde_json::to_writer_pretty(&mut *out, &Whole { document, written })?;
            out.write_all(b"\n")
        })
    }

    fn explained(&self, subject: &Subject<'a>, rankings: &Rankings<'a>) -> Diagnosis {
        subject.explain(self.history, Window::Minutes, rankings)
    }
}

/// The documents of the deaths, each made when it is written.
struct Deaths<'s, 'a>(&'s Answer<'a>);

impl Serialize for Deaths<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rankings = Rankings::default();
        let mut last: Option<&Episode> = None;
        let deaths = self.0.subjects.iter().filter(|subject| subject.kill.is_some());
        serializer.collect_seq(deaths.map(|subject| {
            let again = last.is_some_and(|last| std::ptr::eq(last, subject.episode));
            last = Some(subject.episode);
            let turn = if again { Turn::Further } else { Turn::First };
            let diagnosis = self.0.explained(subject, &rankings);
            DeathDocument::new(&diagnosis, &subject.episode.report, turn)
        }))
    }
}

/// The documents of the episodes without a death, each made when it is written.
struct Episodes<'s, 'a>(&'s Answer<'a>);

impl Serialize for Episodes<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rankings = Rankings::default();
        let episodes = self.0.subjects.iter().filter(|subject| subject.kill.is_none());
        serializer.collect_seq(episodes.map(|subject| {
            let diagnosis = self.0.explained(subject, &rankings);
            EpisodeDocument::new(&diagnosis, &subject.episode.report)
        }))
    }
}

/// The document, and what was done besides.
#[derive(Serialize)]
struct Whole<D: Serialize, E: Serialize> {
    #[serde(flatten)]
    document: WhyDocument<D, E>,
    /// The files that `--split` wrote; only there if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Vec<String>>,
}

fn table(page: Page, subjects: &[Subject<'_>]) -> String {
    if subjects.len() < 2 {
        return String::new();
    }
    let newest = subjects.iter().rev().take(view::why::ROWS);
    let rows: Vec<Outline<'_>> = newest.map(Subject::outline).collect();
    view::why::table(page, &rows, subjects.len())
}

/// The deaths that are wanted.
pub(crate) struct Choice<'a> {
    pub(crate) subjects: Vec<Subject<'a>>,
    /// Deaths of names that are like the one that was asked for.
    pub(crate) others: Vec<Subject<'a>>,
}

impl Choice<'_> {
    /// `also like it: python3.11 (2)`. Names are not told where they are to be masked.
    pub(crate) fn also(&self, args: &WhyArgs) -> Option<String> {
        let others: Vec<Outline<'_>> = self.others.iter().map(Subject::outline).collect();
        target::also_like(&others).filter(|_| !args.anonymize)
    }
}

/// The deaths that are wanted. A name that is wholly somebody's means only those.
pub(crate) fn chosen<'a>(found: &'a Found, args: &WhyArgs, name: Option<&str>) -> Choice<'a> {
    let now = highwater_agent::clock::now();
    let since = args.since.map(|since| moment(since, now.wall));
    let mut subjects: Vec<Subject<'_>> =
        found.episodes.iter().flat_map(Episode::subjects).collect();
    if let Some(since) = since {
        // A death without a time of day may be any.
        subjects.retain(|subject| subject.outline().time.is_none_or(|time| time >= since));
    }
    let Some(name) = name else { return Choice { subjects, others: Vec::new() } };
    let id = target::container_called(name).or_else(|| target::cgroup_at(name));
    let name = id.as_deref().unwrap_or(name);
    let scored: Vec<_> = subjects
        .into_iter()
        .filter_map(|subject| Some((target::matches(name, &subject.outline())?, subject)))
        .collect();
    let best = scored.iter().map(|(how, _)| *how).max();
    let (wanted, others): (Vec<_>, Vec<_>) =
        scored.into_iter().partition(|(how, _)| Some(*how) == best);
    let subjects = |all: Vec<(_, Subject<'a>)>| all.into_iter().map(|(_, one)| one).collect();
    Choice { subjects: subjects(wanted), others: subjects(others) }
}

/// The time that was asked for, and the newest death before it.
pub(crate) fn newest_before(found: &Found, args: &WhyArgs) -> Option<(WallTime, String)> {
    let since = moment(args.since?, highwater_agent::clock::now().wall);
    let older = outlines(found).filter(|death| death.time.is_some_and(|time| time < since));
    let last = older.max_by_key(|death| death.time)?;
    Some((since, named(&last)))
}

pub(crate) fn moment(since: Since, now: WallTime) -> WallTime {
    match since {
        Since::Ago(length) => now.before(length),
        Since::At(moment) => WallTime::from(moment),
    }
}
