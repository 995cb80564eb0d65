//! The memory controller of cgroup v1 (`mm/memcontrol-v1.c`): `memory.stat`, `memory.oom_control`.

use highwater_core::frame::CgroupMemory;
use highwater_core::units::Bytes;

use super::text;

/// Takes the numbers of `memory.stat`, which replace old ones of the same fields.
///
/// The file has each number twice: of the cgroup alone, and as `total_…` of everything below it,
/// too. The latter is what its usage and limit are about, so it goes first.
pub fn stat(text: &[u8], into: &mut CgroupMemory) {
    forget(into);
    for (key, value) in text::counters(text) {
        if !key.starts_with(b"total_") {
            set(key, value, into);
        }
    }
    for (key, value) in text::counters(text) {
        if let Some(key) = key.strip_prefix(b"total_") {
            set(key, value, into);
        }
    }
}

fn forget(into: &mut CgroupMemory) {
    into.anon = None;
    into.file = None;
    into.shmem = None;
    into.mapped_file = None;
    into.inactive_file = None;
    into.active_file = None;
    into.unevictable = None;
    into.swap = None;
    into.pgmajfault = None;
}

fn set(key: &[u8], value: u64, into: &mut CgroupMemory) {
    let bytes = Some(Bytes::new(value));
    match key {
        b"rss" => into.anon = bytes,
        b"cache" => into.file = bytes,
        b"shmem" => into.shmem = bytes,
        b"mapped_file" => into.mapped_file = bytes,
        b"inactive_file" => into.inactive_file = bytes,
        b"active_file" => into.active_file = bytes,
        b"unevictable" => into.unevictable = bytes,
        b"swap" => into.swap = bytes,
        b"pgmajfault" => into.pgmajfault = Some(value),
        _ => {}
    }
}

/// Takes the numbers of `memory.oom_control`; `oom_kill` is there since 4.13.
pub fn oom_control(text: &[u8], into: &mut CgroupMemory) {
    into.oom_kill_disabled = None;
    into.under_oom = None;
    into.oom_kills = None;
    for (key, value) in text::counters(text) {
        match key {
            b"oom_kill_disable" => into.oom_kill_disabled = Some(value != 0),
            b"under_oom" => into.under_oom = Some(value != 0),
            b"oom_kill" => into.oom_kills = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subtrees_numbers_go_before_the_cgroups_own() {
        let mut memory = CgroupMemory { swap: Some(Bytes::new(9)), ..CgroupMemory::default() };
        stat(
            b"cache 1\nrss 2\nshmem 3\npgmajfault 4\ntotal_rss 20\ntotal_pgmajfault 40\n",
            &mut memory,
        );
        let sizes = [memory.file, memory.anon, memory.shmem];
        assert_eq!(sizes, [1, 20, 3].map(|size| Some(Bytes::new(size))));
        assert_eq!((memory.pgmajfault, memory.swap), (Some(40), None));
        stat(b"total_rss 20\nrss 2\n", &mut memory);
        assert_eq!(memory.anon, Some(Bytes::new(20)), "in whatever order");
    }

    #[test]
    fn oom_control_says_who_hangs_and_how_many_died() {
        let mut memory = CgroupMemory::default();
        oom_control(b"oom_kill_disable 1\nunder_oom 0\noom_kill 7\n", &mut memory);
        let read = (memory.oom_kill_disabled, memory.under_oom, memory.oom_kills);
        assert_eq!(read, (Some(true), Some(false), Some(7)));
        oom_control(b"oom_kill_disable 0\nunder_oom 1\n", &mut memory);
        assert_eq!((memory.under_oom, memory.oom_kills), (Some(true), None));
    }

    #[test]
    fn garbage_is_unknown() {
        let mut memory = CgroupMemory::default();
        let odd = b"rss\nrss x\ntotal_rss -5\ntotal_ 5\n\xff 1\nunder_oom yes\ncache 12";
        stat(odd, &mut memory);
        oom_control(odd, &mut memory);
        assert_eq!(memory, CgroupMemory::default());
    }
}
