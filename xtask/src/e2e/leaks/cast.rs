//! Who plays: each habit once, and what must be said of it.

use crate::victim::habit::Habit;

const MIB: u64 = 1 << 20;

/// One program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) habit: Habit,
    /// What its cgroup limits.
    pub(super) limit: Limit,
    /// Whether its cgroup is named as systemd names that of a unit.
    pub(super) is_unit: bool,
    /// Of what kind its leak is; none of a program that behaves well.
    pub(super) leaks: Option<&'static str>,
    /// What grows with it because it has to, and may be told as well.
    pub(super) beside: &'static [&'static str],
}

/// What a program may have. Who leaks meets it a little after the last look, about eight minutes after
/// its start: then nothing but a leak is the right word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    None,
    Memory(u64),
    Tasks(u64),
    /// Of open files, by process.
    Files(u64),
}

const fn leaking(habit: Habit, kind: &'static str, beside: &'static [&'static str]) -> Part {
    Part { habit, limit: Limit::None, is_unit: true, leaks: Some(kind), beside }
}

const fn calm(habit: Habit) -> Part {
    Part { habit, limit: Limit::None, is_unit: true, leaks: None, beside: &[] }
}

impl Part {
    const fn within(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    const fn nameless(self) -> Self {
        Self { is_unit: false, ..self }
    }

    /// Whether it leaks towards a limit: it has to be accused, and not only told to grow.
    pub(super) fn is_urgent(&self) -> bool {
        self.leaks.is_some() && self.limit != Limit::None
    }
}

/// Some with a limit and some without, some units and some plain cgroups.
pub(super) const CAST: &[Part] = &[
    leaking(Habit::Anon, "anon", &["page-tables"]).within(Limit::Memory(504 * MIB)),
    leaking(Habit::Ratchet, "anon", &["page-tables"]).nameless(),
    leaking(Habit::Fds, "fds", &["slab-unreclaimable"]).within(Limit::Files(1920)),
    // A thread needs a stack of its own and one in the kernel.
    leaking(Habit::Threads, "threads", &["anon", "kernel-stacks", "slab-unreclaimable"])
        .within(Limit::Tasks(480))
        .nameless(),
    leaking(Habit::Zombies, "children", &["threads", "kernel-stacks", "slab-unreclaimable"])
        .within(Limit::Tasks(480)),
    leaking(Habit::Shmem, "shmem", &[]).within(Limit::Memory(264 * MIB)).nameless(),
    leaking(Habit::Dentries, "slab-reclaimable", &[]),
    // What nobody reads is kept in two sockets.
    leaking(Habit::Messages, "slab-unreclaimable", &["fds"]).nameless(),
    leaking(Habit::Tcp, "sockets", &["fds", "slab-unreclaimable"]),
    leaking(Habit::Log, "log", &[]).nameless(),
    calm(Habit::WarmingCache).within(Limit::Memory(1024 * MIB)),
    calm(Habit::Sawtooth).within(Limit::Memory(256 * MIB)).nameless(),
    calm(Habit::LoadCycle),
    calm(Habit::StartUp).within(Limit::Memory(512 * MIB)),
    calm(Habit::Churn).within(Limit::Tasks(480)).nameless(),
    calm(Habit::Steady),
    calm(Habit::Step).nameless(),
];

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_habit_plays_once() {
        for habit in Habit::value_variants() {
            let parts = CAST.iter().filter(|part| part.habit == *habit);
            assert_eq!(parts.count(), 1, "{habit:?}");
        }
    }

    #[test]
    fn what_is_said_to_leak_is_a_kind_that_there_is() {
        let kinds =
            highwater_core::growth::Resource::ALL.map(highwater_core::growth::Resource::name);
        for kind in CAST.iter().flat_map(|part| part.leaks.iter().chain(part.beside)) {
            assert!(kinds.contains(kind), "{kind}");
        }
    }
}
