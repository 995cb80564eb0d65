//! `OpenMetrics` text, and Prometheus's text format 0.0.4.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. One reader takes both: they
//! differ in the unit of timestamps, which their size tells, in exemplars, which are skipped, and
//! in `# EOF`. Names of any letters in quotes, and `{__name__="…"}` as query answers have it, are
//! taken too.

mod family;
mod keys;
mod labels;

use highwater_core::series::NAME;
use highwater_core::time::WallTime;

use self::family::Families;
use self::keys::Keys;
use crate::desk::{Desk, Odd, Sink};
use crate::lines::{ByLine, Line};
use crate::{Stamps, TooMuch, number};

/// The reader of such a text.
#[derive(Debug)]
pub(crate) struct Text {
    /// When samples without a timestamp were taken.
    at: Option<WallTime>,
    families: Families,
    keys: Keys,
    /// The earliest moment read.
    earliest: Option<WallTime>,
    ended: bool,
}

impl Text {
    pub(crate) fn new(at: Option<WallTime>) -> Self {
        let (families, keys) = (Families::new(), Keys::new());
        Self { at, families, keys, earliest: None, ended: false }
    }

    fn comment(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) {
        if line.text.trim_ascii_end() == b"# EOF" {
            self.ended = true;
        } else if let Err(odd) = self.families.comment(line.text) {
            desk.odd(sink, line.number, odd, b"");
        }
    }

    fn sample(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) -> Result<(), TooMuch> {
        let Some((id, rest)) = self.series(line.text) else {
            desk.odd(sink, line.number, Odd::NoSample, line.text);
            return Ok(());
        };
        let reading = match reading(rest, self.at) {
            Ok(reading) => reading,
            Err(Odd::Untimed) => {
                desk.untimed(sink, line.number);
                return Ok(());
            }
            Err(odd) => {
                desk.odd(sink, line.number, odd, line.text);
                return Ok(());
            }
        };
        let id = match id {
            Some(id) => Some(id),
            None => self.begin(desk, sink, line, rest.len())?,
        };
        if let Some(id) = id {
            reading.stamps.into_iter().for_each(|stamps| desk.stamp(stamps));
            self.earliest = Some(self.earliest.map_or(reading.at, |at| at.min(reading.at)));
            desk.sample(sink, id, reading.at, reading.value);
        }
        Ok(())
    }

    /// The series of a line, if it was seen before, and what stands after its name and labels.
    fn series<'a>(&mut self, line: &'a [u8]) -> Option<(Option<u32>, &'a [u8])> {
        if let Some((id, rest)) = self.keys.guess(line) {
            return Some((Some(id), rest));
        }
        let (text, rest) = line.split_at_checked(labels::end(line)?)?;
        Some((self.keys.find(text), rest))
    }

    /// Gives the series that stands before the last `rest` bytes of `line`.
    fn begin(
        &mut self,
        desk: &mut Desk,
        sink: Sink<'_>,
        line: Line<'_>,
        rest: usize,
    ) -> Result<Option<u32>, TooMuch> {
        let text = line.text.get(..line.text.len() - rest).unwrap_or_default();
        let labels = match labels::read(text) {
            Ok(labels) => labels,
            Err(odd) => {
                desk.odd(sink, line.number, odd, line.text);
                return Ok(None);
            }
        };
        if std::str::from_utf8(text).is_err() {
            desk.odd(sink, line.number, Odd::NotUtf8, text);
        }
        let (kind, help) = self.families.kind_of(labels.get(NAME), &labels);
        let id = desk.series(sink, line.number, (&labels, kind, help))?;
        self.keys.add(text, id, line.number)?;
        Ok(Some(id))
    }

    /// Whether the last line, which has no end, is whole: a timestamp that was cut is a smaller
    /// number, so it lies before all others.
    fn is_whole(&self, line: &[u8]) -> bool {
        let moment = labels::end(line).and_then(|end| reading(line.get(end..)?, self.at).ok());
        moment.is_none_or(|reading| self.earliest.is_none_or(|earliest| reading.at >= earliest))
    }
}

impl ByLine for Text {
    fn line(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) -> Result<(), TooMuch> {
        let text = line.text.trim_ascii_start();
        let line = Line { text, ..line };
        if text.is_empty() {
            return Ok(());
        }
        if self.ended {
            self.ended = false;
            desk.odd(sink, line.number, Odd::AfterEof, b"");
        }
        if text.starts_with(b"#") {
            self.comment(desk, sink, line);
            return Ok(());
        }
        self.sample(desk, sink, line)
    }

    fn end(
        &mut self,
        desk: &mut Desk,
        sink: Sink<'_>,
        cut: Option<Line<'_>>,
    ) -> Result<(), TooMuch> {
        let last = desk.summary.lines.max(1);
        if let Some(line) = cut {
            if self.is_whole(line.text) {
                self.line(desk, sink, line)?;
            } else {
                desk.odd(sink, line.number, Odd::CutOff, line.text);
            }
        }
        let seconds = matches!(desk.summary.stamps, Some(Stamps::Seconds | Stamps::Both));
        if !self.ended && (self.families.is_open_metrics() || seconds) {
            desk.odd(sink, last, Odd::NoEof, b"");
        }
        Ok(())
    }
}

/// Whether a line is a comment that only these formats have, or a sample with labels or a
/// timestamp: a word and a number alone are in many a text.
pub(crate) fn is_of(line: &[u8]) -> bool {
    let words = [&b"# TYPE "[..], b"# HELP ", b"# UNIT ", b"# EOF"];
    if words.iter().any(|word| line.starts_with(word)) {
        return true;
    }
    let parts = labels::end(line).and_then(|end| line.split_at_checked(end));
    parts.is_some_and(|(text, rest)| {
        let is_sample = match reading(rest, None) {
            Ok(_) => true,
            Err(odd) => odd == Odd::Untimed && text.ends_with(b"}"),
        };
        is_sample && labels::read(text).is_ok()
    })
}

/// What stands after the name and labels.
struct Reading {
    value: f64,
    at: WallTime,
    /// The unit of the timestamp; `None` if the text has none.
    stamps: Option<Stamps>,
}

/// Reads ` value`, ` value timestamp`, and either with ` # exemplar` after it.
fn reading(rest: &[u8], given: Option<WallTime>) -> Result<Reading, Odd> {
    let (value, rest) = word(rest);
    let value = number::value(value).ok_or(Odd::BadValue)?;
    let (stamp, rest) = word(rest);
    if stamp.is_empty() || stamp.starts_with(b"#") {
        let at = given.ok_or(Odd::Untimed)?;
        return Ok(Reading { value, at, stamps: None });
    }
    let (at, stamps) = number::stamp(stamp).ok_or(Odd::BadStamp)?;
    match word(rest).0 {
        [] | [b'#', ..] => Ok(Reading { value, at, stamps: Some(stamps) }),
        _ => Err(Odd::BadStamp),
    }
}

/// The next word, and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().position(|byte| !labels::is_blank(*byte)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    text.split_at(text.iter().position(|byte| labels::is_blank(*byte)).unwrap_or(text.len()))
}
