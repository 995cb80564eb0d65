//! Sorting more samples than fit in memory: sorted runs in a file without a name, merged later.
//!
//! ```text
//! push ─► buffer ─ sorted ─► run ┬ window ┬ block ┬ group: one series, rising times, values
//!                                │        └ …     └ …
//!                                └ window …
//! ```
//!
//! The file is gone with the process, so a crash leaves nothing behind. Its bytes are read by the
//! process that wrote them and by nobody else: they are no format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Window, window_of};
use crate::codec::number::{Bytes, exact, length, put_varint, whole, zigzag};
use crate::error::StoreError;

/// The samples that are sorted in memory: 48 MiB, and half as much again while they are sorted.
const BUFFER: usize = 2 << 20;

/// The most samples of a group, so that one group and one block fit the cache.
const GROUP: usize = 1024;

/// A block is packed at this size; a merge holds one unpacked block of every run.
const BLOCK_BYTES: usize = 32 * 1024;

/// The most bytes of a block: a group of floats is begun just below the mark.
const MOST_BLOCK_BYTES: usize = BLOCK_BYTES + GROUP * 20 + 64;

/// The quickest level: this is read once.
const LEVEL: i32 = 1;

/// A sample on its way. `series` is the entity in the upper half and the metric in the lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) series: u64,
    pub(super) at: i64,
    pub(super) value: f64,
}

impl Sample {
    fn rank(&self) -> (Window, u64, i64) {
        (window_of(self.at), self.series, self.at)
    }
}

/// Whether samples were in the history before this import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// They were: of two samples of one moment theirs stays.
    Known,
    /// They come now.
    New,
}

/// Where the blocks of a window are in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One sorted run.
#[derive(Debug)]
pub(super) struct Run {
    age: Age,
    windows: BTreeMap<Window, Stretch>,
}

/// Samples in any order, to be given back in order.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    buffer: Vec<Sample>,
    file: Option<File>,
    end: u64,
    runs: Vec<Run>,
    block: Vec<u8>,
    packed: Vec<u8>,
}

impl Spool {
    /// Whose file, if one is needed, is made in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        let (buffer, runs, block, packed) = Default::default();
        Self { dir: dir.to_owned(), buffer, file: None, end: 0, runs, block, packed }
    }

    /// Takes a sample.
    pub(super) fn push(&mut self, age: Age, sample: Sample) -> Result<(), StoreError> {
        self.buffer.push(sample);
        if self.buffer.len() >= BUFFER { self.turn(age) } else { Ok(()) }
    }

    /// Makes a run of what is in memory.
    pub(super) fn turn(&mut self, age: Age) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        sort(&mut buffer);
        let windows = self.write(&buffer);
        let failed =
            |cause| StoreError::Io { doing: "write beside", path: self.dir.clone(), cause };
        let windows = windows.map_err(failed)?;
        self.runs.push(Run { age, windows });
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// Which windows have samples, and how many samples are in memory only.
    pub(super) fn windows(&self) -> Vec<Window> {
        let of_runs = self.runs.iter().flat_map(|run| run.windows.keys().copied());
        let mut windows: Vec<Window> =
            of_runs.chain(self.buffer.iter().map(|sample| window_of(sample.at))).collect();
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// Everything is there: it is given back now.
    pub(super) fn sorted(mut self) -> Result<Sorted, StoreError> {
        if self.file.is_some() {
            self.turn(Age::New)?;
            self.buffer = vec![];
        }
        sort(&mut self.buffer);
        self.runs.sort_by_key(|run| run.age);
        Ok(Sorted { dir: self.dir, buffer: self.buffer, file: self.file, runs: self.runs })
    }

    fn write(&mut self, sorted: &[Sample]) -> io::Result<BTreeMap<Window, Stretch>> {
        let mut windows = BTreeMap::new();
        for of_window in sorted.chunk_by(|a, b| window_of(a.at) == window_of(b.at)) {
            let from = self.end;
            for of_series in of_window.chunk_by(|a, b| a.series == b.series) {
                for group in of_series.chunks(GROUP) {
                    put_group(group, &mut self.block);
                    if self.block.len() >= BLOCK_BYTES {
                        self.put_block()?;
                    }
                }
            }
            self.put_block()?;
            let stretch = Stretch { from, to: self.end };
            windows.extend(of_window.first().map(|first| (window_of(first.at), stretch)));
        }
        Ok(windows)
    }

    /// Writes the block, if there is anything in it.
    fn put_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        self.packed.resize(4 + zstd::zstd_safe::compress_bound(self.block.len()), 0);
        let (head, body) = self.packed.split_at_mut(4);
        let packed = zstd::bulk::compress_to_buffer(&self.block, body, LEVEL)?;
        let told = u32::try_from(packed).map_err(io::Error::other)?;
        head.copy_from_slice(&told.to_le_bytes());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless(&self.dir)?),
        };
        let bytes = self.packed.get(..packed + 4).unwrap_or_default();
        file.write_all_at(bytes, self.end)?;
        self.end += length(bytes.len());
        self.block.clear();
        Ok(())
    }
}

