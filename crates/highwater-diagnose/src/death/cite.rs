//! Evidence: which line, which series.

use highwater_core::evidence::Evidence;
use highwater_core::series::{Labels, Point};
use highwater_core::time::Span;
use highwater_core::units::Bytes;
use highwater_oom::report::{LineNumber, OomReport};

/// The most characters of a line that are cited. A kill line has about 200; the rest is in the
/// source, under its number.
const MAX_CITED: usize = 240;

/// The lines of one report under the name of the source they came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cite<'a> {
    pub(super) source: &'a str,
    pub(super) report: &'a OomReport,
}

impl Cite<'_> {
    /// The line `number`, as evidence.
    pub(super) fn line(&self, number: LineNumber) -> Evidence {
        let lines = &self.report.lines;
        // Lines stand in their order; where they do not, all of them are looked through.
        let at = lines.partition_point(|line| line.number < number);
        let found = lines.get(at).filter(|line| line.number == number);
        let found = found.or_else(|| lines.iter().find(|line| line.number == number));
        let text = found.map_or(String::new(), |line| cut(&line.text));
        Evidence { source: self.source.to_owned(), line: Some(number), text }
    }

    /// Several lines, each once.
    pub(super) fn lines(&self, numbers: impl IntoIterator<Item = LineNumber>) -> Vec<Evidence> {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.dedup();
        numbers.into_iter().map(|number| self.line(number)).collect()
    }
}

/// The points of a recorded series of bytes as evidence: which, from what to what, over what span.
pub(super) fn series(source: &str, labels: &Labels, points: &[Point]) -> Evidence {
    let amount = |point: &Point| Bytes::from_f64(point.value);
    let told = match points {
        [] => "no points".to_owned(),
        [only] => format!("{} at {}", amount(only), only.at),
        [first, .., last] => format!(
            "{} points in {}, {} to {} at {}",
            points.len(),
            Span(last.at.since(first.at)),
            amount(first),
            amount(last),
            last.at
        ),
    };
    Evidence { source: source.to_owned(), line: None, text: cut(&format!("{labels}: {told}")) }
}

/// `text`, or its head and `…`.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CITED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
    }
}
