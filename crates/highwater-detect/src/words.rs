//! What speaks for a judgement and against it, in sentences.

use highwater_core::growth::Verdict;

use crate::Reason;
use crate::decide::{Doubt, Setting};
use crate::evidence::Evidence;

fn speaks(speaks_for: bool, text: impl Into<String>, values: Vec<f64>) -> Reason {
    Reason { speaks_for, text: text.into(), values }
}

/// Hours in words.
fn span(hours: f64) -> String {
    if hours < 48.0 { format!("{hours:.1} hours") } else { format!("{:.1} days", hours / 24.0) }
}

fn growth(evidence: &Evidence) -> Reason {
    let values = vec![evidence.first, evidence.last, evidence.slope];
    let how = span(evidence.reached());
    speaks(true, format!("what stays after every fall grew from {{0}} to {{1}} in {how}"), values)
}

/// Of a leak.
pub(crate) fn of_leak(evidence: &Evidence, setting: &Setting<'_>) -> Vec<Reason> {
    let mut reasons = vec![growth(evidence)];
    let score = format!("that is {:.1} standard deviations more than chance", evidence.score);
    reasons.push(speaks(true, score, Vec::new()));
    if let Some(shape) = evidence.shape {
        let late = format!(
            "it does not slow down: its later half grew at {:.0} % of the rate of the whole",
            shape.late * 100.0
        );
        reasons.push(speaks(true, late, Vec::new()));
    }
    if let Some(burden) = evidence.burden {
        let text = format!(
            "load changed by {:+.0} % meanwhile and does not explain it",
            burden.rise * 100.0
        );
        reasons.push(speaks(true, text, Vec::new()));
    }
    if let Some(lives) = setting.lives.filter(|lives| lives.at_ceiling > 0) {
        let text = format!(
            "{} of {} earlier lives ended near the limit, at about {{0}}",
            lives.at_ceiling, lives.ended
        );
        reasons.push(speaks(true, text, vec![lives.level_at_end]));
    }
    for cycle in [evidence.daily, evidence.weekly].into_iter().flatten() {
        let text = format!("a rhythm of {} was taken out; it moves by {{0}}", span(cycle.period));
        reasons.push(speaks(true, text, vec![cycle.height]));
    }
    if evidence.span < 42.0 && setting.lives.is_none() {
        let text = "less than two days are known: a daily rhythm cannot be told from growth yet";
        reasons.push(speaks(false, text, Vec::new()));
    }
    reasons
}

/// Of growth that is no leak.
pub(crate) fn of_doubt(evidence: &Evidence, doubt: Doubt, setting: &Setting<'_>) -> Vec<Reason> {
    let slowing = evidence.shape.map_or_else(String::new, |shape| {
        format!(
            "it slows down: its later half grew at {:.0} % of the rate of the whole, and a curve that \
             flattens is {:.1} likelier than a line",
            shape.late * 100.0,
            -shape.straight
        )
    });
    let text = match doubt {
        Doubt::Chance => "chance alone moves as much",
        Doubt::Slowing => slowing.as_str(),
        Doubt::Stopped => "it grew, and does so no more: its end is flat",
        Doubt::Step => "one step explains it",
        Doubt::Load => "load rose with it and explains it",
        Doubt::Known => "it has been as high before",
        Doubt::Slight => "nothing comes of it within a month",
        Doubt::Early => "it is too early to tell it from a daily rhythm or a warm-up",
    };
    let mut reasons = vec![growth(evidence), speaks(doubt != Doubt::Slight, text, Vec::new())];
    if let Some(ceiling) = setting.ceiling {
        let left = "its limit is {0}, it stands at {1}";
        reasons.push(speaks(true, left, vec![ceiling, evidence.last + evidence.reach]));
    }
    reasons
}

/// Of a course that does not grow.
pub(crate) fn of_calm(whole: Option<&Evidence>, verdict: Verdict) -> Vec<Reason> {
    let Some(whole) = whole else {
        return vec![speaks(true, "too few values to judge by", Vec::new())];
    };
    let mut reasons = Vec::new();
    for cycle in [whole.daily, whole.weekly].into_iter().flatten() {
        let text = format!(
            "every {} it goes up and down by {{0}}; one foretells the next with a correlation of {:.2}",
            span(cycle.period),
            cycle.likeness
        );
        reasons.push(speaks(verdict == Verdict::Cyclic, text, vec![cycle.height]));
    }
    let text = format!(
        "over {} its floor changed by no more than chance does ({:.1} standard deviations)",
        span(whole.span),
        whole.score
    );
    reasons.push(speaks(true, text, Vec::new()));
    reasons
}
