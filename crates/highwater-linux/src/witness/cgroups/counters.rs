//! What a cgroup has counted of running out of memory.

use highwater_core::frame::{CgroupMemory, CgroupVersion};

use crate::parse::{v1, v2};

/// The counters, and whether it hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Its own limit was reached: v2 `oom` of `memory.events.local`; not counted by v1.
    pub(super) own_ooms: u64,
    /// v1: processes of its own that were killed; v2: and of those below.
    pub(super) kills: u64,
    /// v2: it, or one below, was killed as one.
    pub(super) group_kills: u64,
    /// v1: nobody may be killed in it.
    is_held: bool,
    /// v1: it, or one above, is at its limit now.
    is_under: bool,
}

impl Counters {
    /// Of `memory.oom_control`.
    pub(super) fn v1(text: &[u8]) -> Self {
        let mut memory = CgroupMemory::default();
        v1::oom_control(text, &mut memory);
        Self {
            kills: memory.oom_kills.unwrap_or(0),
            is_held: memory.oom_kill_disabled == Some(true),
            is_under: memory.under_oom == Some(true),
            ..Self::default()
        }
    }

    /// Of `memory.events`, and `memory.events.local` (since 5.2); without it, a limit that one below
    /// has reached counts here, too.
    pub(super) fn v2(text: &[u8], local: Option<&[u8]>) -> Self {
        let (mut all, mut own) = (CgroupMemory::default(), CgroupMemory::default());
        v2::events(text, &mut all);
        v2::events(local.unwrap_or(text), &mut own);
        Self {
            own_ooms: own.ooms.unwrap_or(0),
            kills: all.oom_kills.unwrap_or(0),
            group_kills: all.oom_group_kills.unwrap_or(0),
            ..Self::default()
        }
    }

    /// It is at its limit, and nobody in it may be killed: who needs memory waits.
    pub(super) const fn is_stuck(&self) -> bool {
        self.is_held && self.is_under
    }

    /// Some counter is not zero.
    pub(super) const fn is_any(&self) -> bool {
        self.own_ooms > 0 || self.kills > 0 || self.group_kills > 0
    }

    /// What is left of each counter without `other`'s.
    pub(super) const fn less(&self, other: &Self) -> Self {
        Self {
            own_ooms: self.own_ooms.saturating_sub(other.own_ooms),
            kills: self.kills.saturating_sub(other.kills),
            group_kills: self.group_kills.saturating_sub(other.group_kills),
            is_held: self.is_held,
            is_under: self.is_under,
        }
    }

    /// Both together.
    pub(super) const fn and(&self, other: &Self) -> Self {
        Self {
            own_ooms: self.own_ooms.saturating_add(other.own_ooms),
            kills: self.kills.saturating_add(other.kills),
            group_kills: self.group_kills.saturating_add(other.group_kills),
            is_held: self.is_held,
            is_under: self.is_under,
        }
    }

    /// As the files have it, before and after.
    pub(super) fn words_to(&self, after: &Self, version: CgroupVersion) -> String {
        let kills = format!("oom_kill {} → {}", self.kills, after.kills);
        match version {
            CgroupVersion::V1 => kills,
            CgroupVersion::V2 => format!(
                "oom {} → {} (local), {kills}, oom_group_kill {} → {}",
                self.own_ooms, after.own_ooms, self.group_kills, after.group_kills
            ),
        }
    }

    /// Whether it hangs, as `memory.oom_control` has it.
    pub(super) fn words(&self) -> String {
        let [held, under] = [self.is_held, self.is_under].map(u8::from);
        format!("oom_kill_disable {held}, under_oom {under}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let v1 = Counters::v1(b"oom_kill_disable 1\nunder_oom 1\noom_kill 3\n");
        assert_eq!((v1.kills, v1.is_stuck(), v1.is_any()), (3, true, true));
        assert!(!Counters::v1(b"oom_kill_disable 1\nunder_oom 0\n").is_stuck());
        assert!(!Counters::v1(b"oom_kill_disable 0\nunder_oom 1\n").is_stuck());
        let events = b"low 0\nhigh 0\nmax 9\noom 5\noom_kill 4\noom_group_kill 1\n";
        let v2 = Counters::v2(events, Some(b"max 9\noom 2\noom_kill 1\n"));
        assert_eq!((v2.own_ooms, v2.kills, v2.group_kills), (2, 4, 1));
        assert_eq!(Counters::v2(events, None).own_ooms, 5);
        let rise = v2.less(&Counters { kills: 3, own_ooms: 9, ..v2 });
        assert_eq!((rise.own_ooms, rise.kills, rise.group_kills), (0, 1, 0));
    }

    #[test]
    fn garbage_counts_nothing() {
        for text in [&b""[..], b"oom", b"\xff\xff\n", b"oom_kill -1\nunder_oom x\n", b"oom_kill 3"]
        {
            assert_eq!(Counters::v1(text), Counters::default());
            assert_eq!(Counters::v2(text, Some(text)), Counters::default());
        }
    }
}
