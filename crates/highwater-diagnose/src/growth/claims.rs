//! What is said of a growth, each statement with what it stands on.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::growth::{Resource, Verdict};
use highwater_core::time::{Span, WallTime};
use highwater_detect::{Judgement, Left, Reason};

use super::bounds::{Bound, Bounds, Ceiling};
use super::causes::{Around, Cause, Weighed, is_on_disk, weigh};
use super::draft::Draft;
use super::explain::{Twins, in_memory};
use super::places::Place;
use super::{Ground, Item};

/// All that was judged, for what one judgement says of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) bounds: &'a Bounds,
    pub(super) drafts: &'a [Draft],
    pub(super) places: &'a [Place],
    pub(super) at: WallTime,
}

impl Scene<'_> {
    /// What is told of `draft`.
    pub(super) fn item(&self, draft: &Draft, twins: &Twins) -> Item {
        let is_calm = matches!(draft.verdict, Verdict::Steady | Verdict::Cyclic);
        let around = Around {
            own: self.bounds.own_limit(&draft.whose),
            promised: self.bounds.promised(draft.host()),
            total: self.bounds.machine(&draft.whose).and_then(|machine| machine.total),
        };
        let (cause, causes): (Option<Cause>, Vec<Weighed>) = weigh(draft, around);
        let is_meant = matches!(draft.verdict, Verdict::Leak | Verdict::Growing);
        let is_ending = is_meant && draft.rises() && draft.away.is_none();
        let bound = draft.bound.clone();
        let left = bound.as_ref().filter(|_| is_ending);
        let left = left.and_then(|bound| draft.judgement.left_to(bound.level));
        let grounds = if is_calm { Vec::new() } else { self.grounds(draft, left, twins, around) };
        Item {
            whose: draft.whose.clone(),
            resource: draft.resource,
            unit: draft.unit,
            verdict: draft.verdict,
            rate: draft.judgement.rate,
            confidence: twins.strengthen(draft.judgement.confidence),
            since: draft.judgement.since,
            current: draft.judgement.current,
            bound,
            left,
            cause,
            causes,
            grounds,
            curve: draft.curve.clone(),
            begins: if is_calm { Vec::new() } else { draft.begins.clone() },
        }
    }

    fn grounds(
        &self,
        draft: &Draft,
        left: Option<Left>,
        twins: &Twins,
        around: Around,
    ) -> Vec<Ground> {
        let mut all = vec![headline(draft)];
        let is_cache = draft.verdict == Verdict::Cache;
        if is_cache {
            all.push(self.harmless(draft));
        } else {
            all.extend(Self::ends(draft, left, around));
        }
        all.extend(lives(draft, self.at));
        // What it may not exceed is told with its name, above.
        let reasons = draft.judgement.reasons.iter();
        let reasons = reasons.filter(|reason| !reason.text.starts_with("its limit is"));
        all.extend(reasons.map(|reason| reasoned(draft, reason)));
        all.extend(draft.away.map(|silent| away(draft, silent)));
        all.extend(draft.caveat.map(|caveat| against(draft, caveat.text().to_owned())));
        all.extend(draft.explained.as_ref().map(|whose| {
            let text = format!("it is the {whose} that grows: this is the sum it is counted in");
            against(draft, text)
        }));
        all.extend(alike(draft, twins));
        if !is_cache {
            all.extend(self.contradictions(draft));
        }
        all
    }

    /// That cache kills nobody, by what stays available meanwhile.
    fn harmless(&self, draft: &Draft) -> Ground {
        let what = match draft.resource {
            Resource::Cache => "clean page cache",
            _ => "reclaimable slab",
        };
        let text = format!(
            "it is harmless: {what} is given back before anybody is killed, and is no reason for a \
             kill"
        );
        let mut evidence = vec![draft.evidence.clone()];
        evidence.extend(self.room(draft));
        Ground { speaks_for: true, claim: Claim { text, evidence } }
    }

    /// What the machine has to give, as evidence.
    fn room(&self, draft: &Draft) -> Option<Evidence> {
        let bound = self.bounds.of_memory(
            &super::Whose { host: draft.whose.host.clone(), ..super::Whose::machine() },
            0.0,
            0.0,
        )?;
        (bound.ceiling == Ceiling::Machine).then_some(bound.evidence)
    }

    /// What it will reach, and when.
    fn ends(draft: &Draft, left: Option<Left>, around: Around) -> Vec<Ground> {
        let mut all = Vec::new();
        let is_memory = !draft.resource.is_count() && !is_on_disk(draft);
        let is_owned = !draft.whose.is_machine() && !matches!(draft.whose.kind, "filesystem");
        let bounded = draft.bound.as_ref().is_some_and(|bound| bound.ceiling != Ceiling::Machine);
        if is_memory && is_owned && around.own.is_none() && !bounded {
            let text =
                format!("{} has no limit: no memory limit is set on it or above it", draft.whose);
            all.push(in_favour(draft, text));
        }
        if let (Some(bound), Some(left)) = (&draft.bound, left) {
            let text = format!("{} {}", reached(draft, bound), when(left));
            let claim =
                Claim { text, evidence: vec![draft.evidence.clone(), bound.evidence.clone()] };
            all.push(Ground { speaks_for: true, claim });
        } else if draft.bound.is_none() && draft.rises() {
            let text =
                "what it may not exceed is not on record, so there is no telling how long is left";
            all.push(against(draft, text.to_owned()));
        }
        all
    }

    /// Stories that suggest themselves and that the evidence contradicts.
    fn contradictions(&self, draft: &Draft) -> Vec<Ground> {
        if draft.verdict != Verdict::Leak || is_on_disk(draft) && !in_memory(draft, self.places) {
            return Vec::new();
        }
        if draft.resource.is_count() {
            return Vec::new();
        }
        let here: Vec<&Draft> =
            self.drafts.iter().filter(|other| other.host() == draft.host()).collect();
        let mut all = Vec::new();
        all.extend(suspect(draft, &here));
        if let Some(largest) = largest(&here).filter(|largest| largest.whose != draft.whose) {
            let held = largest.unit.said(largest.judgement.current);
            let name = &largest.whose;
            let text = if largest.rises() {
                format!("{name} holds the most, {held}, but is not all that grows")
            } else {
                format!("not the largest: {name} holds the most, {held}, and does not grow")
            };
            let evidence = vec![largest.evidence.clone(), draft.evidence.clone()];
            all.push(Ground { speaks_for: true, claim: Claim { text, evidence } });
        }
        let of = |resource| here.iter().find(|other| other.resource == resource);
        if let Some(cache) = of(Resource::Cache) {
            let text = "not the page cache: it is given back before memory runs out".to_owned();
            let evidence = vec![cache.evidence.clone()];
            all.push(Ground { speaks_for: true, claim: Claim { text, evidence } });
        }
        if let Some(images) = of(Resource::Images) {
            let text = "not the images: they take room on a disk, none of memory".to_owned();
            let evidence = vec![images.evidence.clone()];
            all.push(Ground { speaks_for: true, claim: Claim { text, evidence } });
        }
        all
    }
}

