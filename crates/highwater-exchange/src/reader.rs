//! The door of all readers: bytes in, items out.

use crate::desk::Desk;
use crate::lines::{ByLine, Lines};
use crate::openmetrics::Text;
use crate::sadf::Sadf;
use crate::vmstat::Vmstat;
use crate::{Format, Given, Item, Summary, TooMuch};

/// Reads one file, piece by piece, in bounded memory.
///
/// ```
/// use highwater_exchange::{Format, Item, Reader};
///
/// let mut values = vec![];
/// let mut take = |item: Item<'_>| {
///     if let Item::Sample { value, .. } = item {
///         values.push(value);
///     }
/// };
/// let mut reader = Reader::new(Format::OpenMetrics);
/// reader.push(b"up{job=\"a\"} 1 17142", &mut take)?;
/// reader.push(b"07632.5\n# EOF\n", &mut take)?;
/// assert_eq!(reader.finish(&mut take)?.samples, 1);
/// assert_eq!(values, [1.0]);
/// # Ok::<(), highwater_exchange::TooMuch>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    desk: Desk,
    body: Body,
    /// Why no more is taken.
    full: Option<TooMuch>,
}

/// How a format is taken apart.
#[derive(Debug)]
enum Body {
    ByLine(Lines, Box<dyn ByLine>),
    Sadf(Box<Sadf>),
}

impl Reader {
    /// A reader of `format` that knows nothing but the file.
    pub fn new(format: Format) -> Self {
        Self::with(format, Given::default())
    }

    /// A reader of `format` that is told what the file does not say.
    pub fn with(format: Format, given: Given) -> Self {
        let by_line = |reader| Body::ByLine(Lines::default(), reader);
        let body = match format {
            Format::OpenMetrics => by_line(Box::new(Text::new(given.at))),
            Format::Vmstat => by_line(Box::new(Vmstat::new(given))),
            Format::Sadf => Body::Sadf(Box::new(Sadf::new(given))),
        };
        Self { desk: Desk::default(), body, full: None }
    }

    /// Takes the next bytes, cut anywhere, and gives what is complete in them.
    ///
    /// After an error nothing more is taken: the same error comes again.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) -> Result<(), TooMuch> {
        if let Some(full) = self.full {
            return Err(full);
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.desk.summary.bytes = self.desk.summary.bytes.saturating_add(length);
        let done = match &mut self.body {
            Body::ByLine(lines, reader) => {
                lines.push(bytes, (&mut self.desk, sink), reader.as_mut())
            }
            Body::Sadf(sadf) => sadf.push(bytes, (&mut self.desk, sink)),
        };
        self.full = done.err();
        done
    }

    /// Takes the end of the file, gives what is left, and sums up.
    pub fn finish(mut self, sink: &mut dyn FnMut(Item<'_>)) -> Result<Summary, TooMuch> {
        if let Some(full) = self.full {
            return Err(full);
        }
        match &mut self.body {
            Body::ByLine(lines, reader) => lines.end((&mut self.desk, sink), reader.as_mut())?,
            Body::Sadf(sadf) => sadf.end((&mut self.desk, sink)),
        }
        Ok(self.desk.summary)
    }

    /// What was read so far, for whoever shows progress.
    pub const fn summary(&self) -> Summary {
        self.desk.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::MAX_SERIES;

    #[test]
    fn too_many_series_are_an_error_that_says_where_and_stays() {
        let mut reader = Reader::new(Format::Vmstat);
        reader.desk.summary.series = u64::try_from(MAX_SERIES).unwrap() - 1;
        let mut given = 0;
        let mut take = |item: Item<'_>| given += usize::from(matches!(item, Item::Series { .. }));
        let text = b" r  b   swpd   free\n 1 1 0 900000 2026-01-01 00:00:00\n";
        let error = TooMuch::Series { line: 2, limit: MAX_SERIES };
        assert_eq!(reader.push(text, &mut take), Err(error));
        assert_eq!(reader.push(b"\n", &mut take), Err(error));
        assert_eq!(reader.finish(&mut take), Err(error));
        assert_eq!(given, 1);
        assert!(error.to_string().starts_with("line 2: more than 1000000 series: split"));
    }
}
