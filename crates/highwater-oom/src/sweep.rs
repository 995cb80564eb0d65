//! The coarsest net: one pass over a log at the speed of memory.
//!
//! Per byte a few comparisons and no branch, so that the compiler makes vector code of it. It counts
//! line ends and sees whether a piece has anything that looks like one of the marks.

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
    /// It may have a mark.
    pub(crate) is_suspect: bool,
}

/// Looks through the first piece of `rest`, and for patterns that begin in it a little further.
pub(crate) fn piece(rest: &[u8]) -> Piece {
    match rest.first_chunk() {
        Some(whole) => dispatch(whole),
        // The last piece of a stretch: not worth a loop of its own.
        None => Piece { ends: ends(rest.get(..PIECE_BYTES).unwrap_or(rest)), is_suspect: true },
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
            *hit |= is_suspect(bytes);
        }
    }
    let ends = ends.iter().map(|count| u64::from(*count)).sum();
    Piece { ends, is_suspect: hits.iter().any(|hit| *hit != 0) }
}

/// `Kill`, `kill`, `kB`, `KB`, `SIG`, `l_vm` or a colour, and a few things besides: 1 or 0.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of a loop that becomes vector code")]
fn is_suspect([first, second, third, fourth]: [u8; AHEAD + 1]) -> u8 {
    let k = u8::from(first | 0x20 == b'k');
    let after_k = u8::from(second == b'B') | (u8::from(third == b'l') & u8::from(fourth == b'l'));
    let ig = u8::from(second == b'I') & u8::from(third == b'G');
    let vm = u8::from(second == b'_') & u8::from(third == b'v');
    u8::from(first == 0x1b) | (k & after_k) | ig | vm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_suspect_wherever_it_begins() {
        for mark in [&b"Kill"[..], b"kill", b"kB", b"SIG", b"l_vm", b"\x1b"] {
            for at in (0..LANES + 2).chain(PIECE_BYTES - 4..PIECE_BYTES) {
                let mut bytes = vec![b'.'; PIECE_BYTES + AHEAD];
                let end = (at + mark.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&mark[..end - at]);
                assert_eq!(piece(&bytes), Piece { ends: 0, is_suspect: true }, "{mark:?} {at}");
            }
        }
    }

    #[test]
    fn lines_are_counted_in_each_lane() {
        let bytes = vec![b'\n'; PIECE_BYTES + AHEAD];
        assert_eq!(piece(&bytes), Piece { ends: 2048, is_suspect: false });
        assert_eq!(piece(b"a\nb\n"), Piece { ends: 2, is_suspect: true });
        assert_eq!(piece(b""), Piece { ends: 0, is_suspect: true });
    }
}
