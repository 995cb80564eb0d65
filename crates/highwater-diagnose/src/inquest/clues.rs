//! What advice goes by, beside the cause: where the core is, whose command it was, whose end was passed
//! on.

use highwater_core::testimony::{ContainerWord, Party, Status, UnitWord, Witness};
use highwater_core::units::Bytes;

use super::rules::Finding;
use super::scene::Scene;
use super::ways::Way;

/// What became of its memory when it crashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    /// Nobody says.
    #[default]
    Unknown,
    /// None was written.
    None,
    /// One was written, where the kernel's pattern says.
    Written,
    /// systemd-coredump says that it took it.
    Kept,
}

/// What is known beside a verdict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clues {
    /// The process of the same owner whose end this is about: it was passed on, or the rest was
    /// stopped for it, or a daemon's word means it.
    pub child: Option<Party>,
    /// Whose command led to it, where a manager did it on somebody's behalf.
    pub asker: Option<Party>,
    /// What became of its memory.
    pub core: Core,
    /// What was held where the limit was reached, by the kernel's report of the kill.
    pub usage: Option<Bytes>,
    /// Whether there is a journal to look into; `None`: nobody knows.
    pub has_journal: Option<bool>,
    /// Whether the kernel was asked then who sends signals; `None`: nobody knows.
    pub has_signals: Option<bool>,
    /// It ran under a limit on its address space.
    pub is_address_limited: bool,
    /// Its container was removed: what it wrote went with it.
    pub is_removed: bool,
    /// What made the signal that ended it, where nobody sent that.
    pub way: Option<Way>,
    /// Its owner ended in the same moment, though this was not its first process.
    pub is_owner_gone: bool,
}

impl Clues {
    pub(super) fn of(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Self {
        let near = || scene.killed_before().map(|(brief, _)| brief.who.clone());
        let is_docker_wrong = super::doubts::says_oom_wrongly(scene, finding).is_some();
        Self {
            child: finding.other.clone().or_else(|| near().filter(|_| is_docker_wrong)),
            asker: finding.command.map(super::timeline::Item::party),
            core: core(scene),
            usage: finding.usage,
            has_journal: scene.hears(Witness::Journal),
            has_signals: scene.hears(Witness::Signals),
            is_removed: scene.container(|word| matches!(word, ContainerWord::Destroyed)).is_some(),
            way: finding.way,
            is_owner_gone: scene.is_owner_gone(),
            is_address_limited: scene.address_limit().is_some(),
        }
    }
}

fn core(scene: &Scene<'_, '_>) -> Core {
    if scene.unit(|word| matches!(word, UnitWord::CoreDumped { .. })).is_some() {
        return Core::Kept;
    }
    match scene.status {
        Some((Status::Signal { core: true, .. }, _)) => Core::Written,
        // Who waits for a process is told this; who passes on a code is not.
        Some((Status::Signal { core: false, .. }, _)) if is_waited_for(scene) => Core::None,
        _ => Core::Unknown,
    }
}

/// Its status is that of wait(2): not a daemon's or an audit record's.
fn is_waited_for(scene: &Scene<'_, '_>) -> bool {
    let is_main = |word: &UnitWord| matches!(word, UnitWord::MainExited { status: Some(_), .. });
    scene.exit().is_some() || scene.unit(is_main).is_some()
}
