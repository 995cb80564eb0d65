//! `sadf -j`: what `sar` recorded, as JSON.
//!
//! ```text
//! {"sysstat": {"hosts": [{"nodename": …, "timezone": …,
//!   "statistics": [{"timestamp": {"date", "time", "utc"}, "memory": {"memfree": …}, …}, …],
//!   "restarts": [{"boot": {"date", "time", "utc"}}]}]}}
//! ```
//! One record of `statistics` is held at a time. Series carry the machine as `instance`. Local times
//! (`sadf -t`, `"utc": 0`) are taken to be of the zone that the file names; `sadf -T` writes those of
//! whoever ran it and does not say so, so there the caller must give the zone.

mod json;
mod names;

use std::collections::HashMap;

use highwater_core::text;
use highwater_core::time::WallTime;

use self::json::{Json, Step};
use self::names::{BOOT, LOAD, MEM_TOTAL, MEMORY, PAGING, SECTIONS, SUMS};
use crate::desk::{Desk, Odd, Sink};
use crate::figure::Figure;
use crate::zone::{self, Zone};
use crate::{Given, TooMuch, number};

/// Numbers of one record: a hundred a machine, six a file system.
const MAX_FIGURES: usize = 16_384;

/// Things that one section tells apart, file systems in the first place.
const MAX_SUBJECTS: usize = 4096;

/// All numbers that are taken.
#[cfg(test)]
pub(crate) fn figures() -> impl Iterator<Item = &'static Figure> {
    rows().chain(SUMS.iter().map(|sum| &sum.figure)).chain([&MEM_TOTAL, &BOOT])
}

fn rows() -> impl Iterator<Item = &'static Figure> {
    MEMORY.iter().chain(PAGING).chain(LOAD)
}

/// Where in the document something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Top,
    Sysstat,
    Hosts,
    Host,
    Statistics,
    Record,
    Stamp,
    /// A section that is read, its lists and their objects.
    Section(&'static str),
    /// Another section: there may be one that is read below it.
    Other,
    Restarts,
    Restart,
    Boot,
    /// Nothing of use is below it.
    Nowhere,
}

/// One number of a record.
#[derive(Clone, Copy, Debug)]
struct Taken {
    figure: &'static Figure,
    /// Which of the subjects it is of; 0 is none.
    subject: usize,
    /// As written.
    value: f64,
}

/// A date and time of day as they came.
#[derive(Debug, Default)]
struct Stamp {
    date: Vec<u8>,
    time: Vec<u8>,
    is_utc: bool,
}

/// The reader of such a document.
#[derive(Debug, Default)]
pub(crate) struct Sadf {
    json: Json,
    walk: Walk,
}

/// What is known at one place of the document.
#[derive(Debug, Default)]
struct Walk {
    zone: Zone,
    /// What the caller calls a machine that has no name.
    given: String,
    /// The place that each level is.
    places: Vec<Place>,
    /// The key before the present value.
    key: Vec<u8>,
    /// The machine, as it calls itself.
    host: String,
    /// Whether local times of this machine can be told.
    is_zone_clear: bool,
    /// The letters of its zone.
    letters: Vec<u8>,
    /// The timestamp that was read last.
    stamp: Stamp,
    /// The numbers of the present record.
    taken: Vec<Taken>,
    /// File systems, by the label that tells them and its value.
    subjects: Vec<(&'static str, String)>,
    /// The subject of the object that is read.
    subject: usize,
    /// Whether the object that is read is of all processors.
    is_all: bool,
    /// Series by metric, mode and subject.
    ids: HashMap<(&'static str, &'static str, usize), u32>,
}

impl Sadf {
    pub(crate) fn new(given: Given) -> Self {
        let zone = Zone::new(given.zone);
        let walk = Walk { zone, given: given.instance.unwrap_or_default(), ..Walk::default() };
        Self { json: Json::default(), walk }
    }

    /// Takes a piece.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        (desk, sink): (&mut Desk, Sink<'_>),
    ) -> Result<(), TooMuch> {
        // What stands before the document, such as the mark of an editor, is no part of it.
        let bytes = if self.json.is_whole() && desk.summary.lines == 0 {
            memchr::memchr(b'{', bytes).and_then(|at| bytes.get(at..)).unwrap_or_default()
        } else {
            bytes
        };
        self.json
            .push(bytes, &mut |line, step| self.walk.take((&mut *desk, &mut *sink), line, &step))?;
        if !bytes.is_empty() {
            desk.summary.lines = self.json.line();
        }
        Ok(())
    }

