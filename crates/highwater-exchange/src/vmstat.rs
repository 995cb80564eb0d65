//! `vmstat -t`, wide or not, with `-a` or without, of procps-ng and its forerunner.
//!
//! The columns are those that the header names. The output says neither the unit (`-S`) nor the
//! machine, and the time zone only by its letters.

use highwater_core::time::WallTime;

use crate::desk::{Desk, Odd, Sink};
use crate::figure::{Figure, KNOWN};
use crate::lines::{ByLine, Line};
use crate::zone::Zone;
use crate::{Given, TooMuch, VmstatUnit, number};

/// Columns that one header may name; vmstat has 19.
const MAX_COLUMNS: usize = 64;

/// Memory in KiB below which Linux does not run a shell: the numbers are of another unit.
const LEAST_KIB: f64 = 48.0 * 1024.0;

/// Where the scale is the unit of `-S`.
const UNIT: f64 = 0.0;

/// vmstat counts blocks of 1,024 bytes.
const BLOCK: f64 = 1024.0;

const fn at(key: &'static str) -> (&'static str, &'static str) {
    ("", key)
}

/// The columns that are taken.
pub(crate) static FIGURES: &[Figure] = &[
    Figure::new(at("r"), 1.0, "node_procs_running", "Processes that run or wait for a processor."),
    Figure::new(at("b"), 1.0, "node_procs_blocked", "Processes that wait for a disk."),
    Figure::new(at("swpd"), UNIT, "node_swap_used_bytes", KNOWN),
    Figure::new(at("free"), UNIT, "node_memory_MemFree_bytes", KNOWN),
    Figure::new(at("buff"), UNIT, "node_memory_Buffers_bytes", KNOWN),
    Figure::new(
        at("cache"),
        UNIT,
        "vmstat_cache_bytes",
        "Page cache of files, with slab that can be reclaimed (before procps 3.3.10 without).",
    ),
    Figure::new(at("inact"), UNIT, "node_memory_Inactive_bytes", KNOWN),
    Figure::new(at("active"), UNIT, "node_memory_Active_bytes", KNOWN),
    Figure::new(at("si"), UNIT, "vmstat_swap_in_bytes_per_second", "Memory read from swap."),
    Figure::new(at("so"), UNIT, "vmstat_swap_out_bytes_per_second", "Memory written to swap."),
    Figure::new(at("bi"), BLOCK, "vmstat_disk_read_bytes_per_second", "Read from disks."),
    Figure::new(at("bo"), BLOCK, "vmstat_disk_written_bytes_per_second", "Written to disks."),
    Figure::new(at("in"), 1.0, "vmstat_interrupts_per_second", "Interrupts."),
    Figure::new(at("cs"), 1.0, "vmstat_context_switches_per_second", "Context switches."),
    Figure::mode(at("us"), "vmstat_cpu_percent", "user"),
    Figure::mode(at("sy"), "vmstat_cpu_percent", "system"),
    Figure::mode(at("id"), "vmstat_cpu_percent", "idle"),
    Figure::mode(at("wa"), "vmstat_cpu_percent", "iowait"),
    Figure::mode(at("st"), "vmstat_cpu_percent", "steal"),
    Figure::mode(at("gu"), "vmstat_cpu_percent", "guest"),
];

/// What is known of one column.
#[derive(Debug)]
struct Column {
    /// What it is; `None` if it is not taken.
    figure: Option<&'static Figure>,
    /// Its series, once given.
    id: Option<u32>,
}

/// The reader of such an output.
#[derive(Debug)]
pub(crate) struct Vmstat {
    zone: Zone,
    unit: Option<VmstatUnit>,
    instance: String,
    columns: Vec<Column>,
    /// Whether the first line is yet to come: its rates are averages since boot.
    is_first: bool,
}

impl Vmstat {
    pub(crate) fn new(given: Given) -> Self {
        let instance = given.instance.unwrap_or_default();
        let zone = Zone::new(given.zone);
        Self { zone, unit: given.unit, instance, columns: vec![], is_first: true }
    }

    /// Takes the line that names the columns, which is repeated with every page.
    fn header(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) {
        let words: Vec<&[u8]> = words(line.text).take(MAX_COLUMNS).collect();
        let known = words.iter().rposition(|word| figure(word).is_some()).map_or(0, |at| at + 1);
        let (names, rest) = words.split_at(known);
        if let [letters, ..] = rest
            && !self.zone.say(letters)
        {
            desk.odd(sink, line.number, Odd::NoZone, letters);
        }
        let is_same = self.columns.len() == names.len()
            && self.columns.iter().zip(names).all(|(column, name)| {
                column.figure.map(|figure| figure.key) == figure(name).map(|figure| figure.key)
            });
        if !is_same {
            let column = |name: &&[u8]| Column { figure: figure(name), id: None };
            self.columns = names.iter().map(column).collect();
        }
    }

