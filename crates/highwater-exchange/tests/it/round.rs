//! What is written is what is read, however it is cut.

use std::collections::BTreeMap;

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME, STALE};
use highwater_core::time::WallTime;
use highwater_exchange::{Format, Given, OpenMetricsWriter, WriteError};
use proptest::prelude::*;

use crate::told::{All, read_as};

type Series = (Labels, MetricKind, String, Vec<(i64, f64)>);

fn written(all: &[Series]) -> Vec<u8> {
    let mut writer = OpenMetricsWriter::new(vec![]);
    for (labels, kind, help, points) in all {
        writer.series(labels, *kind, help).unwrap();
        for (at, value) in points {
            writer.sample(WallTime::from_millis(*at), *value).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8], size: usize) -> All {
    let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
    read_as(Format::OpenMetrics, Given::default(), &pieces)
}

#[test]
fn the_text_is_what_the_specification_has() {
    let up = Labels::new([(NAME, "up"), ("job", "a\"b\\")]);
    let total = Labels::new([(NAME, "kills_total")]);
    let odd = Labels::new([(NAME, "my.metric"), ("a b", "1")]);
    let vm = Labels::new([(NAME, "node_vmstat_pgfault")]);
    let text = written(&[
        (up.clone(), MetricKind::Gauge, "One.\nTwo.".to_owned(), vec![(1500, 1.0), (-1, -0.25)]),
        (total, MetricKind::Counter, String::new(), vec![(0, f64::INFINITY), (60_000, STALE)]),
        (odd, MetricKind::Gauge, String::new(), vec![(1, 1e300)]),
        (vm, MetricKind::Counter, String::new(), vec![(1000, 7.0)]),
    ]);
    let want = "# TYPE up gauge\n# HELP up One.\\nTwo.\nup{job=\"a\\\"b\\\\\"} 1 1.5\n\
        up{job=\"a\\\"b\\\\\"} -0.25 -0.001\n\
        # TYPE kills counter\nkills_total +Inf 0\nkills_total NaN 60\n\
        # TYPE \"my.metric\" gauge\n{\"my.metric\",\"a b\"=\"1\"} 1e300 0.001\n\
        # TYPE node_vmstat_pgfault unknown\nnode_vmstat_pgfault 7 1\n# EOF\n";
    assert_eq!(String::from_utf8_lossy(&text), want);
    let all = read(&text, usize::MAX);
    assert_eq!((all.oddities.len(), all.series[3].kind), (0, MetricKind::Counter));
}

#[test]
fn series_that_come_apart_or_have_no_name_are_refused() {
    let mut writer = OpenMetricsWriter::new(vec![]);
    let named = |name: &str| Labels::new([(NAME, name)]);
    writer.series(&named("a"), MetricKind::Gauge, "").unwrap();
    writer.series(&named("b"), MetricKind::Gauge, "").unwrap();
    let apart = writer.series(&named("a"), MetricKind::Gauge, "");
    assert!(matches!(apart, Err(WriteError::Apart(name)) if name == "a"));
    let nameless = writer.series(&Labels::new([("a", "b")]), MetricKind::Gauge, "");
    assert!(matches!(nameless, Err(WriteError::Nameless(_))));
    // One family cannot be a gauge and a counter: the counter keeps its whole name.
    writer.series(&named("b_total"), MetricKind::Counter, "").unwrap();
    writer.sample(WallTime::from_millis(0), 1.0).unwrap();
    let all = read(&writer.finish().unwrap(), 7);
    assert_eq!(all.lines(), ["b_total Counter \"\" 1.0@0"]);
}

/// Series of a few metrics, in order of their names.
fn series() -> impl Strategy<Value = Vec<Series>> {
    let value = "[ -~äß☃\\n\\\\\"{},=]{0,12}".prop_map(|text| text.replace('\n', "\\n"));
    let label = prop_oneof!["[a-z_][a-z0-9_]{0,6}", "[a-z.]{1,4} [a-z]{1,3}"];
    let labels = prop::collection::btree_map(label, value, 0..4);
    let points = prop::collection::vec((-(1_i64 << 40)..1 << 40, any::<f64>()), 1..6);
    let name = prop_oneof!["m[a-z:]{0,5}", "m[a-z]{0,3}_total", "m[a-z]{1,2}\\.é"];
    let one = (name, labels, any::<bool>(), "[ -~\\\\\"]{0,9}", points);
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let mut metrics = BTreeMap::new();
        for (name, labels, is_counter, help, points) in all {
            let labels = Labels::new(labels.into_iter().chain([(NAME.to_owned(), name.clone())]));
            let counts = is_counter && name.ends_with("_total");
            let kind = if counts { MetricKind::Counter } else { MetricKind::Gauge };
            let metric = metrics.entry(name).or_insert((kind, help, BTreeMap::new()));
            metric.2.insert(labels, points);
        }
        let flat = metrics.into_values().flat_map(|(kind, help, of)| {
            of.into_iter().map(move |(labels, points)| (labels, kind, help.clone(), points))
        });
        flat.collect()
    })
}

/// To the bit, but for what stands for no number.
fn bits(points: &[(i64, f64)]) -> Vec<(i64, u64)> {
    let bits = |v: f64| if v.is_nan() { STALE.to_bits() } else { v.to_bits() };
    points.iter().map(|(at, value)| (*at, bits(*value))).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in series(), size in 1_usize..200) {
        let text = written(&all);
        let told = read(&text, size);
        prop_assert_eq!(told.oddities.len(), 0, "{:?}\n{}", told.oddities, String::from_utf8_lossy(&text));
        prop_assert_eq!(told.series.len(), all.len());
        for (told, (labels, kind, help, points)) in told.series.iter().zip(&all) {
            prop_assert_eq!((&told.labels, told.kind), (labels, *kind));
            prop_assert_eq!(told.help.trim_start(), help.trim_start());
            prop_assert_eq!(bits(&told.points), bits(points));
        }
    }

    #[test]
    fn nothing_hurts_and_cuts_change_nothing(
        text in "([ -~\\n]|a\\{b=\"|\"\\} 1 |# TYPE |\\{\"sysstat\": |\\[|\\{|  r  b swpd free\\n| 1){0,60}",
        size in 1_usize..50,
    ) {
        for format in [Format::OpenMetrics, Format::Sadf, Format::Vmstat] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let whole = read_as(format, Given::default(), &[text.as_bytes()]);
            let cut = read_as(format, Given::default(), &pieces);
            prop_assert_eq!(whole.lines(), cut.lines());
            prop_assert_eq!(whole.oddities, cut.oddities);
        }
    }
}