/// Of equal ones the first stays ahead.
fn sort(samples: &mut [Sample]) {
    // What comes in order is the rule, and looking is much cheaper than sorting.
    if !samples.is_sorted_by_key(Sample::rank) {
        samples.sort_by_key(Sample::rank);
    }
}

/// A file that goes with its descriptor. Not all file systems can make one without a name.
fn nameless(dir: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = rustix::fs::open(dir, flags | OFlags::TMPFILE, mode) {
        return Ok(file.into());
    }
    let path = dir.join("import.part");
    let file = rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::TRUNC, mode)?;
    std::fs::remove_file(&path)?;
    Ok(file.into())
}

/// Series, count, times by their steps' steps, values as integers if they are.
fn put_group(group: &[Sample], out: &mut Vec<u8>) {
    put_varint(out, group.first().map_or(0, |first| first.series));
    put_varint(out, length(group.len()));
    let (mut last, mut step) = (0_i64, 0_i64);
    for sample in group {
        let next = sample.at.wrapping_sub(last);
        put_varint(out, zigzag(next.wrapping_sub(step)));
        (last, step) = (sample.at, next);
    }
    let whole_ones = group.iter().all(|sample| whole(sample.value).is_some());
    out.push(u8::from(whole_ones));
    let mut before = 0_i64;
    for sample in group {
        if let Some(number) = whole(sample.value).filter(|_| whole_ones) {
            put_varint(out, zigzag(number.wrapping_sub(before)));
            before = number;
        } else {
            out.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        }
    }
}

/// Reads a group behind what is in `into`; its series.
fn take_group(from: &mut Bytes<'_>, into: &mut Group) -> Option<()> {
    into.series = from.varint()?;
    let count = from.count()?;
    into.times.clear();
    into.values.clear();
    let (mut last, mut step) = (0_i64, 0_i64);
    for _ in 0..count {
        step = step.wrapping_add(from.signed()?);
        last = last.wrapping_add(step);
        into.times.push(last);
    }
    let whole_ones = from.byte()? == 1;
    let mut before = 0_i64;
    for _ in 0..count {
        into.values.push(if whole_ones {
            before = before.wrapping_add(from.signed()?);
            exact(before)?
        } else {
            from.float()?
        });
    }
    Some(())
}

/// Some samples of one series, in order.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) series: u64,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
}

/// Samples in order of window, run by run.
#[derive(Debug)]
pub(super) struct Sorted {
    dir: PathBuf,
    buffer: Vec<Sample>,
    file: Option<File>,
    runs: Vec<Run>,
}

impl Sorted {
    /// The runs that have samples of a window, the known ones first.
    pub(super) fn cursors(&self, window: Window) -> Vec<Cursor<'_>> {
        let file = self.file.as_ref();
        let of_runs = self.runs.iter().filter_map(|run| {
            let stretch = *run.windows.get(&window)?;
            Some(Cursor::of(Rest::File(file?, stretch)))
        });
        let from = self.buffer.partition_point(|sample| window_of(sample.at) < window);
        let to = self.buffer.partition_point(|sample| window_of(sample.at) <= window);
        let memory = self.buffer.get(from..to).filter(|samples| !samples.is_empty());
        of_runs.chain(memory.map(|samples| Cursor::of(Rest::Memory(samples)))).collect()
    }

    /// A step of reading failed.
    pub(super) fn failed(&self, cause: io::Error) -> StoreError {
        StoreError::Io { doing: "read beside", path: self.dir.clone(), cause }
    }
}

