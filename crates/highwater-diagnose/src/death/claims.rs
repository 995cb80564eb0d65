//! The statements of a diagnosis, most important first. Each asks one question of the scene, and
//! stays silent where the evidence does; some of the answers are reasons.

mod choice;
mod domain;
mod holders;
mod limit;
mod matter;
pub(super) mod program;
mod shortage;
mod trend;

use highwater_core::evidence::{Claim, Evidence};
use highwater_oom::report::Chosen;

pub(super) use holders::dominant;

use super::Confidence;
use super::missing;
use super::reason::{self, Ground, Reason};
use super::scene::Scene;
use crate::words;

/// A statement, and the reason that it is, with how sure that is.
struct Said {
    claim: Claim,
    reason: Option<(Reason, Confidence)>,
}

impl From<Claim> for Said {
    fn from(claim: Claim) -> Self {
        Self { claim, reason: None }
    }
}

type Question = fn(&Scene<'_>) -> Option<Said>;

/// A question whose answer is a statement and no reason.
macro_rules! told {
    ($question:path) => {
        |scene| $question(scene).map(Said::from)
    };
}

const QUESTIONS: &[Question] = &[
    domain::what_ran_out,
    told!(shortage::joined_from_record),
    told!(matter::round_limit),
    told!(shortage::machine_had_memory),
    told!(shortage::why_global),
    holders::kernel_memory,
    holders::huge_page_pool,
    shortage::swap,
    told!(trend::growth),
    told!(trend::never_sampled),
    holders::shared_memory,
    told!(matter::not_the_cache),
    told!(matter::beyond_limit),
    told!(choice::why_this_one),
    told!(choice::what_if),
    told!(choice::how_sure),
    told!(choice::address_space),
    asked_by_another,
    shortage::ending,
    limit::below_working_set,
    with_others,
    told!(choice::reaper),
];

/// All that can be said, and which of it are the reasons, the primary one first.
pub(super) fn of(scene: &Scene<'_>) -> (Vec<Claim>, Vec<Ground>) {
    let names = scene.names();
    let as_sentence = |claim: Claim| Claim { text: words::sentence(&claim.text, &names), ..claim };
    let mut claims = Vec::new();
    let mut found = Vec::new();
    for answer in QUESTIONS.iter().filter_map(|ask| ask(scene)) {
        let claim = as_sentence(answer.claim);
        if let Some((reason, confidence)) = answer.reason {
            found.push((reason, confidence, claim.clone()));
        }
        claims.push(claim);
    }
    if !found.iter().any(|(reason, ..)| is_bound(*reason)) {
        found.insert(0, (Reason::Unknown, Confidence::Unknown, as_sentence(unknown(scene))));
    }
    claims.extend(missing::of(scene).map(as_sentence));
    let grounds = reason::ordered(found, dominant(scene));
    // What made it happen stands before what came of it.
    let first = grounds.first().map(|ground| &ground.claim);
    if let Some(at) = claims.iter().position(|claim| Some(claim) == first) {
        claims.get_mut(..=at).unwrap_or_default().rotate_right(1);
    }
    (claims, grounds)
}

/// Which holders had a part in it, without asking anything else.
pub(super) fn holders_of(scene: &Scene<'_>) -> Vec<Reason> {
    const HOLDERS: [Question; 3] =
        [holders::kernel_memory, holders::shared_memory, holders::huge_page_pool];
    let answers = HOLDERS.iter().filter_map(|ask| ask(scene));
    answers.filter_map(|answer| answer.reason.map(|(reason, _)| reason)).collect()
}

/// Whether it can be the primary reason.
const fn is_bound(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::OwnLimit
            | Reason::AncestorLimit
            | Reason::CgroupLimit
            | Reason::Machine
            | Reason::Node
            | Reason::Zone
            | Reason::Fragmentation
            | Reason::KillerThreshold
            | Reason::ByHand
    )
}

fn unknown(scene: &Scene<'_>) -> Claim {
    let text = "unknown, because no line says what ran out".to_owned();
    let evidence = scene.cite.lines(scene.kill.map(|kill| kill.line));
    Claim { text, evidence }
}

/// Who asked is seldom who filled the memory.
fn asked_by_another(scene: &Scene<'_>) -> Option<Said> {
    // Of a cgroup that dies together, the one who asked may be among the dead.
    let asker = scene.report.trigger.as_ref().and_then(|told| told.value.pid);
    let died = asker.is_some() && scene.report.kills.iter().any(|kill| kill.pid == asker);
    let claim = choice::asked_by_another(scene).filter(|_| !died)?;
    let reason = scene.kill.is_some().then_some((Reason::AskedByAnother, Confidence::Certain));
    Some(Said { claim, reason })
}

/// A cgroup that dies together takes those along that held nothing.
fn with_others(scene: &Scene<'_>) -> Option<Said> {
    let claim = choice::with_others(scene)?;
    let together = scene.report.oom_group.is_some()
        || scene.report.kills.iter().any(|kill| kill.chosen == Chosen::WithGroup);
    let reason = together.then_some((Reason::GroupKill, Confidence::Certain));
    Some(Said { claim, reason })
}

/// A statement on what it stands on; without anything under it, none.
fn claim(text: String, evidence: Vec<Evidence>) -> Option<Claim> {
    (!evidence.is_empty()).then_some(Claim { text, evidence })
}

/// A statement that is a reason.
fn said(
    reason: Reason,
    confidence: Confidence,
    text: String,
    evidence: Vec<Evidence>,
) -> Option<Said> {
    Some(Said { claim: claim(text, evidence)?, reason: Some((reason, confidence)) })
}
