//! Reading ahead: the kernel is told which pages a question is about to read, all at once, so that it
//! does not wait for one after the other.
//!
//! SQLite asks for a page when it needs it, and the kernel, which guesses what comes next, reads many times what is wanted.
//! So the way to a sheet's row is looked up here, and the rest of the row is expected to stand in one
//! piece behind its first page, as it was written. These are hints: nothing that is read here answers
//! a question, and a wrong one costs a page that is read in vain.
//!
//! The format of the pages is SQLite's: <https://www.sqlite.org/fileformat2.html>, sections 1.3, 1.6 and 1.8.

use std::collections::HashSet;
use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::Connection;
use rustix::fs::{Advice, fadvise};

use super::open::FileId;

/// The first byte of a page of a table: of one that leads to others, and of one with rows.
const INNER: u8 = 5;
const LEAF: u8 = 13;

/// Trees of tables are not this high: four billion pages with three to each are twenty.
const HIGHEST: usize = 20;

/// So many sheets are remembered as told of; then all of them are forgotten.
const MOST_TOLD: usize = 16_384;

/// Holes up to so many bytes are read with what is around them.
const HOLE: usize = 64 * 1024;

/// The files that are open here. Each is opened once: to close one would release the locks that other
/// readers of this process have on it.
static OPEN: Mutex<Vec<(FileId, Weak<File>)>> = Mutex::new(Vec::new());

/// The pages of the sheets.
#[derive(Debug)]
pub(crate) struct Ahead {
    file: Arc<File>,
    page_bytes: usize,
    /// Without what is reserved at a page's end.
    usable: usize,
    /// The first page of the tree of the table of sheets, and how many pages lead from there to a row.
    root: u32,
    inner: usize,
    /// Sheets that the kernel was told of since anything was last recorded.
    told: HashSet<i64>,
}

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// All bytes of the row, and how many of them are on the page of the tree.
    bytes: usize,
    here: usize,
    /// The page with the others.
    next: u32,
}

impl Ahead {
    /// Of the database at `path`; `None` where its pages are not what they should be.
    pub(super) fn open(path: &Path, db: &Connection) -> Option<Self> {
        let root = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'sheet'";
        let root = db.query_row(root, [], |row| row.get(0)).ok()?;
        let file = open(path)?;
        let mut head = [0; 21];
        file.read_exact_at(&mut head, 0).ok()?;
        let page_bytes = match short(&head, 16)? {
            1 => 65_536,
            bytes => bytes,
        };
        let usable = page_bytes.checked_sub(usize::from(*head.last()?))?;
        if usable < 480 {
            return None;
        }
        let mut ahead = Self { file, page_bytes, usable, root, inner: 0, told: HashSet::default() };
        ahead.inner = ahead.height()?;
        Some(ahead)
    }

    /// Something was recorded: pages may be elsewhere now.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }

    /// How many pages lead to one with rows.
    fn height(&self) -> Option<usize> {
        let mut page = self.root;
        for height in 0..HIGHEST {
            let bytes = self.read(page)?;
            match kind(&bytes)? {
                LEAF => return Some(height),
                INNER => page = children(&bytes).next()?,
                _ => return None,
            }
        }
        None
    }

    /// Tells of the rows of some sheets.
    pub(crate) fn rows(&mut self, ids: impl Iterator<Item = i64>) {
        let mut last = None;
        for id in ids.filter(|id| !self.told.contains(id)) {
            let page = self.page_of(id);
            if let Some(page) = page.filter(|page| last != Some(*page)) {
                self.will_need(page, 1);
            }
            last = page;
        }
    }

    /// Whether the kernel was told of a sheet's body.
    pub(crate) fn has_told(&self, id: i64) -> bool {
        self.told.contains(&id)
    }

    /// Tells of stretches of a sheet's body, which has so many bytes; they rise.
    pub(crate) fn body(&mut self, id: i64, bytes: usize, wanted: &[Range<usize>]) {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        if wanted.is_empty() || !self.told.insert(id) {
            return;
        }
        let place = self.page_of(id).and_then(|page| self.read(page)).and_then(|bytes| {
            let cell = cell_of(&bytes, id)?;
            place(bytes.get(cell..)?, self.usable)
        });
        // The body is the last column.
        let Some((place, start)) = place.and_then(|of| Some((of, of.bytes.checked_sub(bytes)?)))
        else {
            return;
        };
        let holes = |a: &Range<usize>, b: &Range<usize>| b.start.saturating_sub(a.end) < HOLE;
        for near in wanted.chunk_by(holes) {
            let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
            self.stretch(place, start.saturating_add(first.start)..start.saturating_add(last.end));
        }
    }