/// What is left of a run's window.
#[derive(Debug)]
enum Rest<'a> {
    File(&'a File, Stretch),
    Memory(&'a [Sample]),
}

/// One run, group by group.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: Rest<'a>,
    block: Vec<u8>,
    /// How much of the block was read.
    read: usize,
    packed: Vec<u8>,
    /// The present group; empty before the first and behind the last.
    pub(super) group: Group,
}

impl<'a> Cursor<'a> {
    fn of(rest: Rest<'a>) -> Self {
        let (block, read, packed, group) = Default::default();
        Self { rest, block, read, packed, group }
    }

    /// Goes on to the next group; whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        match &mut self.rest {
            Rest::Memory(samples) => {
                let series = samples.first().map_or(0, |first| first.series);
                let count = samples.iter().take(GROUP).take_while(|s| s.series == series).count();
                let (now, later) = samples.split_at_checked(count).unwrap_or((samples, &[]));
                *samples = later;
                let Group { series: of, times, values } = &mut self.group;
                *of = series;
                times.clear();
                values.clear();
                times.extend(now.iter().map(|sample| sample.at));
                values.extend(now.iter().map(|sample| sample.value));
                Ok(count > 0)
            }
            Rest::File(file, stretch) => {
                if self.read >= self.block.len() {
                    if stretch.from >= stretch.to {
                        self.group.times.clear();
                        return Ok(false);
                    }
                    unpack(file, stretch, &mut self.packed, &mut self.block)?;
                    self.read = 0;
                }
                let mut bytes = Bytes(self.block.get(self.read..).unwrap_or_default());
                take_group(&mut bytes, &mut self.group).ok_or_else(torn)?;
                self.read = self.block.len().saturating_sub(bytes.0.len());
                Ok(true)
            }
        }
    }
}

/// Reads the next block of a stretch.
fn unpack(
    file: &File,
    stretch: &mut Stretch,
    packed: &mut Vec<u8>,
    block: &mut Vec<u8>,
) -> io::Result<()> {
    let mut head = [0; 4];
    file.read_exact_at(&mut head, stretch.from)?;
    let told = u32::from_le_bytes(head);
    packed.clear();
    packed.resize(usize::try_from(told).map_err(io::Error::other)?, 0);
    file.read_exact_at(packed, stretch.from + 4)?;
    stretch.from += 4 + u64::from(told);
    *block = zstd::bulk::decompress(packed, MOST_BLOCK_BYTES)?;
    Ok(())
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what was set aside for sorting is not as written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drained(sorted: &Sorted, window: Window) -> Vec<(u64, i64, u64)> {
        let mut all = vec![];
        for mut cursor in sorted.cursors(window) {
            while cursor.advance().unwrap() {
                let Group { series, times, values } = &cursor.group;
                all.extend(times.iter().zip(values).map(|(at, v)| (*series, *at, v.to_bits())));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn runs_give_back_what_they_took(
            samples in prop::collection::vec((0..4_u64, 0..4_000_000_000_i64, any::<u64>()), 1..200),
            turn in 1..50_usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut spool = Spool::new(dir.path());
            for (nth, (series, at, bits)) in samples.iter().enumerate() {
                let value = f64::from_bits(*bits);
                spool.push(Age::New, Sample { series: *series, at: *at, value }).unwrap();
                if nth % turn == 0 {
                    spool.turn(Age::New).unwrap();
                }
            }
            let windows = spool.windows();
            let sorted = spool.sorted().unwrap();
            let mut found: Vec<_> = windows.iter().flat_map(|w| drained(&sorted, *w)).collect();
            found.sort_unstable();
            let mut wanted = samples;
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn whole_numbers_take_little() {
        let group: Vec<Sample> = (0..1000_i32)
            .map(|n| Sample { series: 7, at: i64::from(n) * 60_000, value: f64::from(n) * 4096.0 })
            .collect();
        let mut bytes = vec![];
        put_group(&group, &mut bytes);
        assert!(bytes.len() < 4 * group.len(), "{}", bytes.len());
    }
}
