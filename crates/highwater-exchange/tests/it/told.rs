//! What a reader gave, in a form to compare and to print.

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME, is_stale};
use highwater_exchange::{Format, Given, Item, Reader, Summary};

/// A series with its samples.
pub(crate) struct Told {
    pub(crate) labels: Labels,
    pub(crate) kind: MetricKind,
    pub(crate) help: String,
    /// Milliseconds and values.
    pub(crate) points: Vec<(i64, f64)>,
}

/// All that a reader gave.
pub(crate) struct All {
    pub(crate) series: Vec<Told>,
    /// Lines and texts.
    pub(crate) oddities: Vec<(u64, String)>,
    pub(crate) summary: Summary,
}

impl All {
    /// The samples of the one series with this text.
    pub(crate) fn points(&self, series: &str) -> &[(i64, f64)] {
        let all: Vec<_> = self.series.iter().filter(|s| s.labels.to_string() == series).collect();
        let names: Vec<_> = self.series.iter().map(|s| s.labels.to_string()).collect();
        assert_eq!(all.len(), 1, "{series} in {names:#?}");
        &all[0].points
    }

    /// The values of the one series with this text.
    pub(crate) fn values(&self, series: &str) -> Vec<f64> {
        self.points(series).iter().map(|(_, value)| *value).collect()
    }

    /// Series and samples, as text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let points = |told: &Told| {
            let value = |v: f64| if is_stale(v) { "end".to_owned() } else { format!("{v:?}") };
            told.points.iter().map(|(at, v)| format!(" {}@{at}", value(*v))).collect::<String>()
        };
        self.series
            .iter()
            .map(|told| {
                assert!(!told.labels.get(NAME).is_empty());
                format!("{} {:?} {:?}{}", told.labels, told.kind, told.help, points(told))
            })
            .collect()
    }
}

/// Reads `pieces`, one after the other, as what the first of them looks like.
pub(crate) fn read(pieces: &[&[u8]]) -> All {
    let format = Format::of(pieces.concat().as_slice()).expect("a format");
    read_as(format, Given::default(), pieces)
}

/// Reads `pieces` as `format`.
pub(crate) fn read_as(format: Format, given: Given, pieces: &[&[u8]]) -> All {
    let (mut series, mut oddities) = (Vec::<Told>::new(), vec![]);
    let mut take = |item: Item<'_>| match item {
        Item::Series { id, labels, kind, help } => {
            assert_eq!(usize::try_from(id), Ok(series.len()), "ids without a gap");
            let (labels, help) = (labels.clone(), help.to_owned());
            series.push(Told { labels, kind, help, points: vec![] });
        }
        Item::Sample { id, at, value } => {
            let told = &mut series[usize::try_from(id).unwrap()];
            told.points.push((at.millis(), value));
        }
        Item::Oddity { line, what } => oddities.push((line, what.to_owned())),
    };
    let mut reader = Reader::with(format, given);
    for piece in pieces {
        reader.push(piece, &mut take).unwrap();
    }
    let summary = reader.finish(&mut take).unwrap();
    let samples: usize = series.iter().map(|told| told.points.len()).sum();
    assert_eq!(summary.samples, u64::try_from(samples).unwrap());
    assert_eq!(summary.series, u64::try_from(series.len()).unwrap());
    assert!(summary.oddities >= u64::try_from(oddities.len()).unwrap());
    All { series, oddities, summary }
}
