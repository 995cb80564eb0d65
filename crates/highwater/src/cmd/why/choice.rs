//! Which deaths are wanted, and who else has a name like theirs.

use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::Inquest;

use super::answer::moment;
use super::hangs::{self, Question};
use super::judged::{Death, Judged};
use crate::args::WhyArgs;
use crate::cmd::target::{self, Match};

/// The deaths that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Choice<'a> {
    pub(crate) deaths: Vec<Death<'a>>,
    /// The places of those that hang, or did, and are wanted.
    pub(crate) hangs: Vec<usize>,
    /// That nobody who died is called so, or who else has a name like it.
    pub(crate) remark: Option<String>,
    /// That whoever is called so lives.
    pub(crate) lives: Option<String>,
    /// The ends that are left out.
    pub(crate) everyday: Everyday,
    /// How well the deaths answer to the name.
    pub(crate) best: Option<Match>,
}

/// Ends that nobody is told of unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Everyday {
    /// Somebody wanted them.
    pub(crate) wanted: usize,
    /// Commands that failed, children that were ended by their parents, and the like.
    pub(crate) others: usize,
}

impl Everyday {
    /// `3 that were wanted, 1 of a command that failed or was ended by who had started it`; `None`
    /// if nothing is left out.
    pub(crate) fn ends(self) -> Option<String> {
        let wanted = match self.wanted {
            0 => None,
            1 => Some("1 that was wanted".to_owned()),
            count => Some(format!("{count} that were wanted")),
        };
        let others = match self.others {
            0 => None,
            1 => Some("1 of a command that failed or was ended by who had started it".to_owned()),
            count => {
                let who = "commands that failed or were ended by who had started them";
                Some(format!("{count} of {who}"))
            }
        };
        let ends: Vec<String> = wanted.into_iter().chain(others).collect();
        (!ends.is_empty()).then(|| ends.join(", "))
    }
}

/// The deaths that are wanted. A name that is wholly somebody's means only those; without a name
/// they are those that nobody wanted, unless all are asked for.
pub(crate) fn chosen<'a>(all: &Judged<'a>, args: &WhyArgs, name: Option<&str>) -> Choice<'a> {
    let now = highwater_agent::clock::now().wall;
    let since = args.since.map(|since| moment(since, now));
    let inquest = &all.inquest;
    let mut deaths = all.deaths.clone();
    if let Some(since) = since {
        // A death without a time of day may be any.
        deaths.retain(|death| death.wall(inquest).is_none_or(|time| time >= since));
    }
    let question = Question { names: &[], since, now, best: None };
    let Some(name) = name else {
        let mut everyday = Everyday::default();
        deaths.retain(|death| {
            let is_told = args.all || death.is_of_note(inquest);
            let wanted = || death.told(inquest).is_some_and(|told| told.cause.is_wanted());
            match (is_told, is_told || wanted()) {
                (true, _) => {}
                (false, true) => everyday.wanted += 1,
                (false, false) => everyday.others += 1,
            }
            is_told
        });
        // Whoever asks for everything hears of old hangs, too.
        let since = since.or(args.all.then_some(WallTime::from_millis(i64::MIN)));
        let hangs = hangs::asked_for(&inquest.stuck, &Question { since, ..question });
        return Choice { deaths, hangs, everyday, ..Choice::default() };
    };
    let id = target::container_called(name).or_else(|| target::cgroup_at(name));
    let names: Vec<&str> = [Some(name), id.as_deref()].into_iter().flatten().collect();
    let mut choice = called(deaths, &names, inquest);
    choice.hangs = hangs::asked_for(
        &inquest.stuck,
        &Question { names: &names, best: choice.best, ..question },
    );
    if args.anonymize {
        choice.remark = None;
        choice.lives = None;
    }
    choice
}

/// Those that answer best to one of `names`, the first of which was typed.
fn called<'a>(deaths: Vec<Death<'a>>, names: &[&str], inquest: &Inquest) -> Choice<'a> {
    let answers = |death: &Death<'_>| {
        let outline = death.subject.map(|subject| subject.outline());
        let report = outline.and_then(|outline| {
            names.iter().filter_map(|name| target::matches(name, &outline)).max()
        });
        let told = death.told(inquest).and_then(|verdict| {
            names.iter().filter_map(|name| target::names(name, &verdict.who)).max()
        });
        report.max(told)
    };
    let scored: Vec<_> =
        deaths.into_iter().filter_map(|death| Some((answers(&death)?, death))).collect();
    let best = scored.iter().map(|(how, _)| *how).max();
    let living = living(names, inquest);
    let lives = living.clone().filter(|_| best != Some(Match::Whole));
    let (wanted, others): (Vec<_>, Vec<_>) =
        scored.into_iter().partition(|(how, _)| Some(*how) == best && lives.is_none());
    let typed = names.first().copied().unwrap_or_default();
    let like = |all: &[(Match, Death<'a>)]| {
        let names: Vec<String> =
            all.iter().filter_map(|(_, death)| known_as(typed, death, inquest)).collect();
        target::counted_names(names.iter().map(String::as_str))
    };
    let remark = match best {
        Some(Match::Part) if lives.is_none() => like(&wanted).map(|names| {
            format!("no death of {}; these names contain it: {names}", escape(typed.as_bytes()))
        }),
        _ => like(&others).map(|names| format!("names that contain it: {names}")),
    };
    let is_its = |(_, death): &(Match, Death<'a>)| {
        let owner = death.told(inquest).and_then(|told| told.who.owner.as_ref());
        owner.is_some_and(|owner| names.iter().any(|name| target::is_owner(name, owner)))
    };
    let remark = match living {
        // A process of that name died, and the container of that name did not.
        Some(lives) if !wanted.is_empty() && !wanted.iter().any(is_its) => Some(lives),
        _ => remark,
    };
    let deaths = wanted.into_iter().map(|(_, death)| death).collect();
    Choice { deaths, remark, lives, best, ..Choice::default() }
}

/// That the owner of that name lives, and since when.
fn living(names: &[&str], inquest: &Inquest) -> Option<String> {
    let is_it = |owner| names.iter().any(|name| target::is_owner(name, owner));
    let life = inquest.lives.iter().rev().find(|life| is_it(&life.owner))?;
    let started = life.started.filter(|_| life.ended.is_none())?;
    let typed = names.first().copied().unwrap_or_default();
    let name = escape(typed.as_bytes());
    Some(format!(
        "{} {name} has been up since {started}: no death of it is on record.",
        life.owner.kind()
    ))
}

/// The name of it that has `typed` in it.
fn known_as(typed: &str, death: &Death<'_>, inquest: &Inquest) -> Option<String> {
    let who = death.told(inquest).map(|verdict| &verdict.who);
    let owner = who.and_then(|who| who.owner.as_ref()).map(target::bare);
    let comm = match &death.subject {
        Some(subject) => subject.outline().victim.and_then(|victim| victim.comm.clone()),
        None => who.and_then(|who| who.comm.clone()),
    };
    let has = |name: &&String| name.contains(typed);
    let told = owner.as_ref().filter(has).or(comm.as_ref().filter(has)).cloned();
    told.or(comm).or(owner)
}
