//! Long courses in pages, so that a short stretch of one is read without the rest.
//!
//! ```text
//! length of the front, length of each page but the last │ front │ page │ page │ …
//! ```
//!
//! The front is pco's file header and the chunk's own; a page has [`PAGE`] numbers, the last one what
//! is left. Where each begins is told by the lengths.

use std::io;
use std::ops::Range;

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, PagingSpec};

use super::number::{Bytes, length, put_varint};
use crate::tick::Damage;

/// So many numbers has a page. To tell where it begins takes some fifteen bytes, a fiftieth of what
/// its numbers take; to read one takes less time than to find it.
const PAGE: usize = 2048;

/// Whether a course is long enough for pages.
pub(super) const fn suit(count: usize) -> bool {
    count > 2 * PAGE
}

/// Appends numbers in pages.
pub(super) fn put(numbers: &[i64], out: &mut Vec<u8>) -> io::Result<()> {
    let sizes: Vec<usize> = numbers.chunks(PAGE).map(<[i64]>::len).collect();
    let config = ChunkConfig::default().with_delta_spec(DeltaSpec::Auto);
    let config = config.with_paging_spec(PagingSpec::Exact(sizes.clone()));
    let file = FileCompressor::default();
    let (mut packed, mut ends) = (vec![], vec![]);
    file.write_header(&mut packed).map_err(io::Error::other)?;
    let mut chunk = file.chunk_compressor(numbers, &config).map_err(io::Error::other)?;
    chunk.write_meta(&mut packed).map_err(io::Error::other)?;
    ends.push(packed.len());
    for page in 0..sizes.len() {
        chunk.write_page(page, &mut packed).map_err(io::Error::other)?;
        ends.push(packed.len());
    }
    // Where the last one ends is where the course does.
    ends.pop();
    let mut start = 0;
    for end in ends {
        put_varint(out, length(end.saturating_sub(start)));
        start = end;
    }
    out.extend_from_slice(&packed);
    Ok(())
}

/// Reads the pages of a course of `count` numbers that have any of those `within`, and says which
/// numbers these are. Total over any bytes.
pub(super) fn take(
    bytes: &[u8],
    count: usize,
    within: &Range<usize>,
    numbers: &mut Vec<i64>,
) -> Result<Range<usize>, Damage> {
    numbers.clear();
    let damage = |_| Damage::Packing;
    let first = within.start.min(count) / PAGE;
    let last = within.end.min(count).div_ceil(PAGE);
    let mut places = Places::read(bytes, count.div_ceil(PAGE)).ok_or(Damage::Body)?;
    let front = places.next().ok_or(Damage::Body)?;
    let (file, behind) = FileDecompressor::new(front).map_err(damage)?;
    let (mut chunk, _) = file.chunk_decompressor::<i64, _>(behind).map_err(damage)?;
    let from = first.saturating_mul(PAGE);
    let mut left = count.saturating_sub(from);
    for _ in 0..first {
        places.next().ok_or(Damage::Body)?;
    }
    for _ in first..last {
        let bytes = places.next().ok_or(Damage::Body)?;
        let (size, begin) = (left.min(PAGE), numbers.len());
        left = left.saturating_sub(size);
        numbers.resize(begin.saturating_add(size), 0);
        let room = numbers.get_mut(begin..).unwrap_or_default();
        let mut page = chunk.page_decompressor(bytes, size).map_err(damage)?;
        if !page.read(room).map_err(damage)?.finished {
            return Err(Damage::Packing);
        }
    }
    Ok(from..from.saturating_add(numbers.len()))
}

/// The front and the pages, one after the other.
struct Places<'a> {
    lengths: Bytes<'a>,
    rest: &'a [u8],
    /// How many pages and fronts are to come.
    left: usize,
}

impl<'a> Places<'a> {
    fn read(bytes: &'a [u8], pages: usize) -> Option<Self> {
        let mut from = Bytes(bytes);
        for _ in 0..pages {
            from.count()?;
        }
        Some(Self { lengths: Bytes(bytes), rest: from.0, left: pages.checked_add(1)? })
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let size = if self.left == 0 { self.rest.len() } else { self.lengths.count()? };
        let (here, behind) = self.rest.split_at_checked(size)?;
        self.rest = behind;
        Some(here)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_stretch_is_read_without_the_rest() {
        let numbers: Vec<i64> = (0..10_000).map(|n| n * 7 + n * n % 31).collect();
        let (mut bytes, mut found) = (vec![], vec![]);
        put(&numbers, &mut bytes).unwrap();
        for within in [0..0, 0..1, 2047..2049, 4096..4097, 9999..10_000, 0..10_000, 5..20_000] {
            let range = take(&bytes, numbers.len(), &within, &mut found).unwrap();
            let asked = within.start..within.end.min(numbers.len());
            assert!(range.start <= asked.start && asked.end <= range.end, "{within:?} {range:?}");
            assert!(range.len() < asked.len() + 2 * PAGE, "{within:?} {range:?}");
            assert_eq!(found, numbers[range]);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_it_ends(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            count in 0..20_000_usize,
        ) {
            let mut numbers = vec![];
            let _any = take(&bytes, count, &(0..count), &mut numbers);
            prop_assert!(numbers.len() <= count);
        }

        #[test]
        fn a_flipped_bit_does_no_harm(at in 0..4000_usize, bit in 0..8_u32) {
            let numbers: Vec<i64> = (0..5000).map(|n| n * n % 1009).collect();
            let (mut bytes, mut found) = (vec![], vec![]);
            put(&numbers, &mut bytes).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let _any = take(&bytes, numbers.len(), &(4900..4950), &mut found);
            prop_assert!(found.len() <= numbers.len());
        }
    }
}