/// A moment to the minute: `2024-04-27T08:47Z`.
pub(super) fn minute(at: WallTime) -> String {
    at.to_string().chars().take(16).chain(['Z']).collect()
}

fn in_favour(draft: &Draft, text: String) -> Ground {
    Ground { speaks_for: true, claim: Claim { text, evidence: vec![draft.evidence.clone()] } }
}

fn against(draft: &Draft, text: String) -> Ground {
    Ground { speaks_for: false, claim: Claim { text, evidence: vec![draft.evidence.clone()] } }
}

/// Whoever is away reaches nothing.
fn away(draft: &Draft, silent: Duration) -> Ground {
    let (whose, silent) = (&draft.whose, Span(silent));
    against(draft, format!("nothing has been read of {whose} for {silent}: it may have ended"))
}

/// What it does, in one sentence.
fn headline(draft: &Draft) -> Ground {
    let Judgement { current, rate, since, .. } = &draft.judgement;
    let of = format!("{} of {}", draft.resource, draft.whose);
    let now = draft.unit.said(*current);
    let since = since.map_or_else(String::new, |since| format!(" since {}", minute(since)));
    let text = match (rate, draft.verdict) {
        (Some(rate), Verdict::Leak | Verdict::Growing | Verdict::Cache) => format!(
            "{of} grows by {} ({} to {}){since}; it is {now} now",
            draft.unit.rate(rate.per_hour),
            draft.unit.rate(rate.low),
            draft.unit.rate(rate.high),
        ),
        (_, Verdict::WarmUp) => format!("{of} rises ever more slowly{since}; it is {now} now"),
        (_, Verdict::LevelShift) => {
            format!("{of} stepped to another level{since}; it is {now} now")
        }
        (_, Verdict::Burst) => format!("{of} rose steeply{since}; it is {now} now"),
        _ => format!("{of} is {now} now"),
    };
    in_favour(draft, text)
}

