//! `/proc/PID/stat` (`do_task_stat` in `fs/proc/array.c`; fields as numbered in proc(5)):
//! `32145 (node) S 1 32145 … 73728000 1843 …`.

use highwater_core::id::{Comm, Pid, StartTicks};
use highwater_core::units::{Bytes, Pages};

use super::{number, text};

/// What is taken of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 1.
    pub pid: Pid,
    /// Field 2, whatever its bytes are.
    pub comm: Comm,
    /// Field 3: `R`, `S`, `D`, `Z`, ….
    pub state: u8,
    /// Field 4; 0 for the first processes and for a parent outside the pid namespace.
    pub parent: Pid,
    /// Field 9, `PF_*` of `include/linux/sched.h`.
    pub flags: u32,
    /// Field 12: page faults that had to read a disk.
    pub major_faults: u64,
    /// Field 14, in clock ticks.
    pub user_ticks: u64,
    /// Field 15, in clock ticks.
    pub system_ticks: u64,
    /// Field 20.
    pub threads: u32,
    /// Field 22.
    pub start: StartTicks,
    /// Field 23.
    pub virtual_size: Bytes,
    /// Field 24. The kernel's cheap count, which may lag by some dozen pages per thread.
    pub resident: Pages,
}

impl Stat {
    /// `PF_KTHREAD`.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    /// It belongs to the kernel and has no memory of its own.
    pub const fn is_kernel_thread(&self) -> bool {
        self.flags & Self::KERNEL_THREAD != 0
    }
}

/// The process; `None` unless all that is taken is there and whole.
///
/// A process chooses its name, and may put spaces, `)` and newlines in it: it ends at the last `)`,
/// since all after it is numbers and one letter.
pub fn parse(text: &[u8]) -> Option<Stat> {
    let open = memchr::memchr(b'(', text)?;
    let close = memchr::memrchr(b')', text)?;
    let comm = text.get(open.checked_add(1)?..close)?;
    let pid = Pid::new(number::u32(text.get(..open)?)?);
    let mut field = whole_fields(text.get(close.checked_add(1)?..)?);
    let state = field.next()?;
    Some(Stat {
        pid,
        comm: Comm::new(comm),
        state: *state.first().filter(|_| state.len() == 1)?,
        parent: Pid::new(number::u32(field.next()?)?),
        flags: number::u32(field.nth(4)?)?,
        major_faults: number::u64(field.nth(2)?)?,
        user_ticks: number::u64(field.nth(1)?)?,
        system_ticks: number::u64(field.next()?)?,
        threads: number::u32(field.nth(4)?)?,
        start: StartTicks::new(number::u64(field.nth(1)?)?),
        virtual_size: Bytes::new(number::u64(field.next()?)?),
        resident: Pages::new(number::u64(field.next()?)?),
    })
}

/// The fields that have something after them: the last of a text that was cut may be half a number.
fn whole_fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
    text::fields(text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comm: &[u8]) -> Vec<u8> {
        let tail = b") S 1 32145 32145 0 -1 4194560 37731 0 12 0 1517 1030 7 8 20 0 11 0 4242 \
            73728000 1843 18446744073709551615 1 1 0 0 0 0 0 4096 17642 0 0 0 17 1 0 0 0 0 0\n";
        [b"32145 (", comm, tail].concat()
    }

    #[test]
    fn every_field_is_the_one_of_its_number() {
        let expected = Stat {
            pid: Pid::new(32145),
            comm: Comm::new(b"node"),
            state: b'S',
            parent: Pid::new(1),
            flags: 0x0040_0100,
            major_faults: 12,
            user_ticks: 1517,
            system_ticks: 1030,
            threads: 11,
            start: StartTicks::new(4242),
            virtual_size: Bytes::new(73_728_000),
            resident: Pages::new(1843),
        };
        assert_eq!(parse(&line(b"node")), Some(expected));
        assert!(!expected.is_kernel_thread());
    }

    #[test]
    fn a_name_cannot_forge_fields() {
        for comm in
            [&b") R 1 ("[..], b"a b", b"line\nbreak", b"\xff\xfe)", b"()", b"", b"1 (x) Z 0"]
        {
            let stat = parse(&line(comm)).unwrap();
            assert_eq!((stat.comm.as_bytes(), stat.state), (comm, b'S'));
            assert_eq!(stat.start, StartTicks::new(4242));
        }
    }

    #[test]
    fn a_kernel_thread_shows_in_its_flags() {
        let text = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 2 0 0 1844 0\n";
        assert!(parse(text).unwrap().is_kernel_thread());
    }

    #[test]
    fn every_text_that_was_cut_is_refused_or_right() {
        let whole = line(b"a) b (c");
        let right = parse(&whole);
        let mut refused = 0;
        for end in 0..whole.len() {
            match parse(&whole[..end]) {
                None => refused += 1,
                cut => assert_eq!(cut, right, "cut after {end} bytes"),
            }
        }
        assert!(refused > 80, "the first 24 fields are needed");
    }

    #[test]
    fn garbage_is_none() {
        for text in
            [&b""[..], b")(", b"()", b"1 () ", b"x (a) S 1 2\n", b"\xff\xff\xff", b"1 (a) SS 1 "]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let huge = String::from_utf8(line(b"x")).unwrap().replace("4242", "99999999999999999999");
        assert_eq!(parse(huge.as_bytes()), None);
    }
}
