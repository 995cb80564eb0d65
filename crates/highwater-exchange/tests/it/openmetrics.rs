use highwater_core::metric::MetricKind;
use highwater_core::time::WallTime;
use highwater_exchange::{Format, Given, Stamps};

use crate::told::{All, read, read_as};

const FEDERATE: &[u8] = include_bytes!("../../../../fixtures/exchange/prometheus-federate.txt");
const METRICS: &[u8] = include_bytes!("../../../../fixtures/exchange/prometheus-metrics.txt");
const DUMP: &[u8] = include_bytes!("../../../../fixtures/exchange/promtool-dump.txt");

fn text(text: &str) -> All {
    read_as(Format::OpenMetrics, Given::default(), &[text.as_bytes()])
}

#[test]
fn openmetrics_with_all_that_it_has() {
    let all = text(
        "# TYPE container_memory_rss gauge\n\
         # UNIT container_memory_rss bytes\n\
         # HELP container_memory_rss Anonymous \\\"memory\\\".\n\
         container_memory_rss{id=\"/docker/1\",name=\"web\"} 1.5e6 1714207632\n\
         container_memory_rss{id=\"/docker/1\",name=\"web\"} 1600000 1714207932.250\n\
         # TYPE foo histogram\n\
         foo_bucket{le=\"0.1\"} 8 1714207632 # {trace_id=\"a b\"} 0.054\n\
         foo_bucket{le=\"+Inf\"} 9 # {trace_id=\"x\"} 0.67 1520879607.789\n\
         foo_count 9 1714207632\n\
         foo_created 1714200000 1714207632\n\
         # TYPE limit gauge\n\
         limit{q=\"a\\\\b\\\"c\\nd}\"} +Inf 1714207632\n\
         limit{q=\"other\"} NaN 1714207632\n\
         # EOF\n",
    );
    assert_eq!(
        all.lines(),
        [
            "container_memory_rss{id=\"/docker/1\",name=\"web\"} Gauge \"Anonymous \\\"memory\\\".\" \
             1500000.0@1714207632000 1600000.0@1714207932250",
            "foo_bucket{le=\"0.1\"} Counter \"\" 8.0@1714207632000",
            "foo_count Counter \"\" 9.0@1714207632000",
            "foo_created Gauge \"\" 1714200000.0@1714207632000",
            "limit{q=\"a\\\\b\\\"c\\nd}\"} Gauge \"\" inf@1714207632000",
            "limit{q=\"other\"} Gauge \"\" end@1714207632000",
        ]
    );
    let told = [(8, "samples without a timestamp are left out".to_owned())];
    assert_eq!((all.oddities.as_slice(), all.summary.untimed), (told.as_slice(), 1));
    assert_eq!((all.summary.stamps, all.summary.lines), (Some(Stamps::Seconds), 14));
}

#[test]
fn what_prometheus_writes_is_read() {
    let all = read(&[FEDERATE]);
    let free = "node_memory_MemFree_bytes{instance=\"127.0.0.1:19100\",job=\"node\"}";
    assert_eq!(all.points(free), [(1_795_266_311_398, 612_204_544.0)]);
    assert_eq!(all.summary.stamps, Some(Stamps::Milliseconds));
    assert_eq!((all.series.len(), all.oddities.len()), (2, 0));

    let all = read(&[DUMP]);
    let ends: Vec<_> = all.lines().into_iter().filter(|line| line.contains("end@")).collect();
    assert!(matches!(ends.as_slice(), [one] if one.starts_with(free) && one.ends_with("13398")));
    assert_eq!((all.summary.samples, all.summary.oddities), (20, 0));
}

#[test]
fn samples_without_a_timestamp_need_a_moment() {
    let all = read(&[METRICS]);
    assert_eq!((all.series.len(), all.oddities.len(), all.summary.untimed), (0, 1, 22));
    assert_eq!(all.oddities[0].0, 3);
    let given = Given { at: Some(WallTime::from_millis(7)), ..Given::default() };
    let all = read_as(Format::OpenMetrics, given, &[METRICS]);
    assert_eq!((all.series.len(), all.summary.untimed, all.summary.stamps), (22, 0, None));
    assert_eq!(all.points("process_open_fds"), [(7, 13.0)]);
    let gauges = all.series.iter().filter(|told| told.kind == MetricKind::Gauge).count();
    // Five quantiles and two gauges.
    assert_eq!(gauges, 7);
}

