//! Questions without an answer: what kind of failure, and with which status.

use highwater_web::Limits;

use super::Served;
use super::history::Shelf;

/// What is said of a question, in one line.
fn said(web: &Served, path: &str) -> String {
    let (status, kind, text) = web.get(path).error();
    format!("{path}\n  {status} {kind}: {text}\n")
}

#[test]
fn each_kind_of_failure_is_told_as_prometheus_tells_it() {
    let web = Served::demo();
    let paths = [
        "query",
        "query?query=rate(up",
        "query?query=1&time=soon",
        "query?query=1&time=NaN",
        "query?query=1&timeout=long",
        "query?query=1&limit=-1",
        "query?query=1&limit=x",
        "query?query=1&lookback_delta=x",
        "query?query=demo_memory_usage_bytes%2Bon()demo_memory_usage_bytes",
        "query_range?query=1&end=2&step=1",
        "query_range?query=1&start=1&step=1",
        "query_range?query=1&start=1&end=2",
        "query_range?query=1&start=1&end=2&step=0",
        "query_range?query=1&start=1&end=2&step=-1",
        "query_range?query=1&start=1&end=2&step=1e300",
        "query_range?query=1&start=2&end=1&step=1",
        "query_range?query=1&start=0&end=100000&step=1",
        "query_range?query=up%5B5m%5D&start=1&end=2&step=1",
        "query_exemplars?query=(",
        "query_exemplars?query=up&start=2&end=1",
        "format_query?query=sum(",
        "series",
        "series?match[]=",
        "series?match[]=%7B%7D",
        "series?match[]=sum(up)",
        "series?match[]=up&start=x",
        "labels?match[]=(",
        "labels?limit=x",
        "label//values",
        "label/U__/values",
        "metadata?limit=x",
        "metadata?limit_per_metric=x",
        "status/tsdb?limit=0",
        "status/tsdb?limit=1000000",
        "query?query=%zz",
        "query?query=%ff",
        "nothing",
        "query/",
    ];
    let page: String = paths.iter().map(|path| said(&web, path)).collect();
    insta::assert_snapshot!(page);
    web.end();
}

#[test]
fn a_history_that_cannot_be_read_is_an_internal_error() {
    let web = Served::new(Shelf::broken(), Limits::default());
    for path in ["query?query=up", "labels", "metadata", "status/tsdb"] {
        let (status, kind, text) = web.get(path).error();
        assert_eq!((status, kind.as_str()), (500, "internal"), "{path}");
        assert_eq!(text, "the history is a \"torn\" file");
    }
    assert_eq!(web.get("query?query=(").status, 400, "what is no query needs no history");
    web.end();
}

#[test]
fn what_the_history_lacks_is_a_warning() {
    let web = Served::new(Shelf::with_caveat("3 sheets are damaged"), Limits::default());
    for path in ["query?query=demo_requests_total", "labels", "metadata", "status/tsdb"] {
        let warnings = web.get(path).json()["warnings"].clone();
        assert_eq!(warnings, serde_json::json!(["3 sheets are damaged"]), "{path}");
    }
    web.end();
}

#[test]
fn methods_are_taken_where_prometheus_takes_them() {
    let web = Served::demo();
    for path in ["query", "query_range", "query_exemplars", "format_query", "labels", "series"] {
        let got = web.post(path, "query=up&start=1&end=2&step=1&match[]=up");
        assert_eq!(got.status, 200, "{path}: {}", got.shown());
    }
    for path in
        ["label/job/values", "metadata", "rules", "alerts", "status/buildinfo", "status/tsdb"]
    {
        let got = web.post(path, "");
        assert_eq!(got.status, 405, "{path}");
        assert!(got.head.contains("allow: GET, HEAD"), "{}", got.head);
        assert_eq!(got.error().1, "bad_data");
    }
    assert_eq!(web.ask("DELETE", "/api/v1/series", "", b"").status, 405);
    assert_eq!(web.post("nothing", "").status, 404);
    let head = web.ask("HEAD", "/api/v1/labels", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.head.contains("content-length: "), "{}", head.head);
    web.end();
}
