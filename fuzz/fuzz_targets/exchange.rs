//! Samples in any format: however a file is cut, the same comes out, and what `OpenMetrics` gave
//! is written and read again.
#![no_main]

use std::collections::BTreeMap;

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;
use highwater_exchange::{Format, Given, Item, OpenMetricsWriter, Reader};

/// All that a reader gave: series, samples to the bit, oddities.
type All = (Vec<(Labels, MetricKind)>, Vec<(u32, i64, u64)>, Vec<(u64, String)>);

fn read(format: Format, given: &Given, bytes: &[u8], size: usize) -> All {
    let (mut series, mut samples, mut oddities) = (vec![], vec![], vec![]);
    let mut take = |item: Item<'_>| match item {
        Item::Series { id, labels, kind, .. } => {
            assert_eq!(usize::try_from(id), Ok(series.len()), "ids without a gap");
            assert!(!labels.get(NAME).is_empty());
            series.push((labels.clone(), kind));
        }
        Item::Sample { id, at, value } => {
            assert!(usize::try_from(id).unwrap() < series.len());
            samples.push((id, at.millis(), value.to_bits()));
        }
        Item::Oddity { line, what } => {
            assert!(what.len() < 1024 && !what.contains(char::is_control));
            oddities.push((line, what.to_owned()));
        }
    };
    let mut reader = Reader::with(format, given.clone());
    for piece in bytes.chunks(size) {
        reader.push(piece, &mut take).unwrap();
    }
    let summary = reader.finish(&mut take).unwrap();
    assert_eq!(usize::try_from(summary.samples), Ok(samples.len()));
    (series, samples, oddities)
}

/// Points by labels, in order of names.
fn sorted((series, samples, _): &All) -> BTreeMap<(String, Labels), Vec<(i64, u64)>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (id, at, bits) in samples {
        let labels = &series[usize::try_from(*id).unwrap()].0;
        let key = (labels.get(NAME).to_owned(), labels.clone());
        all.entry(key).or_default().push((*at, *bits));
    }
    all
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let format = match (first & 3, Format::of(bytes)) {
        (0, Some(format)) => format,
        (0 | 1, _) => Format::OpenMetrics,
        (2, _) => Format::Sadf,
        _ => Format::Vmstat,
    };
    let at = (first & 4 != 0).then(|| WallTime::from_millis(7));
    let given = Given { at, ..Given::default() };
    let whole = read(format, &given, bytes, usize::MAX);
    assert_eq!(read(format, &given, bytes, 1 + usize::from(first >> 3)), whole);

    let all = sorted(&whole);
    let mut writer = OpenMetricsWriter::new(vec![]);
    for ((_, labels), points) in &all {
        let kind = whole.0.iter().find(|(of, _)| of == labels).unwrap().1;
        writer.series(labels, kind, "").unwrap();
        for (at, bits) in points {
            writer.sample(WallTime::from_millis(*at), f64::from_bits(*bits)).unwrap();
        }
    }
    let text = writer.finish().unwrap();
    let again = read(Format::OpenMetrics, &Given::default(), &text, usize::MAX);
    assert_eq!(again.2, []);
    assert_eq!(sorted(&again), all);
});
