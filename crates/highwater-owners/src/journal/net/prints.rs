//! Where one of many words may begin: one pass over a log at the speed of memory.
//!
//! Of each word four bytes, its print, are sought. The words are in eight groups, and a table says
//! of each half of a byte in which groups it may stand at the first place, at the second, … A place
//! that all eight looks agree on is worth a closer one. So many looks are one instruction each of a
//! processor with vectors, whatever the number of words.

/// So many bytes of a word are sought.
pub(super) const PRINT: usize = 4;

/// One bit each.
pub(super) const GROUPS: usize = 8;

/// The half of a byte.
const HALF: usize = 16;

/// The groups that a half may belong to, for each place of a print.
type Halves = [[u8; HALF]; PRINT];

/// The prints of all groups.
#[derive(Debug, Default)]
pub(super) struct Prints {
    low: Halves,
    high: Halves,
}

/// Where a word may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where its print is.
    pub(super) at: usize,
    /// Of which groups it may be: a bit each.
    pub(super) groups: u8,
}

impl Prints {
    /// Has `print` sought for `group`: a bit.
    pub(super) fn add(&mut self, group: u8, print: [u8; PRINT]) {
        let places = self.low.iter_mut().zip(&mut self.high).zip(print);
        for ((low, high), byte) in places {
            let (low_half, high_half) = halves(byte);
            for (table, half) in [(low, low_half), (high, high_half)] {
                if let Some(groups) = table.get_mut(half) {
                    *groups |= group;
                }
            }
        }
    }

    /// The first place where a print may be.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Place> {
        let passed = self.pass(bytes);
        let windows = bytes.get(passed..)?.windows(PRINT).enumerate();
        windows.map(|(at, window)| (passed + at, self.groups(window))).find_map(|(at, groups)| {
            let place = Place { at, groups };
            (groups != 0).then_some(place)
        })
    }

    /// The groups whose print this may be.
    fn groups(&self, window: &[u8]) -> u8 {
        let tables = self.low.iter().zip(&self.high).zip(window);
        tables.fold(u8::MAX, |groups, ((low, high), byte)| {
            let (low_half, high_half) = halves(*byte);
            let of = |table: &[u8; HALF], half| table.get(half).copied().unwrap_or_default();
            groups & of(low, low_half) & of(high, high_half)
        })
    }

    /// So many bytes have no print that begins there.
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "the one way to call code for a processor that was asked")]
    fn pass(&self, bytes: &[u8]) -> usize {
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the one feature that the function needs.
            unsafe { wide::pass(&self.low, &self.high, bytes) }
        } else {
            0
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[expect(clippy::unused_self, reason = "the shape that it has elsewhere")]
    fn pass(&self, _bytes: &[u8]) -> usize {
        0
    }
}

fn halves(byte: u8) -> (usize, usize) {
    (usize::from(byte & 15), usize::from(byte >> 4))
}

/// The same in vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set_epi64x,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    };

    use super::{HALF, Halves, PRINT};

    /// Bytes at a time.
    const LANES: usize = 32;

    /// So many of the first bytes have no print that begins there; those are left that are too few
    /// for a vector.
    #[target_feature(enable = "avx2")]
    pub(super) fn pass(low: &Halves, high: &Halves, bytes: &[u8]) -> usize {
        let [low1, low2, low3, low4] = [0, 1, 2, 3].map(|place| table(low, place));
        let [high1, high2, high3, high4] = [0, 1, 2, 3].map(|place| table(high, place));
        let mut at = 0;
        while let Some(window) =
            bytes.get(at..).and_then(|rest| rest.first_chunk::<{ LANES + PRINT - 1 }>())
        {
            let groups = _mm256_and_si256(
                _mm256_and_si256(
                    look(low1, high1, load(window, 0)),
                    look(low2, high2, load(window, 1)),
                ),
                _mm256_and_si256(
                    look(low3, high3, load(window, 2)),
                    look(low4, high4, load(window, 3)),
                ),
            );
            let misses = _mm256_movemask_epi8(_mm256_cmpeq_epi8(groups, _mm256_setzero_si256()));
            if misses != -1 {
                return at + usize::try_from(misses.trailing_ones()).unwrap_or_default();
            }
            at += LANES;
        }
        at
    }

    /// The groups of each byte. A byte of 128 and more has none: the low half is looked up with the
    /// whole byte, for which the instruction then gives nothing.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn look(low: __m256i, high: __m256i, bytes: __m256i) -> __m256i {
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15));
        _mm256_and_si256(_mm256_shuffle_epi8(low, bytes), _mm256_shuffle_epi8(high, upper))
    }

    /// The table of a place, once for each half of the vector.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(halves: &Halves, place: usize) -> __m256i {
        let table = halves.get(place).copied().unwrap_or_default();
        let mut twice = [0; 2 * HALF];
        let (first, second) = twice.split_at_mut(HALF);
        first.copy_from_slice(&table);
        second.copy_from_slice(&table);
        load(&twice, 0)
    }

    /// The 32 bytes from `from`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load<const N: usize>(bytes: &[u8; N], from: usize) -> __m256i {
        let bytes = bytes.get(from..from + LANES).unwrap_or_default();
        match bytes.as_chunks().0 {
            [a, b, c, d] => {
                let [a, b, c, d] = [*a, *b, *c, *d].map(i64::from_le_bytes);
                _mm256_set_epi64x(d, c, b, a)
            }
            _ => _mm256_setzero_si256(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints() -> Prints {
        let mut prints = Prints::default();
        prints.add(1, *b"abcd");
        prints.add(128, *b"wxyz");
        prints
    }

    #[test]
    fn a_print_is_found_wherever_it_stands() {
        for before in 0..100 {
            for behind in [0, 1, 31, 40] {
                let bytes = [vec![b'.'; before], b"wxyz".to_vec(), vec![b'.'; behind]].concat();
                assert_eq!(prints().find(&bytes), Some(Place { at: before, groups: 128 }));
            }
        }
        for bytes in [&b""[..], b"abc", b"bcdabc.xyz", &[b'a'; 70], &[0xe1; 70]] {
            assert_eq!(prints().find(bytes), None);
        }
    }

    #[test]
    fn a_vector_passes_over_what_single_bytes_do() {
        const LETTERS: [u8; 9] = *b"abcdwxyz\xe1";
        let mut seed = 1_u32;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            LETTERS[usize::from(seed.to_le_bytes()[3]) % LETTERS.len()]
        })
        .take(1 << 16)
        .collect();
        let prints = prints();
        let windows = bytes.windows(PRINT).enumerate();
        let singly: Vec<usize> =
            windows.filter(|(_, window)| prints.groups(window) != 0).map(|(at, _)| at).collect();
        let (mut from, mut found) = (0, Vec::new());
        while let Some(place) = prints.find(&bytes[from..]) {
            from += place.at + 1;
            found.push(from - 1);
        }
        assert!(singly.len() > 10, "{}", singly.len());
        assert_eq!(found, singly);
    }
}