/// A reason of the statistics, its figures in the units of the course.
fn reasoned(draft: &Draft, reason: &Reason) -> Ground {
    let filled = reason.values.iter().enumerate().fold(reason.text.clone(), |text, (at, value)| {
        text.replace(&format!("{{{at}}}"), &draft.unit.said(*value))
    });
    let claim = Claim { text: filled, evidence: vec![draft.evidence.clone()] };
    Ground { speaks_for: reason.speaks_for, claim }
}

/// What happens at the limit, without its end.
fn reached(draft: &Draft, bound: &Bound) -> String {
    let limit = draft.unit.said(bound.limit);
    match &bound.ceiling {
        Ceiling::Own => format!("its limit of {limit} is reached"),
        Ceiling::High => {
            format!("memory.high, {limit}, from where on it is slowed down, is reached")
        }
        Ceiling::Above(path) => {
            format!("the limit of {}, {limit}, is reached", crate::words::place(path))
        }
        Ceiling::Machine => {
            format!("the machine's memory is used up ({limit}; MemAvailable at the low watermark)")
        }
        Ceiling::Files => format!("no file can be opened any more (limit {limit})"),
        Ceiling::Tasks => format!("no process or thread can be started any more (limit {limit})"),
        Ceiling::Size => format!("its {limit} are full"),
        Ceiling::Swap => format!("swap is full ({limit})"),
        Ceiling::Whole => "100 % is reached".to_owned(),
    }
}

fn when(left: Left) -> String {
    let range = match left.latest {
        Some(latest) => format!("{} to {}", Span(left.soonest), Span(latest)),
        None => format!("at least {}", Span(left.soonest)),
    };
    format!("in about {} ({range})", Span(left.likely))
}

/// How its earlier lives went, and when this one will end if it goes like them.
fn lives(draft: &Draft, at: WallTime) -> Option<Ground> {
    let lives = draft.judgement.lives.as_ref()?;
    let scatter = Span(lives.lasted.mul_f64(lives.scatter.clamp(0.0, 1.0)));
    let (ended, lasted) = (lives.ended, Span(lives.lasted));
    let noun = if ended == 1 { "life" } else { "lives" };
    let level = draft.unit.said(lives.level_at_end);
    let limit = match lives.at_ceiling {
        0 => String::new(),
        count => format!("; {count} of them at the limit: a sawtooth"),
    };
    let next = lives.next_end.filter(|next| *next > at).map_or_else(String::new, |next| {
        let left: Duration = next.since(at);
        format!("; if this life goes like them, it ends in {}, at {}", Span(left), minute(next))
    });
    let text = format!(
        "{ended} {noun} ended before, each after about {lasted} (±{scatter}), at {level}{limit}{next}"
    );
    Some(in_favour(draft, text))
}

/// How its twins fare.
fn alike(draft: &Draft, twins: &Twins) -> Option<Ground> {
    if twins.all < 2 || twins.alike < 2 {
        return None;
    }
    let names = twins.names.join(", ");
    let text = format!("{} of {} replicas grow alike: {names}", twins.alike, twins.all);
    Some(in_favour(draft, text))
}

/// Of a machine's leak that is nobody's yet: who gained the most meanwhile.
fn suspect(draft: &Draft, here: &[&Draft]) -> Option<Ground> {
    let gained = |other: &Draft| other.judgement.current - other.first.value;
    let alike = here.iter().filter(|other| {
        other.resource == draft.resource && other.unit == draft.unit && !other.whose.is_machine()
    });
    let most = alike.copied().max_by(|a, b| gained(a).total_cmp(&gained(b)))?;
    if !draft.whose.is_machine() || gained(most) < gained(draft) / 2.0 {
        return None;
    }
    let text = format!(
        "{} gained the most meanwhile, {}, though its own course does not show it beyond doubt",
        most.whose,
        most.unit.said(gained(most))
    );
    let evidence = vec![most.evidence.clone(), draft.evidence.clone()];
    Some(Ground { speaks_for: true, claim: Claim { text, evidence } })
}

/// Who holds the most memory.
fn largest<'d>(drafts: &[&'d Draft]) -> Option<&'d Draft> {
    let holders = drafts.iter().filter(|draft| {
        draft.resource == Resource::Anon
            && draft.unit == super::Unit::Bytes
            && !draft.whose.is_machine()
    });
    holders.copied().max_by(|a, b| a.judgement.current.total_cmp(&b.judgement.current))
}