    fn row(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) -> Result<(), TooMuch> {
        if self.columns.is_empty() {
            desk.odd(sink, line.number, Odd::NoColumns, line.text);
            return Ok(());
        }
        let values: Option<Vec<f64>> =
            words(line.text).take(self.columns.len()).map(count).collect();
        let Some(values) = values.filter(|values| values.len() == self.columns.len()) else {
            desk.odd(sink, line.number, Odd::BadRow, line.text);
            return Ok(());
        };
        let mut rest = words(line.text).skip(self.columns.len());
        let (Some(date), Some(time)) = (rest.next(), rest.next()) else {
            desk.untimed(sink, line.number);
            return Ok(());
        };
        // Before procps-ng 3.3.10 the zone stood in each line.
        if let Some(letters) = rest.next()
            && !self.zone.say(letters)
        {
            desk.odd(sink, line.number, Odd::NoZone, letters);
        }
        let Some(at) = self.zone.local(date, time) else {
            desk.odd(sink, line.number, Odd::BadStamp, line.text);
            return Ok(());
        };
        self.judge_unit(desk, sink, (line.number, &values));
        self.give(desk, sink, (line.number, at), &values)
    }

    /// Looks whether the first line can be KiB.
    fn judge_unit(&self, desk: &mut Desk, sink: Sink<'_>, (line, values): (u64, &[f64])) {
        let of = |column: &Column| column.figure.filter(|figure| figure.name.contains("memory"));
        let is_memory = |column: &&Column| {
            of(column).is_some() || column.figure.is_some_and(|figure| figure.key == "cache")
        };
        let held = self.columns.iter().zip(values).filter(|(column, _)| is_memory(column));
        let sum: f64 = held.map(|(_, value)| value).sum();
        if self.is_first && self.unit.is_none() && sum < LEAST_KIB {
            desk.odd(sink, line, Odd::SmallMemory, b"");
        }
    }

    fn give(
        &mut self,
        desk: &mut Desk,
        sink: Sink<'_>,
        (line, at): (u64, WallTime),
        values: &[f64],
    ) -> Result<(), TooMuch> {
        let unit = bytes(self.unit.unwrap_or_default());
        for (column, value) in self.columns.iter_mut().zip(values) {
            let Some(figure) = column.figure else { continue };
            let is_rate = figure.name.ends_with("_per_second") || figure.name.ends_with("_percent");
            if self.is_first && is_rate {
                continue;
            }
            let id = if let Some(id) = column.id {
                id
            } else {
                let more = [("instance", self.instance.as_str()), ("", "")];
                *column.id.insert(figure.begin((desk, sink), line, more)?)
            };
            let scale = if figure.scale > UNIT { figure.scale } else { unit };
            desk.sample(sink, id, at, value * scale);
        }
        self.is_first = false;
        Ok(())
    }
}

impl ByLine for Vmstat {
    fn line(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) -> Result<(), TooMuch> {
        if is_header(line.text) {
            self.header(desk, sink, line);
            return Ok(());
        }
        let is_blank = line.text.trim_ascii().is_empty();
        // The line above the header: `procs -----------memory----------`.
        if is_blank || line.text.windows(2).any(|pair| pair == b"--") {
            return Ok(());
        }
        self.row(desk, sink, line)
    }

    fn end(
        &mut self,
        desk: &mut Desk,
        sink: Sink<'_>,
        cut: Option<Line<'_>>,
    ) -> Result<(), TooMuch> {
        // A line without an end is whole if its time of day is.
        cut.map_or(Ok(()), |line| self.line(desk, sink, line))
    }
}

/// Whether a line names the columns.
pub(crate) fn is_header(line: &[u8]) -> bool {
    let mut words = words(line);
    let begins = [&b"r"[..], b"b"].into_iter().all(|word| words.next() == Some(word));
    begins && words.any(|word| word == b"free")
}

fn figure(name: &[u8]) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.key.as_bytes() == name)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A number as vmstat writes it: digits only.
fn count(word: &[u8]) -> Option<f64> {
    word.iter().all(u8::is_ascii_digit).then(|| number::value(word))?
}

const fn bytes(unit: VmstatUnit) -> f64 {
    match unit {
        VmstatUnit::Kilo => 1e3,
        VmstatUnit::Kibi => 1024.0,
        VmstatUnit::Mega => 1e6,
        VmstatUnit::Mebi => 1_048_576.0,
    }
}
