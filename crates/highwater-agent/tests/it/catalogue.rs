//! The table of docs/manual/metrics.md about the recorder is written from the catalogue.

use std::fmt::Write as _;
use std::path::Path;

use highwater_agent::own;
use highwater_core::metric::MetricKind;

#[test]
fn the_manual_lists_the_recorders_own_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/metrics.md");
    let mut table = "| metric | type | meaning |\n|---|---|---|\n".to_owned();
    for metric in own::metrics() {
        let kind = match metric.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        writeln!(table, "| `{}` | {kind} | {} |", metric.name, metric.help).unwrap();
    }
    let manual = std::fs::read_to_string(&path).unwrap();
    let begin = "<!-- table agent -->\n";
    let (head, rest) = manual.split_once(begin).expect("the table's place is marked");
    let (_, tail) = rest.split_once("<!-- end -->").expect("and its end");
    let expected = format!("{head}{begin}{table}<!-- end -->{tail}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now == expected, "docs/manual/metrics.md is out of date: run this test with BLESS=1");
}
