//! `/proc/zoneinfo` (`mm/vmstat.c`), for the watermarks:
//!
//! ```text
//! Node 0, zone   Normal
//!   pages free     52058
//!         min      7292
//!         low      9115
//!         high     10938
//!         managed  589824
//!   pagesets
//!     cpu: 0
//!               high:     22292      (with a colon: another number)
//! ```

use highwater_core::frame::ZoneSample;
use highwater_core::id::Comm;
use highwater_core::units::{Bytes, PageSize, Pages};

use super::{number, text};

/// The most zones that are taken: 1024 nodes (`MAX_NUMNODES` of the largest configurations), of
/// which hardly any has more than one populated zone.
const ZONES_MAX: usize = 4096;

/// Reads the zones into `zones`, whose old content goes.
///
/// A zone without memory is left out: it has watermarks all the same, and its nought free pages
/// would read as an emergency. A zone whose numbers are not all there is left out, too.
pub fn parse(text: &[u8], page_size: PageSize, zones: &mut Vec<ZoneSample>) {
    zones.clear();
    let mut current = None;
    for line in text::lines(text) {
        if let Some(head) = line.strip_prefix(b"Node ") {
            zones.extend(current.take().and_then(|zone: Zone| zone.sample(page_size)));
            if zones.len() >= ZONES_MAX {
                return;
            }
            current = Zone::begin(head);
        } else if let Some(zone) = &mut current {
            zone.take(line);
        }
    }
    zones.extend(current.and_then(|zone| zone.sample(page_size)));
}

/// A zone as far as it was read, in pages.
struct Zone {
    node: u16,
    name: Comm,
    free: Option<u64>,
    min: Option<u64>,
    low: Option<u64>,
    high: Option<u64>,
    managed: Option<u64>,
}

impl Zone {
    /// Reads `0, zone   Normal`, what follows `Node`.
    fn begin(head: &[u8]) -> Option<Self> {
        let mut field = text::fields(head);
        let node = number::u64(field.next()?.strip_suffix(b",")?)?.try_into().ok()?;
        let name = Comm::new(field.next_back()?);
        Some(Self { node, name, free: None, min: None, low: None, high: None, managed: None })
    }

    fn take(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"pages ").unwrap_or(line);
        let mut field = text::fields(line);
        let into = match field.next() {
            Some(b"free") => &mut self.free,
            Some(b"min") => &mut self.min,
            Some(b"low") => &mut self.low,
            Some(b"high") => &mut self.high,
            Some(b"managed") => &mut self.managed,
            _ => return,
        };
        *into = into.or_else(|| number::u64(field.next()?));
    }

    fn sample(self, page_size: PageSize) -> Option<ZoneSample> {
        let bytes =
            |pages: Option<u64>| -> Option<Bytes> { Some(Pages::new(pages?).bytes(page_size)) };
        let managed = bytes(self.managed).filter(|managed| *managed > Bytes::ZERO)?;
        Some(ZoneSample {
            node: self.node,
            zone: self.name,
            free: bytes(self.free)?,
            min: bytes(self.min)?,
            low: bytes(self.low)?,
            high: bytes(self.high)?,
            managed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 2178\n  \
        pages free     3840\n        boost    0\n        min      47\n        low      58\n        \
        high     69\n        promo    80\n        spanned  4095\n        managed  3840\n  pagesets\n    \
        cpu: 0\n              count:    0\n              high:     17\n              high_min: 29\n\
        Node 3, zone  Movable\n  pages free     0\n        min      32\n        low      32\n        \
        high     32\n        managed  0\n";

    fn parsed(text: &[u8]) -> Vec<ZoneSample> {
        let mut zones = vec![ZoneSample::default(); 3];
        parse(text, PageSize::KIB4, &mut zones);
        zones
    }

    #[test]
    fn watermarks_are_pages_of_the_zone_itself() {
        let pages = |count| Pages::new(count).bytes(PageSize::KIB4);
        let expected = ZoneSample {
            node: 0,
            zone: Comm::new(b"DMA"),
            free: pages(3840),
            min: pages(47),
            low: pages(58),
            high: pages(69),
            managed: pages(3840),
        };
        assert_eq!(parsed(TEXT), [expected], "the empty zone is left out");
    }

    #[test]
    fn a_zone_that_was_cut_is_left_out() {
        for end in 0..TEXT.len() {
            let zones = parsed(&TEXT[..end]);
            assert!(zones.len() <= 1 && zones.iter().all(|zone| zone.high.get() == 69 * 4096));
        }
    }

    #[test]
    fn garbage_is_no_zone() {
        for text in
            [&b""[..], b"Node\n", b"Node x, zone A\n", b"Node 99999, zone A\nfree 1\n", b"\xff\n"]
        {
            assert_eq!(parsed(text), [], "{text:?}");
        }
    }
}
