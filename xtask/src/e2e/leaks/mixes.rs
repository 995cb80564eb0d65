//! Mixes of stress-ng: much use of everything, and no leak.

/// One of them, in a cgroup of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [&'static str],
    /// For how many seconds it runs and then rests; it never rests without.
    pub(super) runs_and_rests: Option<(u64, u64)>,
}

const fn steady(name: &'static str, arguments: &'static [&'static str]) -> Mix {
    Mix { name, arguments, runs_and_rests: None }
}

const fn bursts(name: &'static str, arguments: &'static [&'static str], both: (u64, u64)) -> Mix {
    Mix { name, arguments, runs_and_rests: Some(both) }
}

/// Each takes its share of two processors that have more to do.
pub(super) const MIXES: &[Mix] = &[
    steady("vm", &["--vm", "1", "--vm-bytes", "160M", "--vm-hang", "2"]),
    steady("malloc", &["--malloc", "1", "--malloc-bytes", "96M"]),
    steady("mmap", &["--mmap", "1", "--mmap-bytes", "96M"]),
    steady("fork", &["--fork", "1", "--fork-max", "8"]),
    steady("fd", &["--open", "1", "--dup", "1"]),
    steady("hdd", &["--hdd", "1", "--hdd-bytes", "128M"]),
    steady("shm", &["--shm", "1", "--shm-bytes", "16M", "--shm-objs", "4"]),
    steady("brk", &["--bigheap", "1", "--bigheap-bytes", "128M"]),
    bursts("cache", &["--cache", "1", "--stream", "1"], (25, 35)),
    bursts("burst", &["--vm", "2", "--vm-bytes", "256M"], (15, 75)),
    bursts("storm", &["--pthread", "1", "--pthread-max", "64", "--fork", "1"], (20, 70)),
];
