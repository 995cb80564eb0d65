//! The coarsest net: one pass over a log at the speed of memory.
//!
//! Per byte a few comparisons and no branch, so that the compiler makes vector code of it. It counts
//! line ends and sees which of the marks a piece may have.

use std::array::from_fn;

/// So much is looked at before an answer is given: small enough that a second look at a suspect
/// piece costs little.
pub(crate) const PIECE_BYTES: usize = 2048;

/// Bytes at a time: the width of a vector register of most machines.
const LANES: usize = 32;

/// The bytes of the longest pattern, beyond the first.
const AHEAD: usize = 3;

/// What a piece has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// So many lines end in it.
    pub(crate) ends: u64,
    /// Which marks it may have: one bit each.
    pub(crate) suspects: u8,
}

/// The bits of [`Piece::suspects`].
pub(crate) const COLOUR: u8 = 1;
pub(crate) const KILOBYTES: u8 = 2;
pub(crate) const KILL: u8 = 4;
pub(crate) const SIGNAL: u8 = 8;
pub(crate) const TOTAL_VM: u8 = 16;
const ALL: u8 = COLOUR | KILOBYTES | KILL | SIGNAL | TOTAL_VM;

/// Looks through the first piece of `rest`, and for patterns that begin in it a little further.
pub(crate) fn piece(rest: &[u8]) -> Piece {
    match rest.first_chunk() {
        Some(whole) => dispatch(whole),
        // The last piece of a stretch: not worth a loop of its own.
        None => Piece { ends: ends(rest.get(..PIECE_BYTES).unwrap_or(rest)), suspects: ALL },
    }
}

/// How many lines end in it.
pub(crate) fn ends(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the one way to call code for a processor that was asked")]
fn dispatch(bytes: &[u8; PIECE_BYTES + AHEAD]) -> Piece {
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the one feature that the function needs.
        unsafe { wide(bytes) }
    } else {
        look(bytes)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dispatch(bytes: &[u8; PIECE_BYTES + AHEAD]) -> Piece {
    look(bytes)
}

/// [`look`] in vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide(bytes: &[u8; PIECE_BYTES + AHEAD]) -> Piece {
    look(bytes)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each kind of processor")]
fn look(bytes: &[u8; PIECE_BYTES + AHEAD]) -> Piece {
    // A lane counts one of 32 bytes, so 64 at most of a piece.
    let (mut ends, mut hits) = ([0_u8; LANES], [0_u8; LANES]);
    let [first, second, third, fourth] = from_fn(|ahead| {
        bytes.get(ahead..ahead + PIECE_BYTES).unwrap_or_default().as_chunks::<LANES>().0
    });
    let windows = first.iter().zip(second).zip(third).zip(fourth);
    for (((first, second), third), fourth) in windows {
        for (lane, (end, hit)) in ends.iter_mut().zip(&mut hits).enumerate() {
            let at = |chunk: &[u8; LANES]| chunk.get(lane).copied().unwrap_or_default();
            let bytes = [at(first), at(second), at(third), at(fourth)];
            *end += u8::from(at(first) == b'\n');
            *hit |= suspects(bytes);
        }
    }
    let ends = ends.iter().map(|count| u64::from(*count)).sum();
    Piece { ends, suspects: hits.iter().fold(0, |all, hit| all | hit) }
}

/// The bits of `Kill`, `kill`, `kB`, `KB`, `SIG`, `l_vm` or a colour, and of a few things besides.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of a loop that becomes vector code")]
fn suspects([first, second, third, fourth]: [u8; AHEAD + 1]) -> u8 {
    // All bits or none: a byte is compared with a whole lane of a vector.
    let is = |byte: u8, wanted: u8| u8::from(byte == wanted).wrapping_neg();
    let k = is(first | 0x20, b'k');
    let kilobytes = k & is(second, b'B') & KILOBYTES;
    let kill = k & is(third, b'l') & is(fourth, b'l') & KILL;
    let signal = is(second, b'I') & is(third, b'G') & SIGNAL;
    let total_vm = is(second, b'_') & is(third, b'v') & TOTAL_VM;
    (is(first, 0x1b) & COLOUR) | kilobytes | kill | signal | total_vm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_suspect_wherever_it_begins() {
        let marks: [(&[u8], u8); 6] = [
            (b"Kill", KILL),
            (b"kill", KILL),
            (b"kB", KILOBYTES),
            (b"SIG", SIGNAL),
            (b"l_vm", TOTAL_VM),
            (b"\x1b", COLOUR),
        ];
        for (mark, bit) in marks {
            for at in (0..LANES + 2).chain(PIECE_BYTES - 4..PIECE_BYTES) {
                let mut bytes = vec![b'.'; PIECE_BYTES + AHEAD];
                let end = (at + mark.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&mark[..end - at]);
                assert_eq!(piece(&bytes), Piece { ends: 0, suspects: bit }, "{mark:?} {at}");
            }
        }
    }

    #[test]
    fn lines_are_counted_in_each_lane() {
        let bytes = vec![b'\n'; PIECE_BYTES + AHEAD];
        assert_eq!(piece(&bytes), Piece { ends: 2048, suspects: 0 });
        assert_eq!(piece(b"a\nb\n"), Piece { ends: 2, suspects: ALL });
        assert_eq!(piece(b""), Piece { ends: 0, suspects: ALL });
    }
}
