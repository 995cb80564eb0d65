//! The memory controller of cgroup v2 (`mm/memcontrol.c`; `Documentation/admin-guide/cgroup-v2.rst`):
//! `memory.stat`, `memory.events`. All its numbers cover the cgroup and everything below it.

use highwater_core::frame::CgroupMemory;
use highwater_core::units::Bytes;

use super::text;

/// Takes the numbers of `memory.stat`, which replace old ones of the same fields. `kernel` is
/// there since 5.18.
pub fn stat(text: &[u8], into: &mut CgroupMemory) {
    forget(into);
    for (key, value) in text::counters(text) {
        let bytes = Some(Bytes::new(value));
        match key {
            b"anon" => into.anon = bytes,
            b"file" => into.file = bytes,
            b"shmem" => into.shmem = bytes,
            b"file_mapped" => into.mapped_file = bytes,
            b"inactive_file" => into.inactive_file = bytes,
            b"active_file" => into.active_file = bytes,
            b"unevictable" => into.unevictable = bytes,
            b"kernel" => into.kernel = bytes,
            b"slab_reclaimable" => into.slab_reclaimable = bytes,
            b"slab_unreclaimable" => into.slab_unreclaimable = bytes,
            b"pagetables" => into.page_tables = bytes,
            b"kernel_stack" => into.kernel_stack = bytes,
            b"sock" => into.sock = bytes,
            b"pgmajfault" => into.pgmajfault = Some(value),
            _ => {}
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
    into.kernel = None;
    into.slab_reclaimable = None;
    into.slab_unreclaimable = None;
    into.page_tables = None;
    into.kernel_stack = None;
    into.sock = None;
    into.pgmajfault = None;
}

/// Takes the counters of `memory.events` (or `memory.events.local`).
pub fn events(text: &[u8], into: &mut CgroupMemory) {
    into.high_hits = None;
    into.limit_hits = None;
    into.ooms = None;
    into.oom_kills = None;
    into.oom_group_kills = None;
    for (key, value) in text::counters(text) {
        match key {
            b"high" => into.high_hits = Some(value),
            b"max" => into.limit_hits = Some(value),
            b"oom" => into.ooms = Some(value),
            b"oom_kill" => into.oom_kills = Some(value),
            b"oom_group_kill" => into.oom_group_kills = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_is_made_of() {
        let mut memory = CgroupMemory { sock: Some(Bytes::new(9)), ..CgroupMemory::default() };
        let text =
            b"anon 1\nfile 2\nkernel 3\nkernel_stack 4\npagetables 5\nshmem 6\nfile_mapped 7\n\
            inactive_file 8\nactive_file 9\nunevictable 10\nslab_reclaimable 11\n\
            slab_unreclaimable 12\nslab 23\npgmajfault 13\n";
        stat(text, &mut memory);
        let sizes = [
            memory.anon,
            memory.file,
            memory.kernel,
            memory.kernel_stack,
            memory.page_tables,
            memory.shmem,
            memory.mapped_file,
            memory.inactive_file,
            memory.active_file,
            memory.unevictable,
            memory.slab_reclaimable,
            memory.slab_unreclaimable,
        ];
        assert_eq!(
            sizes,
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(|size| Some(Bytes::new(size)))
        );
        assert_eq!((memory.pgmajfault, memory.sock), (Some(13), None));
    }

    #[test]
    fn events_are_told_apart() {
        let mut memory = CgroupMemory::default();
        events(b"low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n", &mut memory);
        let read = [memory.high_hits, memory.limit_hits, memory.ooms, memory.oom_kills];
        assert_eq!(read, [2, 3, 4, 5].map(Some));
        assert_eq!(memory.oom_group_kills, Some(6));
        events(b"low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n", &mut memory);
        assert_eq!(memory.oom_group_kills, None, "before 5.17");
    }

    #[test]
    fn garbage_is_unknown() {
        let mut memory = CgroupMemory::default();
        let odd = b"anon\nfile x\nmax max\noom_kill -1\n\xff\xfe 1\nanon 12";
        stat(odd, &mut memory);
        events(odd, &mut memory);
        assert_eq!(memory, CgroupMemory::default());
    }
}
