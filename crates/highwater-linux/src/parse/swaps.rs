//! `/proc/swaps` (`mm/swapfile.c`): a head line, then `/dev/sda2  partition  2097148  0  -2`.

use highwater_core::units::Bytes;

use super::{number, text};

/// The most swap areas that are taken; the kernel allows 32 (`MAX_SWAPFILES`).
const AREAS_MAX: usize = 64;

/// One swap area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The file or device, raw.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: SwapKind,
    /// How large it is.
    pub size: Bytes,
    /// How much of it holds something.
    pub used: Bytes,
    /// Higher is used first; negative where nobody chose.
    pub priority: i64,
}

/// What a swap area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapKind {
    /// A block device.
    Partition,
    /// A file.
    File,
    /// A word that was not known when this was written.
    Other,
}

/// The swap areas; a line that is not one is left out, as is the head line.
pub fn parse(text: &[u8]) -> Vec<Swap> {
    text::lines(text).filter_map(swap).take(AREAS_MAX).collect()
}

fn swap(line: &[u8]) -> Option<Swap> {
    let mut field = text::fields(line);
    Some(Swap {
        name: text::unescape_octal(field.next()?),
        kind: match field.next()? {
            b"partition" => SwapKind::Partition,
            b"file" => SwapKind::File,
            _ => SwapKind::Other,
        },
        size: Bytes::from_kib(number::u64(field.next()?)?),
        used: Bytes::from_kib(number::u64(field.next()?)?),
        priority: number::i64(field.next()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn areas_are_read_below_the_head() {
        let rows =
            b"/dev/dm-1  partition\t4194300\t\t12\t\t-2\n/my\\040swap\\040(deleted) file 8 0 5\n";
        let swaps = parse(&[HEAD, rows].concat());
        assert_eq!(swaps.len(), 2);
        assert_eq!((swaps[0].kind, swaps[0].used), (SwapKind::Partition, Bytes::from_kib(12)));
        assert_eq!((&swaps[1].name[..], swaps[1].priority), (&b"/my swap (deleted)"[..], 5));
        assert_eq!(swaps[0].priority, -2);
    }

    #[test]
    fn no_swap_and_garbage_are_no_areas() {
        for text in
            [HEAD, b"", b"\n\n", b"/a file 1 2\n", b"/a file x 2 3\n", b"/a file 1 2 3", b"\xff\n"]
        {
            assert_eq!(parse(text), [], "{text:?}");
        }
    }

    #[test]
    fn the_list_is_bounded() {
        assert_eq!(parse(&b"/a file 1 2 3\n".repeat(9999)).len(), AREAS_MAX);
    }
}