    /// Tells of a stretch of a row, as if the pages behind the first stood in a row.
    fn stretch(&self, Place { here, next, .. }: Place, wanted: Range<usize>) {
        // Each begins with the number of the next.
        let each = self.usable.saturating_sub(4).max(1);
        if wanted.end <= here {
            return;
        }
        let count = |bytes: usize| u32::try_from(bytes / each).unwrap_or(u32::MAX);
        let first = count(wanted.start.saturating_sub(here));
        let last = count(wanted.end.saturating_sub(here).saturating_sub(1));
        // One more: the pages that keep where others belong stand between them.
        let pages = last.saturating_sub(first).saturating_add(2);
        let first = next.saturating_add(first);
        self.will_need(first, pages);
        self.will_need(self.map_of(first), 1);
    }

    /// The page that says to which pages those around `page` belong: five bytes for each of them.
    fn map_of(&self, page: u32) -> u32 {
        let each = u32::try_from(self.usable / 5).unwrap_or(u32::MAX).saturating_add(1);
        (page.saturating_sub(2) / each).saturating_mul(each).saturating_add(2)
    }

    /// Tells of the rows of the newest sheets, on so many pages at most; the newest come last in the tree.
    pub(crate) fn newest(&self, most: usize) {
        let mut left = most;
        self.newest_below(self.root, self.inner, &mut left);
    }

    fn newest_below(&self, page: u32, height: usize, left: &mut usize) {
        *left = left.saturating_sub(1);
        if height == 0 {
            return self.will_need(page, 1);
        }
        let Some(bytes) = self.read(page).filter(|bytes| kind(bytes) == Some(INNER)) else {
            return;
        };
        let below: Vec<u32> = children(&bytes).collect();
        for page in below.into_iter().rev() {
            if *left == 0 {
                return;
            }
            self.newest_below(page, height - 1, left);
        }
    }

    /// The page with a row.
    fn page_of(&self, id: i64) -> Option<u32> {
        let mut page = self.root;
        for _ in 0..self.inner {
            let bytes = self.read(page)?;
            page = child_of(&bytes, id)?;
        }
        Some(page)
    }

    fn read(&self, page: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.page_bytes];
        self.file.read_exact_at(&mut bytes, self.offset(page)).ok()?;
        Some(bytes)
    }

    fn will_need(&self, page: u32, pages: u32) {
        let bytes = u64::from(pages).saturating_mul(length(self.page_bytes));
        // Without it the page is read when SQLite asks for it.
        let _unheard =
            fadvise(&self.file, self.offset(page), NonZeroU64::new(bytes), Advice::WillNeed);
    }

    /// Where a page begins. The first has number 1.
    fn offset(&self, page: u32) -> u64 {
        u64::from(page.saturating_sub(1)).saturating_mul(length(self.page_bytes))
    }
}

/// The file at `path`, if need be opened.
fn open(path: &Path) -> Option<Arc<File>> {
    let id = FileId::of(path)?;
    let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|(_, file)| file.strong_count() > 0);
    let known = all.iter().find(|(of, _)| *of == id).and_then(|(_, file)| file.upgrade());
    if known.is_some() {
        return known;
    }
    let file = Arc::new(File::open(path).ok()?);
    all.push((id, Arc::downgrade(&file)));
    Some(file)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn kind(page: &[u8]) -> Option<u8> {
    page.first().copied()
}

/// Two bytes at a place, most significant first.
fn short(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)))
}

