//! `/proc/PID/statm` (`fs/proc/array.c`): `765 410 382 5 0 123 0`, in pages.

use highwater_core::units::Pages;

use super::{number, text};

/// The first three numbers of `/proc/PID/statm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statm {
    /// Address space.
    pub size: Pages,
    /// In RAM: anonymous, file and shared pages.
    pub resident: Pages,
    /// The file and shared pages of these.
    pub shared: Pages,
}

/// The numbers; `None` unless all three are there. A kernel thread has three zeros.
pub fn parse(text: &[u8]) -> Option<Statm> {
    let mut numbers = text::fields(text::lines(text).next()?).map(number::u64);
    let mut next = || numbers.next()?.map(Pages::new);
    Some(Statm { size: next()?, resident: next()?, shared: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_are_read() {
        let statm = parse(b"765 410 382 5 0 123 0\n").unwrap();
        let pages = [statm.size, statm.resident, statm.shared].map(Pages::get);
        assert_eq!(pages, [765, 410, 382]);
        assert_eq!(parse(b"0 0 0 0 0 0 0\n"), Some(Statm::default()));
    }

    #[test]
    fn less_than_three_numbers_are_none() {
        for text in [&b""[..], b"\n", b"1 2\n", b"1 2 x 4\n", b"1 -2 3\n", b"1 2 3", b"\xff 1 2\n"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