    /// Takes the end.
    pub(crate) fn end(&self, (desk, sink): (&mut Desk, Sink<'_>)) {
        if !self.json.is_whole() {
            desk.odd(sink, self.json.line(), Odd::Unfinished, b"");
        }
    }
}

impl Walk {
    fn take(
        &mut self,
        (desk, sink): (&mut Desk, Sink<'_>),
        line: u64,
        step: &Step<'_>,
    ) -> Result<(), TooMuch> {
        match step {
            Step::Key(key) => {
                self.key.clear();
                self.key.extend_from_slice(key);
                return Ok(());
            }
            Step::Object | Step::List => self.begin(*step == Step::Object),
            Step::End => self.end((desk, sink), line)?,
            Step::Text(text) => self.text((desk, sink), line, text),
            Step::Bare(word) => self.word((desk, sink), line, word),
            Step::Broken => desk.odd(sink, line, Odd::Broken, b""),
            Step::TooDeep => desk.odd(sink, line, Odd::TooDeep, b""),
            Step::Cut => {
                desk.odd(sink, line, Odd::LongText, b"");
                return Ok(());
            }
        }
        self.key.clear();
        Ok(())
    }

    fn place(&self) -> Place {
        self.places.last().copied().unwrap_or_default()
    }

    fn begin(&mut self, is_object: bool) {
        let place = below(self.place(), &self.key, is_object);
        match place {
            Place::Host => {
                self.zone.begin();
                self.is_zone_clear = self.zone.say(b"");
                self.letters.clear();
                self.host.clone_from(&self.given);
                self.ids.clear();
                self.subjects.clear();
            }
            Place::Record => self.taken.clear(),
            Place::Section(_) => (self.subject, self.is_all) = (0, true),
            _ => {}
        }
        if matches!(place, Place::Record | Place::Stamp | Place::Boot) {
            self.stamp = Stamp::default();
        }
        self.places.push(place);
    }

    fn end(&mut self, (desk, sink): (&mut Desk, Sink<'_>), line: u64) -> Result<(), TooMuch> {
        match self.places.pop() {
            Some(Place::Record) => self.record((desk, sink), line),
            Some(Place::Boot) => match self.moment((desk, sink), line) {
                Some(at) => {
                    // Seconds: sadf has no smaller unit.
                    let whole = at.millis().div_euclid(1000).to_string();
                    let value = number::value(whole.as_bytes()).unwrap_or_default();
                    self.give((desk, sink), (line, at), (&BOOT, 0), value)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn text(&mut self, (desk, sink): (&mut Desk, Sink<'_>), line: u64, text: &[u8]) {
        match (self.place(), self.key.as_slice()) {
            (Place::Host, b"nodename") => self.host = text::escape(text).into_owned(),
            (Place::Host, b"timezone") => {
                self.is_zone_clear = self.zone.say(text);
                self.letters = text.to_vec();
            }
            (Place::Stamp | Place::Boot, b"date") => self.stamp.date = text.to_vec(),
            (Place::Stamp | Place::Boot, b"time") => self.stamp.time = text.to_vec(),
            (Place::Section("cpu-load"), b"cpu") => self.is_all = text == b"all",
            // `sar -F` tells file systems by their devices, `sar -F MOUNT` by where they are.
            (Place::Section("filesystems"), b"filesystem") => {
                self.tell_apart((desk, sink), line, ("device", text));
            }
            (Place::Section("filesystems"), b"mountpoint") => {
                self.tell_apart((desk, sink), line, ("mountpoint", text));
            }
            _ => {}
        }
    }

    /// Notes whose numbers follow.
    fn tell_apart(
        &mut self,
        (desk, sink): (&mut Desk, Sink<'_>),
        line: u64,
        (label, text): (&'static str, &[u8]),
    ) {
        let name = text::escape(text);
        let is_it = |known: &(&str, String)| known.0 == label && known.1 == name;
        self.subject = self.subjects.iter().position(is_it).map_or(0, |at| at + 1);
        if self.subject > 0 {
            return;
        }
        self.is_all = self.subjects.len() < MAX_SUBJECTS;
        if self.is_all {
            self.subjects.push((label, name.into_owned()));
            self.subject = self.subjects.len();
        } else {
            desk.odd(sink, line, Odd::ManySubjects, b"");
        }
    }

    fn word(&mut self, (desk, sink): (&mut Desk, Sink<'_>), line: u64, word: &[u8]) {
        match self.place() {
            Place::Stamp | Place::Boot if self.key == b"utc" => {
                self.stamp.is_utc = matches!(word, b"1" | b"true");
            }
            Place::Section(section) if self.is_all => {
                let is_it = |figure: &&Figure| {
                    figure.section == section && figure.key.as_bytes() == self.key
                };
                let (Some(figure), Some(value)) = (rows().find(is_it), number::value(word)) else {
                    return;
                };
                if self.taken.len() >= MAX_FIGURES {
                    return desk.odd(sink, line, Odd::ManyFigures, b"");
                }
                self.taken.push(Taken { figure, subject: self.subject, value });
            }
            _ => {}
        }
    }

    /// The moment that was read last.
    fn moment(&mut self, (desk, sink): (&mut Desk, Sink<'_>), line: u64) -> Option<WallTime> {
        let Stamp { date, time, is_utc } = &self.stamp;
        if date.is_empty() && time.is_empty() {
            desk.untimed(sink, line);
            return None;
        }
        if !is_utc && !self.is_zone_clear {
            desk.odd(sink, line, Odd::NoZone, &self.letters);
        }
        let at = if *is_utc { zone::utc(date, time) } else { self.zone.local(date, time) };
        if at.is_none() {
            desk.odd(sink, line, Odd::BadStamp, &[date.as_slice(), b" ", time].concat());
        }
        at
    }

    /// Gives what one record has, and the totals that follow from it.
    fn record(&mut self, (desk, sink): (&mut Desk, Sink<'_>), line: u64) -> Result<(), TooMuch> {
        let taken = std::mem::take(&mut self.taken);
        if taken.is_empty() {
            return Ok(());
        }
        let Some(at) = self.moment((desk, sink), line) else { return Ok(()) };
        for (place, one) in taken.iter().enumerate() {
            self.give((desk, sink), (line, at), (one.figure, one.subject), one.value)?;
            for (figure, value) in sums(&taken, place) {
                self.give((desk, sink), (line, at), (figure, one.subject), value)?;
            }
        }
        if let Some(total) = mem_total(&taken) {
            self.give((desk, sink), (line, at), (&MEM_TOTAL, 0), total)?;
        }
        self.taken = taken;
        Ok(())
    }

    fn give(
        &mut self,
        (desk, sink): (&mut Desk, Sink<'_>),
        (line, at): (u64, WallTime),
        (figure, subject): (&'static Figure, usize),
        value: f64,
    ) -> Result<(), TooMuch> {
        let key = (figure.name, figure.label.map_or("", |(_, value)| value), subject);
        let id = if let Some(id) = self.ids.get(&key) {
            *id
        } else {
            let subject = subject.checked_sub(1).and_then(|at| self.subjects.get(at));
            let subject = subject.map_or(("", ""), |(label, name)| (*label, name.as_str()));
            let more = [("instance", self.host.as_str()), subject];
            let id = figure.begin((&mut *desk, &mut *sink), line, more)?;
            self.ids.insert(key, id);
            id
        };
        desk.sample(sink, id, at, value * figure.scale);
        Ok(())
    }
}

/// What begins below `place` under `key`.
fn below(place: Place, key: &[u8], is_object: bool) -> Place {
    match (place, key, is_object) {
        (Place::Outside, b"", true) => Place::Top,
        (Place::Top, b"sysstat", true) => Place::Sysstat,
        (Place::Sysstat, b"hosts", false) => Place::Hosts,
        (Place::Hosts, b"", true) => Place::Host,
        (Place::Host, b"statistics", false) => Place::Statistics,
        (Place::Host, b"restarts", false) => Place::Restarts,
        (Place::Statistics, b"", true) => Place::Record,
        (Place::Record, b"timestamp", true) => Place::Stamp,
        (Place::Restarts, b"", true) => Place::Restart,
        (Place::Restart, b"boot", true) => Place::Boot,
        (Place::Section(_), b"", _) => place,
        (Place::Record | Place::Other | Place::Section(_), ..) => {
            let known = SECTIONS.iter().find(|section| section.as_bytes() == key);
            known.map_or(Place::Other, |section| Place::Section(section))
        }
        _ => Place::Nowhere,
    }
}

/// The totals whose first part stands at `place`: the second is not far.
fn sums(taken: &[Taken], place: usize) -> impl Iterator<Item = (&'static Figure, f64)> {
    let near = taken.get(place..).unwrap_or_default();
    let near = near.get(..8).unwrap_or(near);
    SUMS.iter().filter_map(move |sum| {
        let is_part = |one: &&Taken, part: usize| {
            one.figure.section == sum.figure.section
                && sum.parts.get(part).is_some_and(|key| *key == one.figure.key)
        };
        let first = near.first().filter(|one| is_part(one, 0))?;
        let second = near.iter().find(|one| is_part(one, 1) && one.subject == first.subject)?;
        Some((&sum.figure, first.value + second.value))
    })
}

/// All memory in kB, if the numbers of a record agree on it.
///
/// Until sysstat 11.7.1 what is not free is used; since then buffers, cache and slab are neither,
/// and slab is only there with `sar -r ALL`. `%memused` is rounded to two decimals.
fn mem_total(taken: &[Taken]) -> Option<f64> {
    let of = |key: &str| {
        let is_it = |one: &&Taken| one.figure.section == "memory" && one.figure.key == key;
        taken.iter().find(is_it).map(|one| one.value)
    };
    let (free, used, share) = (of("memfree")?, of("memused")?, of("memused-percent")?);
    let plain = free + used;
    let with_caches =
        of("slab").and_then(|slab| Some(plain + of("buffers")? + of("cached")? + slab));
    let agrees = |total: &f64| *total > 0.0 && (used / total * 100.0 - share).abs() < 0.006;
    Some(plain).filter(agrees).or(with_caches.filter(agrees))
}