/// Four bytes at a place.
fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// SQLite's variable-length number: seven bits a byte, most significant first, and all eight of the
/// ninth; and what comes behind it.
fn varint(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for nth in 1..=9 {
        let (byte, rest) = bytes.split_first()?;
        bytes = rest;
        if nth == 9 {
            return Some((number << 8 | u64::from(*byte), bytes));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((number, bytes))
}

/// Where the cells of a page begin, in the order of their keys.
fn cells(page: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let head = if kind(page) == Some(INNER) { 12 } else { 8 };
    let count = short(page, 3).unwrap_or(0);
    (0..count).map_while(move |nth| short(page, head + 2 * nth))
}

/// The pages that a page leads to, in the order of their keys.
fn children(page: &[u8]) -> impl Iterator<Item = u32> + '_ {
    cells(page).filter_map(|cell| long(page, cell)).chain(long(page, 8))
}

/// Which page to go on to for a row: the first whose last key is not before it.
fn child_of(page: &[u8], id: i64) -> Option<u32> {
    if kind(page)? != INNER {
        return None;
    }
    for cell in cells(page) {
        let (key, _) = varint(page.get(cell.checked_add(4)?..)?)?;
        if key.cast_signed() >= id {
            return long(page, cell);
        }
    }
    long(page, 8)
}

/// Where on a page with rows one of them begins.
fn cell_of(page: &[u8], id: i64) -> Option<usize> {
    let is_asked = |cell: &usize| {
        let behind = page.get(*cell..).and_then(varint).map(|(_, behind)| behind);
        behind.and_then(varint).is_some_and(|(key, _)| key.cast_signed() == id)
    };
    (kind(page)? == LEAF).then(|| cells(page).find(is_asked))?
}

/// Where the rest of a row is that does not fit a page; `None` if it does.
fn place(cell: &[u8], usable: usize) -> Option<Place> {
    let (bytes, rest) = varint(cell)?;
    let (_, rest) = varint(rest)?;
    let bytes = usize::try_from(bytes).ok()?;
    let most = usable.checked_sub(35)?;
    if bytes <= most {
        return None;
    }
    let least = (usable.checked_sub(12)? * 32 / 255).checked_sub(23)?;
    let fits = least + (bytes - least) % (usable - 4);
    let here = if fits <= most { fits } else { least };
    Some(Place { bytes, here, next: long(rest, here)? })
}

#[cfg(test)]
mod tests {
    use highwater_core::metric::MetricKind;
    use highwater_core::series::{Labels, Matcher, NAME, Selection, SeriesSource};
    use highwater_core::time::WallTime;
    use proptest::prelude::*;

    use super::*;
    use crate::import::Import;
    use crate::reader::Reader;

    /// A history with sheets of many sizes, small and long.
    fn history(dir: &Path) -> Reader {
        let mut import = Import::open(dir).unwrap();
        for number in 0..40 {
            for metric in 0..8 {
                let name = format!("metric_{metric}");
                let target = number.to_string();
                let labels = Labels::new([(NAME, name.as_str()), ("target", target.as_str())]);
                let series = import.series(&labels, MetricKind::Gauge, "").unwrap();
                let mut value = 1_u32;
                for minute in 0..=300 * metric {
                    value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = 1_790_000_000_000 + minute * 60_000 + 7 * number;
                    import.push(series, WallTime::from_millis(at), f64::from(value)).unwrap();
                }
            }
        }
        import.finish(&mut |_| {}).unwrap();
        Reader::open(dir).unwrap()
    }

    #[test]
    fn the_rest_of_each_row_is_where_it_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let reader = history(dir.path());
        let ahead = Ahead::open(&reader.path, &reader.db).unwrap();
        let mut select = reader.db.prepare("SELECT id, body FROM sheet").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let rows: Vec<(i64, Vec<u8>)> = rows.collect::<Result<_, _>>().unwrap();
        assert!(ahead.inner > 0, "{} rows", rows.len());
        let (mut long, mut short) = (0, 0);
        for (id, body) in rows {
            let page = ahead.read(ahead.page_of(id).unwrap()).unwrap();
            let cell = cell_of(&page, id).unwrap();
            let Some(Place { bytes, here, next }) = place(&page[cell..], ahead.usable) else {
                short += 1;
                continue;
            };
            let behind = &body[here - (bytes - body.len())..];
            let page = ahead.read(next).unwrap();
            let count = behind.len().min(ahead.usable - 4);
            assert_eq!(page[4..4 + count], behind[..count], "sheet {id}");
            long += 1;
        }
        assert!(long > 50 && short > 50, "{long} and {short}");
    }

    #[test]
    fn a_reader_that_is_ready_answers_alike_and_tells_once() {
        let dir = tempfile::tempdir().unwrap();
        let reader = history(dir.path());
        let matchers = vec![Matcher::is(NAME, "metric_7")];
        let (from, to) = (WallTime::from_millis(0), WallTime::from_millis(i64::MAX / 2));
        let selection = Selection { matchers, from, to, step: None, ends: true };
        let select = |reader: &Reader| reader.select(&selection).unwrap();
        let before = select(&reader);
        reader.prepare().unwrap();
        assert_eq!(select(&reader), before);
        let told = |reader: &Reader| reader.ahead.borrow().as_ref().unwrap().told.len();
        assert_eq!((before.len(), told(&reader)), (40, 40));
        assert_eq!(select(&reader), before);
        assert_eq!(told(&reader), 40);
        // A second reader shares the file.
        let other = Reader::open(dir.path()).unwrap();
        other.prepare().unwrap();
        let file = |reader: &Reader| Arc::clone(&reader.ahead.borrow().as_ref().unwrap().file);
        assert!(Arc::ptr_eq(&file(&reader), &file(&other)));
    }

    proptest! {
        #[test]
        fn any_page_is_read_without_a_fault(
            mut page in prop::collection::vec(any::<u8>(), 0..600),
            kind in prop::sample::select(vec![INNER, LEAF, 0]),
            id in any::<i64>(),
        ) {
            if let Some(first) = page.first_mut() {
                *first = kind;
            }
            let _looked = (child_of(&page, id), cell_of(&page, id), children(&page).count());
            let _placed = place(&page, 512);
        }
    }
}
