//! `/proc/PID/status` (`fs/proc/array.c`, `task_mem` in `fs/proc/task_mmu.c`).

use highwater_core::units::Bytes;

use super::{number, text};

/// What is taken of `/proc/PID/status`. Kernel threads and zombies have no memory lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The real user id.
    pub uid: Option<u32>,
    /// `VmHWM`: the most that was ever in RAM.
    pub peak_resident: Option<Bytes>,
    /// `VmSwap`.
    pub swap: Option<Bytes>,
    /// `VmPTE`.
    pub page_tables: Option<Bytes>,
    /// `RssAnon`, since 4.5.
    pub resident_anon: Option<Bytes>,
    /// `RssFile`, since 4.5.
    pub resident_file: Option<Bytes>,
    /// `RssShmem`, since 4.5.
    pub resident_shmem: Option<Bytes>,
    /// `Threads`.
    pub threads: Option<u32>,
}

/// The readings of `text`. The name, which a process chooses, stands escaped on one line here and
/// cannot forge others.
pub fn parse(text: &[u8]) -> Status {
    let mut status = Status::default();
    for (key, value) in text::keyed(text) {
        match key {
            b"Uid" => status.uid = text::fields(value).next().and_then(number::u32),
            b"VmHWM" => status.peak_resident = number::kib(value),
            b"VmSwap" => status.swap = number::kib(value),
            b"VmPTE" => status.page_tables = number::kib(value),
            b"RssAnon" => status.resident_anon = number::kib(value),
            b"RssFile" => status.resident_file = number::kib(value),
            b"RssShmem" => status.resident_shmem = number::kib(value),
            b"Threads" => status.threads = number::u32(value),
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_owner_and_threads_are_read() {
        let status = parse(
            b"Name:\tcat\nUid:\t1000\t0\t0\t0\nVmHWM:\t    1640 kB\nRssAnon:\t     112 kB\n\
            RssFile:\t    1528 kB\nRssShmem:\t       0 kB\nVmPTE:\t      48 kB\n\
            VmSwap:\t       7 kB\nThreads:\t3\n",
        );
        let expected = Status {
            uid: Some(1000),
            peak_resident: Some(Bytes::from_kib(1640)),
            swap: Some(Bytes::from_kib(7)),
            page_tables: Some(Bytes::from_kib(48)),
            resident_anon: Some(Bytes::from_kib(112)),
            resident_file: Some(Bytes::from_kib(1528)),
            resident_shmem: Some(Bytes::ZERO),
            threads: Some(3),
        };
        assert_eq!(status, expected);
    }

    #[test]
    fn a_kernel_thread_has_no_memory_lines() {
        let status = parse(b"Name:\tkthreadd\nKthread:\t1\nUid:\t0\t0\t0\t0\nThreads:\t1\n");
        assert_eq!(status, Status { uid: Some(0), threads: Some(1), ..Status::default() });
    }

    #[test]
    fn garbage_is_unknown() {
        let odd =
            b"Uid:\nUid\t5\nVmHWM:\t12\nVmSwap:\tx kB\nThreads:\t-1\n\xff\xfe:\xff\nVmPTE:\t1 kB";
        assert_eq!(parse(odd), Status::default());
        assert_eq!(parse(b""), Status::default());
    }
}
