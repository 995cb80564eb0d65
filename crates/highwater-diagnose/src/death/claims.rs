//! The statements of a diagnosis, most important first. Each asks one question of the scene, and
//! stays silent where the evidence does.

mod choice;
mod matter;
mod shortage;
mod trend;

use highwater_core::evidence::{Claim, Evidence};

use super::missing;
use super::scene::Scene;
use crate::words;

/// All that can be said.
pub(super) fn of(scene: &Scene<'_>) -> Vec<Claim> {
    const QUESTIONS: &[fn(&Scene<'_>) -> Option<Claim>] = &[
        shortage::what_ran_out,
        shortage::joined_from_record,
        matter::round_limit,
        shortage::machine_had_memory,
        shortage::why_global,
        shortage::swap,
        trend::growth,
        trend::never_sampled,
        matter::not_the_cache,
        matter::shared_memory,
        matter::kernel_memory,
        matter::beyond_limit,
        choice::why_this_one,
        choice::address_space,
        choice::asked_by_another,
        shortage::ending,
        shortage::how_often,
        choice::with_others,
        choice::reaper,
    ];
    let answers = QUESTIONS.iter().filter_map(|ask| ask(scene));
    let names = scene.names();
    answers
        .chain(missing::of(scene))
        .map(|claim| Claim { text: words::sentence(&claim.text, &names), ..claim })
        .collect()
}

/// A statement on what it stands on; without anything under it, none.
fn claim(text: String, evidence: Vec<Evidence>) -> Option<Claim> {
    (!evidence.is_empty()).then_some(Claim { text, evidence })
}
