//! The answer: which deaths are wanted, and how they are given, as a page or as JSON.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use highwater_core::event::Sight;
use highwater_core::evidence::Claim;
use highwater_core::owner::Owner;
use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;
use highwater_diagnose::counsel;
use highwater_diagnose::death::{
    Diagnosis, Growth, NoHistory, Recorded, Window, memory_before, repeats,
};
use highwater_diagnose::document::{
    DeathDocument, EpisodeDocument, StuckDocument, TestifiedDocument, WhyDocument, opening,
};
use highwater_diagnose::inquest::{Cause, Inquest, OomKill, Stuck, Verdict, restarts};
use highwater_oom::facts::Turn;
use serde::{Serialize, Serializer};

use super::choice::Everyday;
use super::episode::{Episode, Found, Rankings, Subject, named, outlines};
use super::foretold::{Died, Foretold};
use super::judged::{self, Death};
use super::testified::Testified;
use super::{root, split};
use crate::args::{Since, WhyArgs};
use crate::cmd::{mask, out};
use crate::view::verdict::Beside;
use crate::view::why::Row;
use crate::view::{self, Page};

/// Of so many deaths a document has the root causes: all that was recorded is judged for each. A page
/// explains one.
const JUDGED: usize = 3;

/// What is to be told.
pub(crate) struct Answer<'a> {
    /// The deaths to explain, oldest first.
    pub(crate) deaths: Vec<Death<'a>>,
    /// The ends that are left out.
    pub(crate) everyday: Everyday,
    /// Their verdicts.
    pub(crate) inquest: Inquest,
    /// Which of those that hang are to be told of.
    pub(crate) hangs: Vec<usize>,
    /// From which those were made.
    pub(crate) kills: Vec<OomKill>,
    /// And from what witnesses said.
    pub(crate) testified: Option<&'a Testified>,
    /// What was recorded.
    pub(crate) history: &'a dyn SeriesSource,
    /// What had been told of growths before.
    pub(crate) foretold: Foretold,
    /// So many deaths are explained in full; of more, the foremost, below a table of all.
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
            deaths: Vec::new(),
            everyday: Everyday::default(),
            inquest: Inquest::default(),
            hangs: Vec::new(),
            kills: Vec::new(),
            testified: None,
            history: &NoHistory,
            foretold: Foretold::default(),
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
        let subjects: Vec<Subject<'_>> = self.subjects().collect();
        let heard = self.testified.map(|told| told.heard.as_slice()).unwrap_or_default();
        let masked = mask::masked(&subjects, heard, &self.kills, self.sights());
        let inquest = judged::again(&masked);
        let again = Again::of(&self.inquest, &inquest);
        let mut lost = 0;
        let mut deaths = masked.pair(&self.deaths);
        deaths.retain_mut(|death| {
            let verdict = death.verdict.take();
            death.verdict = verdict.and_then(|at| again.deaths.get(at).copied().flatten());
            lost += usize::from(verdict.is_some() && death.verdict.is_none());
            death.subject.is_some() || death.verdict.is_some()
        });
        judged::in_order(&mut deaths, &inquest);
        let hangs = self.hangs.iter().filter_map(|at| again.stuck.get(*at).copied().flatten());
        let hangs = hangs.collect();
        let mut remarks = self.remarks;
        if lost > 0 {
            remarks.push(unlike(lost));
        }
        Answer { deaths, inquest, hangs, remarks, ..self }.shown(args)
    }

    fn subjects(&self) -> impl Iterator<Item = Subject<'a>> {
        self.deaths.iter().filter_map(|death| death.subject)
    }

    fn sights(&self) -> &[(WallTime, Sight)] {
        self.testified.map(|told| told.sights.as_slice()).unwrap_or_default()
    }

    fn shown(self, args: &WhyArgs) -> anyhow::Result<()> {
        let written = match &args.split {
            Some(dir) => Some(split::write(dir, &self.subjects().collect::<Vec<_>>())?),
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
        let full = |death: &Death<'a>| self.page(page, death, &rankings);
        let repeats = view::why::repeats(page, &self.repeats());
        let stuck = view::verdict::stuck(page, &self.stuck());
        let left_out = self.left_out().map(|said| page.aside(&said));
        let deaths = match self.deaths.as_slice() {
            [] => self.empty_page.clone().unwrap_or(view::why::statement(page, &self.absent)),
            few if few.len() <= self.in_full => {
                let all = few.iter().map(full).collect::<Vec<_>>().join(&page.rule());
                repeats + &all + &left_out.map(|said| format!("\n{said}")).unwrap_or_default()
            }
            all => {
                let foremost = judged::foremost(all, &self.inquest).map(full).unwrap_or_default();
                let left_out = left_out.map(|said| format!("{said}\n")).unwrap_or_default();
                self.table(page) + &left_out + &repeats + &foremost
            }
        };
        stuck + &deaths
    }

    /// That there are ends that are not among the deaths.
    fn left_out(&self) -> Option<String> {
        let ends = self.everyday.ends().filter(|_| !self.deaths.is_empty())?;
        Some(format!("Ends that are left out: {ends} (--all)"))
    }

    /// Who hangs, or did.
    fn stuck(&self) -> Vec<&Stuck> {
        self.hangs.iter().filter_map(|at| self.inquest.stuck.get(*at)).collect()
    }

    /// One death in full.
    fn page(&self, page: Page, death: &Death<'a>, rankings: &Rankings<'a>) -> String {
        let told = death.told(&self.inquest);
        let story = told.map(|verdict| self.story(verdict)).unwrap_or_default();
        if let Some(subject) = &death.subject {
            let mut diagnosis = subject.explain(self.history, Window::Week, rankings);
            self.cite(death, &mut diagnosis.claims, usize::MAX);
            if let Some(told) = told {
                diagnosis.summary = opening(&diagnosis.summary, told);
            }
            let is_known = |claim: &Claim| subject.episode.holds(claim);
            let additions =
                told.map(|told| view::verdict::additions(page, told, &story, &is_known));
            return view::death::page(page, &diagnosis, &additions.unwrap_or_default());
        }
        let Some(verdict) = told else { return String::new() };
        let (growth, recorded) = self.memory(verdict, Window::Week);
        let advice = counsel::advice(verdict);
        let mut verdict = verdict.clone();
        self.cite(death, &mut verdict.claims, usize::MAX);
        view::verdict::page(page, &verdict, &Beside { growth, recorded, story, advice })
    }

    /// Adds what had been told of the growth that it died of, and what that growth was, behind the
    /// first claim; the latter where there are `most` deaths and no more.
    fn cite(&self, death: &Death<'a>, claims: &mut Vec<Claim>, most: usize) {
        let died = self.died(death);
        let mut cited = self.foretold.of(&died);
        if died.for_memory && self.deaths.len() <= most {
            cited.extend(root::of(self.history, &died));
        }
        let behind = claims.len().min(1);
        claims.splice(behind..behind, cited);
    }

    fn died(&self, death: &Death<'a>) -> Died {
        let mut died = Died::default();
        if let Some(verdict) = death.told(&self.inquest) {
            died.owners.extend(verdict.who.owner.clone());
            died.at = verdict.wall;
            died.of_machine = verdict.cause == Cause::KernelOomGlobal;
            died.for_memory = verdict.cause.is_memory();
        }
        if let Some(outline) = death.subject.as_ref().map(Subject::outline) {
            let paths = [&outline.limit_owner, &outline.task_cgroup];
            died.owners.extend(paths.into_iter().flatten().map(|path| Owner::of_path(path)));
            died.at = outline.time.or(died.at);
            died.of_machine = outline.limit_owner.is_none();
            died.for_memory = true;
        }
        died
    }

    fn memory(&self, verdict: &Verdict, look_back: Window) -> (Vec<Growth>, Option<Recorded>) {
        match verdict.wall {
            Some(at) => memory_before(self.history, &verdict.who, at, look_back),
            None => (Vec::new(), None),
        }
    }

    /// What the lives of its owner add up to.
    fn story(&self, verdict: &Verdict) -> Vec<Claim> {
        let newest = self.inquest.deaths.iter().filter_map(|death| death.wall).max();
        let (Some(owner), Some(now)) = (&verdict.who.owner, newest) else { return Vec::new() };
        let story =
            restarts::story_of(owner, &self.inquest, self.history, now, restarts::SLOW_WINDOW);
        story.map(|story| story.claims).unwrap_or_default()
    }

    fn table(&self, page: Page) -> String {
        if self.deaths.len() < 2 {
            return String::new();
        }
        let newest = self.deaths.iter().rev().take(view::why::ROWS);
        let rows: Vec<Row> = newest.map(|death| row(death, &self.inquest)).collect();
        view::why::table(page, &rows, self.deaths.len())
    }

    /// What the deaths have in common.
    fn repeats(&self) -> Vec<Claim> {
        let cases = self.subjects().map(|subject| subject.case(Window::Minutes));
        repeats(&cases.collect::<Vec<_>>())
    }

    /// Written death by death: of a cgroup of thousands, all together would fill the memory.
    fn write_json(mut self, written: Option<Vec<String>>) -> anyhow::Result<()> {
        let repeats = self.repeats();
        let bare = |text| Claim { text, evidence: Vec::new() };
        if !self.deaths.is_empty() {
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
        notes.extend(self.left_out().map(bare));
        notes.extend(rest.iter().cloned().map(bare));
        let mut document = WhyDocument::with(Deaths(&self), Episodes(&self), notes);
        document.stuck = Some(self.stuck().into_iter().map(StuckDocument::new).collect());
        out::writing(|out| {
            serde_json::to_writer_pretty(&mut *out, &Whole { document, written })?;
            out.write_all(b"\n")
        })
    }

    fn explained(&self, subject: &Subject<'a>, rankings: &Rankings<'a>) -> Diagnosis {
        subject.explain(self.history, Window::Minutes, rankings)
    }
}

/// Where the verdicts of an inquest are in one of the same words under other names.
struct Again {
    deaths: Vec<Option<usize>>,
    stuck: Vec<Option<usize>>,
}

impl Again {
    fn of(old: &Inquest, new: &Inquest) -> Self {
        let key = |one: &Verdict| (one.wall, one.boot, one.who.pid, one.cause);
        Self {
            deaths: places(old.deaths.iter().map(key), new.deaths.iter().map(key)),
            stuck: places(
                old.stuck.iter().map(|one| (one.since, one.until)),
                new.stuck.iter().map(|one| (one.since, one.until)),
            ),
        }
    }
}

/// For each of `old` the place of its like in `new`; of several that are alike, each its own.
fn places<K: Eq + Hash>(
    old: impl Iterator<Item = K>,
    new: impl Iterator<Item = K>,
) -> Vec<Option<usize>> {
    let mut known: HashMap<K, VecDeque<usize>> = HashMap::new();
    for (at, key) in new.enumerate() {
        known.entry(key).or_default().push_back(at);
    }
    old.map(|key| known.get_mut(&key)?.pop_front()).collect()
}

/// That some verdicts could not be had without names.
fn unlike(count: usize) -> String {
    let deaths = if count == 1 { "death" } else { "deaths" };
    format!(
        "what witnesses said of {count} {deaths} is left out: without names it comes to another verdict"
    )
}

/// The documents of the deaths, each made when it is written.
pub(crate) struct Deaths<'s, 'a>(pub(crate) &'s Answer<'a>);

impl Serialize for Deaths<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rankings = Rankings::default();
        let mut last: Option<&Episode> = None;
        let deaths = self.0.deaths.iter().filter(|death| death.is_death());
        serializer.collect_seq(deaths.map(|death| {
            let verdict = death.verdict(&self.0.inquest, self.0.sights());
            let Some(subject) = death.killed() else {
                return verdict.map(|verdict| {
                    let mut verdict = verdict.into_owned();
                    self.0.cite(death, &mut verdict.claims, JUDGED);
                    let (_, recorded) = self.0.memory(&verdict, Window::Minutes);
                    OneDocument::Testified(Box::new(TestifiedDocument::new(&verdict, recorded)))
                });
            };
            let again = last.is_some_and(|last| std::ptr::eq(last, subject.episode));
            last = Some(subject.episode);
            let turn = if again { Turn::Further } else { Turn::First };
            let mut diagnosis = self.0.explained(subject, &rankings);
            self.0.cite(death, &mut diagnosis.claims, JUDGED);
            let document = DeathDocument::new(&diagnosis, &subject.episode.report, turn);
            Some(OneDocument::Reported(Box::new(match verdict {
                Some(verdict) => document.with(&verdict),
                None => document,
            })))
        }))
    }
}

