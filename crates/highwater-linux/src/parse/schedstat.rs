//! `/proc/PID/schedstat` (`proc_pid_schedstat` in `fs/proc/base.c`): `1532046 28011 17`.

use super::{number, text};

/// How often a process's first thread was given a processor, and for how long.
///
/// As long as this stays the same, that thread has not run. It says nothing of other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedstat {
    /// Nanoseconds on a processor.
    pub on_cpu_ns: u64,
    /// Nanoseconds of waiting for one while ready to run.
    pub waited_ns: u64,
    /// How many times it was given one.
    pub turns: u64,
}

/// The numbers; `None` unless all three are there and whole, and where the kernel does not count
/// and writes zeros.
pub fn parse(text: &[u8]) -> Option<Schedstat> {
    let mut numbers = text::fields(text::lines(text).next()?).map(number::u64);
    let mut next = || numbers.next()?;
    let found = Schedstat { on_cpu_ns: next()?, waited_ns: next()?, turns: next()? };
    (found.turns > 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_are_read() {
        let expected = Schedstat { on_cpu_ns: 1_532_046, waited_ns: 28_011, turns: 17 };
        assert_eq!(parse(b"1532046 28011 17\n"), Some(expected));
        assert_eq!(parse(b"1532046 28011 17 4\n"), Some(expected), "whatever may be added");
    }

    #[test]
    fn a_kernel_that_does_not_count_says_nothing() {
        assert_eq!(parse(b"0 0 0\n"), None);
    }

    #[test]
    fn less_than_three_numbers_are_none() {
        for text in [&b""[..], b"\n", b"1 2\n", b"1 2 3", b"1 x 3\n", b"1 -2 3\n", b"\xff 1 2\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