#[test]
fn marks_and_line_ends_of_other_systems_change_nothing() {
    let plain = "# TYPE a gauge\na 1 1714207632\n\nb{c=\"d\"} 2 1714207632\n# EOF\n";
    let foreign = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let blank = plain.replace("b{c=\"d\"} 2 ", "\tb { c=\"d\" }\t2\t");
    for other in [foreign, blank, plain.trim_end().to_owned()] {
        assert_eq!(Format::of(other.as_bytes()), Some(Format::OpenMetrics));
        let all = text(&other);
        assert_eq!(all.lines(), text(plain).lines(), "{other:?}");
        assert_eq!(all.oddities, [], "{other:?}");
    }
}

#[test]
fn series_are_told_apart_and_found_again_in_any_order() {
    let lines: Vec<String> = (0..50_u32)
        .flat_map(|at| (0..7_u32).map(move |series| (at, series * at % 7)))
        .map(|(at, series)| format!("m{{s=\"{series}\"}} {at} {}\n", 1_714_207_632 + at))
        .collect();
    let all = text(&format!("{}m 1 1714207632\nm{{}} 2 1714207632\n", lines.concat()));
    // Two spellings of the bare name.
    assert_eq!(all.series.len(), 9);
    for (at, line) in lines.iter().enumerate() {
        let (series, rest) = line.trim_end().split_once(' ').unwrap();
        let (value, stamp) = rest.split_once(' ').unwrap();
        let point = (stamp.parse::<i64>().unwrap() * 1000, value.parse().unwrap());
        assert!(all.points(series).contains(&point), "line {at}");
    }
}

#[test]
fn garbage_is_told_with_its_line_and_the_rest_is_read() {
    let all = text(
        "a 1 1714207632\n\
         \u{1b}[31mhostile\n\
         a one 1714207632\n\
         a 1 yesterday\n\
         a{b=\"1\",b=\"2\"} 1 1714207632\n\
         a 1 1714207632 7\n\
         9a 1 1714207632\n\
         a 2 1714207633\n\
         # EOF\n\
         a 3 1714207634\n",
    );
    assert_eq!(all.lines(), ["a Gauge \"\" 1.0@1714207632000 2.0@1714207633000 3.0@1714207634000"]);
    let lines: Vec<u64> = all.oddities.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 10, 10], "{:?}", all.oddities);
    assert!(all.oddities[0].1.ends_with(r"left out: \x1b[31mhostile"), "{:?}", all.oddities[0]);
    assert!(all.oddities[7].1.contains("no # EOF"));
}

#[test]
fn one_sort_of_oddity_is_told_a_few_times_and_counted() {
    let all = text(&"nonsense\n".repeat(1000));
    assert_eq!((all.oddities.len(), all.summary.oddities), (5, 1000));
}

#[test]
fn a_line_that_is_cut_off_is_left_out() {
    let whole = "a 1 1714207632\na 2 1714207932";
    assert_eq!(text(whole).points("a").len(), 2);
    for end in [8, 4, 1] {
        let all = text(&whole[..whole.len() - end]);
        assert_eq!(all.points("a").len(), 1, "{end}");
        assert!(all.oddities.iter().any(|(line, what)| *line == 2 && what.contains("cut off")));
    }
}

#[test]
fn a_line_without_bounds_is_passed_over() {
    let long = "x".repeat(1 << 20);
    let text = format!("a 1 1714207632\nb{{c=\"{long}\"}} 1 1714207632\na 2 1714207633\n# EOF\n");
    for size in [1000, usize::MAX] {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let all = read_as(Format::OpenMetrics, Given::default(), &pieces);
        assert_eq!((all.series.len(), all.values("a")), (1, vec![1.0, 2.0]));
        assert_eq!(all.oddities, [(2, "a line of more than 256 KiB is left out".to_owned())]);
    }
    let all = read_as(Format::OpenMetrics, Given::default(), &[long.as_bytes()]);
    assert_eq!(all.oddities.len(), 1);
}

#[test]
fn other_texts_are_not_taken_for_it() {
    for other in [
        "",
        "\n\n",
        "hello world",
        "# a comment\n",
        "{}",
        "[1,2]",
        "<html>",
        "a,b,c\n1,2,3",
        "total 12\n",
        "MemFree: 1 kB\n",
        "Linux 6.18",
    ] {
        assert_eq!(Format::of(other.as_bytes()), None, "{other:?}");
    }
    assert_eq!(Format::of(b"# a comment\nup 1 1714207632\n"), Some(Format::OpenMetrics));
    assert_eq!(Format::of(b"up{job=\"a\"} 1\n"), Some(Format::OpenMetrics));
    assert_eq!(Format::of(b"{__name__=\"up\"} 1 1714207632000\n"), Some(Format::OpenMetrics));
}