/// A death, whoever tells of it.
#[derive(Serialize)]
#[serde(untagged)]
enum OneDocument {
    Reported(Box<DeathDocument>),
    Testified(Box<TestifiedDocument>),
}

/// The documents of the episodes without a death, each made when it is written.
struct Episodes<'s, 'a>(&'s Answer<'a>);

impl Serialize for Episodes<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rankings = Rankings::default();
        let episodes = self.0.subjects().filter(|subject| subject.kill.is_none());
        serializer.collect_seq(episodes.map(|subject| {
            let diagnosis = self.0.explained(&subject, &rankings);
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

/// A death in one line.
fn row(death: &Death<'_>, inquest: &Inquest) -> Row {
    match (&death.subject, death.told(inquest)) {
        (Some(subject), told) => Row::of_outline(&subject.outline(), told),
        (None, Some(verdict)) => Row::of_verdict(verdict),
        (None, None) => Row::default(),
    }
}

/// The time that was asked for, and the newest death before it.
pub(crate) fn newest_before(found: &Found, args: &WhyArgs) -> Option<(WallTime, String)> {
    let since = moment(args.since?, highwater_agent::clock::now().wall);
    let older = outlines(found).filter(|death| death.time.is_some_and(|time| time < since));
    let last = older.max_by_key(|death| death.time)?;
    Some((since, named(&last)))
}

pub(crate) fn moment(since: Since, now: WallTime) -> WallTime {
    since.moment(now)
}
